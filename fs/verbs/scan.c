/* SPDX-License-Identifier: MIT */
/*
 * lsmfs scan: the keys of a store, which are the paths of all that is no directory, in the order of their bytes. A
 * directory's names are gathered and sorted, those of subdirectories with the slash that follows them in paths.
 */
#include "fs/verbs/common.h"
#include "fs/verbs/tree.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)

struct arguments {
	const char *store, *prefix;
	bool sizes, values, directories, nul;
	uint64_t limit; /* 0: none */
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->store, &arguments->prefix };

	switch (key) {
	case 'l':
		arguments->sizes = true;
		return 0;
	case 'v':
		arguments->values = true;
		return 0;
	case 'd':
		arguments->directories = true;
		return 0;
	case '0':
		arguments->nul = true;
		return 0;
	case 'n':
		if (!parse_size(arg, &arguments->limit) || arguments->limit == 0)
			argp_error(state, "-n wants a number from 1 on, not '%s'", arg);
		return 0;
	default:
		return take_words(key, arg, state, words, 1, 2, "a store is needed");
	}
}

/* A directory under way. */
struct level {
	struct level *above;
	vol_ino parent;
	size_t path_size; /* of the path that leads here, with its slash */
	size_t at, n, room;
	char **names; /* sorted; from `at` on they are still to come */
};

struct scan {
	struct tree *tree;
	const struct arguments *arguments;
	struct tree_dir dir; /* the one of the uppermost level */
	struct level *top;
	char *path; /* of what is looked at */
	size_t path_room;
	char *buf; /* of CHUNK bytes */
	uint64_t found;
	bool to_terminal;
	bool failed; /* something couldn't be shown */
	bool broken; /* nothing more may be shown */
};

/* ---- a directory's names ---- */

struct gathering {
	struct level *level;
	const char *prefix;
	bool no_memory;
};

static bool has_room(struct level *level)
{
	size_t room = level->room ? level->room * 2 : 64;
	char **names;

	if (level->n < level->room)
		return true;
	names = reallocarray(level->names, room, sizeof(*names));
	if (!names)
		return false;
	level->names = names;
	level->room = room;
	return true;
}

static bool take_entry(void *ctx, const struct vol_entry *entry)
{
	struct gathering *g = ctx;
	char *name;

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0 ||
	    strncmp(entry->name, g->prefix, strlen(g->prefix)) != 0)
		return true;
	name = has_room(g->level) ? malloc(entry->name_size + 2) : NULL;
	if (!name) {
		g->no_memory = true;
		return false;
	}
	memcpy(name, entry->name, entry->name_size);
	strcpy(name + entry->name_size, S_ISDIR(entry->type) ? "/" : "");
	g->level->names[g->level->n++] = name;
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- levels ---- */

static void complain_of(struct scan *scan, int r)
{
	complain("%s: %s", scan->path[0] ? scan->path : "/", strerror(-r));
	scan->failed = true;
}

/* Puts `name` behind the path of the uppermost level. */
static int set_path(struct scan *scan, const char *name)
{
	size_t before = scan->top ? scan->top->path_size : 0, size = before + strlen(name) + 1;

	if (size > scan->path_room) {
		char *path = realloc(scan->path, size * 2);

		if (!path)
			return -ENOMEM;
		scan->path = path;
		scan->path_room = size * 2;
	}
	strcpy(scan->path + before, name);
	return 0;
}

/* The directory is scan->dir, and the path leads to it. */
static int push_level(struct scan *scan, vol_ino parent, const char *prefix)
{
	struct level *level = malloc(sizeof(*level));
	struct gathering g = { .level = level, .prefix = prefix };
	int r;

	if (!level)
		return -ENOMEM;
	*level = (struct level){ .above = scan->top, .parent = parent, .path_size = strlen(scan->path) };
	scan->top = level;
	r = scan->tree->ops->list(scan->tree, &scan->dir, false, take_entry, &g);
	if (r < 0)
		complain_of(scan, r); /* what was read before is shown */
	if (level->n)
		qsort(level->names, level->n, sizeof(*level->names), compare_names);
	return g.no_memory ? -ENOMEM : 0;
}

static void drop_level(struct scan *scan)
{
	struct level *level = scan->top;

	scan->top = level->above;
	for (size_t i = 0; i < level->n; i++)
		free(level->names[i]);
	free(level->names);
	free(level);
}

static int leave_level(struct scan *scan)
{
	vol_ino parent = scan->top->parent;
	bool last = !scan->top->above;
	int r = 0;

	drop_level(scan);
	if (last)
		return 0;
	r = scan->tree->ops->enter(scan->tree, &scan->dir, "..");
	return r == 0 && scan->dir.ino != parent ? -ESTALE : r; /* somebody has moved it meanwhile */
}

/* ---- what is shown ---- */

static void print_key(const struct scan *scan, uint64_t size)
{
	if (scan->arguments->sizes || scan->arguments->values)
		printf("%llu ", (unsigned long long)size);
	print_name(scan->path, scan->to_terminal);
	putchar(scan->arguments->nul ? 0 : '\n');
}

/* The size is shown in front of the bytes, so the rest of a file that gets longer meanwhile isn't shown, and if something
 * lacks nobody can tell where the next key begins. */
static int print_content(struct scan *scan, const struct tree_file *file, uint64_t size)
{
	const struct tree_ops *ops = scan->tree->ops;
	uint64_t done = 0;
	size_t got;
	int r = ops->file_read(scan->tree, file, 0, scan->buf, CHUNK, &got);

	if (r < 0)
		return r;
	if (size <= CHUNK)
		size = got;
	print_key(scan, size);
	while (r == 0 && got > 0 && done < size && !ferror(stdout)) {
		fwrite(scan->buf, 1, got < size - done ? got : (size_t)(size - done), stdout);
		done += got;
		if (done < size)
			r = ops->file_read(scan->tree, file, done, scan->buf, CHUNK, &got);
	}
	putchar('\n');
	if (r < 0 || done < size) {
		complain("%s: %s. The output ends here", scan->path,
			 r < 0 ? strerror(-r) : "it has become shorter while it was read");
		scan->broken = scan->failed = true;
	}
	return 0;
}

static int print_value(struct scan *scan, const char *name, const struct vol_attr *attr)
{
	char target[VOL_SYMLINK_MAX + 1];
	struct tree_file file;
	int r;

	if (S_ISREG(attr->mode)) {
		r = scan->tree->ops->file_open(scan->tree, &scan->dir, name, &file);
		if (r < 0)
			return r;
		r = print_content(scan, &file, attr->size);
		scan->tree->ops->file_done(scan->tree, &scan->dir, &file);
	} else if (S_ISLNK(attr->mode)) {
		r = scan->tree->ops->readlink(scan->tree, &scan->dir, name, target);
		if (r < 0)
			return r;
		print_key(scan, strlen(target));
		puts(target);
	} else {
		print_key(scan, 0);
		putchar('\n');
		r = 0;
	}
	return r;
}

static int show(struct scan *scan, const char *name)
{
	struct vol_attr attr = { 0 };
	int r = 0;

	if (scan->arguments->sizes || scan->arguments->values)
		r = scan->tree->ops->lookup(scan->tree, &scan->dir, name, &attr);
	if (r == 0 && scan->arguments->values)
		r = print_value(scan, name, &attr);
	else if (r == 0)
		print_key(scan, attr.size);
	if (r == -ENOENT)
		return 0; /* removed meanwhile */
	if (r < 0)
		complain_of(scan, r);
	else
		scan->found++;
	return ferror(stdout) ? -EIO : 0;
}

/* ---- the scan ---- */

/* `name` ends in a slash. */
static int descend(struct scan *scan, char *name)
{
	vol_ino parent = scan->dir.ino;
	int r;

	if (scan->arguments->directories) {
		print_key(scan, 0);
		if (scan->arguments->values)
			putchar('\n');
		scan->found++;
	}
	name[strlen(name) - 1] = 0;
	r = scan->tree->ops->enter(scan->tree, &scan->dir, name);
	if (r == 0)
		return push_level(scan, parent, "");
	if (r != -ENOENT && r != -ENOTDIR) /* it is another one now, or none */
		complain_of(scan, r);
	return 0;
}

static bool is_done(const struct scan *scan)
{
	return !scan->top || scan->broken || (scan->arguments->limit && scan->found >= scan->arguments->limit);
}

static int run(struct scan *scan, const char *prefix)
{
	int r = push_level(scan, 0, prefix);

	while (r == 0 && !is_done(scan)) {
		struct level *level = scan->top;
		char *name;

		if (level->at == level->n) {
			r = leave_level(scan);
			continue;
		}
		name = level->names[level->at++];
		r = set_path(scan, name);
		if (r == 0)
			r = strchr(name, '/') ? descend(scan, name) : show(scan, name);
	}
	while (scan->top)
		drop_level(scan);
	return r;
}

/* No key has such a component. */
static bool is_odd(const char *path)
{
	for (; *path; path += *path == '/') {
		size_t size = strcspn(path, "/");

		if (size == 0 || (size == 1 && path[0] == '.') || (size == 2 && path[0] == '.' && path[1] == '.'))
			return true;
		path += size;
	}
	return false;
}

/* Goes to the directory in which all keys with the prefix lie. 1; 0: there are none. */
static int enter_start(struct scan *scan, const char *path)
{
	struct tree_place place;
	int r = tree_find(scan->tree, path, &place);

	if (r == 0) {
		r = place.exists ? scan->tree->ops->enter(scan->tree, &place.dir, place.name) : -ENOENT;
		if (r < 0)
			tree_place_done(scan->tree, &place);
		else
			scan->dir = place.dir;
	}
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		complain_of(scan, r);
	return r < 0 ? r : 1;
}

static int scan_prefix(struct scan *scan)
{
	const char *prefix = scan->arguments->prefix ? scan->arguments->prefix : "", *slash;
	size_t dir_size;
	int r;

	prefix += strspn(prefix, "/");
	slash = strrchr(prefix, '/');
	dir_size = slash ? (size_t)(slash + 1 - prefix) : 0;
	r = set_path(scan, prefix);
	if (r < 0)
		return r;
	scan->path[dir_size] = 0;
	if (is_odd(scan->path))
		return 0;
	r = enter_start(scan, scan->path);
	if (r <= 0)
		return r;
	r = run(scan, prefix + dir_size);
	scan->tree->ops->dir_done(scan->tree, &scan->dir);
	return r;
}

static int scan(struct tree *tree, const struct arguments *arguments)
{
	struct scan s = {
		.tree = tree,
		.arguments = arguments,
		.buf = arguments->values ? malloc(CHUNK) : NULL,
		.to_terminal = isatty(STDOUT_FILENO) && !arguments->nul && !arguments->values,
	};
	int r = arguments->values && !s.buf ? -ENOMEM : scan_prefix(&s);

	if (r == -ENOMEM)
		complain("no memory");
	else if (r == -ESTALE)
		complain("%s has changed while it was read", s.path);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		r = -EIO;
		complain("cannot write to standard output: %s", strerror(errno));
	}
	free(s.path);
	free(s.buf);
	return r < 0 ? r : s.failed ? -EIO : 0;
}

int verb_scan(int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
		{ "long", 'l', NULL, 0, "Show the size of each value in front of its key", 0 },
		{ "values", 'v', NULL, 0, "The same, and behind each key its value and a newline", 0 },
		{ "directories", 'd', NULL, 0, "Show directories, too, with a slash behind them", 0 },
		{ "limit", 'n', "N", 0, "No more than N keys", 0 },
		{ "null", '0', NULL, 0, "End each key with a NUL instead of a newline", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		argp_options,
		on_argument,
		"STORE [PREFIX]",
		"Lists the keys of a store that begin with PREFIX, or all, in the order of their bytes. Keys are the "
		"paths of "
		"files, symbolic links and other special files.\v"
		"Examples:\n"
		"  lsmfs scan ~/store\n"
		"  lsmfs scan -l ~/store photos/2026-\n"
		"  lsmfs scan -v0 ~/store config/ | ...\n\n"
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
	r = tree->ops->close(tree, scan(tree, &arguments));
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
