/* SPDX-License-Identifier: MIT */
#include "lsm/base/slice.h"

void buf_reserve(struct buf *b, size_t extra)
{
	size_t want, capacity;
	uint8_t *data;

	if (b->failed || b->capacity - b->size >= extra)
		return;
	if (extra > SIZE_MAX / 2 - b->size) {
		b->failed = true;
		return;
	}
	want = b->size + extra;
	capacity = b->capacity ? b->capacity * 2 : 64;
	if (capacity < want)
		capacity = want;
	data = realloc(b->data, capacity);
	if (!data) {
		b->failed = true;
		return;
	}
	b->data = data;
	b->capacity = capacity;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}
