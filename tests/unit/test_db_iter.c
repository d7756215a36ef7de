/* SPDX-License-Identifier: MIT */
/* Iterators and snapshots: both directions, bounds, deleted keys, one moment. */
#include "tests/support/db_test.h"

static struct lsm_iter *iter_new(struct db_test *t, const struct lsm_iter_options *options)
{
	struct lsm_iter *it = NULL;

	assert_ok(lsm_iter_new(t->db, options, &it));
	return it;
}

static void assert_at(struct lsm_iter *it, const char *key)
{
	assert_ok(lsm_iter_status(it));
	assert_int_equal(lsm_iter_valid(it), key != NULL);
	if (!key)
		return;
	assert_int_equal(lsm_iter_key(it).size, strlen(key));
	assert_memory_equal(lsm_iter_key(it).data, key, strlen(key));
}

/* Keys of every layer: b and h in the last level, d in level 0, f in the memtable; deleted ones among them. */
static void fill_layers(struct db_test *t)
{
	put(t, "b", "1");
	put(t, "c", "1");
	put(t, "h", "1");
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	put(t, "d", "2");
	del(t, "c");
	put(t, "e", "2");
	assert_ok(lsm_flush(t->db));
	put(t, "f", "3");
	del(t, "e");
}

static void test_seeks(void **state)
{
	struct db_test *t = *state;
	struct lsm_iter *it;

	fill_layers(t);
	expect_keys(t, NULL, "b d f h");
	it = iter_new(t, NULL);
	assert_at(it, NULL);
	lsm_iter_seek(it, S("a"));
	assert_at(it, "b");
	lsm_iter_seek(it, S("b"));
	assert_at(it, "b");
	lsm_iter_seek(it, S("c")); /* deleted: the next one */
	assert_at(it, "d");
	lsm_iter_seek(it, S("i"));
	assert_at(it, NULL);
	lsm_iter_seek_prev(it, S("i"));
	assert_at(it, "h");
	lsm_iter_seek_prev(it, S("f"));
	assert_at(it, "f");
	lsm_iter_seek_prev(it, S("e"));
	assert_at(it, "d");
	lsm_iter_seek_prev(it, S("a"));
	assert_at(it, NULL);
	lsm_iter_seek_first(it);
	assert_at(it, "b");
	lsm_iter_prev(it);
	assert_at(it, NULL);
	lsm_iter_seek_last(it);
	assert_at(it, "h");
	lsm_iter_next(it);
	assert_at(it, NULL);
	lsm_iter_free(it);
	lsm_iter_free(NULL);
}

static void test_turning(void **state)
{
	struct db_test *t = *state;
	struct lsm_iter *it;

	fill_layers(t);
	it = iter_new(t, NULL);
	lsm_iter_seek(it, S("d"));
	lsm_iter_next(it);
	assert_at(it, "f");
	lsm_iter_prev(it);
	assert_at(it, "d");
	lsm_iter_prev(it);
	assert_at(it, "b");
	lsm_iter_next(it);
	assert_at(it, "d");
	lsm_iter_next(it);
	lsm_iter_next(it);
	assert_at(it, "h");
	lsm_iter_prev(it);
	assert_at(it, "f");
	lsm_iter_free(it);
}

static void test_bounds(void **state)
{
	struct db_test *t = *state;
	struct lsm_iter_options o = { .lower = S("c"), .upper = S("h") };
	char lower[] = "c";
	struct lsm_iter *it;

	fill_layers(t);
	expect_keys(t, &o, "d f");
	o.lower.data = lower;
	it = iter_new(t, &o);
	lower[0] = 'x'; /* was copied */
	lsm_iter_seek(it, S("a"));
	assert_at(it, "d");
	lsm_iter_prev(it);
	assert_at(it, NULL);
	lsm_iter_seek_prev(it, S("z"));
	assert_at(it, "f");
	lsm_iter_next(it);
	assert_at(it, NULL);
	lsm_iter_seek(it, S("h"));
	assert_at(it, NULL);
	lsm_iter_seek_prev(it, S("b"));
	assert_at(it, NULL);
	lsm_iter_free(it);
	o = (struct lsm_iter_options){ .upper = S("d") };
	expect_keys(t, &o, "b");
	o = (struct lsm_iter_options){ .lower = S("d") };
	expect_keys(t, &o, "d f h");
	o = (struct lsm_iter_options){ .lower = S("e"), .upper = S("e") };
	expect_keys(t, &o, "");
	o = (struct lsm_iter_options){ .lower = S("g"), .upper = S("c") };
	expect_keys(t, &o, "");
}

static void test_values(void **state)
{
	struct db_test *t = *state;
	static const size_t sizes[] = { 0, 10, 3000, 50000 };
	struct lsm_iter *it;

	for (uint64_t i = 0; i < 8; i++) {
		put_bytes(t, key_n(i), i, sizes[i % 4]);
		if (i == 3)
			assert_ok(lsm_flush(t->db));
	}
	it = iter_new(t, NULL);
	lsm_iter_seek_first(it);
	for (uint64_t i = 0; i < 8; i++) {
		uint8_t *want = bytes_new(i, sizes[i % 4]), buf[100];
		struct lsm_slice value;
		size_t copied = 0, size = sizes[i % 4], half = size / 2;

		assert_true(lsm_iter_valid(it));
		assert_int_equal(lsm_iter_value_size(it), size);
		assert_ok(lsm_iter_read(it, half, buf, sizeof(buf), &copied));
		assert_int_equal(copied, size - half < sizeof(buf) ? size - half : sizeof(buf));
		assert_true(!copied || !memcmp(buf, want + half, copied));
		assert_ok(lsm_iter_read(it, size + 1, buf, sizeof(buf), &copied));
		assert_int_equal(copied, 0);
		for (int twice = 0; twice < 2; twice++) {
			assert_ok(lsm_iter_value(it, &value));
			assert_int_equal(value.size, size);
			assert_true(!size || !memcmp(value.data, want, size));
		}
		free(want);
		lsm_iter_next(it);
	}
	assert_at(it, NULL);
	lsm_iter_free(it);
}

static void test_range_deletes(void **state)
{
	struct db_test *t = *state;
	struct lsm_iter *it;

	for (uint64_t i = 0; i < 1000; i++)
		put_bytes(t, key_n(i), i, 50);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	assert_ok(lsm_delete_range(t->db, key_n(100), key_n(500), 0));
	assert_ok(lsm_flush(t->db));
	put(t, "key00000200", "new");
	assert_ok(lsm_delete_range(t->db, key_n(400), key_n(900), 0));
	it = iter_new(t, NULL);
	lsm_iter_seek(it, key_n(99));
	lsm_iter_next(it);
	assert_at(it, "key00000200");
	lsm_iter_next(it);
	assert_at(it, "key00000900");
	lsm_iter_prev(it);
	assert_at(it, "key00000200");
	lsm_iter_prev(it);
	assert_at(it, "key00000099");
	lsm_iter_seek(it, key_n(450));
	assert_at(it, "key00000900");
	lsm_iter_seek_prev(it, key_n(450));
	assert_at(it, "key00000200");
	lsm_iter_free(it);
	assert_ok(lsm_delete_range(t->db, S("a"), S("z"), 0));
	expect_keys(t, NULL, "");
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	expect_keys(t, NULL, "");
}

/* Each change to the store is invisible to an iterator and a snapshot from before it. */
static void test_one_moment(void **state)
{
	struct db_test *t = *state;
	struct lsm_snapshot *snapshot = NULL;
	struct lsm_iter_options o = { 0 };
	struct lsm_iter *it;

	fill_layers(t);
	assert_ok(lsm_snapshot_new(t->db, &snapshot));
	assert_int_equal(stats_of(t).snapshots, 1);
	it = iter_new(t, NULL);
	o.snapshot = snapshot;
	for (int round = 0; round < 3; round++) {
		put(t, "a", "new");
		put(t, "b", "new");
		del(t, "d");
		assert_ok(lsm_delete_range(t->db, S("f"), S("z"), 0));
		if (round == 1)
			assert_ok(lsm_flush(t->db));
		if (round == 2)
			assert_ok(lsm_compact_range(t->db, S(""), S("")));
		lsm_iter_seek_first(it);
		assert_at(it, "b");
		lsm_iter_next(it);
		assert_at(it, "d");
		lsm_iter_seek_last(it);
		assert_at(it, "h");
		expect_keys(t, &o, "b d f h");
		expect_at(t, snapshot, "a", NULL);
		expect_at(t, snapshot, "b", "1");
		expect_at(t, snapshot, "d", "2");
		expect_at(t, snapshot, "h", "1");
		expect_keys(t, NULL, "a b");
		expect(t, "b", "new");
	}
	lsm_iter_free(it);
	lsm_snapshot_free(t->db, snapshot);
	assert_int_equal(stats_of(t).snapshots, 0);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	expect_keys(t, NULL, "a b");
}

/* One snapshot after each of many versions of the same keys, freed in another order. */
static void test_many_snapshots(void **state)
{
	enum { N = 40 };
	struct db_test *t = *state;
	struct lsm_snapshot *snapshots[N];
	char text[24];

	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		put(t, "k", text);
		if (i % 3)
			put(t, "sometimes", text);
		else
			del(t, "sometimes");
		assert_ok(lsm_snapshot_new(t->db, &snapshots[i]));
		if (i % 7 == 0)
			assert_ok(lsm_flush(t->db));
		if (i % 11 == 0)
			assert_ok(lsm_compact_range(t->db, S(""), S("")));
	}
	for (int i = 0; i < N; i++) {
		int at = i * 7 % N;

		for (int later = i; later < N; later++) {
			snprintf(text, sizeof(text), "%d", later * 7 % N);
			expect_at(t, snapshots[later * 7 % N], "k", text);
			expect_at(t, snapshots[later * 7 % N], "sometimes", later * 7 % N % 3 ? text : NULL);
		}
		lsm_snapshot_free(t->db, snapshots[at]);
		if (i % 10 == 0)
			assert_ok(lsm_compact_range(t->db, S(""), S("")));
	}
	expect(t, "k", "39");
}

/* A queue: what was taken from the front must not make the next seek slow, nor be found again. */
static void test_over_many_deletes(void **state)
{
	struct db_test *t = *state;
	struct lsm_iter *it;

	for (uint64_t i = 0; i < 20000; i++)
		put_bytes(t, key_n(i), i, 10);
	for (uint64_t i = 0; i < 19990; i++)
		assert_ok(lsm_delete(t->db, key_n(i), 0));
	it = iter_new(t, NULL);
	lsm_iter_seek_first(it);
	assert_at(it, "key00019990");
	lsm_iter_prev(it);
	assert_at(it, NULL);
	lsm_iter_seek_prev(it, key_n(19989));
	assert_at(it, NULL);
	lsm_iter_seek_last(it);
	for (int i = 0; i < 9; i++)
		lsm_iter_prev(it);
	assert_at(it, "key00019990");
	lsm_iter_free(it);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	it = iter_new(t, NULL);
	lsm_iter_seek_first(it);
	assert_at(it, "key00019990");
	lsm_iter_free(it);
}

static void test_many_tables(void **state)
{
	struct db_test *t = *state;
	struct lsm_iter *it;
	uint64_t n = 0;

	for (uint64_t i = 0; i < 30000; i++)
		put_bytes(t, key_n(i * 7919 % 30000), i * 7919 % 30000, 60);
	it = iter_new(t, NULL);
	for (lsm_iter_seek_first(it); lsm_iter_valid(it); lsm_iter_next(it), n++)
		assert_memory_equal(lsm_iter_key(it).data, key_n(n).data, 11);
	assert_ok(lsm_iter_status(it));
	assert_int_equal(n, 30000);
	for (lsm_iter_seek_last(it); lsm_iter_valid(it); lsm_iter_prev(it))
		assert_memory_equal(lsm_iter_key(it).data, key_n(--n).data, 11);
	assert_int_equal(n, 0);
	lsm_iter_free(it);
}

/* What is written while nobody reads stays in level 0; once many seeks have gone through it, it is merged. */
static void test_seeks_merge_level0(void **state)
{
	struct db_test *t = *state;
	struct lsm_stats s;
	struct lsm_iter *it;

	put(t, "a", "1");
	put(t, "z", "1");
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	put(t, "m", "2");
	put(t, "z", "2");
	assert_ok(lsm_flush(t->db));
	assert_int_equal(stats_of(t).levels[0].tables, 1);
	for (unsigned round = 0; (s = stats_of(t)).levels[0].tables && round < 2000; round++) {
		it = iter_new(t, NULL);
		for (unsigned i = 0; i < 100; i++)
			lsm_iter_seek(it, S("k"));
		assert_at(it, "m");
		lsm_iter_free(it);
		usleep(10000); /* the compaction thread looks once a second */
	}
	assert_int_equal(s.levels[0].tables, 0);
	assert_true(s.seeks >= 10000000 / 2000);
	expect_keys(t, NULL, "a m z");
	expect(t, "z", "2");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_seeks),          T(test_turning),
		T(test_bounds),         T(test_values),
		T(test_range_deletes),  T(test_one_moment),
		T(test_many_snapshots), T(test_over_many_deletes),
		T(test_many_tables),    T(test_seeks_merge_level0),
	};

	return cmocka_run_group_tests_name("db_iter", tests, NULL, NULL);
}
