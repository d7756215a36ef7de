/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_SHAPE_H
#define LSM_TREE_SHAPE_H
/*
 * shape - how large the levels of a tree are to be. Leveled: sizes are derived from the largest level backwards, as if it
 * were the last one: each level above may have 1/level_ratio of the one below, so that what is dead or doubled above the
 * last level is about a tenth of it, however large the store is. Levels that would be smaller than that makes sense stay
 * empty: level 0 is compacted straight into the first one that is in use, the base. Tiered: level 0 holds all runs, and
 * the last level is the only other one.
 */
#include "lsm/tree/version.h"

struct picker_options {
	uint64_t level_base_bytes; /* a level of at most so many bytes needs none between itself and level 0 */
	uint32_t level_ratio;
	uint32_t l0_tables;
	double garbage_max;   /* a sealed segment with a larger share of garbage is collected */
	uint32_t tiered_runs; /* 0: leveled. Else so many runs of similar size are merged to one */
};

struct shape {
	unsigned base;      /* the levels between 0 and this one are to be empty */
	unsigned l0_output; /* what level 0 is compacted into: the base, or a level above it that isn't empty yet */
	uint64_t targets[LSM_LEVELS]; /* bytes, from the base on; 0 for levels above it */
};

void shape_of(const struct version *v, const struct picker_options *o, struct shape *ret);

/* How far the tree is behind: 0 none, 1 as far as it may ever be. Drives back-pressure. */
double picker_debt(const struct version *v, const struct picker_options *o);

#endif
