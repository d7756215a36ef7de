/* SPDX-License-Identifier: MIT */
#include "fs/verbs/progress.h"
#include "lsm/lsm.h"

#include <stdio.h>
#include <unistd.h>

int progress_show(void *ctx, uint64_t done, uint64_t total)
{
	struct progress *p = ctx;
	int percent = total ? (int)(100.0 * (double)done / (double)total) : 100;
	char text[32];

	if (!p->shown || percent == p->percent)
		return 0;
	p->percent = percent;
	if (p->unit)
		snprintf(text, sizeof(text), "%llu %s", (unsigned long long)total, p->unit);
	else
		bytes_to_text(total, text);
	fprintf(stderr, "\r%s %3d %% of %s ", p->what, percent, text);
	fflush(stderr);
	return 0;
}

void progress_init(struct progress *p, const char *what, struct lsm_copy_options *ret)
{
	*p = (struct progress){ what, isatty(STDERR_FILENO), -1, NULL };
	if (ret)
		*ret = (struct lsm_copy_options){ progress_show, p };
}

void progress_done(struct progress *p)
{
	if (p->shown && p->percent >= 0)
		fprintf(stderr, "\r%*s\r", 60, "");
	p->percent = -1;
}

void bytes_to_text(uint64_t bytes, char ret[32])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double n = (double)bytes / 1024;
	int unit = 0;

	if (bytes < 1024) {
		snprintf(ret, 32, "%u bytes", (unsigned)bytes);
		return;
	}
	while (n >= 1024 && unit < 3) {
		n /= 1024;
		unit++;
	}
	snprintf(ret, 32, "%.1f %s", n, units[unit]);
}
