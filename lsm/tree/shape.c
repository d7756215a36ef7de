/* SPDX-License-Identifier: MIT */
#include "lsm/tree/shape.h"

enum { LAST = LSM_LEVELS - 1 };

/* The level above which all stay empty, when the last one has `bytes`. */
static unsigned base_for(uint64_t bytes, uint64_t limit, const struct picker_options *o)
{
	unsigned base = LAST;

	for (; base > 1 && bytes > limit && !o->tiered_runs; base--)
		bytes /= o->level_ratio;
	return base;
}

void shape_of(const struct version *v, const struct picker_options *o, struct shape *ret)
{
	uint64_t bytes = 0;
	unsigned first = LAST;

	for (unsigned l = LAST; l > 0; l--) {
		if (v->levels[l].bytes > bytes)
			bytes = v->levels[l].bytes;
		if (v->levels[l].n)
			first = l;
	}
	*ret = (struct shape){ .base = base_for(bytes, o->level_base_bytes, o) };
	/* A level in use is given up only when the store has shrunk by half: it would be filled again soon. */
	if (first < ret->base) {
		unsigned kept = base_for(bytes, o->level_base_bytes / 2, o);

		if (kept < ret->base)
			ret->base = kept > first ? kept : first;
	}
	ret->l0_output = first < ret->base ? first : ret->base;
	for (unsigned l = LAST; l >= ret->base; l--, bytes /= o->level_ratio)
		ret->targets[l] = bytes;
}

double picker_debt(const struct version *v, const struct picker_options *o)
{
	/* Level 0 may hold twice its trigger before anybody waits, and eight times it before all of the debt is due. Tiers
	 * are meant to hold that many runs of several sizes. */
	double trigger = o->tiered_runs ? 3.0 * o->tiered_runs : o->l0_tables;
	double l0 = ((double)v->levels[0].n - 2 * trigger) / (6 * trigger), excess = 0;
	struct shape s;

	shape_of(v, o, &s);
	for (unsigned l = 1; l < LAST; l++) {
		double over = (double)v->levels[l].bytes - (double)s.targets[l];
		double below = (double)v->levels[l + 1].bytes;

		/* What meets nothing goes down for free. */
		if (over > 0)
			excess += over < below ? over : below;
	}
	/* Bytes waiting: nothing up to 8 bases, all at 64. */
	excess = (excess / (double)o->level_base_bytes - 8) / 56;
	if (excess > l0)
		l0 = excess;
	return l0 < 0 ? 0 : l0;
}
