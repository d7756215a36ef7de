/* SPDX-License-Identifier: MIT */
/*
 * bench_mount - a mount of ours beside the file system below it, a passthrough file system over that, and one that
 * answers from memory: the same workloads in one run on one machine, in turns. Each is a process of its own, so that its
 * processor time and bytes are its own; the median of the rounds counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/bench/chart.h"
#include "tests/bench/json.h"
#include "tests/bench/latency.h"
#include "tests/bench/mount.h"
#include "tests/bench/process.h"

void bench_fail(const char *who, const char *message)
{
	fflush(stdout);
	fprintf(stderr, "bench_mount: %s: %s\n", who, message);
	exit(1);
}

/* The large file is there on all targets at once, and a second time while it is written; ours keeps some garbage. Small
 * files take a block each, or two. */
static uint64_t space_needed(const struct mount_bench *b)
{
	const struct mount_settings *s = &b->settings;
	uint64_t large = 7 * s->big_bytes, small = 2 * 8192 * (s->entries + s->story_files + s->files);

	return (large > small ? large : small) + (UINT64_C(512) << 20);
}

static void check_space(const struct mount_bench *b)
{
	uint64_t needed = space_needed(b), room;
	struct statvfs vfs;
	char text[256];

	if (statvfs(b->parent, &vfs))
		bench_fail(b->parent, strerror(errno));
	room = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (room >= needed)
		return;
	snprintf(text, sizeof(text),
		 "%llu MiB are free, and %llu may be needed; give --dir another one, or a smaller --big-mib",
		 (unsigned long long)(room >> 20), (unsigned long long)(needed >> 20));
	bench_fail(b->parent, text);
}

static void check_programs(const struct mount_bench *b)
{
	const char *const programs[] = { b->programs.ours, b->programs.null, b->programs.passthrough };

	for (unsigned i = 0; i < 3; i++)
		if (access(programs[i], X_OK))
			bench_fail(programs[i], strerror(errno));
	if (access("/dev/fuse", R_OK | W_OK))
		bench_fail("/dev/fuse",
			   "is not there or may not be used: load the module fuse, or give the container the device");
}

static void set_up(struct mount_bench *b)
{
	snprintf(b->dir, sizeof(b->dir), "%s/bench_mount.XXXXXX", b->parent);
	if (!mkdtemp(b->dir))
		bench_fail(b->dir, strerror(errno));
	for (unsigned t = 0; t < b->targets_n && !interrupted; t++)
		if (!target_set_up(&b->targets[t], b->dir, &b->programs)) {
			b->targets[t].dead = true;
			b->failures++;
		}
}

static void clean_up(struct mount_bench *b)
{
	for (unsigned t = 0; t < b->targets_n; t++)
		target_end(&b->targets[t]);
	dir_remove(b->dir);
}

static bool report(struct mount_bench *b)
{
	bool good;

	mount_report_tables(b);
	mount_json_summary(b);
	good = json_close(b->json, b->json_path);
	if (b->svg_path && !interrupted)
		good = mount_report_svg(b) && good;
	return good;
}

int main(int argc, char **argv)
{
	static struct mount_bench b;
	bool good;

	if (!mount_options_parse(&b, argc, argv))
		return 0;
	check_programs(&b);
	check_space(&b);
	chart_check(b.svg_path);
	b.json = json_open(b.json_path);
	interrupts_catch();
	b.start_ns = clock_ns();
	set_up(&b);
	mount_report_settings(&b);
	mount_json_start(&b);
	for (unsigned round = 0; round < b.rounds && !interrupted; round++)
		mount_round(&b, round);
	clean_up(&b);
	if (interrupted)
		printf("\ninterrupted; what was measured until then:\n");
	good = report(&b);
	if (b.failures)
		fprintf(stderr, "bench_mount: %u failures, see above\n", b.failures);
	return interrupted ? 128 + interrupted : b.failures || !good;
}
