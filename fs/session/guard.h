/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_GUARD_H
#define LSMFS_GUARD_H
/*
 * guard - a process beside the daemon for the day on which the daemon is killed.
 *
 * When a daemon dies, the kernel aborts its connection as the daemon's last descriptor of it closes: calls on the mount
 * fail then, and the store is free for the next mount. But a thread of the daemon may just be in the kernel to have it
 * drop pages (pages.c), and wait there, uninterruptibly, for an answer that only another of its threads could give. With
 * these dead it would hold the descriptor, the mount and the store's lock for ever. The guard sees that, and aborts the
 * connection. It is this program, executed anew: a forked one would keep the engine's mappings and deleted files.
 */
#include <sys/types.h>

/* The word in place of a verb that makes the program a guard. */
#define GUARD_WORD "--guard"

/*
 * Starts the guard of this process's mount `device` at `dir`. It watches the thread that calls: this one ends it by
 * guard_stop(), or dies. Negative errno; ret_pid is to be given to guard_stop() then, too.
 */
int guard_start(const char *dir, dev_t device, pid_t *ret_pid);
void guard_stop(pid_t pid);

/* The guard: argv is GUARD_WORD and what guard_start() put behind it. Returns the exit code. */
int guard_main(int argc, char **argv);

#endif
