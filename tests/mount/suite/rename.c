/* SPDX-License-Identifier: MIT */
/* rename(2) and renameat2(2): all pairs of types, loops, what is open, sticky and set-gid directories. */
#include "suite.h"

#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- pairs ---- */

enum kind_of { A_FILE, AN_EMPTY_DIR, A_FULL_DIR, A_LINK, A_FIFO, A_SOCK, A_DEVICE, NOTHING, KINDS_OF };

static const char *const kind_of_names[KINDS_OF] = { "a file", "an empty directory", "a full directory", "a link",
						     "a fifo", "a socket",           "a device",         "nothing" };
static const enum thing thing_of[KINDS_OF] = { FILE_, DIR_, DIR_, LINK_, FIFO_, SOCK_, DEV_, ABSENT };

static bool is_dir(enum kind_of kind)
{
	return kind == AN_EMPTY_DIR || kind == A_FULL_DIR;
}

static void make_kind(enum kind_of kind, const char *path)
{
	char inner[128];

	make(thing_of[kind], path, NULL);
	if (kind == A_FULL_DIR) {
		snprintf(inner, sizeof(inner), "%s/inner", path);
		make_file(inner, "x");
	}
}

static long pair_rule(enum kind_of from, enum kind_of to, unsigned flags)
{
	if (from == NOTHING)
		return -ENOENT;
	if (flags == RENAME_EXCHANGE)
		return to == NOTHING ? -ENOENT : 0;
	if (to == NOTHING)
		return 0;
	if (flags == RENAME_NOREPLACE)
		return -EEXIST;
	if (is_dir(from) && !is_dir(to))
		return -ENOTDIR;
	if (!is_dir(from) && is_dir(to))
		return -EISDIR;
	return to == A_FULL_DIR ? -ENOTEMPTY : 0;
}

static ino_t number_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

/* ".." of a directory is where it hangs now. */
static void check_parent(const char *path, const char *parent, const char *what)
{
	char up[64];

	snprintf(up, sizeof(up), "%s/..", path);
	expect_equal((long long)number_of(parent), (long long)look(up).st_ino, "%s: .. of %s", what, path);
}

static void one_pair(enum kind_of from, enum kind_of to, unsigned flags, const char *to_dir)
{
	const long want = pair_rule(from, to, flags);
	char target[64], what[200];
	ino_t first, second;
	nlink_t subdirs;

	wipe("one");
	wipe("two");
	must(mkdir("one", 0755));
	must(mkdir("two", 0755));
	snprintf(target, sizeof(target), "%s/b", to_dir);
	make_kind(from, "one/a");
	make_kind(to, target);
	first = number_of("one/a");
	second = number_of(target);
	snprintf(what, sizeof(what), "rename of %s %s %s%s", kind_of_names[from],
		 flags == RENAME_EXCHANGE ? "in exchange with"
		 : flags                  ? "without replacing"
					  : "over",
		 kind_of_names[to], strcmp(to_dir, "one") == 0 ? "" : " of another directory");
	expect(want,
	       flags ? done(renameat2(AT_FDCWD, "one/a", AT_FDCWD, target, flags)) : done(rename("one/a", target)),
	       "%s", what);
	if (want == 0) {
		expect_equal((long long)first, (long long)number_of(target), "%s: the new name", what);
		expect_equal((long long)(flags == RENAME_EXCHANGE ? second : 0), (long long)number_of("one/a"),
			     "%s: the old name", what);
	} else {
		expect_equal((long long)first, (long long)number_of("one/a"), "%s: the old name stays", what);
		expect_equal((long long)second, (long long)number_of(target), "%s: the new name stays", what);
	}
	subdirs = 0;
	for (const char *const *p = (const char *[]){ "one/a", target, NULL }; *p; p++)
		if (exists(*p) && S_ISDIR(look(*p).st_mode)) {
			check_parent(*p, strncmp(*p, "one", 3) == 0 ? "one" : "two", what);
			subdirs++;
		}
	expect_equal((long long)(4 + subdirs), (long long)(look("one").st_nlink + look("two").st_nlink),
		     "%s: links of the directories", what);
	expect_equal((first && !(want == 0 && flags == 0 && second)) + (second != 0),
		     (long long)(count_names("one") + count_names("two")), "%s: names", what);
}

void rename_pairs(void)
{
	static const unsigned flags[] = { 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	static const unsigned bad[] = { RENAME_NOREPLACE | RENAME_EXCHANGE, RENAME_EXCHANGE | RENAME_WHITEOUT, 8,
					0x80000000 };

	for (size_t f = 0; f < N(flags); f++)
		for (enum kind_of from = A_FILE; from < KINDS_OF; from++)
			for (enum kind_of to = A_FILE; to < KINDS_OF; to++) {
				one_pair(from, to, flags[f], "one");
				one_pair(from, to, flags[f], "two");
			}
	make_file("f", "x");
	make_file("g", "x");
	for (size_t i = 0; i < N(bad); i++)
		expect(-EINVAL, done(renameat2(AT_FDCWD, "f", AT_FDCWD, "g", bad[i])), "renameat2 with flags %#x",
		       bad[i]);
}

/* ---- loops ---- */

#define DEPTH 12

/* "0/0/0", so deep. */
static const char *deep(int depth, const char *last)
{
	static char text[2][4 * DEPTH + 16];
	static unsigned turn;
	char *at = text[turn++ % 2];

	strcpy(at, "0");
	for (int i = 1; i < depth; i++)
		strcat(at, "/0");
	strcat(at, last);
	return at;
}

void rename_loops(void)
{
	for (int i = 1; i <= DEPTH; i++)
		must(mkdir(deep(i, ""), 0755));
	make_file("f", "x");
	for (int up = 1; up <= DEPTH; up++)
		for (int down = up; down <= DEPTH; down++) {
			expect(-EINVAL, done(rename(deep(up, ""), deep(down, "/new"))),
			       "rename from depth %d below depth %d", up, down);
			expect(-EINVAL,
			       done(renameat2(AT_FDCWD, deep(up, ""), AT_FDCWD, deep(down, "/new"), RENAME_NOREPLACE)),
			       "rename without replacing from depth %d below depth %d", up, down);
			if (down == up)
				continue;
			expect(-EINVAL, done(rename(deep(up, ""), deep(down, ""))),
			       "rename from depth %d over depth %d", up, down);
			expect(-ENOTEMPTY, done(rename(deep(down, ""), deep(up, ""))),
			       "rename from depth %d over depth %d", down, up);
			expect(-EINVAL,
			       done(renameat2(AT_FDCWD, deep(up, ""), AT_FDCWD, deep(down, ""), RENAME_EXCHANGE)),
			       "exchange of depth %d and depth %d", up, down);
			expect(-EINVAL,
			       done(renameat2(AT_FDCWD, deep(down, ""), AT_FDCWD, deep(up, ""), RENAME_EXCHANGE)),
			       "exchange of depth %d and depth %d", down, up);
		}
	for (int i = 1; i <= DEPTH; i++) {
		expect_either(-EBUSY, -EINVAL, done(rename(deep(i, "/."), "new")), "rename of . at depth %d", i);
		expect_either(-EBUSY, -EINVAL, done(rename(deep(i, "/.."), "new")), "rename of .. at depth %d", i);
		expect(0, done(rename(deep(i, ""), deep(i, ""))), "rename of depth %d to itself", i);
	}
	/* a file that lies below may replace nothing above, but may leave */
	make_file(deep(DEPTH, "/f"), "x");
	expect(-ENOTEMPTY, done(rename(deep(DEPTH, "/f"), "0")), "rename of a file over a directory above it");
	expect(-EINVAL, done(renameat2(AT_FDCWD, deep(DEPTH, "/f"), AT_FDCWD, "0", RENAME_EXCHANGE)),
	       "exchange of a file and a directory above it");
	expect(0, done(rename(deep(DEPTH, "/f"), "g")), "rename of a file out of the deep");
	/* by way of a link */
	must(symlink(deep(3, ""), "link"));
	expect(-EINVAL, done(rename("0", "link/new")), "rename below itself by way of a link");
	expect(0, done(rename(deep(DEPTH, ""), "link/new")), "rename by way of a link to a place above");
	expect_true(exists(deep(3, "/new")), "it is there");
}

/* ---- more ---- */

static void same_file(void)
{
	must(mkdir("s", 0755));
	make_file("s/a", "x");
	must(link("s/a", "s/b"));
	must(link("s/a", "c"));
	expect(0, done(rename("s/a", "s/b")), "rename over another name of the same file");
	expect(0, done(rename("s/a", "c")), "the same in another directory");
	expect_true(exists("s/a") && exists("s/b") && exists("c"), "all names stay");
	expect_equal(3, (long long)look("c").st_nlink, "links then");
	expect(-EEXIST, done(renameat2(AT_FDCWD, "s/a", AT_FDCWD, "s/b", RENAME_NOREPLACE)), "without replacing");
	expect(-EEXIST, done(renameat2(AT_FDCWD, "s/a", AT_FDCWD, "s/a", RENAME_NOREPLACE)),
	       "to itself without replacing");
	expect(0, done(renameat2(AT_FDCWD, "s/a", AT_FDCWD, "c", RENAME_EXCHANGE)), "in exchange");
	expect(0, done(renameat2(AT_FDCWD, "s/a", AT_FDCWD, "s/a", RENAME_EXCHANGE)), "in exchange with itself");
	expect_equal(3, (long long)look("s/a").st_nlink, "links after an exchange");
	must(mkdir("s/d", 0755));
	expect(0, done(rename("s/d", "s/d")), "rename of a directory to itself");
	expect(0, done(rename("s/d", "s/../s/d")), "rename of a directory to itself by another path");
	wipe("s");
	wipe("c");
}

static void open_things(void)
{
	char buf[8] = "";
	struct stat st;
	int old, moved, dir;

	make_file("a", "moved");
	make_file("b", "old");
	moved = (int)must(open("a", O_RDWR));
	old = (int)must(open("b", O_RDWR));
	expect(0, done(rename("a", "b")), "rename over an open file");
	expect_equal(0, (long long)look_fd(old).st_nlink, "links of the replaced file");
	expect_equal(1, (long long)look_fd(moved).st_nlink, "links of the moved file");
	expect(3, rc(read(old, buf, 8)), "read of the replaced file");
	expect_true(memcmp(buf, "old", 3) == 0, "its bytes");
	expect(2, rc(pwrite(moved, "MO", 2, 0)), "write to the moved file");
	expect(5, (long)slurp("b", buf, 8), "the moved file under its new name");
	expect_true(memcmp(buf, "MOved", 5) == 0, "its bytes");
	must(close(old));
	must(close(moved));
	/* an empty directory that is open, replaced */
	must(mkdir("d", 0755));
	must(mkdir("e", 0755));
	make_file("d/f", "x");
	dir = (int)must(open("e", O_RDONLY | O_DIRECTORY));
	expect(0, done(rename("d", "e")), "rename over an open directory");
	expect_equal(0, (long long)look_fd(dir).st_nlink, "links of the replaced directory");
	expect(-ENOENT, done(fstatat(dir, "f", &st, 0)), "the moved one's file is not in the replaced one");
	expect(-ENOENT, opened(openat(dir, "new", O_WRONLY | O_CREAT, 0644)), "nothing can be made in it");
	expect_true(exists("e/f"), "but in the moved one it is");
	must(close(dir));
	wipe("b");
	wipe("e");
}

/* What a rename takes along stays as it is: set-gid directories give their group only to what is made in them. */
static void attributes_stay(void)
{
	static const mode_t dirs[] = { 0777, 02777, 01777, 03777 };
	static const mode_t modes[] = { 0644, 04755, 02755, 0600, 01777 };

	for (size_t d = 0; d < N(dirs); d++)
		for (enum thing t = FILE_; t <= DIR_; t++)
			for (size_t m = 0; m < N(modes); m++) {
				struct perm perm = { users[ANN].uid, users[ANN].gid, modes[m] };
				struct stat st;

				must(mkdir("in", 0777));
				perm_set("in", &(struct perm){ users[BEN].uid, TEAM, dirs[d] });
				make(t, "thing", &perm);
				expect(0, done(rename("thing", "in/thing")), "rename into a directory of mode %05o",
				       dirs[d]);
				st = look("in/thing");
				expect_mode(modes[m], st.st_mode & 07777,
					    "mode after a rename into a directory of mode %05o", dirs[d]);
				expect_equal(perm.uid, st.st_uid, "owner after a rename into a directory of mode %05o",
					     dirs[d]);
				expect_equal(perm.gid, st.st_gid, "group after a rename into a directory of mode %05o",
					     dirs[d]);
				expect(0, done(rename("in/thing", "out")), "rename out of a directory of mode %05o",
				       dirs[d]);
				expect_mode(modes[m], look("out").st_mode & 07777,
					    "mode after a rename out of one of %05o", dirs[d]);
				wipe("out");
				wipe("in");
			}
}

/* Somebody who looks sees the old file or the new one, never none and never a piece. */
static void atomic_replace(void)
{
	enum { ROUNDS = 600 };
	char text[64], buf[64];
	unsigned bad = 0;
	int status;
	pid_t pid;

	make_file("target", "version 0");
	pid = fork();
	if (pid == 0) {
		for (int i = 1; i <= ROUNDS; i++) {
			snprintf(text, sizeof(text), "version %d", i);
			make_file("new", text);
			must(rename("new", "target"));
		}
		_exit(0);
	}
	must(pid);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		int fd = open("target", O_RDONLY);
		ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

		if (n < 9 || memcmp(buf, "version ", 8) != 0)
			bad++;
		if (fd >= 0)
			close(fd);
	}
	expect_equal(0, bad, "reads between %d replacements that saw no whole file", ROUNDS);
}

/* Two names are exchanged again and again: both are always there. */
static void atomic_exchange(void)
{
	enum { ROUNDS = 600 };
	unsigned missing = 0;
	int status;
	pid_t pid;

	make_file("left", "x");
	must(mkdir("right", 0755));
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < ROUNDS; i++)
			must(renameat2(AT_FDCWD, "left", AT_FDCWD, "right", RENAME_EXCHANGE));
		_exit(0);
	}
	must(pid);
	while (waitpid(pid, &status, WNOHANG) == 0)
		missing += !exists("left") || !exists("right");
	expect_equal(0, missing, "looks that missed a name that is exchanged");
	expect_true(S_ISREG(look("left").st_mode) && S_ISDIR(look("right").st_mode),
		    "after an even number all is as before");
}

/* Renames of directories across each other by several processes end, without a loop and without a loss. */
static void crossing(void)
{
	enum { PROCESSES = 3, ROUNDS = 250 };
	unsigned found = 0, bad = 0;

	must(mkdir("x", 0755));
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x/%d", i);
		must(mkdir(name, 0755));
	}
	for (int p = 0; p < PROCESSES; p++) {
		pid_t pid = fork();

		if (pid == 0) {
			unsigned seed = (unsigned)p + 1;

			must(chdir("x"));
			for (int i = 0; i < ROUNDS; i++) {
				char from[32], to[32];
				unsigned a = (unsigned)rand_r(&seed) % 4, b = (unsigned)rand_r(&seed) % 4;

				/* down into another, and up again */
				snprintf(from, sizeof(from), "%u", a);
				snprintf(to, sizeof(to), "%u/%u", b, a);
				if (rename(from, to) < 0 && errno != ENOENT && errno != EINVAL && errno != ENOTEMPTY)
					_exit(1);
				if (rename(to, from) < 0 && errno != ENOENT && errno != EINVAL && errno != ENOTEMPTY)
					_exit(1);
			}
			_exit(0);
		}
		must(pid);
	}
	for (int status; wait(&status) > 0;)
		bad += status != 0;
	expect_equal(0, bad, "processes that met an error which there is no reason for");
	/* bring all up: each is there once */
	for (int round = 0; round < 4; round++)
		for (int a = 0; a < 4; a++)
			for (int b = 0; b < 4; b++) {
				char from[32], to[32];

				snprintf(from, sizeof(from), "x/%d/%d", b, a);
				snprintf(to, sizeof(to), "x/%d", a);
				if (!exists(to) && exists(from))
					must(rename(from, to));
			}
	for (int a = 0; a < 4; a++) {
		char name[32];

		snprintf(name, sizeof(name), "x/%d", a);
		found += exists(name) && look(name).st_nlink == 2 && count_names(name) == 0;
	}
	expect_equal(4, found, "directories that are whole after renames across each other");
	expect_equal(6, (long long)look("x").st_nlink, "links of the directory above");
}

void rename_more(void)
{
	same_file();
	open_things();
	attributes_stay();
	atomic_replace();
	atomic_exchange();
	crossing();
}
