/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "fs/volume/internal.h"

/*
 * Extents follow the writes, within bounds that keep their number near size / 64 KiB however small the writes are:
 *
 *  - inside existing data a write is widened to whole pages, so no stretch falls into pieces smaller than a page;
 *  - an append makes a row of its own; once the appends have completed a granule (256 bytes, a page, 64 KiB) that lies
 *    in FOLD_ROWS_MIN rows or more, these become one. Each byte is so written at most four times, and only if it came
 *    in tiny pieces; appends of a quarter of 64 KiB and more are never folded;
 *  - writes that fill a hole, in any order, do the same with 64 KiB when the last of them is there.
 */
#define FOLD_ROWS_MIN 4
static const uint64_t granules[] = { 65536, PAGE_BYTES, 256 }; /* descending, dividing each other */

struct write {
	struct change *c;
	struct node *node;
	uint64_t offset, end; /* of what the caller writes */
	const uint8_t *data;
	uint64_t begin, stop; /* the same, widened by what is there around it */
	uint64_t split;       /* a row ends here, if it is inside */
};

/* Puts the widened range, of which `bytes` is the content. */
static int put_range(struct write *w, const uint8_t *bytes)
{
	uint64_t middle = w->split > w->begin && w->split < w->stop ? w->split : w->stop;
	int r;

	r = extents_put(w->c, w->node->ino, w->begin, bytes, middle - w->begin);
	if (r == 0)
		r = extents_put(w->c, w->node->ino, middle, bytes + (middle - w->begin), w->stop - middle);
	if (r == 0)
		w->node->i.file.allocated_bytes += w->stop - w->begin;
	return r;
}

/* 1 when any of [begin, end) is in an extent. */
static int any_data(struct write *w, struct rows_iter *it, uint64_t begin, uint64_t end)
{
	struct extent e;
	int r;

	if (begin >= end)
		return 0;
	r = extent_first(w->c->v, it, w->node->ino, begin, &e);
	return r == 1 ? e.offset < end : r;
}

static int widen_to_pages(struct write *w, struct rows_iter *it)
{
	uint64_t first = w->offset & ~(PAGE_BYTES - 1), last = w->end;
	int r;

	if (last & (PAGE_BYTES - 1))
		last = (last | (PAGE_BYTES - 1)) + 1;
	if (last > w->node->i.file.size)
		last = w->node->i.file.size;
	r = any_data(w, it, first, w->offset);
	if (r == 1)
		w->begin = first;
	if (r >= 0)
		r = any_data(w, it, w->end, last);
	if (r == 1)
		w->stop = last;
	return r < 0 ? r : 0;
}

/* Whether [begin, end) lies in so many rows that one more makes them worth folding; then where the first begins: what
 * is a hole in front of it remains one. */
static int in_many_rows(struct write *w, struct rows_iter *it, uint64_t begin, uint64_t end, uint64_t *ret_first)
{
	unsigned count = 0;
	uint64_t first = 0;
	struct extent e;
	int r;

	for (r = extent_first(w->c->v, it, w->node->ino, begin, &e); r == 1 && e.offset < end;
	     r = extent_next(w->c->v, it, &e)) {
		if (count++ == 0)
			first = e.offset > begin ? e.offset : begin;
		if (count == FOLD_ROWS_MIN - 1) {
			*ret_first = first;
			return 1;
		}
	}
	return r < 0 ? r : 0;
}

static uint64_t granule_start(const struct write *w, uint64_t granule)
{
	return w->offset & ~(granule - 1);
}

/* Whether this append completes a granule which it didn't begin, and which appends like it fill in many rows. */
static bool completes(const struct write *w, uint64_t granule)
{
	uint64_t start = granule_start(w, granule);

	return w->offset > start && w->end >= start + granule && w->end - w->offset <= granule / FOLD_ROWS_MIN;
}

static bool may_fold(const struct write *w)
{
	for (unsigned i = 0; i < sizeof(granules) / sizeof(granules[0]); i++) {
		if (completes(w, granules[i]))
			return true;
	}
	return false;
}

static int widen_to_granule(struct write *w, struct rows_iter *it)
{
	uint64_t start, first = 0;
	int r;

	for (unsigned i = 0; i < sizeof(granules) / sizeof(granules[0]); i++) {
		if (!completes(w, granules[i]))
			continue;
		start = granule_start(w, granules[i]);
		r = in_many_rows(w, it, start, w->offset, &first);
		if (r < 0)
			return r;
		if (r == 1) {
			w->begin = first;
			w->split = start + granules[i];
			break;
		}
	}
	return 0;
}

/* Whether [begin, end) is in extents wherever this write isn't, and in so many that they are worth folding. */
static int is_filled(struct write *w, struct rows_iter *it, uint64_t begin, uint64_t end)
{
	unsigned count = 0;
	uint64_t at = begin;
	struct extent e;
	int r;

	for (r = extent_first(w->c->v, it, w->node->ino, begin, &e); r == 1 && at < end;
	     r = extent_next(w->c->v, it, &e)) {
		if (at == w->offset)
			at = w->end;
		if (e.offset > at)
			return 0;
		at = e.offset + e.size;
		count++;
	}
	if (r < 0)
		return r;
	return (at >= end || (at == w->offset && w->end >= end)) && count >= FOLD_ROWS_MIN - 1;
}

/* The write fills a hole: 64 KiB that are complete by it become one. */
static int widen_to_filled(struct write *w, struct rows_iter *it)
{
	uint64_t granule = granules[0], start = granule_start(w, granule), end = start + granule;
	int r;

	if (w->end > end || w->end - w->offset > granule / FOLD_ROWS_MIN || w->node->i.file.size < end)
		return 0;
	r = any_data(w, it, w->offset, w->end);
	if (r != 0)
		return r < 0 ? r : 0;
	/* mostly it is not the last one: the ends tell at once */
	r = w->end == end ? 1 : any_data(w, it, end - 1, end);
	if (r == 1)
		r = is_filled(w, it, start, end);
	if (r == 1) {
		w->begin = start;
		w->stop = end;
	}
	return r < 0 ? r : 0;
}

/* Replaces what is in the widened range; what the caller doesn't write of it is read first. */
static int replace_range(struct write *w, struct rows_iter *it)
{
	const uint8_t *bytes = w->data;
	uint8_t *merged = NULL;
	uint64_t freed = 0;
	int r = 0;

	if (w->begin < w->offset || w->stop > w->end) {
		merged = malloc(w->stop - w->begin);
		if (!merged)
			return -ENOMEM;
		r = extents_read(w->c->v, it, w->node->ino, w->begin, merged, w->offset - w->begin);
		if (r == 0)
			r = extents_read(w->c->v, it, w->node->ino, w->end, merged + (w->end - w->begin),
					 w->stop - w->end);
		memcpy(merged + (w->offset - w->begin), w->data, w->end - w->offset);
		bytes = merged;
	}
	if (r == 0)
		r = extents_cut(w->c, w->node->ino, it, w->begin, w->stop, true, &freed);
	if (r == 0) {
		node_freed(w->node, freed);
		r = put_range(w, bytes);
	}
	free(merged);
	return r;
}

static int write_extents(struct write *w)
{
	bool append = w->offset >= w->node->i.file.size;
	struct rows_iter *it = NULL;
	uint64_t open_end, granule_end;
	int r;

	w->begin = w->offset;
	w->stop = w->end;
	w->split = 0;
	if (append && !may_fold(w))
		return put_range(w, w->data); /* nothing is there: no extent lies at or behind the size */
	open_end = (w->end | (PAGE_BYTES - 1)) + 1;
	granule_end = (w->offset | (granules[0] - 1)) + 1;
	if (open_end < granule_end)
		open_end = granule_end;
	r = extents_open(w->c->v, w->node->ino, w->offset, open_end, &it);
	if (r < 0)
		return r;
	r = append ? widen_to_granule(w, it) : widen_to_pages(w, it);
	if (r == 0 && !append)
		r = widen_to_filled(w, it);
	if (r == 0)
		r = replace_range(w, it);
	w->c->v->rows->ops->iter_free(it);
	return r;
}

/* `content` (SCHEMA_INLINE_MAX bytes) becomes the inode's content. */
static void write_inlined(struct write *w, uint8_t *content)
{
	struct schema_inode *i = &w->node->i;
	size_t old = i->content_size;

	if (old > 0)
		memcpy(content, i->content, old);
	if (w->offset > old)
		memset(content + old, 0, w->offset - old);
	memcpy(content + w->offset, w->data, w->end - w->offset);
	i->content = content;
	i->content_size = w->end > old ? (size_t)w->end : old;
	i->file.allocated_bytes = i->content_size;
}

/* The file outgrows its inode: content and new bytes go to extents, as one if they share the first page. */
static int write_outgrowing(struct write *w)
{
	struct schema_inode *i = &w->node->i;
	const uint8_t *content = i->content;
	size_t content_size = i->content_size;
	uint8_t *merged;
	int r;

	i->file.inlined = false;
	i->file.allocated_bytes = 0;
	i->content_size = 0;
	w->begin = w->offset;
	w->stop = w->end;
	w->split = 0;
	if (content_size == 0)
		return put_range(w, w->data);
	if (w->offset >= PAGE_BYTES) {
		i->file.allocated_bytes = content_size;
		r = extents_put(w->c, w->node->ino, 0, content, content_size);
		return r < 0 ? r : put_range(w, w->data);
	}
	merged = calloc(1, w->end);
	if (!merged)
		return -ENOMEM;
	memcpy(merged, content, content_size);
	memcpy(merged + w->offset, w->data, w->end - w->offset);
	w->begin = 0;
	r = put_range(w, merged);
	free(merged);
	return r;
}

static int write_locked(struct change *c, vol_ino ino, uint64_t offset, const void *buf, size_t size, unsigned flags)
{
	uint8_t content[SCHEMA_INLINE_MAX];
	struct node node = { 0 };
	struct write w;
	int r;

	r = node_load_file(c->v, ino, &node);
	if (r < 0)
		return r;
	if (flags & VOL_WRITE_APPEND)
		offset = node.i.file.size;
	if (offset > VOL_FILE_SIZE_MAX || size > VOL_FILE_SIZE_MAX - offset) {
		r = -EFBIG;
		goto out;
	}
	r = flags_allow_write(&node, offset);
	if (r < 0)
		goto out;
	w = (struct write){ .c = c, .node = &node, .offset = offset, .end = offset + size, .data = buf };
	if (!node.i.file.inlined)
		r = write_extents(&w);
	else if (w.end <= SCHEMA_INLINE_MAX)
		write_inlined(&w, content);
	else
		r = write_outgrowing(&w);
	if (r < 0)
		goto out;
	if (w.end > node.i.file.size)
		node.i.file.size = w.end;
	if (flags & VOL_WRITE_KILL_PRIV)
		node_kill_priv(&node);
	if (!(flags & VOL_WRITE_MAPPED))
		r = node_drop_caps(c, &node);
	node_touch(&node, c);
	if (r == 0)
		r = node_put(c, &node);
	if (r == 0)
		r = change_commit(c);
out:
	node_done(&node);
	return r;
}

int volume_write(struct volume *v, vol_ino ino, uint64_t offset, const void *buf, size_t size, unsigned flags)
{
	struct locked locked;
	struct change c;
	int r;

	if (size > 0) {
		r = change_begin(&c, v);
		if (r < 0)
			return r;
		inode_lock(v, &locked, ino);
		r = write_locked(&c, ino, offset, buf, size, flags);
		inodes_unlock(v, &locked);
		change_end(&c);
		if (r < 0)
			return r;
	}
	/* after the lock is given back: readers needn't wait for the disk */
	return flags & VOL_WRITE_SYNC ? volume_sync(v) : 0;
}
