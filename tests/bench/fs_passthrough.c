/* SPDX-License-Identifier: MIT */
/*
 * fs_passthrough [--loop=own|libfuse] SOURCE DIR - shows the directory SOURCE at DIR through FUSE, as such file systems
 * are mostly written: a descriptor (O_PATH) for each inode that the kernel knows, libfuse's own loop. Nobody else may
 * change SOURCE meanwhile, so that the kernel may keep what it was told. What is made belongs to whoever runs this.
 */
#include "tests/bench/fuse_daemon.h"
#include "tests/bench/passthrough_nodes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct pt_node *root;

static struct pt_node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? root : (struct pt_node *)(uintptr_t)ino; // NOLINT
}

static int fd_of(fuse_ino_t ino)
{
	return node_of(ino)->fd;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	fuse_daemon_init(conn);
}

static void reply_done(fuse_req_t req, int r)
{
	fuse_reply_err(req, r < 0 ? errno : 0);
}

/* ---- names ---- */

/* Counts a look-up. A positive errno. */
static int look_up(fuse_ino_t parent, const char *name, struct fuse_entry_param *ret)
{
	struct pt_node *node;
	int r;

	*ret = (struct fuse_entry_param){ .attr_timeout = CACHE_SECONDS, .entry_timeout = CACHE_SECONDS };
	r = pt_find(fd_of(parent), name, &node, &ret->attr);
	if (!r)
		ret->ino = (fuse_ino_t)(uintptr_t)node;
	return r;
}

static void reply_name(fuse_req_t req, fuse_ino_t parent, const char *name, bool is_new)
{
	struct fuse_entry_param entry;
	int r = look_up(parent, name, &entry);

	if (r == ENOENT && !is_new)
		fuse_reply_entry(req, &entry);
	else if (r)
		fuse_reply_err(req, r);
	else if (fuse_reply_entry(req, &entry) == -ENOENT)
		pt_forget(node_of(entry.ino), 1);
}

static void reply_made(fuse_req_t req, int r, fuse_ino_t parent, const char *name)
{
	if (r < 0)
		fuse_reply_err(req, errno);
	else
		reply_name(req, parent, name, true);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_name(req, parent, name, false);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	pt_forget(node_of(ino), n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		pt_forget(node_of(forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	reply_made(req, mknodat(fd_of(parent), name, mode, rdev), parent, name);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	reply_made(req, mkdirat(fd_of(parent), name, mode), parent, name);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	reply_made(req, symlinkat(target, fd_of(parent), name), parent, name);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct pt_path path = pt_path(fd_of(ino));

	reply_made(req, linkat(AT_FDCWD, path.text, fd_of(parent), name, AT_SYMLINK_FOLLOW), parent, name);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4096];
	ssize_t n = readlinkat(fd_of(ino), "", target, sizeof(target) - 1);

	if (n < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	target[n] = 0;
	fuse_reply_readlink(req, target);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_done(req, unlinkat(fd_of(parent), name, 0));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_done(req, unlinkat(fd_of(parent), name, AT_REMOVEDIR));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		      unsigned flags)
{
	reply_done(req, renameat2(fd_of(parent), name, fd_of(new_parent), new_name, flags));
}

/* ---- attributes ---- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat attr;

	(void)fi;
	if (fstatat(fd_of(ino), "", &attr, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_attr(req, &attr, CACHE_SECONDS);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	if (pt_set_attr(fd_of(ino), st, to_set) < 0)
		fuse_reply_err(req, errno);
	else
		op_getattr(req, ino, fi);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs vfs;

	if (fstatvfs(fd_of(ino), &vfs) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &vfs);
}

/* ---- content; a file's handle is a descriptor ---- */

static int handle_of(const struct fuse_file_info *fi)
{
	return (int)fi->fh;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct pt_path path = pt_path(fd_of(ino));
	int fd = open(path.text, (fi->flags & ~(O_NOFOLLOW | O_APPEND)) | O_CLOEXEC);

	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	fi->fh = (uint64_t)fd;
	fi->keep_cache = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;
	int fd = openat(fd_of(parent), name, ((fi->flags | O_CREAT) & ~(O_NOFOLLOW | O_APPEND)) | O_CLOEXEC, mode);
	int r = fd < 0 ? errno : look_up(parent, name, &entry);

	if (r) {
		if (fd >= 0)
			close(fd);
		fuse_reply_err(req, r);
		return;
	}
	fi->fh = (uint64_t)fd;
	fi->keep_cache = 1;
	fi->noflush = 1;
	if (fuse_reply_create(req, &entry, fi) == -ENOENT) {
		pt_forget(node_of(entry.ino), 1);
		close(fd);
	}
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close(handle_of(fi));
	fuse_reply_err(req, 0);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct fuse_bufvec from = FUSE_BUFVEC_INIT(size);

	(void)ino;
	from.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	from.buf[0].fd = handle_of(fi);
	from.buf[0].pos = offset;
	fuse_reply_data(req, &from, 0);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	ssize_t n = pwrite(handle_of(fi), data, size, offset);

	(void)ino;
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	reply_done(req, datasync ? fdatasync(handle_of(fi)) : fsync(handle_of(fi)));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi)
{
	(void)ino;
	reply_done(req, fallocate(handle_of(fi), mode, offset, length));
}

/* ---- listings; a directory's handle is a stream ---- */

static DIR *stream_of(const struct fuse_file_info *fi)
{
	return (DIR *)(uintptr_t)fi->fh; // NOLINT
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int fd = openat(fd_of(ino), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		fuse_reply_err(req, errno);
		if (fd >= 0)
			close(fd);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)dir;
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	closedir(stream_of(fi));
	fuse_reply_err(req, 0);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	reply_done(req, fsync(dirfd(stream_of(fi))));
}

/* What it takes in the answer; more than `left` if it has no place. */
static size_t add(fuse_req_t req, fuse_ino_t ino, const struct dirent *d, char *at, size_t left, bool plus)
{
	struct fuse_entry_param entry = { .attr = { .st_ino = d->d_ino, .st_mode = (mode_t)DTTOIF(d->d_type) } };
	bool dots = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0;
	size_t need;

	if (!plus)
		return fuse_add_direntry(req, at, left, d->d_name, &entry.attr, d->d_off);
	/* What is gone meanwhile is listed without attributes. */
	if (!dots && look_up(ino, d->d_name, &entry))
		entry.ino = 0;
	need = fuse_add_direntry_plus(req, at, left, d->d_name, &entry, d->d_off);
	if (need > left && entry.ino)
		pt_forget(node_of(entry.ino), 1);
	return need;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, DIR *dir, bool plus)
{
	char *buf = malloc(size);
	size_t used = 0, need;
	struct dirent *d;

	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (telldir(dir) != offset)
		seekdir(dir, offset);
	while ((d = readdir(dir))) {
		need = add(req, ino, d, buf + used, size - used, plus);
		if (need > size - used)
			break;
		used += need;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	list(req, ino, size, offset, stream_of(fi), false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	list(req, ino, size, offset, stream_of(fi), true);
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
	.create = op_create,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.opendir = op_opendir,
	.releasedir = op_releasedir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
};

int main(int argc, char **argv)
{
	struct fuse_daemon daemon = { .name = "fs_passthrough",
				      .operations = &operations,
				      .operations_size = sizeof(operations) };
	const char *source;

	if (!fuse_daemon_arguments(&daemon, &source, argc, argv))
		return 2;
	root = pt_root(source);
	if (!root) {
		fprintf(stderr, "fs_passthrough: %s: %s\n", source, strerror(errno));
		return 1;
	}
	umask(0); /* the kernel has applied the caller's */
	return fuse_daemon_run(&daemon);
}
