/* SPDX-License-Identifier: MIT */
/*
 * Tables without a manifest. Which of them holds the newer version of a key is not told by their numbers, as compactions write
 * old versions to new files, and readers stop at the first version they find. So all are merged, as one compaction.
 */
#include <stdlib.h>

#include "lsm/store/repair.h"
#include "lsm/tree/merge_iter.h"

static uint64_t give_number(void *ctx)
{
	return ((struct repair *)ctx)->next_number++;
}

static int add_dels(struct repair *r, const struct table_meta *t, struct del_list *dels)
{
	struct table_pin pin = { 0 };
	int rc = table_cache_get(r->tree.tables, t->number, &pin);

	if (!rc && table_range_dels(pin.table))
		rc = del_list_add(dels, table_range_dels(pin.table), slice_of(NULL, 0), slice_of(NULL, 0));
	table_cache_release(r->tree.tables, &pin);
	return rc;
}

/* Each table is a child; `tables` are those that there are. */
static int open_points(struct repair *r, struct table_meta *const *tables, size_t n, struct iter **ret)
{
	struct merge_child *children = calloc(n + 1, sizeof(*children));
	size_t made = 0;
	int rc = children ? LSM_OK : status_no_memory((n + 1) * sizeof(*children));

	for (; !rc && made < n; made += !rc)
		rc = level_iter_new(&r->tree, tables + made, 1, true, &children[made].it);
	if (rc) {
		for (size_t i = 0; i < made; i++)
			iter_free(children[i].it);
	} else {
		rc = merge_iter_new(children, made, ret);
	}
	free(children);
	return rc;
}

static int version_of(struct repair *r, const struct version *empty, const struct build_output *out,
		      struct version **ret)
{
	struct edit e = { 0 };
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < out->n; i++)
		rc = edit_add(&e, LSM_LEVELS - 1, out->tables[i]);
	if (!rc)
		rc = version_apply(empty, &e, r->dir, ret);
	edit_done(&e);
	return rc;
}

static int merge(struct repair *r, struct table_meta *const *tables, size_t n, struct version **ret)
{
	struct build_input in = { .output_level = LSM_LEVELS - 1,
				  .table_bytes_max = r->stored.table_bytes,
				  .table = { .block_bytes = r->stored.block_bytes,
					     .filter_bits = r->stored.filter_bits,
					     .compression = LSM_COMPRESS_LZ4 },
				  .blob_min_bytes = r->stored.blob_min_bytes,
				  .blob_segment_bytes = r->stored.blob_segment_bytes,
				  .new_number = give_number,
				  .ctx = r };
	const atomic_bool stop = false;
	struct build_output out = { 0 };
	struct version *empty = NULL;
	struct iter *points = NULL;
	struct del_list dels;
	int rc = version_new(&empty);

	del_list_init(&dels);
	for (size_t i = 0; !rc && i < n; i++)
		rc = add_dels(r, tables[i], &dels);
	if (!rc)
		rc = open_points(r, tables, n, &points);
	if (!rc) {
		in.version = empty;
		in.points = points;
		in.dels = dels.dels;
		in.dels_n = dels.n;
		in.stop = &stop;
		rc = build_tables(&r->tree, &in, &out);
	}
	if (!rc) {
		rc = version_of(r, empty, &out, ret);
		build_output_done(&out, rc);
	}
	iter_free(points);
	del_list_done(&dels);
	version_unref(empty);
	return rc;
}

int repair_merge(struct repair *r, struct version **ret)
{
	struct table_meta **tables = malloc((r->n + 1) * sizeof(*tables));
	size_t n = 0;
	int rc = tables ? LSM_OK : status_no_memory((r->n + 1) * sizeof(*tables));

	for (size_t i = 0; !rc && i < r->n; i++) {
		if (!r->tables[i].meta)
			continue;
		tables[n++] = r->tables[i].meta;
		rc = table_meta_attach(r->tables[i].meta);
	}
	if (!rc)
		rc = merge(r, tables, n, ret);
	free(tables);
	return rc;
}
