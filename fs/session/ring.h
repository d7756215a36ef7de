/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_RING_H
#define LSMFS_RING_H
/*
 * ring - requests by io_uring (Linux 6.14 and later, if /sys/module/fuse/parameters/enable_uring says Y; see
 * Documentation/filesystems/fuse/fuse-io-uring.rst of the kernel). The kernel has a queue for each processor, and puts a
 * request into that of the processor on which it was made: a thread that is bound there serves it, and no other
 * processor has to be woken, which costs more than most requests. Answer and next request are one system call.
 *
 * Each thread has a ring of its own with one place in its queue. The kernel gives a request to the place that became
 * free last, so one busy client is served by one thread; and whatever a thread waits for, the others of its queue go on.
 * Forgets, interrupts and what we tell the kernel go by /dev/fuse as ever.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct session;
struct ring;

/* Starts the threads, which wait for ring_begin(). Negative errno: -ENOSYS where the build or the kernel has no such
 * thing, -E2BIG for too many processors; nothing has happened then. */
int ring_new(struct session *session, struct ring **ret);
/* The kernel has been told of the ring: requests can come. */
void ring_begin(struct ring *ring);
/* Whether requests come this way. */
bool ring_serves(const struct ring *ring);
/* Answers the request `unique`, if it came by the ring; false: it didn't. Any thread. */
bool ring_answer(struct ring *ring, uint64_t unique, const struct iovec *iov, int count);
/* Where the answer to the calling thread's request is going to be, for at most `size` bytes: an answer that lies there is
 * not copied. NULL: the request didn't come by a ring, or has content of its own there. */
void *ring_answer_space(struct ring *ring, uint64_t size);
/* Ends the threads; the mount has gone or the loop under it has ended. NULL is accepted. */
void ring_free(struct ring *ring);

#endif
