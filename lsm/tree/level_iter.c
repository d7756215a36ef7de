/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lsm/tree/merge_iter.h"

struct level_iter {
	struct iter it;
	struct tree *tree;
	struct table_meta *const *tables;
	size_t n;
	bool low_priority;
	size_t at; /* the open table's index; n: none is open */
	struct table_pin pin;
	struct iter *table;
};

static void leave(struct level_iter *l)
{
	iter_free(l->table);
	l->table = NULL;
	table_cache_release(l->tree->tables, &l->pin);
	l->pin = (struct table_pin){ 0 };
	l->at = l->n;
}

/* Opens table i; false when there is none or it can't be opened. */
static bool enter(struct level_iter *l, size_t i)
{
	int rc;

	l->it.status = LSM_OK;
	l->it.valid = false;
	if (l->table && l->at == i)
		return true;
	leave(l);
	if (i >= l->n)
		return false;
	rc = table_cache_get_held(l->tree->tables, l->tables[i]->number, &l->tables[i]->hold, &l->pin);
	if (!rc)
		rc = table_iter_new(l->pin.table, l->low_priority, &l->table);
	if (rc) {
		leave(l);
		l->it.status = rc;
		return false;
	}
	l->at = i;
	return true;
}

/* Shows where the table's iterator stands; at its end goes on to the neighbours (a table may hold no points). */
static void settle(struct level_iter *l, bool forward)
{
	while (l->table && !l->table->valid && !l->table->status) {
		if (forward) {
			if (enter(l, l->at + 1))
				l->table->ops->seek_first(l->table);
		} else if (l->at == 0) {
			leave(l);
		} else if (enter(l, l->at - 1)) {
			l->table->ops->seek_last(l->table);
		}
	}
	if (!l->table) {
		l->it.valid = false;
		return;
	}
	l->it.leaf = l->table->leaf;
	l->it.status = l->table->status;
	l->it.valid = l->table->valid;
	l->it.key = l->table->key;
	l->it.value = l->table->value;
}

static void li_seek_first(struct iter *it)
{
	struct level_iter *l = (struct level_iter *)it;

	if (enter(l, 0))
		l->table->ops->seek_first(l->table);
	settle(l, true);
}

static void li_seek_last(struct iter *it)
{
	struct level_iter *l = (struct level_iter *)it;

	if (enter(l, l->n ? l->n - 1 : 0))
		l->table->ops->seek_last(l->table);
	settle(l, false);
}

/* The first table whose end is not before the internal key. */
static size_t find(const struct level_iter *l, struct lsm_slice ikey)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ikey_compare(buf_slice(&l->tables[mid]->props.largest), ikey) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void li_seek(struct iter *it, struct lsm_slice ikey)
{
	struct level_iter *l = (struct level_iter *)it;

	if (enter(l, find(l, ikey)))
		l->table->ops->seek(l->table, ikey);
	settle(l, true);
}

static void li_seek_prev(struct iter *it, struct lsm_slice ikey)
{
	struct level_iter *l = (struct level_iter *)it;
	size_t i = find(l, ikey);

	if (i == l->n && i > 0)
		i--;
	if (enter(l, i))
		l->table->ops->seek_prev(l->table, ikey);
	settle(l, false);
}

static void li_next(struct iter *it)
{
	struct level_iter *l = (struct level_iter *)it;

	l->table->ops->next(l->table);
	settle(l, true);
}

static void li_prev(struct iter *it)
{
	struct level_iter *l = (struct level_iter *)it;

	l->table->ops->prev(l->table);
	settle(l, false);
}

static void li_free(struct iter *it)
{
	leave((struct level_iter *)it);
	free(it);
}

static const struct iter_ops level_ops = {
	.seek_first = li_seek_first,
	.seek_last = li_seek_last,
	.seek = li_seek,
	.seek_prev = li_seek_prev,
	.next = li_next,
	.prev = li_prev,
	.free = li_free,
};

int level_iter_new(struct tree *tree, struct table_meta *const *tables, size_t n, bool low_priority, struct iter **ret)
{
	struct level_iter *l = calloc(1, sizeof(*l));

	if (!l)
		return status_no_memory(sizeof(*l));
	l->it.ops = &level_ops;
	l->tree = tree;
	l->tables = tables;
	l->n = n;
	l->at = n;
	l->low_priority = low_priority;
	*ret = &l->it;
	return LSM_OK;
}

bool level_iter_skip(struct iter *level, struct lsm_slice to, uint64_t seq)
{
	struct level_iter *l = (struct level_iter *)level;
	bool moved = false;

	while (l->it.valid && l->tables[l->at]->props.sequence_max < seq && ikey_compare(l->it.key, to) < 0) {
		l->table->ops->seek(l->table, to);
		settle(l, true);
		moved = true;
	}
	return moved;
}
