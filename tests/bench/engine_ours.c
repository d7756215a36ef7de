/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "lsm/lsm.h"
#include "tests/bench/engine.h"

struct ours {
	struct lsm_db *db;
	unsigned write_flags;
};

static void must(int rc)
{
	if (rc)
		bench_fail("lsmfs", lsm_last_error()->message);
}

static struct lsm_slice slice(const char *data, size_t size)
{
	return (struct lsm_slice){ data, size };
}

/* Two memtables, as the others keep two write buffers; the one budget is theirs and the cache's. */
static uint64_t budget(const struct bench_settings *s)
{
	return s->cache_bytes + 2 * s->write_buffer_bytes;
}

static void ours_describe(const struct bench_settings *s, struct engine_description *ret)
{
	snprintf(ret->compression, sizeof(ret->compression), "LZ4; zstd in the last level");
	snprintf(ret->cache, sizeof(ret->cache), "in %llu MiB with the buffers", (unsigned long long)(budget(s) >> 20));
	snprintf(ret->filter, sizeof(ret->filter), "%d bits", s->filter_bits);
	snprintf(ret->write_buffer, sizeof(ret->write_buffer), "2 x %llu MiB",
		 (unsigned long long)(s->write_buffer_bytes >> 20));
	snprintf(ret->log, sizeof(ret->log), "mapped; %s", s->durable ? "synced" : "not synced");
	snprintf(ret->threads, sizeof(ret->threads), "1 flush, 1 compaction");
}

static void *ours_open(const char *dir, const struct bench_settings *s)
{
	const struct lsm_options options = {
		.flags = LSM_OPEN_CREATE,
		.memory_bytes = budget(s),
		.memtable_bytes = s->write_buffer_bytes,
		.memtables_max = 2,
		.filter_bits = (uint32_t)s->filter_bits,
	};
	struct ours *o = calloc(1, sizeof(*o));

	if (!o)
		bench_fail("lsmfs", "no memory");
	o->write_flags = s->durable ? LSM_WRITE_SYNC : 0;
	must(lsm_open(dir, &options, &o->db));
	return o;
}

static void ours_close(void *db)
{
	struct ours *o = db;

	must(lsm_close(o->db));
	free(o);
}

static void *ours_session_new(void *db)
{
	return db;
}

static void ours_session_free(void *session)
{
	(void)session;
}

static void ours_put(void *session, const char *key, const char *value, size_t value_size)
{
	struct ours *o = session;

	must(lsm_put(o->db, slice(key, KEY_BYTES), slice(value, value_size), o->write_flags));
}

static void ours_del(void *session, const char *key)
{
	struct ours *o = session;

	must(lsm_delete(o->db, slice(key, KEY_BYTES), o->write_flags));
}

static bool ours_get(void *session, const char *key, size_t key_size, struct seen *ret)
{
	struct ours *o = session;
	struct lsm_value value = { 0 };
	int rc = lsm_get(o->db, NULL, slice(key, key_size), &value);

	if (rc == LSM_NOT_FOUND)
		return false;
	must(rc);
	bench_see(ret, value.data, value.size);
	lsm_value_release(&value);
	return true;
}

static void ours_multi_get(void *session, unsigned n, const char *const *keys, struct seen *ret)
{
	struct ours *o = session;
	struct lsm_slice slices[MULTI_MAX] = { 0 };
	struct lsm_value values[MULTI_MAX] = { 0 };
	int codes[MULTI_MAX];

	for (unsigned i = 0; i < n; i++)
		slices[i] = slice(keys[i], KEY_BYTES);
	must(lsm_multi_get(o->db, NULL, n, slices, values, codes));
	for (unsigned i = 0; i < n; i++) {
		ret[i].found = false;
		if (codes[i])
			continue;
		bench_see(&ret[i], values[i].data, values[i].size);
		lsm_value_release(&values[i]);
	}
}

static void *ours_iter_new(void *session)
{
	struct ours *o = session;
	struct lsm_iter *iter = NULL;

	must(lsm_iter_new(o->db, NULL, &iter));
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

static void ours_iter_last(void *iter)
{
	lsm_iter_seek_last(iter);
}

static void ours_iter_seek(void *iter, const char *key)
{
	lsm_iter_seek(iter, slice(key, KEY_BYTES));
}

static bool ours_iter_valid(void *iter)
{
	return lsm_iter_valid(iter);
}

static void ours_iter_next(void *iter)
{
	lsm_iter_next(iter);
}

static void ours_iter_prev(void *iter)
{
	lsm_iter_prev(iter);
}

static void ours_iter_see(void *iter, struct seen *ret)
{
	struct lsm_slice key = lsm_iter_key(iter), value = { 0 };

	must(lsm_iter_value(iter, &value));
	bench_see(ret, value.data, value.size);
	bench_see_key(ret, key.data, key.size);
}

const struct engine engine_ours = {
	.name = "lsmfs",
	.version = lsm_version,
	.describe = ours_describe,
	.open = ours_open,
	.close = ours_close,
	.session_new = ours_session_new,
	.session_free = ours_session_free,
	.put = ours_put,
	.del = ours_del,
	.get = ours_get,
	.multi_get = ours_multi_get,
	.iter_new = ours_iter_new,
	.iter_free = ours_iter_free,
	.iter_first = ours_iter_first,
	.iter_last = ours_iter_last,
	.iter_seek = ours_iter_seek,
	.iter_valid = ours_iter_valid,
	.iter_next = ours_iter_next,
	.iter_prev = ours_iter_prev,
	.iter_see = ours_iter_see,
};
