/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_FILTER_H
#define LSM_FORMAT_FILTER_H
/*
 * filter - a blocked Bloom filter over the user keys of a table. All bits of a key lie in one line of 64 bytes, so
 * that a question costs one cache miss. No false negatives. docs/FORMATS.md has the bytes.
 */
#include "lsm/base/checksum.h"
#include "lsm/base/coding.h"

#define FILTER_LINE_BYTES 64u

struct filter_builder { /* zero-initialize */
	uint64_t *hashes;
	size_t n, capacity;
	bool failed;
};

static inline uint64_t filter_hash(struct lsm_slice user_key)
{
	return hash64(user_key.data, user_key.size, 0);
}

/* Equal keys in a row are counted once. A failed allocation shows in filter_build(). */
void filter_builder_add(struct filter_builder *b, struct lsm_slice user_key);
void filter_builder_done(struct filter_builder *b);
/* Appends the filter of all keys added. LSM_NO_MEMORY. */
int filter_build(const struct filter_builder *b, uint32_t bits_per_key, struct buf *out);

struct filter { /* a view; the bytes belong to the caller, who aligns them to FILTER_LINE_BYTES for speed */
	const uint8_t *lines;
	uint32_t lines_n; /* 0: no filter, everything may be there */
	unsigned probes;
};

/* False when the bytes are no filter of a known kind. */
bool filter_init(struct filter *f, struct lsm_slice bytes);

static inline const uint8_t *filter_line(const struct filter *f, uint64_t hash)
{
	return f->lines + (size_t)((hash >> 32) * f->lines_n >> 32) * FILTER_LINE_BYTES;
}

/* The next probe's bit in its line comes from the upper 9 bits of a running product. */
#define FILTER_STEP 0x9E3779B9u

static inline bool filter_may_contain(const struct filter *f, uint64_t hash)
{
	const uint8_t *line;
	uint32_t h = (uint32_t)hash;

	if (!f->lines_n)
		return true;
	line = filter_line(f, hash);
	for (unsigned i = 0; i < f->probes; i++, h *= FILTER_STEP) {
		if (!(line[h >> 26] & 1u << (h >> 23 & 7)))
			return false;
	}
	return true;
}

#endif
