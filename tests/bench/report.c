/* SPDX-License-Identifier: MIT */
/* What people read: the settings and the tables. */
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/bench/bench.h"

/* ---- settings ---- */

static void print_machine(const struct bench *b)
{
	struct utsname name = { 0 };

	uname(&name);
	printf("%s %s, %ld processors, %.1f GiB of memory; stores in %s\n", name.sysname, name.release,
	       sysconf(_SC_NPROCESSORS_ONLN),
	       (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30), b->dir);
	printf("%llu keys of %d bytes, values of %zu bytes (half compressible) where the workload doesn't say, %u "
	       "round%s\n",
	       (unsigned long long)b->settings.keys, KEY_BYTES, b->settings.value_bytes, b->rounds,
	       b->rounds == 1 ? "" : "s");
	if (b->seconds > 0)
		printf("no workload but a fill runs for more than %.0f s\n", b->seconds);
}

void report_settings(const struct bench *b)
{
	print_machine(b);
	printf("\n%-18s %-26s %-23s %-9s %-13s %-32s %s\n", "engine", "compression", "cache", "filter", "write buffer",
	       "log", "threads");
	for (unsigned e = 0; e < b->engines_n; e++) {
		const struct engine *engine = b->engines[e];
		struct engine_description d = { 0 };
		char name[64];

		engine->describe(&b->settings, &d);
		snprintf(name, sizeof(name), "%s %s", engine->name, engine->version());
		printf("%-18s %-26s %-23s %-9s %-13s %-32s %s\n", name, d.compression, d.cache, d.filter,
		       d.write_buffer, d.log, d.threads);
	}
	printf("(in the group sync each write is durable when its call returns: every engine syncs)\n");
	for (unsigned i = 0; i < known_engines_n; i++)
		if (!known_engines[i].engine)
			printf("%s is absent: its library was not found when this was built (%s; --install installs "
			       "it)\n",
			       known_engines[i].name, known_engines[i].package);
	fflush(stdout);
}

/* ---- tables ---- */

struct table {
	enum figure figure;
	bool standard, writes_only;
	const char *title;
};

static const struct table tables[] = {
	{ FIGURE_RATE, true, false, "Thousand operations a second (more is better)" },
	{ FIGURE_P50, false, false, "Half of the operations take no longer than, us (less is better)" },
	{ FIGURE_P99, true, false, "99 of 100 operations take no longer than, us (less is better)" },
	{ FIGURE_P999, false, false, "999 of 1000 operations take no longer than, us (less is better)" },
	{ FIGURE_MAX, true, false, "The slowest operation, us (less is better)" },
	{ FIGURE_CPU, true, false, "Processor time of all threads, us an operation (less is better)" },
	{ FIGURE_WRITES, true, true,
	  "Write amplification: bytes written to storage / bytes of keys and values put (less is better)" },
	{ FIGURE_SPACE, true, true,
	  "Space amplification: the directory's blocks / bytes of keys and values in the store (less is better)" },
	{ FIGURE_ANON, true, false, "Peak anonymous memory, MiB (less is better)" },
	{ FIGURE_RSS, false, false, "Peak resident memory, MiB, mapped files included (less is better)" },
};

enum { TABLES = sizeof(tables) / sizeof(tables[0]), COLUMN = 10 };

static void print_value(double value)
{
	if (value <= 0)
		printf(" %*s", COLUMN, "-");
	else
		printf(value < 0.1   ? " %*.3f"
		       : value < 10  ? " %*.2f"
		       : value < 100 ? " %*.1f"
				     : " %*.0f",
		       COLUMN, value);
}

static void print_ratio(double ours, double other)
{
	if (ours > 0 && other > 0)
		printf(" %*.2f", COLUMN, ours / other);
	else
		printf(" %*s", COLUMN, "-");
}

static bool has_peers(const struct bench *b)
{
	return ours_runs(b) && b->engines_n > 1;
}

static bool measured(const struct bench *b, unsigned w)
{
	for (unsigned e = 0; e < b->engines_n; e++)
		if (figure_median(b, w, e, FIGURE_RATE) > 0)
			return true;
	return false;
}

static bool cut_anywhere(const struct bench *b, unsigned w)
{
	for (unsigned e = 0; e < b->engines_n; e++)
		for (unsigned i = 0; i < b->rounds; i++)
			if (b->results[w][e][i].cut)
				return true;
	return false;
}

static void print_row(const struct bench *b, unsigned w, const char *name, enum figure figure)
{
	char text[32];

	snprintf(text, sizeof(text), "%s%s", name, figure == FIGURE_RATE && cut_anywhere(b, w) ? " ~" : "");
	printf("%-18s", text);
	for (unsigned e = 0; e < b->engines_n; e++)
		print_value(figure_median(b, w, e, figure));
	if (has_peers(b)) {
		double ours = figure_median(b, w, 0, figure);

		print_ratio(ours, figure_best_peer(b, w, figure));
		print_ratio(ours, figure_named(b, w, "RocksDB", figure));
	}
	printf("\n");
}

static void print_table(const struct bench *b, const struct table *t)
{
	printf("\n%s\n%-18s", t->title, "");
	for (unsigned e = 0; e < b->engines_n; e++)
		printf(" %*s", COLUMN, b->engines[e]->name);
	if (has_peers(b))
		printf(" %*s %*s", COLUMN, "/best", COLUMN, "/RocksDB");
	printf("\n");
	for (unsigned w = 0; w < workloads_n; w++) {
		if (!measured(b, w) || (t->writes_only && !(workloads[w].flags & WORKLOAD_WRITES)))
			continue;
		print_row(b, w, workloads[w].name, t->figure);
		if (t->figure == FIGURE_RATE && workloads[w].run == run_readwhilewriting)
			print_row(b, w, "  its writes", FIGURE_SIDE_RATE);
	}
}

/* ---- what stands below the first table ---- */

static unsigned workload_named(const char *name)
{
	unsigned i = 0;

	while (i < workloads_n - 1 && strcmp(workloads[i].name, name))
		i++;
	return i;
}

static void print_disk(const struct bench *b)
{
	double disk = disk_rate_median(b), ours = figure_median(b, workload_named("fillsync"), 0, FIGURE_RATE);

	if (disk <= 0)
		return;
	printf("the disk's limit: %.2f thousand appends of 128 bytes with an fdatasync each, on a file written before",
	       disk / 1000);
	if (ours_runs(b) && ours > 0)
		printf("; fillsync of ours is %.2f of it", ours * 1000 / disk);
	printf("\n");
}

static void print_growth(const struct bench *b, const char *small, const char *large, const char *what)
{
	unsigned one = workload_named(small), ten = workload_named(large);
	bool any = false;

	for (unsigned e = 0; e < b->engines_n; e++) {
		double before = figure_median(b, one, e, FIGURE_RATE), after = figure_median(b, ten, e, FIGURE_RATE);

		if (before <= 0 || after <= 0)
			continue;
		printf("%s%s %.2f", any ? ", " : what, b->engines[e]->name, after / before);
		any = true;
	}
	if (any)
		printf("\n");
}

static void print_lost(const struct bench *b)
{
	unsigned w = workload_named("recover");

	for (unsigned e = 0; e < b->engines_n; e++)
		if (b->results[w][e][0].lost)
			printf("%s lost %llu acknowledged records of %llu with the killed process; only what it "
			       "replayed "
			       "counts\n",
			       b->engines[e]->name, (unsigned long long)b->results[w][e][0].lost,
			       (unsigned long long)(b->results[w][e][0].lost + b->results[w][e][0].operations));
}

static void print_notes(const struct bench *b)
{
	bool cut = false;

	for (unsigned w = 0; w < workloads_n; w++)
		cut = cut || cut_anywhere(b, w);
	if (cut)
		printf("~: the time limit ended it in one engine or more, before all operations were done\n");
	if (has_peers(b))
		printf("/best: ours / the best peer's; /RocksDB: ours / RocksDB's\n");
	print_disk(b);
	print_growth(b, "fill-x1", "fill-x10", "rate at ten times the keys / rate, filling: ");
	print_growth(b, "read-x1", "read-x10", "rate at ten times the keys / rate, reading: ");
	print_lost(b);
}

void report_tables(const struct bench *b)
{
	for (unsigned i = 0; i < TABLES; i++) {
		if (!tables[i].standard && !b->all_tables)
			continue;
		print_table(b, &tables[i]);
		if (tables[i].figure == FIGURE_RATE)
			print_notes(b);
	}
	fflush(stdout);
}
