/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_CHART_H
#define TESTS_BENCH_CHART_H
/* chart - bars by gnuplot on a logarithmic scale: for each group one bar of each series. */
#include <stdbool.h>

struct chart {
	const char *title;
	unsigned groups_n, series_n; /* of series 8 at most */
	const void *ctx;
	const char *(*group)(const void *ctx, unsigned group);
	const char *(*series)(const void *ctx, unsigned series);
	double (*value)(const void *ctx, unsigned group, unsigned series); /* 0: none */
};

/* Ends the process when gnuplot isn't there, though there is a path. */
void chart_check(const char *path);
/* False, and said: it was not written. */
bool chart_draw(const struct chart *chart, const char *path);

#endif
