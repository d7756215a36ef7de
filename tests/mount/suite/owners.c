/* SPDX-License-Identifier: MIT */
/* What being the owner gives: sticky directories, chown, chmod, times, links. */
#include "suite.h"

#include <linux/fs.h>
#include <stdio.h>
#include <sys/syscall.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* ---- sticky directories ---- */

/* Whom a thing may belong to, seen from the users. */
static const uid_t owners[] = { 0, 61001, 61002, FOREIGN };

static bool may_remove(int user, bool sticky, uid_t dir_uid, uid_t uid)
{
	return !sticky || user == ROOT || users[user].uid == dir_uid || users[user].uid == uid;
}

static void one_in_sticky(int user, const char *op_name, enum thing thing, bool sticky, uid_t dir_uid, uid_t uid)
{
	const struct op *op = op_find(op_name);
	char path[32];
	long got;

	snprintf(path, sizeof(path), "t/%s", scene_name(thing));
	be(user);
	got = op->run(path);
	be(ROOT);
	expect(may_remove(user, sticky, dir_uid, uid) ? 0 : -EPERM, got,
	       "%s of a %s of user %u by %s in a %s directory of user %u", op_name, thing_names[thing], uid,
	       users[user].name, sticky ? "sticky" : "plain", dir_uid);
	if (got == 0)
		scene_make("t", &(struct perm){ uid, FOREIGN, 0777 });
}

void rights_sticky(void)
{
	static const struct {
		const char *op;
		enum thing thing;
	} tries[] = {
		{ "unlink", FILE_ },         { "unlink", LINK_ },          { "unlink", FIFO_ },
		{ "rmdir", DIR_ },           { "rename_from", FILE_ },     { "rename_from", LINK_ },
		{ "rename_dir_from", DIR_ }, { "rename_to", FILE_ },       { "rename_to", FIFO_ },
		{ "rename_dir_to", DIR_ },   { "exchange_first", FILE_ },  { "exchange_second", FILE_ },
		{ "exchange_first", DIR_ },  { "exchange_second", LINK_ }, { "noreplace_from", FILE_ },
	};

	must(mkdir("t", 0777));
	for (int user = ROOT; user < USERS; user++)
		for (size_t o = 0; o < N(owners); o++) {
			scene_make("t", &(struct perm){ owners[o], FOREIGN, 0777 });
			for (int sticky = 0; sticky < 2; sticky++)
				for (size_t d = 0; d < N(owners); d++) {
					perm_set("t", &(struct perm){ owners[d], FOREIGN, sticky ? 01777 : 0777 });
					for (size_t t = 0; t < N(tries); t++)
						one_in_sticky(user, tries[t].op, tries[t].thing, sticky, owners[d],
							      owners[o]);
				}
		}
}

/* ---- chown ---- */

static const char *const chown_ways[] = { "chown", "lchown", "fchown", "fchownat \"\"" };

static long chown_by(size_t way, const char *path, int fd, uid_t uid, gid_t gid)
{
	switch (way) {
	case 0:
		return done(chown(path, uid, gid));
	case 1:
		return done(lchown(path, uid, gid));
	case 2:
		return done(fchown(fd, uid, gid));
	default:
		return done(fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
	}
}

/* Set-id bits fall by a chown, whoever does it: all of set-uid; set-gid where the group may execute (else the bit
 * means something else), or where the caller is not in the file's group. */
static mode_t after_chown(int user, const struct perm *perm, bool dir)
{
	mode_t mode = perm->mode;

	if (dir)
		return mode;
	mode &= ~(mode_t)S_ISUID;
	if (mode & S_IXGRP || (user != ROOT && !in_group(user, perm->gid)))
		mode &= ~(mode_t)S_ISGID;
	return mode;
}

static long may_chown(int user, const struct perm *perm, uid_t uid, gid_t gid, bool dir)
{
	const struct user *u = &users[user];
	const bool owns = u->uid == perm->uid;

	if (user == ROOT)
		return 0;
	if (uid != (uid_t)-1 && !(owns && uid == perm->uid))
		return -EPERM;
	if (gid != (gid_t)-1 && !(owns && (in_group(user, gid) || gid == perm->gid)))
		return -EPERM;
	/* nothing to change: but bits that would fall are the owner's to take */
	if (!owns && after_chown(user, perm, dir) != perm->mode)
		return -EPERM;
	return 0;
}

static void one_chown(int user, enum thing thing, const struct perm *perm, uid_t uid, gid_t gid, size_t way)
{
	const char *path = scene_name(thing);
	const bool dir = thing == DIR_;
	/* Set-gid without group execution means something else, and whether it falls depends on the kernel's age. FUSE can't
	 * tell in which groups the caller is: the bit may stay. */
	const bool open_question = (perm->mode & (S_ISGID | S_IXGRP)) == S_ISGID;
	long want = may_chown(user, perm, uid, gid, dir), got;
	struct perm after = *perm;
	struct stat st;
	int fd;
	bool good;

	if (open_question && uid == (uid_t)-1 && gid == (gid_t)-1)
		return;
	perm_set(path, perm);
	fd = (int)must(open(path, way == 3 ? O_PATH : O_RDONLY | O_NONBLOCK));
	be(user);
	got = chown_by(way, path, fd, uid, gid);
	be(ROOT);
	must(close(fd));
	/* FUSE's side of the kernel lets others try that; then it must have changed nothing, but by whom may write. */
	if (want < 0 && got == 0 && uid == (uid_t)-1 && gid == (gid_t)-1 && !(perm->mode & (S_IWGRP | S_IWOTH))) {
		expect_mode(perm->mode, look(path).st_mode & 07777,
			    "mode after %s of a %s %u:%u %05o to no owner by %s", chown_ways[way], thing_names[thing],
			    perm->uid, perm->gid, perm->mode, users[user].name);
		return;
	}
	good = expect(want, got, "%s of a %s %u:%u %05o to %d:%d by %s", chown_ways[way], thing_names[thing], perm->uid,
		      perm->gid, perm->mode, (int)uid, (int)gid, users[user].name);
	if (want == 0) {
		after.mode = after_chown(user, perm, dir);
		after.uid = uid == (uid_t)-1 ? perm->uid : uid;
		after.gid = gid == (gid_t)-1 ? perm->gid : gid;
	}
	if (!good)
		return;
	st = look(path);
	if (open_question)
		after.mode = (after.mode & ~(mode_t)S_ISGID) | (st.st_mode & S_ISGID);
	expect_mode(after.mode, st.st_mode & 07777, "mode after %s of a %s %u:%u %05o to %d:%d by %s", chown_ways[way],
		    thing_names[thing], perm->uid, perm->gid, perm->mode, (int)uid, (int)gid, users[user].name);
	expect_true(st.st_uid == after.uid && st.st_gid == after.gid,
		    "owner after %s of a %s %u:%u to %d:%d by %s is %u:%u and %u:%u is right", chown_ways[way],
		    thing_names[thing], perm->uid, perm->gid, (int)uid, (int)gid, users[user].name, st.st_uid,
		    st.st_gid, after.uid, after.gid);
}

void rights_chown(void)
{
	static const enum thing things[] = { FILE_, DIR_, FIFO_ };
	static const mode_t modes[] = { 0755, 06755, 04711, 02745, 02711 };
	static const uid_t from[] = { 61001, FOREIGN };
	static const gid_t from_group[] = { 61001, FOREIGN };
	static const uid_t to[] = { (uid_t)-1, 0, 61001, 61002 };
	static const gid_t to_group[] = { (gid_t)-1, 0, 61001, TEAM, CLUB, FOREIGN };
	size_t way = 0;

	scene_make(".", NULL);
	for (int user = ROOT; user < USERS; user++)
		for (size_t i = 0; i < N(things) * N(modes) * N(from) * N(from_group); i++) {
			size_t k = i;
			enum thing thing = things[k % N(things)];
			struct perm perm = { 0 };

			k /= N(things);
			perm.mode = modes[k % N(modes)];
			k /= N(modes);
			perm.uid = from[k % N(from)];
			perm.gid = from_group[k / N(from)];
			for (size_t u = 0; u < N(to); u++)
				for (size_t g = 0; g < N(to_group); g++)
					one_chown(user, thing, &perm, to[u], to_group[g], way++ % N(chown_ways));
		}
	/* a link itself */
	for (int user = ROOT; user < USERS; user++)
		for (size_t g = 0; g < N(to_group); g++) {
			struct perm perm = { 61001, FOREIGN, 0777 };
			long want = may_chown(user, &perm, (uid_t)-1, to_group[g], false);

			perm_set("l", &perm);
			be(user);
			expect(want, done(lchown("l", (uid_t)-1, to_group[g])), "lchown of a link to group %d by %s",
			       (int)to_group[g], users[user].name);
			be(ROOT);
			expect_equal(want == 0 && to_group[g] != (gid_t)-1 ? to_group[g] : FOREIGN, look("l").st_gid,
				     "group of a link after lchown to group %d by %s", (int)to_group[g],
				     users[user].name);
		}
}

/* ---- chmod ---- */

static const char *const chmod_ways[] = { "chmod", "fchmod", "fchmodat" };

static long chmod_by(size_t way, const char *path, int fd, mode_t mode)
{
	if (way == 0)
		return done(chmod(path, mode));
	return way == 1 ? done(fchmod(fd, mode)) : done(fchmodat(AT_FDCWD, path, mode, 0));
}

static void one_chmod(int user, enum thing thing, const struct perm *perm, mode_t mode, size_t way)
{
	const char *path = scene_name(thing);
	const bool may_it = user == ROOT || users[user].uid == perm->uid;
	mode_t after = perm->mode;
	int fd;

	perm_set(path, perm);
	fd = (int)must(open(path, O_RDONLY | O_NONBLOCK));
	be(user);
	expect(may_it ? 0 : -EPERM, chmod_by(way, path, fd, mode), "%s to %05o of a %s %u:%u by %s", chmod_ways[way],
	       mode, thing_names[thing], perm->uid, perm->gid, users[user].name);
	be(ROOT);
	must(close(fd));
	if (may_it) {
		after = mode;
		if (user != ROOT && !in_group(user, perm->gid))
			after &= ~(mode_t)S_ISGID;
	}
	expect_mode(after, look(path).st_mode & 07777, "mode after %s to %05o of a %s %u:%u by %s", chmod_ways[way],
		    mode, thing_names[thing], perm->uid, perm->gid, users[user].name);
}

void rights_chmod(void)
{
	static const enum thing things[] = { FILE_, DIR_, FIFO_ };
	static const mode_t modes[] = { 0,     0644,  0777,  01777, 02755, 02745, 04755,
					04644, 06777, 07777, 01000, 02000, 04000, 0111 };
	static const gid_t groups[] = { 0, 61001, TEAM, CLUB, FOREIGN };
	static const uid_t uids[] = { 0, 61001, FOREIGN };
	size_t way = 0;

	scene_make(".", NULL);
	for (int user = ROOT; user < USERS; user++)
		for (size_t t = 0; t < N(things); t++)
			for (size_t u = 0; u < N(uids); u++)
				for (size_t g = 0; g < N(groups); g++)
					for (size_t m = 0; m < N(modes); m++)
						one_chmod(user, things[t], &(struct perm){ uids[u], groups[g], 0750 },
							  modes[m], way++ % N(chmod_ways));
	expect_either(-EOPNOTSUPP, -ENOSYS, done(syscall(SYS_fchmodat2, AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW)),
		      "fchmodat2 of a link itself");
	expect_mode(S_IFLNK | 0777, look("l").st_mode, "mode of a link");
}

/* ---- utimensat ---- */

static const struct {
	const char *name;
	bool null;
	long atime, mtime; /* nanoseconds: explicit, UTIME_NOW or UTIME_OMIT */
	enum { EXPLICIT, NOW, NOTHING } kind;
} times_given[] = {
	{ "NULL", true, 0, 0, NOW },
	{ "now, now", false, UTIME_NOW, UTIME_NOW, NOW },
	{ "omit, omit", false, UTIME_OMIT, UTIME_OMIT, NOTHING },
	{ "now, omit", false, UTIME_NOW, UTIME_OMIT, EXPLICIT },
	{ "omit, now", false, UTIME_OMIT, UTIME_NOW, EXPLICIT },
	{ "explicit, explicit", false, 1, 2, EXPLICIT },
	{ "explicit, omit", false, 1, UTIME_OMIT, EXPLICIT },
	{ "omit, explicit", false, UTIME_OMIT, 1, EXPLICIT },
	{ "now, explicit", false, UTIME_NOW, 1, EXPLICIT },
	{ "explicit, now", false, 1, UTIME_NOW, EXPLICIT },
};

static long may_utimes(int user, const struct perm *perm, size_t i)
{
	const bool owns = user == ROOT || users[user].uid == perm->uid;

	if (owns || times_given[i].kind == NOTHING)
		return 0;
	if (times_given[i].kind == EXPLICIT)
		return -EPERM;
	return may(user, perm, 2, false) ? 0 : -EACCES;
}

static void one_utimes(int user, enum thing thing, const struct perm *perm, size_t i, bool by_fd)
{
	const struct timespec t[2] = { { 100, times_given[i].atime }, { 100, times_given[i].mtime } };
	const char *path = scene_name(thing);
	int fd = (int)must(open(path, O_RDONLY | O_NONBLOCK));
	long got;

	be(user);
	got = by_fd ? done(futimens(fd, times_given[i].null ? NULL : t))
		    : done(utimensat(AT_FDCWD, path, times_given[i].null ? NULL : t, 0));
	be(ROOT);
	must(close(fd));
	expect(may_utimes(user, perm, i), got, "%s {%s} of a %s %u:%u %03o by %s", by_fd ? "futimens" : "utimensat",
	       times_given[i].name, thing_names[thing], perm->uid, perm->gid, perm->mode, users[user].name);
}

void rights_utimes(void)
{
	static const enum thing things[] = { FILE_, DIR_, FIFO_ };

	scene_make(".", NULL);
	for (int user = ROOT; user < USERS; user++)
		for (size_t t = 0; t < N(things); t++)
			for (enum file_class cls = user == ROOT ? OTHER : OWNER; cls < CLASSES; cls++)
				for (int rwx = 0; rwx < 8; rwx += 2) {
					struct perm perm = perm_of_class(user, cls, rwx);

					perm_set(scene_name(things[t]), &perm);
					for (size_t i = 0; i < 2 * N(times_given); i++)
						one_utimes(user, things[t], &perm, i / 2, i % 2);
				}
}

/* ---- links ---- */

/* With fs.protected_hardlinks one may link what one owns, or a regular file without set-id that one may write and read. */
static long may_link(int user, enum thing thing, const struct perm *perm)
{
	if (thing == DIR_)
		return -EPERM;
	if (sysctl("protected_hardlinks") != 1 || user == ROOT || users[user].uid == perm->uid)
		return 0;
	if (thing != FILE_ || perm->mode & S_ISUID || (perm->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return -EPERM;
	return may(user, perm, 6, false) ? 0 : -EPERM;
}

static void one_link(int user, enum thing thing, const struct perm *perm)
{
	const char *path = scene_name(thing);
	long want = may_link(user, thing, perm);

	perm_set(path, perm);
	be(user);
	expect(want, done(link(path, "to/new")), "link to a %s %u:%u %05o by %s", thing_names[thing], perm->uid,
	       perm->gid, perm->mode, users[user].name);
	be(ROOT);
	if (want == 0 && exists("to/new")) {
		expect_equal(look(path).st_ino, look("to/new").st_ino, "inode of a link to a %s", thing_names[thing]);
		expect_equal(2, look(path).st_nlink, "links of a linked %s", thing_names[thing]);
	}
	wipe("to/new");
}

/* What a link of somebody else leads to in a sticky directory where all may write (fs.protected_symlinks). */
static void followed_in_sticky(int user, uid_t dir_uid, uid_t link_uid, mode_t dir_mode)
{
	const bool careful = sysctl("protected_symlinks") == 1 && (dir_mode & 01002) == 01002;
	const bool trusted = users[user].uid == link_uid || dir_uid == link_uid;
	struct stat st;

	wipe("st");
	must(mkdir("st", 0777));
	perm_set("st", &(struct perm){ dir_uid, FOREIGN, dir_mode });
	must(symlink("../f", "st/l"));
	must(lchown("st/l", link_uid, FOREIGN));
	be(user);
	expect(careful && !trusted ? -EACCES : 0, done(stat("st/l", &st)),
	       "following a link of %u in a directory of %u, mode %05o, by %s", link_uid, dir_uid, dir_mode,
	       users[user].name);
	expect(0, done(lstat("st/l", &st)), "lstat of a link of %u in a directory of %u, mode %05o, by %s", link_uid,
	       dir_uid, dir_mode, users[user].name);
	be(ROOT);
}

void rights_links(void)
{
	static const enum thing things[] = { FILE_, DIR_, LINK_, FIFO_, SOCK_ };
	static const mode_t modes[] = { 0777, 0666, 0644, 0600, 0444, 0222, 04777, 02777, 02767, 01777 };
	static const mode_t dir_modes[] = { 0777, 01777, 01775 };

	scene_make(".", NULL);
	must(mkdir("to", 0777));
	must(chmod("to", 0777));
	for (int user = ROOT; user < USERS; user++) {
		for (size_t t = 0; t < N(things); t++)
			for (size_t m = 0; m < N(modes); m++)
				for (size_t u = 0; u < N(owners); u++)
					one_link(user, things[t], &(struct perm){ owners[u], FOREIGN, modes[m] });
		for (size_t d = 0; d < N(owners); d++)
			for (size_t u = 0; u < N(owners); u++)
				for (size_t m = 0; m < N(dir_modes); m++)
					followed_in_sticky(user, owners[d], owners[u], dir_modes[m]);
	}
}
