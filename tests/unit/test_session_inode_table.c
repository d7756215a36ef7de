/* SPDX-License-Identifier: MIT */
/* The inode table against a plain array, and from several threads. */
#include "fs/session/inode_table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t seed_new(void)
{
	const char *given = getenv("LSMFS_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u | 1;

	print_message("seed: LSMFS_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static struct inode_table *table_new(void)
{
	struct inode_table *table;

	assert_int_equal(inode_table_new(&table), 0);
	return table;
}

static uint64_t inodes_known(struct inode_table *table)
{
	struct inode_table_stats stats;

	inode_table_get_stats(table, &stats);
	return stats.inodes;
}

static void named_inode_is_never_reclaimed(void **state)
{
	struct inode_table *table = table_new();

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(inode_table_ref(table, 7), 0);
	assert_int_equal(inodes_known(table), 1);
	assert_false(inode_table_unref(table, 7, 1));
	assert_false(inode_table_unref(table, 7, 2));
	assert_int_equal(inodes_known(table), 0);
	assert_int_equal(inode_table_epoch(table), 0);
	inode_table_free(table);
}

static void nameless_inode_is_reclaimed_at_the_last_forget(void **state)
{
	struct inode_table *table = table_new();

	(void)state;
	assert_int_equal(inode_table_ref(table, 7), 0);
	assert_int_equal(inode_table_ref(table, 7), 0);
	assert_false(inode_table_orphan(table, 7));
	assert_int_equal(inode_table_ref(table, 7), 0);
	assert_false(inode_table_unref(table, 7, 2));
	assert_int_equal(inode_table_epoch(table), 0);
	assert_true(inode_table_unref(table, 7, 1));
	assert_int_equal(inode_table_epoch(table), 1);
	assert_false(inode_table_unref(table, 7, 1));
	inode_table_free(table);
}

static void unknown_inode_is_reclaimed_at_once(void **state)
{
	struct inode_table *table = table_new();

	(void)state;
	assert_true(inode_table_orphan(table, 9));
	assert_int_equal(inode_table_epoch(table), 1);
	assert_int_equal(inode_table_ref(table, 8), 0);
	assert_true(inode_table_orphan(table, 9));
	assert_int_equal(inodes_known(table), 1);
	inode_table_free(table);
}

static void too_many_forgets_end_at_zero(void **state)
{
	struct inode_table *table = table_new();

	(void)state;
	assert_false(inode_table_unref(table, 5, 1));
	assert_int_equal(inode_table_ref(table, 5), 0);
	assert_false(inode_table_unref(table, 5, 1000));
	assert_int_equal(inodes_known(table), 0);
	inode_table_free(table);
}

static void count_inos(void *ctx, uint64_t ino)
{
	uint64_t *sum = ctx;

	*sum += ino;
}

static void drain_finds_what_lost_its_name(void **state)
{
	struct inode_table *table = table_new();
	uint64_t want = 0, sum = 0;

	(void)state;
	for (uint64_t ino = 1; ino <= 10000; ino++) {
		assert_int_equal(inode_table_ref(table, ino), 0);
		if (ino % 3)
			continue;
		assert_false(inode_table_orphan(table, ino));
		want += ino;
	}
	inode_table_drain(table, count_inos, &sum);
	assert_int_equal(sum, want);
	assert_int_equal(inodes_known(table), 0);
	assert_int_equal(inode_table_ref(table, 1), 0);
	inode_table_free(table);
}

static void an_inode_takes_at_most_32_bytes(void **state)
{
	struct inode_table *table = table_new();
	struct inode_table_stats stats;

	(void)state;
	for (uint64_t n = 1; n <= 300000; n++) {
		assert_int_equal(inode_table_ref(table, UINT64_C(5) << 24 | n), 0);
		if (n % 10000)
			continue;
		inode_table_get_stats(table, &stats);
		assert_int_equal(stats.inodes, n);
		assert_in_range(stats.bytes, n * 16, n * 32);
	}
	for (uint64_t n = 1; n <= 300000; n++)
		assert_false(inode_table_unref(table, UINT64_C(5) << 24 | n, 1));
	inode_table_get_stats(table, &stats);
	assert_int_equal(stats.inodes, 0);
	assert_in_range(stats.bytes, 0, 64 * 16 * 16);
	inode_table_free(table);
}

#define MODEL_INOS 3000

static void random_operations_agree_with_a_model(void **state)
{
	struct inode_table *table = table_new();
	uint64_t random = seed_new();
	uint64_t *counts = calloc(MODEL_INOS + 1, sizeof(*counts));
	bool *nameless = calloc(MODEL_INOS + 1, sizeof(*nameless));

	(void)state;
	assert_non_null(counts);
	assert_non_null(nameless);
	for (int step = 0; step < 400000; step++) {
		uint64_t ino = random_next(&random) % MODEL_INOS + 1;
		/* waves, so that the table grows and shrinks */
		unsigned growing = step / 50000 % 2 ? 2 : 6;
		unsigned choice = (unsigned)(random_next(&random) % 10);

		if (choice < growing) {
			assert_int_equal(inode_table_ref(table, ino), 0);
			counts[ino]++;
		} else if (choice < 9) {
			uint64_t n = counts[ino] ? random_next(&random) % counts[ino] + 1 : 1;
			bool last = counts[ino] && n == counts[ino];
			assert_int_equal(inode_table_unref(table, ino, n), last && nameless[ino]);
			counts[ino] = counts[ino] ? counts[ino] - n : 0;
			nameless[ino] = nameless[ino] && !last;
		} else {
			assert_int_equal(inode_table_orphan(table, ino), counts[ino] == 0);
			nameless[ino] = counts[ino] != 0;
		}
	}
	uint64_t known = 0;
	for (uint64_t ino = 1; ino <= MODEL_INOS; ino++)
		known += counts[ino] != 0;
	assert_int_equal(inodes_known(table), known);
	free(counts);
	free(nameless);
	inode_table_free(table);
}

#define RACE_INOS 64
#define RACE_THREADS 4

/* Inodes that live, are looked up by all threads, lose their name once, and must be reclaimed once. */
struct race {
	struct inode_table *table;
	atomic_bool gone[RACE_INOS + 1]; /* the name was taken away */
	atomic_int reclaimed[RACE_INOS + 1];
	atomic_int faults;
	uint64_t seed;
};

static void race_unref(struct race *race, uint64_t ino)
{
	if (inode_table_unref(race->table, ino, 1))
		atomic_fetch_add(&race->reclaimed[ino], 1);
}

static void race_lookup(struct race *race, uint64_t ino)
{
	uint64_t epoch = inode_table_epoch(race->table);

	if (atomic_load(&race->gone[ino]))
		return; /* no such name */
	if (inode_table_ref(race->table, ino))
		return;
	/* as a look-up does: an unchanged epoch promises that what was found is still there */
	if (inode_table_epoch(race->table) == epoch && atomic_load(&race->reclaimed[ino]))
		atomic_fetch_add(&race->faults, 1);
	race_unref(race, ino);
}

static void *race_thread(void *arg)
{
	struct race *race = arg;
	uint64_t random = race->seed ^ (uint64_t)(uintptr_t)&random;

	for (int step = 0; step < 20000; step++) {
		uint64_t ino = random_next(&random) % RACE_INOS + 1;
		if (random_next(&random) % 100) {
			race_lookup(race, ino);
		} else if (!atomic_exchange(&race->gone[ino], true)) {
			if (inode_table_orphan(race->table, ino))
				atomic_fetch_add(&race->reclaimed[ino], 1);
		}
	}
	return NULL;
}

static void racing_threads_reclaim_each_inode_once(void **state)
{
	struct race *race = calloc(1, sizeof(*race));
	pthread_t threads[RACE_THREADS];
	int twice = 0, never = 0;

	(void)state;
	assert_non_null(race);
	race->table = table_new();
	race->seed = seed_new();
	for (size_t i = 0; i < RACE_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race_thread, race), 0);
	for (size_t i = 0; i < RACE_THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (uint64_t ino = 1; ino <= RACE_INOS; ino++) {
		int want = atomic_load(&race->gone[ino]);
		twice += atomic_load(&race->reclaimed[ino]) > want;
		never += atomic_load(&race->reclaimed[ino]) < want;
	}
	assert_int_equal(atomic_load(&race->faults), 0);
	assert_int_equal(twice, 0);
	assert_int_equal(never, 0);
	assert_int_equal(inodes_known(race->table), 0);
	inode_table_free(race->table);
	free(race);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named_inode_is_never_reclaimed),
		cmocka_unit_test(nameless_inode_is_reclaimed_at_the_last_forget),
		cmocka_unit_test(unknown_inode_is_reclaimed_at_once),
		cmocka_unit_test(too_many_forgets_end_at_zero),
		cmocka_unit_test(drain_finds_what_lost_its_name),
		cmocka_unit_test(an_inode_takes_at_most_32_bytes),
		cmocka_unit_test(random_operations_agree_with_a_model),
		cmocka_unit_test(racing_threads_reclaim_each_inode_once),
	};
	return cmocka_run_group_tests_name("session/inode_table", tests, NULL, NULL);
}
