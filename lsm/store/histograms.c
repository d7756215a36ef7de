/* SPDX-License-Identifier: MIT */
#include "lsm/store/db.h"

_Thread_local unsigned sample_turns[LSM_HISTOGRAMS];

void observe_since(struct lsm_db *db, enum lsm_histogram which, uint64_t start_ns)
{
	histogram_add(&db->histograms[which], env_now_ns(db->env) - start_ns);
}

void note_room_wait(struct lsm_db *db, uint64_t start_ns)
{
	count(db->room_waits, 1);
	count(db->room_wait_us, (env_now_ns(db->env) - start_ns) / 1000);
	observe_since(db, LSM_HISTOGRAM_STALL, start_ns);
}

int lsm_get_histogram(struct lsm_db *db, enum lsm_histogram which, struct lsm_histogram_summary *ret)
{
	struct histogram *now;

	if ((unsigned)which >= LSM_HISTOGRAMS)
		return status_set(LSM_INVALID, 0, NULL, 0, "there is no histogram %d", (int)which);
	/* A copy that stands still: all percentiles are of the same values. */
	now = calloc(1, sizeof(*now));
	if (!now)
		return status_no_memory(sizeof(*now));
	histogram_merge(now, &db->histograms[which]);
	histogram_summarize(now, ret);
	free(now);
	return LSM_OK;
}
