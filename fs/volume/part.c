/* SPDX-License-Identifier: MIT */
#include "fs/volume/internal.h"

/* Parts are reserved in the store by so many at once; those that a crash or an unmount leaves unused are lost, which
 * at 2^40 parts is no matter. */
#define PARTS_RESERVED 1024

static int parts_reserve(struct volume *v)
{
	uint64_t limit = v->part_limit + PARTS_RESERVED;
	uint8_t buf[SCHEMA_PARTS_SIZE];
	struct schema_key key;
	struct change c;
	int r;

	if (limit > SCHEMA_PART_END)
		return -ENOSPC;
	/* A batch of its own: a part of the reserve may be used by a batch that is committed before the caller's. */
	r = change_begin(&c, v);
	if (r < 0)
		return r;
	schema_key_parts(&key);
	schema_parts_encode(limit, buf);
	r = change_put(&c, &key, buf, sizeof(buf));
	if (r == 0)
		r = change_commit(&c);
	if (r == 0)
		v->part_limit = limit;
	change_end(&c);
	return r;
}

int part_alloc(struct volume *v, uint64_t *ret_part)
{
	int r = 0;

	pthread_mutex_lock(&v->part_lock);
	if (v->part_next == v->part_limit)
		r = parts_reserve(v);
	if (r == 0)
		*ret_part = v->part_next++;
	pthread_mutex_unlock(&v->part_lock);
	return r;
}

int file_ino_alloc(struct volume *v, struct node *dir, vol_ino *ret_ino)
{
	int r;

	if (dir->i.dir.birth_next == SCHEMA_SEQUENCE_END) {
		r = part_alloc(v, &dir->i.dir.birth_part);
		if (r < 0)
			return r;
		dir->i.dir.birth_next = 1; /* 0 is for directories */
	}
	*ret_ino = schema_ino(dir->i.dir.birth_part, dir->i.dir.birth_next++);
	return 0;
}
