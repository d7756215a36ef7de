/* SPDX-License-Identifier: MIT */
/* Many keys of one table at once: neighbours share the way to their block, and the disk reads for all of them together. */
#include "lsm/format/table_internal.h"

static void fail(struct table_query *q, int rc)
{
	q->rc = rc;
	q->block_size = 0;
}

static struct block_handle handle_of(const struct table_query *q)
{
	return (struct block_handle){ q->block_offset, q->block_size };
}

/* Finds the query's handle in an index block. */
static void find_handle(struct table *t, const struct block *index, uint64_t trailer, struct table_query *q)
{
	struct block_handle h = { 0 };
	struct block_hit hit;
	int rc = block_find(index, q->user_key, trailer, &hit);

	if (!rc && hit.found)
		rc = table_index_handle(t, hit.value, &h);
	if (rc) {
		fail(q, rc);
		return;
	}
	q->block_offset = h.offset;
	q->block_size = h.size;
}

static void will_need(struct table *t, struct block_handle h)
{
	if (!readaround_hint(t, h.offset))
		file_will_need(t->file, h.offset, h.size + STORED_TAIL_BYTES);
}

static bool same_block(const struct table_query *a, const struct table_query *b)
{
	return a && a->block_size && a->block_offset == b->block_offset;
}

/* The filter, and the partition of the index. The first query of each partition pins it, if it is cached. */
static void locate_partitions(struct table *t, uint64_t trailer, struct table_query *const *queries, size_t n)
{
	const struct table_query *last = NULL;
	const struct filter *filter = NULL;
	int rc = table_filter(t, KEEP_DEEP_FILTER, &filter);

	for (size_t i = 0; i < n; i++) {
		struct table_query *q = queries[i];

		q->rc = LSM_OK;
		q->block_size = 0;
		q->hit = (struct table_hit){ .answer = TABLE_FILTERED };
		if (rc) {
			fail(q, rc);
			continue;
		}
		if (filter && !filter_may_contain(filter, q->hash))
			continue;
		q->hit.answer = TABLE_ABSENT;
		find_handle(t, &t->top, trailer, q);
		if (!q->block_size || same_block(last, q))
			continue;
		last = q;
		if (!table_pin_cached(t, handle_of(q), &q->hit.pin))
			will_need(t, handle_of(q));
	}
}

struct open_partition {
	struct block_handle handle;
	struct block_pin pin;
	struct block block;
};

/* Makes `p` the query's partition. */
static int enter(struct table *t, struct table_query *q, struct open_partition *p)
{
	struct block_handle h = handle_of(q);
	struct block_pin pin = q->hit.pin;
	int rc = LSM_OK;

	if (p->pin.data.data && p->handle.offset == h.offset)
		return LSM_OK;
	q->hit.pin = (struct block_pin){ 0 };
	if (!pin.data.data)
		rc = table_pin_block(t, h, false, &pin);
	if (rc)
		return rc;
	table_unpin_block(t, &p->pin);
	p->pin = pin;
	p->handle = h;
	rc = block_init(&p->block, pin.data, t->file->path, h.offset);
	if (rc)
		table_unpin_block(t, &p->pin);
	return rc;
}

/* From the partitions to the data blocks, which are pinned where they are cached. */
static void locate_blocks(struct table *t, uint64_t trailer, struct table_query *const *queries, size_t n)
{
	const struct table_query *last = NULL;
	struct open_partition p = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct table_query *q = queries[i];
		int rc;

		if (!q->block_size)
			continue;
		rc = enter(t, q, &p);
		if (rc)
			fail(q, rc);
		else
			find_handle(t, &p.block, trailer, q);
		if (!q->block_size)
			continue;
		if (!table_pin_cached(t, handle_of(q), &q->hit.pin) && !same_block(last, q))
			will_need(t, handle_of(q));
		last = q;
	}
	table_unpin_block(t, &p.pin);
}

/* Separators carry the largest trailer of all; a look-up's has to sort behind those. */
static uint64_t bounded(uint64_t trailer)
{
	return trailer > SEEK_TRAILER(SEQUENCE_MAX) ? SEEK_TRAILER(SEQUENCE_MAX) : trailer;
}

void table_locate(struct table *t, uint64_t trailer, struct table_query *const *queries, size_t n)
{
	/* Of a loaded table, all entries have the table's number. */
	if (trailer_seq(bounded(trailer)) < t->sequence) {
		for (size_t i = 0; i < n; i++) {
			fail(queries[i], LSM_OK);
			queries[i]->hit = (struct table_hit){ .answer = TABLE_ABSENT };
		}
		return;
	}
	locate_partitions(t, bounded(trailer), queries, n);
	locate_blocks(t, bounded(trailer), queries, n);
}

static void read_one(struct table *t, uint64_t trailer, struct table_query *q)
{
	struct block_hit hit = { 0 };
	struct block data;
	int rc = LSM_OK;

	if (!q->hit.pin.data.data)
		rc = table_pin_block(t, handle_of(q), false, &q->hit.pin);
	if (!rc)
		rc = block_init(&data, q->hit.pin.data, t->file->path, q->block_offset);
	if (!rc)
		rc = block_find(&data, q->user_key, trailer, &hit);
	if (!rc && hit.same_user_key) {
		q->hit.answer = TABLE_FOUND;
		q->hit.trailer = t->sequence ? trailer_of(t->sequence, trailer_type(hit.trailer)) : hit.trailer;
		q->hit.value = hit.value;
		return;
	}
	table_unpin_block(t, &q->hit.pin);
	q->rc = rc;
}

void table_read(struct table *t, uint64_t trailer, struct table_query *const *queries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (queries[i]->block_size)
			read_one(t, bounded(trailer), queries[i]);
	}
}
