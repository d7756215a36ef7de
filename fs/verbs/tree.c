/* SPDX-License-Identifier: MIT */
#include "fs/verbs/tree.h"

#include <errno.h>
#include <string.h>

int tree_open(const char *path, bool read_only, struct tree **ret)
{
	int r = tree_mount_open(path, ret);

	if (r != 0)
		return r < 0 ? r : 0;
	return tree_volume_open(path, read_only, ret);
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The next component: 1 and its copy, 0 at the end. */
static int next_name(const char **path, char name[VOL_NAME_MAX + 1])
{
	const char *start = *path + strspn(*path, "/");
	size_t size = strcspn(start, "/");

	if (size == 0)
		return 0;
	if (size > VOL_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, start, size);
	name[size] = 0;
	*path = start + size + strspn(start + size, "/");
	return 1;
}

/* Goes as far as the directory of the last component. */
static int walk(struct tree *tree, const char *path, struct tree_place *place)
{
	char name[VOL_NAME_MAX + 1];
	int r;

	strcpy(place->name, ".");
	while ((r = next_name(&path, name)) > 0) {
		if (*path || is_dots(name)) {
			r = tree->ops->enter(tree, &place->dir, name);
			if (r < 0)
				return r;
		} else {
			memcpy(place->name, name, strlen(name) + 1);
		}
	}
	return r;
}

int tree_find(struct tree *tree, const char *path, struct tree_place *ret)
{
	struct tree_place place = { 0 };
	int r;

	r = tree->ops->root(tree, &place.dir);
	if (r < 0)
		return r;
	r = walk(tree, path, &place);
	if (r == 0)
		r = tree->ops->lookup(tree, &place.dir, place.name, &place.attr);
	place.exists = r == 0;
	if (r == -ENOENT && strcmp(place.name, ".") != 0)
		r = 0;
	if (r < 0)
		tree_place_done(tree, &place);
	else
		*ret = place;
	return r;
}

void tree_place_done(struct tree *tree, struct tree_place *place)
{
	tree->ops->dir_done(tree, &place->dir);
}
