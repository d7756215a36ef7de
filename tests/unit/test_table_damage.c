/* SPDX-License-Identifier: MIT */
/* Tables with damaged bytes: whatever is asked, the answer is right or LSM_CORRUPT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lsm/format/filter.h"
#include "lsm/format/header.h"
#include "tests/unit/table_fixture.h"

static struct lsm_slice read_whole(void)
{
	FILE *f = fopen(fixture_path, "rb");
	char *data;
	long size;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	size = ftell(f);
	rewind(f);
	data = malloc((size_t)size + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, (size_t)size, f), size);
	fclose(f);
	return slice_of(data, (size_t)size);
}

static void write_whole(struct lsm_slice s)
{
	FILE *f = fopen(fixture_path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(s.data, 1, s.size, f), s.size);
	assert_int_equal(fclose(f), 0);
}

struct outcome {
	bool refused; /* the table did not open */
	bool noticed; /* something was LSM_CORRUPT */
};

static void assert_corrupt_here(int rc)
{
	assert_int_equal(rc, LSM_CORRUPT);
	assert_string_equal(lsm_last_error()->file, fixture_path);
}

static bool try_gets(struct table *t, const struct model *m)
{
	bool noticed = false;

	for (size_t i = 0; i < m->n; i++) {
		struct lsm_slice ikey = m->entries[i].ikey;
		struct table_hit hit = { 0 };
		int rc = table_get(t, ikey_user(ikey), filter_hash(ikey_user(ikey)), ikey_trailer(ikey), &hit);

		if (rc) {
			assert_corrupt_here(rc);
			noticed = true;
			continue;
		}
		assert_int_equal(hit.answer, TABLE_FOUND);
		assert_int_equal(hit.trailer, ikey_trailer(ikey));
		assert_true(slice_equal(hit.value, m->entries[i].value));
		table_hit_release(t, &hit);
	}
	return noticed;
}

/* Each entry that is shown is the right one, and only corruption ends a scan early. */
static bool try_scans(struct table *t, const struct model *m)
{
	bool noticed = false;
	struct iter *it;
	size_t i = 0;

	assert_ok(table_iter_new(t, false, &it));
	for (it->ops->seek_first(it); it->valid; it->ops->next(it))
		assert_stands(it, m, i++);
	if (it->status) {
		assert_corrupt_here(it->status);
		noticed = true;
	} else {
		assert_int_equal(i, m->n);
	}
	i = m->n;
	for (it->ops->seek_last(it); it->valid; it->ops->prev(it))
		assert_stands(it, m, --i);
	assert_true(it->status ? it->status == LSM_CORRUPT : i == 0);
	/* Where there is damage, what lies around it stays readable. */
	for (i = 0; i < m->n; i += 7) {
		it->ops->seek(it, m->entries[i].ikey);
		if (it->status)
			assert_int_equal(it->status, LSM_CORRUPT);
		else
			assert_stands(it, m, i);
	}
	iter_free(it);
	return noticed;
}

static void try_range_dels(struct table *t)
{
	const struct range_dels *d = table_range_dels(t);

	assert_non_null(d);
	assert_int_equal(range_dels_count(d), 1);
	assert_int_equal(range_dels_covering(d, slice_of("b", 1), 100, NULL), 5);
}

static struct outcome try_table(const struct model *m)
{
	struct outcome o = { 0 };
	struct table *t;
	int rc = table_open(env_posix(), fixture_path, FILE_NUMBER, NULL, &t);

	if (rc) {
		assert_corrupt_here(rc);
		o.refused = o.noticed = true;
		return o;
	}
	o.noticed = try_gets(t, m);
	o.noticed |= try_scans(t, m);
	try_range_dels(t);
	table_close(t);
	return o;
}

static struct model make_table(enum lsm_compression compression, struct rng *r)
{
	struct table_write_options options = { 200, 10, compression };
	struct range_del del = { slice_of("a", 1), slice_of("c", 1), 5 };
	struct model m = model_new(r, 30, 12, 40);
	struct table_props props = write_table(&m, &options, &del, 1);

	table_props_free(&props);
	return m;
}

static void each_byte_flipped(void **state)
{
	struct rng r = { seed_choose("flips") };

	(void)state;
	for (int compression = 0; compression < 3; compression++) {
		struct model m = make_table((enum lsm_compression)compression, &r);
		struct lsm_slice whole = read_whole();
		uint8_t *bytes = (uint8_t *)whole.data;
		size_t refused = 0;

		for (size_t i = 0; i < whole.size; i++) {
			uint8_t mask = (uint8_t)(1u << rng_below(&r, 8));
			struct outcome o;

			bytes[i] ^= mask;
			write_whole(whole);
			o = try_table(&m);
			/* There is no byte that isn't covered by a checksum, and none that isn't read. */
			assert_true(o.noticed);
			refused += o.refused;
			bytes[i] ^= mask;
		}
		assert_true(refused < whole.size / 2);
		write_whole(whole);
		assert_false(try_table(&m).noticed);
		free(bytes);
		model_free(&m);
	}
}

static void each_length(void **state)
{
	struct rng r = { seed_choose("truncation") };
	struct model m = make_table(LSM_COMPRESS_LZ4, &r);
	struct lsm_slice whole = read_whole();
	struct buf longer = { 0 };

	(void)state;
	for (size_t size = 0; size < whole.size; size++) {
		write_whole(slice_of(whole.data, size));
		assert_true(try_table(&m).refused);
	}
	buf_append_slice(&longer, whole);
	buf_put_u8(&longer, 0);
	write_whole(buf_slice(&longer));
	assert_true(try_table(&m).refused);
	buf_free(&longer);
	free((void *)whole.data);
	model_free(&m);
}

/* A stretch of the file that holds what belongs elsewhere. */
static void misplaced_bytes(void **state)
{
	struct rng r = { seed_choose("misplaced") };
	struct model m = make_table(LSM_COMPRESS_NONE, &r);
	struct lsm_slice whole = read_whole();

	(void)state;
	for (int k = 0; k < 300; k++) {
		size_t size = 1 + rng_below(&r, 400), from = rng_below(&r, whole.size - size);
		size_t to = rng_below(&r, whole.size - size);
		struct buf copy = { 0 };

		buf_append_slice(&copy, whole);
		memmove(copy.data + to, copy.data + from, size);
		write_whole(buf_slice(&copy));
		if (!slice_equal(buf_slice(&copy), whole))
			assert_true(try_table(&m).noticed);
		buf_free(&copy);
	}
	free((void *)whole.data);
	model_free(&m);
}

/* Blocks that are alike but for their content: 100 entries of 4 + 8 and 20 bytes. */
static struct model equal_blocks(void)
{
	struct table_write_options options = { 200, 10, LSM_COMPRESS_NONE };
	struct range_del del = { slice_of("a", 1), slice_of("c", 1), 5 };
	struct model m = { calloc(100, sizeof(struct model_entry)), 100 };
	struct table_props props;

	assert_non_null(m.entries);
	for (uint32_t i = 0; i < 100; i++) {
		uint8_t key[4 + TRAILER_BYTES], value[20] = { (uint8_t)i };

		put_u32(key, __builtin_bswap32(i));
		put_u64(key + 4, trailer_of(1, ENTRY_PUT));
		m.entries[i].ikey = model_copy(slice_of(key, sizeof(key)));
		m.entries[i].value = model_copy(slice_of(value, sizeof(value)));
	}
	props = write_table(&m, &options, &del, 1);
	table_props_free(&props);
	return m;
}

/* A whole block, with its checksum, in another's place: checksums are tied to the place. */
static void misplaced_block(void **state)
{
	struct model m = equal_blocks();
	struct lsm_slice whole = read_whole();
	uint64_t first = 0, second = 0;
	struct table *t;

	(void)state;
	assert_ok(table_open(env_posix(), fixture_path, FILE_NUMBER, NULL, &t));
	for (size_t i = 0; i < m.n && !second; i++)
		second = table_offset_of(t, m.entries[i].ikey);
	assert_int_equal(table_offset_of(t, m.entries[0].ikey), first);
	table_close(t);
	assert_true(second > 0 && 2 * second < whole.size);
	memcpy((uint8_t *)whole.data + second, (const uint8_t *)whole.data + first, second - first);
	write_whole(whole);
	assert_true(try_table(&m).noticed);
	assert_false(try_table(&m).refused);
	free((void *)whole.data);
	model_free(&m);
}

/* Well-formed, but of a later version: refused with a sentence, and not called corrupt. */
static void later_versions(void **state)
{
	static const size_t at[] = { 80 /* version */, 76 /* incompatible features */ };
	struct rng r = { 1 };
	struct model m = make_table(LSM_COMPRESS_NONE, &r);
	struct lsm_slice whole = read_whole();
	uint8_t *footer = (uint8_t *)whole.data + whole.size - 96;
	uint64_t seed = place_seed(FILE_NUMBER, whole.size - 96);
	struct table *t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		footer[at[i]] ^= 2;
		put_u32(footer + 84, checksum32(footer, 84, seed));
		write_whole(whole);
		assert_int_equal(table_open(env_posix(), fixture_path, FILE_NUMBER, NULL, &t), LSM_UNSUPPORTED);
		footer[at[i]] ^= 2;
	}
	footer[72] ^= 2; /* a compatible feature */
	put_u32(footer + 84, checksum32(footer, 84, seed));
	write_whole(whole);
	assert_false(try_table(&m).noticed);
	free((void *)whole.data);
	model_free(&m);
}

static void random_files(void **state)
{
	struct rng r = { seed_choose("random files") };
	struct model m = { 0 };

	(void)state;
	for (int k = 0; k < 200; k++) {
		uint8_t bytes[1000];
		size_t size = rng_below(&r, sizeof(bytes));

		rng_fill(&r, bytes, size);
		if (size >= 8)
			memcpy(bytes + size - 8, "LSMtable", 8);
		write_whole(slice_of(bytes, size));
		assert_true(try_table(&m).refused);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_flipped), cmocka_unit_test(each_length),
		cmocka_unit_test(misplaced_bytes),   cmocka_unit_test(misplaced_block),
		cmocka_unit_test(later_versions),    cmocka_unit_test(random_files),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
