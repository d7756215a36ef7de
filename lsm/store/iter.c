/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "lsm/store/db.h"
#include "lsm/tree/merge_iter.h"

/*
 * The user's iterator: of the versions of each key, as the merge of all sources shows them, the newest one that the
 * sequence number allows, if it is neither a delete nor under a range tombstone.
 *
 * Forward, the merge stands on the entry that is shown. Backward, versions come oldest first, so the merge has gone past
 * all of the key's versions and the entry shown is a copy.
 */
struct lsm_iter {
	struct lsm_db *db;
	struct superversion *sv;
	uint64_t sequence;
	struct buf lower, upper; /* bounds; empty: none */
	struct iter *merge;
	struct range_dels *dels; /* all range tombstones in the bounds, or NULL */
	struct read_counters *counters;
	uint64_t skipped; /* entries stepped over since they were counted last */

	bool valid, backward;
	int status;
	uint64_t trailer;
	struct lsm_slice key, value;     /* shown; borrowed from the merge or from the copies */
	struct buf key_copy, value_copy; /* the key with a trailer */
	struct buf skip;                 /* scratch: an internal key */
	struct blob_ptr pointer;         /* of a large value */
	struct buf large;                /* a large value that was read whole */
	bool large_read;
};

/* ---- making one ---- */

struct sources {
	struct merge_child *children;
	size_t n;
	struct del_list dels;
	struct lsm_iter *it;
};

static int add_child(struct sources *s, struct iter *it, bool is_level)
{
	s->children[s->n++] = (struct merge_child){ it, is_level };
	return LSM_OK;
}

static int add_dels(void *ctx, const struct range_dels *dels)
{
	struct sources *s = ctx;

	return del_list_add(&s->dels, dels, buf_slice(&s->it->lower), buf_slice(&s->it->upper));
}

static int add_memtable(struct sources *s, struct memtable *m)
{
	struct iter *it;
	int rc = memtable_each_range_dels(m, add_dels, s);

	if (!rc)
		rc = memtable_iter_new(m, &it);
	return rc ? rc : add_child(s, it, false);
}

static int add_table_dels(struct sources *s, const struct table_meta *t)
{
	struct tree *tree = &s->it->db->tree;
	struct table_pin pin = { 0 };
	int rc;

	if (!t->props.range_deletes)
		return LSM_OK;
	rc = table_cache_get(tree->tables, t->number, &pin);
	if (!rc && table_range_dels(pin.table))
		rc = add_dels(s, table_range_dels(pin.table));
	table_cache_release(tree->tables, &pin);
	return rc;
}

/* The tables of a level between the bounds, as one child; of level 0, each is a child. */
static int add_level(struct sources *s, const struct level *l, unsigned level)
{
	struct lsm_slice lower = buf_slice(&s->it->lower), upper = buf_slice(&s->it->upper);
	size_t first = 0, end = 0;
	struct iter *it;
	int rc = LSM_OK;

	if (level)
		first = level_find(l, lower);
	for (size_t i = first; !rc && i < l->n; i++) {
		struct table_meta *t = l->tables[i];
		bool beyond = upper.size && slice_compare(table_smallest(t), upper) >= 0;

		if (level && beyond)
			break;
		if (!level && (beyond || table_before_key(t, lower)))
			continue;
		rc = add_table_dels(s, t);
		end = i + 1;
		if (!rc && !level)
			rc = level_iter_new(&s->it->db->tree, &l->tables[i], 1, false, &it);
		if (!rc && !level)
			rc = add_child(s, it, true);
	}
	if (!rc && level && end > first) {
		rc = level_iter_new(&s->it->db->tree, &l->tables[first], end - first, false, &it);
		if (!rc)
			rc = add_child(s, it, true);
	}
	return rc;
}

static int open_sources(struct lsm_iter *it)
{
	const struct superversion *sv = it->sv;
	struct sources s = { .it = it };
	int rc;

	s.children = calloc(1 + sv->imm_n + sv->version->levels[0].n + LSM_LEVELS, sizeof(*s.children));
	if (!s.children)
		return status_no_memory(sizeof(*s.children));
	del_list_init(&s.dels);
	rc = add_memtable(&s, sv->mem);
	for (unsigned i = 0; !rc && i < sv->imm_n; i++)
		rc = add_memtable(&s, sv->imm[i]);
	for (unsigned l = 0; !rc && l < LSM_LEVELS; l++)
		rc = add_level(&s, &sv->version->levels[l], l);
	if (!rc && s.dels.n)
		rc = range_dels_new(s.dels.dels, s.dels.n, &it->dels);
	if (rc) {
		for (size_t i = 0; i < s.n; i++)
			iter_free(s.children[i].it);
	} else {
		rc = merge_iter_new(s.children, s.n, &it->merge);
	}
	del_list_done(&s.dels);
	free(s.children);
	return rc;
}

int lsm_iter_new(struct lsm_db *db, const struct lsm_iter_options *options, struct lsm_iter **ret_iter)
{
	static const struct lsm_iter_options none;
	const struct lsm_iter_options *o = options ? options : &none;
	struct lsm_iter *it = calloc(1, sizeof(*it));
	unsigned slot;
	int rc;

	if (!it)
		return status_no_memory(sizeof(*it));
	it->db = db;
	buf_set(&it->lower, o->lower);
	buf_set(&it->upper, o->upper);
	slot = epoch_enter(db->epoch);
	it->sv = atomic_load(&db->current);
	atomic_fetch_add_explicit(&it->sv->refs, 1, memory_order_relaxed);
	/* After the superversion, for the reason given in get.c; inside, for that given in ingest.c. */
	it->sequence =
		o->snapshot ? o->snapshot->sequence : atomic_load_explicit(&db->last_sequence, memory_order_acquire);
	epoch_exit(db->epoch, slot);
	it->counters = &db->reads[slot];
	count(it->counters->iterators, 1);
	rc = it->lower.failed || it->upper.failed ? status_no_memory(o->lower.size + o->upper.size) : open_sources(it);
	if (rc) {
		struct lsm_error first = *lsm_last_error();

		lsm_iter_free(it);
		return status_adopt(&first);
	}
	*ret_iter = it;
	return LSM_OK;
}

void lsm_iter_free(struct lsm_iter *it)
{
	if (!it)
		return;
	if (it->counters)
		count(it->counters->skipped, it->skipped);
	iter_free(it->merge);
	range_dels_free(it->dels);
	superversion_unref(it->sv);
	buf_free(&it->lower);
	buf_free(&it->upper);
	buf_free(&it->key_copy);
	buf_free(&it->value_copy);
	buf_free(&it->skip);
	buf_free(&it->large);
	free(it);
}

/* ---- moving ---- */

static void invalidate(struct lsm_iter *it, int status)
{
	it->valid = false;
	it->status = status;
}

/* Shows an entry whose key and value stay in place until the next move. */
static void show(struct lsm_iter *it, struct lsm_slice key, uint64_t trailer, struct lsm_slice value)
{
	it->key = key;
	it->trailer = trailer;
	it->value = value;
	it->valid = true;
	it->large_read = false;
	if (trailer_type(trailer) == ENTRY_BLOB) {
		int rc = blob_ptr_decode(value, it->db->dir, &it->pointer);

		if (rc)
			invalidate(it, rc);
	}
}

static uint64_t covering(const struct lsm_iter *it, struct lsm_slice key, struct lsm_slice *ret_end)
{
	return it->dels ? range_dels_covering(it->dels, key, it->sequence, ret_end) : 0;
}

/*
 * From where the merge stands, to the first entry to show whose key is greater than `skip`'s (when `skipping`).
 * A run of entries under one range tombstone is left in leaps where the tables allow.
 */
static void find_forward(struct lsm_iter *it, bool skipping)
{
	struct iter *m = it->merge;
	struct lsm_slice upper = buf_slice(&it->upper);

	while (m->valid) {
		struct lsm_slice user = ikey_user(m->key), end;
		uint64_t trailer = ikey_trailer(m->key), covered;

		if (upper.size && slice_compare(user, upper) >= 0) {
			invalidate(it, LSM_OK);
			return;
		}
		if (trailer_seq(trailer) > it->sequence || (skipping && ikey_same_user(m->key, buf_slice(&it->skip)))) {
			it->skipped++;
			merge_iter_next(m);
			continue;
		}
		covered = covering(it, user, &end);
		if (trailer_type(trailer) != ENTRY_DELETE && trailer_seq(trailer) > covered) {
			it->backward = false;
			show(it, user, trailer, m->value);
			return;
		}
		/* The key's newest visible version is dead: so are the older ones. */
		buf_set(&it->skip, m->key);
		if (it->skip.failed) {
			invalidate(it, status_no_memory(user.size));
			return;
		}
		skipping = true;
		it->skipped++;
		if (covered > trailer_seq(trailer))
			merge_iter_skip(m, end, covered);
		if (m->valid && ikey_same_user(m->key, buf_slice(&it->skip)))
			merge_iter_next(m);
	}
	invalidate(it, m->status);
}

/*
 * Backward: takes the versions of the key that the merge stands on, oldest first, and remembers the newest visible one;
 * stops when the merge has reached the key before. True when there is something to show.
 */
static bool take_key_backward(struct lsm_iter *it)
{
	struct iter *m = it->merge;
	struct lsm_slice user;
	bool found = false;
	uint64_t trailer = 0;

	buf_set(&it->key_copy, m->key);
	while (m->valid && ikey_same_user(m->key, buf_slice(&it->key_copy))) {
		uint64_t t = ikey_trailer(m->key);

		if (trailer_seq(t) <= it->sequence) {
			found = true;
			trailer = t;
			buf_set(&it->value_copy, m->value);
		}
		merge_iter_prev(m);
	}
	if (it->key_copy.failed || it->value_copy.failed) {
		invalidate(it, status_no_memory(it->key_copy.size));
		return true;
	}
	user = ikey_user(buf_slice(&it->key_copy));
	if (!found || trailer_type(trailer) == ENTRY_DELETE || trailer_seq(trailer) < covering(it, user, NULL))
		return false;
	show(it, user, trailer, buf_slice(&it->value_copy));
	return true;
}

static void find_backward(struct lsm_iter *it)
{
	struct iter *m = it->merge;
	struct lsm_slice lower = buf_slice(&it->lower);

	it->backward = true;
	while (m->valid) {
		if (lower.size && slice_compare(ikey_user(m->key), lower) < 0) {
			invalidate(it, LSM_OK);
			return;
		}
		if (take_key_backward(it)) {
			if (m->status)
				invalidate(it, m->status);
			return;
		}
	}
	invalidate(it, m->status);
}

static void start(struct lsm_iter *it)
{
	count(it->counters->seeks, 1);
	count(it->counters->skipped, it->skipped);
	it->skipped = 0;
	it->status = LSM_OK;
	it->valid = false;
}

/* `key` with `trailer` as an internal key in the scratch buffer. */
static bool make_ikey(struct lsm_iter *it, struct lsm_slice key, uint64_t trailer)
{
	buf_clear(&it->skip);
	buf_put_ikey(&it->skip, key, trailer);
	if (it->skip.failed)
		invalidate(it, status_no_memory(key.size));
	return !it->skip.failed;
}

void lsm_iter_seek(struct lsm_iter *it, struct lsm_slice key)
{
	struct lsm_slice lower = buf_slice(&it->lower);

	start(it);
	if (slice_compare(key, lower) < 0)
		key = lower;
	if (!make_ikey(it, key, SEEK_TRAILER(it->sequence)))
		return;
	it->merge->ops->seek(it->merge, buf_slice(&it->skip));
	find_forward(it, false);
}

void lsm_iter_seek_first(struct lsm_iter *it)
{
	if (it->lower.size) {
		lsm_iter_seek(it, buf_slice(&it->lower));
		return;
	}
	start(it);
	it->merge->ops->seek_first(it->merge);
	find_forward(it, false);
}

/* Trailer 0 is behind all versions of a key, UINT64_MAX before them. */
void lsm_iter_seek_prev(struct lsm_iter *it, struct lsm_slice key)
{
	struct lsm_slice upper = buf_slice(&it->upper);
	uint64_t trailer = 0;

	start(it);
	if (upper.size && slice_compare(key, upper) >= 0) {
		key = upper;
		trailer = UINT64_MAX;
	}
	if (!make_ikey(it, key, trailer))
		return;
	it->merge->ops->seek_prev(it->merge, buf_slice(&it->skip));
	find_backward(it);
}

void lsm_iter_seek_last(struct lsm_iter *it)
{
	if (it->upper.size) {
		lsm_iter_seek_prev(it, buf_slice(&it->upper));
		return;
	}
	start(it);
	it->merge->ops->seek_last(it->merge);
	find_backward(it);
}

void lsm_iter_next(struct lsm_iter *it)
{
	assert(it->valid);
	it->valid = false;
	if (it->backward) {
		/* The merge stands before the key's versions: go behind them. */
		if (!make_ikey(it, it->key, 0))
			return;
		it->merge->ops->seek(it->merge, buf_slice(&it->skip));
		find_forward(it, false);
		return;
	}
	buf_set(&it->skip, it->merge->key);
	if (it->skip.failed) {
		invalidate(it, status_no_memory(it->key.size));
		return;
	}
	merge_iter_next(it->merge);
	find_forward(it, true);
}

void lsm_iter_prev(struct lsm_iter *it)
{
	assert(it->valid);
	it->valid = false;
	if (!it->backward) {
		/* The merge stands on the key, of which newer, invisible versions may lie before it. */
		if (!make_ikey(it, it->key, UINT64_MAX))
			return;
		it->merge->ops->seek_prev(it->merge, buf_slice(&it->skip));
	}
	find_backward(it);
}

/* ---- looking ---- */

bool lsm_iter_valid(const struct lsm_iter *it)
{
	return it->valid;
}

int lsm_iter_status(const struct lsm_iter *it)
{
	return it->status;
}

struct lsm_slice lsm_iter_key(const struct lsm_iter *it)
{
	assert(it->valid);
	return it->key;
}

static bool is_large(const struct lsm_iter *it)
{
	return trailer_type(it->trailer) == ENTRY_BLOB;
}

uint64_t lsm_iter_value_size(const struct lsm_iter *it)
{
	assert(it->valid);
	return is_large(it) ? it->pointer.part_size : it->value.size;
}

int lsm_iter_value(struct lsm_iter *it, struct lsm_slice *ret_value)
{
	int rc;

	assert(it->valid);
	if (!is_large(it)) {
		*ret_value = it->value;
		return LSM_OK;
	}
	if (!it->large_read) {
		buf_clear(&it->large);
		buf_reserve(&it->large, it->pointer.part_size);
		if (it->large.failed)
			return status_no_memory(it->pointer.part_size);
		rc = segment_read(it->db->segments, &it->pointer, 0, it->large.data, it->pointer.part_size);
		if (rc)
			return rc;
		it->large.size = it->pointer.part_size;
		it->large_read = true;
	}
	*ret_value = buf_slice(&it->large);
	return LSM_OK;
}

int lsm_iter_read(struct lsm_iter *it, uint64_t offset, void *buf, size_t size, size_t *ret_copied)
{
	uint64_t all = lsm_iter_value_size(it);
	int rc = LSM_OK;

	if (offset >= all)
		size = 0;
	else if (size > all - offset)
		size = all - offset;
	if (size && is_large(it))
		rc = segment_read(it->db->segments, &it->pointer, offset, buf, size);
	else if (size)
		memcpy(buf, (const uint8_t *)it->value.data + offset, size);
	if (!rc)
		*ret_copied = size;
	return rc;
}

/* A part too small to live in a segment is copied; it also frees what it would keep alive. */
int lsm_batch_put_part(struct lsm_batch *batch, struct lsm_slice key, struct lsm_iter *source, uint64_t offset,
		       uint64_t size)
{
	uint64_t all = lsm_iter_value_size(source);
	struct blob_ptr ptr = source->pointer;
	int rc;

	if (offset > all || size > all - offset || batch->db != source->db)
		return status_set(LSM_INVALID, 0, NULL, 0, "bytes %llu to %llu of a value of %llu bytes",
				  (unsigned long long)offset, (unsigned long long)(offset + size),
				  (unsigned long long)all);
	if (is_large(source) && size >= batch->db->options.blob_min_bytes) {
		ptr.part_offset += offset;
		ptr.part_size = size;
		return batch_put_pointer(batch, key, &ptr);
	}
	if (!is_large(source))
		return lsm_batch_put(batch, key, slice_of((const uint8_t *)source->value.data + offset, size));
	/* The caller may hold the value that was read whole; else the buffer is free. */
	if (source->large_read)
		return lsm_batch_put(batch, key, slice_of((const uint8_t *)source->large.data + offset, size));
	buf_clear(&source->large);
	buf_reserve(&source->large, size + 1);
	if (source->large.failed)
		return status_no_memory(size);
	rc = segment_read(source->db->segments, &source->pointer, offset, source->large.data, size);
	return rc ? rc : lsm_batch_put(batch, key, slice_of(source->large.data, size));
}
