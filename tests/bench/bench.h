/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H
/* bench - one run of the program: what was asked for, and what was measured. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/bench/workload.h"

enum { ROUNDS_MAX = 21, WORKLOADS_MAX = 64, ENGINES_MAX = 8, DIR_MAX = 512 };

struct known_engine {
	const char *name;
	const char *package;         /* Debian's, that the build needs for it */
	const struct engine *engine; /* NULL: the build did not find it */
};

/* Ours is the first. */
extern const struct known_engine known_engines[];
extern const unsigned known_engines_n;

struct bench {
	struct bench_settings settings;
	unsigned rounds;
	double seconds, fill_seconds; /* limits of a workload; 0: none */
	unsigned engines_n;
	const struct engine *engines[ENGINES_MAX]; /* those that take part, ours first if it does */
	bool wanted[WORKLOADS_MAX];                /* asked for */
	bool needed[WORKLOADS_MAX];                /* to be run: those, and what they read */
	const char *json_path, *svg_path;          /* or NULL */
	FILE *json;
	bool all_tables, quiet;
	char parent[DIR_MAX], dir[DIR_MAX + 32]; /* the stores' */

	struct history histories[ENGINES_MAX]; /* of the present chain's store */
	bool broken[ENGINES_MAX];              /* the present chain's store is not what it should be */
	unsigned failures;
	unsigned step, steps;
	uint64_t start_ns;
	struct result results[WORKLOADS_MAX][ENGINES_MAX][ROUNDS_MAX];
	double disk_rates[ROUNDS_MAX]; /* durable appends a second; 0: not measured */
};

/* Fills in what the command line says. False: there is nothing to run. Ends the process when it makes no sense. */
bool options_parse(struct bench *b, int argc, char **argv);

void runner_round(struct bench *b, unsigned round);

/* ---- figures ---- */

enum figure {
	FIGURE_RATE, /* thousand operations a second */
	FIGURE_SIDE_RATE,
	FIGURE_P50,
	FIGURE_P99,
	FIGURE_P999,
	FIGURE_MAX,    /* us */
	FIGURE_CPU,    /* us an operation */
	FIGURE_WRITES, /* bytes written to storage / bytes put */
	FIGURE_SPACE,  /* blocks of the directory / bytes in the store */
	FIGURE_ANON,   /* MiB */
	FIGURE_RSS,
	FIGURES,
};

/* The median of the rounds, 0 when there were none. */
double figure_median(const struct bench *b, unsigned workload, unsigned engine, enum figure figure);
/* Is more better? */
bool figure_more(enum figure figure);
/* The best of the engines but the first; 0 when there is none. */
double figure_best_peer(const struct bench *b, unsigned workload, enum figure figure);
/* Of the engine so named; 0 when it didn't run. */
double figure_named(const struct bench *b, unsigned workload, const char *engine, enum figure figure);
double disk_rate_median(const struct bench *b);
/* Is the first engine ours? Ratios are about it. */
bool ours_runs(const struct bench *b);

/* ---- reports ---- */

void report_settings(const struct bench *b);
void report_tables(const struct bench *b);

/* One line of JSON each, to b->json when there is one. */
void report_json_start(struct bench *b);
void report_json_result(struct bench *b, unsigned workload, unsigned engine, unsigned round);
void report_json_summary(struct bench *b);

/* False if gnuplot failed. */
bool report_svg(const struct bench *b);

#endif
