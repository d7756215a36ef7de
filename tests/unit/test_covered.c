/* SPDX-License-Identifier: MIT */
/* Which tables nobody has to read any more. */
#include "lsm/tree/covered.h"
#include "tests/support/tree_test.h"

static struct range_dels *dels_of(const struct range_del *list, size_t n)
{
	struct range_dels *d = NULL;

	OK(range_dels_new(list, n, &d));
	return d;
}

static bool covered(const struct table_meta *t, struct range_del del)
{
	struct range_dels *d = dels_of(&del, 1);
	bool is = table_is_covered(t, d, NULL, 0);

	range_dels_free(d);
	return is;
}

static void test_bounds(void **state)
{
	struct table_meta *t = meta_new(*state, 1, "c", "f", 10, 100);

	assert_true(covered(t, (struct range_del){ K("c"), K("g"), 11 }));
	assert_true(covered(t, (struct range_del){ K("a"), K("f0"), 11 }));
	assert_false(covered(t, (struct range_del){ K("c"), K("f"), 11 })); /* the end isn't part */
	assert_false(covered(t, (struct range_del){ K("c0"), K("g"), 11 }));
	assert_false(covered(t, (struct range_del){ K("g"), K("h"), 11 }));
	assert_false(covered(t, (struct range_del){ K("a"), K("z"), 10 })); /* no newer than the table */
	table_meta_unref(t);
}

/* A table that ends with a range tombstone doesn't hold its largest key. */
static void test_exclusive_end(void **state)
{
	struct table_meta *t = meta_new(*state, 1, "c", "f", 10, 100);

	buf_clear(&t->props.largest);
	buf_put_ikey(&t->props.largest, K("f"), RANGE_END_TRAILER);
	assert_true(covered(t, (struct range_del){ K("c"), K("f"), 11 }));
	table_meta_unref(t);
}

static void test_several(void **state)
{
	const struct range_del touching[] = { { K("a"), K("d"), 20 }, { K("d"), K("g"), 12 } };
	const struct range_del gap[] = { { K("a"), K("d"), 20 }, { K("d0"), K("g"), 12 } };
	struct table_meta *t = meta_new(*state, 1, "c", "f", 10, 100);
	struct range_dels *d = dels_of(touching, 2);

	assert_true(table_is_covered(t, d, NULL, 0));
	range_dels_free(d);
	d = dels_of(gap, 2);
	assert_false(table_is_covered(t, d, NULL, 0));
	range_dels_free(d);
	table_meta_unref(t);
}

/* A snapshot that sees the table must see the tombstone as well. */
static void test_snapshots(void **state)
{
	const struct range_del list[] = { { K("a"), K("z"), 20 } };
	struct table_meta *t = meta_new(*state, 1, "c", "f", 10, 100);
	struct range_dels *d = dels_of(list, 1);

	t->props.sequence_min = 5;
	assert_true(table_is_covered(t, d, (const uint64_t[]){ 4 }, 1));
	assert_false(table_is_covered(t, d, (const uint64_t[]){ 4, 5 }, 2));
	assert_false(table_is_covered(t, d, (const uint64_t[]){ 19, 20 }, 2));
	assert_true(table_is_covered(t, d, (const uint64_t[]){ 20 }, 1));
	range_dels_free(d);
	table_meta_unref(t);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, tree_teardown)
	const struct CMUnitTest tests[] = { T(test_bounds), T(test_exclusive_end), T(test_several), T(test_snapshots) };

	return cmocka_run_group_tests_name("covered", tests, NULL, NULL);
}
