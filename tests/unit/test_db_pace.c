/* SPDX-License-Identifier: MIT */
/* Back-pressure: how long a write may wait, and how fast compaction writes. */
#include <errno.h>
#include <time.h>

#include "tests/support/db_test.h"
#include "tests/support/env_fault.h"

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Puts of random keys; returns the longest one's seconds. */
static double fill(struct db_test *t, uint64_t n, size_t size)
{
	struct rng rng = { 7 };
	double longest = 0;

	for (uint64_t i = 0; i < n; i++) {
		double start = seconds(), took;

		put_bytes(t, key_n(rng_below(&rng, n)), i, size);
		took = seconds() - start;
		longest = took > longest ? took : longest;
	}
	return longest;
}

static void slow_table_sync(void *ctx, enum fault_op op, const char *path)
{
	(void)ctx;
	if (op == FAULT_SYNC && strstr(path, ".sst"))
		usleep(300000);
}

/*
 * A flush takes longer than it takes to fill a memtable: writers go slower and slower instead of running into a wall
 * that they would wait at for the rest of the flush.
 */
static void test_slow_flush_is_no_wall(void **state)
{
	struct db_test *t = *state;
	struct env_fault env;
	struct lsm_stats s;
	double longest;

	env_fault_init(&env);
	env.done = slow_table_sync;
	t->options.env = &env.env;
	t->options.memory_bytes = 64 << 20;
	t->options.memtable_bytes = 1 << 20;
	t->options.memtables_max = 2;
	t->options.l0_tables = 100; /* nothing but the flush is slow */
	db_open(t);
	longest = fill(t, 40000, 100);
	s = stats_of(t);
	print_message("%llu flushes, %llu waits of %llu us in all, the longest %llu us; the longest put %.1f ms\n",
		      (unsigned long long)s.flushes, (unsigned long long)s.delays, (unsigned long long)s.delay_us,
		      (unsigned long long)s.delay_us_max, longest * 1e3);
	assert_true(s.flushes >= 3);
	assert_true(s.delay_us >= 300000); /* it was slow */
	assert_true(s.delay_us_max <= 100000);
	assert_true(longest < 2); /* what others do to this machine included */
	db_close(t);
	env_fault_done(&env);
}

/* A flush that fails leads to the error at once, not to ever slower writing. */
static void test_failing_flush_is_told(void **state)
{
	struct db_test *t = *state;
	struct env_fault env;
	double start;
	int rc = LSM_OK;

	env_fault_init(&env);
	t->options.env = &env.env;
	t->options.memtables_max = 2;
	db_open(t);
	env_fault_all(&env, FAULT_WRITE, ".sst", ENOSPC);
	start = seconds();
	for (uint64_t i = 0; !rc; i++)
		rc = lsm_put(t->db, key_n(i), S("some value or other that fills the memtable"), 0);
	assert_code(rc, LSM_NO_SPACE);
	assert_true(seconds() - start < 10);
	env_fault_clear(&env);
	db_close(t);
	env_fault_done(&env);
}

/* compact_bytes_per_second holds, and a close doesn't wait for it. */
static void test_rate_limit(void **state)
{
	enum { RATE = 1 << 20 };
	struct db_test *t = *state;
	uint64_t written;
	double start, took;

	t->options.compact_bytes_per_second = RATE;
	t->options.l0_tables = 1000;
	db_open(t);
	fill(t, 20000, 100);
	start = seconds();
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	took = seconds() - start;
	written = stats_of(t).compact_bytes_written;
	print_message("%llu bytes compacted in %.2f s\n", (unsigned long long)written, took);
	assert_true(written > RATE);
	/* A quarter of a second's bytes are free, and what is less than a step at the end. */
	assert_true(took >= (double)(written - RATE / 4 - (512 << 10)) / RATE * 0.9);
	db_close(t);

	t->options.compact_bytes_per_second = 16 << 10; /* the next one would take minutes */
	t->options.l0_tables = 1;
	db_open(t);
	fill(t, 10000, 100);
	assert_ok(lsm_flush(t->db));
	start = seconds();
	db_close(t);
	assert_true(seconds() - start < 10);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup_closed, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_slow_flush_is_no_wall),
		T(test_failing_flush_is_told),
		T(test_rate_limit),
	};

	return cmocka_run_group_tests_name("db_pace", tests, NULL, NULL);
}
