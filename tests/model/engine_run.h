/* SPDX-License-Identifier: MIT */
#ifndef TESTS_MODEL_ENGINE_RUN_H
#define TESTS_MODEL_ENGINE_RUN_H
/* engine_run - one process's stay in the world: an open store, and the snapshots and iterators it holds. */
#include "tests/model/engine_model.h"

enum { RUN_SNAPSHOTS = 6, RUN_ITERS = 4 };

struct held_snapshot {
	struct lsm_snapshot *snapshot;
	struct model *model;
};

/* An iterator beside the place where it has to stand. */
struct held_iter {
	struct lsm_iter *iter;
	struct model *model;
	size_t begin, end; /* indexes of keys within the bounds */
	size_t at;         /* where it stands; SIZE_MAX: nowhere */
};

struct run {
	struct world *world;
	const struct universe *universe;
	const char *path;
	struct rng rng;
	struct lsm_options options;
	struct lsm_db *db;
	struct lsm_batch *batch;
	struct held_snapshot snapshots[RUN_SNAPSHOTS];
	struct held_iter iters[RUN_ITERS];
};

void run_open(struct run *r);
void run_close(struct run *r);

/* One random reading or upkeep operation, checked against the model. */
void run_read(struct run *r);
/* One random change of the store and of the model. */
void run_write(struct run *r);
/* Makes, opens or deletes a named snapshot. */
void run_name(struct run *r);
/* Copies the store, and compares the copy with the model. */
void run_checkpoint(struct run *r);
void run_backup(struct run *r); /* the same by way of a backup */
/* Removes a directory and all that is in it. */
void dir_remove(const char *path);
/* "PATH.WHAT", and removing it with what a broken-off copy left. */
void dir_beside(const char *path, const char *what, char ret[256]);
void dir_remove_beside(const char *path, const char *what);
/* Names that the last process was about to make or delete are there or not; those that are show what they should. */
void run_settle_names(struct run *r);
/* Does `snapshot` of the store (NULL: now) show just what the model holds? */
bool run_shows(struct run *r, struct lsm_db *db, const struct lsm_snapshot *snapshot, const struct model *m);

/* Compares everything, forwards and backwards. */
void run_check_all(struct run *r);
/* Does the store hold just what the model holds? Keys and values' sizes, and some values' bytes. */
bool run_matches(struct run *r, const struct model *m);

#endif
