/* SPDX-License-Identifier: MIT */
#include "lsm/format/table_scan.h"

#include "lsm/format/table_internal.h"

struct scan {
	struct table t; /* only what reading a block needs */
	const struct table_scan_fns *fns;
	void *ctx;
	struct buf last_key;   /* the last entry's, then that of the index for it */
	struct buf low;        /* the index's last key */
	struct lsm_slice high; /* the index's present key */
	uint64_t entries, damaged;
	uint64_t bytes; /* of the blocks that were met */
};

/* What is damaged is told and passed over. */
static int settle(struct scan *s, int rc)
{
	if (rc != LSM_CORRUPT && rc != LSM_IO)
		return rc;
	s->damaged++;
	return s->fns->damage(s->ctx, buf_slice(&s->low), s->high);
}

static int scan_entry(struct scan *s, const struct block_iter *bi, uint64_t offset)
{
	struct lsm_slice key = bi->it.key;
	int rc = LSM_OK;

	if (s->last_key.size && ikey_compare(buf_slice(&s->last_key), key) >= 0)
		rc = settle(s,
			    status_corrupt(s->t.file->path, offset,
					   "an entry of the block at byte %llu of %s is not behind the one before, or "
					   "what the index says of it",
					   (unsigned long long)offset, s->t.file->path));
	buf_set(&s->last_key, key);
	if (s->last_key.failed)
		return status_no_memory(key.size);
	s->entries++;
	return rc ? rc : s->fns->entry(s->ctx, key, bi->it.value);
}

/* A block's entries, given one by one to `fn`. */
static int scan_block(struct scan *s, const char *what, struct block_handle h,
		      int (*fn)(struct scan *s, const struct block_iter *bi, uint64_t offset))
{
	struct block_pin pin = { 0 };
	struct block_iter bi;
	struct block block;
	int rc = table_pin_block(&s->t, h, true, &pin);

	if (!rc)
		rc = block_init(&block, pin.data, s->t.file->path, h.offset);
	if (rc) {
		table_unpin_block(&s->t, &pin);
		return settle(s, rc);
	}
	s->bytes += h.size + STORED_TAIL_BYTES;
	rc = s->fns->block(s->ctx, what, h.offset, h.size);
	block_iter_init(&bi);
	block_iter_set(&bi, &block);
	for (block_iter_seek_first(&bi); !rc && bi.it.valid; block_iter_next(&bi))
		rc = fn(s, &bi, h.offset);
	if (!rc)
		rc = settle(s, bi.it.status);
	block_iter_done(&bi);
	table_unpin_block(&s->t, &pin);
	return rc;
}

/* The index is at the entry `key`; what it refers to lies behind the entry before. */
static int index_enter(struct scan *s, struct lsm_slice key, uint64_t offset)
{
	s->high = key;
	if (!s->low.size || ikey_compare(buf_slice(&s->low), key) < 0)
		return LSM_OK;
	return settle(s, status_corrupt(s->t.file->path, offset,
					"an entry of the index block at byte %llu of %s is not behind the one before",
					(unsigned long long)offset, s->t.file->path));
}

/* No entry met so far lies behind what the index says, and none that comes lies in front of it. */
static int index_leave(struct scan *s, struct lsm_slice key, uint64_t offset)
{
	int rc = LSM_OK;

	if (s->last_key.size && ikey_compare(buf_slice(&s->last_key), key) > 0)
		rc = settle(s,
			    status_corrupt(s->t.file->path, offset,
					   "the index block at byte %llu of %s ends a block in front of its last entry",
					   (unsigned long long)offset, s->t.file->path));
	buf_set(&s->last_key, key);
	buf_set(&s->low, key);
	s->high = slice_of(NULL, 0);
	return s->low.failed || s->last_key.failed ? status_no_memory(key.size) : rc;
}

static int scan_data(struct scan *s, const struct block_iter *bi, uint64_t offset)
{
	struct lsm_slice key = bi->it.key;
	struct block_handle h;
	int rc = index_enter(s, key, offset);

	if (!rc)
		rc = table_index_handle(&s->t, bi->it.value, &h);
	rc = rc ? settle(s, rc) : scan_block(s, "data", h, scan_entry);
	return rc ? rc : index_leave(s, key, offset);
}

static int scan_partition(struct scan *s, const struct block_iter *bi, uint64_t offset)
{
	struct lsm_slice key = bi->it.key;
	uint64_t damaged = s->damaged;
	struct block_handle h;
	int rc;

	s->high = key;
	rc = table_index_handle(&s->t, bi->it.value, &h);
	rc = rc ? settle(s, rc) : scan_block(s, "index", h, scan_data);
	if (rc)
		return rc;
	if (s->damaged == damaged && (!s->low.size || ikey_compare(buf_slice(&s->low), key)))
		rc = settle(s, status_corrupt(
				       s->t.file->path, offset,
				       "the top index at byte %llu of %s names another last key for the partition at "
				       "byte %llu than that has",
				       (unsigned long long)offset, s->t.file->path, (unsigned long long)h.offset));
	return rc ? rc : index_leave(s, key, offset);
}

static int scan_props(struct scan *s, struct lsm_slice data, uint64_t offset, uint64_t *ret_entries)
{
	struct table_props p;
	int rc = table_props_decode(data, s->t.file->path, offset, &p);

	if (rc)
		return settle(s, rc);
	p.file_bytes = s->t.blocks_end + TABLE_FOOTER_BYTES;
	*ret_entries = p.entries;
	rc = s->fns->props(s->ctx, &p);
	table_props_free(&p);
	return rc;
}

static int scan_range_dels(struct scan *s, struct lsm_slice data, uint64_t offset)
{
	struct range_dels *dels;
	int rc = table_range_dels_decode(data, s->t.file->path, offset, &dels);

	if (rc)
		return settle(s, rc);
	for (size_t i = 0; !rc && i < range_dels_count(dels); i++) {
		struct range_fragment f = range_dels_at(dels, i);

		rc = s->fns->range_del(s->ctx, &f);
	}
	range_dels_free(dels);
	return rc;
}

/* A part that is no block of entries. */
static int scan_part(struct scan *s, const char *what, struct block_handle h, uint64_t *ret_entries)
{
	struct block_pin pin = { 0 };
	int rc;

	if (!h.size)
		return LSM_OK;
	rc = table_pin_block(&s->t, h, true, &pin);
	if (rc)
		return settle(s, rc);
	s->bytes += h.size + STORED_TAIL_BYTES;
	rc = s->fns->block(s->ctx, what, h.offset, h.size);
	if (!rc && ret_entries)
		rc = scan_props(s, pin.data, h.offset, ret_entries);
	else if (!rc && !strcmp(what, "range tombstones"))
		rc = scan_range_dels(s, pin.data, h.offset);
	else if (!rc && s->fns->filter)
		rc = s->fns->filter(s->ctx, pin.data);
	table_unpin_block(&s->t, &pin);
	return rc;
}

/* The number that the checksums are seeded with stands in the footer itself; if that part is damaged, the name has it. */
static int read_footer(struct scan *s, uint64_t number, struct table_footer *ret)
{
	uint8_t bytes[TABLE_FOOTER_BYTES];
	uint64_t size;
	int rc = file_size(s->t.file, &size);

	if (!rc && size < sizeof(bytes))
		rc = status_corrupt(s->t.file->path, 0, "%s is too short for a table: %llu bytes", s->t.file->path,
				    (unsigned long long)size);
	if (rc)
		return rc;
	s->t.blocks_end = size - sizeof(bytes);
	rc = file_read_exact(s->t.file, s->t.blocks_end, bytes, sizeof(bytes));
	if (rc)
		return rc;
	s->t.file_number = table_footer_number(bytes);
	rc = table_footer_decode(bytes, s->t.file_number, s->t.blocks_end, s->t.file->path, ret);
	if (rc == LSM_CORRUPT && number && number != s->t.file_number) {
		s->t.file_number = number;
		rc = table_footer_decode(bytes, number, s->t.blocks_end, s->t.file->path, ret);
	}
	return rc;
}

/* With no block damaged, all must add up. */
static int check_sums(struct scan *s, const struct table_footer *f, uint64_t entries)
{
	const char *path = s->t.file->path;
	int rc = LSM_OK;

	if (s->damaged)
		return LSM_OK;
	if (s->entries != entries)
		rc = settle(s,
			    status_corrupt(path, f->props.offset, "%s holds %llu entries, but %llu by its properties",
					   path, (unsigned long long)s->entries, (unsigned long long)entries));
	if (!rc && s->bytes != s->t.blocks_end)
		rc = settle(s, status_corrupt(path, 0, "the blocks of %s have %llu bytes, but there are %llu", path,
					      (unsigned long long)s->bytes, (unsigned long long)s->t.blocks_end));
	return rc;
}

int table_scan(struct env *env, const char *path, uint64_t number, const struct table_scan_fns *fns, void *ctx)
{
	struct scan s = { .fns = fns, .ctx = ctx };
	struct table_footer f;
	uint64_t entries = UINT64_MAX; /* by the properties */
	int rc = env_open(env, path, ENV_OPEN_READ, &s.t.file);

	if (rc)
		return rc;
	rc = read_footer(&s, number, &f);
	if (rc) {
		/* Nothing but the footer tells where the parts are. */
		rc = settle(&s, rc);
		goto out;
	}
	rc = f.props.size ? scan_part(&s, "properties", f.props, &entries)
			  : settle(&s, status_corrupt(path, s.t.blocks_end, "%s has no properties", path));
	if (!rc)
		rc = scan_part(&s, "range tombstones", f.range_dels, NULL);
	if (!rc)
		rc = scan_part(&s, "filter", f.filter, NULL);
	if (!rc && f.top.size)
		rc = scan_block(&s, "top index", f.top, scan_partition);
	if (!rc)
		rc = check_sums(&s, &f, entries);
out:
	buf_free(&s.low);
	buf_free(&s.last_key);
	file_close(s.t.file);
	return rc;
}
