/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_COVERED_H
#define LSM_TREE_COVERED_H
/* covered - tables that nobody needs to read any more, because newer range tombstones lie over all they hold. */
#include "lsm/tree/version.h"

/*
 * Is all of `t` hidden, from every reader, by tombstones of `dels` that are newer than the table? `snapshots` (n of them,
 * ascending) are the sequence numbers that must stay readable.
 */
bool table_is_covered(const struct table_meta *t, const struct range_dels *dels, const uint64_t *snapshots, size_t n);

#endif
