/* SPDX-License-Identifier: MIT */
/* Workloads on one large file. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/mount_job.h"

enum { MIB = 1 << 20, SAMPLES = 256 };

/* Generations of blocks. */
enum { WRITTEN, REWRITTEN, REWRITTEN_DURABLY };

static const char big[] = "big", other[] = "other";

static void open_as(struct client *c, const char *name, int flags)
{
	c->fd = openat(c->job->dir_fd, name, flags | O_CLOEXEC, 0644);
	job_check(c->job, c->fd >= 0, "cannot be opened", name);
}

static void open_new_big(struct client *c, uint64_t i)
{
	(void)i;
	open_as(c, big, O_WRONLY | O_CREAT | O_TRUNC);
}

static void open_new_other(struct client *c, uint64_t i)
{
	(void)i;
	open_as(c, other, O_WRONLY | O_CREAT | O_TRUNC);
}

static void open_to_read(struct client *c, uint64_t i)
{
	(void)i;
	open_as(c, big, O_RDONLY);
}

static void open_to_write(struct client *c, uint64_t i)
{
	(void)i;
	open_as(c, big, O_WRONLY);
}

static void write_at(struct client *c, uint64_t block, size_t size, unsigned generation)
{
	char *data = c->buffer + block % PATTERN_BLOCKS * BLOCK;

	blocks_stamp(data, size, block, generation);
	job_check(c->job, pwrite(c->fd, data, size, (off_t)(block * BLOCK)) == (ssize_t)size, "cannot be written",
		  "the large file");
	c->bytes += size;
}

static void read_at(struct client *c, uint64_t block, size_t size)
{
	ssize_t n = pread(c->fd, c->buffer, size, (off_t)(block * BLOCK));

	job_check(c->job, n >= 0, "cannot be read", big);
	job_check_answer(c->job, n == (ssize_t)size, "is too short", big);
	job_check_answer(c->job, blocks_match(c->buffer, size, block, WRITTEN), "has a wrong content", big);
	c->bytes += size;
}

static void sync_file(struct client *c, uint64_t i)
{
	(void)i;
	job_check(c->job, !fsync(c->fd), "cannot be synced", "the large file");
}

/* ---- one request after the other ---- */

static void write_mib(struct client *c, uint64_t i)
{
	write_at(c, i * (MIB / BLOCK), MIB, WRITTEN);
}

static void write_block(struct client *c, uint64_t i)
{
	write_at(c, i, BLOCK, WRITTEN);
}

static void read_mib(struct client *c, uint64_t i)
{
	read_at(c, i * (MIB / BLOCK), MIB);
}

static void read_block(struct client *c, uint64_t i)
{
	read_at(c, i, BLOCK);
}

static uint64_t blocks_of_big(const struct job *job)
{
	return job->settings->big_bytes / BLOCK;
}

/* Looks at blocks all over what was written, and removes the file if nobody needs it any more. */
static void verify_written(struct job *job, const char *name)
{
	uint64_t n = job->result->bytes / BLOCK, step = n / SAMPLES + 1;
	int fd = openat(job->dir_fd, name, O_RDONLY | O_CLOEXEC);
	char block[BLOCK];

	job_check(job, fd >= 0, "cannot be opened", name);
	for (uint64_t i = 0; i < n; i += step) {
		job_check(job, pread(fd, block, BLOCK, (off_t)(i * BLOCK)) == BLOCK, "cannot be read", name);
		job_check_answer(job, blocks_match(block, BLOCK, i, WRITTEN), "has a wrong content", name);
	}
	job_check_answer(job, lseek(fd, 0, SEEK_END) == (off_t)(n * BLOCK), "has a wrong length", name);
	close(fd);
	if (name == other)
		job_check(job, !unlinkat(job->dir_fd, name, 0), "cannot be removed", name);
}

void work_seq_write_1m(struct job *job)
{
	job_run(job, job->settings->big_bytes / MIB, open_new_big, write_mib, NULL);
	verify_written(job, big);
}

void work_seq_write_1m_sync(struct job *job)
{
	job_run(job, job->settings->big_bytes / MIB, open_new_other, write_mib, sync_file);
	verify_written(job, other);
}

void work_seq_write_4k(struct job *job)
{
	job_run(job, blocks_of_big(job), open_new_other, write_block, NULL);
	verify_written(job, other);
}

void work_seq_read_1m(struct job *job)
{
	job_run(job, job->settings->big_bytes / MIB, open_to_read, read_mib, NULL);
}

void work_seq_read_4k(struct job *job)
{
	job_run(job, blocks_of_big(job), open_to_read, read_block, NULL);
}

/* ---- random blocks ---- */

/* The block that operation i is on. */
static uint64_t block_at(const struct job *job, uint64_t i)
{
	uint64_t z = (i + 1 + ((uint64_t)job->round << 40)) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
	return (z ^ z >> 29) % blocks_of_big(job);
}

static void read_random(struct client *c, uint64_t i)
{
	read_at(c, block_at(c->job, i), BLOCK);
}

static void write_random(struct client *c, uint64_t i)
{
	write_at(c, block_at(c->job, i), BLOCK, REWRITTEN);
}

static void write_random_sync(struct client *c, uint64_t i)
{
	write_at(c, block_at(c->job, i), BLOCK, REWRITTEN_DURABLY);
	sync_file(c, i);
}

/* As many operations as the file has blocks, or what the limit of time allows. */
static void run_random(struct job *job, client_op before, client_op op)
{
	job_run(job, blocks_of_big(job), before, op, NULL);
	job->result->cut = false;
}

static void verify_random(struct job *job, unsigned generation)
{
	uint64_t n = job->result->operations, step = n / SAMPLES + 1;
	int fd = openat(job->dir_fd, big, O_RDONLY | O_CLOEXEC);
	char block[BLOCK];

	job_check(job, fd >= 0, "cannot be opened", big);
	for (uint64_t i = 0; i < n; i += step) {
		uint64_t at = block_at(job, i);

		job_check(job, pread(fd, block, BLOCK, (off_t)(at * BLOCK)) == BLOCK, "cannot be read", big);
		job_check_answer(job, blocks_match(block, BLOCK, at, generation), "has a wrong content", big);
	}
	close(fd);
}

void work_rand_read(struct job *job)
{
	run_random(job, open_to_read, read_random);
}

void work_rand_write(struct job *job)
{
	run_random(job, open_to_write, write_random);
	verify_random(job, REWRITTEN);
}

void work_rand_write_sync(struct job *job)
{
	run_random(job, open_to_write, write_random_sync);
	verify_random(job, REWRITTEN_DURABLY);
}
