/* SPDX-License-Identifier: MIT */
#include "lsm/store/db.h"

enum { MANIFEST_BYTES_MAX = 4 << 20 };

/* Starts a new manifest that says `v` and `named`, and drops the one before. */
static int replace_manifest(struct lsm_db *db, const struct edit *e, struct version *v, const struct named_list *named)
{
	uint64_t number = new_number(db);
	struct manifest_state state = {
		.version = v,
		.first_segment = e->first_segment ? e->first_segment : db->first_segment,
		.last_sequence = e->last_sequence,
		.next_number = number + 1,
		.named = *named,
	};
	struct manifest *m = NULL, *old = db->manifest;
	char path[STORE_PATH_MAX];
	bool unknown;
	int rc = manifest_create(&db->tree, number, &state, &m, &unknown);

	if (rc)
		return unknown ? db_fail(db) : rc;
	db->manifest = m;
	atomic_store(&db->manifest_begun, number);
	if (old) {
		store_file_path(path, db->dir, STORE_MANIFEST, manifest_number(old));
		env_discard(db->env, path);
	}
	manifest_close(old);
	return LSM_OK;
}

/* Makes the edit, which leads to `v` and `named`, durable. manifest_lock. */
static int record(struct lsm_db *db, struct edit *e, struct version *v, const struct named_list *named)
{
	struct lsm_error first;
	int rc;

	if (e->last_sequence < atomic_load(&db->last_sequence)) /* a load's is not published yet */
		e->last_sequence = atomic_load(&db->last_sequence);
	e->next_number = atomic_load(&db->next_number);
	if (!db->manifest || manifest_bytes(db->manifest) > MANIFEST_BYTES_MAX)
		return replace_manifest(db, e, v, named);
	rc = manifest_append(db->manifest, e);
	if (!rc)
		return LSM_OK;
	if (manifest_unknown(db->manifest))
		return db_fail(db);
	/* The edit is known not to be there; the next one starts a new manifest. */
	first = *lsm_last_error();
	manifest_close(db->manifest);
	db->manifest = NULL;
	return status_adopt(&first);
}

static bool edit_adds(const struct edit *e, uint64_t number)
{
	for (size_t i = 0; i < e->added_n; i++) {
		if (e->added[i].number == number)
			return true;
	}
	return false;
}

static bool edit_removes(const struct edit *e, uint64_t number)
{
	for (size_t i = 0; i < e->removed_n; i++) {
		if (e->removed[i].number == number)
			return true;
	}
	return false;
}

/* Tables that left the version are deleted with their last reader; a table that only changed its level stays as it is. */
static void settle_tables(const struct edit *e, const struct version *before)
{
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < before->levels[l].n; i++) {
			struct table_meta *t = before->levels[l].tables[i];

			if (edit_removes(e, t->number) && !edit_adds(e, t->number)) {
				table_meta_count_live(t, -1);
				atomic_store(&t->obsolete, true);
			}
		}
	}
	for (size_t i = 0; i < e->added_n; i++) {
		if (!edit_removes(e, e->added[i].number))
			table_meta_count_live(e->added[i].table, 1);
	}
}

int install(struct lsm_db *db, struct edit *e, unsigned flushed_n)
{
	struct superversion *base, *sv = NULL, *now;
	struct version *v = NULL;
	int rc;

	mutex_lock(&db->manifest_lock);
	/* Only holders of this lock change the version and take memtables away; writers may add one meanwhile. */
	base = superversion_get(db);
	if (flushed_n)
		e->first_segment = memtable_first_segment(
			flushed_n < base->imm_n ? base->imm[base->imm_n - 1 - flushed_n] : base->mem);
	rc = version_apply(base->version, e, db->dir, &v);
	if (!rc)
		rc = record(db, e, v, &db->named);
	if (rc)
		goto out;
	if (e->first_segment)
		db->first_segment = e->first_segment;
	mutex_lock(&db->lock);
	now = atomic_load(&db->current);
	rc = superversion_new(now->mem, now->imm, now->imm_n - flushed_n, v, &sv);
	if (!rc) {
		settle_tables(e, base->version);
		count(db->flushes, flushed_n); /* whoever waits for the flush finds it counted */
		if (flushed_n)
			observe_since(db, LSM_HISTOGRAM_FLUSH, db->flush_start_ns);
		superversion_set(db, sv);
		read_totals(db, &db->version_seeks, &db->version_gets);
	}
	mutex_unlock(&db->lock);
	if (rc)
		rc = db_fail(db); /* the manifest has the edit and memory hasn't */
out:
	mutex_unlock(&db->manifest_lock);
	superversion_unref(base);
	version_unref(v);
	if (rc)
		return rc;
	superversion_collect(db);
	memtables_charge(db);
	direct_adjust(db);
	if (flushed_n)
		(void)wal_release(db->wal, e->first_segment); /* what stays is removed at the next open */
	return LSM_OK;
}

int install_named(struct lsm_db *db, struct edit *e)
{
	struct named_list next = { 0 }, before;
	struct superversion *base;
	int rc;

	mutex_lock(&db->manifest_lock);
	base = superversion_get(db);
	rc = named_apply(&db->named, &e->named_removed, &e->named_added, &next);
	if (!rc && next.n > LSM_SNAPSHOT_NAMES_MAX)
		rc = status_set(LSM_INVALID, 0, db->dir, 0, "%s has %d named snapshots, the most there can be", db->dir,
				LSM_SNAPSHOT_NAMES_MAX);
	if (!rc)
		rc = record(db, e, base->version, &next);
	if (!rc) {
		mutex_lock(&db->lock);
		before = db->named;
		db->named = next;
		mutex_unlock(&db->lock);
		next = before;
	}
	mutex_unlock(&db->manifest_lock);
	named_done(&next);
	superversion_unref(base);
	return rc;
}
