/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lsm/store/db.h"

int flush_wait(struct lsm_db *db, uint64_t first_segment)
{
	int rc = LSM_OK;

	mutex_lock(&db->lock);
	for (;;) {
		const struct superversion *sv = atomic_load(&db->current);
		bool waiting = false;

		for (unsigned i = 0; i < sv->imm_n; i++)
			waiting |= memtable_first_segment(sv->imm[i]) < first_segment;
		if (!waiting)
			break;
		if (atomic_load(&db->failed)) {
			rc = db_check_writable(db);
			break;
		}
		if (db->flush_failure.code) {
			rc = status_adopt(&db->flush_failure);
			break;
		}
		cond_wait_us(&db->change, &db->lock, 100000);
	}
	mutex_unlock(&db->lock);
	return rc;
}

int lsm_flush(struct lsm_db *db)
{
	uint64_t first_segment; /* of what is written after the call */
	int rc = db_check_writable(db);

	if (rc)
		return rc;
	mutex_lock(&db->commit);
	if (memtable_entries(db->mem) || memtable_range_deletes(db->mem))
		rc = memtable_switch(db, false);
	first_segment = memtable_first_segment(db->mem);
	mutex_unlock(&db->commit);
	return rc ? rc : flush_wait(db, first_segment);
}

/* ---- manual compaction ---- */

enum pick { PICK_LEVEL, PICK_GARBAGE };

struct manual {
	struct lsm_slice begin, end;
	unsigned level, deepest;
	struct buf cursor; /* in the deepest level: keys before it are done */
};

static int pick(struct lsm_db *db, enum pick what, const struct manual *m, const struct version *v, struct job *j,
		bool *ret_found, bool *ret_busy)
{
	struct lsm_slice begin = m->cursor.size ? buf_slice(&m->cursor) : m->begin;
	struct segment_info *infos;
	size_t n;
	int rc;

	if (what == PICK_LEVEL)
		return pick_manual(v, &db->picker, m->level, m->deepest, begin, m->end, j, ret_found, ret_busy);
	*ret_busy = false;
	rc = segment_infos(db, &infos, &n);
	if (rc)
		return rc;
	rc = pick_garbage(v, &db->picker, infos, n, j, ret_found);
	free(infos);
	return rc;
}

/* Runs one job of the kind, waiting for running ones that are in its way. *ret_done: there was none left. */
static int run_one(struct lsm_db *db, enum pick what, struct manual *m, bool *ret_done)
{
	struct superversion *sv;
	struct job j = { 0 };
	bool found = false, busy = false;
	int rc;

	*ret_done = false;
	mutex_lock(&db->lock);
	sv = atomic_load(&db->current);
	atomic_fetch_add_explicit(&sv->refs, 1, memory_order_relaxed);
	rc = pick(db, what, m, sv->version, &j, &found, &busy);
	if (!rc && found && !job_begin(db, &j)) {
		found = false;
		busy = true;
	}
	if (!rc && !found && busy) {
		if (atomic_load(&db->failed))
			rc = db_check_writable(db);
		else if (!db->jobs_running)
			rc = status_corrupt(db->dir, 0, "damaged tables of %s stay as they are", db->dir);
		else
			cond_wait_us(&db->change, &db->lock, 100000);
	}
	mutex_unlock(&db->lock);
	*ret_done = !rc && !found && !busy;
	if (!rc && found) {
		if (what == PICK_LEVEL && m->level == m->deepest) {
			buf_set(&m->cursor, table_largest(j.inputs[0]));
			buf_append(&m->cursor, "", 1); /* the next key there can be */
		}
		rc = m->cursor.failed ? status_no_memory(m->cursor.size) : job_run(db, &j, sv->version);
		job_end(db, &j, false);
	}
	job_done(&j);
	superversion_unref(sv);
	superversion_collect(db);
	return rc;
}

/* The deepest level that isn't empty; at least the one that level 0 is compacted into. */
static unsigned deepest_level(struct lsm_db *db)
{
	struct superversion *sv = superversion_get(db);
	struct shape shape;
	unsigned deepest;

	shape_of(sv->version, &db->picker, &shape);
	deepest = shape.l0_output;
	for (unsigned l = deepest; l < LSM_LEVELS; l++) {
		if (sv->version->levels[l].n)
			deepest = l;
	}
	superversion_unref(sv);
	return deepest;
}

int lsm_compact_range(struct lsm_db *db, struct lsm_slice begin, struct lsm_slice end)
{
	struct manual m = { .begin = begin, .end = end };
	int rc = lsm_flush(db);

	for (m.level = 0; !rc; m.level++) {
		unsigned deepest = deepest_level(db);

		/* Background compactions may go on meanwhile. */
		m.deepest = deepest > m.deepest ? deepest : m.deepest;
		if (m.level > m.deepest)
			break;
		for (bool done = false; !rc && !done;)
			rc = run_one(db, PICK_LEVEL, &m, &done);
	}
	atomic_fetch_add(&db->collect_all, 1);
	for (bool done = false; !rc && !done;)
		rc = run_one(db, PICK_GARBAGE, &m, &done);
	atomic_fetch_sub(&db->collect_all, 1);
	buf_free(&m.cursor);
	return rc;
}

/* ---- sizes ---- */

static int table_range_bytes(struct lsm_db *db, const struct table_meta *t, struct lsm_slice begin,
			     struct lsm_slice end, uint64_t *ret)
{
	struct table_pin pin = { 0 };
	struct buf key = { 0 };
	uint64_t low = 0, high = t->props.file_bytes;
	int rc;

	if ((begin.size && table_before_key(t, begin)) || (end.size && slice_compare(table_smallest(t), end) >= 0))
		return LSM_OK;
	rc = table_cache_get(db->tables, t->number, &pin);
	if (rc)
		return rc;
	if (begin.size) {
		buf_put_ikey(&key, begin, UINT64_MAX);
		low = table_offset_of(pin.table, buf_slice(&key));
	}
	buf_clear(&key);
	if (end.size && !table_before_key(t, end)) {
		buf_put_ikey(&key, end, UINT64_MAX);
		high = table_offset_of(pin.table, buf_slice(&key));
	}
	table_cache_release(db->tables, &pin);
	buf_free(&key);
	/* Large values in proportion. */
	if (high > low)
		*ret += (uint64_t)((double)table_total_bytes(t) * ((double)(high - low) / (double)t->props.file_bytes));
	return LSM_OK;
}

int lsm_approximate_size(struct lsm_db *db, struct lsm_slice begin, struct lsm_slice end, uint64_t *ret_bytes)
{
	struct superversion *sv = superversion_get(db);
	uint64_t bytes = memtable_range_bytes(sv->mem, begin, end);
	int rc = LSM_OK;

	for (unsigned i = 0; i < sv->imm_n; i++)
		bytes += memtable_range_bytes(sv->imm[i], begin, end);
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; !rc && i < sv->version->levels[l].n; i++)
			rc = table_range_bytes(db, sv->version->levels[l].tables[i], begin, end, &bytes);
	}
	superversion_unref(sv);
	if (!rc)
		*ret_bytes = bytes;
	return rc;
}
