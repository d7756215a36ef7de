/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_SESSION_H
#define LSMFS_SESSION_H
/*
 * session - a volume mounted by FUSE: the kernel's requests become volume calls, many at a time.
 *
 * We are the only writer of the volume, so the kernel may keep what it was told without expiry; what it can't know by
 * itself it is told. Life: session_new, session_mount, session_run (returns when unmounted), session_free.
 */
#include <stdbool.h>

struct volume;
struct session;

struct session_options {
	const char *fuse_options; /* for libfuse and the kernel: "fsname=…,subtype=…,ro,allow_other …" */
	bool sync_data;           /* every write is durable when it returns */
	bool sync_names;          /* every create, rename, unlink … is durable when it returns */
	bool no_uring;            /* requests come by /dev/fuse, even where the kernel offers io_uring */
	bool writeback;           /* the kernel keeps what is written for a while; a crash of the process loses it */
	bool no_acl;              /* rights are what the modes say; nobody sees or sets an access control list */
	/* One line for each event worth telling. Called from any thread. */
	void (*log)(void *ctx, const char *line);
	/* Called once, from a thread of the session, when the mount answers. */
	void (*on_ready)(void *ctx);
	void *ctx;
};

/* The volume is used until session_free(), and stays the caller's. `options` is copied, its strings are not kept.
 * -EINVAL: libfuse refused an option. -ENOMEM. */
int session_new(struct volume *volume, const struct session_options *options, struct session **ret);

/* Mounts at `dir`, an absolute path. Starts no thread. -EIO: libfuse or fusermount3 said why through the log. */
int session_mount(struct session *session, const char *dir);

/*
 * Serves requests until the mount is unmounted, or SIGTERM, SIGINT or SIGHUP asks to unmount. Blocks these signals for
 * the process. 0: unmounted in order.
 */
int session_run(struct session *session);

/* Unmounts if need be and reclaims the files that lost their name while open. NULL is accepted. */
void session_free(struct session *session);

#endif
