/* SPDX-License-Identifier: MIT */
#include "tests/bench/chart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/common.h"

enum { PER_ROW = 7, ROW_PIXELS = 260, WIDTH_PIXELS = 1100, SERIES_MAX = 8 };

void chart_check(const char *path)
{
	if (path && system("command -v gnuplot >/dev/null 2>&1"))
		bench_fail("--svg", "gnuplot is not there; scripts/bench with --install installs gnuplot-nox");
}

/* Bars need a lower end, and a logarithmic scale has none of its own: the power of ten below the row's least. */
static double row_floor(const struct chart *c, unsigned row)
{
	double least = 0, floor = 1e-6;

	for (unsigned i = row * PER_ROW; i < (row + 1) * PER_ROW && i < c->groups_n; i++)
		for (unsigned s = 0; s < c->series_n; s++) {
			double value = c->value(c->ctx, i, s);

			if (value > 0 && (least <= 0 || value < least))
				least = value;
		}
	while (floor * 15 < least)
		floor *= 10;
	return floor;
}

/* The last row is filled up, so that its bars are as wide as the others'. What was not measured gets a bar of no height:
 * gnuplot gives a whole row up where a series has no number in it. */
static void print_row_data(FILE *f, const struct chart *c, unsigned row)
{
	double floor = row_floor(c, row);

	fprintf(f, "$row%u << EOD\n", row);
	for (unsigned i = row * PER_ROW; i < (row + 1) * PER_ROW; i++) {
		fprintf(f, "\"%s\"", i < c->groups_n ? c->group(c->ctx, i) : "");
		for (unsigned s = 0; s < c->series_n; s++) {
			double value = i < c->groups_n ? c->value(c->ctx, i, s) : 0;

			fprintf(f, " %.6g", value > 0 ? value : floor);
		}
		fprintf(f, "\n");
	}
	fprintf(f, "EOD\n");
}

static void print_quoted(FILE *f, const char *text)
{
	fputc('\'', f);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', f);
		fputc(*text, f);
	}
	fputc('\'', f);
}

static void print_script(FILE *f, const struct chart *c, const char *path)
{
	static const char *const colors[SERIES_MAX] = { "#d62728", "#1f77b4", "#2ca02c", "#ff7f0e",
							"#9467bd", "#8c564b", "#e377c2", "#7f7f7f" };
	unsigned rows = (c->groups_n + PER_ROW - 1) / PER_ROW;

	for (unsigned row = 0; row < rows; row++)
		print_row_data(f, c, row);
	fprintf(f, "set terminal svg size %d,%u dynamic enhanced background '#ffffff' font 'sans-serif,12'\n",
		WIDTH_PIXELS, 60 + rows * ROW_PIXELS);
	fprintf(f, "set output ");
	print_quoted(f, path);
	fprintf(f, "\nset style data histogram\nset style histogram clustered gap 1\n"
		   "set style fill solid noborder\nset boxwidth 0.9\nset logscale y\nset format y '10^{%%T}'\n"
		   "set grid ytics lc rgb '#cccccc'\nset xtics nomirror scale 0 noenhanced\nset ytics nomirror\n"
		   "set border 3\nset key outside top center horizontal\n");
	fprintf(f, "set multiplot layout %u,1 title '%s'\n", rows, c->title);
	for (unsigned row = 0; row < rows; row++) {
		fprintf(f, "set yrange [%g:*]\nplot ", row_floor(c, row));
		for (unsigned s = 0; s < c->series_n; s++)
			fprintf(f, "%s$row%u using %u%s title '%s' lc rgb '%s'", s ? ", " : "", row, s + 2,
				s ? "" : ":xtic(1)", c->series(c->ctx, s), colors[s % SERIES_MAX]);
		fprintf(f, "\nunset key\n");
	}
	fprintf(f, "unset multiplot\n");
}

bool chart_draw(const struct chart *c, const char *path)
{
	FILE *gnuplot;
	int status;

	if (!c->groups_n) {
		fprintf(stderr, "nothing was measured; %s was not written\n", path);
		return false;
	}
	gnuplot = popen("gnuplot", "w");
	if (!gnuplot) {
		fprintf(stderr, "gnuplot: %s\n", strerror(errno));
		return false;
	}
	print_script(gnuplot, c, path);
	status = pclose(gnuplot);
	if (status)
		fprintf(stderr, "gnuplot failed; %s was not written\n", path);
	return !status;
}
