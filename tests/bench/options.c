/* SPDX-License-Identifier: MIT */
/* The command line, and which workloads it means. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

static const char usage[] =
	"scripts/bench engine [--install] [OPTIONS]: our engine beside RocksDB, LevelDB, LMDB and WiredTiger\n"
	"\n"
	"  --install          first install the peers that are missing, and gnuplot\n"
	"  --engines LIST     of the engines below (default: all that the build found)\n"
	"  --groups LIST      groups of workloads (default: those marked * below, about a quarter of an hour)\n"
	"  --workloads LIST   single workloads; those that write what they read run before them\n"
	"  --quick            few keys and short limits: about 2 minutes\n"
	"  --full             all groups, 3 rounds, no limit of time but for fills: hours\n"
	"  --rounds N         rounds, of which the median counts (default 1)\n"
	"  --keys N           number of keys (default 2000000)\n"
	"  --value-bytes N    size of a value where the workload doesn't say (default 100)\n"
	"  --cache-mib N      block cache (default 256)\n"
	"  --buffer-mib N     write buffer, of which there are two (default 64)\n"
	"  --filter-bits N    bloom filter bits a key (default 10)\n"
	"  --seconds N        a workload that isn't a fill ends after so long (default 10; 0: no limit)\n"
	"  --fill-seconds N   a fill that takes longer is given up, with what reads it (default 300; 0: no limit)\n"
	"  --dir DIR          where the stores are made, in a new directory (default: this one)\n"
	"  --json FILE        all figures of all rounds, a line of JSON each\n"
	"  --svg FILE         a chart (needs gnuplot)\n"
	"  --all-tables       all figures on the terminal, too\n"
	"  --quiet            no progress\n"
	"  --help             this\n";

static void print_usage(void)
{
	fputs(usage, stdout);
	printf("\nengines:\n");
	for (unsigned i = 0; i < known_engines_n; i++)
		if (known_engines[i].engine)
			printf("  %-16s %s\n", known_engines[i].name, known_engines[i].engine->version());
		else
			printf("  %-16s absent; --install installs %s\n", known_engines[i].name,
			       known_engines[i].package);
	for (unsigned g = 0; g < groups_n; g++) {
		printf("\n%s%s: %s\n", groups[g].name, groups[g].standard ? " *" : "", groups[g].about);
		for (unsigned i = 0; i < workloads_n; i++)
			if (!strcmp(workloads[i].group, groups[g].name))
				printf("  %-16s %s\n", workloads[i].name, workloads[i].about);
	}
}

/* ---- lists ---- */

static void choose_engine(struct bench *b, const struct known_engine *k)
{
	char text[160];

	if (!k->engine) {
		snprintf(text, sizeof(text), "not in this build; scripts/bench engine --install installs %s",
			 k->package);
		bench_fail(k->name, text);
	}
	b->engines[b->engines_n++] = k->engine;
}

static const char *engine_name(unsigned i)
{
	return known_engines[i].name;
}

static const char *workload_name(unsigned i)
{
	return workloads[i].name;
}

static const char *group_name(unsigned i)
{
	return groups[i].name;
}

/* In the order of the table, whatever the list's. */
static void choose_engines(struct bench *b, const char *list)
{
	bool chosen[ENGINES_MAX] = { 0 };

	list_choose("engine", list, known_engines_n, engine_name, chosen);
	for (unsigned i = 0; i < known_engines_n; i++)
		if (chosen[i])
			choose_engine(b, &known_engines[i]);
}

static void choose_all_engines(struct bench *b)
{
	for (unsigned i = 0; i < known_engines_n; i++)
		if (known_engines[i].engine)
			choose_engine(b, &known_engines[i]);
}

static void choose_group(struct bench *b, const char *name)
{
	for (unsigned i = 0; i < workloads_n; i++)
		if (!strcasecmp(workloads[i].group, name))
			b->wanted[i] = true;
}

static void choose_groups(struct bench *b, const char *list)
{
	bool chosen[WORKLOADS_MAX] = { 0 };

	list_choose("group", list, groups_n, group_name, chosen);
	for (unsigned g = 0; g < groups_n; g++)
		if (chosen[g])
			choose_group(b, groups[g].name);
}

/* Those wanted, and what they find written. */
static void choose_needed(struct bench *b)
{
	const unsigned mask = WORKLOAD_WRITES | WORKLOAD_ASIDE;
	bool wanted_later = false;

	for (unsigned i = workloads_n; i-- > 0;) {
		const struct workload *w = &workloads[i];

		b->needed[i] = b->wanted[i] || (wanted_later && (w->flags & mask) == WORKLOAD_WRITES);
		wanted_later = (wanted_later || b->wanted[i]) && !(w->flags & WORKLOAD_FRESH);
		b->steps += b->needed[i] ? b->rounds * b->engines_n : 0;
	}
}

/* ---- the options ---- */

enum {
	ENGINES = 256,
	GROUPS,
	WORKLOADS,
	QUICK,
	FULL,
	ROUNDS,
	KEYS,
	VALUE_BYTES,
	CACHE_MIB,
	BUFFER_MIB,
	FILTER_BITS,
	SECONDS,
	FILL_SECONDS,
	DIR,
	JSON,
	SVG,
	ALL_TABLES,
	QUIET,
	HELP
};

static const struct option long_options[] = {
	{ "engines", required_argument, NULL, ENGINES },
	{ "groups", required_argument, NULL, GROUPS },
	{ "workloads", required_argument, NULL, WORKLOADS },
	{ "quick", no_argument, NULL, QUICK },
	{ "full", no_argument, NULL, FULL },
	{ "rounds", required_argument, NULL, ROUNDS },
	{ "keys", required_argument, NULL, KEYS },
	{ "value-bytes", required_argument, NULL, VALUE_BYTES },
	{ "cache-mib", required_argument, NULL, CACHE_MIB },
	{ "buffer-mib", required_argument, NULL, BUFFER_MIB },
	{ "filter-bits", required_argument, NULL, FILTER_BITS },
	{ "seconds", required_argument, NULL, SECONDS },
	{ "fill-seconds", required_argument, NULL, FILL_SECONDS },
	{ "dir", required_argument, NULL, DIR },
	{ "json", required_argument, NULL, JSON },
	{ "svg", required_argument, NULL, SVG },
	{ "all-tables", no_argument, NULL, ALL_TABLES },
	{ "quiet", no_argument, NULL, QUIET },
	{ "help", no_argument, NULL, HELP },
	{ 0 },
};

struct choices {
	const char *engines, *groups, *workloads;
	bool quick, full, rounds, keys, seconds, fill_seconds; /* the last four: given */
};

static void set_defaults(struct bench *b)
{
	b->settings = (struct bench_settings){ .keys = 2000000, .value_bytes = 100, .filter_bits = 10 };
	b->settings.write_buffer_bytes = UINT64_C(64) << 20;
	b->settings.cache_bytes = UINT64_C(256) << 20;
	b->rounds = 1;
	b->seconds = 10;
	b->fill_seconds = 300;
	snprintf(b->parent, sizeof(b->parent), ".");
}

static void take_number(struct bench *b, struct choices *c, int option, const char *name)
{
	switch (option) {
	case ROUNDS:
		b->rounds = (unsigned)number_parse(name, optarg, 1, ROUNDS_MAX);
		c->rounds = true;
		break;
	case KEYS:
		b->settings.keys = number_parse(name, optarg, 1, 1000000000);
		c->keys = true;
		break;
	case VALUE_BYTES:
		b->settings.value_bytes = number_parse(name, optarg, 1, 16 << 20);
		break;
	case CACHE_MIB:
		b->settings.cache_bytes = number_parse(name, optarg, 1, 1 << 20) << 20;
		break;
	case BUFFER_MIB:
		b->settings.write_buffer_bytes = number_parse(name, optarg, 1, 1 << 12) << 20;
		break;
	case FILTER_BITS:
		b->settings.filter_bits = (int)number_parse(name, optarg, 1, 32);
		break;
	case SECONDS:
		b->seconds = (double)number_parse(name, optarg, 0, 86400);
		c->seconds = true;
		break;
	case FILL_SECONDS:
		b->fill_seconds = (double)number_parse(name, optarg, 0, 86400);
		c->fill_seconds = true;
		break;
	}
}

static void take(struct bench *b, struct choices *c, int option, const char *name)
{
	switch (option) {
	case ENGINES:
		c->engines = optarg;
		break;
	case GROUPS:
		c->groups = optarg;
		break;
	case WORKLOADS:
		c->workloads = optarg;
		break;
	case QUICK:
		c->quick = true;
		break;
	case FULL:
		c->full = true;
		break;
	case DIR:
		if (strlen(optarg) >= sizeof(b->parent))
			bench_fail("--dir", "too long");
		snprintf(b->parent, sizeof(b->parent), "%s", optarg);
		break;
	case JSON:
		b->json_path = optarg;
		break;
	case SVG:
		b->svg_path = optarg;
		break;
	case ALL_TABLES:
		b->all_tables = true;
		break;
	case QUIET:
		b->quiet = true;
		break;
	default:
		take_number(b, c, option, name);
	}
}

static void apply(struct bench *b, const struct choices *c)
{
	if (c->quick && c->full)
		bench_fail("options", "--quick and --full exclude each other");
	if (c->quick) {
		b->settings.keys = c->keys ? b->settings.keys : 200000;
		b->seconds = c->seconds ? b->seconds : 2;
	}
	if (c->full) {
		b->rounds = c->rounds ? b->rounds : 3;
		b->seconds = c->seconds ? b->seconds : 0;
		b->fill_seconds = c->fill_seconds ? b->fill_seconds : 900;
	}
	if (c->engines)
		choose_engines(b, c->engines);
	else
		choose_all_engines(b);
	if (c->groups)
		choose_groups(b, c->groups);
	if (c->workloads)
		list_choose("workload", c->workloads, workloads_n, workload_name, b->wanted);
	for (unsigned g = 0; g < groups_n && !c->groups && !c->workloads; g++)
		if (c->full || groups[g].standard)
			choose_group(b, groups[g].name);
	choose_needed(b);
	if (!b->engines_n || !b->steps)
		bench_fail("options", "there is nothing to run");
}

bool options_parse(struct bench *b, int argc, char **argv)
{
	struct choices choices = { 0 };
	int option, at = 0;

	set_defaults(b);
	while ((option = getopt_long(argc, argv, "", long_options, &at)) != -1) {
		char name[64];

		if (option == '?')
			exit(2);
		if (option == HELP) {
			print_usage();
			return false;
		}
		snprintf(name, sizeof(name), "--%s", long_options[at].name);
		take(b, &choices, option, name);
	}
	if (optind < argc)
		bench_fail(argv[optind], "unknown argument; --help tells more");
	apply(b, &choices);
	return true;
}
