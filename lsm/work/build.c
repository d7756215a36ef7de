/* SPDX-License-Identifier: MIT */
#include "lsm/work/build.h"

#include <stdlib.h>

struct build {
	struct tree *tree;
	const struct build_input *in;
	struct build_output out;
	struct range_dels *dels; /* fragments of all input tombstones, or NULL */

	struct table_writer *writer; /* of the open output, or NULL */
	uint64_t number;
	struct buf lower;    /* tombstones of the open output begin here; empty: no bound */
	size_t next_at;      /* tables of the next level before this one end before the key at hand */
	uint64_t next_bytes; /* of the tables that ended since the open output began */

	uint64_t told_bytes; /* of what was written, to in->wrote */

	struct buf key; /* the last user key seen */
	bool have_key;
	size_t key_stripe; /* stripe of its last version seen */

	struct blob_segment **segments; /* written by this build, each held; the last one is open */
	size_t segments_n;
	struct buf value; /* a large value on its way to a new segment */
	uint8_t pointer[BLOB_PTR_BYTES_MAX];
};

/*
 * Snapshots cut the sequence numbers into stripes: two versions in one stripe are told apart by no snapshot, so the
 * older is invisible. The stripe of a number is how many snapshots are smaller than it.
 */
static size_t stripe_of(const struct build_input *in, uint64_t seq)
{
	size_t low = 0, high = in->snapshots_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (in->snapshots[mid] < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The greatest sequence number of the stripe. */
static uint64_t stripe_end(const struct build_input *in, size_t stripe)
{
	return stripe < in->snapshots_n ? in->snapshots[stripe] : SEQUENCE_MAX;
}

/* May tables that the build doesn't see hold older versions? For level 0 those are the older tables of level 0, too. */
static bool anything_below(const struct build_input *in, struct lsm_slice begin, struct lsm_slice end)
{
	const struct level *l0 = &in->version->levels[0];

	for (size_t i = in->older_from; !in->output_level && i < l0->n; i++) {
		if (!table_before_key(l0->tables[i], begin) && !table_after_key(l0->tables[i], end))
			return true;
	}
	return version_overlaps(in->version, in->output_level + 1, begin, end);
}

/* ---- outputs ---- */

static int open_output(struct build *b)
{
	char path[STORE_PATH_MAX];
	int rc;

	if (b->writer)
		return LSM_OK;
	b->number = b->in->new_number(b->in->ctx);
	store_file_path(path, b->tree->dir, STORE_TABLE, b->number);
	rc = table_writer_open(b->tree->env, path, b->number, &b->in->table, &b->writer);
	if (rc)
		env_discard(b->tree->env, path);
	return rc;
}

static void delete_table(struct tree *tree, uint64_t number)
{
	char path[STORE_PATH_MAX];

	table_cache_evict(tree->tables, number);
	store_file_path(path, tree->dir, STORE_TABLE, number);
	env_discard(tree->env, path);
}

static int keep_output(struct build *b, struct table_props *props)
{
	struct table_meta *t = NULL, **p;
	int rc;

	b->out.written_bytes += props->file_bytes;
	b->out.entries_out += props->entries;
	rc = table_meta_new(b->tree, b->number, props, &t);
	if (rc) {
		delete_table(b->tree, b->number);
		return rc;
	}
	p = realloc(b->out.tables, (b->out.n + 1) * sizeof(*p));
	if (!p) {
		atomic_store(&t->obsolete, true);
		table_meta_unref(t);
		return status_no_memory((b->out.n + 1) * sizeof(*p));
	}
	b->out.tables = p;
	p[b->out.n++] = t;
	return table_meta_attach(t);
}

/* The newest tombstone of each stripe suffices, and none that has nothing below it. */
static int add_fragment(struct build *b, const struct range_fragment *f, struct lsm_slice begin, struct lsm_slice end)
{
	size_t last = SIZE_MAX;
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < f->seqs_n; i++) {
		size_t stripe = stripe_of(b->in, f->seqs[i]);
		struct range_del del = { begin, end, f->seqs[i] };

		if (stripe == last || (stripe == 0 && !anything_below(b->in, begin, end)))
			continue;
		last = stripe;
		rc = open_output(b);
		if (!rc)
			rc = table_writer_add_range_delete(b->writer, &del);
	}
	return rc;
}

/* Adds the tombstones in [b->lower, upper) to the open output; upper.size 0: no bound. */
static int add_fragments(struct build *b, struct lsm_slice upper)
{
	struct lsm_slice lower = buf_slice(&b->lower);
	size_t n = b->dels ? range_dels_count(b->dels) : 0;
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < n; i++) {
		struct range_fragment f = range_dels_at(b->dels, i);

		if (slice_compare(f.end, lower) <= 0)
			continue;
		if (upper.size && slice_compare(f.begin, upper) >= 0)
			break;
		rc = add_fragment(b, &f, slice_compare(f.begin, lower) < 0 ? lower : f.begin,
				  upper.size && slice_compare(f.end, upper) > 0 ? upper : f.end);
	}
	return rc;
}

/* Ends the open output before user key `upper` (size 0: the end of everything). */
static int finish_output(struct build *b, struct lsm_slice upper)
{
	struct table_props props = { 0 };
	int rc = add_fragments(b, upper);

	if (rc)
		return rc;
	buf_set(&b->lower, upper);
	if (b->lower.failed)
		return status_no_memory(upper.size);
	if (!b->writer)
		return LSM_OK;
	rc = table_writer_finish(b->writer, &props);
	b->writer = NULL;
	if (rc) {
		delete_table(b->tree, b->number);
		return rc;
	}
	return keep_output(b, &props);
}

/* ---- large values ---- */

static int open_segment(struct build *b, struct blob_segment **ret)
{
	struct blob_segment *last = b->segments_n ? b->segments[b->segments_n - 1] : NULL, **p;
	int rc;

	if (last && atomic_load(&last->file_bytes) < b->in->blob_segment_bytes) {
		*ret = last;
		return LSM_OK;
	}
	p = realloc(b->segments, (b->segments_n + 1) * sizeof(*p));
	if (!p)
		return status_no_memory((b->segments_n + 1) * sizeof(*p));
	b->segments = p;
	if (last)
		segment_seal(last); /* one descriptor, however many segments */
	rc = segment_create(b->tree->segments, b->in->new_number(b->in->ctx), &p[b->segments_n]);
	if (!rc)
		*ret = p[b->segments_n++];
	return rc;
}

static int move_out(struct build *b, struct lsm_slice value, struct lsm_slice *ret_pointer)
{
	struct blob_segment *seg = NULL;
	struct blob_ptr ptr;
	int rc = open_segment(b, &seg);

	if (!rc)
		rc = segment_add(seg, value, &ptr);
	if (!rc)
		*ret_pointer = slice_of(b->pointer, blob_ptr_encode(b->pointer, &ptr));
	return rc;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A value in a segment that is being collected is copied to a new one; one that can't be read stays where it is, so that
 * its reader learns of the damage. */
static int collect(struct build *b, struct lsm_slice *value, enum entry_type *type)
{
	struct blob_ptr ptr;
	int rc = blob_ptr_decode(*value, NULL, &ptr);

	if (rc || !bsearch(&ptr.segment, b->in->collect, b->in->collect_n, sizeof(ptr.segment), compare_u64))
		return rc;
	buf_clear(&b->value);
	buf_reserve(&b->value, ptr.part_size);
	if (b->value.failed)
		return status_no_memory(ptr.part_size);
	rc = segment_read(b->tree->segments, &ptr, 0, b->value.data, ptr.part_size);
	if (rc == LSM_CORRUPT || rc == LSM_IO) {
		segments_mark_damaged(b->tree->segments, ptr.segment);
		return LSM_OK;
	}
	if (rc)
		return rc;
	if (ptr.part_size < b->in->blob_min_bytes) {
		*type = ENTRY_PUT;
		*value = slice_of(b->value.data, ptr.part_size);
		return LSM_OK;
	}
	return move_out(b, slice_of(b->value.data, ptr.part_size), value);
}

static int finish_segments(struct build *b)
{
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < b->segments_n; i++) {
		segment_seal(b->segments[i]);
		rc = segment_sync(b->segments[i]);
		b->out.written_bytes += atomic_load(&b->segments[i]->file_bytes);
	}
	return rc;
}

/* ---- entries ---- */

/* Is this version invisible to every reader? Updates what is known of the key. */
static int judge(struct build *b, struct lsm_slice user, uint64_t trailer, bool *ret_drop, bool *ret_new_key)
{
	const struct build_input *in = b->in;
	uint64_t seq = trailer_seq(trailer);
	size_t stripe = stripe_of(in, seq);
	bool new_key = !b->have_key || !slice_equal(user, buf_slice(&b->key));
	bool drop = !new_key && stripe == b->key_stripe;

	if (new_key) {
		buf_set(&b->key, user);
		if (b->key.failed)
			return status_no_memory(user.size);
		b->have_key = true;
	}
	b->key_stripe = stripe;
	if (!drop && b->dels)
		drop = range_dels_covering(b->dels, user, stripe_end(in, stripe), NULL) > seq;
	if (!drop && trailer_type(trailer) == ENTRY_DELETE && stripe == 0)
		drop = !anything_below(in, user, user);
	*ret_drop = drop;
	*ret_new_key = new_key;
	return LSM_OK;
}

/*
 * Does the open output end before this key? One that lies over much of the next level would be dear to move down later;
 * and from half its size on a table ends where one of the next level ends, so that its move rewrites none by halves.
 */
static bool output_ends(struct build *b, struct lsm_slice user)
{
	enum { OVERLAP_FACTOR = 10 };
	const struct build_input *in = b->in;
	const struct level *next = NULL;
	uint64_t bytes, max = in->table_bytes_max;
	bool boundary = false, ends;

	if (in->output_level && in->output_level + 1 < LSM_LEVELS)
		next = &in->version->levels[in->output_level + 1];
	for (; next && b->next_at < next->n && table_before_key(next->tables[b->next_at], user); b->next_at++) {
		b->next_bytes += next->tables[b->next_at]->props.file_bytes;
		boundary = true;
	}
	if (!b->writer) {
		b->next_bytes = 0;
		return false;
	}
	bytes = table_writer_bytes(b->writer);
	ends = bytes >= max || (boundary && bytes >= max / 2) || b->next_bytes / OVERLAP_FACTOR >= max;
	if (ends)
		b->next_bytes = 0;
	return ends;
}

static int add_entry(struct build *b, struct lsm_slice ikey, struct lsm_slice value)
{
	struct lsm_slice user = ikey_user(ikey);
	uint64_t trailer = ikey_trailer(ikey);
	enum entry_type type = trailer_type(trailer);
	bool drop = false, new_key = false;
	int rc = judge(b, user, trailer, &drop, &new_key);

	if (rc || drop)
		return rc;
	/* Versions of one key stay in one table. */
	if (new_key && output_ends(b, user))
		rc = finish_output(b, user);
	if (!rc && type == ENTRY_PUT && value.size >= b->in->blob_min_bytes) {
		rc = move_out(b, value, &value);
		type = ENTRY_BLOB;
	} else if (!rc && type == ENTRY_BLOB && b->in->collect_n) {
		rc = collect(b, &value, &type);
	}
	if (!rc)
		rc = open_output(b);
	if (rc || type == trailer_type(trailer))
		return rc ? rc : table_writer_add(b->writer, ikey, value);
	buf_put_u64(&b->key, trailer_of(trailer_seq(trailer), type)); /* borrow b->key to build the internal key */
	rc = b->key.failed ? status_no_memory(user.size) : table_writer_add(b->writer, buf_slice(&b->key), value);
	b->key.size -= TRAILER_BYTES;
	return rc;
}

/* Now and then, tells how much was written. */
static void tell(struct build *b)
{
	enum { STEP_BYTES = 512 << 10 };
	uint64_t bytes = b->out.written_bytes + (b->writer ? table_writer_bytes(b->writer) : 0);

	for (size_t i = 0; i < b->segments_n; i++)
		bytes += atomic_load_explicit(&b->segments[i]->file_bytes, memory_order_relaxed);
	if (bytes < b->told_bytes + STEP_BYTES)
		return;
	b->in->wrote(b->in->ctx, bytes - b->told_bytes);
	b->told_bytes = bytes;
}

static int add_all(struct build *b)
{
	struct iter *it = b->in->points;
	int rc = LSM_OK;

	for (it->ops->seek_first(it); !rc && it->valid; it->ops->next(it)) {
		b->out.entries_in++;
		if (b->in->stop && atomic_load_explicit(b->in->stop, memory_order_relaxed))
			return status_set(LSM_BUSY, 0, b->tree->dir, 0, "the store is being closed");
		rc = add_entry(b, it->key, it->value);
		if (b->in->wrote && b->out.entries_in % 64 == 0)
			tell(b);
	}
	return rc ? rc : it->status;
}

int build_tables(struct tree *tree, const struct build_input *in, struct build_output *ret)
{
	struct build b = { .tree = tree, .in = in };
	int rc = LSM_OK;

	if (in->dels_n)
		rc = range_dels_new(in->dels, in->dels_n, &b.dels);
	if (!rc)
		rc = add_all(&b);
	if (!rc)
		rc = finish_output(&b, slice_of(NULL, 0));
	if (!rc)
		rc = finish_segments(&b);
	if (!rc)
		rc = env_sync_dir(tree->env, tree->dir);
	if (b.writer) {
		table_writer_abort(b.writer);
		delete_table(tree, b.number);
	}
	if (rc)
		build_output_done(&b.out, true);
	else
		*ret = b.out;
	for (size_t i = 0; i < b.segments_n; i++)
		segment_release(b.segments[i]);
	free(b.segments);
	range_dels_free(b.dels);
	buf_free(&b.lower);
	buf_free(&b.key);
	buf_free(&b.value);
	return rc;
}

void build_output_done(struct build_output *out, bool discard)
{
	for (size_t i = 0; i < out->n; i++) {
		if (discard)
			atomic_store(&out->tables[i]->obsolete, true);
		table_meta_unref(out->tables[i]);
	}
	free(out->tables);
	*out = (struct build_output){ 0 };
}

/* ---- lists of tombstones ---- */

void del_list_init(struct del_list *l)
{
	*l = (struct del_list){ 0 };
	arena_init(&l->keys);
}

void del_list_done(struct del_list *l)
{
	free(l->dels);
	arena_done(&l->keys);
	*l = (struct del_list){ 0 };
}

static bool copy_key(struct arena *a, struct lsm_slice *s)
{
	void *p = arena_alloc(a, s->size);

	if (!p)
		return false;
	memcpy(p, s->data, s->size);
	s->data = p;
	return true;
}

static int add_one(struct del_list *l, struct range_del del)
{
	if (l->n == l->capacity) {
		size_t capacity = l->capacity ? l->capacity * 2 : 16;
		struct range_del *p = realloc(l->dels, capacity * sizeof(*p));

		if (!p)
			return status_no_memory(capacity * sizeof(*p));
		l->dels = p;
		l->capacity = capacity;
	}
	if (!copy_key(&l->keys, &del.begin) || !copy_key(&l->keys, &del.end))
		return status_no_memory(del.begin.size + del.end.size);
	l->dels[l->n++] = del;
	return LSM_OK;
}

/* The first fragment that ends behind `begin`. */
static size_t first_fragment(const struct range_dels *dels, struct lsm_slice begin)
{
	size_t low = 0, high = range_dels_count(dels);

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slice_compare(range_dels_at(dels, mid).end, begin) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int del_list_add(struct del_list *l, const struct range_dels *dels, struct lsm_slice begin, struct lsm_slice end)
{
	int rc = LSM_OK;

	for (size_t i = first_fragment(dels, begin); i < range_dels_count(dels); i++) {
		struct range_fragment f = range_dels_at(dels, i);

		if (end.size && slice_compare(f.begin, end) >= 0)
			break;
		if (slice_compare(f.begin, begin) < 0)
			f.begin = begin;
		if (end.size && slice_compare(f.end, end) > 0)
			f.end = end;
		for (size_t k = 0; !rc && k < f.seqs_n; k++)
			rc = add_one(l, (struct range_del){ f.begin, f.end, f.seqs[k] });
		if (rc)
			break;
	}
	return rc;
}
