/* SPDX-License-Identifier: MIT */
/* A writer is killed with SIGKILL, again and again: what was acknowledged is there, and no batch is torn. */
#include "tests/support/db_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { BATCH_KEYS = 20, ROUNDS = 12 };

struct shared {
	_Atomic uint64_t acknowledged; /* batches 1..acknowledged */
};

static size_t value_size(uint64_t batch, unsigned i)
{
	static const size_t sizes[] = { 20, 300, 2000, 12000 };

	return sizes[(batch + i) % 4];
}

/* Batch n sets keys 0..BATCH_KEYS-1 to values made of n, deletes what batch n - 1 had put aside, and puts one aside. */
static int write_batch(struct lsm_db *db, struct lsm_batch *b, uint64_t n)
{
	char aside[32];
	int rc = LSM_OK;

	lsm_batch_clear(b);
	for (unsigned i = 0; !rc && i < BATCH_KEYS; i++) {
		uint8_t *value = bytes_new(n * 100 + i, value_size(n, i));

		memcpy(value, &n, sizeof(n));
		rc = lsm_batch_put(b, key_n(i), (struct lsm_slice){ value, value_size(n, i) });
		free(value);
	}
	if (!rc)
		rc = lsm_batch_delete_range(b, S("side"), S("sidf"));
	snprintf(aside, sizeof(aside), "side%010llu", (unsigned long long)n);
	if (!rc)
		rc = lsm_batch_put(b, S(aside), S("x"));
	return rc ? rc : lsm_write(db, b, n % 50 ? 0 : LSM_WRITE_SYNC);
}

static void child_main(struct db_test *t, struct shared *shared)
{
	struct lsm_batch *b;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (lsm_open(t->store, &t->options, &t->db) || lsm_batch_new(t->db, &b)) {
		fprintf(stderr, "child: %s\n", lsm_last_error()->message);
		_exit(1);
	}
	for (;;) {
		uint64_t n = atomic_load(&shared->acknowledged) + 1;

		if (write_batch(t->db, b, n)) {
			fprintf(stderr, "child: %s\n", lsm_last_error()->message);
			_exit(1);
		}
		atomic_store(&shared->acknowledged, n);
	}
}

static uint64_t batch_of(struct db_test *t, unsigned i)
{
	struct lsm_value v = { 0 };
	uint64_t n;

	assert_ok(lsm_get(t->db, NULL, key_n(i), &v));
	memcpy(&n, v.data, sizeof(n));
	lsm_value_release(&v);
	return n;
}

/* All keys are of the same batch: the last acknowledged, or the one that was under way. */
static void check_store(struct db_test *t, struct shared *shared)
{
	uint64_t acknowledged = atomic_load(&shared->acknowledged), n;
	char aside[32];

	if (!acknowledged)
		return;
	n = batch_of(t, 0);
	assert_true(n == acknowledged || n == acknowledged + 1);
	for (unsigned i = 0; i < BATCH_KEYS; i++) {
		uint8_t *want = bytes_new(n * 100 + i, value_size(n, i));
		struct lsm_value v = { 0 };

		memcpy(want, &n, sizeof(n));
		assert_ok(lsm_get(t->db, NULL, key_n(i), &v));
		assert_int_equal(v.size, value_size(n, i));
		assert_memory_equal(v.data, want, v.size);
		lsm_value_release(&v);
		free(want);
	}
	snprintf(aside, sizeof(aside), "side%010llu", (unsigned long long)n);
	expect_keys(t, &(struct lsm_iter_options){ .lower = S("side") }, aside);
	atomic_store(&shared->acknowledged, n);
}

static struct shared *shared_new(void)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(s != MAP_FAILED);
	return s;
}

static void test_kill(void **state)
{
	enum { ROUND_BATCHES = 5 };
	struct db_test *t = *state;
	struct shared *shared = shared_new();
	struct rng rng = { seed_choose("test_kill") };

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before = atomic_load(&shared->acknowledged);
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (!child)
			child_main(t, shared);
		usleep((useconds_t)(20000 + rng_below(&rng, 150000)));
		/* On a busy machine it may not have come far by now. */
		for (int i = 0; i < 3000 && atomic_load(&shared->acknowledged) < before + ROUND_BATCHES; i++)
			usleep(10000);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_true(atomic_load(&shared->acknowledged) > before);
		db_open(t);
		check_store(t, shared);
		db_close(t);
	}
	munmap(shared, sizeof(*shared));
}

/* Several threads, each with its own keys; each must find all that it was told is done. */
enum { WRITERS = 4 };

struct many {
	_Atomic uint64_t acknowledged[WRITERS];
};

struct writer {
	struct lsm_db *db;
	struct many *many;
	unsigned i;
};

static void *many_main(void *arg)
{
	struct writer *w = arg;

	for (uint64_t n = atomic_load(&w->many->acknowledged[w->i]);; n++) {
		if (lsm_put(w->db, key_n(n * WRITERS + w->i), S("a value of some length, not to be very short"), 0))
			_exit(1);
		atomic_store(&w->many->acknowledged[w->i], n + 1);
	}
}

static void many_child(struct db_test *t, struct many *many)
{
	struct writer writers[WRITERS];
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (lsm_open(t->store, &t->options, &t->db))
		_exit(1);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ t->db, many, i };
		if (pthread_create(&thread, NULL, many_main, &writers[i]))
			_exit(1);
	}
	for (;;)
		pause();
}

static void many_check(struct db_test *t, struct many *many)
{
	uint64_t found[WRITERS] = { 0 };
	struct lsm_iter *it = NULL;

	assert_ok(lsm_iter_new(t->db, NULL, &it));
	for (lsm_iter_seek_first(it); lsm_iter_valid(it); lsm_iter_next(it)) {
		char digits[9] = "";
		uint64_t n;

		assert_int_equal(lsm_iter_key(it).size, 11);
		memcpy(digits, (const char *)lsm_iter_key(it).data + 3, 8);
		n = strtoull(digits, NULL, 10);
		assert_int_equal(found[n % WRITERS], n / WRITERS); /* no holes */
		found[n % WRITERS]++;
	}
	assert_ok(lsm_iter_status(it));
	lsm_iter_free(it);
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_true(found[i] >= atomic_load(&many->acknowledged[i]));
		assert_true(found[i] <= atomic_load(&many->acknowledged[i]) + 1);
		atomic_store(&many->acknowledged[i], found[i]);
	}
}

static void test_kill_threads(void **state)
{
	struct db_test *t = *state;
	struct many *many = mmap(NULL, sizeof(*many), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(many != MAP_FAILED);
	for (int round = 0; round < 6; round++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child)
			many_child(t, many);
		usleep(100000);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		db_open(t);
		many_check(t, many);
		db_close(t);
	}
	munmap(many, sizeof(*many));
}

/* Recovery does not undo itself: opened and killed at once, many times, without a write in between. */
static void test_reopen_without_writes(void **state)
{
	struct db_test *t = *state;

	db_open(t);
	for (uint64_t i = 0; i < 3000; i++)
		put_bytes(t, key_n(i), i, i % 100 ? 200 : 20000);
	db_close(t);
	for (int round = 0; round < 8; round++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child) {
			if (lsm_open(t->store, &t->options, &t->db))
				_exit(1);
			raise(SIGKILL);
		}
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	db_open(t);
	for (uint64_t i = 0; i < 3000; i++)
		expect_bytes(t, key_n(i), i, i % 100 ? 200 : 20000);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, db_setup_closed, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_kill),
		T(test_kill_threads),
		T(test_reopen_without_writes),
	};

	return cmocka_run_group_tests_name("db_crash", tests, NULL, NULL);
}
