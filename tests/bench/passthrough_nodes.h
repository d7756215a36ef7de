/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_PASSTHROUGH_NODES_H
#define TESTS_BENCH_PASSTHROUGH_NODES_H
/* passthrough_nodes - the inodes that the kernel knows of fs_passthrough, each with a descriptor. Any thread. */
#include <stdint.h>
#include <sys/stat.h>

struct pt_node {
	int fd; /* O_PATH */

	/* under a lock: */
	dev_t dev;
	ino_t ino;
	uint64_t lookups;
	struct pt_node *next;
};

/* Also allows as many descriptors as may be had. NULL: errno says why. */
struct pt_node *pt_root(const char *dir);
/* The node behind a name, with one more look-up. A positive errno. */
int pt_find(int dir, const char *name, struct pt_node **ret, struct stat *ret_attr);
void pt_forget(struct pt_node *node, uint64_t n);

/* The way to it for calls that take no O_PATH descriptor. */
struct pt_path {
	char text[32];
};
struct pt_path pt_path(int fd);

/* Those of FUSE's FUSE_SET_ATTR_… Negative: errno says why. */
int pt_set_attr(int fd, const struct stat *st, int to_set);

#endif
