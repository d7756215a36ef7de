/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_SESSION_INTERNAL_H
#define LSMFS_SESSION_INTERNAL_H
/*
 * What the files of the session share. A node id of FUSE is the volume's inode number, the root excepted; nothing is
 * kept for an open file, so a handle is always 0.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <fuse_lowlevel.h>

#include "fs/session/inode_table.h"
#include "fs/session/session.h"
#include "fs/session/transport.h"
#include "fs/volume/volume.h"

#include <pthread.h>
#include <stdatomic.h>

struct loop;
struct pages;
struct ring;

/* The most content in a request or an answer. */
#define WRITE_SIZE_MAX (1u << 20)

struct session {
	struct volume *volume;
	struct inode_table *inodes;
	struct session_options options; /* fuse_options is NULL here */
	struct fuse_session *fuse;
	char *dir;                /* where it is mounted; NULL: nowhere */
	bool no_open, no_opendir; /* the kernel can do without OPEN and RELEASE; set by INIT */
	atomic_bool setxattr_ext; /* SETXATTR has a longer head than libfuse knows; set by INIT */
	struct loop *loop;        /* from session_run() on */
	struct ring *ring;        /* from INIT on; NULL: all goes by /dev/fuse */
	atomic_bool ended;        /* the loop has returned */
	struct pages *pages;      /* while the session runs */
};

/* attr.c */
vol_ino ino_of_node(fuse_ino_t node);
fuse_ino_t node_of_ino(vol_ino ino);
void attr_to_stat(const struct vol_attr *attr, struct stat *ret);
/* With the time of birth, for which STATX asks. */
struct protocol_statx_out;
void attr_to_statx(const struct vol_attr *attr, struct protocol_statx_out *ret);
void attr_to_entry(const struct vol_attr *attr, struct fuse_entry_param *ret);
/* For all that the kernel may keep for as long as it likes. */
#define CACHE_SECONDS (10.0 * 365 * 24 * 3600)

/* reply.c */
struct session *session_of(fuse_req_t req);
/* Answers with the inode that a look-up found or an operation made, and counts the look-up. `epoch` is the inode
 * table's from before the volume was asked. */
void reply_inode(fuse_req_t req, uint64_t epoch, const struct vol_attr *attr);
/* Answers CREATE with a new file that has no name (O_TMPFILE), and counts the look-up. */
void reply_nameless(fuse_req_t req, const struct vol_attr *attr, const struct fuse_file_info *fi);
/* The answer of an operation that has nothing to tell but success. */
void reply_done(fuse_req_t req, int r);
/* The same for one that changed names: makes it durable first if the mount asks for that. */
int names_changed(struct session *session, int r);
/* `gone` has lost its last name: reclaims it, now or when the kernel forgets it. */
void inode_gone(struct session *session, const struct vol_gone *gone);
/* Takes `n` look-ups back. */
void inode_unref(struct session *session, vol_ino ino, uint64_t n);
void session_log(const struct session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `size` bytes of the calling thread's own memory, valid until its next call; NULL: no memory. */
void *scratch_buffer(size_t size);
/* The same for the content of the answer; it is not copied once more if it comes by a ring. */
void *answer_buffer(fuse_req_t req, size_t size);

/* caller.c: false, too, when it can't be found out */
bool caller_is_in_group(fuse_req_t req, gid_t gid);
/* Whether who sent the request may give an object of group `gid` the set-gid bit: is in the group, or has CAP_FSETID. */
bool caller_may_set_gid(fuse_req_t req, gid_t gid);

/* ops_name.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_readlink(fuse_req_t req, fuse_ino_t node);
void op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
	       unsigned flags);

/* ops_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t node, struct stat *st, int to_set, struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t node);
void op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name, const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name);

/* ops_file.c */
void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t node, const char *data, size_t size, off_t offset, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t node, int mode, off_t offset, off_t length, struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t node_in, off_t offset_in, struct fuse_file_info *fi_in,
			fuse_ino_t node_out, off_t offset_out, struct fuse_file_info *fi_out, size_t size, int flags);

/* ops_ioctl.c */
void op_ioctl(fuse_req_t req, fuse_ino_t node, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
	      const void *in, size_t in_size, size_t out_size);

/* pages.c */
/* So many of the threads that serve requests may wait until the kernel gives up pages. */
#define PAGES_SERVING_MAX 8
void op_lseek(fuse_req_t req, fuse_ino_t node, off_t offset, int whence, struct fuse_file_info *fi);
/* Has the kernel send what it gathers of the file, for its size may be behind the one that we know. -EAGAIN: too many at
 * once. */
int pages_learn_size(struct session *session, fuse_ino_t node);
/* The answer to a direct write that is done. */
void reply_written_direct(fuse_req_t req, fuse_ino_t node, off_t offset, size_t size);
/* The thread for those beyond PAGES_SERVING_MAX. Negative errno. */
int pages_start(struct session *session);
/* The mount has gone: answers what waits yet and ends the thread. Harmless if it was not started. */
void pages_stop(struct session *session);

/* ops_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi);

#endif
