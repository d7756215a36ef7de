/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_DATA_PATHS_H
#define LSMFS_DATA_PATHS_H
/*
 * data_paths - the ways by which bytes get into a file and out of it, against a plain model in memory.
 *
 * The model of a file is a few windows, stretches of offsets between which nothing is ever written. It lies in memory
 * that all processes of the test share. Everything that changes a file changes the model first, between change_begin()
 * and change_end(); so when the file system dies in between, the model knows which bytes may be old or new.
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "tests/support/rng.h"

#define PAGE ((size_t)4096)
#define FILES 3
#define WINDOWS_MAX 6
#define WORKERS_MAX 8
#define MODEL_BYTES ((size_t)6 << 20) /* of one file, all windows together */
#define HISTORY 4096
#define HISTORY_SHOWN 60
#define DEAD 3 /* exit code: the file system has died, as was allowed */

struct window {
	uint64_t base; /* of the file; a multiple of PAGE */
	size_t size;
	size_t at; /* of the model's bytes */
};

/* What a byte may be after the death of the file system. */
enum { SURE, OLD_OR_NEW, ANYTHING };

struct file {
	char name[32];
	unsigned generation; /* another inode has another one */
	bool nameless;
	pid_t holder; /* of a nameless file: who has it open, and how */
	int holder_fd;
	uint64_t size;
	size_t limit; /* of the first window, for the operations of some time */
	unsigned n_windows;
	struct window windows[WINDOWS_MAX];
	size_t bytes;  /* of all windows */
	bool reserved; /* by fallocate: its blocks tell nothing */
	bool aged;     /* its mtime was set back, and must move with the next change */
	uint8_t *now;  /* zeros behind `size` */
	uint8_t *old, *doubt;
};

enum pending_kind { PENDING_NOTHING, PENDING_BYTES, PENDING_SHAPE, PENDING_RENAME, PENDING_UNLINK, PENDING_CREATE };

/* What is under way; the others of it are done. */
struct pending {
	enum pending_kind kind;
	unsigned file;
	uint64_t begin, end, old_size;
	char new_name[32];
};

/* What the file system under test can do, found out at the start. */
struct abilities {
	size_t direct_align; /* 0: no O_DIRECT; 1: any offset, size and memory */
	bool aio, uring, punch, zero_range, remove, root, noappend, dontcache;
	uint64_t size_max;
};

struct shared {
	char dir[256];
	char seed_text[32];
	struct rng rng;
	bool may_die, track;
	bool parallel; /* processes go on while one of them does something */
	unsigned drops_left;
	struct abilities can;
	unsigned long count;
	char history[HISTORY][128];
	uint8_t history_of[HISTORY]; /* the process */
	struct file files[FILES];
	struct pending pending;
	uint32_t appended[WORKERS_MAX]; /* records, of each process of run_appenders() */
};

/* A process's own hold of a file. */
struct open_file {
	unsigned generation; /* 0: not open */
	int fd, append_fd, direct_fd, sync_fd, read_fd;
	uint8_t *map; /* of the first window, kept for long */
	size_t map_size;
};

struct async; /* data_async.c */

struct worker {
	struct shared *s;
	struct rng *rng;
	unsigned me;
	bool whole_pages; /* others use the same pages: what can't share them takes whole ones */
	struct open_file open[FILES];
	uint8_t *buf; /* MODEL_BYTES and some pages */
	int pipe[2], pipe2[2];
	size_t pipe_size;
	int memfd;
	int side_fd; /* a nameless file on the same file system */
	struct async *async;
};

/* A stretch of one window. */
struct span {
	struct file *f;
	unsigned file;
	uint64_t offset;
	size_t n;
	size_t at; /* of the model's bytes */
};

/* ---- data_paths.c: how a test fails ---- */

void die(struct worker *x, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* A call failed that must not: ends the process, with DEAD if the file system died and may. */
void call_failed(struct worker *x, const char *what) __attribute__((noreturn));
/* The value of a system call that must not fail. */
long must(struct worker *x, long got, const char *what);
/* The same, and the value must be this one. */
void must_be(struct worker *x, long got, long want, const char *what);
void note(struct worker *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- data_model.c ---- */

/* `files` in memory shared with processes that are forked later. `far`: offsets up to can.size_max. */
void model_new(struct shared *s);
void file_windows(struct file *f, unsigned n, const struct window *windows);
/* The file has no bytes any more, being another one. */
void file_clear(struct file *f);
void model_save(struct shared *s, const char *path);
/* false: there is none. */
bool model_load(struct shared *s, const char *path);
/* What was under way may have happened or not. */
void model_died(struct shared *s);

void fill(struct rng *rng, uint8_t *p, size_t n);
struct window *window_of(struct file *f, uint64_t offset); /* NULL: between windows */
uint64_t some_offset(struct worker *x, struct file *f);
struct span some_span(struct worker *x, unsigned file);
/* Up to n bytes from the offset, which is in a window. */
struct span span_at(struct worker *x, unsigned file, uint64_t offset, size_t n);
/* How many of its bytes are in front of the end. */
size_t span_inside(const struct span *p);
static inline uint8_t *span_bytes(const struct span *p)
{
	return p->f->now + p->at;
}

void change_begin(struct worker *x, unsigned file, uint64_t begin, uint64_t end, enum pending_kind kind);
void change_end(struct worker *x);
/* For stores to a mapping: they are there, but only a sync makes them survive. */
void change_end_unsynced(struct worker *x);
/* What was stored to [begin, end) by mappings is synced. */
void settle(struct worker *x, unsigned file, uint64_t begin, uint64_t end);
/* [begin, end) of the model becomes zeros. */
void model_zero(struct file *f, uint64_t begin, uint64_t end);
void model_resize(struct file *f, uint64_t size);

void compare(struct worker *x, const struct span *p, const uint8_t *got, size_t n, const char *how);
void check_stat(struct worker *x, unsigned file);
void check_all(struct worker *x, unsigned file);
/* The file as a new mount shows it, against the model and its doubts (strict: there are none), which it ends. */
void check_after_mount(struct worker *x, unsigned file, bool strict);

/* ---- data_open.c: a worker's resources ---- */

void worker_start(struct worker *x, struct shared *s, unsigned me);
void worker_end(struct worker *x);
void abilities_find(struct worker *x);
void abilities_show(const struct abilities *can);
/* The worker's hold of a file, opened anew when the file is another one. */
struct open_file *opened(struct worker *x, unsigned file);
void closed(struct worker *x, unsigned file);
void reopen(struct worker *x, unsigned file);
void file_create(struct worker *x, unsigned file);
void file_path(struct worker *x, const char *name, char path[static 400]);
/* memcpy that tells when a SIGBUS ends it. */
bool guarded_copy(void *to, const void *from, size_t n);
void bus_catch(void);

/* ---- data_async.c: AIO and io_uring ---- */

enum async_engine { ENGINE_AIO, ENGINE_URING };

/* The engines that the kernel lets us have; why not is printed. */
void async_start(struct worker *x, bool *ret_aio, bool *ret_uring);
void async_end(struct worker *x);
/* Moves n bytes between `p` and the file in several requests at once, each a multiple of `align`. Returns the sum; a
 * request that is short before `want` bytes is a failure. */
size_t async_move(struct worker *x, enum async_engine engine, bool writing, int fd, uint64_t offset, uint8_t *p,
		  size_t n, size_t want, size_t align);
/* One request of io_uring: its result, a negative errno. */
int uring_fsync(struct worker *x, int fd, bool datasync);
int uring_fallocate(struct worker *x, int fd, int mode, uint64_t offset, uint64_t n);
/* One write to a descriptor with O_APPEND: its result, a negative errno. */
long async_append(struct worker *x, enum async_engine engine, int fd, const uint8_t *p, size_t n);

/* ---- data_read.c, data_write.c: the ways ---- */

/* Reads the span in a random way and compares it with the model. */
void read_somehow(struct worker *x, const struct span *p);
/* Writes new random bytes to about this span in a random way. */
void write_somehow(struct worker *x, struct span p);
/* Appends new random bytes in a random way. */
void append_somehow(struct worker *x, unsigned file);
/* `n` bytes at `p` in one random append to the file; for more than one writer at once. */
void append_record(struct worker *x, unsigned file, const uint8_t *p, size_t n);
/* Random pieces of a buffer, some of them empty; their number. */
#define PIECES_MAX 9
int pieces(struct worker *x, uint8_t *p, size_t n, struct iovec *ret);

/* ---- data_ops.c: everything else that can be done to a file; data_ranges.c: by several at once ---- */

void operate(struct worker *x);
void check_holes(struct worker *x, unsigned file);
/* Punches or zeroes inside the span, which keeps the size. */
void zero_somehow(struct worker *x, const struct span *p);
void sync_somehow(struct worker *x, unsigned file);
void cache_somehow(struct worker *x, unsigned file);

int run_ranges(struct shared *s, unsigned workers, double seconds);
int run_appenders(struct shared *s, unsigned workers, double seconds);

#endif
