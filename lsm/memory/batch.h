/* SPDX-License-Identifier: MIT */
#ifndef LSM_MEMORY_BATCH_H
#define LSM_MEMORY_BATCH_H
/*
 * batch - the encoded form of a batch of operations, as it stands in the log: the count (varint), then for each
 * operation its type, key and value (docs/FORMATS.md). Operation i has the sequence number of the first plus i.
 */
#include "lsm/format/ikey.h"

/* The encoding without the count in front, which is known last. */
struct batch {
	struct buf ops;
	size_t count;
	uint64_t user_bytes; /* keys and values as the caller gave them */
};

struct batch_op {
	enum entry_type type;
	struct lsm_slice key, value; /* value: ENTRY_RANGE_DELETE's end, ENTRY_BLOB's pointer */
};

/* The batch is unchanged when memory is short: false. */
bool batch_add(struct batch *b, const struct batch_op *op);
void batch_done(struct batch *b);

/* Walks the operations of a log record or of a batch. */
struct batch_reader {
	struct reader r;
	uint64_t left;
};
/* The reader of a whole record: count, then operations. False if the count makes no sense. */
bool batch_reader_init(struct batch_reader *br, struct lsm_slice record);
void batch_reader_init_ops(struct batch_reader *br, const struct batch *b);
/* 1: `ret` is the next operation; 0: the end; -1: the bytes are no batch. */
int batch_next(struct batch_reader *br, struct batch_op *ret);

#endif
