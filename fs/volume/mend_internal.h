/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_MEND_INTERNAL_H
#define LSMFS_MEND_INTERNAL_H
/* What the parts of volume_mend() share. */
#include "fs/volume/check.h"
#include "fs/volume/internal.h"
#include "fs/volume/mend.h"

struct mending {
	struct volume *v;
	const struct volume_mend_options *options;
	vol_ino lost; /* the directory lost+found; 0: not yet */
	uint64_t finds, done;
};

/* ---- mend.c ---- */

/* Puts one row, or deletes it when the value is empty. */
int mend_commit_one(struct mending *m, struct row_key key, struct row_key value);

/* ---- mend_names.c ---- */

/* The entry that a find tells of goes, or with `type` (S_IFMT bits) gets that type. */
int mend_edit_entry(struct mending *m, const struct volume_find *f, uint32_t type);
/* Removes the entry of `ino` from `dir`, under whatever name. */
int mend_cut_off(struct mending *m, vol_ino dir, vol_ino ino);
/* Gives an inode a name in the volume's lost+found, which is made if need be. */
int mend_adopt(struct mending *m, vol_ino ino);

#endif
