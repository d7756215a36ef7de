/* SPDX-License-Identifier: MIT */
/*
 * file_exerciser - random operations on one file, each checked against the same bytes in memory.
 *
 *   file_exerciser FILE MODEL SEED SECONDS
 *
 * MODEL is a file on another file system: what FILE must hold at the start (absent: FILE is made anew), and what it
 * holds at the end. So a mount can be taken away and made again between two calls. A failure shows the operations that
 * led to it; the seed alone repeats the operations of a run that began without a MODEL.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/rng.h"

#define PAGE 4096
#define FILE_MAX ((size_t)5 << 20)
#define HISTORY 24
#define CHECK_ALL_EVERY 24

struct exerciser {
	const char *path;
	int fd, append_fd, direct_fd; /* direct_fd -1: not to be had */
	uint8_t *model, *buf;         /* FILE_MAX bytes; the model is zeros behind `size` */
	size_t size;
	size_t limit; /* no operation of the round goes behind it */
	struct rng rng;
	unsigned long count;
	char history[HISTORY][96];
};

__attribute__((format(printf, 2, 3), noreturn)) static void die(struct exerciser *x, const char *format, ...)
{
	unsigned long first = x->count > HISTORY ? x->count - HISTORY : 0;
	va_list args;

	fflush(stdout);
	for (unsigned long i = first; i < x->count; i++)
		fprintf(stderr, "  %lu %s\n", i, x->history[i % HISTORY]);
	fprintf(stderr, "file_exerciser: after operation %lu: ", x->count - 1);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* A system call that must give `want`. */
static void must(struct exerciser *x, long got, long want, const char *what)
{
	if (got < 0)
		die(x, "%s: %s", what, strerror(errno));
	if (got != want)
		die(x, "%s gives %ld instead of %ld", what, got, want);
}

__attribute__((format(printf, 2, 3))) static void note(struct exerciser *x, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(x->history[x->count++ % HISTORY], sizeof(x->history[0]), format, args);
	va_end(args);
}

/* ---- places and sizes: near the borders that a file system may have, near the end, or anywhere ---- */

static size_t some_offset(struct exerciser *x)
{
	static const size_t borders[] = { 0, 256, 3584, PAGE, 65536, 1 << 20, 2 << 20 };
	size_t at;

	switch (rng_below(&x->rng, 4)) {
	case 0:
		at = borders[rng_below(&x->rng, sizeof(borders) / sizeof(borders[0]))] + rng_below(&x->rng, 17);
		at = at > 8 ? at - 8 : 0;
		break;
	case 1:
		at = x->size;
		break;
	case 2:
		at = rng_below(&x->rng, x->limit / PAGE) * PAGE;
		break;
	default:
		at = rng_below(&x->rng, x->limit);
	}
	return at < x->limit ? at : x->limit - 1;
}

/* Mostly short; at least 1. */
static size_t some_length(struct exerciser *x, size_t offset)
{
	size_t n = 1 + rng_below(&x->rng, UINT64_C(1) << rng_below(&x->rng, 22));

	if (rng_one_in(&x->rng, 4))
		n = (n + PAGE - 1) / PAGE * PAGE;
	return n < x->limit - offset ? n : x->limit - offset;
}

/* ---- checks ---- */

static void compare(struct exerciser *x, const uint8_t *got, size_t offset, size_t size, const char *how)
{
	for (size_t i = 0; i < size; i++) {
		if (got[i] != x->model[offset + i])
			die(x, "%s: byte %zu (%zu of %zu from %zu) is %02x instead of %02x", how, offset + i, i, size,
			    offset, got[i], x->model[offset + i]);
	}
}

static void check_range(struct exerciser *x, int fd, size_t offset, size_t size, const char *how)
{
	size_t want = offset >= x->size ? 0 : size < x->size - offset ? size : x->size - offset;

	must(x, pread(fd, x->buf, size, (off_t)offset), (long)want, how);
	compare(x, x->buf, offset, want, how);
}

static void check_stat(struct exerciser *x)
{
	struct stat st, st2;

	must(x, fstat(x->fd, &st), 0, "fstat");
	must(x, stat(x->path, &st2), 0, "stat");
	if ((size_t)st.st_size != x->size || st2.st_size != st.st_size)
		die(x, "the size is %lld by fstat, %lld by stat, instead of %zu", (long long)st.st_size,
		    (long long)st2.st_size, x->size);
	must(x, lseek(x->fd, 0, SEEK_END), (long)x->size, "SEEK_END");
}

/* What SEEK_DATA and SEEK_HOLE call a hole must be zeros; they must go forward, and end at the size. */
static void check_holes(struct exerciser *x)
{
	off_t at = 0, data, hole;

	while ((size_t)at < x->size) {
		data = lseek(x->fd, at, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			must(x, data, 0, "SEEK_DATA");
		hole = data < 0 ? (off_t)x->size : data;
		for (; at < hole; at++) {
			if (x->model[at])
				die(x, "byte %lld is in a hole", (long long)at);
		}
		if (data < 0)
			return;
		at = lseek(x->fd, data, SEEK_HOLE);
		if (at <= data || (size_t)at > x->size)
			die(x, "SEEK_HOLE from %lld gives %lld", (long long)data, (long long)at);
	}
}

static void check_all(struct exerciser *x)
{
	check_stat(x);
	check_range(x, x->fd, 0, x->limit, "reading all");
	check_holes(x);
}

/* ---- operations ---- */

static void model_grow(struct exerciser *x, size_t size)
{
	if (size > x->size)
		x->size = size;
}

static void op_write(struct exerciser *x)
{
	size_t offset = some_offset(x), n = some_length(x, offset);

	note(x, "write %zu+%zu, size %zu", offset, n, x->size);
	rng_fill(&x->rng, x->model + offset, n);
	must(x, pwrite(x->fd, x->model + offset, n, (off_t)offset), (long)n, "pwrite");
	model_grow(x, offset + n);
}

static void op_append(struct exerciser *x)
{
	unsigned times = 1 + (unsigned)rng_below(&x->rng, 40);
	size_t n = 1 + rng_below(&x->rng, UINT64_C(1) << rng_below(&x->rng, 15));

	note(x, "append %u times %zu, size %zu", times, n, x->size);
	for (; times > 0 && x->size + n <= x->limit; times--) {
		rng_fill(&x->rng, x->model + x->size, n);
		must(x, write(x->append_fd, x->model + x->size, n), (long)n, "write with O_APPEND");
		x->size += n;
	}
}

static void op_read(struct exerciser *x)
{
	size_t offset = some_offset(x), n = some_length(x, offset);

	note(x, "read %zu+%zu, size %zu", offset, n, x->size);
	check_range(x, x->fd, offset, n, "pread");
}

static void op_truncate(struct exerciser *x)
{
	size_t size = rng_one_in(&x->rng, 8) ? 0 : some_offset(x);

	note(x, "truncate to %zu, size %zu", size, x->size);
	if (rng_one_in(&x->rng, 2))
		must(x, ftruncate(x->fd, (off_t)size), 0, "ftruncate");
	else
		must(x, truncate(x->path, (off_t)size), 0, "truncate");
	if (size < x->size)
		memset(x->model + size, 0, x->size - size);
	x->size = size;
}

static void op_fallocate(struct exerciser *x)
{
	static const int modes[] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, FALLOC_FL_KEEP_SIZE };
	int mode = modes[rng_below(&x->rng, sizeof(modes) / sizeof(modes[0]))];
	size_t offset = some_offset(x), n = some_length(x, offset);

	note(x, "fallocate mode %d %zu+%zu, size %zu", mode, offset, n, x->size);
	if (fallocate(x->fd, mode, (off_t)offset, (off_t)n) < 0 && errno == EOPNOTSUPP)
		return; /* a native file system may not have it */
	must(x, 0, 0, "fallocate");
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(x->model + offset, 0, n);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		model_grow(x, offset + n);
}

/* The bytes behind the end in the last page don't count, even if they were written to. */
static void op_map(struct exerciser *x, bool writing)
{
	size_t offset, n, start;
	uint8_t *map;

	if (!x->size)
		return;
	offset = some_offset(x) % x->size;
	n = some_length(x, offset);
	if (n > x->size - offset)
		n = x->size - offset;
	start = offset / PAGE * PAGE;
	note(x, "map, %s %zu+%zu, size %zu", writing ? "write" : "read", offset, n, x->size);
	map = mmap(NULL, offset + n - start, writing ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, x->fd,
		   (off_t)start);
	if (map == MAP_FAILED)
		die(x, "mmap: %s", strerror(errno));
	compare(x, map + (offset - start), offset, n, "by a mapping");
	if (writing) {
		rng_fill(&x->rng, x->model + offset, n);
		memcpy(map + (offset - start), x->model + offset, n);
		if (offset + n == x->size && x->size % PAGE)
			map[offset + n - start] = 0xaa;
		if (rng_one_in(&x->rng, 2))
			must(x, msync(map, offset + n - start, MS_SYNC), 0, "msync");
	}
	must(x, munmap(map, offset + n - start), 0, "munmap");
}

static void op_direct(struct exerciser *x)
{
	size_t offset = some_offset(x) / PAGE * PAGE, n = (some_length(x, offset) + PAGE - 1) / PAGE * PAGE;

	if (x->direct_fd < 0 || offset + n > x->limit)
		return;
	note(x, "direct write %zu+%zu, size %zu", offset, n, x->size);
	rng_fill(&x->rng, x->model + offset, n);
	must(x, pwrite(x->direct_fd, x->model + offset, n, (off_t)offset), (long)n, "pwrite with O_DIRECT");
	model_grow(x, offset + n);
	check_range(x, x->direct_fd, offset, n, "pread with O_DIRECT");
}

static void op_copy(struct exerciser *x)
{
	size_t from = some_offset(x), n = some_length(x, from), to = some_offset(x), done;
	off_t in = (off_t)from, out = (off_t)to;
	ssize_t got;

	if (from >= x->size)
		return;
	if (n > x->size - from)
		n = x->size - from;
	if (to + n > x->limit || (to < from + n && from < to + n))
		return;
	note(x, "copy %zu+%zu to %zu, size %zu", from, n, to, x->size);
	for (done = 0; done < n; done += (size_t)got) {
		got = copy_file_range(x->fd, &in, x->fd, &out, n - done, 0);
		if (got <= 0)
			die(x, "copy_file_range gives %zd: %s", got, strerror(errno));
	}
	memcpy(x->model + to, x->model + from, n);
	model_grow(x, to + n);
}

static void open_all(struct exerciser *x)
{
	x->fd = open(x->path, O_RDWR | O_CLOEXEC);
	must(x, x->fd < 0 ? -1 : 0, 0, "open");
	x->append_fd = open(x->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	must(x, x->append_fd < 0 ? -1 : 0, 0, "open with O_APPEND");
	x->direct_fd = open(x->path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static void close_all(struct exerciser *x)
{
	must(x, close(x->fd), 0, "close");
	must(x, close(x->append_fd), 0, "close");
	if (x->direct_fd >= 0)
		must(x, close(x->direct_fd), 0, "close");
}

static void op_reopen(struct exerciser *x)
{
	note(x, "close and open, size %zu", x->size);
	close_all(x);
	open_all(x);
	check_all(x);
}

/* The kernel gives up what it keeps of the file's bytes. */
static void op_drop(struct exerciser *x)
{
	note(x, "drop the pages, size %zu", x->size);
	must(x, fsync(x->fd), 0, "fsync");
	must(x, posix_fadvise(x->fd, 0, 0, POSIX_FADV_DONTNEED), 0, "fadvise");
	check_all(x);
}

static void operate(struct exerciser *x)
{
	if (rng_one_in(&x->rng, 64)) {
		x->limit = (size_t[]){ 6 * 1024, 100 * 1024, 600 * 1024, FILE_MAX }[rng_below(&x->rng, 4)];
		if (x->size > x->limit) {
			note(x, "truncate to %zu, size %zu", x->limit, x->size);
			must(x, ftruncate(x->fd, (off_t)x->limit), 0, "ftruncate");
			memset(x->model + x->limit, 0, x->size - x->limit);
			x->size = x->limit;
		}
	}
	switch (rng_below(&x->rng, 20)) {
	case 0 ... 4:
		op_write(x);
		break;
	case 5 ... 6:
		op_append(x);
		break;
	case 7 ... 8:
		op_read(x);
		break;
	case 9 ... 10:
		op_truncate(x);
		break;
	case 11 ... 13:
		op_fallocate(x);
		break;
	case 14 ... 15:
		op_map(x, true);
		break;
	case 16:
		op_map(x, false);
		break;
	case 17:
		op_direct(x);
		break;
	case 18:
		op_copy(x);
		break;
	default:
		if (rng_one_in(&x->rng, 2))
			op_reopen(x);
		else
			op_drop(x);
	}
	check_stat(x);
	if (rng_one_in(&x->rng, CHECK_ALL_EVERY))
		check_all(x);
}

/* ---- the model's file ---- */

static void model_load(struct exerciser *x, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		fd = open(x->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		must(x, fd < 0 ? -1 : 0, 0, "creating the file");
	} else {
		n = read(fd, x->model, FILE_MAX);
		must(x, n < 0 ? -1 : 0, 0, "reading the model");
		x->size = (size_t)n;
	}
	must(x, close(fd), 0, "close");
}

static void model_save(struct exerciser *x, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	must(x, fd < 0 ? -1 : 0, 0, "opening the model");
	must(x, write(fd, x->model, x->size), (long)x->size, "writing the model");
	must(x, close(fd), 0, "close");
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct exerciser x = { .limit = FILE_MAX };
	double end;

	if (argc != 5) {
		fprintf(stderr, "usage: file_exerciser FILE MODEL SEED SECONDS\n");
		return 2;
	}
	x.path = argv[1];
	x.rng.state = strtoull(argv[3], NULL, 0);
	x.model = aligned_alloc(PAGE, FILE_MAX); /* O_DIRECT wants it aligned */
	x.buf = aligned_alloc(PAGE, FILE_MAX);
	if (!x.model || !x.buf)
		return 2;
	memset(x.model, 0, FILE_MAX);
	note(&x, "start, seed %s", argv[3]);
	model_load(&x, argv[2]);
	open_all(&x);
	check_all(&x);
	end = seconds_now() + strtod(argv[4], NULL);
	while (seconds_now() < end)
		operate(&x);
	/* What was only written by a mapping is still with the kernel, and would die with the daemon. */
	must(&x, fsync(x.fd), 0, "fsync");
	check_all(&x);
	close_all(&x);
	model_save(&x, argv[2]);
	printf("seed %s: %lu operations\n", argv[3], x.count);
	free(x.model);
	free(x.buf);
	return 0;
}
