/* SPDX-License-Identifier: MIT */
#include "fs/verbs/moment.h"
#include "fs/session/ioctl.h"
#include "fs/verbs/common.h"
#include "fs/verbs/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void complain_of_moment(const char *store, const char *path, int r)
{
	if (r == -EPERM || r == -ENOTTY)
		complain("%s is mounted: only its owner and root can check it there. Or unmount it first: lsmfs umount",
			 store);
	else if (r == -EEXIST)
		complain("%s is left over from a check that was ended: remove it first", path);
	else if (r == -EROFS)
		complain("%s is mounted for reading only, or has turned so after an error: unmount it, then check it",
			 store);
	else
		complain("the process behind the mount of %s can't make %s, in which it would be checked: %s", store,
			 path, strerror(-r));
}

int moment_take(const char *store, struct moment *ret)
{
	struct lsmfs_checkpoint checkpoint = { 0 };
	char *whole;
	int fd, r = tree_mount_root(store, &fd);

	if (r <= 0)
		return r;
	whole = realpath(store, NULL);
	if (!whole)
		r = -errno;
	else if (snprintf(checkpoint.path, sizeof(checkpoint.path), "%s.check", whole) >= (int)sizeof(checkpoint.path))
		r = -ENAMETOOLONG;
	else if (ioctl(fd, LSMFS_IOC_CHECKPOINT, &checkpoint) < 0)
		r = -errno;
	if (r > 0 && !(ret->path = strdup(checkpoint.path)))
		r = -ENOMEM;
	if (r < 0)
		complain_of_moment(store, checkpoint.path, r);
	close(fd);
	free(whole);
	return r;
}

/* A store is a directory of files. */
int moment_done(struct moment *m)
{
	DIR *d = opendir(m->path);
	const struct dirent *e;
	int r = d ? 0 : -errno;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlinkat(dirfd(d), e->d_name, 0) < 0)
			r = -errno;
	if (d)
		closedir(d);
	if (r == 0 && rmdir(m->path) < 0)
		r = -errno;
	if (r < 0)
		complain("%s can't be removed: %s. It is no longer needed", m->path, strerror(-r));
	free(m->path);
	m->path = NULL;
	return r;
}
