/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_VERSION_H
#define LSM_TREE_VERSION_H
/*
 * version - an immutable set of tables, level by level. Level 0 holds flushed tables that may overlap, the newest first;
 * the tables of each deeper level are disjoint and ascending. Readers pin a version; a table file is deleted when
 * no version holds it any more. An edit is the difference between two versions, as the manifest records it.
 */
#include <stdatomic.h>

#include "lsm/memory/memtable.h"
#include "lsm/tree/named.h"

#define SWEPT UINT64_MAX

struct table_meta {
	_Atomic uint32_t refs;
	uint64_t number;
	struct table_props props;
	struct blob_segment **segments; /* held; one for each of props.blob_refs; NULL until attached */
	struct table_hold hold;         /* on the open table */
	struct tree *tree;              /* whose file is deleted with the last reference */
	bool sequence_told;             /* a loaded table's, to the table cache */
	bool busy;                      /* input of a running compaction; tree lock */
	_Atomic uint64_t swept;         /* SWEPT: no table is left that its range tombstones cover; else see sweep.c */
	atomic_bool obsolete;           /* left the current version: the file goes with the last reference */
};

struct level {
	struct table_meta **tables;
	size_t n;
	uint64_t bytes;
};

struct version {
	_Atomic uint32_t refs;
	struct level levels[LSM_LEVELS];
};

/* What all tables of a store share. */
struct tree {
	struct env *env;
	const char *dir;
	struct table_cache *tables;
	struct segments *segments;
	bool read_only;
};

/* Takes over `props` (also on failure). Starts with one reference. */
int table_meta_new(struct tree *tree, uint64_t number, struct table_props *props, struct table_meta **ret);
/* Holds the segments that the table refers to, and tells a loaded table's sequence number: once, before it is read. LSM_CORRUPT, LSM_IO when one is missing. */
int table_meta_attach(struct table_meta *t);
/* The table joins (1) or leaves (-1) the current version: adds to the live bytes of its segments. */
void table_meta_count_live(struct table_meta *t, int sign);
void table_meta_unref(struct table_meta *t); /* NULL is accepted */

static inline struct lsm_slice table_smallest(const struct table_meta *t)
{
	return ikey_user(buf_slice(&t->props.smallest));
}

static inline struct lsm_slice table_largest(const struct table_meta *t)
{
	return ikey_user(buf_slice(&t->props.largest));
}

/* True when the table's largest user key isn't part of it: the end of a range tombstone. */
static inline bool table_end_exclusive(const struct table_meta *t)
{
	return ikey_trailer(buf_slice(&t->props.largest)) == RANGE_END_TRAILER;
}

/* Does the table lie wholly before / behind the key? */
bool table_before_key(const struct table_meta *t, struct lsm_slice key);
bool table_after_key(const struct table_meta *t, struct lsm_slice key);

/* Bytes of the table and of what it refers to in blob segments. */
uint64_t table_total_bytes(const struct table_meta *t);

struct edit_table {
	unsigned level;
	struct table_meta *table; /* added: holds a reference */
	uint64_t number;          /* removed */
};

struct edit {
	struct edit_table *added, *removed;
	size_t added_n, removed_n;
	uint64_t first_segment; /* 0: unchanged. Log segments below hold nothing that the tables don't */
	uint64_t last_sequence; /* at least */
	uint64_t next_number;   /* file numbers below were given out */
	struct named_list named_added, named_removed; /* of the latter only the names count */
};

int edit_add(struct edit *e, unsigned level, struct table_meta *t); /* takes a reference of its own */
int edit_remove(struct edit *e, unsigned level, uint64_t number);
void edit_done(struct edit *e);
/* The manifest's record. */
void edit_encode(const struct edit *e, struct buf *ret);
/* Reads a record; `file` names the manifest in messages. Makes table_metas. LSM_CORRUPT; LSM_UNSUPPORTED: it has a tag of a
 * later version. */
int edit_decode(struct lsm_slice record, const char *file, struct tree *tree, struct edit *ret);

/* An empty version; one reference. */
int version_new(struct version **ret);
/* `base` with `e` applied; one reference. LSM_CORRUPT (naming `file`) when the edit doesn't fit or tables of a level
 * overlap. */
int version_apply(const struct version *base, const struct edit *e, const char *file, struct version **ret);
void version_ref(struct version *v);
void version_unref(struct version *v); /* NULL is accepted */

/* The index of the first table of a sorted level (1 and deeper) whose range doesn't end before `key`; n if none. */
size_t level_find(const struct level *l, struct lsm_slice key);

/* Is there a table on `level` or deeper that touches [begin, end]? */
bool version_overlaps(const struct version *v, unsigned level, struct lsm_slice begin, struct lsm_slice end);

#endif
