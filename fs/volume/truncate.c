/* SPDX-License-Identifier: MIT */
/* truncate and fallocate: what changes the extent of a file without bringing bytes */
#include <fcntl.h>

#include "fs/volume/internal.h"

static int cut(struct change *c, struct node *node, uint64_t begin, uint64_t end)
{
	struct rows_iter *it = NULL;
	uint64_t freed = 0;
	int r;

	r = extents_open(c->v, node->ino, begin, end, &it);
	if (r < 0)
		return r;
	r = extents_cut(c, node->ino, it, begin, end, false, &freed);
	if (r == 0)
		node_freed(node, freed);
	c->v->rows->ops->iter_free(it);
	return r;
}

static void shorten_inlined(struct schema_inode *i, uint64_t size)
{
	if (i->content_size > size)
		i->content_size = (size_t)size;
	i->file.allocated_bytes = i->content_size;
}

int file_resize(struct change *c, struct node *node, uint64_t size)
{
	struct schema_inode *i = &node->i;
	int r = 0;

	if (i->file.inlined) {
		shorten_inlined(i, size);
	} else if (size == 0) {
		r = extents_drop(c, node->ino);
		i->file.inlined = true; /* what is rewritten may be small again */
		i->file.allocated_bytes = 0;
	} else if (size < i->file.size) {
		r = cut(c, node, size, UINT64_C(1) << 63);
	}
	if (r == 0)
		i->file.size = size;
	return r;
}

/* Zeros in the content of an inlined file: `copy` has SCHEMA_INLINE_MAX bytes. */
static void zero_inlined(struct schema_inode *i, uint64_t begin, uint64_t end, uint8_t *copy)
{
	if (begin >= i->content_size)
		return;
	if (end >= i->content_size) {
		shorten_inlined(i, begin);
		return;
	}
	memcpy(copy, i->content, i->content_size);
	memset(copy + begin, 0, end - begin);
	i->content = copy;
}

static int fallocate_locked(struct change *c, vol_ino ino, int mode, uint64_t begin, uint64_t end)
{
	uint8_t copy[SCHEMA_INLINE_MAX];
	struct node node = { 0 };
	int r;

	r = node_load_file(c->v, ino, &node);
	if (r < 0)
		return r;
	r = flags_allow_fallocate(&node, mode);
	if (r == 0 && mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		if (node.i.file.inlined)
			zero_inlined(&node.i, begin, end, copy);
		else if (begin < node.i.file.size)
			r = cut(c, &node, begin, end);
	}
	/* Space is not reserved: it is taken by whoever writes, and the store says then if there is none. */
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > node.i.file.size)
		node.i.file.size = end;
	node_touch(&node, c);
	if (r == 0)
		r = node_drop_caps(c, &node);
	if (r == 0)
		r = node_put(c, &node);
	if (r == 0)
		r = change_commit(c);
	node_done(&node);
	return r;
}

static bool mode_is_known(int mode)
{
	return mode == 0 || mode == FALLOC_FL_KEEP_SIZE || mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
	       mode == FALLOC_FL_ZERO_RANGE || mode == (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
}

int volume_fallocate(struct volume *v, vol_ino ino, int mode, uint64_t offset, uint64_t length)
{
	struct locked locked;
	struct change c;
	int r;

	if (!mode_is_known(mode))
		return -EOPNOTSUPP;
	if (length == 0)
		return -EINVAL;
	if (offset > VOL_FILE_SIZE_MAX || length > VOL_FILE_SIZE_MAX - offset)
		return -EFBIG;
	r = change_begin(&c, v);
	if (r < 0)
		return r;
	c.frees = mode & FALLOC_FL_PUNCH_HOLE;
	inode_lock(v, &locked, ino);
	r = fallocate_locked(&c, ino, mode, offset, offset + length);
	inodes_unlock(v, &locked);
	change_end(&c);
	return r;
}
