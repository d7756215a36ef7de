/* SPDX-License-Identifier: MIT */
/* Histograms: buckets, percentiles, merging, many threads; and what the engine times. */
#include "tests/support/db_test.h"

#include <pthread.h>

#include "lsm/base/histogram.h"

static struct histogram a, b;

static int clear(void **state)
{
	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	return 0;
}

static struct lsm_histogram_summary summary_of(const struct histogram *h)
{
	struct lsm_histogram_summary s;

	histogram_summarize(h, &s);
	return s;
}

static void near(uint64_t got, uint64_t want)
{
	uint64_t off = got > want ? got - want : want - got;

	if (off > want / 50)
		fail_msg("%llu instead of %llu", (unsigned long long)got, (unsigned long long)want);
}

static void test_empty(void **state)
{
	const struct lsm_histogram_summary zero = { 0 };
	struct lsm_histogram_summary s = summary_of(&a);

	(void)state;
	assert_memory_equal(&s, &zero, sizeof(s));
}

/* One value: all percentiles are it, to 1.6 percent, whatever its size. */
static void test_single_values(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int d = -1; d <= 1; d++) {
			uint64_t v = (UINT64_C(1) << shift) + (uint64_t)(int64_t)d;
			struct lsm_histogram_summary s;

			clear(NULL);
			histogram_add(&a, v);
			histogram_add(&a, v);
			s = summary_of(&a);
			assert_int_equal(s.count, 2);
			assert_int_equal(s.max_ns, v);
			near(s.p50_ns, v);
			near(s.p999_ns, v);
			if (v < 64)
				assert_int_equal(s.p50_ns, v);
		}
	}
	clear(NULL);
	histogram_add(&a, UINT64_MAX);
	near(summary_of(&a).p50_ns, UINT64_MAX);
}

static int ascending(const void *x, const void *y)
{
	uint64_t p = *(const uint64_t *)x, q = *(const uint64_t *)y;

	return p < q ? -1 : p > q;
}

/* Against the exact percentiles of random values over many powers of two. */
static void test_percentiles(void **state)
{
	enum { N = 20000 };
	static uint64_t values[N];
	struct rng rng = { 7 };
	struct lsm_histogram_summary s;
	uint64_t sum = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		values[i] = 1000 + rng_below(&rng, UINT64_C(1) << (10 + rng_below(&rng, 25)));
		sum += values[i];
		histogram_add(i % 3 ? &a : &b, values[i]);
	}
	histogram_merge(&a, &b);
	qsort(values, N, sizeof(values[0]), ascending);
	s = summary_of(&a);
	assert_int_equal(s.count, N);
	assert_int_equal(s.mean_ns, sum / N);
	assert_int_equal(s.max_ns, values[N - 1]);
	near(s.p50_ns, values[N / 2 - 1]);
	near(s.p90_ns, values[N * 9 / 10 - 1]);
	near(s.p99_ns, values[N * 99 / 100 - 1]);
	near(s.p999_ns, values[N * 999 / 1000 - 1]);
}

static void *add_many(void *ctx)
{
	for (uint64_t i = 1; i <= 100000; i++)
		histogram_add(ctx, i);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];
	struct lsm_histogram_summary s;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, &a), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	s = summary_of(&a);
	assert_int_equal(s.count, 400000);
	assert_int_equal(s.mean_ns, 50000);
	assert_int_equal(s.max_ns, 100000);
}

/* ---- of a store ---- */

static struct lsm_histogram_summary of(struct db_test *t, enum lsm_histogram which)
{
	struct lsm_histogram_summary s;

	assert_ok(lsm_get_histogram(t->db, which, &s));
	return s;
}

/* Of gets and writes one in 61 is timed, of the others all. The counts are of this thread, which did nothing before. */
static void *work(void *ctx)
{
	struct db_test *t = ctx;
	struct lsm_value v;

	for (uint64_t i = 0; i < 610; i++)
		put_bytes(t, key_n(i), i, 100);
	for (uint64_t i = 0; i < 61; i++) {
		assert_ok(lsm_get(t->db, NULL, key_n(i), &v));
		lsm_value_release(&v);
	}
	for (int i = 0; i < 3; i++)
		assert_ok(lsm_put(t->db, S("synced"), S("1"), LSM_WRITE_SYNC));
	return NULL;
}

static void test_store(void **state)
{
	struct db_test *t = *state;
	struct lsm_histogram_summary s;
	pthread_t thread;
	char *text;

	assert_int_equal(pthread_create(&thread, NULL, work, t), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(of(t, LSM_HISTOGRAM_WRITE).count, 11); /* the first, and each 61st behind it, of 613 */
	assert_int_equal(of(t, LSM_HISTOGRAM_GET).count, 1);
	s = of(t, LSM_HISTOGRAM_SYNC);
	assert_int_equal(s.count, 3);
	assert_true(s.p50_ns > 0 && s.max_ns >= s.mean_ns);
	assert_int_equal(of(t, LSM_HISTOGRAM_FLUSH).count, 0);
	assert_ok(lsm_flush(t->db));
	put_bytes(t, key_n(300), 1, 100); /* not to be moved past the first table */
	assert_ok(lsm_flush(t->db));
	assert_int_equal(of(t, LSM_HISTOGRAM_FLUSH).count, 2);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	assert_true(of(t, LSM_HISTOGRAM_COMPACTION).count > 0);
	assert_code(lsm_get_histogram(t->db, LSM_HISTOGRAMS, &s), LSM_INVALID);
	text = lsm_stats_text(t->db);
	assert_non_null(text);
	assert_non_null(strstr(text, "\nsync                3 "));
	assert_non_null(strstr(text, "\nflush               2 "));
	free(text);
}

/* The figures name what is in memory, which snapshots are held, and which segments are mostly garbage. */
static void test_stats_text(void **state)
{
	struct lsm_snapshot *first = NULL, *second = NULL;
	struct db_test *t = *state;
	char *text;

	put_bytes(t, key_n(1), 1, 20000);
	put_bytes(t, key_n(2), 2, 20000);
	assert_ok(lsm_flush(t->db));
	assert_ok(lsm_snapshot_new(t->db, &first));
	put(t, "a", "1");
	assert_ok(lsm_snapshot_new(t->db, &second));
	text = lsm_stats_text(t->db);
	assert_non_null(text);
	assert_non_null(strstr(text, "\nheld        2 snapshots, of sequence 2, 3\n"));
	assert_non_null(strstr(text, "\nnow         memtable entries=1 deletes=0 "));
	assert_non_null(strstr(text, ": 1 tables, "));
	assert_null(strstr(text, "\ngarbage"));
	free(text);
	lsm_snapshot_free(t->db, first);
	lsm_snapshot_free(t->db, second);
	text = lsm_stats_text(t->db);
	assert_non_null(strstr(text, "\nheld        0 snapshots\n"));
	free(text);
}

/* Writers that have to wait for a flush are counted, and the longest wait is known. */
static void test_stall(void **state)
{
	struct db_test *t = *state;
	struct lsm_histogram_summary s;

	t->options.memtables_max = 2;
	t->options.memtable_bytes = 64 << 10;
	db_reopen(t);
	for (uint64_t i = 0; stats_of(t).delays < 3; i++)
		put_bytes(t, key_n(i), i, 1000);
	s = of(t, LSM_HISTOGRAM_STALL);
	assert_true(s.count >= 3);
	assert_true(s.max_ns > 0 && s.max_ns >= s.p999_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, clear),
		cmocka_unit_test_setup(test_single_values, clear),
		cmocka_unit_test_setup(test_percentiles, clear),
		cmocka_unit_test_setup(test_threads, clear),
		cmocka_unit_test_setup_teardown(test_store, db_setup, db_teardown),
		cmocka_unit_test_setup_teardown(test_stats_text, db_setup, db_teardown),
		cmocka_unit_test_setup_teardown(test_stall, db_setup, db_teardown),
	};
	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
