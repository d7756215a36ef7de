/* SPDX-License-Identifier: MIT */
/* lsmfs ls: what is in a directory of a store. */
#include "fs/verbs/common.h"
#include "fs/verbs/show.h"
#include "fs/verbs/tree.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
	const char *store, *path;
	bool with_attributes, nul;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->store, &arguments->path };

	switch (key) {
	case 'l':
		arguments->with_attributes = true;
		return 0;
	case '0':
		arguments->nul = true;
		return 0;
	default:
		return take_words(key, arg, state, words, 1, 2, "a store is needed");
	}
}

/* What is listed. Directories come in the order of a hash: all of one is gathered and sorted, as ls(1) does. */
struct line {
	char *name;
	bool readable; /* with attributes: they could be read */
	struct vol_attr attr;
};

struct listing {
	struct tree *tree;
	const struct tree_dir *dir; /* where the names are */
	bool with_attributes, to_terminal;
	char end; /* of a line */
	struct line *lines;
	size_t n_lines, room;
	int error;
};

static bool lines_reserve(struct listing *listing)
{
	size_t room = listing->room ? listing->room * 2 : 64;
	struct line *lines;

	if (listing->n_lines < listing->room)
		return true;
	lines = reallocarray(listing->lines, room, sizeof(*lines));
	if (!lines)
		return false;
	listing->lines = lines;
	listing->room = room;
	return true;
}

static bool take_entry(void *ctx, const struct vol_entry *entry)
{
	struct listing *listing = ctx;
	struct line line = { .readable = entry->attr };

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return true;
	if (entry->attr)
		line.attr = *entry->attr;
	line.name = lines_reserve(listing) ? strdup(entry->name) : NULL;
	if (!line.name) {
		listing->error = -ENOMEM;
		return false;
	}
	listing->lines[listing->n_lines++] = line;
	return true;
}

static int compare_lines(const void *a, const void *b)
{
	const struct line *left = a, *right = b;
	int order = strcoll(left->name, right->name);

	return order ? order : strcmp(left->name, right->name);
}

static void print_attributes(const struct vol_attr *attr)
{
	char mode[11], time[64];

	mode_to_text(attr->mode, mode);
	time_to_text(&attr->mtime, time);
	printf("%s %3u %5u %5u %12llu %.16s ", mode, attr->nlink, attr->uid, attr->gid, (unsigned long long)attr->size,
	       time);
}

static void print_target(const struct listing *listing, const char *name)
{
	char target[VOL_SYMLINK_MAX + 1];

	if (listing->tree->ops->readlink(listing->tree, listing->dir, name, target) < 0)
		return;
	fputs(" -> ", stdout);
	print_name(target, listing->to_terminal);
}

/* `path`: what is shown in place of the name, or NULL */
static void print_line(struct listing *listing, const struct line *line, const char *path)
{
	if (listing->with_attributes && line->readable) {
		print_attributes(&line->attr);
	} else if (listing->with_attributes) {
		printf("?????????? %3s %5s %5s %12s %16s ", "?", "?", "?", "?", "?");
		complain("%s: its attributes can't be read", line->name);
		listing->error = -EUCLEAN;
	}
	print_name(path ? path : line->name, listing->to_terminal);
	if (listing->with_attributes && line->readable && S_ISLNK(line->attr.mode))
		print_target(listing, line->name);
	putchar(listing->end);
}

static int list_directory(struct listing *listing, const char *path)
{
	int r = listing->tree->ops->list(listing->tree, listing->dir, listing->with_attributes, take_entry, listing);

	if (!r)
		r = listing->error;
	if (r < 0)
		complain("%s: %s", path, strerror(-r));
	/* What was read before an error is shown. */
	if (listing->n_lines)
		qsort(listing->lines, listing->n_lines, sizeof(*listing->lines), compare_lines);
	for (size_t i = 0; i < listing->n_lines; i++) {
		if (!ferror(stdout))
			print_line(listing, &listing->lines[i], NULL);
		free(listing->lines[i].name);
	}
	free(listing->lines);
	return r ? r : listing->error;
}

static int list_place(struct listing *listing, struct tree_place *place, const char *path)
{
	struct line line = { .name = place->name, .readable = true, .attr = place->attr };
	int r;

	listing->dir = &place->dir;
	if (place->exists && !S_ISDIR(place->attr.mode)) {
		print_line(listing, &line, path);
		return 0;
	}
	r = place->exists ? listing->tree->ops->enter(listing->tree, &place->dir, place->name) : -ENOENT;
	if (r == 0)
		return list_directory(listing, path);
	complain("%s: %s", path, strerror(-r));
	return r;
}

static int list(struct tree *tree, const struct arguments *arguments)
{
	struct listing listing = {
		.tree = tree,
		.with_attributes = arguments->with_attributes,
		.to_terminal = isatty(STDOUT_FILENO) && !arguments->nul,
		.end = arguments->nul ? 0 : '\n',
	};
	const char *path = arguments->path && arguments->path[0] ? arguments->path : "/";
	struct tree_place place;
	int r = tree_find(tree, path, &place);

	if (r < 0) {
		complain("%s: %s", path, strerror(-r));
		return r;
	}
	r = list_place(&listing, &place, path);
	tree_place_done(tree, &place);
	if (fflush(stdout) != 0 && !r) {
		r = -errno;
		complain("cannot write to standard output: %s", strerror(-r));
	}
	return r;
}

int verb_ls(int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
		{ "long", 'l', NULL, 0, "Show mode, links, owner, group, size and time of each", 0 },
		{ "null", '0', NULL, 0, "End each name with a NUL instead of a newline", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		argp_options,
		on_argument,
		"STORE [PATH]",
		"Lists the directory PATH, or the root, of a store, sorted by name.\v"
		"Examples:\n"
		"  lsmfs ls ~/store\n"
		"  lsmfs ls -l ~/store photos\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments arguments = { 0 };
	struct tree *tree;
	int r;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	setlocale(LC_COLLATE, "");
	if (tree_open(arguments.store, true, &tree) < 0)
		return EXIT_FAILED;
	r = tree->ops->close(tree, list(tree, &arguments));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
