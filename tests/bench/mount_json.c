/* SPDX-License-Identifier: MIT */
/* JSON lines: the run and its targets, each result as it comes, the medians at the end. */
#include "tests/bench/json.h"
#include "tests/bench/mount.h"

void mount_json_start(const struct mount_bench *b)
{
	const struct mount_settings *s = &b->settings;
	FILE *f = b->json;

	if (!f)
		return;
	json_begin(f, "run");
	json_machine(f);
	json_text(f, "file_system", native_name(b->parent));
	json_integer(f, "files", s->files);
	json_integer(f, "file_bytes", s->file_bytes);
	json_integer(f, "big_bytes", s->big_bytes);
	json_integer(f, "entries", s->entries);
	json_integer(f, "story_files", s->story_files);
	json_integer(f, "rows", s->rows);
	json_real(f, "seconds_max", s->seconds);
	json_integer(f, "rounds", b->rounds);
	json_text(f, "mount_options", b->programs.mount_options ? b->programs.mount_options : "");
	json_text(f, "null_loop", b->programs.null_loop);
	json_bool(f, "cold", cold_possible());
	json_end(f);
}

void mount_json_result(const struct mount_bench *b, unsigned work, unsigned target, unsigned round)
{
	const struct measured *m = &b->results[work][target][round];
	FILE *f = b->json;

	if (!f)
		return;
	json_begin(f, "result");
	json_text(f, "workload", works[work].name);
	json_text(f, "group", works[work].group);
	json_text(f, "target", b->targets[target].name);
	json_integer(f, "round", round + 1);
	json_integer(f, "clients", works[work].threads);
	json_integer(f, "operations", m->operations);
	json_integer(f, "bytes", m->bytes);
	json_real(f, "seconds", m->seconds);
	json_real(f, "p50_us", m->p50_ns / 1000);
	json_real(f, "p99_us", m->p99_ns / 1000);
	json_real(f, "max_us", m->max_ns / 1000);
	json_real(f, "client_cpu_seconds", m->client_cpu);
	json_real(f, "daemon_cpu_seconds", m->daemon_cpu);
	json_integer(f, "client_write_bytes", m->client_written);
	json_integer(f, "daemon_write_bytes", m->daemon_written);
	json_integer(f, "device_write_bytes", m->device_written);
	json_integer(f, "space_bytes", m->space);
	json_bool(f, "cut", m->cut);
	json_end(f);
}

static const char *const units[MOUNT_FIGURES] = {
	[MOUNT_RATE] = "operations_per_second",
	[MOUNT_MB] = "megabytes_per_second",
	[MOUNT_SECONDS] = "seconds",
	[MOUNT_SPACE] = "megabytes",
};

static void summary(const struct mount_bench *b, unsigned w, unsigned t)
{
	static const char *const names[TARGETS] = { [TARGET_NATIVE] = "ratio_to_native",
						    [TARGET_PASSTHROUGH] = "ratio_to_passthrough",
						    [TARGET_NULL] = "ratio_to_null" };
	enum mount_figure figure = work_figure(&works[w]);
	FILE *f = b->json;

	json_begin(f, "summary");
	json_text(f, "workload", works[w].name);
	json_text(f, "group", works[w].group);
	json_text(f, "target", b->targets[t].name);
	json_text(f, "unit", units[figure]);
	json_real(f, "value", mount_median(b, w, t, figure));
	json_real(f, "p50_us", mount_median(b, w, t, MOUNT_P50));
	json_real(f, "p99_us", mount_median(b, w, t, MOUNT_P99));
	json_real(f, "max_us", mount_median(b, w, t, MOUNT_MAX));
	json_real(f, "client_cpu_us_per_operation", mount_median(b, w, t, MOUNT_CLIENT_CPU));
	json_real(f, "daemon_cpu_us_per_operation", mount_median(b, w, t, MOUNT_DAEMON_CPU));
	json_real(f, "write_bytes_per_operation", mount_median(b, w, t, MOUNT_WRITTEN));
	json_real(f, "device_write_bytes_per_operation", mount_median(b, w, t, MOUNT_DEVICE));
	for (unsigned k = TARGET_NATIVE; k < TARGETS && b->targets[t].kind == TARGET_OURS; k++)
		if (mount_ratio(b, w, k, figure) > 0)
			json_real(f, names[k], mount_ratio(b, w, k, figure));
	json_end(f);
}

void mount_json_summary(const struct mount_bench *b)
{
	if (!b->json)
		return;
	for (unsigned w = 0; w < works_n; w++)
		for (unsigned t = 0; t < b->targets_n; t++)
			if (mount_median(b, w, t, work_figure(&works[w])) > 0)
				summary(b, w, t);
}
