/* SPDX-License-Identifier: MIT */
/* ring, built without liburing. */
#include "fs/session/ring.h"

#include <errno.h>
#include <stddef.h>

int ring_new(struct session *session, struct ring **ret)
{
	(void)session;
	(void)ret;
	return -ENOSYS;
}

void ring_begin(struct ring *ring)
{
	(void)ring;
}

bool ring_serves(const struct ring *ring)
{
	(void)ring;
	return false;
}

bool ring_answer(struct ring *ring, uint64_t unique, const struct iovec *iov, int count)
{
	(void)ring;
	(void)unique;
	(void)iov;
	(void)count;
	return false;
}

void *ring_answer_space(struct ring *ring, uint64_t size)
{
	(void)ring;
	(void)size;
	return NULL;
}

void ring_free(struct ring *ring)
{
	(void)ring;
}
