/* SPDX-License-Identifier: MIT */
/* lsmfs backup: makes, lists, verifies and deletes backups of a store. */
#include "fs/verbs/common.h"
#include "fs/verbs/progress.h"
#include "fs/verbs/show.h"
#include "fs/verbs/verbs.h"
#include "lsm/lsm.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum action { ACTION_MAKE, ACTION_LIST, ACTION_VERIFY, ACTION_DELETE };

struct arguments {
	enum action action;
	uint64_t number;      /* to delete */
	const char *words[2]; /* store and directory; or directory, and a number to verify */
	bool quiet;
};

bool parse_backup_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && *text >= '0' && *text <= '9' && !*end && *ret;
}

static void take_action(struct arguments *a, enum action action, struct argp_state *state)
{
	if (a->action != ACTION_MAKE)
		argp_error(state, "only one of --list, --verify and --delete can be done at a time");
	a->action = action;
}

static void check_words(struct arguments *a, unsigned n, struct argp_state *state)
{
	static const char *const needed[] = {
		[ACTION_MAKE] = "a store and a directory for its backups are needed",
		[ACTION_LIST] = "one directory of backups is needed",
		[ACTION_VERIFY] = "a directory of backups, and a number or none, are needed",
		[ACTION_DELETE] = "one directory of backups is needed",
	};
	unsigned least = a->action == ACTION_MAKE ? 2 : 1;
	unsigned most = a->action == ACTION_MAKE || a->action == ACTION_VERIFY ? 2 : 1;

	if (n < least || n > most)
		argp_error(state, "%s", needed[a->action]);
	if (a->action == ACTION_VERIFY && n == 2 && !parse_backup_number(a->words[1], &a->number))
		argp_error(state, "'%s' is not the number of a backup", a->words[1]);
}

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	const char **const words[] = { &a->words[0], &a->words[1] };

	switch (key) {
	case 'l':
		take_action(a, ACTION_LIST, state);
		return 0;
	case 'c':
		take_action(a, ACTION_VERIFY, state);
		return 0;
	case 'd':
		take_action(a, ACTION_DELETE, state);
		if (!parse_backup_number(arg, &a->number))
			argp_error(state, "'%s' is not the number of a backup", arg);
		return 0;
	case 'q':
		a->quiet = true;
		return 0;
	case ARGP_KEY_END:
		check_words(a, state->arg_num, state);
		return 0;
	default:
		return take_words(key, arg, state, words, 0, 2, "");
	}
}

static int make(const struct arguments *a)
{
	struct lsm_backup_info info;
	struct lsm_copy_options options;
	struct progress p;
	struct lsm_db *db;
	char fresh[32], all[32];
	int rc = store_open_engine(a->words[0], &db);

	if (rc)
		return rc;
	progress_init(&p, "copied", &options);
	rc = lsm_backup(db, a->words[1], &options, &info);
	progress_done(&p);
	if (rc)
		complain("cannot back up %s to %s: %s", a->words[0], a->words[1], lsm_last_error()->message);
	if (lsm_close(db) && !rc) {
		rc = -1;
		complain("%s: not everything that was written is known to be on disk: %s", a->words[0],
			 lsm_last_error()->message);
	}
	if (rc || a->quiet)
		return rc;
	bytes_to_text(info.copied_bytes, fresh);
	bytes_to_text(info.bytes, all);
	printf("backup %llu: %s, of which %s were new\n", (unsigned long long)info.number, all, fresh);
	return 0;
}

static int print_one(void *ctx, const struct lsm_backup_info *info)
{
	struct timespec time = { (time_t)(info->created_us / 1000000), (long)(info->created_us % 1000000) * 1000 };
	char text[64], all[32], fresh[32];

	(void)ctx;
	if (info->code) {
		printf("%6llu  %s\n", (unsigned long long)info->number, lsm_strerror(info->code));
		return 0;
	}
	time_to_text(&time, text);
	bytes_to_text(info->bytes, all);
	bytes_to_text(info->copied_bytes, fresh);
	printf("%6llu  %s  %s, %s new\n", (unsigned long long)info->number, text, all, fresh);
	return 0;
}

static int verify(const struct arguments *a)
{
	struct lsm_copy_options options;
	struct progress p;
	int rc;

	progress_init(&p, "verified", &options);
	rc = lsm_backup_verify(a->words[0], a->number, &options);
	progress_done(&p);
	return rc;
}

/* The verbs that need no store. */
static int keep(const struct arguments *a)
{
	int rc;

	if (a->action == ACTION_LIST)
		rc = lsm_backup_list(a->words[0], print_one, NULL);
	else if (a->action == ACTION_VERIFY)
		rc = verify(a);
	else
		rc = lsm_backup_delete(a->words[0], a->number);
	if (rc == LSM_NOT_FOUND)
		complain("there is no backup %llu in %s. All: lsmfs backup --list %s", (unsigned long long)a->number,
			 a->words[0], a->words[0]);
	else if (rc)
		complain("%s", lsm_last_error()->message);
	else if (a->action == ACTION_VERIFY && !a->quiet)
		puts("all files are as they were written");
	return rc;
}

int verb_backup(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "list", 'l', NULL, 0, "List the backups in DIR", 0 },
		{ "verify", 'c', NULL, 0, "Read all files of DIR, or those of backup N, and compare their checksums",
		  0 },
		{ "delete", 'd', "N", 0, "Delete backup N, and the files that no other needs", 0 },
		{ "quiet", 'q', NULL, 0, "Say nothing when all is well", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		on_argument,
		"STORE DIR\n--list DIR\n--verify DIR [N]\n--delete N DIR",
		"Backs a store that isn't mounted up to the directory DIR, which is made if need be. Only what is new "
		"since "
		"the last backup is copied.\v"
		"Examples:\n"
		"  lsmfs backup ~/store /media/disk/backups\n"
		"  lsmfs backup --list /media/disk/backups\n"
		"  lsmfs restore /media/disk/backups ~/store-again\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments a = { 0 };
	int rc;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &a);
	rc = a.action == ACTION_MAKE ? make(&a) : keep(&a);
	if (fflush(stdout) != 0 && !rc) {
		rc = -1;
		complain("cannot write to standard output: %s", strerror(errno));
	}
	return rc ? EXIT_FAILED : EXIT_DONE;
}
