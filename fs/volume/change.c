/* SPDX-License-Identifier: MIT */
#include "fs/volume/internal.h"

/* Up to this many rows are deleted one by one: a range tombstone is small, but every later read has to mind it. */
#define DROP_SINGLE_MAX 16

int change_begin(struct change *c, struct volume *v)
{
	int r;

	if (v->read_only)
		return -EROFS;
	c->v = v;
	c->batch = NULL;
	c->frees = false;
	r = v->rows->ops->batch_new(v->rows, &c->batch);
	if (r == 0)
		clock_gettime(CLOCK_REALTIME, &c->now);
	return r;
}

int change_commit(struct change *c)
{
	return c->v->rows->ops->batch_commit(c->batch, c->frees ? ROWS_FREES : 0);
}

void change_end(struct change *c)
{
	c->v->rows->ops->batch_free(c->batch);
	c->batch = NULL;
}

int change_put(struct change *c, const struct schema_key *key, const void *value, size_t size)
{
	return c->v->rows->ops->batch_put(c->batch, row_key(key), (struct row_key){ value, size });
}

int change_delete(struct change *c, const struct schema_key *key)
{
	return c->v->rows->ops->batch_delete(c->batch, row_key(key));
}

int change_drop(struct change *c, const struct schema_key *begin, const struct schema_key *end)
{
	const struct rows_ops *ops = c->v->rows->ops;
	struct rows_iter *it = NULL;
	unsigned dropped = 0;
	int r;

	r = ops->iter_new(c->v->rows, row_key(begin), row_key(end), &it);
	if (r < 0)
		return r;
	r = ops->iter_seek(it, row_key(begin));
	while (r == 0 && ops->iter_valid(it)) {
		if (dropped++ == DROP_SINGLE_MAX) {
			r = ops->batch_delete_range(c->batch, row_key(begin), row_key(end));
			break;
		}
		r = ops->batch_delete(c->batch, ops->iter_key(it));
		if (r == 0)
			r = ops->iter_next(it);
	}
	ops->iter_free(it);
	return r;
}

int change_put_orphan(struct change *c, vol_ino ino)
{
	struct schema_key key;

	schema_key_orphan(&key, ino);
	return change_put(c, &key, "", 0);
}

int change_delete_orphan(struct change *c, vol_ino ino)
{
	struct schema_key key;

	schema_key_orphan(&key, ino);
	return change_delete(c, &key);
}
