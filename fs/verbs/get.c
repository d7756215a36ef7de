/* SPDX-License-Identifier: MIT */
/* lsmfs get: a file's content on standard output. */
#include "fs/verbs/common.h"
#include "fs/verbs/tree.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)

struct arguments {
	const char *store, *path;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->store, &arguments->path };

	return take_words(key, arg, state, words, 2, 2, "a store and a path in it are needed");
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int copy_out(struct tree *tree, const struct tree_file *file, const char *path)
{
	char *buf = malloc(CHUNK);
	uint64_t offset = 0;
	size_t got = 0;
	int r = buf ? 0 : -ENOMEM;

	while (!r) {
		r = tree->ops->file_read(tree, file, offset, buf, CHUNK, &got);
		if (r < 0) {
			complain("cannot read %s at byte %llu: %s", path, (unsigned long long)offset, strerror(-r));
			break;
		}
		if (got == 0)
			break;
		r = write_all(STDOUT_FILENO, buf, got);
		if (r < 0)
			complain("cannot write to standard output: %s", strerror(-r));
		offset += got;
	}
	free(buf);
	return r;
}

static int complain_of_kind(struct tree *tree, const struct tree_place *place, const char *path)
{
	char target[VOL_SYMLINK_MAX + 1];

	if (S_ISDIR(place->attr.mode))
		complain("%s is a directory. What is in it: lsmfs ls", path);
	else if (S_ISLNK(place->attr.mode) && tree->ops->readlink(tree, &place->dir, place->name, target) == 0)
		complain("%s is a symbolic link to %s, and links are not followed here", path, target);
	else
		complain("%s is not a file with content", path);
	return S_ISDIR(place->attr.mode) ? -EISDIR : -EINVAL;
}

static int get(struct tree *tree, const char *path)
{
	struct tree_place place;
	struct tree_file file;
	int r = tree_find(tree, path, &place);

	if (r < 0) {
		complain("%s: %s", path, strerror(-r));
		return r;
	}
	if (place.exists && !S_ISREG(place.attr.mode)) {
		r = complain_of_kind(tree, &place, path);
		goto out;
	}
	r = place.exists ? tree->ops->file_open(tree, &place.dir, place.name, &file) : -ENOENT;
	if (r < 0) {
		complain("%s: %s", path, strerror(-r));
		goto out;
	}
	r = copy_out(tree, &file, path);
	tree->ops->file_done(tree, &place.dir, &file);
out:
	tree_place_done(tree, &place);
	return r;
}

int verb_get(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		on_argument,
		"STORE PATH",
		"Writes the content of the file PATH of a store to standard output.\v"
		"Examples:\n"
		"  lsmfs get ~/store greeting\n"
		"  lsmfs get ~/store photos/1.jpg > 1.jpg\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments arguments = { 0 };
	struct tree *tree;
	int r;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	if (tree_open(arguments.store, true, &tree) < 0)
		return EXIT_FAILED;
	r = tree->ops->close(tree, get(tree, arguments.path));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
