/* SPDX-License-Identifier: MIT */
#include "lsm/memory/block_heap.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lsm/base/status.h"
#include "lsm/env/pages.h"
#include "lsm/env/sync.h"

#define SLAB_BYTES ((size_t)64 << 10)
#define SLABS_PER_CHUNK (PAGES_CHUNK_BYTES / SLAB_BYTES)

enum {
	CLASS_BYTES = 128, /* classes differ by this */
	PIECE_BYTES_MAX = 16 << 10,
	CLASSES = PIECE_BYTES_MAX / CLASS_BYTES + 1,
	/* Below, a chunk is too large a part of all, and malloc() fits closer. */
	CAPACITY_MIN = 32 << 20,
};

#define NONE UINT32_MAX

/* Slabs of a class that have room are in its list, empty ones in that of free slabs, full ones in none. */
struct slab {
	uint32_t next, prev;
	uint16_t class; /* 0: free */
	uint16_t used;  /* pieces given out */
	uint16_t fresh; /* pieces from here on were never given out */
	uint16_t free;  /* the first piece that came back, + 1; its first bytes name the next one */
};

struct block_heap {
	uint8_t *base;                /* NULL: all is malloc's */
	size_t chunks_n, chunks_used; /* chunks from `chunks_used` on were never used */
	struct mutex lock;            /* protects what follows */
	struct slab *slabs;
	uint32_t open[CLASSES]; /* heads of the lists */
	uint32_t free;
	uint8_t *chunk_slabs; /* slabs in use, for each chunk */
	uint32_t *idle;       /* chunks without one: a stack; all but the first of them hold no memory */
	size_t idle_n;
	uint64_t bytes;
};

int block_heap_new(uint64_t capacity, struct block_heap **ret)
{
	struct block_heap *h = calloc(1, sizeof(*h));

	if (!h)
		return status_no_memory(sizeof(*h));
	mutex_init(&h->lock);
	*ret = h;
	if (PAGES_WATCHED || capacity < CAPACITY_MIN || capacity > SIZE_MAX / 4)
		return LSM_OK;
	for (int i = 0; i < CLASSES; i++)
		h->open[i] = NONE;
	h->free = NONE;
	/* Room for slabs that are not full, too: only what is touched takes memory. */
	h->chunks_n = (size_t)(capacity + capacity / 2) / PAGES_CHUNK_BYTES;
	h->slabs = calloc(h->chunks_n * SLABS_PER_CHUNK, sizeof(*h->slabs));
	h->chunk_slabs = calloc(h->chunks_n, sizeof(*h->chunk_slabs));
	h->idle = calloc(h->chunks_n, sizeof(*h->idle));
	if (h->slabs && h->chunk_slabs && h->idle)
		h->base = pages_reserve(h->chunks_n * PAGES_CHUNK_BYTES);
	return LSM_OK;
}

void block_heap_free(struct block_heap *h)
{
	if (!h)
		return;
	if (h->base)
		pages_release(h->base, h->chunks_n * PAGES_CHUNK_BYTES);
	free(h->slabs);
	free(h->chunk_slabs);
	free(h->idle);
	mutex_done(&h->lock);
	free(h);
}

/* ---- lists of slabs ---- */

static void link_slab(struct block_heap *h, uint32_t *head, uint32_t i)
{
	h->slabs[i].prev = NONE;
	h->slabs[i].next = *head;
	if (*head != NONE)
		h->slabs[*head].prev = i;
	*head = i;
}

static void unlink_slab(struct block_heap *h, uint32_t *head, uint32_t i)
{
	const struct slab *s = &h->slabs[i];

	if (s->prev == NONE)
		*head = s->next;
	else
		h->slabs[s->prev].next = s->next;
	if (s->next != NONE)
		h->slabs[s->next].prev = s->prev;
}

/* ---- chunks ---- */

static uint8_t *chunk_at(const struct block_heap *h, size_t chunk)
{
	return h->base + chunk * PAGES_CHUNK_BYTES;
}

/* Adds the slabs of an idle or of a new chunk to the free ones. */
static bool open_chunk(struct block_heap *h)
{
	size_t chunk;

	if (h->idle_n) {
		chunk = h->idle[--h->idle_n];
	} else {
		chunk = h->chunks_used;
		if (chunk == h->chunks_n || !pages_use(chunk_at(h, chunk)))
			return false;
		h->chunks_used++;
	}
	for (size_t i = SLABS_PER_CHUNK; i-- > 0;)
		link_slab(h, &h->free, (uint32_t)(chunk * SLABS_PER_CHUNK + i));
	h->bytes += PAGES_CHUNK_BYTES;
	return true;
}

/* The last slab of a chunk came back. One idle chunk keeps its memory, for who comes next. */
static void close_chunk(struct block_heap *h, size_t chunk)
{
	for (size_t i = 0; i < SLABS_PER_CHUNK; i++)
		unlink_slab(h, &h->free, (uint32_t)(chunk * SLABS_PER_CHUNK + i));
	if (h->idle_n)
		pages_drop(chunk_at(h, chunk));
	h->idle[h->idle_n++] = (uint32_t)chunk;
	h->bytes -= PAGES_CHUNK_BYTES;
}

/* ---- pieces ---- */

static size_t piece_bytes(const struct slab *s)
{
	return (size_t)s->class * CLASS_BYTES;
}

static uint8_t *piece_at(const struct block_heap *h, uint32_t slab, size_t piece)
{
	return h->base + slab * SLAB_BYTES + piece * piece_bytes(&h->slabs[slab]);
}

static bool has_room(const struct slab *s)
{
	return s->free || (s->fresh + 1u) * piece_bytes(s) <= SLAB_BYTES;
}

/* A slab of the class with room, or NONE. */
static uint32_t slab_with_room(struct block_heap *h, uint16_t class)
{
	uint32_t i = h->open[class];

	if (i != NONE)
		return i;
	if (h->free == NONE && !open_chunk(h))
		return NONE;
	i = h->free;
	unlink_slab(h, &h->free, i);
	h->slabs[i] = (struct slab){ .class = class };
	link_slab(h, &h->open[class], i);
	h->chunk_slabs[i / SLABS_PER_CHUNK]++;
	return i;
}

static void *take(struct block_heap *h, uint16_t class)
{
	uint32_t i = slab_with_room(h, class);
	struct slab *s;
	uint8_t *piece;

	if (i == NONE)
		return NULL;
	s = &h->slabs[i];
	if (s->free) {
		piece = piece_at(h, i, s->free - 1u);
		memcpy(&s->free, piece, sizeof(s->free));
	} else {
		piece = piece_at(h, i, s->fresh++);
	}
	s->used++;
	if (!has_room(s))
		unlink_slab(h, &h->open[class], i);
	return piece;
}

void *block_heap_take(struct block_heap *h, size_t size)
{
	void *piece = NULL;

	if (h->base && size && size <= PIECE_BYTES_MAX) {
		mutex_lock(&h->lock);
		piece = take(h, (uint16_t)((size + CLASS_BYTES - 1) / CLASS_BYTES));
		mutex_unlock(&h->lock);
	}
	return piece ? piece : malloc(size ? size : 1);
}

static void give(struct block_heap *h, uint8_t *piece)
{
	uint32_t i = (uint32_t)((size_t)(piece - h->base) / SLAB_BYTES);
	struct slab *s = &h->slabs[i];
	uint16_t n = (uint16_t)((size_t)(piece - piece_at(h, i, 0)) / piece_bytes(s) + 1);
	uint32_t *open = &h->open[s->class];

	assert(s->used && piece == piece_at(h, i, n - 1u));
	if (!has_room(s))
		link_slab(h, open, i);
	memcpy(piece, &s->free, sizeof(s->free));
	s->free = n;
	if (--s->used)
		return;
	unlink_slab(h, open, i);
	s->class = 0;
	link_slab(h, &h->free, i);
	if (!--h->chunk_slabs[i / SLABS_PER_CHUNK])
		close_chunk(h, i / SLABS_PER_CHUNK);
}

void block_heap_give(struct block_heap *h, void *piece)
{
	uint8_t *p = piece;

	if (!h->base || p < h->base || p >= h->base + h->chunks_n * PAGES_CHUNK_BYTES) {
		free(p);
		return;
	}
	mutex_lock(&h->lock);
	give(h, p);
	mutex_unlock(&h->lock);
}

uint64_t block_heap_bytes(struct block_heap *h)
{
	uint64_t bytes;

	mutex_lock(&h->lock);
	bytes = h->bytes;
	mutex_unlock(&h->lock);
	return bytes;
}
