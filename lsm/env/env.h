/* SPDX-License-Identifier: MIT */
#ifndef LSM_ENV_ENV_H
#define LSM_ENV_ENV_H
/*
 * env - the seam to the operating system. Everything the engine does to files, directories, locks, the clock and
 * threads goes through a struct env; env_posix() is the real one, tests bring another that fails, tears and forgets.
 *
 * Calls return 0 or an LSM_* code with lsm_last_error() set (path, errno). All are thread-safe; a file may be read and
 * written by several threads at once.
 */
#include <sys/uio.h>

#include "lsm/base/status.h"

struct env;
struct env_file;
struct env_lock;
struct env_thread;

enum env_open_mode {
	ENV_OPEN_READ,   /* existing, read only; a missing file is LSM_IO with ENOENT */
	ENV_OPEN_WRITE,  /* existing, read and write; the same */
	ENV_OPEN_CREATE, /* new or emptied, read and write, mode 0600 */
};

struct env_file_ops {
	/* Reads up to the iovecs' sizes at `offset`; `*ret_size` is short only at the end of the file. */
	int (*readv)(struct env_file *f, uint64_t offset, const struct iovec *iov, int n, size_t *ret_size);
	/* Writes all or fails. */
	int (*writev)(struct env_file *f, uint64_t offset, const struct iovec *iov, int n);
	int (*sync)(struct env_file *f); /* data and size are on the disk on return (fdatasync) */
	int (*size)(struct env_file *f, uint64_t *ret_size);
	int (*truncate)(struct env_file *f, uint64_t size);
	/* Overwrites [0, size) with zeros, so that the blocks exist; with `durable` they are synced as well, so that a later
	 * sync of a page has nothing to do but to write it. */
	int (*fill)(struct env_file *f, uint64_t size, bool durable);
	/* Maps [0, size) shared, writable when the file is; once a file. The mapping ends with the file's close. */
	int (*map)(struct env_file *f, uint64_t size, void **ret_base);
	/* The bytes will be read soon: the disk may begin now, the call doesn't wait. A hint. */
	void (*will_need)(struct env_file *f, uint64_t offset, uint64_t size);
	/* The pages are not needed in the kernel's cache any more: what is read next comes from the disk, but for pages that
	 * are still to be written there, or mapped. A hint. */
	void (*drop_cache)(struct env_file *f);
	void (*close)(struct env_file *f);
};

struct env_file {
	const struct env_file_ops *ops;
	char *path; /* for messages */
};

struct env_disk_space {
	uint64_t total_bytes, free_bytes, available_bytes;
};

struct env_ops {
	int (*open)(struct env *e, const char *path, enum env_open_mode mode, struct env_file **ret_file);
	int (*unlink)(struct env *e, const char *path); /* a missing file is no error */
	int (*rename)(struct env *e, const char *from, const char *to);
	/* A second name for the same file. LSM_UNSUPPORTED when there can be none there: another file system, one without
	 * links, or too many of them. */
	int (*link)(struct env *e, const char *from, const char *to);
	int (*mkdir)(struct env *e, const char *path); /* mode 0700; LSM_EXISTS */
	int (*rmdir)(struct env *e, const char *path);
	int (*sync_dir)(struct env *e, const char *path);
	/* Calls fn for each name but "." and ".."; a non-zero return ends the listing and is returned.
	 * LSM_NOT_STORE when the directory is missing or none. */
	int (*list)(struct env *e, const char *path, int (*fn)(void *ctx, const char *name), void *ctx);
	/* Creates the file if need be and locks it exclusively, writing our pid into it. LSM_BUSY names the owner. */
	int (*lock)(struct env *e, const char *path, struct env_lock **ret_lock);
	void (*unlock)(struct env *e, struct env_lock *lock);
	/* Bytes that this process may still write to the disk of `path`, and those of the whole disk. NULL: there is no end. */
	int (*space)(struct env *e, const char *path, uint64_t *ret_free, uint64_t *ret_total);
	uint64_t (*now_ns)(struct env *e); /* monotonic */
	uint64_t (*wall_us)(struct env *e); /* since 1970, as the system's clock has it */
	int (*random)(struct env *e, void *buf, size_t size);
	void (*sleep_us)(struct env *e, uint64_t us);
	int (*thread_start)(struct env *e, const char *name, void (*fn)(void *ctx), void *ctx,
			    struct env_thread **ret_thread);
	void (*thread_join)(struct env *e, struct env_thread *thread);
	/* The calling thread's nice value grows by `nice`: where processors are scarce, others come first. It can't be
	 * taken back. A hint. */
	void (*thread_nice)(struct env *e, int nice);
};

struct env {
	const struct env_ops *ops;
};

/* The real one. Static; never freed. */
struct env *env_posix(void);

static inline int env_open(struct env *e, const char *path, enum env_open_mode mode, struct env_file **ret_file)
{
	return e->ops->open(e, path, mode, ret_file);
}

static inline int env_unlink(struct env *e, const char *path)
{
	return e->ops->unlink(e, path);
}

static inline int env_sync_dir(struct env *e, const char *path)
{
	return e->ops->sync_dir(e, path);
}

static inline uint64_t env_now_ns(struct env *e)
{
	return e->ops->now_ns(e);
}

/* The entry of `path` in its directory is on the disk on return. */
int env_sync_parent(struct env *e, const char *path);

static inline uint64_t env_now_us(struct env *e)
{
	return env_now_ns(e) / 1000;
}

static inline int file_read(struct env_file *f, uint64_t offset, void *buf, size_t size, size_t *ret_size)
{
	struct iovec iov = { buf, size };

	return f->ops->readv(f, offset, &iov, 1, ret_size);
}

/* Reads exactly `size` bytes; LSM_CORRUPT when the file ends before. */
int file_read_exact(struct env_file *f, uint64_t offset, void *buf, size_t size);

static inline int file_write(struct env_file *f, uint64_t offset, const void *buf, size_t size)
{
	struct iovec iov = { (void *)buf, size };

	return f->ops->writev(f, offset, &iov, 1);
}

static inline int file_sync(struct env_file *f)
{
	return f->ops->sync(f);
}

static inline int file_size(struct env_file *f, uint64_t *ret_size)
{
	return f->ops->size(f, ret_size);
}

static inline void file_will_need(struct env_file *f, uint64_t offset, uint64_t size)
{
	f->ops->will_need(f, offset, size);
}

/* NULL is accepted. */
static inline void file_close(struct env_file *f)
{
	if (f)
		f->ops->close(f);
}

/* Removes a file that nobody needs. What can't be removed is harmless: no error, and the thread's last one stays. */
void env_discard(struct env *e, const char *path);

/*
 * Makes `data` the content of DIR/NAME by way of DIR/NAME.tmp: the file comes under its name whole and durable, or not at
 * all. After a failure *ret_unknown tells that nobody knows which.
 */
int env_replace_file(struct env *e, const char *dir, const char *name, const void *data, size_t size,
		     bool *ret_unknown);

/* "DIR/NAME", malloc'd; NULL when memory is short. */
char *env_path(const char *dir, const char *name);

#endif
