/* SPDX-License-Identifier: MIT */
/* lsmfs check: verifies a store and the volume in it. */
#include "fs/verbs/check_store.h"
#include "fs/verbs/common.h"
#include "fs/verbs/moment.h"
#include "fs/verbs/progress.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct arguments {
	const char *store;
	bool quiet;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	const char **const words[] = { &a->store };

	if (key == 'q') {
		a->quiet = true;
		return 0;
	}
	return take_words(key, arg, state, words, 1, 1, "a store is needed");
}

static void print_summary(const struct arguments *a, const struct check_result *c)
{
	uint64_t finds = c->store_finds + c->volume_finds;
	char bytes[32];

	bytes_to_text(c->bytes, bytes);
	printf("%s: ", a->store);
	if (finds)
		printf("%llu find%s of damage, ", (unsigned long long)finds, finds == 1 ? "" : "s");
	else
		printf("clean, ");
	printf("%llu files, %llu directories, %llu others, %s\n", (unsigned long long)c->files,
	       (unsigned long long)c->directories, (unsigned long long)c->others, bytes);
	if (c->unsupported)
		complain("%s is of a later version of lsmfs: what this one doesn't know was not checked", a->store);
}

/* A mounted store is checked as it was at one moment: nothing stops meanwhile. */
static int check(const struct arguments *a, struct check_result *ret)
{
	struct moment moment;
	int r = moment_take(a->store, &moment), r2;

	if (r < 0)
		return r;
	if (r == 0)
		return check_store(a->store, a->store, a->quiet, ret);
	check_stop_on_signals();
	r = check_store(moment.path, a->store, a->quiet, ret);
	r2 = moment_done(&moment);
	return r ? r : r2;
}

int verb_check(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "quiet", 'q', NULL, 0, "Say nothing when all is well, and of finds only the damage", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		on_argument,
		"STORE",
		"Reads every file of a store, verifies all checksums and all that is said twice, "
		"and then that "
		"its files and directories are whole. Changes nothing. Each find is a line: a file of the store and a "
		"byte in it, or "
		"the path of a file in the volume, and what is wrong there. Of a mounted store, "
		"the process behind the mount makes a copy by links, STORE.check, which is checked and removed: for "
		"its owner and "
		"root.\v"
		"Example:\n"
		"  lsmfs check ~/store\n\n"
		"Exit status, as of fsck(8): 0 clean, 4 damage was found, 8 the check could not be made, 16 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct check_result result;
	struct arguments a = { 0 };
	int r;

	parse_arguments(&argp, argc, argv, CHECK_EXIT_USAGE, &a);
	r = check(&a, &result);
	if (r == 0 && !(a.quiet && !result.store_finds && !result.volume_finds))
		print_summary(&a, &result);
	if (fflush(stdout) != 0 && r == 0) {
		r = -errno;
		complain("cannot write to standard output: %s", strerror(-r));
	}
	if (r < 0)
		return CHECK_EXIT_FAILED;
	return result.store_finds || result.volume_finds || result.unsupported ? CHECK_EXIT_DAMAGED : CHECK_EXIT_CLEAN;
}
