/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_TREE_TEST_H
#define TESTS_SUPPORT_TREE_TEST_H
/* tree_test - what the tests of the engine's tree share: a tree in a directory of its own, tables that exist only by
 * their metadata, memtables by one line each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lsm/work/build.h"
#include "tests/support/rng.h"
#include "tests/support/tmp_dir.h"

#define OK(call) assert_int_equal((call), LSM_OK)

struct tree_test {
	char *dir;
	struct block_cache *blocks;
	struct table_cache *cache;
	struct segments *segments;
	struct tree tree;
	uint64_t number; /* the last file number given out */
};

static inline struct lsm_slice K(const char *text) {
	return slice_of(text, strlen(text));
}

static inline void
tree_open(struct tree_test *t, struct env *env)
{
	OK(block_cache_new(4 << 20, &t->blocks));
	OK(table_cache_new(env, t->dir, t->blocks, 64, &t->cache));
	OK(segments_new(env, t->dir, t->cache, false, &t->segments));
	segments_delete_dead(t->segments, true);
	t->tree = (struct tree){ env, t->dir, t->cache, t->segments, false };
}

static inline void tree_close(struct tree_test *t)
{
	segments_free(t->segments);
	table_cache_free(t->cache);
	block_cache_free(t->blocks);
}

static inline int tree_setup(void **state)
{
	struct tree_test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->dir = tmp_dir_new();
	tree_open(t, env_posix());
	*state = t;
	return 0;
}

static inline int tree_teardown(void **state)
{
	struct tree_test *t = *state;

	tree_close(t);
	tmp_dir_free(t->dir);
	free(t);
	return 0;
}

/* A table of `bytes` with keys from `smallest` to `largest`, all of sequence number `seq`; there is no file. */
static inline struct table_meta *meta_new(struct tree_test *t, uint64_t number, const char *smallest,
					  const char *largest, uint64_t seq, uint64_t bytes)
{
	struct table_props p = { .file_bytes = bytes, .entries = 10, .sequence_min = seq, .sequence_max = seq };
	struct table_meta *m = NULL;

	buf_put_ikey(&p.smallest, K(smallest), trailer_of(seq, ENTRY_PUT));
	buf_put_ikey(&p.largest, K(largest), trailer_of(seq, ENTRY_PUT));
	OK(table_meta_new(&t->tree, number, &p, &m));
	return m;
}

/* The version that follows `v` when `m` joins `level`; takes over both references. */
static inline struct version *version_with(struct version *v, unsigned level, struct table_meta *m)
{
	struct version *next = NULL;
	struct edit e = { 0 };

	OK(edit_add(&e, level, m));
	OK(version_apply(v, &e, "test", &next));
	edit_done(&e);
	table_meta_unref(m);
	version_unref(v);
	return next;
}

static inline void mem_put(struct memtable *m, const char *key, uint64_t seq, enum entry_type type, const char *value)
{
	OK(memtable_add(m, K(key), trailer_of(seq, type), K(value)));
}

static inline void mem_del_range(struct memtable *m, const char *begin, const char *end, uint64_t seq)
{
	const struct range_del del = { K(begin), K(end), seq };

	OK(memtable_add_range_delete(m, &del));
}

/* "key@seq=value" of the entry, a '-' for a delete's value; into buf. */
static inline void entry_text(const struct iter *it, char *buf, size_t size)
{
	struct lsm_slice user = ikey_user(it->key);
	uint64_t trailer = ikey_trailer(it->key);

	snprintf(buf, size, "%.*s@%llu%s%.*s", (int)user.size, (const char *)user.data,
		 (unsigned long long)trailer_seq(trailer), trailer_type(trailer) == ENTRY_DELETE ? "-" : "=",
		 trailer_type(trailer) == ENTRY_BLOB ? 4 : (int)it->value.size,
		 trailer_type(trailer) == ENTRY_BLOB ? "BLOB" : (const char *)it->value.data);
}

/* All entries from the iterator's place on, joined by spaces; static memory. */
static inline const char *entries_text(struct iter *it, bool backward)
{
	static char all[8192];
	char one[256];
	size_t n = 0;

	all[0] = 0;
	while (it->valid) {
		entry_text(it, one, sizeof(one));
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", n ? " " : "", one);
		assert_true(n < sizeof(all));
		if (backward)
			it->ops->prev(it);
		else
			it->ops->next(it);
	}
	assert_int_equal(it->status, LSM_OK);
	return all;
}

#endif
