/* SPDX-License-Identifier: MIT */
/* Workloads that read. One read in 16 is checked while the clock runs, the number found afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/process.h"
#include "tests/bench/workload.h"

enum { CHECK_EVERY = 16, SEEK_NEXTS = 10 };

/* ---- gets ---- */

static void get_random(struct worker *w, bool missing)
{
	struct run *r = w->run;
	const struct engine *e = w->engine;
	struct rng rng = { w->seed };
	uint64_t keys = r->settings.keys;
	struct seen seen = { 0 };
	char key[KEY_BUFFER];

	while (w->operations < w->limit && !w->timer.over) {
		uint64_t n = key_pick(&rng, keys);

		key_make(key, n);
		key[KEY_BYTES] = '.'; /* makes a key that lies between others, and is not there */
		timer_begin(&w->timer);
		seen.found = e->get(w->session, key, KEY_BYTES + missing, &seen);
		timer_end(&w->timer);
		w->found += seen.found;
		if (!missing && w->operations % CHECK_EVERY == 0)
			run_check_seen(r, n, &seen, false);
		w->operations++;
	}
}

static void body_get(struct worker *w)
{
	get_random(w, false);
}

static void body_get_missing(struct worker *w)
{
	get_random(w, true);
}

/* Did each worker find as many as there are of those that it asked for? */
static void verify_found(struct run *r)
{
	for (unsigned i = 0; i < r->workers_n; i++) {
		struct rng rng = { r->workers[i].seed };
		uint64_t expected = 0;

		for (uint64_t at = 0; at < r->workers[i].operations; at++) {
			uint64_t key = key_pick(&rng, r->settings.keys);

			expected += key < r->model.keys && r->model.state[key];
		}
		run_check(r, r->workers[i].found == expected, "not as many keys were found as there are");
	}
}

static void verify_none_found(struct run *r)
{
	run_check(r, !r->workers[0].found, "a missing key was found");
}

static void read_some(struct run *r, unsigned n, uint64_t limit, worker_body body, void (*verify)(struct run *r))
{
	run_open(r);
	run_workers(r, n, limit, body);
	r->verify = verify;
}

void run_readrandom(struct run *r)
{
	unsigned n = r->workload->threads;

	read_some(r, n, r->settings.keys / n, body_get, verify_found);
}

void run_readmissing(struct run *r)
{
	read_some(r, 1, r->settings.keys, body_get_missing, verify_none_found);
}

void run_readcold(struct run *r)
{
	uint64_t limit = r->settings.keys / 100;

	read_some(r, 1, limit > 100 ? limit : 100, body_get, verify_found);
}

static void body_multiread(struct worker *w)
{
	struct rng rng = { w->seed };
	uint64_t keys = w->run->settings.keys, numbers[MULTI_MAX];
	struct seen seen[MULTI_MAX] = { 0 };
	char text[MULTI_MAX][KEY_BUFFER];
	const char *pointers[MULTI_MAX];

	while (w->operations + MULTI_MAX <= w->limit && !w->timer.over) {
		for (unsigned i = 0; i < MULTI_MAX; i++) {
			numbers[i] = key_pick(&rng, keys);
			key_make(text[i], numbers[i]);
			pointers[i] = text[i];
		}
		timer_begin(&w->timer);
		w->engine->multi_get(w->session, MULTI_MAX, pointers, seen);
		timer_end(&w->timer);
		for (unsigned i = 0; i < MULTI_MAX; i++)
			w->found += seen[i].found;
		run_check_seen(w->run, numbers[0], &seen[0], false);
		w->operations += MULTI_MAX;
	}
}

void run_multiread(struct run *r)
{
	read_some(r, 1, r->settings.keys, body_multiread, verify_found);
}

/* ---- scans ---- */

static uint64_t key_number(uint64_t key_tail)
{
	char text[sizeof(key_tail) + 1] = { 0 };

	memcpy(text, &key_tail, sizeof(key_tail));
	return strtoull(text, NULL, 10);
}

/* The same in both directions. Here one operation is a step. */
static void scan(struct worker *w, void (*start)(void *), void (*step)(void *))
{
	const struct engine *e = w->engine;
	void *iter = e->iter_new(w->session);
	struct seen seen = { 0 };
	bool more;

	start(iter);
	for (more = e->iter_valid(iter); more && !w->timer.over; w->operations++) {
		timer_begin(&w->timer);
		e->iter_see(iter, &seen);
		step(iter);
		more = e->iter_valid(iter);
		timer_end(&w->timer);
		w->sum += seen.key_tail;
		if ((w->operations + w->seed) % CHECK_EVERY == 0)
			run_check_seen(w->run, key_number(seen.key_tail), &seen, false);
	}
	e->iter_free(iter);
	w->found = !more; /* came to the end */
}

static void body_readseq(struct worker *w)
{
	scan(w, w->engine->iter_first, w->engine->iter_next);
}

static void body_readreverse(struct worker *w)
{
	scan(w, w->engine->iter_last, w->engine->iter_prev);
}

/* Each key that is there was met once: their number and the sum of their tails are right. */
static void verify_scan(struct run *r)
{
	const struct worker *w = &r->workers[0];
	uint64_t sum = 0, live = 0;
	char key[KEY_BUFFER];

	if (!w->found)
		return; /* the time was over */
	for (uint64_t i = 0; i < r->model.keys; i++) {
		uint64_t tail;

		if (!r->model.state[i])
			continue;
		key_make(key, i);
		memcpy(&tail, key + KEY_BYTES - sizeof(tail), sizeof(tail));
		sum += tail;
		live++;
	}
	run_check(r, w->operations == live && w->sum == sum, "the scan did not meet the keys that are there");
}

void run_readseq(struct run *r)
{
	read_some(r, 1, UINT64_MAX, body_readseq, verify_scan);
}

void run_readreverse(struct run *r)
{
	read_some(r, 1, UINT64_MAX, body_readreverse, verify_scan);
}

/* Were these the keys that follow `n`, and is the last one's value right? */
static void check_seek(const struct run *r, uint64_t n, unsigned met, uint64_t sum, const struct seen *last)
{
	uint64_t tail, expected_sum = 0, key_at = 0;
	unsigned expected = 0;
	char key[KEY_BUFFER];

	for (; n < r->model.keys && expected <= SEEK_NEXTS; n++) {
		if (!r->model.state[n])
			continue;
		key_make(key, n);
		memcpy(&tail, key + KEY_BYTES - sizeof(tail), sizeof(tail));
		expected_sum += tail;
		key_at = n;
		expected++;
	}
	run_check(r, met == expected && sum == expected_sum, "a seek met other keys than those that are there");
	if (met)
		run_check_seen(r, key_at, last, false);
}

static void body_seekrandom(struct worker *w)
{
	const struct engine *e = w->engine;
	struct rng rng = { w->seed };
	uint64_t keys = w->run->settings.keys;
	char key[KEY_BUFFER];

	while (w->operations < w->limit && !w->timer.over) {
		uint64_t n = key_pick(&rng, keys), sum = 0;
		struct seen seen = { 0 };
		unsigned met = 0;
		void *iter;

		key_make(key, n);
		timer_begin(&w->timer);
		iter = e->iter_new(w->session);
		for (e->iter_seek(iter, key); e->iter_valid(iter); e->iter_next(iter)) {
			e->iter_see(iter, &seen);
			sum += seen.key_tail;
			if (++met > SEEK_NEXTS)
				break;
		}
		e->iter_free(iter);
		timer_end(&w->timer);
		if (w->operations++ % CHECK_EVERY == 0)
			check_seek(w->run, n, met, sum, &seen);
	}
}

void run_seekrandom(struct run *r)
{
	uint64_t limit = r->settings.keys / 10;

	read_some(r, 1, limit > 100 ? limit : 100, body_seekrandom, NULL);
}
