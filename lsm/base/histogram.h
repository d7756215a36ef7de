/* SPDX-License-Identifier: MIT */
#ifndef LSM_BASE_HISTOGRAM_H
#define LSM_BASE_HISTOGRAM_H
/*
 * histogram - how often which value came: 32 buckets for each power of two, so that a percentile is off by 1.6 % at most
 * (values below 32 are exact), over all of 64 bits. Adding is three relaxed atomic operations from any thread.
 */
#include <stdatomic.h>

#include "lsm/lsm.h"

enum { HISTOGRAM_BUCKETS = 32 * 60 };

/* Zero-initialize. */
struct histogram {
	_Atomic uint64_t counts[HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum, max;
};

void histogram_add(struct histogram *h, uint64_t value);
/* Adds all that `from` has. Values that come meanwhile are in it or not. */
void histogram_merge(struct histogram *into, const struct histogram *from);
/* Nothing may be added meanwhile. */
void histogram_summarize(const struct histogram *h, struct lsm_histogram_summary *ret);

#endif
