/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_RNG_H
#define TESTS_SUPPORT_RNG_H
/* rng - repeatable random numbers (SplitMix64) for tests; LSMFS_SEED sets the seed, and it is always printed. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 <= result < n */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

static inline bool rng_one_in(struct rng *r, uint64_t n)
{
	return !rng_below(r, n);
}

static inline void rng_fill(struct rng *r, void *buf, size_t size)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(rng_next(r) >> 32);
}

/* LSMFS_SEED, else the clock. */
static inline uint64_t seed_choose(const char *test)
{
	const char *text = getenv("LSMFS_SEED");
	struct timespec t;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &t);
	seed = text ? strtoull(text, NULL, 0) : ((uint64_t)t.tv_sec * 1000003 ^ (uint64_t)t.tv_nsec) & 0xffffffff;
	fprintf(stderr, "%s: LSMFS_SEED=%llu\n", test, (unsigned long long)seed);
	return seed;
}

#endif
