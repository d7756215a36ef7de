/* SPDX-License-Identifier: MIT */
/*
 * Several processes at once on one file, such that what comes of it is determined: each has a range of its own, whose
 * first and last page it shares with its neighbours; the last one has the end of the file, which it moves; and all of
 * them have a common part at the start, under a lock. Or all of them append records.
 */
#include "data_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMON_BYTES ((size_t)70001)
#define RANGE_BYTES ((size_t)300007)
#define TAIL_BYTES ((size_t)1 << 20)
#define RECORD_BYTES_MAX ((size_t)1 << 20)
#define RECORDS_BYTES_MAX ((uint64_t)48 << 20) /* of all writers */
#define RECORD_MAGIC UINT32_C(0x7265636f)

struct range {
	uint64_t begin, end;
	bool tail;
};

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One in front of the end, and n of the others. */
static struct range range_of(unsigned me, unsigned n)
{
	struct range r = { .begin = COMMON_BYTES + me * RANGE_BYTES };

	r.end = r.begin + RANGE_BYTES;
	r.tail = me == n - 1;
	if (r.tail) { /* no page of it is another's, since it comes and goes */
		r.begin += 2 * PAGE;
		r.end += TAIL_BYTES;
	}
	return r;
}

static struct span span_in(struct worker *x, uint64_t begin, uint64_t end)
{
	uint64_t offset = begin + rng_below(x->rng, end - begin);
	size_t n = 1 + rng_below(x->rng, UINT64_C(1) << rng_below(x->rng, 18));

	if (rng_one_in(x->rng, 3)) {
		offset = offset / PAGE * PAGE;
		offset = offset < begin ? begin : offset;
		n = (n + PAGE - 1) / PAGE * PAGE;
	}
	return span_at(x, 0, offset, n < end - offset ? n : (size_t)(end - offset));
}

/* ---- ranges ---- */

static void lock_common(struct worker *x, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = COMMON_BYTES };

	must(x, fcntl(opened(x, 0)->fd, F_OFD_SETLKW, &lock), "a lock");
}

static void operate_in_common(struct worker *x)
{
	struct span p;

	lock_common(x, F_WRLCK);
	for (unsigned i = 0; i < 3; i++) {
		p = span_in(x, 0, COMMON_BYTES);
		if (rng_one_in(x->rng, 2))
			write_somehow(x, p);
		else
			read_somehow(x, &p);
	}
	lock_common(x, F_UNLCK);
}

static void move_end(struct worker *x, const struct range *r)
{
	struct file *f = &x->s->files[0];
	uint64_t size = r->begin + rng_below(x->rng, r->end - r->begin);

	if (rng_one_in(x->rng, 2)) {
		if (f->size + (1 << 18) < r->end)
			append_somehow(x, 0);
		return;
	}
	note(x, "truncate to %llu, size %llu", (unsigned long long)size, (unsigned long long)f->size);
	model_resize(f, size);
	must(x, ftruncate(opened(x, 0)->fd, (off_t)size), "ftruncate");
}

static void operate_in_range(struct worker *x, const struct range *r)
{
	struct span p = span_in(x, r->begin, r->end);

	switch (rng_below(x->rng, 20)) {
	case 0:
		operate_in_common(x);
		break;
	case 1:
	case 2:
		zero_somehow(x, &p);
		break;
	case 3:
		sync_somehow(x, 0);
		break;
	case 4:
		cache_somehow(x, 0);
		break;
	case 5:
	case 6:
		if (r->tail)
			move_end(x, r);
		else
			write_somehow(x, p);
		break;
	case 7:
		if (rng_one_in(x->rng, 8))
			reopen(x, 0);
		break;
	default:
		write_somehow(x, p);
	}
	if (rng_one_in(x->rng, 2))
		p = span_in(x, r->begin, r->end);
	read_somehow(x, &p);
}

static void range_worker(struct shared *s, unsigned me, unsigned workers, double end)
{
	struct range r = range_of(me, workers);
	struct rng rng = { .state = s->rng.state + me * UINT64_C(0x2545f4914f6cdd1d) };
	struct worker x;

	worker_start(&x, s, me);
	x.rng = &rng;
	x.whole_pages = true;
	while (seconds_now() < end)
		operate_in_range(&x, &r);
	worker_end(&x);
}

/* ---- records ---- */

struct record {
	uint32_t magic, writer, number, size; /* size: of what follows */
	uint64_t seed;
};

static void record_make(struct rng *rng, struct record *r, size_t room)
{
	size_t n = 1 + rng_below(rng, UINT64_C(1) << (4 + rng_below(rng, 17)));
	struct rng content;

	if (n > room || rng_one_in(rng, 16))
		n = room;
	r->size = (uint32_t)n;
	r->seed = content.state = rng_next(rng);
	fill(&content, (uint8_t *)(r + 1), r->size);
}

static void append_worker(struct shared *s, unsigned me, unsigned workers, double end)
{
	struct rng rng = { .state = s->rng.state + me * UINT64_C(0x2545f4914f6cdd1d) };
	struct record *r = aligned_alloc(PAGE, RECORD_BYTES_MAX + PAGE);
	uint64_t total = 0;
	struct worker x;

	worker_start(&x, s, me);
	x.rng = &rng;
	for (uint32_t i = 0; r && seconds_now() < end && total < RECORDS_BYTES_MAX / workers; i++) {
		*r = (struct record){ .magic = RECORD_MAGIC, .writer = me, .number = i };
		record_make(&rng, r, RECORD_BYTES_MAX - sizeof(*r));
		note(&x, "append record %u of %u bytes", i, r->size);
		append_record(&x, 0, (const uint8_t *)r, sizeof(*r) + r->size);
		total += sizeof(*r) + r->size;
		s->appended[me] = i + 1;
	}
	free(r);
	worker_end(&x);
}

static void record_check(struct worker *x, const struct record *r, const uint8_t *content, uint64_t offset)
{
	struct rng rng = { .state = r->seed };
	uint8_t *want = malloc(r->size + 8);

	if (!want)
		die(x, "no memory");
	fill(&rng, want, r->size);
	if (memcmp(want, content, r->size) != 0)
		die(x, "the record at %llu, of process %u, is torn", (unsigned long long)offset, r->writer);
	free(want);
}

/* All records are there, whole, each writer's in its order, and nothing else. */
static void records_check(struct worker *x, unsigned workers)
{
	const uint32_t *written = x->s->appended;
	int fd = opened(x, 0)->read_fd;
	uint32_t next[WORKERS_MAX] = { 0 };
	uint64_t offset = 0, count = 0;
	struct record r;
	struct stat st;

	must(x, fstat(fd, &st), "fstat");
	while (offset < (uint64_t)st.st_size) {
		must_be(x, pread(fd, &r, sizeof(r), (off_t)offset), sizeof(r), "pread of a record's head");
		if (r.magic != RECORD_MAGIC || r.writer >= workers || r.size > RECORD_BYTES_MAX)
			die(x, "at %llu there is no record", (unsigned long long)offset);
		if (r.number != next[r.writer]++)
			die(x, "at %llu there is record %u of process %u instead of %u", (unsigned long long)offset,
			    r.number, r.writer, next[r.writer] - 1);
		must_be(x, pread(fd, x->buf, r.size, (off_t)(offset + sizeof(r))), r.size, "pread of a record");
		record_check(x, &r, x->buf, offset);
		offset += sizeof(r) + r.size;
		count++;
	}
	for (unsigned i = 0; i < workers; i++) {
		if (next[i] != written[i])
			die(x, "%u records of process %u are there, of %u", next[i], i, written[i]);
	}
	printf("seed %s: %llu records, %llu bytes\n", x->s->seed_text, (unsigned long long)count,
	       (unsigned long long)offset);
}

/* ---- both ---- */

typedef void (*worker_fn)(struct shared *s, unsigned me, unsigned workers, double end);

/* 0, or the exit code of one that failed; then the others are ended. */
static int run_workers(struct shared *s, unsigned workers, double end, worker_fn fn)
{
	pid_t pids[WORKERS_MAX];
	int code = 0, status;

	fflush(stdout);
	for (unsigned i = 0; i < workers; i++) {
		pids[i] = fork();
		if (pids[i] < 0) {
			perror("fork");
			exit(2);
		}
		if (pids[i] == 0) {
			fn(s, i, workers, end);
			_exit(0);
		}
	}
	for (unsigned left = workers; left > 0; left--) {
		pid_t pid = wait(&status);

		for (unsigned i = 0; i < workers; i++) {
			if (pids[i] == pid)
				pids[i] = 0;
			else if (pids[i] && status && !code)
				kill(pids[i], SIGTERM);
		}
		if (status && !code)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	return code;
}

static void name_file(struct worker *x, const char *name, size_t bytes)
{
	struct file *f = &x->s->files[0];
	struct window window = { .size = bytes };
	char path[400];

	snprintf(f->name, sizeof(f->name), "%s", name);
	file_path(x, f->name, path);
	(void)unlink(path);
	file_windows(f, 1, &window);
	file_create(x, 0);
}

int run_ranges(struct shared *s, unsigned workers, double seconds)
{
	struct file *f = &s->files[0];
	struct range tail;
	struct worker x;
	int code;

	workers = workers < 2 ? 2 : workers;
	tail = range_of(workers - 1, workers);
	worker_start(&x, s, workers);
	name_file(&x, "ranges", (size_t)tail.end);
	must(&x, ftruncate(opened(&x, 0)->fd, (off_t)tail.begin), "ftruncate");
	f->size = tail.begin;
	closed(&x, 0);
	code = run_workers(s, workers, seconds_now() + seconds, range_worker);
	if (!code) {
		check_all(&x, 0);
		must(&x, fsync(opened(&x, 0)->fd), "fsync");
		must(&x, -posix_fadvise(opened(&x, 0)->fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
		check_all(&x, 0);
		printf("seed %s: %lu steps of %u processes\n", s->seed_text, s->count, workers);
	}
	worker_end(&x);
	return code;
}

int run_appenders(struct shared *s, unsigned workers, double seconds)
{
	struct worker x;
	int code;

	worker_start(&x, s, workers);
	name_file(&x, "records", PAGE);
	code = run_workers(s, workers, seconds_now() + seconds, append_worker);
	if (!code) {
		records_check(&x, workers);
		must(&x, -posix_fadvise(opened(&x, 0)->fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
		records_check(&x, workers);
	}
	worker_end(&x);
	return code;
}
