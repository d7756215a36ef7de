/* SPDX-License-Identifier: MIT */
/* A checkpoint: the files of a store under a second name, with a manifest of their own. */
#include "lsm/store/options.h"
#include "lsm/store/staging.h"

struct linking {
	struct lsm_db *db;
	const struct staging *s;
};

/* Tables and segments are never written again once a table refers to them: both stores may have them. */
static int link_file(void *ctx, enum store_file kind, uint64_t number)
{
	const struct linking *l = ctx;
	char from[STORE_PATH_MAX], to[STORE_PATH_MAX];
	int rc;

	store_file_path(from, l->db->dir, kind, number);
	store_file_path(to, l->s->temp, kind, number);
	rc = l->db->env->ops->link(l->db->env, from, to);
	return rc == LSM_UNSUPPORTED ? file_copy(l->db->env, from, to, NULL, NULL, NULL) : rc;
}

static int copy_options(struct lsm_db *db, const struct staging *s)
{
	struct lsm_options stored = { 0 };
	int rc = options_load(db->env, db->dir, &stored);

	return rc ? rc : options_store(db->env, s->temp, &stored, &(struct lsm_options){ 0 });
}

static int fill(struct lsm_db *db, const struct staging *s, const struct capture *c)
{
	struct tree tree = { .env = db->env, .dir = s->temp };
	struct linking l = { db, s };
	struct manifest *m = NULL;
	bool unknown;
	int rc = capture_each(c, link_file, &l);

	if (!rc)
		rc = manifest_create(&tree, c->state.number, &c->state, &m, &unknown);
	manifest_close(m);
	return rc ? rc : copy_options(db, s);
}

int lsm_checkpoint(struct lsm_db *db, const char *dir)
{
	struct staging s;
	struct capture c;
	int rc = db_check_writable(db);

	if (!rc)
		rc = staging_begin(db->env, dir, &s);
	if (rc)
		return rc;
	rc = capture_take(db, &c);
	if (!rc) {
		rc = fill(db, &s, &c);
		capture_done(&c);
	}
	if (!rc)
		return staging_commit(&s);
	staging_abort(&s);
	return rc;
}
