/* SPDX-License-Identifier: MIT */
/* What mode bits give: on the directories of a path, on the object, and what access(2) says of it. */
#include "suite.h"

#include <stdio.h>

/* ---- on the way ---- */

static void run_on_the_way(int user, const struct op *op, const char *dir, const struct perm *perm, const char *who)
{
	const int need = strcmp(dir, "a/b") == 0 && op->flags & OP_DIR_WRITE ? 3 : 1;
	long want = 0, got;
	char path[64];

	snprintf(path, sizeof(path), "a/b/%s", scene_name(op->on));
	if (user != ROOT && op->flags & OP_ROOT_ONLY)
		want = -EPERM;
	if (!may(user, perm, need, true))
		want = -EACCES;
	be(user);
	got = op->run(path);
	be(ROOT);
	expect(want, got, "%s of %s by %s: %s has mode %03o for %s", op->name, path, users[user].name, dir, perm->mode,
	       who);
	if (got == 0 && op->flags & OP_MUTATES)
		scene_make("a/b", &(struct perm){ users[user].uid, users[user].gid, 0777 });
}

/* The objects and the other directory give all rights; one directory on the way doesn't. */
void rights_on_the_way(void)
{
	static const char *const dirs[] = { "a", "a/b" };

	must(mkdir("a", 0777));
	must(mkdir("a/b", 0777));
	for (int user = ROOT; user < USERS; user++) {
		scene_make("a/b", &(struct perm){ users[user].uid, users[user].gid, 0777 });
		for (size_t d = 0; d < N(dirs); d++)
			for (enum file_class cls = user == ROOT ? OTHER : OWNER; cls < CLASSES; cls++)
				for (int rwx = 0; rwx < 8; rwx++) {
					struct perm perm = perm_of_class(user, cls, rwx);

					must(chmod("a", 0777));
					must(chmod("a/b", 0777));
					perm_set(dirs[d], &perm);
					for (size_t i = 0; i < n_ops; i++)
						run_on_the_way(user, &ops[i], dirs[d], &perm, class_names[cls]);
				}
	}
}

/* ---- of objects ---- */

/* who else than by the bits */
enum who {
	BITS,        /* the bits decide: EACCES */
	OWNS,        /* only the owner: EPERM */
	OWNS_OR_BITS /* the owner, or who has the bits: EACCES */
};

static const struct {
	const char *op;
	enum thing on;
	int bits;
	enum who who;
} needs[] = {
	{ "stat", FILE_, 0, BITS },
	{ "lstat", FILE_, 0, BITS },
	{ "statx", DIR_, 0, BITS },
	{ "statfs", FILE_, 0, BITS },
	{ "access", FILE_, 0, BITS },
	{ "open_r", FILE_, 4, BITS },
	{ "open_r", DIR_, 4, BITS },
	{ "open_r", FIFO_, 4, BITS },
	{ "open_w", FILE_, 2, BITS },
	{ "open_rw", FILE_, 6, BITS },
	{ "open_rw", FIFO_, 6, BITS },
	{ "open_trunc", FILE_, 6, BITS },
	{ "open_append", FILE_, 2, BITS },
	{ "open_creat", FILE_, 2, BITS },
	{ "open_nofollow", FILE_, 4, BITS },
	{ "open_path", FILE_, 0, BITS },
	{ "open_path", DIR_, 0, BITS },
	{ "open_path_nofollow", FIFO_, 0, BITS },
	{ "open_dir", DIR_, 4, BITS },
	{ "openat2", FILE_, 4, BITS },
	{ "truncate", FILE_, 2, BITS },
	{ "chmod", FILE_, 0, OWNS },
	{ "chmod", DIR_, 0, OWNS },
	{ "chmod", FIFO_, 0, OWNS },
	{ "chmod", SOCK_, 0, OWNS },
	{ "utimensat", FILE_, 0, OWNS },
	{ "utimensat", DIR_, 0, OWNS },
	{ "utimensat_nofollow", FIFO_, 0, OWNS },
	{ "utimensat_now", FILE_, 2, OWNS_OR_BITS },
	{ "utimensat_now", DIR_, 2, OWNS_OR_BITS },
	{ "utimensat_now", FIFO_, 2, OWNS_OR_BITS },
	{ "getxattr", FILE_, 4, BITS },
	{ "getxattr", DIR_, 4, BITS },
	{ "lgetxattr", FILE_, 4, BITS },
	{ "setxattr", FILE_, 2, BITS },
	{ "setxattr", DIR_, 2, BITS },
	{ "lsetxattr", FILE_, 2, BITS },
	{ "removexattr", FILE_, 2, BITS },
	{ "removexattr", DIR_, 2, BITS },
	{ "listxattr", FILE_, 0, BITS },
	{ "listxattr", DIR_, 0, BITS },
	{ "execve", FILE_, 1, BITS },
	{ "chdir", DIR_, 1, BITS },
	{ "inotify", FILE_, 4, BITS },
	{ "inotify", DIR_, 4, BITS },
	{ "name_to_handle", FILE_, 0, BITS },
	{ "connect", SOCK_, 2, BITS },
	{ "unlink", FILE_, 0, BITS },
	{ "unlink", FIFO_, 0, BITS },
	{ "rmdir", DIR_, 0, BITS },
	{ "rename_from", FILE_, 0, BITS },
	{ "rename_to", FILE_, 0, BITS },
	{ "rename_dir_from", DIR_, 2, BITS }, /* its ".." changes */
	{ "rename_dir_to", DIR_, 0, BITS },
	{ "exchange_first", FILE_, 0, BITS },
	{ "exchange_second", DIR_, 2, BITS },
};

static long needed(int user, size_t i, const struct perm *perm)
{
	const bool owns = user == ROOT || users[user].uid == perm->uid;

	if (needs[i].who == OWNS)
		return owns ? 0 : -EPERM;
	if (needs[i].who == OWNS_OR_BITS && owns)
		return 0;
	return may(user, perm, needs[i].bits, needs[i].on == DIR_) ? 0 : -EACCES;
}

static void run_on_object(int user, size_t i, const struct perm *perm, const char *who)
{
	const struct op *op = op_find(needs[i].op);
	const char *path = scene_name(needs[i].on);
	long got;

	perm_set(path, perm);
	be(user);
	got = op->run(path);
	be(ROOT);
	expect(needed(user, i, perm), got, "%s of a %s by %s: it has mode %03o for %s", op->name,
	       thing_names[needs[i].on], users[user].name, perm->mode, who);
	if (got == 0 && op->flags & OP_MUTATES)
		scene_make(".", &(struct perm){ users[user].uid, users[user].gid, 0777 });
}

void rights_of_objects(void)
{
	for (int user = ROOT; user < USERS; user++) {
		scene_make(".", &(struct perm){ users[user].uid, users[user].gid, 0777 });
		for (enum file_class cls = user == ROOT ? OTHER : OWNER; cls < CLASSES; cls++)
			for (int rwx = 0; rwx < 8; rwx++) {
				struct perm perm = perm_of_class(user, cls, rwx);

				for (size_t i = 0; i < N(needs); i++)
					run_on_object(user, i, &perm, class_names[cls]);
			}
	}
}

/* ---- access ---- */

/* With the ids of `who` and the supplementary groups of `groups`. */
static bool may_mixed(int who, int groups, const struct perm *perm, int want, bool dir)
{
	int rights = (int)perm->mode;

	if (who == ROOT)
		return may(ROOT, perm, want, dir);
	if (users[who].uid == perm->uid)
		rights >>= 6;
	else if (users[who].gid == perm->gid || (in_group(groups, perm->gid) && perm->gid != users[groups].gid))
		rights >>= 3;
	return (rights & want) == want;
}

static void ask_access(int real, int effective, enum thing thing, const struct perm *perm)
{
	const char *path = scene_name(thing);

	be_real(real, effective);
	for (int want = 0; want < 8; want++) {
		expect(may_mixed(real, effective, perm, want, thing == DIR_) ? 0 : -EACCES, done(access(path, want)),
		       "access %d of a %s %u:%u %03o, real %s, effective %s", want, thing_names[thing], perm->uid,
		       perm->gid, perm->mode, users[real].name, users[effective].name);
		expect(may_mixed(effective, effective, perm, want, thing == DIR_) ? 0 : -EACCES,
		       done(faccessat(AT_FDCWD, path, want, AT_EACCESS)),
		       "faccessat AT_EACCESS %d of a %s %u:%u %03o, real %s, effective %s", want, thing_names[thing],
		       perm->uid, perm->gid, perm->mode, users[real].name, users[effective].name);
	}
	be(ROOT);
}

static void run_access(enum thing thing)
{
	for (enum file_class cls = OWNER; cls < CLASSES; cls++)
		for (int rwx = 0; rwx < 8; rwx++) {
			struct perm perm = perm_of_class(ANN, cls, rwx);

			perm_set(scene_name(thing), &perm);
			for (int real = ROOT; real < USERS; real++)
				for (int effective = ROOT; effective < USERS; effective++)
					ask_access(real, effective, thing, &perm);
		}
}

/* Rights are asked at each step, also in a directory that one already is in. */
static void in_a_closed_directory(void)
{
	must(mkdir("here", 0755));
	make_file("here/f", "x");
	must(mkdir("here/d", 0777));
	must(chdir("here"));
	for (mode_t mode = 0; mode < 8; mode++) {
		bool x = mode & 1, w = (mode & 3) == 3, r = mode & 4;

		must(chmod(".", mode));
		be(ANN);
		expect(x ? 0 : -EACCES, op_find("stat")->run("f"), "stat f, working directory %o", mode);
		expect(x ? 0 : -EACCES, op_find("stat")->run("."), "stat ., working directory %o", mode);
		expect(x ? 0 : -EACCES, op_find("stat")->run("d/.."), "stat d/.., working directory %o", mode);
		expect(r && x ? 0 : -EACCES, op_find("open_dir")->run("."), "open ., working directory %o", mode);
		expect(w ? 0 : -EACCES, op_find("open_new")->run("n"), "create, working directory %o", mode);
		be(ROOT);
		wipe("n");
	}
	must(chmod(".", 0755));
	must(chdir(".."));
}

/* *at calls with a descriptor of a directory that may be searched no more. */
static void with_a_descriptor_of_a_closed_directory(void)
{
	int dir;

	must(mkdir("at", 0777));
	make_file("at/f", "x");
	dir = (int)must(open("at", O_RDONLY | O_DIRECTORY));
	for (mode_t mode = 0; mode < 8; mode++) {
		struct stat st;

		must(fchmod(dir, mode));
		be(ANN);
		expect(mode & 1 ? 0 : -EACCES, done(fstatat(dir, "f", &st, 0)), "fstatat in a directory of %o", mode);
		expect(mode & 1 ? 0 : -EACCES, opened(openat(dir, "f", O_RDONLY)), "openat in a directory of %o", mode);
		expect((mode & 3) == 3 ? 0 : -EACCES, done(mkdirat(dir, "n", 0755)), "mkdirat in a directory of %o",
		       mode);
		expect(mode & 1 ? 0 : -EACCES, done(fchdir(dir)), "fchdir to a directory of %o", mode);
		expect(0, done(fstat(dir, &st)), "fstat of a directory of %o", mode);
		expect(0, done(fstatat(dir, "", &st, AT_EMPTY_PATH)), "fstatat \"\" of a directory of %o", mode);
		be(ROOT);
		if (mode & 1)
			must(chdir(".."));
		wipe("at/n");
	}
	must(close(dir));
}

void rights_access(void)
{
	scene_make(".", NULL);
	run_access(FILE_);
	run_access(DIR_);
	in_a_closed_directory();
	with_a_descriptor_of_a_closed_directory();
}
