/* SPDX-License-Identifier: MIT */
/* lsm_check(): all files of a store, one kind after the other; what each kind has to tell is in check_*.c. */
#include "lsm/store/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lsm/format/log.h"
#include "lsm/format/wal_segment.h"
#include "lsm/store/options.h"

/* ---- finds and progress ---- */

int check_tell(struct check *c, const struct lsm_find *find)
{
	if (find->severity == LSM_FIND_DAMAGE) {
		if (!c->damaged++)
			c->first = *lsm_last_error();
		c->unsupported |= find->code == LSM_UNSUPPORTED;
	}
	return c->options->find ? c->options->find(c->options->ctx, find) : LSM_OK;
}

int check_settle(struct check *c, int rc, struct lsm_slice begin, struct lsm_slice end)
{
	struct lsm_error e = *lsm_last_error();
	struct lsm_find find = { LSM_FIND_DAMAGE, rc, e.file, e.offset, e.message, begin, end };

	if (rc != LSM_CORRUPT && rc != LSM_IO && rc != LSM_UNSUPPORTED)
		return rc;
	return check_tell(c, &find);
}

int check_settle_file(struct check *c, int rc)
{
	return check_settle(c, rc, slice_of(NULL, 0), slice_of(NULL, 0));
}

int check_inform(struct check *c, const char *file, uint64_t offset, const char *format, ...)
{
	char what[1024];
	struct lsm_find find = { .severity = LSM_FIND_INFO, .file = file, .offset = offset, .what = what };
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return check_tell(c, &find);
}

int check_progress(struct check *c, uint64_t bytes)
{
	enum { STEP_BYTES = 256 << 10 };

	c->done_bytes += bytes;
	if (c->done_bytes > c->total_bytes)
		c->total_bytes = c->done_bytes; /* what is read twice, or has grown */
	if (!c->options->progress || c->done_bytes - c->told_bytes < STEP_BYTES)
		return LSM_OK;
	c->told_bytes = c->done_bytes;
	return c->options->progress(c->options->ctx, c->done_bytes, c->total_bytes);
}

/* ---- which files there are ---- */

struct listing {
	struct check *c;
	bool current, file, data; /* CURRENT; any other file of a store; one that is no manifest */
	int (*fn)(struct check *c, const char *path, enum store_file kind, uint64_t number, bool is_store_file);
};

static int on_name(void *ctx, const char *name)
{
	struct listing *l = ctx;
	enum store_file kind = STORE_TABLE;
	uint64_t number = 0;
	bool is_store_file = store_file_parse(name, &kind, &number);
	char *path;
	int rc = LSM_OK;

	l->current |= !strcmp(name, "CURRENT");
	l->file |= is_store_file;
	l->data |= is_store_file && kind != STORE_MANIFEST;
	if (!l->fn)
		return LSM_OK;
	path = env_path(l->c->dir, name);
	if (!path)
		return status_no_memory(strlen(name));
	rc = l->fn(l->c, path, kind, number, is_store_file);
	free(path);
	return rc;
}

int check_each_file(struct check *c, int (*fn)(struct check *c, const char *path, enum store_file kind, uint64_t number,
					       bool is_store_file))
{
	struct listing l = { .c = c, .fn = fn };

	return c->env->ops->list(c->env, c->dir, on_name, &l);
}

static int on_any_record(void *ctx, const struct wal_record *record)
{
	(void)record;
	*(bool *)ctx = true;
	return LSM_OK;
}

/* Nothing is in the log, as far as it can be read? */
static bool log_is_empty(const struct check *c)
{
	const struct wal_options o = { .read_only = true };
	struct wal *wal = NULL;
	bool any = false;
	uint64_t end;
	int rc = wal_open(c->env, c->dir, &o, &wal);

	if (!rc)
		rc = wal_replay(wal, 1, on_any_record, &any, &end);
	wal_close(wal, false);
	return !rc && !any;
}

int check_is_store(struct check *c)
{
	struct listing l = { .c = c };
	int rc = c->env->ops->list(c->env, c->dir, on_name, &l);

	if (!rc && !l.current && !l.file)
		rc = status_set(LSM_NOT_STORE, 0, c->dir, 0, "%s is not a store: it has none of a store's files",
				c->dir);
	/* CURRENT comes last. An open makes the store anew. */
	if (!rc && !l.current && !l.data && log_is_empty(c))
		rc = status_set(LSM_NOT_STORE, 0, c->dir, 0, "%s is not a store yet: a crash has cut its making short",
				c->dir);
	return rc;
}

/* Only for the progress: what can't be opened has no size. */
static int add_size(struct check *c, const char *path, enum store_file kind, uint64_t number, bool is_store_file)
{
	struct lsm_error first = *lsm_last_error();
	struct env_file *f = NULL;
	uint64_t bytes = 0;
	unsigned slot;

	(void)kind, (void)number;
	if (!is_store_file && !wal_slot_parse(strrchr(path, '/') + 1, &slot))
		return LSM_OK;
	if (!env_open(c->env, path, ENV_OPEN_READ, &f) && !file_size(f, &bytes))
		c->total_bytes += bytes;
	file_close(f);
	(void)status_adopt(&first);
	return LSM_OK;
}

static bool version_holds(const struct version *v, uint64_t number)
{
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < v->levels[l].n; i++)
			if (v->levels[l].tables[i]->number == number)
				return true;
	}
	return false;
}

static bool is_known(const char *name)
{
	static const char *const names[] = { "CURRENT", "LOCK", "OPTIONS", "lost+found" };
	unsigned slot;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return wal_slot_parse(name, &slot);
}

/* What nothing refers to is deleted by the next open; names of other forms are left alone. */
static int tell_stray(struct check *c, const char *path, enum store_file kind, uint64_t number, bool is_store_file)
{
	const char *name = strrchr(path, '/') + 1;
	bool known;

	if (!is_store_file) {
		if (is_known(name))
			return LSM_OK;
		if (!strcmp(name, "CURRENT.tmp") || !strcmp(name, "OPTIONS.tmp"))
			return check_inform(c, path, 0, "%s is left over from a crash", path);
		return check_inform(c, path, 0, "%s is no file of a store", path);
	}
	if (kind == STORE_TABLE)
		known = version_holds(c->state.version, number);
	else if (kind == STORE_BLOB)
		known = check_segment_known(c, number);
	else
		known = number == c->state.number;
	return known ? LSM_OK : check_inform(c, path, 0, "nothing refers to %s: a crash left it", path);
}

/* ---- the manifest ---- */

struct copies {
	struct check *c;
	const char *path;
	uint64_t end;        /* behind the last copy that checked */
	uint64_t next_index; /* of the next record */
	unsigned seen;       /* copies of the record before it */
	uint64_t gap;        /* where the last copy should have begun, */
	uint64_t gap_bytes;  /* and how far behind it does */
};

/* Each record stands there twice; one copy is enough to read it, but no more. */
static int settle_gap(struct copies *m)
{
	uint64_t bytes = m->gap_bytes;

	m->gap_bytes = 0;
	return !bytes ? LSM_OK
		      : check_settle_file(
				m->c, status_corrupt(m->path, m->gap, "%llu bytes at byte %llu of %s are damaged",
						     (unsigned long long)bytes, (unsigned long long)m->gap, m->path));
}

/* Bytes that are none in front of a copy are damage if another copy follows. Else it is the last record's only one, and a
 * power cut has torn the other before it was synced. */
static int on_copy(void *ctx, const struct log_copy *copy)
{
	struct copies *m = ctx;
	int rc = settle_gap(m);

	m->gap = m->end;
	m->gap_bytes = copy->offset > m->end ? copy->offset - m->end : 0;
	m->seen = copy->index + 1 == m->next_index ? m->seen + 1 : 1;
	m->next_index = copy->index + 1;
	m->end = copy->end;
	return rc;
}

static int check_copies(struct check *c, uint64_t number)
{
	char path[STORE_PATH_MAX];
	struct copies m = { .c = c, .path = path, .end = FILE_HEADER_BYTES };
	uint64_t size = 0;
	int rc;

	store_file_path(path, c->dir, STORE_MANIFEST, number);
	rc = log_scan(c->env, path, number, on_copy, &m, &size);
	if (rc == LSM_IO)
		return LSM_OK;                        /* manifest_load() meets it again */
	if (!rc && (m.seen > 1 || m.next_index == 1)) /* the first record was synced before CURRENT named the file */
		rc = settle_gap(&m);
	if (!rc && m.next_index && (m.seen < 2 || size > m.end))
		rc = check_inform(c, path, m.end,
				  "the last record of %s is there once, or followed by %llu bytes that are none: an "
				  "append that a "
				  "crash cut short, or a damaged copy",
				  path, (unsigned long long)(size > m.end ? size - m.end : 0));
	return rc ? rc : check_progress(c, size);
}

int check_manifest(struct check *c, struct tree *tree)
{
	uint64_t number = 0;
	int rc = manifest_current(c->env, c->dir, &number);

	if (rc == LSM_NOT_STORE) /* with other files of a store around */
		rc = status_corrupt(c->dir, 0, "%s has no file CURRENT, which tells which manifest counts", c->dir);
	if (!rc) {
		rc = check_copies(c, number);
		if (rc)
			return rc;
		rc = manifest_load(tree, &c->state);
		c->has_manifest = !rc;
	}
	return check_settle_file(c, rc);
}

/* ---- all of it ---- */

static int check_version(struct check *c)
{
	const struct version *v = c->state.version;
	int rc = LSM_OK;

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; !rc && i < v->levels[l].n; i++)
			rc = check_table(c, v->levels[l].tables[i]->number, v->levels[l].tables[i]);
	}
	return rc;
}

static int check_lone_table(struct check *c, const char *path, enum store_file kind, uint64_t number,
			    bool is_store_file)
{
	(void)path;
	return is_store_file && kind == STORE_TABLE ? check_table(c, number, NULL) : LSM_OK;
}

/* Without a manifest nobody knows where the log begins, and which tables count. */
static int check_without_manifest(struct check *c)
{
	int rc = check_each_file(c, check_lone_table);

	return rc ? rc
		  : check_inform(c, c->dir, 0, "the log of %s was not checked: the manifest says where it begins",
				 c->dir);
}

static int check_files(struct check *c)
{
	struct lsm_options stored;
	int rc = check_settle_file(c, options_load(c->env, c->dir, &stored));

	if (!rc && c->has_manifest) {
		rc = check_version(c);
		if (!rc)
			rc = check_log(c);
		if (!rc)
			rc = check_each_file(c, tell_stray);
	} else if (!rc) {
		rc = check_without_manifest(c);
	}
	return rc;
}

static int check_all(struct check *c)
{
	struct tree tree = { .env = c->env, .dir = c->dir, .read_only = true };
	int rc = check_each_file(c, add_size), rc2;

	if (!rc)
		rc = check_manifest(c, &tree);
	if (!rc)
		rc = check_files(c);
	rc2 = check_segments_done(c);
	manifest_state_done(&c->state);
	return rc ? rc : rc2;
}

int lsm_check(const char *path, const struct lsm_check_options *options)
{
	static const struct lsm_check_options none;
	struct check c = { .dir = path, .options = options ? options : &none };
	struct env_lock *lock = NULL;
	int rc;

	if (!path || !*path)
		return status_set(LSM_INVALID, 0, NULL, 0, "the path of the store is empty");
	if (strlen(path) > STORE_PATH_MAX - 64)
		return status_set(LSM_INVALID, 0, NULL, 0, "the path of the store is too long");
	c.env = c.options->env ? c.options->env : env_posix();
	rc = check_is_store(&c);
	if (!rc)
		rc = store_lock(c.env, c.dir, true, &lock);
	if (rc)
		return rc;
	rc = check_all(&c);
	if (!rc && c.options->progress)
		rc = c.options->progress(c.options->ctx, c.total_bytes, c.total_bytes);
	if (lock)
		c.env->ops->unlock(c.env, lock);
	if (rc || !c.damaged)
		return rc;
	if (c.unsupported && c.first.code != LSM_UNSUPPORTED)
		c.first.code = LSM_UNSUPPORTED;
	else if (!c.unsupported)
		c.first.code = LSM_CORRUPT;
	return status_adopt(&c.first);
}
