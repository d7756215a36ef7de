/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_VERBS_COMMON_H
#define LSMFS_VERBS_COMMON_H
/* What several verbs need: messages, numbers, a store opened with explanations. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <argp.h>

#include "fs/volume/volume.h"

struct lsm_db;

/* The name that messages begin with: "lsmfs", or "mount.lsmfs" as mount(8)'s helper. */
extern const char *program_name;

/* "lsmfs: MESSAGE" on standard error. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on complain() writes to the system's log: nobody reads standard error any more. */
void complain_to_syslog(void);

/* The absolute path, without symbolic links, of something that need not exist, or can't be looked into because it is a
 * dead mount; only its directory must exist. malloc'd; NULL: errno. */
char *path_absolute(const char *path);

/* `inner` is `outer` or lies below it; both absolute. */
bool path_is_within(const char *inner, const char *outer);

/* Parses arguments; `exit_usage` is the status to exit with when they are wrong. For --help it exits with 0. */
void parse_arguments(const struct argp *argp, int argc, char **argv, int exit_usage, void *input);

/*
 * For an argp parser, the keys of arguments that are no options: the first goes to *words[0] and so on, up to `max`. With
 * fewer than `min`, the message is `needed`.
 */
error_t take_words(int key, char *arg, struct argp_state *state, const char **const *words, unsigned min, unsigned max,
		   const char *needed);

/* "64M": a number with K, M, G or T (powers of 1024) behind it, or none. False: it isn't one, or too large. */
bool parse_size(const char *text, uint64_t *ret_bytes);

/* The word of `words` (NULL behind the last) that `word` is likely meant to be; NULL: none is near. */
const char *closest_word(const char *word, const char *const *words);

/* Copies `text` for a terminal: control characters become '?'. */
void print_name(const char *name, bool to_terminal);

/* How the store in a directory is used. */
struct store_owner {
	long pid;          /* 0: not known */
	char command[64];  /* of that process, or "" */
	char *mount_point; /* malloc'd; NULL: not mounted by us */
};
/* Who holds the lock of the store. False: nobody. */
bool store_owner_find(const char *store, struct store_owner *ret);
void store_owner_done(struct store_owner *owner);
/* Complains that the store is taken, by whom, and what to do about it. `message` is the engine's. */
void store_complain_busy(const char *path, const char *message);
/* The lock's file, malloc'd. NULL: no memory. */
char *store_lock_path(const char *store);

struct store_open_options {
	bool create; /* make the store if only its last component is missing */
	bool read_only;
	enum vol_atime atime;  /* whether reading moves times of access … */
	bool no_dir_atime;     /* … but not of directories */
	uint64_t memory_bytes; /* 0: default */
	void (*log)(void *ctx, const char *line);
	bool *ret_created; /* may be NULL */
};
/*
 * Opens the volume in the store `path`. On failure the reason, and what to do about it, has been complained of.
 * Returns 0 or a negative errno. End with store_close().
 */
int store_open(const char *path, const struct store_open_options *options, struct volume **ret);
/* Closes it; `r` is the result until now, and the result is `r` or, if that is 0, the one of closing. */
int store_close(struct volume *volume, const char *path, int r);

/* Opens the engine of the store alone, for what concerns its files and not the volume. 0 or a negative LSM_* code, of which
 * the reason has been complained. End with lsm_close(). */
int store_open_engine(const char *path, struct lsm_db **ret);

/* "17": the number of a backup, from 1 on. */
bool parse_backup_number(const char *text, uint64_t *ret);

#endif
