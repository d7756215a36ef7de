/* SPDX-License-Identifier: MIT */
/* Opening a table, and point look-ups. */
#include "lsm/format/table_internal.h"

/* ---------------------------------------------------------------------------------------------------------------
 * Opening
 */

/* Reads a block that stays raw on disk, to where a cache line begins. */
static int read_resident(struct table *t, struct block_handle h, uint8_t **ret)
{
	size_t size = (size_t)h.size + STORED_TAIL_BYTES;
	size_t rounded = (size + FILTER_LINE_BYTES - 1) & ~(size_t)(FILTER_LINE_BYTES - 1);
	uint8_t *data = aligned_alloc(FILTER_LINE_BYTES, rounded);
	enum lsm_compression how;
	int rc;

	if (!data)
		return status_no_memory(rounded);
	rc = file_read_exact(t->file, h.offset, data, size);
	if (!rc)
		rc = stored_block_check(data, h.size, place_seed(t->file_number, h.offset), t->file->path, h.offset,
					&how);
	if (!rc && how != LSM_COMPRESS_NONE)
		rc = status_corrupt(t->file->path, h.offset, "the block at byte %llu of %s must not be compressed",
				    (unsigned long long)h.offset, t->file->path);
	if (rc) {
		free(data);
		return rc;
	}
	t->memory += rounded;
	*ret = data;
	return LSM_OK;
}

static int read_footer(struct table *t, struct table_footer *ret)
{
	uint8_t bytes[TABLE_FOOTER_BYTES];
	uint64_t size;
	int rc;

	rc = file_size(t->file, &size);
	if (rc)
		return rc;
	if (size < TABLE_FOOTER_BYTES)
		return status_corrupt(t->file->path, 0, "%s is too short for a table: %llu bytes", t->file->path,
				      (unsigned long long)size);
	t->blocks_end = size - TABLE_FOOTER_BYTES;
	rc = file_read_exact(t->file, t->blocks_end, bytes, sizeof(bytes));
	if (rc)
		return rc;
	return table_footer_decode(bytes, t->file_number, t->blocks_end, t->file->path, ret);
}

/* What is not data is written behind it. */
static uint64_t data_end_of(const struct table_footer *f)
{
	uint64_t end = f->props.offset;

	if (f->filter.size && f->filter.offset < end)
		end = f->filter.offset;
	if (f->range_dels.size && f->range_dels.offset < end)
		end = f->range_dels.offset;
	return end;
}

static int read_props(struct table *t, struct block_handle h)
{
	size_t before = t->memory;
	uint8_t *data;
	int rc;

	if (!h.size)
		return status_corrupt(t->file->path, t->blocks_end, "%s has no properties", t->file->path);
	rc = read_resident(t, h, &data);
	if (rc)
		return rc;
	rc = table_props_decode(slice_of(data, (size_t)h.size), t->file->path, h.offset, &t->props);
	free(data);
	t->props.file_bytes = t->blocks_end + TABLE_FOOTER_BYTES;
	t->memory = before + t->props.smallest.capacity + t->props.largest.capacity +
		    t->props.blob_refs_n * sizeof(*t->props.blob_refs);
	return rc;
}

static int read_top(struct table *t, struct block_handle h)
{
	int rc;

	if (!h.size)
		return LSM_OK;
	rc = read_resident(t, h, &t->top_data);
	if (rc)
		return rc;
	rc = block_init(&t->top, slice_of(t->top_data, (size_t)h.size), t->file->path, h.offset);
	if (rc || !t->source || !t->source->keep)
		return rc;
	/* Without memory there is nothing to keep partitions in: the cache does as well. */
	t->partitions = calloc(t->top.restarts_n, sizeof(*t->partitions));
	if (t->partitions)
		t->memory += t->top.restarts_n * sizeof(*t->partitions);
	return LSM_OK;
}

/* A filter of a kind that isn't known is not used: it only saves reads. */
static int read_filter(struct table *t, struct block_handle h)
{
	int rc;

	if (!h.size)
		return LSM_OK;
	rc = read_resident(t, h, &t->filter_data);
	if (!rc)
		filter_init(&t->filter, slice_of(t->filter_data, (size_t)h.size));
	return rc;
}

static int read_range_dels(struct table *t, struct block_handle h)
{
	size_t before = t->memory;
	uint8_t *data;
	int rc;

	if (!h.size)
		return LSM_OK;
	rc = read_resident(t, h, &data);
	if (rc)
		return rc;
	rc = table_range_dels_decode(slice_of(data, (size_t)h.size), t->file->path, h.offset, &t->range_dels);
	free(data);
	t->memory = before + (t->range_dels ? range_dels_memory(t->range_dels) : 0);
	return rc;
}

int table_open(struct env *env, const char *path, uint64_t file_number, struct block_source *source, struct table **ret)
{
	struct table *t = calloc(1, sizeof(*t));
	struct table_footer footer;
	int rc;

	if (!t)
		return status_no_memory(sizeof(*t));
	t->file_number = file_number;
	t->source = source;
	t->memory = sizeof(*t);
	rc = env_open(env, path, ENV_OPEN_READ, &t->file);
	if (!rc)
		rc = read_footer(t, &footer);
	if (!rc)
		rc = read_props(t, footer.props);
	if (!rc)
		rc = read_top(t, footer.top);
	if (!rc)
		rc = read_filter(t, footer.filter);
	if (!rc)
		rc = read_range_dels(t, footer.range_dels);
	if (rc) {
		table_close(t);
		return rc;
	}
	t->data_end = data_end_of(&footer);
	*ret = t;
	return LSM_OK;
}

static void partitions_free(struct table *t)
{
	for (uint32_t i = 0; t->partitions && i < t->top.restarts_n; i++) {
		struct partition *p = atomic_load(&t->partitions[i]);

		if (p)
			t->source->unkeep(t->source, p->bytes);
		free(p);
	}
	free(t->partitions);
}

void table_close(struct table *t)
{
	if (!t)
		return;
	file_close(t->file);
	table_props_free(&t->props);
	range_dels_free(t->range_dels);
	partitions_free(t);
	free(t->top_data);
	free(t->filter_data);
	free(t);
}

size_t table_memory_bytes(const struct table *t)
{
	return t->memory;
}

const struct table_props *table_get_props(const struct table *t)
{
	return &t->props;
}

const struct range_dels *table_range_dels(const struct table *t)
{
	return t->range_dels;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Looking up
 */

/* Where in the index the first entry >= the target may be: its value is a handle. `found` is false when the target lies
 * behind all blocks. */
static int find_block(struct table *t, const struct block *index, struct lsm_slice user_key, uint64_t trailer,
		      struct block_hit *ret_hit, struct block_handle *ret)
{
	int rc = block_find(index, user_key, trailer, ret_hit);

	return rc || !ret_hit->found ? rc : table_index_handle(t, ret_hit->value, ret);
}

/* A copy of the pinned partition, to be kept in its place, if it may; whoever comes second drops his. */
static void partition_keep(struct table *t, uint32_t at, const struct block_pin *pin, const struct block *block)
{
	size_t bytes = sizeof(struct partition) + pin->data.size;
	struct partition *p, *none = NULL;

	if (!t->partitions || at >= t->top.restarts_n || !t->source->keep(t->source, bytes))
		return;
	p = malloc(bytes);
	if (p) {
		p->bytes = bytes;
		memcpy(p->data, pin->data.data, pin->data.size);
		p->block = *block;
		p->block.data = p->data;
		if (atomic_compare_exchange_strong(&t->partitions[at], &none, p))
			return;
	}
	t->source->unkeep(t->source, bytes);
	free(p);
}

/* Looks into the partition at `h`, which the top index has at `at`. */
static int find_in_partition(struct table *t, struct block_handle h, uint32_t at, struct lsm_slice user_key,
			     uint64_t trailer, struct block_hit *ret_hit, struct block_handle *ret)
{
	struct block partition;
	struct block_pin pin;
	int rc = table_pin_block(t, h, false, NULL, &pin);

	if (rc)
		return rc;
	rc = block_init(&partition, pin.data, t->file->path, h.offset);
	if (!rc)
		rc = find_block(t, &partition, user_key, trailer, ret_hit, ret);
	if (!rc)
		partition_keep(t, at, &pin, &partition);
	table_unpin_block(t, &pin);
	return rc;
}

/* The data block for the target, by way of the top index and one partition. */
static int find_data_block(struct table *t, struct lsm_slice user_key, uint64_t trailer, bool *ret_any,
			   struct block_handle *ret)
{
	struct block_hit hit;
	struct block_handle h;
	const struct partition *p = NULL;
	int rc;

	rc = find_block(t, &t->top, user_key, trailer, &hit, &h);
	if (!rc && hit.found) {
		if (t->partitions && hit.restart < t->top.restarts_n)
			p = atomic_load_explicit(&t->partitions[hit.restart], memory_order_acquire);
		if (p && p->block.offset == h.offset)
			rc = find_block(t, &p->block, user_key, trailer, &hit, ret);
		else
			rc = find_in_partition(t, h, hit.restart, user_key, trailer, &hit, ret);
	}
	if (!rc)
		*ret_any = hit.found;
	return rc;
}

static int find_entry(struct table *t, struct block_handle h, struct lsm_slice user_key, uint64_t trailer,
		      struct table_hit *ret)
{
	struct block_pin pin;
	struct block_hit hit;
	struct block data;
	int rc;

	rc = table_pin_block(t, h, false, NULL, &pin);
	if (rc)
		return rc;
	rc = block_init(&data, pin.data, t->file->path, h.offset);
	if (!rc)
		rc = block_find(&data, user_key, trailer, &hit);
	if (rc || !hit.same_user_key) {
		table_unpin_block(t, &pin);
		return rc;
	}
	ret->answer = TABLE_FOUND;
	ret->trailer = hit.trailer;
	ret->value = hit.value;
	ret->pin = pin;
	return LSM_OK;
}

int table_get(struct table *t, struct lsm_slice user_key, uint64_t hash, uint64_t trailer, struct table_hit *ret)
{
	struct table_hit hit = { .answer = TABLE_ABSENT };
	struct block_handle h;
	bool any;
	int rc;

	/* Separators carry the largest trailer of all; a look-up's has to sort behind those. */
	if (trailer > SEEK_TRAILER(SEQUENCE_MAX))
		trailer = SEEK_TRAILER(SEQUENCE_MAX);
	if (!filter_may_contain(&t->filter, hash)) {
		hit.answer = TABLE_FILTERED;
		*ret = hit;
		return LSM_OK;
	}
	rc = find_data_block(t, user_key, trailer, &any, &h);
	if (!rc && any)
		rc = find_entry(t, h, user_key, trailer, &hit);
	if (!rc)
		*ret = hit;
	return rc;
}

void table_prefetch(const struct table *t, uint64_t hash)
{
	if (t->filter.lines_n)
		__builtin_prefetch(filter_line(&t->filter, hash));
}

void table_hit_release(struct table *t, struct table_hit *hit)
{
	table_unpin_block(t, &hit->pin);
}

uint64_t table_offset_of(struct table *t, struct lsm_slice ikey)
{
	struct lsm_slice user = ikey_user(ikey);
	uint64_t trailer = ikey_trailer(ikey);
	struct block_handle h;
	bool any;

	/* An estimate has no errors: what can't be read counts as lying in front. */
	if (find_data_block(t, user, trailer, &any, &h) || !any)
		return t->data_end;
	return h.offset;
}
