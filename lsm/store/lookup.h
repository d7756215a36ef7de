/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_LOOKUP_H
#define LSM_STORE_LOOKUP_H
/* lookup - finds the newest visible version of one key: memtables, then tables, the newest first. */
#include "lsm/store/db.h"

struct lookup {
	uint64_t trailer;
	struct lsm_slice value; /* of a memtable: while the superversion lives; of a table: until lookup_done() */
	bool in_table;
	struct table_pin table;
	struct table_hit hit;
};

/* LSM_NOT_FOUND also for a deleted key. `sv` is pinned by the caller; on LSM_OK end with lookup_done(). */
int lookup(struct lsm_db *db, const struct superversion *sv, uint64_t sequence, struct lsm_slice key,
	   struct read_counters *counters, struct lookup *ret);
void lookup_done(struct lsm_db *db, struct lookup *l);

/* Turns a look-up that succeeded into a value, and ends it. */
int value_of(struct lsm_db *db, struct lookup *l, struct lsm_value *ret);
/* The newest sequence number is asked for after the superversion: what it lacks is then newer than all it has. */
uint64_t sequence_at(struct lsm_db *db, const struct lsm_snapshot *snapshot);

#endif
