/* SPDX-License-Identifier: MIT */
/* Opening a table, and point look-ups. */
#include "lsm/format/table_internal.h"

/* ---------------------------------------------------------------------------------------------------------------
 * Opening
 */

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
	uint8_t *data = NULL;
	size_t bytes;
	int rc;

	if (!h.size)
		return status_corrupt(t->file->path, t->blocks_end, "%s has no properties", t->file->path);
	rc = table_read_resident(t, h, &data, &bytes);
	if (rc)
		return rc;
	rc = table_props_decode(slice_of(data, (size_t)h.size), t->file->path, h.offset, &t->props);
	free(data);
	t->props.file_bytes = t->blocks_end + TABLE_FOOTER_BYTES;
	t->memory += t->props.smallest.capacity + t->props.largest.capacity +
		     t->props.blob_refs_n * sizeof(*t->props.blob_refs);
	return rc;
}

static int read_top(struct table *t, struct block_handle h)
{
	size_t bytes;
	int rc;

	if (!h.size)
		return LSM_OK;
	rc = table_read_resident(t, h, &t->top_data, &bytes);
	if (rc)
		return rc;
	t->memory += bytes;
	rc = block_init(&t->top, slice_of(t->top_data, (size_t)h.size), t->file->path, h.offset);
	if (rc || !t->source || !t->source->keep)
		return rc;
	/* Without memory there is nothing to keep partitions in: the cache does as well. */
	t->partitions = calloc(t->top.restarts_n, sizeof(*t->partitions));
	if (t->partitions)
		t->memory += t->top.restarts_n * sizeof(*t->partitions);
	return LSM_OK;
}

static int read_range_dels(struct table *t, struct block_handle h)
{
	uint8_t *data;
	size_t bytes;
	int rc;

	if (!h.size)
		return LSM_OK;
	rc = table_read_resident(t, h, &data, &bytes);
	if (rc)
		return rc;
	rc = table_range_dels_decode(slice_of(data, (size_t)h.size), t->file->path, h.offset, &t->range_dels);
	free(data);
	t->memory += t->range_dels ? range_dels_memory(t->range_dels) : 0;
	return rc;
}

static int make_marks(struct table *t)
{
	size_t hinted = (size_t)(t->blocks_end / HINT_BYTES / 64 + 1);
	size_t scanned = (size_t)(t->blocks_end / SCANNED_BYTES / 64 + 1);

	t->hinted = calloc(hinted + scanned, sizeof(*t->hinted));
	if (!t->hinted)
		return status_no_memory((hinted + scanned) * sizeof(*t->hinted));
	t->scanned = t->hinted + hinted;
	t->memory += (hinted + scanned) * sizeof(*t->hinted);
	return LSM_OK;
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
		rc = read_range_dels(t, footer.range_dels);
	if (!rc)
		rc = make_marks(t);
	if (rc) {
		table_close(t);
		return rc;
	}
	t->filter_at = footer.filter;
	t->data_end = data_end_of(&footer);
	*ret = t;
	return LSM_OK;
}

void table_close(struct table *t)
{
	if (!t)
		return;
	file_close(t->file);
	table_props_free(&t->props);
	range_dels_free(t->range_dels);
	table_resident_free(t);
	free(t->top_data);
	free(t->hinted);
	free(t);
}

int table_set_sequence(struct table *t, uint64_t sequence)
{
	if (!t->props.loaded)
		return status_corrupt(t->file->path, 0, "%s is no loaded table, but the manifest says so",
				      t->file->path);
	t->sequence = sequence;
	return LSM_OK;
}

int table_read_props(struct env *env, const char *path, uint64_t file_number, struct table_props *ret)
{
	struct table t = { .file_number = file_number };
	struct table_footer footer;
	int rc = env_open(env, path, ENV_OPEN_READ, &t.file);

	if (!rc)
		rc = read_footer(&t, &footer);
	if (!rc)
		rc = read_props(&t, footer.props);
	file_close(t.file);
	if (!rc)
		*ret = t.props;
	return rc;
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

/* Looks into the partition at `h`, which the top index has at `at`. */
static int find_in_partition(struct table *t, struct block_handle h, uint32_t at, struct lsm_slice user_key,
			     uint64_t trailer, struct block_hit *ret_hit, struct block_handle *ret)
{
	struct block partition;
	struct block_pin pin;
	int rc = table_pin_block(t, h, false, &pin);

	if (rc)
		return rc;
	rc = block_init(&partition, pin.data, t->file->path, h.offset);
	if (!rc)
		rc = find_block(t, &partition, user_key, trailer, ret_hit, ret);
	if (!rc)
		table_partition_keep(t, at, &pin, &partition);
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

	rc = table_pin_block(t, h, false, &pin);
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
	ret->trailer = t->sequence ? trailer_of(t->sequence, trailer_type(hit.trailer)) : hit.trailer;
	ret->value = hit.value;
	ret->pin = pin;
	return LSM_OK;
}

int table_get(struct table *t, struct lsm_slice user_key, uint64_t hash, uint64_t trailer, struct table_hit *ret)
{
	struct table_hit hit = { .answer = TABLE_ABSENT };
	const struct filter *filter = NULL;
	struct block_handle h;
	bool any;
	int rc;

	/* Separators carry the largest trailer of all; a look-up's has to sort behind those. */
	if (trailer > SEEK_TRAILER(SEQUENCE_MAX))
		trailer = SEEK_TRAILER(SEQUENCE_MAX);
	if (trailer_seq(trailer) < t->sequence) {
		*ret = hit;
		return LSM_OK;
	}
	rc = table_filter(t, KEEP_DEEP_FILTER, &filter);
	if (!rc && filter && !filter_may_contain(filter, hash)) {
		hit.answer = TABLE_FILTERED;
		*ret = hit;
		return LSM_OK;
	}
	if (!rc)
		rc = find_data_block(t, user_key, trailer, &any, &h);
	if (!rc && any)
		rc = find_entry(t, h, user_key, trailer, &hit);
	if (!rc)
		*ret = hit;
	return rc;
}

void table_prefetch(struct table *t, uint64_t hash, bool deep)
{
	const struct filter *filter = NULL;

	/* A filter that can't be read is table_get()'s to tell. */
	if (!table_filter(t, deep ? KEEP_DEEP_FILTER : KEEP_FILTER, &filter) && filter && filter->lines_n)
		__builtin_prefetch(filter_line(filter, hash));
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
