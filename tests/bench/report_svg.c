/* SPDX-License-Identifier: MIT */
/* A chart by gnuplot: operations a second of each engine, some workloads a row, on a logarithmic scale. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { PER_ROW = 7, ROW_PIXELS = 260, WIDTH_PIXELS = 1100 };

void report_svg_check(const struct bench *b)
{
	if (b->svg_path && system("command -v gnuplot >/dev/null 2>&1"))
		bench_fail("--svg", "gnuplot is not there; scripts/bench engine --install installs gnuplot-nox");
}

static bool measured(const struct bench *b, unsigned w)
{
	for (unsigned e = 0; e < b->engines_n; e++)
		if (figure_median(b, w, e, FIGURE_RATE) > 0)
			return true;
	return false;
}

static unsigned measured_workloads(const struct bench *b, unsigned ret[WORKLOADS_MAX])
{
	unsigned n = 0;

	for (unsigned w = 0; w < workloads_n; w++)
		if (b->needed[w] && measured(b, w))
			ret[n++] = w;
	return n;
}

/* Bars need a lower end, and a logarithmic scale has none of its own: the power of ten below the row's least. */
static double row_floor(const struct bench *b, const unsigned *chosen, unsigned n, unsigned row)
{
	double least = 0, floor = 1e-6;

	for (unsigned i = row * PER_ROW; i < (row + 1) * PER_ROW && i < n; i++)
		for (unsigned e = 0; e < b->engines_n; e++) {
			double value = figure_median(b, chosen[i], e, FIGURE_RATE) * 1000;

			if (value > 0 && (least <= 0 || value < least))
				least = value;
		}
	while (floor * 15 < least)
		floor *= 10;
	return floor;
}

/* The last row is filled up, so that its bars are as wide as the others'. What was not measured gets a bar of no height:
 * gnuplot gives a whole row up where an engine has no number in it. */
static void print_row_data(FILE *f, const struct bench *b, const unsigned *chosen, unsigned n, unsigned row)
{
	double floor = row_floor(b, chosen, n, row);

	fprintf(f, "$row%u << EOD\n", row);
	for (unsigned i = row * PER_ROW; i < (row + 1) * PER_ROW; i++) {
		fprintf(f, "\"%s\"", i < n ? workloads[chosen[i]].name : "");
		for (unsigned e = 0; e < b->engines_n; e++) {
			double value = i < n ? figure_median(b, chosen[i], e, FIGURE_RATE) * 1000 : 0;

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

static void print_script(FILE *f, const struct bench *b, const unsigned *chosen, unsigned n)
{
	static const char *const colors[ENGINES_MAX] = { "#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd" };
	unsigned rows = (n + PER_ROW - 1) / PER_ROW;

	for (unsigned row = 0; row < rows; row++)
		print_row_data(f, b, chosen, n, row);
	fprintf(f, "set terminal svg size %d,%u dynamic enhanced background '#ffffff' font 'sans-serif,12'\n",
		WIDTH_PIXELS, 60 + rows * ROW_PIXELS);
	fprintf(f, "set output ");
	print_quoted(f, b->svg_path);
	fprintf(f, "\nset style data histogram\nset style histogram clustered gap 1\n"
		   "set style fill solid noborder\nset boxwidth 0.9\nset logscale y\nset format y '10^{%%T}'\n"
		   "set grid ytics lc rgb '#cccccc'\nset xtics nomirror scale 0 noenhanced\nset ytics nomirror\n"
		   "set border 3\nset key outside top center horizontal\n");
	fprintf(f, "set multiplot layout %u,1 title 'Operations a second (more is better; logarithmic)'\n", rows);
	for (unsigned row = 0; row < rows; row++) {
		fprintf(f, "set yrange [%g:*]\nplot ", row_floor(b, chosen, n, row));
		for (unsigned e = 0; e < b->engines_n; e++)
			fprintf(f, "%s$row%u using %u%s title '%s' lc rgb '%s'", e ? ", " : "", row, e + 2,
				e ? "" : ":xtic(1)", b->engines[e]->name, colors[e]);
		fprintf(f, "\nunset key\n");
	}
	fprintf(f, "unset multiplot\n");
}

bool report_svg(const struct bench *b)
{
	unsigned chosen[WORKLOADS_MAX], n = measured_workloads(b, chosen);
	FILE *gnuplot;
	int status;

	if (!n) {
		fprintf(stderr, "bench_engine: nothing was measured; %s was not written\n", b->svg_path);
		return false;
	}
	gnuplot = popen("gnuplot", "w");
	if (!gnuplot) {
		fprintf(stderr, "bench_engine: gnuplot: %s\n", strerror(errno));
		return false;
	}
	print_script(gnuplot, b, chosen, n);
	status = pclose(gnuplot);
	if (status)
		fprintf(stderr, "bench_engine: gnuplot failed; %s was not written\n", b->svg_path);
	return !status;
}
