/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "fs/volume/internal.h"

_Static_assert(VOL_FLAG_IMMUTABLE == SCHEMA_FLAG_IMMUTABLE && VOL_FLAG_APPEND == SCHEMA_FLAG_APPEND &&
		       VOL_FLAG_NODUMP == SCHEMA_FLAG_NODUMP && VOL_FLAG_NOATIME == SCHEMA_FLAG_NOATIME,
	       "stored as they are");

static int forbidden_by(const struct node *node, uint32_t flags)
{
	return node->i.flags & flags ? -EPERM : 0;
}

int flags_allow_change(const struct node *node)
{
	return forbidden_by(node, VOL_FLAG_IMMUTABLE | VOL_FLAG_APPEND);
}

int flags_allow_entry(const struct node *dir)
{
	return forbidden_by(dir, VOL_FLAG_IMMUTABLE);
}

int flags_allow_removal(const struct node *dir, const struct node *node)
{
	int r = flags_allow_change(dir);

	return r < 0 ? r : flags_allow_change(node);
}

int flags_allow_write(const struct node *file, uint64_t offset)
{
	return forbidden_by(file,
			    offset == file->i.file.size ? VOL_FLAG_IMMUTABLE : VOL_FLAG_IMMUTABLE | VOL_FLAG_APPEND);
}

int flags_allow_fallocate(const struct node *file, int mode)
{
	return forbidden_by(file,
			    mode & ~FALLOC_FL_KEEP_SIZE ? VOL_FLAG_IMMUTABLE | VOL_FLAG_APPEND : VOL_FLAG_IMMUTABLE);
}

/* Times may be set to now by who may write. */
int flags_allow_setattr(const struct node *node, unsigned which)
{
	const unsigned more_than_touch =
		VOL_SET_MODE | VOL_SET_UID | VOL_SET_GID | VOL_SET_SIZE | VOL_SET_ATIME | VOL_SET_MTIME;

	return forbidden_by(node, which & more_than_touch ? VOL_FLAG_IMMUTABLE | VOL_FLAG_APPEND : VOL_FLAG_IMMUTABLE);
}

static int set_flags(struct change *c, struct node *node, uint32_t flags)
{
	int r = 0;

	if (!S_ISREG(node->i.mode) && !S_ISDIR(node->i.mode))
		return -EOPNOTSUPP;
	if (node->i.flags & flags & VOL_FLAG_IMMUTABLE && node->i.flags != flags)
		return -EPERM;
	if (flags)
		r = volume_need_feature(c->v, SCHEMA_FEATURE_FLAGS);
	if (r < 0)
		return r;
	node->i.flags = flags;
	node->i.ctime = c->now;
	r = node_put(c, node);
	return r < 0 ? r : change_commit(c);
}

int volume_set_flags(struct volume *v, vol_ino ino, uint32_t flags)
{
	struct locked locked;
	struct node node;
	struct change c;
	int r;

	if (flags & ~SCHEMA_FLAGS_ALL)
		return -EOPNOTSUPP;
	r = change_begin(&c, v);
	if (r < 0)
		return r;
	inode_lock(v, &locked, ino);
	r = node_load(v, ino, &node);
	if (r == 0) {
		r = set_flags(&c, &node, flags);
		node_done(&node);
	}
	inodes_unlock(v, &locked);
	change_end(&c);
	return r;
}
