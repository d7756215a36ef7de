/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_TABLE_H
#define LSM_FORMAT_TABLE_H
/*
 * table - a sorted, immutable file of entries (SSTable): data blocks with prefix compression and restarts, a blocked
 * bloom filter over all user keys, range tombstones, a two-level index, properties, and a footer. Each block has a
 * compression byte and a checksum, verified when it is read from the file. docs/FORMATS.md has the bytes.
 */
#include "lsm/env/env.h"
#include "lsm/format/blob.h"
#include "lsm/format/iter.h"
#include "lsm/format/range_del.h"

/* Where blocks are kept between reads. The memory layer's block cache is one; NULL stands for none. */
struct block_pin {
	struct lsm_slice data; /* the uncompressed block */
	void *pin;
};

/* What an open table keeps beside the cache, the more useful of it last. */
enum keep_why {
	KEEP_INDEX,       /* a copy of an index partition, which the cache has too */
	KEEP_DEEP_FILTER, /* of a table in the last level, where most keys are that are looked for */
	KEEP_FILTER,
};

struct block_source {
	/* True and a pin when the block is there. */
	bool (*lookup)(struct block_source *s, uint64_t file, uint64_t offset, struct block_pin *ret);
	/* Takes over `data` (of take() or malloc'd) and pins it; never fails (it may keep the block only for as long as it is pinned).
	 * `low_priority`: of a scan that will not come back. Returns the pin of the copy that was there first, if any. */
	void (*insert)(struct block_source *s, uint64_t file, uint64_t offset, void *data, size_t size,
		       bool low_priority, struct block_pin *ret);
	void (*release)(struct block_source *s, struct block_pin *pin);
	/* May an open table keep so many bytes for good? Charged if so; unkeep() gives them back. NULL: it may. */
	bool (*keep)(struct block_source *s, size_t bytes, enum keep_why why);
	void (*unkeep)(struct block_source *s, size_t bytes);
	/* Is there memory to spare for `bytes` of a file that are read because they lie near what was asked for? Counts
	 * them if so. NULL: never. */
	bool (*may_prefetch)(struct block_source *s, uint64_t bytes);
	/* Memory for a block, and its way back when nothing comes of it. NULL: malloc() and free(). */
	void *(*take)(struct block_source *s, size_t size);
	void (*give)(struct block_source *s, void *data);
};

#define RANGE_END_TRAILER UINT64_MAX

struct blob_ref {
	uint64_t segment;
	uint64_t bytes; /* sum of the parts' sizes that the table refers to */
};

/* What the manifest and the statistics keep of a table. Ended with table_props_free(). */
struct table_props {
	uint64_t file_bytes;
	uint64_t file_id; /* random, wherever the file is copied to; 0: not known (the manifest doesn't keep it) */
	uint64_t entries; /* point entries, deletes included */
	uint64_t deletes;
	uint64_t range_deletes;
	uint64_t raw_bytes;                  /* of keys and values, uncompressed */
	uint64_t sequence_min, sequence_max; /* of points and range tombstones */
	/* The entries have sequence number 0 in the file; the one that counts, for all of them, came later (sequence_max in
	 * the manifest; table_set_sequence()). */
	bool loaded;
	/* Internal keys that bound points and range tombstones. Where a range tombstone's end is the largest, `largest` is
	 * (end, RANGE_END_TRAILER), which sorts before every entry of that user key: the end is not part of the table. */
	struct buf smallest, largest;
	struct blob_ref *blob_refs; /* ascending segments */
	size_t blob_refs_n;
};
void table_props_free(struct table_props *p);

struct table_write_options {
	uint32_t block_bytes;
	uint32_t filter_bits; /* 0: no filter */
	enum lsm_compression compression;
};

struct table_writer;
/* Creates `path`. `file_number` seeds the checksums. */
int table_writer_open(struct env *env, const char *path, uint64_t file_number,
		      const struct table_write_options *options, struct table_writer **ret);
/* It will be a loaded table (see struct table_props): all entries come with sequence number 0, one for a user key. */
void table_writer_set_loaded(struct table_writer *w);
/* Entries come in strictly ascending order of internal keys. */
int table_writer_add(struct table_writer *w, struct lsm_slice ikey, struct lsm_slice value);
/* Range tombstones come in any order, at any time. */
int table_writer_add_range_delete(struct table_writer *w, const struct range_del *del);
/* Bytes written, and buffered, so far. */
uint64_t table_writer_bytes(const struct table_writer *w);
/* Entries and range tombstones so far. */
uint64_t table_writer_count(const struct table_writer *w);
/* Writes the rest, syncs, closes and frees the writer, on failure too (the caller deletes the file then). */
int table_writer_finish(struct table_writer *w, struct table_props *ret_props);
/* Closes and frees an unfinished writer; the caller deletes the file. NULL is accepted. */
void table_writer_abort(struct table_writer *w);

struct table;
/* Opens a table for reading: footer, properties, top index and range tombstones are read and kept; the filter with the first
 * look-up, if `source` lets it be kept.
 * `source` may be NULL. The table may be used by any number of threads. LSM_CORRUPT, LSM_UNSUPPORTED, LSM_IO. */
int table_open(struct env *env, const char *path, uint64_t file_number, struct block_source *source,
	       struct table **ret);
void table_close(struct table *t);
/* Gives a loaded table its sequence number; before anything else is asked of it. LSM_CORRUPT when it is not loaded. */
int table_set_sequence(struct table *t, uint64_t sequence);
/* The properties alone, read from the file. For the caller. Errors: as table_open(). */
int table_read_props(struct env *env, const char *path, uint64_t file_number, struct table_props *ret);
/* Memory that the open table holds beside the block cache. */
size_t table_memory_bytes(const struct table *t);
/* Borrowed; valid while the table is open. */
const struct table_props *table_get_props(const struct table *t);
/* The table's range tombstones, or NULL when it has none. Borrowed. */
const struct range_dels *table_range_dels(const struct table *t);

enum table_answer { TABLE_FOUND, TABLE_ABSENT, TABLE_FILTERED /* absent, said the filter */ };
struct table_hit {
	enum table_answer answer;
	uint64_t trailer;       /* when found */
	struct lsm_slice value; /* valid until table_hit_release() */
	struct block_pin pin;
};
/* Finds the newest version of `user_key`, whose filter_hash() is `hash`, with trailer <= `trailer` among the points. 0 or an
 * error; *ret is set on 0. */
int table_get(struct table *t, struct lsm_slice user_key, uint64_t hash, uint64_t trailer, struct table_hit *ret);
/* Brings the filter's line for the hash on its way to the processor, for a table_get() soon. `deep`: the table is of the last
 * level. */
void table_prefetch(struct table *t, uint64_t hash, bool deep);
void table_hit_release(struct table *t, struct table_hit *hit);

/* One of many keys that are looked up together. */
struct table_query {
	struct lsm_slice user_key;
	uint64_t hash;        /* filter_hash() of the key */
	int rc;               /* of this key: 0 or an error */
	struct table_hit hit; /* when rc is 0, after table_read() */
	uint64_t block_offset, block_size; /* private; size 0: there is nothing to read */
};
/* table_get() for `n` queries in ascending order of their keys, in two steps: table_locate() reads the index and tells
 * the kernel of all blocks that aren't cached, table_read() reads those. Between them other tables can be located. */
void table_locate(struct table *t, uint64_t trailer, struct table_query *const *queries, size_t n);
void table_read(struct table *t, uint64_t trailer, struct table_query *const *queries, size_t n);

/* An iterator over the points. The table must stay open. `low_priority` (compactions): blocks that are read do not push
 * others out of the cache. Ended with iter_free(). */
int table_iter_new(struct table *t, bool low_priority, struct iter **ret);

/* The file offset at or before which `ikey` would lie: for size estimates. */
uint64_t table_offset_of(struct table *t, struct lsm_slice ikey);

#endif
