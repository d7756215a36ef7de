/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_BACKUP_H
#define LSM_STORE_BACKUP_H
/*
 * backup - a directory of backups: files of stores, each once however many backups have it, and for each backup a list of
 * its files. docs/FORMATS.md has names and lines. Calls for a directory take the env of tests; lsm.h has those of users.
 */
#include "lsm/store/options.h"
#include "lsm/store/staging.h"

/* One file of a store. Number and id tell it from all others, whatever store it comes from. */
struct backup_file {
	enum store_file kind;
	uint64_t number; /* in its store */
	uint64_t id;     /* the file's own; of one without, and of a manifest, the hash of the content */
	uint64_t bytes;
	uint64_t hash; /* XXH3-64 of the content */
};

struct backup {
	uint64_t number;
	uint64_t created_us, sequence, copied_bytes;
	struct lsm_options options; /* the store's kept ones */
	struct backup_file *files;
	size_t n, capacity;
};

int backup_add(struct backup *b, const struct backup_file *f);
void backup_done(struct backup *b);
/* Order of files: by kind, number, id, bytes. */
int backup_file_compare(const void *a, const void *b);
/* "DIR/000012-89abcdef01234567.sst", and the like with ".tmp" behind it. */
void backup_file_path(char buf[STORE_PATH_MAX], const char *dir, const struct backup_file *f, bool temp);
void backup_list_path(char buf[STORE_PATH_MAX], const char *dir, uint64_t number, bool temp);

/* Writes the list of a backup, durably and as a whole. */
int backup_write(struct env *env, const char *dir, const struct backup *b);
/* LSM_NOT_FOUND, LSM_CORRUPT, LSM_UNSUPPORTED. */
int backup_read(struct env *env, const char *dir, uint64_t number, struct backup *ret);

/* What is in a directory of backups. */
struct backup_dir {
	struct env *env;
	const char *path;
	struct env_lock *lock;
	uint64_t *numbers; /* of backups, ascending */
	size_t numbers_n;
	struct backup known; /* the files that the readable backups refer to, in order, each once */
	bool damaged;        /* a backup can't be read: `known` isn't all */
	struct lsm_error damage;
	char **strays; /* names of our forms that are no lists: data and leftovers */
	size_t strays_n;
};
/* Looks at the directory and locks it. With `create`, makes it if it is missing. LSM_NOT_STORE: it isn't there, or holds
 * other files; LSM_BUSY. End with backup_dir_close(). */
int backup_dir_open(struct env *env, const char *path, bool create, struct backup_dir *ret);
/* The known file that is the same, whatever its hash; NULL: none. */
const struct backup_file *backup_dir_find(const struct backup_dir *d, const struct backup_file *f);
/* Removes the files that no backup refers to. Does nothing when a backup can't be read. */
void backup_dir_collect(struct backup_dir *d);
void backup_dir_close(struct backup_dir *d);

/* Copying with the user's call-back. */
struct backup_progress {
	struct copy_progress copy;
	const struct lsm_copy_options *options;
	uint64_t done, total;
};
void backup_progress_init(struct backup_progress *p, const struct lsm_copy_options *options, uint64_t total);

int backup_list(struct env *env, const char *dir, int (*fn)(void *ctx, const struct lsm_backup_info *info), void *ctx);
int backup_verify(struct env *env, const char *dir, uint64_t number, const struct lsm_copy_options *options);
int backup_delete(struct env *env, const char *dir, uint64_t number);
int backup_restore(struct env *env, const char *dir, uint64_t number, const char *target,
		   const struct lsm_copy_options *options);

#endif
