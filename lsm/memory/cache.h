/* SPDX-License-Identifier: MIT */
#ifndef LSM_MEMORY_CACHE_H
#define LSM_MEMORY_CACHE_H
/*
 * cache - a sharded, scan-resistant cache of values by a 128-bit key, charged against one capacity. Eviction is
 * S3-FIFO (J. Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): new entries pass through a
 * small probation queue, and only what is asked for again reaches the main one. The block cache and the table cache
 * are both made of it.
 *
 * The capacity also covers memory that others hold (memtables, open tables): cache_charge() takes it from what the
 * entries may use, so that one budget rules all. All calls are thread-safe.
 */
#include "lsm/format/table.h"

struct cache;
struct cache_entry; /* a pin on a cached value */

struct cache_key {
	uint64_t file, offset;
};

typedef void (*cache_free_fn)(void *ctx, void *value);

/* `capacity` in bytes (or in whatever unit the charges are); `shards` is rounded up to a power of two.
 * `free_fn(ctx, value)` ends a value that has left the cache and is pinned by nobody; it is never called under a lock
 * of the cache. */
int cache_new(uint64_t capacity, unsigned shards, cache_free_fn free_fn, void *ctx, struct cache **ret);
void cache_free(struct cache *c); /* nothing may be pinned; NULL is accepted */

/* NULL when absent, else a pin. Counts a hit or a miss. */
struct cache_entry *cache_lookup(struct cache *c, struct cache_key key);
/*
 * Adds a value and returns a pin on it; if another thread added one for the same key before, that one is pinned and
 * returned and `value` is freed. `low_priority` entries are not kept once they are unpinned unless they were there
 * already. NULL when memory is short: `value` is still the caller's then.
 */
struct cache_entry *cache_insert(struct cache *c, struct cache_key key, void *value, uint64_t charge,
				 bool low_priority);
void *cache_entry_value(const struct cache_entry *e);
uint64_t cache_entry_charge(const struct cache_entry *e);
void cache_release(struct cache *c, struct cache_entry *e);

/* Forgets an entry (its value goes when nobody pins it), and all entries of a file. */
void cache_erase(struct cache *c, struct cache_key key);
void cache_erase_file(struct cache *c, uint64_t file);
/* All entries whose value `is_it` says is one. Called under a lock of the cache. */
void cache_erase_values(struct cache *c, bool (*is_it)(void *ctx, const void *value), void *ctx);

uint64_t cache_capacity(const struct cache *c);
/* Adds to what is held outside of the entries (negative: gives back); evicts as needed. */
void cache_charge(struct cache *c, int64_t delta);

/* The sum of it. */
uint64_t cache_charged(const struct cache *c);

struct cache_stats {
	uint64_t hits, misses;
	uint64_t entries;       /* to be found by a look-up */
	uint64_t bytes;         /* charges of entries (pinned ones that were erased, too) and of cache_charge() */
	uint64_t charged_bytes; /* of cache_charge() alone */
	uint64_t capacity;
};
void cache_get_stats(struct cache *c, struct cache_stats *ret);

/* The block cache as the tables see it. */
struct block_cache;
int block_cache_new(uint64_t capacity_bytes, struct block_cache **ret);
void block_cache_free(struct block_cache *b);
struct block_source *block_cache_source(struct block_cache *b);
/* How many bytes may be read in all, from now on, because they lie near what was asked for. At first none. */
void block_cache_allow_prefetch(struct block_cache *b, uint64_t bytes);
/* Memory of the budget that others hold, as cache_charge(). */
void block_cache_charge(struct block_cache *b, int64_t delta);
/* What the memory for blocks takes, with its holes; 0: it is malloc's. */
uint64_t block_cache_heap_bytes(struct block_cache *b);
struct cache *block_cache_cache(struct block_cache *b); /* for statistics */

#endif
