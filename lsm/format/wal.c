/* SPDX-License-Identifier: MIT */
/* Appending and syncing. */
#include "lsm/format/wal.h"

#include <assert.h>

#include "lsm/format/wal_internal.h"

/* The segment has room for it. */
static void record_append(struct wal *w, uint64_t trailer, const struct lsm_slice *pieces, int n, uint32_t payload_size,
			  uint64_t bytes)
{
	uint64_t offset = (uint64_t)(w->at - w->current->base);
	uint64_t end = atomic_load_explicit(&w->end_lsn, memory_order_relaxed);

	wal_record_write(w->at, place_seed(w->current->number, offset), trailer, pieces, n, payload_size);
	w->at += bytes;
	w->room -= bytes;
	atomic_store_explicit(&w->end_lsn, end + bytes, memory_order_release);
}

int wal_append(struct wal *w, uint64_t sequence, const struct lsm_slice *pieces, int n, uint64_t *ret_end_lsn)
{
	uint64_t size = 0, bytes;

	for (int i = 0; i < n; i++)
		size += pieces[i].size;
	if (size > UINT32_MAX)
		return status_set(LSM_INVALID, 0, w->dir, 0, "a batch of %llu bytes is too large for the log",
				  (unsigned long long)size);
	bytes = wal_record_bytes(size);
	if (bytes > w->room) {
		int rc = wal_segment_switch(w, bytes);

		if (rc)
			return rc;
	}
	record_append(w, sequence << 8 | WAL_RECORD_BATCH, pieces, n, (uint32_t)size, bytes);
	*ret_end_lsn = atomic_load_explicit(&w->end_lsn, memory_order_relaxed);
	return LSM_OK;
}

int wal_mark(struct wal *w, uint64_t durable_lsn)
{
	struct lsm_slice payload;
	uint8_t bytes[8];

	assert(durable_lsn <= atomic_load_explicit(&w->end_lsn, memory_order_relaxed));
	if (durable_lsn <= w->marked_lsn || w->room < WAL_MARK_BYTES)
		return LSM_OK;
	put_u64(bytes, durable_lsn);
	payload = slice_of(bytes, sizeof(bytes));
	record_append(w, WAL_RECORD_MARK, &payload, 1, sizeof(bytes), WAL_MARK_BYTES);
	w->marked_lsn = durable_lsn;
	return LSM_OK;
}

int wal_rotate(struct wal *w, uint64_t *ret_segment)
{
	if (w->at > w->current->base + WAL_HEADER_BYTES) {
		int rc = wal_segment_switch(w, 0);

		if (rc)
			return rc;
	}
	*ret_segment = w->current->number;
	return LSM_OK;
}

uint64_t wal_end_lsn(struct wal *w)
{
	return atomic_load_explicit(&w->end_lsn, memory_order_acquire);
}

/* The lock is held: an append cannot leave the current segment meanwhile. */
static uint64_t segment_end(struct wal *w, const struct wal_segment *s)
{
	return s == w->current ? wal_end_lsn(w) : s->end_lsn;
}

/*
 * The oldest segment that begins below `lsn` of which the header or records are not known to be durable. A header counts
 * also without records: the next segment continues the log from it. The lock is held.
 */
static struct wal_segment *unsynced_find(struct wal *w, uint64_t lsn)
{
	struct wal_segment *found = NULL;

	for (struct wal_segment *s = w->segments; s; s = s->next)
		if (s->state == WAL_SEGMENT_LIVE && s->start_lsn < lsn &&
		    (!s->begun_durably || segment_end(w, s) > w->synced_lsn) && (!found || s->number < found->number))
			found = s;
	return found;
}

/* Syncs one segment; the lock is held, and given up meanwhile. */
static int segment_sync(struct wal *w, struct wal_segment *s)
{
	uint64_t end = segment_end(w, s);
	int rc;

	assert(!w->syncing);
	w->syncing = s;
	mutex_unlock(&w->lock);
	rc = file_sync(s->file);
	mutex_lock(&w->lock);
	w->syncing = NULL;
	if (rc) {
		/* The kernel may have dropped the pages and call them clean: a second try would lie. */
		w->sync_failed = *lsm_last_error();
		return rc;
	}
	s->begun_durably = true;
	if (end > w->synced_lsn)
		w->synced_lsn = end;
	return LSM_OK;
}

int wal_sync(struct wal *w, uint64_t lsn)
{
	bool released = false;
	int rc = LSM_OK;

	mutex_lock(&w->lock);
	w->synced_ever = true;
	if (w->sync_failed.code)
		rc = status_adopt(&w->sync_failed);
	while (!rc && w->synced_lsn < lsn) {
		struct wal_segment *s = unsynced_find(w, lsn);

		if (!s)
			break;
		rc = segment_sync(w, s);
		released |= s->number < w->first_needed;
	}
	mutex_unlock(&w->lock);
	/* A release that came meanwhile left the segment to us. That it can't be deleted is no failure of the sync. */
	if (released)
		(void)wal_release(w, 0);
	return rc;
}

void wal_get_stats(struct wal *w, struct wal_stats *ret)
{
	struct wal_stats stats = { 0 };

	mutex_lock(&w->lock);
	stats.live_segments = wal_segments_count(w, WAL_SEGMENT_LIVE);
	stats.spare_segments = wal_segments_count(w, WAL_SEGMENT_SPARE);
	for (const struct wal_segment *s = w->segments; s; s = s->next)
		stats.file_bytes += s->file_bytes;
	stats.appended_bytes = wal_end_lsn(w) - w->started_lsn;
	mutex_unlock(&w->lock);
	*ret = stats;
}
