/* SPDX-License-Identifier: MIT */
/* mount_test - what programs expect of a file system, checked in the directory that LSMFS_TEST_DIR names. */
#include "mount_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool in_child;
static char case_dir[64];
static unsigned case_number;
static int root_fd = -1;

static void failed(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4), noreturn));

static void failed(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (in_child) {
		fprintf(stderr, "%s:%d: in a child: %s\n", file, line, text);
		_exit(1);
	}
	print_error("%s\n", text);
	_fail(file, line);
	abort(); /* cmocka has jumped away */
}

long mt_ok(long value, const char *what, const char *file, int line)
{
	if (value < 0)
		failed(file, line, "%s: %s", what, strerror(errno));
	return value;
}

void mt_fails(long value, int err, const char *what, const char *file, int line)
{
	int got = errno;

	if (value >= 0)
		failed(file, line, "%s: succeeded, wanted: %s", what, strerror(err));
	else if (got != err)
		failed(file, line, "%s: %s, wanted: %s", what, strerror(got), strerror(err));
}

void mt_same(long long want, long long got, const char *what, const char *file, int line)
{
	if (want != got)
		failed(file, line, "%s is %lld, wanted %lld", what, got, want);
}

void mt_broken(const char *what, const char *file, int line)
{
	failed(file, line, "does not hold: %s", what);
}

void mt_need_root(void)
{
	if (geteuid() != 0) {
		print_message("# skipped: needs root\n");
		skip();
	}
}

pid_t mt_fork(void (*fn)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		in_child = true;
		fn(arg);
		_exit(0);
	}
	ok(pid);
	return pid;
}

void mt_join(pid_t pid)
{
	int status;

	same(pid, ok(waitpid(pid, &status, 0)));
	check(WIFEXITED(status));
	same(0, WEXITSTATUS(status));
}

struct other {
	void (*fn)(void *arg);
	void *arg;
};

static void become_other(void *arg)
{
	struct other *o = arg;

	ok(setgroups(0, NULL));
	ok(setresgid(MT_OTHER_UID, MT_OTHER_UID, MT_OTHER_UID));
	ok(setresuid(MT_OTHER_UID, MT_OTHER_UID, MT_OTHER_UID));
	o->fn(o->arg);
}

void mt_as_other(void (*fn)(void *arg), void *arg)
{
	struct other o = { fn, arg };

	mt_join(mt_fork(become_other, &o));
}

struct stat mt_stat(const char *path)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	if (lstat(path, &st) < 0)
		failed(__FILE__, __LINE__, "lstat %s: %s", path, strerror(errno));
	return st;
}

struct stat mt_fstat(int fd)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	ok(fstat(fd, &st));
	return st;
}

bool mt_exists(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return true;
	if (errno != ENOENT)
		failed(__FILE__, __LINE__, "lstat %s: %s", path, strerror(errno));
	return false;
}

void mt_put(const char *path, const char *text)
{
	int fd = (int)ok(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	same(strlen(text), write(fd, text, strlen(text)));
	ok(close(fd));
}

void mt_holds(const char *path, const char *text)
{
	size_t size = strlen(text);
	char *buf = malloc(size + 2);
	int fd = (int)ok(open(path, O_RDONLY));

	check(buf != NULL);
	same(size, read(fd, buf, size + 2));
	if (memcmp(buf, text, size) != 0)
		failed(__FILE__, __LINE__, "%s holds \"%.*s\", wanted \"%s\"", path, (int)size, buf, text);
	ok(close(fd));
	free(buf);
}

void mt_all(int fd, off_t offset, size_t size, int byte)
{
	unsigned char buf[65536];
	size_t done = 0;

	while (done < size) {
		size_t want = size - done < sizeof(buf) ? size - done : sizeof(buf);
		ssize_t got = ok(pread(fd, buf, want, offset + (off_t)done));

		check(got > 0);
		for (ssize_t i = 0; i < got; i++)
			if (buf[i] != byte)
				failed(__FILE__, __LINE__, "byte %lld is %d, wanted %d",
				       (long long)offset + (long long)done + i, buf[i], byte);
		done += (size_t)got;
	}
}

void mt_fill(int fd, off_t offset, size_t size, int byte)
{
	char buf[65536];
	size_t done = 0;

	memset(buf, byte, sizeof(buf));
	while (done < size) {
		size_t want = size - done < sizeof(buf) ? size - done : sizeof(buf);

		same(want, pwrite(fd, buf, want, offset + (off_t)done));
		done += want;
	}
}

size_t mt_count(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	check(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			n++;
	ok(closedir(d));
	return n;
}

bool mt_time_after(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

void mt_tick(void)
{
	struct timespec t = { 0, 25000000 };

	nanosleep(&t, NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int mt_enter(void **state)
{
	(void)state;
	umask(022);
	snprintf(case_dir, sizeof(case_dir), "case.%ld.%u", (long)getpid(), case_number++);
	if (fchdir(root_fd) < 0 || mkdir(case_dir, 0777) < 0 || chdir(case_dir) < 0) {
		perror(case_dir);
		return -1;
	}
	return 0;
}

int mt_leave(void **state)
{
	(void)state;
	if (fchdir(root_fd) < 0 || nftw(case_dir, remove_one, 32, FTW_DEPTH | FTW_PHYS) < 0) {
		perror(case_dir);
		return -1;
	}
	return 0;
}

int main(void)
{
	static int (*const groups[])(void) = {
		mt_run_open,    mt_run_io,    mt_run_space, mt_run_names,      mt_run_rename,      mt_run_attr,
		mt_run_xattr,   mt_run_dir,   mt_run_map,   mt_run_lock,       mt_run_node,        mt_run_rights,
		mt_run_tmpfile, mt_run_priv,  mt_run_acl,   mt_run_acl_rights, mt_run_acl_inherit, mt_run_notify,
		mt_run_flags,   mt_run_paths, mt_run_atime, mt_run_handle,
	};
	const char *dir = getenv("LSMFS_TEST_DIR");
	int bad = 0;

	if (dir == NULL) {
		fprintf(stderr, "mount_test: set LSMFS_TEST_DIR to the directory to test\n");
		return 2;
	}
	root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0) {
		perror(dir);
		return 2;
	}
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		bad += groups[i]() != 0;
	return bad != 0;
}
