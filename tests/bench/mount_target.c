/* SPDX-License-Identifier: MIT */
/* The file systems that are compared: mounting, unmounting, making cold. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/session/unmount.h"
#include "tests/bench/mount.h"
#include "tests/bench/process.h"

enum { TICK_NS = 5000000, START_TICKS = 120 * 200, STOP_TICKS = 120 * 200, EXT4_INODE_BYTES = 256 };

/* As ours sets it for itself: a sequential read is not to be faster for that. */
static const char read_ahead_kib[] = "1024";

static bool complain(const struct target *t, const char *what, const char *why)
{
	fprintf(stderr, "bench_mount: %s: %s: %s\n", t->name, what, why);
	return false;
}

static void pause_a_tick(void)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };

	nanosleep(&tick, NULL);
}

const char *native_name(const char *dir)
{
	static const struct {
		long type;
		const char *name;
	} known[] = { { EXT4_SUPER_MAGIC, "ext4" },
		      { XFS_SUPER_MAGIC, "xfs" },
		      { BTRFS_SUPER_MAGIC, "btrfs" },
		      { TMPFS_MAGIC, "tmpfs" },
		      { OVERLAYFS_SUPER_MAGIC, "overlay" } };
	struct statfs fs;

	if (!statfs(dir, &fs))
		for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if ((long)fs.f_type == known[i].type)
				return known[i].name;
	return "native";
}

/* The rest is for what else it opens. */
uint64_t passthrough_known_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max < 2000)
		return 0;
	return limit.rlim_max - 1000;
}

/* ---- daemons ---- */

/* What it says is kept beside its files. */
static int open_log(const struct target *t)
{
	char path[PATH_SIZE + 16];

	snprintf(path, sizeof(path), "%s/log", t->top);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* In a process group of its own, so that a Ctrl-C means only us; and it ends when we do. */
_Noreturn static void daemon_exec(const struct target *t, const struct programs *p)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), log = open_log(t);
	char loop[32], reserve[64];

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0);
	for (int s = 1; s < 32; s++)
		signal(s, SIG_DFL);
	dup2(null, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	snprintf(loop, sizeof(loop), "--loop=%s", p->null_loop);
	snprintf(reserve, sizeof(reserve), "--reserve=%llu", (unsigned long long)p->null_mib);
	if (t->kind == TARGET_NULL && p->null_mib)
		execl(p->null, p->null, reserve, loop, t->dir, NULL);
	else if (t->kind == TARGET_NULL)
		execl(p->null, p->null, loop, t->dir, NULL);
	else if (t->kind == TARGET_PASSTHROUGH)
		execl(p->passthrough, p->passthrough, t->source, t->dir, NULL);
	else if (p->mount_options)
		execl(p->ours, p->ours, "mount", "-f", "-o", p->mount_options, t->source, t->dir, NULL);
	else
		execl(p->ours, p->ours, "mount", "-f", t->source, t->dir, NULL);
	perror("cannot be run");
	_exit(127);
}

/* The last line that the daemon said. */
static void show_log(const struct target *t)
{
	char path[PATH_SIZE + 16], line[1024], last[1024] = "it said nothing\n";
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", t->top);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		memcpy(last, line, sizeof(last));
	if (f)
		fclose(f);
	fprintf(stderr, "bench_mount: %s: its daemon: %s", t->name, last);
}

/* True, and its status: it has ended. */
static bool daemon_ended(struct target *t, int *ret_status)
{
	pid_t pid = waitpid(t->daemon, ret_status, WNOHANG);

	if (pid != t->daemon)
		return false;
	t->daemon = 0;
	return true;
}

static bool mounted(const struct target *t)
{
	struct stat top, dir;

	return !stat(t->top, &top) && !stat(t->dir, &dir) && top.st_dev != dir.st_dev;
}

/* Only root may; the default serves, too. */
static void set_read_ahead(const struct target *t)
{
	char path[64];
	struct stat st;
	int fd;

	if (stat(t->dir, &st))
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev), minor(st.st_dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, read_ahead_kib, strlen(read_ahead_kib)) < 0)
		errno = 0;
	close(fd);
}

static bool target_start(struct target *t, const struct programs *programs)
{
	int status;

	if (t->kind == TARGET_NATIVE)
		return true;
	fflush(NULL);
	t->daemon = fork();
	if (t->daemon < 0) {
		t->daemon = 0;
		return complain(t, "fork", strerror(errno));
	}
	if (!t->daemon)
		daemon_exec(t, programs);
	for (unsigned i = 0; i < START_TICKS && !mounted(t); i++) {
		if (daemon_ended(t, &status)) {
			show_log(t);
			return false;
		}
		pause_a_tick();
	}
	if (!mounted(t))
		return complain(t, t->dir, "the mount does not answer");
	set_read_ahead(t);
	return true;
}

bool target_stop(struct target *t)
{
	int status = 0;

	if (!t->daemon)
		return true;
	kill(t->daemon, SIGTERM);
	for (unsigned i = 0; i < STOP_TICKS && t->daemon; i++)
		if (!daemon_ended(t, &status))
			pause_a_tick();
	if (t->daemon)
		return complain(t, t->dir, "the daemon does not end");
	if (status) {
		show_log(t);
		return complain(t, t->dir, "the daemon did not end as it should");
	}
	return true;
}

void target_end(struct target *t)
{
	int status;

	if (!target_stop(t) && t->daemon) {
		kill(t->daemon, SIGKILL);
		waitpid(t->daemon, &status, 0);
		t->daemon = 0;
	}
	/* One whose daemon is dead can't be asked whether it is there. */
	if (t->kind != TARGET_NATIVE)
		(void)unmount_lazily(t->dir);
}

/* ---- directories ---- */

static bool make_dir(struct target *t, const char *path)
{
	return !mkdir(path, 0755) || errno == EEXIST || complain(t, path, strerror(errno));
}

bool target_set_up(struct target *t, const char *dir, const struct programs *programs)
{
	static const char *const tops[] = { "ours", "native", "passthrough", "null" };

	snprintf(t->top, sizeof(t->top), "%s/%s", dir, tops[t->kind]);
	snprintf(t->dir, sizeof(t->dir), "%.*s/mnt", PATH_SIZE - 8, t->top);
	if (t->kind == TARGET_OURS)
		snprintf(t->source, sizeof(t->source), "%.*s/store", PATH_SIZE - 8, t->top);
	if (t->kind == TARGET_PASSTHROUGH)
		snprintf(t->source, sizeof(t->source), "%.*s/shown", PATH_SIZE - 8, t->top);
	if (!make_dir(t, t->top) || !make_dir(t, t->dir))
		return false;
	if (t->kind == TARGET_PASSTHROUGH && !make_dir(t, t->source))
		return false;
	return target_start(t, programs);
}

bool target_renew(struct target *t, const struct programs *programs)
{
	if (t->kind != TARGET_OURS)
		return true;
	if (!target_stop(t))
		return false;
	dir_remove(t->source);
	return target_start(t, programs);
}

/* ---- nothing in memory ---- */

static const char drop_path[] = "/proc/sys/vm/drop_caches";

bool cold_possible(void)
{
	return !access(drop_path, W_OK);
}

static bool drop_caches(void)
{
	int fd = open(drop_path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, "3", 1) == 1;

	if (fd >= 0)
		close(fd);
	return good;
}

bool target_make_cold(struct target *t, const struct programs *programs)
{
	bool again = t->kind == TARGET_OURS || t->kind == TARGET_PASSTHROUGH;

	dir_sync(t->dir);
	if (again && !target_stop(t))
		return false;
	dir_sync(t->top);
	if (again && !target_start(t, programs))
		return false;
	return drop_caches() || complain(t, drop_path, strerror(errno));
}

/* ---- space; nftw() hands no context on ---- */

static uint64_t space, space_of_inode;

static int add_space(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (type != FTW_NS)
		space += (uint64_t)st->st_blocks * 512 + space_of_inode;
	return 0;
}

uint64_t target_space(struct target *t, const struct programs *programs)
{
	const char *dir = t->kind == TARGET_NATIVE ? t->dir : t->source;
	bool is_ext4 = !strcmp(native_name(t->top), "ext4");

	if (t->kind == TARGET_OURS && !target_stop(t))
		return 0;
	dir_sync(t->top); /* blocks are given out late */
	space = 0;
	space_of_inode = is_ext4 ? EXT4_INODE_BYTES : 0;
	nftw(dir, add_space, 64, FTW_PHYS);
	if (t->kind == TARGET_OURS && !target_start(t, programs))
		return 0;
	return space;
}
