/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ROWS_DAMAGE_H
#define TESTS_ROWS_DAMAGE_H
/* rows_damage - a volume with everything in it, and its rows changed behind its back. */
#include "tests/support/volume_fixture.h"

struct tree {
	vol_ino a, b, file, small, big, link;
};

static inline struct tree fill(struct fixture *f)
{
	struct tree t;
	uint8_t *data = calloc(1, 3 << 20);
	struct vol_attr attr;

	t.a = make_dir(f, VOL_ROOT, "a");
	t.b = make_dir(f, t.a, "b");
	t.file = make_file(f, VOL_ROOT, "file");
	t.small = make_file(f, t.a, "small");
	t.big = make_file(f, t.b, "big");
	assert_int_equal(volume_write(f->v, t.small, 0, "hello", 5, 0), 0);
	memset(data, 7, 3 << 20);
	assert_int_equal(volume_write(f->v, t.big, 0, data, 3 << 20, 0), 0);
	assert_int_equal(volume_write(f->v, t.big, 5 << 20, data, 10000, 0), 0); /* behind a hole */
	assert_int_equal(volume_link(f->v, t.small, t.b, "again", &attr), 0);
	assert_int_equal(volume_symlink(f->v, t.a, "sym", "target", &fixture_cred, &attr), 0);
	t.link = attr.ino;
	assert_int_equal(volume_mknod(f->v, t.a, "fifo", S_IFIFO | 0644, 0, &fixture_cred, &attr), 0);
	assert_int_equal(volume_setxattr(f->v, t.file, "user.x", "y", 1, 0), 0);
	assert_int_equal(volume_set_flags(f->v, t.file, VOL_FLAG_NODUMP), 0);
	free(data);
	return t;
}

static inline void inode_get(struct fixture *f, vol_ino ino, struct schema_inode *ret, uint8_t buf[SCHEMA_INODE_MAX])
{
	struct row_value value;
	struct schema_key key;

	schema_key_inode(&key, ino);
	assert_int_equal(f->rows->ops->get(f->rows, row_key(&key), &value), 0);
	memcpy(buf, value.data, value.size);
	assert_int_equal(schema_inode_decode(buf, value.size, ret), 0);
	f->rows->ops->value_release(f->rows, &value);
}

static inline void inode_set(struct fixture *f, vol_ino ino, const struct schema_inode *i)
{
	uint8_t buf[SCHEMA_INODE_MAX];
	struct schema_key key;

	schema_key_inode(&key, ino);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ buf, schema_inode_encode(i, buf) });
}

static inline void inode_delete(struct fixture *f, vol_ino ino)
{
	struct schema_key key;

	schema_key_inode(&key, ino);
	rows_mem_delete(f->rows, row_key(&key));
}

/* Puts a bucket of one entry where the name's hash says, or `off` beside. */
static inline void entry_set(struct fixture *f, vol_ino dir, const char *name, vol_ino ino, uint32_t type, uint64_t off)
{
	struct schema_entry e = { .type = type, .ino = ino, .name = name, .name_size = strlen(name) };
	uint8_t buf[SCHEMA_ENTRY_MAX];
	struct schema_key key;

	schema_key_bucket(&key, dir, schema_name_hash(name, strlen(name), f->v->super.seed) + off);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ buf, schema_entry_encode(&e, buf) });
}

static inline void entry_delete(struct fixture *f, vol_ino dir, const char *name)
{
	struct schema_key key;

	schema_key_bucket(&key, dir, schema_name_hash(name, strlen(name), f->v->super.seed));
	rows_mem_delete(f->rows, row_key(&key));
}

/* A directory is to have so many entries and links more. */
static inline void dir_add(struct fixture *f, vol_ino dir, int entries, int links)
{
	uint8_t buf[SCHEMA_INODE_MAX];
	struct schema_inode i;

	inode_get(f, dir, &i, buf);
	i.dir.entries += (uint64_t)entries;
	i.nlink += (uint32_t)links;
	inode_set(f, dir, &i);
}

/* Runs `changes` on an inode. */
#define WITH_INODE(f, number, changes)              \
	do {                                        \
		uint8_t buf_[SCHEMA_INODE_MAX];     \
		struct schema_inode i;              \
		inode_get((f), (number), &i, buf_); \
		changes;                            \
		inode_set((f), (number), &i);       \
	} while (0)

#endif
