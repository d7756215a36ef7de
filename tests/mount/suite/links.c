/* SPDX-License-Identifier: MIT */
/* Link counts, files without a name, directories that were removed. */
#include "suite.h"

#include <dirent.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* ---- counts ---- */

/*
 * Before each operation: files f, g (with a second name e/g2), e/x; directories d (empty), e (with sub, empty, and
 * more/deep); a link l; a fifo p. Each is held open, and its count is compared afterwards; 0 means removed.
 */
enum { HERE, F, G, X, D, E, SUB, MORE, DEEP, L, P, HELD };

static const char *const held[HELD] = { ".", "f", "g", "e/x", "d", "e", "e/sub", "e/more", "e/more/deep", "l", "p" };
static const nlink_t links_before[HELD] = { 4, 1, 2, 1, 2, 4, 2, 3, 2, 1, 1 };

static long swap(const char *a, const char *b)
{
	return done(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE));
}

/* What they do is told in words: "op a [b]". */
static long run_words(const char *words)
{
	char op[32], a[64], b[64];
	int n = sscanf(words, "%31s %63s %63s", op, a, b);

	must(n >= 2 ? 0 : -1);
	if (strcmp(op, "create") == 0)
		return opened(open(a, O_WRONLY | O_CREAT, 0644));
	if (strcmp(op, "mkdir") == 0)
		return done(mkdir(a, 0755));
	if (strcmp(op, "mkfifo") == 0)
		return done(mkfifo(a, 0644));
	if (strcmp(op, "unlink") == 0)
		return done(unlink(a));
	if (strcmp(op, "rmdir") == 0)
		return done(rmdir(a));
	must(n == 3 ? 0 : -1);
	if (strcmp(op, "link") == 0)
		return done(link(a, b));
	if (strcmp(op, "symlink") == 0)
		return done(symlink(a, b));
	if (strcmp(op, "rename") == 0)
		return done(rename(a, b));
	if (strcmp(op, "noreplace") == 0)
		return done(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE));
	must(strcmp(op, "exchange") == 0 ? 0 : -1);
	return swap(a, b);
}

static const struct {
	const char *words;
	long want;
	struct {
		int which;
		int by;
	} differs[4];
} counted[] = {
	{ "create new", 0, { { 0, 0 } } },
	{ "mkfifo new", 0, { { 0, 0 } } },
	{ "symlink d new", 0, { { 0, 0 } } },
	{ "mkdir new", 0, { { HERE, 1 } } },
	{ "mkdir e/new", 0, { { E, 1 } } },
	{ "mkdir e/sub/new", 0, { { SUB, 1 } } },
	{ "mkdir d", -EEXIST, { { 0, 0 } } },
	{ "link f new", 0, { { F, 1 } } },
	{ "link f e/new", 0, { { F, 1 } } },
	{ "link g new", 0, { { G, 1 } } },
	{ "link l new", 0, { { L, 1 } } },
	{ "link p new", 0, { { P, 1 } } },
	{ "link d new", -EPERM, { { 0, 0 } } },
	{ "link f g", -EEXIST, { { 0, 0 } } },
	{ "unlink f", 0, { { F, -1 } } },
	{ "unlink g", 0, { { G, -1 } } },
	{ "unlink e/g2", 0, { { G, -1 } } },
	{ "unlink l", 0, { { L, -1 } } },
	{ "unlink p", 0, { { P, -1 } } },
	{ "unlink d", -EISDIR, { { 0, 0 } } },
	{ "rmdir d", 0, { { D, -2 }, { HERE, -1 } } },
	{ "rmdir e/sub", 0, { { SUB, -2 }, { E, -1 } } },
	{ "rmdir e/more/deep", 0, { { DEEP, -2 }, { MORE, -1 } } },
	{ "rmdir e", -ENOTEMPTY, { { 0, 0 } } },
	{ "rename f new", 0, { { 0, 0 } } },
	{ "rename f e/new", 0, { { 0, 0 } } },
	{ "rename f e/x", 0, { { X, -1 } } },
	{ "rename f g", 0, { { G, -1 } } },
	{ "rename g f", 0, { { F, -1 } } },
	{ "rename g e/g2", 0, { { 0, 0 } } },
	{ "rename l f", 0, { { F, -1 } } },
	{ "rename f l", 0, { { L, -1 } } },
	{ "rename p e/x", 0, { { X, -1 } } },
	{ "rename d new", 0, { { 0, 0 } } },
	{ "rename d e/new", 0, { { HERE, -1 }, { E, 1 } } },
	{ "rename d e/sub", 0, { { HERE, -1 }, { SUB, -2 } } },
	{ "rename e/sub d", 0, { { E, -1 }, { D, -2 } } },
	{ "rename e/sub new", 0, { { E, -1 }, { HERE, 1 } } },
	{ "rename e/more d", 0, { { E, -1 }, { D, -2 } } },
	{ "rename e/more e/sub", 0, { { E, -1 }, { SUB, -2 } } },
	{ "rename e/more/deep e/sub", 0, { { MORE, -1 }, { SUB, -2 } } },
	{ "rename e/more/deep d", 0, { { MORE, -1 }, { D, -2 } } },
	{ "rename d e", -ENOTEMPTY, { { 0, 0 } } },
	{ "rename e e/sub", -EINVAL, { { 0, 0 } } },
	{ "rename d f", -ENOTDIR, { { 0, 0 } } },
	{ "rename f d", -EISDIR, { { 0, 0 } } },
	{ "noreplace f g", -EEXIST, { { 0, 0 } } },
	{ "noreplace d e/new", 0, { { HERE, -1 }, { E, 1 } } },
	{ "exchange f g", 0, { { 0, 0 } } },
	{ "exchange f e/x", 0, { { 0, 0 } } },
	{ "exchange g e/g2", 0, { { 0, 0 } } },
	{ "exchange d e", 0, { { 0, 0 } } },
	{ "exchange f d", 0, { { 0, 0 } } },
	{ "exchange f e/sub", 0, { { E, -1 }, { HERE, 1 } } },
	{ "exchange d e/x", 0, { { HERE, -1 }, { E, 1 } } },
	{ "exchange d e/sub", 0, { { 0, 0 } } },
	{ "exchange d e/more", 0, { { 0, 0 } } },
	{ "exchange e/x e/more/deep", 0, { { MORE, -1 }, { E, 1 } } },
	{ "exchange l e/sub", 0, { { E, -1 }, { HERE, 1 } } },
};

static void prepare(void)
{
	make_file("f", "f");
	make_file("g", "g");
	must(mkdir("d", 0755));
	must(mkdir("e", 0755));
	must(mkdir("e/sub", 0755));
	must(mkdir("e/more", 0755));
	must(mkdir("e/more/deep", 0755));
	make_file("e/x", "x");
	must(link("g", "e/g2"));
	must(symlink("f", "l"));
	must(mkfifo("p", 0644));
}

static nlink_t links_after(size_t i, int which)
{
	nlink_t n = links_before[which];

	for (size_t k = 0; k < N(counted[i].differs); k++)
		if (counted[i].differs[k].which == which)
			n += (nlink_t)counted[i].differs[k].by;
	return n;
}

void link_counts(void)
{
	int fd[HELD], here = (int)must(open(".", O_PATH));
	char dir[16];

	for (size_t i = 0; i < N(counted); i++) {
		snprintf(dir, sizeof(dir), "%zu", i);
		must(mkdir(dir, 0755));
		must(chdir(dir));
		prepare();
		for (int k = 0; k < HELD; k++)
			fd[k] = (int)must(open(held[k], O_PATH | O_NOFOLLOW));
		for (int k = 0; k < HELD; k++)
			expect_equal(links_before[k], (long long)look_fd(fd[k]).st_nlink, "links of %s before",
				     held[k]);
		expect(counted[i].want, run_words(counted[i].words), "%s", counted[i].words);
		for (int k = 0; k < HELD; k++) {
			expect_equal((long long)links_after(i, k), (long long)look_fd(fd[k]).st_nlink,
				     "links of what was %s after %s", held[k], counted[i].words);
			must(close(fd[k]));
		}
		must(fchdir(here));
		wipe(dir);
	}
	must(close(here));
	/* many names of one file */
	make_file("f", "f");
	for (int k = 0; k < 500; k++) {
		snprintf(dir, sizeof(dir), "l%d", k);
		must(link("f", dir));
	}
	expect_equal(501, (long long)look("l77").st_nlink, "links of a file with 501 names");
	must(mkdir("many", 0755));
	for (int k = 0; k < 300; k++) {
		snprintf(dir, sizeof(dir), "many/%d", k);
		must(mkdir(dir, 0755));
	}
	expect_equal(302, (long long)look("many").st_nlink, "links of a directory with 300 directories");
}

/* ---- without a name ---- */

static int removed_file(const char *text)
{
	int fd;

	make_file("gone", text);
	fd = (int)must(open("gone", O_RDWR));
	must(unlink("gone"));
	return fd;
}

static void use_removed(void)
{
	static char buf[8192];
	int fd = removed_file("0123456789");
	char path[64];
	void *at;

	expect_equal(0, (long long)look_fd(fd).st_nlink, "links of a removed file");
	expect_equal(10, (long long)look_fd(fd).st_size, "size of a removed file");
	expect(10, rc(pread(fd, buf, 20, 0)), "read of a removed file");
	expect(5, rc(pwrite(fd, "abcde", 5, 8)), "write to a removed file");
	expect(13, rc(pread(fd, buf, 20, 0)), "read of what was written");
	expect_true(memcmp(buf, "01234567abcde", 13) == 0, "bytes of a removed file");
	expect(0, rc(ftruncate(fd, 4)), "ftruncate of a removed file");
	expect(4, rc(pread(fd, buf, 20, 0)), "read of what was cut");
	expect(0, rc(ftruncate(fd, 5000000)), "ftruncate up of a removed file");
	expect(0, rc(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000)), "fallocate in a removed file");
	expect(8192, rc(pwrite(fd, buf, 8192, 4000000)), "write far in a removed file");
	expect(0, rc(fchmod(fd, 0600)), "fchmod of a removed file");
	expect(0, rc(fchown(fd, 1, 2)), "fchown of a removed file");
	expect_equal(1, look_fd(fd).st_uid, "owner of a removed file");
	expect(0, rc(futimens(fd, NULL)), "futimens of a removed file");
	expect(0, rc(fsetxattr(fd, "user.a", "1", 1, 0)), "fsetxattr of a removed file");
	expect(1, rc(fgetxattr(fd, "user.a", buf, sizeof(buf))), "fgetxattr of a removed file");
	expect(7, rc(flistxattr(fd, buf, sizeof(buf))), "flistxattr of a removed file");
	expect(0, rc(fremovexattr(fd, "user.a")), "fremovexattr of a removed file");
	expect(0, rc(fsync(fd)), "fsync of a removed file");
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	expect_true(at != MAP_FAILED, "mmap of a removed file");
	memcpy(at, "mapped", 6);
	expect(0, rc(msync(at, 4096, MS_SYNC)), "msync of a removed file");
	must(munmap(at, 4096));
	expect(6, rc(pread(fd, buf, 6, 0)), "read of what was mapped");
	expect_true(memcmp(buf, "mapped", 6) == 0, "bytes of what was mapped");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	expect(-ENOENT, rc(linkat(AT_FDCWD, path, AT_FDCWD, "back", AT_SYMLINK_FOLLOW)), "linkat of a removed file");
	expect(-ENOENT, rc(linkat(fd, "", AT_FDCWD, "back", AT_EMPTY_PATH)), "linkat \"\" of a removed file");
	expect(0, opened(open(path, O_RDWR)), "open of a removed file again");
	expect(0, opened(open(path, O_RDONLY | O_TRUNC)), "open of a removed file with O_TRUNC");
	expect_equal(0, (long long)look_fd(fd).st_size, "size after O_TRUNC");
	expect(-ENOENT, opened(open("gone", O_RDONLY)), "open by the old name");
	make_file("gone", "new");
	expect_true(look("gone").st_ino != look_fd(fd).st_ino, "a new file of the name is another");
	expect_equal(0, (long long)look_fd(fd).st_size, "the removed file is not the new one");
	must(close(fd));
	expect_equal(3, (long long)look("gone").st_size, "the new file outlives the removed one");
}

/* Loses its name in each of these ways. */
static void ways_to_go(void)
{
	static const char *const ways[] = { "rename over", "unlink of the last link",
					    "removed by its directory's end" };
	char text[2];
	int fd;

	for (size_t i = 0; i < N(ways); i++) {
		must(mkdir("w", 0755));
		make_file("w/f", "1");
		make_file("w/g", "2");
		fd = (int)must(open("w/f", O_RDWR));
		switch (i) {
		case 0:
			must(rename("w/g", "w/f"));
			break;
		case 1:
			must(link("w/f", "w/h"));
			must(unlink("w/f"));
			expect_equal(1, (long long)look_fd(fd).st_nlink, "links after the first of two");
			must(unlink("w/h"));
			break;
		default:
			wipe("w");
			must(mkdir("w", 0755));
			break;
		}
		expect_equal(0, (long long)look_fd(fd).st_nlink, "links after %s", ways[i]);
		expect(1, rc(pread(fd, text, 2, 0)), "read after %s", ways[i]);
		expect_true(text[0] == '1', "bytes after %s", ways[i]);
		must(close(fd));
		wipe("w");
	}
}

/* One process holds so many as its limit allows. */
static void hold(unsigned number, unsigned n)
{
	int *fd = calloc(n, sizeof(*fd));
	char name[32], text[32], got[32];
	unsigned bad = 0;

	must(fd ? 0 : -1);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "h%u.%u", number, i);
		fd[i] = (int)must(open(name, O_RDWR | O_CREAT | O_EXCL, 0644));
		must(unlink(name));
	}
	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "file %u of %u", i, number);
		bad += pwrite(fd[i], text, strlen(text), 0) != (ssize_t)strlen(text);
	}
	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "file %u of %u", i, number);
		bad += pread(fd[i], got, sizeof(got), 0) != (ssize_t)strlen(text) ||
		       memcmp(got, text, strlen(text)) != 0;
		bad += look_fd(fd[i]).st_nlink != 0;
	}
	expect_equal(0, bad, "removed files of %u that are not as they were written", n);
	for (unsigned i = 0; i < n; i++)
		must(close(fd[i]));
	free(fd);
}

/* 10,000 at a time, by as many processes as that takes. */
static void many_removed(void)
{
	struct rlimit limit;
	unsigned each, processes;

	must(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	must(setrlimit(RLIMIT_NOFILE, &limit));
	each = limit.rlim_max > 10100 ? 10000 : (unsigned)limit.rlim_max - 50;
	processes = (10000 + each - 1) / each;
	for (unsigned i = 1; i < processes; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			hold(i, each);
			_exit(0);
		}
		must(pid);
	}
	hold(0, each);
	while (wait(NULL) > 0)
		;
	expect_equal(0, (long long)count_names("."), "names that are left");
}

void unlinked_open(void)
{
	many_removed();
	use_removed();
	ways_to_go();
}

/* ---- removed directories ---- */

static int outside; /* a directory with a file and an empty directory */

static void in_removed(const char *how)
{
	static const char *const makers[] = { "open_new",   "open_excl", "mkdir", "mkfifo",
					      "mknod_file", "symlink",   "bind" };
	static const char *const finders[] = { "stat",     "lstat",    "open_r", "unlink",    "rmdir",
					       "chmod",    "truncate", "chdir",  "open_path", "readlink",
					       "getxattr", "access",   "statfs" };
	char buf[4096];
	struct stat st;
	int fd;

	for (size_t i = 0; i < N(makers); i++)
		expect(-ENOENT, op_find(makers[i])->run("new"), "%s in a directory %s", makers[i], how);
	for (size_t i = 0; i < N(finders); i++)
		expect(-ENOENT, op_find(finders[i])->run("none"), "%s in a directory %s", finders[i], how);
	expect(-ENOENT, done(linkat(outside, "file", AT_FDCWD, "new", 0)), "link into a directory %s", how);
	expect(-ENOENT, done(renameat(outside, "file", AT_FDCWD, "new")), "rename into a directory %s", how);
	expect(-ENOENT, done(renameat(outside, "dir", AT_FDCWD, "new")), "rename of a directory into one %s", how);
	expect(-ENOENT, done(rename("none", "new")), "rename in a directory %s", how);
	expect(0, done(stat(".", &st)), "stat . in a directory %s", how);
	expect_equal(0, (long long)st.st_nlink, "links of a directory %s", how);
	expect(0, op_find("open_dir")->run("."), "open . in a directory %s", how);
	expect(0, op_find("chdir")->run("."), "chdir . in a directory %s", how);
	expect(0, op_find("chmod")->run("."), "chmod . in a directory %s", how);
	expect(0, op_find("utimensat")->run("."), "utimensat . in a directory %s", how);
	expect(-ENOENT, done(syscall(SYS_getcwd, buf, sizeof(buf))), "getcwd in a directory %s", how);
	fd = (int)must(open(".", O_RDONLY | O_DIRECTORY));
	expect(-ENOENT, done(syscall(SYS_getdents64, fd, buf, sizeof(buf))), "getdents in a directory %s", how);
	expect(0, done(fsync(fd)), "fsync of a directory %s", how);
	expect(-ENOENT, opened(openat(fd, "new", O_WRONLY | O_CREAT, 0644)), "openat in a directory %s", how);
	expect(-ENOENT, done(mkdirat(fd, "new", 0755)), "mkdirat in a directory %s", how);
	must(close(fd));
}

void removed_dirs(void)
{
	int here = (int)must(open(".", O_PATH)), fd;
	char buf[4096];
	struct stat st;

	outside = here;
	make_file("file", "x");
	must(mkdir("dir", 0755));
	must(mkdir("d", 0755));
	must(chdir("d"));
	must(rmdir("../d"));
	in_removed("that was removed");
	must(fchdir(here));

	must(mkdir("d", 0755));
	must(mkdir("e", 0755));
	must(chdir("d"));
	must(rename("../e", "../d"));
	in_removed("that was renamed over");
	must(fchdir(here));
	wipe("d");

	/* and everything in it before */
	must(mkdir("d", 0755));
	make_file("d/f", "x");
	must(mkdir("d/sub", 0755));
	must(chdir("d/sub"));
	wipe("../f");
	must(rmdir("../sub"));
	must(rmdir("../../d"));
	in_removed("whose parent was removed, too");
	must(fchdir(here));

	/* an open one that is moved goes on */
	must(mkdir("d", 0755));
	must(mkdir("e", 0755));
	make_file("d/f", "x");
	fd = (int)must(open("d", O_RDONLY | O_DIRECTORY));
	must(rename("d", "e/moved"));
	expect(0, done(fstatat(fd, "f", &st, 0)), "fstatat in an open directory that was moved");
	expect(0, opened(openat(fd, "new", O_WRONLY | O_CREAT, 0644)), "create in an open directory that was moved");
	expect_true(exists("e/moved/new"), "what is made there is found there");
	must(fstatat(fd, "..", &st, 0));
	expect_equal((long long)look("e").st_ino, (long long)st.st_ino, "its parent is the new one");
	expect_true(syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0, "it is listed");
	must(close(fd));

	/* a new directory under the name of a removed one, which is still open */
	must(mkdir("again", 0755));
	make_file("again/old", "x");
	fd = (int)must(open("again", O_RDONLY | O_DIRECTORY));
	wipe("again");
	must(mkdir("again", 0755));
	make_file("again/new", "x");
	expect(-ENOENT, done(fstatat(fd, "new", &st, 0)), "a new directory's file is not in the removed one");
	expect(-ENOENT, done(fstatat(fd, "old", &st, 0)), "a removed file is not in the removed directory");
	expect(0, done(fstat(fd, &st)), "fstat of the removed directory");
	expect_equal(0, (long long)st.st_nlink, "links of the removed directory");
	must(close(fd));
	must(close(here));
}
