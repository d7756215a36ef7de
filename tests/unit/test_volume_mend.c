/* SPDX-License-Identifier: MIT */
/* volume_mend(): each kind of damage is mended, the check finds nothing any more, and nothing is thrown away. */
#include "fs/schema/coding.h"
#include "fs/volume/check.h"
#include "fs/volume/mend.h"
#include "tests/support/rng.h"
#include "tests/unit/rows_damage.h"

struct seen {
	unsigned steps, kept;
	size_t kept_bytes;
	char first[200], what[100];
	uint8_t last[16]; /* of the value kept last */
};

static int on_step(void *ctx, const char *path, const char *find, const char *mend)
{
	struct seen *s = ctx;

	if (!s->steps++) {
		snprintf(s->first, sizeof(s->first), "%s: %s", path, find);
		snprintf(s->what, sizeof(s->what), "%s", mend);
	}
	return 0;
}

static int on_keep(void *ctx, struct row_key key, struct row_key value)
{
	struct seen *s = ctx;

	assert_true(key.size > 0);
	s->kept++;
	s->kept_bytes += value.size;
	if (value.size)
		memcpy(s->last, value.data, value.size < 16 ? value.size : 16);
	return 0;
}

static int no_find(void *ctx, const struct volume_find *f)
{
	(void)ctx;
	fail_msg("found at %s: %s", f->path, f->what);
	return 0;
}

/* The plan changes nothing; the mending leaves nothing to find. The volume is open again afterwards. */
static struct seen mend(struct fixture *f, const char *first)
{
	const struct volume_check_options check = { .find = no_find };
	struct seen planned = { 0 }, s = { 0 };
	struct volume_mend_options options = { .plan_only = true, .step = on_step, .keep = on_keep, .ctx = &planned };
	struct volume_mended mended;
	struct volume_checked sums;
	uint64_t before;

	assert_int_equal(volume_close(f->v), 0);
	f->v = NULL;
	rows_mem_keep(f->rows);
	before = rows_mem_digest(f->rows);
	assert_int_equal(volume_mend(f->rows, &options, &mended), 0);
	assert_int_equal(rows_mem_digest(f->rows), before);
	assert_true(planned.steps > 0 && mended.finds == planned.steps && planned.kept == 0);
	if (!strstr(planned.first, first))
		print_error("'%s' instead of '%s'\n", planned.first, first);
	assert_non_null(strstr(planned.first, first));
	options.plan_only = false;
	options.ctx = &s;
	rows_mem_keep(f->rows);
	assert_int_equal(volume_mend(f->rows, &options, &mended), 0);
	assert_int_equal(mended.left, 0);
	assert_true(s.steps >= planned.steps);
	assert_int_equal(volume_check(f->rows, &check, &sums), 0);
	fixture_open(f);
	return s;
}

static vol_ino lost_of(struct fixture *f)
{
	vol_ino lost = ino_of(f, VOL_ROOT, "lost+found");

	assert_true(lost != 0);
	return lost;
}

static vol_ino lost_ino(struct fixture *f, vol_ino ino)
{
	char name[64];

	snprintf(name, sizeof(name), "inode-%u-%u", (unsigned)schema_ino_part(ino), schema_ino_sequence(ino));
	return ino_of(f, lost_of(f), name);
}

static void expect_content(struct fixture *f, vol_ino ino, const char *want)
{
	char buf[64];
	size_t size;

	assert_int_equal(volume_read(f->v, ino, 0, buf, sizeof(buf), &size), 0);
	assert_int_equal(size, strlen(want));
	assert_memory_equal(buf, want, size);
}

static void test_clean(void **state)
{
	struct fixture *f = *state;
	struct seen s = { 0 };
	const struct volume_mend_options options = { .step = on_step, .keep = on_keep, .ctx = &s };
	struct volume_mended mended;
	uint64_t before;

	fill(f);
	assert_int_equal(volume_close(f->v), 0);
	before = rows_mem_digest(f->rows);
	rows_mem_keep(f->rows);
	assert_int_equal(volume_mend(f->rows, &options, &mended), 0);
	assert_true(mended.finds == 0 && mended.left == 0 && s.steps == 0);
	assert_int_equal(rows_mem_digest(f->rows), before);
	fixture_open(f);
}

static void test_entries(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct seen s;

	inode_delete(f, t.link);
	s = mend(f, "/a/sym: leads to inode");
	assert_string_equal(s.what, "the entry is removed");
	assert_int_equal(ino_of(f, t.a, "sym"), 0);
	assert_int_equal(attr_of(f, t.a).size, 3);
	entry_set(f, t.a, "fifo", ino_of(f, t.a, "fifo"), S_IFREG, 0);
	mend(f, "/a/fifo: the entry's type");
	entry_set(f, VOL_ROOT, "odd", t.small, S_IFREG, 1);
	mend(f, "/odd: lies where nobody looks");
	assert_int_equal(attr_of(f, t.small).nlink, 2);
	expect_content(f, t.small, "hello");
}

/* The only entry lies where nobody looks: the file is found again. */
static void test_wrong_hash(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	entry_delete(f, VOL_ROOT, "file");
	entry_set(f, VOL_ROOT, "file", t.file, S_IFREG, 1);
	mend(f, "another hash");
	assert_int_equal(lost_ino(f, t.file), t.file);
}

static void test_counts(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	WITH_INODE(f, t.small, i.nlink = 7);
	dir_add(f, t.a, 5, 3);
	WITH_INODE(f, t.big, i.file.allocated_bytes -= 77);
	WITH_INODE(f, t.file, i.xattrs = 9);
	WITH_INODE(f, t.b, i.dir.parent = VOL_ROOT);
	mend(f, "/a");
	assert_int_equal(attr_of(f, t.small).nlink, 2);
	assert_int_equal(attr_of(f, t.a).nlink, 3);
	assert_int_equal(attr_of(f, t.a).size, 4);
	assert_int_equal(attr_of(f, t.big).allocated_bytes, (3 << 20) + 10000);
}

static void test_lost(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	entry_delete(f, t.a, "small");
	entry_delete(f, t.b, "again");
	entry_delete(f, VOL_ROOT, "a"); /* with all that is below */
	mend(f, "");
	assert_int_equal(lost_ino(f, t.small), t.small);
	expect_content(f, t.small, "hello");
	assert_int_equal(attr_of(f, t.small).nlink, 1);
	assert_int_equal(lost_ino(f, t.a), t.a);
	assert_int_equal(ino_of(f, t.a, "b"), t.b);
	assert_int_equal(attr_of(f, lost_of(f)).nlink, 3);
}

static void test_lost_and_found_is_taken(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	make_file(f, VOL_ROOT, "lost+found");
	entry_delete(f, t.a, "sym");
	mend(f, "");
	assert_true(ino_of(f, VOL_ROOT, "lost+found-2") != 0);
}

static void test_cycle(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	entry_delete(f, VOL_ROOT, "a");
	dir_add(f, VOL_ROOT, -1, -1);
	entry_set(f, t.b, "a", t.a, S_IFDIR, 0);
	dir_add(f, t.b, 1, 1);
	WITH_INODE(f, t.a, i.dir.parent = t.b);
	mend(f, "lies in itself");
	assert_true(lost_ino(f, t.a) == t.a || lost_ino(f, t.b) == t.b);
	expect_content(f, t.small, "hello");
}

static void test_two_names_of_a_directory(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	entry_set(f, VOL_ROOT, "b2", t.b, S_IFDIR, 0);
	dir_add(f, VOL_ROOT, 1, 1);
	mend(f, "");
	assert_true((ino_of(f, VOL_ROOT, "b2") == t.b) != (ino_of(f, t.a, "b") == t.b));
}

static void test_root(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	inode_delete(f, VOL_ROOT);
	mend(f, "the root directory is missing");
	assert_int_equal(ino_of(f, VOL_ROOT, "a"), t.a); /* its entries were there yet */
	expect_content(f, t.small, "hello");
}

static void test_counters(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_key key;
	vol_ino dir;

	schema_key_parts(&key);
	rows_mem_delete(f->rows, row_key(&key));
	WITH_INODE(f, t.b, i.dir.birth_next = 1);
	mend(f, "to be given out from");
	dir = make_dir(f, VOL_ROOT, "new");
	assert_true(schema_ino_part(dir) > schema_ino_part(t.b));
	assert_true(make_file(f, t.b, "new") != t.big);
	WITH_INODE(f, t.b, (i.dir.birth_part = schema_ino_part(t.a), i.dir.birth_next = 100));
	mend(f, "as another directory does");
}

/* Rows that mean nothing are kept, byte for byte. */
static void test_strays(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_key key;
	struct seen s;

	rows_mem_put(f->rows, (struct row_key){ "nonsense", 8 }, (struct row_key){ "precious", 8 });
	s = mend(f, "no volume has");
	assert_true(s.kept == 1 && s.kept_bytes == 8 && memcmp(s.last, "precious", 8) == 0);
	for (uint64_t i = 0; i < 40; i++) {
		schema_key_extent(&key, t.big + 50, i * 10);
		rows_mem_put(f->rows, row_key(&key), (struct row_key){ "0123456789", 10 });
	}
	s = mend(f, "which isn't there");
	assert_true(s.kept == 40 && s.kept_bytes == 400);
	schema_key_extent(&key, t.big, 100);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "over", 4 });
	s = mend(f, "/a/b/big");
	assert_true(s.kept >= 1);
	schema_key_orphan(&key, t.file);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "", 0 });
	mend(f, "/file: inode");
	assert_int_equal(ino_of(f, VOL_ROOT, "file"), t.file);
}

static void test_unreadable(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_entry e = { .type = S_IFIFO, .ino = ino_of(f, t.a, "fifo"), .name = "fifo", .name_size = 4 };
	uint8_t bucket[2 * SCHEMA_ENTRY_MAX];
	struct schema_key key;
	struct seen s;
	size_t size;

	schema_key_inode(&key, t.small);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "no inode", 8 });
	s = mend(f, "/a/small: the inode makes no sense");
	assert_true(s.kept == 1 && memcmp(s.last, "no inode", 8) == 0);
	assert_int_equal(ino_of(f, t.a, "small"), 0);
	/* of a row of entries the good ones stay */
	schema_key_bucket(&key, t.a, schema_name_hash("fifo", 4, f->v->super.seed));
	size = schema_entry_encode(&e, bucket);
	memcpy(bucket + size, "\1\377\377", 3);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ bucket, size + 3 });
	s = mend(f, "makes no sense from byte");
	assert_true(s.kept == 1 && s.kept_bytes == size + 3);
	assert_int_equal(ino_of(f, t.a, "fifo"), e.ino);
}

static void test_super(void **state)
{
	struct fixture *f = *state;
	struct seen s = { 0 };
	const struct volume_mend_options options = { .step = on_step, .keep = on_keep, .ctx = &s };
	struct volume_mended mended;
	struct schema_key key;

	fill(f);
	schema_key_super(&key);
	rows_mem_delete(f->rows, row_key(&key));
	rows_mem_keep(f->rows);
	assert_int_equal(volume_mend(f->rows, &options, &mended), -EUCLEAN);
	assert_true(s.steps == 1 && strstr(s.first, "no superblock") != NULL);
}

/* Rows are lost, doubled and changed by a seed: whatever is left is a volume in the end. */
static void test_any(void **state)
{
	struct fixture *f = *state;
	struct rng rng = { seed_choose("test_any") };

	for (int round = 0; round < 40; round++) {
		struct seen s = { 0 };
		const struct volume_mend_options options = { .step = on_step, .keep = on_keep, .ctx = &s };
		const struct volume_check_options check = { .find = no_find };
		struct volume_mended mended = { 0 };
		struct volume_checked sums;
		struct rows_iter *it = NULL;

		fill(f);
		assert_int_equal(f->rows->ops->iter_new(f->rows, (struct row_key){ "\0\0\0\0\0\0\0\1", 8 },
							(struct row_key){ "\377", 1 }, &it),
				 0);
		assert_int_equal(f->rows->ops->iter_seek(it, (struct row_key){ "", 0 }), 0);
		for (; f->rows->ops->iter_valid(it); assert_int_equal(f->rows->ops->iter_next(it), 0)) {
			struct row_key key = f->rows->ops->iter_key(it), value;
			uint8_t copy[4096];

			if (!rng_one_in(&rng, 5))
				continue;
			assert_int_equal(f->rows->ops->iter_value(it, &value), 0);
			if (rng_one_in(&rng, 2) || value.size == 0 || value.size > sizeof(copy)) {
				rows_mem_delete(f->rows, key);
				continue;
			}
			memcpy(copy, value.data, value.size);
			copy[rng_below(&rng, value.size)] ^= (uint8_t)(1u << rng_below(&rng, 8));
			rows_mem_put(f->rows, key, (struct row_key){ copy, value.size });
		}
		f->rows->ops->iter_free(it);
		(void)volume_close(f->v);
		rows_mem_keep(f->rows);
		assert_int_equal(volume_mend(f->rows, &options, &mended), 0);
		assert_int_equal(mended.left, 0);
		assert_int_equal(volume_check(f->rows, &check, &sums), 0);
		fixture_open(f);
		fixture_teardown(state);
		fixture_setup(state);
		f = *state;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_clean),      volume_test(test_entries),
		volume_test(test_wrong_hash), volume_test(test_counts),
		volume_test(test_lost),       volume_test(test_lost_and_found_is_taken),
		volume_test(test_cycle),      volume_test(test_two_names_of_a_directory),
		volume_test(test_root),       volume_test(test_counters),
		volume_test(test_strays),     volume_test(test_unreadable),
		volume_test(test_super),      volume_test(test_any),
	};

	return cmocka_run_group_tests_name("volume_mend", tests, NULL, NULL);
}
