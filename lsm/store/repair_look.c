/* SPDX-License-Identifier: MIT */
/* What a repair begins with: the tables there are, by the manifest or without one, and what the check has to say of each. */
#include <stdlib.h>

#include "lsm/store/repair.h"

static struct repair_table *add_table(struct repair *r)
{
	if (r->n == r->capacity) {
		size_t capacity = r->capacity ? r->capacity * 2 : 64;
		struct repair_table *p = realloc(r->tables, capacity * sizeof(*p));

		if (!p)
			return NULL;
		r->tables = p;
		r->capacity = capacity;
	}
	r->tables[r->n] = (struct repair_table){ 0 };
	return &r->tables[r->n++];
}

static int copy_props(const struct table_props *from, struct table_props *to)
{
	*to = *from;
	to->smallest = to->largest = (struct buf){ 0 };
	to->blob_refs = calloc(from->blob_refs_n + 1, sizeof(*to->blob_refs));
	buf_set(&to->smallest, buf_slice(&from->smallest));
	buf_set(&to->largest, buf_slice(&from->largest));
	if (!to->blob_refs || to->smallest.failed || to->largest.failed) {
		table_props_free(to);
		return status_no_memory(from->largest.size);
	}
	if (from->blob_refs_n)
		memcpy(to->blob_refs, from->blob_refs, from->blob_refs_n * sizeof(*to->blob_refs));
	return LSM_OK;
}

/* A table of the manifest. */
static int look_at_table(struct repair *r, unsigned level, const struct table_meta *meta)
{
	uint64_t damaged = r->check.damaged;
	struct repair_table *t = add_table(r);
	struct table_props p;
	int rc = t ? check_table(&r->check, meta->number, meta) : status_no_memory(sizeof(*t));

	if (rc)
		return rc;
	*t = (struct repair_table){
		level, meta->number, r->check.damaged > damaged, meta->props.loaded, meta->props.sequence_max, NULL
	};
	rc = copy_props(&meta->props, &p);
	return rc ? rc : table_meta_new(&r->tree, meta->number, &p, &t->meta);
}

/* One that the directory has. */
static int look_at_lone(struct check *c, const char *path, enum store_file kind, uint64_t number, bool is_store_file)
{
	struct repair *r = (struct repair *)c->options->ctx;
	uint64_t damaged = c->damaged;
	struct repair_table *t;
	struct table_props p = { 0 };
	int rc;

	if (!is_store_file || kind != STORE_TABLE)
		return LSM_OK;
	t = add_table(r);
	rc = t ? check_table(c, number, NULL) : status_no_memory(sizeof(*t));
	if (rc)
		return rc;
	t->number = number;
	t->damaged = c->damaged > damaged;
	rc = table_read_props(r->env, path, number, &p);
	if (rc) {
		t->damaged = true;
		return rc == LSM_NO_MEMORY ? rc : LSM_OK;
	}
	t->loaded = p.loaded;
	return p.smallest.size ? table_meta_new(&r->tree, number, &p, &t->meta) : LSM_OK;
}

static int by_number(const void *a, const void *b)
{
	const struct repair_table *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/*
 * The sequence number of a loaded table was only in the manifest. It was newer than all that was there: tables with lower
 * numbers were.
 */
static void guess_sequences(struct repair *r)
{
	uint64_t last = 0;

	qsort(r->tables, r->n, sizeof(*r->tables), by_number);
	for (size_t i = 0; i < r->n; i++) {
		struct repair_table *t = &r->tables[i];

		if (t->loaded) {
			t->sequence = ++last;
			if (t->meta)
				t->meta->props.sequence_min = t->meta->props.sequence_max = last;
		} else if (t->meta && t->meta->props.sequence_max > last) {
			last = t->meta->props.sequence_max;
		}
	}
}

static int look_at_version(struct repair *r)
{
	const struct version *v = r->check.state.version;
	int rc = LSM_OK;

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; !rc && i < v->levels[l].n; i++)
			rc = look_at_table(r, l, v->levels[l].tables[i]);
	}
	return rc;
}

int repair_look(struct repair *r)
{
	uint64_t damaged;
	int rc = check_manifest(&r->check, &r->tree);

	if (rc)
		return rc;
	if (r->check.has_manifest) {
		rc = look_at_version(r);
		damaged = r->check.damaged;
		if (!rc)
			rc = check_log(&r->check);
		r->log_damaged = r->check.damaged > damaged;
	} else {
		rc = check_each_file(&r->check, look_at_lone);
		guess_sequences(r);
		r->log_damaged = true; /* nobody knows */
	}
	if (!rc && r->check.unsupported)
		rc = status_set(
			LSM_UNSUPPORTED, 0, r->dir, 0,
			"%s has a file of a later version, which this library can't repair. Nothing was changed",
			r->dir);
	return rc;
}
