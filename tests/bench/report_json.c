/* SPDX-License-Identifier: MIT */
/* JSON lines: the run and its engines, each result as it comes, the medians at the end. */
#include <inttypes.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

/* No text here holds what JSON would have to escape but quotes and backslashes. */
static void text(FILE *f, const char *name, const char *value)
{
	fprintf(f, ",\"%s\":\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', f);
		if ((unsigned char)*value >= ' ')
			fputc(*value, f);
	}
	fputc('"', f);
}

static void integer(FILE *f, const char *name, uint64_t value)
{
	fprintf(f, ",\"%s\":%" PRIu64, name, value);
}

static void real(FILE *f, const char *name, double value)
{
	fprintf(f, ",\"%s\":%.9g", name, value);
}

static void settings(FILE *f, const struct bench_settings *s)
{
	integer(f, "keys", s->keys);
	integer(f, "key_bytes", KEY_BYTES);
	integer(f, "value_bytes", s->value_bytes);
	integer(f, "write_buffer_bytes", s->write_buffer_bytes);
	integer(f, "cache_bytes", s->cache_bytes);
	integer(f, "filter_bits", (uint64_t)s->filter_bits);
}

static void engine_line(FILE *f, const struct engine *e, const struct bench_settings *s)
{
	struct engine_description d = { 0 };

	e->describe(s, &d);
	fprintf(f, "{\"type\":\"engine\"");
	text(f, "engine", e->name);
	text(f, "version", e->version());
	text(f, "compression", d.compression);
	text(f, "cache", d.cache);
	text(f, "filter", d.filter);
	text(f, "write_buffer", d.write_buffer);
	text(f, "log", d.log);
	text(f, "threads", d.threads);
	fprintf(f, "}\n");
}

void report_json_start(struct bench *b)
{
	struct utsname name = { 0 };
	FILE *f = b->json;

	if (!f)
		return;
	uname(&name);
	fprintf(f, "{\"type\":\"run\"");
	integer(f, "time", (uint64_t)time(NULL));
	text(f, "system", name.sysname);
	text(f, "release", name.release);
	text(f, "machine", name.machine);
	integer(f, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	integer(f, "memory_bytes", (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
	settings(f, &b->settings);
	integer(f, "rounds", b->rounds);
	real(f, "seconds_max", b->seconds);
	real(f, "fill_seconds_max", b->fill_seconds);
	fprintf(f, "}\n");
	for (unsigned e = 0; e < b->engines_n; e++)
		engine_line(f, b->engines[e], &b->settings);
	fflush(f);
}

static void times(FILE *f, double p50_us, double p99_us, double p999_us, double max_us)
{
	real(f, "p50_us", p50_us);
	real(f, "p99_us", p99_us);
	real(f, "p999_us", p999_us);
	real(f, "max_us", max_us);
}

void report_json_result(struct bench *b, unsigned workload, unsigned engine, unsigned round)
{
	const struct result *r = &b->results[workload][engine][round];
	const struct bench_settings s = workload_settings(&workloads[workload], &b->settings);
	FILE *f = b->json;

	if (!f)
		return;
	fprintf(f, "{\"type\":\"result\"");
	text(f, "workload", workloads[workload].name);
	text(f, "group", workloads[workload].group);
	text(f, "engine", b->engines[engine]->name);
	integer(f, "round", round + 1);
	integer(f, "threads", workloads[workload].threads);
	settings(f, &s);
	fprintf(f, ",\"durable\":%s", s.durable ? "true" : "false");
	integer(f, "operations", r->operations);
	integer(f, "side_operations", r->side_operations);
	real(f, "seconds", r->seconds);
	real(f, "open_seconds", r->open_seconds);
	real(f, "close_seconds", r->close_seconds);
	real(f, "cpu_seconds", r->cpu_seconds);
	times(f, r->p50_ns / 1000, r->p99_ns / 1000, r->p999_ns / 1000, r->max_ns / 1000);
	integer(f, "user_bytes", r->user_bytes);
	integer(f, "write_bytes", r->write_bytes);
	integer(f, "disk_bytes", r->disk_bytes);
	integer(f, "live_bytes", r->live_bytes);
	integer(f, "rss_bytes", r->rss_bytes);
	integer(f, "anon_bytes", r->anon_bytes);
	integer(f, "lost", r->lost);
	fprintf(f, ",\"cut\":%s,\"incomplete\":%s}\n", r->cut ? "true" : "false", r->incomplete ? "true" : "false");
	fflush(f);
}

static void summary_line(const struct bench *b, unsigned w, unsigned e)
{
	FILE *f = b->json;

	fprintf(f, "{\"type\":\"summary\"");
	text(f, "workload", workloads[w].name);
	text(f, "group", workloads[w].group);
	text(f, "engine", b->engines[e]->name);
	real(f, "operations_per_second", figure_median(b, w, e, FIGURE_RATE) * 1000);
	if (workloads[w].run == run_readwhilewriting)
		real(f, "writes_per_second", figure_median(b, w, e, FIGURE_SIDE_RATE) * 1000);
	times(f, figure_median(b, w, e, FIGURE_P50), figure_median(b, w, e, FIGURE_P99),
	      figure_median(b, w, e, FIGURE_P999), figure_median(b, w, e, FIGURE_MAX));
	real(f, "cpu_us_per_operation", figure_median(b, w, e, FIGURE_CPU));
	real(f, "write_amplification", figure_median(b, w, e, FIGURE_WRITES));
	real(f, "space_amplification", figure_median(b, w, e, FIGURE_SPACE));
	real(f, "anon_mib", figure_median(b, w, e, FIGURE_ANON));
	real(f, "rss_mib", figure_median(b, w, e, FIGURE_RSS));
	if (!e && ours_runs(b)) {
		double ours = figure_median(b, w, 0, FIGURE_RATE), best = figure_best_peer(b, w, FIGURE_RATE);
		double rocks = figure_named(b, w, "RocksDB", FIGURE_RATE);

		if (best > 0)
			real(f, "ratio_to_best_peer", ours / best);
		if (rocks > 0)
			real(f, "ratio_to_rocksdb", ours / rocks);
	}
	fprintf(f, "}\n");
}

void report_json_summary(struct bench *b)
{
	if (!b->json)
		return;
	for (unsigned w = 0; w < workloads_n; w++)
		for (unsigned e = 0; e < b->engines_n; e++)
			if (figure_median(b, w, e, FIGURE_RATE) > 0)
				summary_line(b, w, e);
	if (disk_rate_median(b) > 0)
		fprintf(b->json, "{\"type\":\"disk\",\"appends_with_fdatasync_per_second\":%.9g}\n",
			disk_rate_median(b));
}
