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

static inline uint32_t checksum32(const void *data, size_t size, uint64_t seed)
{
	return (uint32_t)hash64(data, size, seed);
}

#endif
