/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "lsm/base/arena.h"
#include "lsm/format/block.h"
#include "lsm/format/compress.h"
#include "lsm/format/filter.h"
#include "lsm/format/table_format.h"

/* Output is collected and written in pieces of this size, so that a table costs few calls. */
enum { WRITE_BYTES = 512 << 10 };

/* A partition of the index is read like a data block and so has the usual size of one. */
enum { PARTITION_BYTES = 4096, INDEX_ENTRY_BYTES = 64 /* a usual one's */ };

struct table_writer {
	struct env_file *file;
	uint64_t file_number;
	struct table_write_options options;
	int status; /* the first error; nothing more is done after it */

	struct block_builder data, partition, top;
	struct compressor compressor;
	struct buf out; /* what is not written yet; starts at file offset `written` */
	uint64_t written;
	struct buf last_key; /* of the entry before */

	/* The last data block is in the index only when its successor's first key is known. */
	struct block_handle pending;
	bool has_pending;
	struct buf index_key; /* of the last entry of `partition` */

	struct filter_builder filter;
	struct table_props props;
	size_t blob_refs_capacity;

	struct arena keys; /* of the range tombstones */
	struct range_del *dels;
	size_t dels_n, dels_capacity;
};

int table_writer_open(struct env *env, const char *path, uint64_t file_number,
		      const struct table_write_options *options, struct table_writer **ret)
{
	struct table_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return status_no_memory(sizeof(*w));
	rc = env->ops->random(env, &w->props.file_id, sizeof(w->props.file_id));
	if (!rc)
		rc = env_open(env, path, ENV_OPEN_CREATE, &w->file);
	if (rc) {
		free(w);
		return rc;
	}
	w->file_number = file_number;
	w->options = *options;
	w->props.sequence_min = UINT64_MAX;
	block_builder_init(&w->data, BLOCK_RESTART_DATA);
	block_builder_init(&w->partition, BLOCK_RESTART_INDEX);
	block_builder_init(&w->top, BLOCK_RESTART_INDEX);
	arena_init(&w->keys);
	*ret = w;
	return LSM_OK;
}

void table_writer_set_loaded(struct table_writer *w)
{
	w->props.loaded = true;
}

void table_writer_abort(struct table_writer *w)
{
	if (!w)
		return;
	file_close(w->file);
	block_builder_done(&w->data);
	block_builder_done(&w->partition);
	block_builder_done(&w->top);
	compressor_done(&w->compressor);
	buf_free(&w->out);
	buf_free(&w->last_key);
	buf_free(&w->index_key);
	filter_builder_done(&w->filter);
	table_props_free(&w->props);
	arena_done(&w->keys);
	free(w->dels);
	free(w);
}

uint64_t table_writer_bytes(const struct table_writer *w)
{
	return w->written + w->out.size + block_builder_bytes(&w->data);
}

uint64_t table_writer_count(const struct table_writer *w)
{
	return w->props.entries + w->dels_n;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Blocks
 */

static int write_out(struct table_writer *w)
{
	int rc;

	if (w->out.failed)
		return status_no_memory(w->out.capacity);
	if (!w->out.size)
		return LSM_OK;
	rc = file_write(w->file, w->written, w->out.data, w->out.size);
	if (rc)
		return rc;
	w->written += w->out.size;
	buf_clear(&w->out);
	return LSM_OK;
}

static int emit_block(struct table_writer *w, struct lsm_slice raw, enum lsm_compression wanted,
		      struct block_handle *ret)
{
	size_t start = w->out.size;
	uint64_t offset = w->written + start;
	enum lsm_compression used;
	int rc;

	rc = compress_append(&w->compressor, wanted, raw, &w->out, &used);
	if (rc)
		return rc;
	*ret = (struct block_handle){ offset, w->out.size - start };
	stored_block_seal(&w->out, start, used, place_seed(w->file_number, offset));
	if (w->out.failed || w->out.size >= WRITE_BYTES)
		return write_out(w);
	return LSM_OK;
}

/* Finishes, stores and empties a builder. */
static int emit_builder(struct table_writer *w, struct block_builder *b, enum lsm_compression wanted,
			struct block_handle *ret)
{
	struct lsm_slice raw;
	int rc = block_builder_finish(b, &raw);

	if (!rc)
		rc = emit_block(w, raw, wanted, ret);
	block_builder_reset(b);
	return rc;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Index
 */

static void index_add(struct block_builder *b, struct lsm_slice ikey, struct block_handle h)
{
	uint8_t value[BLOCK_HANDLE_BYTES_MAX];

	block_builder_add(b, ikey, slice_of(value, block_handle_encode(value, h)));
}

/* The partition's key in the top index is that of its last entry. */
static int end_partition(struct table_writer *w)
{
	struct block_handle h;
	int rc;

	if (!w->partition.count)
		return LSM_OK;
	rc = emit_builder(w, &w->partition, w->options.compression, &h);
	if (!rc)
		index_add(&w->top, buf_slice(&w->index_key), h);
	return rc;
}

/*
 * The index key of a block lies at or behind its last entry and in front of every entry of the next block. Where the
 * user key changes in between, the shortest prefix of the next block's first user key that tells them apart will do,
 * with the trailer that sorts in front of all entries.
 */
static void separator(struct buf *out, struct lsm_slice last, const struct lsm_slice *next)
{
	struct lsm_slice a = ikey_user(last), b;
	size_t n = 0;

	buf_clear(out);
	if (!next || slice_equal(a, ikey_user(*next))) {
		buf_append_slice(out, last);
		return;
	}
	b = ikey_user(*next);
	while (n < a.size && ((const uint8_t *)a.data)[n] == ((const uint8_t *)b.data)[n])
		n++;
	buf_put_ikey(out, slice_of(b.data, n + 1), UINT64_MAX);
}

/* Puts the pending data block into the index. `next` is the key that follows it; NULL at the end. */
static int index_pending(struct table_writer *w, const struct lsm_slice *next)
{
	if (!w->has_pending)
		return LSM_OK;
	separator(&w->index_key, buf_slice(&w->last_key), next);
	if (w->index_key.failed)
		return status_no_memory(w->last_key.size);
	index_add(&w->partition, buf_slice(&w->index_key), w->pending);
	w->has_pending = false;
	if (block_builder_bytes(&w->partition) >= PARTITION_BYTES - INDEX_ENTRY_BYTES)
		return end_partition(w);
	return LSM_OK;
}

static int end_data_block(struct table_writer *w)
{
	int rc;

	if (!w->data.count)
		return LSM_OK;
	rc = emit_builder(w, &w->data, w->options.compression, &w->pending);
	w->has_pending = !rc;
	return rc;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Adding
 */

static int blob_ref_insert(struct table_writer *w, size_t at, uint64_t segment)
{
	struct table_props *p = &w->props;

	if (p->blob_refs_n == w->blob_refs_capacity) {
		size_t capacity = w->blob_refs_capacity ? w->blob_refs_capacity * 2 : 16;
		struct blob_ref *refs = realloc(p->blob_refs, capacity * sizeof(*refs));

		if (!refs)
			return status_no_memory(capacity * sizeof(*refs));
		p->blob_refs = refs;
		w->blob_refs_capacity = capacity;
	}
	memmove(p->blob_refs + at + 1, p->blob_refs + at, (p->blob_refs_n - at) * sizeof(*p->blob_refs));
	p->blob_refs[at] = (struct blob_ref){ .segment = segment };
	p->blob_refs_n++;
	return LSM_OK;
}

static int count_blob(struct table_writer *w, struct lsm_slice value)
{
	struct table_props *p = &w->props;
	size_t low = 0, high = p->blob_refs_n;
	struct blob_ptr ptr;
	int rc;

	rc = blob_ptr_decode(value, w->file->path, &ptr);
	if (rc)
		return rc;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->blob_refs[middle].segment < ptr.segment)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == p->blob_refs_n || p->blob_refs[low].segment != ptr.segment) {
		rc = blob_ref_insert(w, low, ptr.segment);
		if (rc)
			return rc;
	}
	p->blob_refs[low].bytes += ptr.part_size;
	return LSM_OK;
}

static void count_sequence(struct table_props *p, uint64_t seq)
{
	if (seq < p->sequence_min)
		p->sequence_min = seq;
	if (seq > p->sequence_max)
		p->sequence_max = seq;
}

/* A disorder would make entries unreachable. It can only come from damaged memory or a fault of ours, so it is told. */
static int check_order(const struct table_writer *w, struct lsm_slice ikey)
{
	if (ikey.size < TRAILER_BYTES || (w->props.entries && ikey_compare(buf_slice(&w->last_key), ikey) >= 0))
		return status_set(LSM_INVALID, 0, w->file->path, table_writer_bytes(w),
				  "entry %llu of table %s is out of order", (unsigned long long)w->props.entries,
				  w->file->path);
	return LSM_OK;
}

static int add(struct table_writer *w, struct lsm_slice ikey, struct lsm_slice value)
{
	struct table_props *p = &w->props;
	int rc;

	rc = check_order(w, ikey);
	if (!rc && trailer_type(ikey_trailer(ikey)) == ENTRY_BLOB)
		rc = count_blob(w, value);
	if (!rc && w->data.count &&
	    block_builder_bytes(&w->data) + block_entry_bytes_max(ikey, value) > w->options.block_bytes)
		rc = end_data_block(w);
	if (!rc)
		rc = index_pending(w, &ikey);
	if (rc)
		return rc;
	block_builder_add(&w->data, ikey, value);
	if (w->options.filter_bits)
		filter_builder_add(&w->filter, ikey_user(ikey));
	if (!p->entries)
		buf_set(&p->smallest, ikey);
	buf_set(&w->last_key, ikey);
	p->entries++;
	p->deletes += trailer_type(ikey_trailer(ikey)) == ENTRY_DELETE;
	p->raw_bytes += ikey.size + value.size;
	count_sequence(p, trailer_seq(ikey_trailer(ikey)));
	return p->smallest.failed || w->last_key.failed ? status_no_memory(ikey.size) : LSM_OK;
}

int table_writer_add(struct table_writer *w, struct lsm_slice ikey, struct lsm_slice value)
{
	if (!w->status)
		w->status = add(w, ikey, value);
	return w->status;
}

static struct lsm_slice keep_key(struct table_writer *w, struct lsm_slice key)
{
	uint8_t *p = arena_alloc(&w->keys, key.size);

	if (p && key.size)
		memcpy(p, key.data, key.size);
	return slice_of(p, key.size);
}

static int add_range_delete(struct table_writer *w, const struct range_del *del)
{
	struct range_del kept;

	if (slice_compare(del->begin, del->end) >= 0)
		return status_set(LSM_INVALID, 0, w->file->path, 0, "an empty range delete for table %s",
				  w->file->path);
	if (w->dels_n == w->dels_capacity) {
		size_t capacity = w->dels_capacity ? w->dels_capacity * 2 : 16;
		struct range_del *dels = realloc(w->dels, capacity * sizeof(*dels));

		if (!dels)
			return status_no_memory(capacity * sizeof(*dels));
		w->dels = dels;
		w->dels_capacity = capacity;
	}
	kept = (struct range_del){ keep_key(w, del->begin), keep_key(w, del->end), del->seq };
	if (!kept.begin.data || !kept.end.data)
		return status_no_memory(del->begin.size + del->end.size);
	w->dels[w->dels_n++] = kept;
	return LSM_OK;
}

int table_writer_add_range_delete(struct table_writer *w, const struct range_del *del)
{
	if (!w->status)
		w->status = add_range_delete(w, del);
	return w->status;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Finishing
 */

static int emit_filter(struct table_writer *w, struct block_handle *ret)
{
	struct buf raw = { 0 };
	int rc;

	if (!w->options.filter_bits || !w->props.entries)
		return LSM_OK;
	rc = filter_build(&w->filter, w->options.filter_bits, &raw);
	if (!rc)
		rc = emit_block(w, buf_slice(&raw), LSM_COMPRESS_NONE, ret);
	buf_free(&raw);
	return rc;
}

/* Widens the table's bounds and counters by its range tombstones. */
static void count_range_dels(struct table_props *p, const struct range_dels *d)
{
	size_t n = range_dels_count(d);
	struct range_fragment first = range_dels_at(d, 0), last = range_dels_at(d, n - 1);
	struct buf key = { 0 };

	buf_put_ikey(&key, first.begin, trailer_of(first.seqs[0], ENTRY_RANGE_DELETE));
	if (key.failed || !p->entries || ikey_compare(buf_slice(&key), buf_slice(&p->smallest)) < 0)
		buf_set(&p->smallest, buf_slice(&key));
	p->smallest.failed |= key.failed;
	buf_clear(&key);
	buf_put_ikey(&key, last.end, RANGE_END_TRAILER);
	if (key.failed || !p->entries || ikey_compare(buf_slice(&key), buf_slice(&p->largest)) > 0)
		buf_set(&p->largest, buf_slice(&key));
	p->largest.failed |= key.failed;
	buf_free(&key);
	for (size_t i = 0; i < n; i++) {
		struct range_fragment f = range_dels_at(d, i);

		p->range_deletes += f.seqs_n;
		count_sequence(p, f.seqs[0]);
		count_sequence(p, f.seqs[f.seqs_n - 1]);
	}
}

static int emit_range_dels(struct table_writer *w, struct block_handle *ret)
{
	struct range_dels *d;
	struct buf raw = { 0 };
	int rc;

	if (!w->dels_n)
		return LSM_OK;
	rc = range_dels_new(w->dels, w->dels_n, &d);
	if (rc)
		return rc;
	count_range_dels(&w->props, d);
	table_range_dels_encode(&raw, d);
	if (raw.failed)
		rc = status_no_memory(raw.capacity);
	else
		rc = emit_block(w, buf_slice(&raw), LSM_COMPRESS_NONE, ret);
	buf_free(&raw);
	range_dels_free(d);
	return rc;
}

static int emit_props(struct table_writer *w, struct block_handle *ret)
{
	struct table_props *p = &w->props;
	struct buf raw = { 0 };
	int rc;

	if (p->smallest.failed || p->largest.failed)
		return status_no_memory(w->last_key.size);
	if (p->sequence_min > p->sequence_max)
		p->sequence_min = p->sequence_max;
	rc = table_props_encode(&raw, p);
	if (!rc)
		rc = emit_block(w, buf_slice(&raw), LSM_COMPRESS_NONE, ret);
	buf_free(&raw);
	return rc;
}

static int emit_footer(struct table_writer *w, const struct table_footer *f)
{
	uint8_t bytes[TABLE_FOOTER_BYTES];
	int rc;

	table_footer_encode(bytes, f, w->file_number, w->written + w->out.size);
	buf_append(&w->out, bytes, sizeof(bytes));
	rc = write_out(w);
	w->props.file_bytes = w->written;
	return rc;
}

static int finish(struct table_writer *w)
{
	struct table_footer f = { 0 };
	int rc;

	buf_set(&w->props.largest, buf_slice(&w->last_key));
	rc = end_data_block(w);
	if (!rc)
		rc = index_pending(w, NULL);
	if (!rc)
		rc = end_partition(w);
	if (!rc)
		rc = emit_range_dels(w, &f.range_dels);
	if (!rc)
		rc = emit_filter(w, &f.filter);
	if (!rc)
		rc = emit_props(w, &f.props);
	if (!rc && w->top.count)
		rc = emit_builder(w, &w->top, LSM_COMPRESS_NONE, &f.top);
	if (!rc)
		rc = emit_footer(w, &f);
	if (!rc)
		rc = file_sync(w->file);
	return rc;
}

int table_writer_finish(struct table_writer *w, struct table_props *ret_props)
{
	int rc = w->status ? w->status : finish(w);

	if (!rc) {
		*ret_props = w->props;
		w->props = (struct table_props){ 0 };
	}
	table_writer_abort(w);
	return rc;
}
