/* SPDX-License-Identifier: MIT */
/* The log while all goes well, and while the disk is full or fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/env_fault.h"
#include "tests/support/tmp_dir.h"
#include "tests/support/wal_test.h"

static struct rng rng;

static void test_append_and_replay(void **state)
{
	struct seen seen = { 0 };
	struct wal_stats stats;
	struct wal *w;

	(void)state;
	w = log_open(0);
	assert_int_equal(wal_end_lsn(w), 0);
	for (uint64_t n = 0; n < 500; n += 50) {
		records_add(w, n, n + 50);
		wal_close(w, false);
		look_expect(1, 0, n + 50);
		w = log_open(n + 50);
	}
	wal_get_stats(w, &stats);
	assert_int_equal(stats.appended_bytes, 0);
	records_add(w, 500, 501);
	wal_get_stats(w, &stats);
	assert_int_equal(stats.appended_bytes, record_bytes(500));
	assert_true(stats.live_segments >= 500 * 300 / ROOM);
	assert_int_equal(stats.file_bytes, (stats.live_segments + stats.spare_segments) * SEGMENT);
	wal_close(w, false);
	assert_int_equal(log_look(1, &seen), LSM_OK);
	assert_int_equal(seen.segments, stats.live_segments);
	wal_close(NULL, true);
}

/* An open that writes nothing leaves nothing behind, however often. */
static void test_empty_opens(void **state)
{
	struct files f;

	(void)state;
	log_make(5);
	for (int i = 0; i < 20; i++)
		wal_close(log_open(5), true);
	files_load(&f, wal_dir);
	assert_int_equal(f.n, 2);
	files_free(&f);
}

static void test_recycling(void **state)
{
	struct wal *w = log_open(0);
	struct wal_stats stats;
	uint64_t segment = 0, n = 0, before;
	struct files f;

	(void)state;
	for (int round = 0; round < 40; round++) {
		before = segment;
		assert_int_equal(wal_rotate(w, &segment), LSM_OK);
		assert_true(segment > before);
		assert_int_equal(wal_rotate(w, &before), LSM_OK);
		assert_int_equal(before, segment);
		look_expect(segment, n, 0);
		assert_int_equal(wal_release(w, segment), LSM_OK);
		assert_int_equal(wal_release(w, segment), LSM_OK);
		records_add(w, n, n + 20 + round * 3);
		look_expect(segment, n, 20 + round * 3);
		wal_get_stats(w, &stats);
		assert_true(stats.live_segments <= 6 && stats.spare_segments <= 2);
		n += 20 + round * 3;
	}
	files_load(&f, wal_dir);
	assert_true(f.n <= 8);
	files_free(&f);
	wal_close(w, false);
	look_expect(segment, n - 20 - 39 * 3, 20 + 39 * 3);
	wal_close(log_open_env(env_posix(), segment, &(struct seen){ .first = n - 20 - 39 * 3 }), true);
	look_expect(segment, n - 20 - 39 * 3, 20 + 39 * 3);
}

static void test_oversized(void **state)
{
	static uint8_t big[5 * SEGMENT];
	struct lsm_slice piece = slice_of(big, sizeof(big));
	struct wal *w = log_open(0);
	struct wal_stats stats;
	uint64_t end, segment;
	struct seen seen = { 0 };

	(void)state;
	rng_fill(&rng, big, sizeof(big));
	records_add(w, 0, 3);
	assert_int_equal(wal_append(w, 3, &piece, 1, &end), LSM_OK);
	assert_int_equal(end, wal_end_lsn(w));
	wal_get_stats(w, &stats);
	assert_int_equal(stats.live_segments, 2);
	assert_true(stats.file_bytes > SEGMENT + sizeof(big));
	wal_close(w, false);
	seen.absent_at = 3;
	assert_int_equal(log_look(1, &seen), LSM_OK);
	assert_int_equal(seen.n, 3);
	tmp_dir_clear(wal_dir);

	w = log_open(0);
	for (size_t size = ROOM - 40; size < ROOM + 8; size++) {
		piece.size = size;
		assert_int_equal(wal_append(w, 0, &piece, 1, &end), LSM_OK);
	}
	piece.size = sizeof(big);
	assert_int_equal(wal_append(w, 0, &piece, 1, &end), LSM_OK);
	assert_int_equal(wal_rotate(w, &segment), LSM_OK);
	assert_int_equal(wal_release(w, segment), LSM_OK);
	wal_get_stats(w, &stats);
	assert_true(stats.file_bytes == 3 * SEGMENT && stats.spare_segments == 2);
	records_add(w, 0, 100);
	wal_close(w, true);
	look_expect(segment, 0, 100);
	piece.size = (size_t)1 << 32;
	w = log_open_env(env_posix(), segment, &(struct seen){ 0 });
	assert_int_equal(wal_append(w, 0, &piece, 1, &end), LSM_INVALID);
	wal_close(w, true);
}

static int big_seen(void *ctx, const struct wal_record *r)
{
	return slice_equal(r->payload, *(struct lsm_slice *)ctx) ? LSM_OK : LSM_INVALID;
}

static void test_oversized_replay(void **state)
{
	static uint8_t big[3 * SEGMENT + 5];
	struct lsm_slice piece = slice_of(big, sizeof(big));
	struct wal *w = log_open(0);
	uint64_t end, replayed;

	(void)state;
	rng_fill(&rng, big, sizeof(big));
	for (int i = 0; i < 3; i++)
		assert_int_equal(wal_append(w, 1, &piece, 1, &end), LSM_OK);
	wal_close(w, false);
	assert_int_equal(wal_open(env_posix(), wal_dir, &wal_looking, &w), LSM_OK);
	assert_int_equal(wal_replay(w, 1, big_seen, &piece, &replayed), LSM_OK);
	assert_int_equal(replayed, end);
	wal_close(w, false);
}

/*
 * What does not fit into a segment goes to the next one: if it was the first record, an empty segment is left between
 * two. It belongs to the log, which must not break there when it is opened again and again.
 */
static void test_empty_segment(void **state)
{
	static uint8_t big[2 * SEGMENT];
	struct lsm_slice piece = slice_of(big, sizeof(big));
	struct wal *w = log_open(0);
	uint64_t end, segment, replayed;

	(void)state;
	rng_fill(&rng, big, sizeof(big));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wal_append(w, 1, &piece, 1, &end), LSM_OK);
		assert_int_equal(wal_rotate(w, &segment), LSM_OK);
	}
	wal_close(w, false);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(wal_open(env_posix(), wal_dir, &wal_usual, &w), LSM_OK);
		assert_int_equal(wal_replay(w, 1, big_seen, &piece, &replayed), LSM_OK);
		assert_int_equal(replayed, end);
		assert_int_equal(wal_start(w, 1), LSM_OK);
		wal_close(w, false);
	}
}

/* Without the empty segment's header, the one behind it is not found. */
static void test_empty_segment_synced(void **state)
{
	static uint8_t big[2 * SEGMENT];
	struct lsm_slice piece = slice_of(big, sizeof(big));
	struct env_fault f;
	uint64_t end, segment, syncs;
	struct wal *w;

	(void)state;
	env_fault_init(&f);
	w = log_open_env(&f.env, 1, &(struct seen){ 0 });
	records_add(w, 0, 1);
	assert_int_equal(wal_sync(w, wal_end_lsn(w)), LSM_OK);
	assert_int_equal(wal_rotate(w, &segment), LSM_OK);
	assert_int_equal(wal_append(w, 1, &piece, 1, &end), LSM_OK);
	syncs = env_fault_count(&f, FAULT_SYNC);
	assert_int_equal(wal_sync(w, end), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), syncs + 2);
	assert_int_equal(wal_sync(w, end), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), syncs + 2);
	wal_close(w, false);
	env_fault_done(&f);
}

/* What a failed sync has left in the kernel's cache is not taken for what is on the disk. */
static void test_read_from_disk(void **state)
{
	struct seen seen = { 0 };
	struct env_fault f;
	struct wal *w;

	(void)state;
	log_make(300);
	env_fault_init(&f);
	w = log_open_env(&f.env, 1, &seen);
	assert_int_equal(seen.n, 300);
	assert_true(f.drops >= 2);
	assert_int_equal(f.drops, f.counts[FAULT_OPEN] - 1); /* all but the new one */
	wal_close(w, true);
	env_fault_done(&f);
}

static int nothing_seen(void *ctx, const struct wal_record *r)
{
	(void)ctx;
	(void)r;
	return LSM_OK;
}

/* A start that fails takes no file away before there is a new one: a log without any is taken for one that has lost them. */
static void test_start_fails(void **state)
{
	struct wal_options options = wal_usual;
	char path[300];
	struct env_fault f;
	struct wal *w;
	uint64_t end;

	(void)state;
	log_make(3);
	/* Its header was lost in a power cut, and its size is no good for a spare. */
	snprintf(path, sizeof(path), "%s/wal-0000", wal_dir);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, SEGMENT), 0);
	options.segment_bytes *= 2;
	env_fault_init(&f);
	for (int failing = 1; failing >= 0; failing--) {
		assert_int_equal(wal_open(&f.env, wal_dir, &options, &w), LSM_OK);
		assert_int_equal(wal_replay(w, 1000, nothing_seen, NULL, &end), LSM_OK);
		if (failing)
			env_fault_nth(&f, FAULT_SYNC_DIR, NULL, 1, EIO);
		assert_int_equal(wal_start(w, 1000), failing ? LSM_IO : LSM_OK);
		wal_close(w, false);
	}
	env_fault_done(&f);
}

static void test_read_only(void **state)
{
	struct files before, after;
	const char *name;
	uint64_t offset;

	(void)state;
	look_expect(1, 0, 0);
	files_load(&before, wal_dir);
	assert_int_equal(before.n, 0);
	log_make(100);
	name = record_place(90, &offset);
	tmp_file_flip(tmp_path(wal_dir, name), offset, 1);
	files_load(&before, wal_dir);
	look_expect(1, 0, 90);
	files_load(&after, wal_dir);
	assert_true(files_equal(&before, &after));
	files_free(&before);
	files_free(&after);
}

static void test_no_space(void **state)
{
	struct seen seen = { 0 };
	struct env_fault f;
	uint64_t n = 0, end, segment;
	struct wal *w;
	int rc;

	(void)state;
	env_fault_init(&f);
	w = log_open_env(&f.env, 1, &seen);
	env_fault_all(&f, FAULT_FILL, "wal-", ENOSPC);
	while (!(rc = record_add(w, n)))
		n++;
	assert_int_equal(rc, LSM_NO_SPACE);
	assert_true(n > 10 && n < 100);
	end = wal_end_lsn(w);
	assert_int_equal(record_add(w, n), LSM_NO_SPACE);
	assert_int_equal(wal_rotate(w, &segment), LSM_NO_SPACE);
	assert_true(wal_wants_spare(w));
	assert_int_equal(wal_prepare(w), LSM_NO_SPACE);
	assert_int_equal(wal_end_lsn(w), end);
	assert_int_equal(wal_sync(w, end), LSM_OK);
	look_expect(1, 0, n);
	env_fault_clear(&f);
	/* The first sync behind the making, the directory's, fails as well as any. */
	env_fault_nth(&f, FAULT_SYNC_DIR, NULL, 1, EIO);
	assert_int_equal(record_add(w, n), LSM_IO);
	env_fault_nth(&f, FAULT_MAP, NULL, 1, ENOMEM);
	assert_int_equal(record_add(w, n), LSM_NO_MEMORY);
	assert_int_equal(record_add(w, n), LSM_OK);
	records_add(w, n + 1, n + 100);
	wal_close(w, false);
	look_expect(1, 0, n + 100);
	env_fault_done(&f);
}

static void test_syncs(void **state)
{
	struct seen seen = { 0 };
	struct env_fault f;
	uint64_t n = 0, syncs, middle, segment;
	struct wal *w;

	(void)state;
	env_fault_init(&f);
	w = log_open_env(&f.env, 1, &seen);
	syncs = env_fault_count(&f, FAULT_SYNC);
	assert_int_equal(syncs, 1);
	assert_int_equal(wal_sync(w, 0), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), syncs);
	records_add(w, 0, 10);
	middle = wal_end_lsn(w);
	assert_int_equal(wal_sync(w, middle), LSM_OK);
	assert_int_equal(wal_sync(w, middle), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), ++syncs);
	records_add(w, 10, 11);
	middle = wal_end_lsn(w);
	n = 11;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wal_rotate(w, &segment), LSM_OK);
		records_add(w, n, n + 1);
		n++;
	}
	assert_int_equal(wal_sync(w, middle), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), ++syncs);
	assert_int_equal(wal_sync(w, wal_end_lsn(w)), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), syncs += 2);
	/* What is released needs no sync. */
	records_add(w, n, n + 1);
	assert_int_equal(wal_rotate(w, &segment), LSM_OK);
	assert_int_equal(wal_release(w, segment), LSM_OK);
	assert_int_equal(wal_sync(w, wal_end_lsn(w)), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), syncs);
	records_add(w, n + 1, n + 2);
	env_fault_nth(&f, FAULT_SYNC, "wal-", 1, EIO);
	assert_int_equal(wal_sync(w, wal_end_lsn(w)), LSM_IO);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), ++syncs);
	/* Never tried again: the kernel may have dropped the pages. */
	assert_int_equal(wal_sync(w, wal_end_lsn(w)), LSM_IO);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), syncs);
	assert_int_equal(lsm_last_error()->sys_errno, EIO);
	wal_close(w, false);
	/* After a kill, what was replayed is in the kernel only: the first sync covers it. */
	seen = (struct seen){ .first = n + 1 };
	w = log_open_env(&f.env, segment, &seen);
	syncs = env_fault_count(&f, FAULT_SYNC);
	records_add(w, n + 2, n + 3);
	assert_int_equal(wal_sync(w, wal_end_lsn(w)), LSM_OK);
	assert_int_equal(env_fault_count(&f, FAULT_SYNC), syncs + 2);
	wal_close(w, false);
	env_fault_done(&f);
}

struct releaser {
	struct env_fault fault;
	struct wal *wal;
	uint64_t segment; /* release what is below, during the next sync; 0: nothing */
	uint64_t live;    /* segments after that */
};

static void release_in_sync(void *ctx, enum fault_op op, const char *path)
{
	struct releaser *r = ctx;
	struct wal_stats stats;

	(void)path;
	if (op != FAULT_SYNC || !r->segment)
		return;
	assert_int_equal(wal_release(r->wal, r->segment), LSM_OK);
	wal_get_stats(r->wal, &stats);
	r->live = stats.live_segments;
	r->segment = 0;
}

/* A segment that is being synced may not become a spare before the sync has ended, and does then. */
static void test_release_during_sync(void **state)
{
	struct releaser r = { .live = 0 };
	struct wal_stats stats;
	uint64_t segment;

	(void)state;
	env_fault_init(&r.fault);
	r.fault.done = release_in_sync;
	r.fault.done_ctx = &r;
	r.wal = log_open_env(&r.fault.env, 1, &(struct seen){ 0 });
	for (uint64_t i = 0; i < 3; i++) {
		records_add(r.wal, i, i + 1);
		assert_int_equal(wal_rotate(r.wal, &segment), LSM_OK);
	}
	r.segment = segment;
	assert_int_equal(wal_sync(r.wal, wal_end_lsn(r.wal)), LSM_OK);
	assert_int_equal(r.live, 2);
	wal_get_stats(r.wal, &stats);
	assert_true(stats.live_segments == 1 && stats.spare_segments == 2);
	wal_close(r.wal, true);
	env_fault_done(&r.fault);
}

static void test_spares(void **state)
{
	struct wal_stats stats;
	struct wal *w = log_open(0);
	struct files f;
	uint64_t segment;

	(void)state;
	assert_true(wal_wants_spare(w));
	assert_int_equal(wal_prepare(w), LSM_OK);
	assert_false(wal_wants_spare(w));
	assert_int_equal(wal_prepare(w), LSM_OK);
	wal_get_stats(w, &stats);
	assert_true(stats.live_segments == 1 && stats.spare_segments == 1 && stats.file_bytes == 2 * SEGMENT);
	records_add(w, 0, 200);
	assert_int_equal(wal_rotate(w, &segment), LSM_OK);
	assert_int_equal(wal_release(w, segment), LSM_OK);
	wal_get_stats(w, &stats);
	assert_true(stats.live_segments == 1 && stats.spare_segments == 2 && stats.file_bytes == 3 * SEGMENT);
	wal_close(w, true);
	files_load(&f, wal_dir);
	assert_int_equal(f.n, 1);
	files_free(&f);
	/* Slots whose making was cut short, and names that are none of ours. */
	tmp_file_store(tmp_path(wal_dir, "wal-0007"), "", 0);
	tmp_file_store(tmp_path(wal_dir, "wal-0008"), (uint8_t[8192]){ 0 }, 8192);
	tmp_file_store(tmp_path(wal_dir, "wal-8"), "x", 1);
	tmp_file_store(tmp_path(wal_dir, "wal-00008"), "x", 1);
	tmp_file_store(tmp_path(wal_dir, "wal-0008x"), "x", 1);
	tmp_file_store(tmp_path(wal_dir, "wall"), "x", 1);
	w = log_open_env(env_posix(), segment, &(struct seen){ 0 });
	files_load(&f, wal_dir);
	assert_int_equal(f.n, 5);
	files_free(&f);
	wal_close(w, true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, wal_test_setup, wal_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_append_and_replay),
		TEST(test_empty_opens),
		TEST(test_recycling),
		TEST(test_oversized),
		TEST(test_oversized_replay),
		TEST(test_read_only),
		TEST(test_no_space),
		TEST(test_syncs),
		TEST(test_release_during_sync),
		TEST(test_spares),
		TEST(test_empty_segment),
		TEST(test_empty_segment_synced),
		TEST(test_read_from_disk),
		TEST(test_start_fails),
	};

	rng.state = seed_choose("test_wal");
	return cmocka_run_group_tests_name("wal", tests, NULL, NULL);
}
