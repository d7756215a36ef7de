/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_IOCTL_H
#define LSMFS_IOCTL_H
/* ioctl - what the root of a mount can be asked for, beside what all file systems can. */
#include <sys/ioctl.h>

/*
 * Makes `path`, absolute and with nothing there yet, a store that holds what is mounted, as it is now. For root and for whom the
 * process behind the mount runs as: that is who makes the directory. EPERM; EINVAL: not the root of a mount, or no such path;
 * EEXIST, EROFS, ENOSPC, EIO …
 */
struct lsmfs_checkpoint {
	char path[4096];
};
#define LSMFS_IOC_CHECKPOINT _IOW('L', 1, struct lsmfs_checkpoint)

#endif
