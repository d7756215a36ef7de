/* SPDX-License-Identifier: MIT */
/* The system fails now and then: what was acknowledged is there when the store is opened again, and it always opens. */
#include "tests/support/db_test.h"

#include <errno.h>
#include <sys/stat.h>

#include "tests/support/env_fault.h"

struct faults {
	struct db_test t;
	struct env_fault env;
};

static int setup(void **state)
{
	struct faults *f = calloc(1, sizeof(*f));
	void *t = NULL;

	assert_non_null(f);
	db_setup_closed(&t);
	f->t = *(struct db_test *)t;
	free(t);
	env_fault_init(&f->env);
	f->t.options.env = &f->env.env;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct faults *f = *state;
	struct db_test *t = calloc(1, sizeof(*t));
	void *copy = t;

	assert_non_null(t);
	if (f->t.db)
		(void)lsm_close(f->t.db);
	f->t.db = NULL;
	*t = f->t;
	env_fault_done(&f->env);
	free(f);
	return db_teardown(&copy);
}

static void ignore(int rc)
{
	(void)rc;
}

static void close_anyhow(struct db_test *t)
{
	(void)lsm_close(t->db);
	t->db = NULL;
}

/* ---- one failure at every place, one after the other ---- */

enum { KEYS = 40, STEPS = 60 };

/* What a key may hold: value `seed` (0: nothing), or what a synced write put there that failed. */
struct expected {
	uint64_t seed, others[STEPS];
	unsigned others_n;
};

static size_t size_of_seed(uint64_t seed)
{
	static const size_t sizes[] = { 30, 9000, 2000, 300, 20000, 1100 };

	return sizes[seed % 6];
}

static bool holds(struct lsm_value v, uint64_t seed)
{
	uint8_t *want = bytes_new(seed, size_of_seed(seed));
	bool same = v.size == size_of_seed(seed) && !memcmp(v.data, want, v.size);

	free(want);
	return same;
}

static bool may_hold(int rc, struct lsm_value v, uint64_t seed)
{
	return seed ? rc == LSM_OK && holds(v, seed) : rc == LSM_NOT_FOUND;
}

/* An error of the fault's kind is fine while the fault may show; a wrong answer never is. */
static void check_key_now(struct faults *f, const struct expected *e, uint64_t i, bool healthy)
{
	struct lsm_value v = { 0 };
	int rc = lsm_get(f->t.db, NULL, key_n(i), &v);
	bool same;

	if (rc && rc != LSM_NOT_FOUND) {
		if (healthy)
			print_error("key %llu\n", (unsigned long long)i);
		assert_false(healthy);
		return;
	}
	same = may_hold(rc, v, e->seed);
	for (unsigned k = 0; !same && k < e->others_n && k < STEPS; k++)
		same = may_hold(rc, v, e->others[k]);
	lsm_value_release(&v);
	if (!same) {
		print_error("key %llu: got %d, wanted seed %llu\n", (unsigned long long)i, rc,
			    (unsigned long long)e->seed);
		fail();
	}
}

static void note(struct expected *e, uint64_t seed, int rc, unsigned flags)
{
	if (!rc)
		*e = (struct expected){ .seed = seed };
	else if (flags)
		e->others[e->others_n++ % STEPS] = seed;
}

static void step(struct faults *f, struct expected *expected, struct rng *rng, uint64_t n)
{
	unsigned flags = rng_below(rng, 8) ? 0 : LSM_WRITE_SYNC;
	uint64_t i = rng_below(rng, KEYS);
	uint8_t *value;

	if (!rng_below(rng, 6)) {
		note(&expected[i], 0, lsm_delete(f->t.db, key_n(i), flags), flags);
	} else if (!rng_below(rng, 20)) {
		int rc = lsm_delete_range(f->t.db, key_n(i), key_n(i + 3), flags);

		for (uint64_t k = i; k < i + 3 && k < KEYS; k++)
			note(&expected[k], 0, rc, flags);
	} else {
		value = bytes_new(n + 1, size_of_seed(n + 1));
		note(&expected[i], n + 1,
		     lsm_put(f->t.db, key_n(i), (struct lsm_slice){ value, size_of_seed(n + 1) }, flags), flags);
		free(value);
	}
	if (!rng_below(rng, 15))
		ignore(lsm_flush(f->t.db));
	if (!rng_below(rng, 40))
		ignore(lsm_compact_range(f->t.db, S(""), S("")));
}

static void run(struct faults *f, struct expected *expected, uint64_t seed)
{
	struct rng rng = { seed };

	for (int round = 0; round < 2; round++) {
		if (lsm_open(f->t.store, &f->t.options, &f->t.db)) {
			assert_null(f->t.db);
			continue;
		}
		for (uint64_t n = 0; n < STEPS; n++) {
			uint64_t i = n % KEYS;

			step(f, expected, &rng, (uint64_t)round * STEPS + n);
			check_key_now(f, &expected[i], i, false);
		}
		close_anyhow(&f->t);
	}
}

static void check_all(struct faults *f, const struct expected *expected)
{
	for (int round = 0; round < 2; round++) { /* what the first one recovers, the second one finds, too */
		db_open(&f->t);
		for (uint64_t i = 0; i < KEYS; i++)
			check_key_now(f, &expected[i], i, true);
		db_close(&f->t);
	}
}

/* True when the fault came to pass. */
static bool fail_nth(struct faults *f, enum fault_op op, uint64_t nth, int sys_errno, uint64_t seed)
{
	struct expected expected[KEYS] = { 0 };
	char home[sizeof(f->t.store)];
	bool hit;

	snprintf(home, sizeof(home), "%s", f->t.store);
	snprintf(f->t.store, sizeof(f->t.store), "%s/%d-%llu-%d", f->t.dir, op, (unsigned long long)nth, sys_errno);
	env_fault_nth(&f->env, op, NULL, nth, sys_errno);
	run(f, expected, seed);
	hit = !f->env.rules[op].sys_errno;
	env_fault_clear(&f->env);
	check_all(f, expected);
	snprintf(f->t.store, sizeof(f->t.store), "%s", home);
	return hit;
}

static void sweep(struct faults *f, enum fault_op op)
{
	uint64_t seed = seed_choose("sweep"), n = 0;
	bool hit = true;

	for (uint64_t nth = 1; hit && nth < 2000; nth += 1 + nth / 3, n++)
		hit = fail_nth(f, op, nth, n % 2 ? ENOSPC : EIO, seed + nth);
	print_message("op %d: %llu runs\n", op, (unsigned long long)n);
	assert_true(n > 1);
}

#define SWEEP(name, op)                       \
	static void test_##name(void **state) \
	{                                     \
		sweep(*state, op);            \
	}
SWEEP(open_fails, FAULT_OPEN)
SWEEP(read_fails, FAULT_READ)
SWEEP(write_fails, FAULT_WRITE)
SWEEP(sync_fails, FAULT_SYNC)
SWEEP(fill_fails, FAULT_FILL)
SWEEP(map_fails, FAULT_MAP)
SWEEP(rename_fails, FAULT_RENAME)
SWEEP(remove_fails, FAULT_UNLINK)
SWEEP(sync_dir_fails, FAULT_SYNC_DIR)

/* ---- one at a place that matters ---- */

/* Large values whose pointers are in tables, and others of which only the log knows. */
static void put_large_values(struct db_test *t)
{
	for (uint64_t i = 0; i < 10; i++)
		put_bytes(t, key_n(i), i, 2000 + i * 3000);
	assert_ok(lsm_flush(t->db));
	for (uint64_t i = 10; i < 20; i++)
		put_bytes(t, key_n(i), i, 20000);
}

static void expect_large_values(struct db_test *t)
{
	for (uint64_t i = 0; i < 10; i++)
		expect_bytes(t, key_n(i), i, 2000 + i * 3000);
	for (uint64_t i = 10; i < 20; i++)
		expect_bytes(t, key_n(i), i, 20000);
}

/* An open that fails changes nothing. */
static void test_failed_open_deletes_nothing(void **state)
{
	struct faults *f = *state;
	unsigned blobs;

	db_open(&f->t);
	put_large_values(&f->t);
	db_close(&f->t);
	blobs = files_count(f->t.store, ".blob");
	assert_true(blobs >= 2);
	env_fault_all(&f->env, FAULT_WRITE, ".manifest", ENOSPC);
	assert_code(lsm_open(f->t.store, &f->t.options, &f->t.db), LSM_NO_SPACE);
	assert_int_equal(files_count(f->t.store, ".blob"), blobs);
	env_fault_clear(&f->env);
	env_fault_all(&f->env, FAULT_OPEN, ".blob", EIO);
	assert_code(lsm_open(f->t.store, &f->t.options, &f->t.db), LSM_IO);
	assert_int_equal(files_count(f->t.store, ".blob"), blobs);
	env_fault_clear(&f->env);
	db_open(&f->t);
	expect_large_values(&f->t);
}

/* Whether the edit is in the manifest nobody can tell: all that it names must stay. */
static void test_manifest_sync_fails(void **state)
{
	struct faults *f = *state;

	db_open(&f->t);
	put_large_values(&f->t);
	for (uint64_t i = 20; i < 30; i++)
		put_bytes(&f->t, key_n(i), i, 2000); /* these move to a segment of the flush's */
	env_fault_nth(&f->env, FAULT_SYNC, ".manifest", 1, EIO);
	assert_int_not_equal(lsm_flush(f->t.db), LSM_OK);
	assert_code(lsm_put(f->t.db, S("k"), S("v"), 0), LSM_READ_ONLY);
	close_anyhow(&f->t);
	db_open(&f->t);
	expect_large_values(&f->t);
	for (uint64_t i = 20; i < 30; i++)
		expect_bytes(&f->t, key_n(i), i, 2000);
}

/* A write to the manifest that failed, half of which can't be taken back. */
static void test_manifest_undo_fails(void **state)
{
	struct faults *f = *state;

	db_open(&f->t);
	put_large_values(&f->t);
	env_fault_nth(&f->env, FAULT_WRITE, ".manifest", 1, EIO);
	env_fault_nth(&f->env, FAULT_TRUNCATE, ".manifest", 1, EIO);
	assert_int_not_equal(lsm_flush(f->t.db), LSM_OK);
	assert_code(lsm_flush(f->t.db), LSM_READ_ONLY);
	close_anyhow(&f->t);
	db_open(&f->t);
	expect_large_values(&f->t);
}

static void sync_dir_fails_after_current(void *ctx, enum fault_op op, const char *path)
{
	if (op == FAULT_RENAME && strstr(path, "CURRENT"))
		env_fault_nth(ctx, FAULT_SYNC_DIR, NULL, 1, ENOSPC);
}

/* CURRENT names the new manifest already, though its directory could not be synced. */
static void test_current_sync_fails(void **state)
{
	struct faults *f = *state;

	db_open(&f->t);
	put_large_values(&f->t);
	env_fault_nth(&f->env, FAULT_WRITE, ".manifest", 1, ENOSPC); /* the retry begins a new manifest */
	f->env.done_ctx = &f->env;
	f->env.done = sync_dir_fails_after_current;
	for (int i = 0; i < 60 && lsm_put(f->t.db, S("k"), S("v"), 0) == LSM_OK; i++) {
		ignore(lsm_flush(f->t.db));
		usleep(50000);
	}
	assert_code(lsm_put(f->t.db, S("k"), S("v"), 0), LSM_READ_ONLY);
	close_anyhow(&f->t);
	f->env.done = NULL; /* no thread runs that could ask for it */
	env_fault_clear(&f->env);
	db_open(&f->t);
	expect_large_values(&f->t);
}

/* A segment of the log that can't be removed is no reason to take the flush back. */
static void test_log_removal_fails(void **state)
{
	enum { SIZE = 5000, N = 200 };
	struct faults *f = *state;
	struct lsm_batch *b = NULL;
	uint64_t before;

	f->t.options.memtable_bytes = 4 << 20; /* the batch goes to the log */
	db_open(&f->t);
	assert_ok(lsm_batch_new(f->t.db, &b));
	for (uint64_t i = 0; i < N; i++) { /* more than a segment holds: it is not kept for another use */
		uint8_t *value = bytes_new(i, SIZE);

		assert_ok(lsm_batch_put(b, key_n(i), (struct lsm_slice){ value, SIZE }));
		free(value);
	}
	assert_ok(lsm_write(f->t.db, b, 0));
	lsm_batch_free(b);
	env_fault_all(&f->env, FAULT_UNLINK, "wal-", EIO);
	before = env_fault_count(&f->env, FAULT_UNLINK);
	assert_ok(lsm_flush(f->t.db));
	for (int i = 0; i < 100 && env_fault_count(&f->env, FAULT_UNLINK) == before; i++)
		usleep(20000);
	usleep(50000);
	assert_int_equal(stats_of(&f->t).flushes, 1);
	env_fault_clear(&f->env);
	db_reopen(&f->t);
	for (uint64_t i = 0; i < N; i++)
		expect_bytes(&f->t, key_n(i), i, SIZE);
}

/* After a sync that failed the kernel may call the lost pages clean: the next one must not be believed. */
static void test_blob_sync_fails(void **state)
{
	struct faults *f = *state;

	db_open(&f->t);
	put_large_values(&f->t);
	env_fault_nth(&f->env, FAULT_SYNC, ".blob", 1, EIO);
	assert_int_not_equal(lsm_flush(f->t.db), LSM_OK);
	usleep(1500000); /* time for another try */
	assert_code(lsm_flush(f->t.db), LSM_READ_ONLY);
	assert_int_equal(stats_of(&f->t).flushes, 1);
	close_anyhow(&f->t);
	db_open(&f->t);
	expect_large_values(&f->t);
}

/* A disk that was full for a while: writes fail, and go on when there is room again. */
static void test_full_disk(void **state)
{
	struct faults *f = *state;
	int rc = LSM_OK;
	uint64_t n = 0;

	db_open(&f->t);
	put_large_values(&f->t);
	env_fault_all(&f->env, FAULT_WRITE, NULL, ENOSPC);
	env_fault_all(&f->env, FAULT_FILL, NULL, ENOSPC);
	for (; !rc && n < 20000; n++) {
		uint8_t *value = bytes_new(n, 500);

		rc = lsm_put(f->t.db, key_n(1000 + n), (struct lsm_slice){ value, 500 }, 0);
		free(value);
	}
	assert_code(rc, LSM_NO_SPACE);
	expect_large_values(&f->t);
	env_fault_clear(&f->env);
	for (int i = 0; i < 100 && lsm_flush(f->t.db); i++)
		usleep(50000);
	put(&f->t, "room", "again");
	assert_ok(lsm_flush(f->t.db));
	assert_true(n > 1);
	for (uint64_t i = 0; i + 1 < n; i++)
		expect_bytes(&f->t, key_n(1000 + i), i, 500);
	db_reopen(&f->t);
	expect(&f->t, "room", "again");
	expect_large_values(&f->t);
	assert_true(files_count(f->t.store, ".manifest") == 1);
}

static void first_sync_note(void *ctx, enum fault_op op, const char *path)
{
	char *first = ctx;

	if (op == FAULT_SYNC_DIR && !*first)
		snprintf(first, 256, "%s", path);
}

/* A store in a directory that was there: nobody knows whether its entry is durable. */
static void test_entry_synced(void **state)
{
	struct faults *f = *state;
	char first[256] = "";

	f->env.done = first_sync_note;
	f->env.done_ctx = first;
	assert_int_equal(mkdir(f->t.store, 0700), 0);
	db_open(&f->t);
	assert_string_equal(first, f->t.dir);
	close_anyhow(&f->t);
}

/* What the manifest says may be in the kernel's cache alone, of a process that was killed: an open makes it durable before it
 * touches the log, whose segments may be needless only by that. */
static void test_manifest_settled(void **state)
{
	struct faults *f = *state;
	uint64_t drops;

	db_open(&f->t);
	put(&f->t, "a", "value");
	assert_ok(lsm_flush(f->t.db));
	db_close(&f->t);
	env_fault_nth(&f->env, FAULT_SYNC, ".manifest", 1, EIO);
	f->env.counts[FAULT_FILL] = f->env.counts[FAULT_UNLINK] = f->env.counts[FAULT_MAP] = 0;
	drops = f->env.drops;
	assert_int_equal(lsm_open(f->t.store, &f->t.options, &f->t.db), LSM_IO);
	assert_int_equal(f->env.counts[FAULT_FILL], 0);
	assert_int_equal(f->env.counts[FAULT_UNLINK], 0);
	assert_int_equal(f->env.counts[FAULT_MAP], 0);
	assert_true(f->env.drops > drops); /* nor is what a failed sync has left there believed */
	db_open(&f->t);
	expect(&f->t, "a", "value");
	close_anyhow(&f->t);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_entry_synced),        T(test_manifest_settled),    T(test_failed_open_deletes_nothing),
		T(test_manifest_sync_fails), T(test_manifest_undo_fails), T(test_current_sync_fails),
		T(test_log_removal_fails),   T(test_blob_sync_fails),     T(test_full_disk),
		T(test_open_fails),          T(test_read_fails),          T(test_write_fails),
		T(test_sync_fails),          T(test_fill_fails),          T(test_map_fails),
		T(test_rename_fails),        T(test_remove_fails),        T(test_sync_dir_fails),
	};

	return cmocka_run_group_tests_name("db_faults", tests, NULL, NULL);
}
