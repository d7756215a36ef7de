/* SPDX-License-Identifier: MIT */
/* A whole blob segment for tools. Nothing in it says which values are alive. */
#include "lsm/format/blob_format.h"

/* Where at or behind `at` does the header of a record stand? `size` when there is none any more. */
static int header_find(struct env_file *f, uint64_t segment, uint64_t at, uint64_t size, uint64_t *ret_at,
		       uint64_t *ret_value_size)
{
	enum { WINDOW_BYTES = 64 << 10 };
	uint8_t *window = malloc(WINDOW_BYTES);
	int rc = window ? LSM_OK : status_no_memory(WINDOW_BYTES);

	while (!rc && size - at >= BLOB_RECORD_HEADER_BYTES) {
		size_t got = 0;

		rc = file_read(f, at, window, WINDOW_BYTES, &got);
		if (rc || got < BLOB_RECORD_HEADER_BYTES)
			break;
		for (size_t i = 0; i + BLOB_RECORD_HEADER_BYTES <= got; i++) {
			if (blob_record_header_decode(window + i, place_seed(segment, at + i), ret_value_size)) {
				free(window);
				*ret_at = at + i;
				return LSM_OK;
			}
		}
		at += got - (BLOB_RECORD_HEADER_BYTES - 1);
	}
	free(window);
	if (!rc)
		*ret_at = size;
	return rc;
}

int blob_scan(struct env_file *f, uint64_t segment, int (*fn)(void *ctx, const struct blob_found *found), void *ctx)
{
	uint64_t size, at = FILE_HEADER_BYTES;
	int rc = file_size(f, &size);

	while (!rc && at < size) {
		struct blob_found found = { .ptr = { .segment = segment } };
		uint64_t value_size = 0;

		rc = header_find(f, segment, at, size, &found.ptr.offset, &value_size);
		if (rc)
			break;
		found.skipped = found.ptr.offset - at;
		found.is_end = found.ptr.offset == size;
		if (!found.is_end) {
			found.ptr.value_size = found.ptr.part_size = value_size;
			found.code = blob_verify(f, &found.ptr);
		}
		rc = found.code == LSM_NO_MEMORY ? found.code : fn(ctx, &found);
		at = found.ptr.offset + (found.is_end ? 0 : blob_record_bytes(value_size));
	}
	return rc;
}
