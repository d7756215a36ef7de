/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_CHECK_H
#define LSMFS_CHECK_H
/*
 * check - whether the rows of a volume make one: each entry has its inode and each inode its entry, counts are right,
 * no row belongs to nothing. Works on rows that nobody changes meanwhile, and changes none; what the store below has to say of
 * its files is another check (lsm_check()).
 */
#include "fs/volume/rows.h"
#include "fs/volume/volume.h"

enum volume_find_kind {
	VOLUME_FIND_UNREADABLE, /* a row can't be read, or isn't what it should be: from byte `right` on, of entries */
	VOLUME_FIND_SUPER,      /* superblock, root or counter of parts: no volume without them */
	VOLUME_FIND_ENTRY,      /* an entry that leads nowhere: `dir`, `name` */
	VOLUME_FIND_TYPE,    /* the entry `dir`, `name` has another type than its inode: `right` is the inode's mode */
	VOLUME_FIND_NAME,    /* an entry has a name that can't be, is there twice, or lies where nobody looks */
	VOLUME_FIND_PARENT,  /* a directory names another parent than the one that has its entry: `right` */
	VOLUME_FIND_TWICE,   /* a directory has more than one entry: `dir`, `name` is a further one */
	VOLUME_FIND_LINKS,   /* a link count; `right` */
	VOLUME_FIND_ENTRIES, /* a directory's count of entries; `right` */
	VOLUME_FIND_LOST,    /* an inode to which no entry leads, and which is no orphan */
	VOLUME_FIND_CYCLE,   /* a directory that lies in itself */
	VOLUME_FIND_ORPHAN,  /* a note of an orphan that is none */
	VOLUME_FIND_EXTENT,  /* an extent that can't be: behind the size, over another, too large */
	VOLUME_FIND_ALLOCATED, /* a file's allocated bytes; `right` */
	VOLUME_FIND_XATTR,     /* an extended attribute that can't be */
	VOLUME_FIND_XATTRS,    /* an inode's count of them; `right` */
	VOLUME_FIND_COUNTER,   /* a number may be given out again: `right` is what the counter must be at least */
	VOLUME_FIND_FEATURE,   /* the superblock lacks the feature bit `right` */
	VOLUME_FIND_STRAY,     /* rows [begin, end) that belong to nothing */
};

/* All it points to is valid during the call. */
struct volume_find {
	enum volume_find_kind kind;
	const char *path; /* "/a/b"; "inode 5:3" of what no path leads to; "" where it is no object */
	const char *what; /* a sentence without the path */
	vol_ino ino;      /* 0: none */
	vol_ino dir;      /* the directory of the entry concerned; 0: none */
	const char *name; /* of the entry; not ended by a NUL */
	size_t name_size;
	uint64_t right;
	struct row_key begin,
		end; /* of the rows concerned, or of the one row (of the bucket, of an entry); size 0: not told */
};

struct volume_range {
	struct row_key begin, end; /* end.size 0: to the last key */
};

struct volume_check_options {
	/* Non-zero codes end the check and are returned. Both may be NULL. */
	int (*find)(void *ctx, const struct volume_find *find);
	int (*progress)(void *ctx, uint64_t done_rows, uint64_t total_rows); /* total 0: not known yet */
	void *ctx;
	/* Ascending and apart: rows here can't be read, as is known already. They are passed over, and what can't be told
	 * without them isn't looked at. */
	const struct volume_range *unreadable;
	size_t unreadable_n;
	/* Likewise keys that are there, but whose values can't be read whole. */
	const struct row_key *damaged;
	size_t damaged_n;
};

struct volume_checked {
	uint64_t files, directories, others, rows;
	uint64_t finds;
	bool passed_over; /* some rows could not be read: counts and ways to the root were not compared */
};

/* Needs 24 bytes of memory for each inode. 0 also when there are finds; -EUCLEAN: there is no superblock, or one that means
 * nothing here, which was told; -ENOMEM; -EIO: the rows can't be walked at all. */
int volume_check(struct rows *rows, const struct volume_check_options *options, struct volume_checked *ret);

#endif
