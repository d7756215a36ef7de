/* SPDX-License-Identifier: MIT */
/* Checking a table: what table_scan() finds, and what the properties, the filter and the manifest say of its entries. */
#include <stdlib.h>

#include "lsm/format/filter.h"
#include "lsm/format/table_scan.h"
#include "lsm/store/check.h"

struct table_check {
	struct check *c;
	const char *path;
	const struct table_meta *meta; /* or NULL */
	uint64_t told;                 /* bytes, to the progress */
	uint64_t damaged;              /* of the check, when the table's turn came */
	struct table_props counted;    /* from its entries */
	struct table_props props;      /* what the file says */
	bool has_props;
	struct buf filter_bytes, last, dels_begin, dels_end;
	struct filter filter;
};

static int on_block(void *ctx, const char *what, uint64_t offset, uint64_t size)
{
	struct table_check *t = ctx;

	(void)what, (void)offset;
	t->told += size;
	return check_progress(t->c, size);
}

/* The user keys that lie between two separators of the index. */
static int on_damage(void *ctx, struct lsm_slice low, struct lsm_slice high)
{
	struct table_check *t = ctx;
	struct lsm_slice begin = slice_of(NULL, 0), end = begin;
	struct buf behind = { 0 };
	int rc = lsm_last_error()->code;

	if (!low.size && t->meta)
		low = buf_slice(&t->meta->props.smallest);
	if (!high.size && t->meta)
		high = buf_slice(&t->meta->props.largest);
	if (low.size)
		begin = ikey_user(low);
	if (high.size) {
		/* Such a separator lies in front of all entries of its user key, every other one behind one of them. */
		buf_append_slice(&behind, ikey_user(high));
		if (ikey_trailer(high) != RANGE_END_TRAILER)
			buf_append(&behind, "", 1);
		if (behind.failed)
			return status_no_memory(high.size);
		end = buf_slice(&behind);
	}
	rc = check_settle(t->c, rc, begin, end);
	buf_free(&behind);
	return rc;
}

/* Something is said twice, and not alike. */
static int differs(struct table_check *t, const char *what)
{
	(void)status_corrupt(t->path, 0, "%s: %s", t->path, what);
	return on_damage(t, slice_of(NULL, 0), slice_of(NULL, 0));
}

static int on_props(void *ctx, const struct table_props *p)
{
	struct table_check *t = ctx;
	struct table_props *own = &t->props;

	*own = *p;
	own->smallest = own->largest = (struct buf){ 0 };
	own->blob_refs = NULL;
	own->blob_refs_n = 0;
	buf_set(&own->smallest, buf_slice(&p->smallest));
	buf_set(&own->largest, buf_slice(&p->largest));
	if (p->blob_refs_n) {
		own->blob_refs = malloc(p->blob_refs_n * sizeof(*p->blob_refs));
		if (!own->blob_refs)
			return status_no_memory(p->blob_refs_n * sizeof(*p->blob_refs));
		memcpy(own->blob_refs, p->blob_refs, p->blob_refs_n * sizeof(*p->blob_refs));
		own->blob_refs_n = p->blob_refs_n;
	}
	t->has_props = true;
	return own->smallest.failed || own->largest.failed ? status_no_memory(p->largest.size) : LSM_OK;
}

static int on_filter(void *ctx, struct lsm_slice bytes)
{
	struct table_check *t = ctx;

	buf_set(&t->filter_bytes, bytes);
	if (t->filter_bytes.failed)
		return status_no_memory(bytes.size);
	if (filter_init(&t->filter, buf_slice(&t->filter_bytes)))
		return LSM_OK;
	t->filter = (struct filter){ 0 };
	return check_inform(t->c, t->path, 0, "the filter of %s is of a kind that isn't known, and not used", t->path);
}

static void count_sequence(struct table_props *p, uint64_t sequence)
{
	if (sequence < p->sequence_min)
		p->sequence_min = sequence;
	if (sequence > p->sequence_max)
		p->sequence_max = sequence;
}

/* They come in order: the first and the last bound all. */
static int on_range_del(void *ctx, const struct range_fragment *f)
{
	struct table_check *t = ctx;

	if (!t->dels_begin.size)
		buf_put_ikey(&t->dels_begin, f->begin, trailer_of(f->seqs[0], ENTRY_RANGE_DELETE));
	buf_clear(&t->dels_end);
	buf_put_ikey(&t->dels_end, f->end, RANGE_END_TRAILER);
	t->counted.range_deletes += f->seqs_n;
	count_sequence(&t->counted, f->seqs[0]);
	count_sequence(&t->counted, f->seqs[f->seqs_n - 1]);
	return t->dels_begin.failed || t->dels_end.failed ? status_no_memory(f->end.size) : LSM_OK;
}

/* References come in any order, and few segments are referred to. */
static int count_ref(struct table_props *p, const struct blob_ptr *ptr)
{
	struct blob_ref *refs;
	size_t i = 0;

	while (i < p->blob_refs_n && p->blob_refs[i].segment < ptr->segment)
		i++;
	if (i == p->blob_refs_n || p->blob_refs[i].segment != ptr->segment) {
		refs = realloc(p->blob_refs, (p->blob_refs_n + 1) * sizeof(*refs));
		if (!refs)
			return status_no_memory((p->blob_refs_n + 1) * sizeof(*refs));
		memmove(refs + i + 1, refs + i, (p->blob_refs_n - i) * sizeof(*refs));
		refs[i] = (struct blob_ref){ .segment = ptr->segment };
		p->blob_refs = refs;
		p->blob_refs_n++;
	}
	p->blob_refs[i].bytes += ptr->part_size;
	return LSM_OK;
}

static int check_large(struct table_check *t, struct lsm_slice user_key, struct lsm_slice value)
{
	struct blob_ptr ptr;

	if (!blob_ptr_decode(value, t->path, &ptr)) {
		int rc = count_ref(&t->counted, &ptr);

		if (rc)
			return rc;
	}
	return check_pointer(t->c, user_key, value, t->path, 0);
}

static int on_entry(void *ctx, struct lsm_slice ikey, struct lsm_slice value)
{
	struct table_check *t = ctx;
	struct table_props *p = &t->counted;
	struct lsm_slice user = ikey_user(ikey);
	uint64_t trailer = ikey_trailer(ikey);
	int rc = LSM_OK;

	if (!p->entries)
		buf_set(&p->smallest, ikey);
	buf_set(&t->last, ikey);
	if (p->smallest.failed || t->last.failed)
		return status_no_memory(ikey.size);
	p->entries++;
	p->deletes += trailer_type(trailer) == ENTRY_DELETE;
	p->raw_bytes += ikey.size + value.size;
	count_sequence(p, trailer_seq(trailer));
	if (!user.size || trailer_type(trailer) > ENTRY_BLOB)
		rc = check_settle(t->c,
				  status_corrupt(t->path, 0, "%s has an entry of the unknown type %u", t->path,
						 (unsigned)trailer_type(trailer)),
				  user, slice_of(NULL, 0));
	if (!rc && !filter_may_contain(&t->filter, filter_hash(user)))
		rc = check_settle(t->c,
				  status_corrupt(t->path, 0, "the filter of %s denies a key that is there", t->path),
				  user, slice_of(NULL, 0));
	return !rc && trailer_type(trailer) == ENTRY_BLOB ? check_large(t, user, value) : rc;
}

/* ---- what is said twice ---- */

static bool same_refs(const struct table_props *a, const struct table_props *b)
{
	return a->blob_refs_n == b->blob_refs_n &&
	       (!a->blob_refs_n || !memcmp(a->blob_refs, b->blob_refs, a->blob_refs_n * sizeof(*a->blob_refs)));
}

static bool same_counts(const struct table_props *a, const struct table_props *b)
{
	return a->entries == b->entries && a->deletes == b->deletes && a->range_deletes == b->range_deletes &&
	       a->raw_bytes == b->raw_bytes;
}

/* The bounds of what was met, range tombstones included. */
static int finish_bounds(struct table_check *t)
{
	struct table_props *p = &t->counted;

	buf_set(&p->largest, buf_slice(&t->last));
	if (t->dels_begin.size && (!p->entries || ikey_compare(buf_slice(&t->dels_begin), buf_slice(&p->smallest)) < 0))
		buf_set(&p->smallest, buf_slice(&t->dels_begin));
	if (t->dels_end.size && (!p->entries || ikey_compare(buf_slice(&t->dels_end), buf_slice(&p->largest)) > 0))
		buf_set(&p->largest, buf_slice(&t->dels_end));
	if (p->sequence_min > p->sequence_max)
		p->sequence_min = p->sequence_max;
	return p->smallest.failed || p->largest.failed ? status_no_memory(t->last.size) : LSM_OK;
}

static int compare_with_props(struct table_check *t)
{
	const struct table_props *a = &t->counted, *b = &t->props;
	int rc = finish_bounds(t);

	if (!rc && !same_counts(a, b))
		rc = differs(t, "the properties count other entries than there are");
	if (!rc && (a->sequence_min != b->sequence_min || a->sequence_max != b->sequence_max))
		rc = differs(t, "the properties have other sequence numbers than the entries");
	if (!rc && (!slice_equal(buf_slice(&a->smallest), buf_slice(&b->smallest)) ||
		    !slice_equal(buf_slice(&a->largest), buf_slice(&b->largest))))
		rc = differs(t, "the properties have other bounds than the entries");
	if (!rc && !same_refs(a, b))
		rc = differs(t, "the properties count other references to large values than there are");
	return rc;
}

/* Of a loaded table only the manifest knows the sequence number, which its bounds have there, too. */
static bool same_bound(const struct table_meta *m, const struct buf *ours, const struct buf *file)
{
	struct lsm_slice a = buf_slice(ours), b = buf_slice(file);

	if (m->props.loaded && a.size > TRAILER_BYTES && b.size > TRAILER_BYTES)
		return slice_equal(ikey_user(a), ikey_user(b));
	return slice_equal(a, b);
}

static int compare_with_manifest(struct table_check *t)
{
	const struct table_props *a = &t->props, *m = &t->meta->props;
	int rc = LSM_OK;

	if (a->file_bytes != m->file_bytes)
		rc = differs(t, "the file has another size than the manifest says");
	if (!rc && (a->loaded != m->loaded || !same_counts(a, m)))
		rc = differs(t, "the manifest counts other entries than the table has");
	if (!rc && !m->loaded && (a->sequence_min != m->sequence_min || a->sequence_max != m->sequence_max))
		rc = differs(t, "the manifest has other sequence numbers than the table");
	if (!rc && m->sequence_max > t->c->state.last_sequence)
		rc = differs(t, "the table has later sequence numbers than the manifest knows of");
	if (!rc && (!same_bound(t->meta, &m->smallest, &a->smallest) || !same_bound(t->meta, &m->largest, &a->largest)))
		rc = differs(t, "the manifest has other bounds than the table");
	if (!rc && !same_refs(a, m))
		rc = differs(t, "the manifest counts other references to large values than the table");
	return rc;
}

static void table_check_done(struct table_check *t)
{
	table_props_free(&t->counted);
	table_props_free(&t->props);
	buf_free(&t->filter_bytes);
	buf_free(&t->last);
	buf_free(&t->dels_begin);
	buf_free(&t->dels_end);
}

int check_table(struct check *c, uint64_t number, const struct table_meta *meta)
{
	static const struct table_scan_fns fns = { on_block, on_props, on_filter, on_range_del, on_entry, on_damage };
	char path[STORE_PATH_MAX];
	struct table_check t = { .c = c, .path = path, .meta = meta, .damaged = c->damaged };
	int rc;

	t.counted.sequence_min = UINT64_MAX;
	store_file_path(path, c->dir, STORE_TABLE, number);
	rc = table_scan(c->env, path, number, &fns, &t);
	if (rc == LSM_IO || rc == LSM_UNSUPPORTED) {
		rc = on_damage(&t, slice_of(NULL, 0), slice_of(NULL, 0));
	} else if (!rc && t.has_props) {
		/* What could not be read was not counted. */
		if (c->damaged == t.damaged)
			rc = compare_with_props(&t);
		if (!rc && meta)
			rc = compare_with_manifest(&t);
	}
	if (!rc && t.has_props && t.props.file_bytes > t.told)
		rc = check_progress(c, t.props.file_bytes - t.told);
	table_check_done(&t);
	return rc;
}
