/* SPDX-License-Identifier: MIT */
#include "lsm/base/arena.h"

#include <stdbool.h>
#include <stdlib.h>

enum { CHUNK_BYTES_MIN = 16 << 10, CHUNK_BYTES_MAX = 256 << 10 };

struct arena_chunk {
	struct arena_chunk *next;
	bool large;
	max_align_t data[];
};

void arena_init(struct arena *a)
{
	*a = (struct arena){ .chunk_bytes = CHUNK_BYTES_MIN, .chunk_bytes_max = CHUNK_BYTES_MAX };
}

void arena_init_large(struct arena *a, const struct arena_large *large)
{
	arena_init(a);
	a->chunk_bytes_max = ARENA_LARGE_BYTES;
	a->large = large;
}

void arena_done(struct arena *a)
{
	struct arena_chunk *c = a->chunks;

	while (c) {
		struct arena_chunk *next = c->next;

		if (c->large)
			a->large->give(c, ARENA_LARGE_BYTES);
		else
			free(c);
		c = next;
	}
	arena_init(a);
}

/* Of `size` bytes in all. A piece larger than a quarter of a chunk gets a chunk of its own and leaves the current one. */
static void *chunk_new(struct arena *a, size_t size)
{
	bool large = a->large && size == ARENA_LARGE_BYTES;
	struct arena_chunk *c = large ? a->large->take(size) : malloc(size);

	if (!c)
		return NULL;
	c->large = large;
	c->next = a->chunks;
	a->chunks = c;
	atomic_fetch_add_explicit(&a->bytes, size, memory_order_relaxed);
	return c->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + 7) & ~(size_t)7;
	if ((size_t)(a->end - a->at) >= size) {
		p = a->at;
		a->at += size;
		return p;
	}
	if (size > a->chunk_bytes / 4)
		return chunk_new(a, size + sizeof(struct arena_chunk));
	p = chunk_new(a, a->chunk_bytes);
	if (!p)
		return NULL;
	a->at = (uint8_t *)p + size;
	a->end = (uint8_t *)p + (a->chunk_bytes - sizeof(struct arena_chunk));
	if (a->chunk_bytes < a->chunk_bytes_max)
		a->chunk_bytes *= 2;
	return p;
}
