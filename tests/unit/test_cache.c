/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lsm/memory/cache.h"
#include "tests/support/rng.h"

/* Values are numbers on the heap that remember their key, so that sanitizers see a double free or a use after it. */
static _Atomic int64_t values_alive;

static uint64_t *value_new(struct cache_key key)
{
	uint64_t *v = malloc(sizeof(*v));

	assert_non_null(v);
	*v = key.file * 1000003 + key.offset;
	atomic_fetch_add(&values_alive, 1);
	return v;
}

static void value_free(void *ctx, void *value)
{
	(void)ctx;
	*(uint64_t *)value = 0;
	free(value);
	atomic_fetch_sub(&values_alive, 1);
}

static struct cache *cache_make(uint64_t capacity, unsigned shards)
{
	struct cache *c = NULL;

	atomic_store(&values_alive, 0);
	assert_int_equal(cache_new(capacity, shards, value_free, NULL, &c), LSM_OK);
	return c;
}

static void cache_end(struct cache *c)
{
	cache_free(c);
	assert_int_equal(atomic_load(&values_alive), 0);
}

static struct cache_key key_of(uint64_t file, uint64_t offset)
{
	return (struct cache_key){ file, offset };
}

static void add(struct cache *c, uint64_t file, uint64_t offset, uint64_t charge)
{
	struct cache_key key = key_of(file, offset);

	cache_release(c, cache_insert(c, key, value_new(key), charge, false));
}

static bool has(struct cache *c, uint64_t file, uint64_t offset)
{
	struct cache_entry *e = cache_lookup(c, key_of(file, offset));

	if (!e)
		return false;
	assert_int_equal(*(uint64_t *)cache_entry_value(e), file * 1000003 + offset);
	cache_release(c, e);
	return true;
}

static struct cache_stats stats_of(struct cache *c)
{
	struct cache_stats st;

	cache_get_stats(c, &st);
	return st;
}

static void test_insert_lookup_erase(void **state)
{
	struct cache *c = cache_make(1000, 1);

	(void)state;
	assert_false(has(c, 1, 2));
	add(c, 1, 2, 10);
	add(c, 2, 1, 20);
	assert_true(has(c, 1, 2));
	assert_true(has(c, 2, 1));
	assert_false(has(c, 1, 1));
	assert_int_equal(stats_of(c).hits, 2);
	assert_int_equal(stats_of(c).misses, 2);
	assert_int_equal(stats_of(c).bytes, 30);
	assert_int_equal(stats_of(c).entries, 2);
	cache_erase(c, key_of(1, 2));
	cache_erase(c, key_of(1, 2));
	assert_false(has(c, 1, 2));
	assert_true(has(c, 2, 1));
	assert_int_equal(stats_of(c).bytes, 20);
	assert_int_equal(atomic_load(&values_alive), 1);
	cache_end(c);
	cache_free(NULL);
}

static void test_second_insert_gets_the_first(void **state)
{
	struct cache *c = cache_make(1000, 1);
	struct cache_key key = key_of(7, 7);
	struct cache_entry *a = cache_insert(c, key, value_new(key), 10, false);
	struct cache_entry *b = cache_insert(c, key, value_new(key), 10, true);

	(void)state;
	assert_ptr_equal(a, b);
	assert_int_equal(atomic_load(&values_alive), 1);
	assert_int_equal(stats_of(c).bytes, 10);
	cache_release(c, a);
	cache_release(c, b);
	assert_true(has(c, 7, 7)); /* `low_priority` does not throw out what was there */
	cache_end(c);
}

static void test_capacity(void **state)
{
	struct cache *c = cache_make(10000, 4);
	struct rng rng = { seed_choose("test_capacity") };

	(void)state;
	for (uint64_t i = 0; i < 20000; i++) {
		add(c, rng_below(&rng, 10), rng_below(&rng, 500), 1 + rng_below(&rng, 100));
		assert_true(stats_of(c).bytes <= 10000);
		has(c, rng_below(&rng, 10), rng_below(&rng, 500));
	}
	assert_true(stats_of(c).bytes > 9000); /* and is made use of */
	assert_int_equal(stats_of(c).entries, atomic_load(&values_alive));
	cache_end(c);
}

/* Pinned entries stay whatever comes, are all that may exceed the capacity, and give it back when they are released. */
static void test_pinned_stay(void **state)
{
	enum { N = 50, CHARGE = 100, CAPACITY = 1000 };
	struct cache *c = cache_make(CAPACITY, 1);
	struct cache_entry *pins[N];

	(void)state;
	for (uint64_t i = 0; i < N; i++) {
		pins[i] = cache_insert(c, key_of(1, i), value_new(key_of(1, i)), CHARGE, false);
		assert_true(stats_of(c).bytes <= (i + 1) * CHARGE || stats_of(c).bytes <= CAPACITY);
	}
	for (uint64_t i = 0; i < 100; i++)
		add(c, 2, i, 10);
	for (uint64_t i = 0; i < N; i++)
		assert_int_equal(*(uint64_t *)cache_entry_value(pins[i]), 1000003 + i);
	assert_int_equal(stats_of(c).bytes, N * CHARGE);
	for (uint64_t i = 0; i < N; i++) {
		cache_release(c, pins[i]);
		assert_true(stats_of(c).bytes <= CAPACITY || stats_of(c).bytes <= (N - i - 1) * CHARGE);
	}
	assert_true(stats_of(c).bytes <= CAPACITY);
	assert_true(stats_of(c).entries > 0);
	add(c, 3, 3, 10);
	assert_true(has(c, 3, 3));
	cache_end(c);
}

/* What isn't pinned goes before the capacity is exceeded, in whichever queue it is. */
static void test_unpinned_go_first(void **state)
{
	enum { SLOTS = 64, CHARGE = 25, CAPACITY = 1000 };
	struct rng rng = { seed_choose("test_unpinned_go_first") };
	struct cache *c = cache_make(CAPACITY, 1);
	struct cache_entry *pins[SLOTS] = { 0 };
	uint64_t pinned[2] = { 0 }; /* of usual and of low priority; an entry that is pinned twice counts twice */
	bool is_low[SLOTS] = { 0 };

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct cache_key key = key_of(1, rng_below(&rng, 200));
		uint64_t at = rng_below(&rng, SLOTS);

		if (pins[at]) {
			pinned[is_low[at]] -= CHARGE;
			cache_release(c, pins[at]);
			pins[at] = NULL;
		} else {
			is_low[at] = rng_one_in(&rng, 8);
			pins[at] = cache_insert(c, key, value_new(key), CHARGE, is_low[at]);
			pinned[is_low[at]] += CHARGE;
		}
		add(c, 2, rng_below(&rng, 200), CHARGE);
		assert_true(stats_of(c).bytes <= (pinned[0] > CAPACITY ? pinned[0] : CAPACITY) + pinned[1]);
	}
	for (int i = 0; i < SLOTS; i++)
		if (pins[i])
			cache_release(c, pins[i]);
	assert_true(stats_of(c).bytes <= CAPACITY);
	cache_end(c);
}

static void test_erase_while_pinned(void **state)
{
	struct cache *c = cache_make(1000, 2);
	struct cache_entry *e = cache_insert(c, key_of(1, 1), value_new(key_of(1, 1)), 10, false), *again;

	(void)state;
	again = cache_lookup(c, key_of(1, 1));
	cache_erase(c, key_of(1, 1));
	assert_false(has(c, 1, 1));
	assert_int_equal(*(uint64_t *)cache_entry_value(e), 1000003 + 1);
	add(c, 1, 1, 10);
	assert_int_equal(atomic_load(&values_alive), 2);
	assert_int_equal(stats_of(c).bytes, 20);
	cache_release(c, e);
	assert_int_equal(atomic_load(&values_alive), 2);
	cache_release(c, again);
	assert_int_equal(atomic_load(&values_alive), 1);
	assert_int_equal(stats_of(c).bytes, 10);
	cache_end(c);
}

static void test_erase_file(void **state)
{
	struct cache *c = cache_make(1 << 20, 8);
	struct cache_entry *e;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		add(c, i % 4, i, 10);
	e = cache_lookup(c, key_of(2, 2));
	cache_erase_file(c, 2);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(has(c, i % 4, i), i % 4 != 2);
	assert_int_equal(stats_of(c).entries, 750);
	assert_int_equal(stats_of(c).bytes, 7510);
	cache_release(c, e);
	assert_int_equal(stats_of(c).bytes, 7500);
	cache_end(c);
}

/* A hot set that half fills the cache survives a scan of ten times the capacity. */
static void test_scan_resistance(void **state)
{
	enum { CAPACITY = 1000, HOT = 500 };
	struct cache *c = cache_make(CAPACITY, 1);
	unsigned kept = 0;

	(void)state;
	for (int round = 0; round < 4; round++)
		for (uint64_t i = 0; i < HOT; i++)
			if (!has(c, 1, i))
				add(c, 1, i, 1);
	for (uint64_t i = 0; i < 10 * CAPACITY; i++)
		add(c, 2, i, 1);
	for (uint64_t i = 0; i < HOT; i++)
		kept += has(c, 1, i);
	assert_true(kept > HOT * 9 / 10);
	cache_end(c);
}

/* An entry that comes back soon after its eviction goes to the main queue at once, which a scan doesn't touch. */
static void test_ghosts(void **state)
{
	enum { CAPACITY = 1000 };
	struct cache *c = cache_make(CAPACITY, 1);
	unsigned kept = 0;

	(void)state;
	for (uint64_t i = 0; i < CAPACITY + 50; i++)
		add(c, 1, i, 1); /* the first 50 are pushed out again */
	for (uint64_t i = 0; i < 50; i++) {
		assert_false(has(c, 1, i));
		add(c, 1, i, 1);
	}
	for (uint64_t i = 0; i < 2 * CAPACITY; i++)
		add(c, 2, i, 1);
	for (uint64_t i = 0; i < 50; i++)
		kept += has(c, 1, i);
	assert_true(kept > 40);
	cache_end(c);
}

static void test_low_priority(void **state)
{
	struct cache *c = cache_make(100, 1);
	struct cache_entry *e;

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		add(c, 1, i, 10);
	e = cache_insert(c, key_of(2, 0), value_new(key_of(2, 0)), 10, true);
	assert_int_equal(stats_of(c).entries, 10); /* nobody had to go */
	assert_int_equal(stats_of(c).bytes, 110);
	cache_release(c, e);
	assert_int_equal(stats_of(c).bytes, 100);
	assert_false(has(c, 2, 0));
	for (uint64_t i = 0; i < 10; i++)
		assert_true(has(c, 1, i));
	cache_end(c);
}

static void test_larger_than_a_shard(void **state)
{
	struct cache *c = cache_make(800, 8);
	struct cache_entry *e;

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		add(c, 1, i, 10);
	e = cache_insert(c, key_of(2, 0), value_new(key_of(2, 0)), 500, false);
	assert_int_equal(*(uint64_t *)cache_entry_value(e), 2 * 1000003);
	assert_int_equal(cache_entry_charge(e), 500);
	cache_release(c, e);
	assert_false(has(c, 2, 0));
	assert_int_equal(stats_of(c).bytes, 200);
	cache_end(c);
}

static void test_charge(void **state)
{
	struct cache *c = cache_make(1024, 4);

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		add(c, 1, i, 8);
	assert_true(stats_of(c).bytes > 900);
	cache_charge(c, 512);
	assert_int_equal(stats_of(c).charged_bytes, 512);
	assert_true(stats_of(c).bytes <= 1024);
	assert_true(stats_of(c).entries <= 64);
	for (uint64_t i = 0; i < 1000; i++) {
		add(c, 2, i, 8);
		assert_true(stats_of(c).bytes <= 1024);
	}
	cache_charge(c, 4096); /* more than there is: the cache keeps nothing, and works */
	assert_int_equal(stats_of(c).entries, 0);
	add(c, 3, 3, 8);
	assert_false(has(c, 3, 3));
	cache_charge(c, -4096 - 512);
	for (uint64_t i = 0; i < 1000; i++)
		add(c, 4, i, 8);
	assert_true(stats_of(c).bytes > 900 && stats_of(c).bytes <= 1024);
	cache_end(c);
}

/* ---- threads ---- */

enum { THREADS = 4, THREAD_OPS = 20000, HELD = 8 };

struct worker {
	struct cache *cache;
	uint64_t seed;
	pthread_t thread;
	unsigned bad;
};

static struct cache_entry *worker_get(struct worker *w, struct rng *rng, struct cache_key key)
{
	struct cache_entry *e = cache_lookup(w->cache, key);

	if (!e)
		e = cache_insert(w->cache, key, value_new(key), 10, rng_one_in(rng, 10));
	w->bad += *(uint64_t *)cache_entry_value(e) != key.file * 1000003 + key.offset;
	return e;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct rng rng = { w->seed };
	struct cache_entry *held[HELD] = { 0 };

	for (int i = 0; i < THREAD_OPS; i++) {
		struct cache_key key = key_of(rng_below(&rng, 4), rng_below(&rng, 100));
		uint64_t at = rng_below(&rng, HELD);
		uint64_t what = rng_below(&rng, 1000);

		if (what < 2) {
			cache_erase_file(w->cache, key.file);
		} else if (what < 20) {
			cache_erase(w->cache, key);
		} else if (what < 40) {
			cache_charge(w->cache, 300);
			cache_charge(w->cache, -300);
		} else {
			if (held[at])
				cache_release(w->cache, held[at]);
			held[at] = worker_get(w, &rng, key);
		}
	}
	for (int i = 0; i < HELD; i++)
		if (held[i])
			cache_release(w->cache, held[i]);
	return NULL;
}

static void test_threads(void **state)
{
	uint64_t seed = seed_choose("test_threads");
	struct cache *c = cache_make(1200, 2);
	struct worker workers[THREADS];
	struct cache_stats st;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .cache = c, .seed = seed + i };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].bad, 0);
	}
	st = stats_of(c);
	assert_true(st.bytes <= 1200);
	assert_int_equal(st.charged_bytes, 0);
	assert_int_equal(st.entries * 10, st.bytes);
	assert_int_equal(st.entries, atomic_load(&values_alive));
	cache_end(c);
}

/* ---- the block cache ---- */

/* A cache that shrinks because others need its memory gives it back, holes and all. */
static void test_block_cache_shrinks(void **state)
{
	enum { MIB = 1 << 20, CAPACITY = 96 * MIB };
	struct rng r = { seed_choose("shrinking") };
	struct block_cache *b = NULL;
	struct block_source *source;

	(void)state;
	assert_int_equal(block_cache_new(CAPACITY, &b), LSM_OK);
	source = block_cache_source(b);
	for (uint64_t i = 0; i < 60000; i++) {
		size_t size = 3000 + rng_below(&r, 1500);
		void *data = source->take(source, size);
		struct block_pin pin;

		assert_non_null(data);
		source->insert(source, 1, i, data, size, false, &pin);
		source->release(source, &pin);
		/* What is used again stays, so that eviction leaves holes. */
		for (int k = 0; k < 2; k++) {
			if (source->lookup(source, 1, rng_below(&r, i / 3 + 1), &pin))
				source->release(source, &pin);
		}
		assert_true(block_cache_heap_bytes(b) <= CAPACITY + CAPACITY / 16);
	}
	for (int charged = 0; charged < 96; charged += 8) {
		block_cache_charge(b, 8 * MIB);
		assert_true(block_cache_heap_bytes(b) <= (uint64_t)(CAPACITY - (charged + 8) * MIB + CAPACITY / 16));
	}
	block_cache_charge(b, -96 * MIB);
	block_cache_free(b);
}

static void test_block_cache(void **state)
{
	struct block_cache *b = NULL;
	struct block_source *source;
	struct block_pin pin = { 0 }, other = { 0 };

	(void)state;
	assert_int_equal(block_cache_new(1 << 20, &b), LSM_OK);
	source = block_cache_source(b);
	assert_false(source->lookup(source, 1, 4096, &pin));
	source->insert(source, 1, 4096, strdup("block"), 6, false, &pin);
	assert_int_equal(pin.data.size, 6);
	assert_string_equal(pin.data.data, "block");
	assert_true(source->lookup(source, 1, 4096, &other));
	assert_ptr_equal(other.data.data, pin.data.data);
	assert_int_equal(other.data.size, 6);
	source->release(source, &other);
	source->insert(source, 1, 4096, strdup("block"), 6, true, &other); /* the first copy stays */
	assert_ptr_equal(other.data.data, pin.data.data);
	source->release(source, &other);
	source->release(source, &pin);
	source->release(source, &pin);
	assert_true(stats_of(block_cache_cache(b)).bytes >= 6);
	block_cache_free(b);
	block_cache_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_insert_lookup_erase),
		cmocka_unit_test(test_second_insert_gets_the_first),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_pinned_stay),
		cmocka_unit_test(test_unpinned_go_first),
		cmocka_unit_test(test_erase_while_pinned),
		cmocka_unit_test(test_erase_file),
		cmocka_unit_test(test_scan_resistance),
		cmocka_unit_test(test_ghosts),
		cmocka_unit_test(test_low_priority),
		cmocka_unit_test(test_larger_than_a_shard),
		cmocka_unit_test(test_charge),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_block_cache),
		cmocka_unit_test(test_block_cache_shrinks),
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
