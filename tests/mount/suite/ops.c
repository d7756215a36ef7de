/* SPDX-License-Identifier: MIT */
/* The operations that take a path. What would go further than the path (running a program, a connection) counts as done
 * as soon as the path did its part. */
#include "suite.h"

#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#define OP(name_, expression)                    \
	static long op_##name_(const char *path) \
	{                                        \
		return expression;               \
	}

/* Raw, where the C library looks at the path or has its own idea. */
#define AT AT_FDCWD

static long op_stat(const char *path)
{
	struct stat st;

	return done(stat(path, &st));
}

static long op_lstat(const char *path)
{
	struct stat st;

	return done(lstat(path, &st));
}

static long op_statx(const char *path)
{
	struct statx st;

	return done(statx(AT, path, 0, STATX_BASIC_STATS, &st));
}

static long op_statfs(const char *path)
{
	struct statfs fs;

	return done(statfs(path, &fs));
}

OP(access, done(access(path, F_OK)))
OP(faccessat_nofollow, done(faccessat(AT, path, F_OK, AT_SYMLINK_NOFOLLOW | AT_EACCESS)))
OP(open_r, opened(open(path, O_RDONLY | O_NONBLOCK)))
OP(open_w, opened(open(path, O_WRONLY)))
OP(open_rw, opened(open(path, O_RDWR)))
OP(open_trunc, opened(open(path, O_RDONLY | O_TRUNC)))
OP(open_append, opened(open(path, O_WRONLY | O_APPEND)))
OP(open_nofollow, opened(open(path, O_RDONLY | O_NOFOLLOW)))
OP(open_path, opened(open(path, O_PATH)))
OP(open_path_nofollow, opened(open(path, O_PATH | O_NOFOLLOW)))
OP(open_dir, opened(open(path, O_RDONLY | O_DIRECTORY)))
OP(open_creat, opened(open(path, O_WRONLY | O_CREAT, 0666)))
OP(open_new, opened(open(path, O_WRONLY | O_CREAT, 0666)))
OP(open_excl, opened(open(path, O_WRONLY | O_CREAT | O_EXCL, 0666)))

static long op_openat2(const char *path)
{
	struct open_how how = { .flags = O_RDONLY };

	return opened((int)syscall(SYS_openat2, AT, path, &how, sizeof(how)));
}

OP(truncate, done(truncate(path, 1)))
OP(chmod, done(chmod(path, 0777)))
OP(chown, done(chown(path, (uid_t)-1, (gid_t)-1)))
OP(lchown, done(lchown(path, (uid_t)-1, (gid_t)-1)))
OP(utimensat, done(utimensat(AT, path, (struct timespec[2]){ { 1, 0 }, { 1, 0 } }, 0)))
OP(utimensat_now, done(utimensat(AT, path, NULL, 0)))
OP(utimensat_nofollow, done(utimensat(AT, path, (struct timespec[2]){ { 1, 0 }, { 1, 0 } }, AT_SYMLINK_NOFOLLOW)))

static long op_readlink(const char *path)
{
	char buf[8];

	return done(readlink(path, buf, sizeof(buf)));
}

/* That there is no such attribute (or none on such a thing) is known only when the path was walked. */
static long without_enodata(long r)
{
	return r == -ENODATA ? 0 : r;
}

static long op_getxattr(const char *path)
{
	char buf[8];

	return without_enodata(done(getxattr(path, "user.x", buf, sizeof(buf))));
}

static long op_lgetxattr(const char *path)
{
	char buf[8];

	return without_enodata(done(lgetxattr(path, "user.x", buf, sizeof(buf))));
}

OP(setxattr, done(setxattr(path, "user.y", "1", 1, 0)))
OP(lsetxattr, done(lsetxattr(path, "user.y", "1", 1, 0)))
OP(listxattr, done(listxattr(path, NULL, 0)))
OP(llistxattr, done(llistxattr(path, NULL, 0)))
OP(removexattr, without_enodata(done(removexattr(path, "user.x"))))
OP(lremovexattr, without_enodata(done(lremovexattr(path, "user.x"))))

static long op_execve(const char *path)
{
	char *const none[] = { NULL };

	execve(path, none, none);
	return errno == ENOEXEC ? 0 : -errno; /* the scene's files are no programs */
}

static long op_chdir(const char *path)
{
	int back = (int)must(open(".", O_PATH));
	long r = done(chdir(path));

	must(fchdir(back));
	must(close(back));
	return r;
}

static long op_inotify(const char *path)
{
	static int fd = -1; /* closing one takes long */

	if (fd < 0)
		fd = (int)must(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	return done(inotify_add_watch(fd, path, IN_CREATE));
}

static long op_name_to_handle(const char *path)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount;

	return done(name_to_handle_at(AT, path, &u.h, &mount, 0));
}

/* A longer path than a socket's address has room for is refused before anything is walked. */
static bool address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (path[0] == 0 || strlen(path) >= sizeof(ret->sun_path))
		return false;
	memcpy(ret->sun_path, path, strlen(path));
	return true;
}

static long op_connect(const char *path)
{
	struct sockaddr_un a;
	int s;
	long r;

	if (!address(path, &a))
		return access(path, F_OK) < 0 ? -errno : 0;
	s = (int)must(socket(AF_UNIX, SOCK_STREAM, 0));
	r = done(connect(s, (struct sockaddr *)&a, sizeof(a)));
	must(close(s));
	return r == -ECONNREFUSED ? 0 : r; /* nobody listens */
}

static long op_bind(const char *path)
{
	struct sockaddr_un a;
	int s;
	long r;

	if (!address(path, &a))
		return done(mkfifo(path, 0777));
	s = (int)must(socket(AF_UNIX, SOCK_STREAM, 0));
	r = done(bind(s, (struct sockaddr *)&a, sizeof(a)));
	must(close(s));
	return r == -EADDRINUSE ? -EEXIST : r; /* bind's word for it */
}

OP(mkdir, done(mkdir(path, 0777)))
OP(mkfifo, done(mkfifo(path, 0666)))
OP(mknod_file, done(mknod(path, S_IFREG | 0666, 0)))
OP(mknod_device, done(mknod(path, S_IFCHR | 0666, makedev(1, 3))))
OP(symlink, done(symlink("target", path)))
OP(link_to, done(link("o/file", path)))
OP(link_from, done(link(path, "o/new")))
OP(link_follow, done(linkat(AT, path, AT, "o/new", AT_SYMLINK_FOLLOW)))
OP(unlink, done(unlink(path)))
OP(rmdir, done(rmdir(path)))
OP(rename_from, done(rename(path, "o/new")))
OP(rename_to, done(rename("o/file", path)))
OP(rename_dir_from, done(rename(path, "o/new")))
OP(rename_dir_to, done(rename("o/dir", path)))
OP(noreplace_from, done(renameat2(AT, path, AT, "o/new", RENAME_NOREPLACE)))
OP(noreplace_to, done(renameat2(AT, "o/file", AT, path, RENAME_NOREPLACE)))
OP(exchange_first, done(renameat2(AT, path, AT, "o/file", RENAME_EXCHANGE)))
OP(exchange_second, done(renameat2(AT, "o/file", AT, path, RENAME_EXCHANGE)))

#define CHANGES_DIR (OP_DIR_WRITE | OP_MUTATES)

const struct op ops[] = {
	{ "stat", FOLLOW, FILE_, 0, op_stat },
	{ "lstat", NOFOLLOW, FILE_, 0, op_lstat },
	{ "statx", FOLLOW, FILE_, 0, op_statx },
	{ "statfs", FOLLOW, FILE_, 0, op_statfs },
	{ "access", FOLLOW, FILE_, 0, op_access },
	{ "faccessat_nofollow", NOFOLLOW, FILE_, 0, op_faccessat_nofollow },
	{ "open_r", FOLLOW, FILE_, 0, op_open_r },
	{ "open_w", FOLLOW, FILE_, 0, op_open_w },
	{ "open_rw", FOLLOW, FILE_, 0, op_open_rw },
	{ "open_trunc", FOLLOW, FILE_, 0, op_open_trunc },
	{ "open_append", FOLLOW, FILE_, 0, op_open_append },
	{ "open_nofollow", NOFOLLOW, FILE_, 0, op_open_nofollow },
	{ "open_path", FOLLOW, FILE_, 0, op_open_path },
	{ "open_path_nofollow", NOFOLLOW, FILE_, 0, op_open_path_nofollow },
	{ "open_dir", FOLLOW, DIR_, 0, op_open_dir },
	{ "open_creat", FOLLOW, FILE_, OP_MUTATES, op_open_creat },
	{ "open_new", MAKE, ABSENT, CHANGES_DIR, op_open_new },
	{ "open_excl", MAKE, ABSENT, CHANGES_DIR, op_open_excl },
	{ "openat2", FOLLOW, FILE_, 0, op_openat2 },
	{ "truncate", FOLLOW, FILE_, 0, op_truncate },
	{ "chmod", FOLLOW, FILE_, OP_MUTATES, op_chmod },
	{ "chown", FOLLOW, FILE_, OP_MUTATES, op_chown },
	{ "lchown", NOFOLLOW, FILE_, OP_MUTATES, op_lchown },
	{ "utimensat", FOLLOW, FILE_, 0, op_utimensat },
	{ "utimensat_now", FOLLOW, FILE_, 0, op_utimensat_now },
	{ "utimensat_nofollow", NOFOLLOW, FILE_, 0, op_utimensat_nofollow },
	{ "readlink", NOFOLLOW, LINK_, 0, op_readlink },
	{ "getxattr", FOLLOW, FILE_, 0, op_getxattr },
	{ "lgetxattr", NOFOLLOW, FILE_, 0, op_lgetxattr },
	{ "setxattr", FOLLOW, FILE_, 0, op_setxattr },
	{ "lsetxattr", NOFOLLOW, FILE_, 0, op_lsetxattr },
	{ "listxattr", FOLLOW, FILE_, 0, op_listxattr },
	{ "llistxattr", NOFOLLOW, FILE_, 0, op_llistxattr },
	{ "removexattr", FOLLOW, FILE_, 0, op_removexattr },
	{ "lremovexattr", NOFOLLOW, FILE_, 0, op_lremovexattr },
	{ "execve", FOLLOW, FILE_, 0, op_execve },
	{ "chdir", FOLLOW, DIR_, 0, op_chdir },
	{ "inotify", FOLLOW, FILE_, 0, op_inotify },
	{ "name_to_handle", NOFOLLOW, FILE_, 0, op_name_to_handle },
	{ "connect", FOLLOW, SOCK_, 0, op_connect },
	{ "bind", MAKE, ABSENT, CHANGES_DIR, op_bind },
	{ "mkdir", MAKE, ABSENT, CHANGES_DIR, op_mkdir },
	{ "mkfifo", MAKE, ABSENT, CHANGES_DIR, op_mkfifo },
	{ "mknod_file", MAKE, ABSENT, CHANGES_DIR, op_mknod_file },
	{ "mknod_device", MAKE, ABSENT, CHANGES_DIR | OP_ROOT_ONLY, op_mknod_device },
	{ "symlink", MAKE, ABSENT, CHANGES_DIR, op_symlink },
	{ "link_to", MAKE, ABSENT, CHANGES_DIR, op_link_to },
	{ "link_from", NOFOLLOW, FILE_, OP_MUTATES, op_link_from },
	{ "link_follow", FOLLOW, FILE_, OP_MUTATES, op_link_follow },
	{ "unlink", REMOVE, FILE_, CHANGES_DIR, op_unlink },
	{ "rmdir", REMOVE_DIR, DIR_, CHANGES_DIR, op_rmdir },
	{ "rename_from", FROM, FILE_, CHANGES_DIR, op_rename_from },
	{ "rename_to", TO, FILE_, CHANGES_DIR, op_rename_to },
	{ "rename_dir_from", FROM, DIR_, CHANGES_DIR, op_rename_dir_from },
	{ "rename_dir_to", TO, DIR_, CHANGES_DIR, op_rename_dir_to },
	{ "noreplace_from", FROM, FILE_, CHANGES_DIR, op_noreplace_from },
	{ "noreplace_to", TO, ABSENT, CHANGES_DIR, op_noreplace_to },
	{ "exchange_first", FROM, FILE_, CHANGES_DIR, op_exchange_first },
	{ "exchange_second", FROM, FILE_, CHANGES_DIR, op_exchange_second },
};
const size_t n_ops = N(ops);

const struct op *op_find(const char *name)
{
	for (size_t i = 0; i < n_ops; i++)
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	fprintf(stderr, "# no operation %s\n", name);
	errno = EINVAL;
	must(-1);
	return NULL;
}
