/* SPDX-License-Identifier: MIT */
#include "lsm/base/arena.h"

#include <stdlib.h>

enum { CHUNK_BYTES_MIN = 16 << 10, CHUNK_BYTES_MAX = 256 << 10 };

struct arena_chunk {
	struct arena_chunk *next;
	max_align_t data[];
};

void arena_init(struct arena *a)
{
	*a = (struct arena){ .chunk_bytes = CHUNK_BYTES_MIN };
}

void arena_done(struct arena *a)
{
	struct arena_chunk *c = a->chunks;

	while (c) {
		struct arena_chunk *next = c->next;

		free(c);
		c = next;
	}
	arena_init(a);
}

/* A piece larger than a quarter of a chunk gets a chunk of its own and leaves the current one as it is. */
static void *chunk_new(struct arena *a, size_t size)
{
	struct arena_chunk *c = malloc(sizeof(*c) + size);

	if (!c)
		return NULL;
	c->next = a->chunks;
	a->chunks = c;
	atomic_fetch_add_explicit(&a->bytes, sizeof(*c) + size, memory_order_relaxed);
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
		return chunk_new(a, size);
	p = chunk_new(a, a->chunk_bytes);
	if (!p)
		return NULL;
	a->at = (uint8_t *)p + size;
	a->end = (uint8_t *)p + a->chunk_bytes;
	if (a->chunk_bytes < CHUNK_BYTES_MAX)
		a->chunk_bytes *= 2;
	return p;
}
