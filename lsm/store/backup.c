/* SPDX-License-Identifier: MIT */
/* Making a backup: what isn't in the directory yet is copied there and read back. */
#include "lsm/store/backup.h"

/* ---- progress ---- */

static int on_progress(void *ctx, uint64_t bytes)
{
	struct backup_progress *p = ctx;

	p->done += bytes;
	return p->options && p->options->progress ? p->options->progress(p->options->ctx, p->done, p->total) : LSM_OK;
}

void backup_progress_init(struct backup_progress *p, const struct lsm_copy_options *options, uint64_t total)
{
	*p = (struct backup_progress){ .options = options, .total = total };
	p->copy = (struct copy_progress){ on_progress, p };
}

/* ---- what is to be copied ---- */

struct making {
	struct lsm_db *db;
	struct backup_dir *dir;
	struct backup backup;
	struct backup fresh; /* files that are to be copied */
	uint64_t bytes;      /* of those */
};

/* A file that was written before files had ids is known by its content. */
static int identify(struct lsm_db *db, struct backup_file *f)
{
	char path[STORE_PATH_MAX];
	struct table_props props = { 0 };
	struct env_file *file = NULL;
	int rc;

	store_file_path(path, db->dir, f->kind, f->number);
	rc = env_open(db->env, path, ENV_OPEN_READ, &file);
	if (!rc)
		rc = file_size(file, &f->bytes);
	if (!rc && f->kind == STORE_BLOB)
		rc = blob_file_id(file, f->number, &f->id);
	file_close(file);
	if (!rc && f->kind == STORE_TABLE) {
		rc = table_read_props(db->env, path, f->number, &props);
		f->id = props.file_id;
		table_props_free(&props);
	}
	if (!rc && !f->id)
		rc = file_hash(db->env, path, NULL, &f->bytes, &f->id);
	return rc;
}

static bool is_in_place(const struct backup_dir *d, const struct backup_file *f)
{
	char path[STORE_PATH_MAX];
	struct env_file *file = NULL;
	uint64_t bytes = 0;
	int rc;

	backup_file_path(path, d->path, f, false);
	rc = env_open(d->env, path, ENV_OPEN_READ, &file);
	if (!rc)
		rc = file_size(file, &bytes);
	file_close(file);
	return !rc && bytes == f->bytes;
}

static int consider(void *ctx, enum store_file kind, uint64_t number)
{
	struct making *m = ctx;
	struct backup_file f = { .kind = kind, .number = number };
	const struct backup_file *known;
	int rc = identify(m->db, &f);

	if (rc)
		return rc;
	known = backup_dir_find(m->dir, &f);
	if (known && is_in_place(m->dir, known))
		return backup_add(&m->backup, known);
	m->bytes += f.bytes;
	return backup_add(&m->fresh, &f);
}

/* ---- copying ---- */

/* What is in the cache is what was written; read back, the disk says what it has. */
static int check_copy(struct env *env, const char *path, const struct backup_file *f, struct backup_progress *p)
{
	uint64_t bytes = 0, hash = 0;
	int rc = file_hash(env, path, &p->copy, &bytes, &hash);

	if (!rc && (bytes != f->bytes || hash != f->hash))
		rc = status_corrupt(path, 0, "%s differs from what was written there", path);
	return rc;
}

static int settle(struct making *m, struct backup_file *f, struct backup_progress *p)
{
	char temp[STORE_PATH_MAX], path[STORE_PATH_MAX];
	struct env *env = m->db->env;
	int rc;

	backup_file_path(temp, m->dir->path, f, true);
	backup_file_path(path, m->dir->path, f, false);
	rc = check_copy(env, temp, f, p);
	if (!rc)
		rc = env->ops->rename(env, temp, path);
	if (rc)
		env_discard(env, temp);
	else
		rc = backup_add(&m->backup, f);
	return rc;
}

static int copy_fresh(struct making *m, struct backup_progress *p)
{
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < m->fresh.n; i++) {
		char from[STORE_PATH_MAX], temp[STORE_PATH_MAX];
		struct backup_file *f = &m->fresh.files[i];

		store_file_path(from, m->db->dir, f->kind, f->number);
		backup_file_path(temp, m->dir->path, f, true);
		rc = file_copy(m->db->env, from, temp, &p->copy, &f->bytes, &f->hash);
		if (!rc)
			rc = settle(m, f, p);
	}
	return rc;
}

/* The version as the first edit of a manifest of its own. */
static int add_manifest(struct making *m, const struct capture *c, struct backup_progress *p)
{
	struct backup_file f = { .kind = STORE_MANIFEST, .number = c->state.number };
	char raw[STORE_PATH_MAX], temp[STORE_PATH_MAX];
	struct env *env = m->db->env;
	int rc;

	backup_file_path(raw, m->dir->path, &f, true); /* its id is not known yet */
	rc = manifest_write(env, raw, f.number, &c->state);
	if (!rc)
		rc = file_hash(env, raw, NULL, &f.bytes, &f.hash);
	if (rc)
		return rc;
	f.id = f.hash;
	m->bytes += f.bytes;
	backup_file_path(temp, m->dir->path, &f, true);
	rc = env->ops->rename(env, raw, temp);
	return rc ? rc : settle(m, &f, p);
}

static void fill_info(const struct backup *b, struct lsm_backup_info *ret)
{
	*ret = (struct lsm_backup_info){
		.number = b->number,
		.created_us = b->created_us,
		.sequence = b->sequence,
		.files = b->n,
		.copied_bytes = b->copied_bytes,
	};
	for (size_t i = 0; i < b->n; i++)
		ret->bytes += b->files[i].bytes;
}

static int make(struct making *m, const struct capture *c, const struct lsm_copy_options *options)
{
	struct backup_progress p;
	int rc = capture_each(c, consider, m);

	backup_progress_init(&p, options, m->bytes * 2); /* written, and read back */
	if (!rc)
		rc = copy_fresh(m, &p);
	if (!rc) {
		backup_progress_init(&p, NULL, 0);
		rc = add_manifest(m, c, &p);
	}
	/* The entries of the files must be durable before a list speaks of them. */
	if (!rc)
		rc = env_sync_dir(m->db->env, m->dir->path);
	if (!rc)
		rc = options_load(m->db->env, m->db->dir, &m->backup.options);
	if (rc)
		return rc;
	m->backup.number = m->dir->numbers_n ? m->dir->numbers[m->dir->numbers_n - 1] + 1 : 1;
	m->backup.created_us = m->db->env->ops->wall_us(m->db->env);
	m->backup.sequence = c->state.last_sequence;
	m->backup.copied_bytes = m->bytes;
	return backup_write(m->db->env, m->dir->path, &m->backup);
}

/* What a failed backup has copied is as useless as what a crash has left. */
static void clean_up(struct lsm_db *db, const char *dir)
{
	struct lsm_error last = *lsm_last_error();
	struct backup_dir d;

	if (!backup_dir_open(db->env, dir, true, &d)) {
		backup_dir_collect(&d);
		backup_dir_close(&d);
	}
	status_adopt(&last);
}

int lsm_backup(struct lsm_db *db, const char *dir, const struct lsm_copy_options *options, struct lsm_backup_info *ret)
{
	struct backup_dir d;
	struct making m = { .db = db, .dir = &d };
	struct capture c;
	int rc = db_check_writable(db);

	if (!rc)
		rc = backup_dir_open(db->env, dir, true, &d);
	if (rc)
		return rc;
	backup_dir_collect(&d);
	rc = capture_take(db, &c);
	if (!rc) {
		rc = make(&m, &c, options);
		capture_done(&c);
	}
	backup_dir_close(&d);
	if (rc)
		clean_up(db, dir);
	else if (ret)
		fill_info(&m.backup, ret);
	backup_done(&m.backup);
	backup_done(&m.fresh);
	return rc;
}

/* ---- the list ---- */

int backup_list(struct env *env, const char *dir, int (*fn)(void *ctx, const struct lsm_backup_info *info), void *ctx)
{
	struct backup_dir d;
	int rc = backup_dir_open(env, dir, false, &d);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < d.numbers_n; i++) {
		struct lsm_backup_info info = { 0 };
		struct backup b = { 0 };
		int code = backup_read(env, dir, d.numbers[i], &b);

		fill_info(&b, &info);
		info.number = d.numbers[i];
		info.code = code;
		backup_done(&b);
		rc = fn(ctx, &info);
	}
	backup_dir_close(&d);
	return rc;
}

int lsm_backup_list(const char *dir, int (*fn)(void *ctx, const struct lsm_backup_info *info), void *ctx)
{
	return backup_list(env_posix(), dir, fn, ctx);
}
