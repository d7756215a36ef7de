/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_BLOB_H
#define LSM_FORMAT_BLOB_H
/*
 * blob - large values in segment files of their own; docs/FORMATS.md has the bytes. A value is stored in chunks of
 * BLOB_CHUNK_BYTES, each with its own checksum behind it, so that a part can be read and verified without the rest.
 */
#include "lsm/env/env.h"
#include "lsm/format/ikey.h"

#define BLOB_CHUNK_BYTES 16384u

/* Bytes [part_offset, part_offset + part_size) of the value stored at `offset` of a segment. */
struct blob_ptr {
	uint64_t segment;    /* file number */
	uint64_t offset;     /* of the value's record in the file */
	uint64_t value_size; /* of the stored value */
	uint64_t part_offset;
	uint64_t part_size; /* what readers see as the size of the value */
};

#define BLOB_PTR_BYTES_MAX (5 * VARINT_BYTES_MAX)

/* Returns the bytes used of `p` (BLOB_PTR_BYTES_MAX). */
size_t blob_ptr_encode(void *p, const struct blob_ptr *ptr);
/* LSM_CORRUPT (with `file` in the message; may be NULL) when the bytes are no pointer or the part leaves the value. */
int blob_ptr_decode(struct lsm_slice s, const char *file, struct blob_ptr *ret);

/* The bytes that a stored value of this size takes in its segment. */
uint64_t blob_record_bytes(uint64_t value_size);

/* Appends to one new segment; one thread at a time. */
struct blob_writer;
/* Creates the file `path` (synced into its directory by the caller). */
int blob_writer_open(struct env *env, const char *path, uint64_t segment, struct blob_writer **ret);
/* Appends one value. LSM_INVALID when it is too large; LSM_NO_SPACE, LSM_IO: the next value overwrites what was
 * written. */
int blob_writer_add(struct blob_writer *w, struct lsm_slice value, struct blob_ptr *ret);
/* Bytes in the file so far. May be asked while another thread appends. */
uint64_t blob_writer_bytes(const struct blob_writer *w);
/* All that was added before the call is on the disk on return. May run beside an append. */
int blob_writer_sync(struct blob_writer *w);
/* The file, for readers while the writer lives. */
struct env_file *blob_writer_file(struct blob_writer *w);
void blob_writer_close(struct blob_writer *w); /* without a sync; NULL is accepted */

/* The random number that a segment has got, which is its own wherever it is copied to. Errors: as blob_file_check(). */
int blob_file_id(struct env_file *f, uint64_t segment, uint64_t *ret);

/* Checks the header of a segment opened for reading. LSM_CORRUPT, LSM_UNSUPPORTED, LSM_IO. */
int blob_file_check(struct env_file *f, uint64_t segment);

/*
 * Reads bytes [offset, offset + size) of the part that `ptr` names into `buf`; the caller keeps the range inside the
 * part. Reads and verifies only the chunks concerned; whole chunks go straight into `buf` (one preadv).
 * LSM_CORRUPT names the file and the chunk's offset.
 */
int blob_read(struct env_file *f, const struct blob_ptr *ptr, uint64_t offset, void *buf, size_t size);

/* Verifies the record's header and all chunks of its value (used for the unsynced end of the log). */
int blob_verify(struct env_file *f, const struct blob_ptr *ptr);

/* For tools: a record that was met, or the end of the file. */
struct blob_found {
	struct blob_ptr ptr; /* the whole value; at the end only the offset, which is the file's size */
	uint64_t skipped;    /* bytes in front of it that belong to no record */
	bool is_end;
	int code; /* what blob_verify() says; lsm_last_error() tells more */
};

/* Calls fn for each record of a segment, damaged or not, and for bytes behind the last one; its non-zero code ends the
 * scan and is returned. LSM_IO, LSM_NO_MEMORY. */
int blob_scan(struct env_file *f, uint64_t segment, int (*fn)(void *ctx, const struct blob_found *found), void *ctx);

#endif
