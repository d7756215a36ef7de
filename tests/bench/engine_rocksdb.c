/* SPDX-License-Identifier: MIT */
#include "tests/bench/engine.h"

#include <rocksdb/c.h>
#include <stdlib.h>

struct rocks {
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write, *write_sync;
};

static void must(char *error)
{
	if (error)
		bench_fail("RocksDB", error);
}

/* The C API doesn't tell; the build passes what pkg-config says. */
static const char *rocks_version(void)
{
#ifdef BENCH_ROCKSDB_VERSION
	return BENCH_ROCKSDB_VERSION;
#else
	return "?";
#endif
}

static void *rocks_open(const char *dir, const struct bench_settings *s)
{
	struct rocks *r = calloc(1, sizeof(*r));
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	char *error = NULL;

	if (!r)
		bench_fail("RocksDB", "no memory");
	r->cache = rocksdb_cache_create_lru(s->cache_bytes);
	rocksdb_block_based_options_set_block_cache(table, r->cache);
	rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(s->filter_bits));
	r->options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(r->options, 1);
	rocksdb_options_set_write_buffer_size(r->options, s->write_buffer_bytes);
	rocksdb_options_set_compression(r->options, rocksdb_lz4_compression);
	rocksdb_options_set_block_based_table_factory(r->options, table);
	rocksdb_block_based_options_destroy(table);
	r->db = rocksdb_open(r->options, dir, &error);
	must(error);
	r->read = rocksdb_readoptions_create();
	r->write = rocksdb_writeoptions_create();
	r->write_sync = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(r->write_sync, 1);
	return r;
}

static void rocks_close(void *db)
{
	struct rocks *r = db;

	rocksdb_close(r->db);
	rocksdb_readoptions_destroy(r->read);
	rocksdb_writeoptions_destroy(r->write);
	rocksdb_writeoptions_destroy(r->write_sync);
	rocksdb_options_destroy(r->options);
	rocksdb_cache_destroy(r->cache);
	free(r);
}

static void rocks_put(void *db, const char *key, size_t key_size, const char *value, size_t value_size, bool sync)
{
	struct rocks *r = db;
	char *error = NULL;

	rocksdb_put(r->db, sync ? r->write_sync : r->write, key, key_size, value, value_size, &error);
	must(error);
}

static bool rocks_get(void *db, const char *key, size_t key_size)
{
	struct rocks *r = db;
	char *error = NULL;
	size_t size;
	rocksdb_pinnableslice_t *pin = rocksdb_get_pinned(r->db, r->read, key, key_size, &error);
	const char *value;

	must(error);
	if (!pin)
		return false;
	value = rocksdb_pinnableslice_value(pin, &size);
	bench_touch(value, size);
	rocksdb_pinnableslice_destroy(pin);
	return true;
}

static void *rocks_iter_new(void *db)
{
	struct rocks *r = db;

	return rocksdb_create_iterator(r->db, r->read);
}

static void rocks_iter_free(void *iter)
{
	char *error = NULL;

	rocksdb_iter_get_error(iter, &error);
	must(error);
	rocksdb_iter_destroy(iter);
}

static void rocks_iter_first(void *iter)
{
	rocksdb_iter_seek_to_first(iter);
}

static void rocks_iter_seek(void *iter, const char *key, size_t key_size)
{
	rocksdb_iter_seek(iter, key, key_size);
}

static bool rocks_iter_valid(void *iter)
{
	return rocksdb_iter_valid(iter);
}

static void rocks_iter_next(void *iter)
{
	rocksdb_iter_next(iter);
}

static size_t rocks_iter_touch(void *iter)
{
	size_t key_size, value_size;

	bench_touch(rocksdb_iter_key(iter, &key_size), 1);
	bench_touch(rocksdb_iter_value(iter, &value_size), 1);
	return key_size + value_size;
}

const struct engine engine_rocksdb = {
	.name = "RocksDB",
	.version = rocks_version,
	.open = rocks_open,
	.close = rocks_close,
	.put = rocks_put,
	.get = rocks_get,
	.iter_new = rocks_iter_new,
	.iter_free = rocks_iter_free,
	.iter_first = rocks_iter_first,
	.iter_seek = rocks_iter_seek,
	.iter_valid = rocks_iter_valid,
	.iter_next = rocks_iter_next,
	.iter_touch = rocks_iter_touch,
};
