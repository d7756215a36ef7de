/* SPDX-License-Identifier: MIT */
/* JSON lines: the run and its engines, each result as it comes, the medians at the end. */
#include "tests/bench/bench.h"
#include "tests/bench/json.h"

static void settings(FILE *f, const struct bench_settings *s)
{
	json_integer(f, "keys", s->keys);
	json_integer(f, "key_bytes", KEY_BYTES);
	json_integer(f, "value_bytes", s->value_bytes);
	json_integer(f, "write_buffer_bytes", s->write_buffer_bytes);
	json_integer(f, "cache_bytes", s->cache_bytes);
	json_integer(f, "filter_bits", (uint64_t)s->filter_bits);
}

static void engine_line(FILE *f, const struct engine *e, const struct bench_settings *s)
{
	struct engine_description d = { 0 };

	e->describe(s, &d);
	json_begin(f, "engine");
	json_text(f, "engine", e->name);
	json_text(f, "version", e->version());
	json_text(f, "compression", d.compression);
	json_text(f, "cache", d.cache);
	json_text(f, "filter", d.filter);
	json_text(f, "write_buffer", d.write_buffer);
	json_text(f, "log", d.log);
	json_text(f, "threads", d.threads);
	json_end(f);
}

void report_json_start(struct bench *b)
{
	FILE *f = b->json;

	if (!f)
		return;
	json_begin(f, "run");
	json_machine(f);
	settings(f, &b->settings);
	json_integer(f, "rounds", b->rounds);
	json_real(f, "seconds_max", b->seconds);
	json_real(f, "fill_seconds_max", b->fill_seconds);
	json_end(f);
	for (unsigned e = 0; e < b->engines_n; e++)
		engine_line(f, b->engines[e], &b->settings);
}

static void times(FILE *f, double p50_us, double p99_us, double p999_us, double max_us)
{
	json_real(f, "p50_us", p50_us);
	json_real(f, "p99_us", p99_us);
	json_real(f, "p999_us", p999_us);
	json_real(f, "max_us", max_us);
}

void report_json_result(struct bench *b, unsigned workload, unsigned engine, unsigned round)
{
	const struct result *r = &b->results[workload][engine][round];
	const struct bench_settings s = workload_settings(&workloads[workload], &b->settings);
	FILE *f = b->json;

	if (!f)
		return;
	json_begin(f, "result");
	json_text(f, "workload", workloads[workload].name);
	json_text(f, "group", workloads[workload].group);
	json_text(f, "engine", b->engines[engine]->name);
	json_integer(f, "round", round + 1);
	json_integer(f, "threads", workloads[workload].threads);
	settings(f, &s);
	json_bool(f, "durable", s.durable);
	json_integer(f, "operations", r->operations);
	json_integer(f, "side_operations", r->side_operations);
	json_real(f, "seconds", r->seconds);
	json_real(f, "open_seconds", r->open_seconds);
	json_real(f, "close_seconds", r->close_seconds);
	json_real(f, "cpu_seconds", r->cpu_seconds);
	times(f, r->p50_ns / 1000, r->p99_ns / 1000, r->p999_ns / 1000, r->max_ns / 1000);
	json_integer(f, "user_bytes", r->user_bytes);
	json_integer(f, "write_bytes", r->write_bytes);
	json_integer(f, "disk_bytes", r->disk_bytes);
	json_integer(f, "live_bytes", r->live_bytes);
	json_integer(f, "rss_bytes", r->rss_bytes);
	json_integer(f, "anon_bytes", r->anon_bytes);
	json_integer(f, "lost", r->lost);
	json_bool(f, "cut", r->cut);
	json_bool(f, "incomplete", r->incomplete);
	json_end(f);
}

static void summary_line(const struct bench *b, unsigned w, unsigned e)
{
	FILE *f = b->json;

	json_begin(f, "summary");
	json_text(f, "workload", workloads[w].name);
	json_text(f, "group", workloads[w].group);
	json_text(f, "engine", b->engines[e]->name);
	json_real(f, "operations_per_second", figure_median(b, w, e, FIGURE_RATE) * 1000);
	if (workloads[w].run == run_readwhilewriting)
		json_real(f, "writes_per_second", figure_median(b, w, e, FIGURE_SIDE_RATE) * 1000);
	times(f, figure_median(b, w, e, FIGURE_P50), figure_median(b, w, e, FIGURE_P99),
	      figure_median(b, w, e, FIGURE_P999), figure_median(b, w, e, FIGURE_MAX));
	json_real(f, "cpu_us_per_operation", figure_median(b, w, e, FIGURE_CPU));
	json_real(f, "write_amplification", figure_median(b, w, e, FIGURE_WRITES));
	json_real(f, "space_amplification", figure_median(b, w, e, FIGURE_SPACE));
	json_real(f, "anon_mib", figure_median(b, w, e, FIGURE_ANON));
	json_real(f, "rss_mib", figure_median(b, w, e, FIGURE_RSS));
	if (!e && ours_runs(b)) {
		double ours = figure_median(b, w, 0, FIGURE_RATE), best = figure_best_peer(b, w, FIGURE_RATE);
		double rocks = figure_named(b, w, "RocksDB", FIGURE_RATE);

		if (best > 0)
			json_real(f, "ratio_to_best_peer", ours / best);
		if (rocks > 0)
			json_real(f, "ratio_to_rocksdb", ours / rocks);
	}
	json_end(f);
}

void report_json_summary(struct bench *b)
{
	if (!b->json)
		return;
	for (unsigned w = 0; w < workloads_n; w++)
		for (unsigned e = 0; e < b->engines_n; e++)
			if (figure_median(b, w, e, FIGURE_RATE) > 0)
				summary_line(b, w, e);
	if (disk_rate_median(b) > 0) {
		json_begin(b->json, "disk");
		json_real(b->json, "appends_with_fdatasync_per_second", disk_rate_median(b));
		json_end(b->json);
	}
}
