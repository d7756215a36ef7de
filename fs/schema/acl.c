/* SPDX-License-Identifier: MIT */
/*
 * Access control lists, in the kernel's form of an extended attribute: a header with the version, then entries of tag,
 * permissions and id, all little-endian.
 */
#include "fs/schema/schema.h"

#include "fs/schema/coding.h"

#define VERSION 2
#define HEADER_SIZE 4
#define ENTRY_SIZE 8
#define ID_NONE UINT32_MAX

enum tag {
	TAG_OWNER = 0x01,
	TAG_USER = 0x02,
	TAG_GROUP = 0x04, /* the owning one */
	TAG_NAMED_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHER = 0x20,
};

/* An entry at `p`: tag (2), permissions (2), id (4). */
static unsigned entry_tag(const uint8_t *p)
{
	return get_le16(p);
}

static unsigned entry_rights(const uint8_t *p)
{
	return get_le16(p + 2);
}

static void entry_set_rights(uint8_t *p, unsigned rights)
{
	put_le16(p + 2, (uint16_t)(rights & 7));
}

/* The tags behind which this one may come. */
static unsigned tags_before(unsigned tag)
{
	switch (tag) {
	case TAG_USER:
	case TAG_GROUP:
		return TAG_OWNER | TAG_USER;
	case TAG_NAMED_GROUP:
	case TAG_MASK:
		return TAG_GROUP | TAG_NAMED_GROUP;
	case TAG_OTHER:
		return TAG_GROUP | TAG_NAMED_GROUP | TAG_MASK;
	default:
		return 0;
	}
}

/* `before`: the tag in front of it, 0 at the beginning. */
static bool entry_is_good(const uint8_t *p, unsigned before)
{
	unsigned tag = entry_tag(p);
	bool in_place = tag == TAG_OWNER ? before == 0 : tags_before(tag) & before;
	bool named = tag == TAG_USER || tag == TAG_NAMED_GROUP;

	return in_place && entry_rights(p) <= 7 && !(named && get_le32(p + 4) == ID_NONE);
}

static int check_entries(const uint8_t *p, const uint8_t *end)
{
	unsigned before = 0, seen = 0;

	for (; p < end; p += ENTRY_SIZE) {
		if (!entry_is_good(p, before))
			return -EINVAL;
		before = entry_tag(p);
		seen |= before;
	}
	if (before != TAG_OTHER || (seen & (TAG_USER | TAG_NAMED_GROUP) && !(seen & TAG_MASK)))
		return -EINVAL;
	return 0;
}

int schema_acl_check(const void *acl, size_t size)
{
	const uint8_t *p = acl;

	if (size < HEADER_SIZE || (size - HEADER_SIZE) % ENTRY_SIZE != 0 || get_le32(p) != VERSION)
		return -EINVAL;
	if (size > SCHEMA_ACL_MAX)
		return -E2BIG;
	return schema_acl_is_empty(size) ? 0 : check_entries(p + HEADER_SIZE, p + size);
}

bool schema_acl_is_empty(size_t size)
{
	return size == HEADER_SIZE;
}

/* The entry of the tag, NULL when there is none. Of those that a mode has bits for, no list has two. */
static uint8_t *find_entry(uint8_t *acl, size_t size, enum tag tag)
{
	for (size_t at = HEADER_SIZE; at < size; at += ENTRY_SIZE) {
		if (entry_tag(acl + at) == tag)
			return acl + at;
	}
	return NULL;
}

/* The entries that the three groups of bits in a mode stand for: those of the group are the mask's, if there is one. */
struct classes {
	uint8_t *owner, *group, *other;
	bool has_mask;
};

static struct classes classes_of(uint8_t *acl, size_t size)
{
	struct classes classes = {
		.owner = find_entry(acl, size, TAG_OWNER),
		.group = find_entry(acl, size, TAG_MASK),
		.other = find_entry(acl, size, TAG_OTHER),
	};

	classes.has_mask = classes.group;
	if (!classes.has_mask)
		classes.group = find_entry(acl, size, TAG_GROUP);
	return classes;
}

static uint32_t mode_of(const struct classes *classes, uint32_t mode)
{
	return (mode & ~0777u) | entry_rights(classes->owner) << 6 | entry_rights(classes->group) << 3 |
	       entry_rights(classes->other);
}

bool schema_acl_to_mode(const void *acl, size_t size, uint32_t *mode)
{
	const struct classes classes = classes_of((uint8_t *)acl, size);

	*mode = mode_of(&classes, *mode);
	return classes.has_mask;
}

void schema_acl_chmod(void *acl, size_t size, uint32_t mode)
{
	const struct classes classes = classes_of(acl, size);

	entry_set_rights(classes.owner, mode >> 6);
	entry_set_rights(classes.group, mode >> 3);
	entry_set_rights(classes.other, mode);
}

bool schema_acl_inherit(void *acl, size_t size, uint32_t *mode)
{
	const struct classes classes = classes_of(acl, size);

	schema_acl_chmod(acl, size, mode_of(&classes, 0) & *mode);
	return schema_acl_to_mode(acl, size, mode);
}
