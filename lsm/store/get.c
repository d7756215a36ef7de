/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lsm/format/filter.h"
#include "lsm/store/lookup.h"

/* ---- one key through all sources ---- */

struct search {
	struct lsm_db *db;
	struct lsm_slice key;
	uint64_t hash; /* filter_hash() of the key: for memtables and filters */
	uint64_t sequence;
	uint64_t covered; /* the newest range tombstone over the key in the sources seen so far */
	struct read_counters *counters;
	struct lookup *out;
};

/* A version was found in a source: is it alive? What older sources hold doesn't matter any more. */
static int verdict(struct search *s)
{
	if (trailer_seq(s->out->trailer) < s->covered || trailer_type(s->out->trailer) == ENTRY_DELETE)
		return LSM_NOT_FOUND;
	return LSM_OK;
}

/* 1: go on with older sources. */
static int search_memtable(struct search *s, struct memtable *m)
{
	uint64_t covered;

	if (memtable_is_empty(m))
		return 1;
	covered = memtable_covering(m, s->key, s->sequence);

	if (covered > s->covered)
		s->covered = covered;
	if (memtable_get(m, s->key, s->hash, SEEK_TRAILER(s->sequence), &s->out->trailer, &s->out->value))
		return verdict(s);
	/* All that is older than a source that holds a tombstone over the key is older than the tombstone. */
	return s->covered ? LSM_NOT_FOUND : 1;
}

/* `pin` passes to the hit, or ends here. */
static int search_table(struct search *s, struct table_pin *pin)
{
	struct table *t = pin->table;
	const struct range_dels *dels = table_range_dels(t);
	struct lookup *out = s->out;
	int rc;

	if (dels) {
		uint64_t covered = range_dels_covering(dels, s->key, s->sequence, NULL);

		if (covered > s->covered)
			s->covered = covered;
	}
	rc = table_get(t, s->key, s->hash, SEEK_TRAILER(s->sequence), &out->hit);
	if (!rc && out->hit.answer == TABLE_FOUND) {
		out->trailer = out->hit.trailer;
		out->value = out->hit.value;
		out->in_table = true;
		out->table = *pin;
		return verdict(s);
	}
	if (!rc && out->hit.answer == TABLE_FILTERED)
		count_own(s->counters->filtered);
	else if (!rc)
		count_own(s->counters->filter_false);
	table_cache_release(s->db->tables, pin);
	if (rc)
		return rc;
	return s->covered ? LSM_NOT_FOUND : 1;
}

enum { CANDIDATES_MAX = 24 };

/* Tables that may hold the key, the newest first. */
struct candidates {
	struct table_meta *tables[CANDIDATES_MAX];
	struct table_pin pins[CANDIDATES_MAX];
	unsigned n;
	unsigned deep; /* this one and those behind it are of the last level */
};

/* Opens them all, and lets their filters' lines come from memory at the same time; then looks into one after the other. */
static int search_candidates(struct search *s, struct candidates *c)
{
	int rc = LSM_OK;
	unsigned opened = 0, i = 0;

	while (!rc && opened < c->n) {
		struct table_meta *t = c->tables[opened];

		rc = table_cache_get_held(s->db->tables, t->number, &t->hold, &c->pins[opened]);
		if (!rc)
			table_prefetch(c->pins[opened].table, s->hash, opened >= c->deep);
		opened += !rc;
	}
	if (!rc)
		rc = 1;
	while (rc > 0 && i < opened)
		rc = search_table(s, &c->pins[i++]);
	while (i < opened)
		table_cache_release(s->db->tables, &c->pins[i++]);
	c->n = 0;
	c->deep = CANDIDATES_MAX;
	return rc;
}

/* 1, or what the search came to when there was no more room. */
static int candidate_add(struct search *s, struct candidates *c, struct table_meta *t)
{
	int rc = 1;

	if (c->n == CANDIDATES_MAX)
		rc = search_candidates(s, c);
	c->tables[c->n++] = t;
	return rc;
}

static int search_version(struct search *s, const struct version *v)
{
	const struct level *l0 = &v->levels[0];
	struct candidates c;
	unsigned last = LSM_LEVELS - 1;
	int rc = 1;

	c.n = 0;
	c.deep = CANDIDATES_MAX;
	while (last && !v->levels[last].n)
		last--;
	for (size_t i = 0; rc > 0 && i < l0->n; i++) {
		if (!table_before_key(l0->tables[i], s->key) && !table_after_key(l0->tables[i], s->key))
			rc = candidate_add(s, &c, l0->tables[i]);
	}
	for (unsigned level = 1; rc > 0 && level <= last; level++) {
		const struct level *l = &v->levels[level];
		size_t i = l->n ? level_find(l, s->key) : 0;

		if (level == last)
			c.deep = c.n;
		if (i < l->n && !table_after_key(l->tables[i], s->key))
			rc = candidate_add(s, &c, l->tables[i]);
	}
	return rc > 0 ? search_candidates(s, &c) : rc;
}

int lookup(struct lsm_db *db, const struct superversion *sv, uint64_t sequence, struct lsm_slice key,
	   struct read_counters *counters, struct lookup *ret)
{
	struct search s = {
		.db = db, .key = key, .hash = filter_hash(key), .sequence = sequence, .counters = counters, .out = ret
	};
	int rc;

	*ret = (struct lookup){ 0 };
	rc = search_memtable(&s, sv->mem);
	for (unsigned i = 0; rc > 0 && i < sv->imm_n; i++)
		rc = search_memtable(&s, sv->imm[i]);
	if (rc > 0)
		rc = search_version(&s, sv->version);
	if (rc > 0)
		rc = LSM_NOT_FOUND;
	if (rc)
		lookup_done(db, ret);
	return rc;
}

void lookup_done(struct lsm_db *db, struct lookup *l)
{
	if (!l->in_table)
		return;
	table_hit_release(l->table.table, &l->hit);
	table_cache_release(db->tables, &l->table);
	l->in_table = false;
}

/* ---- values ---- */

/* pin[0]: memory to free; pin[1], pin[2]: a block and the cache that holds it. */
static int value_copy(struct lsm_slice s, struct lsm_value *ret)
{
	void *p = malloc(s.size ? s.size : 1);

	if (!p)
		return status_no_memory(s.size);
	if (s.size)
		memcpy(p, s.data, s.size);
	*ret = (struct lsm_value){ p, s.size, { p, NULL, NULL } };
	return LSM_OK;
}

static int value_of_blob(struct lsm_db *db, struct lsm_slice pointer, struct lsm_value *ret)
{
	struct blob_ptr ptr;
	void *p;
	int rc = blob_ptr_decode(pointer, NULL, &ptr);

	if (rc)
		return rc;
	p = malloc(ptr.part_size ? ptr.part_size : 1);
	if (!p)
		return status_no_memory(ptr.part_size);
	rc = segment_read(db->segments, &ptr, 0, p, ptr.part_size);
	if (rc) {
		free(p);
		return rc;
	}
	*ret = (struct lsm_value){ p, ptr.part_size, { p, NULL, NULL } };
	return LSM_OK;
}

int value_of(struct lsm_db *db, struct lookup *l, struct lsm_value *ret)
{
	int rc;

	if (trailer_type(l->trailer) == ENTRY_BLOB) {
		rc = value_of_blob(db, l->value, ret);
	} else if (l->in_table) {
		/* The block stays pinned instead of being copied; the table may be closed meanwhile. */
		*ret = (struct lsm_value){ l->value.data, l->value.size, { NULL, l->hit.pin.pin, db } };
		table_cache_release(db->tables, &l->table);
		l->in_table = false;
		return LSM_OK;
	} else {
		rc = value_copy(l->value, ret);
	}
	lookup_done(db, l);
	return rc;
}

void lsm_value_release(struct lsm_value *value)
{
	if (value->pin[2]) {
		struct lsm_db *db = value->pin[2];
		struct block_source *source = block_cache_source(db->blocks);
		struct block_pin pin = { .pin = value->pin[1] };

		source->release(source, &pin);
	}
	free(value->pin[0]);
	*value = (struct lsm_value){ 0 };
}

/* ---- the calls ---- */

uint64_t sequence_at(struct lsm_db *db, const struct lsm_snapshot *snapshot)
{
	return snapshot ? snapshot->sequence : atomic_load_explicit(&db->last_sequence, memory_order_acquire);
}

static int get_at(struct lsm_db *db, const struct superversion *sv, uint64_t sequence, struct lsm_slice key,
		  struct read_counters *counters, struct lsm_value *ret)
{
	struct lookup l;
	int rc = check_key(key);

	if (rc)
		return rc;
	count_own(counters->gets);
	rc = lookup(db, sv, sequence, key, counters, &l);
	if (rc)
		return rc;
	count_own(counters->found);
	return value_of(db, &l, ret);
}

int lsm_get(struct lsm_db *db, const struct lsm_snapshot *snapshot, struct lsm_slice key, struct lsm_value *ret)
{
	uint64_t start = sample_begin(db, LSM_HISTOGRAM_GET);
	unsigned slot = epoch_enter(db->epoch);
	const struct superversion *sv = atomic_load(&db->current);
	int rc = get_at(db, sv, sequence_at(db, snapshot), key, &db->reads[slot], ret);

	epoch_exit(db->epoch, slot);
	sample_end(db, LSM_HISTOGRAM_GET, start);
	return rc;
}

static int copy_range(struct lsm_db *db, const struct lookup *l, uint64_t offset, void *buf, size_t size,
		      size_t *ret_copied, uint64_t *ret_size)
{
	struct blob_ptr ptr = { .part_size = l->value.size };
	int rc = LSM_OK;

	if (trailer_type(l->trailer) == ENTRY_BLOB)
		rc = blob_ptr_decode(l->value, NULL, &ptr);
	if (rc)
		return rc;
	if (offset >= ptr.part_size)
		size = 0;
	else if (size > ptr.part_size - offset)
		size = ptr.part_size - offset;
	if (size && trailer_type(l->trailer) == ENTRY_BLOB)
		rc = segment_read(db->segments, &ptr, offset, buf, size);
	else if (size)
		memcpy(buf, (const uint8_t *)l->value.data + offset, size);
	if (rc)
		return rc;
	*ret_copied = size;
	if (ret_size)
		*ret_size = ptr.part_size;
	return LSM_OK;
}

int lsm_get_range(struct lsm_db *db, const struct lsm_snapshot *snapshot, struct lsm_slice key, uint64_t offset,
		  void *buf, size_t size, size_t *ret_copied, uint64_t *ret_value_size)
{
	struct read_counters *counters;
	const struct superversion *sv;
	struct lookup l;
	uint64_t start = sample_begin(db, LSM_HISTOGRAM_GET);
	unsigned slot;
	int rc = check_key(key);

	if (rc)
		return rc;
	slot = epoch_enter(db->epoch);
	sv = atomic_load(&db->current);
	counters = &db->reads[slot];
	count_own(counters->gets);
	rc = lookup(db, sv, sequence_at(db, snapshot), key, counters, &l);
	if (!rc) {
		count_own(counters->found);
		rc = copy_range(db, &l, offset, buf, size, ret_copied, ret_value_size);
		lookup_done(db, &l);
	}
	epoch_exit(db->epoch, slot);
	sample_end(db, LSM_HISTOGRAM_GET, start);
	return rc;
}
