/* SPDX-License-Identifier: MIT */
/* The log under kills, threads and power cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/env_fault.h"
#include "tests/support/tmp_dir.h"
#include "tests/support/wal_test.h"

static struct rng rng;

/* Every acknowledged record survives the death of the process. */
static void test_kill(void **state)
{
	(void)state;
	for (int round = 0; round < 8; round++) {
		struct seen seen = { 0 };
		uint64_t acknowledged = 0, i;
		int fd[2];
		pid_t pid;

		tmp_dir_clear(wal_dir);
		assert_int_equal(pipe(fd), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			struct wal *w = log_open(0);

			for (i = 0;; i++) {
				if (record_add(w, i) || write(fd[1], &i, sizeof(i)) != sizeof(i))
					_exit(1);
				if (i % 64 == 63)
					(void)wal_prepare(w);
			}
		}
		close(fd[1]);
		/* Let it get going, then kill it while it goes on. */
		for (uint64_t n = 1 + rng_below(&rng, 2000); n && read(fd[0], &i, sizeof(i)) == sizeof(i); n--)
			acknowledged = i + 1;
		kill(pid, SIGKILL);
		while (read(fd[0], &i, sizeof(i)) == sizeof(i))
			acknowledged = i + 1;
		close(fd[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_true(acknowledged > 0);
		assert_int_equal(log_look(1, &seen), LSM_OK);
		assert_true(seen.n == acknowledged || seen.n == acknowledged + 1);
		wal_close(log_open(seen.n), true);
	}
}

/* ---------------------------------------------------------------------------------------------------------------
 * Appends beside syncs, releases and the making of spares
 */

struct beside {
	struct wal *wal;
	_Atomic uint64_t release_below;
	_Atomic bool stop;
};

static void *sync_main(void *arg)
{
	struct beside *b = arg;

	while (!atomic_load(&b->stop))
		if (wal_sync(b->wal, wal_end_lsn(b->wal)))
			abort();
	return NULL;
}

static void *upkeep_main(void *arg)
{
	struct beside *b = arg;
	struct wal_stats stats;

	while (!atomic_load(&b->stop)) {
		if (wal_wants_spare(b->wal) && wal_prepare(b->wal))
			abort();
		if (wal_release(b->wal, atomic_load(&b->release_below)))
			abort();
		wal_get_stats(b->wal, &stats);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct beside b = { .wal = log_open(0) };
	pthread_t threads[2];
	uint64_t segment = 1, first = 0, n = 0;

	(void)state;
	pthread_create(&threads[0], NULL, sync_main, &b);
	pthread_create(&threads[1], NULL, upkeep_main, &b);
	for (int round = 0; round < 60; round++) {
		atomic_store(&b.release_below, segment);
		assert_int_equal(wal_rotate(b.wal, &segment), LSM_OK);
		first = n;
		records_add(b.wal, n, n + 100);
		n += 100;
	}
	atomic_store(&b.stop, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	wal_close(b.wal, true);
	look_expect(segment, first, n - first);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Power cuts: of what was not synced, each sector of 512 bytes is there or not
 */

struct power {
	struct env_fault fault;
	char *durable;     /* directory with the files as they are on the disk */
	uint64_t history;  /* records appended */
	uint64_t synced;   /* of these, known to be durable */
	uint64_t start[4]; /* record with which a rotated segment begins; the last ones */
	uint64_t segment[4];
	uint64_t first, first_segment; /* what the manifest says */
};

static void power_done(void *ctx, enum fault_op op, const char *path)
{
	struct power *p = ctx;
	const char *name = strrchr(path, '/') + 1;
	uint8_t *data;
	size_t size;

	/* Without a sync of the directory, a removed file may come back. */
	if (op == FAULT_UNLINK && rng_one_in(&rng, 2))
		(void)unlink(tmp_path(p->durable, name));
	if (op != FAULT_SYNC && op != FAULT_FILL)
		return;
	data = tmp_file_load(path, &size);
	tmp_file_store(tmp_path(p->durable, name), data, size);
	free(data);
}

static int file_index(const struct files *f, const char *name)
{
	for (int i = 0; i < f->n; i++)
		if (!strcmp(f->name[i], name))
			return i;
	return -1;
}

static void power_cut(struct power *p)
{
	struct files disk, memory;
	unsigned luck = (unsigned)rng_below(&rng, 5);

	files_load(&disk, p->durable);
	files_load(&memory, wal_dir);
	for (int i = 0; i < disk.n; i++) {
		int m = file_index(&memory, disk.name[i]);

		for (size_t at = 0; m >= 0 && at < disk.size[i] && at < memory.size[m]; at += 512)
			if (rng_below(&rng, 4) < luck)
				memcpy(disk.data[i] + at, memory.data[m] + at, 512);
		tmp_file_store(tmp_path(p->durable, disk.name[i]), disk.data[i], disk.size[i]);
	}
	files_store(&disk);
	files_free(&disk);
	files_free(&memory);
}

static void power_rotate(struct power *p, struct wal *w)
{
	memmove(p->start + 1, p->start, 3 * sizeof(*p->start));
	memmove(p->segment + 1, p->segment, 3 * sizeof(*p->segment));
	assert_int_equal(wal_rotate(w, &p->segment[0]), LSM_OK);
	p->start[0] = p->history;
}

/* As a flush does: the manifest names the segment, whose header may not be durable yet. */
static void power_release(struct power *p, struct wal *w, unsigned i)
{
	if (p->segment[i] <= p->first_segment)
		return;
	p->first_segment = p->segment[i];
	p->first = p->start[i];
	if (p->synced < p->first)
		p->synced = p->first;
	assert_int_equal(wal_release(w, p->first_segment), LSM_OK);
}

static void power_step(struct power *p, struct wal *w)
{
	switch (rng_below(&rng, 12)) {
	case 0:
		power_rotate(p, w);
		break;
	case 1:
		power_release(p, w, (unsigned)rng_below(&rng, 4));
		break;
	case 2:
		assert_int_equal(wal_sync(w, wal_end_lsn(w)), LSM_OK);
		p->synced = p->history;
		if (rng_one_in(&rng, 2))
			assert_int_equal(wal_mark(w, wal_end_lsn(w)), LSM_OK);
		break;
	case 3:
		assert_int_equal(wal_prepare(w), LSM_OK);
		break;
	default:
		for (uint64_t n = rng_below(&rng, 20); n; n--)
			assert_int_equal(record_add(w, p->history++), LSM_OK);
	}
}

static void test_power_cuts(void **state)
{
	struct power p = { .durable = tmp_dir_new(), .first_segment = 1 };

	(void)state;
	env_fault_init(&p.fault);
	p.fault.done = power_done;
	p.fault.done_ctx = &p;
	for (int cut = 0; cut < 150; cut++) {
		struct seen seen = { .first = p.first };
		struct wal *w = log_open_env(&p.fault.env, p.first_segment, &seen);

		assert_true(p.first + seen.n >= p.synced && p.first + seen.n <= p.history);
		p.history = p.first + seen.n;
		memset(p.segment, 0, sizeof(p.segment));
		wal_life++;
		for (uint64_t n = rng_below(&rng, 60); n; n--)
			power_step(&p, w);
		if (rng_one_in(&rng, 4)) {
			power_rotate(&p, w);
			power_release(&p, w, 0);
		}
		wal_close(w, false);
		power_cut(&p);
	}
	env_fault_done(&p.fault);
	tmp_dir_free(p.durable);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, wal_test_setup, wal_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_kill),
		TEST(test_threads),
		TEST(test_power_cuts),
	};

	rng.state = seed_choose("test_wal_crash");
	return cmocka_run_group_tests_name("wal_crash", tests, NULL, NULL);
}
