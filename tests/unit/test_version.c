/* SPDX-License-Identifier: MIT */
/* Versions and the edits between them. */
#include "tests/support/tree_test.h"

static struct version *empty(void)
{
	struct version *v = NULL;

	OK(version_new(&v));
	return v;
}

static void test_level0_order(void **state)
{
	struct version *v = empty();

	v = version_with(v, 0, meta_new(*state, 1, "a", "z", 10, 5));
	v = version_with(v, 0, meta_new(*state, 3, "c", "d", 30, 5));
	v = version_with(v, 0, meta_new(*state, 2, "b", "y", 20, 5));
	assert_int_equal(v->levels[0].n, 3);
	assert_int_equal(v->levels[0].bytes, 15);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(v->levels[0].tables[i]->number, 3 - i); /* the newest first */
	version_unref(v);
}

static void test_sorted_level(void **state)
{
	struct version *v = empty();

	v = version_with(v, 1, meta_new(*state, 1, "m", "p", 1, 1));
	v = version_with(v, 1, meta_new(*state, 2, "a", "c", 1, 1));
	v = version_with(v, 1, meta_new(*state, 3, "x", "x", 1, 1));
	assert_int_equal(level_find(&v->levels[1], K("")), 0);
	assert_int_equal(level_find(&v->levels[1], K("c")), 0);
	assert_int_equal(level_find(&v->levels[1], K("d")), 1);
	assert_int_equal(level_find(&v->levels[1], K("x")), 2);
	assert_int_equal(level_find(&v->levels[1], K("y")), 3);
	assert_true(version_overlaps(v, 1, K("p"), K("q")));
	assert_true(version_overlaps(v, 0, K("b"), K("b")));
	assert_false(version_overlaps(v, 1, K("q"), K("w")));
	assert_false(version_overlaps(v, 2, K("a"), K("z")));
	version_unref(v);
}

/* The end of a range tombstone isn't part of its table: the next one may begin there, and only there. */
static void test_exclusive_end(void **state)
{
	struct table_meta *m = meta_new(*state, 1, "a", "m", 1, 1);
	struct version *v = empty();

	buf_clear(&m->props.largest);
	buf_put_ikey(&m->props.largest, K("m"), RANGE_END_TRAILER);
	assert_true(table_end_exclusive(m));
	assert_true(table_before_key(m, K("m")));
	assert_false(table_before_key(m, K("lzz")));
	v = version_with(v, 1, m);
	v = version_with(v, 1, meta_new(*state, 2, "m", "n", 1, 1));
	assert_int_equal(level_find(&v->levels[1], K("m")), 1);
	version_unref(v);
}

static void expect_refused(struct version *v, struct edit *e)
{
	struct version *next = NULL;

	assert_int_equal(version_apply(v, e, "the file", &next), LSM_CORRUPT);
	assert_null(next);
	assert_string_equal(lsm_last_error()->file, "the file");
	edit_done(e);
}

static void test_bad_edits(void **state)
{
	struct version *v = version_with(empty(), 1, meta_new(*state, 1, "c", "f", 1, 1));
	struct table_meta *m = meta_new(*state, 2, "f", "g", 1, 1);
	struct edit e = { 0 };

	OK(edit_add(&e, 1, m));
	expect_refused(v, &e); /* overlaps */
	OK(edit_remove(&e, 1, 99));
	expect_refused(v, &e); /* isn't there */
	OK(edit_remove(&e, 2, 1));
	expect_refused(v, &e); /* nor on that level */
	table_meta_unref(m);
	version_unref(v);
}

static void test_move(void **state)
{
	struct version *v = version_with(empty(), 1, meta_new(*state, 1, "c", "f", 1, 8)), *next = NULL;
	struct edit e = { 0 };

	OK(edit_remove(&e, 1, 1));
	OK(edit_add(&e, 2, v->levels[1].tables[0]));
	OK(version_apply(v, &e, "test", &next));
	edit_done(&e);
	assert_int_equal(v->levels[1].n, 1); /* immutable */
	assert_int_equal(next->levels[1].n, 0);
	assert_int_equal(next->levels[1].bytes, 0);
	assert_int_equal(next->levels[2].n, 1);
	assert_ptr_equal(next->levels[2].tables[0], v->levels[1].tables[0]);
	version_unref(v);
	version_unref(next);
}

static void edit_make(struct tree_test *t, struct buf *ret)
{
	struct table_meta *m = meta_new(t, 300, "aaa", "zzz", 77, 4096);
	struct edit e = { .first_segment = 5, .last_sequence = 1000, .next_number = 301 };

	m->props.deletes = 3;
	m->props.range_deletes = 2;
	m->props.blob_refs = calloc(2, sizeof(*m->props.blob_refs));
	m->props.blob_refs_n = 2;
	m->props.blob_refs[0] = (struct blob_ref){ 10, 1000 };
	m->props.blob_refs[1] = (struct blob_ref){ 12, 1 << 20 };
	assert_int_equal(table_total_bytes(m), 4096 + 1000 + (1 << 20));
	OK(edit_add(&e, 3, m));
	OK(edit_remove(&e, 2, 200));
	edit_encode(&e, ret);
	edit_done(&e);
	table_meta_unref(m);
}

static void test_encoding(void **state)
{
	struct tree_test *t = *state;
	struct buf record = { 0 };
	struct edit e = { 0 };
	const struct table_props *p;

	edit_make(t, &record);
	OK(edit_decode(buf_slice(&record), "test", &t->tree, &e));
	assert_int_equal(e.first_segment, 5);
	assert_int_equal(e.last_sequence, 1000);
	assert_int_equal(e.next_number, 301);
	assert_int_equal(e.removed_n, 1);
	assert_true(e.removed[0].level == 2 && e.removed[0].number == 200);
	assert_int_equal(e.added_n, 1);
	assert_true(e.added[0].level == 3 && e.added[0].number == 300);
	p = &e.added[0].table->props;
	assert_true(p->file_bytes == 4096 && p->entries == 10 && p->deletes == 3 && p->range_deletes == 2);
	assert_true(p->sequence_min == 77 && p->sequence_max == 77 && p->blob_refs_n == 2);
	assert_true(p->blob_refs[1].segment == 12 && p->blob_refs[1].bytes == 1 << 20);
	assert_true(slice_equal(table_smallest(e.added[0].table), K("aaa")));
	edit_done(&e);
	buf_free(&record);
}

/* Whatever bytes come, decoding ends with an edit or an error, and leaks nothing. */
static void test_decoding_nonsense(void **state)
{
	struct tree_test *t = *state;
	struct rng rng = { seed_choose("test_decoding_nonsense") };
	struct buf record = { 0 };

	edit_make(t, &record);
	for (int i = 0; i < 3000; i++) {
		size_t size = rng_below(&rng, record.size + 1);
		uint8_t *copy = malloc(size + !size);
		struct edit e = { 0 };
		int rc;

		memcpy(copy, record.data, size);
		if (size && i % 2)
			copy[rng_below(&rng, size)] ^= (uint8_t)(1 + rng_below(&rng, 255));
		rc = edit_decode(slice_of(copy, size), "test", &t->tree, &e);
		assert_true(rc == LSM_OK || rc == LSM_CORRUPT || rc == LSM_UNSUPPORTED);
		edit_done(&e);
		free(copy);
	}
	buf_free(&record);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, tree_teardown)
	const struct CMUnitTest tests[] = {
		T(test_level0_order), T(test_sorted_level), T(test_exclusive_end),     T(test_bad_edits),
		T(test_move),         T(test_encoding),     T(test_decoding_nonsense),
	};

	return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
