/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_VOLUME_TREE_H
#define TESTS_SIM_VOLUME_TREE_H
/*
 * volume_tree - a small file tree in plain arrays, beside the volume that must look like it. A copy of the struct is a copy of the
 * tree: what a file holds is never changed in place.
 */
#include "fs/volume/volume.h"
#include "tests/sim/sim.h"

enum { TREE_NODES = 24, TREE_NAMES = 7, TREE_FILE_MAX = 150000, NONE = -1 };

struct tree_node {
	uint32_t type; /* S_IFDIR, S_IFREG or S_IFLNK; 0: unused */
	vol_ino ino;
	int parent;              /* of a directory */
	int entries[TREE_NAMES]; /* of a directory: nodes, or NONE */
	const uint8_t *data;     /* of a file, and the target of a link */
	size_t size;
	uint64_t data_hash;
	unsigned links;
};

struct tree {
	struct tree_node nodes[TREE_NODES]; /* 0 is the root */
};

const char *tree_name(unsigned i);
void tree_new(struct tree *t);
/* Adds an object without a name; NONE: no room. */
int tree_add(struct tree *t, uint32_t type);
/* Gives a directory's entry to a node, or to NONE. A node without a name any more is gone, if it isn't a directory with entries. */
void tree_link(struct tree *t, int dir, unsigned name, int node);
void tree_unlink(struct tree *t, int dir, unsigned name);
/* The bytes become the file's; they are malloc'd and stay. */
void tree_set_data(struct tree *t, int node, uint8_t *data, size_t size);
bool tree_is_empty(const struct tree *t, int dir);
/* Does `dir` lie in `above`, or is it that? */
bool tree_lies_in(const struct tree *t, int dir, int above);

/* Of all that can be seen but inode numbers and times. */
uint64_t tree_hash(const struct tree *t);
void tree_print(const struct tree *t);

/* The volume as it is; fails where its rules are broken. */
void tree_read(struct tree *t, struct volume *v);

#endif
