/* SPDX-License-Identifier: MIT */
/* read, SEEK_DATA and SEEK_HOLE: what looks at the bytes of a file */
#include <unistd.h>

#include "fs/volume/internal.h"

static void read_inlined(const struct schema_inode *inode, uint64_t offset, uint8_t *buf, size_t size)
{
	size_t have = 0;

	if (offset < inode->content_size) {
		have = inode->content_size - (size_t)offset;
		if (have > size)
			have = size;
		memcpy(buf, inode->content + offset, have);
	}
	memset(buf + have, 0, size - have);
}

static int read_extents(struct volume *v, vol_ino ino, uint64_t offset, void *buf, size_t size)
{
	struct rows_iter *it = NULL;
	int r;

	r = extents_open(v, ino, offset, offset + size, &it);
	if (r < 0)
		return r;
	r = extents_read(v, it, ino, offset, buf, size);
	v->rows->ops->iter_free(it);
	return r;
}

int volume_read(struct volume *v, vol_ino ino, uint64_t offset, void *buf, size_t size, size_t *ret_size)
{
	struct locked locked;
	struct node node;
	int r;

	/* The inode's size and the extents must be of one moment. */
	inode_lock_shared(v, &locked, ino);
	r = node_load_file(v, ino, &node);
	if (r < 0)
		goto out;
	if (offset >= node.i.file.size)
		size = 0;
	else if (size > node.i.file.size - offset)
		size = (size_t)(node.i.file.size - offset);
	if (node.i.file.inlined)
		read_inlined(&node.i, offset, buf, size);
	else if (size > 0)
		r = read_extents(v, ino, offset, buf, size);
	node_done(&node);
	if (r == 0)
		*ret_size = size;
out:
	inodes_unlock(v, &locked);
	return r;
}

static int seek_inlined(const struct schema_inode *inode, uint64_t offset, bool data, uint64_t *ret)
{
	bool in_data = offset < inode->content_size;

	if (data && !in_data)
		return -ENXIO;
	*ret = data || !in_data ? offset : inode->content_size;
	return 0;
}

/* Extents that touch are one stretch of data. */
static int seek_extents(struct volume *v, vol_ino ino, uint64_t size, uint64_t offset, bool data, uint64_t *ret)
{
	struct rows_iter *it = NULL;
	struct extent e;
	int r;

	r = extents_open(v, ino, offset, size, &it);
	if (r < 0)
		return r;
	r = extent_first(v, it, ino, offset, &e);
	if (data) {
		if (r == 1)
			offset = e.offset > offset ? e.offset : offset;
		else if (r == 0)
			r = -ENXIO;
	} else {
		for (; r == 1 && e.offset <= offset; r = extent_next(v, it, &e))
			offset = e.offset + e.size;
	}
	v->rows->ops->iter_free(it);
	if (r < 0)
		return r;
	*ret = offset;
	return 0;
}

int volume_seek(struct volume *v, vol_ino ino, uint64_t offset, int whence, uint64_t *ret_offset)
{
	struct locked locked;
	struct node node;
	int r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	inode_lock_shared(v, &locked, ino);
	r = node_load_file(v, ino, &node);
	if (r < 0)
		goto out;
	if (offset >= node.i.file.size)
		r = -ENXIO;
	else if (node.i.file.inlined)
		r = seek_inlined(&node.i, offset, whence == SEEK_DATA, ret_offset);
	else
		r = seek_extents(v, ino, node.i.file.size, offset, whence == SEEK_DATA, ret_offset);
	node_done(&node);
out:
	inodes_unlock(v, &locked);
	return r;
}
