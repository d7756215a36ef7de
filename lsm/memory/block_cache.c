/* SPDX-License-Identifier: MIT */
/*
 * block_cache - the tables' block_source on top of the cache. A pin is a cache entry, or, when there was no memory for
 * one, the block itself with the pointer's lowest bit set: a read must not fail for the want of a cache.
 */
#include <stdatomic.h>

#include "lsm/memory/block_heap.h"
#include "lsm/memory/cache.h"

enum {
	SHARD_BYTES_MIN = 512 << 10, /* smaller shards would hold too few blocks to choose from */
	SHARDS_MAX = 16,
	BLOCK_OVERHEAD_BYTES = 144, /* the entry, its share of the hash table, malloc's headers */
};

struct block_cache {
	struct block_source source; /* first: the source is the block_cache */
	struct cache *cache;
	_Atomic int64_t kept_bytes; /* of filters and indexes that open tables keep */
	struct block_heap *heap;
	_Atomic uint64_t prefetch_left; /* bytes */
	atomic_flag trimming;
};

static void *pin_uncached(void *data)
{
	return (uint8_t *)data + 1;
}

static bool is_uncached(const void *pin)
{
	return (uintptr_t)pin & 1;
}

/* ---- holes: what the heap holds beyond its blocks ---- */

static bool lies_in_closed(void *ctx, const void *value)
{
	return block_heap_closed(ctx, value);
}

/*
 * Blocks are evicted by their use, wherever they lie, so a cache that has to shrink leaves holes all over its memory. When
 * these pass a HOLES_SHARE of the budget, the emptiest chunks are given up with all blocks in them.
 */
static void trim(struct block_cache *b)
{
	enum { HOLES_SHARE = 32 };
	uint64_t capacity = cache_capacity(b->cache), charged = cache_charged(b->cache);
	uint64_t limit = charged < capacity ? capacity - charged : 0, bytes = block_heap_bytes(b->heap);

	if (bytes <= limit + capacity / HOLES_SHARE ||
	    atomic_flag_test_and_set_explicit(&b->trimming, memory_order_acquire))
		return;
	if (block_heap_close_chunks(b->heap, bytes - limit))
		cache_erase_values(b->cache, lies_in_closed, b->heap);
	atomic_flag_clear_explicit(&b->trimming, memory_order_release);
}

void block_cache_charge(struct block_cache *b, int64_t delta)
{
	cache_charge(b->cache, delta);
	trim(b);
}

/* ---- the source ---- */

static struct block_pin pin_entry(struct cache_entry *e)
{
	size_t size = cache_entry_charge(e) - BLOCK_OVERHEAD_BYTES;

	return (struct block_pin){ slice_of(cache_entry_value(e), size), e };
}

static bool source_lookup(struct block_source *source, uint64_t file, uint64_t offset, struct block_pin *ret)
{
	struct block_cache *b = (struct block_cache *)source;
	struct cache_entry *e = cache_lookup(b->cache, (struct cache_key){ file, offset });

	if (!e)
		return false;
	*ret = pin_entry(e);
	return true;
}

static void source_insert(struct block_source *source, uint64_t file, uint64_t offset, void *data, size_t size,
			  bool low_priority, struct block_pin *ret)
{
	struct block_cache *b = (struct block_cache *)source;
	struct cache_entry *e = cache_insert(b->cache, (struct cache_key){ file, offset }, data,
					     size + BLOCK_OVERHEAD_BYTES, low_priority);

	*ret = e ? pin_entry(e) : (struct block_pin){ slice_of(data, size), pin_uncached(data) };
	trim(b);
}

static void source_release(struct block_source *source, struct block_pin *pin)
{
	struct block_cache *b = (struct block_cache *)source;

	if (is_uncached(pin->pin))
		block_heap_give(b->heap, (uint8_t *)pin->pin - 1);
	else if (pin->pin)
		cache_release(b->cache, pin->pin);
	*pin = (struct block_pin){ 0 };
}

/* What is kept must leave room for blocks. Asked again and again while the answer is no: that writes nothing. */
static bool source_keep(struct block_source *source, size_t bytes, enum keep_why why)
{
	static const uint64_t eighths[] = { [KEEP_INDEX] = 2, [KEEP_DEEP_FILTER] = 3, [KEEP_FILTER] = 5 };
	struct block_cache *b = (struct block_cache *)source;
	int64_t max = (int64_t)(cache_capacity(b->cache) / 8 * eighths[why]);

	if (atomic_load_explicit(&b->kept_bytes, memory_order_relaxed) + (int64_t)bytes > max)
		return false;
	atomic_fetch_add(&b->kept_bytes, (int64_t)bytes);
	block_cache_charge(b, (int64_t)bytes);
	return true;
}

static void source_unkeep(struct block_source *source, size_t bytes)
{
	struct block_cache *b = (struct block_cache *)source;

	atomic_fetch_sub(&b->kept_bytes, (int64_t)bytes);
	cache_charge(b->cache, -(int64_t)bytes);
}

static bool source_may_prefetch(struct block_source *source, uint64_t bytes)
{
	struct block_cache *b = (struct block_cache *)source;
	uint64_t left = atomic_load_explicit(&b->prefetch_left, memory_order_relaxed);

	while (left >= bytes) {
		if (atomic_compare_exchange_weak_explicit(&b->prefetch_left, &left, left - bytes, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	}
	return false;
}

void block_cache_allow_prefetch(struct block_cache *b, uint64_t bytes)
{
	atomic_store_explicit(&b->prefetch_left, bytes, memory_order_relaxed);
}

static void *source_take(struct block_source *source, size_t size)
{
	return block_heap_take(((struct block_cache *)source)->heap, size);
}

static void source_give(struct block_source *source, void *data)
{
	block_heap_give(((struct block_cache *)source)->heap, data);
}

static void free_block(void *ctx, void *value)
{
	block_heap_give(ctx, value);
}

int block_cache_new(uint64_t capacity_bytes, struct block_cache **ret)
{
	struct block_cache *b = calloc(1, sizeof(*b));
	unsigned shards = 1;
	int rc;

	if (!b)
		return status_no_memory(sizeof(*b));
	while (shards < SHARDS_MAX && capacity_bytes / (shards * 2) >= SHARD_BYTES_MIN)
		shards *= 2;
	rc = block_heap_new(capacity_bytes, &b->heap);
	if (!rc)
		rc = cache_new(capacity_bytes, shards, free_block, b->heap, &b->cache);
	if (rc) {
		block_heap_free(b->heap);
		free(b);
		return rc;
	}
	b->source = (struct block_source){ .lookup = source_lookup,
					   .insert = source_insert,
					   .release = source_release,
					   .keep = source_keep,
					   .unkeep = source_unkeep,
					   .may_prefetch = source_may_prefetch,
					   .take = source_take,
					   .give = source_give };
	*ret = b;
	return LSM_OK;
}

void block_cache_free(struct block_cache *b)
{
	if (!b)
		return;
	cache_free(b->cache);
	block_heap_free(b->heap);
	free(b);
}

struct block_source *block_cache_source(struct block_cache *b)
{
	return &b->source;
}

struct cache *block_cache_cache(struct block_cache *b)
{
	return b->cache;
}

uint64_t block_cache_heap_bytes(struct block_cache *b)
{
	return block_heap_bytes(b->heap);
}
