/* SPDX-License-Identifier: MIT */
/* The iterator over a block. */
#include <assert.h>

#include "lsm/base/status.h"
#include "lsm/format/block_internal.h"

static void stop(struct block_iter *bi, int status)
{
	bi->it.valid = false;
	bi->it.status = status;
}

/* Copies `size` bytes in words, up to 7 bytes too many. */
static inline void copy_words(uint8_t *to, const uint8_t *from, size_t size)
{
	for (size_t i = 0; i < size; i += 8)
		memcpy(to + i, from + i, 8);
}

/* Room for a key of `size` bytes and for what copy_words() writes behind it. */
static __attribute__((noinline)) bool key_grow(struct block_iter *bi, size_t size)
{
	size_t capacity = size * 2 < 64 ? 64 : size * 2;
	uint8_t *data = malloc(capacity);

	if (!data) {
		stop(bi, status_no_memory(capacity));
		return false;
	}
	if (bi->key_capacity)
		memcpy(data, bi->key_data, bi->key_capacity);
	free(bi->key_data);
	bi->key_data = data;
	bi->key_capacity = capacity;
	return true;
}

/* The key of an entry that shares bytes with `prefix`. What is copied in words ends within the block: behind the last
 * entry there are 8 bytes of restarts at least. */
static inline bool make_key(struct block_iter *bi, const struct entry *e, const uint8_t *prefix)
{
	size_t tail = e->suffix_size + TRAILER_BYTES;
	bool in_place = prefix == bi->key_data;

	if (bi->key_capacity < e->shared + tail + 8 && !key_grow(bi, e->shared + tail + 8))
		return false;
	if (!in_place)
		memcpy(bi->key_data, prefix, e->shared);
	copy_words(bi->key_data + e->shared, e->suffix, tail);
	bi->it.key = slice_of(bi->key_data, e->shared + tail);
	return true;
}

/* Stands the iterator on an entry whose shared bytes are the first ones of `prefix`. */
static inline void stand(struct block_iter *bi, size_t at, const struct entry *e, size_t value_at,
			 const uint8_t *prefix)
{
	if (!entry_value(&bi->block, e, value_at, &bi->it.value)) {
		stop(bi, block_corrupt(&bi->block, at, "an entry without its value"));
		return;
	}
	if (!e->shared)
		bi->it.key = slice_of(e->suffix, e->suffix_size + TRAILER_BYTES);
	else if (!make_key(bi, e, prefix))
		return;
	bi->it.valid = true;
	bi->at = at;
	bi->next = e->next;
	bi->next_value = value_at + e->value_size;
}

/* Stands on the entry of a restart. */
static void stand_restart(struct block_iter *bi, uint32_t restart)
{
	size_t at = restart_entry(&bi->block, restart);
	struct entry e;

	if (!decode_entry(&bi->block, at, &e) || e.shared)
		stop(bi, block_corrupt(&bi->block, at, "a broken restart"));
	else
		stand(bi, at, &e, restart_value(&bi->block, restart), bi->key_data);
}

void block_iter_next(struct block_iter *bi)
{
	size_t at = bi->next;
	struct entry e;

	assert(bi->it.valid);
	if (at >= bi->block.restarts)
		stop(bi, LSM_OK);
	else if (!decode_entry(&bi->block, at, &e) || e.shared > bi->it.key.size - TRAILER_BYTES)
		stop(bi, block_corrupt(&bi->block, at, "a broken entry"));
	else
		stand(bi, at, &e, bi->next_value, bi->it.key.data);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Backward. An entry's key is made from the one in front, so the way back leads over a restart. The entries that are
 * met on the way are remembered, with their keys: each is decoded once, as on the way forward.
 */

struct back_entry {
	size_t at, next, next_value;
	size_t key, key_size; /* in back_keys */
	size_t value_size;
};

/* Remembers the entry that the iterator stands on. */
static bool remember(struct block_iter *bi)
{
	struct back_entry *b;

	if (bi->back_n == bi->back_capacity) {
		size_t capacity = bi->back_capacity ? bi->back_capacity * 2 : BLOCK_RESTART_DATA;

		b = realloc(bi->back, capacity * sizeof(*b));
		if (!b) {
			stop(bi, status_no_memory(capacity * sizeof(*b)));
			return false;
		}
		bi->back = b;
		bi->back_capacity = capacity;
	}
	bi->back[bi->back_n++] =
		(struct back_entry){ bi->at,          bi->next,         bi->next_value, bi->back_keys.size,
				     bi->it.key.size, bi->it.value.size };
	buf_append_slice(&bi->back_keys, bi->it.key);
	if (bi->back_keys.failed)
		stop(bi, status_no_memory(bi->back_keys.size + bi->it.key.size));
	return !bi->back_keys.failed;
}

/* Stands on the last entry that was remembered, and forgets it. Its key stays where it is until the next walk. */
static void stand_back(struct block_iter *bi)
{
	const struct back_entry *b = &bi->back[--bi->back_n];

	bi->it.key = slice_of(bi->back_keys.data + b->key, b->key_size);
	bi->it.value = slice_of(bi->block.data + b->next_value - b->value_size, b->value_size);
	bi->it.valid = true;
	bi->at = b->at;
	bi->next = b->next;
	bi->next_value = b->next_value;
}

/* Walks from a restart to the entry that ends at `end`. */
static void walk_to(struct block_iter *bi, uint32_t restart, size_t end)
{
	bi->back_n = 0;
	buf_clear(&bi->back_keys);
	stand_restart(bi, restart);
	while (bi->it.valid && bi->next < end && remember(bi))
		block_iter_next(bi);
	if (bi->it.valid && bi->next != end)
		stop(bi, block_corrupt(&bi->block, bi->at, "an entry across the next one's start"));
}

/* The last restart in front of offset `at`, which is not the first one's. */
static uint32_t restart_before(const struct block *b, size_t at)
{
	uint32_t low = 0, high = b->restarts_n - 1;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (restart_entry(b, middle) < at)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

uint32_t block_iter_restart(const struct block_iter *bi)
{
	assert(bi->it.valid);
	return restart_before(&bi->block, bi->at + 1);
}

void block_iter_prev(struct block_iter *bi)
{
	size_t end = bi->at;

	assert(bi->it.valid);
	if (bi->back_n && bi->back[bi->back_n - 1].next == end)
		stand_back(bi);
	else if (end <= bi->block.entries)
		stop(bi, LSM_OK);
	else
		walk_to(bi, restart_before(&bi->block, end), end);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Seeking
 */

void block_iter_seek_first(struct block_iter *bi)
{
	stop(bi, LSM_OK);
	if (bi->block.restarts_n)
		stand_restart(bi, 0);
}

void block_iter_seek_last(struct block_iter *bi)
{
	stop(bi, LSM_OK);
	if (bi->block.restarts_n)
		walk_to(bi, bi->block.restarts_n - 1, bi->block.restarts);
}

void block_iter_seek(struct block_iter *bi, struct lsm_slice ikey)
{
	struct lsm_slice user = ikey_user(ikey);
	struct target t = { user.data, user.size, ikey_trailer(ikey) };
	struct found f;
	int rc = block_search(&bi->block, &t, &f);

	stop(bi, rc);
	if (!rc && f.order != ENTRY_BELOW)
		stand(bi, f.at, &f.entry, f.value_at, t.user);
}

void block_iter_seek_prev(struct block_iter *bi, struct lsm_slice ikey)
{
	block_iter_seek(bi, ikey);
	if (bi->it.status)
		return;
	if (!bi->it.valid)
		block_iter_seek_last(bi);
	else if (ikey_compare(bi->it.key, ikey))
		block_iter_prev(bi);
}

/* ---------------------------------------------------------------------------------------------------------------
 * As a struct iter
 */

static struct block_iter *of(struct iter *it)
{
	return (struct block_iter *)it;
}

static void op_seek_first(struct iter *it)
{
	block_iter_seek_first(of(it));
}

static void op_seek_last(struct iter *it)
{
	block_iter_seek_last(of(it));
}

static void op_seek(struct iter *it, struct lsm_slice ikey)
{
	block_iter_seek(of(it), ikey);
}

static void op_seek_prev(struct iter *it, struct lsm_slice ikey)
{
	block_iter_seek_prev(of(it), ikey);
}

static void op_next(struct iter *it)
{
	block_iter_next(of(it));
}

static void op_prev(struct iter *it)
{
	block_iter_prev(of(it));
}

static void op_free(struct iter *it)
{
	block_iter_done(of(it));
}

static const struct iter_ops block_iter_ops = {
	.seek_first = op_seek_first,
	.seek_last = op_seek_last,
	.seek = op_seek,
	.seek_prev = op_seek_prev,
	.next = op_next,
	.prev = op_prev,
	.free = op_free,
};

void block_iter_init(struct block_iter *bi)
{
	*bi = (struct block_iter){ .it = { .ops = &block_iter_ops } };
}

void block_iter_done(struct block_iter *bi)
{
	free(bi->key_data);
	free(bi->back);
	buf_free(&bi->back_keys);
	block_iter_init(bi);
}

void block_iter_set(struct block_iter *bi, const struct block *block)
{
	stop(bi, LSM_OK);
	bi->back_n = 0;
	bi->block = *block;
}
