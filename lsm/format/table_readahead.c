/* SPDX-License-Identifier: MIT */
/* What is read before it is asked for: ahead of a scan, and around single blocks while memory is plenty. */
#include "lsm/format/table_internal.h"

enum {
	WINDOW_BYTES_MIN = 16 << 10,
	WINDOW_BYTES_MAX = 128 << 10,
	AHEAD_BYTES = 512 << 10, /* that the kernel is told of behind the window */
	BULK_WINDOW_BYTES = 256 << 10,
	BULK_AHEAD_BYTES = 1 << 20,
	GAP_BYTES = 16 << 10, /* index partitions lie between data blocks, and so do blocks that were cached */
};

/* Sets the bit; true if it was not set. */
static bool mark(_Atomic uint64_t *bits, uint64_t i)
{
	uint64_t bit = UINT64_C(1) << (i % 64);

	if (atomic_load_explicit(&bits[i / 64], memory_order_relaxed) & bit)
		return false;
	return !(atomic_fetch_or_explicit(&bits[i / 64], bit, memory_order_relaxed) & bit);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Ahead of a scan
 */

void readahead_done(struct readahead *ra)
{
	free(ra->data);
	*ra = (struct readahead){ 0 };
}

static size_t window_max(const struct readahead *ra)
{
	return ra->bulk ? BULK_WINDOW_BYTES : WINDOW_BYTES_MAX;
}

/* Sets the window for a read of [begin, end). */
static void note(struct readahead *ra, uint64_t begin, uint64_t end)
{
	bool forward = ra->end && begin >= ra->end && begin - ra->end <= GAP_BYTES;
	bool backward = ra->end && end <= ra->begin && ra->begin - end <= GAP_BYTES;

	ra->begin = begin;
	ra->end = end;
	if (!forward && !backward) {
		ra->window = ra->bulk ? window_max(ra) : 0;
		ra->backward = false;
		ra->hinted = 0;
	} else if (!ra->window || ra->backward != backward) {
		ra->window = WINDOW_BYTES_MIN;
		ra->backward = backward;
		ra->hinted = 0;
	}
}

/* Tells the kernel of what follows [begin, end), when half of what it was told of is used up. */
static void hint_ahead(struct readahead *ra, const struct table *t, uint64_t begin, uint64_t end)
{
	uint64_t ahead = ra->bulk ? BULK_AHEAD_BYTES : AHEAD_BYTES, from, to;

	if (ra->backward) {
		to = ra->hinted && ra->hinted < begin ? ra->hinted : begin;
		from = begin > ahead ? begin - ahead : 0;
	} else {
		from = ra->hinted > end ? ra->hinted : end;
		to = end + ahead < t->data_end ? end + ahead : t->data_end;
	}
	if (from >= to || to - from < ahead / 2)
		return;
	file_will_need(t->file, from, to - from);
	/* All down to the beginning, where 0 would say that there was no hint yet: the file's header is no block. */
	ra->hinted = !ra->backward ? to : from ? from : 1;
}

/* Reads a window that begins, or backward ends, with the block at [begin, end). */
static int fill(struct readahead *ra, const struct table *t, uint64_t begin, uint64_t end)
{
	size_t size = ra->window;
	uint64_t offset = begin;
	int rc;

	if (ra->backward)
		offset = end > size ? end - size : 0;
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
	if (ra->window == window_max(ra))
		hint_ahead(ra, t, offset, offset + size);
	else
		ra->window *= 2;
	return LSM_OK;
}

const uint8_t *readahead_peek(const struct readahead *ra, uint64_t offset, size_t size)
{
	if (offset >= ra->offset && offset + size <= ra->offset + ra->size)
		return ra->data + (offset - ra->offset);
	return NULL;
}

const uint8_t *readahead_get(struct readahead *ra, const struct table *t, uint64_t offset, size_t size)
{
	const uint8_t *there;

	note(ra, offset, offset + size);
	there = readahead_peek(ra, offset, size);
	/* A failure ahead is no failure of this block: it is read alone then. */
	if (there || ra->window < size || fill(ra, t, offset, offset + size))
		return there;
	return readahead_peek(ra, offset, size);
}

/*
 * A long scan for the first time doesn't fill the cache: most are never repeated, and making memory for each block
 * costs more than all else of a scan. From the second scan of a region on its blocks are kept.
 */
bool readahead_passes(struct readahead *ra, struct table *t, uint64_t offset)
{
	uint64_t region = offset / SCANNED_BYTES;

	if (ra->bulk)
		return true;
	if (ra->window < WINDOW_BYTES_MAX)
		return false;
	if (ra->region != region + 1) {
		ra->region = region + 1;
		ra->region_new = mark(t->scanned, region);
	}
	return ra->region_new;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Around a single block
 */

bool readaround_hint(struct table *t, uint64_t offset)
{
	struct block_source *s = t->source;
	uint64_t i = offset / HINT_BYTES, begin = i * HINT_BYTES;
	uint64_t size = t->blocks_end - begin < HINT_BYTES ? t->blocks_end - begin : HINT_BYTES;

	if (!s || !s->may_prefetch)
		return false;
	if (atomic_load_explicit(&t->hinted[i / 64], memory_order_relaxed) >> (i % 64) & 1)
		return true;
	if (!s->may_prefetch(s, size))
		return false;
	if (mark(t->hinted, i))
		file_will_need(t->file, begin, size);
	return true;
}
