/* SPDX-License-Identifier: MIT */
/* Named snapshots: they survive closing and killing, keep what they show and nothing else, and come and go as a whole. */
#include "tests/support/db_test.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/support/env_fault.h"

static struct lsm_snapshot *snap_open(struct db_test *t, const char *name)
{
	struct lsm_snapshot *s = NULL;

	assert_ok(lsm_snapshot_open(t->db, name, &s));
	return s;
}

static void expect_in(struct db_test *t, const char *name, const char *key, const char *value)
{
	struct lsm_snapshot *s = snap_open(t, name);

	expect_at(t, s, key, value);
	lsm_snapshot_free(t->db, s);
}

struct names {
	char text[1000];
	uint64_t sequence; /* of the last one */
	uint64_t created_us;
};

static int add_name(void *ctx, const struct lsm_snapshot_info *info)
{
	struct names *n = ctx;
	size_t at = strlen(n->text);

	snprintf(n->text + at, sizeof(n->text) - at, "%s%s", at ? " " : "", info->name);
	n->sequence = info->sequence;
	n->created_us = info->created_us;
	return 0;
}

static void expect_names(struct db_test *t, const char *names)
{
	struct names n = { 0 };

	assert_ok(lsm_snapshot_list(t->db, add_name, &n));
	assert_string_equal(n.text, names);
}

static void compact(struct db_test *t)
{
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
}

/* ---- what they show ---- */

static void test_survives(void **state)
{
	struct db_test *t = *state;

	put(t, "a", "1");
	put(t, "b", "1");
	assert_ok(lsm_snapshot_create(t->db, "first"));
	put(t, "a", "2");
	del(t, "b");
	put(t, "c", "2");
	assert_ok(lsm_snapshot_create(t->db, "second"));
	assert_ok(lsm_delete_range(t->db, S("a"), S("z"), 0));
	for (int round = 0; round < 3; round++) {
		expect_names(t, "first second");
		expect_in(t, "first", "a", "1");
		expect_in(t, "first", "b", "1");
		expect_in(t, "first", "c", NULL);
		expect_in(t, "second", "a", "2");
		expect_in(t, "second", "b", NULL);
		expect_in(t, "second", "c", "2");
		expect(t, "a", NULL);
		compact(t);
		db_reopen(t);
	}
	t->options.flags = LSM_OPEN_READ_ONLY;
	db_reopen(t);
	expect_in(t, "first", "b", "1");
	assert_code(lsm_snapshot_create(t->db, "third"), LSM_READ_ONLY);
	assert_code(lsm_snapshot_delete(t->db, "first"), LSM_READ_ONLY);
	expect_names(t, "first second");
}

/* Opened ones come after newer ones: the compaction's list must be in order nevertheless. */
static void test_order(void **state)
{
	struct db_test *t = *state;
	struct lsm_snapshot *now = NULL, *old;

	put(t, "k", "1");
	assert_ok(lsm_snapshot_create(t->db, "one"));
	put(t, "k", "2");
	assert_ok(lsm_snapshot_create(t->db, "two"));
	put(t, "k", "3");
	assert_ok(lsm_snapshot_new(t->db, &now));
	put(t, "k", "4");
	old = snap_open(t, "one");
	assert_ok(lsm_snapshot_delete(t->db, "one"));
	assert_int_equal(stats_of(t).snapshots, 3);
	compact(t);
	expect_at(t, old, "k", "1");
	expect_at(t, now, "k", "3");
	expect_in(t, "two", "k", "2");
	lsm_snapshot_free(t->db, now);
	expect_at(t, old, "k", "1");
	lsm_snapshot_free(t->db, old);
	compact(t);
	expect_in(t, "two", "k", "2");
	expect(t, "k", "4");
}

static void test_iterator(void **state)
{
	struct db_test *t = *state;
	struct lsm_iter_options options = { 0 };
	struct lsm_snapshot *s;

	put(t, "a", "1");
	put(t, "b", "1");
	assert_ok(lsm_snapshot_create(t->db, "s"));
	del(t, "a");
	put(t, "c", "1");
	db_reopen(t);
	s = snap_open(t, "s");
	options.snapshot = s;
	expect_keys(t, &options, "a b");
	expect_keys(t, NULL, "b c");
	lsm_snapshot_free(t->db, s);
}

/* ---- names ---- */

static void test_names(void **state)
{
	struct db_test *t = *state;
	char longest[257];
	struct lsm_snapshot *s = NULL;
	struct names n = { 0 };

	memset(longest, 'n', sizeof(longest));
	longest[256] = 0;
	assert_code(lsm_snapshot_create(t->db, longest), LSM_INVALID);
	assert_code(lsm_snapshot_create(t->db, ""), LSM_INVALID);
	longest[255] = 0;
	assert_ok(lsm_snapshot_create(t->db, longest));
	put(t, "k", "v");
	assert_ok(lsm_snapshot_create(t->db, "s"));
	assert_code(lsm_snapshot_create(t->db, "s"), LSM_EXISTS);
	assert_code(lsm_snapshot_open(t->db, "none", &s), LSM_NOT_FOUND);
	assert_null(s);
	assert_code(lsm_snapshot_delete(t->db, "none"), LSM_NOT_FOUND);
	db_reopen(t);
	assert_ok(lsm_snapshot_list(t->db, add_name, &n));
	assert_int_equal(n.sequence, 1);
	assert_true(n.created_us > UINT64_C(1600000000000000));
	assert_ok(lsm_snapshot_delete(t->db, longest));
	expect_names(t, "s");
	assert_ok(lsm_snapshot_delete(t->db, "s"));
	db_reopen(t);
	expect_names(t, "");
}

static int stop_at_once(void *ctx, const struct lsm_snapshot_info *info)
{
	(void)info;
	++*(int *)ctx;
	return 7;
}

static void test_limit(void **state)
{
	struct db_test *t = *state;
	char name[16];
	int calls = 0;

	for (int i = 0; i < LSM_SNAPSHOT_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_ok(lsm_snapshot_create(t->db, name));
	}
	assert_code(lsm_snapshot_create(t->db, "more"), LSM_INVALID);
	assert_ok(lsm_snapshot_delete(t->db, "77"));
	assert_ok(lsm_snapshot_create(t->db, "more"));
	db_reopen(t);
	assert_code(lsm_snapshot_create(t->db, "77"), LSM_INVALID);
	assert_int_equal(stats_of(t).snapshots, LSM_SNAPSHOT_NAMES_MAX);
	assert_int_equal(lsm_snapshot_list(t->db, stop_at_once, &calls), 7);
	assert_int_equal(calls, 1);
}

/* ---- what they keep ---- */

/* Large values that only a snapshot refers to: their segments stay, and go when it goes. */
static void test_blobs(void **state)
{
	struct db_test *t = *state;
	struct lsm_snapshot *s;

	for (uint64_t i = 0; i < 40; i++)
		put_bytes(t, key_n(i), i, i % 2 ? 50000 : 3000);
	assert_ok(lsm_snapshot_create(t->db, "large"));
	assert_ok(lsm_delete_range(t->db, S("key"), S("kez"), 0));
	for (int round = 0; round < 2; round++) {
		compact(t);
		assert_true(files_bytes(t->store, ".blob") > 1000000);
		db_reopen(t);
	}
	s = snap_open(t, "large");
	for (uint64_t i = 0; i < 40; i++) {
		size_t size = i % 2 ? 50000 : 3000;
		uint8_t *want = bytes_new(i, size);
		struct lsm_value v = { 0 };

		assert_ok(lsm_get(t->db, s, key_n(i), &v));
		assert_int_equal(v.size, size);
		assert_memory_equal(v.data, want, size);
		lsm_value_release(&v);
		free(want);
	}
	/* Deleted while it is open: the handle counts. */
	assert_ok(lsm_snapshot_delete(t->db, "large"));
	compact(t);
	assert_true(files_bytes(t->store, ".blob") > 1000000);
	lsm_snapshot_free(t->db, s);
	compact(t);
	assert_int_equal(files_count(t->store, ".blob"), 0);
	assert_int_equal(files_count(t->store, ".sst"), 0);
}

/* ---- failures ---- */

struct fault_test {
	struct db_test *t;
	struct env_fault env;
};

static void fault_open(struct fault_test *f)
{
	env_fault_init(&f->env);
	f->t->options.env = &f->env.env;
	db_open(f->t);
}

static void fault_close(struct fault_test *f)
{
	env_fault_clear(&f->env);
	(void)lsm_close(f->t->db);
	f->t->db = NULL;
	f->t->options.env = NULL;
	env_fault_done(&f->env);
}

/* A name is not to be had without the history that it names. */
static void test_log_first(void **state)
{
	struct fault_test f = { .t = *state };

	fault_open(&f);
	put(f.t, "k", "1");
	env_fault_nth(&f.env, FAULT_SYNC, "wal-", 1, EIO);
	assert_code(lsm_snapshot_create(f.t->db, "s"), LSM_IO);
	expect_names(f.t, "");
	fault_close(&f);
	db_open(f.t);
	expect_names(f.t, "");
}

/* After an append that failed the next edit begins a new manifest: it has all the names. */
static void test_new_manifest(void **state)
{
	struct fault_test f = { .t = *state };

	fault_open(&f);
	put(f.t, "k", "1");
	assert_ok(lsm_snapshot_create(f.t->db, "one"));
	put(f.t, "k", "2");
	env_fault_nth(&f.env, FAULT_WRITE, ".manifest", 1, ENOSPC);
	assert_code(lsm_snapshot_create(f.t->db, "two"), LSM_NO_SPACE);
	expect_names(f.t, "one");
	assert_ok(lsm_snapshot_create(f.t->db, "three"));
	env_fault_nth(&f.env, FAULT_WRITE, ".manifest", 1, ENOSPC);
	assert_code(lsm_snapshot_delete(f.t->db, "one"), LSM_NO_SPACE);
	put(f.t, "k", "3");
	assert_ok(lsm_flush(f.t->db)); /* another kind of edit */
	fault_close(&f);
	db_open(f.t);
	expect_names(f.t, "one three");
	compact(f.t);
	expect_in(f.t, "one", "k", "1");
	expect_in(f.t, "three", "k", "2");
	expect(f.t, "k", "3");
}

static bool has_name(struct db_test *t, const char *name)
{
	struct lsm_snapshot *s = NULL;
	int rc = lsm_snapshot_open(t->db, name, &s);

	if (rc == LSM_NOT_FOUND)
		return false;
	assert_ok(rc);
	lsm_snapshot_free(t->db, s);
	return true;
}

/* Every operation of a creation and of a deletion fails once: what was acknowledged is so, what was not may be either. */
static void test_every_failure(void **state)
{
	static const enum fault_op ops[] = { FAULT_WRITE, FAULT_SYNC, FAULT_OPEN, FAULT_RENAME, FAULT_SYNC_DIR };
	struct fault_test f = { .t = *state };
	unsigned failures = 0;

	db_open(f.t);
	put(f.t, "k", "old");
	assert_ok(lsm_snapshot_create(f.t->db, "first"));
	put(f.t, "k", "new");
	db_close(f.t);
	for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++) {
		for (uint64_t nth = 1; nth < 6; nth++) {
			int made, gone;

			fault_open(&f);
			put(f.t, "other", "x");
			env_fault_nth(&f.env, FAULT_WRITE, ".manifest", 1, ENOSPC);
			if (nth % 2) /* so that a new manifest is needed */
				assert_code(lsm_snapshot_create(f.t->db, "never"), LSM_NO_SPACE);
			env_fault_clear(&f.env);
			env_fault_nth(&f.env, ops[op], NULL, nth, EIO);
			made = lsm_snapshot_create(f.t->db, "s");
			gone = made ? LSM_OK : lsm_snapshot_delete(f.t->db, "first");
			failures += made || gone;
			fault_close(&f);
			db_open(f.t);
			if (!made) {
				expect_in(f.t, "s", "k", "new");
				expect_in(f.t, "s", "other", "x");
				assert_ok(lsm_snapshot_delete(f.t->db, "s"));
			} else if (has_name(f.t, "s")) {
				expect_in(f.t, "s", "k", "new");
				assert_ok(lsm_snapshot_delete(f.t->db, "s"));
			}
			if (!made && !gone)
				assert_false(has_name(f.t, "first"));
			else if (made)
				expect_in(f.t, "first", "k", "old");
			assert_false(has_name(f.t, "never"));
			if (!has_name(f.t, "first")) {
				put(f.t, "k", "old");
				assert_ok(lsm_snapshot_create(f.t->db, "first"));
				put(f.t, "k", "new");
			}
			db_close(f.t);
		}
	}
	assert_true(failures >= 5);
}

/* ---- kills ---- */

enum { ROUNDS = 10, KEPT = 5 };

/* Snapshot n shows batch n; those from n - KEPT + 1 to n exist. */
struct shared {
	_Atomic uint64_t created, deleted;
};

static void name_n(char name[32], uint64_t n)
{
	snprintf(name, 32, "snapshot-%llu", (unsigned long long)n);
}

static void child_main(struct db_test *t, struct shared *shared)
{
	char name[32];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (lsm_open(t->store, &t->options, &t->db))
		_exit(1);
	for (uint64_t n = atomic_load(&shared->created) + 1;; n++) {
		for (uint64_t i = 0; i < 20; i++) {
			uint8_t *value = bytes_new(n * 100 + i, i % 5 ? 400 : 9000);
			int rc = lsm_put(t->db, key_n(i), (struct lsm_slice){ value, i % 5 ? 400 : 9000 }, 0);

			free(value);
			if (rc)
				_exit(2);
		}
		name_n(name, n);
		if (lsm_snapshot_create(t->db, name))
			_exit(3);
		atomic_store(&shared->created, n);
		if (n <= KEPT)
			continue;
		name_n(name, n - KEPT);
		if (lsm_snapshot_delete(t->db, name))
			_exit(4);
		atomic_store(&shared->deleted, n - KEPT);
	}
}

static void check_shows(struct db_test *t, uint64_t n)
{
	char name[32];
	struct lsm_snapshot *s;

	name_n(name, n);
	s = snap_open(t, name);
	for (uint64_t i = 0; i < 20; i++) {
		size_t size = i % 5 ? 400 : 9000;
		uint8_t *want = bytes_new(n * 100 + i, size);
		struct lsm_value v = { 0 };

		assert_ok(lsm_get(t->db, s, key_n(i), &v));
		assert_int_equal(v.size, size);
		assert_memory_equal(v.data, want, size);
		lsm_value_release(&v);
		free(want);
	}
	lsm_snapshot_free(t->db, s);
}

static void check_after_kill(struct db_test *t, struct shared *shared)
{
	uint64_t created = atomic_load(&shared->created), deleted = atomic_load(&shared->deleted);
	char name[32];

	name_n(name, created + 1);
	if (has_name(t, name))
		atomic_store(&shared->created, ++created);
	name_n(name, deleted + 1);
	if (created > KEPT && !has_name(t, name))
		atomic_store(&shared->deleted, ++deleted);
	for (uint64_t n = deleted + 1; n <= created; n++)
		check_shows(t, n);
	for (uint64_t n = deleted > 3 ? deleted - 3 : 1; n <= deleted; n++) {
		name_n(name, n);
		assert_false(has_name(t, name));
	}
	/* The child goes on with whole rounds. */
	for (; created > KEPT && deleted < created - KEPT; deleted++) {
		name_n(name, deleted + 1);
		assert_ok(lsm_snapshot_delete(t->db, name));
		atomic_store(&shared->deleted, deleted + 1);
	}
}

static void test_kill(void **state)
{
	struct db_test *t = *state;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rng rng = { seed_choose("test_snapshots_kill") };

	assert_true(shared != MAP_FAILED);
	t->options.memtable_bytes = 64 << 10;
	for (int round = 0; round < ROUNDS; round++) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (!child)
			child_main(t, shared);
		usleep((useconds_t)(30000 + rng_below(&rng, 150000)));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		db_open(t);
		check_after_kill(t, shared);
		db_close(t);
	}
	assert_true(atomic_load(&shared->created) > 10);
	munmap(shared, sizeof(*shared));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup, db_teardown)
#define CLOSED(fn) cmocka_unit_test_setup_teardown(fn, db_setup_closed, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_survives),
		T(test_order),
		T(test_iterator),
		T(test_names),
		T(test_limit),
		T(test_blobs),
		CLOSED(test_log_first),
		CLOSED(test_new_manifest),
		CLOSED(test_every_failure),
		CLOSED(test_kill),
	};

	return cmocka_run_group_tests_name("db_snapshots", tests, NULL, NULL);
}
