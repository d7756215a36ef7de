/* SPDX-License-Identifier: MIT */
/* Range tombstones against brute force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lsm/format/range_del.h"
#include "tests/support/rng.h"

enum { KEYS = 64, SEQS = 30, DELS_MAX = 40 };

/* Key i, ordered by i, of lengths that differ: "", "\0", "\0\0", …, then letters. */
static struct lsm_slice key_of(size_t i)
{
	static const char zeros[4];
	static char letters[KEYS][2];

	if (i < sizeof(zeros))
		return slice_of(zeros, i);
	letters[i][0] = (char)(i / 2);
	letters[i][1] = 'x';
	return slice_of(letters[i], 1 + i % 2);
}

struct case_dels {
	struct range_del dels[DELS_MAX];
	size_t n;
};

static uint64_t brute_force(const struct case_dels *c, struct lsm_slice key, uint64_t snapshot)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct range_del *d = &c->dels[i];

		if (slice_compare(d->begin, key) <= 0 && slice_compare(key, d->end) < 0 && d->seq <= snapshot &&
		    d->seq > newest)
			newest = d->seq;
	}
	return newest;
}

static void check_lookups(const struct case_dels *c, const struct range_dels *d)
{
	for (size_t k = 0; k < KEYS; k++) {
		struct lsm_slice key = key_of(k), begin, end;

		for (uint64_t snapshot = 0; snapshot <= SEQS; snapshot += 3) {
			uint64_t seq = brute_force(c, key, snapshot);

			assert_int_equal(range_dels_covering(d, key, snapshot, &end), seq);
			assert_int_equal(range_dels_covering_begin(d, key, snapshot, &begin), seq);
			assert_int_equal(range_dels_covering(d, key, snapshot, NULL), seq);
			if (!seq)
				continue;
			assert_true(slice_compare(begin, key) <= 0 && slice_compare(key, end) < 0);
			/* All of the fragment has the same answer. */
			for (size_t o = 0; o < KEYS; o++) {
				if (slice_compare(begin, key_of(o)) <= 0 && slice_compare(key_of(o), end) < 0)
					assert_int_equal(brute_force(c, key_of(o), snapshot), seq);
			}
		}
	}
}

static void check_fragments(const struct range_dels *d)
{
	for (size_t i = 0; i < range_dels_count(d); i++) {
		struct range_fragment f = range_dels_at(d, i), before;

		assert_true(slice_compare(f.begin, f.end) < 0);
		assert_true(f.seqs_n > 0);
		for (size_t k = 1; k < f.seqs_n; k++)
			assert_true(f.seqs[k - 1] > f.seqs[k]);
		if (!i)
			continue;
		before = range_dels_at(d, i - 1);
		assert_true(slice_compare(before.end, f.begin) <= 0);
		/* Neighbours that are covered alike would be one. */
		if (slice_equal(before.end, f.begin) && before.seqs_n == f.seqs_n)
			assert_memory_not_equal(before.seqs, f.seqs, f.seqs_n * sizeof(*f.seqs));
	}
}

static void random_tombstones(void **state)
{
	struct rng r = { seed_choose("range tombstones") };

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct case_dels c = { .n = rng_below(&r, DELS_MAX + 1) };
		struct range_dels *d;

		for (size_t i = 0; i < c.n; i++) {
			size_t begin = rng_below(&r, KEYS - 1);
			size_t end = begin + 1 + rng_below(&r, KEYS - 1 - begin);

			c.dels[i] = (struct range_del){ key_of(begin), key_of(end), 1 + rng_below(&r, SEQS) };
		}
		assert_int_equal(range_dels_new(c.dels, c.n, &d), LSM_OK);
		check_lookups(&c, d);
		check_fragments(d);
		assert_true(range_dels_memory(d) >= range_dels_count(d) * 3);
		range_dels_free(d);
	}
}

static void none(void **state)
{
	struct range_dels *d;

	(void)state;
	assert_int_equal(range_dels_new(NULL, 0, &d), LSM_OK);
	assert_int_equal(range_dels_count(d), 0);
	assert_int_equal(range_dels_covering(d, slice_of("a", 1), SEQUENCE_MAX, NULL), 0);
	range_dels_free(d);
	range_dels_free(NULL);
}

static void keys_are_copied(void **state)
{
	char begin[] = "b", end[] = "d";
	struct range_del del = { slice_of(begin, 1), slice_of(end, 1), 5 };
	struct range_dels *d;

	(void)state;
	assert_int_equal(range_dels_new(&del, 1, &d), LSM_OK);
	begin[0] = end[0] = 'z';
	assert_int_equal(range_dels_covering(d, slice_of("c", 1), 5, NULL), 5);
	assert_int_equal(range_dels_covering(d, slice_of("d", 1), 5, NULL), 0);
	assert_int_equal(range_dels_covering(d, slice_of("c", 1), 4, NULL), 0);
	range_dels_free(d);
}

/* What was cut into pieces (by the bounds of tables) grows together again. */
static void pieces_grow_together(void **state)
{
	struct range_del dels[] = {
		{ slice_of("c", 1), slice_of("e", 1), 7 },
		{ slice_of("a", 1), slice_of("c", 1), 7 },
		{ slice_of("b", 1), slice_of("d", 1), 7 },
		{ slice_of("e", 1), slice_of("f", 1), 8 },
	};
	struct range_dels *d;

	(void)state;
	assert_int_equal(range_dels_new(dels, 4, &d), LSM_OK);
	assert_int_equal(range_dels_count(d), 2);
	assert_true(slice_equal(range_dels_at(d, 0).begin, slice_of("a", 1)));
	assert_true(slice_equal(range_dels_at(d, 0).end, slice_of("e", 1)));
	assert_int_equal(range_dels_at(d, 0).seqs_n, 1);
	range_dels_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tombstones),
		cmocka_unit_test(none),
		cmocka_unit_test(keys_are_copied),
		cmocka_unit_test(pieces_grow_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
