/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_CODING_H
#define LSMFS_CODING_H
/* coding - integers as bytes: big-endian (for keys, whose order counts), little-endian and variable length (values). */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void put_be32(uint8_t *p, uint32_t x)
{
	x = htobe32(x);
	memcpy(p, &x, sizeof(x));
}

static inline void put_be64(uint8_t *p, uint64_t x)
{
	x = htobe64(x);
	memcpy(p, &x, sizeof(x));
}

static inline void put_le16(uint8_t *p, uint16_t x)
{
	x = htole16(x);
	memcpy(p, &x, sizeof(x));
}

static inline void put_le32(uint8_t *p, uint32_t x)
{
	x = htole32(x);
	memcpy(p, &x, sizeof(x));
}

static inline void put_le64(uint8_t *p, uint64_t x)
{
	x = htole64(x);
	memcpy(p, &x, sizeof(x));
}

static inline uint64_t get_be64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return be64toh(x);
}

static inline uint16_t get_le16(const uint8_t *p)
{
	uint16_t x;

	memcpy(&x, p, sizeof(x));
	return le16toh(x);
}

static inline uint32_t get_le32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return le32toh(x);
}

static inline uint64_t get_le64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return le64toh(x);
}

/* Seven bits a byte, low ones first; returns the byte behind (at most 10 are used). */
static inline uint8_t *put_varint(uint8_t *p, uint64_t x)
{
	for (; x >= 0x80; x >>= 7)
		*p++ = (uint8_t)(x | 0x80);
	*p++ = (uint8_t)x;
	return p;
}

static inline uint64_t zigzag(int64_t x)
{
	return (uint64_t)x << 1 ^ (uint64_t)(x >> 63);
}

static inline int64_t unzigzag(uint64_t x)
{
	return (int64_t)(x >> 1 ^ (0 - (x & 1)));
}

/* Takes bytes off a value; the first lack or excess sticks in `bad`, and everything taken from then on is 0. */
struct reader {
	const uint8_t *data;
	size_t size;
	bool bad;
};

static inline uint8_t take_byte(struct reader *r)
{
	if (r->size == 0)
		r->bad = true;
	if (r->bad)
		return 0;
	r->size--;
	return *r->data++;
}

/* An integer of at most `max`, in the one shortest form. */
static inline uint64_t take_varint(struct reader *r, uint64_t max)
{
	uint64_t x = 0;
	uint8_t byte;

	for (unsigned shift = 0;; shift += 7) {
		byte = take_byte(r);
		if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0))
			r->bad = true;
		x |= (uint64_t)(byte & 0x7f) << shift;
		if (r->bad || !(byte & 0x80))
			break;
	}
	if (x > max)
		r->bad = true;
	return r->bad ? 0 : x;
}

static inline const uint8_t *take_bytes(struct reader *r, size_t size)
{
	const uint8_t *p = r->data;

	if (r->bad || size > r->size) {
		r->bad = true;
		return NULL;
	}
	r->data += size;
	r->size -= size;
	return p;
}

#endif
