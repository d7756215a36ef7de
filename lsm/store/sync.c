/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lsm/store/db.h"

/* ---- large values, written as they come ---- */

/* direct lock. */
static int add_unsynced(struct lsm_db *db, struct blob_segment *segment)
{
	struct blob_segment **p = realloc(db->unsynced, (db->unsynced_n + 1) * sizeof(*p));

	if (!p)
		return status_no_memory((db->unsynced_n + 1) * sizeof(*p));
	db->unsynced = p;
	segment_hold(segment);
	p[db->unsynced_n++] = segment;
	return LSM_OK;
}

/* The open direct segment, a new one if the last is full. direct lock. */
static int direct_open(struct lsm_db *db, struct blob_segment **ret)
{
	struct blob_segment *seg = db->direct_segment, *opened = NULL;
	int rc;

	if (seg && atomic_load(&seg->file_bytes) < atomic_load(&db->segment_bytes)) {
		*ret = seg;
		return LSM_OK;
	}
	rc = segment_create(db->segments, new_number(db), &opened);
	if (!rc)
		rc = add_unsynced(db, opened);
	if (rc) {
		segment_release(opened);
		return rc;
	}
	if (seg) {
		segment_seal(seg);
		segment_release(seg);
	}
	db->direct_segment = *ret = opened;
	return LSM_OK;
}

int direct_adopt(void *ctx, struct blob_segment *segment)
{
	struct lsm_db *db = ctx;
	int rc;

	mutex_lock(&db->direct);
	rc = add_unsynced(db, segment);
	mutex_unlock(&db->direct);
	return rc;
}

struct adding {
	struct lsm_db *db;
	struct garbage_sums sums;
};

static void add_segment(void *ctx, uint64_t number, uint64_t file_bytes, uint64_t live_bytes)
{
	struct adding *a = ctx;

	garbage_sums_add(&a->sums, &a->db->picker, &(struct segment_info){ number, file_bytes, live_bytes });
}

/* Large values take no memory but make a recovery longer: a memtable may refer to so many times its own size. */
enum { LARGE_BYTES_FACTOR = 16 };

void direct_adjust(struct lsm_db *db)
{
	struct adding a = { .db = db };
	struct garbage_limits limits;

	segments_each_sealed(db->segments, add_segment, &a);
	garbage_limits(&a.sums, db->options.memtable_bytes * LARGE_BYTES_FACTOR, &limits);
	atomic_store_explicit(&db->hold_bytes, limits.hold_bytes, memory_order_relaxed);
	atomic_store_explicit(&db->hold_bytes_max, limits.hold_bytes_max, memory_order_relaxed);
	atomic_store_explicit(&db->segment_bytes,
			      limits.segment_bytes < db->options.blob_segment_bytes ? limits.segment_bytes
										    : db->options.blob_segment_bytes,
			      memory_order_relaxed);
	atomic_store_explicit(&db->large_delay_ps, limits.delay_ps, memory_order_relaxed);
}

/* The collection has to keep up: large values don't weigh in the debt of the levels. */
static void direct_delay(struct lsm_db *db, uint64_t bytes)
{
	static _Thread_local uint64_t owed_ps;
	uint64_t each = atomic_load_explicit(&db->large_delay_ps, memory_order_relaxed), us;

	if (!each)
		return;
	owed_ps += bytes * each;
	us = owed_ps / 1000000;
	if (us < 500)
		return;
	owed_ps = 0;
	if (us > 50000)
		us = 50000;
	delay_count(db, us);
	db->env->ops->sleep_us(db->env, us);
}

int direct_add(struct lsm_db *db, struct lsm_slice value, struct blob_ptr *ret, struct blob_segment **ret_segment)
{
	struct blob_segment *seg;
	int rc = db_check_writable(db);

	if (!rc)
		rc = space_admit(db, value.size, 0);
	if (rc)
		return rc;
	direct_delay(db, value.size);
	mutex_lock(&db->direct);
	rc = direct_open(db, &seg);
	if (!rc)
		rc = segment_add(seg, value, ret);
	if (!rc) {
		segment_hold(seg);
		*ret_segment = seg;
	}
	mutex_unlock(&db->direct);
	return rc;
}

void direct_seal(struct lsm_db *db)
{
	struct blob_segment *seg;

	mutex_lock(&db->direct);
	seg = db->direct_segment;
	db->direct_segment = NULL;
	if (seg)
		segment_seal(seg);
	mutex_unlock(&db->direct);
	segment_release(seg);
}

/* A value is written before its log record, so the list holds the segments of all records that are in the log now. */
static int hold_unsynced(struct lsm_db *db, bool sealed_only, struct blob_segment ***ret, size_t *ret_n)
{
	struct blob_segment **list;
	size_t n = 0;

	mutex_lock(&db->direct);
	list = malloc((db->unsynced_n + 1) * sizeof(*list));
	for (size_t i = 0; list && i < db->unsynced_n; i++) {
		if (sealed_only && db->unsynced[i] == db->direct_segment)
			continue;
		list[n] = db->unsynced[i];
		segment_hold(list[n++]);
	}
	mutex_unlock(&db->direct);
	*ret = list;
	*ret_n = n;
	return list ? LSM_OK : status_no_memory(sizeof(*list));
}

/* The segment was synced: it leaves the list, unless it is open and more may come. */
static void forget_synced(struct lsm_db *db, struct blob_segment *seg)
{
	struct blob_segment *removed = NULL;

	mutex_lock(&db->direct);
	for (size_t i = 0; seg != db->direct_segment && !removed && i < db->unsynced_n; i++) {
		if (db->unsynced[i] == seg) {
			removed = seg;
			db->unsynced[i] = db->unsynced[--db->unsynced_n];
		}
	}
	mutex_unlock(&db->direct);
	segment_release(removed);
}

int direct_sync(struct lsm_db *db, bool sealed_only)
{
	struct blob_segment **list;
	size_t n;
	int rc = hold_unsynced(db, sealed_only, &list, &n);

	for (size_t i = 0; i < n; i++) {
		/* What was open when it was synced may have been sealed since with more in it: asked before. */
		bool sealed = atomic_load(&list[i]->sealed);

		if (!rc)
			rc = segment_sync(list[i]);
		if (!rc && sealed)
			forget_synced(db, list[i]);
		segment_release(list[i]);
	}
	free(list);
	/* The kernel may have dropped the pages and call them clean: a second try would lie. */
	return rc && rc != LSM_NO_MEMORY ? db_fail(db) : rc;
}

/* ---- sync ---- */

/* One round for everybody whose records are in the log by now: first what the log refers to, then the log. */
static int sync_round(struct lsm_db *db, uint64_t lsn)
{
	int rc = direct_sync(db, false);

	if (!rc)
		rc = wal_sync(db->wal, lsn);
	if (rc)
		return rc == LSM_NO_MEMORY ? rc : db_fail(db);
	count(db->syncs_done, 1);
	/* The mark is for a later recovery and need not be durable itself: acked_lsn stays before it. */
	mutex_lock(&db->commit);
	rc = wal_mark(db->wal, lsn);
	mutex_unlock(&db->commit);
	return rc;
}

/*
 * The last round served `served` threads, and others came meanwhile: as many will be back soon. A round that starts with
 * the first of them leaves the others to the next one, and each then waits for two.
 */
static void round_ended(struct lsm_db *db, unsigned served, uint64_t us)
{
	db->syncing = false;
	db->sync_expected = served + db->sync_waiting;
	db->sync_us = (3 * db->sync_us + us) / 4;
	cond_broadcast(&db->sync_done);
}

/* Runs a round for all who wait; the lock is held, and given up meanwhile. */
static int round_run(struct lsm_db *db)
{
	uint64_t start = env_now_us(db->env), target;
	unsigned served = db->sync_waiting;
	int rc;

	db->syncing = true;
	db->sync_rounds++;
	db->sync_waiting = 0;
	mutex_unlock(&db->sync);
	target = atomic_load_explicit(&db->acked_lsn, memory_order_acquire);
	rc = sync_round(db, target);
	mutex_lock(&db->sync);
	if (!rc)
		db->durable_lsn = target;
	round_ended(db, served, env_now_us(db->env) - start);
	return rc;
}

enum { PATIENCE_US_MAX = 1000 };

/* A round's time is what it may cost to wait for a thread that doesn't come back. */
static uint64_t patience_us(const struct lsm_db *db)
{
	return db->sync_us < PATIENCE_US_MAX ? db->sync_us : PATIENCE_US_MAX;
}

/*
 * Whoever completes the number of expected threads runs the round, so that none has to be woken for it; if they don't
 * come, the first one whose patience ends.
 */
int sync_to(struct lsm_db *db, uint64_t lsn)
{
	uint64_t round, patience, until = 0, start = env_now_ns(db->env);
	int rc = LSM_OK;

	count(db->syncs_asked, 1);
	mutex_lock(&db->sync);
	round = db->sync_rounds;
	db->sync_waiting++;
	while (!rc && db->durable_lsn < lsn) {
		if (atomic_load(&db->failed)) {
			rc = db_check_writable(db);
		} else if (db->syncing) {
			cond_wait(&db->sync_done, &db->sync);
			until = 0;
		} else if (db->sync_waiting >= db->sync_expected || (until && env_now_us(db->env) >= until)) {
			rc = round_run(db);
		} else {
			patience = patience_us(db);
			if (!until)
				until = env_now_us(db->env) + patience;
			cond_wait_us(&db->sync_done, &db->sync, patience + 1);
		}
	}
	if (round == db->sync_rounds)
		db->sync_waiting--; /* a round that was under way covered it */
	mutex_unlock(&db->sync);
	observe_since(db, LSM_HISTOGRAM_SYNC, start);
	return rc;
}

int lsm_sync(struct lsm_db *db)
{
	int rc = db_check_writable(db);

	return rc ? rc : sync_to(db, atomic_load_explicit(&db->acked_lsn, memory_order_acquire));
}
