/* SPDX-License-Identifier: MIT */
/* Runs the workloads, each of each engine in a process of its own, and watches that process. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/process.h"

enum { SAMPLE_MS = 100 };

/* What the child tells at its end. Before, it sends one byte when all is measured, and what follows is not to be. */
struct message {
	uint64_t anon_before, anon_after;
	struct outcome outcome;
};

struct job {
	const struct bench *b;
	const struct workload *workload;
	const struct engine *engine;
	const struct history *history;
	const char *dir;
	unsigned round;
};

/* ---- in the child ---- */

static void times(struct result *ret, const struct histogram *h)
{
	ret->p50_ns = latency_quantile(h, 0.5);
	ret->p99_ns = latency_quantile(h, 0.99);
	ret->p999_ns = latency_quantile(h, 0.999);
	ret->max_ns = (double)h->max;
}

static void set_peak_rss(struct result *ret)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	ret->rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
}

static void must_send(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n <= 0)
			_exit(1);
		at += n;
		size -= (size_t)n;
	}
}

static void child_run(const struct job *job, int fd, struct message *ret)
{
	static struct histogram histogram;
	const struct workload *w = job->workload;
	struct result *result = &ret->outcome.result;
	struct run r = {
		.workload = w,
		.engine = job->engine,
		.settings = workload_settings(w, &job->b->settings),
		.dir = job->dir,
		.history = job->history,
		.seed = 1000 + 7919 * job->round + (uint64_t)(w - workloads) * 104729,
		.seconds_max = w->flags & WORKLOAD_FILL ? job->b->fill_seconds : job->b->seconds,
		.outcome = &ret->outcome,
		.histogram = &histogram,
	};
	double start;

	values_init(&r.values, r.settings.value_bytes);
	model_init(&r.model, r.history);
	w->run(&r);
	times(result, &histogram);
	ret->anon_after = process_anon_bytes(getpid());
	start = clock_seconds();
	r.engine->close(r.db);
	result->close_seconds = clock_seconds() - start;
	result->cpu_seconds = process_cpu_seconds(getpid()) - r.cpu_before;
	result->write_bytes = process_write_bytes(getpid()) - r.write_before;
	ret->anon_before = r.anon_before;
	set_peak_rss(result);
	must_send(fd, "", 1);
	if (r.verify)
		r.verify(&r);
}

_Noreturn static void child_main(const struct job *job, int fd)
{
	static struct message message;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	child_run(job, fd, &message);
	must_send(fd, &message, sizeof(message));
	_exit(0);
}

/* ---- in the parent ---- */

static void show_progress(const struct bench *b, const struct job *job, double seconds)
{
	uint64_t total = (clock_ns() - b->start_ns) / 1000000000;

	if (b->quiet || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K[%u/%u, %u:%02u] round %u of %u: %s, %s, %.0f s", b->step, b->steps,
		(unsigned)(total / 60), (unsigned)(total % 60), job->round + 1, b->rounds, job->workload->name,
		job->engine->name, seconds);
	fflush(stderr);
}

static void clear_progress(const struct bench *b)
{
	if (!b->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* Waits for `size` bytes, and meanwhile samples the child's anonymous memory if that is asked for. False if the child
 * died first. */
static bool receive(const struct job *job, pid_t child, int fd, void *data, size_t size, uint64_t *peak)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char *at = data;
	double start = clock_seconds();

	while (size) {
		int n = poll(&poll_fd, 1, SAMPLE_MS);

		if (interrupted)
			return false;
		if (n > 0) {
			ssize_t got = read(fd, at, size);

			if (got <= 0)
				return false;
			at += got;
			size -= (size_t)got;
			continue;
		}
		if (peak) {
			uint64_t anon = process_anon_bytes(child);

			*peak = anon > *peak ? anon : *peak;
		}
		show_progress(job->b, job, clock_seconds() - start);
	}
	return true;
}

static bool receive_all(const struct job *job, pid_t child, int fd, struct message *ret)
{
	uint64_t peak = 0;
	char byte;

	if (!receive(job, child, fd, &byte, 1, &peak) || !receive(job, child, fd, ret, sizeof(*ret), NULL))
		return false;
	peak = ret->anon_after > peak ? ret->anon_after : peak;
	ret->outcome.result.anon_bytes = peak > ret->anon_before ? peak - ret->anon_before : 0;
	return true;
}

/* False: it failed, and has said why, or was interrupted. */
static bool run_job(const struct job *job, struct outcome *ret)
{
	static struct message message;
	int pipes[2], status;
	pid_t child;
	bool good;

	if (pipe(pipes))
		bench_fail("pipe", strerror(errno));
	fflush(NULL);
	child = fork();
	if (child < 0)
		bench_fail("fork", strerror(errno));
	if (!child) {
		close(pipes[0]);
		child_main(job, pipes[1]);
	}
	close(pipes[1]);
	good = receive_all(job, child, pipes[0], &message);
	close(pipes[0]);
	if (interrupted)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	clear_progress(job->b);
	if (!good || interrupted) {
		if (!interrupted && WIFSIGNALED(status))
			fprintf(stderr, "bench_engine: %s: killed by signal %d\n", job->engine->name, WTERMSIG(status));
		return false;
	}
	*ret = message.outcome;
	return true;
}

static void store_path(const struct bench *b, unsigned engine, char *ret, size_t size)
{
	snprintf(ret, size, "%s/%s", b->dir, b->engines[engine]->name);
}

static uint64_t live_bytes(const struct bench *b, const struct workload *w, const struct history *h)
{
	struct bench_settings s = workload_settings(w, &b->settings);
	struct model model;
	uint64_t live;

	model_init(&model, h);
	live = model_live(&model);
	model_done(&model);
	return live * (KEY_BYTES + s.value_bytes);
}

static void finish(struct bench *b, unsigned w, unsigned e, unsigned round, const char *dir,
		   const struct outcome *outcome)
{
	struct result *result = &b->results[w][e][round];
	struct history *history = &b->histories[e];

	for (unsigned i = 0; i < outcome->written.n; i++)
		history_add(history, outcome->written.steps[i]);
	*result = outcome->result;
	result->disk_bytes = dir_disk_bytes(dir);
	result->live_bytes = live_bytes(b, &workloads[w], history);
	if (result->incomplete) {
		b->broken[e] = true;
		fprintf(stderr,
			"bench_engine: %s: %s was not done after %.0f s (--fill-seconds): the rest is left out\n",
			b->engines[e]->name, workloads[w].name, result->seconds);
	}
	report_json_result(b, w, e, round);
}

static void run_one(struct bench *b, unsigned w, unsigned e, unsigned round)
{
	static struct outcome outcome;
	char dir[DIR_MAX + 64];
	struct job job = {
		.b = b,
		.workload = &workloads[w],
		.engine = b->engines[e],
		.history = &b->histories[e],
		.dir = dir,
		.round = round,
	};

	store_path(b, e, dir, sizeof(dir));
	b->step++;
	if (workloads[w].flags & WORKLOAD_FRESH) {
		dir_remove(dir);
		b->histories[e].n = 0;
		b->broken[e] = false;
	}
	if (b->broken[e])
		return;
	show_progress(b, &job, 0);
	dir_sync(b->dir); /* what the one before left unwritten is not this one's burden */
	if (workloads[w].flags & WORKLOAD_COLD && !dir_drop_cache(dir))
		fprintf(stderr, "bench_engine: %s: %s: the kernel kept a part of the files in its cache\n",
			b->engines[e]->name, workloads[w].name);
	if (run_job(&job, &outcome)) {
		finish(b, w, e, round, dir, &outcome);
	} else if (!interrupted) {
		fprintf(stderr, "bench_engine: %s: %s failed\n", b->engines[e]->name, workloads[w].name);
		b->broken[e] = true;
		b->failures++;
	}
}

static void measure_disk(struct bench *b, unsigned round)
{
	double seconds = 0;
	uint64_t n = disk_append_syncs(b->dir, b->seconds > 0 && b->seconds < 2 ? b->seconds : 2, &seconds);

	b->disk_rates[round] = (double)n / seconds;
}

/* Where nobody looks on, each workload leaves a line. */
static void log_workload(const struct bench *b, unsigned w, unsigned round)
{
	if (b->quiet || isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "[%u/%u] round %u of %u: %s:", b->step, b->steps, round + 1, b->rounds, workloads[w].name);
	for (unsigned e = 0; e < b->engines_n; e++) {
		const struct result *r = &b->results[w][e][round];

		if (r->seconds > 0)
			fprintf(stderr, " %s %.1f k/s", b->engines[e]->name, (double)r->operations / r->seconds / 1000);
		else
			fprintf(stderr, " %s -", b->engines[e]->name);
	}
	fprintf(stderr, "\n");
}

static void run_workload(struct bench *b, unsigned w, unsigned round, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to && !interrupted; i++)
		run_one(b, w, (i + round) % b->engines_n, round);
}

static void remove_stores(const struct bench *b)
{
	char dir[DIR_MAX + 64];

	for (unsigned e = 0; e < b->engines_n; e++) {
		store_path(b, e, dir, sizeof(dir));
		dir_remove(dir);
	}
}

/* One engine after the other, each the whole chain. */
static void run_chain_alone(struct bench *b, unsigned begin, unsigned end, unsigned round)
{
	for (unsigned i = 0; i < b->engines_n; i++) {
		remove_stores(b);
		for (unsigned w = begin; w < end; w++)
			if (b->needed[w])
				run_workload(b, w, round, i, i + 1);
	}
	for (unsigned w = begin; w < end && !interrupted; w++)
		if (b->needed[w])
			log_workload(b, w, round);
}

/* Each workload by all engines in turn. */
static void run_chain(struct bench *b, unsigned begin, unsigned end, unsigned round)
{
	for (unsigned w = begin; w < end && !interrupted; w++) {
		if (!b->needed[w])
			continue;
		run_workload(b, w, round, 0, b->engines_n);
		if (workloads[w].flags & WORKLOAD_DISK && !interrupted)
			measure_disk(b, round);
		if (!interrupted)
			log_workload(b, w, round);
	}
}

void runner_round(struct bench *b, unsigned round)
{
	unsigned end;

	for (unsigned begin = 0; begin < workloads_n && !interrupted; begin = end) {
		end = workload_chain_end(begin);
		if (workloads[begin].flags & WORKLOAD_ALONE)
			run_chain_alone(b, begin, end, round);
		else
			run_chain(b, begin, end, round);
	}
	remove_stores(b);
}
