/* SPDX-License-Identifier: MIT */
/* flock, fcntl record locks and open-file-description locks between processes. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static int try_lock(int fd, short type, off_t start, off_t size)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size };

	return fcntl(fd, F_SETLK, &l);
}

static void flock_is_refused(void *arg)
{
	int fd = (int)ok(open("f", O_RDWR));

	(void)arg;
	fails(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	fails(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ok(close(fd));
}

static void flock_is_given(void *arg)
{
	int fd = (int)ok(open("f", O_RDWR));

	(void)arg;
	ok(flock(fd, LOCK_EX | LOCK_NB));
	ok(close(fd));
}

static void whole_file(void **state)
{
	int fd, copy;

	(void)state;
	mt_put("f", "x");
	fd = (int)ok(open("f", O_RDWR));
	ok(flock(fd, LOCK_EX));
	mt_join(mt_fork(flock_is_refused, NULL));
	ok(flock(fd, LOCK_UN));
	mt_join(mt_fork(flock_is_given, NULL));
	ok(flock(fd, LOCK_EX));
	copy = (int)ok(dup(fd));
	ok(close(fd));
	mt_join(mt_fork(flock_is_refused, NULL)); /* the copy still holds it */
	ok(close(copy));
	mt_join(mt_fork(flock_is_given, NULL));
}

static void shared_flock(void **state)
{
	int a, b;

	(void)state;
	mt_put("f", "x");
	a = (int)ok(open("f", O_RDWR));
	b = (int)ok(open("f", O_RDWR));
	ok(flock(a, LOCK_SH));
	ok(flock(b, LOCK_SH | LOCK_NB));
	fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	ok(close(a));
	ok(flock(b, LOCK_EX | LOCK_NB));
	ok(close(b));
}

static void ranges_from_another(void *arg)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
	int fd = (int)ok(open("f", O_RDWR));

	ok(try_lock(fd, F_WRLCK, 0, 10));
	ok(try_lock(fd, F_WRLCK, 20, 10));
	check(try_lock(fd, F_WRLCK, 15, 1) == -1 && (errno == EAGAIN || errno == EACCES));
	check(try_lock(fd, F_RDLCK, 15, 1) == -1 && (errno == EAGAIN || errno == EACCES));
	ok(fcntl(fd, F_GETLK, &l));
	same(F_WRLCK, l.l_type);
	same(10, l.l_start);
	same(10, l.l_len);
	same(*(pid_t *)arg, l.l_pid);
	ok(close(fd));
}

static void all_is_free(void *arg)
{
	int fd = (int)ok(open("f", O_RDWR));

	(void)arg;
	ok(try_lock(fd, F_WRLCK, 0, 0));
	ok(close(fd));
}

static void record_locks(void **state)
{
	pid_t self = getpid();
	int fd, other;

	(void)state;
	mt_put("f", "x");
	fd = (int)ok(open("f", O_RDWR));
	ok(try_lock(fd, F_WRLCK, 10, 10));
	mt_join(mt_fork(ranges_from_another, &self));
	ok(try_lock(fd, F_UNLCK, 0, 0));
	mt_join(mt_fork(all_is_free, NULL));
	ok(try_lock(fd, F_WRLCK, 0, 0));
	other = (int)ok(open("f", O_RDONLY));
	ok(close(other)); /* closing any descriptor of the file gives up the process's locks */
	mt_join(mt_fork(all_is_free, NULL));
	ok(close(fd));
}

static void description_locks(void **state)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
	int a, b;

	(void)state;
	mt_put("f", "x");
	a = (int)ok(open("f", O_RDWR));
	b = (int)ok(open("f", O_RDWR));
	ok(fcntl(a, F_OFD_SETLK, &l));
	check(fcntl(b, F_OFD_SETLK, &l) == -1 && (errno == EAGAIN || errno == EACCES));
	ok(close(a));
	ok(fcntl(b, F_OFD_SETLK, &l));
	ok(close(b));
}

/* Adds one to the number in the file, `n` times, each under a lock that is waited for. */
static void count_up(void *arg)
{
	int fd = (int)ok(open("f", O_RDWR)), n = *(int *)arg;

	for (int i = 0; i < n; i++) {
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
		char text[16] = { 0 };

		ok(fcntl(fd, F_SETLKW, &l));
		ok(pread(fd, text, sizeof(text) - 1, 0));
		snprintf(text, sizeof(text), "%08d", atoi(text) + 1);
		same(8, pwrite(fd, text, 8, 0));
		ok(fsync(fd));
		l.l_type = F_UNLCK;
		ok(fcntl(fd, F_SETLK, &l));
	}
	ok(close(fd));
}

static void waiting(void **state)
{
	pid_t pids[3];
	int n = 60;

	(void)state;
	mt_put("f", "00000000");
	for (int i = 0; i < 3; i++)
		pids[i] = mt_fork(count_up, &n);
	for (int i = 0; i < 3; i++)
		mt_join(pids[i]);
	mt_holds("f", "00000180");
}

static void hold_and_die(void *arg)
{
	int fd = (int)ok(open("f", O_RDWR));

	(void)arg;
	ok(try_lock(fd, F_WRLCK, 0, 0));
	ok(flock(fd, LOCK_EX | LOCK_NB));
	_exit(0);
}

static void death_releases(void **state)
{
	(void)state;
	mt_put("f", "x");
	mt_join(mt_fork(hold_and_die, NULL));
	mt_join(mt_fork(all_is_free, NULL));
	mt_join(mt_fork(flock_is_given, NULL));
}

int mt_run_lock(void)
{
	const struct CMUnitTest tests[] = {
		CASE(whole_file),        CASE(shared_flock), CASE(record_locks),
		CASE(description_locks), CASE(waiting),      CASE(death_releases),
	};

	return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
