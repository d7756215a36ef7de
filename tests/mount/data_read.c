/* SPDX-License-Identifier: MIT */
/* The ways to read. Each leaves the bytes in x->buf and tells how many there were. */
#include "data_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

/* `want` of the span's bytes are there. */
typedef size_t (*read_way)(struct worker *x, const struct span *p, size_t want);

static size_t read_plain(struct worker *x, const struct span *p, size_t want)
{
	struct open_file *of = opened(x, p->file);
	int fd = rng_one_in(x->rng, 2) ? of->fd : rng_one_in(x->rng, 2) ? of->read_fd : of->append_fd;

	(void)want;
	return (size_t)must(x, pread(fd, x->buf, p->n, (off_t)p->offset), "pread");
}

/* At the descriptor's own offset, to the end that read(2) reports by 0. */
static size_t read_at_offset(struct worker *x, const struct span *p, size_t want)
{
	int fd = opened(x, p->file)->fd;
	long got;

	must_be(x, lseek(fd, (off_t)p->offset, SEEK_SET), (long)p->offset, "SEEK_SET");
	got = must(x, read(fd, x->buf, p->n), "read");
	must_be(x, lseek(fd, 0, SEEK_CUR), (long)(p->offset + (uint64_t)got), "SEEK_CUR");
	if (want < p->n)
		must_be(x, read(fd, x->buf + got, 1), 0, "read at the end");
	return (size_t)got;
}

int pieces(struct worker *x, uint8_t *p, size_t n, struct iovec *ret)
{
	int count = 1 + (int)rng_below(x->rng, PIECES_MAX);
	size_t at = 0;

	for (int i = 0; i < count; i++) {
		size_t left = n - at, size = left;

		if (i < count - 1)
			size = rng_one_in(x->rng, 4) || !left ? 0 : rng_below(x->rng, left);
		ret[i] = (struct iovec){ p + at, size };
		at += size;
	}
	return count;
}

static size_t read_vectors(struct worker *x, const struct span *p, size_t want)
{
	struct iovec v[PIECES_MAX];
	int n = pieces(x, x->buf, p->n, v);

	(void)want;
	return (size_t)must(x, preadv(opened(x, p->file)->fd, v, n, (off_t)p->offset), "preadv");
}

/* What is in memory at once, the rest then. */
static size_t read_without_waiting(struct worker *x, const struct span *p, size_t want)
{
	struct iovec v = { x->buf, p->n };
	int fd = opened(x, p->file)->fd;
	ssize_t got = preadv2(fd, &v, 1, (off_t)p->offset, RWF_NOWAIT);

	if (got < 0 && errno != EAGAIN && errno != EOPNOTSUPP)
		call_failed(x, "preadv2 with RWF_NOWAIT");
	if (got < 0)
		got = 0;
	if ((size_t)got > want)
		die(x, "preadv2 with RWF_NOWAIT gives %zd, more than the %zu there are", got, want);
	return (size_t)got +
	       (size_t)must(x, pread(fd, x->buf + got, p->n - (size_t)got, (off_t)p->offset + got), "pread");
}

/* In blocks around the span, or exactly it where that is allowed. */
static size_t read_direct(struct worker *x, const struct span *p, size_t want)
{
	size_t align = x->s->can.direct_align, skip, size;
	int fd = opened(x, p->file)->direct_fd;
	long got;

	if (!align)
		return read_plain(x, p, want);
	if (align == 1 && rng_one_in(x->rng, 2)) {
		uint8_t *to = x->buf + rng_below(x->rng, 16);

		got = must(x, pread(fd, to, p->n, (off_t)p->offset), "unaligned pread with O_DIRECT");
		memmove(x->buf, to, (size_t)got);
		return (size_t)got;
	}
	if (align == 1)
		align = PAGE;
	skip = p->offset % align;
	size = (skip + p->n + align - 1) / align * align;
	if (size > INT64_MAX - (p->offset - skip))
		return read_plain(x, p, want);
	got = must(x, pread(fd, x->buf, size, (off_t)(p->offset - skip)), "pread with O_DIRECT");
	if ((size_t)got < skip)
		return 0;
	got -= (long)skip;
	memmove(x->buf, x->buf + skip, (size_t)got);
	return (size_t)got < p->n ? (size_t)got : p->n;
}

static bool can_be_mapped(const struct span *p)
{
	return p->offset + p->n <= INT64_MAX - 2 * PAGE;
}

static size_t read_map(struct worker *x, const struct span *p, size_t want, int flags)
{
	size_t skip = p->offset % PAGE;
	uint8_t *map;

	if (!want || !can_be_mapped(p))
		return read_plain(x, p, want);
	map = mmap(NULL, skip + want, PROT_READ, flags | (rng_one_in(x->rng, 4) ? MAP_POPULATE : 0),
		   opened(x, p->file)->read_fd, (off_t)(p->offset - skip));
	if (map == MAP_FAILED)
		call_failed(x, "mmap");
	if (!guarded_copy(x->buf, map + skip, want))
		call_failed(x, "SIGBUS inside of the file");
	/* up to the page's end there are zeros */
	for (size_t i = skip + want; p->offset + want == p->f->size && i % PAGE; i++) {
		if (map[i])
			die(x, "%s: byte %zu behind the end is %02x in a mapping", p->f->name, i - skip - want, map[i]);
	}
	must(x, munmap(map, skip + want), "munmap");
	return want;
}

static size_t read_shared(struct worker *x, const struct span *p, size_t want)
{
	return read_map(x, p, want, MAP_SHARED);
}

static size_t read_private(struct worker *x, const struct span *p, size_t want)
{
	return read_map(x, p, want, MAP_PRIVATE);
}

/* By the mapping that was there before the last changes. */
static size_t read_kept(struct worker *x, const struct span *p, size_t want)
{
	struct open_file *of = opened(x, p->file);
	uint64_t base = p->f->windows[0].base;

	if (p->offset < base || p->offset + p->n > base + of->map_size)
		return read_shared(x, p, want);
	if (want && !guarded_copy(x->buf, of->map + (p->offset - base), want))
		call_failed(x, "SIGBUS inside of the file, by a kept mapping");
	return want;
}

static size_t read_aio(struct worker *x, const struct span *p, size_t want)
{
	if (!x->s->can.aio)
		return read_plain(x, p, want);
	return async_move(x, ENGINE_AIO, false, opened(x, p->file)->fd, p->offset, x->buf, p->n, want, 1);
}

static size_t read_uring(struct worker *x, const struct span *p, size_t want)
{
	if (!x->s->can.uring)
		return read_plain(x, p, want);
	return async_move(x, ENGINE_URING, false, opened(x, p->file)->fd, p->offset, x->buf, p->n, want, 1);
}

/* Several direct reads at once, of the blocks around the span. */
static size_t read_async_direct(struct worker *x, const struct span *p, size_t want)
{
	enum async_engine engine = rng_one_in(x->rng, 2) ? ENGINE_AIO : ENGINE_URING;
	size_t align = x->s->can.direct_align, skip, size, there = 0;

	if (align == 1 && rng_one_in(x->rng, 2))
		align = PAGE;
	if (!align || !(engine == ENGINE_AIO ? x->s->can.aio : x->s->can.uring))
		return read_plain(x, p, want);
	skip = p->offset % align;
	size = (skip + p->n + align - 1) / align * align;
	if (size > INT64_MAX - (p->offset - skip))
		return read_plain(x, p, want);
	if (p->f->size > p->offset - skip)
		there = p->f->size - (p->offset - skip) < size ? (size_t)(p->f->size - (p->offset - skip)) : size;
	async_move(x, engine, false, opened(x, p->file)->direct_fd, p->offset - skip, x->buf, size, there, align);
	memmove(x->buf, x->buf + skip, want);
	return want;
}

/* What is in the pipe, by read(2) or vmsplice(2). */
static void from_pipe(struct worker *x, int pipe_fd, uint8_t *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		struct iovec v = { to + done, n - done };
		long got = rng_one_in(x->rng, 2) ? must(x, vmsplice(pipe_fd, &v, 1, 0), "vmsplice from a pipe")
						 : must(x, read(pipe_fd, v.iov_base, v.iov_len), "read from a pipe");

		if (!got)
			die(x, "a pipe gives nothing");
		done += (size_t)got;
	}
}

static size_t read_splice(struct worker *x, const struct span *p, size_t want)
{
	off_t offset = (off_t)p->offset;
	size_t done = 0;
	long got;

	(void)want;
	while (done < p->n) {
		got = must(x, splice(opened(x, p->file)->fd, &offset, x->pipe[1], NULL, p->n - done, 0), "splice");
		if (!got)
			break;
		from_pipe(x, x->pipe[0], x->buf + done, (size_t)got);
		done += (size_t)got;
	}
	return done;
}

/* The same bytes twice: by the pipe, and by one that tee(2) filled. */
static size_t read_tee(struct worker *x, const struct span *p, size_t want)
{
	off_t offset = (off_t)p->offset;
	size_t n = p->n < x->pipe_size / 2 ? p->n : x->pipe_size / 2, spliced, teed;

	(void)want;
	spliced = (size_t)must(x, splice(opened(x, p->file)->fd, &offset, x->pipe[1], NULL, n, 0), "splice");
	if (spliced) {
		teed = (size_t)must(x, tee(x->pipe[0], x->pipe2[1], spliced, 0), "tee");
		from_pipe(x, x->pipe2[0], x->buf, teed);
		compare(x, p, x->buf, teed, "tee");
		from_pipe(x, x->pipe[0], x->buf, spliced);
	}
	return spliced + (size_t)must(x,
				      pread(opened(x, p->file)->fd, x->buf + spliced, p->n - spliced,
					    (off_t)(p->offset + spliced)),
				      "pread");
}

static size_t read_sendfile(struct worker *x, const struct span *p, size_t want)
{
	off_t offset = (off_t)p->offset;
	size_t done = 0;
	long got;

	(void)want;
	must_be(x, lseek(x->memfd, 0, SEEK_SET), 0, "SEEK_SET");
	while (done < p->n) {
		got = must(x, sendfile(x->memfd, opened(x, p->file)->fd, &offset, p->n - done), "sendfile");
		if (!got)
			break;
		done += (size_t)got;
	}
	must_be(x, pread(x->memfd, x->buf, done, 0), (long)done, "pread of what was sent");
	return done;
}

static size_t read_copy(struct worker *x, const struct span *p, size_t want)
{
	off_t in = (off_t)p->offset, out = (off_t)(p->offset % PAGE);
	size_t done = 0;
	long got;

	(void)want;
	while (done < p->n) {
		got = must(x, copy_file_range(opened(x, p->file)->fd, &in, x->side_fd, &out, p->n - done, 0),
			   "copy_file_range");
		if (!got)
			break;
		done += (size_t)got;
	}
	must_be(x, pread(x->side_fd, x->buf, done, (off_t)(p->offset % PAGE)), (long)done, "pread of what was copied");
	return done;
}

static const struct {
	const char *name;
	read_way read;
	unsigned weight;
} ways[] = {
	{ "pread", read_plain, 3 },
	{ "read", read_at_offset, 2 },
	{ "preadv", read_vectors, 2 },
	{ "preadv2 with RWF_NOWAIT", read_without_waiting, 1 },
	{ "pread with O_DIRECT", read_direct, 3 },
	{ "a shared mapping", read_shared, 3 },
	{ "a private mapping", read_private, 2 },
	{ "a kept mapping", read_kept, 4 },
	{ "AIO", read_aio, 1 },
	{ "io_uring", read_uring, 2 },
	{ "AIO or io_uring with O_DIRECT", read_async_direct, 2 },
	{ "splice", read_splice, 2 },
	{ "tee", read_tee, 1 },
	{ "sendfile", read_sendfile, 1 },
	{ "copy_file_range", read_copy, 1 },
};

void read_somehow(struct worker *x, const struct span *p)
{
	size_t want = span_inside(p), got, i = 0;
	unsigned total = 0, pick;

	for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++)
		total += ways[k].weight;
	for (pick = (unsigned)rng_below(x->rng, total); pick >= ways[i].weight; i++)
		pick -= ways[i].weight;
	note(x, "%s: read %llu+%zu by %s", p->f->name, (unsigned long long)p->offset, p->n, ways[i].name);
	got = ways[i].read(x, p, want);
	must_be(x, (long)got, (long)want, ways[i].name);
	compare(x, p, x->buf, want, ways[i].name);
}
