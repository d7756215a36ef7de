/* SPDX-License-Identifier: MIT */
/* The workloads, in the order in which they run: what one writes, the next ones read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/engine.h"
#include "tests/support/rng.h"

enum { KEY_BYTES = 16, POOL_BYTES = 1 << 20, SEEK_NEXTS = 10 };

/* Values are windows into a pool that compresses to half: each piece's second half repeats its first. */
struct values {
	char *pool;
	size_t at, piece;
};

static void values_init(struct values *v, size_t piece, uint64_t seed)
{
	struct rng rng = { seed };
	size_t half = piece / 2 ? piece / 2 : 1;

	*v = (struct values){ .pool = malloc(POOL_BYTES + 2 * piece), .piece = piece };
	if (!v->pool)
		bench_fail("bench", "no memory");
	for (size_t at = 0; at < POOL_BYTES + piece; at += half * 2) {
		rng_fill(&rng, v->pool + at, half);
		if (at + 2 * half <= POOL_BYTES + 2 * piece)
			memcpy(v->pool + at + half, v->pool + at, half);
	}
}

static const char *values_next(struct values *v)
{
	const char *p = v->pool + v->at;

	v->at += v->piece;
	if (v->at >= POOL_BYTES)
		v->at = 0;
	return p;
}

static void key_make(char key[KEY_BYTES + 1], uint64_t n)
{
	for (int i = KEY_BYTES - 1; i >= 0; i--) {
		key[i] = (char)('0' + n % 10);
		n /= 10;
	}
}

static uint64_t fill(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed, uint64_t n,
		     bool random, bool sync, uint64_t *ret_bytes)
{
	struct rng rng = { seed };
	struct values values;
	char key[KEY_BYTES + 1];

	values_init(&values, s->value_bytes, 301);
	for (uint64_t i = 0; i < n; i++) {
		key_make(key, random ? rng_below(&rng, s->keys) : i);
		e->put(db, key, KEY_BYTES, values_next(&values), s->value_bytes, sync);
	}
	free(values.pool);
	*ret_bytes = n * (KEY_BYTES + s->value_bytes);
	return n;
}

static uint64_t fillseq(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			uint64_t *ret_bytes)
{
	return fill(e, db, s, seed, s->keys, false, false, ret_bytes);
}

static uint64_t fillrandom(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			   uint64_t *ret_bytes)
{
	return fill(e, db, s, seed, s->keys, true, false, ret_bytes);
}

/* A sync costs a thousand times what a put does. */
static uint64_t fillsync(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			 uint64_t *ret_bytes)
{
	uint64_t n = s->keys / 500 > 500 ? s->keys / 500 : 500;

	return fill(e, db, s, seed, n, true, true, ret_bytes);
}

static uint64_t get_random(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			   bool missing, uint64_t *ret_found)
{
	struct rng rng = { seed + 7 };
	uint64_t found = 0;
	char key[KEY_BYTES + 1];

	for (uint64_t i = 0; i < s->keys; i++) {
		key_make(key, rng_below(&rng, s->keys));
		key[KEY_BYTES] = '.'; /* a key that lies between others, and is not there */
		found += e->get(db, key, KEY_BYTES + missing);
	}
	*ret_found = found;
	return s->keys;
}

static uint64_t readrandom(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			   uint64_t *ret_bytes)
{
	uint64_t found, n = get_random(e, db, s, seed, false, &found);

	(void)ret_bytes;
	if (found < n / 2) /* random filling hits 63 of 100 keys, two times 86 */
		bench_fail(e->name, "readrandom found too few keys");
	return n;
}

static uint64_t readmissing(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			    uint64_t *ret_bytes)
{
	uint64_t found, n = get_random(e, db, s, seed, true, &found);

	(void)ret_bytes;
	if (found)
		bench_fail(e->name, "readmissing found a key");
	return n;
}

static uint64_t readseq(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			uint64_t *ret_bytes)
{
	void *iter = e->iter_new(db);
	uint64_t n = 0;

	(void)seed;
	(void)ret_bytes;
	for (e->iter_first(iter); e->iter_valid(iter); e->iter_next(iter), n++)
		if (e->iter_touch(iter) != KEY_BYTES + s->value_bytes)
			bench_fail(e->name, "readseq met an entry of a wrong size");
	e->iter_free(iter);
	if (n < s->keys / 2)
		bench_fail(e->name, "readseq met too few keys");
	return n;
}

static uint64_t seekrandom(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			   uint64_t *ret_bytes)
{
	struct rng rng = { seed + 9 };
	uint64_t n = s->keys / 10;
	char key[KEY_BYTES + 1];

	(void)ret_bytes;
	for (uint64_t i = 0; i < n; i++) {
		void *iter = e->iter_new(db);

		key_make(key, rng_below(&rng, s->keys));
		e->iter_seek(iter, key, KEY_BYTES);
		for (int j = 0; j < SEEK_NEXTS && e->iter_valid(iter); j++) {
			e->iter_touch(iter);
			e->iter_next(iter);
		}
		e->iter_free(iter);
	}
	return n;
}

const struct workload workloads[] = {
	{ "fillseq", "puts of ascending keys into an empty store", true, true, fillseq },
	{ "fillrandom", "puts of random keys into an empty store", true, true, fillrandom },
	{ "overwrite", "puts of random keys over those", false, true, fillrandom },
	{ "readrandom", "gets of random keys", false, false, readrandom },
	{ "readmissing", "gets of keys that are not there", false, false, readmissing },
	{ "readseq", "all entries by an iterator", false, false, readseq },
	{ "seekrandom", "a new iterator, a seek to a random key, 10 entries", false, false, seekrandom },
	{ "fillsync", "puts of random keys into an empty store, each durable", true, true, fillsync },
};
const unsigned workloads_n = sizeof(workloads) / sizeof(workloads[0]);
