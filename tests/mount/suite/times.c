/* SPDX-License-Identifier: MIT */
/* Which times an operation changes, and which it leaves; times that are set. */
#include "suite.h"

#include <dirent.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>

/*
 * Each operation has a directory with everything that it may need:
 *
 *	f, g   files with "0123456789"; g has a second name, e/g2
 *	d, e   directories; e has e/x, e/sub (empty) and e/g2
 *	l      a link to f
 *	p      a fifo
 *
 * and an entry in the table below for each thing that it changes; all others must not change. The names are those from
 * before, and what they stand for is followed through renames. Access times are set to the future, so that reading doesn't
 * change them (relatime): whether it does depends on how the file system is mounted.
 */
enum { A = 1, M = 2, C = 4 };

static const char *const watched[] = { ".", "f", "g", "d", "e", "e/x", "e/sub", "l", "p" };
#define WATCHED N(watched)

struct change {
	const char *path;
	unsigned times;
};

struct operation {
	const char *name;
	long (*run)(void);
	long want;
	struct change changes[5];
};

/* ---- what is done ---- */

static int opened_f(int flags)
{
	return (int)must(open("f", flags));
}

#define DO(name, expression)        \
	static long do_##name(void) \
	{                           \
		return expression;  \
	}

/* by a descriptor of f, which is closed afterwards */
#define DO_F(name, flags, expression)     \
	static long do_##name(void)       \
	{                                 \
		int fd = opened_f(flags); \
		long r = expression;      \
                                          \
		must(close(fd));          \
		return r;                 \
	}

static char big[70000];

DO(open_creat_new, opened(open("new", O_WRONLY | O_CREAT, 0644)))
DO(open_creat_old, opened(open("f", O_WRONLY | O_CREAT, 0644)))
DO(open_trunc, opened(open("f", O_WRONLY | O_TRUNC)))
DO(open_read, opened(open("f", O_RDONLY)))
DO(open_excl_old, opened(open("f", O_WRONLY | O_CREAT | O_EXCL, 0644)))
DO(mkdir, done(mkdir("new", 0755)))
DO(mkdir_old, done(mkdir("d", 0755)))
DO(mkfifo, done(mkfifo("new", 0644)))
DO(mknod, done(mknod("new", S_IFREG | 0644, 0)))
DO(device, done(mknod("new", S_IFCHR | 0644, makedev(1, 3))))
DO(symlink, done(symlink("f", "new")))
DO(link, done(link("f", "new")))
DO(link_elsewhere, done(link("f", "e/new")))
DO(link_of_link, done(link("l", "new")))
DO(link_old, done(link("f", "g")))
DO(unlink_file, done(unlink("f")))
DO(unlink_one_of_two, done(unlink("g")))
DO(unlink_deep, done(unlink("e/x")))
DO(unlink_link, done(unlink("l")))
DO(unlink_none, done(unlink("none")))
DO(unlink_dir, done(unlink("d")))
DO(rmdir_deep, done(rmdir("e/sub")))
DO(rmdir_here, done(rmdir("d")))
DO(rmdir_full, done(rmdir("e")))
DO(rename_here, done(rename("f", "new")))
DO(rename_over, done(rename("f", "g")))
DO(rename_out, done(rename("e/x", "new")))
DO(rename_in, done(rename("f", "e/new")))
DO(rename_in_over, done(rename("f", "e/x")))
DO(rename_same_inode, done(rename("g", "e/g2")))
DO(rename_itself, done(rename("f", "f")))
DO(rename_dir_here, done(rename("d", "new")))
DO(rename_dir_in, done(rename("d", "e/new")))
DO(rename_dir_over, done(rename("d", "e/sub")))
DO(rename_dir_full, done(rename("d", "e")))
DO(rename_into_itself, done(rename("e", "e/sub/new")))
DO(rename_none, done(rename("none", "f")))
DO(rename_link, done(rename("l", "e/new")))
DO(noreplace, done(renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_NOREPLACE)))
DO(exchange_here, done(renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_EXCHANGE)))
DO(exchange_elsewhere, done(renameat2(AT_FDCWD, "f", AT_FDCWD, "e/x", RENAME_EXCHANGE)))
DO(exchange_dirs, done(renameat2(AT_FDCWD, "d", AT_FDCWD, "e/sub", RENAME_EXCHANGE)))
DO(exchange_mixed, done(renameat2(AT_FDCWD, "f", AT_FDCWD, "e/sub", RENAME_EXCHANGE)))
DO(exchange_none, done(renameat2(AT_FDCWD, "f", AT_FDCWD, "none", RENAME_EXCHANGE)))
DO(chmod, done(chmod("f", 0600)))
DO(chmod_same, done(chmod("f", 0644)))
DO(chmod_dir, done(chmod("d", 0700)))
DO(chmod_by_link, done(chmod("l", 0600)))
DO(chown, done(chown("f", 61001, 61001)))
DO(chown_same, done(chown("f", 0, 0)))
DO(chown_none, done(chown("f", (uid_t)-1, (gid_t)-1)))
DO(chown_dir, done(chown("d", 61001, (gid_t)-1)))
DO(lchown, done(lchown("l", 61001, 61001)))
DO(truncate_down, done(truncate("f", 3)))
DO(truncate_up, done(truncate("f", 100000)))
DO(truncate_same, done(truncate("f", 10)))
DO(truncate_dir, done(truncate("d", 0)))
DO(truncate_fifo, done(truncate("p", 0)))
DO(truncate_negative, done(truncate("f", -1)))
DO(setxattr, done(setxattr("f", "user.a", "1", 1, 0)))
DO(setxattr_dir, done(setxattr("d", "user.a", "1", 1, 0)))
DO(setxattr_create_old, done(setxattr("f", "user.x", "1", 1, XATTR_CREATE)))
DO(setxattr_replace_none, done(setxattr("f", "user.none", "1", 1, XATTR_REPLACE)))
DO(removexattr, done(removexattr("f", "user.x")))
DO(removexattr_none, done(removexattr("f", "user.none")))
DO(getxattr, done(getxattr("f", "user.x", NULL, 0)))
DO(listxattr, done(listxattr("f", NULL, 0)))
DO(stat, (look("f"), look("d"), 0))
DO(access, done(access("f", R_OK)))
DO(readlink, done(readlink("l", big, sizeof(big))))
DO(statfs, op_find("statfs")->run("f"))
DO(chdir, op_find("chdir")->run("d"))
DO(utimens_now, done(utimensat(AT_FDCWD, "f", NULL, 0)))
DO(utimens_atime, done(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 5, 5 }, { 0, UTIME_OMIT } }, 0)))
DO(utimens_mtime, done(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 0, UTIME_OMIT }, { 5, 5 } }, 0)))
DO(utimens_omit, done(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 0, UTIME_OMIT }, { 0, UTIME_OMIT } }, 0)))
DO(utimens_dir, done(utimensat(AT_FDCWD, "d", NULL, 0)))
DO(utimens_fifo, done(utimensat(AT_FDCWD, "p", NULL, 0)))
DO(utimens_link, done(utimensat(AT_FDCWD, "l", NULL, AT_SYMLINK_NOFOLLOW)))
DO(utimens_bad, done(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 5, -5 }, { 5, 5 } }, 0)))

DO_F(write, O_WRONLY, done(write(fd, "x", 1)))
DO_F(write_none, O_WRONLY, done(write(fd, "x", 0)))
DO_F(write_append, O_WRONLY | O_APPEND, done(write(fd, "x", 1)))
DO_F(write_large, O_WRONLY, done(write(fd, big, sizeof(big))))
DO_F(write_sync, O_WRONLY | O_SYNC, done(write(fd, "x", 1)))
DO_F(write_read_only, O_RDONLY, done(write(fd, "x", 1)))
DO_F(pwrite_hole, O_WRONLY, done(pwrite(fd, "x", 1, 100000)))
DO_F(writev, O_WRONLY, done(writev(fd, &(struct iovec){ big, 5 }, 1)))
DO_F(ftruncate_down, O_WRONLY, done(ftruncate(fd, 3)))
DO_F(ftruncate_up, O_WRONLY, done(ftruncate(fd, 100000)))
DO_F(ftruncate_same, O_WRONLY, done(ftruncate(fd, 10)))
DO_F(fallocate, O_WRONLY, done(fallocate(fd, 0, 0, 100000)))
DO_F(fallocate_keep, O_WRONLY, done(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000)))
DO_F(punch_hole, O_WRONLY, done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5)))
DO_F(zero_range, O_WRONLY, done(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 5)))
DO_F(fchmod, O_RDONLY, done(fchmod(fd, 0600)))
DO_F(fchown, O_RDONLY, done(fchown(fd, 61001, 61001)))
DO_F(fsetxattr, O_RDONLY, done(fsetxattr(fd, "user.a", "1", 1, 0)))
DO_F(fsync, O_WRONLY, done(fsync(fd)))
DO_F(fsync_written, O_WRONLY, (must(write(fd, "x", 1)), done(fsync(fd))))
DO_F(seek, O_WRONLY, done(lseek(fd, 1000, SEEK_SET)))
DO_F(copy_to_itself, O_RDWR, done(copy_file_range(fd, &(loff_t){ 0 }, fd, &(loff_t){ 20 }, 5, 0)))
DO_F(linkat_fd, O_RDONLY, done(linkat(fd, "", AT_FDCWD, "new", AT_EMPTY_PATH)))

static long do_copy_from_g(void)
{
	int from = (int)must(open("g", O_RDONLY)), to = opened_f(O_WRONLY);
	long r = done(copy_file_range(from, NULL, to, NULL, 5, 0));

	must(close(from));
	must(close(to));
	return r;
}

static long do_bind(void)
{
	return op_find("bind")->run("new");
}

static long do_mmap_write(void)
{
	int fd = opened_f(O_RDWR);
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(at == MAP_FAILED ? -1 : 0);
	at[3] = 'm';
	must(msync(at, 4096, MS_SYNC));
	must(munmap(at, 4096));
	must(close(fd));
	return 0;
}

static long do_mmap_private(void)
{
	int fd = opened_f(O_RDWR);
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	must(at == MAP_FAILED ? -1 : 0);
	at[3] = 'm';
	must(msync(at, 4096, MS_SYNC));
	must(munmap(at, 4096));
	must(close(fd));
	return 0;
}

static long do_foreign_chmod(void)
{
	long r;

	be(ANN);
	r = done(chmod("f", 0777));
	be(ROOT);
	return r;
}

static long do_foreign_create(void)
{
	long r;

	must(chmod(".", 0755));
	be(ANN);
	r = opened(open("new", O_WRONLY | O_CREAT, 0644));
	be(ROOT);
	return r;
}

static long do_foreign_utimens(void)
{
	long r;

	be(ANN);
	r = done(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 5, 5 }, { 5, 5 } }, 0));
	be(ROOT);
	return r;
}

#define OP0(name, want)                 \
	{                               \
#name, do_##name, want, \
		{                       \
			{               \
				NULL, 0 \
			}               \
		}                       \
	}
#define OP1(name, p, t)              \
	{                            \
#name, do_##name, 0, \
		{                    \
			{            \
				p, t \
			}            \
		}                    \
	}
#define OP2(name, p, t, p2, t2)        \
	{                              \
#name, do_##name, 0,   \
		{                      \
			{ p, t },      \
			{              \
				p2, t2 \
			}              \
		}                      \
	}
#define OP3(name, p, t, p2, t2, p3, t3)       \
	{                                     \
#name, do_##name, 0,          \
		{                             \
			{ p, t }, { p2, t2 }, \
			{                     \
				p3, t3        \
			}                     \
		}                             \
	}
#define OP4(name, p, t, p2, t2, p3, t3, p4, t4)           \
	{                                                 \
#name, do_##name, 0,                      \
		{                                         \
			{ p, t }, { p2, t2 }, { p3, t3 }, \
			{                                 \
				p4, t4                    \
			}                                 \
		}                                         \
	}

static const struct operation changing[] = {
	OP1(open_creat_new, ".", M | C),
	OP0(open_creat_old, 0),
	OP1(open_trunc, "f", M | C),
	OP0(open_read, 0),
	OP1(mkdir, ".", M | C),
	OP1(mkfifo, ".", M | C),
	OP1(mknod, ".", M | C),
	OP1(device, ".", M | C),
	OP1(symlink, ".", M | C),
	OP1(bind, ".", M | C),
	OP2(link, ".", M | C, "f", C),
	OP2(link_elsewhere, "e", M | C, "f", C),
	OP2(link_of_link, ".", M | C, "l", C),
	OP2(linkat_fd, ".", M | C, "f", C),
	OP2(unlink_file, ".", M | C, "f", C),
	OP2(unlink_one_of_two, ".", M | C, "g", C),
	OP2(unlink_deep, "e", M | C, "e/x", C),
	OP2(unlink_link, ".", M | C, "l", C),
	OP2(rmdir_deep, "e", M | C, "e/sub", C),
	OP2(rmdir_here, ".", M | C, "d", C),
	OP2(rename_here, ".", M | C, "f", C),
	OP3(rename_over, ".", M | C, "f", C, "g", C),
	OP3(rename_out, ".", M | C, "e", M | C, "e/x", C),
	OP3(rename_in, ".", M | C, "e", M | C, "f", C),
	OP4(rename_in_over, ".", M | C, "e", M | C, "f", C, "e/x", C),
	OP0(rename_same_inode, 0),
	OP0(rename_itself, 0),
	OP2(rename_dir_here, ".", M | C, "d", C),
	OP3(rename_dir_in, ".", M | C, "e", M | C, "d", C),
	OP4(rename_dir_over, ".", M | C, "e", M | C, "d", C, "e/sub", C),
	OP3(rename_link, ".", M | C, "e", M | C, "l", C),
	OP3(exchange_here, ".", M | C, "f", C, "g", C),
	OP4(exchange_elsewhere, ".", M | C, "e", M | C, "f", C, "e/x", C),
	OP4(exchange_dirs, ".", M | C, "e", M | C, "d", C, "e/sub", C),
	OP4(exchange_mixed, ".", M | C, "e", M | C, "f", C, "e/sub", C),
	OP1(chmod, "f", C),
	OP1(chmod_same, "f", C),
	OP1(chmod_dir, "d", C),
	OP1(chmod_by_link, "f", C),
	OP1(fchmod, "f", C),
	OP1(chown, "f", C),
	OP1(chown_same, "f", C),
	OP1(chown_none, "f", C),
	OP1(chown_dir, "d", C),
	OP1(lchown, "l", C),
	OP1(fchown, "f", C),
	OP1(truncate_down, "f", M | C),
	OP1(truncate_up, "f", M | C),
	OP1(truncate_same, "f", M | C),
	OP1(ftruncate_down, "f", M | C),
	OP1(ftruncate_up, "f", M | C),
	OP1(ftruncate_same, "f", M | C),
	OP1(setxattr, "f", C),
	OP1(setxattr_dir, "d", C),
	OP1(fsetxattr, "f", C),
	OP1(removexattr, "f", C),
	OP0(getxattr, 0),
	OP0(listxattr, 0),
	OP0(stat, 0),
	OP0(access, 0),
	OP0(readlink, 0),
	OP0(statfs, 0),
	OP0(chdir, 0),
	OP0(fsync, 0),
	OP0(seek, 0),
	OP1(utimens_now, "f", A | M | C),
	OP1(utimens_atime, "f", A | C),
	OP1(utimens_mtime, "f", M | C),
	OP0(utimens_omit, 0),
	OP1(utimens_dir, "d", A | M | C),
	OP1(utimens_fifo, "p", A | M | C),
	OP1(utimens_link, "l", A | M | C),
	OP1(write, "f", M | C),
	OP0(write_none, 0),
	OP1(write_append, "f", M | C),
	OP1(write_large, "f", M | C),
	OP1(write_sync, "f", M | C),
	OP1(pwrite_hole, "f", M | C),
	OP1(writev, "f", M | C),
	OP1(fsync_written, "f", M | C),
	OP1(fallocate, "f", M | C),
	OP1(fallocate_keep, "f", M | C),
	OP1(punch_hole, "f", M | C),
	OP1(zero_range, "f", M | C),
	OP1(copy_from_g, "f", M | C),
	OP1(copy_to_itself, "f", M | C),
	OP1(mmap_write, "f", M | C),
	OP0(mmap_private, 0),
};

static const struct operation failing[] = {
	OP0(open_excl_old, -EEXIST),
	OP0(mkdir_old, -EEXIST),
	OP0(link_old, -EEXIST),
	OP0(unlink_none, -ENOENT),
	OP0(unlink_dir, -EISDIR),
	OP0(rmdir_full, -ENOTEMPTY),
	OP0(rename_dir_full, -ENOTEMPTY),
	OP0(rename_into_itself, -EINVAL),
	OP0(rename_none, -ENOENT),
	OP0(noreplace, -EEXIST),
	OP0(exchange_none, -ENOENT),
	OP0(truncate_dir, -EISDIR),
	OP0(truncate_fifo, -EINVAL),
	OP0(truncate_negative, -EINVAL),
	OP0(setxattr_create_old, -EEXIST),
	OP0(setxattr_replace_none, -ENODATA),
	OP0(removexattr_none, -ENODATA),
	OP0(utimens_bad, -EINVAL),
	OP0(write_read_only, -EBADF),
	OP0(foreign_chmod, -EPERM),
	OP0(foreign_utimens, -EPERM),
};

/* ---- before and after ---- */

static void prepare(void)
{
	static const struct timespec old[2] = { { 4000000000, 111111111 }, { 1000000000, 222222222 } };

	make_file("f", "0123456789");
	must(setxattr("f", "user.x", "1", 1, 0));
	make_file("g", "0123456789");
	make(DIR_, "d", NULL);
	make(DIR_, "e", NULL);
	make_file("e/x", "0123456789");
	make(DIR_, "e/sub", NULL);
	must(link("g", "e/g2"));
	must(symlink("f", "l"));
	make(FIFO_, "p", NULL);
	for (size_t i = 0; i < WATCHED; i++)
		must(utimensat(AT_FDCWD, watched[i], old, AT_SYMLINK_NOFOLLOW));
}

/* Descriptors hold what is watched, under whatever name it is then, or none. */
struct watch {
	int fd[WATCHED];
	struct stat before[WATCHED];
};

static void watch_start(struct watch *w)
{
	for (size_t i = 0; i < WATCHED; i++) {
		w->fd[i] = (int)must(open(watched[i], O_PATH | O_NOFOLLOW));
		w->before[i] = look_fd(w->fd[i]);
	}
}

static unsigned wanted_times(const struct operation *op, const char *path)
{
	for (size_t i = 0; i < N(op->changes) && op->changes[i].path; i++)
		if (strcmp(op->changes[i].path, path) == 0)
			return op->changes[i].times;
	return 0;
}

static bool differs(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec;
}

static void compare_time(const struct operation *op, const char *path, const char *which, bool want,
			 struct timespec from, struct timespec to)
{
	expect_true(differs(from, to) == want, "%s of %s %s by %s (%lld.%09ld, %lld.%09ld)", which, path,
		    want ? "changes" : "stays", op->name, (long long)from.tv_sec, from.tv_nsec, (long long)to.tv_sec,
		    to.tv_nsec);
}

static void compare(const struct operation *op, const struct watch *w)
{
	for (size_t i = 0; i < WATCHED; i++) {
		const struct stat *before = &w->before[i], after = look_fd(w->fd[i]);
		const unsigned want = wanted_times(op, watched[i]);

		must(close(w->fd[i]));
		compare_time(op, watched[i], "atime", want & A, before->st_atim, after.st_atim);
		compare_time(op, watched[i], "mtime", want & M, before->st_mtim, after.st_mtim);
		compare_time(op, watched[i], "ctime", want & C, before->st_ctim, after.st_ctim);
	}
}

/* What an operation makes has all of its times from now, and what it changes has one time. */
static void compare_new(const struct operation *op, struct timespec from)
{
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	if (lstat("new", &st) < 0 || strncmp(op->name, "rename", 6) == 0 || strncmp(op->name, "link", 4) == 0)
		return;
	expect_true(st.st_mtim.tv_sec == st.st_ctim.tv_sec && st.st_mtim.tv_nsec == st.st_ctim.tv_nsec,
		    "mtime and ctime of what %s makes are one", op->name);
	expect_true(st.st_atim.tv_sec == st.st_ctim.tv_sec && st.st_atim.tv_nsec == st.st_ctim.tv_nsec,
		    "atime and ctime of what %s makes are one", op->name);
	expect_true(st.st_ctim.tv_sec > from.tv_sec ||
			    (st.st_ctim.tv_sec == from.tv_sec && st.st_ctim.tv_nsec >= from.tv_nsec),
		    "what %s makes is not older than its making", op->name);
	expect_true(st.st_ctim.tv_sec < now.tv_sec ||
			    (st.st_ctim.tv_sec == now.tv_sec && st.st_ctim.tv_nsec <= now.tv_nsec),
		    "what %s makes is not from the future", op->name);
}

static void run_operations(const struct operation *operations, size_t n)
{
	struct watch *watches = calloc(n, sizeof(*watches));
	struct timespec from;
	int here = (int)must(open(".", O_PATH));

	must(watches ? 0 : -1);
	for (size_t i = 0; i < n; i++) {
		must(mkdir(operations[i].name, 0755));
		must(chdir(operations[i].name));
		prepare();
		must(fchdir(here));
	}
	for (size_t i = 0; i < n; i++) {
		must(chdir(operations[i].name));
		watch_start(&watches[i]);
		must(fchdir(here));
	}
	tick();
	clock_gettime(CLOCK_REALTIME_COARSE, &from);
	for (size_t i = 0; i < n; i++) {
		must(chdir(operations[i].name));
		expect(operations[i].want, operations[i].run(), "%s", operations[i].name);
		compare_new(&operations[i], from);
		must(fchdir(here));
	}
	for (size_t i = 0; i < n; i++)
		compare(&operations[i], &watches[i]);
	must(close(here));
	free(watches);
}

void times_changed(void)
{
	run_operations(changing, N(changing));
}

void times_kept(void)
{
	long r;

	run_operations(failing, N(failing));
	/* the directory's mode is changed before: not in the table */
	prepare();
	r = do_foreign_create();
	expect(-EACCES, r, "create in a directory of another");
	expect_equal(1000000000, (long long)look(".").st_mtim.tv_sec,
		     "mtime of a directory after a create that failed");
}

/* ---- times that are set ---- */

static const struct timespec values[] = {
	{ 0, 0 },
	{ 0, 1 },
	{ 0, 999999999 },
	{ 1, 123456789 },
	{ -1, 0 },
	{ -1, 999999999 },
	{ -86400, 500000000 },
	{ INT32_MIN, 0 }, /* 1901 */
	{ INT32_MIN + 1L, 1 },
	{ INT32_MAX, 999999999 }, /* 2038 */
	{ INT32_MAX + 1L, 0 },
	{ UINT32_MAX, 999999999 }, /* 2106 */
	{ UINT32_MAX + 1L, 1 },
	{ 1700000000, 1 },
	{ 1700000000, 100 },
	{ 1700000000, 999999999 },
	{ 15032385534, 999999999 }, /* 2446, the last second of ext4 but one */
	{ 15032385535, 0 },
};

static void set_and_look(const char *path, struct timespec atime, struct timespec mtime, bool follow)
{
	const struct timespec t[2] = { atime, mtime };
	struct statx stx;
	struct stat st;

	expect(0, done(utimensat(AT_FDCWD, path, t, follow ? 0 : AT_SYMLINK_NOFOLLOW)), "utimensat of %s", path);
	must(fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW));
	expect_true(!differs(st.st_atim, atime), "atime %lld.%09ld of %s is kept, and not as %lld.%09ld",
		    (long long)atime.tv_sec, atime.tv_nsec, path, (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec);
	expect_true(!differs(st.st_mtim, mtime), "mtime %lld.%09ld of %s is kept, and not as %lld.%09ld",
		    (long long)mtime.tv_sec, mtime.tv_nsec, path, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	must(statx(AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx));
	expect_true(stx.stx_atime.tv_sec == atime.tv_sec && stx.stx_atime.tv_nsec == (uint32_t)atime.tv_nsec &&
			    stx.stx_mtime.tv_sec == mtime.tv_sec && stx.stx_mtime.tv_nsec == (uint32_t)mtime.tv_nsec,
		    "statx and stat agree of %s", path);
}

/* All values of files, each file's own, with the directory forgotten in between: they come from the file system again. */
static void set_many(void)
{
	char name[32];

	for (size_t i = 0; i < N(values); i++) {
		snprintf(name, sizeof(name), "many%zu", i);
		make_file(name, "x");
		must(utimensat(AT_FDCWD, name, (struct timespec[2]){ values[i], values[N(values) - 1 - i] }, 0));
	}
	int fd = (int)must(open(".", O_RDONLY));

	must(syncfs(fd));
	must(close(fd));
	for (size_t i = 0; i < N(values); i++) {
		struct stat st;

		snprintf(name, sizeof(name), "many%zu", i);
		st = look(name);
		expect_true(!differs(st.st_atim, values[i]) && !differs(st.st_mtim, values[N(values) - 1 - i]),
			    "times %zu are kept", i);
	}
}

void times_set(void)
{
	static const char *const paths[] = { "f", "d", "p", "s", "l" };
	static const struct {
		long nsec;
		long want;
	} bad[] = {
		{ 1000000000, -EINVAL },    { -1, -EINVAL },  { INT64_MAX, -EINVAL }, { UTIME_OMIT - 1, -EINVAL },
		{ UTIME_NOW + 1, -EINVAL }, { 999999999, 0 },
	};
	struct stat before, after;

	scene_make(".", NULL);
	for (size_t p = 0; p < N(paths); p++)
		for (size_t i = 0; i < N(values); i++)
			set_and_look(paths[p], values[i], values[(i + 5) % N(values)], false);
	set_and_look("l", values[3], values[4], true);
	expect_true(!differs(look("f").st_atim, values[3]), "utimensat followed the link");
	set_many();
	/* left out, and now */
	for (size_t p = 0; p < N(paths); p++) {
		set_and_look(paths[p], values[3], values[13], false);
		must(utimensat(AT_FDCWD, paths[p], (struct timespec[2]){ { 9, UTIME_OMIT }, { 7, 7 } },
			       AT_SYMLINK_NOFOLLOW));
		expect_true(!differs(look(paths[p]).st_atim, values[3]), "atime of %s is left out", paths[p]);
		must(utimensat(AT_FDCWD, paths[p], (struct timespec[2]){ { 8, 8 }, { 9, UTIME_OMIT } },
			       AT_SYMLINK_NOFOLLOW));
		expect_true(look(paths[p]).st_mtim.tv_sec == 7, "mtime of %s is left out", paths[p]);
		before = look(paths[p]);
		must(utimensat(AT_FDCWD, paths[p], (struct timespec[2]){ { 9, UTIME_NOW }, { 9, UTIME_NOW } },
			       AT_SYMLINK_NOFOLLOW));
		after = look(paths[p]);
		expect_true(after.st_atim.tv_sec - before.st_ctim.tv_sec < 100 && after.st_atim.tv_sec > 1700000000,
			    "atime of %s is now", paths[p]);
		expect_true(!differs(after.st_atim, after.st_mtim), "both times of %s are one now", paths[p]);
	}
	for (size_t i = 0; i < N(bad); i++) {
		long nsec = bad[i].nsec, want = bad[i].want;

		expect(want, done(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 1, nsec }, { 1, 1 } }, 0)),
		       "utimensat with %ld ns of atime", nsec);
		expect(want, done(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 1, 1 }, { 1, nsec } }, 0)),
		       "utimensat with %ld ns of mtime", nsec);
	}
	expect(-EINVAL, done(utimensat(AT_FDCWD, "f", NULL, 0x8000)), "utimensat with a flag of nobody");
	/* the end of a year's file: by name, by descriptor and through an open file that was removed */
	int fd = (int)must(open("f", O_RDWR));

	must(unlink("f"));
	expect(0, done(futimens(fd, (struct timespec[2]){ values[7], values[11] })), "futimens of a removed file");
	expect_true(!differs(look_fd(fd).st_atim, values[7]) && !differs(look_fd(fd).st_mtim, values[11]),
		    "times of a removed file");
	must(close(fd));
}
