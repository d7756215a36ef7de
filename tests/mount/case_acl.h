/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_CASE_ACL_H
#define LSMFS_CASE_ACL_H
/* case_acl - what the cases of access control lists share: lists in the kernel's form, and who asks. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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

static inline struct list list_of(const struct entry *entries, size_t n)
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

static inline int set(const char *path, const char *name, struct list list)
{
	return setxattr(path, name, list.data, list.size, 0);
}

/* The file has this list. */
#define has(path, name, list) has_at(path, name, list, __LINE__)
static inline void has_at(const char *path, const char *name, struct list want, int line)
{
	char got[sizeof(want.data)];
	ssize_t size = mt_ok(getxattr(path, name, got, sizeof(got)), path, __FILE__, line);

	mt_same((long long)want.size, size, "size of the list", __FILE__, line);
	if (memcmp(got, want.data, want.size) != 0)
		mt_broken("the list has these entries", __FILE__, line);
}

static inline bool listed(const char *path, const char *name)
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

static inline mode_t mode_by_fd(int fd)
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

static inline void become(void *arg)
{
	const struct who *who = arg;

	ok(setgroups(who->n_more, who->more));
	ok(setresgid(who->gid, who->gid, who->gid));
	ok(setresuid(who->uid, who->uid, who->uid));
	who->fn(who->arg);
}

static inline void as(struct who who, void (*fn)(void *arg), void *arg)
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
static inline void rights_are(void *arg)
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

static inline void may(struct who who, int rights)
{
	as(who, rights_are, &rights);
}

static inline void file_of(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	mt_put(path, "text");
	ok(chown(path, uid, gid));
	ok(chmod(path, mode));
}

static inline struct list with_user(unsigned mask)
{
	return LIST({ OWNER, 6, NONE }, { USER, 7, U1 }, { GROUP, 4, NONE }, { MASK, mask, NONE }, { OTHER, 0, NONE });
}

#endif
