/* SPDX-License-Identifier: MIT */
/* One random operation after the other. */
#include "data_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK_ALL_EVERY 24
#define OLD_MTIME 1000
#define GRANULE ((size_t)65536) /* what a file system may put together */

/* Operations return whether they changed the content, so that the mtime must have moved. */

static bool op_write(struct worker *x, unsigned file)
{
	write_somehow(x, some_span(x, file));
	return false; /* a store to a mapping may not have come to the file system */
}

static bool op_append(struct worker *x, unsigned file)
{
	uint64_t before = x->s->files[file].size;

	append_somehow(x, file);
	return x->s->files[file].size != before;
}

static bool op_read(struct worker *x, unsigned file)
{
	for (unsigned i = 0; i < 4; i++) {
		struct span p = some_span(x, file);

		read_somehow(x, &p);
	}
	return false;
}

static bool op_truncate(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	struct open_file *of = opened(x, file);
	uint64_t size = rng_one_in(x->rng, 8) ? 0 : some_offset(x, f), before = f->size;
	unsigned way = (unsigned)rng_below(x->rng, 4);
	char path[400];
	int fd;

	note(x, "%s: truncate to %llu, size %llu", f->name, (unsigned long long)size, (unsigned long long)before);
	file_path(x, f->name, path);
	if (f->nameless || (way == 2 && size != 0))
		way = 0;
	change_begin(x, file, size < before ? size : before, before, PENDING_SHAPE);
	model_resize(f, size);
	switch (way) {
	case 0:
		must(x, ftruncate(of->fd, (off_t)size), "ftruncate");
		break;
	case 1:
		must(x, ftruncate(of->append_fd, (off_t)size), "ftruncate of a descriptor with O_APPEND");
		break;
	case 2:
		fd = (int)must(x, open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), "open with O_TRUNC");
		must(x, close(fd), "close");
		break;
	default:
		must(x, truncate(path, (off_t)size), "truncate");
	}
	change_end(x);
	return size != before;
}

/* ---- fallocate ---- */

static void do_fallocate(struct worker *x, unsigned file, int mode, uint64_t offset, uint64_t n)
{
	struct file *f = &x->s->files[file];
	int fd = opened(x, file)->fd, r;

	note(x, "%s: fallocate mode %d, %llu+%llu, size %llu", f->name, mode, (unsigned long long)offset,
	     (unsigned long long)n, (unsigned long long)f->size);
	change_begin(x, file, offset, offset + n, PENDING_SHAPE);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		model_zero(f, offset, offset + n);
	if (!(mode & FALLOC_FL_PUNCH_HOLE))
		f->reserved = true;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + n > f->size)
		f->size = offset + n;
	if (x->s->can.uring && rng_one_in(x->rng, 4)) {
		r = uring_fallocate(x, fd, mode, offset, n);
		errno = -r;
		must(x, r, "io_uring's fallocate");
	} else {
		must(x, fallocate(fd, mode, (off_t)offset, (off_t)n), "fallocate");
	}
	change_end(x);
}

static bool op_fallocate(struct worker *x, unsigned file)
{
	static const int modes[] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				     0,
				     FALLOC_FL_KEEP_SIZE };
	int mode = modes[rng_below(x->rng, sizeof(modes) / sizeof(modes[0]))];
	struct file *f = &x->s->files[file];
	struct span p = some_span(x, file);
	uint64_t end = p.offset + p.n, other = some_offset(x, f), before = f->size;

	if ((mode & FALLOC_FL_PUNCH_HOLE && !x->s->can.punch) || (mode & FALLOC_FL_ZERO_RANGE && !x->s->can.zero_range))
		return false;
	/* a hole may go from one window to another */
	if (mode & FALLOC_FL_PUNCH_HOLE && other > end && rng_one_in(x->rng, 3))
		end = other;
	do_fallocate(x, file, mode, p.offset, end - p.offset);
	return mode & FALLOC_FL_PUNCH_HOLE && p.offset < before;
}

/* 64 KiB of a hole, by pieces in any order. */
static bool op_fill_hole(struct worker *x, unsigned file)
{
	unsigned count = 4u << rng_below(x->rng, 3), step = 1 + 2 * (unsigned)rng_below(x->rng, count / 2);
	uint64_t offset = some_offset(x, &x->s->files[file]) / GRANULE * GRANULE;
	struct span p;

	if (!x->s->can.punch || !window_of(&x->s->files[file], offset))
		return false;
	p = span_at(x, file, offset, GRANULE);
	if (p.n < GRANULE)
		return false;
	do_fallocate(x, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, p.offset, p.n);
	for (unsigned i = 0; i < count; i++)
		write_somehow(x, span_at(x, file, p.offset + i * step % count * (GRANULE / count), GRANULE / count));
	read_somehow(x, &p);
	return false;
}

void zero_somehow(struct worker *x, const struct span *p)
{
	int mode = rng_one_in(x->rng, 2) && x->s->can.zero_range ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE;

	if (mode == FALLOC_FL_PUNCH_HOLE && !x->s->can.punch)
		return;
	do_fallocate(x, p->file, mode | FALLOC_FL_KEEP_SIZE, p->offset, p->n);
}

/* A hole by a mapping. */
static bool op_remove(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	struct open_file *of = opened(x, file);
	size_t pages = f->limit / PAGE, at, n;

	if (!x->s->can.remove || !pages)
		return false;
	at = rng_below(x->rng, pages) * PAGE;
	n = (1 + rng_below(x->rng, 64)) * PAGE;
	if (n > pages * PAGE - at)
		n = pages * PAGE - at;
	note(x, "%s: remove %zu+%zu of the mapping, size %llu", f->name, at, n, (unsigned long long)f->size);
	change_begin(x, file, f->windows[0].base + at, f->windows[0].base + at + n, PENDING_SHAPE);
	model_zero(f, f->windows[0].base + at, f->windows[0].base + at + n);
	must(x, madvise(of->map + at, n, MADV_REMOVE), "madvise MADV_REMOVE");
	change_end(x);
	return false;
}

/* ---- copies ---- */

static bool op_copy(struct worker *x, unsigned file)
{
	unsigned other = (unsigned)rng_below(x->rng, FILES);
	struct span from = some_span(x, other), to = some_span(x, file);
	off_t in = (off_t)from.offset, out = (off_t)to.offset;
	int in_fd = opened(x, other)->fd, out_fd = opened(x, file)->fd;
	size_t left;
	long got;

	from.n = from.n < to.n ? from.n : to.n;
	note(x, "%s: copy %zu from %llu of %s to %llu, size %llu", to.f->name, from.n, (unsigned long long)from.offset,
	     from.f->name, (unsigned long long)to.offset, (unsigned long long)to.f->size);
	if (!span_inside(&from)) {
		must_be(x, copy_file_range(in_fd, &in, out_fd, &out, from.n, 0), 0, "copy_file_range behind the end");
		return false;
	}
	to.n = from.n = span_inside(&from);
	if (file == other && from.offset < to.offset + to.n && to.offset < from.offset + from.n) {
		if (copy_file_range(in_fd, &in, out_fd, &out, from.n, 0) >= 0)
			die(x, "copy_file_range of overlapping ranges succeeds");
		if (errno != EINVAL)
			call_failed(x, "copy_file_range of overlapping ranges");
		return false;
	}
	change_begin(x, file, to.offset, to.offset + to.n, PENDING_BYTES);
	memcpy(span_bytes(&to), span_bytes(&from), to.n);
	if (to.offset + to.n > to.f->size)
		to.f->size = to.offset + to.n;
	for (left = to.n; left > 0; left -= (size_t)got) {
		got = must(x, copy_file_range(in_fd, &in, out_fd, &out, left, 0), "copy_file_range");
		if (!got)
			die(x, "copy_file_range gives 0");
	}
	change_end(x);
	return true;
}

/* ---- mappings ---- */

/* Pages wholly behind the end can't be touched. */
static bool op_behind_the_end(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	struct open_file *of = opened(x, file);
	uint64_t base = f->windows[0].base;
	size_t first = f->size <= base ? 0 : (size_t)((f->size - base + PAGE - 1) / PAGE), at;
	uint8_t byte = 0;

	if (first >= of->map_size / PAGE)
		return false;
	at = (first + rng_below(x->rng, of->map_size / PAGE - first)) * PAGE + rng_below(x->rng, PAGE);
	note(x, "%s: touch the mapping at %zu, size %llu", f->name, at, (unsigned long long)f->size);
	if (guarded_copy(&byte, of->map + at, 1))
		die(x, "%s: a page behind the end can be read", f->name);
	if (guarded_copy(of->map + at, &byte, 1))
		die(x, "%s: a page behind the end can be written to", f->name);
	return false;
}

/* Stores to a private mapping stay there. */
static bool op_private(struct worker *x, unsigned file)
{
	struct span p = some_span(x, file);
	size_t skip = p.offset % PAGE, n = span_inside(&p);
	uint8_t *map;

	if (!n || p.offset + p.n > INT64_MAX - 2 * PAGE)
		return false;
	note(x, "%s: store privately %llu+%zu, size %llu", p.f->name, (unsigned long long)p.offset, n,
	     (unsigned long long)p.f->size);
	map = mmap(NULL, skip + n, PROT_READ | PROT_WRITE, MAP_PRIVATE, opened(x, file)->fd, (off_t)(p.offset - skip));
	if (map == MAP_FAILED)
		call_failed(x, "mmap");
	memset(x->buf, 0x55, n);
	if (!guarded_copy(map + skip, x->buf, n))
		call_failed(x, "SIGBUS inside of the file, by a private mapping");
	if (memcmp(map + skip, x->buf, n) != 0)
		die(x, "%s: a private mapping has not what was stored in it", p.f->name);
	must(x, munmap(map, skip + n), "munmap");
	read_somehow(x, &p);
	return false;
}

/* ---- syncs and caches ---- */

void sync_somehow(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	struct open_file *of = opened(x, file);
	const struct window *w = &f->windows[0];
	unsigned way = (unsigned)rng_below(x->rng, 8);
	int r;

	note(x, "%s: sync %u, size %llu", f->name, way, (unsigned long long)f->size);
	switch (way) {
	case 0:
		must(x, fsync(of->fd), "fsync");
		break;
	case 1:
		must(x, fdatasync(of->read_fd), "fdatasync");
		break;
	case 2:
		must(x, syncfs(of->fd), "syncfs");
		break;
	case 3:
		if (!x->s->can.uring)
			return;
		r = uring_fsync(x, of->fd, rng_one_in(x->rng, 2));
		errno = -r;
		must(x, r, "io_uring's fsync");
		break;
	case 4:
		must(x,
		     sync_file_range(of->fd, 0, 0,
				     SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER),
		     "sync_file_range");
		return;
	case 5:
		must(x, msync(of->map, of->map_size, MS_ASYNC), "msync MS_ASYNC");
		return;
	case 6:
		must(x, msync(of->map, of->map_size, MS_SYNC | MS_INVALIDATE), "msync MS_INVALIDATE");
		settle(x, file, w->base, w->base + w->size);
		return;
	default:
		must(x, msync(of->map, of->map_size, MS_SYNC), "msync");
		settle(x, file, w->base, w->base + w->size);
		return;
	}
	settle(x, file, 0, UINT64_MAX);
}

static bool op_sync(struct worker *x, unsigned file)
{
	sync_somehow(x, file);
	return false;
}

/* All file systems of the machine lose their pages: rarely. */
static void drop_caches(struct worker *x)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* a container may not */
	x->s->drops_left--;
	note(x, "drop_caches");
	(void)!write(fd, "1\n", 2);
	close(fd);
}

void cache_somehow(struct worker *x, unsigned file)
{
	static const int advices[] = { POSIX_FADV_DONTNEED,   POSIX_FADV_DONTNEED, POSIX_FADV_WILLNEED,
				       POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,   POSIX_FADV_NORMAL };
	struct file *f = &x->s->files[file];
	struct open_file *of = opened(x, file);
	unsigned way = (unsigned)rng_below(x->rng, 9);
	struct span p = some_span(x, file);
	/* another process may move the end meanwhile */
	size_t pages = x->whole_pages ? 0 : (size_t)((f->size < of->map_size ? f->size : of->map_size) / PAGE);

	if (x->s->drops_left && x->s->can.root && rng_one_in(x->rng, 40)) {
		drop_caches(x);
		return;
	}
	note(x, "%s: caching %u, size %llu", f->name, way, (unsigned long long)f->size);
	switch (way) {
	case 0:
		must(x, fsync(of->fd), "fsync");
		settle(x, file, 0, UINT64_MAX);
		must(x, -posix_fadvise(of->fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
		break;
	case 1:
		must(x, readahead(of->read_fd, (off_t)p.offset, p.n), "readahead");
		break;
	case 2:
		must(x, madvise(of->map, of->map_size, MADV_DONTNEED), "MADV_DONTNEED");
		break;
	case 3:
		must(x, madvise(of->map, of->map_size, MADV_WILLNEED), "MADV_WILLNEED");
		break;
	case 4:
		if (pages && madvise(of->map, pages * PAGE, MADV_POPULATE_READ) < 0 && errno != EINVAL)
			call_failed(x, "MADV_POPULATE_READ");
		break;
	case 5:
		if (pages && madvise(of->map, pages * PAGE, MADV_POPULATE_WRITE) < 0 && errno != EINVAL)
			call_failed(x, "MADV_POPULATE_WRITE");
		break;
	default:
		must(x,
		     -posix_fadvise(of->fd, (off_t)p.offset, (off_t)p.n,
				    advices[rng_below(x->rng, sizeof(advices) / sizeof(advices[0]))]),
		     "fadvise");
	}
}

static bool op_cache(struct worker *x, unsigned file)
{
	cache_somehow(x, file);
	return false;
}

static bool op_reopen(struct worker *x, unsigned file)
{
	note(x, "%s: close and open, size %llu", x->s->files[file].name, (unsigned long long)x->s->files[file].size);
	reopen(x, file);
	check_all(x, file);
	return false;
}

static bool op_seek(struct worker *x, unsigned file)
{
	note(x, "%s: SEEK_DATA and SEEK_HOLE, size %llu", x->s->files[file].name,
	     (unsigned long long)x->s->files[file].size);
	check_holes(x, file);
	return false;
}

/* ---- names ---- */

/* A file of the new name is replaced. */
static void scrap_make(struct worker *x, const char *path)
{
	int fd = (int)must(x, open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open with O_CREAT");

	must_be(x, write(fd, "scrap", 5), 5, "write");
	must(x, close(fd), "close");
}

static void rename_somehow(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	struct pending *pending = &x->s->pending;
	char name[32] = "", from[400], to[400];

	snprintf(name, sizeof(name), "file%u.%llu", file, (unsigned long long)rng_below(x->rng, 100));
	if (strcmp(name, f->name) == 0)
		return;
	note(x, "%s: rename to %s", f->name, name);
	file_path(x, f->name, from);
	file_path(x, name, to);
	*pending = (struct pending){ .kind = PENDING_RENAME, .file = file };
	memcpy(pending->new_name, name, sizeof(name));
	switch (rng_below(x->rng, 3)) {
	case 0:
		must(x, link(from, to), "link");
		must(x, unlink(from), "unlink");
		break;
	case 1:
		scrap_make(x, to);
		must(x, rename(from, to), "rename over a file");
		break;
	default:
		must(x, renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE), "rename");
	}
	memcpy(f->name, name, sizeof(name));
	pending->kind = PENDING_NOTHING;
}

static bool op_names(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	struct open_file *of = opened(x, file);
	char path[400];

	if (f->nameless) {
		note(x, "%s: make a new one, size %llu", f->name, (unsigned long long)f->size);
		file_create(x, file);
	} else if (rng_one_in(x->rng, 2)) {
		rename_somehow(x, file);
	} else {
		note(x, "%s: unlink, size %llu", f->name, (unsigned long long)f->size);
		x->s->pending = (struct pending){ .kind = PENDING_UNLINK, .file = file };
		file_path(x, f->name, path);
		must(x, unlink(path), "unlink");
		f->nameless = true;
		f->holder = getpid();
		f->holder_fd = of->fd;
		x->s->pending.kind = PENDING_NOTHING;
	}
	return false;
}

/* ---- one of them ---- */

static const struct {
	bool (*run)(struct worker *x, unsigned file);
	unsigned weight;
} ops[] = {
	{ op_write, 36 },     { op_fill_hole, 2 }, { op_append, 8 },         { op_read, 6 },    { op_truncate, 9 },
	{ op_fallocate, 12 }, { op_remove, 1 },    { op_copy, 5 },           { op_private, 2 }, { op_sync, 5 },
	{ op_cache, 6 },      { op_seek, 2 },      { op_behind_the_end, 3 }, { op_names, 3 },   { op_reopen, 2 },
};

/* The first window shrinks and grows, so that small files are had, too. */
static void change_limit(struct worker *x, unsigned file)
{
	static const size_t limits[] = { 3 * PAGE / 2, 100 << 10, 600 << 10, MODEL_BYTES };
	struct file *f = &x->s->files[file];
	size_t limit = limits[rng_below(x->rng, sizeof(limits) / sizeof(limits[0]))];

	if (f->n_windows > 1)
		return;
	f->limit = limit < f->windows[0].size ? limit : f->windows[0].size;
	if (f->size <= f->limit)
		return;
	note(x, "%s: truncate to %zu, size %llu", f->name, f->limit, (unsigned long long)f->size);
	change_begin(x, file, f->limit, f->size, PENDING_SHAPE);
	model_resize(f, f->limit);
	must(x, ftruncate(opened(x, file)->fd, (off_t)f->limit), "ftruncate");
	change_end(x);
}

static void set_mtime_back(struct worker *x, unsigned file)
{
	static const struct timespec old[2] = { { OLD_MTIME, 0 }, { OLD_MTIME, 0 } };

	must(x, futimens(opened(x, file)->fd, old), "futimens");
	x->s->files[file].aged = true;
}

static void check_mtime_moved(struct worker *x, unsigned file)
{
	struct stat st;

	must(x, fstat(opened(x, file)->fd, &st), "fstat");
	if (st.st_mtim.tv_sec == OLD_MTIME || st.st_ctim.tv_sec == OLD_MTIME)
		die(x, "%s: the mtime has not moved", x->s->files[file].name);
	x->s->files[file].aged = false;
}

static unsigned some_op(struct worker *x)
{
	unsigned total = 0, pick, i = 0;

	for (size_t k = 0; k < sizeof(ops) / sizeof(ops[0]); k++)
		total += ops[k].weight;
	for (pick = (unsigned)rng_below(x->rng, total); pick >= ops[i].weight; i++)
		pick -= ops[i].weight;
	return i;
}

void operate(struct worker *x)
{
	static const unsigned of_files[] = { 0, 0, 1, 2 };
	unsigned file = of_files[rng_below(x->rng, sizeof(of_files) / sizeof(of_files[0]))];
	struct span p;
	bool changed;

	opened(x, file);
	if (rng_one_in(x->rng, 64))
		change_limit(x, file);
	if (rng_one_in(x->rng, 16))
		set_mtime_back(x, file);
	changed = ops[some_op(x)].run(x, file);
	if (changed && x->s->files[file].aged)
		check_mtime_moved(x, file);
	check_stat(x, file);
	p = some_span(x, file);
	read_somehow(x, &p);
	if (rng_one_in(x->rng, CHECK_ALL_EVERY))
		check_all(x, file);
}
