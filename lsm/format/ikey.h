/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_IKEY_H
#define LSM_FORMAT_IKEY_H
/*
 * ikey - the internal key: the user's key and an 8-byte trailer, sequence number << 8 | type. Internal keys are ordered
 * by user key, then by descending trailer, so that the newest version of a key comes first.
 */
#include "lsm/base/coding.h"

enum entry_type {
	ENTRY_DELETE = 0,
	ENTRY_PUT = 1,
	ENTRY_BLOB = 2,         /* the value is an encoded struct blob_ptr */
	ENTRY_RANGE_DELETE = 3, /* in batches only: key = begin, value = end */
	ENTRY_TYPE_MAX = ENTRY_RANGE_DELETE,
};

#define SEQUENCE_MAX ((UINT64_C(1) << 56) - 1)
#define TRAILER_BYTES 8

/* A seek to (key, SEEK_TRAILER(seq)) finds the newest version that is not newer than seq. */
#define SEEK_TRAILER(seq) ((seq) << 8 | ENTRY_TYPE_MAX)

static inline uint64_t trailer_of(uint64_t seq, enum entry_type type)
{
	return seq << 8 | (uint64_t)type;
}

static inline uint64_t trailer_seq(uint64_t trailer)
{
	return trailer >> 8;
}

static inline enum entry_type trailer_type(uint64_t trailer)
{
	return (enum entry_type)(trailer & 255);
}

/* The internal key has at least TRAILER_BYTES bytes: decoders check that before they hand one out. */
static inline struct lsm_slice ikey_user(struct lsm_slice ikey)
{
	return slice_of(ikey.data, ikey.size - TRAILER_BYTES);
}

static inline uint64_t ikey_trailer(struct lsm_slice ikey)
{
	return get_u64((const uint8_t *)ikey.data + ikey.size - TRAILER_BYTES);
}

static inline int ikey_compare_parts(struct lsm_slice user_a, uint64_t trailer_a, struct lsm_slice user_b,
				     uint64_t trailer_b)
{
	int c = slice_compare(user_a, user_b);

	if (c)
		return c;
	return trailer_a > trailer_b ? -1 : trailer_a < trailer_b;
}

/* In words, which may reach into the trailers: as inlined code it is faster than a call, for keys of a usual length. */
static inline int ikey_compare(struct lsm_slice a, struct lsm_slice b)
{
	const uint8_t *x = a.data, *y = b.data;
	size_t n = (a.size < b.size ? a.size : b.size) - TRAILER_BYTES;
	uint64_t trailer_a, trailer_b;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = get_u64(x + i), w = get_u64(y + i);

		if (v == w)
			continue;
		if (i + (unsigned)__builtin_ctzll(v ^ w) / 8 >= n)
			break; /* the difference lies behind the shorter key */
		return __builtin_bswap64(v) < __builtin_bswap64(w) ? -1 : 1;
	}
	if (a.size != b.size)
		return a.size < b.size ? -1 : 1;
	trailer_a = get_u64(x + n);
	trailer_b = get_u64(y + n);
	return trailer_a > trailer_b ? -1 : trailer_a < trailer_b;
}

/* The same, asking only whether they are versions of one user key. */
static inline bool ikey_same_user(struct lsm_slice a, struct lsm_slice b)
{
	const uint8_t *x = a.data, *y = b.data;
	size_t n = a.size - TRAILER_BYTES;

	if (a.size != b.size)
		return false;
	for (size_t i = 0; i < n; i += 8) {
		uint64_t diff = get_u64(x + i) ^ get_u64(y + i);

		if (diff)
			return i + (unsigned)__builtin_ctzll(diff) / 8 >= n;
	}
	return true;
}

static inline void buf_put_ikey(struct buf *b, struct lsm_slice user, uint64_t trailer)
{
	buf_append_slice(b, user);
	buf_put_u64(b, trailer);
}

#endif
