/* SPDX-License-Identifier: MIT */
#include "lsm/store/text.h"

#include "lsm/memory/text.h"
#include "lsm/tree/text.h"

void superversion_to_text(const struct superversion *sv, struct buf *ret)
{
	text_add(ret, "memtable ");
	memtable_to_text(sv->mem, ret);
	for (unsigned i = 0; i < sv->imm_n; i++) {
		text_add(ret, "; waiting ");
		memtable_to_text(sv->imm[i], ret);
	}
	text_add(ret, "; ");
	version_to_text(sv->version, ret);
}

void snapshots_to_text(struct lsm_db *db, struct buf *ret)
{
	enum { SHOWN = 8 };
	uint64_t sequences[SHOWN], n;
	unsigned shown = 0;

	mutex_lock(&db->lock);
	n = db->snapshots_n;
	for (struct lsm_snapshot *s = db->snapshots.next; s != &db->snapshots && shown < SHOWN; s = s->next)
		sequences[shown++] = s->sequence;
	mutex_unlock(&db->lock);
	text_add(ret, "%llu snapshots", (unsigned long long)n);
	for (unsigned i = 0; i < shown; i++)
		text_add(ret, "%s%llu", i ? ", " : ", of sequence ", (unsigned long long)sequences[i]);
	if (n > shown)
		text_add(ret, ", ...");
}

void segment_info_to_text(const struct segment_info *s, struct buf *ret)
{
	text_add(ret, "segment %llu: %llu bytes, %llu alive", (unsigned long long)s->number,
		 (unsigned long long)s->file_bytes, (unsigned long long)s->live_bytes);
}
