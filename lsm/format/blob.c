/* SPDX-License-Identifier: MIT */
/* Pointers to values, and writing. Reading is in blob_read.c. */
#include "lsm/format/blob.h"

#include <stdatomic.h>

#include "lsm/format/blob_format.h"

size_t blob_ptr_encode(void *p, const struct blob_ptr *ptr)
{
	uint8_t *b = p;
	size_t n = 0;

	n += put_varint(b + n, ptr->segment);
	n += put_varint(b + n, ptr->offset);
	n += put_varint(b + n, ptr->value_size);
	n += put_varint(b + n, ptr->part_offset);
	n += put_varint(b + n, ptr->part_size);
	return n;
}

int blob_ptr_decode(struct lsm_slice s, const char *file, struct blob_ptr *ret)
{
	struct reader r = reader_of(s);
	struct blob_ptr p;

	p.segment = read_varint(&r);
	p.offset = read_varint(&r);
	p.value_size = read_varint(&r);
	p.part_offset = read_varint(&r);
	p.part_size = read_varint(&r);
	if (r.failed || reader_left(&r))
		return status_corrupt(file, 0, "%zu bytes are no pointer to a stored value", s.size);
	if (p.value_size > LSM_VALUE_BYTES_MAX || p.offset < FILE_HEADER_BYTES || p.offset > BLOB_OFFSET_MAX)
		return status_corrupt(file, 0,
				      "a pointer leads to byte %llu of blob segment %llu, size %llu: out of range",
				      (unsigned long long)p.offset, (unsigned long long)p.segment,
				      (unsigned long long)p.value_size);
	if (p.part_offset > p.value_size || p.part_size > p.value_size - p.part_offset)
		return status_corrupt(file, 0, "a pointer to %llu bytes at byte %llu leaves its value of %llu bytes",
				      (unsigned long long)p.part_size, (unsigned long long)p.part_offset,
				      (unsigned long long)p.value_size);
	*ret = p;
	return LSM_OK;
}

uint64_t blob_record_bytes(uint64_t value_size)
{
	return BLOB_RECORD_HEADER_BYTES + value_size + blob_chunks(value_size) * BLOB_CHECKSUM_BYTES;
}

struct blob_writer {
	struct env_file *file;
	uint64_t segment;
	_Atomic uint64_t bytes; /* where the next record goes */
};

int blob_writer_open(struct env *env, const char *path, uint64_t segment, struct blob_writer **ret)
{
	struct blob_writer *w = calloc(1, sizeof(*w));
	struct file_header h = { .number = segment };
	uint8_t header[FILE_HEADER_BYTES];
	int rc;

	if (!w)
		return status_no_memory(sizeof(*w));
	rc = env->ops->random(env, &h.own[BLOB_OWN_ID], sizeof(h.own[BLOB_OWN_ID]));
	if (!rc)
		rc = env_open(env, path, ENV_OPEN_CREATE, &w->file);
	if (rc)
		goto fail;
	file_header_encode(header, blob_magic, &h);
	rc = file_write(w->file, 0, header, sizeof(header));
	if (rc)
		goto fail;
	w->segment = segment;
	atomic_init(&w->bytes, sizeof(header));
	*ret = w;
	return LSM_OK;
fail:
	blob_writer_close(w);
	return rc;
}

/* The pieces of one write: chunks of the caller's value in place, their checksums between them. */
struct pieces {
	struct iovec iov[2 * BLOB_BATCH_CHUNKS + 1];
	uint8_t record_header[BLOB_RECORD_HEADER_BYTES];
	uint8_t checksums[BLOB_BATCH_CHUNKS][BLOB_CHECKSUM_BYTES];
	int n;
	uint64_t bytes;
};

static void piece_add(struct pieces *p, const void *data, size_t size)
{
	p->iov[p->n++] = (struct iovec){ (void *)data, size };
	p->bytes += size;
}

/* Adds chunks [first, end) of the value; the batch goes to `offset` of the file. */
static void chunks_add(struct pieces *p, uint64_t segment, uint64_t offset, struct lsm_slice value, uint64_t first,
		       uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		const uint8_t *data = (const uint8_t *)value.data + i * BLOB_CHUNK_BYTES;
		size_t size = blob_chunk_size(value.size, i);
		uint8_t *checksum = p->checksums[i - first];

		put_u32(checksum, checksum32(data, size, place_seed(segment, offset + p->bytes)));
		piece_add(p, data, size);
		piece_add(p, checksum, BLOB_CHECKSUM_BYTES);
	}
}

int blob_writer_add(struct blob_writer *w, struct lsm_slice value, struct blob_ptr *ret)
{
	uint64_t start = atomic_load_explicit(&w->bytes, memory_order_relaxed);
	uint64_t chunks = blob_chunks(value.size), chunk = 0, at = start;
	struct pieces p;

	if (value.size > LSM_VALUE_BYTES_MAX)
		return status_set(LSM_INVALID, 0, w->file->path, 0, "a value of %zu bytes is too large", value.size);
	do {
		uint64_t end = chunks - chunk < BLOB_BATCH_CHUNKS ? chunks : chunk + BLOB_BATCH_CHUNKS;
		int rc;

		p.n = 0;
		p.bytes = 0;
		if (at == start) {
			blob_record_header_encode(p.record_header, value.size, place_seed(w->segment, start));
			piece_add(&p, p.record_header, BLOB_RECORD_HEADER_BYTES);
		}
		chunks_add(&p, w->segment, at, value, chunk, end);
		rc = w->file->ops->writev(w->file, at, p.iov, p.n);
		if (rc)
			return rc;
		at += p.bytes;
		chunk = end;
	} while (chunk < chunks);
	*ret = (struct blob_ptr){ w->segment, start, value.size, 0, value.size };
	atomic_store_explicit(&w->bytes, at, memory_order_release);
	return LSM_OK;
}

uint64_t blob_writer_bytes(const struct blob_writer *w)
{
	return atomic_load_explicit(&w->bytes, memory_order_acquire);
}

int blob_writer_sync(struct blob_writer *w)
{
	return file_sync(w->file);
}

struct env_file *blob_writer_file(struct blob_writer *w)
{
	return w->file;
}

void blob_writer_close(struct blob_writer *w)
{
	if (!w)
		return;
	file_close(w->file);
	free(w);
}
