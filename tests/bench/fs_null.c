/* SPDX-License-Identifier: MIT */
/*
 * fs_null [--reserve=MIB] [--loop=own|libfuse] DIR - a FUSE file system that answers everything from memory: what a round trip costs
 * with nothing behind it. It agrees with the kernel on the same as ours: nothing that the kernel keeps expires, it opens
 * without asking, creates by MKNOD. All is gone with the mount. A node's number is its address.
 * --reserve has memory ready for two large files of so many MiB.
 */
#include "tests/bench/fuse_daemon.h"
#include "tests/bench/null_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct null_node *root;
static bool no_open, no_opendir; /* set by INIT */

static struct null_node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? root : (struct null_node *)(uintptr_t)ino; // NOLINT
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	fuse_daemon_init(conn);
	no_open = conn->capable & FUSE_CAP_NO_OPEN_SUPPORT;
	no_opendir = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
}

static struct fuse_entry_param entry_of(struct null_node *node, const struct stat *attr)
{
	return (struct fuse_entry_param){ .ino = node == root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node,
					  .attr = *attr,
					  .attr_timeout = CACHE_SECONDS,
					  .entry_timeout = CACHE_SECONDS };
}

static void reply_node(fuse_req_t req, int r, struct null_node *node, const struct stat *attr)
{
	struct fuse_entry_param entry;

	if (r) {
		fuse_reply_err(req, r);
		return;
	}
	entry = entry_of(node, attr);
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		null_forget(node, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *text)
{
	const struct fuse_entry_param nothing = { .entry_timeout = CACHE_SECONDS };
	struct null_node *node;
	struct stat attr;
	int r = null_lookup(node_of(parent), text, &node, &attr);

	if (r == ENOENT)
		fuse_reply_entry(req, &nothing);
	else
		reply_node(req, r, node, &attr);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	null_forget(node_of(ino), n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		null_forget(node_of(forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat attr;

	(void)fi;
	null_getattr(node_of(ino), &attr);
	fuse_reply_attr(req, &attr, CACHE_SECONDS);
}

static void set_attr(struct null_node *node, const struct stat *st, int to_set)
{
	struct stat *attr = &node->attr;
	struct timespec now = null_now();

	pthread_rwlock_wrlock(&node->lock);
	if (to_set & FUSE_SET_ATTR_MODE)
		attr->st_mode = (attr->st_mode & S_IFMT) | (st->st_mode & 07777);
	if (to_set & FUSE_SET_ATTR_UID)
		attr->st_uid = st->st_uid;
	if (to_set & FUSE_SET_ATTR_GID)
		attr->st_gid = st->st_gid;
	if (to_set & FUSE_SET_ATTR_ATIME)
		attr->st_atim = to_set & FUSE_SET_ATTR_ATIME_NOW ? now : st->st_atim;
	if (to_set & FUSE_SET_ATTR_MTIME)
		attr->st_mtim = to_set & FUSE_SET_ATTR_MTIME_NOW ? now : st->st_mtim;
	attr->st_ctim = now;
	pthread_rwlock_unlock(&node->lock);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	struct null_node *node = node_of(ino);
	int r = to_set & FUSE_SET_ATTR_SIZE ? null_resize(node, (size_t)st->st_size) : 0;

	if (r) {
		fuse_reply_err(req, r);
		return;
	}
	set_attr(node, st, to_set);
	op_getattr(req, ino, fi);
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode, dev_t rdev, const char *target)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	const struct stat wanted = { .st_mode = mode, .st_rdev = rdev, .st_uid = ctx->uid, .st_gid = ctx->gid };
	struct null_node *node = NULL;
	struct stat attr;
	int r = null_make(node_of(parent), text, &wanted, target, &node, &attr);

	reply_node(req, r, node, &attr);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode, dev_t rdev)
{
	make(req, parent, text, mode, rdev, NULL);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode)
{
	make(req, parent, text, S_IFDIR | (mode & 07777), 0, NULL);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *text)
{
	make(req, parent, text, S_IFLNK | 0777, 0, target);
}

/* There is no create: the kernel goes on with MKNOD, and has nothing to release. */

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	fuse_reply_readlink(req, node_of(ino)->data);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *text)
{
	struct null_node *node = node_of(ino);
	struct stat attr;
	int r = null_link(node, node_of(parent), text, &attr);

	reply_node(req, r, node, &attr);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *text)
{
	fuse_reply_err(req, null_remove(node_of(parent), text, false));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *text)
{
	fuse_reply_err(req, null_remove(node_of(parent), text, true));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *text, fuse_ino_t new_parent, const char *new_text,
		      unsigned flags)
{
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		fuse_reply_err(req, EINVAL);
	else
		fuse_reply_err(req, null_rename(node_of(parent), text, node_of(new_parent), new_text, !flags));
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct null_node *node = node_of(ino);

	(void)fi;
	/* The answer may be all that the kernel waited for before it forgets the node, which is locked yet. */
	null_hold(node);
	pthread_rwlock_rdlock(&node->lock);
	if (offset >= node->attr.st_size)
		fuse_reply_buf(req, NULL, 0);
	else if (size <= (size_t)(node->attr.st_size - offset))
		fuse_reply_buf(req, node->data + offset, size);
	else
		fuse_reply_buf(req, node->data + offset, (size_t)(node->attr.st_size - offset));
	pthread_rwlock_unlock(&node->lock);
	null_forget(node, 1);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	int r = null_write(node_of(ino), data, size, (size_t)offset);

	(void)fi;
	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_write(req, size);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

/* ---- listings ---- */

struct listing {
	fuse_req_t req;
	char *buf;
	size_t size, used;
	bool plus;
};

static bool take_name(void *ctx, const char *text, struct null_node *node, uint64_t next_cookie)
{
	struct listing *l = ctx;
	struct fuse_entry_param entry;
	struct stat attr;
	bool counted = l->plus && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
	size_t need;

	null_getattr(node, &attr);
	entry = entry_of(node, &attr);
	if (!counted)
		entry.ino = 0;
	if (l->plus)
		need = fuse_add_direntry_plus(l->req, l->buf + l->used, l->size - l->used, text, &entry,
					      (off_t)next_cookie);
	else
		need = fuse_add_direntry(l->req, l->buf + l->used, l->size - l->used, text, &attr, (off_t)next_cookie);
	if (need > l->size - l->used)
		return false;
	l->used += need;
	if (counted)
		node->lookups++;
	return true;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	struct listing l = { .req = req, .buf = malloc(size), .size = size, .plus = plus };

	if (!l.buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	null_list(node_of(ino), (uint64_t)offset, take_name, &l);
	fuse_reply_buf(req, l.buf, l.used);
	free(l.buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, offset, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, offset, true);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs vfs = { .f_bsize = 4096,
				     .f_frsize = 4096,
				     .f_blocks = 1 << 28,
				     .f_bfree = 1 << 28,
				     .f_bavail = 1 << 28,
				     .f_namemax = 255 };

	(void)ino;
	fuse_reply_statfs(req, &vfs);
}

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
};

int main(int argc, char **argv)
{
	struct fuse_daemon daemon = {
		.name = "fs_null", .own_loop = true, .operations = &operations, .operations_size = sizeof(operations)
	};

	if (argc > 1 && strncmp(argv[1], "--reserve=", 10) == 0) {
		if (!null_reserve(strtoull(argv[1] + 10, NULL, 10) << 20)) {
			fprintf(stderr, "fs_null: there is not so much memory: %s MiB twice\n", argv[1] + 10);
			return 1;
		}
		argc--;
		argv++;
	}
	if (!fuse_daemon_arguments(&daemon, NULL, argc, argv))
		return 2;
	root = null_tree_new();
	return root ? fuse_daemon_run(&daemon) : 1;
}
