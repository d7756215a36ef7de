/* SPDX-License-Identifier: MIT */
/* Set-uid and set-gid bits and capabilities fall when others than root change what a program does. */
#include "suite.h"

#include <linux/capability.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static char *aligned; /* 4096 bytes */

static long by_write(int fd)
{
	return done(write(fd, "y", 1));
}

static long by_pwrite(int fd)
{
	return done(pwrite(fd, "y", 1, 2));
}

static long by_writev(int fd)
{
	return done(pwritev2(fd, &(struct iovec){ aligned, 10 }, 1, 0, RWF_DSYNC));
}

static long by_large_write(int fd)
{
	static const char large[100000];

	return done(write(fd, large, sizeof(large)));
}

static long by_ftruncate(int fd)
{
	return done(ftruncate(fd, 3));
}

static long by_ftruncate_up(int fd)
{
	return done(ftruncate(fd, 30000));
}

static long by_fallocate(int fd)
{
	return done(fallocate(fd, 0, 0, 100000));
}

static long by_punch(int fd)
{
	return done(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5));
}

static long by_copy(int fd)
{
	return done(copy_file_range(fd, &(loff_t){ 0 }, fd, &(loff_t){ 8000 }, 5, 0));
}

static long by_truncate(int fd)
{
	(void)fd;
	return done(truncate("f", 4));
}

static long by_open_trunc(int fd)
{
	(void)fd;
	return opened(open("f", O_WRONLY | O_TRUNC));
}

static long by_direct_write(int fd)
{
	int direct = open("f", O_WRONLY | O_DIRECT);
	long r;

	(void)fd;
	if (direct < 0)
		return -errno;
	r = done(pwrite(direct, aligned, 4096, 0));
	must(close(direct));
	return r;
}

static long by_append(int fd)
{
	int append = open("f", O_WRONLY | O_APPEND);
	long r = done(write(append, "x", 1));

	(void)fd;
	must(close(append));
	return r;
}

static long by_nothing(int fd)
{
	return done(write(fd, "", 0));
}

static long by_read(int fd)
{
	char buf[8];

	return done(pread(fd, buf, sizeof(buf), 0));
}

static long by_fsync(int fd)
{
	return done(fsync(fd));
}

static long by_access(int fd)
{
	(void)fd;
	return done(access("f", W_OK));
}

static long by_utimens(int fd)
{
	return done(futimens(fd, NULL));
}

static const struct {
	const char *name;
	long (*run)(int fd);
	bool falls; /* for all but root */
} acts[] = {
	{ "write", by_write, true },
	{ "pwrite", by_pwrite, true },
	{ "pwritev2", by_writev, true },
	{ "large write", by_large_write, true },
	{ "append", by_append, true },
	{ "direct write", by_direct_write, true },
	{ "truncate", by_truncate, true },
	{ "ftruncate", by_ftruncate, true },
	{ "ftruncate up", by_ftruncate_up, true },
	{ "open with O_TRUNC", by_open_trunc, true },
	{ "fallocate", by_fallocate, true },
	{ "punch hole", by_punch, true },
	{ "copy_file_range", by_copy, true },
	{ "write of nothing", by_nothing, false },
	{ "read", by_read, false },
	{ "fsync", by_fsync, false },
	{ "access", by_access, false },
	{ "futimens", by_utimens, false },
};

static mode_t after_fall(mode_t mode)
{
	mode &= ~(mode_t)S_ISUID;
	return mode & S_IXGRP ? mode & ~(mode_t)S_ISGID : mode;
}

static void one_fall(int user, size_t act, uid_t owner, gid_t group, mode_t mode)
{
	const bool falls = acts[act].falls && user != ROOT;
	mode_t want = falls ? after_fall(mode) : mode, got;
	int fd;

	/* the file is made by its way, not by us: its attributes are cached or not as it happens */
	make_file("f", "0123456789");
	must(chown("f", owner, group));
	must(chmod("f", mode));
	be(user);
	fd = (int)must(open("f", O_RDWR));
	expect(0, acts[act].run(fd), "%s by %s", acts[act].name, users[user].name);
	be(ROOT);
	got = look("f").st_mode & 07777;
	/* that others than members of the group take set-gid without group execution is a matter of the kernel's age */
	if (falls && mode & S_ISGID && !(mode & S_IXGRP))
		got = (got & ~(mode_t)S_ISGID) | (want & S_ISGID);
	expect_mode(want, got, "mode %05o after %s by %s of a file of %u:%u", mode, acts[act].name, users[user].name,
		    owner, group);
	expect_mode(look("f").st_mode, look_fd(fd).st_mode, "fstat and stat agree after %s", acts[act].name);
	must(close(fd));
}

/* ---- capabilities ---- */

static void give_capability(const char *path)
{
	const struct vfs_cap_data cap = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data = { { 1 << CAP_CHOWN, 0 }, { 0, 0 } },
	};

	must(setxattr(path, "security.capability", &cap, sizeof(cap), 0));
}

/* Root's writes take them, too: nobody may bring a program into others' privileges. */
static void one_capability(int user, size_t act)
{
	char buf[64];
	int fd;

	make_file("f", "0123456789");
	must(chmod("f", 0777));
	give_capability("f");
	be(user);
	fd = (int)must(open("f", O_RDWR));
	must(acts[act].run(fd));
	be(ROOT);
	must(close(fd));
	expect(acts[act].falls ? -ENODATA : (long)sizeof(struct vfs_cap_data),
	       rc(getxattr("f", "security.capability", buf, sizeof(buf))), "capability after %s by %s", acts[act].name,
	       users[user].name);
}

static void capability_by_owner_change(void)
{
	char buf[64];

	make_file("f", "x");
	give_capability("f");
	must(chmod("f", 0755));
	expect((long)sizeof(struct vfs_cap_data), rc(getxattr("f", "security.capability", buf, sizeof(buf))),
	       "capability after chmod");
	must(rename("f", "f2"));
	must(link("f2", "f"));
	expect((long)sizeof(struct vfs_cap_data), rc(getxattr("f", "security.capability", buf, sizeof(buf))),
	       "capability after rename and link");
	must(chown("f", 61001, 61001));
	expect(-ENODATA, rc(getxattr("f", "security.capability", buf, sizeof(buf))), "capability after chown");
	wipe("f2");
}

/* By a mapping nothing is told: only that it may not be lost is certain. */
static void falls_by_mapping(void)
{
	char *at;
	int fd;

	make_file("f", "0123456789");
	must(chmod("f", 06777));
	be(ANN);
	fd = (int)must(open("f", O_RDWR));
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(at == MAP_FAILED ? -1 : 0);
	at[0] = 'm';
	must(msync(at, 4096, MS_SYNC));
	must(munmap(at, 4096));
	be(ROOT);
	must(close(fd));
	expect_mode(0777, look("f").st_mode & 0777, "mode after a write by a mapping");
}

void setid_falls(void)
{
	static const mode_t modes[] = { 06777, 04777, 02777, 02767, 06766, 0777, 01777 };
	static const uid_t owners[] = { 0, 61001 };
	static const gid_t groups[] = { 0, TEAM };

	aligned = aligned_alloc(4096, 4096);
	must(aligned ? 0 : -1);
	memset(aligned, 'a', 4096);
	for (int user = ROOT; user < USERS; user++)
		for (size_t act = 0; act < N(acts); act++) {
			for (size_t m = 0; m < N(modes); m++)
				for (size_t o = 0; o < N(owners); o++)
					for (size_t g = 0; g < N(groups); g++)
						one_fall(user, act, owners[o], groups[g], modes[m]);
			one_capability(user, act);
		}
	capability_by_owner_change();
	falls_by_mapping();
}
