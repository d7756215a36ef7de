/* SPDX-License-Identifier: MIT */
/* Checkpoints: a store's second self, that shares its files and nothing else; whole or not at all. */
#include "tests/support/db_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/support/env_fault.h"

enum { KEYS = 300 };

static const char *copy_path(struct db_test *t, const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", t->dir, name);
	return path;
}

static size_t size_of(uint64_t i)
{
	static const size_t sizes[] = { 20, 500, 2000, 20000 };

	return sizes[i % 4];
}

static void fill(struct db_test *t, uint64_t seed)
{
	for (uint64_t i = 0; i < KEYS; i++)
		put_bytes(t, key_n(i), seed + i, size_of(i));
	assert_ok(lsm_delete_range(t->db, key_n(100), key_n(120), 0));
	del(t, "key00000007");
}

static void expect_filled(struct db_test *t, uint64_t seed)
{
	for (uint64_t i = 0; i < KEYS; i++) {
		struct lsm_value v = { 0 };

		if (i != 7 && (i < 100 || i >= 120))
			expect_bytes(t, key_n(i), seed + i, size_of(i));
		else
			assert_code(lsm_get(t->db, NULL, key_n(i), &v), LSM_NOT_FOUND);
	}
}

/* Another store with the same options. */
static void open_other(struct db_test *t, const char *path, struct db_test *ret)
{
	*ret = *t;
	snprintf(ret->store, sizeof(ret->store), "%s", path);
	ret->options.flags = 0;
	ret->options.env = NULL;
	ret->db = NULL;
	db_open(ret);
}

static void compact(struct db_test *t)
{
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
}

/* ---- both selves ---- */

static void test_copy(void **state)
{
	struct db_test *t = *state, copy;
	const char *path = copy_path(t, "copy");
	struct lsm_snapshot *s = NULL;
	struct stat st;
	uint64_t sum;

	fill(t, 1000);
	assert_ok(lsm_snapshot_create(t->db, "named"));
	fill(t, 2000);
	compact(t);
	put(t, "only in", "the memtable");
	assert_ok(lsm_checkpoint(t->db, path));
	assert_int_equal(stat(file_largest(path, ".sst"), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(stat(file_largest(path, ".blob"), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_false(path_exists(copy_path(t, "copy.tmp")));

	/* Whatever becomes of the original, the copy stays. */
	sum = dir_checksum(path);
	fill(t, 3000);
	compact(t);
	db_reopen(t);
	assert_ok(lsm_snapshot_delete(t->db, "named"));
	compact(t);
	expect_filled(t, 3000);
	assert_int_equal(dir_checksum(path), sum);

	open_other(t, path, &copy);
	expect_filled(&copy, 2000);
	expect(&copy, "only in", "the memtable");
	assert_ok(lsm_snapshot_open(copy.db, "named", &s));
	expect_at(&copy, s, "only in", NULL);
	expect_at(&copy, s, "key00000007", NULL);
	lsm_snapshot_free(copy.db, s);

	/* And the other way round. */
	db_close(t);
	sum = dir_checksum(t->store);
	fill(&copy, 4000);
	compact(&copy);
	db_reopen(&copy);
	assert_ok(lsm_delete_range(copy.db, S("a"), S("z"), 0));
	compact(&copy);
	db_close(&copy);
	assert_int_equal(dir_checksum(t->store), sum);
	db_open(t);
	expect_filled(t, 3000);
}

/* What was asked for once shapes the copy's files, too. */
static void test_options_go_along(void **state)
{
	struct db_test *t = *state, copy;
	const char *path = copy_path(t, "copy");
	struct lsm_options o = { 0 };

	db_close(t);
	t->options.filter_bits = 17;
	db_open(t);
	assert_ok(lsm_checkpoint(t->db, path));
	copy = *t;
	snprintf(copy.store, sizeof(copy.store), "%s", path);
	copy.options.filter_bits = 0;
	copy.db = NULL;
	db_open(&copy);
	lsm_get_options(copy.db, &o);
	assert_int_equal(o.filter_bits, 17);
	db_close(&copy);
}

/* The store itself can go. */
static void test_copy_of_copy(void **state)
{
	struct db_test *t = *state, copy, second;
	char command[600];

	fill(t, 1);
	assert_ok(lsm_checkpoint(t->db, copy_path(t, "copy/"))); /* a slash does no harm */
	db_close(t);
	snprintf(command, sizeof(command), "rm -r '%s'", t->store);
	assert_int_equal(system(command), 0);
	open_other(t, copy_path(t, "copy"), &copy);
	put(&copy, "more", "1");
	assert_ok(lsm_checkpoint(copy.db, copy_path(t, "second")));
	db_close(&copy);
	open_other(t, copy_path(t, "second"), &second);
	expect_filled(&second, 1);
	expect(&second, "more", "1");
	db_close(&second);
}

static void test_empty(void **state)
{
	struct db_test *t = *state, copy;

	assert_ok(lsm_checkpoint(t->db, copy_path(t, "copy")));
	t->options.flags |= LSM_OPEN_READ_ONLY;
	open_other(t, copy_path(t, "copy"), &copy);
	expect_keys(&copy, NULL, "");
	db_close(&copy);
}

/* ---- where there is something already ---- */

static void test_in_the_way(void **state)
{
	struct db_test *t = *state, copy;

	fill(t, 1);
	assert_int_equal(mkdir(copy_path(t, "there"), 0700), 0);
	assert_code(lsm_checkpoint(t->db, copy_path(t, "there")), LSM_EXISTS);
	file_write_text(copy_path(t, "file"), "text");
	assert_code(lsm_checkpoint(t->db, copy_path(t, "file")), LSM_EXISTS);
	assert_code(lsm_checkpoint(t->db, t->store), LSM_EXISTS);
	assert_code(lsm_checkpoint(t->db, copy_path(t, "none/copy")), LSM_IO);
	assert_code(lsm_checkpoint(t->db, ""), LSM_INVALID);

	/* What a crash left is removed; what isn't ours is not. */
	assert_int_equal(mkdir(copy_path(t, "copy.tmp"), 0700), 0);
	file_write_text(copy_path(t, "copy.tmp/000777.sst"), "half a table");
	file_write_text(copy_path(t, "copy.tmp/CURRENT"), "half");
	file_write_text(copy_path(t, "copy.tmp/letter"), "dear reader");
	assert_code(lsm_checkpoint(t->db, copy_path(t, "copy")), LSM_EXISTS);
	assert_true(path_exists(copy_path(t, "copy.tmp/letter")));
	assert_int_equal(unlink(copy_path(t, "copy.tmp/letter")), 0);
	file_write_text(copy_path(t, "copy.tmp/000777.sst"), "half a table");
	assert_ok(lsm_checkpoint(t->db, copy_path(t, "copy")));
	assert_false(path_exists(copy_path(t, "copy/000777.sst")));
	open_other(t, copy_path(t, "copy"), &copy);
	expect_filled(&copy, 1);
	db_close(&copy);

	t->options.flags = LSM_OPEN_READ_ONLY;
	db_reopen(t);
	assert_code(lsm_checkpoint(t->db, copy_path(t, "another")), LSM_READ_ONLY);
	assert_false(path_exists(copy_path(t, "another")));
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
	db_close(f->t);
	f->t->options.env = NULL;
	env_fault_done(&f->env);
}

/* Where no link can be made, files are copied; else nothing is, however large they are. */
static void test_without_links(void **state)
{
	struct fault_test f = { .t = *state };
	struct db_test copy;
	struct stat st;
	uint64_t writes, links;

	fault_open(&f);
	fill(f.t, 5);
	compact(f.t);
	writes = env_fault_count(&f.env, FAULT_WRITE);
	links = env_fault_count(&f.env, FAULT_LINK);
	assert_ok(lsm_checkpoint(f.t->db, copy_path(f.t, "links")));
	assert_true(env_fault_count(&f.env, FAULT_LINK) - links >= 3);
	assert_true(env_fault_count(&f.env, FAULT_WRITE) - writes <= 4); /* manifest, CURRENT */
	env_fault_all(&f.env, FAULT_LINK, NULL, EXDEV);
	assert_ok(lsm_checkpoint(f.t->db, copy_path(f.t, "copy")));
	assert_int_equal(stat(file_largest(copy_path(f.t, "copy"), ".sst"), &st), 0);
	assert_int_equal(st.st_nlink, 1);
	fault_close(&f);
	open_other(f.t, copy_path(f.t, "copy"), &copy);
	expect_filled(&copy, 5);
	db_close(&copy);
}

/* Each operation on the copy fails once: nothing is left of it, and the store goes on. */
static void test_every_failure(void **state)
{
	static const struct {
		enum fault_op op;
		const char *match;
	} faults[] = {
		{ FAULT_MKDIR, NULL },       { FAULT_LINK, NULL },           { FAULT_OPEN, "copy.tmp" },
		{ FAULT_WRITE, "copy.tmp" }, { FAULT_SYNC, "copy.tmp" },     { FAULT_RENAME, "copy.tmp" },
		{ FAULT_SYNC_DIR, NULL },    { FAULT_TRUNCATE, "copy.tmp" },
	};
	struct fault_test f = { .t = *state };
	unsigned failures = 0;

	fault_open(&f);
	fill(f.t, 9);
	compact(f.t);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		for (uint64_t nth = 1;; nth++) {
			int rc;

			for (int copies = 0; copies < 2; copies++) {
				env_fault_clear(&f.env);
				if (copies && faults[i].op != FAULT_LINK)
					env_fault_all(&f.env, FAULT_LINK, NULL, EXDEV);
				env_fault_nth(&f.env, faults[i].op, faults[i].match, nth, EIO);
				rc = lsm_checkpoint(f.t->db, copy_path(f.t, "copy"));
				env_fault_clear(&f.env);
				if (!rc)
					break;
				failures++;
				assert_code(rc, LSM_IO);
				assert_false(path_exists(copy_path(f.t, "copy")));
				assert_false(path_exists(copy_path(f.t, "copy.tmp")));
				put(f.t, "goes", "on");
				assert_ok(lsm_flush(f.t->db));
			}
			if (!rc) {
				char command[600];

				snprintf(command, sizeof(command), "rm -r '%s'", copy_path(f.t, "copy"));
				assert_int_equal(system(command), 0);
				break;
			}
		}
	}
	assert_true(failures >= 20);
	expect_filled(f.t, 9);
	fault_close(&f);
}

/* ---- crashes ---- */

struct killer {
	_Atomic unsigned left; /* operations until the end */
	atomic_bool armed;
};

static void count_down(void *ctx, enum fault_op op, const char *path)
{
	struct killer *k = ctx;

	(void)op;
	if (atomic_load(&k->armed) && strstr(path, "/copy") && atomic_fetch_sub(&k->left, 1) == 1)
		_exit(7);
}

static int crash_child(struct db_test *t, unsigned ops)
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
	return lsm_checkpoint(t->db, copy_path(t, "copy")) ? 2 : 0;
}

/* The process ends after each operation: there is no copy, or a whole one, and the next attempt succeeds. */
static void test_crash(void **state)
{
	struct db_test *t = *state, copy;
	unsigned whole = 0, none = 0, ops = 1;
	char command[600];
	int code = 7;

	fill(t, 3);
	db_close(t);
	for (; code == 7; ops++) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (!child)
			_exit(crash_child(t, ops));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		code = WEXITSTATUS(status);
		assert_true(code == 0 || code == 7);
		db_open(t);
		expect_filled(t, 3);
		if (path_exists(copy_path(t, "copy"))) {
			whole++;
		} else {
			none++;
			assert_ok(lsm_checkpoint(t->db, copy_path(t, "copy")));
		}
		db_close(t);
		open_other(t, copy_path(t, "copy"), &copy);
		expect_filled(&copy, 3);
		db_close(&copy);
		snprintf(command, sizeof(command), "rm -r '%s'", copy_path(t, "copy"));
		assert_int_equal(system(command), 0);
		assert_false(path_exists(copy_path(t, "copy.tmp")));
	}
	assert_true(none >= 5 && whole >= 2);
}

/* ---- beside writers ---- */

struct writing {
	struct lsm_db *db;
	_Atomic uint64_t done;
	atomic_bool stop;
	atomic_int failure;
};

static void *write_main(void *arg)
{
	struct writing *w = arg;
	struct lsm_batch *b = NULL;

	if (lsm_batch_new(w->db, &b))
		atomic_store(&w->failure, 1);
	for (uint64_t n = 1; b && !atomic_load(&w->stop) && !atomic_load(&w->failure); n++) {
		for (uint64_t i = 0; i < 8; i++) {
			size_t size = i == 3 ? 9000 : i == 5 ? 1500 : 100;
			uint8_t *value = bytes_new(n, size);

			memcpy(value, &n, sizeof(n));
			if (lsm_batch_put(b, key_n(i), (struct lsm_slice){ value, size }))
				atomic_store(&w->failure, 2);
			free(value);
		}
		if (lsm_write(w->db, b, 0))
			atomic_store(&w->failure, 3);
		lsm_batch_clear(b);
		atomic_store(&w->done, n);
	}
	lsm_batch_free(b);
	return NULL;
}

static uint64_t number_in(struct db_test *t, uint64_t i)
{
	struct lsm_value v = { 0 };
	uint64_t n;

	assert_ok(lsm_get(t->db, NULL, key_n(i), &v));
	memcpy(&n, v.data, sizeof(n));
	lsm_value_release(&v);
	return n;
}

/* Each copy is a moment between the call and the return. */
static void test_writers(void **state)
{
	struct db_test *t = *state, copy;
	struct writing w = { .db = t->db };
	pthread_t thread;
	char name[32];

	assert_int_equal(pthread_create(&thread, NULL, write_main, &w), 0);
	while (!atomic_load(&w.done) && !atomic_load(&w.failure))
		usleep(100);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t before = atomic_load(&w.done), after, n;

		snprintf(name, sizeof(name), "copy%u", i);
		assert_ok(lsm_checkpoint(t->db, copy_path(t, name)));
		after = atomic_load(&w.done) + 1;
		open_other(t, copy_path(t, name), &copy);
		n = number_in(&copy, 0);
		assert_in_range(n, before, after);
		for (uint64_t k = 1; k < 8; k++)
			assert_int_equal(number_in(&copy, k), n);
		db_close(&copy);
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&w.failure), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup, db_teardown)
#define CLOSED(fn) cmocka_unit_test_setup_teardown(fn, db_setup_closed, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_copy),
		T(test_options_go_along),
		T(test_copy_of_copy),
		T(test_empty),
		T(test_in_the_way),
		CLOSED(test_without_links),
		CLOSED(test_every_failure),
		T(test_crash),
		T(test_writers),
	};

	return cmocka_run_group_tests_name("db_checkpoint", tests, NULL, NULL);
}
