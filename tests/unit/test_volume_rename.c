/* SPDX-License-Identifier: MIT */
#include <linux/fs.h>

#include "tests/support/volume_fixture.h"

static int do_rename(struct fixture *f, vol_ino from, const char *name, vol_ino to, const char *new_name,
		     unsigned flags, vol_ino *ret_gone)
{
	struct vol_gone gone = { .ino = UINT64_MAX };
	int r = volume_rename(f->v, from, name, to, new_name, flags, &gone);

	*ret_gone = gone.ino;
	return r;
}

/* `ret_gone` must be 0 */
static int plain_rename(struct fixture *f, vol_ino from, const char *name, vol_ino to, const char *new_name,
			unsigned flags)
{
	vol_ino gone;
	int r = do_rename(f, from, name, to, new_name, flags, &gone);

	assert_true(r < 0 ? gone == UINT64_MAX : gone == 0);
	return r;
}

static vol_ino parent_of(struct fixture *f, vol_ino dir)
{
	return ino_of(f, dir, "..");
}

static void test_file(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir"), file = make_file(f, VOL_ROOT, "a");
	struct vol_attr before = attr_of(f, file), root = attr_of(f, VOL_ROOT), attr;
	uint64_t commits = rows_mem_commits(f->rows);

	assert_int_equal(plain_rename(f, VOL_ROOT, "a", dir, "b", 0), 0);
	assert_int_equal(rows_mem_commits(f->rows) - commits, 1);
	assert_int_equal(ino_of(f, VOL_ROOT, "a"), 0);
	assert_int_equal(ino_of(f, dir, "b"), file);
	attr = attr_of(f, file);
	assert_true(later(attr.ctime, before.ctime) && same(attr.mtime, before.mtime));
	assert_true(later(attr_of(f, VOL_ROOT).mtime, root.mtime));
	assert_true(same(attr_of(f, VOL_ROOT).mtime, attr_of(f, dir).ctime));
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", dir, "c", 0), -ENOENT);
	assert_int_equal(plain_rename(f, dir, "b", dir, "c", 0), 0);
	assert_int_equal(ino_of(f, dir, "c"), file);
	assert_int_equal(attr_of(f, dir).size, 1);
}

static void test_over_file(void **state)
{
	struct fixture *f = *state;
	vol_ino a = make_file(f, VOL_ROOT, "a"), b = make_file(f, VOL_ROOT, "b"), gone;

	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(do_rename(f, VOL_ROOT, "a", VOL_ROOT, "b", 0, &gone), 0);
	assert_int_equal(gone, b);
	assert_int_equal(attr_of(f, b).nlink, 0);
	assert_int_equal(ino_of(f, VOL_ROOT, "b"), a);
	assert_int_equal(attr_of(f, VOL_ROOT).size, 1);
	assert_int_equal(plain_rename(f, VOL_ROOT, "b", VOL_ROOT, "a", RENAME_NOREPLACE), 0);
	fixture_reopen(f); /* reclaims b */
	assert_int_equal(row_count(f), 3 + 2);
}

static void test_same_inode(void **state)
{
	struct fixture *f = *state;
	vol_ino a = make_file(f, VOL_ROOT, "a");
	uint64_t commits;
	struct vol_attr attr;

	assert_int_equal(volume_link(f->v, a, VOL_ROOT, "b", &attr), 0);
	commits = rows_mem_commits(f->rows);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "b", 0), 0);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "a", 0), 0);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "b", RENAME_EXCHANGE), 0);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "a", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(rows_mem_commits(f->rows), commits);
	assert_int_equal(attr_of(f, a).nlink, 2);
}

static void test_types(void **state)
{
	struct fixture *f = *state;
	vol_ino full = make_dir(f, VOL_ROOT, "full"), empty = make_dir(f, VOL_ROOT, "empty"), gone;

	make_file(f, VOL_ROOT, "file");
	make_file(f, full, "x");
	assert_int_equal(plain_rename(f, VOL_ROOT, "file", VOL_ROOT, "empty", 0), -EISDIR);
	assert_int_equal(plain_rename(f, VOL_ROOT, "empty", VOL_ROOT, "file", 0), -ENOTDIR);
	assert_int_equal(plain_rename(f, VOL_ROOT, "empty", VOL_ROOT, "full", 0), -ENOTEMPTY);
	assert_int_equal(do_rename(f, VOL_ROOT, "full", VOL_ROOT, "empty", 0, &gone), 0);
	assert_int_equal(gone, empty);
	assert_int_equal(attr_of(f, empty).nlink, 0);
	assert_int_equal(attr_of(f, VOL_ROOT).nlink, 3);
	assert_int_equal(attr_of(f, VOL_ROOT).size, 2);
	assert_int_equal(ino_of(f, VOL_ROOT, "empty"), full);
}

static void test_directory_moves(void **state)
{
	struct fixture *f = *state;
	vol_ino a = make_dir(f, VOL_ROOT, "a"), b = make_dir(f, VOL_ROOT, "b"), sub = make_dir(f, a, "sub");
	vol_ino file = make_file(f, sub, "file");
	uint64_t operations = rows_mem_operations(f->rows);

	assert_int_equal(plain_rename(f, a, "sub", b, "moved", 0), 0);
	/* two entries, two parents, the directory itself: however much hangs below */
	assert_int_equal(rows_mem_operations(f->rows) - operations, 5);
	assert_int_equal(attr_of(f, a).nlink, 2);
	assert_int_equal(attr_of(f, b).nlink, 3);
	assert_int_equal(parent_of(f, sub), b);
	assert_int_equal(ino_of(f, sub, "file"), file);
	assert_int_equal(plain_rename(f, b, "moved", b, "again", 0), 0);
	assert_int_equal(attr_of(f, b).nlink, 3);
}

static void test_loops(void **state)
{
	struct fixture *f = *state;
	vol_ino a = make_dir(f, VOL_ROOT, "a"), b = make_dir(f, a, "b"), c = make_dir(f, b, "c");

	make_dir(f, VOL_ROOT, "other");
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", a, "x", 0), -EINVAL);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", c, "x", 0), -EINVAL);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", b, "c", RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(plain_rename(f, b, "c", VOL_ROOT, "a", RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(plain_rename(f, b, "c", VOL_ROOT, "a", 0), -ENOTEMPTY);
	assert_int_equal(plain_rename(f, a, "b", VOL_ROOT, "b", 0), 0); /* upwards is fine */
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", c, "a", 0), 0);
	assert_int_equal(parent_of(f, a), c);
}

static void test_exchange(void **state)
{
	struct fixture *f = *state;
	vol_ino a = make_dir(f, VOL_ROOT, "a"), b = make_dir(f, VOL_ROOT, "b");
	vol_ino dir = make_dir(f, a, "x"), file = make_file(f, b, "y");

	assert_int_equal(plain_rename(f, a, "x", b, "none", RENAME_EXCHANGE), -ENOENT);
	assert_int_equal(plain_rename(f, a, "x", b, "y", RENAME_EXCHANGE), 0);
	assert_int_equal(ino_of(f, a, "x"), file);
	assert_int_equal(ino_of(f, b, "y"), dir);
	assert_int_equal(parent_of(f, dir), b);
	assert_int_equal(attr_of(f, a).nlink, 2);
	assert_int_equal(attr_of(f, b).nlink, 3);
	assert_int_equal(plain_rename(f, a, "x", b, "y", RENAME_EXCHANGE), 0); /* the other way round */
	assert_int_equal(ino_of(f, a, "x"), dir);
	assert_int_equal(attr_of(f, a).nlink, 3);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "b", RENAME_EXCHANGE), 0);
	assert_int_equal(ino_of(f, VOL_ROOT, "a"), b);
	assert_int_equal(attr_of(f, VOL_ROOT).size, 2);
}

static int whiteout(struct fixture *f, vol_ino from, const char *name, vol_ino to, const char *new_name, unsigned flags,
		    vol_ino *ret_gone)
{
	static const struct vol_cred cred = { .uid = 7, .gid = 8 };
	struct vol_gone gone = { 0 };
	int r = volume_rename_whiteout(f->v, from, name, to, new_name, flags, &cred, &gone);

	*ret_gone = gone.ino;
	return r;
}

static void check_whiteout(struct fixture *f, vol_ino dir, const char *name)
{
	struct vol_attr attr;

	assert_int_equal(volume_lookup(f->v, dir, name, &attr), 0);
	assert_int_equal(attr.mode, S_IFCHR);
	assert_int_equal(attr.rdev, 0);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(attr.uid, 7);
	assert_int_equal(attr.gid, 8);
}

static void test_whiteout(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir"), a = make_file(f, VOL_ROOT, "a"), b = make_file(f, dir, "b"), gone;
	struct vol_attr root = attr_of(f, VOL_ROOT);
	uint64_t commits = rows_mem_commits(f->rows);

	assert_int_equal(whiteout(f, VOL_ROOT, "a", dir, "b", RENAME_NOREPLACE, &gone), -EEXIST);
	assert_int_equal(whiteout(f, VOL_ROOT, "none", dir, "b", 0, &gone), -ENOENT);
	assert_int_equal(whiteout(f, VOL_ROOT, "a", dir, "b", 0, &gone), 0);
	assert_int_equal(gone, b);
	assert_int_equal(rows_mem_commits(f->rows) - commits, 1);
	assert_int_equal(ino_of(f, dir, "b"), a);
	check_whiteout(f, VOL_ROOT, "a");
	assert_int_equal(attr_of(f, VOL_ROOT).size, root.size);
	assert_int_equal(attr_of(f, VOL_ROOT).nlink, root.nlink);
	assert_true(later(attr_of(f, VOL_ROOT).mtime, root.mtime));
	/* within a directory, and over another whiteout */
	assert_int_equal(whiteout(f, dir, "b", dir, "c", RENAME_NOREPLACE, &gone), 0);
	assert_int_equal(gone, 0);
	check_whiteout(f, dir, "b");
	assert_int_equal(attr_of(f, dir).size, 2);
	gone = ino_of(f, VOL_ROOT, "a");
	assert_int_equal(whiteout(f, dir, "c", VOL_ROOT, "a", 0, &b), 0);
	assert_int_equal(b, gone);
	assert_int_equal(ino_of(f, VOL_ROOT, "a"), a);
	check_whiteout(f, dir, "c");
	/* in place of a directory */
	assert_int_equal(whiteout(f, VOL_ROOT, "dir", VOL_ROOT, "moved", 0, &gone), 0);
	check_whiteout(f, VOL_ROOT, "dir");
	assert_int_equal(ino_of(f, VOL_ROOT, "moved"), dir);
	assert_int_equal(attr_of(f, VOL_ROOT).nlink, root.nlink);
	/* two names of one file: nothing is done */
	assert_int_equal(volume_link(f->v, a, VOL_ROOT, "l", &root), 0);
	assert_int_equal(whiteout(f, VOL_ROOT, "a", VOL_ROOT, "l", 0, &gone), 0);
	assert_int_equal(ino_of(f, VOL_ROOT, "a"), a);
	assert_int_equal(ino_of(f, VOL_ROOT, "l"), a);
	assert_int_equal(whiteout(f, VOL_ROOT, "a", VOL_ROOT, "x", RENAME_EXCHANGE, &gone), -EINVAL);
}

static uint64_t one_hash(const char *name, size_t size, uint64_t seed)
{
	(void)name, (void)size, (void)seed;
	return 5;
}

/* Old and new name share a bucket: both changes must be in it. A whole one has no slot to spare. */
static void test_whiteout_in_one_bucket(void **state)
{
	struct fixture *f = *state;
	vol_ino a, gone;
	char name[8];

	f->v->name_hash = one_hash;
	a = make_file(f, VOL_ROOT, "a");
	assert_int_equal(whiteout(f, VOL_ROOT, "a", VOL_ROOT, "b", 0, &gone), 0);
	check_whiteout(f, VOL_ROOT, "a");
	assert_int_equal(ino_of(f, VOL_ROOT, "b"), a);
	for (unsigned i = 2; i < SCHEMA_SLOTS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		make_file(f, VOL_ROOT, name);
	}
	assert_int_equal(whiteout(f, VOL_ROOT, "b", VOL_ROOT, "c", 0, &gone), -ENOSPC);
	assert_int_equal(ino_of(f, VOL_ROOT, "b"), a);
	assert_int_equal(plain_rename(f, VOL_ROOT, "b", VOL_ROOT, "c", 0), 0);
	assert_int_equal(attr_of(f, VOL_ROOT).size, SCHEMA_SLOTS);
}

static void expect_moved(struct fixture *f, vol_ino from, const char *name, vol_ino to, const char *new_name,
			 unsigned flags, vol_ino first, vol_ino second)
{
	struct vol_gone gone = { .moved = { UINT64_MAX, UINT64_MAX } };

	assert_int_equal(volume_rename(f->v, from, name, to, new_name, flags, &gone), 0);
	assert_int_equal(gone.moved[0], first);
	assert_int_equal(gone.moved[1], second);
}

/* Of which directories ".." has changed. */
static void test_moved(void **state)
{
	struct fixture *f = *state;
	vol_ino a = make_dir(f, VOL_ROOT, "a"), b = make_dir(f, VOL_ROOT, "b");
	vol_ino x = make_dir(f, a, "x"), y = make_dir(f, b, "y"), w = make_dir(f, a, "w");

	make_file(f, a, "file");
	expect_moved(f, a, "x", a, "z", 0, 0, 0);
	expect_moved(f, a, "z", b, "x", 0, x, 0);
	expect_moved(f, b, "x", b, "x", 0, 0, 0);
	expect_moved(f, b, "x", b, "y", RENAME_EXCHANGE, 0, 0);
	expect_moved(f, b, "y", a, "file", RENAME_EXCHANGE, x, 0);
	expect_moved(f, b, "y", a, "file", RENAME_EXCHANGE, 0, x);
	expect_moved(f, b, "x", a, "w", RENAME_EXCHANGE, y, w);
	expect_moved(f, a, "file", b, "file", 0, 0, 0);
}

static void test_bad_arguments(void **state)
{
	struct fixture *f = *state;

	make_file(f, VOL_ROOT, "a");
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "b", RENAME_WHITEOUT), -EINVAL);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "b", RENAME_NOREPLACE | RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(plain_rename(f, VOL_ROOT, ".", VOL_ROOT, "b", 0), -EBUSY);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "..", 0), -EBUSY);
	assert_int_equal(plain_rename(f, VOL_ROOT, "a", VOL_ROOT, "", 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_file),
		volume_test(test_over_file),
		volume_test(test_same_inode),
		volume_test(test_types),
		volume_test(test_directory_moves),
		volume_test(test_loops),
		volume_test(test_exchange),
		volume_test(test_whiteout),
		volume_test(test_whiteout_in_one_bucket),
		volume_test(test_moved),
		volume_test(test_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
