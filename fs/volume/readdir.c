/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "fs/volume/internal.h"

/* Entries are gathered in chunks, so that their inodes are read in one go and nothing is held while the caller is
 * called. They grow from the first: a caller's buffer is often full after some twenty. */
#define CHUNK_FIRST 32
#define CHUNK_MAX 128

#define COOKIE_DOT 1
#define COOKIE_DOTDOT 2

struct gathered {
	vol_ino ino;
	uint64_t cookie;
	uint32_t type;
	size_t name_size;
	char name[VOL_NAME_MAX + 1];
	int code; /* of reading `attr` */
	struct vol_attr attr;
};

struct listing {
	struct volume *v;
	vol_ino dir;
	struct rows_iter *it;
	uint64_t last; /* cookie of the last entry that was gathered */
	unsigned count;
	struct gathered entries[CHUNK_MAX];
	/* for load_attrs() */
	struct schema_key keys[CHUNK_MAX];
	struct row_key row_keys[CHUNK_MAX];
	struct row_value values[CHUNK_MAX];
	int codes[CHUNK_MAX];
};

static void gather(struct listing *l, const struct schema_entry *e, uint64_t cookie)
{
	struct gathered *g = &l->entries[l->count++];

	g->ino = e->ino;
	g->cookie = cookie;
	g->type = e->type;
	g->name_size = e->name_size;
	memcpy(g->name, e->name, e->name_size);
	g->name[e->name_size] = 0;
	l->last = cookie;
}

/* The entries of the bucket at which the iterator stands, those behind the last one: 1 when all found room. */
static int gather_bucket(struct listing *l, unsigned max)
{
	const struct rows_ops *ops = l->v->rows->ops;
	struct row_key key = ops->iter_key(l->it), value;
	struct schema_entry e;
	size_t pos = 0;
	uint64_t hash;
	int r;

	r = schema_bucket_of_key(key.data, key.size, &hash);
	if (r == 0)
		r = ops->iter_value(l->it, &value);
	if (r < 0)
		return r;
	while ((r = schema_entry_next(value.data, value.size, &pos, &e)) > 0) {
		uint64_t cookie = schema_cookie(hash, e.slot);

		if (cookie <= l->last)
			continue;
		if (l->count == max)
			return 0;
		gather(l, &e, cookie);
	}
	return r < 0 ? r : 1;
}

static int gather_chunk(struct listing *l, unsigned max)
{
	const struct rows_ops *ops = l->v->rows->ops;
	int r;

	l->count = 0;
	while (l->count < max && ops->iter_valid(l->it)) {
		r = gather_bucket(l, max);
		if (r == 1)
			r = ops->iter_next(l->it);
		if (r < 0)
			return r;
	}
	return 0;
}

static int decode_attr(struct listing *l, unsigned i)
{
	struct gathered *g = &l->entries[i];
	struct schema_inode inode;
	int r;

	r = schema_inode_decode(l->values[i].data, l->values[i].size, &inode);
	if (r == 0) {
		atime_merge(l->v, g->ino, &inode);
		inode_attr(g->ino, &inode, &g->attr);
	}
	l->v->rows->ops->value_release(l->v->rows, &l->values[i]);
	return r;
}

/* One inode that can't be read is its entry's trouble and not the directory's. */
static void load_attrs(struct listing *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		schema_key_inode(&l->keys[i], l->entries[i].ino);
		l->row_keys[i] = row_key(&l->keys[i]);
	}
	(void)l->v->rows->ops->multi_get(l->v->rows, l->count, l->row_keys, l->values, l->codes);
	for (unsigned i = 0; i < l->count; i++)
		l->entries[i].code = l->codes[i] < 0 ? l->codes[i] : decode_attr(l, i);
}

/* Whether an entry without an inode was removed since it was gathered; else its inode is lost, and is to be told of. */
static bool was_removed(const struct listing *l, const struct gathered *g)
{
	vol_ino ino;

	return entry_lookup(l->v, l->dir, g->name, &ino, NULL) < 0 || ino != g->ino;
}

/* False: the caller wants no more. */
static bool hand_out(const struct listing *l, bool plus, vol_entry_fn fn, void *ctx)
{
	for (unsigned i = 0; i < l->count; i++) {
		const struct gathered *g = &l->entries[i];
		struct vol_entry entry = {
			.name = g->name,
			.name_size = g->name_size,
			.cookie = g->cookie,
			.type = g->type,
			.attr = plus && g->code == 0 ? &g->attr : NULL,
			.ino = g->ino,
		};

		if (plus && g->code == -ENOENT && was_removed(l, g))
			continue;
		if (!fn(ctx, &entry))
			return false;
	}
	return true;
}

static int list_open(struct listing *l, uint64_t cookie)
{
	const struct rows_ops *ops = l->v->rows->ops;
	struct schema_key begin, end;
	int r;

	schema_key_bucket(&begin, l->dir, cookie / SCHEMA_SLOTS);
	schema_key_bucket_end(&end, l->dir);
	r = ops->iter_new(l->v->rows, row_key(&begin), row_key(&end), &l->it);
	if (r < 0)
		return r;
	r = ops->iter_seek(l->it, row_key(&begin));
	if (r < 0)
		ops->iter_free(l->it);
	return r;
}

static int list_entries(struct volume *v, vol_ino dir, uint64_t cookie, bool plus, vol_entry_fn fn, void *ctx)
{
	unsigned max = CHUNK_FIRST;
	struct listing *l;
	int r;

	l = malloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->v = v;
	l->dir = dir;
	l->last = cookie;
	r = list_open(l, cookie);
	if (r < 0)
		goto out;
	do {
		r = gather_chunk(l, max);
		if (r < 0 || l->count == 0)
			break;
		if (plus)
			load_attrs(l);
		max = max * 2 < CHUNK_MAX ? max * 2 : CHUNK_MAX;
	} while (hand_out(l, plus, fn, ctx));
	v->rows->ops->iter_free(l->it);
out:
	free(l);
	return r;
}

/* "." or "..": 1 to go on. A parent that can't be read any more (of a removed directory) is left out. */
static int list_dot(struct volume *v, vol_ino ino, uint64_t cookie, bool plus, vol_entry_fn fn, void *ctx)
{
	struct vol_entry entry = {
		.name = cookie == COOKIE_DOT ? "." : "..",
		.name_size = (size_t)cookie,
		.cookie = cookie,
		.type = S_IFDIR,
		.ino = ino,
	};
	struct vol_attr attr;
	int r;

	if (plus) {
		r = volume_getattr(v, ino, &attr);
		if (r < 0)
			return r == -ENOENT ? 1 : r;
		entry.attr = &attr;
	}
	return fn(ctx, &entry) ? 1 : 0;
}

int volume_readdir(struct volume *v, vol_ino dir, uint64_t cookie, bool plus, vol_entry_fn fn, void *ctx)
{
	struct node node;
	vol_ino parent;
	int r;

	r = node_load(v, dir, &node); /* a removed directory that is still open has no entries, but is no error */
	if (r < 0)
		return r;
	if (!S_ISDIR(node.i.mode)) {
		node_done(&node);
		return -ENOTDIR;
	}
	parent = node.i.dir.parent;
	node_done(&node);
	if (cookie < COOKIE_DOT) {
		r = list_dot(v, dir, COOKIE_DOT, plus, fn, ctx);
		if (r <= 0)
			return r;
	}
	if (cookie < COOKIE_DOTDOT) {
		r = list_dot(v, parent, COOKIE_DOTDOT, plus, fn, ctx);
		if (r <= 0)
			return r;
		cookie = COOKIE_DOTDOT;
	}
	return list_entries(v, dir, cookie, plus, fn, ctx);
}
