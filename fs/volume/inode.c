/* SPDX-License-Identifier: MIT */
#include "fs/volume/internal.h"

int node_load_stored(struct volume *v, vol_ino ino, struct node *ret)
{
	struct node node = { .ino = ino };
	struct schema_key key;
	int r;

	schema_key_inode(&key, ino);
	r = v->rows->ops->get(v->rows, row_key(&key), &node.value);
	if (r < 0)
		return r;
	r = schema_inode_decode(node.value.data, node.value.size, &node.i);
	if (r == 0 && S_ISDIR(node.i.mode) != is_dir_ino(ino))
		r = -EUCLEAN;
	if (r < 0) {
		v->rows->ops->value_release(v->rows, &node.value);
		return r;
	}
	node.v = v;
	*ret = node;
	return 0;
}

int node_load(struct volume *v, vol_ino ino, struct node *ret)
{
	int r = node_load_stored(v, ino, ret);

	if (r == 0)
		atime_merge(v, ino, &ret->i);
	return r;
}

int node_load_dir(struct volume *v, vol_ino ino, struct node *ret)
{
	struct node node;
	int r;

	r = node_load(v, ino, &node);
	if (r < 0)
		return r;
	if (!S_ISDIR(node.i.mode))
		r = -ENOTDIR;
	else if (node.i.nlink == 0)
		r = -ENOENT;
	if (r < 0)
		node_done(&node);
	else
		*ret = node;
	return r;
}

int node_load_file(struct volume *v, vol_ino ino, struct node *ret)
{
	struct node node;
	int r;

	r = node_load(v, ino, &node);
	if (r < 0)
		return r;
	if (S_ISREG(node.i.mode)) {
		*ret = node;
		return 0;
	}
	r = S_ISDIR(node.i.mode) ? -EISDIR : -EINVAL;
	node_done(&node);
	return r;
}

void node_done(struct node *node)
{
	if (node->v)
		node->v->rows->ops->value_release(node->v->rows, &node->value);
	node->v = NULL;
}

int node_put(struct change *c, const struct node *node)
{
	uint8_t buf[SCHEMA_INODE_MAX];
	struct schema_key key;

	schema_key_inode(&key, node->ino);
	return change_put(c, &key, buf, schema_inode_encode(&node->i, buf));
}

void inode_attr(vol_ino ino, const struct schema_inode *inode, struct vol_attr *ret)
{
	struct vol_attr attr = {
		.ino = ino,
		.generation = inode->generation,
		.mode = inode->mode,
		.nlink = inode->nlink,
		.uid = inode->uid,
		.gid = inode->gid,
		.atime = inode->atime,
		.mtime = inode->mtime,
		.ctime = inode->ctime,
		.btime = inode->btime,
		.flags = inode->flags,
	};

	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		attr.size = inode->file.size;
		attr.allocated_bytes = inode->file.allocated_bytes;
		break;
	case S_IFDIR:
		attr.size = inode->dir.entries;
		break;
	case S_IFLNK:
		attr.size = inode->content_size;
		break;
	case S_IFCHR:
	case S_IFBLK:
		attr.rdev = inode->rdev;
		break;
	default:
		break;
	}
	*ret = attr;
}

void node_attr(const struct node *node, struct vol_attr *ret)
{
	inode_attr(node->ino, &node->i, ret);
}

int dir_gains(struct node *dir, const struct change *c, bool subdir)
{
	if (subdir && dir->i.nlink == VOL_LINK_MAX)
		return -EMLINK;
	dir->i.nlink += subdir;
	dir->i.dir.entries++;
	node_touch(dir, c);
	return 0;
}

int dir_loses(struct node *dir, const struct change *c, bool subdir)
{
	if (dir->i.dir.entries == 0 || (subdir && dir->i.nlink <= 2))
		return -EUCLEAN;
	dir->i.nlink -= subdir;
	dir->i.dir.entries--;
	node_touch(dir, c);
	return 0;
}

void node_kill_priv(struct node *node)
{
	node->i.mode &= ~(uint32_t)S_ISUID;
	/* set-gid without group execution means something else (mandatory locks, once) and stays */
	if (node->i.mode & S_IXGRP)
		node->i.mode &= ~(uint32_t)S_ISGID;
}

void node_freed(struct node *node, uint64_t bytes)
{
	/* A count that damage has made too low must not wrap: the row could not be decoded any more. */
	if (bytes > node->i.file.allocated_bytes)
		bytes = node->i.file.allocated_bytes;
	node->i.file.allocated_bytes -= bytes;
}

int node_unlink(struct change *c, struct node *node, struct vol_gone *ret_gone)
{
	int r = 0;

	if (node->i.nlink == 0)
		return -EUCLEAN;
	node->i.nlink = S_ISDIR(node->i.mode) ? 0 : node->i.nlink - 1;
	node->i.ctime = c->now;
	if (node->i.nlink == 0) {
		r = change_put_orphan(c, node->ino);
		ret_gone->ino = node->ino;
	}
	return r < 0 ? r : node_put(c, node);
}
