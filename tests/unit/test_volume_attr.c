/* SPDX-License-Identifier: MIT */
/* setattr and extended attributes */
#include <sys/xattr.h>

#include "tests/support/volume_fixture.h"

static void test_times(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct vol_attr set = { .atime = { -5, 1 }, .mtime = { INT64_MAX, 999999999 }, .ctime = { 7, 7 } }, got, before;

	before = attr_of(f, file);
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_ATIME | VOL_SET_MTIME, &got), 0);
	assert_true(same(got.atime, set.atime) && same(got.mtime, set.mtime));
	assert_true(later(got.ctime, before.ctime) && same(got.btime, before.btime));
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_CTIME, &got), 0);
	assert_true(same(got.ctime, set.ctime));
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_ATIME_NOW | VOL_SET_MTIME_NOW, &got), 0);
	assert_true(same(got.atime, got.mtime) && same(got.atime, got.ctime) && later(got.atime, before.atime));
	set.mtime.tv_nsec = 1000000000;
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_MTIME, &got), -EINVAL);
	fixture_reopen(f);
	assert_true(same(attr_of(f, file).atime, got.atime));
}

static void test_owner_and_mode(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a"), dir = make_dir(f, VOL_ROOT, "d");
	struct vol_attr set = { .mode = S_IFDIR | 06750, .uid = UINT32_MAX - 1, .gid = 5 }, got;

	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_MODE | VOL_SET_UID | VOL_SET_GID, &got), 0);
	assert_int_equal(got.mode, S_IFREG | 06750); /* the type stays */
	assert_int_equal(got.uid, UINT32_MAX - 1);
	assert_int_equal(got.gid, 5);
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_GID | VOL_SET_KILL_PRIV, &got), 0);
	assert_int_equal(got.mode, S_IFREG | 0750);
	assert_int_equal(volume_setattr(f->v, dir, &set, VOL_SET_MODE, &got), 0);
	assert_int_equal(volume_setattr(f->v, dir, &set, VOL_SET_UID | VOL_SET_KILL_PRIV, &got), 0);
	assert_int_equal(got.mode, S_IFDIR | 06750);
	assert_int_equal(volume_setattr(f->v, schema_ino(1, 99), &set, VOL_SET_MODE, &got), -ENOENT);
}

static void test_set_gid_without_execution(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a"), dir = make_dir(f, VOL_ROOT, "d");
	struct vol_attr set = { .mode = 06640 }, got;

	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_MODE, &got), 0);
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_KILL_PRIV, &got), 0);
	assert_int_equal(got.mode, S_IFREG | 02640);
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_KILL_PRIV | VOL_SET_KILL_SGID, &got), 0);
	assert_int_equal(got.mode, S_IFREG | 0640);
	assert_int_equal(volume_setattr(f->v, dir, &set, VOL_SET_MODE, &got), 0);
	assert_int_equal(volume_setattr(f->v, dir, &set, VOL_SET_KILL_PRIV | VOL_SET_KILL_SGID, &got), 0);
	assert_int_equal(got.mode, S_IFDIR | 06640);
}

static void give_caps(struct fixture *f, vol_ino ino)
{
	assert_int_equal(volume_setxattr(f->v, ino, "security.capability", "caps", 4, 0), 0);
}

static bool has_caps(struct fixture *f, vol_ino ino)
{
	char list[64], value[8];
	size_t size;
	int r = volume_getxattr(f->v, ino, "security.capability", value, sizeof(value), &size);

	assert_true(r == 0 || r == -ENODATA);
	/* what else there is stays, and the count of all is right */
	assert_int_equal(volume_getxattr(f->v, ino, "user.other", value, sizeof(value), &size), 0);
	assert_int_equal(volume_listxattr(f->v, ino, list, sizeof(list), &size), 0);
	assert_int_equal(size, r == 0 ? 20 + 11 : 11);
	return r == 0;
}

static void test_capabilities_fall(void **state)
{
	static const unsigned keep[] = { VOL_SET_MODE, VOL_SET_ATIME | VOL_SET_MTIME, VOL_SET_CTIME };
	static const unsigned drop[] = { VOL_SET_SIZE, VOL_SET_UID, VOL_SET_GID, VOL_SET_KILL_PRIV };
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a"), dir = make_dir(f, VOL_ROOT, "d");
	struct vol_attr set = { .mode = 0644, .size = 1 }, got;
	uint64_t commits;

	assert_int_equal(volume_setxattr(f->v, file, "user.other", "1", 1, 0), 0);
	assert_int_equal(volume_setxattr(f->v, dir, "user.other", "1", 1, 0), 0);
	give_caps(f, file);
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		assert_int_equal(volume_setattr(f->v, file, &set, keep[i], &got), 0);
		assert_true(has_caps(f, file));
	}
	for (size_t i = 0; i < sizeof(drop) / sizeof(drop[0]); i++) {
		give_caps(f, file);
		commits = rows_mem_commits(f->rows);
		assert_int_equal(volume_setattr(f->v, file, &set, drop[i], &got), 0);
		assert_int_equal(rows_mem_commits(f->rows), commits + 1);
		assert_false(has_caps(f, file));
	}
	give_caps(f, file);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, VOL_WRITE_MAPPED), 0);
	assert_true(has_caps(f, file));
	commits = rows_mem_commits(f->rows);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, 0), 0);
	assert_int_equal(rows_mem_commits(f->rows), commits + 1);
	assert_false(has_caps(f, file));
	give_caps(f, file);
	assert_int_equal(volume_fallocate(f->v, file, 0, 0, 100), 0);
	assert_false(has_caps(f, file));
	/* a directory has no use for them, and nothing takes them away */
	give_caps(f, dir);
	assert_int_equal(volume_setattr(f->v, dir, &set, VOL_SET_UID | VOL_SET_KILL_PRIV, &got), 0);
	assert_true(has_caps(f, dir));
	/* a commit that fails takes nothing away */
	give_caps(f, file);
	rows_mem_fail_commit(f->rows, 1, -EIO);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, 0), -EIO);
	assert_true(has_caps(f, file));
	fixture_reopen(f);
	assert_true(has_caps(f, file));
}

static void test_xattr(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct vol_attr before = attr_of(f, file), after;
	char buf[64];
	size_t size;

	assert_int_equal(volume_getxattr(f->v, file, "user.a", buf, 64, &size), -ENODATA);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "one", 3, XATTR_REPLACE), -ENODATA);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "one", 3, XATTR_CREATE), 0);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "two", 3, XATTR_CREATE), -EEXIST);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "three", 5, XATTR_REPLACE), 0);
	after = attr_of(f, file);
	assert_true(later(after.ctime, before.ctime) && same(after.mtime, before.mtime));
	assert_int_equal(volume_getxattr(f->v, file, "user.a", NULL, 0, &size), 0);
	assert_int_equal(size, 5);
	assert_int_equal(volume_getxattr(f->v, file, "user.a", buf, 4, &size), -ERANGE);
	assert_int_equal(volume_getxattr(f->v, file, "user.a", buf, 5, &size), 0);
	assert_memory_equal(buf, "three", 5);
	assert_int_equal(volume_setxattr(f->v, file, "user.empty", "", 0, 0), 0);
	assert_int_equal(volume_getxattr(f->v, file, "user.empty", buf, 64, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(volume_setxattr(f->v, VOL_ROOT, "user.a", "root's", 6, 0), 0); /* of its neighbour */
	assert_int_equal(volume_listxattr(f->v, file, NULL, 0, &size), 0);
	assert_int_equal(size, 18);
	assert_int_equal(volume_listxattr(f->v, file, buf, 17, &size), -ERANGE);
	assert_int_equal(volume_listxattr(f->v, file, buf, 18, &size), 0);
	assert_memory_equal(buf, "user.a\0user.empty", 18);
	assert_int_equal(volume_removexattr(f->v, file, "user.none"), -ENODATA);
	assert_int_equal(volume_removexattr(f->v, file, "user.a"), 0);
	assert_int_equal(volume_removexattr(f->v, file, "user.a"), -ENODATA);
	assert_int_equal(volume_getxattr(f->v, file, "user.a", buf, 64, &size), -ENODATA);
	assert_int_equal(volume_removexattr(f->v, file, "user.empty"), 0);
	assert_int_equal(volume_listxattr(f->v, file, NULL, 0, &size), 0);
	assert_int_equal(size, 0);
}

static void test_xattr_limits(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	char name[VOL_XATTR_NAME_MAX + 2], *big = calloc(1, VOL_XATTR_VALUE_MAX + 1),
					   *got = malloc(VOL_XATTR_VALUE_MAX);
	size_t size;

	memset(name, 'n', sizeof(name));
	name[VOL_XATTR_NAME_MAX + 1] = 0;
	assert_int_equal(volume_setxattr(f->v, file, name, "", 0, 0), -ERANGE);
	assert_int_equal(volume_setxattr(f->v, file, "", "", 0, 0), -ERANGE);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", big, VOL_XATTR_VALUE_MAX + 1, 0), -E2BIG);
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "", 0, 4), -EINVAL);
	memset(big, 'b', VOL_XATTR_VALUE_MAX);
	assert_int_equal(volume_setxattr(f->v, file, name + 1, big, VOL_XATTR_VALUE_MAX, 0), 0);
	assert_int_equal(volume_getxattr(f->v, file, name + 1, got, VOL_XATTR_VALUE_MAX, &size), 0);
	assert_int_equal(size, VOL_XATTR_VALUE_MAX);
	assert_memory_equal(got, big, size);
	assert_int_equal(volume_setxattr(f->v, schema_ino(1, 99), "user.a", "", 0, 0), -ENOENT);
	assert_int_equal(volume_getxattr(f->v, schema_ino(1, 99), "user.a", got, 0, &size), -ENOENT);
	free(big);
	free(got);
}

static void test_statfs(void **state)
{
	struct fixture *f = *state;
	struct vol_statfs st;

	assert_int_equal(volume_statfs(f->v, &st), 0);
	assert_true(st.total_bytes > st.free_bytes && st.free_bytes > st.available_bytes && st.available_bytes > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_times),
		volume_test(test_owner_and_mode),
		volume_test(test_set_gid_without_execution),
		volume_test(test_capabilities_fall),
		volume_test(test_xattr),
		volume_test(test_xattr_limits),
		volume_test(test_statfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
