/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_COMPRESS_H
#define LSM_FORMAT_COMPRESS_H
/*
 * compress - LZ4 and zstd on single blocks. A compressed payload is the raw size as a varint, then the library's bytes.
 * What saves less than an eighth stays raw: reading it back would cost more than the space is worth.
 */
#include "lsm/base/coding.h"

/* Larger blocks (single huge values) are stored raw; so no size in a file makes a reader allocate more than this. */
#define COMPRESS_RAW_BYTES_MAX (16u << 20)

/* The libraries' contexts, kept from block to block. One thread at a time. Zero-initialize. */
struct compressor {
	void *lz4, *zstd;
};
void compressor_done(struct compressor *c);

/* Appends the payload for `raw` to `out`. `*ret_used` is what was used: `wanted`, or none. LSM_NO_MEMORY. */
int compress_append(struct compressor *c, enum lsm_compression wanted, struct lsm_slice raw, struct buf *out,
		    enum lsm_compression *ret_used);

/* The raw size of a compressed payload. LSM_CORRUPT for an impossible one; file and offset are for the message. */
int decompress_size(struct lsm_slice payload, const char *file, uint64_t offset, size_t *ret_size);
/* Fills `out`, whose size decompress_size() gave. `how` isn't none. LSM_CORRUPT, LSM_NO_MEMORY. */
int decompress(enum lsm_compression how, struct lsm_slice payload, void *out, size_t size, const char *file,
	       uint64_t offset);

#endif
