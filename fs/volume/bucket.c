/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "fs/volume/internal.h"

int name_check(const char *name)
{
	size_t size = strlen(name);

	if (size == 0 || memchr(name, '/', size))
		return -EINVAL;
	if (size > VOL_NAME_MAX)
		return -ENAMETOOLONG;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EEXIST;
	return 0;
}

static int entries_find(const uint8_t *data, size_t size, const char *name, struct schema_entry *ret)
{
	size_t pos = 0, name_size = strlen(name);
	struct schema_entry e;
	int r;

	while ((r = schema_entry_next(data, size, &pos, &e)) > 0) {
		if (e.name_size == name_size && memcmp(e.name, name, name_size) == 0) {
			*ret = e;
			return 0;
		}
	}
	return r < 0 ? r : -ENOENT;
}

static uint64_t bucket_key(struct volume *v, vol_ino dir, const char *name, struct schema_key *ret)
{
	uint64_t hash = v->name_hash(name, strlen(name), v->super.seed);

	schema_key_bucket(ret, dir, hash);
	return hash;
}

int entry_lookup(struct volume *v, vol_ino dir, const char *name, vol_ino *ret_ino, uint32_t *ret_type)
{
	struct row_value value;
	struct schema_entry e;
	struct schema_key key;
	int r;

	if (!is_dir_ino(dir))
		return -ENOTDIR;
	bucket_key(v, dir, name, &key);
	r = v->rows->ops->get(v->rows, row_key(&key), &value);
	if (r < 0)
		return r;
	r = entries_find(value.data, value.size, name, &e);
	if (r == 0) {
		*ret_ino = e.ino;
		if (ret_type)
			*ret_type = e.type;
	}
	v->rows->ops->value_release(v->rows, &value);
	return r;
}

/* Room for `size` bytes in all. */
static int bucket_reserve(struct bucket *b, size_t size)
{
	uint8_t *data;

	if (b->data != b->small) {
		data = realloc(b->data, size);
		if (!data)
			return -ENOMEM;
	} else {
		if (size <= sizeof(b->small))
			return 0;
		data = malloc(size);
		if (!data)
			return -ENOMEM;
		memcpy(data, b->small, b->size);
	}
	b->data = data;
	return 0;
}

int bucket_load(struct volume *v, vol_ino dir, const char *name, struct bucket *ret)
{
	struct row_value value;
	int r;

	ret->size = 0;
	ret->data = ret->small;
	ret->hash = bucket_key(v, dir, name, &ret->key);
	r = v->rows->ops->get(v->rows, row_key(&ret->key), &value);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = bucket_reserve(ret, value.size);
	if (r == 0) {
		memcpy(ret->data, value.data, value.size);
		ret->size = value.size;
	}
	v->rows->ops->value_release(v->rows, &value);
	return r;
}

void bucket_done(struct bucket *b)
{
	if (b->data != b->small)
		free(b->data);
	b->data = NULL;
}

int bucket_find(const struct bucket *b, const char *name, struct schema_entry *ret)
{
	return entries_find(b->data, b->size, name, ret);
}

/* The lowest slot that is free, and where an entry with it belongs. */
static int free_slot(const struct bucket *b, uint8_t *ret_slot, size_t *ret_at)
{
	size_t pos = 0, at = 0;
	struct schema_entry e;
	unsigned slot = 0;
	int r;

	while ((r = schema_entry_next(b->data, b->size, &pos, &e)) > 0 && e.slot == slot) {
		slot++;
		at = pos;
	}
	if (r < 0)
		return r;
	if (slot == SCHEMA_SLOTS)
		return -ENOSPC;
	*ret_slot = (uint8_t)slot;
	*ret_at = at;
	return 0;
}

/* Replaces `old` bytes at `at` by `size` bytes of `data`. */
static int bucket_splice(struct bucket *b, size_t at, size_t old, const uint8_t *data, size_t size)
{
	int r = 0;

	if (size > old)
		r = bucket_reserve(b, b->size + size - old);
	if (r < 0)
		return r;
	memmove(b->data + at + size, b->data + at + old, b->size - at - old);
	if (size > 0)
		memcpy(b->data + at, data, size);
	b->size = b->size - old + size;
	return 0;
}

/* Where the encoding of an entry starts that ends behind its name. */
static size_t entry_span(const struct bucket *b, const struct schema_entry *e, size_t *ret_size)
{
	uint8_t buf[SCHEMA_ENTRY_MAX];
	size_t size = schema_entry_encode(e, buf);

	*ret_size = size;
	return (size_t)((const uint8_t *)e->name - b->data) + e->name_size - size;
}

int bucket_set(struct bucket *b, const char *name, vol_ino ino, uint32_t type)
{
	uint8_t buf[SCHEMA_ENTRY_MAX];
	size_t at = 0, old = 0;
	struct schema_entry e;
	int r;

	r = bucket_find(b, name, &e);
	if (r == 0)
		at = entry_span(b, &e, &old);
	else if (r == -ENOENT)
		r = free_slot(b, &e.slot, &at);
	if (r < 0)
		return r;
	e.ino = ino;
	e.type = type & S_IFMT;
	e.name = name;
	e.name_size = strlen(name);
	return bucket_splice(b, at, old, buf, schema_entry_encode(&e, buf));
}

void bucket_remove(struct bucket *b, const char *name)
{
	struct schema_entry e;
	size_t at, size;

	if (bucket_find(b, name, &e) < 0)
		return;
	at = entry_span(b, &e, &size);
	(void)bucket_splice(b, at, size, NULL, 0); /* shrinking doesn't fail */
}

int bucket_put(struct change *c, const struct bucket *b)
{
	return b->size == 0 ? change_delete(c, &b->key) : change_put(c, &b->key, b->data, b->size);
}
