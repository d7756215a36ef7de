/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_ENGINE_CLIENT_H
#define TESTS_SIM_ENGINE_CLIENT_H
/* engine_client - one of those who use the store beside one another; each reads and writes its own keys. */
#include "tests/sim/oracle.h"

enum { SNAPSHOTS = 2 };

struct engine_client {
	struct lsm_db *db;
	struct client *c;
	const struct lsm_options *options;
	struct lsm_batch *batch;
	bool failed; /* the store takes no writes any more */
	bool unsure; /* what was refused last may be there */
	struct {
		struct lsm_snapshot *snapshot;
		value_id keys[KEYS];
	} snapshots[SNAPSHOTS];
};

void client_begin(struct engine_client *e, struct lsm_db *db, struct client *c, const struct lsm_options *options);
/* One random operation, checked. */
void client_step(struct engine_client *e);
/* Gives back all that keeps the store from being closed. */
void client_end(struct engine_client *e);

/* The value that a key has; false: the read met a fault. */
bool client_get(struct lsm_db *db, const struct lsm_snapshot *snapshot, const struct client *c, unsigned key,
		value_id *ret);

/* Fails when `rc` is an error. */
void client_check(int rc, const char *what);
/* The same, but returns an error that faults of this life explain. */
int client_check_faulty(int rc, const char *what);

#endif
