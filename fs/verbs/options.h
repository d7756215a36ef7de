/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_OPTIONS_H
#define LSMFS_OPTIONS_H
/*
 * options - what stands behind -o of mount: one table, from which the parsing, the help and the suggestions come.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/volume/volume.h"

struct mount_options {
	uint64_t memory_bytes; /* 0: default */
	bool read_only;
	bool sync_data, sync_names;
	bool nonempty;
	bool no_uring;
	bool writeback;
	bool no_acl;
	bool allow_other, allow_root;
	bool nosuid, nodev, noexec, nodiratime;
	enum vol_atime atime;
};

/* How the defaults of the root user, whose mounts serve everybody, differ from those of others. */
void mount_options_init(struct mount_options *options, bool as_root);

/* Adds what `text` ("ro,memory=64M") says; later words win. Words it doesn't know are passed over if `sloppy`, else an
 * error. False: complained of. */
bool mount_options_parse(struct mount_options *options, const char *text, bool sloppy);

/* For libfuse: what it must be told of the options, and the store's name. malloc'd; NULL: no memory. */
char *mount_options_for_fuse(const struct mount_options *options, const char *store, bool as_root);

/* The table as text for --help; malloc'd; NULL: no memory. */
char *mount_options_help(void);

/* The name of option `i` of those that the help shows ("memory=SIZE" is "memory"); NULL behind the last. */
const char *mount_options_name(size_t i);

#endif
