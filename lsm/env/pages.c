/* SPDX-License-Identifier: MIT */
#include "lsm/env/pages.h"

#include <stdint.h>
#include <sys/mman.h>

/* Reserves a chunk more than is wanted and gives back what lies before and behind the aligned part. */
void *pages_reserve(size_t bytes)
{
	size_t all = bytes + PAGES_CHUNK_BYTES, before;
	uint8_t *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	before = (PAGES_CHUNK_BYTES - (uintptr_t)p % PAGES_CHUNK_BYTES) % PAGES_CHUNK_BYTES;
	if (before)
		munmap(p, before);
	munmap(p + before + bytes, all - bytes - before);
	return p + before;
}

void pages_release(void *base, size_t bytes)
{
	munmap(base, bytes);
}

bool pages_use(void *chunk)
{
	if (mprotect(chunk, PAGES_CHUNK_BYTES, PROT_READ | PROT_WRITE))
		return false;
	(void)madvise(chunk, PAGES_CHUNK_BYTES, MADV_HUGEPAGE);
	return true;
}

void pages_drop(void *chunk)
{
	(void)madvise(chunk, PAGES_CHUNK_BYTES, MADV_DONTNEED);
}
