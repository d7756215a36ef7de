/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_MOUNT_H
#define TESTS_BENCH_MOUNT_H
/* mount - one run of bench_mount: what was asked for, the file systems that are compared, and what was measured. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "tests/bench/common.h"

enum { TARGETS = 4, ROUNDS_MAX = 21, WORKS_MAX = 96, PATH_SIZE = 1024 };

/* ---- targets: the file systems, each at a directory of its own ---- */

enum target_kind { TARGET_OURS, TARGET_NATIVE, TARGET_PASSTHROUGH, TARGET_NULL };

struct target {
	enum target_kind kind;
	const char *name;
	char top[PATH_SIZE];    /* all that it has on disk is below */
	char dir[PATH_SIZE];    /* its root, where it is mounted */
	char source[PATH_SIZE]; /* the store, or what passthrough shows */
	pid_t daemon;           /* 0: there is none */
	uint64_t known_max;     /* so many files the kernel may know of it at once */
	bool dead;              /* it could not be mounted */
	bool broken;            /* the files of the present chain are not what they should be */
};

struct programs {
	char ours[PATH_SIZE], null[PATH_SIZE], passthrough[PATH_SIZE], stories[PATH_SIZE];
	const char *mount_options; /* for ours, or NULL */
	const char *null_loop;     /* "own" or "libfuse" */
	uint64_t null_mib;         /* the large file's, for which null has memory ready; 0: there is none */
};

/* Passthrough has a descriptor for each file that the kernel knows: so many it may have. */
uint64_t passthrough_known_max(void);
/* The type of the file system of `dir`, by which the native target is called. */
const char *native_name(const char *dir);
/* Makes the target's directories below `dir` and mounts it. False, and said: it could not be mounted. */
bool target_set_up(struct target *t, const char *dir, const struct programs *programs);
/* Unmounts it, and waits for the daemon's end, as it must be for all of the store to be on disk. False, and said. */
bool target_stop(struct target *t);
/* May the kernel's caches be dropped? Only by root. */
bool cold_possible(void);
/*
 * What was written is on disk, and neither the kernel nor a daemon has anything of it in memory: the kernel's caches are
 * dropped, ours and passthrough are mounted anew (null would lose all). False, and said.
 */
bool target_make_cold(struct target *t, const struct programs *programs);
/* Begins anew with nothing in it. False, and said. */
bool target_renew(struct target *t, const struct programs *programs);
/* Bytes that it takes on disk; ours is unmounted for it, and mounted again. 0, and said: could not be found out. */
uint64_t target_space(struct target *t, const struct programs *programs);
/* Unmounts it, whatever its state. */
void target_end(struct target *t);

/* ---- what is measured ---- */

struct mount_settings {
	uint64_t files, file_bytes; /* of the workloads on small files */
	uint64_t big_bytes;         /* the one large file */
	uint64_t entries;           /* of the directory that is listed */
	uint64_t story_files;       /* of a tree in a story */
	uint64_t rows;              /* of the SQLite table */
	double seconds;             /* the limit of a workload that need not be complete; 0: none */
};

struct measured {
	double seconds; /* 0: was not run */
	uint64_t operations, bytes;
	double client_cpu, daemon_cpu; /* seconds */
	uint64_t client_written,
		daemon_written;        /* bytes caused to be written, by the kernel's account of the processes */
	uint64_t device_written;       /* bytes that the disk was given meanwhile, by whomever */
	uint64_t space;                /* on disk afterwards, where that is asked for */
	double p50_ns, p99_ns, max_ns; /* 0: no single operation was timed */
	bool cut;                      /* ended by the time limit */
};

enum work_flag {
	WORK_FRESH = 1 << 0,    /* begins with an empty directory; those up to the next one are a chain */
	WORK_ASIDE = 1 << 1,    /* later ones of its chain don't need it */
	WORK_COLD = 1 << 2,     /* nothing is in memory */
	WORK_WARM = 1 << 3,     /* all of it is done once before it is measured */
	WORK_TIMED = 1 << 4,    /* may be cut at the limit of time */
	WORK_BYTES = 1 << 5,    /* what counts is bytes a second */
	WORK_STORY = 1 << 6,    /* what counts is the time of the whole; not on null, for it lacks much */
	WORK_MANY = 1 << 7,     /* a story of all files; the others have a sixth of them */
	WORK_SPACE = 1 << 8,    /* what counts is space on disk; with a store of its own, as a story */
	WORK_LARGE = 1 << 9,    /* makes the large file */
	WORK_ENTRIES = 1 << 10, /* on as many files as there are entries to list */
	WORK_LONG = 1 << 11,    /* left out of --quick unless it is asked for */
};

struct job;

struct work {
	const char *name, *group, *about;
	unsigned flags, threads;
	void (*run)(struct job *job);
};

extern const struct work works[];
extern const unsigned works_n;

struct work_group {
	const char *name, *about;
};

extern const struct work_group work_groups[];
extern const unsigned work_groups_n;

/* One behind the last workload of the chain that begins here. */
unsigned work_chain_end(unsigned begin);

struct mount_bench {
	struct mount_settings settings;
	struct programs programs;
	unsigned rounds, story_rounds;
	bool all_tables, quiet;
	const char *json_path, *svg_path; /* or NULL */
	FILE *json;
	bool wanted[WORKS_MAX], needed[WORKS_MAX];
	char parent[PATH_SIZE / 2], dir[PATH_SIZE / 2 + 32]; /* all is made in dir */

	unsigned targets_n;
	struct target targets[TARGETS]; /* in the order of their kinds */
	unsigned failures;
	unsigned step, steps;
	uint64_t start_ns;
	struct measured results[WORKS_MAX][TARGETS][ROUNDS_MAX];
};

/* Fills in what the command line says. False: there is nothing to run. Ends the process when it makes no sense. */
bool mount_options_parse(struct mount_bench *b, int argc, char **argv);

void mount_round(struct mount_bench *b, unsigned round);

/* Is this workload run on this target? */
bool work_is_for(const struct mount_settings *s, const struct work *w, const struct target *t);

/* ---- figures and reports ---- */

enum mount_figure {
	MOUNT_RATE,    /* operations a second */
	MOUNT_MB,      /* 10^6 bytes a second */
	MOUNT_SECONDS, /* of the whole */
	MOUNT_SPACE,   /* MB on disk */
	MOUNT_P50,
	MOUNT_P99,
	MOUNT_MAX, /* us */
	MOUNT_CLIENT_CPU,
	MOUNT_DAEMON_CPU, /* us an operation */
	MOUNT_WRITTEN,    /* by client and daemon, bytes an operation */
	MOUNT_DEVICE,     /* the same by the disk */
	MOUNT_FIGURES,
};

/* The figure by which this workload is judged. */
enum mount_figure work_figure(const struct work *w);
/* The median of the rounds, 0 when there were none. */
double mount_median(const struct mount_bench *b, unsigned work, unsigned target, enum mount_figure figure);
/* The number of the target of this kind; targets_n if it takes no part. */
unsigned target_of_kind(const struct mount_bench *b, enum target_kind kind);
/* Ours over the other one's; 0 when one of them is missing. */
double mount_ratio(const struct mount_bench *b, unsigned work, enum target_kind other, enum mount_figure figure);

void mount_report_settings(const struct mount_bench *b);
void mount_report_tables(const struct mount_bench *b);
/* False, and said: gnuplot failed. */
bool mount_report_svg(const struct mount_bench *b);

/* Lines of JSON, to b->json when there is one. */
void mount_json_start(const struct mount_bench *b);
void mount_json_result(const struct mount_bench *b, unsigned work, unsigned target, unsigned round);
void mount_json_summary(const struct mount_bench *b);

#endif
