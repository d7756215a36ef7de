/* SPDX-License-Identifier: MIT */
#include "tests/bench/process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/common.h"
#include "tests/bench/latency.h"

/* The number behind `name` in a file of lines; 0 when there is none. */
static uint64_t proc_number(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[160];
	uint64_t n = 0;
	size_t size = strlen(name);

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, size)) {
			n = strtoull(line + size, NULL, 10);
			break;
		}
	if (f)
		fclose(f);
	return n;
}

uint64_t process_write_bytes(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/io", (long)pid);
	return proc_number(path, "write_bytes:");
}

uint64_t process_anon_bytes(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	return proc_number(path, "RssAnon:") * 1024;
}

double process_cpu_seconds(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double children_cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- directories; nftw() hands no context on ---- */

static uint64_t sum;
static uint64_t pages, pages_kept;

static int add_blocks(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (type == FTW_F)
		sum += (uint64_t)st->st_blocks * 512;
	return 0;
}

uint64_t dir_disk_bytes(const char *dir)
{
	sum = 0;
	nftw(dir, add_blocks, 16, FTW_PHYS);
	return sum;
}

static void count_kept(int fd, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (size + page - 1) / page;
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char *in_core = malloc(n);

	if (map != MAP_FAILED && in_core && !mincore(map, size, in_core))
		for (size_t i = 0; i < n; i++)
			pages_kept += in_core[i] & 1;
	pages += n;
	if (map != MAP_FAILED)
		munmap(map, size);
	free(in_core);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	int fd;

	(void)ftw;
	if (type != FTW_F || !st->st_size)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	count_kept(fd, (size_t)st->st_size);
	close(fd);
	return 0;
}

static bool dropped(const char *dir)
{
	pages = pages_kept = 0;
	nftw(dir, drop, 16, FTW_PHYS);
	return pages_kept * 100 <= pages;
}

/* Only root may drop all that is clean, and only if the files' own way does not do. In memory there is nothing else. */
bool dir_drop_cache(const char *dir)
{
	struct statfs fs;
	int fd;

	dir_sync(dir);
	if (dropped(dir))
		return true;
	if (statfs(dir, &fs) || fs.f_type == TMPFS_MAGIC)
		return false;
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (write(fd, "1", 1) != 1) {
		close(fd);
		return false;
	}
	close(fd);
	return dropped(dir);
}

void dir_remove(const char *dir)
{
	pid_t child = fork();

	if (!child) {
		execlp("rm", "rm", "-rf", "--one-file-system", "--", dir, NULL);
		_exit(127);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

void dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

/* ---- the disk's limit ---- */

enum { APPEND_BYTES = 128, APPEND_FILE_BYTES = 16 << 20 };

static void must(bool good, const char *what)
{
	if (!good)
		bench_fail(what, strerror(errno));
}

uint64_t disk_append_syncs(const char *dir, double seconds, double *ret_seconds)
{
	char path[1024], block[4096];
	uint64_t start, now, n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/appended", dir);
	memset(block, 'a', sizeof(block));
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	must(fd >= 0, path);
	for (int i = 0; i < APPEND_FILE_BYTES / (int)sizeof(block); i++)
		must(write(fd, block, sizeof(block)) == sizeof(block), path);
	must(!fsync(fd), path);
	start = now = clock_ns();
	while ((double)(now - start) < seconds * 1e9) {
		off_t at = (off_t)(n * APPEND_BYTES % APPEND_FILE_BYTES);

		must(pwrite(fd, block, APPEND_BYTES, at) == APPEND_BYTES, path);
		must(!fdatasync(fd), path);
		n++;
		now = clock_ns();
	}
	*ret_seconds = (double)(now - start) / 1e9;
	close(fd);
	unlink(path);
	return n;
}
