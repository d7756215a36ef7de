/* SPDX-License-Identifier: MIT */
/*
 * Access control lists: extended attributes that are checked, and that go together with the mode. Whose rights they
 * are is for the kernel to tell.
 */
#include "fs/volume/internal.h"

/* A list of an inode, copied. */
struct acl {
	struct schema_key key;
	size_t size;
	uint8_t data[SCHEMA_ACL_MAX];
};

bool acl_is_name(const char *name)
{
	return strcmp(name, VOL_ACL_ACCESS) == 0 || strcmp(name, VOL_ACL_DEFAULT) == 0;
}

static bool is_default(const char *name)
{
	return strcmp(name, VOL_ACL_DEFAULT) == 0;
}

/* 1; 0: there is none; -EUCLEAN. */
static int acl_load(struct volume *v, const struct node *node, const char *name, struct acl *ret)
{
	struct row_value value;
	int r;

	if (node->i.xattrs == 0)
		return 0;
	schema_key_xattr(&ret->key, node->ino, name, strlen(name));
	r = v->rows->ops->get(v->rows, row_key(&ret->key), &value);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (schema_acl_check(value.data, value.size) < 0 || schema_acl_is_empty(value.size)) {
		r = -EUCLEAN;
	} else {
		memcpy(ret->data, value.data, value.size);
		ret->size = value.size;
		r = 1;
	}
	v->rows->ops->value_release(v->rows, &value);
	return r;
}

static int acl_put(struct change *c, struct node *node, const char *name, const void *acl, size_t size)
{
	struct schema_key key;
	int r = volume_need_feature(c->v, SCHEMA_FEATURE_ACL);

	if (r < 0)
		return r;
	schema_key_xattr(&key, node->ino, name, strlen(name));
	return xattr_put(c, node, &key, acl, size, 0);
}

int acl_remove(struct change *c, struct node *node, const char *name)
{
	struct schema_key key;
	int r;

	schema_key_xattr(&key, node->ino, name, strlen(name));
	r = xattr_drop(c, node, &key);
	if (r == 0)
		node->i.ctime = c->now;
	return r == -ENODATA ? 0 : r;
}

int acl_set(struct change *c, struct node *node, const char *name, const void *acl, size_t size, bool kill_sgid)
{
	bool says_more = true;
	int r = schema_acl_check(acl, size);

	if (r < 0)
		return r;
	if (schema_acl_is_empty(size))
		return acl_remove(c, node, name);
	if (S_ISLNK(node->i.mode))
		return -EOPNOTSUPP;
	if (is_default(name) && !S_ISDIR(node->i.mode))
		return -EACCES;
	if (!is_default(name)) {
		says_more = schema_acl_to_mode(acl, size, &node->i.mode);
		if (kill_sgid)
			node->i.mode &= ~(uint32_t)S_ISGID;
	}
	node->i.ctime = c->now;
	return says_more ? acl_put(c, node, name, acl, size) : acl_remove(c, node, name);
}

int acl_chmod(struct change *c, struct node *node)
{
	struct acl acl;
	int r = acl_load(c->v, node, VOL_ACL_ACCESS, &acl);

	if (r <= 0)
		return r;
	schema_acl_chmod(acl.data, acl.size, node->i.mode);
	return change_put(c, &acl.key, acl.data, acl.size);
}

int acl_inherit(struct change *c, const struct node *dir, struct node *node, uint32_t umask)
{
	struct acl acl;
	int r = acl_load(c->v, dir, VOL_ACL_DEFAULT, &acl);

	if (r == 0)
		node->i.mode &= ~(umask & 0777);
	if (r <= 0)
		return r;
	r = S_ISDIR(node->i.mode) ? acl_put(c, node, VOL_ACL_DEFAULT, acl.data, acl.size) : 0;
	if (r == 0 && schema_acl_inherit(acl.data, acl.size, &node->i.mode))
		r = acl_put(c, node, VOL_ACL_ACCESS, acl.data, acl.size);
	return r;
}
