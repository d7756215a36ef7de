/* SPDX-License-Identifier: MIT */
/* Requests for attributes, extended attributes and the volume's figures. */
#include "fs/session/internal.h"
#include "fs/session/protocol.h"

#include <errno.h>
#include <string.h>

#define STATFS_BLOCK 4096
/* Inodes are not preallocated: for df -i, what the free space would hold if every file took this much. */
#define BYTES_PER_INODE_GUESS 256

static void reply_attr(fuse_req_t req, int r, const struct vol_attr *attr, double seconds)
{
	struct stat st;

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	attr_to_stat(attr, &st);
	fuse_reply_attr(req, &st, seconds);
}

static void reply_statx(fuse_req_t req, int r, const struct vol_attr *attr)
{
	struct protocol_statx_out out;

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	attr_to_statx(attr, &out);
	fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

/* STATX comes as GETATTR. */
void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct vol_attr attr;
	int r = volume_getattr(session_of(req)->volume, ino_of_node(node), &attr);

	(void)fi;
	if (transport_request()->opcode == LSMFS_FUSE_STATX)
		reply_statx(req, r, &attr);
	else
		reply_attr(req, r, &attr, CACHE_SECONDS);
}

static unsigned which_of(int to_set)
{
	static const struct {
		int fuse;
		unsigned vol;
	} bits[] = {
		{ FUSE_SET_ATTR_MODE, VOL_SET_MODE },
		{ FUSE_SET_ATTR_UID, VOL_SET_UID },
		{ FUSE_SET_ATTR_GID, VOL_SET_GID },
		{ FUSE_SET_ATTR_SIZE, VOL_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, VOL_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, VOL_SET_MTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, VOL_SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, VOL_SET_MTIME_NOW },
		{ FUSE_SET_ATTR_CTIME, VOL_SET_CTIME },
	};
	unsigned which = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (to_set & bits[i].fuse)
			which |= bits[i].vol;
	}
	/* "Now" is told by a bit of its own beside the one of the time. */
	if (which & VOL_SET_ATIME_NOW)
		which &= ~VOL_SET_ATIME;
	if (which & VOL_SET_MTIME_NOW)
		which &= ~VOL_SET_MTIME;
	return which;
}

/* By the mode alone: that a list or an open file gives more is not known here. */
static bool may_write(fuse_req_t req, const struct vol_attr *attr)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	if (uid == 0 || uid == attr->uid)
		return true;
	return attr->mode & (caller_is_in_group(req, attr->gid) ? S_IWGRP : S_IWOTH);
}

/*
 * What falls of set-uid and set-gid bits with a SETATTR. The kernel knows the caller's capabilities and says when they
 * fall. One that sets nothing says it, too: it comes in front of fallocate, copy_file_range and write, and is what
 * chown(2) without a new owner is. That is the owner's and root's, but the kernel lets it pass from anybody: so it counts
 * from those who could write to the file. (Nor can it be told from root writing to a file with capabilities, whose
 * set-uid bit could stay.) What it doesn't say is whether the caller may leave a set-gid bit where the group can't execute.
 */
static unsigned kills_of(fuse_req_t req, vol_ino ino)
{
	const struct request *request = transport_request();
	struct vol_attr attr;

	if ((!request->kill_suidgid && !request->empty) || volume_getattr(session_of(req)->volume, ino, &attr) < 0 ||
	    (!request->kill_suidgid && !may_write(req, &attr)))
		return 0;
	if ((attr.mode & (S_ISGID | S_IXGRP)) == S_ISGID && !caller_may_set_gid(req, attr.gid))
		return VOL_SET_KILL_PRIV | VOL_SET_KILL_SGID;
	return VOL_SET_KILL_PRIV;
}

void op_setattr(fuse_req_t req, fuse_ino_t node, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	struct session *session = session_of(req);
	const struct vol_attr wanted = {
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = (uint64_t)st->st_size,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};
	vol_ino ino = ino_of_node(node);
	unsigned which = which_of(to_set) | kills_of(req, ino);
	struct vol_attr attr;
	int r = volume_setattr(session->volume, ino, &wanted, which, &attr);

	(void)fi;
	if (!r && session->options.sync_data)
		r = volume_sync(session->volume);
	/* Of one that sets nothing: a copy that follows may take bits of the mode without telling the kernel. */
	reply_attr(req, r, &attr, which ? CACHE_SECONDS : 0);
}

void op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct vol_statfs fs;
	int r = volume_statfs(session_of(req)->volume, &fs);

	(void)node;
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	const fsfilcnt_t free_files = fs.available_bytes / BYTES_PER_INODE_GUESS;
	const struct statvfs st = {
		.f_bsize = STATFS_BLOCK,
		.f_frsize = STATFS_BLOCK,
		.f_blocks = fs.total_bytes / STATFS_BLOCK,
		.f_bfree = fs.free_bytes / STATFS_BLOCK,
		.f_bavail = fs.available_bytes / STATFS_BLOCK,
		.f_files = fs.files + free_files,
		.f_ffree = free_files,
		.f_favail = free_files,
		.f_namemax = VOL_NAME_MAX,
	};
	fuse_reply_statfs(req, &st);
}

/*
 * The names that are kept. SELinux labels are not: ls -l asks for one on each file, a request each, until it learns that
 * this file system has none.
 */
static int check_xattr_name(const struct session *session, const char *name)
{
	static const char *const kept[] = { "user.", "trusted.", "security." };

	if (strcmp(name, "security.selinux") == 0)
		return -EOPNOTSUPP;
	if (strcmp(name, VOL_ACL_ACCESS) == 0 || strcmp(name, VOL_ACL_DEFAULT) == 0)
		return session->options.no_acl ? -EOPNOTSUPP : 0;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		size_t prefix = strlen(kept[i]);
		if (strncmp(name, kept[i], prefix) != 0)
			continue;
		if (!name[prefix])
			return -EINVAL;
		return strlen(name) <= VOL_XATTR_NAME_MAX ? 0 : -ERANGE;
	}
	return -EOPNOTSUPP;
}

/* The kernel has checked that the caller may set a list, and says when the set-gid bit falls with it. */
void op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name, const char *value, size_t size, int flags)
{
	struct session *session = session_of(req);
	int r = check_xattr_name(session, name);

	if (transport_request()->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID)
		flags |= VOL_XATTR_KILL_SGID;
	if (!r)
		r = volume_setxattr(session->volume, ino_of_node(node), name, value, size, flags);
	reply_done(req, names_changed(session, r));
}

void op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name)
{
	struct session *session = session_of(req);
	int r = check_xattr_name(session, name);

	if (!r)
		r = volume_removexattr(session->volume, ino_of_node(node), name);
	reply_done(req, names_changed(session, r));
}

/* The answer to a request for `size` bytes, or for the size if that is 0. */
static void reply_xattr(fuse_req_t req, int r, size_t size, const char *data, size_t data_size)
{
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (size)
		fuse_reply_buf(req, data, data_size);
	else
		fuse_reply_xattr(req, data_size);
}

void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	struct session *session = session_of(req);
	char *buf = size ? scratch_buffer(size) : NULL;
	size_t got = 0;
	int r = check_xattr_name(session, name);

	if (!r && size && !buf)
		r = -ENOMEM;
	if (!r)
		r = volume_getxattr(session->volume, ino_of_node(node), name, buf, size, &got);
	reply_xattr(req, r, size, buf, got);
}

/* Takes the names with this beginning out of a list; returns the new size. */
static size_t hide(const char *prefix, char *list, size_t size)
{
	size_t kept = 0;

	for (size_t at = 0; at < size;) {
		size_t length = strlen(list + at) + 1;
		if (strncmp(list + at, prefix, strlen(prefix)) != 0) {
			memmove(list + kept, list + at, length);
			kept += length;
		}
		at += length;
	}
	return kept;
}

/* The whole list is read, whatever was asked: what is hidden must not count. */
void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct session *session = session_of(req);
	size_t need = 0, got = 0;
	char *buf = NULL;
	int r;

	do {
		r = volume_listxattr(session->volume, ino_of_node(node), NULL, 0, &need);
		if (r < 0 || !need)
			break;
		buf = scratch_buffer(need);
		r = buf ? volume_listxattr(session->volume, ino_of_node(node), buf, need, &got) : -ENOMEM;
	} while (r == -ERANGE); /* it grew in between */
	if (!r && buf && fuse_req_ctx(req)->uid != 0)
		got = hide("trusted.", buf, got); /* as other file systems do */
	if (!r && buf && session->options.no_acl)
		got = hide("system.", buf, got);
	if (!r && size && got > size)
		r = -ERANGE;
	reply_xattr(req, r, size, buf, got);
}
