/* SPDX-License-Identifier: MIT */
#include "lsm/tree/picker.h"

#include <stdio.h>
#include <stdlib.h>

#include "lsm/format/header.h"

/* What a file of nothing but live values has beside them must not count: its collection would never come to an end. Of
 * the smallest values there are, headers and checksums take less than a quarter; the file's own header comes on top. */
bool segment_is_garbage(const struct picker_options *o, const struct segment_info *s)
{
	uint64_t used = s->live_bytes + FILE_HEADER_BYTES;

	return used < s->file_bytes && (double)(s->file_bytes - used) > o->garbage_max * (double)s->file_bytes;
}

void job_done(struct job *j)
{
	free(j->inputs);
	*j = (struct job){ 0 };
}

static int job_add(struct job *j, struct table_meta *t)
{
	struct table_meta **p = realloc(j->inputs, (j->inputs_n + 1) * sizeof(*p));

	if (!p)
		return status_no_memory((j->inputs_n + 1) * sizeof(*p));
	j->inputs = p;
	p[j->inputs_n++] = t;
	return LSM_OK;
}

static bool any_busy(const struct job *j)
{
	for (size_t i = 0; i < j->inputs_n; i++) {
		if (j->inputs[i]->busy)
			return true;
	}
	return false;
}

/* The range of user keys from the smallest to the largest of the inputs. */
void job_range(const struct job *j, struct lsm_slice *ret_begin, struct lsm_slice *ret_end)
{
	*ret_begin = table_smallest(j->inputs[0]);
	*ret_end = table_largest(j->inputs[0]);
	for (size_t i = 1; i < j->inputs_n; i++) {
		struct lsm_slice b = table_smallest(j->inputs[i]), e = table_largest(j->inputs[i]);

		if (slice_compare(b, *ret_begin) < 0)
			*ret_begin = b;
		if (slice_compare(e, *ret_end) > 0)
			*ret_end = e;
	}
}

/* Adds the tables of the output level that touch the inputs; decides whether the job is a mere move. */
static int add_lower(const struct version *v, struct job *j)
{
	const struct level *l = &v->levels[j->output_level];
	struct lsm_slice begin, end;
	int rc = LSM_OK;

	j->inputs_upper_n = j->inputs_n;
	job_range(j, &begin, &end);
	for (size_t i = level_find(l, begin); !rc && i < l->n && !table_after_key(l->tables[i], end); i++)
		rc = job_add(j, l->tables[i]);
	j->move = j->inputs_upper_n == 1 && j->inputs_n == 1;
	return rc;
}

/*
 * A table of level 0 that touches no other of its level and none below can go down as it is; but not beside a running
 * compaction of level 0, whose output may span it.
 */
static struct table_meta *movable_l0(const struct version *v, unsigned output_level)
{
	const struct level *lower = &v->levels[output_level];
	const struct level *l0 = &v->levels[0];

	for (size_t i = 0; i < l0->n; i++) {
		if (l0->tables[i]->busy)
			return NULL;
	}
	for (size_t i = l0->n; i-- > 0;) {
		struct table_meta *t = l0->tables[i];
		bool alone = true;

		for (size_t k = 0; alone && k < l0->n; k++)
			alone = k == i || table_before_key(l0->tables[k], table_smallest(t)) ||
				table_after_key(l0->tables[k], table_largest(t));
		if (alone) {
			size_t below = level_find(lower, table_smallest(t));

			if (below == lower->n || table_after_key(lower->tables[below], table_largest(t)))
				return t;
		}
	}
	return NULL;
}

static int pick_level0(const struct version *v, const struct shape *s, struct job *j, bool *ret_found)
{
	struct table_meta *t = movable_l0(v, s->l0_output);
	int rc = LSM_OK;

	j->reason = JOB_LEVEL0;
	j->input_level = 0;
	j->output_level = s->l0_output;
	if (t) {
		rc = job_add(j, t);
	} else {
		for (size_t i = 0; !rc && i < v->levels[0].n; i++)
			rc = job_add(j, v->levels[0].tables[i]);
	}
	if (!rc && j->inputs_n)
		rc = add_lower(v, j);
	*ret_found = !rc && j->inputs_n && !any_busy(j);
	return rc;
}

/* Only neighbours in age may become one table: nothing that stays may be newer than one of them and older than another. */
static bool is_next_older(const struct table_meta *newer, const struct table_meta *older)
{
	return older->props.sequence_max < newer->props.sequence_min;
}

/* How many tables of level 0, from `first` on, are similar in size and neighbours in age; none of them busy. */
static size_t run_length(const struct level *l0, size_t first)
{
	enum { SIMILAR_FACTOR = 2 }; /* none is larger than so many times the average of the newer ones */
	uint64_t bytes = 0;
	size_t n = 0;

	for (size_t i = first; i < l0->n && !l0->tables[i]->busy; i++, n++) {
		if (n && (!is_next_older(l0->tables[i - 1], l0->tables[i]) ||
			  l0->tables[i]->props.file_bytes > SIMILAR_FACTOR * (bytes / n + 1)))
			break;
		bytes += l0->tables[i]->props.file_bytes;
	}
	return n;
}

static int pick_runs(const struct version *v, const struct picker_options *o, const struct shape *s, struct job *j,
		     bool *ret_found)
{
	const struct level *l0 = &v->levels[0];
	int rc = LSM_OK;

	if (movable_l0(v, s->l0_output) || (l0->n >= o->tiered_runs && l0->bytes >= v->levels[LSM_LEVELS - 1].bytes)) {
		rc = pick_level0(v, s, j, ret_found);
		if (rc || *ret_found)
			return rc;
		job_done(j);
	}
	for (size_t first = 0; first < l0->n; first++) {
		size_t n = run_length(l0, first);

		if (n < o->tiered_runs || (first && !is_next_older(l0->tables[first - 1], l0->tables[first])) ||
		    (first + n < l0->n && !is_next_older(l0->tables[first + n - 1], l0->tables[first + n])))
			continue;
		*j = (struct job){ .reason = JOB_RUNS, .inputs_upper_n = n };
		for (size_t i = first; !rc && i < first + n; i++)
			rc = job_add(j, l0->tables[i]);
		*ret_found = !rc;
		break;
	}
	return rc;
}

static uint64_t lower_bytes(const struct version *v, unsigned level, const struct table_meta *t, bool *ret_busy)
{
	const struct level *l = &v->levels[level];
	uint64_t bytes = 0;

	for (size_t i = level_find(l, table_smallest(t)); i < l->n && !table_after_key(l->tables[i], table_largest(t));
	     i++) {
		bytes += l->tables[i]->props.file_bytes;
		*ret_busy |= l->tables[i]->busy;
	}
	return bytes;
}

static int job_of_table(const struct version *v, unsigned level, struct table_meta *t, enum job_reason reason,
			struct job *j, bool *ret_found)
{
	int rc;

	j->reason = reason;
	j->input_level = level;
	j->output_level = level + 1;
	rc = job_add(j, t);
	if (!rc)
		rc = add_lower(v, j);
	*ret_found = !rc && !any_busy(j);
	return rc;
}

/* The table whose move down rewrites the least below it, for its size. */
static int pick_size(const struct version *v, unsigned level, struct job *j, bool *ret_found)
{
	const struct level *l = &v->levels[level];
	struct table_meta *best = NULL;
	double best_ratio = 0;

	for (size_t i = 0; i < l->n; i++) {
		bool busy = l->tables[i]->busy;
		double ratio = (double)lower_bytes(v, level + 1, l->tables[i], &busy) /
			       (double)(l->tables[i]->props.file_bytes + 1);

		if (!busy && (!best || ratio < best_ratio)) {
			best = l->tables[i];
			best_ratio = ratio;
		}
	}
	if (!best)
		return LSM_OK;
	return job_of_table(v, level, best, JOB_SIZE, j, ret_found);
}

/*
 * How far a level is beyond its limit; below 1: it isn't. What is about to come down from above counts as room: a small
 * level under a full one is not emptied for the sake of what it is going to get.
 */
static double score(const struct version *v, const struct picker_options *o, const struct shape *s, unsigned level)
{
	uint64_t above = 0, small = o->level_base_bytes / o->level_ratio;
	double own;

	if (level == 0) {
		if (v->levels[0].n && movable_l0(v, s->l0_output))
			return 1;
		return (double)v->levels[0].n / o->l0_tables;
	}
	if (level == LSM_LEVELS - 1 || v->levels[level].bytes <= s->targets[level])
		return 0;
	/* A level that is to be empty goes down by mere moves once the next one has made room. */
	if (level < s->base && level + 1 < LSM_LEVELS - 1 && v->levels[level + 1].bytes > s->targets[level + 1])
		return 0;
	if (v->levels[0].n >= o->l0_tables && level == s->l0_output)
		above = v->levels[0].bytes;
	for (unsigned l = 1; l < level; l++) {
		if (v->levels[l].bytes > s->targets[l])
			above += v->levels[l].bytes - s->targets[l];
	}
	own = (double)v->levels[level].bytes /
	      (double)((s->targets[level] > small ? s->targets[level] : small) + above);
	/* Also when there is nothing else to do. */
	return own > 1 ? own : 1;
}

/* What a tombstone frees, on average: bytes of table and blobs for each entry of the store. */
static double bytes_per_entry(const struct version *v)
{
	uint64_t bytes = 0, entries = 1;

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < v->levels[l].n; i++) {
			bytes += table_total_bytes(v->levels[l].tables[i]);
			entries += v->levels[l].tables[i]->props.entries - v->levels[l].tables[i]->props.deletes;
		}
	}
	return (double)bytes / (double)entries;
}

/* A range tombstone's worth is unknown: it counts as much, since it was written to drop much. */
enum { RANGE_DELETE_WORTH_BYTES = 1 << 20 };

/* Level 0 is taken as a whole: its tables overlap. */
static int pick_tombstones(const struct version *v, const struct shape *s, struct job *j, bool *ret_found)
{
	double each = bytes_per_entry(v), l0_worth = 0, l0_cost = 0;

	for (size_t i = 0; i < v->levels[0].n; i++) {
		const struct table_meta *t = v->levels[0].tables[i];
		bool busy = false;

		l0_worth += (double)t->props.deletes * each + (double)t->props.range_deletes * RANGE_DELETE_WORTH_BYTES;
		l0_cost += (double)(t->props.file_bytes + lower_bytes(v, s->l0_output, t, &busy));
	}
	if (l0_worth > 0 && l0_worth >= l0_cost / 2)
		return pick_level0(v, s, j, ret_found);
	for (unsigned level = 1; level + 1 < LSM_LEVELS; level++) {
		const struct level *l = &v->levels[level];

		for (size_t i = 0; i < l->n; i++) {
			struct table_meta *t = l->tables[i];
			bool busy = t->busy;
			double worth = (double)t->props.deletes * each +
				       (double)t->props.range_deletes * RANGE_DELETE_WORTH_BYTES;
			double cost = (double)(t->props.file_bytes + lower_bytes(v, level + 1, t, &busy));

			if (!busy && worth > 0 && worth >= cost / 2 &&
			    version_overlaps(v, level + 1, table_smallest(t), table_largest(t)))
				return job_of_table(v, level, t, JOB_TOMBSTONES, j, ret_found);
		}
	}
	return LSM_OK;
}

/* Bytes of large values that the table refers to. */
static uint64_t blob_bytes(const struct table_meta *t)
{
	return table_total_bytes(t) - t->props.file_bytes;
}

/* What a table hides of large values below it, at most. */
static uint64_t hidden_bytes(const struct version *v, unsigned lower, const struct table_meta *t)
{
	const struct level *l = &v->levels[lower];
	uint64_t bytes = 0, own = blob_bytes(t);

	for (size_t i = level_find(l, table_smallest(t));
	     own && i < l->n && !table_after_key(l->tables[i], table_largest(t)); i++)
		bytes += blob_bytes(l->tables[i]);
	return bytes < own ? bytes : own;
}

/*
 * What new pointers to large values hide in the levels below is garbage that nobody knows of before they meet. Their tables
 * are small beside what they refer to: a level is compacted when it may hide a HIDDEN_SHARE of all large values, if
 * that rewrites less than a sixteenth of what it may free.
 */
enum { HIDDEN_SHARE = 32, HIDDEN_WORTH = 16 };

static int pick_overwritten(const struct version *v, const struct shape *s, struct job *j, bool *ret_found)
{
	uint64_t all = 0;

	for (unsigned level = 0; level < LSM_LEVELS; level++) {
		for (size_t i = 0; i < v->levels[level].n; i++)
			all += blob_bytes(v->levels[level].tables[i]);
	}
	for (unsigned level = 0; all && level + 1 < LSM_LEVELS; level++) {
		const struct level *l = &v->levels[level];
		uint64_t hidden = 0, cost = 0, best_bytes = 0;
		unsigned below = level ? level + 1 : s->l0_output;
		struct table_meta *best = NULL;

		for (size_t i = 0; i < l->n; i++) {
			bool busy = l->tables[i]->busy;
			/* The tables of level 0 hide one another, too, all but the oldest. */
			uint64_t bytes = level || i + 1 == l->n ? hidden_bytes(v, below, l->tables[i])
								: blob_bytes(l->tables[i]);
			uint64_t each = l->tables[i]->props.file_bytes + lower_bytes(v, below, l->tables[i], &busy);

			hidden += bytes;
			cost += each;
			if (!busy && bytes > best_bytes && bytes / HIDDEN_WORTH >= each) {
				best = l->tables[i];
				best_bytes = bytes;
			}
		}
		if (hidden < all / HIDDEN_SHARE || !hidden)
			continue;
		if (!level && hidden / HIDDEN_WORTH >= cost)
			return pick_level0(v, s, j, ret_found);
		if (level && best)
			return job_of_table(v, level, best, JOB_GARBAGE, j, ret_found);
	}
	return LSM_OK;
}

static uint64_t bytes_in(const struct table_meta *t, uint64_t segment)
{
	for (size_t i = 0; i < t->props.blob_refs_n; i++) {
		if (t->props.blob_refs[i].segment == segment)
			return t->props.blob_refs[i].bytes;
	}
	return 0;
}

/* The table that holds most of what is still alive in a segment full of garbage is rewritten, until none does. */
int pick_garbage(const struct version *v, const struct picker_options *o, const struct segment_info *segments, size_t n,
		 struct job *ret, bool *ret_found)
{
	struct table_meta *best = NULL;
	uint64_t best_bytes = 0;
	unsigned best_level = 0;

	for (size_t s = 0; s < n; s++) {
		if (!segment_is_garbage(o, &segments[s]))
			continue;
		for (unsigned level = 0; level < LSM_LEVELS; level++) {
			for (size_t i = 0; i < v->levels[level].n; i++) {
				struct table_meta *t = v->levels[level].tables[i];
				uint64_t bytes = t->busy ? 0 : bytes_in(t, segments[s].number);

				if (bytes > best_bytes) {
					best = t;
					best_bytes = bytes;
					best_level = level;
				}
			}
		}
	}
	*ret_found = best != NULL;
	if (!best)
		return LSM_OK;
	*ret = (struct job){
		.reason = JOB_GARBAGE, .input_level = best_level, .output_level = best_level, .inputs_upper_n = 1
	};
	return job_add(ret, best);
}

int pick_job(const struct version *v, const struct picker_options *o, const struct segment_info *segments, size_t n,
	     struct job *ret, bool *ret_found)
{
	bool tried[LSM_LEVELS] = { false };
	struct job j = { 0 };
	struct shape shape;
	bool found = false;
	int rc = LSM_OK;

	shape_of(v, o, &shape);
	if (o->tiered_runs) {
		tried[0] = true;
		rc = pick_runs(v, o, &shape, &j, &found);
	}
	/* The level furthest beyond its limit first; where its tables are busy, the next. */
	while (!rc && !found) {
		unsigned best = LSM_LEVELS;
		double best_score = 1;

		for (unsigned level = 0; level < LSM_LEVELS; level++) {
			double s = tried[level] ? 0 : score(v, o, &shape, level);

			if (s > best_score || (s == best_score && best == LSM_LEVELS)) {
				best = level;
				best_score = s;
			}
		}
		if (best == LSM_LEVELS)
			break;
		tried[best] = true;
		job_done(&j);
		rc = best ? pick_size(v, best, &j, &found) : pick_level0(v, &shape, &j, &found);
	}
	if (!rc && !found) {
		job_done(&j);
		rc = pick_tombstones(v, &shape, &j, &found);
	}
	if (!rc && !found) {
		job_done(&j);
		rc = pick_overwritten(v, &shape, &j, &found);
	}
	if (!rc && !found) {
		job_done(&j);
		rc = pick_garbage(v, o, segments, n, &j, &found);
	}
	if (rc || !found) {
		job_done(&j);
		*ret_found = false;
		return rc;
	}
	*ret = j;
	*ret_found = true;
	return LSM_OK;
}

/* What a table of level 0 adds to a seek and to a get, what a compaction costs, and each byte that it rewrites: measured. */
enum { READS_SEEK_NS = 2000, READS_GET_NS = 100, READS_JOB_NS = 10000000, READS_BYTE_NS = 6 };

int pick_reads(const struct version *v, const struct picker_options *o, uint64_t seeks, uint64_t gets, struct job *ret,
	       bool *ret_found)
{
	uint64_t spent = v->levels[0].n * (seeks * READS_SEEK_NS + gets * READS_GET_NS), bytes = 0;
	struct job j = { 0 };
	struct shape shape;
	bool found = false;
	int rc;

	*ret_found = false;
	if (!v->levels[0].n || o->tiered_runs)
		return LSM_OK;
	shape_of(v, o, &shape);
	rc = pick_level0(v, &shape, &j, &found);
	for (size_t i = 0; i < j.inputs_n; i++)
		bytes += j.inputs[i]->props.file_bytes;
	if (rc || !found || spent < READS_JOB_NS + bytes * READS_BYTE_NS) {
		job_done(&j);
		return rc;
	}
	j.reason = JOB_READS;
	*ret = j;
	*ret_found = true;
	return LSM_OK;
}

int pick_manual(const struct version *v, const struct picker_options *o, unsigned level, unsigned deepest,
		struct lsm_slice begin, struct lsm_slice end, struct job *ret, bool *ret_found, bool *ret_busy)
{
	const struct level *l = &v->levels[level];
	struct shape shape;
	struct job j = { .reason = JOB_MANUAL,
			 .input_level = level,
			 .output_level = level < deepest ? level + 1 : level };
	int rc = LSM_OK;

	*ret_found = *ret_busy = false;
	shape_of(v, o, &shape);
	if (!level)
		j.output_level = shape.l0_output;
	/* Rewritten in place, tables are taken one by one: an output must not span those that lie between. */
	for (size_t i = 0; !rc && i < l->n && !(level == deepest && j.inputs_n); i++) {
		const struct table_meta *t = l->tables[i];

		if ((begin.size && table_before_key(t, begin)) ||
		    (end.size && slice_compare(table_smallest(t), end) >= 0) ||
		    (level == deepest && !t->props.deletes && !t->props.range_deletes))
			continue;
		rc = job_add(&j, l->tables[i]);
	}
	/* Tables of level 0 overlap: an older one must not stay behind a newer one that goes down. */
	if (!rc && level == 0 && j.inputs_n && j.inputs_n < l->n) {
		j.inputs_n = 0;
		for (size_t i = 0; !rc && i < l->n; i++)
			rc = job_add(&j, l->tables[i]);
	}
	j.inputs_upper_n = j.inputs_n;
	if (!rc && j.inputs_n && j.output_level != level) {
		rc = add_lower(v, &j);
		j.move = false; /* tombstones and garbage are to go */
	}
	if (rc || !j.inputs_n || any_busy(&j)) {
		*ret_busy = !rc && j.inputs_n;
		job_done(&j);
		return rc;
	}
	*ret = j;
	*ret_found = true;
	return LSM_OK;
}

void job_to_text(const struct job *j, char *buf, size_t size)
{
	static const char *const reasons[] = { "level0", "size", "tombstones", "garbage", "asked", "runs", "reads" };
	uint64_t bytes = 0;

	for (size_t i = 0; i < j->inputs_n; i++)
		bytes += j->inputs[i]->props.file_bytes;
	snprintf(buf, size, "%s reason=%s from=%u to=%u tables=%zu+%zu bytes=%llu",
		 j->move                    ? "move"
		 : j->reason == JOB_GARBAGE ? "collect"
					    : "compact",
		 reasons[j->reason], j->input_level, j->output_level, j->inputs_upper_n,
		 j->inputs_n - j->inputs_upper_n, (unsigned long long)bytes);
}
