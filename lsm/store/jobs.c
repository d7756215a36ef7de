/* SPDX-License-Identifier: MIT */
/* One job: a flush's or a compaction's input, its build, and the edit that comes of it. */
#include <assert.h>
#include <stdlib.h>

#include "lsm/store/event.h"
#include "lsm/tree/covered.h"
#include "lsm/tree/merge_iter.h"

enum lsm_compression level_compression(const struct lsm_db *db, unsigned level, uint64_t level_bytes)
{
	enum { COLD_FACTOR = 8 };

	if (db->options.level_compression[level])
		return (enum lsm_compression)(db->options.level_compression[level] - 1);
	/* What is read seldom is worth being small. */
	return level_bytes / COLD_FACTOR >= db->options.memory_bytes ? LSM_COMPRESS_ZSTD : LSM_COMPRESS_LZ4;
}

static void compaction_wrote(void *ctx, uint64_t bytes)
{
	compact_pace(ctx, bytes);
}

void job_fill_input(struct lsm_db *db, struct build_input *in, const struct version *version, unsigned level)
{
	in->version = version;
	in->output_level = level;
	in->table.block_bytes = db->options.block_bytes;
	in->table.filter_bits = db->options.filter_bits;
	in->table.compression = level_compression(db, level, version->levels[level].bytes);
	in->blob_min_bytes = db->options.blob_min_bytes;
	in->blob_segment_bytes = atomic_load(&db->segment_bytes);
	in->new_number = new_number;
	in->ctx = db;
}

int job_add_dels(void *ctx, const struct range_dels *dels)
{
	return del_list_add(ctx, dels, slice_of(NULL, 0), slice_of(NULL, 0));
}

int job_add_outputs(struct edit *e, const struct build_output *out, unsigned level)
{
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < out->n; i++)
		rc = edit_add(e, level, out->tables[i]);
	return rc;
}

int job_build_memtable(struct lsm_db *db, const struct version *version, struct memtable *m,
		       void (*wrote)(void *ctx, uint64_t bytes), struct build_output *out, struct edit *e)
{
	struct build_input in = { .table_bytes_max = UINT64_MAX, .wrote = wrote };
	struct iter *points = NULL;
	struct del_list dels;
	uint64_t *snapshots = NULL;
	int rc;

	del_list_init(&dels);
	job_fill_input(db, &in, version, 0);
	rc = memtable_iter_new(m, &points);
	if (!rc)
		rc = memtable_each_range_dels(m, job_add_dels, &dels);
	if (!rc)
		rc = snapshots_list(db, &snapshots, &in.snapshots_n);
	if (!rc) {
		in.points = points;
		in.dels = dels.dels;
		in.dels_n = dels.n;
		in.snapshots = snapshots;
		rc = build_tables(&db->tree, &in, out);
	}
	/* The log that vouches for large values goes with the flush: they must be durable by then. */
	if (!rc)
		rc = direct_sync(db, true);
	if (!rc)
		rc = job_add_outputs(e, out, 0);
	iter_free(points);
	del_list_done(&dels);
	free(snapshots);
	return rc;
}

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
	*ret_n = garbage_select(&db->picker, s.list, s.n, atomic_load(&db->collect_all) > 0 || atomic_load(&db->short_of_space));
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

/* What of a job's inputs is read. */
struct sources {
	struct del_list dels;       /* the inputs' range tombstones */
	struct table_meta **tables; /* inputs that aren't wholly under them */
	size_t n, upper_n;          /* all, and those of the input level (the first ones) */
	struct iter *points;        /* their merge */
};

static int add_table_dels(struct lsm_db *db, const struct table_meta *t, struct del_list *dels)
{
	struct table_pin pin = { 0 };
	int rc;

	if (!t->props.range_deletes)
		return LSM_OK;
	rc = table_cache_get(db->tables, t->number, &pin);
	if (!rc && table_range_dels(pin.table))
		rc = job_add_dels(dels, table_range_dels(pin.table));
	table_cache_release(db->tables, &pin);
	return rc;
}

/* Leaves out what is wholly under the others' range tombstones: it would be dropped entry by entry. */
static int choose_tables(const struct job *j, const uint64_t *snapshots, size_t snapshots_n, struct sources *s)
{
	struct range_dels *dels = NULL;
	int rc = LSM_OK;

	s->tables = malloc(j->inputs_n * sizeof(struct table_meta *));
	if (!s->tables)
		return status_no_memory(j->inputs_n * sizeof(struct table_meta *));
	if (s->dels.n)
		rc = range_dels_new(s->dels.dels, s->dels.n, &dels);
	for (size_t i = 0; !rc && i < j->inputs_n; i++) {
		if (dels && table_is_covered(j->inputs[i], dels, snapshots, snapshots_n))
			continue;
		s->tables[s->n++] = j->inputs[i];
		s->upper_n += i < j->inputs_upper_n;
	}
	range_dels_free(dels);
	return rc;
}

/* Tables of level 0 overlap, each is a child; those of a deeper level follow one another. */
static int merge_tables(struct lsm_db *db, unsigned input_level, struct sources *s)
{
	struct merge_child *children = calloc(s->n + 1, sizeof(*children));
	size_t n = 0, at = 0;
	int rc = children ? LSM_OK : status_no_memory((s->n + 1) * sizeof(*children));

	while (!rc && at < s->n) {
		size_t end = at >= s->upper_n ? s->n : input_level ? s->upper_n : at + 1;

		rc = level_iter_new(&db->tree, s->tables + at, end - at, true, &children[n].it);
		n += !rc;
		at = end;
	}
	if (rc) {
		for (size_t i = 0; i < n; i++)
			iter_free(children[i].it);
	} else {
		rc = merge_iter_new(children, n, &s->points);
	}
	free(children);
	return rc;
}

static int sources_open(struct lsm_db *db, const struct job *j, const uint64_t *snapshots, size_t snapshots_n,
			struct sources *s)
{
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < j->inputs_n; i++)
		rc = add_table_dels(db, j->inputs[i], &s->dels);
	if (!rc)
		rc = choose_tables(j, snapshots, snapshots_n, s);
	return rc ? rc : merge_tables(db, j->input_level, s);
}

static void sources_close(struct sources *s)
{
	iter_free(s->points);
	free(s->tables);
	del_list_done(&s->dels);
}

static int edit_of_job(const struct job *j, const struct build_output *out, struct edit *e)
{
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < j->inputs_n; i++)
		rc = edit_remove(e, i < j->inputs_upper_n ? j->input_level : j->output_level, j->inputs[i]->number);
	if (!rc && j->move)
		rc = edit_add(e, j->output_level, j->inputs[0]);
	return rc ? rc : job_add_outputs(e, out, j->output_level);
}

/* The index of the first table of level 0 that is older than `t`, which is there. */
static size_t older_than(const struct level *l0, const struct table_meta *t)
{
	size_t i = 0;

	while (i < l0->n && l0->tables[i] != t)
		i++;
	assert(i < l0->n);
	return i + 1;
}

static int job_build(struct lsm_db *db, const struct job *j, struct version *version, struct build_output *out)
{
	struct build_input in = { .table_bytes_max = db->options.table_bytes,
				  .wrote = compaction_wrote,
				  .stop = &db->closing };
	struct sources s = { 0 };
	uint64_t *snapshots = NULL, *garbage = NULL;
	int rc;

	del_list_init(&s.dels);
	job_fill_input(db, &in, version, j->output_level);
	/* Rewritten in place, a table stays one: two of level 0 could not be told apart by age. */
	if (j->input_level == j->output_level)
		in.table_bytes_max = UINT64_MAX;
	if (j->output_level == 0)
		in.older_from = older_than(&version->levels[0], j->inputs[j->inputs_n - 1]);
	rc = snapshots_list(db, &snapshots, &in.snapshots_n);
	if (!rc)
		rc = collect_list(db, &garbage, &in.collect_n);
	if (!rc)
		rc = sources_open(db, j, snapshots, in.snapshots_n, &s);
	if (!rc) {
		in.points = s.points;
		in.dels = s.dels.dels;
		in.dels_n = s.dels.n;
		in.snapshots = snapshots;
		in.collect = garbage;
		rc = build_tables(&db->tree, &in, out);
	}
	sources_close(&s);
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
