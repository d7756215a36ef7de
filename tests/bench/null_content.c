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

/* Memory that was touched already, for large contents: the kernel's zeroing of new pages would be most of what a write
 * costs. */
struct region {
	char *data; /* NULL: it is in use, or there is none */
	size_t size;
};

static pthread_mutex_t spares_lock = PTHREAD_MUTEX_INITIALIZER;
static struct region spares[NULL_SPARES];

static char *map(size_t size)
{
	char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		return NULL;
	(void)madvise(data, size, MADV_HUGEPAGE);
	return data;
}

bool null_reserve(size_t size)
{
	for (unsigned i = 0; i < NULL_SPARES; i++) {
		spares[i] = (struct region){ map(size), size };
		if (!spares[i].data)
			return false;
		memset(spares[i].data, 0, size);
	}
	return true;
}

/* Its size becomes that of what was found. */
static char *take_spare(size_t *size)
{
	char *data = NULL;

	pthread_mutex_lock(&spares_lock);
	for (unsigned i = 0; i < NULL_SPARES && !data; i++)
		if (spares[i].data && spares[i].size >= *size) {
			data = spares[i].data;
			*size = spares[i].size;
			spares[i].data = NULL;
		}
	pthread_mutex_unlock(&spares_lock);
	return data;
}

static bool give_spare(char *data, size_t size)
{
	bool given = false;

	pthread_mutex_lock(&spares_lock);
	for (unsigned i = 0; i < NULL_SPARES && !given; i++)
		if (!spares[i].data && spares[i].size == size) {
			spares[i].data = data;
			given = true;
		}
	pthread_mutex_unlock(&spares_lock);
	return given;
}

/* Moves to memory of `*to` bytes or more. */
static char *data_resize(char *data, size_t from, size_t *to)
{
	char *larger;

	if (*to < LARGE)
		return realloc(data, *to);
	if (from >= LARGE) {
		larger = mremap(data, from, *to, MREMAP_MAYMOVE);
		return larger == MAP_FAILED ? NULL : larger;
	}
	larger = take_spare(to);
	if (!larger)
		larger = map(*to);
	if (larger && from)
		memcpy(larger, data, from);
	if (larger)
		free(data);
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
	larger = data_resize(node->data, node->capacity, &capacity);
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
	if (node->capacity < LARGE)
		free(node->data);
	else if (!give_spare(node->data, node->capacity))
		munmap(node->data, node->capacity);
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
