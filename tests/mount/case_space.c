/* SPDX-License-Identifier: MIT */
/* The shape of a file: truncation, holes, fallocate, SEEK_HOLE and SEEK_DATA, far offsets, the file system's figures. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIB ((off_t)1 << 20)

static void truncate_both_ways(void **state)
{
	static const off_t sizes[] = { 10, 0, 5000, 4096, 4097, 100, 200000, 65536, 65537, 3, 1048576, 0 };
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));
	off_t before = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		off_t kept = sizes[i] < before ? sizes[i] : before;

		if (i % 2 == 0)
			ok(ftruncate(fd, sizes[i]));
		else
			ok(truncate("f", sizes[i]));
		same(sizes[i], mt_fstat(fd).st_size);
		same(sizes[i], mt_stat("f").st_size);
		mt_all(fd, 0, (size_t)kept, 'x');
		mt_all(fd, kept, (size_t)(sizes[i] - kept), 0); /* what was cut off must not come back */
		mt_fill(fd, 0, (size_t)sizes[i], 'x');
		before = sizes[i];
	}
	fails(ftruncate(fd, -1), EINVAL);
	ok(close(fd));
	fails(truncate(".", 0), EISDIR);
	fails(truncate("none", 0), ENOENT);
}

static void cut_inside_a_page(void **state)
{
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	mt_fill(fd, 0, 8192, 'a');
	ok(ftruncate(fd, 1000));
	ok(ftruncate(fd, 8192));
	mt_all(fd, 0, 1000, 'a');
	mt_all(fd, 1000, 7192, 0);
	/* a write behind the end fills the gap with zeros, also where bytes once were */
	ok(ftruncate(fd, 500));
	same(1, pwrite(fd, "b", 1, 6000));
	mt_all(fd, 500, 5500, 0);
	ok(close(fd));
}

static void far_offsets(void **state)
{
	static const off_t far[] = { (off_t)5 << 30, ((off_t)1 << 40) + 123 };
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	same(5, pwrite(fd, "start", 5, 0));
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		same(3, pwrite(fd, "far", 3, far[i]));
		same(far[i] + 3, mt_stat("f").st_size);
	}
	ok(close(fd));
	fd = (int)ok(open("f", O_RDWR));
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		char buf[8];

		same(3, pread(fd, buf, 3, far[i]));
		same(0, memcmp(buf, "far", 3));
		mt_all(fd, far[i] - 4096, 4096, 0);
	}
	mt_all(fd, ((off_t)4 << 30) - 2048, 4096, 0);
	check(mt_fstat(fd).st_blocks < 2048); /* holes take no space */
	ok(close(fd));
}

static void holes_and_data(void **state)
{
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));
	off_t at;

	(void)state;
	mt_fill(fd, 0, MIB, 'd');
	mt_fill(fd, 4 * MIB, MIB, 'd');
	ok(ftruncate(fd, 8 * MIB));
	ok(fsync(fd));
	same(0, lseek(fd, 0, SEEK_DATA));
	at = ok(lseek(fd, 0, SEEK_HOLE));
	check(at >= MIB && at < 2 * MIB);
	same(2 * MIB, lseek(fd, 2 * MIB, SEEK_HOLE));
	at = ok(lseek(fd, 2 * MIB, SEEK_DATA));
	check(at > 3 * MIB && at <= 4 * MIB);
	at = ok(lseek(fd, 4 * MIB, SEEK_HOLE));
	check(at >= 5 * MIB && at < 6 * MIB);
	fails(lseek(fd, 6 * MIB, SEEK_DATA), ENXIO);
	fails(lseek(fd, 8 * MIB, SEEK_DATA), ENXIO);
	fails(lseek(fd, 8 * MIB, SEEK_HOLE), ENXIO);
	ok(ftruncate(fd, 5 * MIB));
	same(5 * MIB, lseek(fd, 4 * MIB, SEEK_HOLE)); /* the end counts as a hole */
	ok(close(fd));
}

static void allocate(void **state)
{
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	same(4, write(fd, "keep", 4));
	ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, MIB));
	same(4, mt_fstat(fd).st_size);
	ok(fallocate(fd, 0, 0, MIB));
	same(MIB, mt_fstat(fd).st_size);
	mt_all(fd, 4, (size_t)MIB - 4, 0);
	ok(fallocate(fd, 0, 100, 1000));
	same(MIB, mt_fstat(fd).st_size);
	same(0, posix_fallocate(fd, MIB, 10));
	same(MIB + 10, mt_fstat(fd).st_size);
	fails(fallocate(fd, 0, 0, 0), EINVAL);
	fails(fallocate(fd, 0, -1, 10), EINVAL);
	ok(close(fd));
	fd = (int)ok(open("f", O_RDONLY));
	fails(fallocate(fd, 0, 0, 10), EBADF);
	ok(close(fd));
}

static void punch(void **state)
{
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	mt_fill(fd, 0, 200000, 'p');
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 100000));
	same(200000, mt_fstat(fd).st_size);
	mt_all(fd, 0, 1000, 'p');
	mt_all(fd, 1000, 100000, 0);
	mt_all(fd, 101000, 99000, 'p');
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 150000, 500000)); /* beyond the end */
	same(200000, mt_fstat(fd).st_size);
	mt_all(fd, 150000, 50000, 0);
	fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP); /* only with KEEP_SIZE */
	ok(close(fd));
}

static void zero_range(void **state)
{
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	mt_fill(fd, 0, 50000, 'z');
	ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 10000, 20000));
	mt_all(fd, 0, 10000, 'z');
	mt_all(fd, 10000, 20000, 0);
	mt_all(fd, 30000, 20000, 'z');
	ok(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 40000, 100000));
	same(50000, mt_fstat(fd).st_size);
	mt_all(fd, 40000, 10000, 0);
	ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 45000, 100000));
	same(145000, mt_fstat(fd).st_size);
	mt_all(fd, 40000, 105000, 0);
	ok(close(fd));
}

static void space_comes_back(void **state)
{
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	mt_fill(fd, 0, 4 * (size_t)MIB, 'b');
	ok(fsync(fd));
	check(mt_fstat(fd).st_blocks >= 4 * MIB / 512);
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3 * MIB));
	check(mt_fstat(fd).st_blocks < 2 * MIB / 512);
	ok(ftruncate(fd, 0));
	same(0, mt_fstat(fd).st_blocks);
	ok(close(fd));
}

static void figures(void **state)
{
	struct statvfs fs;

	(void)state;
	ok(statvfs(".", &fs));
	same(255, fs.f_namemax);
	check(fs.f_bsize >= 512 && fs.f_frsize >= 512);
	check(fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks && fs.f_bavail <= fs.f_bfree);
	mt_put("f", "x");
	check(mt_stat("f").st_blksize >= 512);
}

int mt_run_space(void)
{
	const struct CMUnitTest tests[] = {
		CASE(truncate_both_ways), CASE(cut_inside_a_page), CASE(far_offsets),
		CASE(holes_and_data),     CASE(allocate),          CASE(punch),
		CASE(zero_range),         CASE(space_comes_back),  CASE(figures),
	};

	return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
