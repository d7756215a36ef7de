/* SPDX-License-Identifier: MIT */
/* lsmfs restore: a new store from a backup. */
#include "fs/verbs/common.h"
#include "fs/verbs/progress.h"
#include "fs/verbs/verbs.h"
#include "lsm/lsm.h"

#include <argp.h>

struct arguments {
	const char *words[3];
	unsigned n;
	uint64_t number; /* 0: the newest */
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	const char **const words[] = { &a->words[0], &a->words[1], &a->words[2] };
	error_t r =
		take_words(key, arg, state, words, 2, 3, "a directory of backups and a place for the store are needed");

	if (key != ARGP_KEY_END)
		return r;
	a->n = state->arg_num;
	if (a->n == 3 && !parse_backup_number(a->words[1], &a->number))
		argp_error(state, "'%s' is not the number of a backup", a->words[1]);
	return r;
}

int verb_restore(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		on_argument,
		"DIR [N] STORE",
		"Makes STORE, which must not exist, the store of backup N in the directory DIR; without N, of the "
		"newest.\v"
		"Examples:\n"
		"  lsmfs restore /media/disk/backups ~/store-again\n"
		"  lsmfs restore /media/disk/backups 3 ~/store-of-may\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct lsm_copy_options options;
	struct arguments a = { 0 };
	struct progress p;
	const char *store;
	int rc;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &a);
	store = a.words[a.n - 1];
	progress_init(&p, "restored", &options);
	rc = lsm_restore(a.words[0], a.number, store, &options);
	progress_done(&p);
	if (rc == LSM_NOT_FOUND)
		complain("there is no such backup in %s. All: lsmfs backup --list %s", a.words[0], a.words[0]);
	else if (rc)
		complain("cannot restore %s: %s", store, lsm_last_error()->message);
	return rc ? EXIT_FAILED : EXIT_DONE;
}
