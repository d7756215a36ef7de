/* SPDX-License-Identifier: MIT */
/* Tables wholly under a newer range tombstone leave the tree by an edit alone: nothing is read, nothing is written. */
#include <stdlib.h>

#include "lsm/store/event.h"
#include "lsm/tree/covered.h"

struct sweep {
	struct lsm_db *db;
	const struct version *version;
	uint64_t *snapshots;
	size_t snapshots_n;
	struct edit edit; /* removes the tables found */
	struct table_meta **found;
	size_t n;
	bool again; /* a snapshot, or a running job, keeps a table alive that is covered */
};

/* What a sweep depends on besides the tables; never 0. */
static uint64_t snapshots_mark(const struct sweep *s)
{
	uint64_t mark = s->snapshots_n + 1;

	for (size_t i = 0; i < s->snapshots_n; i++)
		mark = mark * 31 + s->snapshots[i];
	return mark && mark != SWEPT ? mark : 1;
}

/* A job may have taken it away, or down, since the sweep began. tree lock. */
static bool still_there(struct lsm_db *db, unsigned level, const struct table_meta *t)
{
	const struct level *l = &atomic_load(&db->current)->version->levels[level];

	for (size_t i = level ? level_find(l, table_smallest(t)) : 0; i < l->n; i++) {
		if (l->tables[i] == t)
			return true;
		if (level)
			break;
	}
	return false;
}

static int look_at(struct sweep *s, unsigned level, struct table_meta *t, const struct range_dels *dels)
{
	struct table_meta **p;
	int rc;

	if (!table_is_covered(t, dels, s->snapshots, s->snapshots_n)) {
		s->again |= table_is_covered(t, dels, NULL, 0);
		return LSM_OK;
	}
	for (size_t i = 0; i < s->n; i++) {
		if (s->found[i] == t)
			return LSM_OK;
	}
	mutex_lock(&s->db->lock);
	if (t->busy || !still_there(s->db, level, t)) {
		s->again |= t->busy;
		mutex_unlock(&s->db->lock);
		return LSM_OK;
	}
	p = realloc(s->found, (s->n + 1) * sizeof(*p));
	rc = p ? edit_remove(&s->edit, level, t->number) : status_no_memory((s->n + 1) * sizeof(*p));
	if (p)
		s->found = p;
	if (!rc) {
		s->db->jobs_running += !s->n; /* whoever meets a busy table waits for this sweep */
		t->busy = true;
		p[s->n++] = t;
	}
	mutex_unlock(&s->db->lock);
	return rc;
}

/* All tables below `by` (in level 0: older than it) that touch it. */
static int look_below(struct sweep *s, unsigned level, size_t at, const struct table_meta *by,
		      const struct range_dels *dels)
{
	const struct level *l0 = &s->version->levels[0];
	int rc = LSM_OK;

	for (size_t i = at + 1; !rc && level == 0 && i < l0->n; i++)
		rc = look_at(s, 0, l0->tables[i], dels);
	for (unsigned below = level + 1; !rc && below < LSM_LEVELS; below++) {
		const struct level *l = &s->version->levels[below];

		for (size_t i = level_find(l, table_smallest(by)); !rc && i < l->n; i++) {
			if (table_after_key(l->tables[i], table_largest(by)))
				break;
			rc = look_at(s, below, l->tables[i], dels);
		}
	}
	return rc;
}

static int sweep_by(struct sweep *s, unsigned level, size_t at, uint64_t mark)
{
	struct table_meta *by = s->version->levels[level].tables[at];
	struct table_pin pin = { 0 };
	uint64_t swept = atomic_load_explicit(&by->swept, memory_order_relaxed);
	int rc;

	if (!by->props.range_deletes || swept == SWEPT || swept == mark)
		return LSM_OK;
	s->again = false;
	/* One that can't be read keeps nobody from sweeping by the others; compactions and readers report it. */
	if (table_cache_get(s->db->tables, by->number, &pin)) {
		atomic_store_explicit(&by->swept, SWEPT, memory_order_relaxed);
		return LSM_OK;
	}
	rc = table_range_dels(pin.table) ? look_below(s, level, at, by, table_range_dels(pin.table)) : LSM_OK;
	table_cache_release(s->db->tables, &pin);
	atomic_store_explicit(&by->swept, s->again ? mark : SWEPT, memory_order_relaxed);
	return rc;
}

bool sweep_covered(struct lsm_db *db)
{
	struct superversion *sv = superversion_get(db);
	struct sweep s = { .db = db, .version = sv->version };
	/* After the version: later snapshots see all its tombstones. */
	int rc = snapshots_list(db, &s.snapshots, &s.snapshots_n);
	uint64_t mark = rc ? 0 : snapshots_mark(&s);

	for (unsigned level = 0; !rc && level < LSM_LEVELS; level++) {
		for (size_t i = 0; !rc && i < sv->version->levels[level].n; i++)
			rc = sweep_by(&s, level, i, mark);
	}
	if (s.n && !rc)
		rc = install(db, &s.edit, 0);
	if (s.n && !rc) {
		count(db->tables_dropped, s.n);
		event_drop(db, s.found, s.n);
	}
	/* What failed is tried again. */
	for (unsigned level = 0; rc && level < LSM_LEVELS; level++) {
		for (size_t i = 0; i < sv->version->levels[level].n; i++)
			atomic_store_explicit(&sv->version->levels[level].tables[i]->swept, 0, memory_order_relaxed);
	}
	mutex_lock(&db->lock);
	for (size_t i = 0; i < s.n; i++)
		s.found[i]->busy = false;
	if (s.n) {
		db->jobs_running--;
		cond_broadcast(&db->change);
		cond_broadcast(&db->work);
	}
	mutex_unlock(&db->lock);
	edit_done(&s.edit);
	free(s.found);
	free(s.snapshots);
	superversion_unref(sv);
	return s.n && !rc;
}
