/* SPDX-License-Identifier: MIT */
#ifndef LSM_BASE_CHECKSUM_H
#define LSM_BASE_CHECKSUM_H
/*
 * checksum - XXH3-64 (libxxhash), of which files keep the low 32 bits. The seed ties bytes to the place they were
 * written for: a log segment's number, a file's number.
 */
#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *data, size_t size, uint64_t seed);

/* The same of bytes that come piece by piece, with seed 0. */
struct hash_stream;
struct hash_stream *hash_stream_new(void); /* NULL: no memory */
void hash_stream_add(struct hash_stream *h, const void *data, size_t size);
uint64_t hash_stream_value(const struct hash_stream *h);
void hash_stream_free(struct hash_stream *h); /* NULL is accepted */

#if defined(__x86_64__)
/* What hash64() gives, on a processor that has AVX2. */
uint64_t hash64_avx2(const void *data, size_t size, uint64_t seed);
#endif

static inline uint32_t checksum32(const void *data, size_t size, uint64_t seed)
{
	return (uint32_t)hash64(data, size, seed);
}

#endif
