/* SPDX-License-Identifier: MIT */
/* What a worker has open, and what the file system under test can do. */
#include "data_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

void file_path(struct worker *x, const char *name, char path[static 400])
{
	snprintf(path, 400, "%s/%s", x->s->dir, name);
}

/* ---- SIGBUS ---- */

static sigjmp_buf bus_jump;
static volatile sig_atomic_t bus_guarded;

static void on_bus(int sig)
{
	if (bus_guarded)
		siglongjmp(bus_jump, 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

void bus_catch(void)
{
	struct sigaction action = { .sa_handler = on_bus };

	sigaction(SIGBUS, &action, NULL);
}

bool guarded_copy(void *to, const void *from, size_t n)
{
	if (sigsetjmp(bus_jump, 1)) {
		bus_guarded = 0;
		return false;
	}
	bus_guarded = 1;
	memcpy(to, from, n);
	bus_guarded = 0;
	return true;
}

/* ---- files ---- */

static void name_of_file(struct worker *x, unsigned file, char path[static 400])
{
	const struct file *f = &x->s->files[file];

	if (f->nameless)
		snprintf(path, 400, "/proc/%d/fd/%d", (int)f->holder, f->holder_fd);
	else
		file_path(x, f->name, path);
}

static void open_all(struct worker *x, unsigned file, struct open_file *of)
{
	const struct window *w = &x->s->files[file].windows[0];
	char path[400];

	name_of_file(x, file, path);
	of->fd = (int)must(x, open(path, O_RDWR | O_CLOEXEC), "open");
	of->read_fd = (int)must(x, open(path, O_RDONLY | O_CLOEXEC), "open for reading");
	of->append_fd = (int)must(x, open(path, O_RDWR | O_APPEND | O_CLOEXEC), "open with O_APPEND");
	of->sync_fd = (int)must(x, open(path, O_RDWR | (rng_one_in(x->rng, 2) ? O_SYNC : O_DSYNC) | O_CLOEXEC),
				"open with O_SYNC");
	of->direct_fd = -1;
	if (x->s->can.direct_align)
		of->direct_fd = (int)must(x, open(path, O_RDWR | O_DIRECT | O_CLOEXEC), "open with O_DIRECT");
	of->map_size = (w->size + PAGE - 1) / PAGE * PAGE;
	of->map = mmap(NULL, of->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, of->fd, (off_t)w->base);
	if (of->map == MAP_FAILED)
		call_failed(x, "mmap");
	of->generation = x->s->files[file].generation;
}

static void close_all(struct worker *x, struct open_file *of)
{
	int fds[] = { of->fd, of->read_fd, of->append_fd, of->sync_fd, of->direct_fd };

	must(x, munmap(of->map, of->map_size), "munmap");
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			must(x, close(fds[i]), "close");
	}
	of->generation = 0;
}

struct open_file *opened(struct worker *x, unsigned file)
{
	struct open_file *of = &x->open[file];

	if (of->generation == x->s->files[file].generation)
		return of;
	if (of->generation)
		close_all(x, of);
	open_all(x, file, of);
	return of;
}

void closed(struct worker *x, unsigned file)
{
	if (x->open[file].generation)
		close_all(x, &x->open[file]);
}

/* The new descriptors come first: a nameless file lives by them. */
void reopen(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	struct open_file *of = opened(x, file), before = *of;

	open_all(x, file, of);
	if (f->nameless && f->holder == getpid())
		f->holder_fd = of->fd;
	close_all(x, &before);
}

void file_create(struct worker *x, unsigned file)
{
	struct file *f = &x->s->files[file];
	char path[400];
	int fd;

	x->s->pending = (struct pending){ .kind = PENDING_CREATE, .file = file };
	f->nameless = false;
	f->generation++;
	file_clear(f);
	file_path(x, f->name, path);
	fd = (int)must(x, open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644), "open with O_CREAT");
	x->s->pending.kind = PENDING_NOTHING;
	must(x, close(fd), "close");
}

/* ---- abilities ---- */

static size_t direct_alignment(const char *path, int fd, uint8_t *buf)
{
	static const size_t aligns[] = { 1, 512, PAGE };
	int direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	size_t found = 0;

	if (direct < 0)
		return 0;
	for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]) && !found; i++) {
		size_t a = aligns[i];

		if (ftruncate(fd, 0) == 0 && pwrite(fd, buf, 3 * PAGE, 0) == (ssize_t)(3 * PAGE) &&
		    pwrite(direct, buf + a, a, (off_t)a) == (ssize_t)a &&
		    pread(direct, buf + a, a, (off_t)a) == (ssize_t)a)
			found = a;
	}
	close(direct);
	return found;
}

static bool can_fallocate(int fd, int mode)
{
	return fallocate(fd, mode, 0, PAGE) == 0;
}

static bool can_remove(int fd)
{
	uint8_t *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool can;

	if (map == MAP_FAILED)
		return false;
	can = madvise(map, PAGE, MADV_REMOVE) == 0;
	munmap(map, PAGE);
	return can;
}

static uint64_t largest_size(int fd)
{
	uint64_t size = 0;

	for (unsigned bit = 63; bit-- > 0;) {
		if (ftruncate(fd, (off_t)(size | UINT64_C(1) << bit)) == 0)
			size |= UINT64_C(1) << bit;
	}
	return size;
}

static bool can_flag(int fd, uint8_t *buf, int flag)
{
	struct iovec v = { buf, 1 };

	return pwritev2(fd, &v, 1, 0, flag) == 1;
}

static bool can_noappend(const char *path, uint8_t *buf)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	bool can = fd >= 0 && can_flag(fd, buf, RWF_NOAPPEND);

	if (fd >= 0)
		close(fd);
	return can;
}

void abilities_find(struct worker *x)
{
	struct abilities *can = &x->s->can;
	char path[400];
	int fd;

	file_path(x, "probe", path);
	fd = (int)must(x, open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), "creating a file");
	can->direct_align = direct_alignment(path, fd, x->buf);
	can->punch = can_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	can->zero_range = can_fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
	can->remove = can->punch && can_remove(fd);
	can->dontcache = can_flag(fd, x->buf, RWF_DONTCACHE);
	can->noappend = can_noappend(path, x->buf);
	can->size_max = largest_size(fd);
	can->root = geteuid() == 0;
	must(x, close(fd), "close");
	must(x, unlink(path), "unlink");
}

void abilities_show(const struct abilities *can)
{
	printf("O_DIRECT: %s; punch: %d, zero range: %d, RWF_DONTCACHE: %d, RWF_NOAPPEND: %d, sizes to %llu\n",
	       !can->direct_align         ? "no"
	       : can->direct_align == 1   ? "any alignment"
	       : can->direct_align == 512 ? "in 512 bytes"
					  : "in pages",
	       can->punch, can->zero_range, can->dontcache, can->noappend, (unsigned long long)can->size_max);
}

/* ---- a worker ---- */

static void pipe_make(struct worker *x, int pipe_fds[2])
{
	must(x, pipe2(pipe_fds, O_CLOEXEC), "pipe");
	/* root may have any size, others up to a limit: what it is counts */
	(void)fcntl(pipe_fds[0], F_SETPIPE_SZ, 1 << 18);
	x->pipe_size = (size_t)must(x, fcntl(pipe_fds[0], F_GETPIPE_SZ), "the size of a pipe");
}

void worker_start(struct worker *x, struct shared *s, unsigned me)
{
	char path[400];
	bool aio, uring;

	*x = (struct worker){ .s = s, .rng = &s->rng, .me = me };
	x->buf = aligned_alloc(PAGE, MODEL_BYTES + 4 * PAGE);
	if (!x->buf) {
		perror("memory");
		exit(2);
	}
	memset(x->buf, 1, MODEL_BYTES + 4 * PAGE);
	bus_catch();
	pipe_make(x, x->pipe);
	pipe_make(x, x->pipe2);
	x->memfd = (int)must(x, memfd_create("data_paths", MFD_CLOEXEC), "memfd_create");
	snprintf(path, sizeof(path), "%s/side%u", s->dir, me);
	x->side_fd = (int)must(x, open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), "creating a file");
	must(x, unlink(path), "unlink");
	async_start(x, &aio, &uring);
	s->can.aio = aio;
	s->can.uring = uring;
}

void worker_end(struct worker *x)
{
	for (unsigned i = 0; i < FILES; i++)
		closed(x, i);
	async_end(x);
	close(x->pipe[0]);
	close(x->pipe[1]);
	close(x->pipe2[0]);
	close(x->pipe2[1]);
	close(x->memfd);
	close(x->side_fd);
	free(x->buf);
}
