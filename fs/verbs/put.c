/* SPDX-License-Identifier: MIT */
/*
 * lsmfs put: standard input, or a file, becomes a file of the store. The content is written to a new file, which gets its
 * name at the end: whenever put is interrupted, the name stands for the old content or the new.
 */
#include "fs/verbs/common.h"
#include "fs/verbs/tree.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)
#define MODE_NEW 0666u
#define MODE_NEW_DIR 0777u

struct arguments {
	const char *store, *path, *file;
	bool parents;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->store, &arguments->path, &arguments->file };

	switch (key) {
	case 'p':
		arguments->parents = true;
		return 0;
	default:
		return take_words(key, arg, state, words, 2, 3, "a store and a path in it are needed");
	}
}

/* Fills chunks, so that a slow pipe doesn't make many small writes. */
static int read_full(int fd, char *buf, size_t size, size_t *ret_size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, buf + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret_size = have;
	return 0;
}

static int copy_in(struct tree *tree, const struct tree_file *file, int fd)
{
	char *buf = malloc(CHUNK);
	uint64_t offset = 0;
	size_t got = 0;
	int r = buf ? 0 : -ENOMEM;

	while (!r) {
		r = read_full(fd, buf, CHUNK, &got);
		if (r < 0)
			complain("cannot read the input: %s", strerror(-r));
		if (r < 0 || got == 0)
			break;
		r = tree->ops->file_write(tree, file, offset, buf, got);
		if (r < 0)
			complain("cannot write to the store: %s", strerror(-r));
		offset += got;
	}
	free(buf);
	return r;
}

static int make_directory(struct tree *tree, const char *path)
{
	struct tree_place place;
	int r = tree_find(tree, path, &place);

	if (r < 0)
		return r;
	if (!place.exists)
		r = tree->ops->mkdir(tree, &place.dir, place.name, MODE_NEW_DIR);
	tree_place_done(tree, &place);
	return r == -EEXIST ? 0 : r; /* made by somebody else meanwhile */
}

static int make_parents(struct tree *tree, const char *path)
{
	char *copy = strdup(path);
	int r = copy ? 0 : -ENOMEM;

	for (char *slash = copy; !r && (slash = strchr(slash, '/')); slash++) {
		if (slash == copy || slash[-1] == '/' || slash[strspn(slash, "/")] == 0)
			continue;
		*slash = 0;
		r = make_directory(tree, copy);
		*slash = '/';
	}
	free(copy);
	return r;
}

static int find_target(struct tree *tree, const struct arguments *arguments, struct tree_place *ret)
{
	struct tree_place place;
	int r = arguments->parents ? make_parents(tree, arguments->path) : 0;

	if (!r)
		r = tree_find(tree, arguments->path, &place);
	if (r == -ENOENT)
		complain("the directory that %s would lie in doesn't exist in the store. To make it: lsmfs put -p",
			 arguments->path);
	else if (r < 0)
		complain("%s: %s", arguments->path, strerror(-r));
	if (r < 0)
		return r;
	if (place.exists && !S_ISREG(place.attr.mode)) {
		r = S_ISDIR(place.attr.mode) ? -EISDIR : -EEXIST;
		complain("%s: %s", arguments->path, strerror(-r));
		tree_place_done(tree, &place);
		return r;
	}
	*ret = place;
	return 0;
}

static int put_at(struct tree *tree, const struct tree_place *place, const char *path, int fd)
{
	struct tree_file file;
	int r = tree->ops->file_new(tree, &place->dir, MODE_NEW, &file);

	if (r < 0) {
		complain("cannot make a file in the store: %s", strerror(-r));
		return r;
	}
	r = copy_in(tree, &file, fd);
	if (!r) {
		r = tree->ops->file_name(tree, &place->dir, &file, place->name, place->exists ? &place->attr : NULL);
		if (r < 0)
			complain("cannot give the new file its name %s: %s", path, strerror(-r));
	}
	tree->ops->file_done(tree, &place->dir, &file);
	return r;
}

static int put(struct tree *tree, const struct arguments *arguments, int fd)
{
	struct tree_place place;
	int r = find_target(tree, arguments, &place);

	if (r < 0)
		return r;
	r = put_at(tree, &place, arguments->path, fd);
	tree_place_done(tree, &place);
	return r;
}

int verb_put(int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
		{ "parents", 'p', NULL, 0, "Make the directories of PATH that are missing", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		argp_options,
		on_argument,
		"STORE PATH [FILE]",
		"Makes FILE, or standard input, the content of the file PATH of a store. It is there whole, and on "
		"disk, when put returns; when put fails or is interrupted, nothing has changed.\v"
		"Examples:\n"
		"  echo hello | lsmfs put ~/store greeting\n"
		"  lsmfs put -p ~/store photos/1.jpg 1.jpg\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments arguments = { 0 };
	struct tree *tree;
	int fd = STDIN_FILENO, r;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	if (arguments.file && strcmp(arguments.file, "-") != 0)
		fd = open(arguments.file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		complain("cannot open %s: %s", arguments.file, strerror(errno));
		return EXIT_FAILED;
	}
	r = tree_open(arguments.store, false, &tree);
	if (!r)
		r = tree->ops->close(tree, put(tree, &arguments, fd));
	if (fd != STDIN_FILENO)
		close(fd);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
