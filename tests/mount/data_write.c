/* SPDX-License-Identifier: MIT */
/* The ways to write. The model already has the bytes when they are called. */
#include "data_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

/* false: only a sync makes it survive the death of the file system. */
typedef bool (*write_way)(struct worker *x, const struct span *p);

#define INSIDE (1u << 0) /* only within the size */
#define BLOCKS (1u << 1) /* whole blocks of can.direct_align, or of pages if others use them, too */

static bool write_plain(struct worker *x, const struct span *p)
{
	must_be(x, pwrite(opened(x, p->file)->fd, span_bytes(p), p->n, (off_t)p->offset), (long)p->n, "pwrite");
	return true;
}

static bool write_synced(struct worker *x, const struct span *p)
{
	must_be(x, pwrite(opened(x, p->file)->sync_fd, span_bytes(p), p->n, (off_t)p->offset), (long)p->n,
		"pwrite with O_SYNC");
	return true;
}

static bool write_at_offset(struct worker *x, const struct span *p)
{
	int fd = opened(x, p->file)->fd;

	must_be(x, lseek(fd, (off_t)p->offset, SEEK_SET), (long)p->offset, "SEEK_SET");
	must_be(x, write(fd, span_bytes(p), p->n), (long)p->n, "write");
	must_be(x, lseek(fd, 0, SEEK_CUR), (long)(p->offset + p->n), "SEEK_CUR");
	return true;
}

static bool write_vectors(struct worker *x, const struct span *p)
{
	struct iovec v[PIECES_MAX];
	int n = pieces(x, span_bytes(p), p->n, v);

	must_be(x, pwritev(opened(x, p->file)->fd, v, n, (off_t)p->offset), (long)p->n, "pwritev");
	return true;
}

static bool write_flags(struct worker *x, const struct span *p)
{
	static const int all_flags[] = { 0, RWF_DSYNC, RWF_SYNC, RWF_DONTCACHE, RWF_NOAPPEND };
	struct open_file *of = opened(x, p->file);
	struct iovec v[PIECES_MAX];
	int n = pieces(x, span_bytes(p), p->n, v), fd = of->fd;
	int flags = all_flags[rng_below(x->rng, sizeof(all_flags) / sizeof(all_flags[0]))];

	if ((flags == RWF_DONTCACHE && !x->s->can.dontcache) || (flags == RWF_NOAPPEND && !x->s->can.noappend))
		flags = 0;
	if (flags == RWF_NOAPPEND)
		fd = of->append_fd;
	must_be(x, pwritev2(fd, v, n, (off_t)p->offset, flags), (long)p->n, "pwritev2");
	return true;
}

/* From aligned memory, or from any where that is allowed: then it has passed through x->buf. */
static bool write_direct(struct worker *x, const struct span *p)
{
	const uint8_t *from = span_bytes(p);
	int fd = opened(x, p->file)->direct_fd;

	if (fd < 0)
		return write_plain(x, p);
	if (x->s->can.direct_align == 1 && rng_one_in(x->rng, 2)) {
		uint8_t *copy = x->buf + rng_below(x->rng, 16);

		memcpy(copy, from, p->n);
		from = copy;
	}
	must_be(x, pwrite(fd, from, p->n, (off_t)p->offset), (long)p->n, "pwrite with O_DIRECT");
	return true;
}

/* In the last page, behind the end, is what must not come to the file. Only what is synced is sure to be rid of it
 * before the file grows: ext4 keeps it if a direct write makes the file grow. */
static bool spoil_behind_the_end(struct worker *x, const struct span *p, uint8_t *end)
{
	if (p->offset + p->n != p->f->size || p->f->size % PAGE == 0 || x->whole_pages)
		return false;
	memset(end, 0xaa, PAGE - p->f->size % PAGE);
	return true;
}

static bool store(struct worker *x, const struct span *p, uint8_t *map)
{
	size_t skip = p->offset % PAGE;
	bool spoiled;

	if (!guarded_copy(map + skip, span_bytes(p), p->n))
		call_failed(x, "SIGBUS inside of the file, storing");
	spoiled = spoil_behind_the_end(x, p, map + skip + p->n);
	if (!spoiled && rng_one_in(x->rng, 2))
		return false;
	must(x, msync(map, skip + p->n, MS_SYNC), "msync");
	return true;
}

static bool write_map(struct worker *x, const struct span *p)
{
	size_t skip = p->offset % PAGE;
	uint8_t *map;
	bool synced;

	if (p->offset + p->n > INT64_MAX - 2 * PAGE)
		return write_plain(x, p);
	map = mmap(NULL, skip + p->n, PROT_READ | PROT_WRITE, MAP_SHARED, opened(x, p->file)->fd,
		   (off_t)(p->offset - skip));
	if (map == MAP_FAILED)
		call_failed(x, "mmap");
	synced = store(x, p, map);
	must(x, munmap(map, skip + p->n), "munmap");
	return synced;
}

static bool write_kept(struct worker *x, const struct span *p)
{
	struct open_file *of = opened(x, p->file);
	uint64_t base = p->f->windows[0].base;

	if (p->offset < base || p->offset + p->n > base + of->map_size)
		return write_map(x, p);
	return store(x, p, of->map + (p->offset - base - p->offset % PAGE));
}

static bool write_aio(struct worker *x, const struct span *p)
{
	if (!x->s->can.aio)
		return write_plain(x, p);
	async_move(x, ENGINE_AIO, true, opened(x, p->file)->fd, p->offset, span_bytes(p), p->n, p->n, 1);
	return true;
}

static bool write_uring(struct worker *x, const struct span *p)
{
	if (!x->s->can.uring)
		return write_plain(x, p);
	async_move(x, ENGINE_URING, true, opened(x, p->file)->fd, p->offset, span_bytes(p), p->n, p->n, 1);
	return true;
}

static bool write_async_direct(struct worker *x, const struct span *p)
{
	enum async_engine engine = rng_one_in(x->rng, 2) ? ENGINE_AIO : ENGINE_URING;
	int fd = opened(x, p->file)->direct_fd;

	if (fd < 0 || !(engine == ENGINE_AIO ? x->s->can.aio : x->s->can.uring))
		return write_direct(x, p);
	async_move(x, engine, true, fd, p->offset, span_bytes(p), p->n, p->n,
		   x->whole_pages ? PAGE : x->s->can.direct_align);
	return true;
}

/* By write(2) into the pipe, or by lending it the memory's pages. */
static bool write_splice(struct worker *x, const struct span *p)
{
	bool lend = rng_one_in(x->rng, 2);
	off_t offset = (off_t)p->offset;
	size_t done = 0;

	while (done < p->n) {
		size_t left = p->n - done, n = left < x->pipe_size / 2 ? left : x->pipe_size / 2, in_pipe;
		struct iovec v = { span_bytes(p) + done, n };

		in_pipe = (size_t)(lend ? must(x, vmsplice(x->pipe[1], &v, 1, 0), "vmsplice")
					: must(x, write(x->pipe[1], v.iov_base, n), "write to a pipe"));
		done += in_pipe;
		while (in_pipe > 0) {
			long got =
				must(x,
				     splice(x->pipe[0], NULL, opened(x, p->file)->fd, &offset, in_pipe, SPLICE_F_MOVE),
				     "splice to the file");

			if (!got)
				die(x, "splice to the file gives 0");
			in_pipe -= (size_t)got;
		}
	}
	return true;
}

static bool write_sendfile(struct worker *x, const struct span *p)
{
	int fd = opened(x, p->file)->fd;
	off_t in = 0;

	must_be(x, pwrite(x->memfd, span_bytes(p), p->n, 0), (long)p->n, "pwrite to memory");
	must_be(x, lseek(fd, (off_t)p->offset, SEEK_SET), (long)p->offset, "SEEK_SET");
	while ((size_t)in < p->n) {
		if (!must(x, sendfile(fd, x->memfd, &in, p->n - (size_t)in), "sendfile"))
			die(x, "sendfile gives 0");
	}
	return true;
}

static bool write_copy(struct worker *x, const struct span *p)
{
	off_t in = (off_t)rng_below(x->rng, 2 * PAGE), out = (off_t)p->offset;
	size_t left = p->n;

	must_be(x, pwrite(x->side_fd, span_bytes(p), p->n, in), (long)p->n, "pwrite to another file");
	while (left > 0) {
		long got = must(x, copy_file_range(x->side_fd, &in, opened(x, p->file)->fd, &out, left, 0),
				"copy_file_range");

		if (!got)
			die(x, "copy_file_range gives 0");
		left -= (size_t)got;
	}
	return true;
}

static const struct {
	const char *name;
	write_way write;
	unsigned weight, flags;
} ways[] = {
	{ "pwrite", write_plain, 6, 0 },
	{ "write", write_at_offset, 2, 0 },
	{ "pwrite with O_SYNC", write_synced, 1, 0 },
	{ "pwritev", write_vectors, 2, 0 },
	{ "pwritev2", write_flags, 2, 0 },
	{ "pwrite with O_DIRECT", write_direct, 4, BLOCKS },
	{ "a mapping", write_map, 4, INSIDE },
	{ "a kept mapping", write_kept, 6, INSIDE },
	{ "AIO", write_aio, 1, 0 },
	{ "io_uring", write_uring, 2, 0 },
	{ "AIO or io_uring with O_DIRECT", write_async_direct, 2, BLOCKS },
	{ "splice", write_splice, 2, 0 },
	{ "sendfile", write_sendfile, 1, 0 },
	{ "copy_file_range", write_copy, 1, BLOCKS },
};

/* The span in whole blocks: inwards, if it has any, else outwards if the window allows it. */
static bool to_blocks(struct worker *x, struct span *p, size_t align)
{
	uint64_t begin = (p->offset + align - 1) / align * align, end = (p->offset + p->n) / align * align;
	struct span wide;

	if (begin < end) {
		*p = span_at(x, p->file, begin, (size_t)(end - begin));
		return true;
	}
	if (x->whole_pages)
		return false;
	begin = p->offset / align * align;
	wide = span_at(x, p->file, begin, align);
	if (wide.n < align)
		return false;
	*p = wide;
	return true;
}

/* The blocks that this way asks for; 1: any bytes. */
static size_t blocks_of(const struct worker *x, unsigned flags)
{
	if (!(flags & BLOCKS))
		return 1;
	if (x->whole_pages)
		return PAGE;
	return x->s->can.direct_align ? x->s->can.direct_align : 1;
}

void write_somehow(struct worker *x, struct span p)
{
	unsigned total = 0, pick, i = 0;
	bool synced;

	for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++)
		total += ways[k].weight;
	for (pick = (unsigned)rng_below(x->rng, total); pick >= ways[i].weight; i++)
		pick -= ways[i].weight;
	if (ways[i].flags & INSIDE) {
		if (!span_inside(&p))
			i = 0;
		else
			p.n = span_inside(&p);
	}
	if (blocks_of(x, ways[i].flags) > 1 && !to_blocks(x, &p, blocks_of(x, ways[i].flags)))
		i = 0;
	note(x, "%s: write %llu+%zu by %s, size %llu", p.f->name, (unsigned long long)p.offset, p.n, ways[i].name,
	     (unsigned long long)p.f->size);
	change_begin(x, p.file, p.offset, p.offset + p.n, PENDING_BYTES);
	fill(x->rng, span_bytes(&p), p.n);
	if (p.offset + p.n > p.f->size)
		p.f->size = p.offset + p.n;
	synced = ways[i].write(x, &p);
	if (synced)
		change_end(x);
	else
		change_end_unsynced(x);
}

/* ---- appends ---- */

static long append_vectors(struct worker *x, struct open_file *of, const uint8_t *p, size_t n, int flags, int fd)
{
	struct iovec v[PIECES_MAX];
	int count = pieces(x, (uint8_t *)(uintptr_t)p, n, v);

	(void)of;
	return flags ? pwritev2(fd, v, count, 0, flags) : writev(fd, v, count);
}

void append_record(struct worker *x, unsigned file, const uint8_t *p, size_t n)
{
	struct open_file *of = opened(x, file);
	unsigned way = (unsigned)rng_below(x->rng, 7);
	long got;

	/* from an offset that an append near the largest size left behind, the kernel refuses larger ones */
	must_be(x, lseek(of->append_fd, 0, SEEK_SET), 0, "SEEK_SET");
	if ((way == 5 && !x->s->can.aio) || (way == 6 && !x->s->can.uring))
		way = 0;
	switch (way) {
	case 0:
	case 1:
		got = write(of->append_fd, p, n);
		break;
	case 2:
		got = append_vectors(x, of, p, n, 0, of->append_fd);
		break;
	case 3:
		got = append_vectors(x, of, p, n, RWF_APPEND, of->fd);
		break;
	case 4:
		got = pwrite(of->append_fd, p, n, 0); /* on Linux it appends, whatever the offset is */
		break;
	default:
		got = async_append(x, way == 5 ? ENGINE_AIO : ENGINE_URING, of->append_fd, p, n);
		if (got < 0) {
			errno = (int)-got;
			got = -1;
		}
	}
	must_be(x, got, (long)n, way == 5 ? "AIO's append" : way == 6 ? "io_uring's append" : "an append");
}

void append_somehow(struct worker *x, unsigned file)
{
	unsigned times = 1 + (unsigned)rng_below(x->rng, 40);
	size_t n = 1 + rng_below(x->rng, UINT64_C(1) << rng_below(x->rng, 15));
	struct file *f = &x->s->files[file];

	note(x, "%s: append %u times %zu, size %llu", f->name, times, n, (unsigned long long)f->size);
	for (; times > 0 && window_of(f, f->size); times--) {
		struct span p = span_at(x, file, f->size, n);

		change_begin(x, file, p.offset, p.offset + p.n, PENDING_BYTES);
		fill(x->rng, span_bytes(&p), p.n);
		f->size += p.n;
		append_record(x, file, span_bytes(&p), p.n);
		change_end(x);
	}
}
