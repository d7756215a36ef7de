/* SPDX-License-Identifier: MIT */
/* The engine's options: names, values, text, and what of them is kept beside the data. */
#include "tests/support/db_test.h"
#include "tests/support/env_fault.h"

#include <errno.h>

#include "lsm/base/checksum.h"

#ifndef LSMFS_SOURCE_DIR
#define LSMFS_SOURCE_DIR "."
#endif

/* ---- text ---- */

static void test_set(void **state)
{
	struct lsm_options o = { 0 };

	(void)state;
	assert_ok(lsm_options_set(&o, "memory_bytes", "64M"));
	assert_int_equal(o.memory_bytes, 64 << 20);
	assert_ok(lsm_options_set(&o, "memory_bytes", "1g"));
	assert_int_equal(o.memory_bytes, 1 << 30);
	assert_ok(lsm_options_set(&o, "block_bytes", "1000"));
	assert_int_equal(o.block_bytes, 1000);
	assert_ok(lsm_options_set(&o, "block_bytes", "default"));
	assert_int_equal(o.block_bytes, 0);
	assert_ok(lsm_options_set(&o, "level_ratio", "7"));
	assert_int_equal(o.level_ratio, 7);
	assert_ok(lsm_options_set(&o, "filter_bits", "none"));
	assert_int_equal(o.filter_bits, UINT32_MAX);
	assert_ok(lsm_options_set(&o, "filter_bits", "64"));
	assert_int_equal(o.filter_bits, 64);
	assert_ok(lsm_options_set(&o, "level_compression", "zstd"));
	for (unsigned l = 0; l < LSM_LEVELS; l++)
		assert_int_equal(o.level_compression[l], LSM_COMPRESS_ZSTD + 1);
	assert_ok(lsm_options_set(&o, "level_compression", "none,default,lz4"));
	assert_int_equal(o.level_compression[0], LSM_COMPRESS_NONE + 1);
	assert_int_equal(o.level_compression[1], 0);
	for (unsigned l = 2; l < LSM_LEVELS; l++)
		assert_int_equal(o.level_compression[l], LSM_COMPRESS_LZ4 + 1);
}

static void test_set_refuses(void **state)
{
	static const struct {
		const char *name, *value, *says;
	} bad[] = {
		{ "memory_bytes", "", "from 4M to 256T" },
		{ "memory_bytes", "4095K", "from 4M" },
		{ "memory_bytes", "64MB", "64MB" },
		{ "memory_bytes", "-1", "" },
		{ "memory_bytes", " 64M", "" },
		{ "memory_bytes", "1.5G", "" },
		{ "memory_bytes", "99999999999999999999", "" },
		{ "memory_bytes", "18014398509481984K", "" },
		{ "level_ratio", "4K", "from 2 to 1000" },
		{ "level_ratio", "1", "" },
		{ "level_ratio", "0", "" },
		{ "level_ratio", "none", "" },
		{ "filter_bits", "65", "from 1 to 64, or none" },
		{ "level_compression", "", "none, lz4, zstd" },
		{ "level_compression", "brotli", "brotli" },
		{ "level_compression", "lz4,", "" },
		{ "level_compression", "1", "" },
		{ "level_compression", "lz4,lz4,lz4,lz4,lz4,lz4,lz4,lz4", "" },
		{ "level_ration", "4", "did you mean level_ratio?" },
		{ "blok_byte", "4", "did you mean block_bytes?" },
		{ "thread", "4", "did you mean threads?" },
		{ "flags", "1", "there is no option 'flags'" },
		{ "", "1", "there is no option ''" },
		{ "a_name_that_is_much_longer_than_that_of_any_option", "1", "there is no option" },
	};
	struct lsm_options o, before;

	(void)state;
	memset(&o, 0x11, sizeof(o));
	before = o;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (lsm_options_set(&o, bad[i].name, bad[i].value) != LSM_INVALID)
			fail_msg("%s=%s was taken", bad[i].name, bad[i].value);
		if (!strstr(lsm_last_error()->message, bad[i].says))
			fail_msg("'%s' doesn't say '%s'", lsm_last_error()->message, bad[i].says);
		assert_memory_equal(&o, &before, sizeof(o));
	}
	assert_code(lsm_options_set(&o, "a_name_that_is_much_longer_than_that_of_any_option", "1"), LSM_INVALID);
	assert_null(strstr(lsm_last_error()->message, "did you mean"));
}

static void test_text(void **state)
{
	struct lsm_options o = { .memory_bytes = 16 << 20,
				 .filter_bits = UINT32_MAX,
				 .level_compression = { 0, 3, 3, 3 } };
	char *text = lsm_options_text(&o);

	(void)state;
	assert_non_null(text);
	assert_non_null(strstr(text, "\nmemory_bytes              16M  "));
	assert_non_null(strstr(text, "\nmemtable_bytes            2M  "));
	assert_non_null(strstr(text, "\nlevel_base_bytes          8M  "));
	assert_non_null(strstr(text, "\nfilter_bits               none  "));
	assert_non_null(strstr(text, "lz4,zstd,zstd,zstd,lz4,lz4,default "));
	free(text);
	o.memory_bytes = 1;
	assert_null(lsm_options_text(&o));
	assert_int_equal(lsm_last_error()->code, LSM_INVALID);
}

/* docs/OPTIONS.md holds the table as the code prints it. */
static void test_documented(void **state)
{
	char *text = lsm_options_text(NULL), page[32768] = "";
	FILE *f = fopen(LSMFS_SOURCE_DIR "/docs/OPTIONS.md", "re");

	(void)state;
	assert_non_null(text);
	if (!f) {
		print_message("docs/OPTIONS.md isn't here\n");
		free(text);
		skip();
	}
	assert_true(fread(page, 1, sizeof(page) - 1, f) > 0);
	fclose(f);
	if (!strstr(page, text))
		fail_msg("docs/OPTIONS.md doesn't hold this table:\n%s", text);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char quoted[40] = "`";

		snprintf(quoted, sizeof(quoted), "`%.*s`", (int)strcspn(line, " "), line);
		if (strcmp(quoted, "`name`") && !strstr(page, quoted))
			fail_msg("docs/OPTIONS.md says nothing about %s", quoted);
	}
	free(text);
}

/* ---- kept beside the data ---- */

static const char *options_path(const struct db_test *t)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/OPTIONS", t->store);
	return path;
}

static char *options_file(const struct db_test *t)
{
	static char text[4096];
	FILE *f = fopen(options_path(t), "re");
	size_t n;

	if (!f)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

/* `body` with its checksum. */
static void options_file_write(const struct db_test *t, const char *body)
{
	char text[4096];

	snprintf(text, sizeof(text), "%schecksum %08x\n", body, checksum32(body, strlen(body), 0));
	file_write_text(options_path(t), text);
}

static struct lsm_options options_now(struct db_test *t)
{
	struct lsm_options o;

	lsm_get_options(t->db, &o);
	return o;
}

static void only(struct db_test *t, struct lsm_options o)
{
	o.flags = LSM_OPEN_CREATE;
	o.env = t->options.env;
	t->options = o;
}

static void test_kept(void **state)
{
	struct db_test *t = *state;
	struct lsm_options o;

	only(t, (struct lsm_options){ .memory_bytes = 16 << 20,
				      .level_ratio = 5,
				      .filter_bits = UINT32_MAX,
				      .level_compression = { 1, 3 },
				      .threads = 3 });
	db_open(t);
	db_close(t);
	assert_non_null(options_file(t));
	assert_memory_equal(
		options_file(t),
		"lsm options 1\nlevel_ratio=5\nfilter_bits=none\nlevel_compression=none,zstd,default\n"
		"checksum ",
		strlen("lsm options 1\nlevel_ratio=5\nfilter_bits=none\nlevel_compression=none,zstd,default\n"));

	/* What an open leaves out comes from the file, if it is of the kind that is kept. */
	only(t, (struct lsm_options){ 0 });
	db_open(t);
	o = options_now(t);
	assert_int_equal(o.level_ratio, 5);
	assert_int_equal(o.filter_bits, UINT32_MAX);
	assert_int_equal(o.level_compression[0], LSM_COMPRESS_NONE + 1);
	assert_int_equal(o.level_compression[1], LSM_COMPRESS_ZSTD + 1);
	assert_int_equal(o.level_compression[2], LSM_COMPRESS_LZ4 + 1);
	assert_int_equal(o.memory_bytes, 256 << 20);
	assert_int_equal(o.threads, 1);
	db_close(t);

	/* What it gives wins, and is kept in turn. */
	only(t, (struct lsm_options){ .level_ratio = 10, .block_bytes = 1 << 20 });
	db_open(t);
	assert_int_equal(options_now(t).level_ratio, 10);
	assert_int_equal(options_now(t).filter_bits, UINT32_MAX);
	db_close(t);
	assert_non_null(strstr(options_file(t), "\nblock_bytes=1M\n"));
	assert_non_null(strstr(options_file(t), "\nlevel_ratio=10\n"));
	assert_non_null(strstr(options_file(t), "\nfilter_bits=none\n"));

	/* Without the file, the defaults are back. */
	assert_int_equal(unlink(options_path(t)), 0);
	only(t, (struct lsm_options){ 0 });
	db_open(t);
	assert_int_equal(options_now(t).filter_bits, 10);
	assert_int_equal(options_now(t).block_bytes, 4096);
	db_close(t);
	assert_false(path_exists(options_path(t))); /* there is nothing to say */
}

/* The options kept are at work, and not only shown: values move to blob segments as the file says. */
static void test_kept_at_work(void **state)
{
	struct db_test *t = *state;

	only(t, (struct lsm_options){ .blob_min_bytes = 100, .blob_direct_bytes = 1 << 20 });
	db_open(t);
	only(t, (struct lsm_options){ 0 });
	db_reopen(t);
	put_bytes(t, key_n(1), 1, 200);
	assert_ok(lsm_flush(t->db));
	assert_int_equal(stats_of(t).blob_segments, 1);
	only(t, (struct lsm_options){ .blob_min_bytes = 1000 });
	db_reopen(t);
	put_bytes(t, key_n(2), 2, 200);
	assert_ok(lsm_flush(t->db));
	assert_int_equal(stats_of(t).blob_segments, 1);
	expect_bytes(t, key_n(1), 1, 200);
	expect_bytes(t, key_n(2), 2, 200);
}

static void test_read_only_writes_nothing(void **state)
{
	struct db_test *t = *state;
	uint64_t before;

	only(t, (struct lsm_options){ .level_ratio = 5 });
	db_open(t);
	db_close(t);
	before = dir_checksum(t->store);
	t->options = (struct lsm_options){ .flags = LSM_OPEN_READ_ONLY, .l0_tables = 9 };
	db_open(t);
	assert_int_equal(options_now(t).level_ratio, 5);
	assert_int_equal(options_now(t).l0_tables, 9);
	db_close(t);
	assert_int_equal(dir_checksum(t->store), before);
}

static void test_stored_against_given(void **state)
{
	struct db_test *t = *state;
	uint64_t before;

	only(t, (struct lsm_options){ .blob_min_bytes = 10000, .blob_direct_bytes = 20000 });
	db_open(t);
	db_close(t);
	before = dir_checksum(t->store);
	only(t, (struct lsm_options){ .blob_min_bytes = 30000 });
	assert_code(lsm_open(t->store, &t->options, &t->db), LSM_INVALID);
	assert_non_null(strstr(lsm_last_error()->message, "OPTIONS"));
	assert_int_equal(dir_checksum(t->store), before);
}

/* ---- files that are not as they should be ---- */

static void refused(struct db_test *t, int code, const char *says)
{
	uint64_t before = dir_checksum(t->store);

	if (lsm_open(t->store, &t->options, &t->db) != code || !strstr(lsm_last_error()->message, says))
		fail_msg("'%s': expected code %d, '%s'; file:\n%s", lsm_last_error()->message, code, says,
			 options_file(t));
	assert_non_null(strstr(lsm_last_error()->file, "OPTIONS"));
	assert_int_equal(dir_checksum(t->store), before);
}

static void test_newer_file(void **state)
{
	struct db_test *t = *state;

	only(t, (struct lsm_options){ .level_ratio = 5 });
	db_open(t);
	db_close(t);
	options_file_write(t, "lsm options 1\nlevel_ratio=5\nfuture=1\n");
	refused(t, LSM_UNSUPPORTED, "future=1");
	options_file_write(t, "lsm options 1\nlevel_ratio=5000\n");
	refused(t, LSM_UNSUPPORTED, "level_ratio=5000");
	options_file_write(t, "lsm options 1\nmemory_bytes=64M\n");
	refused(t, LSM_UNSUPPORTED, "memory_bytes=64M");
	options_file_write(t, "lsm options 1\nno equals sign\n");
	refused(t, LSM_UNSUPPORTED, "no equals sign");
	options_file_write(t, "lsm options 2\nlevel_ratio=5\n");
	refused(t, LSM_UNSUPPORTED, "lsm options 2");
	options_file_write(t, "lsm options 1\nlevel_ratio=6\n");
	t->options = (struct lsm_options){ 0 };
	db_open(t);
	assert_int_equal(options_now(t).level_ratio, 6);
}

static void test_damaged_file(void **state)
{
	struct db_test *t = *state;
	uint64_t size;

	only(t, (struct lsm_options){ .level_ratio = 5 });
	db_open(t);
	put(t, "a", "1");
	db_close(t);
	size = files_bytes(t->store, "OPTIONS");
	for (uint64_t i = 0; i < size; i++) {
		file_flip(options_path(t), i);
		refused(t, LSM_CORRUPT, "can be deleted without harm");
		file_flip(options_path(t), i);
	}
	for (uint64_t i = size; i-- > 0;) {
		assert_int_equal(truncate(options_path(t), (off_t)i), 0);
		refused(t, LSM_CORRUPT, "can be deleted without harm");
	}
	options_file_write(t, "other options 1\nlevel_ratio=5\n");
	refused(t, LSM_CORRUPT, "begin");
	assert_int_equal(truncate(options_path(t), 100 << 10), 0);
	refused(t, LSM_CORRUPT, "size");
	assert_int_equal(unlink(options_path(t)), 0);
	db_open(t);
	expect(t, "a", "1");
}

/* A crash or an error at any moment leaves the old file or the new one. */
static void test_replaced_whole(void **state)
{
	static const enum fault_op faults[] = { FAULT_OPEN, FAULT_WRITE, FAULT_SYNC, FAULT_RENAME };
	struct db_test *t = *state;
	struct env_fault env;
	char temp[256];

	env_fault_init(&env);
	t->options.env = &env.env;
	only(t, (struct lsm_options){ .level_ratio = 5 });
	db_open(t);
	put(t, "a", "1");
	db_close(t);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		only(t, (struct lsm_options){ .level_ratio = 6 });
		env_fault_nth(&env, faults[i], "OPTIONS", faults[i] == FAULT_OPEN ? 2 : 1, EIO);
		assert_code(lsm_open(t->store, &t->options, &t->db), LSM_IO);
		env_fault_clear(&env);
		only(t, (struct lsm_options){ 0 });
		db_open(t);
		assert_int_equal(options_now(t).level_ratio, 5);
		expect(t, "a", "1");
		db_close(t);
	}
	/* What is left of an unfinished one goes away. */
	snprintf(temp, sizeof(temp), "%s/OPTIONS.tmp", t->store);
	file_write_text(temp, "lsm opt");
	db_open(t);
	assert_false(path_exists(temp));
	db_close(t);
	t->options.env = NULL;
	env_fault_done(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_refuses),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_documented),
		cmocka_unit_test_setup_teardown(test_kept, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_kept_at_work, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_read_only_writes_nothing, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_stored_against_given, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_newer_file, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_file, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_replaced_whole, db_setup_closed, db_teardown),
	};
	return cmocka_run_group_tests_name("db_options", tests, NULL, NULL);
}
