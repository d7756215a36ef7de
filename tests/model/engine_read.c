/* SPDX-License-Identifier: MIT */
/* The reading half of the model test: every way to read, now and at held snapshots, and upkeep. */
#include <string.h>

#include "tests/model/engine_run.h"

enum { READ_BUF_BYTES = 4 << 20, MULTI_MAX = 20 };
static uint8_t read_buf[READ_BUF_BYTES];

/* ---- single keys ---- */

static void check_value(const struct model_value *v, struct lsm_slice key, const void *data, size_t size)
{
	CHECK(v->present, "%s is there, but was deleted", key_text(key));
	CHECK(v->size == size, "%s has %zu bytes instead of %u", key_text(key), size, v->size);
	CHECK(model_value_equal(v, 0, data, size), "%s has a wrong value of %zu bytes", key_text(key), size);
}

static void check_get_code(const struct model_value *v, struct lsm_slice key, int rc)
{
	int want = v->present ? LSM_OK : LSM_NOT_FOUND;

	if (rc != want && rc != LSM_OK && rc != LSM_NOT_FOUND)
		CHECK_OK(rc);
	CHECK(rc == want, "%s: get says %d instead of %d (value of %u bytes)", key_text(key), rc, want, v->size);
}

static void read_get(struct run *r, const struct model *m, const struct lsm_snapshot *snapshot)
{
	size_t i = rng_below(&r->rng, r->universe->n);
	struct lsm_slice key = r->universe->keys[i];
	struct lsm_value value = { 0 };
	int rc = lsm_get(r->db, snapshot, key, &value);

	check_get_code(&m->values[i], key, rc);
	if (!rc)
		check_value(&m->values[i], key, value.data, value.size);
	lsm_value_release(&value);
}

static void read_get_range(struct run *r, const struct model *m, const struct lsm_snapshot *snapshot)
{
	size_t i = rng_below(&r->rng, r->universe->n), copied = 0;
	struct lsm_slice key = r->universe->keys[i];
	const struct model_value *v = &m->values[i];
	uint64_t offset = rng_below(&r->rng, (v->present ? v->size : 0) + 10ull), whole = 0;
	size_t size = rng_below(&r->rng, rng_one_in(&r->rng, 2) ? 100 : 200000), want = 0;
	int rc = lsm_get_range(r->db, snapshot, key, offset, read_buf, size, &copied, &whole);

	check_get_code(v, key, rc);
	if (rc)
		return;
	CHECK(whole == v->size, "%s: get_range says %llu bytes, not %u", key_text(key), (unsigned long long)whole,
	      v->size);
	if (offset < v->size)
		want = v->size - offset < size ? v->size - offset : size;
	CHECK(copied == want, "%s: copied %zu, not %zu", key_text(key), copied, want);
	CHECK(model_value_equal(v, offset, read_buf, copied), "%s: wrong bytes at %llu", key_text(key),
	      (unsigned long long)offset);
}

static void read_multi(struct run *r, const struct model *m, const struct lsm_snapshot *snapshot)
{
	struct lsm_value values[MULTI_MAX] = { 0 };
	struct lsm_slice keys[MULTI_MAX] = { 0 };
	size_t n = rng_below(&r->rng, MULTI_MAX + 1), index[MULTI_MAX];
	int codes[MULTI_MAX];

	for (size_t i = 0; i < n; i++) {
		index[i] = rng_below(&r->rng, r->universe->n);
		keys[i] = r->universe->keys[index[i]];
	}
	CHECK_OK(lsm_multi_get(r->db, snapshot, n, keys, values, codes));
	for (size_t i = 0; i < n; i++) {
		check_get_code(&m->values[index[i]], keys[i], codes[i]);
		if (!codes[i])
			check_value(&m->values[index[i]], keys[i], values[i].data, values[i].size);
		lsm_value_release(&values[i]);
	}
}

/* ---- iterators ---- */

static void iter_open(struct run *r, struct held_iter *h, const struct model *m, const struct lsm_snapshot *snapshot)
{
	const struct universe *u = r->universe;
	struct lsm_iter_options options = { .snapshot = snapshot };

	*h = (struct held_iter){ .begin = 0, .end = u->n, .at = SIZE_MAX };
	if (rng_one_in(&r->rng, 2)) {
		options.lower = probe_key(u, &r->rng);
		h->begin = universe_find(u, options.lower);
	}
	if (rng_one_in(&r->rng, 2)) {
		options.upper = probe_key(u, &r->rng);
		h->end = universe_find(u, options.upper);
	}
	h->model = malloc(sizeof(*h->model));
	CHECK(h->model, "no memory");
	*h->model = *m;
	CHECK_OK(lsm_iter_new(r->db, &options, &h->iter));
	CHECK(!lsm_iter_valid(h->iter), "a new iterator is valid");
}

static void iter_close(struct held_iter *h)
{
	lsm_iter_free(h->iter);
	free(h->model);
	*h = (struct held_iter){ 0 };
}

static void iter_check(struct run *r, struct held_iter *h, const char *after)
{
	const struct model_value *v;
	struct lsm_slice key, value, want;
	size_t copied = 0, offset, size;

	CHECK_OK(lsm_iter_status(h->iter));
	CHECK(lsm_iter_valid(h->iter) == (h->at != SIZE_MAX), "after %s: valid %d, wanted %s", after,
	      lsm_iter_valid(h->iter), h->at == SIZE_MAX ? "the end" : key_text(r->universe->keys[h->at]));
	if (h->at == SIZE_MAX)
		return;
	want = r->universe->keys[h->at];
	key = lsm_iter_key(h->iter);
	CHECK(key.size == want.size && !memcmp(key.data, want.data, key.size), "after %s: at %s instead of %s", after,
	      key_text(key), key_text(want));
	v = &h->model->values[h->at];
	CHECK(lsm_iter_value_size(h->iter) == v->size, "after %s: %s has %llu bytes instead of %u", after,
	      key_text(key), (unsigned long long)lsm_iter_value_size(h->iter), v->size);
	switch (rng_below(&r->rng, 6)) {
	case 0:
		CHECK_OK(lsm_iter_value(h->iter, &value));
		check_value(v, key, value.data, value.size);
		break;
	case 1:
		offset = rng_below(&r->rng, v->size + 2ull);
		size = rng_below(&r->rng, v->size + 2ull);
		CHECK_OK(lsm_iter_read(h->iter, offset, read_buf, size, &copied));
		if (offset >= v->size)
			size = 0;
		else if (size > v->size - offset)
			size = v->size - offset;
		CHECK(copied == size, "%s: read %zu bytes, not %zu", key_text(key), copied, size);
		CHECK(model_value_equal(v, offset, read_buf, copied), "%s: wrong bytes at %zu", key_text(key), offset);
	}
}

static void iter_seek(struct run *r, struct held_iter *h)
{
	struct lsm_slice key = probe_key(r->universe, &r->rng);
	size_t at = universe_find(r->universe, key);
	bool exact = at < r->universe->n && r->universe->keys[at].size == key.size &&
		     !memcmp(r->universe->keys[at].data, key.data, key.size);
	size_t found = SIZE_MAX;

	switch (rng_below(&r->rng, 4)) {
	case 0:
		lsm_iter_seek_first(h->iter);
		found = model_next(h->model, h->begin, h->end);
		break;
	case 1:
		lsm_iter_seek_last(h->iter);
		h->at = h->end > h->begin ? model_prev(h->model, h->end - 1, h->begin) : SIZE_MAX;
		iter_check(r, h, "seek_last");
		return;
	case 2:
		lsm_iter_seek(h->iter, key);
		found = model_next(h->model, at > h->begin ? at : h->begin, h->end);
		break;
	default:
		lsm_iter_seek_prev(h->iter, key);
		if (!exact)
			at--; /* 0 becomes SIZE_MAX: nowhere */
		if (at != SIZE_MAX && at >= h->end)
			at = h->end - 1;
		h->at = h->end ? model_prev(h->model, at, h->begin) : SIZE_MAX;
		iter_check(r, h, "seek_prev");
		return;
	}
	h->at = found < h->end ? found : SIZE_MAX;
	iter_check(r, h, "seek");
}

static void iter_step(struct run *r, struct held_iter *h, bool forward)
{
	size_t found;

	if (forward) {
		lsm_iter_next(h->iter);
		found = model_next(h->model, h->at + 1, h->end);
		h->at = found < h->end ? found : SIZE_MAX;
	} else {
		lsm_iter_prev(h->iter);
		h->at = model_prev(h->model, h->at - 1, h->begin);
	}
	iter_check(r, h, forward ? "next" : "prev");
}

static void iter_walk(struct run *r, struct held_iter *h)
{
	size_t steps = rng_below(&r->rng, rng_one_in(&r->rng, 10) ? 400 : 30);
	bool forward = rng_one_in(&r->rng, 2);

	if (h->at == SIZE_MAX || rng_one_in(&r->rng, 3))
		iter_seek(r, h);
	while (steps-- && h->at != SIZE_MAX) {
		iter_step(r, h, forward);
		if (rng_one_in(&r->rng, 12))
			forward = !forward;
	}
}

static void read_iter(struct run *r, const struct model *m, const struct lsm_snapshot *snapshot)
{
	struct held_iter h;

	iter_open(r, &h, m, snapshot);
	for (uint64_t n = 1 + rng_below(&r->rng, 3); n; n--)
		iter_walk(r, &h);
	iter_close(&h);
}

/* An iterator that has been there for a while still shows its moment. */
static void read_held_iter(struct run *r, const struct model *m)
{
	struct held_iter *h = &r->iters[rng_below(&r->rng, RUN_ITERS)];

	if (!h->iter)
		iter_open(r, h, m, NULL);
	iter_walk(r, h);
	if (rng_one_in(&r->rng, 10))
		iter_close(h);
}

bool run_shows(struct run *r, struct lsm_db *db, const struct lsm_snapshot *snapshot, const struct model *m)
{
	struct lsm_iter_options options = { .snapshot = snapshot };
	struct lsm_iter *iter;
	bool same = true;
	size_t at;

	CHECK_OK(lsm_iter_new(db, &options, &iter));
	lsm_iter_seek_first(iter);
	at = model_next(m, 0, r->universe->n);
	while (same && lsm_iter_valid(iter) && at < r->universe->n) {
		struct lsm_slice key = lsm_iter_key(iter), want = r->universe->keys[at], value = { 0 };

		same = key.size == want.size && !memcmp(key.data, want.data, key.size) &&
		       lsm_iter_value_size(iter) == m->values[at].size;
		if (same) {
			CHECK_OK(lsm_iter_value(iter, &value));
			same = model_value_equal(&m->values[at], 0, value.data, value.size);
		}
		lsm_iter_next(iter);
		at = model_next(m, at + 1, r->universe->n);
	}
	CHECK_OK(lsm_iter_status(iter));
	same = same && !lsm_iter_valid(iter) && at == r->universe->n;
	lsm_iter_free(iter);
	return same;
}

bool run_matches(struct run *r, const struct model *m)
{
	return run_shows(r, r->db, NULL, m);
}

void run_check_all(struct run *r)
{
	const struct universe *u = r->universe;
	struct held_iter h = { .begin = 0, .end = u->n, .model = world_now(r->world) };

	CHECK_OK(lsm_iter_new(r->db, NULL, &h.iter));
	lsm_iter_seek_first(h.iter);
	h.at = model_next(h.model, 0, u->n);
	h.at = h.at < u->n ? h.at : SIZE_MAX;
	iter_check(r, &h, "seek_first");
	while (h.at != SIZE_MAX)
		iter_step(r, &h, true);
	lsm_iter_seek_last(h.iter);
	h.at = model_prev(h.model, u->n - 1, 0);
	iter_check(r, &h, "seek_last");
	while (h.at != SIZE_MAX)
		iter_step(r, &h, false);
	lsm_iter_free(h.iter);
	for (size_t i = 0; i < u->n; i++) {
		struct lsm_value value = { 0 };
		int rc = lsm_get(r->db, NULL, u->keys[i], &value);

		check_get_code(&h.model->values[i], u->keys[i], rc);
		if (!rc)
			check_value(&h.model->values[i], u->keys[i], value.data, value.size);
		lsm_value_release(&value);
	}
}

/* ---- snapshots, upkeep ---- */

static void turn_snapshot(struct run *r)
{
	struct held_snapshot *s = &r->snapshots[rng_below(&r->rng, RUN_SNAPSHOTS)];

	if (s->snapshot) {
		lsm_snapshot_free(r->db, s->snapshot);
		free(s->model);
		*s = (struct held_snapshot){ 0 };
		return;
	}
	s->model = malloc(sizeof(*s->model));
	CHECK(s->model, "no memory");
	*s->model = *world_now(r->world);
	CHECK_OK(lsm_snapshot_new(r->db, &s->snapshot));
}

static void upkeep(struct run *r)
{
	struct lsm_slice a = probe_key(r->universe, &r->rng), b = probe_key(r->universe, &r->rng), none = { 0 };
	bool ordered = universe_find(r->universe, a) < universe_find(r->universe, b);
	struct lsm_stats stats;
	uint64_t bytes = 0;
	char *text;

	switch (rng_below(&r->rng, 6)) {
	case 0:
		CHECK_OK(lsm_flush(r->db));
		break;
	case 1:
		if (rng_one_in(&r->rng, 3))
			CHECK_OK(lsm_compact_range(r->db, none, none));
		else if (ordered)
			CHECK_OK(lsm_compact_range(r->db, a, b));
		break;
	case 2:
		CHECK_OK(lsm_sync(r->db));
		break;
	case 3:
		CHECK_OK(lsm_approximate_size(r->db, ordered ? a : none, ordered ? b : none, &bytes));
		CHECK(bytes < UINT64_C(1) << 40, "approximate size %llu", (unsigned long long)bytes);
		break;
	case 4:
		lsm_get_stats(r->db, &stats);
		CHECK(stats.memtables >= 1 && stats.memtables <= r->options.memtables_max + 1u, "%llu memtables",
		      (unsigned long long)stats.memtables);
		break;
	default:
		text = lsm_stats_text(r->db);
		CHECK(text && strlen(text) > 10, "no text of statistics");
		free(text);
	}
}

void run_read(struct run *r)
{
	struct held_snapshot *s = &r->snapshots[rng_below(&r->rng, RUN_SNAPSHOTS * 2) % RUN_SNAPSHOTS];
	bool old = s->snapshot && rng_one_in(&r->rng, 2);
	const struct model *m = old ? s->model : world_now(r->world);
	const struct lsm_snapshot *snapshot = old ? s->snapshot : NULL;
	uint64_t what = rng_below(&r->rng, 1000);

	if (what < 500)
		read_get(r, m, snapshot);
	else if (what < 650)
		read_get_range(r, m, snapshot);
	else if (what < 750)
		read_multi(r, m, snapshot);
	else if (what < 870)
		read_iter(r, m, snapshot);
	else if (what < 950)
		read_held_iter(r, world_now(r->world));
	else if (what < 975)
		turn_snapshot(r);
	else if (what < 982)
		run_name(r);
	else if (what < 983)
		rng_one_in(&r->rng, 3) ? run_backup(r) : run_checkpoint(r);
	else
		upkeep(r);
}

void run_open(struct run *r)
{
	struct lsm_options given = r->options;
	int rc = lsm_check(r->path, NULL); /* however the last round ended */

	if (rc != LSM_NOT_STORE) /* the first one */
		CHECK_OK(rc);
	CHECK_OK(lsm_open(r->path, &r->options, &r->db));
	lsm_get_options(r->db, &r->options);
	CHECK((!given.level_ratio || given.level_ratio == r->options.level_ratio) && r->options.level_ratio >= 2,
	      "level ratio %u of %u", r->options.level_ratio, given.level_ratio);
	CHECK((!given.blob_min_bytes || given.blob_min_bytes == r->options.blob_min_bytes) &&
		      r->options.blob_min_bytes >= 64,
	      "blob_min_bytes %u of %u", r->options.blob_min_bytes, given.blob_min_bytes);
	CHECK_OK(lsm_batch_new(r->db, &r->batch));
}

void run_close(struct run *r)
{
	for (int i = 0; i < RUN_SNAPSHOTS; i++) {
		if (r->snapshots[i].snapshot)
			lsm_snapshot_free(r->db, r->snapshots[i].snapshot);
		free(r->snapshots[i].model);
		r->snapshots[i] = (struct held_snapshot){ 0 };
	}
	for (int i = 0; i < RUN_ITERS; i++)
		iter_close(&r->iters[i]);
	lsm_batch_free(r->batch);
	CHECK_OK(lsm_close(r->db));
	r->db = NULL;
}
