/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_VOLUME_H
#define LSMFS_VOLUME_H
/*
 * volume - the operations on a volume of files, each one atomic batch of rows. No FUSE in here: the mount, the offline
 * verbs and the tests all call this. Rights are not checked here (the kernel does, by default_permissions).
 *
 * Every call returns 0 or a negative errno and leaves its ret_ parameters untouched on failure. All calls are
 * thread-safe; the volume locks the inodes that an operation concerns (striped locks, taken in ascending order).
 * Names are 1 to 255 bytes without '/' and NUL and are given with a NUL behind them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

struct rows;
struct volume;

/* part (high 40 bits) and sequence (low 24); a directory is sequence 0 of its own part. */
typedef uint64_t vol_ino;
#define VOL_ROOT ((vol_ino)1 << 24)

#define VOL_NAME_MAX 255
#define VOL_SYMLINK_MAX 4095
#define VOL_XATTR_VALUE_MAX 65536
#define VOL_XATTR_NAME_MAX 255
#define VOL_FILE_SIZE_MAX INT64_MAX
#define VOL_LINK_MAX UINT32_MAX

struct vol_attr {
	vol_ino ino;
	uint32_t generation;
	uint32_t mode; /* S_IFMT and permission bits */
	uint32_t nlink;
	uint32_t uid, gid;
	uint64_t rdev;
	uint64_t size;            /* of a directory: its entries */
	uint64_t allocated_bytes; /* what st_blocks is made of */
	struct timespec atime, mtime, ctime, btime;
	uint32_t flags; /* VOL_FLAG_… */
};

/* What chattr(1) sets. Immutable: no change of content, attributes or names (those of a directory: in it). Append-only:
 * content is added at the end only; a directory gets entries, and loses none. Calls that they forbid return -EPERM. */
#define VOL_FLAG_IMMUTABLE (1u << 0)
#define VOL_FLAG_APPEND (1u << 1)
#define VOL_FLAG_NODUMP (1u << 2)  /* means nothing here; inherited by what is made in a directory */
#define VOL_FLAG_NOATIME (1u << 3) /* likewise inherited */

struct vol_cred {
	uint32_t uid, gid; /* owner of what is created; a set-gid parent directory gives its group */
	uint32_t umask;    /* permission bits that a new object doesn't get, unless its directory has a default ACL */
};

/* volume_setattr: which fields of the vol_attr count */
#define VOL_SET_MODE (1u << 0)
#define VOL_SET_UID (1u << 1)
#define VOL_SET_GID (1u << 2)
#define VOL_SET_SIZE (1u << 3)
#define VOL_SET_ATIME (1u << 4)
#define VOL_SET_MTIME (1u << 5)
#define VOL_SET_ATIME_NOW (1u << 6)
#define VOL_SET_MTIME_NOW (1u << 7)
#define VOL_SET_CTIME (1u << 8)
#define VOL_SET_KILL_PRIV (1u << 9)  /* set-uid falls, and set-gid where the group may execute; not of directories */
#define VOL_SET_KILL_SGID (1u << 10) /* with it: set-gid falls in any case */

/* Whether reading moves the time of access: never; when it is not newer than the other times, or a day old; always. */
enum vol_atime { VOL_ATIME_NONE, VOL_ATIME_RELATIVE, VOL_ATIME_STRICT };

struct volume_options {
	bool create; /* make the root and the superblock when the store holds no volume */
	bool read_only;
	enum vol_atime atime; /* not for a volume that is open for reading only */
	bool no_dir_atime;    /* not of directories */
	uint32_t root_mode, root_uid, root_gid; /* of a new root directory; mode 0 means 0755 */
};

/* What an operation has left for its caller to follow up. */
struct vol_gone {
	vol_ino ino; /* lost its last name: tell volume_reclaim() when nobody holds it any more; 0: nothing did */
	/* Directories that a rename has hung below another parent: what was kept of their ".." is old. 0: none */
	vol_ino moved[2];
};

struct vol_statfs {
	uint64_t total_bytes, free_bytes, available_bytes;
	uint64_t files; /* 0: not counted, and not limited */
};

/* Opens the volume that lies on `rows` (which it takes over, also on failure: volume_close() closes it). Orphans that a
 * crash left are reclaimed. -ENOENT: no volume and not create. -EUCLEAN: not a volume of this format, or (with create)
 * the store holds other keys. -EROFS: it has features that this version may only read. */
int volume_open(struct rows *rows, const struct volume_options *options, struct volume **ret);
/* Makes everything durable and closes the volume and its rows; NULL is accepted. 0 or the error of the final sync. */
int volume_close(struct volume *v);

int volume_lookup(struct volume *v, vol_ino parent, const char *name, struct vol_attr *ret);
int volume_getattr(struct volume *v, vol_ino ino, struct vol_attr *ret);
/* A new size or owner takes away what security.capability grants a file, and so does VOL_SET_KILL_PRIV. */
int volume_setattr(struct volume *v, vol_ino ino, const struct vol_attr *attr, unsigned which, struct vol_attr *ret);

/* Sets all flags of a regular file or directory. Whether the caller may is not checked, as rights are not. -EOPNOTSUPP: a
 * flag that is none of the above, or another type; -EPERM: an immutable one gets or loses others and stays immutable. */
int volume_set_flags(struct volume *v, vol_ino ino, uint32_t flags);

/* Makes a file of any type but directory and symbolic link. */
int volume_mknod(struct volume *v, vol_ino parent, const char *name, uint32_t mode, uint64_t rdev,
		 const struct vol_cred *cred, struct vol_attr *ret);
/* A regular file without a name (O_TMPFILE): an orphan until it is linked. */
int volume_tmpfile(struct volume *v, vol_ino parent, uint32_t mode, const struct vol_cred *cred, struct vol_attr *ret);
int volume_mkdir(struct volume *v, vol_ino parent, const char *name, uint32_t mode, const struct vol_cred *cred,
		 struct vol_attr *ret);
int volume_symlink(struct volume *v, vol_ino parent, const char *name, const char *target, const struct vol_cred *cred,
		   struct vol_attr *ret);
/* `buf` of VOL_SYMLINK_MAX + 1 bytes gets the target with a NUL. */
int volume_readlink(struct volume *v, vol_ino ino, char *buf);
int volume_link(struct volume *v, vol_ino ino, vol_ino parent, const char *name, struct vol_attr *ret);
int volume_unlink(struct volume *v, vol_ino parent, const char *name, struct vol_gone *ret_gone);
int volume_rmdir(struct volume *v, vol_ino parent, const char *name, struct vol_gone *ret_gone);
/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE (linux/fs.h). A directory into itself or below: -EINVAL. */
int volume_rename(struct volume *v, vol_ino parent, const char *name, vol_ino new_parent, const char *new_name,
		  unsigned flags, struct vol_gone *ret_gone);
/* The same, and a device of number 0:0 takes the old name (RENAME_WHITEOUT, for overlayfs), made by `cred`. flags: 0 or
 * RENAME_NOREPLACE. */
int volume_rename_whiteout(struct volume *v, vol_ino parent, const char *name, vol_ino new_parent, const char *new_name,
			   unsigned flags, const struct vol_cred *cred, struct vol_gone *ret_gone);
/* The last handle and look-up of a nameless inode is gone: frees its rows. Harmless for one that has a name. */
int volume_reclaim(struct volume *v, vol_ino ino);

/* Copies up to `size` bytes from `offset`; holes read as zeros; short only at the end of the file. */
int volume_read(struct volume *v, vol_ino ino, uint64_t offset, void *buf, size_t size, size_t *ret_size);
/* Somebody has read content, entries or the target: moves the time of access as the volume's options have it. It is seen
 * at once, and stored within half a minute; a crash may lose it. Never waits for the disk, never
 * fails. Returns whether it moved. */
bool volume_accessed(struct volume *v, vol_ino ino);
/* volume_write: flags */
#define VOL_WRITE_APPEND (1u << 0)    /* at the end of the file, whatever `offset` says */
#define VOL_WRITE_SYNC (1u << 1)      /* durable on return */
#define VOL_WRITE_KILL_PRIV (1u << 2) /* as VOL_SET_KILL_PRIV */
#define VOL_WRITE_MAPPED (1u << 3)    /* pages that were changed through a mapping: security.capability stays */
/* Writes all of `size` bytes or fails. Takes away what security.capability grants the file. */
int volume_write(struct volume *v, vol_ino ino, uint64_t offset, const void *buf, size_t size, unsigned flags);
/* Takes security.capability away, too. mode as fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE [| KEEP_SIZE]; else -EOPNOTSUPP. What is
 * allocated reads as zeros, but no space is set aside for it: a later write may still meet -ENOSPC. */
int volume_fallocate(struct volume *v, vol_ino ino, int mode, uint64_t offset, uint64_t length);
/* whence: SEEK_DATA or SEEK_HOLE. -ENXIO at or past the end. */
int volume_seek(struct volume *v, vol_ino ino, uint64_t offset, int whence, uint64_t *ret_offset);

/*
 * flags: 0, XATTR_CREATE, XATTR_REPLACE. The two lists of system.posix_acl_* are looked at, and XATTR_CREATE and
 * XATTR_REPLACE mean nothing to them: the access list sets the permission bits of the mode (and isn't kept if they can
 * say it all), a new mode changes the access list, the default list of a directory becomes that of what is made in it.
 * -EINVAL: not a list; -E2BIG: more than VOL_ACL_MAX bytes; -EACCES: a default list on something that is no directory. To remove one that isn't there is no
 * error.
 */
#define VOL_ACL_ACCESS "system.posix_acl_access"
#define VOL_ACL_DEFAULT "system.posix_acl_default"
#define VOL_ACL_MAX 4096
#define VOL_XATTR_KILL_SGID (1 << 16) /* with an access list: the set-gid bit falls */
int volume_setxattr(struct volume *v, vol_ino ino, const char *name, const void *value, size_t size, int flags);
/* size 0 asks for the size only; -ERANGE when `size` is too small; -ENODATA when there is none. */
int volume_getxattr(struct volume *v, vol_ino ino, const char *name, void *buf, size_t size, size_t *ret_size);
int volume_listxattr(struct volume *v, vol_ino ino, char *buf, size_t size, size_t *ret_size);
int volume_removexattr(struct volume *v, vol_ino ino, const char *name);

struct vol_entry {
	const char *name; /* with a NUL; valid during the call-back */
	size_t name_size;
	uint64_t
		cookie; /* to go on behind this entry; stable for as long as the entry lives, whatever changes around */
	uint32_t type;  /* S_IFMT part of the mode */
	/* With `plus`: all of it, or NULL when the inode is damaged (a look-up will say how). Without: NULL. */
	const struct vol_attr *attr;
	vol_ino ino;
};
/* Returns false to stop before this entry (it will come again from the last cookie that was taken). */
typedef bool (*vol_entry_fn)(void *ctx, const struct vol_entry *entry);
/* Lists from `cookie` (0: the beginning); "." and ".." come first, with cookies 1 and 2. Memory is bounded. */
int volume_readdir(struct volume *v, vol_ino dir, uint64_t cookie, bool plus, vol_entry_fn fn, void *ctx);

int volume_statfs(struct volume *v, struct vol_statfs *ret);
/* Everything acknowledged until now is durable on return. */
int volume_sync(struct volume *v);

/* Makes directory `dir`, an absolute path to which nothing leads yet, a store with the volume as it is now. On the same file
 * system its files are links and take no space at first. -EOPNOTSUPP; -EEXIST, -EROFS, -ENOSPC, -EIO … */
int volume_checkpoint(struct volume *v, const char *dir);

/* The engine's figures as text for people (malloc'd; may be NULL). */
char *volume_stats_text(struct volume *v);

#endif
