/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_TABLE_INTERNAL_H
#define LSM_FORMAT_TABLE_INTERNAL_H
/* table_internal - an open table, shared by point look-ups and the iterator. */
#include <stdatomic.h>

#include "lsm/format/block.h"
#include "lsm/format/filter.h"
#include "lsm/format/table_format.h"

#define HINT_BYTES (UINT64_C(1) << 20)    /* a stretch of table.hinted */
#define SCANNED_BYTES (UINT64_C(64) << 10) /* of table.scanned */

struct table {
	struct env_file *file;
	uint64_t file_number;
	uint64_t data_end;           /* behind the last data block and partition */
	uint64_t blocks_end;         /* the footer's offset */
	struct block_source *source; /* or NULL */
	struct table_props props;
	uint64_t sequence; /* of all entries of a loaded table, else 0: each has its own */
	uint8_t *top_data; /* owned bytes behind the view */
	struct block top;
	struct block_handle filter_at;
	_Atomic(struct resident_filter *) filter; /* NULL: not read, or not to be kept */
	struct range_dels *range_dels; /* or NULL */
	size_t memory;
	/* Index partitions that were asked for, by their place in the top index, as far as `source` lets them be kept. */
	_Atomic(struct partition *) *partitions;
	/* A bit for each stretch of the file: what the kernel was told to read; what a long scan has passed. */
	_Atomic uint64_t *hinted, *scanned;
};

struct resident_filter {
	struct filter filter; /* of no lines when its kind isn't known */
	size_t bytes;
	uint8_t *data;
};

/* table_resident.c: reads a block that stays raw on disk, to where a cache line begins. *ret_bytes is what it takes. */
int table_read_resident(const struct table *t, struct block_handle h, uint8_t **ret, size_t *ret_bytes);
/* The filter, NULL when there is none to be had. LSM_CORRUPT, LSM_IO: it can't be read. */
int table_filter(struct table *t, enum keep_why why, const struct filter **ret);
/* A copy of the pinned partition, to be kept in its place in the top index, if it may. */
void table_partition_keep(struct table *t, uint32_t at, const struct block_pin *pin, const struct block *block);
void table_resident_free(struct table *t);

struct partition {
	struct block block;
	size_t bytes; /* of this, the data included */
	uint8_t data[];
};

/*
 * Sequential reading ahead, in both directions. Blocks that are wanted in the file's order, or against it, are taken
 * from one large read. It starts small, on the second read in order, and doubles, so that a short scan doesn't read what
 * it will not need; at full size the kernel is told of what comes behind, too, so that the disk works meanwhile.
 */
struct readahead {
	bool bulk; /* a compaction: all will be read, and is not kept */
	uint8_t *data;
	size_t capacity;
	uint64_t offset;     /* of data[0] in the file */
	size_t size;         /* bytes of the file in `data` */
	uint64_t begin, end; /* of the last block asked for; end 0: none */
	bool backward;
	size_t window;   /* bytes to read at once; 0: not in order */
	uint64_t hinted; /* how far the kernel was told of, in the direction; 0: not */
	uint64_t region; /* that the last block lies in, + 1 */
	bool region_new; /* no long scan has come there before */
};
void readahead_done(struct readahead *ra);
/* The stored block's bytes when they are, or now get, read ahead; NULL when they are to be read alone. */
const uint8_t *readahead_get(struct readahead *ra, const struct table *t, uint64_t offset, size_t size);
/* The same without a read. */
const uint8_t *readahead_peek(const struct readahead *ra, uint64_t offset, size_t size);
/* Should the block just read ahead stay out of the cache? */
bool readahead_passes(struct readahead *ra, struct table *t, uint64_t offset);
/* A block is to be read alone: lets the kernel read what lies around it, where memory allows. True if it was told, now
 * or before. */
bool readaround_hint(struct table *t, uint64_t offset);

/* Memory for one block at a time. */
struct block_space {
	uint8_t *data;
	size_t capacity;
};

/* Pins the block when the source has it. */
bool table_pin_cached(struct table *t, struct block_handle h, struct block_pin *ret);
/* Pins the block, from the source or from the file. LSM_CORRUPT, LSM_IO, LSM_NO_MEMORY. */
int table_pin_block(struct table *t, struct block_handle h, bool low_priority, struct block_pin *ret);
/*
 * The same for an iterator. Data blocks are read ahead, an index partition (`is_data` false) only if its bytes happen to
 * be there. A block that a long scan passes by is put into `space`, where it lies until the next call with that space,
 * also one that fails: such a pin is no part of the source.
 */
int table_pin_scanned(struct table *t, struct block_handle h, bool is_data, struct readahead *ra,
		      struct block_space *space, struct block_pin *ret);
/* A pin that was released, or zeroed, is accepted. */
void table_unpin_block(struct table *t, struct block_pin *pin);

/* The handle in an index entry's value. */
int table_index_handle(const struct table *t, struct lsm_slice value, struct block_handle *ret);

#endif
