/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_LATENCY_H
#define TESTS_BENCH_LATENCY_H
/*
 * latency - a log-linear histogram of nanoseconds (64 steps in each power of two: values are off by 1.6 % at most), and
 * a timer that fills it around operations.
 *
 * Reading the clock costs about 25 ns. While operations take 2 us and more on average the clock is read once for each of
 * them (an operation's end is the next one's beginning). Faster ones are sampled, 1 in 16, and count 16-fold; the other
 * 15 are timed as one, and raise the maximum if that took longer: so no stall goes unseen.
 */
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
	HISTOGRAM_BITS = 6,
	HISTOGRAM_STEPS = 1 << HISTOGRAM_BITS,
	HISTOGRAM_SIZE = (40 - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS, /* up to 2^40 ns, 18 minutes */
	TIMER_EVERY = 16,
	TIMER_WINDOW = 256, /* measurements after which the pace is looked at */
	TIMER_FAST_NS = 2000,
	TIMER_SLOW_NS = 3000,
};

struct histogram {
	uint64_t n, max;
	uint64_t counts[HISTOGRAM_SIZE];
};

static inline uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline unsigned latency_bucket(uint64_t ns)
{
	unsigned shift, bucket;

	if (ns < HISTOGRAM_STEPS)
		return (unsigned)ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - HISTOGRAM_BITS;
	bucket = (shift << HISTOGRAM_BITS) + (unsigned)(ns >> shift);
	return bucket < HISTOGRAM_SIZE ? bucket : HISTOGRAM_SIZE - 1;
}

static inline void latency_add(struct histogram *h, uint64_t ns, uint64_t weight)
{
	h->counts[latency_bucket(ns)] += weight;
	h->n += weight;
	if (ns > h->max)
		h->max = ns;
}

void latency_merge(struct histogram *to, const struct histogram *from);

/* The time that `part` of all took no longer than; the middle of its bucket. 0 when nothing was measured. */
double latency_quantile(const struct histogram *h, double part);

struct timer {
	struct histogram *histogram;
	uint64_t deadline; /* 0: none */
	uint64_t start, last, window_ns;
	unsigned every, left, window_n;
	bool over; /* the deadline has passed */
};

static inline void timer_init(struct timer *t, struct histogram *h, uint64_t deadline)
{
	*t = (struct timer){ .histogram = h, .deadline = deadline, .every = 1, .left = 1, .last = clock_ns() };
}

void timer_window(struct timer *t);

static inline void timer_begin(struct timer *t)
{
	if (--t->left)
		return;
	if (t->every == 1) {
		t->start = t->last;
		return;
	}
	t->start = clock_ns();
	if (t->start - t->last > t->histogram->max)
		t->histogram->max = t->start - t->last;
}

static inline void timer_end(struct timer *t)
{
	if (t->left)
		return;
	t->last = clock_ns();
	latency_add(t->histogram, t->last - t->start, t->every);
	t->window_ns += t->last - t->start;
	if (++t->window_n == TIMER_WINDOW)
		timer_window(t);
	t->left = t->every;
	t->over = t->deadline && t->last >= t->deadline;
}

#endif
