/* SPDX-License-Identifier: MIT */
/* Dumps of log segments and manifests. */
#include "lsm/format/log.h"
#include "lsm/format/wal_segment.h"
#include "lsm/memory/batch.h"
#include "lsm/store/dump.h"
#include "lsm/tree/text.h"

/* ---- log segments ---- */

static int show_batch(struct dump *d, const struct wal_parsed *r, uint64_t at)
{
	struct batch_reader ops;
	struct batch_op op;
	uint64_t sequence = r->sequence;
	int more = 0, rc;

	if (batch_reader_init(&ops, r->payload))
		text_add(&d->text, ", batch of %llu from sequence %llu", (unsigned long long)ops.left,
			 (unsigned long long)sequence);
	else
		more = -1;
	rc = dump_line(d);
	while (!rc && more >= 0 && (more = batch_next(&ops, &op)) > 0) {
		text_add(&d->text, "  @%llu ", (unsigned long long)sequence++);
		dump_entry(d, op.key, op.type, op.value);
		rc = dump_line(d);
	}
	if (!rc && more < 0) {
		status_corrupt(d->path, at, "the record at byte %llu of %s checks and is no batch",
			       (unsigned long long)at, d->path);
		rc = dump_damage(d);
	}
	return rc;
}

static int show_record(struct dump *d, const struct wal_segment *s, const struct wal_parsed *r, uint64_t at)
{
	text_add(&d->text, "%llu: LSN %llu, %llu bytes", (unsigned long long)at,
		 (unsigned long long)(s->start_lsn + at - WAL_HEADER_BYTES), (unsigned long long)r->bytes);
	if (r->type != WAL_RECORD_MARK)
		return show_batch(d, r, at);
	text_add(&d->text, ", mark: durable below LSN %llu", (unsigned long long)get_u64(r->payload.data));
	return dump_line(d);
}

/*
 * Records follow one another without a gap: one that checks behind bytes that don't tells of damage between. Behind the
 * last there is the end, and what the file's former life or a torn write left.
 */
static int show_records(struct dump *d, const struct wal_segment *s, const uint8_t *data, uint64_t size)
{
	uint64_t at = WAL_HEADER_BYTES, checked = at, records = 0;
	int rc = LSM_OK;

	while (!rc && size - at >= WAL_RECORD_HEADER_BYTES) {
		struct wal_parsed r;

		if (!wal_record_parse(data + at, size - at, place_seed(s->number, at), &r)) {
			at += 8;
			continue;
		}
		if (at > checked) {
			status_corrupt(d->path, checked,
				       "no record checks from byte %llu of %s on, but one does at byte %llu",
				       (unsigned long long)checked, d->path, (unsigned long long)at);
			rc = dump_damage(d);
		}
		if (!rc)
			rc = show_record(d, s, &r, at);
		at += r.bytes;
		checked = at;
		records++;
	}
	if (rc)
		return rc;
	text_add(&d->text, "%llu: end, LSN %llu, %llu records", (unsigned long long)checked,
		 (unsigned long long)(s->start_lsn + checked - WAL_HEADER_BYTES), (unsigned long long)records);
	return dump_line(d);
}

/* The header counts that the log would go by; each copy is shown. */
static int show_headers(struct dump *d, const uint8_t *data, struct wal_segment *ret)
{
	int rc = LSM_OK;

	for (uint64_t at = 0; !rc && at < WAL_HEADER_BYTES; at += WAL_HEADER_COPY_BYTES) {
		struct wal_segment s = { 0 };

		if (!get_u64(data + at)) {
			text_add(&d->text, "%llu: no header", (unsigned long long)at);
		} else {
			rc = wal_header_decode(data + at, d->path, at, &s);
			if (rc == LSM_CORRUPT) {
				rc = dump_damage(d);
				continue;
			}
			wal_segment_to_text(&s, &d->text);
		}
		if (s.number > ret->number)
			*ret = s;
		if (!rc)
			rc = dump_line(d);
	}
	return rc;
}

static int file_load(struct dump *d, uint8_t **ret, uint64_t *ret_size)
{
	struct env_file *f = NULL;
	uint8_t *data = NULL;
	uint64_t size = 0;
	size_t got = 0;
	int rc = env_open(d->env, d->path, ENV_OPEN_READ, &f);

	if (!rc)
		rc = file_size(f, &size);
	if (!rc && !(data = malloc(size + 1)))
		rc = status_no_memory(size + 1);
	if (!rc)
		rc = file_read(f, 0, data, size, &got);
	file_close(f);
	if (rc) {
		free(data);
		return rc;
	}
	*ret = data;
	*ret_size = got;
	return LSM_OK;
}

int dump_wal(struct dump *d)
{
	struct wal_segment s = { 0 };
	uint8_t *data;
	uint64_t size;
	int rc = file_load(d, &data, &size);

	if (rc)
		return rc;
	if (size < WAL_HEADER_BYTES) {
		text_add(&d->text, "a file of %llu bytes, whose making was cut short", (unsigned long long)size);
		rc = dump_line(d);
	} else {
		rc = show_headers(d, data, &s);
		if (!rc && s.number && size < s.size) {
			status_corrupt(d->path, size, "%s has %llu bytes, but %llu by its header", d->path,
				       (unsigned long long)size, (unsigned long long)s.size);
			rc = dump_damage(d);
		}
		if (!rc && s.number)
			rc = show_records(d, &s, data, size < s.size ? size : s.size);
	}
	free(data);
	return rc;
}

/* ---- manifests ---- */

struct manifest_dump {
	struct dump *d;
	uint64_t end;        /* behind the last copy that checked */
	uint64_t next_index; /* of the next record */
};

static int show_edit(struct dump *d, const struct log_copy *copy)
{
	struct tree nowhere = { .read_only = true };
	struct edit e = { 0 };
	int rc;

	text_add(&d->text, "%llu: record %llu, %zu bytes", (unsigned long long)copy->offset,
		 (unsigned long long)copy->index, copy->record.size);
	rc = dump_line(d);
	if (rc)
		return rc;
	rc = edit_decode(copy->record, d->path, &nowhere, &e);
	if (rc)
		return rc == LSM_CORRUPT ? dump_damage(d) : rc;
	edit_to_text(&e, &d->text);
	edit_done(&e);
	return dump_lines(d, "  ");
}

static int on_copy(void *ctx, const struct log_copy *copy)
{
	struct manifest_dump *m = ctx;
	bool second = copy->index + 1 == m->next_index;
	int rc = LSM_OK;

	if (copy->offset > m->end) {
		status_corrupt(m->d->path, m->end, "%llu bytes at byte %llu of %s are damaged; record %llu %s",
			       (unsigned long long)(copy->offset - m->end), (unsigned long long)m->end, m->d->path,
			       (unsigned long long)(second ? copy->index : m->next_index),
			       second || copy->index == m->next_index ? "has another copy" : "is lost");
		rc = dump_damage(m->d);
	}
	m->end = copy->end;
	if (rc || second)
		return rc;
	m->next_index = copy->index + 1;
	return show_edit(m->d, copy);
}

int dump_manifest(struct dump *d)
{
	struct manifest_dump m = { .d = d, .end = FILE_HEADER_BYTES };
	uint64_t number = d->number, size = 0;
	int rc = log_read_number(d->env, d->path, &number);

	if (rc == LSM_CORRUPT)
		rc = dump_damage(d);
	if (rc)
		return rc;
	text_add(&d->text, "manifest %llu", (unsigned long long)number);
	rc = dump_line(d);
	if (!rc)
		rc = log_scan(d->env, d->path, number, on_copy, &m, &size);
	if (rc)
		return rc;
	text_add(&d->text, "%llu: end, %llu records", (unsigned long long)m.end, (unsigned long long)m.next_index);
	if (size > m.end)
		text_add(&d->text, ", then %llu bytes of an append that was cut short",
			 (unsigned long long)(size - m.end));
	return dump_line(d);
}
