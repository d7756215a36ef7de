/* SPDX-License-Identifier: MIT */
/* Extended attributes: names, values, lists, namespaces, and who may. */
#include "suite.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* ---- by path, by path of a link, by descriptor ---- */

enum by { PATH, LPATH, FD, BYS };

static const char *const by_names[BYS] = { "", "l", "f" };

static long set(enum by by, const char *path, const char *name, const void *value, size_t size, int flags)
{
	int fd;
	long r;

	if (by == PATH)
		return rc(setxattr(path, name, value, size, flags));
	if (by == LPATH)
		return rc(lsetxattr(path, name, value, size, flags));
	fd = open(path, O_RDONLY | O_NONBLOCK);
	r = rc(fsetxattr(fd, name, value, size, flags));
	if (fd >= 0)
		close(fd);
	return r;
}

static long get(enum by by, const char *path, const char *name, void *value, size_t size)
{
	int fd;
	long r;

	if (by == PATH)
		return rc(getxattr(path, name, value, size));
	if (by == LPATH)
		return rc(lgetxattr(path, name, value, size));
	fd = open(path, O_RDONLY | O_NONBLOCK);
	r = rc(fgetxattr(fd, name, value, size));
	if (fd >= 0)
		close(fd);
	return r;
}

static long names_of(enum by by, const char *path, char *list, size_t size)
{
	int fd;
	long r;

	if (by == PATH)
		return rc(listxattr(path, list, size));
	if (by == LPATH)
		return rc(llistxattr(path, list, size));
	fd = open(path, O_RDONLY | O_NONBLOCK);
	r = rc(flistxattr(fd, list, size));
	if (fd >= 0)
		close(fd);
	return r;
}

static long take(enum by by, const char *path, const char *name)
{
	int fd;
	long r;

	if (by == PATH)
		return rc(removexattr(path, name));
	if (by == LPATH)
		return rc(lremovexattr(path, name));
	fd = open(path, O_RDONLY | O_NONBLOCK);
	r = rc(fremovexattr(fd, name));
	if (fd >= 0)
		close(fd);
	return r;
}

static bool in_list(const char *list, long size, const char *name)
{
	for (long at = 0; at < size; at += (long)strlen(list + at) + 1)
		if (strcmp(list + at, name) == 0)
			return true;
	return false;
}

/* ---- rules ---- */

static void life(enum by by, const char *path)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 64, 255, 256, 1000, 2000, 3000 };
	const char *w = by_names[by];
	char value[4000], got[4000], list[4000];

	memset(value, 'v', sizeof(value));
	expect(-ENODATA, get(by, path, "user.a", got, sizeof(got)), "%sgetxattr of what is not there, %s", w, path);
	expect(-ENODATA, take(by, path, "user.a"), "%sremovexattr of what is not there, %s", w, path);
	expect(-ENODATA, set(by, path, "user.a", "1", 1, XATTR_REPLACE), "%ssetxattr XATTR_REPLACE of nothing, %s", w,
	       path);
	expect(0, set(by, path, "user.a", "1", 1, XATTR_CREATE), "%ssetxattr XATTR_CREATE, %s", w, path);
	expect(-EEXIST, set(by, path, "user.a", "2", 1, XATTR_CREATE), "%ssetxattr XATTR_CREATE again, %s", w, path);
	expect(1, get(by, path, "user.a", got, sizeof(got)), "%sgetxattr, %s", w, path);
	expect_true(got[0] == '1', "value after a setxattr that failed, %s", path);
	expect(0, set(by, path, "user.a", "22", 2, XATTR_REPLACE), "%ssetxattr XATTR_REPLACE, %s", w, path);
	expect(-EINVAL, set(by, path, "user.a", "2", 1, 8), "%ssetxattr with a flag of nobody, %s", w, path);
	expect(2, get(by, path, "user.a", NULL, 0), "%sgetxattr of the size, %s", w, path);
	expect(-ERANGE, get(by, path, "user.a", got, 1), "%sgetxattr into too little room, %s", w, path);
	expect(2, get(by, path, "user.a", got, 2), "%sgetxattr into just enough room, %s", w, path);
	for (size_t i = 0; i < N(sizes); i++) {
		expect(0, set(by, path, "user.size", value, sizes[i], 0), "%ssetxattr of %zu bytes, %s", w, sizes[i],
		       path);
		memset(got, 0, sizeof(got));
		expect((long)sizes[i], get(by, path, "user.size", got, sizeof(got)), "%sgetxattr of %zu bytes, %s", w,
		       sizes[i], path);
		expect_true(memcmp(value, got, sizes[i]) == 0, "value of %zu bytes, %s", sizes[i], path);
		expect((long)sizes[i], get(by, path, "user.size", NULL, 0), "%sgetxattr of the size of %zu bytes, %s",
		       w, sizes[i], path);
	}
	expect(17, names_of(by, path, NULL, 0), "%slistxattr of the size, %s", w, path);
	expect(-ERANGE, names_of(by, path, list, 16), "%slistxattr into too little room, %s", w, path);
	expect(17, names_of(by, path, list, 17), "%slistxattr into just enough room, %s", w, path);
	expect_true(in_list(list, 17, "user.a") && in_list(list, 17, "user.size"), "%slistxattr has both names, %s", w,
		    path);
	expect(0, take(by, path, "user.a"), "%sremovexattr, %s", w, path);
	expect(-ENODATA, get(by, path, "user.a", got, sizeof(got)), "%sgetxattr of what was removed, %s", w, path);
	expect(10, names_of(by, path, list, sizeof(list)), "%slistxattr of what is left, %s", w, path);
	expect(0, take(by, path, "user.size"), "%sremovexattr of the last, %s", w, path);
	expect(0, names_of(by, path, list, sizeof(list)), "%slistxattr of nothing, %s", w, path);
}

static void bad_names(const char *path)
{
	char *just = calloc(1, 65537), got[8];
	static const struct {
		const char *name;
		long set, get, take;
	} bad[] = {
		{ "", -ERANGE, -ERANGE, -ERANGE },
		{ "user", -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP },
		{ "user.", -EINVAL, -EINVAL, -EINVAL },
		{ "usera.b", -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP },
		{ "nothing.a", -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP },
		{ "a", -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP },
		{ "USER.a", -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP },
		{ "trusted.", -EINVAL, -EINVAL, -EINVAL },
		{ "security.", -EINVAL, -EINVAL, -EINVAL },
		{ "system.none", -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP },
		{ ".user.a", -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP },
	};
	static const char *const good[] = {
		"user.A",          "user.a",           "user.a.b",   "user..",  "user. ",
		"user.\xff\xfe",   "user.caf\xc3\xa9", "user.a/b",   "user.\n", "user.user.a",
		"user.security.x", "trusted.t",        "security.s",
	};

	must(just ? 0 : -1);
	for (enum by by = PATH; by < BYS; by++) {
		for (size_t i = 0; i < N(bad); i++) {
			expect(bad[i].set, set(by, path, bad[i].name, "1", 1, 0), "%ssetxattr \"%s\" of %s",
			       by_names[by], bad[i].name, path);
			expect(bad[i].get, get(by, path, bad[i].name, got, sizeof(got)), "%sgetxattr \"%s\" of %s",
			       by_names[by], bad[i].name, path);
			expect(bad[i].take, take(by, path, bad[i].name), "%sremovexattr \"%s\" of %s", by_names[by],
			       bad[i].name, path);
		}
		for (size_t i = 0; i < N(good); i++) {
			expect(0, set(by, path, good[i], "g", 1, XATTR_CREATE), "%ssetxattr \"%s\" of %s", by_names[by],
			       good[i], path);
			expect(1, get(by, path, good[i], got, sizeof(got)), "%sgetxattr \"%s\" of %s", by_names[by],
			       good[i], path);
			expect(0, take(by, path, good[i]), "%sremovexattr \"%s\" of %s", by_names[by], good[i], path);
		}
		/* all lengths near the limit: with its prefix a name has 255 bytes */
		for (size_t n = 250; n <= 257; n++) {
			memset(just, 'n', n);
			memcpy(just, "user.", 5);
			just[n] = 0;
			expect(n <= 255 ? 0 : -ERANGE, set(by, path, just, "1", 1, 0),
			       "%ssetxattr with a name of %zu of %s", by_names[by], n, path);
			expect(n <= 255 ? 1 : -ERANGE, get(by, path, just, got, sizeof(got)),
			       "%sgetxattr with a name of %zu of %s", by_names[by], n, path);
			expect(n <= 255 ? 0 : -ERANGE, take(by, path, just), "%sremovexattr with a name of %zu of %s",
			       by_names[by], n, path);
		}
	}
	expect(-E2BIG, set(PATH, path, "user.big", just, 65537, 0), "setxattr of 65537 bytes of %s", path);
	free(just);
}

/* user.* is for files and directories only; other namespaces are for all. */
static void by_type(enum thing thing)
{
	const bool user = thing == FILE_ || thing == DIR_;
	const char *path = scene_name(thing);
	char got[64], list[200];

	expect(user ? 0 : -EPERM, set(LPATH, path, "user.a", "1", 1, 0), "lsetxattr user.a of a %s",
	       thing_names[thing]);
	expect(user ? 1 : -ENODATA, get(LPATH, path, "user.a", got, sizeof(got)), "lgetxattr user.a of a %s",
	       thing_names[thing]);
	expect(user ? 0 : -EPERM, take(LPATH, path, "user.a"), "lremovexattr user.a of a %s", thing_names[thing]);
	expect(0, set(LPATH, path, "trusted.a", "12", 2, 0), "lsetxattr trusted.a of a %s", thing_names[thing]);
	expect(2, get(LPATH, path, "trusted.a", got, sizeof(got)), "lgetxattr trusted.a of a %s", thing_names[thing]);
	expect(0, set(LPATH, path, "security.a", "123", 3, 0), "lsetxattr security.a of a %s", thing_names[thing]);
	expect(3, get(LPATH, path, "security.a", got, sizeof(got)), "lgetxattr security.a of a %s", thing_names[thing]);
	expect(21, names_of(LPATH, path, list, sizeof(list)), "llistxattr of a %s", thing_names[thing]);
	expect(0, take(LPATH, path, "trusted.a"), "lremovexattr trusted.a of a %s", thing_names[thing]);
	expect(0, take(LPATH, path, "security.a"), "lremovexattr security.a of a %s", thing_names[thing]);
}

static void stay_with_the_file(void)
{
	char got[64];
	int fd;

	make_file("stay", "x");
	must(setxattr("stay", "user.a", "kept", 4, 0));
	must(rename("stay", "renamed"));
	expect(4, rc(getxattr("renamed", "user.a", got, sizeof(got))), "getxattr after a rename");
	must(link("renamed", "stay"));
	must(setxattr("stay", "user.b", "b", 1, 0));
	expect(1, rc(getxattr("renamed", "user.b", got, sizeof(got))), "getxattr by another name of the file");
	must(chmod("stay", 0600));
	make_file("stay", "written again");
	must(truncate("stay", 0));
	expect(4, rc(getxattr("renamed", "user.a", got, sizeof(got))), "getxattr after writes and truncates");
	must(symlink("stay", "link"));
	expect(4, rc(getxattr("link", "user.a", got, sizeof(got))), "getxattr by a link");
	expect(-ENODATA, rc(lgetxattr("link", "user.a", got, sizeof(got))), "lgetxattr of the link");
	fd = (int)must(open("stay", O_RDONLY));
	must(unlink("stay"));
	must(unlink("renamed"));
	expect(4, rc(fgetxattr(fd, "user.a", got, sizeof(got))), "fgetxattr of a removed file");
	must(close(fd));
	make_file("stay", "x");
	expect(-ENODATA, rc(getxattr("stay", "user.a", got, sizeof(got))), "a new file of the name has none");
	expect(0, rc(listxattr("stay", got, sizeof(got))), "and its list is empty");
	must(mkdir("dir", 0755));
	must(setxattr("dir", "user.d", "d", 1, 0));
	make_file("dir/f", "x");
	expect(-ENODATA, rc(getxattr("dir/f", "user.d", got, sizeof(got))), "a file has not its directory's");
	wipe("dir/f");
	expect(1, rc(getxattr("dir", "user.d", got, sizeof(got))), "a directory keeps its own");
}

static void many_on_one(void)
{
	enum { ATTRIBUTES = 60 };
	char name[32], value[32], got[32], list[4000];
	long size;

	make_file("m", "x");
	for (int i = 0; i < ATTRIBUTES; i++) {
		snprintf(name, sizeof(name), "user.n%d", i);
		snprintf(value, sizeof(value), "v%d", i * 7);
		must(setxattr("m", name, value, strlen(value), 0));
	}
	size = must(listxattr("m", list, sizeof(list)));
	for (int i = 0; i < ATTRIBUTES; i++) {
		snprintf(name, sizeof(name), "user.n%d", i);
		snprintf(value, sizeof(value), "v%d", i * 7);
		expect((long)strlen(value), rc(getxattr("m", name, got, sizeof(got))), "getxattr of one of %d",
		       ATTRIBUTES);
		expect_true(memcmp(value, got, strlen(value)) == 0, "value %d of %d", i, ATTRIBUTES);
		expect_true(in_list(list, size, name), "name %d of %d is listed", i, ATTRIBUTES);
	}
	for (int i = 0; i < ATTRIBUTES; i += 2) {
		snprintf(name, sizeof(name), "user.n%d", i);
		must(removexattr("m", name));
	}
	size = must(listxattr("m", list, sizeof(list)));
	for (int i = 0; i < ATTRIBUTES; i++) {
		snprintf(name, sizeof(name), "user.n%d", i);
		expect_true(in_list(list, size, name) == (i % 2 == 1), "name %d of %d after every other was removed", i,
			    ATTRIBUTES);
	}
}

/* Who reads sees the old value or the new one, whole. */
static void replaced_at_once(void)
{
	enum { ROUNDS = 400 };
	unsigned bad = 0;
	char value[500], got[600];
	int status;
	pid_t pid;

	make_file("r", "x");
	memset(value, 'a', sizeof(value));
	must(setxattr("r", "user.v", value, 100, 0));
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < ROUNDS; i++) {
			memset(value, i % 2 ? 'a' : 'b', sizeof(value));
			must(setxattr("r", "user.v", value, i % 2 ? 100 : 500, 0));
		}
		_exit(0);
	}
	must(pid);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		ssize_t n = getxattr("r", "user.v", got, sizeof(got));

		if (n != 100 && n != 500)
			bad++;
		for (ssize_t i = 0; i < n; i++)
			bad += got[i] != (n == 100 ? 'a' : 'b');
	}
	expect_equal(0, bad, "values that were neither the old nor the new");
}

void xattr_rules(void)
{
	scene_make(".", NULL);
	make(DEV_, "c", NULL);
	must(removexattr("f", "user.x"));
	for (enum by by = PATH; by < BYS; by++) {
		life(by, "f");
		life(by, "d");
	}
	bad_names("f");
	bad_names("d");
	for (enum thing t = FILE_; t <= DEV_; t++)
		by_type(t);
	stay_with_the_file();
	many_on_one();
	replaced_at_once();
}

/* ---- rights ---- */

static void user_rights(int user, enum thing thing, const struct perm *perm)
{
	const char *path = scene_name(thing);
	const bool dir = thing == DIR_, reads = may(user, perm, 4, dir), writes = may(user, perm, 2, dir);
	/* in a sticky directory only its owner may */
	const bool sticky = dir && perm->mode & S_ISVTX && user != ROOT && users[user].uid != perm->uid;
	const long write = sticky ? -EPERM : writes ? 0 : -EACCES;
	char got[8], list[100];

	perm_set(path, perm);
	must(setxattr(path, "user.r", "1", 1, 0));
	be(user);
	expect(reads ? 1 : -EACCES, rc(getxattr(path, "user.r", got, sizeof(got))),
	       "getxattr of a %s of %05o, %u:%u, by %s", thing_names[thing], perm->mode, perm->uid, perm->gid,
	       users[user].name);
	expect(write, rc(setxattr(path, "user.w", "1", 1, 0)), "setxattr of a %s of %05o, %u:%u, by %s",
	       thing_names[thing], perm->mode, perm->uid, perm->gid, users[user].name);
	expect(write, rc(removexattr(path, "user.r")), "removexattr of a %s of %05o, %u:%u, by %s", thing_names[thing],
	       perm->mode, perm->uid, perm->gid, users[user].name);
	expect(7, rc(listxattr(path, list, sizeof(list))), "listxattr of a %s of %05o, %u:%u, by %s",
	       thing_names[thing], perm->mode, perm->uid, perm->gid, users[user].name);
	be(ROOT);
	must(setxattr(path, "user.r", "1", 1, 0));
	(void)removexattr(path, "user.w");
}

/* trusted.* is root's alone: others neither see nor change it. security.* all may read, and root change. */
static void root_only(int user, enum thing thing)
{
	const char *path = scene_name(thing);
	const bool root = user == ROOT;
	char got[8], list[200];
	long size;

	perm_set(path, &(struct perm){ users[user].uid, users[user].gid, 0777 });
	must(lsetxattr(path, "trusted.t", "1", 1, 0));
	must(lsetxattr(path, "security.s", "1", 1, 0));
	be(user);
	expect(root ? 1 : -ENODATA, rc(lgetxattr(path, "trusted.t", got, sizeof(got))),
	       "getxattr trusted.t of a %s by %s", thing_names[thing], users[user].name);
	expect(root ? 0 : -EPERM, rc(lsetxattr(path, "trusted.t", "1", 1, 0)), "setxattr trusted.t of a %s by %s",
	       thing_names[thing], users[user].name);
	expect(root ? 0 : -EPERM, rc(lsetxattr(path, "trusted.new", "1", 1, 0)), "setxattr trusted.new of a %s by %s",
	       thing_names[thing], users[user].name);
	size = rc(llistxattr(path, list, sizeof(list)));
	expect_true(in_list(list, size, "trusted.t") == root, "listxattr of a %s by %s has trusted.t: %d",
		    thing_names[thing], users[user].name, root);
	expect_true(in_list(list, size, "security.s"), "listxattr of a %s by %s has security.s", thing_names[thing],
		    users[user].name);
	expect(size, rc(llistxattr(path, NULL, 0)), "listxattr of the size of a %s by %s", thing_names[thing],
	       users[user].name);
	expect(root ? 0 : -EPERM, rc(lremovexattr(path, "trusted.t")), "removexattr trusted.t of a %s by %s",
	       thing_names[thing], users[user].name);
	expect(1, rc(lgetxattr(path, "security.s", got, sizeof(got))), "getxattr security.s of a %s by %s",
	       thing_names[thing], users[user].name);
	expect(root ? 0 : -EPERM, rc(lsetxattr(path, "security.s", "1", 1, 0)), "setxattr security.s of a %s by %s",
	       thing_names[thing], users[user].name);
	expect(root ? 0 : -EPERM, rc(lremovexattr(path, "security.s")), "removexattr security.s of a %s by %s",
	       thing_names[thing], users[user].name);
	be(ROOT);
	(void)lremovexattr(path, "trusted.t");
	(void)lremovexattr(path, "trusted.new");
	(void)lremovexattr(path, "security.s");
}

static void capabilities(int user)
{
	const struct vfs_cap_data cap = { .magic_etc = VFS_CAP_REVISION_2,
					  .data = { { 1 << CAP_CHOWN, 0 }, { 0, 0 } } };
	char got[64];

	perm_set("f", &(struct perm){ users[user].uid, users[user].gid, 0777 });
	be(user);
	expect(user == ROOT ? 0 : -EPERM, rc(setxattr("f", "security.capability", &cap, sizeof(cap), 0)),
	       "setxattr security.capability by %s", users[user].name);
	expect_either(-EINVAL, -EPERM, rc(setxattr("f", "security.capability", "bad", 3, 0)),
		      "setxattr of a bad security.capability by %s", users[user].name);
	expect(user == ROOT ? (long)sizeof(cap) : -ENODATA, rc(getxattr("f", "security.capability", got, sizeof(got))),
	       "getxattr security.capability by %s", users[user].name);
	be(ROOT);
	(void)removexattr("f", "security.capability");
}

void xattr_rights(void)
{
	static const enum thing things[] = { FILE_, DIR_, LINK_, FIFO_, SOCK_, DEV_ };

	scene_make(".", NULL);
	make(DEV_, "c", NULL);
	must(removexattr("f", "user.x"));
	for (int user = ROOT; user < USERS; user++) {
		for (enum file_class cls = user == ROOT ? OTHER : OWNER; cls < CLASSES; cls++)
			for (int rwx = 0; rwx < 8; rwx++) {
				struct perm perm = perm_of_class(user, cls, rwx);

				user_rights(user, FILE_, &perm);
				user_rights(user, DIR_, &perm);
				perm.mode |= S_ISVTX;
				user_rights(user, FILE_, &perm);
				user_rights(user, DIR_, &perm);
			}
		for (size_t t = 0; t < N(things); t++)
			root_only(user, things[t]);
		capabilities(user);
	}
}
