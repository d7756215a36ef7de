/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_VERBS_H
#define LSMFS_VERBS_H
/*
 * verbs - what `lsmfs VERB …` can do, one file each. fs/main.c has the table.
 */
struct verb {
	const char *name;
	const char *arguments; /* for --help */
	const char *summary;   /* one line */
	/* argv[0] is "lsmfs VERB". Returns the exit status. */
	int (*run)(int argc, char **argv);
};

int verb_mount(int argc, char **argv);
int verb_umount(int argc, char **argv);
int verb_get(int argc, char **argv);
int verb_put(int argc, char **argv);
int verb_rm(int argc, char **argv);
int verb_ls(int argc, char **argv);
int verb_scan(int argc, char **argv);
int verb_stat(int argc, char **argv);
int verb_dump(int argc, char **argv);
int verb_backup(int argc, char **argv);
int verb_restore(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_repair(int argc, char **argv);

/* As mount.lsmfs and mount.fuse.lsmfs, which mount(8) calls: STORE DIR [-sfnvwr] [-N namespace] [-o options]
 * [-t type]. */
int mount_helper(int argc, char **argv);

/* Exit statuses of all verbs but mount, check and repair. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
/* Those of check and repair, which are fsck(8)'s. */
enum {
	CHECK_EXIT_CLEAN = 0,
	CHECK_EXIT_MENDED = 1,
	CHECK_EXIT_DAMAGED = 4,
	CHECK_EXIT_FAILED = 8,
	CHECK_EXIT_USAGE = 16
};
/* Those of mount, which are mount(8)'s. */
enum {
	MOUNT_EXIT_DONE = 0,
	MOUNT_EXIT_USAGE = 1,
	MOUNT_EXIT_SYSTEM = 2,
	MOUNT_EXIT_INTERNAL = 4,
	MOUNT_EXIT_FAILED = 32,
};

#endif
