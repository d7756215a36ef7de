/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_CHECK_INTERNAL_H
#define LSMFS_CHECK_INTERNAL_H
/* What the parts of volume_check() share. */
#include "fs/volume/check.h"
#include "fs/volume/internal.h"

enum {
	SEEN_DAMAGED = 1, /* the row can't be read */
	SEEN_EXTENTS = 2, /* there are such rows */
	SEEN_XATTRS = 4,
	WANTS_EXTENTS = 8, /* the inode says that there are */
	WANTS_XATTRS = 16,
	SEEN_ORPHAN = 32, /* noted as one */
	WALKING = 64,     /* on the way to the root */
	REACHED = 128,    /* from the root */
};

/* In the order of numbers, which is that of the rows. */
struct check_inode {
	vol_ino ino;
	uint32_t nlink;  /* as its row says */
	uint32_t links;  /* entries that lead to it */
	uint32_t parent; /* index + 1 of the directory of the first one; 0: none */
	uint8_t type;    /* S_IFMT >> 12 */
	uint8_t flags;
};

/* A directory whose files are numbered in another part than its own. */
struct check_birth {
	uint64_t part;
	uint32_t next;
	vol_ino dir;
};

struct volume_check {
	struct rows *rows;
	const struct rows_ops *ops;
	const struct volume_check_options *options;
	struct volume_checked sums;
	struct schema_super super;
	bool has_super;
	struct check_inode *inodes;
	size_t inodes_n, inodes_capacity;
	struct check_birth *births;
	size_t births_n, births_capacity;
	uint64_t part_max; /* of any number in use */
	uint64_t done_rows, total_rows;
	char path[1 << 14]; /* of the present find */
};

/* ---- check.c ---- */

/* Fills in the path (of `ino`, or in `dir`) and tells the find; its `what` is composed. 0 or what ends the check. */
int check_find(struct volume_check *c, struct volume_find find, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int check_key_compare(struct row_key a, struct row_key b);
/* NULL: there is none. */
struct check_inode *check_inode_of(struct volume_check *c, vol_ino ino);
static inline vol_ino check_parent_ino(const struct volume_check *c, const struct check_inode *i)
{
	return i->parent ? c->inodes[i->parent - 1].ino : 0;
}
/* Loads and decodes; `ret_value` is to be released on 0. */
int check_inode_load(struct volume_check *c, vol_ino ino, struct schema_inode *ret, struct row_value *ret_value);
/* Is the row, or any of the range, known not to be readable? */
bool check_unreadable(const struct volume_check *c, struct row_key begin, struct row_key end);

/*
 * Walks the rows of [begin, end) past those that can't be read. `fn` may call no other walk. `told`: what can't be read
 * becomes a find.
 */
int check_walk(struct volume_check *c, struct row_key begin, struct row_key end, bool told,
	       int (*fn)(struct volume_check *c, struct rows_iter *it, void *ctx), void *ctx);

/* ---- check_names.c ---- */

/* All entries of all directories. */
int check_names(struct volume_check *c);
/* Link counts, and whether a way leads from the root to everything. */
int check_links(struct volume_check *c);
/* The path of `ino`, or of the entry `name` of `dir`, into c->path. */
void check_path(struct volume_check *c, vol_ino ino, vol_ino dir, const char *name, size_t name_size);

/* ---- check_rows.c ---- */

/* All rows but the buckets' contents. */
int check_rows(struct volume_check *c);

#endif
