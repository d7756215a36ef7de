/* SPDX-License-Identifier: MIT */
/* Errors that don't come from the path: pointers, descriptors, limits, what is in use. */
#include "suite.h"

#include <dirent.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* ---- pointers ---- */

#define RAW(...) done(syscall(__VA_ARGS__))

void errno_pointers(void)
{
	char *const bad = (char *)(intptr_t)-4096; /* never mapped */
	char *end = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[64];
	struct stat st;
	int fd, dir;

	must(end == MAP_FAILED ? -1 : 0);
	must(munmap(end + 4096, 4096));
	scene_make(".", NULL);
	make_file("text", "some text");
	fd = (int)must(open("text", O_RDWR));
	dir = (int)must(open(".", O_RDONLY | O_DIRECTORY));
	for (size_t i = 0; i < n_ops; i++) {
		if (strcmp(ops[i].name, "connect") == 0 || strcmp(ops[i].name, "bind") == 0)
			continue;
		expect(-EFAULT, ops[i].run(bad), "%s of a bad pointer", ops[i].name);
	}
	/* a string that runs into an unmapped page */
	memset(end, 'x', 4096);
	for (size_t i = 0; i < n_ops; i++) {
		if (strcmp(ops[i].name, "connect") == 0 || strcmp(ops[i].name, "bind") == 0)
			continue;
		expect(-EFAULT, ops[i].run(end + 4000), "%s of a string without an end", ops[i].name);
	}
	expect(-EFAULT, RAW(SYS_rename, "f", bad), "rename to a bad pointer");
	expect(-EFAULT, RAW(SYS_link, "f", bad), "link to a bad pointer");
	expect(-EFAULT, RAW(SYS_symlink, bad, "new"), "symlink with a bad text");
	expect(-EFAULT, RAW(SYS_symlink, "x", bad), "symlink at a bad pointer");
	expect(-EFAULT, RAW(SYS_newfstatat, AT_FDCWD, "f", bad, 0), "stat into a bad buffer");
	expect(-EFAULT, RAW(SYS_fstat, fd, bad), "fstat into a bad buffer");
	expect(-EFAULT, RAW(SYS_statx, AT_FDCWD, "f", 0, STATX_ALL, bad), "statx into a bad buffer");
	expect(-EFAULT, RAW(SYS_statfs, "f", bad), "statfs into a bad buffer");
	expect(-EFAULT, RAW(SYS_fstatfs, fd, bad), "fstatfs into a bad buffer");
	expect(-EFAULT, RAW(SYS_readlink, "l", bad, 8), "readlink into a bad buffer");
	expect(-EFAULT, RAW(SYS_utimensat, AT_FDCWD, "f", bad, 0), "utimensat with bad times");
	expect(-EFAULT, RAW(SYS_read, fd, bad, 4), "read into a bad buffer");
	expect(-EFAULT, RAW(SYS_pread64, fd, bad, 4, 0), "pread into a bad buffer");
	expect(-EFAULT, RAW(SYS_write, fd, bad, 4), "write from a bad buffer");
	expect(-EFAULT, RAW(SYS_pwrite64, fd, bad, 4, 100), "pwrite from a bad buffer");
	expect_equal(9, (long long)look("text").st_size, "size after writes from bad buffers");
	expect(-EFAULT, RAW(SYS_readv, fd, bad, 2), "readv with a bad vector");
	expect(-EFAULT, RAW(SYS_writev, fd, bad, 2), "writev with a bad vector");
	expect(-EFAULT, RAW(SYS_getdents64, dir, bad, 4096), "getdents into a bad buffer");
	expect(-EFAULT, RAW(SYS_getxattr, "f", "user.x", bad, 8), "getxattr into a bad buffer");
	expect(-EFAULT, RAW(SYS_getxattr, "f", bad, buf, 8), "getxattr with a bad name");
	expect(-EFAULT, RAW(SYS_setxattr, "f", "user.n", bad, 8, 0), "setxattr from a bad buffer");
	expect(-EFAULT, RAW(SYS_setxattr, "f", bad, buf, 8, 0), "setxattr with a bad name");
	expect(-EFAULT, RAW(SYS_listxattr, "f", bad, 64), "listxattr into a bad buffer");
	expect(-EFAULT, RAW(SYS_removexattr, "f", bad), "removexattr with a bad name");
	expect(-ENODATA, done(getxattr("f", "user.n", buf, sizeof(buf))), "no attribute was made");
	expect(-EFAULT, RAW(SYS_copy_file_range, fd, bad, fd, NULL, 4, 0), "copy_file_range with a bad offset");
	expect(-EFAULT, RAW(SYS_sendfile, fd, fd, bad, 4), "sendfile with a bad offset");
	expect(-EFAULT, RAW(SYS_openat2, AT_FDCWD, "f", bad, 24), "openat2 with a bad pointer");
	expect(-EFAULT, RAW(SYS_getcwd, bad, 4096), "getcwd into a bad buffer");
	/* what there is room for counts */
	memset(end, 'y', 4096);
	expect(3, rc(pwrite(fd, end + 4093, 6, 0)), "a write that runs out of its buffer");
	expect(9, rc(pread(fd, end + 4087, 20, 0)), "a read into just enough room");
	expect(-ERANGE, RAW(SYS_getcwd, buf, 2), "getcwd into 2 bytes");
	expect(0, done(fstat(fd, &st)), "and all still works");
	must(close(fd));
	must(close(dir));
}

/* ---- descriptors ---- */

enum { CLOSED, FILE_R, FILE_W, FILE_RW, FILE_PATH, DIR_R, DIR_PATH, FIFO_RW, LINK_PATH, DESCRIPTORS };

static const char *const descriptor_names[DESCRIPTORS] = { "a closed descriptor", "a file, read",   "a file, write",
							   "a file, both",        "a file, O_PATH", "a directory",
							   "a directory, O_PATH", "a fifo",         "a link, O_PATH" };

static char page[4096] __attribute__((aligned(4096)));
static int fds[DESCRIPTORS];

static long fd_read(int fd)
{
	return done(read(fd, page, 1));
}

static long fd_pread(int fd)
{
	return done(pread(fd, page, 1, 0));
}

static long fd_write(int fd)
{
	return done(write(fd, "x", 1));
}

static long fd_pwrite(int fd)
{
	return done(pwrite(fd, "x", 1, 0));
}

static long fd_write_none(int fd)
{
	return done(write(fd, "x", 0));
}

static long fd_readv_none(int fd)
{
	return done(readv(fd, NULL, 0));
}

static long fd_readv_many(int fd)
{
	return RAW(SYS_readv, fd, page, 1025);
}

static long fd_writev_negative(int fd)
{
	return RAW(SYS_writev, fd, page, -1);
}

static long fd_preadv2_flag(int fd)
{
	return done(preadv2(fd, &(struct iovec){ page, 1 }, 1, 0, 1 << 30));
}

static long fd_lseek(int fd)
{
	return done(lseek(fd, 0, SEEK_SET));
}

static long fd_lseek_negative(int fd)
{
	return done(lseek(fd, -1, SEEK_SET));
}

static long fd_lseek_whence(int fd)
{
	return done(lseek(fd, 0, 99));
}

static long fd_seek_hole(int fd)
{
	return done(lseek(fd, 0, SEEK_HOLE));
}

static long fd_seek_data_past(int fd)
{
	return done(lseek(fd, 1000000, SEEK_DATA));
}

static long fd_ftruncate(int fd)
{
	return done(ftruncate(fd, 5));
}

static long fd_ftruncate_negative(int fd)
{
	return done(ftruncate(fd, -1));
}

static long fd_fallocate(int fd)
{
	return done(fallocate(fd, 0, 0, 5));
}

static long fd_fallocate_zero(int fd)
{
	return done(fallocate(fd, 0, 0, 0));
}

static long fd_fallocate_negative(int fd)
{
	return done(fallocate(fd, 0, -1, 5));
}

static long fd_fallocate_mode(int fd)
{
	return done(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 5));
}

static long fd_fsync(int fd)
{
	return done(fsync(fd));
}

static long fd_fdatasync(int fd)
{
	return done(fdatasync(fd));
}

static long fd_syncfs(int fd)
{
	return done(syncfs(fd));
}

static long fd_sync_range(int fd)
{
	return done(sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
}

static long fd_fstat(int fd)
{
	struct stat st;

	return done(fstat(fd, &st));
}

static long fd_fstatfs(int fd)
{
	struct statfs fs;

	return done(fstatfs(fd, &fs));
}

static long fd_fchmod(int fd)
{
	return done(fchmod(fd, 0755));
}

static long fd_fchown(int fd)
{
	return done(fchown(fd, 0, 0));
}

static long fd_futimens(int fd)
{
	return done(futimens(fd, NULL));
}

static long fd_fchdir(int fd)
{
	long r = done(fchdir(fd));

	if (r == 0)
		must(chdir(".."));
	return r;
}

static long fd_getdents(int fd)
{
	return RAW(SYS_getdents64, fd, page, sizeof(page));
}

static long fd_fgetxattr(int fd)
{
	long r = done(fgetxattr(fd, "user.x", page, sizeof(page)));

	return r == -ENODATA ? 0 : r;
}

static long fd_fsetxattr(int fd)
{
	return done(fsetxattr(fd, "user.z", "1", 1, 0));
}

static long fd_flistxattr(int fd)
{
	return done(flistxattr(fd, page, sizeof(page)));
}

static long fd_fremovexattr(int fd)
{
	long r = done(fremovexattr(fd, "user.w"));

	return r == -ENODATA ? 0 : r;
}

static long map(int fd, int prot, int flags)
{
	void *at = mmap(NULL, 4096, prot, flags, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	must(munmap(at, 4096));
	return 0;
}

static long fd_mmap_r(int fd)
{
	return map(fd, PROT_READ, MAP_SHARED);
}

static long fd_mmap_w(int fd)
{
	return map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static long fd_mmap_private(int fd)
{
	return map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

static long fd_openat(int fd)
{
	return opened(openat(fd, "x", O_RDONLY));
}

static long fd_mkdirat(int fd)
{
	return done(mkdirat(fd, "x", 0755));
}

static long fd_unlinkat(int fd)
{
	return done(unlinkat(fd, "none", 0));
}

static long fd_renameat(int fd)
{
	return done(renameat(fd, "none", AT_FDCWD, "none2"));
}

static long fd_fstatat_empty(int fd)
{
	struct stat st;

	return done(fstatat(fd, "", &st, AT_EMPTY_PATH));
}

static long fd_flock(int fd)
{
	struct flock lock = { .l_type = F_RDLCK };

	return done(fcntl(fd, F_GETLK, &lock));
}

static long fd_copy_in(int fd)
{
	return done(copy_file_range(fd, &(loff_t){ 0 }, fds[FILE_RW], &(loff_t){ 100 }, 1, 0));
}

static long fd_copy_out(int fd)
{
	return done(copy_file_range(fds[FILE_RW], &(loff_t){ 0 }, fd, &(loff_t){ 100 }, 1, 0));
}

static long fd_ioctl(int fd)
{
	return done(ioctl(fd, 0x7f7f, NULL)); /* of nobody */
}

static long fd_fadvise(int fd)
{
	return -posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL);
}

static long fd_fadvise_advice(int fd)
{
	return -posix_fadvise(fd, 0, 0, 99);
}

#define B (-EBADF)

static const struct {
	const char *name;
	long (*run)(int fd);
	long want[DESCRIPTORS];
} fd_calls[] = {
	/*                       closed  file r    file w    file rw   path     dir       dir path  fifo      link */
	{ "read", fd_read, { B, 0, B, 0, B, -EISDIR, B, 0, B } },
	{ "pread", fd_pread, { B, 0, B, 0, B, -EISDIR, B, -ESPIPE, B } },
	{ "write", fd_write, { B, B, 0, 0, B, B, B, 0, B } },
	{ "pwrite", fd_pwrite, { B, B, 0, 0, B, B, B, -ESPIPE, B } },
	{ "write of nothing", fd_write_none, { B, B, 0, 0, B, B, B, 0, B } },
	{ "readv of nothing", fd_readv_none, { B, 0, B, 0, B, 0, B, 0, B } },
	{ "readv of 1025", fd_readv_many, { B, -EINVAL, B, -EINVAL, B, -EINVAL, B, -EINVAL, B } },
	{ "writev of -1", fd_writev_negative, { B, B, -EINVAL, -EINVAL, B, B, B, -EINVAL, B } },
	{ "preadv2 with a flag of nobody",
	  fd_preadv2_flag,
	  { B, -EOPNOTSUPP, B, -EOPNOTSUPP, B, -EOPNOTSUPP, B, -ESPIPE, B } },
	{ "lseek", fd_lseek, { B, 0, 0, 0, B, 0, B, -ESPIPE, B } },
	{ "lseek to -1", fd_lseek_negative, { B, -EINVAL, -EINVAL, -EINVAL, B, -EINVAL, B, -ESPIPE, B } },
	{ "lseek from 99", fd_lseek_whence, { B, -EINVAL, -EINVAL, -EINVAL, B, -EINVAL, B, -EINVAL, B } },
	{ "SEEK_HOLE", fd_seek_hole, { B, 0, 0, 0, B, 1, B, -ESPIPE, B } },
	{ "SEEK_DATA past the end", fd_seek_data_past, { B, -ENXIO, -ENXIO, -ENXIO, B, 1, B, -ESPIPE, B } },
	{ "ftruncate", fd_ftruncate, { B, -EINVAL, 0, 0, B, -EINVAL, B, -EINVAL, B } },
	{ "ftruncate to -1",
	  fd_ftruncate_negative,
	  { -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL } },
	{ "fallocate", fd_fallocate, { B, B, 0, 0, B, B, B, -ESPIPE, B } },
	{ "fallocate of nothing", fd_fallocate_zero, { B, -EINVAL, -EINVAL, -EINVAL, B, -EINVAL, B, -EINVAL, B } },
	{ "fallocate at -1", fd_fallocate_negative, { B, -EINVAL, -EINVAL, -EINVAL, B, -EINVAL, B, -EINVAL, B } },
	{ "fallocate PUNCH_HOLE without KEEP_SIZE",
	  fd_fallocate_mode,
	  { B, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP, B, -EOPNOTSUPP, B, -EOPNOTSUPP, B } },
	{ "fsync", fd_fsync, { B, 0, 0, 0, B, 0, B, -EINVAL, B } },
	{ "fdatasync", fd_fdatasync, { B, 0, 0, 0, B, 0, B, -EINVAL, B } },
	{ "syncfs", fd_syncfs, { B, 0, 0, 0, B, 0, B, 0, B } },
	{ "sync_file_range", fd_sync_range, { B, 0, 0, 0, B, 0, B, -ESPIPE, B } },
	{ "fstat", fd_fstat, { B, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "fstatfs", fd_fstatfs, { B, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "fchmod", fd_fchmod, { B, 0, 0, 0, B, 0, B, 0, B } },
	{ "fchown", fd_fchown, { B, 0, 0, 0, B, 0, B, 0, B } },
	{ "futimens", fd_futimens, { B, 0, 0, 0, B, 0, B, 0, B } },
	{ "fchdir", fd_fchdir, { B, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, 0, 0, -ENOTDIR, -ENOTDIR } },
	{ "getdents", fd_getdents, { B, -ENOTDIR, -ENOTDIR, -ENOTDIR, B, 0, B, -ENOTDIR, B } },
	{ "fgetxattr", fd_fgetxattr, { B, 0, 0, 0, B, 0, B, 0, B } },
	{ "fsetxattr", fd_fsetxattr, { B, 0, 0, 0, B, 0, B, -EPERM, B } },
	{ "flistxattr", fd_flistxattr, { B, 0, 0, 0, B, 0, B, 0, B } },
	{ "fremovexattr", fd_fremovexattr, { B, 0, 0, 0, B, 0, B, -EPERM, B } },
	{ "mmap to read", fd_mmap_r, { B, 0, -EACCES, 0, B, -ENODEV, B, -ENODEV, B } },
	{ "mmap to write", fd_mmap_w, { B, -EACCES, -EACCES, 0, B, -EACCES, B, -ENODEV, B } },
	{ "mmap, private", fd_mmap_private, { B, 0, -EACCES, 0, B, -ENODEV, B, -ENODEV, B } },
	{ "openat", fd_openat, { B, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, 0, 0, -ENOTDIR, -ENOTDIR } },
	{ "mkdirat", fd_mkdirat, { B, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, -EEXIST, -EEXIST, -ENOTDIR, -ENOTDIR } },
	{ "unlinkat",
	  fd_unlinkat,
	  { B, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOENT, -ENOENT, -ENOTDIR, -ENOTDIR } },
	{ "renameat",
	  fd_renameat,
	  { B, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOENT, -ENOENT, -ENOTDIR, -ENOTDIR } },
	{ "fstatat of \"\"", fd_fstatat_empty, { B, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "fcntl F_GETLK", fd_flock, { B, 0, 0, 0, B, 0, B, 0, B } },
	{ "copy_file_range from", fd_copy_in, { B, 0, B, 0, B, -EISDIR, B, -EINVAL, B } },
	{ "copy_file_range to", fd_copy_out, { B, B, 0, 0, B, -EISDIR, B, -EINVAL, B } },
	{ "ioctl of nobody", fd_ioctl, { B, -ENOTTY, -ENOTTY, -ENOTTY, B, -ENOTTY, B, -ENOTTY, B } },
	{ "fadvise", fd_fadvise, { B, 0, 0, 0, B, 0, B, -ESPIPE, B } },
	{ "fadvise 99", fd_fadvise_advice, { B, -EINVAL, -EINVAL, -EINVAL, B, -EINVAL, B, -ESPIPE, B } },
};

void errno_descriptors(void)
{
	scene_make(".", NULL);
	make_file("d/x", "x");
	fds[CLOSED] = (int)must(open("f", O_RDONLY));
	fds[FILE_R] = (int)must(open("f", O_RDONLY));
	fds[FILE_W] = (int)must(open("f", O_WRONLY));
	fds[FILE_RW] = (int)must(open("f", O_RDWR));
	fds[FILE_PATH] = (int)must(open("f", O_PATH));
	fds[DIR_R] = (int)must(open("d", O_RDONLY | O_DIRECTORY));
	fds[DIR_PATH] = (int)must(open("d", O_PATH));
	fds[FIFO_RW] = (int)must(open("p", O_RDWR | O_NONBLOCK));
	fds[LINK_PATH] = (int)must(open("l", O_PATH | O_NOFOLLOW));
	must(close(fds[CLOSED]));
	for (size_t i = 0; i < N(fd_calls); i++)
		for (size_t d = 0; d < DESCRIPTORS; d++) {
			must(write(fds[FIFO_RW], "x", 1)); /* so that there is something to read */
			if (fd_calls[i].want[d] <= 0)
				expect(fd_calls[i].want[d], fd_calls[i].run(fds[d]), "%s with %s", fd_calls[i].name,
				       descriptor_names[d]);
		}
}

/* ---- limits ---- */

static void limit_file_size(rlim_t size)
{
	struct rlimit limit = { size, RLIM_INFINITY };

	must(getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = size;
	must(setrlimit(RLIMIT_FSIZE, &limit));
}

static volatile sig_atomic_t signalled;

static void on_signal(int signal)
{
	signalled = signal;
}

static void expect_limit(long want, long got, const char *what)
{
	expect(want, got, "%s beyond RLIMIT_FSIZE", what);
	expect_equal(want < 0 ? SIGXFSZ : 0, signalled, "signal of %s beyond RLIMIT_FSIZE", what);
	signalled = 0;
}

static void file_size_limit(void)
{
	int fd = (int)must(open("limited", O_RDWR | O_CREAT, 0644)), from;
	static char data[8192];

	make_file("from", "0123456789");
	from = (int)must(open("from", O_RDONLY));
	signal(SIGXFSZ, on_signal);
	limit_file_size(5000);
	expect_limit(5000, rc(pwrite(fd, data, sizeof(data), 0)), "pwrite over the end"); /* as much as fits */
	expect_limit(-EFBIG, rc(pwrite(fd, data, 1, 5000)), "pwrite");
	expect_limit(-EFBIG, rc(pwrite(fd, data, 1, 100000)), "pwrite far");
	expect_limit(0, rc(pwrite(fd, data, 0, 100000)), "pwrite of nothing");
	expect_limit(-EFBIG, rc(ftruncate(fd, 5001)), "ftruncate");
	expect_limit(-EFBIG, rc(truncate("limited", 100000)), "truncate");
	expect_limit(-EFBIG, rc(fallocate(fd, 0, 0, 5001)), "fallocate");
	expect_limit(-EFBIG, rc(copy_file_range(from, &(loff_t){ 0 }, fd, &(loff_t){ 5000 }, 10, 0)),
		     "copy_file_range");
	expect_limit(0, rc(ftruncate(fd, 5000)), "ftruncate to just");
	expect_limit(0, rc(ftruncate(fd, 100)), "ftruncate down");
	expect_equal(100, (long long)look_fd(fd).st_size, "size after all that");
	must(lseek(fd, 4990, SEEK_SET));
	expect_limit(10, rc(write(fd, data, 20)), "write over the end");
	expect_limit(-EFBIG, rc(write(fd, data, 20)), "write at the end");
	expect_limit(5, rc(pwritev(fd, (struct iovec[2]){ { data, 3 }, { data, 3 } }, 2, 4995)),
		     "pwritev over the end");
	limit_file_size(RLIM_INFINITY);
	/* a file that is larger already may be made smaller, and is not cut */
	must(ftruncate(fd, 10000));
	limit_file_size(5000);
	expect_limit(0, rc(ftruncate(fd, 9000)), "ftruncate down of a larger file");
	expect_limit(10, rc(pwrite(fd, data, 10, 0)), "pwrite into a larger file");
	limit_file_size(RLIM_INFINITY);
	signal(SIGXFSZ, SIG_DFL);
	must(close(from));
	must(close(fd));
}

/* 8 EiB - 1 is beyond what any file system of ours takes as a place to write at. */
static void largest_sizes(void)
{
	int fd = (int)must(open("large", O_RDWR | O_CREAT, 0644));

	signal(SIGXFSZ, SIG_IGN);
	expect(-EINVAL, rc(pwrite(fd, "x", 1, INT64_MAX)), "pwrite at 8 EiB - 1");
	expect(-EINVAL, rc(pwrite(fd, "x", 1, -1)), "pwrite at -1");
	expect(-EINVAL, rc(pread(fd, page, 1, -1)), "pread at -1");
	expect(-EFBIG, rc(fallocate(fd, 0, INT64_MAX, 1)), "fallocate beyond all");
	expect(-EFBIG, rc(fallocate(fd, 0, INT64_MAX - 1, INT64_MAX)), "fallocate of more than all");
	expect(-EINVAL, rc(lseek(fd, INT64_MIN, SEEK_SET)), "lseek to the smallest");
	expect(-EINVAL, rc(ftruncate(fd, INT64_MIN)), "ftruncate to the smallest");
	expect(0, rc(pread(fd, page, 1, 1000000)), "pread past the end");
	expect(0, rc(look_fd(fd).st_size), "size after all that");
	must(close(fd));
}

/* ---- other file systems, and links that may not be ---- */

static void across(void)
{
	struct stat here = look("."), there;
	char name[64];
	int fd, other;

	if (stat("/dev/shm", &there) < 0 || !S_ISDIR(there.st_mode) || there.st_dev == here.st_dev) {
		skip("/dev/shm is no file system of its own");
		return;
	}
	snprintf(name, sizeof(name), "/dev/shm/posix_suite.%ld", (long)getpid());
	make_file("f", "text");
	make_file(name, "other");
	expect(-EXDEV, done(rename("f", name)), "rename to another file system");
	expect(-EXDEV, done(rename(name, "f")), "rename from another file system");
	expect(-EXDEV, done(rename(name, "none")), "rename from another file system to a new name");
	expect(-EEXIST, done(link("f", name)), "link to a name of another file system");
	expect(-EXDEV, done(link(name, "none")), "link from another file system");
	expect(-EXDEV, done(renameat2(AT_FDCWD, "f", AT_FDCWD, name, RENAME_EXCHANGE)), "exchange with another");
	fd = (int)must(open("f", O_RDWR));
	other = (int)must(open(name, O_RDWR));
	expect_either(-EXDEV, 4, rc(copy_file_range(fd, &(loff_t){ 0 }, other, NULL, 10, 0)),
		      "copy_file_range to another");
	expect(4, rc(sendfile(other, fd, &(off_t){ 0 }, 10)), "sendfile to another");
	expect_either(-EXDEV, -EOPNOTSUPP, done(ioctl(fd, FICLONE, other)), "FICLONE from another");
	must(close(fd));
	must(close(other));
	expect_equal(4, (long long)look("f").st_size, "size of what could not be moved");
	must(unlink(name));
}

void errno_limits(void)
{
	file_size_limit();
	largest_sizes();
	across();
}

/* ---- what is in use ---- */

/* A program that runs until its input ends. */
static pid_t start(const char *path, int input)
{
	pid_t pid = fork();

	if (pid == 0) {
		dup2(input, 0);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	must(pid);
	return pid;
}

static void copy_program(const char *from, const char *to)
{
	static char buf[65536];
	int in = (int)must(open(from, O_RDONLY)), out = (int)must(open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755));

	for (ssize_t n; (n = must(read(in, buf, sizeof(buf)))) > 0;)
		must(write(out, buf, (size_t)n) == n ? 0 : -1);
	must(close(in));
	must(close(out));
}

static void wait_until_it_runs(pid_t pid, const char *path)
{
	struct stat want = look(path), st;
	char exe[64];

	snprintf(exe, sizeof(exe), "/proc/%ld/exe", (long)pid);
	do
		must(stat(exe, &st));
	while (st.st_ino != want.st_ino || st.st_dev != want.st_dev);
}

static void running_program(void)
{
	/* kernels 6.11 and 6.12 let a running program be written */
	const bool kept = opened(open("/proc/self/exe", O_WRONLY)) == -ETXTBSY;
	const long busy = kept ? -ETXTBSY : 0;
	int ends[2], status, fd;
	pid_t pid;

	copy_program("/bin/cat", "program");
	/* open for writing: it can't be started */
	fd = (int)must(open("program", O_WRONLY));
	if (kept)
		expect(-ETXTBSY, op_find("execve")->run("program"), "execve of what is open for writing");
	must(close(fd));
	must(pipe(ends));
	must(fcntl(ends[1], F_SETFD, FD_CLOEXEC));
	pid = start("./program", ends[0]);
	wait_until_it_runs(pid, "program");
	expect(busy, opened(open("program", O_WRONLY)), "open for writing of a running program");
	expect(busy, opened(open("program", O_RDWR)), "open for both of a running program");
	expect(busy, opened(open("program", O_RDONLY | O_TRUNC)), "open with O_TRUNC of a running program");
	expect(busy, opened(open("program", O_WRONLY | O_CREAT, 0755)), "open with O_CREAT of a running program");
	if (kept)
		expect(busy, done(truncate("program", 0)), "truncate of a running program");
	expect(0, opened(open("program", O_RDONLY)), "open for reading of a running program");
	expect(0, done(chmod("program", 0700)), "chmod of a running program");
	expect(0, done(link("program", "program2")), "link to a running program");
	expect(0, done(rename("program", "program3")), "rename of a running program");
	make_file("program", "new");
	expect(0, done(rename("program", "program3")), "rename over a running program");
	expect(0, done(unlink("program2")), "unlink of a running program");
	must(close(ends[1]));
	must(close(ends[0]));
	must(waitpid(pid, &status, 0) == pid ? 0 : -1);
	expect_equal(0, status, "a program that was removed while it ran");
}

/* Scripts and programs are started, from here and by their interpreter. */
static void programs_run(void)
{
	static const struct {
		const char *text;
		mode_t mode;
		int want;
	} scripts[] = {
		{ "#!/bin/sh\nexit 3\n", 0755, 3 },       { "#!/bin/sh\nexit 4\n", 0700, 4 },
		{ "#!/bin/sh\nexit 5\n", 0644, 127 },     { "#!/no/such/thing\n", 0755, 127 },
		{ "#!./program\nsurely not\n", 0755, 0 },
	};
	int null = (int)must(open("/dev/null", O_RDWR));

	wipe("program");
	copy_program("/bin/true", "program");
	for (size_t i = 0; i < N(scripts); i++) {
		int status;

		make_file("script", scripts[i].text);
		must(chmod("script", scripts[i].mode));
		must(waitpid(start("./script", null), &status, 0));
		expect_equal(scripts[i].want, WEXITSTATUS(status), "exit code of script %zu", i);
	}
	must(close(null));
}

void errno_busy(void)
{
	int here = (int)must(open(".", O_RDONLY | O_DIRECTORY));

	running_program();
	programs_run();
	/* a directory in use is not busy here */
	must(mkdir("d", 0755));
	must(chdir("d"));
	expect(0, done(rename("../d", "../e")), "rename of the working directory");
	expect(0, done(rmdir("../e")), "rmdir of the working directory");
	must(fchdir(here));
	/* nothing reads or writes */
	must(mkfifo("p", 0666));
	expect(-ENXIO, opened(open("p", O_WRONLY | O_NONBLOCK)), "open of a fifo that nobody reads");
	expect(0, opened(open("p", O_RDONLY | O_NONBLOCK)), "open of a fifo that nobody writes");
	expect(0, opened(open("p", O_RDWR | O_NONBLOCK)), "open of a fifo for both");
	must(mknod("none", S_IFCHR | 0666, makedev(255, 250)));
	expect(-ENXIO, opened(open("none", O_RDONLY)), "open of a device that is not there");
	must(mknod("noblock", S_IFBLK | 0666, makedev(255, 250)));
	expect(-ENXIO, opened(open("noblock", O_RDONLY)), "open of a block device that is not there");
	must(close(here));
}
