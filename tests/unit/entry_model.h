/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_ENTRY_MODEL_H
#define TESTS_UNIT_ENTRY_MODEL_H
/*
 * entry_model - a sorted array of internal keys and values to compare blocks and tables with. Include after cmocka.h.
 */
#include "lsm/format/block.h"
#include "tests/support/rng.h"

struct model_entry {
	struct lsm_slice ikey, value; /* owned */
};

struct model {
	struct model_entry *entries;
	size_t n;
};

static inline struct lsm_slice model_copy(struct lsm_slice s)
{
	void *p = malloc(s.size + 1);

	assert_non_null(p);
	if (s.size)
		memcpy(p, s.data, s.size);
	return slice_of(p, s.size);
}

/* Keys of few different bytes, so that prefixes are shared, keys are prefixes of others, and zeros occur. */
static inline struct lsm_slice random_user_key(struct rng *r, size_t size_max)
{
	static const char alphabet[] = { 0, 1, 'a', (char)0xff };
	size_t size = rng_below(r, size_max + 1);
	char *key = malloc(size + 1);

	assert_non_null(key);
	for (size_t i = 0; i < size; i++)
		key[i] = i < size_max / 2 && !rng_one_in(r, 8) ? 'p' : alphabet[rng_below(r, sizeof(alphabet))];
	return slice_of(key, size);
}

static inline struct lsm_slice random_ikey(struct rng *r, size_t size_max)
{
	struct lsm_slice user = random_user_key(r, size_max);
	struct buf b = { 0 };

	buf_put_ikey(&b, user, trailer_of(rng_below(r, 20), (enum entry_type)rng_below(r, 2)));
	assert_false(b.failed);
	free((void *)user.data);
	return buf_slice(&b);
}

static inline int model_order(const void *a, const void *b)
{
	return ikey_compare(((const struct model_entry *)a)->ikey, ((const struct model_entry *)b)->ikey);
}

/* Up to n entries with keys of up to key_max bytes and values of up to value_max. */
static inline struct model model_new(struct rng *r, size_t n, size_t key_max, size_t value_max)
{
	struct model m = { calloc(n + 1, sizeof(struct model_entry)), 0 };
	size_t kept = 0;

	assert_non_null(m.entries);
	for (size_t i = 0; i < n; i++) {
		size_t size = rng_below(r, value_max + 1);
		uint8_t *value = malloc(size + 1);

		assert_non_null(value);
		rng_fill(r, value, size / 2);
		memset(value + size / 2, 'v', size - size / 2);
		m.entries[i] = (struct model_entry){ random_ikey(r, key_max), slice_of(value, size) };
	}
	qsort(m.entries, n, sizeof(*m.entries), model_order);
	for (size_t i = 0; i < n; i++) {
		if (kept && !model_order(&m.entries[kept - 1], &m.entries[i])) {
			free((void *)m.entries[i].ikey.data);
			free((void *)m.entries[i].value.data);
		} else {
			m.entries[kept++] = m.entries[i];
		}
	}
	m.n = kept;
	return m;
}

static inline void model_free(struct model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free((void *)m->entries[i].ikey.data);
		free((void *)m->entries[i].value.data);
	}
	free(m->entries);
}

/* The first entry >= ikey; m->n when there is none. */
static inline size_t model_find(const struct model *m, struct lsm_slice ikey)
{
	size_t i = 0;

	while (i < m->n && ikey_compare(m->entries[i].ikey, ikey) < 0)
		i++;
	return i;
}

/* The iterator stands on entry `at`; anything out of range means that it is at an end. */
static inline void assert_stands(const struct iter *it, const struct model *m, size_t at)
{
	assert_int_equal(it->status, LSM_OK);
	if (at >= m->n) {
		assert_false(it->valid);
		return;
	}
	assert_true(it->valid);
	assert_true(slice_equal(it->key, m->entries[at].ikey));
	assert_true(slice_equal(it->value, m->entries[at].value));
}

static inline void check_both_ways(struct iter *it, const struct model *m)
{
	size_t i = 0;

	for (it->ops->seek_first(it); it->valid; it->ops->next(it))
		assert_stands(it, m, i++);
	assert_int_equal(it->status, LSM_OK);
	assert_int_equal(i, m->n);
	for (it->ops->seek_last(it); it->valid; it->ops->prev(it))
		assert_stands(it, m, --i);
	assert_int_equal(it->status, LSM_OK);
	assert_int_equal(i, 0);
}

/* Random seeks, each followed by a few steps to and fro. */
static inline void check_walks(struct iter *it, const struct model *m, struct rng *r, int rounds, size_t key_max)
{
	for (int k = 0; k < rounds; k++) {
		bool there = m->n && rng_one_in(r, 2);
		struct lsm_slice ikey =
			there ? model_copy(m->entries[rng_below(r, m->n)].ikey) : random_ikey(r, key_max);
		size_t at = model_find(m, ikey);

		if (rng_one_in(r, 2)) {
			it->ops->seek(it, ikey);
		} else {
			it->ops->seek_prev(it, ikey);
			if (at == m->n || ikey_compare(m->entries[at].ikey, ikey))
				at--; /* wraps to "at an end" in front of the first */
		}
		assert_stands(it, m, at);
		for (int step = 0; step < 6 && it->valid; step++) {
			uint64_t how = rng_below(r, 4); /* also past what is between the iterator and its block */

			if (how < 2) {
				(how ? iter_next : it->ops->next)(it);
				at++;
			} else {
				(how == 2 ? iter_prev : it->ops->prev)(it);
				at--;
			}
			assert_stands(it, m, at);
		}
		free((void *)ikey.data);
	}
}

#endif
