/* SPDX-License-Identifier: MIT */
/* What chattr(1) sets, and what it forbids. */
#include "mount_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Others than these a file system may have of its own accord. */
#define KNOWN (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

static const struct timespec explicit_times[2] = { { 1, 0 }, { 2, 0 } };

static int open_for_ioctl(const char *path)
{
	return (int)ok(open(path, O_RDONLY | O_NONBLOCK));
}

static unsigned flags_of(const char *path)
{
	int fd = open_for_ioctl(path);
	unsigned flags = 0;

	ok(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	ok(close(fd));
	return flags;
}

static int try_set(const char *path, unsigned flags)
{
	int fd = open_for_ioctl(path), r, error;

	r = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	error = errno;
	ok(close(fd));
	errno = error;
	return r;
}

static void set(const char *path, unsigned flags)
{
	ok(try_set(path, (flags_of(path) & ~(unsigned)KNOWN) | flags));
}

static void clear_below(const char *dir)
{
	DIR *d = opendir(dir);
	char path[600];

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_type == DT_DIR)
			clear_below(path);
		if (e->d_type == DT_DIR || e->d_type == DT_REG)
			(void)try_set(path, flags_of(path) & ~(unsigned)KNOWN);
	}
	closedir(d);
}

/* So that also what a failed case leaves can be removed. */
static int leave(void **state)
{
	if (geteuid() == 0) {
		set(".", 0);
		clear_below(".");
	}
	return mt_leave(state);
}

/* Where open(2) is not asked for, the write is refused. */
static void cannot_write(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | flags);

	if (fd < 0) {
		same(EPERM, errno);
		return;
	}
	fails(pwrite(fd, "x", 1, 0), EPERM);
	ok(close(fd));
}

static void kept_and_told(void **state)
{
	static const struct {
		unsigned flag, xflag;
	} all[] = {
		{ FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE },
		{ FS_APPEND_FL, FS_XFLAG_APPEND },
		{ FS_NODUMP_FL, FS_XFLAG_NODUMP },
		{ FS_NOATIME_FL, FS_XFLAG_NOATIME },
	};
	struct fsxattr xattr;
	int fd;

	(void)state;
	mt_need_root();
	mt_put("f", "x");
	ok(mkdir("d", 0755));
	same(0, flags_of("f") & KNOWN);
	same(0, flags_of("d") & KNOWN);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		set("f", all[i].flag);
		same(all[i].flag, flags_of("f") & KNOWN);
		fd = open_for_ioctl("f");
		ok(ioctl(fd, FS_IOC_FSGETXATTR, &xattr));
		same(all[i].xflag, xattr.fsx_xflags & ~(unsigned)FS_XFLAG_HASATTR);
		same(0, xattr.fsx_projid);
		/* and the other way round */
		set("f", 0);
		xattr.fsx_xflags = all[i].xflag;
		ok(ioctl(fd, FS_IOC_FSSETXATTR, &xattr));
		same(all[i].flag, flags_of("f") & KNOWN);
		ok(close(fd));
		set("f", 0);
		set("d", all[i].flag);
		same(all[i].flag, flags_of("d") & KNOWN);
		set("d", 0);
	}
	set("f", FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
	same(FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL, flags_of("f") & KNOWN);
}

static void time_of_change(void **state)
{
	struct stat before, after;

	(void)state;
	mt_need_root();
	mt_put("f", "x");
	before = mt_stat("f");
	mt_tick();
	set("f", FS_NODUMP_FL);
	after = mt_stat("f");
	check(mt_time_after(after.st_ctim, before.st_ctim));
	same(0, mt_time_after(after.st_mtim, before.st_mtim));
}

static void what_is_not_kept(void **state)
{
	struct fsxattr xattr;
	char buf[64];
	int fd;

	(void)state;
	mt_need_root();
	mt_put("f", "x");
	fails(try_set("f", flags_of("f") | FS_NOCOW_FL), EOPNOTSUPP);
	same(0, flags_of("f") & KNOWN);
	fd = open_for_ioctl("f");
	ok(ioctl(fd, FS_IOC_FSGETXATTR, &xattr));
	xattr.fsx_projid = 1234; /* without project quotas */
	fails(ioctl(fd, FS_IOC_FSSETXATTR, &xattr), EOPNOTSUPP);
	fails(ioctl(fd, _IOWR('x', 250, char[64]), buf), ENOTTY);
	ok(close(fd));
}

static void version(void **state)
{
	struct {
		int32_t version, beyond;
	} got = { -1, 0x5a5a };
	int fd;

	(void)state;
	mt_put("f", "x");
	fd = open_for_ioctl("f");
	ok(ioctl(fd, FS_IOC_GETVERSION, &got));
	same(0x5a5a, got.beyond); /* it is 32 bits, whatever the name of the call says */
	ok(close(fd));
}

static void immutable_file(void **state)
{
	int fd;

	(void)state;
	mt_need_root();
	mt_put("f", "text");
	ok(setxattr("f", "user.a", "1", 1, 0));
	mt_put("other", "o");
	fd = (int)ok(open("f", O_RDWR));
	set("f", FS_IMMUTABLE_FL);
	fails(pwrite(fd, "x", 1, 0), EPERM);
	fails(ftruncate(fd, 0), EPERM);
	fails(fallocate(fd, 0, 0, 100), EPERM);
	fails(fchmod(fd, 0600), EPERM);
	fails(futimens(fd, NULL), EPERM);
	fails(fsetxattr(fd, "user.b", "1", 1, 0), EPERM);
	ok(close(fd));
	cannot_write("f", 0);
	cannot_write("f", O_APPEND);
	fails(open("f", O_WRONLY | O_TRUNC), EPERM);
	fails(truncate("f", 1), EPERM);
	fails(truncate("f", 4), EPERM);
	fails(chmod("f", 0644), EPERM);
	fails(chown("f", 1, 1), EPERM);
	fails(utimensat(AT_FDCWD, "f", explicit_times, 0), EPERM);
	fails(setxattr("f", "user.a", "2", 1, 0), EPERM);
	fails(removexattr("f", "user.a"), EPERM);
	fails(link("f", "g"), EPERM);
	fails(unlink("f"), EPERM);
	fails(rename("f", "g"), EPERM);
	fails(rename("other", "f"), EPERM);
	fails(renameat2(AT_FDCWD, "other", AT_FDCWD, "f", RENAME_EXCHANGE), EPERM);
	fails(renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_WHITEOUT), EPERM);
	mt_holds("f", "text");
	mt_holds("other", "o");
	same(1, getxattr("f", "user.a", NULL, 0));
	/* its flags may change, but the others only together with this one */
	fails(try_set("f", flags_of("f") | FS_NODUMP_FL), EPERM);
	set("f", FS_NODUMP_FL);
	ok(truncate("f", 1));
	mt_holds("f", "t");
	ok(unlink("f"));
}

static void append_only_file(void **state)
{
	int fd;

	(void)state;
	mt_need_root();
	mt_put("f", "one ");
	mt_put("other", "o");
	set("f", FS_APPEND_FL);
	fd = (int)ok(open("f", O_WRONLY | O_APPEND));
	same(4, write(fd, "two ", 4));
	same(6, pwrite(fd, "three ", 6, 0)); /* the offset means nothing with O_APPEND */
	ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8192));
	fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1), EPERM);
	fails(ftruncate(fd, 0), EPERM);
	fails(ftruncate(fd, 100), EPERM);
	ok(close(fd));
	cannot_write("f", 0);
	fails(open("f", O_WRONLY | O_TRUNC), EPERM);
	fails(truncate("f", 100), EPERM);
	fails(chmod("f", 0644), EPERM);
	fails(chown("f", 1, 1), EPERM);
	fails(utimensat(AT_FDCWD, "f", explicit_times, 0), EPERM);
	ok(utimensat(AT_FDCWD, "f", NULL, 0));
	fails(setxattr("f", "user.a", "2", 1, 0), EPERM);
	fails(link("f", "g"), EPERM);
	fails(unlink("f"), EPERM);
	fails(rename("f", "g"), EPERM);
	fails(rename("other", "f"), EPERM);
	mt_holds("f", "one two three ");
	set("f", 0);
	mt_put("f", "new");
	ok(unlink("f"));
}

/* By several processes, as a log is written. */
static void append_lines(void *arg)
{
	int fd = (int)ok(open("log", O_WRONLY | O_APPEND));
	char line[64];

	memset(line, *(const char *)arg, sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (int i = 0; i < 200; i++)
		same(sizeof(line), write(fd, line, sizeof(line)));
	ok(close(fd));
}

static void append_only_log(void **state)
{
	char buf[64];
	pid_t pids[2];
	int fd;

	(void)state;
	mt_need_root();
	mt_put("log", "");
	set("log", FS_APPEND_FL);
	pids[0] = mt_fork(append_lines, (char[]){ "a" });
	pids[1] = mt_fork(append_lines, (char[]){ "b" });
	mt_join(pids[0]);
	mt_join(pids[1]);
	same(400 * sizeof(buf), mt_stat("log").st_size);
	fd = (int)ok(open("log", O_RDONLY));
	for (int i = 0; i < 400; i++) {
		same(sizeof(buf), read(fd, buf, sizeof(buf)));
		check((buf[0] == 'a' || buf[0] == 'b') && buf[0] == buf[62] && buf[63] == '\n');
	}
	ok(close(fd));
}

static void immutable_directory(void **state)
{
	(void)state;
	mt_need_root();
	ok(mkdir("d", 0755));
	mt_put("d/f", "x");
	mt_put("g", "x");
	ok(mkdir("d/sub", 0755));
	set("d", FS_IMMUTABLE_FL);
	fails(open("d/new", O_WRONLY | O_CREAT, 0644), EPERM);
	fails(open("d", O_TMPFILE | O_RDWR, 0644), EPERM);
	fails(mkdir("d/new", 0755), EPERM);
	fails(symlink("x", "d/new"), EPERM);
	fails(mkfifo("d/new", 0644), EPERM);
	fails(link("g", "d/new"), EPERM);
	fails(unlink("d/f"), EPERM);
	fails(rmdir("d/sub"), EPERM);
	fails(rename("d/f", "h"), EPERM);
	fails(rename("d/f", "d/h"), EPERM);
	fails(rename("g", "d/new"), EPERM);
	fails(rename("g", "d/f"), EPERM);
	fails(rename("d", "e"), EPERM);
	fails(rmdir("d"), EPERM);
	fails(chmod("d", 0700), EPERM);
	same(2, mt_count("d"));
	/* what is in it has flags of its own */
	mt_put("d/f", "more");
	ok(chmod("d/f", 0600));
	mt_put("d/sub/f", "x");
	set("d", 0);
	ok(unlink("d/f"));
}

static void append_only_directory(void **state)
{
	(void)state;
	mt_need_root();
	ok(mkdir("d", 0755));
	ok(mkdir("d/sub", 0755));
	mt_put("g", "x");
	mt_put("i", "x");
	set("d", FS_APPEND_FL);
	mt_put("d/new", "x");
	mt_put("d/new", "again");
	ok(mkdir("d/newdir", 0755));
	ok(link("d/new", "d/link"));
	ok(rename("g", "d/g"));
	fails(rename("i", "d/g"), EPERM);
	fails(unlink("d/new"), EPERM);
	fails(rmdir("d/sub"), EPERM);
	fails(rename("d/new", "h"), EPERM);
	fails(rename("d/new", "d/h"), EPERM);
	fails(renameat2(AT_FDCWD, "i", AT_FDCWD, "d/g", RENAME_EXCHANGE), EPERM);
	fails(rename("d", "e"), EPERM);
	same(5, mt_count("d"));
}

static void inherited(void **state)
{
	(void)state;
	mt_need_root();
	ok(mkdir("d", 0755));
	set("d", FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
	mt_put("d/f", "x");
	ok(mkdir("d/sub", 0755));
	same(FS_NODUMP_FL | FS_NOATIME_FL, flags_of("d/f") & KNOWN);
	same(FS_NODUMP_FL | FS_NOATIME_FL, flags_of("d/sub") & KNOWN);
	mt_put("f", "x");
	ok(rename("f", "d/moved"));
	same(0, flags_of("d/moved") & KNOWN);
	ok(link("d/f", "d/link"));
	same(FS_NODUMP_FL | FS_NOATIME_FL, flags_of("d/link") & KNOWN);
}

static void other_sets(void *arg)
{
	(void)arg;
	mt_put("mine", "x");
	set("mine", FS_NODUMP_FL);
	same(FS_NODUMP_FL, flags_of("mine") & KNOWN);
	fails(try_set("mine", flags_of("mine") | FS_IMMUTABLE_FL), EPERM);
	fails(try_set("mine", flags_of("mine") | FS_APPEND_FL), EPERM);
	fails(try_set("root", flags_of("root") | FS_NODUMP_FL), EPERM);
	fails(try_set("fixed", flags_of("fixed") & ~(unsigned)FS_IMMUTABLE_FL), EPERM);
	fails(try_set("log", flags_of("log") & ~(unsigned)FS_APPEND_FL), EPERM);
	cannot_write("log", 0);
}

static void rights(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0777));
	mt_put("root", "x");
	mt_put("fixed", "x");
	mt_put("log", "x");
	ok(chown("fixed", MT_OTHER_UID, MT_OTHER_UID));
	ok(chown("log", MT_OTHER_UID, MT_OTHER_UID));
	set("fixed", FS_IMMUTABLE_FL);
	set("log", FS_APPEND_FL);
	mt_as_other(other_sets, NULL);
	same(FS_NODUMP_FL, flags_of("mine") & KNOWN);
	mt_holds("log", "x");
}

#define FLAG_CASE(fn) cmocka_unit_test_setup_teardown(fn, mt_enter, leave)

int mt_run_flags(void)
{
	const struct CMUnitTest tests[] = {
		FLAG_CASE(kept_and_told),
		FLAG_CASE(time_of_change),
		FLAG_CASE(what_is_not_kept),
		FLAG_CASE(version),
		FLAG_CASE(immutable_file),
		FLAG_CASE(append_only_file),
		FLAG_CASE(append_only_log),
		FLAG_CASE(immutable_directory),
		FLAG_CASE(append_only_directory),
		FLAG_CASE(inherited),
		FLAG_CASE(rights),
	};

	return cmocka_run_group_tests_name("flags", tests, NULL, NULL);
}
