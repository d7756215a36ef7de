/* SPDX-License-Identifier: MIT */
#include "lsm/memory/block_heap.h"

#include <assert.h>
#include <stdatomic.h>
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

struct chunk {
	uint32_t used_bytes; /* of pieces given out */
	uint8_t slabs;       /* in use */
	atomic_bool closed;  /* its slabs are in no list; read without the lock, too */
};

struct block_heap {
	uint8_t *base;                /* NULL: all is malloc's */
	size_t chunks_n, chunks_used; /* chunks from `chunks_used` on were never used */
	struct mutex lock;            /* protects what follows */
	struct slab *slabs;
	uint32_t open[CLASSES]; /* heads of the lists */
	uint32_t free;
	struct chunk *chunks;
	uint32_t *idle; /* chunks without a slab in use: a stack; all but the first of them hold no memory */
	size_t idle_n;
	_Atomic uint64_t bytes; /* read without the lock, too */
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
	h->chunks = calloc(h->chunks_n, sizeof(*h->chunks));
	h->idle = calloc(h->chunks_n, sizeof(*h->idle));
	if (h->slabs && h->chunks && h->idle)
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
	free(h->chunks);
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
static void idle_chunk(struct block_heap *h, size_t chunk)
{
	if (!h->chunks[chunk].closed) {
		for (size_t i = 0; i < SLABS_PER_CHUNK; i++)
			unlink_slab(h, &h->free, (uint32_t)(chunk * SLABS_PER_CHUNK + i));
		h->bytes -= PAGES_CHUNK_BYTES;
	}
	h->chunks[chunk].closed = false;
	if (h->idle_n)
		pages_drop(chunk_at(h, chunk));
	h->idle[h->idle_n++] = (uint32_t)chunk;
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
	h->chunks[i / SLABS_PER_CHUNK].slabs++;
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
	h->chunks[i / SLABS_PER_CHUNK].used_bytes += (uint32_t)piece_bytes(s);
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
	struct chunk *chunk = &h->chunks[i / SLABS_PER_CHUNK];

	assert(s->used && piece == piece_at(h, i, n - 1u));
	if (!has_room(s) && !chunk->closed)
		link_slab(h, open, i);
	memcpy(piece, &s->free, sizeof(s->free));
	s->free = n;
	chunk->used_bytes -= (uint32_t)piece_bytes(s);
	if (--s->used)
		return;
	if (!chunk->closed) {
		unlink_slab(h, open, i);
		link_slab(h, &h->free, i);
	}
	s->class = 0;
	if (!--chunk->slabs)
		idle_chunk(h, i / SLABS_PER_CHUNK);
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
	return atomic_load_explicit(&h->bytes, memory_order_relaxed);
}

/* ---- closing ---- */

static void close_chunk(struct block_heap *h, size_t chunk)
{
	for (size_t i = chunk * SLABS_PER_CHUNK; i < (chunk + 1) * SLABS_PER_CHUNK; i++) {
		struct slab *s = &h->slabs[i];

		if (!s->class)
			unlink_slab(h, &h->free, (uint32_t)i);
		else if (has_room(s))
			unlink_slab(h, &h->open[s->class], (uint32_t)i);
	}
	h->chunks[chunk].closed = true;
	h->bytes -= PAGES_CHUNK_BYTES;
}

/* The open chunk in use that holds the fewest bytes, or chunks_n. */
static size_t emptiest_chunk(const struct block_heap *h)
{
	size_t best = h->chunks_n;

	for (size_t i = 0; i < h->chunks_used; i++) {
		const struct chunk *c = &h->chunks[i];

		if (c->slabs && !c->closed && (best == h->chunks_n || c->used_bytes < h->chunks[best].used_bytes))
			best = i;
	}
	return best;
}

bool block_heap_close_chunks(struct block_heap *h, uint64_t bytes)
{
	uint64_t closed = 0;

	mutex_lock(&h->lock);
	while (h->base && closed < bytes) {
		size_t chunk = emptiest_chunk(h);

		if (chunk == h->chunks_n)
			break;
		close_chunk(h, chunk);
		closed += PAGES_CHUNK_BYTES;
	}
	mutex_unlock(&h->lock);
	return closed > 0;
}

bool block_heap_closed(struct block_heap *h, const void *piece)
{
	const uint8_t *p = piece;

	if (!h->base || p < h->base || p >= h->base + h->chunks_n * PAGES_CHUNK_BYTES)
		return false;
	return h->chunks[(size_t)(p - h->base) / PAGES_CHUNK_BYTES].closed;
}
