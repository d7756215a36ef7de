/* SPDX-License-Identifier: MIT */
/*
 * Mending: what the check finds is mended find by find, each in one batch, and then it is checked again, since one mend leads
 * to another: an entry less is a count that is wrong, an inode without a name, a directory to be made.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fs/volume/mend_internal.h"

/* ---- inodes ---- */

/* Loads an inode, lets `change` change it, and puts it. */
static int with_inode(struct mending *m, vol_ino ino, void (*fn)(struct schema_inode *i, uint64_t right),
		      uint64_t right)
{
	struct node node;
	struct change c;
	int r = change_begin(&c, m->v);

	if (r < 0)
		return r;
	r = node_load_stored(m->v, ino, &node);
	if (r == 0) {
		fn(&node.i, right);
		r = node_put(&c, &node);
		if (r == 0)
			r = change_commit(&c);
		node_done(&node);
	}
	change_end(&c);
	return r;
}

static void set_links(struct schema_inode *i, uint64_t right)
{
	i->nlink = (uint32_t)right;
}

static void set_entries(struct schema_inode *i, uint64_t right)
{
	i->dir.entries = right;
}

static void set_parent(struct schema_inode *i, uint64_t right)
{
	i->dir.parent = right;
}

static void set_allocated(struct schema_inode *i, uint64_t right)
{
	i->file.allocated_bytes = right;
}

static void set_xattrs(struct schema_inode *i, uint64_t right)
{
	i->xattrs = (uint32_t)right;
}

static void set_birth(struct schema_inode *i, uint64_t right)
{
	if (i->dir.birth_next < right)
		i->dir.birth_next = (uint32_t)right;
}

static void set_birth_part(struct schema_inode *i, uint64_t right)
{
	i->dir.birth_part = right;
	i->dir.birth_next = 1;
}

/* ---- rows ---- */

int mend_commit_one(struct mending *m, struct row_key key, struct row_key value)
{
	struct change c;
	int r = change_begin(&c, m->v);

	if (r < 0)
		return r;
	if (value.size)
		r = m->v->rows->ops->batch_put(c.batch, key, value);
	else
		r = m->v->rows->ops->batch_delete(c.batch, key);
	if (r == 0)
		r = change_commit(&c);
	change_end(&c);
	return r;
}

/* Keeps a row, and deletes it, or leaves its first bytes. */
static int take_out(struct mending *m, struct row_key key, size_t left)
{
	struct row_value value;
	int r = m->v->rows->ops->get(m->v->rows, key, &value);

	if (r < 0) /* what can't be read can't be kept */
		return r == -ENOENT ? 0 : r == -EIO ? mend_commit_one(m, key, (struct row_key){ 0 }) : r;
	r = m->options->keep(m->options->ctx, key, (struct row_key){ value.data, value.size });
	if (r == 0)
		r = mend_commit_one(m, key, (struct row_key){ value.data, left < value.size ? left : 0 });
	m->v->rows->ops->value_release(m->v->rows, &value);
	return r;
}

/* The iterator shows the moment at which it was made: rows may go meanwhile. */
static int take_out_range(struct mending *m, struct row_key begin, struct row_key end)
{
	const struct rows_ops *ops = m->v->rows->ops;
	struct rows_iter *it = NULL;
	int r = ops->iter_new(m->v->rows, begin, end, &it);

	if (r < 0)
		return r;
	for (r = ops->iter_seek(it, begin); r == 0 && ops->iter_valid(it); r = r == 0 ? ops->iter_next(it) : r)
		r = take_out(m, ops->iter_key(it), 0);
	ops->iter_free(it);
	return r;
}

/* ---- find by find ---- */

static int mend_counter(struct mending *m, const struct volume_find *f)
{
	uint8_t parts[SCHEMA_PARTS_SIZE];
	uint64_t part;
	int r;

	if (f->dir)
		return with_inode(m, f->dir, set_birth, f->right);
	if (f->ino) {
		r = part_alloc(m->v, &part);
		return r < 0 ? r : with_inode(m, f->ino, set_birth_part, part);
	}
	m->v->part_next = m->v->part_limit = f->right;
	schema_parts_encode(f->right, parts);
	return mend_commit_one(m, f->begin, (struct row_key){ parts, sizeof(parts) });
}

static int mend(struct mending *m, const struct volume_find *f)
{
	switch (f->kind) {
	case VOLUME_FIND_UNREADABLE:
		/* One row that was read; not a stretch of them, nor the bucket of an entry. */
		return f->begin.size && !f->end.size && !f->name_size ? take_out(m, f->begin, f->right) : 0;
	case VOLUME_FIND_ENTRY:
	case VOLUME_FIND_NAME:
	case VOLUME_FIND_TWICE:
		return mend_edit_entry(m, f, 0);
	case VOLUME_FIND_TYPE:
		return mend_edit_entry(m, f, (uint32_t)f->right);
	case VOLUME_FIND_PARENT:
		return with_inode(m, f->ino, set_parent, f->right);
	case VOLUME_FIND_LINKS:
		return with_inode(m, f->ino, set_links, f->right);
	case VOLUME_FIND_ENTRIES:
		return with_inode(m, f->ino, set_entries, f->right);
	case VOLUME_FIND_ALLOCATED:
		return with_inode(m, f->ino, set_allocated, f->right);
	case VOLUME_FIND_XATTRS:
		return with_inode(m, f->ino, set_xattrs, f->right);
	case VOLUME_FIND_CYCLE: {
		int r = mend_cut_off(m, f->dir, f->ino);

		return r < 0 ? r : mend_adopt(m, f->ino);
	}
	case VOLUME_FIND_LOST:
		return mend_adopt(m, f->ino);
	case VOLUME_FIND_ORPHAN:
		return mend_commit_one(m, f->begin, (struct row_key){ 0 });
	case VOLUME_FIND_EXTENT:
	case VOLUME_FIND_XATTR:
		return take_out(m, f->begin, 0);
	case VOLUME_FIND_COUNTER:
		return mend_counter(m, f);
	case VOLUME_FIND_FEATURE:
		return volume_need_feature(m->v, f->right);
	case VOLUME_FIND_STRAY:
		return take_out_range(m, f->begin, f->end);
	case VOLUME_FIND_SUPER:
		break;
	}
	return 0;
}

static const char *mend_to_text(const struct volume_find *f)
{
	switch (f->kind) {
	case VOLUME_FIND_UNREADABLE:
		return "what makes no sense of it is kept elsewhere and removed";
	case VOLUME_FIND_ENTRY:
	case VOLUME_FIND_NAME:
	case VOLUME_FIND_TWICE:
		return "the entry is removed";
	case VOLUME_FIND_TYPE:
		return "the entry gets the inode's type";
	case VOLUME_FIND_CYCLE:
	case VOLUME_FIND_LOST:
		return "gets a name in /lost+found";
	case VOLUME_FIND_ORPHAN:
		return "the note is removed";
	case VOLUME_FIND_EXTENT:
	case VOLUME_FIND_XATTR:
		return "it is kept elsewhere and removed";
	case VOLUME_FIND_STRAY:
		return "they are kept elsewhere and removed";
	case VOLUME_FIND_SUPER:
		return "nothing can be done about it";
	default:
		return "is set right";
	}
}

static int on_find(void *ctx, const struct volume_find *f)
{
	struct mending *m = ctx;
	int r = m->options->step(m->options->ctx, f->path, f->what, mend_to_text(f));

	m->finds++;
	if (r == 0 && !m->options->plan_only)
		r = mend(m, f);
	/* The inode has been taken out since it was found: the next round sees what is left. */
	return r == -ENOENT || r == -EUCLEAN ? 0 : r;
}

/* ---- what a volume can't be opened without ---- */

static int on_basic(void *ctx, const struct volume_find *f)
{
	struct mending *m = ctx;

	return f->kind == VOLUME_FIND_SUPER || (f->kind == VOLUME_FIND_COUNTER && !f->ino) ? on_find(m, f) : 0;
}

static int put_root(struct mending *m)
{
	struct node root = { .ino = VOL_ROOT };
	struct change c;
	int r = change_begin(&c, m->v);

	if (r < 0)
		return r;
	root.i = (struct schema_inode){
		.mode = S_IFDIR | 0755,
		.nlink = 2,
		.generation = 1,
		.atime = c.now,
		.mtime = c.now,
		.ctime = c.now,
		.btime = c.now,
		.dir = { .parent = VOL_ROOT, .birth_part = SCHEMA_PART_ROOT, .birth_next = 1 },
	};
	r = node_put(&c, &root);
	if (r == 0)
		r = change_commit(&c);
	change_end(&c);
	return r;
}

/* Without opening it: the counter of parts, and a root. */
static int mend_basics(struct rows *rows, const struct volume_mend_options *options)
{
	struct volume bare = { .rows = rows };
	struct mending m = { .v = &bare, .options = options };
	const struct volume_check_options check = { .find = on_basic, .ctx = &m };
	struct volume_checked sums;
	struct node root;
	int r = volume_check(rows, &check, &sums);

	if (r)
		return r;
	r = node_load_stored(&bare, VOL_ROOT, &root);
	if (r == 0) {
		r = root.i.nlink ? 0 : -ENOENT;
		node_done(&root);
	}
	return r == -ENOENT || r == -EUCLEAN ? put_root(&m) : r;
}

/* ---- all of it ---- */

static int plan(struct rows *rows, const struct volume_mend_options *options, struct volume_mended *ret)
{
	struct mending m = { .options = options };
	const struct volume_check_options check = { .find = on_find, .ctx = &m };
	struct volume_checked sums = { 0 };
	int r = volume_check(rows, &check, &sums), closed = rows->ops->close(rows);

	*ret = (struct volume_mended){ sums.finds, sums.finds };
	return r ? r : closed;
}

int volume_mend(struct rows *rows, const struct volume_mend_options *options, struct volume_mended *ret)
{
	enum { ROUNDS_MAX = 20 };
	const struct volume_options open_options = { 0 };
	struct mending m = { .options = options };
	const struct volume_check_options check = { .find = on_find, .ctx = &m };
	struct volume_checked sums = { 0 };
	int r, closed;

	if (options->plan_only)
		return plan(rows, options, ret);
	*ret = (struct volume_mended){ 0 };
	r = mend_basics(rows, options);
	if (r) {
		(void)rows->ops->close(rows);
		return r;
	}
	r = volume_open(rows, &open_options, &m.v);
	if (r < 0)
		return r;
	for (int i = 0; r == 0 && i < ROUNDS_MAX && (i == 0 || sums.finds); i++) {
		r = volume_check(m.v->rows, &check, &sums);
		ret->finds += sums.finds;
		ret->left = sums.finds;
	}
	closed = volume_close(m.v);
	return r ? r : closed;
}
