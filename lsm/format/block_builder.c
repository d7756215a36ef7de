/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "lsm/base/status.h"
#include "lsm/format/block.h"

void block_builder_init(struct block_builder *b, unsigned restart_interval)
{
	assert(restart_interval);
	*b = (struct block_builder){ .restart_interval = restart_interval };
}

void block_builder_done(struct block_builder *b)
{
	buf_free(&b->out);
	buf_free(&b->entries);
	buf_free(&b->last_key);
	free(b->restarts);
}

void block_builder_reset(struct block_builder *b)
{
	buf_clear(&b->out);
	buf_clear(&b->entries);
	buf_clear(&b->last_key);
	b->restarts_n = 0;
	b->failed = false;
	b->since_restart = 0;
	b->count = 0;
}

static void add_restart(struct block_builder *b)
{
	if (b->restarts_n == b->restarts_capacity) {
		size_t capacity = b->restarts_capacity ? b->restarts_capacity * 2 : 16;
		struct block_restart *restarts = realloc(b->restarts, capacity * sizeof(*restarts));

		if (!restarts) {
			b->failed = true;
			return;
		}
		b->restarts = restarts;
		b->restarts_capacity = capacity;
	}
	b->restarts[b->restarts_n++] = (struct block_restart){ b->entries.size, b->out.size };
	b->since_restart = 0;
}

/* The number of leading bytes that are equal, at most `n`. */
static inline size_t common_prefix(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i = 0;

	while (n - i >= 8) {
		uint64_t diff = get_u64(a + i) ^ get_u64(b + i);

		if (diff)
			return i + (unsigned)__builtin_ctzll(diff) / 8;
		i += 8;
	}
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/* Searches rely on this being the longest common prefix of the user keys (except at a restart). */
static size_t shared_with_last(const struct block_builder *b, struct lsm_slice ikey)
{
	size_t last = b->last_key.size - TRAILER_BYTES;
	size_t user = ikey.size - TRAILER_BYTES;

	return common_prefix(b->last_key.data, ikey.data, last < user ? last : user);
}

void block_builder_add(struct block_builder *b, struct lsm_slice ikey, struct lsm_slice value)
{
	uint8_t head[3 * VARINT_BYTES_MAX];
	const uint8_t *key = ikey.data;
	size_t shared = 0, n;

	assert(ikey.size >= TRAILER_BYTES);
	b->failed |= b->out.failed || b->entries.failed || b->last_key.failed;
	if (b->failed)
		return;
	if (b->since_restart == b->restart_interval || !b->count)
		add_restart(b);
	else
		shared = shared_with_last(b, ikey);
	n = put_varint(head, shared);
	n += put_varint(head + n, ikey.size - shared);
	n += put_varint(head + n, value.size);
	buf_append(&b->entries, head, n);
	buf_append(&b->entries, key + shared, ikey.size - shared);
	buf_append_slice(&b->out, value);
	buf_set(&b->last_key, ikey);
	b->since_restart++;
	b->count++;
}

/* Small blocks, that is nearly all, get away with half the bytes for restarts. */
static unsigned restart_width(const struct block_builder *b)
{
	return b->out.size + b->entries.size <= UINT16_MAX ? 2 : 4;
}

size_t block_builder_bytes(const struct block_builder *b)
{
	return b->out.size + b->entries.size + b->restarts_n * 2 * restart_width(b) + BLOCK_TAIL_BYTES;
}

size_t block_entry_bytes_max(struct lsm_slice ikey, struct lsm_slice value)
{
	return 1 + varint_size(ikey.size) + varint_size(value.size) + ikey.size + value.size + 8;
}

static void put_offset(struct buf *out, size_t offset, unsigned width)
{
	uint8_t bytes[4];

	assert(offset <= UINT32_MAX);
	put_u32(bytes, (uint32_t)offset);
	buf_append(out, bytes, width);
}

int block_builder_finish(struct block_builder *b, struct lsm_slice *ret)
{
	size_t values_bytes = b->out.size;
	unsigned width = restart_width(b);

	buf_append_slice(&b->out, buf_slice(&b->entries));
	for (size_t i = 0; i < b->restarts_n; i++) {
		put_offset(&b->out, values_bytes + b->restarts[i].entry, width);
		put_offset(&b->out, b->restarts[i].value, width);
	}
	buf_put_u32(&b->out, (uint32_t)b->restarts_n | (width == 4 ? BLOCK_WIDE : 0));
	if (b->failed || b->out.failed || b->entries.failed || b->last_key.failed)
		return status_no_memory(b->out.capacity);
	*ret = buf_slice(&b->out);
	return LSM_OK;
}
