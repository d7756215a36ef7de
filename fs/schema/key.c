/* SPDX-License-Identifier: MIT */
#include "fs/schema/schema.h"

#include "fs/schema/coding.h"

enum kind {
	KIND_BUCKET = 'd',
	KIND_EXTENT = 'e',
	KIND_INODE = 'i',
	KIND_XATTR = 'x',
	/* part 0 */
	KIND_PARTS = 'c',
	KIND_ORPHAN = 'o',
	KIND_SUPER = 's',
};

#define HEAD (8 + 1)

static void key_head(struct schema_key *key, uint64_t part, uint8_t kind)
{
	put_be64(key->data, part);
	key->data[8] = kind;
	key->size = HEAD;
}

static void key_add32(struct schema_key *key, uint32_t x)
{
	put_be32(key->data + key->size, x);
	key->size += 4;
}

static void key_add64(struct schema_key *key, uint64_t x)
{
	put_be64(key->data + key->size, x);
	key->size += 8;
}

void schema_key_super(struct schema_key *key)
{
	key_head(key, 0, KIND_SUPER);
}

void schema_key_parts(struct schema_key *key)
{
	key_head(key, 0, KIND_PARTS);
}

void schema_key_orphan(struct schema_key *key, uint64_t ino)
{
	key_head(key, 0, KIND_ORPHAN);
	key_add64(key, ino);
}

void schema_key_orphan_end(struct schema_key *key)
{
	key_head(key, 0, KIND_ORPHAN + 1);
}

void schema_key_bucket(struct schema_key *key, uint64_t dir, uint64_t hash)
{
	key_head(key, schema_ino_part(dir), KIND_BUCKET);
	key_add64(key, hash);
}

void schema_key_bucket_end(struct schema_key *key, uint64_t dir)
{
	key_head(key, schema_ino_part(dir), KIND_BUCKET + 1);
}

void schema_key_inode(struct schema_key *key, uint64_t ino)
{
	key_head(key, schema_ino_part(ino), KIND_INODE);
	key_add32(key, schema_ino_sequence(ino));
}

void schema_key_extent(struct schema_key *key, uint64_t ino, uint64_t offset)
{
	key_head(key, schema_ino_part(ino), KIND_EXTENT);
	key_add32(key, schema_ino_sequence(ino));
	key_add64(key, offset);
}

void schema_key_extent_end(struct schema_key *key, uint64_t ino)
{
	key_head(key, schema_ino_part(ino), KIND_EXTENT);
	key_add32(key, schema_ino_sequence(ino) + 1);
}

void schema_key_xattr(struct schema_key *key, uint64_t ino, const char *name, size_t name_size)
{
	key_head(key, schema_ino_part(ino), KIND_XATTR);
	key_add32(key, schema_ino_sequence(ino));
	memcpy(key->data + key->size, name, name_size);
	key->size += name_size;
}

void schema_key_xattr_end(struct schema_key *key, uint64_t ino)
{
	key_head(key, schema_ino_part(ino), KIND_XATTR);
	key_add32(key, schema_ino_sequence(ino) + 1);
}

static bool key_is(const uint8_t *key, size_t size, uint8_t kind, size_t rest_min, size_t rest_max)
{
	return size >= HEAD + rest_min && size <= HEAD + rest_max && key[8] == kind;
}

int schema_orphan_of_key(const void *key, size_t size, uint64_t *ret_ino)
{
	const uint8_t *p = key;

	if (!key_is(p, size, KIND_ORPHAN, 8, 8) || get_be64(p) != 0)
		return -EUCLEAN;
	*ret_ino = get_be64(p + HEAD);
	return 0;
}

int schema_bucket_of_key(const void *key, size_t size, uint64_t *ret_hash)
{
	const uint8_t *p = key;
	uint64_t hash;

	if (!key_is(p, size, KIND_BUCKET, 8, 8))
		return -EUCLEAN;
	hash = get_be64(p + HEAD);
	if (hash == 0 || hash >> SCHEMA_HASH_BITS != 0)
		return -EUCLEAN;
	*ret_hash = hash;
	return 0;
}

int schema_extent_of_key(const void *key, size_t size, uint64_t *ret_offset)
{
	const uint8_t *p = key;

	if (!key_is(p, size, KIND_EXTENT, 12, 12))
		return -EUCLEAN;
	*ret_offset = get_be64(p + HEAD + 4);
	return 0;
}

int schema_xattr_of_key(const void *key, size_t size, const char **ret_name, size_t *ret_size)
{
	const uint8_t *p = key;

	if (!key_is(p, size, KIND_XATTR, 4 + 1, 4 + SCHEMA_NAME_MAX))
		return -EUCLEAN;
	*ret_name = (const char *)p + HEAD + 4;
	*ret_size = size - HEAD - 4;
	return 0;
}
