/* SPDX-License-Identifier: MIT */
/* lsm_dump(): each kind of file, whole and damaged, of a store that is open and of one that isn't. */
#include "tests/support/db_test.h"

/* What a dump says: its lines, each with a newline in front. */
static char said[1 << 20];
static size_t said_n;

static int say(void *ctx, const char *text)
{
	size_t n = strlen(text);

	(void)ctx;
	assert_null(strchr(text, '\n'));
	assert_true(said_n + n + 2 < sizeof(said));
	said[said_n++] = '\n';
	memcpy(said + said_n, text, n + 1);
	said_n += n;
	return 0;
}

static int dump_as(enum lsm_dump_kind kind, const char *path, uint32_t flags)
{
	said_n = 0;
	said[0] = 0;
	return lsm_dump(kind, path, flags, say, NULL);
}

static int dump(const char *path)
{
	return dump_as(LSM_DUMP_ANY, path, 0);
}

static void says_at(const char *text, int line)
{
	if (!strstr(said, text))
		fail_msg("line %d: the dump doesn't say '%s' but:%s", line, text, said);
}
#define says(text) says_at((text), __LINE__)

static unsigned times(const char *text)
{
	unsigned n = 0;

	for (const char *p = said; (p = strstr(p, text)); p += strlen(text))
		n++;
	return n;
}

static void without_compression(struct db_test *t)
{
	memset(t->options.level_compression, LSM_COMPRESS_NONE + 1, LSM_LEVELS);
}

/* A store of a few entries of each type, in table, manifest, both kinds of blob segments, and log. */
static void fill(struct db_test *t)
{
	char big[10000];

	without_compression(t);
	db_open(t);
	memset(big, 'x', sizeof(big));
	put(t, "apple", "red");
	assert_ok(lsm_put(t->db, S("medium"), (struct lsm_slice){ big, 2000 }, 0));
	assert_ok(lsm_put(t->db, S("with\n\x01"), (struct lsm_slice){ big, 10000 }, 0));
	del(t, "gone");
	assert_ok(lsm_delete_range(t->db, S("m1"), S("m2"), 0));
	assert_ok(lsm_flush(t->db));
	put(t, "logged", "late");
	assert_ok(lsm_put(t->db, S("synced"), S(""), LSM_WRITE_SYNC));
	del(t, "apple");
}

static const char *path_of(struct db_test *t, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", t->store, name);
	return path;
}

/* The slot of the log that holds the newest records. */
static const char *wal_path(struct db_test *t)
{
	static char found[256];

	for (unsigned i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "wal-%04u", i);
		if (path_exists(path_of(t, name)) && !dump(path_of(t, name)) && strstr(said, "logged"))
			snprintf(found, sizeof(found), "%s", path_of(t, name));
	}
	assert_true(found[0]);
	return found;
}

static void check_all(struct db_test *t)
{
	assert_ok(dump(file_largest(t->store, ".sst")));
	says("entries, ");
	says("put \"apple\" = \"red\"");
	says("blob \"medium\" 2000 bytes at blob segment");
	says("blob \"with\\x0a\\x01\" 10000 bytes at blob segment");
	says("data, ");
	assert_ok(dump(file_largest(t->store, ".blob")));
	says("value of 10000 bytes = \"xxxx");
	says("1 values");
	assert_ok(dump(file_largest(t->store, ".manifest")));
	says("add level 0 table");
	says("\"apple\" to ");
	assert_ok(dump(wal_path(t)));
	says("put \"logged\" = \"late\"");
	says("put \"synced\" = \"\"");
	says("delete \"apple\"");
	says("mark: durable below LSN");
	assert_ok(dump(path_of(t, "CURRENT")));
	says("lsm 1 ");
	assert_ok(dump(path_of(t, "OPTIONS")));
	says("blob_min_bytes=1K");
}

static void test_open_and_closed(void **state)
{
	struct db_test *t = *state;
	uint64_t before;

	fill(t);
	check_all(t);
	db_close(t);
	before = dir_checksum(t->store);
	check_all(t);
	assert_int_equal(dir_checksum(t->store), before);
	db_open(t);
	expect(t, "logged", "late");
}

static void test_flags(void **state)
{
	struct db_test *t = *state;
	const char *table, *blob;

	fill(t);
	table = file_largest(t->store, ".sst");
	assert_ok(dump_as(LSM_DUMP_TABLE, table, LSM_DUMP_KEYS));
	says("put \"apple\" 3 bytes");
	assert_null(strstr(said, "red"));
	assert_ok(dump_as(LSM_DUMP_TABLE, table, LSM_DUMP_HEX));
	says("put 6170706c65 = 726564");
	assert_code(dump_as(LSM_DUMP_TABLE, table, 1u << 20), LSM_INVALID);
	blob = file_largest(t->store, ".blob");
	assert_ok(dump_as(LSM_DUMP_BLOB, blob, LSM_DUMP_KEYS));
	assert_null(strstr(said, "xxx"));
	assert_ok(dump_as(LSM_DUMP_BLOB, blob, LSM_DUMP_FULL));
	assert_true(said_n > 10000);
	assert_ok(dump_as(LSM_DUMP_BLOB, blob, 0));
	assert_true(said_n < 1000);
}

static int stop(void *ctx, const char *text)
{
	(void)text;
	return ++*(int *)ctx == 2 ? 77 : 0;
}

static void test_refusals(void **state)
{
	struct db_test *t = *state;
	int lines = 0;

	fill(t);
	assert_code(dump(path_of(t, "none")), LSM_IO);
	assert_code(dump(path_of(t, "LOCK")), LSM_INVALID);
	assert_code(dump_as((enum lsm_dump_kind)99, path_of(t, "CURRENT"), 0), LSM_INVALID);
	assert_int_equal(lsm_dump(LSM_DUMP_ANY, file_largest(t->store, ".sst"), 0, stop, &lines), 77);
	assert_int_equal(lines, 2);
	/* Another kind than it is: no crash, and damage. */
	for (int kind = LSM_DUMP_WAL; kind <= LSM_DUMP_TEXT; kind++) {
		static const char *const suffixes[] = { ".sst", ".blob", ".manifest" };

		for (size_t i = 0; i < 3; i++) {
			int rc = dump_as((enum lsm_dump_kind)kind, file_largest(t->store, suffixes[i]), 0);

			if (kind == LSM_DUMP_TEXT)
				assert_code(rc, LSM_CORRUPT);
		}
	}
	assert_code(dump_as(LSM_DUMP_TABLE, file_largest(t->store, ".manifest"), 0), LSM_CORRUPT);
	assert_code(dump_as(LSM_DUMP_MANIFEST, file_largest(t->store, ".blob"), 0), LSM_CORRUPT);
	assert_code(dump_as(LSM_DUMP_BLOB, file_largest(t->store, ".manifest"), 0), LSM_CORRUPT);
}

/* ---- damage ---- */

/* Each byte of a table is covered by a checksum: each flip is named, and the dump comes to its end. */
static void test_table_each_byte(void **state)
{
	struct db_test *t = *state;
	const char *path;
	uint64_t size;

	fill(t);
	db_close(t);
	path = file_largest(t->store, ".sst");
	size = files_bytes(t->store, ".sst");
	for (uint64_t i = 0; i < size; i++) {
		file_flip(path, i);
		if (dump(path) != LSM_CORRUPT)
			fail_msg("the flipped byte %llu goes unnoticed:%s", (unsigned long long)i, said);
		says("\nDAMAGED at byte ");
		assert_string_equal(lsm_last_error()->file, path);
		file_flip(path, i);
	}
	assert_ok(dump(path));
	for (uint64_t n = size; n-- > 0;) {
		assert_int_equal(truncate(path, (off_t)n), 0);
		assert_code(dump(path), LSM_CORRUPT);
	}
}

/* One damaged block hides its entries only; without its footer a table shows nothing. */
static void test_table_goes_on(void **state)
{
	struct db_test *t = *state;
	const char *path;
	unsigned left;

	without_compression(t);
	db_open(t);
	for (uint64_t i = 0; i < 1000; i++)
		put_bytes(t, key_n(i), i, 100);
	assert_ok(lsm_flush(t->db));
	path = file_largest(t->store, ".sst");
	assert_ok(dump(path));
	assert_int_equal(times(" put \""), 1000);
	file_flip(path, 10000);
	assert_code(dump(path), LSM_CORRUPT);
	left = times(" put \"");
	assert_in_range(left, 900, 999);
	assert_int_equal(times("\nDAMAGED"), 1);
	says("put \"key00000000\"");
	says("put \"key00000999\"");
	file_flip(path, files_bytes(t->store, ".sst") - 90);
	assert_code(dump(path), LSM_CORRUPT);
	assert_int_equal(times(" put \""), 0);
}

/* Each record of a manifest is there twice. */
static void test_manifest(void **state)
{
	struct db_test *t = *state;
	const char *path;
	uint64_t size, noticed = 0;
	unsigned adds, removes;

	fill(t);
	for (int i = 0; i < 3; i++) {
		put(t, "apple", "green");
		assert_ok(lsm_flush(t->db));
	}
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	db_close(t);
	path = file_largest(t->store, ".manifest");
	size = files_bytes(t->store, ".manifest");
	assert_ok(dump(path));
	adds = times("add level");
	removes = times("remove level");
	assert_true(adds >= 4 && removes >= 2);
	for (uint64_t i = 0; i < size; i++) {
		int rc;

		file_flip(path, i);
		rc = dump(path);
		assert_int_equal(times("add level"), adds);
		assert_int_equal(times("remove level"), removes);
		assert_true(rc == LSM_OK || rc == LSM_CORRUPT);
		noticed += rc == LSM_CORRUPT;
		file_flip(path, i);
	}
	/* All but padding and the last copy, which might be a torn append. */
	assert_true(noticed > size / 2);
	/* Both copies of the first record. */
	file_flip(path, 70);
	file_flip(path, 64 + 32 + 6);
	assert_code(dump(path), LSM_CORRUPT);
	says("record 0 is lost");
	assert_int_equal(times("add level"), adds);
}

static void test_blob(void **state)
{
	struct db_test *t = *state;
	const char *path;

	t->options.blob_segment_bytes = 1 << 20;
	db_open(t);
	for (uint64_t i = 0; i < 5; i++)
		put_bytes(t, key_n(i), i, 20000);
	db_close(t);
	path = file_largest(t->store, ".blob");
	assert_ok(dump(path));
	assert_int_equal(times(": value of 20000 bytes"), 5);
	says("5 values");
	file_flip(path, 64 + 25000); /* in the second value */
	assert_code(dump(path), LSM_CORRUPT);
	assert_int_equal(times(": value of 20000 bytes"), 4);
	assert_int_equal(times("\nDAMAGED"), 1);
	file_flip(path, 64 + 8); /* in the header of the first: its size isn't known any more */
	assert_code(dump(path), LSM_CORRUPT);
	assert_int_equal(times(": value of 20000 bytes"), 3);
	assert_int_equal(times("\nDAMAGED"), 2);
	file_flip(path, 3); /* the magic: the name tells */
	assert_code(dump(path), LSM_CORRUPT);
	assert_int_equal(times(": value of 20000 bytes"), 3);
	assert_int_equal(times("\nDAMAGED"), 3);
	assert_int_equal(truncate(path, 64 + 90000), 0); /* in the fifth: an end of which nobody knows what it was */
	assert_code(dump(path), LSM_CORRUPT);
	assert_int_equal(times(": value of 20000 bytes"), 2);
}

/* The offset of the record that holds the text, as the dump says it. */
static uint64_t record_of(const char *text)
{
	const char *p = strstr(said, text);

	assert_non_null(p);
	while (strncmp(p, ": LSN ", 6))
		p--;
	while (*p != '\n')
		p--;
	return strtoull(p + 1, NULL, 10);
}

static void test_wal(void **state)
{
	struct db_test *t = *state;
	uint64_t first, last;
	char path[256];

	fill(t);
	db_close(t);
	snprintf(path, sizeof(path), "%s", wal_path(t));
	assert_ok(dump(path));
	first = record_of("\"logged\"");
	last = record_of("delete \"apple\"");
	file_flip(path, first + 20);
	assert_code(dump(path), LSM_CORRUPT);
	says("no record checks from byte");
	says("delete \"apple\"");
	assert_null(strstr(said, "\"logged\""));
	file_flip(path, first + 20);
	file_flip(path, 10); /* one copy of the header */
	assert_code(dump(path), LSM_CORRUPT);
	says("\"logged\"");
	file_flip(path, 2048 + 10); /* and the other: nothing says where records belong */
	assert_code(dump(path), LSM_CORRUPT);
	assert_null(strstr(said, "\"logged\""));
	file_flip(path, 10);
	file_flip(path, 2048 + 10);
	/* The last records: a torn end. */
	assert_int_equal(truncate(path, (off_t)last + 8), 0);
	assert_code(dump(path), LSM_CORRUPT);
	says("bytes, but");
	assert_null(strstr(said, "delete \"apple\""));
	assert_int_equal(truncate(path, 100), 0);
	assert_ok(dump(path));
	says("cut short");
}

static void test_text_files(void **state)
{
	struct db_test *t = *state;

	fill(t);
	db_close(t);
	file_flip(path_of(t, "CURRENT"), 9);
	assert_code(dump(path_of(t, "CURRENT")), LSM_CORRUPT);
	file_flip(path_of(t, "OPTIONS"), 20);
	assert_code(dump(path_of(t, "OPTIONS")), LSM_CORRUPT);
	assert_int_equal(truncate(path_of(t, "OPTIONS"), 5), 0);
	assert_code(dump(path_of(t, "OPTIONS")), LSM_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open_and_closed, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_flags, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_refusals, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_table_each_byte, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_table_goes_on, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_manifest, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_blob, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_wal, db_setup_closed, db_teardown),
		cmocka_unit_test_setup_teardown(test_text_files, db_setup_closed, db_teardown),
	};
	return cmocka_run_group_tests_name("dump", tests, NULL, NULL);
}
