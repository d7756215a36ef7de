/* SPDX-License-Identifier: MIT */
#include "lsm/tree/covered.h"

/* A tombstone hides the table from a snapshot that sees (a part of) it only when the snapshot sees the tombstone, too. */
static uint64_t newest_allowed(const struct table_meta *t, const uint64_t *snapshots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (snapshots[i] >= t->props.sequence_min)
			return snapshots[i];
	}
	return SEQUENCE_MAX;
}

bool table_is_covered(const struct table_meta *t, const struct range_dels *dels, const uint64_t *snapshots, size_t n)
{
	struct lsm_slice key = table_smallest(t), largest = table_largest(t), end;
	uint64_t allowed = newest_allowed(t, snapshots, n);

	/* From one end of a fragment to the next: together they have to reach beyond the table. */
	while (range_dels_covering(dels, key, allowed, &end) > t->props.sequence_max) {
		int c = slice_compare(end, largest);

		if (c > 0 || (c == 0 && table_end_exclusive(t)))
			return true;
		key = end;
	}
	return false;
}
