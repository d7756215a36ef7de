/* SPDX-License-Identifier: MIT */
/*
 * The last of the disk is kept for what must go on when it is full: flushes of what was accepted already, and deletes,
 * with the log, the flushes and the compactions by which they free space. Writers learn of a full disk before that.
 */
#include <errno.h>

#include "lsm/store/db.h"

#define STEP_BYTES ((int64_t)8 << 20) /* so much may be written before the disk is asked again */
#define WORTH_BYTES ((uint64_t)1 << 20)

static uint64_t unflushed_bytes(struct lsm_db *db)
{
	struct superversion *sv = superversion_get(db);
	uint64_t bytes = memtable_bytes(sv->mem);

	for (unsigned i = 0; i < sv->imm_n; i++)
		bytes += memtable_bytes(sv->imm[i]);
	superversion_unref(sv);
	return bytes;
}

/* What is kept whatever memtables hold: two segments of the log, and a compaction's first outputs; little of a small disk. */
static uint64_t slack_bytes(const struct lsm_db *db, uint64_t total)
{
	uint64_t outputs = 2 * db->options.table_bytes;

	if (outputs > total / 16)
		outputs = total / 16;
	return 2 * db->wal_segment_bytes + outputs;
}

struct look {
	uint64_t free, kept, unflushed;
};

/* Asks the disk, and lets so much be written as is beyond what is kept. False: there is not room for `bytes`. */
static bool look(struct lsm_db *db, uint64_t bytes, struct look *ret)
{
	struct look l = { 0 };
	uint64_t total = 0;
	int64_t left = INT64_MAX;
	bool room = true;

	mutex_lock(&db->space);
	if (db->env->ops->space && !db->env->ops->space(db->env, db->dir, &l.free, &total)) {
		l.unflushed = unflushed_bytes(db);
		l.kept = slack_bytes(db, total);
		left = (int64_t)l.free - (int64_t)(l.kept + l.unflushed + bytes);
		room = left >= 0;
		if (left > STEP_BYTES)
			left = STEP_BYTES;
	}
	atomic_store_explicit(&db->space_left, room ? left : 0, memory_order_relaxed);
	atomic_store(&db->short_of_space, !room);
	mutex_unlock(&db->space);
	*ret = l;
	return room;
}

/* Flush and compactions free what is dead at once when the disk is full: worth a wait for who comes after deletes, once. */
static bool wait_for_frees(struct lsm_db *db, uint64_t bytes, struct look *l)
{
	enum { WAIT_US = 50000, WAITS = 40 };
	uint64_t frees = atomic_load(&db->frees);

	if (atomic_exchange(&db->frees_awaited, frees) == frees)
		return false;
	mutex_lock(&db->lock);
	cond_broadcast(&db->work);
	mutex_unlock(&db->lock);
	for (unsigned i = 0; i < WAITS && !atomic_load(&db->failed); i++) {
		db->env->ops->sleep_us(db->env, WAIT_US);
		if (look(db, bytes, l))
			return true;
	}
	return false;
}

static int refuse(struct lsm_db *db, const struct look *l)
{
	return status_set(
		LSM_NO_SPACE, ENOSPC, db->dir, 0,
		"the disk of %s is full: of %llu bytes that are free, %llu are kept for deletes and for what is in "
		"memory yet. Delete something, or make room on the disk",
		db->dir, (unsigned long long)l->free, (unsigned long long)(l->kept + l->unflushed));
}

int space_admit(struct lsm_db *db, uint64_t bytes, unsigned flags)
{
	struct look l;
	int rc;

	if (flags & LSM_WRITE_FREES) {
		atomic_fetch_add_explicit(&db->frees, 1, memory_order_relaxed);
		return LSM_OK;
	}
	if (atomic_fetch_sub_explicit(&db->space_left, (int64_t)bytes, memory_order_relaxed) >= (int64_t)bytes)
		return LSM_OK;
	if (look(db, bytes, &l))
		return LSM_OK;
	/* What memtables hold is kept room for, as they would be flushed without compression: flushed, it takes less. */
	if (l.unflushed >= WORTH_BYTES && l.free >= l.kept + bytes) {
		rc = lsm_flush(db);
		if (rc || look(db, bytes, &l))
			return rc;
	}
	return wait_for_frees(db, bytes, &l) ? LSM_OK : refuse(db, &l);
}

void space_watch(struct lsm_db *db)
{
	struct look l;

	/* Not for the next few bytes alone: a writer with more than those was refused, perhaps. */
	if (atomic_load(&db->short_of_space))
		(void)look(db, STEP_BYTES, &l);
}
