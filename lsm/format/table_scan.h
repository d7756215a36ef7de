/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_TABLE_SCAN_H
#define LSM_FORMAT_TABLE_SCAN_H
/* table_scan - a whole table file for tools: part by part, and beyond parts that are damaged as far as that can be. */
#include "lsm/format/table.h"

/* A non-zero code of a call ends the scan and is returned. */
struct table_scan_fns {
	/* A block that checks: "properties", "range tombstones", "filter", "top index", "index", "data". Its payload. */
	int (*block)(void *ctx, const char *what, uint64_t offset, uint64_t size);
	int (*props)(void *ctx, const struct table_props *p);
	int (*filter)(void *ctx, struct lsm_slice bytes); /* in front of the entries; NULL: not wanted */
	int (*range_del)(void *ctx, const struct range_fragment *f);
	int (*entry)(void *ctx, struct lsm_slice ikey, struct lsm_slice value);
	/* Something is damaged or can't be read: lsm_last_error() tells what and where. Of the entries, those behind `low` and
	 * up to `high` (internal keys) may be concerned; both empty: any. An empty `low` alone is the table's beginning. */
	int (*damage)(void *ctx, struct lsm_slice low, struct lsm_slice high);
};

/* `number`: of the table by its name, for a footer that is damaged there; 0: not known. LSM_UNSUPPORTED, LSM_NO_MEMORY,
 * LSM_IO when the file can't be opened. */
int table_scan(struct env *env, const char *path, uint64_t number, const struct table_scan_fns *fns, void *ctx);

#endif
