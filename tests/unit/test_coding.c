/* SPDX-License-Identifier: MIT */
/* Integers as bytes: round trips, and readers that meet the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lsm/base/checksum.h"
#include "lsm/base/coding.h"
#include "lsm/format/ikey.h"
#include "tests/support/rng.h"

static void fixed_integers(void **state)
{
	uint8_t b[8];

	(void)state;
	put_u32(b, 0x04030201u);
	assert_memory_equal(b, "\1\2\3\4", 4);
	assert_int_equal(get_u32(b), 0x04030201u);
	put_u64(b, UINT64_C(0xff07060504030201));
	assert_memory_equal(b, "\1\2\3\4\5\6\7\xff", 8);
	assert_int_equal(get_u64(b), UINT64_C(0xff07060504030201));
}

static void varints_round_trip(void **state)
{
	struct rng r = { seed_choose("varints") };

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t v = rng_next(&r) >> rng_below(&r, 64), got;
		uint8_t b[VARINT_BYTES_MAX];
		size_t n = put_varint(b, v);
		struct reader reader = reader_of(slice_of(b, n));

		assert_int_equal(n, varint_size(v));
		got = read_varint(&reader);
		assert_true(got == v && !reader.failed && !reader_left(&reader));
		/* One byte less is no varint. */
		reader = reader_of(slice_of(b, n - 1));
		assert_int_equal(read_varint(&reader), 0);
		assert_true(reader.failed);
	}
}

static void varint_that_overflows(void **state)
{
	uint8_t b[12];
	struct reader r;

	(void)state;
	memset(b, 0xff, sizeof(b));
	r = reader_of(slice_of(b, sizeof(b)));
	read_varint(&r);
	assert_true(r.failed);
	b[9] = 1; /* 2^64 - 1 */
	r = reader_of(slice_of(b, 10));
	assert_true(read_varint(&r) == UINT64_MAX && !r.failed);
	b[9] = 2; /* 2^64 and more */
	r = reader_of(slice_of(b, 10));
	read_varint(&r);
	assert_true(r.failed);
}

static void reader_stops_at_its_end(void **state)
{
	struct buf b = { 0 };
	struct reader r;

	(void)state;
	buf_put_u8(&b, 7);
	buf_put_u32(&b, 8);
	buf_put_slice(&b, slice_of("abc", 3));
	buf_put_u64(&b, 9);
	r = reader_of(buf_slice(&b));
	assert_int_equal(read_u8(&r), 7);
	assert_int_equal(read_u32(&r), 8);
	assert_true(slice_equal(read_slice(&r), slice_of("abc", 3)));
	assert_int_equal(read_u64(&r), 9);
	assert_false(r.failed);
	assert_int_equal(read_u8(&r), 0);
	assert_true(r.failed);
	/* A failed reader stays failed. */
	assert_int_equal(reader_left(&r), 0);
	assert_int_equal(read_bytes(&r, 0).size, 0);
	assert_true(r.failed);
	for (size_t size = 0; size < b.size; size++) {
		r = reader_of(slice_of(b.data, size));
		read_u8(&r);
		read_u32(&r);
		read_slice(&r);
		read_u64(&r);
		assert_true(r.failed);
	}
	buf_free(&b);
}

static void slice_longer_than_what_is_left(void **state)
{
	struct buf b = { 0 };
	struct reader r;

	(void)state;
	buf_put_varint(&b, UINT64_MAX);
	buf_put_u8(&b, 1);
	r = reader_of(buf_slice(&b));
	assert_int_equal(read_slice(&r).size, 0);
	assert_true(r.failed);
	buf_free(&b);
}

static void internal_keys_order(void **state)
{
	struct buf a = { 0 }, b = { 0 };

	(void)state;
	buf_put_ikey(&a, slice_of("k", 1), trailer_of(9, ENTRY_PUT));
	buf_put_ikey(&b, slice_of("k", 1), trailer_of(8, ENTRY_PUT));
	assert_true(ikey_compare(buf_slice(&a), buf_slice(&b)) < 0); /* the newer version first */
	buf_clear(&b);
	buf_put_ikey(&b, slice_of("k\0", 2), trailer_of(10, ENTRY_PUT));
	assert_true(ikey_compare(buf_slice(&a), buf_slice(&b)) < 0);
	buf_clear(&b);
	buf_put_ikey(&b, slice_of("", 0), trailer_of(1, ENTRY_DELETE));
	assert_true(ikey_compare(buf_slice(&a), buf_slice(&b)) > 0);
	assert_int_equal(trailer_seq(ikey_trailer(buf_slice(&a))), 9);
	assert_int_equal(trailer_type(ikey_trailer(buf_slice(&a))), ENTRY_PUT);
	assert_true(slice_equal(ikey_user(buf_slice(&a)), slice_of("k", 1)));
	buf_free(&a);
	buf_free(&b);
}

/* Sums that libxxhash gave: files outlive processors, so every way of computing them gives these. */
static void checksums(void **state)
{
	static const struct {
		size_t size;
		uint64_t sum;
	} known[] = {
		{ 0, UINT64_C(0x2d06800538d394c2) },     { 16, UINT64_C(0xbfb51bbd4e25a614) },
		{ 240, UINT64_C(0x41f38752e9ea87de) },   { 241, UINT64_C(0xfd59abbae72dd9e8) },
		{ 511, UINT64_C(0xeb47cd932aaba766) },   { 512, UINT64_C(0x55488de7e7dce745) },
		{ 1024, UINT64_C(0xd1d7bf55e7a0c6d1) },  { 1025, UINT64_C(0x6d61c6684ad448ad) },
		{ 4096, UINT64_C(0x01d4462e5a03a4e8) },  { 16384, UINT64_C(0x8cfb5c912390ea03) },
		{ 19997, UINT64_C(0x35345b28c755d1c4) },
	};
	static uint8_t b[20000];

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		assert_true(hash64(b + 3, known[i].size, known[i].size * 1000003) == known[i].sum);
		assert_true(checksum32(b + 3, known[i].size, known[i].size * 1000003) == (uint32_t)known[i].sum);
#if defined(__x86_64__)
		if (__builtin_cpu_supports("avx2"))
			assert_true(hash64_avx2(b + 3, known[i].size, known[i].size * 1000003) == known[i].sum);
#endif
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_integers),          cmocka_unit_test(checksums),
		cmocka_unit_test(varints_round_trip),      cmocka_unit_test(varint_that_overflows),
		cmocka_unit_test(reader_stops_at_its_end), cmocka_unit_test(slice_longer_than_what_is_left),
		cmocka_unit_test(internal_keys_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
