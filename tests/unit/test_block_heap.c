/* SPDX-License-Identifier: MIT */
/* Pieces don't overlap, keep their bytes, and their memory is used again. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lsm/memory/block_heap.h"
#include "tests/support/rng.h"
#include "tests/support/sanitized.h"

enum { PIECES = 6000, STEPS = SANITIZED ? 40000 : 200000, THREADS = 4 };

struct piece {
	uint8_t *data;
	size_t size;
	uint8_t mark;
};

static size_t random_size(struct rng *r)
{
	if (rng_one_in(r, 50))
		return rng_below(r, 100000);
	return rng_one_in(r, 4) ? 1 + rng_below(r, 16384) : 3900 + rng_below(r, 300);
}

static void piece_take(struct block_heap *h, struct piece *p, struct rng *r)
{
	p->size = random_size(r);
	p->mark = (uint8_t)rng_below(r, 256);
	p->data = block_heap_take(h, p->size);
	assert_non_null(p->data);
	memset(p->data, p->mark, p->size);
}

static void piece_give(struct block_heap *h, struct piece *p)
{
	for (size_t i = 0; i < p->size; i++)
		if (p->data[i] != p->mark)
			fail_msg("byte %zu of %zu was overwritten", i, p->size);
	block_heap_give(h, p->data);
	p->data = NULL;
}

static void play(struct block_heap *h, uint64_t seed, int steps)
{
	struct piece *pieces = calloc(PIECES, sizeof(*pieces));
	struct rng r = { seed };

	assert_non_null(pieces);
	for (int i = 0; i < steps; i++) {
		if (i % 10007 == 0)
			(void)block_heap_close_chunks(h, 4 << 20);
		/* From a few pieces to all, and back. */
		uint64_t n = i / 20000 % 2 ? 50 : PIECES;
		struct piece *p = &pieces[rng_below(&r, n)];

		if (p->data)
			piece_give(h, p);
		else
			piece_take(h, p, &r);
		if (n < PIECES && pieces[i % PIECES].data)
			piece_give(h, &pieces[i % PIECES]);
	}
	for (int i = 0; i < PIECES; i++) {
		if (pieces[i].data)
			piece_give(h, &pieces[i]);
	}
	free(pieces);
}

/* 1 MiB is malloc's alone; with 48 MiB chunks come and go; 32 MiB are at times less than is asked for. */
static void test_random(void **state)
{
	static const uint64_t capacities[] = { 1 << 20, 32 << 20, 48 << 20 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct block_heap *h = NULL;

		assert_int_equal(block_heap_new(capacities[i], &h), 0);
		play(h, seed_choose("heap"), STEPS);
		assert_int_equal(block_heap_bytes(h), 0); /* all chunks are idle */
		block_heap_free(h);
	}
}

/* What was given back is taken again: the same blocks come and go in the memory that they take at once. */
static void test_memory_is_used_again(void **state)
{
	struct block_heap *h = NULL;
	void *pieces[1000];
	uint64_t bytes = 0;

	(void)state;
	assert_int_equal(block_heap_new(64 << 20, &h), 0);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 1000; i++) {
			pieces[i] = block_heap_take(h, 4096);
			assert_non_null(pieces[i]);
		}
		if (!round)
			bytes = block_heap_bytes(h);
		assert_int_equal(block_heap_bytes(h), bytes);
		assert_true(!bytes || (bytes >= 1000 * 4096 && bytes <= 3 << 21)); /* 0: malloc has them */
		for (int i = 0; i < 1000; i++)
			block_heap_give(h, pieces[(i * 7) % 1000]);
	}
	assert_int_equal(block_heap_bytes(h), 0);
	block_heap_free(h);
}

/* The emptiest chunks are closed: nothing new goes there, and they come back with their last piece. */
static void test_closed_chunks(void **state)
{
	enum { N = 8000, CHUNK = 2 << 20 };
	struct block_heap *h = NULL;
	struct piece *pieces = calloc(N, sizeof(*pieces)), more[200];
	struct rng r = { seed_choose("closed chunks") };
	uint64_t full, bytes;
	size_t closed = 0, left = 0;

	(void)state;
	assert_int_equal(block_heap_new(64 << 20, &h), 0);
	for (int i = 0; i < N; i++)
		piece_take(h, &pieces[i], &r);
	full = block_heap_bytes(h);
	for (int i = 0; i < N; i++) {
		if (!rng_one_in(&r, i < N / 2 ? 8 : 2))
			piece_give(h, &pieces[i]);
	}
	bytes = block_heap_bytes(h);
	if (!full) { /* all is malloc's: nothing to close */
		assert_false(block_heap_close_chunks(h, CHUNK));
	} else {
		assert_true(bytes > full * 3 / 4); /* holes */
		assert_true(block_heap_close_chunks(h, 5 * CHUNK));
		assert_int_equal(block_heap_bytes(h), bytes - 5 * CHUNK);
		for (int i = 0; i < N; i++) {
			if (pieces[i].data && block_heap_closed(h, pieces[i].data)) {
				closed++;
				piece_give(h, &pieces[i]);
			} else if (pieces[i].data) {
				left++;
			}
		}
		/* The five held less than their share of what there was. */
		assert_true(closed * bytes < (closed + left) * 5 * CHUNK);
		for (int i = 0; i < N; i++)
			assert_false(pieces[i].data && block_heap_closed(h, pieces[i].data));
		assert_int_equal(block_heap_bytes(h), bytes - 5 * CHUNK);
		/* All of them, with the pieces still there: new ones lie elsewhere. */
		assert_true(block_heap_close_chunks(h, UINT64_MAX));
		assert_false(block_heap_close_chunks(h, UINT64_MAX));
		assert_int_equal(block_heap_bytes(h), 0);
		for (int i = 0; i < 200; i++) {
			piece_take(h, &more[i], &r);
			assert_false(block_heap_closed(h, more[i].data));
		}
		for (int i = 0; i < 200; i++)
			piece_give(h, &more[i]);
	}
	for (int i = 0; i < N; i++) {
		if (pieces[i].data)
			piece_give(h, &pieces[i]);
	}
	assert_int_equal(block_heap_bytes(h), 0);
	/* And all is as at first. */
	for (int i = 0; i < N; i++)
		piece_take(h, &pieces[i], &r);
	for (int i = 0; i < N; i++) {
		assert_false(block_heap_closed(h, pieces[i].data));
		piece_give(h, &pieces[i]);
	}
	assert_int_equal(block_heap_bytes(h), 0);
	block_heap_free(h);
	free(pieces);
}

static void *thread_main(void *ctx)
{
	play(ctx, 7, STEPS / 10);
	return NULL;
}

static void test_threads(void **state)
{
	struct block_heap *h = NULL;
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(block_heap_new(256 << 20, &h), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_main, h), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(block_heap_bytes(h), 0);
	block_heap_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_memory_is_used_again),
		cmocka_unit_test(test_closed_chunks),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("block_heap", tests, NULL, NULL);
}
