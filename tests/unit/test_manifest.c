/* SPDX-License-Identifier: MIT */
/* The manifest: what was appended is read back; a failure is told apart from one that leaves the edit in doubt. */
#include <errno.h>
#include <unistd.h>

#include "lsm/tree/manifest.h"
#include "tests/support/env_fault.h"
#include "tests/support/tree_test.h"

struct fixture {
	struct tree_test t;
	struct env_fault env;
	struct manifest_state state;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	env_fault_init(&f->env);
	f->t.dir = tmp_dir_new();
	tree_open(&f->t, &f->env.env);
	OK(manifest_state_new(&f->state));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	version_unref(f->state.version);
	tree_close(&f->t);
	env_fault_done(&f->env);
	tmp_dir_free(f->t.dir);
	free(f);
	return 0;
}

static struct manifest *create(struct fixture *f, uint64_t number)
{
	struct manifest *m = NULL;
	bool unknown = true;

	OK(manifest_create(&f->t.tree, number, &f->state, &m, &unknown));
	assert_false(unknown);
	assert_int_equal(manifest_number(m), number);
	return m;
}

static int append(struct fixture *f, struct manifest *m, uint64_t number, const char *key)
{
	struct table_meta *t = meta_new(&f->t, number, key, key, number, 100);
	struct edit e = { .first_segment = number * 10, .last_sequence = number * 100, .next_number = number + 1 };
	int rc;

	OK(edit_add(&e, 1, t));
	rc = manifest_append(m, &e);
	edit_done(&e);
	table_meta_unref(t);
	return rc;
}

/* The state that is read has `n` tables, the last of which is `last`. */
static void expect_state(struct fixture *f, uint64_t manifest, size_t n, uint64_t last)
{
	struct manifest_state s = { 0 };

	OK(manifest_read(&f->t.tree, &s));
	assert_int_equal(s.number, manifest);
	assert_int_equal(s.version->levels[1].n, n);
	assert_int_equal(s.first_segment, n ? last * 10 : 1);
	assert_int_equal(s.last_sequence, last * 100);
	version_unref(s.version);
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = create(f, 1);

	expect_state(f, 1, 0, 0);
	OK(append(f, m, 2, "a"));
	OK(append(f, m, 3, "b"));
	expect_state(f, 1, 2, 3);
	manifest_close(m);
}

/* A new manifest begins with all that there is. */
static void test_anew(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = create(f, 1);

	OK(append(f, m, 2, "a"));
	manifest_close(m);
	version_unref(f->state.version);
	OK(manifest_read(&f->t.tree, &f->state));
	m = create(f, 7);
	OK(append(f, m, 8, "b"));
	expect_state(f, 7, 2, 8);
	manifest_close(m);
}

static void test_missing(void **state)
{
	struct fixture *f = *state;
	struct manifest_state s = { 0 };
	char path[STORE_PATH_MAX];

	assert_int_equal(manifest_read(&f->t.tree, &s), LSM_NOT_STORE);
	manifest_close(create(f, 1));
	store_file_path(path, f->t.dir, STORE_MANIFEST, 1);
	OK(env_unlink(env_posix(), path));
	assert_int_equal(manifest_read(&f->t.tree, &s), LSM_IO);
	assert_string_equal(lsm_last_error()->file, path);
}

static void test_bad_current(void **state)
{
	static const char *const texts[] = { "", "lsm", "lsm 1 000001.manifest\n", "lsm 1 000001.manifest 00000000\n",
					     "something else altogether\n" };
	struct fixture *f = *state;
	struct manifest_state s = { 0 };
	const char *path = tmp_path(f->t.dir, "CURRENT");
	uint8_t *good;
	size_t size;

	manifest_close(create(f, 1));
	good = tmp_file_load(path, &size);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		tmp_file_store(path, texts[i], strlen(texts[i]));
		assert_int_equal(manifest_read(&f->t.tree, &s), LSM_CORRUPT);
	}
	for (size_t i = 0; i < size; i++) { /* any byte of it */
		int rc;

		tmp_file_store(path, good, size);
		tmp_file_flip(path, i, 1);
		rc = manifest_read(&f->t.tree, &s);
		assert_true(rc == LSM_CORRUPT || rc == LSM_UNSUPPORTED);
	}
	free(good);
}

/* Half of an edit that met the end of the disk is taken back. */
static void test_write_fails(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = create(f, 1);

	OK(append(f, m, 2, "a"));
	env_fault_nth(&f->env, FAULT_WRITE, ".manifest", 1, ENOSPC);
	assert_int_equal(append(f, m, 3, "b"), LSM_NO_SPACE);
	assert_false(manifest_unknown(m));
	expect_state(f, 1, 1, 2);
	env_fault_nth(&f->env, FAULT_WRITE, ".manifest", 1, ENOSPC);
	env_fault_nth(&f->env, FAULT_TRUNCATE, ".manifest", 1, EIO);
	assert_int_equal(append(f, m, 3, "b"), LSM_NO_SPACE);
	assert_true(manifest_unknown(m)); /* the first copy of the record is whole */
	manifest_close(m);
}

static void test_sync_fails(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = create(f, 1);

	env_fault_nth(&f->env, FAULT_SYNC, ".manifest", 1, EIO);
	assert_int_equal(append(f, m, 2, "a"), LSM_IO);
	assert_true(manifest_unknown(m));
	assert_int_equal(append(f, m, 3, "b"), LSM_IO);
	manifest_close(m);
}

/* Before CURRENT is replaced, nothing has happened; from then on nobody can tell. */
static void test_create_fails(void **state)
{
	static const struct {
		enum fault_op op;
		const char *match;
		bool unknown;
		uint64_t nth;
	} cases[] = {
		{ FAULT_OPEN, ".manifest", false, 1 }, { FAULT_WRITE, ".manifest", false, 1 },
		{ FAULT_SYNC, ".manifest", false, 1 }, { FAULT_OPEN, "CURRENT", false, 1 },
		{ FAULT_WRITE, "CURRENT", false, 1 },  { FAULT_SYNC, "CURRENT", false, 1 },
		{ FAULT_RENAME, "CURRENT", true, 1 },  { FAULT_SYNC_DIR, NULL, false, 1 },
		{ FAULT_SYNC_DIR, NULL, true, 2 },
	};
	struct fixture *f = *state;

	manifest_close(create(f, 1));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct manifest *m = NULL;
		char path[STORE_PATH_MAX];
		bool unknown;

		env_fault_nth(&f->env, cases[i].op, cases[i].match, cases[i].nth, ENOSPC);
		assert_int_equal(manifest_create(&f->t.tree, 2 + i, &f->state, &m, &unknown), LSM_NO_SPACE);
		assert_null(m);
		assert_int_equal(unknown, cases[i].unknown);
		store_file_path(path, f->t.dir, STORE_MANIFEST, 2 + i);
		if (!unknown)
			assert_int_not_equal(access(path, F_OK), 0);
		if (!unknown)
			expect_state(f, 1, 0, 0);
	}
	expect_state(f, 10, 0, 0); /* the last one did become the current one */
}

struct order {
	bool named, renamed; /* the manifest's name is durable; CURRENT has its own */
};

static void order_note(void *ctx, enum fault_op op, const char *path)
{
	struct order *o = ctx;

	if (op == FAULT_SYNC_DIR)
		o->named = true;
	if (op != FAULT_RENAME)
		return;
	assert_non_null(strstr(path, "CURRENT"));
	assert_true(o->named);
	o->renamed = true;
}

/* A power cut may keep CURRENT's new name and take away that of the manifest, if both are new. */
static void test_named_before_current(void **state)
{
	struct fixture *f = *state;
	struct order o = { 0 };

	f->env.done = order_note;
	f->env.done_ctx = &o;
	manifest_close(create(f, 1));
	assert_true(o.renamed);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_round_trip),  T(test_anew),       T(test_missing),      T(test_bad_current),
		T(test_write_fails), T(test_sync_fails), T(test_create_fails), T(test_named_before_current),
	};

	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
