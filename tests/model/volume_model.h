/* SPDX-License-Identifier: MIT */
#ifndef TESTS_VOLUME_MODEL_H
#define TESTS_VOLUME_MODEL_H
/*
 * volume_model - a file tree in plain arrays, the volume that must look like it, and the operations that are done to
 * both. Each operation predicts the volume's result from the model, and fails the test when it is another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/volume/internal.h"
#include "tests/support/rng.h"

#define NODES 96
#define NAMES 14
#define XATTRS 4
#define FILE_MAX (5u << 19) /* 2.5 MiB: some extents are split at 1 MiB */
#define NONE (-1)

struct model_node {
	bool used;
	vol_ino ino;
	uint32_t mode, uid, gid, nlink;
	uint64_t rdev;
	int parent;         /* of a directory */
	int entries[NAMES]; /* of a directory: nodes, or NONE */
	uint8_t *data;      /* of a file; the target of a symbolic link, with a NUL */
	size_t size;
	uint8_t *xattrs[XATTRS];
	size_t xattr_sizes[XATTRS];
	bool mtime_is_set;
	struct timespec mtime;
};

struct model {
	struct rng rng;
	struct volume *v;
	struct rows *mem; /* NULL: over the engine */
	char path[64];    /* of the engine's store */
	bool collide;
	uint64_t seed;
	unsigned step;
	struct model_node nodes[NODES]; /* 0 is the root */
	char names[NAMES][VOL_NAME_MAX + 1];
	uint8_t *buf;
};

#define check(m, condition)                                                                                            \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			fail_msg("LSMFS_SEED=%llu step %u: %s", (unsigned long long)(m)->seed, (m)->step, #condition); \
	} while (0)

static const struct vol_cred model_cred = { .uid = 1000, .gid = 100 };

void expect(struct model *m, const char *what, int got, int wanted);

/* ---- volume_model.c: nodes, and comparisons of them with the volume's inodes ---- */

static inline bool is_dir(const struct model_node *n)
{
	return S_ISDIR(n->mode);
}
bool want_dir(const struct model_node *n);
bool want_file(const struct model_node *n);
bool want_nameless(const struct model_node *n);
/* A random node that is wanted (NULL: any), or NONE. */
int node_pick(struct model *m, bool (*want)(const struct model_node *));
int node_unused(const struct model *m);
void node_born(struct model *m, int at, int parent, uint32_t mode, const struct vol_attr *attr);
void node_free(struct model_node *n);

void check_attr(struct model *m, const struct model_node *n, const struct vol_attr *attr);
void check_range(struct model *m, const struct model_node *n, uint64_t offset, size_t size);
void check_extents(struct model *m, const struct model_node *n, const struct vol_attr *attr);
void check_xattrs(struct model *m, const struct model_node *n);
void check_node(struct model *m, const struct model_node *n);
void check_all(struct model *m);

/* ---- volume_names.c ---- */

void op_create(struct model *m);
void op_tmpfile(struct model *m);
void op_link(struct model *m);
void op_remove(struct model *m);
void op_rename(struct model *m);
void op_reclaim(struct model *m);
void op_lookup(struct model *m);

/* ---- volume_content.c ---- */

void op_write(struct model *m);
void op_append_many(struct model *m);
void op_fill_hole(struct model *m);
void op_read(struct model *m);
void op_truncate(struct model *m);
void op_fallocate(struct model *m);
void op_seek(struct model *m);
void op_setattr(struct model *m);
void op_setxattr(struct model *m);
void op_removexattr(struct model *m);

#endif
