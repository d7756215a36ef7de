/* SPDX-License-Identifier: MIT */
#ifndef LSM_ENV_PAGES_H
#define LSM_ENV_PAGES_H
/*
 * pages - memory from the kernel, in chunks that it may back with huge pages. The first touch of memory costs an
 * exception for each page, which is more than the reading, checking and uncompressing of what a page will hold.
 */
#include <stdbool.h>
#include <stddef.h>

#define PAGES_CHUNK_BYTES ((size_t)2 << 20)

/* A sanitizer that watches malloc() would not see what happens in here: better use that then. */
#if defined(__SANITIZE_ADDRESS__)
#define PAGES_WATCHED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PAGES_WATCHED true
#endif
#endif
#ifndef PAGES_WATCHED
#define PAGES_WATCHED false
#endif

/* Address space of `bytes`, a multiple of the chunk and aligned to it, in which nothing may be touched yet. NULL when
 * there is none. Ended with pages_release(). */
void *pages_reserve(size_t bytes);
void pages_release(void *base, size_t bytes);
/* Makes a chunk usable; it reads as zeros. False when memory is short. */
bool pages_use(void *chunk);
/* Gives a chunk's memory back to the kernel; the chunk stays usable, and reads as zeros. */
void pages_drop(void *chunk);

#endif
