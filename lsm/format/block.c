/* SPDX-License-Identifier: MIT */
#include "lsm/format/block.h"

#include <assert.h>

#include "lsm/base/status.h"

/* A restart takes 1 << this bytes when its two offsets have 2 bytes, else twice as many. */
#define NARROW_SHIFT 2u

/* ---------------------------------------------------------------------------------------------------------------
 * Decoding
 */

static __attribute__((cold, noinline)) int corrupt(const struct block *b, size_t at, const char *what)
{
	return status_corrupt(b->file, b->offset, "%s in the block at byte %llu of %s, at its byte %zu", what,
			      (unsigned long long)b->offset, b->file ? b->file : "memory", at);
}

static inline size_t restart_entry(const struct block *b, uint32_t i)
{
	const uint8_t *p = b->data + b->restarts + ((size_t)i << b->restart_shift);

	return b->restart_shift == NARROW_SHIFT ? get_u32(p) & UINT16_MAX : get_u32(p);
}

static inline size_t restart_value(const struct block *b, uint32_t i)
{
	const uint8_t *p = b->data + b->restarts + ((size_t)i << b->restart_shift);

	return b->restart_shift == NARROW_SHIFT ? get_u32(p) >> 16 : get_u32(p + 4);
}

int block_init(struct block *b, struct lsm_slice data, const char *file, uint64_t offset)
{
	struct block tmp = { .data = data.data, .file = file, .offset = offset };
	uint64_t restarts_bytes;
	uint32_t tail;

	if (data.size < BLOCK_TAIL_BYTES)
		return corrupt(&tmp, 0, "no restart count");
	tail = get_u32(tmp.data + data.size - BLOCK_TAIL_BYTES);
	tmp.restarts_n = tail & ~BLOCK_WIDE;
	tmp.restart_shift = tail & BLOCK_WIDE ? NARROW_SHIFT + 1 : NARROW_SHIFT;
	restarts_bytes = (uint64_t)tmp.restarts_n << tmp.restart_shift;
	if (restarts_bytes > data.size - BLOCK_TAIL_BYTES)
		return corrupt(&tmp, data.size - BLOCK_TAIL_BYTES, "too large a restart count");
	tmp.restarts = data.size - BLOCK_TAIL_BYTES - (size_t)restarts_bytes;
	tmp.entries = tmp.restarts_n ? restart_entry(&tmp, 0) : 0;
	if (tmp.entries > tmp.restarts || (!tmp.restarts_n && tmp.restarts))
		return corrupt(&tmp, tmp.restarts, "an impossible first restart");
	*b = tmp;
	return LSM_OK;
}

struct entry {
	size_t shared;
	const uint8_t *suffix; /* the rest of the user key, then the trailer */
	size_t suffix_size;    /* of the user key's part alone */
	size_t value_size;
	size_t next; /* offset of the entry behind */
};

struct sizes {
	size_t shared, key, value;
};

/* Sizes of which some take more than a byte. NULL when they don't end before `end`. Not inlined, so that the usual case
 * stays in registers. */
static __attribute__((noinline)) const uint8_t *decode_sizes(const uint8_t *p, const uint8_t *end, struct sizes *ret)
{
	struct reader r = { p, end, false };

	ret->shared = read_varint(&r);
	ret->key = read_varint(&r);
	ret->value = read_varint(&r);
	return r.failed ? NULL : r.at;
}

/* An entry has three sizes and a trailer at least, so four bytes can be looked at together. */
static inline __attribute__((always_inline)) bool decode_entry(const struct block *b, size_t at, struct entry *e)
{
	const uint8_t *p = b->data + at, *end = b->data + b->restarts;
	size_t key_size;
	uint32_t head;

	if (at < b->entries || at + 4 > b->restarts)
		return false;
	head = get_u32(p);
	if (!(head & 0x808080)) {
		e->shared = head & 127;
		key_size = head >> 8 & 127;
		e->value_size = head >> 16 & 127;
		p += 3;
	} else {
		struct sizes sizes;

		p = decode_sizes(p, end, &sizes);
		if (!p)
			return false;
		e->shared = sizes.shared;
		key_size = sizes.key;
		e->value_size = sizes.value;
	}
	if (key_size < TRAILER_BYTES || key_size > (size_t)(end - p))
		return false;
	e->suffix = p;
	e->suffix_size = key_size - TRAILER_BYTES;
	e->next = (size_t)(p - b->data) + key_size;
	return true;
}

static inline uint64_t entry_trailer(const struct entry *e)
{
	return get_u64(e->suffix + e->suffix_size);
}

/* False when the value, which starts at offset `at`, leaves the values. */
static inline bool entry_value(const struct block *b, const struct entry *e, size_t at, struct lsm_slice *ret)
{
	if (at > b->entries || e->value_size > b->entries - at)
		return false;
	*ret = slice_of(b->data + at, e->value_size);
	return true;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Searching
 */

struct target {
	const uint8_t *user;
	size_t user_size;
	uint64_t trailer;
};

enum order { ENTRY_BELOW, ENTRY_ABOVE, ENTRY_SAME_USER_ABOVE /* same user key, and the entry is not below */ };

/* The bytes of the target from `from` on, of which there are 1 to 7, as the low bytes of a word: by one load that ends
 * where the target ends. */
static inline uint64_t target_tail(const struct target *t, size_t from)
{
	return get_u64(t->user + t->user_size - 8) >> 8 * (8 - (t->user_size - from));
}

/*
 * The number of leading bytes that the entry's suffix and the target behind e->shared have in common, at most `n`. It
 * compares words: a load beyond the suffix still finds the entry's trailer, and the target's end has target_tail().
 */
static inline size_t common_with_target(const struct entry *e, const struct target *t, size_t n)
{
	size_t i = 0;
	uint64_t diff;

	if (t->user_size < 8) {
		while (i < n && e->suffix[i] == t->user[e->shared + i])
			i++;
		return i;
	}
	for (; i < n; i += 8) {
		size_t from = e->shared + i;
		uint64_t word = t->user_size - from >= 8 ? get_u64(t->user + from) : target_tail(t, from);

		diff = get_u64(e->suffix + i) ^ word;
		if (diff) {
			i += (unsigned)__builtin_ctzll(diff) / 8;
			break;
		}
	}
	return i < n ? i : n;
}

/*
 * Orders an entry against the target, of which the first `e->shared` bytes are known to be the entry's too.
 * `*match` gets the number of leading bytes of the target that are also the entry's.
 */
static inline enum order entry_order(const struct entry *e, const struct target *t, size_t *match)
{
	const uint8_t *rest = t->user + e->shared;
	size_t rest_size = t->user_size - e->shared;
	size_t n = e->suffix_size < rest_size ? e->suffix_size : rest_size;
	size_t same = common_with_target(e, t, n);

	*match = e->shared + same;
	if (same < n)
		return e->suffix[same] < rest[same] ? ENTRY_BELOW : ENTRY_ABOVE;
	if (e->suffix_size != rest_size)
		return e->suffix_size < rest_size ? ENTRY_BELOW : ENTRY_ABOVE;
	return entry_trailer(e) > t->trailer ? ENTRY_BELOW : ENTRY_SAME_USER_ABOVE;
}

struct found {
	struct entry entry;
	enum order order; /* ENTRY_BELOW: every entry of the block lies below the target */
	size_t at;
	size_t value_at; /* the offset of its value */
	uint32_t restart;
};

/* Where a walk to the target begins: behind an entry that lies below it, or at the block's first entry. */
struct walk {
	size_t at;
	size_t value_at; /* the offset of that entry's value */
	size_t match;    /* leading bytes of the target that the entry in front has */
	uint32_t restart; /* the first that doesn't lie below the target */
};

/* The walk from behind the last restart that lies below the target. */
static inline int find_restart(const struct block *b, const struct target *t, struct walk *ret)
{
	uint32_t low = 0, high = b->restarts_n; /* those in front of `low` lie below, those from `high` on don't */
	struct walk w = { b->entries, 0, 0, 0 };
	size_t value_size = 0;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		size_t at = restart_entry(b, middle), match;
		struct entry e;

		if (!decode_entry(b, at, &e) || e.shared)
			return corrupt(b, at, "a broken restart");
		if (entry_order(&e, t, &match) == ENTRY_BELOW) {
			low = middle + 1;
			w.at = e.next;
			w.match = match;
			value_size = e.value_size;
		} else {
			high = middle;
		}
	}
	w.value_at = restart_value(b, low ? low - 1 : 0) + value_size;
	w.restart = low;
	*ret = w;
	return LSM_OK;
}

/*
 * The first entry >= target. Walking from a restart, all that must be known of the entry before is how many leading
 * bytes it has in common with the target (`match`), it being below: an entry that shares more than those with it lies
 * below the target for the same reason, and one that shares less is larger there. So only an entry that shares exactly
 * `match` bytes is compared, and in all cases that stop the walk the shared bytes are the target's own.
 */
static int find(const struct block *b, const struct target *t, struct found *ret)
{
	enum order order = ENTRY_BELOW;
	struct entry e = { 0 };
	struct walk w = { b->entries, 0, 0, 0 };
	int rc;

	if (!b->restarts_n) {
		ret->order = ENTRY_BELOW;
		return LSM_OK;
	}
	rc = find_restart(b, t, &w);
	if (rc)
		return rc;
	for (; w.at < b->restarts; w.at = e.next, w.value_at += e.value_size) {
		if (!decode_entry(b, w.at, &e))
			return corrupt(b, w.at, "a broken entry");
		if (e.shared > w.match)
			continue;
		order = e.shared && e.shared < w.match ? ENTRY_ABOVE : entry_order(&e, t, &w.match);
		if (order != ENTRY_BELOW)
			break;
	}
	*ret = (struct found){ e, order, w.at, w.value_at, w.restart };
	return LSM_OK;
}

int block_find(const struct block *b, struct lsm_slice user_key, uint64_t trailer, struct block_hit *ret)
{
	struct target t = { user_key.data, user_key.size, trailer };
	struct found f;
	int rc = find(b, &t, &f);

	if (rc)
		return rc;
	ret->found = f.order != ENTRY_BELOW;
	ret->same_user_key = f.order == ENTRY_SAME_USER_ABOVE;
	if (!ret->found)
		return LSM_OK;
	ret->trailer = entry_trailer(&f.entry);
	ret->restart = f.restart;
	if (!entry_value(b, &f.entry, f.value_at, &ret->value))
		return corrupt(b, f.at, "an entry without its value");
	return LSM_OK;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Iterating
 */

static void stop(struct block_iter *bi, int status)
{
	bi->it.valid = false;
	bi->it.status = status;
}

/* Room for a key of `size` bytes, of which `prefix` (which may lie in the old buffer) is put in front. */
static bool key_begin(struct block_iter *bi, const uint8_t *prefix, size_t prefix_size, size_t size)
{
	uint8_t *data = bi->key_data;

	if (bi->key_capacity < size) {
		size_t capacity = size * 2 < 64 ? 64 : size * 2;

		data = malloc(capacity);
		if (!data) {
			stop(bi, status_no_memory(capacity));
			return false;
		}
		if (prefix)
			memcpy(data, prefix, prefix_size);
		free(bi->key_data);
		bi->key_data = data;
		bi->key_capacity = capacity;
	} else if (prefix && data != prefix) {
		memmove(data, prefix, prefix_size);
	}
	return true;
}

/* Stands the iterator on an entry whose shared bytes are the first ones of `prefix`. */
static inline void stand(struct block_iter *bi, size_t at, const struct entry *e, size_t value_at,
			 const uint8_t *prefix)
{
	size_t tail = e->suffix_size + TRAILER_BYTES;

	if (!entry_value(&bi->block, e, value_at, &bi->it.value)) {
		stop(bi, corrupt(&bi->block, at, "an entry without its value"));
		return;
	}
	if (!e->shared) {
		bi->it.key = slice_of(e->suffix, tail);
	} else {
		if (!key_begin(bi, prefix, e->shared, e->shared + tail))
			return;
		memcpy(bi->key_data + e->shared, e->suffix, tail);
		bi->it.key = slice_of(bi->key_data, e->shared + tail);
	}
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
		stop(bi, corrupt(&bi->block, at, "a broken restart"));
	else
		stand(bi, at, &e, restart_value(&bi->block, restart), NULL);
}

void block_iter_next(struct block_iter *bi)
{
	size_t at = bi->next;
	struct entry e;

	assert(bi->it.valid);
	if (at >= bi->block.restarts)
		stop(bi, LSM_OK);
	else if (!decode_entry(&bi->block, at, &e) || e.shared > bi->it.key.size - TRAILER_BYTES)
		stop(bi, corrupt(&bi->block, at, "a broken entry"));
	else
		stand(bi, at, &e, bi->next_value, bi->it.key.data);
}

/* Walks on to the entry that ends at `end`. */
static void walk_to(struct block_iter *bi, size_t end)
{
	while (bi->it.valid && bi->next < end)
		block_iter_next(bi);
	if (bi->it.valid && bi->next != end)
		stop(bi, corrupt(&bi->block, bi->at, "an entry across the next one's start"));
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

void block_iter_prev(struct block_iter *bi)
{
	size_t end = bi->at;

	assert(bi->it.valid);
	if (end <= bi->block.entries) {
		stop(bi, LSM_OK);
		return;
	}
	stand_restart(bi, restart_before(&bi->block, end));
	walk_to(bi, end);
}

void block_iter_seek_first(struct block_iter *bi)
{
	stop(bi, LSM_OK);
	if (bi->block.restarts_n)
		stand_restart(bi, 0);
}

void block_iter_seek_last(struct block_iter *bi)
{
	stop(bi, LSM_OK);
	if (!bi->block.restarts_n)
		return;
	stand_restart(bi, bi->block.restarts_n - 1);
	walk_to(bi, bi->block.restarts);
}

void block_iter_seek(struct block_iter *bi, struct lsm_slice ikey)
{
	struct lsm_slice user = ikey_user(ikey);
	struct target t = { user.data, user.size, ikey_trailer(ikey) };
	struct found f;
	int rc = find(&bi->block, &t, &f);

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
	block_iter_init(bi);
}

void block_iter_set(struct block_iter *bi, const struct block *block)
{
	stop(bi, LSM_OK);
	bi->block = *block;
}
