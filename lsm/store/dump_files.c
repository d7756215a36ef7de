/* SPDX-License-Identifier: MIT */
/* Dumps of tables, blob segments, and the files that are text. */
#include "lsm/base/checksum.h"
#include "lsm/format/blob_format.h"
#include "lsm/format/table_scan.h"
#include "lsm/store/dump.h"
#include "lsm/tree/text.h"

/* ---- tables ---- */

static int on_block(void *ctx, const char *what, uint64_t offset, uint64_t size)
{
	struct dump *d = ctx;

	text_add(&d->text, "%llu: %s, %llu bytes", (unsigned long long)offset, what, (unsigned long long)size);
	return dump_line(d);
}

static int on_props(void *ctx, const struct table_props *p)
{
	struct dump *d = ctx;

	table_props_to_text(p, &d->text);
	return dump_lines(d, "  ");
}

static int on_range_del(void *ctx, const struct range_fragment *f)
{
	struct dump *d = ctx;

	text_add(&d->text, "  ");
	dump_entry(d, f->begin, ENTRY_RANGE_DELETE, f->end);
	for (size_t i = 0; i < f->seqs_n; i++)
		text_add(&d->text, "%s%llu", i ? "," : " @", (unsigned long long)f->seqs[i]);
	return dump_line(d);
}

static int on_entry(void *ctx, struct lsm_slice ikey, struct lsm_slice value)
{
	struct dump *d = ctx;
	uint64_t trailer = ikey_trailer(ikey);

	text_add(&d->text, "  @%llu ", (unsigned long long)trailer_seq(trailer));
	dump_entry(d, ikey_user(ikey), trailer_type(trailer), value);
	return dump_line(d);
}

static int on_damage(void *ctx, struct lsm_slice low, struct lsm_slice high)
{
	(void)low, (void)high;
	return dump_damage(ctx);
}

int dump_table(struct dump *d)
{
	static const struct table_scan_fns fns = { on_block, on_props, NULL, on_range_del, on_entry, on_damage };

	return table_scan(d->env, d->path, d->number, &fns, d);
}

/* ---- blob segments ---- */

struct blob_dump {
	struct dump *d;
	struct env_file *file;
	uint64_t values;
};

static int show_value(struct blob_dump *b, const struct blob_ptr *ptr)
{
	bool whole = b->d->flags & LSM_DUMP_FULL || ptr->part_size <= DUMP_SHOWN_BYTES;
	size_t size = whole ? (size_t)ptr->part_size : DUMP_SHOWN_BYTES;
	uint8_t *value = malloc(size ? size : 1);
	int rc = value ? blob_read(b->file, ptr, 0, value, size) : status_no_memory(size);

	if (!rc) {
		text_add(&b->d->text, " = ");
		dump_bytes(b->d, slice_of(value, size));
		if (!whole)
			text_add(&b->d->text, "...");
		rc = dump_line(b->d);
	}
	free(value);
	return rc;
}

static int on_blob(void *ctx, const struct blob_found *found)
{
	struct blob_dump *b = ctx;
	struct dump *d = b->d;
	uint64_t at = found->ptr.offset - found->skipped;
	int rc = LSM_OK;

	/* Behind the last value there may be what a failed write left, or a value that is being written now. */
	if (found->is_end) {
		text_add(&d->text, "%llu: %llu bytes that are no value end the file", (unsigned long long)at,
			 (unsigned long long)found->skipped);
		return dump_line(d);
	}
	if (found->skipped) {
		struct lsm_error of_value = *lsm_last_error();

		status_corrupt(d->path, at, "%llu bytes at byte %llu of %s belong to no value",
			       (unsigned long long)found->skipped, (unsigned long long)at, d->path);
		rc = dump_damage(d);
		status_adopt(&of_value);
	}
	if (rc)
		return rc;
	if (found->code)
		return dump_damage(d);
	b->values++;
	text_add(&d->text, "%llu: value of %llu bytes", (unsigned long long)found->ptr.offset,
		 (unsigned long long)found->ptr.value_size);
	return d->flags & LSM_DUMP_KEYS ? dump_line(d) : show_value(b, &found->ptr);
}

int dump_blob(struct dump *d)
{
	struct blob_dump b = { .d = d };
	uint8_t bytes[FILE_HEADER_BYTES];
	struct file_header h = { .number = d->number };
	int rc = env_open(d->env, d->path, ENV_OPEN_READ, &b.file);

	if (rc)
		return rc;
	rc = file_read_exact(b.file, 0, bytes, sizeof(bytes));
	if (!rc)
		rc = file_header_decode(bytes, blob_magic, d->path, 0, &h);
	if (rc == LSM_CORRUPT)
		rc = dump_damage(d);
	text_add(&d->text, "blob segment %llu", (unsigned long long)h.number);
	if (!rc)
		rc = dump_line(d);
	if (!rc)
		rc = blob_scan(b.file, h.number, on_blob, &b);
	text_add(&d->text, "%llu values", (unsigned long long)b.values);
	if (!rc)
		rc = dump_line(d);
	file_close(b.file);
	return rc;
}

/* ---- CURRENT and OPTIONS ---- */

/* Both end with a word of 8 hexadecimal digits: of all in front of the space before it, or of the line before. */
static bool text_checks(const char *text, size_t size)
{
	const char *space = size >= 10 ? memrchr(text, ' ', size) : NULL;
	unsigned sum = 0;
	size_t covered;

	if (!space || (size_t)(space - text) != size - 10)
		return false;
	for (size_t i = size - 9; i < size - 1; i++) {
		const char *digits = "0123456789abcdef", *digit = memchr(digits, text[i], 16);

		if (!digit)
			return false;
		sum = sum << 4 | (unsigned)(digit - digits);
	}
	covered = (size_t)(space - text);
	while (covered && memchr(text, '\n', covered) && text[covered - 1] != '\n')
		covered--;
	return checksum32(text, covered, 0) == sum;
}

int dump_text(struct dump *d)
{
	enum { BYTES_MAX = 64 << 10 };
	struct env_file *f = NULL;
	char *text = malloc(BYTES_MAX);
	const char *at = text, *end;
	size_t size = 0;
	int rc = text ? env_open(d->env, d->path, ENV_OPEN_READ, &f) : status_no_memory(BYTES_MAX);

	if (!rc)
		rc = file_read(f, 0, text, BYTES_MAX, &size);
	for (end = at + size; !rc && at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop)
			stop = end;
		text_add_bytes(&d->text, slice_of(at, (size_t)(stop - at)), SIZE_MAX);
		rc = dump_line(d);
		at = stop + 1;
	}
	if (!rc && !text_checks(text, size)) {
		status_corrupt(d->path, 0, "%s: the checksum is wrong", d->path);
		rc = dump_damage(d);
	}
	file_close(f);
	free(text);
	return rc;
}
