/* SPDX-License-Identifier: MIT */
/* The life of the log's segment files: spares, the next segment, recycling. */
#include <assert.h>

#include "lsm/format/wal_internal.h"

unsigned wal_segments_count(const struct wal *w, enum wal_segment_state state)
{
	unsigned n = 0;

	for (const struct wal_segment *s = w->segments; s; s = s->next)
		n += s->state == state;
	return n;
}

void wal_segment_unlink(struct wal *w, struct wal_segment *s)
{
	struct wal_segment **at = &w->segments;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
}

static unsigned slot_free(const struct wal *w)
{
	unsigned slot = 0;

	for (const struct wal_segment *s = w->segments; s;) {
		if (s->slot == slot) {
			slot++;
			s = w->segments;
		} else {
			s = s->next;
		}
	}
	return slot;
}

static struct wal_segment *spare_find(const struct wal *w)
{
	for (struct wal_segment *s = w->segments; s; s = s->next)
		if (s->state == WAL_SEGMENT_SPARE)
			return s;
	return NULL;
}

/* Makes a segment of `size` bytes, in state MAKING; the lock is held, and given up meanwhile. */
static int segment_make(struct wal *w, uint64_t size, struct wal_segment **ret)
{
	struct wal_segment *s = calloc(1, sizeof(*s));
	/* Who never syncs need not pay for zeros on the disk: they are written over before they get there. */
	bool durable = w->synced_ever;
	int rc;

	if (!s)
		return status_no_memory(sizeof(*s));
	s->state = WAL_SEGMENT_MAKING;
	s->slot = slot_free(w);
	s->size = s->file_bytes = size;
	s->next = w->segments;
	w->segments = s;
	mutex_unlock(&w->lock);
	rc = wal_segment_create(w->env, w->dir, s, durable);
	mutex_lock(&w->lock);
	cond_broadcast(&w->changed);
	if (rc) {
		wal_segment_unlink(w, s);
		wal_segment_free(s);
		return rc;
	}
	*ret = s;
	return LSM_OK;
}

/* Takes a spare, waits for one that is being made, or makes one; the lock is held, and given up meanwhile. */
static int segment_take(struct wal *w, uint64_t record_bytes, struct wal_segment **ret)
{
	uint64_t size = (WAL_HEADER_BYTES + record_bytes + 4095) & ~UINT64_C(4095);

	if (size > w->options.segment_bytes)
		return segment_make(w, size, ret);
	for (;;) {
		struct wal_segment *s = spare_find(w);

		if (s) {
			*ret = s;
			return LSM_OK;
		}
		if (!wal_segments_count(w, WAL_SEGMENT_MAKING))
			return segment_make(w, w->options.segment_bytes, ret);
		cond_wait(&w->changed, &w->lock);
	}
}

int wal_segment_switch(struct wal *w, uint64_t bytes)
{
	uint64_t end = atomic_load_explicit(&w->end_lsn, memory_order_relaxed);
	struct wal_segment *s;
	int rc;

	mutex_lock(&w->lock);
	rc = segment_take(w, bytes, &s);
	if (rc)
		goto out;
	if (w->current)
		w->current->end_lsn = end;
	wal_segment_begin(s, ++w->last_number, end, w->last_live);
	s->state = WAL_SEGMENT_LIVE;
	w->last_live = s->number;
	w->current = s;
	w->at = s->base + WAL_HEADER_BYTES;
	w->room = s->size - WAL_HEADER_BYTES;
out:
	mutex_unlock(&w->lock);
	return rc;
}

/* Whether it is good for a spare. The lock is held. */
static bool is_worth_keeping(const struct wal *w, const struct wal_segment *s)
{
	return s->size == w->options.segment_bytes && s->file_bytes >= s->size &&
	       wal_segments_count(w, WAL_SEGMENT_SPARE) + wal_segments_count(w, WAL_SEGMENT_MAKING) <
		       w->options.spare_max;
}

int wal_segment_recycle(struct wal *w, struct wal_segment *s)
{
	bool keep;
	int rc = LSM_OK;

	mutex_lock(&w->lock);
	assert(s->state == WAL_SEGMENT_ENDING);
	keep = is_worth_keeping(w, s);
	if (keep)
		s->state = WAL_SEGMENT_MAKING;
	mutex_unlock(&w->lock);
	if (keep && wal_segment_map(s))
		keep = false;
	if (!keep)
		rc = wal_segment_remove(w->env, w->dir, s);
	mutex_lock(&w->lock);
	if (keep)
		s->state = WAL_SEGMENT_SPARE;
	else
		wal_segment_unlink(w, s);
	cond_broadcast(&w->changed);
	mutex_unlock(&w->lock);
	if (!keep)
		wal_segment_free(s);
	return rc;
}

/* Takes a segment that is not needed any more out of the log; NULL when there is none. */
static struct wal_segment *released_take(struct wal *w)
{
	struct wal_segment *s;

	mutex_lock(&w->lock);
	for (s = w->segments; s; s = s->next)
		if (s->state == WAL_SEGMENT_LIVE && s->number < w->first_needed && s != w->current && s != w->syncing)
			break;
	if (s)
		s->state = WAL_SEGMENT_ENDING;
	mutex_unlock(&w->lock);
	return s;
}

int wal_release(struct wal *w, uint64_t first_needed)
{
	struct wal_segment *s;
	int rc = LSM_OK;

	mutex_lock(&w->lock);
	if (first_needed > w->first_needed)
		w->first_needed = first_needed;
	mutex_unlock(&w->lock);
	while ((s = released_take(w))) {
		int failed = wal_segment_recycle(w, s);

		rc = rc ? rc : failed;
	}
	return rc;
}

static bool wants_spare(const struct wal *w)
{
	return w->options.spare_max && !w->options.read_only && !wal_segments_count(w, WAL_SEGMENT_SPARE) &&
	       !wal_segments_count(w, WAL_SEGMENT_MAKING);
}

bool wal_wants_spare(struct wal *w)
{
	bool wants;

	mutex_lock(&w->lock);
	wants = wants_spare(w);
	mutex_unlock(&w->lock);
	return wants;
}

int wal_prepare(struct wal *w)
{
	struct wal_segment *s;
	int rc = LSM_OK;

	mutex_lock(&w->lock);
	if (wants_spare(w)) {
		rc = segment_make(w, w->options.segment_bytes, &s);
		if (!rc)
			s->state = WAL_SEGMENT_SPARE;
	}
	mutex_unlock(&w->lock);
	return rc;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Open, start, close
 */

static int segment_found(void *ctx, const char *name)
{
	struct wal *w = ctx;
	struct wal_segment *s;
	unsigned slot;
	int rc;

	if (!wal_slot_parse(name, &slot))
		return LSM_OK;
	rc = wal_segment_open(w->env, w->dir, slot, w->options.read_only, &s);
	if (rc)
		return rc;
	s->next = w->segments;
	w->segments = s;
	if (s->number > w->last_number)
		w->last_number = s->number;
	return LSM_OK;
}

/* Two files of one number cannot both be the log's: somebody has copied one. */
static int numbers_check(const struct wal *w)
{
	for (const struct wal_segment *s = w->segments; s; s = s->next)
		for (const struct wal_segment *t = s->next; t; t = t->next)
			if (s->number && s->number == t->number)
				return status_corrupt(s->file->path, 0, "%s and %s are both segment %llu of the log",
						      s->file->path, t->file->path, (unsigned long long)s->number);
	return LSM_OK;
}

int wal_open(struct env *env, const char *dir, const struct wal_options *options, struct wal **ret)
{
	struct wal *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return status_no_memory(sizeof(*w));
	mutex_init(&w->lock);
	cond_init(&w->changed);
	w->env = env;
	w->options = *options;
	w->options.segment_bytes = (options->segment_bytes + 4095) & ~UINT64_C(4095);
	if (w->options.segment_bytes < 2 * WAL_HEADER_BYTES)
		w->options.segment_bytes = 2 * WAL_HEADER_BYTES;
	if (w->options.segment_bytes > WAL_SEGMENT_BYTES_MAX)
		w->options.segment_bytes = WAL_SEGMENT_BYTES_MAX;
	w->dir = strdup(dir);
	if (!w->dir) {
		rc = status_no_memory(strlen(dir));
		goto fail;
	}
	rc = env->ops->list(env, dir, segment_found, w);
	if (!rc)
		rc = numbers_check(w);
	if (rc)
		goto fail;
	*ret = w;
	return LSM_OK;
fail:
	wal_close(w, false);
	return rc;
}

/* What the replay did not count to the log becomes spare, or goes: with `spares` only the former. Nobody else is about. */
static int leftovers_recycle(struct wal *w, bool spares)
{
	struct wal_segment *s = w->segments;

	while (s) {
		struct wal_segment *next = s->next;

		if (s->state == WAL_SEGMENT_FOUND && (!spares || is_worth_keeping(w, s))) {
			int rc;

			s->state = WAL_SEGMENT_ENDING;
			rc = wal_segment_recycle(w, s);
			if (rc)
				return rc;
		}
		s = next;
	}
	return LSM_OK;
}

/*
 * The numbers that an open gave out in vain, since a power cut took their headers but perhaps not their records, must
 * not be given again: the records would check. Between two durable headers there are always fewer than these.
 */
#define NUMBER_GAP (UINT64_C(1) << 20)

int wal_start(struct wal *w, uint64_t segment_min)
{
	int rc;

	assert(w->replayed && !w->current && !w->options.read_only);
	if (w->last_number < segment_min)
		w->last_number = segment_min;
	w->last_number = (w->last_number / NUMBER_GAP + 1) * NUMBER_GAP;
	rc = leftovers_recycle(w, true);
	if (!rc)
		rc = wal_segment_switch(w, 0);
	if (!rc)
		rc = file_sync(w->current->file);
	if (rc)
		return rc;
	w->current->begun_durably = true;
	/* Not before there is a new one: a log without a file is taken for one that has lost them. */
	return leftovers_recycle(w, false);
}

void wal_close(struct wal *w, bool trim)
{
	if (!w)
		return;
	while (w->segments) {
		struct wal_segment *s = w->segments;

		w->segments = s->next;
		if (trim && !w->options.read_only && s->state == WAL_SEGMENT_SPARE)
			(void)wal_segment_remove(w->env, w->dir, s);
		wal_segment_free(s);
	}
	cond_done(&w->changed);
	mutex_done(&w->lock);
	free(w->dir);
	free(w);
}
