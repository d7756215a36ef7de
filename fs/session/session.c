/* SPDX-License-Identifier: MIT */
/* The life of a session: what is agreed with the kernel, the loop, the end. */
#include "fs/session/internal.h"
#include "fs/session/loop.h"
#include "fs/session/ring.h"
#include "fs/session/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many callers can wait for a sync together and share it; each thread may hold a buffer of WRITE_SIZE_MAX. */
#define THREADS_MAX 32
_Static_assert(THREADS_MAX >= 2 * PAGES_SERVING_MAX, "enough of them serve, whatever the others wait for");
#define BACKGROUND_MAX 64 /* read-ahead requests under way */

static void choose(struct fuse_conn_info *conn, unsigned on, unsigned off)
{
	conn->want |= conn->capable & on;
	conn->want &= ~off;
}

/*
 * We alone change the volume, so nothing that the kernel keeps goes stale by itself: hence EXPLICIT_INVAL_DATA.
 * HANDLE_KILLPRIV stays off: with it we would have to know the caller's capabilities. Its second version, which tells
 * of them, is asked for in transport.c. With POSIX_ACL the kernel asks for lists and checks rights by them; it forgets
 * those of an inode with each setattr and setxattr. DONT_MASK: the umask is ours to apply, since a directory's default
 * list comes in its place. ATOMIC_O_TRUNC can't be had together with a kernel that opens without asking.
 */
static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct session *session = userdata;

	choose(conn,
	       FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_PARALLEL_DIROPS |
		       FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS |
		       FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_IOCTL_DIR | FUSE_CAP_DONT_MASK |
		       (session->options.no_acl ? 0 : FUSE_CAP_POSIX_ACL) |
		       (session->options.writeback ? FUSE_CAP_WRITEBACK_CACHE : 0),
	       FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_ATOMIC_O_TRUNC |
		       (session->options.no_acl ? FUSE_CAP_POSIX_ACL : 0) |
		       (session->options.writeback ? 0 : FUSE_CAP_WRITEBACK_CACHE));
	session->no_open = conn->capable & FUSE_CAP_NO_OPEN_SUPPORT;
	session->no_opendir = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
	conn->max_write = WRITE_SIZE_MAX;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_MAX * 3 / 4;
	conn->time_gran = 1;
}

/* Not here: locks (the kernel keeps flock and fcntl locks itself), flush, release, access (default_permissions). */
static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
	.ioctl = op_ioctl,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_file_range,
	.lseek = op_lseek,
};

static int fuse_new(struct session *session, const char *fuse_options)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r = -ENOMEM;

	if (fuse_opt_add_arg(&args, "lsmfs") || fuse_opt_add_arg(&args, "-o") || fuse_opt_add_arg(&args, fuse_options))
		goto out;
	session->fuse = fuse_session_new(&args, &operations, sizeof(operations), session);
	r = session->fuse ? 0 : -EINVAL;
out:
	fuse_opt_free_args(&args);
	return r;
}

int session_new(struct volume *volume, const struct session_options *options, struct session **ret)
{
	struct session *session = calloc(1, sizeof(*session));
	int r = -ENOMEM;

	if (!session)
		goto out;
	session->volume = volume;
	session->options = *options;
	session->options.fuse_options = NULL;
	r = inode_table_new(&session->inodes);
	if (!r)
		r = fuse_new(session, options->fuse_options);
	if (!r) {
		*ret = session;
		session = NULL;
	}
out:
	session_free(session);
	return r;
}

int session_mount(struct session *session, const char *dir)
{
	session->dir = strdup(dir);
	if (!session->dir)
		return -ENOMEM;
	if (fuse_session_mount(session->fuse, dir) == 0)
		return transport_start(session);
	free(session->dir);
	session->dir = NULL;
	return -EIO;
}

int session_run(struct session *session)
{
	struct watch *watch;
	int r;

	r = loop_new(session->fuse, THREADS_MAX, &session->loop);
	if (r == 0)
		r = watch_start(session, &watch);
	if (r < 0)
		return r;
	r = pages_start(session); /* behind the watch: it has the signals blocked */
	if (r == 0)
		r = loop_run(session->loop);
	atomic_store(&session->ended, true);
	/* Before the watch is waited for: without a loop behind it the mount must fail its calls, not block them. */
	fuse_session_unmount(session->fuse);
	watch_stop(watch);
	pages_stop(session);
	ring_free(session->ring); /* behind the pages, which may have answers for it */
	session->ring = NULL;
	return r;
}

static void reclaim_left(void *ctx, uint64_t ino)
{
	struct session *session = ctx;

	/* What can't be reclaimed now stays an orphan, which the next mount reclaims. */
	(void)volume_reclaim(session->volume, ino);
}

void session_free(struct session *session)
{
	if (!session)
		return;
	if (session->fuse) {
		fuse_session_unmount(session->fuse);
		fuse_session_destroy(session->fuse);
	}
	if (session->inodes)
		inode_table_drain(session->inodes, reclaim_left, session);
	inode_table_free(session->inodes);
	loop_free(session->loop);
	free(session->dir);
	free(session);
}
