/* SPDX-License-Identifier: MIT */
/* Backups: each restores what the store held, whatever happened to store, disk and process in between. */
#include "tests/support/db_test.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lsm/store/backup.h"
#include "tests/support/env_fault.h"

enum { KEYS = 200 };

static const char *beside(struct db_test *t, const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", t->dir, name);
	return path;
}

static void remove_dir(const char *path)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static size_t size_of(uint64_t i)
{
	static const size_t sizes[] = { 20, 500, 2000, 20000 };

	return sizes[i % 4];
}

/* Keys [from, to) of generation `seed`. */
static void fill(struct db_test *t, uint64_t seed, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		put_bytes(t, key_n(i), seed + i, size_of(i));
	assert_ok(lsm_flush(t->db));
}

static void expect_filled(struct db_test *t, uint64_t seed, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		expect_bytes(t, key_n(i), seed + i, size_of(i));
}

static struct lsm_backup_info backup(struct db_test *t)
{
	struct lsm_backup_info info = { 0 };

	assert_ok(lsm_backup(t->db, beside(t, "backups"), NULL, &info));
	assert_ok(info.code);
	return info;
}

/* Restores a backup, and opens it as another store. */
static void restore(struct db_test *t, uint64_t number, struct db_test *ret)
{
	const char *path = beside(t, "restored");

	remove_dir(path);
	assert_ok(lsm_restore(beside(t, "backups"), number, path, NULL));
	*ret = *t;
	snprintf(ret->store, sizeof(ret->store), "%s", path);
	ret->options.flags = 0;
	ret->options.env = NULL;
	ret->db = NULL;
	db_open(ret);
}

/* ---- round trips ---- */

static void test_restore(void **state)
{
	struct db_test *t = *state, copy;
	struct lsm_snapshot *s = NULL;

	fill(t, 1000, 0, KEYS);
	assert_ok(lsm_snapshot_create(t->db, "named"));
	backup(t);
	fill(t, 2000, 0, KEYS / 2);
	put(t, "more", "text");
	backup(t);
	assert_ok(lsm_delete_range(t->db, S("a"), S("z"), 0));
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	backup(t);

	restore(t, 1, &copy);
	expect_filled(&copy, 1000, 0, KEYS);
	expect(&copy, "more", NULL);
	assert_ok(lsm_snapshot_open(copy.db, "named", &s));
	lsm_snapshot_free(copy.db, s);
	db_close(&copy);
	restore(t, 2, &copy);
	expect_filled(&copy, 2000, 0, KEYS / 2);
	expect_filled(&copy, 1000, KEYS / 2, KEYS);
	expect(&copy, "more", "text");
	/* It is a store like any other. */
	fill(&copy, 5000, 0, KEYS);
	assert_ok(lsm_compact_range(copy.db, S(""), S("")));
	db_reopen(&copy);
	expect_filled(&copy, 5000, 0, KEYS);
	db_close(&copy);
	restore(t, 0, &copy);
	expect_keys(&copy, NULL, "");
	db_close(&copy);
	assert_ok(lsm_backup_verify(beside(t, "backups"), 0, NULL));
}

/* What was asked for once shapes a restored store's files, too. */
static void test_options_go_along(void **state)
{
	struct db_test *t = *state, copy;
	struct lsm_options o = { 0 };

	db_close(t);
	t->options.filter_bits = 17;
	assert_ok(lsm_options_set(&t->options, "level_compression", "zstd"));
	db_open(t);
	fill(t, 1, 0, KEYS);
	backup(t);
	db_close(t);
	t->options.filter_bits = 0;
	assert_ok(lsm_options_set(&t->options, "level_compression", "default"));
	restore(t, 1, &copy);
	lsm_get_options(copy.db, &o);
	assert_int_equal(o.filter_bits, 17);
	assert_int_equal(o.level_compression[0], LSM_COMPRESS_ZSTD + 1);
	expect_filled(&copy, 1, 0, KEYS);
	db_close(&copy);
}

/* Only what is new is copied; a copy of the store shares what it has in common with it. */
static void test_incremental(void **state)
{
	struct db_test *t = *state, copy;
	struct lsm_backup_info first, second, third, fourth;

	t->options.l0_tables = 100; /* no compaction comes between */
	db_open(t);
	fill(t, 1, 0, KEYS);
	first = backup(t);
	assert_int_equal(first.number, 1);
	assert_int_equal(first.copied_bytes, first.bytes);
	assert_true(first.bytes > 900000);
	fill(t, 1, KEYS, KEYS + 10);
	second = backup(t);
	assert_int_equal(second.number, 2);
	assert_true(second.files > first.files);
	assert_true(second.copied_bytes < first.copied_bytes / 5);
	assert_true(second.copied_bytes >= 40000);
	third = backup(t);
	assert_true(third.copied_bytes < 5000); /* a manifest */
	restore(t, 2, &copy);
	assert_ok(lsm_backup(copy.db, beside(t, "backups"), NULL, &fourth));
	assert_true(fourth.copied_bytes < 5000);
	/* Both stores give the same numbers to different files. */
	fill(&copy, 100, 0, 10);
	fill(t, 200, 0, 10);
	assert_ok(lsm_backup(copy.db, beside(t, "backups"), NULL, NULL));
	db_close(&copy);
	backup(t);
	restore(t, 5, &copy);
	expect_filled(&copy, 100, 0, 10);
	expect_filled(&copy, 1, 10, KEYS + 10);
	db_close(&copy);
	restore(t, 6, &copy);
	expect_filled(&copy, 200, 0, 10);
	expect_filled(&copy, 1, 10, KEYS + 10);
	db_close(&copy);
}

/* ---- list, delete ---- */

struct listing {
	unsigned n, damaged;
	uint64_t numbers[10];
};

static int add_listed(void *ctx, const struct lsm_backup_info *info)
{
	struct listing *l = ctx;

	l->numbers[l->n++] = info->number;
	l->damaged += info->code != LSM_OK;
	if (!info->code)
		assert_true(info->files >= 1 && info->bytes && info->created_us > UINT64_C(1600000000000000));
	return 0;
}

static struct listing list(struct db_test *t)
{
	struct listing l = { 0 };

	assert_ok(lsm_backup_list(beside(t, "backups"), add_listed, &l));
	return l;
}

static void test_delete(void **state)
{
	struct db_test *t = *state, copy;
	uint64_t all, bytes;
	struct listing l;

	fill(t, 1, 0, KEYS);
	backup(t);
	fill(t, 1000, 0, KEYS);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	backup(t);
	fill(t, 2000, 0, 20);
	backup(t);
	l = list(t);
	assert_int_equal(l.n, 3);
	all = files_bytes(beside(t, "backups"), NULL);
	assert_code(lsm_backup_delete(beside(t, "backups"), 7), LSM_NOT_FOUND);
	assert_ok(lsm_backup_delete(beside(t, "backups"), 1));
	bytes = files_bytes(beside(t, "backups"), NULL);
	assert_true(bytes + 900000 < all);
	l = list(t);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.numbers[0], 2);
	assert_code(lsm_restore(beside(t, "backups"), 1, beside(t, "none"), NULL), LSM_NOT_FOUND);
	assert_code(lsm_backup_verify(beside(t, "backups"), 1, NULL), LSM_NOT_FOUND);
	assert_ok(lsm_backup_delete(beside(t, "backups"), 2));
	assert_ok(lsm_backup_verify(beside(t, "backups"), 0, NULL));
	restore(t, 3, &copy);
	expect_filled(&copy, 2000, 0, 20);
	expect_filled(&copy, 1000, 20, KEYS);
	db_close(&copy);
	assert_ok(lsm_backup_delete(beside(t, "backups"), 3));
	assert_int_equal(files_count(beside(t, "backups"), NULL), 1); /* LOCK */
}

static void test_in_the_way(void **state)
{
	struct db_test *t = *state;

	fill(t, 1, 0, 10);
	assert_code(lsm_backup(t->db, t->store, NULL, NULL), LSM_NOT_STORE);
	assert_code(lsm_backup(t->db, beside(t, "none/backups"), NULL, NULL), LSM_IO);
	assert_code(lsm_backup_list(beside(t, "backups"), add_listed, NULL), LSM_NOT_STORE);
	backup(t);
	assert_code(lsm_restore(beside(t, "backups"), 0, t->store, NULL), LSM_EXISTS);
	assert_code(lsm_restore(t->store, 0, beside(t, "new"), NULL), LSM_NOT_STORE);
	file_write_text(beside(t, "backups/letter"), "dear reader");
	assert_code(lsm_backup(t->db, beside(t, "backups"), NULL, NULL), LSM_NOT_STORE);
	assert_true(path_exists(beside(t, "backups/letter")));
}

/* ---- progress ---- */

struct progress {
	uint64_t done, total;
	unsigned calls, stop_at;
};

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct progress *p = ctx;

	assert_true(done >= p->done && done <= total);
	*p = (struct progress){ done, total, p->calls + 1, p->stop_at };
	return p->calls == p->stop_at ? 42 : 0;
}

static void test_progress(void **state)
{
	struct db_test *t = *state;
	struct progress p = { 0 };
	struct lsm_copy_options o = { on_progress, &p };

	fill(t, 1, 0, KEYS);
	p.stop_at = 3;
	assert_int_equal(lsm_backup(t->db, beside(t, "backups"), &o, NULL), 42);
	assert_int_equal(files_count(beside(t, "backups"), NULL), 1);
	p = (struct progress){ 0 };
	assert_ok(lsm_backup(t->db, beside(t, "backups"), &o, NULL));
	assert_true(p.calls >= 4 && p.done == p.total && p.total > 1800000);
	p = (struct progress){ .stop_at = 2 };
	assert_int_equal(lsm_restore(beside(t, "backups"), 0, beside(t, "new"), &o), 42);
	assert_false(path_exists(beside(t, "new")));
	assert_false(path_exists(beside(t, "new.tmp")));
	p = (struct progress){ 0 };
	assert_ok(lsm_restore(beside(t, "backups"), 0, beside(t, "new"), &o));
	assert_int_equal(p.done, p.total);
	p = (struct progress){ 0 };
	assert_ok(lsm_backup_verify(beside(t, "backups"), 1, &o));
	assert_int_equal(p.done, p.total);
}

/* ---- damage ---- */

static void test_damaged_file(void **state)
{
	struct db_test *t = *state;
	const char *suffixes[] = { ".manifest", ".sst", ".blob" };

	fill(t, 1, 0, KEYS);
	backup(t);
	for (int i = 0; i < 3; i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s", file_largest(beside(t, "backups"), suffixes[i]));
		file_flip(path, 70);
		assert_code(lsm_backup_verify(beside(t, "backups"), 0, NULL), LSM_CORRUPT);
		assert_string_equal(lsm_last_error()->file, path);
		assert_code(lsm_restore(beside(t, "backups"), 1, beside(t, "new"), NULL), LSM_CORRUPT);
		assert_false(path_exists(beside(t, "new")));
		file_flip(path, 70);
		assert_ok(lsm_backup_verify(beside(t, "backups"), 0, NULL));
		assert_int_equal(rename(path, beside(t, "away")), 0);
		assert_code(lsm_backup_verify(beside(t, "backups"), 1, NULL), LSM_CORRUPT);
		assert_code(lsm_restore(beside(t, "backups"), 1, beside(t, "new"), NULL), LSM_CORRUPT);
		if (i > 0) {
			/* The next backup copies it again. */
			backup(t);
			assert_true(path_exists(path));
			assert_ok(lsm_backup_verify(beside(t, "backups"), 0, NULL));
		} else {
			assert_int_equal(rename(beside(t, "away"), path), 0);
		}
	}
}

static void test_damaged_list(void **state)
{
	struct db_test *t = *state, copy;
	uint64_t size;
	struct stat st;
	struct listing l;

	fill(t, 1, 0, KEYS);
	backup(t);
	fill(t, 2000, 0, KEYS);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	backup(t);
	assert_int_equal(stat(beside(t, "backups/backup-000001"), &st), 0);
	size = (uint64_t)st.st_size;
	for (uint64_t at = 0; at < size; at += 7) {
		file_flip(beside(t, "backups/backup-000001"), at);
		assert_code(lsm_restore(beside(t, "backups"), 1, beside(t, "new"), NULL), LSM_CORRUPT);
		file_flip(beside(t, "backups/backup-000001"), at);
	}
	file_flip(beside(t, "backups/backup-000001"), 50);
	l = list(t);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.damaged, 1);
	assert_code(lsm_backup_verify(beside(t, "backups"), 0, NULL), LSM_CORRUPT);
	/* What it refers to is not known, so nothing goes, and the other one is as good as ever. */
	backup(t);
	assert_code(lsm_backup_delete(beside(t, "backups"), 3), LSM_CORRUPT);
	restore(t, 2, &copy);
	expect_filled(&copy, 2000, 0, KEYS);
	db_close(&copy);
	file_flip(beside(t, "backups/backup-000001"), 50);
	assert_ok(lsm_backup_verify(beside(t, "backups"), 0, NULL));
	restore(t, 1, &copy);
	expect_filled(&copy, 1, 0, KEYS);
	db_close(&copy);
	file_flip(beside(t, "backups/backup-000001"), 50);
	assert_ok(lsm_backup_delete(beside(t, "backups"), 1)); /* the damaged one itself */
	assert_ok(lsm_backup_verify(beside(t, "backups"), 0, NULL));
}

/* ---- failures and crashes ---- */

struct fault_test {
	struct db_test *t;
	struct env_fault env;
};

static void expect_first_whole(struct db_test *t, unsigned n)
{
	struct db_test copy;
	struct listing l = list(t);

	assert_int_equal(l.n, n);
	assert_int_equal(l.damaged, 0);
	assert_ok(lsm_backup_verify(beside(t, "backups"), 0, NULL));
	restore(t, 1, &copy);
	expect_filled(&copy, 1, 0, KEYS);
	db_close(&copy);
}

/* Every operation on the backups fails once. */
static void test_every_failure(void **state)
{
	static const enum fault_op ops[] = { FAULT_OPEN,   FAULT_READ,     FAULT_WRITE,
					     FAULT_RENAME, FAULT_SYNC_DIR, FAULT_SYNC };
	struct fault_test f = { .t = *state };
	unsigned failures = 0, files;

	env_fault_init(&f.env);
	f.t->options.env = &f.env.env;
	db_open(f.t);
	fill(f.t, 1, 0, KEYS);
	backup(f.t);
	files = files_count(beside(f.t, "backups"), NULL);
	fill(f.t, 5000, 0, 40);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		for (uint64_t nth = 1;; nth++) {
			bool fired;
			int rc;

			env_fault_nth(&f.env, ops[i], "backups", nth, EIO);
			rc = lsm_backup(f.t->db, beside(f.t, "backups"), NULL, NULL);
			fired = !f.env.rules[ops[i]].sys_errno;
			env_fault_clear(&f.env);
			if (!rc && !fired)
				break;
			if (!rc) { /* what couldn't be read of older backups was copied again */
				expect_first_whole(f.t, 2);
				assert_ok(lsm_backup_delete(beside(f.t, "backups"), 2));
				continue;
			}
			failures++;
			assert_code(rc, LSM_IO);
			if (nth < 4)
				expect_first_whole(f.t, 1);
			assert_int_equal(files_count(beside(f.t, "backups"), NULL), files);
		}
		expect_first_whole(f.t, 2);
		assert_ok(lsm_backup_delete(beside(f.t, "backups"), 2));
		assert_int_equal(files_count(beside(f.t, "backups"), NULL), files);
	}
	assert_true(failures >= 20);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		for (uint64_t nth = 1;; nth++) {
			int rc;

			env_fault_nth(&f.env, ops[i], nth % 2 ? "backups" : "new", nth / 2 + 1, EIO);
			rc = backup_restore(&f.env.env, beside(f.t, "backups"), 1, beside(f.t, "new"), NULL);
			env_fault_clear(&f.env);
			assert_int_equal(path_exists(beside(f.t, "new")), !rc);
			assert_false(path_exists(beside(f.t, "new.tmp")));
			remove_dir(beside(f.t, "new"));
			if (!rc && nth > 12)
				break;
		}
	}
	db_close(f.t);
	f.t->options.env = NULL;
	env_fault_done(&f.env);
}

struct killer {
	_Atomic unsigned left; /* operations until the end */
	atomic_bool armed;
};

static void count_down(void *ctx, enum fault_op op, const char *path)
{
	struct killer *k = ctx;

	(void)op;
	if (atomic_load(&k->armed) && strstr(path, "/backups") && atomic_fetch_sub(&k->left, 1) == 1)
		_exit(7);
}

static int crash_child(struct db_test *t, unsigned ops, bool restoring)
{
	/* The store's threads use them until the process ends. */
	static struct killer k;
	static struct env_fault env;

	atomic_store(&k.left, ops);
	env_fault_init(&env);
	env.done = count_down;
	env.done_ctx = &k;
	t->options.env = &env.env;
	if (lsm_open(t->store, &t->options, &t->db))
		return 1;
	atomic_store(&k.armed, true);
	if (restoring)
		return backup_delete(&env.env, beside(t, "backups"), 2) ? 2 : 0;
	return lsm_backup(t->db, beside(t, "backups"), NULL, NULL) ? 2 : 0;
}

/* The process ends after each operation of a backup, or of a deletion: the first backup stays whole. */
static void test_crash(void **state)
{
	struct db_test *t = *state;

	fill(t, 1, 0, KEYS);
	backup(t);
	fill(t, 5000, 0, 40);
	for (int deleting = 0; deleting < 2; deleting++) {
		int code = 7;

		for (unsigned ops = 1; code == 7; ops++) {
			struct listing l;
			pid_t child;
			int status;

			if (deleting)
				backup(t);
			db_close(t);
			child = fork();
			assert_true(child >= 0);
			if (!child)
				_exit(crash_child(t, ops, deleting));
			assert_int_equal(waitpid(child, &status, 0), child);
			assert_true(WIFEXITED(status));
			code = WEXITSTATUS(status);
			assert_true(code == 0 || code == 7);
			l = list(t);
			expect_first_whole(t, l.n);
			db_open(t);
			if (l.n == 2)
				assert_ok(lsm_backup_delete(beside(t, "backups"), 2));
		}
	}
	assert_ok(lsm_backup_delete(beside(t, "backups"), 1));
	assert_int_equal(files_count(beside(t, "backups"), NULL), 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup, db_teardown)
#define CLOSED(fn) cmocka_unit_test_setup_teardown(fn, db_setup_closed, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_restore),
		CLOSED(test_incremental),
		T(test_delete),
		T(test_options_go_along),
		T(test_in_the_way),
		T(test_progress),
		T(test_damaged_file),
		T(test_damaged_list),
		CLOSED(test_every_failure),
		T(test_crash),
	};

	return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
