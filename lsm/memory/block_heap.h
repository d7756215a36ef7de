/* SPDX-License-Identifier: MIT */
#ifndef LSM_MEMORY_BLOCK_HEAP_H
#define LSM_MEMORY_BLOCK_HEAP_H
/*
 * block_heap - memory for cached blocks: pieces of nearly the same size that come and go all the time. They lie in slabs
 * of one size class each, in chunks that the kernel may back with huge pages. All calls are thread-safe.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_heap;

/* For about `capacity` bytes of blocks; beyond that, and for blocks of unusual sizes, it uses malloc(). LSM_NO_MEMORY. */
int block_heap_new(uint64_t capacity, struct block_heap **ret);
void block_heap_free(struct block_heap *h); /* all pieces are gone with it; NULL is accepted */

/* NULL when memory is short. */
void *block_heap_take(struct block_heap *h, size_t size);
/* Gives a piece back, or what malloc() made. */
void block_heap_give(struct block_heap *h, void *piece);
/* Bytes of the chunks that hold pieces now, without those that were closed. */
uint64_t block_heap_bytes(struct block_heap *h);

/* Closes the emptiest chunks to new pieces, so many that `bytes` come back once all of their pieces have been given back.
 * False: there is nothing to close. */
bool block_heap_close_chunks(struct block_heap *h, uint64_t bytes);
/* Whether a piece lies in a closed chunk. */
bool block_heap_closed(struct block_heap *h, const void *piece);

#endif
