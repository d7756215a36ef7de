/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_MOUNT_H
#define LSMFS_MOUNT_H
/* A mount to be made: from the command line (mount.c) over the checks (mount_check.c) to the daemon (daemon.c). */
#include "fs/verbs/options.h"

struct mount_request {
	char *store, *dir; /* absolute; malloc'd */
	struct mount_options options;
	bool foreground;
	bool quiet; /* only failures are told */
};

/* Looks at what must be right before the store is touched, and takes a dead mount away. False: complained of. */
bool mount_check(const struct mount_request *request);

/* Mounts; returns when the mount answers (with `foreground`: when it has gone). The exit status. */
int mount_start(const struct mount_request *request);

#endif
