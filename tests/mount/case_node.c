/* SPDX-License-Identifier: MIT */
/* FIFOs, sockets and device nodes. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void write_to_fifo(void *arg)
{
	int fd = (int)ok(open("fifo", O_WRONLY));

	(void)arg;
	same(5, write(fd, "piped", 5));
	ok(close(fd));
}

static void fifo(void **state)
{
	char buf[8];
	pid_t pid;
	int fd;

	(void)state;
	ok(mkfifo("fifo", 0640));
	same(S_IFIFO | 0640, mt_stat("fifo").st_mode);
	fails(mkfifo("fifo", 0640), EEXIST);
	pid = mt_fork(write_to_fifo, NULL);
	fd = (int)ok(open("fifo", O_RDONLY));
	same(5, read(fd, buf, sizeof(buf)));
	same(0, memcmp(buf, "piped", 5));
	ok(close(fd));
	mt_join(pid);
	ok(rename("fifo", "moved"));
	check(S_ISFIFO(mt_stat("moved").st_mode));
}

static void connect_to_socket(void *arg)
{
	int s = (int)ok(socket(AF_UNIX, SOCK_STREAM, 0));

	ok(connect(s, arg, sizeof(struct sockaddr_un)));
	same(4, write(s, "sent", 4));
	ok(close(s));
}

static void socket_in_the_directory(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int s = (int)ok(socket(AF_UNIX, SOCK_STREAM, 0)), c;
	char buf[8];
	pid_t pid;

	(void)state;
	ok(bind(s, (struct sockaddr *)&a, sizeof(a)));
	check(S_ISSOCK(mt_stat("socket").st_mode));
	ok(listen(s, 1));
	pid = mt_fork(connect_to_socket, &a);
	c = (int)ok(accept(s, NULL, NULL));
	same(4, read(c, buf, sizeof(buf)));
	ok(close(c));
	ok(close(s));
	mt_join(pid);
	fails(open("socket", O_RDONLY), ENXIO);
}

static void devices(void **state)
{
	(void)state;
	mt_need_root();
	if (mknod("null", S_IFCHR | 0666, makedev(1, 3)) < 0) {
		same(EPERM, errno);
		print_message("# skipped: no right to make device nodes\n");
		skip();
	}
	ok(mknod("disk", S_IFBLK | 0600, makedev(259, 300000)));
	same(makedev(1, 3), mt_stat("null").st_rdev);
	same(makedev(259, 300000), mt_stat("disk").st_rdev);
	check(S_ISCHR(mt_stat("null").st_mode) && S_ISBLK(mt_stat("disk").st_mode));
	ok(link("null", "zero"));
	same(2, mt_stat("null").st_nlink);
	ok(unlink("null"));
	same(makedev(1, 3), mt_stat("zero").st_rdev);
}

static void plain_by_mknod(void **state)
{
	(void)state;
	ok(mknod("f", S_IFREG | 0600, 0));
	same(S_IFREG | 0600, mt_stat("f").st_mode);
	mt_put("f", "a file");
	mt_holds("f", "a file");
	fails(mknod("f", S_IFREG | 0600, 0), EEXIST);
}

int mt_run_node(void)
{
	const struct CMUnitTest tests[] = {
		CASE(fifo),
		CASE(socket_in_the_directory),
		CASE(devices),
		CASE(plain_by_mknod),
	};

	return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
