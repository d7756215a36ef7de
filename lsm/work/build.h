/* SPDX-License-Identifier: MIT */
#ifndef LSM_WORK_BUILD_H
#define LSM_WORK_BUILD_H
/*
 * build - the one mechanism behind flush, compaction and blob collection: sorted entries and range tombstones go in,
 * tables come out, and on the way everything that no reader can see any more is dropped:
 *   - versions of a key that are hidden by a newer one for every snapshot,
 *   - versions under a range tombstone, likewise,
 *   - tombstones below which nothing is left to hide.
 * Large values move to a blob segment; values in segments that are being collected move to a new one.
 */
#include "lsm/tree/picker.h"

struct build_input {
	struct iter *points;          /* owned by the caller */
	const struct range_del *dels; /* raw tombstones, any order */
	size_t dels_n;
	const uint64_t *snapshots; /* ascending sequence numbers that must stay readable */
	size_t snapshots_n;
	const struct version *version; /* what lies below output_level decides about tombstones */
	unsigned output_level;
	size_t older_from; /* output_level 0: the version's tables of level 0 from this index on are older than the outputs */
	uint64_t table_bytes_max; /* outputs are cut at this size; UINT64_MAX: never */
	struct table_write_options table;
	uint32_t blob_min_bytes;
	uint64_t blob_segment_bytes;
	const uint64_t *collect; /* ascending numbers of segments to move values out of */
	size_t collect_n;
	uint64_t (*new_number)(void *ctx); /* gives out a file number */
	void *ctx;
	/* Called with what was written since the last call, about each half MiB; may take its time. NULL: not. */
	void (*wrote)(void *ctx, uint64_t bytes);
	const atomic_bool *stop; /* when set, the build ends early with LSM_BUSY */
};

struct build_output {
	struct table_meta **tables; /* attached; one reference each */
	size_t n;
	uint64_t written_bytes; /* tables and blobs */
	uint64_t entries_in, entries_out;
};

/* On failure all files made are deleted. On success they are durable; end with build_output_done(). */
int build_tables(struct tree *tree, const struct build_input *in, struct build_output *ret);
/* Drops the references; `discard` also deletes the files. */
void build_output_done(struct build_output *out, bool discard);

/* A growing list of raw range tombstones with copied keys. */
struct del_list {
	struct range_del *dels;
	size_t n, capacity;
	struct arena keys;
};
void del_list_init(struct del_list *l);
void del_list_done(struct del_list *l);
/* Adds all tombstones of the fragments, clipped to [begin, end); an empty bound is none. */
int del_list_add(struct del_list *l, const struct range_dels *dels, struct lsm_slice begin, struct lsm_slice end);

#endif
