/* SPDX-License-Identifier: MIT */
/* Batches as the log holds them: what goes in comes out, and bytes that are no batch are found. */
#include "lsm/memory/batch.h"
#include "tests/support/tree_test.h"

static const struct batch_op ops[] = {
	{ ENTRY_PUT, { "a", 1 }, { "value", 5 } },        { ENTRY_DELETE, { "bb", 2 }, { NULL, 0 } },
	{ ENTRY_RANGE_DELETE, { "c", 1 }, { "d", 1 } },   { ENTRY_PUT, { "empty", 5 }, { "", 0 } },
	{ ENTRY_BLOB, { "large", 5 }, { "pointer", 7 } },
};
enum { OPS = sizeof(ops) / sizeof(ops[0]) };

static void record_make(struct buf *ret)
{
	struct batch b = { 0 };

	for (size_t i = 0; i < OPS; i++)
		assert_true(batch_add(&b, &ops[i]));
	assert_int_equal(b.count, OPS);
	buf_put_varint(ret, b.count);
	buf_append_slice(ret, buf_slice(&b.ops));
	batch_done(&b);
	assert_int_equal(b.count, 0);
}

static void op_check(const struct batch_op *got, const struct batch_op *want)
{
	assert_int_equal(got->type, want->type);
	assert_true(slice_equal(got->key, want->key));
	assert_true(slice_equal(got->value, want->value));
}

static void test_round_trip(void **state)
{
	struct batch_reader r;
	struct buf record = { 0 };
	struct batch_op op;

	(void)state;
	record_make(&record);
	assert_true(batch_reader_init(&r, buf_slice(&record)));
	assert_int_equal(r.left, OPS);
	for (size_t i = 0; i < OPS; i++) {
		assert_int_equal(batch_next(&r, &op), 1);
		op_check(&op, &ops[i]);
	}
	assert_int_equal(batch_next(&r, &op), 0);
	buf_free(&record);
}

/* Cut anywhere, it is no batch, and nothing is read behind the cut (the copy's end is the heap's). */
static void test_cut(void **state)
{
	struct buf record = { 0 };

	(void)state;
	record_make(&record);
	for (size_t size = 0; size < record.size; size++) {
		uint8_t *copy = malloc(size + !size);
		struct batch_reader r;
		struct batch_op op;
		int more = -1;

		memcpy(copy, record.data, size);
		if (batch_reader_init(&r, slice_of(copy, size)))
			while ((more = batch_next(&r, &op)) > 0)
				;
		assert_int_equal(more, -1);
		free(copy);
	}
	buf_free(&record);
}

static void expect_bad(const void *bytes, size_t size)
{
	struct batch_reader r;
	struct batch_op op;
	int more = -1;

	if (batch_reader_init(&r, slice_of(bytes, size)))
		while ((more = batch_next(&r, &op)) > 0)
			;
	assert_int_equal(more, -1);
}

static void test_nonsense(void **state)
{
	(void)state;
	expect_bad("\x01\x00\x01k"
		   "more",
		   8);                       /* bytes behind the last operation */
	expect_bad("\x01\x00\x00", 3);       /* an empty key */
	expect_bad("\x01\x09\x01k\x01v", 6); /* an unknown type */
	expect_bad("\x01\x03\x01"
		   "b\x01"
		   "a",
		   6); /* a range that ends before it begins */
	expect_bad("\x01\x03\x01"
		   "b\x01"
		   "b",
		   6);                                  /* an empty range */
	expect_bad("\xff\xff\xff\xff\x0f\x00\x01k", 8); /* a count that cannot be */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
