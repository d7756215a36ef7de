/* SPDX-License-Identifier: MIT */
/* The real system behind env.h: Linux files, flock, threads. */
#include "lsm/env/env.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
	IOV_BATCH = 256, /* pieces of one call to the kernel; below its limit of 1024 */
	/*
	 * Zeros of one write. The page cache keeps a write in a folio of its size, and a store through a mapping makes all of
	 * its folio dirty: a sync after an append of 128 bytes writes 64 KiB, or 1 MiB, if that was the size, and one page
	 * with this.
	 */
	FILL_BYTES = 4096,
	THREAD_NAME_MAX = 16, /* the kernel's limit, with the final zero */
};

struct posix_file {
	struct env_file base;
	int fd;
	bool writable;
	void *map;
	size_t map_size;
};

static struct posix_file *posix_file(struct env_file *f)
{
	return (struct posix_file *)f;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Files
 */

/* What is left to be transferred of a caller's pieces. */
struct iov_cursor {
	const struct iovec *iov;
	int n;
	size_t skip; /* bytes of iov[0] that are done */
};

/* Fills `batch` with the next pieces; returns how many, 0 at the end. */
static int iov_next(struct iov_cursor *c, struct iovec *batch)
{
	int n;

	while (c->n && c->skip == c->iov->iov_len) {
		c->iov++;
		c->n--;
		c->skip = 0;
	}
	n = c->n < IOV_BATCH ? c->n : IOV_BATCH;
	for (int i = 0; i < n; i++)
		batch[i] = c->iov[i];
	if (n) {
		batch[0].iov_base = (char *)batch[0].iov_base + c->skip;
		batch[0].iov_len -= c->skip;
	}
	return n;
}

static void iov_advance(struct iov_cursor *c, size_t size)
{
	while (c->n && size >= c->iov->iov_len - c->skip) {
		size -= c->iov->iov_len - c->skip;
		c->iov++;
		c->n--;
		c->skip = 0;
	}
	c->skip += size;
}

static int posix_readv(struct env_file *f, uint64_t offset, const struct iovec *iov, int n, size_t *ret_size)
{
	struct iov_cursor c = { iov, n, 0 };
	struct iovec batch[IOV_BATCH];
	size_t done = 0;
	int count;

	while ((count = iov_next(&c, batch))) {
		ssize_t got = preadv(posix_file(f)->fd, batch, count, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return status_from_errno(errno, f->path, "read");
		if (!got)
			break;
		done += (size_t)got;
		iov_advance(&c, (size_t)got);
	}
	*ret_size = done;
	return LSM_OK;
}

static int posix_writev(struct env_file *f, uint64_t offset, const struct iovec *iov, int n)
{
	struct iov_cursor c = { iov, n, 0 };
	struct iovec batch[IOV_BATCH];
	int count;

	while ((count = iov_next(&c, batch))) {
		ssize_t put = pwritev(posix_file(f)->fd, batch, count, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return status_from_errno(put ? errno : EIO, f->path, "write");
		offset += (uint64_t)put;
		iov_advance(&c, (size_t)put);
	}
	return LSM_OK;
}

static int posix_sync(struct env_file *f)
{
	int rc;

	do
		rc = fdatasync(posix_file(f)->fd);
	while (rc && errno == EINTR);
	return rc ? status_from_errno(errno, f->path, "sync") : LSM_OK;
}

static int posix_size(struct env_file *f, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(posix_file(f)->fd, &st))
		return status_from_errno(errno, f->path, "examine");
	*ret_size = (uint64_t)st.st_size;
	return LSM_OK;
}

static int posix_truncate(struct env_file *f, uint64_t size)
{
	int rc;

	do
		rc = ftruncate(posix_file(f)->fd, (off_t)size);
	while (rc && errno == EINTR);
	return rc ? status_from_errno(errno, f->path, "truncate") : LSM_OK;
}

/*
 * A store into a mapped hole of a full disk would be a SIGBUS: fallocate makes sure that there is none, also in a file
 * that was copied sparsely. *ret_done is false where the file system cannot do that.
 */
static int blocks_ensure(struct env_file *f, uint64_t size, bool *ret_done)
{
	int rc;

	do
		rc = fallocate(posix_file(f)->fd, 0, 0, (off_t)size);
	while (rc && errno == EINTR);
	*ret_done = !rc;
	if (rc && errno != EOPNOTSUPP && errno != ENOSYS)
		return status_from_errno(errno, f->path, "allocate");
	return LSM_OK;
}

/*
 * The size is set by fallocate before anything is written, in a transaction of its own: what a power cut leaves of an
 * unsynced file is then never a beginning with a shorter size. Elsewhere the sync makes sure of that.
 */
static int posix_fill(struct env_file *f, uint64_t size, bool durable)
{
	static const uint8_t zeros[FILL_BYTES];
	struct iovec iov = { (void *)(uintptr_t)zeros, 0 };
	bool allocated;
	int rc = blocks_ensure(f, size, &allocated);

	for (uint64_t at = 0; !rc && at < size; at += iov.iov_len) {
		iov.iov_len = size - at < FILL_BYTES ? (size_t)(size - at) : FILL_BYTES;
		rc = posix_writev(f, at, &iov, 1);
	}
	return rc || (allocated && !durable) ? rc : posix_sync(f);
}

static int posix_map(struct env_file *f, uint64_t size, void **ret_base)
{
	struct posix_file *p = posix_file(f);
	bool allocated; /* where that can't be, fill() has written the blocks */
	int rc = p->writable ? blocks_ensure(f, size, &allocated) : LSM_OK;
	void *base;

	assert(!p->map);
	if (rc)
		return rc;
	base = mmap(NULL, size, p->writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_POPULATE, p->fd, 0);
	if (base == MAP_FAILED)
		return status_from_errno(errno, f->path, "map");
	p->map = base;
	p->map_size = size;
	*ret_base = base;
	return LSM_OK;
}

static void posix_will_need(struct env_file *f, uint64_t offset, uint64_t size)
{
	(void)posix_fadvise(posix_file(f)->fd, (off_t)offset, (off_t)size, POSIX_FADV_WILLNEED);
}

static void posix_drop_cache(struct env_file *f)
{
	(void)posix_fadvise(posix_file(f)->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void posix_close(struct env_file *f)
{
	struct posix_file *p = posix_file(f);

	if (p->map)
		munmap(p->map, p->map_size);
	close(p->fd);
	free(f->path);
	free(p);
}

static const struct env_file_ops posix_file_ops = {
	.readv = posix_readv,
	.writev = posix_writev,
	.sync = posix_sync,
	.size = posix_size,
	.truncate = posix_truncate,
	.fill = posix_fill,
	.map = posix_map,
	.will_need = posix_will_need,
	.drop_cache = posix_drop_cache,
	.close = posix_close,
};

/* ---------------------------------------------------------------------------------------------------------------
 * Names
 */

static int open_retry(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static int posix_open(struct env *e, const char *path, enum env_open_mode mode, struct env_file **ret_file)
{
	static const int flags[] = {
		[ENV_OPEN_READ] = O_RDONLY,
		[ENV_OPEN_WRITE] = O_RDWR,
		[ENV_OPEN_CREATE] = O_RDWR | O_CREAT | O_TRUNC,
	};
	struct posix_file *p = calloc(1, sizeof(*p));
	char *copy = strdup(path);
	int rc = LSM_OK;

	(void)e;
	if (!p || !copy) {
		rc = status_no_memory(sizeof(*p) + strlen(path));
		goto fail;
	}
	p->fd = open_retry(path, flags[mode], 0600);
	if (p->fd < 0) {
		rc = status_from_errno(errno, path, mode == ENV_OPEN_CREATE ? "create" : "open");
		goto fail;
	}
	p->writable = mode != ENV_OPEN_READ;
	p->base = (struct env_file){ &posix_file_ops, copy };
	*ret_file = &p->base;
	return LSM_OK;
fail:
	free(copy);
	free(p);
	return rc;
}

static int posix_unlink(struct env *e, const char *path)
{
	(void)e;
	if (unlink(path) && errno != ENOENT)
		return status_from_errno(errno, path, "remove");
	return LSM_OK;
}

static int posix_rename(struct env *e, const char *from, const char *to)
{
	int err;

	(void)e;
	if (!rename(from, to))
		return LSM_OK;
	err = errno;
	if (err == ENOSPC || err == EDQUOT)
		return status_from_errno(err, from, "rename");
	return status_set(LSM_IO, err, from, 0, "cannot rename %s to %s: %s", from, to, strerror(err));
}

static int posix_link(struct env *e, const char *from, const char *to)
{
	int err;

	(void)e;
	if (!link(from, to))
		return LSM_OK;
	err = errno;
	if (err == EXDEV || err == EPERM || err == EMLINK || err == EOPNOTSUPP || err == ENOSYS)
		return status_set(LSM_UNSUPPORTED, err, to, 0, "cannot link %s to %s: %s", to, from, strerror(err));
	return status_from_errno(err, to, "link");
}

static int posix_mkdir(struct env *e, const char *path)
{
	(void)e;
	if (!mkdir(path, 0700))
		return LSM_OK;
	if (errno == EEXIST)
		return status_set(LSM_EXISTS, EEXIST, path, 0, "%s exists already", path);
	return status_from_errno(errno, path, "create directory");
}

static int posix_rmdir(struct env *e, const char *path)
{
	(void)e;
	return rmdir(path) ? status_from_errno(errno, path, "remove directory") : LSM_OK;
}

static int posix_sync_dir(struct env *e, const char *path)
{
	int fd = open_retry(path, O_RDONLY | O_DIRECTORY, 0);
	int rc;

	(void)e;
	if (fd < 0)
		return status_from_errno(errno, path, "open directory");
	do
		rc = fsync(fd);
	while (rc && errno == EINTR);
	rc = rc ? status_from_errno(errno, path, "sync directory") : LSM_OK;
	close(fd);
	return rc;
}

static int posix_list(struct env *e, const char *path, int (*fn)(void *ctx, const char *name), void *ctx)
{
	DIR *dir = opendir(path);
	int rc = LSM_OK;

	(void)e;
	if (!dir && (errno == ENOENT || errno == ENOTDIR))
		return status_set(LSM_NOT_STORE, errno, path, 0, "%s is not a directory: %s", path, strerror(errno));
	if (!dir)
		return status_from_errno(errno, path, "open directory");
	while (!rc) {
		struct dirent *d;

		errno = 0;
		d = readdir(dir);
		if (!d) {
			rc = errno ? status_from_errno(errno, path, "list directory") : LSM_OK;
			break;
		}
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			rc = fn(ctx, d->d_name);
	}
	closedir(dir);
	return rc;
}

/* ---------------------------------------------------------------------------------------------------------------
 * The lock. flock belongs to the open file description: it goes with the process, however that ends, and keeps out a
 * second open of the same process too.
 */

struct env_lock {
	int fd;
};

/* Reads the first line of a small file; "" when that fails. */
static void line_read(int fd, char *line, size_t size)
{
	ssize_t n = pread(fd, line, size - 1, 0);

	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

static int lock_busy(const char *path, int fd)
{
	char pid[24], comm_path[48], comm[64] = "";
	int comm_fd;

	line_read(fd, pid, sizeof(pid));
	if (!*pid || strspn(pid, "0123456789") != strlen(pid))
		return status_set(LSM_BUSY, EWOULDBLOCK, path, 0, "%s is in use by another process", path);
	snprintf(comm_path, sizeof(comm_path), "/proc/%s/comm", pid);
	comm_fd = open_retry(comm_path, O_RDONLY, 0);
	if (comm_fd >= 0) {
		line_read(comm_fd, comm, sizeof(comm));
		close(comm_fd);
	}
	return status_set(LSM_BUSY, EWOULDBLOCK, path, 0, "%s is in use by process %s (%s)", path, pid,
			  *comm ? comm : "unknown");
}

static int lock_write_pid(const char *path, int fd)
{
	char pid[24];
	int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n)
		return status_from_errno(errno, path, "write");
	return LSM_OK;
}

static int posix_lock(struct env *e, const char *path, struct env_lock **ret_lock)
{
	struct env_lock *lock = malloc(sizeof(*lock));
	int rc;

	(void)e;
	if (!lock)
		return status_no_memory(sizeof(*lock));
	lock->fd = open_retry(path, O_RDWR | O_CREAT, 0600);
	if (lock->fd < 0) {
		rc = status_from_errno(errno, path, "open");
		goto fail;
	}
	do
		rc = flock(lock->fd, LOCK_EX | LOCK_NB);
	while (rc && errno == EINTR);
	if (rc)
		rc = errno == EWOULDBLOCK ? lock_busy(path, lock->fd) : status_from_errno(errno, path, "lock");
	else
		rc = lock_write_pid(path, lock->fd);
	if (rc)
		goto fail;
	*ret_lock = lock;
	return LSM_OK;
fail:
	if (lock->fd >= 0)
		close(lock->fd);
	free(lock);
	return rc;
}

static void posix_unlock(struct env *e, struct env_lock *lock)
{
	(void)e;
	close(lock->fd);
	free(lock);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Clock and threads
 */

static int posix_space(struct env *e, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
	struct statvfs st;

	(void)e;
	if (statvfs(path, &st) < 0)
		return status_from_errno(errno, path, "statvfs");
	*ret_free = (uint64_t)st.f_bavail * st.f_frsize;
	*ret_total = (uint64_t)st.f_blocks * st.f_frsize;
	return LSM_OK;
}

static uint64_t posix_now_ns(struct env *e)
{
	struct timespec t;

	(void)e;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t posix_wall_us(struct env *e)
{
	struct timespec t;

	(void)e;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int posix_random(struct env *e, void *buf, size_t size)
{
	uint8_t *p = buf;

	(void)e;
	while (size) {
		ssize_t got = getrandom(p, size, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return status_from_errno(got ? errno : EIO, NULL, "get random bytes");
		p += got;
		size -= (size_t)got;
	}
	return LSM_OK;
}

static void posix_sleep_us(struct env *e, uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	(void)e;
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

struct env_thread {
	pthread_t id;
	void (*fn)(void *ctx);
	void *ctx;
	char name[THREAD_NAME_MAX];
};

static void *thread_main(void *arg)
{
	struct env_thread *t = arg;

	(void)pthread_setname_np(pthread_self(), t->name);
	t->fn(t->ctx);
	return NULL;
}

/* The program's signals are for the program's own threads: ours start with all blocked but those that tell a fault. */
static int posix_thread_start(struct env *e, const char *name, void (*fn)(void *ctx), void *ctx,
			      struct env_thread **ret_thread)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP };
	struct env_thread *t = malloc(sizeof(*t));
	sigset_t all, before;
	int err;

	(void)e;
	if (!t)
		return status_no_memory(sizeof(*t));
	t->fn = fn;
	t->ctx = ctx;
	snprintf(t->name, sizeof(t->name), "%s", name);
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		free(t);
		return status_set(LSM_NO_MEMORY, err, NULL, 0, "cannot start thread %s: %s", name, strerror(err));
	}
	*ret_thread = t;
	return LSM_OK;
}

static void posix_thread_join(struct env *e, struct env_thread *thread)
{
	(void)e;
	pthread_join(thread->id, NULL);
	free(thread);
}

/* On Linux a thread has a nice value of its own. */
static void posix_thread_nice(struct env *e, int nice)
{
	id_t self = (id_t)gettid();

	(void)e;
	(void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + nice);
}

static const struct env_ops posix_ops = {
	.open = posix_open,
	.unlink = posix_unlink,
	.rename = posix_rename,
	.link = posix_link,
	.mkdir = posix_mkdir,
	.rmdir = posix_rmdir,
	.sync_dir = posix_sync_dir,
	.list = posix_list,
	.lock = posix_lock,
	.unlock = posix_unlock,
	.space = posix_space,
	.now_ns = posix_now_ns,
	.wall_us = posix_wall_us,
	.random = posix_random,
	.sleep_us = posix_sleep_us,
	.thread_start = posix_thread_start,
	.thread_join = posix_thread_join,
	.thread_nice = posix_thread_nice,
};

struct env *env_posix(void)
{
	static struct env env = { &posix_ops };

	return &env;
}
