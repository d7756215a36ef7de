/* SPDX-License-Identifier: MIT */
/* The benchmark's own parts: does it count and time right, and does it notice an engine that reads wrongly? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/workload.h"

enum { KEYS = 2000, LIE_AT = 1234, FOUND_A_LIE = 3 };

void bench_fail(const char *who, const char *message)
{
	fprintf(stderr, "%s: %s\n", who, message);
	_exit(FOUND_A_LIE);
}

/* ---- a store in memory, that can lie about one key ---- */

enum lie { HONEST, LOSES, STALE, INVENTS, DAMAGES };

struct toy {
	enum lie lie;
	struct model model;
	struct values values;
	uint64_t at; /* the iterator: key number, KEYS at its ends */
};

static uint64_t toy_number(const char *key)
{
	return strtoull(key, NULL, 10);
}

/* Is the key there, as the toy tells it? Its generation. */
static bool toy_has(const struct toy *t, uint64_t n, unsigned *ret_generation)
{
	unsigned state = t->model.state[n];

	if (n == LIE_AT && t->lie == LOSES)
		state = 0;
	if (n == LIE_AT && t->lie == STALE)
		state = 1;
	*ret_generation = state - 1;
	return state != 0;
}

static void toy_see(struct toy *t, uint64_t n, unsigned generation, struct seen *ret)
{
	bench_see(ret, values_at(&t->values, n, generation), t->values.piece);
	if (n == LIE_AT && t->lie == DAMAGES)
		ret->tail++;
}

static bool toy_get(void *session, const char *key, size_t key_size, struct seen *ret)
{
	struct toy *t = session;
	char text[KEY_BUFFER] = { 0 };
	unsigned generation;

	memcpy(text, key, KEY_BYTES);
	if (key_size > KEY_BYTES) {
		if (t->lie != INVENTS)
			return false;
		toy_see(t, 0, 0, ret);
		return true;
	}
	if (!toy_has(t, toy_number(text), &generation))
		return false;
	toy_see(t, toy_number(text), generation, ret);
	return true;
}

static void toy_multi_get(void *session, unsigned n, const char *const *keys, struct seen *ret)
{
	for (unsigned i = 0; i < n; i++)
		ret[i].found = toy_get(session, keys[i], KEY_BYTES, &ret[i]);
}

static void *toy_open(const char *dir, const struct bench_settings *settings)
{
	(void)settings;
	return (void *)(uintptr_t)dir;
}

static void *toy_self(void *db)
{
	return db;
}

static void toy_end(void *session)
{
	(void)session;
}

static void toy_move(struct toy *t, uint64_t from, int step)
{
	unsigned generation;

	t->at = from;
	while (t->at < KEYS && !toy_has(t, t->at, &generation))
		t->at += (uint64_t)step;
	if (t->at > KEYS)
		t->at = KEYS; /* went below 0 */
}

static void toy_first(void *iter)
{
	toy_move(iter, 0, 1);
}

static void toy_last(void *iter)
{
	toy_move(iter, KEYS - 1, -1);
}

static void toy_seek(void *iter, const char *key)
{
	char text[KEY_BUFFER] = { 0 };

	memcpy(text, key, KEY_BYTES);
	toy_move(iter, toy_number(text), 1);
}

static bool toy_valid(void *iter)
{
	struct toy *t = iter;

	return t->at < KEYS;
}

static void toy_next(void *iter)
{
	struct toy *t = iter;

	toy_move(t, t->at + 1, 1);
}

static void toy_prev(void *iter)
{
	struct toy *t = iter;

	toy_move(t, t->at - 1, -1);
}

static void toy_iter_see(void *iter, struct seen *ret)
{
	struct toy *t = iter;
	char key[KEY_BUFFER];
	unsigned generation;

	toy_has(t, t->at, &generation);
	toy_see(t, t->at, generation, ret);
	key_make(key, t->at);
	bench_see_key(ret, key, KEY_BYTES);
}

static const struct engine engine_toy = {
	.name = "toy",
	.open = toy_open,
	.session_new = toy_self,
	.session_free = toy_end,
	.get = toy_get,
	.multi_get = toy_multi_get,
	.iter_new = toy_self,
	.iter_free = toy_end,
	.iter_first = toy_first,
	.iter_last = toy_last,
	.iter_seek = toy_seek,
	.iter_valid = toy_valid,
	.iter_next = toy_next,
	.iter_prev = toy_prev,
	.iter_see = toy_iter_see,
};

/* Filled, overwritten in part, deleted in part. */
static void make_history(struct history *h)
{
	history_add(h, (struct step){ .kind = STEP_SEQUENTIAL, .count = KEYS });
	history_add(h, (struct step){ .kind = STEP_RANDOM,
				      .generation = GENERATION_OVERWRITE,
				      .seed = 1,
				      .range = KEYS,
				      .count = 10 * KEYS });
	history_add(h, (struct step){ .kind = STEP_DELETE, .seed = 2, .range = KEYS, .count = KEYS / 10 });
}

/* What the workload's process ends with: 0, or that it found the lie. */
static int run_on_toy(void (*run)(struct run *), enum lie lie, unsigned threads)
{
	static struct histogram histogram;
	static struct outcome outcome;
	const struct workload workload = { .name = "test", .threads = threads };
	struct history history = { 0 };
	struct toy toy = { .lie = lie };
	struct run r = { .workload = &workload,
			 .engine = &engine_toy,
			 .dir = (const char *)&toy,
			 .history = &history,
			 .settings = { .keys = KEYS, .value_bytes = 100 },
			 .seed = 99,
			 .outcome = &outcome,
			 .histogram = &histogram };
	int status = 0;
	pid_t child = fork();

	if (!child) {
		make_history(&history);
		model_init(&toy.model, &history);
		model_init(&r.model, &history);
		values_init(&toy.values, 100);
		values_init(&r.values, 100);
		if (toy.model.state[LIE_AT] != 1 + GENERATION_OVERWRITE)
			_exit(4);
		for (int i = 0; i < 500; i++, r.seed++) { /* values are checked by samples: sometime it is looked at */
			run(&r);
			if (r.verify)
				r.verify(&r);
		}
		_exit(outcome.result.operations ? 0 : 5);
	}
	assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void workloads_notice_lies(void **state)
{
	void (*const reads[])(struct run *) = { run_readrandom, run_multiread, run_readseq, run_readreverse,
						run_seekrandom };
	enum lie lies[] = { LOSES, STALE, DAMAGES };

	(void)state;
	for (unsigned i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		assert_int_equal(run_on_toy(reads[i], HONEST, 1), 0);
		for (unsigned j = 0; j < sizeof(lies) / sizeof(lies[0]); j++)
			assert_int_equal(run_on_toy(reads[i], lies[j], 1), FOUND_A_LIE);
	}
	assert_int_equal(run_on_toy(run_readrandom, HONEST, 4), 0);
	assert_int_equal(run_on_toy(run_readrandom, LOSES, 4), FOUND_A_LIE);
	assert_int_equal(run_on_toy(run_readmissing, HONEST, 1), 0);
	assert_int_equal(run_on_toy(run_readmissing, INVENTS, 1), FOUND_A_LIE);
}

/* ---- times ---- */

static void quantiles_are_near(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	(void)state;
	assert_non_null(h);
	assert_true(latency_quantile(h, 0.5) == 0);
	for (uint64_t ns = 1; ns <= 1000000; ns++)
		latency_add(h, ns, 1);
	for (double part = 0.001; part < 1; part += 0.037) {
		double got = latency_quantile(h, part), expected = part * 1000000;

		assert_true(got > expected * 0.98 && got < expected * 1.02);
	}
	assert_true(h->max == 1000000 && latency_quantile(h, 1) == 1000000);
	free(h);
}

static void every_time_has_a_bucket(void **state)
{
	unsigned last = 0;

	(void)state;
	for (uint64_t ns = 0; ns < UINT64_C(1) << 42; ns += 1 + ns / 100) {
		unsigned bucket = latency_bucket(ns);

		assert_true(bucket >= last && bucket < HISTOGRAM_SIZE);
		last = bucket;
	}
	assert_int_equal(latency_bucket(UINT64_MAX), HISTOGRAM_SIZE - 1);
}

static void busy(uint64_t ns)
{
	uint64_t end = clock_ns() + ns;

	while (clock_ns() < end)
		;
}

/* Fast operations are sampled; one that stalls is seen all the same, and the weights still count all. */
static void a_sampled_stall_is_seen(void **state)
{
	enum { OPERATIONS = 100000, STALL_NS = 20000000 };
	struct histogram *h = calloc(1, sizeof(*h));
	bool sampled = false;
	struct timer t;

	(void)state;
	assert_non_null(h);
	timer_init(&t, h, 0);
	for (int i = 0; i < OPERATIONS; i++) {
		timer_begin(&t);
		if (i == OPERATIONS - 50)
			busy(STALL_NS);
		timer_end(&t);
		sampled = sampled || t.every == TIMER_EVERY;
	}
	assert_true(sampled); /* but not all the time, where something else takes the processor */
	assert_true(h->n <= OPERATIONS && h->n > OPERATIONS - TIMER_EVERY);
	assert_true(h->max >= STALL_NS);
	free(h);
}

static void slow_operations_are_all_timed(void **state)
{
	enum { OPERATIONS = 2000 };
	struct histogram *h = calloc(1, sizeof(*h));
	struct timer t;

	(void)state;
	assert_non_null(h);
	timer_init(&t, h, clock_ns() + UINT64_C(60000000000));
	for (int i = 0; i < OPERATIONS; i++) {
		timer_begin(&t);
		busy(5000);
		timer_end(&t);
	}
	assert_int_equal(t.every, 1);
	assert_int_equal(h->n, OPERATIONS);
	assert_true(latency_quantile(h, 0.01) >= 4900 && !t.over);
	t.deadline = 1;
	timer_begin(&t);
	timer_end(&t);
	assert_true(t.over);
	free(h);
}

/* ---- data ---- */

static void keys_sort_as_their_numbers(void **state)
{
	char a[KEY_BUFFER], b[KEY_BUFFER];
	struct rng rng = { 5 };

	(void)state;
	key_make(a, UINT64_C(1234567890123456));
	assert_memory_equal(a, "1234567890123456", KEY_BYTES);
	for (int i = 0; i < 20000000; i += 7) {
		char text[32];

		snprintf(text, sizeof(text), "%016d", i * 100);
		key_make(a, (uint64_t)i * 100);
		assert_memory_equal(a, text, KEY_BYTES);
	}
	for (int i = 0; i < 1000; i++) {
		uint64_t n = key_scatter(rng_next(&rng)), m = key_scatter(rng_next(&rng));

		key_make(a, n);
		key_make(b, m);
		assert_true((memcmp(a, b, KEY_BYTES) < 0) == (n < m));
	}
}

static void the_model_is_the_history(void **state)
{
	struct history h = { 0 };
	struct model m;

	(void)state;
	history_add(&h, (struct step){ .kind = STEP_RANDOM, .seed = 3, .range = 1000000, .count = 1000000 });
	model_init(&m, &h);
	assert_true(model_live(&m) > 630000 && model_live(&m) < 634000); /* 1 - 1/e */
	model_done(&m);
	history_add(&h, (struct step){ .kind = STEP_SEQUENTIAL, .generation = 1, .count = 1000001 });
	model_init(&m, &h);
	assert_true(model_live(&m) == 1000001 && m.state[0] == 2 && m.state[1000000] == 2);
	model_done(&m);
}

/* With the constant 0.99 and 1,000 items the first one is drawn in 13 of 100 cases, the first ten in 38. */
static void zipf_has_its_shape(void **state)
{
	enum { DRAWS = 200000 };
	struct rng rng = { 4 };
	unsigned first = 0, ten = 0;
	struct zipf z;

	(void)state;
	zipf_init(&z, 1000);
	for (int i = 0; i < DRAWS; i++) {
		uint64_t n = zipf_next(&z, rng_next(&rng));

		assert_true(n < 1000);
		first += n == 0;
		ten += n < 10;
	}
	assert_true(first > DRAWS * 12 / 100 && first < DRAWS * 14 / 100);
	assert_true(ten > DRAWS * 36 / 100 && ten < DRAWS * 41 / 100);
	for (uint64_t n = 1; n < 4; n++) {
		zipf_init(&z, n);
		for (int i = 0; i < 1000; i++)
			assert_true(zipf_next(&z, rng_next(&rng)) < n);
	}
}

static void values_compress_to_half(void **state)
{
	struct seen seen = { 0 };
	struct values v;

	(void)state;
	values_init(&v, 100);
	for (uint64_t key = 0; key < 20000; key += 7) {
		const char *p = values_at(&v, key, 1);

		assert_memory_equal(p, p + 50, 50);
		bench_see(&seen, p, 100);
		assert_true(values_match(&v, key, 1, &seen) && !values_match(&v, key, 0, &seen));
		assert_false(values_match(&v, key + 1, 1, &seen));
	}
	values_done(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workloads_notice_lies),         cmocka_unit_test(quantiles_are_near),
		cmocka_unit_test(every_time_has_a_bucket),       cmocka_unit_test(a_sampled_stall_is_seen),
		cmocka_unit_test(slow_operations_are_all_timed), cmocka_unit_test(keys_sort_as_their_numbers),
		cmocka_unit_test(the_model_is_the_history),      cmocka_unit_test(zipf_has_its_shape),
		cmocka_unit_test(values_compress_to_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
