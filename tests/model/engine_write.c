/* SPDX-License-Identifier: MIT */
/* The writing half of the model test. */
#include <string.h>

#include "tests/model/engine_run.h"

enum { VALUE_BUF_BYTES = 4 << 20 };
static uint8_t value_buf[VALUE_BUF_BYTES];

static unsigned write_flags(struct run *r)
{
	return rng_one_in(&r->rng, 30) ? LSM_WRITE_SYNC : 0;
}

/* Sizes on both sides of each threshold, and a few that are large. */
static uint32_t random_size(struct run *r)
{
	struct rng *rng = &r->rng;
	uint64_t what = rng_below(rng, 1000);

	if (what < 30)
		return 0;
	if (what < 500)
		return (uint32_t)rng_below(rng, 64);
	if (what < 860)
		return (uint32_t)rng_below(rng, 700);
	if (what < 930)
		return r->options.blob_min_bytes - 2 + (uint32_t)rng_below(rng, 5);
	if (what < 980)
		return r->options.blob_direct_bytes - 2 + (uint32_t)rng_below(rng, 5);
	if (what < 998)
		return 16000 + (uint32_t)rng_below(rng, 150000);
	return 1000000 + (uint32_t)rng_below(rng, 1000000);
}

static struct lsm_slice random_value(struct run *r, struct model_value *v)
{
	*v = (struct model_value){ .seed = r->world->value_seed++, .size = random_size(r), .present = true };
	CHECK(v->size <= VALUE_BUF_BYTES, "value of %u bytes", v->size);
	model_value_fill(v, 0, value_buf, v->size);
	return (struct lsm_slice){ value_buf, v->size };
}

static size_t random_key(struct run *r)
{
	return rng_below(&r->rng, r->universe->n);
}

/* Two bounds, begin < end; mostly near each other. */
static void random_range(struct run *r, struct lsm_slice *begin, struct lsm_slice *end)
{
	const struct universe *u = r->universe;
	size_t first, last;

	for (;;) {
		*begin = probe_key(u, &r->rng);
		first = universe_find(u, *begin);
		last = first + 1 + rng_below(&r->rng, rng_one_in(&r->rng, 10) ? u->n : 40);
		*end = last < u->n && !rng_one_in(&r->rng, 3) ? u->keys[last] : probe_key(u, &r->rng);
		if (universe_find(u, *end) > first)
			return;
	}
}

static void model_delete_range(struct run *r, struct model *m, struct lsm_slice begin, struct lsm_slice end)
{
	size_t last = universe_find(r->universe, end);

	for (size_t i = universe_find(r->universe, begin); i < last; i++)
		m->values[i].present = false;
}

static void write_put(struct run *r)
{
	size_t key = random_key(r);
	struct model *next = world_next(r->world);
	struct lsm_slice value = random_value(r, &next->values[key]);

	world_begin(r->world);
	CHECK_OK(lsm_put(r->db, r->universe->keys[key], value, write_flags(r)));
	world_commit(r->world);
}

static void write_delete(struct run *r)
{
	size_t key = random_key(r);
	struct model *next = world_next(r->world);

	next->values[key].present = false;
	world_begin(r->world);
	CHECK_OK(lsm_delete(r->db, r->universe->keys[key], write_flags(r)));
	world_commit(r->world);
}

static void write_delete_range(struct run *r)
{
	struct model *next = world_next(r->world);
	struct lsm_slice begin, end;

	random_range(r, &begin, &end);
	model_delete_range(r, next, begin, end);
	world_begin(r->world);
	CHECK_OK(lsm_delete_range(r->db, begin, end, write_flags(r)));
	world_commit(r->world);
}

/* Puts a part of the value at which a fresh iterator stands; `next` is unchanged when there is no value to stand at. */
static void batch_put_part(struct run *r, struct model *next)
{
	struct held_snapshot *s = &r->snapshots[rng_below(&r->rng, RUN_SNAPSHOTS)];
	const struct model *m = s->snapshot ? s->model : world_now(r->world);
	struct lsm_iter_options options = { .snapshot = s->snapshot };
	size_t at = model_next(m, random_key(r), r->universe->n), key = random_key(r);
	const struct model_value *v;
	uint64_t offset, size;
	struct lsm_iter *iter;

	if (at == r->universe->n)
		return;
	v = &m->values[at];
	CHECK_OK(lsm_iter_new(r->db, &options, &iter));
	lsm_iter_seek(iter, r->universe->keys[at]);
	CHECK(lsm_iter_valid(iter), "no key to take a part of: %s", key_text(r->universe->keys[at]));
	offset = rng_below(&r->rng, v->size + 1ull);
	size = rng_below(&r->rng, v->size - offset + 1);
	if (rng_one_in(&r->rng, 4)) {
		offset = 0;
		size = v->size;
	}
	if (rng_one_in(&r->rng, 10)) {
		int rc = lsm_batch_put_part(r->batch, r->universe->keys[key], iter, offset, v->size - offset + 1);

		CHECK(rc == LSM_INVALID, "a part beyond the value: %d", rc);
	}
	CHECK_OK(lsm_batch_put_part(r->batch, r->universe->keys[key], iter, offset, size));
	next->values[key] = (struct model_value){ v->seed, v->start + offset, (uint32_t)size, true };
	lsm_iter_free(iter);
}

static void batch_add(struct run *r, struct model *next)
{
	uint64_t what = rng_below(&r->rng, 100);
	size_t key = random_key(r);
	struct lsm_slice begin, end;

	if (what < 65) {
		struct lsm_slice value = random_value(r, &next->values[key]);

		CHECK_OK(lsm_batch_put(r->batch, r->universe->keys[key], value));
	} else if (what < 85) {
		next->values[key].present = false;
		CHECK_OK(lsm_batch_delete(r->batch, r->universe->keys[key]));
	} else if (what < 90) {
		random_range(r, &begin, &end);
		model_delete_range(r, next, begin, end);
		CHECK_OK(lsm_batch_delete_range(r->batch, begin, end));
	} else {
		batch_put_part(r, next);
	}
}

static void write_batch(struct run *r)
{
	size_t n = rng_below(&r->rng, rng_one_in(&r->rng, 40) ? 1500 : 30);
	struct model *next = world_next(r->world);

	lsm_batch_clear(r->batch);
	CHECK(!lsm_batch_count(r->batch), "a cleared batch isn't empty");
	for (size_t i = 0; i < n; i++)
		batch_add(r, next);
	world_begin(r->world);
	CHECK_OK(lsm_write(r->db, r->batch, write_flags(r)));
	world_commit(r->world);
}

/* Some keys of a range, in order, past log and memtable. */
static void write_load(struct run *r)
{
	size_t key = random_key(r), n = rng_below(&r->rng, rng_one_in(&r->rng, 5) ? 1000 : 60), step;
	struct model *next = world_next(r->world);
	struct lsm_ingest *g = NULL;

	CHECK_OK(lsm_ingest_new(r->db, &g));
	for (; n-- && key < r->universe->n; key += step) {
		struct lsm_slice value = random_value(r, &next->values[key]);

		CHECK_OK(lsm_ingest_put(g, r->universe->keys[key], value));
		step = 1 + rng_below(&r->rng, 3);
		if (rng_one_in(&r->rng, 200))
			CHECK(lsm_ingest_put(g, r->universe->keys[key], value) == LSM_INVALID, "a key twice");
	}
	if (rng_one_in(&r->rng, 8)) {
		lsm_ingest_abort(g);
		return;
	}
	world_begin(r->world);
	CHECK_OK(lsm_ingest_finish(g));
	world_commit(r->world);
}

void run_write(struct run *r)
{
	uint64_t what = rng_below(&r->rng, 1000);

	if (what < 600)
		write_put(r);
	else if (what < 800)
		write_delete(r);
	else if (what < 830)
		write_delete_range(r);
	else if (what < 990)
		write_batch(r);
	else
		write_load(r);
}
