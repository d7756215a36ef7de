/* SPDX-License-Identifier: MIT */
#include "fs/session/unmount.h"

#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static int by_fusermount(const char *dir, bool lazily)
{
	extern char **environ;
	const char *const argv[] = { "fusermount3", lazily ? "-uqz" : "-uq", "--", dir, NULL };
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ))
		return -ENOENT;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	/* It doesn't tell why it failed; a mount in use is by far the most likely. */
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

static int unmount(const char *dir, int flags)
{
	if (geteuid() != 0)
		return by_fusermount(dir, flags & MNT_DETACH);
	return umount2(dir, flags | UMOUNT_NOFOLLOW) == 0 ? 0 : -errno;
}

int unmount_plainly(const char *dir)
{
	return unmount(dir, 0);
}

int unmount_lazily(const char *dir)
{
	return unmount(dir, MNT_DETACH);
}

int unmount_by_force(const char *dir)
{
	int r;

	if (geteuid() != 0)
		return -EPERM;
	r = unmount(dir, MNT_FORCE);
	return r == -EBUSY ? unmount(dir, MNT_DETACH) : r;
}
