/* SPDX-License-Identifier: MIT */
/* The names of files and directories, and which of their changes are durable. */
#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Up to two names of one directory get other files, or none, in one step. */
struct change {
	struct change *next;
	struct inode *dir; /* held */
	unsigned n;
	struct name names[2]; /* inode: held; NULL: the name goes */
};

static struct inode *top;
static struct change *changes, **changes_end = &changes; /* in order; not durable yet */

/* ---- one directory ---- */

static struct name *find(const struct names *names, const char *text)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->list[i].text, text))
			return &names->list[i];
	return NULL;
}

static void set(struct names *names, const char *text, struct inode *inode)
{
	struct name *at = find(names, text);

	inode_hold(inode);
	if (at) {
		inode_release(at->inode);
		if (inode)
			at->inode = inode;
		else
			*at = names->list[--names->n];
		return;
	}
	if (!inode)
		return;
	if (names->n == names->capacity) {
		names->capacity = names->capacity ? names->capacity * 2 : 16;
		names->list = realloc(names->list, names->capacity * sizeof(*names->list));
		if (!names->list)
			sim_fail("no memory for names");
	}
	at = &names->list[names->n++];
	memcpy(at->text, text, strlen(text) + 1);
	at->inode = inode;
}

static void names_clear(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		inode_release(names->list[i].inode);
	names->n = 0;
}

void names_free(struct inode *dir)
{
	names_clear(&dir->now);
	names_clear(&dir->durable);
	free(dir->now.list);
	free(dir->durable.list);
}

/* ---- paths ---- */

/* The directory in which the last component of `path` lies, and that component. */
static int walk(const char *path, struct inode **ret_dir, char ret_name[NAME_BYTES])
{
	struct inode *dir = top;

	for (;;) {
		size_t size = strcspn(path, "/");
		const struct name *name;

		if (size >= NAME_BYTES)
			return ENAMETOOLONG;
		memcpy(ret_name, path, size);
		ret_name[size] = 0;
		path += size;
		while (*path == '/')
			path++;
		if (!*path)
			break;
		if (!size || !strcmp(ret_name, "."))
			continue;
		name = find(&dir->now, ret_name);
		if (!name)
			return ENOENT;
		if (!name->inode->is_dir)
			return ENOTDIR;
		dir = name->inode;
	}
	*ret_dir = dir;
	return 0;
}

int disk_find(const char *path, struct inode **ret)
{
	char text[NAME_BYTES];
	struct inode *dir;
	const struct name *name;
	int err = walk(path, &dir, text);

	if (err)
		return err;
	if (!*text || !strcmp(text, ".")) {
		*ret = dir;
		return 0;
	}
	name = find(&dir->now, text);
	if (!name)
		return ENOENT;
	*ret = name->inode;
	return 0;
}

static int dir_find(const char *path, struct inode **ret)
{
	int err = disk_find(path, ret);

	return err ? err : (*ret)->is_dir ? 0 : ENOTDIR;
}

/* ---- changes ---- */

static struct change *change_new(struct inode *dir)
{
	struct change *c = calloc(1, sizeof(*c));

	if (!c)
		sim_fail("no memory for names");
	c->dir = dir;
	inode_hold(dir);
	*changes_end = c;
	changes_end = &c->next;
	return c;
}

static void change_add(struct change *c, const char *text, struct inode *inode)
{
	struct name *name = &c->names[c->n++];

	memcpy(name->text, text, strlen(text) + 1);
	name->inode = inode;
	inode_hold(inode);
	set(&c->dir->now, text, inode);
}

static void change_end(struct change *c, bool durable)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (durable)
			set(&c->dir->durable, c->names[i].text, c->names[i].inode);
		inode_release(c->names[i].inode);
	}
	inode_release(c->dir);
	free(c);
}

static int add(const char *path, bool is_dir, struct inode **ret)
{
	char text[NAME_BYTES];
	struct inode *dir, *i;
	int err = walk(path, &dir, text);

	if (err)
		return err;
	if (find(&dir->now, text))
		return EEXIST;
	i = inode_new(is_dir);
	change_add(change_new(dir), text, i);
	*ret = i;
	return 0;
}

int disk_create(const char *path, struct inode **ret)
{
	return add(path, false, ret);
}

int disk_mkdir(const char *path)
{
	struct inode *i;

	return add(path, true, &i);
}

static int take_away(const char *path, bool is_dir)
{
	char text[NAME_BYTES];
	struct inode *dir;
	const struct name *name;
	int err = walk(path, &dir, text);

	if (err)
		return err;
	name = find(&dir->now, text);
	if (!name)
		return ENOENT;
	if (name->inode->is_dir != is_dir)
		return is_dir ? ENOTDIR : EISDIR;
	if (is_dir && name->inode->now.n)
		return ENOTEMPTY;
	change_add(change_new(dir), text, NULL);
	return 0;
}

int disk_unlink(const char *path)
{
	return take_away(path, false);
}

int disk_rmdir(const char *path)
{
	return take_away(path, true);
}

int disk_rename(const char *from, const char *to)
{
	char text[NAME_BYTES], new_text[NAME_BYTES];
	struct inode *dir, *new_dir, *inode;
	struct change *c;
	int err = walk(from, &dir, text);

	if (!err)
		err = walk(to, &new_dir, new_text);
	if (err)
		return err;
	if (!find(&dir->now, text))
		return ENOENT;
	if (dir != new_dir)
		sim_fail("a rename from one directory to another isn't simulated: %s to %s", from, to);
	if (find(&dir->now, new_text) && find(&dir->now, new_text)->inode->is_dir)
		return EISDIR;
	inode = find(&dir->now, text)->inode;
	c = change_new(dir);
	change_add(c, new_text, inode);
	change_add(c, text, NULL);
	return 0;
}

int disk_link(const char *from, const char *to)
{
	char text[NAME_BYTES];
	struct inode *inode, *dir;
	int err = disk_find(from, &inode);

	if (!err)
		err = walk(to, &dir, text);
	if (err)
		return err;
	if (find(&dir->now, text))
		return EEXIST;
	change_add(change_new(dir), text, inode);
	return 0;
}

int disk_sync_dir(const char *path)
{
	struct inode *dir;
	int err = dir_find(path, &dir);

	if (err)
		return err;
	changes_end = &changes;
	while (*changes_end) {
		struct change *c = *changes_end;

		if (c->dir == dir) {
			*changes_end = c->next;
			change_end(c, true);
		} else {
			changes_end = &c->next;
		}
	}
	return 0;
}

int disk_list(const char *path, char ***ret, size_t *ret_n)
{
	struct inode *dir;
	int err = dir_find(path, &dir);
	char **list;

	if (err)
		return err;
	list = calloc(dir->now.n + 1, sizeof(*list));
	for (size_t i = 0; list && i < dir->now.n; i++) {
		size_t at = rng_below(&sim.rng, i + 1);

		list[i] = list[at];
		list[at] = strdup(dir->now.list[i].text);
	}
	if (!list)
		sim_fail("no memory for names");
	*ret = list;
	*ret_n = dir->now.n;
	return 0;
}

/* ---- the end ---- */

/* Memory shows what is on the disk, below `dir`. */
static void names_revert(struct inode *dir)
{
	for (size_t i = 0; i < dir->durable.n; i++)
		inode_hold(dir->durable.list[i].inode);
	names_clear(&dir->now);
	for (size_t i = 0; i < dir->durable.n; i++) {
		set(&dir->now, dir->durable.list[i].text, dir->durable.list[i].inode);
		inode_release(dir->durable.list[i].inode);
		if (dir->durable.list[i].inode->is_dir)
			names_revert(dir->durable.list[i].inode);
	}
}

void names_settle(unsigned percent)
{
	bool beginning = sim_chance(50), ended = false;
	uint64_t n = 0, kept = 0;

	while (changes) {
		struct change *c = changes;
		bool keep = sim_chance(percent);

		changes = c->next;
		n++;
		if (beginning) {
			ended |= !keep && sim_chance(50);
			keep = !ended;
		}
		kept += keep;
		change_end(c, keep);
	}
	changes_end = &changes;
	sim_tell("power cut: %llu of %llu changed names stay", (unsigned long long)kept, (unsigned long long)n);
	names_revert(top);
}

void disk_new(void)
{
	top = inode_new(true);
	inode_hold(top);
}
