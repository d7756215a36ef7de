/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_BLOCK_H
#define LSM_FORMAT_BLOCK_H
/*
 * block - a run of entries in order, the unit that is read, verified and cached. An entry stores only the part of its
 * user key that differs from the entry before; every so many entries a restart stores the whole key, and an array of
 * the restarts' places at the end lets a search halve the block. The trailer is never shared, so a search can order an
 * entry against its target without building the entry's key. Values lie apart from the keys, so that a search touches
 * few cache lines. docs/FORMATS.md has the bytes.
 */
#include "lsm/format/iter.h"

/* Data blocks trade a short walk for shared prefixes; index blocks are searched far more often than they are walked. */
#define BLOCK_RESTART_DATA 16u
#define BLOCK_RESTART_INDEX 1u

/* The last word of a block: the number of restarts, and whether their offsets take 4 bytes and not 2. */
#define BLOCK_TAIL_BYTES 4u
#define BLOCK_WIDE (1u << 31)

struct block_restart {
	size_t entry; /* offset among the entries */
	size_t value; /* offset of its value */
};

struct block_builder {
	struct buf out;     /* the values; in the end, the block */
	struct buf entries; /* keys and sizes */
	struct buf last_key;
	struct block_restart *restarts;
	size_t restarts_n, restarts_capacity;
	bool failed;
	unsigned restart_interval;
	unsigned since_restart;
	size_t count;
};

void block_builder_init(struct block_builder *b, unsigned restart_interval);
void block_builder_done(struct block_builder *b);
/* Keys come in ascending order. A failed allocation shows at block_builder_finish(). */
void block_builder_add(struct block_builder *b, struct lsm_slice ikey, struct lsm_slice value);
/* The block's size if it were finished now. */
size_t block_builder_bytes(const struct block_builder *b);
/* An upper bound on what adding this entry adds. */
size_t block_entry_bytes_max(struct lsm_slice ikey, struct lsm_slice value);
/* The finished block, valid until block_builder_reset(). LSM_NO_MEMORY. */
int block_builder_finish(struct block_builder *b, struct lsm_slice *ret);
void block_builder_reset(struct block_builder *b);

/* A view of a block's bytes, which stay with the caller. */
struct block {
	const uint8_t *data; /* values from here, */
	size_t entries;      /* entries from here, */
	size_t restarts;     /* restarts from here */
	uint32_t restarts_n;
	unsigned restart_shift; /* a restart takes 1 << this bytes */
	const char *file;       /* for messages: where the block came from */
	uint64_t offset;
};

/* LSM_CORRUPT when the bytes cannot be a block. `file` is borrowed. */
int block_init(struct block *b, struct lsm_slice data, const char *file, uint64_t offset);

struct block_hit {
	bool found;
	bool same_user_key;     /* the entry has the user key that was looked for */
	uint64_t trailer;       /* of the entry */
	struct lsm_slice value; /* points into the block */
	uint32_t restart;       /* of the entry, where each has one (index blocks) */
};
/* Finds the first entry >= (user_key, trailer). LSM_CORRUPT. */
int block_find(const struct block *b, struct lsm_slice user_key, uint64_t trailer, struct block_hit *ret);

/* An iterator on the caller's memory. Its key buffer is kept from block to block. */
struct block_iter {
	struct iter it;
	struct block block;
	size_t at, next;   /* offsets of the current entry and of the one behind it */
	size_t next_value; /* offset of the value behind the current one */
	uint8_t *key_data; /* holds the current key when it is not whole in the block */
	size_t key_capacity;
	struct back_entry *back; /* entries in front of the current one, when the iterator goes backward */
	size_t back_n, back_capacity;
	struct buf back_keys;
};

void block_iter_init(struct block_iter *bi);
void block_iter_done(struct block_iter *bi);
/* Makes the iterator (invalid) one over `block`. */
void block_iter_set(struct block_iter *bi, const struct block *block);

/* The number of the restart of the entry at which the iterator stands, where each has one (index blocks). */
uint32_t block_iter_restart(const struct block_iter *bi);

void block_iter_seek_first(struct block_iter *bi);
void block_iter_seek_last(struct block_iter *bi);
void block_iter_seek(struct block_iter *bi, struct lsm_slice ikey);
void block_iter_seek_prev(struct block_iter *bi, struct lsm_slice ikey);
void block_iter_next(struct block_iter *bi);
void block_iter_prev(struct block_iter *bi);

/* A step of any iterator that is valid, without a detour where the next entry lies in the same block. */
static inline void iter_next(struct iter *it)
{
	if (it->leaf) {
		block_iter_next(it->leaf);
		if (it->leaf->it.valid) {
			it->key = it->leaf->it.key;
			it->value = it->leaf->it.value;
			return;
		}
	}
	it->ops->next(it);
}

static inline void iter_prev(struct iter *it)
{
	if (it->leaf) {
		block_iter_prev(it->leaf);
		if (it->leaf->it.valid) {
			it->key = it->leaf->it.key;
			it->value = it->leaf->it.value;
			return;
		}
	}
	it->ops->prev(it);
}

#endif
