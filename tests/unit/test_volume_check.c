/* SPDX-License-Identifier: MIT */
/* volume_check(): each rule of a volume is broken in turn, and the find has kind, path and reason. */
#include <sys/xattr.h>

#include "fs/schema/coding.h"
#include "fs/volume/check.h"
#include "tests/unit/rows_damage.h"

/* ---- finds ---- */

struct seen {
	unsigned n;
	struct {
		enum volume_find_kind kind;
		char path[128], what[200];
		vol_ino ino, dir;
		char name[64];
		uint64_t right;
		size_t begin_size, end_size;
	} finds[16];
	uint64_t done, total;
};

static int on_find(void *ctx, const struct volume_find *f)
{
	struct seen *s = ctx;

	if (s->n < 16) {
		snprintf(s->finds[s->n].path, sizeof(s->finds[0].path), "%s", f->path);
		snprintf(s->finds[s->n].what, sizeof(s->finds[0].what), "%s", f->what);
		snprintf(s->finds[s->n].name, sizeof(s->finds[0].name), "%.*s", (int)f->name_size, f->name);
		s->finds[s->n].kind = f->kind;
		s->finds[s->n].ino = f->ino;
		s->finds[s->n].dir = f->dir;
		s->finds[s->n].right = f->right;
		s->finds[s->n].begin_size = f->begin.size;
		s->finds[s->n].end_size = f->end.size;
	}
	s->n++;
	return 0;
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct seen *s = ctx;

	assert_true(done >= s->done && (!total || done <= total));
	s->done = done;
	s->total = total;
	return 0;
}

static struct seen check(struct fixture *f, struct volume_checked *ret, int want)
{
	struct volume_checked sums = { 0 };
	struct seen s = { 0 };
	const struct volume_check_options options = { .find = on_find, .progress = on_progress, .ctx = &s };
	uint64_t before = rows_mem_digest(f->rows);

	assert_int_equal(volume_check(f->rows, &options, &sums), want);
	assert_int_equal(rows_mem_digest(f->rows), before);
	assert_int_equal(sums.finds, s.n);
	if (ret)
		*ret = sums;
	return s;
}

static void show(const struct seen *s)
{
	for (unsigned i = 0; i < s->n && i < 16; i++)
		print_error("%d %s: %s\n", s->finds[i].kind, s->finds[i].path, s->finds[i].what);
}

/* Among the finds is this one. Returns its place. */
static unsigned expect_one_of(const struct seen *s, enum volume_find_kind kind, const char *path, const char *what)
{
	for (unsigned i = 0; i < s->n && i < 16; i++)
		if (s->finds[i].kind == kind && strcmp(s->finds[i].path, path) == 0 && strstr(s->finds[i].what, what))
			return i;
	print_error("not found: %d %s: %s\n", kind, path, what);
	show(s);
	fail();
	return 0;
}

/* It is the only find. */
static struct seen expect(struct fixture *f, enum volume_find_kind kind, const char *path, const char *what)
{
	struct seen s = check(f, NULL, 0);

	expect_one_of(&s, kind, path, what);
	if (s.n != 1)
		show(&s);
	assert_int_equal(s.n, 1);
	return s;
}

static void expect_clean(struct fixture *f)
{
	struct seen s = check(f, NULL, 0);

	show(&s);
	assert_int_equal(s.n, 0);
}

/* ---- the tests ---- */

static void test_clean(void **state)
{
	struct fixture *f = *state;
	struct volume_checked sums;
	struct vol_attr attr;
	struct seen s;

	expect_clean(f);
	fill(f);
	s = check(f, &sums, 0);
	assert_int_equal(s.n, 0);
	assert_true(sums.files == 3 && sums.directories == 3 && sums.others == 2 && !sums.passed_over);
	assert_int_equal(sums.rows, row_count(f));
	assert_true(s.done == s.total && s.total >= 2 * sums.rows);
	/* one without a name */
	assert_int_equal(volume_tmpfile(f->v, VOL_ROOT, 0600, &fixture_cred, &attr), 0);
	assert_int_equal(volume_write(f->v, attr.ino, 0, "x", 1, 0), 0);
	expect_clean(f);
}

/* Whatever a volume does, it stays one. */
static void test_clean_after_work(void **state)
{
	struct fixture *f = *state;
	struct vol_gone gone = { 0 };
	struct tree t = fill(f);
	char name[32];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		make_file(f, t.b, name);
	}
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "file", t.b, "moved", 0, &gone), 0);
	assert_int_equal(volume_rename(f->v, t.a, "b", VOL_ROOT, "b", 0, &gone), 0);
	assert_int_equal(volume_unlink(f->v, t.a, "small", &gone), 0);
	assert_int_equal(volume_fallocate(f->v, t.big, 3, 100000, 50000), 0);
	expect_clean(f);
	assert_int_equal(volume_unlink(f->v, t.b, "again", &gone), 0);
	expect_clean(f); /* an orphan */
	assert_int_equal(volume_reclaim(f->v, gone.ino), 0);
	expect_clean(f);
}

static void test_super(void **state)
{
	struct fixture *f = *state;
	struct schema_key key;
	struct seen s;

	schema_key_super(&key);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "x", 1 });
	s = check(f, NULL, -EUCLEAN);
	expect_one_of(&s, VOLUME_FIND_SUPER, "", "the superblock is damaged");
	rows_mem_delete(f->rows, row_key(&key));
	s = check(f, NULL, -EUCLEAN);
	expect_one_of(&s, VOLUME_FIND_SUPER, "", "there is no superblock");
}

static void test_root(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	fill(f);
	inode_delete(f, VOL_ROOT);
	s = check(f, NULL, 0);
	expect_one_of(&s, VOLUME_FIND_SUPER, "/", "the root directory is missing");
	expect_one_of(&s, VOLUME_FIND_STRAY, "", "entries of inode 1:0, which isn't there");
}

static void test_counter_of_parts(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[SCHEMA_PARTS_SIZE];
	struct schema_key key;
	struct tree t = fill(f);
	uint64_t last = schema_ino_part(t.b);
	struct seen s;

	schema_key_parts(&key);
	schema_parts_encode(last, buf);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ buf, sizeof(buf) });
	s = expect(f, VOLUME_FIND_COUNTER, "", "is in use");
	assert_int_equal(s.finds[0].right, last + 1);
	rows_mem_delete(f->rows, row_key(&key));
	expect(f, VOLUME_FIND_COUNTER, "", "counter of parts is missing");
}

static void test_births(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	WITH_INODE(f, t.b, i.dir.birth_next = schema_ino_sequence(t.big));
	expect(f, VOLUME_FIND_COUNTER, "/a/b/big", "to be given out from");
	WITH_INODE(f, t.b, (i.dir.birth_part = schema_ino_part(t.a), i.dir.birth_next = 100));
	expect(f, VOLUME_FIND_COUNTER, "/a/b", "as another directory does");
}

static void test_dangling(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct seen s;

	inode_delete(f, t.link);
	s = expect(f, VOLUME_FIND_ENTRY, "/a/sym", "which isn't there");
	assert_true(s.finds[0].dir == t.a && strcmp(s.finds[0].name, "sym") == 0);
}

static void test_type(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct seen s;

	entry_set(f, t.a, "sym", t.link, S_IFREG, 0);
	s = expect(f, VOLUME_FIND_TYPE, "/a/sym", "the entry's type is 0100000, the inode's 0120000");
	assert_int_equal(s.finds[0].right, S_IFLNK);
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_key key;
	uint8_t bucket[2 * SCHEMA_ENTRY_MAX];
	struct schema_entry e = { .type = S_IFIFO, .ino = ino_of(f, t.a, "fifo"), .name = "fifo", .name_size = 4 };
	size_t size;

	entry_set(f, VOL_ROOT, "..", t.small, S_IFREG, 0);
	dir_add(f, VOL_ROOT, 1, 0);
	WITH_INODE(f, t.small, i.nlink++);
	expect(f, VOLUME_FIND_NAME, "/..", "no entry may have this name");
	entry_delete(f, VOL_ROOT, "..");
	entry_set(f, VOL_ROOT, "odd", t.small, S_IFREG, 1);
	expect(f, VOLUME_FIND_NAME, "/odd", "another hash");
	schema_key_bucket(&key, VOL_ROOT, schema_name_hash("odd", 3, f->v->super.seed) + 1);
	rows_mem_delete(f->rows, row_key(&key));
	WITH_INODE(f, t.small, i.nlink--);
	dir_add(f, VOL_ROOT, -1, 0);
	/* a name with a slash, and one that is there twice */
	schema_key_bucket(&key, t.a, schema_name_hash("fifo", 4, f->v->super.seed));
	size = schema_entry_encode(&e, bucket);
	e.slot = 1;
	size += schema_entry_encode(&e, bucket + size);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ bucket, size });
	dir_add(f, t.a, 1, 0);
	WITH_INODE(f, e.ino, i.nlink++);
	expect(f, VOLUME_FIND_NAME, "/a/fifo", "another entry of this name");
	bucket[size - 2] = '/';
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ bucket, size });
	{
		struct seen s = check(f, NULL, 0);

		expect_one_of(&s, VOLUME_FIND_UNREADABLE, "/a", "makes no sense from byte");
	}
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "", 0 });
	{
		struct seen s = check(f, NULL, 0);

		expect_one_of(&s, VOLUME_FIND_UNREADABLE, "/a", "a row of entries is empty");
	}
}

static void test_links(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct seen s;

	WITH_INODE(f, t.small, i.nlink = 5);
	s = expect(f, VOLUME_FIND_LINKS, "/a/small", "2 entries lead to it, but its link count is 5");
	assert_int_equal(s.finds[0].right, 2);
	WITH_INODE(f, t.small, i.nlink = 2);
	dir_add(f, t.a, 0, 1);
	s = expect(f, VOLUME_FIND_LINKS, "/a", "1 subdirectories, but a link count of 4");
	assert_int_equal(s.finds[0].right, 3);
	dir_add(f, t.a, 3, -1);
	s = expect(f, VOLUME_FIND_ENTRIES, "/a", "4 entries, but 7 by its inode");
	assert_int_equal(s.finds[0].right, 4);
	assert_int_equal(s.finds[0].ino, t.a);
}

static void test_lost(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	char path[64];
	struct seen s;

	entry_delete(f, t.b, "big");
	dir_add(f, t.b, -1, 0);
	snprintf(path, sizeof(path), "inode %u:%u", (unsigned)schema_ino_part(t.big), schema_ino_sequence(t.big));
	s = expect(f, VOLUME_FIND_LOST, path, "no entry leads to it");
	assert_int_equal(s.finds[0].ino, t.big);
	WITH_INODE(f, t.big, i.nlink = 0);
	expect(f, VOLUME_FIND_LOST, path, "isn't noted as removed");
	/* with it, what lies below a directory is told once */
	entry_delete(f, VOL_ROOT, "a");
	dir_add(f, VOL_ROOT, -1, -1);
	s = check(f, NULL, 0);
	assert_int_equal(s.n, 2);
	snprintf(path, sizeof(path), "inode %u:0", (unsigned)schema_ino_part(t.a));
	expect_one_of(&s, VOLUME_FIND_LOST, path, "no entry leads to it");
}

static void test_orphans(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_key key;

	schema_key_orphan(&key, t.file);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "", 0 });
	expect(f, VOLUME_FIND_ORPHAN, "/file", "noted as removed, but it isn't");
	rows_mem_delete(f->rows, row_key(&key));
	schema_key_orphan(&key, t.file + 100);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "", 0 });
	expect(f, VOLUME_FIND_ORPHAN, "", "but it isn't there");
}

static void test_parent(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct seen s;

	WITH_INODE(f, t.b, i.dir.parent = VOL_ROOT);
	s = check(f, NULL, 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.finds[0].kind, VOLUME_FIND_PARENT);
	assert_true(s.finds[0].ino == t.b && s.finds[0].right == t.a);
}

static void test_two_names_of_a_directory(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);

	entry_set(f, VOL_ROOT, "b2", t.b, S_IFDIR, 0);
	dir_add(f, VOL_ROOT, 1, 1);
	{
		struct seen s = check(f, NULL, 0);

		/* which of the two is the other is told by the order of the directories */
		expect_one_of(&s, VOLUME_FIND_TWICE, "/a/b", "another name already");
		expect_one_of(&s, VOLUME_FIND_PARENT, "/a/b", "its entry is in another directory");
	}
}

/* a/b is cut off and lies in itself: b has an entry for a, and a for b. */
static void test_cycle(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct seen s;

	entry_delete(f, VOL_ROOT, "a");
	dir_add(f, VOL_ROOT, -1, -1);
	entry_set(f, t.b, "a", t.a, S_IFDIR, 0);
	dir_add(f, t.b, 1, 1);
	WITH_INODE(f, t.a, i.dir.parent = t.b);
	s = check(f, NULL, 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.finds[0].kind, VOLUME_FIND_CYCLE);
	assert_true(strlen(s.finds[0].path) > 0);
}

static void test_extents(void **state)
{
	static uint8_t data[(1 << 20) + 1];
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_key key;
	struct seen s;

	WITH_INODE(f, t.big, i.file.allocated_bytes += 10);
	s = expect(f, VOLUME_FIND_ALLOCATED, "/a/b/big", "bytes in extents, but");
	WITH_INODE(f, t.big, i.file.allocated_bytes = s.finds[0].right);
	expect_clean(f);
	/* behind the end, over another, too large, across a multiple of 1 MiB, empty, of somebody who has none, of nobody */
	WITH_INODE(f, t.big, i.file.size -= 1);
	expect(f, VOLUME_FIND_EXTENT, "/a/b/big", "but the file at");
	WITH_INODE(f, t.big, (i.file.size += 1, i.file.allocated_bytes += 4096));
	schema_key_extent(&key, t.big, 100);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ data, 4096 });
	expect(f, VOLUME_FIND_EXTENT, "/a/b/big", "over the one before");
	rows_mem_delete(f->rows, row_key(&key));
	schema_key_extent(&key, t.big, (4 << 20) - 96);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ data, 4096 });
	expect(f, VOLUME_FIND_EXTENT, "/a/b/big", "crosses a multiple");
	rows_mem_delete(f->rows, row_key(&key));
	WITH_INODE(f, t.big, i.file.allocated_bytes -= 4096);
	schema_key_extent(&key, t.big, 4 << 20);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ data, 0 });
	expect(f, VOLUME_FIND_EXTENT, "/a/b/big", "has 0 bytes");
	rows_mem_delete(f->rows, row_key(&key));
	WITH_INODE(f, t.big, i.file.allocated_bytes += sizeof(data));
	schema_key_extent(&key, t.big, 3 << 20);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ data, sizeof(data) });
	expect(f, VOLUME_FIND_EXTENT, "/a/b/big", "has 1048577 bytes");
	rows_mem_delete(f->rows, row_key(&key));
	WITH_INODE(f, t.big, i.file.allocated_bytes -= sizeof(data));
	schema_key_extent(&key, t.small, 0);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ data, 1 });
	expect(f, VOLUME_FIND_STRAY, "", "which can't have any");
	rows_mem_delete(f->rows, row_key(&key));
	schema_key_extent(&key, t.big + 50, 0);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ data, 1 });
	schema_key_extent(&key, t.big + 50, 1);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ data, 1 });
	s = expect(f, VOLUME_FIND_STRAY, "", "which isn't there");
	assert_true(s.finds[0].begin_size && s.finds[0].end_size);
}

static void test_extents_missing(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_key key;

	for (uint64_t at = 0; at <= 6 << 20; at += 1 << 20) {
		schema_key_extent(&key, t.big, at);
		rows_mem_delete(f->rows, row_key(&key));
	}
	expect(f, VOLUME_FIND_ALLOCATED, "/a/b/big", "its extents are missing");
}

static void test_xattrs(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_key key;
	static uint8_t value[VOL_XATTR_VALUE_MAX + 1];

	WITH_INODE(f, t.file, i.xattrs = 3);
	expect(f, VOLUME_FIND_XATTRS, "/file", "has 1 extended attributes, but 3 by its inode");
	schema_key_xattr(&key, t.file, "user.x", 6);
	rows_mem_delete(f->rows, row_key(&key));
	expect(f, VOLUME_FIND_XATTRS, "/file", "its extended attributes are missing");
	WITH_INODE(f, t.file, i.xattrs = 1);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ value, sizeof(value) });
	expect(f, VOLUME_FIND_XATTR, "/file", "has 65537 bytes");
	rows_mem_delete(f->rows, row_key(&key));
	schema_key_xattr(&key, t.file, "us\0er", 5);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ value, 1 });
	expect(f, VOLUME_FIND_XATTR, "/file", "a name that can't be");
	rows_mem_delete(f->rows, row_key(&key));
	schema_key_xattr(&key, t.file, VOL_ACL_ACCESS, strlen(VOL_ACL_ACCESS));
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ value, 7 });
	expect(f, VOLUME_FIND_XATTR, "/file", "access control list makes no sense");
	rows_mem_delete(f->rows, row_key(&key));
	WITH_INODE(f, t.file, i.xattrs = 0);
	schema_key_xattr(&key, t.file + 77, "user.y", 6);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ value, 1 });
	expect(f, VOLUME_FIND_STRAY, "", "extended attributes of inode");
}

static void test_features(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[SCHEMA_SUPER_SIZE];
	struct schema_super super;
	struct schema_key key;
	struct seen s;

	fill(f);
	super = f->v->super;
	super.features_incompat = 0;
	schema_super_encode(&super, buf);
	schema_key_super(&key);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ buf, sizeof(buf) });
	s = expect(f, VOLUME_FIND_FEATURE, "/file", "flags of chattr");
	assert_int_equal(s.finds[0].right, SCHEMA_FEATURE_FLAGS);
}

static void test_damaged_inode(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct schema_key key;

	schema_key_inode(&key, t.small);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "nonsense", 8 });
	expect(f, VOLUME_FIND_UNREADABLE, "/a/small", "the inode makes no sense");
}

static void test_unknown_rows(void **state)
{
	static const char *const keys[] = { "x", "nonsense", "a key that nobody has made", "\0\0\0\0\0\0\0\0q" };
	struct fixture *f = *state;

	fill(f);
	for (unsigned i = 0; i < 4; i++) {
		struct row_key key = { keys[i], i == 3 ? 9 : strlen(keys[i]) };

		rows_mem_put(f->rows, key, (struct row_key){ "v", 1 });
		expect(f, VOLUME_FIND_STRAY, "", "that no volume has");
		rows_mem_delete(f->rows, key);
	}
}

/* What the store can't read is named by path, and nothing is concluded from its absence. */
static void test_known_damage(void **state)
{
	struct fixture *f = *state;
	struct tree t = fill(f);
	struct volume_checked sums = { 0 };
	struct schema_key begin, end, content;
	struct volume_range range;
	struct row_key damaged;
	struct seen s = { 0 };
	struct volume_check_options options = {
		.find = on_find, .ctx = &s, .unreadable = &range, .unreadable_n = 1, .damaged = &damaged, .damaged_n = 1
	};

	schema_key_inode(&begin, t.link);
	schema_key_inode(&end, t.link + 1);
	schema_key_extent(&content, t.big, 1 << 20);
	range = (struct volume_range){ row_key(&begin), row_key(&end) };
	damaged = row_key(&content);
	inode_delete(f, t.link); /* as if it could not be read */
	assert_int_equal(volume_check(f->rows, &options, &sums), 0);
	assert_int_equal(s.n, 2);
	expect_one_of(&s, VOLUME_FIND_UNREADABLE, "/a/sym", "the inode can't be read");
	expect_one_of(&s, VOLUME_FIND_UNREADABLE, "/a/b/big", "its content at byte 1048576 and behind");
}

static int stop(void *ctx, const struct volume_find *f)
{
	(void)ctx, (void)f;
	return 55;
}

static void test_stopped(void **state)
{
	struct fixture *f = *state;
	const struct volume_check_options options = { .find = stop };
	struct volume_checked sums;
	struct tree t = fill(f);

	inode_delete(f, t.link);
	assert_int_equal(volume_check(f->rows, &options, &sums), 55);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_clean),
		volume_test(test_clean_after_work),
		volume_test(test_super),
		volume_test(test_root),
		volume_test(test_counter_of_parts),
		volume_test(test_births),
		volume_test(test_dangling),
		volume_test(test_type),
		volume_test(test_names),
		volume_test(test_links),
		volume_test(test_lost),
		volume_test(test_orphans),
		volume_test(test_parent),
		volume_test(test_two_names_of_a_directory),
		volume_test(test_cycle),
		volume_test(test_extents),
		volume_test(test_extents_missing),
		volume_test(test_xattrs),
		volume_test(test_features),
		volume_test(test_damaged_inode),
		volume_test(test_unknown_rows),
		volume_test(test_known_damage),
		volume_test(test_stopped),
	};

	return cmocka_run_group_tests_name("volume_check", tests, NULL, NULL);
}
