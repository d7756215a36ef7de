/* SPDX-License-Identifier: MIT */
/* Blob segments under syncs that fail. */
#include <errno.h>

#include "tests/support/env_fault.h"
#include "tests/support/tree_test.h"

struct fixture {
	struct tree_test t;
	struct env_fault env;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	env_fault_init(&f->env);
	f->t.dir = tmp_dir_new();
	tree_open(&f->t, &f->env.env);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tree_close(&f->t);
	env_fault_done(&f->env);
	tmp_dir_free(f->t.dir);
	free(f);
	return 0;
}

/* The kernel may have dropped the pages and call them clean: a second try would lie. */
static void test_sync_never_tried_again(void **state)
{
	struct fixture *f = *state;
	struct blob_segment *seg = NULL, *other = NULL;
	struct blob_ptr ptr;
	uint64_t syncs;

	OK(segment_create(f->t.segments, 1, &seg));
	OK(segment_add(seg, K("a value"), &ptr));
	env_fault_nth(&f->env, FAULT_SYNC, ".blob", 1, EIO);
	assert_int_equal(segment_sync(seg), LSM_IO);
	syncs = env_fault_count(&f->env, FAULT_SYNC);
	assert_int_equal(segment_sync(seg), LSM_IO);
	assert_int_equal(lsm_last_error()->sys_errno, EIO);
	assert_int_equal(env_fault_count(&f->env, FAULT_SYNC), syncs);
	/* The others have nothing to do with it. */
	OK(segment_create(f->t.segments, 2, &other));
	OK(segment_add(other, K("another"), &ptr));
	OK(segment_sync(other));
	segment_seal(seg);
	segment_seal(other);
	segment_release(seg);
	segment_release(other);
}

/* What an earlier process has left in the kernel's cache is not taken for what is on the disk. */
static void test_read_anew(void **state)
{
	struct fixture *f = *state;
	struct blob_segment *seg = NULL;
	struct blob_ptr ptr;
	uint64_t opens;

	OK(segment_create(f->t.segments, 1, &seg));
	OK(segment_add(seg, K("a value"), &ptr));
	OK(segment_verify(f->t.segments, &ptr));
	opens = env_fault_count(&f->env, FAULT_OPEN);
	OK(segment_read_anew(f->t.segments, 1));
	assert_int_equal(f->env.drops, 1);
	OK(segment_verify(f->t.segments, &ptr));
	assert_int_equal(env_fault_count(&f->env, FAULT_OPEN), opens + 1);
	segment_seal(seg);
	segment_release(seg);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_sync_never_tried_again),
		T(test_read_anew),
	};

	return cmocka_run_group_tests_name("segments", tests, NULL, NULL);
}
