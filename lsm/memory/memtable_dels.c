/* SPDX-License-Identifier: MIT */
/* The range tombstones of a memtable. */
#include <stdlib.h>

#include "lsm/memory/memtable_internal.h"

enum { RUNS_MAX = 40 /* run sizes are distinct powers of two */ };

/* The range tombstones as readers see them: a set that is replaced as a whole. */
struct run_set {
	struct run_set *older; /* the set it replaced; freed with the memtable, since readers may still use it */
	size_t n;
	struct {
		struct range_dels *dels;
		size_t count; /* tombstones in it: a power of two */
	} runs[RUNS_MAX];
};

void memtable_dels_done(struct memtable *m)
{
	struct run_set *set = atomic_load(&m->runs);

	while (set) {
		struct run_set *older = set->older;

		/* A run lives in consecutive sets: it is freed with the oldest one, the one whose last run it is. */
		range_dels_free(set->runs[set->n - 1].dels);
		free(set);
		set = older;
	}
	free(m->dels);
}

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

uint64_t memtable_range_deletes(const struct memtable *m)
{
	return atomic_load_explicit(&m->dels_n, memory_order_relaxed);
}
