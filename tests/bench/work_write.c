/* SPDX-License-Identifier: MIT */
/* Workloads that write. */
#include "tests/bench/workload.h"

static void fill(struct worker *w, bool random, unsigned generation)
{
	struct run *r = w->run;
	const struct engine *e = w->engine;
	struct rng rng = { w->seed };
	uint64_t keys = r->settings.keys;
	char key[KEY_BUFFER];

	while (w->operations < w->limit && !w->timer.over) {
		uint64_t n = random ? key_pick(&rng, keys) : w->operations;

		key_make(key, n);
		timer_begin(&w->timer);
		e->put(w->session, key, values_at(&r->values, n, generation), r->settings.value_bytes);
		timer_end(&w->timer);
		w->operations++;
	}
	w->bytes = w->operations * (KEY_BYTES + r->settings.value_bytes);
}

static void body_fillseq(struct worker *w)
{
	fill(w, false, GENERATION_FIRST);
}

static void body_fillrandom(struct worker *w)
{
	fill(w, true, GENERATION_FIRST);
}

static void body_overwrite(struct worker *w)
{
	fill(w, true, GENERATION_OVERWRITE);
}

static void body_deleterandom(struct worker *w)
{
	const struct engine *e = w->engine;
	struct rng rng = { w->seed };
	uint64_t keys = w->run->settings.keys;
	char key[KEY_BUFFER];

	while (w->operations < w->limit && !w->timer.over) {
		key_make(key, key_pick(&rng, keys));
		timer_begin(&w->timer);
		e->del(w->session, key);
		timer_end(&w->timer);
		w->operations++;
	}
	w->bytes = w->operations * KEY_BYTES;
}

void run_record(struct run *r, unsigned first, enum step_kind kind, unsigned generation)
{
	for (unsigned i = first; i < r->workers_n; i++)
		history_add(&r->outcome->written, (struct step){ .kind = kind,
								 .generation = generation,
								 .seed = r->workers[i].seed,
								 .range = r->settings.keys,
								 .count = r->workers[i].operations });
}

static void write_all(struct run *r, worker_body body, enum step_kind kind, unsigned generation)
{
	run_open(r);
	run_workers(r, 1, r->settings.keys, body);
	run_record(r, 0, kind, generation);
}

void run_fillseq(struct run *r)
{
	write_all(r, body_fillseq, STEP_SEQUENTIAL, GENERATION_FIRST);
}

void run_fillrandom(struct run *r)
{
	write_all(r, body_fillrandom, STEP_RANDOM, GENERATION_FIRST);
}

void run_overwrite(struct run *r)
{
	write_all(r, body_overwrite, STEP_RANDOM, GENERATION_OVERWRITE);
}

void run_deleterandom(struct run *r)
{
	write_all(r, body_deleterandom, STEP_DELETE, GENERATION_FIRST);
}

static void verify_all_there(struct run *r)
{
	struct model model;

	model_init(&model, &r->outcome->written);
	run_check(r, run_count_entries(r) == model_live(&model), "not all that was written is there");
	model_done(&model);
}

/* A sync costs a thousand times what a put does: few of them will do. */
void run_fillsync(struct run *r)
{
	unsigned n = r->workload->threads;
	uint64_t limit = r->settings.keys / 100 / n;

	run_open(r);
	run_workers(r, n, limit > 50 ? limit : 50, body_fillrandom);
	run_record(r, 0, STEP_RANDOM, GENERATION_FIRST);
	r->verify = verify_all_there;
}
