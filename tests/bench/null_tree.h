/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_NULL_TREE_H
#define TESTS_BENCH_NULL_TREE_H
/*
 * null_tree - the files of fs_null: names, attributes and contents in memory.
 *
 * The tree has one lock, taken for each change and look-up of a name; a node has its own for attributes and content.
 * A node lives as long as it has a name or the kernel knows it. All functions may be called from any thread. Errors are
 * positive errnos, as FUSE's answers have them.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct null_name;

struct null_node {
	pthread_rwlock_t lock; /* for what follows up to the empty line */
	struct stat attr;
	char *data; /* content, or a link's target with its zero */
	size_t capacity;

	/* under the tree's lock: */
	uint64_t lookups;
	struct null_node *parent; /* of a directory */
	struct null_name **slots; /* a directory's names by cookie - 1; NULL where one was removed */
	size_t slots_n, slots_max, names_n;
};

struct null_name {
	struct null_node *dir, *node;
	struct null_name *next; /* in the hash table */
	size_t slot;
	uint64_t hash;
	char text[];
};

/* The root has the caller as its owner. NULL: no memory. */
struct null_node *null_tree_new(void);

/* Those that find or make a node count a look-up of it, and hand out its attributes. */
int null_lookup(struct null_node *dir, const char *text, struct null_node **ret, struct stat *ret_attr);
/* `attr` has mode, owner and device; `target` a symbolic link's, else NULL. */
int null_make(struct null_node *dir, const char *text, const struct stat *attr, const char *target,
	      struct null_node **ret, struct stat *ret_attr);
int null_link(struct null_node *node, struct null_node *dir, const char *text, struct stat *ret_attr);
int null_remove(struct null_node *dir, const char *text, bool is_dir);
/* `replace`: what is there goes. */
int null_rename(struct null_node *from, const char *text, struct null_node *to, const char *new_text, bool replace);
void null_forget(struct null_node *node, uint64_t n);
/* A look-up more, of a node that somebody knows. */
void null_hold(struct null_node *node);

void null_getattr(struct null_node *node, struct stat *ret);
/* Makes room, and zeros behind the present end. */
int null_resize(struct null_node *node, size_t size);
int null_write(struct null_node *node, const char *data, size_t size, size_t offset);

/* For null_tree.c. */
void null_free_content(struct null_node *node);
/* The time as all of it takes it. */
struct timespec null_now(void);

/* Sets memory for NULL_SPARES contents of so many bytes aside, before anything is served. false: there isn't so much. */
enum { NULL_SPARES = 2 };
bool null_reserve(size_t size);

/* Calls `take` for each name from the cookie on, with the tree locked, until it returns false. */
typedef bool (*null_take)(void *ctx, const char *text, struct null_node *node, uint64_t next_cookie);
void null_list(struct null_node *dir, uint64_t cookie, null_take take, void *ctx);

#endif
