/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_ENV_FAULT_H
#define TESTS_SUPPORT_ENV_FAULT_H
/*
 * env_fault - the real env with operations that are counted and, on command, fail. A failing write puts half of its
 * bytes into the file first, a failing fill a part of its zeros; the other operations do nothing when they fail.
 */
#include "lsm/env/env.h"
#include "lsm/env/sync.h"

enum fault_op {
	FAULT_OPEN,
	FAULT_READ,
	FAULT_WRITE,
	FAULT_SYNC,
	FAULT_TRUNCATE,
	FAULT_FILL,
	FAULT_MAP,
	FAULT_RENAME,
	FAULT_UNLINK,
	FAULT_LINK,
	FAULT_MKDIR,
	FAULT_SYNC_DIR,
	FAULT_OPS,
};

struct fault_rule {
	int sys_errno;  /* 0: no rule */
	uint64_t skip;  /* matching operations that still succeed */
	bool forever;   /* all later ones fail too */
	char match[64]; /* part of the path; "" for all */
};

struct env_fault {
	struct env env; /* give this to what is tested */
	struct env *real;
	_Atomic uint64_t disk_bytes, disk_free; /* what space() tells, if disk_bytes isn't 0 */
	struct mutex lock;
	uint64_t counts[FAULT_OPS];         /* lock; the failed ones included */
	uint64_t hints, hinted_bytes;       /* lock; of will_need */
	uint64_t drops;                     /* lock; of drop_cache */
	struct fault_rule rules[FAULT_OPS]; /* lock */
	/* Called after each sync, fill, rename and link (with the new name), unlink and sync_dir that succeeded, by its thread;
	 * NULL: not. */
	void (*done)(void *ctx, enum fault_op op, const char *path);
	void *done_ctx;
};

void env_fault_init(struct env_fault *f);
void env_fault_done(struct env_fault *f);

/* The nth (1: the next) operation of this kind on a path that contains `match` (NULL: any) fails, once. */
void env_fault_nth(struct env_fault *f, enum fault_op op, const char *match, uint64_t nth, int sys_errno);
/* All of them fail from now on. */
void env_fault_all(struct env_fault *f, enum fault_op op, const char *match, int sys_errno);
/* All is well again. */
void env_fault_clear(struct env_fault *f);
/* Operations of this kind so far. */
uint64_t env_fault_count(struct env_fault *f, enum fault_op op);

#endif
