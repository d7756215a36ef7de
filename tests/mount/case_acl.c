/* SPDX-License-Identifier: MIT */
/* Access control lists as attributes: what can be set, and how they go with the mode. */
#include "case_acl.h"

#include <stdio.h>

#include <stdlib.h>

/* ---- lists and modes ---- */

static void none_at_first(void **state)
{
	(void)state;
	mt_put("f", "x");
	ok(mkdir("d", 0755));
	has_none("f", ACCESS);
	has_none("d", ACCESS);
	has_none("d", DEFAULT);
	fails(getxattr("f", DEFAULT, NULL, 0), ENODATA);
	ok(removexattr("f", ACCESS));
	ok(removexattr("f", DEFAULT));
	ok(removexattr("d", DEFAULT));
	mode_is(0644, "f");
}

static void set_and_get(void **state)
{
	char buf[64];
	int fd;

	(void)state;
	mt_put("f", "x");
	ok(set("f", ACCESS, with_user(6)));
	has("f", ACCESS, with_user(6));
	mode_is(0660, "f");
	check(listed("f", ACCESS));
	fails(getxattr("f", ACCESS, buf, 43), ERANGE);
	same(44, getxattr("f", ACCESS, buf, 44));
	same(44, getxattr("f", ACCESS, NULL, 0));
	ok(set("f", ACCESS, with_user(1))); /* in place of the other */
	has("f", ACCESS, with_user(1));
	mode_is(0610, "f");
	fd = (int)ok(open("f", O_RDWR));
	ok(fsetxattr(fd, ACCESS, with_user(5).data, 44, 0));
	same(0650, mode_by_fd(fd));
	ok(close(fd));
	has("f", ACCESS, with_user(5));
	/* whether it is there already makes no difference */
	ok(setxattr("f", ACCESS, with_user(4).data, 44, XATTR_CREATE));
	ok(removexattr("f", ACCESS));
	ok(setxattr("f", ACCESS, with_user(4).data, 44, XATTR_REPLACE));
	has("f", ACCESS, with_user(4));
	ok(link("f", "g"));
	ok(rename("f", "h"));
	has("g", ACCESS, with_user(4));
	has("h", ACCESS, with_user(4));
}

static void what_the_mode_can_say(void **state)
{
	(void)state;
	mt_put("f", "x");
	ok(chmod("f", 01644));
	ok(set("f", ACCESS, LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 1, NONE })));
	mode_is(01751, "f");
	has_none("f", ACCESS);
	ok(set("f", ACCESS, with_user(6)));
	ok(set("f", ACCESS, LIST({ OWNER, 0, NONE }, { GROUP, 2, NONE }, { OTHER, 7, NONE })));
	mode_is(01027, "f");
	has_none("f", ACCESS);
	/* a mask is more than it can say */
	ok(set("f", ACCESS, LIST({ OWNER, 6, NONE }, { GROUP, 4, NONE }, { MASK, 4, NONE }, { OTHER, 4, NONE })));
	mode_is(01644, "f");
	check(listed("f", ACCESS));
}

static void removed(void **state)
{
	(void)state;
	mt_put("f", "x");
	ok(mkdir("d", 0700));
	ok(set("f", ACCESS, with_user(6)));
	ok(removexattr("f", ACCESS));
	has_none("f", ACCESS);
	mode_is(0660, "f"); /* what was the mask's is the group's now */
	ok(set("f", ACCESS, with_user(7)));
	ok(setxattr("f", ACCESS, "\2\0\0\0", 4, 0)); /* without entries */
	has_none("f", ACCESS);
	mode_is(0670, "f");
	ok(set("d", DEFAULT, with_user(7)));
	ok(set("d", ACCESS, with_user(5)));
	ok(removexattr("d", ACCESS));
	has("d", DEFAULT, with_user(7));
	ok(setxattr("d", DEFAULT, "", 0, 0));
	has_none("d", DEFAULT);
	mode_is(0650, "d");
}

static void refused(void **state)
{
	static const struct {
		size_t size;
		const char *data;
	} raw[] = {
		{ 3, "\2\0\0" }, { 4, "\1\0\0\0" }, { 4, "\3\0\0\0" }, { 4, "text" }, { 11, "\2\0\0\0\1\0\7\0\0\0\0" }
	};
	const struct list bad[] = {
		LIST({ OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }),
		LIST({ OWNER, 7, NONE }, { OTHER, 5, NONE }),
		LIST({ GROUP, 7, NONE }, { OTHER, 5, NONE }),
		LIST({ GROUP, 5, NONE }, { OWNER, 7, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }, { MASK, 7, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { USER, 0, 1 }, { MASK, 7, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { USER, 7, 1 }, { GROUP, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { NAMED_GROUP, 7, 1 }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { USER, 7, NONE }, { GROUP, 5, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { MASK, 5, NONE }, { MASK, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 8, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 0x100, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { 3, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ 0, 7, NONE }, { OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { 0x120, 0, NONE }),
	};

	(void)state;
	mt_put("f", "x");
	ok(mkdir("d", 0755));
	/* a version that isn't known is an error of its own kind in some kernels: the value or the operation */
	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++) {
		check(setxattr("f", ACCESS, raw[i].data, raw[i].size, 0) == -1);
		check(errno == EINVAL || errno == EOPNOTSUPP);
		check(setxattr("d", DEFAULT, raw[i].data, raw[i].size, 0) == -1);
		check(errno == EINVAL || errno == EOPNOTSUPP);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fails(set("f", ACCESS, bad[i]), EINVAL);
		fails(set("d", ACCESS, bad[i]), EINVAL);
		fails(set("d", DEFAULT, bad[i]), EINVAL);
	}
	mode_is(0644, "f");
	mode_is(0755, "d");
	has_none("f", ACCESS);
	has_none("d", ACCESS);
	has_none("d", DEFAULT);
}

static void where_there_are_none(void **state)
{
	(void)state;
	mt_put("f", "x");
	ok(symlink("f", "l"));
	fails(set("f", DEFAULT, with_user(7)), EACCES);
	fails(lsetxattr("l", ACCESS, with_user(7).data, 44, 0), EOPNOTSUPP);
	fails(lgetxattr("l", ACCESS, NULL, 0), EOPNOTSUPP);
	ok(set("l", ACCESS, with_user(7))); /* of what it leads to */
	has("f", ACCESS, with_user(7));
	fails(setxattr("f", "system.posix_acl_other", "x", 1, 0), EOPNOTSUPP);
	fails(setxattr("f", "system.posix_acl_access_", "x", 1, 0), EOPNOTSUPP);
	fails(set("none", ACCESS, with_user(7)), ENOENT);
	ok(mkfifo("p", 0600));
	ok(set("p", ACCESS, with_user(5)));
	mode_is(0650, "p");
	fails(set("p", DEFAULT, with_user(5)), EACCES);
}

static void times(void **state)
{
	struct stat before, after;

	(void)state;
	ok(mkdir("d", 0755));
	before = mt_stat("d");
	mt_tick();
	ok(set("d", DEFAULT, with_user(7)));
	after = mt_stat("d");
	check(mt_time_after(after.st_ctim, before.st_ctim));
	check(!mt_time_after(after.st_mtim, before.st_mtim));
	same(before.st_mode, after.st_mode);
	mt_tick();
	ok(set("d", ACCESS, with_user(7)));
	check(mt_time_after(mt_stat("d").st_ctim, after.st_ctim));
	after = mt_stat("d");
	mt_tick();
	ok(removexattr("d", ACCESS));
	check(mt_time_after(mt_stat("d").st_ctim, after.st_ctim));
	check(!mt_time_after(mt_stat("d").st_mtim, before.st_mtim));
}

static void many_entries(void **state)
{
	struct entry entries[104] = { { OWNER, 6, NONE } };
	struct list list;

	(void)state;
	mt_need_root();
	for (uint32_t i = 0; i < 100; i++)
		entries[1 + i] = (struct entry){ USER, i % 8, 61000 + i };
	entries[101] = (struct entry){ GROUP, 0, NONE };
	entries[102] = (struct entry){ MASK, 7, NONE };
	entries[103] = (struct entry){ OTHER, 0, NONE };
	list = list_of(entries, 104);
	ok(chmod(".", 0755));
	file_of("f", 0, 0, 0600);
	ok(set("f", ACCESS, list));
	has("f", ACCESS, list);
	for (uint32_t i = 90; i < 100; i++)
		may(user(61000 + i, G3), (int)(i % 8));
	may(user(61100, G3), 0);
}

/* More than a page. */
static void too_many(void **state)
{
	size_t n = 600;
	unsigned char *data = calloc(1, 4 + 8 * n);

	(void)state;
	check(data != NULL);
	mt_put("f", "x");
	data[0] = 2;
	for (size_t i = 0; i < n; i++) {
		unsigned char *p = data + 4 + 8 * i;

		p[0] = i == 0 ? OWNER : i < n - 3 ? USER : i == n - 3 ? GROUP : i == n - 2 ? MASK : OTHER;
		p[2] = 7;
		p[4] = (unsigned char)i;
		p[5] = (unsigned char)(i >> 8);
	}
	check(setxattr("f", ACCESS, data, 4 + 8 * n, 0) == -1);
	check(errno == E2BIG || errno == ENOSPC);
	has_none("f", ACCESS);
	mode_is(0644, "f");
	free(data);
}

static void nameless(void **state)
{
	char buf[64];
	int fd;

	(void)state;
	mt_put("f", "x");
	fd = (int)ok(open("f", O_RDWR));
	ok(unlink("f"));
	ok(fsetxattr(fd, ACCESS, with_user(6).data, 44, 0));
	same(44, fgetxattr(fd, ACCESS, buf, sizeof(buf)));
	same(0660, mode_by_fd(fd));
	ok(fchmod(fd, 0600));
	same(44, fgetxattr(fd, ACCESS, buf, sizeof(buf)));
	same(0, memcmp(with_user(0).data, buf, 44));
	ok(close(fd));
	mt_put("f", "x");
	has_none("f", ACCESS);
}

/* ---- chmod ---- */

static void chmod_and_mask(void **state)
{
	int fd;

	(void)state;
	mt_put("f", "x");
	ok(set("f", ACCESS, with_user(7)));
	has("f", ACCESS, with_user(7)); /* so the kernel may keep it */
	ok(chmod("f", 01415));
	mode_is(01415, "f");
	has("f", ACCESS,
	    LIST({ OWNER, 4, NONE }, { USER, 7, U1 }, { GROUP, 4, NONE }, { MASK, 1, NONE }, { OTHER, 5, NONE }));
	fd = (int)ok(open("f", O_RDONLY));
	ok(fchmod(fd, 0600));
	ok(close(fd));
	has("f", ACCESS, with_user(0));
	ok(chmod("f", 0670));
	has("f", ACCESS, with_user(7));
	ok(truncate("f", 100)); /* other attributes have nothing to do with it */
	ok(utimensat(AT_FDCWD, "f", NULL, 0));
	has("f", ACCESS, with_user(7));
	if (geteuid() == 0) {
		ok(chown("f", 5, 6));
		has("f", ACCESS, with_user(7));
		mode_is(0670, "f");
	}
}

/* A list without named entries has its mask, and the owning group its own rights. */
static void chmod_without_names(void **state)
{
	(void)state;
	mt_put("f", "x");
	ok(set("f", ACCESS, LIST({ OWNER, 6, NONE }, { GROUP, 6, NONE }, { MASK, 4, NONE }, { OTHER, 0, NONE })));
	mode_is(0640, "f");
	ok(chmod("f", 0707));
	has("f", ACCESS, LIST({ OWNER, 7, NONE }, { GROUP, 6, NONE }, { MASK, 0, NONE }, { OTHER, 7, NONE }));
	ok(chmod("f", 0777));
	has("f", ACCESS, LIST({ OWNER, 7, NONE }, { GROUP, 6, NONE }, { MASK, 7, NONE }, { OTHER, 7, NONE }));
}

static void chmod_of_directory(void **state)
{
	(void)state;
	ok(mkdir("d", 0755));
	ok(set("d", DEFAULT, with_user(7)));
	ok(chmod("d", 0700));
	has("d", DEFAULT, with_user(7));
	has_none("d", ACCESS);
	ok(set("d", ACCESS, with_user(6)));
	ok(chmod("d", 02711));
	has("d", DEFAULT, with_user(7));
	has("d", ACCESS,
	    LIST({ OWNER, 7, NONE }, { USER, 7, U1 }, { GROUP, 4, NONE }, { MASK, 1, NONE }, { OTHER, 1, NONE }));
}

int mt_run_acl(void)
{
	const struct CMUnitTest tests[] = {
		CASE(none_at_first),
		CASE(set_and_get),
		CASE(what_the_mode_can_say),
		CASE(removed),
		CASE(refused),
		CASE(where_there_are_none),
		CASE(times),
		CASE(many_entries),
		CASE(too_many),
		CASE(nameless),
		CASE(chmod_and_mask),
		CASE(chmod_without_names),
		CASE(chmod_of_directory),
	};

	return cmocka_run_group_tests_name("acl", tests, NULL, NULL);
}
