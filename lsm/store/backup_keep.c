/* SPDX-License-Identifier: MIT */
/* What is done with backups that are there: verify, delete, restore. None needs the store. */
#include <errno.h>

#include "lsm/store/backup.h"

/* ---- verify ---- */

static uint64_t bytes_of(const struct backup *b)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < b->n; i++)
		bytes += b->files[i].bytes;
	return bytes;
}

static int differs(const char *path, const struct backup_file *f, uint64_t bytes, uint64_t hash)
{
	if (bytes != f->bytes)
		return status_corrupt(path, 0, "%s has %llu bytes; %llu were backed up", path,
				      (unsigned long long)bytes, (unsigned long long)f->bytes);
	if (hash != f->hash)
		return status_corrupt(path, 0, "%s is not what was backed up: its checksum is wrong", path);
	return LSM_OK;
}

/* A file that isn't there is damage, too. */
static int missing(const char *path, int rc)
{
	if (rc == LSM_IO && lsm_last_error()->sys_errno == ENOENT)
		return status_corrupt(path, 0, "%s, a file of the backup, is missing", path);
	return rc;
}

static int verify_files(struct backup_dir *d, const struct backup *b, const struct lsm_copy_options *options)
{
	struct backup_progress p;
	int rc = LSM_OK;

	backup_progress_init(&p, options, bytes_of(b));
	for (size_t i = 0; !rc && i < b->n; i++) {
		char path[STORE_PATH_MAX];
		uint64_t bytes = 0, hash = 0;

		backup_file_path(path, d->path, &b->files[i], false);
		rc = missing(path, file_hash(d->env, path, &p.copy, &bytes, &hash));
		if (!rc)
			rc = differs(path, &b->files[i], bytes, hash);
	}
	return rc;
}

int backup_verify(struct env *env, const char *dir, uint64_t number, const struct lsm_copy_options *options)
{
	struct backup_dir d;
	struct backup b = { 0 };
	int rc = backup_dir_open(env, dir, false, &d);

	if (rc)
		return rc;
	if (number)
		rc = backup_read(env, dir, number, &b);
	else if (d.damaged)
		rc = status_adopt(&d.damage);
	if (!rc)
		rc = verify_files(&d, number ? &b : &d.known, options);
	backup_done(&b);
	backup_dir_close(&d);
	return rc;
}

int lsm_backup_verify(const char *dir, uint64_t number, const struct lsm_copy_options *options)
{
	return backup_verify(env_posix(), dir, number, options);
}

/* ---- delete ---- */

static bool has_number(const struct backup_dir *d, uint64_t number)
{
	for (size_t i = 0; i < d->numbers_n; i++) {
		if (d->numbers[i] == number)
			return true;
	}
	return false;
}

int backup_delete(struct env *env, const char *dir, uint64_t number)
{
	char path[STORE_PATH_MAX];
	struct backup_dir d;
	int rc = backup_dir_open(env, dir, false, &d);

	if (rc)
		return rc;
	/* The list goes first, durably: no list may speak of files that are gone. */
	if (has_number(&d, number)) {
		backup_list_path(path, dir, number, false);
		rc = env_unlink(env, path);
		if (!rc)
			rc = env_sync_dir(env, dir);
	} else {
		rc = LSM_NOT_FOUND;
	}
	backup_dir_close(&d);
	if (!rc)
		rc = backup_dir_open(env, dir, true, &d);
	if (rc)
		return rc;
	backup_dir_collect(&d);
	if (d.damaged)
		rc = status_adopt(&d.damage);
	backup_dir_close(&d);
	return rc;
}

int lsm_backup_delete(const char *dir, uint64_t number)
{
	return backup_delete(env_posix(), dir, number);
}

/* ---- restore ---- */

static int restore_files(struct backup_dir *d, const struct backup *b, const struct staging *s,
			 const struct lsm_copy_options *options)
{
	struct backup_progress p;
	uint64_t manifest = 0;
	int rc = LSM_OK;

	backup_progress_init(&p, options, bytes_of(b));
	for (size_t i = 0; !rc && i < b->n; i++) {
		const struct backup_file *f = &b->files[i];
		char from[STORE_PATH_MAX], to[STORE_PATH_MAX];
		uint64_t bytes = 0, hash = 0;

		backup_file_path(from, d->path, f, false);
		store_file_path(to, s->temp, f->kind, f->number);
		rc = missing(from, file_copy(d->env, from, to, &p.copy, &bytes, &hash));
		if (!rc)
			rc = differs(from, f, bytes, hash);
		if (f->kind == STORE_MANIFEST)
			manifest = f->number;
	}
	if (!rc)
		rc = options_store(d->env, s->temp, &b->options, &(struct lsm_options){ 0 });
	return rc ? rc : manifest_set_current(d->env, s->temp, manifest);
}

int backup_restore(struct env *env, const char *dir, uint64_t number, const char *target,
		   const struct lsm_copy_options *options)
{
	struct backup_dir d;
	struct backup b = { 0 };
	struct staging s;
	int rc = backup_dir_open(env, dir, false, &d);

	if (rc)
		return rc;
	if (!number && d.numbers_n)
		number = d.numbers[d.numbers_n - 1];
	rc = backup_read(env, dir, number, &b);
	if (!rc)
		rc = staging_begin(env, target, &s);
	if (!rc) {
		rc = restore_files(&d, &b, &s, options);
		if (rc)
			staging_abort(&s);
		else
			rc = staging_commit(&s);
	}
	backup_done(&b);
	backup_dir_close(&d);
	return rc;
}

int lsm_restore(const char *dir, uint64_t number, const char *target, const struct lsm_copy_options *options)
{
	return backup_restore(env_posix(), dir, number, target, options);
}
