/* SPDX-License-Identifier: MIT */
#include "fs/volume/internal.h"

/* The next component of a path: 1 and its copy, 0 at the end. */
static int path_next(const char **path, char name[VOL_NAME_MAX + 1])
{
	const char *start = *path + strspn(*path, "/");
	size_t size = strcspn(start, "/");

	*path = start + size;
	if (size == 0)
		return 0;
	if (size > VOL_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, start, size);
	name[size] = 0;
	return 1;
}

static bool path_is_at_end(const char *path)
{
	return path[strspn(path, "/")] == 0;
}

int volume_resolve(struct volume *v, const char *path, struct vol_attr *ret)
{
	char name[VOL_NAME_MAX + 1];
	struct vol_attr attr;
	int r;

	r = volume_getattr(v, VOL_ROOT, &attr);
	if (r < 0)
		return r;
	while ((r = path_next(&path, name)) > 0) {
		r = volume_lookup(v, attr.ino, name, &attr);
		if (r < 0)
			return r;
	}
	if (r == 0)
		*ret = attr;
	return r;
}

int volume_resolve_parent(struct volume *v, const char *path, vol_ino *ret_parent, char *ret_name)
{
	char name[VOL_NAME_MAX + 1];
	struct vol_attr attr = { .ino = VOL_ROOT, .mode = S_IFDIR };
	int r;

	for (;;) {
		r = path_next(&path, name);
		if (r <= 0)
			return r < 0 ? r : -EINVAL;
		if (path_is_at_end(path))
			break;
		r = volume_lookup(v, attr.ino, name, &attr);
		if (r < 0)
			return r;
	}
	if (!S_ISDIR(attr.mode))
		return -ENOTDIR;
	*ret_parent = attr.ino;
	memcpy(ret_name, name, strlen(name) + 1);
	return 0;
}
