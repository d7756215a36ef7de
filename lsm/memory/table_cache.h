/* SPDX-License-Identifier: MIT */
#ifndef LSM_MEMORY_TABLE_CACHE_H
#define LSM_MEMORY_TABLE_CACHE_H
/*
 * table_cache - open tables and open blob segments by file number, at most so many at once; their memory is charged to
 * the block cache's budget. Thread-safe.
 */
#include <stdatomic.h>

#include "lsm/memory/cache.h"

struct table_cache;

/* `dir` is copied. `blocks` outlives it. */
int table_cache_new(struct env *env, const char *dir, struct block_cache *blocks, uint32_t open_max,
		    struct table_cache **ret);
void table_cache_free(struct table_cache *c);

/* A pinned open file; zero-initialized it may be released too. */
struct table_pin {
	struct table *table;   /* of table_cache_get() */
	struct env_file *blob; /* of table_cache_get_blob() */
	struct cache_entry *entry;
};

/* Opens the table `number` (DIR/NNNNNN.sst) if it is not open, and pins it. Errors: those of table_open(). */
int table_cache_get(struct table_cache *c, uint64_t number, struct table_pin *ret);
/* The same for a blob segment (DIR/NNNNNN.blob), whose header is checked when it is opened. */
int table_cache_get_blob(struct table_cache *c, uint64_t number, struct table_pin *ret);
/*
 * A hold keeps an open table for its owner, who looks at it often: while few tables are open, the first
 * table_cache_get_held() leaves its pin there, and the next ones take no other. The owner's life spans all of those
 * calls' pins; it ends the hold with table_cache_unhold(). Zero-initialize.
 */
struct table_hold {
	_Atomic(struct cache_entry *) entry;
};
int table_cache_get_held(struct table_cache *c, uint64_t number, struct table_hold *hold, struct table_pin *ret);
void table_cache_unhold(struct table_cache *c, struct table_hold *hold);

void table_cache_release(struct table_cache *c, struct table_pin *pin);

/* Tells the sequence number of a loaded table, once, before it is asked for; kept until it is evicted. */
int table_cache_set_sequence(struct table_cache *c, uint64_t number, uint64_t sequence);

/* The file is about to be deleted: closes it when nobody pins it, and forgets its blocks. */
void table_cache_evict(struct table_cache *c, uint64_t number);

/* Names of the store's files: "DIR/000123.sst" and so on, into `buf`. */
#define STORE_PATH_MAX 4096
enum store_file { STORE_TABLE, STORE_BLOB, STORE_MANIFEST };
void store_file_path(char buf[STORE_PATH_MAX], const char *dir, enum store_file kind, uint64_t number);
/* Recognizes such a name (without the directory). */
bool store_file_parse(const char *name, enum store_file *ret_kind, uint64_t *ret_number);

#endif
