/* SPDX-License-Identifier: MIT */
/* What another user may do. All of it needs root, who makes the files and then becomes that user in a child. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

static void other_at_files(void *arg)
{
	static const struct timespec t[2] = { { 1, 0 }, { 1, 0 } };
	char buf[8];

	(void)arg;
	fails(open("secret", O_RDONLY), EACCES);
	fails(open("secret", O_WRONLY), EACCES);
	ok(close((int)ok(open("public", O_RDONLY))));
	fails(open("public", O_WRONLY), EACCES);
	fails(open("public", O_RDONLY | O_TRUNC), EACCES);
	fails(truncate("public", 0), EACCES);
	fails(chmod("public", 0777), EPERM);
	fails(chown("public", MT_OTHER_UID, MT_OTHER_UID), EPERM);
	fails(utimensat(AT_FDCWD, "public", t, 0), EPERM);
	fails(setxattr("public", "user.a", "1", 1, 0), EACCES);
	same(1, getxattr("public", "user.r", buf, sizeof(buf)));
	fails(access("public", W_OK), EACCES);
	ok(access("public", R_OK));
	fails(access("public", X_OK), EACCES);
}

static void files_of_root(void **state)
{
	(void)state;
	mt_need_root();
	mt_put("secret", "s");
	mt_put("public", "p");
	ok(setxattr("public", "user.r", "1", 1, 0));
	ok(chmod("secret", 0600));
	ok(chmod("public", 0644));
	mt_as_other(other_at_files, NULL);
	mt_holds("public", "p");
}

static void other_at_directories(void *arg)
{
	(void)arg;
	fails(open("made", O_WRONLY | O_CREAT, 0644), EACCES);
	fails(mkdir("made", 0755), EACCES);
	fails(unlink("file"), EACCES);
	fails(rename("file", "made"), EACCES);
	check(link("file", "made") == -1 && (errno == EACCES || errno == EPERM)); /* EPERM: fs.protected_hardlinks */
	fails(symlink("x", "made"), EACCES);
	fails(open("closed/f", O_RDONLY), EACCES);
	fails(open("closed", O_RDONLY | O_DIRECTORY), EACCES);
	ok(close((int)ok(open("through/f", O_RDONLY)))); /* search without read */
	fails(open("through", O_RDONLY | O_DIRECTORY), EACCES);
}

static void directories_of_root(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	mt_put("file", "x");
	ok(mkdir("closed", 0700));
	mt_put("closed/f", "x");
	ok(mkdir("through", 0711));
	mt_put("through/f", "x");
	mt_as_other(other_at_directories, NULL);
}

static void other_makes(void *arg)
{
	(void)arg;
	mt_put("open/f", "mine");
	ok(mkdir("open/d", 0755));
	ok(symlink("f", "open/l"));
	ok(mkfifo("open/p", 0644));
	ok(chmod("open/f", 0600));
	fails(chown("open/f", 0, 0), EPERM);
	ok(rename("open/f", "open/d/f"));
	mt_holds("open/d/f", "mine");
}

static void owner_of_new_files(void **state)
{
	static const char *const names[] = { "open/d", "open/d/f", "open/l", "open/p" };

	(void)state;
	mt_need_root();
	ok(mkdir("open", 0777));
	ok(chmod("open", 0777));
	mt_as_other(other_makes, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		same(MT_OTHER_UID, mt_stat(names[i]).st_uid);
		same(MT_OTHER_UID, mt_stat(names[i]).st_gid);
	}
}

static void other_at_sticky(void *arg)
{
	(void)arg;
	fails(unlink("tmp/root"), EPERM);
	fails(rename("tmp/root", "tmp/x"), EPERM);
	mt_put("tmp/mine", "x");
	fails(rename("tmp/mine", "tmp/root"), EPERM);
	ok(unlink("tmp/mine"));
}

static void sticky_directory(void **state)
{
	(void)state;
	mt_need_root();
	ok(mkdir("tmp", 0777));
	ok(chmod("tmp", 01777));
	mt_put("tmp/root", "x");
	mt_as_other(other_at_sticky, NULL);
	mt_holds("tmp/root", "x");
}

static void other_writes(void *arg)
{
	int fd = (int)ok(open(arg, O_WRONLY | O_APPEND));

	same(1, write(fd, "w", 1));
	ok(close(fd));
}

static void other_truncates(void *arg)
{
	ok(truncate(arg, 0));
}

static void set_uid_falls(void **state)
{
	(void)state;
	mt_need_root();
	for (int i = 0; i < 2; i++) {
		mt_put("f", "program");
		ok(chmod("f", 06777));
		same(06777, mt_stat("f").st_mode & 07777);
		mt_as_other(i == 0 ? other_writes : other_truncates, (void *)"f");
		same(0777, mt_stat("f").st_mode & 07777);
		/* and again, now that attributes and rights are cached */
		ok(chmod("f", 04777));
		mt_as_other(i == 0 ? other_writes : other_truncates, (void *)"f");
		same(0777, mt_stat("f").st_mode & 07777);
	}
}

static void other_after_chmod(void *arg)
{
	if (*(bool *)arg)
		ok(close((int)ok(open("d/f", O_RDONLY))));
	else
		fails(open("d/f", O_RDONLY), EACCES);
}

static void rights_change_at_once(void **state)
{
	(void)state;
	mt_need_root();
	ok(mkdir("d", 0755));
	mt_put("d/f", "x");
	for (int i = 0; i < 8; i++) {
		bool may = i % 2 == 0;

		if (i < 4)
			ok(chmod("d", may ? 0755 : 0700));
		else
			ok(chmod("d/f", may ? 0644 : 0600));
		mt_as_other(other_after_chmod, &may);
		if (i == 3)
			ok(chmod("d", 0755));
	}
}

static void other_keeps_descriptor(void *arg)
{
	char buf[4];

	same(1, pread(*(int *)arg, buf, sizeof(buf), 0));
	same(1, pwrite(*(int *)arg, "y", 1, 0));
}

static void an_open_descriptor_keeps_its_rights(void **state)
{
	int fd;

	(void)state;
	mt_need_root();
	mt_put("f", "x");
	fd = (int)ok(open("f", O_RDWR));
	ok(chmod("f", 0));
	mt_as_other(other_keeps_descriptor, &fd);
	ok(close(fd));
	mt_holds("f", "y");
}

int mt_run_rights(void)
{
	const struct CMUnitTest tests[] = {
		CASE(files_of_root),
		CASE(directories_of_root),
		CASE(owner_of_new_files),
		CASE(sticky_directory),
		CASE(set_uid_falls),
		CASE(rights_change_at_once),
		CASE(an_open_descriptor_keeps_its_rights),
	};

	return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
