/* SPDX-License-Identifier: MIT */
/* The content of fs_null's files. */
#include "tests/bench/null_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define LARGE ((size_t)1 << 20)        /* from here on with pages of its own */
#define LARGE_FIRST ((size_t)64 << 20) /* of which it has so much at first */

/* Large contents have pages of their own, huge ones where there are any: the kernel's zeroing of small ones would be most of
 * what a write costs. */
static char *data_resize(char *data, size_t from, size_t to)
{
	char *larger;

	if (to < LARGE)
		return realloc(data, to);
	if (from >= LARGE) {
		larger = mremap(data, from, to, MREMAP_MAYMOVE);
	} else {
		larger = mmap(NULL, to, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (larger != MAP_FAILED && from)
			memcpy(larger, data, from);
		if (larger != MAP_FAILED)
			free(data);
	}
	if (larger == MAP_FAILED)
		return NULL;
	(void)madvise(larger, to, MADV_HUGEPAGE);
	return larger;
}

/* With the node's lock. */
static int reserve(struct null_node *node, size_t size)
{
	size_t capacity = node->capacity ? node->capacity * 2 : 128;
	char *larger;

	if (size <= node->capacity)
		return 0;
	while (capacity < size)
		capacity *= 2;
	if (capacity >= LARGE && capacity < LARGE_FIRST)
		capacity = LARGE_FIRST;
	larger = data_resize(node->data, node->capacity, capacity);
	if (!larger)
		return ENOMEM;
	node->data = larger;
	node->capacity = capacity;
	return 0;
}

static void set_size(struct null_node *node, size_t size)
{
	node->attr.st_size = (off_t)size;
	node->attr.st_blocks = (blkcnt_t)((size + 511) / 512);
}

/* Zeros up to `end`, and the end there. */
static int extend(struct null_node *node, size_t end)
{
	size_t size = (size_t)node->attr.st_size;
	int r = reserve(node, end);

	if (!r && end > size)
		memset(node->data + size, 0, end - size);
	if (!r)
		set_size(node, end);
	return r;
}

void null_free_content(struct null_node *node)
{
	if (node->capacity >= LARGE)
		munmap(node->data, node->capacity);
	else
		free(node->data);
}

int null_resize(struct null_node *node, size_t size)
{
	int r;

	pthread_rwlock_wrlock(&node->lock);
	r = extend(node, size);
	if (!r)
		node->attr.st_mtim = node->attr.st_ctim = null_now();
	pthread_rwlock_unlock(&node->lock);
	return r;
}

int null_write(struct null_node *node, const char *data, size_t size, size_t offset)
{
	int r;

	pthread_rwlock_wrlock(&node->lock);
	r = offset > (size_t)node->attr.st_size ? extend(node, offset) : 0;
	if (!r)
		r = reserve(node, offset + size);
	if (!r) {
		memcpy(node->data + offset, data, size);
		if (offset + size > (size_t)node->attr.st_size)
			set_size(node, offset + size);
		node->attr.st_mtim = node->attr.st_ctim = null_now();
	}
	pthread_rwlock_unlock(&node->lock);
	return r;
}
