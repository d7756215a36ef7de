/* SPDX-License-Identifier: MIT */
/* Modes, owners, times, and that each is fresh after every operation that changes it. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void modes(void **state)
{
	int fd;

	(void)state;
	mt_put("f", "x");
	ok(mkdir("d", 0755));
	for (mode_t mode = 0; mode <= 07777; mode += 0123) {
		ok(chmod("f", mode));
		same(S_IFREG | mode, mt_stat("f").st_mode);
	}
	ok(chmod("d", 01777));
	same(S_IFDIR | 01777, mt_stat("d").st_mode);
	ok(chmod("f", 0644));
	fd = (int)ok(open("f", O_RDONLY));
	ok(fchmod(fd, 0604));
	same(0604, mt_stat("f").st_mode & 07777);
	ok(close(fd));
	ok(symlink("f", "l"));
	ok(chmod("l", 0640)); /* follows */
	same(0640, mt_stat("f").st_mode & 07777);
	fails(chmod("none", 0644), ENOENT);
}

static void owners(void **state)
{
	(void)state;
	mt_need_root();
	mt_put("f", "x");
	ok(symlink("f", "l"));
	ok(chown("f", 1234, 5678));
	same(1234, mt_stat("f").st_uid);
	same(5678, mt_stat("f").st_gid);
	ok(chown("f", (uid_t)-1, 99));
	same(1234, mt_stat("f").st_uid);
	same(99, mt_stat("f").st_gid);
	ok(lchown("l", 7, 8));
	same(7, mt_stat("l").st_uid);
	same(1234, mt_stat("f").st_uid);
	ok(chown("f", 4000000000u, 4000000001u));
	same(4000000000u, mt_stat("f").st_uid);
	same(4000000001u, mt_stat("f").st_gid);
}

static void chown_drops_set_uid(void **state)
{
	(void)state;
	mt_need_root();
	mt_put("f", "x");
	ok(chmod("f", 06755));
	ok(chown("f", MT_OTHER_UID, MT_OTHER_UID));
	same(0755, mt_stat("f").st_mode & 07777);
}

static void set_times(void **state)
{
	static const struct timespec cases[][2] = {
		{ { 1, 1 }, { 2, 999999999 } },
		{ { 1700000000, 123456789 }, { 1700000001, 987654321 } },
		{ { 4102444800, 5 }, { 4102444801, 6 } },
		{ { -100, 7 }, { -1, 999999999 } },
		{ { 0, 0 }, { 0, 0 } },
	};
	int fd;

	(void)state;
	mt_put("f", "x");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stat st;

		ok(utimensat(AT_FDCWD, "f", cases[i], 0));
		st = mt_stat("f");
		same(cases[i][0].tv_sec, st.st_atim.tv_sec);
		same(cases[i][0].tv_nsec, st.st_atim.tv_nsec);
		same(cases[i][1].tv_sec, st.st_mtim.tv_sec);
		same(cases[i][1].tv_nsec, st.st_mtim.tv_nsec);
	}
	fd = (int)ok(open("f", O_RDONLY));
	ok(futimens(fd, cases[1]));
	same(123456789, mt_fstat(fd).st_atim.tv_nsec);
	ok(close(fd));
}

static void omit_and_now(void **state)
{
	struct timespec old[2] = { { 1000, 1 }, { 2000, 2 } };
	struct timespec now[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	struct stat st;

	(void)state;
	mt_put("f", "x");
	ok(utimensat(AT_FDCWD, "f", old, 0));
	ok(utimensat(AT_FDCWD, "f", now, 0));
	st = mt_stat("f");
	same(1000, st.st_atim.tv_sec);
	check(llabs((long long)time(NULL) - st.st_mtim.tv_sec) <= 5);
	now[0].tv_nsec = UTIME_NOW;
	now[1].tv_nsec = UTIME_OMIT;
	ok(utimensat(AT_FDCWD, "f", old, 0));
	ok(utimensat(AT_FDCWD, "f", now, 0));
	st = mt_stat("f");
	check(llabs((long long)time(NULL) - st.st_atim.tv_sec) <= 5);
	same(2000, st.st_mtim.tv_sec);
}

static void times_of_a_symlink(void **state)
{
	struct timespec t[2] = { { 11, 1 }, { 22, 2 } };

	(void)state;
	mt_put("f", "x");
	ok(symlink("f", "l"));
	ok(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
	same(22, mt_stat("l").st_mtim.tv_sec);
	check(mt_stat("f").st_mtim.tv_sec != 22);
}

static const struct timespec long_ago[2] = { { 1000, 0 }, { 1000, 0 } };

static bool dir_changed(const char *dir)
{
	bool changed = mt_stat(dir).st_mtim.tv_sec != 1000;

	ok(utimensat(AT_FDCWD, dir, long_ago, 0));
	return changed;
}

static void directory_times(void **state)
{
	(void)state;
	ok(mkdir("d", 0755));
	ok(mkdir("e", 0755));
	ok(utimensat(AT_FDCWD, "d", long_ago, 0));
	ok(utimensat(AT_FDCWD, "e", long_ago, 0));
	same(1000, mt_stat("d").st_mtim.tv_sec);
	mt_put("d/f", "x");
	check(dir_changed("d"));
	mt_put("d/f", "y"); /* what is in a file does not concern its directory */
	check(!dir_changed("d"));
	ok(mkdir("d/s", 0755));
	check(dir_changed("d"));
	same(3, mt_stat("d").st_nlink);
	ok(symlink("x", "d/l"));
	check(dir_changed("d"));
	ok(link("d/f", "d/g"));
	check(dir_changed("d"));
	ok(rename("d/g", "e/g"));
	check(dir_changed("d"));
	check(dir_changed("e"));
	ok(unlink("d/l"));
	check(dir_changed("d"));
	ok(rmdir("d/s"));
	check(dir_changed("d"));
	same(2, mt_stat("d").st_nlink);
	(void)mt_count("d");
	check(!dir_changed("d"));
}

/* The file's ctime has moved since `*last`, which is brought up to date. */
static bool ctime_moved(const char *path, struct timespec *last)
{
	struct timespec now = mt_stat(path).st_ctim;
	bool moved = mt_time_after(now, *last);

	*last = now;
	mt_tick();
	return moved;
}

static void change_times(void **state)
{
	struct timespec last;

	(void)state;
	mt_put("f", "x");
	last = mt_stat("f").st_ctim;
	mt_tick();
	ok(chmod("f", 0600));
	check(ctime_moved("f", &last));
	ok(link("f", "g"));
	check(ctime_moved("f", &last));
	ok(unlink("g"));
	check(ctime_moved("f", &last));
	ok(utimensat(AT_FDCWD, "f", long_ago, 0));
	check(ctime_moved("f", &last));
	ok(truncate("f", 100));
	check(ctime_moved("f", &last));
	mt_put("f", "y");
	check(ctime_moved("f", &last));
	check(mt_stat("f").st_mtim.tv_sec != 1000);
	mt_holds("f", "y");
	check(!ctime_moved("f", &last));
}

static void write_moves_mtime(void **state)
{
	struct stat before, after;
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	for (int i = 0; i < 3; i++) {
		before = mt_fstat(fd);
		mt_tick();
		same(1, write(fd, "x", 1));
		after = mt_stat("f");
		check(mt_time_after(after.st_mtim, before.st_mtim));
		check(mt_time_after(after.st_ctim, before.st_ctim));
	}
	before = mt_fstat(fd);
	mt_tick();
	ok(ftruncate(fd, 1));
	check(mt_time_after(mt_stat("f").st_mtim, before.st_mtim));
	ok(close(fd));
}

static void set_gid_directory(void **state)
{
	(void)state;
	mt_need_root();
	ok(mkdir("d", 0755));
	ok(chown("d", 0, 4321));
	ok(chmod("d", 02775));
	mt_put("d/f", "x");
	ok(mkdir("d/s", 0755));
	ok(symlink("x", "d/l"));
	same(4321, mt_stat("d/f").st_gid);
	same(4321, mt_stat("d/s").st_gid);
	same(4321, mt_stat("d/l").st_gid);
	same(02755, mt_stat("d/s").st_mode & 07777); /* handed down to directories, */
	same(0, mt_stat("d/f").st_mode & S_ISGID);   /* not to files */
}

static void numbers_of_their_own(void **state)
{
	struct stat a, b;

	(void)state;
	mt_put("a", "x");
	mt_put("b", "x");
	a = mt_stat("a");
	b = mt_stat("b");
	check(a.st_ino != b.st_ino && a.st_ino != 0);
	same(a.st_dev, b.st_dev);
	same(a.st_ino, mt_stat("./a").st_ino);
}

int mt_run_attr(void)
{
	const struct CMUnitTest tests[] = {
		CASE(modes),
		CASE(owners),
		CASE(chown_drops_set_uid),
		CASE(set_times),
		CASE(omit_and_now),
		CASE(times_of_a_symlink),
		CASE(directory_times),
		CASE(change_times),
		CASE(write_moves_mtime),
		CASE(set_gid_directory),
		CASE(numbers_of_their_own),
	};

	return cmocka_run_group_tests_name("attributes", tests, NULL, NULL);
}
