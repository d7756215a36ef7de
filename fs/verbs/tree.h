/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_TREE_H
#define LSMFS_TREE_H
/*
 * tree - the files of a store as the verbs see them: the volume itself or, while the store is mounted, what the mount
 * shows. So a verb does the same either way, and programs that use the mount see at once what a verb changes.
 *
 * All calls return 0 or a negative errno, and are for one thread.
 */
#include "fs/volume/volume.h"

struct tree {
	const struct tree_ops *ops;
};

/* A directory of it; end it with dir_done. */
struct tree_dir {
	vol_ino ino;
	int fd; /* of a mount: only the way is open (O_PATH) */
};

/* A regular file that is read, or a new one; end it with file_done. */
struct tree_file {
	vol_ino ino;
	int fd; /* of a mount */
	bool nameless;
	char temporary[40]; /* the name that a new one has until it gets its own; "": none */
};

/* Where no name is given, it is one component, and symbolic links are not followed. */
struct tree_ops {
	/* Makes durable what was changed, and closes. `r` is the result until now; returns it or, if that is 0, the one of
	 * closing, of which has been complained. */
	int (*close)(struct tree *tree, int r);
	int (*root)(struct tree *tree, struct tree_dir *ret);
	/* `dir` becomes its subdirectory `name`, or with ".." the one above it (of the root: itself). On failure it stays. */
	int (*enter)(struct tree *tree, struct tree_dir *dir, const char *name);
	void (*dir_done)(struct tree *tree, struct tree_dir *dir);
	/* As volume_readdir() from the beginning, but cookies mean nothing, and "." and ".." may lack. */
	int (*list)(struct tree *tree, const struct tree_dir *dir, bool plus, vol_entry_fn fn, void *ctx);
	/* "." is the directory itself. A time of birth that isn't known has -1 nanoseconds. */
	int (*lookup)(struct tree *tree, const struct tree_dir *dir, const char *name, struct vol_attr *ret);
	/* `buf` of VOL_SYMLINK_MAX + 1 bytes */
	int (*readlink)(struct tree *tree, const struct tree_dir *dir, const char *name, char *buf);
	int (*mkdir)(struct tree *tree, const struct tree_dir *dir, const char *name, uint32_t mode);
	int (*remove)(struct tree *tree, const struct tree_dir *dir, const char *name, bool directory);
	/* A regular file; others: -EINVAL. */
	int (*file_open)(struct tree *tree, const struct tree_dir *dir, const char *name, struct tree_file *ret);
	int (*file_read)(struct tree *tree, const struct tree_file *file, uint64_t offset, void *buf, size_t size,
			 size_t *ret_size);
	/* A new file in the making. The process's umask counts, here and in mkdir. */
	int (*file_new)(struct tree *tree, const struct tree_dir *dir, uint32_t mode, struct tree_file *ret);
	int (*file_write)(struct tree *tree, const struct tree_file *file, uint64_t offset, const void *buf,
			  size_t size);
	/* Gives a new file its name. `replaced` NULL: which isn't there yet (-EEXIST). Else it takes that file's place, and
	 * gets its owner, mode and access list. */
	int (*file_name)(struct tree *tree, const struct tree_dir *dir, struct tree_file *file, const char *name,
			 const struct vol_attr *replaced);
	/* A new file that got no name is gone. */
	void (*file_done)(struct tree *tree, const struct tree_dir *dir, struct tree_file *file);
};

/* Opens the store `path`. On failure the reason has been complained of. */
int tree_open(const char *path, bool read_only, struct tree **ret);

/* What a path leads to: a name in a directory. End it with tree_place_done(). */
struct tree_place {
	struct tree_dir dir;
	char name[VOL_NAME_MAX + 1]; /* ".": the directory itself (of "/", "a/..") */
	bool exists;
	struct vol_attr attr; /* if it exists */
};

/* Walks a path from the root of the store; leading and doubled slashes are ignored, links are not followed. All but the
 * last component must exist. */
int tree_find(struct tree *tree, const char *path, struct tree_place *ret);
void tree_place_done(struct tree *tree, struct tree_place *place);

/* ---- the two kinds ---- */

int tree_volume_open(const char *path, bool read_only, struct tree **ret);
/* 1; 0: the store isn't mounted, or by nobody to be trusted; negative errno. */
int tree_mount_open(const char *path, struct tree **ret);
/* The root directory of the mount of a store, opened for reading. Likewise. */
int tree_mount_root(const char *path, int *ret_fd);

#endif
