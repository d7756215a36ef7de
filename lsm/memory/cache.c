/* SPDX-License-Identifier: MIT */
#include "lsm/memory/cache.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "lsm/env/sync.h"

enum {
	CACHE_LINE_BYTES = 64,
	BUCKETS_MIN = 64,
	HITS_MAX = 3,         /* a hit more says nothing new, and would only delay the eviction */
	HITS_PROMOTE = 2,     /* hits that take an entry from probation to the main queue */
	PROBATION_SHARE = 10, /* probation gets 1/10 of a shard */
};

enum queue_id { QUEUE_NONE, QUEUE_PROBATION, QUEUE_MAIN };

/*
 * An entry is linked (in its shard's hash table and one queue) or not: erased, of low priority, or too large. The hash
 * table holds one reference, each pin another; whoever drops the last one frees the value. Only the shard's lock lets
 * one take a new reference through the table, so what is found there unpinned under the lock stays unpinned.
 */
struct cache_entry {
	struct cache_entry *chain;         /* in the hash bucket; after unlinking: in the list of those to free */
	struct cache_entry *older, *newer; /* in the queue */
	struct cache_key key;
	uint64_t hash;
	void *value;
	uint64_t charge;
	_Atomic uint32_t refs;
	uint8_t hits;  /* shard lock */
	uint8_t queue; /* enum queue_id; shard lock */
};

struct queue {
	struct cache_entry *newest, *oldest;
	uint64_t charge, count;
};

struct shard {
	alignas(CACHE_LINE_BYTES) struct mutex lock; /* protects what follows, but `used` */
	struct cache_entry **buckets;
	uint32_t *ghosts; /* fingerprints of entries that lately left probation unpromoted; one for each bucket */
	uint64_t buckets_n, entries_n;
	struct queue probation, main;
	uint64_t hits, misses;
	_Atomic uint64_t linked_charge; /* what the limit is about; changed under the lock, read without it */
	_Atomic uint64_t alive_charge;  /* linked or pinned; not under the lock */
};

struct cache {
	uint64_t capacity;
	unsigned shards_n, shard_bits;
	cache_free_fn free_fn;
	void *ctx;
	_Atomic int64_t charged;
	struct shard *shards;
};

/* The finalizer of MurmurHash3 mixes well enough for numbers that differ in their low bits. */
static inline uint64_t mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return h;
}

static inline uint64_t key_hash(struct cache_key key)
{
	return mix(key.offset + UINT64_C(0x9e3779b97f4a7c15) * key.file);
}

/* Shards by the hash's top bits, buckets by the low ones, ghosts' fingerprints from those between. */
static inline struct shard *shard_of(struct cache *c, uint64_t hash)
{
	return &c->shards[c->shard_bits ? hash >> (64 - c->shard_bits) : 0];
}

static inline uint32_t fingerprint(uint64_t hash)
{
	return (uint32_t)(hash >> 24) | 1; /* 0 stands for none */
}

static uint64_t shard_limit(const struct cache *c)
{
	int64_t charged = atomic_load_explicit(&c->charged, memory_order_relaxed);

	if (charged <= 0)
		return c->capacity >> c->shard_bits;
	return (uint64_t)charged >= c->capacity ? 0 : (c->capacity - (uint64_t)charged) >> c->shard_bits;
}

static uint64_t linked_charge(struct shard *s)
{
	return atomic_load_explicit(&s->linked_charge, memory_order_relaxed);
}

/* ---- queues and the hash table, under the shard's lock ---- */

static struct queue *queue_of(struct shard *s, const struct cache_entry *e)
{
	return e->queue == QUEUE_MAIN ? &s->main : &s->probation;
}

static void queue_push(struct shard *s, struct cache_entry *e, enum queue_id id)
{
	struct queue *q;

	e->queue = (uint8_t)id;
	q = queue_of(s, e);
	e->newer = NULL;
	e->older = q->newest;
	if (q->newest)
		q->newest->newer = e;
	else
		q->oldest = e;
	q->newest = e;
	q->charge += e->charge;
	q->count++;
}

static void queue_remove(struct shard *s, struct cache_entry *e)
{
	struct queue *q = queue_of(s, e);

	*(e->newer ? &e->newer->older : &q->newest) = e->older;
	*(e->older ? &e->older->newer : &q->oldest) = e->newer;
	q->charge -= e->charge;
	q->count--;
	e->queue = QUEUE_NONE;
}

static struct cache_entry **bucket_of(struct shard *s, uint64_t hash)
{
	return &s->buckets[hash & (s->buckets_n - 1)];
}

/* The place that points to the entry, or the NULL at the chain's end. */
static struct cache_entry **find(struct shard *s, struct cache_key key, uint64_t hash)
{
	struct cache_entry **at = bucket_of(s, hash);

	while (*at && ((*at)->hash != hash || (*at)->key.file != key.file || (*at)->key.offset != key.offset))
		at = &(*at)->chain;
	return at;
}

/* Without memory the table stays as it is: longer chains are slower, not wrong. Ghosts are forgotten. */
static void grow(struct shard *s)
{
	uint64_t n = s->buckets_n * 2;
	struct cache_entry **old = s->buckets, **buckets = calloc(n, sizeof(*buckets));
	uint32_t *ghosts = calloc(n, sizeof(*ghosts));

	if (!buckets || !ghosts) {
		free(buckets);
		free(ghosts);
		return;
	}
	s->buckets = buckets;
	s->buckets_n = n;
	for (uint64_t i = 0; i < n / 2; i++) {
		while (old[i]) {
			struct cache_entry *e = old[i];

			old[i] = e->chain;
			e->chain = *bucket_of(s, e->hash);
			*bucket_of(s, e->hash) = e;
		}
	}
	free(old);
	free(s->ghosts);
	s->ghosts = ghosts;
}

static void drop_ref(struct shard *s, struct cache_entry *e, struct cache_entry **freed)
{
	if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) > 1)
		return;
	atomic_fetch_sub_explicit(&s->alive_charge, e->charge, memory_order_relaxed);
	e->chain = *freed;
	*freed = e;
}

/* Takes the entry at `at` out; adds it to `freed` unless it is pinned. */
static void unlink_at(struct shard *s, struct cache_entry **at, struct cache_entry **freed)
{
	struct cache_entry *e = *at;

	*at = e->chain;
	s->entries_n--;
	atomic_fetch_sub_explicit(&s->linked_charge, e->charge, memory_order_relaxed);
	queue_remove(s, e);
	drop_ref(s, e, freed);
}

static void unlink_entry(struct shard *s, struct cache_entry *e, struct cache_entry **freed)
{
	unlink_at(s, find(s, e->key, e->hash), freed);
}

/* ---- eviction, under the shard's lock ---- */

static bool is_pinned(struct cache_entry *e)
{
	return atomic_load_explicit(&e->refs, memory_order_acquire) > 1;
}

/* The oldest entry of probation is promoted or evicted; one that was pinned for all its time there is in use. */
static void step_probation(struct shard *s, struct cache_entry **freed)
{
	struct cache_entry *e = s->probation.oldest;

	if (e->hits >= HITS_PROMOTE || is_pinned(e)) {
		queue_remove(s, e);
		e->hits = 0;
		queue_push(s, e, QUEUE_MAIN);
		return;
	}
	s->ghosts[e->hash & (s->buckets_n - 1)] = fingerprint(e->hash);
	unlink_entry(s, e, freed);
}

/* The oldest entry of the main queue is evicted unless it was hit since it came, or is pinned. False when nothing came
 * nearer to an eviction. */
static bool step_main(struct shard *s, struct cache_entry **freed)
{
	struct cache_entry *e = s->main.oldest;
	bool hit = e->hits;

	if (!hit && !is_pinned(e)) {
		unlink_entry(s, e, freed);
		return true;
	}
	if (hit)
		e->hits--;
	queue_remove(s, e);
	queue_push(s, e, QUEUE_MAIN);
	return hit;
}

/* Evicts until `extra` more fits, or all that is left is pinned. */
static void make_room(struct shard *s, uint64_t limit, uint64_t extra, struct cache_entry **freed)
{
	uint64_t probation_limit = limit / PROBATION_SHARE;
	uint64_t idle = 0; /* steps in the main queue in a row that met a pin */

	while (linked_charge(s) + extra > limit) {
		bool main_pinned = idle >= s->main.count;

		if (s->probation.count && (main_pinned || s->probation.charge > probation_limit))
			step_probation(s, freed);
		else if (main_pinned)
			break;
		else
			idle = step_main(s, freed) ? 0 : idle + 1;
	}
}

static void free_list(struct cache *c, struct cache_entry *freed)
{
	while (freed) {
		struct cache_entry *e = freed;

		freed = e->chain;
		c->free_fn(c->ctx, e->value);
		free(e);
	}
}

/* ---- the calls ---- */

static int shard_init(struct shard *s)
{
	mutex_init(&s->lock);
	s->buckets_n = BUCKETS_MIN;
	s->buckets = calloc(s->buckets_n, sizeof(struct cache_entry *));
	s->ghosts = calloc(s->buckets_n, sizeof(*s->ghosts));
	return s->buckets && s->ghosts ? LSM_OK : status_no_memory(s->buckets_n * sizeof(*s->buckets));
}

int cache_new(uint64_t capacity, unsigned shards, cache_free_fn free_fn, void *ctx, struct cache **ret)
{
	struct cache *c = calloc(1, sizeof(*c));
	size_t size;
	int rc = LSM_OK;

	if (!c)
		return status_no_memory(sizeof(*c));
	c->capacity = capacity;
	c->free_fn = free_fn;
	c->ctx = ctx;
	while ((1u << c->shard_bits) < shards)
		c->shard_bits++;
	size = sizeof(struct shard) << c->shard_bits;
	c->shards = aligned_alloc(CACHE_LINE_BYTES, size);
	if (!c->shards) {
		cache_free(c);
		return status_no_memory(size);
	}
	memset(c->shards, 0, size);
	while (!rc && c->shards_n < 1u << c->shard_bits)
		rc = shard_init(&c->shards[c->shards_n++]);
	if (rc) {
		cache_free(c);
		return rc;
	}
	*ret = c;
	return LSM_OK;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->shards_n; i++) {
		struct shard *s = &c->shards[i];
		struct cache_entry *freed = NULL;

		for (uint64_t b = 0; s->buckets && b < s->buckets_n; b++)
			while (s->buckets[b])
				unlink_at(s, &s->buckets[b], &freed);
		free_list(c, freed);
		assert(!atomic_load(&s->alive_charge)); /* else something is pinned */
		free(s->buckets);
		free(s->ghosts);
		mutex_done(&s->lock);
	}
	free(c->shards);
	free(c);
}

/* Under the shard's lock. */
static struct cache_entry *pin(struct cache_entry *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	if (e->hits < HITS_MAX)
		e->hits++;
	return e;
}

struct cache_entry *cache_lookup(struct cache *c, struct cache_key key)
{
	uint64_t hash = key_hash(key);
	struct shard *s = shard_of(c, hash);
	struct cache_entry *e;

	mutex_lock(&s->lock);
	e = *find(s, key, hash);
	if (e) {
		pin(e);
		s->hits++;
	} else {
		s->misses++;
	}
	mutex_unlock(&s->lock);
	return e;
}

/* Under the shard's lock. What is not worth keeping is only counted, until its pins go. */
static void link_entry(struct cache *c, struct shard *s, struct cache_entry *e, bool keep, struct cache_entry **freed)
{
	uint64_t limit = shard_limit(c);
	uint32_t *ghost;

	atomic_fetch_add_explicit(&s->alive_charge, e->charge, memory_order_relaxed);
	if (!keep || e->charge > limit)
		return;
	make_room(s, limit, e->charge, freed);
	atomic_fetch_add_explicit(&s->linked_charge, e->charge, memory_order_relaxed);
	if (s->entries_n >= s->buckets_n)
		grow(s);
	ghost = &s->ghosts[e->hash & (s->buckets_n - 1)];
	if (*ghost == fingerprint(e->hash)) {
		*ghost = 0;
		queue_push(s, e, QUEUE_MAIN);
	} else {
		queue_push(s, e, QUEUE_PROBATION);
	}
	e->chain = *bucket_of(s, e->hash);
	*bucket_of(s, e->hash) = e;
	s->entries_n++;
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
}

struct cache_entry *cache_insert(struct cache *c, struct cache_key key, void *value, uint64_t charge, bool low_priority)
{
	struct cache_entry *e = malloc(sizeof(*e)), *there, *freed = NULL;
	uint64_t hash = key_hash(key);
	struct shard *s = shard_of(c, hash);

	if (!e)
		return NULL;
	*e = (struct cache_entry){ .key = key, .hash = hash, .value = value, .charge = charge };
	atomic_init(&e->refs, 1);
	mutex_lock(&s->lock);
	there = *find(s, key, hash);
	if (there) {
		pin(there);
		freed = e;
		e = there;
	} else {
		link_entry(c, s, e, !low_priority, &freed);
	}
	mutex_unlock(&s->lock);
	free_list(c, freed);
	return e;
}

void *cache_entry_value(const struct cache_entry *e)
{
	return e->value;
}

uint64_t cache_entry_charge(const struct cache_entry *e)
{
	return e->charge;
}

/* The shard holds more than it may because all of it was pinned: this entry goes if nobody else pins it. */
static void release_over_limit(struct cache *c, struct shard *s, struct cache_entry *e)
{
	struct cache_entry *freed = NULL;

	mutex_lock(&s->lock);
	if (e->queue != QUEUE_NONE && atomic_load_explicit(&e->refs, memory_order_acquire) == 2)
		unlink_entry(s, e, &freed);
	drop_ref(s, e, &freed);
	mutex_unlock(&s->lock);
	free_list(c, freed);
}

void cache_release(struct cache *c, struct cache_entry *e)
{
	struct shard *s = shard_of(c, e->hash);
	struct cache_entry *freed = NULL;

	if (linked_charge(s) > shard_limit(c)) {
		release_over_limit(c, s, e);
		return;
	}
	drop_ref(s, e, &freed);
	if (freed)
		free_list(c, freed);
}

void cache_erase(struct cache *c, struct cache_key key)
{
	uint64_t hash = key_hash(key);
	struct shard *s = shard_of(c, hash);
	struct cache_entry **at, *freed = NULL;

	mutex_lock(&s->lock);
	at = find(s, key, hash);
	if (*at)
		unlink_at(s, at, &freed);
	mutex_unlock(&s->lock);
	free_list(c, freed);
}

static void erase_file_of_queue(struct shard *s, struct queue *q, uint64_t file, struct cache_entry **freed)
{
	for (struct cache_entry *e = q->newest, *older; e; e = older) {
		older = e->older;
		if (e->key.file == file)
			unlink_entry(s, e, freed);
	}
}

void cache_erase_file(struct cache *c, uint64_t file)
{
	for (unsigned i = 0; i < c->shards_n; i++) {
		struct shard *s = &c->shards[i];
		struct cache_entry *freed = NULL;

		mutex_lock(&s->lock);
		erase_file_of_queue(s, &s->probation, file, &freed);
		erase_file_of_queue(s, &s->main, file, &freed);
		mutex_unlock(&s->lock);
		free_list(c, freed);
	}
}

void cache_charge(struct cache *c, int64_t delta)
{
	uint64_t limit;

	atomic_fetch_add_explicit(&c->charged, delta, memory_order_relaxed);
	if (delta <= 0)
		return;
	limit = shard_limit(c);
	for (unsigned i = 0; i < c->shards_n; i++) {
		struct shard *s = &c->shards[i];
		struct cache_entry *freed = NULL;

		if (linked_charge(s) <= limit)
			continue;
		mutex_lock(&s->lock);
		make_room(s, limit, 0, &freed);
		mutex_unlock(&s->lock);
		free_list(c, freed);
	}
}

void cache_get_stats(struct cache *c, struct cache_stats *ret)
{
	int64_t charged = atomic_load_explicit(&c->charged, memory_order_relaxed);
	struct cache_stats st = { .capacity = c->capacity, .charged_bytes = charged > 0 ? (uint64_t)charged : 0 };

	st.bytes = st.charged_bytes;
	for (unsigned i = 0; i < c->shards_n; i++) {
		struct shard *s = &c->shards[i];

		mutex_lock(&s->lock);
		st.hits += s->hits;
		st.misses += s->misses;
		st.entries += s->entries_n;
		st.bytes += atomic_load_explicit(&s->alive_charge, memory_order_relaxed);
		mutex_unlock(&s->lock);
	}
	*ret = st;
}
