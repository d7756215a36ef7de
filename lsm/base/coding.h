/* SPDX-License-Identifier: MIT */
#ifndef LSM_BASE_CODING_H
#define LSM_BASE_CODING_H
/*
 * coding - integers as bytes. Fixed ones are little-endian; a varint holds 7 bits a byte, least significant first, the
 * high bit saying that more follow. A reader never goes past its end: a get that fails leaves the reader `failed`
 * and returns 0, so that a decoder may check once, at its end.
 */
#include "lsm/base/slice.h"

#define VARINT_BYTES_MAX 10

static inline void put_u32(void *p, uint32_t v)
{
	uint8_t *b = p;

	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}

static inline void put_u64(void *p, uint64_t v)
{
	uint8_t *b = p;

	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}

static inline uint32_t get_u32(const void *p)
{
	const uint8_t *b = p;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t get_u64(const void *p)
{
	return (uint64_t)get_u32(p) | (uint64_t)get_u32((const uint8_t *)p + 4) << 32;
}

static inline size_t varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >= 128) {
		v >>= 7;
		n++;
	}
	return n;
}

/* `p` has room for VARINT_BYTES_MAX; returns the bytes used. */
static inline size_t put_varint(void *p, uint64_t v)
{
	uint8_t *b = p;
	size_t n = 0;

	while (v >= 128) {
		b[n++] = (uint8_t)(v | 128);
		v >>= 7;
	}
	b[n++] = (uint8_t)v;
	return n;
}

static inline void buf_put_varint(struct buf *b, uint64_t v)
{
	uint8_t tmp[VARINT_BYTES_MAX];

	buf_append(b, tmp, put_varint(tmp, v));
}

static inline void buf_put_u8(struct buf *b, uint8_t v)
{
	buf_append(b, &v, 1);
}

static inline void buf_put_u32(struct buf *b, uint32_t v)
{
	uint8_t tmp[4];

	put_u32(tmp, v);
	buf_append(b, tmp, 4);
}

static inline void buf_put_u64(struct buf *b, uint64_t v)
{
	uint8_t tmp[8];

	put_u64(tmp, v);
	buf_append(b, tmp, 8);
}

/* A varint length, then the bytes. */
static inline void buf_put_slice(struct buf *b, struct lsm_slice s)
{
	buf_put_varint(b, s.size);
	buf_append_slice(b, s);
}

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct reader reader_of(struct lsm_slice s)
{
	const uint8_t *p = s.data;

	return (struct reader){ p, p + s.size, false };
}

static inline size_t reader_left(const struct reader *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->at);
}

static inline struct lsm_slice read_bytes(struct reader *r, uint64_t size)
{
	struct lsm_slice s = { r->at, size };

	if (r->failed || size > (uint64_t)(r->end - r->at)) {
		r->failed = true;
		return slice_of(r->end, 0);
	}
	r->at += size;
	return s;
}

static inline uint8_t read_u8(struct reader *r)
{
	struct lsm_slice s = read_bytes(r, 1);

	return r->failed ? 0 : *(const uint8_t *)s.data;
}

static inline uint32_t read_u32(struct reader *r)
{
	struct lsm_slice s = read_bytes(r, 4);

	return r->failed ? 0 : get_u32(s.data);
}

static inline uint64_t read_u64(struct reader *r)
{
	struct lsm_slice s = read_bytes(r, 8);

	return r->failed ? 0 : get_u64(s.data);
}

static inline uint64_t read_varint(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b;

		if (r->failed || r->at == r->end)
			break;
		b = *r->at++;
		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 127) << shift;
		if (b < 128)
			return v;
	}
	r->failed = true;
	return 0;
}

static inline struct lsm_slice read_slice(struct reader *r)
{
	return read_bytes(r, read_varint(r));
}

#endif
