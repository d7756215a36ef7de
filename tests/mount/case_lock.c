/* SPDX-License-Identifier: MIT */
/* flock, fcntl record locks, open-file-description locks between processes; leases. */
#include "mount_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
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

/* ---- details of ranges ---- */

static struct flock range(short type, off_t start, off_t size)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size };
}

/* What another process is told of the first lock in its way; type F_UNLCK: nothing is. */
struct in_the_way {
	short type;
	off_t start, size;
	pid_t pid;
};

static void asks(void *arg)
{
	const struct in_the_way *want = arg;
	struct flock l = range(F_WRLCK, 0, 0);
	int fd = (int)ok(open("f", O_RDWR));

	ok(fcntl(fd, F_GETLK, &l));
	same(want->type, l.l_type);
	if (want->type != F_UNLCK) {
		same(want->start, l.l_start);
		same(want->size, l.l_len);
		same(want->pid, l.l_pid);
	}
	ok(close(fd));
}

static void others_see(short type, off_t start, off_t size)
{
	struct in_the_way want = { type, start, size, getpid() };

	mt_join(mt_fork(asks, &want));
}

static void ranges(void **state)
{
	struct flock l;
	int fd;

	(void)state;
	mt_put("f", "0123456789");
	fd = (int)ok(open("f", O_RDWR));
	ok(try_lock(fd, F_WRLCK, 10, 10));
	ok(try_lock(fd, F_WRLCK, 20, 10)); /* neighbours become one */
	others_see(F_WRLCK, 10, 20);
	ok(try_lock(fd, F_UNLCK, 15, 5)); /* and are cut */
	others_see(F_WRLCK, 10, 5);
	ok(try_lock(fd, F_UNLCK, 0, 15));
	others_see(F_WRLCK, 20, 10);
	ok(try_lock(fd, F_RDLCK, 22, 2)); /* a part of it is shared now */
	others_see(F_WRLCK, 20, 2);
	ok(try_lock(fd, F_UNLCK, 0, 22));
	others_see(F_RDLCK, 22, 2);
	ok(try_lock(fd, F_UNLCK, 0, 0));
	others_see(F_UNLCK, 0, 0);

	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -4, .l_len = 2 };
	ok(fcntl(fd, F_SETLK, &l));
	others_see(F_WRLCK, 6, 2);
	ok(try_lock(fd, F_UNLCK, 0, 0));
	ok(lseek(fd, 5, SEEK_SET));
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 1, .l_len = -3 };
	ok(fcntl(fd, F_SETLK, &l)); /* of what lies in front */
	others_see(F_WRLCK, 3, 3);
	ok(try_lock(fd, F_UNLCK, 0, 0));
	ok(try_lock(fd, F_WRLCK, 1000, 0)); /* far beyond the end, and to wherever it goes */
	others_see(F_WRLCK, 1000, 0);
	ok(ftruncate(fd, 0));
	others_see(F_WRLCK, 1000, 0);
	ok(close(fd));
	others_see(F_UNLCK, 0, 0);
}

static void bad_locks(void **state)
{
	struct flock l = range(F_WRLCK, 0, 0);
	int ro, wo, path;

	(void)state;
	mt_put("f", "x");
	ro = (int)ok(open("f", O_RDONLY));
	wo = (int)ok(open("f", O_WRONLY));
	path = (int)ok(open("f", O_PATH));
	fails(try_lock(ro, F_WRLCK, 0, 1), EBADF);
	fails(try_lock(wo, F_RDLCK, 0, 1), EBADF);
	ok(try_lock(ro, F_RDLCK, 0, 1));
	ok(try_lock(wo, F_WRLCK, 0, 1));
	ok(flock(ro, LOCK_EX)); /* whatever it is open for */
	ok(flock(ro, LOCK_UN));
	fails(try_lock(path, F_RDLCK, 0, 1), EBADF);
	fails(flock(path, LOCK_SH), EBADF);
	fails(try_lock(wo, F_WRLCK, -1, 1), EINVAL);
	fails(try_lock(wo, F_WRLCK, 5, -6), EINVAL);
	fails(try_lock(wo, 17, 0, 1), EINVAL);
	fails(try_lock(wo, F_WRLCK, INT64_MAX, 2), EOVERFLOW);
	ok(try_lock(wo, F_WRLCK, INT64_MAX, 1));
	fails(flock(ro, 0), EINVAL);
	fails(flock(ro, LOCK_SH | LOCK_EX), EINVAL);
	l.l_pid = 1;
	fails(fcntl(wo, F_OFD_SETLK, &l), EINVAL);
	ok(close(ro));
	ok(close(wo));
	ok(close(path));
}

/* ---- kinds beside one another ---- */

static void kinds(void **state)
{
	struct flock l = range(F_WRLCK, 0, 10);
	int a, b;

	(void)state;
	mt_put("f", "x");
	a = (int)ok(open("f", O_RDWR));
	b = (int)ok(open("f", O_RDWR));
	ok(flock(a, LOCK_EX));
	ok(try_lock(b, F_WRLCK, 0, 0)); /* flock and fcntl don't know of each other */
	ok(try_lock(b, F_UNLCK, 0, 0));
	ok(flock(a, LOCK_UN));

	ok(fcntl(a, F_OFD_SETLK, &l));
	fails(try_lock(b, F_WRLCK, 5, 1), EAGAIN); /* also within a process */
	fails(try_lock(a, F_WRLCK, 5, 1), EAGAIN); /* … and by the same descriptor */
	l = range(F_WRLCK, 0, 0);
	ok(fcntl(b, F_GETLK, &l));
	same(F_WRLCK, l.l_type);
	same(-1, l.l_pid); /* a description is no process */
	same(10, l.l_len);
	l = range(F_UNLCK, 0, 0);
	ok(fcntl(a, F_OFD_SETLK, &l));
	ok(try_lock(a, F_WRLCK, 0, 1));
	l = range(F_RDLCK, 0, 1);
	fails(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
	ok(fcntl(b, F_OFD_GETLK, &l));
	same(getpid(), l.l_pid);
	ok(close(a));
	ok(close(b));
}

static void description_is_refused(void *arg)
{
	struct flock l = range(F_WRLCK, 0, 0);
	int fd = (int)ok(open("f", O_RDWR));

	(void)arg;
	fails(fcntl(fd, F_OFD_SETLK, &l), EAGAIN);
	ok(close(fd));
}

static void description_is_given(void *arg)
{
	struct flock l = range(F_WRLCK, 0, 0);
	int fd = (int)ok(open("f", O_RDWR));

	(void)arg;
	ok(fcntl(fd, F_OFD_SETLK, &l));
	ok(close(fd));
}

static void closes_what_it_inherited(void *arg)
{
	ok(close(*(int *)arg));
}

static void unlocks_what_it_inherited(void *arg)
{
	struct flock l = range(F_UNLCK, 0, 0);
	int fd = *(int *)arg;

	ok(flock(fd, LOCK_UN));
	ok(fcntl(fd, F_OFD_SETLK, &l));
}

/* Of a description: what a child has of it is the same lock. */
static void fork_shares_descriptions(void **state)
{
	struct flock l = range(F_WRLCK, 0, 0);
	int fd, copy;

	(void)state;
	mt_put("f", "x");
	fd = (int)ok(open("f", O_RDWR));
	ok(flock(fd, LOCK_EX));
	ok(fcntl(fd, F_OFD_SETLK, &l));
	mt_join(mt_fork(closes_what_it_inherited, &fd));
	mt_join(mt_fork(flock_is_refused, NULL));
	mt_join(mt_fork(description_is_refused, NULL));
	copy = (int)ok(dup(fd));
	ok(close(fd));
	mt_join(mt_fork(flock_is_refused, NULL));
	mt_join(mt_fork(description_is_refused, NULL));
	mt_join(mt_fork(unlocks_what_it_inherited, &copy));
	mt_join(mt_fork(flock_is_given, NULL));
	mt_join(mt_fork(description_is_given, NULL));
	ok(close(copy));
}

static void child_has_no_lock(void *arg)
{
	int fd = *(int *)arg;

	fails(try_lock(fd, F_RDLCK, 0, 1), EAGAIN);
	ok(try_lock(fd, F_UNLCK, 0, 0)); /* gives up nothing of its parent's */
	ok(close(fd));
}

/* Of a process: a child begins without, and any descriptor's end is the locks' end. */
static void fork_shares_no_process_locks(void **state)
{
	int fd, copy;

	(void)state;
	mt_put("f", "x");
	fd = (int)ok(open("f", O_RDWR));
	ok(try_lock(fd, F_WRLCK, 0, 0));
	mt_join(mt_fork(child_has_no_lock, &fd));
	others_see(F_WRLCK, 0, 0);
	copy = (int)ok(dup(fd));
	ok(close(copy));
	others_see(F_UNLCK, 0, 0);
	ok(close(fd));
}

/* ---- waiting ---- */

enum kind { WHOLE, RECORD, DESCRIPTION };

static int lock_kind(enum kind kind, int fd, bool wait)
{
	struct flock l = range(F_WRLCK, 0, 0);

	switch (kind) {
	case WHOLE:
		return flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	case RECORD:
		return fcntl(fd, wait ? F_SETLKW : F_SETLK, &l);
	default:
		return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l);
	}
}

static void on_alarm(int number)
{
	(void)number;
}

/* The timer comes again and again: one of its signals finds the call waiting. */
static void waits_until_interrupted(void *arg)
{
	const struct itimerval every = { { 0, 5000 }, { 0, 5000 } };
	const struct sigaction action = { .sa_handler = on_alarm };
	int fd = (int)ok(open("f", O_RDWR));

	ok(sigaction(SIGALRM, &action, NULL));
	ok(setitimer(ITIMER_REAL, &every, NULL));
	fails(lock_kind(*(enum kind *)arg, fd, true), EINTR);
	ok(close(fd));
}

static void interrupted(void **state)
{
	(void)state;
	mt_put("f", "x");
	for (enum kind kind = WHOLE; kind <= DESCRIPTION; kind++) {
		int fd = (int)ok(open("f", O_RDWR));

		ok(lock_kind(kind, fd, false));
		mt_join(mt_fork(waits_until_interrupted, &kind));
		ok(close(fd));
	}
}

/* Has the lock, says so, and lives until it is killed. */
struct holder {
	enum kind kind;
	int say;
};

static void holds_until_killed(void *arg)
{
	const struct holder *holder = arg;
	int fd = (int)ok(open("f", O_RDWR));

	ok(lock_kind(holder->kind, fd, false));
	same(1, write(holder->say, "!", 1));
	for (;;)
		pause();
}

static void waits_and_gets(void *arg)
{
	int fd = (int)ok(open("f", O_RDWR));

	ok(lock_kind(*(enum kind *)arg, fd, true));
	ok(close(fd));
}

/* A lock of the process `pid` is waited for. */
static bool is_waited_for(pid_t pid)
{
	char line[256], holder[32];
	FILE *file = fopen("/proc/locks", "re");
	long last = 0, owner;
	bool found = false;

	check(file != NULL);
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, "->"))
			found = found || last == pid;
		else if (sscanf(line, "%*s %31s %*s %*s %ld", holder, &owner) == 2)
			last = owner;
	}
	fclose(file);
	return found;
}

static void killed_with_a_lock(void **state)
{
	int pipe_fds[2];
	char c;

	(void)state;
	mt_put("f", "x");
	ok(pipe(pipe_fds));
	for (enum kind kind = WHOLE; kind <= DESCRIPTION; kind++) {
		struct holder holder = { kind, pipe_fds[1] };
		pid_t pid = mt_fork(holds_until_killed, &holder), waiter;
		int status;

		same(1, read(pipe_fds[0], &c, 1));
		waiter = mt_fork(waits_and_gets, &kind);
		/* descriptions have no process in the table: there it is not awaited that somebody waits */
		for (unsigned i = 0; kind != DESCRIPTION && i < 1000 && !is_waited_for(pid); i++)
			mt_tick();
		ok(kill(pid, SIGKILL));
		same(pid, ok(waitpid(pid, &status, 0)));
		check(WIFSIGNALED(status));
		mt_join(waiter);
	}
	ok(close(pipe_fds[0]));
	ok(close(pipe_fds[1]));
}

/* ---- deadlock ---- */

struct party {
	int number, n;
	int ready, go; /* pipes: has its own lock; all have theirs */
};

/* Has byte `number` and wants the next one's: one of the ring must be told that this never ends, and gives way. */
static void wants_the_next(void *arg)
{
	const struct party *party = arg;
	struct flock l = range(F_WRLCK, (party->number + 1) % party->n, 1);
	int fd = (int)ok(open("f", O_RDWR));
	char c;

	ok(try_lock(fd, F_WRLCK, party->number, 1));
	same(1, write(party->ready, "!", 1));
	same(1, read(party->go, &c, 1));
	if (fcntl(fd, F_SETLKW, &l) < 0) {
		same(EDEADLK, errno);
		_exit(35);
	}
	ok(close(fd));
}

static void deadlock(void **state)
{
	(void)state;
	mt_put("f", "x");
	for (int n = 2; n <= 4; n++) {
		int ready[2], go[2], told = 0;
		pid_t pids[4];
		char c;

		ok(pipe(ready));
		ok(pipe(go));
		for (int i = 0; i < n; i++) {
			struct party party = { i, n, ready[1], go[0] };

			pids[i] = mt_fork(wants_the_next, &party);
		}
		for (int i = 0; i < n; i++)
			same(1, read(ready[0], &c, 1));
		same(n, write(go[1], "!!!!", (size_t)n));
		for (int i = 0; i < n; i++) {
			int status;

			same(pids[i], ok(waitpid(pids[i], &status, 0)));
			check(WIFEXITED(status));
			told += WEXITSTATUS(status) == 35;
			check(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 35);
		}
		same(1, told);
		for (int i = 0; i < 2; i++) {
			ok(close(ready[i]));
			ok(close(go[i]));
		}
	}
}

/* ---- what else may happen to the file ---- */

static void other_names(void **state)
{
	struct flock l = range(F_WRLCK, 0, 0);
	int fd, other;

	(void)state;
	mt_put("f", "x");
	ok(link("f", "g"));
	fd = (int)ok(open("f", O_RDWR));
	other = (int)ok(open("g", O_RDWR));
	ok(flock(fd, LOCK_EX));
	fails(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ok(rename("f", "h"));
	fails(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ok(unlink("h"));
	ok(unlink("g"));
	fails(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK); /* without any */
	ok(fcntl(fd, F_OFD_SETLK, &l));
	fails(fcntl(other, F_OFD_SETLK, &l), EAGAIN);
	mt_put("f", "x"); /* another file */
	mt_join(mt_fork(flock_is_given, NULL));
	mt_join(mt_fork(all_is_free, NULL));
	ok(close(fd));
	ok(flock(other, LOCK_EX | LOCK_NB));
	ok(close(other));
}

static void of_directories(void **state)
{
	int a, b;

	(void)state;
	ok(mkdir("d", 0755));
	a = (int)ok(open("d", O_RDONLY | O_DIRECTORY));
	b = (int)ok(open("d", O_RDONLY | O_DIRECTORY));
	ok(flock(a, LOCK_EX));
	fails(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	ok(flock(a, LOCK_UN));
	ok(flock(b, LOCK_EX | LOCK_NB));
	ok(try_lock(a, F_RDLCK, 0, 0));
	fails(try_lock(a, F_WRLCK, 0, 0), EBADF);
	ok(close(a));
	ok(close(b));
}

/* A process keeps its record locks when it becomes another program. */
static void becomes_cat(void *arg)
{
	int fd = (int)ok(open("f", O_RDWR)), *pipes = arg;

	ok(try_lock(fd, F_WRLCK, 0, 0));
	ok(dup2(pipes[0], 0));
	ok(dup2(pipes[3], 1));
	for (int i = 0; i < 4; i++)
		ok(close(pipes[i]));
	execlp("cat", "cat", (char *)NULL);
	_exit(1);
}

static void exec_keeps_locks(void **state)
{
	struct flock l = range(F_RDLCK, 0, 0);
	int pipes[4], fd;
	pid_t pid;
	char c;

	(void)state;
	mt_put("f", "x");
	ok(pipe(pipes));
	ok(pipe(pipes + 2));
	pid = mt_fork(becomes_cat, pipes);
	same(1, write(pipes[1], "!", 1));
	same(1, read(pipes[2], &c, 1)); /* it is cat that says it */
	fd = (int)ok(open("f", O_RDWR));
	ok(fcntl(fd, F_GETLK, &l));
	same(F_WRLCK, l.l_type);
	same(pid, l.l_pid);
	for (int i = 0; i < 4; i++)
		ok(close(pipes[i]));
	mt_join(pid);
	ok(try_lock(fd, F_WRLCK, 0, 0));
	ok(close(fd));
}

/* A description that goes to another process takes its locks along. */
static void receives(void *arg)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	int fd;

	same(1, recvmsg(*(int *)arg, &message, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	flock_is_refused(NULL);
	description_is_refused(NULL);
	ok(flock(fd, LOCK_SH)); /* its own */
	ok(close(fd));
}

static void sent_to_another(void **state)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte = '!';
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct flock l = range(F_WRLCK, 0, 0);
	int sockets[2], fd;
	pid_t pid;

	(void)state;
	mt_put("f", "x");
	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = mt_fork(receives, &sockets[1]);
	fd = (int)ok(open("f", O_RDWR));
	ok(flock(fd, LOCK_EX));
	ok(fcntl(fd, F_OFD_SETLK, &l));
	*CMSG_FIRSTHDR(&message) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						     .cmsg_type = SCM_RIGHTS,
						     .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof(fd));
	same(1, sendmsg(sockets[0], &message, 0));
	ok(close(fd)); /* on its way, or there */
	mt_join(pid);
	mt_join(mt_fork(flock_is_given, NULL));
	mt_join(mt_fork(description_is_given, NULL));
	ok(close(sockets[0]));
	ok(close(sockets[1]));
}

/* ---- leases ---- */

static volatile sig_atomic_t lease_fd;

static void on_break(int number)
{
	(void)number;
	if (fcntl(lease_fd, F_SETLEASE, F_UNLCK) < 0)
		_exit(2);
}

static void opens_to_write(void *arg)
{
	(void)arg;
	fails(open("f", O_WRONLY | O_NONBLOCK), EWOULDBLOCK); /* the lease is asked back meanwhile */
	ok(close((int)ok(open("f", O_WRONLY))));
}

/* Given, asked back and given up, or refused: never given and not kept. */
static void leases(void **state)
{
	const struct sigaction action = { .sa_handler = on_break, .sa_flags = SA_RESTART },
			       usual = { .sa_handler = SIG_DFL };
	int writer;

	(void)state;
	mt_put("f", "x");
	lease_fd = (int)ok(open("f", O_RDONLY));
	if (fcntl(lease_fd, F_SETLEASE, F_RDLCK) < 0) {
		check(errno == EINVAL || errno == EOPNOTSUPP || errno == EAGAIN);
		ok(close(lease_fd));
		print_message("# skipped: leases are refused\n");
		skip();
	}
	same(F_RDLCK, fcntl(lease_fd, F_GETLEASE));
	ok(sigaction(SIGIO, &action, NULL));
	ok(close((int)ok(open("f", O_RDONLY)))); /* agrees with it */
	mt_join(mt_fork(opens_to_write, NULL));
	same(F_UNLCK, fcntl(lease_fd, F_GETLEASE));
	ok(sigaction(SIGIO, &usual, NULL));
	writer = (int)ok(open("f", O_WRONLY));
	fails(fcntl(lease_fd, F_SETLEASE, F_RDLCK), EAGAIN); /* while somebody writes */
	ok(close(writer));
	ok(close(lease_fd));
}

int mt_run_lock(void)
{
	const struct CMUnitTest tests[] = {
		CASE(whole_file),
		CASE(shared_flock),
		CASE(record_locks),
		CASE(description_locks),
		CASE(waiting),
		CASE(death_releases),
		CASE(ranges),
		CASE(bad_locks),
		CASE(kinds),
		CASE(fork_shares_descriptions),
		CASE(fork_shares_no_process_locks),
		CASE(interrupted),
		CASE(killed_with_a_lock),
		CASE(deadlock),
		CASE(other_names),
		CASE(of_directories),
		CASE(exec_keeps_locks),
		CASE(sent_to_another),
		CASE(leases),
	};

	return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
