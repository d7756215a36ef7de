/* SPDX-License-Identifier: MIT */
#include "tests/bench/data.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>

enum { POOL_BYTES = 1 << 20, WINDOWS_MIN = 16, WINDOWS_MAX = 8192 };

/* All digits at once, in the lanes of a word: by 10000, by 100 in each half, by 10 in each quarter. The multiplications
 * divide: x * 10486 >> 20 is x / 100 below 10000, x * 103 >> 10 is x / 10 below 100. */
static void eight_digits(char *at, uint32_t n)
{
	uint64_t v = n / 10000 | (uint64_t)(n % 10000) << 32, q;

	q = (v * 10486 >> 20) & UINT64_C(0x7f0000007f);
	v = q | (v - 100 * q) << 16;
	q = (v * 103 >> 10) & UINT64_C(0x000f000f000f000f);
	v = q | (v - 10 * q) << 8;
	v = htole64(v | UINT64_C(0x3030303030303030));
	memcpy(at, &v, sizeof(v));
}

void key_make(char key[KEY_BUFFER], uint64_t n)
{
	eight_digits(key, (uint32_t)(n / 100000000));
	eight_digits(key + 8, (uint32_t)(n % 100000000));
}

uint64_t key_scatter(uint64_t n)
{
	struct rng rng = { n * UINT64_C(0xd1342543de82ef95) };

	return rng_next(&rng) % UINT64_C(10000000000000000);
}

void values_init(struct values *v, size_t value_bytes)
{
	struct rng rng = { 301 };
	size_t half = (value_bytes + 1) / 2;
	uint64_t windows = WINDOWS_MAX;

	while (windows > WINDOWS_MIN && windows * value_bytes > POOL_BYTES)
		windows /= 2;
	*v = (struct values){ .pool = malloc(windows * value_bytes), .piece = value_bytes, .mask = windows - 1 };
	if (!v->pool)
		bench_fail("bench", "no memory");
	for (uint64_t i = 0; i < windows; i++) {
		char *p = v->pool + i * value_bytes;

		rng_fill(&rng, p, half);
		memcpy(p + half, p, value_bytes - half);
	}
}

void values_done(struct values *v)
{
	free(v->pool);
	v->pool = NULL;
}

bool values_match(const struct values *v, uint64_t key, unsigned generation, const struct seen *seen)
{
	struct seen expected = { 0 };

	bench_ends(&expected, values_at(v, key, generation), v->piece);
	return seen->size == v->piece && seen->head == expected.head && seen->tail == expected.tail;
}

/* ---- what was written ---- */

void history_add(struct history *h, struct step step)
{
	if (h->n == STEPS_MAX)
		bench_fail("bench", "too many steps in a store's history");
	h->steps[h->n++] = step;
}

static void model_step(struct model *m, const struct step *s)
{
	struct rng rng = { s->seed };

	for (uint64_t i = 0; i < s->count; i++) {
		uint64_t key = s->kind == STEP_SEQUENTIAL ? i : key_pick(&rng, s->range);

		m->state[key] = s->kind == STEP_DELETE ? 0 : (uint8_t)(1 + s->generation);
	}
}

void model_init(struct model *m, const struct history *h)
{
	*m = (struct model){ .keys = 1 };
	for (unsigned i = 0; i < h->n; i++) {
		uint64_t range = h->steps[i].kind == STEP_SEQUENTIAL ? h->steps[i].count : h->steps[i].range;

		m->keys = range > m->keys ? range : m->keys;
	}
	m->state = calloc(m->keys, 1);
	if (!m->state)
		bench_fail("bench", "no memory");
	for (unsigned i = 0; i < h->n; i++)
		model_step(m, &h->steps[i]);
}

void model_done(struct model *m)
{
	free(m->state);
	m->state = NULL;
}

uint64_t model_live(const struct model *m)
{
	uint64_t live = 0;

	for (uint64_t i = 0; i < m->keys; i++)
		live += m->state[i] != 0;
	return live;
}

/* ---- zipfian numbers ---- */

static const double theta = 0.99;

void zipf_init(struct zipf *z, uint64_t n)
{
	double zeta_2 = 1 + pow(0.5, theta);

	*z = (struct zipf){ .n = (double)n, .alpha = 1 / (1 - theta), .half_pow = pow(0.5, theta) };
	for (uint64_t i = 1; i <= n; i++)
		z->zeta_n += pow(1 / (double)i, theta);
	z->eta = n > 2 ? (1 - pow(2 / z->n, 1 - theta)) / (1 - zeta_2 / z->zeta_n) : 0;
}

uint64_t zipf_next(const struct zipf *z, uint64_t random)
{
	double u = (double)(random >> 11) * 0x1p-53, uz = u * z->zeta_n;
	uint64_t rank;

	if (uz < 1 || z->n < 2)
		return 0;
	if (uz < 1 + z->half_pow || z->n < 3)
		return 1;
	rank = (uint64_t)(z->n * pow(z->eta * u - z->eta + 1, z->alpha));
	return rank < (uint64_t)z->n ? rank : (uint64_t)z->n - 1;
}
