/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_MOMENT_H
#define LSMFS_MOMENT_H
/* moment - a mounted store as it is now, as a store of its own beside it, for as long as a verb looks at it. */
struct moment {
	char *path; /* "STORE.check" */
};

/* 1: it was made by the process behind the mount; 0: the store isn't mounted; negative errno, of which has been complained. */
int moment_take(const char *store, struct moment *ret);
/* Removes it. 0 or a negative errno, of which has been complained. */
int moment_done(struct moment *m);

#endif
