/* SPDX-License-Identifier: MIT */
/* Bad bytes on disk: found, named, and no reason to refuse the rest. */
#include "tests/support/db_test.h"

enum { KEYS = 2000 };

static void fill(struct db_test *t, size_t size)
{
	db_open(t);
	for (uint64_t i = 0; i < KEYS; i++)
		put_bytes(t, key_n(i), i, size);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	db_close(t);
}

/* Reads every key; each is right or reported as corrupt in `file`. Returns how many are not readable. */
static unsigned read_all(struct db_test *t, size_t size, const char *file)
{
	unsigned bad = 0;

	for (uint64_t i = 0; i < KEYS; i++) {
		uint8_t *want = bytes_new(i, size);
		struct lsm_value v = { 0 };
		int rc = lsm_get(t->db, NULL, key_n(i), &v);

		if (rc) {
			assert_code(rc, LSM_CORRUPT);
			assert_int_equal(lsm_last_error()->code, LSM_CORRUPT);
			assert_non_null(strstr(lsm_last_error()->file, file));
			assert_true(strlen(lsm_last_error()->message) > 10);
			bad++;
		} else {
			assert_int_equal(v.size, size);
			assert_memory_equal(v.data, want, size);
		}
		lsm_value_release(&v);
		free(want);
	}
	return bad;
}

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

static void test_table_block(void **state)
{
	struct db_test *t = *state;
	struct lsm_iter *it = NULL;
	char file[256];
	unsigned bad;

	fill(t, 100);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".sst"));
	file_flip(file, 9000);
	db_open(t);
	bad = read_all(t, 100, base_name(file));
	assert_true(bad > 0 && bad < 100); /* one block's keys */
	assert_true(lsm_last_error()->offset <= 9000);
	assert_ok(lsm_iter_new(t->db, NULL, &it));
	for (lsm_iter_seek_first(it); lsm_iter_valid(it); lsm_iter_next(it))
		;
	assert_code(lsm_iter_status(it), LSM_CORRUPT);
	lsm_iter_seek_last(it); /* the error is gone with the next seek */
	assert_true(lsm_iter_valid(it));
	assert_ok(lsm_iter_status(it));
	lsm_iter_free(it);
	put(t, "new", "value"); /* the store goes on */
	expect(t, "new", "value");
}

/* Compaction must not launder bad bytes, nor drop the keys around them. */
static void test_compaction_keeps_off(void **state)
{
	struct db_test *t = *state;
	char file[256];
	unsigned bad;

	fill(t, 100);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".sst"));
	file_flip(file, 9000);
	db_open(t);
	put(t, "key00000000x", "makes the table an input");
	assert_code(lsm_compact_range(t->db, S(""), S("")), LSM_CORRUPT);
	bad = read_all(t, 100, base_name(file));
	assert_true(bad > 0 && bad < 100);
	db_reopen(t);
	assert_int_equal(read_all(t, 100, base_name(file)), bad);
	expect(t, "key00000000x", "makes the table an input");
}

static void test_blob(void **state)
{
	struct db_test *t = *state;
	char file[256];
	unsigned bad;

	fill(t, 5000);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".blob"));
	file_flip(file, 100000);
	db_open(t);
	bad = read_all(t, 5000, base_name(file));
	assert_int_equal(bad, 1);
}

/* A part of a large value is read without the rest: what is damaged elsewhere does not matter. */
static void test_part_of_a_blob(void **state)
{
	enum { SIZE = 200000, CHUNK = 16384, BAD = 5 };
	struct db_test *t = *state;
	uint8_t *want = bytes_new(1, SIZE), buf[CHUNK];
	struct lsm_value v = { 0 };
	struct lsm_iter *it = NULL;
	char file[256];

	db_open(t);
	put_bytes(t, S("k"), 1, SIZE);
	assert_ok(lsm_flush(t->db));
	db_close(t);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".blob"));
	file_flip(file, 64 + 16 + BAD * (CHUNK + 4) + 77);
	db_open(t);
	assert_code(lsm_get(t->db, NULL, S("k"), &v), LSM_CORRUPT);
	assert_ok(lsm_iter_new(t->db, NULL, &it));
	lsm_iter_seek_first(it);
	assert_true(lsm_iter_valid(it));
	for (uint64_t at = 0; at < SIZE; at += 5000) {
		bool bad = at / CHUNK <= BAD && (at + CHUNK - 1) / CHUNK >= BAD;
		size_t copied = 0, size = SIZE - at < CHUNK ? SIZE - at : CHUNK;

		assert_code(lsm_get_range(t->db, NULL, S("k"), at, buf, CHUNK, &copied, NULL),
			    bad ? LSM_CORRUPT : LSM_OK);
		assert_true(bad || (copied == size && !memcmp(buf, want + at, size)));
		assert_code(lsm_iter_read(it, at, buf, CHUNK, &copied), bad ? LSM_CORRUPT : LSM_OK);
		assert_true(bad || (copied == size && !memcmp(buf, want + at, size)));
	}
	lsm_iter_free(it);
	free(want);
}

/* Every part of a table at a time: whatever byte it is, nothing wrong is ever returned. */
static void test_any_byte_of_a_table(void **state)
{
	struct db_test *t = *state;
	struct rng rng = { seed_choose("test_any_byte_of_a_table") };
	char file[256];
	uint64_t size;

	fill(t, 10);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".sst"));
	size = files_bytes(t->store, base_name(file));
	for (int i = 0; i < 60; i++) {
		uint64_t offset = i < 30 ? rng_below(&rng, size) : size - 1 - rng_below(&rng, 600);
		int rc;

		file_flip(file, offset);
		rc = lsm_open(t->store, &t->options, &t->db);
		if (rc) {
			assert_true(rc == LSM_CORRUPT || rc == LSM_UNSUPPORTED);
		} else {
			for (uint64_t k = 0; k < KEYS; k += 7) {
				struct lsm_value v = { 0 };
				uint8_t *want = bytes_new(k, 10);

				rc = lsm_get(t->db, NULL, key_n(k), &v);
				if (rc && rc != LSM_UNSUPPORTED)
					assert_code(rc, LSM_CORRUPT);
				assert_true(rc || (v.size == 10 && !memcmp(v.data, want, 10)));
				lsm_value_release(&v);
				free(want);
			}
			db_close(t);
		}
		file_flip(file, offset);
	}
	db_open(t);
	assert_int_equal(read_all(t, 10, "none"), 0);
}

/* A flipped bit is harmless, since each record is there twice, or found. */
static void test_any_byte_of_the_manifest(void **state)
{
	struct db_test *t = *state;
	struct rng rng = { seed_choose("test_any_byte_of_the_manifest") };
	char file[256];
	uint64_t size;

	fill(t, 100);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".manifest"));
	size = files_bytes(t->store, base_name(file));
	for (int i = 0; i < 40; i++) {
		uint64_t offset = rng_below(&rng, size);
		struct lsm_options o = t->options;
		int rc;

		o.flags = LSM_OPEN_READ_ONLY;
		file_flip(file, offset);
		rc = lsm_open(t->store, &o, &t->db);
		if (rc) {
			assert_true(rc == LSM_CORRUPT || rc == LSM_UNSUPPORTED);
			assert_non_null(strstr(lsm_last_error()->file, base_name(file)));
		} else {
			assert_int_equal(read_all(t, 100, "none"), 0);
			db_close(t);
		}
		file_flip(file, offset);
	}
	db_open(t);
	assert_int_equal(read_all(t, 100, "none"), 0);
}

/*
 * Damage that no second copy mends is not taken for the manifest's end. All of the first half goes: with it both copies of
 * the first edit, which is small, but not the second copy of the last one.
 */
static void test_hole_in_the_manifest(void **state)
{
	struct db_test *t = *state;
	char file[256];
	enum { HEADER_BYTES = 64 };
	uint64_t size;

	fill(t, 100);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".manifest"));
	size = files_bytes(t->store, base_name(file));
	assert_true(size > 400);
	for (uint64_t i = HEADER_BYTES; i < size / 2; i++)
		file_flip(file, i);
	assert_code(lsm_open(t->store, &t->options, &t->db), LSM_CORRUPT);
	assert_null(t->db);
	assert_non_null(strstr(lsm_last_error()->file, base_name(file)));
	for (uint64_t i = HEADER_BYTES; i < size / 2; i++)
		file_flip(file, i);
	db_open(t);
	assert_int_equal(read_all(t, 100, "none"), 0);
}

static void test_missing_table(void **state)
{
	struct db_test *t = *state;
	char file[256];
	int rc;

	fill(t, 100);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".sst"));
	assert_int_equal(unlink(file), 0);
	rc = lsm_open(t->store, &t->options, &t->db);
	if (!rc) { /* then its keys are reported, and nothing is taken for deleted */
		struct lsm_value v = { 0 };
		unsigned bad = 0;

		for (uint64_t i = 0; i < KEYS; i++) {
			rc = lsm_get(t->db, NULL, key_n(i), &v);
			assert_true(rc == LSM_OK || rc == LSM_CORRUPT || rc == LSM_IO);
			bad += rc != LSM_OK;
			lsm_value_release(&v);
		}
		assert_true(bad > 0);
	} else {
		assert_true(rc == LSM_CORRUPT || rc == LSM_IO);
		assert_non_null(strstr(lsm_last_error()->file, base_name(file)));
	}
}

/* Wherever it lies in garbage, a value that can't be read stays, and collecting the rest comes to an end. */
static void test_collection_keeps_off(void **state)
{
	struct db_test *t = *state;
	uint64_t before;
	char file[256];
	unsigned bad;

	t->options.blob_segment_bytes = 16 << 20;
	fill(t, 5000);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".blob"));
	file_flip(file, 100000);
	db_open(t);
	for (uint64_t i = 0; i < KEYS; i++)
		if (i % 2)
			put_bytes(t, key_n(i), i, 5000);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	usleep(1500000);
	before = stats_of(t).compactions;
	usleep(1500000);
	assert_int_equal(stats_of(t).compactions, before);
	bad = read_all(t, 5000, base_name(file));
	assert_true(bad <= 1);
}

/* A compaction in the background has met the damage: one that is asked for says so, and doesn't wait for it. */
static void test_compaction_reports(void **state)
{
	struct db_test *t = *state;
	char file[256];
	int rc = LSM_OK;

	t->options.l0_tables = 1;
	fill(t, 100);
	snprintf(file, sizeof(file), "%s", file_largest(t->store, ".sst"));
	file_flip(file, 9000);
	db_open(t);
	put(t, "key00000000x", "makes the table an input");
	assert_ok(lsm_flush(t->db));
	usleep(300000); /* for the background thread */
	rc = lsm_compact_range(t->db, S(""), S(""));
	assert_code(rc, LSM_CORRUPT);
	expect(t, "key00000000x", "makes the table an input");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup_closed, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_table_block),          T(test_compaction_keeps_off), T(test_blob),
		T(test_part_of_a_blob),       T(test_any_byte_of_a_table),  T(test_any_byte_of_the_manifest),
		T(test_hole_in_the_manifest), T(test_missing_table),        T(test_collection_keeps_off),
		T(test_compaction_reports),
	};

	return cmocka_run_group_tests_name("db_corrupt", tests, NULL, NULL);
}
