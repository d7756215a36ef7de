/* SPDX-License-Identifier: MIT */
/* A disk that is nearly full: writers are refused in time, deletes go on and free space, and then writers do. */
#include "tests/support/db_test.h"

#include <errno.h>
#include <stdatomic.h>

#include "lsm/store/db.h"
#include "tests/support/env_fault.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct db_test *t;
	struct env_fault env;
};

static void disk(struct fixture *f, uint64_t free_bytes)
{
	atomic_store(&f->env.disk_free, free_bytes);
	atomic_store(&f->env.disk_bytes, 1024 * MIB);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *t = NULL;

	assert_non_null(f);
	if (db_setup_closed(&t))
		return -1;
	f->t = t;
	env_fault_init(&f->env);
	f->t->options.env = &f->env.env;
	f->t->options.memory_bytes = 64 * MIB;
	f->t->options.memtable_bytes = 16 * MIB;
	disk(f, 512 * MIB);
	db_open(f->t);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *t = f->t;
	int rc;

	rc = db_teardown(&t);
	env_fault_done(&f->env);
	free(f);
	return rc;
}

static int put_n(struct fixture *f, struct lsm_slice key, size_t size)
{
	char *value = calloc(1, size);
	int rc;

	assert_non_null(value);
	rc = lsm_put(f->t->db, key, slice_of(value, size), 0);
	free(value);
	return rc;
}

/* As many as are let through before the disk is asked again. */
static int fill(struct fixture *f)
{
	int rc = LSM_OK;

	for (int i = 0; !rc && i < 1000; i++)
		rc = put_n(f, key_n((uint64_t)i), 20000);
	return rc;
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct lsm_batch *b = NULL;

	assert_ok(put_n(f, S("before"), 100));
	assert_ok(put_n(f, S("large"), 200000));
	disk(f, 64 << 10);
	assert_int_equal(fill(f), LSM_NO_SPACE);
	assert_int_equal(lsm_last_error()->sys_errno, ENOSPC);
	assert_non_null(strstr(lsm_last_error()->message, "is full"));
	assert_int_equal(put_n(f, S("small"), 1), LSM_NO_SPACE);
	assert_int_equal(put_n(f, S("another large"), 100000), LSM_NO_SPACE);
	assert_ok(lsm_batch_new(f->t->db, &b));
	assert_ok(lsm_batch_put(b, S("batch"), S("value")));
	assert_int_equal(lsm_write(f->t->db, b, 0), LSM_NO_SPACE);
	/* What frees goes on, and so do reads and syncs. */
	assert_ok(lsm_write(f->t->db, b, LSM_WRITE_FREES | LSM_WRITE_SYNC));
	lsm_batch_free(b);
	expect(f->t, "batch", "value");
	assert_ok(lsm_delete(f->t->db, S("before"), 0));
	assert_ok(lsm_delete_range(f->t->db, S("large"), S("largf"), LSM_WRITE_SYNC));
	expect(f->t, "before", NULL);
	expect(f->t, "small", NULL);
	assert_ok(lsm_sync(f->t->db));
	/* There is room again: no open is needed. */
	disk(f, 512 * MIB);
	assert_ok(put_n(f, S("small"), 1));
	assert_ok(put_n(f, S("another large"), 100000));
	db_reopen(f->t);
	expect(f->t, "batch", "value");
	expect(f->t, "before", NULL);
}

/* Room is kept for what memtables hold; when that is all that stands in the way, they are flushed. */
static void test_flushed(void **state)
{
	struct fixture *f = *state;
	struct lsm_stats stats;
	uint64_t flushes;

	lsm_get_stats(f->t->db, &stats);
	flushes = stats.flushes;
	for (uint64_t i = 0; i < 400; i++)
		assert_ok(put_n(f, key_n(i), 4000));
	lsm_get_stats(f->t->db, &stats);
	flushes = stats.flushes;
	atomic_store(&f->t->db->space_left, 0);
	disk(f, 2 * f->t->db->wal_segment_bytes + 2 * f->t->db->options.table_bytes + MIB / 2);
	assert_ok(put_n(f, S("more"), 1));
	lsm_get_stats(f->t->db, &stats);
	assert_true(stats.flushes > flushes);
}

/* A disk that doesn't tell has no end. */
static void test_unknown(void **state)
{
	struct fixture *f = *state;
	struct env_ops ops = *f->env.env.ops;

	db_close(f->t);
	ops.space = NULL;
	f->env.env.ops = &ops;
	disk(f, 0);
	db_open(f->t);
	assert_ok(fill(f));
	db_close(f->t);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_refused), T(test_flushed), T(test_unknown) };

	return cmocka_run_group_tests_name("db_full", tests, NULL, NULL);
}
