/* SPDX-License-Identifier: MIT */
/* Several threads on one store. Threads report to their test, which asserts: cmocka's jumps must not cross threads. */
#include "tests/support/db_test.h"
#include "tests/support/sanitized.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SLOWER = SANITIZED ? 5 : 1 };

enum { THREADS_MAX = 12 };

struct team {
	struct db_test *test;
	_Atomic bool stop;
	_Atomic uint64_t bad, done;
	_Atomic unsigned joined;
	uint64_t seed;
	pthread_t threads[THREADS_MAX];
	unsigned n;
};

static void team_bad(struct team *m, const char *what, int rc)
{
	if (!atomic_fetch_add(&m->bad, 1))
		print_error("%s: %s (%s)\n", what, lsm_strerror(rc), rc ? lsm_last_error()->message : "");
}

static void team_start(struct team *m, void *(*fn)(void *), unsigned n)
{
	while (n--) {
		assert_true(m->n < THREADS_MAX);
		assert_int_equal(pthread_create(&m->threads[m->n++], NULL, fn, m), 0);
	}
}

static void team_join(struct team *m)
{
	for (unsigned i = 0; i < m->n; i++)
		pthread_join(m->threads[i], NULL);
	m->n = 0;
	assert_int_equal(atomic_load(&m->bad), 0);
}

/* ---- pairs: two keys that always change together ---- */

enum { PAIRS = 200, PAIR_WRITES = 3000 };

static void pair_keys(uint64_t i, char a[24], char b[24])
{
	snprintf(a, 24, "a%06llu", (unsigned long long)i);
	snprintf(b, 24, "b%06llu", (unsigned long long)i);
}

static void *pair_writer(void *arg)
{
	struct team *m = arg;
	struct rng rng = { m->seed + atomic_fetch_add(&m->joined, 1) };
	struct lsm_batch *batch = NULL;
	char a[24], b[24];
	int rc = lsm_batch_new(m->test->db, &batch);

	for (int i = 0; !rc && i < PAIR_WRITES / SLOWER; i++) {
		size_t size = 8 + rng_below(&rng, rng_one_in(&rng, 20) ? 20000 : 500);
		uint8_t *value = bytes_new(rng_next(&rng), size);

		pair_keys(rng_below(&rng, PAIRS), a, b);
		lsm_batch_clear(batch);
		if (rng_one_in(&rng, 10)) {
			rc = lsm_batch_delete(batch, S(a));
			if (!rc)
				rc = lsm_batch_delete(batch, S(b));
		} else {
			rc = lsm_batch_put(batch, S(a), (struct lsm_slice){ value, size });
			if (!rc)
				rc = lsm_batch_put(batch, S(b), (struct lsm_slice){ value, size });
		}
		if (!rc)
			rc = lsm_write(m->test->db, batch, rng_one_in(&rng, 500) ? LSM_WRITE_SYNC : 0);
		free(value);
	}
	if (rc)
		team_bad(m, "writer", rc);
	lsm_batch_free(batch);
	atomic_fetch_add(&m->done, 1);
	return NULL;
}

static bool same(const struct lsm_value *a, const struct lsm_value *b)
{
	return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

static void read_pair(struct team *m, const struct lsm_snapshot *snapshot, uint64_t i)
{
	struct lsm_value v[2] = { 0 };
	int codes[2] = { 0 }, rc;
	char a[24], b[24];

	pair_keys(i, a, b);
	rc = lsm_multi_get(m->test->db, snapshot, 2, (struct lsm_slice[]){ S(a), S(b) }, v, codes);
	if (rc || codes[0] != codes[1] || (!codes[0] && !same(&v[0], &v[1])))
		team_bad(m, "a pair of unequals", rc);
	lsm_value_release(&v[0]);
	lsm_value_release(&v[1]);
}

static void *pair_reader(void *arg)
{
	struct team *m = arg;
	struct rng rng = { m->seed + 100 + atomic_fetch_add(&m->joined, 1) };

	while (!atomic_load(&m->stop)) {
		struct lsm_snapshot *s = NULL;
		int rc = rng_one_in(&rng, 4) ? lsm_snapshot_new(m->test->db, &s) : LSM_OK;

		if (rc)
			team_bad(m, "snapshot", rc);
		for (int i = 0; i < 20; i++)
			read_pair(m, s, rng_below(&rng, PAIRS));
		if (s)
			lsm_snapshot_free(m->test->db, s);
	}
	return NULL;
}

/* Two iterators at one snapshot walk the two halves in step. */
static void *pair_scanner(void *arg)
{
	struct team *m = arg;

	while (!atomic_load(&m->stop)) {
		struct lsm_iter_options o = { 0 };
		struct lsm_snapshot *s = NULL;
		struct lsm_iter *it[2] = { NULL };
		int rc = lsm_snapshot_new(m->test->db, &s);

		o.snapshot = s;
		for (int i = 0; !rc && i < 2; i++) {
			o.lower = S(i ? "b" : "a");
			o.upper = S(i ? "c" : "b");
			rc = lsm_iter_new(m->test->db, &o, &it[i]);
			if (!rc)
				lsm_iter_seek_first(it[i]);
		}
		while (!rc && lsm_iter_valid(it[0]) && lsm_iter_valid(it[1])) {
			struct lsm_slice v[2] = { { 0 }, { 0 } };

			if (memcmp((const char *)lsm_iter_key(it[0]).data + 1,
				   (const char *)lsm_iter_key(it[1]).data + 1, 6))
				team_bad(m, "a key without its fellow", 0);
			rc = lsm_iter_value(it[0], &v[0]);
			if (!rc)
				rc = lsm_iter_value(it[1], &v[1]);
			if (!rc && (v[0].size != v[1].size || memcmp(v[0].data, v[1].data, v[0].size)))
				team_bad(m, "values of two moments", 0);
			lsm_iter_next(it[0]);
			lsm_iter_next(it[1]);
		}
		if (!rc && (lsm_iter_status(it[0]) || lsm_iter_status(it[1])))
			rc = LSM_IO;
		if (!rc && lsm_iter_valid(it[0]) != lsm_iter_valid(it[1]))
			team_bad(m, "halves of different lengths", 0);
		if (rc)
			team_bad(m, "scanner", rc);
		lsm_iter_free(it[0]);
		lsm_iter_free(it[1]);
		lsm_snapshot_free(m->test->db, s);
	}
	return NULL;
}

static void *upkeeper(void *arg)
{
	struct team *m = arg;
	struct lsm_stats st;
	int rc = LSM_OK;

	while (!rc && !atomic_load(&m->stop)) {
		char *text = lsm_stats_text(m->test->db);

		free(text);
		rc = lsm_flush(m->test->db);
		if (!rc)
			rc = lsm_sync(m->test->db);
		lsm_get_stats(m->test->db, &st);
		usleep(20000);
		if (!rc)
			rc = lsm_compact_range(m->test->db, S("a"), S("b"));
	}
	if (rc)
		team_bad(m, "upkeep", rc);
	return NULL;
}

static void test_pairs(void **state)
{
	struct team m = { .test = *state, .seed = seed_choose("test_pairs") };
	unsigned writers = 3;

	team_start(&m, pair_writer, writers);
	team_start(&m, pair_reader, 2);
	team_start(&m, pair_scanner, 2);
	team_start(&m, upkeeper, 1);
	while (atomic_load(&m.done) < writers)
		usleep(10000);
	atomic_store(&m.stop, true);
	team_join(&m);
	m.stop = false;
	db_reopen(m.test);
	for (uint64_t i = 0; i < PAIRS; i++)
		read_pair(&m, NULL, i);
	assert_int_equal(atomic_load(&m.bad), 0);
}

/* ---- what a thread was told is done is seen by all ---- */

enum { COUNTS = 20000 };

static void *counter_writer(void *arg)
{
	struct team *m = arg;
	int rc = LSM_OK;

	for (uint64_t i = 1; !rc && i <= COUNTS / SLOWER; i++) {
		rc = lsm_put(m->test->db, S("counter"), (struct lsm_slice){ &i, sizeof(i) }, 0);
		if (!rc)
			atomic_store(&m->done, i);
	}
	if (rc)
		team_bad(m, "counter", rc);
	atomic_store(&m->stop, true);
	return NULL;
}

static void *counter_reader(void *arg)
{
	struct team *m = arg;
	uint64_t last = 0;

	while (!atomic_load(&m->stop)) {
		uint64_t before = atomic_load(&m->done), seen = 0;
		struct lsm_value v = { 0 };
		int rc = lsm_get(m->test->db, NULL, S("counter"), &v);

		if (!rc && v.size == sizeof(seen))
			memcpy(&seen, v.data, sizeof(seen));
		lsm_value_release(&v);
		if (rc && rc != LSM_NOT_FOUND)
			team_bad(m, "counter", rc);
		if (seen < before || seen < last)
			team_bad(m, "an older value than was written", 0);
		last = seen;
	}
	return NULL;
}

static void test_monotonic(void **state)
{
	struct team m = { .test = *state };

	team_start(&m, counter_writer, 1);
	team_start(&m, counter_reader, 3);
	team_join(&m);
}

/* ---- syncs ---- */

enum { SYNC_THREADS = 8, SYNCS = 100 };

static void *sync_writer(void *arg)
{
	struct team *m = arg;
	unsigned self = atomic_fetch_add(&m->joined, 1);

	for (uint64_t i = 0; i < SYNCS; i++) {
		int rc = lsm_put(m->test->db, key_n(i * SYNC_THREADS + self), S("v"), LSM_WRITE_SYNC);

		if (rc)
			team_bad(m, "sync", rc);
	}
	return NULL;
}

static void test_syncs_are_shared(void **state)
{
	struct team m = { .test = *state };
	struct lsm_stats st;

	team_start(&m, sync_writer, SYNC_THREADS);
	team_join(&m);
	st = stats_of(m.test);
	assert_int_equal(st.syncs_asked, SYNC_THREADS * SYNCS);
	assert_true(st.syncs_done > 0 && st.syncs_done < st.syncs_asked);
	for (uint64_t i = 0; i < SYNCS * SYNC_THREADS; i++)
		expect(m.test, key_n(i).data, "v");
}

/* ---- back-pressure and memory ---- */

enum { LOAD_KEYS = 200000, LOAD_WRITES = 120000 };

static void *load_writer(void *arg)
{
	struct team *m = arg;
	struct rng rng = { m->seed + atomic_fetch_add(&m->joined, 1) };
	uint8_t value[200];
	int rc = LSM_OK;

	rng_fill(&rng, value, sizeof(value));
	for (int i = 0; !rc && i < LOAD_WRITES / SLOWER; i++)
		rc = lsm_put(m->test->db, key_n(rng_below(&rng, LOAD_KEYS)), (struct lsm_slice){ value, sizeof(value) },
			     0);
	if (rc)
		team_bad(m, "load", rc);
	atomic_fetch_add(&m->done, 1);
	return NULL;
}

static void *load_reader(void *arg)
{
	struct team *m = arg;
	struct rng rng = { m->seed + atomic_fetch_add(&m->joined, 1) };

	while (!atomic_load(&m->stop)) {
		struct lsm_value v = { 0 };
		int rc = lsm_get(m->test->db, NULL, key_n(rng_below(&rng, LOAD_KEYS)), &v);

		if (rc && rc != LSM_NOT_FOUND)
			team_bad(m, "load reader", rc);
		lsm_value_release(&v);
	}
	return NULL;
}

static void test_bounded_under_load(void **state)
{
	struct team m = { .test = *state, .seed = seed_choose("test_bounded_under_load") };
	uint64_t l0_max = 0, memory_max = 0, memtables_max = 0, budget = stats_of(m.test).memory_budget_bytes;

	team_start(&m, load_writer, 2);
	team_start(&m, load_reader, 1);
	while (atomic_load(&m.done) < 2) {
		struct lsm_stats st = stats_of(m.test);

		if (st.levels[0].tables > l0_max)
			l0_max = st.levels[0].tables;
		if (st.memory_bytes > memory_max)
			memory_max = st.memory_bytes;
		if (st.memtables > memtables_max)
			memtables_max = st.memtables;
		usleep(2000);
	}
	atomic_store(&m.stop, true);
	team_join(&m);
	print_message("level 0: at most %llu tables; memory: %llu of %llu; memtables: %llu\n",
		      (unsigned long long)l0_max, (unsigned long long)memory_max, (unsigned long long)budget,
		      (unsigned long long)memtables_max);
	assert_true(l0_max <= 40);
	/* A memtable grows by a piece, and then the cache makes room for it. */
	assert_true(memory_max <= budget + budget / 16);
	assert_true(memtables_max <= 3);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_pairs),
		T(test_monotonic),
		T(test_syncs_are_shared),
		T(test_bounded_under_load),
	};

	return cmocka_run_group_tests_name("db_threads", tests, NULL, NULL);
}
