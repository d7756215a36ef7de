/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_FUSE_DAEMON_H
#define TESTS_BENCH_FUSE_DAEMON_H
/*
 * fuse_daemon - the life of a plain FUSE file system beside ours: mounted at a directory, it stays in the foreground and
 * serves until it is unmounted or SIGTERM, SIGINT or SIGHUP asks for that.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <fuse_lowlevel.h>

#include <limits.h>
#include <stdbool.h>

/* For all that the kernel may keep for as long as it likes. */
#define CACHE_SECONDS (10.0 * 365 * 24 * 3600)
#define WRITE_SIZE_MAX (1u << 20)

struct fuse_daemon {
	const char *name;
	char dir[PATH_MAX]; /* the mount point, absolute */
	bool own_loop;      /* the loop of ours, else libfuse's with several threads */
	const struct fuse_lowlevel_ops *operations;
	size_t operations_size;
	void *userdata;
};

/* Takes "[--loop=own|libfuse] [SOURCE] DIR", SOURCE if there is to be one. False: it has said what is wrong. */
bool fuse_daemon_arguments(struct fuse_daemon *daemon, const char **ret_source, int argc, char **argv);
/* What a file system that alone changes its files asks the kernel for, as ours does. */
void fuse_daemon_init(struct fuse_conn_info *conn);
/* Returns when it has gone: the exit code. Says what went wrong. */
int fuse_daemon_run(const struct fuse_daemon *daemon);

#endif
