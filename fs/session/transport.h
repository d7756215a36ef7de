/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_TRANSPORT_H
#define LSMFS_TRANSPORT_H
/*
 * transport - what passes between the kernel and libfuse, seen on its way. The kernel offers more than libfuse 3.14
 * knows: here flags are added to the answer of INIT, requests that libfuse doesn't know become such as it knows, and
 * what it drops of a request is kept until the request's operation asks for it.
 *
 * libfuse reads a request and calls its operation in one thread; so all that is said of "the request" is said of the one
 * that the calling thread works on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuse_in_header;
struct session;

/* Makes a request that the calling thread got one that libfuse knows. Returns its size. */
size_t transport_take(struct session *session, struct fuse_in_header *in);

/* Between the mount and the first request. -errno. */
int transport_start(struct session *session);

struct request {
	uint32_t opcode; /* as the kernel sent it */
	/* WRITE, SETATTR: set-uid and set-gid bits fall. (OPEN and CREATE have such a flag, too; but they truncate
	 * nothing here: that is a SETATTR of its own.) */
	bool kill_suidgid;
	bool empty;              /* SETATTR: nothing is to be set */
	bool no_atime;           /* READ, READDIR, READDIRPLUS: of a file that was opened with O_NOATIME */
	uint32_t setxattr_flags; /* FUSE_SETXATTR_… of linux/fuse.h; 0 where the kernel doesn't tell */
};

/* Never NULL; valid until the thread reads the next one. */
const struct request *transport_request(void);

#endif
