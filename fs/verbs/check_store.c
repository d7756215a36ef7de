/* SPDX-License-Identifier: MIT */
#include "fs/verbs/check_store.h"
#include "fs/verbs/common.h"
#include "fs/verbs/progress.h"
#include "fs/volume/check.h"
#include "lsm/lsm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key, or a range of them, that the check of the store's files has found something about. */
struct concern {
	uint8_t *begin, *end; /* one allocation */
	size_t begin_size, end_size;
};

struct concerns {
	struct concern *list;
	size_t n, capacity;
};

struct run {
	const char *path, *shown;
	bool quiet, out_of_memory;
	struct check_result result;
	struct concerns ranges, keys;
	struct progress progress;
};

enum { STOPPED = 1000 }; /* no code of the checks' own */

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = number;
}

void check_stop_on_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* ---- what is concerned ---- */

static bool concern_add(struct concerns *c, const struct lsm_find *f)
{
	struct concern k = { .begin_size = f->begin.size, .end_size = f->end.size };

	if (c->n == c->capacity) {
		size_t capacity = c->capacity ? c->capacity * 2 : 64;
		struct concern *list = realloc(c->list, capacity * sizeof(*list));

		if (!list)
			return false;
		c->list = list;
		c->capacity = capacity;
	}
	k.begin = malloc(k.begin_size + k.end_size + 1);
	if (!k.begin)
		return false;
	k.end = k.begin + k.begin_size;
	memcpy(k.begin, f->begin.data, k.begin_size);
	if (k.end_size)
		memcpy(k.end, f->end.data, k.end_size);
	c->list[c->n++] = k;
	return true;
}

static void concerns_done(struct concerns *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->list[i].begin);
	free(c->list);
}

static int compare(const void *a, size_t a_size, const void *b, size_t b_size)
{
	size_t n = a_size < b_size ? a_size : b_size;
	int r = n ? memcmp(a, b, n) : 0;

	return r ? r : a_size < b_size ? -1 : a_size > b_size;
}

static int by_begin(const void *a, const void *b)
{
	const struct concern *x = a, *y = b;

	return compare(x->begin, x->begin_size, y->begin, y->begin_size);
}

/* Ascending, and those that touch as one. Returns how many. */
static size_t to_ranges(struct concerns *c, struct volume_range *ret)
{
	size_t n = 0;

	if (c->n)
		qsort(c->list, c->n, sizeof(*c->list), by_begin);
	for (size_t i = 0; i < c->n; i++) {
		const struct concern *k = &c->list[i];
		struct volume_range *last = n ? &ret[n - 1] : NULL;
		struct row_key end = { k->end, k->end_size };

		if (last && compare(last->end.data, last->end.size, k->begin, k->begin_size) >= 0) {
			if (compare(last->end.data, last->end.size, end.data, end.size) < 0)
				last->end = end;
		} else {
			ret[n++] = (struct volume_range){ { k->begin, k->begin_size }, end };
		}
	}
	return n;
}

static void to_keys(struct concerns *c, struct row_key *ret)
{
	if (c->n)
		qsort(c->list, c->n, sizeof(*c->list), by_begin);
	for (size_t i = 0; i < c->n; i++)
		ret[i] = (struct row_key){ c->list[i].begin, c->list[i].begin_size };
}

/* ---- the store's files ---- */

/* The store may be checked in another place than it is shown in. */
static void print_shown(const struct run *run, const char *text)
{
	size_t n = strlen(run->path);
	const char *at;
	char before[1100];

	while ((at = strstr(text, run->path)) && (size_t)(at - text) < sizeof(before)) {
		memcpy(before, text, (size_t)(at - text));
		before[at - text] = 0;
		print_name(before, true);
		print_name(run->shown, true);
		text = at + n;
	}
	print_name(text, true);
}

static void print_find(struct run *run, const char *where, const char *what)
{
	progress_done(&run->progress);
	print_shown(run, where);
	printf(": ");
	print_shown(run, what);
	putchar('\n');
}

static int on_store_find(void *ctx, const struct lsm_find *f)
{
	struct run *run = ctx;
	char where[600];

	if (f->severity == LSM_FIND_INFO) {
		run->result.infos++;
		if (run->quiet)
			return 0;
	} else {
		run->result.store_finds++;
		if (f->end.size)
			run->out_of_memory |= !concern_add(&run->ranges, f);
		else if (f->begin.size)
			run->out_of_memory |= !concern_add(&run->keys, f);
	}
	snprintf(where, sizeof(where), "%s, byte %llu", f->file, (unsigned long long)f->offset);
	print_find(run, where, f->what);
	return run->out_of_memory ? LSM_NO_MEMORY : 0;
}

static int on_store_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct run *run = ctx;

	run->result.bytes = total;
	(void)progress_show(&run->progress, done, total);
	return stopped ? STOPPED : 0;
}

static int check_files(struct run *run)
{
	const struct lsm_check_options options = { .find = on_store_find, .progress = on_store_progress, .ctx = run };
	int rc;

	progress_init(&run->progress, "checked", NULL);
	rc = lsm_check(run->path, &options);
	progress_done(&run->progress);
	switch (rc) {
	case LSM_OK:
	case LSM_CORRUPT:
		return 0;
	case LSM_UNSUPPORTED:
		run->result.unsupported = true;
		return 0;
	case LSM_BUSY:
		store_complain_busy(run->shown, lsm_last_error()->message);
		return -EBUSY;
	case STOPPED:
		complain("the check was ended by a signal");
		return -EINTR;
	default:
		complain("cannot check the store %s: %s", run->shown, lsm_last_error()->message);
		return -EIO;
	}
}

/* ---- the volume ---- */

static int on_volume_find(void *ctx, const struct volume_find *f)
{
	struct run *run = ctx;

	run->result.volume_finds++;
	print_find(run, f->path[0] ? f->path : run->shown, f->what);
	return 0;
}

static int on_volume_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct run *run = ctx;

	if (total)
		(void)progress_show(&run->progress, done, total);
	return stopped ? STOPPED : 0;
}

static int check_rows(struct run *run, struct rows *rows)
{
	struct volume_range *ranges = calloc(run->ranges.n + 1, sizeof(*ranges));
	struct row_key *keys = calloc(run->keys.n + 1, sizeof(*keys));
	struct volume_check_options options = { on_volume_find, on_volume_progress, run, ranges, 0, keys, run->keys.n };
	struct volume_checked sums = { 0 };
	int r = -ENOMEM;

	if (ranges && keys) {
		options.unreadable_n = to_ranges(&run->ranges, ranges);
		to_keys(&run->keys, keys);
		progress_init(&run->progress, "names and rows checked", NULL);
		run->progress.unit = "steps";
		r = volume_check(rows, &options, &sums);
		progress_done(&run->progress);
	}
	free(ranges);
	free(keys);
	run->result.files = sums.files;
	run->result.directories = sums.directories;
	run->result.others = sums.others;
	if (sums.passed_over && !r)
		print_find(run, run->shown,
			   "link counts, and whether a way leads to everything, were not checked: some rows can't be "
			   "read");
	if (r == -EUCLEAN) /* has been told */
		return 0;
	if (r == STOPPED) {
		complain("the check was ended by a signal");
		return -EINTR;
	}
	if (r < 0)
		complain("cannot check the files in %s: %s", run->shown, strerror(-r));
	return r;
}

/* A store that doesn't open has its finds already. */
static int check_volume(struct run *run)
{
	const struct rows_lsm_options options = { .read_only = true };
	char message[1024] = "";
	struct rows *rows;
	int r = rows_lsm_open(run->path, &options, &rows, message, sizeof(message));

	if (r < 0 && (run->result.store_finds || run->result.unsupported)) {
		print_find(run, run->shown, "the files in it were not checked, since the store doesn't open");
		return 0;
	}
	if (r < 0) {
		complain("cannot open the store %s: %s", run->shown, message[0] ? message : strerror(-r));
		return r;
	}
	r = check_rows(run, rows);
	(void)rows->ops->close(rows);
	return r;
}

int check_store(const char *path, const char *shown, bool quiet, struct check_result *ret)
{
	struct run run = { .path = path, .shown = shown, .quiet = quiet };
	int r = check_files(&run);

	if (r == 0)
		r = check_volume(&run);
	concerns_done(&run.ranges);
	concerns_done(&run.keys);
	*ret = run.result;
	return r;
}
