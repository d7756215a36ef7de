/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_LOOP_H
#define LSMFS_LOOP_H
/*
 * loop - the threads that serve requests. One of them is the receiver. It serves what it receives itself, and looks for the
 * next request for some microseconds before it sleeps in the kernel: to wake a thread on another processor costs more
 * than most requests, and the next one mostly comes at once.
 *
 * Before it serves, it leaves receiving to another thread if more requests wait already, or if what it has to do takes
 * long by its kind and others are about. What takes long for other reasons (a cold disk, a writer that is slowed down, a lock, the kernel
 * waiting for answers of ours) the deputy notices, a thread that looks every millisecond while there is something to do.
 * So no request waits for another longer than that, however long that one takes, as long as there are threads.
 */
struct fuse_session;
struct loop;

/* `fuse` is mounted, and used until loop_free(). Negative errno. */
int loop_new(struct fuse_session *fuse, unsigned threads_max, struct loop **ret);
/*
 * Serves until the mount has gone or fuse_session_exit() was called; in that case loop_kick() is needed, too. Returns
 * when all threads have ended: 0, or a negative errno for why it could not go on.
 */
int loop_run(struct loop *loop);
/* Has the threads look up whether the session is to end; again and again, as one may just go to sleep. Any thread. */
void loop_kick(struct loop *loop);
/* From now on the receiver sleeps at once: what comes is neither frequent nor urgent. Any thread. */
void loop_rest(struct loop *loop);
void loop_free(struct loop *loop);

#endif
