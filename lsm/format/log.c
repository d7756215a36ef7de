/* SPDX-License-Identifier: MIT */
#include "lsm/format/log.h"

#include "lsm/format/header.h"

static const char magic[] = "LSMLOG\r\n";

enum { RECORD_HEADER_BYTES = 24, COPIES = 2 };

static uint64_t padded(uint64_t size)
{
	return (size + 7) & ~UINT64_C(7);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Writing
 */

struct log_writer {
	struct env_file *file;
	uint64_t number;
	uint64_t offset; /* where the next record goes */
	uint64_t index;
	struct lsm_error failed; /* code 0 while all is well */
};

int log_writer_open(struct env *env, const char *path, uint64_t number, struct log_writer **ret)
{
	struct log_writer *w = calloc(1, sizeof(*w));
	uint8_t header[FILE_HEADER_BYTES];
	int rc;

	if (!w)
		return status_no_memory(sizeof(*w));
	rc = env_open(env, path, ENV_OPEN_CREATE, &w->file);
	if (rc)
		goto fail;
	file_header_encode(header, magic, &(struct file_header){ .number = number });
	rc = file_write(w->file, 0, header, sizeof(header));
	if (rc)
		goto fail;
	w->number = number;
	w->offset = sizeof(header);
	*ret = w;
	return LSM_OK;
fail:
	log_writer_close(w);
	return rc;
}

static int fail_for_good(struct log_writer *w)
{
	w->failed = *lsm_last_error();
	return w->failed.code;
}

/* What a failed write left must not stay: a later record could end in the middle of it. */
static int add_undo(struct log_writer *w)
{
	struct lsm_error error = *lsm_last_error();

	if (w->file->ops->truncate(w->file, w->offset))
		w->failed = error;
	return status_adopt(&error);
}

static void record_header(uint8_t *p, const struct log_writer *w, struct lsm_slice record, uint64_t offset)
{
	uint64_t seed = place_seed(w->number, offset);

	put_u32(p + 4, (uint32_t)record.size);
	put_u64(p + 8, w->index);
	put_u64(p + 16, hash64(record.data, record.size, seed));
	put_u32(p, checksum32(p + 4, RECORD_HEADER_BYTES - 4, seed));
}

int log_writer_add(struct log_writer *w, struct lsm_slice record)
{
	static const uint8_t zeros[8];
	uint64_t size = RECORD_HEADER_BYTES + padded(record.size);
	uint8_t headers[COPIES][RECORD_HEADER_BYTES];
	struct iovec iov[3 * COPIES];

	if (w->failed.code)
		return status_adopt(&w->failed);
	if (record.size > UINT32_MAX)
		return status_set(LSM_INVALID, 0, w->file->path, 0, "a record of %zu bytes is too large for %s",
				  record.size, w->file->path);
	for (int i = 0; i < COPIES; i++) {
		record_header(headers[i], w, record, w->offset + size * i);
		iov[3 * i] = (struct iovec){ headers[i], RECORD_HEADER_BYTES };
		iov[3 * i + 1] = (struct iovec){ (void *)record.data, record.size };
		iov[3 * i + 2] = (struct iovec){ (void *)zeros, padded(record.size) - record.size };
	}
	if (w->file->ops->writev(w->file, w->offset, iov, 3 * COPIES))
		return add_undo(w);
	w->offset += COPIES * size;
	w->index++;
	return LSM_OK;
}

int log_writer_sync(struct log_writer *w)
{
	if (w->failed.code)
		return status_adopt(&w->failed);
	return file_sync(w->file) ? fail_for_good(w) : LSM_OK;
}

bool log_writer_failed(const struct log_writer *w)
{
	return w->failed.code != LSM_OK;
}

uint64_t log_writer_bytes(const struct log_writer *w)
{
	return w->offset;
}

void log_writer_close(struct log_writer *w)
{
	if (!w)
		return;
	file_close(w->file);
	free(w);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Reading
 */

struct log_reader {
	const char *path;
	const uint8_t *data;
	uint64_t size, number;
	uint64_t next_index;
	uint64_t checked; /* behind the last copy that checked */
};

/* Is there a copy of a record at `offset` that checks? */
static bool copy_parse(const struct log_reader *r, uint64_t offset, uint64_t *ret_index, struct lsm_slice *ret_record)
{
	const uint8_t *p = r->data + offset;
	uint64_t seed = place_seed(r->number, offset);
	uint64_t left = r->size - offset;
	uint32_t size;

	if (left < RECORD_HEADER_BYTES)
		return false;
	size = get_u32(p + 4);
	if (size > left - RECORD_HEADER_BYTES || get_u32(p) != checksum32(p + 4, RECORD_HEADER_BYTES - 4, seed))
		return false;
	if (get_u64(p + 16) != hash64(p + RECORD_HEADER_BYTES, size, seed))
		return false;
	*ret_index = get_u64(p + 8);
	*ret_record = slice_of(p + RECORD_HEADER_BYTES, size);
	return true;
}

static int copy_take(struct log_reader *r, uint64_t index, struct lsm_slice record,
		     int (*fn)(void *ctx, struct lsm_slice record), void *ctx)
{
	if (index == r->next_index) {
		r->next_index++;
		return fn(ctx, record);
	}
	if (index + 1 == r->next_index)
		return LSM_OK;
	return status_corrupt(r->path, r->checked, "record %llu of %s, at byte %llu, is damaged (record %llu follows)",
			      (unsigned long long)r->next_index, r->path, (unsigned long long)r->checked,
			      (unsigned long long)index);
}

static int records_read(struct log_reader *r, int (*fn)(void *ctx, struct lsm_slice record), void *ctx)
{
	uint64_t at = r->checked;

	while (at < r->size) {
		struct lsm_slice record;
		uint64_t index;
		int rc;

		if (!copy_parse(r, at, &index, &record)) {
			at += 8;
			continue;
		}
		rc = copy_take(r, index, record, fn, ctx);
		if (rc)
			return rc;
		at += RECORD_HEADER_BYTES + padded(record.size);
		r->checked = at < r->size ? at : r->size;
	}
	return LSM_OK;
}

static int header_check(const struct log_reader *r)
{
	struct file_header h;
	int rc;

	if (r->size < FILE_HEADER_BYTES)
		return status_corrupt(r->path, r->size, "%s ends inside its header", r->path);
	rc = file_header_decode(r->data, magic, r->path, 0, &h);
	if (rc)
		return rc;
	if (h.number != r->number)
		return status_corrupt(r->path, 0, "%s is number %llu by its header, expected was %llu", r->path,
				      (unsigned long long)h.number, (unsigned long long)r->number);
	return LSM_OK;
}

static int file_load(struct env *env, const char *path, uint8_t **ret_data, uint64_t *ret_size)
{
	struct env_file *f = NULL;
	uint8_t *data = NULL;
	uint64_t size;
	int rc;

	rc = env_open(env, path, ENV_OPEN_READ, &f);
	if (rc)
		return rc;
	rc = file_size(f, &size);
	if (rc)
		goto out;
	data = malloc(size ? size : 1);
	if (!data) {
		rc = status_no_memory(size);
		goto out;
	}
	rc = file_read_exact(f, 0, data, size);
	if (rc)
		goto out;
	*ret_data = data;
	*ret_size = size;
	data = NULL;
out:
	free(data);
	file_close(f);
	return rc;
}

int log_read(struct env *env, const char *path, uint64_t number, int (*fn)(void *ctx, struct lsm_slice record),
	     void *ctx, struct log_end *ret_end)
{
	struct log_reader r = { .path = path, .number = number, .checked = FILE_HEADER_BYTES };
	uint8_t *data = NULL;
	int rc;

	rc = file_load(env, path, &data, &r.size);
	if (rc)
		return rc;
	r.data = data;
	rc = header_check(&r);
	if (!rc)
		rc = records_read(&r, fn, ctx);
	if (!rc && ret_end)
		*ret_end = (struct log_end){ r.next_index, r.checked, r.checked < r.size };
	free(data);
	return rc;
}

/* ---------------------------------------------------------------------------------------------------------------
 * For tools
 */

int log_read_number(struct env *env, const char *path, uint64_t *ret_number)
{
	uint8_t bytes[FILE_HEADER_BYTES];
	struct env_file *f = NULL;
	struct file_header h;
	int rc = env_open(env, path, ENV_OPEN_READ, &f);

	if (!rc)
		rc = file_read_exact(f, 0, bytes, sizeof(bytes));
	if (!rc)
		rc = file_header_decode(bytes, magic, path, 0, &h);
	file_close(f);
	if (!rc)
		*ret_number = h.number;
	return rc;
}

int log_scan(struct env *env, const char *path, uint64_t number, int (*fn)(void *ctx, const struct log_copy *copy),
	     void *ctx, uint64_t *ret_bytes)
{
	struct log_reader r = { .path = path, .number = number };
	struct log_copy copy = { .offset = FILE_HEADER_BYTES };
	uint8_t *data = NULL;
	int rc = file_load(env, path, &data, &r.size);

	if (rc)
		return rc;
	r.data = data;
	while (!rc && copy.offset < r.size) {
		if (!copy_parse(&r, copy.offset, &copy.index, &copy.record)) {
			copy.offset += 8;
			continue;
		}
		copy.end = copy.offset + RECORD_HEADER_BYTES + padded(copy.record.size);
		rc = fn(ctx, &copy);
		copy.offset = copy.end;
	}
	free(data);
	if (!rc)
		*ret_bytes = r.size;
	return rc;
}
