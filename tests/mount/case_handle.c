/* SPDX-License-Identifier: MIT */
/* File handles, as servers that export the file system use them: name_to_handle_at and open_by_handle_at. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Static_assert(sizeof(struct file_handle) == offsetof(struct file_handle, f_handle), "bytes follow the head");

struct handle {
	struct file_handle head;
	unsigned char bytes[MAX_HANDLE_SZ]; /* where f_handle begins */
	int mount_id;
};

static int get(const char *path, int flags, struct handle *ret)
{
	*ret = (struct handle){ .head = { .handle_bytes = MAX_HANDLE_SZ } };
	return name_to_handle_at(AT_FDCWD, path, &ret->head, &ret->mount_id, flags);
}

static struct handle handle_of(const char *path)
{
	struct handle handle;

	ok(get(path, 0, &handle));
	return handle;
}

static bool equal(const struct handle *a, const struct handle *b)
{
	return a->head.handle_type == b->head.handle_type && a->head.handle_bytes == b->head.handle_bytes &&
	       memcmp(a->bytes, b->bytes, a->head.handle_bytes) == 0;
}

static int root(void)
{
	return (int)ok(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* In the middle of a case there is no other way to make the kernel forget what it knows of a file. */
static void forget_all(void)
{
	int fd = (int)ok(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));

	sync();
	if (write(fd, "2", 1) != 1) {
		print_message("# skipped: caches can't be dropped here\n");
		skip();
	}
	ok(close(fd));
}

static int by_handle(struct handle *handle, int flags)
{
	int mount = root(), fd = open_by_handle_at(mount, &handle->head, flags), error = errno;

	ok(close(mount));
	errno = error;
	return fd;
}

/* The handle leads to the file that has this path. */
static void leads_to(struct handle handle, const char *path)
{
	struct stat want = mt_stat(path), got;
	int fd = (int)ok(by_handle(&handle, O_PATH));

	got = mt_fstat(fd);
	same(want.st_ino, got.st_ino);
	same(want.st_dev, got.st_dev);
	same(want.st_mode, got.st_mode);
	ok(close(fd));
}

static void all_types(void **state)
{
	struct handle f, d, l, p, again, small = { .head = { .handle_bytes = 0 } };
	char text[8];
	int fd;

	(void)state;
	mt_need_root();
	mt_put("f", "text");
	ok(mkdir("d", 0755));
	ok(symlink("f", "l"));
	ok(mkfifo("p", 0600));
	f = handle_of("f");
	d = handle_of("d");
	l = handle_of("l");
	p = handle_of("p");
	again = handle_of("f");
	check(equal(&f, &again));
	check(!equal(&f, &d) && !equal(&f, &l) && !equal(&l, &p));
	leads_to(f, "f");
	leads_to(d, "d");
	leads_to(l, "l");
	leads_to(p, "p");
	ok(get("l", AT_SYMLINK_FOLLOW, &again));
	check(equal(&f, &again));
	fd = (int)ok(by_handle(&f, O_RDWR));
	same(4, read(fd, text, sizeof(text)));
	same(0, memcmp(text, "text", 4));
	same(4, pwrite(fd, "more", 4, 4));
	ok(close(fd));
	mt_holds("f", "textmore");
	fails(get("none", 0, &again), ENOENT);
	fails(name_to_handle_at(AT_FDCWD, "f", &small.head, &small.mount_id, 0), EOVERFLOW);
	check(small.head.handle_bytes > 0 && small.head.handle_bytes <= MAX_HANDLE_SZ);
}

static void renamed_and_linked(void **state)
{
	struct handle f, d;

	(void)state;
	mt_need_root();
	mt_put("f", "text");
	ok(mkdir("d", 0755));
	ok(mkdir("d/e", 0755));
	f = handle_of("f");
	d = handle_of("d/e");
	ok(rename("f", "d/e/g"));
	leads_to(f, "d/e/g");
	ok(link("d/e/g", "h"));
	ok(unlink("d/e/g"));
	leads_to(f, "h");
	ok(rename("d/e", "moved"));
	leads_to(d, "moved");
	mt_put("new", "other");
	ok(rename("new", "h"));
	fails(by_handle(&f, O_RDONLY), ESTALE);
}

/* The path that the kernel has for a directory that it was only given the handle of. */
static void is_at(int fd, const char *below)
{
	char link[64], path[4096], want[4096];
	ssize_t size;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	size = ok(readlink(link, path, sizeof(path) - 1));
	path[size] = 0;
	check(getcwd(want, sizeof(want)) != NULL);
	check(strlen(want) + strlen(below) + 2 < sizeof(want));
	strcat(strcat(want, "/"), below);
	same(0, strcmp(want, path));
}

/* The kernel knows nothing any more, and asks for the inode by its number and for what lies above. */
static void after_forgetting(void **state)
{
	struct handle f, d, gone, gone_dir;
	int fd, sub;

	(void)state;
	mt_need_root();
	ok(mkdir("a", 0755));
	ok(mkdir("a/b", 0755));
	ok(mkdir("a/b/c", 0755));
	mt_put("a/b/c/f", "text");
	mt_put("a/b/c/gone", "text");
	ok(mkdir("a/b/gone", 0755));
	f = handle_of("a/b/c/f");
	d = handle_of("a/b/c");
	gone = handle_of("a/b/c/gone");
	gone_dir = handle_of("a/b/gone");
	ok(unlink("a/b/c/gone"));
	ok(rmdir("a/b/gone"));
	forget_all();
	fd = (int)ok(by_handle(&d, O_RDONLY | O_DIRECTORY));
	is_at(fd, "a/b/c");
	sub = (int)ok(openat(fd, "f", O_RDONLY));
	ok(close(sub));
	sub = (int)ok(openat(fd, "..", O_RDONLY | O_DIRECTORY));
	is_at(sub, "a/b");
	ok(close(sub));
	ok(close(fd));
	forget_all();
	fd = (int)ok(by_handle(&f, O_RDONLY));
	mt_all(fd, 0, 1, 't');
	ok(close(fd));
	leads_to(f, "a/b/c/f");
	fails(by_handle(&gone, O_RDONLY), ESTALE);
	fails(by_handle(&gone_dir, O_RDONLY), ESTALE);
}

/* A number that comes again, or doesn't, never leads to another file. */
static void recycled(void **state)
{
	struct handle handles[50];
	char name[16];

	(void)state;
	mt_need_root();
	for (unsigned round = 0; round < 4; round++) {
		for (int i = 0; i < 50; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			mt_put(name, "x");
			if (round == 0)
				handles[i] = handle_of(name);
		}
		for (int i = 0; i < 50; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			if (round > 0)
				fails(by_handle(&handles[i], O_RDONLY), ESTALE);
			else
				leads_to(handles[i], name);
			ok(unlink(name));
		}
	}
}

/* Without a name, but open: either the file or nothing. */
static void nameless(void **state)
{
	struct handle f;
	int fd, again;

	(void)state;
	mt_need_root();
	mt_put("f", "text");
	f = handle_of("f");
	fd = (int)ok(open("f", O_RDWR));
	ok(unlink("f"));
	again = by_handle(&f, O_RDONLY);
	if (again < 0) {
		same(ESTALE, errno);
	} else {
		same(mt_fstat(fd).st_ino, mt_fstat(again).st_ino);
		mt_all(again, 0, 1, 't');
		ok(close(again));
	}
	ok(close(fd));
	fails(by_handle(&f, O_RDONLY), ESTALE);
}

static void other_opens(void *arg)
{
	struct handle f = handle_of("f");

	(void)arg;
	fails(by_handle(&f, O_RDONLY), EPERM); /* it would pass by the directories' rights */
}

static void rights(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	mt_put("f", "x");
	mt_as_other(other_opens, NULL);
}

/* Whatever bytes come, there is an answer, and never a wrong file. */
static void forged(void **state)
{
	struct handle f, g;
	uint64_t x = 7;

	(void)state;
	mt_need_root();
	mt_put("f", "x");
	f = handle_of("f");
	for (unsigned i = 0; i < 300; i++) {
		unsigned size = f.head.handle_bytes;
		int fd;

		g = f;
		for (unsigned n = i % 3; n < 3; n++) {
			x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
			g.bytes[(x >> 33) % size] ^= (unsigned char)(1 + (x >> 40) % 255);
		}
		if (equal(&f, &g))
			continue;
		fd = by_handle(&g, O_PATH);
		if (fd < 0) {
			check(errno == ESTALE || errno == EIO || errno == EINVAL || errno == EUCLEAN);
			continue;
		}
		/* it may be another one's: that one must have this handle */
		char path[32];
		struct handle is;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ok(get(path, AT_SYMLINK_FOLLOW, &is));
		same(0, memcmp(is.bytes, g.bytes, 4));
		ok(close(fd));
	}
	leads_to(f, "f");
}

int mt_run_handle(void)
{
	const struct CMUnitTest tests[] = {
		CASE(all_types), CASE(renamed_and_linked), CASE(after_forgetting),
		CASE(recycled),  CASE(nameless),           CASE(rights),
		CASE(forged),
	};

	return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
