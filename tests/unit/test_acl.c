/* SPDX-License-Identifier: MIT */
/* Access control lists: the bytes, and what the volume does with them. */
#include <sys/xattr.h>

#include "tests/support/rng.h"
#include "tests/support/volume_fixture.h"

/* ---- lists in the making ---- */

enum { OWNER = 1, USER = 2, GROUP = 4, NAMED_GROUP = 8, MASK = 16, OTHER = 32 };

struct entry {
	unsigned tag, rights;
	uint32_t id;
};

struct list {
	size_t size;
	uint8_t data[VOL_ACL_MAX + 16];
};

static void put_le(uint8_t *p, uint64_t x, unsigned bytes)
{
	for (; bytes > 0; bytes--, x >>= 8)
		*p++ = (uint8_t)x;
}

static struct list list_of(const struct entry *entries, size_t n)
{
	struct list list = { .size = 4 + 8 * n };

	assert_true(list.size <= sizeof(list.data));
	put_le(list.data, 2, 4);
	for (size_t i = 0; i < n; i++) {
		put_le(list.data + 4 + 8 * i, entries[i].tag, 2);
		put_le(list.data + 6 + 8 * i, entries[i].rights, 2);
		put_le(list.data + 8 + 8 * i, entries[i].id, 4);
	}
	return list;
}

#define LIST(...)                                      \
	list_of((const struct entry[]){ __VA_ARGS__ }, \
		sizeof((const struct entry[]){ __VA_ARGS__ }) / sizeof(struct entry))

#define NONE UINT32_MAX

/* ---- the bytes ---- */

static void test_good(void **state)
{
	const struct list good[] = {
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { MASK, 1, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 6, NONE }, { USER, 6, 7 }, { GROUP, 4, NONE }, { MASK, 6, NONE }, { OTHER, 4, NONE }),
		LIST({ OWNER, 6, NONE }, { GROUP, 4, NONE }, { NAMED_GROUP, 6, 0 }, { MASK, 6, NONE },
		     { OTHER, 4, NONE }),
		LIST({ OWNER, 6, NONE }, { USER, 6, 9 }, { USER, 7, 7 }, { GROUP, 4, NONE }, { NAMED_GROUP, 6, 1 },
		     { NAMED_GROUP, 6, 0xfffffffe }, { MASK, 6, NONE }, { OTHER, 4, NONE }),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(schema_acl_check(good[i].data, good[i].size), 0);
		for (size_t size = 0; size < good[i].size; size++)
			assert_int_equal(schema_acl_check(good[i].data, size), size == 4 ? 0 : -EINVAL);
		assert_int_equal(schema_acl_check(good[i].data, good[i].size + 8), -EINVAL); /* an entry of zeros */
	}
	assert_true(schema_acl_is_empty(4));
	assert_false(schema_acl_is_empty(good[0].size));
}

static void test_bad(void **state)
{
	const struct list bad[] = {
		LIST({ OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }),                     /* others lack */
		LIST({ OWNER, 7, NONE }, { OTHER, 5, NONE }),                     /* the group lacks */
		LIST({ GROUP, 7, NONE }, { OTHER, 5, NONE }),                     /* the owner lacks */
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { MASK, 5, NONE }),  /* others lack behind a mask */
		LIST({ GROUP, 5, NONE }, { OWNER, 7, NONE }, { OTHER, 0, NONE }), /* order */
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }, { MASK, 7, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { USER, 0, 1 }, { MASK, 7, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { NAMED_GROUP, 5, 1 }, { GROUP, 0, NONE }, { MASK, 7, NONE },
		     { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }), /* twice */
		LIST({ OWNER, 7, NONE }, { GROUP, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 7, NONE }, { MASK, 5, NONE }, { MASK, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 7, NONE }, { OTHER, 0, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { USER, 7, 1 }, { GROUP, 5, NONE }, { OTHER, 0, NONE }), /* named, no mask */
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { NAMED_GROUP, 7, 1 }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { USER, 7, NONE }, { GROUP, 5, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 8, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }), /* no such right */
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0xffff, NONE }),
		LIST({ OWNER, 7, NONE }, { 3, 5, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }), /* no such tag */
		LIST({ 0, 7, NONE }, { OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE }),
		LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { 64, 5, NONE }, { OTHER, 0, NONE }),
	};
	struct list other_version = LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 0, NONE });

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(schema_acl_check(bad[i].data, bad[i].size), -EINVAL);
	other_version.data[0] = 1;
	assert_int_equal(schema_acl_check(other_version.data, other_version.size), -EINVAL);
	other_version.data[0] = 2;
	other_version.data[3] = 1;
	assert_int_equal(schema_acl_check(other_version.data, other_version.size), -EINVAL);
}

/* As many named users as fit, and one more. */
static void test_size(void **state)
{
	struct entry entries[513] = { { OWNER, 7, NONE } };

	(void)state;
	for (size_t n = 510; n <= 512; n++) {
		struct list list;

		for (size_t i = 1; i < n - 3; i++)
			entries[i] = (struct entry){ USER, 7, (uint32_t)i };
		entries[n - 3] = (struct entry){ GROUP, 7, NONE };
		entries[n - 2] = (struct entry){ MASK, 7, NONE };
		entries[n - 1] = (struct entry){ OTHER, 7, NONE };
		list = list_of(entries, n);
		assert_int_equal(schema_acl_check(list.data, list.size), list.size <= VOL_ACL_MAX ? 0 : -E2BIG);
	}
	assert_int_equal(SCHEMA_ACL_MAX, VOL_ACL_MAX);
}

/* A good list of random entries; what a mode has bits for is also returned. */
static struct list random_list(struct rng *rng, unsigned rights[4], bool *ret_mask)
{
	struct entry entries[12];
	size_t n = 0, users = rng_next(rng) % 3, groups = rng_next(rng) % 3;

	for (unsigned i = 0; i < 4; i++)
		rights[i] = rng_next(rng) % 8;
	*ret_mask = users + groups > 0 || rng_next(rng) % 2 == 0;
	entries[n++] = (struct entry){ OWNER, rights[0], NONE };
	for (; users > 0; users--)
		entries[n++] = (struct entry){ USER, rng_next(rng) % 8, (uint32_t)(rng_next(rng) % 1000) };
	entries[n++] = (struct entry){ GROUP, rights[1], NONE };
	for (; groups > 0; groups--)
		entries[n++] = (struct entry){ NAMED_GROUP, rng_next(rng) % 8, (uint32_t)(rng_next(rng) % 1000) };
	if (*ret_mask)
		entries[n++] = (struct entry){ MASK, rights[2], NONE };
	entries[n++] = (struct entry){ OTHER, rights[3], NONE };
	return list_of(entries, n);
}

/* The same entries but for the rights of the owner, of the mask or else the group, and of others. */
static void assert_rights(const struct list *was, const struct list *is, bool mask, uint32_t mode)
{
	assert_int_equal(was->size, is->size);
	for (size_t at = 4; at < was->size; at += 8) {
		unsigned tag = was->data[at], rights = was->data[at + 2];

		if (tag == OWNER)
			rights = mode >> 6 & 7;
		else if (tag == (mask ? MASK : GROUP))
			rights = mode >> 3 & 7;
		else if (tag == OTHER)
			rights = mode & 7;
		assert_int_equal(is->data[at + 2], rights);
		assert_memory_equal(is->data + at + 3, was->data + at + 3, 5);
		assert_int_equal(is->data[at], tag);
	}
}

static void test_mode(void **state)
{
	struct rng rng = { 11 };

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned rights[4];
		bool mask;
		struct list list = random_list(&rng, rights, &mask), changed = list;
		uint32_t wanted = (uint32_t)(rng_next(&rng) % 010000), mode = S_IFREG | wanted, said;

		assert_int_equal(schema_acl_check(list.data, list.size), 0);
		assert_int_equal(schema_acl_to_mode(list.data, list.size, &mode), mask);
		said = rights[0] << 6 | rights[mask ? 2 : 1] << 3 | rights[3];
		assert_int_equal(mode, S_IFREG | (wanted & 07000) | said);

		schema_acl_chmod(changed.data, changed.size, S_IFREG | wanted);
		assert_rights(&list, &changed, mask, wanted);

		changed = list;
		mode = S_IFDIR | wanted;
		assert_int_equal(schema_acl_inherit(changed.data, changed.size, &mode), mask);
		assert_int_equal(mode, S_IFDIR | (wanted & (said | 07000)));
		assert_rights(&list, &changed, mask, mode);
		assert_int_equal(schema_acl_check(changed.data, changed.size), 0);
	}
}

/* Whatever bytes come: no crash, and what is accepted can be worked with. */
static void test_hostile(void **state)
{
	struct rng rng = { 12 };

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		unsigned rights[4];
		bool mask;
		struct list list = random_list(&rng, rights, &mask);
		uint8_t *copy;
		uint32_t mode = 0640;

		for (uint64_t n = rng_next(&rng) % 3; n > 0; n--)
			list.data[rng_next(&rng) % list.size] ^= (uint8_t)(1u << rng_next(&rng) % 8);
		if (rng_next(&rng) % 4 == 0)
			list.size = rng_next(&rng) % (list.size + 8);
		copy = malloc(list.size ? list.size : 1); /* its end is guarded by the sanitizer */
		memcpy(copy, list.data, list.size);
		if (schema_acl_check(copy, list.size) == 0 && !schema_acl_is_empty(list.size)) {
			schema_acl_inherit(copy, list.size, &mode);
			schema_acl_chmod(copy, list.size, 0777);
			assert_int_equal(schema_acl_check(copy, list.size), 0);
		}
		free(copy);
	}
}

/* ---- in a volume ---- */

static int set(struct fixture *f, vol_ino ino, const char *name, struct list list)
{
	return volume_setxattr(f->v, ino, name, list.data, list.size, 0);
}

static struct list get(struct fixture *f, vol_ino ino, const char *name)
{
	struct list list;

	assert_int_equal(volume_getxattr(f->v, ino, name, list.data, sizeof(list.data), &list.size), 0);
	return list;
}

static bool has(struct fixture *f, vol_ino ino, const char *name)
{
	size_t size;
	int r = volume_getxattr(f->v, ino, name, NULL, 0, &size);

	if (r < 0)
		assert_int_equal(r, -ENODATA);
	return r == 0;
}

static void assert_same(struct list want, struct list got)
{
	assert_int_equal(want.size, got.size);
	assert_memory_equal(want.data, got.data, want.size);
}

static uint32_t xattr_rows(struct fixture *f, vol_ino ino)
{
	struct node node;
	uint32_t n;

	assert_int_equal(node_load(f->v, ino, &node), 0);
	n = node.i.xattrs;
	node_done(&node);
	return n;
}

static struct list with_user(unsigned mask)
{
	return LIST({ OWNER, 6, NONE }, { USER, 7, 1001 }, { GROUP, 4, NONE }, { MASK, mask, NONE },
		    { OTHER, 0, NONE });
}

static void test_set(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct vol_attr before = attr_of(f, file), after;

	assert_int_equal(set(f, file, VOL_ACL_ACCESS, with_user(6)), 0);
	after = attr_of(f, file);
	assert_int_equal(after.mode, S_IFREG | 0660);
	assert_true(later(after.ctime, before.ctime) && same(after.mtime, before.mtime));
	fixture_reopen(f);
	assert_same(with_user(6), get(f, file, VOL_ACL_ACCESS));
	assert_int_equal(xattr_rows(f, file), 1);
	assert_int_equal(set(f, file, VOL_ACL_ACCESS, with_user(1)), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 0610);
	assert_int_equal(xattr_rows(f, file), 1);
	assert_int_equal(volume_removexattr(f->v, file, VOL_ACL_ACCESS), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 0610);
	assert_false(has(f, file, VOL_ACL_ACCESS));
	before = attr_of(f, file);
	assert_int_equal(volume_removexattr(f->v, file, VOL_ACL_ACCESS), 0);
	assert_true(same(attr_of(f, file).ctime, before.ctime));
	assert_int_equal(xattr_rows(f, file), 0);
}

/* What the mode can say is not kept, and what was kept goes. */
static void test_set_as_mode(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	size_t rows = row_count(f);

	assert_int_equal(set(f, file, VOL_ACL_ACCESS, LIST({ OWNER, 7, 0 }, { GROUP, 5, 0 }, { OTHER, 1, 0 })), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 0751);
	assert_int_equal(row_count(f), rows);
	assert_int_equal(set(f, file, VOL_ACL_ACCESS, with_user(6)), 0);
	assert_int_equal(row_count(f), rows + 1);
	assert_int_equal(set(f, file, VOL_ACL_ACCESS, LIST({ OWNER, 0, 0 }, { GROUP, 0, 0 }, { OTHER, 7, 0 })), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 0007);
	assert_int_equal(row_count(f), rows);
	assert_int_equal(set(f, file, VOL_ACL_ACCESS, with_user(6)), 0);
	assert_int_equal(volume_setxattr(f->v, file, VOL_ACL_ACCESS, "\2\0\0\0", 4, XATTR_REPLACE), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 0660);
	assert_int_equal(row_count(f), rows);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a"), dir = make_dir(f, VOL_ROOT, "d");
	struct vol_attr link, before;

	assert_int_equal(volume_symlink(f->v, VOL_ROOT, "l", "a", &fixture_cred, &link), 0);
	before = attr_of(f, file);
	assert_int_equal(volume_setxattr(f->v, file, VOL_ACL_ACCESS, "", 0, 0), -EINVAL);
	assert_int_equal(volume_setxattr(f->v, file, VOL_ACL_ACCESS, "\1\0\0\0", 4, 0), -EINVAL);
	assert_int_equal(volume_setxattr(f->v, dir, VOL_ACL_DEFAULT, "text", 4, 0), -EINVAL);
	assert_int_equal(set(f, file, VOL_ACL_ACCESS, LIST({ OWNER, 7, NONE }, { OTHER, 7, NONE })), -EINVAL);
	assert_int_equal(set(f, file, VOL_ACL_DEFAULT, with_user(7)), -EACCES);
	assert_int_equal(set(f, link.ino, VOL_ACL_ACCESS, with_user(7)), -EOPNOTSUPP);
	assert_int_equal(volume_removexattr(f->v, file, VOL_ACL_DEFAULT), 0);
	assert_int_equal(attr_of(f, file).mode, before.mode);
	assert_true(same(attr_of(f, file).ctime, before.ctime));
	assert_int_equal(xattr_rows(f, file) + xattr_rows(f, dir) + xattr_rows(f, link.ino), 0);
}

static void test_setgid(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct vol_attr wanted = { .mode = 06755 }, attr;
	struct list list = with_user(7);

	assert_int_equal(volume_setattr(f->v, file, &wanted, VOL_SET_MODE, &attr), 0);
	assert_int_equal(set(f, file, VOL_ACL_ACCESS, list), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 06670);
	assert_int_equal(volume_setxattr(f->v, file, VOL_ACL_ACCESS, list.data, list.size, VOL_XATTR_KILL_SGID), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 04670);
}

static void test_chmod(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a"), dir = make_dir(f, VOL_ROOT, "d");
	struct vol_attr wanted = { .mode = 01417, .size = 5, .uid = 3 }, attr;

	assert_int_equal(set(f, file, VOL_ACL_ACCESS, with_user(7)), 0);
	assert_int_equal(volume_setattr(f->v, file, &wanted, VOL_SET_SIZE | VOL_SET_UID, &attr), 0);
	assert_same(with_user(7), get(f, file, VOL_ACL_ACCESS));
	assert_int_equal(volume_setattr(f->v, file, &wanted, VOL_SET_MODE, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 01417);
	assert_same(LIST({ OWNER, 4, NONE }, { USER, 7, 1001 }, { GROUP, 4, NONE }, { MASK, 1, NONE },
			 { OTHER, 7, NONE }),
		    get(f, file, VOL_ACL_ACCESS));
	assert_int_equal(xattr_rows(f, file), 1);

	assert_int_equal(set(f, dir, VOL_ACL_DEFAULT, with_user(5)), 0);
	assert_int_equal(attr_of(f, dir).mode, S_IFDIR | 0755);
	assert_int_equal(volume_setattr(f->v, dir, &wanted, VOL_SET_MODE, &attr), 0);
	assert_same(with_user(5), get(f, dir, VOL_ACL_DEFAULT)); /* is not what the mode is of */
	assert_false(has(f, dir, VOL_ACL_ACCESS));
}

static const struct vol_cred masked = { .uid = 1000, .gid = 100, .umask = 027 };

static void test_umask(void **state)
{
	struct fixture *f = *state;
	struct vol_attr attr;

	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "f", S_IFREG | 04777, 0, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 04750);
	assert_int_equal(volume_mkdir(f->v, VOL_ROOT, "d", 01777, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFDIR | 01750);
	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "p", S_IFIFO | 0666, 0, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFIFO | 0640);
	assert_int_equal(volume_tmpfile(f->v, VOL_ROOT, 0666, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0640);
	assert_int_equal(volume_symlink(f->v, VOL_ROOT, "l", "f", &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFLNK | 0777);
	/* an attribute that is no list changes nothing in that */
	assert_int_equal(volume_setxattr(f->v, VOL_ROOT, "user.a", "1", 1, 0), 0);
	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "g", S_IFREG | 0777, 0, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0750);
	assert_int_equal(xattr_rows(f, attr.ino), 0);
}

static void test_inherit(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "d");
	struct list made =
		LIST({ OWNER, 6, NONE }, { USER, 7, 1001 }, { GROUP, 4, NONE }, { MASK, 4, NONE }, { OTHER, 0, NONE });
	struct vol_attr attr;

	assert_int_equal(set(f, dir, VOL_ACL_DEFAULT, with_user(7)), 0);
	assert_int_equal(volume_mknod(f->v, dir, "f", S_IFREG | 0646, 0, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0640); /* not 0: the umask doesn't count */
	assert_same(made, get(f, attr.ino, VOL_ACL_ACCESS));
	assert_int_equal(xattr_rows(f, attr.ino), 1);

	assert_int_equal(volume_tmpfile(f->v, dir, 0646, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0640);
	assert_same(made, get(f, attr.ino, VOL_ACL_ACCESS));

	assert_int_equal(volume_mkdir(f->v, dir, "e", 0777, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFDIR | 0670);
	assert_same(with_user(7), get(f, attr.ino, VOL_ACL_ACCESS));
	assert_same(with_user(7), get(f, attr.ino, VOL_ACL_DEFAULT));
	assert_int_equal(xattr_rows(f, attr.ino), 2);

	assert_int_equal(volume_symlink(f->v, dir, "l", "f", &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFLNK | 0777);
	assert_int_equal(xattr_rows(f, attr.ino), 0);

	/* a default that a mode can say leaves none on files */
	assert_int_equal(set(f, dir, VOL_ACL_DEFAULT, LIST({ OWNER, 6, 0 }, { GROUP, 6, 0 }, { OTHER, 2, 0 })), 0);
	assert_int_equal(volume_mknod(f->v, dir, "g", S_IFREG | 0777, 0, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0662);
	assert_int_equal(xattr_rows(f, attr.ino), 0);
	assert_int_equal(volume_removexattr(f->v, dir, VOL_ACL_DEFAULT), 0);
	assert_int_equal(volume_mknod(f->v, dir, "h", S_IFREG | 0777, 0, &masked, &attr), 0);
	assert_int_equal(attr.mode, S_IFREG | 0750);
}

/* Deleting a file takes its lists along. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "d");
	struct vol_gone gone = { 0 };
	struct vol_attr attr;
	size_t rows;

	assert_int_equal(set(f, dir, VOL_ACL_DEFAULT, with_user(7)), 0);
	rows = row_count(f);
	assert_int_equal(volume_mkdir(f->v, dir, "e", 0777, &masked, &attr), 0);
	assert_true(row_count(f) >= rows + 4);
	assert_int_equal(volume_rmdir(f->v, dir, "e", &gone), 0);
	assert_int_equal(volume_reclaim(f->v, gone.ino), 0);
	assert_int_equal(row_count(f), rows);
}

/* A list that only damage can have made is neither believed nor ignored. */
static void test_damaged(void **state)
{
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "d");
	struct vol_attr wanted = { .mode = 0700 }, attr;
	struct schema_key key;
	struct change c;

	assert_int_equal(set(f, dir, VOL_ACL_DEFAULT, with_user(7)), 0);
	assert_int_equal(set(f, dir, VOL_ACL_ACCESS, with_user(7)), 0);
	assert_int_equal(change_begin(&c, f->v), 0);
	schema_key_xattr(&key, dir, VOL_ACL_DEFAULT, strlen(VOL_ACL_DEFAULT));
	assert_int_equal(change_put(&c, &key, "\2\0\0\0damaged!", 12), 0);
	schema_key_xattr(&key, dir, VOL_ACL_ACCESS, strlen(VOL_ACL_ACCESS));
	assert_int_equal(change_put(&c, &key, "\2\0\0\0", 4), 0);
	assert_int_equal(change_commit(&c), 0);
	change_end(&c);
	assert_int_equal(volume_mknod(f->v, dir, "f", S_IFREG | 0777, 0, &masked, &attr), -EUCLEAN);
	assert_int_equal(volume_setattr(f->v, dir, &wanted, VOL_SET_MODE, &attr), -EUCLEAN);
	assert_int_equal(volume_removexattr(f->v, dir, VOL_ACL_DEFAULT), 0);
	assert_int_equal(volume_removexattr(f->v, dir, VOL_ACL_ACCESS), 0);
	assert_int_equal(volume_mknod(f->v, dir, "f", S_IFREG | 0777, 0, &masked, &attr), 0);
	assert_int_equal(volume_setattr(f->v, dir, &wanted, VOL_SET_MODE, &attr), 0);
}

static uint64_t features(struct fixture *f)
{
	struct row_value value;
	struct schema_super super;
	struct schema_key key;

	schema_key_super(&key);
	assert_int_equal(f->rows->ops->get(f->rows, row_key(&key), &value), 0);
	assert_int_equal(schema_super_decode(value.data, value.size, &super), 0);
	f->rows->ops->value_release(f->rows, &value);
	return super.features_incompat;
}

/* A volume without lists is one that programs which know none can have. */
static void test_feature(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint64_t seed = f->v->super.seed;

	assert_int_equal(volume_setxattr(f->v, file, "user.a", "1", 1, 0), 0);
	assert_int_equal(set(f, file, VOL_ACL_ACCESS, LIST({ OWNER, 6, 0 }, { GROUP, 6, 0 }, { OTHER, 2, 0 })), 0);
	assert_int_equal(volume_removexattr(f->v, file, VOL_ACL_ACCESS), 0);
	assert_int_equal(features(f), 0);
	assert_int_equal(set(f, file, VOL_ACL_ACCESS, with_user(7)), 0);
	assert_int_equal(features(f), SCHEMA_FEATURE_ACL);
	fixture_reopen(f);
	assert_int_equal(f->v->super.seed, seed);
	assert_int_equal(f->v->super.features_incompat, SCHEMA_FEATURE_ACL);
	assert_same(with_user(7), get(f, file, VOL_ACL_ACCESS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),     cmocka_unit_test(test_size),
		cmocka_unit_test(test_mode),   cmocka_unit_test(test_hostile), volume_test(test_set),
		volume_test(test_set_as_mode), volume_test(test_refused),      volume_test(test_setgid),
		volume_test(test_chmod),       volume_test(test_umask),        volume_test(test_inherit),
		volume_test(test_gone),        volume_test(test_damaged),      volume_test(test_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
