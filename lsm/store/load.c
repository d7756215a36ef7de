/* SPDX-License-Identifier: MIT */
/* Tables that come without log and memtable: loads of sorted data, and large batches. */
#include "lsm/store/db.h"

int load_flush_rest(struct lsm_db *db)
{
	int rc = db_check_writable(db);

	if (!rc && !memtable_is_empty(db->mem))
		rc = memtable_switch(db, false);
	return rc ? rc : flush_wait(db, memtable_first_segment(db->mem));
}

void load_begin(struct lsm_db *db)
{
	db->loading = true;
	db->jobs_running++;
}

/*
 * A reader takes the superversion and then the last sequence number, both inside the epoch. Whoever took the old
 * superversion must not read at a number from which on the load is there: not at its own, and not at a later one, whose
 * writes he would see in the memtable.
 */
int load_install(struct lsm_db *db, struct edit *e)
{
	uint64_t sequence = e->last_sequence;
	int rc = install(db, e, 0);

	if (rc)
		return rc;
	epoch_synchronize(db->epoch);
	atomic_store_explicit(&db->last_sequence, sequence, memory_order_release);
	return LSM_OK;
}

void load_end(struct lsm_db *db)
{
	mutex_lock(&db->lock);
	db->loading = false;
	db->jobs_running--;
	cond_broadcast(&db->change);
	cond_broadcast(&db->work);
	mutex_unlock(&db->lock);
}

/* The batch in order, in a memtable that nobody else sees. */
static int sort_batch(struct lsm_db *db, const struct batch *batch, uint64_t sequence, struct memtable **ret)
{
	struct batch_reader ops;
	struct memtable *m = NULL;
	int rc = memtable_new(0, batch->ops.size, &m);

	if (rc)
		return rc;
	batch_reader_init_ops(&ops, batch);
	rc = memtable_apply(db, m, sequence, &ops);
	if (rc)
		memtable_unref(m);
	else
		*ret = m;
	return rc;
}

static int install_batch(struct lsm_db *db, struct memtable *m, uint64_t last_sequence)
{
	struct superversion *sv = superversion_get(db);
	struct build_output out = { 0 };
	struct edit e = { .last_sequence = last_sequence };
	int rc = job_build_memtable(db, sv->version, m, NULL, &out, &e);

	if (!rc)
		count(db->load_bytes_written, out.written_bytes);
	mutex_lock(&db->lock);
	load_begin(db);
	mutex_unlock(&db->lock);
	if (!rc)
		rc = load_install(db, &e);
	load_end(db);
	edit_done(&e);
	build_output_done(&out, rc && !atomic_load(&db->failed));
	superversion_unref(sv);
	return rc;
}

int load_batch(struct lsm_db *db, const struct batch *batch)
{
	uint64_t sequence = atomic_load_explicit(&db->last_sequence, memory_order_relaxed) + 1;
	struct memtable *m = NULL;
	int rc = load_flush_rest(db);

	if (!rc && sequence + batch->count > SEQUENCE_MAX)
		rc = status_set(LSM_INVALID, 0, db->dir, 0, "%s has used up its sequence numbers", db->dir);
	if (!rc)
		rc = sort_batch(db, batch, sequence, &m);
	if (rc)
		return rc;
	direct_seal(db); /* large values of the batch are synced with it */
	rc = install_batch(db, m, sequence + batch->count - 1);
	memtable_unref(m);
	return rc;
}
