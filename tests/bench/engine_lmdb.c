/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/bench/engine.h"

/* Only address space: the file grows with what is in it. */
#define MAP_BYTES ((size_t)1 << 38)

struct lm {
	MDB_env *env;
	MDB_dbi dbi;
};

/* Read transactions and the cursor are renewed, not made, for each use: the cheap way that the library offers. */
struct lm_session {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *get_txn, *iter_txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	bool valid;
};

static void must(int rc)
{
	if (rc)
		bench_fail("LMDB", mdb_strerror(rc));
}

static const char *lm_version(void)
{
	static char text[32];
	int major, minor, patch;

	mdb_version(&major, &minor, &patch);
	snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
	return text;
}

static void lm_describe(const struct bench_settings *s, struct engine_description *ret)
{
	snprintf(ret->compression, sizeof(ret->compression), "has none");
	snprintf(ret->cache, sizeof(ret->cache), "the page cache, by mmap");
	snprintf(ret->filter, sizeof(ret->filter), "has none");
	snprintf(ret->write_buffer, sizeof(ret->write_buffer), "has none");
	snprintf(ret->log, sizeof(ret->log), "has none; %s", s->durable ? "synced" : "NOSYNC, NOMETASYNC");
	snprintf(ret->threads, sizeof(ret->threads), "none; 1 transaction a put");
}

static void *lm_open(const char *dir, const struct bench_settings *s)
{
	const unsigned sync_flags = s->durable ? 0 : MDB_NOSYNC | MDB_NOMETASYNC;
	struct lm *l = calloc(1, sizeof(*l));
	MDB_txn *txn;
	unsigned flags = 0;

	if (!l)
		bench_fail("LMDB", "no memory");
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		bench_fail(dir, strerror(errno));
	must(mdb_env_create(&l->env));
	must(mdb_env_set_mapsize(l->env, MAP_BYTES));
	must(mdb_env_open(l->env, dir, MDB_NOTLS | sync_flags, 0644));
	must(mdb_env_get_flags(l->env, &flags));
	if ((flags & (MDB_NOSYNC | MDB_NOMETASYNC)) != sync_flags)
		bench_fail("LMDB", "the flags are not those that were set");
	must(mdb_txn_begin(l->env, NULL, 0, &txn));
	must(mdb_dbi_open(txn, NULL, 0, &l->dbi));
	must(mdb_txn_commit(txn));
	return l;
}

static void lm_close(void *db)
{
	struct lm *l = db;

	mdb_env_close(l->env);
	free(l);
}

static void *lm_session_new(void *db)
{
	struct lm *l = db;
	struct lm_session *s = calloc(1, sizeof(*s));

	if (!s)
		bench_fail("LMDB", "no memory");
	s->env = l->env;
	s->dbi = l->dbi;
	must(mdb_txn_begin(l->env, NULL, MDB_RDONLY, &s->get_txn));
	mdb_txn_reset(s->get_txn);
	must(mdb_txn_begin(l->env, NULL, MDB_RDONLY, &s->iter_txn));
	must(mdb_cursor_open(s->iter_txn, l->dbi, &s->cursor));
	mdb_txn_reset(s->iter_txn);
	return s;
}

static void lm_session_free(void *session)
{
	struct lm_session *s = session;

	mdb_cursor_close(s->cursor);
	mdb_txn_abort(s->iter_txn);
	mdb_txn_abort(s->get_txn);
	free(s);
}

static MDB_val val(const char *data, size_t size)
{
	return (MDB_val){ size, (void *)(uintptr_t)data };
}

static void lm_put(void *session, const char *key, const char *value, size_t value_size)
{
	struct lm_session *s = session;
	MDB_val k = val(key, KEY_BYTES), v = val(value, value_size);
	MDB_txn *txn;

	must(mdb_txn_begin(s->env, NULL, 0, &txn));
	must(mdb_put(txn, s->dbi, &k, &v, 0));
	must(mdb_txn_commit(txn));
}

static void lm_del(void *session, const char *key)
{
	struct lm_session *s = session;
	MDB_val k = val(key, KEY_BYTES);
	MDB_txn *txn;
	int rc;

	must(mdb_txn_begin(s->env, NULL, 0, &txn));
	rc = mdb_del(txn, s->dbi, &k, NULL);
	must(rc == MDB_NOTFOUND ? 0 : rc);
	must(mdb_txn_commit(txn));
}

static bool get_in(struct lm_session *s, const char *key, size_t key_size, struct seen *ret)
{
	MDB_val k = val(key, key_size), v;
	int rc = mdb_get(s->get_txn, s->dbi, &k, &v);

	if (rc == MDB_NOTFOUND)
		return false;
	must(rc);
	bench_see(ret, v.mv_data, v.mv_size);
	return true;
}

static bool lm_get(void *session, const char *key, size_t key_size, struct seen *ret)
{
	struct lm_session *s = session;
	bool found;

	must(mdb_txn_renew(s->get_txn));
	found = get_in(s, key, key_size, ret);
	mdb_txn_reset(s->get_txn);
	return found;
}

/* There is no call for many keys, but one transaction serves them all. */
static void lm_multi_get(void *session, unsigned n, const char *const *keys, struct seen *ret)
{
	struct lm_session *s = session;

	must(mdb_txn_renew(s->get_txn));
	for (unsigned i = 0; i < n; i++)
		ret[i].found = get_in(s, keys[i], KEY_BYTES, &ret[i]);
	mdb_txn_reset(s->get_txn);
}

static void *lm_iter_new(void *session)
{
	struct lm_session *s = session;

	must(mdb_txn_renew(s->iter_txn));
	must(mdb_cursor_renew(s->iter_txn, s->cursor));
	s->valid = false;
	return s;
}

static void lm_iter_free(void *iter)
{
	struct lm_session *s = iter;

	mdb_txn_reset(s->iter_txn);
}

static void move(struct lm_session *s, MDB_cursor_op op)
{
	int rc = mdb_cursor_get(s->cursor, &s->key, &s->value, op);

	s->valid = !rc;
	must(rc == MDB_NOTFOUND ? 0 : rc);
}

static void lm_iter_first(void *iter)
{
	move(iter, MDB_FIRST);
}

static void lm_iter_last(void *iter)
{
	move(iter, MDB_LAST);
}

static void lm_iter_seek(void *iter, const char *key)
{
	struct lm_session *s = iter;

	s->key = val(key, KEY_BYTES);
	move(s, MDB_SET_RANGE);
}

static bool lm_iter_valid(void *iter)
{
	struct lm_session *s = iter;

	return s->valid;
}

static void lm_iter_next(void *iter)
{
	move(iter, MDB_NEXT);
}

static void lm_iter_prev(void *iter)
{
	move(iter, MDB_PREV);
}

static void lm_iter_see(void *iter, struct seen *ret)
{
	struct lm_session *s = iter;

	bench_see(ret, s->value.mv_data, s->value.mv_size);
	bench_see_key(ret, s->key.mv_data, s->key.mv_size);
}

const struct engine engine_lmdb = {
	.name = "LMDB",
	.version = lm_version,
	.describe = lm_describe,
	.open = lm_open,
	.close = lm_close,
	.session_new = lm_session_new,
	.session_free = lm_session_free,
	.put = lm_put,
	.del = lm_del,
	.get = lm_get,
	.multi_get = lm_multi_get,
	.iter_new = lm_iter_new,
	.iter_free = lm_iter_free,
	.iter_first = lm_iter_first,
	.iter_last = lm_iter_last,
	.iter_seek = lm_iter_seek,
	.iter_valid = lm_iter_valid,
	.iter_next = lm_iter_next,
	.iter_prev = lm_iter_prev,
	.iter_see = lm_iter_see,
};
