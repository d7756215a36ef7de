/* SPDX-License-Identifier: MIT */
/* unlink and rmdir */
#include "fs/volume/internal.h"

static int check_removable(const struct node *node, bool rmdir)
{
	if (!rmdir)
		return S_ISDIR(node->i.mode) ? -EISDIR : 0;
	if (!S_ISDIR(node->i.mode))
		return -ENOTDIR;
	return node->i.dir.entries > 0 ? -ENOTEMPTY : 0;
}

static int remove_rows(struct change *c, struct node *dir, struct bucket *b, const char *name, struct node *node,
		       struct vol_gone *gone)
{
	int r;

	bucket_remove(b, name);
	r = dir_loses(dir, c, S_ISDIR(node->i.mode));
	if (r == 0)
		r = bucket_put(c, b);
	if (r == 0)
		r = node_unlink(c, node, gone);
	return r < 0 ? r : node_put(c, dir);
}

/* With both inodes locked. -EAGAIN: the name is not that of `ino` any more. */
static int remove_locked(struct change *c, vol_ino parent, const char *name, vol_ino ino, bool rmdir,
			 struct vol_gone *gone)
{
	struct node dir = { 0 }, node = { 0 };
	struct bucket b = { .data = b.small };
	struct schema_entry e;
	int r;

	r = node_load_dir(c->v, parent, &dir);
	if (r == 0)
		r = bucket_load(c->v, parent, name, &b);
	if (r == 0)
		r = bucket_find(&b, name, &e);
	if (r == 0 && e.ino != ino)
		r = -EAGAIN;
	if (r < 0)
		goto out;
	r = node_load(c->v, ino, &node);
	if (r < 0) {
		r = r == -ENOENT ? -EUCLEAN : r;
		goto out;
	}
	r = flags_allow_removal(&dir, &node);
	if (r == 0)
		r = check_removable(&node, rmdir);
	if (r == 0)
		r = remove_rows(c, &dir, &b, name, &node, gone);
	if (r == 0)
		r = change_commit(c);
out:
	node_done(&node);
	bucket_done(&b);
	node_done(&dir);
	return r;
}

static int remove_entry(struct volume *v, vol_ino parent, const char *name, bool rmdir, struct vol_gone *ret_gone)
{
	struct vol_gone gone;
	struct locked locked;
	struct change c;
	vol_ino ino;
	int r;

	r = change_begin(&c, v);
	if (r < 0)
		return r;
	c.frees = true;
	do {
		/* Which inode to lock is known only from the entry: look, lock, and look again. */
		gone = (struct vol_gone){ 0 };
		r = entry_lookup(v, parent, name, &ino, NULL);
		if (r < 0)
			break;
		inodes_lock(v, &locked, 2, (vol_ino[]){ parent, ino });
		r = remove_locked(&c, parent, name, ino, rmdir, &gone);
		inodes_unlock(v, &locked);
	} while (r == -EAGAIN);
	change_end(&c);
	if (r == 0)
		*ret_gone = gone;
	return r;
}

int volume_unlink(struct volume *v, vol_ino parent, const char *name, struct vol_gone *ret_gone)
{
	int r = name_check(name);

	if (r < 0)
		return r == -EEXIST ? -EISDIR : r;
	return remove_entry(v, parent, name, false, ret_gone);
}

int volume_rmdir(struct volume *v, vol_ino parent, const char *name, struct vol_gone *ret_gone)
{
	int r = name_check(name);

	if (r == -EEXIST)
		return strcmp(name, ".") == 0 ? -EINVAL : -ENOTEMPTY;
	return r < 0 ? r : remove_entry(v, parent, name, true, ret_gone);
}
