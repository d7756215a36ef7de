/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_VOLUME_INTERNAL_H
#define LSMFS_VOLUME_INTERNAL_H
/*
 * What the files of the volume share: the volume itself, its locks, changes (a batch in the making), inodes and buckets
 * in memory, and extents.
 *
 * Locks, in the order in which they are taken:
 *
 *	1. volume.rename_lock   a directory moves to another parent: no ".." changes, so a walk upwards is safe
 *	2. volume.stripes[]     the inodes that an operation changes, or whose extents it reads; ascending, each once
 *	3. volume.part_lock     part_next, part_limit; one row is committed under it
 *	   volume.super_lock    super.features_incompat; likewise
 *	4. those of atime.c     leaves
 *
 * What a single row answers (lookup, getattr, readlink, an inlined file's content) is read without a lock: a row is
 * whole at any moment. Who changes a row has its inode's stripe exclusively; a bucket belongs to its directory's inode.
 * Call-backs are never called under a lock.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fs/schema/schema.h"
#include "fs/volume/rows.h"
#include "fs/volume/volume.h"

#define STRIPES 1024 /* a power of two */
#define LOCKED_MAX 4 /* rename: two directories and two inodes */

#define PAGE_BYTES UINT64_C(4096)
#define EXTENT_BYTES_MAX (UINT64_C(1) << 20) /* and no extent crosses a multiple of it */

struct volume {
	struct rows *rows;
	struct schema_super super; /* but for features_incompat it stays as it is */
	bool read_only;
	uint32_t generation; /* of what is made until the volume is closed */
	/* schema_name_hash(); tests put a bad one here */
	uint64_t (*name_hash)(const char *name, size_t size, uint64_t seed);
	pthread_mutex_t rename_lock;
	pthread_mutex_t part_lock;
	pthread_mutex_t super_lock;
	uint64_t part_next;  /* under part_lock: the next part to give out */
	uint64_t part_limit; /* under part_lock: parts below it are reserved in the store */
	pthread_rwlock_t stripes[STRIPES];
	struct atimes *atimes; /* NULL: reading changes no time */
};

/* ---- volume.c ---- */

/* Something is about to be stored that programs without this incompatible feature must not meet: from now on they refuse
 * the volume. */
int volume_need_feature(struct volume *v, uint64_t feature);

static inline struct row_key row_key(const struct schema_key *key)
{
	return (struct row_key){ key->data, key->size };
}

static inline bool is_dir_ino(vol_ino ino)
{
	return schema_ino_sequence(ino) == 0;
}

/* ---- lock.c ---- */

struct locked {
	unsigned count;
	uint16_t stripes[LOCKED_MAX];
};

/* Locks the stripes of `count` inodes exclusively; 0 among them is skipped. */
void inodes_lock(struct volume *v, struct locked *l, unsigned count, const vol_ino *inos);
void inodes_unlock(struct volume *v, struct locked *l);
static inline void inode_lock(struct volume *v, struct locked *l, vol_ino ino)
{
	inodes_lock(v, l, 1, &ino);
}
void inode_lock_shared(struct volume *v, struct locked *l, vol_ino ino);

/* ---- change.c: what one operation changes, committed as one batch ---- */

struct change {
	struct volume *v;
	struct rows_batch *batch;
	struct timespec now;
	bool frees; /* it frees space, or needs hardly any: goes on when the disk is full */
};

/* -EROFS on a volume that is open for reading only. On failure there is nothing to end. */
int change_begin(struct change *c, struct volume *v);
int change_commit(struct change *c);
void change_end(struct change *c); /* drops what was not committed */
int change_put(struct change *c, const struct schema_key *key, const void *value, size_t size);
int change_delete(struct change *c, const struct schema_key *key);
/* Deletes the rows of [begin, end): one by one while they are few, else by one range. */
int change_drop(struct change *c, const struct schema_key *begin, const struct schema_key *end);
int change_put_orphan(struct change *c, vol_ino ino);
int change_delete_orphan(struct change *c, vol_ino ino);

/* ---- inode.c ---- */

struct node {
	vol_ino ino;
	struct schema_inode i;  /* its content may lie in `value` */
	struct row_value value; /* pinned */
	struct volume *v;       /* NULL: nothing is pinned */
};

/* Loads an inode: -ENOENT when it doesn't exist. End a loaded or zeroed node with node_done(). */
int node_load(struct volume *v, vol_ino ino, struct node *ret);
/* The same without the time of access that is not in the row yet. */
int node_load_stored(struct volume *v, vol_ino ino, struct node *ret);
/* -ENOTDIR for anything else than a directory; -ENOENT for a removed one. */
int node_load_dir(struct volume *v, vol_ino ino, struct node *ret);
/* -EISDIR for a directory, -EINVAL for others that are no regular file. */
int node_load_file(struct volume *v, vol_ino ino, struct node *ret);
void node_done(struct node *node);
int node_put(struct change *c, const struct node *node);
void node_attr(const struct node *node, struct vol_attr *ret);
void inode_attr(vol_ino ino, const struct schema_inode *inode, struct vol_attr *ret);
/* The content changed. */
static inline void node_touch(struct node *node, const struct change *c)
{
	node->i.mtime = c->now;
	node->i.ctime = c->now;
}
/* A directory gets or loses an entry, a subdirectory's or another's. -EMLINK; -EUCLEAN: it had none, says its row. */
int dir_gains(struct node *dir, const struct change *c, bool subdir);
int dir_loses(struct node *dir, const struct change *c, bool subdir);
/* What a write by somebody without CAP_FSETID does to a file's mode. */
void node_kill_priv(struct node *node);
/* The content or the owner of a file changes: what security.capability grants it falls. The inode is to be put. */
int node_drop_caps(struct change *c, struct node *node);
/* So many bytes of a file's extents are there no more. */
void node_freed(struct node *node, uint64_t bytes);
/* Takes a link away: the last one (of a directory: any) makes an orphan. Puts the inode. */
int node_unlink(struct change *c, struct node *node, struct vol_gone *ret_gone);

/* ---- atime.c ---- */

/* A thread that ends with the second call, which stores what is to be stored. */
int atimes_start(struct volume *v, enum vol_atime mode, bool not_of_dirs);
void atimes_stop(struct volume *v);
/* The time of access may be newer than the row. */
void atime_merge(struct volume *v, vol_ino ino, struct schema_inode *inode);
/* It is about to be set. With the inode locked. */
void atime_forget(struct volume *v, vol_ino ino);

/* ---- flags.c: what the flags of chattr(1) forbid: 0 or -EPERM ---- */

/* An object to be removed or to get other names, or its extended attributes. */
int flags_allow_change(const struct node *node);
int flags_allow_entry(const struct node *dir); /* a new one */
/* `node` to lose its entry in `dir`. */
int flags_allow_removal(const struct node *dir, const struct node *node);
int flags_allow_write(const struct node *file, uint64_t offset);
int flags_allow_fallocate(const struct node *file, int mode);
int flags_allow_setattr(const struct node *node, unsigned which);

/* ---- namei.c ---- */

/* The fields that all new inodes have alike. */
void inode_init(struct schema_inode *inode, const struct change *c, uint32_t mode, const struct vol_cred *cred,
		const struct schema_inode *dir);
/* Numbers a new inode that has its mode; a directory starts its own part. `dir` is to be put. */
int node_birth(struct volume *v, struct node *dir, struct node *node);

/* ---- xattr.c: the rows and the inode's count of them; the inode is to be put ---- */

/* flags: 0, XATTR_CREATE, XATTR_REPLACE */
int xattr_put(struct change *c, struct node *node, const struct schema_key *key, const void *value, size_t size,
	      int flags);
int xattr_drop(struct change *c, struct node *node, const struct schema_key *key); /* -ENODATA */

/* ---- acl.c: access control lists of a loaded inode, which is to be put ---- */

/* Whether an extended attribute is such a list. */
bool acl_is_name(const char *name);
/* Sets the list `name`, and the mode by it; with `kill_sgid` the set-gid bit falls. -EINVAL, -E2BIG, -EACCES: a default
 * on something that is no directory. */
int acl_set(struct change *c, struct node *node, const char *name, const void *acl, size_t size, bool kill_sgid);
int acl_remove(struct change *c, struct node *node, const char *name); /* harmless when there is none */
/* The mode has changed: so does the access list. */
int acl_chmod(struct change *c, struct node *node);
/* What a new object gets from its directory: lists, or a mode without the bits of `umask`. */
int acl_inherit(struct change *c, const struct node *dir, struct node *node, uint32_t umask);

/* ---- part.c ---- */

int part_alloc(struct volume *v, uint64_t *ret_part);
/* A number for a file that is born in `dir`, whose inode is to be put. */
int file_ino_alloc(struct volume *v, struct node *dir, vol_ino *ret_ino);

/* ---- bucket.c: the entries of a directory under one hash ---- */

#define BUCKET_SMALL (2 * SCHEMA_ENTRY_MAX)

struct bucket {
	struct schema_key key;
	uint64_t hash;
	uint8_t *data; /* small, or allocated */
	size_t size;
	uint8_t small[BUCKET_SMALL];
};

/* 0, -EINVAL, -ENAMETOOLONG; -EEXIST for "." and "..", which nothing may be made as. */
int name_check(const char *name);
/* Finds an entry without loading its bucket. `ret_type` may be NULL. */
int entry_lookup(struct volume *v, vol_ino dir, const char *name, vol_ino *ret_ino, uint32_t *ret_type);
/* Loads the bucket in which `name` is or would be; an absent one is empty. End a loaded or zeroed one. */
int bucket_load(struct volume *v, vol_ino dir, const char *name, struct bucket *ret);
void bucket_done(struct bucket *b);
int bucket_find(const struct bucket *b, const char *name, struct schema_entry *ret); /* -ENOENT */
/* Adds an entry that is not there, or replaces it (in its slot). -ENOSPC: all slots of this hash are in use. */
int bucket_set(struct bucket *b, const char *name, vol_ino ino, uint32_t type);
void bucket_remove(struct bucket *b, const char *name); /* it is there */
int bucket_put(struct change *c, const struct bucket *b);

/* ---- orphan.c ---- */

/* Frees what a crash left without a name. */
int orphans_reclaim(struct volume *v);

/* ---- extent.c: where the bytes of a file lie that are not in its inode ---- */

struct extent {
	uint64_t offset, size;
};

/* An iterator for the extents that touch [begin, end). */
int extents_open(struct volume *v, vol_ino ino, uint64_t begin, uint64_t end, struct rows_iter **ret);
/* The first extent that ends behind `offset`, the one behind it: 1 and the extent, 0 when there is none. */
int extent_first(struct volume *v, struct rows_iter *it, vol_ino ino, uint64_t offset, struct extent *ret);
int extent_next(struct volume *v, struct rows_iter *it, struct extent *ret);
/* Copies [offset, offset + size); holes are zeros. */
int extents_read(struct volume *v, struct rows_iter *it, vol_ino ino, uint64_t offset, void *buf, size_t size);
/* Removes the bytes of [begin, end); `refill`: extents_put() fills it all at once afterwards. */
int extents_cut(struct change *c, vol_ino ino, struct rows_iter *it, uint64_t begin, uint64_t end, bool refill,
		uint64_t *ret_freed_bytes);
/* Adds extents where there are none. */
int extents_put(struct change *c, vol_ino ino, uint64_t offset, const uint8_t *data, size_t size);
/* Removes all of them. */
int extents_drop(struct change *c, vol_ino ino);

/* ---- truncate.c ---- */

/* Sets the size of a loaded file, whose inode is to be put. */
int file_resize(struct change *c, struct node *node, uint64_t size);

#endif
