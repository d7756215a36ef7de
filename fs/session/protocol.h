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

/* FUSE over io_uring (7.42). The second half of `flags` of INIT: */
#define PROTOCOL_OVER_IO_URING (1u << (41 - 32))

enum { PROTOCOL_RING_REGISTER = 1, PROTOCOL_RING_COMMIT_AND_FETCH = 2 }; /* commands */

/* What goes with a command. */
struct protocol_ring_command {
	uint64_t flags, commit_id;
	uint16_t qid;
	uint8_t padding[6];
};

struct protocol_ring_header {
	char in_out[128]; /* struct fuse_in_header, or fuse_out_header */
	char op_in[128];  /* the operation's own header */
	struct {
		uint64_t flags, commit_id;
		uint32_t payload_size, padding;
		uint64_t reserved;
	} entry;
};

_Static_assert(sizeof(struct protocol_ring_command) == 24, "as the kernel has it");
_Static_assert(sizeof(struct protocol_ring_header) == 288, "as the kernel has it");
_Static_assert(sizeof(struct protocol_statx_in) == 24, "as the kernel has it");
_Static_assert(sizeof(struct protocol_statx) == 256, "as the kernel has it");
_Static_assert(sizeof(struct protocol_statx_out) == 288, "as the kernel has it");

#endif
