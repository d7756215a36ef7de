/* SPDX-License-Identifier: MIT */
/* What ext4 hasn't: files beyond 16 TiB, large attributes, more links. These groups are for lsmfs alone. */
#include "suite.h"

#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

void large_files(void)
{
	static const off_t places[] = {
		((off_t)1 << 44) - 3, ((off_t)1 << 50) + 1, (off_t)1 << 62, INT64_MAX - 4096, INT64_MAX - 6,
	};
	char buf[16] = "";
	int fd = (int)must(open("f", O_RDWR | O_CREAT, 0644));
	off_t end;

	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < N(places); i++) {
		expect(6, rc(pwrite(fd, "placed", 6, places[i])), "write at %lld", (long long)places[i]);
		expect_equal(places[i] + 6, (long long)look_fd(fd).st_size, "size then");
	}
	for (size_t i = 0; i < N(places); i++) {
		expect(6, rc(pread(fd, buf, 6, places[i])), "read at %lld", (long long)places[i]);
		expect_true(memcmp(buf, "placed", 6) == 0, "bytes at %lld", (long long)places[i]);
	}
	expect_equal(INT64_MAX, (long long)look_fd(fd).st_size, "the largest size");
	expect_true(look_fd(fd).st_blocks < 1000, "it takes little space");
	expect(-EINVAL, rc(pwrite(fd, "x", 1, INT64_MAX)), "write beyond it");
	end = lseek(fd, 0, SEEK_END);
	expect_equal(INT64_MAX, end, "lseek to its end");
	expect(-EINVAL, rc(lseek(fd, 1, SEEK_CUR)), "lseek beyond it");
	expect(-EINVAL, rc(read(fd, buf, 6)), "read over the largest offset");
	must(lseek(fd, -6, SEEK_END));
	expect(6, rc(read(fd, buf, 6)), "read of the last bytes");
	expect_equal((long long)places[2], lseek(fd, (off_t)1 << 51, SEEK_DATA) & ~4095LL, "SEEK_DATA over exabytes");
	expect_true(lseek(fd, places[2], SEEK_HOLE) >= places[2] + 6, "SEEK_HOLE behind a piece");
	/* down and up again */
	expect(0, rc(ftruncate(fd, places[2] + 3)), "ftruncate in the middle of a piece");
	expect(0, rc(ftruncate(fd, INT64_MAX)), "ftruncate to the largest size");
	expect(6, rc(pread(fd, buf, 6, places[2])), "read of the piece that was cut");
	expect_true(memcmp(buf, "pla\0\0\0", 6) == 0, "bytes of the piece that was cut");
	expect(6, rc(pread(fd, buf, 6, INT64_MAX - 6)), "read at the end");
	expect_true(memcmp(buf, "\0\0\0\0\0\0", 6) == 0, "zeros at the end");
	expect(0, rc(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, INT64_MAX)), "punch all of it");
	expect_true(look_fd(fd).st_blocks <= 16, "no blocks then");
	expect(-ENXIO, rc(lseek(fd, 0, SEEK_DATA)), "SEEK_DATA in nothing but a hole");
	expect(0, rc(truncate("f", 0)), "truncate to nothing");
	expect(0, rc(truncate("f", INT64_MAX)), "truncate to the largest size");
	must(close(fd));
}

void large_xattrs(void)
{
	static const size_t sizes[] = { 4000, 4096, 5000, 16384, 65535, 65536 };
	char *value = malloc(65537), *got = malloc(65537), *list = malloc(65537), name[300];
	long size;

	must(value && got && list ? 0 : -1);
	make_file("f", "x");
	for (size_t i = 0; i < 65537; i++)
		value[i] = (char)(i * 7 + i / 256);
	for (size_t i = 0; i < N(sizes); i++) {
		expect(0, rc(setxattr("f", "user.large", value, sizes[i], 0)), "setxattr of %zu bytes", sizes[i]);
		expect((long)sizes[i], rc(getxattr("f", "user.large", NULL, 0)), "its size");
		expect((long)sizes[i], rc(getxattr("f", "user.large", got, 65536)), "getxattr of %zu bytes", sizes[i]);
		expect_true(memcmp(value, got, sizes[i]) == 0, "the %zu bytes", sizes[i]);
		expect(-ERANGE, rc(getxattr("f", "user.large", got, sizes[i] - 1)),
		       "getxattr of %zu bytes into one less", sizes[i]);
	}
	expect(-E2BIG, rc(setxattr("f", "user.large", value, 65537, 0)), "setxattr of 65537 bytes");
	/* many, until the list is as long as a list may be: 64 KiB */
	must(removexattr("f", "user.large"));
	for (int i = 0; i < 255; i++) {
		snprintf(name, sizeof(name), "user.%0250d", i);
		must(setxattr("f", name, value, 1000, 0));
	}
	size = rc(listxattr("f", list, 65536));
	expect(255L * 256, size, "listxattr of 255 long names");
	expect(255L * 256, rc(listxattr("f", NULL, 0)), "its size");
	expect(-ERANGE, rc(listxattr("f", list, 65279)), "listxattr into one byte less");
	snprintf(name, sizeof(name), "user.%0250d", 254);
	expect(1000, rc(getxattr("f", name, got, 65536)), "getxattr of the last");
	free(value);
	free(got);
	free(list);
}

void large_times(void)
{
	static const struct timespec values[] = {
		{ INT32_MIN - 1L, 0 },       { -62135596800, 1 },     { 15032385536, 999999999 },
		{ 253402300799, 999999999 }, { 253402300800, 0 },     { INT64_C(1) << 40, 5 },
		{ -(INT64_C(1) << 40), 6 },  { INT64_C(1) << 55, 7 }, { -(INT64_C(1) << 55), 8 },
	};
	int fd;

	for (size_t i = 0; i < N(values); i++) {
		char name[32];

		snprintf(name, sizeof(name), "t%zu", i);
		make_file(name, "x");
		expect(0,
		       rc(utimensat(AT_FDCWD, name, (struct timespec[2]){ values[i], values[N(values) - 1 - i] }, 0)),
		       "utimensat to the year of second %lld", (long long)values[i].tv_sec);
	}
	fd = (int)must(open(".", O_RDONLY | O_DIRECTORY));
	must(syncfs(fd));
	must(close(fd));
	for (size_t i = 0; i < N(values); i++) {
		char name[32];
		struct stat st;

		snprintf(name, sizeof(name), "t%zu", i);
		st = look(name);
		expect_equal(values[i].tv_sec, st.st_atim.tv_sec, "atime of %s", name);
		expect_equal(values[i].tv_nsec, st.st_atim.tv_nsec, "its ns");
		expect_equal(values[N(values) - 1 - i].tv_sec, st.st_mtim.tv_sec, "mtime of %s", name);
	}
}
