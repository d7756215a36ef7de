/* SPDX-License-Identifier: MIT */
/* Figures made of results: medians, bests. */
#include <string.h>

#include "tests/bench/bench.h"

static double ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static double figure_of(const struct result *r, enum figure figure)
{
	switch (figure) {
	case FIGURE_RATE:
		return ratio((double)r->operations, r->seconds) / 1000;
	case FIGURE_SIDE_RATE:
		return ratio((double)r->side_operations, r->seconds) / 1000;
	case FIGURE_P50:
		return r->p50_ns / 1000;
	case FIGURE_P99:
		return r->p99_ns / 1000;
	case FIGURE_P999:
		return r->p999_ns / 1000;
	case FIGURE_MAX:
		return r->max_ns / 1000;
	case FIGURE_CPU:
		return ratio(r->cpu_seconds * 1e6, (double)(r->operations + r->side_operations));
	case FIGURE_WRITES:
		return ratio((double)r->write_bytes, (double)r->user_bytes);
	case FIGURE_SPACE:
		return ratio((double)r->disk_bytes, (double)r->live_bytes);
	case FIGURE_ANON:
		return (double)r->anon_bytes / (1 << 20);
	case FIGURE_RSS:
		return (double)r->rss_bytes / (1 << 20);
	case FIGURES:
		break;
	}
	return 0;
}

double figure_median(const struct bench *b, unsigned workload, unsigned engine, enum figure figure)
{
	double values[ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < b->rounds; i++) {
		const struct result *r = &b->results[workload][engine][i];

		if (r->seconds > 0 && !r->incomplete)
			values[n++] = figure_of(r, figure);
	}
	return median(values, n);
}

bool figure_more(enum figure figure)
{
	return figure == FIGURE_RATE || figure == FIGURE_SIDE_RATE;
}

double figure_best_peer(const struct bench *b, unsigned workload, enum figure figure)
{
	double best = 0;

	for (unsigned e = 1; e < b->engines_n; e++) {
		double value = figure_median(b, workload, e, figure);

		if (value > 0 && (best <= 0 || (figure_more(figure) ? value > best : value < best)))
			best = value;
	}
	return best;
}

double figure_named(const struct bench *b, unsigned workload, const char *engine, enum figure figure)
{
	for (unsigned e = 0; e < b->engines_n; e++)
		if (!strcmp(b->engines[e]->name, engine))
			return figure_median(b, workload, e, figure);
	return 0;
}

double disk_rate_median(const struct bench *b)
{
	double values[ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < b->rounds; i++)
		if (b->disk_rates[i] > 0)
			values[n++] = b->disk_rates[i];
	return median(values, n);
}

bool ours_runs(const struct bench *b)
{
	return b->engines[0] == &engine_ours;
}
