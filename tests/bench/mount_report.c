/* SPDX-License-Identifier: MIT */
/* What people read: the settings and the tables. */
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/bench/mount.h"

enum { COLUMN = 12, RATIOS = 3 };

/* The other targets that ours is compared with, in the order of the columns. */
static const enum target_kind others[RATIOS] = { TARGET_NATIVE, TARGET_NULL, TARGET_PASSTHROUGH };

/* Something is asked for that passthrough can't do. */
static bool known_too_few(const struct mount_bench *b)
{
	const struct target unlimited = { .kind = TARGET_PASSTHROUGH, .known_max = UINT64_MAX };

	for (unsigned w = 0; w < works_n; w++)
		if (b->needed[w] && work_is_for(&b->settings, &works[w], &unlimited) &&
		    !work_is_for(&b->settings, &works[w], &b->targets[target_of_kind(b, TARGET_PASSTHROUGH)]))
			return true;
	return false;
}

void mount_report_settings(const struct mount_bench *b)
{
	const struct mount_settings *s = &b->settings;
	struct utsname name = { 0 };

	uname(&name);
	printf("%s %s, %ld processors, %.1f GiB of memory; all in %s (%s)\n", name.sysname, name.release,
	       sysconf(_SC_NPROCESSORS_ONLN),
	       (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30), b->dir,
	       native_name(b->parent));
	printf("%llu files of %llu bytes, a large file of %llu MiB, %u round%s; null is served by %s loop\n",
	       (unsigned long long)s->files, (unsigned long long)s->file_bytes,
	       (unsigned long long)(s->big_bytes >> 20), b->rounds, b->rounds == 1 ? "" : "s",
	       strcmp(b->programs.null_loop, "own") ? "libfuse's" : "our");
	printf("stories: trees of %llu files, a repository of %llu; %llu entries to list; %llu rows\n",
	       (unsigned long long)s->story_files, (unsigned long long)s->story_files / 6,
	       (unsigned long long)s->entries, (unsigned long long)s->rows);
	if (target_of_kind(b, TARGET_PASSTHROUGH) < b->targets_n && known_too_few(b))
		printf("What makes more than %llu files is left out for passthrough, which may have no more open "
		       "(ulimit -Hn).\n",
		       (unsigned long long)passthrough_known_max());
	if (!cold_possible())
		printf("What is to be met cold is left out: only root may drop the kernel's caches.\n");
	fflush(stdout);
}

/* ---- tables ---- */

struct table {
	enum mount_figure figure;
	bool standard;
	bool all; /* of all workloads, not only of those that are judged by this figure */
	const char *title;
};

static const struct table tables[] = {
	{ MOUNT_RATE, true, false, "Operations a second (more is better)" },
	{ MOUNT_MB, true, false, "MB a second (more is better)" },
	{ MOUNT_SECONDS, true, false, "Seconds (less is better)" },
	{ MOUNT_SPACE, true, false, "MB on disk (less is better)" },
	{ MOUNT_P50, false, true, "Half of the operations take no longer than, us (less is better)" },
	{ MOUNT_P99, true, true, "99 of 100 operations take no longer than, us (less is better)" },
	{ MOUNT_MAX, false, true, "The slowest operation, us (less is better)" },
	{ MOUNT_CLIENT_CPU, false, true, "Processor time of the client, us an operation (less is better)" },
	{ MOUNT_DAEMON_CPU, true, true, "Processor time of the daemon, us an operation (less is better)" },
	{ MOUNT_WRITTEN, false, true,
	  "Bytes that client and daemon caused to be written, an operation (less is better)" },
	{ MOUNT_DEVICE, false, true, "Bytes that the disk was given, an operation, by whomever (less is better)" },
};

enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

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

static bool in_table(const struct mount_bench *b, unsigned w, const struct table *t)
{
	if (!t->all && work_figure(&works[w]) != t->figure)
		return false;
	for (unsigned i = 0; i < b->targets_n; i++)
		if (mount_median(b, w, i, t->figure) > 0)
			return true;
	return false;
}

static bool cut_anywhere(const struct mount_bench *b, unsigned w)
{
	for (unsigned t = 0; t < b->targets_n; t++)
		for (unsigned i = 0; i < b->rounds; i++)
			if (b->results[w][t][i].cut)
				return true;
	return false;
}

/* Ours and another one's are there. */
static bool compared(const struct mount_bench *b, enum target_kind other)
{
	return target_of_kind(b, TARGET_OURS) < b->targets_n && target_of_kind(b, other) < b->targets_n;
}

static void print_row(const struct mount_bench *b, unsigned w, enum mount_figure figure)
{
	char name[40];

	snprintf(name, sizeof(name), "%s%s", works[w].name, figure == MOUNT_MB && cut_anywhere(b, w) ? " ~" : "");
	printf("%-20s", name);
	for (unsigned t = 0; t < b->targets_n; t++)
		print_value(mount_median(b, w, t, figure));
	for (unsigned i = 0; i < RATIOS; i++)
		if (compared(b, others[i]))
			print_value(mount_ratio(b, w, others[i], figure));
	printf("\n");
}

static void print_header(const struct mount_bench *b, const char *title)
{
	printf("\n%s\n%-20s", title, "");
	for (unsigned t = 0; t < b->targets_n; t++)
		printf(" %*s", COLUMN, b->targets[t].name);
	for (unsigned i = 0; i < RATIOS; i++)
		if (compared(b, others[i])) {
			char name[32];

			snprintf(name, sizeof(name), "/%.15s", b->targets[target_of_kind(b, others[i])].name);
			printf(" %*s", COLUMN, name);
		}
	printf("\n");
}

static void print_table(const struct mount_bench *b, const struct table *t)
{
	bool any = false;

	for (unsigned w = 0; w < works_n; w++) {
		if (!in_table(b, w, t))
			continue;
		if (!any)
			print_header(b, t->title);
		any = true;
		print_row(b, w, t->figure);
	}
}

static void print_notes(const struct mount_bench *b)
{
	bool cut = false;

	for (unsigned w = 0; w < works_n; w++)
		cut = cut || (work_figure(&works[w]) == MOUNT_MB && cut_anywhere(b, w));
	if (cut)
		printf("\n~: the time limit ended it on one target or more, before the file's end\n");
	if (b->targets_n > 1 && target_of_kind(b, TARGET_OURS) < b->targets_n)
		printf("\nThe columns with a / are ratios: ours over the other's.\n");
}

void mount_report_tables(const struct mount_bench *b)
{
	for (unsigned i = 0; i < TABLES; i++)
		if (tables[i].standard || b->all_tables)
			print_table(b, &tables[i]);
	print_notes(b);
	fflush(stdout);
}
