/* SPDX-License-Identifier: MIT */
/* Opening files: the flags, and the errors of a path. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void create_and_read_back(void **state)
{
	int fd;

	(void)state;
	fails(open("f", O_RDONLY), ENOENT);
	fd = (int)ok(open("f", O_RDWR | O_CREAT, 0640));
	same(0, mt_fstat(fd).st_size);
	same(S_IFREG | 0640, mt_stat("f").st_mode);
	same(1, mt_stat("f").st_nlink);
	same(geteuid(), mt_stat("f").st_uid);
	same(5, write(fd, "hello", 5));
	same(5, mt_stat("f").st_size);
	ok(close(fd));
	mt_holds("f", "hello");
}

static void exclusive(void **state)
{
	int fd;

	(void)state;
	fd = (int)ok(open("f", O_WRONLY | O_CREAT | O_EXCL, 0644));
	ok(close(fd));
	fails(open("f", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
	ok(symlink("nowhere", "l"));
	fails(open("l", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
	check(!mt_exists("nowhere"));
	ok(unlink("f"));
	ok(close((int)ok(open("f", O_WRONLY | O_CREAT | O_EXCL, 0644))));
}

static void truncating(void **state)
{
	int fd;

	(void)state;
	mt_put("f", "a longer text");
	fd = (int)ok(open("f", O_WRONLY | O_TRUNC));
	same(0, mt_stat("f").st_size);
	same(2, write(fd, "ab", 2));
	ok(close(fd));
	mt_holds("f", "ab");
	/* again, now that everything about the file is cached, and through a reader that is open already */
	fd = (int)ok(open("f", O_RDONLY));
	ok(close((int)ok(open("f", O_WRONLY | O_TRUNC))));
	same(0, mt_fstat(fd).st_size);
	same(0, read(fd, (char[4]){ 0 }, 4));
	ok(close(fd));
	mt_holds("f", "");
}

static void creation_mask(void **state)
{
	(void)state;
	umask(027);
	ok(close((int)ok(open("f", O_WRONLY | O_CREAT, 0666))));
	ok(mkdir("d", 0777));
	umask(0);
	ok(close((int)ok(open("g", O_WRONLY | O_CREAT, 0666))));
	umask(022);
	same(0640, mt_stat("f").st_mode & 07777);
	same(0750, mt_stat("d").st_mode & 07777);
	same(0666, mt_stat("g").st_mode & 07777);
}

static void read_only_creation(void **state)
{
	/* the mode of a new file doesn't bind the descriptor that made it */
	int fd = (int)ok(open("f", O_RDWR | O_CREAT | O_EXCL, 0400));

	(void)state;
	same(3, write(fd, "abc", 3));
	ok(close(fd));
	mt_holds("f", "abc");
	same(0400, mt_stat("f").st_mode & 07777);
}

static void wrong_kind(void **state)
{
	(void)state;
	mt_put("f", "x");
	ok(mkdir("d", 0755));
	ok(symlink("f", "l"));
	fails(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	fails(open("d", O_WRONLY), EISDIR);
	fails(open("d", O_RDWR | O_CREAT, 0644), EISDIR);
	fails(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
	fails(open("f/x", O_RDONLY), ENOTDIR);
	fails(open("f/x", O_WRONLY | O_CREAT, 0644), ENOTDIR);
	fails(open("none/x", O_WRONLY | O_CREAT, 0644), ENOENT);
	ok(close((int)ok(open("l", O_RDONLY))));
	ok(close((int)ok(open("l", O_PATH | O_NOFOLLOW))));
	fails(read((int)ok(open("d", O_RDONLY)), (char[1]){ 0 }, 1), EISDIR);
}

static void create_through_symlink(void **state)
{
	(void)state;
	ok(mkdir("d", 0755));
	ok(symlink("d/target", "l"));
	mt_put("l", "made");
	mt_holds("d/target", "made");
	check(S_ISLNK(mt_stat("l").st_mode));
}

static void missing_name_appears(void **state)
{
	(void)state;
	/* a name that was asked for and missing must not stay missing */
	for (int i = 0; i < 50; i++) {
		check(!mt_exists("f"));
		mt_put("f", "x");
		check(mt_exists("f"));
		ok(unlink("f"));
		check(!mt_exists("f"));
		ok(mkdir("f", 0755));
		check(S_ISDIR(mt_stat("f").st_mode));
		ok(rmdir("f"));
	}
}

static void copy_program(const char *from, const char *to)
{
	char buf[65536];
	int in = (int)ok(open(from, O_RDONLY));
	int out = (int)ok(open(to, O_WRONLY | O_CREAT | O_EXCL, 0755));

	for (ssize_t n; (n = ok(read(in, buf, sizeof(buf)))) > 0;)
		same(n, write(out, buf, (size_t)n));
	ok(close(in));
	ok(close(out));
}

static void run_true(void *arg)
{
	(void)arg;
	ok(execl("./true", "true", (char *)NULL));
}

static void run_script(void *arg)
{
	(void)arg;
	ok(execl("./script", "script", (char *)NULL));
}

static void programs_run(void **state)
{
	(void)state;
	copy_program("/bin/true", "true");
	mt_join(mt_fork(run_true, NULL));
	mt_put("script", "#!/bin/sh\nexit 0\n");
	ok(chmod("script", 0755));
	mt_join(mt_fork(run_script, NULL));
}

int mt_run_open(void)
{
	const struct CMUnitTest tests[] = {
		CASE(create_and_read_back),
		CASE(exclusive),
		CASE(truncating),
		CASE(creation_mask),
		CASE(read_only_creation),
		CASE(wrong_kind),
		CASE(create_through_symlink),
		CASE(missing_name_appears),
		CASE(programs_run),
	};

	return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
