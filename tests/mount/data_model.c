/* SPDX-License-Identifier: MIT */
/* The model of the files: their bytes, what is under way, what is in doubt, and the comparisons. */
#include "data_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t *shared_bytes(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return p;
}

void model_new(struct shared *s)
{
	for (unsigned i = 0; i < FILES; i++) {
		struct file *f = &s->files[i];

		snprintf(f->name, sizeof(f->name), "file%u.0", i);
		f->now = shared_bytes(MODEL_BYTES);
		f->old = shared_bytes(MODEL_BYTES);
		f->doubt = shared_bytes(MODEL_BYTES);
	}
}

void file_windows(struct file *f, unsigned n, const struct window *windows)
{
	f->n_windows = n;
	f->bytes = 0;
	for (unsigned i = 0; i < n; i++) {
		f->windows[i] = windows[i];
		f->windows[i].at = f->bytes;
		/* the next one begins at a page of memory, too */
		f->bytes += (windows[i].size + PAGE - 1) / PAGE * PAGE;
	}
	f->limit = windows[0].size;
}

void file_clear(struct file *f)
{
	memset(f->now, 0, f->bytes);
	memset(f->doubt, SURE, f->bytes);
	f->size = 0;
	f->reserved = f->aged = false;
}

/* ---- to a file and back: the windows are those of the seed's run, so they go with it ---- */

static const size_t head_bytes = offsetof(struct file, now);

static void save_bytes(FILE *out, const void *p, size_t n, const char *path)
{
	if (fwrite(p, 1, n, out) != n) {
		perror(path);
		exit(2);
	}
}

void model_save(struct shared *s, const char *path)
{
	FILE *out = fopen(path, "we");

	if (!out) {
		perror(path);
		exit(2);
	}
	save_bytes(out, &s->pending, sizeof(s->pending), path);
	for (unsigned i = 0; i < FILES; i++) {
		struct file *f = &s->files[i];

		f->holder = f->holder_fd = 0; /* a nameless file ends with its processes */
		save_bytes(out, f, head_bytes, path);
		save_bytes(out, f->now, f->bytes, path);
		save_bytes(out, f->old, f->bytes, path);
		save_bytes(out, f->doubt, f->bytes, path);
	}
	if (fclose(out) != 0) {
		perror(path);
		exit(2);
	}
}

static void load_bytes(FILE *in, void *p, size_t n, const char *path)
{
	if (fread(p, 1, n, in) != n) {
		fprintf(stderr, "data_paths: %s is no model\n", path);
		exit(2);
	}
}

bool model_load(struct shared *s, const char *path)
{
	FILE *in = fopen(path, "re");

	if (!in && errno == ENOENT)
		return false;
	if (!in) {
		perror(path);
		exit(2);
	}
	load_bytes(in, &s->pending, sizeof(s->pending), path);
	for (unsigned i = 0; i < FILES; i++) {
		struct file *f = &s->files[i];

		load_bytes(in, f, head_bytes, path);
		load_bytes(in, f->now, f->bytes, path);
		load_bytes(in, f->old, f->bytes, path);
		load_bytes(in, f->doubt, f->bytes, path);
	}
	fclose(in);
	return true;
}

/* ---- windows and spans ---- */

static size_t window_room(const struct file *f, const struct window *w)
{
	return w == &f->windows[0] ? f->limit : w->size;
}

struct window *window_of(struct file *f, uint64_t offset)
{
	for (unsigned i = 0; i < f->n_windows; i++) {
		struct window *w = &f->windows[i];

		if (offset >= w->base && offset - w->base < window_room(f, w))
			return w;
	}
	return NULL;
}

/* Near the borders that a file system may have, at the end of the file, at a page, or anywhere. */
uint64_t some_offset(struct worker *x, struct file *f)
{
	static const size_t borders[] = { 0, 256, 3584, PAGE, 65536, 1 << 20, 2 << 20, 65536 - PAGE };
	const struct window *w = &f->windows[rng_below(x->rng, f->n_windows)];
	size_t room = window_room(f, w), at;

	switch (rng_below(x->rng, 4)) {
	case 0:
		at = borders[rng_below(x->rng, sizeof(borders) / sizeof(borders[0]))] + rng_below(x->rng, 17);
		at = at > 8 ? at - 8 : 0;
		break;
	case 1:
		if (window_of(f, f->size))
			return f->size;
		at = room - 1;
		break;
	case 2:
		at = rng_below(x->rng, room / PAGE + 1) * PAGE;
		break;
	default:
		at = rng_below(x->rng, room);
	}
	return w->base + (at < room ? at : room - 1);
}

/* Mostly short; at least 1. */
static size_t some_length(struct worker *x)
{
	size_t n = 1 + rng_below(x->rng, UINT64_C(1) << rng_below(x->rng, 22));

	return rng_one_in(x->rng, 4) ? (n + PAGE - 1) / PAGE * PAGE : n;
}

struct span span_at(struct worker *x, unsigned file, uint64_t offset, size_t n)
{
	struct file *f = &x->s->files[file];
	struct span p = { .f = f, .file = file, .offset = offset };
	const struct window *w = window_of(f, offset);
	size_t room;

	if (!w)
		die(x, "the test goes to %llu, outside of its windows", (unsigned long long)offset);
	room = window_room(f, w) - (size_t)(offset - w->base);
	p.n = n < room ? n : room;
	p.at = w->at + (size_t)(offset - w->base);
	return p;
}

struct span some_span(struct worker *x, unsigned file)
{
	uint64_t offset = some_offset(x, &x->s->files[file]);

	return span_at(x, file, offset, some_length(x));
}

size_t span_inside(const struct span *p)
{
	if (p->offset >= p->f->size)
		return 0;
	return p->n < p->f->size - p->offset ? p->n : (size_t)(p->f->size - p->offset);
}

void fill(struct rng *rng, uint8_t *p, size_t n)
{
	uint64_t word;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		word = rng_next(rng);
		memcpy(p, &word, sizeof(word));
	}
	word = rng_next(rng);
	memcpy(p, &word, n);
}

/* ---- changes ---- */

/* Calls fn with each stretch of the model in [begin, end). */
static void for_stretches(struct file *f, uint64_t begin, uint64_t end, void (*fn)(struct file *f, size_t at, size_t n))
{
	for (unsigned i = 0; i < f->n_windows; i++) {
		const struct window *w = &f->windows[i];
		uint64_t from = begin > w->base ? begin : w->base;
		uint64_t to = end < w->base + w->size ? end : w->base + w->size;

		if (from < to)
			fn(f, w->at + (size_t)(from - w->base), (size_t)(to - from));
	}
}

static void keep_old(struct file *f, size_t at, size_t n)
{
	for (size_t i = at; i < at + n; i++)
		f->old[i] = f->doubt[i] == SURE ? f->now[i] : f->old[i];
}

static void be_sure(struct file *f, size_t at, size_t n)
{
	memset(f->doubt + at, SURE, n);
}

static void be_in_doubt(struct file *f, size_t at, size_t n)
{
	for (size_t i = at; i < at + n; i++)
		f->doubt[i] = f->doubt[i] == SURE ? OLD_OR_NEW : ANYTHING;
}

static void be_zero(struct file *f, size_t at, size_t n)
{
	memset(f->now + at, 0, n);
}

void change_begin(struct worker *x, unsigned file, uint64_t begin, uint64_t end, enum pending_kind kind)
{
	struct file *f = &x->s->files[file];

	if (!x->s->track)
		return;
	for_stretches(f, begin, end, keep_old);
	x->s->pending = (struct pending){ .kind = kind, .file = file, .begin = begin, .end = end, .old_size = f->size };
}

void change_end(struct worker *x)
{
	struct pending *p = &x->s->pending;

	if (!x->s->track)
		return;
	for_stretches(&x->s->files[p->file], p->begin, p->end, be_sure);
	p->kind = PENDING_NOTHING;
}

void change_end_unsynced(struct worker *x)
{
	struct pending *p = &x->s->pending;

	if (!x->s->track)
		return;
	for_stretches(&x->s->files[p->file], p->begin, p->end, be_in_doubt);
	p->kind = PENDING_NOTHING;
}

void settle(struct worker *x, unsigned file, uint64_t begin, uint64_t end)
{
	if (x->s->track)
		for_stretches(&x->s->files[file], begin, end, be_sure);
}

void model_zero(struct file *f, uint64_t begin, uint64_t end)
{
	for_stretches(f, begin, end, be_zero);
}

void model_resize(struct file *f, uint64_t size)
{
	if (size < f->size)
		model_zero(f, size, f->size);
	f->size = size;
}

void model_died(struct shared *s)
{
	struct pending *p = &s->pending;

	if (p->kind == PENDING_BYTES || p->kind == PENDING_SHAPE)
		for_stretches(&s->files[p->file], p->begin, p->end, be_in_doubt);
}

/* ---- comparisons ---- */

static void differs(struct worker *x, const struct span *p, size_t i, const uint8_t *got, const char *how)
{
	const uint8_t *want = span_bytes(p);
	size_t end = i;

	while (end < p->n && got[end] != want[end])
		end++;
	die(x, "%s, %s: byte %llu (%zu of %zu from %llu) is %02x instead of %02x, as %zu more; the size is %llu",
	    p->f->name, how, (unsigned long long)p->offset + i, i, p->n, (unsigned long long)p->offset, got[i], want[i],
	    end - i - 1, (unsigned long long)p->f->size);
}

void compare(struct worker *x, const struct span *p, const uint8_t *got, size_t n, const char *how)
{
	const uint8_t *want = span_bytes(p);

	if (memcmp(got, want, n) == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (got[i] != want[i]) {
			struct span at = *p;

			at.n = n;
			differs(x, &at, i, got, how);
		}
	}
}

void check_stat(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	struct open_file *of = opened(x, file);
	struct stat st, st2;
	char path[400];

	must(x, fstat(of->fd, &st), "fstat");
	if ((uint64_t)st.st_size != f->size)
		die(x, "%s: fstat says a size of %lld instead of %llu", f->name, (long long)st.st_size,
		    (unsigned long long)f->size);
	must_be(x, lseek(of->fd, 0, SEEK_END), (long)f->size, "SEEK_END");
	if (f->nameless) {
		must_be(x, (long)st.st_nlink, 0, "the link count of a nameless file");
		return;
	}
	file_path(x, f->name, path);
	must(x, stat(path, &st2), "stat");
	if (st2.st_ino != st.st_ino || st2.st_size != st.st_size)
		die(x, "%s: stat and fstat differ: size %lld and %lld", f->name, (long long)st2.st_size,
		    (long long)st.st_size);
}

/* At least what is called data, at most all that may have been written and some for the file system itself. */
static void check_blocks(struct worker *x, unsigned file, uint64_t data_bytes)
{
	struct file *f = &x->s->files[file];
	struct stat st;

	must(x, fstat(opened(x, file)->fd, &st), "fstat");
	if ((uint64_t)st.st_blocks * 512 < data_bytes)
		die(x, "%s: %llu bytes of data in %lld blocks", f->name, (unsigned long long)data_bytes,
		    (long long)st.st_blocks);
	if (!f->reserved && (uint64_t)st.st_blocks * 512 > f->bytes + (1 << 20))
		die(x, "%s: %lld blocks, and all that was written is %zu bytes", f->name, (long long)st.st_blocks,
		    f->bytes);
}

/* [begin, end) is called a hole. */
static void check_hole(struct worker *x, unsigned file, uint64_t begin, uint64_t end)
{
	struct file *f = &x->s->files[file];

	for (unsigned i = 0; i < f->n_windows; i++) {
		const struct window *w = &f->windows[i];
		uint64_t from = begin > w->base ? begin : w->base;
		uint64_t to = end < w->base + w->size ? end : w->base + w->size;

		for (; from < to; from++) {
			if (f->now[w->at + (size_t)(from - w->base)])
				die(x, "%s: byte %llu is in a hole", f->name, (unsigned long long)from);
		}
	}
}

/* [begin, end) is called data: nothing was ever written outside of the windows. */
static void check_data(struct worker *x, unsigned file, uint64_t begin, uint64_t end)
{
	struct file *f = &x->s->files[file];

	for (unsigned i = 0; i < f->n_windows; i++) {
		const struct window *w = &f->windows[i];

		if (begin >= w->base && end <= w->base + (w->size + PAGE - 1) / PAGE * PAGE)
			return;
	}
	die(x, "%s: [%llu, %llu) is called data", f->name, (unsigned long long)begin, (unsigned long long)end);
}

void check_holes(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	int fd = opened(x, file)->fd;
	uint64_t at = 0, data_bytes = 0;

	while (at < f->size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno != ENXIO)
			call_failed(x, "SEEK_DATA");
		check_hole(x, file, at, data < 0 ? f->size : (uint64_t)data);
		if (data < 0)
			break;
		hole = must(x, lseek(fd, data, SEEK_HOLE), "SEEK_HOLE");
		if (hole <= data || (uint64_t)hole > f->size)
			die(x, "%s: SEEK_HOLE from %lld gives %lld", f->name, (long long)data, (long long)hole);
		check_data(x, file, (uint64_t)data, (uint64_t)hole);
		data_bytes += (uint64_t)(hole - data);
		at = (uint64_t)hole;
	}
	if (lseek(fd, (off_t)f->size, SEEK_DATA) >= 0)
		die(x, "%s: SEEK_DATA at the end finds some", f->name);
	if (errno != ENXIO)
		call_failed(x, "SEEK_DATA at the end");
	check_blocks(x, file, data_bytes);
}

static void read_window(struct worker *x, unsigned file, const struct window *w, uint8_t *to, const char *how)
{
	struct file *f = &x->s->files[file];
	size_t want = 0;

	if (f->size > w->base)
		want = f->size - w->base < w->size ? (size_t)(f->size - w->base) : w->size;
	must_be(x, pread(opened(x, file)->read_fd, to, w->size, (off_t)w->base), (long)want, how);
}

void check_all(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];

	check_stat(x, file);
	for (unsigned i = 0; i < f->n_windows; i++) {
		const struct window *w = &f->windows[i];
		struct span p = { .f = f, .file = file, .offset = w->base, .at = w->at };

		read_window(x, file, w, x->buf, "reading all");
		p.n = f->size <= w->base ? 0 : f->size - w->base < w->size ? (size_t)(f->size - w->base) : w->size;
		compare(x, &p, x->buf, p.n, "reading all");
	}
	check_holes(x, file);
}

/* ---- after a mount ---- */

static void size_after_mount(struct worker *x, unsigned file)
{
	const struct pending *pending = &x->s->pending;
	struct file *f = &x->s->files[file];
	uint64_t low = f->size, high = f->size, size;
	struct stat st;

	must(x, fstat(opened(x, file)->read_fd, &st), "fstat");
	size = (uint64_t)st.st_size;
	if (pending->file == file && (pending->kind == PENDING_BYTES || pending->kind == PENDING_SHAPE)) {
		low = low < pending->old_size ? low : pending->old_size;
		high = high > pending->old_size ? high : pending->old_size;
	}
	if (size < low || size > high || (pending->kind == PENDING_SHAPE && size != low && size != high))
		die(x, "%s: the size is %llu after the mount, instead of %llu to %llu", f->name,
		    (unsigned long long)size, (unsigned long long)low, (unsigned long long)high);
	f->size = size;
}

static bool allowed(const struct file *f, size_t i, uint8_t byte)
{
	return byte == f->now[i] || f->doubt[i] == ANYTHING || (f->doubt[i] == OLD_OR_NEW && byte == f->old[i]);
}

void check_after_mount(struct worker *x, unsigned file, bool strict)
{
	struct file *f = &x->s->files[file];

	if (strict)
		memset(f->doubt, SURE, f->bytes);
	size_after_mount(x, file);
	for (unsigned i = 0; i < f->n_windows; i++) {
		const struct window *w = &f->windows[i];
		struct span p = { .f = f, .file = file, .offset = w->base, .n = w->size, .at = w->at };

		memset(x->buf, 0, w->size);
		read_window(x, file, w, x->buf, "reading all after the mount");
		for (size_t k = 0; k < w->size; k++) {
			if (w->base + k < f->size && !allowed(f, w->at + k, x->buf[k]))
				differs(x, &p, k, x->buf, "after the mount");
		}
		memcpy(f->now + w->at, x->buf, w->size);
		memset(f->doubt + w->at, SURE, w->size);
	}
	check_all(x, file);
}
