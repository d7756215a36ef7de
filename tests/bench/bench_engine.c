/* SPDX-License-Identifier: MIT */
/*
 * bench_engine - our engine beside RocksDB and LevelDB, in one run on one machine. Each workload of each engine in each
 * round is a process of its own, so that its time, memory and bytes written are its own; the engines take turns, so
 * that what else the machine does meets all of them; the median of the rounds counts.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/engine.h"

enum { ROUNDS_MAX = 21, WORKLOADS_MAX = 32, DIR_MAX = 512 };

static const struct engine *const engines[] = {
	&engine_ours,
#ifdef BENCH_ROCKSDB
	&engine_rocksdb,
#endif
#ifdef BENCH_LEVELDB
	&engine_leveldb,
#endif
};
enum { ENGINES = sizeof(engines) / sizeof(engines[0]) };

struct result {
	double seconds; /* 0: was not run */
	double cpu_seconds;
	uint64_t operations, user_bytes;
	uint64_t write_bytes; /* that the process caused to be written to storage, until it closed the store */
	uint64_t rss_bytes;
};

struct bench {
	struct bench_settings settings;
	unsigned rounds;
	const char *engines, *workloads; /* comma lists; NULL: all */
	char dir[DIR_MAX];
	struct result results[WORKLOADS_MAX][ENGINES][ROUNDS_MAX];
};

void bench_fail(const char *engine, const char *message)
{
	fprintf(stderr, "bench_engine: %s: %s\n", engine, message);
	exit(1);
}

static bool listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (list) {
		if (!strncasecmp(list, name, n) && (list[n] == ',' || !list[n]))
			return true;
		list = strchr(list, ',');
		list += list != NULL;
	}
	return false;
}

static bool wanted(const char *list, const char *name)
{
	return !list || listed(list, name);
}

static void remove_tree(const char *dir)
{
	pid_t child = fork();

	if (!child) {
		execlp("rm", "rm", "-rf", "--", dir, NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

/* ---- one workload in a child ---- */

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t written_bytes(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	char line[128];
	uint64_t n = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "write_bytes: %" SCNu64, &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static void child_run(const struct bench *b, const struct workload *w, const struct engine *e, const char *dir,
		      uint64_t seed, struct result *ret)
{
	uint64_t before = written_bytes();
	struct rusage usage;
	double start;
	void *db = e->open(dir, &b->settings);

	start = now_seconds();
	ret->operations = w->run(e, db, &b->settings, seed, &ret->user_bytes);
	ret->seconds = now_seconds() - start;
	e->close(db);
	getrusage(RUSAGE_SELF, &usage);
	ret->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	ret->rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
	ret->write_bytes = written_bytes() - before;
}

static void run_one(const struct bench *b, const struct workload *w, const struct engine *e, unsigned round,
		    struct result *ret)
{
	struct result result = { 0 };
	char dir[DIR_MAX + 32];
	int pipes[2], status;
	pid_t child;

	snprintf(dir, sizeof(dir), "%s/%s", b->dir, e->name);
	if (w->fresh)
		remove_tree(dir);
	sync(); /* what the one before left unwritten is not this one's burden */
	if (pipe(pipes))
		bench_fail("pipe", strerror(errno));
	fflush(NULL);
	child = fork();
	if (child < 0)
		bench_fail("fork", strerror(errno));
	if (!child) {
		child_run(b, w, e, dir, 1000 + round, &result);
		exit(write(pipes[1], &result, sizeof(result)) == sizeof(result) ? 0 : 1);
	}
	close(pipes[1]);
	if (read(pipes[0], &result, sizeof(result)) != sizeof(result))
		result.seconds = 0;
	close(pipes[0]);
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) || result.seconds <= 0)
		bench_fail(e->name, w->name);
	*ret = result;
}

/* Workloads that were not asked for run all the same when a later one reads what they write. */
static bool needed(const struct bench *b, unsigned at)
{
	if (wanted(b->workloads, workloads[at].name))
		return true;
	if (!workloads[at].writes)
		return false;
	for (unsigned i = at + 1; i < workloads_n && !workloads[i].fresh; i++)
		if (wanted(b->workloads, workloads[i].name))
			return true;
	return false;
}

static void run_round(struct bench *b, unsigned round)
{
	for (unsigned w = 0; w < workloads_n; w++) {
		if (!needed(b, w))
			continue;
		for (unsigned i = 0; i < ENGINES; i++) {
			unsigned e = (i + round) % ENGINES;

			if (!wanted(b->engines, engines[e]->name))
				continue;
			if (isatty(STDERR_FILENO))
				fprintf(stderr, "\r\033[Kround %u of %u: %s, %s", round + 1, b->rounds,
					workloads[w].name, engines[e]->name);
			run_one(b, &workloads[w], engines[e], round, &b->results[w][e][round]);
		}
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* ---- the table ---- */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

enum figure { KILO_OPS, WRITE_AMPLIFICATION, CPU_US, RSS_MIB };

static double figure_of(const struct result *r, enum figure figure)
{
	switch (figure) {
	case KILO_OPS:
		return (double)r->operations / r->seconds / 1000;
	case WRITE_AMPLIFICATION:
		return r->user_bytes ? (double)r->write_bytes / (double)r->user_bytes : 0;
	case CPU_US:
		return r->cpu_seconds * 1e6 / (double)r->operations;
	case RSS_MIB:
		return (double)r->rss_bytes / (1 << 20);
	}
	return 0;
}

/* The median of the rounds; 0 when there were none. */
static double median(const struct bench *b, unsigned w, unsigned e, enum figure figure)
{
	double values[ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < b->rounds; i++)
		if (b->results[w][e][i].seconds > 0)
			values[n++] = figure_of(&b->results[w][e][i], figure);
	if (!n)
		return 0;
	qsort(values, n, sizeof(values[0]), compare_doubles);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void print_row(const struct bench *b, unsigned w, enum figure figure)
{
	double best = 0, ours = median(b, w, 0, figure);

	printf("%-12s", workloads[w].name);
	for (unsigned e = 0; e < ENGINES; e++) {
		double value = median(b, w, e, figure);

		if (!wanted(b->engines, engines[e]->name))
			continue;
		printf(value < 10 ? " %11.2f" : value < 100 ? " %11.1f" : " %11.0f", value);
		if (e && (figure == KILO_OPS ? value > best : best <= 0 || value < best))
			best = value;
	}
	if (ours > 0 && best > 0)
		printf(" %11.2f", ours / best);
	printf("\n");
}

static void print_table(const struct bench *b, const char *title, enum figure figure, bool writes_only)
{
	printf("\n%s\n%-12s", title, "");
	for (unsigned e = 0; e < ENGINES; e++)
		if (wanted(b->engines, engines[e]->name))
			printf(" %11s", engines[e]->name);
	printf(" %11s\n", "ours/best");
	for (unsigned w = 0; w < workloads_n; w++)
		if (needed(b, w) && (!writes_only || workloads[w].writes))
			print_row(b, w, figure);
}

static void print_header(const struct bench *b)
{
	printf("%" PRIu64 " keys of 16 bytes, values of %zu bytes (half compressible), write buffer %" PRIu64
	       " MiB, cache %" PRIu64 " MiB, filter %d bits a key, %u rounds, %ld processors\n",
	       b->settings.keys, b->settings.value_bytes, b->settings.write_buffer_bytes >> 20,
	       b->settings.cache_bytes >> 20, b->settings.filter_bits, b->rounds, sysconf(_SC_NPROCESSORS_ONLN));
	for (unsigned e = 0; e < ENGINES; e++)
		if (wanted(b->engines, engines[e]->name))
			printf("%s %s%s", engines[e]->name, engines[e]->version(), e + 1 < ENGINES ? ", " : "\n");
#ifndef BENCH_ROCKSDB
	printf("RocksDB is absent (librocksdb-dev was not found when this was built)\n");
#endif
#ifndef BENCH_LEVELDB
	printf("LevelDB is absent (libleveldb-dev was not found when this was built)\n");
#endif
}

static void print_tables(const struct bench *b)
{
	print_header(b);
	print_table(b, "Thousand operations a second (more is better)", KILO_OPS, false);
	print_table(b, "Write amplification: bytes written to storage / bytes of keys and values (less is better)",
		    WRITE_AMPLIFICATION, true);
	print_table(b, "CPU time of all threads, us an operation (less is better)", CPU_US, false);
	print_table(b, "Peak resident memory, MiB (less is better; mapped files count)", RSS_MIB, false);
}

/* ---- options ---- */

static const char usage[] = "bench_engine [OPTIONS]: our engine beside RocksDB and LevelDB\n"
			    "  --keys N         number of keys (default 1000000)\n"
			    "  --value-bytes N  size of a value (default 100)\n"
			    "  --rounds N       rounds, of which the median counts (default 3)\n"
			    "  --engines LIST   of lsmfs,rocksdb,leveldb (default all)\n"
			    "  --workloads LIST of the list below (default all)\n"
			    "  --cache-mib N    block cache (default 256)\n"
			    "  --buffer-mib N   write buffer (default 64)\n"
			    "  --dir DIR        where stores are made (default a new directory in this one)\n"
			    "  --help\n"
			    "workloads:\n";

static void print_usage(void)
{
	fputs(usage, stdout);
	for (unsigned i = 0; i < workloads_n; i++)
		printf("  %-12s %s\n", workloads[i].name, workloads[i].about);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (*end || !n)
		bench_fail(text, "not a number above 0");
	return n;
}

/* Returns false when there is nothing to run. */
static bool parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "keys", required_argument, NULL, 'k' },
		{ "value-bytes", required_argument, NULL, 'v' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "engines", required_argument, NULL, 'e' },
		{ "workloads", required_argument, NULL, 'w' },
		{ "cache-mib", required_argument, NULL, 'c' },
		{ "buffer-mib", required_argument, NULL, 'b' },
		{ "dir", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'k':
			b->settings.keys = number(optarg);
			break;
		case 'v':
			b->settings.value_bytes = number(optarg);
			break;
		case 'r':
			b->rounds = (unsigned)number(optarg);
			break;
		case 'e':
			b->engines = optarg;
			break;
		case 'w':
			b->workloads = optarg;
			break;
		case 'c':
			b->settings.cache_bytes = number(optarg) << 20;
			break;
		case 'b':
			b->settings.write_buffer_bytes = number(optarg) << 20;
			break;
		case 'd':
			snprintf(b->dir, sizeof(b->dir), "%s/bench_engine.XXXXXX", optarg);
			break;
		case 'h':
			print_usage();
			return false;
		default:
			exit(2);
		}
	}
	if (optind < argc)
		bench_fail(argv[optind], "unknown argument");
	if (b->rounds > ROUNDS_MAX)
		bench_fail("--rounds", "too many");
	return true;
}

int main(int argc, char **argv)
{
	static struct bench b = {
		.settings = { .keys = 1000000,
			      .value_bytes = 100,
			      .write_buffer_bytes = 64 << 20,
			      .cache_bytes = 256 << 20,
			      .filter_bits = 10 },
		.rounds = 3,
		.dir = "bench_engine.XXXXXX",
	};

	if (!parse(&b, argc, argv))
		return 0;
	if (!mkdtemp(b.dir))
		bench_fail(b.dir, strerror(errno));
	for (unsigned round = 0; round < b.rounds; round++)
		run_round(&b, round);
	remove_tree(b.dir);
	print_tables(&b);
	return 0;
}
