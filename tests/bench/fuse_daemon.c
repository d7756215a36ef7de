/* SPDX-License-Identifier: MIT */
#include "tests/bench/fuse_daemon.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/session/loop.h"
#include "fs/session/unmount.h"

enum { THREADS_MAX = 32, BACKGROUND_MAX = 64 };

void fuse_daemon_init(struct fuse_conn_info *conn)
{
	const unsigned on = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
			    FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_EXPLICIT_INVAL_DATA;

	conn->want |= conn->capable & on;
	conn->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_WRITEBACK_CACHE |
				  FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_SPLICE_READ);
	conn->max_write = WRITE_SIZE_MAX;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_MAX * 3 / 4;
	conn->time_gran = 1;
}

static void block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ret, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* The loop ends when the mount has gone. One that is in use goes out of sight, and its users with the process. */
static void *wait_for_signal(void *arg)
{
	const struct fuse_daemon *daemon = arg;
	sigset_t signals;
	int number;

	block_signals(&signals);
	while (sigwait(&signals, &number) != 0)
		continue;
	if (unmount_plainly(daemon->dir) < 0) {
		fprintf(stderr, "%s: %s is in use; it is detached\n", daemon->name, daemon->dir);
		(void)unmount_lazily(daemon->dir);
		_exit(1);
	}
	return NULL;
}

static int run_own_loop(struct fuse_session *fuse)
{
	struct loop *loop;
	int r = loop_new(fuse, THREADS_MAX, &loop);

	if (r < 0)
		return r;
	r = loop_run(loop);
	loop_free(loop);
	return r;
}

static int serve(const struct fuse_daemon *daemon, struct fuse_session *fuse)
{
	pthread_t waiter;
	sigset_t signals;
	int r;

	block_signals(&signals);
	r = pthread_create(&waiter, NULL, wait_for_signal, (void *)daemon);
	if (r)
		return -r;
	pthread_detach(waiter);
	if (daemon->own_loop)
		return run_own_loop(fuse);
	return fuse_session_loop_mt(fuse, NULL);
}

static struct fuse_session *session_new(const struct fuse_daemon *daemon)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *fuse = NULL;
	char options[256];

	snprintf(options, sizeof(options), "default_permissions,fsname=%s,subtype=%s%s", daemon->name, daemon->name,
		 geteuid() == 0 ? ",allow_other,suid,dev" : "");
	if (!fuse_opt_add_arg(&args, daemon->name) && !fuse_opt_add_arg(&args, "-o") &&
	    !fuse_opt_add_arg(&args, options))
		fuse = fuse_session_new(&args, daemon->operations, daemon->operations_size, daemon->userdata);
	fuse_opt_free_args(&args);
	return fuse;
}

bool fuse_daemon_arguments(struct fuse_daemon *daemon, const char **ret_source, int argc, char **argv)
{
	int words = ret_source ? 2 : 1, at = 1;

	if (at < argc && strncmp(argv[at], "--loop=", 7) == 0) {
		daemon->own_loop = strcmp(argv[at] + 7, "own") == 0;
		if (!daemon->own_loop && strcmp(argv[at] + 7, "libfuse") != 0)
			at = argc;
		at++;
	}
	if (argc - at != words) {
		fprintf(stderr, "usage: %s [--loop=own|libfuse] %sDIR\n", daemon->name, ret_source ? "SOURCE " : "");
		return false;
	}
	if (ret_source)
		*ret_source = argv[at++];
	if (realpath(argv[at], daemon->dir))
		return true;
	fprintf(stderr, "%s: %s: %s\n", daemon->name, argv[at], strerror(errno));
	return false;
}

int fuse_daemon_run(const struct fuse_daemon *daemon)
{
	struct fuse_session *fuse = session_new(daemon);
	int r = 1;

	if (!fuse || fuse_session_mount(fuse, daemon->dir)) {
		fprintf(stderr, "%s: cannot be mounted at %s\n", daemon->name, daemon->dir);
	} else {
		r = serve(daemon, fuse);
		if (r)
			fprintf(stderr, "%s: the loop ended: %s\n", daemon->name, strerror(r < 0 ? -r : EIO));
		fuse_session_unmount(fuse);
	}
	if (fuse)
		fuse_session_destroy(fuse);
	return r != 0;
}
