/* SPDX-License-Identifier: MIT */
#ifndef LSM_ENV_SYNC_H
#define LSM_ENV_SYNC_H
/*
 * sync - mutexes and condition variables of the engine, in one place so that they can be replaced.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mutex {
	pthread_mutex_t lock;
};

struct cond {
	pthread_cond_t cond;
};

/* These fail only on misuse, and then abort: to go on would corrupt the store. */
void mutex_init(struct mutex *m);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);

void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_wait(struct cond *c, struct mutex *m);
/* Returns after `us` at the latest. */
void cond_wait_us(struct cond *c, struct mutex *m, uint64_t us);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

#endif
