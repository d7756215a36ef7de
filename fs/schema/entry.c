/* SPDX-License-Identifier: MIT */
#include "fs/schema/schema.h"

#include <sys/stat.h>
#include <xxhash.h>

#include "fs/schema/coding.h"

/* A bucket is a run of: slot (1 byte) · type (1 byte, S_IFMT >> 12) · inode (varint) · size of the name (1) · name */

uint64_t schema_name_hash(const char *name, size_t size, uint64_t seed)
{
	uint64_t hash = XXH3_64bits_withSeed(name, size, seed) >> (64 - SCHEMA_HASH_BITS);

	/* cookie 0 means the beginning, 1 and 2 are "." and ".." */
	return hash == 0 ? 1 : hash;
}

static bool type_is_known(uint32_t type)
{
	return type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFCHR || type == S_IFBLK ||
	       type == S_IFIFO || type == S_IFSOCK;
}

size_t schema_entry_encode(const struct schema_entry *entry, uint8_t *buf)
{
	uint8_t *p = buf;

	*p++ = entry->slot;
	*p++ = (uint8_t)(entry->type >> 12);
	p = put_varint(p, entry->ino);
	*p++ = (uint8_t)entry->name_size;
	memcpy(p, entry->name, entry->name_size);
	return (size_t)(p - buf) + entry->name_size;
}

int schema_entry_next(const uint8_t *bucket, size_t size, size_t *pos, struct schema_entry *ret)
{
	struct reader r = { .data = bucket + *pos, .size = size - *pos };
	struct schema_entry e;

	if (r.size == 0)
		return 0;
	e.slot = take_byte(&r);
	e.type = (uint32_t)take_byte(&r) << 12;
	e.ino = take_varint(&r, UINT64_MAX);
	e.name_size = take_byte(&r);
	e.name = (const char *)take_bytes(&r, e.name_size);
	if (r.bad || e.name_size == 0 || e.slot >= SCHEMA_SLOTS || schema_ino_part(e.ino) == 0 ||
	    !type_is_known(e.type) || (e.type == S_IFDIR) != (schema_ino_sequence(e.ino) == 0) ||
	    memchr(e.name, 0, e.name_size) || memchr(e.name, '/', e.name_size))
		return -EUCLEAN;
	if (r.size > 0 && r.data[0] <= e.slot)
		return -EUCLEAN; /* slots ascend: the next one is seen here, so that no state is needed between calls */
	*pos = (size_t)(r.data - bucket);
	*ret = e;
	return 1;
}
