/* SPDX-License-Identifier: MIT */
/* A file of a store as lines of text: which kind it is, and what all kinds have in common. */
#include "lsm/store/dump.h"

#include "lsm/format/blob.h"
#include "lsm/format/wal_segment.h"
#include "lsm/memory/table_cache.h"

/* ---- lines ---- */

int dump_line(struct dump *d)
{
	int rc;

	buf_append(&d->text, "", 1);
	rc = d->text.failed ? status_no_memory(d->text.size) : d->line(d->ctx, (const char *)d->text.data);
	buf_clear(&d->text);
	return rc;
}

int dump_lines(struct dump *d, const char *indent)
{
	struct buf all = d->text;
	const char *at = (const char *)all.data, *end = at + all.size;
	int rc = all.failed ? status_no_memory(all.size) : LSM_OK;

	d->text = (struct buf){ 0 };
	while (!rc && at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop)
			stop = end;
		text_add(&d->text, "%s", indent);
		buf_append(&d->text, at, (size_t)(stop - at));
		rc = dump_line(d);
		at = stop + 1;
	}
	buf_free(&all);
	return rc;
}

int dump_damage(struct dump *d)
{
	const struct lsm_error *e = lsm_last_error();

	if (!d->damaged++)
		d->first = *e;
	buf_clear(&d->text);
	text_add(&d->text, "DAMAGED at byte %llu: ", (unsigned long long)e->offset);
	text_add_bytes(&d->text, slice_of(e->message, strlen(e->message)), SIZE_MAX);
	return dump_line(d);
}

void dump_bytes(struct dump *d, struct lsm_slice bytes)
{
	size_t max = d->flags & LSM_DUMP_FULL ? SIZE_MAX : DUMP_SHOWN_BYTES;
	const uint8_t *p = bytes.data;

	if (!(d->flags & LSM_DUMP_HEX)) {
		text_add(&d->text, "\"");
		text_add_bytes(&d->text, bytes, max);
		text_add(&d->text, "\"");
		return;
	}
	for (size_t i = 0; i < bytes.size && i < max; i++)
		text_add(&d->text, "%02x", p[i]);
	if (bytes.size > max)
		text_add(&d->text, "...(%zu bytes)", bytes.size);
	else if (!bytes.size)
		text_add(&d->text, "-");
}

static void pointer_to_text(struct dump *d, struct lsm_slice value)
{
	struct blob_ptr p;

	if (blob_ptr_decode(value, d->path, &p)) {
		text_add(&d->text, " a pointer that doesn't decode");
		return;
	}
	text_add(&d->text, " %llu bytes at blob segment %llu byte %llu", (unsigned long long)p.part_size,
		 (unsigned long long)p.segment, (unsigned long long)p.offset);
	if (p.part_size != p.value_size)
		text_add(&d->text, ", from byte %llu of %llu", (unsigned long long)p.part_offset,
			 (unsigned long long)p.value_size);
}

void dump_entry(struct dump *d, struct lsm_slice key, uint64_t type, struct lsm_slice value)
{
	static const char *const names[] = { "delete", "put", "blob", "range_delete" };

	if (type <= ENTRY_TYPE_MAX)
		text_add(&d->text, "%s ", names[type]);
	else
		text_add(&d->text, "type %llu ", (unsigned long long)type);
	dump_bytes(d, key);
	if (type == ENTRY_RANGE_DELETE) {
		text_add(&d->text, " to ");
		dump_bytes(d, value);
	} else if (type == ENTRY_BLOB) {
		pointer_to_text(d, value);
	} else if (type == ENTRY_PUT && d->flags & LSM_DUMP_KEYS) {
		text_add(&d->text, " %zu bytes", value.size);
	} else if (type == ENTRY_PUT) {
		text_add(&d->text, " = ");
		dump_bytes(d, value);
	}
}

/* ---- which kind ---- */

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static enum lsm_dump_kind kind_of_name(const char *name, uint64_t *ret_number)
{
	enum store_file kind;
	unsigned slot;

	if (!strcmp(name, "CURRENT") || !strcmp(name, "OPTIONS"))
		return LSM_DUMP_TEXT;
	if (wal_slot_parse(name, &slot))
		return LSM_DUMP_WAL;
	if (!store_file_parse(name, &kind, ret_number))
		return LSM_DUMP_ANY;
	switch (kind) {
	case STORE_TABLE:
		return LSM_DUMP_TABLE;
	case STORE_BLOB:
		return LSM_DUMP_BLOB;
	case STORE_MANIFEST:
		return LSM_DUMP_MANIFEST;
	}
	return LSM_DUMP_ANY;
}

static bool has_at(struct env_file *f, uint64_t offset, const char *magic)
{
	char found[8];
	size_t got;

	return !file_read(f, offset, found, strlen(magic), &got) && got == strlen(magic) &&
	       !memcmp(found, magic, strlen(magic));
}

/* By what the file says of itself. */
static enum lsm_dump_kind kind_of_content(struct env_file *f)
{
	uint64_t size;

	if (has_at(f, 0, "LSMWAL\r\n") || has_at(f, WAL_HEADER_COPY_BYTES, "LSMWAL\r\n"))
		return LSM_DUMP_WAL;
	if (has_at(f, 0, "LSMLOG\r\n"))
		return LSM_DUMP_MANIFEST;
	if (has_at(f, 0, "LSMBLOB\n"))
		return LSM_DUMP_BLOB;
	if (has_at(f, 0, "lsm "))
		return LSM_DUMP_TEXT;
	if (!file_size(f, &size) && size >= 8 && has_at(f, size - 8, "LSMtable"))
		return LSM_DUMP_TABLE;
	return LSM_DUMP_ANY;
}

static int detect(struct dump *d, enum lsm_dump_kind *ret)
{
	enum lsm_dump_kind by_name = kind_of_name(name_of(d->path), &d->number), kind = *ret;
	struct env_file *f = NULL;
	int rc = env_open(d->env, d->path, ENV_OPEN_READ, &f);

	if (rc)
		return rc;
	if (kind == LSM_DUMP_ANY)
		kind = kind_of_content(f);
	file_close(f);
	if (kind == LSM_DUMP_ANY)
		kind = by_name;
	if (kind == LSM_DUMP_ANY)
		return status_set(LSM_INVALID, 0, d->path, 0,
				  "%s: neither content nor name tell which kind of a store's files it is", d->path);
	*ret = kind;
	return LSM_OK;
}

/* ---- the call ---- */

static int dump_kind(struct dump *d, enum lsm_dump_kind kind)
{
	switch (kind) {
	case LSM_DUMP_WAL:
		return dump_wal(d);
	case LSM_DUMP_TABLE:
		return dump_table(d);
	case LSM_DUMP_MANIFEST:
		return dump_manifest(d);
	case LSM_DUMP_BLOB:
		return dump_blob(d);
	case LSM_DUMP_TEXT:
		return dump_text(d);
	case LSM_DUMP_ANY:
		break;
	}
	return status_set(LSM_INVALID, 0, d->path, 0, "there is no kind %d of files to be dumped", (int)kind);
}

int lsm_dump(enum lsm_dump_kind kind, const char *path, uint32_t flags, int (*line)(void *ctx, const char *text),
	     void *ctx)
{
	struct dump d = { .env = env_posix(), .path = path, .flags = flags, .line = line, .ctx = ctx };
	int rc;

	if (flags & ~(LSM_DUMP_FULL | LSM_DUMP_KEYS | LSM_DUMP_HEX))
		return status_set(LSM_INVALID, 0, NULL, 0, "unknown dump flags %#x", flags);
	rc = detect(&d, &kind);
	if (!rc)
		rc = dump_kind(&d, kind);
	buf_free(&d.text);
	if (rc || !d.damaged)
		return rc;
	return status_set(LSM_CORRUPT, d.first.sys_errno, path, d.first.offset,
			  "%s is damaged in %llu place%s; the %s: %s", path, (unsigned long long)d.damaged,
			  d.damaged == 1 ? "" : "s", d.damaged == 1 ? "place" : "first", d.first.message);
}
