/* SPDX-License-Identifier: MIT */
/* lsmfs rm: removes files, and with -r directories with all that is in them. */
#include "fs/verbs/common.h"
#include "fs/verbs/verbs.h"
#include "fs/volume/volume.h"

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

static int reclaim_gone(struct volume *volume, int r, const struct vol_gone *gone)
{
	return !r && gone->ino ? volume_reclaim(volume, gone->ino) : r;
}

static int remove_name(struct volume *volume, vol_ino parent, const char *name, bool directory)
{
	struct vol_gone gone = { 0 };
	int r = directory ? volume_rmdir(volume, parent, name, &gone) : volume_unlink(volume, parent, name, &gone);

	return reclaim_gone(volume, r, &gone);
}

/* A directory whose content is being removed. Their chain replaces recursion: depth is bounded by memory only. */
struct level {
	struct level *above;
	vol_ino ino, parent;
	char name[VOL_NAME_MAX + 1]; /* in `parent` */
};

/* What to remove next from a directory. */
struct batch {
	size_t n;
	struct {
		char name[VOL_NAME_MAX + 1];
		vol_ino ino;
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
	batch->entries[batch->n].ino = entry->ino;
	batch->entries[batch->n].directory = S_ISDIR(entry->type);
	batch->n++;
	return true;
}

static struct level *level_push(struct level *above, vol_ino parent, const char *name, vol_ino ino)
{
	struct level *level = malloc(sizeof(*level));

	if (level) {
		*level = (struct level){ .above = above, .ino = ino, .parent = parent };
		memcpy(level->name, name, strlen(name) + 1);
	}
	return level;
}

/* Removes the files of a batch until a directory comes: that one goes on top of the chain. */
static int remove_batch(struct volume *volume, const struct batch *batch, struct level **top)
{
	vol_ino dir = (*top)->ino;
	int r = 0;

	for (size_t i = 0; !r && i < batch->n; i++) {
		if (batch->entries[i].directory) {
			struct level *level = level_push(*top, dir, batch->entries[i].name, batch->entries[i].ino);
			if (!level)
				return -ENOMEM;
			*top = level;
			break;
		}
		r = remove_name(volume, dir, batch->entries[i].name, false);
	}
	return r;
}

static int remove_tree(struct volume *volume, vol_ino parent, const char *name, vol_ino ino)
{
	struct level *top = level_push(NULL, parent, name, ino);
	struct batch *batch = malloc(sizeof(*batch));
	int r = top && batch ? 0 : -ENOMEM;

	while (!r && top) {
		batch->n = 0;
		r = volume_readdir(volume, top->ino, 0, false, take_entry, batch);
		if (!r && batch->n) {
			r = remove_batch(volume, batch, &top);
		} else if (!r) {
			struct level *done = top;
			r = remove_name(volume, done->parent, done->name, true);
			top = done->above;
			free(done);
		}
	}
	while (top) {
		struct level *above = top->above;
		free(top);
		top = above;
	}
	free(batch);
	return r;
}

static int remove_path(struct volume *volume, const struct arguments *arguments, const char *path)
{
	char name[VOL_NAME_MAX + 1];
	struct vol_attr attr;
	vol_ino parent;
	int r = volume_resolve_parent(volume, path, &parent, name);

	if (r == -EINVAL) {
		complain("the root of a store can't be removed. To remove all: rm -r the store's directory");
		return r;
	}
	/* rm(1) refuses these, too: what is meant to go is hardly ever all that lies there or above. */
	if (!r && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)) {
		complain("'.' and '..' can't be removed: %s. Give the directory by its name", path);
		return -EINVAL;
	}
	if (!r)
		r = volume_lookup(volume, parent, name, &attr);
	if (r == -ENOENT && arguments->force)
		return 0;
	if (!r && S_ISDIR(attr.mode) && !arguments->recursive) {
		complain("%s is a directory. To remove it with all that is in it: lsmfs rm -r", path);
		return -EISDIR;
	}
	if (!r)
		r = S_ISDIR(attr.mode) ? remove_tree(volume, parent, name, attr.ino)
				       : remove_name(volume, parent, name, false);
	if (r < 0)
		complain("cannot remove %s: %s", path, strerror(-r));
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
		"Removes files from a store that isn't mounted. The removal is on disk when rm returns.\v"
		"Examples:\n"
		"  lsmfs rm ~/store greeting\n"
		"  lsmfs rm -r ~/store photos cache\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	const struct store_open_options options = { .read_only = false };
	struct arguments arguments = { 0 };
	struct volume *volume;
	int r = 0;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	if (store_open(arguments.store, &options, &volume) < 0)
		return EXIT_FAILED;
	for (size_t i = 0; i < arguments.n_paths; i++) {
		int r2 = remove_path(volume, &arguments, arguments.paths[i]);
		r = r ? r : r2;
	}
	r = store_close(volume, arguments.store, r);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
