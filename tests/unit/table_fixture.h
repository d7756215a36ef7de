/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_TABLE_FIXTURE_H
#define TESTS_UNIT_TABLE_FIXTURE_H
/*
 * table_fixture - a directory for table files, tables written from a model, and a block source that forgets at random
 * and counts its pins. Include after cmocka.h.
 */
#include <stdio.h>
#include <unistd.h>

#include "lsm/format/table.h"
#include "tests/unit/entry_model.h"

enum { FILE_NUMBER = 42 };

static char fixture_path[64];

static inline int fixture_setup(void **state)
{
	static char dir[] = "/tmp/lsm-test-table-XXXXXX";

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(fixture_path, sizeof(fixture_path), "%s/table", dir);
	return 0;
}

static inline int fixture_teardown(void **state)
{
	(void)state;
	unlink(fixture_path);
	*strrchr(fixture_path, '/') = 0;
	return rmdir(fixture_path);
}

/* The test fails with the library's message when rc isn't LSM_OK. */
static inline void assert_ok(int rc)
{
	if (rc)
		fail_msg("code %d: %s", rc, lsm_last_error()->message);
}

static inline struct table_props write_table(const struct model *m, const struct table_write_options *options,
					     const struct range_del *dels, size_t dels_n)
{
	struct table_writer *w;
	struct table_props props;

	assert_ok(table_writer_open(env_posix(), fixture_path, FILE_NUMBER, options, &w));
	for (size_t i = 0; i < m->n; i++)
		assert_ok(table_writer_add(w, m->entries[i].ikey, m->entries[i].value));
	for (size_t i = 0; i < dels_n; i++)
		assert_ok(table_writer_add_range_delete(w, &dels[i]));
	assert_int_equal(table_writer_count(w), m->n + dels_n);
	assert_ok(table_writer_finish(w, &props));
	return props;
}

/* ---------------------------------------------------------------------------------------------------------------
 * A block source
 */

enum { SOURCE_SLOTS = 64 };

struct source_slot {
	uint64_t offset;
	void *data; /* NULL: free */
	size_t size;
	unsigned pins;
};

struct test_source {
	struct block_source source;
	struct rng rng;
	struct source_slot slots[SOURCE_SLOTS]; /* more blocks than a test ever pins at once */
	unsigned pins;
	uint64_t lookups, inserts;
};

static inline struct source_slot *source_find(struct test_source *s, uint64_t offset)
{
	for (int i = 0; i < SOURCE_SLOTS; i++) {
		if (s->slots[i].data && s->slots[i].offset == offset)
			return &s->slots[i];
	}
	return NULL;
}

static inline void source_pin(struct test_source *s, struct source_slot *slot, struct block_pin *ret)
{
	slot->pins++;
	s->pins++;
	*ret = (struct block_pin){ slice_of(slot->data, slot->size), slot };
}

static inline bool source_lookup(struct block_source *source, uint64_t file, uint64_t offset, struct block_pin *ret)
{
	struct test_source *s = (struct test_source *)source;
	struct source_slot *slot = source_find(s, offset);

	assert_int_equal(file, FILE_NUMBER);
	s->lookups++;
	if (!slot)
		return false;
	source_pin(s, slot, ret);
	return true;
}

static inline void source_insert(struct block_source *source, uint64_t file, uint64_t offset, void *data, size_t size,
				 bool low_priority, struct block_pin *ret)
{
	struct test_source *s = (struct test_source *)source;
	struct source_slot *slot;

	(void)low_priority;
	assert_int_equal(file, FILE_NUMBER);
	assert_null(source_find(s, offset)); /* one thread: it has just been looked up */
	s->inserts++;
	do {
		slot = &s->slots[rng_below(&s->rng, SOURCE_SLOTS)];
	} while (slot->pins);
	free(slot->data);
	*slot = (struct source_slot){ offset, data, size, 0 };
	source_pin(s, slot, ret);
}

static inline void source_release(struct block_source *source, struct block_pin *pin)
{
	struct test_source *s = (struct test_source *)source;
	struct source_slot *slot = pin->pin;

	assert_true(slot->pins > 0);
	slot->pins--;
	s->pins--;
	if (!slot->pins && rng_one_in(&s->rng, 3)) {
		free(slot->data);
		slot->data = NULL;
	}
}

static inline void source_init(struct test_source *s)
{
	*s = (struct test_source){ .source = { .lookup = source_lookup, .insert = source_insert, .release = source_release },
				 .rng = { 1 } };
}

/* All pins were given back. */
static inline void source_done(struct test_source *s)
{
	assert_int_equal(s->pins, 0);
	for (int i = 0; i < SOURCE_SLOTS; i++)
		free(s->slots[i].data);
}

#endif
