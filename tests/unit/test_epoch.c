/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lsm/env/epoch.h"

static struct epoch *epoch_make(void)
{
	struct epoch *e = NULL;

	assert_int_equal(epoch_new(env_posix(), &e), LSM_OK);
	return e;
}

/* A call of epoch_synchronize() in a thread of its own. */
struct waiter {
	struct epoch *epoch;
	_Atomic bool done;
	pthread_t thread;
};

static void *waiter_main(void *arg)
{
	struct waiter *w = arg;

	epoch_synchronize(w->epoch);
	atomic_store(&w->done, true);
	return NULL;
}

static void waiter_start(struct waiter *w, struct epoch *e)
{
	w->epoch = e;
	atomic_init(&w->done, false);
	assert_int_equal(pthread_create(&w->thread, NULL, waiter_main, w), 0);
}

static void test_nobody_inside(void **state)
{
	struct epoch *e = epoch_make();

	(void)state;
	for (int i = 0; i < 1000; i++)
		epoch_synchronize(e);
	epoch_exit(e, epoch_enter(e));
	epoch_synchronize(e);
	epoch_free(e);
	epoch_free(NULL);
}

static void test_waits_for_who_is_inside(void **state)
{
	struct epoch *e = epoch_make();
	unsigned outer = epoch_enter(e), inner = epoch_enter(e);
	struct waiter w;

	(void)state;
	assert_int_not_equal(outer, inner);
	waiter_start(&w, e);
	usleep(20000);
	assert_false(atomic_load(&w.done));
	epoch_exit(e, outer);
	usleep(20000);
	assert_false(atomic_load(&w.done));
	epoch_exit(e, inner);
	pthread_join(w.thread, NULL);
	assert_true(atomic_load(&w.done));
	epoch_free(e);
}

/*
 * A waiter, and one who came inside after it had begun to wait, so that it doesn't wait for him. Nobody can see whether it
 * has begun: on a busy machine it may come later than he, and then all is tried again.
 */
static unsigned enter_after(struct epoch *e, struct waiter *w)
{
	enum { TRIES = 50, DONE_MS = 500 };

	for (int i = 0; i < TRIES; i++) {
		unsigned before = epoch_enter(e), after;

		waiter_start(w, e);
		usleep(20000);
		after = epoch_enter(e);
		epoch_exit(e, before);
		for (int ms = 0; ms < DONE_MS && !atomic_load(&w->done); ms++)
			usleep(1000);
		if (atomic_load(&w->done)) {
			pthread_join(w->thread, NULL);
			return after;
		}
		epoch_exit(e, after);
		pthread_join(w->thread, NULL);
	}
	fail_msg("a caller waits for those who came later");
	return 0;
}

/* Who comes after the call holds it up no more than the next caller is held up by those who have left. */
static void test_does_not_wait_for_later_ones(void **state)
{
	struct epoch *e = epoch_make();
	struct waiter first, second;
	unsigned after = enter_after(e, &first);

	(void)state;
	waiter_start(&second, e);
	usleep(20000);
	assert_false(atomic_load(&second.done));
	epoch_exit(e, after);
	pthread_join(second.thread, NULL);
	epoch_free(e);
}

struct entrant {
	struct epoch *epoch;
	_Atomic bool inside;
};

static void *entrant_main(void *arg)
{
	struct entrant *x = arg;
	unsigned slot = epoch_enter(x->epoch);

	atomic_store(&x->inside, true);
	epoch_exit(x->epoch, slot);
	return NULL;
}

static void test_full(void **state)
{
	struct epoch *e = epoch_make();
	struct entrant x = { .epoch = e };
	unsigned slots[EPOCH_SLOTS];
	pthread_t thread;

	(void)state;
	for (unsigned i = 0; i < EPOCH_SLOTS; i++)
		slots[i] = epoch_enter(e);
	assert_int_equal(pthread_create(&thread, NULL, entrant_main, &x), 0);
	usleep(20000);
	assert_false(atomic_load(&x.inside));
	epoch_exit(e, slots[77]);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&x.inside));
	for (unsigned i = 0; i < EPOCH_SLOTS; i++)
		if (i != 77)
			epoch_exit(e, slots[i]);
	epoch_free(e);
}

/* Readers follow a pointer that writers replace; what was replaced is spoilt and freed after the synchronize. */
enum { READERS = 4, WRITERS = 3, REPLACEMENTS = 400, GOOD = 0x600d };

struct stress {
	struct epoch *epoch;
	int *_Atomic current;
	_Atomic bool stop;
	_Atomic uint64_t bad, reads;
};

static void *reader_main(void *arg)
{
	struct stress *s = arg;
	uint64_t reads = 0, bad = 0;

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		unsigned slot = epoch_enter(s->epoch);
		const int *p = atomic_load(&s->current);

		bad += p[0] != GOOD || p[1] != GOOD;
		reads++;
		epoch_exit(s->epoch, slot);
	}
	atomic_fetch_add(&s->reads, reads);
	atomic_fetch_add(&s->bad, bad);
	return NULL;
}

static int *object_new(void)
{
	int *p = malloc(2 * sizeof(*p));

	assert_non_null(p);
	p[0] = p[1] = GOOD;
	return p;
}

static void object_free(int *p)
{
	p[0] = p[1] = 0;
	free(p);
}

static void *writer_main(void *arg)
{
	struct stress *s = arg;

	for (int i = 0; i < REPLACEMENTS; i++) {
		int *old = atomic_exchange(&s->current, object_new());

		epoch_synchronize(s->epoch);
		object_free(old);
	}
	return NULL;
}

static void test_stress(void **state)
{
	struct stress s = { .epoch = epoch_make(), .current = object_new() };
	pthread_t readers[READERS], writers[WRITERS];

	(void)state;
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, reader_main, &s), 0);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, writer_main, &s), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&s.stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	assert_true(atomic_load(&s.reads) > 0);
	assert_int_equal(atomic_load(&s.bad), 0);
	object_free(atomic_load(&s.current));
	epoch_free(s.epoch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_inside),
		cmocka_unit_test(test_waits_for_who_is_inside),
		cmocka_unit_test(test_does_not_wait_for_later_ones),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_stress),
	};

	return cmocka_run_group_tests_name("epoch", tests, NULL, NULL);
}
