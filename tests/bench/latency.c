/* SPDX-License-Identifier: MIT */
#include "tests/bench/latency.h"

void latency_merge(struct histogram *to, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_SIZE; i++)
		to->counts[i] += from->counts[i];
	to->n += from->n;
	to->max = from->max > to->max ? from->max : to->max;
}

static double bucket_middle(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_BITS;

	if (shift)
		shift--;
	return ((double)(bucket - (shift << HISTOGRAM_BITS)) + (shift ? 0.5 : 0)) * (double)(UINT64_C(1) << shift);
}

double latency_quantile(const struct histogram *h, double part)
{
	uint64_t rank = (uint64_t)(part * (double)h->n), below = 0;

	if (!h->n)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_SIZE; i++) {
		below += h->counts[i];
		if (below > rank) {
			double middle = bucket_middle(i);

			return middle < (double)h->max ? middle : (double)h->max;
		}
	}
	return (double)h->max;
}

/* Weights keep the histogram true when the pace changes. */
void timer_window(struct timer *t)
{
	uint64_t mean = t->window_ns / t->window_n;

	if (mean < TIMER_FAST_NS)
		t->every = TIMER_EVERY;
	else if (mean > TIMER_SLOW_NS)
		t->every = 1;
	t->window_ns = 0;
	t->window_n = 0;
}
