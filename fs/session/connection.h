/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_CONNECTION_H
#define LSMFS_CONNECTION_H
/* connection - the kernel's connection of a mount with its daemon, seen from outside of the daemon's requests. */
#include <sys/types.h>

/*
 * Aborts the connection of the mount `device`, at `dir`: all calls on it fail from now on, also those under way, and
 * whoever of the daemon waits in the kernel for an answer of the daemon's own is set free. The dead mount stays where it
 * is. By the control file system (fuse.rst, "Control filesystem"), where that is mounted, which the mount's user may,
 * too; else by umount2(2) with MNT_FORCE, as root. Negative errno: neither was possible.
 */
int connection_abort(const char *dir, dev_t device);

#endif
