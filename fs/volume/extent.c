/* SPDX-License-Identifier: MIT */
#include "fs/volume/internal.h"

/* Like DROP_SINGLE_MAX of change.c, for a stretch of a file. */
#define CUT_SINGLE_MAX 32

int extents_open(struct volume *v, vol_ino ino, uint64_t begin, uint64_t end, struct rows_iter **ret)
{
	struct schema_key lower, upper;

	/* No extent crosses a multiple of EXTENT_BYTES_MAX: those that reach into the range start behind this one. */
	schema_key_extent(&lower, ino, begin & ~(EXTENT_BYTES_MAX - 1));
	if (end > INT64_MAX)
		schema_key_extent_end(&upper, ino);
	else
		schema_key_extent(&upper, ino, end);
	return v->rows->ops->iter_new(v->rows, row_key(&lower), row_key(&upper), ret);
}

/* The extent at which the iterator stands: 1, or 0 at the end. */
static int extent_here(struct volume *v, struct rows_iter *it, struct extent *ret)
{
	const struct rows_ops *ops = v->rows->ops;
	struct row_key key;
	struct extent e;
	int r;

	if (!ops->iter_valid(it))
		return 0;
	key = ops->iter_key(it);
	r = schema_extent_of_key(key.data, key.size, &e.offset);
	if (r < 0)
		return r;
	e.size = ops->iter_value_size(it);
	if (e.size == 0 || e.offset > INT64_MAX || (e.offset & (EXTENT_BYTES_MAX - 1)) + e.size > EXTENT_BYTES_MAX)
		return -EUCLEAN;
	*ret = e;
	return 1;
}

int extent_next(struct volume *v, struct rows_iter *it, struct extent *ret)
{
	int r = v->rows->ops->iter_next(it);

	return r < 0 ? r : extent_here(v, it, ret);
}

static int seek_at_or_before(struct volume *v, struct rows_iter *it, vol_ino ino, uint64_t offset)
{
	const struct rows_ops *ops = v->rows->ops;
	struct schema_key key;
	int r;

	schema_key_extent(&key, ino, offset);
	r = ops->iter_seek_prev(it, row_key(&key));
	if (r == 0 && !ops->iter_valid(it))
		r = ops->iter_seek(it, row_key(&key));
	return r;
}

int extent_first(struct volume *v, struct rows_iter *it, vol_ino ino, uint64_t offset, struct extent *ret)
{
	struct extent e;
	int r;

	r = seek_at_or_before(v, it, ino, offset);
	if (r == 0)
		r = extent_here(v, it, &e);
	while (r == 1 && e.offset + e.size <= offset)
		r = extent_next(v, it, &e);
	if (r == 1)
		*ret = e;
	return r;
}

int extents_read(struct volume *v, struct rows_iter *it, vol_ino ino, uint64_t offset, void *buf, size_t size)
{
	uint64_t at = offset, end = offset + size, stop;
	uint8_t *p = buf;
	struct extent e;
	int r;

	for (r = extent_first(v, it, ino, offset, &e); r == 1 && e.offset < end; r = extent_next(v, it, &e)) {
		if (e.offset > at) {
			memset(p + (at - offset), 0, e.offset - at);
			at = e.offset;
		}
		if (e.offset + e.size <= at)
			return -EUCLEAN; /* inside the one before */
		stop = e.offset + e.size < end ? e.offset + e.size : end;
		r = v->rows->ops->iter_read(it, at - e.offset, p + (at - offset), stop - at);
		if (r < 0)
			return r;
		at = stop;
		if (at == end)
			return 0;
	}
	if (r < 0)
		return r;
	memset(p + (at - offset), 0, end - at);
	return 0;
}

/* Keeps bytes [from, to) of the file, of the extent `e` where the iterator stands, as an extent of their own. */
static int keep_part(struct change *c, vol_ino ino, struct rows_iter *it, const struct extent *e, uint64_t from,
		     uint64_t to)
{
	struct schema_key key;

	schema_key_extent(&key, ino, from);
	return c->v->rows->ops->batch_put_part(c->batch, row_key(&key), it, from - e->offset, to - from);
}

/* Deletes the row of an extent inside [begin, end); from a certain number on, one range for all that follow. */
static int cut_row(struct change *c, vol_ino ino, const struct extent *e, uint64_t end, unsigned *count)
{
	struct schema_key key, upper;

	if (*count > CUT_SINGLE_MAX)
		return 0;
	schema_key_extent(&key, ino, e->offset);
	if ((*count)++ < CUT_SINGLE_MAX)
		return change_delete(c, &key);
	if (end > INT64_MAX)
		schema_key_extent_end(&upper, ino);
	else
		schema_key_extent(&upper, ino, end);
	return c->v->rows->ops->batch_delete_range(c->batch, row_key(&key), row_key(&upper));
}

int extents_cut(struct change *c, vol_ino ino, struct rows_iter *it, uint64_t begin, uint64_t end, bool refill,
		uint64_t *ret_freed_bytes)
{
	uint64_t freed = 0, from, to;
	unsigned count = 0;
	struct extent e;
	int r;

	for (r = extent_first(c->v, it, ino, begin, &e); r == 1 && e.offset < end; r = extent_next(c->v, it, &e)) {
		from = e.offset > begin ? e.offset : begin;
		to = e.offset + e.size < end ? e.offset + e.size : end;
		freed += to - from;
		r = 0;
		if (e.offset < begin)
			r = keep_part(c, ino, it, &e, e.offset, begin);
		else if (!refill || (e.offset != begin && e.offset % EXTENT_BYTES_MAX != 0))
			r = cut_row(c, ino, &e, end, &count); /* the others are put anew under the same key */
		if (r == 0 && to < e.offset + e.size)
			r = keep_part(c, ino, it, &e, to, e.offset + e.size);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret_freed_bytes = freed;
	return 0;
}

int extents_put(struct change *c, vol_ino ino, uint64_t offset, const uint8_t *data, size_t size)
{
	struct schema_key key;
	uint64_t room;
	size_t part;
	int r;

	while (size > 0) {
		room = EXTENT_BYTES_MAX - (offset & (EXTENT_BYTES_MAX - 1));
		part = size < room ? size : (size_t)room;
		schema_key_extent(&key, ino, offset);
		r = change_put(c, &key, data, part);
		if (r < 0)
			return r;
		offset += part;
		data += part;
		size -= part;
	}
	return 0;
}

int extents_drop(struct change *c, vol_ino ino)
{
	struct schema_key begin, end;

	schema_key_extent(&begin, ino, 0);
	schema_key_extent_end(&end, ino);
	return change_drop(c, &begin, &end);
}
