/* SPDX-License-Identifier: MIT */
#include "lsm/store/staging.h"

#include <errno.h>

#include "lsm/base/checksum.h"

/* ---- the directory ---- */

/* What a store's directory may hold; the lock's file goes last. */
static bool is_ours(const char *name)
{
	enum store_file kind;
	uint64_t number;

	return store_file_parse(name, &kind, &number) || !strcmp(name, "CURRENT") || !strcmp(name, "CURRENT.tmp") ||
	       !strcmp(name, "OPTIONS") || !strcmp(name, "OPTIONS.tmp");
}

struct clearing {
	const struct staging *s;
	char *name; /* of a file to remove; malloc'd */
	bool foreign;
};

static int find_one(void *ctx, const char *name)
{
	struct clearing *c = ctx;

	if (!strcmp(name, "LOCK"))
		return LSM_OK;
	if (!is_ours(name)) {
		c->foreign = true;
		return LSM_OK;
	}
	c->name = env_path(c->s->temp, name);
	return c->name ? 1 : status_no_memory(strlen(name));
}

/* Removes the files of an attempt, one by one since the listing may not bear the removal of what it lists. */
static int clear(const struct staging *s)
{
	struct clearing c = { .s = s };
	int rc = 1;

	while (rc > 0) {
		rc = s->env->ops->list(s->env, s->temp, find_one, &c);
		if (rc > 0 && env_unlink(s->env, c.name))
			rc = lsm_last_error()->code;
		free(c.name);
		c.name = NULL;
	}
	if (!rc && c.foreign)
		rc = status_set(LSM_EXISTS, EEXIST, s->temp, 0,
				"%s holds other files than a copy that was broken off: it is in the way of %s", s->temp,
				s->final);
	return rc;
}

static int nothing(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return 1;
}

static int check_free(const struct staging *s)
{
	int rc = s->env->ops->list(s->env, s->final, nothing, NULL);

	if (rc == LSM_NOT_STORE && lsm_last_error()->sys_errno == ENOENT)
		return LSM_OK;
	return rc < 0 && rc != LSM_NOT_STORE
		       ? rc
		       : status_set(LSM_EXISTS, EEXIST, s->final, 0, "%s exists already", s->final);
}

static void done(struct staging *s)
{
	if (s->lock)
		s->env->ops->unlock(s->env, s->lock);
	free(s->final);
	free(s->temp);
	*s = (struct staging){ 0 };
}

static int names_make(struct staging *s, const char *dir)
{
	size_t n;

	if (!dir || !*dir)
		return status_set(LSM_INVALID, 0, NULL, 0, "the path of the new directory is empty");
	if (strlen(dir) > STORE_PATH_MAX - 64)
		return status_set(LSM_INVALID, ENAMETOOLONG, NULL, 0, "the path of the new directory is too long");
	s->final = strdup(dir);
	s->temp = malloc(strlen(dir) + sizeof(".tmp"));
	if (!s->final || !s->temp)
		return status_no_memory(strlen(dir));
	n = strlen(dir);
	while (n > 1 && s->final[n - 1] == '/')
		s->final[--n] = 0;
	memcpy(s->temp, s->final, n);
	memcpy(s->temp + n, ".tmp", sizeof(".tmp"));
	return LSM_OK;
}

int staging_begin(struct env *env, const char *dir, struct staging *ret)
{
	struct staging s = { .env = env };
	char *lock = NULL;
	int rc = names_make(&s, dir);

	if (!rc)
		rc = check_free(&s);
	if (!rc) {
		rc = env->ops->mkdir(env, s.temp);
		if (rc == LSM_EXISTS)
			rc = LSM_OK; /* of an attempt that was broken off; the lock tells */
	}
	if (!rc) {
		lock = env_path(s.temp, "LOCK");
		rc = lock ? env->ops->lock(env, lock, &s.lock) : status_no_memory(strlen(s.temp));
	}
	if (!rc)
		rc = clear(&s);
	free(lock);
	if (rc)
		done(&s);
	else
		*ret = s;
	return rc;
}

void staging_abort(struct staging *s)
{
	struct lsm_error last = *lsm_last_error();
	char *lock = env_path(s->temp, "LOCK");

	if (!clear(s) && lock && !env_unlink(s->env, lock))
		(void)s->env->ops->rmdir(s->env, s->temp);
	free(lock);
	done(s);
	status_adopt(&last);
}

int staging_commit(struct staging *s)
{
	char *temp;
	int rc = env_sync_dir(s->env, s->temp);

	if (!rc)
		rc = check_free(s);
	if (!rc)
		rc = s->env->ops->rename(s->env, s->temp, s->final);
	if (rc) {
		staging_abort(s);
		return rc;
	}
	rc = env_sync_parent(s->env, s->final);
	if (rc) {
		/* Nobody can tell under which name it would be found: under neither. */
		temp = s->temp;
		s->temp = s->final;
		s->final = temp;
		staging_abort(s);
		return rc;
	}
	done(s);
	return LSM_OK;
}

/* ---- a store at one moment ---- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static size_t count_refs(const struct version *v)
{
	size_t n = 0;

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < v->levels[l].n; i++)
			n += v->levels[l].tables[i]->props.blob_refs_n;
	}
	return n;
}

static int list_segments(struct capture *c)
{
	const struct version *v = c->sv->version;
	size_t n = count_refs(v), kept = 0;
	uint64_t *list = malloc((n + 1) * sizeof(*list));

	if (!list)
		return status_no_memory((n + 1) * sizeof(*list));
	n = 0;
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < v->levels[l].n; i++) {
			const struct table_props *p = &v->levels[l].tables[i]->props;

			for (size_t k = 0; k < p->blob_refs_n; k++)
				list[n++] = p->blob_refs[k].segment;
		}
	}
	qsort(list, n, sizeof(*list), compare_u64);
	for (size_t i = 0; i < n; i++) {
		if (!kept || list[kept - 1] != list[i])
			list[kept++] = list[i];
	}
	c->segments = list;
	c->segments_n = kept;
	return LSM_OK;
}

/* The snapshots that have their name now, and had it before the flush: what they show is in the tables. tree lock. */
static int take_names(struct lsm_db *db, uint64_t sequence, struct named_list *ret)
{
	struct named_list l = { 0 };
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < db->named.n; i++) {
		const struct named_snapshot *s = &db->named.list[i];

		if (s->sequence <= sequence)
			rc = named_add(&l, s->name, s->sequence, s->created_us);
	}
	if (rc)
		named_done(&l);
	else
		*ret = l;
	return rc;
}

int capture_take(struct lsm_db *db, struct capture *ret)
{
	struct capture c = { 0 };
	uint64_t sequence = atomic_load(&db->last_sequence);
	int rc = lsm_flush(db);

	if (rc)
		return rc;
	mutex_lock(&db->lock);
	c.sv = atomic_load(&db->current);
	atomic_fetch_add_explicit(&c.sv->refs, 1, memory_order_relaxed);
	rc = take_names(db, sequence, &c.state.named);
	mutex_unlock(&db->lock);
	if (!rc)
		rc = list_segments(&c);
	/* Memtables are flushed in their order, so the tables of any version hold a beginning of history. No log goes with
	 * them: the copy begins one of its own. */
	c.state.version = c.sv->version;
	c.state.first_segment = 1;
	c.state.last_sequence = atomic_load(&db->last_sequence);
	c.state.number = new_number(db);
	c.state.next_number = c.state.number + 1;
	if (rc)
		capture_done(&c);
	else
		*ret = c;
	return rc;
}

int capture_each(const struct capture *c, int (*fn)(void *ctx, enum store_file kind, uint64_t number), void *ctx)
{
	const struct version *v = c->sv->version;
	int rc = LSM_OK;

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; !rc && i < v->levels[l].n; i++)
			rc = fn(ctx, STORE_TABLE, v->levels[l].tables[i]->number);
	}
	for (size_t i = 0; !rc && i < c->segments_n; i++)
		rc = fn(ctx, STORE_BLOB, c->segments[i]);
	return rc;
}

void capture_done(struct capture *c)
{
	superversion_unref(c->sv);
	named_done(&c->state.named);
	free(c->segments);
	*c = (struct capture){ 0 };
}

/* ---- files ---- */

enum { COPY_BYTES = 1 << 20 };

/* Reads `from` through; each piece goes into `to`, unless that is NULL. */
static int pass(struct env_file *from, struct env_file *to, const struct copy_progress *progress, uint64_t *ret_bytes,
		uint64_t *ret_hash)
{
	struct hash_stream *h = hash_stream_new();
	uint8_t *buf = malloc(COPY_BYTES);
	size_t got = 1;
	uint64_t at = 0;
	int rc = h && buf ? LSM_OK : status_no_memory(COPY_BYTES);

	while (!rc && got) {
		rc = file_read(from, at, buf, COPY_BYTES, &got);
		if (!rc && got)
			hash_stream_add(h, buf, got);
		if (!rc && got && to)
			rc = file_write(to, at, buf, got);
		if (!rc && got && progress)
			rc = progress->fn(progress->ctx, got);
		at += rc ? 0 : got;
	}
	if (!rc && ret_bytes)
		*ret_bytes = at;
	if (!rc && ret_hash)
		*ret_hash = hash_stream_value(h);
	hash_stream_free(h);
	free(buf);
	return rc;
}

int file_copy(struct env *env, const char *from, const char *to, const struct copy_progress *progress,
	      uint64_t *ret_bytes, uint64_t *ret_hash)
{
	struct env_file *in = NULL, *out = NULL;
	bool made = false;
	int rc = env_open(env, from, ENV_OPEN_READ, &in);

	if (!rc) {
		rc = env_open(env, to, ENV_OPEN_CREATE, &out);
		made = !rc;
	}
	if (!rc)
		rc = pass(in, out, progress, ret_bytes, ret_hash);
	if (!rc)
		rc = file_sync(out);
	file_close(in);
	file_close(out);
	if (rc && made)
		env_discard(env, to);
	return rc;
}

int file_hash(struct env *env, const char *path, const struct copy_progress *progress, uint64_t *ret_bytes,
	      uint64_t *ret_hash)
{
	struct env_file *f = NULL;
	int rc = env_open(env, path, ENV_OPEN_READ, &f);

	if (!rc) {
		f->ops->drop_cache(f);
		rc = pass(f, NULL, progress, ret_bytes, ret_hash);
	}
	file_close(f);
	return rc;
}
