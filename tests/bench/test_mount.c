/* SPDX-License-Identifier: MIT */
/* The mount benchmark's contents: is it noticed when something else is read than was written? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/mount_job.h"

enum { MIB = 1 << 20, BLOCKS = MIB / BLOCK };

void bench_fail(const char *who, const char *message)
{
	fprintf(stderr, "%s: %s\n", who, message);
	_exit(1);
}

static void a_file_is_its_own(void **state)
{
	char buf[FILE_BYTES_MAX];

	(void)state;
	for (size_t size = 1; size <= 200; size++) {
		file_fill(buf, size, 7, CREATED);
		assert_true(file_matches(buf, size, 7, CREATED));
		for (size_t at = 0; at < size; at++) {
			buf[at] ^= 1;
			assert_false(file_matches(buf, size, 7, CREATED));
			buf[at] ^= 1;
		}
		if (size < 8)
			continue;
		assert_false(file_matches(buf, size, 8, CREATED));
		assert_false(file_matches(buf, size, 7, OVERWRITTEN));
	}
	file_fill(buf, sizeof(buf), 9, APPENDED);
	assert_true(file_matches(buf, sizeof(buf), 9, APPENDED));
	assert_memory_equal(buf, buf + sizeof(buf) / 2, sizeof(buf) / 2);
}

static void names_sort_as_their_numbers(void **state)
{
	char name[NAME_BYTES], last[NAME_BYTES] = "";

	(void)state;
	for (uint64_t i = 0; i < 20000; i += 37) {
		file_name(name, 'f', i, false);
		assert_true(strcmp(last, name) < 0);
		strcpy(last, name);
	}
	file_name(name, 'f', 1234, true);
	assert_string_equal(name, "d34/f0001234");
}

/* A MiB from block 64 on, in which something is wrong. */
static char *blocks(void)
{
	char *buf = malloc(MIB);

	assert_non_null(buf);
	blocks_init(buf, MIB, 64);
	blocks_stamp(buf, MIB, 64, 1);
	assert_true(blocks_match(buf, MIB, 64, 1));
	return buf;
}

static void a_block_tells_its_place(void **state)
{
	char *buf = blocks(), saved[BLOCK];

	(void)state;
	assert_false(blocks_match(buf, MIB, 65, 1));
	assert_false(blocks_match(buf, MIB, 64, 2));
	for (unsigned i = 0; i < BLOCKS; i++) {
		char *block = buf + i * BLOCK;

		/* that of before, a half of that of before, zeros */
		memcpy(saved, block, BLOCK);
		blocks_stamp(block, BLOCK, 64 + i, 0);
		assert_false(blocks_match(buf, MIB, 64, 1));
		memcpy(block, saved, BLOCK / 2);
		assert_false(blocks_match(buf, MIB, 64, 1));
		memset(block, 0, BLOCK);
		assert_false(blocks_match(buf, MIB, 64, 1));
		memcpy(block, saved, BLOCK);
	}
	assert_true(blocks_match(buf, MIB, 64, 1));
	free(buf);
}

/* Nothing of a block is met again within a MiB. */
static void blocks_differ(void **state)
{
	char *buf = blocks();

	(void)state;
	for (unsigned i = 1; i < BLOCKS; i++)
		assert_memory_not_equal(buf + BLOCK / 2, buf + i * BLOCK + BLOCK / 2, 16);
	free(buf);
}

/* Of one block in 16 each byte. */
static void a_block_is_looked_into(void **state)
{
	char *buf = blocks();

	(void)state;
	for (unsigned i = 0; i < BLOCKS; i += 16)
		for (unsigned at = 0; at < BLOCK; at += 61) {
			buf[i * BLOCK + at] ^= 1;
			assert_false(blocks_match(buf, MIB, 64, 1));
			buf[i * BLOCK + at] ^= 1;
		}
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_its_own),       cmocka_unit_test(names_sort_as_their_numbers),
		cmocka_unit_test(a_block_tells_its_place), cmocka_unit_test(a_block_is_looked_into),
		cmocka_unit_test(blocks_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
