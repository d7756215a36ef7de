/* SPDX-License-Identifier: MIT */
/* The filter: never a false negative, few false positives, and bad bytes are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lsm/format/filter.h"
#include "tests/support/rng.h"

static struct lsm_slice key_of(uint64_t *i)
{
	return slice_of(i, sizeof(*i));
}

/* Keys 0 .. n-1 */
static void build(uint64_t n, uint32_t bits, struct buf *out)
{
	struct filter_builder b = { 0 };

	for (uint64_t i = 0; i < n; i++)
		filter_builder_add(&b, key_of(&i));
	assert_int_equal(filter_build(&b, bits, out), LSM_OK);
	filter_builder_done(&b);
}

static double false_positives(uint64_t n, uint32_t bits)
{
	struct buf bytes = { 0 };
	struct filter f;
	uint64_t hits = 0, asked = 200000;

	build(n, bits, &bytes);
	assert_true(filter_init(&f, buf_slice(&bytes)));
	for (uint64_t i = 0; i < n; i++)
		assert_true(filter_may_contain(&f, filter_hash(key_of(&i))));
	for (uint64_t i = n; i < n + asked; i++)
		hits += filter_may_contain(&f, filter_hash(key_of(&i)));
	/* The bits that were asked for, up to one line and the tail. */
	assert_true(bytes.size <= n * bits / 8 + FILTER_LINE_BYTES + 2);
	buf_free(&bytes);
	return (double)hits / (double)asked;
}

static void false_positive_rates(void **state)
{
	(void)state;
	/* A plain Bloom filter would have 0.021, 0.0082 and 0.00046. */
	assert_true(false_positives(100000, 8) < 0.03);
	assert_true(false_positives(100000, 10) < 0.013);
	assert_true(false_positives(100000, 16) < 0.0018);
	assert_true(false_positives(1000, 10) < 0.02);
}

static void small_and_odd_sizes(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 200; n++)
		assert_true(false_positives(n, 10) < 0.06);
	assert_true(false_positives(5000, 1) < 0.7);
	assert_true(false_positives(500, 64) < 0.01);
}

static void repeated_keys_count_once(void **state)
{
	struct filter_builder b = { 0 };
	uint64_t key = 1;

	(void)state;
	for (int i = 0; i < 1000; i++)
		filter_builder_add(&b, key_of(&key));
	assert_int_equal(b.n, 1);
	filter_builder_done(&b);
}

static void no_filter_lets_all_pass(void **state)
{
	struct filter f = { 0 };

	(void)state;
	assert_true(filter_may_contain(&f, 0));
	assert_true(filter_may_contain(&f, UINT64_MAX));
}

static void bad_bytes(void **state)
{
	struct buf bytes = { 0 };
	struct filter f;

	(void)state;
	build(1000, 10, &bytes);
	for (size_t size = 0; size < bytes.size; size++)
		assert_false(filter_init(&f, slice_of(bytes.data, size)) && size % FILTER_LINE_BYTES != 2);
	bytes.data[bytes.size - 1]++; /* another kind */
	assert_false(filter_init(&f, buf_slice(&bytes)));
	bytes.data[bytes.size - 1]--;
	bytes.data[bytes.size - 2] = 0; /* no probe */
	assert_false(filter_init(&f, buf_slice(&bytes)));
	bytes.data[bytes.size - 2] = 200;
	assert_false(filter_init(&f, buf_slice(&bytes)));
	buf_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(false_positive_rates),
		cmocka_unit_test(small_and_odd_sizes),
		cmocka_unit_test(repeated_keys_count_once),
		cmocka_unit_test(no_filter_lets_all_pass),
		cmocka_unit_test(bad_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
