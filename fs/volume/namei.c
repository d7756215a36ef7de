/* SPDX-License-Identifier: MIT */
/* What finds names and makes them: lookup, create, mkdir, symlink, tmpfile, link. */
#include "fs/volume/internal.h"

/* How often a lookup starts again because the inode went away between the two rows it reads. */
#define LOOKUP_TRIES 100

static int lookup_parent(struct volume *v, vol_ino dir, struct vol_attr *ret)
{
	struct node node;
	vol_ino parent;
	int r;

	r = node_load_dir(v, dir, &node);
	if (r < 0)
		return r;
	parent = node.i.dir.parent;
	node_done(&node);
	return volume_getattr(v, parent, ret);
}

int volume_lookup(struct volume *v, vol_ino parent, const char *name, struct vol_attr *ret)
{
	vol_ino ino;
	int r;

	if (strcmp(name, ".") == 0)
		return is_dir_ino(parent) ? volume_getattr(v, parent, ret) : -ENOTDIR;
	if (strcmp(name, "..") == 0)
		return lookup_parent(v, parent, ret);
	r = name_check(name);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < LOOKUP_TRIES; i++) {
		r = entry_lookup(v, parent, name, &ino, NULL);
		if (r < 0)
			return r;
		r = volume_getattr(v, ino, ret);
		if (r != -ENOENT)
			return r;
		/* removed and reclaimed meanwhile; the name may be another file's now */
	}
	return -EUCLEAN; /* an entry without an inode */
}

void inode_init(struct schema_inode *inode, const struct change *c, uint32_t mode, const struct vol_cred *cred,
		const struct schema_inode *dir)
{
	inode->mode = mode;
	inode->uid = cred->uid;
	inode->gid = cred->gid;
	if (dir->mode & S_ISGID) {
		inode->gid = dir->gid;
		if (S_ISDIR(mode))
			inode->mode |= S_ISGID;
	}
	inode->nlink = S_ISDIR(mode) ? 2 : 1;
	inode->generation = c->v->generation;
	inode->flags = dir->flags & SCHEMA_FLAGS_INHERITED;
	inode->atime = inode->mtime = inode->ctime = inode->btime = c->now;
}

int node_birth(struct volume *v, struct node *dir, struct node *node)
{
	uint64_t part;
	int r;

	if (!S_ISDIR(node->i.mode))
		return file_ino_alloc(v, dir, &node->ino);
	r = part_alloc(v, &part);
	if (r < 0)
		return r;
	node->ino = schema_ino(part, 0);
	node->i.dir.parent = dir->ino;
	node->i.dir.birth_part = part;
	node->i.dir.birth_next = 1;
	return 0;
}

/* The rights of a new inode, which has its number: all but symbolic links follow the directory's default list or the
 * maker's umask. */
static int inherit(struct change *c, const struct node *dir, struct node *node, const struct vol_cred *cred)
{
	return S_ISLNK(node->i.mode) ? 0 : acl_inherit(c, dir, node, cred->umask);
}

/* Puts entry, inode and directory. `node` has its mode and what its type needs. */
static int create_rows(struct change *c, struct node *dir, struct bucket *b, const char *name, struct node *node,
		       const struct vol_cred *cred)
{
	struct schema_entry e;
	int r;

	r = bucket_find(b, name, &e);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	inode_init(&node->i, c, node->i.mode, cred, &dir->i);
	r = dir_gains(dir, c, S_ISDIR(node->i.mode));
	if (r == 0)
		r = node_birth(c->v, dir, node);
	if (r == 0)
		r = inherit(c, dir, node, cred);
	if (r == 0)
		r = bucket_set(b, name, node->ino, node->i.mode);
	if (r == 0)
		r = bucket_put(c, b);
	if (r == 0)
		r = node_put(c, node);
	return r < 0 ? r : node_put(c, dir);
}

static int create(struct volume *v, vol_ino parent, const char *name, struct node *node, const struct vol_cred *cred,
		  struct vol_attr *ret)
{
	struct node dir = { 0 };
	struct locked locked;
	struct change c;
	struct bucket b;
	int r;

	r = name_check(name);
	if (r < 0)
		return r;
	r = change_begin(&c, v);
	if (r < 0)
		return r;
	inode_lock(v, &locked, parent);
	r = node_load_dir(v, parent, &dir);
	if (r == 0)
		r = flags_allow_entry(&dir);
	if (r < 0)
		goto out;
	r = bucket_load(v, parent, name, &b);
	if (r == 0)
		r = create_rows(&c, &dir, &b, name, node, cred);
	bucket_done(&b);
	if (r == 0)
		r = change_commit(&c);
	if (r == 0)
		node_attr(node, ret);
out:
	node_done(&dir);
	inodes_unlock(v, &locked);
	change_end(&c);
	return r;
}

/* 0 unless `mode` is that of a file which mknod makes. */
static int node_prepare(struct node *node, uint32_t mode, uint64_t rdev)
{
	*node = (struct node){ .i.mode = mode & (S_IFMT | 07777) };
	switch (mode & S_IFMT) {
	case 0:
		node->i.mode |= S_IFREG;
		node->i.file.inlined = true;
		return 0;
	case S_IFREG:
		node->i.file.inlined = true;
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		node->i.rdev = rdev;
		return 0;
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return -EINVAL;
	}
}

int volume_mknod(struct volume *v, vol_ino parent, const char *name, uint32_t mode, uint64_t rdev,
		 const struct vol_cred *cred, struct vol_attr *ret)
{
	struct node node;
	int r;

	r = node_prepare(&node, mode, rdev);
	return r < 0 ? r : create(v, parent, name, &node, cred, ret);
}

int volume_mkdir(struct volume *v, vol_ino parent, const char *name, uint32_t mode, const struct vol_cred *cred,
		 struct vol_attr *ret)
{
	struct node node = { .i.mode = S_IFDIR | (mode & 07777) };

	return create(v, parent, name, &node, cred, ret);
}

int volume_symlink(struct volume *v, vol_ino parent, const char *name, const char *target, const struct vol_cred *cred,
		   struct vol_attr *ret)
{
	struct node node = {
		.i = { .mode = S_IFLNK | 0777, .content = (const uint8_t *)target, .content_size = strlen(target) },
	};

	if (node.i.content_size == 0)
		return -ENOENT;
	if (node.i.content_size > VOL_SYMLINK_MAX)
		return -ENAMETOOLONG;
	return create(v, parent, name, &node, cred, ret);
}

int volume_readlink(struct volume *v, vol_ino ino, char *buf)
{
	struct node node;
	int r;

	r = node_load(v, ino, &node);
	if (r < 0)
		return r;
	if (S_ISLNK(node.i.mode)) {
		memcpy(buf, node.i.content, node.i.content_size);
		buf[node.i.content_size] = 0;
	} else {
		r = -EINVAL;
	}
	node_done(&node);
	return r;
}

/* The directory only gives a number; its times stay. */
static int tmpfile_rows(struct change *c, struct node *dir, struct node *node, const struct vol_cred *cred)
{
	int r;

	inode_init(&node->i, c, node->i.mode, cred, &dir->i);
	node->i.nlink = 0;
	r = node_birth(c->v, dir, node);
	if (r == 0)
		r = inherit(c, dir, node, cred);
	if (r == 0)
		r = node_put(c, node);
	if (r == 0)
		r = change_put_orphan(c, node->ino);
	return r < 0 ? r : node_put(c, dir);
}

int volume_tmpfile(struct volume *v, vol_ino parent, uint32_t mode, const struct vol_cred *cred, struct vol_attr *ret)
{
	struct node dir = { 0 }, node;
	struct locked locked;
	struct change c;
	int r;

	r = node_prepare(&node, S_IFREG | (mode & 07777), 0);
	if (r == 0)
		r = change_begin(&c, v);
	if (r < 0)
		return r;
	inode_lock(v, &locked, parent);
	r = node_load_dir(v, parent, &dir);
	if (r == 0)
		r = flags_allow_entry(&dir);
	if (r == 0)
		r = tmpfile_rows(&c, &dir, &node, cred);
	if (r == 0)
		r = change_commit(&c);
	if (r == 0)
		node_attr(&node, ret);
	node_done(&dir);
	inodes_unlock(v, &locked);
	change_end(&c);
	return r;
}

static int link_rows(struct change *c, struct node *dir, struct bucket *b, const char *name, struct node *node)
{
	struct schema_entry e;
	int r;

	r = bucket_find(b, name, &e);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	if (node->i.nlink == VOL_LINK_MAX)
		return -EMLINK;
	r = dir_gains(dir, c, false);
	if (r == 0)
		r = bucket_set(b, name, node->ino, node->i.mode);
	if (r == 0 && node->i.nlink == 0)
		r = change_delete_orphan(c, node->ino);
	node->i.nlink++;
	node->i.ctime = c->now;
	if (r == 0)
		r = bucket_put(c, b);
	if (r == 0)
		r = node_put(c, node);
	return r < 0 ? r : node_put(c, dir);
}

int volume_link(struct volume *v, vol_ino ino, vol_ino parent, const char *name, struct vol_attr *ret)
{
	struct node dir = { 0 }, node = { 0 };
	struct locked locked;
	struct change c;
	struct bucket b;
	int r;

	r = name_check(name);
	if (r < 0)
		return r;
	if (is_dir_ino(ino))
		return -EPERM;
	r = change_begin(&c, v);
	if (r < 0)
		return r;
	inodes_lock(v, &locked, 2, (vol_ino[]){ parent, ino });
	r = node_load_dir(v, parent, &dir);
	if (r == 0)
		r = node_load(v, ino, &node);
	if (r == 0)
		r = flags_allow_entry(&dir);
	if (r == 0)
		r = flags_allow_change(&node);
	if (r < 0)
		goto out;
	r = bucket_load(v, parent, name, &b);
	if (r == 0)
		r = link_rows(&c, &dir, &b, name, &node);
	bucket_done(&b);
	if (r == 0)
		r = change_commit(&c);
	if (r == 0)
		node_attr(&node, ret);
out:
	node_done(&node);
	node_done(&dir);
	inodes_unlock(v, &locked);
	change_end(&c);
	return r;
}
