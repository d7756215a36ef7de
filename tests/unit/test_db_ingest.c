/* SPDX-License-Identifier: MIT */
/* Loads: written once, visible at one moment, newer than all before and older than all after. */
#include "tests/support/db_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lsm/store/db.h"
#include "tests/support/env_fault.h"

static struct lsm_ingest *ingest_new(struct db_test *t)
{
	struct lsm_ingest *g = NULL;

	assert_ok(lsm_ingest_new(t->db, &g));
	return g;
}

static void add_bytes(struct lsm_ingest *g, struct lsm_slice key, uint64_t seed, size_t size)
{
	uint8_t *p = bytes_new(seed, size);
	int rc = lsm_ingest_put(g, key, (struct lsm_slice){ p, size });

	free(p);
	assert_ok(rc);
}

static size_t size_of(uint64_t i)
{
	static const size_t sizes[] = { 20, 100, 900, 500, 1500, 20, 12000, 0 };

	return sizes[i % 8];
}

/* Loads keys [from, to) step by step. */
static void load(struct db_test *t, uint64_t seed, uint64_t from, uint64_t to, uint64_t step)
{
	struct lsm_ingest *g = ingest_new(t);

	for (uint64_t i = from; i < to; i += step)
		add_bytes(g, key_n(i), seed + i, size_of(i));
	assert_ok(lsm_ingest_finish(g));
}

static void expect_loaded(struct db_test *t, uint64_t seed, uint64_t from, uint64_t to, uint64_t step)
{
	for (uint64_t i = from; i < to; i += step)
		expect_bytes(t, key_n(i), seed + i, size_of(i));
}

static void compact(struct db_test *t)
{
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
}

static uint64_t count_keys(struct db_test *t, bool forward)
{
	struct lsm_iter *it = NULL;
	uint64_t n = 0;

	assert_ok(lsm_iter_new(t->db, NULL, &it));
	if (forward) {
		for (lsm_iter_seek_first(it); lsm_iter_valid(it); lsm_iter_next(it))
			n++;
	} else {
		for (lsm_iter_seek_last(it); lsm_iter_valid(it); lsm_iter_prev(it))
			n++;
	}
	assert_ok(lsm_iter_status(it));
	lsm_iter_free(it);
	return n;
}

/* ---- an empty store ---- */

static void test_empty(void **state)
{
	struct db_test *t = *state;
	struct lsm_ingest *g = ingest_new(t);
	struct lsm_value v = { 0 };
	struct lsm_stats st;

	for (uint64_t i = 0; i < 3000; i++)
		add_bytes(g, key_n(i), i, size_of(i));
	assert_code(lsm_get(t->db, NULL, key_n(5), &v), LSM_NOT_FOUND);
	assert_ok(lsm_ingest_finish(g));
	st = stats_of(t);
	assert_true(st.levels[LSM_LEVELS - 1].tables >= 3); /* cut at table_bytes, as deep as can be */
	assert_int_equal(st.sequence, 1);
	assert_int_equal(st.loads, 1);
	for (int round = 0; round < 3; round++) {
		expect_loaded(t, 0, 0, 3000, 1);
		assert_int_equal(count_keys(t, true), 3000);
		assert_int_equal(count_keys(t, false), 3000);
		if (round == 1)
			compact(t);
		db_reopen(t);
	}
}

/* Once, and nothing else. */
static void test_amplification(void **state)
{
	struct db_test *t = *state;
	struct lsm_ingest *g;
	struct lsm_stats st;

	t->options.table_bytes = 4 << 20;
	for (unsigned l = 0; l < LSM_LEVELS; l++)
		t->options.level_compression[l] = LSM_COMPRESS_NONE + 1;
	db_open(t);
	g = ingest_new(t);
	for (uint64_t i = 0; i < 20000; i++)
		add_bytes(g, key_n(i), i, i % 100 ? 1000 : 100000);
	assert_ok(lsm_ingest_finish(g));
	st = stats_of(t);
	assert_int_equal(st.operations, 20000);
	assert_true(st.user_bytes > 39000000);
	print_message("write amplification of a load: %.3f\n", (double)st.load_bytes_written / (double)st.user_bytes);
	assert_true((double)st.load_bytes_written < 1.03 * (double)st.user_bytes);
	assert_true(st.load_bytes_written >= st.user_bytes);
	assert_int_equal(st.log_bytes, 0);
	assert_int_equal(st.flush_bytes_written, 0);
	assert_int_equal(st.compact_bytes_written, 0);
	assert_true(files_bytes(t->store, ".sst") + files_bytes(t->store, ".blob") == st.load_bytes_written);
}

/* ---- among other data ---- */

static void expect_mixed(struct db_test *t, const struct lsm_snapshot *before)
{
	expect(t, "key00000001", "after");
	expect(t, "key00000002", NULL);
	expect_loaded(t, 700, 3, 20, 1);
	expect_bytes(t, key_n(100), 100, 50);
	for (uint64_t i = 20; i < 30; i++) {
		struct lsm_value v = { 0 };

		assert_code(lsm_get(t->db, NULL, key_n(i), &v), LSM_NOT_FOUND);
	}
	expect_at(t, before, "key00000000", "before");
	expect_at(t, before, "key00000003", "before");
	expect_at(t, before, "key00000004", NULL);
	expect_at(t, before, "key00000007", NULL);
}

/* Over what was there, at every level; under what comes. */
static void test_order(void **state)
{
	struct db_test *t = *state;
	struct lsm_snapshot *s = NULL;

	for (int where = 0; where < 3; where++) { /* the old data in the memtable, in level 0, deeper */
		put_bytes(t, key_n(100), 100, 50);
		for (uint64_t i = 0; i < 30; i++)
			assert_ok(lsm_put(t->db, key_n(i), S("before"), 0));
		del(t, "key00000004");
		assert_ok(lsm_delete_range(t->db, key_n(5), key_n(25), 0));
		assert_ok(lsm_snapshot_create(t->db, "before"));
		if (where == 1)
			assert_ok(lsm_flush(t->db));
		if (where == 2)
			compact(t);
		load(t, 700, 0, 30, 1);
		expect_loaded(t, 700, 0, 30, 1);
		put(t, "key00000001", "after");
		del(t, "key00000002");
		assert_ok(lsm_delete_range(t->db, key_n(20), key_n(30), 0));
		assert_ok(lsm_snapshot_open(t->db, "before", &s));
		expect_mixed(t, s);
		assert_ok(lsm_flush(t->db));
		expect_mixed(t, s);
		compact(t);
		expect_mixed(t, s);
		lsm_snapshot_free(t->db, s);
		db_reopen(t);
		assert_ok(lsm_snapshot_open(t->db, "before", &s));
		expect_mixed(t, s);
		lsm_snapshot_free(t->db, s);
		assert_ok(lsm_snapshot_delete(t->db, "before"));
		assert_ok(lsm_delete_range(t->db, S("a"), S("z"), 0));
		compact(t);
		assert_int_equal(count_keys(t, true), 0);
	}
}

/* Tables go as deep as they can, each by itself. */
static void test_levels(void **state)
{
	struct db_test *t = *state;
	struct lsm_stats st;

	load(t, 1, 0, 1000, 2);
	load(t, 2, 2000, 3000, 2); /* beside it */
	st = stats_of(t);
	assert_int_equal(st.levels[0].tables, 0);
	load(t, 3, 1, 1000, 2); /* between its keys: the level above */
	st = stats_of(t);
	assert_true(st.levels[LSM_LEVELS - 2].tables > 0);
	expect_loaded(t, 1, 0, 1000, 2);
	expect_loaded(t, 3, 1, 1000, 2);
	for (uint64_t n = 0; n < 12; n++)
		load(t, 100 + n, 0, 1000, 2);
	expect_loaded(t, 111, 0, 1000, 2);
	expect_loaded(t, 3, 1, 1000, 2);
	compact(t);
	db_reopen(t);
	expect_loaded(t, 111, 0, 1000, 2);
	expect_loaded(t, 3, 1, 1000, 2);
	expect_loaded(t, 2, 2000, 3000, 2);
	assert_int_equal(count_keys(t, false), 1500);
}

/* Seeks in tables whose keys are stamped as they are read. */
static void test_seeks(void **state)
{
	struct db_test *t = *state;
	struct lsm_snapshot *s = NULL;
	struct lsm_iter *it = NULL;

	put(t, "key00000500", "old");
	assert_ok(lsm_snapshot_new(t->db, &s));
	load(t, 1, 0, 2000, 2);
	for (int old = 0; old < 2; old++) {
		struct lsm_iter_options options = { .snapshot = old ? s : NULL };

		assert_ok(lsm_iter_new(t->db, &options, &it));
		for (uint64_t i = 1; i < 1990; i += 37) {
			lsm_iter_seek(it, key_n(i));
			assert_int_equal(lsm_iter_valid(it), !old || i <= 500);
			if (lsm_iter_valid(it))
				assert_memory_equal(lsm_iter_key(it).data, key_n(old ? 500 : i + i % 2).data, 11);
			lsm_iter_seek_prev(it, key_n(i));
			assert_int_equal(lsm_iter_valid(it), !old || i >= 500);
			if (lsm_iter_valid(it))
				assert_memory_equal(lsm_iter_key(it).data, key_n(old ? 500 : i - i % 2).data, 11);
		}
		assert_ok(lsm_iter_status(it));
		lsm_iter_free(it);
	}
	expect_at(t, s, "key00000500", "old");
	expect_bytes(t, key_n(500), 501, size_of(500));
	lsm_snapshot_free(t->db, s);
}

/* ---- refusals and ends ---- */

static void test_refusals(void **state)
{
	struct db_test *t = *state;
	struct lsm_ingest *g = ingest_new(t);

	assert_ok(lsm_ingest_put(g, S("b"), S("1")));
	assert_code(lsm_ingest_put(g, S("b"), S("2")), LSM_INVALID);
	assert_code(lsm_ingest_put(g, S("a"), S("2")), LSM_INVALID);
	assert_code(lsm_ingest_put(g, S(""), S("2")), LSM_INVALID);
	assert_ok(lsm_ingest_put(g, S("ba"), S("3")));
	assert_ok(lsm_ingest_finish(g));
	expect_keys(t, NULL, "b ba");
	expect(t, "b", "1");
	g = ingest_new(t);
	for (uint64_t i = 0; i < 500; i++)
		add_bytes(g, key_n(i), i, 2000);
	lsm_ingest_abort(g);
	lsm_ingest_abort(NULL);
	expect_keys(t, NULL, "b ba");
	assert_int_equal(files_count(t->store, ".sst"), 1);
	assert_int_equal(files_count(t->store, ".blob"), 0);
	g = ingest_new(t);
	assert_ok(lsm_ingest_finish(g)); /* nothing is fine */
	t->options.flags = LSM_OPEN_READ_ONLY;
	db_reopen(t);
	assert_code(lsm_ingest_new(t->db, &g), LSM_READ_ONLY);
	expect(t, "ba", "3");
}

/* Each operation of a load fails once: nothing of it is there, and no file is left. */
static void test_every_failure(void **state)
{
	static const struct {
		enum fault_op op;
		const char *match;
	} faults[] = {
		{ FAULT_OPEN, ".sst" },       { FAULT_WRITE, ".sst" },  { FAULT_SYNC, ".sst" },
		{ FAULT_OPEN, ".blob" },      { FAULT_WRITE, ".blob" }, { FAULT_SYNC, ".blob" },
		{ FAULT_WRITE, ".manifest" }, { FAULT_SYNC_DIR, NULL },
	};
	struct db_test *t = *state;
	struct env_fault env;
	unsigned failures = 0;

	env_fault_init(&env);
	t->options.env = &env.env;
	db_open(t);
	put(t, "first", "1");
	assert_ok(lsm_flush(t->db));
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		for (uint64_t nth = 1;; nth++) {
			struct lsm_ingest *g = ingest_new(t);
			int rc = LSM_OK;

			env_fault_nth(&env, faults[i].op, faults[i].match, nth, ENOSPC);
			for (uint64_t k = 0; !rc && k < 200; k++) {
				uint8_t *p = bytes_new(k, k % 4 ? 900 : 9000);

				rc = lsm_ingest_put(g, key_n(k), (struct lsm_slice){ p, k % 4 ? 900 : 9000 });
				free(p);
			}
			if (rc)
				assert_code(lsm_ingest_put(g, S("zzz"), S("x")), LSM_NO_SPACE);
			assert_true(!rc || nth % 2 || lsm_ingest_finish(g) == LSM_NO_SPACE);
			if (rc && nth % 2)
				lsm_ingest_abort(g);
			else if (!rc)
				rc = lsm_ingest_finish(g);
			env_fault_clear(&env);
			if (!rc)
				break;
			failures++;
			assert_code(rc, LSM_NO_SPACE);
			expect_keys(t, NULL, "first");
			/* Closed, so that no thread holds a table that was compacted before; only an open removes strays. */
			db_close(t);
			assert_int_equal(files_count(t->store, ".sst"), 1);
			assert_int_equal(files_count(t->store, ".blob"), 0);
			db_open(t);
		}
		for (uint64_t k = 0; k < 200; k++)
			expect_bytes(t, key_n(k), k, k % 4 ? 900 : 9000);
		assert_ok(lsm_delete_range(t->db, S("key"), S("kez"), 0));
		compact(t);
	}
	assert_true(failures >= 10);
	db_reopen(t);
	expect_keys(t, NULL, "first");
	db_close(t);
	env_fault_done(&env);
}

/* ---- beside writers and readers ---- */

enum { GROUP = 10, LOADS = 10 };

struct shared {
	struct db_test *t;
	atomic_bool stop;
	_Atomic uint64_t next; /* the number that the next change writes to all keys of the group */
	pthread_mutex_t turn;  /* changes come one after the other, so that their order is known */
	_Atomic unsigned failures;
};

static int write_group(struct lsm_db *db, uint64_t n)
{
	struct lsm_batch *b = NULL;
	int rc = lsm_batch_new(db, &b);

	for (uint64_t i = 0; !rc && i < GROUP; i++)
		rc = lsm_batch_put(b, key_n(i), (struct lsm_slice){ &n, sizeof(n) });
	if (!rc)
		rc = lsm_write(db, b, 0);
	lsm_batch_free(b);
	return rc;
}

static int load_group(struct lsm_db *db, uint64_t n)
{
	struct lsm_ingest *g = NULL;
	int rc = lsm_ingest_new(db, &g);

	if (rc)
		return rc;
	for (uint64_t i = 0; !rc && i < GROUP; i++)
		rc = lsm_ingest_put(g, key_n(i), (struct lsm_slice){ &n, sizeof(n) });
	if (rc)
		lsm_ingest_abort(g);
	return rc ? rc : lsm_ingest_finish(g);
}

/* Both kinds of change, by turns. */
static void *change_main(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < LOADS && !atomic_load(&s->failures); i++) {
		pthread_mutex_lock(&s->turn);
		if (load_group(s->t->db, atomic_fetch_add(&s->next, 1)))
			atomic_fetch_add(&s->failures, 1);
		pthread_mutex_unlock(&s->turn);
		for (int k = 0; k < 5; k++) {
			pthread_mutex_lock(&s->turn);
			if (write_group(s->t->db, atomic_fetch_add(&s->next, 1)))
				atomic_fetch_add(&s->failures, 1);
			pthread_mutex_unlock(&s->turn);
		}
	}
	atomic_store(&s->stop, true);
	return NULL;
}

/* Writers to other keys, which a load must neither lose nor wait for for ever. */
static void *other_main(void *arg)
{
	struct shared *s = arg;

	for (uint64_t n = 0; !atomic_load(&s->stop); n++) {
		if (lsm_put(s->t->db, key_n(1000 + n % 500), S("a value that fills memtables a little faster"), 0))
			atomic_fetch_add(&s->failures, 1);
	}
	return NULL;
}

/* The group at one moment: all keys have one number. Returns it; UINT64_MAX after a failure. */
static uint64_t read_group(struct lsm_db *db, const struct lsm_snapshot *snapshot, bool iterate)
{
	struct lsm_value values[GROUP] = { 0 };
	struct lsm_slice keys[GROUP];
	char bytes[GROUP][16];
	int codes[GROUP];
	uint64_t numbers[GROUP] = { 0 };
	unsigned found = 0;

	if (iterate) {
		struct lsm_iter_options o = { .snapshot = snapshot, .upper = S("key00000010") };
		struct lsm_iter *it = NULL;
		struct lsm_slice value;

		if (lsm_iter_new(db, &o, &it))
			return UINT64_MAX;
		for (lsm_iter_seek_first(it); lsm_iter_valid(it); lsm_iter_next(it)) {
			if (found == GROUP || lsm_iter_value(it, &value) || value.size != 8)
				return UINT64_MAX;
			memcpy(&numbers[found++], value.data, 8);
		}
		lsm_iter_free(it);
	} else {
		for (unsigned i = 0; i < GROUP; i++) {
			memcpy(bytes[i], key_n(i).data, 11);
			keys[i] = (struct lsm_slice){ bytes[i], 11 };
		}
		if (lsm_multi_get(db, snapshot, GROUP, keys, values, codes))
			return UINT64_MAX;
		for (unsigned i = 0; i < GROUP; i++) {
			if (!codes[i])
				memcpy(&numbers[found++], values[i].data, 8);
			lsm_value_release(&values[i]);
		}
	}
	for (unsigned i = 1; i < found; i++) {
		if (numbers[i] != numbers[0])
			return UINT64_MAX;
	}
	return found == GROUP ? numbers[0] : found ? UINT64_MAX : 0;
}

static void *read_main(void *arg)
{
	struct shared *s = arg;
	uint64_t last = 0;

	for (unsigned i = 0; !atomic_load(&s->stop); i++) {
		uint64_t n = read_group(s->t->db, NULL, i % 2);
		struct lsm_snapshot *snapshot = NULL;

		if (n == UINT64_MAX || n < last)
			atomic_fetch_add(&s->failures, 1);
		last = n;
		if (i % 5 || lsm_snapshot_new(s->t->db, &snapshot))
			continue;
		/* A snapshot shows the same whatever comes. */
		n = read_group(s->t->db, snapshot, true);
		for (int k = 0; k < 20; k++) {
			if (read_group(s->t->db, snapshot, k % 2) != n)
				atomic_fetch_add(&s->failures, 1);
		}
		lsm_snapshot_free(s->t->db, snapshot);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct db_test *t = *state;
	struct shared s = { .t = t, .turn = PTHREAD_MUTEX_INITIALIZER };
	void *(*const mains[])(void *) = { change_main, change_main, other_main, read_main, read_main };
	pthread_t threads[5];

	t->options.memtable_bytes = 64 << 10;
	t->options.l0_tables = 2;
	db_open(t);
	atomic_store(&s.next, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, mains[i], &s), 0);
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&s.failures), 0);
	compact(t);
	assert_int_equal(read_group(t->db, NULL, true), atomic_load(&s.next) - 1);
	db_reopen(t);
	assert_int_equal(read_group(t->db, NULL, false), atomic_load(&s.next) - 1);
}

/* ---- the moment between the tables and the number ---- */

static void *finish_main(void *arg)
{
	return lsm_ingest_finish(arg) ? arg : NULL;
}

static uint64_t tables_of(struct db_test *t)
{
	struct lsm_stats st = stats_of(t);
	uint64_t n = 0;

	for (unsigned l = 0; l < LSM_LEVELS; l++)
		n += st.levels[l].tables;
	return n;
}

/*
 * Somebody who is inside the epoch may have the old tables: until he has left, nobody reads at the new number, and no
 * compaction may begin to drop what it hides from snapshots that are taken now.
 */
static void test_published_last(void **state)
{
	struct db_test *t = *state;
	struct lsm_snapshot *s = NULL;
	struct lsm_ingest *g;
	struct job j = { 0 };
	uint64_t before;
	unsigned slot;
	pthread_t thread;
	void *failed;
	bool begun;

	put(t, "k", "old");
	assert_ok(lsm_flush(t->db));
	before = stats_of(t).sequence;
	g = ingest_new(t);
	assert_ok(lsm_ingest_put(g, S("k"), S("new")));
	slot = epoch_enter(t->db->epoch);
	assert_int_equal(pthread_create(&thread, NULL, finish_main, g), 0);
	while (tables_of(t) < 2)
		usleep(100);
	expect(t, "k", "old");
	assert_int_equal(stats_of(t).sequence, before);
	assert_ok(lsm_snapshot_new(t->db, &s));
	mutex_lock(&t->db->lock);
	for (unsigned l = 0; !j.inputs_n; l++) { /* the load is the newest */
		j.inputs = atomic_load(&t->db->current)->version->levels[l].tables;
		j.inputs_n = j.inputs_upper_n = atomic_load(&t->db->current)->version->levels[l].n;
		j.input_level = l;
	}
	j.output_level = 3; /* where nothing else can be in the way */
	begun = job_begin(t->db, &j);
	mutex_unlock(&t->db->lock);
	epoch_exit(t->db->epoch, slot);
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_true(j.inputs_n > 0);
	assert_false(begun);
	assert_int_equal(stats_of(t).sequence, before + 1);
	for (int round = 0; round < 2; round++) {
		expect(t, "k", "new");
		expect_at(t, s, "k", "old");
		compact(t);
	}
	lsm_snapshot_free(t->db, s);
}

/* A compaction that runs may put its output over a gap between its inputs: a load that fits there goes elsewhere. */
static void test_beside_a_job(void **state)
{
	struct db_test *t = *state;
	struct version *v;
	struct job j = { .input_level = LSM_LEVELS - 1, .output_level = LSM_LEVELS - 1 };

	t->options.table_bytes = 16 << 10;
	db_open(t);
	load(t, 1, 0, 200, 1);
	load(t, 1, 800, 1000, 1);
	mutex_lock(&t->db->lock);
	v = atomic_load(&t->db->current)->version;
	j.inputs = v->levels[LSM_LEVELS - 1].tables;
	j.inputs_n = j.inputs_upper_n = v->levels[LSM_LEVELS - 1].n;
	assert_true(j.inputs_n >= 2);
	version_ref(v);
	assert_true(job_begin(t->db, &j));
	mutex_unlock(&t->db->lock);
	load(t, 1, 400, 600, 1);
	assert_int_equal(stats_of(t).levels[LSM_LEVELS - 1].tables, j.inputs_n);
	assert_true(stats_of(t).levels[LSM_LEVELS - 2].tables > 0);
	job_end(t->db, &j, false);
	version_unref(v);
	compact(t);
	expect_loaded(t, 1, 0, 200, 1);
	expect_loaded(t, 1, 400, 600, 1);
	expect_loaded(t, 1, 800, 1000, 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup, db_teardown)
#define CLOSED(fn) cmocka_unit_test_setup_teardown(fn, db_setup_closed, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_empty),
		CLOSED(test_amplification),
		T(test_order),
		T(test_levels),
		T(test_seeks),
		T(test_refusals),
		CLOSED(test_every_failure),
		T(test_published_last),
		CLOSED(test_beside_a_job),
		CLOSED(test_threads),
	};

	return cmocka_run_group_tests_name("db_ingest", tests, NULL, NULL);
}
