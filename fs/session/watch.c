/* SPDX-License-Identifier: MIT */
#include "fs/session/watch.h"
#include "fs/session/connection.h"
#include "fs/session/guard.h"
#include "fs/session/internal.h"
#include "fs/session/loop.h"
#include "fs/session/unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A cold sequential read is half as fast again with it as with the kernel's 128 KiB. */
#define READ_AHEAD_KIB "1024"
#define KICK_EVERY_NS (20 * 1000 * 1000)
#define KICKS_MAX (15 * 50) /* a quarter of a minute */

struct watch {
	struct session *session;
	pthread_t thread;
	sigset_t signals;
	dev_t device; /* of the mount, once it answers */
	pid_t guard;  /* 0: none */
};

static void set_read_ahead(dev_t device)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(device), minor(device));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* only root may; the default serves, too */
	if (write(fd, READ_AHEAD_KIB, strlen(READ_AHEAD_KIB)) < 0)
		errno = 0;
	close(fd);
}

static void wait_until_it_answers(struct watch *watch)
{
	struct session *session = watch->session;
	struct stat st;
	int r;

	if (stat(session->dir, &st) < 0)
		return;
	watch->device = st.st_dev;
	set_read_ahead(st.st_dev);
	r = guard_start(session->dir, st.st_dev, &watch->guard);
	if (r < 0)
		session_log(session,
			    "cannot start the guard: %s. If this process is killed, \"lsmfs umount -f %s\" may be needed",
			    strerror(-r), session->dir);
	if (session->options.on_ready)
		session->options.on_ready(session->options.ctx);
}

/* Pages that were written through a mapping are with the kernel yet: have them written. */
static void flush_mappings(const struct watch *watch)
{
	int fd = open(watch->session->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_dev == watch->device)
		(void)syncfs(fd);
	close(fd);
}

/* Ends the loop under a mount that is in use. A thread of it may wait in the kernel for an answer that nobody gives any
 * more. */
static void end_loop(struct watch *watch)
{
	struct session *session = watch->session;
	const struct timespec pause = { .tv_nsec = KICK_EVERY_NS };

	fuse_session_exit(session->fuse);
	for (unsigned kicks = 0; !atomic_load(&session->ended); kicks++) {
		if (kicks == KICKS_MAX)
			(void)connection_abort(session->dir, watch->device);
		loop_kick(session->loop);
		nanosleep(&pause, NULL);
	}
}

static void stop(struct watch *watch, int number)
{
	struct session *session = watch->session;
	int r;

	session_log(session, "%s: unmounting %s", strsignal(number), session->dir);
	/* The loop ends by itself when the mount has gone. */
	r = unmount_plainly(session->dir);
	if (!r || atomic_load(&session->ended))
		return;
	session_log(session,
		    "%s is in use (%s): writing everything out and detaching it; programs that use it will see errors",
		    session->dir, strerror(-r));
	flush_mappings(watch);
	end_loop(watch);
}

static void *watch_main(void *arg)
{
	struct watch *watch = arg;
	int number;

	wait_until_it_answers(watch);
	while (sigwait(&watch->signals, &number) != 0 && !atomic_load(&watch->session->ended))
		continue;
	if (!atomic_load(&watch->session->ended))
		stop(watch, number);
	guard_stop(watch->guard);
	return NULL;
}

int watch_start(struct session *session, struct watch **ret)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->session = session;
	sigemptyset(&watch->signals);
	sigaddset(&watch->signals, SIGTERM);
	sigaddset(&watch->signals, SIGINT);
	sigaddset(&watch->signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &watch->signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = -pthread_create(&watch->thread, NULL, watch_main, watch);
	if (r < 0)
		free(watch);
	else
		*ret = watch;
	return r;
}

void watch_stop(struct watch *watch)
{
	pthread_kill(watch->thread, SIGTERM);
	pthread_join(watch->thread, NULL);
	free(watch);
}
