/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_UNMOUNT_H
#define LSMFS_UNMOUNT_H
/* unmount - takes a mount away: by the kernel's call as root, by fusermount3 as another user. Negative errnos. */

/* -EBUSY: somebody uses it. */
int unmount_plainly(const char *dir);
/* Out of sight at once; it ends when nobody uses it any more. */
int unmount_lazily(const char *dir);
/* Ends the connection with the daemon first: calls under way fail, what was not written out is lost. Only root can. */
int unmount_by_force(const char *dir);

#endif
