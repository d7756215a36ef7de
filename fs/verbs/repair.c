/* SPDX-License-Identifier: MIT */
/* lsmfs repair: tells what it would do to a damaged store, and does it when asked to. */
#include "fs/verbs/check_store.h"
#include "fs/verbs/common.h"
#include "fs/verbs/verbs.h"
#include "lsm/lsm.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
	const char *store;
	bool yes;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	const char **const words[] = { &a->store };

	if (key == 'y') {
		a->yes = true;
		return 0;
	}
	return take_words(key, arg, state, words, 1, 1, "a store is needed");
}

struct steps {
	unsigned n;
};

static int on_step(void *ctx, const char *what)
{
	struct steps *steps = ctx;

	steps->n++;
	printf("%s\n", what);
	return LSM_OK;
}

/* 0, or CHECK_EXIT_FAILED after a complaint; *ret_steps tells how much there is to do, or was done. */
static int run(const char *store, const char *lost, bool plan_only, unsigned *ret_steps)
{
	struct steps steps = { 0 };
	const struct lsm_repair_options options = {
		.lost = lost, .plan_only = plan_only, .step = on_step, .ctx = &steps
	};
	int rc = lsm_repair(store, &options);

	*ret_steps = steps.n;
	if (rc == LSM_OK)
		return 0;
	complain("cannot repair the store %s: %s%s", store, lsm_last_error()->message,
		 rc == LSM_BUSY ? ". Unmount it first: lsmfs umount DIR" : "");
	return CHECK_EXIT_FAILED;
}

static int tell_plan(const char *store, const char *lost)
{
	unsigned steps;
	int code = run(store, lost, true, &steps);

	if (code)
		return code;
	if (!steps) {
		printf("%s: nothing to repair\n", store);
		return CHECK_EXIT_CLEAN;
	}
	printf("Nothing was changed. What is replaced would be kept in %s. To repair it: lsmfs repair --yes %s\n", lost,
	       store);
	return CHECK_EXIT_DAMAGED;
}

/* The files in it have rules of their own, which are only looked at. */
static int repair(const char *store, const char *lost)
{
	struct check_result left;
	unsigned steps;
	int code = run(store, lost, false, &steps);

	if (code)
		return code;
	if (check_store(store, store, true, &left) < 0)
		return CHECK_EXIT_FAILED;
	if (steps)
		printf("%s: repaired. What was replaced is in %s\n", store, lost);
	else
		printf("%s: nothing to repair\n", store);
	if (left.store_finds || left.volume_finds || left.unsupported) {
		printf("%s: what stands above is damaged yet, and not for this verb to mend\n", store);
		return CHECK_EXIT_DAMAGED;
	}
	return steps ? CHECK_EXIT_MENDED : CHECK_EXIT_CLEAN;
}

int verb_repair(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "yes", 'y', NULL, 0, "Do it; without, what would be done is told and nothing is changed", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		on_argument,
		"STORE",
		"Makes a store whose files are damaged one that can be used, with all that can be read. What is "
		"replaced is kept "
		"in the directory STORE.lost+found. Entries and links of the files in the store are checked then, and "
		"not "
		"changed. The store must not be mounted.\v"
		"Example:\n"
		"  lsmfs repair ~/store          # the plan\n"
		"  lsmfs repair --yes ~/store\n\n"
		"Exit status, as of fsck(8): 0 nothing to repair, 1 repaired, 4 damage is left (or found, without "
		"--yes), 8 failed, "
		"16 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments a = { 0 };
	char *lost;
	int code;

	parse_arguments(&argp, argc, argv, CHECK_EXIT_USAGE, &a);
	if (asprintf(&lost, "%s.lost+found", a.store) < 0) {
		complain("no memory");
		return CHECK_EXIT_FAILED;
	}
	code = a.yes ? repair(a.store, lost) : tell_plan(a.store, lost);
	free(lost);
	if (fflush(stdout) != 0) {
		complain("cannot write to standard output: %s", strerror(errno));
		return CHECK_EXIT_FAILED;
	}
	return code;
}
