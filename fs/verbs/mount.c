/* SPDX-License-Identifier: MIT */
/* lsmfs mount, and the helper that mount(8) calls. */
#include "fs/verbs/mount.h"
#include "fs/verbs/common.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
	const char *store, *dir;
	struct mount_request request;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->store, &arguments->dir };

	switch (key) {
	case 'o':
		if (!mount_options_parse(&arguments->request.options, arg, false))
			exit(MOUNT_EXIT_USAGE);
		return 0;
	case 'f':
		arguments->request.foreground = true;
		return 0;
	case 'q':
		arguments->request.quiet = true;
		return 0;
	default:
		return take_words(key, arg, state, words, 2, 2, "a store and the directory to mount it on are needed");
	}
}

static char *help_filter(int key, const char *text, void *input)
{
	static const char examples[] = "Examples:\n"
				       "  lsmfs mount ~/store ~/kv            the store is made if it isn't there\n"
				       "  lsmfs mount -o ro,memory=64M ~/store ~/kv\n\n"
				       "Exit status: 0 the mount answers, 1 usage, 2 system error, 32 mount failed.";
	char *options, *all;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	options = mount_options_help();
	if (!options || asprintf(&all, "%s\n\n%s", options, examples) < 0)
		all = NULL;
	free(options);
	return all;
}

static int mount_and_free(struct arguments *arguments)
{
	struct mount_request *request = &arguments->request;
	int status = MOUNT_EXIT_FAILED;

	request->store = path_absolute(arguments->store);
	if (!request->store) {
		complain("cannot find the directory that the store %s would lie in: %s", arguments->store,
			 strerror(errno));
		goto out;
	}
	request->dir = path_absolute(arguments->dir);
	if (!request->dir) {
		complain("cannot find the mount point %s: %s", arguments->dir, strerror(errno));
		goto out;
	}
	if (mount_check(request))
		status = mount_start(request);
out:
	free(request->store);
	free(request->dir);
	return status;
}

int verb_mount(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ NULL, 'o', "OPTIONS", 0, "Mount options, separated by commas (see below)", 0 },
		{ "foreground", 'f', NULL, 0, "Stay in the foreground and log to standard error", 0 },
		{ "quiet", 'q', NULL, 0, "Say nothing when all is well", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options, on_argument, "STORE DIR", "Shows the files of the store STORE under the directory DIR.\v",
		NULL,    help_filter, NULL,
	};
	struct arguments arguments = { 0 };

	mount_options_init(&arguments.request.options, geteuid() == 0);
	parse_arguments(&argp, argc, argv, MOUNT_EXIT_USAGE, &arguments);
	return mount_and_free(&arguments);
}

int mount_helper(int argc, char **argv)
{
	struct arguments arguments = { .request.quiet = true };
	bool fake = false, sloppy = false, read_only = false;
	char *options = NULL;
	int c;

	/* mount(8) puts STORE and DIR first: getopt moves them behind the rest. */
	while ((c = getopt(argc, argv, "sfnvwrN:o:t:")) != -1) {
		switch (c) {
		case 's':
			sloppy = true;
			break;
		case 'f':
			fake = true;
			break;
		case 'r':
			read_only = true;
			break;
		case 'o':
			options = optarg;
			break;
		case '?':
			return MOUNT_EXIT_USAGE;
		default:
			break; /* -n, -v, -w: nothing to do; -N, -t: mount(8) has done it */
		}
	}
	if (argc - optind != 2) {
		complain("usage: %s STORE DIR [-sfnv] [-N namespace] [-o options] [-t type]", program_name);
		return MOUNT_EXIT_USAGE;
	}
	mount_options_init(&arguments.request.options, geteuid() == 0);
	if (options && !mount_options_parse(&arguments.request.options, options, sloppy))
		return MOUNT_EXIT_USAGE;
	arguments.request.options.read_only |= read_only;
	arguments.store = argv[optind];
	arguments.dir = argv[optind + 1];
	return fake ? MOUNT_EXIT_DONE : mount_and_free(&arguments);
}
