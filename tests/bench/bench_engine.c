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
#include "tests/bench/chart.h"
#include "tests/bench/json.h"
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

void bench_fail(const char *who, const char *message)
{
	fflush(stdout);
	fprintf(stderr, "bench_engine: %s: %s\n", who, message);
	exit(1);
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

static bool report(struct bench *b)
{
	bool good;

	report_tables(b);
	report_json_summary(b);
	good = json_close(b->json, b->json_path);
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
	chart_check(b.svg_path);
	b.json = json_open(b.json_path);
	interrupts_catch();
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
