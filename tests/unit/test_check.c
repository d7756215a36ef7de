/* SPDX-License-Identifier: MIT */
/* lsm_check(): each kind of damage is found and named, and a store without damage has none. */
#include "tests/unit/check_fixture.h"

static void test_clean(void **state)
{
	struct db_test *t = *state;
	struct seen s = { 0 };
	uint64_t before = dir_checksum(t->store);

	assert_true(files_count(t->store, ".sst") >= 3 && files_count(t->store, ".blob") >= 2);
	assert_ok(check(t, &s));
	assert_int_equal(s.told, 0);
	assert_true(s.total > 100000 && s.done == s.total);
	assert_int_equal(dir_checksum(t->store), before);
	assert_ok(lsm_check(t->store, NULL));
	assert_code(lsm_check("nowhere", NULL), LSM_NOT_STORE);
	assert_code(lsm_check(t->dir, NULL), LSM_NOT_STORE);
	assert_code(lsm_check("", NULL), LSM_INVALID);
}

static int stop(void *ctx, const struct lsm_find *f)
{
	(void)ctx, (void)f;
	return 77;
}

static int stop_progress(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx, (void)done, (void)total;
	return 78;
}

static void test_stopped(void **state)
{
	struct db_test *t = *state;
	const struct lsm_check_options by_find = { .find = stop }, by_progress = { .progress = stop_progress };

	assert_int_equal(lsm_check(t->store, &by_progress), 78);
	file_flip(largest(t, ".sst"), 3000);
	assert_int_equal(lsm_check(t->store, &by_find), 77);
}

static void test_current(void **state)
{
	struct db_test *t = *state;
	size_t size;
	uint8_t *text = tmp_file_load(path_in(t, "CURRENT"), &size);

	tmp_file_flip(path_in(t, "CURRENT"), 11, 1);
	expect_damage(t, "CURRENT", "checksum is wrong");
	file_write_text(path_in(t, "CURRENT"), "nonsense\n");
	expect_damage(t, "CURRENT", "doesn't say which manifest");
	assert_int_equal(unlink(path_in(t, "CURRENT")), 0);
	expect_damage(t, t->store, "has no file CURRENT");
	/* the tables are looked at nevertheless */
	file_flip(largest(t, ".sst"), 3000);
	expect_damage(t, base_name(largest(t, ".sst")), "checksum");
	tmp_file_store(path_in(t, "CURRENT"), text, size);
	free(text);
	expect_damage(t, base_name(largest(t, ".sst")), "checksum");
}

/* A power cut may tear either copy of a record that was not synced yet: the other one counts. */
static void test_manifest_torn(void **state)
{
	struct db_test *t = *state;
	char manifest[512];
	uint64_t before;

	db_open(t);
	before = files_bytes(t->store, ".manifest");
	assert_ok(lsm_snapshot_create(t->db, "a name"));
	db_close(t);
	snprintf(manifest, sizeof(manifest), "%s", largest(t, ".manifest"));
	assert_true(files_bytes(t->store, ".manifest") > before);
	file_flip(manifest, before + 10);
	expect_find_of(t, LSM_OK, LSM_FIND_INFO, ".manifest", "is there once");
	file_flip(manifest, before + 10);
	/* Not of the first record, which was synced before CURRENT named the file. */
	file_flip(manifest, 70);
	expect_damage(t, ".manifest", "are damaged");
	file_flip(manifest, 70);
}

static void test_manifest(void **state)
{
	struct db_test *t = *state;
	char manifest[512];
	uint64_t size;
	struct seen s;

	snprintf(manifest, sizeof(manifest), "%s", largest(t, ".manifest"));
	size = files_bytes(t->store, ".manifest");
	file_flip(manifest, 70);
	s = expect_damage(t, ".manifest", "are damaged");
	assert_int_equal(s.offset, 64);
	assert_int_equal(s.damaged, 1); /* it can be read nevertheless */
	file_flip(manifest, 70);
	file_flip(manifest, size - 20); /* the last record's second copy: may be an append that was cut short */
	expect_find_of(t, LSM_OK, LSM_FIND_INFO, ".manifest", "followed by");
	file_flip(manifest, size - 20);
	for (uint64_t i = 64; i < size / 2; i++)
		file_flip(manifest, i);
	expect_damage(t, ".manifest", "is damaged (record");
	for (uint64_t i = 64; i < size / 2; i++)
		file_flip(manifest, i);
	file_flip(manifest, 20);
	expect_damage(t, ".manifest", "checksum of the header");
	file_flip(manifest, 20);
	assert_int_equal(truncate(manifest, 64), 0);
	expect_damage(t, ".manifest", "holds no edit");
	assert_int_equal(unlink(manifest), 0);
	expect_damage(t, ".manifest", "No such file");
}

static void test_table_block(void **state)
{
	struct db_test *t = *state;
	char file[512];
	struct seen s;
	unsigned bad = 0;

	snprintf(file, sizeof(file), "%s", largest(t, ".sst"));
	file_flip(file, 9000);
	s = expect_damage(t, base_name(file), "checksum");
	assert_true(s.offset <= 9000 && s.offset > 9000 - 4200);
	assert_true(s.begin[0] && strcmp(s.begin, s.end) < 0);
	db_open(t);
	for (uint64_t i = 0; i < KEYS; i++) {
		struct lsm_value v = { 0 };
		char key[64];

		if (lsm_get(t->db, NULL, key_n(i), &v) == LSM_CORRUPT) {
			snprintf(key, sizeof(key), "key%08llu", (unsigned long long)i);
			assert_true(strcmp(s.begin, key) <= 0 && strcmp(key, s.end) < 0);
			bad++;
		}
		lsm_value_release(&v);
	}
	assert_true(bad > 10 && bad < 60);
}

static void test_table_parts(void **state)
{
	struct db_test *t = *state;
	struct table_file f;
	struct block_handle parts[4];

	table_load(t, &f);
	parts[0] = f.footer.top;
	parts[1] = f.footer.filter;
	parts[2] = f.footer.props;
	free(f.data);
	for (int i = 0; i < 3; i++) {
		struct seen s;

		assert_true(parts[i].size > 0);
		file_flip(f.path, parts[i].offset + 1);
		s = expect_damage(t, base_name(f.path), "checksum");
		assert_int_equal(s.offset, parts[i].offset);
		file_flip(f.path, parts[i].offset + 1);
	}
	file_flip(f.path, f.size - 90);
	expect_damage(t, base_name(f.path), "footer");
	file_flip(f.path, f.size - 90);
	assert_int_equal(truncate(f.path, (off_t)f.size - 1), 0);
	expect_damage(t, base_name(f.path), base_name(f.path));
	assert_int_equal(truncate(f.path, 10), 0);
	expect_damage(t, base_name(f.path), "too short for a table");
	assert_int_equal(unlink(f.path), 0);
	expect_damage(t, base_name(f.path), "No such file");
}

static void test_filter_denies(void **state)
{
	struct db_test *t = *state;
	struct table_file f;

	table_load(t, &f);
	memset(f.data + f.footer.filter.offset, 0, 64);
	table_reseal(&f, f.footer.filter);
	table_store(&f);
	expect_damage(t, base_name(f.path), "denies a key");
}

static void test_props_differ(void **state)
{
	struct db_test *t = *state;
	struct table_props p;
	struct table_file f;
	struct buf raw = { 0 };

	table_load(t, &f);
	assert_ok(table_props_decode(slice_of(f.data + f.footer.props.offset, f.footer.props.size), f.path, 0, &p));
	p.deletes++;
	assert_ok(table_props_encode(&raw, &p));
	assert_int_equal(raw.size, f.footer.props.size);
	memcpy(f.data + f.footer.props.offset, raw.data, raw.size);
	table_reseal(&f, f.footer.props);
	table_store(&f);
	expect_damage(t, base_name(f.path), "the properties count other entries");
	expect_damage(t, base_name(f.path), "the manifest counts other entries");
	buf_free(&raw);
	table_props_free(&p);
}

static void test_bounds_differ(void **state)
{
	struct db_test *t = *state;
	struct table_props p;
	struct table_file f;
	struct buf raw = { 0 };

	table_load(t, &f);
	assert_ok(table_props_decode(slice_of(f.data + f.footer.props.offset, f.footer.props.size), f.path, 0, &p));
	p.largest.data[0]++;
	if (p.blob_refs_n)
		p.blob_refs[0].bytes ^= 1;
	p.sequence_max ^= 1;
	assert_ok(table_props_encode(&raw, &p));
	assert_int_equal(raw.size, f.footer.props.size);
	memcpy(f.data + f.footer.props.offset, raw.data, raw.size);
	table_reseal(&f, f.footer.props);
	table_store(&f);
	expect_damage(t, base_name(f.path), "the properties have other bounds");
	expect_damage(t, base_name(f.path), "the properties have other sequence numbers");
	expect_damage(t, base_name(f.path), "the properties count other references");
	expect_damage(t, base_name(f.path), "the manifest has other bounds");
	expect_damage(t, base_name(f.path), "the manifest has other sequence numbers");
	expect_damage(t, base_name(f.path), "the manifest counts other references");
	buf_free(&raw);
	table_props_free(&p);
}

/* The first entry whose key stands there whole gets another one, and with it those that share its beginning. */
static void test_order(void **state)
{
	struct db_test *t = *state;
	struct table_file f;
	uint8_t *at;

	table_load(t, &f);
	at = memmem(f.data, 4096, "key", 3);
	assert_non_null(at);
	*at = 'z';
	/* the first block's size is what the first handle of the first index partition says: its tail is found by trial */
	for (uint64_t size = 1000;; size++) {
		struct block_handle h = { 0, size };
		enum lsm_compression how;

		assert_true(size < 5000);
		*at = 'k';
		if (stored_block_check(f.data, size, place_seed(f.number, 0), f.path, 0, &how))
			continue;
		*at = 'z';
		table_reseal(&f, h);
		break;
	}
	table_store(&f);
	expect_damage(t, base_name(f.path), "is not behind the one before");
}

/* ---- manifests that say something else ---- */

static void manifest_replace(struct db_test *t, void (*change)(struct manifest_state *s))
{
	struct tree tree = { .env = env_posix(), .dir = t->store, .read_only = true };
	struct manifest_state s;
	char path[STORE_PATH_MAX];

	assert_ok(manifest_load(&tree, &s));
	change(&s);
	store_file_path(path, t->store, STORE_MANIFEST, 999990);
	assert_ok(manifest_write(env_posix(), path, 999990, &s));
	assert_ok(manifest_set_current(env_posix(), t->store, 999990));
	manifest_state_done(&s);
}

/* The table that compact_range() has made. */
static struct table_meta *deepest(struct manifest_state *s)
{
	for (unsigned l = LSM_LEVELS; l-- > 0;)
		if (s->version->levels[l].n)
			return s->version->levels[l].tables[0];
	fail();
	return NULL;
}

static void forget_sequence(struct manifest_state *s)
{
	s->last_sequence = 1;
}

static void other_size(struct manifest_state *s)
{
	deepest(s)->props.file_bytes++;
}

/* A table that begins before the one in front of it ends, in a level where that must not be. */
static void overlap(struct manifest_state *s)
{
	struct level *to = &s->version->levels[5];

	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		struct level *from = &s->version->levels[l];

		for (size_t i = 0; from != to && i < from->n; i++) {
			to->tables = realloc(to->tables, (to->n + 1) * sizeof(*to->tables));
			to->tables[to->n++] = from->tables[i];
			buf_clear(&from->tables[i]->props.smallest);
			buf_put_ikey(&from->tables[i]->props.smallest, key_n(i), trailer_of(9, ENTRY_PUT));
		}
		from->n = from == to ? from->n : 0;
	}
}

static void test_manifest_differs(void **state)
{
	struct db_test *t = *state;

	manifest_replace(t, forget_sequence);
	expect_damage(t, ".sst", "later sequence numbers than the manifest");
	manifest_replace(t, other_size);
	expect_damage(t, ".sst", "another size than the manifest says");
	manifest_replace(t, overlap);
	expect_damage(t, "999990.manifest", "overlap");
}

/* ---- large values ---- */

static void test_blob(void **state)
{
	struct db_test *t = *state;
	char file[512];
	struct seen s;

	snprintf(file, sizeof(file), "%s", largest(t, ".blob"));
	file_flip(file, 64 + 16 + 100);
	s = expect_damage(t, base_name(file), "are damaged (chunk 0");
	assert_int_equal(s.offset, 64 + 16);
	assert_true(!strncmp(s.begin, "key", 3) && !s.end[0]);
	file_flip(file, 64 + 16 + 100);
	file_flip(file, 64 + 3); /* the record's header */
	s = expect_damage(t, base_name(file), base_name(file));
	assert_true(!strncmp(s.begin, "key", 3));
	file_flip(file, 64 + 3);
	file_flip(file, 30);
	expect_damage(t, base_name(file), "header");
	file_flip(file, 30);
	assert_int_equal(truncate(file, 64 + 1000), 0);
	expect_damage(t, base_name(file), "inside a value");
	assert_int_equal(unlink(file), 0);
	s = expect_damage(t, base_name(file), "No such file");
}

/* What no key refers to any more is nobody's loss. */
static void test_blob_garbage(void **state)
{
	struct db_test *t = *state;
	char file[512];

	db_open(t);
	assert_ok(lsm_snapshot_delete(t->db, "then"));
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	put_bytes(t, S("g1"), 1, DIRECT);
	put_bytes(t, S("g2"), 2, DIRECT);
	put_bytes(t, S("g1"), 3, DIRECT);
	assert_ok(lsm_flush(t->db));
	snprintf(file, sizeof(file), "%s", t->store);
	db_close(t);
	for (int i = 0; i < 99; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%06d.blob", i);
		if (path_exists(path_in(t, name)))
			snprintf(file, sizeof(file), "%s", path_in(t, name));
	}
	file_flip(file, 64 + 16 + 5); /* the first g1 */
	expect_find_of(t, LSM_OK, LSM_FIND_INFO, ".blob", "no key refers to it");
}

/* ---- the log ---- */

static void test_log(void **state)
{
	struct db_test *t = *state;
	uint64_t at;
	char file[512];

	snprintf(file, sizeof(file), "%s", log_of(t, &at));
	file_flip(file, at);
	expect_damage(t, base_name(file), "the log is damaged at byte");
	file_flip(file, at);
	file_flip(file, 10);
	expect_damage(t, base_name(file), "one of the two copies of the header");
	file_flip(file, 2048 + 10);
	expect_damage(t, base_name(file), "checksum of the header");
	file_flip(file, 10);
	file_flip(file, 2048 + 10);
	assert_int_equal(truncate(file, 5000), 0);
	expect_damage(t, base_name(file), "by its header");
	assert_int_equal(unlink(file), 0);
	/* With its only segment the log is gone, marks and all: nothing can tell. */
	assert_true(check(t, &(struct seen){ 0 }) != LSM_BUSY);
}

/* A large value that a durable record refers to. */
/* The blob segment that was made last. */
static void blob_newest(struct db_test *t, char ret[512])
{
	for (int i = 0; i < 99; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%06d.blob", i);
		if (path_exists(path_in(t, name)))
			snprintf(ret, 512, "%s", path_in(t, name));
	}
}

static void test_log_pointer(void **state)
{
	struct db_test *t = *state;
	char file[512] = "";
	struct seen s;

	blob_newest(t, file);
	assert_int_equal(unlink(file), 0);
	s = expect_damage(t, base_name(file), "No such file");
	s = (struct seen){ 0 };
	assert_code(check(t, &s), LSM_CORRUPT);
}

/* What a power cut may leave: a record whose large value is lost, with its file's header, or its file. There the log ends. */
static void test_log_pointer_lost(void **state)
{
	struct db_test *t = *state;
	char file[512] = "";
	struct seen s = { 0 };
	pid_t child = fork();

	if (!child) {
		db_open(t);
		put_bytes(t, S("lost"), 9, DIRECT);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	blob_newest(t, file);
	file_flip(file, 0);
	assert_ok(check(t, &s));
	s = (struct seen){ 0 };
	assert_int_equal(unlink(file), 0);
	assert_ok(check(t, &s));
	assert_int_equal(s.damaged, 0);
	db_open(t);
	expect(t, "lost", NULL);
	db_close(t);
}

/* A crash while the store is made leaves everything but CURRENT: there is nothing yet that could be damaged. */
static void test_half_made(void **state)
{
	struct db_test *t = *state;
	struct db_test made = *t;
	char current[600];

	snprintf(made.store, sizeof(made.store), "%s/half", t->dir);
	db_open(&made);
	db_close(&made);
	snprintf(current, sizeof(current), "%s/CURRENT", made.store);
	assert_int_equal(unlink(current), 0);
	assert_code(lsm_check(made.store, NULL), LSM_NOT_STORE);
	/* With something in the log it is another matter. */
	db_open(&made);
	put(&made, "a", "1");
	db_close(&made);
	assert_int_equal(unlink(current), 0);
	assert_code(lsm_check(made.store, NULL), LSM_CORRUPT);
}

/* A torn tail is none. */
static void test_log_torn(void **state)
{
	struct db_test *t = *state;
	struct seen s = { 0 };
	uint64_t at = 0;
	pid_t child = fork();

	if (!child) {
		db_open(t);
		for (uint64_t i = 0; i < 30; i++)
			put_bytes(t, S("torn"), i, 500);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	assert_ok(check(t, &s));
	s = (struct seen){ 0 };
	{
		char file[512] = "";

		for (unsigned i = 0; i < 20 && !file[0]; i++) {
			char name[32];
			uint8_t *data, *p;
			size_t size;

			snprintf(name, sizeof(name), "wal-%04u", i);
			if (!path_exists(path_in(t, name)))
				continue;
			data = tmp_file_load(path_in(t, name), &size);
			p = memmem(data, size, "torn", 4);
			if (p) {
				at = (uint64_t)(p - data);
				snprintf(file, sizeof(file), "%s", path_in(t, name));
			}
			free(data);
		}
		assert_true(file[0]);
		file_flip(file, at);
	}
	assert_ok(check(t, &s));
}

/* ---- other files ---- */

static void test_options(void **state)
{
	struct db_test *t = *state;

	file_flip(path_in(t, "OPTIONS"), 20);
	expect_damage(t, "OPTIONS", "checksum");
}

static void test_strays(void **state)
{
	struct db_test *t = *state;

	file_write_text(path_in(t, "900001.sst"), "x");
	expect_find_of(t, LSM_OK, LSM_FIND_INFO, "900001.sst", "nothing refers to");
	file_write_text(path_in(t, "900002.blob"), "x");
	expect_find_of(t, LSM_OK, LSM_FIND_INFO, "900002.blob", "nothing refers to");
	file_write_text(path_in(t, "900003.manifest"), "x");
	expect_find_of(t, LSM_OK, LSM_FIND_INFO, "900003.manifest", "nothing refers to");
	file_write_text(path_in(t, "CURRENT.tmp"), "x");
	expect_find_of(t, LSM_OK, LSM_FIND_INFO, "CURRENT.tmp", "left over");
	file_write_text(path_in(t, "holiday.jpg"), "x");
	expect_find_of(t, LSM_OK, LSM_FIND_INFO, "holiday.jpg", "no file of a store");
}

static void test_busy(void **state)
{
	struct db_test *t = *state;
	int to[2], from[2], status;
	pid_t child;
	char c;

	assert_int_equal(pipe(to) | pipe(from), 0);
	child = fork();
	if (!child) {
		db_open(t);
		(void)!write(from[1], "x", 1);
		(void)!read(to[0], &c, 1);
		_exit(0);
	}
	assert_int_equal(read(from[0], &c, 1), 1);
	assert_code(lsm_check(t->store, NULL), LSM_BUSY);
	assert_int_equal(write(to[1], "x", 1), 1);
	waitpid(child, &status, 0);
	assert_ok(lsm_check(t->store, NULL));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, db_teardown)
	const struct CMUnitTest tests[] = {
		T(test_clean),
		T(test_stopped),
		T(test_current),
		T(test_manifest),
		T(test_manifest_torn),
		T(test_table_block),
		T(test_table_parts),
		T(test_filter_denies),
		T(test_props_differ),
		T(test_bounds_differ),
		T(test_order),
		T(test_manifest_differs),
		T(test_blob),
		T(test_blob_garbage),
		T(test_log),
		T(test_log_pointer),
		T(test_log_pointer_lost),
		T(test_half_made),
		T(test_log_torn),
		T(test_options),
		T(test_strays),
		T(test_busy),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
