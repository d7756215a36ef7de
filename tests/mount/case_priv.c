/* SPDX-License-Identifier: MIT */
/* Set-uid and set-gid bits and file capabilities, which fall when a file's content or owner changes. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FILE_GROUP MT_OTHER_UID
#define FILE_SIZE 8192

/* cap_net_raw+ep, as setcap(8) writes it */
static const unsigned char capability[20] = { 1, 0, 0, 2, 0, 0x20 };

enum caller { ROOT, MEMBER, STRANGER }; /* the latter two are another user, in the file's group or not */

struct change {
	const char *name;
	void (*fn)(void);
	bool of_owner; /* bits fall whoever does it */
	bool harmless; /* nothing falls */
};

static int open_file(int flags)
{
	return (int)ok(open("f", flags));
}

static void by_write(void)
{
	int fd = open_file(O_WRONLY);

	same(1, pwrite(fd, "x", 1, 0));
	ok(close(fd));
}

static void by_append(void)
{
	int fd = open_file(O_WRONLY | O_APPEND);

	same(1, write(fd, "x", 1));
	ok(close(fd));
}

static void by_direct_write(void)
{
	int fd = open_file(O_WRONLY | O_DIRECT);
	void *buf = aligned_alloc(4096, 4096);

	check(buf != NULL);
	memset(buf, 'x', 4096);
	same(4096, pwrite(fd, buf, 4096, 0));
	free(buf);
	ok(close(fd));
}

static void by_truncate(void)
{
	ok(truncate("f", 10));
}

static void by_ftruncate_to_same_size(void)
{
	int fd = open_file(O_WRONLY);

	ok(ftruncate(fd, FILE_SIZE));
	ok(close(fd));
}

static void by_open_trunc(void)
{
	ok(close(open_file(O_WRONLY | O_TRUNC)));
}

static void by_fallocate(void)
{
	int fd = open_file(O_WRONLY);

	ok(fallocate(fd, 0, 0, FILE_SIZE + 100));
	ok(close(fd));
}

static void by_punch(void)
{
	int fd = open_file(O_WRONLY);

	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	ok(close(fd));
}

static void by_copy_file_range(void)
{
	int from = (int)ok(open("source", O_RDONLY)), to = open_file(O_WRONLY);

	same(6, copy_file_range(from, NULL, to, NULL, 6, 0));
	ok(close(from));
	ok(close(to));
}

static void by_mapping(void)
{
	int fd = open_file(O_RDWR);
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	check(p != MAP_FAILED);
	p[0] = 'm';
	ok(msync(p, 4096, MS_SYNC));
	ok(munmap(p, 4096));
	ok(close(fd));
}

static void by_chown_to_nobody_new(void)
{
	ok(chown("f", (uid_t)-1, (gid_t)-1));
}

static void by_chown_to_same_group(void)
{
	ok(chown("f", (uid_t)-1, FILE_GROUP));
}

static const struct change changes[] = {
	{ "write", by_write, false, false },
	{ "append", by_append, false, false },
	{ "direct write", by_direct_write, false, false },
	{ "truncate", by_truncate, false, false },
	{ "ftruncate to the same size", by_ftruncate_to_same_size, false, false },
	{ "O_TRUNC", by_open_trunc, false, false },
	{ "fallocate", by_fallocate, false, false },
	{ "punch", by_punch, false, false },
	{ "copy_file_range", by_copy_file_range, false, false },
	{ "mapping", by_mapping, false, true },
	{ "chown(-1, -1)", by_chown_to_nobody_new, true, false },
	{ "chown(-1, same)", by_chown_to_same_group, true, false },
};

#define N_CHANGES (sizeof(changes) / sizeof(changes[0]))

struct run {
	const struct change *change;
	enum caller caller;
};

static void in_child(void *arg)
{
	const struct run *run = arg;
	const gid_t group = FILE_GROUP;

	if (run->caller != ROOT) {
		ok(setgroups(run->caller == MEMBER, &group));
		ok(setresgid(12345, 12345, 12345));
		ok(setresuid(MT_OTHER_UID, MT_OTHER_UID, MT_OTHER_UID));
	}
	run->change->fn();
}

static void make_file(mode_t mode, const struct run *run, bool caps)
{
	int fd;

	check(unlink("f") == 0 || errno == ENOENT);
	fd = (int)ok(open("f", O_WRONLY | O_CREAT | O_EXCL, 0600));
	mt_fill(fd, 0, FILE_SIZE, 'd');
	ok(close(fd));
	ok(chown("f", run->caller != ROOT && run->change->of_owner ? MT_OTHER_UID : 0, FILE_GROUP));
	ok(chmod("f", mode));
	if (caps)
		ok(setxattr("f", "security.capability", capability, sizeof(capability), 0));
}

static mode_t mode_after(mode_t mode, const struct run *run)
{
	if (run->change->harmless || (run->caller == ROOT && !run->change->of_owner))
		return mode;
	if (mode & S_IXGRP || run->caller == STRANGER)
		mode &= ~(mode_t)S_ISGID;
	return mode & ~(mode_t)S_ISUID;
}

static void try_change(mode_t mode, const struct run *run, bool caps)
{
	mode_t wanted = mode_after(mode, run), got;
	bool has_caps;

	make_file(mode, run, caps);
	mt_join(mt_fork(in_child, (void *)run));
	got = mt_stat("f").st_mode & 07777;
	has_caps = getxattr("f", "security.capability", NULL, 0) > 0;
	if (got != wanted || has_caps != (caps && run->change->harmless))
		print_error("%s by %s: mode %o became %o%s, wanted %o\n", run->change->name,
			    run->caller == ROOT     ? "root"
			    : run->caller == MEMBER ? "a member"
						    : "a stranger",
			    mode, got, has_caps ? ", with capabilities" : "", wanted);
	same(wanted, got);
	same(caps && run->change->harmless, has_caps);
}

static void with_all(const mode_t *modes, size_t n_modes, bool caps)
{
	struct run run;

	mt_need_root();
	ok(chmod(".", 0777));
	mt_put("source", "source");
	for (size_t i = 0; i < n_modes; i++) {
		for (run.caller = ROOT; run.caller <= STRANGER; run.caller++) {
			for (size_t k = 0; k < N_CHANGES; k++) {
				run.change = &changes[k];
				try_change(modes[i], &run, caps);
			}
		}
	}
}

static void set_id_bits_fall(void **state)
{
	static const mode_t modes[] = { 06777, 06666, 02666, 02777, 04777, 0777 };

	(void)state;
	with_all(modes, sizeof(modes) / sizeof(modes[0]), false);
}

static void capabilities_fall(void **state)
{
	static const mode_t modes[] = { 0777, 0666 };

	(void)state;
	with_all(modes, sizeof(modes) / sizeof(modes[0]), true);
}

/* What was just looked at, so that the kernel has it in its cache, and then what it does at once without asking. */
static void caches_see_it(void **state)
{
	const struct run run = { &changes[0], STRANGER };
	int fd;

	(void)state;
	mt_need_root();
	ok(chmod(".", 0777));
	make_file(06777, &run, false);
	fd = (int)ok(open("f", O_RDONLY));
	same(06777, mt_fstat(fd).st_mode & 07777);
	for (int i = 0; i < 3; i++) {
		mt_join(mt_fork(in_child, (void *)&run));
		same(0777, mt_fstat(fd).st_mode & 07777);
		ok(chmod("f", 06777));
		same(06777, mt_stat("f").st_mode & 07777);
	}
	ok(close(fd));
}

/* A write after capabilities were set must not be taken for one to a file that is known to have none. */
static void capabilities_set_between_writes(void **state)
{
	int fd;

	(void)state;
	mt_need_root();
	mt_put("f", "one");
	fd = open_file(O_WRONLY);
	for (int i = 0; i < 3; i++) {
		same(1, pwrite(fd, "x", 1, 0));
		same(1, pwrite(fd, "y", 1, 0));
		ok(fsetxattr(fd, "security.capability", capability, sizeof(capability), 0));
		ok(setxattr("f", "user.stays", "1", 1, 0));
		same(sizeof(capability), getxattr("f", "security.capability", NULL, 0));
		same(1, pwrite(fd, "z", 1, 0));
		fails(getxattr("f", "security.capability", NULL, 0), ENODATA);
		same(1, getxattr("f", "user.stays", NULL, 0));
	}
	ok(close(fd));
}

static void directories_keep_theirs(void **state)
{
	(void)state;
	mt_need_root();
	ok(mkdir("d", 0755));
	ok(chmod("d", 06775));
	ok(chown("d", MT_OTHER_UID, MT_OTHER_UID));
	same(06775, mt_stat("d").st_mode & 07777);
}

int mt_run_priv(void)
{
	const struct CMUnitTest tests[] = {
		CASE(set_id_bits_fall),        CASE(capabilities_fall),
		CASE(caches_see_it),           CASE(capabilities_set_between_writes),
		CASE(directories_keep_theirs),
	};

	return cmocka_run_group_tests_name("privileges", tests, NULL, NULL);
}
