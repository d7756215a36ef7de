/* SPDX-License-Identifier: MIT */
#ifndef LSM_MEMORY_TEXT_H
#define LSM_MEMORY_TEXT_H
/* text - what is in memory, for people. */
#include "lsm/base/text.h"
#include "lsm/memory/memtable.h"

/* "entries=10 deletes=1 range_deletes=0 memory_bytes=4096 first_segment=7" */
void memtable_to_text(struct memtable *m, struct buf *ret);

#endif
