/* SPDX-License-Identifier: MIT */
/* Blocks of an open table: read, verified, uncompressed, pinned. */
#include "lsm/format/compress.h"
#include "lsm/format/table_internal.h"

enum {
	READAHEAD_BYTES_MIN = 16 << 10,
	READAHEAD_BYTES_MAX = 128 << 10,
	READAHEAD_GAP_BYTES = 16 << 10, /* index partitions lie between data blocks */
	STACK_BYTES = 16 << 10,
};

/* ---------------------------------------------------------------------------------------------------------------
 * Reading ahead
 */

void readahead_done(struct readahead *ra)
{
	free(ra->data);
	*ra = (struct readahead){ 0 };
}

/* Sets the window for a read of [offset, end). */
static void readahead_note(struct readahead *ra, uint64_t offset, uint64_t end)
{
	bool in_order = offset >= ra->next && offset - ra->next <= READAHEAD_GAP_BYTES && ra->next;

	if (!in_order)
		ra->window = 0;
	else if (!ra->window)
		ra->window = READAHEAD_BYTES_MIN;
	ra->next = end;
}

static int readahead_fill(struct readahead *ra, const struct table *t, uint64_t offset)
{
	size_t size = ra->window;
	int rc;

	if (size > t->blocks_end - offset)
		size = (size_t)(t->blocks_end - offset);
	if (ra->capacity < size) {
		uint8_t *data = malloc(size);

		if (!data)
			return status_no_memory(size);
		free(ra->data);
		ra->data = data;
		ra->capacity = size;
	}
	ra->size = 0;
	rc = file_read_exact(t->file, offset, ra->data, size);
	if (rc)
		return rc;
	ra->offset = offset;
	ra->size = size;
	if (ra->window < READAHEAD_BYTES_MAX)
		ra->window *= 2;
	return LSM_OK;
}

/* The stored block's bytes when they are, or now get, read ahead; NULL when they are to be read alone. */
static const uint8_t *readahead_get(struct readahead *ra, const struct table *t, uint64_t offset, size_t size)
{
	readahead_note(ra, offset, offset + size);
	if (offset >= ra->offset && offset + size <= ra->offset + ra->size)
		return ra->data + (offset - ra->offset);
	/* A failure ahead is no failure of this block: it is read alone then. */
	if (ra->window < size || readahead_fill(ra, t, offset))
		return NULL;
	return ra->data;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Reading
 */

/* Uncompresses into memory of its own. */
static int expand(const struct table *t, const uint8_t *stored, struct block_handle h, enum lsm_compression how,
		  struct lsm_slice *ret)
{
	struct lsm_slice payload = slice_of(stored, (size_t)h.size);
	size_t size;
	void *data;
	int rc;

	rc = decompress_size(payload, t->file->path, h.offset, &size);
	if (rc)
		return rc;
	data = malloc(size);
	if (!data)
		return status_no_memory(size);
	rc = decompress(how, payload, data, size, t->file->path, h.offset);
	if (rc) {
		free(data);
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
static int block_from_bytes(const struct table *t, const uint8_t *stored, struct block_handle h, struct lsm_slice *ret)
{
	enum lsm_compression how;
	void *data;
	int rc;

	rc = check(t, stored, h, &how);
	if (rc)
		return rc;
	if (how != LSM_COMPRESS_NONE)
		return expand(t, stored, h, how, ret);
	data = malloc((size_t)h.size);
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
	return rc ? rc : block_from_bytes(t, stored, h, ret);
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
		rc = expand(t, stored, h, how, ret);
	free(stored);
	return rc;
}

/* *ret is malloc'd. */
static int read_block(const struct table *t, struct block_handle h, struct readahead *ra, struct lsm_slice *ret)
{
	size_t size = (size_t)h.size + STORED_TAIL_BYTES;
	const uint8_t *stored = ra ? readahead_get(ra, t, h.offset, size) : NULL;

	if (stored)
		return block_from_bytes(t, stored, h, ret);
	if (size <= STACK_BYTES)
		return block_from_small_read(t, h, ret);
	return block_from_large_read(t, h, ret);
}

int table_pin_block(struct table *t, struct block_handle h, bool low_priority, struct readahead *ra,
		    struct block_pin *ret)
{
	struct block_source *s = t->source;
	struct lsm_slice data;
	int rc;

	if (s && s->lookup(s, t->file_number, h.offset, ret))
		return LSM_OK;
	rc = read_block(t, h, ra, &data);
	if (rc)
		return rc;
	if (s)
		s->insert(s, t->file_number, h.offset, (void *)data.data, data.size, low_priority, ret);
	else
		*ret = (struct block_pin){ data, (void *)data.data };
	return LSM_OK;
}

void table_unpin_block(struct table *t, struct block_pin *pin)
{
	if (!pin->data.data)
		return;
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
