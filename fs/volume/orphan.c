/* SPDX-License-Identifier: MIT */
#include "fs/volume/internal.h"

#define ORPHANS_CHUNK 256

static int xattrs_drop(struct change *c, vol_ino ino)
{
	struct schema_key begin, end;

	schema_key_xattr(&begin, ino, "", 0);
	schema_key_xattr_end(&end, ino);
	return change_drop(c, &begin, &end);
}

/* All rows of the inode in one batch; a file of any size needs a few records at most. A directory's part stays: files
 * that were born in it may live on elsewhere, and its own rows are only these. */
static int node_drop(struct change *c, const struct node *node)
{
	struct schema_key key;
	int r = 0;

	if (S_ISREG(node->i.mode) && !node->i.file.inlined)
		r = extents_drop(c, node->ino);
	if (r == 0 && node->i.xattrs > 0)
		r = xattrs_drop(c, node->ino);
	schema_key_inode(&key, node->ino);
	if (r == 0)
		r = change_delete(c, &key);
	return r < 0 ? r : change_delete_orphan(c, node->ino);
}

int volume_reclaim(struct volume *v, vol_ino ino)
{
	struct node node = { 0 };
	struct locked locked;
	struct change c;
	int r;

	r = change_begin(&c, v);
	if (r < 0)
		return r;
	c.frees = true;
	inode_lock(v, &locked, ino);
	r = node_load(v, ino, &node);
	if (r < 0 || node.i.nlink > 0)
		goto out;
	r = node_drop(&c, &node);
	if (r == 0)
		r = change_commit(&c);
out:
	node_done(&node);
	inodes_unlock(v, &locked);
	change_end(&c);
	return r == -ENOENT ? 0 : r; /* freed before: nothing to do */
}

/* The next orphans behind `*after`, up to a chunk; 0 in `*ret_count` at the end. */
static int orphans_list(struct volume *v, vol_ino after, vol_ino *inos, unsigned *ret_count)
{
	const struct rows_ops *ops = v->rows->ops;
	struct schema_key begin, end;
	struct rows_iter *it = NULL;
	unsigned count = 0;
	int r;

	schema_key_orphan(&begin, after + 1);
	schema_key_orphan_end(&end);
	r = ops->iter_new(v->rows, row_key(&begin), row_key(&end), &it);
	if (r < 0)
		return r;
	for (r = ops->iter_seek(it, row_key(&begin)); r == 0 && count < ORPHANS_CHUNK && ops->iter_valid(it);
	     r = ops->iter_next(it)) {
		struct row_key key = ops->iter_key(it);

		if (schema_orphan_of_key(key.data, key.size, &inos[count]) == 0)
			count++;
	}
	ops->iter_free(it);
	if (r == 0)
		*ret_count = count;
	return r;
}

int orphans_reclaim(struct volume *v)
{
	vol_ino inos[ORPHANS_CHUNK], after = 0;
	unsigned count = 0;
	int r;

	for (;;) {
		r = orphans_list(v, after, inos, &count);
		if (r < 0 || count == 0)
			return r;
		for (unsigned i = 0; i < count; i++) {
			/* One that can't be freed (damaged, disk full, store gone read-only) keeps its row and is tried
			 * again at the next mount: no reason to refuse the rest of the volume. */
			(void)volume_reclaim(v, inos[i]);
		}
		after = inos[count - 1];
	}
}
