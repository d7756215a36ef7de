/* SPDX-License-Identifier: MIT */
/* lsmfs stat: the attributes of a file, or the figures of a store. */
#include "fs/verbs/common.h"
#include "fs/verbs/show.h"
#include "fs/verbs/tree.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct arguments {
	const char *store, *path;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->store, &arguments->path };

	return take_words(key, arg, state, words, 1, 2, "a store is needed");
}

static void print_time(const char *what, const struct timespec *time)
{
	char text[64];

	time_to_text(time, text);
	printf("%-12s %s\n", what, text);
}

static void print_target(struct tree *tree, const struct tree_place *place)
{
	char target[VOL_SYMLINK_MAX + 1];

	if (tree->ops->readlink(tree, &place->dir, place->name, target) < 0)
		return;
	printf("%-12s ", "target");
	print_name(target, isatty(STDOUT_FILENO));
	putchar('\n');
}

static void print_attributes(const struct vol_attr *attr)
{
	char mode[11];

	mode_to_text(attr->mode, mode);
	printf("%-12s %llu\n", "inode", (unsigned long long)attr->ino);
	printf("%-12s %s (%04o)\n", "mode", mode, attr->mode & 07777);
	printf("%-12s %u\n", "links", attr->nlink);
	printf("%-12s %u:%u\n", "owner", attr->uid, attr->gid);
	printf("%-12s %llu bytes\n", "size", (unsigned long long)attr->size);
	printf("%-12s %llu bytes\n", "allocated", (unsigned long long)attr->allocated_bytes);
	if (S_ISCHR(attr->mode) || S_ISBLK(attr->mode))
		printf("%-12s %u:%u\n", "device", major(attr->rdev), minor(attr->rdev));
	print_time("accessed", &attr->atime);
	print_time("modified", &attr->mtime);
	print_time("changed", &attr->ctime);
	if (attr->btime.tv_nsec >= 0)
		print_time("born", &attr->btime);
}

static int stat_file(struct tree *tree, const char *path)
{
	struct tree_place place;
	int r = tree_find(tree, path, &place);

	if (r < 0) {
		complain("%s: %s", path, strerror(-r));
		return r;
	}
	if (place.exists) {
		printf("%-12s ", "path");
		print_name(path, isatty(STDOUT_FILENO));
		putchar('\n');
		if (S_ISLNK(place.attr.mode))
			print_target(tree, &place);
		print_attributes(&place.attr);
	} else {
		r = -ENOENT;
		complain("%s: %s", path, strerror(-r));
	}
	tree_place_done(tree, &place);
	return r;
}

static int stat_store(struct volume *volume, const char *store)
{
	struct vol_statfs fs;
	char *text;
	int r = volume_statfs(volume, &fs);

	if (r < 0) {
		complain("%s: %s", store, strerror(-r));
		return r;
	}
	printf("%-11s %llu of %llu bytes on its disk\n", "available", (unsigned long long)fs.available_bytes,
	       (unsigned long long)fs.total_bytes);
	text = volume_stats_text(volume);
	if (text)
		printf("%s", text);
	free(text);
	return 0;
}

static int flush_output(int r)
{
	if (fflush(stdout) != 0 && !r) {
		r = -errno;
		complain("cannot write to standard output: %s", strerror(-r));
	}
	return r;
}

static int run_file(const struct arguments *arguments)
{
	struct tree *tree;
	int r = tree_open(arguments->store, true, &tree);

	return r < 0 ? r : tree->ops->close(tree, flush_output(stat_file(tree, arguments->path)));
}

static int run_store(const char *store)
{
	const struct store_open_options options = { .read_only = true };
	struct volume *volume;
	int r = store_open(store, &options, &volume);

	return r < 0 ? r : store_close(volume, store, flush_output(stat_store(volume, store)));
}

int verb_stat(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		on_argument,
		"STORE [PATH]",
		"Shows the attributes of the file PATH, or without a PATH the figures of the store, which must not be "
		"mounted then.\v"
		"Examples:\n"
		"  lsmfs stat ~/store greeting\n"
		"  lsmfs stat ~/store\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments arguments = { 0 };
	int r;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	r = arguments.path ? run_file(&arguments) : run_store(arguments.store);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
