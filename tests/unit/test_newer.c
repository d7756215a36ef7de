/* SPDX-License-Identifier: MIT */
/* Files of later versions: refused, not called damaged, and left as they are. */
#include "tests/unit/check_fixture.h"

static void refused(struct db_test *t, const char *file, const char *what)
{
	uint64_t before = dir_checksum(t->store);

	assert_code(lsm_open(t->store, &t->options, &t->db), LSM_UNSUPPORTED);
	assert_non_null(strstr(lsm_last_error()->file, file));
	assert_non_null(strstr(lsm_last_error()->message, what));
	assert_int_equal(dir_checksum(t->store), before);
	expect_find_of(t, LSM_UNSUPPORTED, LSM_FIND_DAMAGE, file, what);
}

/* Sets 4 bytes of a common file header, and its checksum. */
static void header_set(const char *path, size_t header_at, size_t at, uint32_t value)
{
	size_t size;
	uint8_t *data = tmp_file_load(path, &size), *h = data + header_at;

	put_u32(h + at, value);
	put_u64(h + 56, hash64(h, 56, 0));
	tmp_file_store(path, data, size);
	free(data);
}

static void test_newer_headers(void **state)
{
	enum { VERSION = 8, COMPATIBLE = 12, INCOMPATIBLE = 16 };
	struct db_test *t = *state;
	char files[3][512];
	uint64_t at;

	snprintf(files[0], sizeof(files[0]), "%s", largest(t, ".manifest"));
	snprintf(files[1], sizeof(files[1]), "%s", largest(t, ".blob"));
	snprintf(files[2], sizeof(files[2]), "%s", log_of(t, &at));
	for (int i = 0; i < 3; i++) {
		header_set(files[i], 0, VERSION, 2);
		refused(t, base_name(files[i]), "format version 2");
		header_set(files[i], 0, VERSION, 1);
		header_set(files[i], 0, INCOMPATIBLE, 4);
		refused(t, base_name(files[i]), "unknown incompatible features 0x4");
		header_set(files[i], 0, INCOMPATIBLE, 0);
		header_set(files[i], 0, COMPATIBLE, 4); /* may be ignored */
		if (i < 2)
			assert_ok(lsm_check(t->store, NULL));
		header_set(files[i], 0, COMPATIBLE, 0);
	}
	assert_ok(lsm_check(t->store, NULL));
	db_open(t);
}

static void test_newer_table(void **state)
{
	enum { COMPATIBLE = 72, INCOMPATIBLE = 76, VERSION = 80 };
	struct db_test *t = *state;

	for (int i = 0; i < 2; i++) {
		struct table_file f;
		uint8_t *p;

		table_load(t, &f);
		p = f.data + f.size - TABLE_FOOTER_BYTES;
		put_u32(p + (i ? VERSION : INCOMPATIBLE), 2);
		put_u32(p + 84, checksum32(p, 84, place_seed(f.number, f.size - TABLE_FOOTER_BYTES)));
		tmp_file_store(f.path, f.data, f.size);
		expect_find_of(t, LSM_UNSUPPORTED, LSM_FIND_DAMAGE, base_name(f.path), base_name(f.path));
		put_u32(p + (i ? VERSION : INCOMPATIBLE), (uint32_t)i);
		put_u32(p + 84, checksum32(p, 84, place_seed(f.number, f.size - TABLE_FOOTER_BYTES)));
		table_store(&f);
		assert_ok(lsm_check(t->store, NULL));
	}
}

static void test_newer_edit(void **state)
{
	struct db_test *t = *state;
	struct log_writer *w = NULL;
	struct buf record = { 0 };

	buf_put_varint(&record, 3);
	buf_put_varint(&record, 1000);
	buf_put_varint(&record, 77); /* a tag that nobody knows */
	buf_put_varint(&record, 1);
	assert_ok(log_writer_open(env_posix(), path_in(t, "999980.manifest"), 999980, &w));
	assert_ok(log_writer_add(w, buf_slice(&record)));
	log_writer_close(w);
	buf_free(&record);
	assert_ok(manifest_set_current(env_posix(), t->store, 999980));
	refused(t, "999980.manifest", "tag 77");
}

static void test_newer_text(void **state)
{
	struct db_test *t = *state;
	char text[128], *space;
	size_t size;
	uint8_t *data = tmp_file_load(path_in(t, "CURRENT"), &size);
	size_t n = (size_t)snprintf(text, sizeof(text), "lsm 2 %.*s", (int)(size - 6), (const char *)data + 6);

	space = strrchr(text, ' ');
	snprintf(space, sizeof(text) - (size_t)(space - text), " %08x\n", checksum32(text, (size_t)(space - text), 0));
	assert_true(n < sizeof(text));
	file_write_text(path_in(t, "CURRENT"), text);
	refused(t, "CURRENT", "version 2");
	tmp_file_store(path_in(t, "CURRENT"), data, size);
	free(data);
	data = tmp_file_load(path_in(t, "OPTIONS"), &size);
	data[strlen("lsm options ")] = '2';
	{
		char *sum = memmem(data, size, "checksum ", 9);

		assert_non_null(sum);
		snprintf(text, sizeof(text), "%08x\n", checksum32(data, (size_t)((uint8_t *)sum - data), 0));
		memcpy(sum + 9, text, 9);
	}
	tmp_file_store(path_in(t, "OPTIONS"), data, size);
	free(data);
	refused(t, "OPTIONS", "2");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_newer_headers),
		T(test_newer_table),
		T(test_newer_edit),
		T(test_newer_text),
	};

	return cmocka_run_group_tests_name("newer", tests, NULL, NULL);
}
