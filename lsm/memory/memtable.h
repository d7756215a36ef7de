/* SPDX-License-Identifier: MIT */
#ifndef LSM_MEMORY_MEMTABLE_H
#define LSM_MEMORY_MEMTABLE_H
/*
 * memtable - the newest entries, in memory, and the range tombstones beside them. A hash table over an arena answers for
 * single keys. The order, a skip list (W. Pugh, "Skip lists", CACM 1990), is made when somebody wants to iterate, of all
 * entries that have come since the last time: sorting many at once costs a tenth of searching a place for each.
 * One thread adds at a time (the commit lock); any number look up without a lock. What was added stays where it is until
 * the memtable is freed, so readers may keep pointers for as long as they hold a reference.
 */
#include <stdatomic.h>

#include "lsm/base/arena.h"
#include "lsm/format/iter.h"
#include "lsm/format/range_del.h"
#include "lsm/memory/segments.h"

struct memtable;

/* `first_segment`: the first log segment that holds its records; `bytes`: the size that it is meant to reach, which rules
 * the size of the hash table. Starts with one reference. */
int memtable_new(uint64_t first_segment, uint64_t bytes, struct memtable **ret);
void memtable_ref(struct memtable *m);
void memtable_unref(struct memtable *m); /* frees with the last one; NULL is accepted */

/* Adds an entry; trailers of one key come in ascending order. LSM_NO_MEMORY: nothing was added. */
int memtable_add(struct memtable *m, struct lsm_slice key, uint64_t trailer, struct lsm_slice value);
/* Adds a range tombstone. Amortized O(log n). */
int memtable_add_range_delete(struct memtable *m, const struct range_del *del);
/* The memtable refers to a blob segment: keeps it from being deleted. */
int memtable_hold_segment(struct memtable *m, struct blob_segment *segment);
/* Calls fn for each of them, until it fails. */
int memtable_each_segment(struct memtable *m, int (*fn)(void *ctx, struct blob_segment *segment), void *ctx);

/* Brings the place of a key with this filter_hash() on its way to the processor. */
void memtable_prefetch(const struct memtable *m, uint64_t hash);

/* The newest version of `key`, whose filter_hash() is `hash`, with a trailer <= `trailer`. */
bool memtable_get(const struct memtable *m, struct lsm_slice key, uint64_t hash, uint64_t trailer,
		  uint64_t *ret_trailer, struct lsm_slice *ret_value);
/* The newest range tombstone <= snapshot that covers the key, or 0. */
uint64_t memtable_covering(struct memtable *m, struct lsm_slice key, uint64_t snapshot);

/* Calls fn for each set of fragments that together hold all range tombstones added until now. */
int memtable_each_range_dels(struct memtable *m, int (*fn)(void *ctx, const struct range_dels *dels), void *ctx);

/* An iterator over the points that were added before, and perhaps later ones; the caller holds a reference for as long as
 * it lives. Brings what was added lately in order first, under a lock of the memtable's own. */
int memtable_iter_new(struct memtable *m, struct iter **ret);

size_t memtable_bytes(struct memtable *m);  /* of entries and range tombstones */
size_t memtable_memory(struct memtable *m); /* the hash table included */
bool memtable_is_empty(const struct memtable *m);
uint64_t memtable_entries(const struct memtable *m);
uint64_t memtable_deletes(const struct memtable *m);
uint64_t memtable_range_deletes(const struct memtable *m);
uint64_t memtable_first_segment(const struct memtable *m);
/* Bytes between two user keys, estimated from the share of entries; an empty end is no bound. */
uint64_t memtable_range_bytes(struct memtable *m, struct lsm_slice begin, struct lsm_slice end);

#endif
