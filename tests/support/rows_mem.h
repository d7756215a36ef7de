/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ROWS_MEM_H
#define TESTS_ROWS_MEM_H
/*
 * rows_mem - rows in a sorted array, so that a volume can be tested without the engine, and looked into. An iterator
 * copies references to the rows of its range when it is made: it shows one moment, and doesn't mind what follows.
 */
#include "fs/volume/rows.h"

struct rows *rows_mem_new(void);

/* The rows outlive the next close of a volume (once more for each call): to open it again. */
void rows_mem_keep(struct rows *r);

/* The n-th commit from now (1: the next) fails with `code` and changes nothing. 0: none. */
void rows_mem_fail_commit(struct rows *r, unsigned n, int code);
/* Every sync fails with `code` from now on; 0: none. */
void rows_mem_fail_sync(struct rows *r, int code);

/* What happened since the rows were made. */
uint64_t rows_mem_commits(struct rows *r);
uint64_t rows_mem_syncs(struct rows *r);
uint64_t rows_mem_put_bytes(struct rows *r);  /* of values given to batch_put: what a log would grow by */
uint64_t rows_mem_operations(struct rows *r); /* puts, deletes and range deletes that were committed */

/* The rows there are with lower <= key < upper; upper.size 0: to the end. */
size_t rows_mem_count(struct rows *r, struct row_key lower, struct row_key upper);
/* A number that is the same for the same rows. */
uint64_t rows_mem_digest(struct rows *r);

/* Behind every volume's back. */
void rows_mem_put(struct rows *r, struct row_key key, struct row_key value);
void rows_mem_delete(struct rows *r, struct row_key key);

#endif
