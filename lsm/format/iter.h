/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_ITER_H
#define LSM_FORMAT_ITER_H
/*
 * iter - the joint between all that can be walked in order: blocks, tables, levels, memtables, and the merge of them.
 * Keys are internal keys (ikey.h). An iterator starts invalid. Where it stands is in its fields, so that the merge
 * compares keys without a call. An error makes it invalid and stays in `status` until the next seek.
 */
#include "lsm/format/ikey.h"

struct iter;

struct iter_ops {
	void (*seek_first)(struct iter *it);
	void (*seek_last)(struct iter *it);
	/* To the first entry >= ikey, to the last <= ikey; `ikey` must not be the iterator's own `key`. */
	void (*seek)(struct iter *it, struct lsm_slice ikey);
	void (*seek_prev)(struct iter *it, struct lsm_slice ikey);
	void (*next)(struct iter *it); /* only when valid */
	void (*prev)(struct iter *it); /* only when valid */
	void (*free)(struct iter *it);
};

struct block_iter;

struct iter {
	const struct iter_ops *ops;
	bool valid;
	int status;                  /* LSM_OK or the error that made it invalid */
	struct lsm_slice key, value; /* while valid, until it moves */
	/* Where the entry lies in a block, the iterator over that block, else NULL. Steps within the block are taken
	 * there (iter_next(), iter_prev() in block.h), past all that is between: next() and prev() go on from where
	 * `leaf` stands, which may be the block's end. */
	struct block_iter *leaf;
};

static inline void iter_free(struct iter *it)
{
	if (it)
		it->ops->free(it);
}

#endif
