/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_PICKER_H
#define LSM_TREE_PICKER_H
/*
 * picker - the policy of compaction, pure: a version in, a job out. Leveled: level 0 is compacted into the base level
 * (shape.h) when it has l0_tables tables, a deeper level when it is larger than its target; whatever is furthest beyond
 * its limit comes first. Tiered: neighbours in level 0 become one table there when tiered_runs of similar size have gathered, and all of
 * level 0 goes to the last level when it is as large. When nothing is due, tables whose tombstones would free much are
 * compacted, then tables that refer to blob segments full of garbage are rewritten in place. What reading pays for is picked
 * last, when the caller asks: pick_reads().
 */
#include "lsm/tree/shape.h"

enum job_reason { JOB_LEVEL0, JOB_SIZE, JOB_TOMBSTONES, JOB_GARBAGE, JOB_MANUAL, JOB_RUNS, JOB_READS };

struct job {
	enum job_reason reason;
	unsigned input_level, output_level; /* equal: rewritten in place */
	bool move;                          /* the one input only changes its level */
	struct table_meta **inputs;         /* of input_level, then of output_level; referenced through the version */
	size_t inputs_n, inputs_upper_n;    /* all, and those of input_level (the first ones) */
};

/* A sealed blob segment, for the collection. */
struct segment_info {
	uint64_t number, file_bytes, live_bytes;
};

/*
 * Picks a job among the tables that are not busy; the caller marks its inputs busy. 0 or LSM_NO_MEMORY; *ret_found
 * tells whether there is one. `segments` (n of them) may be in any order. The caller holds the tree lock.
 */
int pick_job(const struct version *v, const struct picker_options *o, const struct segment_info *segments, size_t n,
	     struct job *ret, bool *ret_found);
/* A job that moves the tables of `level` that touch [begin, end) (size 0: no bound) one level down, of level 0 to where
 * it is compacted to; in the deepest level, that rewrites the first of them that holds tombstones. When *ret_found is
 * false, *ret_busy tells whether there is something to do once a running job has ended. */
int pick_manual(const struct version *v, const struct picker_options *o, unsigned level, unsigned deepest,
		struct lsm_slice begin, struct lsm_slice end, struct job *ret, bool *ret_found, bool *ret_busy);
/* Level 0 before it is full, once so many seeks and gets have gone through its tables, since the version is what it is, that
 * the work they had with them is as much as that of the compaction: so the two together are at most twice the least
 * possible, whatever comes (as in renting skis). Leveled only. */
int pick_reads(const struct version *v, const struct picker_options *o, uint64_t seeks, uint64_t gets, struct job *ret,
	       bool *ret_found);
/* The garbage part of pick_job() alone. */
int pick_garbage(const struct version *v, const struct picker_options *o, const struct segment_info *segments, size_t n,
		 struct job *ret, bool *ret_found);
/* The smallest and the greatest user key of the inputs: outputs lie between them. */
void job_range(const struct job *j, struct lsm_slice *ret_begin, struct lsm_slice *ret_end);
void job_done(struct job *j);
/* One line for the log. */
void job_to_text(const struct job *j, char *buf, size_t size);

bool segment_is_garbage(const struct picker_options *o, const struct segment_info *s);

#endif
