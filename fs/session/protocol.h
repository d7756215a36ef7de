/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_PROTOCOL_H
#define LSMFS_PROTOCOL_H
/*
 * protocol - the messages of the kernel, and those of them that an older <linux/fuse.h> doesn't know. What is declared
 * here is the kernel's interface (7.39 and later) and may not change.
 */
#include <linux/fuse.h>

#define LSMFS_FUSE_STATX 52

struct protocol_statx_in {
	uint32_t getattr_flags, reserved;
	uint64_t fh;
	uint32_t sx_flags, sx_mask;
};

struct protocol_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct protocol_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare0;
	uint64_t ino, size, blocks, attributes_mask;
	struct protocol_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare2[14];
};

struct protocol_statx_out {
	uint64_t attr_valid; /* cache timeout */
	uint32_t attr_valid_nsec, flags;
	uint64_t spare[2];
	struct protocol_statx stat;
};

_Static_assert(sizeof(struct protocol_statx_in) == 24, "as the kernel has it");
_Static_assert(sizeof(struct protocol_statx) == 256, "as the kernel has it");
_Static_assert(sizeof(struct protocol_statx_out) == 288, "as the kernel has it");

#endif
