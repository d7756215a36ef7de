/* SPDX-License-Identifier: MIT */
#include "lsm/format/header.h"

#include <assert.h>

enum {
	VERSION = 1,
	AT_VERSION = 8,
	AT_COMPATIBLE = 12,
	AT_INCOMPATIBLE = 16,
	AT_NUMBER = 24,
	AT_OWN = 32,
	AT_CHECKSUM = 56,
};

void file_header_encode(void *p, const char *magic, const struct file_header *h)
{
	uint8_t *b = p;

	assert(strlen(magic) == FILE_MAGIC_BYTES);
	memset(b, 0, FILE_HEADER_BYTES);
	memcpy(b, magic, FILE_MAGIC_BYTES);
	put_u32(b + AT_VERSION, VERSION);
	put_u64(b + AT_NUMBER, h->number);
	for (int i = 0; i < 3; i++)
		put_u64(b + AT_OWN + 8 * i, h->own[i]);
	put_u64(b + AT_CHECKSUM, hash64(b, AT_CHECKSUM, 0));
}

int file_header_decode(const void *p, const char *magic, const char *file, uint64_t offset, struct file_header *ret)
{
	const uint8_t *b = p;
	struct file_header h;
	uint32_t incompatible;

	if (memcmp(b, magic, FILE_MAGIC_BYTES))
		return status_corrupt(file, offset, "%s does not begin with %.*s", file,
				      (int)strcspn(magic, "\r\n"), magic);
	if (get_u64(b + AT_CHECKSUM) != hash64(b, AT_CHECKSUM, 0))
		return status_corrupt(file, offset, "the checksum of the header of %s is wrong", file);
	if (get_u32(b + AT_VERSION) != VERSION)
		return status_set(LSM_UNSUPPORTED, 0, file, offset, "%s has format version %u, known is %d", file,
				  get_u32(b + AT_VERSION), VERSION);
	incompatible = get_u32(b + AT_INCOMPATIBLE);
	if (incompatible)
		return status_set(LSM_UNSUPPORTED, 0, file, offset, "%s has unknown incompatible features %#x", file,
				  incompatible);
	h.number = get_u64(b + AT_NUMBER);
	for (int i = 0; i < 3; i++)
		h.own[i] = get_u64(b + AT_OWN + 8 * i);
	*ret = h;
	return LSM_OK;
}
