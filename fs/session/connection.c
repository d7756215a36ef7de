/* SPDX-License-Identifier: MIT */
#include "fs/session/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int abort_by_control(dev_t device)
{
	char path[64];
	int fd, r;

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", minor(device));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, "1", 1) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* Asks for nothing but the device, which needs no answer of the daemon. */
static int is_on(int fd, dev_t device)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) < 0)
		return -errno;
	return makedev(st.stx_dev_major, st.stx_dev_minor) == device;
}

/* The descriptor keeps the mount in use: so it is not taken away, which would show what lies below it. */
static int abort_by_force(const char *dir, dev_t device)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = is_on(fd, device);
	if (r > 0)
		r = umount2(dir, MNT_FORCE | UMOUNT_NOFOLLOW) == 0 || errno == EBUSY ? 0 : -errno;
	else if (r == 0)
		r = -ENOENT;
	close(fd);
	return r;
}

int connection_abort(const char *dir, dev_t device)
{
	int r = abort_by_control(device);

	return r < 0 ? abort_by_force(dir, device) : r;
}
