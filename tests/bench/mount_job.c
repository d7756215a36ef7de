/* SPDX-License-Identifier: MIT */
#include "tests/bench/mount_job.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/process.h"

void job_fail(const struct job *job, int error, const char *what, const char *name)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s: %s%s%s", job->work->name, name, what, error ? ": " : "",
		 error ? strerror(error) : "");
	bench_fail(job->target->name, text);
}

/* ---- counters ---- */

struct counters {
	double client_cpu, daemon_cpu;
	uint64_t client_written, daemon_written;
};

static struct counters counters_read(const struct job *job)
{
	pid_t daemon = job->target->daemon;

	return (struct counters){ .client_cpu = process_cpu_seconds(getpid()) + children_cpu_seconds(),
				  .daemon_cpu = daemon ? process_cpu_seconds(daemon) : 0,
				  .client_written = process_write_bytes(getpid()),
				  .daemon_written = daemon ? process_write_bytes(daemon) : 0 };
}

static void count_since(struct job *job, const struct counters *before)
{
	const struct counters now = counters_read(job);
	struct measured *m = job->result;

	m->client_cpu = now.client_cpu - before->client_cpu;
	m->daemon_cpu = now.daemon_cpu - before->daemon_cpu;
	m->client_written = now.client_written - before->client_written;
	m->daemon_written = now.daemon_written - before->daemon_written;
}

/* ---- clients ---- */

struct start {
	pthread_barrier_t prepared, counted;
	struct counters counters; /* between these two */
	client_op before, op, after;
	bool once; /* the operation times what it wants itself */
	bool warm; /* all is done once before */
	double seconds_max;
};

struct thread {
	struct client *client;
	struct start *start;
};

static void *client_main(void *arg)
{
	struct thread *t = arg;
	struct client *c = t->client;
	struct start *start = t->start;

	if (start->before)
		start->before(c, c->from);
	for (uint64_t i = c->from; start->warm && i < c->to; i++)
		start->op(c, i);
	c->bytes = 0;
	if (pthread_barrier_wait(&start->prepared) == PTHREAD_BARRIER_SERIAL_THREAD)
		start->counters = counters_read(c->job);
	pthread_barrier_wait(&start->counted);
	c->start_ns = clock_ns();
	timer_init(&c->timer, &c->histogram,
		   start->seconds_max > 0 ? c->start_ns + (uint64_t)(start->seconds_max * 1e9) : 0);
	for (uint64_t i = c->from; i < c->to && !c->timer.over; i++) {
		if (!start->once)
			timer_begin(&c->timer);
		start->op(c, i);
		if (!start->once)
			timer_end(&c->timer);
		c->operations++;
	}
	if (start->after)
		start->after(c, c->to);
	c->end_ns = clock_ns();
	if (c->fd >= 0)
		close(c->fd);
	return NULL;
}

static void sum_up(struct job *job, const struct client *clients, unsigned n)
{
	struct measured *m = job->result;
	uint64_t from = UINT64_MAX, to = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct client *c = &clients[i];

		from = c->start_ns < from ? c->start_ns : from;
		to = c->end_ns > to ? c->end_ns : to;
		m->operations += c->operations;
		m->bytes += c->bytes;
		m->cut = m->cut || c->operations < c->to - c->from;
		latency_merge(job->histogram, &c->histogram);
	}
	m->seconds = (double)(to - from) / 1e9;
}

static void clients_init(struct client *clients, unsigned threads, struct job *job, uint64_t n)
{
	for (unsigned i = 0; i < threads; i++) {
		clients[i].job = job;
		clients[i].index = i;
		clients[i].from = n * i / threads;
		clients[i].to = n * (i + 1) / threads;
		clients[i].fd = -1;
		clients[i].buffer = malloc(PATTERN_BLOCKS * BLOCK);
		if (!clients[i].buffer)
			bench_fail("bench_mount", "no memory");
		blocks_init(clients[i].buffer, PATTERN_BLOCKS * BLOCK, 0);
	}
}

/* The first client is this thread: one client needs no second one. */
static void run(struct job *job, uint64_t n, struct start start)
{
	unsigned threads = job->work->threads;
	struct client *clients = calloc(threads, sizeof(*clients));
	struct thread args[CLIENTS_MAX];
	pthread_t ids[CLIENTS_MAX];

	if (!clients || threads > CLIENTS_MAX)
		bench_fail("bench_mount", "no memory for the clients");
	if (job->work->flags & WORK_TIMED)
		start.seconds_max = job->settings->seconds;
	clients_init(clients, threads, job, n);
	pthread_barrier_init(&start.prepared, NULL, threads);
	pthread_barrier_init(&start.counted, NULL, threads);
	start.warm = job->work->flags & WORK_WARM;
	for (unsigned i = 0; i < threads; i++) {
		args[i] = (struct thread){ &clients[i], &start };
		if (i && pthread_create(&ids[i], NULL, client_main, &args[i]))
			bench_fail("bench_mount", "a thread could not be made");
	}
	client_main(&args[0]);
	for (unsigned i = 1; i < threads; i++)
		pthread_join(ids[i], NULL);
	count_since(job, &start.counters);
	pthread_barrier_destroy(&start.prepared);
	pthread_barrier_destroy(&start.counted);
	sum_up(job, clients, threads);
	for (unsigned i = 0; i < threads; i++)
		free(clients[i].buffer);
	free(clients);
}

void job_run(struct job *job, uint64_t n, client_op before, client_op op, client_op after)
{
	run(job, n, (struct start){ .before = before, .op = op, .after = after });
}

void job_run_once(struct job *job, client_op op, uint64_t operations)
{
	run(job, 1, (struct start){ .op = op, .once = true });
	job->result->operations = operations;
}
