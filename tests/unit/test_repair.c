/* SPDX-License-Identifier: MIT */
/* lsm_repair(): whatever is damaged, the store checks clean afterwards, all that can be read is there, nothing is thrown away. */
#include "tests/unit/check_fixture.h"

/* Every key is right or gone; returns how many are gone. `gone` (may be NULL) gets the last one. */
static unsigned count_gone(struct db_test *t, const char **gone)
{
	static struct want w[KEYS + 32];
	unsigned n = wants(w), missing = 0;

	db_open(t);
	for (unsigned i = 0; i < n; i++) {
		struct lsm_value v = { 0 };
		int rc = lsm_get(t->db, NULL, S(w[i].key), &v);

		if (rc == LSM_NOT_FOUND) {
			missing++;
			if (gone)
				*gone = w[i].key;
		} else {
			uint8_t *want = bytes_new(w[i].seed, w[i].size);

			/* a log that ends earlier has an earlier value */
			for (uint64_t k = 0; k < 50 && !strcmp(w[i].key, "inlog") && memcmp(v.data, want, 500); k++) {
				free(want);
				want = bytes_new(k, 500);
			}
			assert_ok(rc);
			assert_int_equal(v.size, w[i].size);
			assert_memory_equal(v.data, want, v.size);
			free(want);
		}
		lsm_value_release(&v);
	}
	db_close(t);
	return missing;
}

struct told {
	char steps[8][400];
	unsigned n;
};

static int on_step(void *ctx, const char *what)
{
	struct told *t = ctx;

	if (t->n < 8)
		snprintf(t->steps[t->n], sizeof(t->steps[0]), "%s", what);
	t->n++;
	return LSM_OK;
}

static const char *lost_of(struct db_test *t)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/lost", t->dir);
	return path;
}

static bool in_lost(struct db_test *t, const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", lost_of(t), name);
	return path_exists(path);
}

/* The plan names a step like `step`, and changes nothing; the repair leaves a store that checks clean. */
static void repair(struct db_test *t, const char *step)
{
	struct told told = { 0 }, again = { 0 };
	struct lsm_repair_options o = { .lost = lost_of(t), .plan_only = true, .step = on_step, .ctx = &told };
	uint64_t before = dir_checksum(t->store);
	bool found = false;

	assert_ok(lsm_repair(t->store, &o));
	assert_int_equal(dir_checksum(t->store), before);
	assert_false(path_exists(lost_of(t)));
	for (unsigned i = 0; i < told.n && i < 8; i++)
		found |= strstr(told.steps[i], step) != NULL;
	if (!found)
		print_error("no step '%s', but %u others, first '%s'\n", step, told.n, told.steps[0]);
	assert_true(found);
	o.plan_only = false;
	o.ctx = &again;
	assert_ok(lsm_repair(t->store, &o));
	assert_true(again.n >= told.n);
	assert_ok(lsm_check(t->store, NULL));
	/* and there is nothing left to do */
	again.n = 0;
	assert_ok(lsm_repair(t->store, &o));
	assert_int_equal(again.n, 0);
}

static void test_nothing(void **state)
{
	struct db_test *t = *state;
	struct told told = { 0 };
	const struct lsm_repair_options o = { .lost = lost_of(t), .step = on_step, .ctx = &told };
	uint64_t before = dir_checksum(t->store);

	assert_ok(lsm_repair(t->store, &o));
	assert_int_equal(told.n, 0);
	assert_int_equal(dir_checksum(t->store), before);
	assert_false(path_exists(lost_of(t)));
	assert_code(lsm_repair(t->store, NULL), LSM_INVALID);
	assert_code(lsm_repair(t->dir, &o), LSM_NOT_STORE);
}

static void test_current(void **state)
{
	struct db_test *t = *state;

	assert_int_equal(unlink(path_in(t, "CURRENT")), 0);
	repair(t, "new manifest names them");
	assert_int_equal(count_gone(t, NULL), 0);
}

static void test_manifest(void **state)
{
	struct db_test *t = *state;

	assert_int_equal(unlink(largest(t, ".manifest")), 0);
	repair(t, "new manifest names them");
	assert_int_equal(count_gone(t, NULL), 0);
}

/* Old and new versions in tables whose numbers say nothing of their age; deletes of all kinds stay deletes. */
static void test_manifest_of_many_versions(void **state)
{
	struct db_test *t = *state;

	db_open(t);
	assert_ok(lsm_snapshot_delete(t->db, "then"));
	for (uint64_t round = 0; round < 6; round++) {
		for (uint64_t i = 0; i < 300; i++)
			put_bytes(t, key_n(1000 + (i * 7 + round) % 400), 100 + round, 200);
		assert_ok(lsm_delete(t->db, key_n(1000 + round), 0));
		assert_ok(lsm_delete_range(t->db, key_n(1100 + round * 3), key_n(1102 + round * 3), 0));
		assert_ok(lsm_flush(t->db));
		if (round == 3)
			assert_ok(lsm_compact_range(t->db, key_n(1000), key_n(1050)));
	}
	put_bytes(t, key_n(1001), 999, 50); /* in the log */
	db_close(t);
	{
		uint8_t *before[400], *p;
		size_t sizes[400];

		db_open(t);
		for (uint64_t i = 0; i < 400; i++) {
			struct lsm_value v = { 0 };
			int rc = lsm_get(t->db, NULL, key_n(1000 + i), &v);

			before[i] = NULL;
			if (rc == LSM_OK) {
				before[i] = p = malloc(v.size + 1);
				memcpy(p, v.data, v.size);
				sizes[i] = v.size;
			}
			lsm_value_release(&v);
		}
		db_close(t);
		assert_int_equal(unlink(path_in(t, "CURRENT")), 0);
		repair(t, "new manifest names them");
		db_open(t);
		for (uint64_t i = 0; i < 400; i++) {
			struct lsm_value v = { 0 };
			int rc = lsm_get(t->db, NULL, key_n(1000 + i), &v);

			assert_code(rc, before[i] ? LSM_OK : LSM_NOT_FOUND);
			if (before[i]) {
				assert_int_equal(v.size, sizes[i]);
				assert_memory_equal(v.data, before[i], v.size);
			}
			lsm_value_release(&v);
			free(before[i]);
		}
		db_close(t);
	}
	assert_int_equal(count_gone(t, NULL), 0);
}

static void test_block(void **state)
{
	struct db_test *t = *state;
	char name[64];
	unsigned gone;

	snprintf(name, sizeof(name), "%s", base_name(largest(t, ".sst")));
	file_flip(largest(t, ".sst"), 9000);
	repair(t, "becomes a new table");
	gone = count_gone(t, NULL);
	assert_true(gone > 10 && gone < 60); /* the keys of a block */
	assert_true(in_lost(t, name));
	assert_false(path_exists(path_in(t, name)));
}

static void test_table_parts(void **state)
{
	struct db_test *t = *state;
	struct table_file f;

	table_load(t, &f);
	free(f.data);
	file_flip(f.path, f.footer.filter.offset + 1);
	file_flip(f.path, f.footer.props.offset + 1);
	repair(t, "becomes a new table");
	assert_int_equal(count_gone(t, NULL), 0); /* both can be made anew */
}

static void test_table_missing(void **state)
{
	struct db_test *t = *state;

	assert_int_equal(unlink(largest(t, ".sst")), 0);
	repair(t, "becomes a new table");
	assert_int_equal(count_gone(t, NULL), KEYS + 20);
}

/* The value's bytes that can be read go to a file; no older value shows. */
static void test_value(void **state)
{
	struct db_test *t = *state;
	const char *key = NULL;
	char name[200], *at = name;
	uint8_t *kept, *want;
	size_t size;

	db_open(t);
	put_bytes(t, S("deep"), 1, 50);
	assert_ok(lsm_flush(t->db));
	db_close(t);
	file_flip(largest(t, ".blob"), 64 + 16 + 16384 + 4 + 5); /* the second chunk of the first value */
	repair(t, "becomes a new table");
	assert_int_equal(count_gone(t, &key), 1);
	at += sprintf(at, "value-");
	for (size_t i = 0; i < strlen(key); i++)
		at += sprintf(at, "%02x", (unsigned)key[i]);
	sprintf(at, "-%llu", strtoull(key + 3, NULL, 10) + 1);
	assert_true(in_lost(t, name));
	{
		char path[600];

		snprintf(path, sizeof(path), "%s/%s", lost_of(t), name);
		kept = tmp_file_load(path, &size);
	}
	want = bytes_new(strtoull(key + 3, NULL, 10), DIRECT);
	assert_int_equal(size, DIRECT);
	assert_memory_equal(kept, want, 16384);
	memset(want, 0, DIRECT);
	assert_memory_equal(kept + 16384, want, DIRECT - 16384);
	free(kept);
	free(want);
}

/* Only the record's header is damaged: the value is stored anew. */
static void test_value_header(void **state)
{
	struct db_test *t = *state;

	file_flip(largest(t, ".blob"), 64 + 3);
	repair(t, "becomes a new table");
	assert_int_equal(count_gone(t, NULL), 0);
}

static void test_blob_header(void **state)
{
	struct db_test *t = *state;
	char name[64];

	snprintf(name, sizeof(name), "%s", base_name(largest(t, ".blob")));
	file_flip(largest(t, ".blob"), 30);
	repair(t, "gets a new header");
	assert_int_equal(count_gone(t, NULL), 0);
	assert_true(in_lost(t, name));
}

static void test_blob_missing(void **state)
{
	struct db_test *t = *state;

	assert_int_equal(unlink(largest(t, ".blob")), 0);
	repair(t, "becomes a new table");
	assert_int_equal(count_gone(t, NULL), 10); /* the largest segment has the direct ones */
}

/* What stands in front of the damage is there, with what came in the batch before. */
static void test_log(void **state)
{
	struct db_test *t = *state;
	uint64_t at;
	char name[64];
	struct lsm_value v = { 0 };

	snprintf(name, sizeof(name), "%s", base_name(log_of(t, &at)));
	file_flip(path_in(t, name), at + 20 * 528); /* about the twentieth of fifty */
	repair(t, "applied as far as it");
	assert_true(in_lost(t, name));
	db_open(t);
	assert_ok(lsm_get(t->db, NULL, S("inlog"), &v));
	assert_int_equal(v.size, 500);
	for (uint64_t i = 10; i <= 25; i++) {
		uint8_t *want = bytes_new(i, 500);
		bool same = !memcmp(v.data, want, 500);

		free(want);
		if (same)
			break;
		assert_true(i < 25);
	}
	lsm_value_release(&v);
	assert_code(lsm_get(t->db, NULL, S("inlog2"), &v), LSM_NOT_FOUND);
	db_close(t);
}

static void test_log_file(void **state)
{
	struct db_test *t = *state;
	uint64_t at;
	char name[64];

	snprintf(name, sizeof(name), "%s", base_name(log_of(t, &at)));
	assert_int_equal(truncate(path_in(t, name), 20000), 0);
	repair(t, "applied as far as it");
	assert_true(in_lost(t, name));
	assert_true(count_gone(t, NULL) <= 2);
}

static void test_log_headers(void **state)
{
	struct db_test *t = *state;
	uint64_t at;
	char name[64];

	snprintf(name, sizeof(name), "%s", base_name(log_of(t, &at)));
	file_flip(path_in(t, name), 10);
	file_flip(path_in(t, name), 2048 + 10);
	repair(t, "applied as far as it");
	assert_true(in_lost(t, name));
	assert_int_equal(count_gone(t, NULL), 2);
}

/* A durable record of the log refers to a value that is gone. */
static void test_log_value(void **state)
{
	struct db_test *t = *state;
	char path[512] = "";

	for (int i = 0; i < 99; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%06d.blob", i);
		if (path_exists(path_in(t, name)))
			snprintf(path, sizeof(path), "%s", path_in(t, name));
	}
	assert_int_equal(unlink(path), 0);
	repair(t, "applied as far as it");
	assert_true(count_gone(t, NULL) <= 2);
}

/* Where the value of "inlog2" begins. */
static const char *find_value(struct db_test *t, size_t *ret_at)
{
	uint8_t *data, *want = bytes_new(8, DIRECT), *at = NULL;
	const char *path = NULL;
	char name[32];
	size_t size;

	for (int i = 0; i < 99 && !at; i++) {
		snprintf(name, sizeof(name), "%06d.blob", i);
		path = path_in(t, name);
		if (!path_exists(path))
			continue;
		data = tmp_file_load(path, &size);
		at = memmem(data, size, want, 16384);
		*ret_at = at ? (size_t)(at - data) : 0;
		free(data);
	}
	free(want);
	assert_true(at && *ret_at >= 80);
	return path;
}

/* Of its bytes those that can be read are kept; and if only its record's header is damaged, all stay. */
static void test_log_value_in_part(void **state)
{
	struct db_test *t = *state;
	size_t at = 0;
	const char *path = find_value(t, &at);

	file_flip(path, at - 13);
	repair(t, "applied as far as it");
	assert_int_equal(count_gone(t, NULL), 0);
	db_teardown(state);
	setup(state);
	t = *state;
	path = find_value(t, &at);
	file_flip(path, at + 16384 + 4 + 5);
	repair(t, "applied as far as it");
	assert_int_equal(count_gone(t, NULL), 1);
	{
		char hex[64] = "value-", *end = hex + 6;
		unsigned kept = 0;

		for (const char *k = "inlog2"; *k; k++)
			end += sprintf(end, "%02x", (unsigned)*k);
		for (unsigned i = 1; i < 1000; i++) {
			sprintf(end, "-%u", i);
			kept += in_lost(t, hex);
		}
		assert_int_equal(kept, 1);
	}
}

static void test_options(void **state)
{
	struct db_test *t = *state;

	file_flip(path_in(t, "OPTIONS"), 20);
	repair(t, "the options of the store are the defaults");
	assert_true(in_lost(t, "OPTIONS"));
	assert_int_equal(count_gone(t, NULL), 0);
}

/* One copy of a record of the manifest, or of a log segment's header. */
static void test_spare_copies(void **state)
{
	struct db_test *t = *state;
	uint64_t at = 0;

	file_flip(largest(t, ".manifest"), 70);
	repair(t, "gets a new manifest");
	assert_int_equal(count_gone(t, NULL), 0);
	db_open(t);
	put_bytes(t, S("inlog"), 49, 500);
	db_close(t);
	file_flip(log_of(t, &at), 10);
	repair(t, "the log of");
	assert_int_equal(count_gone(t, NULL), 0);
}

/* Everything at once. */
static void test_all(void **state)
{
	struct db_test *t = *state;
	uint64_t at = 0;
	const char *log = log_of(t, &at);

	file_flip(log, at + 20 * 528);
	file_flip(largest(t, ".sst"), 9000);
	file_flip(largest(t, ".blob"), 64 + 16 + 5);
	file_flip(largest(t, ".blob"), 30);
	file_flip(path_in(t, "OPTIONS"), 20);
	assert_int_equal(unlink(path_in(t, "CURRENT")), 0);
	repair(t, "new manifest names them");
	assert_true(count_gone(t, NULL) < 80);
}

static void test_newer(void **state)
{
	struct db_test *t = *state;
	struct lsm_repair_options o = { .lost = lost_of(t) };
	struct table_file f;
	uint64_t before;
	uint8_t *p;

	table_load(t, &f);
	p = f.data + f.size - TABLE_FOOTER_BYTES;
	put_u32(p + 80, 2);
	put_u32(p + 84, checksum32(p, 84, place_seed(f.number, f.size - TABLE_FOOTER_BYTES)));
	table_store(&f);
	file_flip(largest(t, ".blob"), 64 + 16 + 5);
	before = dir_checksum(t->store);
	assert_code(lsm_repair(t->store, &o), LSM_UNSUPPORTED);
	assert_int_equal(dir_checksum(t->store), before);
}

/* Damage of any kind, by a seed. */
static void test_any(void **state)
{
	struct db_test *t = *state;
	struct rng rng = { seed_choose("test_any") };
	static const char *const suffixes[] = { ".sst", ".blob", ".manifest", "" };
	struct lsm_repair_options o = { .lost = lost_of(t) };
	char path[512];

	for (int i = 0; i < 12; i++) {
		uint64_t at, size;
		const char *victim = i % 4 == 3 ? log_of(t, &at) : largest(t, suffixes[i % 4]);

		assert_non_null(victim);
		snprintf(path, sizeof(path), "%s", victim);
		size = i % 4 == 3 ? 30000 : files_bytes(t->store, base_name(path));
		for (int k = 0; k < 3; k++)
			file_flip(path, rng_below(&rng, size));
		assert_ok(lsm_repair(t->store, &o));
		assert_ok(lsm_check(t->store, NULL));
		db_teardown(state);
		setup(state);
		t = *state;
		o.lost = lost_of(t);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_nothing),      T(test_current),      T(test_manifest),      T(test_manifest_of_many_versions),
		T(test_block),        T(test_table_parts),  T(test_table_missing), T(test_value),
		T(test_value_header), T(test_blob_header),  T(test_blob_missing),  T(test_log),
		T(test_log_file),     T(test_log_headers),  T(test_log_value),     T(test_log_value_in_part),
		T(test_options),      T(test_spare_copies), T(test_all),           T(test_newer),
		T(test_any),
	};

	return cmocka_run_group_tests_name("repair", tests, NULL, NULL);
}
