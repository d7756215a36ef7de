/* SPDX-License-Identifier: MIT */
/* lsmfs stat: the attributes of a file, or the figures of a store. */
#include "fs/verbs/common.h"
#include "fs/verbs/show.h"
#include "fs/verbs/verbs.h"
#include "fs/volume/volume.h"

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

static int stat_file(struct volume *volume, const char *path)
{
	char mode[11], target[VOL_SYMLINK_MAX + 1];
	struct vol_attr attr;
	int r = volume_resolve(volume, path, &attr);

	if (r < 0) {
		complain("%s: %s", path, strerror(-r));
		return r;
	}
	mode_to_text(attr.mode, mode);
	printf("%-12s ", "path");
	print_name(path, isatty(STDOUT_FILENO));
	putchar('\n');
	if (S_ISLNK(attr.mode) && volume_readlink(volume, attr.ino, target) == 0) {
		printf("%-12s ", "target");
		print_name(target, isatty(STDOUT_FILENO));
		putchar('\n');
	}
	printf("%-12s %llu\n", "inode", (unsigned long long)attr.ino);
	printf("%-12s %s (%04o)\n", "mode", mode, attr.mode & 07777);
	printf("%-12s %u\n", "links", attr.nlink);
	printf("%-12s %u:%u\n", "owner", attr.uid, attr.gid);
	printf("%-12s %llu bytes\n", "size", (unsigned long long)attr.size);
	printf("%-12s %llu bytes\n", "allocated", (unsigned long long)attr.allocated_bytes);
	if (S_ISCHR(attr.mode) || S_ISBLK(attr.mode))
		printf("%-12s %u:%u\n", "device", major(attr.rdev), minor(attr.rdev));
	print_time("accessed", &attr.atime);
	print_time("modified", &attr.mtime);
	print_time("changed", &attr.ctime);
	print_time("born", &attr.btime);
	return 0;
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

int verb_stat(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		on_argument,
		"STORE [PATH]",
		"Shows the attributes of the file PATH, or without a PATH the figures of the store; for a store that "
		"isn't "
		"mounted.\v"
		"Examples:\n"
		"  lsmfs stat ~/store greeting\n"
		"  lsmfs stat ~/store\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	const struct store_open_options options = { .read_only = true };
	struct arguments arguments = { 0 };
	struct volume *volume;
	int r;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	if (store_open(arguments.store, &options, &volume) < 0)
		return EXIT_FAILED;
	r = arguments.path ? stat_file(volume, arguments.path) : stat_store(volume, arguments.store);
	if (fflush(stdout) != 0 && !r) {
		r = -errno;
		complain("cannot write to standard output: %s", strerror(-r));
	}
	r = store_close(volume, arguments.store, r);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
