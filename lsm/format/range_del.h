/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_RANGE_DEL_H
#define LSM_FORMAT_RANGE_DEL_H
/*
 * range_del - range tombstones: "all versions of keys in [begin, end) that are older than seq are gone". A set of them
 * is kept as fragments: pieces of the key space that do not overlap, each with the sequence numbers of all tombstones
 * that cover it, newest first; so a look-up is one binary search.
 */
#include "lsm/format/ikey.h"

struct range_del {
	struct lsm_slice begin, end; /* user keys, begin < end */
	uint64_t seq;
};

struct range_dels; /* immutable */

/* Builds the fragments of `n` tombstones in any order. The keys are copied. LSM_NO_MEMORY. */
int range_dels_new(const struct range_del *dels, size_t n, struct range_dels **ret);
void range_dels_free(struct range_dels *d); /* NULL is accepted */

/* The newest tombstone not newer than `snapshot` that covers `key`: its sequence number, or 0 when there is none.
 * `ret_end` (may be NULL) gets the end of the fragment (borrowed) when the answer isn't 0. */
uint64_t range_dels_covering(const struct range_dels *d, struct lsm_slice key, uint64_t snapshot,
			     struct lsm_slice *ret_end);
/* The same for reverse scans: `ret_begin` gets the fragment's first key. */
uint64_t range_dels_covering_begin(const struct range_dels *d, struct lsm_slice key, uint64_t snapshot,
				   struct lsm_slice *ret_begin);

/* The fragments, for writing them out again: fragment i is [begin, end) with seqs[0..seqs_n), newest first. */
struct range_fragment {
	struct lsm_slice begin, end;
	const uint64_t *seqs;
	size_t seqs_n;
};
size_t range_dels_count(const struct range_dels *d);
struct range_fragment range_dels_at(const struct range_dels *d, size_t i);
size_t range_dels_memory(const struct range_dels *d);

#endif
