/* SPDX-License-Identifier: MIT */
#include "lsm/tree/version.h"

#include <assert.h>
#include <stdlib.h>

/* ---- tables ---- */

int table_meta_new(struct tree *tree, uint64_t number, struct table_props *props, struct table_meta **ret)
{
	struct table_meta *t = calloc(1, sizeof(*t));

	if (!t) {
		table_props_free(props);
		return status_no_memory(sizeof(*t));
	}
	atomic_init(&t->refs, 1);
	t->number = number;
	t->props = *props;
	t->tree = tree;
	*props = (struct table_props){ 0 };
	*ret = t;
	return LSM_OK;
}

int table_meta_attach(struct table_meta *t)
{
	size_t n = t->props.blob_refs_n;
	struct blob_segment **segments;
	int rc = LSM_OK;

	if (t->props.loaded && !t->sequence_told) {
		rc = table_cache_set_sequence(t->tree->tables, t->number, t->props.sequence_max);
		t->sequence_told = !rc;
	}
	if (rc || t->segments || !n)
		return rc;
	segments = calloc(n, sizeof(*segments));
	if (!segments)
		return status_no_memory(n * sizeof(*segments));
	for (size_t i = 0; !rc && i < n; i++)
		rc = segment_get(t->tree->segments, t->props.blob_refs[i].segment, &segments[i]);
	if (rc) {
		for (size_t i = 0; i < n; i++)
			segment_release(segments[i]);
		free(segments);
		return rc;
	}
	t->segments = segments;
	return LSM_OK;
}

void table_meta_count_live(struct table_meta *t, int sign)
{
	for (size_t i = 0; t->segments && i < t->props.blob_refs_n; i++) {
		uint64_t bytes = t->props.blob_refs[i].bytes;

		if (sign > 0)
			atomic_fetch_add(&t->segments[i]->live_bytes, bytes);
		else
			atomic_fetch_sub(&t->segments[i]->live_bytes, bytes);
	}
}

void table_meta_unref(struct table_meta *t)
{
	char path[STORE_PATH_MAX];

	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	table_cache_unhold(t->tree->tables, &t->hold);
	if (atomic_load(&t->obsolete) && !t->tree->read_only) {
		table_cache_evict(t->tree->tables, t->number);
		store_file_path(path, t->tree->dir, STORE_TABLE, t->number);
		env_discard(t->tree->env, path); /* else the next open does it */
	}
	for (size_t i = 0; t->segments && i < t->props.blob_refs_n; i++)
		segment_release(t->segments[i]);
	free(t->segments);
	table_props_free(&t->props);
	free(t);
}

static void table_meta_ref(struct table_meta *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

bool table_before_key(const struct table_meta *t, struct lsm_slice key)
{
	int c = slice_compare(table_largest(t), key);

	return c < 0 || (c == 0 && table_end_exclusive(t));
}

bool table_after_key(const struct table_meta *t, struct lsm_slice key)
{
	return slice_compare(table_smallest(t), key) > 0;
}

uint64_t table_total_bytes(const struct table_meta *t)
{
	uint64_t bytes = t->props.file_bytes;

	for (size_t i = 0; i < t->props.blob_refs_n; i++)
		bytes += t->props.blob_refs[i].bytes;
	return bytes;
}

/* ---- edits ---- */

static struct edit_table *grow(struct edit_table **list, size_t *n)
{
	/* Capacity is the next power of two: it is full when n is one. */
	if ((*n & (*n - 1)) == 0) {
		struct edit_table *p = realloc(*list, (*n ? *n * 2 : 1) * sizeof(*p));

		if (!p)
			return NULL;
		*list = p;
	}
	return &(*list)[(*n)++];
}

int edit_add(struct edit *e, unsigned level, struct table_meta *t)
{
	struct edit_table *et = grow(&e->added, &e->added_n);

	if (!et)
		return status_no_memory(sizeof(*et));
	table_meta_ref(t);
	*et = (struct edit_table){ .level = level, .table = t, .number = t->number };
	return LSM_OK;
}

int edit_remove(struct edit *e, unsigned level, uint64_t number)
{
	struct edit_table *et = grow(&e->removed, &e->removed_n);

	if (!et)
		return status_no_memory(sizeof(*et));
	*et = (struct edit_table){ .level = level, .number = number };
	return LSM_OK;
}

void edit_done(struct edit *e)
{
	for (size_t i = 0; i < e->added_n; i++)
		table_meta_unref(e->added[i].table);
	free(e->added);
	free(e->removed);
	named_done(&e->named_added);
	named_done(&e->named_removed);
	*e = (struct edit){ 0 };
}

enum edit_tag {
	TAG_FIRST_SEGMENT = 1,
	TAG_LAST_SEQUENCE,
	TAG_NEXT_NUMBER,
	TAG_ADD,
	TAG_REMOVE,
	TAG_NAME_ADD,
	TAG_NAME_REMOVE,
	TAG_ADD_LOADED,
};

static void encode_table(const struct edit_table *et, struct buf *ret)
{
	const struct table_props *p = &et->table->props;

	buf_put_varint(ret, p->loaded ? TAG_ADD_LOADED : TAG_ADD);
	buf_put_varint(ret, et->level);
	buf_put_varint(ret, et->number);
	buf_put_varint(ret, p->file_bytes);
	buf_put_varint(ret, p->entries);
	buf_put_varint(ret, p->deletes);
	buf_put_varint(ret, p->range_deletes);
	buf_put_varint(ret, p->raw_bytes);
	buf_put_varint(ret, p->sequence_min);
	buf_put_varint(ret, p->sequence_max);
	buf_put_slice(ret, buf_slice(&p->smallest));
	buf_put_slice(ret, buf_slice(&p->largest));
	buf_put_varint(ret, p->blob_refs_n);
	for (size_t i = 0; i < p->blob_refs_n; i++) {
		buf_put_varint(ret, p->blob_refs[i].segment);
		buf_put_varint(ret, p->blob_refs[i].bytes);
	}
}

static struct lsm_slice name_slice(const char *name)
{
	return slice_of(name, strlen(name));
}

static void encode_names(const struct edit *e, struct buf *ret)
{
	for (size_t i = 0; i < e->named_removed.n; i++) {
		buf_put_varint(ret, TAG_NAME_REMOVE);
		buf_put_slice(ret, name_slice(e->named_removed.list[i].name));
	}
	for (size_t i = 0; i < e->named_added.n; i++) {
		const struct named_snapshot *s = &e->named_added.list[i];

		buf_put_varint(ret, TAG_NAME_ADD);
		buf_put_varint(ret, s->sequence);
		buf_put_varint(ret, s->created_us);
		buf_put_slice(ret, name_slice(s->name));
	}
}

void edit_encode(const struct edit *e, struct buf *ret)
{
	if (e->first_segment) {
		buf_put_varint(ret, TAG_FIRST_SEGMENT);
		buf_put_varint(ret, e->first_segment);
	}
	buf_put_varint(ret, TAG_LAST_SEQUENCE);
	buf_put_varint(ret, e->last_sequence);
	buf_put_varint(ret, TAG_NEXT_NUMBER);
	buf_put_varint(ret, e->next_number);
	for (size_t i = 0; i < e->removed_n; i++) {
		buf_put_varint(ret, TAG_REMOVE);
		buf_put_varint(ret, e->removed[i].level);
		buf_put_varint(ret, e->removed[i].number);
	}
	for (size_t i = 0; i < e->added_n; i++)
		encode_table(&e->added[i], ret);
	encode_names(e, ret);
}

static bool decode_refs(struct reader *r, struct table_props *p)
{
	uint64_t n = read_varint(r);

	if (r->failed || n > reader_left(r) / 2)
		return false;
	if (!n)
		return true;
	p->blob_refs = calloc(n, sizeof(*p->blob_refs));
	if (!p->blob_refs)
		return false;
	p->blob_refs_n = n;
	for (size_t i = 0; i < n; i++) {
		p->blob_refs[i].segment = read_varint(r);
		p->blob_refs[i].bytes = read_varint(r);
	}
	return !r->failed;
}

static int decode_table(struct reader *r, const char *file, struct tree *tree, bool loaded, struct edit *ret)
{
	struct table_props p = { .loaded = loaded };
	struct table_meta *t = NULL;
	uint64_t level = read_varint(r), number = read_varint(r);
	int rc;

	p.file_bytes = read_varint(r);
	p.entries = read_varint(r);
	p.deletes = read_varint(r);
	p.range_deletes = read_varint(r);
	p.raw_bytes = read_varint(r);
	p.sequence_min = read_varint(r);
	p.sequence_max = read_varint(r);
	buf_append_slice(&p.smallest, read_slice(r));
	buf_append_slice(&p.largest, read_slice(r));
	if (!decode_refs(r, &p) || level >= LSM_LEVELS || p.smallest.failed || p.largest.failed ||
	    p.smallest.size <= TRAILER_BYTES || p.largest.size <= TRAILER_BYTES ||
	    ikey_compare(buf_slice(&p.smallest), buf_slice(&p.largest)) > 0) {
		table_props_free(&p);
		return status_corrupt(file, 0, "%s: an edit that adds table %llu makes no sense", file,
				      (unsigned long long)number);
	}
	rc = table_meta_new(tree, number, &p, &t);
	if (!rc)
		rc = edit_add(ret, (unsigned)level, t);
	table_meta_unref(t);
	return rc;
}

/* A name is text without a NUL; what is none leaves the reader failed. */
static int decode_name(struct reader *r, struct named_list *l, bool is_new)
{
	uint64_t sequence = is_new ? read_varint(r) : 0, created_us = is_new ? read_varint(r) : 0;
	struct lsm_slice s = read_slice(r);
	char name[LSM_SNAPSHOT_NAME_MAX + 1];
	int rc;

	if (r->failed || !s.size || s.size > LSM_SNAPSHOT_NAME_MAX || memchr(s.data, 0, s.size)) {
		r->failed = true;
		return LSM_OK;
	}
	memcpy(name, s.data, s.size);
	name[s.size] = 0;
	rc = named_add(l, name, sequence, created_us);
	if (rc != LSM_EXISTS)
		return rc;
	r->failed = true;
	return LSM_OK;
}

int edit_decode(struct lsm_slice record, const char *file, struct tree *tree, struct edit *ret)
{
	struct reader r = reader_of(record);
	struct edit e = { 0 };
	int rc = LSM_OK;

	while (!rc && reader_left(&r)) {
		uint64_t tag = read_varint(&r), level;

		switch (tag) {
		case TAG_FIRST_SEGMENT:
			e.first_segment = read_varint(&r);
			break;
		case TAG_LAST_SEQUENCE:
			e.last_sequence = read_varint(&r);
			break;
		case TAG_NEXT_NUMBER:
			e.next_number = read_varint(&r);
			break;
		case TAG_ADD:
		case TAG_ADD_LOADED:
			rc = decode_table(&r, file, tree, tag == TAG_ADD_LOADED, &e);
			break;
		case TAG_REMOVE:
			level = read_varint(&r);
			if (level >= LSM_LEVELS)
				r.failed = true;
			else
				rc = edit_remove(&e, (unsigned)level, read_varint(&r));
			break;
		case TAG_NAME_ADD:
			rc = decode_name(&r, &e.named_added, true);
			break;
		case TAG_NAME_REMOVE:
			rc = decode_name(&r, &e.named_removed, false);
			break;
		default:
			/* The record checks: whoever wrote it knew more than this version. What follows can't be told. */
			if (!r.failed)
				rc = status_set(LSM_UNSUPPORTED, 0, file, 0,
						"%s holds an edit with the tag %llu, which this library doesn't know. "
						"Nothing was changed",
						file, (unsigned long long)tag);
		}
		if (!rc && r.failed)
			rc = status_corrupt(file, 0, "%s: an edit is malformed (tag %llu)", file,
					    (unsigned long long)tag);
	}
	if (rc)
		edit_done(&e);
	else
		*ret = e;
	return rc;
}

/* ---- versions ---- */

int version_new(struct version **ret)
{
	struct version *v = calloc(1, sizeof(*v));

	if (!v)
		return status_no_memory(sizeof(*v));
	atomic_init(&v->refs, 1);
	*ret = v;
	return LSM_OK;
}

void version_ref(struct version *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
}

void version_unref(struct version *v)
{
	if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < v->levels[l].n; i++)
			table_meta_unref(v->levels[l].tables[i]);
		free(v->levels[l].tables);
	}
	free(v);
}

static int newest_first(const void *a, const void *b)
{
	const struct table_meta *x = *(struct table_meta *const *)a, *y = *(struct table_meta *const *)b;

	if (x->props.sequence_max != y->props.sequence_max)
		return x->props.sequence_max > y->props.sequence_max ? -1 : 1;
	return x->number > y->number ? -1 : x->number < y->number;
}

static int by_smallest(const void *a, const void *b)
{
	const struct table_meta *x = *(struct table_meta *const *)a, *y = *(struct table_meta *const *)b;

	return ikey_compare(buf_slice(&x->props.smallest), buf_slice(&y->props.smallest));
}

static bool is_removed(const struct edit *e, unsigned level, uint64_t number)
{
	for (size_t i = 0; i < e->removed_n; i++) {
		if (e->removed[i].level == level && e->removed[i].number == number)
			return true;
	}
	return false;
}

static int check_order(const struct level *l, unsigned level, const char *file)
{
	for (size_t i = 1; level && i < l->n; i++) {
		if (!table_before_key(l->tables[i - 1], table_smallest(l->tables[i])))
			return status_corrupt(file, 0, "%s: tables %llu and %llu of level %u overlap", file,
					      (unsigned long long)l->tables[i - 1]->number,
					      (unsigned long long)l->tables[i]->number, level);
	}
	return LSM_OK;
}

static int apply_level(const struct level *base, const struct edit *e, unsigned level, const char *file,
		       struct level *ret)
{
	size_t removed = 0, expect = 0;

	ret->tables = malloc((base->n + e->added_n + 1) * sizeof(*ret->tables));
	if (!ret->tables)
		return status_no_memory((base->n + e->added_n) * sizeof(*ret->tables));
	for (size_t i = 0; i < base->n; i++) {
		if (is_removed(e, level, base->tables[i]->number)) {
			removed++;
			continue;
		}
		ret->tables[ret->n++] = base->tables[i];
		table_meta_ref(base->tables[i]);
	}
	for (size_t i = 0; i < e->removed_n; i++)
		expect += e->removed[i].level == level;
	for (size_t i = 0; i < e->added_n; i++) {
		if (e->added[i].level != level)
			continue;
		ret->tables[ret->n++] = e->added[i].table;
		table_meta_ref(e->added[i].table);
	}
	if (removed != expect)
		return status_corrupt(file, 0, "%s: an edit removes a table from level %u that isn't there", file,
				      level);
	qsort(ret->tables, ret->n, sizeof(*ret->tables), level ? by_smallest : newest_first);
	for (size_t i = 0; i < ret->n; i++)
		ret->bytes += ret->tables[i]->props.file_bytes;
	return check_order(ret, level, file);
}

int version_apply(const struct version *base, const struct edit *e, const char *file, struct version **ret)
{
	struct version *v;
	int rc;

	v = NULL;
	rc = version_new(&v);

	for (unsigned l = 0; !rc && l < LSM_LEVELS; l++)
		rc = apply_level(&base->levels[l], e, l, file, &v->levels[l]);
	if (rc)
		version_unref(v);
	else
		*ret = v;
	return rc;
}

size_t level_find(const struct level *l, struct lsm_slice key)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (table_before_key(l->tables[mid], key))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool version_overlaps(const struct version *v, unsigned level, struct lsm_slice begin, struct lsm_slice end)
{
	for (unsigned l = level; l < LSM_LEVELS; l++) {
		const struct level *lv = &v->levels[l];

		if (l == 0) {
			for (size_t i = 0; i < lv->n; i++) {
				if (!table_before_key(lv->tables[i], begin) && !table_after_key(lv->tables[i], end))
					return true;
			}
		} else {
			size_t i = level_find(lv, begin);

			if (i < lv->n && !table_after_key(lv->tables[i], end))
				return true;
		}
	}
	return false;
}
