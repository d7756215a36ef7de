/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <wiredtiger.h>

#include "tests/bench/engine.h"

static const char table[] = "table:kv";

/* Cursors are kept and reset, not opened, for each use. */
struct tiger_session {
	WT_SESSION *session;
	WT_CURSOR *put, *get, *iter;
	bool valid;
};

static void must(int rc)
{
	if (rc)
		bench_fail("WiredTiger", wiredtiger_strerror(rc));
}

static const char *tiger_version(void)
{
	static char text[32];
	int major, minor, patch;

	wiredtiger_version(&major, &minor, &patch);
	snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
	return text;
}

/* What the others have as cache and two write buffers. */
static unsigned long long cache_mib(const struct bench_settings *s)
{
	return (s->cache_bytes + 2 * s->write_buffer_bytes) >> 20;
}

static void tiger_describe(const struct bench_settings *s, struct engine_description *ret)
{
	snprintf(ret->compression, sizeof(ret->compression), "Snappy");
	snprintf(ret->cache, sizeof(ret->cache), "%llu MiB", cache_mib(s));
	snprintf(ret->filter, sizeof(ret->filter), "has none");
	snprintf(ret->write_buffer, sizeof(ret->write_buffer), "in the cache");
	snprintf(ret->log, sizeof(ret->log), "preallocated; %s", s->durable ? "synced" : "not synced");
	snprintf(ret->threads, sizeof(ret->threads), "1 to 8 eviction");
}

/* Has the table what it was to have? */
static void check_settings(WT_SESSION *session)
{
	WT_CURSOR *cursor;
	const char *config = NULL;

	must(session->open_cursor(session, "metadata:create", NULL, NULL, &cursor));
	cursor->set_key(cursor, table);
	must(cursor->search(cursor));
	must(cursor->get_value(cursor, &config));
	if (!config || !strstr(config, "block_compressor=snappy"))
		bench_fail("WiredTiger", "the table is not compressed");
	must(cursor->close(cursor));
}

static void *tiger_open(const char *dir, const struct bench_settings *s)
{
	char config[320];
	WT_CONNECTION *connection;
	WT_SESSION *session;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		bench_fail(dir, strerror(errno));
	snprintf(config, sizeof(config),
		 "create,cache_size=%lluMB,log=(enabled=true,prealloc=true),extensions=[libwiredtiger_snappy.so],"
		 "transaction_sync=(enabled=%s,method=fsync)",
		 cache_mib(s), s->durable ? "true" : "false");
	must(wiredtiger_open(dir, NULL, config, &connection));
	must(connection->open_session(connection, NULL, NULL, &session));
	must(session->create(session, table, "key_format=u,value_format=u,block_compressor=snappy"));
	check_settings(session);
	must(session->close(session, NULL));
	return connection;
}

static void tiger_close(void *db)
{
	WT_CONNECTION *connection = db;

	must(connection->close(connection, NULL));
}

static void *tiger_session_new(void *db)
{
	WT_CONNECTION *connection = db;
	struct tiger_session *s = calloc(1, sizeof(*s));

	if (!s)
		bench_fail("WiredTiger", "no memory");
	must(connection->open_session(connection, NULL, NULL, &s->session));
	must(s->session->open_cursor(s->session, table, NULL, NULL, &s->put));
	must(s->session->open_cursor(s->session, table, NULL, NULL, &s->get));
	must(s->session->open_cursor(s->session, table, NULL, NULL, &s->iter));
	return s;
}

static void tiger_session_free(void *session)
{
	struct tiger_session *s = session;

	must(s->session->close(s->session, NULL));
	free(s);
}

static WT_ITEM item(const char *data, size_t size)
{
	return (WT_ITEM){ .data = data, .size = size };
}

/* Another thread's write to the same page may win: then once more, as the manual says. */
static void tiger_put(void *session, const char *key, const char *value, size_t value_size)
{
	struct tiger_session *s = session;
	WT_ITEM k = item(key, KEY_BYTES), v = item(value, value_size);
	int rc;

	do {
		s->put->set_key(s->put, &k);
		s->put->set_value(s->put, &v);
		rc = s->put->insert(s->put);
	} while (rc == WT_ROLLBACK);
	must(rc);
}

static void tiger_del(void *session, const char *key)
{
	struct tiger_session *s = session;
	WT_ITEM k = item(key, KEY_BYTES);
	int rc;

	do {
		s->put->set_key(s->put, &k);
		rc = s->put->remove(s->put);
	} while (rc == WT_ROLLBACK);
	must(rc == WT_NOTFOUND ? 0 : rc);
}

static bool search(struct tiger_session *s, const char *key, size_t key_size, struct seen *ret)
{
	WT_ITEM k = item(key, key_size), v;
	int rc;

	s->get->set_key(s->get, &k);
	rc = s->get->search(s->get);
	if (rc == WT_NOTFOUND)
		return false;
	must(rc);
	must(s->get->get_value(s->get, &v));
	bench_see(ret, v.data, v.size);
	return true;
}

static bool tiger_get(void *session, const char *key, size_t key_size, struct seen *ret)
{
	struct tiger_session *s = session;
	bool found = search(s, key, key_size, ret);

	must(s->get->reset(s->get));
	return found;
}

/* There is no call for many keys, but one transaction serves them all. */
static void tiger_multi_get(void *session, unsigned n, const char *const *keys, struct seen *ret)
{
	struct tiger_session *s = session;

	must(s->session->begin_transaction(s->session, NULL));
	for (unsigned i = 0; i < n; i++)
		ret[i].found = search(s, keys[i], KEY_BYTES, &ret[i]);
	must(s->session->rollback_transaction(s->session, NULL));
}

static void *tiger_iter_new(void *session)
{
	struct tiger_session *s = session;

	s->valid = false;
	return s;
}

static void tiger_iter_free(void *iter)
{
	struct tiger_session *s = iter;

	must(s->iter->reset(s->iter));
}

static void moved(struct tiger_session *s, int rc)
{
	s->valid = !rc;
	must(rc == WT_NOTFOUND ? 0 : rc);
}

static void tiger_iter_next(void *iter)
{
	struct tiger_session *s = iter;

	moved(s, s->iter->next(s->iter));
}

static void tiger_iter_prev(void *iter)
{
	struct tiger_session *s = iter;

	moved(s, s->iter->prev(s->iter));
}

static void tiger_iter_first(void *iter)
{
	struct tiger_session *s = iter;

	must(s->iter->reset(s->iter));
	tiger_iter_next(s);
}

static void tiger_iter_last(void *iter)
{
	struct tiger_session *s = iter;

	must(s->iter->reset(s->iter));
	tiger_iter_prev(s);
}

static void tiger_iter_seek(void *iter, const char *key)
{
	struct tiger_session *s = iter;
	WT_ITEM k = item(key, KEY_BYTES);
	int exact = 0;

	s->iter->set_key(s->iter, &k);
	moved(s, s->iter->search_near(s->iter, &exact));
	if (s->valid && exact < 0)
		tiger_iter_next(s);
}

static bool tiger_iter_valid(void *iter)
{
	struct tiger_session *s = iter;

	return s->valid;
}

static void tiger_iter_see(void *iter, struct seen *ret)
{
	struct tiger_session *s = iter;
	WT_ITEM k, v;

	must(s->iter->get_key(s->iter, &k));
	must(s->iter->get_value(s->iter, &v));
	bench_see(ret, v.data, v.size);
	bench_see_key(ret, k.data, k.size);
}

const struct engine engine_wiredtiger = {
	.name = "WiredTiger",
	.version = tiger_version,
	.describe = tiger_describe,
	.open = tiger_open,
	.close = tiger_close,
	.session_new = tiger_session_new,
	.session_free = tiger_session_free,
	.put = tiger_put,
	.del = tiger_del,
	.get = tiger_get,
	.multi_get = tiger_multi_get,
	.iter_new = tiger_iter_new,
	.iter_free = tiger_iter_free,
	.iter_first = tiger_iter_first,
	.iter_last = tiger_iter_last,
	.iter_seek = tiger_iter_seek,
	.iter_valid = tiger_iter_valid,
	.iter_next = tiger_iter_next,
	.iter_prev = tiger_iter_prev,
	.iter_see = tiger_iter_see,
	.loses_on_kill = true,
};
