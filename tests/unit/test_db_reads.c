/* SPDX-License-Identifier: MIT */
/* Reads of many keys at once, and what the kernel is told of before it is asked. */
#include "tests/support/db_test.h"

#include <errno.h>

#include "tests/support/env_fault.h"

struct reads {
	struct db_test t;
	struct env_fault env;
};

static int setup(void **state)
{
	struct reads *f = calloc(1, sizeof(*f));
	void *t = NULL;

	assert_non_null(f);
	db_setup_closed(&t);
	f->t = *(struct db_test *)t;
	free(t);
	env_fault_init(&f->env);
	f->t.options.env = &f->env.env;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct reads *f = *state;
	struct db_test *t = calloc(1, sizeof(*t));
	void *copy = t;

	assert_non_null(t);
	db_close(&f->t);
	*t = f->t;
	env_fault_done(&f->env);
	free(f);
	return db_teardown(&copy);
}

/* ---- multi-get ---- */

enum { KEYS = 1500, BATCH_MAX = 90 };

/* Values and deletes in several tables of several levels, some of them under range tombstones, and in the memtable. */
static void fill_layers(struct db_test *t, struct rng *rng)
{
	for (int layer = 0; layer < 6; layer++) {
		for (int i = 0; i < KEYS / 2; i++) {
			uint64_t n = rng_below(rng, KEYS);

			if (rng_one_in(rng, 5))
				assert_ok(lsm_delete(t->db, key_n(n), 0));
			else
				put_bytes(t, key_n(n), n * 10 + (uint64_t)layer, rng_one_in(rng, 20) ? 6000 : 50);
		}
		if (layer != 3) {
			uint64_t n = rng_below(rng, KEYS);

			assert_ok(lsm_delete_range(t->db, key_n(n), key_n(n + 40), 0));
		}
		if (layer == 1)
			assert_ok(lsm_compact_range(t->db, (struct lsm_slice){ 0 }, (struct lsm_slice){ 0 }));
		else if (layer < 5)
			assert_ok(lsm_flush(t->db));
	}
}

/* A batch of random keys, some of them twice, some never written, says what single gets say. */
static void check_batch(struct db_test *t, const struct lsm_snapshot *snapshot, struct rng *rng)
{
	struct lsm_value values[BATCH_MAX] = { 0 }, one;
	struct lsm_slice keys[BATCH_MAX] = { 0 };
	char texts[BATCH_MAX][16];
	int codes[BATCH_MAX];
	size_t n = rng_below(rng, BATCH_MAX + 1);
	bool near = rng_one_in(rng, 2);
	uint64_t base = rng_below(rng, KEYS);

	for (size_t i = 0; i < n; i++) {
		uint64_t k = near ? base + rng_below(rng, n) : rng_below(rng, KEYS + 50);

		snprintf(texts[i], sizeof(texts[i]), "%.*s%s", (int)key_n(k).size, (const char *)key_n(k).data,
			 rng_one_in(rng, 8) ? "x" : "");
		keys[i] = S(texts[i]);
	}
	assert_ok(lsm_multi_get(t->db, snapshot, n, keys, values, codes));
	for (size_t i = 0; i < n; i++) {
		int rc = lsm_get(t->db, snapshot, keys[i], &one);

		assert_int_equal(codes[i], rc);
		if (rc)
			continue;
		assert_int_equal(values[i].size, one.size);
		assert_memory_equal(values[i].data, one.data, one.size);
		lsm_value_release(&values[i]);
		lsm_value_release(&one);
	}
}

static void test_batches_say_what_gets_say(void **state)
{
	struct db_test *t = &((struct reads *)*state)->t;
	struct rng rng = { seed_choose("batches") };
	struct lsm_snapshot *snapshot = NULL;

	t->options.block_bytes = 512;
	t->options.table_bytes = 64 << 10;
	db_open(t);
	fill_layers(t, &rng);
	assert_ok(lsm_snapshot_new(t->db, &snapshot));
	fill_layers(t, &rng);
	for (int i = 0; i < 300; i++)
		check_batch(t, i % 2 ? snapshot : NULL, &rng);
	lsm_snapshot_free(t->db, snapshot);
	db_reopen(t);
	for (int i = 0; i < 300; i++)
		check_batch(t, NULL, &rng);
}

/* Incompressible values in tables that are larger than what the budget leaves: no reading around. */
static void fill_large(struct db_test *t)
{
	t->options.memory_bytes = 4 << 20;
	t->options.table_bytes = 4 << 20;
	t->options.blob_min_bytes = 1 << 20;
	t->options.blob_direct_bytes = 1 << 20;
	db_open(t);
	/* In no order: flushed tables that follow one another would stay as small as they are. */
	for (uint64_t i = 0; i < 6000; i++)
		put_bytes(t, key_n(i * 1009 % 6000), i * 1009 % 6000, 1000);
	assert_ok(lsm_compact_range(t->db, (struct lsm_slice){ 0 }, (struct lsm_slice){ 0 }));
	db_reopen(t);
}

static uint64_t hints(struct reads *f, uint64_t *ret_bytes)
{
	uint64_t n;

	mutex_lock(&f->env.lock);
	n = f->env.hints;
	if (ret_bytes)
		*ret_bytes = f->env.hinted_bytes;
	mutex_unlock(&f->env.lock);
	return n;
}

/* codes[i] and values of keys i * 300; returns the call's code. */
static int get_spread(struct db_test *t, int codes[20])
{
	struct lsm_value values[20] = { 0 };
	struct lsm_slice keys[20] = { 0 };
	char texts[20][16];
	int rc;

	for (uint64_t i = 0; i < 20; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%.*s", (int)key_n(i * 300).size,
			 (const char *)key_n(i * 300).data);
		keys[i] = S(texts[i]);
	}
	rc = lsm_multi_get(t->db, NULL, 20, keys, values, codes);
	for (uint64_t i = 0; i < 20; i++) {
		uint8_t *want = bytes_new(i * 300, 1000);

		if (!codes[i]) {
			assert_int_equal(values[i].size, 1000);
			assert_memory_equal(values[i].data, want, 1000);
		}
		free(want);
		lsm_value_release(&values[i]);
	}
	return rc;
}

static void test_batch_announces_its_blocks(void **state)
{
	struct reads *f = *state;
	int codes[20];
	uint64_t before;

	fill_large(&f->t);
	before = hints(f, NULL);
	expect_bytes(&f->t, key_n(77), 77, 1000);
	assert_int_equal(hints(f, NULL), before); /* a single block is just read */
	assert_ok(get_spread(&f->t, codes));
	assert_true(hints(f, NULL) >= before + 20);
	before = hints(f, NULL);
	assert_ok(get_spread(&f->t, codes));
	assert_int_equal(hints(f, NULL), before); /* all is cached */
}

/* A read that fails is the failure of the keys that needed it, and of no other; the next call reads again. */
static void test_batch_with_failing_reads(void **state)
{
	struct reads *f = *state;
	int codes[20];

	fill_large(&f->t);
	for (uint64_t nth = 1; nth < 12; nth++) {
		int failed = 0, rc;

		db_reopen(&f->t);
		env_fault_nth(&f->env, FAULT_READ, ".sst", nth, EIO);
		rc = get_spread(&f->t, codes);
		env_fault_clear(&f->env);
		for (int i = 0; i < 20; i++) {
			assert_true(codes[i] == LSM_OK || codes[i] == LSM_IO);
			failed += codes[i] != LSM_OK;
		}
		assert_int_equal(rc, failed ? LSM_IO : LSM_OK);
		if (failed)
			assert_non_null(strstr(lsm_last_error()->file, ".sst"));
		assert_true(failed); /* at least as many reads as that */
		assert_ok(get_spread(&f->t, codes));
	}
}

static void test_batch_with_a_bad_key(void **state)
{
	struct db_test *t = &((struct reads *)*state)->t;
	struct lsm_slice keys[] = { S("b"), { "", 0 }, S("a") };
	struct lsm_value values[3] = { 0 };
	int codes[3];

	db_open(t);
	put(t, "a", "1");
	assert_code(lsm_multi_get(t->db, NULL, 3, keys, values, codes), LSM_INVALID);
	assert_int_equal(codes[0], LSM_NOT_FOUND);
	assert_int_equal(codes[1], LSM_INVALID);
	assert_int_equal(codes[2], LSM_OK);
	lsm_value_release(&values[2]);
}

/* ---- hints ---- */

/* A store that fits into memory: what lies around a cold block is announced, once. */
static void test_reading_around(void **state)
{
	struct reads *f = *state;
	uint64_t before, n, bytes_before, bytes;

	db_open(&f->t);
	for (uint64_t i = 0; i < 3000; i++)
		put_bytes(&f->t, key_n(i), i, 1000);
	assert_ok(lsm_flush(f->t.db));
	db_reopen(&f->t);
	f->t.options.memory_bytes = 64 << 20;
	db_reopen(&f->t);
	before = hints(f, &bytes_before);
	for (uint64_t i = 0; i < 3000; i++)
		expect_bytes(&f->t, key_n(i * 1009 % 3000), i * 1009 % 3000, 1000);
	n = hints(f, &bytes) - before;
	bytes -= bytes_before;
	assert_true(n > 0 && bytes >= 2900 * 1000);
	assert_true(bytes <= files_bytes(f->t.store, ".sst"));
	for (uint64_t i = 0; i < 3000; i++)
		expect_bytes(&f->t, key_n(i), i, 1000);
	assert_int_equal(hints(f, NULL), before + n);
}

/* Far larger than the budget: random gets announce nothing. */
static void test_no_reading_around_without_room(void **state)
{
	struct reads *f = *state;
	uint64_t before;

	fill_large(&f->t);
	before = hints(f, NULL);
	for (uint64_t i = 0; i < 500; i++)
		expect_bytes(&f->t, key_n(i * 1009 % 6000), i * 1009 % 6000, 1000);
	assert_int_equal(hints(f, NULL), before);
}

static void scan(struct db_test *t, bool backward, uint64_t steps)
{
	struct lsm_iter *it = NULL;
	uint64_t n = 0;

	assert_ok(lsm_iter_new(t->db, NULL, &it));
	if (backward)
		lsm_iter_seek_last(it);
	else
		lsm_iter_seek_first(it);
	for (; lsm_iter_valid(it) && n < steps; n++) {
		uint64_t i = backward ? 5999 - n : n;
		uint8_t *want = bytes_new(i, 1000);
		struct lsm_slice value = { 0 };

		assert_ok(lsm_iter_value(it, &value));
		assert_int_equal(value.size, 1000);
		assert_memory_equal(value.data, want, 1000);
		free(want);
		if (backward)
			lsm_iter_prev(it);
		else
			lsm_iter_next(it);
	}
	assert_ok(lsm_iter_status(it));
	assert_int_equal(n, steps);
	lsm_iter_free(it);
}

/* A long scan announces what comes, each byte about once; a short one nothing. */
static void test_scans_announce(void **state)
{
	struct reads *f = *state;

	fill_large(&f->t);
	for (int backward = 0; backward < 2; backward++) {
		uint64_t before, bytes_before, bytes;

		db_reopen(&f->t);
		before = hints(f, &bytes_before);
		scan(&f->t, backward, 50);
		assert_int_equal(hints(f, NULL), before);
		scan(&f->t, backward, 6000);
		assert_true(hints(f, &bytes) > before);
		bytes -= bytes_before;
		print_message("announced %llu of %llu bytes\n", (unsigned long long)bytes,
			      (unsigned long long)files_bytes(f->t.store, ".sst"));
		assert_true(bytes > 3000 * 1000 && bytes <= files_bytes(f->t.store, ".sst"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_batches_say_what_gets_say),
		T(test_batch_announces_its_blocks),
		T(test_batch_with_failing_reads),
		T(test_batch_with_a_bad_key),
		T(test_reading_around),
		T(test_no_reading_around_without_room),
		T(test_scans_announce),
	};

	return cmocka_run_group_tests_name("db_reads", tests, NULL, NULL);
}
