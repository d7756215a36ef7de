/* SPDX-License-Identifier: MIT */
/*
 * lsm_repair(): first what the check finds, then new files beside the old ones, a manifest that names them, and the old ones
 * away. Nothing is lost at any moment: until CURRENT is replaced, the store is as it was.
 */
#include "lsm/store/repair.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lsm/format/blob_format.h"
#include "lsm/store/options.h"
#include "lsm/store/staging.h"

/* ---- steps, and what is kept ---- */

int repair_step(struct repair *r, const char *format, ...)
{
	char what[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	r->steps++;
	return r->options->step ? r->options->step(r->options->ctx, what) : LSM_OK;
}

int repair_lost_path(struct repair *r, const char *name, char **ret)
{
	int rc = LSM_OK;

	if (!r->has_lost) {
		rc = r->env->ops->mkdir(r->env, r->options->lost);
		if (rc == LSM_EXISTS)
			rc = LSM_OK;
		if (!rc)
			rc = env_sync_parent(r->env, r->options->lost);
		r->has_lost = !rc;
	}
	if (rc)
		return rc;
	*ret = env_path(r->options->lost, name);
	return *ret ? LSM_OK : status_no_memory(strlen(name));
}

static bool is_there(struct repair *r, const char *path)
{
	struct env_file *f = NULL;
	bool there = !env_open(r->env, path, ENV_OPEN_READ, &f);

	file_close(f);
	return there;
}

/* What is kept already, by this repair or by one that was broken off, is not replaced by what came of it. */
int repair_keep(struct repair *r, const char *name, bool copy)
{
	char *from = env_path(r->dir, name), *to = NULL;
	int rc = from ? repair_lost_path(r, name, &to) : status_no_memory(strlen(name));

	if (!rc && is_there(r, from) && !is_there(r, to)) {
		rc = copy ? LSM_UNSUPPORTED : r->env->ops->link(r->env, from, to);
		if (rc == LSM_UNSUPPORTED)
			rc = file_copy(r->env, from, to, NULL, NULL, NULL);
		if (!rc)
			rc = env_sync_dir(r->env, r->options->lost);
	}
	free(from);
	free(to);
	return rc;
}

static const char *name_of(char path[STORE_PATH_MAX], const char *dir, enum store_file kind, uint64_t number)
{
	store_file_path(path, dir, kind, number);
	return strrchr(path, '/') + 1;
}

/* ---- headers of blob segments: all that they say is known ---- */

static int mend_header(struct repair *r, const char *name, uint64_t number)
{
	uint8_t header[FILE_HEADER_BYTES];
	struct env_file *f = NULL;
	char *path = env_path(r->dir, name), *temp = NULL;
	int rc = path ? repair_keep(r, name, false) : status_no_memory(strlen(name));

	if (!rc && asprintf(&temp, "%s.tmp", path) < 0)
		rc = status_no_memory(strlen(path));
	if (!rc)
		rc = file_copy(r->env, path, temp, NULL, NULL, NULL);
	if (!rc)
		rc = env_open(r->env, temp, ENV_OPEN_WRITE, &f);
	file_header_encode(header, blob_magic, &(struct file_header){ .number = number });
	if (!rc)
		rc = file_write(f, 0, header, sizeof(header));
	if (!rc)
		rc = file_sync(f);
	file_close(f);
	if (!rc)
		rc = r->env->ops->rename(r->env, temp, path);
	if (!rc)
		rc = env_sync_dir(r->env, r->dir);
	free(temp);
	free(path);
	return rc;
}

static int check_header(struct check *c, const char *path, enum store_file kind, uint64_t number, bool is_store_file)
{
	struct repair *r = (struct repair *)c->options->ctx;
	const char *name = strrchr(path, '/') + 1;
	struct env_file *f = NULL;
	int rc;

	if (!is_store_file || kind != STORE_BLOB)
		return LSM_OK;
	rc = env_open(r->env, path, ENV_OPEN_READ, &f);
	if (!rc)
		rc = blob_file_check(f, number);
	file_close(f);
	if (rc != LSM_CORRUPT)
		return rc == LSM_UNSUPPORTED ? rc : LSM_OK;
	rc = repair_step(r, "%s gets a new header, since that is damaged", path);
	return rc || r->options->plan_only ? rc : mend_header(r, name, number);
}

/* ---- the new state ---- */

static int salvage_tables(struct repair *r)
{
	char path[STORE_PATH_MAX];
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < r->n; i++) {
		struct repair_table *t = &r->tables[i];
		const char *name = name_of(path, r->dir, STORE_TABLE, t->number);

		if (!t->damaged)
			continue;
		rc = repair_step(r, "what can be read of %s becomes a new table", path);
		if (rc || r->options->plan_only)
			continue;
		rc = repair_keep(r, name, false);
		if (!rc)
			rc = repair_salvage(r, t);
	}
	return rc;
}

/* All as it was, but for the tables that are new. */
static int rebuild_version(struct repair *r, struct version **ret)
{
	struct version *empty = NULL;
	struct edit e = { 0 };
	int rc = version_new(&empty);

	for (size_t i = 0; !rc && i < r->n; i++)
		if (r->tables[i].meta)
			rc = edit_add(&e, r->tables[i].level, r->tables[i].meta);
	if (!rc)
		rc = version_apply(empty, &e, r->dir, ret);
	edit_done(&e);
	version_unref(empty);
	return rc;
}

static void last_sequence(struct repair *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct table_meta *t = r->tables[i].meta;

		if (t && t->props.sequence_max > r->sequence)
			r->sequence = t->props.sequence_max;
	}
}

static int write_manifest(struct repair *r, struct manifest_state *state)
{
	struct manifest *m = NULL;
	bool unknown = false;
	uint64_t number = r->next_number++;
	int rc;

	state->next_number = r->next_number;
	rc = manifest_create(&r->tree, number, state, &m, &unknown);
	manifest_close(m);
	return rc;
}

static int new_state(struct repair *r)
{
	struct manifest_state state = r->check.state; /* its names are borrowed */
	struct version *v = NULL;
	int rc = LSM_OK;

	last_sequence(r);
	if (r->check.has_manifest) {
		rc = rebuild_version(r, &v);
	} else {
		state = (struct manifest_state){ 0 };
		rc = repair_log_begin(r, &state.first_segment);
		if (!rc)
			rc = repair_merge(r, &v);
	}
	state.version = v;
	if (state.last_sequence < r->sequence)
		state.last_sequence = r->sequence;
	if (!rc)
		rc = write_manifest(r, &state);
	version_unref(v);
	return rc;
}

/* Tables that were merged, and damaged ones: what is left is in the lost directory. */
static int remove_old(struct repair *r)
{
	char path[STORE_PATH_MAX];
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < r->n; i++) {
		const struct repair_table *t = &r->tables[i];
		const char *name = name_of(path, r->dir, STORE_TABLE, t->number);

		if (r->check.has_manifest && !t->damaged)
			continue;
		rc = repair_keep(r, name, false);
		if (!rc)
			env_discard(r->env, path);
	}
	return rc;
}

static int on_lost(void *ctx, struct lsm_slice user_key, uint64_t sequence, const struct blob_ptr *ptr)
{
	return repair_keep_value(ctx, user_key, sequence, ptr);
}

/* The log goes into tables, and a usual open finds nothing to mend in it. */
static int replay_log(struct repair *r, struct env_lock *lock)
{
	const struct lsm_options o = { .env = r->options->env };
	struct salvage salvage = {
		.lock = lock, .sequence = r->check.has_manifest ? 0 : r->sequence, .lost = on_lost, .ctx = r
	};
	struct lsm_db *db = NULL;
	int rc = engine_open(r->dir, &o, &salvage, &db), rc2;

	if (rc)
		return rc;
	rc = lsm_flush(db);
	rc2 = lsm_close(db);
	if (!rc && !rc2 && salvage.deleted)
		rc = repair_step(r, "%llu keys of the log of %s were deleted, since their large values can't be read",
				 (unsigned long long)salvage.deleted, r->dir);
	return rc ? rc : rc2;
}

/* ---- all of it ---- */

static int largest_number(struct check *c, const char *path, enum store_file kind, uint64_t number, bool is_store_file)
{
	struct repair *r = (struct repair *)c->options->ctx;

	(void)path, (void)kind;
	if (is_store_file && number >= r->next_number)
		r->next_number = number + 1;
	return LSM_OK;
}

static int mend_options(struct repair *r)
{
	struct lsm_options stored = { 0 };
	char *path = NULL;
	int rc = options_load(r->env, r->dir, &stored);

	if (rc == LSM_CORRUPT) {
		rc = repair_step(r, "%s/OPTIONS is damaged: the options of the store are the defaults again", r->dir);
		if (!rc && !r->options->plan_only)
			rc = repair_keep(r, "OPTIONS", false);
		if (!rc && !(path = env_path(r->dir, "OPTIONS")))
			rc = status_no_memory(strlen(r->dir));
		if (!rc && !r->options->plan_only)
			env_discard(r->env, path);
		free(path);
	}
	return rc ? rc : options_resolve(NULL, &stored, &r->stored);
}

static int do_steps(struct repair *r, struct env_lock *lock)
{
	int rc = salvage_tables(r);

	if (!rc && !r->check.has_manifest)
		rc = repair_step(r,
				 "all tables of %s are merged, and a new manifest names them; named snapshots are gone",
				 r->dir);
	if (!rc && r->log_damaged)
		rc = repair_step(
			r,
			"the log of %s is applied as far as it, and what it refers to, can be read; its files are kept",
			r->dir);
	if (!rc && r->check.damaged && !r->steps)
		rc = repair_step(r, "%s gets a new manifest", r->dir);
	if (rc || !r->steps || r->options->plan_only)
		return rc;
	if (r->log_damaged)
		rc = repair_log(r);
	if (!rc)
		rc = new_state(r);
	if (!rc)
		rc = remove_old(r);
	return rc ? rc : replay_log(r, lock);
}

static int make_tree(struct repair *r, struct block_cache **blocks)
{
	int rc = block_cache_new(r->stored.memory_bytes, blocks);

	if (!rc)
		rc = table_cache_new(r->env, r->dir, *blocks, r->stored.open_tables_max, &r->tree.tables);
	if (!rc)
		rc = segments_new(r->env, r->dir, r->tree.tables, false, &r->tree.segments);
	return rc;
}

/* One round; *ret_steps tells whether there was anything to do. */
static int repair_once(const char *path, const struct lsm_repair_options *options, struct env_lock *lock,
		       unsigned *ret_steps)
{
	struct repair r = { .dir = path, .options = options, .next_number = 1 };
	const struct lsm_check_options check_options = { .ctx = &r, .env = options->env };
	struct block_cache *blocks = NULL;
	int rc;

	r.env = options->env ? options->env : env_posix();
	r.check = (struct check){ .env = r.env, .dir = path, .options = &check_options, .skip_headers = true };
	rc = check_each_file(&r.check, largest_number);
	if (!rc)
		rc = mend_options(&r);
	if (!rc)
		rc = check_each_file(&r.check, check_header);
	r.tree = (struct tree){ .env = r.env, .dir = path };
	if (!rc)
		rc = make_tree(&r, &blocks);
	if (!rc)
		rc = repair_look(&r);
	if (!rc)
		rc = do_steps(&r, lock);
	for (size_t i = 0; i < r.n; i++)
		table_meta_unref(r.tables[i].meta);
	free(r.tables);
	manifest_state_done(&r.check.state);
	(void)check_segments_done(&r.check);
	segments_free(r.tree.segments);
	table_cache_free(r.tree.tables);
	block_cache_free(blocks);
	*ret_steps = r.steps;
	return rc;
}

int lsm_repair(const char *path, const struct lsm_repair_options *options)
{
	enum { ROUNDS = 3 }; /* what the log held is in tables after the first */
	struct check c = { .dir = path };
	struct env_lock *lock = NULL;
	unsigned steps = 1;
	int rc;

	if (!path || !*path || strlen(path) > STORE_PATH_MAX - 64)
		return status_set(LSM_INVALID, 0, NULL, 0, "the path of the store is empty or too long");
	if (!options || (!options->lost && !options->plan_only))
		return status_set(LSM_INVALID, 0, NULL, 0, "a directory for what is taken out is needed");
	c.env = options->env ? options->env : env_posix();
	rc = check_is_store(&c);
	if (!rc)
		rc = store_lock(c.env, path, options->plan_only, &lock);
	for (int i = 0; !rc && steps && i < (options->plan_only ? 1 : ROUNDS); i++)
		rc = repair_once(path, options, lock, &steps);
	if (lock)
		c.env->ops->unlock(c.env, lock);
	if (rc || options->plan_only || !steps)
		return rc;
	return lsm_check(path, &(struct lsm_check_options){ .env = options->env });
}
