/* SPDX-License-Identifier: MIT */
/* What the workloads have in common: opening, threads, checks. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/process.h"
#include "tests/bench/workload.h"

double clock_seconds(void)
{
	return (double)clock_ns() / 1e9;
}

void run_open(struct run *r)
{
	double start;

	r->anon_before = process_anon_bytes(getpid());
	r->write_before = process_write_bytes(getpid());
	r->cpu_before = process_cpu_seconds(getpid());
	start = clock_seconds();
	r->db = r->engine->open(r->dir, &r->settings);
	r->outcome->result.open_seconds = clock_seconds() - start;
}

struct start {
	pthread_barrier_t barrier;
	worker_body body;
	uint64_t deadline;
	double seconds_max;
};

struct thread {
	struct worker *worker;
	struct start *start;
};

static void *worker_thread(void *arg)
{
	struct thread *t = arg;
	struct worker *w = t->worker;
	double limit = t->start->seconds_max;

	w->session = w->engine->session_new(w->run->db);
	pthread_barrier_wait(&t->start->barrier);
	timer_init(&w->timer, &w->histogram, limit > 0 ? clock_ns() + (uint64_t)(limit * 1e9) : 0);
	w->start_ns = clock_ns();
	t->start->body(w);
	w->end_ns = clock_ns();
	return NULL;
}

static void sum_up(struct run *r, const struct worker *workers, unsigned n, uint64_t limit)
{
	struct result *result = &r->outcome->result;
	uint64_t from = UINT64_MAX, to = 0;

	for (unsigned i = 0; i < n; i++) {
		from = workers[i].start_ns < from ? workers[i].start_ns : from;
		to = workers[i].end_ns > to ? workers[i].end_ns : to;
		result->user_bytes += workers[i].bytes;
		if (workers[i].side) {
			result->side_operations += workers[i].operations;
			continue;
		}
		result->operations += workers[i].operations;
		if (workers[i].operations < limit && workers[i].timer.over)
			result->cut = true;
		latency_merge(r->histogram, &workers[i].histogram);
	}
	result->seconds = (double)(to - from) / 1e9;
	if (result->cut && r->workload->flags & WORKLOAD_FILL)
		result->incomplete = true;
}

/* The first worker is this thread: one worker needs no second one. */
void run_workers(struct run *r, unsigned n, uint64_t limit, worker_body body)
{
	struct worker *workers = calloc(n, sizeof(*workers));
	struct thread threads[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	struct start start = { .body = body, .seconds_max = r->seconds_max };

	if (!workers || n > THREADS_MAX)
		bench_fail("bench", "no memory for the threads");
	pthread_barrier_init(&start.barrier, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		workers[i] = (struct worker){ .run = r,
					      .engine = r->engine,
					      .index = i,
					      .limit = limit,
					      .seed = r->seed + i * UINT64_C(1000003) };
		threads[i] = (struct thread){ &workers[i], &start };
		if (n > 1 && pthread_create(&ids[i], NULL, worker_thread, &threads[i]))
			bench_fail("bench", "a thread could not be made");
	}
	if (n == 1)
		worker_thread(&threads[0]);
	for (unsigned i = 0; n > 1 && i < n; i++)
		pthread_join(ids[i], NULL);
	for (unsigned i = 0; i < n; i++)
		r->engine->session_free(workers[i].session);
	pthread_barrier_destroy(&start.barrier);
	sum_up(r, workers, n, limit);
	r->workers = workers;
	r->workers_n = n;
}

void run_single(struct run *r, double seconds, uint64_t operations)
{
	r->outcome->result.seconds += seconds;
	r->outcome->result.operations += operations;
	latency_add(r->histogram, (uint64_t)(seconds * 1e9), 1);
}

uint64_t run_count_entries(struct run *r)
{
	const struct engine *e = r->engine;
	uint64_t n = 0;
	void *session, *iter;

	r->db = e->open(r->dir, &r->settings);
	session = e->session_new(r->db);
	iter = e->iter_new(session);
	for (e->iter_first(iter); e->iter_valid(iter); e->iter_next(iter))
		n++;
	e->iter_free(iter);
	e->session_free(session);
	e->close(r->db);
	return n;
}

void run_check(const struct run *r, bool good, const char *what)
{
	char text[256];

	if (good)
		return;
	snprintf(text, sizeof(text), "%s: %s", r->workload->name, what);
	bench_fail(r->engine->name, text);
}

void run_check_seen(const struct run *r, uint64_t key, const struct seen *seen, bool meanwhile)
{
	unsigned state = key < r->model.keys ? r->model.state[key] : 0;

	if (!seen->found) {
		run_check(r, !state, "a key was not found though it is there");
		return;
	}
	if (meanwhile && values_match(&r->values, key, GENERATION_MEANWHILE, seen))
		return;
	run_check(r, state, "a key was found that isn't there");
	run_check(r, values_match(&r->values, key, state - 1, seen), "a key has a wrong value");
}
