/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_DB_H
#define LSM_STORE_DB_H
/*
 * db - what the rooms of the store layer share.
 *
 * Lock order (a thread takes them only downwards): commit, manifest, tree, and the leaves direct, sync and those inside of
 * lower modules. Readers take none of them: they enter the epoch and follow `current`.
 */
#include "lsm/base/histogram.h"
#include "lsm/env/epoch.h"
#include "lsm/env/sync.h"
#include "lsm/format/wal.h"
#include "lsm/memory/batch.h"
#include "lsm/tree/garbage.h"
#include "lsm/tree/manifest.h"
#include "lsm/tree/picker.h"
#include "lsm/work/build.h"

enum {
	MEMTABLES_MAX = 16,
	JOBS_MAX = 32, /* compactions at once: background threads and callers of lsm_compact_range() */
};

/* All that a reader looks at, newest first: immutable but for the entries that are added to `mem`. */
struct superversion {
	_Atomic uint32_t refs;
	struct superversion *next;           /* on lsm_db.retired; tree lock */
	struct memtable *mem;                /* the writable one */
	struct memtable *imm[MEMTABLES_MAX]; /* waiting for the flush, the newest first */
	unsigned imm_n;
	struct version *version;
};

struct lsm_snapshot {
	uint64_t sequence;
	struct lsm_snapshot *prev, *next; /* ascending; tree lock */
};

struct read_counters {
	_Alignas(64) _Atomic uint64_t gets;
	_Atomic uint64_t found, iterators, seeks, skipped, filtered, filter_false;
};

struct running_job {
	bool used;
	unsigned output_level;
	struct lsm_slice begin, end; /* borrowed from the job's inputs */
};

struct lsm_batch {
	struct lsm_db *db;
	struct batch batch;
	struct blob_segment **segments; /* that it refers to; each held */
	size_t segments_n;
	uint64_t large_bytes; /* of the large values written for it */
};

struct lsm_db {
	/* Set at open. */
	struct env *env;
	char *dir;
	struct lsm_options options; /* with what the store keeps and the defaults filled in */
	bool read_only;
	bool is_new; /* the directory held no store */
	struct salvage *salvage; /* of a repair, or NULL */
	uint64_t wal_segment_bytes;
	struct env_lock *file_lock;
	struct block_cache *blocks;
	struct table_cache *tables;
	struct segments *segments;
	struct tree tree;
	struct wal *wal;
	struct epoch *epoch;
	struct picker_options picker;
	uint64_t recovery_us, recovered_records;

	/* commit: one writer at a time */
	struct mutex commit;
	struct memtable *mem;           /* the current superversion's */
	uint64_t mem_large_bytes;       /* of large values that it refers to */
	size_t mem_charge_at;           /* its size at which the cache's budget is adjusted again */
	_Atomic uint64_t last_sequence; /* published; commit to change it */
	_Atomic uint64_t acked_lsn;     /* the log's end; commit to change it */

	/* direct: the segment that large values are written to as they come */
	struct mutex direct;
	struct blob_segment *direct_segment; /* held, or NULL */
	struct blob_segment **unsynced;      /* direct segments that may have unsynced bytes; each held */
	size_t unsynced_n;

	/* sync: who waits for durability */
	struct mutex sync;
	struct cond sync_done;
	bool syncing;
	uint64_t durable_lsn;
	uint64_t sync_rounds;   /* begun */
	unsigned sync_waiting;  /* threads that wait for the next round */
	unsigned sync_expected; /* threads that the next round had better wait for */
	uint64_t sync_us;       /* what a round takes, on average of late */

	/* manifest: one edit at a time */
	struct mutex manifest_lock;
	struct manifest *manifest; /* NULL after one failed: the next edit starts a new one */
	uint64_t first_segment;    /* of the log, as the manifest says */
	struct named_list named;   /* snapshots; the tree lock, too, to change it; either to read it */

	/* tree */
	struct mutex lock;
	struct cond work;                       /* something to do for a background thread */
	struct cond change;                     /* a job has ended, the superversion changed, or the store failed */
	_Atomic(struct superversion *) current; /* tree lock to change it */
	struct superversion *retired;           /* replaced; to be freed when the epoch has passed */
	struct lsm_snapshot snapshots;          /* the ring's head */
	uint64_t snapshots_n;
	struct running_job running[JOBS_MAX];
	unsigned jobs_running;
	uint64_t version_seeks, version_gets; /* counted when the version changed last; see read_totals() */
	bool loading;                   /* a load is choosing its levels: no job may begin */
	uint64_t flush_started_us;      /* 0: none is running */
	_Atomic uint64_t flush_us;      /* what one takes, on average; tree lock to change it */
	struct lsm_error failure;       /* why the store is read-only, once `failed` is set */
	struct lsm_error flush_failure; /* the last flush's error; code 0 after a success */

	atomic_bool failed;
	atomic_bool closing;
	_Atomic uint64_t next_number;
	_Atomic uint64_t delay_ps_per_byte; /* back-pressure of the tree now: picoseconds that a written byte costs */
	/* The line of memtables is full; when the flush will probably end. 0: it isn't. */
	_Atomic uint64_t flush_due_us;
	_Atomic uint64_t mem_left_bytes;  /* until the memtable is switched; commit to change it */
	_Atomic uint64_t pace_ns;         /* the writers' clock (pace.c) */
	_Atomic uint64_t compact_pace_us; /* what compactions have written is paid for up to here */
	_Atomic int64_t charged_bytes;    /* of memtables, in the cache's budget */
	_Atomic uint64_t hold_bytes, hold_bytes_max, segment_bytes, large_delay_ps; /* see garbage_limits() */
	struct mutex space;           /* one look at the disk at a time */
	_Atomic int64_t space_left;   /* bytes that may be written before the disk is asked again */
	_Atomic uint64_t frees, frees_awaited; /* writes that free space, and how many of them a writer has waited for */
	atomic_bool short_of_space;   /* only what frees space is written: what is dead goes at once */
	_Atomic unsigned collect_all; /* lsm_compact_range() calls: segments are collected without need */

	/* For the log; see event.h. */
	bool ending; /* lsm_close() has begun */
	struct {
		uint64_t first_segment;            /* of a memtable that was switched */
		unsigned reason;                   /* enum flush_reason */
	} switched[MEMTABLES_MAX];                 /* the newest first; tree lock */
	_Atomic uint64_t room_waits, room_wait_us; /* writers that waited for a flush */
	_Atomic uint64_t manifest_begun;           /* number of the last manifest that was begun */
	uint64_t flush_start_ns;                   /* of the flush that is going on; the flush thread's */

	struct env_thread *threads[17];
	unsigned threads_n;

	struct read_counters reads[EPOCH_SLOTS]; /* by epoch slot, so that readers don't share a line */
	_Atomic uint64_t writes, operations, user_bytes, syncs_asked, syncs_done, flushes, compactions, trivial_moves,
		delays, delay_us, delay_us_max, tables_dropped, loads, load_bytes_written, flush_bytes_written,
		compact_bytes_read, compact_bytes_written;
	_Atomic uint64_t level_read[LSM_LEVELS], level_written[LSM_LEVELS];
	struct histogram histograms[LSM_HISTOGRAMS];
};

#define count(counter, n) atomic_fetch_add_explicit(&(counter), (n), memory_order_relaxed)
/* Of a counter that nobody else changes: an epoch slot's owner, inside. */
#define count_own(counter)                                                                            \
	atomic_store_explicit(&(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + 1, \
			      memory_order_relaxed)
#define counted(counter) atomic_load_explicit(&(counter), memory_order_relaxed)

/* histograms.c */

/*
 * Calls that are as short as a look at the clock are not timed each: of each thread's, one in 61 is. (A prime, so that no
 * rhythm of the caller's keeps in step.) 0: this one isn't.
 */
enum { SAMPLE_EVERY = 61 };
extern _Thread_local unsigned sample_turns[LSM_HISTOGRAMS] __attribute__((tls_model("initial-exec")));

static inline uint64_t sample_begin(struct lsm_db *db, enum lsm_histogram which)
{
	if (__builtin_expect(sample_turns[which]++ != 0, 1)) {
		if (sample_turns[which] == SAMPLE_EVERY)
			sample_turns[which] = 0;
		return 0;
	}
	return env_now_ns(db->env);
}

/* Notes what has taken from `start_ns`, a time of env_now_ns(), until now. */
void observe_since(struct lsm_db *db, enum lsm_histogram which, uint64_t start_ns);

static inline void sample_end(struct lsm_db *db, enum lsm_histogram which, uint64_t start_ns)
{
	if (__builtin_expect(start_ns != 0, 0))
		observe_since(db, which, start_ns);
}

/* A write has waited, or slowed down, for a flush since `start_ns`. */
void note_room_wait(struct lsm_db *db, uint64_t start_ns);

/* event.c */

/* The memtable is about to be switched. commit and tree lock. */
void flush_reason_note(struct lsm_db *db, bool idle);
/* A line of what the log is always told (LSM_LOG_NOTICE). Under no lock. */
void db_log(struct lsm_db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* stats.c: all seeks and gets until now. */
void read_totals(const struct lsm_db *db, uint64_t *ret_seeks, uint64_t *ret_gets);

/* superversion.c */
int superversion_new(struct memtable *mem, struct memtable *const *imm, unsigned imm_n, struct version *version,
		     struct superversion **ret);
void superversion_unref(struct superversion *sv);
/* A reference, for longer use than a stay in the epoch. */
struct superversion *superversion_get(struct lsm_db *db);
/* Makes `sv` current (takes over the reference). tree lock. */
void superversion_set(struct lsm_db *db, struct superversion *sv);
/* Frees what was replaced; called by background threads, without locks. */
void superversion_collect(struct lsm_db *db);
/* At the end, when no thread is left: frees the current one, too. */
void superversion_collect_all(struct lsm_db *db);
/* Adjusts the cache's budget to what the memtables take. */
void memtables_charge(struct lsm_db *db);
uint64_t new_number(void *db);
/* install.c: applies an edit: manifest, version, superversion without the `flushed_n` oldest memtables. On failure, the
 * files that the edit adds may be deleted only while the store isn't `failed`. */
int install(struct lsm_db *db, struct edit *e, unsigned flushed_n);

/* The same for an edit that changes only named snapshots. LSM_EXISTS, LSM_NOT_FOUND, LSM_INVALID (too many). */
int install_named(struct lsm_db *db, struct edit *e);

/* snapshot.c: ascending sequence numbers that must stay readable; malloc'd. */
int snapshots_list(struct lsm_db *db, uint64_t **ret, size_t *ret_n);

/* recover.c */
int recover(struct lsm_db *db);

/* write.c */
int db_check_writable(struct lsm_db *db);
/* The store turns read-only for the reason that lsm_last_error() tells. Returns its code. */
int db_fail(struct lsm_db *db);
/* Replaces the memtable by an empty one. commit lock. Waits for room unless `now`, which gives up: LSM_BUSY. */
int memtable_switch(struct lsm_db *db, bool now);
/* Adds the operations of a record to a memtable. Holds the blob segments that they refer to. */
int memtable_apply(struct lsm_db *db, struct memtable *m, uint64_t sequence, struct batch_reader *ops);

/* pace.c: recomputes the back-pressure; tree lock. */
void delay_update(struct lsm_db *db, const struct superversion *sv);
/* Holds a writer of so many bytes back, by 50 ms at most. Without locks. */
void delay(struct lsm_db *db, uint64_t bytes);
/* Counts a wait. */
void delay_count(struct lsm_db *db, uint64_t us);
/* Around each flush: its time tells when the next one will be done. */
void flush_begins(struct lsm_db *db);
void flush_ended(struct lsm_db *db, bool done);
/* Holds a compaction that has written so many bytes back, to compact_bytes_per_second. Without locks. */
void compact_pace(struct lsm_db *db, uint64_t bytes);

/* Refers to (a part of) a stored value, which the caller keeps alive until now. */
int batch_put_pointer(struct lsm_batch *batch, struct lsm_slice key, const struct blob_ptr *ptr);

/* sync.c: a large value goes to a direct segment, held for the caller. */
int direct_add(struct lsm_db *db, struct lsm_slice value, struct blob_ptr *ret, struct blob_segment **ret_segment);
/* A segment that the replayed log refers to may have lost nothing and still not be on the disk: the next sync covers it.
 * `ctx` is the store. */
int direct_adopt(void *ctx, struct blob_segment *segment);
/* The next large value opens a new segment: what is sealed can be collected. */
void direct_seal(struct lsm_db *db);
/* Adjusts the limits of large values to what the tables now refer to. */
void direct_adjust(struct lsm_db *db);
/* All large values that were added before are durable on return; with `sealed_only`, those in sealed segments. */
int direct_sync(struct lsm_db *db, bool sealed_only);
/* Everything below `lsn` is durable on return. */
int sync_to(struct lsm_db *db, uint64_t lsn);

/*
 * load.c: tables that come without log and memtable, as the newest of all. In this order:
 * load_flush_rest() under the commit lock, which is held to the end: everything that was written is in tables, so that
 * nothing older is found before the new ones, nor lost without them.
 * load_begin() under the tree lock: no compaction may begin that doesn't know the tables; and none that does before their
 * numbers are published, since it would drop what they hide from snapshots that can still be taken below them.
 * load_install() applies the edit and publishes its last_sequence. load_end() in any case after load_begin().
 */
int load_flush_rest(struct lsm_db *db);
void load_begin(struct lsm_db *db);
int load_install(struct lsm_db *db, struct edit *e);
void load_end(struct lsm_db *db);
/* A batch that is larger than a memtable goes to a table of its own. commit lock. */
int load_batch(struct lsm_db *db, const struct batch *batch);

/* upkeep.c: waits until the memtables whose log begins before `first_segment` are flushed. The commit lock may be held. */
int flush_wait(struct lsm_db *db, uint64_t first_segment);

/*
 * open.c: what lsm_open() does, for a repair, which has the lock: the log ends where it can't be read on, records up to a
 * sequence number are in tables already, and what refers to a value that can't be read deletes its key.
 */
struct salvage {
	struct env_lock *lock; /* the caller's */
	uint64_t sequence;
	uint64_t deleted; /* keys */
	/* A key is going to be deleted, since its value can't be read whole. */
	int (*lost)(void *ctx, struct lsm_slice user_key, uint64_t sequence, const struct blob_ptr *ptr);
	void *ctx;
};
int engine_open(const char *path, const struct lsm_options *options, struct salvage *salvage, struct lsm_db **ret_db);
/* Takes the lock of the store in `dir`. LSM_BUSY. With `read_only`, *ret stays as it is where nothing can be written. */
int store_lock(struct env *env, const char *dir, bool read_only, struct env_lock **ret);

/* space.c: LSM_NO_SPACE when so much can't be written without what is kept. Takes the tree lock and, where memtables stand in
 * the way, flushes. */
int space_admit(struct lsm_db *db, uint64_t bytes, unsigned flags);
/* Whether there is room again. */
void space_watch(struct lsm_db *db);

/* background.c */
int background_start(struct lsm_db *db);
void background_stop(struct lsm_db *db);

/* sweep.c: drops tables wholly under range tombstones. True when there were some. */
bool sweep_covered(struct lsm_db *db);

/* jobs.c: what a flush or a compaction into `level` gets besides its entries. */
void job_fill_input(struct lsm_db *db, struct build_input *in, const struct version *version, unsigned level);
/* How tables of a level that holds so many bytes are compressed. */
enum lsm_compression level_compression(const struct lsm_db *db, unsigned level, uint64_t level_bytes);
int job_add_outputs(struct edit *e, const struct build_output *out, unsigned level);
/* For the walks over range tombstones: adds them to a struct del_list, `ctx`. */
int job_add_dels(void *ctx, const struct range_dels *dels);
/* Writes a memtable as one table of level 0, durable with all that it refers to, and puts it into the edit. `wrote` may be
 * NULL. End `out` with build_output_done() in any case. */
int job_build_memtable(struct lsm_db *db, const struct version *version, struct memtable *m,
		       void (*wrote)(void *ctx, uint64_t bytes), struct build_output *out, struct edit *e);
/* Runs a picked job whose inputs are marked busy, in the calling thread. */
int job_run(struct lsm_db *db, struct job *j, struct version *version);
/* Marks a job's inputs busy and its range taken. False when it has to wait. tree lock. */
bool job_begin(struct lsm_db *db, const struct job *j);
/* Inputs of which one is damaged stay busy, so that they are not tried again and again. */
void job_end(struct lsm_db *db, const struct job *j, bool damaged);
/* The sealed segments that are to be collected now; malloc'd. */
int segment_infos(struct lsm_db *db, struct segment_info **ret, size_t *ret_n);

static inline int check_key(struct lsm_slice key)
{
	if (!key.size || key.size > LSM_KEY_BYTES_MAX)
		return status_set(LSM_INVALID, 0, NULL, 0, "a key of %zu bytes: keys have 1 to %u bytes", key.size,
				  LSM_KEY_BYTES_MAX);
	return LSM_OK;
}

#endif
