/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_TEXT_H
#define LSM_STORE_TEXT_H
/* text - an open store's objects for people; each is one line without a newline at the end. */
#include "lsm/base/text.h"
#include "lsm/store/db.h"

/* The memtables, the newest first, and the levels. */
void superversion_to_text(const struct superversion *sv, struct buf *ret);
/* How many there are, and the oldest ones' sequence numbers. Takes the tree lock. */
void snapshots_to_text(struct lsm_db *db, struct buf *ret);
/* A sealed blob segment: its size and what is alive in it. */
void segment_info_to_text(const struct segment_info *s, struct buf *ret);

#endif
