/* SPDX-License-Identifier: MIT */
/* Workloads that read and write: reads beside a writer, and the Yahoo! Cloud Serving Benchmark's A to F. */
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/bench/workload.h"

/* ---- reading while writing ---- */

static const double meanwhile_seconds = 10;

static atomic_bool reader_is_done;

static void read_meanwhile(struct worker *w)
{
	struct run *r = w->run;
	struct rng rng = { w->seed };
	struct seen seen = { 0 };
	char key[KEY_BUFFER];

	while (!w->timer.over) {
		uint64_t n = key_pick(&rng, r->settings.keys);

		key_make(key, n);
		timer_begin(&w->timer);
		seen.found = w->engine->get(w->session, key, KEY_BYTES, &seen);
		timer_end(&w->timer);
		if (w->operations++ % 16 == 0)
			run_check_seen(r, n, &seen, true);
	}
	atomic_store_explicit(&reader_is_done, true, memory_order_relaxed);
}

static void write_meanwhile(struct worker *w)
{
	struct run *r = w->run;
	struct rng rng = { w->seed };
	char key[KEY_BUFFER];

	w->side = true;
	while (!atomic_load_explicit(&reader_is_done, memory_order_relaxed)) {
		uint64_t n = key_pick(&rng, r->settings.keys);

		key_make(key, n);
		w->engine->put(w->session, key, values_at(&r->values, n, GENERATION_MEANWHILE),
			       r->settings.value_bytes);
		w->operations++;
	}
	w->bytes = w->operations * (KEY_BYTES + r->settings.value_bytes);
}

static void body_meanwhile(struct worker *w)
{
	if (w->index)
		write_meanwhile(w);
	else
		read_meanwhile(w);
}

void run_readwhilewriting(struct run *r)
{
	if (r->seconds_max <= 0 || r->seconds_max > meanwhile_seconds)
		r->seconds_max = meanwhile_seconds;
	run_open(r);
	run_workers(r, 2, UINT64_MAX, body_meanwhile);
	r->outcome->result.cut = false; /* the time was what it was to do */
	run_record(r, 1, STEP_RANDOM, GENERATION_MEANWHILE);
}

/* ---- YCSB: record i has the scattered key of number i; values don't change with time ---- */

enum ycsb_request { YCSB_READ, YCSB_UPDATE, YCSB_INSERT, YCSB_SCAN, YCSB_MODIFY };

/* Of 100 requests so many are `other`, the rest reads (or, in E, scans). */
struct mix {
	enum ycsb_request main, other;
	unsigned others;
	bool latest; /* the records asked for are mostly the last inserted, not the same popular ones */
};

enum { SCAN_MAX = 100 };

static struct mix mix;
static uint64_t records;  /* in the store */
static uint32_t *choices; /* drawn beforehand: pow() takes longer than some engines' gets */

static void ycsb_put(struct worker *w, uint64_t record)
{
	struct run *r = w->run;
	char key[KEY_BUFFER];

	key_make(key, key_scatter(record));
	w->engine->put(w->session, key, values_at(&r->values, record, GENERATION_FIRST), r->settings.value_bytes);
	w->bytes += KEY_BYTES + r->settings.value_bytes;
}

static void ycsb_get(struct worker *w, uint64_t record)
{
	struct run *r = w->run;
	struct seen seen = { 0 };
	char key[KEY_BUFFER];

	key_make(key, key_scatter(record));
	seen.found = w->engine->get(w->session, key, KEY_BYTES, &seen);
	run_check(r, seen.found, "a record is missing");
	if (w->operations % 16 == 0)
		run_check(r, values_match(&r->values, record, GENERATION_FIRST, &seen), "a record has a wrong value");
}

static void ycsb_scan(struct worker *w, uint64_t record, uint64_t length)
{
	const struct engine *e = w->engine;
	struct seen seen = { 0 };
	char key[KEY_BUFFER];
	void *iter;
	uint64_t tail, met = 0;

	key_make(key, key_scatter(record));
	memcpy(&tail, key + KEY_BYTES - sizeof(tail), sizeof(tail));
	iter = e->iter_new(w->session);
	for (e->iter_seek(iter, key); met < length && e->iter_valid(iter); met++) {
		e->iter_see(iter, &seen);
		if (!met)
			run_check(w->run, seen.key_tail == tail, "a scan began at a wrong record");
		e->iter_next(iter);
	}
	e->iter_free(iter);
	w->found += met;
}

static void ycsb_do(struct worker *w, enum ycsb_request request, uint64_t record, uint64_t random)
{
	switch (request) {
	case YCSB_READ:
		ycsb_get(w, record);
		break;
	case YCSB_UPDATE:
		ycsb_put(w, record);
		break;
	case YCSB_INSERT:
		ycsb_put(w, records++);
		break;
	case YCSB_SCAN:
		ycsb_scan(w, record, 1 + random % SCAN_MAX);
		break;
	case YCSB_MODIFY:
		ycsb_get(w, record);
		ycsb_put(w, record);
		break;
	}
}

static void body_ycsb(struct worker *w)
{
	struct rng rng = { w->seed };

	while (w->operations < w->limit && !w->timer.over) {
		uint64_t random = rng_next(&rng), record = choices[w->operations];

		if (mix.latest)
			record = records - 1 - record;
		timer_begin(&w->timer);
		ycsb_do(w, random % 100 < mix.others ? mix.other : mix.main, record, random >> 32);
		timer_end(&w->timer);
		w->operations++;
	}
}

static void ycsb(struct run *r, struct mix to_run, uint64_t limit)
{
	struct rng rng = { r->seed + 5 };
	struct zipf zipf;
	uint64_t inserted;

	mix = to_run;
	records = r->model.keys;
	choices = malloc(limit * sizeof(choices[0]));
	if (!choices)
		bench_fail("bench", "no memory");
	zipf_init(&zipf, records);
	for (uint64_t i = 0; i < limit; i++)
		choices[i] = (uint32_t)zipf_next(&zipf, rng_next(&rng));
	inserted = records;
	run_open(r);
	run_workers(r, 1, limit, body_ycsb);
	inserted = records - inserted;
	if (inserted)
		history_add(&r->outcome->written, (struct step){ .kind = STEP_SEQUENTIAL, .count = records });
}

static void body_load(struct worker *w)
{
	while (w->operations < w->limit && !w->timer.over) {
		timer_begin(&w->timer);
		ycsb_put(w, w->operations);
		timer_end(&w->timer);
		w->operations++;
	}
}

void run_ycsb_load(struct run *r)
{
	run_open(r);
	run_workers(r, 1, r->settings.keys, body_load);
	run_record(r, 0, STEP_SEQUENTIAL, GENERATION_FIRST);
}

void run_ycsb_a(struct run *r)
{
	ycsb(r, (struct mix){ YCSB_READ, YCSB_UPDATE, 50, false }, r->settings.keys);
}

void run_ycsb_b(struct run *r)
{
	ycsb(r, (struct mix){ YCSB_READ, YCSB_UPDATE, 5, false }, r->settings.keys);
}

void run_ycsb_c(struct run *r)
{
	ycsb(r, (struct mix){ YCSB_READ, YCSB_READ, 0, false }, r->settings.keys);
}

void run_ycsb_d(struct run *r)
{
	ycsb(r, (struct mix){ YCSB_READ, YCSB_INSERT, 5, true }, r->settings.keys);
}

/* A scan is of 50 records on average. */
void run_ycsb_e(struct run *r)
{
	ycsb(r, (struct mix){ YCSB_SCAN, YCSB_INSERT, 5, false }, r->settings.keys / 20 + 1);
}

void run_ycsb_f(struct run *r)
{
	ycsb(r, (struct mix){ YCSB_READ, YCSB_MODIFY, 50, false }, r->settings.keys);
}
