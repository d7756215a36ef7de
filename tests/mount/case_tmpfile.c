/* SPDX-License-Identifier: MIT */
/* Files without a name, and the time of birth. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int nameless(const char *dir, int flags, mode_t mode)
{
	return (int)ok(open(dir, O_TMPFILE | flags, mode));
}

/* linkat(2) by way of /proc, which needs no rights. */
static int give_name(int fd, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static void gets_a_name(void **state)
{
	int fd = nameless(".", O_RDWR, 0644);
	struct stat st = mt_fstat(fd);

	(void)state;
	check(S_ISREG(st.st_mode));
	same(0, st.st_nlink);
	same(0, st.st_size);
	same(geteuid(), st.st_uid);
	same(4, write(fd, "anon", 4));
	same(4, mt_fstat(fd).st_size);
	same(0, mt_count("."));
	ok(give_name(fd, "named"));
	same(1, mt_fstat(fd).st_nlink);
	same(st.st_ino, mt_stat("named").st_ino);
	fails(give_name(fd, "named"), EEXIST);
	ok(give_name(fd, "again"));
	same(2, mt_fstat(fd).st_nlink);
	ok(close(fd));
	mt_holds("named", "anon");
	ok(unlink("named"));
	mt_holds("again", "anon");
	same(1, mt_stat("again").st_nlink);
	same(1, mt_count("."));
}

static void by_empty_path(void **state)
{
	int fd = nameless(".", O_WRONLY, 0600);

	(void)state;
	mt_need_root(); /* CAP_DAC_READ_SEARCH */
	same(1, write(fd, "x", 1));
	ok(linkat(fd, "", AT_FDCWD, "named", AT_EMPTY_PATH));
	ok(close(fd));
	mt_holds("named", "x");
	same(0600, mt_stat("named").st_mode & 07777);
}

static void goes_with_its_last_handle(void **state)
{
	int fd = nameless(".", O_RDWR, 0644), again;
	char path[64], buf[4];

	(void)state;
	same(3, write(fd, "one", 3));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = (int)ok(open(path, O_RDWR));
	ok(close(fd));
	same(3, read(again, buf, sizeof(buf)));
	same(3, write(again, "two", 3));
	same(6, mt_fstat(again).st_size);
	ok(close(again));
	same(0, mt_count("."));
	fails(open(path, O_RDWR), ENOENT);
}

static void exclusive_stays_nameless(void **state)
{
	int fd = nameless(".", O_RDWR | O_EXCL, 0644);

	(void)state;
	fails(give_name(fd, "named"), ENOENT);
	ok(close(fd));
	check(!mt_exists("named"));
}

static void what_open_refuses(void **state)
{
	(void)state;
	mt_put("file", "x");
	fails(open(".", O_TMPFILE | O_RDONLY, 0644), EINVAL);
	fails(open("none", O_TMPFILE | O_RDWR, 0644), ENOENT);
	fails(open("file", O_TMPFILE | O_RDWR, 0644), ENOTDIR);
}

static void mode_and_umask(void **state)
{
	int fd;

	(void)state;
	umask(027);
	fd = nameless(".", O_RDWR, 0666);
	same(0640, mt_fstat(fd).st_mode & 07777);
	ok(close(fd));
	umask(0);
	fd = nameless(".", O_RDWR, 0604);
	same(0604, mt_fstat(fd).st_mode & 07777);
	ok(fchmod(fd, 0711));
	ok(fsetxattr(fd, "user.a", "1", 1, 0));
	ok(give_name(fd, "named"));
	ok(close(fd));
	same(0711, mt_stat("named").st_mode & 07777);
	same(1, getxattr("named", "user.a", NULL, 0));
}

static void group_of_set_gid_directory(void **state)
{
	int fd;

	(void)state;
	mt_need_root();
	ok(mkdir("d", 0755));
	ok(chown("d", 0, MT_OTHER_UID));
	ok(chmod("d", 02755));
	fd = nameless("d", O_RDWR, 0644);
	same(MT_OTHER_UID, mt_fstat(fd).st_gid);
	same(0, mt_fstat(fd).st_uid);
	same(0644, mt_fstat(fd).st_mode & 07777);
	ok(close(fd));
}

static void other_makes_one(void *arg)
{
	int fd;

	(void)arg;
	fails(open("closed", O_TMPFILE | O_RDWR, 0644), EACCES);
	fd = nameless("free", O_RDWR, 02755);
	same(MT_OTHER_UID, mt_fstat(fd).st_uid);
	same(0, mt_fstat(fd).st_gid);
	/* set-gid falls for a group that one isn't in, as in open(2) with O_CREAT */
	same(0755, mt_fstat(fd).st_mode & 07777);
	ok(give_name(fd, "free/named"));
	fails(give_name(fd, "closed/named"), EACCES);
	ok(close(fd));
}

static void rights(void **state)
{
	(void)state;
	mt_need_root();
	ok(mkdir("closed", 0755));
	ok(mkdir("free", 0755));
	ok(chmod("free", 02777));
	mt_as_other(other_makes_one, NULL);
	same(MT_OTHER_UID, mt_stat("free/named").st_uid);
}

/* The directory gets an entry only when the file gets a name. */
static void times_of_the_directory(void **state)
{
	struct stat before, after;
	int fd;

	(void)state;
	before = mt_stat(".");
	mt_tick();
	fd = nameless(".", O_RDWR, 0644);
	after = mt_stat(".");
	same(0, mt_time_after(after.st_mtim, before.st_mtim));
	ok(give_name(fd, "named"));
	check(mt_time_after(mt_stat(".").st_mtim, before.st_mtim));
	check(mt_time_after(mt_fstat(fd).st_ctim, before.st_mtim));
	ok(close(fd));
}

static void many_at_once(void **state)
{
	enum { COUNT = 300 };
	char name[16], text[16];
	int fds[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		fds[i] = nameless(".", O_RDWR, 0644);
		snprintf(text, sizeof(text), "%d", i);
		same(strlen(text), write(fds[i], text, strlen(text)));
	}
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		if (i % 2)
			ok(give_name(fds[i], name));
		ok(close(fds[i]));
	}
	same(COUNT / 2, mt_count("."));
	for (int i = 1; i < COUNT; i += 2) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(text, sizeof(text), "%d", i);
		mt_holds(name, text);
	}
}

static struct statx birth_of(const char *path)
{
	struct statx stx;

	memset(&stx, 0, sizeof(stx));
	ok(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &stx));
	check(stx.stx_mask & STATX_BTIME);
	return stx;
}

static bool same_birth(const struct statx *a, const struct statx *b)
{
	return a->stx_btime.tv_sec == b->stx_btime.tv_sec && a->stx_btime.tv_nsec == b->stx_btime.tv_nsec;
}

static void birth_stays(void **state)
{
	static const struct timespec t[2] = { { 1, 2 }, { 3, 4 } };
	struct timespec now, birth;
	struct statx first, later;

	(void)state;
	ok(clock_gettime(CLOCK_REALTIME_COARSE, &now));
	mt_put("f", "x");
	first = birth_of("f");
	birth = (struct timespec){ first.stx_btime.tv_sec, first.stx_btime.tv_nsec };
	check(!mt_time_after(now, birth));
	check(birth.tv_sec <= now.tv_sec + 60);
	mt_tick();
	mt_put("f", "longer");
	ok(chmod("f", 0600));
	ok(utimensat(AT_FDCWD, "f", t, 0));
	ok(link("f", "g"));
	ok(rename("f", "h"));
	ok(unlink("g"));
	later = birth_of("h");
	check(same_birth(&first, &later));
	same(3, later.stx_mtime.tv_sec);
	same(4, later.stx_mtime.tv_nsec);
	same(6, later.stx_size);
	mt_tick();
	mt_put("f", "x");
	later = birth_of("f");
	check(!same_birth(&first, &later));
}

static void birth_of_all_types(void **state)
{
	static const char *const names[] = { "d", "l", "p", "f" };
	struct statx stx;
	struct stat st;

	(void)state;
	ok(mkdir("d", 0755));
	ok(symlink("target", "l"));
	ok(mkfifo("p", 0644));
	mt_put("f", "12345");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		stx = birth_of(names[i]);
		st = mt_stat(names[i]);
		check(stx.stx_btime.tv_sec > 0);
		same(st.st_mode, stx.stx_mode);
		same(st.st_ino, stx.stx_ino);
		same(st.st_nlink, stx.stx_nlink);
		same(st.st_size, stx.stx_size);
		same(st.st_blocks, stx.stx_blocks);
		same(st.st_blksize, stx.stx_blksize);
		same(st.st_uid, stx.stx_uid);
		same(st.st_gid, stx.stx_gid);
		same(st.st_mtim.tv_nsec, stx.stx_mtime.tv_nsec);
		same(st.st_ctim.tv_nsec, stx.stx_ctime.tv_nsec);
	}
}

/* Numbers of devices on their way through the time of birth. */
static void birth_of_device(void **state)
{
	struct statx stx;

	(void)state;
	mt_need_root();
	ok(mknod("c", S_IFCHR | 0600, makedev(300, 70000)));
	stx = birth_of("c");
	same(300, stx.stx_rdev_major);
	same(70000, stx.stx_rdev_minor);
	same(makedev(300, 70000), mt_stat("c").st_rdev);
}

int mt_run_tmpfile(void)
{
	const struct CMUnitTest tests[] = {
		CASE(gets_a_name),
		CASE(by_empty_path),
		CASE(goes_with_its_last_handle),
		CASE(exclusive_stays_nameless),
		CASE(what_open_refuses),
		CASE(mode_and_umask),
		CASE(group_of_set_gid_directory),
		CASE(rights),
		CASE(times_of_the_directory),
		CASE(many_at_once),
		CASE(birth_stays),
		CASE(birth_of_all_types),
		CASE(birth_of_device),
	};

	return cmocka_run_group_tests_name("tmpfile", tests, NULL, NULL);
}
