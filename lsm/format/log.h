/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_LOG_H
#define LSM_FORMAT_LOG_H
/*
 * log - checksummed records one behind the other in an ordinary file: the manifest. Small and rarely written, so each
 * record is stored twice: one flipped bit hides none. docs/FORMATS.md has the bytes.
 */
#include "lsm/base/slice.h"
#include "lsm/env/env.h"

/* One thread at a time. */
struct log_writer;

/* Creates (or empties) the file `path`, of number `number`, and writes its header. The caller syncs the directory. */
int log_writer_open(struct env *env, const char *path, uint64_t number, struct log_writer **ret);
/*
 * Appends one record (not durable yet). LSM_INVALID beyond 4 GiB - 1 bytes, LSM_NO_MEMORY: the log is as it was.
 * LSM_NO_SPACE, LSM_IO: the log is as it was, or if that can't be brought about, every further call returns the error.
 */
int log_writer_add(struct log_writer *w, struct lsm_slice record);
/* All records added are durable on return. After a failure every further call returns the error: begin a new file. */
int log_writer_sync(struct log_writer *w);
/* After a failure: may a record that was not acknowledged be in the file? Nothing more can be added then. */
bool log_writer_failed(const struct log_writer *w);
/* Size of the file. */
uint64_t log_writer_bytes(const struct log_writer *w);
/* Without a sync. NULL is accepted. */
void log_writer_close(struct log_writer *w);

struct log_end {
	uint64_t records;
	uint64_t offset; /* behind the last record that checks */
	bool torn;       /* bytes that don't check lie behind it: an append was cut short */
};

/*
 * Calls fn for each record, in order; its non-zero code ends the reading and is returned. The record's bytes are valid
 * during the call.
 * LSM_CORRUPT (file, offset): the header is not that of file `number`, or a record is lost and later ones are there.
 * LSM_UNSUPPORTED, LSM_IO, LSM_NO_MEMORY. `ret_end` may be NULL.
 */
int log_read(struct env *env, const char *path, uint64_t number, int (*fn)(void *ctx, struct lsm_slice record),
	     void *ctx, struct log_end *ret_end);

/* A copy of a record, as it stands in the file. */
struct log_copy {
	uint64_t offset, end; /* bytes of the file */
	uint64_t index;       /* of the record */
	struct lsm_slice record;
};

/* The number in the header of the file `path`. LSM_CORRUPT, LSM_UNSUPPORTED, LSM_IO. */
int log_read_number(struct env *env, const char *path, uint64_t *ret_number);
/* For tools: calls fn for each copy that checks, whatever is damaged or missing before or behind it; its non-zero code
 * ends the scan and is returned. The header isn't looked at. `*ret_bytes` is the file's size. LSM_IO, LSM_NO_MEMORY. */
int log_scan(struct env *env, const char *path, uint64_t number, int (*fn)(void *ctx, const struct log_copy *copy),
	     void *ctx, uint64_t *ret_bytes);

#endif
