/* SPDX-License-Identifier: MIT */
/* Reading and times of access, as with relatime, which is the kernel's default. */
#include "mount_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define DAY (24 * 3600)

/* Reads what the page cache doesn't have: a file system may not be asked for what it has. */
static void read_cold(const char *path, int flags)
{
	int fd = (int)ok(open(path, O_RDONLY | flags));
	char c;

	ok(fdatasync(fd));
	same(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	same(1, read(fd, &c, 1));
	ok(close(fd));
}

/* Seconds before now. */
static void set_times(const char *path, time_t atime, time_t mtime)
{
	struct timespec now, t[2];

	ok(clock_gettime(CLOCK_REALTIME, &now));
	t[0] = (struct timespec){ now.tv_sec - atime, 1 };
	t[1] = (struct timespec){ now.tv_sec - mtime, 1 };
	ok(utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW));
}

static bool moved(const char *path, const struct stat *before)
{
	struct stat after = mt_stat(path);

	same(before->st_mtim.tv_sec, after.st_mtim.tv_sec);
	same(before->st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	same(before->st_ctim.tv_sec, after.st_ctim.tv_sec);
	same(before->st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	return mt_time_after(after.st_atim, before->st_atim);
}

static void files(void **state)
{
	struct stat st;

	(void)state;
	mt_put("f", "text");
	st = mt_stat("f");
	mt_tick();
	read_cold("f", 0);
	check(moved("f", &st));
	st = mt_stat("f");
	mt_tick();
	read_cold("f", 0); /* newer than the last change */
	check(!moved("f", &st));
	mt_tick();
	ok(chmod("f", 0600));
	st = mt_stat("f");
	mt_tick();
	read_cold("f", 0);
	check(moved("f", &st));
	mt_tick();
	mt_put("f", "other");
	st = mt_stat("f");
	mt_tick();
	read_cold("f", 0);
	check(moved("f", &st));
}

/* Times may lie in the past, that of the change (ctime) may not. */
static void set_by_hand(void **state)
{
	static const struct timespec future = { 4000000000, 5 };
	struct timespec t[2] = { future, { 1, 2 } };
	struct stat st;

	(void)state;
	mt_put("f", "x");
	set_times("f", 2 * DAY, 3 * DAY);
	st = mt_stat("f");
	read_cold("f", 0);
	check(moved("f", &st));
	ok(utimensat(AT_FDCWD, "f", t, 0));
	st = mt_stat("f");
	read_cold("f", 0); /* newer than all */
	check(!moved("f", &st));
	same(future.tv_sec, mt_stat("f").st_atim.tv_sec);
	/* what was set last is what there is */
	mt_tick();
	mt_put("f", "y");
	t[0] = (struct timespec){ 10, 20 };
	ok(utimensat(AT_FDCWD, "f", t, 0));
	read_cold("f", 0);
	check(mt_stat("f").st_atim.tv_sec > 10);
	ok(utimensat(AT_FDCWD, "f", t, 0));
	same(10, mt_stat("f").st_atim.tv_sec);
	same(20, mt_stat("f").st_atim.tv_nsec);
}

static void directories(void **state)
{
	struct stat st;

	(void)state;
	ok(mkdir("d", 0755));
	mt_put("d/f", "x");
	st = mt_stat("d");
	mt_tick();
	same(1, mt_count("d"));
	check(moved("d", &st));
	st = mt_stat("d");
	same(1, mt_count("d"));
	check(!moved("d", &st));
	mt_tick();
	mt_put("d/g", "x");
	st = mt_stat("d");
	mt_tick();
	same(2, mt_count("d"));
	check(moved("d", &st));
}

static void links(void **state)
{
	struct stat st;
	char buf[16];

	(void)state;
	ok(symlink("target", "l"));
	st = mt_stat("l");
	mt_tick();
	same(6, readlink("l", buf, sizeof(buf)));
	check(moved("l", &st));
	st = mt_stat("l");
	same(6, readlink("l", buf, sizeof(buf)));
	check(!moved("l", &st));
}

static void not_with_o_noatime(void **state)
{
	struct stat st;
	DIR *d;

	(void)state;
	mt_put("f", "x");
	ok(mkdir("d", 0755));
	st = mt_stat("f");
	mt_tick();
	read_cold("f", O_NOATIME);
	check(!moved("f", &st));
	read_cold("f", 0);
	check(moved("f", &st));
	st = mt_stat("d");
	mt_tick();
	d = fdopendir((int)ok(open("d", O_RDONLY | O_DIRECTORY | O_NOATIME)));
	check(d != NULL);
	while (readdir(d))
		continue;
	ok(closedir(d));
	check(!moved("d", &st));
}

static void by_mapping_and_copy(void **state)
{
	struct stat st;
	int fd, to;
	char *p;

	(void)state;
	mt_put("f", "text");
	fd = (int)ok(open("f", O_RDONLY));
	ok(fdatasync(fd));
	same(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	st = mt_stat("f");
	mt_tick();
	p = mmap(NULL, 4, PROT_READ, MAP_PRIVATE, fd, 0);
	check(p != MAP_FAILED);
	check(memcmp(p, "text", 4) == 0);
	ok(munmap(p, 4));
	check(moved("f", &st));
	mt_tick();
	mt_put("f", "TEXT");
	st = mt_stat("f");
	mt_tick();
	to = (int)ok(open("copy", O_WRONLY | O_CREAT, 0644));
	same(4, copy_file_range(fd, NULL, to, NULL, 4, 0));
	check(moved("f", &st));
	ok(close(to));
	ok(close(fd));
}

/* Looking at names and attributes is not reading. */
static void not_by_others(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	ok(mkdir("d", 0755));
	mt_put("d/f", "x");
	st = mt_stat("d/f");
	mt_tick();
	ok(access("d/f", R_OK));
	fd = (int)ok(open("d/f", O_RDWR));
	ok(fsync(fd));
	same(1, lseek(fd, 0, SEEK_END));
	same(0, lseek(fd, 0, SEEK_DATA));
	ok(close(fd));
	same(1, mt_count("d"));
	check(!moved("d/f", &st));
}

int mt_run_atime(void)
{
	const struct CMUnitTest tests[] = {
		CASE(files),         CASE(set_by_hand),        CASE(directories),
		CASE(links),         CASE(not_with_o_noatime), CASE(by_mapping_and_copy),
		CASE(not_by_others),
	};

	return cmocka_run_group_tests_name("atime", tests, NULL, NULL);
}
