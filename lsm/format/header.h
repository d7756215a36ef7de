/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_HEADER_H
#define LSM_FORMAT_HEADER_H
/*
 * header - the first 64 bytes that log segments, blob segments and manifests have in common: magic, version, feature
 * bits, the file's number, three numbers of the format's own, checksum. docs/FORMATS.md has the bytes.
 */
#include "lsm/base/checksum.h"
#include "lsm/base/coding.h"
#include "lsm/base/status.h"

#define FILE_HEADER_BYTES 64u
#define FILE_MAGIC_BYTES 8u

struct file_header {
	uint64_t number;
	uint64_t own[3]; /* the format's own; those it doesn't use are 0 */
};

/* `magic` has 8 characters. */
void file_header_encode(void *p, const char *magic, const struct file_header *h);

/*
 * `p` has FILE_HEADER_BYTES, found at `offset` of `file`. LSM_CORRUPT when they are no such header, LSM_UNSUPPORTED
 * when they are one of another version or with a feature that must be known.
 */
int file_header_decode(const void *p, const char *magic, const char *file, uint64_t offset, struct file_header *ret);

/* Seed of the checksum of what lies at `offset` of file `number`: bytes of another file or place don't check. */
static inline uint64_t place_seed(uint64_t number, uint64_t offset)
{
	return number * UINT64_C(0x9e3779b97f4a7c15) + offset;
}

#endif
