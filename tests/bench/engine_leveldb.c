/* SPDX-License-Identifier: MIT */
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/engine.h"

struct level {
	leveldb_t *db;
	leveldb_options_t *options;
	leveldb_cache_t *cache;
	leveldb_filterpolicy_t *filter;
	leveldb_readoptions_t *read;
	leveldb_writeoptions_t *write;
};

static void must(char *error)
{
	if (error)
		bench_fail("LevelDB", error);
}

static const char *level_version(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "%d.%d", leveldb_major_version(), leveldb_minor_version());
	return text;
}

static void level_describe(const struct bench_settings *s, struct engine_description *ret)
{
	snprintf(ret->compression, sizeof(ret->compression), "Snappy (has no LZ4)");
	snprintf(ret->cache, sizeof(ret->cache), "%llu MiB", (unsigned long long)(s->cache_bytes >> 20));
	snprintf(ret->filter, sizeof(ret->filter), "%d bits", s->filter_bits);
	snprintf(ret->write_buffer, sizeof(ret->write_buffer), "2 x %llu MiB",
		 (unsigned long long)(s->write_buffer_bytes >> 20));
	snprintf(ret->log, sizeof(ret->log), "write; %s", s->durable ? "synced" : "not synced");
	snprintf(ret->threads, sizeof(ret->threads), "1 background thread");
}

static void *level_open(const char *dir, const struct bench_settings *s)
{
	struct level *l = calloc(1, sizeof(*l));
	char *error = NULL;

	if (!l)
		bench_fail("LevelDB", "no memory");
	l->cache = leveldb_cache_create_lru(s->cache_bytes);
	l->filter = leveldb_filterpolicy_create_bloom(s->filter_bits);
	l->options = leveldb_options_create();
	leveldb_options_set_create_if_missing(l->options, 1);
	leveldb_options_set_write_buffer_size(l->options, s->write_buffer_bytes);
	leveldb_options_set_compression(l->options, leveldb_snappy_compression);
	leveldb_options_set_cache(l->options, l->cache);
	leveldb_options_set_filter_policy(l->options, l->filter);
	l->db = leveldb_open(l->options, dir, &error);
	must(error);
	l->read = leveldb_readoptions_create();
	l->write = leveldb_writeoptions_create();
	leveldb_writeoptions_set_sync(l->write, s->durable);
	return l;
}

static void level_close(void *db)
{
	struct level *l = db;

	leveldb_close(l->db);
	leveldb_readoptions_destroy(l->read);
	leveldb_writeoptions_destroy(l->write);
	leveldb_options_destroy(l->options);
	leveldb_filterpolicy_destroy(l->filter);
	leveldb_cache_destroy(l->cache);
	free(l);
}

static void *level_session_new(void *db)
{
	return db;
}

static void level_session_free(void *session)
{
	(void)session;
}

static void level_put(void *session, const char *key, const char *value, size_t value_size)
{
	struct level *l = session;
	char *error = NULL;

	leveldb_put(l->db, l->write, key, KEY_BYTES, value, value_size, &error);
	must(error);
}

static void level_del(void *session, const char *key)
{
	struct level *l = session;
	char *error = NULL;

	leveldb_delete(l->db, l->write, key, KEY_BYTES, &error);
	must(error);
}

static bool level_get(void *session, const char *key, size_t key_size, struct seen *ret)
{
	struct level *l = session;
	char *error = NULL;
	size_t size;
	char *value = leveldb_get(l->db, l->read, key, key_size, &size, &error);

	must(error);
	if (!value)
		return false;
	bench_see(ret, value, size);
	leveldb_free(value);
	return true;
}

/* There is no call for many keys. */
static void level_multi_get(void *session, unsigned n, const char *const *keys, struct seen *ret)
{
	for (unsigned i = 0; i < n; i++)
		ret[i].found = level_get(session, keys[i], KEY_BYTES, &ret[i]);
}

static void *level_iter_new(void *session)
{
	struct level *l = session;

	return leveldb_create_iterator(l->db, l->read);
}

static void level_iter_free(void *iter)
{
	char *error = NULL;

	leveldb_iter_get_error(iter, &error);
	must(error);
	leveldb_iter_destroy(iter);
}

static void level_iter_first(void *iter)
{
	leveldb_iter_seek_to_first(iter);
}

static void level_iter_last(void *iter)
{
	leveldb_iter_seek_to_last(iter);
}

static void level_iter_seek(void *iter, const char *key)
{
	leveldb_iter_seek(iter, key, KEY_BYTES);
}

static bool level_iter_valid(void *iter)
{
	return leveldb_iter_valid(iter);
}

static void level_iter_next(void *iter)
{
	leveldb_iter_next(iter);
}

static void level_iter_prev(void *iter)
{
	leveldb_iter_prev(iter);
}

static void level_iter_see(void *iter, struct seen *ret)
{
	size_t key_size, value_size;
	const char *key = leveldb_iter_key(iter, &key_size), *value = leveldb_iter_value(iter, &value_size);

	bench_see(ret, value, value_size);
	bench_see_key(ret, key, key_size);
}

const struct engine engine_leveldb = {
	.name = "LevelDB",
	.version = level_version,
	.describe = level_describe,
	.open = level_open,
	.close = level_close,
	.session_new = level_session_new,
	.session_free = level_session_free,
	.put = level_put,
	.del = level_del,
	.get = level_get,
	.multi_get = level_multi_get,
	.iter_new = level_iter_new,
	.iter_free = level_iter_free,
	.iter_first = level_iter_first,
	.iter_last = level_iter_last,
	.iter_seek = level_iter_seek,
	.iter_valid = level_iter_valid,
	.iter_next = level_iter_next,
	.iter_prev = level_iter_prev,
	.iter_see = level_iter_see,
};
