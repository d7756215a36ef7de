/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_MOUNT_JOB_H
#define TESTS_BENCH_MOUNT_JOB_H
/*
 * mount_job - one workload on one target in one round, in a process of its own: the clients, what they count, and the
 * contents that they write and compare.
 */
#include <errno.h>

#include "tests/bench/latency.h"
#include "tests/bench/mount.h"

/* What wrote a part of a file; two at most. */
enum generation { CREATED, OVERWRITTEN, APPENDED };

enum { CLIENTS_MAX = 16, FILE_BYTES_MAX = 65536, BLOCK = 4096, PATTERN_BLOCKS = 256, NAME_BYTES = 48, TREE_DIRS = 100 };

struct job {
	const struct work *work;
	const struct mount_settings *settings;
	const struct programs *programs;
	const struct target *target;
	const char *dir;      /* the chain's, on the target */
	const char *material; /* a directory that is on none of them, for what stories begin with */
	unsigned round;
	int dir_fd;
	struct measured *result;
	struct histogram *histogram;
};

/* One thread's part. */
struct client {
	struct job *job;
	unsigned index;
	uint64_t from, to; /* the numbers that it has to go through */
	uint64_t operations, bytes, start_ns, end_ns;
	int fd;       /* of a file that it has for itself, -1 if none; closed behind it */
	char *buffer; /* its own, of PATTERN_BLOCKS; holds what belongs between the stamps of the first ones */
	struct timer timer;
	struct histogram histogram;
};

/* One operation, of number i; timed as a whole. */
typedef void (*client_op)(struct client *c, uint64_t i);

/* Each of the workload's threads goes through its part of the numbers below n, and everything is counted and timed. `before`
 * (or NULL) is called for each client first, `after` (or NULL) for each behind its last operation, as a part of it all. */
void job_run(struct job *job, uint64_t n, client_op before, client_op op, client_op after);
/* The same for a single call of the first client, which times what it wants to itself and counts as `operations`. */
void job_run_once(struct job *job, client_op op, uint64_t operations);

/* Ends the process: `name` is or cannot be `what`; with what the errno says if it isn't 0. */
_Noreturn void job_fail(const struct job *job, int error, const char *what, const char *name);

/* Ends the process when a call has failed. */
static inline void job_check(const struct job *job, bool good, const char *what, const char *name)
{
	if (!good)
		job_fail(job, errno, what, name);
}

/* The same for a call that has given a wrong answer. */
static inline void job_check_answer(const struct job *job, bool good, const char *what, const char *name)
{
	if (!good)
		job_fail(job, 0, what, name);
}

/* "f0000123"; with `tree` in one of TREE_DIRS directories. */
void file_name(char name[NAME_BYTES], char letter, uint64_t i, bool tree);
/* What a file's part of this size holds: half compressible, its own for each number and generation. */
void file_fill(char *buf, size_t size, uint64_t i, unsigned generation);
/* Does `buf` hold that? */
bool file_matches(const char *buf, size_t size, uint64_t i, unsigned generation);

/* Blocks of the large file: random bytes that are not worth compressing, and in front and at the end what tells a block
 * from the others. */
void blocks_init(char *buf, size_t size, uint64_t first);
void blocks_stamp(char *buf, size_t size, uint64_t first, unsigned generation);
/* The stamps of each block, and all of one in 16. */
bool blocks_match(const char *buf, size_t size, uint64_t first, unsigned generation);

/* Fails unless the job's directory has so many entries beside "." and "..". */
void dir_check_count(const struct job *job, uint64_t n);

/* Opens the file of number i with `flags`, writes what belongs to this generation, and closes it; durably with `sync`. */
void file_put(struct client *c, const char *name, int flags, uint64_t i, unsigned generation, bool sync);
/* Fails unless it holds what these generations wrote of number i, and no more. */
void file_check(struct job *job, const char *name, uint64_t i, const unsigned *generations, unsigned n);

/* What each workload runs. */
void work_create(struct job *job);
void work_create_tree(struct job *job);
void work_stat(struct job *job);
void work_missing(struct job *job);
void work_read(struct job *job);
void work_readdir(struct job *job);
void work_ls(struct job *job);
void work_overwrite(struct job *job);
void work_append(struct job *job);
void work_append_fd(struct job *job);
void work_rename(struct job *job);
void work_unlink(struct job *job);
void work_create_sync(struct job *job);
void work_replace_sync(struct job *job);
void work_seq_write_1m(struct job *job);
void work_seq_write_1m_sync(struct job *job);
void work_seq_write_4k(struct job *job);
void work_seq_read_1m(struct job *job);
void work_seq_read_4k(struct job *job);
void work_rand_read(struct job *job);
void work_rand_write(struct job *job);
void work_rand_write_sync(struct job *job);
void work_space(struct job *job);
void work_story(struct job *job);

/* Makes what is to be there before a story is measured. 0: done; 77: it can't run here, as was said; else it failed. */
int story_prepare(struct job *job);

#endif
