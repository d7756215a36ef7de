/* SPDX-License-Identifier: MIT */
/* lsmfs dump: a file of a store as text. */
#include "fs/verbs/common.h"
#include "fs/verbs/verbs.h"
#include "lsm/lsm.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct arguments {
	const char *file;
	enum lsm_dump_kind kind;
	uint32_t flags;
};

enum { KEY_WAL = 256, KEY_TABLE, KEY_MANIFEST, KEY_BLOB };

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->file };

	switch (key) {
	case KEY_WAL:
		arguments->kind = LSM_DUMP_WAL;
		return 0;
	case KEY_TABLE:
		arguments->kind = LSM_DUMP_TABLE;
		return 0;
	case KEY_MANIFEST:
		arguments->kind = LSM_DUMP_MANIFEST;
		return 0;
	case KEY_BLOB:
		arguments->kind = LSM_DUMP_BLOB;
		return 0;
	case 'f':
		arguments->flags |= LSM_DUMP_FULL;
		return 0;
	case 'k':
		arguments->flags |= LSM_DUMP_KEYS;
		return 0;
	case 'x':
		arguments->flags |= LSM_DUMP_HEX;
		return 0;
	default:
		return take_words(key, arg, state, words, 1, 1, "a file of a store is needed");
	}
}

/* What a closed pipe doesn't take ends the dump. */
static int print_line(void *ctx, const char *text)
{
	(void)ctx;
	return puts(text) < 0 ? LSM_IO : LSM_OK;
}

int verb_dump(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "wal", KEY_WAL, NULL, 0, "The file is a segment of the log", 0 },
		{ "table", KEY_TABLE, NULL, 0, "The file is a table", 0 },
		{ "manifest", KEY_MANIFEST, NULL, 0, "The file is a manifest", 0 },
		{ "blob", KEY_BLOB, NULL, 0, "The file is a blob segment", 0 },
		{ "full", 'f', NULL, 0, "Show keys and values whole", 1 },
		{ "keys", 'k', NULL, 0, "Show only the sizes of values", 1 },
		{ "hex", 'x', NULL, 0, "Show keys and values as hexadecimal digits", 1 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		on_argument,
		"FILE",
		"Shows what is in a file of a store: a segment of the log (wal-NNNN), a table (.sst), a manifest, a "
		"blob segment, CURRENT or OPTIONS. Which of them it is, the file tells. Nothing is changed; the store "
		"may "
		"be mounted. What is damaged is named, and the rest is shown.\v"
		"Examples:\n"
		"  lsmfs dump ~/store/wal-0000\n"
		"  lsmfs dump --keys ~/store/000012.sst\n\n"
		"Exit status: 0 done, 1 failed or damaged, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments arguments = { 0 };
	int code;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	code = lsm_dump(arguments.kind, arguments.file, arguments.flags, print_line, NULL);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain("cannot write to standard output: %s", strerror(errno));
		return EXIT_FAILED;
	}
	if (code != LSM_OK)
		complain("%s", lsm_last_error()->message);
	return code == LSM_OK ? EXIT_DONE : EXIT_FAILED;
}
