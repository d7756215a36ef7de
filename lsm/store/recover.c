/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "lsm/store/db.h"

/* ---- replay of the log ---- */

enum { VERIFIED_MAX = 1024 };

struct replay {
	struct lsm_db *db;
	struct {
		uint64_t segment, offset;
	} verified[VERIFIED_MAX];               /* stored values, by a hash of their place */
	uint64_t anew;                          /* blob segment that segment_read_anew() was called for last */
	uint64_t last_sequence;                 /* of the manifest, then of the records */
	uint64_t segment;                       /* of the last record */
	struct memtable *tables[MEMTABLES_MAX]; /* the oldest first; the last one is being filled */
	unsigned tables_n;
	uint64_t large_bytes; /* of the large values that were written for the last one */
};

/* Of one stored value many records may refer to parts: it is read once. */
static int verify(struct replay *r, const struct blob_ptr *ptr)
{
	size_t i = (ptr->segment * 31 + ptr->offset / 8) % VERIFIED_MAX;

	int rc = LSM_OK;

	if (r->verified[i].segment == ptr->segment && r->verified[i].offset == ptr->offset)
		return LSM_OK;
	/* They are filled one after the other: with each it is done about once. */
	if (r->anew != ptr->segment)
		rc = segment_read_anew(r->db->segments, ptr->segment);
	if (!rc) {
		r->anew = ptr->segment;
		rc = segment_verify(r->db->segments, ptr);
	}
	if (!rc) {
		r->verified[i].segment = ptr->segment;
		r->verified[i].offset = ptr->offset;
	}
	return rc;
}

/*
 * The record of a large value may have reached the disk in a power cut that its bytes have not: then history ended before
 * it. What a mark calls durable needs no look.
 */
static int check_pointers(struct replay *r, const struct wal_record *record)
{
	struct batch_reader ops;
	struct batch_op op;

	if (record->durable || !batch_reader_init(&ops, record->payload))
		return LSM_OK;
	while (batch_next(&ops, &op) > 0) {
		struct blob_ptr ptr;
		int rc;

		if (op.type != ENTRY_BLOB)
			continue;
		rc = blob_ptr_decode(op.value, r->db->dir, &ptr);
		if (!rc)
			rc = verify(r, &ptr);
		/* A file that the disk can't read is another matter than one that was never written. */
		if (rc == LSM_CORRUPT || (rc == LSM_IO && lsm_last_error()->sys_errno == ENOENT))
			return LSM_NOT_FOUND;
		if (rc)
			return rc;
	}
	return LSM_OK;
}

static int add_memtable(struct replay *r, uint64_t first_segment)
{
	int rc = memtable_new(first_segment, r->db->options.memtable_bytes, &r->tables[r->tables_n]);

	r->tables_n += !rc;
	r->large_bytes = 0;
	return rc;
}

/* Memtables are cut where segments are, so that the log can be released up to a memtable. */
static int make_room(struct replay *r, uint64_t segment)
{
	struct memtable *m = r->tables[r->tables_n - 1];

	if (segment == r->segment || memtable_bytes(m) < r->db->options.memtable_bytes || r->tables_n == MEMTABLES_MAX)
		return LSM_OK;
	return add_memtable(r, segment);
}

/* Parts are of values that were there before. */
static int count_large(struct replay *r, const struct wal_record *record)
{
	struct batch_reader ops;
	struct blob_ptr ptr;
	struct batch_op op;

	batch_reader_init(&ops, record->payload);
	while (batch_next(&ops, &op) > 0) {
		int rc = op.type == ENTRY_BLOB ? blob_ptr_decode(op.value, r->db->dir, &ptr) : LSM_OK;

		if (rc)
			return rc;
		if (op.type == ENTRY_BLOB && ptr.part_size == ptr.value_size)
			r->large_bytes += ptr.value_size;
	}
	return LSM_OK;
}

static int replay_record(void *ctx, const struct wal_record *record)
{
	struct replay *r = ctx;
	struct batch_reader ops;
	int rc = check_pointers(r, record);

	if (!rc)
		rc = make_room(r, record->segment);
	if (rc)
		return rc;
	r->segment = record->segment;
	if (!batch_reader_init(&ops, record->payload))
		return status_corrupt(r->db->dir, 0, "the log record at LSN %llu of %s is no batch",
				      (unsigned long long)record->lsn, r->db->dir);
	rc = memtable_apply(r->db, r->tables[r->tables_n - 1], record->sequence, &ops);
	if (!rc)
		rc = count_large(r, record);
	if (!rc) {
		batch_reader_init(&ops, record->payload);
		r->last_sequence = record->sequence + ops.left - 1;
		r->db->recovered_records++;
	}
	return rc;
}

/* Can what a pointer refers to be read, even if something else is damaged about it? */
static bool is_readable(struct replay *r, struct lsm_slice pointer, struct blob_ptr *ret)
{
	uint8_t *data;
	bool good;

	*ret = (struct blob_ptr){ 0 };
	if (blob_ptr_decode(pointer, r->db->dir, ret))
		return false;
	if (!verify(r, ret))
		return true;
	data = malloc(ret->part_size ? ret->part_size : 1);
	good = data && !segment_read(r->db->segments, ret, 0, data, ret->part_size);
	free(data);
	return good;
}

/* For a repair: what refers to a large value that can't be read becomes a delete, so that no older value shows. */
static int salvage_payload(struct replay *r, uint64_t sequence, struct lsm_slice payload, struct batch *ret,
			   bool *ret_changed)
{
	struct salvage *salvage = r->db->salvage;
	struct batch_reader ops;
	struct batch_op op;
	struct blob_ptr ptr;

	if (!batch_reader_init(&ops, payload))
		return LSM_OK;
	for (; batch_next(&ops, &op) > 0; sequence++) {
		if (op.type == ENTRY_BLOB && !is_readable(r, op.value, &ptr)) {
			int rc = salvage->lost(salvage->ctx, op.key, sequence, &ptr);

			if (rc)
				return rc;
			op.type = ENTRY_DELETE;
			op.value = slice_of(NULL, 0);
			salvage->deleted++;
			*ret_changed = true;
		}
		if (!batch_add(ret, &op))
			return status_no_memory(payload.size);
	}
	return LSM_OK;
}

static int replay_salvaged(struct replay *r, const struct wal_record *record)
{
	struct wal_record again = *record;
	struct batch batch = { 0 };
	struct buf whole = { 0 };
	bool changed = false;
	int rc = salvage_payload(r, record->sequence, record->payload, &batch, &changed);

	if (!rc && changed) {
		buf_put_varint(&whole, batch.count);
		buf_append_slice(&whole, buf_slice(&batch.ops));
		rc = whole.failed ? status_no_memory(whole.size) : LSM_OK;
		again.payload = buf_slice(&whole);
	}
	again.durable = true; /* all that it refers to has been looked at */
	if (!rc)
		rc = replay_record(r, &again);
	batch_done(&batch);
	buf_free(&whole);
	return rc;
}

static int on_record(void *ctx, const struct wal_record *record)
{
	struct replay *r = ctx;
	struct salvage *salvage = r->db->salvage;

	if (!salvage)
		return replay_record(ctx, record);
	return record->sequence > salvage->sequence ? replay_salvaged(r, record) : LSM_OK;
}

static int replay_log(struct lsm_db *db, const struct manifest_state *state, struct replay *r)
{
	const struct wal_options o = {
		.segment_bytes = db->wal_segment_bytes,
		.spare_max = db->options.memtables_max * 8,
		.read_only = db->read_only,
		.salvage = db->salvage,
	};
	uint64_t end = 0;
	int rc = add_memtable(r, state->first_segment);

	if (!rc)
		rc = wal_open(db->env, db->dir, &o, &db->wal);
	if (!rc)
		rc = wal_replay(db->wal, state->first_segment, on_record, r, &end);
	if (!rc && !db->read_only)
		rc = wal_start(db->wal, state->first_segment);
	atomic_store(&db->acked_lsn, end);
	return rc;
}

/* ---- files that nothing refers to ---- */

struct numbers {
	uint64_t *list;
	size_t n, capacity;
};

struct scan {
	struct lsm_db *db;
	struct numbers tables; /* of the current version, ascending */
	uint64_t manifest;
	uint64_t largest; /* number of any file */
	bool remove;
};

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int list_tables(const struct version *v, struct numbers *ret)
{
	size_t n = 0;

	for (unsigned l = 0; l < LSM_LEVELS; l++)
		n += v->levels[l].n;
	ret->list = malloc((n + 1) * sizeof(*ret->list));
	if (!ret->list)
		return status_no_memory((n + 1) * sizeof(*ret->list));
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		for (size_t i = 0; i < v->levels[l].n; i++)
			ret->list[ret->n++] = v->levels[l].tables[i]->number;
	}
	qsort(ret->list, ret->n, sizeof(*ret->list), compare_u64);
	return LSM_OK;
}

static bool is_needed(const struct scan *s, enum store_file kind, uint64_t number)
{
	switch (kind) {
	case STORE_TABLE:
		return bsearch(&number, s->tables.list, s->tables.n, sizeof(number), compare_u64) != NULL;
	case STORE_BLOB:
		return segments_holds(s->db->segments, number);
	case STORE_MANIFEST:
		return number == s->manifest;
	}
	return true;
}

static int look_at(void *ctx, const char *name)
{
	struct scan *s = ctx;
	enum store_file kind;
	uint64_t number;
	char *path;

	if (!store_file_parse(name, &kind, &number)) {
		if (!s->remove || (strcmp(name, "CURRENT.tmp") && strcmp(name, "OPTIONS.tmp")))
			return LSM_OK;
	} else {
		if (number > s->largest)
			s->largest = number;
		if (!s->remove || is_needed(s, kind, number))
			return LSM_OK;
	}
	path = env_path(s->db->dir, name);
	if (!path)
		return status_no_memory(strlen(name));
	db_log(s->db, "leftover file=\"%s\"", path);
	env_discard(s->db->env, path);
	free(path);
	return LSM_OK;
}

static int largest_number(struct lsm_db *db, uint64_t *ret)
{
	struct scan s = { .db = db };
	int rc = db->env->ops->list(db->env, db->dir, look_at, &s);

	*ret = s.largest;
	return rc;
}

static int remove_strays(struct lsm_db *db, const struct version *v)
{
	struct scan s = { .db = db, .manifest = manifest_number(db->manifest), .remove = true };
	int rc = list_tables(v, &s.tables);

	if (!rc)
		rc = db->env->ops->list(db->env, db->dir, look_at, &s);
	free(s.tables.list);
	return rc;
}

/* ---- all of it ---- */

static int first_superversion(struct lsm_db *db, struct replay *r, struct version *version)
{
	struct memtable *imm[MEMTABLES_MAX];
	struct superversion *sv;
	unsigned n = r->tables_n - 1;
	int rc;

	for (unsigned i = 0; i < n; i++)
		imm[i] = r->tables[n - 1 - i];
	for (unsigned i = 0; !db->read_only && i <= n; i++) {
		rc = memtable_each_segment(r->tables[i], direct_adopt, db);
		if (rc)
			return rc;
	}
	rc = superversion_new(r->tables[n], imm, n, version, &sv);
	if (rc)
		return rc;
	mutex_lock(&db->lock);
	superversion_set(db, sv);
	mutex_unlock(&db->lock);
	db->mem = r->tables[n];
	db->mem_large_bytes = r->large_bytes;
	return LSM_OK;
}

static int start_manifest(struct lsm_db *db, struct manifest_state *state, uint64_t last_sequence)
{
	char path[STORE_PATH_MAX];
	uint64_t largest, number;
	bool unknown;
	int rc = largest_number(db, &largest);

	if (rc)
		return rc;
	if (largest >= state->next_number)
		state->next_number = largest + 1;
	number = state->next_number++;
	state->last_sequence = last_sequence;
	atomic_store(&db->next_number, state->next_number);
	rc = manifest_create(&db->tree, number, state, &db->manifest, &unknown);
	if (!rc && state->number) {
		/* The one that was read is history now; left behind, it would be a stray file at the next open. */
		store_file_path(path, db->dir, STORE_MANIFEST, state->number);
		env_discard(db->env, path);
	}
	return rc;
}

int recover(struct lsm_db *db)
{
	struct manifest_state state = { 0 };
	struct replay r = { .db = db };
	uint64_t start = env_now_us(db->env);
	int rc = db->is_new || db->read_only ? LSM_OK : manifest_settle(&db->tree);

	if (!rc)
		rc = db->is_new ? manifest_state_new(&state) : manifest_read(&db->tree, &state);
	if (rc)
		return rc;
	r.last_sequence = state.last_sequence;
	rc = replay_log(db, &state, &r);
	if (!rc && r.last_sequence < state.last_sequence)
		r.last_sequence = state.last_sequence;
	db->first_segment = state.first_segment;
	db->named = state.named;
	if (!rc && !db->read_only)
		rc = start_manifest(db, &state, r.last_sequence);
	if (!rc && !db->read_only)
		rc = remove_strays(db, state.version);
	atomic_store(&db->last_sequence, r.last_sequence);
	if (!rc)
		rc = first_superversion(db, &r, state.version);
	for (unsigned i = 0; i < r.tables_n; i++)
		memtable_unref(r.tables[i]);
	version_unref(state.version);
	db->recovery_us = env_now_us(db->env) - start;
	if (!rc && db->recovered_records)
		db_log(db, "recovery records=%llu seconds=%.3f", (unsigned long long)db->recovered_records,
		       (double)db->recovery_us / 1e6);
	return rc;
}
