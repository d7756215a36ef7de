/* SPDX-License-Identifier: MIT */
/*
 * Many keys at one moment. They go through the sources together, in ascending order: a source is asked for all keys that
 * newer ones have left open. Keys of one table share the way to their blocks, and the blocks that a level's keys need
 * are all announced to the kernel before the first of them is read.
 */
#include <stdlib.h>

#include "lsm/format/filter.h"
#include "lsm/store/lookup.h"

enum { STACK_KEYS = 16 };

struct item {
	struct table_query query; /* first: a query's item is found by its address */
	size_t index;             /* of the caller */
	uint64_t covered;         /* the newest range tombstone over the key in the sources seen so far */
	struct table_meta *meta;  /* that it looks into, on the level at hand */
};

/* Items of one table. */
struct group {
	struct table_pin pin;
	size_t first, n; /* in `asked` */
};

struct multi {
	struct lsm_db *db;
	uint64_t sequence;
	struct lsm_value *values;
	int *codes;
	struct read_counters *counters;
	struct item **open; /* ascending keys; not decided yet */
	size_t open_n;
	struct table_query **asked; /* of the level at hand */
	struct group *groups;
	struct lsm_error first; /* the failure of the smallest index */
	size_t first_index;
};

/* ---- answers ---- */

/* The item is decided. An error's message is the thread's last. */
static void decide(struct multi *m, struct item *it, int code)
{
	m->codes[it->index] = code;
	it->query.user_key.size = 0; /* leaves `open` with the next sweep */
	if (code == LSM_OK)
		count_own(m->counters->found);
	if (code == LSM_OK || code == LSM_NOT_FOUND || (m->first.code && m->first_index < it->index))
		return;
	m->first = *lsm_last_error();
	m->first_index = it->index;
}

static void sweep(struct multi *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->open_n; i++) {
		if (m->open[i]->query.user_key.size)
			m->open[n++] = m->open[i];
	}
	m->open_n = n;
}

/* A version was found. What older sources hold doesn't matter any more. Ends the look-up. */
static void found(struct multi *m, struct item *it, struct lookup *l)
{
	int rc = LSM_NOT_FOUND;

	if (trailer_seq(l->trailer) < it->covered || trailer_type(l->trailer) == ENTRY_DELETE)
		lookup_done(m->db, l);
	else
		rc = value_of(m->db, l, &m->values[it->index]);
	decide(m, it, rc);
}

/* The source has no version. All that is older than one that holds a tombstone over the key is older than that. */
static void absent(struct multi *m, struct item *it)
{
	if (it->covered)
		decide(m, it, LSM_NOT_FOUND);
}

/* ---- sources ---- */

static void ask_memtable(struct multi *m, struct memtable *mem)
{
	if (memtable_is_empty(mem))
		return;
	for (size_t i = 0; i < m->open_n; i++) {
		struct item *it = m->open[i];
		struct lookup l = { 0 };
		uint64_t covered = memtable_covering(mem, it->query.user_key, m->sequence);

		if (covered > it->covered)
			it->covered = covered;
		if (memtable_get(mem, it->query.user_key, it->query.hash, SEEK_TRAILER(m->sequence), &l.trailer,
				 &l.value))
			found(m, it, &l);
		else
			absent(m, it);
	}
	sweep(m);
}

/* The table of the level that may hold the key, or NULL; `last` is that of the key before. A table of level 0 is a level
 * of its own. */
static struct table_meta *table_for(const struct level *l, struct lsm_slice key, struct table_meta *last)
{
	size_t i = 0;

	if (last && !table_before_key(last, key))
		return last;
	if (l->n > 1)
		i = level_find(l, key);
	if (i == l->n || table_before_key(l->tables[i], key) || table_after_key(l->tables[i], key))
		return NULL;
	return l->tables[i];
}

/* Opens the table of items that are to be asked, and has it find their blocks. */
static void locate(struct multi *m, struct group *g)
{
	struct item *head = (struct item *)m->asked[g->first];
	const struct range_dels *dels;
	int rc = table_cache_get_held(m->db->tables, head->meta->number, &head->meta->hold, &g->pin);

	for (size_t i = 0; rc && i < g->n; i++)
		decide(m, (struct item *)m->asked[g->first + i], rc);
	if (rc) {
		g->n = 0;
		return;
	}
	dels = table_range_dels(g->pin.table);
	for (size_t i = 0; dels && i < g->n; i++) {
		struct item *it = (struct item *)m->asked[g->first + i];
		uint64_t covered = range_dels_covering(dels, it->query.user_key, m->sequence, NULL);

		if (covered > it->covered)
			it->covered = covered;
	}
	table_locate(g->pin.table, SEEK_TRAILER(m->sequence), m->asked + g->first, g->n);
}

static void answer(struct multi *m, struct group *g)
{
	if (g->n)
		table_read(g->pin.table, SEEK_TRAILER(m->sequence), m->asked + g->first, g->n);
	for (size_t i = 0; i < g->n; i++) {
		struct item *it = (struct item *)m->asked[g->first + i];
		struct table_hit *hit = &it->query.hit;

		if (it->query.rc) {
			decide(m, it, it->query.rc);
		} else if (hit->answer == TABLE_FOUND) {
			/* The group's pin keeps the table. */
			struct lookup l = { hit->trailer, hit->value, true, { .table = g->pin.table }, *hit };

			found(m, it, &l);
		} else {
			if (hit->answer == TABLE_FILTERED)
				count_own(m->counters->filtered);
			else
				count_own(m->counters->filter_false);
			absent(m, it);
		}
	}
	table_cache_release(m->db->tables, &g->pin);
}

static void ask_level(struct multi *m, const struct level *l)
{
	struct table_meta *last = NULL;
	size_t asked = 0, groups = 0;

	for (size_t i = 0; i < m->open_n; i++) {
		struct item *it = m->open[i];

		it->meta = table_for(l, it->query.user_key, last);
		if (!it->meta)
			continue;
		if (it->meta != last)
			m->groups[groups++] = (struct group){ .first = asked };
		last = it->meta;
		m->asked[asked++] = &it->query;
		m->groups[groups - 1].n++;
	}
	for (size_t i = 0; i < groups; i++)
		locate(m, &m->groups[i]);
	for (size_t i = 0; i < groups; i++)
		answer(m, &m->groups[i]);
	if (groups)
		sweep(m);
}

static void ask_all(struct multi *m, const struct superversion *sv)
{
	const struct level *l0 = &sv->version->levels[0];

	ask_memtable(m, sv->mem);
	for (unsigned i = 0; i < sv->imm_n; i++)
		ask_memtable(m, sv->imm[i]);
	for (size_t i = 0; m->open_n && i < l0->n; i++)
		ask_level(m, &(struct level){ &l0->tables[i], 1, 0 });
	for (unsigned level = 1; m->open_n && level < LSM_LEVELS; level++)
		ask_level(m, &sv->version->levels[level]);
	for (size_t i = 0; i < m->open_n; i++)
		decide(m, m->open[i], LSM_NOT_FOUND);
}

/* ---- the call ---- */

static int compare_items(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;

	return slice_compare(x->query.user_key, y->query.user_key);
}

static void run(struct multi *m, const struct lsm_snapshot *snapshot, struct item *items, size_t n,
		const struct lsm_slice *keys)
{
	unsigned slot = epoch_enter(m->db->epoch);
	const struct superversion *sv = atomic_load(&m->db->current);

	m->sequence = sequence_at(m->db, snapshot);
	m->counters = &m->db->reads[slot];
	for (size_t i = 0; i < n; i++) {
		int rc = check_key(keys[i]);

		items[i] = (struct item){ .query = { .user_key = keys[i], .hash = filter_hash(keys[i]) }, .index = i };
		if (rc)
			decide(m, &items[i], rc);
		else
			m->open[m->open_n++] = &items[i];
	}
	for (size_t i = 0; i < m->open_n; i++)
		count_own(m->counters->gets);
	qsort(m->open, m->open_n, sizeof(struct item *), compare_items);
	ask_all(m, sv);
	epoch_exit(m->db->epoch, slot);
}

int lsm_multi_get(struct lsm_db *db, const struct lsm_snapshot *snapshot, size_t n, const struct lsm_slice *keys,
		  struct lsm_value *values, int *codes)
{
	struct space {
		struct item item;
		struct item *open;
		struct table_query *asked;
		struct group group;
	};
	struct item stack_items[STACK_KEYS], *items = stack_items;
	struct item *stack_open[STACK_KEYS];
	struct table_query *stack_asked[STACK_KEYS];
	struct group stack_groups[STACK_KEYS];
	struct multi m = {
		.db = db,
		.values = values,
		.codes = codes,
		.open = stack_open,
		.asked = stack_asked,
		.groups = stack_groups,
	};

	if (n > STACK_KEYS) {
		items = calloc(n, sizeof(struct space));
		if (!items) {
			for (size_t i = 0; i < n; i++)
				codes[i] = LSM_NO_MEMORY;
			return status_no_memory(n * sizeof(struct space));
		}
		m.groups = (struct group *)(items + n);
		m.open = (struct item **)(m.groups + n);
		m.asked = (struct table_query **)(m.open + n);
	}
	run(&m, snapshot, items, n, keys);
	if (items != stack_items)
		free(items);
	return m.first.code ? status_adopt(&m.first) : LSM_OK;
}
