/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_MOUNTINFO_H
#define LSMFS_MOUNTINFO_H
/* mountinfo - what is mounted where, from /proc/self/mountinfo. */
#include <stdbool.h>
#include <sys/types.h>

struct mount_entry {
	char *dir;    /* the mount point, absolute */
	char *type;   /* "fuse.lsmfs" for ours */
	char *source; /* the store, for ours */
	dev_t device;
	bool whole; /* not only a directory of the file system (a bind mount) */
	uid_t user; /* who mounted it, of FUSE; else 0 */
};

#define MOUNT_TYPE_OURS "fuse.lsmfs"

/* Parses a line of mountinfo. False: it isn't one, or no memory. End with mount_entry_done(). */
bool mount_entry_parse(const char *line, struct mount_entry *ret);
void mount_entry_done(struct mount_entry *entry);

/*
 * The uppermost mount at `dir` and, the other way round, a whole one of the store `source`; NULL is any. 1: found; 0: none;
 * negative errno.
 */
int mount_find(const char *dir, const char *source, struct mount_entry *ret);

#endif
