/* SPDX-License-Identifier: MIT */
#include "tests/bench/engine.h"

#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>

struct level {
	leveldb_t *db;
	leveldb_options_t *options;
	leveldb_cache_t *cache;
	leveldb_filterpolicy_t *filter;
	leveldb_readoptions_t *read;
	leveldb_writeoptions_t *write, *write_sync;
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

/* Snappy is all that LevelDB has. */
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
	l->write_sync = leveldb_writeoptions_create();
	leveldb_writeoptions_set_sync(l->write_sync, 1);
	return l;
}

static void level_close(void *db)
{
	struct level *l = db;

	leveldb_close(l->db);
	leveldb_readoptions_destroy(l->read);
	leveldb_writeoptions_destroy(l->write);
	leveldb_writeoptions_destroy(l->write_sync);
	leveldb_options_destroy(l->options);
	leveldb_filterpolicy_destroy(l->filter);
	leveldb_cache_destroy(l->cache);
	free(l);
}

static void level_put(void *db, const char *key, size_t key_size, const char *value, size_t value_size, bool sync)
{
	struct level *l = db;
	char *error = NULL;

	leveldb_put(l->db, sync ? l->write_sync : l->write, key, key_size, value, value_size, &error);
	must(error);
}

static bool level_get(void *db, const char *key, size_t key_size)
{
	struct level *l = db;
	char *error = NULL;
	size_t size;
	char *value = leveldb_get(l->db, l->read, key, key_size, &size, &error);

	must(error);
	if (!value)
		return false;
	bench_touch(value, size);
	leveldb_free(value);
	return true;
}

static void *level_iter_new(void *db)
{
	struct level *l = db;

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

static void level_iter_seek(void *iter, const char *key, size_t key_size)
{
	leveldb_iter_seek(iter, key, key_size);
}

static bool level_iter_valid(void *iter)
{
	return leveldb_iter_valid(iter);
}

static void level_iter_next(void *iter)
{
	leveldb_iter_next(iter);
}

static size_t level_iter_touch(void *iter)
{
	size_t key_size, value_size;

	bench_touch(leveldb_iter_key(iter, &key_size), 1);
	bench_touch(leveldb_iter_value(iter, &value_size), 1);
	return key_size + value_size;
}

const struct engine engine_leveldb = {
	.name = "LevelDB",
	.version = level_version,
	.open = level_open,
	.close = level_close,
	.put = level_put,
	.get = level_get,
	.iter_new = level_iter_new,
	.iter_free = level_iter_free,
	.iter_first = level_iter_first,
	.iter_seek = level_iter_seek,
	.iter_valid = level_iter_valid,
	.iter_next = level_iter_next,
	.iter_touch = level_iter_touch,
};
