/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_EVENT_H
#define LSM_STORE_EVENT_H
/*
 * event - what the log is told: one line each, a verb and then key=value. A line goes out under no lock; what happens under
 * one is noted, and the flush thread tells it.
 */
#include "lsm/base/text.h"
#include "lsm/store/db.h"

/* Why a memtable is switched. Not known for those that a recovery filled. */
enum flush_reason { FLUSH_RECOVERY, FLUSH_FULL, FLUSH_LARGE_VALUES, FLUSH_IDLE, FLUSH_ASKED, FLUSH_CLOSE };

/* What the flush thread has told. */
struct told {
	bool failed, debt;
	uint64_t debt_since_us, delays, delay_us; /* when the debt began */
	uint64_t room_waits, room_wait_us;
	uint64_t manifest;
};

/* Are lines of jobs wanted (LSM_LOG_ALL)? Else there is no need to compose them. */
static inline bool event_wanted(const struct lsm_db *db)
{
	return db->options.log && db->options.log_level == LSM_LOG_ALL;
}

/* Gives the line to the log, if it is wanted, and frees it. */
void event_send(struct lsm_db *db, struct buf *line);

void event_open(struct lsm_db *db);
void event_close(struct lsm_db *db, int rc);
void event_flush(struct lsm_db *db, struct memtable *m, const struct build_output *out);
void event_job(struct lsm_db *db, const struct job *j, const struct build_output *out, uint64_t start_ns);
/* Tables that a sweep has taken out of the tree. */
void event_drop(struct lsm_db *db, struct table_meta *const *tables, size_t n);
/* What failed, for a reason that lsm_last_error() tells. */
void event_failure(struct lsm_db *db, const char *what);
/* What has happened under locks since the last call. The flush thread's. */
void events_tell(struct lsm_db *db, struct told *told);

#endif
