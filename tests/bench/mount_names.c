/* SPDX-License-Identifier: MIT */
/* Workloads on the names and attributes of many small files. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/bench/mount_job.h"

enum { SAMPLE = 16, LIST_BYTES = 32768 };

static void stat_one(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];
	struct stat st;

	file_name(name, 'f', i, false);
	job_check(c->job, !fstatat(c->job->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), "is not found", name);
	job_check_answer(
		c->job, S_ISREG(st.st_mode) && st.st_nlink == 1 && (uint64_t)st.st_size == c->job->settings->file_bytes,
		"has wrong attributes", name);
}

void work_stat(struct job *job)
{
	job_run(job, job->settings->files, NULL, stat_one, NULL);
}

static void missing(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];
	struct stat st;
	int r;

	file_name(name, 'm', i, false);
	r = fstatat(c->job->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW);
	job_check_answer(c->job, r < 0, "is found, though it isn't there", name);
	job_check(c->job, errno == ENOENT, "cannot be looked up", name);
}

void work_missing(struct job *job)
{
	job_run(job, job->settings->files, NULL, missing, NULL);
}

static void rename_one(struct client *c, uint64_t i)
{
	char name[NAME_BYTES], new_name[NAME_BYTES];

	file_name(name, 'f', i, false);
	file_name(new_name, 'r', i, false);
	job_check(c->job, !renameat(c->job->dir_fd, name, c->job->dir_fd, new_name), "cannot be renamed", name);
}

void work_rename(struct job *job)
{
	char name[NAME_BYTES];

	job_run(job, job->settings->files, NULL, rename_one, NULL);
	dir_check_count(job, job->settings->files);
	for (uint64_t i = 0; i < job->settings->files; i += SAMPLE) {
		file_name(name, 'f', i, false);
		job_check_answer(job, faccessat(job->dir_fd, name, F_OK, 0) < 0, "is there, though it was renamed",
				 name);
		file_name(name, 'r', i, false);
		job_check(job, !faccessat(job->dir_fd, name, F_OK, 0), "is not there", name);
	}
}

static void unlink_one(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];

	file_name(name, 'r', i, false);
	job_check(c->job, !unlinkat(c->job->dir_fd, name, 0), "cannot be removed", name);
}

void work_unlink(struct job *job)
{
	job_run(job, job->settings->files, NULL, unlink_one, NULL);
	dir_check_count(job, 0);
}

/* ---- listings; an operation is an entry ---- */

struct dirent_raw {
	uint64_t ino, off;
	unsigned short size;
	unsigned char type;
	char name[];
};

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static void lstat_entry(struct client *c, const char *name)
{
	uint64_t from = clock_ns();
	struct stat st;

	job_check(c->job, !fstatat(c->job->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), "is not found", name);
	latency_add(&c->histogram, clock_ns() - from, 1);
	job_check_answer(c->job, (uint64_t)st.st_size == c->job->settings->file_bytes, "has a wrong length", name);
}

/* What is timed beside the whole is a call for names or, if attributes are asked for, one of those. */
static void list(struct client *c, bool attributes)
{
	uint64_t n = 0, from;
	long got;

	do {
		from = clock_ns();
		got = syscall(SYS_getdents64, c->job->dir_fd, c->buffer, LIST_BYTES);
		job_check(c->job, got >= 0, "cannot be listed", c->job->dir);
		if (!attributes)
			latency_add(&c->histogram, clock_ns() - from, 1);
		for (long at = 0; at < got;) {
			const struct dirent_raw *d = (const void *)(c->buffer + at);

			at += d->size;
			if (is_dot(d->name))
				continue;
			n++;
			if (attributes)
				lstat_entry(c, d->name);
		}
	} while (got);
	job_check_answer(c->job, n == c->job->settings->files, "the number of its entries is wrong", c->job->dir);
}

static void list_names(struct client *c, uint64_t i)
{
	(void)i;
	list(c, false);
}

static void list_attributes(struct client *c, uint64_t i)
{
	(void)i;
	list(c, true);
}

void work_readdir(struct job *job)
{
	job_run_once(job, list_names, job->settings->files);
}

void work_ls(struct job *job)
{
	job_run_once(job, list_attributes, job->settings->files);
}
