/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_BLOCK_INTERNAL_H
#define LSM_FORMAT_BLOCK_INTERNAL_H
/* block_internal - an entry's bytes, shared by the search (block.c) and the iterator (block_iter.c). */
#include "lsm/format/block.h"

/* A restart takes 1 << this bytes when its two offsets have 2 bytes, else twice as many. */
#define NARROW_SHIFT 2u

/* LSM_CORRUPT, saying what is wrong at byte `at` of the block. */
__attribute__((cold)) int block_corrupt(const struct block *b, size_t at, const char *what);

static inline size_t restart_entry(const struct block *b, uint32_t i)
{
	const uint8_t *p = b->data + b->restarts + ((size_t)i << b->restart_shift);

	return b->restart_shift == NARROW_SHIFT ? get_u32(p) & UINT16_MAX : get_u32(p);
}

static inline size_t restart_value(const struct block *b, uint32_t i)
{
	const uint8_t *p = b->data + b->restarts + ((size_t)i << b->restart_shift);

	return b->restart_shift == NARROW_SHIFT ? get_u32(p) >> 16 : get_u32(p + 4);
}

struct entry {
	size_t shared;
	const uint8_t *suffix; /* the rest of the user key, then the trailer */
	size_t suffix_size;    /* of the user key's part alone */
	size_t value_size;
	size_t next; /* offset of the entry behind */
};

struct sizes {
	size_t shared, key, value;
};

/* Sizes of which some take more than a byte. NULL when they don't end before `end`. */
const uint8_t *decode_sizes(const uint8_t *p, const uint8_t *end, struct sizes *ret);

/* An entry has three sizes and a trailer at least, so four bytes can be looked at together. */
static inline __attribute__((always_inline)) bool decode_entry(const struct block *b, size_t at, struct entry *e)
{
	const uint8_t *p = b->data + at, *end = b->data + b->restarts;
	size_t key_size;
	uint32_t head;

	if (at < b->entries || at + 4 > b->restarts)
		return false;
	head = get_u32(p);
	if (!(head & 0x808080)) {
		e->shared = head & 127;
		key_size = head >> 8 & 127;
		e->value_size = head >> 16 & 127;
		p += 3;
	} else {
		struct sizes sizes;

		p = decode_sizes(p, end, &sizes);
		if (!p)
			return false;
		e->shared = sizes.shared;
		key_size = sizes.key;
		e->value_size = sizes.value;
	}
	if (key_size < TRAILER_BYTES || key_size > (size_t)(end - p))
		return false;
	e->suffix = p;
	e->suffix_size = key_size - TRAILER_BYTES;
	e->next = (size_t)(p - b->data) + key_size;
	return true;
}

static inline uint64_t entry_trailer(const struct entry *e)
{
	return get_u64(e->suffix + e->suffix_size);
}

/* False when the value, which starts at offset `at`, leaves the values. */
static inline bool entry_value(const struct block *b, const struct entry *e, size_t at, struct lsm_slice *ret)
{
	if (at > b->entries || e->value_size > b->entries - at)
		return false;
	*ret = slice_of(b->data + at, e->value_size);
	return true;
}

struct target {
	const uint8_t *user;
	size_t user_size;
	uint64_t trailer;
};

enum order { ENTRY_BELOW, ENTRY_ABOVE, ENTRY_SAME_USER_ABOVE /* same user key, and the entry is not below */ };

struct found {
	struct entry entry;
	enum order order; /* ENTRY_BELOW: every entry of the block lies below the target */
	size_t at;
	size_t value_at; /* the offset of its value */
	uint32_t restart; /* the first that does not lie below the target */
};

/* The first entry >= target; its shared bytes are the target's own. LSM_CORRUPT. */
int block_search(const struct block *b, const struct target *t, struct found *ret);

#endif
