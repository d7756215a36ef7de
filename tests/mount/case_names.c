/* SPDX-License-Identifier: MIT */
/* Names: hard and symbolic links, unlink, rmdir, and what a name may be made of. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void hard_links(void **state)
{
	char name[32];

	(void)state;
	mt_put("a", "shared");
	ok(mkdir("d", 0755));
	ok(link("a", "d/b"));
	same(2, mt_stat("a").st_nlink);
	same(2, mt_stat("d/b").st_nlink);
	same(mt_stat("a").st_ino, mt_stat("d/b").st_ino);
	mt_put("d/b", "changed through b");
	mt_holds("a", "changed through b");
	ok(chmod("a", 0600));
	same(0600, mt_stat("d/b").st_mode & 07777);
	ok(unlink("a"));
	same(1, mt_stat("d/b").st_nlink);
	mt_holds("d/b", "changed through b");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		ok(link("d/b", name));
		same(i + 2, mt_stat("d/b").st_nlink);
	}
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		ok(unlink(name));
		same(100 - i, mt_stat("d/b").st_nlink);
	}
}

static void link_errors(void **state)
{
	(void)state;
	mt_put("a", "a");
	mt_put("b", "b");
	ok(mkdir("d", 0755));
	fails(link("a", "b"), EEXIST);
	fails(link("a", "d"), EEXIST);
	fails(link("none", "c"), ENOENT);
	fails(link("a", "none/c"), ENOENT);
	fails(link("a", "b/c"), ENOTDIR);
	fails(link("d", "e"), EPERM);
	same(1, mt_stat("a").st_nlink);
	mt_holds("b", "b");
}

static void link_of_a_symlink(void **state)
{
	char buf[16];

	(void)state;
	ok(symlink("nowhere", "l"));
	ok(link("l", "m")); /* the link itself, not what it points to */
	same(7, readlink("m", buf, sizeof(buf)));
	same(2, mt_stat("l").st_nlink);
	same(mt_stat("l").st_ino, mt_stat("m").st_ino);
}

static void relink_while_open(void **state)
{
	int fd;

	(void)state;
	mt_put("a", "text");
	fd = (int)ok(open("a", O_RDONLY));
	ok(link("a", "b"));
	same(2, mt_fstat(fd).st_nlink);
	ok(unlink("a"));
	same(1, mt_fstat(fd).st_nlink);
	ok(unlink("b"));
	same(0, mt_fstat(fd).st_nlink);
	ok(close(fd));
}

static void symlinks(void **state)
{
	char target[4097], buf[4097];

	(void)state;
	ok(symlink("f", "l"));
	check(S_ISLNK(mt_stat("l").st_mode));
	same(1, mt_stat("l").st_size);
	fails(open("l", O_RDONLY), ENOENT);
	mt_put("f", "aimed at");
	mt_holds("l", "aimed at");
	fails(symlink("x", "l"), EEXIST);
	fails(readlink("f", buf, sizeof(buf)), EINVAL);
	memset(target, 't', sizeof(target));
	target[4095] = 0;
	ok(symlink(target, "long"));
	same(4095, mt_stat("long").st_size);
	same(4095, readlink("long", buf, sizeof(buf)));
	same(0, memcmp(target, buf, 4095));
	same(10, readlink("long", buf, 10));
	target[4095] = 't';
	target[4096] = 0;
	fails(symlink(target, "longer"), ENAMETOOLONG);
	fails(symlink("", "empty"), ENOENT);
	ok(unlink("l"));
	check(mt_exists("f"));
}

static void symlink_walks(void **state)
{
	(void)state;
	ok(mkdir("d", 0755));
	ok(symlink("d", "dl"));
	mt_put("dl/f", "via");
	mt_holds("d/f", "via");
	ok(symlink("../d/f", "d/back"));
	mt_holds("dl/back", "via");
	ok(symlink("loop", "loop"));
	fails(open("loop", O_RDONLY), ELOOP);
	fails(rmdir("dl"), ENOTDIR);
	/* a link that is made again under its name must not keep its old target */
	for (int i = 0; i < 20; i++) {
		char want[32], got[32] = { 0 };

		snprintf(want, sizeof(want), "to%d", i);
		ok(symlink(want, "again"));
		ok(readlink("again", got, sizeof(got) - 1));
		check(strcmp(want, got) == 0);
		ok(unlink("again"));
	}
}

static void unlink_errors(void **state)
{
	(void)state;
	mt_put("f", "x");
	ok(mkdir("d", 0755));
	fails(unlink("none"), ENOENT);
	fails(unlink("d"), EISDIR);
	fails(unlink("f/x"), ENOTDIR);
	fails(unlink("f/"), ENOTDIR);
	ok(unlink("f"));
	fails(unlink("f"), ENOENT);
}

static void directories_go(void **state)
{
	(void)state;
	mt_put("f", "x");
	ok(mkdir("d", 0755));
	ok(mkdir("d/e", 0755));
	fails(mkdir("d", 0755), EEXIST);
	fails(mkdir("f", 0755), EEXIST);
	fails(mkdir("f/x", 0755), ENOTDIR);
	fails(mkdir("none/x", 0755), ENOENT);
	fails(rmdir("d"), ENOTEMPTY);
	fails(rmdir("f"), ENOTDIR);
	fails(rmdir("none"), ENOENT);
	fails(rmdir("d/e/."), EINVAL);
	fails(rmdir("d/e/.."), ENOTEMPTY);
	ok(rmdir("d/e"));
	ok(rmdir("d"));
	check(!mt_exists("d"));
	ok(mkdir("d", 0700)); /* a new one of the same name is empty and has its own mode */
	same(0, mt_count("d"));
	same(0700, mt_stat("d").st_mode & 07777);
}

static void removed_working_directory(void **state)
{
	int up = (int)ok(open(".", O_RDONLY | O_DIRECTORY));

	(void)state;
	ok(mkdir("d", 0755));
	ok(chdir("d"));
	ok(rmdir("../d"));
	fails(open("f", O_WRONLY | O_CREAT, 0644), ENOENT);
	fails(mkdir("e", 0755), ENOENT);
	same(0, mt_stat(".").st_nlink);
	ok(fchdir(up));
	ok(close(up));
}

static void long_names(void **state)
{
	char name[258];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[255] = 0;
	mt_put(name, "long");
	mt_holds(name, "long");
	same(1, mt_count("."));
	name[255] = 'n';
	name[256] = 0;
	fails(open(name, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
	fails(mkdir(name, 0755), ENAMETOOLONG);
	fails(symlink("x", name), ENAMETOOLONG);
	fails(access(name, F_OK), ENAMETOOLONG);
	mt_put("s", "s");
	fails(rename("s", name), ENAMETOOLONG);
	fails(link("s", name), ENAMETOOLONG);
}

static void any_bytes(void **state)
{
	char every[256];
	size_t n = 0;

	(void)state;
	for (int c = 1; c < 256; c++)
		if (c != '/')
			every[n++] = (char)c;
	every[n] = 0;
	mt_put(every, "every byte");
	mt_holds(every, "every byte");
	for (int c = 1; c < 256; c++) {
		char one[3] = { 'n', (char)c, 0 };

		if (c == '/')
			continue;
		mt_put(one, "x");
		check(mt_exists(one));
	}
	same(1 + 254, mt_count("."));
	mt_put("\xff\xfe\x80", "not utf-8");
	ok(rename("\xff\xfe\x80", "\xc3\x28"));
	mt_holds("\xc3\x28", "not utf-8");
	check(!mt_exists("\xff\xfe\x80"));
	mt_put("case", "lower");
	mt_put("CASE", "upper");
	mt_holds("case", "lower");
	mt_put("caf\xc3\xa9", "composed"); /* no normalization: two names */
	mt_put("cafe\xcc\x81", "decomposed");
	mt_holds("caf\xc3\xa9", "composed");
}

static void deep_paths(void **state)
{
	enum { DEPTH = 60 };
	int up = (int)ok(open(".", O_RDONLY | O_DIRECTORY));

	(void)state;
	for (int i = 0; i < DEPTH; i++) {
		ok(mkdir("level", 0755));
		ok(chdir("level"));
	}
	mt_put("bottom", "deep");
	for (int i = 0; i < DEPTH; i++)
		ok(chdir(".."));
	same(mt_fstat(up).st_ino, mt_stat(".").st_ino);
	ok(close(up));
}

int mt_run_names(void)
{
	const struct CMUnitTest tests[] = {
		CASE(hard_links),        CASE(link_errors),    CASE(link_of_a_symlink),
		CASE(relink_while_open), CASE(symlinks),       CASE(symlink_walks),
		CASE(unlink_errors),     CASE(directories_go), CASE(removed_working_directory),
		CASE(long_names),        CASE(any_bytes),      CASE(deep_paths),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
