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
	*a = (struct arena){ .chunk_bytes = CHUNK_BYTES_MIN, .chunk_bytes_max = CHUNK_BYTES_MAX };
}

void arena_init_large(struct arena *a, void (*prepare)(void *chunk, size_t bytes))
{
	arena_init(a);
	a->chunk_bytes_max = ARENA_LARGE_BYTES;
	a->prepare = prepare;
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

/* A large chunk takes all of its alignment, head included. */
static struct arena_chunk *chunk_memory(const struct arena *a, size_t size)
{
	struct arena_chunk *c;

	if (!a->prepare || size != ARENA_LARGE_BYTES)
		return malloc(size);
	c = aligned_alloc(ARENA_LARGE_BYTES, size);
	if (c)
		a->prepare(c, size);
	return c;
}

/* Of `size` bytes in all. A piece larger than a quarter of a chunk gets a chunk of its own and leaves the current one. */
static void *chunk_new(struct arena *a, size_t size)
{
	struct arena_chunk *c = chunk_memory(a, size);

	if (!c)
		return NULL;
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
