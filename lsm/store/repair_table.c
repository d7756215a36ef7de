/* SPDX-License-Identifier: MIT */
/* Salvaging a table: entry by entry into a new one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lsm/format/blob.h"
#include "lsm/format/table_scan.h"
#include "lsm/store/repair.h"

struct salvaging {
	struct repair *r;
	struct repair_table *t;
	struct table_writer *writer;
	struct buf last;          /* internal key */
	struct blob_writer *blob; /* for values whose record is damaged, and that can be read nevertheless; or NULL */
	uint64_t blob_number;
};

static int ignore_block(void *ctx, const char *what, uint64_t offset, uint64_t size)
{
	(void)ctx, (void)what, (void)offset, (void)size;
	return LSM_OK;
}

static int ignore_props(void *ctx, const struct table_props *p)
{
	(void)ctx, (void)p;
	return LSM_OK;
}

static int ignore_damage(void *ctx, struct lsm_slice low, struct lsm_slice high)
{
	(void)ctx, (void)low, (void)high;
	return LSM_OK;
}

static int on_range_del(void *ctx, const struct range_fragment *f)
{
	struct salvaging *s = ctx;
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < f->seqs_n; i++)
		rc = table_writer_add_range_delete(s->writer, &(struct range_del){ f->begin, f->end, f->seqs[i] });
	return rc;
}

/* ---- large values ---- */

static int open_segment(struct repair *r, uint64_t number, struct env_file **ret)
{
	char path[STORE_PATH_MAX];

	store_file_path(path, r->dir, STORE_BLOB, number);
	return env_open(r->env, path, ENV_OPEN_READ, ret);
}

/* "value-6b6579-17": the key, its beginning at least, and the sequence number. */
static void value_name(char name[160], struct lsm_slice key, uint64_t sequence)
{
	enum { KEY_BYTES = 48 };
	const uint8_t *p = key.data;
	int at = snprintf(name, 160, "value-");

	for (size_t i = 0; i < key.size && i < KEY_BYTES; i++)
		at += snprintf(name + at, 160 - (size_t)at, "%02x", p[i]);
	snprintf(name + at, 160 - (size_t)at, "-%llu", (unsigned long long)sequence);
}

/* `from` is the segment. */
static int copy_readable(const struct blob_ptr *ptr, struct env_file *from, struct env_file *to)
{
	uint8_t *chunk = malloc(BLOB_CHUNK_BYTES);
	int rc = chunk ? to->ops->truncate(to, ptr->part_size) : status_no_memory(BLOB_CHUNK_BYTES);

	for (uint64_t at = 0; !rc && at < ptr->part_size; at += BLOB_CHUNK_BYTES) {
		uint64_t left = ptr->part_size - at;
		size_t size = left < BLOB_CHUNK_BYTES ? (size_t)left : BLOB_CHUNK_BYTES;

		if (!blob_read(from, ptr, at, chunk, size))
			rc = file_write(to, at, chunk, size);
	}
	free(chunk);
	return rc ? rc : file_sync(to);
}

int repair_keep_value(struct repair *r, struct lsm_slice user_key, uint64_t sequence, const struct blob_ptr *ptr)
{
	struct env_file *from = NULL, *to = NULL;
	char name[160], *path = NULL;
	int rc;

	if (open_segment(r, ptr->segment, &from)) /* nothing of it can be read */
		return LSM_OK;
	value_name(name, user_key, sequence);
	rc = repair_lost_path(r, name, &path);
	if (!rc)
		rc = env_open(r->env, path, ENV_OPEN_CREATE, &to);
	if (!rc)
		rc = copy_readable(ptr, from, to);
	file_close(to);
	file_close(from);
	free(path);
	return rc;
}

/* The value itself is whole, but not its record: it is stored anew. */
static int move_value(struct salvaging *s, struct lsm_slice value, uint8_t pointer[BLOB_PTR_BYTES_MAX],
		      size_t *ret_size)
{
	char path[STORE_PATH_MAX];
	struct blob_ptr ptr;
	int rc = LSM_OK;

	if (!s->blob) {
		s->blob_number = s->r->next_number++;
		store_file_path(path, s->r->dir, STORE_BLOB, s->blob_number);
		rc = blob_writer_open(s->r->env, path, s->blob_number, &s->blob);
	}
	if (!rc)
		rc = blob_writer_add(s->blob, value, &ptr);
	if (!rc)
		*ret_size = blob_ptr_encode(pointer, &ptr);
	return rc;
}

/* An entry whose pointer is bad: *value is a new pointer, or empty: the key is to be deleted. */
static int mend_value(struct salvaging *s, struct lsm_slice ikey, struct lsm_slice *value,
		      uint8_t pointer[BLOB_PTR_BYTES_MAX])
{
	struct lsm_slice old = *value;
	struct env_file *f = NULL;
	struct blob_ptr ptr;
	uint8_t *data = NULL;
	size_t size = 0;
	int rc = LSM_OK;

	*value = slice_of(NULL, 0);
	if (blob_ptr_decode(old, NULL, &ptr) || open_segment(s->r, ptr.segment, &f))
		return LSM_OK;
	data = malloc(ptr.part_size ? ptr.part_size : 1);
	if (!data)
		rc = status_no_memory(ptr.part_size);
	else if (!blob_read(f, &ptr, 0, data, ptr.part_size))
		rc = move_value(s, slice_of(data, ptr.part_size), pointer, &size);
	else
		rc = repair_keep_value(s->r, ikey_user(ikey), trailer_seq(ikey_trailer(ikey)), &ptr);
	if (!rc && size)
		*value = slice_of(pointer, size);
	free(data);
	file_close(f);
	return rc;
}

static int add_large(struct salvaging *s, struct lsm_slice ikey, struct lsm_slice value)
{
	uint8_t pointer[BLOB_PTR_BYTES_MAX];
	struct blob_ptr ptr;
	struct buf deleted = { 0 };
	int rc = blob_ptr_decode(value, NULL, &ptr);

	if (!rc)
		rc = check_value_find(&s->r->check, &ptr);
	if (rc == LSM_CORRUPT || rc == LSM_IO) {
		rc = mend_value(s, ikey, &value, pointer);
		if (!rc && !value.size) {
			/* A delete in its place, so that no older value shows. */
			buf_put_ikey(&deleted, ikey_user(ikey),
				     trailer_of(trailer_seq(ikey_trailer(ikey)), ENTRY_DELETE));
			rc = deleted.failed ? status_no_memory(ikey.size)
					    : table_writer_add(s->writer, buf_slice(&deleted), value);
			buf_free(&deleted);
			return rc;
		}
	}
	return rc ? rc : table_writer_add(s->writer, ikey, value);
}

static int on_entry(void *ctx, struct lsm_slice ikey, struct lsm_slice value)
{
	struct salvaging *s = ctx;
	enum entry_type type = trailer_type(ikey_trailer(ikey));

	/* An entry out of order, of no known type or without a key is none that was written. */
	if (ikey.size <= TRAILER_BYTES || type > ENTRY_BLOB ||
	    (s->last.size && ikey_compare(buf_slice(&s->last), ikey) >= 0))
		return LSM_OK;
	buf_set(&s->last, ikey);
	if (s->last.failed)
		return status_no_memory(ikey.size);
	return type == ENTRY_BLOB ? add_large(s, ikey, value) : table_writer_add(s->writer, ikey, value);
}

/* ---- the table ---- */

static void set_sequence(struct buf *ikey, uint64_t sequence)
{
	uint64_t type = ikey_trailer(buf_slice(ikey)) & 255;

	put_u64(ikey->data + ikey->size - TRAILER_BYTES, sequence << 8 | type);
}

/* `number` is the new table's. */
static int finish(struct salvaging *s, uint64_t number)
{
	struct table_props p = { 0 };
	int rc = table_writer_finish(s->writer, &p);

	s->writer = NULL;
	if (!rc && s->blob)
		rc = blob_writer_sync(s->blob);
	if (rc)
		return rc;
	if (s->t->loaded) {
		p.sequence_min = p.sequence_max = s->t->sequence;
		set_sequence(&p.smallest, s->t->sequence);
		set_sequence(&p.largest, s->t->sequence);
	}
	return table_meta_new(&s->r->tree, number, &p, &s->t->meta);
}

static int scan(struct salvaging *s)
{
	static const struct table_scan_fns fns = { ignore_block, ignore_props, NULL,
						   on_range_del, on_entry,     ignore_damage };
	char path[STORE_PATH_MAX];
	int rc;

	store_file_path(path, s->r->dir, STORE_TABLE, s->t->number);
	rc = table_scan(s->r->env, path, s->t->number, &fns, s);
	return rc == LSM_IO && lsm_last_error()->sys_errno == ENOENT ? LSM_OK : rc;
}

int repair_salvage(struct repair *r, struct repair_table *t)
{
	const struct table_write_options o = { .block_bytes = r->stored.block_bytes,
					       .filter_bits = r->stored.filter_bits,
					       .compression = LSM_COMPRESS_LZ4 };
	struct salvaging s = { .r = r, .t = t };
	uint64_t number = r->next_number++;
	char path[STORE_PATH_MAX];
	bool empty = true;
	int rc;

	table_meta_unref(t->meta);
	t->meta = NULL;
	store_file_path(path, r->dir, STORE_TABLE, number);
	rc = table_writer_open(r->env, path, number, &o, &s.writer);
	if (!rc && t->loaded)
		table_writer_set_loaded(s.writer);
	if (!rc)
		rc = scan(&s);
	if (!rc)
		empty = !table_writer_count(s.writer);
	if (!rc && !empty)
		rc = finish(&s, number);
	table_writer_abort(s.writer);
	blob_writer_close(s.blob);
	buf_free(&s.last);
	if (rc || empty)
		env_discard(r->env, path);
	return rc;
}
