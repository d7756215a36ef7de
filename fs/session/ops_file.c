/* SPDX-License-Identifier: MIT */
/* Requests for the content of files. */
#include "fs/session/internal.h"

#include <errno.h>
#include <fcntl.h>

#define COPY_CHUNK ((size_t)1 << 20)

static unsigned write_flags(const struct session *session, const struct fuse_file_info *fi)
{
	unsigned flags = 0;

	/* O_SYNC contains the bit of O_DSYNC. */
	if (session->options.sync_data || (fi->flags & O_DSYNC))
		flags |= VOL_WRITE_SYNC;
	if (transport_request()->kill_suidgid)
		flags |= VOL_WRITE_KILL_PRIV;
	if (fi->writepage)
		flags |= VOL_WRITE_MAPPED;
	return flags;
}

/* Opening needs nothing from us: where the kernel can do without, it is told so once and never asks again. */
void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	if (session_of(req)->no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

/* A kernel that gathers writes sends what it has of the range before a direct read, but a page behind the range may
 * hold the end of the file: what lies in front of that is a hole for us, and no end. */
static int read_again(struct session *session, fuse_ino_t node, off_t offset, char *buf, size_t size, size_t *ret_got)
{
	int r = pages_learn_size(session, node);

	return r < 0 ? r : volume_read(session->volume, ino_of_node(node), (uint64_t)offset, buf, size, ret_got);
}

void op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	char *buf = answer_buffer(req, size);
	struct session *session = session_of(req);
	struct volume *volume = session->volume;
	vol_ino ino = ino_of_node(node);
	size_t got = 0;
	int r;

	if (!buf)
		r = -ENOMEM;
	else
		r = volume_read(volume, ino, (uint64_t)offset, buf, size, &got);
	if (!r && got < size && session->options.writeback && fi->flags & O_DIRECT)
		r = read_again(session, node, offset, buf, size, &got);
	if (!r && !transport_request()->no_atime)
		volume_accessed(volume, ino);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, buf, got);
}

/* The kernel has the size of every file whose end it writes at, so its offset is right for O_APPEND, too. */
void op_write(fuse_req_t req, fuse_ino_t node, const char *data, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct session *session = session_of(req);
	int r = volume_write(session->volume, ino_of_node(node), (uint64_t)offset, data, size,
			     write_flags(session, fi));

	if (r < 0)
		fuse_reply_err(req, -r);
	else if (fi->lock_owner) /* the kernel gives one with direct writes only */
		reply_written_direct(req, node, offset, size);
	else
		fuse_reply_write(req, size);
}

/* For files and directories: one log holds all, so one sync makes all durable. */
void op_fsync(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi)
{
	(void)node, (void)datasync, (void)fi;
	reply_done(req, volume_sync(session_of(req)->volume));
}

void op_fallocate(fuse_req_t req, fuse_ino_t node, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
	struct session *session = session_of(req);
	int r = volume_fallocate(session->volume, ino_of_node(node), mode, (uint64_t)offset, (uint64_t)length);

	if (!r && (write_flags(session, fi) & VOL_WRITE_SYNC))
		r = volume_sync(session->volume);
	reply_done(req, r);
}

/* At most one chunk a request, so that a long copy can be interrupted: the caller comes again for the rest. The
 * kernel's own way would be two requests for every 64 KiB. */
void op_copy_file_range(fuse_req_t req, fuse_ino_t node_in, off_t offset_in, struct fuse_file_info *fi_in,
			fuse_ino_t node_out, off_t offset_out, struct fuse_file_info *fi_out, size_t size, int flags)
{
	struct session *session = session_of(req);
	char *buf = scratch_buffer(COPY_CHUNK);
	size_t got = 0;
	int r;

	(void)fi_in, (void)flags;
	if (!buf)
		r = -ENOMEM;
	else
		r = volume_read(session->volume, ino_of_node(node_in), (uint64_t)offset_in, buf,
				size < COPY_CHUNK ? size : COPY_CHUNK, &got);
	if (!r && got)
		r = volume_write(session->volume, ino_of_node(node_out), (uint64_t)offset_out, buf, got,
				 write_flags(session, fi_out) | (fuse_req_ctx(req)->uid ? VOL_WRITE_KILL_PRIV : 0));
	/* Of a READ the kernel knows that it may have moved the time of access, of this it doesn't. */
	if (!r && volume_accessed(session->volume, ino_of_node(node_in)))
		fuse_lowlevel_notify_inval_inode(session->fuse, node_in, -1, 0);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, got);
}
