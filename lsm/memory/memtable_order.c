/* SPDX-License-Identifier: MIT */
/* The order of a memtable's entries, made when it is wanted; and the iterator, which wants it. */
#include <assert.h>
#include <stdlib.h>

#include "lsm/memory/memtable_internal.h"

/* ---- sorting what came since the last time ---- */

/* An entry with the eight bytes of its key by which it is being sorted. */
struct item {
	uint64_t word;
	struct node *node;
};

enum { SMALL = 24, DIGITS = 8, DIGIT_VALUES = 256 };

/* Eight bytes of the key from `depth` on as a number that orders as they do; zeros stand for what lies behind its end. */
static uint64_t key_word(const struct node *n, size_t depth)
{
	const uint8_t *p = node_key_bytes(n) + depth;
	uint64_t word = 0;

	if (depth + sizeof(word) <= n->key_size)
		return __builtin_bswap64(get_u64(p));
	for (size_t i = depth; i < n->key_size; i++)
		word |= (uint64_t)*p++ << (56 - 8 * (i - depth));
	return word;
}

static int compare_nodes(const struct node *a, const struct node *b)
{
	return ikey_compare(node_ikey(a), node_ikey(b));
}

static int compare_items(const void *a, const void *b)
{
	return compare_nodes(((const struct item *)a)->node, ((const struct item *)b)->node);
}

static void sort_small(struct item *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct item moved = items[i];
		size_t k = i;

		for (; k > 0 && compare_nodes(items[k - 1].node, moved.node) > 0; k--)
			items[k] = items[k - 1];
		items[k] = moved;
	}
}

/* Radix sort from the least significant byte, without those that are the same in all. Stable. */
static void sort_words(struct item *items, size_t n, struct item *scratch)
{
	size_t counts[DIGITS][DIGIT_VALUES] = { 0 };
	struct item *from = items, *to = scratch;

	for (size_t i = 0; i < n; i++) {
		for (unsigned d = 0; d < DIGITS; d++)
			counts[d][items[i].word >> 8 * d & 255]++;
	}
	for (unsigned d = 0; d < DIGITS; d++) {
		size_t at = 0;
		struct item *swap;

		if (counts[d][items[0].word >> 8 * d & 255] == n)
			continue;
		for (unsigned v = 0; v < DIGIT_VALUES; v++) {
			size_t count = counts[d][v];

			counts[d][v] = at;
			at += count;
		}
		for (size_t i = 0; i < n; i++)
			to[counts[d][from[i].word >> 8 * d & 255]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != items)
		memcpy(items, from, n * sizeof(*items));
}

/* Bytes that all keys have in common. */
static size_t common_bytes(const struct item *items, size_t n)
{
	const struct node *first = items[0].node;
	const uint8_t *bytes = node_key_bytes(first);
	size_t common = first->key_size;

	for (size_t i = 1; i < n && common; i++) {
		const uint8_t *other = node_key_bytes(items[i].node);
		size_t k = 0;

		if (common > items[i].node->key_size)
			common = items[i].node->key_size;
		if (!memcmp(bytes, other, common))
			continue;
		while (bytes[k] == other[k])
			k++;
		common = k;
	}
	return common;
}

/*
 * By the eight bytes behind what all have in common, then each run of equals in itself. Equal keys keep the order in which
 * they come: the newest first.
 */
static void sort_items(struct item *items, size_t n, struct item *scratch)
{
	size_t depth, shortest = SIZE_MAX, longest = 0;

	if (n <= SMALL) {
		sort_small(items, n);
		return;
	}
	depth = common_bytes(items, n);
	for (size_t i = 0; i < n; i++) {
		size_t size = items[i].node->key_size;

		shortest = size < shortest ? size : shortest;
		longest = size > longest ? size : longest;
		items[i].word = key_word(items[i].node, depth);
	}
	if (longest == depth)
		return;
	/* The end of a key would be taken for a zero byte: such keys, of several lengths, are compared instead. */
	sort_words(items, n, scratch);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && items[end].word == items[i].word; end++)
			;
		if (end - i == 1 || (shortest == longest && longest <= depth + sizeof(items[i].word)))
			continue;
		if (shortest >= depth + sizeof(items[i].word))
			sort_items(items + i, end - i, scratch);
		else
			qsort(items + i, end - i, sizeof(*items), compare_items);
	}
}

/* ---- the skip list ---- */

static bool node_before(const struct node *n, struct lsm_slice key, uint64_t trailer)
{
	return ikey_compare_parts(node_key(n), node_trailer(n), key, trailer) < 0;
}

static void splice_reset(struct memtable *m)
{
	for (unsigned i = 0; i < HEIGHT_MAX; i++)
		m->splice[i] = m->head;
}

/* Moves the splice, all of which lies before the place of `n`, up to it: up as far as there is something to pass by, then
 * down. In a run of ascending keys that fall close together it is short. */
static void splice_advance(struct memtable *m, const struct node *n)
{
	struct lsm_slice key = node_key(n);
	uint64_t trailer = node_trailer(n);
	unsigned top = 0;
	struct node *at, *next;

	while (top < m->height && (next = node_next(m->splice[top], top)) && node_before(next, key, trailer))
		top++;
	if (!top)
		return;
	at = m->splice[top - 1];
	for (unsigned level = top; level-- > 0;) {
		while ((next = node_next(at, level)) && node_before(next, key, trailer))
			at = next;
		m->splice[level] = at;
	}
}

static void link_node(struct memtable *m, struct node *n)
{
	if (n->height > m->height)
		m->height = n->height; /* the levels above start at head, where their splice stands */
	for (unsigned i = 0; i < n->height; i++) {
		atomic_store_explicit(&n->links[i], node_next(m->splice[i], i), memory_order_relaxed);
		atomic_store_explicit(&m->splice[i]->links[i], n, memory_order_release);
		m->splice[i] = n;
	}
}

/* In ascending order. */
static void link_sorted(struct memtable *m, const struct item *items, size_t n)
{
	const struct node *last = m->splice[0];

	if (last != m->head && compare_nodes(last, items[0].node) > 0)
		splice_reset(m);
	for (size_t i = 0; i < n; i++) {
		splice_advance(m, items[i].node);
		link_node(m, items[i].node);
	}
}

static void link_one(struct memtable *m, struct node *n)
{
	const struct item item = { 0, n };

	link_sorted(m, &item, 1);
}

/* The waiting entries, the newest first; `order` is held. Without memory to sort they are put in their places one by one. */
static void link_waiting(struct memtable *m, struct node *first)
{
	struct item *items;
	size_t n = 0, bytes;

	for (struct node *at = first; at; at = atomic_load_explicit(&at->links[0], memory_order_relaxed))
		n++;
	bytes = 2 * n * sizeof(*items);
	items = n > 1 ? memtable_pages_take(bytes) : NULL;
	if (items) {
		for (size_t i = 0; i < n; i++, first = atomic_load_explicit(&first->links[0], memory_order_relaxed))
			items[i].node = first;
		sort_items(items, n, items + n);
		link_sorted(m, items, n);
		memtable_pages_give(items, bytes);
	} else {
		while (first) {
			struct node *next = atomic_load_explicit(&first->links[0], memory_order_relaxed);

			link_one(m, first);
			first = next;
		}
	}
	atomic_fetch_add_explicit(&m->ordered, n, memory_order_relaxed);
}

void memtable_order(struct memtable *m)
{
	struct node *first;

	/* Who took entries away to order them holds the lock until they are in their places. */
	mutex_lock(&m->order);
	first = atomic_exchange_explicit(&m->waiting, NULL, memory_order_acquire);
	if (first)
		link_waiting(m, first);
	mutex_unlock(&m->order);
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
	double all, low, high;

	memtable_order(m);
	all = rank_of(m, NULL);
	low = begin.size ? rank_of(m, &begin) : 0;
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
};

static void show(struct memtable_iter *mi, const struct node *n)
{
	struct iter *it = &mi->it;

	mi->at = n;
	it->valid = n != NULL;
	if (!n)
		return;
	it->key = node_ikey(n);
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

	show(mi, find_before(mi->m, node_key(mi->at), node_trailer(mi->at), false));
}

static void mi_free(struct iter *it)
{
	free(of(it));
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
	atomic_store_explicit(&m->iterated, true, memory_order_relaxed);
	memtable_order(m);
	mi->it.ops = &memtable_iter_ops;
	mi->m = m;
	*ret = &mi->it;
	return LSM_OK;
}
