/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_WAL_SEGMENT_H
#define LSM_FORMAT_WAL_SEGMENT_H
/*
 * wal_segment - one segment file of the log: its header, its records' bytes, its making and ending. Knows nothing of
 * the other segments.
 */
#include "lsm/env/env.h"
#include "lsm/format/header.h"
#include "lsm/format/ikey.h"
#include "lsm/format/wal.h"

#define WAL_HEADER_BYTES 4096u      /* header block; records begin behind it */
#define WAL_HEADER_COPY_BYTES 2048u /* offset of the header's second copy */
#define WAL_SEGMENT_BYTES_MAX (UINT64_C(1) << 40)
#define WAL_RECORD_HEADER_BYTES 16u
#define WAL_MARK_BYTES 24u /* of a mark's record */

enum wal_segment_state {
	WAL_SEGMENT_FOUND,  /* on disk at wal_open(); wal_replay() and wal_start() decide */
	WAL_SEGMENT_LIVE,   /* part of the log */
	WAL_SEGMENT_SPARE,  /* mapped and ready */
	WAL_SEGMENT_MAKING, /* to be a spare soon; belongs to the thread that makes it */
	WAL_SEGMENT_ENDING, /* to be removed; belongs to the thread that does it */
};

struct wal_segment {
	struct wal_segment *next; /* wal's lock, as the state */
	enum wal_segment_state state;
	unsigned slot; /* of the file's name */
	struct env_file *file;
	uint8_t *base; /* the mapping; NULL for one of an earlier open that is only replayed and synced */
	uint64_t file_bytes;
	uint64_t size;   /* header block and room for records */
	uint64_t number; /* 0: never used */
	uint64_t start_lsn;
	uint64_t previous;  /* number of the segment that this one continues; 0: none */
	uint64_t end_lsn;   /* of the last record, once no more are added */
	bool begun_durably; /* the header is known to be on the disk; wal's lock */
};

/* A record, found in a segment's bytes. */
struct wal_parsed {
	enum wal_record_type type;
	uint64_t sequence;
	struct lsm_slice payload;
	uint64_t bytes; /* of the whole record, padding included */
};

static inline uint64_t wal_record_bytes(uint64_t payload_size)
{
	return WAL_RECORD_HEADER_BYTES + ((payload_size + 7) & ~UINT64_C(7));
}

/* Is there a record at `p`, of which `left` bytes can be read? `seed` is the place's. */
bool wal_record_parse(const uint8_t *p, uint64_t left, uint64_t seed, struct wal_parsed *ret);

/* Writes a record to `p`, where wal_record_bytes() of the pieces' sizes have room. */
void wal_record_write(uint8_t *p, uint64_t seed, uint64_t trailer, const struct lsm_slice *pieces, int n,
		      uint32_t payload_size);

/* The greatest durable LSN told by the marks in bytes [from, end) of the segment, which are at `p`; 0: none. */
uint64_t wal_marks_scan(const uint8_t *p, uint64_t from, uint64_t end, const struct wal_segment *s);

/* One copy of a segment's header, found at `offset` of the file `path`, into number, start, size and predecessor of *ret.
 * LSM_CORRUPT, LSM_UNSUPPORTED. */
int wal_header_decode(const uint8_t *p, const char *path, uint64_t offset, struct wal_segment *ret);

/* "segment 7: from LSN 4096, 1048576 bytes, continues segment 6" */
void wal_segment_to_text(const struct wal_segment *s, struct buf *ret);

/* "wal-0012" to 12. */
bool wal_slot_parse(const char *name, unsigned *ret_slot);

/* Opens slot `slot` and reads its header. LSM_CORRUPT, LSM_UNSUPPORTED, LSM_IO, LSM_NO_MEMORY. */
int wal_segment_open(struct env *env, const char *dir, unsigned slot, bool read_only, struct wal_segment **ret);
/* Makes the file of `s`, whose slot and sizes are set: filled with zeros (`durable`: synced), known to the directory,
 * mapped. */
int wal_segment_create(struct env *env, const char *dir, struct wal_segment *s, bool durable);
/* Maps the segment if it isn't. LSM_IO, LSM_NO_SPACE, LSM_NO_MEMORY. */
int wal_segment_map(struct wal_segment *s);
/* Writes both copies of the header into the mapping. */
void wal_segment_begin(struct wal_segment *s, uint64_t number, uint64_t start_lsn, uint64_t previous);
/* Closes and deletes the file. */
int wal_segment_remove(struct env *env, const char *dir, struct wal_segment *s);
/* Closes the file and frees `s`. */
void wal_segment_free(struct wal_segment *s);

#endif
