/* SPDX-License-Identifier: MIT */
#include "lsm/memory/text.h"

void memtable_to_text(struct memtable *m, struct buf *ret)
{
	text_add(ret, "entries=%llu deletes=%llu range_deletes=%llu memory_bytes=%zu first_segment=%llu",
		 (unsigned long long)memtable_entries(m), (unsigned long long)memtable_deletes(m),
		 (unsigned long long)memtable_range_deletes(m), memtable_bytes(m),
		 (unsigned long long)memtable_first_segment(m));
}
