/* SPDX-License-Identifier: MIT */
/* Compressed payloads: round trips, what stays raw, and bad bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lsm/format/compress.h"
#include "tests/support/rng.h"

static const enum lsm_compression methods[] = { LSM_COMPRESS_NONE, LSM_COMPRESS_LZ4, LSM_COMPRESS_ZSTD };

/* `noise` percent of the bytes are random. */
static uint8_t *make_bytes(struct rng *r, size_t size, unsigned noise)
{
	uint8_t *p = malloc(size + 1);

	assert_non_null(p);
	for (size_t i = 0; i < size; i++)
		p[i] = rng_below(r, 100) < noise ? (uint8_t)rng_next(r) : (uint8_t) "lorem ipsum "[i % 12];
	return p;
}

static void check_round_trip(struct compressor *c, enum lsm_compression how, struct lsm_slice raw)
{
	struct buf out = { 0 };
	enum lsm_compression used;
	struct lsm_slice payload;
	size_t size;
	void *back;

	buf_append(&out, "front", 5);
	assert_int_equal(compress_append(c, how, raw, &out, &used), LSM_OK);
	assert_memory_equal(out.data, "front", 5);
	payload = slice_of(out.data + 5, out.size - 5);
	if (used == LSM_COMPRESS_NONE) {
		assert_true(slice_equal(payload, raw));
	} else {
		assert_int_equal(used, how);
		assert_true(payload.size <= raw.size - raw.size / 8);
		assert_int_equal(decompress_size(payload, "f", 0, &size), LSM_OK);
		assert_int_equal(size, raw.size);
		back = malloc(size);
		assert_non_null(back);
		assert_int_equal(decompress(used, payload, back, size, "f", 0), LSM_OK);
		assert_memory_equal(back, raw.data, size);
		free(back);
	}
	buf_free(&out);
}

static void round_trips(void **state)
{
	static const unsigned noises[] = { 0, 5, 50, 90, 100 };
	struct rng r = { seed_choose("compress") };
	struct compressor c = { 0 };

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t size = rng_below(&r, round % 30 ? 8000 : 300000);
		uint8_t *p = make_bytes(&r, size, noises[round % 5]);

		for (int k = 0; k < 3; k++)
			check_round_trip(&c, methods[k], slice_of(p, size));
		free(p);
	}
	compressor_done(&c);
}

static enum lsm_compression used_for(enum lsm_compression how, const uint8_t *p, size_t size)
{
	struct compressor c = { 0 };
	struct buf out = { 0 };
	enum lsm_compression used;

	assert_int_equal(compress_append(&c, how, slice_of(p, size), &out, &used), LSM_OK);
	buf_free(&out);
	compressor_done(&c);
	return used;
}

static void what_saves_little_stays_raw(void **state)
{
	struct rng r = { 1 };
	uint8_t *noise = make_bytes(&r, 4096, 100), *text = make_bytes(&r, 4096, 0);

	(void)state;
	for (int k = 1; k < 3; k++) {
		assert_int_equal(used_for(methods[k], noise, 4096), LSM_COMPRESS_NONE);
		assert_int_equal(used_for(methods[k], text, 4096), methods[k]);
		assert_int_equal(used_for(methods[k], text, 10), LSM_COMPRESS_NONE);
		/* A tenth that could be saved is not enough, a fifth is. */
		memcpy(noise, text, 300);
		assert_int_equal(used_for(methods[k], noise, 4096), LSM_COMPRESS_NONE);
		memcpy(noise, text, 1000);
		assert_int_equal(used_for(methods[k], noise, 4096), methods[k]);
		free(noise);
		noise = make_bytes(&r, 4096, 100);
	}
	free(noise);
	free(text);
}

static void huge_blocks_stay_raw(void **state)
{
	size_t size = COMPRESS_RAW_BYTES_MAX + 1;
	uint8_t *zeros = calloc(1, size);

	(void)state;
	assert_non_null(zeros);
	assert_int_equal(used_for(LSM_COMPRESS_LZ4, zeros, size), LSM_COMPRESS_NONE);
	assert_int_equal(used_for(LSM_COMPRESS_LZ4, zeros, size - 1), LSM_COMPRESS_LZ4);
	free(zeros);
}

static void impossible_sizes(void **state)
{
	uint8_t b[VARINT_BYTES_MAX] = { 0 };
	size_t size;

	(void)state;
	assert_int_equal(decompress_size(slice_of(b, 0), "f", 0, &size), LSM_CORRUPT);
	assert_int_equal(decompress_size(slice_of(b, put_varint(b, 0)), "f", 0, &size), LSM_CORRUPT);
	assert_int_equal(decompress_size(slice_of(b, put_varint(b, COMPRESS_RAW_BYTES_MAX + 1)), "f", 0, &size),
			 LSM_CORRUPT);
	assert_int_equal(decompress_size(slice_of(b, put_varint(b, UINT64_MAX)), "f", 9, &size), LSM_CORRUPT);
	assert_int_equal(lsm_last_error()->offset, 9);
}

/* Damaged or cut: corrupt, or bytes of the promised size; never outside the buffers. */
static void bad_bytes(void **state)
{
	struct rng r = { seed_choose("bad payloads") };
	struct compressor c = { 0 };
	uint8_t *p = make_bytes(&r, 2000, 30);

	(void)state;
	for (int round = 0; round < 3000; round++) {
		enum lsm_compression used;
		struct buf out = { 0 };
		uint8_t *exact, *back;
		size_t size, cut;
		uint64_t hits = rng_below(&r, 3);

		assert_int_equal(compress_append(&c, methods[1 + round % 2], slice_of(p, 2000), &out, &used), LSM_OK);
		assert_int_not_equal(used, LSM_COMPRESS_NONE);
		cut = rng_one_in(&r, 3) ? rng_below(&r, out.size) : out.size;
		exact = malloc(cut + 1);
		memcpy(exact, out.data, cut);
		for (uint64_t i = 0; i < hits && cut; i++)
			exact[rng_below(&r, cut)] = (uint8_t)rng_next(&r);
		if (!decompress_size(slice_of(exact, cut), "f", 0, &size)) {
			int rc;

			back = malloc(size);
			assert_non_null(back);
			rc = decompress(used, slice_of(exact, cut), back, size, "f", 0);
			assert_true(!rc || rc == LSM_CORRUPT);
			if (cut < out.size && !hits)
				assert_int_equal(rc, LSM_CORRUPT);
			free(back);
		}
		free(exact);
		buf_free(&out);
	}
	free(p);
	compressor_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(what_saves_little_stays_raw),
		cmocka_unit_test(huge_blocks_stay_raw),
		cmocka_unit_test(impossible_sizes),
		cmocka_unit_test(bad_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
