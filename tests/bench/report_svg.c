/* SPDX-License-Identifier: MIT */
/* The chart: operations a second of each engine. */
#include "tests/bench/bench.h"
#include "tests/bench/chart.h"

struct charted {
	const struct bench *b;
	unsigned n, workloads[WORKLOADS_MAX]; /* those that were measured */
};

static bool measured(const struct bench *b, unsigned w)
{
	for (unsigned e = 0; e < b->engines_n; e++)
		if (figure_median(b, w, e, FIGURE_RATE) > 0)
			return true;
	return false;
}

static const char *workload_name(const void *ctx, unsigned i)
{
	const struct charted *c = ctx;

	return workloads[c->workloads[i]].name;
}

static const char *engine_name(const void *ctx, unsigned e)
{
	const struct charted *c = ctx;

	return c->b->engines[e]->name;
}

static double rate(const void *ctx, unsigned i, unsigned e)
{
	const struct charted *c = ctx;

	return figure_median(c->b, c->workloads[i], e, FIGURE_RATE) * 1000;
}

bool report_svg(const struct bench *b)
{
	struct charted c = { .b = b };

	for (unsigned w = 0; w < workloads_n; w++)
		if (b->needed[w] && measured(b, w))
			c.workloads[c.n++] = w;
	return chart_draw(&(struct chart){ .title = "Operations a second (more is better; logarithmic)",
					   .groups_n = c.n,
					   .series_n = b->engines_n,
					   .ctx = &c,
					   .group = workload_name,
					   .series = engine_name,
					   .value = rate },
			  b->svg_path);
}
