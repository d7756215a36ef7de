/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lsm/format/filter.h"
#include "lsm/memory/table_cache.h"
#include "tests/support/rng.h"

enum { TABLES = 20, BLOBS = 5, BLOB_FIRST = 100 };

struct fixture {
	char dir[64];
	struct block_cache *blocks;
	struct table_cache *cache;
};

static void table_write(const char *dir, uint64_t number)
{
	const struct table_write_options options = { .block_bytes = 4096, .filter_bits = 10 };
	struct table_props props = { 0 };
	struct table_writer *w = NULL;
	struct buf ikey = { 0 };
	char path[STORE_PATH_MAX], user[32];

	store_file_path(path, dir, STORE_TABLE, number);
	assert_int_equal(table_writer_open(env_posix(), path, number, &options, &w), LSM_OK);
	for (int i = 0; i < 500; i++) {
		snprintf(user, sizeof(user), "key%06d", i);
		buf_clear(&ikey);
		buf_put_ikey(&ikey, slice_of(user, strlen(user)), trailer_of(number, ENTRY_PUT));
		assert_int_equal(table_writer_add(w, buf_slice(&ikey), slice_of(&number, sizeof(number))), LSM_OK);
	}
	assert_int_equal(table_writer_finish(w, &props), LSM_OK);
	table_props_free(&props);
	buf_free(&ikey);
}

static void blob_write(const char *dir, uint64_t number)
{
	struct blob_writer *w = NULL;
	struct blob_ptr ptr;
	char path[STORE_PATH_MAX];

	store_file_path(path, dir, STORE_BLOB, number);
	assert_int_equal(blob_writer_open(env_posix(), path, number, &w), LSM_OK);
	assert_int_equal(blob_writer_add(w, slice_of("a blob", 6), &ptr), LSM_OK);
	assert_int_equal(blob_writer_sync(w), LSM_OK);
	blob_writer_close(w);
}

static void caches_open(struct fixture *f, uint32_t open_max)
{
	assert_int_equal(block_cache_new(1 << 20, &f->blocks), LSM_OK);
	assert_int_equal(table_cache_new(env_posix(), f->dir, f->blocks, open_max, &f->cache), LSM_OK);
}

static void caches_close(struct fixture *f)
{
	struct cache_stats st;

	table_cache_free(f->cache);
	cache_get_stats(block_cache_cache(f->blocks), &st);
	assert_int_equal(st.charged_bytes, 0);
	block_cache_free(f->blocks);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "test_table_cache.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	for (uint64_t i = 1; i <= TABLES; i++)
		table_write(f->dir, i);
	for (uint64_t i = 0; i < BLOBS; i++)
		blob_write(f->dir, BLOB_FIRST + i);
	*state = f;
	return 0;
}

static int remove_name(void *ctx, const char *name)
{
	char *path = env_path(ctx, name);
	int rc = env_unlink(env_posix(), path);

	free(path);
	return rc;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(env_posix()->ops->list(env_posix(), f->dir, remove_name, f->dir), LSM_OK);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* Looks a key up in table `number`, whose values are its number. */
static bool table_answers(struct table *t, uint64_t number)
{
	struct table_hit hit;
	bool good;

	if (table_get(t, slice_of("key000123", 9), filter_hash(slice_of("key000123", 9)), SEEK_TRAILER(SEQUENCE_MAX), &hit))
		return false;
	good = hit.answer == TABLE_FOUND && hit.value.size == sizeof(number) &&
	       !memcmp(hit.value.data, &number, sizeof(number));
	table_hit_release(t, &hit);
	return good;
}

/* How many descriptors of ours lead to files of the directory. */
static unsigned files_open(const struct fixture *f)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char link[300], target[512];
		ssize_t size;

		snprintf(link, sizeof(link), "/proc/self/fd/%s", e->d_name);
		size = readlink(link, target, sizeof(target) - 1);
		if (size <= 0)
			continue;
		target[size] = '\0';
		n += strstr(target, f->dir) != NULL;
	}
	closedir(d);
	return n;
}

static void test_get(void **state)
{
	struct fixture *f = *state;
	struct table_pin pin = { 0 }, again = { 0 }, none = { 0 };

	caches_open(f, 100);
	assert_int_equal(table_cache_get(f->cache, 3, &pin), LSM_OK);
	assert_true(table_answers(pin.table, 3));
	assert_int_equal(table_cache_get(f->cache, 3, &again), LSM_OK);
	assert_ptr_equal(pin.table, again.table);
	assert_int_equal(files_open(f), 1);
	table_cache_release(f->cache, &again);
	table_cache_release(f->cache, &again);
	table_cache_release(f->cache, &none);
	table_cache_release(f->cache, &pin);
	assert_int_equal(files_open(f), 1);
	assert_int_equal(table_cache_get_blob(f->cache, BLOB_FIRST, &pin), LSM_OK);
	assert_non_null(pin.blob);
	assert_null(pin.table);
	assert_int_equal(files_open(f), 2);
	table_cache_release(f->cache, &pin);
	caches_close(f);
	assert_int_equal(files_open(f), 0);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;
	struct table_pin pin = { 0 };
	struct env_file *file;
	char path[STORE_PATH_MAX];

	caches_open(f, 100);
	assert_int_equal(table_cache_get(f->cache, 999, &pin), LSM_IO);
	assert_non_null(strstr(lsm_last_error()->file, "000999.sst"));
	assert_int_equal(table_cache_get_blob(f->cache, 1, &pin), LSM_IO);
	store_file_path(path, f->dir, STORE_BLOB, 50);
	assert_int_equal(env_open(env_posix(), path, ENV_OPEN_CREATE, &file), LSM_OK);
	assert_int_equal(file_write(file, 0, "not a blob segment, not at all, no, no: it is too long for one", 62),
			 LSM_OK);
	file_close(file);
	assert_int_equal(table_cache_get_blob(f->cache, 50, &pin), LSM_CORRUPT);
	assert_null(pin.entry);
	assert_int_equal(files_open(f), 0);
	caches_close(f);
}

static void test_at_most_open_max(void **state)
{
	struct fixture *f = *state;
	struct table_pin pins[TABLES] = { 0 };
	struct cache_stats st;

	caches_open(f, 8);
	for (uint64_t i = 1; i <= TABLES; i++) {
		assert_int_equal(table_cache_get(f->cache, i, &pins[0]), LSM_OK);
		table_cache_release(f->cache, &pins[0]);
		assert_true(files_open(f) <= 8);
	}
	assert_int_equal(files_open(f), 8);
	cache_get_stats(block_cache_cache(f->blocks), &st);
	assert_true(st.charged_bytes > 0);
	for (uint64_t i = 0; i < TABLES; i++)
		assert_int_equal(table_cache_get(f->cache, i + 1, &pins[i]), LSM_OK);
	assert_int_equal(files_open(f), TABLES);
	for (uint64_t i = 0; i < TABLES; i++) {
		assert_true(table_answers(pins[i].table, i + 1));
		table_cache_release(f->cache, &pins[i]);
	}
	assert_int_equal(files_open(f), 8);
	caches_close(f);
}

static void test_evict_while_pinned(void **state)
{
	struct fixture *f = *state;
	struct table_pin table = { 0 }, blob = { 0 };
	struct cache_stats st;

	caches_open(f, 100);
	assert_int_equal(table_cache_get(f->cache, 5, &table), LSM_OK);
	assert_int_equal(table_cache_get_blob(f->cache, BLOB_FIRST + 1, &blob), LSM_OK);
	assert_true(table_answers(table.table, 5));
	cache_get_stats(block_cache_cache(f->blocks), &st);
	assert_true(st.entries > 0);
	table_cache_evict(f->cache, 5);
	table_cache_evict(f->cache, BLOB_FIRST + 1);
	table_cache_evict(f->cache, 5);
	cache_get_stats(block_cache_cache(f->blocks), &st);
	assert_int_equal(st.entries, 0);
	assert_int_equal(files_open(f), 2);
	assert_true(table_answers(table.table, 5)); /* still readable for who has it */
	table_cache_release(f->cache, &table);
	assert_int_equal(files_open(f), 1);
	table_cache_release(f->cache, &blob);
	assert_int_equal(files_open(f), 0);
	caches_close(f);
}

/* ---- threads ---- */

enum { THREADS = 4, THREAD_OPS = 2000 };

struct worker {
	struct fixture *fixture;
	uint64_t seed;
	pthread_t thread;
	unsigned bad;
};

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct table_cache *c = w->fixture->cache;
	struct rng rng = { w->seed };

	for (int i = 0; i < THREAD_OPS; i++) {
		uint64_t number = 1 + rng_below(&rng, TABLES);
		struct table_pin pin = { 0 };

		if (rng_one_in(&rng, 50))
			table_cache_evict(c, number);
		if (rng_one_in(&rng, 10)) {
			w->bad += table_cache_get_blob(c, BLOB_FIRST + number % BLOBS, &pin) != LSM_OK;
		} else if (table_cache_get(c, number, &pin)) {
			w->bad++;
		} else {
			w->bad += !table_answers(pin.table, number);
		}
		table_cache_release(c, &pin);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = seed_choose("test_threads");
	struct worker workers[THREADS];

	caches_open(f, 6);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .fixture = f, .seed = seed + i };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].bad, 0);
	}
	assert_true(files_open(f) <= 6);
	caches_close(f);
	assert_int_equal(files_open(f), 0);
}

static void test_names(void **state)
{
	static const char *const foreign[] = {
		"",       "1.sst",   "000001.sst~", "0000001.sst", "+00001.sst", " 00001.sst",
		"000001", "000001.", "000001.blo",  "-00001.sst",  "00000a.sst", "99999999999999999999999.sst",
		"sst",    ".sst",    "LOCK",
	};
	char path[STORE_PATH_MAX];
	enum store_file kind = STORE_TABLE;
	uint64_t number = 77;

	(void)state;
	store_file_path(path, "some/dir", STORE_TABLE, 123);
	assert_string_equal(path, "some/dir/000123.sst");
	for (int k = STORE_TABLE; k <= STORE_MANIFEST; k++) {
		for (uint64_t n = 1; n < UINT64_MAX / 20; n = n * 13 + 5) {
			store_file_path(path, "d", (enum store_file)k, n);
			assert_true(store_file_parse(path + 2, &kind, &number));
			assert_int_equal(kind, k);
			assert_int_equal(number, n);
		}
	}
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_false(store_file_parse(foreign[i], &kind, &number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_at_most_open_max),
		cmocka_unit_test(test_evict_while_pinned),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("table_cache", tests, setup, teardown);
}
