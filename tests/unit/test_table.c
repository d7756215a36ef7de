/* SPDX-License-Identifier: MIT */
/* Tables against a sorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lsm/format/filter.h"
#include "lsm/format/block.h"
#include "tests/unit/table_fixture.h"

/* The newest version of the user key that is not above the trailer; m->n when there is none. */
static size_t model_get(const struct model *m, struct lsm_slice user, uint64_t trailer)
{
	for (size_t i = 0; i < m->n; i++) {
		if (slice_equal(ikey_user(m->entries[i].ikey), user) && ikey_trailer(m->entries[i].ikey) <= trailer)
			return i;
	}
	return m->n;
}

static void check_get(struct table *t, const struct model *m, struct lsm_slice user, uint64_t trailer)
{
	size_t at = model_get(m, user, trailer);
	struct table_hit hit;

	assert_ok(table_get(t, user, filter_hash(user), trailer, &hit));
	if (at < m->n) {
		assert_int_equal(hit.answer, TABLE_FOUND);
		assert_int_equal(hit.trailer, ikey_trailer(m->entries[at].ikey));
		assert_true(slice_equal(hit.value, m->entries[at].value));
	} else {
		assert_int_not_equal(hit.answer, TABLE_FOUND);
	}
	table_hit_release(t, &hit);
	table_hit_release(t, &hit);
}

static void check_gets(struct table *t, const struct model *m, struct rng *r, int rounds, size_t key_max)
{
	for (int k = 0; k < rounds; k++) {
		struct lsm_slice ikey = random_ikey(r, key_max);

		check_get(t, m, ikey_user(ikey), ikey_trailer(ikey));
		check_get(t, m, ikey_user(ikey), UINT64_MAX);
		free((void *)ikey.data);
	}
	for (size_t i = 0; i < m->n; i += 1 + rng_below(r, 1 + m->n / 50)) {
		struct lsm_slice ikey = m->entries[i].ikey;

		check_get(t, m, ikey_user(ikey), ikey_trailer(ikey));
		check_get(t, m, ikey_user(ikey), ikey_trailer(ikey) - 1);
		check_get(t, m, ikey_user(ikey), SEEK_TRAILER(SEQUENCE_MAX));
	}
}

static void check_offsets(struct table *t, const struct model *m)
{
	uint64_t last = 0;

	for (size_t i = 0; i < m->n; i++) {
		uint64_t offset = table_offset_of(t, m->entries[i].ikey);

		assert_true(offset >= last && offset < table_get_props(t)->file_bytes);
		last = offset;
	}
}

static void check_table(const struct model *m, struct block_source *source, struct rng *r, size_t key_max)
{
	struct table *t;
	struct iter *it;

	assert_ok(table_open(env_posix(), fixture_path, FILE_NUMBER, source, &t));
	for (int low_priority = 0; low_priority < 2; low_priority++) {
		assert_ok(table_iter_new(t, low_priority, &it));
		assert_false(it->valid);
		check_both_ways(it, m);
		check_walks(it, m, r, 60, key_max);
		iter_free(it);
	}
	check_gets(t, m, r, 50, key_max);
	check_offsets(t, m);
	assert_true(table_memory_bytes(t) > 0);
	table_close(t);
}

static void assert_same_props(const struct table_props *a, const struct table_props *b)
{
	assert_int_equal(a->file_bytes, b->file_bytes);
	assert_int_equal(a->entries, b->entries);
	assert_int_equal(a->deletes, b->deletes);
	assert_int_equal(a->range_deletes, b->range_deletes);
	assert_int_equal(a->raw_bytes, b->raw_bytes);
	assert_int_equal(a->sequence_min, b->sequence_min);
	assert_int_equal(a->sequence_max, b->sequence_max);
	assert_true(slice_equal(buf_slice(&a->smallest), buf_slice(&b->smallest)));
	assert_true(slice_equal(buf_slice(&a->largest), buf_slice(&b->largest)));
	assert_int_equal(a->blob_refs_n, b->blob_refs_n);
	for (size_t i = 0; i < a->blob_refs_n; i++) {
		assert_int_equal(a->blob_refs[i].segment, b->blob_refs[i].segment);
		assert_int_equal(a->blob_refs[i].bytes, b->blob_refs[i].bytes);
	}
}

/* The properties read back are those the writer gave. */
static void check_props(const struct table_props *written)
{
	struct table *t;

	assert_ok(table_open(env_posix(), fixture_path, FILE_NUMBER, NULL, &t));
	assert_same_props(written, table_get_props(t));
	table_close(t);
}

static void check_counts(const struct table_props *p, const struct model *m)
{
	uint64_t deletes = 0, raw = 0, min = SEQUENCE_MAX, max = 0;

	for (size_t i = 0; i < m->n; i++) {
		uint64_t trailer = ikey_trailer(m->entries[i].ikey), seq = trailer_seq(trailer);

		deletes += trailer_type(trailer) == ENTRY_DELETE;
		raw += m->entries[i].ikey.size + m->entries[i].value.size;
		min = seq < min ? seq : min;
		max = seq > max ? seq : max;
	}
	assert_int_equal(p->entries, m->n);
	assert_int_equal(p->deletes, deletes);
	assert_int_equal(p->raw_bytes, raw);
	assert_int_equal(p->sequence_min, min);
	assert_int_equal(p->sequence_max, max);
	assert_true(slice_equal(buf_slice(&p->smallest), m->entries[0].ikey));
	assert_true(slice_equal(buf_slice(&p->largest), m->entries[m->n - 1].ikey));
}

static void tables_equal_the_model(void **state)
{
	static const uint32_t block_bytes[] = { 64, 500, 4096, 100000 };
	struct rng r = { seed_choose("tables") };

	(void)state;
	for (int round = 0; round < 72; round++) {
		struct table_write_options options = { block_bytes[round % 4], round % 3 ? 10 : 0,
						       (enum lsm_compression)(round / 4 % 3) };
		size_t key_max = 1 + rng_below(&r, round % 8 ? 24 : 300);
		struct model m = model_new(&r, 1 + rng_below(&r, 1500), key_max, round % 9 ? 100 : 20000);
		struct table_props props = write_table(&m, &options, NULL, 0);
		struct test_source source;

		source_init(&source);
		check_counts(&props, &m);
		check_props(&props);
		check_table(&m, round % 2 ? &source.source : NULL, &r, key_max);
		source_done(&source);
		table_props_free(&props);
		model_free(&m);
	}
}

static void one_entry(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_LZ4 };
	struct rng r = { 1 };

	(void)state;
	for (int k = 0; k < 20; k++) {
		struct model m = model_new(&r, 1, 5, 50);
		struct table_props props = write_table(&m, &options, NULL, 0);

		check_counts(&props, &m);
		check_table(&m, NULL, &r, 5);
		table_props_free(&props);
		model_free(&m);
	}
}

static void entries_larger_than_a_block(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_ZSTD };
	struct rng r = { seed_choose("large entries") };

	(void)state;
	for (int compression = 0; compression < 3; compression++) {
		struct model m = model_new(&r, 20, 65535, 1 << 20);
		struct table_props props;

		options.compression = (enum lsm_compression)compression;
		props = write_table(&m, &options, NULL, 0);
		check_props(&props);
		check_table(&m, NULL, &r, 65535);
		table_props_free(&props);
		model_free(&m);
	}
}

/* Many partitions, and far more blocks than the source keeps. */
static void large_table(void **state)
{
	struct table_write_options options = { 1024, 10, LSM_COMPRESS_LZ4 };
	struct rng r = { seed_choose("large table") };
	struct model m = model_new(&r, 60000, 40, 60);
	struct table_props props = write_table(&m, &options, NULL, 0);
	struct test_source source;
	struct table *t;
	struct iter *it;

	(void)state;
	source_init(&source);
	assert_ok(table_open(env_posix(), fixture_path, FILE_NUMBER, &source.source, &t));
	assert_ok(table_iter_new(t, false, &it));
	check_both_ways(it, &m);
	assert_true(source.inserts > 1000);
	for (int k = 0; k < 2000; k++) {
		size_t at = rng_below(&r, m.n);
		struct table_hit hit;

		it->ops->seek(it, m.entries[at].ikey);
		assert_stands(it, &m, at);
		assert_ok(table_get(t, ikey_user(m.entries[at].ikey), filter_hash(ikey_user(m.entries[at].ikey)),
				    ikey_trailer(m.entries[at].ikey), &hit));
		assert_int_equal(hit.answer, TABLE_FOUND);
		assert_true(slice_equal(hit.value, m.entries[at].value));
		table_hit_release(t, &hit);
	}
	iter_free(it);
	table_close(t);
	source_done(&source);
	table_props_free(&props);
	model_free(&m);
}

static uint64_t pass(struct table *t, bool bulk, bool backward, const struct model *m, struct test_source *source)
{
	uint64_t before = source->inserts;
	struct iter *it;
	size_t n = 0;

	assert_ok(table_iter_new(t, bulk, &it));
	if (backward)
		it->ops->seek_last(it);
	else
		it->ops->seek_first(it);
	while (it->valid) {
		const struct model_entry *e = &m->entries[backward ? m->n - 1 - n : n];

		assert_true(slice_equal(it->key, e->ikey) && slice_equal(it->value, e->value));
		n++;
		if (backward)
			iter_prev(it);
		else
			iter_next(it);
	}
	assert_ok(it->status);
	assert_int_equal(n, m->n);
	iter_free(it);
	return source->inserts - before;
}

/* A long scan fills the cache only where one has been before; a compaction's never does. */
static void long_scans_and_the_source(void **state)
{
	static const enum lsm_compression how[] = { LSM_COMPRESS_NONE, LSM_COMPRESS_LZ4, LSM_COMPRESS_ZSTD };
	struct rng r = { seed_choose("long scans") };
	struct model m = model_new(&r, 24000, 40, 60);
	struct iter *it;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct table_write_options options = { 1024, 10, how[i] };
		struct table_props props = write_table(&m, &options, NULL, 0);
		struct test_source source;
		uint64_t bulk, first, second, blocks;
		struct table *t;

		source_init(&source);
		assert_ok(table_open(env_posix(), fixture_path, FILE_NUMBER, &source.source, &t));
		bulk = pass(t, true, i == 1, &m, &source);
		first = pass(t, false, i == 1, &m, &source);
		second = pass(t, false, i == 2, &m, &source);
		blocks = props.raw_bytes / 1024;
		assert_true(bulk < blocks / 10); /* index partitions */
		assert_true(first < blocks / 2);
		assert_true(second > blocks * 8 / 10);
		/* Steps in turn: the block that was passed must not be mixed up with the one read next. */
		assert_ok(table_iter_new(t, true, &it));
		check_walks(it, &m, &r, 300, 40);
		iter_free(it);
		table_close(t);
		source_done(&source);
		table_props_free(&props);
	}
	model_free(&m);
}

/* One user key with so many versions that they fill blocks and partitions. */
static void versions_across_blocks(void **state)
{
	struct table_write_options options = { 128, 10, LSM_COMPRESS_NONE };
	struct model m = { calloc(3000, sizeof(struct model_entry)), 3000 };
	struct rng r = { 1 };
	struct table_props props;
	struct table *t;

	(void)state;
	for (size_t i = 0; i < m.n; i++) {
		struct buf ikey = { 0 };

		buf_put_ikey(&ikey, slice_of("the key", 7), trailer_of(2 * (m.n - i), ENTRY_PUT));
		m.entries[i].ikey = buf_slice(&ikey);
		m.entries[i].value = model_copy(slice_of(&i, sizeof(i)));
	}
	props = write_table(&m, &options, NULL, 0);
	check_table(&m, NULL, &r, 10);
	assert_ok(table_open(env_posix(), fixture_path, FILE_NUMBER, NULL, &t));
	for (uint64_t seq = 0; seq < 2 * m.n + 3; seq++)
		check_get(t, &m, slice_of("the key", 7), SEEK_TRAILER(seq));
	table_close(t);
	table_props_free(&props);
	model_free(&m);
}

static void filter_spares_reads(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_NONE };
	struct rng r = { 1 };
	struct model m = model_new(&r, 3000, 20, 20);
	struct table_props props = write_table(&m, &options, NULL, 0);
	struct test_source source;
	struct table *t;
	int filtered = 0;

	(void)state;
	source_init(&source);
	assert_ok(table_open(env_posix(), fixture_path, FILE_NUMBER, &source.source, &t));
	for (int k = 0; k < 1000; k++) {
		struct table_hit hit;

		assert_ok(table_get(t, slice_of(&k, sizeof(k)), filter_hash(slice_of(&k, sizeof(k))), UINT64_MAX, &hit));
		assert_int_not_equal(hit.answer, TABLE_FOUND);
		filtered += hit.answer == TABLE_FILTERED;
		table_hit_release(t, &hit);
	}
	assert_true(filtered > 950);
	assert_true(source.lookups <= 2 * (uint64_t)(1000 - filtered));
	table_close(t);
	source_done(&source);
	table_props_free(&props);
	model_free(&m);
}

static void range_tombstones_only(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_LZ4 };
	struct range_del dels[] = { { slice_of("b", 1), slice_of("d", 1), 5 },
				    { slice_of("\0", 1), slice_of("c\0", 2), 9 } };
	struct model m = { 0 };
	struct rng r = { 1 };
	struct table_props props = write_table(&m, &options, dels, 2);
	struct buf smallest = { 0 }, largest = { 0 };
	struct table *t;

	(void)state;
	buf_put_ikey(&smallest, slice_of("\0", 1), trailer_of(9, ENTRY_RANGE_DELETE));
	buf_put_ikey(&largest, slice_of("d", 1), RANGE_END_TRAILER);
	assert_int_equal(props.entries, 0);
	assert_int_equal(props.range_deletes, 4); /* three fragments, one of them under both */
	assert_int_equal(props.sequence_min, 5);
	assert_int_equal(props.sequence_max, 9);
	assert_true(slice_equal(buf_slice(&props.smallest), buf_slice(&smallest)));
	assert_true(slice_equal(buf_slice(&props.largest), buf_slice(&largest)));
	check_props(&props);
	check_table(&m, NULL, &r, 5);
	assert_ok(table_open(env_posix(), fixture_path, FILE_NUMBER, NULL, &t));
	assert_non_null(table_range_dels(t));
	assert_int_equal(range_dels_covering(table_range_dels(t), slice_of("c", 1), 100, NULL), 9);
	assert_int_equal(range_dels_covering(table_range_dels(t), slice_of("c", 1), 8, NULL), 5);
	assert_int_equal(range_dels_covering(table_range_dels(t), slice_of("c\0", 2), 100, NULL), 5);
	assert_int_equal(range_dels_covering(table_range_dels(t), slice_of("d", 1), 100, NULL), 0);
	table_close(t);
	buf_free(&smallest);
	buf_free(&largest);
	table_props_free(&props);
}

/* Points inside the tombstones' bounds, and outside. */
static void bounds_of_points_and_tombstones(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_NONE };
	struct range_del inner = { slice_of("c", 1), slice_of("d", 1), 3 };
	struct range_del outer = { slice_of("a", 1), slice_of("z", 1), 3 };
	struct model m = { calloc(2, sizeof(struct model_entry)), 2 };
	struct buf first = { 0 }, last = { 0 };
	struct table_props props;

	(void)state;
	buf_put_ikey(&first, slice_of("b", 1), trailer_of(7, ENTRY_PUT));
	buf_put_ikey(&last, slice_of("y", 1), trailer_of(8, ENTRY_DELETE));
	m.entries[0] = (struct model_entry){ buf_slice(&first), model_copy(slice_of("1", 1)) };
	m.entries[1] = (struct model_entry){ buf_slice(&last), model_copy(slice_of("", 0)) };
	props = write_table(&m, &options, &inner, 1);
	assert_true(slice_equal(buf_slice(&props.smallest), m.entries[0].ikey));
	assert_true(slice_equal(buf_slice(&props.largest), m.entries[1].ikey));
	assert_int_equal(props.sequence_min, 3);
	table_props_free(&props);
	props = write_table(&m, &options, &outer, 1);
	assert_true(slice_equal(ikey_user(buf_slice(&props.smallest)), outer.begin));
	assert_true(slice_equal(ikey_user(buf_slice(&props.largest)), outer.end));
	assert_true(ikey_trailer(buf_slice(&props.largest)) == RANGE_END_TRAILER);
	table_props_free(&props);
	model_free(&m);
}

static void nothing_at_all(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_NONE };
	struct model m = { 0 };
	struct rng r = { 1 };
	struct table_props props = write_table(&m, &options, NULL, 0);

	(void)state;
	assert_int_equal(props.smallest.size, 0);
	check_props(&props);
	check_table(&m, NULL, &r, 5);
	table_props_free(&props);
}

static void blob_references(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_LZ4 };
	struct rng r = { seed_choose("blob references") };
	uint64_t expected[50] = { 0 };
	struct table_props props;
	struct table_writer *w;
	size_t segments = 0;

	(void)state;
	assert_ok(table_writer_open(env_posix(), fixture_path, FILE_NUMBER, &options, &w));
	for (uint32_t i = 0; i < 1000; i++) {
		uint8_t key[4 + TRAILER_BYTES], value[BLOB_PTR_BYTES_MAX];
		struct blob_ptr ptr = {
			.segment = 1 + rng_below(&r, 49), .offset = 4096, .value_size = 10000, .part_offset = 10
		};

		ptr.part_size = rng_below(&r, 9000);
		expected[ptr.segment] += ptr.part_size;
		put_u32(key, __builtin_bswap32(i));
		put_u64(key + 4, trailer_of(i + 1, ENTRY_BLOB));
		assert_ok(
			table_writer_add(w, slice_of(key, sizeof(key)), slice_of(value, blob_ptr_encode(value, &ptr))));
	}
	assert_ok(table_writer_finish(w, &props));
	for (size_t i = 0; i < 50; i++) {
		if (!expected[i])
			continue;
		assert_int_equal(props.blob_refs[segments].segment, i);
		assert_int_equal(props.blob_refs[segments].bytes, expected[i]);
		segments++;
	}
	assert_int_equal(props.blob_refs_n, segments);
	check_props(&props);
	table_props_free(&props);
}

static void bad_input_to_the_writer(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_LZ4 };
	struct table_writer *w;
	struct table_props props;
	uint8_t a[1 + TRAILER_BYTES] = "a", b[1 + TRAILER_BYTES] = "b";

	(void)state;
	put_u64(a + 1, trailer_of(1, ENTRY_PUT));
	put_u64(b + 1, trailer_of(1, ENTRY_BLOB));
	assert_ok(table_writer_open(env_posix(), fixture_path, FILE_NUMBER, &options, &w));
	assert_int_equal(table_writer_add(w, slice_of(b, sizeof(b)), slice_of("no pointer", 10)), LSM_CORRUPT);
	assert_int_equal(table_writer_finish(w, &props), LSM_CORRUPT);
	put_u64(b + 1, trailer_of(1, ENTRY_PUT));
	assert_ok(table_writer_open(env_posix(), fixture_path, FILE_NUMBER, &options, &w));
	assert_ok(table_writer_add(w, slice_of(b, sizeof(b)), slice_of("", 0)));
	assert_int_equal(table_writer_add(w, slice_of(a, sizeof(a)), slice_of("", 0)), LSM_INVALID);
	assert_int_equal(table_writer_add(w, slice_of(b, sizeof(b)), slice_of("", 0)), LSM_INVALID);
	table_writer_abort(w);
	table_writer_abort(NULL);
	assert_int_equal(table_writer_open(env_posix(), "/nonexistent/table", 1, &options, &w), LSM_IO);
	assert_int_equal(access(fixture_path, F_OK), 0);
}

static void the_wrong_file(void **state)
{
	struct table_write_options options = { 4096, 10, LSM_COMPRESS_LZ4 };
	struct rng r = { 1 };
	struct model m = model_new(&r, 100, 8, 8);
	struct table_props props = write_table(&m, &options, NULL, 0);
	struct table *t = NULL;

	(void)state;
	assert_int_equal(table_open(env_posix(), fixture_path, FILE_NUMBER + 1, NULL, &t), LSM_CORRUPT);
	assert_string_equal(lsm_last_error()->file, fixture_path);
	assert_int_equal(table_open(env_posix(), "/nonexistent/table", 1, NULL, &t), LSM_IO);
	assert_null(t);
	table_close(NULL);
	table_props_free(&props);
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_equal_the_model),
		cmocka_unit_test(one_entry),
		cmocka_unit_test(entries_larger_than_a_block),
		cmocka_unit_test(large_table),
		cmocka_unit_test(long_scans_and_the_source),
		cmocka_unit_test(versions_across_blocks),
		cmocka_unit_test(filter_spares_reads),
		cmocka_unit_test(range_tombstones_only),
		cmocka_unit_test(bounds_of_points_and_tombstones),
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(blob_references),
		cmocka_unit_test(bad_input_to_the_writer),
		cmocka_unit_test(the_wrong_file),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
