/* SPDX-License-Identifier: MIT */
#include "lsm/base/histogram.h"

enum { SUB_BITS = 5, SUB = 1 << SUB_BITS };

#define get(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* The top 6 bits of the value, and how far they are shifted. */
static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < SUB)
		return (unsigned)value;
	shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(value);
	return (shift + 1) * SUB + (unsigned)(value >> shift) - SUB;
}

/* The middle of a bucket's values. */
static uint64_t bucket_value(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * SUB)
		return bucket;
	shift = bucket / SUB - 1;
	return ((uint64_t)(SUB + bucket % SUB) << shift) + ((UINT64_C(1) << shift) - 1) / 2;
}

static void raise_max(struct histogram *h, uint64_t value)
{
	uint64_t max = get(h->max);

	while (value > max &&
	       !atomic_compare_exchange_weak_explicit(&h->max, &max, value, memory_order_relaxed, memory_order_relaxed))
		;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	atomic_fetch_add_explicit(&h->counts[bucket_of(value)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
	raise_max(h, value);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t n = get(from->counts[i]);

		if (n)
			atomic_fetch_add_explicit(&into->counts[i], n, memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&into->sum, get(from->sum), memory_order_relaxed);
	raise_max(into, get(from->max));
}

/* The value of which `permille` of 1000 are not larger. */
static uint64_t percentile(const struct histogram *h, uint64_t count, unsigned permille)
{
	uint64_t rank = count / 1000 * permille + (count % 1000 * permille + 999) / 1000, seen = 0, max = get(h->max);

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += get(h->counts[i]);
		if (seen >= rank)
			return bucket_value(i) < max ? bucket_value(i) : max;
	}
	return max;
}

void histogram_summarize(const struct histogram *h, struct lsm_histogram_summary *ret)
{
	struct lsm_histogram_summary s = { .max_ns = get(h->max) };

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		s.count += get(h->counts[i]);
	if (s.count) {
		s.mean_ns = get(h->sum) / s.count;
		s.p50_ns = percentile(h, s.count, 500);
		s.p90_ns = percentile(h, s.count, 900);
		s.p99_ns = percentile(h, s.count, 990);
		s.p999_ns = percentile(h, s.count, 999);
	}
	*ret = s;
}
