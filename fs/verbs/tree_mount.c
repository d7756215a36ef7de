/* SPDX-License-Identifier: MIT */
/* The files of a store that is mounted, through its mount: rights are the caller's there. */
#include "fs/verbs/common.h"
#include "fs/verbs/mountinfo.h"
#include "fs/verbs/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct tree_mount {
	struct tree tree;
	struct mount_entry mount;
	int root_fd;
	int sync_fd; /* a directory whose fsync makes all changes durable; -1: nothing was changed */
	bool unsynced;
};

static struct tree_mount *from_tree(struct tree *tree)
{
	return (struct tree_mount *)tree;
}

static int sync_changes(struct tree_mount *t)
{
	if (t->sync_fd < 0)
		t->sync_fd = openat(t->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->sync_fd < 0 || fsync(t->sync_fd) < 0 ? -errno : 0;
}

static int on_close(struct tree *tree, int r)
{
	struct tree_mount *t = from_tree(tree);
	int r2 = t->unsynced ? sync_changes(t) : 0;

	if (r2 < 0)
		complain("%s: not everything that was written is known to be on disk: %s", t->mount.dir, strerror(-r2));
	if (t->sync_fd >= 0)
		close(t->sync_fd);
	close(t->root_fd);
	mount_entry_done(&t->mount);
	free(t);
	return r ? r : r2;
}

/* A directory that may be read is kept for the sync: the root may be one that may not. */
static void note_change(struct tree_mount *t, const struct tree_dir *dir)
{
	t->unsynced = true;
	if (t->sync_fd < 0)
		t->sync_fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int on_root(struct tree *tree, struct tree_dir *ret)
{
	int fd = fcntl(from_tree(tree)->root_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	*ret = (struct tree_dir){ .ino = VOL_ROOT, .fd = fd };
	return 0;
}

/* -EXDEV: something else is mounted there. */
static int check_device(const struct tree_mount *t, unsigned dev_major, unsigned dev_minor)
{
	return makedev(dev_major, dev_minor) == t->mount.device ? 0 : -EXDEV;
}

static int on_enter(struct tree *tree, struct tree_dir *dir, const char *name)
{
	struct stat st;
	int fd, r;

	if (dir->ino == VOL_ROOT && strcmp(name, "..") == 0)
		return 0;
	fd = openat(dir->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : check_device(from_tree(tree), major(st.st_dev), minor(st.st_dev));
	if (r < 0) {
		close(fd);
		return r;
	}
	close(dir->fd);
	*dir = (struct tree_dir){ .ino = st.st_ino, .fd = fd };
	return 0;
}

static void on_dir_done(struct tree *tree, struct tree_dir *dir)
{
	(void)tree;
	close(dir->fd);
}

static struct timespec time_of(const struct statx_timestamp *t)
{
	return (struct timespec){ .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

static int on_lookup(struct tree *tree, const struct tree_dir *dir, const char *name, struct vol_attr *ret)
{
	struct statx stx;
	int r;

	if (statx(dir->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &stx) < 0)
		return -errno;
	r = check_device(from_tree(tree), stx.stx_dev_major, stx.stx_dev_minor);
	if (r < 0)
		return r;
	*ret = (struct vol_attr){
		.ino = stx.stx_ino,
		.mode = stx.stx_mode,
		.nlink = stx.stx_nlink,
		.uid = stx.stx_uid,
		.gid = stx.stx_gid,
		.rdev = makedev(stx.stx_rdev_major, stx.stx_rdev_minor),
		.size = stx.stx_size,
		.allocated_bytes = stx.stx_blocks * 512,
		.atime = time_of(&stx.stx_atime),
		.mtime = time_of(&stx.stx_mtime),
		.ctime = time_of(&stx.stx_ctime),
		.btime = stx.stx_mask & STATX_BTIME ? time_of(&stx.stx_btime) : (struct timespec){ .tv_nsec = -1 },
	};
	return 0;
}

/* False: no more is wanted. */
static bool list_one(struct tree *tree, const struct tree_dir *dir, const struct dirent *e, bool plus, vol_entry_fn fn,
		     void *ctx)
{
	struct vol_entry entry = {
		.name = e->d_name,
		.name_size = strlen(e->d_name),
		.type = DTTOIF(e->d_type),
		.ino = e->d_ino,
	};
	struct vol_attr attr;

	if (plus || e->d_type == DT_UNKNOWN) {
		int r = on_lookup(tree, dir, e->d_name, &attr);

		if (r == -ENOENT)
			return true; /* removed meanwhile */
		if (r == 0) {
			entry.attr = &attr;
			entry.type = attr.mode & S_IFMT;
		}
	}
	return fn(ctx, &entry);
}

static int on_list(struct tree *tree, const struct tree_dir *dir, bool plus, vol_entry_fn fn, void *ctx)
{
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	do {
		errno = 0;
		e = readdir(d);
		if (!e)
			r = -errno;
	} while (e && list_one(tree, dir, e, plus, fn, ctx));
	closedir(d);
	return r;
}

static int on_readlink(struct tree *tree, const struct tree_dir *dir, const char *name, char *buf)
{
	ssize_t size = readlinkat(dir->fd, name, buf, VOL_SYMLINK_MAX + 1);

	(void)tree;
	if (size < 0 || size > VOL_SYMLINK_MAX)
		return size < 0 ? -errno : -ENAMETOOLONG;
	buf[size] = 0;
	return 0;
}

static int on_mkdir(struct tree *tree, const struct tree_dir *dir, const char *name, uint32_t mode)
{
	if (mkdirat(dir->fd, name, mode) < 0)
		return -errno;
	note_change(from_tree(tree), dir);
	return 0;
}

static int on_remove(struct tree *tree, const struct tree_dir *dir, const char *name, bool directory)
{
	if (unlinkat(dir->fd, name, directory ? AT_REMOVEDIR : 0) < 0)
		return -errno;
	note_change(from_tree(tree), dir);
	return 0;
}

/* O_NONBLOCK: what was a regular file may have become a FIFO. */
static int on_file_open(struct tree *tree, const struct tree_dir *dir, const char *name, struct tree_file *ret)
{
	int fd = openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r;
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EINVAL : -errno;
	r = fstat(fd, &st) < 0 ? -errno : check_device(from_tree(tree), major(st.st_dev), minor(st.st_dev));
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL;
	if (r < 0)
		close(fd);
	else
		*ret = (struct tree_file){ .ino = st.st_ino, .fd = fd };
	return r;
}

static int on_file_read(struct tree *tree, const struct tree_file *file, uint64_t offset, void *buf, size_t size,
			size_t *ret_size)
{
	ssize_t n = pread(file->fd, buf, size, (off_t)offset);

	(void)tree;
	if (n < 0)
		return -errno;
	*ret_size = (size_t)n;
	return 0;
}

/* ---- a new file ---- */

/* What a signal is to remove: where the kernel can't make files without a name (before Linux 6.2), a new one has a
 * temporary name. */
static struct {
	volatile sig_atomic_t armed;
	int dir_fd;
	char name[sizeof(((struct tree_file *)0)->temporary)];
} unfinished;

static void on_signal(int number)
{
	if (unfinished.armed)
		unlinkat(unfinished.dir_fd, unfinished.name, 0);
	raise(number); /* blocked until we return, and then the default (SA_RESETHAND) */
}

static void remember_unfinished(const struct tree_dir *dir, const char *name)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;

	unfinished.dir_fd = dir->fd;
	strcpy(unfinished.name, name);
	unfinished.armed = 1;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		/* what is ignored (nohup) stays so */
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(numbers[i], &action, NULL);
	}
}

static void temporary_name(char *buf, size_t size, unsigned i)
{
	snprintf(buf, size, ".lsmfs-put.%ld.%u", (long)getpid(), i);
}

static int new_with_name(const struct tree_dir *dir, uint32_t mode, struct tree_file *ret)
{
	struct tree_file file = { .fd = -1 };

	for (unsigned i = 0; file.fd < 0; i++) {
		temporary_name(file.temporary, sizeof(file.temporary), i);
		file.fd = openat(dir->fd, file.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (file.fd < 0 && errno != EEXIST)
			return -errno;
	}
	remember_unfinished(dir, file.temporary);
	*ret = file;
	return 0;
}

static int on_file_new(struct tree *tree, const struct tree_dir *dir, uint32_t mode, struct tree_file *ret)
{
	int fd = openat(dir->fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);

	(void)tree;
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		return new_with_name(dir, mode, ret);
	if (fd < 0)
		return -errno;
	*ret = (struct tree_file){ .fd = fd, .nameless = true };
	return 0;
}

static int on_file_write(struct tree *tree, const struct tree_file *file, uint64_t offset, const void *buf, size_t size)
{
	const char *data = buf;

	(void)tree;
	while (size > 0) {
		ssize_t n = pwrite(file->fd, data, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* A path by which the calls that take no descriptor, or none of this kind, find the file. */
static const char *fd_path(int fd, char buf[32])
{
	snprintf(buf, 32, "/proc/self/fd/%d", fd);
	return buf;
}

static int take_access_list(const struct tree_dir *dir, const char *from, int fd)
{
	char acl[VOL_ACL_MAX], path[32];
	int old = openat(dir->fd, from, O_PATH | O_NOFOLLOW | O_CLOEXEC), r = 0;
	ssize_t size = old >= 0 ? getxattr(fd_path(old, path), VOL_ACL_ACCESS, acl, sizeof(acl)) : -1;

	if (size >= 0)
		r = fsetxattr(fd, VOL_ACL_ACCESS, acl, (size_t)size, 0);
	else if (errno == ENODATA)
		r = fremovexattr(fd, VOL_ACL_ACCESS);
	else if (errno != EOPNOTSUPP) /* mounted with noacl: the mode is all that can be had */
		r = -1;
	r = r < 0 ? -errno : 0;
	if (old >= 0)
		close(old);
	return r;
}

static int take_rights(const struct tree_dir *dir, const char *from, const struct vol_attr *attr, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_uid != attr->uid || st.st_gid != attr->gid) && fchown(fd, attr->uid, attr->gid) < 0)
		return -errno;
	if (fchmod(fd, attr->mode & 07777) < 0)
		return -errno;
	return take_access_list(dir, from, fd);
}

static int link_as(const struct tree_dir *dir, int fd, const char *name)
{
	char path[32];

	return linkat(AT_FDCWD, fd_path(fd, path), dir->fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Gives a nameless file a temporary name, so that it can be renamed. */
static int give_temporary(const struct tree_dir *dir, struct tree_file *file)
{
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST; i++) {
		temporary_name(file->temporary, sizeof(file->temporary), i);
		r = link_as(dir, file->fd, file->temporary);
	}
	if (r < 0) {
		file->temporary[0] = 0;
		return r;
	}
	file->nameless = false;
	remember_unfinished(dir, file->temporary);
	return 0;
}

static int rename_temporary(const struct tree_dir *dir, struct tree_file *file, const char *name, unsigned flags)
{
	if (renameat2(dir->fd, file->temporary, dir->fd, name, flags) < 0)
		return -errno;
	unfinished.armed = 0;
	file->temporary[0] = 0;
	return 0;
}

/* One log holds all, so the sync of the file makes its name durable, too. */
static int on_file_name(struct tree *tree, const struct tree_dir *dir, struct tree_file *file, const char *name,
			const struct vol_attr *replaced)
{
	int r = 0;

	(void)tree;
	if (replaced)
		r = take_rights(dir, name, replaced, file->fd);
	if (r == 0 && replaced && file->nameless)
		r = give_temporary(dir, file);
	if (r == 0 && file->nameless)
		r = link_as(dir, file->fd, name);
	else if (r == 0)
		r = rename_temporary(dir, file, name, replaced ? 0 : RENAME_NOREPLACE);
	if (r == 0 && fsync(file->fd) < 0)
		r = -errno;
	return r;
}

static void on_file_done(struct tree *tree, const struct tree_dir *dir, struct tree_file *file)
{
	(void)tree;
	close(file->fd);
	if (file->temporary[0])
		unlinkat(dir->fd, file->temporary, 0);
	unfinished.armed = 0;
}

/* ---- finding it ---- */

static bool is_run_by(long pid, uid_t uid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%ld", pid);
	return stat(path, &st) == 0 && st.st_uid == uid;
}

/* Any user can give a mount of his own our type and this store's name. Only root, the caller and who has the store open
 * are believed. */
static bool is_to_be_trusted(const struct mount_entry *mount, const char *store)
{
	struct store_owner owner;
	bool good = mount->user == 0 || mount->user == geteuid();

	if (!good && store_owner_find(store, &owner)) {
		good = owner.pid > 0 && is_run_by(owner.pid, mount->user);
		store_owner_done(&owner);
	}
	return good;
}

/* The root of the mount: 1; 0: it doesn't answer (its process is dead), or something lies over it. */
static int open_root(const struct mount_entry *mount, int *ret_fd)
{
	struct stat st;
	int fd = open(mount->dir, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = errno == ENOTCONN || errno == ENOENT ? 0 : -errno;
	} else {
		r = st.st_dev == mount->device && st.st_ino == VOL_ROOT;
	}
	if (r > 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return r;
}

static int find_mount(const char *path, struct mount_entry *ret_mount, int *ret_fd)
{
	char *store = realpath(path, NULL);
	struct mount_entry mount;
	int r;

	if (!store)
		return 0; /* the reason comes with the attempt to open it */
	r = mount_find(NULL, store, &mount) > 0;
	if (r > 0) {
		r = is_to_be_trusted(&mount, store) ? open_root(&mount, ret_fd) : 0;
		if (r < 0)
			complain("%s is mounted on %s, which can't be used: %s", path, mount.dir, strerror(-r));
		if (r > 0)
			*ret_mount = mount;
		else
			mount_entry_done(&mount);
	}
	free(store);
	return r;
}

int tree_mount_root(const char *path, int *ret_fd)
{
	struct mount_entry mount;
	int way, r = find_mount(path, &mount, &way);

	if (r <= 0)
		return r;
	mount_entry_done(&mount);
	*ret_fd = openat(way, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0) {
		r = -errno;
		complain("%s is mounted, but its root can't be opened: %s", path, strerror(-r));
	}
	close(way);
	return r;
}

int tree_mount_open(const char *path, struct tree **ret)
{
	static const struct tree_ops ops = {
		.close = on_close,
		.root = on_root,
		.enter = on_enter,
		.dir_done = on_dir_done,
		.list = on_list,
		.lookup = on_lookup,
		.readlink = on_readlink,
		.mkdir = on_mkdir,
		.remove = on_remove,
		.file_open = on_file_open,
		.file_read = on_file_read,
		.file_new = on_file_new,
		.file_write = on_file_write,
		.file_name = on_file_name,
		.file_done = on_file_done,
	};
	struct tree_mount *t = malloc(sizeof(*t));
	int r;

	if (!t) {
		complain("no memory");
		return -ENOMEM;
	}
	*t = (struct tree_mount){ .tree.ops = &ops, .sync_fd = -1 };
	r = find_mount(path, &t->mount, &t->root_fd);
	if (r > 0)
		*ret = &t->tree;
	else
		free(t);
	return r;
}
