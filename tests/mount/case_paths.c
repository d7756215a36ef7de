/* SPDX-License-Identifier: MIT */
/* Where different paths to the same bytes meet: mappings and the end of the file, direct and buffered, far offsets. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define KIB 1024

static unsigned char *map(int fd, size_t size, int prot, int flags)
{
	void *p = mmap(NULL, size, prot, flags, fd, 0);

	check(p != MAP_FAILED);
	return p;
}

static int make(void)
{
	return (int)ok(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
}

/* The kernel has none of its pages any more. */
static void drop(int fd)
{
	ok(fsync(fd));
	same(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
}

static int direct_fd(void)
{
	int fd = open("f", O_RDWR | O_DIRECT);

	if (fd < 0) {
		same(EINVAL, errno);
		print_message("# skipped: no O_DIRECT here\n");
		skip();
	}
	return fd;
}

static unsigned char *pages(size_t n, int byte)
{
	unsigned char *p = aligned_alloc(PAGE, n * PAGE);

	check(p != NULL);
	memset(p, byte, n * PAGE);
	return p;
}

static void all_bytes(const unsigned char *p, size_t n, int byte)
{
	for (size_t i = 0; i < n; i++)
		same(byte, p[i]);
}

/* ---- behind the end ---- */

enum { GROW_TRUNCATE, GROW_FAR, GROW_NEAR, GROW_ALLOCATE, GROW_ZERO_RANGE, GROW_COPY, GROW_APPEND, GROW_DIRECT, GROWS };

/* From 1000 bytes to at least 1100; the bytes from 1000 to its result must be zeros. */
static size_t grow(int fd, int how)
{
	unsigned char *page;
	loff_t from = 0, to = 3000;
	int other;

	switch (how) {
	case GROW_TRUNCATE:
		ok(ftruncate(fd, 3 * PAGE));
		return 3 * PAGE;
	case GROW_FAR:
		same(1, pwrite(fd, "y", 1, 2 * PAGE));
		return 2 * PAGE;
	case GROW_NEAR:
		same(1, pwrite(fd, "y", 1, 2000));
		return 2000;
	case GROW_ALLOCATE:
		ok(fallocate(fd, 0, 0, 2 * PAGE));
		return 2 * PAGE;
	case GROW_ZERO_RANGE:
		ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 1500, 2 * PAGE));
		return 1500 + 2 * PAGE;
	case GROW_COPY:
		same(500, copy_file_range(fd, &from, fd, &to, 500, 0));
		return 3000;
	case GROW_APPEND:
		other = (int)ok(open("f", O_WRONLY | O_APPEND));
		same(2, write(other, "\0\0", 2));
		ok(close(other));
		ok(ftruncate(fd, 5000));
		return 5000;
	default:
		other = direct_fd();
		page = pages(1, 'y');
		same(PAGE, pwrite(other, page, PAGE, PAGE));
		free(page);
		ok(close(other));
		return PAGE;
	}
}

/* What a mapping stored behind the end, in the last page, never comes to the file. */
static void stores_behind_the_end(void **state)
{
	(void)state;
	for (int how = 0; how < GROWS; how++) {
		int fd = make();
		unsigned char *p;
		size_t end;

		mt_fill(fd, 0, 1000, 'x');
		p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
		memset(p + 1000, 'G', PAGE - 1000);
		if (how == GROW_DIRECT) /* which ext4 doesn't ask for pages that are still to be written */
			ok(msync(p, PAGE, MS_SYNC));
		ok(munmap(p, PAGE));
		end = grow(fd, how);
		mt_all(fd, 0, 1000, 'x');
		mt_all(fd, 1000, end - 1000, 0);
		p = map(fd, PAGE, PROT_READ, MAP_SHARED);
		all_bytes(p + 1000, (end < PAGE ? end : PAGE) - 1000, 0);
		ok(munmap(p, PAGE));
		drop(fd);
		mt_all(fd, 1000, end - 1000, 0);
		ok(close(fd));
	}
}

static void truncation_zeroes_the_last_page(void **state)
{
	static const off_t sizes[] = { 0, 1, 255, 256, 1000, 3583, 3584, 3585, 4095, 4096, 4097, 65535, 65536, 65537 };
	const off_t full = 80 * KIB;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd = make();
		unsigned char *p = map(fd, (size_t)full, PROT_READ | PROT_WRITE, MAP_SHARED);

		mt_fill(fd, 0, (size_t)full, 'x');
		if (i % 2)
			drop(fd);
		else
			p[full - 1] = p[PAGE] = 'x'; /* the pages are dirty */
		ok(ftruncate(fd, sizes[i]));
		same(sizes[i], mt_fstat(fd).st_size);
		ok(ftruncate(fd, full));
		mt_all(fd, 0, (size_t)sizes[i], 'x');
		mt_all(fd, sizes[i], (size_t)(full - sizes[i]), 0);
		all_bytes(p + sizes[i], (size_t)(full - sizes[i]), 0);
		drop(fd);
		mt_all(fd, sizes[i], (size_t)(full - sizes[i]), 0);
		ok(munmap(p, (size_t)full));
		ok(close(fd));
	}
}

/* ---- SIGBUS ---- */

static sigjmp_buf bus_jump;

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(bus_jump, 1);
}

static bool can_load(const volatile unsigned char *p)
{
	if (sigsetjmp(bus_jump, 1))
		return false;
	(void)*p;
	return true;
}

static bool can_store(volatile unsigned char *p)
{
	if (sigsetjmp(bus_jump, 1))
		return false;
	*p = 's';
	return true;
}

static void pages_behind_the_end(void **state)
{
	struct sigaction action = { .sa_handler = on_bus }, before;
	unsigned char *p, *q;
	int fd = make();

	(void)state;
	ok(sigaction(SIGBUS, &action, &before));
	mt_fill(fd, 0, PAGE + 1, 'x');
	p = map(fd, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	q = map(fd, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	check(can_load(p + 2 * PAGE - 1) && can_load(q + 2 * PAGE - 1));
	check(!can_load(p + 2 * PAGE) && !can_store(p + 2 * PAGE));
	check(!can_load(q + 2 * PAGE) && !can_store(q + 7 * PAGE));
	ok(ftruncate(fd, 5 * PAGE));
	check(can_load(p + 4 * PAGE) && can_store(p + 4 * PAGE) && can_store(q + 3 * PAGE));
	ok(ftruncate(fd, 3 * PAGE)); /* also what is a private mapping's own goes */
	check(!can_load(p + 4 * PAGE) && !can_store(p + 3 * PAGE) && !can_load(q + 3 * PAGE));
	ok(ftruncate(fd, 5 * PAGE));
	check(can_load(p + 4 * PAGE) && can_load(q + 3 * PAGE));
	same(0, p[4 * PAGE]);
	same(0, q[3 * PAGE]);
	ok(munmap(p, 8 * PAGE));
	ok(munmap(q, 8 * PAGE));
	ok(close(fd));
	ok(sigaction(SIGBUS, &before, NULL));
}

/* ---- holes ---- */

static void punch_one(int fd, int mode, off_t size, off_t begin, off_t end)
{
	unsigned char *p = map(fd, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED);

	mt_fill(fd, 0, (size_t)size, 'p');
	if (begin % 2)
		drop(fd);
	else
		p[begin] = p[end - 1] = 'p'; /* dirty by a mapping */
	ok(fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, begin, end - begin));
	same(size, mt_fstat(fd).st_size);
	for (int again = 0; again < 2; again++) {
		mt_all(fd, 0, (size_t)begin, 'p');
		mt_all(fd, begin, (size_t)(end - begin), 0);
		mt_all(fd, end, (size_t)(size - end), 'p');
		all_bytes(p + begin, (size_t)(end - begin), 0);
		drop(fd);
	}
	ok(munmap(p, (size_t)size));
}

static void holes_at_any_byte(void **state)
{
	static const off_t small[] = { 0, 1, 255, 256, 257, 1500, 2999, 3000 };
	static const off_t large[] = { 0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 65535, 65536, 65537, 69999, 70000 };
	int fd = make();

	(void)state;
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		for (size_t k = i + 1; k < sizeof(small) / sizeof(small[0]); k++) {
			punch_one(fd, FALLOC_FL_PUNCH_HOLE, 3000, small[i], small[k]);
			ok(ftruncate(fd, 0));
		}
	}
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		for (size_t k = i + 1; k < sizeof(large) / sizeof(large[0]); k++)
			punch_one(fd, (i + k) % 2 ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, 70000, large[i],
				  large[k]);
	}
	ok(close(fd));
}

/* Not yet synced, it is data all the same: cp and tar -S find it by this. */
static void stores_in_holes_are_data(void **state)
{
	const off_t size = 64 * PAGE;
	int fd = make();
	unsigned char *p;

	(void)state;
	ok(ftruncate(fd, size));
	p = map(fd, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED);
	fails(lseek(fd, 0, SEEK_DATA), ENXIO);
	same(0, lseek(fd, 0, SEEK_HOLE));
	p[20 * PAGE + 5] = 'd';
	check(ok(lseek(fd, 0, SEEK_DATA)) <= 20 * PAGE + 5);
	check(lseek(fd, 20 * PAGE + 5, SEEK_DATA) == 20 * PAGE + 5);
	p[40 * PAGE] = 'd';
	check(ok(lseek(fd, 20 * PAGE, SEEK_HOLE)) <= 40 * PAGE);
	check(ok(lseek(fd, 40 * PAGE, SEEK_HOLE)) > 40 * PAGE);
	same(40 * PAGE, lseek(fd, 40 * PAGE, SEEK_DATA));
	p[63 * PAGE] = 'd';
	same(63 * PAGE, lseek(fd, 63 * PAGE, SEEK_DATA));
	same('d', p[20 * PAGE + 5]);
	same('d', p[63 * PAGE]);
	ok(munmap(p, (size_t)size));
	ok(close(fd));
}

/* ---- direct ---- */

static void direct_beside_the_cache(void **state)
{
	unsigned char *out = pages(4, 'd'), *in = pages(4, 0), *p;
	int fd = make(), direct = direct_fd();

	(void)state;
	mt_fill(fd, 0, 8 * PAGE, 'c');
	p = map(fd, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	all_bytes(p, 8 * PAGE, 'c');
	/* direct over what is cached and mapped */
	same(4 * PAGE, pwrite(direct, out, 4 * PAGE, 2 * PAGE));
	mt_all(fd, 0, 2 * PAGE, 'c');
	mt_all(fd, 2 * PAGE, 4 * PAGE, 'd');
	all_bytes(p + 2 * PAGE, 4 * PAGE, 'd');
	/* buffered over what was direct */
	same(10, pwrite(fd, "0123456789", 10, 3 * PAGE - 5));
	same(4 * PAGE, pread(direct, in, 4 * PAGE, 2 * PAGE));
	same(0, memcmp(in + PAGE - 5, "0123456789", 10));
	/* stored, not synced, read directly */
	memcpy(p + 4 * PAGE, "stored", 6);
	same(PAGE, pread(direct, in, PAGE, 4 * PAGE));
	same(0, memcmp(in, "stored", 6));
	/* stored, not synced, beside a direct write */
	memcpy(p + 6 * PAGE, "before", 6);
	same(PAGE, pwrite(direct, out, PAGE, 7 * PAGE));
	same(0, memcmp(p + 6 * PAGE, "before", 6));
	all_bytes(p + 7 * PAGE, PAGE, 'd');
	/* the last block is not a whole one */
	ok(ftruncate(fd, 7 * PAGE + 10));
	same(10, pread(direct, in, PAGE, 7 * PAGE));
	all_bytes(in, 10, 'd');
	same(0, pread(direct, in, PAGE, 8 * PAGE));
	ok(munmap(p, 8 * PAGE));
	ok(close(direct));
	ok(close(fd));
	free(out);
	free(in);
}

#define ASYNC_PAGES 64

static void read_for_ever(void *arg)
{
	int fd = (int)ok(open("f", O_RDONLY));
	char byte;

	for (unsigned i = *(int *)arg; mt_exists("f") && !mt_exists("stop"); i++) {
		for (unsigned k = 0; k < ASYNC_PAGES; k++)
			same(1, pread(fd, &byte, 1, (off_t)((i * 17 + k * 5) % ASYNC_PAGES) * PAGE));
	}
	ok(close(fd));
}

static void all_pages_say(int fd, unsigned number)
{
	for (unsigned i = 0; i < ASYNC_PAGES; i++) {
		unsigned got;

		same(sizeof(got), pread(fd, &got, sizeof(got), (off_t)i * PAGE));
		same(number, got);
	}
}

/* Others read, and so cache, what an asynchronous direct write is about to replace. */
static void asynchronous_beside_the_cache(void **state)
{
	unsigned char *out = pages(ASYNC_PAGES, 0);
	int fd = make(), direct = direct_fd(), who[2] = { 0, 1 };
	aio_context_t aio = 0;
	struct io_event event;
	pid_t readers[2];

	(void)state;
	if (syscall(SYS_io_setup, 1, &aio) < 0) {
		print_message("# skipped: no AIO here: %s\n", strerror(errno));
		skip();
	}
	mt_fill(fd, 0, ASYNC_PAGES * PAGE, 0);
	for (int i = 0; i < 2; i++)
		readers[i] = mt_fork(read_for_ever, &who[i]);
	for (unsigned i = 0; i < 400; i++) {
		struct iocb cb = {
			.aio_lio_opcode = IOCB_CMD_PWRITE,
			.aio_fildes = (uint32_t)direct,
			.aio_buf = (uintptr_t)out,
			.aio_nbytes = ASYNC_PAGES * PAGE,
		};
		struct iocb *list[1] = { &cb };

		for (unsigned k = 0; k < ASYNC_PAGES; k++)
			memcpy(out + k * PAGE, &i, sizeof(i));
		same(1, syscall(SYS_io_submit, aio, 1, list));
		same(1, syscall(SYS_io_getevents, aio, 1, 1, &event, NULL));
		same(ASYNC_PAGES * PAGE, event.res);
		all_pages_say(fd, i);
	}
	mt_put("stop", "");
	for (int i = 0; i < 2; i++)
		mt_join(readers[i]);
	ok((long)syscall(SYS_io_destroy, aio));
	ok(close(direct));
	ok(close(fd));
	free(out);
}

/* ---- offsets ---- */

/* Across the borders of what some counter may hold, by several paths. */
static void far_borders(void **state)
{
	static const off_t borders[] = { (off_t)1 << 31, (off_t)1 << 32, (off_t)1 << 43 };
	unsigned char *out = pages(2, 'F');
	int fd = make(), direct = direct_fd();

	(void)state;
	for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
		off_t b = borders[i];
		unsigned char *p;

		same(10, pwrite(fd, "0123456789", 10, b - 5));
		same(b + 5, mt_fstat(fd).st_size);
		mt_all(fd, b - PAGE, PAGE - 5, 0);
		same(2 * PAGE, pwrite(direct, out, 2 * PAGE, b - PAGE));
		mt_all(fd, b - PAGE, 2 * PAGE, 'F');
		p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, b - PAGE);
		check(p != MAP_FAILED);
		memset(p + PAGE - 3, 'M', 6);
		ok(munmap(p, 2 * PAGE));
		mt_all(fd, b - 3, 6, 'M');
		drop(fd);
		mt_all(fd, b - PAGE, PAGE - 3, 'F');
		mt_all(fd, b - 3, 6, 'M');
		same(b - PAGE, lseek(fd, b / 2, SEEK_DATA));
		ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, b - 1, 2));
		mt_all(fd, b - 1, 2, 0);
		ok(ftruncate(fd, b));
		ok(ftruncate(fd, b + PAGE));
		mt_all(fd, b, PAGE, 0);
		mt_all(fd, b - 3, 2, 'M');
	}
	ok(close(direct));
	ok(close(fd));
	free(out);
}

static void largest_file(void **state)
{
	const off_t last = INT64_MAX - 1;
	char buf[8];
	int fd = make();

	(void)state;
	if (ftruncate(fd, INT64_MAX) < 0) {
		same(EFBIG, errno);
		ok(close(fd));
		print_message("# skipped: files end before 8 EiB - 1 here\n");
		skip();
	}
	same(1, pwrite(fd, "e", 1, last));
	same(INT64_MAX, mt_fstat(fd).st_size);
	fails(pwrite(fd, "xy", 2, last), EINVAL); /* an offset that can't be */
	same(1, pwrite(fd, "x", 1, last));
	same(1, pread(fd, buf, 1, last));
	same('x', buf[0]);
	same(last, lseek(fd, 0, SEEK_DATA));
	same(INT64_MAX, lseek(fd, last, SEEK_HOLE));
	same(INT64_MAX, lseek(fd, 0, SEEK_END));
	fails(fallocate(fd, 0, last, 2), EFBIG);
	drop(fd);
	same(1, pread(fd, buf, 1, last));
	same('x', buf[0]);
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, INT64_MAX));
	fails(lseek(fd, 0, SEEK_DATA), ENXIO);
	ok(ftruncate(fd, 1));
	ok(close(fd));
}

/* Whatever is asked for, all that is there comes at once. */
static void short_only_at_the_end(void **state)
{
	static const size_t asked[] = { 1000, 4096, 65536, 100001, 1 << 20, (1 << 20) + 1, 3 << 20, 16 << 20 };
	const off_t size = (3 << 20) + 12345;
	int fd = make();

	(void)state;
	mt_fill(fd, 0, (size_t)size, 's');
	for (size_t i = 0; i < 2 * sizeof(asked) / sizeof(asked[0]); i++) {
		size_t n = asked[i / 2];
		unsigned char *buf = malloc(n);
		off_t at = (off_t)(i % 2) * 77;

		check(buf != NULL);
		drop(fd);
		same(at, lseek(fd, at, SEEK_SET));
		while (at < size) {
			ssize_t want = (off_t)n < size - at ? (ssize_t)n : (ssize_t)(size - at);

			same(want, read(fd, buf, n));
			at += want;
		}
		same(0, read(fd, buf, n));
		free(buf);
	}
	ok(close(fd));
}

static void ways_to_append(void **state)
{
	struct iovec v[2] = { { (char[]){ 'v' }, 1 }, { (char[]){ 'w' }, 1 } };
	int fd = make(), append = (int)ok(open("f", O_RDWR | O_APPEND));

	(void)state;
	same(1, write(append, "a", 1));
	same(1, pwrite(append, "b", 1, 0)); /* appends whatever the offset is, on Linux */
	same(2, pwritev(append, v, 2, 0));
	same(2, pwritev2(fd, v, 2, 0, RWF_APPEND));
	same(0, lseek(fd, 0, SEEK_CUR));
	same(2, pwritev2(fd, v, 2, -1, RWF_APPEND));
	same(8, lseek(fd, 0, SEEK_CUR));
	mt_holds("f", "abvwvwvw");
	fails(copy_file_range(fd, (loff_t[]){ 0 }, append, NULL, 2, 0), EBADF);
	ok(close(append));
	ok(close(fd));
}

int mt_run_paths(void)
{
	const struct CMUnitTest tests[] = {
		CASE(stores_behind_the_end),
		CASE(truncation_zeroes_the_last_page),
		CASE(pages_behind_the_end),
		CASE(holes_at_any_byte),
		CASE(stores_in_holes_are_data),
		CASE(direct_beside_the_cache),
		CASE(asynchronous_beside_the_cache),
		CASE(far_borders),
		CASE(largest_file),
		CASE(short_only_at_the_end),
		CASE(ways_to_append),
	};

	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
