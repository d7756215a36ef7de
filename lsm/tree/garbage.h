/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_GARBAGE_H
#define LSM_TREE_GARBAGE_H
/*
 * garbage - the policy of the collection of large values, pure: which segments are worth it now, how much of what was
 * written a memtable may hold back, and how fast writers may go on.
 *
 * Collecting a segment copies what is alive in it: the fuller of garbage it is, the cheaper. So nothing is collected
 * while garbage is a small share of all, then the segments with the largest shares go first.
 */
#include "lsm/tree/picker.h"

/* The sums over sealed segments that tables refer to; what no table refers to yet is not known to be garbage. */
struct garbage_sums {
	uint64_t live_bytes, garbage_bytes;
	uint64_t collectable_bytes; /* garbage in segments that are worth collecting */
};

void garbage_sums_add(struct garbage_sums *sums, const struct picker_options *o, const struct segment_info *s);

/* Moves the segments to be collected now to the front of `segments` and returns how many they are; with `all`, every one
 * that is worth it. */
size_t garbage_select(const struct picker_options *o, struct segment_info *segments, size_t n, bool all);

/*
 * Until a memtable is flushed nobody knows what its pointers to large values have overwritten, and all that it refers to
 * stays. It is flushed when it refers to hold_bytes and no other is waiting, and with hold_bytes_max in any case.
 */
struct garbage_limits {
	uint64_t hold_bytes, hold_bytes_max;
	uint64_t segment_bytes; /* a segment that is collected should be a small part of all */
	uint64_t delay_ps; /* what a written byte costs, in picoseconds, so that writers don't outrun the collection */
};

/* `most_bytes`: what a memtable may refer to at most. */
void garbage_limits(const struct garbage_sums *s, uint64_t most_bytes, struct garbage_limits *ret);

#endif
