/* SPDX-License-Identifier: MIT */
/* lsmfs repair: shows what it would do, and does it when it is told to. */
#include "fs/verbs/check_store.h"
#include "fs/verbs/common.h"
#include "fs/verbs/verbs.h"
#include "fs/volume/mend.h"
#include "lsm/lsm.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct repair {
	const char *store;
	bool yes;
	char lost[4200];      /* STORE.lost+found/N */
	uint64_t steps, kept; /* of the present plan or repair; rows */
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct repair *a = state->input;
	const char **const words[] = { &a->store };

	if (key == 'y') {
		a->yes = true;
		return 0;
	}
	return take_words(key, arg, state, words, 1, 1, "a store is needed");
}

/* ---- steps ---- */

static int on_store_step(void *ctx, const char *what)
{
	((struct repair *)ctx)->steps++;
	print_name(what, true);
	putchar('\n');
	return 0;
}

static int on_volume_step(void *ctx, const char *path, const char *find, const char *mend)
{
	struct repair *a = ctx;

	a->steps++;
	print_name(path[0] ? path : a->store, true);
	printf(": ");
	print_name(find, true);
	printf("; %s\n", mend);
	return 0;
}

/* ---- what is taken out ---- */

/* The first number that no earlier repair has used. The directory itself is made when there is something for it. */
static int choose_lost(struct repair *a)
{
	size_t n = strlen(a->store);
	struct stat st;

	while (n > 1 && a->store[n - 1] == '/')
		n--;
	for (unsigned i = 1;; i++) {
		if (snprintf(a->lost, sizeof(a->lost), "%.*s.lost+found/%u", (int)n, a->store, i) >=
		    (int)sizeof(a->lost))
			return -ENAMETOOLONG;
		if (lstat(a->lost, &st) < 0)
			return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	}
}

static int make_parent(const struct repair *a)
{
	char parent[sizeof(a->lost)];

	memcpy(parent, a->lost, sizeof(parent));
	*strrchr(parent, '/') = 0;
	return mkdir(parent, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* "row-000017-0000000000000001690000…": in order, and of the key as much as a name has room for. */
static void row_name(char *name, size_t size, uint64_t number, struct row_key key)
{
	enum { KEY_BYTES = 64 };
	const uint8_t *p = key.data;
	size_t at = (size_t)snprintf(name, size, "row-%06llu-", (unsigned long long)number);

	for (size_t i = 0; i < key.size && i < KEY_BYTES; i++)
		at += (size_t)snprintf(name + at, size - at, "%02x", p[i]);
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int on_keep(void *ctx, struct row_key key, struct row_key value)
{
	struct repair *a = ctx;
	char name[256];
	int dir, fd = -1, r = 0;

	if (mkdir(a->lost, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = open(a->lost, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	row_name(name, sizeof(name), ++a->kept, key);
	if (dir >= 0)
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		r = -errno;
	if (r == 0)
		r = write_all(fd, value.data, value.size);
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	if (r < 0)
		complain("cannot keep a row in %s: %s", a->lost, strerror(-r));
	return r;
}

/* ---- the two repairs ---- */

static int repair_store(struct repair *a, bool plan_only)
{
	const struct lsm_repair_options options = {
		.lost = a->lost, .plan_only = plan_only, .step = on_store_step, .ctx = a
	};
	int rc = lsm_repair(a->store, &options);

	if (!rc)
		return 0;
	if (rc == LSM_BUSY)
		store_complain_busy(a->store, lsm_last_error()->message);
	else
		complain("cannot repair the store %s: %s", a->store, lsm_last_error()->message);
	return -EIO;
}

static int repair_volume(struct repair *a, bool plan_only)
{
	const struct rows_lsm_options options = { .read_only = plan_only };
	const struct volume_mend_options mend = {
		.plan_only = plan_only, .step = on_volume_step, .keep = on_keep, .ctx = a
	};
	struct volume_mended mended;
	char message[1024] = "";
	struct rows *rows;
	int r = rows_lsm_open(a->store, &options, &rows, message, sizeof(message));

	if (r < 0) {
		complain("cannot open the store %s: %s", a->store, message[0] ? message : strerror(-r));
		return r;
	}
	r = volume_mend(rows, &mend, &mended);
	if (r == -EUCLEAN)
		complain("the files in %s can't be repaired without a superblock that this version knows", a->store);
	else if (r < 0)
		complain("cannot repair the files in %s: %s", a->store, strerror(-r));
	return r;
}

/* 1: there is something to do; 0: nothing. */
static int plan(struct repair *a)
{
	int r = repair_store(a, true);

	if (r < 0)
		return r;
	if (a->steps) {
		puts("Then its files are checked, and mended as far as they need it.");
		return 1;
	}
	r = repair_volume(a, true);
	return r < 0 ? r : a->steps > 0;
}

static bool asked_for(const struct repair *a)
{
	char answer[16];

	if (a->yes)
		return true;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return false;
	printf("What is replaced is kept in %s. Do all this? [y/N] ", a->lost);
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int repair(struct repair *a)
{
	struct check_result result;
	struct stat st;
	int r = make_parent(a);

	if (r < 0)
		complain("cannot make the directory of %s: %s", a->lost, strerror(-r));
	if (r == 0)
		r = repair_store(a, false);
	if (r == 0)
		r = repair_volume(a, false);
	if (stat(a->lost, &st) == 0)
		printf("What was replaced is in %s\n", a->lost);
	else {
		*strrchr(a->lost, '/') = 0;
		rmdir(a->lost); /* unless an earlier repair has left something in it */
	}
	if (r < 0)
		return CHECK_EXIT_FAILED;
	if (check_store(a->store, a->store, true, &result) < 0)
		return CHECK_EXIT_FAILED;
	if (result.store_finds || result.volume_finds || result.unsupported)
		return CHECK_EXIT_DAMAGED;
	printf("%s: repaired, %llu files, %llu directories, %llu others\n", a->store, (unsigned long long)result.files,
	       (unsigned long long)result.directories, (unsigned long long)result.others);
	return CHECK_EXIT_MENDED;
}

static int run(struct repair *a)
{
	int r = choose_lost(a);

	if (r < 0) {
		complain("cannot look at %s: %s", a->lost, strerror(-r));
		return CHECK_EXIT_FAILED;
	}
	if (!a->yes) {
		r = plan(a);
		if (r < 0)
			return CHECK_EXIT_FAILED;
		if (r == 0) {
			printf("%s: there is nothing to repair\n", a->store);
			return CHECK_EXIT_CLEAN;
		}
	}
	if (!asked_for(a)) {
		printf("Nothing was changed. To do it: lsmfs repair --yes %s\n", a->store);
		return CHECK_EXIT_DAMAGED;
	}
	a->steps = 0;
	r = repair(a);
	if (r == CHECK_EXIT_MENDED && !a->steps)
		return CHECK_EXIT_CLEAN;
	return r;
}

int verb_repair(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "yes", 'y', NULL, 0, "Do it, and don't ask", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		on_argument,
		"STORE",
		"Shows what can be done about the damage in a store that isn't mounted and, with --yes or when the "
		"terminal says "
		"yes, does it: all that can be read stays, and what is replaced or taken out is kept in "
		"STORE.lost+found. Files that "
		"have lost their names get one in the directory lost+found of the volume.\v"
		"Examples:\n"
		"  lsmfs repair ~/store\n"
		"  lsmfs repair --yes ~/store\n\n"
		"Exit status, as of fsck(8): 0 nothing to repair, 1 repaired, 4 damage is left, 8 failed, 16 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct repair a = { 0 };
	int status;

	parse_arguments(&argp, argc, argv, CHECK_EXIT_USAGE, &a);
	status = run(&a);
	if (fflush(stdout) != 0) {
		complain("cannot write to standard output: %s", strerror(errno));
		status = CHECK_EXIT_FAILED;
	}
	return status;
}
