/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lsm/store/event.h"
#include "lsm/tree/merge_iter.h"

static void log_failure(struct lsm_db *db, const char *what, int rc)
{
	if (rc && !atomic_load(&db->closing))
		event_failure(db, what);
}

/* ---- flush ---- */

/* Writers go on during a flush and need log segments: a spare that they would have to make themselves is a long wait. */
static void flush_wrote(void *ctx, uint64_t bytes)
{
	struct lsm_db *db = ctx;

	(void)bytes;
	if (wal_wants_spare(db->wal))
		(void)wal_prepare(db->wal); /* writers meet the same error, and report it */
}

/* Writes one memtable as a table of level 0. */
static int flush_memtable(struct lsm_db *db, struct superversion *sv, struct memtable *m)
{
	struct build_output out = { 0 };
	struct edit e = { 0 };
	int rc;

	db->flush_start_ns = env_now_ns(db->env);
	rc = job_build_memtable(db, sv->version, m, flush_wrote, &out, &e);
	if (!rc) {
		count(db->flush_bytes_written, out.written_bytes);
		rc = install(db, &e, 1);
	}
	if (!rc)
		event_flush(db, m, &out);
	edit_done(&e);
	build_output_done(&out, rc && !atomic_load(&db->failed));
	return rc;
}

enum { WORTH_BYTES = 1 << 20 };

/* What a memtable's tombstones may free is worth a flush when nothing else is going on. */
static bool worth_idle_flush(const struct superversion *sv)
{
	uint64_t bytes = 0, entries = 1;

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < sv->version->levels[l].n; i++) {
			bytes += table_total_bytes(sv->version->levels[l].tables[i]);
			entries += sv->version->levels[l].tables[i]->props.entries;
		}
	}
	return bytes &&
	       (memtable_range_deletes(sv->mem) || memtable_deletes(sv->mem) * (bytes / entries + 1) >= WORTH_BYTES);
}

static bool holds_blobs(const struct version *v)
{
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < v->levels[l].n; i++) {
			if (v->levels[l].tables[i]->props.blob_refs_n)
				return true;
		}
	}
	return false;
}

/* What large values have overwritten is garbage that nobody knows of until they are flushed: in the tables, or, when those
 * have none, among the memtable's own. commit lock. */
static bool hides_garbage(const struct lsm_db *db, const struct superversion *sv)
{
	return db->mem_large_bytes >= WORTH_BYTES || (db->mem_large_bytes && holds_blobs(sv->version));
}

enum { IDLE_US = 5000000, RETRY_US = 1000000, SHORT_RETRY_US = 100000 };

/* What the flush thread remembers between two looks at an idle store. */
struct idle {
	uint64_t sequence;
	uint64_t since_us; /* the sequence number has not changed since */
};

static void idle_flush(struct lsm_db *db, struct idle *idle)
{
	uint64_t sequence = atomic_load(&db->last_sequence), now = env_now_us(db->env);
	struct superversion *sv;

	if (!atomic_load(&db->short_of_space)) {
		if (sequence != idle->sequence) {
			*idle = (struct idle){ sequence, now };
			return;
		}
		if (now - idle->since_us < IDLE_US)
			return;
	}
	idle->since_us = now;
	sv = superversion_get(db);
	/* A writer that holds the lock may wait for a flush: for this thread. */
	if (!sv->imm_n && mutex_trylock(&db->commit)) {
		if (worth_idle_flush(sv) || hides_garbage(db, sv))
			(void)memtable_switch(db, true); /* what fails now is tried again after the next pause */
		mutex_unlock(&db->commit);
	}
	superversion_unref(sv);
}

/* Flushes the oldest memtable in line. */
static int flush_once(struct lsm_db *db)
{
	struct superversion *sv = superversion_get(db);
	int rc = LSM_OK;

	flush_begins(db);
	if (sv->imm_n)
		rc = flush_memtable(db, sv, sv->imm[sv->imm_n - 1]);
	log_failure(db, "flush", rc);
	mutex_lock(&db->lock);
	if (rc)
		db->flush_failure = *lsm_last_error();
	else
		db->flush_failure.code = LSM_OK;
	cond_broadcast(&db->change);
	mutex_unlock(&db->lock);
	flush_ended(db, !rc);
	superversion_unref(sv);
	superversion_collect(db);
	return rc;
}

static void flush_thread(void *ctx)
{
	struct lsm_db *db = ctx;
	struct idle idle = { 0 };
	struct told told = { .manifest = counted(db->manifest_begun) };

	while (!atomic_load(&db->closing)) {
		bool waiting, wait = true;

		events_tell(db, &told);
		mutex_lock(&db->lock);
		waiting = atomic_load(&db->current)->imm_n > 0 && !atomic_load(&db->failed);
		mutex_unlock(&db->lock);
		if (waiting)
			wait = flush_once(db) != LSM_OK;
		else if (wal_wants_spare(db->wal))
			(void)wal_prepare(db->wal); /* writers meet the same error, and report it */
		if (wait) {
			mutex_lock(&db->lock);
			waiting = !waiting && atomic_load(&db->current)->imm_n > 0 && !atomic_load(&db->failed);
			if (!waiting && !atomic_load(&db->closing))
				cond_wait_us(&db->work, &db->lock,
					     atomic_load(&db->short_of_space) ? SHORT_RETRY_US : RETRY_US);
			mutex_unlock(&db->lock);
			space_watch(db);
			if (!atomic_load(&db->failed))
				idle_flush(db, &idle);
		}
	}
	events_tell(db, &told);
}

/* ---- compaction ---- */

/* Writers and readers, and the flush, come first where processors are scarce; what that leaves undone is debt, which
 * slows the writers down. */
enum { COMPACT_NICE = 5 };

/* pick_job(), or when nothing is due, what readers pay for. tree lock. */
static int pick(struct lsm_db *db, const struct version *v, const struct segment_info *infos, size_t n, struct job *ret,
		bool *ret_found)
{
	uint64_t seeks, gets;
	int rc = pick_job(v, &db->picker, infos, n, ret, ret_found);

	if (rc || *ret_found)
		return rc;
	read_totals(db, &seeks, &gets);
	return pick_reads(v, &db->picker, seeks - db->version_seeks, gets - db->version_gets, ret, ret_found);
}

/* Picks and runs one job. False when there is none to do now. Holds a version and no superversion: memtables that are
 * flushed meanwhile go at once. */
static bool compact_once(struct lsm_db *db)
{
	struct version *v;
	struct segment_info *infos = NULL;
	struct job j = { 0 };
	bool found = false;
	char text[256];
	size_t n = 0;
	int rc;

	if (sweep_covered(db))
		return true;
	rc = segment_infos(db, &infos, &n);
	mutex_lock(&db->lock);
	v = atomic_load(&db->current)->version;
	version_ref(v);
	if (!rc)
		rc = pick(db, v, infos, n, &j, &found);
	if (!rc && found && !job_begin(db, &j)) {
		job_done(&j);
		found = false;
	}
	mutex_unlock(&db->lock);
	free(infos);
	if (found) {
		job_to_text(&j, text, sizeof(text));
		rc = job_run(db, &j, v);
		log_failure(db, text, rc);
		job_end(db, &j, rc == LSM_CORRUPT);
	}
	job_done(&j);
	version_unref(v);
	superversion_collect(db);
	return found && !rc;
}

static void compact_thread(void *ctx)
{
	struct lsm_db *db = ctx;

	db->env->ops->thread_nice(db->env, COMPACT_NICE);
	while (!atomic_load(&db->closing)) {
		bool more = !atomic_load(&db->failed) && compact_once(db);

		if (more)
			continue;
		mutex_lock(&db->lock);
		if (!atomic_load(&db->closing))
			cond_wait_us(&db->work, &db->lock, RETRY_US);
		mutex_unlock(&db->lock);
	}
}

int background_start(struct lsm_db *db)
{
	int rc = db->env->ops->thread_start(db->env, "lsm-flush", flush_thread, db, &db->threads[0]);

	if (!rc)
		db->threads_n = 1;
	for (uint32_t i = 0; !rc && i < db->options.threads; i++) {
		rc = db->env->ops->thread_start(db->env, "lsm-compact", compact_thread, db,
						&db->threads[db->threads_n]);
		if (!rc)
			db->threads_n++;
	}
	return rc;
}

void background_stop(struct lsm_db *db)
{
	mutex_lock(&db->lock);
	atomic_store(&db->closing, true);
	cond_broadcast(&db->work);
	cond_broadcast(&db->change);
	mutex_unlock(&db->lock);
	while (db->threads_n)
		db->env->ops->thread_join(db->env, db->threads[--db->threads_n]);
}
