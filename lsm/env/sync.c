/* SPDX-License-Identifier: MIT */
#include "lsm/env/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* A failure here means that the program misuses the lock: going on would corrupt the store. */
static void must(int rc)
{
	if (rc)
		abort();
}

void mutex_init(struct mutex *m)
{
	pthread_mutexattr_t attr;

	must(pthread_mutexattr_init(&attr));
	must(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP));
	must(pthread_mutex_init(&m->lock, &attr));
	must(pthread_mutexattr_destroy(&attr));
}

void mutex_done(struct mutex *m)
{
	must(pthread_mutex_destroy(&m->lock));
}

void mutex_lock(struct mutex *m)
{
	must(pthread_mutex_lock(&m->lock));
}

bool mutex_trylock(struct mutex *m)
{
	int rc = pthread_mutex_trylock(&m->lock);

	if (rc && rc != EBUSY)
		abort();
	return !rc;
}

void mutex_unlock(struct mutex *m)
{
	must(pthread_mutex_unlock(&m->lock));
}

void cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr));
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	must(pthread_cond_init(&c->cond, &attr));
	must(pthread_condattr_destroy(&attr));
}

void cond_done(struct cond *c)
{
	must(pthread_cond_destroy(&c->cond));
}

void cond_wait(struct cond *c, struct mutex *m)
{
	must(pthread_cond_wait(&c->cond, &m->lock));
}

void cond_wait_us(struct cond *c, struct mutex *m, uint64_t us)
{
	struct timespec t;
	int rc;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(us / 1000000);
	t.tv_nsec += (long)(us % 1000000) * 1000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	rc = pthread_cond_timedwait(&c->cond, &m->lock, &t);
	if (rc && rc != ETIMEDOUT)
		abort();
}

void cond_signal(struct cond *c)
{
	must(pthread_cond_signal(&c->cond));
}

void cond_broadcast(struct cond *c)
{
	must(pthread_cond_broadcast(&c->cond));
}
