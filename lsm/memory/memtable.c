/* SPDX-License-Identifier: MIT */
/* Adding entries, and finding one. */
#include <assert.h>
#include <stdlib.h>

#include "lsm/env/pages.h"
#include "lsm/format/filter.h"
#include "lsm/memory/memtable_internal.h"

enum {
	BUCKETS_MIN = 8,
	ENTRY_BYTES = 128,  /* a usual entry's: one slot for each that a memtable has room for */
	WAITING_MAX = 4096, /* entries a writer leaves to the next iterator, once iterators are asked for */
	TAG_SHIFT = 48,     /* user space ends below it unless a program asks for more */
};

/* ---- nodes ---- */

static struct node *node_new(struct memtable *m, struct lsm_slice key, uint64_t trailer, struct lsm_slice value,
			     unsigned height, struct node *older)
{
	size_t links = (height + (older != NULL)) * sizeof(_Atomic(struct node *));
	struct node *n = arena_alloc(&m->arena, sizeof(*n) + links + key.size + TRAILER_BYTES + value.size);
	uint8_t *bytes;

	if (!n)
		return NULL;
	n->key_size = (uint16_t)key.size;
	n->value_size = (uint32_t)value.size;
	n->height = (uint8_t)height;
	n->has_older = older != NULL;
	if (older)
		atomic_init(&n->links[height], older);
	bytes = node_key_bytes(n);
	if (key.size)
		memcpy(bytes, key.data, key.size);
	put_u64(bytes + key.size, trailer);
	if (value.size)
		memcpy(bytes + key.size + TRAILER_BYTES, value.data, value.size);
	return n;
}

static struct node *node_older(const struct node *n)
{
	return n->has_older ? atomic_load_explicit(&n->links[n->height], memory_order_relaxed) : NULL;
}

/* xorshift64 (G. Marsaglia, "Xorshift RNGs", 2003). */
static unsigned random_height(struct memtable *m)
{
	unsigned height = 1;
	uint64_t x = m->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	m->random = x;
	while (height < HEIGHT_MAX && x % BRANCHING == 0) {
		height++;
		x /= BRANCHING;
	}
	return height;
}

/* ---- life ---- */

/* Random look-ups and puts walk all over it: on pages of the usual size each would begin with a walk of page tables. And
 * what is freed goes back at once. */
static void *pages_take_all(size_t bytes)
{
	uint8_t *p = pages_reserve(bytes);

	for (size_t at = 0; p && at < bytes; at += PAGES_CHUNK_BYTES) {
		if (!pages_use(p + at)) {
			pages_release(p, bytes);
			return NULL;
		}
	}
	return p;
}

_Static_assert(ARENA_LARGE_BYTES == PAGES_CHUNK_BYTES, "a chunk of the arena is a chunk of pages");
static const struct arena_large huge_pages = { pages_take_all, pages_release };

/* From a chunk on it is worth pages of its own, which come as zeros. */
static bool has_pages(size_t bytes)
{
	return !PAGES_WATCHED && bytes >= PAGES_CHUNK_BYTES;
}

static size_t whole_chunks(size_t bytes)
{
	return (bytes + PAGES_CHUNK_BYTES - 1) / PAGES_CHUNK_BYTES * PAGES_CHUNK_BYTES;
}

void *memtable_pages_take(size_t bytes)
{
	return has_pages(bytes) ? pages_take_all(whole_chunks(bytes))
				: aligned_alloc(_Alignof(struct bucket), (bytes + 63) / 64 * 64);
}

void memtable_pages_give(void *p, size_t bytes)
{
	if (p && has_pages(bytes))
		pages_release(p, whole_chunks(bytes));
	else
		free(p);
}

static int buckets_new(struct memtable *m, uint64_t bytes)
{
	uint64_t n = BUCKETS_MIN;

	m->bucket_shift = 64 - 3;
	while (n * BUCKET_SLOTS < bytes / ENTRY_BYTES && m->bucket_shift > 64 - 27) {
		n *= 2;
		m->bucket_shift--;
	}
	m->buckets_bytes = n * sizeof(*m->buckets);
	m->buckets = memtable_pages_take(m->buckets_bytes);
	if (m->buckets && !has_pages(m->buckets_bytes))
		memset(m->buckets, 0, m->buckets_bytes);
	return m->buckets ? LSM_OK : status_no_memory(m->buckets_bytes);
}

int memtable_new(uint64_t first_segment, uint64_t bytes, struct memtable **ret)
{
	struct memtable *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return status_no_memory(sizeof(*m));
	atomic_init(&m->refs, 1);
	mutex_init(&m->order);
	if (PAGES_WATCHED)
		arena_init(&m->arena);
	else
		arena_init_large(&m->arena, &huge_pages);
	m->first_segment = first_segment;
	m->height = 1;
	m->random = 0x9e3779b97f4a7c15u;
	rc = buckets_new(m, bytes);
	if (!rc) {
		m->head = node_new(m, slice_of(NULL, 0), 0, slice_of(NULL, 0), HEIGHT_MAX, NULL);
		rc = m->head ? LSM_OK : status_no_memory(sizeof(*m->head));
	}
	if (rc) {
		memtable_unref(m);
		return rc;
	}
	for (unsigned i = 0; i < HEIGHT_MAX; i++) {
		atomic_init(&m->head->links[i], NULL);
		m->splice[i] = m->head;
	}
	*ret = m;
	return LSM_OK;
}

void memtable_ref(struct memtable *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void memtable_unref(struct memtable *m)
{
	if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	memtable_dels_done(m);
	for (size_t i = 0; i < m->segments_n; i++)
		segment_release(m->segments[i]);
	free(m->segments);
	memtable_pages_give(m->buckets, m->buckets_bytes);
	arena_done(&m->arena);
	mutex_done(&m->order);
	free(m);
}

/* ---- the hash table: the newest version of each key, from which the older ones hang ---- */

static inline uintptr_t tagged(const struct node *n, uint64_t hash)
{
	return (uintptr_t)n | (uintptr_t)hash << TAG_SHIFT;
}

static inline struct node *untagged(uintptr_t link)
{
	return (struct node *)(link & ((UINT64_C(1) << TAG_SHIFT) - 1));
}

static inline bool tag_fits(uintptr_t link, uint64_t hash)
{
	return (uint16_t)(link >> TAG_SHIFT) == (uint16_t)hash;
}

/* The newest version of the key behind a link, or NULL. `*link` gets the link that leads to it, or the last one. */
static struct node *chain_find(_Atomic uintptr_t **link, struct lsm_slice key, uint64_t hash)
{
	uintptr_t to;

	while ((to = atomic_load_explicit(*link, memory_order_acquire))) {
		struct node *n = untagged(to);

		if (tag_fits(to, hash) && slice_equal(node_key(n), key))
			return n;
		*link = &n->chain;
	}
	return NULL;
}

/* The newest version of the key, or NULL. *ret_link gets the link that leads to it, or the one that a new key takes. */
static struct node *find_newest(const struct memtable *m, struct lsm_slice key, uint64_t hash,
				_Atomic uintptr_t **ret_link)
{
	struct bucket *b = &m->buckets[hash >> m->bucket_shift];
	_Atomic uintptr_t *link;
	struct node *n;

	for (unsigned i = 0; i < BUCKET_SLOTS - 1; i++) {
		uintptr_t to = atomic_load_explicit(&b->slots[i], memory_order_acquire);

		if (to && !(tag_fits(to, hash) && slice_equal(node_key(untagged(to)), key)))
			continue;
		*ret_link = &b->slots[i];
		return untagged(to);
	}
	link = &b->slots[BUCKET_SLOTS - 1];
	n = chain_find(&link, key, hash);
	*ret_link = n ? link : &b->slots[BUCKET_SLOTS - 1];
	return n;
}

/*
 * A new version takes its predecessor's place in the bucket or chain. Who stands on the predecessor goes on along its
 * link as it was: what is added behind it later is newer than what such a reader may see.
 */
static void link_newest(struct node *n, uint64_t hash, struct node *older, _Atomic uintptr_t *link)
{
	uintptr_t behind = atomic_load_explicit(older ? &older->chain : link, memory_order_relaxed);

	atomic_init(&n->chain, behind);
	atomic_store_explicit(link, tagged(n, hash), memory_order_release);
}

void memtable_prefetch(const struct memtable *m, uint64_t hash)
{
	__builtin_prefetch(&m->buckets[hash >> m->bucket_shift]);
}

static void wait_for_order(struct memtable *m, struct node *n)
{
	struct node *first = atomic_load_explicit(&m->waiting, memory_order_relaxed);

	do
		atomic_store_explicit(&n->links[0], first, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&m->waiting, &first, n, memory_order_release,
						      memory_order_relaxed));
}

int memtable_add(struct memtable *m, struct lsm_slice key, uint64_t trailer, struct lsm_slice value)
{
	uint64_t hash = filter_hash(key), entries;
	_Atomic uintptr_t *link = NULL;
	struct node *older = find_newest(m, key, hash, &link);
	struct node *n = node_new(m, key, trailer, value, random_height(m), older);

	if (!n)
		return status_no_memory(key.size + value.size);
	assert(!((uintptr_t)n >> TAG_SHIFT));
	assert(!older || node_trailer(older) < trailer);
	wait_for_order(m, n);
	link_newest(n, hash, older, link);
	entries = atomic_fetch_add_explicit(&m->entries, 1, memory_order_relaxed) + 1;
	if (trailer_type(trailer) == ENTRY_DELETE)
		atomic_fetch_add_explicit(&m->deletes, 1, memory_order_relaxed);
	/* Where entries are iterated as they come, no iterator shall have much to bring in order. */
	if (atomic_load_explicit(&m->iterated, memory_order_relaxed) &&
	    entries - atomic_load_explicit(&m->ordered, memory_order_relaxed) > WAITING_MAX)
		memtable_order(m);
	return LSM_OK;
}

bool memtable_get(const struct memtable *m, struct lsm_slice key, uint64_t hash, uint64_t trailer,
		  uint64_t *ret_trailer, struct lsm_slice *ret_value)
{
	_Atomic uintptr_t *link;
	const struct node *n = find_newest(m, key, hash, &link);

	while (n && node_trailer(n) > trailer)
		n = node_older(n);
	if (!n)
		return false;
	*ret_trailer = node_trailer(n);
	*ret_value = node_value(n);
	return true;
}

int memtable_hold_segment(struct memtable *m, struct blob_segment *segment)
{
	for (size_t i = m->segments_n; i-- > 0;) {
		if (m->segments[i] == segment)
			return LSM_OK;
	}
	if (m->segments_n == m->segments_capacity) {
		size_t capacity = m->segments_capacity ? m->segments_capacity * 2 : 8;
		struct blob_segment **p = realloc(m->segments, capacity * sizeof(*p));

		if (!p)
			return status_no_memory(capacity * sizeof(*p));
		m->segments = p;
		m->segments_capacity = capacity;
	}
	segment_hold(segment);
	m->segments[m->segments_n++] = segment;
	return LSM_OK;
}

int memtable_each_segment(struct memtable *m, int (*fn)(void *ctx, struct blob_segment *segment), void *ctx)
{
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < m->segments_n; i++)
		rc = fn(ctx, m->segments[i]);
	return rc;
}

/* ---- figures ---- */

size_t memtable_bytes(struct memtable *m)
{
	return arena_bytes(&m->arena) + atomic_load_explicit(&m->runs_bytes, memory_order_relaxed);
}

size_t memtable_memory(struct memtable *m)
{
	return memtable_bytes(m) + m->buckets_bytes;
}

/* A sequence number that a reader has seen is no older than the entries that it counts. */
bool memtable_is_empty(const struct memtable *m)
{
	return !atomic_load_explicit(&m->entries, memory_order_relaxed) &&
	       !atomic_load_explicit(&m->dels_n, memory_order_relaxed);
}

uint64_t memtable_entries(const struct memtable *m)
{
	return atomic_load_explicit(&m->entries, memory_order_relaxed);
}

uint64_t memtable_deletes(const struct memtable *m)
{
	return atomic_load_explicit(&m->deletes, memory_order_relaxed);
}

uint64_t memtable_first_segment(const struct memtable *m)
{
	return m->first_segment;
}
