/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_CRASH_MODEL_H
#define LSMFS_CRASH_MODEL_H
/*
 * crash_model - what a directory tree must look like after a list of operations, and whether one on disk does. An
 * operation is a line of text, so that the writer's log is its own description; contents are made from seeds.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind {
	OP_CREATE,   /* a: an empty file that is not there */
	OP_WRITE,    /* a, offset, size, seed: one pwrite */
	OP_APPEND,   /* a, size, seed: one write at the end */
	OP_TRUNCATE, /* a, size */
	OP_RENAME,   /* a to b, which may be there */
	OP_LINK,     /* a also as b */
	OP_UNLINK,   /* a */
	OP_MKDIR,    /* a */
	OP_RMDIR,    /* a */
	OP_FSYNC,    /* a: changes nothing */
	OP_KINDS,
};

#define CRASH_PATH_BYTES 96
#define CRASH_FILE_BYTES_MAX (256u << 10)
#define CRASH_ENTRIES_MAX 400

struct op {
	enum op_kind kind;
	char a[CRASH_PATH_BYTES], b[CRASH_PATH_BYTES];
	uint64_t offset, size, seed;
};

/* "kind a b offset size seed", without a line end; "-" for no path. */
void op_print(const struct op *op, char *buf, size_t size);
bool op_parse(const char *line, struct op *ret);
/* The bytes of a write. */
void op_bytes(uint64_t seed, unsigned char *buf, size_t size);

struct file;
struct entry {
	char path[CRASH_PATH_BYTES];
	struct file *file; /* NULL: a directory */
};

struct model {
	struct entry entries[CRASH_ENTRIES_MAX];
	size_t n;
};

struct file {
	unsigned links;
	size_t size;
	unsigned char *bytes; /* CRASH_FILE_BYTES_MAX of them, zero behind size */
};

struct entry *model_find(struct model *m, const char *path);
bool model_dir_is_empty(const struct model *m, const char *path);
/* Does to the model what the operation does to a tree; false if it could not have succeeded. */
bool model_apply(struct model *m, const struct op *op);
struct model *model_new(void);
struct model *model_copy(const struct model *m);
void model_free(struct model *m);
/* Compares the tree below the current directory with the model; the first difference goes to `why`. */
bool model_matches(struct model *m, char *why, size_t why_size);

#endif
