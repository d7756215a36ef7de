/* SPDX-License-Identifier: MIT */
/* Finding the log among the segments on disk, and where it ends. */
#include <assert.h>

#include "lsm/format/wal_internal.h"

/* A walk along the log; at every moment it stands at a place where a record may be. */
struct walk {
	struct wal *wal;
	uint64_t first_segment;

	struct wal_segment *segment; /* NULL: there is no log */
	struct wal_segment *next;    /* starts at `lsn` or behind, and continues `segment`; NULL: none */
	uint64_t at;                 /* offset in the segment */
	uint64_t lsn;

	struct wal_segment *window; /* whose bytes [from, from + filled) are in `data` */
	uint64_t from, filled;
	uint8_t *data;
	uint64_t capacity;

	uint64_t durable_lsn;                                  /* the greatest that a mark told */
	int (*fn)(void *ctx, const struct wal_record *record); /* NULL: only the marks are wanted */
	void *ctx;
};

/* Segments have a fixed size from the beginning: a shorter file is no crash's doing. */
static int size_check(const struct wal_segment *s)
{
	if (s->file_bytes >= s->size)
		return LSM_OK;
	return status_corrupt(s->file->path, s->file_bytes, "%s has %llu bytes, but %llu by its header", s->file->path,
			      (unsigned long long)s->file_bytes, (unsigned long long)s->size);
}

/* Bytes of one read, unless a record has more: they stay in the processor's cache until they are checked. */
enum { WINDOW_BYTES = 256 << 10 };

static int window_grow(struct walk *k, uint64_t size)
{
	if (k->capacity >= size)
		return LSM_OK;
	free(k->data);
	k->capacity = 0;
	k->data = malloc(size);
	if (!k->data)
		return status_no_memory(size);
	k->capacity = size;
	return LSM_OK;
}

/*
 * Brings bytes [at, at + need) of the segment, and what follows as far as it has room, into the window. They are read,
 * not mapped: a page that the disk can't read is an error then, and not a SIGBUS.
 */
static int window_fill(struct walk *k, struct wal_segment *s, uint64_t at, uint64_t need)
{
	uint64_t size = need > WINDOW_BYTES ? need : WINDOW_BYTES;
	int rc;

	if (k->window == s && at >= k->from && at + need <= k->from + k->filled)
		return LSM_OK;
	k->window = NULL;
	if (size > s->size - at)
		size = s->size - at;
	rc = window_grow(k, size);
	if (!rc)
		rc = file_read_exact(s->file, at, k->data, size);
	if (rc)
		return rc;
	k->window = s;
	k->from = at;
	k->filled = size;
	return LSM_OK;
}

static const uint8_t *window_at(const struct walk *k, uint64_t at)
{
	return k->data + (at - k->from);
}

/* Is there a record at `at`? */
static int record_find(struct walk *k, struct wal_segment *s, uint64_t at, struct wal_parsed *ret, bool *ret_found)
{
	uint64_t left = s->size - at, bytes;
	int rc;

	*ret_found = false;
	if (left < WAL_RECORD_HEADER_BYTES)
		return LSM_OK;
	rc = window_fill(k, s, at, WAL_RECORD_HEADER_BYTES);
	if (rc)
		return rc;
	bytes = wal_record_bytes(get_u32(window_at(k, at) + 4));
	if (bytes > left)
		return LSM_OK;
	rc = window_fill(k, s, at, bytes);
	if (!rc)
		*ret_found = wal_record_parse(window_at(k, at), bytes, place_seed(s->number, at), ret);
	return rc;
}

/*
 * The log begins with the segment that continues none of those wanted. If there are several, the older ones were found
 * empty or torn at their first record when the newer one was started in their place.
 */
static struct wal_segment *chain_begin(const struct wal *w, uint64_t first_segment)
{
	struct wal_segment *found = NULL;

	for (struct wal_segment *s = w->segments; s; s = s->next)
		if (s->number && s->number >= first_segment && s->previous < first_segment &&
		    (!found || s->number > found->number))
			found = s;
	return found;
}

/* The segment that continues `segment` from `lsn`, or else from the next place behind it. */
static struct wal_segment *chain_next(const struct wal *w, const struct wal_segment *segment, uint64_t lsn)
{
	struct wal_segment *found = NULL;

	for (struct wal_segment *s = w->segments; s; s = s->next) {
		if (s->previous != segment->number || s->number <= segment->number || s->start_lsn < lsn)
			continue;
		if (!found || s->start_lsn < found->start_lsn ||
		    (s->start_lsn == found->start_lsn && s->number > found->number))
			found = s;
	}
	return found;
}

static int walk_enter(struct walk *k, struct wal_segment *s)
{
	int rc = size_check(s);

	if (rc)
		return rc;
	k->segment = s;
	k->at = WAL_HEADER_BYTES;
	k->lsn = s->start_lsn;
	k->next = chain_next(k->wal, s, k->lsn);
	return LSM_OK;
}

static int walk_begin(struct walk *k)
{
	struct wal_segment *s = chain_begin(k->wal, k->first_segment);

	k->segment = NULL;
	k->lsn = 0;
	return s ? walk_enter(k, s) : LSM_OK;
}

/* A segment of the log is live: one that has records, or that another one continues. Those behind are for wal_start() to
 * recycle. */
static void segment_keep(struct walk *k)
{
	k->segment->end_lsn = k->lsn;
	k->segment->state = WAL_SEGMENT_LIVE;
	k->wal->last_live = k->segment->number;
}

/*
 * Goes on in the segments that start here. Such a segment ends the one before also if that has more records: when it
 * was started, the log was found to end here, and what lies behind in the older one was given up then.
 */
static int walk_hop(struct walk *k)
{
	int rc = LSM_OK;

	while (!rc && k->next && k->next->start_lsn <= k->lsn) {
		if (k->next->start_lsn < k->lsn) {
			k->next = chain_next(k->wal, k->segment, k->lsn);
			continue;
		}
		if (k->fn)
			segment_keep(k); /* also without a record: it is what the next one names as its predecessor */
		rc = walk_enter(k, k->next);
	}
	return rc;
}

static int record_take(struct walk *k, const struct wal_parsed *p)
{
	struct wal_record r = {
		.lsn = k->lsn,
		.end_lsn = k->lsn + p->bytes,
		.segment = k->segment->number,
		.sequence = p->sequence,
		.payload = p->payload,
	};

	if (p->type == WAL_RECORD_MARK) {
		uint64_t marked = get_u64(p->payload.data);

		if (marked > k->durable_lsn)
			k->durable_lsn = marked;
		return LSM_OK;
	}
	r.durable = r.end_lsn <= k->durable_lsn;
	return k->fn ? k->fn(k->ctx, &r) : LSM_OK;
}

/* Walks to where the log ends; a code of fn leaves the walk before the record concerned. */
static int walk_to_end(struct walk *k)
{
	int rc;

	rc = walk_begin(k);
	while (!rc && k->segment) {
		struct wal_parsed p;
		bool found;

		rc = walk_hop(k);
		if (!rc)
			rc = record_find(k, k->segment, k->at, &p, &found);
		if (rc || !found)
			break;
		rc = record_take(k, &p);
		if (rc)
			break;
		k->at += p.bytes;
		k->lsn += p.bytes;
		if (k->fn)
			segment_keep(k);
	}
	return rc;
}

/* Finds the marks in what lies behind a place of a segment, at whatever multiple of 8. */
static int marks_scan(struct walk *k, struct wal_segment *s, uint64_t at)
{
	int rc = size_check(s);

	while (!rc && s->size - at >= WAL_MARK_BYTES) {
		uint64_t marked;

		rc = window_fill(k, s, at, WAL_MARK_BYTES);
		if (rc)
			break;
		marked = wal_marks_scan(window_at(k, at), at, k->from + k->filled, s);
		if (marked > k->durable_lsn)
			k->durable_lsn = marked;
		/* A mark across the window's end is for the next one. */
		at = k->from + k->filled - WAL_MARK_BYTES + 8;
	}
	return rc;
}

/* Collects what the marks behind the walk's place tell: in the rest of its segment, and in all that came later. */
static int marks_behind(struct walk *k)
{
	uint64_t last = k->segment ? k->segment->number : 0;
	int rc = k->segment ? marks_scan(k, k->segment, k->at) : LSM_OK;

	for (struct wal_segment *s = k->wal->segments; !rc && s; s = s->next)
		if (s->number > last && s->number >= k->first_segment && s->start_lsn >= k->lsn)
			rc = marks_scan(k, s, WAL_HEADER_BYTES);
	return rc;
}

/* Without a log, the end is where the first of its followers says that it began; all of them are given up. */
static uint64_t followers_begin(const struct walk *k)
{
	uint64_t lsn = UINT64_MAX;

	for (const struct wal_segment *s = k->wal->segments; s; s = s->next)
		if (s->number && s->number >= k->first_segment && s->start_lsn < lsn)
			lsn = s->start_lsn;
	return lsn == UINT64_MAX ? 0 : lsn;
}

/* Nothing that was durable may lie behind the end. */
static int end_check(const struct walk *k)
{
	if (k->durable_lsn <= k->lsn || k->wal->options.salvage)
		return LSM_OK;
	if (!k->segment)
		return status_corrupt(k->wal->dir, 0,
				      "the log's segment %llu is missing in %s: all up to LSN %llu was durable",
				      (unsigned long long)k->first_segment, k->wal->dir,
				      (unsigned long long)k->durable_lsn);
	return status_corrupt(
		k->segment->file->path, k->at,
		"the log is damaged at byte %llu of %s: it ends at LSN %llu, but all up to LSN %llu was durable",
		(unsigned long long)k->at, k->segment->file->path, (unsigned long long)k->lsn,
		(unsigned long long)k->durable_lsn);
}

/* First the marks and the end, then the records: whether one had been durable is told by marks behind it. */
static int replay(struct walk *k, int (*fn)(void *ctx, const struct wal_record *record), void *ctx)
{
	int rc;

	rc = walk_to_end(k);
	if (rc)
		return rc;
	if (!k->segment && !k->wal->segments && k->first_segment > 1 && !k->wal->options.salvage)
		return status_corrupt(k->wal->dir, 0,
				      "the log of %s is missing: there is no file wal-NNNN, but segment %llu was begun",
				      k->wal->dir, (unsigned long long)k->first_segment);
	if (!k->segment)
		k->lsn = followers_begin(k);
	rc = marks_behind(k);
	if (!rc)
		rc = end_check(k);
	if (rc || !k->segment)
		return rc;
	k->fn = fn;
	k->ctx = ctx;
	rc = walk_to_end(k);
	/* A segment that continues the log before this record would have been entered: here it ends. */
	if (rc == LSM_NOT_FOUND)
		rc = LSM_OK;
	return rc ? rc : end_check(k);
}

int wal_replay(struct wal *w, uint64_t first_segment, int (*fn)(void *ctx, const struct wal_record *record), void *ctx,
	       uint64_t *ret_end_lsn)
{
	struct walk k = { .wal = w, .first_segment = first_segment ? first_segment : 1 };
	int rc;

	assert(!w->replayed && fn);
	rc = replay(&k, fn, ctx);
	free(k.data);
	if (rc)
		return rc;
	if (w->last_number < first_segment)
		w->last_number = first_segment;
	atomic_store(&w->end_lsn, k.lsn);
	w->started_lsn = k.lsn;
	w->first_needed = k.first_segment;
	w->replayed = true;
	*ret_end_lsn = k.lsn;
	return LSM_OK;
}
