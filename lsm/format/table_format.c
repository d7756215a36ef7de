/* SPDX-License-Identifier: MIT */
#include "lsm/format/table_format.h"

/* ---------------------------------------------------------------------------------------------------------------
 * Stored blocks and handles
 */

void stored_block_seal(struct buf *out, size_t start, enum lsm_compression how, uint64_t seed)
{
	buf_put_u8(out, (uint8_t)how);
	if (!out->failed)
		buf_put_u32(out, checksum32(out->data + start, out->size - start, seed));
}

int stored_block_check(const uint8_t *stored, uint64_t payload_size, uint64_t seed, const char *file, uint64_t offset,
		       enum lsm_compression *ret_how)
{
	uint32_t expected = get_u32(stored + payload_size + 1);
	uint32_t found = checksum32(stored, payload_size + 1, seed);

	if (expected != found)
		return status_corrupt(file, offset, "checksum of the block at byte %llu of %s is %08x, not %08x",
				      (unsigned long long)offset, file, found, expected);
	*ret_how = (enum lsm_compression)stored[payload_size];
	if (stored[payload_size] > LSM_COMPRESS_ZSTD)
		return status_set(LSM_UNSUPPORTED, 0, file, offset,
				  "the block at byte %llu of %s is compressed by unknown method %d",
				  (unsigned long long)offset, file, (int)*ret_how);
	return LSM_OK;
}

size_t block_handle_encode(void *p, struct block_handle h)
{
	uint8_t *bytes = p;
	size_t n = put_varint(bytes, h.offset);

	return n + put_varint(bytes + n, h.size);
}

static bool handle_fits(struct block_handle h, uint64_t end)
{
	return end >= STORED_TAIL_BYTES && h.offset <= end - STORED_TAIL_BYTES &&
	       h.size <= end - STORED_TAIL_BYTES - h.offset;
}

int block_handle_decode(struct lsm_slice s, uint64_t end, const char *file, struct block_handle *ret)
{
	struct reader r = reader_of(s);
	struct block_handle h;

	h.offset = read_varint(&r);
	h.size = read_varint(&r);
	if (r.failed || reader_left(&r) || !h.size || !handle_fits(h, end))
		return status_corrupt(file, 0, "the index of %s refers to an impossible block", file);
	*ret = h;
	return LSM_OK;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Footer
 */

static const char footer_magic[8] = { 'L', 'S', 'M', 't', 'a', 'b', 'l', 'e' };

enum {
	FOOTER_VERSION = 1,
	FEATURES_INCOMPATIBLE = 0, /* the bits that this version knows */
	AT_HANDLES = 0,
	AT_FILE_NUMBER = 64,
	AT_COMPATIBLE = 72,
	AT_INCOMPATIBLE = 76,
	AT_VERSION = 80,
	AT_CHECKSUM = 84,
	AT_MAGIC = 88,
};

void table_footer_encode(uint8_t bytes[static TABLE_FOOTER_BYTES], const struct table_footer *f, uint64_t file_number,
			 uint64_t offset)
{
	const struct block_handle handles[] = { f->top, f->filter, f->range_dels, f->props };

	for (int i = 0; i < 4; i++) {
		put_u64(bytes + AT_HANDLES + i * 16, handles[i].offset);
		put_u64(bytes + AT_HANDLES + i * 16 + 8, handles[i].size);
	}
	put_u64(bytes + AT_FILE_NUMBER, file_number);
	put_u32(bytes + AT_COMPATIBLE, 0);
	put_u32(bytes + AT_INCOMPATIBLE, 0);
	put_u32(bytes + AT_VERSION, FOOTER_VERSION);
	put_u32(bytes + AT_CHECKSUM, checksum32(bytes, AT_CHECKSUM, place_seed(file_number, offset)));
	memcpy(bytes + AT_MAGIC, footer_magic, sizeof(footer_magic));
}

uint64_t table_footer_number(const uint8_t bytes[static TABLE_FOOTER_BYTES])
{
	return get_u64(bytes + AT_FILE_NUMBER);
}

static int footer_check(const uint8_t *bytes, uint64_t file_number, uint64_t offset, const char *file)
{
	uint64_t found_number = table_footer_number(bytes);

	if (memcmp(bytes + AT_MAGIC, footer_magic, sizeof(footer_magic)))
		return status_corrupt(file, offset, "%s does not end as a table does", file);
	if (get_u32(bytes + AT_CHECKSUM) != checksum32(bytes, AT_CHECKSUM, place_seed(file_number, offset)))
		return status_corrupt(file, offset, "checksum of the footer of %s is wrong (read as table %llu)", file,
				      (unsigned long long)file_number);
	if (get_u32(bytes + AT_VERSION) != FOOTER_VERSION)
		return status_set(LSM_UNSUPPORTED, 0, file, offset,
				  "%s is a table of format version %u, and only version %d is known", file,
				  get_u32(bytes + AT_VERSION), FOOTER_VERSION);
	if (get_u32(bytes + AT_INCOMPATIBLE) & ~(uint32_t)FEATURES_INCOMPATIBLE)
		return status_set(LSM_UNSUPPORTED, 0, file, offset,
				  "%s uses table features 0x%x, which are not all known", file,
				  get_u32(bytes + AT_INCOMPATIBLE));
	if (found_number != file_number)
		return status_corrupt(file, offset, "%s is table %llu, not %llu", file,
				      (unsigned long long)found_number, (unsigned long long)file_number);
	return LSM_OK;
}

int table_footer_decode(const uint8_t bytes[static TABLE_FOOTER_BYTES], uint64_t file_number, uint64_t offset,
			const char *file, struct table_footer *ret)
{
	struct block_handle handles[4];
	int rc = footer_check(bytes, file_number, offset, file);

	if (rc)
		return rc;
	for (int i = 0; i < 4; i++) {
		handles[i].offset = get_u64(bytes + AT_HANDLES + i * 16);
		handles[i].size = get_u64(bytes + AT_HANDLES + i * 16 + 8);
		if (handles[i].size && !handle_fits(handles[i], offset))
			return status_corrupt(file, offset, "the footer of %s refers to an impossible block", file);
	}
	*ret = (struct table_footer){ handles[0], handles[1], handles[2], handles[3] };
	return LSM_OK;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Properties: (tag, size, bytes)*; a tag that isn't known is skipped
 */

enum prop_tag {
	PROP_ENTRIES = 1,
	PROP_DELETES,
	PROP_RANGE_DELETES,
	PROP_RAW_BYTES,
	PROP_SEQUENCE_MIN,
	PROP_SEQUENCE_MAX,
	PROP_SMALLEST,
	PROP_LARGEST,
	PROP_BLOB_REFS,
	PROP_FILE_ID,
	PROP_LOADED,
};

void table_props_free(struct table_props *p)
{
	buf_free(&p->smallest);
	buf_free(&p->largest);
	free(p->blob_refs);
	*p = (struct table_props){ 0 };
}

static void put_number(struct buf *out, enum prop_tag tag, uint64_t v)
{
	buf_put_varint(out, tag);
	buf_put_varint(out, varint_size(v));
	buf_put_varint(out, v);
}

int table_props_encode(struct buf *out, const struct table_props *p)
{
	struct buf refs = { 0 };

	put_number(out, PROP_ENTRIES, p->entries);
	put_number(out, PROP_DELETES, p->deletes);
	put_number(out, PROP_RANGE_DELETES, p->range_deletes);
	put_number(out, PROP_RAW_BYTES, p->raw_bytes);
	put_number(out, PROP_SEQUENCE_MIN, p->sequence_min);
	put_number(out, PROP_SEQUENCE_MAX, p->sequence_max);
	put_number(out, PROP_FILE_ID, p->file_id);
	if (p->loaded)
		put_number(out, PROP_LOADED, 1);
	buf_put_varint(out, PROP_SMALLEST);
	buf_put_slice(out, buf_slice(&p->smallest));
	buf_put_varint(out, PROP_LARGEST);
	buf_put_slice(out, buf_slice(&p->largest));
	for (size_t i = 0; i < p->blob_refs_n; i++) {
		buf_put_varint(&refs, p->blob_refs[i].segment);
		buf_put_varint(&refs, p->blob_refs[i].bytes);
	}
	buf_put_varint(out, PROP_BLOB_REFS);
	buf_put_slice(out, buf_slice(&refs));
	if (refs.failed)
		out->failed = true;
	buf_free(&refs);
	return out->failed ? status_no_memory(out->capacity) : LSM_OK;
}

/* Two varints take two bytes at least, which bounds what is allocated. */
static int decode_refs(struct lsm_slice s, struct table_props *p)
{
	struct reader r = reader_of(s);
	size_t n_max = s.size / 2, n = 0;

	free(p->blob_refs);
	p->blob_refs_n = 0;
	p->blob_refs = n_max ? malloc(n_max * sizeof(*p->blob_refs)) : NULL;
	if (n_max && !p->blob_refs)
		return LSM_NO_MEMORY;
	while (reader_left(&r) && n < n_max) {
		struct blob_ref *ref = &p->blob_refs[n++];

		ref->segment = read_varint(&r);
		ref->bytes = read_varint(&r);
		if (n > 1 && ref->segment <= ref[-1].segment)
			return LSM_CORRUPT;
	}
	p->blob_refs_n = n;
	return !r.failed && r.at == r.end ? LSM_OK : LSM_CORRUPT;
}

static int decode_number(struct lsm_slice s, uint64_t *ret)
{
	struct reader r = reader_of(s);

	*ret = read_varint(&r);
	return !r.failed && r.at == r.end ? LSM_OK : LSM_CORRUPT;
}

/* No bytes stand for no key: the table is empty. */
static int decode_key(struct lsm_slice s, struct buf *ret)
{
	if (s.size && s.size < TRAILER_BYTES)
		return LSM_CORRUPT;
	buf_set(ret, s);
	return ret->failed ? LSM_NO_MEMORY : LSM_OK;
}

static int decode_prop(uint64_t tag, struct lsm_slice s, struct table_props *p)
{
	uint64_t number = 0;
	int rc;

	switch (tag) {
	case PROP_ENTRIES:
		return decode_number(s, &p->entries);
	case PROP_DELETES:
		return decode_number(s, &p->deletes);
	case PROP_RANGE_DELETES:
		return decode_number(s, &p->range_deletes);
	case PROP_RAW_BYTES:
		return decode_number(s, &p->raw_bytes);
	case PROP_SEQUENCE_MIN:
		return decode_number(s, &p->sequence_min);
	case PROP_SEQUENCE_MAX:
		return decode_number(s, &p->sequence_max);
	case PROP_SMALLEST:
		return decode_key(s, &p->smallest);
	case PROP_LARGEST:
		return decode_key(s, &p->largest);
	case PROP_BLOB_REFS:
		return decode_refs(s, p);
	case PROP_FILE_ID:
		return decode_number(s, &p->file_id);
	case PROP_LOADED:
		rc = decode_number(s, &number);
		p->loaded = number;
		return rc;
	default:
		return LSM_OK;
	}
}

int table_props_decode(struct lsm_slice s, const char *file, uint64_t offset, struct table_props *ret)
{
	struct reader r = reader_of(s);
	struct table_props p = { 0 };
	int rc = LSM_OK;

	while (!rc && r.at < r.end) {
		uint64_t tag = read_varint(&r);
		struct lsm_slice bytes = read_slice(&r);

		rc = r.failed ? LSM_CORRUPT : decode_prop(tag, bytes, &p);
	}
	if (!rc) {
		*ret = p;
		return LSM_OK;
	}
	table_props_free(&p);
	if (rc == LSM_CORRUPT)
		return status_corrupt(file, offset, "the properties of %s do not decode", file);
	return status_no_memory(s.size);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Range tombstones: count of fragments, then for each begin, end, count of sequence numbers, sequence numbers
 */

void table_range_dels_encode(struct buf *out, const struct range_dels *d)
{
	size_t n = range_dels_count(d);

	buf_put_varint(out, n);
	for (size_t i = 0; i < n; i++) {
		struct range_fragment f = range_dels_at(d, i);

		buf_put_slice(out, f.begin);
		buf_put_slice(out, f.end);
		buf_put_varint(out, f.seqs_n);
		for (size_t k = 0; k < f.seqs_n; k++)
			buf_put_varint(out, f.seqs[k]);
	}
}

/* Counts the pairs of a fragment and a sequence number, and lists them unless `dels` is NULL. */
static bool decode_fragments(struct lsm_slice s, struct range_del *dels, size_t *ret_n)
{
	struct reader r = reader_of(s);
	uint64_t fragments = read_varint(&r);
	size_t n = 0;

	for (uint64_t i = 0; i < fragments && !r.failed; i++) {
		struct range_del d = { .begin = read_slice(&r) };
		uint64_t seqs;

		d.end = read_slice(&r);
		seqs = read_varint(&r);
		if (r.failed || slice_compare(d.begin, d.end) >= 0 || !seqs)
			return false;
		for (uint64_t k = 0; k < seqs && !r.failed; k++, n++) {
			d.seq = read_varint(&r);
			if (dels)
				dels[n] = d;
		}
	}
	*ret_n = n;
	return !r.failed && r.at == r.end;
}

int table_range_dels_decode(struct lsm_slice s, const char *file, uint64_t offset, struct range_dels **ret)
{
	struct range_del *dels;
	size_t n;
	int rc;

	if (!decode_fragments(s, NULL, &n))
		return status_corrupt(file, offset, "the range tombstones of %s do not decode", file);
	dels = malloc(n ? n * sizeof(*dels) : 1);
	if (!dels)
		return status_no_memory(n * sizeof(*dels));
	decode_fragments(s, dels, &n);
	rc = range_dels_new(dels, n, ret);
	free(dels);
	return rc;
}
