/* SPDX-License-Identifier: MIT */
#include "lsm/tree/garbage.h"

#include <stdlib.h>

#define MIB (UINT64_C(1) << 20)

/*
 * Of all that sealed segments hold, this share may be garbage. It trades space for writing: random overwrites of 2,000
 * values of 100 KB, 50 MB/s, on a busy machine took 1.46 times the live bytes on average, log included, and wrote 2.5
 * bytes for each with 0.15; 1.40 and 3.0 with 0.10, all else equal. Unthrottled overwrites of 100 KB wrote 2.44 bytes for
 * each at 2.1 k/s with 0.10, and 1.84 at 3.3 k/s with 0.20, which ended at 1.34 times the live bytes. What is on its way through memtables, level 0 and a
 * running collection is 0.1 to 0.2 of that, and the log 0.06.
 */
#define GARBAGE_SHARE 0.17

/* A job's copies exist beside their originals until it is installed: at most this share of all at a time. */
#define COPY_SHARE (1.0 / 24)
#define COPY_BYTES_MIN (4 * MIB)

void garbage_sums_add(struct garbage_sums *sums, const struct picker_options *o, const struct segment_info *s)
{
	uint64_t garbage = s->live_bytes < s->file_bytes ? s->file_bytes - s->live_bytes : 0;

	/* Without a live byte it is held by something else than tables, and goes with that. */
	if (!s->live_bytes)
		return;
	sums->live_bytes += s->live_bytes;
	sums->garbage_bytes += garbage;
	if (segment_is_garbage(o, s))
		sums->collectable_bytes += garbage;
}

static double share(const struct segment_info *s)
{
	return (double)(s->file_bytes - s->live_bytes) / (double)s->file_bytes;
}

static int compare_share(const void *a, const void *b)
{
	double x = share(a), y = share(b);

	return x > y ? -1 : x < y;
}

size_t garbage_select(const struct picker_options *o, struct segment_info *segments, size_t n, bool all)
{
	struct garbage_sums sums = { 0 };
	double total, excess, copied = 0, copied_max;
	size_t worth = 0, chosen = 0;

	for (size_t i = 0; i < n; i++) {
		struct segment_info s = segments[i];

		garbage_sums_add(&sums, o, &s);
		if (!s.live_bytes || !segment_is_garbage(o, &s))
			continue;
		segments[i] = segments[worth];
		segments[worth++] = s;
	}
	if (all)
		return worth;
	total = (double)sums.live_bytes + (double)sums.garbage_bytes;
	excess = (double)sums.garbage_bytes - total * GARBAGE_SHARE;
	copied_max = total * COPY_SHARE > (double)COPY_BYTES_MIN ? total * COPY_SHARE : (double)COPY_BYTES_MIN;
	qsort(segments, worth, sizeof(*segments), compare_share);
	for (; chosen < worth && excess > 0 && copied < copied_max; chosen++) {
		excess -= (double)(segments[chosen].file_bytes - segments[chosen].live_bytes);
		copied += (double)segments[chosen].live_bytes;
	}
	return chosen;
}

static uint64_t at_least(uint64_t bytes, uint64_t min)
{
	return bytes > min ? bytes : min;
}

/* Only what can be collected counts: waiting for anything else would be in vain. At full debt 10 MB a second go through. The square keeps the beginning gentle. */
static uint64_t delay_ps(const struct garbage_sums *s)
{
	const double from = 1.2 * GARBAGE_SHARE, full = 0.5, full_ps = 100000;
	double all = (double)s->live_bytes + (double)s->garbage_bytes, debt;

	debt = all > 0 ? ((double)s->collectable_bytes / all - from) / (full - from) : 0;
	if (debt <= 0)
		return 0;
	return (uint64_t)(debt > 1 ? full_ps : debt * debt * full_ps);
}

void garbage_limits(const struct garbage_sums *s, uint64_t most_bytes, struct garbage_limits *ret)
{
	/* Where nothing was overwritten, flushes are only spread evenly. */
	bool fills = s->garbage_bytes <= s->live_bytes / 32;

	ret->hold_bytes = fills ? at_least(s->live_bytes / 8, 64 * MIB) : at_least(s->live_bytes / 64, 4 * MIB);
	ret->hold_bytes_max = fills || ret->hold_bytes * 2 > most_bytes ? most_bytes : ret->hold_bytes * 2;
	ret->segment_bytes = fills ? UINT64_MAX : at_least(s->live_bytes / 32, 4 * MIB);
	ret->delay_ps = delay_ps(s);
}
