/* SPDX-License-Identifier: MIT */
#include <sys/xattr.h>

#include "fs/volume/internal.h"

static int xattr_name_check(const char *name)
{
	size_t size = strlen(name);

	return size == 0 || size > VOL_XATTR_NAME_MAX ? -ERANGE : 0;
}

/* 0 when there is one, -ENODATA */
static int xattr_find(struct volume *v, const struct node *node, const struct schema_key *key)
{
	struct row_value value;
	int r;

	if (node->i.xattrs == 0)
		return -ENODATA;
	r = v->rows->ops->get(v->rows, row_key(key), &value);
	if (r == 0)
		v->rows->ops->value_release(v->rows, &value);
	return r == -ENOENT ? -ENODATA : r;
}

int xattr_put(struct change *c, struct node *node, const struct schema_key *key, const void *value, size_t size,
	      int flags)
{
	int r;

	r = xattr_find(c->v, node, key);
	if (r < 0 && r != -ENODATA)
		return r;
	if (r == 0 && flags & XATTR_CREATE)
		return -EEXIST;
	if (r == -ENODATA) {
		if (flags & XATTR_REPLACE)
			return -ENODATA;
		if (node->i.xattrs == UINT32_MAX)
			return -ENOSPC;
		node->i.xattrs++;
	}
	return change_put(c, key, value, size);
}

int xattr_drop(struct change *c, struct node *node, const struct schema_key *key)
{
	int r;

	r = xattr_find(c->v, node, key);
	if (r < 0)
		return r;
	node->i.xattrs--;
	return change_delete(c, key);
}

/* What is to be done with an attribute of a loaded inode, which is put afterwards. */
struct request {
	const char *name;
	const void *value;
	size_t size;
	int flags;
};

static int set_plain(struct change *c, struct node *node, const struct request *q)
{
	struct schema_key key;

	schema_key_xattr(&key, node->ino, q->name, strlen(q->name));
	node->i.ctime = c->now;
	return xattr_put(c, node, &key, q->value, q->size, q->flags & (XATTR_CREATE | XATTR_REPLACE));
}

static int set(struct change *c, struct node *node, const struct request *q)
{
	if (acl_is_name(q->name))
		return acl_set(c, node, q->name, q->value, q->size, q->flags & VOL_XATTR_KILL_SGID);
	return set_plain(c, node, q);
}

static int drop(struct change *c, struct node *node, const struct request *q)
{
	struct schema_key key;

	if (acl_is_name(q->name))
		return acl_remove(c, node, q->name);
	schema_key_xattr(&key, node->ino, q->name, strlen(q->name));
	node->i.ctime = c->now;
	return xattr_drop(c, node, &key);
}

/* Does `fn` as one batch. */
static int change_xattrs(struct volume *v, vol_ino ino, const struct request *q,
			 int (*fn)(struct change *c, struct node *node, const struct request *q))
{
	struct node node = { 0 };
	struct locked locked;
	struct change c;
	int r;

	r = xattr_name_check(q->name);
	if (r == 0)
		r = change_begin(&c, v);
	if (r < 0)
		return r;
	inode_lock(v, &locked, ino);
	r = node_load(v, ino, &node);
	if (r == 0)
		r = flags_allow_change(&node);
	if (r == 0)
		r = fn(&c, &node, q);
	if (r == 0)
		r = node_put(&c, &node);
	if (r == 0)
		r = change_commit(&c);
	node_done(&node);
	inodes_unlock(v, &locked);
	change_end(&c);
	return r;
}

int node_drop_caps(struct change *c, struct node *node)
{
	static const char name[] = "security.capability";
	struct schema_key key;
	int r;

	if (node->i.xattrs == 0 || S_ISDIR(node->i.mode))
		return 0;
	schema_key_xattr(&key, node->ino, name, sizeof(name) - 1);
	r = xattr_drop(c, node, &key);
	return r == -ENODATA ? 0 : r;
}

int volume_setxattr(struct volume *v, vol_ino ino, const char *name, const void *value, size_t size, int flags)
{
	const int one = flags & (XATTR_CREATE | XATTR_REPLACE);

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE | VOL_XATTR_KILL_SGID) || one == (XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (size > VOL_XATTR_VALUE_MAX)
		return -E2BIG;
	return change_xattrs(v, ino, &(struct request){ name, value, size, flags }, set);
}

int volume_removexattr(struct volume *v, vol_ino ino, const char *name)
{
	return change_xattrs(v, ino, &(struct request){ .name = name }, drop);
}

/* The inode says when there are none: programs and the kernel ask for those far more often than they are there. */
static int has_xattrs(struct volume *v, vol_ino ino)
{
	struct node node;
	int r;

	r = node_load(v, ino, &node);
	if (r < 0)
		return r;
	r = node.i.xattrs > 0;
	node_done(&node);
	return r;
}

int volume_getxattr(struct volume *v, vol_ino ino, const char *name, void *buf, size_t size, size_t *ret_size)
{
	struct row_value value;
	struct schema_key key;
	int r;

	r = xattr_name_check(name);
	if (r < 0)
		return r;
	r = has_xattrs(v, ino);
	if (r <= 0)
		return r < 0 ? r : -ENODATA;
	schema_key_xattr(&key, ino, name, strlen(name));
	r = v->rows->ops->get(v->rows, row_key(&key), &value);
	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	if (size == 0)
		*ret_size = value.size;
	else if (value.size > size)
		r = -ERANGE;
	else {
		memcpy(buf, value.data, value.size);
		*ret_size = value.size;
	}
	v->rows->ops->value_release(v->rows, &value);
	return r;
}

/* The names, each with a NUL; `size` 0: only their sizes. */
static int list_names(struct volume *v, struct rows_iter *it, char *buf, size_t size, size_t *ret_size)
{
	const struct rows_ops *ops = v->rows->ops;
	size_t used = 0, name_size;
	const char *name;
	int r = 0;

	while (r == 0 && ops->iter_valid(it)) {
		struct row_key key = ops->iter_key(it);

		r = schema_xattr_of_key(key.data, key.size, &name, &name_size);
		if (r < 0)
			return r;
		if (size > 0) {
			if (name_size + 1 > size - used)
				return -ERANGE;
			memcpy(buf + used, name, name_size);
			buf[used + name_size] = 0;
		}
		used += name_size + 1;
		r = ops->iter_next(it);
	}
	if (r == 0)
		*ret_size = used;
	return r;
}

int volume_listxattr(struct volume *v, vol_ino ino, char *buf, size_t size, size_t *ret_size)
{
	struct schema_key begin, end;
	struct rows_iter *it = NULL;
	int r;

	r = has_xattrs(v, ino);
	if (r <= 0) {
		if (r == 0)
			*ret_size = 0;
		return r;
	}
	schema_key_xattr(&begin, ino, "", 0);
	schema_key_xattr_end(&end, ino);
	r = v->rows->ops->iter_new(v->rows, row_key(&begin), row_key(&end), &it);
	if (r < 0)
		return r;
	r = v->rows->ops->iter_seek(it, row_key(&begin));
	if (r == 0)
		r = list_names(v, it, buf, size, ret_size);
	v->rows->ops->iter_free(it);
	return r;
}
