/* SPDX-License-Identifier: MIT */
/* lookup, create, mkdir, symlink, link, unlink, rmdir, tmpfile */
#include "tests/support/volume_fixture.h"

static char long_name[VOL_NAME_MAX + 2];

static int mknod_file(struct fixture *f, vol_ino dir, const char *name)
{
	struct vol_attr attr;

	return volume_mknod(f->v, dir, name, S_IFREG | 0600, 0, &fixture_cred, &attr);
}

static void test_root(void **state)
{
	struct fixture *f = *state;
	struct vol_attr root = attr_of(f, VOL_ROOT), attr;

	assert_int_equal(root.mode, S_IFDIR | 0755);
	assert_int_equal(root.nlink, 2);
	assert_int_equal(root.ino, VOL_ROOT);
	assert_int_equal(volume_lookup(f->v, VOL_ROOT, "..", &attr), 0);
	assert_int_equal(attr.ino, VOL_ROOT);
	assert_int_equal(volume_lookup(f->v, VOL_ROOT, ".", &attr), 0);
	assert_int_equal(attr.ino, VOL_ROOT);
}

static void test_create(void **state)
{
	struct fixture *f = *state;
	struct vol_attr before = attr_of(f, VOL_ROOT), attr, after;
	uint64_t commits = rows_mem_commits(f->rows), operations = rows_mem_operations(f->rows);

	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "a", S_IFREG | 04640, 7, &fixture_cred, &attr), 0);
	assert_int_equal(rows_mem_commits(f->rows) - commits, 1);
	assert_int_equal(rows_mem_operations(f->rows) - operations, 3); /* entry, inode, directory */
	assert_int_equal(attr.mode, S_IFREG | 04640);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(attr.uid, fixture_cred.uid);
	assert_int_equal(attr.gid, fixture_cred.gid);
	assert_int_equal(attr.size, 0);
	assert_int_equal(attr.allocated_bytes, 0);
	assert_int_equal(attr.rdev, 0);
	assert_true(same(attr.mtime, attr.btime) && same(attr.atime, attr.ctime));
	after = attr_of(f, VOL_ROOT);
	assert_true(later(after.mtime, before.mtime) && same(after.mtime, after.ctime));
	assert_true(same(after.atime, before.atime));
	assert_int_equal(after.nlink, 2);
	assert_int_equal(schema_ino_part(attr.ino), SCHEMA_PART_ROOT);
	assert_int_equal(mknod_file(f, VOL_ROOT, "a"), -EEXIST);
	fixture_reopen(f);
	assert_int_equal(ino_of(f, VOL_ROOT, "a"), attr.ino);
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	struct vol_gone gone;
	struct vol_attr attr;

	assert_int_equal(mknod_file(f, VOL_ROOT, ""), -EINVAL);
	assert_int_equal(mknod_file(f, VOL_ROOT, "a/b"), -EINVAL);
	assert_int_equal(mknod_file(f, VOL_ROOT, "."), -EEXIST);
	assert_int_equal(mknod_file(f, VOL_ROOT, ".."), -EEXIST);
	assert_int_equal(mknod_file(f, VOL_ROOT, long_name), -ENAMETOOLONG);
	assert_int_equal(volume_lookup(f->v, VOL_ROOT, long_name, &attr), -ENAMETOOLONG);
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, long_name, &gone), -ENAMETOOLONG);
	assert_int_equal(mknod_file(f, VOL_ROOT, long_name + 1), 0);
	assert_true(ino_of(f, VOL_ROOT, long_name + 1) != 0);
	assert_int_equal(volume_lookup(f->v, VOL_ROOT, "none", &attr), -ENOENT);
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, ".", &gone), -EISDIR);
	assert_int_equal(volume_rmdir(f->v, VOL_ROOT, ".", &gone), -EINVAL);
	assert_int_equal(volume_rmdir(f->v, VOL_ROOT, "..", &gone), -ENOTEMPTY);
}

/* A file's number shares the part of the directory it was born in: it must not be taken for that directory. */
static void test_not_a_directory(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "file");
	struct vol_gone gone;
	struct vol_attr attr;

	assert_int_equal(volume_lookup(f->v, file, "file", &attr), -ENOTDIR);
	assert_int_equal(volume_lookup(f->v, file, ".", &attr), -ENOTDIR);
	assert_int_equal(volume_lookup(f->v, file, "..", &attr), -ENOTDIR);
	assert_int_equal(mknod_file(f, file, "x"), -ENOTDIR);
	assert_int_equal(volume_unlink(f->v, file, "file", &gone), -ENOTDIR);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "file", file, "x", 0, &gone), -ENOTDIR);
	assert_int_equal(volume_readdir(f->v, file, 0, false, NULL, NULL), -ENOTDIR);
	assert_int_equal(mknod_file(f, schema_ino(4711, 0), "x"), -ENOENT);
}

static void test_mkdir_rmdir(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir"), sub = make_dir(f, dir, "sub");
	struct vol_gone gone = { .ino = 1 };
	struct vol_attr attr;

	assert_int_equal(schema_ino_sequence(dir), 0);
	assert_int_equal(attr_of(f, VOL_ROOT).nlink, 3);
	assert_int_equal(attr_of(f, dir).nlink, 3);
	assert_int_equal(attr_of(f, sub).nlink, 2);
	assert_int_equal(volume_lookup(f->v, sub, "..", &attr), 0);
	assert_int_equal(attr.ino, dir);
	assert_int_equal(volume_rmdir(f->v, VOL_ROOT, "dir", &gone), -ENOTEMPTY);
	assert_int_equal(gone.ino, 1); /* untouched by a failure */
	assert_int_equal(volume_unlink(f->v, dir, "sub", &gone), -EISDIR);
	assert_int_equal(volume_rmdir(f->v, dir, "sub", &gone), 0);
	assert_int_equal(gone.ino, sub);
	assert_int_equal(attr_of(f, dir).nlink, 2);
	assert_int_equal(attr_of(f, sub).nlink, 0);
	make_file(f, dir, "file");
	assert_int_equal(volume_rmdir(f->v, dir, "file", &gone), -ENOTDIR);
	assert_int_equal(volume_rmdir(f->v, VOL_ROOT, "none", &gone), -ENOENT);
}

/* A removed directory that somebody has still open. */
static void test_removed_directory(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir"), file = make_file(f, VOL_ROOT, "file");
	struct vol_gone gone;
	struct vol_attr attr;

	assert_int_equal(volume_rmdir(f->v, VOL_ROOT, "dir", &gone), 0);
	assert_int_equal(mknod_file(f, dir, "x"), -ENOENT);
	assert_int_equal(volume_mkdir(f->v, dir, "x", 0755, &fixture_cred, &attr), -ENOENT);
	assert_int_equal(volume_tmpfile(f->v, dir, 0600, &fixture_cred, &attr), -ENOENT);
	assert_int_equal(volume_link(f->v, file, dir, "x", &attr), -ENOENT);
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "file", dir, "x", 0, &gone), -ENOENT);
	assert_int_equal(volume_lookup(f->v, dir, "x", &attr), -ENOENT);
	assert_int_equal(volume_reclaim(f->v, dir), 0);
	assert_int_equal(volume_getattr(f->v, dir, &attr), -ENOENT);
}

static void test_set_gid_directory(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir");
	struct vol_attr attr = { .mode = 02770, .gid = 4242 };

	assert_int_equal(volume_setattr(f->v, dir, &attr, VOL_SET_MODE | VOL_SET_GID, &attr), 0);
	assert_int_equal(attr_of(f, make_file(f, dir, "file")).gid, 4242);
	assert_int_equal(attr_of(f, make_file(f, dir, "file2")).mode, S_IFREG | 0644);
	attr = attr_of(f, make_dir(f, dir, "sub"));
	assert_int_equal(attr.gid, 4242);
	assert_int_equal(attr.mode, S_IFDIR | 02755);
}

static void test_special_files(void **state)
{
	struct fixture *f = *state;
	struct vol_attr attr;

	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "c", S_IFCHR | 0600, 0x1234, &fixture_cred, &attr), 0);
	assert_int_equal(attr.rdev, 0x1234);
	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "p", S_IFIFO | 0600, 5, &fixture_cred, &attr), 0);
	assert_int_equal(attr.rdev, 0);
	assert_int_equal(attr_of(f, attr.ino).mode, S_IFIFO | 0600);
	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "d", S_IFDIR | 0700, 0, &fixture_cred, &attr), -EINVAL);
	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "l", S_IFLNK | 0777, 0, &fixture_cred, &attr), -EINVAL);
	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "r", 0640, 0, &fixture_cred, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0640);
}

static void test_symlink(void **state)
{
	char target[VOL_SYMLINK_MAX + 2], got[VOL_SYMLINK_MAX + 1];
	struct fixture *f = *state;
	struct vol_attr attr;

	memset(target, 't', sizeof(target));
	target[VOL_SYMLINK_MAX + 1] = 0;
	assert_int_equal(volume_symlink(f->v, VOL_ROOT, "l", target, &fixture_cred, &attr), -ENAMETOOLONG);
	target[VOL_SYMLINK_MAX] = 0;
	assert_int_equal(volume_symlink(f->v, VOL_ROOT, "l", target, &fixture_cred, &attr), 0);
	assert_int_equal(attr.size, VOL_SYMLINK_MAX);
	assert_int_equal(attr.mode, S_IFLNK | 0777);
	assert_int_equal(volume_readlink(f->v, attr.ino, got), 0);
	assert_string_equal(got, target);
	assert_int_equal(volume_symlink(f->v, VOL_ROOT, "e", "", &fixture_cred, &attr), -ENOENT);
	assert_int_equal(volume_readlink(f->v, VOL_ROOT, got), -EINVAL);
}

static void test_link(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir"), file = make_file(f, VOL_ROOT, "a");
	struct vol_attr before = attr_of(f, file), attr;
	struct vol_gone gone;

	assert_int_equal(volume_link(f->v, file, dir, "b", &attr), 0);
	assert_int_equal(attr.nlink, 2);
	assert_true(later(attr.ctime, before.ctime) && same(attr.mtime, before.mtime));
	assert_int_equal(ino_of(f, dir, "b"), file);
	assert_int_equal(volume_link(f->v, file, dir, "b", &attr), -EEXIST);
	assert_int_equal(volume_link(f->v, dir, VOL_ROOT, "c", &attr), -EPERM);
	assert_int_equal(volume_link(f->v, schema_ino(1, 999), VOL_ROOT, "c", &attr), -ENOENT);
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, "a", &gone), 0);
	assert_int_equal(gone.ino, 0);
	assert_int_equal(attr_of(f, file).nlink, 1);
	assert_int_equal(volume_unlink(f->v, dir, "b", &gone), 0);
	assert_int_equal(gone.ino, file);
}

static void test_link_max(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint8_t buf[SCHEMA_INODE_MAX];
	struct schema_key key;
	struct vol_attr attr;
	struct node node;

	assert_int_equal(node_load(f->v, file, &node), 0);
	node.i.nlink = VOL_LINK_MAX;
	schema_key_inode(&key, file);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ buf, schema_inode_encode(&node.i, buf) });
	node_done(&node);
	assert_int_equal(volume_link(f->v, file, VOL_ROOT, "b", &attr), -EMLINK);
}

/* A file without a name lives on until it is reclaimed: here by its last user, below by the next open. */
static void test_unlinked_file(void **state)
{
	struct fixture *f = *state;
	size_t rows = row_count(f), got;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct vol_gone gone;
	struct vol_attr attr;
	char buf[10];

	assert_int_equal(volume_unlink(f->v, VOL_ROOT, "a", &gone), 0);
	assert_int_equal(gone.ino, file);
	assert_int_equal(attr_of(f, file).nlink, 0);
	assert_int_equal(volume_write(f->v, file, 0, "hello", 5, 0), 0);
	assert_int_equal(volume_read(f->v, file, 0, buf, 10, &got), 0);
	assert_int_equal(got, 5);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "b", 1, 0), 0);
	assert_int_equal(volume_reclaim(f->v, file), 0);
	assert_int_equal(volume_getattr(f->v, file, &attr), -ENOENT);
	assert_int_equal(volume_reclaim(f->v, file), 0); /* again */
	assert_int_equal(row_count(f), rows);
}

static void test_reclaim_of_the_living(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");

	assert_int_equal(volume_reclaim(f->v, file), 0);
	assert_int_equal(attr_of(f, file).nlink, 1);
}

static void test_tmpfile(void **state)
{
	struct fixture *f = *state;
	struct vol_attr before = attr_of(f, VOL_ROOT), attr;
	size_t rows = row_count(f);
	vol_ino file;

	assert_int_equal(volume_tmpfile(f->v, VOL_ROOT, 0600, &fixture_cred, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	assert_true(same(attr_of(f, VOL_ROOT).mtime, before.mtime));
	file = attr.ino;
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, 0), 0);
	assert_int_equal(volume_link(f->v, file, VOL_ROOT, "named", &attr), 0);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(row_count(f), rows + 2); /* it is no orphan any more */
	assert_true(make_file(f, VOL_ROOT, "other") != file);
	fixture_reopen(f);
	assert_int_equal(ino_of(f, VOL_ROOT, "named"), file);
	assert_int_equal(attr_of(f, file).size, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_root),
		volume_test(test_create),
		volume_test(test_names),
		volume_test(test_not_a_directory),
		volume_test(test_mkdir_rmdir),
		volume_test(test_removed_directory),
		volume_test(test_set_gid_directory),
		volume_test(test_special_files),
		volume_test(test_symlink),
		volume_test(test_link),
		volume_test(test_link_max),
		volume_test(test_unlinked_file),
		volume_test(test_reclaim_of_the_living),
		volume_test(test_tmpfile),
	};

	memset(long_name, 'n', VOL_NAME_MAX + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
