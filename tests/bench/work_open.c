/* SPDX-License-Identifier: MIT */
/* Workloads that open a store whose process was killed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/process.h"
#include "tests/bench/workload.h"

/* As much of the write buffer as a record takes in the engine that takes most: all records are in the log then. */
enum { RECORD_OVERHEAD_BYTES = 108, OPENS = 5, SHORT_LOG_RECORDS = 1000 };

/* What the writer writes. `rewrite`: of these keys only those that are there, with the values that they have; so it does
 * not matter to what comes later whether the engine loses some of it. */
struct crash {
	struct step step;
	bool rewrite;
};

static void write_all(struct run *r, const struct crash *c, void *session)
{
	struct rng rng = { c->step.seed };
	char key[KEY_BUFFER];

	for (uint64_t i = 0; i < c->step.count; i++) {
		uint64_t n = key_pick(&rng, c->step.range);
		unsigned generation = c->step.generation;

		if (c->rewrite) {
			if (n >= r->model.keys || !r->model.state[n])
				continue;
			generation = r->model.state[n] - 1u;
		}
		key_make(key, n);
		r->engine->put(session, key, values_at(&r->values, n, generation), r->settings.value_bytes);
	}
}

/* The writer fills without closing, tells when it is done, and waits to be killed. */
_Noreturn static void write_and_wait(struct run *r, const struct crash *c, int done)
{
	void *db;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	db = r->engine->open(r->dir, &r->settings);
	write_all(r, c, r->engine->session_new(db));
	if (write(done, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void crashed_writer(struct run *r, const struct crash *c)
{
	int pipes[2], status;
	pid_t writer;
	char byte;

	run_check(r, !pipe(pipes), "no pipe");
	fflush(NULL);
	writer = fork();
	run_check(r, writer >= 0, "the writer could not be started");
	if (!writer) {
		close(pipes[0]);
		write_and_wait(r, c, pipes[1]);
	}
	close(pipes[1]);
	run_check(r, read(pipes[0], &byte, 1) == 1, "the writer failed");
	close(pipes[0]);
	kill(writer, SIGKILL);
	while (waitpid(writer, &status, 0) < 0)
		run_check(r, errno == EINTR, "the writer went away");
	if (!c->rewrite)
		history_add(&r->outcome->written, c->step);
}

/* A store is open when it answers. */
static void get_one(struct run *r, uint64_t n)
{
	void *session = r->engine->session_new(r->db);
	struct seen seen = { 0 };
	char key[KEY_BUFFER];

	key_make(key, n);
	r->engine->get(session, key, KEY_BYTES, &seen);
	r->engine->session_free(session);
}

/* What a log in the process's memory lost with it was not replayed, and doesn't count. */
static void verify_survivors(struct run *r)
{
	struct result *result = &r->outcome->result;
	uint64_t live, found = run_count_entries(r), records = result->operations;
	struct model model;

	model_init(&model, &r->outcome->written);
	live = model_live(&model);
	model_done(&model);
	run_check(r, found == live || (r->engine->loses_on_kill && found < live), "not all records survived the kill");
	result->lost = records - (uint64_t)((double)records * (double)found / (double)live + 0.5);
	result->operations -= result->lost;
}

void run_recover(struct run *r)
{
	size_t record = KEY_BYTES + r->settings.value_bytes + RECORD_OVERHEAD_BYTES;
	uint64_t n = r->settings.write_buffer_bytes / record;
	struct crash crash = { { .kind = STEP_RANDOM, .seed = r->seed, .range = r->settings.keys }, false };
	double start;

	n = n < r->settings.keys ? n : r->settings.keys;
	crash.step.count = n;
	crashed_writer(r, &crash);
	start = clock_seconds();
	run_open(r);
	get_one(r, 0);
	run_single(r, clock_seconds() - start, n);
	r->verify = verify_survivors;
}

/* A process of its own: no engine has been in this one before the last open, and left threads that a fork misses. */
static double open_apart(struct run *r)
{
	double start, seconds = 0;
	int pipes[2], status;
	pid_t child;

	run_check(r, !pipe(pipes), "no pipe");
	fflush(NULL);
	child = fork();
	run_check(r, child >= 0, "no process could be made");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		start = clock_seconds();
		r->db = r->engine->open(r->dir, &r->settings);
		get_one(r, 0);
		seconds = clock_seconds() - start;
		r->engine->close(r->db);
		_exit(write(pipes[1], &seconds, sizeof(seconds)) != sizeof(seconds));
	}
	close(pipes[1]);
	run_check(r, read(pipes[0], &seconds, sizeof(seconds)) == sizeof(seconds), "the open failed");
	close(pipes[0]);
	while (waitpid(child, &status, 0) < 0)
		run_check(r, errno == EINTR, "the process went away");
	return seconds;
}

void run_open_short_log(struct run *r)
{
	struct crash crash = { { .kind = STEP_RANDOM, .range = r->settings.keys, .count = SHORT_LOG_RECORDS }, true };
	double start;

	for (unsigned i = 0; i < OPENS; i++) {
		crash.step.seed = r->seed + i;
		crashed_writer(r, &crash);
		if (i + 1 < OPENS)
			run_single(r, open_apart(r), 1);
	}
	start = clock_seconds();
	run_open(r);
	get_one(r, 0);
	run_single(r, clock_seconds() - start, 1);
}
