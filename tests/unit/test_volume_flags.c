/* SPDX-License-Identifier: MIT */
/* The flags of chattr(1): kept, told, and minded by all that changes something. */
#include <linux/falloc.h>
#include <linux/fs.h>

#include "tests/support/volume_fixture.h"

#define ALL (VOL_FLAG_IMMUTABLE | VOL_FLAG_APPEND | VOL_FLAG_NODUMP | VOL_FLAG_NOATIME)

static void set(struct fixture *f, vol_ino ino, uint32_t flags)
{
	assert_int_equal(volume_set_flags(f->v, ino, flags), 0);
}

static struct schema_super stored_super(struct fixture *f)
{
	struct schema_super super;
	struct row_value value;
	struct schema_key key;

	schema_key_super(&key);
	assert_int_equal(f->rows->ops->get(f->rows, row_key(&key), &value), 0);
	assert_int_equal(schema_super_decode(value.data, value.size, &super), 0);
	f->rows->ops->value_release(f->rows, &value);
	return super;
}

static void test_kept(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a"), dir = make_dir(f, VOL_ROOT, "d");
	struct vol_attr before = attr_of(f, file), after;

	assert_int_equal(before.flags, 0);
	for (uint32_t flags = ALL; flags > 0; flags--) {
		set(f, file, 0);
		set(f, file, flags);
		assert_int_equal(attr_of(f, file).flags, flags);
	}
	after = attr_of(f, file);
	assert_true(later(after.ctime, before.ctime) && same(after.mtime, before.mtime));
	set(f, dir, VOL_FLAG_APPEND);
	fixture_reopen(f);
	assert_int_equal(attr_of(f, file).flags, VOL_FLAG_IMMUTABLE);
	assert_int_equal(attr_of(f, dir).flags, VOL_FLAG_APPEND);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct vol_attr link, fifo;
	uint64_t digest;

	assert_int_equal(volume_symlink(f->v, VOL_ROOT, "l", "x", &fixture_cred, &link), 0);
	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "p", S_IFIFO | 0644, 0, &fixture_cred, &fifo), 0);
	digest = rows_mem_digest(f->rows);
	assert_int_equal(volume_set_flags(f->v, file, ALL + 1), -EOPNOTSUPP);
	assert_int_equal(volume_set_flags(f->v, link.ino, VOL_FLAG_NODUMP), -EOPNOTSUPP);
	assert_int_equal(volume_set_flags(f->v, fifo.ino, VOL_FLAG_NODUMP), -EOPNOTSUPP);
	assert_int_equal(volume_set_flags(f->v, file + 100, VOL_FLAG_NODUMP), -ENOENT);
	assert_int_equal(rows_mem_digest(f->rows), digest);
	set(f, file, VOL_FLAG_IMMUTABLE);
	assert_int_equal(volume_set_flags(f->v, file, VOL_FLAG_IMMUTABLE | VOL_FLAG_NODUMP), -EPERM);
	set(f, file, VOL_FLAG_IMMUTABLE);
	set(f, file, VOL_FLAG_NODUMP);
}

/* A volume without flags is one that older programs may open; the first makes it one that they refuse. */
static void test_feature(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct schema_super super = stored_super(f), later_super;
	uint64_t commits;

	assert_int_equal(super.features_incompat, 0);
	set(f, file, 0);
	assert_int_equal(stored_super(f).features_incompat, 0);
	rows_mem_fail_commit(f->rows, 1, -ENOSPC);
	assert_int_equal(volume_set_flags(f->v, file, VOL_FLAG_NODUMP), -ENOSPC);
	assert_int_equal(attr_of(f, file).flags, 0);
	set(f, file, VOL_FLAG_NODUMP);
	later_super = stored_super(f);
	assert_int_equal(later_super.features_incompat, SCHEMA_FEATURE_FLAGS);
	assert_int_equal(later_super.seed, super.seed);
	assert_memory_equal(later_super.uuid, super.uuid, sizeof(super.uuid));
	assert_int_equal(later_super.created, super.created);
	commits = rows_mem_commits(f->rows);
	set(f, file, VOL_FLAG_APPEND);
	assert_int_equal(rows_mem_commits(f->rows), commits + 1);
	fixture_reopen(f);
	commits = rows_mem_commits(f->rows);
	set(f, file, VOL_FLAG_NODUMP);
	assert_int_equal(rows_mem_commits(f->rows), commits + 1);
}

static void forbidden_to_both(struct fixture *f, vol_ino file)
{
	struct vol_attr set_to = { .mode = 0600 }, attr;
	struct vol_gone gone;

	assert_int_equal(volume_setattr(f->v, file, &set_to, VOL_SET_MODE, &attr), -EPERM);
	assert_int_equal(volume_setattr(f->v, file, &set_to, VOL_SET_UID, &attr), -EPERM);
	assert_int_equal(volume_setattr(f->v, file, &set_to, VOL_SET_GID, &attr), -EPERM);
	assert_int_equal(volume_setattr(f->v, file, &set_to, VOL_SET_SIZE, &attr), -EPERM);
	assert_int_equal(volume_setattr(f->v, file, &set_to, VOL_SET_MTIME, &attr), -EPERM);
	assert_int_equal(volume_setattr(f->v, file, &set_to, VOL_SET_ATIME | VOL_SET_MTIME_NOW, &attr), -EPERM);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, 0), -EPERM);
	assert_int_equal(volume_write(f->v, file, 4, "x", 1, 0), -EPERM);
	assert_int_equal(volume_fallocate(f->v, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1), -EPERM);
	assert_int_equal(volume_fallocate(f->v, file, FALLOC_FL_ZERO_RANGE, 0, 1), -EPERM);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "2", 1, 0), -EPERM);
	assert_int_equal(volume_setxattr(f->v, file, "user.b", "2", 1, 0), -EPERM);
	assert_int_equal(volume_removexattr(f->v, file, "user.a"), -EPERM);
	assert_int_equal(volume_link(f->v, file, VOL_ROOT, "new", &attr), -EPERM);
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, "a", &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "a", VOL_ROOT, "new", 0, &gone), -EPERM);
	assert_int_equal(volume_rename_whiteout(f->v, VOL_ROOT, "a", VOL_ROOT, "new", 0, &fixture_cred, &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "b", VOL_ROOT, "a", 0, &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "b", VOL_ROOT, "a", RENAME_EXCHANGE, &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "a", VOL_ROOT, "b", RENAME_EXCHANGE, &gone), -EPERM);
}

static void test_file(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct vol_attr attr = { 0 };
	uint64_t digest;
	char buf[16];
	size_t size;

	make_file(f, VOL_ROOT, "b");
	assert_int_equal(volume_write(f->v, file, 0, "0123456789", 10, 0), 0);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "1", 1, 0), 0);
	set(f, file, VOL_FLAG_IMMUTABLE);
	digest = rows_mem_digest(f->rows);
	forbidden_to_both(f, file);
	assert_int_equal(volume_write(f->v, file, 10, "x", 1, 0), -EPERM);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, VOL_WRITE_APPEND), -EPERM);
	assert_int_equal(volume_fallocate(f->v, file, 0, 0, 100), -EPERM);
	assert_int_equal(volume_setattr(f->v, file, &attr, VOL_SET_ATIME_NOW | VOL_SET_MTIME_NOW, &attr), -EPERM);
	assert_int_equal(volume_setattr(f->v, file, &attr, VOL_SET_KILL_PRIV, &attr), -EPERM);
	assert_int_equal(rows_mem_digest(f->rows), digest);
	assert_int_equal(volume_read(f->v, file, 0, buf, sizeof(buf), &size), 0);
	assert_int_equal(size, 10);

	set(f, file, VOL_FLAG_APPEND);
	digest = rows_mem_digest(f->rows);
	forbidden_to_both(f, file);
	assert_int_equal(volume_write(f->v, file, 11, "x", 1, 0), -EPERM); /* a hole is no addition at the end */
	assert_int_equal(rows_mem_digest(f->rows), digest);
	assert_int_equal(volume_write(f->v, file, 10, "ab", 2, 0), 0);
	assert_int_equal(volume_write(f->v, file, 0, "cd", 2, VOL_WRITE_APPEND), 0);
	assert_int_equal(volume_setattr(f->v, file, &attr, VOL_SET_ATIME_NOW | VOL_SET_MTIME_NOW, &attr), 0);
	assert_int_equal(volume_setattr(f->v, file, &attr, VOL_SET_KILL_PRIV, &attr), 0);
	assert_int_equal(volume_fallocate(f->v, file, FALLOC_FL_KEEP_SIZE, 0, 100), 0);
	assert_int_equal(volume_read(f->v, file, 0, buf, sizeof(buf), &size), 0);
	assert_int_equal(size, 14);
	assert_memory_equal(buf, "0123456789abcd", 14);

	set(f, file, VOL_FLAG_NODUMP | VOL_FLAG_NOATIME); /* these forbid nothing */
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, 0), 0);
	assert_int_equal(volume_setattr(f->v, file, &attr, VOL_SET_SIZE, &attr), 0);
}

static void test_directory(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "d"), sub = make_dir(f, dir, "sub"), file = make_file(f, dir, "f");
	struct vol_attr attr;
	struct vol_gone gone;
	uint64_t digest;

	make_file(f, VOL_ROOT, "b");
	set(f, dir, VOL_FLAG_IMMUTABLE);
	digest = rows_mem_digest(f->rows);
	assert_int_equal(volume_mknod(f->v, dir, "n", S_IFREG | 0644, 0, &fixture_cred, &attr), -EPERM);
	assert_int_equal(volume_mkdir(f->v, dir, "n", 0755, &fixture_cred, &attr), -EPERM);
	assert_int_equal(volume_symlink(f->v, dir, "n", "x", &fixture_cred, &attr), -EPERM);
	assert_int_equal(volume_tmpfile(f->v, dir, 0644, &fixture_cred, &attr), -EPERM);
	assert_int_equal(volume_link(f->v, file, dir, "n", &attr), -EPERM);
	assert_int_equal(volume_unlink(f->v, dir, "f", &gone), -EPERM);
	assert_int_equal(volume_rmdir(f->v, dir, "sub", &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "b", dir, "n", 0, &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, dir, "f", VOL_ROOT, "n", 0, &gone), -EPERM);
	assert_int_equal(volume_rmdir(f->v, VOL_ROOT, "d", &gone), -EPERM);
	assert_int_equal(rows_mem_digest(f->rows), digest);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, 0), 0);

	set(f, dir, VOL_FLAG_APPEND);
	digest = rows_mem_digest(f->rows);
	assert_int_equal(volume_unlink(f->v, dir, "f", &gone), -EPERM);
	assert_int_equal(volume_rmdir(f->v, dir, "sub", &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, dir, "f", VOL_ROOT, "n", 0, &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, dir, "f", dir, "n", 0, &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "b", dir, "f", 0, &gone), -EPERM);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "b", dir, "f", RENAME_EXCHANGE, &gone), -EPERM);
	assert_int_equal(rows_mem_digest(f->rows), digest);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "b", dir, "b", 0, &gone), 0);
	assert_int_equal(volume_link(f->v, file, dir, "n", &attr), 0);
	assert_int_equal(volume_tmpfile(f->v, dir, 0644, &fixture_cred, &attr), 0);
	assert_int_equal(volume_mkdir(f->v, sub, "n", 0755, &fixture_cred, &attr), 0);
}

static void test_inherited(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "d");
	struct vol_attr attr;

	set(f, dir, VOL_FLAG_APPEND | VOL_FLAG_NODUMP | VOL_FLAG_NOATIME);
	assert_int_equal(attr_of(f, make_file(f, dir, "f")).flags, VOL_FLAG_NODUMP | VOL_FLAG_NOATIME);
	assert_int_equal(attr_of(f, make_dir(f, dir, "d")).flags, VOL_FLAG_NODUMP | VOL_FLAG_NOATIME);
	assert_int_equal(volume_tmpfile(f->v, dir, 0644, &fixture_cred, &attr), 0);
	assert_int_equal(attr.flags, VOL_FLAG_NODUMP | VOL_FLAG_NOATIME);
}

/* Nobody can be in the way of freeing what has no name. */
static void test_nameless(void **state)
{
	struct fixture *f = *state;
	struct vol_attr attr;

	assert_int_equal(volume_tmpfile(f->v, VOL_ROOT, 0644, &fixture_cred, &attr), 0);
	assert_int_equal(volume_write(f->v, attr.ino, 0, "x", 1, 0), 0);
	set(f, attr.ino, VOL_FLAG_IMMUTABLE);
	assert_int_equal(volume_link(f->v, attr.ino, VOL_ROOT, "n", &attr), -EPERM);
	assert_int_equal(volume_reclaim(f->v, attr.ino), 0);
	assert_int_equal(volume_getattr(f->v, attr.ino, &attr), -ENOENT);
	assert_int_equal(volume_tmpfile(f->v, VOL_ROOT, 0644, &fixture_cred, &attr), 0);
	set(f, attr.ino, VOL_FLAG_IMMUTABLE);
	fixture_reopen(f);
	assert_int_equal(volume_getattr(f->v, attr.ino, &attr), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_kept),     volume_test(test_refused),   volume_test(test_feature),
		volume_test(test_file),     volume_test(test_directory), volume_test(test_inherited),
		volume_test(test_nameless),
	};

	return cmocka_run_group_tests_name("volume_flags", tests, NULL, NULL);
}
