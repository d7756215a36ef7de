/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fs/schema/schema.h"
#include "tests/support/rng.h"

static uint64_t seed;

static int order(const struct schema_key *a, const struct schema_key *b)
{
	int r = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);

	return r ? r : (a->size > b->size) - (a->size < b->size);
}

static void test_ino(void **state)
{
	uint64_t ino = schema_ino(SCHEMA_PART_END - 1, SCHEMA_SEQUENCE_END - 1);

	(void)state;
	assert_int_equal(ino, UINT64_MAX);
	assert_int_equal(schema_ino_part(ino), SCHEMA_PART_END - 1);
	assert_int_equal(schema_ino_sequence(ino), SCHEMA_SEQUENCE_END - 1);
}

static void test_keys_sort(void **state)
{
	uint64_t file = schema_ino(7, 3), next = schema_ino(7, 4), last = schema_ino(7, SCHEMA_SEQUENCE_END - 1);
	struct schema_key a, b, end;

	(void)state;
	schema_key_extent(&a, file, 0xffff);
	schema_key_extent(&b, file, 0x10000);
	schema_key_extent_end(&end, file);
	assert_true(order(&a, &b) < 0 && order(&b, &end) < 0);
	schema_key_extent(&b, next, 0);
	assert_true(order(&end, &b) <= 0);
	schema_key_extent(&a, last, INT64_MAX);
	schema_key_extent_end(&end, last);
	schema_key_inode(&b, schema_ino(7, 0));
	assert_true(order(&a, &end) < 0 && order(&end, &b) < 0);
	schema_key_bucket(&a, schema_ino(7, 0), UINT64_C(1) << 55);
	schema_key_bucket_end(&end, schema_ino(7, 0));
	assert_true(order(&a, &end) < 0 && order(&end, &b) < 0);
	schema_key_xattr(&a, file, "user.a", 6);
	schema_key_xattr_end(&end, file);
	assert_true(order(&a, &end) < 0);
	schema_key_bucket(&b, schema_ino(8, 0), 1);
	assert_true(order(&end, &b) < 0);
}

static void test_keys_decode(void **state)
{
	struct schema_key key;
	const char *name;
	uint64_t x;
	size_t size;

	(void)state;
	schema_key_orphan(&key, 0x123456789abcdef0);
	assert_int_equal(schema_orphan_of_key(key.data, key.size, &x), 0);
	assert_int_equal(x, 0x123456789abcdef0);
	assert_int_equal(schema_orphan_of_key(key.data, key.size - 1, &x), -EUCLEAN);
	assert_int_equal(schema_bucket_of_key(key.data, key.size, &x), -EUCLEAN);
	schema_key_bucket(&key, schema_ino(5, 0), 77);
	assert_int_equal(schema_bucket_of_key(key.data, key.size, &x), 0);
	assert_int_equal(x, 77);
	schema_key_bucket(&key, schema_ino(5, 0), 0);
	assert_int_equal(schema_bucket_of_key(key.data, key.size, &x), -EUCLEAN);
	schema_key_bucket(&key, schema_ino(5, 0), UINT64_C(1) << SCHEMA_HASH_BITS);
	assert_int_equal(schema_bucket_of_key(key.data, key.size, &x), -EUCLEAN);
	schema_key_extent(&key, schema_ino(5, 9), 4096);
	assert_int_equal(schema_extent_of_key(key.data, key.size, &x), 0);
	assert_int_equal(x, 4096);
	schema_key_xattr(&key, schema_ino(5, 9), "user.name", 9);
	assert_int_equal(schema_xattr_of_key(key.data, key.size, &name, &size), 0);
	assert_int_equal(size, 9);
	assert_memory_equal(name, "user.name", 9);
	assert_int_equal(schema_xattr_of_key(key.data, 13, &name, &size), -EUCLEAN);
}

static void test_hash(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t hash = schema_name_hash((char *)&i, sizeof(i), 5);

		assert_true(hash > 0 && hash >> SCHEMA_HASH_BITS == 0);
		assert_true(schema_cookie(hash, SCHEMA_SLOTS - 1) <= INT64_MAX);
		assert_true(schema_cookie(hash, 0) > 2);
	}
	assert_true(schema_name_hash("a", 1, 1) != schema_name_hash("a", 1, 2));
}

static size_t make_bucket(uint8_t *buf)
{
	static const char long_name[SCHEMA_NAME_MAX + 1] = { [0 ... SCHEMA_NAME_MAX - 1] = 'n' };
	const struct schema_entry entries[] = {
		{ .slot = 0, .type = S_IFREG, .ino = schema_ino(1, 1), .name = "a", .name_size = 1 },
		{ .slot = 1, .type = S_IFDIR, .ino = schema_ino(SCHEMA_PART_END - 1, 0), .name = "bb", .name_size = 2 },
		{ .slot = 127, .type = S_IFLNK, .ino = UINT64_MAX, .name = long_name, .name_size = SCHEMA_NAME_MAX },
	};
	size_t size = 0;

	for (unsigned i = 0; i < 3; i++)
		size += schema_entry_encode(&entries[i], buf + size);
	return size;
}

static void test_bucket(void **state)
{
	uint8_t buf[3 * SCHEMA_ENTRY_MAX];
	size_t size = make_bucket(buf), pos = 0;
	struct schema_entry e;

	(void)state;
	assert_int_equal(schema_entry_next(buf, size, &pos, &e), 1);
	assert_int_equal(e.slot, 0);
	assert_int_equal(schema_entry_next(buf, size, &pos, &e), 1);
	assert_int_equal(e.type, S_IFDIR);
	assert_int_equal(e.ino, schema_ino(SCHEMA_PART_END - 1, 0));
	assert_memory_equal(e.name, "bb", 2);
	assert_int_equal(schema_entry_next(buf, size, &pos, &e), 1);
	assert_int_equal(e.slot, 127);
	assert_int_equal(e.name_size, SCHEMA_NAME_MAX);
	assert_int_equal(schema_entry_next(buf, size, &pos, &e), 0);
	pos = 0;
	buf[0] = 1; /* the second one's slot */
	assert_int_equal(schema_entry_next(buf, size, &pos, &e), -EUCLEAN);
}

static void test_entry_refuses(void **state)
{
	struct schema_entry e = { .type = S_IFREG, .ino = schema_ino(1, 1), .name = "name", .name_size = 4 }, got;
	uint8_t buf[SCHEMA_ENTRY_MAX];
	size_t size = schema_entry_encode(&e, buf), pos = 0;

	(void)state;
	for (size_t cut = 1; cut < size; cut++)
		assert_int_equal(schema_entry_next(buf, cut, &pos, &got), -EUCLEAN);
	e.name = "na/e";
	size = schema_entry_encode(&e, buf);
	assert_int_equal(schema_entry_next(buf, size, &pos, &got), -EUCLEAN);
	e.name = "na\0e";
	size = schema_entry_encode(&e, buf);
	assert_int_equal(schema_entry_next(buf, size, &pos, &got), -EUCLEAN);
	e = (struct schema_entry){ .type = S_IFDIR, .ino = schema_ino(1, 1), .name = "n", .name_size = 1 };
	size = schema_entry_encode(&e, buf);
	assert_int_equal(schema_entry_next(buf, size, &pos, &got), -EUCLEAN);
}

static void check_round_trip(const struct schema_inode *inode)
{
	uint8_t buf[SCHEMA_INODE_MAX], again[SCHEMA_INODE_MAX];
	struct schema_inode got;
	size_t size = schema_inode_encode(inode, buf);

	assert_true(size <= SCHEMA_INODE_HEAD_MAX + inode->content_size);
	assert_int_equal(schema_inode_decode(buf, size, &got), 0);
	assert_int_equal(got.mode, inode->mode);
	assert_int_equal(got.nlink, inode->nlink);
	assert_int_equal(got.uid, inode->uid);
	assert_int_equal(got.gid, inode->gid);
	assert_int_equal(got.generation, inode->generation);
	assert_int_equal(got.xattrs, inode->xattrs);
	assert_int_equal(got.flags, inode->flags);
	assert_memory_equal(&got.atime, &inode->atime, sizeof(got.atime));
	assert_memory_equal(&got.mtime, &inode->mtime, sizeof(got.mtime));
	assert_memory_equal(&got.ctime, &inode->ctime, sizeof(got.ctime));
	assert_memory_equal(&got.btime, &inode->btime, sizeof(got.btime));
	assert_int_equal(got.content_size, inode->content_size);
	if (got.content_size > 0)
		assert_memory_equal(got.content, inode->content, got.content_size);
	assert_int_equal(schema_inode_encode(&got, again), size);
	assert_memory_equal(again, buf, size);
}

static struct schema_inode extreme_inode(uint32_t mode)
{
	return (struct schema_inode){
		.mode = mode,
		.nlink = UINT32_MAX,
		.uid = UINT32_MAX,
		.gid = UINT32_MAX - 1,
		.generation = UINT32_MAX,
		.xattrs = UINT32_MAX,
		.flags = SCHEMA_FLAGS_ALL,
		.atime = { INT64_MIN, 0 },
		.mtime = { INT64_MAX, 999999999 },
		.ctime = { -1, 1 },
		.btime = { 1, 2 },
	};
}

static void test_inode_round_trip(void **state)
{
	static uint8_t content[SCHEMA_SYMLINK_MAX];
	struct schema_inode i;

	(void)state;
	memset(content, 'c', sizeof(content));
	i = extreme_inode(S_IFREG | 07777);
	i.file.size = INT64_MAX;
	i.file.allocated_bytes = INT64_MAX;
	check_round_trip(&i);
	i.file.inlined = true;
	i.file.allocated_bytes = i.content_size = SCHEMA_INLINE_MAX;
	i.content = content;
	check_round_trip(&i);
	i = extreme_inode(S_IFDIR | 01777);
	i.dir.parent = schema_ino(SCHEMA_PART_END - 1, 0);
	i.dir.birth_part = SCHEMA_PART_END - 1;
	i.dir.birth_next = SCHEMA_SEQUENCE_END;
	i.dir.entries = INT64_MAX;
	check_round_trip(&i);
	i = extreme_inode(S_IFCHR | 0600);
	i.rdev = UINT64_MAX;
	check_round_trip(&i);
	i = extreme_inode(S_IFLNK | 0777);
	i.content = content;
	i.content_size = SCHEMA_SYMLINK_MAX;
	check_round_trip(&i);
	i = extreme_inode(S_IFSOCK);
	i.atime = i.ctime = i.btime = i.mtime;
	check_round_trip(&i);
}

/* A small file's row must stay what the engine keeps in the tree: values below 4 KiB. */
static void test_inode_is_small(void **state)
{
	static uint8_t content[SCHEMA_INLINE_MAX];
	struct timespec now = { 1700000000, 123456789 };
	uint8_t buf[SCHEMA_INODE_MAX];
	struct schema_inode i = {
		.mode = S_IFREG | 0644,
		.nlink = 1,
		.uid = 1000,
		.gid = 1000,
		.generation = 1,
		.atime = now,
		.mtime = now,
		.ctime = now,
		.btime = now,
	};

	(void)state;
	i.file.inlined = true;
	assert_true(schema_inode_encode(&i, buf) <= 32);
	i.content = content;
	i.content_size = sizeof(content);
	i.file.size = i.file.allocated_bytes = sizeof(content);
	assert_true(schema_inode_encode(&i, buf) < 4096);
}

static void test_inode_refuses(void **state)
{
	struct schema_inode i = { .mode = S_IFREG | 0644 }, got = { .uid = 42 };
	uint8_t buf[SCHEMA_INODE_MAX];
	size_t size;

	(void)state;
	i.file.size = 5;
	size = schema_inode_encode(&i, buf);
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(schema_inode_decode(buf, cut, &got), -EUCLEAN);
	buf[size] = 0; /* content of a file that is not inlined */
	assert_int_equal(schema_inode_decode(buf, size + 1, &got), -EUCLEAN);
	buf[0]++; /* format */
	assert_int_equal(schema_inode_decode(buf, size, &got), -EUCLEAN);
	buf[0]--;
	buf[1] |= 0x80; /* flag */
	assert_int_equal(schema_inode_decode(buf, size, &got), -EUCLEAN);
	i.flags = SCHEMA_FLAGS_ALL + 1;
	size = schema_inode_encode(&i, buf);
	assert_int_equal(schema_inode_decode(buf, size, &got), -EUCLEAN);
	i.flags = SCHEMA_FLAG_APPEND;
	size = schema_inode_encode(&i, buf);
	assert_int_equal(schema_inode_decode(buf, size, &got), 0);
	buf[size - 3] = 0; /* flags that are told of and none: in front of size and allocated bytes */
	got.uid = 42;
	assert_int_equal(schema_inode_decode(buf, size, &got), -EUCLEAN);
	i = (struct schema_inode){ .mode = 0070644 };
	size = schema_inode_encode(&i, buf);
	assert_int_equal(schema_inode_decode(buf, size, &got), -EUCLEAN);
	i = (struct schema_inode){ .mode = S_IFLNK | 0777 };
	size = schema_inode_encode(&i, buf);
	assert_int_equal(schema_inode_decode(buf, size, &got), -EUCLEAN);
	/* a directory whose files would be born in part 0, or that hangs below it */
	i = (struct schema_inode){ .mode = S_IFDIR | 0755,
				   .dir = { .parent = schema_ino(SCHEMA_PART_ROOT, 0), .birth_next = 1 } };
	size = schema_inode_encode(&i, buf);
	assert_int_equal(schema_inode_decode(buf, size, &got), -EUCLEAN);
	i.dir.parent = 0;
	i.dir.birth_part = SCHEMA_PART_ROOT;
	size = schema_inode_encode(&i, buf);
	assert_int_equal(schema_inode_decode(buf, size, &got), -EUCLEAN);
	assert_int_equal(got.uid, 42);
}

static void test_super(void **state)
{
	struct schema_super super = { .version = SCHEMA_VERSION, .seed = 0x1234, .created = -7 }, got;
	uint8_t buf[SCHEMA_SUPER_SIZE];

	(void)state;
	memset(super.uuid, 0xab, sizeof(super.uuid));
	schema_super_encode(&super, buf);
	assert_int_equal(schema_super_decode(buf, sizeof(buf), &got), 0);
	assert_int_equal(got.seed, super.seed);
	assert_int_equal(got.created, -7);
	assert_memory_equal(got.uuid, super.uuid, 16);
	assert_false(schema_super_must_not_write(&got));
	assert_int_equal(schema_super_decode(buf, sizeof(buf) - 1, &got), -EUCLEAN);
	for (size_t bit = 0; bit < sizeof(buf) * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(schema_super_decode(buf, sizeof(buf), &got), -EUCLEAN);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	super.features_ro = 1;
	schema_super_encode(&super, buf);
	assert_int_equal(schema_super_decode(buf, sizeof(buf), &got), 0);
	assert_true(schema_super_must_not_write(&got));
	super.features_incompat = UINT64_C(1) << 63;
	schema_super_encode(&super, buf);
	assert_int_equal(schema_super_decode(buf, sizeof(buf), &got), -EUCLEAN);
}

static void test_parts(void **state)
{
	uint8_t buf[SCHEMA_PARTS_SIZE];
	uint64_t next;

	(void)state;
	schema_parts_encode(1026, buf);
	assert_int_equal(schema_parts_decode(buf, sizeof(buf), &next), 0);
	assert_int_equal(next, 1026);
	assert_int_equal(schema_parts_decode(buf, 7, &next), -EUCLEAN);
	schema_parts_encode(1, buf);
	assert_int_equal(schema_parts_decode(buf, sizeof(buf), &next), -EUCLEAN);
	schema_parts_encode(SCHEMA_PART_END + 1, buf);
	assert_int_equal(schema_parts_decode(buf, sizeof(buf), &next), -EUCLEAN);
}

/* What decodes after random damage must encode to the very bytes it was decoded from: no two forms of one thing, and
 * (with the address sanitizer) nothing read outside. */
static void test_mutations(void **state)
{
	struct rng rng = { seed };
	uint8_t good[3 * SCHEMA_ENTRY_MAX], again[SCHEMA_INODE_MAX], *bad;
	struct schema_inode i = extreme_inode(S_IFDIR | 0755), got;
	size_t entries_size = make_bucket(good), inode_size, size, pos, start;
	struct schema_entry e;
	uint8_t inode[SCHEMA_INODE_MAX];

	(void)state;
	i.dir.parent = schema_ino(9, 0);
	i.dir.birth_part = 9;
	i.dir.birth_next = 1;
	inode_size = schema_inode_encode(&i, inode);
	for (unsigned round = 0; round < 200000; round++) {
		bool entries = round & 1;

		size = entries ? entries_size : inode_size;
		if (rng_one_in(&rng, 4))
			size = rng_below(&rng, size) + 1;
		bad = malloc(size); /* of just this size: the sanitizer watches its end */
		memcpy(bad, entries ? good : inode, size);
		for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
			bad[rng_below(&rng, size)] = (uint8_t)rng_next(&rng);
		pos = start = 0;
		if (entries) {
			while (schema_entry_next(bad, size, &pos, &e) > 0) {
				assert_true(pos <= size && pos > start);
				assert_int_equal(schema_entry_encode(&e, again), pos - start);
				assert_memory_equal(again, bad + start, pos - start);
				start = pos;
			}
		} else if (schema_inode_decode(bad, size, &got) == 0 && schema_inode_encode(&got, again) == size) {
			assert_memory_equal(again + 2, bad + 2, size - 2);
		}
		free(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ino),
		cmocka_unit_test(test_keys_sort),
		cmocka_unit_test(test_keys_decode),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_entry_refuses),
		cmocka_unit_test(test_inode_round_trip),
		cmocka_unit_test(test_inode_is_small),
		cmocka_unit_test(test_inode_refuses),
		cmocka_unit_test(test_super),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_mutations),
	};

	seed = seed_choose("test_schema");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
