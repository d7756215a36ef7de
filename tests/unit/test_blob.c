/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lsm/format/blob.h"
#include "lsm/format/header.h"
#include "tests/support/env_fault.h"
#include "tests/support/rng.h"
#include "tests/support/tmp_dir.h"

enum { SEGMENT = 9, CHUNK = BLOB_CHUNK_BYTES };

static char *dir;
static const char *path;
static struct rng rng;

static int dir_setup(void **state)
{
	(void)state;
	dir = tmp_dir_new();
	path = tmp_path(dir, "blob");
	return 0;
}

static int dir_teardown(void **state)
{
	(void)state;
	tmp_dir_free(dir);
	return 0;
}

static uint8_t *value_make(size_t size)
{
	uint8_t *value = malloc(size + 1);

	rng_fill(&rng, value, size);
	return value;
}

static struct blob_writer *writer_make(struct env *env)
{
	struct blob_writer *w;

	assert_int_equal(blob_writer_open(env, path, SEGMENT, &w), LSM_OK);
	return w;
}

static struct env_file *segment_open(void)
{
	struct env_file *f;

	assert_int_equal(env_open(env_posix(), path, ENV_OPEN_READ, &f), LSM_OK);
	return f;
}

/* Reads a part of the value and compares; what lies behind the part stays as it was. */
static void range_check(struct env_file *f, const struct blob_ptr *ptr, const uint8_t *value, uint64_t offset,
			size_t size)
{
	uint8_t *buf = malloc(size + 8);

	memset(buf + size, 0xaa, 8);
	assert_int_equal(blob_read(f, ptr, offset, buf, size), LSM_OK);
	assert_memory_equal(buf, value + ptr->part_offset + offset, size);
	for (int i = 0; i < 8; i++)
		assert_int_equal(buf[size + i], 0xaa);
	free(buf);
}

static void value_check(struct env_file *f, const struct blob_ptr *ptr, const uint8_t *value)
{
	uint64_t n = ptr->part_size;

	range_check(f, ptr, value, 0, n);
	for (int i = 0; i < 20 && n; i++) {
		uint64_t from = rng_below(&rng, n);

		range_check(f, ptr, value, from, rng_below(&rng, n - from + 1));
	}
	for (uint64_t edge = CHUNK; edge < n; edge += CHUNK) {
		range_check(f, ptr, value, edge - 1, n - edge < 2 ? 1 : 2);
		range_check(f, ptr, value, edge, 1);
		range_check(f, ptr, value, edge - CHUNK, CHUNK);
	}
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = { 0,
					1,
					15,
					100,
					CHUNK - 1,
					CHUNK,
					CHUNK + 1,
					2 * CHUNK,
					2 * CHUNK + 1,
					3 * CHUNK - 1,
					64 * CHUNK - 1,
					64 * CHUNK,
					64 * CHUNK + 1,
					129 * CHUNK + 77 };
	enum { N = sizeof(sizes) / sizeof(*sizes) };
	struct blob_writer *w = writer_make(env_posix());
	struct blob_ptr ptrs[N];
	uint8_t *values[N];
	struct env_file *f;
	size_t size;

	(void)state;
	assert_int_equal(blob_writer_bytes(w), FILE_HEADER_BYTES);
	for (int i = 0; i < N; i++) {
		uint64_t before = blob_writer_bytes(w);

		values[i] = value_make(sizes[i]);
		assert_int_equal(blob_writer_add(w, slice_of(values[i], sizes[i]), &ptrs[i]), LSM_OK);
		assert_int_equal(ptrs[i].offset, before);
		assert_int_equal(ptrs[i].segment, SEGMENT);
		assert_true(ptrs[i].value_size == sizes[i] && ptrs[i].part_size == sizes[i] && !ptrs[i].part_offset);
		assert_int_equal(blob_writer_bytes(w) - before, blob_record_bytes(sizes[i]));
		value_check(blob_writer_file(w), &ptrs[i], values[i]);
	}
	assert_int_equal(blob_writer_sync(w), LSM_OK);
	free(tmp_file_load(path, &size));
	assert_int_equal(size, blob_writer_bytes(w));
	blob_writer_close(w);
	f = segment_open();
	assert_int_equal(blob_file_check(f, SEGMENT), LSM_OK);
	for (int i = 0; i < N; i++) {
		value_check(f, &ptrs[i], values[i]);
		assert_int_equal(blob_verify(f, &ptrs[i]), LSM_OK);
		free(values[i]);
	}
	file_close(f);
}

static void test_parts(void **state)
{
	enum { SIZE = 5 * CHUNK + 123 };
	struct blob_writer *w = writer_make(env_posix());
	uint8_t *value = value_make(SIZE);
	struct blob_ptr whole;

	(void)state;
	assert_int_equal(blob_writer_add(w, slice_of(value, SIZE), &whole), LSM_OK);
	for (int i = 0; i < 100; i++) {
		struct blob_ptr part = whole;

		part.part_offset = rng_below(&rng, SIZE + 1);
		part.part_size = rng_below(&rng, SIZE - part.part_offset + 1);
		value_check(blob_writer_file(w), &part, value);
	}
	free(value);
	blob_writer_close(w);
}

/* Reading the last byte must not need the first chunk. */
static void test_reads_only_what_it_needs(void **state)
{
	enum { SIZE = 4 * CHUNK };
	struct blob_writer *w = writer_make(env_posix());
	uint8_t *value = value_make(SIZE), buf[2];
	struct blob_ptr ptr;
	struct env_file *f;

	(void)state;
	assert_int_equal(blob_writer_add(w, slice_of(value, SIZE), &ptr), LSM_OK);
	blob_writer_close(w);
	tmp_file_flip(path, ptr.offset + 16 + CHUNK + 4, 1);
	f = segment_open();
	range_check(f, &ptr, value, 2 * CHUNK, 2 * CHUNK);
	range_check(f, &ptr, value, 0, CHUNK);
	assert_int_equal(blob_read(f, &ptr, CHUNK - 1, buf, 2), LSM_CORRUPT);
	assert_int_equal(lsm_last_error()->offset, ptr.offset + 16 + CHUNK + 4);
	assert_string_equal(lsm_last_error()->file, path);
	file_close(f);
	free(value);
}

static void test_flips(void **state)
{
	static const size_t sizes[] = { 0, 1, 300, CHUNK + 10 };
	struct blob_writer *w = writer_make(env_posix());
	struct blob_ptr ptrs[4];
	struct env_file *f;
	size_t size;

	(void)state;
	for (int i = 0; i < 4; i++) {
		uint8_t *value = value_make(sizes[i]);

		assert_int_equal(blob_writer_add(w, slice_of(value, sizes[i]), &ptrs[i]), LSM_OK);
		free(value);
	}
	size = blob_writer_bytes(w);
	blob_writer_close(w);
	f = segment_open();
	for (size_t at = 0; at < size; at += at < 1000 || at > size - 100 ? 1 : 61) {
		int owner = -1;

		tmp_file_flip(path, at, (uint8_t)(1 << at % 8));
		for (int i = 0; i < 4; i++)
			if (at >= ptrs[i].offset)
				owner = i;
		assert_int_equal(blob_file_check(f, SEGMENT), owner < 0 ? LSM_CORRUPT : LSM_OK);
		for (int i = 0; i < 4; i++)
			assert_int_equal(blob_verify(f, &ptrs[i]), i == owner ? LSM_CORRUPT : LSM_OK);
		tmp_file_flip(path, at, (uint8_t)(1 << at % 8));
	}
	file_close(f);
}

/* A record that came to another place or into another segment, or is cut off, is none. */
static void test_misplaced(void **state)
{
	struct blob_writer *w = writer_make(env_posix());
	uint8_t *value = value_make(1000), buf[1000];
	struct blob_ptr ptr, bad;
	struct env_file *f;
	size_t size;
	uint8_t *data;

	(void)state;
	assert_int_equal(blob_writer_add(w, slice_of(value, 1000), &ptr), LSM_OK);
	blob_writer_close(w);
	f = segment_open();
	assert_int_equal(blob_file_check(f, SEGMENT + 1), LSM_CORRUPT);
	bad = ptr;
	bad.segment++;
	assert_int_equal(blob_read(f, &bad, 0, buf, 1000), LSM_CORRUPT);
	assert_int_equal(blob_verify(f, &bad), LSM_CORRUPT);
	bad = ptr;
	bad.offset += 4;
	assert_int_equal(blob_read(f, &bad, 0, buf, 1000), LSM_CORRUPT);
	bad = ptr;
	bad.value_size--;
	assert_int_equal(blob_read(f, &bad, 0, buf, 999), LSM_CORRUPT);
	assert_int_equal(blob_verify(f, &bad), LSM_CORRUPT);
	bad = ptr;
	bad.offset = 1 << 30;
	assert_int_equal(blob_read(f, &bad, 0, buf, 1000), LSM_CORRUPT);
	assert_int_equal(blob_verify(f, &bad), LSM_CORRUPT);
	file_close(f);
	data = tmp_file_load(path, &size);
	for (size_t cut = 0; cut < size; cut++) {
		tmp_file_store(path, data, cut);
		f = segment_open();
		assert_int_equal(blob_file_check(f, SEGMENT), cut < FILE_HEADER_BYTES ? LSM_CORRUPT : LSM_OK);
		assert_int_equal(blob_verify(f, &ptr), LSM_CORRUPT);
		assert_int_equal(blob_read(f, &ptr, 0, buf, 1), LSM_CORRUPT);
		file_close(f);
	}
	free(data);
	free(value);
}

static void test_pointers(void **state)
{
	static const struct blob_ptr good[] = {
		{ 1, 64, 0, 0, 0 },
		{ UINT64_MAX, UINT64_C(1) << 62, LSM_VALUE_BYTES_MAX, LSM_VALUE_BYTES_MAX, 0 },
		{ 5, 1000, 5000, 100, 4900 },
	};
	static const struct blob_ptr bad[] = {
		{ 1, 63, 0, 0, 0 },           { 1, (UINT64_C(1) << 62) + 1, 0, 0, 0 },
		{ 1, 64, 10, 11, 0 },         { 1, 64, 10, 0, 11 },
		{ 1, 64, 10, 5, UINT64_MAX }, { 1, 64, LSM_VALUE_BYTES_MAX + UINT64_C(1), 0, 0 },
	};
	uint8_t bytes[BLOB_PTR_BYTES_MAX + 1];
	struct blob_ptr p;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		n = blob_ptr_encode(bytes, &good[i]);
		assert_true(n <= BLOB_PTR_BYTES_MAX);
		assert_int_equal(blob_ptr_decode(slice_of(bytes, n), "f", &p), LSM_OK);
		assert_memory_equal(&p, &good[i], sizeof(p));
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(blob_ptr_decode(slice_of(bytes, cut), "f", &p), LSM_CORRUPT);
		bytes[n] = 0;
		assert_int_equal(blob_ptr_decode(slice_of(bytes, n + 1), NULL, &p), LSM_CORRUPT);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		n = blob_ptr_encode(bytes, &bad[i]);
		assert_int_equal(blob_ptr_decode(slice_of(bytes, n), "f", &p), LSM_CORRUPT);
		assert_string_equal(lsm_last_error()->file, "f");
	}
}

static void test_errors(void **state)
{
	uint8_t *value = value_make(3 * CHUNK), buf[10];
	struct blob_ptr ptr = { 0 }, second;
	struct env_fault f;
	struct blob_writer *w;

	(void)state;
	env_fault_init(&f);
	w = writer_make(&f.env);
	env_fault_nth(&f, FAULT_WRITE, "blob", 1, ENOSPC);
	assert_int_equal(blob_writer_add(w, slice_of(value, 3 * CHUNK), &ptr), LSM_NO_SPACE);
	assert_true(!ptr.segment && blob_writer_bytes(w) == FILE_HEADER_BYTES);
	assert_int_equal(blob_writer_add(w, slice_of(value, 1000), &ptr), LSM_OK);
	assert_int_equal(blob_writer_add(w, slice_of(value + 5, 2 * CHUNK), &second), LSM_OK);
	value_check(blob_writer_file(w), &ptr, value);
	value_check(blob_writer_file(w), &second, value + 5);
	env_fault_nth(&f, FAULT_READ, NULL, 1, EIO);
	assert_int_equal(blob_read(blob_writer_file(w), &ptr, 0, buf, 10), LSM_IO);
	env_fault_nth(&f, FAULT_READ, NULL, 1, EIO);
	assert_int_equal(blob_verify(blob_writer_file(w), &ptr), LSM_IO);
	env_fault_nth(&f, FAULT_SYNC, NULL, 1, EIO);
	assert_int_equal(blob_writer_sync(w), LSM_IO);
	blob_writer_close(w);
	blob_writer_close(NULL);
	env_fault_nth(&f, FAULT_WRITE, NULL, 1, ENOSPC);
	assert_int_equal(blob_writer_open(&f.env, path, SEGMENT, &w), LSM_NO_SPACE);
	env_fault_done(&f);
	free(value);
}

/* One write a value, whatever its size up to a batch; one read a part. */
static void test_one_call_each(void **state)
{
	uint8_t *value = value_make(64 * CHUNK);
	struct env_fault f;
	struct blob_writer *w;
	struct blob_ptr ptr;
	uint64_t writes, reads;

	(void)state;
	env_fault_init(&f);
	w = writer_make(&f.env);
	writes = env_fault_count(&f, FAULT_WRITE);
	assert_int_equal(blob_writer_add(w, slice_of(value, 64 * CHUNK), &ptr), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_WRITE) - writes, 1);
	reads = env_fault_count(&f, FAULT_READ);
	range_check(blob_writer_file(w), &ptr, value, 10, 40 * CHUNK);
	assert_int_equal(env_fault_count(&f, FAULT_READ) - reads, 1);
	blob_writer_close(w);
	env_fault_done(&f);
	free(value);
}

struct appender {
	struct blob_writer *writer;
	const uint8_t *value;
};

static void *append_main(void *arg)
{
	struct appender *a = arg;
	struct blob_ptr ptr;

	for (int i = 0; i < 300; i++)
		if (blob_writer_add(a->writer, slice_of(a->value, 5000), &ptr))
			abort();
	return NULL;
}

/* Reading and syncing beside the appending thread. */
static void test_beside_an_append(void **state)
{
	uint8_t *value = value_make(5000);
	struct appender a = { writer_make(env_posix()), value };
	pthread_t thread;
	uint64_t bytes;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, append_main, &a), 0);
	do {
		bytes = blob_writer_bytes(a.writer);
		if (bytes > FILE_HEADER_BYTES) {
			struct blob_ptr ptr = { SEGMENT, bytes - blob_record_bytes(5000), 5000, 0, 5000 };

			assert_int_equal(blob_verify(blob_writer_file(a.writer), &ptr), LSM_OK);
		}
		assert_int_equal(blob_writer_sync(a.writer), LSM_OK);
	} while (bytes < FILE_HEADER_BYTES + 300 * blob_record_bytes(5000));
	pthread_join(thread, NULL);
	blob_writer_close(a.writer);
	free(value);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sizes),  TEST(test_parts),         TEST(test_reads_only_what_it_needs),
		TEST(test_flips),  TEST(test_misplaced),     TEST(test_pointers),
		TEST(test_errors), TEST(test_one_call_each), TEST(test_beside_an_append),
	};

	rng.state = seed_choose("test_blob");
	return cmocka_run_group_tests_name("blob", tests, NULL, NULL);
}
