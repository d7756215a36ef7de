/* SPDX-License-Identifier: MIT */
#ifndef LSM_BASE_SLICE_H
#define LSM_BASE_SLICE_H
/* slice - helpers on struct lsm_slice (borrowed bytes); buf - bytes that own their memory and grow. */
#include <stdlib.h>
#include <string.h>

#include "lsm/lsm.h"

static inline struct lsm_slice slice_of(const void *data, size_t size)
{
	return (struct lsm_slice){ data, size };
}

static inline int slice_compare(struct lsm_slice a, struct lsm_slice b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int c = n ? memcmp(a.data, b.data, n) : 0;

	if (c)
		return c;
	return a.size < b.size ? -1 : a.size > b.size;
}

static inline bool slice_equal(struct lsm_slice a, struct lsm_slice b)
{
	return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

/*
 * A buffer that failed to grow is marked `failed` and ignores what is added from then on: callers check once, at the
 * end, instead of at each append.
 */
struct buf {
	uint8_t *data;
	size_t size, capacity;
	bool failed;
};

void buf_reserve(struct buf *b, size_t extra);
void buf_free(struct buf *b);

static inline void buf_clear(struct buf *b)
{
	b->size = 0;
	b->failed = false;
}

static inline void buf_append(struct buf *b, const void *data, size_t size)
{
	if (b->capacity - b->size < size)
		buf_reserve(b, size);
	if (b->failed || !size)
		return;
	memcpy(b->data + b->size, data, size);
	b->size += size;
}

static inline void buf_append_slice(struct buf *b, struct lsm_slice s)
{
	buf_append(b, s.data, s.size);
}

static inline void buf_set(struct buf *b, struct lsm_slice s)
{
	buf_clear(b);
	buf_append_slice(b, s);
}

static inline struct lsm_slice buf_slice(const struct buf *b)
{
	return slice_of(b->data, b->size);
}

#endif
