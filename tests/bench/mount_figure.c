/* SPDX-License-Identifier: MIT */
/* Figures made of what was measured, and the chart of them. */
#include "tests/bench/chart.h"
#include "tests/bench/mount.h"

enum mount_figure work_figure(const struct work *w)
{
	if (w->flags & WORK_SPACE)
		return MOUNT_SPACE;
	if (w->flags & WORK_STORY)
		return MOUNT_SECONDS;
	return w->flags & WORK_BYTES ? MOUNT_MB : MOUNT_RATE;
}

static double ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static double figure_of(const struct measured *m, enum mount_figure figure)
{
	double n = (double)m->operations;

	switch (figure) {
	case MOUNT_RATE:
		return ratio(n, m->seconds);
	case MOUNT_MB:
		return ratio((double)m->bytes, m->seconds) / 1e6;
	case MOUNT_SECONDS:
		return m->seconds;
	case MOUNT_SPACE:
		return (double)m->space / 1e6;
	case MOUNT_P50:
		return m->p50_ns / 1000;
	case MOUNT_P99:
		return m->p99_ns / 1000;
	case MOUNT_MAX:
		return m->max_ns / 1000;
	case MOUNT_CLIENT_CPU:
		return ratio(m->client_cpu * 1e6, n);
	case MOUNT_DAEMON_CPU:
		return ratio(m->daemon_cpu * 1e6, n);
	case MOUNT_WRITTEN:
		return ratio((double)(m->client_written + m->daemon_written), n);
	case MOUNT_DEVICE:
		return ratio((double)m->device_written, n);
	case MOUNT_FIGURES:
		break;
	}
	return 0;
}

double mount_median(const struct mount_bench *b, unsigned work, unsigned target, enum mount_figure figure)
{
	double values[ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < b->rounds; i++) {
		const struct measured *m = &b->results[work][target][i];

		if (m->seconds > 0)
			values[n++] = figure_of(m, figure);
	}
	return median(values, n);
}

unsigned target_of_kind(const struct mount_bench *b, enum target_kind kind)
{
	unsigned t = 0;

	while (t < b->targets_n && b->targets[t].kind != kind)
		t++;
	return t;
}

double mount_ratio(const struct mount_bench *b, unsigned work, enum target_kind other, enum mount_figure figure)
{
	unsigned ours = target_of_kind(b, TARGET_OURS), t = target_of_kind(b, other);

	if (ours == b->targets_n || t == b->targets_n)
		return 0;
	return ratio(mount_median(b, work, ours, figure), mount_median(b, work, t, figure));
}

/* ---- the chart ---- */

struct charted {
	const struct mount_bench *b;
	unsigned n, works[WORKS_MAX]; /* those that were measured on any target */
};

static const char *chart_work(const void *ctx, unsigned i)
{
	const struct charted *c = ctx;

	return works[c->works[i]].name;
}

static const char *chart_target(const void *ctx, unsigned t)
{
	const struct charted *c = ctx;

	return c->b->targets[t].name;
}

/* Work a second: of stories, how often an hour they could be told. */
static double chart_value(const void *ctx, unsigned i, unsigned t)
{
	const struct charted *c = ctx;
	enum mount_figure figure = work_figure(&works[c->works[i]]);
	double value = mount_median(c->b, c->works[i], t, figure);

	return figure == MOUNT_SECONDS ? ratio(3600, value) : value;
}

bool mount_report_svg(const struct mount_bench *b)
{
	struct charted c = { .b = b };

	for (unsigned w = 0; w < works_n; w++)
		for (unsigned t = 0; t < b->targets_n; t++)
			if (work_figure(&works[w]) != MOUNT_SPACE &&
			    mount_median(b, w, t, work_figure(&works[w])) > 0) {
				c.works[c.n++] = w;
				break;
			}
	return chart_draw(
		&(struct chart){ .title = "Operations a second, MB/s, stories an hour (more is better; logarithmic)",
				 .groups_n = c.n,
				 .series_n = b->targets_n,
				 .ctx = &c,
				 .group = chart_work,
				 .series = chart_target,
				 .value = chart_value },
		b->svg_path);
}
