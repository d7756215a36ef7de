/* SPDX-License-Identifier: MIT */
/* What the log is told: which lines, at which level, with which reasons, and never under a lock. */
#include "tests/support/db_test.h"
#include "tests/support/env_fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[1 << 20];
static size_t lines_n;
static _Atomic(struct lsm_db *) watched;

/* What needs the engine's locks can be called from here. */
static void on_log(void *ctx, const char *line)
{
	struct lsm_db *db = atomic_load(&watched);
	size_t n = strlen(line);

	(void)ctx;
	pthread_mutex_lock(&lock);
	if (lines_n + n + 2 < sizeof(lines)) {
		lines[lines_n++] = '\n';
		memcpy(lines + lines_n, line, n + 1);
		lines_n += n;
	}
	pthread_mutex_unlock(&lock);
	if (db) {
		struct lsm_snapshot *s = NULL;
		struct lsm_stats st;

		if (!lsm_snapshot_new(db, &s))
			lsm_snapshot_free(db, s);
		lsm_get_stats(db, &st);
	}
}

static bool said(const char *text)
{
	bool found;

	pthread_mutex_lock(&lock);
	found = strstr(lines, text);
	pthread_mutex_unlock(&lock);
	return found;
}

static void says_at(const char *text, int line)
{
	if (!said(text))
		fail_msg("line %d: the log doesn't say '%s' but:%s", line, text, lines);
}
#define says(text) says_at((text), __LINE__)

static void start(struct db_test *t, uint32_t level)
{
	lines_n = 0;
	lines[0] = 0;
	t->options.log = on_log;
	t->options.log_level = level;
	db_open(t);
	atomic_store(&watched, t->db);
}

static void stop(struct db_test *t)
{
	atomic_store(&watched, NULL);
	db_close(t);
}

/* Waits for what a background thread will say. */
static void await(const char *text)
{
	for (int i = 0; i < 30000 && !said(text); i++)
		usleep(1000);
	says(text);
}

static void test_all(void **state)
{
	struct db_test *t = *state;

	t->options.level_ratio = 7;
	start(t, LSM_LOG_ALL);
	says("\nopen store=\"test_db");
	says(" new=1 read_only=0 ");
	says(" level_ratio=7");
	says(" memtable_bytes=256K");
	says(" tables=\"no tables\"");
	assert_false(said("block_bytes")); /* as by default */
	put(t, "a", "1");
	del(t, "b");
	assert_ok(lsm_flush(t->db));
	await("\nflush reason=asked entries=2 deletes=1 range_deletes=0 ");
	put(t, "a", "2");
	assert_ok(lsm_flush(t->db));
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	says("\ncompact reason=asked from=0 to=6 tables=");
	says(" entries_dropped=");
	for (uint64_t i = 0; stats_of(t).flushes < 4; i++)
		put_bytes(t, key_n(i), i, 1000);
	await("\nflush reason=full ");
	stop(t);
	says("\nclose store=\"test_db");
	says(" result=\"success\"");
}

static void test_close_and_recovery(void **state)
{
	struct db_test *t = *state;

	start(t, LSM_LOG_ALL);
	for (uint64_t i = 0; i < 100; i++)
		put_bytes(t, key_n(i), i, 1000);
	stop(t);
	says("\nflush reason=close ");
	start(t, LSM_LOG_ALL);
	says(" new=0 ");
	says(": 1 tables, "); /* in level 0, or moved from there */
	put(t, "small", "1");
	stop(t);
	start(t, LSM_LOG_ALL);
	says("\nrecovery records=1 seconds=");
	stop(t);
}

/* Moves and large values. */
static void test_move(void **state)
{
	struct db_test *t = *state;

	start(t, LSM_LOG_ALL);
	put(t, "a", "1");
	assert_ok(lsm_flush(t->db));
	await("\nmove reason=level0 from=0 to=6 tables=1+0 bytes=");
	for (int i = 0; i < 600; i++)
		put_bytes(t, key_n((uint64_t)i), 1, 10000);
	await("\nflush reason=large_values ");
	stop(t);
}

static void test_stalls(void **state)
{
	struct db_test *t = *state;

	t->options.memtables_max = 2;
	t->options.memtable_bytes = 64 << 10;
	start(t, LSM_LOG_ALL);
	for (uint64_t i = 0; stats_of(t).delays < 3; i++)
		put_bytes(t, key_n(i), i, 1000);
	await("\nstall"); /* of one kind or the other */
	says(" reason=");
	stop(t);
}

/* By default a healthy store says nothing. */
static void test_notice(void **state)
{
	struct db_test *t = *state;
	char path[256];

	for (uint32_t level = 0; level <= LSM_LOG_NOTICE; level++) {
		start(t, level);
		put(t, "a", "1");
		assert_ok(lsm_flush(t->db));
		put(t, "a", "2");
		assert_ok(lsm_compact_range(t->db, S(""), S("")));
		stop(t);
		if (lines_n)
			fail_msg("the log says:%s", lines);
	}
	snprintf(path, sizeof(path), "%s/000900.sst", t->store);
	file_write_text(path, "left by a crash");
	start(t, 0);
	says("\nleftover file=\"test_db");
	says("000900.sst\"");
	stop(t);
	t->options.log_level = 3;
	assert_code(lsm_open(t->store, &t->options, &t->db), LSM_INVALID);
}

static void test_errors(void **state)
{
	struct db_test *t = *state;
	struct env_fault env;

	env_fault_init(&env);
	t->options.env = &env.env;
	start(t, 0);
	put(t, "a", "1");
	env_fault_nth(&env, FAULT_WRITE, ".sst", 1, ENOSPC);
	assert_code(lsm_flush(t->db), LSM_NO_SPACE);
	await("\nerror code=-4 in=\"flush\" message=\"cannot write");
	while (lsm_flush(t->db)) /* until the next try */
		usleep(1000);
	put(t, "a", "2");
	env_fault_nth(&env, FAULT_SYNC, "wal-", 1, EIO);
	assert_code(lsm_sync(t->db), LSM_IO);
	await("\nerror code=-3 in=\"store\" message=\"the store is read-only from now on: ");
	atomic_store(&watched, NULL);
	assert_true(lsm_close(t->db) != LSM_OK);
	t->db = NULL;
	env_fault_done(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_close_and_recovery, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_move, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_stalls, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_notice, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_errors, db_setup_closed, db_teardown),
	};
	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
