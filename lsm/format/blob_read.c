/* SPDX-License-Identifier: MIT */
#include "lsm/format/blob_format.h"

const char blob_magic[] = "LSMBLOB\n";

static const char record_magic[] = "BREC";

void blob_record_header_encode(void *p, uint64_t value_size, uint64_t seed)
{
	uint8_t *b = p;

	memcpy(b + 4, record_magic, 4);
	put_u64(b + 8, value_size);
	put_u32(b, checksum32(b + 4, BLOB_RECORD_HEADER_BYTES - 4, seed));
}

bool blob_record_header_decode(const void *p, uint64_t seed, uint64_t *ret_value_size)
{
	const uint8_t *b = p;

	if (memcmp(b + 4, record_magic, 4) || get_u32(b) != checksum32(b + 4, BLOB_RECORD_HEADER_BYTES - 4, seed))
		return false;
	*ret_value_size = get_u64(b + 8);
	return true;
}

int blob_file_id(struct env_file *f, uint64_t segment, uint64_t *ret)
{
	uint8_t bytes[FILE_HEADER_BYTES];
	struct file_header h;
	int rc;

	rc = file_read_exact(f, 0, bytes, sizeof(bytes));
	if (!rc)
		rc = file_header_decode(bytes, blob_magic, f->path, 0, &h);
	if (!rc && h.number != segment)
		rc = status_corrupt(f->path, 0, "%s is segment %llu by its header, expected was %llu", f->path,
				    (unsigned long long)h.number, (unsigned long long)segment);
	if (!rc)
		*ret = h.own[BLOB_OWN_ID];
	return rc;
}

int blob_file_check(struct env_file *f, uint64_t segment)
{
	uint64_t id;

	return blob_file_id(f, segment, &id);
}

/* One read: chunks [first, end) of a value, of which [from, to) is wanted. */
struct batch {
	struct env_file *file;
	const struct blob_ptr *ptr;
	uint64_t first, end; /* chunks */
	uint64_t from, to;   /* bytes of the value, inside these chunks */
	uint8_t *buf;        /* for byte `from` and what follows */
};

/* Where the chunk is read to: in place when all of it is wanted, else to one of two edges. */
static uint8_t *chunk_target(const struct batch *b, uint64_t chunk, uint8_t edges[2][BLOB_CHUNK_BYTES])
{
	uint64_t start = chunk * BLOB_CHUNK_BYTES;
	uint64_t end = start + blob_chunk_size(b->ptr->value_size, chunk);

	if (start >= b->from && end <= b->to)
		return b->buf + (start - b->from);
	return edges[chunk != b->first];
}

static int chunk_check(const struct batch *b, uint64_t chunk, const uint8_t *data, const uint8_t *checksum)
{
	uint64_t offset = blob_chunk_offset(b->ptr->offset, chunk);
	size_t size = blob_chunk_size(b->ptr->value_size, chunk);

	if (get_u32(checksum) == checksum32(data, size, place_seed(b->ptr->segment, offset)))
		return LSM_OK;
	return status_corrupt(b->file->path, offset,
			      "%zu bytes at byte %llu of %s are damaged (chunk %llu of a value of %llu bytes)", size,
			      (unsigned long long)offset, b->file->path, (unsigned long long)chunk,
			      (unsigned long long)b->ptr->value_size);
}

/* Copies what is wanted of a chunk at the range's edge. */
static void edge_copy(const struct batch *b, uint64_t chunk, const uint8_t *data)
{
	uint64_t start = chunk * BLOB_CHUNK_BYTES;
	uint64_t end = start + blob_chunk_size(b->ptr->value_size, chunk);
	uint64_t from = start > b->from ? start : b->from;
	uint64_t to = end < b->to ? end : b->to;

	memcpy(b->buf + (from - b->from), data + (from - start), to - from);
}

static int batch_read(const struct batch *b)
{
	uint8_t edges[2][BLOB_CHUNK_BYTES];
	uint8_t checksums[BLOB_BATCH_CHUNKS][BLOB_CHECKSUM_BYTES];
	struct iovec iov[2 * BLOB_BATCH_CHUNKS];
	uint64_t offset = blob_chunk_offset(b->ptr->offset, b->first);
	uint64_t chunk = b->first;
	size_t want = 0, got;
	int n = 0, rc;

	do {
		size_t size = blob_chunk_size(b->ptr->value_size, chunk);

		iov[n++] = (struct iovec){ chunk_target(b, chunk, edges), size };
		iov[n++] = (struct iovec){ checksums[chunk - b->first], BLOB_CHECKSUM_BYTES };
		want += size + BLOB_CHECKSUM_BYTES;
	} while (++chunk < b->end);
	rc = b->file->ops->readv(b->file, offset, iov, n, &got);
	if (rc)
		return rc;
	if (got < want)
		return status_corrupt(b->file->path, offset,
				      "%s ends at byte %llu, inside a value that began at byte %llu", b->file->path,
				      (unsigned long long)(offset + got), (unsigned long long)b->ptr->offset);
	for (uint64_t i = b->first; i < b->end; i++) {
		const uint8_t *data = iov[2 * (i - b->first)].iov_base;

		rc = chunk_check(b, i, data, checksums[i - b->first]);
		if (rc)
			return rc;
		if (data == edges[0] || data == edges[1])
			edge_copy(b, i, data);
	}
	return LSM_OK;
}

/* Reads bytes [from, to) of the stored value. */
static int value_read(struct env_file *f, const struct blob_ptr *ptr, uint64_t from, uint64_t to, uint8_t *buf)
{
	while (from < to) {
		struct batch b = { .file = f, .ptr = ptr, .first = from / BLOB_CHUNK_BYTES, .from = from, .buf = buf };
		int rc;

		b.end = (to - 1) / BLOB_CHUNK_BYTES + 1;
		if (b.end - b.first > BLOB_BATCH_CHUNKS)
			b.end = b.first + BLOB_BATCH_CHUNKS;
		b.to = b.end * BLOB_CHUNK_BYTES < to ? b.end * BLOB_CHUNK_BYTES : to;
		rc = batch_read(&b);
		if (rc)
			return rc;
		buf += b.to - from;
		from = b.to;
	}
	return LSM_OK;
}

int blob_read(struct env_file *f, const struct blob_ptr *ptr, uint64_t offset, void *buf, size_t size)
{
	return value_read(f, ptr, ptr->part_offset + offset, ptr->part_offset + offset + size, buf);
}

static int record_header_check(struct env_file *f, const struct blob_ptr *ptr)
{
	uint8_t bytes[BLOB_RECORD_HEADER_BYTES];
	uint64_t value_size;
	int rc;

	rc = file_read_exact(f, ptr->offset, bytes, sizeof(bytes));
	if (rc)
		return rc;
	if (!blob_record_header_decode(bytes, place_seed(ptr->segment, ptr->offset), &value_size))
		return status_corrupt(f->path, ptr->offset, "the header of the value at byte %llu of %s is damaged",
				      (unsigned long long)ptr->offset, f->path);
	if (value_size != ptr->value_size)
		return status_corrupt(f->path, ptr->offset,
				      "the value at byte %llu of %s has %llu bytes, expected were %llu",
				      (unsigned long long)ptr->offset, f->path, (unsigned long long)value_size,
				      (unsigned long long)ptr->value_size);
	return LSM_OK;
}

int blob_verify(struct env_file *f, const struct blob_ptr *ptr)
{
	uint64_t size_max = 16 * BLOB_CHUNK_BYTES;
	uint8_t *scratch;
	int rc;

	rc = record_header_check(f, ptr);
	if (rc)
		return rc;
	if (size_max > ptr->value_size)
		size_max = ptr->value_size;
	scratch = malloc(size_max ? size_max : 1);
	if (!scratch)
		return status_no_memory(size_max);
	for (uint64_t at = 0; !rc && at < ptr->value_size; at += size_max) {
		uint64_t left = ptr->value_size - at;

		rc = value_read(f, ptr, at, at + (left < size_max ? left : size_max), scratch);
	}
	free(scratch);
	return rc;
}
