/* SPDX-License-Identifier: MIT */
/*
 * sim - the engine, or the volume on it, in a simulated world (sim.h). Each seed is a schedule.
 *
 *   sim [engine|volume] [--seed N] [--first N] [--count N] [--seconds N] [--jobs N] [--bug NAME] [--verbose]
 *   sim --bugs               a line for each bug that can be planted
 *   sim engine --teeth N     each planted bug must be noticed within N schedules
 *   sim engine --same N      N schedules, each twice: the same must happen
 *
 * --seed runs one schedule and tells how it went, --verbose all that happened in it. Else schedules from --first (1) on
 * are run, --count (1000) of them or for --seconds, by --jobs (2) processes; the seeds of those that fail are printed.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"

enum { JOBS_MAX = 64, SCHEDULE_SECONDS = 120, FAILURES_MAX = 20 };

/* What a process tells of its schedule. */
struct result {
	uint64_t trace, steps, ops, faults;
};

struct job {
	pid_t pid;
	uint64_t seed;
};

static struct {
	void (*schedule)(void);
	uint64_t seed, first, count, seconds, teeth, same;
	unsigned jobs;
	bool one;
} args = { .schedule = sim_engine, .first = 1, .count = 1000, .jobs = 2 };

static struct result *results; /* shared; of each job */

_Noreturn static void schedule_main(uint64_t seed, struct result *ret)
{
	alarm(SCHEDULE_SECONDS);
	sim.seed = seed;
	sim.rng.state = seed;
	sim.switch_one_in = 4;
	args.schedule();
	*ret = (struct result){ sim.trace, sim.steps, sim_ops, sim_faults_met };
	_exit(0);
}

static pid_t schedule_start(uint64_t seed, struct result *ret, bool quiet)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("sim: fork");
		exit(2);
	}
	if (!pid) {
		if (quiet && !freopen("/dev/null", "w", stderr))
			_exit(2);
		schedule_main(seed, ret);
	}
	return pid;
}

static bool schedule_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

/* ---- many ---- */

struct sum {
	uint64_t schedules, failures, steps, ops;
	uint64_t first_failure;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Waits for any job; its place is free then. */
static unsigned job_reap(struct job *jobs, struct sum *sum, bool quiet)
{
	int status = 0;
	pid_t pid = waitpid(-1, &status, 0);
	unsigned i = 0;

	while (i < args.jobs && jobs[i].pid != pid)
		i++;
	if (pid < 0 || i == args.jobs) {
		perror("sim: wait");
		exit(2);
	}
	jobs[i].pid = 0;
	sum->schedules++;
	sum->steps += results[i].steps;
	sum->ops += results[i].ops;
	if (!status)
		return i;
	if (!sum->failures++)
		sum->first_failure = jobs[i].seed;
	if (!quiet && WIFSIGNALED(status))
		fprintf(stderr, "seed %llu: signal %d\n", (unsigned long long)jobs[i].seed, WTERMSIG(status));
	if (!quiet)
		printf("FAILED: seed %llu\n", (unsigned long long)jobs[i].seed);
	fflush(stdout);
	return i;
}

static struct sum run_many(uint64_t count, unsigned failures_max, bool quiet)
{
	struct job jobs[JOBS_MAX] = { 0 };
	struct sum sum = { 0 };
	double end = args.seconds ? now() + (double)args.seconds : 0;
	uint64_t seed = args.first;
	unsigned running = 0, i;

	while (running || (seed < args.first + count && sum.failures < failures_max)) {
		bool more = seed < args.first + count && sum.failures < failures_max && (end <= 0 || now() < end);

		if (!more && !running)
			break;
		if (more && running < args.jobs) {
			for (i = 0; jobs[i].pid; i++)
				;
			running++;
		} else {
			i = job_reap(jobs, &sum, quiet);
			if (!more) {
				running--;
				continue;
			}
		}
		memset(&results[i], 0, sizeof(results[i]));
		jobs[i] = (struct job){ schedule_start(seed, &results[i], quiet), seed };
		seed++;
	}
	return sum;
}

static int run(void)
{
	double start = now();
	struct sum sum = run_many(args.seconds ? UINT64_MAX / 2 : args.count, FAILURES_MAX, false);

	printf("sim: %llu schedules from seed %llu on in %.1f s: %llu failed; %llu steps, %llu operations of the env\n",
	       (unsigned long long)sum.schedules, (unsigned long long)args.first, now() - start,
	       (unsigned long long)sum.failures, (unsigned long long)sum.steps, (unsigned long long)sum.ops);
	return sum.failures || !sum.schedules;
}

/* ---- one; twice; with bugs ---- */

static bool run_one(uint64_t seed, struct result *ret)
{
	bool well = schedule_wait(schedule_start(seed, &results[0], false));

	*ret = results[0];
	return well;
}

static int run_seed(void)
{
	struct result r;
	bool well = run_one(args.seed, &r);

	printf("seed %llu: %s; %llu steps, %llu operations of the env, %llu faults, trace %016llx\n",
	       (unsigned long long)args.seed, well ? "well" : "FAILED", (unsigned long long)r.steps,
	       (unsigned long long)r.ops, (unsigned long long)r.faults, (unsigned long long)r.trace);
	return !well;
}

static int run_same(void)
{
	unsigned different = 0;

	for (uint64_t seed = args.first; seed < args.first + args.same; seed++) {
		struct result a, b;
		bool well = run_one(seed, &a) && run_one(seed, &b);

		if (!well || memcmp(&a, &b, sizeof(a))) {
			printf("FAILED: seed %llu: %s\n", (unsigned long long)seed,
			       well ? "not the same twice" : "fails");
			different++;
		}
	}
	printf("sim: %llu schedules, each twice: %u differ\n", (unsigned long long)args.same, different);
	return different != 0;
}

static int run_teeth(void)
{
	unsigned missed = 0;

	for (const char *const *bug = sim_bugs; *bug; bug++) {
		struct sum sum;

		sim.bug = *bug;
		sum = run_many(args.teeth, 1, true);
		if (sum.failures)
			printf("ok: %s noticed by seed %llu\n", *bug, (unsigned long long)sum.first_failure);
		else
			printf("FAILED: %s not noticed by %llu schedules\n", *bug, (unsigned long long)sum.schedules);
		missed += !sum.failures;
		fflush(stdout);
	}
	return missed != 0;
}

static int list_bugs(void)
{
	for (const char *const *bug = sim_bugs; *bug; bug++)
		puts(*bug);
	return 0;
}

/* ---- the command line ---- */

_Noreturn static void usage(const char *wrong)
{
	fprintf(stderr,
		"sim: %s\nusage: sim [engine|volume] [--seed N] [--first N] [--count N] [--seconds N] [--jobs N]"
		" [--bug NAME] [--verbose] [--teeth N] [--same N] [--bugs]\n",
		wrong);
	exit(2);
}

static void bug_choose(const char *name)
{
	for (const char *const *bug = sim_bugs; *bug; bug++)
		if (!strcmp(*bug, name))
			sim.bug = *bug;
	if (!sim.bug)
		usage("no bug has this name; see --bugs");
}

static bool flag_parse(const char *name)
{
	if (!strcmp(name, "engine"))
		args.schedule = sim_engine;
	else if (!strcmp(name, "volume"))
		args.schedule = sim_volume;
	else if (!strcmp(name, "--verbose"))
		sim.verbose = true;
	else if (!strcmp(name, "--bugs"))
		exit(list_bugs());
	else
		return false;
	return true;
}

static void value_parse(const char *name, const char *value)
{
	uint64_t n = value ? strtoull(value, NULL, 0) : 0;

	if (!value)
		usage("a value is missing");
	if (!strcmp(name, "--seed")) {
		args.seed = n;
		args.one = true;
	} else if (!strcmp(name, "--first")) {
		args.first = n;
	} else if (!strcmp(name, "--count")) {
		args.count = n;
	} else if (!strcmp(name, "--seconds")) {
		args.seconds = n;
	} else if (!strcmp(name, "--teeth")) {
		args.teeth = n;
	} else if (!strcmp(name, "--same")) {
		args.same = n;
	} else if (!strcmp(name, "--jobs")) {
		args.jobs = n < 1 ? 1 : n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
	} else if (!strcmp(name, "--bug")) {
		bug_choose(value);
	} else {
		usage("unknown option");
	}
}

/* Where memory lies must not matter; but should it, then each time in the same way. */
static void fix_addresses(char **argv)
{
	int before = personality(0xffffffff);

	if (before >= 0 && !(before & ADDR_NO_RANDOMIZE) && personality((unsigned long)before | ADDR_NO_RANDOMIZE) >= 0)
		execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	fix_addresses(argv);
	for (int i = 1; i < argc; i++) {
		if (!flag_parse(argv[i])) {
			value_parse(argv[i], argv[i + 1]);
			i++;
		}
	}
	results = mmap(NULL, JOBS_MAX * sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED) {
		perror("sim: mmap");
		return 2;
	}
	if (args.one)
		return run_seed();
	if (args.teeth)
		return run_teeth();
	return args.same ? run_same() : run();
}
