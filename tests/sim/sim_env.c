/* SPDX-License-Identifier: MIT */
/* lsm/env/env.h on the simulated disk, clock and fibers, with faults. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

struct sim_faults sim_faults;
struct sim_habits sim_habits;
uint64_t sim_ops, sim_faults_met;

struct sim_file {
	struct env_file base;
	struct inode *inode;
	bool writable;
};

enum op { OP_OPEN, OP_CREATE, OP_READ, OP_WRITE, OP_GROW, OP_SYNC, OP_NAME, OP_NEW_NAME, OP_SYNC_DIR, OP_OTHER };

static const struct {
	const char *verb;
	unsigned faults; /* 1 << enum fault_kind */
} ops[] = {
	[OP_OPEN] = { "open", 1 << FAULT_SOME },
	[OP_CREATE] = { "create", 1 << FAULT_SOME | 1 << FAULT_SPACE },
	[OP_READ] = { "read", 1 << FAULT_SOME | 1 << FAULT_READS },
	[OP_WRITE] = { "write", 1 << FAULT_SOME | 1 << FAULT_WRITES },
	[OP_GROW] = { "write", 1 << FAULT_SOME | 1 << FAULT_WRITES | 1 << FAULT_SPACE },
	[OP_SYNC] = { "sync", 1 << FAULT_SOME | 1 << FAULT_SYNCS },
	[OP_NAME] = { "change the name of", 1 << FAULT_SOME },
	[OP_NEW_NAME] = { "name", 1 << FAULT_SOME | 1 << FAULT_SPACE },
	[OP_SYNC_DIR] = { "sync directory", 1 << FAULT_SOME | 1 << FAULT_SYNCS },
	[OP_OTHER] = { "use", 0 },
};

static int fault_errno(enum op op)
{
	if (sim_faults.kind == FAULT_SPACE || (op == OP_SYNC && sim_chance(20)))
		return ENOSPC;
	return EIO;
}

/* An operation begins: others may come first, time passes, the kernel writes back; the life may end. An errno: it fails. */
static int begin(enum op op, const char *path, uint64_t detail)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	int err = 0;

	sim_ops++;
	for (const char *p = name; *p; p++)
		detail = detail * 31 + (uint8_t)*p;
	sim_step(ops[op].verb, detail);
	if (sim_habits.slow_ns && sim_chance(sim_habits.slow_percent))
		fiber_sleep(1 + rng_below(&sim.rng, sim_habits.slow_ns));
	if (sim_chance(sim_habits.write_back_percent))
		disk_write_back();
	if ((ops[op].faults & 1u << sim_faults.kind) && sim_ops >= sim_faults.from && sim_ops < sim_faults.to &&
	    sim_chance(sim_faults.percent)) {
		err = fault_errno(op);
		sim_faults.met++;
		sim_faults_met++;
	}
	sim_tell("%s %s%s%s", ops[op].verb, path, err ? ": " : "", err ? strerror(err) : "");
	return err;
}

static int failed(int err, const char *path, enum op op)
{
	return err ? status_from_errno(err, path, ops[op].verb) : LSM_OK;
}

/* ---- files ---- */

static struct sim_file *sim_file(struct env_file *f)
{
	return (struct sim_file *)f;
}

static struct inode *inode_of(struct env_file *f)
{
	return sim_file(f)->inode;
}

static int sim_readv(struct env_file *f, uint64_t offset, const struct iovec *iov, int n, size_t *ret_size)
{
	int err = begin(OP_READ, f->path, offset);
	uint64_t size = inode_size(inode_of(f)), at = offset;

	if (err)
		return failed(err, f->path, OP_READ);
	for (int i = 0; i < n && at < size; i++) {
		size_t part = size - at < iov[i].iov_len ? (size_t)(size - at) : iov[i].iov_len;

		memcpy(iov[i].iov_base, inode_data(inode_of(f)) + at, part);
		at += part;
	}
	*ret_size = (size_t)(at - offset);
	return LSM_OK;
}

/* Writes the first `limit` bytes. */
static void write_part(struct env_file *f, uint64_t offset, const struct iovec *iov, int n, uint64_t limit)
{
	for (int i = 0; i < n && limit; i++) {
		size_t part = limit < iov[i].iov_len ? (size_t)limit : iov[i].iov_len;

		inode_write(inode_of(f), offset, iov[i].iov_base, part);
		offset += part;
		limit -= part;
	}
}

/* A large write takes place piece by piece. A failed one has written a beginning. */
static int sim_writev(struct env_file *f, uint64_t offset, const struct iovec *iov, int n)
{
	uint64_t size = 0, half;
	enum op op;
	int err;

	for (int i = 0; i < n; i++)
		size += iov[i].iov_len;
	op = offset + size > inode_size(inode_of(f)) ? OP_GROW : OP_WRITE;
	err = begin(op, f->path, offset ^ size << 20);
	half = sim_between(0, size);
	if (!sim_file(f)->writable)
		sim_fail("a write to %s, which is open for reading only", f->path);
	write_part(f, offset, iov, n, half);
	if (err)
		return failed(err, f->path, op);
	if (sim_chance(20))
		sim_step("write on", size);
	write_part(f, offset, iov, n, size);
	sim_trace(size);
	return LSM_OK;
}

/* What is written while a sync is under way may be in it or not. */
static int sim_file_sync(struct env_file *f)
{
	bool early = sim_chance(50);
	int err = begin(OP_SYNC, f->path, 0);

	if (err) {
		inode_sync_fail(inode_of(f));
		return failed(err, f->path, OP_SYNC);
	}
	if (sim_bug_skips_sync(f->path, inode_of(f)))
		return LSM_OK;
	if (early)
		inode_sync(inode_of(f));
	sim_step("sync on", 0);
	if (sim_habits.sync_ns)
		fiber_sleep(1 + rng_below(&sim.rng, sim_habits.sync_ns));
	if (!early)
		inode_sync(inode_of(f));
	return LSM_OK;
}

static int sim_file_size(struct env_file *f, uint64_t *ret_size)
{
	*ret_size = inode_size(inode_of(f));
	return LSM_OK;
}

static int sim_truncate(struct env_file *f, uint64_t size)
{
	int err = begin(OP_WRITE, f->path, size);

	if (!err)
		inode_truncate(inode_of(f), size);
	return failed(err, f->path, OP_WRITE);
}

/* Where there is no fallocate the file grows piece by piece, and is synced in any case. */
static int sim_fill(struct env_file *f, uint64_t size, bool durable)
{
	int err = begin(OP_GROW, f->path, size);

	if (err) {
		if (sim_habits.no_fallocate)
			inode_truncate(inode_of(f), sim_between(0, size));
		return failed(err, f->path, OP_GROW);
	}
	if (sim_habits.no_fallocate) {
		inode_truncate(inode_of(f), 0);
		inode_truncate(inode_of(f), size);
	} else {
		inode_fill(inode_of(f), size);
	}
	return sim_habits.no_fallocate || durable ? sim_file_sync(f) : LSM_OK;
}

static int sim_map(struct env_file *f, uint64_t size, void **ret_base)
{
	int err = begin(OP_OTHER, f->path, size);

	if (size > inode_size(inode_of(f)) && sim_file(f)->writable && !err)
		inode_fill(inode_of(f), size);
	if (!err) {
		inode_map(inode_of(f));
		*ret_base = inode_data(inode_of(f));
	}
	return failed(err, f->path, OP_OTHER);
}

static void sim_will_need(struct env_file *f, uint64_t offset, uint64_t size)
{
	(void)begin(OP_OTHER, f->path, offset ^ size);
}

static void sim_drop_cache(struct env_file *f)
{
	(void)begin(OP_OTHER, f->path, 0);
	if (!sim_bug_keeps_cache())
		inode_drop_cache(inode_of(f));
}

static void sim_close(struct env_file *f)
{
	(void)begin(OP_OTHER, f->path, 0);
	inode_close(inode_of(f));
	free(f->path);
	free(f);
}

static const struct env_file_ops file_ops = {
	.readv = sim_readv,
	.writev = sim_writev,
	.sync = sim_file_sync,
	.size = sim_file_size,
	.truncate = sim_truncate,
	.fill = sim_fill,
	.map = sim_map,
	.will_need = sim_will_need,
	.drop_cache = sim_drop_cache,
	.close = sim_close,
};

/* ---- names ---- */

static int sim_open(struct env *e, const char *path, enum env_open_mode mode, struct env_file **ret_file)
{
	enum op op = mode == ENV_OPEN_CREATE ? OP_CREATE : OP_OPEN;
	int err = begin(op, path, mode);
	struct inode *i = NULL;
	struct sim_file *f;

	(void)e;
	if (!err)
		err = disk_find(path, &i);
	if (err == ENOENT && mode == ENV_OPEN_CREATE)
		err = disk_create(path, &i);
	else if (!err && mode == ENV_OPEN_CREATE)
		inode_truncate(i, 0);
	if (!err && inode_is_dir(i))
		err = EISDIR;
	if (err)
		return failed(err, path, op);
	f = calloc(1, sizeof(*f));
	if (f)
		f->base = (struct env_file){ &file_ops, strdup(path) };
	if (!f || !f->base.path) {
		free(f);
		return status_no_memory(sizeof(*f));
	}
	f->inode = i;
	f->writable = mode != ENV_OPEN_READ;
	inode_open(i);
	*ret_file = &f->base;
	return LSM_OK;
}

static int sim_unlink(struct env *e, const char *path)
{
	int err = begin(OP_NAME, path, 0);

	(void)e;
	if (!err)
		err = disk_unlink(path);
	return err == ENOENT ? LSM_OK : failed(err, path, OP_NAME);
}

static int sim_rename(struct env *e, const char *from, const char *to)
{
	int err = begin(OP_NAME, from, 1);

	(void)e;
	return failed(err ? err : disk_rename(from, to), from, OP_NAME);
}

static int sim_link(struct env *e, const char *from, const char *to)
{
	int err = begin(OP_NEW_NAME, to, 0);

	(void)e;
	return failed(err ? err : disk_link(from, to), to, OP_NEW_NAME);
}

static int sim_mkdir(struct env *e, const char *path)
{
	int err = begin(OP_NEW_NAME, path, 1);

	(void)e;
	if (!err)
		err = disk_mkdir(path);
	if (err == EEXIST)
		return status_set(LSM_EXISTS, EEXIST, path, 0, "%s exists already", path);
	return failed(err, path, OP_NEW_NAME);
}

static int sim_rmdir(struct env *e, const char *path)
{
	int err = begin(OP_NAME, path, 2);

	(void)e;
	return failed(err ? err : disk_rmdir(path), path, OP_NAME);
}

static int sim_sync_dir(struct env *e, const char *path)
{
	int err = begin(OP_SYNC_DIR, path, 0);

	(void)e;
	if (!err && !sim_bug_skips_sync_dir())
		err = disk_sync_dir(path);
	if (!err)
		sim_step("sync directory on", 0);
	return failed(err, path, OP_SYNC_DIR);
}

static int sim_list(struct env *e, const char *path, int (*fn)(void *ctx, const char *name), void *ctx)
{
	int err = begin(OP_OTHER, path, 0), rc = LSM_OK;
	char **names;
	size_t n;

	(void)e;
	if (!err)
		err = disk_list(path, &names, &n);
	if (err == ENOENT || err == ENOTDIR)
		return status_set(LSM_NOT_STORE, err, path, 0, "%s is not a directory: %s", path, strerror(err));
	if (err)
		return failed(err, path, OP_OTHER);
	for (size_t i = 0; i < n; i++) {
		if (!rc)
			rc = fn(ctx, names[i]);
		free(names[i]);
	}
	free(names);
	return rc;
}

static int sim_lock(struct env *e, const char *path, struct env_lock **ret_lock)
{
	struct inode *i;
	int err = begin(OP_CREATE, path, 0);

	(void)e;
	if (!err)
		err = disk_find(path, &i);
	if (err == ENOENT)
		err = disk_create(path, &i);
	if (err)
		return failed(err, path, OP_CREATE);
	if (!inode_lock(i))
		return status_set(LSM_BUSY, EWOULDBLOCK, path, 0, "%s is in use by another process", path);
	inode_open(i);
	*ret_lock = (struct env_lock *)i;
	return LSM_OK;
}

static void sim_unlock(struct env *e, struct env_lock *lock)
{
	struct inode *i = (struct inode *)lock;

	(void)e;
	inode_unlock(i);
	inode_close(i);
}

/* ---- clock, chance, threads ---- */

static uint64_t sim_now_ns(struct env *e)
{
	(void)e;
	return sim.now_ns;
}

static uint64_t sim_wall_us(struct env *e)
{
	(void)e;
	return UINT64_C(1700000000000000) + sim.now_ns / 1000;
}

static int sim_random(struct env *e, void *buf, size_t size)
{
	(void)e;
	rng_fill(&sim.rng, buf, size);
	return LSM_OK;
}

static void sim_sleep_us(struct env *e, uint64_t us)
{
	(void)e;
	sim_step("sleep", us);
	fiber_sleep(us * 1000);
}

static int sim_thread_start(struct env *e, const char *name, void (*fn)(void *ctx), void *ctx,
			    struct env_thread **ret_thread)
{
	(void)e;
	*ret_thread = (struct env_thread *)fiber_start(name, fn, ctx);
	sim_step("start a thread", 0);
	return LSM_OK;
}

static void sim_thread_join(struct env *e, struct env_thread *thread)
{
	(void)e;
	fiber_join((struct fiber *)thread);
}

static void sim_thread_nice(struct env *e, int nice)
{
	(void)e;
	(void)nice;
}

static const struct env_ops env_ops = {
	.open = sim_open,
	.unlink = sim_unlink,
	.rename = sim_rename,
	.link = sim_link,
	.mkdir = sim_mkdir,
	.rmdir = sim_rmdir,
	.sync_dir = sim_sync_dir,
	.list = sim_list,
	.lock = sim_lock,
	.unlock = sim_unlock,
	.now_ns = sim_now_ns,
	.wall_us = sim_wall_us,
	.random = sim_random,
	.sleep_us = sim_sleep_us,
	.thread_start = sim_thread_start,
	.thread_join = sim_thread_join,
	.thread_nice = sim_thread_nice,
};

struct env *sim_env(void)
{
	static struct env env = { &env_ops };

	return &env;
}
