/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lsm/format/header.h"
#include "lsm/format/log.h"
#include "tests/support/env_fault.h"
#include "tests/support/rng.h"
#include "tests/support/tmp_dir.h"

enum { NUMBER = 77, COPY_HEADER = 24 };

static char *dir;
static const char *path;

static int dir_setup(void **state)
{
	(void)state;
	dir = tmp_dir_new();
	path = tmp_path(dir, "MANIFEST");
	return 0;
}

static int dir_teardown(void **state)
{
	(void)state;
	tmp_dir_free(dir);
	return 0;
}

/* Record i of the tests has i * 5 bytes of the value i. */
static struct lsm_slice record_of(uint8_t *bytes, unsigned i)
{
	memset(bytes, (int)i, (size_t)i * 5);
	return slice_of(bytes, (size_t)i * 5);
}

static void record_add(struct log_writer *w, unsigned i, int want)
{
	uint8_t bytes[5 * 256];

	assert_int_equal(log_writer_add(w, record_of(bytes, i)), want);
}

static uint64_t copies_bytes(unsigned i)
{
	return 2 * (COPY_HEADER + (i * 5 + 7) / 8 * 8);
}

static void log_make(unsigned n)
{
	struct log_writer *w;

	assert_int_equal(log_writer_open(env_posix(), path, NUMBER, &w), LSM_OK);
	for (unsigned i = 0; i < n; i++)
		record_add(w, i, LSM_OK);
	assert_int_equal(log_writer_sync(w), LSM_OK);
	log_writer_close(w);
}

struct seen {
	unsigned n, stop_at;
};

static int record_seen(void *ctx, struct lsm_slice record)
{
	struct seen *seen = ctx;
	uint8_t bytes[5 * 256];

	assert_true(slice_equal(record, record_of(bytes, seen->n)));
	seen->n++;
	return seen->n == seen->stop_at ? LSM_INVALID : LSM_OK;
}

static int log_look(struct seen *seen, struct log_end *end)
{
	*seen = (struct seen){ 0 };
	return log_read(env_posix(), path, NUMBER, record_seen, seen, end);
}

static void test_write_and_read(void **state)
{
	struct seen seen;
	struct log_end end;
	uint64_t size = FILE_HEADER_BYTES;

	(void)state;
	for (unsigned n = 0; n < 40; n++) {
		log_make(n);
		assert_int_equal(log_look(&seen, &end), LSM_OK);
		assert_int_equal(seen.n, n);
		assert_int_equal(end.records, n);
		assert_int_equal(end.offset, size);
		assert_false(end.torn);
		size += copies_bytes(n);
	}
	seen = (struct seen){ .stop_at = 3 };
	assert_int_equal(log_read(env_posix(), path, NUMBER, record_seen, &seen, NULL), LSM_INVALID);
	assert_int_equal(seen.n, 3);
}

static void test_not_this_log(void **state)
{
	struct seen seen = { 0 };
	uint8_t header[FILE_HEADER_BYTES];
	size_t size;
	uint8_t *data;

	(void)state;
	assert_int_equal(log_look(&seen, NULL), LSM_IO);
	assert_int_equal(lsm_last_error()->sys_errno, ENOENT);
	log_make(3);
	assert_int_equal(log_read(env_posix(), path, NUMBER + 1, record_seen, &seen, NULL), LSM_CORRUPT);
	assert_int_equal(seen.n, 0);
	data = tmp_file_load(path, &size);
	for (size_t cut = 0; cut < FILE_HEADER_BYTES; cut++) {
		tmp_file_store(path, data, cut);
		assert_int_equal(log_look(&seen, NULL), LSM_CORRUPT);
	}
	memcpy(header, data, sizeof(header));
	put_u32(header + 8, 2);
	put_u64(header + 56, hash64(header, 56, 0));
	tmp_file_store(path, header, sizeof(header));
	assert_int_equal(log_look(&seen, NULL), LSM_UNSUPPORTED);
	memcpy(header, data, sizeof(header));
	put_u32(header + 16, 4);
	put_u64(header + 56, hash64(header, 56, 0));
	tmp_file_store(path, header, sizeof(header));
	assert_int_equal(log_look(&seen, NULL), LSM_UNSUPPORTED);
	memcpy(header, data, sizeof(header));
	put_u32(header + 12, 4);
	put_u64(header + 56, hash64(header, 56, 0));
	tmp_file_store(path, header, sizeof(header));
	assert_int_equal(log_look(&seen, NULL), LSM_OK);
	free(data);
}

/* No flipped byte hides a record or invents one: each is stored twice. */
static void test_flips(void **state)
{
	struct seen seen;
	struct log_end end;
	size_t size;
	uint8_t *data;

	(void)state;
	log_make(12);
	data = tmp_file_load(path, &size);
	free(data);
	for (size_t at = 0; at < size; at++) {
		tmp_file_flip(path, at, (uint8_t)(1 << at % 8));
		if (at < FILE_HEADER_BYTES) {
			assert_int_equal(log_look(&seen, &end), LSM_CORRUPT);
		} else {
			assert_int_equal(log_look(&seen, &end), LSM_OK);
			assert_int_equal(seen.n, 12);
		}
		tmp_file_flip(path, at, (uint8_t)(1 << at % 8));
	}
}

/* Cut anywhere: the records before are there, and the torn tail is told. */
static void test_torn(void **state)
{
	enum { RECORDS = 9 };
	struct seen seen;
	struct log_end end;
	uint64_t at = FILE_HEADER_BYTES;
	size_t size;
	uint8_t *data;

	(void)state;
	log_make(RECORDS);
	data = tmp_file_load(path, &size);
	for (unsigned i = 0; i < RECORDS; i++) {
		uint64_t one = copies_bytes(i) / 2, payload_end = at + COPY_HEADER + i * 5;

		for (uint64_t cut = at; cut < at + 2 * one; cut++) {
			tmp_file_store(path, data, cut);
			assert_int_equal(log_look(&seen, &end), LSM_OK);
			assert_int_equal(seen.n, cut < payload_end ? i : i + 1);
			if (cut < payload_end) {
				assert_int_equal(end.torn, cut > at);
				assert_int_equal(end.offset, at);
			}
		}
		at += 2 * one;
	}
	assert_int_equal(at, size);
	memset(data + size - copies_bytes(RECORDS - 1), 0, copies_bytes(RECORDS - 1));
	tmp_file_store(path, data, size);
	assert_int_equal(log_look(&seen, &end), LSM_OK);
	assert_int_equal(seen.n, RECORDS - 1);
	assert_true(end.torn);
	free(data);
}

/* Both copies damaged, with records behind: not a crash's doing. */
static void test_corrupt_middle(void **state)
{
	struct seen seen;
	struct log_end end;
	uint64_t at = FILE_HEADER_BYTES;

	(void)state;
	log_make(20);
	for (unsigned i = 0; i < 19; i++) {
		uint64_t one = copies_bytes(i) / 2;

		for (uint64_t byte = 0; byte < COPY_HEADER + i * 5; byte += 3) {
			tmp_file_flip(path, at + byte, 16);
			tmp_file_flip(path, at + one + byte, 16);
			assert_int_equal(log_look(&seen, &end), LSM_CORRUPT);
			assert_int_equal(seen.n, i);
			assert_int_equal(lsm_last_error()->offset, at);
			assert_string_equal(lsm_last_error()->file, path);
			tmp_file_flip(path, at + byte, 16);
			tmp_file_flip(path, at + one + byte, 16);
		}
		at += 2 * one;
	}
}

/* A record that holds a log's bytes is not taken for the records in it. */
static void test_log_in_log(void **state)
{
	struct log_writer *w;
	struct log_end end;
	struct seen seen;
	size_t size;
	uint8_t *data;

	(void)state;
	log_make(10);
	data = tmp_file_load(path, &size);
	assert_int_equal(log_writer_open(env_posix(), path, NUMBER, &w), LSM_OK);
	record_add(w, 0, LSM_OK);
	assert_int_equal(log_writer_add(w, slice_of(data, size)), LSM_OK);
	log_writer_close(w);
	free(data);
	tmp_file_flip(path, FILE_HEADER_BYTES + copies_bytes(0), 1);
	tmp_file_flip(path, FILE_HEADER_BYTES + copies_bytes(0) + COPY_HEADER + (size + 7) / 8 * 8, 1);
	assert_int_equal(log_look(&seen, &end), LSM_OK);
	assert_int_equal(seen.n, 1);
	assert_true(end.torn);
}

static void test_no_space(void **state)
{
	struct env_fault f;
	struct log_writer *w;
	struct seen seen;
	struct log_end end;

	(void)state;
	env_fault_init(&f);
	assert_int_equal(log_writer_open(&f.env, path, NUMBER, &w), LSM_OK);
	record_add(w, 0, LSM_OK);
	env_fault_nth(&f, FAULT_WRITE, NULL, 1, ENOSPC);
	record_add(w, 200, LSM_NO_SPACE);
	assert_int_equal(log_writer_bytes(w), FILE_HEADER_BYTES + copies_bytes(0));
	assert_int_equal(log_look(&seen, &end), LSM_OK);
	assert_true(seen.n == 1 && !end.torn);
	record_add(w, 1, LSM_OK);
	/* When the rest cannot be removed (the first copy is whole here), nothing may come behind it. */
	env_fault_nth(&f, FAULT_WRITE, NULL, 1, ENOSPC);
	env_fault_nth(&f, FAULT_TRUNCATE, NULL, 1, EIO);
	record_add(w, 2, LSM_NO_SPACE);
	record_add(w, 3, LSM_NO_SPACE);
	assert_int_equal(log_writer_sync(w), LSM_NO_SPACE);
	log_writer_close(w);
	assert_int_equal(log_look(&seen, &end), LSM_OK);
	assert_int_equal(seen.n, 3);
	env_fault_done(&f);
}

static void test_sync_fails(void **state)
{
	struct env_fault f;
	struct log_writer *w;

	(void)state;
	env_fault_init(&f);
	assert_int_equal(log_writer_open(&f.env, path, NUMBER, &w), LSM_OK);
	record_add(w, 0, LSM_OK);
	assert_int_equal(log_writer_sync(w), LSM_OK);
	env_fault_nth(&f, FAULT_SYNC, "MANIFEST", 1, EIO);
	record_add(w, 1, LSM_OK);
	assert_int_equal(log_writer_sync(w), LSM_IO);
	assert_int_equal(log_writer_sync(w), LSM_IO);
	record_add(w, 2, LSM_IO);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), 2);
	log_writer_close(w);
	log_writer_close(NULL);
	env_fault_nth(&f, FAULT_OPEN, NULL, 1, EIO);
	assert_int_equal(log_writer_open(&f.env, path, NUMBER, &w), LSM_IO);
	env_fault_nth(&f, FAULT_WRITE, NULL, 1, ENOSPC);
	assert_int_equal(log_writer_open(&f.env, path, NUMBER, &w), LSM_NO_SPACE);
	env_fault_done(&f);
}

/* Whatever bytes there are, reading ends, inside them, with one of the codes it promises. */
static void test_random_bytes(void **state)
{
	struct rng rng = { seed_choose("test_random_bytes") };

	(void)state;
	log_make(30);
	for (int round = 0; round < 300; round++) {
		struct seen seen;
		size_t size;
		uint8_t *data = tmp_file_load(path, &size);
		size_t from = FILE_HEADER_BYTES + rng_below(&rng, size - FILE_HEADER_BYTES);
		int rc;

		rng_fill(&rng, data + from, rng_below(&rng, size - from));
		tmp_file_store(tmp_path(dir, "bad"), data, size);
		free(data);
		seen = (struct seen){ 0 };
		rc = log_read(env_posix(), tmp_path(dir, "bad"), NUMBER, record_seen, &seen, NULL);
		assert_true(rc == LSM_OK || rc == LSM_CORRUPT);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_write_and_read), TEST(test_not_this_log),   TEST(test_flips),
		TEST(test_torn),           TEST(test_corrupt_middle), TEST(test_log_in_log),
		TEST(test_no_space),       TEST(test_sync_fails),     TEST(test_random_bytes),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
