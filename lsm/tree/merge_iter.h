/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_MERGE_ITER_H
#define LSM_TREE_MERGE_ITER_H
/* merge_iter - many iterators as one, in the order of internal keys; level_iter - the tables of a sorted level as one. */
#include "lsm/tree/version.h"

struct merge_child {
	struct iter *it;
	bool is_level; /* made by level_iter_new() */
};

/* Takes over the children's iterators (also on failure). */
int merge_iter_new(const struct merge_child *children, size_t n, struct iter **ret);

/* Its next() and prev(), for those who know that it is one. */
void merge_iter_next(struct iter *merge);
void merge_iter_prev(struct iter *merge);

/*
 * Forward only: everything before user key `to` that is older than `seq` is dead (a range tombstone covers it): moves
 * the level children there past all tables that hold only older entries, without walking through them.
 */
void merge_iter_skip(struct iter *merge, struct lsm_slice to, uint64_t seq);

/* Over tables[0..n), disjoint and ascending, which the caller keeps alive. A table of level 0 is a level of one. */
int level_iter_new(struct tree *tree, struct table_meta *const *tables, size_t n, bool low_priority, struct iter **ret);
/* merge_iter_skip() of one child; `to` is an internal key. True if it moved. */
bool level_iter_skip(struct iter *level, struct lsm_slice to, uint64_t seq);

#endif
