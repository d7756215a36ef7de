/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_DATA_H
#define TESTS_BENCH_DATA_H
/*
 * data - keys, values, and what a store must hold. A value follows from its key's number and the generation that wrote
 * it, and the history of what was written can be replayed from its seeds: so every read can be checked, by counts and
 * samples, with hardly any work while the clock runs.
 */
#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/engine.h"
#include "tests/support/rng.h"

enum { KEY_BUFFER = KEY_BYTES + 8 };

/* 16 decimal digits, zero in front. */
void key_make(char key[KEY_BUFFER], uint64_t n);

/* A random number below n, without a division. */
static inline uint64_t key_pick(struct rng *rng, uint64_t n)
{
	return (uint64_t)((unsigned __int128)rng_next(rng) * n >> 64);
}

/* A number below 10^16 for each n, in no order. */
uint64_t key_scatter(uint64_t n);

/* Values are windows into a pool that compresses to about half: the second half of each repeats its first. */
struct values {
	char *pool;
	size_t piece;
	uint64_t mask; /* number of windows, a power of two, less 1 */
};

void values_init(struct values *v, size_t value_bytes);
void values_done(struct values *v);

static inline const char *values_at(const struct values *v, uint64_t key, unsigned generation)
{
	return v->pool + ((key + 7 * (uint64_t)generation) & v->mask) * v->piece;
}

/* Is what was seen the value that this generation gave the key? */
bool values_match(const struct values *v, uint64_t key, unsigned generation, const struct seen *seen);

/* ---- what was written ---- */

enum step_kind { STEP_SEQUENTIAL, STEP_RANDOM, STEP_DELETE };

/* `count` writes: of keys 0, 1, ... ; or of random ones below `range` from this seed. */
struct step {
	enum step_kind kind;
	unsigned generation;
	uint64_t seed, range, count;
};

enum { STEPS_MAX = 48 };

struct history {
	unsigned n;
	struct step steps[STEPS_MAX];
};

void history_add(struct history *h, struct step step);

/* For each key number 0 when it is absent, else 1 + the generation of its value. */
struct model {
	uint8_t *state;
	uint64_t keys;
};

void model_init(struct model *m, const struct history *h);
void model_done(struct model *m);
uint64_t model_live(const struct model *m);

/* ---- zipfian numbers ---- */

/* Numbers below n of which the small ones are frequent, with YCSB's constant 0.99 (after Gray et al., "Quickly
 * generating billion-record synthetic databases"). */
struct zipf {
	double n, zeta_n, alpha, eta, half_pow;
};

void zipf_init(struct zipf *z, uint64_t n);
uint64_t zipf_next(const struct zipf *z, uint64_t random);

#endif
