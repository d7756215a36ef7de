/* SPDX-License-Identifier: MIT */
/* Blocks against a sorted array; blocks of bad bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lsm/format/block.h"
#include "tests/unit/entry_model.h"

/* In memory of exactly its size, so that a sanitizer sees each byte too far. */
static struct lsm_slice build(const struct model *m, unsigned interval)
{
	struct block_builder b;
	struct lsm_slice s, copy;
	size_t bound = 4;

	block_builder_init(&b, interval);
	for (size_t i = 0; i < m->n; i++) {
		bound += block_entry_bytes_max(m->entries[i].ikey, m->entries[i].value);
		block_builder_add(&b, m->entries[i].ikey, m->entries[i].value);
		assert_true(block_builder_bytes(&b) <= bound);
	}
	bound = block_builder_bytes(&b);
	assert_int_equal(block_builder_finish(&b, &s), LSM_OK);
	assert_int_equal(s.size, bound);
	copy = slice_of(malloc(s.size), s.size);
	assert_non_null(copy.data);
	memcpy((void *)copy.data, s.data, s.size);
	block_builder_done(&b);
	return copy;
}

static void check_finds(const struct block *b, const struct model *m, struct rng *r, int rounds, size_t key_max)
{
	for (int k = 0; k < rounds; k++) {
		struct lsm_slice ikey = random_ikey(r, key_max);
		size_t at = model_find(m, ikey);
		struct block_hit hit;

		assert_int_equal(block_find(b, ikey_user(ikey), ikey_trailer(ikey), &hit), LSM_OK);
		assert_int_equal(hit.found, at < m->n);
		if (hit.found) {
			struct lsm_slice found = m->entries[at].ikey;

			assert_int_equal(hit.same_user_key, slice_equal(ikey_user(found), ikey_user(ikey)));
			assert_int_equal(hit.trailer, ikey_trailer(found));
			assert_true(slice_equal(hit.value, m->entries[at].value));
		}
		free((void *)ikey.data);
	}
}

static void blocks_equal_the_model(void **state)
{
	static const unsigned intervals[] = { 1, 2, 16 };
	struct rng r = { seed_choose("blocks") };
	struct block_iter bi;

	(void)state;
	block_iter_init(&bi); /* one for all blocks: its buffer is kept */
	for (int round = 0; round < 300; round++) {
		size_t key_max = 1 + rng_below(&r, round % 10 ? 24 : 400);
		struct model m = model_new(&r, rng_below(&r, 200), key_max, round % 7 ? 40 : 3000);
		struct lsm_slice data = build(&m, intervals[round % 3]);
		struct block b;

		assert_int_equal(block_init(&b, data, NULL, 0), LSM_OK);
		block_iter_set(&bi, &b);
		assert_false(bi.it.valid);
		check_both_ways(&bi.it, &m);
		check_walks(&bi.it, &m, &r, 100, key_max);
		check_finds(&b, &m, &r, 100, key_max);
		free((void *)data.data);
		model_free(&m);
	}
	block_iter_done(&bi);
}

static void a_builder_is_used_again(void **state)
{
	struct rng r = { 1 };
	struct model m = model_new(&r, 50, 8, 8);
	struct block_builder b;
	struct lsm_slice s, first;

	(void)state;
	block_builder_init(&b, 16);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < m.n; i++)
			block_builder_add(&b, m.entries[i].ikey, m.entries[i].value);
		assert_int_equal(block_builder_finish(&b, &s), LSM_OK);
		if (!round)
			first = model_copy(s);
		else
			assert_true(slice_equal(first, s));
		block_builder_reset(&b);
	}
	free((void *)first.data);
	block_builder_done(&b);
	model_free(&m);
}

/* Whatever the bytes: no access outside (the sanitizers see to it), an end, and a status of corrupt or nothing. */
static void survive(struct lsm_slice data, struct rng *r)
{
	struct block_iter bi;
	struct block_hit hit;
	struct block b;
	size_t steps = 0;
	int rc = block_init(&b, data, NULL, 0);

	if (rc) {
		assert_int_equal(rc, LSM_CORRUPT);
		return;
	}
	block_iter_init(&bi);
	block_iter_set(&bi, &b);
	for (block_iter_seek_first(&bi); bi.it.valid; block_iter_next(&bi))
		assert_true(++steps <= data.size);
	assert_true(!bi.it.status || bi.it.status == LSM_CORRUPT);
	steps = 0;
	for (block_iter_seek_last(&bi); bi.it.valid; block_iter_prev(&bi))
		assert_true(++steps <= data.size);
	assert_true(!bi.it.status || bi.it.status == LSM_CORRUPT);
	for (int k = 0; k < 10; k++) {
		struct lsm_slice ikey = random_ikey(r, 20);

		block_iter_seek(&bi, ikey);
		if (bi.it.valid)
			block_iter_next(&bi);
		block_iter_seek_prev(&bi, ikey);
		rc = block_find(&b, ikey_user(ikey), ikey_trailer(ikey), &hit);
		assert_true(!rc || rc == LSM_CORRUPT);
		free((void *)ikey.data);
	}
	block_iter_done(&bi);
}

static void bad_bytes(void **state)
{
	struct rng r = { seed_choose("bad blocks") };

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct model m = model_new(&r, 1 + rng_below(&r, 60), 20, 20);
		struct lsm_slice data = build(&m, round % 2 ? 16 : 1);

		for (int k = 0; k < 100; k++) {
			struct lsm_slice copy = slice_of(malloc(data.size), data.size);
			uint8_t *bytes = (uint8_t *)copy.data;
			size_t size = rng_one_in(&r, 4) ? rng_below(&r, data.size) : data.size;

			memcpy(bytes, data.data, data.size);
			for (uint64_t i = rng_below(&r, 4) + 1; i > 0; i--) {
				/* The restarts, at the end, are few bytes and worth as many hits as the rest. */
				size_t range = rng_one_in(&r, 2) || data.size < 16 ? data.size : 16;

				bytes[data.size - 1 - rng_below(&r, range)] = (uint8_t)rng_next(&r);
			}
			copy = slice_of(realloc(bytes, size ? size : 1), size);
			survive(copy, &r);
			free((void *)copy.data);
		}
		free((void *)data.data);
		model_free(&m);
	}
}

static void random_bytes(void **state)
{
	struct rng r = { seed_choose("random blocks") };

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t size = rng_below(&r, 64);
		uint8_t *bytes = malloc(size + 1);

		rng_fill(&r, bytes, size);
		if (size >= 4)
			put_u32(bytes + size - 4, (uint32_t)rng_below(&r, 4) | (rng_one_in(&r, 2) ? 1u << 31 : 0));
		survive(slice_of(bytes, size), &r);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_equal_the_model),
		cmocka_unit_test(a_builder_is_used_again),
		cmocka_unit_test(bad_bytes),
		cmocka_unit_test(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
