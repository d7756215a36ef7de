/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_TABLE_INTERNAL_H
#define LSM_FORMAT_TABLE_INTERNAL_H
/* table_internal - an open table, shared by point look-ups and the iterator. */
#include <stdatomic.h>

#include "lsm/format/block.h"
#include "lsm/format/filter.h"
#include "lsm/format/table_format.h"

struct table {
	struct env_file *file;
	uint64_t file_number;
	uint64_t data_end;           /* behind the last data block and partition */
	uint64_t blocks_end;         /* the footer's offset */
	struct block_source *source; /* or NULL */
	struct table_props props;
	uint8_t *top_data; /* owned bytes behind the view */
	struct block top;
	struct block_handle filter_at;
	_Atomic(struct resident_filter *) filter; /* NULL: not read, or not to be kept */
	struct range_dels *range_dels; /* or NULL */
	size_t memory;
	/* Index partitions that were asked for, by their place in the top index, as far as `source` lets them be kept. */
	_Atomic(struct partition *) *partitions;
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
 * Sequential reading ahead. Blocks that are wanted in file order are taken from one large read. It starts small, on the
 * second read in order, and doubles, so that a short scan doesn't read what it will not need.
 */
struct readahead {
	uint8_t *data;
	size_t capacity;
	uint64_t offset; /* of data[0] in the file */
	size_t size;     /* bytes of the file in `data` */
	uint64_t next;   /* where the last read ended */
	size_t window;   /* bytes to read at once; 0: not in order */
};
void readahead_done(struct readahead *ra);

/* Pins the block, from the source or from the file. `ra` may be NULL. LSM_CORRUPT, LSM_IO, LSM_NO_MEMORY. */
int table_pin_block(struct table *t, struct block_handle h, bool low_priority, struct readahead *ra,
		    struct block_pin *ret);
/* A pin that was released, or zeroed, is accepted. */
void table_unpin_block(struct table *t, struct block_pin *pin);

/* The handle in an index entry's value. */
int table_index_handle(const struct table *t, struct lsm_slice value, struct block_handle *ret);

#endif
