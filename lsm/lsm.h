/* SPDX-License-Identifier: MIT */
#ifndef LSM_LSM_H
#define LSM_LSM_H
/*
 * lsm.h - an embedded, ordered, durable key-value store (a log-structured merge tree).
 *
 * A store is a directory that one process owns at a time. Keys are byte strings of 1 to 65,535 bytes, ordered
 * bytewise and unsigned; values are 0 to 4 GiB - 1 bytes. Writes go to a memory-mapped write-ahead log and a
 * memtable; memtables are flushed to sorted tables, which background threads compact level by level. Values of
 * `blob_min_bytes` and more live in blob segments beside the tables and are only referred to from them.
 *
 * Durability. When a write call returns LSM_OK, the write survives the death of the process (kill -9). It survives a
 * power cut once lsm_sync() or a write with LSM_WRITE_SYNC, called after it, has returned LSM_OK. What a power cut
 * leaves is always a prefix of the history of writes: a batch is there whole or not at all, and never without those
 * that were acknowledged before it.
 *
 * Errors. Every call that can fail returns 0 (LSM_OK) or a negative LSM_* code and leaves its output parameters
 * untouched on failure. lsm_last_error() tells what happened, in which file and where (but LSM_NOT_FOUND is an answer
 * and leaves it as it is). After a failed write or sync of the log the store is read-only until it is opened again: such
 * an error is never retried silently.
 *
 * Threads. Every call may be made from any thread at any time, except that one lsm_batch, lsm_iter or lsm_value
 * belongs to one thread at a time, and that lsm_close() must be the last call on its store.
 *
 * Ownership. A lsm_slice borrows: the bytes it points to belong to whoever the call's description names. What comes
 * back through a `**` parameter belongs to the caller, who ends it with the call named there.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LSM_API __attribute__((visibility("default")))
#define LSM_CHECK_RESULT __attribute__((warn_unused_result))

#define LSM_KEY_BYTES_MAX 65535u
#define LSM_VALUE_BYTES_MAX 4294967295u
#define LSM_LEVELS 7

/* ---------------------------------------------------------------------------------------------------------------
 * Errors
 */

enum lsm_code {
	LSM_OK = 0,
	LSM_NOT_FOUND = -1,   /* no such key in the store, at that snapshot; no such name */
	LSM_CORRUPT = -2,     /* a checksum or a structure on disk is wrong; lsm_last_error() names file and offset */
	LSM_IO = -3,          /* the kernel refused or failed an operation on a file */
	LSM_NO_SPACE = -4,    /* the disk (or quota) is full; reads go on, writes work again when there is room */
	LSM_NO_MEMORY = -5,   /* an allocation failed; nothing was changed */
	LSM_INVALID = -6,     /* an argument is out of its range; nothing was changed */
	LSM_BUSY = -7,        /* another process owns the store (the message names its pid), or another call the copy */
	LSM_READ_ONLY = -8,   /* the store was opened read-only, or turned so after a failed write or sync of the log */
	LSM_UNSUPPORTED = -9, /* the store was written with a format feature that this version doesn't know */
	LSM_NOT_STORE = -10,  /* the directory is missing, or holds something else than a store */
	LSM_EXISTS = -11,     /* what was to be made anew is there already: a store, a directory, a snapshot's name */
};

/* What the last failed call of the calling thread met. */
struct lsm_error {
	int code;           /* enum lsm_code */
	int sys_errno;      /* the kernel's errno behind it, or 0 */
	char file[512];     /* the file concerned, or "" */
	uint64_t offset;    /* byte offset in the file, where one is known, else 0 */
	char message[1024]; /* one sentence: what, where, why */
};

/* The calling thread's last error. Never NULL; valid until the thread's next failing call. */
LSM_API const struct lsm_error *lsm_last_error(void);

/* The code's fixed sentence, such as "not found". Never NULL. */
LSM_API const char *lsm_strerror(int code);

/* The library's version, such as "0.1.0". */
LSM_API const char *lsm_version(void);

/* ---------------------------------------------------------------------------------------------------------------
 * Opening
 */

struct lsm_db;
struct lsm_snapshot;
struct lsm_batch;
struct lsm_iter;
struct lsm_ingest;

struct lsm_slice {
	const void *data;
	size_t size;
};

enum lsm_compression { LSM_COMPRESS_NONE = 0, LSM_COMPRESS_LZ4 = 1, LSM_COMPRESS_ZSTD = 2 };

/*
 * How tables are compacted. Leveled: few runs to read and little space for dead versions. Tiered: runs of similar size are
 * merged when tiered_runs of them have gathered, and everything when what is not in the last level is as large as
 * it: less is rewritten, more runs are to be read, and up to half of the space may be dead.
 */
enum lsm_compaction { LSM_COMPACT_LEVELED = 1, LSM_COMPACT_TIERED = 2 };

enum lsm_log_level {
	LSM_LOG_NOTICE = 1, /* what a person should know: recovery, what a crash left, errors, a store that turns read-only */
	LSM_LOG_ALL = 2,    /* also open, close, flushes, compactions, stalls, manifests, each with its reason */
};

/* lsm_options.flags */
#define LSM_OPEN_CREATE (1u << 0)    /* make the store when the directory is missing or empty */
#define LSM_OPEN_EXCLUSIVE (1u << 1) /* with LSM_OPEN_CREATE: fail with LSM_EXISTS when there is one */
#define LSM_OPEN_READ_ONLY (1u << 2) /* change nothing on disk; the log is replayed into memory */

/*
 * All fields 0 gives the defaults; docs/OPTIONS.md has the table of all. Options that shape the store's files
 * ("kept" there) are stored beside the data, in the file OPTIONS, when an open gives them: a later open that leaves them
 * at 0 takes them from there, and one that gives others changes what is stored, for what is written from then on. All
 * other options are those of this open.
 */
struct lsm_options {
	uint32_t flags;             /* LSM_OPEN_* */
	uint64_t memory_bytes;      /* budget for memtables, block cache and open tables; default 256 MiB, from 4 MiB */
	uint64_t memtable_bytes;    /* a memtable is switched at this size; default memory/8, at most 64 MiB */
	uint32_t memtables_max;     /* memtables at once, the writable one included; default 3, from 2 */
	uint32_t block_bytes;       /* uncompressed size of a table's data block; default 4096 */
	uint32_t blob_min_bytes;    /* values from this size live in blob segments; default 4096, from 64 */
	uint32_t blob_direct_bytes; /* values from this size skip log and memtable; default 32 KiB */
	uint64_t blob_segment_bytes; /* a blob segment is sealed at this size; default 64 MiB */
	uint64_t table_bytes;        /* a compaction's output is cut at this size; default 32 MiB */
	uint64_t level_base_bytes;   /* a level of at most so many bytes needs none above it but 0; default 4 memtables */
	uint32_t level_ratio;        /* of the levels' targets, each is this many times the one above; default 10, from 2 */
	uint32_t l0_tables;          /* level 0 is compacted from this many tables; default 4 */
	uint32_t filter_bits;        /* bloom filter bits a key; default 10; UINT32_MAX for none */
	uint32_t open_tables_max;    /* table files open at once; default 512 */
	uint32_t threads;            /* background compaction threads beside the flush thread; default 1, at most 16 */
	uint32_t compaction;         /* enum lsm_compaction; 0: leveled. May change from open to open */
	uint32_t tiered_runs;        /* with LSM_COMPACT_TIERED: default 6, from 2 */
	uint64_t compact_bytes_per_second; /* compactions write no faster; flushes do. Default 0: as fast as they can */
	/* enum lsm_compression + 1 for each level; 0 means the default: LZ4, but zstd in the last level once it holds 8
	 * times memory_bytes and more (zstd is smaller, and several times slower to read). */
	uint8_t level_compression[LSM_LEVELS];
	/* Called with one line for each event, a word and then key=value, from any thread, never under a lock of the
	 * library. NULL: no log. */
	void (*log)(void *ctx, const char *line);
	void *log_ctx;
	uint32_t log_level; /* enum lsm_log_level; 0: LSM_LOG_NOTICE */
	/* For tests: another implementation of the system calls (lsm/env/env.h). NULL: posix. */
	struct env *env;
};

/*
 * Sets the option `name` to what `value` says: a number, for sizes with K, M, G or T behind it ("64M"), "none" where the
 * table allows it, a word ("zstd"; for each level one, joined by commas, the last one going on), or "default", which is 0.
 * LSM_INVALID, and no change, for a value out of range and for an unknown name: the message has the range, or the name that
 * comes nearest. Flags, log and env are set in the struct only.
 */
LSM_API LSM_CHECK_RESULT int lsm_options_set(struct lsm_options *options, const char *name, const char *value);

/* All options with their values (of `options`; NULL: none given), defaults, ranges and meanings, a line each. The caller
 * frees it with free(). NULL: no memory, or LSM_INVALID as lsm_open() would say. */
LSM_API char *lsm_options_text(const struct lsm_options *options);

/* The options of an open store, with all that was left at 0 filled in, but for what 0 says itself: no limit, and the last
 * level's compression, which depends on its size. */
LSM_API void lsm_get_options(struct lsm_db *db, struct lsm_options *ret);

/*
 * Opens the store in directory `path`; ends a crash's leftovers and replays the log. `options` may be NULL for the
 * defaults (which don't create) and is not kept.
 * Errors: LSM_INVALID for an option out of range, LSM_NOT_STORE, LSM_EXISTS, LSM_BUSY, LSM_UNSUPPORTED, LSM_CORRUPT,
 * LSM_IO, LSM_NO_SPACE, LSM_NO_MEMORY. End with lsm_close().
 */
LSM_API LSM_CHECK_RESULT int lsm_open(const char *path, const struct lsm_options *options, struct lsm_db **ret_db);

/*
 * Makes all acknowledged writes durable, stops the background threads and gives the store back. All iterators,
 * snapshots, batches and values of the store must have been ended. NULL is accepted. The store is closed whatever is
 * returned; the code tells whether all that was acknowledged is durable (the error of the final sync otherwise).
 */
LSM_API int lsm_close(struct lsm_db *db);

/* ---------------------------------------------------------------------------------------------------------------
 * Reading
 */

/* A value that is held in place, without a copy where that is possible. Zero-initialize, or let lsm_get() fill it. */
struct lsm_value {
	const void *data;
	size_t size;
	void *pin[3]; /* private */
};

/*
 * Looks `key` up at `snapshot` (NULL: now). On LSM_OK, `*ret` holds the value until lsm_value_release().
 * Errors: LSM_NOT_FOUND, LSM_INVALID (key size), LSM_CORRUPT, LSM_IO, LSM_NO_MEMORY.
 */
LSM_API LSM_CHECK_RESULT int lsm_get(struct lsm_db *db, const struct lsm_snapshot *snapshot, struct lsm_slice key,
				     struct lsm_value *ret);

/* Ends a value; a zeroed or released one is accepted. */
LSM_API void lsm_value_release(struct lsm_value *value);

/*
 * Copies up to `size` bytes from byte `offset` of the value of `key` into `buf`. A large value is not read whole: only
 * the chunks that the range touches are read and checked. `*ret_copied` gets the bytes copied (0 at or past the end),
 * `*ret_value_size` (may be NULL) the whole value's size. Errors: as lsm_get().
 */
LSM_API LSM_CHECK_RESULT int lsm_get_range(struct lsm_db *db, const struct lsm_snapshot *snapshot, struct lsm_slice key,
					   uint64_t offset, void *buf, size_t size, size_t *ret_copied,
					   uint64_t *ret_value_size);

/*
 * Looks `n` keys up at one moment. values[i] and codes[i] get what lsm_get() would give for keys[i]; each value whose
 * code is LSM_OK is to be released. Returns LSM_OK when each code is LSM_OK or LSM_NOT_FOUND, else the first other.
 */
LSM_API LSM_CHECK_RESULT int lsm_multi_get(struct lsm_db *db, const struct lsm_snapshot *snapshot, size_t n,
					   const struct lsm_slice *keys, struct lsm_value *values, int *codes);

/* ---------------------------------------------------------------------------------------------------------------
 * Writing
 */

/* Flags of the write calls. */
#define LSM_WRITE_SYNC (1u << 0) /* return when the write is durable; concurrent ones share one fdatasync */
/* The write will free space: it deletes, and what it puts is small and goes with that. It may use what is kept of a full disk,
 * where others get LSM_NO_SPACE. */
#define LSM_WRITE_FREES (1u << 1)

/*
 * put: sets a key. delete: removes it, present or not. delete_range: removes all keys k with begin <= k < end at the
 * cost of one small record. Each is atomic.
 * Errors: LSM_INVALID (sizes; begin >= end), LSM_READ_ONLY, LSM_NO_SPACE, LSM_IO, LSM_NO_MEMORY. After an error of a
 * write without LSM_WRITE_SYNC nothing was written. With it, an error can also mean that the write is done but not known
 * to be durable: after LSM_IO and LSM_NO_SPACE the store is read-only then, after LSM_NO_MEMORY lsm_sync() may be tried.
 */
LSM_API LSM_CHECK_RESULT int lsm_put(struct lsm_db *db, struct lsm_slice key, struct lsm_slice value, unsigned flags);
LSM_API LSM_CHECK_RESULT int lsm_delete(struct lsm_db *db, struct lsm_slice key, unsigned flags);
LSM_API LSM_CHECK_RESULT int lsm_delete_range(struct lsm_db *db, struct lsm_slice begin, struct lsm_slice end,
					      unsigned flags);

/*
 * A batch collects operations that become visible and durable together; later ones win over earlier ones. Its size is
 * bounded by memory (4 GiB - 1 bytes of keys and of values below `blob_direct_bytes`, and as much again while it is applied,
 * if it is larger than a memtable: it is written to a table at once then, and is durable; larger values are stored at once
 * and take no memory). Keys and values are copied: the caller's bytes may go after each call.
 * Errors of the adding calls: LSM_INVALID, LSM_NO_MEMORY, and for large values LSM_NO_SPACE, LSM_IO, LSM_READ_ONLY; the
 * batch is as it was before the failed call.
 */
LSM_API LSM_CHECK_RESULT int lsm_batch_new(struct lsm_db *db, struct lsm_batch **ret_batch);
LSM_API LSM_CHECK_RESULT int lsm_batch_put(struct lsm_batch *batch, struct lsm_slice key, struct lsm_slice value);
LSM_API LSM_CHECK_RESULT int lsm_batch_delete(struct lsm_batch *batch, struct lsm_slice key);
LSM_API LSM_CHECK_RESULT int lsm_batch_delete_range(struct lsm_batch *batch, struct lsm_slice begin,
						    struct lsm_slice end);
/*
 * Sets `key` to bytes [offset, offset + size) of the value at which `source`, an iterator of the same store, stands.
 * A large value is not copied: the new key refers to the same stored bytes. LSM_INVALID if the range leaves the value.
 */
LSM_API LSM_CHECK_RESULT int lsm_batch_put_part(struct lsm_batch *batch, struct lsm_slice key, struct lsm_iter *source,
						uint64_t offset, uint64_t size);
/* The number of operations in the batch. */
LSM_API size_t lsm_batch_count(const struct lsm_batch *batch);
/* Empties the batch, keeping its memory. */
LSM_API void lsm_batch_clear(struct lsm_batch *batch);
LSM_API void lsm_batch_free(struct lsm_batch *batch);

/* Applies the batch atomically; it is unchanged, and may be cleared or freed. Errors: as lsm_put(). An empty batch is
 * fine (with LSM_WRITE_SYNC it is lsm_sync()). */
LSM_API LSM_CHECK_RESULT int lsm_write(struct lsm_db *db, struct lsm_batch *batch, unsigned flags);

/*
 * A load writes sorted data straight to tables and blob segments, once, past log and memtable. lsm_ingest_put() takes the keys
 * in strictly ascending order, and copies key and value. Nothing is visible until lsm_ingest_finish(), which makes all of it
 * visible at one moment, newer than every write that was acknowledged before and older than all that begin
 * after; on return it is durable, and so is every write before it. The tables go to the deepest level above which nothing
 * overlaps them, else to level 0, where compaction takes them on. Writers wait while finish() flushes what they wrote just before.
 * A load belongs to one thread at a time; several may run at once. A crash, an abort or an error leaves nothing of it.
 *
 * put: LSM_INVALID (sizes; not behind the key before): the load is as it was. After LSM_IO, LSM_NO_SPACE, LSM_NO_MEMORY
 * every further call returns the same, and only lsm_ingest_abort() or lsm_ingest_finish() is left.
 * finish: ends the load whatever it returns; LSM_READ_ONLY, LSM_IO, LSM_NO_SPACE, LSM_NO_MEMORY.
 * abort: ends it and deletes its files; NULL is accepted.
 */
LSM_API LSM_CHECK_RESULT int lsm_ingest_new(struct lsm_db *db, struct lsm_ingest **ret_ingest);
LSM_API LSM_CHECK_RESULT int lsm_ingest_put(struct lsm_ingest *ingest, struct lsm_slice key, struct lsm_slice value);
LSM_API LSM_CHECK_RESULT int lsm_ingest_finish(struct lsm_ingest *ingest);
LSM_API void lsm_ingest_abort(struct lsm_ingest *ingest);

/* Makes every write that was acknowledged before this call durable. Concurrent callers share one fdatasync.
 * Errors: LSM_IO, LSM_NO_SPACE, LSM_READ_ONLY: the store is read-only from then on. */
LSM_API LSM_CHECK_RESULT int lsm_sync(struct lsm_db *db);

/* ---------------------------------------------------------------------------------------------------------------
 * Snapshots and iterators
 */

/* A snapshot is the store as it is now; it keeps old versions of keys from being dropped, and costs nothing else.
 * It does not outlive the process; a named one does, below. */
LSM_API LSM_CHECK_RESULT int lsm_snapshot_new(struct lsm_db *db, struct lsm_snapshot **ret_snapshot);
LSM_API void lsm_snapshot_free(struct lsm_db *db, struct lsm_snapshot *snapshot);

/*
 * A named snapshot stays until it is deleted, across opens. lsm_snapshot_create() names the store as it is now: on
 * return the name, and all that was written before the call, are durable. It copies nothing: the cost is that of
 * lsm_sync() and of one record. A name is text of 1 to LSM_SNAPSHOT_NAME_MAX bytes.
 * Errors: LSM_INVALID (the name; more than LSM_SNAPSHOT_NAMES_MAX of them), LSM_EXISTS, LSM_READ_ONLY, LSM_IO,
 * LSM_NO_SPACE, LSM_NO_MEMORY.
 */
#define LSM_SNAPSHOT_NAME_MAX 255
#define LSM_SNAPSHOT_NAMES_MAX 1024
LSM_API LSM_CHECK_RESULT int lsm_snapshot_create(struct lsm_db *db, const char *name);
/* The named snapshot as one to read at; end it with lsm_snapshot_free(), which leaves the name as it is. LSM_NOT_FOUND,
 * LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_snapshot_open(struct lsm_db *db, const char *name, struct lsm_snapshot **ret_snapshot);
/* Deletes the name, durably. Snapshots that were opened by it stay valid. LSM_NOT_FOUND, LSM_READ_ONLY, LSM_IO,
 * LSM_NO_SPACE, LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_snapshot_delete(struct lsm_db *db, const char *name);

struct lsm_snapshot_info {
	const char *name;    /* valid during the call */
	uint64_t sequence;   /* of the last write that it shows */
	uint64_t created_us; /* microseconds since 1970 */
};
/* Calls fn for each named snapshot, by name, under no lock; a non-zero result ends the listing and is returned.
 * LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_snapshot_list(struct lsm_db *db,
					       int (*fn)(void *ctx, const struct lsm_snapshot_info *info), void *ctx);

struct lsm_iter_options {
	const struct lsm_snapshot *snapshot; /* NULL: the moment of lsm_iter_new(); must outlive the iterator */
	struct lsm_slice lower;              /* first key of the range; size 0: no bound. Copied. */
	struct lsm_slice upper;              /* first key behind the range; size 0: no bound. Copied. */
};

/* An iterator over the keys of a range at one moment, in both directions. It starts invalid: seek first. It keeps the
 * tables and memtables of its moment from being freed. `options` may be NULL. */
LSM_API LSM_CHECK_RESULT int lsm_iter_new(struct lsm_db *db, const struct lsm_iter_options *options,
					  struct lsm_iter **ret_iter);
LSM_API void lsm_iter_free(struct lsm_iter *iter);

LSM_API void lsm_iter_seek_first(struct lsm_iter *iter);
LSM_API void lsm_iter_seek_last(struct lsm_iter *iter);
LSM_API void lsm_iter_seek(struct lsm_iter *iter, struct lsm_slice key);      /* to the first key >= `key` */
LSM_API void lsm_iter_seek_prev(struct lsm_iter *iter, struct lsm_slice key); /* to the last key <= `key` */
LSM_API void lsm_iter_next(struct lsm_iter *iter); /* the iterator must be valid, here and below */
LSM_API void lsm_iter_prev(struct lsm_iter *iter);

/* False at the end of the range or after an error: lsm_iter_status() tells which. */
LSM_API bool lsm_iter_valid(const struct lsm_iter *iter);
/* LSM_OK, or the error that ended the iteration: LSM_CORRUPT, LSM_IO, LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_iter_status(const struct lsm_iter *iter);
/* The current key, valid until the iterator moves. */
LSM_API struct lsm_slice lsm_iter_key(const struct lsm_iter *iter);
/* The current value's size, without reading it. */
LSM_API uint64_t lsm_iter_value_size(const struct lsm_iter *iter);
/* The current value, valid until the iterator moves. Errors: LSM_CORRUPT, LSM_IO, LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_iter_value(struct lsm_iter *iter, struct lsm_slice *ret_value);
/* Copies bytes [offset, offset + size) of the current value, cut at its end; see lsm_get_range(). */
LSM_API LSM_CHECK_RESULT int lsm_iter_read(struct lsm_iter *iter, uint64_t offset, void *buf, size_t size,
					   size_t *ret_copied);

/* ---------------------------------------------------------------------------------------------------------------
 * Upkeep and observation
 */

/* Writes the memtables out as tables and waits for it. Errors: LSM_IO, LSM_NO_SPACE, LSM_READ_ONLY. */
LSM_API LSM_CHECK_RESULT int lsm_flush(struct lsm_db *db);

/* Flushes, then compacts all tables that touch [begin, end) down to the last level; size 0 means no bound. Garbage in
 * blob segments that they refer to is collected. Errors: as lsm_flush(), LSM_CORRUPT. */
LSM_API LSM_CHECK_RESULT int lsm_compact_range(struct lsm_db *db, struct lsm_slice begin, struct lsm_slice end);

/*
 * Makes directory `dir` a store of its own that holds what this one holds now: all that was written before the call, its
 * named snapshots, its kept options, and of what is written meanwhile a beginning. On the same file system nothing is copied but the memtables:
 * tables and blob segments get a second name (hard links; they never change), so the time does not depend on
 * their size, and their space counts once until the two stores part. Elsewhere they are copied. Reads and writes go on.
 *
 * `dir` must not exist, its parent must. The files are gathered in `dir`.tmp, which is renamed when all is durable: a crash
 * leaves no `dir`, or a whole one. What it leaves of `dir`.tmp the next attempt removes.
 * Errors: LSM_EXISTS, LSM_BUSY (another call is making the same), LSM_READ_ONLY, LSM_INVALID, LSM_IO, LSM_NO_SPACE,
 * LSM_NO_MEMORY; `dir` does not exist then.
 */
LSM_API LSM_CHECK_RESULT int lsm_checkpoint(struct lsm_db *db, const char *dir);

/*
 * Backups. A directory of backups, on any file system, holds any number of them, of one store or several. A file of a store
 * is copied there once and shared by all backups that have it, so a backup copies what is new since the last
 * one. Every copy is read back and compared; a backup counts when all of it is durable. A crash leaves the earlier ones
 * whole, and what it leaves besides is removed by the next call that writes.
 */
struct lsm_copy_options {
	/* Called now and then with the bytes done and to do; a non-zero result ends the call, which returns it. */
	int (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
	void *ctx;
};

struct lsm_backup_info {
	uint64_t number;       /* 1, 2, … in its directory */
	int code;              /* LSM_OK; else why the backup can't be read, and the rest is 0 */
	uint64_t created_us;   /* microseconds since 1970 */
	uint64_t sequence;     /* the store's last sequence number then */
	uint64_t files, bytes; /* of all that it needs */
	uint64_t copied_bytes; /* of what was new */
};

/*
 * Makes a backup of what the store holds now, as lsm_checkpoint() takes it, in directory `dir`, which is made if only
 * its last component is missing. `options` and `ret` may be NULL. Reads and writes go on. The store's kept options
 * (lsm_options) are not part of it: they shape files to come, and none that is there.
 * Errors: LSM_NOT_STORE (`dir` holds other files), LSM_BUSY, LSM_READ_ONLY, LSM_CORRUPT (a copy differs from what was
 * written), LSM_INVALID, LSM_IO, LSM_NO_SPACE, LSM_NO_MEMORY: there is no new backup then.
 */
LSM_API LSM_CHECK_RESULT int lsm_backup(struct lsm_db *db, const char *dir, const struct lsm_copy_options *options,
					struct lsm_backup_info *ret);
/* Calls fn for each backup in `dir`, the oldest first; a non-zero result ends the listing and is returned. LSM_NOT_STORE,
 * LSM_BUSY, LSM_IO, LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_backup_list(const char *dir, int (*fn)(void *ctx, const struct lsm_backup_info *info),
					     void *ctx);
/* Reads every file of backup `number` (0: of all) and compares it with its checksum. LSM_NOT_FOUND, LSM_CORRUPT (which
 * file), LSM_NOT_STORE, LSM_BUSY, LSM_IO, LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_backup_verify(const char *dir, uint64_t number,
					       const struct lsm_copy_options *options);
/* Deletes backup `number`, and the files that no other has. LSM_NOT_FOUND; LSM_CORRUPT: another one can't be read, so the
 * files stay. LSM_NOT_STORE, LSM_BUSY, LSM_IO, LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_backup_delete(const char *dir, uint64_t number);
/*
 * Makes directory `target` the store that was backed up as `number` (0: the newest). `target` must not exist; it
 * appears when all is copied, compared with its checksums and durable.
 * Errors: LSM_NOT_FOUND, LSM_EXISTS, LSM_CORRUPT (a file of the backup is damaged or missing), LSM_NOT_STORE, LSM_BUSY,
 * LSM_IO, LSM_NO_SPACE, LSM_NO_MEMORY: there is no `target` then.
 */
LSM_API LSM_CHECK_RESULT int lsm_restore(const char *dir, uint64_t number, const char *target,
					 const struct lsm_copy_options *options);

/* Bytes on disk, and in memtables, of the keys in [begin, end): an estimate from the tables' indexes, without reading
 * data. Size 0 means no bound. Errors: LSM_CORRUPT, LSM_IO. */
LSM_API LSM_CHECK_RESULT int lsm_approximate_size(struct lsm_db *db, struct lsm_slice begin, struct lsm_slice end,
						  uint64_t *ret_bytes);

struct lsm_level_stats {
	uint64_t tables;
	uint64_t bytes;              /* table files; without blob segments */
	uint64_t compact_read_bytes; /* by compactions into this level */
	uint64_t compact_written_bytes;
	double score; /* how full the level is: it is compacted from 1 on. The last level: 0 */
};

/* Counters since lsm_open(), and gauges (marked g). */
struct lsm_stats {
	uint64_t gets, gets_found, iterators, seeks;
	uint64_t writes;                    /* batches and single operations */
	uint64_t operations;                /* puts, deletes, range deletes */
	uint64_t user_bytes;                /* keys and values as given */
	uint64_t log_bytes;                 /* appended to the log */
	uint64_t blob_bytes_written;        /* to blob segments: by writers, flushes, collections */
	uint64_t loads, load_bytes_written; /* lsm_ingest_finish(): tables and blob segments */
	uint64_t flush_bytes_written, compact_bytes_read, compact_bytes_written;
	uint64_t syncs_asked, syncs_done; /* callers that wanted durability; fdatasync rounds that gave it */
	uint64_t flushes, compactions, trivial_moves;
	uint64_t tables_dropped;                 /* wholly under a range delete, without being read */
	uint64_t entries_skipped;                /* deleted and overwritten ones that iterators stepped over */
	uint64_t delays, delay_us, delay_us_max; /* writes held back; for how long in all, and at most */
	uint64_t block_cache_hits, block_cache_misses;
	uint64_t filter_useful, filter_false; /* filters that spared a table; that did not though the key was absent */
	uint64_t memory_bytes;                /* g: charged to the budget now */
	uint64_t memory_budget_bytes;         /* g */
	uint64_t memtable_bytes;              /* g: all memtables */
	uint64_t memtables;                   /* g */
	uint64_t sequence;                    /* g: the last sequence number given out */
	uint64_t snapshots;                   /* g: held, and named */
	uint64_t blob_segments;               /* g */
	uint64_t blob_bytes;                  /* g: sizes of the blob segments */
	uint64_t blob_live_bytes; /* g: referred to by the current tables; what two keys share counts twice */
	uint64_t
		blob_garbage_bytes; /* g: the rest of the segments that tables refer to; what memtables hide is not known */
	uint64_t log_segments;      /* g: log segments that hold live records */
	uint64_t disk_bytes;        /* g: tables + blobs + log segments */
	uint64_t recovery_us, recovered_records;   /* of lsm_open() */
	struct lsm_level_stats levels[LSM_LEVELS]; /* g */
};
LSM_API void lsm_get_stats(struct lsm_db *db, struct lsm_stats *ret);

enum lsm_histogram {
	LSM_HISTOGRAM_GET,        /* lsm_get(), lsm_get_range(); one in 61 of each thread's */
	LSM_HISTOGRAM_WRITE,      /* lsm_put(), lsm_delete(), lsm_write(), with all waiting; one in 61 of each thread's */
	LSM_HISTOGRAM_SYNC,       /* waiting for durability, by each caller that asked for it */
	LSM_HISTOGRAM_FLUSH,      /* a memtable becomes a table */
	LSM_HISTOGRAM_COMPACTION, /* that rewrites tables */
	LSM_HISTOGRAM_STALL,      /* a write held back: max_ns is the longest single wait */
	LSM_HISTOGRAMS,
};

/* Durations since lsm_open(). Percentiles are right to 2 %. All 0 when nothing was timed. */
struct lsm_histogram_summary {
	uint64_t count;
	uint64_t mean_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
};
/* LSM_INVALID, LSM_NO_MEMORY. */
LSM_API LSM_CHECK_RESULT int lsm_get_histogram(struct lsm_db *db, enum lsm_histogram which,
					       struct lsm_histogram_summary *ret);

/* The same as text, with percentiles and the table of levels, for people. The caller frees it with free(). NULL: no memory. */
LSM_API char *lsm_stats_text(struct lsm_db *db);

/* ---------------------------------------------------------------------------------------------------------------
 * Checking a store
 */

enum lsm_find_severity {
	LSM_FIND_INFO,   /* nothing is wrong: a file that belongs to nothing, a torn tail, damage in bytes that nobody needs */
	LSM_FIND_DAMAGE, /* something is wrong, missing or can't be read */
};

/* Something that a check has found. All it points to is valid during the call. */
struct lsm_find {
	enum lsm_find_severity severity;
	int code;         /* LSM_CORRUPT, LSM_IO, LSM_UNSUPPORTED; LSM_OK for what is only told */
	const char *file; /* its path; never NULL */
	uint64_t offset;  /* in the file, where one is known, else 0 */
	const char *what; /* one sentence */
	/* The keys that may be concerned: those from begin to before end. Both of size 0: not known, or none; only `end` of
	 * size 0: the one key `begin`. */
	struct lsm_slice begin, end;
};

struct lsm_check_options {
	/* Called for each find; a non-zero code ends the check and is returned. May be NULL. */
	int (*find)(void *ctx, const struct lsm_find *find);
	/* Called now and then with the bytes read and to be read; likewise. May be NULL. */
	int (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
	void *ctx;
	struct env *env; /* for tests, as in lsm_options */
};

/*
 * Reads every file of the store in directory `path`, which nobody has open, and compares all that is said twice: checksums of
 * all blocks, records and chunks; the order of keys; indexes, filters, counts and bounds of tables; the manifest and its
 * levels; the log as an open would replay it; and that each pointer to a large value leads to one. Nothing is changed (but
 * that LOCK is made if it is missing). The check goes on behind what it finds. `options` may be NULL.
 * Memory: 16 bytes for each large value, and one table's block at a time.
 * Errors: LSM_CORRUPT (there was at least one LSM_FIND_DAMAGE; lsm_last_error() has the first), LSM_UNSUPPORTED (one of them
 * was a file of a later version), LSM_BUSY, LSM_NOT_STORE, LSM_IO, LSM_NO_MEMORY.
 */
LSM_API LSM_CHECK_RESULT int lsm_check(const char *path, const struct lsm_check_options *options);

struct lsm_repair_options {
	/* A directory for what is taken out of the store, made if its last component is missing. On the store's file system
	 * nothing is copied but the log. May be NULL with plan_only. */
	const char *lost;
	bool plan_only; /* tell the steps, and change nothing */
	/* Called with each step, before it is taken: one sentence. A non-zero code ends the repair and is returned; what is
	 * done by then stays. May be NULL. */
	int (*step)(void *ctx, const char *what);
	void *ctx;
	struct env *env; /* for tests, as in lsm_options */
};

/*
 * Makes the store in directory `path`, which nobody has open, one in which lsm_check() finds no damage, with all that can be
 * read:
 *  - What can be read of a damaged table becomes a new one. Where an unreadable block had the newest version of a key, an
 *    older one may show.
 *  - A key whose large value can't be read is deleted; what can be read of the value goes to a file in `lost`, with zeros for
 *    the rest.
 *  - A missing or damaged manifest is made anew from all tables, which are merged into one level. Named snapshots are gone then.
 *  - A log that is damaged in its middle is applied up to there.
 * What is replaced is kept in `lost`. If nothing is damaged, nothing is done.
 * A crash leaves a store that can be repaired again.
 * Errors: LSM_CORRUPT (there is damage yet that this can't mend), LSM_UNSUPPORTED (a file is of a later version: nothing was
 * changed), LSM_BUSY, LSM_NOT_STORE, LSM_INVALID, LSM_IO, LSM_NO_SPACE, LSM_NO_MEMORY.
 */
LSM_API LSM_CHECK_RESULT int lsm_repair(const char *path, const struct lsm_repair_options *options);

/* ---------------------------------------------------------------------------------------------------------------
 * Looking into files
 */

enum lsm_dump_kind {
	LSM_DUMP_ANY = 0, /* what the file says of itself, else what its name says */
	LSM_DUMP_WAL,
	LSM_DUMP_TABLE,
	LSM_DUMP_MANIFEST,
	LSM_DUMP_BLOB,
	LSM_DUMP_TEXT, /* CURRENT, OPTIONS */
};

/* Flags of lsm_dump(). */
#define LSM_DUMP_FULL (1u << 0) /* keys and values whole; else 48 bytes of each are shown */
#define LSM_DUMP_KEYS (1u << 1) /* of values only the size */
#define LSM_DUMP_HEX (1u << 2)  /* keys and values as hexadecimal digits; else as text with \xNN in it */

/*
 * Shows one file of a store as lines of text (without a newline), each given to `line`, whose non-zero code ends the dump
 * and is returned. The store may be open or not, here or elsewhere: the file is only read; of one that is being written,
 * what is there so far. Keys and values are escaped, so that a line is a line.
 * What is damaged gets a line that begins with "DAMAGED at byte N:", and the dump goes on behind it where that can be; then
 * LSM_CORRUPT is returned in the end. The torn end of a log is no damage.
 * Errors: LSM_INVALID (the kind can't be told), LSM_CORRUPT, LSM_UNSUPPORTED, LSM_IO, LSM_NO_MEMORY.
 */
LSM_API LSM_CHECK_RESULT int lsm_dump(enum lsm_dump_kind kind, const char *path, uint32_t flags,
				      int (*line)(void *ctx, const char *text), void *ctx);

#ifdef __cplusplus
}
#endif
#endif
