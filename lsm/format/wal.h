/* SPDX-License-Identifier: MIT */
#ifndef LSM_FORMAT_WAL_H
#define LSM_FORMAT_WAL_H
/*
 * wal - the write-ahead log: preallocated, memory-mapped, recycled segment files. Appending is a memcpy into pages that
 * belong to the kernel, so that the death of the process loses nothing; wal_sync() makes them durable.
 *
 * A position in the log is an LSN, the count of record bytes since the log's beginning; each segment's header holds
 * the LSN of its first record, so a segment continues the log exactly when its start is where the one before ended.
 * A record's checksum is seeded with its segment's number and its place: what an earlier use of the file left never
 * checks.
 * docs/FORMATS.md has the bytes.
 *
 * Threads: wal_append(), wal_mark() and wal_rotate() under the caller's commit lock; wal_sync(), wal_release(),
 * wal_prepare() and wal_stats() beside them from any thread (the wal's own lock orders them).
 */
#include "lsm/env/env.h"
#include "lsm/format/ikey.h"

struct wal;

struct wal_options {
	uint64_t segment_bytes; /* of a usual segment; a larger record gets a larger one */
	unsigned spare_max;     /* recycled segments kept mapped and ready */
	bool read_only;
	bool salvage; /* the log ends where it can't be read on, whatever was durable behind */
};

enum wal_record_type {
	WAL_RECORD_BATCH = 1,
	WAL_RECORD_MARK = 2, /* payload: LSN (8 bytes) up to which all was durable when the mark was written */
};

struct wal_record {
	uint64_t lsn; /* of the record's first byte */
	uint64_t end_lsn;
	uint64_t segment;         /* its segment's number */
	uint64_t sequence;        /* of the batch's first operation */
	struct lsm_slice payload; /* valid during the call */
	bool durable; /* a later mark says that this record was synced (so all that it refers to must be there) */
};

/*
 * Opens the log in `dir` (segments are files wal-0000, wal-0001, …: which is which is told by their headers) and
 * finds the live segments. Nothing is changed on disk yet. A segment whose header is damaged in both copies, or of
 * an unknown version, is LSM_CORRUPT or LSM_UNSUPPORTED; an all-zero header is a spare.
 */
int wal_open(struct env *env, const char *dir, const struct wal_options *options, struct wal **ret);

/*
 * Calls `fn` for each batch record of segments >= first_segment, in order; once, before wal_start(). fn's non-zero code
 * stops the replay and is returned, except LSM_NOT_FOUND: "this record's outside data (blob) isn't there": the log ends
 * before this record, as if it had not checked.
 * The log ends at the first record that does not check and is continued by no segment that starts there. If a mark
 * behind that place says that more than this had been durable, the middle is corrupt: LSM_CORRUPT with file and offset.
 * Otherwise the tail was torn by a power cut or a kill, which is no error: what lies behind it is forgotten.
 * `*ret_end_lsn` is where the log ends.
 */
int wal_replay(struct wal *w, uint64_t first_segment, int (*fn)(void *ctx, const struct wal_record *record), void *ctx,
	       uint64_t *ret_end_lsn);

/*
 * Makes the log writable behind the replayed end: stale segments (behind a torn tail, or below first_segment) become
 * spares, a new segment starts at the end LSN. Its number is above all numbers ever given out and above
 * `segment_min`, and its header is durable on return.
 */
int wal_start(struct wal *w, uint64_t segment_min);

/*
 * Appends one record made of `n` pieces. On LSM_OK, `*ret_end_lsn` is the LSN behind it. When the segment has no room
 * the next one is started (from a spare, else made now). LSM_NO_SPACE, LSM_IO, LSM_NO_MEMORY, LSM_INVALID (more than
 * 4 GiB - 1 bytes): nothing was appended.
 */
int wal_append(struct wal *w, uint64_t sequence, const struct lsm_slice *pieces, int n, uint64_t *ret_end_lsn);

/* Appends a mark that says all below `durable_lsn` is durable. Skipped (LSM_OK) when the segment has no room for it. */
int wal_mark(struct wal *w, uint64_t durable_lsn);

/* Starts a new segment, so that what follows lies in segments from `*ret_segment` on (a memtable switch). */
int wal_rotate(struct wal *w, uint64_t *ret_segment);

/* Where the next record goes. */
uint64_t wal_end_lsn(struct wal *w);

/* Everything below `lsn` is durable on return, what was replayed included. The caller makes one call at a time (it
 * coalesces them). After a failure every further call returns the same error: a sync is never tried again. */
int wal_sync(struct wal *w, uint64_t lsn);

/* Segments below `first_needed` hold nothing that is needed any more: they become spares, or are deleted beyond
 * spare_max. Harmless to repeat. */
int wal_release(struct wal *w, uint64_t first_needed);

/* Makes a spare if there is none, so that the next append that fills a segment need not (a background job's call). */
int wal_prepare(struct wal *w);
/* True when there is no spare: wal_prepare() would do something. */
bool wal_wants_spare(struct wal *w);

struct wal_stats {
	uint64_t live_segments, spare_segments;
	uint64_t file_bytes;     /* of all segment files */
	uint64_t appended_bytes; /* record bytes since wal_start() */
};
void wal_get_stats(struct wal *w, struct wal_stats *ret);

/* Unmaps and closes all segments without a sync. `trim` deletes the spares (a clean close gives their space back).
 * NULL is accepted. */
void wal_close(struct wal *w, bool trim);

#endif
