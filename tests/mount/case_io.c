/* SPDX-License-Identifier: MIT */
/* Reading and writing: offsets, vectors, appending, syncing, and files that have lost their name. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

static void offsets(void **state)
{
	char buf[32] = { 0 };
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	same(10, write(fd, "0123456789", 10));
	same(10, lseek(fd, 0, SEEK_CUR));
	same(3, pwrite(fd, "abc", 3, 4));
	same(10, lseek(fd, 0, SEEK_CUR));
	same(4, lseek(fd, -6, SEEK_END));
	same(4, read(fd, buf, 4));
	same(0, memcmp(buf, "abc7", 4));
	same(2, pread(fd, buf, sizeof(buf), 8));
	same(0, pread(fd, buf, sizeof(buf), 10));
	same(0, pread(fd, buf, sizeof(buf), 1000));
	fails(lseek(fd, -1, SEEK_SET), EINVAL);
	fails(pwrite(fd, "x", 1, -1), EINVAL);
	same(0, write(fd, buf, 0));
	ok(close(fd));
	mt_holds("f", "0123abc789");
}

static void vectors(void **state)
{
	struct iovec out[3] = { { (void *)"ab", 2 }, { (void *)"", 0 }, { (void *)"cdef", 4 } };
	char a[3], b[3];
	struct iovec in[2] = { { a, 3 }, { b, 3 } };
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	same(6, writev(fd, out, 3));
	same(6, preadv(fd, in, 2, 0));
	same(0, memcmp(a, "abc", 3));
	same(0, memcmp(b, "def", 3));
	same(6, pwritev(fd, out, 3, 100));
	same(106, mt_fstat(fd).st_size);
	mt_all(fd, 6, 94, 0);
	ok(close(fd));
}

static void every_size(void **state)
{
	/* across the sizes where a file moves from its inode to rows of its own, and from the log to a blob segment */
	static const size_t sizes[] = { 1,    63,    64,    65,    1023,   4095,   4096,
					4097, 32767, 32768, 32769, 131071, 131073, 1048577 };
	char name[32];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd;

		snprintf(name, sizeof(name), "f%zu", sizes[i]);
		fd = (int)ok(open(name, O_RDWR | O_CREAT, 0644));
		mt_fill(fd, 0, sizes[i], (int)i + 1);
		ok(close(fd));
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd;

		snprintf(name, sizeof(name), "f%zu", sizes[i]);
		fd = (int)ok(open(name, O_RDONLY));
		same(sizes[i], mt_fstat(fd).st_size);
		mt_all(fd, 0, sizes[i], (int)i + 1);
		ok(close(fd));
	}
}

static void growing_byte_by_byte(void **state)
{
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));

	(void)state;
	for (int i = 0; i < 5000; i++) {
		char c = (char)(i * 7);

		same(1, write(fd, &c, 1));
	}
	same(5000, mt_fstat(fd).st_size);
	for (int i = 0; i < 5000; i++) {
		char c;

		same(1, pread(fd, &c, 1, i));
		same((char)(i * 7), c);
	}
	ok(close(fd));
}

/* Random overwrites of a file against an array that gets the same. */
static void random_overwrites(void **state)
{
	enum { SIZE = 300000, ROUNDS = 1500 };
	unsigned seed = (unsigned)time(NULL);
	unsigned char *model = calloc(1, SIZE), *got = malloc(SIZE + 1), piece[9000];
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644));
	size_t end = 0;

	(void)state;
	check(model != NULL && got != NULL);
	print_message("# seed %u\n", seed);
	for (int i = 0; i < ROUNDS; i++) {
		size_t offset = (size_t)rand_r(&seed) % SIZE, size = 1 + (size_t)rand_r(&seed) % sizeof(piece);

		if (rand_r(&seed) % 3 == 0)
			size = 1 + size % 100;
		if (size > SIZE - offset)
			size = SIZE - offset;
		if (rand_r(&seed) % 20 == 0) {
			ok(ftruncate(fd, (off_t)offset));
			if (offset < end)
				memset(model + offset, 0, end - offset);
			end = offset;
			continue;
		}
		memset(piece, rand_r(&seed), size);
		same(size, pwrite(fd, piece, size, (off_t)offset));
		memcpy(model + offset, piece, size);
		if (offset + size > end)
			end = offset + size;
	}
	for (int again = 0; again < 2; again++) {
		same(end, mt_fstat(fd).st_size);
		same(end, pread(fd, got, SIZE + 1, 0));
		same(0, memcmp(model, got, end));
		ok(close(fd));
		fd = (int)ok(open("f", O_RDWR));
		ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	}
	ok(close(fd));
	free(model);
	free(got);
}

enum { APPENDERS = 4, RECORDS = 400, RECORD_BYTES = 37 };

static void append_records(void *arg)
{
	int fd = (int)ok(open("f", O_WRONLY | O_APPEND));
	char record[RECORD_BYTES + 16];

	for (int i = 0; i < RECORDS; i++) {
		snprintf(record, sizeof(record), "%c %6d %-27s\n", 'a' + *(int *)arg, i, "appended");
		same(RECORD_BYTES, write(fd, record, RECORD_BYTES));
	}
	ok(close(fd));
}

static void several_append(void **state)
{
	int who[APPENDERS], next[APPENDERS] = { 0 };
	pid_t pids[APPENDERS];
	char record[RECORD_BYTES];
	int fd;

	(void)state;
	mt_put("f", "");
	for (int i = 0; i < APPENDERS; i++) {
		who[i] = i;
		pids[i] = mt_fork(append_records, &who[i]);
	}
	for (int i = 0; i < APPENDERS; i++)
		mt_join(pids[i]);
	same(APPENDERS * RECORDS * RECORD_BYTES, mt_stat("f").st_size);
	fd = (int)ok(open("f", O_RDONLY));
	for (int i = 0; i < APPENDERS * RECORDS; i++) {
		int w;

		same(RECORD_BYTES, read(fd, record, RECORD_BYTES));
		same('\n', record[RECORD_BYTES - 1]);
		w = record[0] - 'a';
		check(w >= 0 && w < APPENDERS);
		same(next[w]++, atoi(record + 1)); /* each one's own records are in its order */
	}
	ok(close(fd));
}

static void append_ignores_offset(void **state)
{
	int fd;

	(void)state;
	mt_put("f", "one");
	fd = (int)ok(open("f", O_RDWR | O_APPEND));
	same(0, lseek(fd, 0, SEEK_SET));
	same(3, write(fd, "two", 3));
	same(6, lseek(fd, 0, SEEK_CUR));
	ok(ftruncate(fd, 2));
	same(1, write(fd, "!", 1));
	ok(close(fd));
	mt_holds("f", "on!");
}

static void readers_see_writers(void **state)
{
	char buf[8] = { 0 };
	int w = (int)ok(open("f", O_WRONLY | O_CREAT, 0644)), r = (int)ok(open("f", O_RDONLY));

	(void)state;
	same(0, read(r, buf, 8));
	for (int i = 0; i < 200; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%07d", i);
		same(8, pwrite(w, text, 8, (i % 10) * 8));
		same((i < 10 ? i + 1 : 10) * 8, mt_stat("f").st_size);
		same(8, pread(r, buf, 8, (i % 10) * 8));
		same(0, memcmp(buf, text, 8));
	}
	ok(close(w));
	ok(close(r));
}

static void unlinked_but_open(void **state)
{
	char buf[16] = { 0 };
	int fd;

	(void)state;
	mt_put("f", "first");
	fd = (int)ok(open("f", O_RDWR));
	ok(unlink("f"));
	check(!mt_exists("f"));
	same(0, mt_fstat(fd).st_nlink);
	same(5, pread(fd, buf, sizeof(buf), 0));
	same(6, pwrite(fd, "second", 6, 5));
	same(11, mt_fstat(fd).st_size);
	mt_put("f", "a new file");
	same(11, pread(fd, buf, sizeof(buf), 0));
	same(0, memcmp(buf, "firstsecond", 11));
	mt_fill(fd, 0, 200000, 'x');
	ok(ftruncate(fd, 100000));
	mt_all(fd, 0, 100000, 'x');
	ok(fchmod(fd, 0600));
	ok(fsync(fd));
	ok(close(fd));
	mt_holds("f", "a new file");
}

static void replaced_but_open(void **state)
{
	char buf[8] = { 0 };
	int fd;

	(void)state;
	mt_put("f", "old");
	mt_put("g", "new");
	fd = (int)ok(open("f", O_RDONLY));
	ok(rename("g", "f"));
	same(0, mt_fstat(fd).st_nlink);
	same(3, read(fd, buf, sizeof(buf)));
	same(0, memcmp(buf, "old", 3));
	ok(close(fd));
	mt_holds("f", "new");
}

static void syncing(void **state)
{
	int fd = (int)ok(open("f", O_RDWR | O_CREAT, 0644)), dir = (int)ok(open(".", O_RDONLY | O_DIRECTORY));

	(void)state;
	same(4, write(fd, "data", 4));
	ok(fsync(fd));
	same(4, write(fd, "more", 4));
	ok(fdatasync(fd));
	ok(syncfs(fd));
	ok(fsync(dir));
	ok(close(fd));
	fd = (int)ok(open("f", O_WRONLY | O_SYNC | O_APPEND));
	same(4, write(fd, "sync", 4));
	ok(close(fd));
	fd = (int)ok(open("f", O_WRONLY | O_DSYNC | O_APPEND));
	same(5, write(fd, "dsync", 5));
	ok(close(fd));
	ok(close(dir));
	mt_holds("f", "datamoresyncdsync");
}

static void direct(void **state)
{
	char *buf = aligned_alloc(4096, 65536);
	int fd = open("f", O_RDWR | O_CREAT | O_DIRECT, 0644);

	(void)state;
	if (fd < 0) {
		same(EINVAL, errno);
		free(buf);
		print_message("# skipped: no O_DIRECT here\n");
		skip();
	}
	check(buf != NULL);
	memset(buf, 'd', 65536);
	same(65536, pwrite(fd, buf, 65536, 8192));
	memset(buf, 0, 65536);
	same(65536, pread(fd, buf, 65536, 8192));
	same('d', buf[0]);
	same('d', buf[65535]);
	ok(close(fd));
	fd = (int)ok(open("f", O_RDONLY));
	same(8192 + 65536, mt_fstat(fd).st_size);
	mt_all(fd, 0, 8192, 0);
	mt_all(fd, 8192, 65536, 'd');
	ok(close(fd));
	free(buf);
}

static void copying_in_the_kernel(void **state)
{
	int in = (int)ok(open("in", O_RDWR | O_CREAT, 0644)), out = (int)ok(open("out", O_RDWR | O_CREAT, 0644));
	loff_t from = 1000;
	off_t at = 0;

	(void)state;
	mt_fill(in, 0, 100000, 'k');
	for (size_t left = 99000; left > 0;) {
		ssize_t n = ok(copy_file_range(in, &from, out, NULL, left, 0));

		check(n > 0);
		left -= (size_t)n;
	}
	for (size_t left = 100000; left > 0;) {
		ssize_t n = ok(sendfile(out, in, &at, left));

		check(n > 0);
		left -= (size_t)n;
	}
	same(199000, mt_fstat(out).st_size);
	mt_all(out, 0, 199000, 'k');
	ok(close(in));
	ok(close(out));
}

int mt_run_io(void)
{
	const struct CMUnitTest tests[] = {
		CASE(offsets),
		CASE(vectors),
		CASE(every_size),
		CASE(growing_byte_by_byte),
		CASE(random_overwrites),
		CASE(several_append),
		CASE(append_ignores_offset),
		CASE(readers_see_writers),
		CASE(unlinked_but_open),
		CASE(replaced_but_open),
		CASE(syncing),
		CASE(direct),
		CASE(copying_in_the_kernel),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
