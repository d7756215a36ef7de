/* SPDX-License-Identifier: MIT */
/* Checking names: entries against inodes, counts of links, and the way from the root to everything. */
#include <stdio.h>

#include "fs/volume/check_internal.h"

/* ---- paths ---- */

/* Puts "/NAME" in front of what is there, which begins at *at. False: no room. */
static bool prepend(char *path, size_t *at, const char *name, size_t size)
{
	if (*at < size + 1)
		return false;
	*at -= size;
	memcpy(path + *at, name, size);
	path[--*at] = '/';
	return true;
}

/* The name under which `dir` has `ino`: 1, and the path is longer by it. */
static int prepend_name(struct volume_check *c, vol_ino dir, vol_ino ino, size_t *at)
{
	struct schema_key begin, end;
	struct rows_iter *it = NULL;
	int found = 0, r;

	schema_key_bucket(&begin, dir, 0);
	schema_key_bucket_end(&end, dir);
	r = c->ops->iter_new(c->rows, row_key(&begin), row_key(&end), &it);
	if (r < 0)
		return 0;
	for (r = c->ops->iter_seek(it, row_key(&begin)); r == 0 && !found && c->ops->iter_valid(it);
	     r = found ? 0 : c->ops->iter_next(it)) {
		struct row_key value;
		struct schema_entry e;
		size_t pos = 0;

		if (c->ops->iter_value(it, &value) < 0)
			continue;
		while (!found && schema_entry_next(value.data, value.size, &pos, &e) > 0)
			found = e.ino == ino && prepend(c->path, at, e.name, e.name_size);
	}
	c->ops->iter_free(it);
	return found;
}

static vol_ino parent_of_dir(struct volume_check *c, vol_ino dir)
{
	struct schema_inode i;
	struct row_value value;
	vol_ino parent;

	if (check_inode_load(c, dir, &i, &value) < 0)
		return 0;
	parent = i.dir.parent;
	c->ops->value_release(c->rows, &value);
	return is_dir_ino(parent) ? parent : 0;
}

/* From the end of the buffer to its beginning, upwards as far as a name is found. What lies in itself is walked around once
 * or twice: `mark` is where the walk was a power of two of steps ago. */
void check_path(struct volume_check *c, vol_ino ino, vol_ino dir, const char *name, size_t name_size)
{
	enum { DEPTH_MAX = 1000 };
	size_t end = sizeof(c->path) - 1, at = end;
	char lost[64] = "";
	vol_ino mark = 0;

	c->path[at] = 0;
	if (name_size) {
		(void)prepend(c->path, &at, name, name_size);
		ino = dir;
	} else if (!ino) {
		ino = dir;
	}
	for (unsigned depth = 0; ino != VOL_ROOT; depth++) {
		const struct check_inode *i = check_inode_of(c, ino);
		vol_ino parent = !is_dir_ino(ino) ? (i ? check_parent_ino(c, i) : 0) : parent_of_dir(c, ino);

		if (!parent || ino == mark || depth == DEPTH_MAX || !prepend_name(c, parent, ino, &at)) {
			snprintf(lost, sizeof(lost), "inode %llu:%u", (unsigned long long)schema_ino_part(ino),
				 schema_ino_sequence(ino));
			break;
		}
		if ((depth & (depth + 1)) == 0)
			mark = ino;
		ino = parent;
	}
	if (at == end && !lost[0])
		c->path[--at] = '/';
	if (strlen(lost) + end - at >= sizeof(c->path))
		lost[0] = 0;
	memmove(c->path + strlen(lost), c->path + at, end - at + 1);
	memcpy(c->path, lost, strlen(lost));
}

/* ---- entries ---- */

struct dir_check {
	vol_ino ino;
	uint32_t index;
	uint64_t entries, subdirs;
	bool unreadable;       /* one of its buckets */
	struct row_key bucket; /* the key of the present one */
};

static struct volume_find entry_find(enum volume_find_kind kind, const struct dir_check *d,
				     const struct schema_entry *e)
{
	return (struct volume_find){
		.kind = kind, .dir = d->ino, .name = e->name, .name_size = e->name_size, .begin = d->bucket
	};
}

static bool is_dots(const struct schema_entry *e)
{
	return e->name[0] == '.' && (e->name_size == 1 || (e->name_size == 2 && e->name[1] == '.'));
}

static int check_target(struct volume_check *c, const struct dir_check *d, const struct schema_entry *e)
{
	struct volume_find find = entry_find(VOLUME_FIND_ENTRY, d, e);
	struct check_inode *i = check_inode_of(c, e->ino);
	struct schema_key key, end;

	if (!i) {
		schema_key_inode(&key, e->ino);
		end = key;
		end.data[end.size++] = 0;
		if (!check_unreadable(c, row_key(&key), row_key(&end)))
			return check_find(c, find, "leads to inode %llu:%u, which isn't there",
					  (unsigned long long)schema_ino_part(e->ino), schema_ino_sequence(e->ino));
		find.kind = VOLUME_FIND_UNREADABLE;
		return check_find(c, find, "the inode can't be read");
	}
	i->links++;
	if (!i->parent) {
		i->parent = d->index + 1;
	} else if (is_dir_ino(e->ino)) {
		find.kind = VOLUME_FIND_TWICE;
		return check_find(c, find, "is a directory that has another name already");
	}
	if (i->flags & SEEN_DAMAGED)
		return 0; /* told with its row */
	find.kind = VOLUME_FIND_TYPE;
	find.right = (uint32_t)i->type << 12;
	if (e->type != find.right)
		return check_find(c, find, "the entry's type is %#o, the inode's %#llo", e->type,
				  (unsigned long long)find.right);
	return 0;
}

/* `pos` is behind the entry. */
static bool is_twice(const uint8_t *bucket, size_t size, const struct schema_entry *e)
{
	struct schema_entry other;
	size_t pos = 0;

	while (schema_entry_next(bucket, size, &pos, &other) > 0 && other.name != e->name)
		if (other.name_size == e->name_size && memcmp(other.name, e->name, e->name_size) == 0)
			return true;
	return false;
}

static int check_entry(struct volume_check *c, struct dir_check *d, uint64_t hash, const struct row_key *bucket,
		       const struct schema_entry *e)
{
	struct volume_find find = entry_find(VOLUME_FIND_NAME, d, e);
	int r = 0;

	d->entries++;
	d->subdirs += e->type == S_IFDIR;
	if (is_dots(e))
		r = check_find(c, find, "no entry may have this name");
	else if (c->has_super && schema_name_hash(e->name, e->name_size, c->super.seed) != hash)
		r = check_find(c, find, "lies where nobody looks for it: the name has another hash");
	else if (is_twice(bucket->data, bucket->size, e))
		r = check_find(c, find, "there is another entry of this name");
	return r ? r : check_target(c, d, e);
}

static int check_bucket(struct volume_check *c, struct rows_iter *it, void *ctx)
{
	struct dir_check *d = ctx;
	struct row_key key = c->ops->iter_key(it), bucket;
	struct volume_find find = { .kind = VOLUME_FIND_UNREADABLE, .ino = d->ino, .begin = key };
	struct schema_entry e;
	uint64_t hash;
	size_t pos = 0;
	int r, code = 0;

	r = schema_bucket_of_key(key.data, key.size, &hash);
	if (r < 0)
		return 0; /* told with the other rows */
	d->bucket = key;
	r = c->ops->iter_value(it, &bucket);
	if (r == -EIO) {
		d->unreadable = true;
		return check_find(c, find, "a row of entries can't be read");
	}
	if (r < 0)
		return r;
	if (bucket.size == 0)
		return check_find(c, find, "a row of entries is empty");
	while (code == 0 && (r = schema_entry_next(bucket.data, bucket.size, &pos, &e)) > 0)
		code = check_entry(c, d, hash, &bucket, &e);
	if (code)
		return code;
	if (r == 0)
		return 0;
	d->unreadable = true;
	find.right = pos;
	return check_find(c, find, "a row of entries makes no sense from byte %zu of %zu on", pos, bucket.size);
}

static int check_counts(struct volume_check *c, const struct dir_check *d)
{
	struct volume_find find = { .kind = VOLUME_FIND_ENTRIES, .ino = d->ino, .right = d->entries };
	struct row_value value;
	struct schema_inode i;
	int r = check_inode_load(c, d->ino, &i, &value), code = 0;

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (i.dir.entries != d->entries)
		code = check_find(c, find, "has %llu entries, but %llu by its inode", (unsigned long long)d->entries,
				  (unsigned long long)i.dir.entries);
	find.kind = VOLUME_FIND_LINKS;
	find.right = i.nlink || d->entries ? d->subdirs + 2 : 0;
	if (code == 0 && i.nlink != find.right)
		code = check_find(c, find, "has %llu subdirectories, but a link count of %u",
				  (unsigned long long)d->subdirs, i.nlink);
	c->ops->value_release(c->rows, &value);
	return code;
}

int check_names(struct volume_check *c)
{
	for (size_t i = 0; i < c->inodes_n; i++) {
		struct dir_check d = { .ino = c->inodes[i].ino, .index = (uint32_t)i };
		struct schema_key begin, end;
		int r;

		if (!is_dir_ino(d.ino))
			continue;
		schema_key_bucket(&begin, d.ino, 0);
		schema_key_bucket_end(&end, d.ino);
		r = check_walk(c, row_key(&begin), row_key(&end), false, check_bucket, &d);
		if (r == 0 && !d.unreadable && !check_unreadable(c, row_key(&begin), row_key(&end)))
			r = check_counts(c, &d);
		if (r)
			return r;
	}
	return 0;
}

/* ---- what must add up ---- */

static int check_link_count(struct volume_check *c, const struct check_inode *i)
{
	struct volume_find find = { .kind = VOLUME_FIND_LOST, .ino = i->ino, .right = i->links };

	if (i->flags & SEEN_DAMAGED || i->ino == VOL_ROOT)
		return 0;
	if (!i->links && i->nlink)
		return check_find(c, find, "no entry leads to it");
	if (!i->links && !(i->flags & SEEN_ORPHAN))
		return check_find(c, find, "no entry leads to it, and it isn't noted as removed");
	find.kind = VOLUME_FIND_LINKS;
	if (!is_dir_ino(i->ino) && i->nlink != i->links)
		return check_find(c, find, "%u entries lead to it, but its link count is %u", i->links, i->nlink);
	find.right = 2;
	if (is_dir_ino(i->ino) && i->links && !i->nlink)
		return check_find(c, find, "has a name, but its link count is 0");
	return 0;
}

/* Marks the way up from a directory as far as it isn't known. False: it ends in itself. */
static bool walk_up(struct volume_check *c, struct check_inode *from)
{
	struct check_inode *i = from;
	bool cycle;

	while (!(i->flags & (WALKING | REACHED)) && i->parent) {
		i->flags |= WALKING;
		i = &c->inodes[i->parent - 1];
	}
	cycle = i->flags & WALKING;
	for (i = from; i->flags & WALKING; i = &c->inodes[i->parent - 1])
		i->flags = (uint8_t)((i->flags & ~WALKING) | REACHED);
	i->flags |= REACHED;
	return !cycle;
}

int check_links(struct volume_check *c)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < c->inodes_n; k++) {
		struct check_inode *i = &c->inodes[k];

		r = check_link_count(c, i);
		if (r == 0 && is_dir_ino(i->ino) && !walk_up(c, i))
			r = check_find(c,
				       (struct volume_find){ .kind = VOLUME_FIND_CYCLE,
							     .ino = i->ino,
							     .dir = check_parent_ino(c, i) },
				       "lies in itself: no way leads from the root to it");
	}
	return r;
}
