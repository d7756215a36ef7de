/* SPDX-License-Identifier: MIT */
/* The iterator over a table's points: a position in the top index, in a partition and in a data block. */
#include <assert.h>

#include "lsm/format/table_internal.h"

struct level { /* of the index, or the data */
	struct block_iter iter;
	struct block_pin pin;
	uint64_t offset; /* of the pinned block */
};

struct table_iter {
	struct iter it;
	struct table *table;
	struct block_iter top;
	struct level partition, data;
	struct readahead readahead;
	struct block_space space; /* of a data block that is not in the source */
	struct buf key; /* of a loaded table: the entry's, with the table's sequence number */
};

enum direction { FORWARD, BACKWARD };

static struct table_iter *of(struct iter *it)
{
	return (struct table_iter *)it;
}

static void stop(struct table_iter *ti, int status)
{
	ti->it.valid = false;
	ti->it.status = status;
}

/* The key as the table's own sequence number makes it. */
static void stamp(struct table_iter *ti)
{
	uint64_t type = ikey_trailer(ti->it.key) & 255;

	buf_set(&ti->key, ti->it.key);
	if (ti->key.failed) {
		stop(ti, status_no_memory(ti->it.key.size));
		return;
	}
	put_u64(ti->key.data + ti->key.size - TRAILER_BYTES, ti->table->sequence << 8 | type);
	ti->it.key = buf_slice(&ti->key);
}

/* Shows where the data iterator stands. */
static inline void publish(struct table_iter *ti)
{
	ti->it.valid = ti->data.iter.it.valid;
	ti->it.status = ti->data.iter.it.status;
	ti->it.key = ti->data.iter.it.key;
	ti->it.value = ti->data.iter.it.value;
	if (ti->table->sequence && ti->it.valid)
		stamp(ti);
}

static void leave(struct table_iter *ti, struct level *level)
{
	static const struct block none;

	table_unpin_block(ti->table, &level->pin);
	block_iter_set(&level->iter, &none);
}

/* A partition that the table keeps needs neither a look into the cache nor a pin. */
static bool enter_kept(struct table_iter *ti, uint32_t at, uint64_t offset)
{
	struct table *t = ti->table;
	struct level *level = &ti->partition;
	const struct partition *p = NULL;

	if (t->partitions && at < t->top.restarts_n)
		p = atomic_load_explicit(&t->partitions[at], memory_order_acquire);
	if (!p || p->block.offset != offset)
		return false;
	table_unpin_block(t, &level->pin);
	level->pin = (struct block_pin){ .data = slice_of(p->data, p->bytes - sizeof(*p)) };
	level->offset = offset;
	block_iter_set(&level->iter, &p->block);
	return true;
}

/* Points `level` to the block that the entry under `index` refers to; without a read when it is there already. */
static int enter(struct table_iter *ti, const struct iter *index, struct level *level)
{
	struct table *t = ti->table;
	struct block_handle h;
	struct block_pin pin;
	struct block block;
	uint32_t at = 0;
	int rc;

	assert(index->valid);
	rc = table_index_handle(t, index->value, &h);
	if (rc || (level->pin.data.data && level->offset == h.offset))
		return rc;
	if (level == &ti->partition) {
		at = block_iter_restart(&ti->top);
		if (enter_kept(ti, at, h.offset))
			return LSM_OK;
	}
	if (level->pin.data.data && !level->pin.pin) /* the block lies in `space`, which is about to be used again */
		leave(ti, level);
	rc = table_pin_scanned(t, h, level == &ti->data, &ti->readahead, &ti->space, &pin);
	if (rc)
		return rc;
	rc = block_init(&block, pin.data, t->file->path, h.offset);
	if (rc) {
		table_unpin_block(t, &pin);
		return rc;
	}
	if (level == &ti->partition && !ti->readahead.bulk)
		table_partition_keep(t, at, &pin, &block);
	table_unpin_block(t, &level->pin);
	level->pin = pin;
	level->offset = h.offset;
	block_iter_set(&level->iter, &block);
	return LSM_OK;
}

static void to_edge(struct block_iter *bi, enum direction d)
{
	if (d == FORWARD)
		block_iter_seek_first(bi);
	else
		block_iter_seek_last(bi);
}

static void step(struct block_iter *bi, enum direction d)
{
	if (d == FORWARD)
		block_iter_next(bi);
	else
		block_iter_prev(bi);
}

/* While the partition has no entry left, goes to the nearest edge of the next one. Without an error, the partition
 * is at an entry or all is at its end; so with settle_data(). */
static int settle_partition(struct table_iter *ti, enum direction d)
{
	struct block_iter *partition = &ti->partition.iter;

	while (!partition->it.valid) {
		int rc = partition->it.status;

		if (rc)
			return rc;
		step(&ti->top, d);
		if (!ti->top.it.valid)
			return ti->top.it.status;
		rc = enter(ti, &ti->top.it, &ti->partition);
		if (rc)
			return rc;
		to_edge(partition, d);
	}
	return LSM_OK;
}

static int settle_data(struct table_iter *ti, enum direction d)
{
	struct block_iter *data = &ti->data.iter;

	while (!data->it.valid) {
		int rc = data->it.status;

		if (rc)
			return rc;
		step(&ti->partition.iter, d);
		rc = settle_partition(ti, d);
		if (rc || !ti->partition.iter.it.valid)
			return rc;
		rc = enter(ti, &ti->partition.iter.it, &ti->data);
		if (rc)
			return rc;
		to_edge(data, d);
	}
	return LSM_OK;
}

static void settle(struct table_iter *ti, enum direction d)
{
	int rc = settle_data(ti, d);

	if (rc)
		stop(ti, rc);
	else
		publish(ti);
}

/* To `ikey`, or to an edge when it is NULL. */
static inline void place(struct block_iter *bi, const struct lsm_slice *ikey, enum direction d)
{
	if (ikey)
		block_iter_seek(bi, *ikey);
	else
		to_edge(bi, d);
}

/* Down from the top index to an entry: the first >= `ikey`, or the first in direction `d`. */
static void descend(struct table_iter *ti, const struct lsm_slice *ikey, enum direction d)
{
	int rc;

	place(&ti->top, ikey, d);
	if (!ti->top.it.valid) {
		stop(ti, ti->top.it.status);
		return;
	}
	rc = enter(ti, &ti->top.it, &ti->partition);
	if (!rc) {
		place(&ti->partition.iter, ikey, d);
		rc = settle_partition(ti, d);
	}
	if (!rc && ti->partition.iter.it.valid)
		rc = enter(ti, &ti->partition.iter.it, &ti->data);
	if (rc || !ti->partition.iter.it.valid) {
		stop(ti, rc);
		return;
	}
	place(&ti->data.iter, ikey, d);
	settle(ti, d);
}

static void op_seek_first(struct iter *it)
{
	descend(of(it), NULL, FORWARD);
}

static void op_seek_last(struct iter *it)
{
	descend(of(it), NULL, BACKWARD);
}

/* The data iterator may have been stepped to its block's end: see struct iter. */
static void op_next(struct iter *it)
{
	struct table_iter *ti = of(it);

	assert(it->valid);
	if (ti->data.iter.it.valid)
		block_iter_next(&ti->data.iter);
	settle(ti, FORWARD);
}

static void op_seek(struct iter *it, struct lsm_slice ikey)
{
	descend(of(it), &ikey, FORWARD);
	/* In the file the entry is older than any target, and so found; it may be too new by the table's number. */
	if (of(it)->table->sequence && it->valid && ikey_compare(it->key, ikey) < 0)
		op_next(it);
}

static void op_seek_prev(struct iter *it, struct lsm_slice ikey)
{
	struct table_iter *ti = of(it);

	op_seek(it, ikey);
	if (it->status)
		return;
	if (!it->valid) {
		op_seek_last(it);
	} else if (ikey_compare(it->key, ikey)) {
		block_iter_prev(&ti->data.iter);
		settle(ti, BACKWARD);
	}
}

static void op_prev(struct iter *it)
{
	struct table_iter *ti = of(it);

	assert(it->valid);
	if (ti->data.iter.it.valid)
		block_iter_prev(&ti->data.iter);
	settle(ti, BACKWARD);
}

static void level_done(struct table_iter *ti, struct level *level)
{
	block_iter_done(&level->iter);
	table_unpin_block(ti->table, &level->pin);
}

static void op_free(struct iter *it)
{
	struct table_iter *ti = of(it);

	block_iter_done(&ti->top);
	level_done(ti, &ti->partition);
	level_done(ti, &ti->data);
	readahead_done(&ti->readahead);
	free(ti->space.data);
	buf_free(&ti->key);
	free(ti);
}

static const struct iter_ops table_iter_ops = {
	.seek_first = op_seek_first,
	.seek_last = op_seek_last,
	.seek = op_seek,
	.seek_prev = op_seek_prev,
	.next = op_next,
	.prev = op_prev,
	.free = op_free,
};

int table_iter_new(struct table *t, bool low_priority, struct iter **ret)
{
	struct table_iter *ti = calloc(1, sizeof(*ti));

	if (!ti)
		return status_no_memory(sizeof(*ti));
	ti->it.ops = &table_iter_ops;
	ti->it.leaf = t->sequence ? NULL : &ti->data.iter; /* whose keys are not what the iterator shows */
	ti->table = t;
	ti->readahead.bulk = low_priority;
	block_iter_init(&ti->top);
	block_iter_init(&ti->partition.iter);
	block_iter_init(&ti->data.iter);
	block_iter_set(&ti->top, &t->top);
	*ret = &ti->it;
	return LSM_OK;
}
