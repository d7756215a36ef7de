/* SPDX-License-Identifier: MIT */
#include "lsm/lsm.h"
#include "tests/bench/engine.h"

#include <stdlib.h>

static void must(int rc)
{
	if (rc)
		bench_fail("lsmfs", lsm_last_error()->message);
}

static struct lsm_slice slice(const char *data, size_t size)
{
	return (struct lsm_slice){ data, size };
}

/* Two memtables, as the others keep two write buffers; the budget is theirs and the cache's. */
static void *ours_open(const char *dir, const struct bench_settings *s)
{
	const struct lsm_options options = {
		.flags = LSM_OPEN_CREATE,
		.memory_bytes = s->cache_bytes + 2 * s->write_buffer_bytes,
		.memtable_bytes = s->write_buffer_bytes,
		.memtables_max = 2,
		.filter_bits = (uint32_t)s->filter_bits,
	};
	struct lsm_db *db = NULL;

	must(lsm_open(dir, &options, &db));
	return db;
}

static void ours_close(void *db)
{
	must(lsm_close(db));
}

static void ours_put(void *db, const char *key, size_t key_size, const char *value, size_t value_size, bool sync)
{
	must(lsm_put(db, slice(key, key_size), slice(value, value_size), sync ? LSM_WRITE_SYNC : 0));
}

static bool ours_get(void *db, const char *key, size_t key_size)
{
	struct lsm_value value = { 0 };
	int rc = lsm_get(db, NULL, slice(key, key_size), &value);

	if (rc == LSM_NOT_FOUND)
		return false;
	must(rc);
	bench_touch(value.data, value.size);
	lsm_value_release(&value);
	return true;
}

static void *ours_iter_new(void *db)
{
	struct lsm_iter *iter = NULL;

	must(lsm_iter_new(db, NULL, &iter));
	return iter;
}

static void ours_iter_free(void *iter)
{
	must(lsm_iter_status(iter));
	lsm_iter_free(iter);
}

static void ours_iter_first(void *iter)
{
	lsm_iter_seek_first(iter);
}

static void ours_iter_seek(void *iter, const char *key, size_t key_size)
{
	lsm_iter_seek(iter, slice(key, key_size));
}

static bool ours_iter_valid(void *iter)
{
	return lsm_iter_valid(iter);
}

static void ours_iter_next(void *iter)
{
	lsm_iter_next(iter);
}

static size_t ours_iter_touch(void *iter)
{
	struct lsm_slice key = lsm_iter_key(iter), value = { 0 };

	must(lsm_iter_value(iter, &value));
	bench_touch(key.data, key.size);
	bench_touch(value.data, value.size);
	return key.size + value.size;
}

const struct engine engine_ours = {
	.name = "lsmfs",
	.version = lsm_version,
	.open = ours_open,
	.close = ours_close,
	.put = ours_put,
	.get = ours_get,
	.iter_new = ours_iter_new,
	.iter_free = ours_iter_free,
	.iter_first = ours_iter_first,
	.iter_seek = ours_iter_seek,
	.iter_valid = ours_iter_valid,
	.iter_next = ours_iter_next,
	.iter_touch = ours_iter_touch,
};
