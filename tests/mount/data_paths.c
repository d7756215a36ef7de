/* SPDX-License-Identifier: MIT */
/*
 * data_paths - random operations on a few files by all the paths that bytes may take, checked against a model.
 *
 *   data_paths turns DIR [options]     one process or several, one after the other, in an order that the seed decides
 *   data_paths ranges DIR [options]    several processes at once on one file, each with a range of its own, one with
 *                                      the end, and all of them with a part under a lock
 *   data_paths append DIR [options]    several processes append records of up to 1 MiB to one file at once
 *   data_paths check DIR -m MODEL      only what is done at the start of `turns`: the files are as MODEL says
 *
 *   -s SEED      LSMFS_SEED, or the clock. The same seed, number of processes and -m repeat a run.
 *   -t SECONDS   how long (5)
 *   -n COUNT     so many operations instead (turns only)
 *   -p COUNT     processes (turns: 1; the others: 4)
 *   -m MODEL     a file on another file system: what DIR must hold at the start (absent: it is made), and at the end. So
 *                a mount can be taken away and made again in between.
 *   -u           at the start: the file system had died. What was not synced may be there or not.
 *   -k           the file system may die: the exit code is 3 then.
 *   -d COUNT     how often root may drop all caches of the machine (3)
 */
#include "data_paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
	const char *mode, *dir, *model, *seed;
	double seconds;
	unsigned long count;
	unsigned workers, drops;
	bool unclean, may_die;
};

/* ---- how a test fails ---- */

void note(struct worker *x, const char *format, ...)
{
	unsigned long i = __atomic_fetch_add(&x->s->count, 1, __ATOMIC_RELAXED);
	char *line = x->s->history[i % HISTORY];
	va_list args;
	int n;

	x->s->history_of[i % HISTORY] = (uint8_t)x->me;
	n = snprintf(line, sizeof(x->s->history[0]), "%lu process %u: ", i, x->me);
	va_start(args, format);
	vsnprintf(line + n, sizeof(x->s->history[0]) - (size_t)n, format, args);
	va_end(args);
}

/* The last steps; of several processes at once only those of the one that failed. */
static void show_history(const struct worker *x, FILE *out)
{
	unsigned long count = x->s->count, first = count > HISTORY ? count - HISTORY : 0, begin = count;

	for (unsigned shown = 0; begin > first && shown < HISTORY_SHOWN; begin--)
		shown += !x->s->parallel || x->s->history_of[(begin - 1) % HISTORY] == x->me;
	for (unsigned long i = begin; i < count; i++) {
		if (!x->s->parallel || x->s->history_of[i % HISTORY] == x->me)
			fprintf(out, "  %s\n", x->s->history[i % HISTORY]);
	}
}

void die(struct worker *x, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fflush(stdout);
	show_history(x, stderr);
	fprintf(stderr, "data_paths, process %u, seed %s: %s\n", x->me, x->s->seed_text, text);
	_exit(1);
}

static bool file_system_is_dead(struct worker *x)
{
	struct statx st;

	return statx(AT_FDCWD, x->s->dir, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) < 0 &&
	       (errno == ENOTCONN || errno == ECONNABORTED || errno == ECANCELED);
}

void call_failed(struct worker *x, const char *what)
{
	int err = errno;

	if (x->s->may_die && file_system_is_dead(x))
		_exit(DEAD);
	die(x, "%s: %s", what, strerror(err));
}

long must(struct worker *x, long got, const char *what)
{
	if (got < 0)
		call_failed(x, what);
	return got;
}

void must_be(struct worker *x, long got, long want, const char *what)
{
	if (got == want)
		return;
	if (got < 0 || (x->s->may_die && file_system_is_dead(x)))
		call_failed(x, what);
	die(x, "%s gives %ld instead of %ld", what, got, want);
}

/* ---- the files at the start ---- */

#define KIB ((size_t)1 << 10)

/* Borders of what 32 bits, a file system or the kernel can count, as far as files may be so large. */
static void far_windows(struct shared *s, struct file *f)
{
	static const uint64_t borders[] = { UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 43 };
	struct window windows[WINDOWS_MAX] = { { .base = 0, .size = 96 * KIB } };
	unsigned n = 1;

	for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
		if (borders[i] + 64 * KIB <= s->can.size_max)
			windows[n++] = (struct window){ .base = borders[i] - 64 * KIB, .size = 128 * KIB };
	}
	if (s->can.size_max == INT64_MAX)
		windows[n++] = (struct window){ .base = (uint64_t)INT64_MAX + 1 - 80 * KIB, .size = 80 * KIB - 1 };
	file_windows(f, n, windows);
}

static void files_make(struct worker *x)
{
	static const struct window large = { .size = 5 << 20 }, small = { .size = 192 << 10 };

	file_windows(&x->s->files[0], 1, &large);
	file_windows(&x->s->files[1], 1, &small);
	far_windows(x->s, &x->s->files[2]);
	for (unsigned i = 0; i < FILES; i++)
		file_create(x, i);
}

/* The name under which it is there after a death, while its name was being changed. */
static void name_after_death(struct worker *x, unsigned file)
{
	const struct pending *pending = &x->s->pending;
	struct file *f = &x->s->files[file];
	char path[400], new_path[400];
	bool there, new_there;

	if (pending->file != file)
		return;
	file_path(x, f->name, path);
	there = access(path, F_OK) == 0;
	if (pending->kind == PENDING_RENAME) {
		file_path(x, pending->new_name, new_path);
		new_there = access(new_path, F_OK) == 0;
		if (there && new_there)
			must(x, unlink(new_path), "unlink");
		else if (new_there)
			memcpy(f->name, pending->new_name, sizeof(f->name));
	} else if (!there && (pending->kind == PENDING_UNLINK || pending->kind == PENDING_CREATE)) {
		f->nameless = true; /* nothing is left of it */
	}
}

/* What was under way is needed until all have been looked at: only then new ones are made. */
static void files_check(struct worker *x, const struct options *o)
{
	for (unsigned i = 0; i < FILES; i++) {
		struct file *f = &x->s->files[i];

		f->generation++;
		if (o->unclean)
			name_after_death(x, i);
		if (!f->nameless)
			check_after_mount(x, i, !o->unclean);
	}
	for (unsigned i = 0; i < FILES; i++) {
		if (x->s->files[i].nameless)
			file_create(x, i);
	}
	x->s->pending.kind = PENDING_NOTHING;
}

/* No other of theirs is in the directory. */
static void check_names(struct worker *x)
{
	DIR *d = opendir(x->s->dir);
	unsigned count = 0, want = 0;

	if (!d)
		call_failed(x, "opendir");
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		count += strncmp(e->d_name, "file", 4) == 0;
	closedir(d);
	for (unsigned i = 0; i < FILES; i++)
		want += !x->s->files[i].nameless;
	if (count != want)
		die(x, "%u names are in the directory instead of %u", count, want);
}

/* ---- turns ---- */

struct player {
	pid_t pid;
	int go, done; /* pipes */
};

static void play(struct shared *s, unsigned me, int go, int done)
{
	struct worker x;
	char byte;

	worker_start(&x, s, me);
	while (read(go, &byte, 1) == 1) {
		operate(&x);
		if (write(done, &byte, 1) != 1)
			break;
	}
	worker_end(&x);
	_exit(0);
}

static void player_start(struct shared *s, struct player *players, unsigned me)
{
	struct player *p = &players[me];
	int go[2], done[2];

	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0) {
		perror("pipe");
		exit(2);
	}
	fflush(stdout);
	p->pid = fork();
	if (p->pid < 0) {
		perror("fork");
		exit(2);
	}
	if (p->pid == 0) {
		for (unsigned i = 0; i < me; i++) {
			close(players[i].go);
			close(players[i].done);
		}
		close(go[1]);
		close(done[0]);
		play(s, me, go[0], done[1]);
	}
	close(go[0]);
	close(done[1]);
	p->go = go[1];
	p->done = done[0];
}

/* A process that waits for a dead file system without end in the kernel is killed by who calls us. */
static int ended_by_signal(struct worker *x, int number)
{
	if (number == SIGKILL && x->s->may_die && file_system_is_dead(x))
		return DEAD;
	fprintf(stderr, "data_paths: a process was ended by signal %d\n", number);
	return 1;
}

/* 0, or how the process has ended. */
static int player_turn(struct worker *x, struct player *p)
{
	char byte = 0;
	int status;

	if (write(p->go, &byte, 1) == 1 && read(p->done, &byte, 1) == 1)
		return 0;
	if (waitpid(p->pid, &status, 0) < 0)
		return 2;
	p->pid = 0;
	if (WIFSIGNALED(status))
		return ended_by_signal(x, WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

static int player_end(struct player *p)
{
	int status = 0;

	close(p->go);
	close(p->done);
	if (p->pid && waitpid(p->pid, &status, 0) < 0)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Returns 0, or the exit code of the process that failed. */
static int take_turns(struct worker *x, const struct options *o)
{
	struct shared *s = x->s;
	double end = seconds_now() + o->seconds;
	struct player players[WORKERS_MAX];
	unsigned long turns = 0;
	int code = 0, r;

	for (unsigned i = 0; i < o->workers; i++)
		player_start(s, players, i);
	printf("seed %s: begin\n", s->seed_text);
	while (!code && (o->count ? turns < o->count : seconds_now() < end)) {
		code = player_turn(x, &players[rng_below(&s->rng, o->workers)]);
		turns++;
	}
	for (unsigned i = 0; i < o->workers; i++) {
		r = player_end(&players[i]);
		code = code ? code : r;
	}
	printf("seed %s: %lu turns, %lu steps%s\n", s->seed_text, turns, s->count,
	       code == DEAD ? ", until the file system died" : "");
	return code;
}

static int run_turns(struct shared *s, const struct options *o)
{
	struct worker x;
	int code = 0;

	worker_start(&x, s, WORKERS_MAX);
	note(&x, "start");
	if (o->model && model_load(s, o->model))
		files_check(&x, o);
	else
		files_make(&x);
	check_names(&x);
	worker_end(&x);
	if (strcmp(o->mode, "check") != 0)
		code = take_turns(&x, o);
	else
		printf("the files are as they should be\n");
	if (code == DEAD) {
		model_died(s);
		show_history(&x, stdout);
	}
	if (o->model && (!code || code == DEAD))
		model_save(s, o->model);
	return code;
}

/* ---- main ---- */

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr, "usage: data_paths turns|ranges|append|check DIR [-s SEED] [-t SECONDS] [-n COUNT] [-p COUNT] "
			"[-m MODEL] [-u] [-k] [-d COUNT]\n");
	exit(2);
}

static void take_options(int argc, char **argv, struct options *o)
{
	int c;

	if (argc < 3)
		usage();
	*o = (struct options){ .mode = argv[1], .dir = argv[2], .seconds = 5, .drops = 3, .workers = 4 };
	if (strcmp(o->mode, "turns") == 0 || strcmp(o->mode, "check") == 0)
		o->workers = 1;
	while ((c = getopt(argc - 2, argv + 2, "s:t:n:p:m:ukd:")) != -1) {
		switch (c) {
		case 's':
			o->seed = optarg;
			break;
		case 't':
			o->seconds = strtod(optarg, NULL);
			break;
		case 'n':
			o->count = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			o->workers = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'm':
			o->model = optarg;
			break;
		case 'u':
			o->unclean = true;
			break;
		case 'k':
			o->may_die = true;
			break;
		case 'd':
			o->drops = (unsigned)strtoul(optarg, NULL, 0);
			break;
		default:
			usage();
		}
	}
	if (argc - 2 != optind || o->workers < 1 || o->workers > WORKERS_MAX)
		usage();
}

static struct shared *shared_new(const struct options *o)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	snprintf(s->dir, sizeof(s->dir), "%s", o->dir);
	if (o->seed)
		s->rng.state = strtoull(o->seed, NULL, 0);
	else if (strcmp(o->mode, "check") != 0)
		s->rng.state = seed_choose("data_paths");
	snprintf(s->seed_text, sizeof(s->seed_text), "%llu", (unsigned long long)s->rng.state);
	s->may_die = o->may_die;
	s->drops_left = o->drops;
	model_new(s);
	return s;
}

int main(int argc, char **argv)
{
	struct options o;
	struct shared *s;
	struct worker x;
	int code;

	take_options(argc, argv, &o);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	s = shared_new(&o);
	worker_start(&x, s, 0);
	abilities_find(&x);
	worker_end(&x);
	if (!o.model)
		abilities_show(&s->can);
	s->track = strcmp(o.mode, "turns") == 0 || strcmp(o.mode, "check") == 0;
	s->parallel = !s->track;
	if (s->track)
		code = run_turns(s, &o);
	else if (strcmp(o.mode, "ranges") == 0)
		code = run_ranges(s, o.workers, o.seconds);
	else if (strcmp(o.mode, "append") == 0)
		code = run_appenders(s, o.workers, o.seconds);
	else
		usage();
	return code;
}
