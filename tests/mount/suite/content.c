/* SPDX-License-Identifier: MIT */
/* Bytes of files: sizes, holes, copies, all ways to read and write, mappings. */
#include "suite.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

/* ---- a file and what it should hold ---- */

#define ROOM ((size_t)3 << 20)

static unsigned char *wanted, *got_bytes;
static size_t wanted_size;

static void rooms(void)
{
	wanted = calloc(1, ROOM);
	got_bytes = malloc(ROOM);
	must(wanted && got_bytes ? 0 : -1);
}

/* A byte that tells where it belongs, and which write it came from. */
static unsigned char pattern(size_t at, unsigned write)
{
	return (unsigned char)(1 + (at * 31 + at / 251 + write * 97) % 255);
}

static void want_bytes(size_t from, size_t size, unsigned write)
{
	for (size_t i = from; i < from + size; i++)
		wanted[i] = pattern(i, write);
	if (from + size > wanted_size)
		wanted_size = from + size;
}

static void want_zeros(size_t from, size_t size)
{
	memset(wanted + from, 0, size);
}

static void want_size(size_t size)
{
	if (size < wanted_size)
		want_zeros(size, wanted_size - size);
	wanted_size = size;
}

static void put_bytes(int fd, size_t from, size_t size, unsigned write)
{
	want_bytes(from, size, write);
	must(pwrite(fd, wanted + from, size, (off_t)from) == (ssize_t)size ? 0 : -1);
}

static void check_bytes(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void check_bytes(int fd, const char *format, ...)
{
	size_t n = 0, at = 0;
	char what[200];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	expect_equal((long long)wanted_size, (long long)look_fd(fd).st_size, "size after %s", what);
	for (ssize_t r; (r = must(pread(fd, got_bytes + n, ROOM - n, (off_t)n))) > 0;)
		n += (size_t)r;
	if (!expect_equal((long long)wanted_size, (long long)n, "bytes read after %s", what))
		return;
	while (at < n && wanted[at] == got_bytes[at])
		at++;
	expect_true(at == n, "bytes after %s: at %zu of %zu there is %#x and not %#x", what, at, n,
		    at < n ? got_bytes[at] : 0, at < n ? wanted[at] : 0);
}

static int new_file(void)
{
	wipe("f");
	memset(wanted, 0, wanted_size);
	wanted_size = 0;
	return (int)must(open("f", O_RDWR | O_CREAT | O_EXCL, 0644));
}

/* ---- sizes ---- */

static const size_t sizes[] = { 0,    1,    100,  512,   3583,  3584,   3585,    4095,
				4096, 4097, 8192, 65535, 65537, 131072, 1048575, 1048577 };

static void resize(int fd, size_t size, bool by_path)
{
	expect(0, by_path ? rc(truncate("f", (off_t)size)) : rc(ftruncate(fd, (off_t)size)), "%struncate to %zu",
	       by_path ? "" : "f", size);
	want_size(size);
}

void content_sizes(void)
{
	rooms();
	for (size_t a = 0; a < N(sizes); a++)
		for (size_t b = 0; b < N(sizes); b++) {
			int fd = new_file();

			put_bytes(fd, 0, sizes[a], 1);
			resize(fd, sizes[b], (a + b) % 2);
			check_bytes(fd, "%zu bytes were cut or filled up to %zu", sizes[a], sizes[b]);
			/* what was cut off doesn't come back */
			resize(fd, sizes[a] + 5000, (a + b) % 2 == 0);
			check_bytes(fd, "%zu bytes were brought to %zu and then to %zu", sizes[a], sizes[b],
				    sizes[a] + 5000);
			put_bytes(fd, sizes[b] / 2, 10, 2);
			check_bytes(fd, "a write into what was brought to %zu", sizes[b]);
			must(close(fd));
		}
	/* growing by small pieces, and shrinking by them */
	int fd = new_file();

	for (size_t at = 0, k = 1; at < 20000; at += k, k = k % 97 + 1)
		put_bytes(fd, at, k, 3);
	check_bytes(fd, "many small writes");
	while (wanted_size > 700) {
		resize(fd, wanted_size - 701, false);
		check_bytes(fd, "a cut by 701 to %zu", wanted_size);
	}
	must(close(fd));
}

/* ---- holes ---- */

/* What SEEK_DATA and SEEK_HOLE may say: never a hole where there are bytes, never past the end. */
static void check_seeks(int fd, const char *what)
{
	const off_t end = (off_t)wanted_size;
	unsigned wrong = 0;

	for (off_t at = 0; at < end; at += at < 5000 ? 501 : 40009) {
		off_t data = lseek(fd, at, SEEK_DATA), hole = lseek(fd, at, SEEK_HOLE), next = data < 0 ? end : data;

		if (data < 0 ? errno != ENXIO : data < at || data >= end)
			wrong++;
		for (off_t k = at; k < next; k++)
			wrong += wanted[k] != 0;
		if (hole < at || hole > end || (hole < end && wanted[hole] != 0))
			wrong++;
		/* between data and hole there is no contradiction */
		if (data == at && hole == at)
			wrong++;
	}
	expect_equal(0, wrong, "wrong answers of SEEK_DATA and SEEK_HOLE after %s", what);
	expect(-ENXIO, rc(lseek(fd, end, SEEK_DATA)), "SEEK_DATA at the end after %s", what);
	expect(-ENXIO, rc(lseek(fd, end, SEEK_HOLE)), "SEEK_HOLE at the end after %s", what);
	expect(-ENXIO, rc(lseek(fd, end + 100, SEEK_DATA)), "SEEK_DATA behind the end after %s", what);
	expect_either(-ENXIO, -EINVAL, rc(lseek(fd, -1, SEEK_DATA)), "SEEK_DATA at -1 after %s", what);
	if (end)
		expect_either(end, wanted[end - 1] ? end : end - 1, rc(lseek(fd, end - 1, SEEK_HOLE)),
			      "SEEK_HOLE at the last byte after %s", what);
}

static const struct {
	size_t at, size;
} pieces[] = {
	{ 0, 1 },         { 0, 4096 },       { 1, 4095 },      { 100, 50 },        { 4096, 4096 },  { 4000, 200 },
	{ 8191, 2 },      { 65536, 65536 },  { 70000, 3000 },  { 131072, 1 },      { 0, 300000 },   { 299999, 1 },
	{ 299000, 2000 }, { 300000, 10000 }, { 400000, 5000 }, { 262144, 100000 }, { 1048570, 20 },
};

static const struct {
	const char *name;
	int mode;
	bool zeros, keeps_size;
} modes[] = {
	{ "fallocate", 0, false, false },
	{ "fallocate KEEP_SIZE", FALLOC_FL_KEEP_SIZE, false, true },
	{ "PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, true, true },
	{ "ZERO_RANGE", FALLOC_FL_ZERO_RANGE, true, false },
	{ "ZERO_RANGE KEEP_SIZE", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, true, true },
};

/* A file of one of these kinds: full, with holes, small, empty. */
static int holed_file(int kind)
{
	int fd = new_file();

	switch (kind) {
	case 0:
		put_bytes(fd, 0, 300000, 1);
		break;
	case 1:
		for (size_t at = 5000; at < 300000; at += 30011)
			put_bytes(fd, at, 7001, 2);
		resize(fd, 300000, false);
		break;
	case 2:
		put_bytes(fd, 0, 2000, 3);
		break;
	default:
		break;
	}
	return fd;
}

static void allocations(void)
{
	static const char *const kinds[] = { "a full file", "a file with holes", "a small file", "an empty file" };
	char what[200];

	for (int kind = 0; kind < 4; kind++)
		for (size_t m = 0; m < N(modes); m++)
			for (size_t p = 0; p < N(pieces); p++) {
				int fd = holed_file(kind);
				size_t end = pieces[p].at + pieces[p].size;

				snprintf(what, sizeof(what), "%s of %zu at %zu of %s", modes[m].name, pieces[p].size,
					 pieces[p].at, kinds[kind]);
				expect(0, rc(fallocate(fd, modes[m].mode, (off_t)pieces[p].at, (off_t)pieces[p].size)),
				       "%s", what);
				if (!modes[m].keeps_size && end > wanted_size)
					want_size(end);
				if (modes[m].zeros && pieces[p].at < wanted_size)
					want_zeros(pieces[p].at,
						   (end < wanted_size ? end : wanted_size) - pieces[p].at);
				check_bytes(fd, "%s", what);
				if (p % 3 == 0)
					check_seeks(fd, what);
				/* writes go on in what was allocated or punched */
				put_bytes(fd, pieces[p].at, 5, 4);
				check_bytes(fd, "a write after %s", what);
				must(close(fd));
			}
}

static void far_apart(void)
{
	static const off_t places[] = { ((off_t)1 << 31) - 3, ((off_t)1 << 32) - 3, (off_t)1 << 33, (off_t)1 << 40,
					((off_t)1 << 43) + 12345 };
	char buf[16];
	int fd = new_file();

	for (size_t i = 0; i < N(places); i++)
		expect(6, rc(pwrite(fd, "placed", 6, places[i])), "write at %lld", (long long)places[i]);
	for (size_t i = 0; i < N(places); i++) {
		expect(i == N(places) - 1 ? 6 : 10, rc(pread(fd, buf, 10, places[i])), "read at %lld",
		       (long long)places[i]);
		expect_true(memcmp(buf, "placed", 6) == 0, "bytes at %lld", (long long)places[i]);
	}
	expect(10, rc(pread(fd, buf, 10, places[4] - 10)), "read of the hole before the last");
	expect_true(memcmp(buf, "\0\0\0\0\0\0\0\0\0\0", 10) == 0, "zeros in the hole before the last");
	expect_equal(places[4] + 6, (long long)look_fd(fd).st_size, "size of a file of 8 TiB");
	expect_true(look_fd(fd).st_blocks < 2000, "a file of 8 TiB with six writes takes little space");
	expect(places[4] + 6, rc(lseek(fd, 0, SEEK_END)), "its end");
	expect_true(lseek(fd, places[3] + 100000, SEEK_DATA) > places[3] + 6, "SEEK_DATA over terabytes");
	expect(0, rc(ftruncate(fd, places[2])), "ftruncate to 8 GiB");
	expect(0, rc(ftruncate(fd, places[4] + 6)), "and back");
	expect(6, rc(pread(fd, buf, 16, places[4])), "read at the old end");
	expect_true(memcmp(buf, "\0\0\0\0\0\0", 6) == 0, "zeros at the old end");
	expect(6, rc(pread(fd, buf, 6, places[0])), "read below the cut");
	expect_true(memcmp(buf, "placed", 6) == 0, "bytes below the cut");
	must(close(fd));
}

/* What is punched is given back. */
static void space_returns(void)
{
	struct stat before, after;
	int fd = new_file();

	put_bytes(fd, 0, 2 << 20, 1);
	must(fsync(fd));
	before = look_fd(fd);
	expect_true(before.st_blocks >= (2 << 20) / 512, "blocks of a full file");
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
	must(fsync(fd));
	after = look_fd(fd);
	expect_true(after.st_blocks <= before.st_blocks - (1 << 20) / 512 + 16,
		    "half of it is punched, half the blocks go");
	must(ftruncate(fd, 0));
	must(fsync(fd));
	expect_true(look_fd(fd).st_blocks <= 16, "no blocks when all is cut");
	must(close(fd));
}

void content_holes(void)
{
	rooms();
	allocations();
	far_apart();
	space_returns();
}

/* ---- copies ---- */

static void copies(void)
{
	static const struct {
		size_t from, to, size;
	} parts[] = {
		{ 0, 0, 1 },
		{ 0, 0, 300000 },
		{ 1, 0, 4096 },
		{ 0, 1, 4096 },
		{ 4096, 8192, 4096 },
		{ 100000, 0, 50 },
		{ 299990, 0, 100 },
		{ 299999, 5, 1 },
		{ 0, 299990, 100 },
		{ 0, 500000, 1000 },
		{ 65536, 65536, 65536 },
		{ 7, 1048570, 1000 },
		{ 250000, 1100000, 50000 },
	};
	unsigned char *source = malloc(300000);
	int from, to;

	must(source ? 0 : -1);
	from = new_file();
	put_bytes(from, 0, 100000, 7);
	put_bytes(from, 200000, 100000, 8); /* with a hole */
	memcpy(source, wanted, 300000);
	must(rename("f", "source"));
	for (size_t i = 0; i < N(parts); i++) {
		loff_t in = (loff_t)parts[i].from, out = (loff_t)parts[i].to;
		size_t left = parts[i].from + parts[i].size > 300000 ? 300000 - parts[i].from : parts[i].size, sum = 0;

		to = new_file();
		put_bytes(to, 0, 150000, 9);
		for (ssize_t r;
		     sum < left && (r = must(copy_file_range(from, &in, to, &out, parts[i].size - sum, 0))) > 0;)
			sum += (size_t)r;
		expect_equal((long long)left, (long long)sum, "copy_file_range of %zu from %zu to %zu", parts[i].size,
			     parts[i].from, parts[i].to);
		expect_equal((long long)(parts[i].from + left), in, "offset of the source then");
		expect_equal((long long)(parts[i].to + left), out, "offset of the target then");
		memcpy(wanted + parts[i].to, source + parts[i].from, left);
		if (parts[i].to + left > wanted_size)
			wanted_size = parts[i].to + left;
		check_bytes(to, "a copy of %zu from %zu to %zu", parts[i].size, parts[i].from, parts[i].to);
		must(close(to));
	}
	must(close(from));
	free(source);
}

static void copies_in_one_file(void)
{
	static const struct {
		off_t from, to;
		size_t size;
		long want;
	} parts[] = {
		{ 0, 0, 10, -EINVAL },
		{ 0, 5, 10, -EINVAL },
		{ 5, 0, 10, -EINVAL },
		{ 0, 10, 10, 10 },
		{ 10, 0, 10, 10 },
		{ 0, 9, 10, -EINVAL },
		{ 0, 99990, 20, 20 },
		{ 99990, 0, 20, 10 },
		{ 99990, 99995, 20, -EINVAL },
		{ 100000, 0, 10, 0 },
		{ 200000, 0, 10, 0 },
		{ 0, 150000, 10, 10 },
		{ 4096, 8192, 4096, 4096 },
		{ 4096, 8191, 4096, -EINVAL },
	};

	for (size_t i = 0; i < N(parts); i++) {
		loff_t in = parts[i].from, out = parts[i].to;
		int fd = new_file();
		long got;

		put_bytes(fd, 0, 100000, 1);
		got = rc(copy_file_range(fd, &in, fd, &out, parts[i].size, 0));
		expect(parts[i].want, got, "copy_file_range of %zu from %lld to %lld of the same file", parts[i].size,
		       (long long)parts[i].from, (long long)parts[i].to);
		if (got > 0 && got == parts[i].want) {
			memcpy(wanted + parts[i].to, wanted + parts[i].from, (size_t)got);
			if ((size_t)(parts[i].to + got) > wanted_size)
				wanted_size = (size_t)(parts[i].to + got);
		}
		check_bytes(fd, "that");
		must(close(fd));
	}
}

static void copies_that_fail(void)
{
	int rd, wr, append, dir, path, fd = new_file();

	put_bytes(fd, 0, 100, 1);
	make_file("g", "0123456789");
	make(DIR_, "d", NULL);
	rd = (int)must(open("f", O_RDONLY));
	wr = (int)must(open("g", O_WRONLY));
	append = (int)must(open("g", O_WRONLY | O_APPEND));
	dir = (int)must(open("d", O_RDONLY));
	path = (int)must(open("g", O_PATH));
	expect(0, rc(copy_file_range(rd, NULL, wr, NULL, 0, 0)), "copy_file_range of nothing");
	expect(-EBADF, rc(copy_file_range(wr, NULL, fd, NULL, 5, 0)), "from what is open for writing");
	expect(-EBADF, rc(copy_file_range(fd, NULL, rd, NULL, 5, 0)), "to what is open for reading");
	expect(-EBADF, rc(copy_file_range(fd, NULL, append, NULL, 5, 0)), "to what is open with O_APPEND");
	expect(-EBADF, rc(copy_file_range(fd, NULL, path, NULL, 5, 0)), "to what is open with O_PATH");
	expect(-EISDIR, rc(copy_file_range(dir, NULL, wr, NULL, 5, 0)), "from a directory");
	expect(-EISDIR, rc(copy_file_range(fd, NULL, dir, NULL, 5, 0)), "to a directory");
	expect(-EINVAL, rc(copy_file_range(fd, NULL, wr, NULL, 5, 1)), "with a flag of nobody");
	expect(-EOVERFLOW, rc(copy_file_range(fd, &(loff_t){ -1 }, wr, NULL, 5, 0)), "from -1");
	/* by the descriptors' own offsets */
	must(lseek(fd, 90, SEEK_SET));
	expect(10, rc(copy_file_range(fd, NULL, wr, NULL, 50, 0)), "of what is left");
	expect(100, rc(lseek(fd, 0, SEEK_CUR)), "offset of the source");
	expect(10, rc(lseek(wr, 0, SEEK_CUR)), "offset of the target");
	expect(0, rc(copy_file_range(fd, NULL, wr, NULL, 50, 0)), "at the end");
	expect(-EOPNOTSUPP, rc(ioctl(wr, FICLONE, fd)), "FICLONE");
	must(close(rd));
	must(close(wr));
	must(close(append));
	must(close(dir));
	must(close(path));
	must(close(fd));
	wipe("g");
	wipe("d");
}

static void by_pipes(void)
{
	off_t at = 10;
	int ends[2], out, fd = new_file();

	put_bytes(fd, 0, 60000, 1);
	out = (int)must(open("out", O_RDWR | O_CREAT | O_TRUNC, 0644));
	expect(59990, rc(sendfile(out, fd, &at, 100000)), "sendfile from a file to a file");
	expect_equal(60000, at, "offset after sendfile");
	expect(59990, rc(pread(out, got_bytes, 60000, 0)), "read of what was sent");
	expect_true(memcmp(got_bytes, wanted + 10, 59990) == 0, "bytes of what was sent");
	must(pipe(ends));
	expect(30000, rc(splice(fd, &(loff_t){ 5 }, ends[1], NULL, 30000, 0)), "splice from a file");
	expect(30000, rc(splice(ends[0], NULL, out, &(loff_t){ 100 }, 30000, 0)), "splice to a file");
	expect(30000, rc(pread(out, got_bytes, 30000, 100)), "read of what was spliced");
	expect_true(memcmp(got_bytes, wanted + 5, 30000) == 0, "bytes of what was spliced");
	expect(5000, rc(vmsplice(ends[1], &(struct iovec){ wanted, 5000 }, 1, 0)), "vmsplice");
	expect(5000, rc(splice(ends[0], NULL, out, &(loff_t){ 0 }, 5000, SPLICE_F_MOVE)), "splice of memory to a file");
	expect(5000, rc(pread(out, got_bytes, 5000, 0)), "read of memory that was spliced");
	expect_true(memcmp(got_bytes, wanted, 5000) == 0, "bytes of memory that was spliced");
	must(close(ends[0]));
	must(close(ends[1]));
	must(close(out));
	must(close(fd));
	wipe("out");
}

void content_copy(void)
{
	rooms();
	copies();
	copies_in_one_file();
	copies_that_fail();
	by_pipes();
}

/* ---- reading and writing ---- */

static void vectors(void)
{
	unsigned char a[10], b[5000], c[3];
	struct iovec v[4] = { { a, 10 }, { b, 0 }, { b, 5000 }, { c, 3 } };
	int fd = new_file();

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	memset(c, 'c', sizeof(c));
	expect(5013, rc(writev(fd, v, 4)), "writev");
	memset(wanted, 'a', 10);
	memset(wanted + 10, 'b', 5000);
	memset(wanted + 5010, 'c', 3);
	wanted_size = 5013;
	check_bytes(fd, "writev");
	expect(5013, rc(pwritev(fd, v, 4, 6000)), "pwritev");
	memcpy(wanted + 6000, wanted, 5013);
	wanted_size = 11013;
	check_bytes(fd, "pwritev behind the end");
	memset(b, 0, sizeof(b));
	expect(5013, rc(preadv(fd, v, 4, 6000)), "preadv");
	expect_true(a[9] == 'a' && b[0] == 'b' && b[4999] == 'b' && c[0] == 'c', "what preadv brought");
	expect(3, rc(preadv(fd, v, 4, 11010)), "preadv at the end");
	expect_true(memcmp(a, "ccc", 3) == 0, "what preadv brought from the end");
	expect(0, rc(preadv(fd, v, 4, 11013)), "preadv behind the end");
	expect(0, rc(writev(fd, v + 1, 1)), "writev of an empty piece");
	must(close(fd));
}

static void flags_of_calls(void)
{
	char buf[16];
	struct iovec w = { (char[]){ "flagged" }, 7 }, r = { buf, sizeof(buf) };
	int fd = new_file(), append;
	long got;

	put_bytes(fd, 0, 10, 1);
	expect(7, rc(pwritev2(fd, &w, 1, 2, RWF_DSYNC)), "pwritev2 RWF_DSYNC");
	expect(7, rc(pwritev2(fd, &w, 1, 2, RWF_SYNC)), "pwritev2 RWF_SYNC");
	expect(7, rc(pwritev2(fd, &w, 1, 0, RWF_APPEND)), "pwritev2 RWF_APPEND");
	expect_equal(17, (long long)look_fd(fd).st_size, "size after RWF_APPEND");
	expect(7, rc(pread(fd, buf, 7, 10)), "read of what RWF_APPEND wrote");
	expect_true(memcmp(buf, "flagged", 7) == 0, "bytes that RWF_APPEND wrote");
	got = rc(preadv2(fd, &r, 1, 0, RWF_NOWAIT));
	expect_true(got == 16 || got == -EAGAIN || got == -EOPNOTSUPP, "preadv2 RWF_NOWAIT gives %s", errno_name(got));
	got = rc(pwritev2(fd, &w, 1, 0, RWF_NOWAIT));
	expect_true(got == 7 || got == -EAGAIN || got == -EOPNOTSUPP, "pwritev2 RWF_NOWAIT gives %s", errno_name(got));
	expect(16, rc(preadv2(fd, &r, 1, 0, 0)), "preadv2 without flags");
	expect(-EOPNOTSUPP, rc(preadv2(fd, &r, 1, 0, 0x40000000)), "preadv2 with a flag of nobody");
	must(lseek(fd, 3, SEEK_SET));
	expect(14, rc(preadv2(fd, &r, 1, -1, 0)), "preadv2 at the descriptor's offset");
	expect(17, rc(lseek(fd, 0, SEEK_CUR)), "the offset goes on");
	append = (int)must(open("f", O_WRONLY | O_APPEND));
	expect(7, rc(pwritev2(append, &w, 1, 0, 0)), "pwritev2 with O_APPEND");
	expect_equal(24, (long long)look_fd(fd).st_size, "size after pwritev2 with O_APPEND");
	must(close(append));
	must(close(fd));
}

/* Direct, buffered and mapped: one file. */
static void direct(void)
{
	unsigned char *page = aligned_alloc(4096, 65536);
	int fd = new_file(), d = open("f", O_RDWR | O_DIRECT);
	char *map;

	must(page ? 0 : -1);
	if (d < 0) {
		skip("no O_DIRECT here");
		must(close(fd));
		return;
	}
	put_bytes(fd, 0, 20000, 1);
	expect(16384, rc(pread(d, page, 16384, 0)), "direct read of what was written by the cache");
	expect_true(memcmp(page, wanted, 16384) == 0, "its bytes");
	for (size_t i = 0; i < 65536; i++)
		page[i] = pattern(i, 5);
	expect(8192, rc(pwrite(d, page, 8192, 4096)), "direct write");
	memcpy(wanted + 4096, page, 8192);
	check_bytes(fd, "a direct write into cached pages");
	expect(65536, rc(pwrite(d, page, 65536, 65536)), "direct write behind the end");
	memcpy(wanted + 65536, page, 65536);
	wanted_size = 131072;
	check_bytes(fd, "a direct write behind the end");
	map = mmap(NULL, 131072, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(map == MAP_FAILED ? -1 : 0);
	expect_true(memcmp(map, wanted, 131072) == 0, "bytes as they are mapped");
	expect(4096, rc(pwrite(d, page + 4096, 4096, 0)), "direct write under a mapping");
	memcpy(wanted, page + 4096, 4096);
	expect_true(memcmp(map, wanted, 4096) == 0, "bytes of a direct write as they are mapped");
	map[9000] = wanted[9000] = 'm';
	must(msync(map, 131072, MS_SYNC));
	expect(4096, rc(pread(d, page, 4096, 8192)), "direct read of what was mapped");
	expect_true(memcmp(page, wanted + 8192, 4096) == 0, "its bytes");
	must(munmap(map, 131072));
	expect(0, rc(pread(d, page, 4096, 131072)), "direct read at the end");
	expect(0, rc(pread(d, page, 4096, 1048576)), "direct read behind the end");
	must(ftruncate(fd, 5000));
	want_size(5000);
	expect(5000, rc(pread(d, page, 65536, 0)), "direct read over the end");
	expect_true(memcmp(page, wanted, 5000) == 0, "its bytes");
	check_bytes(fd, "all of that");
	must(close(d));
	must(close(fd));
	free(page);
}

static void large_calls(void)
{
	static const size_t calls[] = { 65536, 1 << 20, (1 << 20) + 1, 3 << 20 };
	int fd;

	for (size_t i = 0; i < N(calls); i++) {
		fd = new_file();
		want_bytes(0, calls[i], 1);
		expect((long)calls[i], rc(write(fd, wanted, calls[i])), "write of %zu", calls[i]);
		check_bytes(fd, "a write of %zu", calls[i]);
		expect((long)calls[i], rc(pread(fd, got_bytes, ROOM, 0)), "read of all in one call of %zu", calls[i]);
		must(close(fd));
	}
	/* durable writes say the same */
	fd = new_file();
	for (size_t i = 0; i < 5; i++) {
		put_bytes(fd, i * 5000, 5000, 2);
		expect(0, i % 2 ? rc(fsync(fd)) : rc(fdatasync(fd)), "fsync %zu", i);
	}
	check_bytes(fd, "writes and syncs");
	expect(0, rc(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)), "sync_file_range");
	expect(0, -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise DONTNEED");
	check_bytes(fd, "the pages were dropped");
	expect(0, rc(readahead(fd, 0, 100000)), "readahead");
	must(close(fd));
}

void content_io(void)
{
	rooms();
	vectors();
	flags_of_calls();
	direct();
	large_calls();
}

/* ---- mappings ---- */

static sigjmp_buf bus;

static void on_bus(int signal)
{
	siglongjmp(bus, signal);
}

/* Whether a byte can be read: 0, or the signal. */
static int touch(const volatile char *at, char *ret)
{
	int signal = sigsetjmp(bus, 1);

	if (signal == 0)
		*ret = *at;
	return signal;
}

static char *map_file(int fd, size_t size, int flags)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	must(at == MAP_FAILED ? -1 : 0);
	return at;
}

/* Bytes that were left behind the end of a file, in its last page, never show. */
static void behind_the_end(void)
{
	static const size_t ends[] = { 1, 100, 2047, 3000, 4095, 4097, 5000, 70000 };

	for (size_t i = 0; i < N(ends); i++) {
		int fd = new_file();
		const size_t page_end = (ends[i] + 4095) / 4096 * 4096;
		char *map, byte = 1;

		put_bytes(fd, 0, ends[i], 1);
		map = map_file(fd, page_end + 4096, MAP_SHARED);
		expect(0, touch(map + page_end - 1, &byte), "a byte of the last page behind %zu", ends[i]);
		expect_equal(0, byte, "its value behind %zu", ends[i]);
		expect(SIGBUS, touch(map + page_end, &byte), "a byte of the page behind the end of %zu", ends[i]);
		memset(map + ends[i], 'Z', page_end - ends[i]);
		expect_equal((long long)ends[i], (long long)look_fd(fd).st_size,
			     "writes behind the end don't move it from %zu", ends[i]);
		must(msync(map, page_end, MS_SYNC));
		check_bytes(fd, "a mapping wrote behind the end of %zu", ends[i]);
		resize(fd, page_end + 10000, i % 2);
		check_bytes(fd, "a mapping wrote behind the end of %zu, which was moved", ends[i]);
		expect(0, touch(map + page_end, &byte), "the page is there now, %zu", ends[i]);
		expect_equal(0, byte, "and it is zero, %zu", ends[i]);
		must(munmap(map, page_end + 4096));
		must(close(fd));
	}
	/* and what a truncate cut off */
	for (size_t i = 0; i < N(ends); i++) {
		int fd = new_file();
		char *map, byte = 1;

		put_bytes(fd, 0, 80000, 1);
		map = map_file(fd, 80000, MAP_SHARED);
		expect(0, touch(map + 79999, &byte), "the last byte");
		resize(fd, ends[i], i % 2);
		if (ends[i] % 4096) {
			expect(0, touch(map + ends[i], &byte), "a byte just behind the cut at %zu", ends[i]);
			expect_equal(0, byte, "its value behind the cut at %zu", ends[i]);
		}
		expect(SIGBUS, touch(map + 79999, &byte), "a byte far behind the cut at %zu", ends[i]);
		resize(fd, 80000, i % 2 == 0);
		expect(0, touch(map + 79999, &byte), "a byte far behind the cut at %zu, when the size is back",
		       ends[i]);
		expect_equal(0, byte, "its value behind the cut at %zu", ends[i]);
		expect_true(memcmp(map, wanted, 80000) == 0, "all bytes as they are mapped after the cut at %zu",
			    ends[i]);
		check_bytes(fd, "a cut of a mapped file at %zu", ends[i]);
		must(munmap(map, 80000));
		must(close(fd));
	}
}

/* The same by a write that leaves a hole. */
static void behind_a_hole(void)
{
	static const size_t ends[] = { 1, 100, 2047, 3000, 4095, 4097, 5000, 70000 };

	if (on_lsmfs()) {
		skip("FUSE keeps in the last page what a mapping wrote behind the end, when a write leaves a hole "
		     "there");
		return;
	}
	for (size_t i = 0; i < N(ends); i++) {
		int fd = new_file();
		const size_t page_end = (ends[i] + 4095) / 4096 * 4096;
		char *map;

		put_bytes(fd, 0, ends[i], 1);
		map = map_file(fd, page_end, MAP_SHARED);
		memset(map + ends[i], 'Z', page_end - ends[i]);
		put_bytes(fd, page_end + 100, 10, 2);
		check_bytes(fd, "a mapping wrote behind the end of %zu, and then a write came behind it", ends[i]);
		must(munmap(map, page_end));
		must(close(fd));
	}
}

static void shared_and_private(void)
{
	int fd = new_file(), other;
	char *shared, *private, *second, byte;

	put_bytes(fd, 0, 20000, 1);
	other = (int)must(open("f", O_RDWR));
	shared = map_file(fd, 20000, MAP_SHARED);
	second = map_file(other, 20000, MAP_SHARED);
	private = map_file(fd, 20000, MAP_PRIVATE);
	expect_true(memcmp(shared, wanted, 20000) == 0, "bytes of a shared mapping");
	expect_true(memcmp(private, wanted, 20000) == 0, "bytes of a private mapping");
	shared[5] = (char)(wanted[5] = 'S');
	expect_true(second[5] == 'S', "another mapping sees it at once");
	expect(1, rc(pread(other, &byte, 1, 5)), "read");
	expect_true(byte == 'S', "a read sees it at once");
	private[6] = 'P';
	expect(1, rc(pread(other, &byte, 1, 6)), "read");
	expect_true(byte == (char)wanted[6], "a private change is nobody else's");
	put_bytes(other, 9000, 50, 2);
	expect_true(memcmp(shared + 9000, wanted + 9000, 50) == 0, "a mapping sees a write at once");
	expect(0, rc(msync(shared, 20000, MS_ASYNC)), "msync MS_ASYNC");
	expect(0, rc(msync(shared, 20000, MS_SYNC)), "msync MS_SYNC");
	expect(-EINVAL, rc(msync(shared, 20000, MS_SYNC | MS_ASYNC)), "msync with both");
	check_bytes(fd, "writes by mappings and calls");
	/* it outlives descriptor and name */
	must(close(fd));
	must(unlink("f"));
	shared[7] = (char)(wanted[7] = 'U');
	expect(1, rc(pread(other, &byte, 1, 7)), "read of a removed file");
	expect_true(byte == 'U', "a mapping of a removed file");
	must(munmap(shared, 20000));
	must(munmap(second, 20000));
	must(munmap(private, 20000));
	check_bytes(other, "the mappings ended");
	must(close(other));
	wanted_size = 20000;
}

/* A call whose buffer is the file itself, mapped: its pages come while the call is at work. */
static void mapped_buffers(void)
{
	int fd = new_file();
	char *map;

	put_bytes(fd, 0, 40000, 1);
	must(fsync(fd));
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	map = map_file(fd, 40000, MAP_SHARED);
	expect(8192, rc(pwrite(fd, map + 20000, 8192, 0)), "write from a mapping of the same file");
	memmove(wanted, wanted + 20000, 8192);
	expect(4096, rc(pwrite(fd, map + 4096, 4096, 4096)), "write of a page onto itself from its mapping");
	expect(5000, rc(pread(fd, map + 30000, 5000, 100)), "read into a mapping of the same file");
	memmove(wanted + 30000, wanted + 100, 5000);
	expect(4096, rc(pread(fd, map + 8192, 4096, 8192)), "read of a page into its own mapping");
	expect_true(memcmp(map, wanted, 40000) == 0, "bytes of the mapping then");
	must(msync(map, 40000, MS_SYNC));
	must(munmap(map, 40000));
	check_bytes(fd, "calls whose buffers are the file");
	must(close(fd));
}

static void holes_by_mapping(void)
{
	int fd = new_file();
	char *map, byte = 1;

	resize(fd, 1 << 20, false);
	map = map_file(fd, 1 << 20, MAP_SHARED);
	for (size_t at = 0; at < 1 << 20; at += 65536) {
		expect(0, touch(map + at, &byte), "a byte of a hole at %zu", at);
		expect_equal(0, byte, "its value");
	}
	for (size_t at = 100; at < 1 << 20; at += 99991) {
		map[at] = 'h';
		wanted[at] = 'h';
	}
	check_bytes(fd, "writes into holes by a mapping");
	must(msync(map, 1 << 20, MS_SYNC));
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 90000, 20000));
	want_zeros(90000, 20000);
	expect_true(memcmp(map, wanted, 1 << 20) == 0, "bytes of a mapping after PUNCH_HOLE");
	check_bytes(fd, "PUNCH_HOLE under a mapping");
	must(munmap(map, 1 << 20));
	must(close(fd));
	/* nothing to map */
	fd = new_file();
	map = map_file(fd, 4096, MAP_SHARED);
	expect(SIGBUS, touch(map, &byte), "a byte of an empty file");
	must(munmap(map, 4096));
	expect(-EINVAL, mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -errno : 0, "mmap of nothing");
	expect(-EINVAL, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 100) == MAP_FAILED ? -errno : 0,
	       "mmap at an offset within a page");
	must(close(fd));
}

void content_maps(void)
{
	const struct sigaction action = { .sa_handler = on_bus };

	rooms();
	must(sigaction(SIGBUS, &action, NULL));
	behind_the_end();
	behind_a_hole();
	shared_and_private();
	mapped_buffers();
	holes_by_mapping();
}
