/* SPDX-License-Identifier: MIT */
/* What an open table keeps for itself, outside of the cache: small blocks, the filter, copies of index partitions. */
#include "lsm/format/table_internal.h"

int table_read_resident(const struct table *t, struct block_handle h, uint8_t **ret, size_t *ret_bytes)
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
	*ret = data;
	*ret_bytes = rounded;
	return LSM_OK;
}

static bool may_keep(struct table *t, size_t bytes, enum keep_why why)
{
	return !t->source || !t->source->keep || t->source->keep(t->source, bytes, why);
}

static void unkeep(struct table *t, size_t bytes)
{
	if (t->source && t->source->unkeep)
		t->source->unkeep(t->source, bytes);
}

/* ---- the filter ---- */

static int filter_load(struct table *t, struct resident_filter **ret)
{
	struct resident_filter *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return status_no_memory(sizeof(*f));
	rc = table_read_resident(t, t->filter_at, &f->data, &f->bytes);
	if (rc) {
		free(f);
		return rc;
	}
	/* One of a kind that isn't known is not used: it only saves reads. */
	filter_init(&f->filter, slice_of(f->data, (size_t)t->filter_at.size));
	*ret = f;
	return LSM_OK;
}

static void filter_free(struct resident_filter *f)
{
	if (!f)
		return;
	free(f->data);
	free(f);
}

/* Reads the filter, for whoever comes first, if there is room for it. */
static int filter_get(struct table *t, enum keep_why why, const struct filter **ret)
{
	size_t bytes = (size_t)t->filter_at.size;
	struct resident_filter *f = NULL, *there = NULL;
	int rc;

	if (!may_keep(t, bytes, why))
		return LSM_OK;
	rc = filter_load(t, &f);
	if (rc) {
		unkeep(t, bytes);
		return rc;
	}
	if (!atomic_compare_exchange_strong(&t->filter, &there, f)) {
		unkeep(t, bytes);
		filter_free(f);
		f = there;
	}
	*ret = &f->filter;
	return LSM_OK;
}

int table_filter(struct table *t, enum keep_why why, const struct filter **ret)
{
	struct resident_filter *f = atomic_load_explicit(&t->filter, memory_order_acquire);

	if (f)
		*ret = &f->filter;
	return f || !t->filter_at.size ? LSM_OK : filter_get(t, why, ret);
}

/* ---- index partitions ---- */

void table_partition_keep(struct table *t, uint32_t at, const struct block_pin *pin, const struct block *block)
{
	size_t bytes = sizeof(struct partition) + pin->data.size;
	struct partition *p, *none = NULL;

	if (!t->partitions || at >= t->top.restarts_n || !may_keep(t, bytes, KEEP_INDEX))
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
	unkeep(t, bytes);
	free(p);
}

void table_resident_free(struct table *t)
{
	struct resident_filter *f = atomic_load(&t->filter);

	if (f)
		unkeep(t, (size_t)t->filter_at.size);
	filter_free(f);
	for (uint32_t i = 0; t->partitions && i < t->top.restarts_n; i++) {
		struct partition *p = atomic_load(&t->partitions[i]);

		if (p)
			unkeep(t, p->bytes);
		free(p);
	}
	free(t->partitions);
}
