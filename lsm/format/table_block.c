/* SPDX-License-Identifier: MIT */
/* Blocks of an open table: read, verified, uncompressed, pinned. */
#include "lsm/format/compress.h"
#include "lsm/format/table_internal.h"

enum { STACK_BYTES = 16 << 10 };

/* Memory for a block: of `space`, or without one of the source. Freed with give_memory() when nothing comes of it. */
static void *take_memory(const struct table *t, struct block_space *space, size_t size)
{
	if (!space)
		return t->source && t->source->take ? t->source->take(t->source, size) : malloc(size);
	if (space->capacity < size) {
		free(space->data);
		space->data = malloc(size);
		space->capacity = space->data ? size : 0;
	}
	return space->data;
}

static void give_memory(const struct table *t, struct block_space *space, void *data)
{
	if (space)
		return;
	if (t->source && t->source->give)
		t->source->give(t->source, data);
	else
		free(data);
}

static int expand(const struct table *t, const uint8_t *stored, struct block_handle h, enum lsm_compression how,
		  struct block_space *space, struct lsm_slice *ret)
{
	struct lsm_slice payload = slice_of(stored, (size_t)h.size);
	size_t size;
	void *data;
	int rc;

	rc = decompress_size(payload, t->file->path, h.offset, &size);
	if (rc)
		return rc;
	data = take_memory(t, space, size);
	if (!data)
		return status_no_memory(size);
	rc = decompress(how, payload, data, size, t->file->path, h.offset);
	if (rc) {
		give_memory(t, space, data);
		return rc;
	}
	*ret = slice_of(data, size);
	return LSM_OK;
}

static int check(const struct table *t, const uint8_t *stored, struct block_handle h, enum lsm_compression *ret_how)
{
	return stored_block_check(stored, h.size, place_seed(t->file_number, h.offset), t->file->path, h.offset,
				  ret_how);
}

/* From bytes that stay where they are. */
static int block_from_bytes(const struct table *t, const uint8_t *stored, struct block_handle h,
			    struct block_space *space, struct lsm_slice *ret)
{
	enum lsm_compression how;
	void *data;
	int rc;

	rc = check(t, stored, h, &how);
	if (rc)
		return rc;
	if (how != LSM_COMPRESS_NONE)
		return expand(t, stored, h, how, space, ret);
	data = take_memory(t, space, (size_t)h.size);
	if (!data)
		return status_no_memory((size_t)h.size);
	memcpy(data, stored, (size_t)h.size);
	*ret = slice_of(data, (size_t)h.size);
	return LSM_OK;
}

static int block_from_small_read(const struct table *t, struct block_handle h, struct lsm_slice *ret)
{
	uint8_t stored[STACK_BYTES];
	int rc;

	rc = file_read_exact(t->file, h.offset, stored, (size_t)h.size + STORED_TAIL_BYTES);
	return rc ? rc : block_from_bytes(t, stored, h, NULL, ret);
}

/* Reads where a raw block can stay, so that a large one is not copied. */
static int block_from_large_read(const struct table *t, struct block_handle h, struct lsm_slice *ret)
{
	size_t size = (size_t)h.size + STORED_TAIL_BYTES;
	uint8_t *stored = malloc(size);
	enum lsm_compression how;
	int rc;

	if (!stored)
		return status_no_memory(size);
	rc = file_read_exact(t->file, h.offset, stored, size);
	if (!rc)
		rc = check(t, stored, h, &how);
	if (!rc && how == LSM_COMPRESS_NONE) {
		*ret = slice_of(stored, (size_t)h.size);
		return LSM_OK;
	}
	if (!rc)
		rc = expand(t, stored, h, how, NULL, ret);
	free(stored);
	return rc;
}

/* *ret is the caller's, to be given to the source. */
static int read_block(struct table *t, struct block_handle h, struct lsm_slice *ret)
{
	(void)readaround_hint(t, h.offset);
	if (h.size + STORED_TAIL_BYTES <= STACK_BYTES)
		return block_from_small_read(t, h, ret);
	return block_from_large_read(t, h, ret);
}

/* Gives `data` to the source. */
static void keep(struct table *t, struct block_handle h, struct lsm_slice data, bool low_priority,
		 struct block_pin *ret)
{
	struct block_source *s = t->source;

	if (s)
		s->insert(s, t->file_number, h.offset, (void *)data.data, data.size, low_priority, ret);
	else
		*ret = (struct block_pin){ data, (void *)data.data };
}

bool table_pin_cached(struct table *t, struct block_handle h, struct block_pin *ret)
{
	struct block_source *s = t->source;

	return s && s->lookup(s, t->file_number, h.offset, ret);
}

int table_pin_block(struct table *t, struct block_handle h, bool low_priority, struct block_pin *ret)
{
	struct lsm_slice data;
	int rc;

	if (table_pin_cached(t, h, ret))
		return LSM_OK;
	rc = read_block(t, h, &data);
	if (!rc)
		keep(t, h, data, low_priority, ret);
	return rc;
}

int table_pin_scanned(struct table *t, struct block_handle h, bool is_data, struct readahead *ra,
		      struct block_space *space, struct block_pin *ret)
{
	size_t size = (size_t)h.size + STORED_TAIL_BYTES;
	const uint8_t *stored;
	struct lsm_slice data;
	int rc;

	if (table_pin_cached(t, h, ret))
		return LSM_OK;
	stored = is_data ? readahead_get(ra, t, h.offset, size) : readahead_peek(ra, h.offset, size);
	if (stored && is_data && readahead_passes(ra, t, h.offset)) {
		rc = block_from_bytes(t, stored, h, space, &data);
		if (!rc)
			*ret = (struct block_pin){ data, NULL };
		return rc;
	}
	rc = stored ? block_from_bytes(t, stored, h, NULL, &data) : read_block(t, h, &data);
	if (!rc)
		keep(t, h, data, ra->bulk, ret);
	return rc;
}

void table_unpin_block(struct table *t, struct block_pin *pin)
{
	if (!pin->pin) {
		*pin = (struct block_pin){ 0 };
		return;
	}
	if (t->source)
		t->source->release(t->source, pin);
	else
		free(pin->pin);
	*pin = (struct block_pin){ 0 };
}

int table_index_handle(const struct table *t, struct lsm_slice value, struct block_handle *ret)
{
	return block_handle_decode(value, t->blocks_end, t->file->path, ret);
}
