/* SPDX-License-Identifier: MIT */
/* Renames of all kinds, with what each does to the link counts and to what is open. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void files(void **state)
{
	ino_t ino;

	(void)state;
	mt_put("a", "text");
	ino = mt_stat("a").st_ino;
	ok(mkdir("d", 0755));
	check(!mt_exists("b"));
	ok(rename("a", "b"));
	check(!mt_exists("a"));
	same(ino, mt_stat("b").st_ino);
	ok(rename("b", "d/c"));
	check(!mt_exists("b"));
	same(ino, mt_stat("d/c").st_ino);
	mt_holds("d/c", "text");
	ok(rename("d/c", "d/c"));
	mt_holds("d/c", "text");
	mt_put("b", "again");
	mt_holds("d/c", "text");
}

static void over_a_file(void **state)
{
	struct stat to;

	(void)state;
	mt_put("a", "new");
	mt_put("b", "old");
	ok(link("b", "b2"));
	to = mt_stat("b");
	same(2, to.st_nlink);
	ok(rename("a", "b"));
	mt_holds("b", "new");
	mt_holds("b2", "old");
	same(1, mt_stat("b2").st_nlink);
	same(to.st_ino, mt_stat("b2").st_ino);
	check(mt_stat("b").st_ino != to.st_ino);
	/* the way that editors and databases save */
	for (int i = 0; i < 100; i++) {
		char text[32];

		snprintf(text, sizeof(text), "version %d", i);
		mt_put("tmp", text);
		ok(rename("tmp", "b"));
		mt_holds("b", text);
	}
	same(2, mt_count("."));
}

static void links_of_one_file(void **state)
{
	(void)state;
	mt_put("a", "one file");
	ok(link("a", "b"));
	ok(rename("a", "b")); /* both are the same file: nothing happens */
	check(mt_exists("a"));
	check(mt_exists("b"));
	same(2, mt_stat("a").st_nlink);
}

static void directories(void **state)
{
	ino_t home;

	(void)state;
	home = mt_stat(".").st_ino;
	ok(mkdir("p", 0755));
	ok(mkdir("q", 0755));
	ok(mkdir("p/d", 0755));
	mt_put("p/d/f", "below");
	same(3, mt_stat("p").st_nlink);
	same(2, mt_stat("q").st_nlink);
	ok(rename("p/d", "q/e"));
	same(2, mt_stat("p").st_nlink);
	same(3, mt_stat("q").st_nlink);
	mt_holds("q/e/f", "below");
	same(mt_stat("q").st_ino, mt_stat("q/e/..").st_ino);
	ok(rename("q/e", "e"));
	same(home, mt_stat("e/..").st_ino);
	same(2, mt_stat("q").st_nlink);
	ok(rename("e", "q")); /* over an empty directory */
	mt_holds("q/f", "below");
	check(!mt_exists("e"));
	same(2, mt_stat("q").st_nlink);
}

static void errors(void **state)
{
	(void)state;
	mt_put("f", "f");
	ok(mkdir("d", 0755));
	ok(mkdir("d/sub", 0755));
	ok(mkdir("full", 0755));
	mt_put("full/x", "x");
	fails(rename("none", "a"), ENOENT);
	fails(rename("f", "none/a"), ENOENT);
	fails(rename("f", "d"), EISDIR);
	fails(rename("d", "f"), ENOTDIR);
	fails(rename("f", "f/a"), ENOTDIR);
	check(rename("d", "full") == -1 && (errno == ENOTEMPTY || errno == EEXIST));
	fails(rename("d", "d/sub/d"), EINVAL);
	fails(rename("d", "d/d"), EINVAL);
	check(rename("d/sub", "d") == -1 && (errno == ENOTEMPTY || errno == EEXIST));
	fails(rename("d/.", "g"), EBUSY);
	mt_holds("f", "f");
	same(3, mt_stat("d").st_nlink);
}

static void no_replace(void **state)
{
	(void)state;
	mt_put("a", "a");
	mt_put("b", "b");
	ok(mkdir("d", 0755));
	fails(rename2("a", "b", RENAME_NOREPLACE), EEXIST);
	fails(rename2("a", "d", RENAME_NOREPLACE), EEXIST);
	mt_holds("a", "a");
	mt_holds("b", "b");
	ok(rename2("a", "c", RENAME_NOREPLACE));
	mt_holds("c", "a");
	check(!mt_exists("a"));
}

static void exchange(void **state)
{
	ino_t file, dir;

	(void)state;
	mt_put("f", "file");
	ok(mkdir("d", 0755));
	mt_put("d/x", "inside");
	ok(mkdir("p", 0755));
	mt_put("p/g", "other");
	file = mt_stat("f").st_ino;
	dir = mt_stat("d").st_ino;
	ok(rename2("f", "p/g", RENAME_EXCHANGE));
	mt_holds("f", "other");
	mt_holds("p/g", "file");
	same(file, mt_stat("p/g").st_ino);
	ok(rename2("p/g", "d", RENAME_EXCHANGE)); /* a file for a directory, across directories */
	same(dir, mt_stat("p/g").st_ino);
	mt_holds("p/g/x", "inside");
	mt_holds("d", "file");
	same(3, mt_stat("p").st_nlink);
	same(mt_stat("p").st_ino, mt_stat("p/g/..").st_ino);
	fails(rename2("f", "none", RENAME_EXCHANGE), ENOENT);
	fails(rename2("p", "p/g", RENAME_EXCHANGE), EINVAL);
	fails(rename2("f", "d", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
}

static void open_across_rename(void **state)
{
	int fd, dir;

	(void)state;
	ok(mkdir("d", 0755));
	mt_put("d/f", "text");
	fd = (int)ok(open("d/f", O_RDWR));
	dir = (int)ok(open("d", O_RDONLY | O_DIRECTORY));
	ok(rename("d", "e"));
	ok(rename("e/f", "g"));
	same(3, pwrite(fd, "TEX", 3, 0));
	mt_holds("g", "TEXt");
	same(1, mt_fstat(fd).st_nlink);
	ok(close((int)ok(openat(dir, "new", O_WRONLY | O_CREAT, 0644))));
	check(mt_exists("e/new"));
	ok(close(dir));
	ok(close(fd));
}

static void empty_directory_target_is_gone(void **state)
{
	int dir;

	(void)state;
	ok(mkdir("a", 0755));
	ok(mkdir("b", 0755));
	dir = (int)ok(open("b", O_RDONLY | O_DIRECTORY));
	ok(rename("a", "b"));
	same(0, mt_fstat(dir).st_nlink);
	fails(openat(dir, "f", O_WRONLY | O_CREAT, 0644), ENOENT);
	ok(close(dir));
	same(2, mt_stat("b").st_nlink);
}

static void check_whiteout(const char *path)
{
	struct stat st = mt_stat(path);

	same(S_IFCHR, st.st_mode);
	same(0, st.st_rdev);
	same(1, st.st_nlink);
	same(geteuid(), st.st_uid);
}

static void whiteout(void **state)
{
	struct stat st;
	ino_t ino;

	(void)state;
	mt_need_root();
	mt_put("a", "text");
	mt_put("b", "other");
	ok(mkdir("d", 0755));
	ino = mt_stat("a").st_ino;
	fails(rename2("a", "b", RENAME_WHITEOUT | RENAME_NOREPLACE), EEXIST);
	fails(rename2("a", "b", RENAME_WHITEOUT | RENAME_EXCHANGE), EINVAL);
	fails(rename2("none", "b", RENAME_WHITEOUT), ENOENT);
	mt_holds("a", "text");
	ok(rename2("a", "b", RENAME_WHITEOUT));
	check_whiteout("a");
	same(ino, mt_stat("b").st_ino);
	same(3, mt_count("."));
	ok(rename2("b", "d/c", RENAME_WHITEOUT | RENAME_NOREPLACE));
	check_whiteout("b");
	mt_holds("d/c", "text");
	st = mt_stat(".");
	ok(rename2("d", "e", RENAME_WHITEOUT));
	check_whiteout("d");
	same(st.st_nlink, mt_stat(".").st_nlink);
	mt_holds("e/c", "text");
	same(4, mt_count("."));
	/* it is a name like any other */
	fails(open("a", O_RDONLY), ENXIO);
	fails(mkdir("d", 0755), EEXIST);
	ok(rename("b", "a"));
	check_whiteout("a");
	ok(unlink("a"));
	ok(unlink("d"));
	same(1, mt_count("."));
}

static void other_makes_whiteout(void *arg)
{
	(void)arg;
	ok(rename2("f", "g", 0));
	ok(rename2("g", "f", RENAME_WHITEOUT)); /* a device of this number needs no capability */
	check_whiteout("g");
	fails(rename2("closed/x", "y", RENAME_WHITEOUT), EACCES);
}

static void whiteout_by_other(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0777));
	mt_put("f", "x");
	ok(mkdir("closed", 0755));
	mt_put("closed/x", "x");
	mt_as_other(other_makes_whiteout, NULL);
	same(MT_OTHER_UID, mt_stat("g").st_uid);
	mt_holds("f", "x");
}

int mt_run_rename(void)
{
	const struct CMUnitTest tests[] = {
		CASE(files),
		CASE(over_a_file),
		CASE(links_of_one_file),
		CASE(directories),
		CASE(errors),
		CASE(no_replace),
		CASE(exchange),
		CASE(whiteout),
		CASE(whiteout_by_other),
		CASE(open_across_rename),
		CASE(empty_directory_target_is_gone),
	};

	return cmocka_run_group_tests_name("rename", tests, NULL, NULL);
}
