/* SPDX-License-Identifier: MIT */
/* What a flush or compaction keeps and drops, and what it leaves behind when it fails. */
#include <errno.h>
#include <unistd.h>

#include "lsm/format/filter.h"
#include "lsm/tree/merge_iter.h"
#include "tests/support/env_fault.h"
#include "tests/support/tree_test.h"

struct fixture {
	struct tree_test t;
	struct env_fault env;
	struct memtable *mem;
	struct version *below;
	struct build_input in;
	struct build_output out;
};

static uint64_t next_number(void *ctx)
{
	struct fixture *f = ctx;

	return ++f->t.number;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	env_fault_init(&f->env);
	f->t.dir = tmp_dir_new();
	tree_open(&f->t, &f->env.env);
	OK(memtable_new(1, 65536, &f->mem));
	OK(version_new(&f->below));
	f->in = (struct build_input){ .output_level = 1,
				      .table_bytes_max = UINT64_MAX,
				      .table = { 4096, 10, LSM_COMPRESS_NONE },
				      .blob_min_bytes = 1000,
				      .blob_segment_bytes = 1 << 20,
				      .new_number = next_number,
				      .ctx = f };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	build_output_done(&f->out, true);
	memtable_unref(f->mem);
	version_unref(f->below);
	tree_close(&f->t);
	env_fault_done(&f->env);
	tmp_dir_free(f->t.dir);
	free(f);
	return 0;
}

static int add_dels(void *ctx, const struct range_dels *dels)
{
	return del_list_add(ctx, dels, slice_of(NULL, 0), slice_of(NULL, 0));
}

static int run(struct fixture *f)
{
	struct build_input in = f->in;
	struct iter *points = NULL;
	struct del_list dels;
	int rc;

	del_list_init(&dels);
	OK(memtable_each_range_dels(f->mem, add_dels, &dels));
	OK(memtable_iter_new(f->mem, &points));
	in.points = points;
	in.dels = dels.dels;
	in.dels_n = dels.n;
	in.version = f->below;
	rc = build_tables(&f->t.tree, &in, &f->out);
	iter_free(points);
	del_list_done(&dels);
	return rc;
}

/* All entries of the outputs. */
static const char *result(struct fixture *f)
{
	struct iter *it = NULL;
	const char *text;

	OK(level_iter_new(&f->t.tree, f->out.tables, f->out.n, true, &it));
	it->ops->seek_first(it);
	text = entries_text(it, false);
	iter_free(it);
	return text;
}

static void put_versions(struct memtable *m)
{
	mem_put(m, "a", 1, ENTRY_PUT, "1");
	mem_put(m, "a", 3, ENTRY_PUT, "3");
	mem_put(m, "a", 6, ENTRY_PUT, "6");
	mem_put(m, "b", 2, ENTRY_PUT, "2");
	mem_put(m, "b", 7, ENTRY_DELETE, "");
}

static void test_newest_only(void **state)
{
	struct fixture *f = *state;

	put_versions(f->mem);
	OK(run(f));
	assert_string_equal(result(f), "a@6=6");
	assert_int_equal(f->out.entries_in, 5);
}

static void test_tombstone_over_something(void **state)
{
	struct fixture *f = *state;

	put_versions(f->mem);
	f->below = version_with(f->below, 3, meta_new(&f->t, 900, "b", "c", 1, 10));
	OK(run(f));
	assert_string_equal(result(f), "a@6=6 b@7-");
}

static void test_snapshots(void **state)
{
	static const uint64_t snapshots[] = { 2, 4 };
	struct fixture *f = *state;

	put_versions(f->mem);
	f->in.snapshots = snapshots;
	f->in.snapshots_n = 2;
	OK(run(f));
	assert_string_equal(result(f), "a@6=6 a@3=3 a@1=1 b@7- b@2=2");
}

static void test_range_tombstones(void **state)
{
	static const uint64_t snapshots[] = { 4 };
	struct fixture *f = *state;

	mem_put(f->mem, "a", 1, ENTRY_PUT, "1");
	mem_put(f->mem, "m", 2, ENTRY_PUT, "2");
	mem_del_range(f->mem, "a", "n", 3);
	mem_put(f->mem, "c", 5, ENTRY_PUT, "5");
	mem_put(f->mem, "n", 1, ENTRY_PUT, "end");
	OK(run(f)); /* nothing below: the tombstone goes with what it hides */
	assert_string_equal(result(f), "c@5=5 n@1=end");
	assert_int_equal(f->out.tables[0]->props.range_deletes, 0);
	build_output_done(&f->out, true);
	mem_del_range(f->mem, "a", "z", 6);
	f->in.snapshots = snapshots;
	f->in.snapshots_n = 1;
	OK(run(f)); /* the snapshot at 4 sees "n", and neither "a" nor "m" */
	assert_string_equal(result(f), "n@1=end");
	assert_int_equal(f->out.tables[0]->props.range_deletes, 1); /* the one at 3 has nothing to hide */
}

/* Where outputs are cut, so are the tombstones: their tables don't overlap and together cover all. */
static void test_cut(void **state)
{
	struct fixture *f = *state;
	struct version *v = NULL;
	struct edit e = { 0 };
	char key[16];

	f->in.table_bytes_max = 2000;
	f->below = version_with(f->below, 5, meta_new(&f->t, 900, "a", "z", 1, 10));
	for (uint64_t i = 0; i < 400; i++) {
		snprintf(key, sizeof(key), "k%04llu", (unsigned long long)i);
		mem_put(f->mem, key, i + 10, ENTRY_PUT, "some value or other");
	}
	mem_del_range(f->mem, "a", "z", 5);
	OK(run(f));
	assert_true(f->out.n > 3);
	for (size_t i = 0; i < f->out.n; i++) {
		assert_int_equal(f->out.tables[i]->props.range_deletes, 1);
		assert_true(table_end_exclusive(f->out.tables[i]));
		if (i)
			assert_true(slice_equal(table_largest(f->out.tables[i - 1]), table_smallest(f->out.tables[i])));
		OK(edit_add(&e, 1, f->out.tables[i]));
	}
	assert_true(slice_equal(table_smallest(f->out.tables[0]), K("a")));
	assert_true(slice_equal(table_largest(f->out.tables[f->out.n - 1]), K("z")));
	OK(version_apply(f->below, &e, "test", &v)); /* which refuses tables that overlap */
	version_unref(v);
	edit_done(&e);
}

static void put_many(struct fixture *f, int n)
{
	char key[16];

	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "k%04d", i);
		mem_put(f->mem, key, (uint64_t)i + 10, ENTRY_PUT, "some value or other");
	}
}

/* From half its size on, a table ends where one of the next level ends. */
static void test_cut_along_next_level(void **state)
{
	struct fixture *f = *state;

	f->in.table_bytes_max = 12000;
	f->in.table.block_bytes = 256;
	f->below = version_with(f->below, 2, meta_new(&f->t, 900, "k0000", "k0099", 1, 10));
	f->below = version_with(f->below, 2, meta_new(&f->t, 901, "k0100", "k0249", 1, 10));
	f->below = version_with(f->below, 2, meta_new(&f->t, 902, "k0250", "k0399", 1, 10));
	put_many(f, 400);
	OK(run(f));
	assert_int_equal(f->out.n, 2); /* at k0100 there was less than half a table */
	assert_true(slice_equal(table_largest(f->out.tables[0]), K("k0249")));
	assert_true(slice_equal(table_smallest(f->out.tables[1]), K("k0250")));
}

/* A small table that lies over much of the next level is cut. */
static void test_cut_by_overlap(void **state)
{
	struct fixture *f = *state;
	char begin[16], end[16];

	f->in.table_bytes_max = 1 << 20;
	for (int i = 0; i < 40; i++) {
		snprintf(begin, sizeof(begin), "k%04d", i * 10);
		snprintf(end, sizeof(end), "k%04d", i * 10 + 9);
		f->below = version_with(f->below, 2, meta_new(&f->t, 900 + (uint64_t)i, begin, end, 1, 1 << 20));
	}
	put_many(f, 400);
	OK(run(f));
	assert_int_equal(f->out.n, 4);
	for (size_t i = 0; i < 4; i++) {
		snprintf(begin, sizeof(begin), "k%04zu", i * 100);
		assert_true(slice_equal(table_smallest(f->out.tables[i]), K(begin)));
	}
	build_output_done(&f->out, true);
	f->in.output_level = 0;
	f->in.table_bytes_max = UINT64_MAX;
	OK(run(f));
	assert_int_equal(f->out.n, 1); /* a table of level 0 is never cut */
}

static void put_large(struct fixture *f, const char *key, uint64_t seq, char fill)
{
	char value[3000];

	memset(value, fill, sizeof(value));
	OK(memtable_add(f->mem, K(key), trailer_of(seq, ENTRY_PUT), slice_of(value, sizeof(value))));
}

static void expect_large(struct fixture *f, const char *key, char fill)
{
	struct table_pin pin = { 0 };
	struct table_hit hit = { 0 };
	struct blob_ptr ptr;
	char value[3000];

	OK(table_cache_get(f->t.cache, f->out.tables[0]->number, &pin));
	OK(table_get(pin.table, K(key), filter_hash(K(key)), SEEK_TRAILER(SEQUENCE_MAX >> 8), &hit));
	assert_int_equal(hit.answer, TABLE_FOUND);
	assert_int_equal(trailer_type(hit.trailer), ENTRY_BLOB);
	OK(blob_ptr_decode(hit.value, "test", &ptr));
	OK(segment_read(f->t.segments, &ptr, 0, value, sizeof(value)));
	for (size_t i = 0; i < sizeof(value); i++)
		assert_int_equal(value[i], fill);
	table_hit_release(pin.table, &hit);
	table_cache_release(f->t.cache, &pin);
}

/* Large values move to a segment, and to another one when theirs is collected; then the first one's file goes. */
static void test_large_values(void **state)
{
	struct fixture *f = *state;
	struct build_output first;
	struct build_input in;
	struct iter *points = NULL;
	char path[STORE_PATH_MAX];
	uint64_t segment;

	put_large(f, "a", 1, 'x');
	put_large(f, "b", 2, 'y');
	OK(run(f));
	expect_large(f, "a", 'x');
	assert_int_equal(f->out.tables[0]->props.blob_refs_n, 1);
	assert_int_equal(f->out.tables[0]->props.blob_refs[0].bytes, 6000);
	segment = f->out.tables[0]->props.blob_refs[0].segment;
	first = f->out;
	OK(level_iter_new(&f->t.tree, first.tables, 1, true, &points));
	in = f->in;
	in.points = points;
	in.version = f->below;
	in.collect = &segment;
	in.collect_n = 1;
	OK(build_tables(&f->t.tree, &in, &f->out));
	iter_free(points);
	build_output_done(&first, true);
	assert_int_not_equal(f->out.tables[0]->props.blob_refs[0].segment, segment);
	store_file_path(path, f->t.dir, STORE_BLOB, segment);
	assert_int_not_equal(access(path, F_OK), 0);
	expect_large(f, "b", 'y');
}

static int count_name(void *ctx, const char *name)
{
	*(int *)ctx += name[0] != '.';
	return LSM_OK;
}

static int files(struct fixture *f)
{
	int n = 0;

	OK(env_posix()->ops->list(env_posix(), f->t.dir, count_name, &n));
	return n;
}

/* Whatever fails: an error, and no file. */
static void test_failures(void **state)
{
	static const enum fault_op ops[] = { FAULT_OPEN, FAULT_WRITE, FAULT_SYNC, FAULT_SYNC_DIR };
	static const atomic_bool stop = true;
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		put_large(f, (char[]){ (char)('a' + i), 0 }, (uint64_t)i + 1, 'z');
	mem_put(f->mem, "small", 50, ENTRY_PUT, "v");
	f->in.blob_segment_bytes = 5000;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		unsigned runs = 0;

		for (uint64_t nth = 1;; nth++, runs++) {
			env_fault_nth(&f->env, ops[i], NULL, nth, ENOSPC);
			if (run(f) == LSM_OK)
				break;
			assert_int_equal(lsm_last_error()->code, LSM_NO_SPACE);
			assert_int_equal(files(f), 0);
		}
		assert_true(runs > 0);
		env_fault_clear(&f->env);
		assert_true(files(f) > 1);
		build_output_done(&f->out, true);
		assert_int_equal(files(f), 0);
	}
	f->in.stop = &stop;
	assert_int_equal(run(f), LSM_BUSY);
	assert_int_equal(files(f), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_newest_only), T(test_tombstone_over_something), T(test_snapshots),      T(test_range_tombstones),
		T(test_cut),         T(test_cut_along_next_level),     T(test_cut_by_overlap), T(test_large_values),
		T(test_failures),
	};

	return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
