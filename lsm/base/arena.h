/* SPDX-License-Identifier: MIT */
#ifndef LSM_BASE_ARENA_H
#define LSM_BASE_ARENA_H
/*
 * arena - memory that is given out in pieces and freed as a whole. One thread allocates at a time (its caller's lock);
 * arena_bytes() may be asked by any.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* the newest first */
	uint8_t *at, *end;          /* what is left of the newest */
	_Atomic size_t bytes;       /* of all chunks */
	size_t chunk_bytes;         /* of the next one: grows up to a limit, so that small arenas stay small */
	size_t chunk_bytes_max;
	const struct arena_large *large; /* or NULL */
};

void arena_init(struct arena *a);
/* For much memory: chunks grow up to ARENA_LARGE_BYTES, and those of this size come from elsewhere than malloc. `large` must
 * outlive the arena. */
#define ARENA_LARGE_BYTES ((size_t)2 << 20)
struct arena_large {
	void *(*take)(size_t bytes); /* NULL: no memory */
	void (*give)(void *chunk, size_t bytes);
};
void arena_init_large(struct arena *a, const struct arena_large *large);
void arena_done(struct arena *a);

/* 8-byte aligned; NULL when memory is short. Belongs to the arena. */
void *arena_alloc(struct arena *a, size_t size);

static inline size_t arena_bytes(struct arena *a)
{
	return atomic_load_explicit(&a->bytes, memory_order_relaxed);
}

#endif
