/* SPDX-License-Identifier: MIT */
/* Mending names: entries that go or change, and inodes that get one in lost+found. */
#include <stdio.h>
#include <stdlib.h>

#include "fs/volume/mend_internal.h"

/* ---- entries ---- */

/*
 * Changes a bucket: the last entry that has the name, or leads to `ino` if that isn't 0, goes, or gets the type. Encodes
 * anew what stays.
 */
static int edit_bucket(struct mending *m, struct row_key key, struct row_key bucket, const char *name, size_t name_size,
		       vol_ino ino, uint32_t type, bool *ret_found)
{
	uint8_t *data = malloc(bucket.size + SCHEMA_ENTRY_MAX);
	size_t pos = 0, size = 0, last = SIZE_MAX;
	struct schema_entry e;
	int r = 0;

	if (!data)
		return -ENOMEM;
	while (schema_entry_next(bucket.data, bucket.size, &pos, &e) > 0)
		if (ino ? e.ino == ino : e.name_size == name_size && memcmp(e.name, name, name_size) == 0)
			last = pos;
	pos = 0;
	while (last != SIZE_MAX && schema_entry_next(bucket.data, bucket.size, &pos, &e) > 0) {
		if (pos == last && !type)
			continue;
		if (pos == last)
			e.type = type;
		size += schema_entry_encode(&e, data + size);
	}
	*ret_found = last != SIZE_MAX;
	if (*ret_found)
		r = mend_commit_one(m, key, (struct row_key){ data, size });
	free(data);
	return r;
}

int mend_edit_entry(struct mending *m, const struct volume_find *f, uint32_t type)
{
	struct row_value value;
	bool found;
	int r = m->v->rows->ops->get(m->v->rows, f->begin, &value);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = edit_bucket(m, f->begin, (struct row_key){ value.data, value.size }, f->name, f->name_size, 0, type,
			&found);
	m->v->rows->ops->value_release(m->v->rows, &value);
	return r;
}

/* Removes the entry of `ino` from `dir`, under whatever name. */
int mend_cut_off(struct mending *m, vol_ino dir, vol_ino ino)
{
	const struct rows_ops *ops = m->v->rows->ops;
	struct schema_key begin, end;
	struct rows_iter *it = NULL;
	bool found = false;
	int r;

	schema_key_bucket(&begin, dir, 0);
	schema_key_bucket_end(&end, dir);
	r = ops->iter_new(m->v->rows, row_key(&begin), row_key(&end), &it);
	if (r < 0)
		return r;
	for (r = ops->iter_seek(it, row_key(&begin)); r == 0 && !found && ops->iter_valid(it);
	     r = r == 0 ? ops->iter_next(it) : r) {
		struct row_key bucket;

		r = ops->iter_value(it, &bucket);
		if (r == 0)
			r = edit_bucket(m, ops->iter_key(it), bucket, "", 0, ino, 0, &found);
	}
	ops->iter_free(it);
	return r;
}

/* ---- lost+found ---- */

static int find_lost(struct mending *m)
{
	static const struct vol_cred root = { 0 };
	char name[32] = "lost+found";
	struct vol_attr attr;
	int r = -EEXIST;

	for (unsigned n = 2; r == -EEXIST && n < 100; n++) {
		r = volume_mkdir(m->v, VOL_ROOT, name, 0700, &root, &attr);
		if (r == -EEXIST && volume_lookup(m->v, VOL_ROOT, name, &attr) == 0 && S_ISDIR(attr.mode))
			r = 0;
		snprintf(name, sizeof(name), "lost+found-%u", n);
	}
	if (r == 0)
		m->lost = attr.ino;
	return r;
}

/* In one batch with what it changes. */
static int adopt_into(struct change *c, struct node *node, struct node *dir, const char *name)
{
	bool is_dir = S_ISDIR(node->i.mode);
	struct bucket bucket = { 0 };
	int r = bucket_load(c->v, dir->ino, name, &bucket);

	if (r == 0)
		r = bucket_set(&bucket, name, node->ino, node->i.mode);
	if (r == 0)
		r = bucket_put(c, &bucket);
	if (r == 0)
		r = dir_gains(dir, c, is_dir);
	if (is_dir)
		node->i.dir.parent = dir->ino;
	if (!is_dir || node->i.nlink < 2)
		node->i.nlink = is_dir ? 2 : 1;
	if (r == 0)
		r = node_put(c, node);
	if (r == 0)
		r = node_put(c, dir);
	if (r == 0)
		r = change_delete_orphan(c, node->ino);
	bucket_done(&bucket);
	return r == 0 ? change_commit(c) : r;
}

int mend_adopt(struct mending *m, vol_ino ino)
{
	struct node node = { 0 }, dir = { 0 };
	char name[64];
	struct change c;
	int r = m->lost ? 0 : find_lost(m);

	if (r == 0)
		r = change_begin(&c, m->v);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "inode-%llu-%u", (unsigned long long)schema_ino_part(ino),
		 schema_ino_sequence(ino));
	r = node_load_stored(m->v, ino, &node);
	if (r == 0)
		r = node_load_stored(m->v, m->lost, &dir);
	if (r == 0)
		r = adopt_into(&c, &node, &dir, name);
	node_done(&node);
	node_done(&dir);
	change_end(&c);
	return r;
}
