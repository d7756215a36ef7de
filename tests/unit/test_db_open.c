/* SPDX-License-Identifier: MIT */
/* Opening and closing a store: options, refusals, ownership, read-only, what a crash left behind. */
#include "tests/support/db_test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int try_open(struct db_test *t, const char *path, const struct lsm_options *options)
{
	int rc = lsm_open(path, options, &t->db);

	if (rc)
		assert_null(t->db); /* untouched on failure */
	return rc;
}

static void test_create_and_reopen(void **state)
{
	struct db_test *t = *state;

	db_open(t);
	assert_true(path_exists(t->store));
	put(t, "a", "1");
	db_reopen(t);
	expect(t, "a", "1");
	db_close(t);
	assert_ok(try_open(t, t->store, NULL)); /* the defaults do, once it is there */
	expect(t, "a", "1");
	db_close(t);
	assert_ok(lsm_close(NULL));
}

static void test_empty_store_survives(void **state)
{
	struct db_test *t = *state;

	for (int i = 0; i < 3; i++) {
		db_open(t);
		expect_keys(t, NULL, "");
		db_close(t);
	}
}

static void test_missing(void **state)
{
	struct db_test *t = *state;
	char path[256];

	assert_code(try_open(t, t->store, NULL), LSM_NOT_STORE);
	assert_non_null(strstr(lsm_last_error()->message, t->store));
	assert_int_equal(lsm_last_error()->code, LSM_NOT_STORE);
	assert_false(path_exists(t->store));
	snprintf(path, sizeof(path), "%s/no/such", t->dir); /* the parent has to be there */
	assert_true(try_open(t, path, &t->options) != LSM_OK);
}

static void test_not_a_store(void **state)
{
	struct db_test *t = *state;
	char path[256];
	uint64_t before;

	assert_int_equal(mkdir(t->store, 0700), 0);
	assert_code(try_open(t, t->store, NULL), LSM_NOT_STORE); /* empty, and not to be created */
	snprintf(path, sizeof(path), "%s/precious.txt", t->store);
	file_write_text(path, "somebody's data");
	before = dir_checksum(t->store);
	assert_code(try_open(t, t->store, NULL), LSM_NOT_STORE);
	assert_code(try_open(t, t->store, &t->options), LSM_NOT_STORE); /* not empty: nothing is made in there */
	assert_int_equal(dir_checksum(t->store), before);
	assert_code(try_open(t, path, &t->options), LSM_NOT_STORE); /* a file */
	assert_code(try_open(t, path, NULL), LSM_NOT_STORE);
}

static void test_exclusive(void **state)
{
	struct db_test *t = *state;

	t->options.flags = LSM_OPEN_CREATE | LSM_OPEN_EXCLUSIVE;
	db_open(t);
	put(t, "a", "1");
	db_close(t);
	assert_code(try_open(t, t->store, &t->options), LSM_EXISTS);
	t->options.flags = 0;
	db_open(t);
	expect(t, "a", "1");
}

static void test_bad_options(void **state)
{
	struct db_test *t = *state;
	const struct lsm_options good = t->options;

#define BAD_AS(name, field, value)                                          \
	do {                                                                \
		struct lsm_options o = good;                                \
		o.field = (value);                                          \
		if (try_open(t, t->store, &o) != LSM_INVALID)               \
			fail_msg("%s = %s was taken", #field, #value);      \
		assert_non_null(strstr(lsm_last_error()->message, (name))); \
		assert_false(path_exists(t->store));                        \
	} while (0)
#define BAD(field, value) BAD_AS(#field, field, value)
	BAD(flags, 1u << 30);
	BAD(flags, LSM_OPEN_READ_ONLY | LSM_OPEN_CREATE);
	BAD(flags, LSM_OPEN_EXCLUSIVE);
	BAD(memory_bytes, 1000);
	BAD(memtables_max, 1);
	BAD(blob_min_bytes, 63);
	BAD(level_ratio, 1);
	BAD(threads, 17);
	BAD(block_bytes, UINT32_MAX);
	BAD_AS("level_compression", level_compression[3], 9);
#undef BAD
#undef BAD_AS
	assert_code(try_open(t, NULL, &good), LSM_INVALID);
	assert_code(try_open(t, "", &good), LSM_INVALID);
}

/* ---- one owner ---- */

static void test_busy_in_process(void **state)
{
	struct db_test *t = *state;
	struct lsm_db *second = NULL;
	char pid[32];

	db_open(t);
	put(t, "a", "1");
	assert_code(lsm_open(t->store, &t->options, &second), LSM_BUSY);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_non_null(strstr(lsm_last_error()->message, pid));
	assert_null(second);
	put(t, "b", "2");
	db_reopen(t);
	expect_keys(t, NULL, "a b");
}

/* The owner is another process; when it dies, however it does, the store is free. */
static void test_busy_other_process(void **state)
{
	struct db_test *t = *state;
	int ready[2], status;
	uint64_t before;
	char byte, pid[32];
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct lsm_db *db;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (lsm_open(t->store, &t->options, &db) || lsm_put(db, S("a"), S("1"), 0))
			_exit(1);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(2);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	/* Stopped, it still owns the store, and its threads change nothing meanwhile. */
	kill(child, SIGSTOP);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	before = dir_checksum(t->store);
	assert_code(try_open(t, t->store, &t->options), LSM_BUSY);
	snprintf(pid, sizeof(pid), "%d", (int)child);
	assert_non_null(strstr(lsm_last_error()->message, pid));
	assert_int_equal(dir_checksum(t->store), before);
	kill(child, 9);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(ready[0]);
	close(ready[1]);
	db_open(t);
	expect(t, "a", "1");
}

/* ---- read-only ---- */

static void open_read_only(struct db_test *t)
{
	struct lsm_options o = t->options;

	o.flags = LSM_OPEN_READ_ONLY;
	assert_ok(try_open(t, t->store, &o));
}

static void assert_refuses_writes(struct db_test *t)
{
	struct lsm_batch *batch = NULL;

	assert_code(lsm_put(t->db, S("x"), S("y"), 0), LSM_READ_ONLY);
	assert_int_equal(lsm_last_error()->code, LSM_READ_ONLY);
	assert_code(lsm_delete(t->db, S("x"), 0), LSM_READ_ONLY);
	assert_code(lsm_delete_range(t->db, S("a"), S("b"), 0), LSM_READ_ONLY);
	assert_code(lsm_flush(t->db), LSM_READ_ONLY);
	assert_code(lsm_compact_range(t->db, S(""), S("")), LSM_READ_ONLY);
	assert_ok(lsm_batch_new(t->db, &batch));
	assert_ok(lsm_batch_put(batch, S("x"), S("y")));
	assert_code(lsm_write(t->db, batch, 0), LSM_READ_ONLY);
	lsm_batch_free(batch);
}

static void test_read_only(void **state)
{
	struct db_test *t = *state;
	uint64_t before;

	t->options.flags = LSM_OPEN_READ_ONLY;
	assert_code(try_open(t, t->store, &t->options), LSM_NOT_STORE);
	assert_false(path_exists(t->store));
	t->options.flags = LSM_OPEN_CREATE;
	db_open(t);
	put(t, "a", "1");
	assert_ok(lsm_flush(t->db));
	put(t, "b", "2");
	db_close(t);
	before = dir_checksum(t->store);
	open_read_only(t);
	expect_keys(t, NULL, "a b");
	expect(t, "b", "2");
	assert_refuses_writes(t);
	expect_keys(t, NULL, "a b");
	db_close(t);
	assert_int_equal(dir_checksum(t->store), before);
}

/* The store was left by a process that did not close it: its log is replayed, and left as it is. */
static void test_read_only_replays_the_log(void **state)
{
	struct db_test *t = *state;
	uint64_t before;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		struct lsm_db *db;
		uint8_t *large = bytes_new(1, 100000);

		if (lsm_open(t->store, &t->options, &db) || lsm_put(db, S("a"), S("1"), 0) || lsm_flush(db) ||
		    lsm_put(db, S("b"), S("2"), 0) || lsm_delete(db, S("a"), 0) ||
		    lsm_put(db, S("c"), (struct lsm_slice){ large, 100000 }, 0))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	before = dir_checksum(t->store);
	for (int i = 0; i < 2; i++) {
		open_read_only(t);
		expect_keys(t, NULL, "b c");
		expect_bytes(t, S("c"), 1, 100000);
		assert_true(stats_of(t).recovered_records >= 3);
		db_close(t);
		assert_int_equal(dir_checksum(t->store), before);
	}
	db_open(t);
	expect_keys(t, NULL, "b c");
	expect_bytes(t, S("c"), 1, 100000);
}

/* ---- what a crash leaves ---- */

static void test_stray_files_are_removed(void **state)
{
	static const char *const stray[] = { "900000.sst", "900001.blob", "900002.sst" };
	struct db_test *t = *state;
	char path[256];

	db_open(t);
	for (uint64_t i = 0; i < 100; i++)
		put_bytes(t, key_n(i), i, 2000);
	assert_ok(lsm_flush(t->db));
	db_close(t);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", t->store, stray[i]);
		file_write_text(path, "half a file that no manifest knows");
	}
	snprintf(path, sizeof(path), "%s/notes.txt", t->store);
	file_write_text(path, "not ours");
	db_open(t);
	assert_true(path_exists(path)); /* what isn't ours stays */
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", t->store, stray[i]);
		assert_false(path_exists(path));
	}
	for (uint64_t i = 0; i < 100; i++)
		expect_bytes(t, key_n(i), i, 2000);
}

/* Tables and segments that nothing refers to don't stay on the disk. */
static void test_no_obsolete_files(void **state)
{
	struct db_test *t = *state;
	struct lsm_stats st;

	db_open(t);
	for (int round = 0; round < 10; round++) {
		for (uint64_t i = 0; i < 500; i++)
			put_bytes(t, key_n(i), i + (uint64_t)round, i % 10 ? 100 : 3000);
		assert_ok(lsm_flush(t->db));
	}
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	db_reopen(t);
	st = stats_of(t);
	for (int level = 1; level < LSM_LEVELS; level++)
		st.levels[0].tables += st.levels[level].tables;
	assert_int_equal(files_count(t->store, ".sst"), st.levels[0].tables);
	assert_int_equal(files_count(t->store, ".blob"), st.blob_segments);
	assert_int_equal(files_count(t->store, ".manifest"), 1);
	for (uint64_t i = 0; i < 500; i++)
		expect_bytes(t, key_n(i), i + 9, i % 10 ? 100 : 3000);
}

static void test_texts(void **state)
{
	char *text;

	db_open(*state);
	text = lsm_stats_text(((struct db_test *)*state)->db);
	assert_non_null(text);
	assert_true(strlen(text) > 50);
	free(text);
	assert_non_null(lsm_version());
	assert_non_null(lsm_last_error());
	for (int code = -20; code <= 1; code++)
		assert_true(strlen(lsm_strerror(code)) > 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup_closed, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_create_and_reopen),
		T(test_empty_store_survives),
		T(test_missing),
		T(test_not_a_store),
		T(test_exclusive),
		T(test_bad_options),
		T(test_busy_in_process),
		T(test_busy_other_process),
		T(test_read_only),
		T(test_read_only_replays_the_log),
		T(test_stray_files_are_removed),
		T(test_no_obsolete_files),
		T(test_texts),
	};

	return cmocka_run_group_tests_name("db_open", tests, NULL, NULL);
}
