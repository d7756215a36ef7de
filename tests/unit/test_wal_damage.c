/* SPDX-License-Identifier: MIT */
/* The log with torn tails, flipped bits, lost pages and lost files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "lsm/format/header.h"
#include "tests/support/tmp_dir.h"
#include "tests/support/wal_test.h"

/* How many records from `first` on, in `now` from `at` on, are as they were written? */
static uint64_t whole_count(const uint8_t *now, const uint8_t *written, uint64_t at, uint64_t first, uint64_t end)
{
	uint64_t n = 0;

	while (first + n < end && !memcmp(now + at, written + at, 16 + record_payload_size(first + n))) {
		at += record_bytes(first + n);
		n++;
	}
	return n;
}

/* The last records are cut at every byte; behind the cut is what was there before: zeros, or an older life's bytes. */
static void torn_everywhere(const struct files *before, const struct files *after, uint64_t segment, uint64_t first,
			    uint64_t end)
{
	int file = 0;
	size_t start = HEADER;
	uint8_t *now;

	while (!memcmp(before->data[file], after->data[file], SEGMENT))
		file++;
	while (before->data[file][start] == after->data[file][start])
		start++;
	start &= ~(size_t)7;
	now = malloc(SEGMENT);
	memcpy(now, before->data[file], SEGMENT);
	for (size_t at = start; at < SEGMENT; at++) {
		struct seen seen = { 0 };

		tmp_file_store(tmp_path(wal_dir, after->name[file]), now, SEGMENT);
		assert_int_equal(log_look(segment, &seen), LSM_OK);
		assert_int_equal(seen.n, first + whole_count(now, after->data[file], start, first, end));
		now[at] = after->data[file][at];
	}
	look_expect(segment, 0, end);
	free(now);
}

static void test_torn_everywhere(void **state)
{
	enum { FIRST = 56, END = 60 };
	struct files before, after;
	uint64_t segment = 1;

	(void)state;
	for (int former = 0; former < 2; former++) {
		struct wal *w = log_open_env(env_posix(), segment, &(struct seen){ 0 });

		for (int i = 0; i < 3 * former; i++) {
			records_add(w, 0, 100);
			assert_int_equal(wal_rotate(w, &segment), LSM_OK);
			assert_int_equal(wal_release(w, segment), LSM_OK);
			wal_life++;
		}
		records_add(w, 0, FIRST);
		files_load(&before, wal_dir);
		records_add(w, FIRST, END);
		files_load(&after, wal_dir);
		wal_close(w, false);
		assert_int_equal(before.n, after.n);
		torn_everywhere(&before, &after, segment, FIRST, END);
		files_free(&before);
		files_free(&after);
		tmp_dir_clear(wal_dir);
	}
}

/* Behind a torn record lie whole ones of the same segment: after new appends they must not come back. */
static void test_torn_then_appended(void **state)
{
	uint64_t offset;

	(void)state;
	for (uint64_t torn = 0; torn < 60; torn += 7) {
		const char *name;
		struct wal *w;

		tmp_dir_clear(wal_dir);
		log_make(60);
		wal_life++;
		name = record_place(torn, &offset);
		tmp_file_flip(tmp_path(wal_dir, name), offset + 17, 2);
		look_expect(1, 0, torn);
		w = log_open(torn);
		wal_close(w, false);
		look_expect(1, 0, torn);
		w = log_open(torn);
		records_add(w, torn, torn + 1);
		wal_close(w, false);
		look_expect(1, 0, torn + 1);
		w = log_open(torn + 1);
		records_add(w, torn + 1, torn + 100);
		wal_close(w, false);
		look_expect(1, 0, torn + 100);
	}
}

/* The same when the torn bytes become readable again: the newer segment ends the older one all the same. */
static void test_given_up_stays_given_up(void **state)
{
	struct wal *w;
	uint64_t offset;
	const char *name;

	(void)state;
	log_make(30);
	name = record_place(20, &offset);
	tmp_file_flip(tmp_path(wal_dir, name), offset + 17, 2);
	wal_life++;
	w = log_open(20);
	records_add(w, 20, 25);
	wal_close(w, false);
	tmp_file_flip(tmp_path(wal_dir, name), offset + 17, 2);
	look_expect(1, 0, 25);
}

static void test_damaged_middle(void **state)
{
	enum { N = 200 };
	struct seen seen = { 0 };
	uint64_t offset;

	(void)state;
	for (uint64_t bad = 0; bad < N; bad += 13) {
		const char *name;

		tmp_dir_clear(wal_dir);
		log_make(N);
		name = record_place(bad, &offset);
		bytes_set(name, offset, 0, record_bytes(bad));
		look_expect(1, 0, bad);

		/* With a mark behind, what is below the mark must be there. */
		tmp_dir_clear(wal_dir);
		marked_log_make(N, 150);
		assert_int_equal(log_look(1, &seen), LSM_OK);
		assert_true(seen.n == N && seen.durable == 150);
		tmp_file_flip(tmp_path(wal_dir, name), offset + 4 + bad % 12, 4);
		if (bad < 150) {
			assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
			assert_string_equal(lsm_last_error()->file, tmp_path(wal_dir, name));
			assert_int_equal(lsm_last_error()->offset, offset);
		} else {
			look_expect(1, 0, bad);
		}
	}
}

/* A lost page takes many records, and maybe the place where the next one begins. */
static void test_lost_page(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	for (uint64_t page = HEADER; page < SEGMENT; page += 4096) {
		tmp_dir_clear(wal_dir);
		log_make(200);
		bytes_set("wal-0001", page, 0, 4096);
		assert_int_equal(log_look(1, &seen), LSM_OK);
		assert_true(seen.n > 0 && seen.n < 200);
		tmp_dir_clear(wal_dir);
		marked_log_make(200, 200);
		bytes_set("wal-0001", page, 0, 4096);
		assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
	}
}

/* One flipped bit in a header changes nothing; the same one in both copies is found. */
static void test_header_flips(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	log_make(100);
	for (size_t at = 0; at < HEADER; at += at % 2048 < 70 || at % 2048 > 2040 ? 1 : 97) {
		tmp_file_flip(tmp_path(wal_dir, "wal-0001"), at, (uint8_t)(1 << at % 8));
		look_expect(1, 0, 100);
		if (at < 64) {
			tmp_file_flip(tmp_path(wal_dir, "wal-0001"), at + 2048, (uint8_t)(1 << at % 8));
			assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
			assert_string_equal(lsm_last_error()->file, tmp_path(wal_dir, "wal-0001"));
			tmp_file_flip(tmp_path(wal_dir, "wal-0001"), at + 2048, (uint8_t)(1 << at % 8));
		}
		tmp_file_flip(tmp_path(wal_dir, "wal-0001"), at, (uint8_t)(1 << at % 8));
	}
	/* The whole block of the log's first segment lost: there is no log then, or it is known to be missing. */
	bytes_set("wal-0000", 0, 0, HEADER);
	look_expect(1, 0, 0);
	tmp_dir_clear(wal_dir);
	marked_log_make(100, 100);
	bytes_set("wal-0000", 0, 0, HEADER);
	assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
}

static void test_unsupported(void **state)
{
	static const uint8_t fields[] = { 8, 16 };
	struct seen seen = { 0 };
	uint8_t *data;
	size_t size;

	(void)state;
	log_make(10);
	data = tmp_file_load(tmp_path(wal_dir, "wal-0000"), &size);
	for (size_t i = 0; i < sizeof(fields); i++) {
		uint8_t *copy = data + 2048 * i;

		put_u32(copy + fields[i], 2);
		put_u64(copy + 56, hash64(copy, 56, 0));
		tmp_file_store(tmp_path(wal_dir, "wal-0000"), data, size);
		assert_int_equal(log_look(1, &seen), LSM_UNSUPPORTED);
		put_u32(copy + fields[i], i ? 0 : 1);
		put_u64(copy + 56, hash64(copy, 56, 0));
	}
	tmp_file_store(tmp_path(wal_dir, "wal-0000"), data, size);
	look_expect(1, 0, 10);
	free(data);
}

static void test_lost_segments(void **state)
{
	struct seen seen = { 0 };
	struct files f;
	uint64_t last;

	(void)state;
	log_make(200);
	files_load(&f, wal_dir);
	assert_true(f.n >= 4);
	assert_int_equal(unlink(tmp_path(wal_dir, f.name[f.n - 1])), 0);
	assert_int_equal(log_look(1, &seen), LSM_OK);
	assert_true(seen.n > 100 && seen.n < 200);
	last = seen.n;
	assert_int_equal(unlink(tmp_path(wal_dir, f.name[1])), 0);
	assert_int_equal(log_look(1, &seen), LSM_OK);
	assert_true(seen.n > 0 && seen.n < last);
	files_free(&f);

	tmp_dir_clear(wal_dir);
	marked_log_make(200, 200);
	assert_int_equal(unlink(tmp_path(wal_dir, "wal-0001")), 0);
	assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
	tmp_dir_clear(wal_dir);
	marked_log_make(200, 200);
	assert_int_equal(unlink(tmp_path(wal_dir, "wal-0000")), 0);
	assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
	/* A segment that is too short, or there twice, is no crash's doing either. */
	tmp_dir_clear(wal_dir);
	log_make(200);
	assert_int_equal(truncate(tmp_path(wal_dir, "wal-0001"), SEGMENT - 8), 0);
	assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
	tmp_dir_clear(wal_dir);
	log_make(200);
	files_load(&f, wal_dir);
	tmp_file_store(tmp_path(wal_dir, "wal-0099"), f.data[1], f.size[1]);
	assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
	files_free(&f);
}

/* The caller finds that what a record refers to isn't there. */
static void test_absent_data(void **state)
{
	struct seen seen = { .absent_at = 77 };
	struct wal *w;

	(void)state;
	log_make(100);
	assert_int_equal(log_look(1, &seen), LSM_OK);
	assert_int_equal(seen.n, 77);
	seen = (struct seen){ .absent_at = 77 };
	w = log_open_env(env_posix(), 1, &seen);
	wal_life++;
	records_add(w, 77, 120);
	wal_close(w, false);
	look_expect(1, 0, 120);
	tmp_dir_clear(wal_dir);
	marked_log_make(100, 77);
	seen = (struct seen){ .absent_at = 77 };
	assert_int_equal(log_look(1, &seen), LSM_OK);
	assert_true(seen.n == 77 && seen.durable == 77);
	seen = (struct seen){ .absent_at = 76 };
	assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
}

static int none_seen(void *ctx, const struct wal_record *record)
{
	(void)ctx;
	(void)record;
	return LSM_INVALID;
}

/* The log is read in windows of 256 KiB: a mark is found wherever it lies to a window's end. */
static void test_mark_across_windows(void **state)
{
	enum { WINDOW = 256 << 10, FIRST = 1000 };
	const struct wal_options options = { .segment_bytes = 1 << 20, .spare_max = 0 };
	uint8_t *filler = calloc(1, WINDOW);

	(void)state;
	for (int shift = -40; shift <= 40; shift += 8) {
		struct lsm_slice first = slice_of(filler, FIRST - 16);
		struct lsm_slice second = slice_of(filler, (size_t)(WINDOW - FIRST - 16 + shift));
		struct seen seen = { 0 };
		struct wal *w;
		uint64_t end;

		tmp_dir_clear(wal_dir);
		assert_int_equal(wal_open(env_posix(), wal_dir, &options, &w), LSM_OK);
		assert_int_equal(wal_replay(w, 1, none_seen, NULL, &end), LSM_OK);
		assert_int_equal(wal_start(w, 0), LSM_OK);
		assert_int_equal(wal_append(w, 1, &first, 1, &end), LSM_OK);
		assert_int_equal(wal_append(w, 2, &second, 1, &end), LSM_OK);
		assert_int_equal(wal_mark(w, end), LSM_OK);
		wal_close(w, false);
		tmp_file_flip(tmp_path(wal_dir, "wal-0000"), HEADER + 100, 1);
		assert_int_equal(log_look(1, &seen), LSM_CORRUPT);
	}
	free(filler);
}

/* The header of the first segment that is needed was never synced, that of the next one made it to the disk. */
static void test_first_header_lost(void **state)
{
	struct wal *w = log_open(0);
	uint64_t first, segment;

	(void)state;
	records_add(w, 0, 5);
	assert_int_equal(wal_rotate(w, &first), LSM_OK);
	records_add(w, 5, 10);
	assert_int_equal(wal_rotate(w, &segment), LSM_OK);
	records_add(w, 10, 15);
	wal_close(w, false);
	look_expect(first, 5, 10);
	bytes_set("wal-0001", 0, 0, HEADER);
	look_expect(1, 0, 5);
	look_expect(first, 5, 0);
	wal_life++;
	w = log_open_env(env_posix(), first, &(struct seen){ 0 });
	records_add(w, 5, 7);
	wal_close(w, false);
	look_expect(first, 5, 2);
}

/* Records of a segment whose header a power cut took: a later one in the same slot must not have its number. */
static void test_number_not_given_again(void **state)
{
	struct wal *w = log_open(0);
	uint64_t segment;

	(void)state;
	records_add(w, 0, 5);
	assert_int_equal(wal_rotate(w, &segment), LSM_OK);
	records_add(w, 5, 20);
	wal_close(w, false);
	bytes_set("wal-0001", 0, 0, HEADER);
	wal_life++;
	w = log_open(5);
	records_add(w, 5, 6);
	wal_close(w, false);
	look_expect(1, 0, 6);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, wal_test_setup, wal_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_torn_everywhere),   TEST(test_torn_then_appended),  TEST(test_given_up_stays_given_up),
		TEST(test_damaged_middle),    TEST(test_lost_page),           TEST(test_header_flips),
		TEST(test_unsupported),       TEST(test_lost_segments),       TEST(test_absent_data),
		TEST(test_first_header_lost), TEST(test_mark_across_windows), TEST(test_number_not_given_again),
	};

	return cmocka_run_group_tests_name("wal_damage", tests, NULL, NULL);
}
