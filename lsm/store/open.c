/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "lsm/store/event.h"
#include "lsm/store/options.h"

/* ---- what is in the directory ---- */

struct content {
	bool current; /* the file CURRENT: it is a store */
	bool foreign; /* anything that isn't the leftover of a store's unfinished creation */
};

static int look_at(void *ctx, const char *name)
{
	struct content *c = ctx;
	enum store_file kind;
	uint64_t number;

	if (!strcmp(name, "CURRENT"))
		c->current = true;
	else if (strcmp(name, "LOCK") && strcmp(name, "CURRENT.tmp") && strcmp(name, "OPTIONS") &&
		 strcmp(name, "OPTIONS.tmp") && strncmp(name, "wal-", 4) && strcmp(name, "lost+found") &&
		 !(store_file_parse(name, &kind, &number) && kind == STORE_MANIFEST))
		c->foreign = true;
	return LSM_OK;
}

static int not_a_store(const char *dir, const char *why)
{
	return status_set(LSM_NOT_STORE, 0, dir, 0, "%s %s", dir, why);
}

int store_lock(struct env *env, const char *dir, bool read_only, struct env_lock **ret)
{
	char *path = env_path(dir, "LOCK");
	int rc = path ? env->ops->lock(env, path, ret) : status_no_memory(strlen(dir));

	/* Where nothing can be written, nobody can own the store either. */
	if (rc && read_only && (lsm_last_error()->sys_errno == EROFS || lsm_last_error()->sys_errno == EACCES))
		rc = LSM_OK;
	free(path);
	return rc;
}

/*
 * The entry of a new store's directory must be durable, too. Whoever made it, a process that was killed then perhaps, need
 * not have synced it. Where we may not look at the directory above, that is up to the one who made it.
 */
static int sync_entry(struct lsm_db *db)
{
	int rc = env_sync_parent(db->env, db->dir);

	return rc && lsm_last_error()->sys_errno == EACCES ? LSM_OK : rc;
}

/* Decides whether there is a store, makes the directory of a new one, and takes the lock. */
static int enter(struct lsm_db *db)
{
	uint32_t flags = db->options.flags;
	bool create = (flags & LSM_OPEN_CREATE) && !db->read_only;
	struct content c = { 0 };
	int rc = db->env->ops->list(db->env, db->dir, look_at, &c);

	if (rc == LSM_NOT_STORE && lsm_last_error()->sys_errno == ENOENT && create)
		rc = db->env->ops->mkdir(db->env, db->dir);
	if (rc)
		return rc;
	if (!c.current && c.foreign)
		return not_a_store(db->dir, "is not a store: it holds other files");
	if (!c.current && !create)
		return not_a_store(db->dir, "is not a store: it is empty");
	if (c.current && create && (flags & LSM_OPEN_EXCLUSIVE))
		return status_set(LSM_EXISTS, 0, db->dir, 0, "%s is a store already", db->dir);
	if (!c.current)
		rc = sync_entry(db);
	if (!rc && !db->salvage)
		rc = store_lock(db->env, db->dir, db->read_only, &db->file_lock);
	if (rc)
		return rc;
	/* Another process may have made the store between the look and the lock. */
	rc = db->env->ops->list(db->env, db->dir, look_at, &c);
	db->is_new = !c.current;
	return rc;
}

/* ---- open and close ---- */

static void init_locks(struct lsm_db *db)
{
	mutex_init(&db->commit);
	mutex_init(&db->direct);
	mutex_init(&db->space);
	mutex_init(&db->sync);
	mutex_init(&db->manifest_lock);
	mutex_init(&db->lock);
	cond_init(&db->sync_done);
	cond_init(&db->work);
	cond_init(&db->change);
	db->snapshots.next = db->snapshots.prev = &db->snapshots;
}

/* A log segment is an eighth of a memtable, so that the log gives its space back in steps. */
static uint64_t segment_bytes(const struct lsm_options *o)
{
	uint64_t bytes = o->memtable_bytes / 8;

	if (bytes < (256 << 10))
		bytes = 256 << 10;
	return bytes > (8 << 20) ? 8 << 20 : bytes;
}

static int set_path(struct lsm_db *db, const char *path)
{
	db->dir = strdup(path);
	if (!db->dir)
		return status_no_memory(strlen(path));
	while (strlen(db->dir) > 1 && db->dir[strlen(db->dir) - 1] == '/')
		db->dir[strlen(db->dir) - 1] = 0;
	if (strlen(db->dir) > STORE_PATH_MAX - 64)
		return status_set(LSM_INVALID, ENAMETOOLONG, NULL, 0, "the path of the store is too long");
	return LSM_OK;
}

static int init(struct lsm_db *db)
{
	int rc;

	db->picker = (struct picker_options){ .level_base_bytes = db->options.level_base_bytes,
					      .level_ratio = db->options.level_ratio,
					      .l0_tables = db->options.l0_tables,
					      .garbage_max = 0.25,
					      .tiered_runs = db->options.compaction == LSM_COMPACT_TIERED
								     ? db->options.tiered_runs
								     : 0 };
	db->wal_segment_bytes = segment_bytes(&db->options);
	rc = epoch_new(db->env, &db->epoch);
	if (!rc)
		rc = block_cache_new(db->options.memory_bytes, &db->blocks);
	if (!rc)
		rc = table_cache_new(db->env, db->dir, db->blocks, db->options.open_tables_max, &db->tables);
	if (!rc)
		rc = segments_new(db->env, db->dir, db->tables, db->read_only, &db->segments);
	db->tree = (struct tree){ db->env, db->dir, db->tables, db->segments, db->read_only };
	return rc;
}

static void release_direct(struct lsm_db *db)
{
	for (size_t i = 0; i < db->unsynced_n; i++)
		segment_release(db->unsynced[i]);
	free(db->unsynced);
	if (db->direct_segment)
		segment_seal(db->direct_segment);
	segment_release(db->direct_segment);
}

/* Ends a store that is open, or as far as it got. */
static void destroy(struct lsm_db *db, bool trim)
{
	/* What was replaced goes with its files; what is current stays. */
	if (db->epoch)
		superversion_collect(db);
	release_direct(db);
	if (db->segments)
		segments_delete_dead(db->segments, false);
	superversion_collect_all(db);
	manifest_close(db->manifest);
	named_done(&db->named);
	wal_close(db->wal, trim);
	segments_free(db->segments);
	table_cache_free(db->tables);
	block_cache_free(db->blocks);
	epoch_free(db->epoch);
	if (db->file_lock)
		db->env->ops->unlock(db->env, db->file_lock);
	cond_done(&db->change);
	cond_done(&db->work);
	cond_done(&db->sync_done);
	mutex_done(&db->lock);
	mutex_done(&db->manifest_lock);
	mutex_done(&db->sync);
	mutex_done(&db->space);
	mutex_done(&db->direct);
	mutex_done(&db->commit);
	free(db->dir);
	free(db);
}

/*
 * A store whose tables fit into memory is warmed up by what is read around the first cold look-ups: it is soon read
 * whole that way, at the disk's full speed. Of a larger one most would be read for nothing.
 */
static void allow_prefetch(struct lsm_db *db)
{
	const struct lsm_options *o = &db->options;
	const struct superversion *sv = atomic_load(&db->current); /* no thread runs yet */
	uint64_t memtables = o->memtable_bytes * o->memtables_max, tables = 0;
	uint64_t room = o->memory_bytes > memtables ? o->memory_bytes - memtables : 0;

	for (unsigned i = 0; i < LSM_LEVELS; i++)
		tables += sv->version->levels[i].bytes;
	block_cache_allow_prefetch(db->blocks, tables <= room ? room : 0);
}

/* All there is to an open once it is known which store. Nothing is changed on disk before the options are known. */
static int start(struct lsm_db *db, const struct lsm_options *given)
{
	struct lsm_options stored = { 0 };
	int rc = enter(db);

	if (!rc)
		rc = options_load(db->env, db->dir, &stored);
	if (!rc)
		rc = options_resolve(given, &stored, &db->options);
	if (!rc)
		rc = init(db);
	if (!rc)
		rc = recover(db);
	if (!rc && !db->read_only)
		rc = options_store(db->env, db->dir, given, &stored);
	if (rc)
		return rc;
	segments_delete_dead(db->segments, true);
	allow_prefetch(db);
	event_open(db);
	if (db->read_only)
		return LSM_OK;
	direct_adjust(db);
	return background_start(db);
}

int engine_open(const char *path, const struct lsm_options *options, struct salvage *salvage, struct lsm_db **ret_db)
{
	static const struct lsm_options none;
	struct lsm_options o;
	struct lsm_error first;
	struct lsm_db *db;
	int rc = options_resolve(options, NULL, &o);

	if (rc)
		return rc;
	if (!path || !*path)
		return status_set(LSM_INVALID, 0, NULL, 0, "the path of the store is empty");
	db = aligned_alloc(_Alignof(struct lsm_db), sizeof(*db));
	if (!db)
		return status_no_memory(sizeof(*db));
	memset(db, 0, sizeof(*db));
	db->options = o;
	db->salvage = salvage;
	init_locks(db);
	db->env = o.env ? o.env : env_posix();
	db->read_only = o.flags & LSM_OPEN_READ_ONLY;
	rc = set_path(db, path);
	if (!rc)
		rc = start(db, options ? options : &none);
	if (rc) {
		first = *lsm_last_error();
		background_stop(db);
		destroy(db, false);
		return status_adopt(&first);
	}
	*ret_db = db;
	return LSM_OK;
}

int lsm_open(const char *path, const struct lsm_options *options, struct lsm_db **ret_db)
{
	return engine_open(path, options, NULL, ret_db);
}

/*
 * A small memtable is left to the next open's replay: a table for each short visit would cost more than it saves. But
 * each visit leaves a log segment, too.
 */
static bool worth_closing_flush(struct lsm_db *db)
{
	enum { WORTH_BYTES = 4 << 20, SEGMENTS_MAX = 3 };
	struct wal_stats wal;
	size_t bytes;

	wal_get_stats(db->wal, &wal);
	mutex_lock(&db->commit); /* an idle flush may be replacing the memtable */
	bytes = memtable_bytes(db->mem);
	mutex_unlock(&db->commit);
	return wal.live_segments > SEGMENTS_MAX || bytes >= WORTH_BYTES || bytes * 4 >= db->options.memtable_bytes;
}

int lsm_close(struct lsm_db *db)
{
	struct lsm_error first;
	int rc = LSM_OK;

	if (!db)
		return LSM_OK;
	db->ending = true;
	if (!db->read_only) {
		rc = lsm_sync(db);
		/* All is durable by the log; a flush that fails takes nothing away. */
		if (!rc && worth_closing_flush(db) && lsm_flush(db))
			event_failure(db, "flush at close; the log stays, to be replayed");
	}
	first = *lsm_last_error();
	background_stop(db);
	event_close(db, rc);
	destroy(db, !db->read_only && !rc);
	return rc ? status_adopt(&first) : LSM_OK;
}
