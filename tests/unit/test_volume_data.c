/* SPDX-License-Identifier: MIT */
/* read, write, truncate, fallocate, seek; and how many rows and bytes they cost */
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/volume_fixture.h"

#define MIB (1u << 20)

static uint8_t *pattern(size_t size)
{
	uint8_t *p = malloc(size);

	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(i * 31 + i / 251);
	return p;
}

static void put(struct fixture *f, vol_ino ino, uint64_t offset, const void *data, size_t size)
{
	assert_int_equal(volume_write(f->v, ino, offset, data, size, 0), 0);
}

static void expect_bytes(struct fixture *f, vol_ino ino, uint64_t offset, const void *data, size_t size)
{
	uint8_t *got = malloc(size + 1);
	size_t got_size;

	assert_int_equal(volume_read(f->v, ino, offset, got, size, &got_size), 0);
	assert_int_equal(got_size, size);
	assert_memory_equal(got, data, size);
	free(got);
}

static void expect_zeros(struct fixture *f, vol_ino ino, uint64_t offset, size_t size)
{
	uint8_t *zeros = calloc(1, size);

	expect_bytes(f, ino, offset, zeros, size);
	free(zeros);
}

static int resize(struct fixture *f, vol_ino ino, uint64_t size)
{
	struct vol_attr attr = { .size = size };

	return volume_setattr(f->v, ino, &attr, VOL_SET_SIZE, &attr);
}

static int falloc(struct fixture *f, vol_ino ino, int mode, uint64_t offset, uint64_t length)
{
	return volume_fallocate(f->v, ino, mode, offset, length);
}

static void test_small(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint64_t operations = rows_mem_operations(f->rows);
	struct vol_attr before = attr_of(f, file), attr;
	size_t got;
	char buf[8];

	put(f, file, 0, "hello", 5);
	assert_int_equal(rows_mem_operations(f->rows) - operations, 1); /* the inode, with all that is in it */
	attr = attr_of(f, file);
	assert_int_equal(attr.size, 5);
	assert_int_equal(attr.allocated_bytes, 5);
	assert_true(later(attr.mtime, before.mtime) && same(attr.mtime, attr.ctime) && same(attr.atime, before.atime));
	put(f, file, 3, "p me", 4);
	expect_bytes(f, file, 0, "help me", 7);
	assert_int_equal(volume_read(f->v, file, 5, buf, 8, &got), 0);
	assert_int_equal(got, 2);
	assert_int_equal(volume_read(f->v, file, 7, buf, 8, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(volume_read(f->v, file, UINT64_MAX, buf, 8, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(volume_write(f->v, file, 0, "!", 1, VOL_WRITE_APPEND), 0);
	expect_bytes(f, file, 0, "help me!", 8);
	assert_int_equal(extent_count(f, file), 0);
}

static void test_outgrows_inode(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint8_t *data = pattern(10000);

	put(f, file, 0, data, SCHEMA_INLINE_MAX);
	assert_int_equal(extent_count(f, file), 0);
	put(f, file, SCHEMA_INLINE_MAX, data + SCHEMA_INLINE_MAX, 1);
	assert_int_equal(extent_count(f, file), 1);
	expect_bytes(f, file, 0, data, SCHEMA_INLINE_MAX + 1);
	assert_int_equal(resize(f, file, 0), 0);
	assert_int_equal(extent_count(f, file), 0);
	put(f, file, 0, data, 100); /* small again */
	assert_int_equal(extent_count(f, file), 0);
	put(f, file, 9000, data + 9000, 1000); /* far from the content: both apart */
	assert_int_equal(extent_count(f, file), 2);
	expect_bytes(f, file, 0, data, 100);
	expect_zeros(f, file, 100, 8900);
	expect_bytes(f, file, 9000, data + 9000, 1000);
	assert_int_equal(attr_of(f, file).allocated_bytes, 1100);
	free(data);
}

static void test_wrong_types(void **state)
{
	struct fixture *f = *state;
	struct vol_attr link;
	uint64_t offset;
	size_t got;
	char buf[1];

	assert_int_equal(volume_symlink(f->v, VOL_ROOT, "l", "t", &fixture_cred, &link), 0);
	assert_int_equal(volume_read(f->v, VOL_ROOT, 0, buf, 1, &got), -EISDIR);
	assert_int_equal(volume_write(f->v, VOL_ROOT, 0, "x", 1, 0), -EISDIR);
	assert_int_equal(resize(f, VOL_ROOT, 0), -EISDIR);
	assert_int_equal(volume_write(f->v, link.ino, 0, "x", 1, 0), -EINVAL);
	assert_int_equal(resize(f, link.ino, 0), -EINVAL);
	assert_int_equal(volume_seek(f->v, link.ino, 0, SEEK_DATA, &offset), -EINVAL);
	assert_int_equal(volume_write(f->v, schema_ino(1, 77), 0, "x", 1, 0), -ENOENT);
	assert_int_equal(volume_read(f->v, schema_ino(1, 77), 0, buf, 1, &got), -ENOENT);
}

static void test_big_write_is_split(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint8_t *data = pattern(3 * MIB);

	put(f, file, MIB / 2, data, 2 * MIB);
	assert_int_equal(extent_count(f, file), 3); /* at 0.5, 1 and 2 MiB */
	expect_zeros(f, file, 0, MIB / 2);
	expect_bytes(f, file, MIB / 2, data, 2 * MIB);
	assert_int_equal(attr_of(f, file).allocated_bytes, 2 * MIB);
	assert_int_equal(attr_of(f, file).size, MIB / 2 + 2 * MIB);
	free(data);
}

/* What a database does: pages inside a large file. Each costs a page, and never more rows than there are pages. */
static void test_overwrite_pages(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint8_t *data = pattern(MIB), *page = pattern(8192);
	uint64_t put_bytes;

	put(f, file, 0, data, MIB);
	assert_int_equal(extent_count(f, file), 1);
	put_bytes = rows_mem_put_bytes(f->rows);
	for (unsigned i = 0; i < 100; i++) {
		unsigned at = i * 37 % 256 * 4096;

		memcpy(data + at, page + i, 4096);
		put(f, file, at, page + i, 4096);
	}
	assert_true(rows_mem_put_bytes(f->rows) - put_bytes < 100 * (4096 + 100));
	assert_true(extent_count(f, file) <= 201);
	expect_bytes(f, file, 0, data, MIB);
	assert_int_equal(attr_of(f, file).allocated_bytes, MIB);
	for (unsigned i = 0; i < 500; i++) {
		unsigned at = i * 7919 % (MIB - 100);

		memcpy(data + at, page + i, 100);
		put(f, file, at, page + i, 100);
	}
	assert_true(extent_count(f, file) <= 256); /* not one for each small write */
	expect_bytes(f, file, 0, data, MIB);
	put(f, file, 0, data, MIB);
	assert_int_equal(extent_count(f, file), 1);
	free(data);
	free(page);
}

static void test_unaligned_overwrite_costs_its_pages(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint8_t *data = pattern(MIB);
	uint64_t put_bytes;

	put(f, file, 0, data, MIB);
	put_bytes = rows_mem_put_bytes(f->rows);
	put(f, file, 5000, "x", 1);
	assert_true(rows_mem_put_bytes(f->rows) - put_bytes < 4096 + 100);
	put_bytes = rows_mem_put_bytes(f->rows);
	put(f, file, 16384 - 1, "xy", 2);
	assert_true(rows_mem_put_bytes(f->rows) - put_bytes < 2 * 4096 + 100);
	data[5000] = 'x';
	data[16383] = 'x';
	data[16384] = 'y';
	expect_bytes(f, file, 0, data, MIB);
	free(data);
}

static void append(struct fixture *f, size_t piece, size_t total, size_t rows_max, uint64_t bytes_max)
{
	char name[32];
	uint8_t *data = pattern(total);
	uint64_t put_bytes = rows_mem_put_bytes(f->rows);
	size_t most = 0, count;
	vol_ino file;

	snprintf(name, sizeof(name), "append-%zu", piece);
	file = make_file(f, VOL_ROOT, name);
	for (size_t at = 0; at < total; at += piece) {
		size_t size = piece < total - at ? piece : total - at;

		assert_int_equal(volume_write(f->v, file, 0, data + at, size, VOL_WRITE_APPEND), 0);
		count = extent_count(f, file);
		if (count > most)
			most = count;
	}
	expect_bytes(f, file, 0, data, total);
	put_bytes = rows_mem_put_bytes(f->rows) - put_bytes;
	assert_int_equal(attr_of(f, file).allocated_bytes, total);
	assert_true(most <= rows_max);
	assert_true(put_bytes <= bytes_max);
	free(data);
}

static void test_folded_rows_are_aligned(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct rows_iter *it = NULL;
	uint8_t piece[1000] = { 1 };
	struct extent e;

	for (unsigned i = 0; i < 200; i++)
		put(f, file, i * sizeof(piece), piece, sizeof(piece));
	assert_int_equal(extents_open(f->v, file, 0, 200000, &it), 0);
	for (uint64_t at = 0; at < 3 * 65536; at += 65536) {
		assert_int_equal(extent_first(f->v, it, file, at, &e), 1);
		assert_int_equal(e.offset, at);
		assert_int_equal(e.size, 65536);
	}
	f->rows->ops->iter_free(it);
}

/* The hole in front of what is folded takes no space afterwards either. */
static void test_folding_leaves_holes(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint64_t begin = 5 * MIB + 48 * 1024, offset;
	uint8_t piece[1000] = { 1 };

	assert_int_equal(resize(f, file, begin), 0);
	for (unsigned i = 0; i < 40; i++)
		put(f, file, begin + i * sizeof(piece), piece, sizeof(piece));
	assert_true(extent_count(f, file) < 30); /* 16 KiB of it have become one */
	assert_int_equal(attr_of(f, file).allocated_bytes, 40 * sizeof(piece));
	assert_int_equal(volume_seek(f->v, file, 0, SEEK_DATA, &offset), 0);
	assert_int_equal(offset, begin);
}

/* 1 MiB of a hole by pages in the order of `step`: a row for 64 KiB is left, and each byte is written twice at most. */
static void fill_hole(struct fixture *f, const char *name, unsigned step)
{
	vol_ino file = make_file(f, VOL_ROOT, name);
	uint64_t put_bytes = rows_mem_put_bytes(f->rows);
	uint8_t *data = pattern(MIB);

	assert_int_equal(resize(f, file, 3 * MIB), 0);
	for (unsigned i = 0; i < 256; i++) {
		unsigned at = i * step % 256 * 4096;

		put(f, file, MIB + at, data + at, 4096);
	}
	assert_int_equal(extent_count(f, file), 16);
	assert_true(rows_mem_put_bytes(f->rows) - put_bytes < 2 * MIB + 256 * 100);
	expect_bytes(f, file, MIB, data, MIB);
	expect_zeros(f, file, MIB - 5000, 5000);
	expect_zeros(f, file, 2 * MIB, 5000);
	assert_int_equal(attr_of(f, file).allocated_bytes, MIB);
	free(data);
}

static void test_filled_holes(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "gap");
	uint8_t page[4096] = { 1 }, *data = pattern(65536);

	fill_hole(f, "in order", 1);
	fill_hole(f, "backwards", 255);
	fill_hole(f, "anyhow", 77);
	/* one page is missing: nothing is folded, and the hole remains */
	assert_int_equal(resize(f, file, 2 * MIB), 0);
	for (unsigned i = 0; i < 16; i++) {
		if (i != 7)
			put(f, file, i * 4096, page, sizeof(page));
	}
	assert_int_equal(extent_count(f, file), 15);
	put(f, file, 7 * 4096 + 100, page, 3); /* not all of it: still none */
	assert_int_equal(extent_count(f, file), 16);
	expect_zeros(f, file, 7 * 4096, 100);
	assert_int_equal(attr_of(f, file).allocated_bytes, 15 * 4096 + 3);
	/* what goes on behind the 64 KiB, and before them, is kept */
	assert_int_equal(falloc(f, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * MIB), 0);
	put(f, file, 32768, data, 65536);
	for (unsigned i = 0; i < 7; i++)
		put(f, file, 98304 + i * 4096, page, sizeof(page));
	put(f, file, 126976, data + 9, 8192);
	assert_int_equal(attr_of(f, file).allocated_bytes, 65536 + 7 * 4096 + 8192);
	expect_bytes(f, file, 32768, data, 65536);
	expect_bytes(f, file, 98304, page, sizeof(page));
	expect_bytes(f, file, 126976, data + 9, 8192);
	free(data);
}

/* Appends of any size leave about a row for 64 KiB, and write each byte a few times at most (inodes apart). */
static void test_appends(void **state)
{
	struct fixture *f = *state;
	const size_t total = 600000, inode = 60;

	append(f, 1, 70000, 1 + 16 + 16 + 256, 70000 * (4 + inode) + 4000 * 2000);
	append(f, 100, total, 9 + 16 + 42, total * 3 + total / 100 * inode + 4000 * 40);
	append(f, 1000, total, 9 + 16 + 5, total * 3 + total / 1000 * inode + 4000 * 4);
	append(f, 4096, total, 9 + 16, total * 2 + total / 4096 * inode + 4096);
	append(f, 40000, total, 15, total + total / 40000 * inode + 4096);
	append(f, 131072, total, 5, total + 1000);
}

static void test_sparse(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint64_t offset, rows = row_count(f);
	size_t got;
	char buf[4];

	assert_int_equal(resize(f, file, INT64_MAX), 0);
	assert_int_equal(row_count(f), rows);
	assert_int_equal(attr_of(f, file).size, INT64_MAX);
	assert_int_equal(attr_of(f, file).allocated_bytes, 0);
	put(f, file, INT64_MAX - 3, "end", 3);
	put(f, file, UINT64_C(1) << 40, "mid", 3);
	put(f, file, 0, "a", 1);
	assert_int_equal(volume_read(f->v, file, INT64_MAX - 4, buf, 4, &got), 0);
	assert_int_equal(got, 4);
	assert_memory_equal(buf, "\0end", 4);
	expect_zeros(f, file, UINT64_C(1) << 50, 100000);
	assert_int_equal(volume_write(f->v, file, INT64_MAX, "x", 1, 0), -EFBIG);
	assert_int_equal(volume_write(f->v, file, INT64_MAX - 2, "xyz", 3, 0), -EFBIG);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, VOL_WRITE_APPEND), -EFBIG);
	assert_int_equal(resize(f, file, (uint64_t)INT64_MAX + 1), -EFBIG);
	assert_int_equal(volume_seek(f->v, file, 1, SEEK_DATA, &offset), 0);
	assert_int_equal(offset, UINT64_C(1) << 40);
	assert_int_equal(volume_seek(f->v, file, offset, SEEK_HOLE, &offset), 0);
	assert_int_equal(offset, (UINT64_C(1) << 40) + 3);
	assert_int_equal(volume_seek(f->v, file, offset, SEEK_DATA, &offset), 0);
	assert_int_equal(offset, INT64_MAX - 3);
	assert_int_equal(volume_seek(f->v, file, offset, SEEK_HOLE, &offset), 0);
	assert_int_equal(offset, INT64_MAX);
	assert_int_equal(resize(f, file, (UINT64_C(1) << 40) + 1), 0);
	assert_int_equal(attr_of(f, file).allocated_bytes, 2);
	assert_int_equal(resize(f, file, INT64_MAX), 0);
	expect_zeros(f, file, (UINT64_C(1) << 40) + 1, 5000);
}

static void test_truncate(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a"), small = make_file(f, VOL_ROOT, "b");
	uint8_t *data = pattern(3 * MIB);
	struct vol_attr before, after;

	put(f, file, 0, data, 3 * MIB);
	before = attr_of(f, file);
	assert_int_equal(resize(f, file, MIB + 5), 0);
	after = attr_of(f, file);
	assert_true(later(after.mtime, before.mtime) && later(after.ctime, before.ctime));
	assert_int_equal(after.allocated_bytes, MIB + 5);
	assert_int_equal(resize(f, file, 3 * MIB), 0);
	expect_bytes(f, file, 0, data, MIB + 5);
	expect_zeros(f, file, MIB + 5, 2 * MIB - 5);
	put(f, small, 0, "hello", 5);
	assert_int_equal(resize(f, small, 2), 0);
	assert_int_equal(resize(f, small, 4), 0);
	expect_bytes(f, small, 0, "he\0\0", 4);
	assert_int_equal(resize(f, small, 1000000), 0);
	assert_int_equal(extent_count(f, small), 0);
	put(f, small, 3, "x", 1); /* still in the inode */
	assert_int_equal(extent_count(f, small), 0);
	expect_bytes(f, small, 0, "he\0x\0", 5);
	free(data);
}

static void test_fallocate(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint8_t *data = pattern(MIB);

	assert_int_equal(falloc(f, file, FALLOC_FL_KEEP_SIZE, 0, 100), 0);
	assert_int_equal(attr_of(f, file).size, 0);
	assert_int_equal(falloc(f, file, 0, 50, 50), 0);
	assert_int_equal(attr_of(f, file).size, 100);
	expect_zeros(f, file, 0, 100);
	put(f, file, 0, data, MIB);
	assert_int_equal(falloc(f, file, 0, 0, 10), 0);
	assert_int_equal(attr_of(f, file).size, MIB);
	assert_int_equal(falloc(f, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 100000), 0);
	expect_bytes(f, file, 0, data, 1000);
	expect_zeros(f, file, 1000, 100000);
	expect_bytes(f, file, 101000, data + 101000, MIB - 101000);
	assert_int_equal(attr_of(f, file).allocated_bytes, MIB - 100000);
	assert_int_equal(falloc(f, file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, MIB - 10, 20), 0);
	assert_int_equal(attr_of(f, file).size, MIB);
	assert_int_equal(falloc(f, file, FALLOC_FL_ZERO_RANGE, MIB - 20, 40), 0);
	assert_int_equal(attr_of(f, file).size, MIB + 20);
	expect_zeros(f, file, MIB - 20, 40);
	assert_int_equal(falloc(f, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * MIB), 0);
	assert_int_equal(attr_of(f, file).allocated_bytes, 0);
	assert_int_equal(extent_count(f, file), 0);
	assert_int_equal(falloc(f, file, FALLOC_FL_PUNCH_HOLE, 0, 10), -EOPNOTSUPP);
	assert_int_equal(falloc(f, file, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
	assert_int_equal(falloc(f, file, 0, 0, 0), -EINVAL);
	assert_int_equal(falloc(f, file, 0, INT64_MAX, 1), -EFBIG);
	assert_int_equal(falloc(f, VOL_ROOT, 0, 0, 1), -EISDIR);
	free(data);
}

static void test_punch_many_rows(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint8_t page[4096];
	uint64_t operations;

	memset(page, 'p', sizeof(page));
	for (unsigned i = 0; i < 300; i++)
		put(f, file, i * 8192, page, sizeof(page)); /* every other page */
	assert_int_equal(extent_count(f, file), 300);
	operations = rows_mem_operations(f->rows);
	assert_int_equal(falloc(f, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 8192 * 299), 0);
	assert_true(rows_mem_operations(f->rows) - operations < 50); /* a range, not each of them */
	assert_int_equal(extent_count(f, file), 2);
	expect_bytes(f, file, 0, page, 100);
	expect_zeros(f, file, 100, 8192);
	expect_zeros(f, file, 8192 * 298, 8192 + 100);
	expect_bytes(f, file, 8192 * 299 + 100, page, 3996);
	assert_int_equal(attr_of(f, file).allocated_bytes, 4096);
}

static void test_seek_small(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	uint64_t offset;

	assert_int_equal(volume_seek(f->v, file, 0, SEEK_DATA, &offset), -ENXIO);
	put(f, file, 0, "hello", 5);
	assert_int_equal(resize(f, file, 100), 0);
	assert_int_equal(volume_seek(f->v, file, 2, SEEK_DATA, &offset), 0);
	assert_int_equal(offset, 2);
	assert_int_equal(volume_seek(f->v, file, 2, SEEK_HOLE, &offset), 0);
	assert_int_equal(offset, 5);
	assert_int_equal(volume_seek(f->v, file, 50, SEEK_HOLE, &offset), 0);
	assert_int_equal(offset, 50);
	assert_int_equal(volume_seek(f->v, file, 50, SEEK_DATA, &offset), -ENXIO);
	assert_int_equal(volume_seek(f->v, file, 100, SEEK_HOLE, &offset), -ENXIO);
	assert_int_equal(volume_seek(f->v, file, 0, SEEK_SET, &offset), -EINVAL);
}

static void test_kill_priv_and_sync(void **state)
{
	struct fixture *f = *state;
	vol_ino file = make_file(f, VOL_ROOT, "a");
	struct vol_attr attr = { .mode = 06755 };
	uint64_t syncs;

	assert_int_equal(volume_setattr(f->v, file, &attr, VOL_SET_MODE, &attr), 0);
	put(f, file, 0, "x", 1);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 06755);
	syncs = rows_mem_syncs(f->rows);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, VOL_WRITE_KILL_PRIV | VOL_WRITE_SYNC), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 0755);
	assert_int_equal(rows_mem_syncs(f->rows) - syncs, 1);
	attr.mode = 02644; /* set-gid without group execution stays */
	assert_int_equal(volume_setattr(f->v, file, &attr, VOL_SET_MODE, &attr), 0);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, VOL_WRITE_KILL_PRIV), 0);
	assert_int_equal(attr_of(f, file).mode, S_IFREG | 02644);
	rows_mem_fail_sync(f->rows, -EIO);
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, VOL_WRITE_SYNC), -EIO);
	assert_int_equal(volume_sync(f->v), -EIO);
}

static void test_reclaim_big(void **state)
{
	struct fixture *f = *state;
	size_t rows = row_count(f);
	vol_ino file = make_file(f, VOL_ROOT, "a"), other = make_file(f, VOL_ROOT, "b");
	uint8_t page[4096] = { 1 };
	struct vol_gone gone;
	uint64_t operations;

	for (unsigned i = 0; i < 200; i++)
		put(f, file, i * 8192, page, sizeof(page));
	put(f, other, 0, page, sizeof(page));
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, "a", &gone), 0);
	operations = rows_mem_operations(f->rows);
	assert_int_equal(volume_reclaim(f->v, file), 0);
	assert_true(rows_mem_operations(f->rows) - operations < 30);
	assert_int_equal(row_count(f), rows + 3);
	expect_bytes(f, other, 0, page, sizeof(page));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_small),
		volume_test(test_outgrows_inode),
		volume_test(test_wrong_types),
		volume_test(test_big_write_is_split),
		volume_test(test_overwrite_pages),
		volume_test(test_unaligned_overwrite_costs_its_pages),
		volume_test(test_appends),
		volume_test(test_folded_rows_are_aligned),
		volume_test(test_folding_leaves_holes),
		volume_test(test_filled_holes),
		volume_test(test_sparse),
		volume_test(test_truncate),
		volume_test(test_fallocate),
		volume_test(test_punch_many_rows),
		volume_test(test_seek_small),
		volume_test(test_kill_priv_and_sync),
		volume_test(test_reclaim_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
