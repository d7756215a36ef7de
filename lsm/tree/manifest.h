/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_MANIFEST_H
#define LSM_TREE_MANIFEST_H
/*
 * manifest - the history of versions on disk: a log of edits, of which the file CURRENT names the live one. An edit counts
 * when its record is durable. The log is started anew, with the whole version as its first edit, at each open and when
 * it has grown; CURRENT is replaced by rename, so that a crash leaves either the old or the new one.
 */
#include "lsm/tree/version.h"

struct manifest;

/* What the manifest tells at open. */
struct manifest_state {
	struct version *version; /* one reference for the caller; its tables are attached */
	uint64_t first_segment;  /* log records from this segment on are to be replayed */
	uint64_t last_sequence;
	uint64_t next_number;    /* file numbers from here on are free */
	uint64_t number;         /* of the manifest read; 0 for a new store */
	struct named_list named; /* the caller's */
};

/* Reads the manifest that CURRENT names. LSM_NOT_STORE when there is no CURRENT; LSM_CORRUPT, LSM_UNSUPPORTED, LSM_IO. */
int manifest_read(struct tree *tree, struct manifest_state *ret);
/* What manifest_read() is going to read is on the disk from now on: log segments that it says nobody needs may go. A process that
 * was killed need not have synced its last edit, nor did a sync that failed write what the kernel's cache still shows. What is
 * missing or damaged is for manifest_read() to tell. LSM_IO, LSM_NO_SPACE, LSM_NO_MEMORY. */
int manifest_settle(struct tree *tree);
/* As manifest_read(), for tools: no other file is looked at, and the tables are not attached; of `tree` only the place counts. */
int manifest_load(struct tree *tree, struct manifest_state *ret);
/* Which one that is. Errors: likewise. */
int manifest_current(struct env *env, const char *dir, uint64_t *ret_number);
void manifest_state_done(struct manifest_state *s);
/* The state of an empty store. */
int manifest_state_new(struct manifest_state *ret);

/* Starts manifest file `number` with the state as its first edit and makes it the current one. After a failure
 * *ret_unknown tells whether it may be the current one nevertheless: then no file that it names may be deleted. */
int manifest_create(struct tree *tree, uint64_t number, const struct manifest_state *state, struct manifest **ret,
		    bool *ret_unknown);
/* The two halves of it, for a manifest that is to be kept elsewhere first: the file alone, synced; and CURRENT. */
int manifest_write(struct env *env, const char *path, uint64_t number, const struct manifest_state *state);
int manifest_set_current(struct env *env, const char *dir, uint64_t number);
/* Appends an edit, durably. After a failure: create a new manifest; if manifest_unknown(), nobody can tell whether the
 * edit is in the file, so none of the files it names may be deleted. */
int manifest_append(struct manifest *m, const struct edit *e);
bool manifest_unknown(const struct manifest *m);
uint64_t manifest_bytes(const struct manifest *m);
uint64_t manifest_number(const struct manifest *m);
void manifest_close(struct manifest *m); /* NULL is accepted */

#endif
