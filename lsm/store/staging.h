/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_STAGING_H
#define LSM_STORE_STAGING_H
/*
 * staging - a new store's directory, filled under another name (DIR.tmp) and renamed at the end, so that nothing opens
 * before it is whole. What a crash leaves under the other name is removed by the next attempt. And what goes into it:
 * a store at one moment, and copies of files.
 */
#include "lsm/store/db.h"

struct staging {
	struct env *env;
	char *final, *temp; /* paths; `temp` is where the files go */
	struct env_lock *lock;
};

/* The directory `dir` must not exist yet, its parent must. LSM_EXISTS, LSM_BUSY (somebody else is at it), LSM_IO. On
 * success end with staging_commit() or staging_abort(). */
int staging_begin(struct env *env, const char *dir, struct staging *ret);
/* The directory, durable, under its name. On failure it is gone, as after staging_abort(). */
int staging_commit(struct staging *s);
/* Removes what there is; the thread's last error stays. */
void staging_abort(struct staging *s);

/* A store at one moment: every write that was acknowledged before the call, and none that a later one isn't with. */
struct capture {
	struct superversion *sv; /* pins the files */
	struct manifest_state state;
	uint64_t *segments; /* ascending numbers of the blob segments that its tables refer to */
	size_t segments_n;
};
/* Flushes the memtables: all that the capture holds is in immutable, durable files. */
int capture_take(struct lsm_db *db, struct capture *ret);
/* Calls fn for each file of the capture; its non-zero code ends the walk and is returned. */
int capture_each(const struct capture *c, int (*fn)(void *ctx, enum store_file kind, uint64_t number), void *ctx);
void capture_done(struct capture *c);

/* Tells how many bytes were copied since the last call; a non-zero return ends the copying and is returned. */
struct copy_progress {
	int (*fn)(void *ctx, uint64_t bytes);
	void *ctx;
};

/* Copies a file to a new one, and syncs that. `ret_bytes` and `ret_hash` (XXH3-64 of the content) may be NULL. On failure
 * there is no new file. `progress` may be NULL. */
int file_copy(struct env *env, const char *from, const char *to, const struct copy_progress *progress,
	      uint64_t *ret_bytes, uint64_t *ret_hash);
/* Reads a file through, past the kernel's cache where that can be avoided. */
int file_hash(struct env *env, const char *path, const struct copy_progress *progress, uint64_t *ret_bytes,
	      uint64_t *ret_hash);

#endif
