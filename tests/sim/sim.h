/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H
/*
 * sim - a small world for the production code: one real thread, in which the code's threads are fibers that a seeded
 * scheduler switches; a clock that only the world moves; a disk in memory that knows what is synced. A seed is a
 * schedule, and the same schedule each time. One process runs one schedule: what a cut leaves in its memory is never
 * looked at again.
 *
 *   sim_fiber.c  fibers, the scheduler, the clock
 *   sim_sync.c   lsm/env/sync.h by fibers; linked in place of lsm/env/sync.c
 *   sim_disk.c   the bytes of files, and what a power cut leaves of them
 *   sim_names.c  the same for names
 *   sim_env.c    lsm/env/env.h on that disk, with faults
 *   sim_bugs.c   known bugs, planted on command, to see whether a test would notice
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lsm/env/env.h"
#include "tests/support/rng.h"

/* ---- sim_fiber.c ---- */

struct sim {
	struct rng rng; /* of all that the world decides */
	uint64_t seed;
	uint64_t now_ns;        /* the clock */
	uint64_t steps;         /* places where another fiber may go on, or the world end */
	uint64_t cut_in;        /* so many steps until this life ends; 0: it doesn't by itself */
	uint64_t trace;         /* hash of all that has happened */
	unsigned switch_one_in; /* of the steps, so many lead to another fiber */
	bool verbose;           /* tell all that happens */
	const char *bug;        /* the planted one, or NULL */
};
extern struct sim sim;

/* Runs `fn` as the first fiber of a life. True when it returned, false when the life was cut: all fibers are gone then. */
bool sim_live(void (*fn)(void *ctx), void *ctx);
struct fiber *fiber_start(const char *name, void (*fn)(void *ctx), void *ctx);
void fiber_join(struct fiber *f);
/* A place where the scheduler may choose, and where a life may end. */
void sim_step(const char *what, uint64_t detail);
void fiber_sleep(uint64_t ns);
/* Ends this life now. */
_Noreturn void sim_die(void);

/* Waits until fiber_wake() names `what`, or for `ns` (0: however long). */
void fiber_wait(const void *what, uint64_t ns);
/* Wakes all who wait for `what`, or one by chance. */
void fiber_wake(const void *what, bool all);
struct fiber *fiber_self(void);

/* Prints what is wrong and how to have it again, and ends the process. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* With `verbose`. */
void sim_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_trace(uint64_t x);

static inline bool sim_chance(unsigned percent)
{
	return rng_below(&sim.rng, 100) < percent;
}

static inline uint64_t sim_between(uint64_t low, uint64_t high)
{
	return low + rng_below(&sim.rng, high - low + 1);
}

/* ---- sim_disk.c ---- */

struct inode;

/*
 * What is promised of it, which is less than any file system gives:
 *
 * - Bytes that were written, or stored through a mapping, are seen at once. They are on the disk after a sync of the file.
 *   Before, each page of 4 KiB may get there at any time, as it is at that moment. At a power cut each page that the disk
 *   has otherwise is written, not written, or torn: then each of its sectors of 512 bytes is new or old by itself.
 * - So is the size: what it was at the last sync, what it is, or between; of a file that was filled (fallocate) never between.
 * - A name that was made, changed or removed is durable after a sync of its directory; a sync of the file doesn't help. Of what came
 *   since the last sync, a cut keeps any part: at times a beginning, as journaling file systems do, at times any of
 *   them, in order. A rename happens as a whole.
 * - A sync that fails has written some pages, and given up others: these still read as they were, but no later sync
 *   writes them before they are written again, and when the process is dead they may read as they are on the disk; they do when the
 *   cache is dropped.
 * - Memory dies with the process; names and bytes that were written don't.
 */
void disk_new(void);

int disk_find(const char *path, struct inode **ret); /* 0 or an errno, here and below */
int disk_create(const char *path, struct inode **ret);
int disk_unlink(const char *path);
int disk_rename(const char *from, const char *to);
int disk_link(const char *from, const char *to);
int disk_mkdir(const char *path);
int disk_rmdir(const char *path);
int disk_sync_dir(const char *path);
/* The names, in an order by chance; each to be freed, as the array. */
int disk_list(const char *path, char ***ret, size_t *ret_n);

void inode_open(struct inode *i);
void inode_close(struct inode *i);
bool inode_is_dir(const struct inode *i);
uint64_t inode_size(const struct inode *i);
uint8_t *inode_data(struct inode *i); /* stays where it is; FILE_BYTES_MAX are there */
bool inode_lock(struct inode *i);     /* false: somebody has it */
void inode_unlock(struct inode *i);
void inode_map(struct inode *i); /* its bytes change without a call from now on */
void inode_write(struct inode *i, uint64_t offset, const void *data, size_t size);
void inode_truncate(struct inode *i, uint64_t size);
void inode_fill(struct inode *i, uint64_t size);
void inode_sync(struct inode *i);
void inode_sync_fail(struct inode *i);
void inode_drop_cache(struct inode *i); /* what was given up is read from the disk again */

#define FILE_BYTES_MAX (UINT64_C(1) << 20)

/* The kernel writes something back, or not. */
void disk_write_back(void);
/* A moment without power, and without the process. */
void disk_cut(void);
/* The process is gone. */
void disk_kill(void);
/* Hashes what is there now. */
uint64_t disk_hash(void);

/* ---- sim_env.c ---- */

enum fault_kind {
	FAULT_NONE,
	FAULT_READS, /* EIO */
	FAULT_WRITES,
	FAULT_SPACE, /* ENOSPC of all that makes or enlarges files */
	FAULT_SYNCS,
	FAULT_SOME, /* EIO of any operation */
	FAULT_KINDS,
};

struct sim_faults {
	enum fault_kind kind;
	uint64_t from, to; /* operations of the env, counted over all lives */
	unsigned percent;  /* of those concerned */
	uint64_t met;      /* failures so far, in this life */
};
extern struct sim_faults sim_faults;
extern uint64_t sim_ops;        /* operations of the env so far */
extern uint64_t sim_faults_met; /* of them that failed */

/* What this disk is like. */
struct sim_habits {
	unsigned slow_percent;       /* of the operations take time */
	uint64_t slow_ns;            /* up to so long */
	uint64_t sync_ns;            /* and syncs so long besides */
	unsigned write_back_percent; /* of the operations see something written back */
	bool no_fallocate;
};
extern struct sim_habits sim_habits;
extern uint64_t sim_segment_bytes; /* of the log; 0: as the engine has it */

struct env *sim_env(void);

/* ---- sim_bugs.c ---- */

extern const char *const sim_bugs[]; /* names; NULL at the end */
/* For the env: is this sync one that the bug leaves out, or does later? */
bool sim_bug_skips_sync(const char *path, struct inode *i);
bool sim_bug_skips_sync_dir(void);
bool sim_bug_keeps_cache(void);
void sim_bugs_life_ended(void);

/* ---- the drivers: one schedule, from sim.seed ---- */

void sim_engine(void);
void sim_volume(void);

#endif
