/* SPDX-License-Identifier: MIT */
#include "fs/volume/internal.h"

int volume_getattr(struct volume *v, vol_ino ino, struct vol_attr *ret)
{
	struct node node;
	int r;

	r = node_load(v, ino, &node);
	if (r < 0)
		return r;
	node_attr(&node, ret);
	node_done(&node);
	return 0;
}

static void set_times(struct schema_inode *inode, const struct change *c, const struct vol_attr *attr, unsigned which)
{
	if (which & VOL_SET_SIZE)
		inode->mtime = c->now;
	if (which & VOL_SET_ATIME)
		inode->atime = attr->atime;
	if (which & VOL_SET_ATIME_NOW)
		inode->atime = c->now;
	if (which & VOL_SET_MTIME)
		inode->mtime = attr->mtime;
	if (which & VOL_SET_MTIME_NOW)
		inode->mtime = c->now;
	inode->ctime = which & VOL_SET_CTIME ? attr->ctime : c->now;
}

static void set_owner_and_mode(struct node *node, const struct vol_attr *attr, unsigned which)
{
	if (which & VOL_SET_UID)
		node->i.uid = attr->uid;
	if (which & VOL_SET_GID)
		node->i.gid = attr->gid;
	if (which & VOL_SET_MODE)
		node->i.mode = (node->i.mode & S_IFMT) | (attr->mode & 07777);
	if (which & VOL_SET_KILL_PRIV && !S_ISDIR(node->i.mode)) {
		node_kill_priv(node);
		if (which & VOL_SET_KILL_SGID)
			node->i.mode &= ~(uint32_t)S_ISGID;
	}
}

static bool bad_time(struct timespec t)
{
	return t.tv_nsec < 0 || t.tv_nsec > 999999999;
}

static int setattr_check(const struct vol_attr *attr, unsigned which)
{
	if ((which & VOL_SET_ATIME && bad_time(attr->atime)) || (which & VOL_SET_MTIME && bad_time(attr->mtime)) ||
	    (which & VOL_SET_CTIME && bad_time(attr->ctime)))
		return -EINVAL;
	return which & VOL_SET_SIZE && attr->size > VOL_FILE_SIZE_MAX ? -EFBIG : 0;
}

int volume_setattr(struct volume *v, vol_ino ino, const struct vol_attr *attr, unsigned which, struct vol_attr *ret)
{
	struct node node = { 0 };
	struct locked locked;
	struct change c;
	int r;

	r = setattr_check(attr, which);
	if (r == 0)
		r = change_begin(&c, v);
	if (r < 0)
		return r;
	c.frees = true; /* a truncation, or a row that is there already */
	inode_lock(v, &locked, ino);
	r = which & VOL_SET_SIZE ? node_load_file(v, ino, &node) : node_load(v, ino, &node);
	if (r == 0)
		r = flags_allow_setattr(&node, which);
	if (r == 0 && which & VOL_SET_SIZE)
		r = file_resize(&c, &node, attr->size);
	if (r == 0 && which & (VOL_SET_SIZE | VOL_SET_UID | VOL_SET_GID | VOL_SET_KILL_PRIV))
		r = node_drop_caps(&c, &node);
	if (r < 0)
		goto out;
	if (which & (VOL_SET_ATIME | VOL_SET_ATIME_NOW))
		atime_forget(v, ino);
	set_owner_and_mode(&node, attr, which);
	set_times(&node.i, &c, attr, which);
	if (which & VOL_SET_MODE)
		r = acl_chmod(&c, &node);
	if (r == 0)
		r = node_put(&c, &node);
	if (r == 0)
		r = change_commit(&c);
	if (r == 0)
		node_attr(&node, ret);
out:
	node_done(&node);
	inodes_unlock(v, &locked);
	change_end(&c);
	return r;
}
