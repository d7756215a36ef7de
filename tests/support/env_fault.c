/* SPDX-License-Identifier: MIT */
#include "tests/support/env_fault.h"

#include <stdatomic.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fault_file {
	struct env_file base;
	struct env_fault *fault;
	struct env_file *real;
};

static const char *const op_names[FAULT_OPS] = {
	[FAULT_OPEN] = "open",
	[FAULT_READ] = "read",
	[FAULT_WRITE] = "write",
	[FAULT_SYNC] = "sync",
	[FAULT_TRUNCATE] = "truncate",
	[FAULT_FILL] = "fill",
	[FAULT_MAP] = "map",
	[FAULT_RENAME] = "rename",
	[FAULT_UNLINK] = "remove",
	[FAULT_LINK] = "link",
	[FAULT_MKDIR] = "create directory",
	[FAULT_SYNC_DIR] = "sync directory",
};

/* Counts the operation; returns the error that it is to fail with, or LSM_OK. */
static int fault_check(struct env_fault *f, enum fault_op op, const char *path)
{
	struct fault_rule *rule = &f->rules[op];
	int err = 0;

	mutex_lock(&f->lock);
	f->counts[op]++;
	if (rule->sys_errno && strstr(path, rule->match)) {
		if (rule->skip) {
			rule->skip--;
		} else {
			err = rule->sys_errno;
			if (!rule->forever)
				rule->sys_errno = 0;
		}
	}
	mutex_unlock(&f->lock);
	return err ? status_from_errno(err, path, op_names[op]) : LSM_OK;
}

/* Tells the test of a success; returns the code. */
static int fault_done(struct env_fault *f, enum fault_op op, const char *path, int rc)
{
	if (!rc && f->done)
		f->done(f->done_ctx, op, path);
	return rc;
}

static struct fault_file *fault_file(struct env_file *f)
{
	return (struct fault_file *)f;
}

static struct env_file *real_file(struct env_file *f)
{
	return fault_file(f)->real;
}

static int file_fault(struct env_file *f, enum fault_op op)
{
	return fault_check(fault_file(f)->fault, op, f->path);
}

static int fault_readv(struct env_file *f, uint64_t offset, const struct iovec *iov, int n, size_t *ret_size)
{
	int rc = file_fault(f, FAULT_READ);

	return rc ? rc : real_file(f)->ops->readv(real_file(f), offset, iov, n, ret_size);
}

/* What a write leaves that meets the end of the disk. */
static void write_half(struct env_file *f, uint64_t offset, const struct iovec *iov, int n)
{
	size_t size = 0;

	for (int i = 0; i < n; i++)
		size += iov[i].iov_len;
	size /= 2;
	for (int i = 0; i < n && size; i++) {
		size_t part = iov[i].iov_len < size ? iov[i].iov_len : size;

		if (part && file_write(real_file(f), offset, iov[i].iov_base, part))
			return;
		offset += part;
		size -= part;
	}
}

static int fault_writev(struct env_file *f, uint64_t offset, const struct iovec *iov, int n)
{
	struct lsm_error error;

	if (!file_fault(f, FAULT_WRITE))
		return real_file(f)->ops->writev(real_file(f), offset, iov, n);
	error = *lsm_last_error();
	write_half(f, offset, iov, n);
	return status_adopt(&error);
}

static int fault_sync(struct env_file *f)
{
	int rc = file_fault(f, FAULT_SYNC);

	return rc ? rc : fault_done(fault_file(f)->fault, FAULT_SYNC, f->path, file_sync(real_file(f)));
}

static int fault_size(struct env_file *f, uint64_t *ret_size)
{
	return file_size(real_file(f), ret_size);
}

static int fault_truncate(struct env_file *f, uint64_t size)
{
	int rc = file_fault(f, FAULT_TRUNCATE);

	return rc ? rc : real_file(f)->ops->truncate(real_file(f), size);
}

static int fault_fill(struct env_file *f, uint64_t size, bool durable)
{
	struct lsm_error error;

	if (!file_fault(f, FAULT_FILL))
		return fault_done(fault_file(f)->fault, FAULT_FILL, f->path,
				  real_file(f)->ops->fill(real_file(f), size, durable));
	error = *lsm_last_error();
	(void)real_file(f)->ops->fill(real_file(f), size / 2, durable);
	return status_adopt(&error);
}

static int fault_map(struct env_file *f, uint64_t size, void **ret_base)
{
	int rc = file_fault(f, FAULT_MAP);

	return rc ? rc : real_file(f)->ops->map(real_file(f), size, ret_base);
}

static void fault_will_need(struct env_file *f, uint64_t offset, uint64_t size)
{
	struct env_fault *fault = fault_file(f)->fault;

	mutex_lock(&fault->lock);
	fault->hints++;
	fault->hinted_bytes += size;
	mutex_unlock(&fault->lock);
	file_will_need(real_file(f), offset, size);
}

static void fault_drop_cache(struct env_file *f)
{
	struct env_fault *fault = fault_file(f)->fault;

	mutex_lock(&fault->lock);
	fault->drops++;
	mutex_unlock(&fault->lock);
	real_file(f)->ops->drop_cache(real_file(f));
}

static void fault_close(struct env_file *f)
{
	file_close(real_file(f));
	free(f->path);
	free(fault_file(f));
}

static const struct env_file_ops fault_file_ops = {
	.readv = fault_readv,
	.writev = fault_writev,
	.sync = fault_sync,
	.size = fault_size,
	.truncate = fault_truncate,
	.fill = fault_fill,
	.map = fault_map,
	.will_need = fault_will_need,
	.drop_cache = fault_drop_cache,
	.close = fault_close,
};

static struct env_fault *env_fault(struct env *e)
{
	return (struct env_fault *)e;
}

static struct env *real_env(struct env *e)
{
	return env_fault(e)->real;
}

static int fault_open(struct env *e, const char *path, enum env_open_mode mode, struct env_file **ret_file)
{
	struct fault_file *f;
	int rc = fault_check(env_fault(e), FAULT_OPEN, path);

	if (rc)
		return rc;
	f = calloc(1, sizeof(*f));
	if (!f)
		return status_no_memory(sizeof(*f));
	rc = env_open(real_env(e), path, mode, &f->real);
	if (rc) {
		free(f);
		return rc;
	}
	f->fault = env_fault(e);
	f->base = (struct env_file){ &fault_file_ops, strdup(path) };
	if (!f->base.path) {
		fault_close(&f->base);
		return status_no_memory(strlen(path));
	}
	*ret_file = &f->base;
	return LSM_OK;
}

static int fault_unlink(struct env *e, const char *path)
{
	int rc = fault_check(env_fault(e), FAULT_UNLINK, path);

	return rc ? rc : fault_done(env_fault(e), FAULT_UNLINK, path, env_unlink(real_env(e), path));
}

static int fault_rename(struct env *e, const char *from, const char *to)
{
	int rc = fault_check(env_fault(e), FAULT_RENAME, from);

	return rc ? rc : fault_done(env_fault(e), FAULT_RENAME, to, real_env(e)->ops->rename(real_env(e), from, to));
}

/* EXDEV stands for what the real one says where there can be no link. */
static int fault_link(struct env *e, const char *from, const char *to)
{
	int rc = fault_check(env_fault(e), FAULT_LINK, from);

	if (rc && lsm_last_error()->sys_errno == EXDEV)
		return status_set(LSM_UNSUPPORTED, EXDEV, to, 0, "cannot link %s to %s", to, from);
	return rc ? rc : fault_done(env_fault(e), FAULT_LINK, to, real_env(e)->ops->link(real_env(e), from, to));
}

static int fault_mkdir(struct env *e, const char *path)
{
	int rc = fault_check(env_fault(e), FAULT_MKDIR, path);

	return rc ? rc : real_env(e)->ops->mkdir(real_env(e), path);
}

static int fault_rmdir(struct env *e, const char *path)
{
	return real_env(e)->ops->rmdir(real_env(e), path);
}

static int fault_sync_dir(struct env *e, const char *path)
{
	int rc = fault_check(env_fault(e), FAULT_SYNC_DIR, path);

	return rc ? rc : fault_done(env_fault(e), FAULT_SYNC_DIR, path, env_sync_dir(real_env(e), path));
}

static int fault_list(struct env *e, const char *path, int (*fn)(void *ctx, const char *name), void *ctx)
{
	return real_env(e)->ops->list(real_env(e), path, fn, ctx);
}

static int fault_lock(struct env *e, const char *path, struct env_lock **ret_lock)
{
	return real_env(e)->ops->lock(real_env(e), path, ret_lock);
}

static void fault_unlock(struct env *e, struct env_lock *lock)
{
	real_env(e)->ops->unlock(real_env(e), lock);
}

static int fault_space(struct env *e, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
	struct env_fault *f = (struct env_fault *)e;
	uint64_t total;

	if (!atomic_load(&f->disk_bytes))
		return real_env(e)->ops->space(real_env(e), path, ret_free, ret_total);
	total = atomic_load(&f->disk_bytes);
	*ret_free = atomic_load(&f->disk_free);
	*ret_total = total;
	return LSM_OK;
}

static uint64_t fault_now_ns(struct env *e)
{
	return env_now_ns(real_env(e));
}

static uint64_t fault_wall_us(struct env *e)
{
	return real_env(e)->ops->wall_us(real_env(e));
}

static int fault_random(struct env *e, void *buf, size_t size)
{
	return real_env(e)->ops->random(real_env(e), buf, size);
}

static void fault_sleep_us(struct env *e, uint64_t us)
{
	real_env(e)->ops->sleep_us(real_env(e), us);
}

static int fault_thread_start(struct env *e, const char *name, void (*fn)(void *ctx), void *ctx,
			      struct env_thread **ret_thread)
{
	return real_env(e)->ops->thread_start(real_env(e), name, fn, ctx, ret_thread);
}

static void fault_thread_join(struct env *e, struct env_thread *thread)
{
	real_env(e)->ops->thread_join(real_env(e), thread);
}

static void fault_thread_nice(struct env *e, int nice)
{
	real_env(e)->ops->thread_nice(real_env(e), nice);
}

static const struct env_ops fault_ops = {
	.open = fault_open,
	.unlink = fault_unlink,
	.rename = fault_rename,
	.link = fault_link,
	.mkdir = fault_mkdir,
	.rmdir = fault_rmdir,
	.sync_dir = fault_sync_dir,
	.list = fault_list,
	.lock = fault_lock,
	.unlock = fault_unlock,
	.space = fault_space,
	.now_ns = fault_now_ns,
	.wall_us = fault_wall_us,
	.random = fault_random,
	.sleep_us = fault_sleep_us,
	.thread_start = fault_thread_start,
	.thread_join = fault_thread_join,
	.thread_nice = fault_thread_nice,
};

void env_fault_init(struct env_fault *f)
{
	memset(f, 0, sizeof(*f));
	f->env.ops = &fault_ops;
	f->real = env_posix();
	mutex_init(&f->lock);
}

void env_fault_done(struct env_fault *f)
{
	mutex_done(&f->lock);
}

static void rule_set(struct env_fault *f, enum fault_op op, const char *match, struct fault_rule rule)
{
	assert(!match || strlen(match) < sizeof(rule.match));
	snprintf(rule.match, sizeof(rule.match), "%s", match ? match : "");
	mutex_lock(&f->lock);
	f->rules[op] = rule;
	mutex_unlock(&f->lock);
}

void env_fault_nth(struct env_fault *f, enum fault_op op, const char *match, uint64_t nth, int sys_errno)
{
	assert(nth);
	rule_set(f, op, match, (struct fault_rule){ .sys_errno = sys_errno, .skip = nth - 1 });
}

void env_fault_all(struct env_fault *f, enum fault_op op, const char *match, int sys_errno)
{
	rule_set(f, op, match, (struct fault_rule){ .sys_errno = sys_errno, .forever = true });
}

void env_fault_clear(struct env_fault *f)
{
	mutex_lock(&f->lock);
	memset(f->rules, 0, sizeof(f->rules));
	mutex_unlock(&f->lock);
}

uint64_t env_fault_count(struct env_fault *f, enum fault_op op)
{
	uint64_t n;

	mutex_lock(&f->lock);
	n = f->counts[op];
	mutex_unlock(&f->lock);
	return n;
}
