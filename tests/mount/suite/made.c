/* SPDX-License-Identifier: MIT */
/* Owner, group and mode of what is made. */
#include "suite.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static long make_open(const char *path, mode_t mode)
{
	return opened(open(path, O_WRONLY | O_CREAT | O_EXCL, mode));
}

static long make_open_ro(const char *path, mode_t mode)
{
	return opened(open(path, O_RDONLY | O_CREAT, mode));
}

static long make_dir(const char *path, mode_t mode)
{
	return done(mkdir(path, mode));
}

static long make_fifo(const char *path, mode_t mode)
{
	return done(mkfifo(path, mode));
}

static long make_node(const char *path, mode_t mode)
{
	return done(mknod(path, S_IFREG | mode, 0));
}

static long make_device(const char *path, mode_t mode)
{
	return done(mknod(path, S_IFBLK | mode, makedev(7, 200)));
}

/* Has no mode of its own: all bits. */
static long make_bound(const char *path, mode_t mode)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = (int)must(socket(AF_UNIX, SOCK_STREAM, 0));
	long r;

	(void)mode;
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	r = done(bind(s, (struct sockaddr *)&a, sizeof(a)));
	must(close(s));
	return r;
}

static long make_link(const char *path, mode_t mode)
{
	(void)mode;
	return done(symlink("nowhere", path));
}

enum way { OPEN, OPEN_RO, MKDIR, MKFIFO, MKNOD, DEVICE, BIND, SYMLINK, WAYS };

static const struct {
	const char *name;
	long (*make)(const char *path, mode_t mode);
	mode_t type;
	mode_t bits; /* that it takes of the mode */
} ways[WAYS] = {
	{ "open", make_open, S_IFREG, 07777 },  { "open read-only", make_open_ro, S_IFREG, 07777 },
	{ "mkdir", make_dir, S_IFDIR, 01777 },  { "mkfifo", make_fifo, S_IFIFO, 07777 },
	{ "mknod", make_node, S_IFREG, 07777 }, { "mknod of a device", make_device, S_IFBLK, 07777 },
	{ "bind", make_bound, S_IFSOCK, 0 },    { "symlink", make_link, S_IFLNK, 0 },
};

static mode_t mode_made(int user, enum way way, mode_t mode, mode_t mask, const struct perm *dir)
{
	if (way == SYMLINK)
		return S_IFLNK | 0777;
	if (way == BIND)
		return S_IFSOCK | (0777 & ~mask);
	mode &= ways[way].bits;
	if (dir->mode & S_ISGID) {
		if (way == MKDIR)
			mode |= S_ISGID;
		/* nobody gets a program with the rights of a group that he is not in */
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && user != ROOT &&
			 !in_group(user, dir->gid))
			mode &= ~(mode_t)S_ISGID;
	}
	return ways[way].type | (mode & ~mask);
}

static void one_made(int user, enum way way, mode_t mode, mode_t mask, const struct perm *dir)
{
	struct stat st;
	long got;

	be(user);
	umask(mask);
	got = ways[way].make("in/new", mode);
	umask(022);
	be(ROOT);
	if (user != ROOT && way == DEVICE) {
		expect(-EPERM, got, "%s by %s", ways[way].name, users[user].name);
		return;
	}
	if (!expect(0, got, "%s %05o, umask %03o, by %s in a directory of group %u and mode %05o", ways[way].name, mode,
		    mask, users[user].name, dir->gid, dir->mode))
		return;
	st = look("in/new");
	expect_mode(mode_made(user, way, mode, mask, dir), st.st_mode,
		    "mode after %s %05o, umask %03o, by %s in a directory of group %u and mode %05o", ways[way].name,
		    mode, mask, users[user].name, dir->gid, dir->mode);
	expect_equal(users[user].uid, st.st_uid, "owner after %s by %s", ways[way].name, users[user].name);
	expect_equal(dir->mode & S_ISGID ? dir->gid : users[user].gid, st.st_gid,
		     "group after %s by %s in a directory of group %u and mode %05o", ways[way].name, users[user].name,
		     dir->gid, dir->mode);
	if (way == DEVICE)
		expect_equal((long long)makedev(7, 200), (long long)st.st_rdev, "device after %s", ways[way].name);
	must(remove("in/new"));
}

void made_in_setgid_dirs(void)
{
	static const mode_t dir_modes[] = { 0777, 02777, 03777, 02707 };
	static const gid_t groups[] = { 61001, TEAM, FOREIGN };
	static const mode_t modes[] = { 0755, 02755, 02745, 06777, 01755, 04711 };

	must(mkdir("in", 0777));
	for (size_t d = 0; d < N(dir_modes); d++)
		for (size_t g = 0; g < N(groups); g++) {
			struct perm dir = { FOREIGN, groups[g], dir_modes[d] };

			perm_set("in", &dir);
			for (int user = ROOT; user < USERS; user++) {
				if (!may(user, &dir, 3, true))
					continue;
				for (enum way way = 0; way < WAYS; way++)
					for (size_t m = 0; m < N(modes); m++)
						one_made(user, way, modes[m], 022, &dir);
			}
		}
}

void made_with_umask(void)
{
	static const mode_t masks[] = { 0, 022, 027, 077, 0111, 0222, 0444, 0777 };
	static const mode_t modes[] = { 0, 0777, 0666, 0644, 0400, 0111, 01777, 02777, 04777, 07777, 0002 };
	const struct perm dir = { FOREIGN, FOREIGN, 0777 };

	must(mkdir("in", 0777));
	perm_set("in", &dir);
	for (int user = ROOT; user < USERS; user++)
		for (size_t k = 0; k < N(masks); k++)
			for (size_t m = 0; m < N(modes); m++)
				for (enum way way = 0; way < SYMLINK; way++)
					one_made(user, way, modes[m], masks[k], &dir);
}
