/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_BLOB_FORMAT_H
#define LSM_FORMAT_BLOB_FORMAT_H
/* blob_format - the bytes of blob segments that their writer and their reader must agree on. */
#include "lsm/format/blob.h"
#include "lsm/format/header.h"

#define BLOB_RECORD_HEADER_BYTES 16u
#define BLOB_CHECKSUM_BYTES 4u
#define BLOB_OFFSET_MAX (UINT64_C(1) << 62) /* of a record: far below what a file offset can hold */
#define BLOB_BATCH_CHUNKS 64u               /* of one call to the kernel: 1 MiB */

enum { BLOB_OWN_ID = 0 }; /* of the header's own numbers */

extern const char blob_magic[];

static inline uint64_t blob_chunks(uint64_t value_size)
{
	return (value_size + BLOB_CHUNK_BYTES - 1) / BLOB_CHUNK_BYTES;
}

static inline size_t blob_chunk_size(uint64_t value_size, uint64_t chunk)
{
	uint64_t left = value_size - chunk * BLOB_CHUNK_BYTES;

	return left < BLOB_CHUNK_BYTES ? (size_t)left : BLOB_CHUNK_BYTES;
}

/* Offset in the file of a chunk of the value whose record is at `record_offset`. */
static inline uint64_t blob_chunk_offset(uint64_t record_offset, uint64_t chunk)
{
	return record_offset + BLOB_RECORD_HEADER_BYTES + chunk * (BLOB_CHUNK_BYTES + BLOB_CHECKSUM_BYTES);
}

void blob_record_header_encode(void *p, uint64_t value_size, uint64_t seed);
bool blob_record_header_decode(const void *p, uint64_t seed, uint64_t *ret_value_size);

#endif
