/* SPDX-License-Identifier: MIT */
#include "lsm/tree/text.h"

enum { KEY_BYTES_MAX = 40 }; /* shown of a bound */

static void key_to_text(const struct buf *ikey, struct buf *ret)
{
	text_add(ret, "\"");
	if (ikey->size >= TRAILER_BYTES)
		text_add_bytes(ret, ikey_user(buf_slice(ikey)), KEY_BYTES_MAX);
	text_add(ret, "\"");
}

void table_props_to_text(const struct table_props *p, struct buf *ret)
{
	text_add(ret, "%llu bytes, %llu entries", (unsigned long long)p->file_bytes, (unsigned long long)p->entries);
	if (p->deletes)
		text_add(ret, ", %llu deletes", (unsigned long long)p->deletes);
	if (p->range_deletes)
		text_add(ret, ", %llu range deletes", (unsigned long long)p->range_deletes);
	text_add(ret, ", sequence %llu to %llu, ", (unsigned long long)p->sequence_min,
		 (unsigned long long)p->sequence_max);
	key_to_text(&p->smallest, ret);
	text_add(ret, " to ");
	key_to_text(&p->largest, ret);
	for (size_t i = 0; i < p->blob_refs_n; i++)
		text_add(ret, "%s%llu:%llu", i ? " " : ", blobs ", (unsigned long long)p->blob_refs[i].segment,
			 (unsigned long long)p->blob_refs[i].bytes);
}

void edit_to_text(const struct edit *e, struct buf *ret)
{
	text_add(ret, "sequence %llu, next number %llu", (unsigned long long)e->last_sequence,
		 (unsigned long long)e->next_number);
	if (e->first_segment)
		text_add(ret, ", log from segment %llu", (unsigned long long)e->first_segment);
	for (size_t i = 0; i < e->removed_n; i++)
		text_add(ret, "\nremove level %u table %llu", e->removed[i].level,
			 (unsigned long long)e->removed[i].number);
	for (size_t i = 0; i < e->added_n; i++) {
		text_add(ret, "\nadd level %u table %llu: ", e->added[i].level, (unsigned long long)e->added[i].number);
		table_props_to_text(&e->added[i].table->props, ret);
	}
}

void version_to_text(const struct version *v, struct buf *ret)
{
	bool any = false;

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		if (!v->levels[l].n)
			continue;
		text_add(ret, "%slevel %u: %zu tables, %llu bytes", any ? "; " : "", l, v->levels[l].n,
			 (unsigned long long)v->levels[l].bytes);
		any = true;
	}
	if (!any)
		text_add(ret, "no tables");
}
