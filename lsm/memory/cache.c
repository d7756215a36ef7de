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
	COUNTERS = 32,
};

enum queue_id { QUEUE_NONE, QUEUE_PROBATION, QUEUE_MAIN };

/*
 * An entry is linked (in its shard's hash table and one queue) or not: erased, of low priority, or too large. The hash
 * table holds one reference, each pin another; whoever drops the last one frees the value.
 *
 * Look-ups take no lock. They walk a chain that may change under them, and take a reference only if there is one
 * already. The memory of an entry is used again, but for entries of the same cache only and given back with it, so a
 * late reader never reads what isn't an entry; with its reference it looks at the key once more. Whoever finds nothing
 * looks again under the lock: a chain that changed may have led past the entry, and a miss is dear anyway.
 */
struct cache_entry {
	_Atomic(struct cache_entry *) chain; /* in the bucket; later in a list of those to free, or of free ones */
	struct cache_entry *older, *newer;   /* in the queue; shard lock */
	_Atomic uint64_t file, offset;       /* the key; does not change while there is a reference */
	uint64_t hash;                       /* the rest likewise */
	void *value;
	uint64_t charge;
	_Atomic uint32_t refs;
	_Atomic uint8_t hits;
	uint8_t queue; /* enum queue_id; shard lock */
};

/* The hash table of a shard. One that was outgrown stays, for late readers. */
struct buckets {
	struct buckets *outgrown;
	uint64_t n; /* a power of two */
	_Atomic(struct cache_entry *) heads[];
};

struct queue {
	struct cache_entry *newest, *oldest;
	uint64_t charge, count;
};

struct shard {
	alignas(CACHE_LINE_BYTES) _Atomic(struct buckets *) buckets; /* lock to change it */
	alignas(CACHE_LINE_BYTES) struct mutex lock;                 /* protects what follows */
	uint32_t *ghosts; /* fingerprints of entries that lately left probation unpromoted; one for each bucket */
	uint64_t entries_n;
	struct cache_entry *free; /* entries to be used again */
	struct queue probation, main;
	_Atomic uint64_t linked_charge; /* what the limit is about; changed under the lock, read without it */
	_Atomic uint64_t alive_charge;  /* linked or pinned; not under the lock */
};

/* Counts of look-ups, spread so that threads don't share a line. */
struct counters {
	alignas(CACHE_LINE_BYTES) _Atomic uint64_t hits;
	_Atomic uint64_t misses;
};

struct cache {
	struct counters counters[COUNTERS];
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

uint64_t cache_charged(const struct cache *c)
{
	int64_t charged = atomic_load_explicit(&c->charged, memory_order_relaxed);

	return charged > 0 ? (uint64_t)charged : 0;
}

static uint64_t shard_limit(const struct cache *c)
{
	uint64_t charged = cache_charged(c);

	return charged >= c->capacity ? 0 : (c->capacity - charged) >> c->shard_bits;
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

static inline struct cache_entry *follow(_Atomic(struct cache_entry *) *link)
{
	return atomic_load_explicit(link, memory_order_acquire);
}

static inline void set_link(_Atomic(struct cache_entry *) *link, struct cache_entry *e)
{
	atomic_store_explicit(link, e, memory_order_release);
}

static inline _Atomic(struct cache_entry *) *bucket_of(struct buckets *b, uint64_t hash)
{
	return &b->heads[hash & (b->n - 1)];
}

static inline bool has_key(struct cache_entry *e, struct cache_key key)
{
	return atomic_load_explicit(&e->offset, memory_order_relaxed) == key.offset &&
	       atomic_load_explicit(&e->file, memory_order_relaxed) == key.file;
}

static uint64_t file_of(struct cache_entry *e)
{
	return atomic_load_explicit(&e->file, memory_order_relaxed);
}

static struct buckets *buckets_of(struct shard *s)
{
	return atomic_load_explicit(&s->buckets, memory_order_acquire);
}

static uint32_t *ghost_of(struct shard *s, uint64_t hash)
{
	return &s->ghosts[hash & (buckets_of(s)->n - 1)];
}

static struct buckets *buckets_new(uint64_t n)
{
	struct buckets *b = calloc(1, sizeof(*b) + n * sizeof(b->heads[0]));

	if (b)
		b->n = n;
	return b;
}

/* The link that leads to the entry, or the NULL at the chain's end. */
static _Atomic(struct cache_entry *) *find(struct shard *s, struct cache_key key, uint64_t hash)
{
	_Atomic(struct cache_entry *) *at = bucket_of(buckets_of(s), hash);
	struct cache_entry *e;

	while ((e = follow(at)) && !has_key(e, key))
		at = &e->chain;
	return at;
}

static void bucket_push(struct buckets *b, struct cache_entry *e)
{
	_Atomic(struct cache_entry *) *head = bucket_of(b, e->hash);

	set_link(&e->chain, follow(head));
	set_link(head, e);
}

/* Without memory the table stays as it is: longer chains are slower, not wrong. Ghosts are forgotten. */
static void grow(struct shard *s)
{
	struct buckets *old = buckets_of(s), *b = buckets_new(old->n * 2);
	uint32_t *ghosts = calloc(old->n * 2, sizeof(*ghosts));

	if (!b || !ghosts) {
		free(b);
		free(ghosts);
		return;
	}
	for (uint64_t i = 0; i < old->n; i++) {
		struct cache_entry *e;

		while ((e = follow(&old->heads[i]))) {
			set_link(&old->heads[i], follow(&e->chain));
			bucket_push(b, e);
		}
	}
	b->outgrown = old;
	atomic_store_explicit(&s->buckets, b, memory_order_release);
	free(s->ghosts);
	s->ghosts = ghosts;
}

static void drop_ref(struct shard *s, struct cache_entry *e, struct cache_entry **freed)
{
	if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) > 1)
		return;
	atomic_fetch_sub_explicit(&s->alive_charge, e->charge, memory_order_relaxed);
	set_link(&e->chain, *freed);
	*freed = e;
}

/* Takes the entry at `at` out; adds it to `freed` unless it is pinned. */
static void unlink_at(struct shard *s, _Atomic(struct cache_entry *) *at, struct cache_entry **freed)
{
	struct cache_entry *e = follow(at);

	set_link(at, follow(&e->chain));
	s->entries_n--;
	atomic_fetch_sub_explicit(&s->linked_charge, e->charge, memory_order_relaxed);
	queue_remove(s, e);
	drop_ref(s, e, freed);
}

static void unlink_entry(struct shard *s, struct cache_entry *e, struct cache_entry **freed)
{
	struct cache_key key = { file_of(e), atomic_load_explicit(&e->offset, memory_order_relaxed) };

	unlink_at(s, find(s, key, e->hash), freed);
}

/* ---- eviction, under the shard's lock ---- */

static unsigned hits_of(struct cache_entry *e)
{
	return atomic_load_explicit(&e->hits, memory_order_relaxed);
}

/* Two at once may count as one: it is a hint. */
static void set_hits(struct cache_entry *e, unsigned hits)
{
	atomic_store_explicit(&e->hits, (uint8_t)hits, memory_order_relaxed);
}

static bool is_pinned(struct cache_entry *e)
{
	return atomic_load_explicit(&e->refs, memory_order_acquire) > 1;
}

/* The oldest entry of probation is promoted or evicted; one that was pinned for all its time there is in use. */
static void step_probation(struct shard *s, struct cache_entry **freed)
{
	struct cache_entry *e = s->probation.oldest;

	if (hits_of(e) >= HITS_PROMOTE || is_pinned(e)) {
		queue_remove(s, e);
		set_hits(e, 0);
		queue_push(s, e, QUEUE_MAIN);
		return;
	}
	*ghost_of(s, e->hash) = fingerprint(e->hash);
	unlink_entry(s, e, freed);
}

/* The oldest entry of the main queue is evicted unless it was hit since it came, or is pinned. False when nothing came
 * nearer to an eviction. */
static bool step_main(struct shard *s, struct cache_entry **freed)
{
	struct cache_entry *e = s->main.oldest;
	unsigned hits = hits_of(e);

	if (!hits && !is_pinned(e)) {
		unlink_entry(s, e, freed);
		return true;
	}
	if (hits)
		set_hits(e, hits - 1);
	queue_remove(s, e);
	queue_push(s, e, QUEUE_MAIN);
	return hits > 0;
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

/* Not under the lock: frees the values, and keeps the entries. */
static void free_list(struct cache *c, struct shard *s, struct cache_entry *freed)
{
	struct cache_entry *last = NULL;

	for (struct cache_entry *e = freed; e; e = follow(&e->chain)) {
		c->free_fn(c->ctx, e->value);
		last = e;
	}
	if (!last)
		return;
	mutex_lock(&s->lock);
	set_link(&last->chain, s->free);
	s->free = freed;
	mutex_unlock(&s->lock);
}

/* ---- the calls ---- */

static int shard_init(struct shard *s)
{
	struct buckets *b = buckets_new(BUCKETS_MIN);

	mutex_init(&s->lock);
	atomic_init(&s->buckets, b);
	s->ghosts = calloc(BUCKETS_MIN, sizeof(*s->ghosts));
	return b && s->ghosts ? LSM_OK : status_no_memory(BUCKETS_MIN * sizeof(b->heads[0]));
}

int cache_new(uint64_t capacity, unsigned shards, cache_free_fn free_fn, void *ctx, struct cache **ret)
{
	struct cache *c = aligned_alloc(CACHE_LINE_BYTES, sizeof(*c));
	size_t size;
	int rc = LSM_OK;

	if (!c)
		return status_no_memory(sizeof(*c));
	memset(c, 0, sizeof(*c));
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

static void shard_done(struct cache *c, struct shard *s)
{
	struct buckets *b = buckets_of(s), *outgrown;
	struct cache_entry *freed = NULL, *next;

	for (uint64_t i = 0; b && i < b->n; i++)
		while (follow(&b->heads[i]))
			unlink_at(s, &b->heads[i], &freed);
	free_list(c, s, freed);
	assert(!atomic_load(&s->alive_charge)); /* else something is pinned */
	for (struct cache_entry *e = s->free; e; e = next) {
		next = follow(&e->chain);
		free(e);
	}
	for (; b; b = outgrown) {
		outgrown = b->outgrown;
		free(b);
	}
	free(s->ghosts);
	mutex_done(&s->lock);
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->shards_n; i++)
		shard_done(c, &c->shards[i]);
	free(c->shards);
	free(c);
}

static inline void note_hit(struct cache_entry *e)
{
	unsigned hits = hits_of(e);

	if (hits < HITS_MAX)
		set_hits(e, hits + 1);
}

/* Under the shard's lock, where what is linked has a reference. */
static struct cache_entry *pin(struct cache_entry *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	note_hit(e);
	return e;
}

/* Without the lock: only if somebody else has a reference. */
static inline bool try_pin(struct cache_entry *e)
{
	uint32_t refs = atomic_load_explicit(&e->refs, memory_order_relaxed);

	while (refs) {
		if (atomic_compare_exchange_weak_explicit(&e->refs, &refs, refs + 1, memory_order_acquire,
							  memory_order_relaxed))
			return true;
	}
	return false;
}

/* NULL: it isn't there, or the chain changed meanwhile. */
static struct cache_entry *find_unlocked(struct cache *c, struct shard *s, struct cache_key key, uint64_t hash)
{
	struct cache_entry *e = follow(bucket_of(buckets_of(s), hash));

	while (e && !has_key(e, key))
		e = follow(&e->chain);
	if (!e || !try_pin(e))
		return NULL;
	if (has_key(e, key)) {
		note_hit(e);
		return e;
	}
	cache_release(c, e); /* it has become another one's */
	return NULL;
}

static struct counters *own_counters(struct cache *c)
{
	static _Atomic unsigned threads;
	static _Thread_local unsigned mine;

	if (!mine)
		mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % COUNTERS + 1;
	return &c->counters[mine - 1];
}

struct cache_entry *cache_lookup(struct cache *c, struct cache_key key)
{
	uint64_t hash = key_hash(key);
	struct shard *s = shard_of(c, hash);
	struct cache_entry *e = find_unlocked(c, s, key, hash);
	struct counters *counters = own_counters(c);

	if (!e) {
		mutex_lock(&s->lock);
		e = follow(find(s, key, hash));
		if (e)
			pin(e);
		mutex_unlock(&s->lock);
	}
	atomic_fetch_add_explicit(e ? &counters->hits : &counters->misses, 1, memory_order_relaxed);
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
	if (s->entries_n >= buckets_of(s)->n)
		grow(s);
	ghost = ghost_of(s, e->hash);
	if (*ghost == fingerprint(e->hash)) {
		*ghost = 0;
		queue_push(s, e, QUEUE_MAIN);
	} else {
		queue_push(s, e, QUEUE_PROBATION);
	}
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	bucket_push(buckets_of(s), e);
	s->entries_n++;
}

/* Under the shard's lock: one to be used again, or a new one. With a reference for the caller, as the last thing. */
static struct cache_entry *entry_new(struct shard *s, struct cache_key key, uint64_t hash, void *value, uint64_t charge)
{
	struct cache_entry *e = s->free;

	if (e) {
		s->free = follow(&e->chain);
	} else {
		e = malloc(sizeof(*e));
		if (!e)
			return NULL;
		atomic_init(&e->refs, 0);
		atomic_init(&e->file, 0);
		atomic_init(&e->offset, 0);
		atomic_init(&e->hits, 0);
		atomic_init(&e->chain, NULL);
	}
	e->older = e->newer = NULL;
	e->queue = QUEUE_NONE;
	e->hash = hash;
	e->value = value;
	e->charge = charge;
	set_hits(e, 0);
	atomic_store_explicit(&e->file, key.file, memory_order_relaxed);
	atomic_store_explicit(&e->offset, key.offset, memory_order_relaxed);
	atomic_store_explicit(&e->refs, 1, memory_order_release);
	return e;
}

struct cache_entry *cache_insert(struct cache *c, struct cache_key key, void *value, uint64_t charge, bool low_priority)
{
	uint64_t hash = key_hash(key);
	struct shard *s = shard_of(c, hash);
	struct cache_entry *e, *freed = NULL;
	bool there;

	mutex_lock(&s->lock);
	e = follow(find(s, key, hash));
	there = e != NULL;
	if (there) {
		pin(e);
	} else {
		e = entry_new(s, key, hash, value, charge);
		if (e)
			link_entry(c, s, e, !low_priority, &freed);
	}
	mutex_unlock(&s->lock);
	if (there)
		c->free_fn(c->ctx, value);
	free_list(c, s, freed);
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
	free_list(c, s, freed);
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
		free_list(c, s, freed);
}

void cache_erase(struct cache *c, struct cache_key key)
{
	uint64_t hash = key_hash(key);
	struct shard *s = shard_of(c, hash);
	_Atomic(struct cache_entry *) *at;
	struct cache_entry *freed = NULL;

	mutex_lock(&s->lock);
	at = find(s, key, hash);
	if (follow(at))
		unlink_at(s, at, &freed);
	mutex_unlock(&s->lock);
	free_list(c, s, freed);
}

/* Which entries: those of a file, or those with certain values. */
struct wanted {
	uint64_t file;
	bool (*is_it)(void *ctx, const void *value); /* NULL: those of the file */
	void *ctx;
};

static void erase_in_queue(struct shard *s, struct queue *q, const struct wanted *w, struct cache_entry **freed)
{
	for (struct cache_entry *e = q->newest, *older; e; e = older) {
		older = e->older;
		if (w->is_it ? w->is_it(w->ctx, e->value) : file_of(e) == w->file)
			unlink_entry(s, e, freed);
	}
}

static void erase_wanted(struct cache *c, const struct wanted *w)
{
	for (unsigned i = 0; i < c->shards_n; i++) {
		struct shard *s = &c->shards[i];
		struct cache_entry *freed = NULL;

		mutex_lock(&s->lock);
		erase_in_queue(s, &s->probation, w, &freed);
		erase_in_queue(s, &s->main, w, &freed);
		mutex_unlock(&s->lock);
		free_list(c, s, freed);
	}
}

void cache_erase_file(struct cache *c, uint64_t file)
{
	erase_wanted(c, &(struct wanted){ .file = file });
}

void cache_erase_values(struct cache *c, bool (*is_it)(void *ctx, const void *value), void *ctx)
{
	erase_wanted(c, &(struct wanted){ .is_it = is_it, .ctx = ctx });
}

uint64_t cache_capacity(const struct cache *c)
{
	return c->capacity;
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
		free_list(c, s, freed);
	}
}

void cache_get_stats(struct cache *c, struct cache_stats *ret)
{
	struct cache_stats st = { .capacity = c->capacity, .charged_bytes = cache_charged(c) };

	st.bytes = st.charged_bytes;
	for (unsigned i = 0; i < COUNTERS; i++) {
		st.hits += atomic_load_explicit(&c->counters[i].hits, memory_order_relaxed);
		st.misses += atomic_load_explicit(&c->counters[i].misses, memory_order_relaxed);
	}
	for (unsigned i = 0; i < c->shards_n; i++) {
		struct shard *s = &c->shards[i];

		mutex_lock(&s->lock);
		st.entries += s->entries_n;
		st.bytes += atomic_load_explicit(&s->alive_charge, memory_order_relaxed);
		mutex_unlock(&s->lock);
	}
	*ret = st;
}
