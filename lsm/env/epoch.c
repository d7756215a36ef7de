/* SPDX-License-Identifier: MIT */
#include "lsm/env/epoch.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE_BYTES = 64, SPINS = 64, SLEEP_US_MIN = 1, SLEEP_US_MAX = 500 };

/*
 * A slot holds 0, or the epoch at which its reader came. Each call of epoch_synchronize() begins an epoch and waits for
 * the slots with older ones, so that readers who come later never hold it up, and several callers don't disturb each
 * other.
 */
struct slot {
	alignas(CACHE_LINE_BYTES) _Atomic uint64_t since;
};

struct epoch {
	struct slot slots[EPOCH_SLOTS];
	alignas(CACHE_LINE_BYTES) _Atomic uint64_t now;
	struct env *env;
};

/* The slot this thread tries first, + 1; nobody else does while there have been fewer threads than slots. */
static _Thread_local unsigned thread_hint;
static _Atomic unsigned threads_seen;

int epoch_new(struct env *env, struct epoch **ret)
{
	struct epoch *e = aligned_alloc(CACHE_LINE_BYTES, sizeof(*e));

	if (!e)
		return status_no_memory(sizeof(*e));
	memset(e, 0, sizeof(*e));
	atomic_init(&e->now, 1);
	e->env = env;
	*ret = e;
	return LSM_OK;
}

void epoch_free(struct epoch *e)
{
	for (unsigned i = 0; e && i < EPOCH_SLOTS; i++)
		assert(!atomic_load(&e->slots[i].since));
	free(e);
}

static inline bool slot_take(struct epoch *e, unsigned i)
{
	uint64_t none = 0;

	return atomic_compare_exchange_strong_explicit(&e->slots[i].since, &none,
						       atomic_load_explicit(&e->now, memory_order_acquire),
						       memory_order_seq_cst, memory_order_relaxed);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void backoff(struct epoch *e, unsigned *tries)
{
	uint64_t us = SLEEP_US_MIN;

	if (++*tries <= SPINS) {
		cpu_relax();
		return;
	}
	for (unsigned i = SPINS + 1; i < *tries && us < SLEEP_US_MAX; i++)
		us *= 2;
	e->env->ops->sleep_us(e->env, us);
}

/* The own slot is in use: another thread shares the hint, or this one is inside already. */
static unsigned enter_elsewhere(struct epoch *e)
{
	unsigned start, tries = 0;

	if (!thread_hint)
		thread_hint = atomic_fetch_add_explicit(&threads_seen, 1, memory_order_relaxed) % EPOCH_SLOTS + 1;
	start = thread_hint - 1;
	for (;;) {
		for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
			unsigned at = (start + i) % EPOCH_SLOTS;

			if (slot_take(e, at))
				return at;
		}
		backoff(e, &tries);
	}
}

unsigned epoch_enter(struct epoch *e)
{
	unsigned hint = thread_hint;

	if (__builtin_expect(hint && slot_take(e, hint - 1), 1))
		return hint - 1;
	return enter_elsewhere(e);
}

void epoch_exit(struct epoch *e, unsigned slot)
{
	assert(slot < EPOCH_SLOTS);
	assert(atomic_load_explicit(&e->slots[slot].since, memory_order_relaxed));
	atomic_store_explicit(&e->slots[slot].since, 0, memory_order_release);
}

void epoch_synchronize(struct epoch *e)
{
	uint64_t begun = atomic_fetch_add(&e->now, 1) + 1;

	for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
		unsigned tries = 0;

		for (;;) {
			uint64_t since = atomic_load(&e->slots[i].since);

			if (!since || since >= begun)
				break;
			backoff(e, &tries);
		}
	}
}
