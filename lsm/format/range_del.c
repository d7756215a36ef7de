/* SPDX-License-Identifier: MIT */
#include "lsm/format/range_del.h"

#include <assert.h>

#include "lsm/base/status.h"

/* One allocation: this, the fragments, their sequence numbers, the keys. */
struct range_dels {
	size_t memory;
	size_t n;
	struct range_fragment fragments[];
};

/* ---------------------------------------------------------------------------------------------------------------
 * Building: a sweep over the ends of all tombstones in key order, with the sequence numbers that cover the place
 */

static int by_begin(const void *a, const void *b)
{
	const struct range_del *const *x = a, *const *y = b;

	return slice_compare((*x)->begin, (*y)->begin);
}

static int by_end(const void *a, const void *b)
{
	const struct range_del *const *x = a, *const *y = b;

	return slice_compare((*x)->end, (*y)->end);
}

struct sweep {
	const struct range_del **begins, **ends; /* sorted */
	size_t n;
	uint64_t *active; /* sequence numbers, newest first; one for each covering tombstone, so that each can leave */
	size_t active_n;
	/* What comes out: pointers are NULL while it is only counted. The last fragment may still grow. */
	struct range_fragment *fragments;
	uint64_t *seqs;
	uint8_t *keys;
	size_t fragments_n, seqs_n, keys_bytes;
	struct range_fragment last;
	uint64_t *last_seqs;
	struct lsm_slice last_key; /* the last key kept: a fragment often begins where the one before ends */
};

/* The first place in `active` whose number is not above `seq`. */
static size_t active_place(const struct sweep *s, uint64_t seq)
{
	size_t low = 0, high = s->active_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->active[middle] > seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void active_add(struct sweep *s, uint64_t seq)
{
	size_t i = active_place(s, seq);

	memmove(s->active + i + 1, s->active + i, (s->active_n - i) * sizeof(*s->active));
	s->active[i] = seq;
	s->active_n++;
}

static void active_remove(struct sweep *s, uint64_t seq)
{
	size_t i = active_place(s, seq);

	assert(i < s->active_n && s->active[i] == seq);
	s->active_n--;
	memmove(s->active + i, s->active + i + 1, (s->active_n - i) * sizeof(*s->active));
}

/* Compares the active numbers, without repeats, to the last fragment's. */
static bool same_as_last(const struct sweep *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->active_n; i++) {
		if (i && s->active[i] == s->active[i - 1])
			continue;
		if (n == s->last.seqs_n || s->last_seqs[n] != s->active[i])
			return false;
		n++;
	}
	return n == s->last.seqs_n;
}

static struct lsm_slice keep_key(struct sweep *s, struct lsm_slice key)
{
	if (s->keys_bytes && slice_equal(key, s->last_key))
		return s->last_key;
	if (s->keys) {
		memcpy(s->keys + s->keys_bytes, key.data, key.size);
		key.data = s->keys + s->keys_bytes;
	}
	s->keys_bytes += key.size;
	s->last_key = key;
	return key;
}

static void end_last(struct sweep *s)
{
	if (!s->last.seqs_n)
		return;
	s->last.begin = keep_key(s, s->last.begin);
	s->last.end = keep_key(s, s->last.end);
	if (s->fragments) {
		memcpy(s->seqs + s->seqs_n, s->last_seqs, s->last.seqs_n * sizeof(*s->seqs));
		s->last.seqs = s->seqs + s->seqs_n;
		s->fragments[s->fragments_n] = s->last;
	}
	s->fragments_n++;
	s->seqs_n += s->last.seqs_n;
	s->last.seqs_n = 0;
}

/* [begin, end) is covered by what is active. Neighbours that are covered alike become one. */
static void cover(struct sweep *s, struct lsm_slice begin, struct lsm_slice end)
{
	if (s->last.seqs_n && slice_equal(s->last.end, begin) && same_as_last(s)) {
		s->last.end = end;
		return;
	}
	end_last(s);
	s->last = (struct range_fragment){ .begin = begin, .end = end };
	for (size_t i = 0; i < s->active_n; i++) {
		if (!i || s->active[i] != s->active[i - 1])
			s->last_seqs[s->last.seqs_n++] = s->active[i];
	}
}

static void sweep_run(struct sweep *s)
{
	struct lsm_slice at = { 0 };
	size_t b = 0, e = 0;

	s->active_n = s->fragments_n = s->seqs_n = s->keys_bytes = 0;
	while (e < s->n) {
		/* begin < end: whatever ends here has begun before. */
		bool begins = b < s->n && slice_compare(s->begins[b]->begin, s->ends[e]->end) < 0;
		struct lsm_slice next = begins ? s->begins[b]->begin : s->ends[e]->end;

		if (s->active_n && slice_compare(at, next) < 0)
			cover(s, at, next);
		if (begins)
			active_add(s, s->begins[b++]->seq);
		else
			active_remove(s, s->ends[e++]->seq);
		at = next;
	}
	end_last(s);
}

static struct range_dels *sweep_twice(struct sweep *s)
{
	struct range_dels *d;
	size_t bytes;

	sweep_run(s);
	bytes = sizeof(*d) + s->fragments_n * sizeof(*d->fragments) + s->seqs_n * sizeof(uint64_t) + s->keys_bytes;
	d = malloc(bytes);
	if (!d)
		return NULL;
	d->memory = bytes;
	d->n = s->fragments_n;
	s->fragments = d->fragments;
	s->seqs = (uint64_t *)(d->fragments + s->fragments_n);
	s->keys = (uint8_t *)(s->seqs + s->seqs_n);
	sweep_run(s);
	assert(s->fragments_n == d->n && s->keys + s->keys_bytes == (uint8_t *)d + bytes);
	return d;
}

int range_dels_new(const struct range_del *dels, size_t n, struct range_dels **ret)
{
	size_t bytes = n * 2 * (sizeof(void *) + sizeof(uint64_t));
	struct range_dels *d = NULL;
	struct sweep s = { 0 };
	void *scratch;

	scratch = malloc(bytes ? bytes : 1);
	if (!scratch)
		return status_no_memory(bytes);
	s.active = scratch;
	s.last_seqs = s.active + n;
	s.begins = (const struct range_del **)(s.last_seqs + n);
	s.ends = s.begins + n;
	for (size_t i = 0; i < n; i++) {
		if (slice_compare(dels[i].begin, dels[i].end) >= 0)
			continue;
		s.begins[s.n] = s.ends[s.n] = &dels[i];
		s.n++;
	}
	if (s.n) {
		qsort(s.begins, s.n, sizeof(*s.begins), by_begin);
		qsort(s.ends, s.n, sizeof(*s.ends), by_end);
	}
	d = sweep_twice(&s);
	free(scratch);
	if (!d)
		return status_no_memory(s.keys_bytes);
	*ret = d;
	return LSM_OK;
}

void range_dels_free(struct range_dels *d)
{
	free(d);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Looking up
 */

static const struct range_fragment *fragment_of(const struct range_dels *d, struct lsm_slice key)
{
	size_t low = 0, high = d->n; /* the fragments in front of `low` begin at or before the key */

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slice_compare(d->fragments[middle].begin, key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || slice_compare(key, d->fragments[low - 1].end) >= 0)
		return NULL;
	return &d->fragments[low - 1];
}

static uint64_t newest_at(const struct range_fragment *f, uint64_t snapshot)
{
	size_t low = 0, high = f->seqs_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->seqs[middle] > snapshot)
			low = middle + 1;
		else
			high = middle;
	}
	return low < f->seqs_n ? f->seqs[low] : 0;
}

uint64_t range_dels_covering(const struct range_dels *d, struct lsm_slice key, uint64_t snapshot,
			     struct lsm_slice *ret_end)
{
	const struct range_fragment *f = fragment_of(d, key);
	uint64_t seq = f ? newest_at(f, snapshot) : 0;

	if (seq && ret_end)
		*ret_end = f->end;
	return seq;
}

uint64_t range_dels_covering_begin(const struct range_dels *d, struct lsm_slice key, uint64_t snapshot,
				   struct lsm_slice *ret_begin)
{
	const struct range_fragment *f = fragment_of(d, key);
	uint64_t seq = f ? newest_at(f, snapshot) : 0;

	if (seq && ret_begin)
		*ret_begin = f->begin;
	return seq;
}

size_t range_dels_count(const struct range_dels *d)
{
	return d->n;
}

struct range_fragment range_dels_at(const struct range_dels *d, size_t i)
{
	assert(i < d->n);
	return d->fragments[i];
}

size_t range_dels_memory(const struct range_dels *d)
{
	return d->memory;
}
