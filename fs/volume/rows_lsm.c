/* SPDX-License-Identifier: MIT */
/* The rows of the embedded engine; the only place where its codes become errno. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs/volume/rows.h"
#include "lsm/lsm.h"

#define MULTI_GET_CHUNK 128

struct rows_lsm {
	struct rows rows;
	struct lsm_db *db;
	int dir_fd; /* of the store: its path may be relative, or covered by a mount */
};

struct rows_batch {
	struct lsm_db *db;
	struct lsm_batch *batch;
};

/*
 * LSM_UNSUPPORTED: a structure that can't be understood is what EUCLEAN means for a file system.
 * LSM_NOT_STORE: ENOENT for a missing directory, ENOTDIR for anything else that is no store.
 */
static int to_errno(int code)
{
	int sys_errno;

	if (code == LSM_OK)
		return 0;
	if (code == LSM_NOT_FOUND)
		return -ENOENT;
	sys_errno = lsm_last_error()->sys_errno;
	switch (code) {
	case LSM_CORRUPT:
	case LSM_IO:
		return -EIO;
	case LSM_NO_SPACE:
		return sys_errno == EDQUOT ? -EDQUOT : -ENOSPC;
	case LSM_NO_MEMORY:
		return -ENOMEM;
	case LSM_INVALID:
		return -EINVAL;
	case LSM_BUSY:
		return -EBUSY;
	case LSM_READ_ONLY:
		return -EROFS;
	case LSM_UNSUPPORTED:
		return -EUCLEAN;
	case LSM_NOT_STORE:
		return sys_errno == ENOENT ? -ENOENT : -ENOTDIR;
	case LSM_EXISTS:
		return -EEXIST;
	default:
		return -EIO;
	}
}

static struct rows_lsm *to_lsm(struct rows *r)
{
	return (struct rows_lsm *)r; /* its first member */
}

static struct lsm_slice slice(struct row_key key)
{
	return (struct lsm_slice){ key.data, key.size };
}

/* ---- values ---- */

_Static_assert(sizeof(((struct row_value *)0)->pin) >= sizeof(((struct lsm_value *)0)->pin), "pins fit");

static void value_to_row(const struct lsm_value *value, struct row_value *ret)
{
	ret->data = value->data;
	ret->size = value->size;
	memcpy(ret->pin, value->pin, sizeof(value->pin));
}

static int lsm_rows_get(struct rows *r, struct row_key key, struct row_value *ret)
{
	struct lsm_value value = { 0 };
	int code;

	code = lsm_get(to_lsm(r)->db, NULL, slice(key), &value);
	if (code == LSM_OK)
		value_to_row(&value, ret);
	return to_errno(code);
}

static void lsm_rows_value_release(struct rows *r, struct row_value *value)
{
	struct lsm_value lsm_value = { .data = value->data, .size = value->size };

	(void)r;
	memcpy(lsm_value.pin, value->pin, sizeof(lsm_value.pin));
	lsm_value_release(&lsm_value);
	*value = (struct row_value){ 0 };
}

static int multi_get_chunk(struct lsm_db *db, size_t n, const struct row_key *keys, struct row_value *values,
			   int *codes)
{
	struct lsm_value lsm_values[MULTI_GET_CHUNK] = { 0 };
	struct lsm_slice slices[MULTI_GET_CHUNK] = { 0 };
	int result;

	for (size_t i = 0; i < n; i++) {
		slices[i] = slice(keys[i]);
		codes[i] = LSM_INVALID; /* if the call should fail before it comes to them */
	}
	result = to_errno(lsm_multi_get(db, NULL, n, slices, lsm_values, codes));
	for (size_t i = 0; i < n; i++) {
		if (codes[i] == LSM_OK)
			value_to_row(&lsm_values[i], &values[i]);
		codes[i] = to_errno(codes[i]);
	}
	return result;
}

static int lsm_rows_multi_get(struct rows *r, size_t n, const struct row_key *keys, struct row_value *values,
			      int *codes)
{
	int result = 0, chunk_result;
	size_t chunk;

	for (size_t i = 0; i < n; i += chunk) {
		chunk = n - i < MULTI_GET_CHUNK ? n - i : MULTI_GET_CHUNK;
		chunk_result = multi_get_chunk(to_lsm(r)->db, chunk, keys + i, values + i, codes + i);
		if (result == 0)
			result = chunk_result;
	}
	return result;
}

/* ---- iterators: an opaque lsm_iter under another name ---- */

static struct lsm_iter *to_iter(const struct rows_iter *it)
{
	return (struct lsm_iter *)(uintptr_t)it;
}

static int lsm_rows_iter_new(struct rows *r, struct row_key lower, struct row_key upper, struct rows_iter **ret)
{
	struct lsm_iter_options options = { .lower = slice(lower), .upper = slice(upper) };
	struct lsm_iter *it = NULL;
	int code;

	code = lsm_iter_new(to_lsm(r)->db, &options, &it);
	if (code == LSM_OK)
		*ret = (struct rows_iter *)it;
	return to_errno(code);
}

static void lsm_rows_iter_free(struct rows_iter *it)
{
	lsm_iter_free(to_iter(it));
}

static int lsm_rows_iter_seek(struct rows_iter *it, struct row_key key)
{
	lsm_iter_seek(to_iter(it), slice(key));
	return to_errno(lsm_iter_status(to_iter(it)));
}

static int lsm_rows_iter_seek_prev(struct rows_iter *it, struct row_key key)
{
	lsm_iter_seek_prev(to_iter(it), slice(key));
	return to_errno(lsm_iter_status(to_iter(it)));
}

static int lsm_rows_iter_next(struct rows_iter *it)
{
	lsm_iter_next(to_iter(it));
	return to_errno(lsm_iter_status(to_iter(it)));
}

static bool lsm_rows_iter_valid(const struct rows_iter *it)
{
	return lsm_iter_valid(to_iter(it));
}

static struct row_key lsm_rows_iter_key(const struct rows_iter *it)
{
	struct lsm_slice key = lsm_iter_key(to_iter(it));

	return (struct row_key){ key.data, key.size };
}

static uint64_t lsm_rows_iter_value_size(const struct rows_iter *it)
{
	return lsm_iter_value_size(to_iter(it));
}

static int lsm_rows_iter_value(struct rows_iter *it, struct row_key *ret)
{
	struct lsm_slice value;
	int code;

	code = lsm_iter_value(to_iter(it), &value);
	if (code == LSM_OK)
		*ret = (struct row_key){ value.data, value.size };
	return to_errno(code);
}

static int lsm_rows_iter_read(struct rows_iter *it, uint64_t offset, void *buf, size_t size)
{
	size_t copied = 0;
	int code;

	code = lsm_iter_read(to_iter(it), offset, buf, size, &copied);
	if (code != LSM_OK)
		return to_errno(code);
	return copied == size ? 0 : -EIO;
}

/* ---- batches ---- */

static int lsm_rows_batch_new(struct rows *r, struct rows_batch **ret)
{
	struct rows_batch *b;
	int code;

	b = malloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->db = to_lsm(r)->db;
	code = lsm_batch_new(b->db, &b->batch);
	if (code != LSM_OK) {
		free(b);
		return to_errno(code);
	}
	*ret = b;
	return 0;
}

static int lsm_rows_batch_put(struct rows_batch *b, struct row_key key, struct row_key value)
{
	return to_errno(lsm_batch_put(b->batch, slice(key), slice(value)));
}

static int lsm_rows_batch_delete(struct rows_batch *b, struct row_key key)
{
	return to_errno(lsm_batch_delete(b->batch, slice(key)));
}

static int lsm_rows_batch_delete_range(struct rows_batch *b, struct row_key begin, struct row_key end)
{
	return to_errno(lsm_batch_delete_range(b->batch, slice(begin), slice(end)));
}

static int lsm_rows_batch_put_part(struct rows_batch *b, struct row_key key, struct rows_iter *source, uint64_t offset,
				   uint64_t size)
{
	return to_errno(lsm_batch_put_part(b->batch, slice(key), to_iter(source), offset, size));
}

static int lsm_rows_batch_commit(struct rows_batch *b, unsigned flags)
{
	int r = to_errno(
		lsm_write(b->db, b->batch,
			  (flags & ROWS_SYNC ? LSM_WRITE_SYNC : 0) | (flags & ROWS_FREES ? LSM_WRITE_FREES : 0)));

	lsm_batch_clear(b->batch);
	return r;
}

static void lsm_rows_batch_free(struct rows_batch *b)
{
	if (!b)
		return;
	lsm_batch_free(b->batch);
	free(b);
}

/* ---- the whole ---- */

static int lsm_rows_sync(struct rows *r)
{
	return to_errno(lsm_sync(to_lsm(r)->db));
}

static int lsm_rows_space(struct rows *r, struct rows_space *ret)
{
	struct statvfs st;

	if (fstatvfs(to_lsm(r)->dir_fd, &st) < 0)
		return -errno;
	ret->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	ret->free_bytes = (uint64_t)st.f_bfree * st.f_frsize;
	ret->available_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

static char *lsm_rows_stats_text(struct rows *r)
{
	return lsm_stats_text(to_lsm(r)->db);
}

static int lsm_rows_checkpoint(struct rows *r, const char *dir)
{
	return to_errno(lsm_checkpoint(to_lsm(r)->db, dir));
}

static int lsm_rows_close(struct rows *r)
{
	int result = to_errno(lsm_close(to_lsm(r)->db));

	close(to_lsm(r)->dir_fd);
	free(to_lsm(r));
	return result;
}

static const struct rows_ops lsm_rows_ops = {
	.get = lsm_rows_get,
	.value_release = lsm_rows_value_release,
	.multi_get = lsm_rows_multi_get,
	.iter_new = lsm_rows_iter_new,
	.iter_free = lsm_rows_iter_free,
	.iter_seek = lsm_rows_iter_seek,
	.iter_seek_prev = lsm_rows_iter_seek_prev,
	.iter_next = lsm_rows_iter_next,
	.iter_valid = lsm_rows_iter_valid,
	.iter_key = lsm_rows_iter_key,
	.iter_value_size = lsm_rows_iter_value_size,
	.iter_value = lsm_rows_iter_value,
	.iter_read = lsm_rows_iter_read,
	.batch_new = lsm_rows_batch_new,
	.batch_put = lsm_rows_batch_put,
	.batch_delete = lsm_rows_batch_delete,
	.batch_delete_range = lsm_rows_batch_delete_range,
	.batch_put_part = lsm_rows_batch_put_part,
	.batch_commit = lsm_rows_batch_commit,
	.batch_free = lsm_rows_batch_free,
	.sync = lsm_rows_sync,
	.space = lsm_rows_space,
	.stats_text = lsm_rows_stats_text,
	.checkpoint = lsm_rows_checkpoint,
	.close = lsm_rows_close,
};

static int open_db(const char *path, const struct rows_lsm_options *options, struct lsm_db **ret, char *message,
		   size_t message_size)
{
	struct lsm_options lsm_options = {
		.memory_bytes = options->memory_bytes,
		.log = options->log,
		.log_ctx = options->log_ctx,
	};
	int code;

	if (options->create)
		lsm_options.flags |= LSM_OPEN_CREATE;
	if (options->exclusive)
		lsm_options.flags |= LSM_OPEN_EXCLUSIVE;
	if (options->read_only)
		lsm_options.flags |= LSM_OPEN_READ_ONLY;
	code = lsm_open(path, &lsm_options, ret);
	if (code != LSM_OK && message_size > 0)
		snprintf(message, message_size, "%s", lsm_last_error()->message);
	return to_errno(code);
}

int rows_lsm_open(const char *path, const struct rows_lsm_options *options, struct rows **ret, char *message,
		  size_t message_size)
{
	struct rows_lsm *l;
	int r;

	l = calloc(1, sizeof(*l));
	if (!l) {
		if (message_size > 0)
			snprintf(message, message_size, "out of memory");
		return -ENOMEM;
	}
	l->rows.ops = &lsm_rows_ops;
	r = open_db(path, options, &l->db, message, message_size);
	if (r < 0)
		goto out_free;
	l->dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->dir_fd < 0) {
		r = -errno;
		if (message_size > 0)
			snprintf(message, message_size, "%s: %s", path, strerror(-r));
		goto out_close;
	}
	*ret = &l->rows;
	return 0;
out_close:
	(void)lsm_close(l->db); /* nothing was written, and the first error counts */
out_free:
	free(l);
	return r;
}
