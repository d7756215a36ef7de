/* SPDX-License-Identifier: MIT */
#include "tests/bench/passthrough_nodes.h"
#include "tests/bench/fuse_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TABLE_SIZE = 1 << 17 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pt_node *table[TABLE_SIZE];

static struct pt_node **place_of(dev_t dev, ino_t ino)
{
	uint64_t hash = ((uint64_t)ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
	struct pt_node **at = &table[hash >> 47];

	while (*at && ((*at)->ino != ino || (*at)->dev != dev))
		at = &(*at)->next;
	return at;
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

struct pt_node *pt_root(const char *dir)
{
	struct pt_node *node;
	struct stat attr;
	int r;

	allow_descriptors();
	r = pt_find(AT_FDCWD, dir, &node, &attr);
	if (!r && S_ISDIR(attr.st_mode))
		return node;
	errno = r ? r : ENOTDIR;
	return NULL;
}

/* With the lock. As long as the descriptor is open the inode's number is not used again. */
static struct pt_node *find_or_add(const struct stat *attr, int fd)
{
	struct pt_node **at = place_of(attr->st_dev, attr->st_ino), *node = *at;

	if (!node) {
		node = malloc(sizeof(*node));
		if (!node)
			return NULL;
		*node = (struct pt_node){ .fd = fd, .dev = attr->st_dev, .ino = attr->st_ino };
		*at = node;
	}
	node->lookups++;
	return node;
}

int pt_find(int dir, const char *name, struct pt_node **ret, struct stat *ret_attr)
{
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), r = 0;

	if (fd < 0)
		return errno;
	if (fstatat(fd, "", ret_attr, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
		r = errno;
		close(fd);
		return r;
	}
	pthread_mutex_lock(&lock);
	*ret = find_or_add(ret_attr, fd);
	pthread_mutex_unlock(&lock);
	if (!*ret || (*ret)->fd != fd)
		close(fd);
	return *ret ? 0 : ENOMEM;
}

void pt_forget(struct pt_node *node, uint64_t n)
{
	pthread_mutex_lock(&lock);
	node->lookups -= n;
	if (node->lookups == 0) {
		*place_of(node->dev, node->ino) = node->next;
		close(node->fd);
		free(node);
	}
	pthread_mutex_unlock(&lock);
}

struct pt_path pt_path(int fd)
{
	struct pt_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

static struct timespec time_to_set(int to_set, int bit, int bit_now, struct timespec given)
{
	if (to_set & bit_now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return to_set & bit ? given : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

int pt_set_attr(int fd, const struct stat *st, int to_set)
{
	struct pt_path path = pt_path(fd);
	const struct timespec times[2] = {
		time_to_set(to_set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, st->st_atim),
		time_to_set(to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, st->st_mtim),
	};
	uid_t uid = to_set & FUSE_SET_ATTR_UID ? st->st_uid : (uid_t)-1;
	gid_t gid = to_set & FUSE_SET_ATTR_GID ? st->st_gid : (gid_t)-1;

	if (to_set & FUSE_SET_ATTR_MODE && chmod(path.text, st->st_mode) < 0)
		return -1;
	if (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID) &&
	    fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (to_set & FUSE_SET_ATTR_SIZE && truncate(path.text, st->st_size) < 0)
		return -1;
	if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME))
		return utimensat(AT_FDCWD, path.text, times, 0);
	return 0;
}
