/* SPDX-License-Identifier: MIT */
/* opening, the superblock, numbers, orphans across opens, failing commits, read-only */
#include <fcntl.h>
#include <linux/fs.h>

#include "tests/support/volume_fixture.h"

static int try_open(struct rows *rows, bool create, bool read_only)
{
	struct volume_options options = { .create = create, .read_only = read_only };
	struct volume *v;
	int r;

	rows_mem_keep(rows);
	r = volume_open(rows, &options, &v);
	if (r == 0)
		assert_int_equal(volume_close(v), 0);
	return r;
}

static void test_open(void **state)
{
	struct rows *rows = rows_mem_new();
	struct volume_options options = { .create = true, .root_mode = 01777, .root_uid = 5, .root_gid = 6 };
	struct vol_attr root;
	struct volume *v;
	uint64_t digest;

	(void)state;
	assert_int_equal(try_open(rows, false, false), -ENOENT);
	assert_int_equal(try_open(rows, true, true), -ENOENT);
	assert_int_equal(rows_mem_commits(rows), 0);
	rows_mem_keep(rows);
	assert_int_equal(volume_open(rows, &options, &v), 0);
	assert_int_equal(volume_getattr(v, VOL_ROOT, &root), 0);
	assert_int_equal(root.mode, S_IFDIR | 01777);
	assert_int_equal(root.uid, 5);
	assert_int_equal(root.gid, 6);
	assert_int_equal(volume_close(v), 0);
	digest = rows_mem_digest(rows);
	assert_int_equal(try_open(rows, true, false), 0); /* not made anew */
	assert_int_equal(try_open(rows, false, true), 0);
	assert_int_equal(rows_mem_digest(rows), digest);
	assert_int_equal(volume_close(NULL), 0);
	rows->ops->close(rows);
}

static void test_not_a_volume(void **state)
{
	struct rows *rows = rows_mem_new();

	(void)state;
	rows_mem_put(rows, (struct row_key){ "key", 3 }, (struct row_key){ "value", 5 });
	assert_int_equal(try_open(rows, false, false), -ENOENT);
	assert_int_equal(try_open(rows, true, false), -EUCLEAN);
	assert_int_equal(rows_mem_commits(rows), 0);
	rows->ops->close(rows);
}

static void put_super(struct fixture *f, uint64_t incompat, uint64_t ro)
{
	struct schema_super super = { .version = SCHEMA_VERSION, .features_incompat = incompat, .features_ro = ro };
	uint8_t buf[SCHEMA_SUPER_SIZE];
	struct schema_key key;

	schema_super_encode(&super, buf);
	schema_key_super(&key);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ buf, sizeof(buf) });
}

static void test_features(void **state)
{
	struct fixture *f = *state;
	uint64_t digest;

	put_super(f, 1u << 5, 0);
	digest = rows_mem_digest(f->rows);
	assert_int_equal(try_open(f->rows, true, false), -EUCLEAN);
	assert_int_equal(try_open(f->rows, true, true), -EUCLEAN);
	put_super(f, 0, 1);
	assert_int_equal(try_open(f->rows, true, false), -EROFS);
	assert_int_equal(try_open(f->rows, true, true), 0);
	put_super(f, 1u << 5, 0);
	assert_int_equal(rows_mem_digest(f->rows), digest);
}

static void test_damaged_rows(void **state)
{
	struct fixture *f = *state;
	struct schema_key key;

	schema_key_inode(&key, VOL_ROOT);
	rows_mem_delete(f->rows, row_key(&key));
	assert_int_equal(try_open(f->rows, true, false), -EUCLEAN);
	schema_key_parts(&key);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "", 0 });
	assert_int_equal(try_open(f->rows, true, false), -EUCLEAN);
	rows_mem_delete(f->rows, row_key(&key));
	assert_int_equal(try_open(f->rows, true, false), -EUCLEAN);
	schema_key_super(&key);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "LSMFSVOL", 8 });
	assert_int_equal(try_open(f->rows, true, false), -EUCLEAN);
}

static void test_numbers_are_never_reused(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir"), file = make_file(f, VOL_ROOT, "file"), last = dir;
	struct vol_gone gone;
	char name[16];

	assert_int_equal(volume_rmdir(f->v, VOL_ROOT, "dir", &gone), 0);
	assert_int_equal(volume_reclaim(f->v, dir), 0);
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, "file", &gone), 0);
	assert_int_equal(volume_reclaim(f->v, file), 0);
	for (unsigned i = 0; i < 2500; i++) { /* past two reserves */
		vol_ino ino;

		snprintf(name, sizeof(name), "%u", i);
		ino = make_dir(f, VOL_ROOT, name);
		assert_true(ino > last);
		last = ino;
		if (i % 1000 == 0)
			fixture_reopen(f);
	}
	assert_true(make_file(f, VOL_ROOT, "file") > file);
}

/* An inode keeps its generation; what is made after another opening has another. */
static void test_generations(void **state)
{
	struct fixture *f = *state;
	vol_ino a = make_file(f, VOL_ROOT, "a"), d = make_dir(f, VOL_ROOT, "d");
	uint32_t first = attr_of(f, a).generation, second;

	assert_int_not_equal(first, 0);
	assert_int_equal(attr_of(f, d).generation, first);
	fixture_reopen(f);
	second = attr_of(f, make_file(f, VOL_ROOT, "b")).generation;
	assert_int_not_equal(second, first);
	assert_int_equal(attr_of(f, a).generation, first);
	assert_int_equal(attr_of(f, VOL_ROOT).generation, 1);
}

static void test_mkdir_reserves(void **state)
{
	struct fixture *f = *state;
	uint64_t commits;

	make_dir(f, VOL_ROOT, "first");
	commits = rows_mem_commits(f->rows);
	make_dir(f, VOL_ROOT, "second");
	assert_int_equal(rows_mem_commits(f->rows) - commits, 1); /* the counter is not written each time */
}

/* After 16M births a directory goes on in a further part. */
static void test_further_part(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir"), last, next, sub;
	uint8_t buf[SCHEMA_INODE_MAX];
	struct schema_key key;
	struct node node;

	assert_int_equal(node_load(f->v, dir, &node), 0);
	node.i.dir.birth_next = SCHEMA_SEQUENCE_END - 1;
	schema_key_inode(&key, dir);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ buf, schema_inode_encode(&node.i, buf) });
	node_done(&node);
	last = make_file(f, dir, "last");
	assert_int_equal(last, dir + SCHEMA_SEQUENCE_END - 1);
	next = make_file(f, dir, "next");
	assert_int_equal(schema_ino_sequence(next), 1);
	assert_true(schema_ino_part(next) > schema_ino_part(dir));
	sub = make_dir(f, dir, "sub");
	assert_true(schema_ino_part(sub) > schema_ino_part(next));
	assert_int_equal(volume_write(f->v, last, 0, "last", 4, 0), 0);
	assert_int_equal(volume_write(f->v, last, 10000, "last", 4, 0), 0);
	assert_int_equal(volume_write(f->v, next, 10000, "next", 4, 0), 0);
	fixture_reopen(f);
	assert_int_equal(ino_of(f, dir, "next"), next);
	assert_int_equal(attr_of(f, last).size, 10004);
	assert_int_equal(make_file(f, dir, "more"), next + 1);
}

/* A file that was moved away keeps its rows in the part of the directory it was born in, also when that is removed. */
static void test_birthplace_removed(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir"), file = make_file(f, dir, "file");
	uint8_t page[4096] = { 1 }, got[4096];
	struct vol_gone gone;
	size_t size;

	assert_int_equal(volume_write(f->v, file, 0, page, sizeof(page), 0), 0);
	assert_int_equal(volume_rename(f->v, dir, "file", VOL_ROOT, "file", 0, &gone), 0);
	assert_int_equal(volume_rmdir(f->v, VOL_ROOT, "dir", &gone), 0);
	assert_int_equal(volume_reclaim(f->v, gone.ino), 0);
	assert_int_equal(volume_read(f->v, file, 0, got, sizeof(got), &size), 0);
	assert_memory_equal(got, page, sizeof(page));
}

/* As after a crash: nobody reclaimed anything. */
static void test_orphans_at_open(void **state)
{
	struct fixture *f = *state;
	uint8_t page[4096] = { 1 };
	size_t rows = row_count(f);
	struct vol_gone gone;
	struct vol_attr attr;
	char name[16];
	vol_ino ino;

	for (unsigned i = 0; i < 600; i++) { /* more than one chunk */
		snprintf(name, sizeof(name), "%u", i);
		ino = i % 7 == 0 ? make_dir(f, VOL_ROOT, name) : make_file(f, VOL_ROOT, name);
		if (i % 7 != 0)
			assert_int_equal(volume_write(f->v, ino, 0, page, i % 2 ? 10 : sizeof(page), 0), 0);
		assert_int_equal(volume_setxattr(f->v, ino, "user.a", "b", 1, 0), 0);
	}
	for (unsigned i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal((i % 7 == 0 ? volume_rmdir : volume_unlink)(f->v, VOL_ROOT, name, &gone), 0);
	}
	assert_int_equal(volume_tmpfile(f->v, VOL_ROOT, 0600, &fixture_cred, &attr), 0);
	assert_true(row_count(f) > rows + 600);
	assert_int_equal(try_open(f->rows, false, true), 0); /* read-only: they stay */
	assert_true(row_count(f) > rows + 600);
	fixture_reopen(f);
	assert_int_equal(row_count(f), rows);
}

/* An orphan that can't be freed doesn't keep the volume from being opened, and is tried again. */
static void test_orphan_that_fails(void **state)
{
	struct fixture *f = *state;
	size_t rows = row_count(f);
	struct vol_gone gone;

	make_file(f, VOL_ROOT, "a");
	make_file(f, VOL_ROOT, "b");
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, "a", &gone), 0);
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, "b", &gone), 0);
	rows_mem_fail_commit(f->rows, 1, -ENOSPC);
	fixture_reopen(f);
	assert_int_equal(row_count(f), rows + 2);
	fixture_reopen(f);
	assert_int_equal(row_count(f), rows);
}

/* ---- every change is one batch: if it fails, nothing is changed; if it is refused, too ---- */

struct tree {
	struct fixture *f;
	vol_ino dir, file, big, dir2;
};

static int do_create(struct tree *t)
{
	struct vol_attr attr;

	return volume_mknod(t->f->v, t->dir, "new", S_IFREG | 0600, 0, &fixture_cred, &attr);
}

static int do_mkdir(struct tree *t)
{
	struct vol_attr attr;

	return volume_mkdir(t->f->v, t->dir, "new", 0700, &fixture_cred, &attr);
}

static int do_symlink(struct tree *t)
{
	struct vol_attr attr;

	return volume_symlink(t->f->v, t->dir, "new", "target", &fixture_cred, &attr);
}

static int do_tmpfile(struct tree *t)
{
	struct vol_attr attr;

	return volume_tmpfile(t->f->v, t->dir, 0600, &fixture_cred, &attr);
}

static int do_link(struct tree *t)
{
	struct vol_attr attr;

	return volume_link(t->f->v, t->file, t->dir, "new", &attr);
}

static int do_unlink(struct tree *t)
{
	struct vol_gone gone;

	return volume_unlink(t->f->v, t->dir, "file", &gone);
}

static int do_rmdir(struct tree *t)
{
	struct vol_gone gone;

	return volume_rmdir(t->f->v, t->dir, "dir2", &gone);
}

static int do_rename(struct tree *t)
{
	struct vol_gone gone;

	return volume_rename(t->f->v, t->dir, "file", VOL_ROOT, "big", 0, &gone);
}

static int do_exchange(struct tree *t)
{
	struct vol_gone gone;

	return volume_rename(t->f->v, t->dir, "dir2", VOL_ROOT, "big", RENAME_EXCHANGE, &gone);
}

static int do_write(struct tree *t)
{
	return volume_write(t->f->v, t->file, 0, "x", 1, 0);
}

static int do_write_big(struct tree *t)
{
	return volume_write(t->f->v, t->big, 5000, "x", 1, 0);
}

static int do_truncate(struct tree *t)
{
	struct vol_attr attr = { .size = 5000 };

	return volume_setattr(t->f->v, t->big, &attr, VOL_SET_SIZE, &attr);
}

static int do_fallocate(struct tree *t)
{
	return volume_fallocate(t->f->v, t->big, FALLOC_FL_ZERO_RANGE, 5000, 100000);
}

static int do_setxattr(struct tree *t)
{
	return volume_setxattr(t->f->v, t->file, "user.b", "c", 1, 0);
}

static int do_removexattr(struct tree *t)
{
	return volume_removexattr(t->f->v, t->file, "user.a");
}

static int (*const changes[])(struct tree *) = {
	do_create,   do_mkdir, do_symlink,   do_tmpfile,  do_link,      do_unlink,   do_rmdir,       do_rename,
	do_exchange, do_write, do_write_big, do_truncate, do_fallocate, do_setxattr, do_removexattr,
};
#define CHANGES (sizeof(changes) / sizeof(changes[0]))

static void make_tree(struct fixture *f, struct tree *t)
{
	uint8_t page[8192] = { 1 };

	t->f = f;
	t->dir = make_dir(f, VOL_ROOT, "dir");
	t->dir2 = make_dir(f, t->dir, "dir2");
	t->file = make_file(f, t->dir, "file");
	t->big = make_file(f, VOL_ROOT, "big");
	assert_int_equal(volume_write(f->v, t->big, 0, page, sizeof(page), 0), 0);
	assert_int_equal(volume_setxattr(f->v, t->file, "user.a", "b", 1, 0), 0);
}

static void test_failed_commits(void **state)
{
	for (unsigned i = 0; i < CHANGES; i++) {
		struct fixture f = { .rows = rows_mem_new() };
		uint64_t digest, commits;
		struct tree t;

		fixture_open(&f);
		make_tree(&f, &t);
		digest = rows_mem_digest(f.rows);
		rows_mem_fail_commit(f.rows, 1, -ENOSPC);
		assert_int_equal(changes[i](&t), -ENOSPC);
		assert_int_equal(rows_mem_digest(f.rows), digest);
		commits = rows_mem_commits(f.rows);
		assert_int_equal(changes[i](&t), 0); /* no lock was left behind */
		assert_int_equal(rows_mem_commits(f.rows) - commits, 1);
		assert_true(rows_mem_digest(f.rows) != digest);
		assert_int_equal(volume_close(f.v), 0);
		f.rows->ops->close(f.rows);
	}
	(void)state;
}

static void test_read_only(void **state)
{
	struct volume_options options = { .read_only = true };
	struct fixture *f = *state;
	struct tree t;
	uint64_t digest;
	char buf[8];
	size_t size;

	make_tree(f, &t);
	assert_int_equal(volume_close(f->v), 0);
	digest = rows_mem_digest(f->rows);
	rows_mem_keep(f->rows);
	assert_int_equal(volume_open(f->rows, &options, &f->v), 0);
	for (unsigned i = 0; i < CHANGES; i++)
		assert_int_equal(changes[i](&t), -EROFS);
	assert_int_equal(volume_reclaim(f->v, t.file), -EROFS);
	assert_int_equal(volume_read(f->v, t.big, 0, buf, 8, &size), 0);
	assert_int_equal(volume_sync(f->v), 0);
	assert_int_equal(rows_mem_digest(f->rows), digest);
}

static void test_close_reports_the_sync(void **state)
{
	struct fixture *f = *state;

	rows_mem_fail_sync(f->rows, -EIO);
	assert_int_equal(volume_close(f->v), -EIO);
	rows_mem_fail_sync(f->rows, 0);
	fixture_open(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_not_a_volume),
		volume_test(test_features),
		volume_test(test_damaged_rows),
		volume_test(test_numbers_are_never_reused),
		volume_test(test_generations),
		volume_test(test_mkdir_reserves),
		volume_test(test_further_part),
		volume_test(test_birthplace_removed),
		volume_test(test_orphans_at_open),
		volume_test(test_orphan_that_fails),
		cmocka_unit_test(test_failed_commits),
		volume_test(test_read_only),
		volume_test(test_close_reports_the_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
