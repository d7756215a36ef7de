/* SPDX-License-Identifier: MIT */
/* The memtable: versions of keys in order, found at every sequence number, range tombstones beside them. */
#include <pthread.h>
#include <stdatomic.h>

#include "lsm/format/filter.h"
#include "tests/support/tree_test.h"

static int setup(void **state)
{
	struct memtable *m = NULL;

	OK(memtable_new(7, 65536, &m));
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	memtable_unref(*state);
	return 0;
}

static void expect_get(struct memtable *m, const char *key, uint64_t seq, const char *value)
{
	struct lsm_slice v;
	uint64_t trailer;
	bool found = memtable_get(m, K(key), filter_hash(K(key)), SEEK_TRAILER(seq), &trailer, &v);

	assert_int_equal(found, value != NULL);
	if (found)
		assert_true(slice_equal(v, K(value)) && trailer_seq(trailer) <= seq);
}

static void test_versions(void **state)
{
	struct memtable *m = *state;

	mem_put(m, "b", 1, ENTRY_PUT, "one");
	mem_put(m, "a", 2, ENTRY_PUT, "two");
	mem_put(m, "b", 3, ENTRY_DELETE, "");
	mem_put(m, "b", 5, ENTRY_PUT, "five");
	mem_put(m, "bb", 6, ENTRY_PUT, "");
	expect_get(m, "b", 0, NULL);
	expect_get(m, "b", 2, "one");
	expect_get(m, "b", 3, "");
	expect_get(m, "b", 4, "");
	expect_get(m, "b", SEQUENCE_MAX >> 8, "five");
	expect_get(m, "a", 1, NULL);
	expect_get(m, "ab", 9, NULL);
	expect_get(m, "", 9, NULL);
	assert_int_equal(memtable_entries(m), 5);
	assert_int_equal(memtable_deletes(m), 1);
	assert_int_equal(memtable_first_segment(m), 7);
}

static void test_iterator(void **state)
{
	struct memtable *m = *state;
	struct buf key = { 0 };
	struct iter *it = NULL;

	OK(memtable_iter_new(m, &it));
	it->ops->seek_first(it);
	assert_false(it->valid);
	it->ops->seek_last(it);
	assert_false(it->valid);
	iter_free(it);
	mem_put(m, "c", 1, ENTRY_PUT, "x");
	mem_put(m, "a", 2, ENTRY_PUT, "y");
	mem_put(m, "c", 3, ENTRY_DELETE, "");
	OK(memtable_iter_new(m, &it));
	it->ops->seek_first(it);
	assert_string_equal(entries_text(it, false), "a@2=y c@3- c@1=x");
	it->ops->seek_last(it);
	assert_string_equal(entries_text(it, true), "c@1=x c@3- a@2=y");
	buf_put_ikey(&key, K("c"), SEEK_TRAILER(2));
	it->ops->seek(it, buf_slice(&key));
	assert_string_equal(entries_text(it, false), "c@1=x");
	it->ops->seek_prev(it, buf_slice(&key));
	assert_string_equal(entries_text(it, true), "c@3- a@2=y");
	buf_clear(&key);
	buf_put_ikey(&key, K("c"), trailer_of(1, ENTRY_PUT)); /* the very entry: both ways it is found */
	it->ops->seek(it, buf_slice(&key));
	assert_true(it->valid && slice_equal(it->value, K("x")));
	it->ops->seek_prev(it, buf_slice(&key));
	assert_true(it->valid && slice_equal(it->value, K("x")));
	buf_free(&key);
	iter_free(it);
}

/* In whatever order keys come, they lie in order. */
static void test_order(void **state)
{
	enum { N = 4000 };
	struct memtable *m = *state;
	struct rng rng = { seed_choose("test_order") };
	struct buf last = { 0 };
	struct iter *it = NULL;
	size_t n = 0;

	for (uint64_t seq = 1; seq <= N; seq++) {
		char key[24];

		snprintf(key, sizeof(key), "%05llu", (unsigned long long)(seq % 3 ? seq : rng_below(&rng, N)));
		mem_put(m, key, seq, ENTRY_PUT, key);
	}
	OK(memtable_iter_new(m, &it));
	for (it->ops->seek_first(it); it->valid; it->ops->next(it), n++) {
		assert_true(!n || ikey_compare(buf_slice(&last), it->key) < 0);
		assert_true(slice_equal(ikey_user(it->key), it->value));
		buf_set(&last, it->key);
	}
	assert_int_equal(n, N);
	assert_true(memtable_range_bytes(m, slice_of(NULL, 0), slice_of(NULL, 0)) > N * 20);
	assert_int_equal(memtable_range_bytes(m, K("9"), slice_of(NULL, 0)), 0);
	buf_free(&last);
	iter_free(it);
}

/* A key that is one of few, or has a long beginning in common with others, or is the beginning of another one. */
static size_t odd_key(struct rng *rng, char key[64])
{
	size_t size = 0;

	switch (rng_below(rng, 4)) {
	case 0:
		return (size_t)snprintf(key, 64, "%02u", (unsigned)rng_below(rng, 50));
	case 1:
		return (size_t)snprintf(key, 64, "a beginning of many bytes, then %u", (unsigned)rng_below(rng, 3000));
	case 2:
		memset(key, 0, 64); /* zeros, that are not the same as a key's end */
		return 1 + rng_below(rng, 40);
	default:
		for (size = 0; size < 1 + rng_below(rng, 20); size++)
			key[size] = (char)(rng_below(rng, 3) - 1);
		return size ? size : 1;
	}
}

static int compare_slices(const void *a, const void *b)
{
	return ikey_compare(*(const struct lsm_slice *)a, *(const struct lsm_slice *)b);
}

/* Entries are brought in order by each iterator that is made, few or many at once: always all, always in order. */
static void test_order_in_steps(void **state)
{
	enum { N = 20000 };
	struct memtable *m = *state;
	struct rng rng = { seed_choose("test_order_in_steps") };
	struct arena arena;
	struct lsm_slice *model = calloc(N, sizeof(*model));
	size_t n = 0;

	assert_non_null(model);
	arena_init(&arena);
	while (n < N) {
		size_t step = rng_below(&rng, 3) ? 1 + rng_below(&rng, 30) : 1 + rng_below(&rng, 6000), i = 0;
		struct iter *it = NULL;

		for (; step && n < N; step--, n++) {
			char key[64];
			size_t size = odd_key(&rng, key);
			uint8_t *copy = arena_alloc(&arena, size + TRAILER_BYTES);

			OK(memtable_add(m, slice_of(key, size), trailer_of(n + 1, ENTRY_PUT), slice_of(key, size)));
			memcpy(copy, key, size);
			put_u64(copy + size, trailer_of(n + 1, ENTRY_PUT));
			model[n] = slice_of(copy, size + TRAILER_BYTES);
		}
		qsort(model, n, sizeof(*model), compare_slices);
		OK(memtable_iter_new(m, &it));
		for (it->ops->seek_first(it); it->valid; it->ops->next(it), i++)
			assert_true(i < n && slice_equal(it->key, model[i]) &&
				    slice_equal(it->value, ikey_user(it->key)));
		assert_int_equal(i, n);
		for (int k = 0; k < 20; k++) {
			i = rng_below(&rng, n);
			it->ops->seek(it, model[i]);
			assert_true(it->valid && slice_equal(it->key, model[i]));
			it->ops->prev(it);
			assert_true(i ? it->valid && slice_equal(it->key, model[i - 1]) : !it->valid);
		}
		iter_free(it);
	}
	/* By the hash, at each of some sequence numbers: the newest version that is not newer. */
	for (int k = 0; k < 3000; k++) {
		size_t i = rng_below(&rng, n);
		struct lsm_slice user = ikey_user(model[i]), value;
		uint64_t trailer, wanted = ikey_trailer(model[i]) + rng_below(&rng, 3);

		assert_true(memtable_get(m, user, filter_hash(user), wanted, &trailer, &value));
		assert_true(trailer <= wanted && trailer >= ikey_trailer(model[i]) && slice_equal(value, user));
	}
	arena_done(&arena);
	free(model);
}

/* Against a list of all tombstones. */
static void test_range_deletes(void **state)
{
	enum { N = 150, KEYS = 30 };
	struct memtable *m = *state;
	struct rng rng = { seed_choose("test_range_deletes") };
	struct {
		char begin[4], end[4];
	} dels[N + 1];
	size_t before = memtable_bytes(m);

	for (uint64_t seq = 1; seq <= N; seq++) {
		unsigned b = (unsigned)rng_below(&rng, KEYS), e = b + 1 + (unsigned)rng_below(&rng, KEYS - b);

		snprintf(dels[seq].begin, sizeof(dels[seq].begin), "%02u", b % 100);
		snprintf(dels[seq].end, sizeof(dels[seq].end), "%02u", e % 100);
		mem_del_range(m, dels[seq].begin, dels[seq].end, seq);
		for (int probe = 0; probe < 10; probe++) {
			uint64_t snapshot = rng_below(&rng, seq + 2), want = 0;
			char key[4];

			snprintf(key, sizeof(key), "%02u", (unsigned)rng_below(&rng, KEYS));
			for (uint64_t i = 1; i <= seq && i <= snapshot; i++)
				if (strcmp(dels[i].begin, key) <= 0 && strcmp(key, dels[i].end) < 0)
					want = i;
			assert_int_equal(memtable_covering(m, K(key), snapshot), want);
		}
	}
	assert_int_equal(memtable_range_deletes(m), N);
	assert_true(memtable_bytes(m) > before);
}

/* One thread adds, others read: an entry that is known to be there is found, whole. */
struct shared {
	struct memtable *m;
	_Atomic uint64_t published;
};

static void *reader(void *arg)
{
	struct shared *s = arg;
	struct rng rng = { (uint64_t)(uintptr_t)&rng };
	uint64_t n;

	while ((n = atomic_load(&s->published)) < 5000) {
		uint64_t i = n ? 1 + rng_below(&rng, n) : 0, trailer;
		struct lsm_slice v;
		char key[24];

		snprintf(key, sizeof(key), "%llu", (unsigned long long)(i * 7919 % 5003));
		if (i && (!memtable_get(s->m, K(key), filter_hash(K(key)), SEEK_TRAILER(n), &trailer, &v) ||
			  !slice_equal(v, K(key))))
			return arg;
		if (i && memtable_covering(s->m, K("x"), n) > n)
			return arg;
	}
	return NULL;
}

/* An iterator finds all that was there when it was made. */
static void *walker(void *arg)
{
	struct shared *s = arg;
	uint64_t n, met;

	while ((n = atomic_load(&s->published)) < 5000) {
		struct iter *it = NULL;

		if (memtable_iter_new(s->m, &it))
			return arg;
		met = 0;
		for (it->ops->seek_first(it); it->valid; it->ops->next(it))
			met += trailer_seq(ikey_trailer(it->key)) <= n && slice_equal(it->value, ikey_user(it->key));
		iter_free(it);
		if (met != n)
			return arg;
	}
	return NULL;
}

static void test_readers(void **state)
{
	enum { THREADS = 4 };
	struct shared s = { .m = *state };
	pthread_t threads[THREADS];
	void *failed;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? walker : reader, &s), 0);
	for (uint64_t i = 1; i <= 5000; i++) {
		char key[24];

		snprintf(key, sizeof(key), "%llu", (unsigned long long)(i * 7919 % 5003));
		mem_put(s.m, key, i, ENTRY_PUT, key);
		if (i % 100 == 0)
			mem_del_range(s.m, "x", "y", i);
		atomic_store(&s.published, i);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_versions),       T(test_iterator),      T(test_order),
		T(test_order_in_steps), T(test_range_deletes), T(test_readers),
	};

	return cmocka_run_group_tests_name("memtable", tests, NULL, NULL);
}
