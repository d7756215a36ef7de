/* SPDX-License-Identifier: MIT */
/*
 * Loads: sorted data, written once. The sequence number of a load is known only when it ends, and it has to be newer than
 * what was written meanwhile; so its entries carry 0, and the manifest gives each of its tables the number that counts for
 * all of them. Readers of such a table put it in place of what the file says.
 */
#include <stdlib.h>

#include "lsm/store/db.h"

struct lsm_ingest {
	struct lsm_db *db;
	int status;             /* the first failure */
	struct lsm_error error; /* that it met */
	struct buf last;        /* the user key before; empty: none yet */
	struct buf ikey;

	struct table_writer *writer; /* of the open table, or NULL */
	uint64_t number;
	struct table_meta **tables; /* finished ones */
	size_t tables_n, tables_capacity;

	struct blob_segment **segments; /* each held; the last one may be open */
	size_t segments_n;
	uint64_t operations, user_bytes, written_bytes;
};

int lsm_ingest_new(struct lsm_db *db, struct lsm_ingest **ret_ingest)
{
	struct lsm_ingest *g;
	int rc = db_check_writable(db);

	if (rc)
		return rc;
	g = calloc(1, sizeof(*g));
	if (!g)
		return status_no_memory(sizeof(*g));
	g->db = db;
	*ret_ingest = g;
	return LSM_OK;
}

/* ---- tables ---- */

static void delete_table(struct lsm_ingest *g)
{
	char path[STORE_PATH_MAX];

	store_file_path(path, g->db->dir, STORE_TABLE, g->number);
	env_discard(g->db->env, path);
}

/* Most loads go to the last level. */
static enum lsm_compression compression(struct lsm_ingest *g)
{
	struct superversion *sv = superversion_get(g->db);
	uint64_t bytes = sv->version->levels[LSM_LEVELS - 1].bytes + g->written_bytes;

	superversion_unref(sv);
	return level_compression(g->db, LSM_LEVELS - 1, bytes);
}

static int open_table(struct lsm_ingest *g)
{
	const struct lsm_options *o = &g->db->options;
	const struct table_write_options options = {
		.block_bytes = o->block_bytes,
		.filter_bits = o->filter_bits,
		.compression = compression(g),
	};
	char path[STORE_PATH_MAX];
	int rc;

	g->number = new_number(g->db);
	store_file_path(path, g->db->dir, STORE_TABLE, g->number);
	rc = table_writer_open(g->db->env, path, g->number, &options, &g->writer);
	if (rc)
		env_discard(g->db->env, path);
	else
		table_writer_set_loaded(g->writer);
	return rc;
}

static int keep_table(struct lsm_ingest *g, struct table_props *props)
{
	struct table_meta *t = NULL;
	int rc;

	if (g->tables_n == g->tables_capacity) {
		size_t capacity = g->tables_capacity ? g->tables_capacity * 2 : 16;
		struct table_meta **p = realloc(g->tables, capacity * sizeof(*p));

		if (!p) {
			table_props_free(props);
			delete_table(g);
			return status_no_memory(capacity * sizeof(*p));
		}
		g->tables = p;
		g->tables_capacity = capacity;
	}
	g->written_bytes += props->file_bytes;
	rc = table_meta_new(&g->db->tree, g->number, props, &t);
	if (rc)
		delete_table(g);
	else
		g->tables[g->tables_n++] = t;
	return rc;
}

static int finish_table(struct lsm_ingest *g)
{
	struct table_props props = { 0 };
	int rc;

	if (!g->writer)
		return LSM_OK;
	rc = table_writer_finish(g->writer, &props);
	g->writer = NULL;
	if (rc) {
		delete_table(g);
		return rc;
	}
	return keep_table(g, &props);
}

/* ---- large values ---- */

static int finish_segment(struct lsm_ingest *g)
{
	struct blob_segment *last = g->segments_n ? g->segments[g->segments_n - 1] : NULL;
	int rc;

	if (!last || atomic_load(&last->sealed))
		return LSM_OK;
	segment_seal(last);
	rc = segment_sync(last);
	g->written_bytes += atomic_load(&last->file_bytes);
	return rc;
}

static int move_out(struct lsm_ingest *g, struct lsm_slice value, struct blob_ptr *ret)
{
	struct blob_segment *last = g->segments_n ? g->segments[g->segments_n - 1] : NULL, **p;
	int rc = LSM_OK;

	if (!last || atomic_load(&last->file_bytes) >= g->db->options.blob_segment_bytes) {
		rc = finish_segment(g);
		if (rc)
			return rc;
		p = realloc(g->segments, (g->segments_n + 1) * sizeof(*p));
		if (!p)
			return status_no_memory((g->segments_n + 1) * sizeof(*p));
		g->segments = p;
		rc = segment_create(g->db->segments, new_number(g->db), &last);
		if (rc)
			return rc;
		p[g->segments_n++] = last;
	}
	return segment_add(last, value, ret);
}

/* ---- adding ---- */

static int add(struct lsm_ingest *g, struct lsm_slice key, struct lsm_slice value)
{
	uint8_t pointer[BLOB_PTR_BYTES_MAX];
	enum entry_type type = ENTRY_PUT;
	struct blob_ptr ptr;
	int rc = LSM_OK;

	if (g->writer && table_writer_bytes(g->writer) >= g->db->options.table_bytes)
		rc = finish_table(g);
	if (!rc && value.size >= g->db->options.blob_min_bytes) {
		rc = move_out(g, value, &ptr);
		if (rc)
			return rc;
		value = slice_of(pointer, blob_ptr_encode(pointer, &ptr));
		type = ENTRY_BLOB;
	}
	if (!rc && !g->writer)
		rc = open_table(g);
	if (rc)
		return rc;
	buf_clear(&g->ikey);
	buf_put_ikey(&g->ikey, key, trailer_of(0, type));
	buf_set(&g->last, key);
	if (g->ikey.failed || g->last.failed)
		return status_no_memory(key.size);
	return table_writer_add(g->writer, buf_slice(&g->ikey), value);
}

int lsm_ingest_put(struct lsm_ingest *g, struct lsm_slice key, struct lsm_slice value)
{
	int rc = check_key(key);

	if (rc)
		return rc;
	if (value.size > LSM_VALUE_BYTES_MAX)
		return status_set(LSM_INVALID, 0, NULL, 0, "a value of %zu bytes: values have at most %u", value.size,
				  LSM_VALUE_BYTES_MAX);
	if (g->status)
		return status_adopt(&g->error);
	if (g->operations && slice_compare(buf_slice(&g->last), key) >= 0)
		return status_set(LSM_INVALID, 0, NULL, 0, "key %llu of a load is not behind the one before",
				  (unsigned long long)g->operations);
	g->status = add(g, key, value);
	if (g->status) {
		g->error = *lsm_last_error();
		return g->status;
	}
	g->operations++;
	g->user_bytes += key.size + value.size;
	return LSM_OK;
}

/* ---- the end ---- */

static bool level_overlaps(const struct level *l, unsigned level, const struct table_meta *t)
{
	struct lsm_slice begin = table_smallest(t), end = table_largest(t);
	size_t i = level ? level_find(l, begin) : 0;

	for (; i < l->n; i++) {
		if (!table_before_key(l->tables[i], begin) && !table_after_key(l->tables[i], end))
			return true;
		if (level)
			break;
	}
	return false;
}

/* May a job that runs now put a table over this one? Its outputs lie anywhere between its inputs. */
static bool job_overlaps(const struct lsm_db *db, unsigned level, const struct table_meta *t)
{
	for (size_t i = 0; i < JOBS_MAX; i++) {
		const struct running_job *r = &db->running[i];

		if (r->used && r->output_level == level && slice_compare(table_smallest(t), r->end) <= 0 &&
		    slice_compare(r->begin, table_largest(t)) <= 0)
			return true;
	}
	return false;
}

/* The table is the newest of all: nothing that it overlaps may lie above it, nor beside it, but in level 0. tree lock. */
static unsigned choose_level(const struct lsm_db *db, const struct version *v, const struct table_meta *t)
{
	unsigned level = 0;

	for (unsigned l = 0; l < LSM_LEVELS && !level_overlaps(&v->levels[l], l, t); l++) {
		if (!job_overlaps(db, l, t))
			level = l;
	}
	return level;
}

static void set_trailer(struct buf *ikey, uint64_t sequence)
{
	uint64_t type = ikey_trailer(buf_slice(ikey)) & 255;

	put_u64(ikey->data + ikey->size - TRAILER_BYTES, sequence << 8 | type);
}

/* All tables get the sequence number, and their places in the edit. */
static int prepare(struct lsm_ingest *g, uint64_t sequence, struct edit *e)
{
	struct lsm_db *db = g->db;
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < g->tables_n; i++) {
		struct table_meta *t = g->tables[i];

		t->props.sequence_min = t->props.sequence_max = sequence;
		set_trailer(&t->props.smallest, sequence);
		set_trailer(&t->props.largest, sequence);
		rc = table_meta_attach(t);
	}
	mutex_lock(&db->lock);
	load_begin(db);
	for (size_t i = 0; !rc && i < g->tables_n; i++)
		rc = edit_add(e, choose_level(db, atomic_load(&db->current)->version, g->tables[i]), g->tables[i]);
	mutex_unlock(&db->lock);
	e->last_sequence = sequence;
	return rc;
}

/* commit lock. */
static int publish(struct lsm_ingest *g)
{
	struct lsm_db *db = g->db;
	uint64_t sequence = atomic_load_explicit(&db->last_sequence, memory_order_relaxed) + 1;
	struct edit e = { 0 };
	int rc;

	if (sequence > SEQUENCE_MAX)
		return status_set(LSM_INVALID, 0, db->dir, 0, "%s has used up its sequence numbers", db->dir);
	rc = prepare(g, sequence, &e);
	if (!rc)
		rc = load_install(db, &e);
	load_end(db);
	edit_done(&e);
	return rc;
}

static int finish(struct lsm_ingest *g)
{
	struct lsm_db *db = g->db;
	int rc = g->status ? status_adopt(&g->error) : finish_table(g);

	if (!rc)
		rc = finish_segment(g);
	if (rc || !g->tables_n)
		return rc;
	rc = env_sync_dir(db->env, db->dir);
	/* The bulk of the memtables without the lock: writers wait for the rest only. */
	if (!rc)
		rc = lsm_flush(db);
	if (rc)
		return rc;
	mutex_lock(&db->commit);
	rc = load_flush_rest(db);
	if (!rc)
		rc = publish(g);
	mutex_unlock(&db->commit);
	if (rc)
		return rc;
	count(db->loads, 1);
	count(db->operations, g->operations);
	count(db->user_bytes, g->user_bytes);
	count(db->load_bytes_written, g->written_bytes);
	return LSM_OK;
}

/* Ends it; the thread's last error stays. */
static void end(struct lsm_ingest *g, bool discard)
{
	struct lsm_error last = *lsm_last_error();

	if (g->writer) {
		table_writer_abort(g->writer);
		delete_table(g);
	}
	for (size_t i = 0; i < g->tables_n; i++) {
		if (discard)
			atomic_store(&g->tables[i]->obsolete, true);
		table_meta_unref(g->tables[i]);
	}
	for (size_t i = 0; i < g->segments_n; i++) {
		segment_seal(g->segments[i]);
		segment_release(g->segments[i]);
	}
	free(g->tables);
	free(g->segments);
	buf_free(&g->last);
	buf_free(&g->ikey);
	free(g);
	status_adopt(&last);
}

int lsm_ingest_finish(struct lsm_ingest *g)
{
	struct lsm_db *db = g->db;
	int rc = finish(g);

	/* After a failure of the manifest nobody knows whether it names the tables. */
	end(g, rc && !atomic_load(&db->failed));
	return rc;
}

void lsm_ingest_abort(struct lsm_ingest *g)
{
	if (g)
		end(g, true);
}
