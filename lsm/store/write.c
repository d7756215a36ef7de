/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lsm/format/filter.h"
#include "lsm/store/db.h"

/* ---- failure ---- */

int db_fail(struct lsm_db *db)
{
	const struct lsm_error *e = lsm_last_error();

	/* The next open decides what is alive: it may be more than memory knows of. */
	segments_delete_dead(db->segments, false);
	mutex_lock(&db->lock);
	if (!atomic_load(&db->failed)) {
		db->failure = *e;
		atomic_store(&db->failed, true);
	}
	cond_broadcast(&db->change);
	cond_broadcast(&db->work);
	mutex_unlock(&db->lock);
	return e->code;
}

int db_check_writable(struct lsm_db *db)
{
	if (db->read_only)
		return status_set(LSM_READ_ONLY, 0, db->dir, 0, "%s was opened read-only", db->dir);
	if (atomic_load_explicit(&db->failed, memory_order_acquire))
		return status_set(LSM_READ_ONLY, db->failure.sys_errno, db->failure.file, db->failure.offset,
				  "%s is read-only since an error: %s. Open it again to recover what was durable",
				  db->dir, db->failure.message);
	return LSM_OK;
}

/* ---- memtables ---- */

/* Waits until another memtable may be put in line. commit and tree lock. */
static int wait_for_room(struct lsm_db *db, bool now)
{
	uint64_t start = env_now_ns(db->env);
	bool waited = false;

	while (atomic_load(&db->current)->imm_n + 2 > db->options.memtables_max) {
		if (now)
			return LSM_BUSY;
		if (atomic_load(&db->failed))
			return db_check_writable(db);
		/* The flush can't go on, for want of space perhaps: the writer learns why. */
		if (db->flush_failure.code)
			return status_adopt(&db->flush_failure);
		waited = true;
		cond_wait_us(&db->change, &db->lock, 100000);
	}
	if (waited) {
		delay_count(db, (env_now_ns(db->env) - start) / 1000);
		note_room_wait(db, start);
	}
	return LSM_OK;
}

int memtable_switch(struct lsm_db *db, bool now)
{
	struct memtable *m = NULL, *imm[MEMTABLES_MAX];
	struct superversion *sv = NULL, *old;
	uint64_t segment;
	int rc;

	mutex_lock(&db->lock);
	rc = wait_for_room(db, now);
	mutex_unlock(&db->lock);
	if (!rc)
		rc = wal_rotate(db->wal, &segment);
	if (!rc)
		rc = memtable_new(segment, db->options.memtable_bytes, &m);
	if (rc)
		return rc;
	/* Before the flush can see it: all segments that the old memtable refers to are sealed then. */
	direct_seal(db);
	mutex_lock(&db->lock);
	old = atomic_load(&db->current);
	imm[0] = old->mem;
	for (unsigned i = 0; i < old->imm_n; i++)
		imm[i + 1] = old->imm[i];
	rc = superversion_new(m, imm, old->imm_n + 1, old->version, &sv);
	if (!rc) {
		flush_reason_note(db, now);
		superversion_set(db, sv);
		db->mem = m; /* held by the superversion */
		db->mem_large_bytes = 0;
		db->mem_charge_at = 0;
	}
	mutex_unlock(&db->lock);
	memtable_unref(m);
	return rc;
}

enum { CHARGE_STEP_BYTES = 256 << 10 };

static bool nothing_in_line(struct lsm_db *db)
{
	bool empty;

	mutex_lock(&db->lock);
	empty = !atomic_load(&db->current)->imm_n;
	mutex_unlock(&db->lock);
	return empty;
}

static int make_room(struct lsm_db *db)
{
	size_t bytes = memtable_bytes(db->mem);
	uint64_t limit = db->options.memtable_bytes, large_limit = atomic_load(&db->hold_bytes_max), left;

	if (bytes >= limit || db->mem_large_bytes >= large_limit ||
	    (db->mem_large_bytes >= atomic_load_explicit(&db->hold_bytes, memory_order_relaxed) &&
	     nothing_in_line(db))) {
		int rc = memtable_switch(db, false);

		if (!rc)
			atomic_store_explicit(&db->mem_left_bytes, limit < large_limit ? limit : large_limit,
					      memory_order_relaxed);
		return rc;
	}
	left = limit - bytes < large_limit - db->mem_large_bytes ? limit - bytes : large_limit - db->mem_large_bytes;
	atomic_store_explicit(&db->mem_left_bytes, left, memory_order_relaxed);
	if (bytes >= db->mem_charge_at) {
		db->mem_charge_at = bytes + CHARGE_STEP_BYTES;
		memtables_charge(db);
	}
	return LSM_OK;
}

static int hold_pointer(struct lsm_db *db, struct memtable *m, struct lsm_slice pointer)
{
	struct blob_segment *seg;
	struct blob_ptr ptr;
	int rc = blob_ptr_decode(pointer, NULL, &ptr);

	if (!rc)
		rc = segment_get(db->segments, ptr.segment, &seg);
	if (rc)
		return rc;
	rc = memtable_hold_segment(m, seg);
	segment_release(seg);
	return rc;
}

static int apply_one(struct lsm_db *db, struct memtable *m, uint64_t sequence, const struct batch_op *op)
{
	if (op->type == ENTRY_RANGE_DELETE) {
		const struct range_del del = { op->key, op->value, sequence };

		return memtable_add_range_delete(m, &del);
	}
	if (op->type == ENTRY_BLOB) {
		int rc = hold_pointer(db, m, op->value);

		if (rc)
			return rc;
	}
	return memtable_add(m, op->key, trailer_of(sequence, op->type), op->value);
}

int memtable_apply(struct lsm_db *db, struct memtable *m, uint64_t sequence, struct batch_reader *ops)
{
	struct batch_op op;
	int more, rc;

	while ((more = batch_next(ops, &op)) > 0) {
		rc = apply_one(db, m, sequence++, &op);
		if (rc)
			return rc;
	}
	return more ? status_corrupt(db->dir, 0, "a log record of %s is no batch", db->dir) : LSM_OK;
}

/* ---- commit ---- */

struct commit {
	struct lsm_slice pieces[5]; /* of the log record */
	int pieces_n;
	const struct batch_op *op; /* a single operation, or */
	const struct batch *batch; /* a batch */
	uint64_t count;            /* of operations */
	uint64_t large_bytes;      /* of large values that it refers to */
};

static int append_and_apply(struct lsm_db *db, const struct commit *c, uint64_t *ret_lsn)
{
	uint64_t sequence = atomic_load_explicit(&db->last_sequence, memory_order_relaxed) + 1, lsn;
	struct batch_reader ops;
	int rc;

	if (sequence + c->count > SEQUENCE_MAX)
		return status_set(LSM_INVALID, 0, db->dir, 0, "%s has used up its sequence numbers", db->dir);
	if (c->op)
		memtable_prefetch(db->mem, filter_hash(c->op->key)); /* it comes while the log is written */
	rc = wal_append(db->wal, sequence, c->pieces, c->pieces_n, &lsn);
	if (rc)
		return rc;
	if (c->op) {
		rc = apply_one(db, db->mem, sequence, c->op);
	} else {
		batch_reader_init_ops(&ops, c->batch);
		rc = memtable_apply(db, db->mem, sequence, &ops);
	}
	/* The log has what memory hasn't: only a replay can bring them together again. */
	if (rc)
		return db_fail(db);
	db->mem_large_bytes += c->large_bytes;
	/* About once a segment: the flush thread has the next one ready before this one is full. */
	if (lsn / db->wal_segment_bytes !=
	    atomic_load_explicit(&db->acked_lsn, memory_order_relaxed) / db->wal_segment_bytes)
		cond_broadcast(&db->work);
	atomic_store_explicit(&db->acked_lsn, lsn, memory_order_release);
	atomic_store_explicit(&db->last_sequence, sequence + c->count - 1, memory_order_release);
	*ret_lsn = lsn;
	return LSM_OK;
}

static int commit(struct lsm_db *db, const struct commit *c, uint64_t user_bytes, unsigned flags)
{
	uint64_t lsn = 0;
	int rc;

	delay(db, user_bytes);
	rc = space_admit(db, user_bytes, flags);
	if (rc)
		return rc;
	mutex_lock(&db->commit);
	rc = db_check_writable(db);
	if (!rc && c->batch && c->batch->ops.size >= db->options.memtable_bytes) {
		rc = load_batch(db, c->batch); /* durable as it is */
	} else {
		if (!rc)
			rc = make_room(db);
		if (!rc)
			rc = append_and_apply(db, c, &lsn);
	}
	mutex_unlock(&db->commit);
	if (rc)
		return rc;
	count(db->writes, 1);
	count(db->operations, c->count);
	count(db->user_bytes, user_bytes);
	return flags & LSM_WRITE_SYNC ? sync_to(db, lsn) : LSM_OK;
}

static int check_flags(unsigned flags)
{
	if (flags & ~(LSM_WRITE_SYNC | LSM_WRITE_FREES))
		return status_set(LSM_INVALID, 0, NULL, 0, "unknown write flags %#x", flags);
	return LSM_OK;
}

/* The record of a single operation is built of pieces: nothing is copied on the way to the log. */
static int commit_op(struct lsm_db *db, const struct batch_op *op, uint64_t user_bytes, uint64_t large_bytes,
		     unsigned flags)
{
	uint8_t head[2 + VARINT_BYTES_MAX], middle[VARINT_BYTES_MAX];
	struct commit c = { .op = op, .count = 1, .large_bytes = large_bytes };
	size_t n = put_varint(head, 1);

	if (op->type == ENTRY_DELETE || op->type == ENTRY_RANGE_DELETE)
		flags |= LSM_WRITE_FREES;
	head[n++] = (uint8_t)op->type;
	n += put_varint(head + n, op->key.size);
	c.pieces[0] = slice_of(head, n);
	c.pieces[1] = op->key;
	c.pieces_n = 2;
	if (op->type != ENTRY_DELETE) {
		c.pieces[2] = slice_of(middle, put_varint(middle, op->value.size));
		c.pieces[3] = op->value;
		c.pieces_n = 4;
	}
	return commit(db, &c, user_bytes, flags);
}

static int put_large(struct lsm_db *db, struct lsm_slice key, struct lsm_slice value, unsigned flags)
{
	struct blob_segment *seg = NULL;
	struct blob_ptr ptr;
	uint8_t pointer[BLOB_PTR_BYTES_MAX];
	struct batch_op op = { .type = ENTRY_BLOB, .key = key };
	int rc = direct_add(db, value, &ptr, &seg);

	if (rc)
		return rc;
	op.value = slice_of(pointer, blob_ptr_encode(pointer, &ptr));
	rc = commit_op(db, &op, key.size + value.size, value.size, flags);
	segment_release(seg);
	return rc;
}

int lsm_put(struct lsm_db *db, struct lsm_slice key, struct lsm_slice value, unsigned flags)
{
	const struct batch_op op = { ENTRY_PUT, key, value };
	uint64_t start = sample_begin(db, LSM_HISTOGRAM_WRITE);
	int rc = check_flags(flags);

	if (!rc)
		rc = check_key(key);
	if (!rc && value.size > LSM_VALUE_BYTES_MAX)
		rc = status_set(LSM_INVALID, 0, NULL, 0, "a value of %zu bytes: values have at most %u", value.size,
				LSM_VALUE_BYTES_MAX);
	if (rc)
		return rc;
	if (value.size >= db->options.blob_direct_bytes)
		rc = put_large(db, key, value, flags);
	else
		rc = commit_op(db, &op, key.size + value.size, 0, flags);
	sample_end(db, LSM_HISTOGRAM_WRITE, start);
	return rc;
}

int lsm_delete(struct lsm_db *db, struct lsm_slice key, unsigned flags)
{
	const struct batch_op op = { .type = ENTRY_DELETE, .key = key };
	uint64_t start = sample_begin(db, LSM_HISTOGRAM_WRITE);
	int rc = check_flags(flags);

	if (!rc)
		rc = check_key(key);
	if (!rc)
		rc = commit_op(db, &op, key.size, 0, flags);
	sample_end(db, LSM_HISTOGRAM_WRITE, start);
	return rc;
}

static int check_range(struct lsm_slice begin, struct lsm_slice end)
{
	int rc = check_key(begin);

	if (!rc)
		rc = check_key(end);
	if (!rc && slice_compare(begin, end) >= 0)
		rc = status_set(LSM_INVALID, 0, NULL, 0, "a range of keys whose end is not behind its beginning");
	return rc;
}

int lsm_delete_range(struct lsm_db *db, struct lsm_slice begin, struct lsm_slice end, unsigned flags)
{
	const struct batch_op op = { ENTRY_RANGE_DELETE, begin, end };
	int rc = check_flags(flags);

	if (!rc)
		rc = check_range(begin, end);
	return rc ? rc : commit_op(db, &op, begin.size + end.size, 0, flags);
}

int lsm_write(struct lsm_db *db, struct lsm_batch *batch, unsigned flags)
{
	uint8_t head[VARINT_BYTES_MAX];
	struct commit c = { .batch = &batch->batch, .count = batch->batch.count, .large_bytes = batch->large_bytes };
	uint64_t start = sample_begin(db, LSM_HISTOGRAM_WRITE);
	int rc = check_flags(flags);

	if (!rc && batch->db != db)
		rc = status_set(LSM_INVALID, 0, NULL, 0, "the batch was made for another store");
	if (rc)
		return rc;
	if (!c.count)
		return flags & LSM_WRITE_SYNC ? lsm_sync(db) : LSM_OK;
	c.pieces[0] = slice_of(head, put_varint(head, c.count));
	c.pieces[1] = buf_slice(&batch->batch.ops);
	c.pieces_n = 2;
	rc = commit(db, &c, batch->batch.user_bytes, flags);
	sample_end(db, LSM_HISTOGRAM_WRITE, start);
	return rc;
}

/* ---- batches ---- */

int lsm_batch_new(struct lsm_db *db, struct lsm_batch **ret_batch)
{
	struct lsm_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return status_no_memory(sizeof(*b));
	b->db = db;
	*ret_batch = b;
	return LSM_OK;
}

static void release_segments(struct lsm_batch *batch)
{
	for (size_t i = 0; i < batch->segments_n; i++)
		segment_release(batch->segments[i]);
	batch->segments_n = 0;
	batch->large_bytes = 0;
}

void lsm_batch_clear(struct lsm_batch *batch)
{
	release_segments(batch);
	buf_clear(&batch->batch.ops);
	batch->batch.count = 0;
	batch->batch.user_bytes = 0;
}

void lsm_batch_free(struct lsm_batch *batch)
{
	if (!batch)
		return;
	release_segments(batch);
	free(batch->segments);
	batch_done(&batch->batch);
	free(batch);
}

size_t lsm_batch_count(const struct lsm_batch *batch)
{
	return batch->batch.count;
}

static int add_op(struct lsm_batch *batch, const struct batch_op *op, uint64_t user_bytes)
{
	enum { SLACK = 64 };

	if (batch->batch.ops.size + op->key.size + op->value.size + SLACK > UINT32_MAX)
		return status_set(LSM_INVALID, 0, NULL, 0, "the batch would be larger than 4 GiB");
	if (!batch_add(&batch->batch, op))
		return status_no_memory(op->key.size + op->value.size);
	batch->batch.user_bytes += user_bytes;
	return LSM_OK;
}

/* Adds an operation that refers to `seg`, and takes over the hold on it. */
static int add_pointer(struct lsm_batch *batch, struct lsm_slice key, const struct blob_ptr *ptr,
		       struct blob_segment *seg)
{
	struct blob_segment **p = realloc(batch->segments, (batch->segments_n + 1) * sizeof(*p));
	uint8_t pointer[BLOB_PTR_BYTES_MAX];
	struct batch_op op = { .type = ENTRY_BLOB, .key = key };
	int rc;

	if (!p) {
		segment_release(seg);
		return status_no_memory((batch->segments_n + 1) * sizeof(*p));
	}
	batch->segments = p;
	op.value = slice_of(pointer, blob_ptr_encode(pointer, ptr));
	rc = add_op(batch, &op, key.size + ptr->part_size);
	if (rc) {
		segment_release(seg);
		return rc;
	}
	p[batch->segments_n++] = seg;
	return LSM_OK;
}

int lsm_batch_put(struct lsm_batch *batch, struct lsm_slice key, struct lsm_slice value)
{
	const struct batch_op op = { ENTRY_PUT, key, value };
	struct blob_segment *seg = NULL;
	struct blob_ptr ptr;
	int rc = check_key(key);

	if (!rc && value.size > LSM_VALUE_BYTES_MAX)
		rc = status_set(LSM_INVALID, 0, NULL, 0, "a value of %zu bytes: values have at most %u", value.size,
				LSM_VALUE_BYTES_MAX);
	if (rc)
		return rc;
	if (value.size < batch->db->options.blob_direct_bytes)
		return add_op(batch, &op, key.size + value.size);
	rc = direct_add(batch->db, value, &ptr, &seg);
	if (!rc)
		rc = add_pointer(batch, key, &ptr, seg);
	if (!rc)
		batch->large_bytes += value.size;
	return rc;
}

int batch_put_pointer(struct lsm_batch *batch, struct lsm_slice key, const struct blob_ptr *ptr)
{
	struct blob_segment *seg;
	int rc = check_key(key);

	if (!rc)
		rc = segment_get(batch->db->segments, ptr->segment, &seg);
	return rc ? rc : add_pointer(batch, key, ptr, seg);
}

int lsm_batch_delete(struct lsm_batch *batch, struct lsm_slice key)
{
	const struct batch_op op = { .type = ENTRY_DELETE, .key = key };
	int rc = check_key(key);

	return rc ? rc : add_op(batch, &op, key.size);
}

int lsm_batch_delete_range(struct lsm_batch *batch, struct lsm_slice begin, struct lsm_slice end)
{
	const struct batch_op op = { ENTRY_RANGE_DELETE, begin, end };
	int rc = check_range(begin, end);

	return rc ? rc : add_op(batch, &op, begin.size + end.size);
}
