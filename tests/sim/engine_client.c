/* SPDX-License-Identifier: MIT */
#include "tests/sim/engine_client.h"

#include <stdlib.h>
#include <string.h>

void client_check(int rc, const char *what)
{
	if (rc)
		sim_fail("cannot %s: %s: %s", what, lsm_strerror(rc), lsm_last_error()->message);
}

int client_check_faulty(int rc, const char *what)
{
	if (rc)
		sim_tell("cannot %s: %s", what, lsm_last_error()->message);
	if (!sim_faults.met || (rc != LSM_IO && rc != LSM_NO_SPACE && rc != LSM_READ_ONLY))
		client_check(rc, what);
	return rc;
}

void client_begin(struct engine_client *e, struct lsm_db *db, struct client *c, const struct lsm_options *options)
{
	*e = (struct engine_client){ .db = db, .c = c, .options = options };
	client_check(lsm_batch_new(db, &e->batch), "make a batch");
}

void client_end(struct engine_client *e)
{
	for (int i = 0; i < SNAPSHOTS; i++)
		if (e->snapshots[i].snapshot)
			lsm_snapshot_free(e->db, e->snapshots[i].snapshot);
	lsm_batch_free(e->batch);
}

/* ---- writing ---- */

static uint32_t size_choose(const struct engine_client *e)
{
	const struct lsm_options *o = e->options;

	if (sim_chance(70))
		return (uint32_t)sim_between(VALUE_BYTES_MIN, 300);
	if (sim_chance(60))
		return (uint32_t)sim_between(300, o->blob_min_bytes * 2);
	return (uint32_t)sim_between(o->blob_direct_bytes, o->blob_direct_bytes + 40000);
}

static void change_choose(const struct engine_client *e, struct key_change *ch)
{
	ch->begin = (unsigned)rng_below(&sim.rng, KEYS);
	ch->end = ch->begin + 1;
	ch->size = 0;
	if (sim_chance(5))
		ch->end = (unsigned)sim_between(ch->begin + 1, KEYS);
	else if (!sim_chance(20))
		ch->size = size_choose(e);
}

/* The key behind the range, by its first bytes. */
static struct lsm_slice end_key(const struct client *c, unsigned end, char buf[KEY_BYTES_MAX])
{
	if (end < KEYS)
		return client_key(c, end, buf);
	buf[0] = (char)('a' + c->number + 1);
	return (struct lsm_slice){ buf, 1 };
}

static int change_one(struct engine_client *e, const struct op_record *op, unsigned flags)
{
	const struct key_change *ch = &op->changes[0];
	char begin[KEY_BYTES_MAX], end[KEY_BYTES_MAX];
	struct lsm_slice key = client_key(e->c, ch->begin, begin);
	void *value;
	int rc;

	if (!ch->size && ch->end == ch->begin + 1)
		return lsm_delete(e->db, key, flags);
	if (!ch->size)
		return lsm_delete_range(e->db, key, end_key(e->c, ch->end, end), flags);
	value = value_make(e->c, change_id(op, 0), ch->begin, ch->size);
	rc = lsm_put(e->db, key, (struct lsm_slice){ value, ch->size }, flags);
	free(value);
	return rc;
}

static int batch_add(struct engine_client *e, const struct op_record *op, unsigned i)
{
	const struct key_change *ch = &op->changes[i];
	char begin[KEY_BYTES_MAX], end[KEY_BYTES_MAX];
	struct lsm_slice key = client_key(e->c, ch->begin, begin);
	void *value;
	int rc;

	if (!ch->size && ch->end == ch->begin + 1)
		return lsm_batch_delete(e->batch, key);
	if (!ch->size)
		return lsm_batch_delete_range(e->batch, key, end_key(e->c, ch->end, end));
	value = value_make(e->c, change_id(op, i), ch->begin, ch->size);
	rc = lsm_batch_put(e->batch, key, (struct lsm_slice){ value, ch->size });
	free(value);
	return rc;
}

static int change_batch(struct engine_client *e, const struct op_record *op, unsigned flags)
{
	int rc = LSM_OK;

	lsm_batch_clear(e->batch);
	for (unsigned i = 0; !rc && i < op->n; i++)
		rc = batch_add(e, op, i);
	return rc ? rc : lsm_write(e->db, e->batch, flags);
}

static bool is_failed(struct lsm_db *db)
{
	struct lsm_ingest *ingest = NULL;
	int rc = lsm_ingest_new(db, &ingest);

	lsm_ingest_abort(ingest);
	return rc == LSM_READ_ONLY;
}

/*
 * As long as the store takes writes, what it refused isn't there. When it doesn't any more, nobody knows; and after a sync
 * that failed memory has it.
 */
static void refused(struct engine_client *e, int rc, unsigned flags)
{
	bool before = e->failed;

	if (before && rc != LSM_READ_ONLY)
		sim_fail("a store that has failed answers a write with %s", lsm_strerror(rc));
	e->failed = is_failed(e->db);
	oracle_refused(e->c, before || !e->failed);
	if (!before && e->failed && flags)
		e->unsure = true;
}

static void step_write(struct engine_client *e)
{
	unsigned flags = sim_chance(15) ? LSM_WRITE_SYNC : 0;
	struct op_record *op = oracle_begin(e->c);
	struct moment m = oracle_now();
	bool batch = sim_chance(40);
	int rc;

	op->n = batch ? (unsigned)sim_between(1, CHANGES_MAX) : 1;
	for (unsigned i = 0; i < op->n; i++)
		change_choose(e, &op->changes[i]);
	sim_tell("operation %llu: %u changes, the first of keys [%u,%u) to %u bytes, flags %u",
		 (unsigned long long)op->number, op->n, op->changes[0].begin, op->changes[0].end, op->changes[0].size,
		 flags);
	rc = client_check_faulty(batch ? change_batch(e, op, flags) : change_one(e, op, flags), "write");
	if (rc) {
		refused(e, rc, flags);
		return;
	}
	if (e->failed)
		sim_fail("a store that has failed takes a write");
	oracle_done(e->c);
	m.done[e->c->number] = e->c->ops_n;
	if (flags)
		oracle_durable(&m);
}

static void step_sync(struct engine_client *e)
{
	struct moment m = oracle_now();

	if (!client_check_faulty(lsm_sync(e->db), "sync"))
		oracle_durable(&m);
}

/* ---- reading ---- */

bool client_get(struct lsm_db *db, const struct lsm_snapshot *snapshot, const struct client *c, unsigned key,
		value_id *ret)
{
	char buf[KEY_BYTES_MAX];
	struct lsm_value v = { 0 };
	int rc = lsm_get(db, snapshot, client_key(c, key, buf), &v);

	*ret = 0;
	if (rc == LSM_NOT_FOUND)
		return true;
	if (client_check_faulty(rc, "get"))
		return false;
	*ret = value_check(c, key, (struct lsm_slice){ v.data, v.size });
	lsm_value_release(&v);
	return true;
}

static void expect(const struct client *c, unsigned key, value_id got, value_id wanted)
{
	if (got != wanted)
		sim_fail("key %c %02u has the value of operation %llu, and should have that of %llu", 'a' + c->number,
			 key, (unsigned long long)(got >> 8), (unsigned long long)(wanted >> 8));
}

static void get_some(struct engine_client *e, const struct lsm_snapshot *snapshot, const value_id *keys)
{
	for (uint64_t n = sim_between(1, 4); n; n--) {
		unsigned key = (unsigned)rng_below(&sim.rng, KEYS);
		value_id got;

		if (client_get(e->db, snapshot, e->c, key, &got))
			expect(e->c, key, got, keys[key]);
	}
}

static int keys_find(struct engine_client *e, struct lsm_iter *it, value_id *found)
{
	bool forward = sim_chance(50);

	for (forward ? lsm_iter_seek_first(it) : lsm_iter_seek_last(it); lsm_iter_valid(it);
	     forward ? lsm_iter_next(it) : lsm_iter_prev(it)) {
		struct lsm_slice value;
		unsigned client, key;

		key_parse(lsm_iter_key(it), &client, &key);
		if (client_check_faulty(lsm_iter_value(it, &value), "read a value"))
			return LSM_IO;
		found[key] = value_check(e->c, key, value);
	}
	return client_check_faulty(lsm_iter_status(it), "iterate");
}

static void iterate(struct engine_client *e, const struct lsm_snapshot *snapshot, const value_id *keys)
{
	char lower[KEY_BYTES_MAX], upper[KEY_BYTES_MAX];
	const struct lsm_iter_options options = {
		.snapshot = snapshot,
		.lower = client_key(e->c, 0, lower),
		.upper = end_key(e->c, KEYS, upper),
	};
	value_id found[KEYS] = { 0 };
	struct lsm_iter *it = NULL;

	if (client_check_faulty(lsm_iter_new(e->db, &options, &it), "make an iterator"))
		return;
	if (!keys_find(e, it, found))
		for (unsigned k = 0; k < KEYS; k++)
			expect(e->c, k, found[k], keys[k]);
	lsm_iter_free(it);
}

static void step_read(struct engine_client *e)
{
	if (e->unsure)
		return;
	if (sim_chance(70))
		get_some(e, NULL, e->c->now);
	else
		iterate(e, NULL, e->c->now);
}

static void step_snapshot(struct engine_client *e)
{
	unsigned i = (unsigned)rng_below(&sim.rng, SNAPSHOTS);
	struct lsm_snapshot *snapshot = e->snapshots[i].snapshot;

	if (!snapshot) {
		if (e->unsure)
			return;
		client_check(lsm_snapshot_new(e->db, &e->snapshots[i].snapshot), "make a snapshot");
		memcpy(e->snapshots[i].keys, e->c->now, sizeof(e->c->now));
		return;
	}
	if (sim_chance(50))
		get_some(e, snapshot, e->snapshots[i].keys);
	else
		iterate(e, snapshot, e->snapshots[i].keys);
	if (sim_chance(30)) {
		lsm_snapshot_free(e->db, snapshot);
		e->snapshots[i].snapshot = NULL;
	}
}

void client_step(struct engine_client *e)
{
	static const struct lsm_slice none;
	uint64_t what = rng_below(&sim.rng, 100);

	if (what < 60)
		step_write(e);
	else if (what < 67)
		step_sync(e);
	else if (what < 87)
		step_read(e);
	else if (what < 93)
		step_snapshot(e);
	else if (what < 95)
		(void)client_check_faulty(lsm_flush(e->db), "flush");
	else if (what < 96)
		(void)client_check_faulty(lsm_compact_range(e->db, none, none), "compact");
	else
		fiber_sleep(rng_below(&sim.rng, UINT64_C(1) << sim_between(10, 33)));
}
