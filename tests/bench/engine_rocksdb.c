/* SPDX-License-Identifier: MIT */
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/engine.h"

struct rocks {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *family;
	rocksdb_options_t *options;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write;
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

static void rocks_describe(const struct bench_settings *s, struct engine_description *ret)
{
	snprintf(ret->compression, sizeof(ret->compression), "LZ4");
	snprintf(ret->cache, sizeof(ret->cache), "%llu MiB", (unsigned long long)(s->cache_bytes >> 20));
	snprintf(ret->filter, sizeof(ret->filter), "%d bits", s->filter_bits);
	snprintf(ret->write_buffer, sizeof(ret->write_buffer), "2 x %llu MiB",
		 (unsigned long long)(s->write_buffer_bytes >> 20));
	snprintf(ret->log, sizeof(ret->log), "write; %s", s->durable ? "synced" : "not synced");
	snprintf(ret->threads, sizeof(ret->threads), "2 background jobs");
}

static void check_settings(struct rocks *r, const struct bench_settings *s)
{
	uint64_t capacity = 0;

	if (rocksdb_property_int(r->db, "rocksdb.block-cache-capacity", &capacity) || capacity != s->cache_bytes)
		bench_fail("RocksDB", "the block cache is not of the size that was set");
	if (rocksdb_options_get_compression(r->options) != rocksdb_lz4_compression ||
	    rocksdb_options_get_write_buffer_size(r->options) != s->write_buffer_bytes)
		bench_fail("RocksDB", "the options are not those that were set");
}

static void *rocks_open(const char *dir, const struct bench_settings *s)
{
	static const char *const names[] = { "default" };
	struct rocks *r = calloc(1, sizeof(*r));
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	const rocksdb_options_t *family_options;
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
	family_options = r->options;
	r->db = rocksdb_open_column_families(r->options, dir, 1, names, &family_options, &r->family, &error);
	must(error);
	check_settings(r, s);
	r->read = rocksdb_readoptions_create();
	r->write = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(r->write, s->durable);
	return r;
}

static void rocks_close(void *db)
{
	struct rocks *r = db;

	rocksdb_column_family_handle_destroy(r->family);
	rocksdb_close(r->db);
	rocksdb_readoptions_destroy(r->read);
	rocksdb_writeoptions_destroy(r->write);
	rocksdb_options_destroy(r->options);
	rocksdb_cache_destroy(r->cache);
	free(r);
}

static void *rocks_session_new(void *db)
{
	return db;
}

static void rocks_session_free(void *session)
{
	(void)session;
}

static void rocks_put(void *session, const char *key, const char *value, size_t value_size)
{
	struct rocks *r = session;
	char *error = NULL;

	rocksdb_put(r->db, r->write, key, KEY_BYTES, value, value_size, &error);
	must(error);
}

static void rocks_del(void *session, const char *key)
{
	struct rocks *r = session;
	char *error = NULL;

	rocksdb_delete(r->db, r->write, key, KEY_BYTES, &error);
	must(error);
}

/* Pinned: the value is not copied. */
static void see_pinned(rocksdb_pinnableslice_t *pin, struct seen *ret)
{
	size_t size;
	const char *value = rocksdb_pinnableslice_value(pin, &size);

	bench_see(ret, value, size);
	rocksdb_pinnableslice_destroy(pin);
}

static bool rocks_get(void *session, const char *key, size_t key_size, struct seen *ret)
{
	struct rocks *r = session;
	char *error = NULL;
	rocksdb_pinnableslice_t *pin = rocksdb_get_pinned(r->db, r->read, key, key_size, &error);

	must(error);
	if (!pin)
		return false;
	see_pinned(pin, ret);
	return true;
}

static void rocks_multi_get(void *session, unsigned n, const char *const *keys, struct seen *ret)
{
	struct rocks *r = session;
	size_t sizes[MULTI_MAX] = { 0 };
	rocksdb_pinnableslice_t *pins[MULTI_MAX] = { 0 };
	char *errors[MULTI_MAX] = { 0 };

	for (unsigned i = 0; i < n; i++)
		sizes[i] = KEY_BYTES;
	rocksdb_batched_multi_get_cf(r->db, r->read, r->family, n, keys, sizes, pins, errors, false);
	for (unsigned i = 0; i < n; i++) {
		must(errors[i]);
		ret[i].found = false;
		if (pins[i])
			see_pinned(pins[i], &ret[i]);
	}
}

static void *rocks_iter_new(void *session)
{
	struct rocks *r = session;

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

static void rocks_iter_last(void *iter)
{
	rocksdb_iter_seek_to_last(iter);
}

static void rocks_iter_seek(void *iter, const char *key)
{
	rocksdb_iter_seek(iter, key, KEY_BYTES);
}

static bool rocks_iter_valid(void *iter)
{
	return rocksdb_iter_valid(iter);
}

static void rocks_iter_next(void *iter)
{
	rocksdb_iter_next(iter);
}

static void rocks_iter_prev(void *iter)
{
	rocksdb_iter_prev(iter);
}

static void rocks_iter_see(void *iter, struct seen *ret)
{
	size_t key_size, value_size;
	const char *key = rocksdb_iter_key(iter, &key_size), *value = rocksdb_iter_value(iter, &value_size);

	bench_see(ret, value, value_size);
	bench_see_key(ret, key, key_size);
}

const struct engine engine_rocksdb = {
	.name = "RocksDB",
	.version = rocks_version,
	.describe = rocks_describe,
	.open = rocks_open,
	.close = rocks_close,
	.session_new = rocks_session_new,
	.session_free = rocks_session_free,
	.put = rocks_put,
	.del = rocks_del,
	.get = rocks_get,
	.multi_get = rocks_multi_get,
	.iter_new = rocks_iter_new,
	.iter_free = rocks_iter_free,
	.iter_first = rocks_iter_first,
	.iter_last = rocks_iter_last,
	.iter_seek = rocks_iter_seek,
	.iter_valid = rocks_iter_valid,
	.iter_next = rocks_iter_next,
	.iter_prev = rocks_iter_prev,
	.iter_see = rocks_iter_see,
};
