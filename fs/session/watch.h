/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_WATCH_H
#define LSMFS_WATCH_H
/*
 * watch - the session's own thread beside those that serve requests: it finds out when the mount answers, and unmounts
 * it when a signal asks for that. It may use the mount like any other process, which a serving thread must not.
 */
struct session;
struct watch;

/* Blocks SIGTERM, SIGINT, SIGHUP in the calling thread and starts the watch. Negative errno. */
int watch_start(struct session *session, struct watch **ret);
/* The loop has ended: ends the thread. */
void watch_stop(struct watch *watch);

#endif
