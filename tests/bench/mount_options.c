/* SPDX-License-Identifier: MIT */
/* The command line of bench_mount, and which workloads it means. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/mount_job.h"

static const char usage[] =
	"scripts/bench mount [--install] [OPTIONS]: a mount of ours beside the file system below it, a passthrough "
	"file\n"
	"system over that, and a FUSE file system that answers from memory\n"
	"\n"
	"  --install           first install gnuplot and what the stories run\n"
	"  --targets LIST      of lsmfs, native (also by its type: ext4), passthrough, null (default: all)\n"
	"  --groups LIST       groups of workloads below (default: all)\n"
	"  --workloads LIST    single workloads; those that make what they read run before them\n"
	"  --quick             small numbers, one round, no meson-build: about a minute\n"
	"  --full              large numbers, 5 rounds, stories in each: an hour and more\n"
	"  --rounds N          rounds, of which the median counts (default 3; stories are told in the first only)\n"
	"  --files N           small files of a workload (default 10000)\n"
	"  --file-bytes N      size of each (default 100)\n"
	"  --big-mib N         the large file (default 1024)\n"
	"  --entries N         of the directory that is listed, files whose space is looked at (default 100000)\n"
	"  --story-files N     of the trees of stories (default 30000; repository and archive: a sixth)\n"
	"  --rows N            transactions of the SQLite story (default 2000)\n"
	"  --seconds N         a workload that need not be complete ends after so long (default 2; 0: no limit)\n"
	"  --dir DIR           where all is made, in a new directory: on the disk that is meant (default: this one)\n"
	"  --lsmfs PROGRAM     another build of ours\n"
	"  --mount-options O   for ours, as for lsmfs mount -o\n"
	"  --null-loop LOOP    what serves null's requests: own (as ours; default) or libfuse\n"
	"  --json FILE         all figures of all rounds, a line of JSON each\n"
	"  --svg FILE          a chart (needs gnuplot)\n"
	"  --all-tables        all figures on the terminal, too\n"
	"  --quiet             no progress\n"
	"  --help              this\n";

static void print_usage(void)
{
	fputs(usage, stdout);
	for (unsigned g = 0; g < work_groups_n; g++) {
		printf("\n%s: %s\n", work_groups[g].name, work_groups[g].about);
		for (unsigned i = 0; i < works_n; i++)
			if (!strcmp(works[i].group, work_groups[g].name))
				printf("  %-18s %s\n", works[i].name, works[i].about);
	}
}

enum {
	TARGETS_LIST = 256,
	GROUPS,
	WORKLOADS,
	QUICK,
	FULL,
	ROUNDS,
	FILES,
	FILE_BYTES,
	BIG_MIB,
	ENTRIES,
	STORY_FILES,
	ROWS,
	SECONDS,
	DIR,
	LSMFS,
	MOUNT_OPTIONS,
	NULL_LOOP,
	JSON,
	SVG,
	ALL_TABLES,
	QUIET,
	HELP,
	OPTIONS_END
};

static const struct option long_options[] = {
	{ "targets", required_argument, NULL, TARGETS_LIST },
	{ "groups", required_argument, NULL, GROUPS },
	{ "workloads", required_argument, NULL, WORKLOADS },
	{ "quick", no_argument, NULL, QUICK },
	{ "full", no_argument, NULL, FULL },
	{ "rounds", required_argument, NULL, ROUNDS },
	{ "files", required_argument, NULL, FILES },
	{ "file-bytes", required_argument, NULL, FILE_BYTES },
	{ "big-mib", required_argument, NULL, BIG_MIB },
	{ "entries", required_argument, NULL, ENTRIES },
	{ "story-files", required_argument, NULL, STORY_FILES },
	{ "rows", required_argument, NULL, ROWS },
	{ "seconds", required_argument, NULL, SECONDS },
	{ "dir", required_argument, NULL, DIR },
	{ "lsmfs", required_argument, NULL, LSMFS },
	{ "mount-options", required_argument, NULL, MOUNT_OPTIONS },
	{ "null-loop", required_argument, NULL, NULL_LOOP },
	{ "json", required_argument, NULL, JSON },
	{ "svg", required_argument, NULL, SVG },
	{ "all-tables", no_argument, NULL, ALL_TABLES },
	{ "quiet", no_argument, NULL, QUIET },
	{ "help", no_argument, NULL, HELP },
	{ 0 },
};

/* What was given, by option; NULL: it wasn't. */
struct given {
	const char *values[OPTIONS_END - TARGETS_LIST];
};

static const char *given(const struct given *g, int option)
{
	return g->values[option - TARGETS_LIST];
}

/* ---- lists ---- */

static const char *work_name(unsigned i)
{
	return works[i].name;
}

static const char *group_name(unsigned i)
{
	return work_groups[i].name;
}

/* The native one has two names. */
static const char *target_names[TARGETS + 1] = { "lsmfs", "native", "passthrough", "null" };

static const char *target_name(unsigned i)
{
	return target_names[i];
}

static void choose_targets(struct mount_bench *b, const char *list)
{
	bool chosen[TARGETS + 1] = { 0 };

	target_names[TARGETS] = native_name(b->parent);
	if (list)
		list_choose("target", list, TARGETS + 1, target_name, chosen);
	chosen[TARGET_NATIVE] = chosen[TARGET_NATIVE] || chosen[TARGETS];
	for (unsigned k = 0; k < TARGETS; k++)
		if (!list || chosen[k])
			b->targets[b->targets_n++] =
				(struct target){ .kind = k,
						 .name = k == TARGET_NATIVE ? target_names[TARGETS] : target_names[k],
						 .known_max = k == TARGET_PASSTHROUGH ? passthrough_known_max()
										      : UINT64_MAX };
}

static void choose_groups(struct mount_bench *b, const char *list, unsigned flags_not)
{
	bool chosen[WORKS_MAX] = { 0 };

	if (list)
		list_choose("group", list, work_groups_n, group_name, chosen);
	for (unsigned g = 0; g < work_groups_n; g++)
		for (unsigned i = 0; (!list || chosen[g]) && i < works_n; i++)
			if (!strcmp(works[i].group, work_groups[g].name) && !(works[i].flags & flags_not))
				b->wanted[i] = true;
}

/* Those wanted, and what they find made. */
static void choose_needed(struct mount_bench *b)
{
	bool wanted_later = false;

	for (unsigned i = works_n; i-- > 0;) {
		b->needed[i] = b->wanted[i] || (wanted_later && !(works[i].flags & WORK_ASIDE));
		wanted_later = (wanted_later || b->wanted[i]) && !(works[i].flags & WORK_FRESH);
		for (unsigned t = 0; b->needed[i] && t < b->targets_n; t++)
			if (work_is_for(&b->settings, &works[i], &b->targets[t]))
				b->steps += works[i].flags & WORK_STORY ? b->story_rounds : b->rounds;
	}
}

/* ---- the rest ---- */

static uint64_t number(const struct given *g, int option, uint64_t standard, uint64_t min, uint64_t max)
{
	char name[64];

	if (!given(g, option))
		return standard;
	snprintf(name, sizeof(name), "--%s", long_options[option - TARGETS_LIST].name);
	return number_parse(name, given(g, option), min, max);
}

static void take_numbers(struct mount_bench *b, const struct given *g)
{
	/* by size: quick, as a rule, full */
	const unsigned size = given(g, QUICK) ? 0 : given(g, FULL) ? 2 : 1;
	static const unsigned rounds[] = { 1, 3, 5 }, files[] = { 1000, 10000, 100000 }, mib[] = { 32, 1024, 1024 };
	static const unsigned entries[] = { 5000, 100000, 1000000 }, story_files[] = { 1500, 30000, 30000 };
	static const unsigned rows[] = { 200, 2000, 10000 };
	static const double seconds[] = { 0.3, 2, 10 };
	struct mount_settings *s = &b->settings;

	b->rounds = (unsigned)number(g, ROUNDS, rounds[size], 1, ROUNDS_MAX);
	b->story_rounds = given(g, FULL) ? b->rounds : 1;
	s->files = number(g, FILES, files[size], TREE_DIRS, 9999999 / 100);
	s->file_bytes = number(g, FILE_BYTES, 100, 1, FILE_BYTES_MAX);
	s->big_bytes = number(g, BIG_MIB, mib[size], 1, 1 << 20) << 20;
	s->entries = number(g, ENTRIES, entries[size], 1, 9999999);
	s->story_files = number(g, STORY_FILES, story_files[size], 60, 1000000);
	s->rows = number(g, ROWS, rows[size], 1, 100000000);
	s->seconds = given(g, SECONDS) ? (double)number(g, SECONDS, 0, 0, 86400) : seconds[size];
}

/* `path` beside this program. */
static void beside(char ret[PATH_SIZE], const char *path)
{
	char self[PATH_SIZE - 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	if (strrchr(self, '/'))
		*strrchr(self, '/') = 0;
	snprintf(ret, PATH_SIZE, "%s/%s", self, path);
}

/* malloc'd. Ends the process when there is nothing. */
static char *resolved(const char *given_path)
{
	char *path = realpath(given_path, NULL);

	if (!path)
		bench_fail(given_path, strerror(errno));
	return path;
}

static void take_ours(struct mount_bench *b, const char *given_path)
{
	char *path = resolved(given_path);

	snprintf(b->programs.ours, sizeof(b->programs.ours), "%s", path);
	free(path);
}

static void take_programs(struct mount_bench *b, const struct given *g)
{
	struct programs *p = &b->programs;

	beside(p->ours, "../../fs/lsmfs");
	beside(p->null, "fs_null");
	beside(p->passthrough, "fs_passthrough");
	snprintf(p->stories, sizeof(p->stories), "%s/tests/bench/stories.sh", LSMFS_SOURCE_DIR);
	if (given(g, LSMFS))
		take_ours(b, given(g, LSMFS));
	p->mount_options = given(g, MOUNT_OPTIONS);
	p->null_loop = given(g, NULL_LOOP) ? given(g, NULL_LOOP) : "own";
	if (strcmp(p->null_loop, "own") && strcmp(p->null_loop, "libfuse"))
		bench_fail("--null-loop", "own or libfuse");
}

static void take_dir(struct mount_bench *b, const char *dir)
{
	char *path = resolved(dir);

	if (strlen(path) >= sizeof(b->parent))
		bench_fail("--dir", "too long");
	snprintf(b->parent, sizeof(b->parent), "%s", path);
	free(path);
}

static void apply(struct mount_bench *b, const struct given *g)
{
	if (given(g, QUICK) && given(g, FULL))
		bench_fail("options", "--quick and --full exclude each other");
	take_numbers(b, g);
	take_programs(b, g);
	take_dir(b, given(g, DIR) ? given(g, DIR) : ".");
	b->json_path = given(g, JSON);
	b->svg_path = given(g, SVG);
	b->all_tables = given(g, ALL_TABLES);
	b->quiet = given(g, QUIET);
	choose_targets(b, given(g, TARGETS_LIST));
	if (given(g, GROUPS) || !given(g, WORKLOADS))
		choose_groups(b, given(g, GROUPS), given(g, QUICK) ? WORK_LONG : 0);
	if (given(g, WORKLOADS))
		list_choose("workload", given(g, WORKLOADS), works_n, work_name, b->wanted);
	choose_needed(b);
	for (unsigned i = 0; i < works_n; i++)
		if (b->needed[i] && works[i].flags & WORK_LARGE)
			b->programs.null_mib = b->settings.big_bytes >> 20;
	if (!b->targets_n || !b->steps)
		bench_fail("options", "there is nothing to run");
}

bool mount_options_parse(struct mount_bench *b, int argc, char **argv)
{
	struct given g = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == '?')
			exit(2);
		if (option == HELP) {
			print_usage();
			return false;
		}
		g.values[option - TARGETS_LIST] = optarg ? optarg : "";
	}
	if (optind < argc)
		bench_fail(argv[optind], "unknown argument; --help tells more");
	apply(b, &g);
	return true;
}
