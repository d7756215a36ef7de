/* SPDX-License-Identifier: MIT */
/*
 * bench_engine - our engine beside its peers, in one run on one machine. Each workload of each engine in each round is a
 * process of its own, so that its time, memory and bytes written are its own; the engines take turns, so that what else
 * the machine does meets all of them; the median of the rounds counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "tests/bench/bench.h"
#include "tests/bench/process.h"

const struct known_engine known_engines[] = {
	{ "lsmfs", "", &engine_ours },
#ifdef BENCH_ROCKSDB
	{ "RocksDB", "librocksdb-dev", &engine_rocksdb },
#else
	{ "RocksDB", "librocksdb-dev", NULL },
#endif
#ifdef BENCH_LEVELDB
	{ "LevelDB", "libleveldb-dev", &engine_leveldb },
#else
	{ "LevelDB", "libleveldb-dev", NULL },
#endif
#ifdef BENCH_LMDB
	{ "LMDB", "liblmdb-dev", &engine_lmdb },
#else
	{ "LMDB", "liblmdb-dev", NULL },
#endif
#ifdef BENCH_WIREDTIGER
	{ "WiredTiger", "libwiredtiger-dev", &engine_wiredtiger },
#else
	{ "WiredTiger", "libwiredtiger-dev", NULL },
#endif
};
const unsigned known_engines_n = sizeof(known_engines) / sizeof(known_engines[0]);

volatile sig_atomic_t interrupted;

void bench_fail(const char *who, const char *message)
{
	fflush(stdout);
	fprintf(stderr, "bench_engine: %s: %s\n", who, message);
	exit(1);
}

static void on_signal(int signal)
{
	interrupted = signal;
}

static void catch_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal };
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* The stores of a chain are there at once; each takes up to three times what is put in while it is compacted (LMDB, two
 * pages for a value a little over one), and never less than a few log files. */
static uint64_t space_needed(const struct bench *b)
{
	uint64_t most = 0;

	for (unsigned begin = 0; begin < workloads_n; begin = workload_chain_end(begin)) {
		bool alone = workloads[begin].flags & WORKLOAD_ALONE;
		struct bench_settings s = workload_settings(&workloads[begin], &b->settings);
		uint64_t bytes = 3 * s.keys * (KEY_BYTES + s.value_bytes) + 6 * s.write_buffer_bytes;

		bytes *= alone ? 1 : b->engines_n;
		most = b->needed[begin] && bytes > most ? bytes : most;
	}
	return most;
}

static void check_space(const struct bench *b)
{
	uint64_t most = space_needed(b), room;
	struct statvfs vfs;

	if (statvfs(b->parent, &vfs))
		bench_fail(b->parent, strerror(errno));
	room = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (room < most) {
		char text[256];

		snprintf(
			text, sizeof(text),
			"%llu MiB are free, and these workloads may need %llu; give --dir another one, or fewer --keys",
			(unsigned long long)(room >> 20), (unsigned long long)(most >> 20));
		bench_fail(b->parent, text);
	}
}

static void make_dir(struct bench *b)
{
	snprintf(b->dir, sizeof(b->dir), "%s/bench_engine.XXXXXX", b->parent);
	if (!mkdtemp(b->dir))
		bench_fail(b->dir, strerror(errno));
}

/* Opened before the run: an error is to be met before a quarter of an hour has passed. */
static void open_json(struct bench *b)
{
	if (!b->json_path)
		return;
	b->json = fopen(b->json_path, "w");
	if (!b->json)
		bench_fail(b->json_path, strerror(errno));
}

static bool close_json(struct bench *b)
{
	bool good = true;

	if (b->json) {
		good = !ferror(b->json);
		good = !fclose(b->json) && good;
	}
	if (!good)
		fprintf(stderr, "bench_engine: %s: %s\n", b->json_path, strerror(errno));
	return good;
}

static bool report(struct bench *b)
{
	bool good;

	report_tables(b);
	report_json_summary(b);
	good = close_json(b);
	if (b->svg_path && !interrupted)
		good = report_svg(b) && good;
	return good;
}

int main(int argc, char **argv)
{
	static struct bench b;
	bool good;

	if (!options_parse(&b, argc, argv))
		return 0;
	check_space(&b);
	report_svg_check(&b);
	open_json(&b);
	catch_signals();
	make_dir(&b);
	b.start_ns = clock_ns();
	report_settings(&b);
	report_json_start(&b);
	for (unsigned round = 0; round < b.rounds && !interrupted; round++)
		runner_round(&b, round);
	dir_remove(b.dir);
	if (interrupted)
		printf("\ninterrupted; what was measured until then:\n");
	good = report(&b);
	if (b.failures)
		fprintf(stderr, "bench_engine: %u of the measurements failed, see above\n", b.failures);
	return interrupted ? 128 + interrupted : b.failures || !good;
}
