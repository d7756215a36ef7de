/* SPDX-License-Identifier: MIT */
#ifndef LSM_MEMORY_SEGMENTS_H
#define LSM_MEMORY_SEGMENTS_H
/*
 * segments - which blob segments are alive. A segment is held by whatever may lead a reader to it: tables of live
 * versions, memtables, batches, its writer. In an open store the file is deleted with the last hold. Thread-safe.
 */
#include <stdatomic.h>

#include "lsm/env/sync.h"
#include "lsm/memory/table_cache.h"

struct segments;

struct blob_segment {
	struct segments *owner;
	struct blob_segment *next; /* chain of the registry; segments.lock */
	uint64_t number;
	uint64_t refs;                /* segments.lock */
	uint64_t named;               /* how many files had been made, this one included; 0: before this open */
	_Atomic uint64_t file_bytes;  /* grows while it is written */
	_Atomic uint64_t live_bytes;  /* referred to by the tables of the current version */
	atomic_bool sealed;           /* nobody writes to it any more */
	struct lsm_error sync_failed; /* code 0: no sync of it has; sync_lock */
	bool damaged;                 /* segments.lock; a value can't be read: never empty, so not worth collecting */
	atomic_bool durable;          /* all that was added is on the disk, or a sync that covers it is under way */
	struct blob_writer *writer;   /* while it is open for writing, else NULL; segments.lock for the pointer */
};

int segments_new(struct env *env, const char *dir, struct table_cache *tables, bool read_only, struct segments **ret);
/*
 * Whether a file is deleted with the last hold on it. Off at first and again at the end, when holds come and go with
 * what is in memory; and from the moment when memory and manifest may differ on what is alive.
 */
void segments_delete_dead(struct segments *s, bool on);
void segments_free(struct segments *s); /* all holds have ended; NULL is accepted */

/* A hold on the segment `number`, which exists on disk. */
int segment_get(struct segments *s, uint64_t number, struct blob_segment **ret);
void segment_hold(struct blob_segment *seg);
void segment_release(struct blob_segment *seg); /* NULL is accepted */

/* Creates a new segment file, open for writing, with one hold for the caller. Its name is durable with its first sync. */
int segment_create(struct segments *s, uint64_t number, struct blob_segment **ret);
/* Appends a value; one thread at a time. */
int segment_add(struct blob_segment *seg, struct lsm_slice value, struct blob_ptr *ret);
/* All that was added before is on the disk on return. After a failure every further call returns the same error. */
int segment_sync(struct blob_segment *seg);
/* No more appends: closes the writer. Sync first, or it stays not durable until segment_sync(). */
void segment_seal(struct blob_segment *seg);

/* Reads a part of a value; see blob_read(). */
int segment_read(struct segments *s, const struct blob_ptr *ptr, uint64_t offset, void *buf, size_t size);
/* What is read of a segment from now on comes from the disk, if it isn't still to be written there: the kernel's cache may
 * have kept what a failed sync of an earlier process has given up. */
int segment_read_anew(struct segments *s, uint64_t number);
/* Checks that the record is there, whole. LSM_CORRUPT or LSM_IO if not. */
int segment_verify(struct segments *s, const struct blob_ptr *ptr);

struct segments_stats {
	uint64_t count, file_bytes, live_bytes, written_bytes;
	uint64_t garbage_bytes; /* what is not alive of the sealed segments that tables refer to */
};
void segments_get_stats(struct segments *s, struct segments_stats *ret);

/* A collection could not read a value of it. */
void segments_mark_damaged(struct segments *s, uint64_t number);
/* Calls fn for each sealed segment that is not damaged with its sizes (under the registry's lock: fn must not call back). */
void segments_each_sealed(struct segments *s,
			  void (*fn)(void *ctx, uint64_t number, uint64_t file_bytes, uint64_t live_bytes), void *ctx);
/* Is it held by anything? */
bool segments_holds(struct segments *s, uint64_t number);

#endif
