/* SPDX-License-Identifier: MIT */
/* The files of a store that isn't mounted. */
#include "fs/verbs/common.h"
#include "fs/verbs/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tree_volume {
	struct tree tree;
	struct volume *volume;
	struct vol_cred cred;
	char path[];
};

static struct tree_volume *from_tree(struct tree *tree)
{
	return (struct tree_volume *)tree;
}

static struct volume *volume_of(struct tree *tree)
{
	return from_tree(tree)->volume;
}

static int on_close(struct tree *tree, int r)
{
	struct tree_volume *t = from_tree(tree);

	r = store_close(t->volume, t->path, r);
	free(t);
	return r;
}

static int on_root(struct tree *tree, struct tree_dir *ret)
{
	(void)tree;
	*ret = (struct tree_dir){ .ino = VOL_ROOT, .fd = -1 };
	return 0;
}

static int on_enter(struct tree *tree, struct tree_dir *dir, const char *name)
{
	struct vol_attr attr;
	int r = volume_lookup(volume_of(tree), dir->ino, name, &attr);

	if (r == 0 && !S_ISDIR(attr.mode))
		r = -ENOTDIR;
	if (r == 0)
		dir->ino = attr.ino;
	return r;
}

static void on_dir_done(struct tree *tree, struct tree_dir *dir)
{
	(void)tree, (void)dir;
}

static int on_list(struct tree *tree, const struct tree_dir *dir, bool plus, vol_entry_fn fn, void *ctx)
{
	return volume_readdir(volume_of(tree), dir->ino, 0, plus, fn, ctx);
}

static int on_lookup(struct tree *tree, const struct tree_dir *dir, const char *name, struct vol_attr *ret)
{
	return volume_lookup(volume_of(tree), dir->ino, name, ret);
}

static int on_readlink(struct tree *tree, const struct tree_dir *dir, const char *name, char *buf)
{
	struct vol_attr attr;
	int r = volume_lookup(volume_of(tree), dir->ino, name, &attr);

	return r < 0 ? r : volume_readlink(volume_of(tree), attr.ino, buf);
}

static int on_mkdir(struct tree *tree, const struct tree_dir *dir, const char *name, uint32_t mode)
{
	struct vol_attr attr;

	return volume_mkdir(volume_of(tree), dir->ino, name, mode, &from_tree(tree)->cred, &attr);
}

static int on_remove(struct tree *tree, const struct tree_dir *dir, const char *name, bool directory)
{
	struct volume *volume = volume_of(tree);
	struct vol_gone gone = { 0 };
	int r = directory ? volume_rmdir(volume, dir->ino, name, &gone) : volume_unlink(volume, dir->ino, name, &gone);

	return r == 0 && gone.ino ? volume_reclaim(volume, gone.ino) : r;
}

static int on_file_open(struct tree *tree, const struct tree_dir *dir, const char *name, struct tree_file *ret)
{
	struct vol_attr attr;
	int r = volume_lookup(volume_of(tree), dir->ino, name, &attr);

	if (r == 0 && !S_ISREG(attr.mode))
		r = -EINVAL;
	if (r == 0)
		*ret = (struct tree_file){ .ino = attr.ino, .fd = -1 };
	return r;
}

static int on_file_read(struct tree *tree, const struct tree_file *file, uint64_t offset, void *buf, size_t size,
			size_t *ret_size)
{
	return volume_read(volume_of(tree), file->ino, offset, buf, size, ret_size);
}

static int on_file_new(struct tree *tree, const struct tree_dir *dir, uint32_t mode, struct tree_file *ret)
{
	struct vol_attr attr;
	int r = volume_tmpfile(volume_of(tree), dir->ino, mode, &from_tree(tree)->cred, &attr);

	if (r == 0)
		*ret = (struct tree_file){ .ino = attr.ino, .fd = -1, .nameless = true };
	return r;
}

static int on_file_write(struct tree *tree, const struct tree_file *file, uint64_t offset, const void *buf, size_t size)
{
	return volume_write(volume_of(tree), file->ino, offset, buf, size, 0);
}

static int take_rights(struct volume *volume, const struct vol_attr *from, vol_ino ino)
{
	char acl[VOL_ACL_MAX];
	struct vol_attr attr;
	size_t size;
	int r;

	r = volume_setattr(volume, ino, from, VOL_SET_MODE | VOL_SET_UID | VOL_SET_GID, &attr);
	if (r < 0)
		return r;
	r = volume_getxattr(volume, from->ino, VOL_ACL_ACCESS, acl, sizeof(acl), &size);
	if (r == -ENODATA)
		return volume_removexattr(volume, ino, VOL_ACL_ACCESS);
	return r < 0 ? r : volume_setxattr(volume, ino, VOL_ACL_ACCESS, acl, size, 0);
}

/* A nameless file can't be renamed: it gets a name of its own first. Dying just between leaves that behind, whole. */
static int replace(struct volume *volume, vol_ino dir, vol_ino ino, const char *name)
{
	char temporary[VOL_NAME_MAX + 1];
	struct vol_gone gone = { 0 };
	struct vol_attr attr;
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST; i++) {
		snprintf(temporary, sizeof(temporary), ".lsmfs-put.%ld.%u", (long)getpid(), i);
		r = volume_link(volume, ino, dir, temporary, &attr);
	}
	if (r == 0)
		r = volume_rename(volume, dir, temporary, dir, name, 0, &gone);
	return r == 0 && gone.ino ? volume_reclaim(volume, gone.ino) : r;
}

static int on_file_name(struct tree *tree, const struct tree_dir *dir, struct tree_file *file, const char *name,
			const struct vol_attr *replaced)
{
	struct volume *volume = volume_of(tree);
	struct vol_attr attr;
	int r;

	if (replaced) {
		r = take_rights(volume, replaced, file->ino);
		if (r == 0)
			r = replace(volume, dir->ino, file->ino, name);
	} else {
		r = volume_link(volume, file->ino, dir->ino, name, &attr);
	}
	if (r == 0)
		file->nameless = false;
	return r;
}

static void on_file_done(struct tree *tree, const struct tree_dir *dir, struct tree_file *file)
{
	(void)dir;
	if (file->nameless)
		(void)volume_reclaim(volume_of(tree), file->ino); /* else the next opening does it */
}

int tree_volume_open(const char *path, bool read_only, struct tree **ret)
{
	static const struct tree_ops ops = {
		.close = on_close,
		.root = on_root,
		.enter = on_enter,
		.dir_done = on_dir_done,
		.list = on_list,
		.lookup = on_lookup,
		.readlink = on_readlink,
		.mkdir = on_mkdir,
		.remove = on_remove,
		.file_open = on_file_open,
		.file_read = on_file_read,
		.file_new = on_file_new,
		.file_write = on_file_write,
		.file_name = on_file_name,
		.file_done = on_file_done,
	};
	const struct store_open_options options = { .read_only = read_only };
	struct tree_volume *t = malloc(sizeof(*t) + strlen(path) + 1);
	mode_t mask = umask(0);
	int r;

	umask(mask);
	if (!t) {
		complain("no memory");
		return -ENOMEM;
	}
	*t = (struct tree_volume){
		.tree.ops = &ops,
		.cred = { .uid = geteuid(), .gid = getegid(), .umask = mask },
	};
	strcpy(t->path, path);
	r = store_open(path, &options, &t->volume);
	if (r < 0)
		free(t);
	else
		*ret = &t->tree;
	return r;
}
