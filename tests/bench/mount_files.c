/* SPDX-License-Identifier: MIT */
/* Workloads on the content of many small files. They are met in the order in which they were made. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/mount_job.h"

enum { SAMPLE = 16 };

/* Looks into one file in SAMPLE; nothing is measured of it. */
static void verify(struct job *job, bool tree, const unsigned *generations, unsigned n)
{
	char name[NAME_BYTES];

	for (uint64_t i = 0; i < job->settings->files; i += SAMPLE) {
		file_name(name, 'f', i, tree);
		file_check(job, name, i, generations, n);
	}
}

/* ---- creating ---- */

static void create(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];

	file_name(name, 'f', i, false);
	file_put(c, name, O_CREAT | O_EXCL, i, CREATED, false);
}

static void create_in_tree(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];

	file_name(name, 'f', i, true);
	file_put(c, name, O_CREAT | O_EXCL, i, CREATED, false);
}

void work_create(struct job *job)
{
	const unsigned then[] = { CREATED };

	job_run(job, job->settings->files, NULL, create, NULL);
	dir_check_count(job, job->settings->files);
	verify(job, false, then, 1);
}

void work_create_tree(struct job *job)
{
	const unsigned then[] = { CREATED };
	char name[NAME_BYTES];

	for (unsigned d = 0; d < TREE_DIRS; d++) {
		snprintf(name, sizeof(name), "d%02u", d);
		job_check(job, !mkdirat(job->dir_fd, name, 0755), "cannot be made", name);
	}
	job_run(job, job->settings->files, NULL, create_in_tree, NULL);
	dir_check_count(job, TREE_DIRS);
	verify(job, true, then, 1);
}

/* ---- reading ---- */

static void read_one(struct client *c, uint64_t i)
{
	size_t size = (size_t)c->job->settings->file_bytes;
	char name[NAME_BYTES];
	ssize_t n;
	int fd;

	file_name(name, 'f', i, false);
	fd = openat(c->job->dir_fd, name, O_RDONLY | O_CLOEXEC);
	job_check(c->job, fd >= 0, "cannot be opened", name);
	n = read(fd, c->buffer, FILE_BYTES_MAX + 1);
	job_check(c->job, n >= 0, "cannot be read", name);
	close(fd);
	job_check_answer(c->job, n == (ssize_t)size, "has a wrong length", name);
	job_check_answer(c->job, file_matches(c->buffer, size, i, CREATED), "has a wrong content", name);
	c->bytes += size;
}

void work_read(struct job *job)
{
	job_run(job, job->settings->files, NULL, read_one, NULL);
}

/* ---- overwriting, appending ---- */

static void overwrite(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];

	file_name(name, 'f', i, false);
	file_put(c, name, O_TRUNC, i, OVERWRITTEN, false);
}

void work_overwrite(struct job *job)
{
	const unsigned then[] = { OVERWRITTEN };

	job_run(job, job->settings->files, NULL, overwrite, NULL);
	verify(job, false, then, 1);
}

static void append(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];

	file_name(name, 'f', i, false);
	file_put(c, name, O_APPEND, i, APPENDED, false);
}

void work_append(struct job *job)
{
	const unsigned then[] = { OVERWRITTEN, APPENDED };

	job_run(job, job->settings->files, NULL, append, NULL);
	verify(job, false, then, 2);
}

/* Appends on one descriptor: each client has a file of its own. */
static void log_open(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];

	(void)i;
	file_name(name, 'l', c->index, false);
	c->fd = openat(c->job->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	job_check(c->job, c->fd >= 0, "cannot be made", name);
}

static void log_append(struct client *c, uint64_t i)
{
	size_t size = (size_t)c->job->settings->file_bytes;

	file_fill(c->buffer, size, i, APPENDED);
	job_check(c->job, write(c->fd, c->buffer, size) == (ssize_t)size, "cannot be written", "the log");
	c->bytes += size;
}

static void log_verify(struct job *job, unsigned index)
{
	const uint64_t n = job->settings->files, size = job->settings->file_bytes;
	const uint64_t from = n * index / job->work->threads, to = n * (index + 1) / job->work->threads;
	char buffer[FILE_BYTES_MAX], name[NAME_BYTES];
	struct stat st;
	int fd;

	file_name(name, 'l', index, false);
	fd = openat(job->dir_fd, name, O_RDONLY | O_CLOEXEC);
	job_check(job, fd >= 0 && !fstat(fd, &st), "cannot be opened", name);
	job_check_answer(job, (uint64_t)st.st_size == (to - from) * size, "has a wrong length", name);
	for (uint64_t i = from; i < to; i += SAMPLE) {
		job_check(job, pread(fd, buffer, size, (off_t)((i - from) * size)) == (ssize_t)size, "cannot be read",
			  name);
		job_check_answer(job, file_matches(buffer, size, i, APPENDED), "has a wrong content", name);
	}
	close(fd);
	job_check(job, !unlinkat(job->dir_fd, name, 0), "cannot be removed", name);
}

void work_append_fd(struct job *job)
{
	job_run(job, job->settings->files, log_open, log_append, NULL);
	for (unsigned i = 0; i < job->work->threads; i++)
		log_verify(job, i);
}

/* ---- durable ---- */

/* More than can be made within the limit of time, if the target can have so many; without one, as many as are made
 * elsewhere. */
static uint64_t durable_max(const struct job *job)
{
	uint64_t n = job->settings->seconds > 0 ? 100 * job->settings->files : job->settings->files;

	return n < job->target->known_max ? n : job->target->known_max;
}

static void create_sync(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];

	file_name(name, 'f', i, false);
	file_put(c, name, O_CREAT | O_EXCL, i, CREATED, true);
}

void work_create_sync(struct job *job)
{
	job_run(job, durable_max(job), NULL, create_sync, NULL);
	job->result->cut = false;
	dir_check_count(job, job->result->operations);
}

/* Writes a new file, makes it durable, and puts it in the place of one of 100. */
static void replace_sync(struct client *c, uint64_t i)
{
	char name[NAME_BYTES], temporary[NAME_BYTES];

	file_name(temporary, 't', c->index, false);
	file_name(name, 'f', i % TREE_DIRS, false);
	file_put(c, temporary, O_CREAT | O_EXCL, i, CREATED, true);
	job_check(c->job, !renameat(c->job->dir_fd, temporary, c->job->dir_fd, name), "cannot be renamed", temporary);
}

void work_replace_sync(struct job *job)
{
	const unsigned then[] = { CREATED };
	char name[NAME_BYTES];
	uint64_t n;

	job_run(job, durable_max(job), NULL, replace_sync, NULL);
	job->result->cut = false;
	n = job->result->operations;
	dir_check_count(job, n < TREE_DIRS ? n : TREE_DIRS);
	for (uint64_t i = 0; i < n && i < TREE_DIRS; i++) {
		file_name(name, 'f', i, false);
		file_check(job, name, i + (n - 1 - i) / TREE_DIRS * TREE_DIRS, then, 1);
	}
}
