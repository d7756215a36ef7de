/* SPDX-License-Identifier: MIT */
#include "lsm/tree/merge_iter.h"

#include <assert.h>
#include <stdlib.h>

#include "lsm/format/block.h"

/*
 * A binary heap of the valid children, the smallest key (or, backward, the greatest) at its root. The one that comes
 * next of the others is known, so that a child that stays in front is stepped at the price of one comparison.
 */
struct merge_iter {
	struct iter it;
	bool backward;
	size_t n, heap_n;
	struct iter **heap;
	struct iter *second; /* of heap[1] and heap[2] the one that comes first; NULL: the root is alone */
	struct merge_child *children;
	struct buf saved; /* a key that must outlive the children's moves */
};

static inline bool comes_first(const struct iter *a, const struct iter *b, bool backward)
{
	int c = ikey_compare(a->key, b->key);

	return backward ? c > 0 : c < 0;
}

static void sift_down(struct merge_iter *m, size_t i)
{
	struct iter *moved = m->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= m->heap_n)
			break;
		if (child + 1 < m->heap_n && comes_first(m->heap[child + 1], m->heap[child], m->backward))
			child++;
		if (!comes_first(m->heap[child], moved, m->backward))
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = moved;
}

static inline void show_root(struct merge_iter *m)
{
	m->it.key = m->heap[0]->key;
	m->it.value = m->heap[0]->value;
}

/* The root is in its place. */
static void show(struct merge_iter *m)
{
	struct iter **heap = m->heap;

	m->second = m->heap_n > 1 ? heap[1] : NULL;
	if (m->heap_n > 2 && comes_first(heap[2], heap[1], m->backward))
		m->second = heap[2];
	m->it.valid = m->heap_n > 0 && !m->it.status;
	if (m->it.valid)
		show_root(m);
}

/* After the children were moved: an error of any of them is the merge's. */
static void rebuild(struct merge_iter *m)
{
	m->it.status = LSM_OK;
	m->heap_n = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct iter *c = m->children[i].it;

		if (c->status && !m->it.status)
			m->it.status = c->status;
		if (c->valid)
			m->heap[m->heap_n++] = c;
	}
	for (size_t i = m->heap_n / 2; i-- > 0;)
		sift_down(m, i);
	show(m);
}

/* The root has moved behind the second: they change places. */
static void swap_root(struct merge_iter *m)
{
	size_t i = m->heap_n > 2 && m->heap[2] == m->second ? 2 : 1;

	m->heap[i] = m->heap[0];
	m->heap[0] = m->second;
	if (2 * i + 1 < m->heap_n)
		sift_down(m, i);
	show(m);
}

/* The root has come to its end. */
static __attribute__((noinline)) void drop_root(struct merge_iter *m)
{
	struct iter *root = m->heap[0];

	if (root->status)
		m->it.status = root->status;
	m->heap[0] = m->heap[--m->heap_n];
	if (m->heap_n)
		sift_down(m, 0);
	show(m);
}

static void mi_seek_first(struct iter *it)
{
	struct merge_iter *m = (struct merge_iter *)it;

	m->backward = false;
	for (size_t i = 0; i < m->n; i++)
		m->children[i].it->ops->seek_first(m->children[i].it);
	rebuild(m);
}

static void mi_seek_last(struct iter *it)
{
	struct merge_iter *m = (struct merge_iter *)it;

	m->backward = true;
	for (size_t i = 0; i < m->n; i++)
		m->children[i].it->ops->seek_last(m->children[i].it);
	rebuild(m);
}

static void mi_seek(struct iter *it, struct lsm_slice ikey)
{
	struct merge_iter *m = (struct merge_iter *)it;

	m->backward = false;
	for (size_t i = 0; i < m->n; i++)
		m->children[i].it->ops->seek(m->children[i].it, ikey);
	rebuild(m);
}

static void mi_seek_prev(struct iter *it, struct lsm_slice ikey)
{
	struct merge_iter *m = (struct merge_iter *)it;

	m->backward = true;
	for (size_t i = 0; i < m->n; i++)
		m->children[i].it->ops->seek_prev(m->children[i].it, ikey);
	rebuild(m);
}

/* Brings all children but the current one to the other side of the current key. Internal keys are unique. */
static void turn(struct merge_iter *m, bool backward)
{
	struct iter *current = m->heap[0];

	buf_set(&m->saved, current->key);
	if (m->saved.failed) {
		m->it.status = status_no_memory(current->key.size);
		return;
	}
	for (size_t i = 0; i < m->n; i++) {
		struct iter *c = m->children[i].it;

		if (c == current)
			continue;
		if (backward)
			c->ops->seek_prev(c, buf_slice(&m->saved));
		else
			c->ops->seek(c, buf_slice(&m->saved));
	}
	m->backward = backward;
	rebuild(m);
	assert(m->it.status || m->heap[0] == current);
}

/* False when the merge can't go on. */
static bool face(struct merge_iter *m, bool backward)
{
	if (m->backward != backward)
		turn(m, backward);
	if (m->it.status)
		m->it.valid = false;
	return !m->it.status;
}

static inline void root_moved(struct merge_iter *m, bool backward)
{
	struct iter *root = m->heap[0];

	if (!root->valid)
		drop_root(m);
	else if (!m->second || comes_first(root, m->second, backward))
		show_root(m);
	else
		swap_root(m);
}

void merge_iter_next(struct iter *it)
{
	struct merge_iter *m = (struct merge_iter *)it;

	if (!face(m, false))
		return;
	iter_next(m->heap[0]);
	root_moved(m, false);
}

void merge_iter_prev(struct iter *it)
{
	struct merge_iter *m = (struct merge_iter *)it;

	if (!face(m, true))
		return;
	iter_prev(m->heap[0]);
	root_moved(m, true);
}

static void mi_free(struct iter *it)
{
	struct merge_iter *m = (struct merge_iter *)it;

	for (size_t i = 0; i < m->n; i++)
		iter_free(m->children[i].it);
	buf_free(&m->saved);
	free(m->children);
	free(m->heap);
	free(m);
}

static const struct iter_ops merge_ops = {
	.seek_first = mi_seek_first,
	.seek_last = mi_seek_last,
	.seek = mi_seek,
	.seek_prev = mi_seek_prev,
	.next = merge_iter_next,
	.prev = merge_iter_prev,
	.free = mi_free,
};

int merge_iter_new(const struct merge_child *children, size_t n, struct iter **ret)
{
	struct merge_iter *m = calloc(1, sizeof(*m));

	if (m) {
		m->children = calloc(n + 1, sizeof(*m->children));
		m->heap = calloc(n + 1, sizeof(*m->heap));
	}
	if (!m || !m->children || !m->heap) {
		for (size_t i = 0; i < n; i++)
			iter_free(children[i].it);
		if (m) {
			free(m->children);
			free(m->heap);
		}
		free(m);
		return status_no_memory(n * sizeof(*children));
	}
	m->it.ops = &merge_ops;
	m->n = n;
	if (n)
		memcpy(m->children, children, n * sizeof(*children));
	*ret = &m->it;
	return LSM_OK;
}

void merge_iter_skip(struct iter *merge, struct lsm_slice to, uint64_t seq)
{
	struct merge_iter *m = (struct merge_iter *)merge;
	bool moved = false;

	assert(!m->backward);
	buf_clear(&m->saved);
	buf_put_ikey(&m->saved, to, UINT64_MAX);
	if (m->saved.failed)
		return; /* no memory to be quick: walking does as well */
	for (size_t i = 0; i < m->n; i++) {
		const struct merge_child *c = &m->children[i];

		if (c->is_level && level_iter_skip(c->it, buf_slice(&m->saved), seq))
			moved = true;
	}
	if (moved)
		rebuild(m);
}
