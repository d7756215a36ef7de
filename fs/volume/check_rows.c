/* SPDX-License-Identifier: MIT */
/* Checking all rows in the order of their keys: inodes by themselves, extents and attributes against their inodes. */
#include <stdio.h>
#include <stdlib.h>

#include "fs/schema/coding.h"
#include "fs/volume/check_internal.h"

struct rows_check {
	/* The inode whose extents, or attributes, are being met; 0: none. */
	vol_ino ino;
	uint8_t kind;
	bool stray; /* told already */
	struct schema_inode inode;
	uint64_t sum;  /* bytes of its extents; attributes */
	uint64_t last; /* where the extent before ends */
	/* Of the present part: its directory's count of births. */
	uint64_t part;
	uint32_t birth_next; /* 0: not counted here */
	vol_ino birth_dir;
	size_t damaged; /* of the list, the first that may still come */
};

static struct volume_find find_of(enum volume_find_kind kind, vol_ino ino, struct row_key key)
{
	return (struct volume_find){ .kind = kind, .ino = ino, .begin = key };
}

/* ---- the end of an inode's extents or attributes ---- */

static int group_end(struct volume_check *c, struct rows_check *k)
{
	struct volume_find find = { .ino = k->ino, .right = k->sum };
	struct schema_key begin, end;
	int r = 0;

	if (!k->ino || k->stray || k->kind == 'd')
		return 0;
	if (k->kind == 'e') {
		schema_key_extent(&begin, k->ino, 0);
		schema_key_extent_end(&end, k->ino);
		find.kind = VOLUME_FIND_ALLOCATED;
		if (k->sum != k->inode.file.allocated_bytes && !check_unreadable(c, row_key(&begin), row_key(&end)))
			r = check_find(c, find, "has %llu bytes in extents, but %llu by its inode",
				       (unsigned long long)k->sum, (unsigned long long)k->inode.file.allocated_bytes);
	} else {
		schema_key_xattr(&begin, k->ino, "", 0);
		schema_key_xattr_end(&end, k->ino);
		find.kind = VOLUME_FIND_XATTRS;
		if (k->sum != k->inode.xattrs && !check_unreadable(c, row_key(&begin), row_key(&end)))
			r = check_find(c, find, "has %llu extended attributes, but %u by its inode",
				       (unsigned long long)k->sum, k->inode.xattrs);
	}
	return r;
}

/* All rows of the group belong to nothing. */
static int group_stray(struct volume_check *c, struct rows_check *k, const char *why)
{
	struct volume_find find = { .kind = VOLUME_FIND_STRAY };
	struct schema_key begin, end, inode;

	if (k->kind == 'd') {
		schema_key_bucket(&begin, k->ino, 0);
		schema_key_bucket_end(&end, k->ino);
	} else if (k->kind == 'e') {
		schema_key_extent(&begin, k->ino, 0);
		schema_key_extent_end(&end, k->ino);
	} else {
		schema_key_xattr(&begin, k->ino, "", 0);
		schema_key_xattr_end(&end, k->ino);
	}
	k->stray = true;
	schema_key_inode(&inode, k->ino);
	find.begin = row_key(&begin);
	find.end = row_key(&end);
	inode.data[inode.size] = 0;
	if (check_unreadable(c, row_key(&inode), (struct row_key){ inode.data, inode.size + 1 }))
		return 0;
	return check_find(c, find, "%s of inode %llu:%u, %s",
			  k->kind == 'd'   ? "entries"
			  : k->kind == 'e' ? "extents"
					   : "extended attributes",
			  (unsigned long long)schema_ino_part(k->ino), schema_ino_sequence(k->ino), why);
}

/* Rows of another inode, or of another kind, begin. */
static int group_begin(struct volume_check *c, struct rows_check *k, vol_ino ino, uint8_t kind)
{
	struct check_inode *i;
	struct row_value value;
	int r;

	if (k->ino == ino && k->kind == kind)
		return 0;
	r = group_end(c, k);
	k->ino = ino;
	k->kind = kind;
	k->stray = false;
	k->sum = k->last = 0;
	if (r || !ino)
		return r;
	i = check_inode_of(c, ino);
	if (!i)
		return group_stray(c, k, "which isn't there");
	if (i->flags & SEEN_DAMAGED || kind == 'd') {
		k->stray = kind != 'd';
		return 0;
	}
	r = check_inode_load(c, ino, &k->inode, &value);
	if (r < 0)
		return r;
	c->ops->value_release(c->rows, &value);
	k->inode.content = NULL;
	if (kind == 'x') {
		i->flags |= SEEN_XATTRS;
		return 0;
	}
	i->flags |= SEEN_EXTENTS;
	return !S_ISREG(k->inode.mode) || k->inode.file.inlined ? group_stray(c, k, "which can't have any") : 0;
}

/* ---- kinds of rows ---- */

static int check_extent(struct volume_check *c, struct rows_check *k, struct row_key key, uint64_t size)
{
	struct volume_find find = find_of(VOLUME_FIND_EXTENT, k->ino, key);
	uint64_t offset = 0, end;
	int r = schema_extent_of_key(key.data, key.size, &offset);

	if (k->stray)
		return 0;
	if (r < 0)
		return check_find(c, find, "an extent's key makes no sense");
	end = offset + size;
	k->sum += size;
	if (size == 0 || size > EXTENT_BYTES_MAX)
		r = check_find(c, find, "the extent at byte %llu has %llu bytes", (unsigned long long)offset,
			       (unsigned long long)size);
	else if (offset / EXTENT_BYTES_MAX != (end - 1) / EXTENT_BYTES_MAX)
		r = check_find(c, find, "the extent at byte %llu crosses a multiple of 1 MiB",
			       (unsigned long long)offset);
	else if (end < offset || end > k->inode.file.size)
		r = check_find(c, find, "the extent at byte %llu ends at %llu, but the file at %llu",
			       (unsigned long long)offset, (unsigned long long)end,
			       (unsigned long long)k->inode.file.size);
	else if (offset < k->last)
		r = check_find(c, find, "the extent at byte %llu lies over the one before, which ends at %llu",
			       (unsigned long long)offset, (unsigned long long)k->last);
	k->last = end > k->last ? end : k->last;
	return r;
}

static bool name_is(const char *name, size_t size, const char *what)
{
	return size == strlen(what) && memcmp(name, what, size) == 0;
}

static int check_acl(struct volume_check *c, struct rows_check *k, struct rows_iter *it, struct row_key key)
{
	struct volume_find find = find_of(VOLUME_FIND_XATTR, k->ino, key);
	struct row_key value;
	int r = c->ops->iter_value(it, &value);

	if (r == -EIO) {
		find.kind = VOLUME_FIND_UNREADABLE;
		return check_find(c, find, "an access control list can't be read");
	}
	if (r < 0)
		return r;
	if (schema_acl_check(value.data, value.size) < 0 || schema_acl_is_empty(value.size))
		return check_find(c, find, "an access control list makes no sense");
	if (!c->has_super || c->super.features_incompat & SCHEMA_FEATURE_ACL)
		return 0;
	find.kind = VOLUME_FIND_FEATURE;
	find.right = SCHEMA_FEATURE_ACL;
	return check_find(c, find, "has an access control list, of which the superblock doesn't know");
}

static int check_xattr(struct volume_check *c, struct rows_check *k, struct rows_iter *it, struct row_key key)
{
	struct volume_find find = find_of(VOLUME_FIND_XATTR, k->ino, key);
	const char *name;
	size_t size;
	int r = schema_xattr_of_key(key.data, key.size, &name, &size);

	if (k->stray)
		return 0;
	k->sum++;
	if (r < 0 || memchr(name, 0, size))
		return check_find(c, find, "an extended attribute has a name that can't be");
	if (c->ops->iter_value_size(it) > VOL_XATTR_VALUE_MAX)
		return check_find(c, find, "the extended attribute %.*s has %llu bytes", (int)size, name,
				  (unsigned long long)c->ops->iter_value_size(it));
	if (name_is(name, size, VOL_ACL_ACCESS) || name_is(name, size, VOL_ACL_DEFAULT))
		return check_acl(c, k, it, key);
	return 0;
}

/* Files are numbered in this part by which count? */
static void births_of(struct volume_check *c, struct rows_check *k, uint64_t part)
{
	k->part = part;
	k->birth_next = 0;
	for (size_t i = 0; i < c->births_n; i++)
		if (c->births[i].part == part)
			k->birth_next = c->births[i].next, k->birth_dir = c->births[i].dir;
}

static int check_dir_inode(struct volume_check *c, struct rows_check *k, const struct check_inode *n,
			   const struct schema_inode *i)
{
	vol_ino parent = n->ino == VOL_ROOT ? VOL_ROOT : check_parent_ino(c, n);
	struct volume_find find = { .kind = VOLUME_FIND_PARENT, .ino = n->ino, .right = parent };

	if (i->dir.birth_part == schema_ino_part(n->ino)) {
		k->birth_next = i->dir.birth_next;
		k->birth_dir = n->ino;
	}
	if (i->dir.birth_part > c->part_max)
		c->part_max = i->dir.birth_part;
	if (parent && i->dir.parent != parent)
		return check_find(c, find, "names inode %llu:%u as its parent, but its entry is in another directory",
				  (unsigned long long)schema_ino_part(i->dir.parent),
				  schema_ino_sequence(i->dir.parent));
	return 0;
}

static int check_inode_row(struct volume_check *c, struct rows_check *k, struct check_inode *n,
			   const struct schema_inode *i)
{
	uint32_t sequence = schema_ino_sequence(n->ino);
	struct volume_find find = { .ino = n->ino };
	int r = 0;

	if (S_ISDIR(i->mode))
		r = check_dir_inode(c, k, n, i);
	find.kind = VOLUME_FIND_COUNTER;
	find.dir = k->birth_dir;
	find.right = (uint64_t)sequence + 1;
	if (r == 0 && k->birth_next && sequence >= k->birth_next)
		r = check_find(c, find, "has number %u of its part, which is to be given out from %u on", sequence,
			       k->birth_next);
	find.kind = VOLUME_FIND_FEATURE;
	find.right = SCHEMA_FEATURE_FLAGS;
	if (r == 0 && i->flags && c->has_super && !(c->super.features_incompat & SCHEMA_FEATURE_FLAGS))
		r = check_find(c, find, "has flags of chattr, of which the superblock doesn't know");
	return r;
}

static int check_inode(struct volume_check *c, struct rows_check *k, struct rows_iter *it, vol_ino ino)
{
	struct check_inode *n = check_inode_of(c, ino);
	struct row_key value;
	struct schema_inode i;
	int r = c->ops->iter_value(it, &value);

	if (r < 0 && r != -EIO)
		return r;
	if (!n || r < 0 || n->flags & SEEN_DAMAGED || schema_inode_decode(value.data, value.size, &i) < 0)
		return check_find(c, find_of(VOLUME_FIND_UNREADABLE, ino, c->ops->iter_key(it)),
				  r < 0 ? "the inode can't be read" : "the inode makes no sense");
	return check_inode_row(c, k, n, &i);
}

/* ---- part 0, and what is no row of a volume ---- */

static int check_orphan(struct volume_check *c, struct row_key key, vol_ino ino)
{
	struct check_inode *i = check_inode_of(c, ino);

	if (i)
		i->flags |= SEEN_ORPHAN;
	if (i && (i->flags & SEEN_DAMAGED || !i->nlink))
		return 0;
	return check_find(c, find_of(VOLUME_FIND_ORPHAN, i ? ino : 0, key), "inode %llu:%u is noted as removed, but %s",
			  (unsigned long long)schema_ino_part(ino), schema_ino_sequence(ino),
			  i ? "it isn't" : "it isn't there");
}

static int check_part0(struct volume_check *c, struct row_key key)
{
	const uint8_t *p = key.data;
	vol_ino ino;

	if (key.size == 9 && (p[8] == 's' || p[8] == 'c'))
		return 0;
	if (schema_orphan_of_key(key.data, key.size, &ino) == 0)
		return check_orphan(c, key, ino);
	return 1; /* see below */
}

static int check_unknown(struct volume_check *c, struct row_key key)
{
	struct schema_key end = { .size = key.size + 1 };
	struct volume_find find = find_of(VOLUME_FIND_STRAY, 0, key);

	if (end.size <= sizeof(end.data)) {
		memcpy(end.data, key.data, key.size);
		end.data[key.size] = 0;
		find.end = row_key(&end);
	}
	return check_find(c, find, "a row of %zu bytes of key that no volume has", key.size);
}

/* Keys ascend, here and in the list of values that are known to be damaged. */
static bool is_damaged(const struct volume_check *c, struct rows_check *k, struct row_key key)
{
	const struct volume_check_options *o = c->options;

	while (k->damaged < o->damaged_n && check_key_compare(o->damaged[k->damaged], key) < 0)
		k->damaged++;
	return k->damaged < o->damaged_n && check_key_compare(o->damaged[k->damaged], key) == 0;
}

static int tell_damaged(struct volume_check *c, struct row_key key, uint8_t kind, vol_ino ino)
{
	struct volume_find find = find_of(VOLUME_FIND_UNREADABLE, ino, key);
	uint64_t offset;

	if (kind == 'e' && schema_extent_of_key(key.data, key.size, &offset) == 0)
		return check_find(c, find, "its content at byte %llu and behind can't be read",
				  (unsigned long long)offset);
	return check_find(c, find,
			  kind == 'i'   ? "the inode can't be read"
			  : kind == 'x' ? "an extended attribute can't be read"
					: "a row of entries can't be read");
}

static int check_row(struct volume_check *c, struct rows_iter *it, void *ctx)
{
	struct rows_check *k = ctx;
	struct row_key key = c->ops->iter_key(it);
	const uint8_t *p = key.data;
	uint64_t part = key.size > 9 ? get_be64(p) : 0, hash;
	uint8_t kind = key.size >= 9 ? p[8] : 0;
	vol_ino ino = 0;
	int r;

	if (key.size >= 9 && get_be64(p) == 0) {
		r = check_part0(c, key);
		return r == 1 ? check_unknown(c, key) : r;
	}
	if (part == 0 || part >= SCHEMA_PART_END || !memchr("deix", kind, 4) || key.size < 13 ||
	    (kind == 'i' && key.size != 13) || (kind != 'd' && p[9]) ||
	    (kind == 'd' && schema_bucket_of_key(key.data, key.size, &hash) < 0))
		return check_unknown(c, key);
	if (kind != 'd')
		ino = schema_ino(part, (uint32_t)p[10] << 16 | (uint32_t)p[11] << 8 | p[12]);
	else
		ino = schema_ino(part, 0);
	if (part > c->part_max)
		c->part_max = part;
	if (part != k->part)
		births_of(c, k, part);
	r = group_begin(c, k, kind == 'i' ? 0 : ino, kind);
	if (r == 0 && is_damaged(c, k, key))
		r = tell_damaged(c, key, kind, ino);
	if (r)
		return r;
	if (kind == 'i')
		return check_inode(c, k, it, ino);
	if (kind == 'e')
		return check_extent(c, k, key, c->ops->iter_value_size(it));
	return kind == 'x' ? check_xattr(c, k, it, key) : 0;
}

/* ---- what an inode promises and isn't there; parts that two directories use ---- */

static int check_promises(struct volume_check *c)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < c->inodes_n; k++) {
		const struct check_inode *i = &c->inodes[k];
		struct volume_find find = { .ino = i->ino };

		find.kind = VOLUME_FIND_ALLOCATED;
		if ((i->flags & (WANTS_EXTENTS | SEEN_EXTENTS)) == WANTS_EXTENTS)
			r = check_find(c, find, "its extents are missing");
		find.kind = VOLUME_FIND_XATTRS;
		if (r == 0 && (i->flags & (WANTS_XATTRS | SEEN_XATTRS)) == WANTS_XATTRS)
			r = check_find(c, find, "its extended attributes are missing");
	}
	return r;
}

static int by_part(const void *a, const void *b)
{
	const struct check_birth *x = a, *y = b;

	return x->part < y->part ? -1 : x->part > y->part;
}

static int check_births(struct volume_check *c)
{
	int r = 0;

	qsort(c->births, c->births_n, sizeof(*c->births), by_part);
	for (size_t i = 0; r == 0 && i < c->births_n; i++) {
		const struct check_birth *b = &c->births[i];

		if ((i && b[-1].part == b->part) || check_inode_of(c, schema_ino(b->part, 0)))
			r = check_find(c, (struct volume_find){ .kind = VOLUME_FIND_COUNTER, .ino = b->dir },
				       "numbers its files in part %llu, as another directory does",
				       (unsigned long long)b->part);
	}
	return r;
}

int check_rows(struct volume_check *c)
{
	static const uint8_t low[1] = { 0 }, high[10] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	struct rows_check k = { 0 };
	int r;

	if (c->births_n) {
		r = check_births(c);
		if (r)
			return r;
	}
	r = check_walk(c, (struct row_key){ low, 1 }, (struct row_key){ high, sizeof(high) }, true, check_row, &k);
	if (r == 0)
		r = group_end(c, &k);
	return r == 0 && !c->sums.passed_over ? check_promises(c) : r;
}
