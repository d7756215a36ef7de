/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_TABLE_FORMAT_H
#define LSM_FORMAT_TABLE_FORMAT_H
/*
 * table_format - what the writer and the readers of tables share: stored blocks, handles, properties, range tombstones
 * and the footer as bytes. docs/FORMATS.md has them.
 */
#include "lsm/format/header.h"
#include "lsm/format/table.h"

/* A payload is followed by one byte of enum lsm_compression and the checksum of both. */
#define STORED_TAIL_BYTES 5u

struct block_handle {
	uint64_t offset, size; /* of the payload; size 0: there is no such block */
};

/* Appends to a payload, which starts at `start` of `out`, what makes it a stored block. `seed`: place_seed(). */
void stored_block_seal(struct buf *out, size_t start, enum lsm_compression how, uint64_t seed);
/* `stored` is payload and tail. LSM_CORRUPT; file and offset are for the message. */
int stored_block_check(const uint8_t *stored, uint64_t payload_size, uint64_t seed, const char *file, uint64_t offset,
		       enum lsm_compression *ret_how);

#define BLOCK_HANDLE_BYTES_MAX (2 * VARINT_BYTES_MAX)

/* Returns the bytes used of `p` (BLOCK_HANDLE_BYTES_MAX). */
size_t block_handle_encode(void *p, struct block_handle h);
/* LSM_CORRUPT when the bytes are no handle, or the stored block isn't below `end`. */
int block_handle_decode(struct lsm_slice s, uint64_t end, const char *file, struct block_handle *ret);

#define TABLE_FOOTER_BYTES 96u

struct table_footer {
	struct block_handle top, filter, range_dels, props;
};
/* The footer that stands at `offset` of the file. */
void table_footer_encode(uint8_t bytes[static TABLE_FOOTER_BYTES], const struct table_footer *f, uint64_t file_number,
			 uint64_t offset);
/* The file number that the footer names, true or not. */
uint64_t table_footer_number(const uint8_t bytes[static TABLE_FOOTER_BYTES]);
/* LSM_CORRUPT, LSM_UNSUPPORTED. */
int table_footer_decode(const uint8_t bytes[static TABLE_FOOTER_BYTES], uint64_t file_number, uint64_t offset,
			const char *file, struct table_footer *ret);

/* All but file_bytes. LSM_NO_MEMORY. */
int table_props_encode(struct buf *out, const struct table_props *p);
/* LSM_CORRUPT, LSM_NO_MEMORY. */
int table_props_decode(struct lsm_slice s, const char *file, uint64_t offset, struct table_props *ret);

void table_range_dels_encode(struct buf *out, const struct range_dels *d);
/* LSM_CORRUPT, LSM_NO_MEMORY. */
int table_range_dels_decode(struct lsm_slice s, const char *file, uint64_t offset, struct range_dels **ret);

#endif
