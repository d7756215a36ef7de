/* SPDX-License-Identifier: MIT */
#include "lsm/memory/memtable.h"

#include <assert.h>
#include <stdlib.h>

enum {
	HEIGHT_MAX = 12,
	BRANCHING = 4,
	RUNS_MAX = 40, /* run sizes are distinct powers of two */
};

struct node {
	uint64_t trailer;
	uint32_t key_size, value_size;
	uint32_t height;
	_Atomic(struct node *) next[]; /* `height` of them, then the key, then the value */
};

/* The range tombstones as readers see them: a set that is replaced as a whole. */
struct run_set {
	struct run_set *older; /* the set it replaced; freed with the memtable, since readers may still use it */
	size_t n;
	struct {
		struct range_dels *dels;
		size_t count; /* tombstones in it: a power of two */
	} runs[RUNS_MAX];
};

struct memtable {
	_Atomic uint32_t refs;
	uint64_t first_segment;
	struct arena arena;
	struct node *head;
	struct node *splice[HEIGHT_MAX]; /* the predecessors at the last insertion; the writer's */
	unsigned height;                 /* of the list; the writer's */
	_Atomic uint64_t entries, deletes;
	uint64_t random; /* the writer's */

	_Atomic(struct run_set *) runs; /* the newest set, or NULL */
	_Atomic uint64_t runs_bytes;
	struct range_del *dels; /* all tombstones in order of arrival; the writer's */
	size_t dels_capacity;
	_Atomic uint64_t dels_n;

	struct blob_segment **segments; /* the writer's; each held once */
	size_t segments_n, segments_capacity;
};

static uint8_t *node_key_bytes(const struct node *n)
{
	return (uint8_t *)(uintptr_t)&n->next[n->height];
}

static struct lsm_slice node_key(const struct node *n)
{
	return slice_of(node_key_bytes(n), n->key_size);
}

static struct lsm_slice node_value(const struct node *n)
{
	return slice_of(node_key_bytes(n) + n->key_size, n->value_size);
}

static struct node *node_next(const struct node *n, unsigned level)
{
	return atomic_load_explicit(&n->next[level], memory_order_acquire);
}

static struct node *node_new(struct memtable *m, struct lsm_slice key, uint64_t trailer, struct lsm_slice value,
			     unsigned height)
{
	struct node *n;
	size_t links = height * sizeof(n->next[0]);

	n = arena_alloc(&m->arena, sizeof(*n) + links + key.size + value.size);
	if (!n)
		return NULL;
	n->trailer = trailer;
	n->key_size = (uint32_t)key.size;
	n->value_size = (uint32_t)value.size;
	n->height = height;
	if (key.size)
		memcpy(node_key_bytes(n), key.data, key.size);
	if (value.size)
		memcpy(node_key_bytes(n) + key.size, value.data, value.size);
	return n;
}

int memtable_new(uint64_t first_segment, struct memtable **ret)
{
	struct memtable *m = calloc(1, sizeof(*m));

	if (!m)
		return status_no_memory(sizeof(*m));
	arena_init(&m->arena);
	m->head = node_new(m, slice_of(NULL, 0), 0, slice_of(NULL, 0), HEIGHT_MAX);
	if (!m->head) {
		free(m);
		return status_no_memory(sizeof(*m->head));
	}
	for (unsigned i = 0; i < HEIGHT_MAX; i++) {
		atomic_init(&m->head->next[i], NULL);
		m->splice[i] = m->head;
	}
	atomic_init(&m->refs, 1);
	m->first_segment = first_segment;
	m->height = 1;
	m->random = 0x9e3779b97f4a7c15u;
	*ret = m;
	return LSM_OK;
}

void memtable_ref(struct memtable *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void memtable_unref(struct memtable *m)
{
	struct run_set *set;

	if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (set = atomic_load(&m->runs); set;) {
		struct run_set *older = set->older;

		/* A run lives in consecutive sets: it is freed with the oldest one, the one whose last run it is. */
		range_dels_free(set->runs[set->n - 1].dels);
		free(set);
		set = older;
	}
	for (size_t i = 0; i < m->segments_n; i++)
		segment_release(m->segments[i]);
	free(m->segments);
	free(m->dels);
	arena_done(&m->arena);
	free(m);
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

static bool node_before(const struct node *n, struct lsm_slice key, uint64_t trailer)
{
	return ikey_compare_parts(node_key(n), n->trailer, key, trailer) < 0;
}

/* Fills `splice` with the last nodes before the place of (key, trailer) on each level. */
static void find_splice(struct memtable *m, struct lsm_slice key, uint64_t trailer)
{
	struct node *at = m->head, *bound = NULL;

	for (unsigned level = m->height; level-- > 0;) {
		struct node *next = node_next(at, level);

		/* `bound` is known not to be before the place: a comparison saved. */
		while (next && next != bound && node_before(next, key, trailer)) {
			at = next;
			next = node_next(at, level);
		}
		bound = next;
		m->splice[level] = at;
	}
}

/* In a run of ascending keys each goes right behind the one before: the last splice still fits. */
static bool splice_fits(const struct memtable *m, struct lsm_slice key, uint64_t trailer)
{
	const struct node *before = m->splice[0], *after = node_next(before, 0);

	if (before != m->head && !node_before(before, key, trailer))
		return false;
	return !after || !node_before(after, key, trailer);
}

int memtable_add(struct memtable *m, struct lsm_slice key, uint64_t trailer, struct lsm_slice value)
{
	unsigned height = random_height(m);
	struct node *n = node_new(m, key, trailer, value, height);

	if (!n)
		return status_no_memory(key.size + value.size);
	if (!splice_fits(m, key, trailer))
		find_splice(m, key, trailer);
	if (height > m->height)
		m->height = height; /* the levels above start at head, where their splice stands from the beginning */
	for (unsigned i = 0; i < height; i++) {
		struct node *next = node_next(m->splice[i], i);

		atomic_init(&n->next[i], next);
		atomic_store_explicit(&m->splice[i]->next[i], n, memory_order_release);
		m->splice[i] = n;
	}
	atomic_fetch_add_explicit(&m->entries, 1, memory_order_relaxed);
	if (trailer_type(trailer) == ENTRY_DELETE)
		atomic_fetch_add_explicit(&m->deletes, 1, memory_order_relaxed);
	return LSM_OK;
}

/* The first node >= (key, trailer), or NULL. Readers use the head's full height: empty levels cost one load. */
static struct node *find_from(const struct memtable *m, struct lsm_slice key, uint64_t trailer)
{
	struct node *at = m->head, *bound = NULL;

	for (unsigned level = HEIGHT_MAX; level-- > 0;) {
		struct node *next = node_next(at, level);

		while (next && next != bound && node_before(next, key, trailer)) {
			at = next;
			next = node_next(at, level);
		}
		bound = next;
	}
	return bound;
}

/* The last node < (key, trailer), or with `last` the last of all; NULL when there is none. */
static struct node *find_before(const struct memtable *m, struct lsm_slice key, uint64_t trailer, bool last)
{
	struct node *at = m->head, *bound = NULL;

	for (unsigned level = HEIGHT_MAX; level-- > 0;) {
		struct node *next = node_next(at, level);

		while (next && next != bound && (last || node_before(next, key, trailer))) {
			at = next;
			next = node_next(at, level);
		}
		bound = next;
	}
	return at == m->head ? NULL : at;
}

bool memtable_get(const struct memtable *m, struct lsm_slice key, uint64_t trailer, uint64_t *ret_trailer,
		  struct lsm_slice *ret_value)
{
	const struct node *n = find_from(m, key, trailer);

	if (!n || !slice_equal(node_key(n), key))
		return false;
	*ret_trailer = n->trailer;
	*ret_value = node_value(n);
	return true;
}

/* ---- range tombstones ---- */

static struct lsm_slice arena_copy(struct arena *a, struct lsm_slice s)
{
	uint8_t *p = arena_alloc(a, s.size);

	if (p && s.size)
		memcpy(p, s.data, s.size);
	return slice_of(p, s.size);
}

static int dels_append(struct memtable *m, const struct range_del *del)
{
	size_t n = atomic_load_explicit(&m->dels_n, memory_order_relaxed);
	struct range_del copy = { arena_copy(&m->arena, del->begin), arena_copy(&m->arena, del->end), del->seq };

	if (!copy.begin.data || !copy.end.data)
		return status_no_memory(del->begin.size + del->end.size);
	if (n == m->dels_capacity) {
		size_t capacity = n ? n * 2 : 16;
		struct range_del *dels = realloc(m->dels, capacity * sizeof(*dels));

		if (!dels)
			return status_no_memory(capacity * sizeof(*dels));
		m->dels = dels;
		m->dels_capacity = capacity;
	}
	m->dels[n] = copy;
	return LSM_OK;
}

/*
 * The tombstones are kept as runs of 1, 2, 4, … of them, like the digits of a binary counter: a new one merges with
 * all runs that are as small, so each is sorted again only log2(n) times and a reader looks at log2(n) runs at most.
 */
int memtable_add_range_delete(struct memtable *m, const struct range_del *del)
{
	struct run_set *old = atomic_load_explicit(&m->runs, memory_order_relaxed);
	struct run_set *set = calloc(1, sizeof(*set));
	size_t n = atomic_load_explicit(&m->dels_n, memory_order_relaxed), count = 1, keep = old ? old->n : 0;
	int rc;

	if (!set)
		return status_no_memory(sizeof(*set));
	rc = dels_append(m, del);
	if (rc)
		goto fail;
	while (keep && old->runs[keep - 1].count == count) {
		count *= 2;
		keep--;
	}
	if (keep)
		memcpy(set->runs, old->runs, keep * sizeof(set->runs[0]));
	rc = range_dels_new(m->dels + (n + 1 - count), count, &set->runs[keep].dels);
	if (rc)
		goto fail;
	set->runs[keep].count = count;
	set->n = keep + 1;
	set->older = old;
	atomic_fetch_add(&m->runs_bytes, range_dels_memory(set->runs[keep].dels) + sizeof(*set));
	atomic_store_explicit(&m->dels_n, n + 1, memory_order_relaxed);
	atomic_store_explicit(&m->runs, set, memory_order_release);
	return LSM_OK;
fail:
	free(set);
	return rc;
}

uint64_t memtable_covering(struct memtable *m, struct lsm_slice key, uint64_t snapshot)
{
	struct run_set *set = atomic_load_explicit(&m->runs, memory_order_acquire);
	uint64_t newest = 0;

	for (size_t i = 0; set && i < set->n; i++) {
		uint64_t seq = range_dels_covering(set->runs[i].dels, key, snapshot, NULL);

		if (seq > newest)
			newest = seq;
	}
	return newest;
}

int memtable_each_range_dels(struct memtable *m, int (*fn)(void *ctx, const struct range_dels *dels), void *ctx)
{
	struct run_set *set = atomic_load_explicit(&m->runs, memory_order_acquire);
	int rc = LSM_OK;

	for (size_t i = 0; !rc && set && i < set->n; i++)
		rc = fn(ctx, set->runs[i].dels);
	return rc;
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

size_t memtable_bytes(struct memtable *m)
{
	return arena_bytes(&m->arena) + atomic_load_explicit(&m->runs_bytes, memory_order_relaxed);
}

uint64_t memtable_entries(const struct memtable *m)
{
	return atomic_load_explicit(&m->entries, memory_order_relaxed);
}

uint64_t memtable_deletes(const struct memtable *m)
{
	return atomic_load_explicit(&m->deletes, memory_order_relaxed);
}

uint64_t memtable_range_deletes(const struct memtable *m)
{
	return atomic_load_explicit(&m->dels_n, memory_order_relaxed);
}

uint64_t memtable_first_segment(const struct memtable *m)
{
	return m->first_segment;
}

/* Nodes before `key` (all when NULL), estimated on the highest level that has enough nodes to count. */
static double rank_of(const struct memtable *m, const struct lsm_slice *key)
{
	for (unsigned level = HEIGHT_MAX; level-- > 0;) {
		uint64_t n = 0;
		double weight = 1;

		for (const struct node *at = node_next(m->head, level); at; at = node_next(at, level)) {
			if (key && !node_before(at, *key, UINT64_MAX))
				break;
			n++;
		}
		for (unsigned i = 0; i < level; i++)
			weight *= BRANCHING;
		if (n >= 64 || level == 0)
			return (double)n * weight;
	}
	return 0;
}

uint64_t memtable_range_bytes(struct memtable *m, struct lsm_slice begin, struct lsm_slice end)
{
	double all = rank_of(m, NULL), low = begin.size ? rank_of(m, &begin) : 0,
	       high = end.size ? rank_of(m, &end) : all;

	if (all < 1 || high <= low)
		return 0;
	return (uint64_t)((double)memtable_bytes(m) * ((high - low) / all));
}

/* ---- iterator ---- */

struct memtable_iter {
	struct iter it;
	struct memtable *m;
	const struct node *at;
	struct buf key; /* the internal key as one piece */
};

static void show(struct memtable_iter *mi, const struct node *n)
{
	struct iter *it = &mi->it;

	mi->at = n;
	it->valid = n != NULL;
	if (!n)
		return;
	buf_clear(&mi->key);
	buf_put_ikey(&mi->key, node_key(n), n->trailer);
	if (mi->key.failed) {
		it->valid = false;
		it->status = status_no_memory(n->key_size);
		return;
	}
	it->key = buf_slice(&mi->key);
	it->value = node_value(n);
}

static struct memtable_iter *of(struct iter *it)
{
	it->status = LSM_OK;
	return (struct memtable_iter *)it;
}

static void mi_seek_first(struct iter *it)
{
	struct memtable_iter *mi = of(it);

	show(mi, node_next(mi->m->head, 0));
}

static void mi_seek_last(struct iter *it)
{
	struct memtable_iter *mi = of(it);

	show(mi, find_before(mi->m, slice_of(NULL, 0), 0, true));
}

static void mi_seek(struct iter *it, struct lsm_slice ikey)
{
	struct memtable_iter *mi = of(it);

	show(mi, find_from(mi->m, ikey_user(ikey), ikey_trailer(ikey)));
}

static void mi_seek_prev(struct iter *it, struct lsm_slice ikey)
{
	struct memtable_iter *mi = of(it);
	uint64_t trailer = ikey_trailer(ikey);

	/* The last one <= ikey is the last one before its successor, the same key with the next smaller trailer. */
	if (trailer)
		show(mi, find_before(mi->m, ikey_user(ikey), trailer - 1, false));
	else
		show(mi, find_before(mi->m, ikey_user(ikey), 0, false));
}

static void mi_next(struct iter *it)
{
	struct memtable_iter *mi = of(it);

	show(mi, node_next(mi->at, 0));
}

static void mi_prev(struct iter *it)
{
	struct memtable_iter *mi = of(it);

	show(mi, find_before(mi->m, node_key(mi->at), mi->at->trailer, false));
}

static void mi_free(struct iter *it)
{
	struct memtable_iter *mi = of(it);

	buf_free(&mi->key);
	free(mi);
}

static const struct iter_ops memtable_iter_ops = {
	.seek_first = mi_seek_first,
	.seek_last = mi_seek_last,
	.seek = mi_seek,
	.seek_prev = mi_seek_prev,
	.next = mi_next,
	.prev = mi_prev,
	.free = mi_free,
};

int memtable_iter_new(struct memtable *m, struct iter **ret)
{
	struct memtable_iter *mi = calloc(1, sizeof(*mi));

	if (!mi)
		return status_no_memory(sizeof(*mi));
	mi->it.ops = &memtable_iter_ops;
	mi->m = m;
	*ret = &mi->it;
	return LSM_OK;
}
