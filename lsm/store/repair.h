/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_REPAIR_H
#define LSM_STORE_REPAIR_H
/* repair - what the parts of lsm_repair() share. */
#include "lsm/store/check.h"

struct repair_table {
	unsigned level;
	uint64_t number;         /* of the file there is now */
	bool damaged;            /* a new one is to be made of what can be read */
	bool loaded;             /* its entries have no sequence number of their own */
	uint64_t sequence;       /* of a loaded one */
	struct table_meta *meta; /* of the table that counts in the end; NULL: there is none */
};

struct repair {
	struct env *env;
	const char *dir;
	const struct lsm_repair_options *options;
	struct lsm_options stored; /* the store's, with the defaults */
	struct tree tree;
	struct check check;
	struct repair_table *tables;
	size_t n, capacity;
	uint64_t next_number;
	uint64_t sequence; /* the last one that the tables have */
	bool has_lost;     /* options->lost is there */
	bool log_damaged;
	unsigned steps;
};

/* Tells a step. 0 or what ends the repair. */
int repair_step(struct repair *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Keeps the store's file NAME in the lost directory, as a second name, or with `copy` a copy. */
int repair_keep(struct repair *r, const char *name, bool copy);
/* The path of NAME in the lost directory, which is made; malloc'd. */
int repair_lost_path(struct repair *r, const char *name, char **ret);

/* repair_look.c: reads all, and fills in check, tables and log_damaged. LSM_UNSUPPORTED: a file of a later version. */
int repair_look(struct repair *r);
/* repair_table.c: writes what can be read of a table to a new one, `t->meta` (NULL: nothing). */
int repair_salvage(struct repair *r, struct repair_table *t);
/* What can be read of a large value goes to a file in the lost directory, each byte to its place. */
int repair_keep_value(struct repair *r, struct lsm_slice user_key, uint64_t sequence, const struct blob_ptr *ptr);
/* repair_merge.c: without a manifest nobody knows which table's versions are newer: all become one sorted run in the last
 * level, in `version`. */
int repair_merge(struct repair *r, struct version **ret);
/* repair_log.c: makes the log one that can be opened. */
int repair_log(struct repair *r);
/* Where the log begins, when no manifest tells it. */
int repair_log_begin(struct repair *r, uint64_t *ret_segment);

#endif
