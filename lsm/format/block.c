/* SPDX-License-Identifier: MIT */
#include "lsm/base/status.h"
#include "lsm/format/block_internal.h"

/* ---------------------------------------------------------------------------------------------------------------
 * Decoding
 */

int block_corrupt(const struct block *b, size_t at, const char *what)
{
	return status_corrupt(b->file, b->offset, "%s in the block at byte %llu of %s, at its byte %zu", what,
			      (unsigned long long)b->offset, b->file ? b->file : "memory", at);
}

int block_init(struct block *b, struct lsm_slice data, const char *file, uint64_t offset)
{
	struct block tmp = { .data = data.data, .file = file, .offset = offset };
	uint64_t restarts_bytes;
	uint32_t tail;

	if (data.size < BLOCK_TAIL_BYTES)
		return block_corrupt(&tmp, 0, "no restart count");
	tail = get_u32(tmp.data + data.size - BLOCK_TAIL_BYTES);
	tmp.restarts_n = tail & ~BLOCK_WIDE;
	tmp.restart_shift = tail & BLOCK_WIDE ? NARROW_SHIFT + 1 : NARROW_SHIFT;
	restarts_bytes = (uint64_t)tmp.restarts_n << tmp.restart_shift;
	if (restarts_bytes > data.size - BLOCK_TAIL_BYTES)
		return block_corrupt(&tmp, data.size - BLOCK_TAIL_BYTES, "too large a restart count");
	tmp.restarts = data.size - BLOCK_TAIL_BYTES - (size_t)restarts_bytes;
	tmp.entries = tmp.restarts_n ? restart_entry(&tmp, 0) : 0;
	if (tmp.entries > tmp.restarts || (!tmp.restarts_n && tmp.restarts))
		return block_corrupt(&tmp, tmp.restarts, "an impossible first restart");
	*b = tmp;
	return LSM_OK;
}

/* Not inlined, so that the usual case stays in registers. */
__attribute__((noinline)) const uint8_t *decode_sizes(const uint8_t *p, const uint8_t *end, struct sizes *ret)
{
	struct reader r = { p, end, false };

	ret->shared = read_varint(&r);
	ret->key = read_varint(&r);
	ret->value = read_varint(&r);
	return r.failed ? NULL : r.at;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Searching
 */

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
			return block_corrupt(b, at, "a broken restart");
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
static inline int find(const struct block *b, const struct target *t, struct found *ret)
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
			return block_corrupt(b, w.at, "a broken entry");
		if (e.shared > w.match)
			continue;
		order = e.shared && e.shared < w.match ? ENTRY_ABOVE : entry_order(&e, t, &w.match);
		if (order != ENTRY_BELOW)
			break;
	}
	*ret = (struct found){ e, order, w.at, w.value_at, w.restart };
	return LSM_OK;
}

int block_search(const struct block *b, const struct target *t, struct found *ret)
{
	return find(b, t, ret);
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
		return block_corrupt(b, f.at, "an entry without its value");
	return LSM_OK;
}
