/* SPDX-License-Identifier: MIT */
#include "fs/session/transport.h"
#include "fs/session/internal.h"
#include "fs/session/loop.h"
#include "fs/session/protocol.h"
#include "fs/session/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* What is asked for if the kernel offers it, beyond what libfuse knows. */
#define FLAGS_WANTED ((uint32_t)FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT)

/* What libfuse takes for the size of setxattr's head, and what it is with FUSE_SETXATTR_EXT. */
#define SETXATTR_HEAD FUSE_COMPAT_SETXATTR_IN_SIZE
#define SETXATTR_HEAD_EXT sizeof(struct fuse_setxattr_in)

static _Thread_local struct request current;
/* Of an INIT: */
static _Thread_local uint64_t init_unique;
static _Thread_local uint32_t offered, offered2; /* flags of the kernel */

const struct request *transport_request(void)
{
	return &current;
}

/* The message behind its header, if it is as long as `size` bytes. */
static void *body_of(struct fuse_in_header *in, size_t size)
{
	return in->len >= sizeof(*in) + size ? in + 1 : NULL;
}

static void note_init(struct fuse_in_header *in)
{
	const struct fuse_init_in *init = body_of(in, offsetof(struct fuse_init_in, flags2));

	init_unique = in->unique;
	offered = init ? init->flags : 0;
	init = body_of(in, sizeof(*init));
	offered2 = init && offered & FUSE_INIT_EXT ? init->flags2 : 0;
}

static void note_setattr(struct fuse_in_header *in)
{
	const uint32_t no_change = FATTR_FH | FATTR_LOCKOWNER | FATTR_KILL_SUIDGID;
	const struct fuse_setattr_in *arg = body_of(in, sizeof(*arg));

	if (!arg)
		return;
	current.kill_suidgid = arg->valid & FATTR_KILL_SUIDGID;
	current.empty = !(arg->valid & ~no_change);
}

static void note_read(struct fuse_in_header *in)
{
	const struct fuse_read_in *arg = body_of(in, sizeof(*arg));

	current.no_atime = arg && arg->flags & O_NOATIME;
}

static void note_write(struct fuse_in_header *in)
{
	const struct fuse_write_in *arg = body_of(in, sizeof(*arg));

	current.kill_suidgid = arg && arg->write_flags & FUSE_WRITE_KILL_SUIDGID;
}

/* Takes the flags out of the head of a SETXATTR, which is then as libfuse knows it. Returns the new size. */
static size_t shorten_setxattr(struct session *session, struct fuse_in_header *in)
{
	struct fuse_setxattr_in *arg = body_of(in, sizeof(*arg));
	char *head = (char *)(in + 1);

	if (!atomic_load(&session->setxattr_ext) || !arg)
		return in->len;
	current.setxattr_flags = arg->setxattr_flags;
	memmove(head + SETXATTR_HEAD, head + SETXATTR_HEAD_EXT, in->len - sizeof(*in) - SETXATTR_HEAD_EXT);
	in->len -= (uint32_t)(SETXATTR_HEAD_EXT - SETXATTR_HEAD);
	return in->len;
}

/* SYNCFS asks for what FSYNC of any file does. */
static size_t syncfs_to_fsync(struct fuse_in_header *in)
{
	memset(in + 1, 0, sizeof(struct fuse_fsync_in));
	in->opcode = FUSE_FSYNC;
	in->len = sizeof(*in) + sizeof(struct fuse_fsync_in);
	return in->len;
}

/* STATX begins as GETATTR does, TMPFILE is CREATE without a name that counts; their operations look at the opcode. */
size_t transport_take(struct session *session, struct fuse_in_header *in)
{
	current = (struct request){ .opcode = in->opcode };
	switch (in->opcode) {
	case FUSE_INIT:
		note_init(in);
		break;
	case FUSE_SETATTR:
		note_setattr(in);
		break;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		note_read(in);
		break;
	case FUSE_WRITE:
		note_write(in);
		break;
	case FUSE_TMPFILE:
		in->opcode = FUSE_CREATE;
		break;
	case FUSE_SETXATTR:
		return shorten_setxattr(session, in);
	case LSMFS_FUSE_STATX:
		in->opcode = FUSE_GETATTR;
		break;
	case FUSE_SYNCFS:
		return syncfs_to_fsync(in);
	default:
		break;
	}
	return in->len;
}

static ssize_t transport_read(int fd, void *buf, size_t size, void *userdata)
{
	struct fuse_in_header *in = buf;
	ssize_t n = read(fd, buf, size);

	/* The kernel gives a request as a whole or not at all. */
	if (n >= (ssize_t)sizeof(*in) && in->len == (size_t)n)
		n = (ssize_t)transport_take(userdata, in);
	return n;
}

/* The kernel holds all requests back until the ring is there: it is promised when the threads are ready. */
static void promise_ring(struct session *session, struct fuse_init_out *out)
{
	int r;

	if (!(offered2 & PROTOCOL_OVER_IO_URING) || session->options.no_uring)
		return;
	r = ring_new(session, &session->ring);
	if (r < 0) {
		session_log(session, "no io_uring: %s; requests come by /dev/fuse", strerror(-r));
		return;
	}
	out->flags |= FUSE_INIT_EXT;
	out->flags2 |= PROTOCOL_OVER_IO_URING;
}

/* Adds to the answer of INIT what is wanted and offered. */
static void amend_init(struct session *session, struct iovec *answer)
{
	struct fuse_init_out *out = answer->iov_base;
	uint32_t added = FLAGS_WANTED & offered & ~out->flags;

	out->flags |= added;
	/* A libfuse that asks for it itself knows the longer head. */
	atomic_store(&session->setxattr_ext, (added & FUSE_SETXATTR_EXT) != 0);
	if (answer->iov_len >= offsetof(struct fuse_init_out, flags2) + sizeof(out->flags2))
		promise_ring(session, out);
}

static ssize_t answer_init(struct session *session, int fd, struct iovec *iov, int count)
{
	ssize_t n;

	amend_init(session, &iov[1]);
	n = writev(fd, iov, count);
	if (session->ring && n >= 0) {
		ring_begin(session->ring);
		loop_rest(session->loop);
	}
	return n;
}

static bool answers_init(const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;

	return current.opcode == FUSE_INIT && count == 2 && out->unique == init_unique && !out->error &&
	       iov[1].iov_len >= offsetof(struct fuse_init_out, flags) + sizeof(uint32_t);
}

static ssize_t transport_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct session *session = userdata;
	const struct fuse_out_header *out = iov[0].iov_base;

	if (session->ring && ring_answer(session->ring, out->unique, iov, count))
		return (ssize_t)out->len;
	return answers_init(iov, count) ? answer_init(session, fd, iov, count) : writev(fd, iov, count);
}

int transport_start(struct session *session)
{
	static const struct fuse_custom_io io = { .read = transport_read, .writev = transport_writev };

	return fuse_session_custom_io(session->fuse, &io, fuse_session_fd(session->fuse));
}
