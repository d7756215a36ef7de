/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lsm/store/event.h"
#include "lsm/tree/merge_iter.h"

/* ---- what flush and compaction have in common ---- */

static void fill_input(struct lsm_db *db, struct build_input *in, unsigned level)
{
	in->output_level = level;
	in->table.block_bytes = db->options.block_bytes;
	in->table.filter_bits = db->options.filter_bits;
	in->table.compression = (enum lsm_compression)(db->options.level_compression[level] - 1);
	in->blob_min_bytes = db->options.blob_min_bytes;
	in->blob_segment_bytes = atomic_load(&db->segment_bytes);
	in->new_number = new_number;
	in->ctx = db;
}

static int edit_add_outputs(struct edit *e, const struct build_output *out, unsigned level)
{
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < out->n; i++)
		rc = edit_add(e, level, out->tables[i]);
	return rc;
}

static void log_failure(struct lsm_db *db, const char *what, int rc)
{
	if (rc && !atomic_load(&db->closing))
		event_failure(db, what);
}

/* ---- flush ---- */

static int add_dels(void *ctx, const struct range_dels *dels)
{
	return del_list_add(ctx, dels, slice_of(NULL, 0), slice_of(NULL, 0));
}

/* Writes one memtable as a table of level 0. */
static int flush_memtable(struct lsm_db *db, struct superversion *sv, struct memtable *m)
{
	struct build_input in = { .version = sv->version, .table_bytes_max = UINT64_MAX };
	struct build_output out = { 0 };
	struct iter *points = NULL;
	struct del_list dels;
	struct edit e = { 0 };
	uint64_t *snapshots = NULL;
	int rc;

	db->flush_start_ns = env_now_ns(db->env);
	del_list_init(&dels);
	fill_input(db, &in, 0);
	rc = memtable_iter_new(m, &points);
	if (!rc)
		rc = memtable_each_range_dels(m, add_dels, &dels);
	if (!rc)
		rc = snapshots_list(db, &snapshots, &in.snapshots_n);
	if (rc)
		goto out;
	in.points = points;
	in.dels = dels.dels;
	in.dels_n = dels.n;
	in.snapshots = snapshots;
	rc = build_tables(&db->tree, &in, &out);
	/* The log that vouches for large values goes with the flush: they must be durable by then. */
	if (!rc)
		rc = direct_sync(db, true);
	if (!rc)
		rc = edit_add_outputs(&e, &out, 0);
	if (!rc) {
		count(db->flush_bytes_written, out.written_bytes);
		rc = install(db, &e, 1);
	}
	if (!rc)
		event_flush(db, m, &out);
out:
	edit_done(&e);
	build_output_done(&out, rc && !atomic_load(&db->failed));
	iter_free(points);
	del_list_done(&dels);
	free(snapshots);
	return rc;
}

/* What a memtable's tombstones may free is worth a flush when nothing else is going on. */
static bool worth_idle_flush(const struct superversion *sv)
{
	enum { WORTH_BYTES = 1 << 20 };
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

enum { IDLE_US = 5000000, RETRY_US = 1000000 };

/* What the flush thread remembers between two looks at an idle store. */
struct idle {
	uint64_t sequence;
	uint64_t since_us; /* the sequence number has not changed since */
};

static void idle_flush(struct lsm_db *db, struct idle *idle)
{
	uint64_t sequence = atomic_load(&db->last_sequence), now = env_now_us(db->env);
	struct superversion *sv;

	if (sequence != idle->sequence) {
		*idle = (struct idle){ sequence, now };
		return;
	}
	if (now - idle->since_us < IDLE_US)
		return;
	idle->since_us = now;
	sv = superversion_get(db);
	/* A writer that holds the lock may wait for a flush: for this thread. */
	if (!sv->imm_n && mutex_trylock(&db->commit)) {
		/* What large values have overwritten is garbage that nobody knows of, until they are flushed. */
		if (worth_idle_flush(sv) || (holds_blobs(sv->version) && db->mem_large_bytes))
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
				cond_wait_us(&db->work, &db->lock, RETRY_US);
			mutex_unlock(&db->lock);
			if (!atomic_load(&db->failed))
				idle_flush(db, &idle);
		}
	}
	events_tell(db, &told);
}

/* ---- compaction ---- */

struct infos {
	struct segment_info *list;
	size_t n, capacity;
};

static void add_info(void *ctx, uint64_t number, uint64_t file_bytes, uint64_t live_bytes)
{
	struct infos *s = ctx;

	/* More segments than were counted a moment ago: they will be seen next time. */
	if (s->n < s->capacity)
		s->list[s->n++] = (struct segment_info){ number, file_bytes, live_bytes };
}

int segment_infos(struct lsm_db *db, struct segment_info **ret, size_t *ret_n)
{
	struct segments_stats stats;
	struct infos s = { 0 };

	segments_get_stats(db->segments, &stats);
	s.capacity = stats.count + 8;
	s.list = malloc(s.capacity * sizeof(*s.list));
	if (!s.list)
		return status_no_memory(s.capacity * sizeof(*s.list));
	segments_each_sealed(db->segments, add_info, &s);
	*ret = s.list;
	*ret_n = garbage_select(&db->picker, s.list, s.n, atomic_load(&db->collect_all) > 0);
	return LSM_OK;
}

bool job_begin(struct lsm_db *db, const struct job *j)
{
	struct running_job *free_slot = NULL;
	struct lsm_slice begin, end;

	if (db->loading)
		return false;
	job_range(j, &begin, &end);
	for (size_t i = 0; i < JOBS_MAX; i++) {
		struct running_job *r = &db->running[i];

		if (!r->used)
			free_slot = r;
		/* The outputs of two jobs into one level must not overlap, even in the gaps between their inputs. */
		else if (r->output_level == j->output_level && slice_compare(begin, r->end) <= 0 &&
			 slice_compare(r->begin, end) <= 0)
			return false;
	}
	if (!free_slot)
		return false;
	*free_slot = (struct running_job){ true, j->output_level, begin, end };
	for (size_t i = 0; i < j->inputs_n; i++)
		j->inputs[i]->busy = true;
	db->jobs_running++;
	return true;
}

void job_end(struct lsm_db *db, const struct job *j, bool damaged)
{
	struct lsm_slice begin, end;

	job_range(j, &begin, &end);
	mutex_lock(&db->lock);
	for (size_t i = 0; i < JOBS_MAX; i++) {
		if (db->running[i].used && db->running[i].begin.data == begin.data &&
		    db->running[i].output_level == j->output_level)
			db->running[i].used = false;
	}
	for (size_t i = 0; i < j->inputs_n; i++)
		j->inputs[i]->busy = damaged;
	db->jobs_running--;
	cond_broadcast(&db->change);
	cond_broadcast(&db->work);
	mutex_unlock(&db->lock);
}

static int collect_list(struct lsm_db *db, uint64_t **ret, size_t *ret_n)
{
	struct segment_info *infos = NULL;
	uint64_t *list;
	size_t n = 0, kept = 0;
	int rc = segment_infos(db, &infos, &n);

	if (rc)
		return rc;
	list = malloc((n + 1) * sizeof(*list));
	if (!list)
		rc = status_no_memory((n + 1) * sizeof(*list));
	for (size_t i = 0; list && i < n; i++) {
		if (segment_is_garbage(&db->picker, &infos[i]))
			list[kept++] = infos[i].number;
	}
	free(infos);
	if (rc)
		return rc;
	/* Ascending, for the search. */
	for (size_t i = 1; i < kept; i++) {
		uint64_t v = list[i];
		size_t k = i;

		for (; k > 0 && list[k - 1] > v; k--)
			list[k] = list[k - 1];
		list[k] = v;
	}
	*ret = list;
	*ret_n = kept;
	return LSM_OK;
}

/* The merge of a job's inputs and all their range tombstones. */
static int open_inputs(struct lsm_db *db, const struct job *j, struct iter **ret_points, struct del_list *dels)
{
	struct merge_child *children = calloc(j->inputs_n, sizeof(*children));
	size_t n = 0;
	int rc = children ? LSM_OK : status_no_memory(j->inputs_n * sizeof(*children));

	for (size_t i = 0; !rc && i < j->inputs_n; i++) {
		struct table_pin pin = { 0 };

		if (j->inputs[i]->props.range_deletes) {
			rc = table_cache_get(db->tables, j->inputs[i]->number, &pin);
			if (!rc && table_range_dels(pin.table))
				rc = add_dels(dels, table_range_dels(pin.table));
			table_cache_release(db->tables, &pin);
		}
		/* Tables of level 0 overlap; those of the output level follow one another. */
		if (!rc && (j->input_level == 0 && i < j->inputs_upper_n)) {
			rc = level_iter_new(&db->tree, &j->inputs[i], 1, true, &children[n].it);
			n += !rc;
		}
	}
	if (!rc && j->input_level > 0) {
		rc = level_iter_new(&db->tree, j->inputs, j->inputs_upper_n, true, &children[n].it);
		n += !rc;
	}
	if (!rc && j->inputs_n > j->inputs_upper_n) {
		rc = level_iter_new(&db->tree, j->inputs + j->inputs_upper_n, j->inputs_n - j->inputs_upper_n, true,
				    &children[n].it);
		n += !rc;
	}
	if (rc) {
		for (size_t i = 0; i < n; i++)
			iter_free(children[i].it);
	} else {
		rc = merge_iter_new(children, n, ret_points);
	}
	free(children);
	return rc;
}

static int edit_of_job(const struct job *j, const struct build_output *out, struct edit *e)
{
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < j->inputs_n; i++)
		rc = edit_remove(e, i < j->inputs_upper_n ? j->input_level : j->output_level, j->inputs[i]->number);
	if (!rc && j->move)
		rc = edit_add(e, j->output_level, j->inputs[0]);
	return rc ? rc : edit_add_outputs(e, out, j->output_level);
}

static int job_build(struct lsm_db *db, const struct job *j, struct version *version, struct build_output *out)
{
	struct build_input in = { .version = version,
				  .table_bytes_max = db->options.table_bytes,
				  .stop = &db->closing };
	struct iter *points = NULL;
	struct del_list dels;
	uint64_t *snapshots = NULL, *garbage = NULL;
	int rc;

	del_list_init(&dels);
	fill_input(db, &in, j->output_level);
	/* Rewritten in place, a table stays one: two of level 0 could not be told apart by age. */
	if (j->input_level == j->output_level)
		in.table_bytes_max = UINT64_MAX;
	rc = snapshots_list(db, &snapshots, &in.snapshots_n);
	if (!rc)
		rc = collect_list(db, &garbage, &in.collect_n);
	if (!rc)
		rc = open_inputs(db, j, &points, &dels);
	if (!rc) {
		in.points = points;
		in.dels = dels.dels;
		in.dels_n = dels.n;
		in.snapshots = snapshots;
		in.collect = garbage;
		rc = build_tables(&db->tree, &in, out);
	}
	iter_free(points);
	del_list_done(&dels);
	free(snapshots);
	free(garbage);
	return rc;
}

static void count_job(struct lsm_db *db, const struct job *j, const struct build_output *out)
{
	uint64_t read = 0;

	if (j->move) {
		count(db->trivial_moves, 1);
		return;
	}
	for (size_t i = 0; i < j->inputs_n; i++)
		read += j->inputs[i]->props.file_bytes;
	count(db->compactions, 1);
	count(db->compact_bytes_read, read);
	count(db->compact_bytes_written, out->written_bytes);
	count(db->level_read[j->output_level], read);
	count(db->level_written[j->output_level], out->written_bytes);
}

int job_run(struct lsm_db *db, struct job *j, struct version *version)
{
	struct build_output out = { 0 };
	struct edit e = { 0 };
	uint64_t start = env_now_ns(db->env);
	int rc = LSM_OK;

	if (!j->move)
		rc = job_build(db, j, version, &out);
	if (!rc)
		rc = edit_of_job(j, &out, &e);
	if (!rc)
		rc = install(db, &e, 0);
	if (!rc)
		count_job(db, j, &out);
	if (!rc && !j->move)
		observe_since(db, LSM_HISTOGRAM_COMPACTION, start);
	if (!rc)
		event_job(db, j, &out, start);
	edit_done(&e);
	build_output_done(&out, rc && !atomic_load(&db->failed));
	return rc;
}

/* Picks and runs one job. False when there is none to do now. */
static bool compact_once(struct lsm_db *db)
{
	struct superversion *sv;
	struct segment_info *infos = NULL;
	struct job j = { 0 };
	bool found = false;
	char text[256];
	size_t n = 0;
	int rc = segment_infos(db, &infos, &n);

	mutex_lock(&db->lock);
	sv = atomic_load(&db->current);
	atomic_fetch_add_explicit(&sv->refs, 1, memory_order_relaxed);
	if (!rc)
		rc = pick_job(sv->version, &db->picker, infos, n, &j, &found);
	if (!rc && found && !job_begin(db, &j)) {
		job_done(&j);
		found = false;
	}
	mutex_unlock(&db->lock);
	free(infos);
	if (found) {
		job_to_text(&j, text, sizeof(text));
		rc = job_run(db, &j, sv->version);
		log_failure(db, text, rc);
		job_end(db, &j, rc == LSM_CORRUPT);
	}
	job_done(&j);
	superversion_unref(sv);
	superversion_collect(db);
	return found && !rc;
}

static void compact_thread(void *ctx)
{
	struct lsm_db *db = ctx;

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
