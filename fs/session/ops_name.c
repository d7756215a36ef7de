/* SPDX-License-Identifier: MIT */
/* Requests that find, make and remove names. */
#include "fs/session/internal.h"
#include "fs/session/protocol.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>

static struct vol_cred cred_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct vol_cred){ .uid = ctx->uid, .gid = ctx->gid, .umask = ctx->umask };
}

/* The kernel keeps it that there is no such name, until it makes the name itself. */
static void reply_no_such_name(fuse_req_t req)
{
	const struct fuse_entry_param nothing = { .entry_timeout = CACHE_SECONDS };

	fuse_reply_entry(req, &nothing);
}

static bool take_parent_entry(void *ctx, const struct vol_entry *entry)
{
	vol_ino *ret = ctx;

	if (*ret || strcmp(entry->name, "..") != 0)
		return false;
	*ret = entry->ino;
	return true;
}

/* "." and "..", which a kernel that was given a file handle (NFS, open_by_handle_at) asks for. */
static int lookup_dot(struct volume *volume, vol_ino ino, const char *name, struct vol_attr *ret)
{
	vol_ino found = ino;
	struct vol_attr attr;
	int r = 0;

	if (strcmp(name, "..") == 0) {
		found = 0;
		r = volume_readdir(volume, ino, 1, false, take_parent_entry, &found);
	}
	if (!r)
		r = found ? volume_getattr(volume, found, &attr) : -ENOENT;
	if (!r && attr.nlink)
		*ret = attr;
	else if (!r || r == -ENOENT)
		r = -ESTALE;
	return r;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct session *session = session_of(req);
	uint64_t epoch = inode_table_epoch(session->inodes);
	vol_ino dir = ino_of_node(parent);
	struct vol_attr attr;
	int r;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		r = lookup_dot(session->volume, dir, name, &attr);
	else
		r = volume_lookup(session->volume, dir, name, &attr);
	if (r == -ENOENT)
		reply_no_such_name(req);
	else if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_inode(req, epoch, &attr);
}

/* Answers an operation that made `attr`. */
static void reply_made(fuse_req_t req, uint64_t epoch, int r, const struct vol_attr *attr)
{
	r = names_changed(session_of(req), r);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_inode(req, epoch, attr);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct session *session = session_of(req);
	uint64_t epoch = inode_table_epoch(session->inodes);
	struct vol_cred cred = cred_of(req);
	struct vol_attr attr;
	int r = volume_mknod(session->volume, ino_of_node(parent), name, mode, rdev, &cred, &attr);

	reply_made(req, epoch, r, &attr);
}

/*
 * CREATE opens the file, too, which the kernel does without us: it would cost a RELEASE. Told that there is no such
 * request, the kernel goes on with MKNOD, now and ever after. TMPFILE comes as CREATE.
 */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct vol_cred cred = cred_of(req);
	struct vol_attr attr;
	int r;

	(void)name;
	if (transport_request()->opcode != FUSE_TMPFILE) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->noflush = 1;
	r = volume_tmpfile(session_of(req)->volume, ino_of_node(parent), mode & 07777, &cred, &attr);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_nameless(req, &attr, fi);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct session *session = session_of(req);
	uint64_t epoch = inode_table_epoch(session->inodes);
	struct vol_cred cred = cred_of(req);
	struct vol_attr attr;
	int r = volume_mkdir(session->volume, ino_of_node(parent), name, mode & 07777, &cred, &attr);

	reply_made(req, epoch, r, &attr);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct session *session = session_of(req);
	uint64_t epoch = inode_table_epoch(session->inodes);
	struct vol_cred cred = cred_of(req);
	struct vol_attr attr;
	int r = volume_symlink(session->volume, ino_of_node(parent), name, target, &cred, &attr);

	reply_made(req, epoch, r, &attr);
}

void op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char *name)
{
	struct session *session = session_of(req);
	uint64_t epoch = inode_table_epoch(session->inodes);
	struct vol_attr attr;
	int r = volume_link(session->volume, ino_of_node(node), ino_of_node(parent), name, &attr);

	reply_made(req, epoch, r, &attr);
}

void op_readlink(fuse_req_t req, fuse_ino_t node)
{
	char target[VOL_SYMLINK_MAX + 1];
	struct volume *volume = session_of(req)->volume;
	int r = volume_readlink(volume, ino_of_node(node), target);

	if (!r)
		volume_accessed(volume, ino_of_node(node));
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, target);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct session *session = session_of(req);
	struct vol_gone gone = { 0 };
	int r = volume_unlink(session->volume, ino_of_node(parent), name, &gone);

	inode_gone(session, &gone);
	reply_done(req, names_changed(session, r));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct session *session = session_of(req);
	struct vol_gone gone = { 0 };
	int r = volume_rmdir(session->volume, ino_of_node(parent), name, &gone);

	inode_gone(session, &gone);
	reply_done(req, names_changed(session, r));
}

/*
 * The kernel keeps listings by the directory's mtime, which a move of that directory leaves alone: it would go on to list
 * the old "..". The rename holds no lock that this waits for.
 */
static void forget_listings(struct session *session, const struct vol_gone *gone)
{
	for (size_t i = 0; i < sizeof(gone->moved) / sizeof(gone->moved[0]); i++)
		if (gone->moved[i])
			(void)fuse_lowlevel_notify_inval_inode(session->fuse, node_of_ino(gone->moved[i]), 0, 0);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
	       unsigned flags)
{
	struct session *session = session_of(req);
	struct vol_gone gone = { 0 };
	struct vol_cred cred = cred_of(req);
	vol_ino from = ino_of_node(parent), to = ino_of_node(new_parent);
	int r;

	if (flags & RENAME_WHITEOUT)
		r = volume_rename_whiteout(session->volume, from, name, to, new_name,
					   flags & ~(unsigned)RENAME_WHITEOUT, &cred, &gone);
	else
		r = volume_rename(session->volume, from, name, to, new_name, flags, &gone);

	forget_listings(session, &gone);
	inode_gone(session, &gone);
	reply_done(req, names_changed(session, r));
}
