/* SPDX-License-Identifier: MIT */
/* Many iterators as one, in both directions; the tables of a level as one; the leap over what a range tombstone hides. */
#include "lsm/tree/merge_iter.h"
#include "tests/support/tree_test.h"

/* A merge over memtables; the caller drops them. */
static struct iter *merge_of(struct memtable **mems, size_t n)
{
	struct merge_child children[8] = { 0 };
	struct iter *it = NULL;

	for (size_t i = 0; i < n; i++)
		OK(memtable_iter_new(mems[i], &children[i].it));
	OK(merge_iter_new(children, n, &it));
	return it;
}

static void test_order(void **state)
{
	struct memtable *mems[3];
	struct iter *it;

	(void)state;
	for (int i = 0; i < 3; i++)
		OK(memtable_new(1, 65536, &mems[i]));
	mem_put(mems[0], "a", 9, ENTRY_PUT, "new");
	mem_put(mems[1], "a", 2, ENTRY_PUT, "old");
	mem_put(mems[1], "c", 3, ENTRY_DELETE, "");
	it = merge_of(mems, 3); /* the third is empty */
	it->ops->seek_first(it);
	assert_string_equal(entries_text(it, false), "a@9=new a@2=old c@3-");
	it->ops->seek_last(it);
	assert_string_equal(entries_text(it, true), "c@3- a@2=old a@9=new");
	iter_free(it);
	for (int i = 0; i < 3; i++)
		memtable_unref(mems[i]);
	it = merge_of(NULL, 0);
	it->ops->seek_first(it);
	assert_false(it->valid);
	iter_free(it);
}

/* Random walks against one memtable that holds everything. */
static void test_walks(void **state)
{
	enum { MEMS = 5, N = 300, STEPS = 4000 };
	struct rng rng = { seed_choose("test_walks") };
	struct memtable *mems[MEMS], *all;
	struct iter *it, *want = NULL;
	struct buf key = { 0 };

	(void)state;
	OK(memtable_new(1, 65536, &all));
	for (int i = 0; i < MEMS; i++)
		OK(memtable_new(1, 65536, &mems[i]));
	for (uint64_t seq = 1; seq <= N; seq++) {
		char k[8];

		snprintf(k, sizeof(k), "%02u", (unsigned)rng_below(&rng, 90));
		mem_put(mems[rng_below(&rng, MEMS)], k, seq, ENTRY_PUT, k);
		mem_put(all, k, seq, ENTRY_PUT, k);
	}
	it = merge_of(mems, MEMS);
	OK(memtable_iter_new(all, &want));
	for (int i = 0; i < STEPS; i++) {
		uint64_t what = rng_below(&rng, 20);
		char k[8];

		snprintf(k, sizeof(k), "%02u", (unsigned)rng_below(&rng, 100));
		buf_clear(&key);
		buf_put_ikey(&key, K(k), SEEK_TRAILER(rng_below(&rng, N + 1)));
		if (what == 0 || !it->valid) {
			it->ops->seek(it, buf_slice(&key));
			want->ops->seek(want, buf_slice(&key));
		} else if (what == 1) {
			it->ops->seek_prev(it, buf_slice(&key));
			want->ops->seek_prev(want, buf_slice(&key));
		} else if (what < 12) {
			it->ops->next(it);
			want->ops->next(want);
		} else {
			it->ops->prev(it);
			want->ops->prev(want);
		}
		assert_int_equal(it->valid, want->valid);
		if (it->valid)
			assert_true(slice_equal(it->key, want->key) && slice_equal(it->value, want->value));
	}
	buf_free(&key);
	iter_free(it);
	iter_free(want);
	memtable_unref(all);
	for (int i = 0; i < MEMS; i++)
		memtable_unref(mems[i]);
}

/* Table `number` with the keys of `keys`, one letter each, at sequence number `seq`; none: only a range tombstone. */
static struct table_meta *table_make(struct tree_test *t, uint64_t number, const char *keys, uint64_t seq)
{
	const struct table_write_options o = { .block_bytes = 4096, .filter_bits = 10 };
	struct table_writer *w = NULL;
	struct table_props props = { 0 };
	struct table_meta *m = NULL;
	struct buf ikey = { 0 };
	char path[STORE_PATH_MAX];

	store_file_path(path, t->dir, STORE_TABLE, number);
	OK(table_writer_open(env_posix(), path, number, &o, &w));
	for (; *keys; keys++) {
		buf_clear(&ikey);
		buf_put_ikey(&ikey, slice_of(keys, 1), trailer_of(seq, ENTRY_PUT));
		OK(table_writer_add(w, buf_slice(&ikey), slice_of(keys, 1)));
	}
	if (!ikey.size)
		OK(table_writer_add_range_delete(w, &(struct range_del){ K("m"), K("n"), seq }));
	OK(table_writer_finish(w, &props));
	buf_free(&ikey);
	OK(table_meta_new(&t->tree, number, &props, &m));
	return m;
}

static void test_level(void **state)
{
	struct tree_test *t = *state;
	struct table_meta *tables[] = { table_make(t, 1, "ac", 5), table_make(t, 2, "", 5),
					table_make(t, 3, "prt", 5) };
	struct buf key = { 0 };
	struct iter *it = NULL;

	OK(level_iter_new(&t->tree, tables, 3, false, &it));
	it->ops->seek_first(it);
	assert_string_equal(entries_text(it, false), "a@5=a c@5=c p@5=p r@5=r t@5=t"); /* past the one without points */
	it->ops->seek_last(it);
	assert_string_equal(entries_text(it, true), "t@5=t r@5=r p@5=p c@5=c a@5=a");
	for (const char *k = "abmoqz"; *k; k++) {
		buf_clear(&key);
		buf_put_ikey(&key, slice_of(k, 1), UINT64_MAX);
		it->ops->seek(it, buf_slice(&key));
		assert_int_equal(it->valid, *k != 'z');
		if (it->valid)
			assert_int_equal(*(const char *)it->value.data, *k == 'a'   ? 'a'
									: *k == 'b' ? 'c'
									: *k == 'q' ? 'r'
										    : 'p');
		it->ops->seek_prev(it, buf_slice(&key));
		assert_int_equal(it->valid, *k != 'a');
		if (it->valid)
			assert_int_equal(*(const char *)it->value.data, *k == 'b'   ? 'a'
									: *k == 'q' ? 'p'
									: *k == 'z' ? 't'
										    : 'c');
	}
	iter_free(it);
	buf_free(&key);
	for (int i = 0; i < 3; i++)
		table_meta_unref(tables[i]);
}

/* Up to "p", what is older than the tombstone is left out; a newer entry in another source isn't. */
static void test_skip(void **state)
{
	struct tree_test *t = *state;
	struct table_meta *old[] = { table_make(t, 1, "abc", 5), table_make(t, 2, "def", 6),
				     table_make(t, 3, "opq", 5) };
	struct table_meta *young = table_make(t, 4, "bk", 20);
	struct merge_child children[2] = { { NULL, true }, { NULL, true } };
	struct iter *it = NULL;

	OK(level_iter_new(&t->tree, &young, 1, false, &children[0].it));
	OK(level_iter_new(&t->tree, old, 3, false, &children[1].it));
	OK(merge_iter_new(children, 2, &it));
	it->ops->seek_first(it);
	merge_iter_skip(it, K("p"), 10);
	assert_string_equal(entries_text(it, false), "b@20=b k@20=k p@5=p q@5=q");
	it->ops->seek_first(it);
	merge_iter_skip(it, K("p"), 6); /* not what is as new */
	assert_string_equal(entries_text(it, false), "b@20=b d@6=d e@6=e f@6=f k@20=k o@5=o p@5=p q@5=q");
	iter_free(it);
	for (int i = 0; i < 3; i++)
		table_meta_unref(old[i]);
	table_meta_unref(young);
}

/* A table that can't be opened ends the merge with its error, and the next seek elsewhere works. */
static void test_error(void **state)
{
	struct tree_test *t = *state;
	struct table_meta *tables[] = { table_make(t, 1, "ab", 5), table_make(t, 2, "xy", 5) };
	struct merge_child child = { NULL, true };
	struct iter *it = NULL;
	char path[STORE_PATH_MAX];

	store_file_path(path, t->dir, STORE_TABLE, 2);
	OK(env_unlink(env_posix(), path));
	OK(level_iter_new(&t->tree, tables, 2, false, &child.it));
	OK(merge_iter_new(&child, 1, &it));
	it->ops->seek_first(it);
	it->ops->next(it);
	assert_true(it->valid);
	it->ops->next(it);
	assert_false(it->valid);
	assert_int_equal(it->status, LSM_IO);
	it->ops->seek_last(it);
	assert_int_equal(it->status, LSM_IO);
	it->ops->seek_first(it);
	assert_true(it->valid && !it->status);
	iter_free(it);
	table_meta_unref(tables[0]);
	table_meta_unref(tables[1]);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, tree_teardown)
	const struct CMUnitTest tests[] = {
		T(test_order), T(test_walks), T(test_level), T(test_skip), T(test_error),
	};

	return cmocka_run_group_tests_name("merge_iter", tests, NULL, NULL);
}
