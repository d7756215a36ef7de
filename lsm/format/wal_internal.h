/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_WAL_INTERNAL_H
#define LSM_FORMAT_WAL_INTERNAL_H
/* wal_internal - what the wal's files share: wal_replay.c finds the log, wal_slots.c keeps its files, wal.c writes. */
#include <stdatomic.h>

#include "lsm/env/sync.h"
#include "lsm/format/wal_segment.h"

struct wal {
	struct env *env;
	char *dir;
	struct wal_options options;

	struct mutex lock;
	struct cond changed;          /* a segment has left WAL_SEGMENT_MAKING */
	struct wal_segment *segments; /* lock; in no order */
	struct wal_segment *syncing;  /* lock; the one that wal_sync() is busy with, which may not be recycled */
	uint64_t last_number;         /* lock; greatest given out, or seen on disk */
	uint64_t first_needed;        /* lock */
	uint64_t synced_lsn;          /* lock; all below is durable or not needed any more */
	bool synced_ever;             /* lock; somebody wants records to be durable */
	struct lsm_error sync_failed; /* lock; code 0 while all is well */

	/* Of the commit lock's owner; `current` is changed under `lock` too. */
	struct wal_segment *current;
	uint8_t *at;         /* where the next record goes */
	uint64_t room;       /* bytes behind it */
	uint64_t marked_lsn; /* of the last mark */
	_Atomic uint64_t end_lsn;

	uint64_t started_lsn; /* where this open began to append */
	uint64_t last_live;   /* number of the last segment that holds replayed records, to be continued */
	bool replayed;
};

/*
 * Ends the current segment and starts one in which a record of `bytes` has room: a spare, or made now. On failure
 * nothing has changed.
 */
int wal_segment_switch(struct wal *w, uint64_t bytes);

/* Makes `s`, which the caller has taken over (state ENDING), a spare if one is wanted, or removes it. Not under the
 * lock. */
int wal_segment_recycle(struct wal *w, struct wal_segment *s);

/* The lock is held. */
unsigned wal_segments_count(const struct wal *w, enum wal_segment_state state);
void wal_segment_unlink(struct wal *w, struct wal_segment *s);

#endif
