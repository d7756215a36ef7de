/* SPDX-License-Identifier: MIT */
#ifndef LSM_MEMORY_MEMTABLE_INTERNAL_H
#define LSM_MEMORY_MEMTABLE_INTERNAL_H
/* memtable_internal - what the memtable's files share: memtable.c adds and looks up, memtable_order.c brings the entries
 * in order, memtable_dels.c keeps the range tombstones. */
#include "lsm/env/sync.h"
#include "lsm/memory/memtable.h"

enum {
	HEIGHT_MAX = 12,
	BRANCHING = 4,
};

/*
 * An entry. Its links: `height` of the skip list, then, if it replaced one, the version of its key before it. While it
 * waits to be brought in order, its first link leads to the entry that waits behind it.
 */
struct node {
	_Atomic uintptr_t chain; /* the next key's newest version in a full hash bucket, tagged */
	uint32_t value_size;
	uint16_t key_size;
	uint8_t height;
	bool has_older;
	_Atomic(struct node *) links[]; /* then the internal key, then the value */
};

/*
 * A bucket of the hash table is a line of memory: each slot leads to the newest version of a key and carries a part of
 * its hash, so that a key that isn't there costs this line and no other. Slots are taken in order; what finds none
 * hangs from the last one.
 */
enum { BUCKET_SLOTS = 8 };
struct bucket {
	_Alignas(64) _Atomic uintptr_t slots[BUCKET_SLOTS];
};

/* Memory that goes back to the kernel as soon as it is given, if it is much; aligned as a bucket. NULL: memory is short. */
void *memtable_pages_take(size_t bytes);
void memtable_pages_give(void *p, size_t bytes);

struct run_set;

struct memtable {
	_Atomic uint32_t refs;
	uint64_t first_segment;
	struct arena arena;
	_Atomic uint64_t entries, deletes;
	uint64_t random; /* the writer's */

	struct bucket *buckets; /* by the upper bits of a key's hash; the low ones are the tag */
	size_t buckets_bytes;
	unsigned bucket_shift;

	_Atomic(struct node *) waiting; /* entries that are not in order yet, the newest first */
	_Atomic uint64_t ordered;       /* entries that are; `order` to change it */
	atomic_bool iterated;           /* somebody has asked for the order while entries were added */

	struct mutex order;              /* who extends the skip list; a leaf */
	struct node *head;               /* the skip list's */
	struct node *splice[HEIGHT_MAX]; /* order; the predecessors at the last insertion */
	unsigned height;                 /* order; of the list */

	_Atomic(struct run_set *) runs; /* the newest set, or NULL */
	_Atomic uint64_t runs_bytes;
	struct range_del *dels; /* all tombstones in order of arrival; the writer's */
	size_t dels_capacity;
	_Atomic uint64_t dels_n;

	struct blob_segment **segments; /* the writer's; each held once */
	size_t segments_n, segments_capacity;
};

static inline uint8_t *node_key_bytes(const struct node *n)
{
	return (uint8_t *)(uintptr_t)&n->links[n->height + n->has_older];
}

static inline struct lsm_slice node_key(const struct node *n)
{
	return slice_of(node_key_bytes(n), n->key_size);
}

static inline struct lsm_slice node_ikey(const struct node *n)
{
	return slice_of(node_key_bytes(n), (size_t)n->key_size + TRAILER_BYTES);
}

static inline uint64_t node_trailer(const struct node *n)
{
	return get_u64(node_key_bytes(n) + n->key_size);
}

static inline struct lsm_slice node_value(const struct node *n)
{
	return slice_of(node_key_bytes(n) + n->key_size + TRAILER_BYTES, n->value_size);
}

static inline struct node *node_next(const struct node *n, unsigned level)
{
	return atomic_load_explicit(&n->links[level], memory_order_acquire);
}

/* memtable_order.c: makes all entries that were added before the call part of the skip list. */
void memtable_order(struct memtable *m);

/* memtable_dels.c */
void memtable_dels_done(struct memtable *m);

#endif
