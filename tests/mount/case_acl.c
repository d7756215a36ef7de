/* SPDX-License-Identifier: MIT */
/* Access control lists: what they do to modes, rights and new objects. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

enum { OWNER = 1, USER = 2, GROUP = 4, NAMED_GROUP = 8, MASK = 16, OTHER = 32 };

#define NONE UINT32_MAX
#define ENTRIES_MAX 128

struct entry {
	unsigned tag, rights;
	uint32_t id;
};

/* The kernel's form of a list: version 2, then tag, rights and id of each entry, little-endian. */
struct list {
	size_t size;
	unsigned char data[4 + 8 * ENTRIES_MAX];
};

static struct list list_of(const struct entry *entries, size_t n)
{
	struct list list = { .size = 4 + 8 * n, .data = { 2 } };

	check(n <= ENTRIES_MAX);
	for (size_t i = 0; i < n; i++) {
		unsigned char *p = list.data + 4 + 8 * i;

		p[0] = (unsigned char)entries[i].tag;
		p[1] = (unsigned char)(entries[i].tag >> 8);
		p[2] = (unsigned char)entries[i].rights;
		p[3] = (unsigned char)(entries[i].rights >> 8);
		for (unsigned k = 0; k < 4; k++)
			p[4 + k] = (unsigned char)(entries[i].id >> 8 * k);
	}
	return list;
}

#define LIST(...)                                      \
	list_of((const struct entry[]){ __VA_ARGS__ }, \
		sizeof((const struct entry[]){ __VA_ARGS__ }) / sizeof(struct entry))

static int set(const char *path, const char *name, struct list list)
{
	return setxattr(path, name, list.data, list.size, 0);
}

/* The file has this list. */
#define has(path, name, list) has_at(path, name, list, __LINE__)
static void has_at(const char *path, const char *name, struct list want, int line)
{
	char got[sizeof(want.data)];
	ssize_t size = mt_ok(getxattr(path, name, got, sizeof(got)), path, __FILE__, line);

	mt_same((long long)want.size, size, "size of the list", __FILE__, line);
	if (memcmp(got, want.data, want.size) != 0)
		mt_broken("the list has these entries", __FILE__, line);
}

static bool listed(const char *path, const char *name)
{
	char names[4096];
	ssize_t size = ok(listxattr(path, names, sizeof(names)));

	for (ssize_t i = 0; i < size; i += (ssize_t)strlen(names + i) + 1)
		if (strcmp(names + i, name) == 0)
			return true;
	return false;
}

#define has_none(path, name)                                   \
	do {                                                   \
		fails(getxattr(path, name, NULL, 0), ENODATA); \
		same(false, listed(path, name));               \
	} while (0)

#define mode_is(want, path) same(want, mt_stat(path).st_mode & 07777)

static mode_t mode_by_fd(int fd)
{
	return mt_fstat(fd).st_mode & 07777;
}

/* ---- who ---- */

/* Users and groups that need no names. */
enum { U1 = 60001, U2 = 60002, U3 = 60003, G1 = 60011, G2 = 60012, G3 = 60013 };

struct who {
	uid_t uid;
	gid_t gid;
	gid_t more[3];
	size_t n_more;
	void (*fn)(void *arg);
	void *arg;
};

static void become(void *arg)
{
	const struct who *who = arg;

	ok(setgroups(who->n_more, who->more));
	ok(setresgid(who->gid, who->gid, who->gid));
	ok(setresuid(who->uid, who->uid, who->uid));
	who->fn(who->arg);
}

static void as(struct who who, void (*fn)(void *arg), void *arg)
{
	who.fn = fn;
	who.arg = arg;
	mt_join(mt_fork(become, &who));
}

#define user(u, g, ...)                         \
	((struct who){ .uid = (u),              \
		       .gid = (g),              \
		       .more = { __VA_ARGS__ }, \
		       .n_more = sizeof((gid_t[]){ 0, ##__VA_ARGS__ }) / sizeof(gid_t) - 1 })

/* May do exactly this with the file "f": rights as in a mode's digit. */
static void rights_are(void *arg)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR }, need[] = { 4, 2, 6 };
	int rights = *(int *)arg;

	for (int want = 1; want < 8; want++) {
		if ((want & rights) == want)
			ok(access("f", want));
		else
			fails(access("f", want), EACCES);
	}
	for (size_t i = 0; i < 3; i++) {
		int fd = open("f", flags[i]);

		if ((need[i] & rights) == need[i])
			ok(close((int)ok(fd)));
		else
			fails(fd, EACCES);
	}
}

static void may(struct who who, int rights)
{
	as(who, rights_are, &rights);
}

static void file_of(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	mt_put(path, "text");
	ok(chown(path, uid, gid));
	ok(chmod(path, mode));
}

/* ---- lists and modes ---- */

static struct list with_user(unsigned mask)
{
	return LIST({ OWNER, 6, NONE }, { USER, 7, U1 }, { GROUP, 4, NONE }, { MASK, mask, NONE }, { OTHER, 0, NONE });
}

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

/* ---- rights ---- */

static void owner_and_others(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U2, G2, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 6, NONE }, { USER, 7, U1 }, { GROUP, 0, NONE }, { MASK, 5, NONE }, { OTHER, 2, NONE })));
	may(user(U2, G3), 6);         /* the owner: the mask is not for him */
	may(user(U1, G3), 5);         /* named, within the mask */
	may(user(U1, G2), 5);         /* named comes before the group */
	may(user(U3, G2), 0);         /* the owning group */
	may(user(U3, G3, G1, G2), 0); /* … as one of several */
	may(user(U3, G3), 2);
}

static void named_user_who_is_owner(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U1, G1, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 0, NONE }, { USER, 7, U1 }, { GROUP, 7, NONE }, { MASK, 7, NONE }, { OTHER, 7, NONE })));
	may(user(U1, G1), 0);
	ok(chown("f", U2, G2));
	may(user(U1, G1), 7);
}

static void groups(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", 0, G1, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 7, NONE }, { GROUP, 1, NONE }, { NAMED_GROUP, 4, G2 }, { NAMED_GROUP, 2, G3 },
		    { MASK, 7, NONE }, { OTHER, 7, NONE })));
	may(user(U1, G1), 1);
	may(user(U1, G2), 4);
	may(user(U1, G3), 2);
	may(user(U1, 5), 7); /* in none of them: others */
	may(user(U1, 5, G2), 4);
}

static void one_group_must_grant_all(void *arg)
{
	(void)arg;
	ok(access("f", R_OK));
	ok(access("f", W_OK));
	fails(access("f", R_OK | W_OK), EACCES);
	ok(close((int)ok(open("f", O_RDONLY))));
	ok(close((int)ok(open("f", O_WRONLY))));
	fails(open("f", O_RDWR), EACCES);
}

static void rights_of_two_groups(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", 0, 0, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 7, NONE }, { GROUP, 0, NONE }, { NAMED_GROUP, 4, G2 }, { NAMED_GROUP, 2, G3 },
		    { MASK, 7, NONE }, { OTHER, 7, NONE })));
	as(user(U1, G2, G3), one_group_must_grant_all, NULL);
}

static void mask_limits(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U2, G1, 0600);
	for (unsigned mask = 1; mask < 8; mask++) {
		ok(set("f", ACCESS,
		       LIST({ OWNER, 7, NONE }, { USER, 6, U1 }, { GROUP, 5, NONE }, { NAMED_GROUP, 3, G2 },
			    { MASK, mask, NONE }, { OTHER, 4, NONE })));
		may(user(U2, 5), 7);
		may(user(U1, 5), (int)(6 & mask));
		may(user(U3, G1), (int)(5 & mask));
		may(user(U3, G2), (int)(3 & mask));
		may(user(U3, 5), 4);
	}
}

static void superuser(void **state)
{
	(void)state;
	mt_need_root();
	file_of("f", U2, G1, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 0, NONE }, { USER, 0, 0 }, { GROUP, 1, NONE }, { MASK, 0, NONE }, { OTHER, 0, NONE })));
	may(user(0, 0), 6); /* may all, but nobody can execute it */
	ok(chmod("f", 0010));
	may(user(0, 0), 7);
}

static void other_in_directory(void *arg)
{
	(void)arg;
	mt_put("d/mine", "x");
	ok(rename("d/mine", "d/other"));
	ok(unlink("d/other"));
	ok(unlink("d/old"));
	fails(open("closed/f", O_RDONLY), EACCES);
	fails(open("closed", O_RDONLY), EACCES);
	ok(close((int)ok(open("through/f", O_RDONLY))));
	fails(open("through", O_RDONLY | O_DIRECTORY), EACCES);
	fails(open("through/new", O_WRONLY | O_CREAT, 0600), EACCES);
	fails(unlink("through/f"), EACCES);
}

static void directories(void **state)
{
	const unsigned rights[] = { 7, 0, 1 };
	const char *const names[] = { "d", "closed", "through" };

	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	for (size_t i = 0; i < 3; i++) {
		ok(mkdir(names[i], 0755));
		ok(set(names[i], ACCESS,
		       LIST({ OWNER, 7, NONE }, { USER, rights[i], U1 }, { GROUP, 5, NONE }, { MASK, 7, NONE },
			    { OTHER, i == 0 ? 0 : 7, NONE })));
	}
	mt_put("d/old", "x");
	mt_put("closed/f", "x");
	mt_put("through/f", "x");
	as(user(U1, G1), other_in_directory, NULL);
}

/* ---- rights, at random ---- */

static uint64_t random_next(uint64_t *x)
{
	*x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *x >> 33;
}

static bool is_member(const struct who *who, gid_t gid)
{
	for (size_t i = 0; i < who->n_more; i++)
		if (who->more[i] == gid)
			return true;
	return who->gid == gid;
}

/* What POSIX 1003.1e says; where the mask grants nothing at all, Linux looks at the mode only. */
static bool granted(const struct entry *entries, size_t n, const struct who *who, uid_t owner, gid_t group,
		    unsigned want)
{
	unsigned mask = 7, other = entries[n - 1].rights;
	bool in_group = false, by_group = false;

	if (entries[n - 2].tag == MASK)
		mask = entries[n - 2].rights;
	if (who->uid == owner)
		return (entries[0].rights & want) == want;
	if (mask == 0)
		return !is_member(who, group) && (other & want) == want;
	for (size_t i = 0; i < n; i++)
		if (entries[i].tag == USER && entries[i].id == who->uid)
			return (entries[i].rights & mask & want) == want;
	for (size_t i = 0; i < n; i++) {
		if (entries[i].tag != GROUP && entries[i].tag != NAMED_GROUP)
			continue;
		if (!is_member(who, entries[i].tag == GROUP ? group : entries[i].id))
			continue;
		in_group = true;
		by_group = by_group || (entries[i].rights & mask & want) == want;
	}
	return in_group ? by_group : (other & want) == want;
}

struct question {
	struct entry entries[16];
	size_t n;
	struct who who;
	gid_t group;
};

static void answers(void *arg)
{
	const struct question *q = arg;

	for (unsigned want = 1; want < 8; want++)
		same(granted(q->entries, q->n, &q->who, U1, q->group, want), access("f", (int)want) == 0);
}

static void at_random(void **state)
{
	uint64_t x = 20;

	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	mt_put("f", "x");
	for (unsigned round = 0; round < 60; round++) {
		struct question q = { .group = G1 };

		ok(chown("f", U1, G1));
		q.entries[q.n++] = (struct entry){ OWNER, random_next(&x) % 8, NONE };
		for (uint32_t id = U1; id <= U3; id++)
			if (random_next(&x) % 2)
				q.entries[q.n++] = (struct entry){ USER, random_next(&x) % 8, id };
		q.entries[q.n++] = (struct entry){ GROUP, random_next(&x) % 8, NONE };
		for (uint32_t id = G1; id <= G3; id++)
			if (random_next(&x) % 2)
				q.entries[q.n++] = (struct entry){ NAMED_GROUP, random_next(&x) % 8, id };
		q.entries[q.n++] = (struct entry){ MASK, random_next(&x) % 8 | random_next(&x) % 8, NONE };
		q.entries[q.n++] = (struct entry){ OTHER, random_next(&x) % 8, NONE };
		ok(set("f", ACCESS, list_of(q.entries, q.n)));
		for (uid_t uid = U1; uid <= U3; uid++) {
			q.who = user(uid, 5);
			for (gid_t gid = G1; gid <= G3; gid++)
				if (random_next(&x) % 2)
					q.who.more[q.who.n_more++] = gid;
			as(q.who, answers, &q);
		}
	}
}

/* ---- who may set ---- */

static void other_sets(void *arg)
{
	(void)arg;
	fails(set("f", ACCESS, with_user(7)), EPERM);
	fails(removexattr("f", ACCESS), EPERM);
	fails(set("d", DEFAULT, with_user(7)), EPERM);
	fails(removexattr("d", DEFAULT), EPERM);
	fails(chmod("f", 0777), EPERM);
	check(getxattr("f", ACCESS, NULL, 0) > 0); /* to look needs no right but the way there */
	fails(getxattr("closed/f", ACCESS, NULL, 0), EACCES);
}

static void owner_sets(void *arg)
{
	(void)arg;
	ok(set("f", ACCESS, with_user(5)));
	has("f", ACCESS, with_user(5));
	ok(chmod("f", 0700));
	ok(removexattr("f", ACCESS));
	ok(set("d", DEFAULT, with_user(5)));
	ok(removexattr("d", DEFAULT));
}

static void who_may_set(void **state)
{
	const struct list all =
		LIST({ OWNER, 7, NONE }, { USER, 7, U1 }, { GROUP, 7, NONE }, { MASK, 7, NONE }, { OTHER, 7, NONE });

	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	ok(mkdir("closed", 0700));
	mt_put("closed/f", "x");
	file_of("f", U2, G2, 0600);
	ok(mkdir("d", 0777));
	ok(chown("d", U2, G2));
	ok(set("f", ACCESS, all));
	ok(set("d", DEFAULT, all));
	as(user(U1, G1), other_sets, NULL);
	has("f", ACCESS, all);
	as(user(U2, G3), owner_sets, NULL);
}

static void set_with_setgid(void *arg)
{
	(void)arg;
	ok(set("f", ACCESS, with_user(7)));
}

static void minimal_with_setgid(void *arg)
{
	(void)arg;
	ok(set("f", ACCESS, LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 5, NONE })));
}

/* The bit falls when who sets the list is not in the file's group, as with chmod. */
static void setgid_falls(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U1, G1, 02755);
	as(user(U1, G2), set_with_setgid, NULL);
	mode_is(0670, "f");
	ok(chmod("f", 06755));
	as(user(U1, G2, G3), minimal_with_setgid, NULL);
	mode_is(04755, "f");
	ok(chmod("f", 02755));
	as(user(U1, G1), set_with_setgid, NULL);
	mode_is(02670, "f");
	as(user(U1, G2, 5, G1), minimal_with_setgid, NULL);
	mode_is(02755, "f");
	set_with_setgid(NULL);
	mode_is(02670, "f");
	ok(chown("f", U1, G1));
	ok(chmod("f", 02755));
	ok(removexattr("f", ACCESS));
	mode_is(02755, "f");
}

/* ---- what a directory hands on ---- */

static struct list made(unsigned owner, unsigned mask, unsigned other)
{
	return LIST({ OWNER, owner, NONE }, { USER, 7, U1 }, { GROUP, 5, NONE }, { NAMED_GROUP, 6, G2 },
		    { MASK, mask, NONE }, { OTHER, other, NONE });
}

/* In "d", with its list; the umask takes all away, and must not count. */
static void enter_heritage(void)
{
	ok(mkdir("d", 0755));
	ok(set("d", DEFAULT, made(7, 7, 5)));
	umask(0777);
}

static void inherited_by_files(void **state)
{
	static const mode_t modes[] = { 0666, 0777, 0600, 0, 0007, 0070, 04751 };
	char name[16];

	(void)state;
	enter_heritage();
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		mode_t m = modes[i], want = m & ~02u;

		snprintf(name, sizeof(name), "d/o%zu", i);
		ok(close((int)ok(open(name, O_WRONLY | O_CREAT | O_EXCL, m))));
		has(name, ACCESS, made(m >> 6 & 7, m >> 3 & 7, m & 5));
		mode_is(want, name);
		has_none(name, DEFAULT);
		snprintf(name, sizeof(name), "d/n%zu", i);
		ok(mknod(name, S_IFREG | m, 0));
		has(name, ACCESS, made(m >> 6 & 7, m >> 3 & 7, m & 5));
		mode_is(want, name);
	}
	has_none("d", ACCESS);
}

static void inherited_by_directories(void **state)
{
	(void)state;
	enter_heritage();
	ok(mkdir("d/e", 0772));
	mode_is(0770, "d/e");
	has("d/e", ACCESS, made(7, 7, 0));
	has("d/e", DEFAULT, made(7, 7, 5));
	ok(mkdir("d/e/f", 0700));
	mode_is(0700, "d/e/f");
	has("d/e/f", ACCESS, made(7, 0, 0));
	has("d/e/f", DEFAULT, made(7, 7, 5));
	ok(mkdir("d/e/f/g", 0777));
	mode_is(0775, "d/e/f/g");
	has("d/e/f/g", ACCESS, made(7, 7, 5));
}

static void inherited_by_others(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "d/s" };
	int fd;

	(void)state;
	enter_heritage();
	ok(mkfifo("d/p", 0640));
	mode_is(0640, "d/p");
	has("d/p", ACCESS, made(6, 4, 0));
	fd = (int)ok(socket(AF_UNIX, SOCK_STREAM, 0));
	umask(0); /* bind minds it whatever the file system does */
	ok(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	ok(close(fd));
	mode_is(0775, "d/s");
	has("d/s", ACCESS, made(7, 7, 5));
	ok(symlink("p", "d/l"));
	mode_is(0777, "d/l");
	fails(lgetxattr("d/l", ACCESS, NULL, 0), EOPNOTSUPP);
	if (geteuid() == 0) {
		ok(mknod("d/c", S_IFCHR | 0660, 0x103));
		has("d/c", ACCESS, made(6, 6, 0));
	}
}

static void inherited_without_name(void **state)
{
	char buf[64];
	int fd;

	(void)state;
	enter_heritage();
	fd = open("d", O_TMPFILE | O_RDWR, 0640);
	if (fd < 0 && errno == EOPNOTSUPP) {
		print_message("# skipped: no O_TMPFILE\n");
		skip();
	}
	ok(fd);
	same(0640, mode_by_fd(fd));
	same(52, fgetxattr(fd, ACCESS, buf, sizeof(buf)));
	same(0, memcmp(buf, made(6, 4, 0).data, 52));
	ok(close(fd));
	umask(026);
	fd = (int)ok(open(".", O_TMPFILE | O_RDWR, 0666));
	same(0640, mode_by_fd(fd));
	fails(fgetxattr(fd, ACCESS, buf, sizeof(buf)), ENODATA);
	ok(close(fd));
}

/* Without named entries or mask the default is like another umask, and leaves nothing behind on files. */
static void inherited_as_mode(void **state)
{
	const struct list list = LIST({ OWNER, 6, NONE }, { GROUP, 6, NONE }, { OTHER, 2, NONE });

	(void)state;
	ok(mkdir("d", 0755));
	ok(set("d", DEFAULT, list));
	umask(0777);
	ok(close((int)ok(open("d/f", O_WRONLY | O_CREAT, 0777))));
	mode_is(0662, "d/f");
	has_none("d/f", ACCESS);
	ok(mkdir("d/e", 0750));
	mode_is(0640, "d/e");
	has_none("d/e", ACCESS);
	has("d/e", DEFAULT, list);
}

static void only_from_then_on(void **state)
{
	(void)state;
	ok(mkdir("d", 0755));
	mt_put("d/before", "x");
	ok(set("d", DEFAULT, made(7, 7, 0)));
	has_none("d/before", ACCESS);
	mode_is(0644, "d/before");
	mt_put("d/with", "x");
	mode_is(0640, "d/with");
	mt_put("moved", "x");
	ok(rename("moved", "d/moved"));
	ok(link("d/before", "d/linked"));
	has_none("d/moved", ACCESS);
	has_none("d/linked", ACCESS);
	ok(removexattr("d", DEFAULT));
	mt_put("d/after", "x");
	has_none("d/after", ACCESS);
	mode_is(0644, "d/after");
	has("d/with", ACCESS, made(6, 4, 0));
}

static void umask_counts(void **state)
{
	static const mode_t masks[] = { 0, 022, 027, 077, 0777 };
	char name[16];

	(void)state;
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		umask(masks[i]);
		snprintf(name, sizeof(name), "f%zu", i);
		ok(close((int)ok(open(name, O_RDWR | O_CREAT, 0666))));
		mode_is(0666 & ~masks[i], name);
		has_none(name, ACCESS);
		snprintf(name, sizeof(name), "d%zu", i);
		ok(mkdir(name, 01777));
		mode_is(01777 & ~masks[i], name);
		snprintf(name, sizeof(name), "p%zu", i);
		ok(mkfifo(name, 0666));
		mode_is(0666 & ~masks[i], name);
		snprintf(name, sizeof(name), "n%zu", i);
		ok(mknod(name, S_IFREG | 0666, 0));
		mode_is(0666 & ~masks[i], name);
		snprintf(name, sizeof(name), "l%zu", i);
		ok(symlink("x", name));
		mode_is(0777, name);
	}
}

static void make_in_shared(void *arg)
{
	(void)arg;
	umask(077);
	mt_put("d/f", "x");
	ok(mkdir("d/e", 0770));
}

/* The usual shared directory: set-gid, and a default that lets the group and another user in. */
static void shared_directory(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	ok(mkdir("d", 0755));
	ok(chown("d", 0, G1));
	ok(chmod("d", 02770));
	ok(set("d", DEFAULT,
	       LIST({ OWNER, 7, NONE }, { USER, 7, U2 }, { GROUP, 7, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE })));
	as(user(U1, G3, G1), make_in_shared, NULL);
	same(G1, mt_stat("d/f").st_gid);
	same(U1, mt_stat("d/f").st_uid);
	mode_is(0640, "d/f");
	mode_is(02770, "d/e");
	ok(rename("d/f", "f")); /* may() looks here */
	may(user(U1, G3), 6);
	may(user(U2, G3), 4);
	may(user(U3, G1), 4);
	may(user(U3, G3), 0);
	ok(chmod("f", 0660));
	may(user(U2, G3), 6);
	may(user(U3, G1), 6);
	has("d/e", DEFAULT,
	    LIST({ OWNER, 7, NONE }, { USER, 7, U2 }, { GROUP, 7, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE }));
}

/* ---- what was known before is not believed ---- */

struct asked {
	int questions, answers;
};

/* Tells for each byte that comes whether "f" can be read. */
static void ask_again(void *arg)
{
	const struct asked *asked = arg;
	char c;

	while (ok(read(asked->questions, &c, 1)) == 1) {
		int fd = open("f", O_RDONLY);

		c = fd >= 0 ? 'y' : errno == EACCES ? 'n' : '?';
		if (fd >= 0)
			ok(close(fd));
		same(1, write(asked->answers, &c, 1));
	}
}

static char can_read(int questions, int answers)
{
	char c = '.';

	same(1, write(questions, &c, 1));
	same(1, read(answers, &c, 1));
	return c;
}

static void seen_at_once(void **state)
{
	const struct list yes =
		LIST({ OWNER, 6, NONE }, { USER, 4, U1 }, { GROUP, 0, NONE }, { MASK, 4, NONE }, { OTHER, 0, NONE });
	const struct list no =
		LIST({ OWNER, 6, NONE }, { USER, 0, U1 }, { GROUP, 4, NONE }, { MASK, 4, NONE }, { OTHER, 4, NONE });
	int there[2], back[2];
	struct asked asked;
	struct who who = user(U1, G1);
	pid_t pid;

	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U2, G2, 0600);
	ok(link("f", "g"));
	ok(pipe(there));
	ok(pipe(back));
	asked = (struct asked){ there[0], back[1] };
	who.fn = ask_again;
	who.arg = &asked;
	ok(fcntl(there[1], F_SETFD, FD_CLOEXEC));
	pid = fork();
	if (pid == 0) {
		close(there[1]);
		become(&who);
		_exit(0);
	}
	ok(pid);
	for (unsigned i = 0; i < 20; i++) {
		same('n', can_read(there[1], back[0]));
		ok(set("f", ACCESS, yes));
		same('y', can_read(there[1], back[0]));
		ok(chmod("g", 0600)); /* by the other name: the mask falls */
		same('n', can_read(there[1], back[0]));
		ok(chmod("g", 0640));
		same('y', can_read(there[1], back[0]));
		ok(set("g", ACCESS, no));
		same('n', can_read(there[1], back[0]));
		ok(removexattr("f", ACCESS)); /* others have 4 */
		same('y', can_read(there[1], back[0]));
		ok(chmod("f", 0640));
		same('n', can_read(there[1], back[0]));
		ok(chmod("f", 0644));
		same('y', can_read(there[1], back[0]));
		ok(set("f", ACCESS, no));
		same('n', can_read(there[1], back[0]));
		ok(rename("g", "f2"));
		ok(rename("f2", "f")); /* the same file: nothing happens */
		ok(unlink("f2"));
		ok(link("f", "g"));
		same('n', can_read(there[1], back[0]));
		ok(set("f", ACCESS, yes));
		same('y', can_read(there[1], back[0]));
		ok(chown("f", U1, G1)); /* now the owner, whom the list gives 6 */
		same('y', can_read(there[1], back[0]));
		ok(chown("f", U2, G2));
		ok(set("f", ACCESS, no));
	}
	ok(close(there[1]));
	mt_join(pid);
	ok(close(there[0]));
	ok(close(back[0]));
	ok(close(back[1]));
}

/* A name that is another file now has that file's rights. */
static void of_another_file(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	for (unsigned i = 0; i < 10; i++) {
		file_of("f", U2, G2, 0640);
		ok(set("f", ACCESS,
		       LIST({ OWNER, 6, NONE }, { USER, 7, U1 }, { GROUP, 4, NONE }, { MASK, 7, NONE },
			    { OTHER, 0, NONE })));
		may(user(U1, G1), 7);
		file_of("g", U2, G2, 0640);
		ok(rename("g", "f"));
		may(user(U1, G1), 0);
		ok(unlink("f"));
	}
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
		CASE(owner_and_others),
		CASE(named_user_who_is_owner),
		CASE(groups),
		CASE(rights_of_two_groups),
		CASE(mask_limits),
		CASE(superuser),
		CASE(directories),
		CASE(at_random),
		CASE(who_may_set),
		CASE(setgid_falls),
		CASE(inherited_by_files),
		CASE(inherited_by_directories),
		CASE(inherited_by_others),
		CASE(inherited_without_name),
		CASE(inherited_as_mode),
		CASE(only_from_then_on),
		CASE(umask_counts),
		CASE(shared_directory),
		CASE(seen_at_once),
		CASE(of_another_file),
	};

	return cmocka_run_group_tests_name("acl", tests, NULL, NULL);
}
