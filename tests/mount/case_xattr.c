/* SPDX-License-Identifier: MIT */
/* Extended attributes. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool listed(const char *path, const char *name)
{
	char list[65536];
	ssize_t size = ok(listxattr(path, list, sizeof(list)));

	for (ssize_t i = 0; i < size; i += (ssize_t)strlen(list + i) + 1)
		if (strcmp(list + i, name) == 0)
			return true;
	return false;
}

static void set_get_list_remove(void **state)
{
	char buf[64];

	(void)state;
	mt_put("f", "x");
	fails(getxattr("f", "user.a", buf, sizeof(buf)), ENODATA);
	ok(setxattr("f", "user.a", "value", 5, 0));
	same(5, getxattr("f", "user.a", buf, sizeof(buf)));
	same(0, memcmp(buf, "value", 5));
	same(5, getxattr("f", "user.a", NULL, 0));
	fails(getxattr("f", "user.a", buf, 4), ERANGE);
	ok(setxattr("f", "user.a", "other value", 11, 0));
	same(11, getxattr("f", "user.a", buf, sizeof(buf)));
	ok(setxattr("f", "user.empty", "", 0, 0));
	same(0, getxattr("f", "user.empty", buf, sizeof(buf)));
	check(listed("f", "user.a") && listed("f", "user.empty") && !listed("f", "user.none"));
	ok(removexattr("f", "user.a"));
	fails(getxattr("f", "user.a", buf, sizeof(buf)), ENODATA);
	fails(removexattr("f", "user.a"), ENODATA);
	check(!listed("f", "user.a"));
	mt_holds("f", "x");
}

static void create_and_replace(void **state)
{
	(void)state;
	mt_put("f", "x");
	fails(setxattr("f", "user.a", "1", 1, XATTR_REPLACE), ENODATA);
	ok(setxattr("f", "user.a", "1", 1, XATTR_CREATE));
	fails(setxattr("f", "user.a", "2", 1, XATTR_CREATE), EEXIST);
	ok(setxattr("f", "user.a", "3", 1, XATTR_REPLACE));
}

static void many_and_binary(void **state)
{
	char name[32], value[256], got[256];

	(void)state;
	mt_put("f", "x");
	for (int i = 0; i < 256; i++)
		value[i] = (char)i;
	ok(setxattr("f", "user.binary", value, sizeof(value), 0));
	same(256, getxattr("f", "user.binary", got, sizeof(got)));
	same(0, memcmp(value, got, 256));
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "user.n%d", i);
		ok(setxattr("f", name, name, strlen(name), 0));
	}
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "user.n%d", i);
		same(strlen(name), getxattr("f", name, got, sizeof(got)));
		same(0, memcmp(name, got, strlen(name)));
		check(listed("f", name));
	}
	same(ok(listxattr("f", NULL, 0)), listxattr("f", got, 0));
	fails(listxattr("f", got, 10), ERANGE);
}

static void large_value(void **state)
{
	char *value = malloc(65537), *got = malloc(65536);

	(void)state;
	check(value != NULL && got != NULL);
	memset(value, 'v', 65537);
	mt_put("f", "x");
	if (setxattr("f", "user.large", value, 65536, 0) < 0) { /* ext4 has room for a block of them */
		check(errno == ENOSPC || errno == E2BIG);
	} else {
		same(65536, getxattr("f", "user.large", got, 65536));
		same(0, memcmp(value, got, 65536));
	}
	fails(setxattr("f", "user.large", value, 65537, 0), E2BIG);
	free(value);
	free(got);
}

static void with_the_inode(void **state)
{
	char buf[8];
	int fd;

	(void)state;
	mt_put("f", "x");
	ok(setxattr("f", "user.a", "1", 1, 0));
	ok(link("f", "g"));
	same(1, getxattr("g", "user.a", buf, sizeof(buf)));
	ok(rename("f", "h"));
	same(1, getxattr("h", "user.a", buf, sizeof(buf)));
	fd = (int)ok(open("h", O_RDWR));
	ok(fsetxattr(fd, "user.b", "22", 2, 0));
	same(2, getxattr("g", "user.b", buf, sizeof(buf)));
	ok(close(fd));
	ok(unlink("h"));
	ok(unlink("g"));
	mt_put("f", "x"); /* a new file has none of the old one's */
	fails(getxattr("f", "user.a", buf, sizeof(buf)), ENODATA);
	ok(mkdir("d", 0755));
	ok(setxattr("d", "user.a", "dir", 3, 0));
	same(3, getxattr("d", "user.a", buf, sizeof(buf)));
}

static void names_and_spaces(void **state)
{
	char name[300], buf[8];

	(void)state;
	mt_put("f", "x");
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[255] = 0;
	ok(setxattr("f", name, "1", 1, 0));
	same(1, getxattr("f", name, buf, sizeof(buf)));
	name[255] = 'n';
	name[256] = 0;
	fails(setxattr("f", name, "1", 1, 0), ERANGE);
	fails(setxattr("f", "unknown.a", "1", 1, 0), EOPNOTSUPP);
	ok(symlink("f", "l"));
	fails(lsetxattr("l", "user.a", "1", 1, 0), EPERM); /* user attributes are for files and directories */
	if (geteuid() == 0) {
		ok(setxattr("f", "trusted.a", "t", 1, 0));
		same(1, getxattr("f", "trusted.a", buf, sizeof(buf)));
		ok(lsetxattr("l", "trusted.a", "t", 1, 0));
	}
}

int mt_run_xattr(void)
{
	const struct CMUnitTest tests[] = {
		CASE(set_get_list_remove), CASE(create_and_replace), CASE(many_and_binary),
		CASE(large_value),         CASE(with_the_inode),     CASE(names_and_spaces),
	};

	return cmocka_run_group_tests_name("xattr", tests, NULL, NULL);
}
