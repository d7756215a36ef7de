/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_MEND_H
#define LSMFS_MEND_H
/* mend - makes rows a volume again in which volume_check() finds nothing, and throws nothing away. */
#include "fs/volume/rows.h"

struct volume_mend_options {
	bool plan_only; /* tell what would be done, and change nothing */
	/* Called with each find and what is done about it. A non-zero code ends the mending and is returned. */
	int (*step)(void *ctx, const char *path, const char *find, const char *mend);
	/* A row that is taken out. It is deleted when this returns 0. */
	int (*keep)(void *ctx, struct row_key key, struct row_key value);
	void *ctx;
};

struct volume_mended {
	uint64_t finds, left; /* what was found at first, and at last */
};

/*
 * Rows must be readable: the store's own damage is mended before. Inodes without a way to the root get a name in the directory
 * /lost+found of the volume. Rows that mean nothing, or break what is around them, are kept by `keep` and deleted. Takes
 * over the rows, also on failure. -EUCLEAN: there is no superblock, or one of a later version, and nothing was done.
 */
int volume_mend(struct rows *rows, const struct volume_mend_options *options, struct volume_mended *ret);

#endif
