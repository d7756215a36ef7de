/* SPDX-License-Identifier: MIT */
#include "tests/support/rows_mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Never changed once it is in the array. */
struct row {
	atomic_uint refs;
	size_t key_size, value_size;
	uint8_t bytes[]; /* key, value */
};

struct rows_mem {
	struct rows rows;
	pthread_mutex_t lock; /* of all that follows */
	unsigned keeps;
	struct row **array; /* by key */
	size_t count, capacity;
	unsigned fail_commit;
	int fail_commit_code, fail_sync_code;
	uint64_t commits, syncs, put_bytes, operations;
};

struct rows_iter {
	struct row **array;
	size_t count, at; /* at == count: not valid */
};

enum op_kind { OP_PUT, OP_DELETE, OP_DELETE_RANGE };

struct op {
	enum op_kind kind;
	struct row *row; /* the key, with the value or the end of the range */
};

struct rows_batch {
	struct rows_mem *mem;
	struct op *ops;
	size_t count, capacity;
};

/* Out of memory is no result that a test wants to see. */
static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static struct rows_mem *to_mem(struct rows *r)
{
	return (struct rows_mem *)r;
}

static struct row *row_new(struct row_key key, const void *value, size_t value_size)
{
	struct row *row = must(malloc(sizeof(*row) + key.size + value_size));

	atomic_init(&row->refs, 1);
	row->key_size = key.size;
	row->value_size = value_size;
	memcpy(row->bytes, key.data, key.size);
	if (value_size > 0)
		memcpy(row->bytes + key.size, value, value_size);
	return row;
}

static struct row *row_ref(struct row *row)
{
	atomic_fetch_add(&row->refs, 1);
	return row;
}

static void row_unref(struct row *row)
{
	if (atomic_fetch_sub(&row->refs, 1) == 1)
		free(row);
}

static int key_compare(struct row_key a, struct row_key b)
{
	int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

	return order ? order : (a.size > b.size) - (a.size < b.size);
}

static struct row_key key_of(const struct row *row)
{
	return (struct row_key){ row->bytes, row->key_size };
}

static struct row_key value_of(const struct row *row)
{
	return (struct row_key){ row->bytes + row->key_size, row->value_size };
}

/* The first place whose key is not below `key`. */
static size_t array_find(struct row *const *array, size_t count, struct row_key key)
{
	size_t low = 0, high = count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (key_compare(key_of(array[middle]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool array_has(const struct rows_mem *m, size_t at, struct row_key key)
{
	return at < m->count && key_compare(key_of(m->array[at]), key) == 0;
}

/* Replaces the rows [from, to) by `row` (NULL: by none). */
static void array_splice(struct rows_mem *m, size_t from, size_t to, struct row *row)
{
	size_t added = row ? 1 : 0;

	for (size_t i = from; i < to; i++)
		row_unref(m->array[i]);
	if (m->count + added > m->capacity) {
		m->capacity = m->capacity ? m->capacity * 2 : 64;
		m->array = must(realloc(m->array, m->capacity * sizeof(*m->array)));
	}
	if (m->count > to)
		memmove(m->array + from + added, m->array + to, (m->count - to) * sizeof(*m->array));
	m->count = m->count - (to - from) + added;
	if (row)
		m->array[from] = row_ref(row);
}

static void apply(struct rows_mem *m, const struct op *op)
{
	size_t from = array_find(m->array, m->count, key_of(op->row)), to = from;

	if (op->kind == OP_DELETE_RANGE)
		to = array_find(m->array, m->count, value_of(op->row));
	else
		to += array_has(m, from, key_of(op->row));
	array_splice(m, from, to, op->kind == OP_PUT ? op->row : NULL);
}

/* ---- reading ---- */

static int mem_get(struct rows *r, struct row_key key, struct row_value *ret)
{
	struct rows_mem *m = to_mem(r);
	struct row *row;
	size_t at;
	int result = -ENOENT;

	pthread_mutex_lock(&m->lock);
	at = array_find(m->array, m->count, key);
	if (array_has(m, at, key)) {
		row = row_ref(m->array[at]);
		*ret = (struct row_value){ value_of(row).data, row->value_size, { row } };
		result = 0;
	}
	pthread_mutex_unlock(&m->lock);
	return result;
}

static void mem_value_release(struct rows *r, struct row_value *value)
{
	(void)r;
	if (value->pin[0])
		row_unref(value->pin[0]);
	*value = (struct row_value){ 0 };
}

static int mem_multi_get(struct rows *r, size_t n, const struct row_key *keys, struct row_value *values, int *codes)
{
	for (size_t i = 0; i < n; i++)
		codes[i] = mem_get(r, keys[i], &values[i]);
	return 0;
}

static int mem_iter_new(struct rows *r, struct row_key lower, struct row_key upper, struct rows_iter **ret)
{
	struct rows_mem *m = to_mem(r);
	struct rows_iter *it = must(calloc(1, sizeof(*it)));
	size_t from, to;

	pthread_mutex_lock(&m->lock);
	from = array_find(m->array, m->count, lower);
	to = array_find(m->array, m->count, upper);
	it->count = to > from ? to - from : 0;
	it->array = must(malloc((it->count + 1) * sizeof(*it->array)));
	for (size_t i = 0; i < it->count; i++)
		it->array[i] = row_ref(m->array[from + i]);
	pthread_mutex_unlock(&m->lock);
	it->at = it->count;
	*ret = it;
	return 0;
}

static void mem_iter_free(struct rows_iter *it)
{
	if (!it)
		return;
	for (size_t i = 0; i < it->count; i++)
		row_unref(it->array[i]);
	free(it->array);
	free(it);
}

static int mem_iter_seek(struct rows_iter *it, struct row_key key)
{
	it->at = array_find(it->array, it->count, key);
	return 0;
}

static int mem_iter_seek_prev(struct rows_iter *it, struct row_key key)
{
	size_t at = array_find(it->array, it->count, key);

	if (at < it->count && key_compare(key_of(it->array[at]), key) == 0)
		it->at = at;
	else
		it->at = at > 0 ? at - 1 : it->count;
	return 0;
}

static bool mem_iter_valid(const struct rows_iter *it)
{
	return it->at < it->count;
}

static struct row *iter_row(const struct rows_iter *it)
{
	if (!mem_iter_valid(it))
		abort(); /* the caller's mistake */
	return it->array[it->at];
}

static int mem_iter_next(struct rows_iter *it)
{
	(void)iter_row(it);
	it->at++;
	return 0;
}

static struct row_key mem_iter_key(const struct rows_iter *it)
{
	return key_of(iter_row(it));
}

static uint64_t mem_iter_value_size(const struct rows_iter *it)
{
	return iter_row(it)->value_size;
}

static int mem_iter_value(struct rows_iter *it, struct row_key *ret)
{
	*ret = value_of(iter_row(it));
	return 0;
}

static int mem_iter_read(struct rows_iter *it, uint64_t offset, void *buf, size_t size)
{
	struct row_key value = value_of(iter_row(it));

	if (offset > value.size || size > value.size - offset)
		return -EIO;
	memcpy(buf, (const uint8_t *)value.data + offset, size);
	return 0;
}

/* ---- writing ---- */

static int mem_batch_new(struct rows *r, struct rows_batch **ret)
{
	struct rows_batch *b = must(calloc(1, sizeof(*b)));

	b->mem = to_mem(r);
	*ret = b;
	return 0;
}

static int batch_add(struct rows_batch *b, enum op_kind kind, struct row_key key, const void *value, size_t size)
{
	if (b->count == b->capacity) {
		b->capacity = b->capacity ? b->capacity * 2 : 8;
		b->ops = must(realloc(b->ops, b->capacity * sizeof(*b->ops)));
	}
	b->ops[b->count++] = (struct op){ kind, row_new(key, value, size) };
	return 0;
}

static int mem_batch_put(struct rows_batch *b, struct row_key key, struct row_key value)
{
	pthread_mutex_lock(&b->mem->lock);
	b->mem->put_bytes += value.size;
	pthread_mutex_unlock(&b->mem->lock);
	return batch_add(b, OP_PUT, key, value.data, value.size);
}

static int mem_batch_delete(struct rows_batch *b, struct row_key key)
{
	return batch_add(b, OP_DELETE, key, NULL, 0);
}

static int mem_batch_delete_range(struct rows_batch *b, struct row_key begin, struct row_key end)
{
	if (key_compare(begin, end) >= 0)
		return -EINVAL;
	return batch_add(b, OP_DELETE_RANGE, begin, end.data, end.size);
}

static int mem_batch_put_part(struct rows_batch *b, struct row_key key, struct rows_iter *source, uint64_t offset,
			      uint64_t size)
{
	struct row_key value = value_of(iter_row(source));

	if (offset > value.size || size > value.size - offset)
		return -EINVAL;
	return batch_add(b, OP_PUT, key, (const uint8_t *)value.data + offset, size);
}

static void batch_clear(struct rows_batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		row_unref(b->ops[i].row);
	b->count = 0;
}

static int mem_batch_commit(struct rows_batch *b, unsigned flags)
{
	struct rows_mem *m = b->mem;
	int result = 0;

	pthread_mutex_lock(&m->lock);
	if (m->fail_commit > 0 && --m->fail_commit == 0) {
		result = m->fail_commit_code;
	} else {
		for (size_t i = 0; i < b->count; i++)
			apply(m, &b->ops[i]);
		m->commits++;
		m->operations += b->count;
		m->syncs += (flags & ROWS_SYNC) != 0;
		if (flags & ROWS_SYNC)
			result = m->fail_sync_code;
	}
	pthread_mutex_unlock(&m->lock);
	batch_clear(b);
	return result;
}

static void mem_batch_free(struct rows_batch *b)
{
	if (!b)
		return;
	batch_clear(b);
	free(b->ops);
	free(b);
}

/* ---- the whole ---- */

static int mem_sync(struct rows *r)
{
	struct rows_mem *m = to_mem(r);
	int result;

	pthread_mutex_lock(&m->lock);
	m->syncs++;
	result = m->fail_sync_code;
	pthread_mutex_unlock(&m->lock);
	return result;
}

static int mem_space(struct rows *r, struct rows_space *ret)
{
	(void)r;
	*ret = (struct rows_space){ UINT64_C(1) << 40, UINT64_C(1) << 39, UINT64_C(1) << 38 };
	return 0;
}

static char *mem_stats_text(struct rows *r)
{
	(void)r;
	return NULL;
}

static int mem_close(struct rows *r)
{
	struct rows_mem *m = to_mem(r);

	if (m->keeps > 0) {
		m->keeps--;
		return 0;
	}
	for (size_t i = 0; i < m->count; i++)
		row_unref(m->array[i]);
	free(m->array);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return 0;
}

static const struct rows_ops mem_ops = {
	.get = mem_get,
	.value_release = mem_value_release,
	.multi_get = mem_multi_get,
	.iter_new = mem_iter_new,
	.iter_free = mem_iter_free,
	.iter_seek = mem_iter_seek,
	.iter_seek_prev = mem_iter_seek_prev,
	.iter_next = mem_iter_next,
	.iter_valid = mem_iter_valid,
	.iter_key = mem_iter_key,
	.iter_value_size = mem_iter_value_size,
	.iter_value = mem_iter_value,
	.iter_read = mem_iter_read,
	.batch_new = mem_batch_new,
	.batch_put = mem_batch_put,
	.batch_delete = mem_batch_delete,
	.batch_delete_range = mem_batch_delete_range,
	.batch_put_part = mem_batch_put_part,
	.batch_commit = mem_batch_commit,
	.batch_free = mem_batch_free,
	.sync = mem_sync,
	.space = mem_space,
	.stats_text = mem_stats_text,
	.close = mem_close,
};

struct rows *rows_mem_new(void)
{
	struct rows_mem *m = must(calloc(1, sizeof(*m)));

	m->rows.ops = &mem_ops;
	pthread_mutex_init(&m->lock, NULL);
	return &m->rows;
}

void rows_mem_keep(struct rows *r)
{
	to_mem(r)->keeps++;
}

void rows_mem_fail_commit(struct rows *r, unsigned n, int code)
{
	to_mem(r)->fail_commit = n;
	to_mem(r)->fail_commit_code = code;
}

void rows_mem_fail_sync(struct rows *r, int code)
{
	to_mem(r)->fail_sync_code = code;
}

uint64_t rows_mem_commits(struct rows *r)
{
	return to_mem(r)->commits;
}

uint64_t rows_mem_syncs(struct rows *r)
{
	return to_mem(r)->syncs;
}

uint64_t rows_mem_put_bytes(struct rows *r)
{
	return to_mem(r)->put_bytes;
}

uint64_t rows_mem_operations(struct rows *r)
{
	return to_mem(r)->operations;
}

size_t rows_mem_count(struct rows *r, struct row_key lower, struct row_key upper)
{
	struct rows_mem *m = to_mem(r);
	size_t from = array_find(m->array, m->count, lower);

	return (upper.size > 0 ? array_find(m->array, m->count, upper) : m->count) - from;
}

uint64_t rows_mem_digest(struct rows *r)
{
	struct rows_mem *m = to_mem(r);
	uint64_t digest = 0;

	for (size_t i = 0; i < m->count; i++) {
		digest = XXH3_64bits_withSeed(m->array[i]->bytes, m->array[i]->key_size, digest);
		digest = XXH3_64bits_withSeed(value_of(m->array[i]).data, m->array[i]->value_size, digest);
	}
	return digest;
}

void rows_mem_put(struct rows *r, struct row_key key, struct row_key value)
{
	struct op op = { OP_PUT, row_new(key, value.data, value.size) };

	apply(to_mem(r), &op);
	row_unref(op.row);
}

void rows_mem_delete(struct rows *r, struct row_key key)
{
	struct op op = { OP_DELETE, row_new(key, NULL, 0) };

	apply(to_mem(r), &op);
	row_unref(op.row);
}
