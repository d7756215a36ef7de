/* SPDX-License-Identifier: MIT */
/* inotify and fanotify: what is done through the mount is told, in order. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

struct event {
	int wd;
	uint32_t mask;
	char name[32]; /* "": of the watched object itself */
	uint32_t cookie;
};

/* The next event. */
static struct event next(int fd)
{
	static _Alignas(struct inotify_event) char buf[65536];
	static size_t at, size;
	struct event event = { 0 };
	const struct inotify_event *e;

	if (at == size) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		same(1, ok(poll(&p, 1, 10000))); /* it is there already, or never comes */
		size = (size_t)ok(read(fd, buf, sizeof(buf)));
		at = 0;
	}
	e = (const struct inotify_event *)(const void *)(buf + at);
	at += sizeof(*e) + e->len;
	event.wd = e->wd;
	event.mask = e->mask;
	event.cookie = e->cookie;
	if (e->len)
		snprintf(event.name, sizeof(event.name), "%s", e->name);
	return event;
}

#define told(fd, wd, mask, name) told_at(fd, wd, mask, name, __LINE__)
static uint32_t told_at(int fd, int wd, uint32_t mask, const char *name, int line)
{
	struct event event = next(fd);

	mt_same(mask, event.mask, name, __FILE__, line);
	mt_same(wd, event.wd, "watch", __FILE__, line);
	if (strcmp(event.name, name) != 0)
		mt_broken(name, __FILE__, line);
	return event.cookie;
}

static void nothing_more(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	same(0, ok(poll(&p, 1, 0)));
}

static void files(void **state)
{
	int in = (int)ok(inotify_init1(IN_CLOEXEC)), wd, fd;
	char c;

	(void)state;
	ok(mkdir("d", 0755));
	wd = (int)ok(inotify_add_watch(in, "d", IN_ALL_EVENTS));
	fd = (int)ok(open("d/f", O_RDWR | O_CREAT, 0644));
	told(in, wd, IN_CREATE, "f");
	told(in, wd, IN_OPEN, "f");
	same(1, write(fd, "x", 1));
	told(in, wd, IN_MODIFY, "f");
	same(1, pread(fd, &c, 1, 0));
	told(in, wd, IN_ACCESS, "f");
	ok(ftruncate(fd, 100));
	told(in, wd, IN_MODIFY, "f");
	ok(fallocate(fd, 0, 0, 4096));
	told(in, wd, IN_MODIFY, "f");
	ok(fchmod(fd, 0600));
	told(in, wd, IN_ATTRIB, "f");
	ok(futimens(fd, NULL));
	told(in, wd, IN_ATTRIB, "f");
	ok(fsetxattr(fd, "user.a", "1", 1, 0));
	told(in, wd, IN_ATTRIB, "f");
	ok(fremovexattr(fd, "user.a"));
	told(in, wd, IN_ATTRIB, "f");
	ok(fsync(fd));
	ok(close(fd));
	told(in, wd, IN_CLOSE_WRITE, "f");
	ok(close((int)ok(open("d/f", O_RDONLY))));
	told(in, wd, IN_OPEN, "f");
	told(in, wd, IN_CLOSE_NOWRITE, "f");
	fails(open("d/none", O_RDONLY), ENOENT);
	mt_stat("d/f");
	nothing_more(in);
	ok(close(in));
}

static void names(void **state)
{
	int in = (int)ok(inotify_init1(IN_CLOEXEC)), wd, other;
	uint32_t cookie;

	(void)state;
	ok(mkdir("d", 0755));
	ok(mkdir("e", 0755));
	wd = (int)ok(inotify_add_watch(in, "d", IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF));
	other = (int)ok(inotify_add_watch(in, "e", IN_CREATE | IN_DELETE | IN_MOVE));
	ok(mkdir("d/s", 0755));
	told(in, wd, IN_CREATE | IN_ISDIR, "s");
	ok(symlink("x", "d/l"));
	told(in, wd, IN_CREATE, "l");
	ok(mkfifo("d/p", 0600));
	told(in, wd, IN_CREATE, "p");
	ok(link("d/p", "e/q"));
	told(in, other, IN_CREATE, "q");
	ok(rename("d/p", "d/r"));
	cookie = told(in, wd, IN_MOVED_FROM, "p");
	same(cookie, told(in, wd, IN_MOVED_TO, "r"));
	ok(rename("d/r", "e/r2"));
	cookie = told(in, wd, IN_MOVED_FROM, "r");
	same(cookie, told(in, other, IN_MOVED_TO, "r2"));
	ok(rename("d/s", "e/s"));
	cookie = told(in, wd, IN_MOVED_FROM | IN_ISDIR, "s");
	same(cookie, told(in, other, IN_MOVED_TO | IN_ISDIR, "s"));
	ok(renameat2(AT_FDCWD, "e/s", AT_FDCWD, "d/l", RENAME_EXCHANGE));
	cookie = told(in, other, IN_MOVED_FROM | IN_ISDIR, "s");
	same(cookie, told(in, wd, IN_MOVED_TO | IN_ISDIR, "l"));
	cookie = told(in, wd, IN_MOVED_FROM, "l");
	same(cookie, told(in, other, IN_MOVED_TO, "s"));
	ok(unlink("e/s"));
	told(in, other, IN_DELETE, "s");
	ok(rmdir("d/l"));
	told(in, wd, IN_DELETE | IN_ISDIR, "l");
	fails(rename("d/none", "d/any"), ENOENT);
	fails(mkdir("d/n/n", 0755), ENOENT);
	nothing_more(in);
	ok(rename("d", "d2"));
	told(in, wd, IN_MOVE_SELF, "");
	ok(rmdir("d2"));
	told(in, wd, IN_DELETE_SELF, "");
	told(in, wd, IN_IGNORED, "");
	nothing_more(in);
	ok(close(in));
}

/* The file itself is watched, under whatever name. */
static void one_file(void **state)
{
	const uint32_t mask = IN_ATTRIB | IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF;
	int in = (int)ok(inotify_init1(IN_CLOEXEC)), wd, fd;

	(void)state;
	mt_put("f", "x");
	wd = (int)ok(inotify_add_watch(in, "f", mask));
	ok(link("f", "g"));
	told(in, wd, IN_ATTRIB, ""); /* its link count */
	ok(truncate("g", 0));
	told(in, wd, IN_MODIFY, "");
	ok(rename("g", "h"));
	told(in, wd, IN_MOVE_SELF, "");
	ok(unlink("h"));
	told(in, wd, IN_ATTRIB, "");
	mt_put("new", "y");
	fd = (int)ok(open("f", O_WRONLY));
	ok(rename("new", "f")); /* its last name stands for another file now, but it is still open */
	told(in, wd, IN_ATTRIB, "");
	same(1, write(fd, "z", 1));
	told(in, wd, IN_MODIFY, "");
	nothing_more(in);
	ok(close(fd));
	told(in, wd, IN_DELETE_SELF, "");
	told(in, wd, IN_IGNORED, "");
	nothing_more(in);
	ok(close(in));
}

static void writes_a_little(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d/%d", i);
		mt_put(name, "x");
		ok(unlink(name));
	}
}

static void of_another_process(void **state)
{
	int in = (int)ok(inotify_init1(IN_CLOEXEC)), wd;

	(void)state;
	ok(mkdir("d", 0755));
	wd = (int)ok(inotify_add_watch(in, "d", IN_CREATE | IN_DELETE | IN_CLOSE_WRITE));
	mt_join(mt_fork(writes_a_little, NULL));
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		told(in, wd, IN_CREATE, name);
		told(in, wd, IN_CLOSE_WRITE, name);
		told(in, wd, IN_DELETE, name);
	}
	nothing_more(in);
	ok(inotify_rm_watch(in, wd));
	told(in, wd, IN_IGNORED, "");
	mt_put("d/f", "x");
	nothing_more(in);
	ok(close(in));
}

static void copies(void **state)
{
	int in = (int)ok(inotify_init1(IN_CLOEXEC)), from, to, wd;

	(void)state;
	mt_put("a", "content");
	mt_put("b", "");
	wd = (int)ok(inotify_add_watch(in, "b", IN_MODIFY));
	from = (int)ok(open("a", O_RDONLY));
	to = (int)ok(open("b", O_WRONLY));
	same(7, copy_file_range(from, NULL, to, NULL, 7, 0));
	told(in, wd, IN_MODIFY, "");
	nothing_more(in);
	ok(close(from));
	ok(close(to));
	mt_holds("b", "content");
	ok(close(in));
}

/* ---- fanotify ---- */

static int fanotify(unsigned flags)
{
	int fan;

	mt_need_root();
	fan = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | flags, O_RDONLY);
	if (fan < 0) {
		check(errno == EPERM || errno == ENOSYS || errno == EINVAL);
		print_message("# skipped: no fanotify here\n");
		skip();
	}
	return fan;
}

/* All events of `path` so far, in one mask; the descriptors that come with them are of that file. */
static uint64_t heard(int fan, const char *path)
{
	_Alignas(struct fanotify_event_metadata) char buf[8192];
	struct stat want = mt_stat(path);
	uint64_t mask = 0;
	ssize_t size = read(fan, buf, sizeof(buf));
	const struct fanotify_event_metadata *e = (const void *)buf;

	if (size < 0) {
		same(EAGAIN, errno);
		return 0;
	}
	for (; FAN_EVENT_OK(e, size); e = FAN_EVENT_NEXT(e, size)) {
		struct stat got = mt_fstat(e->fd);

		same(FANOTIFY_METADATA_VERSION, e->vers);
		same(want.st_ino, got.st_ino);
		same(want.st_dev, got.st_dev);
		ok(close(e->fd));
		mask |= e->mask;
	}
	return mask;
}

static void whole_mount(void **state)
{
	const uint64_t mask = FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ACCESS | FAN_CLOSE_NOWRITE;
	int fan = fanotify(0), fd;
	char c;

	(void)state;
	mt_put("f", "x");
	ok(fanotify_mark(fan, FAN_MARK_ADD, mask, AT_FDCWD, "f"));
	fd = (int)ok(open("f", O_RDWR));
	same(FAN_OPEN, heard(fan, "f"));
	same(1, write(fd, "y", 1));
	same(FAN_MODIFY, heard(fan, "f"));
	same(1, pread(fd, &c, 1, 0));
	same(FAN_ACCESS, heard(fan, "f"));
	ok(close(fd));
	same(FAN_CLOSE_WRITE, heard(fan, "f"));
	same(0, heard(fan, "f"));
	ok(fanotify_mark(fan, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL));
	/* a mark on the mount: any file in it, nothing outside */
	ok(fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CLOSE_WRITE, AT_FDCWD, "."));
	mt_put("g", "x");
	same(FAN_CLOSE_WRITE, heard(fan, "g"));
	ok(close((int)ok(open("/proc/self/comm", O_WRONLY))));
	same(0, heard(fan, "g"));
	ok(close(fan));
}

static void next_name(int fan, uint64_t mask, const char *name)
{
	/* the event, what kind of name it tells, the directory's handle, the name */
	_Alignas(struct fanotify_event_metadata) char buf[512];
	const struct fanotify_event_metadata *event = (const void *)buf;
	const struct fanotify_event_info_fid *info = (const void *)(event + 1);
	const struct file_handle *handle = (const void *)info->handle;

	check(ok(read(fan, buf, sizeof(buf))) >= (ssize_t)(sizeof(*event) + sizeof(*info) + sizeof(*handle)));
	same(mask, event->mask);
	same(FAN_EVENT_INFO_TYPE_DFID_NAME, info->hdr.info_type);
	check(strcmp((const char *)handle->f_handle + handle->handle_bytes, name) == 0);
}

/* Names: needs file handles and an id of the file system. */
static void names_by_handle(void **state)
{
	int fan = fanotify(FAN_REPORT_DFID_NAME);

	(void)state;
	ok(mkdir("d", 0755));
	if (fanotify_mark(fan, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE | FAN_ONDIR, AT_FDCWD, "d") < 0) {
		check(errno == ENODEV || errno == EOPNOTSUPP || errno == EXDEV);
		print_message("# skipped: the kernel can't report names of this file system\n");
		ok(close(fan));
		skip();
	}
	mt_put("d/f", "x");
	next_name(fan, FAN_CREATE, "f");
	ok(mkdir("d/e", 0755));
	next_name(fan, FAN_CREATE | FAN_ONDIR, "e");
	ok(unlink("d/f"));
	next_name(fan, FAN_DELETE, "f");
	ok(rmdir("d/e"));
	next_name(fan, FAN_DELETE | FAN_ONDIR, "e");
	ok(close(fan));
}

int mt_run_notify(void)
{
	const struct CMUnitTest tests[] = {
		CASE(files),  CASE(names),       CASE(one_file),        CASE(of_another_process),
		CASE(copies), CASE(whole_mount), CASE(names_by_handle),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
