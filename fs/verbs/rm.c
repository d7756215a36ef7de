/* SPDX-License-Identifier: MIT */
/* lsmfs rm: removes files, and with -r directories with all that is in them. */
#include "fs/verbs/common.h"
#include "fs/verbs/tree.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
	const char *store;
	char **paths;
	size_t n_paths;
	bool recursive, force;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'r':
		arguments->recursive = true;
		return 0;
	case 'f':
		arguments->force = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->store)
			return ARGP_ERR_UNKNOWN; /* then all that follow come as ARGP_KEY_ARGS */
		arguments->store = arg;
		return 0;
	case ARGP_KEY_ARGS:
		arguments->paths = state->argv + state->next;
		arguments->n_paths = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		if (!arguments->n_paths)
			argp_error(state, "a store and paths in it are needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* A directory whose content is being removed. Their chain replaces recursion: depth is bounded by memory only. */
struct level {
	struct level *above;
	vol_ino parent;
	char name[VOL_NAME_MAX + 1]; /* in `parent` */
};

/* What to remove next from a directory. */
struct batch {
	size_t n;
	struct {
		char name[VOL_NAME_MAX + 1];
		bool directory;
	} entries[128];
};

static bool take_entry(void *ctx, const struct vol_entry *entry)
{
	struct batch *batch = ctx;

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return true;
	if (batch->n == sizeof(batch->entries) / sizeof(batch->entries[0]))
		return false;
	memcpy(batch->entries[batch->n].name, entry->name, entry->name_size);
	batch->entries[batch->n].name[entry->name_size] = 0;
	batch->entries[batch->n].directory = S_ISDIR(entry->type);
	batch->n++;
	return true;
}

/* Goes down into a directory. */
static int descend(struct tree *tree, struct tree_dir *dir, const char *name, struct level **top)
{
	struct level *level = malloc(sizeof(*level));
	int r;

	if (!level)
		return -ENOMEM;
	*level = (struct level){ .above = *top, .parent = dir->ino };
	memcpy(level->name, name, strlen(name) + 1);
	r = tree->ops->enter(tree, dir, name);
	if (r < 0)
		free(level);
	else
		*top = level;
	return r;
}

/* Goes up from a directory that is empty now, and removes it. */
static int ascend(struct tree *tree, struct tree_dir *dir, struct level **top)
{
	struct level *level = *top;
	int r = tree->ops->enter(tree, dir, "..");

	if (r == 0 && dir->ino != level->parent)
		r = -ESTALE; /* somebody has moved it meanwhile */
	if (r == 0)
		r = tree->ops->remove(tree, dir, level->name, true);
	*top = level->above;
	free(level);
	return r;
}

/* Removes the files of a batch until a directory comes, and goes down into that. */
static int remove_batch(struct tree *tree, struct tree_dir *dir, const struct batch *batch, struct level **top)
{
	int r = 0;

	for (size_t i = 0; !r && i < batch->n; i++) {
		if (batch->entries[i].directory)
			return descend(tree, dir, batch->entries[i].name, top);
		r = tree->ops->remove(tree, dir, batch->entries[i].name, false);
		if (r == -ENOENT)
			r = 0; /* by somebody else */
	}
	return r;
}

/* `dir` has the directory `name`; it ends where it begins, or with an error anywhere. */
static int remove_tree(struct tree *tree, struct tree_dir *dir, const char *name)
{
	struct level *top = NULL;
	struct batch *batch = malloc(sizeof(*batch));
	int r = batch ? descend(tree, dir, name, &top) : -ENOMEM;

	while (!r && top) {
		batch->n = 0;
		r = tree->ops->list(tree, dir, false, take_entry, batch);
		if (!r)
			r = batch->n ? remove_batch(tree, dir, batch, &top) : ascend(tree, dir, &top);
	}
	while (top) {
		struct level *above = top->above;
		free(top);
		top = above;
	}
	free(batch);
	return r;
}

/* Whether the last component is "." or "..". */
static bool ends_in_dots(const char *path)
{
	size_t size = strlen(path), at;

	while (size > 0 && path[size - 1] == '/')
		size--;
	for (at = size; at > 0 && path[at - 1] != '/'; at--)
		continue;
	return (size - at == 1 && path[at] == '.') || (size - at == 2 && path[at] == '.' && path[at + 1] == '.');
}

static int remove_place(struct tree *tree, const struct arguments *arguments, struct tree_place *place,
			const char *path)
{
	int r;

	if (!place->exists) {
		r = arguments->force ? 0 : -ENOENT;
	} else if (!S_ISDIR(place->attr.mode)) {
		r = tree->ops->remove(tree, &place->dir, place->name, false);
	} else if (arguments->recursive) {
		r = remove_tree(tree, &place->dir, place->name);
	} else {
		complain("%s is a directory. To remove it with all that is in it: lsmfs rm -r", path);
		return -EISDIR;
	}
	if (r < 0)
		complain("cannot remove %s: %s", path, strerror(-r));
	return r;
}

static int remove_path(struct tree *tree, const struct arguments *arguments, const char *path)
{
	struct tree_place place;
	int r;

	if (path[strspn(path, "/")] == 0) {
		complain("the root of a store can't be removed. To remove all: rm -r the store's directory");
		return -EINVAL;
	}
	/* rm(1) refuses these, too: what is meant to go is hardly ever all that lies there or above. */
	if (ends_in_dots(path)) {
		complain("'.' and '..' can't be removed: %s. Give the directory by its name", path);
		return -EINVAL;
	}
	r = tree_find(tree, path, &place);
	if (r == -ENOENT && arguments->force)
		return 0;
	if (r < 0) {
		complain("cannot remove %s: %s", path, strerror(-r));
		return r;
	}
	r = remove_place(tree, arguments, &place, path);
	tree_place_done(tree, &place);
	return r;
}

int verb_rm(int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
		{ "recursive", 'r', NULL, 0, "Remove directories with all that is in them", 0 },
		{ "force", 'f', NULL, 0, "What doesn't exist is no error", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		argp_options,
		on_argument,
		"STORE PATH...",
		"Removes files from a store. The removal is on disk when rm returns.\v"
		"Examples:\n"
		"  lsmfs rm ~/store greeting\n"
		"  lsmfs rm -r ~/store photos cache\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments arguments = { 0 };
	struct tree *tree;
	int r = 0;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	if (tree_open(arguments.store, false, &tree) < 0)
		return EXIT_FAILED;
	for (size_t i = 0; i < arguments.n_paths; i++) {
		int r2 = remove_path(tree, &arguments, arguments.paths[i]);
		r = r ? r : r2;
	}
	r = tree->ops->close(tree, r);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
