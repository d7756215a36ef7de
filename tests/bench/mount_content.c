/* SPDX-License-Identifier: MIT */
/* Names and contents: what is written, and whether it is what is read. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/mount_job.h"
#include "tests/support/rng.h"

void file_name(char name[NAME_BYTES], char letter, uint64_t i, bool tree)
{
	if (tree)
		snprintf(name, NAME_BYTES, "d%02u/%c%07llu", (unsigned)(i % TREE_DIRS), letter, (unsigned long long)i);
	else
		snprintf(name, NAME_BYTES, "%c%07llu", letter, (unsigned long long)i);
}

static void fill_words(struct rng *rng, char *buf, size_t size)
{
	uint64_t word;

	for (size_t at = 0; at < size; at += sizeof(word)) {
		word = rng_next(rng);
		memcpy(buf + at, &word, size - at < sizeof(word) ? size - at : sizeof(word));
	}
}

void file_fill(char *buf, size_t size, uint64_t i, unsigned generation)
{
	struct rng rng = { i * 64 + generation };
	size_t half = (size + 1) / 2;

	fill_words(&rng, buf, half);
	memcpy(buf + half, buf, size - half);
}

bool file_matches(const char *buf, size_t size, uint64_t i, unsigned generation)
{
	char expected[FILE_BYTES_MAX];

	file_fill(expected, size, i, generation);
	return memcmp(buf, expected, size) == 0;
}

/* What is between the stamps repeats itself after a MiB, further than compression looks back. Made by the first caller,
 * who is alone. */
static const char *random_block(uint64_t block)
{
	static char pattern[PATTERN_BLOCKS * BLOCK];
	static bool made;

	if (!made) {
		struct rng rng = { 4711 };

		fill_words(&rng, pattern, sizeof(pattern));
		made = true;
	}
	return pattern + block % PATTERN_BLOCKS * BLOCK;
}

void blocks_init(char *buf, size_t size, uint64_t first)
{
	for (size_t at = 0; at < size; at += BLOCK)
		memcpy(buf + at, random_block(first + at / BLOCK), BLOCK);
}

static uint64_t stamp_of(uint64_t block, unsigned generation)
{
	return (block * 64 + generation) * UINT64_C(0x9e3779b97f4a7c15);
}

void blocks_stamp(char *buf, size_t size, uint64_t first, unsigned generation)
{
	for (size_t at = 0; at < size; at += BLOCK) {
		uint64_t stamp = stamp_of(first + at / BLOCK, generation);

		memcpy(buf + at, &stamp, sizeof(stamp));
		memcpy(buf + at + BLOCK - sizeof(stamp), &stamp, sizeof(stamp));
	}
}

bool blocks_match(const char *buf, size_t size, uint64_t first, unsigned generation)
{
	const size_t n = sizeof(uint64_t);

	for (size_t at = 0; at < size; at += BLOCK) {
		uint64_t block = first + at / BLOCK, stamp = stamp_of(block, generation);

		if (memcmp(buf + at, &stamp, n) || memcmp(buf + at + BLOCK - n, &stamp, n))
			return false;
		if (block % 16 == 0 && memcmp(buf + at + n, random_block(block) + n, BLOCK - 2 * n))
			return false;
	}
	return true;
}

void dir_check_count(const struct job *job, uint64_t expected)
{
	DIR *dir = opendir(job->dir);
	struct dirent *d;
	uint64_t n = 0;

	job_check(job, dir, "cannot be listed", job->dir);
	errno = 0;
	while ((d = readdir(dir)))
		n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	job_check(job, errno == 0, "cannot be listed", job->dir);
	closedir(dir);
	job_check_answer(job, n == expected, "the number of its entries is wrong", job->dir);
}

void file_put(struct client *c, const char *name, int flags, uint64_t i, unsigned generation, bool sync)
{
	size_t size = (size_t)c->job->settings->file_bytes;
	int fd;

	file_fill(c->buffer, size, i, generation);
	fd = openat(c->job->dir_fd, name, O_WRONLY | O_CLOEXEC | flags, 0644);
	job_check(c->job, fd >= 0, "cannot be opened", name);
	job_check(c->job, write(fd, c->buffer, size) == (ssize_t)size, "cannot be written", name);
	job_check(c->job, !sync || !fsync(fd), "cannot be synced", name);
	job_check(c->job, !close(fd), "cannot be closed", name);
	c->bytes += size;
}

void file_check(struct job *job, const char *name, uint64_t i, const unsigned *generations, unsigned n)
{
	size_t size = (size_t)job->settings->file_bytes;
	char buffer[2 * FILE_BYTES_MAX + 1];
	int fd = openat(job->dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	job_check(job, fd >= 0, "cannot be opened", name);
	got = read(fd, buffer, sizeof(buffer));
	job_check(job, got >= 0, "cannot be read", name);
	job_check_answer(job, got == (ssize_t)(n * size), "has a wrong length", name);
	for (unsigned p = 0; p < n; p++)
		job_check_answer(job, file_matches(buffer + p * size, size, i, generations[p]), "has a wrong content",
				 name);
	close(fd);
}
