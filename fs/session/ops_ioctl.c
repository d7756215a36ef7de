/* SPDX-License-Identifier: MIT */
/* The requests of chattr(1), lsattr(1) and their like; and that of lsmfs check. */
#include "fs/session/internal.h"
#include "fs/session/ioctl.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>

static const struct {
	uint32_t flag;  /* of FS_IOC_GETFLAGS */
	uint32_t xflag; /* of FS_IOC_FSGETXATTR */
	uint32_t vol;
} known[] = {
	{ FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE, VOL_FLAG_IMMUTABLE },
	{ FS_APPEND_FL, FS_XFLAG_APPEND, VOL_FLAG_APPEND },
	{ FS_NODUMP_FL, FS_XFLAG_NODUMP, VOL_FLAG_NODUMP },
	{ FS_NOATIME_FL, FS_XFLAG_NOATIME, VOL_FLAG_NOATIME },
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static void get_attributes(fuse_req_t req, vol_ino ino, unsigned cmd)
{
	struct fsxattr xattr = { 0 };
	struct vol_attr attr;
	uint32_t flags = 0;
	int r = volume_getattr(session_of(req)->volume, ino, &attr);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (attr.flags & known[i].vol) {
			flags |= known[i].flag;
			xattr.fsx_xflags |= known[i].xflag;
		}
	}
	if (cmd == FS_IOC_FSGETXATTR)
		fuse_reply_ioctl(req, 0, &xattr, sizeof(xattr));
	else if (cmd == FS_IOC_GETVERSION)
		fuse_reply_ioctl(req, 0, &attr.generation, sizeof(attr.generation));
	else
		fuse_reply_ioctl(req, 0, &flags, sizeof(flags));
}

/* -EOPNOTSUPP: there is a flag, or something else, that is not kept. */
static int take_flags(const uint32_t *flags, uint32_t *ret)
{
	uint32_t left = *flags, vol = 0;

	for (size_t i = 0; i < N_KNOWN; i++) {
		if (left & known[i].flag)
			vol |= known[i].vol;
		left &= ~known[i].flag;
	}
	*ret = vol;
	return left ? -EOPNOTSUPP : 0;
}

static int take_xattr(const struct fsxattr *xattr, uint32_t *ret)
{
	uint32_t left = xattr->fsx_xflags, vol = 0;

	for (size_t i = 0; i < N_KNOWN; i++) {
		if (left & known[i].xflag)
			vol |= known[i].vol;
		left &= ~known[i].xflag;
	}
	*ret = vol;
	return left || xattr->fsx_extsize || xattr->fsx_cowextsize || xattr->fsx_projid ? -EOPNOTSUPP : 0;
}

/* Who asks is the file's owner and has CAP_LINUX_IMMUTABLE if it needs to: the kernel has checked it. */
static void set_attributes(fuse_req_t req, vol_ino ino, unsigned cmd, const void *in, size_t in_size)
{
	struct session *session = session_of(req);
	uint32_t flags = 0;
	int r = -EINVAL;

	if (cmd == FS_IOC_SETFLAGS && in_size >= sizeof(uint32_t))
		r = take_flags(in, &flags);
	else if (cmd == FS_IOC_FSSETXATTR && in_size >= sizeof(struct fsxattr))
		r = take_xattr(in, &flags);
	if (!r)
		r = volume_set_flags(session->volume, ino, flags);
	if (!r && session->options.sync_data)
		r = volume_sync(session->volume);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	/* The time of change is another one now, of which the kernel doesn't think. */
	fuse_lowlevel_notify_inval_inode(session->fuse, node_of_ino(ino), -1, 0);
	fuse_reply_ioctl(req, 0, NULL, 0);
}

/* It makes files outside of the mount, with our rights: so only for those who have them anyway. */
static void make_checkpoint(fuse_req_t req, vol_ino ino, const void *in, size_t in_size)
{
	const struct lsmfs_checkpoint *c = in;
	struct session *session = session_of(req);
	uid_t uid = fuse_req_ctx(req)->uid;
	int r;

	if (uid != 0 && uid != geteuid())
		r = -EPERM;
	else if (ino != VOL_ROOT || in_size < sizeof(*c) || c->path[0] != '/' || !memchr(c->path, 0, sizeof(c->path)))
		r = -EINVAL;
	else
		r = volume_checkpoint(session->volume, c->path);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_ioctl(req, 0, NULL, 0);
}

/*
 * The kernel reads the arguments of these calls itself, checks who asks, and passes them on without an address. One that
 * comes with an address has not been checked: so did kernels before 5.13.
 */
void op_ioctl(fuse_req_t req, fuse_ino_t node, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
	      const void *in, size_t in_size, size_t out_size)
{
	vol_ino ino = ino_of_node(node);

	(void)fi, (void)flags, (void)out_size;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC_FSGETXATTR:
	case FS_IOC_GETVERSION:
		get_attributes(req, ino, cmd);
		break;
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		if (!arg) {
			set_attributes(req, ino, cmd, in, in_size);
			break;
		}
		/* fallthrough */
	default:
		fuse_reply_err(req, ENOTTY);
		break;
	case LSMFS_IOC_CHECKPOINT:
		make_checkpoint(req, ino, in, in_size);
		break;
	}
}
