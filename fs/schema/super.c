/* SPDX-License-Identifier: MIT */
#include "fs/schema/schema.h"

#include <xxhash.h>

#include "fs/schema/coding.h"

static const char magic[8] = { 'L', 'S', 'M', 'F', 'S', 'V', 'O', 'L' };

#define FEATURES_INCOMPAT_KNOWN (SCHEMA_FEATURE_ACL | SCHEMA_FEATURE_FLAGS)
#define FEATURES_RO_KNOWN UINT64_C(0)

enum {
	AT_VERSION = 8,
	AT_RESERVED = 12,
	AT_INCOMPAT = 16,
	AT_RO = 24,
	AT_SEED = 32,
	AT_UUID = 40,
	AT_CREATED = 56,
	AT_CHECKSUM = 64,
};

void schema_super_encode(const struct schema_super *super, uint8_t buf[SCHEMA_SUPER_SIZE])
{
	memcpy(buf, magic, sizeof(magic));
	put_le32(buf + AT_VERSION, super->version);
	put_le32(buf + AT_RESERVED, 0);
	put_le64(buf + AT_INCOMPAT, super->features_incompat);
	put_le64(buf + AT_RO, super->features_ro);
	put_le64(buf + AT_SEED, super->seed);
	memcpy(buf + AT_UUID, super->uuid, sizeof(super->uuid));
	put_le64(buf + AT_CREATED, (uint64_t)super->created);
	put_le64(buf + AT_CHECKSUM, XXH3_64bits(buf, AT_CHECKSUM));
}

int schema_super_decode(const uint8_t *data, size_t size, struct schema_super *ret)
{
	struct schema_super super;

	if (size != SCHEMA_SUPER_SIZE || memcmp(data, magic, sizeof(magic)) != 0 ||
	    get_le64(data + AT_CHECKSUM) != XXH3_64bits(data, AT_CHECKSUM))
		return -EUCLEAN;
	super.version = get_le32(data + AT_VERSION);
	super.features_incompat = get_le64(data + AT_INCOMPAT);
	super.features_ro = get_le64(data + AT_RO);
	super.seed = get_le64(data + AT_SEED);
	memcpy(super.uuid, data + AT_UUID, sizeof(super.uuid));
	super.created = (int64_t)get_le64(data + AT_CREATED);
	if (super.version != SCHEMA_VERSION || super.features_incompat & ~FEATURES_INCOMPAT_KNOWN)
		return -EUCLEAN;
	*ret = super;
	return 0;
}

bool schema_super_must_not_write(const struct schema_super *super)
{
	return super->features_ro & ~FEATURES_RO_KNOWN;
}

void schema_parts_encode(uint64_t next, uint8_t buf[SCHEMA_PARTS_SIZE])
{
	put_le64(buf, next);
}

int schema_parts_decode(const uint8_t *data, size_t size, uint64_t *ret_next)
{
	uint64_t next;

	if (size != SCHEMA_PARTS_SIZE)
		return -EUCLEAN;
	next = get_le64(data);
	if (next <= SCHEMA_PART_ROOT || next > SCHEMA_PART_END)
		return -EUCLEAN;
	*ret_next = next;
	return 0;
}
