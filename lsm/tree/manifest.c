/* SPDX-License-Identifier: MIT */
#include "lsm/tree/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lsm/base/checksum.h"
#include "lsm/format/log.h"

/* CURRENT is one line of text: "lsm 1 000007.manifest 8a3c21f0\n": what, version, manifest, checksum of the rest. */
#define CURRENT_WRITE "lsm %u %06llu.manifest"
#define CURRENT_READ "lsm %u %llu.manifest" /* a width would cut a longer number */
enum { CURRENT_VERSION = 1, CURRENT_BYTES_MAX = 128 };

struct manifest {
	struct log_writer *log;
	uint64_t number;
};

static int path_of(const char *dir, const char *name, char **ret)
{
	*ret = env_path(dir, name);
	return *ret ? LSM_OK : status_no_memory(strlen(dir));
}

static size_t current_text(char text[CURRENT_BYTES_MAX], uint64_t number)
{
	int n = snprintf(text, CURRENT_BYTES_MAX, CURRENT_WRITE, (unsigned)CURRENT_VERSION, (unsigned long long)number);

	n += snprintf(text + n, CURRENT_BYTES_MAX - (size_t)n, " %08x\n", checksum32(text, (size_t)n, 0));
	return (size_t)n;
}

static int current_parse(const char *path, char *text, uint64_t *ret_number)
{
	char again[CURRENT_BYTES_MAX];
	unsigned version = 0, sum = 0;
	unsigned long long number = 0;
	int body = 0, all = 0;

	if (sscanf(text, CURRENT_READ "%n %8x%n", &version, &number, &body, &sum, &all) < 3 || !all ||
	    strcmp(text + all, "\n"))
		return status_corrupt(path, 0,
				      "%s doesn't say which manifest is the current one; it should be like "
				      "'lsm 1 000001.manifest 12345678'",
				      path);
	if (version != CURRENT_VERSION)
		return status_set(LSM_UNSUPPORTED, 0, path, 0,
				  "%s is of version %u; this library knows version %u. "
				  "Nothing was changed",
				  path, version, CURRENT_VERSION);
	current_text(again, number);
	if (checksum32(text, (size_t)body, 0) != sum || strcmp(text, again))
		return status_corrupt(path, 0, "%s: the checksum is wrong", path);
	*ret_number = number;
	return LSM_OK;
}

int manifest_current(struct env *env, const char *dir, uint64_t *ret_number)
{
	char text[CURRENT_BYTES_MAX + 1] = "";
	struct env_file *f = NULL;
	char *path;
	size_t size = 0;
	int rc = path_of(dir, "CURRENT", &path);

	if (rc)
		return rc;
	rc = env_open(env, path, ENV_OPEN_READ, &f);
	if (rc && lsm_last_error()->sys_errno == ENOENT)
		rc = status_set(LSM_NOT_STORE, 0, dir, 0, "%s is not a store: it has no file CURRENT", dir);
	if (!rc)
		rc = file_read(f, 0, text, CURRENT_BYTES_MAX, &size);
	if (!rc)
		rc = current_parse(path, text, ret_number);
	file_close(f);
	free(path);
	return rc;
}

/* A new CURRENT comes under its name whole, or not at all; *ret_unknown when nobody can tell which. */
static int current_write(struct env *env, const char *dir, uint64_t number, bool *ret_unknown)
{
	char text[CURRENT_BYTES_MAX];
	size_t size = current_text(text, number);

	return env_replace_file(env, dir, "CURRENT", text, size, ret_unknown);
}

struct reading {
	struct tree *tree;
	const char *path;
	struct manifest_state *state;
};

static int apply_names(const struct reading *r, const struct edit *e)
{
	struct named_list next = { 0 };
	int rc;

	if (!e->named_added.n && !e->named_removed.n)
		return LSM_OK;
	rc = named_apply(&r->state->named, &e->named_removed, &e->named_added, &next);
	if (rc == LSM_NOT_FOUND || rc == LSM_EXISTS)
		return status_corrupt(r->path, 0, "%s: an edit changes named snapshots that are not as it says",
				      r->path);
	if (rc)
		return rc;
	named_done(&r->state->named);
	r->state->named = next;
	return LSM_OK;
}

static int apply(void *ctx, struct lsm_slice record)
{
	struct reading *r = ctx;
	struct manifest_state *s = r->state;
	struct version *v;
	struct edit e = { 0 };
	int rc = edit_decode(record, r->path, r->tree, &e);

	if (rc)
		return rc;
	rc = apply_names(r, &e);
	if (!rc)
		rc = version_apply(s->version, &e, r->path, &v);
	if (!rc) {
		version_unref(s->version);
		s->version = v;
		if (e.first_segment)
			s->first_segment = e.first_segment;
		if (e.last_sequence > s->last_sequence)
			s->last_sequence = e.last_sequence;
		if (e.next_number > s->next_number)
			s->next_number = e.next_number;
	}
	edit_done(&e);
	return rc;
}

static int attach_all(struct version *v)
{
	int rc = LSM_OK;

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; !rc && i < v->levels[l].n; i++) {
			rc = table_meta_attach(v->levels[l].tables[i]);
			if (!rc)
				table_meta_count_live(v->levels[l].tables[i], 1);
		}
	}
	return rc;
}

int manifest_state_new(struct manifest_state *ret)
{
	struct manifest_state s = { .first_segment = 1, .next_number = 1 };
	int rc = version_new(&s.version);

	if (!rc)
		*ret = s;
	return rc;
}

int manifest_load(struct tree *tree, struct manifest_state *ret)
{
	char path[STORE_PATH_MAX];
	struct manifest_state s = { 0 };
	struct reading r = { tree, path, &s };
	struct log_end end;
	uint64_t number = 0;
	int rc = manifest_current(tree->env, tree->dir, &number);

	if (!rc)
		rc = manifest_state_new(&s);
	if (rc)
		return rc;
	s.number = number;
	store_file_path(path, tree->dir, STORE_MANIFEST, number);
	rc = log_read(tree->env, path, number, apply, &r, &end);
	if (!rc && !end.records)
		rc = status_corrupt(path, 0, "%s holds no edit", path);
	if (rc)
		manifest_state_done(&s);
	else
		*ret = s;
	return rc;
}

int manifest_settle(struct tree *tree)
{
	char path[STORE_PATH_MAX];
	struct env_file *f = NULL;
	uint64_t number = 0;
	int rc;

	if (manifest_current(tree->env, tree->dir, &number))
		return LSM_OK;
	store_file_path(path, tree->dir, STORE_MANIFEST, number);
	rc = env_open(tree->env, path, ENV_OPEN_WRITE, &f);
	if (rc)
		return lsm_last_error()->sys_errno == ENOENT ? LSM_OK : rc;
	f->ops->drop_cache(f);
	rc = file_sync(f);
	file_close(f);
	return rc ? rc : env_sync_dir(tree->env, tree->dir);
}

int manifest_read(struct tree *tree, struct manifest_state *ret)
{
	struct manifest_state s;
	int rc = manifest_load(tree, &s);

	if (rc)
		return rc;
	rc = attach_all(s.version);
	if (rc)
		manifest_state_done(&s);
	else
		*ret = s;
	return rc;
}

void manifest_state_done(struct manifest_state *s)
{
	version_unref(s->version);
	named_done(&s->named);
	s->version = NULL;
}

static int whole_version(const struct manifest_state *state, struct edit *e)
{
	static const struct named_list none;
	int rc = named_apply(&state->named, &none, &none, &e->named_added);

	e->first_segment = state->first_segment;
	e->last_sequence = state->last_sequence;
	e->next_number = state->next_number;
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; !rc && i < state->version->levels[l].n; i++)
			rc = edit_add(e, l, state->version->levels[l].tables[i]);
	}
	return rc;
}

/* A new file that holds the state as its first edit; the caller removes it after a failure. */
static int start(struct env *env, const char *path, uint64_t number, const struct manifest_state *state,
		 struct manifest **ret)
{
	struct manifest *m = calloc(1, sizeof(*m));
	struct edit e = { 0 };
	int rc;

	if (!m)
		return status_no_memory(sizeof(*m));
	m->number = number;
	rc = log_writer_open(env, path, number, &m->log);
	if (!rc)
		rc = whole_version(state, &e);
	if (!rc)
		rc = manifest_append(m, &e);
	edit_done(&e);
	if (rc)
		manifest_close(m);
	else
		*ret = m;
	return rc;
}

int manifest_create(struct tree *tree, uint64_t number, const struct manifest_state *state, struct manifest **ret,
		    bool *ret_unknown)
{
	char path[STORE_PATH_MAX];
	struct manifest *m = NULL;
	int rc;

	*ret_unknown = false;
	store_file_path(path, tree->dir, STORE_MANIFEST, number);
	rc = start(tree->env, path, number, state, &m);
	/* CURRENT must not name a file whose own name a power cut takes away: a directory's changes have no order until it
	 * is synced. */
	if (!rc)
		rc = env_sync_dir(tree->env, tree->dir);
	if (!rc)
		rc = current_write(tree->env, tree->dir, number, ret_unknown);
	if (rc) {
		manifest_close(m);
		if (!*ret_unknown)
			env_discard(tree->env, path);
		return rc;
	}
	*ret = m;
	return LSM_OK;
}

int manifest_write(struct env *env, const char *path, uint64_t number, const struct manifest_state *state)
{
	struct manifest *m = NULL;
	int rc = start(env, path, number, state, &m);

	manifest_close(m);
	if (rc)
		env_discard(env, path);
	return rc;
}

int manifest_set_current(struct env *env, const char *dir, uint64_t number)
{
	bool unknown = false;

	return current_write(env, dir, number, &unknown);
}

int manifest_append(struct manifest *m, const struct edit *e)
{
	struct buf record = { 0 };
	int rc;

	edit_encode(e, &record);
	if (record.failed)
		rc = status_no_memory(record.size);
	else
		rc = log_writer_add(m->log, buf_slice(&record));
	if (!rc)
		rc = log_writer_sync(m->log);
	buf_free(&record);
	return rc;
}

bool manifest_unknown(const struct manifest *m)
{
	return log_writer_failed(m->log);
}

uint64_t manifest_bytes(const struct manifest *m)
{
	return log_writer_bytes(m->log);
}

uint64_t manifest_number(const struct manifest *m)
{
	return m->number;
}

void manifest_close(struct manifest *m)
{
	if (!m)
		return;
	log_writer_close(m->log);
	free(m);
}
