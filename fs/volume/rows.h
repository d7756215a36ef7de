/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_ROWS_H
#define LSMFS_ROWS_H
/*
 * rows - the seam between a volume and whatever keeps its rows: ordered byte keys with values, atomic batches. The
 * embedded engine (rows_lsm.c) is the default behind it; tests bring a plain sorted map; a distributed engine takes
 * its place for those who outgrow one machine (a part is one object there, a batch inside a part one transaction, so
 * operations keep what they touch within one part wherever POSIX allows it).
 *
 * Every call returns 0 or a negative errno. Thread rules are those of lsm/lsm.h: a batch, an iterator and a value
 * belong to one thread at a time, all else is free.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct row_key {
	const void *data;
	size_t size;
};

/* A value held in place until row_value_release(). */
struct row_value {
	const void *data;
	size_t size;
	void *pin[4]; /* private to the implementation */
};

struct rows_space {
	uint64_t total_bytes, free_bytes, available_bytes; /* of the disk below */
};

struct rows;
struct rows_iter;  /* over a range of keys, at one moment */
struct rows_batch; /* collects changes that become visible together */

#define ROWS_SYNC (1u << 0)  /* durable on return */
#define ROWS_FREES (1u << 1) /* space will be free by it: goes on when the disk is full */

struct rows_ops {
	int (*get)(struct rows *r, struct row_key key, struct row_value *ret); /* -ENOENT */
	void (*value_release)(struct rows *r, struct row_value *value);
	/* codes[i]: 0, -ENOENT or an error; returns 0 or the first other error */
	int (*multi_get)(struct rows *r, size_t n, const struct row_key *keys, struct row_value *values, int *codes);

	/* [lower, upper) */
	int (*iter_new)(struct rows *r, struct row_key lower, struct row_key upper, struct rows_iter **ret);
	void (*iter_free)(struct rows_iter *it);
	int (*iter_seek)(struct rows_iter *it, struct row_key key);      /* to the first key >= key */
	int (*iter_seek_prev)(struct rows_iter *it, struct row_key key); /* to the last key <= key */
	int (*iter_next)(struct rows_iter *it);
	bool (*iter_valid)(const struct rows_iter *it);
	struct row_key (*iter_key)(const struct rows_iter *it);
	uint64_t (*iter_value_size)(const struct rows_iter *it);
	int (*iter_value)(struct rows_iter *it, struct row_key *ret); /* the whole value, valid until the next move */
	int (*iter_read)(struct rows_iter *it, uint64_t offset, void *buf, size_t size); /* exactly size bytes */

	int (*batch_new)(struct rows *r, struct rows_batch **ret);
	int (*batch_put)(struct rows_batch *b, struct row_key key, struct row_key value);
	int (*batch_delete)(struct rows_batch *b, struct row_key key);
	int (*batch_delete_range)(struct rows_batch *b, struct row_key begin, struct row_key end);
	/* key := bytes [offset, offset + size) of the value where `source` stands; large ones are not copied */
	int (*batch_put_part)(struct rows_batch *b, struct row_key key, struct rows_iter *source, uint64_t offset,
			      uint64_t size);
	int (*batch_commit)(struct rows_batch *b, unsigned flags); /* ROWS_*; the batch is empty again afterwards */
	void (*batch_free)(struct rows_batch *b);

	int (*sync)(struct rows *r);
	int (*space)(struct rows *r, struct rows_space *ret);
	char *(*stats_text)(struct rows *r); /* malloc'd or NULL */
	/* Makes directory `dir`, which doesn't exist yet, a copy of all rows at one moment that can be opened by itself. NULL:
	 * these rows can't. -EEXIST, -EROFS, -ENOSPC, -EIO … */
	int (*checkpoint)(struct rows *r, const char *dir);
	int (*close)(struct rows *r);
};

struct rows {
	const struct rows_ops *ops;
};

/* rows_lsm.c: the rows of the store in directory `path`. */
struct rows_lsm_options {
	bool create, exclusive, read_only;
	uint64_t memory_bytes; /* 0: the engine's default */
	void (*log)(void *ctx, const char *line);
	void *log_ctx;
};
/* On failure the message of lsm_last_error() is copied to `message` (`message_size` bytes, may be 0). */
int rows_lsm_open(const char *path, const struct rows_lsm_options *options, struct rows **ret, char *message,
		  size_t message_size);

#endif
