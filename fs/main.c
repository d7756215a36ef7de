/* SPDX-License-Identifier: MIT */
/* The program lsmfs: finds the verb and runs it. */
#include "fs/session/guard.h"
#include "fs/verbs/common.h"
#include "fs/verbs/verbs.h"
#include "lsm/lsm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb verbs[] = {
	{ "mount", "STORE DIR [-o options] [-f]", "show the files of a store under a directory", verb_mount },
	{ "umount", "DIR", "unmount, and wait until all is on disk", verb_umount },
	{ "get", "STORE PATH", "write a file's content to standard output", verb_get },
	{ "put", "STORE PATH [FILE]", "make standard input, or FILE, a file", verb_put },
	{ "rm", "STORE PATH...", "remove files; with -r directories, too", verb_rm },
	{ "ls", "STORE [PATH]", "list a directory", verb_ls },
	{ "scan", "STORE [PREFIX]", "list the paths that begin so, with values", verb_scan },
	{ "stat", "STORE [PATH]", "show figures of a file, or of the store", verb_stat },
	{ "dump", "FILE", "show what is in a file of a store", verb_dump },
	{ "backup", "STORE DIR", "copy what is new in a store to a directory", verb_backup },
	{ "restore", "DIR [N] STORE", "make a store of a backup", verb_restore },
	{ "check", "STORE", "verify every byte of a store and its files", verb_check },
	{ "repair", "STORE", "mend what is damaged; shows first what it would do", verb_repair },
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void print_help(FILE *out)
{
	fputs("Usage: lsmfs VERB ARGUMENTS\n"
	      "A log-structured merge tree that you can mount: every file is a key.\n\n",
	      out);
	for (size_t i = 0; i < N_VERBS; i++) {
		char usage[64];
		snprintf(usage, sizeof(usage), "%s %s", verbs[i].name, verbs[i].arguments);
		fprintf(out, "  %-34s %s\n", usage, verbs[i].summary);
	}
	fputs("\nSTORE is a directory; mount makes it if it isn't there. get, put, rm, ls,\n"
	      "scan and stat work on a mounted store, too, through the mount.\n\n"
	      "  lsmfs mount ~/store ~/kv      one process, no server, no configuration\n"
	      "  echo hello > ~/kv/greeting    a put\n"
	      "  cat ~/kv/greeting             a get\n"
	      "  lsmfs umount ~/kv\n\n"
	      "More: lsmfs VERB --help, man lsmfs. Version: lsmfs --version\n",
	      out);
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	char name[32];

	/* What getopt and argp put before their messages. */
	snprintf(name, sizeof(name), "lsmfs %s", verb->name);
	argv[0] = name;
	return verb->run(argc, argv);
}

static int complain_of_verb(const char *word)
{
	const char *names[N_VERBS + 1] = { NULL };
	const char *close;

	for (size_t i = 0; i < N_VERBS; i++)
		names[i] = verbs[i].name;
	close = closest_word(word, names);
	if (close)
		complain("unknown verb '%s'. Did you mean '%s'? All verbs: lsmfs --help", word, close);
	else
		complain("unknown verb '%s'. All verbs: lsmfs --help", word);
	return EXIT_USAGE;
}

static int lsmfs_main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], GUARD_WORD) == 0)
		return guard_main(argc - 1, argv + 1);
	for (size_t i = 0; i < N_VERBS; i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run_verb(&verbs[i], argc - 1, argv + 1);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
		print_help(stdout);
	else if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		printf("lsmfs %s\n", lsm_version());
	else
		return complain_of_verb(argv[1]);
	return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	if (strcmp(name, "mount.lsmfs") == 0 || strcmp(name, "mount.fuse.lsmfs") == 0) {
		program_name = name;
		return mount_helper(argc, argv);
	}
	return lsmfs_main(argc, argv);
}
