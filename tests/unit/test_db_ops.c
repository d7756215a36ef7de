/* SPDX-License-Identifier: MIT */
/* Single keys: put, get, delete, ranges, batches, and their limits. */
#include "tests/support/db_test.h"

/* Runs the same check on what is in memtables, in tables, and after a reopen. */
static void everywhere(struct db_test *t, void (*check)(struct db_test *t))
{
	check(t);
	assert_ok(lsm_flush(t->db));
	check(t);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	check(t);
	db_reopen(t);
	check(t);
}

static void check_basic(struct db_test *t)
{
	expect(t, "a", "3");
	expect(t, "b", NULL);
	expect(t, "c", "");
	expect(t, "d", NULL);
	expect_keys(t, NULL, "a c");
}

static void test_put_get_delete(void **state)
{
	struct db_test *t = *state;

	put(t, "a", "1");
	put(t, "a", "2");
	put(t, "b", "1");
	put(t, "c", "");
	del(t, "b");
	del(t, "never");
	put(t, "a", "3");
	everywhere(t, check_basic);
	assert_int_equal(stats_of(t).recovered_records, 0); /* a closed store has nothing to recover */
}

static void check_deleted(struct db_test *t)
{
	expect(t, "a", NULL);
	expect(t, "b", NULL);
	expect_keys(t, NULL, "");
}

static void test_delete_hides_older_levels(void **state)
{
	struct db_test *t = *state;

	put(t, "a", "1");
	put(t, "b", "1");
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	del(t, "a");
	assert_ok(lsm_flush(t->db));
	del(t, "b");
	everywhere(t, check_deleted);
}

static void check_range(struct db_test *t)
{
	expect_keys(t, NULL, "a b d1 h");
	expect(t, "c", NULL);
	expect(t, "d1", "new");
	expect(t, "g", NULL);
	expect(t, "h", "old");
}

static void test_delete_range(void **state)
{
	struct db_test *t = *state;

	for (char c = 'a'; c <= 'h'; c++)
		put(t, (char[2]){ c, 0 }, "old");
	assert_ok(lsm_flush(t->db));
	assert_ok(lsm_delete_range(t->db, S("c"), S("h"), 0));
	put(t, "d1", "new");
	everywhere(t, check_range);
	assert_code(lsm_delete_range(t->db, S("c"), S("c"), 0), LSM_INVALID);
	assert_code(lsm_delete_range(t->db, S("d"), S("c"), 0), LSM_INVALID);
	assert_code(lsm_delete_range(t->db, S(""), S("c"), 0), LSM_INVALID);
	check_range(t);
}

/* ---- sizes ---- */

static void check_sizes(struct db_test *t)
{
	static const size_t sizes[] = { 0, 1, 1023, 1024, 1025, 8191, 8192, 8193, 16384, 65536, 1 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		expect_bytes(t, key_n(i), i, sizes[i]);
}

static void test_value_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 1023, 1024, 1025, 8191, 8192, 8193, 16384, 65536, 1 << 20 };
	struct db_test *t = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		put_bytes(t, key_n(i), i, sizes[i]);
	everywhere(t, check_sizes);
}

static void check_16_mib(struct db_test *t)
{
	uint8_t *want = bytes_new(5, 16 << 20), *got = malloc(40000);
	size_t copied = 0;
	uint64_t size = 0;

	expect_bytes(t, S("large"), 5, 16 << 20);
	assert_ok(lsm_get_range(t->db, NULL, S("large"), (16 << 20) - 30000, got, 40000, &copied, &size));
	assert_int_equal(copied, 30000);
	assert_int_equal(size, 16 << 20);
	assert_memory_equal(got, want + (16 << 20) - 30000, 30000);
	free(want);
	free(got);
}

static void test_value_16_mib(void **state)
{
	put_bytes(*state, S("large"), 5, 16 << 20);
	everywhere(*state, check_16_mib);
}

static uint8_t longest[LSM_KEY_BYTES_MAX + 1];

static void check_longest(struct db_test *t)
{
	struct lsm_iter *it = NULL;

	longest[LSM_KEY_BYTES_MAX - 1] = 'y';
	expect_bytes(t, (struct lsm_slice){ longest, LSM_KEY_BYTES_MAX }, 1, 10);
	longest[LSM_KEY_BYTES_MAX - 1] = 'z';
	expect_bytes(t, (struct lsm_slice){ longest, LSM_KEY_BYTES_MAX }, 2, 10);
	assert_ok(lsm_iter_new(t->db, NULL, &it));
	lsm_iter_seek(it, (struct lsm_slice){ longest, LSM_KEY_BYTES_MAX });
	assert_true(lsm_iter_valid(it));
	assert_int_equal(lsm_iter_key(it).size, LSM_KEY_BYTES_MAX);
	lsm_iter_prev(it);
	assert_true(lsm_iter_valid(it));
	assert_int_equal(((const uint8_t *)lsm_iter_key(it).data)[LSM_KEY_BYTES_MAX - 1], 'y');
	lsm_iter_free(it);
}

static void test_longest_key(void **state)
{
	struct db_test *t = *state;

	memset(longest, 'k', sizeof(longest));
	longest[LSM_KEY_BYTES_MAX - 1] = 'z';
	put_bytes(t, (struct lsm_slice){ longest, LSM_KEY_BYTES_MAX }, 2, 10);
	longest[LSM_KEY_BYTES_MAX - 1] = 'y';
	put_bytes(t, (struct lsm_slice){ longest, LSM_KEY_BYTES_MAX }, 1, 10);
	everywhere(t, check_longest);
}

static void assert_bad_key(struct db_test *t, struct lsm_slice key)
{
	struct lsm_value v = { 0 };
	struct lsm_batch *batch = NULL;
	size_t copied;
	char byte;
	int code = 0;

	assert_code(lsm_put(t->db, key, S("v"), 0), LSM_INVALID);
	assert_code(lsm_delete(t->db, key, 0), LSM_INVALID);
	assert_code(lsm_get(t->db, NULL, key, &v), LSM_INVALID);
	assert_code(lsm_get_range(t->db, NULL, key, 0, &byte, 1, &copied, NULL), LSM_INVALID);
	assert_code(lsm_multi_get(t->db, NULL, 1, &key, &v, &code), LSM_INVALID);
	assert_int_equal(code, LSM_INVALID);
	assert_ok(lsm_batch_new(t->db, &batch));
	assert_code(lsm_batch_put(batch, key, S("v")), LSM_INVALID);
	assert_code(lsm_batch_delete(batch, key), LSM_INVALID);
	assert_int_equal(lsm_batch_count(batch), 0);
	lsm_batch_free(batch);
}

static void test_bad_keys(void **state)
{
	struct db_test *t = *state;

	memset(longest, 'k', sizeof(longest));
	assert_bad_key(t, S(""));
	assert_bad_key(t, (struct lsm_slice){ longest, LSM_KEY_BYTES_MAX + 1 });
	assert_code(lsm_delete_range(t->db, S("a"), (struct lsm_slice){ longest, LSM_KEY_BYTES_MAX + 1 }, 0),
		    LSM_INVALID);
	assert_code(lsm_put(t->db, S("k"), (struct lsm_slice){ longest, (size_t)LSM_VALUE_BYTES_MAX + 1 }, 0),
		    LSM_INVALID);
	expect_keys(t, NULL, "");
}

static void check_bytes_order(struct db_test *t)
{
	expect_keys(t, NULL, "\x01 \x01\x01 A a ab \x7f \x80 \xff \xff\xff");
}

static void test_order_is_unsigned_bytes(void **state)
{
	static const char *const keys[] = { "\xff", "a", "\x80", "\x01", "ab", "A", "\xff\xff", "\x7f", "\x01\x01" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put(*state, keys[i], "v");
	everywhere(*state, check_bytes_order);
}

/* ---- partial and many ---- */

static void check_get_range(struct db_test *t)
{
	static const size_t sizes[] = { 10, 3000, 50000 }; /* in the table, in a blob, written there directly */

	for (size_t i = 0; i < 3; i++) {
		uint8_t *want = bytes_new(i, sizes[i]), buf[200];
		size_t copied = 99;
		uint64_t size = 0;

		for (size_t at = 0; at < sizes[i] + 3; at += 1 + sizes[i] / 50) {
			size_t left = at < sizes[i] ? sizes[i] - at : 0;

			assert_ok(lsm_get_range(t->db, NULL, key_n(i), at, buf, sizeof(buf), &copied, &size));
			assert_int_equal(size, sizes[i]);
			assert_int_equal(copied, left < sizeof(buf) ? left : sizeof(buf));
			assert_true(!copied || !memcmp(buf, want + at, copied));
		}
		assert_ok(lsm_get_range(t->db, NULL, key_n(i), UINT64_MAX, buf, sizeof(buf), &copied, NULL));
		assert_int_equal(copied, 0);
		assert_ok(lsm_get_range(t->db, NULL, key_n(i), 0, NULL, 0, &copied, &size));
		assert_int_equal(copied, 0);
		free(want);
	}
	assert_code(lsm_get_range(t->db, NULL, S("none"), 0, NULL, 0, &(size_t){ 0 }, NULL), LSM_NOT_FOUND);
}

static void test_get_range(void **state)
{
	put_bytes(*state, key_n(0), 0, 10);
	put_bytes(*state, key_n(1), 1, 3000);
	put_bytes(*state, key_n(2), 2, 50000);
	everywhere(*state, check_get_range);
}

static void check_multi_get(struct db_test *t)
{
	const struct lsm_slice keys[] = { S("a"), S("none"), S("big"), S("a"), S("gone") };
	struct lsm_value values[5] = { 0 };
	int codes[5];

	assert_ok(lsm_multi_get(t->db, NULL, 5, keys, values, codes));
	assert_int_equal(codes[0], LSM_OK);
	assert_int_equal(codes[1], LSM_NOT_FOUND);
	assert_int_equal(codes[2], LSM_OK);
	assert_int_equal(codes[3], LSM_OK);
	assert_int_equal(codes[4], LSM_NOT_FOUND);
	assert_int_equal(values[0].size, 1);
	assert_int_equal(values[2].size, 20000);
	assert_memory_equal(values[3].data, "1", 1);
	for (int i = 0; i < 5; i++)
		lsm_value_release(&values[i]);
	assert_ok(lsm_multi_get(t->db, NULL, 0, NULL, NULL, NULL));
}

static void test_multi_get(void **state)
{
	put(*state, "a", "1");
	put(*state, "gone", "1");
	del(*state, "gone");
	put_bytes(*state, S("big"), 3, 20000);
	everywhere(*state, check_multi_get);
}

/* A value that is held stays as it was, whatever happens to its key. */
static void test_held_value(void **state)
{
	struct db_test *t = *state;
	static const size_t sizes[] = { 100, 3000, 50000 };

	for (size_t i = 0; i < 6; i++) {
		size_t size = sizes[i % 3];
		uint8_t *want = bytes_new(i, size);
		struct lsm_value v = { 0 };

		put_bytes(t, S("k"), i, size);
		if (i >= 3)
			assert_ok(lsm_compact_range(t->db, S(""), S("")));
		assert_ok(lsm_get(t->db, NULL, S("k"), &v));
		for (uint64_t n = 0; n < 200; n++)
			put_bytes(t, S("k"), n, 5000);
		assert_ok(lsm_compact_range(t->db, S(""), S("")));
		assert_int_equal(v.size, size);
		assert_memory_equal(v.data, want, size);
		lsm_value_release(&v);
		lsm_value_release(&v);
		free(want);
	}
}

/* ---- batches ---- */

static void check_batch(struct db_test *t)
{
	expect_keys(t, NULL, "a c e");
	expect(t, "a", "2");
	expect(t, "c", "after");
	expect_bytes(t, S("e"), 9, 60000);
}

static void test_batch_in_order(void **state)
{
	struct db_test *t = *state;
	struct lsm_batch *b = NULL;
	uint8_t *large = bytes_new(9, 60000);

	assert_ok(lsm_batch_new(t->db, &b));
	assert_int_equal(lsm_batch_count(b), 0);
	assert_ok(lsm_batch_put(b, S("a"), S("1")));
	assert_ok(lsm_batch_put(b, S("b"), S("1")));
	assert_ok(lsm_batch_put(b, S("c"), S("before")));
	assert_ok(lsm_batch_put(b, S("a"), S("2")));
	assert_ok(lsm_batch_delete_range(b, S("b"), S("d")));
	assert_ok(lsm_batch_put(b, S("c"), S("after")));
	assert_ok(lsm_batch_put(b, S("d"), S("1")));
	assert_ok(lsm_batch_delete(b, S("d")));
	assert_ok(lsm_batch_put(b, S("e"), (struct lsm_slice){ large, 60000 }));
	memset(large, 0, 60000); /* was copied */
	assert_code(lsm_batch_delete_range(b, S("x"), S("x")), LSM_INVALID);
	assert_int_equal(lsm_batch_count(b), 9);
	expect_keys(t, NULL, ""); /* nothing yet */
	assert_ok(lsm_write(t->db, b, 0));
	assert_int_equal(lsm_batch_count(b), 9);
	assert_ok(lsm_write(t->db, b, 0)); /* it is unchanged, and may be written again */
	lsm_batch_clear(b);
	assert_int_equal(lsm_batch_count(b), 0);
	assert_ok(lsm_write(t->db, b, 0));
	assert_ok(lsm_write(t->db, b, LSM_WRITE_SYNC));
	lsm_batch_free(b);
	lsm_batch_free(NULL);
	free(large);
	everywhere(t, check_batch);
}

static void check_large_batch(struct db_test *t)
{
	for (uint64_t i = 0; i < 20000; i += 97)
		expect_bytes(t, key_n(i), i, 100);
}

/*
 * Ten times the size of a memtable: it becomes a table at once, which hides what was there before, in memtables and tables,
 * and is hidden from a snapshot; of what it says twice of a key, the later counts.
 */
static void test_large_batch(void **state)
{
	struct db_test *t = *state;
	struct lsm_snapshot *before = NULL;
	struct lsm_batch *b = NULL;
	uint64_t log_bytes;

	put_bytes(t, key_n(0), 77, 1000);
	put_bytes(t, key_n(30000), 77, 1000);
	assert_ok(lsm_flush(t->db));
	put_bytes(t, key_n(97), 78, 1000);
	put_bytes(t, key_n(30001), 78, 1000);
	put(t, "snapshot", "before");
	assert_ok(lsm_snapshot_new(t->db, &before));
	log_bytes = stats_of(t).log_bytes;
	assert_ok(lsm_batch_new(t->db, &b));
	assert_ok(lsm_batch_put(b, key_n(7), S("not to stay")));
	assert_ok(lsm_batch_delete_range(b, key_n(30000), key_n(30001)));
	assert_ok(lsm_batch_delete(b, key_n(30001)));
	assert_ok(lsm_batch_put(b, S("snapshot"), S("after")));
	for (uint64_t i = 0; i < 20000; i++) {
		uint8_t *value = bytes_new(i, 100);

		assert_ok(lsm_batch_put(b, key_n(i), (struct lsm_slice){ value, 100 }));
		free(value);
	}
	assert_ok(lsm_write(t->db, b, LSM_WRITE_SYNC));
	lsm_batch_free(b);
	assert_true(stats_of(t).log_bytes < log_bytes + 1000);
	expect_at(t, before, "snapshot", "before");
	expect(t, "snapshot", "after");
	lsm_snapshot_free(t->db, before);
	everywhere(t, check_large_batch);
	expect(t, "key00030000", NULL);
	expect(t, "key00030001", NULL);
	put_bytes(t, key_n(30000), 1, 10);
	expect_bytes(t, key_n(30000), 1, 10);
}

static void expect_part(struct db_test *t, const char *key, uint64_t seed, size_t whole, size_t offset, size_t size)
{
	uint8_t *want = bytes_new(seed, whole);
	struct lsm_value v = { 0 };

	assert_ok(lsm_get(t->db, NULL, S(key), &v));
	assert_int_equal(v.size, size);
	assert_true(!size || !memcmp(v.data, want + offset, size));
	lsm_value_release(&v);
	free(want);
}

static void check_parts(struct db_test *t)
{
	expect_part(t, "part of small", 1, 100, 10, 50);
	expect_part(t, "part of large", 2, 100000, 20000, 60000);
	expect_part(t, "part of the part", 2, 100000, 20001, 59998);
	expect_part(t, "nothing", 2, 100000, 0, 0);
	expect_part(t, "few", 2, 100000, 99990, 10);
}

static void add_part(struct db_test *t, const char *key, const char *source, uint64_t offset, uint64_t size)
{
	struct lsm_iter *it = NULL;
	struct lsm_batch *b = NULL;

	assert_ok(lsm_iter_new(t->db, NULL, &it));
	assert_ok(lsm_batch_new(t->db, &b));
	lsm_iter_seek(it, S(source));
	assert_true(lsm_iter_valid(it));
	assert_code(lsm_batch_put_part(b, S(key), it, lsm_iter_value_size(it), 1), LSM_INVALID);
	assert_code(lsm_batch_put_part(b, S(key), it, UINT64_MAX, 2), LSM_INVALID);
	assert_ok(lsm_batch_put_part(b, S(key), it, offset, size));
	lsm_iter_free(it);
	assert_int_equal(lsm_batch_count(b), 1);
	assert_ok(lsm_write(t->db, b, 0));
	lsm_batch_free(b);
}

/* A value that was read stays as it is while parts of it, copied for being small, go to a batch. */
static void test_put_part_beside_value(void **state)
{
	struct db_test *t = *state;
	uint8_t *want = bytes_new(1, 20000);
	struct lsm_batch *b = NULL;
	struct lsm_iter *it = NULL;
	struct lsm_slice v;

	put_bytes(t, S("large"), 1, 20000);
	assert_ok(lsm_iter_new(t->db, NULL, &it));
	assert_ok(lsm_batch_new(t->db, &b));
	lsm_iter_seek_first(it);
	assert_ok(lsm_batch_put_part(b, S("before"), it, 500, 100));
	assert_ok(lsm_iter_value(it, &v));
	assert_ok(lsm_batch_put_part(b, S("after"), it, 19000, 900));
	assert_int_equal(v.size, 20000);
	assert_memory_equal(v.data, want, v.size);
	lsm_iter_free(it);
	assert_ok(lsm_write(t->db, b, 0));
	lsm_batch_free(b);
	free(want);
	expect_part(t, "before", 1, 20000, 500, 100);
	expect_part(t, "after", 1, 20000, 19000, 900);
}

/* Parts of values stay, and keep their bytes, when the value itself goes; a large one is not copied. */
static void test_put_part(void **state)
{
	struct db_test *t = *state;
	uint64_t blob_bytes;

	put_bytes(t, S("small"), 1, 100);
	put_bytes(t, S("large"), 2, 100000);
	blob_bytes = stats_of(t).blob_bytes_written;
	add_part(t, "part of small", "small", 10, 50);
	add_part(t, "part of large", "large", 20000, 60000);
	add_part(t, "part of the part", "part of large", 1, 59998);
	add_part(t, "nothing", "large", 0, 0);
	add_part(t, "few", "large", 99990, 10);
	assert_true(stats_of(t).blob_bytes_written - blob_bytes < 20000);
	del(t, "small");
	del(t, "large");
	everywhere(t, check_parts);
	for (uint64_t i = 0; i < 300; i++)
		put_bytes(t, S("churn"), i, 20000);
	everywhere(t, check_parts);
}

/* ---- statistics and sizes ---- */

static void test_counters(void **state)
{
	struct db_test *t = *state;
	struct lsm_stats st;

	put(t, "a", "1");
	put(t, "b", "1");
	del(t, "b");
	expect(t, "a", "1");
	expect(t, "b", NULL);
	assert_ok(lsm_sync(t->db));
	st = stats_of(t);
	assert_int_equal(st.operations, 3);
	assert_int_equal(st.writes, 3);
	assert_int_equal(st.sequence, 3);
	assert_int_equal(st.gets, 2);
	assert_int_equal(st.gets_found, 1);
	assert_int_equal(st.user_bytes, 5);
	assert_true(st.log_bytes >= 5);
	assert_int_equal(st.syncs_asked, 1);
	assert_true(st.memory_bytes > 0 && st.memory_bytes <= st.memory_budget_bytes);
	assert_int_equal(st.memory_budget_bytes, 16 << 20);
	assert_ok(lsm_flush(t->db));
	st = stats_of(t);
	assert_int_equal(st.flushes, 1);
	/* It may have been moved to level 1 already. */
	assert_int_equal(st.levels[0].tables + st.levels[1].tables, 1);
	assert_true(st.levels[0].bytes + st.levels[1].bytes > 0);
	assert_true(st.flush_bytes_written >= st.levels[0].bytes + st.levels[1].bytes);
	assert_true(st.disk_bytes >= st.levels[0].bytes + st.levels[1].bytes);
}

static void test_approximate_size(void **state)
{
	struct db_test *t = *state;
	uint64_t all = 0, half = 0, tenth = 0, none = 1;

	for (uint64_t i = 0; i < 20000; i++)
		put_bytes(t, key_n(i), i, 100);
	assert_ok(lsm_approximate_size(t->db, S(""), S(""), &all));
	assert_true(all > 1000000 && all < 8000000); /* some still in memtables */
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	assert_ok(lsm_approximate_size(t->db, S(""), S(""), &all));
	assert_ok(lsm_approximate_size(t->db, S(""), key_n(10000), &half));
	assert_ok(lsm_approximate_size(t->db, key_n(5000), key_n(7000), &tenth));
	assert_ok(lsm_approximate_size(t->db, S("z"), S(""), &none));
	assert_true(all > 2000000 && all < 3500000);
	assert_true(half > all * 4 / 10 && half < all * 6 / 10);
	assert_true(tenth > all / 20 && tenth < all * 3 / 20);
	assert_true(none < all / 50);
	for (uint64_t i = 0; i < 20; i++)
		put_bytes(t, S("zlarge"), i, 100000);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	assert_ok(lsm_approximate_size(t->db, S("z"), S(""), &none));
	assert_true(none >= 100000 && none < 1000000);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_put_get_delete),
		T(test_delete_hides_older_levels),
		T(test_delete_range),
		T(test_value_sizes),
		T(test_value_16_mib),
		T(test_longest_key),
		T(test_bad_keys),
		T(test_order_is_unsigned_bytes),
		T(test_get_range),
		T(test_multi_get),
		T(test_held_value),
		T(test_batch_in_order),
		T(test_large_batch),
		T(test_put_part),
		T(test_put_part_beside_value),
		T(test_counters),
		T(test_approximate_size),
	};

	return cmocka_run_group_tests_name("db_ops", tests, NULL, NULL);
}
