/* SPDX-License-Identifier: MIT */
/* Mapped files: coherent with read and write, shared between processes, kept after the unmapping. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

static char *map(int fd, size_t size, int prot, int flags)
{
	void *p = mmap(NULL, size, prot, flags, fd, 0);

	check(p != MAP_FAILED);
	return p;
}

static int make(const char *name, size_t size)
{
	int fd = (int)ok(open(name, O_RDWR | O_CREAT | O_EXCL, 0644));

	ok(ftruncate(fd, (off_t)size));
	return fd;
}

static void coherent(void **state)
{
	int fd = make("f", 8 * PAGE);
	char buf[16] = { 0 }, *p = map(fd, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)state;
	memcpy(p + PAGE + 10, "by map", 6);
	same(6, pread(fd, buf, 6, PAGE + 10));
	same(0, memcmp(buf, "by map", 6));
	same(8, pwrite(fd, "by write", 8, 3 * PAGE - 4));
	same(0, memcmp(p + 3 * PAGE - 4, "by write", 8));
	ok(msync(p, 8 * PAGE, MS_SYNC));
	memcpy(p, "last", 4);
	ok(munmap(p, 8 * PAGE));
	ok(close(fd));
	fd = (int)ok(open("f", O_RDONLY));
	same(4, pread(fd, buf, 4, 0));
	same(0, memcmp(buf, "last", 4));
	same(8 * PAGE, mt_fstat(fd).st_size);
	ok(close(fd));
}

static void outlives_the_descriptor(void **state)
{
	int fd = make("f", PAGE);
	char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)state;
	ok(close(fd));
	memcpy(p, "after close", 11);
	ok(msync(p, PAGE, MS_SYNC));
	ok(munmap(p, PAGE));
	ok(truncate("f", 11));
	mt_holds("f", "after close");
}

static void of_an_unlinked_file(void **state)
{
	int fd = make("f", 16 * PAGE);
	char *p = map(fd, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)state;
	ok(unlink("f"));
	ok(close(fd));
	memset(p, 'u', 16 * PAGE);
	ok(msync(p, 16 * PAGE, MS_SYNC));
	ok(madvise(p, 16 * PAGE, MADV_DONTNEED));
	same('u', p[15 * PAGE]);
	ok(munmap(p, 16 * PAGE));
}

static void write_by_map(void *arg)
{
	int fd = (int)ok(open("f", O_RDWR));
	char *p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)arg;
	memset(p + PAGE, 'c', PAGE);
	ok(munmap(p, 4 * PAGE));
	ok(close(fd));
}

static void between_processes(void **state)
{
	int fd = make("f", 4 * PAGE);
	char *p = map(fd, 4 * PAGE, PROT_READ, MAP_SHARED);

	(void)state;
	same(0, p[PAGE]);
	mt_join(mt_fork(write_by_map, NULL));
	same('c', p[PAGE]);
	same('c', p[2 * PAGE - 1]);
	same(0, p[2 * PAGE]);
	ok(munmap(p, 4 * PAGE));
	ok(close(fd));
}

static void private_stays_private(void **state)
{
	int fd;
	char *p;

	(void)state;
	mt_put("f", "original");
	fd = (int)ok(open("f", O_RDONLY));
	p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	same(0, memcmp(p, "original", 8));
	same(0, p[8]); /* behind the end: zeros up to the page's end */
	memcpy(p, "private!", 8);
	ok(munmap(p, PAGE));
	ok(close(fd));
	mt_holds("f", "original");
}

static void truncated_under_a_map(void **state)
{
	int fd = make("f", 4 * PAGE);
	char *p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)state;
	memset(p, 't', 4 * PAGE);
	ok(ftruncate(fd, 100));
	same('t', p[99]);
	same(0, p[100]);
	ok(ftruncate(fd, 4 * PAGE));
	same('t', p[99]);
	same(0, p[100]);
	same(0, p[3 * PAGE]);
	ok(munmap(p, 4 * PAGE));
	mt_all(fd, 100, 4 * PAGE - 100, 0);
	ok(close(fd));
}

static void large(void **state)
{
	enum { SIZE = 16 << 20 };
	int fd = make("f", SIZE);
	char *p = map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)state;
	for (size_t i = 0; i < SIZE; i += PAGE)
		memcpy(p + i, &i, sizeof(i));
	ok(msync(p, SIZE, MS_ASYNC));
	ok(fsync(fd));
	ok(munmap(p, SIZE));
	ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	for (size_t i = 0, got; i < SIZE; i += 37 * PAGE) {
		same(sizeof(got), pread(fd, &got, sizeof(got), (off_t)i));
		same(i, got);
	}
	ok(close(fd));
}

static void map_moves_mtime(void **state)
{
	static const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	int fd = make("f", PAGE);
	char *p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)state;
	ok(futimens(fd, old));
	p[0] = 'm';
	ok(msync(p, PAGE, MS_SYNC));
	check(mt_stat("f").st_mtim.tv_sec != 1000);
	ok(munmap(p, PAGE));
	ok(close(fd));
}

static void rights_of_a_map(void **state)
{
	int fd;

	(void)state;
	mt_put("f", "x");
	fd = (int)ok(open("f", O_RDONLY));
	errno = 0;
	check(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	same(EACCES, errno);
	ok(close(fd));
}

int mt_run_map(void)
{
	const struct CMUnitTest tests[] = {
		CASE(coherent),
		CASE(outlives_the_descriptor),
		CASE(of_an_unlinked_file),
		CASE(between_processes),
		CASE(private_stays_private),
		CASE(truncated_under_a_map),
		CASE(large),
		CASE(map_moves_mtime),
		CASE(rights_of_a_map),
	};

	return cmocka_run_group_tests_name("mapping", tests, NULL, NULL);
}
