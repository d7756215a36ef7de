/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_WORKLOAD_H
#define TESTS_BENCH_WORKLOAD_H
/*
 * workload - what is measured. The table of workloads is in the order in which they run; one that isn't `fresh` reads
 * or changes the store that those before it left, back to the last fresh one: these are a chain.
 *
 * A workload runs in a process of its own, in these steps: prepare (not measured), run_open(), run_workers(); what
 * called it closes the store, and then nothing is measured any more.
 */
#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/data.h"
#include "tests/bench/engine.h"
#include "tests/bench/latency.h"

enum { THREADS_MAX = 16 };

/* What a process measured, and its parent of it. */
struct result {
	double seconds; /* 0: was not run */
	double open_seconds, close_seconds;
	double cpu_seconds; /* of all threads, from the open to the end of the close */
	uint64_t operations, side_operations;
	uint64_t user_bytes;  /* keys' and values' written */
	uint64_t write_bytes; /* that the process caused to be written to storage, until it had closed the store */
	uint64_t rss_bytes, anon_bytes;  /* peaks */
	uint64_t disk_bytes, live_bytes; /* the store's files' blocks after it; keys' and values' in it */
	double p50_ns, p99_ns, p999_ns, max_ns;
	uint64_t lost;   /* acknowledged records that a kill of the process lost */
	bool cut;        /* stopped by the time limit */
	bool incomplete; /* a fill stopped so: the rest of the chain makes no sense */
};

/* What the process of a workload hands to its parent. */
struct outcome {
	struct result result;
	struct history written;
};

struct run {
	const struct workload *workload;
	const struct engine *engine;
	struct bench_settings settings; /* this workload's */
	const char *dir;
	const struct history *history; /* of the store as the workload finds it */
	struct model model;            /* the same, by key */
	struct values values;
	uint64_t seed;
	double seconds_max; /* 0: no limit */
	void *db;
	struct outcome *outcome;
	struct histogram *histogram;
	struct worker *workers; /* those that run_workers() ran */
	unsigned workers_n;
	/* Set by the workload: is called when all is measured and the store closed. */
	void (*verify)(struct run *r);
	/* private: where the counters stood when the store was opened */
	uint64_t anon_before, write_before;
	double cpu_before;
};

enum workload_flag {
	WORKLOAD_FRESH = 1 << 0,   /* begins with an empty store */
	WORKLOAD_WRITES = 1 << 1,  /* later ones of the chain need it, unless */
	WORKLOAD_ASIDE = 1 << 2,   /* it writes, but they can do without */
	WORKLOAD_DURABLE = 1 << 3, /* each write durable */
	WORKLOAD_COLD = 1 << 4,    /* the store's files are dropped from the page cache first */
	WORKLOAD_FILL = 1 << 5,    /* has the long time limit */
	WORKLOAD_DISK = 1 << 6,    /* the disk's own limit is measured beside it */
	WORKLOAD_SMALL = 1 << 7,   /* with an eighth of cache and write buffer */
	WORKLOAD_ALONE = 1 << 8,   /* on the first of a chain: one engine's store at a time, they are that large */
};

struct workload {
	const char *name, *group, *about;
	unsigned flags;
	void (*run)(struct run *r);
	unsigned threads;
	size_t value_bytes; /* 0: as set */
	/* The number of keys is the one set, times / by these. */
	unsigned keys_times, keys_by;
};

extern const struct workload workloads[];
extern const unsigned workloads_n;

/* One behind the last workload of the chain that begins here. */
unsigned workload_chain_end(unsigned begin);

struct group {
	const char *name, *about;
	bool standard; /* runs when nothing else is asked for */
};

extern const struct group groups[];
extern const unsigned groups_n;

/* The settings that a workload runs with. */
struct bench_settings workload_settings(const struct workload *w, const struct bench_settings *base);

/* ---- for the workloads ---- */

enum { GENERATION_FIRST, GENERATION_OVERWRITE, GENERATION_MEANWHILE, GENERATIONS };

/* One thread's part. */
struct worker {
	struct run *run;
	const struct engine *engine;
	unsigned index;
	void *session;
	uint64_t seed;  /* this thread's */
	uint64_t limit; /* operations to do */
	uint64_t start_ns, end_ns;
	uint64_t operations, found, bytes;
	uint64_t sum; /* of the tails of the keys that were seen */
	bool side;    /* does something else than what is measured: its operations and times are kept apart */
	struct timer timer;
	struct histogram histogram;
};

typedef void (*worker_body)(struct worker *w);

/* Opens the store; from here on until it has been closed CPU time, bytes written and memory count. */
void run_open(struct run *r);

/* Runs `body` in n threads with `limit` operations each, until all are done or the time is over. Fills in seconds,
 * operations, user bytes. The workers stay readable until the process ends. */
void run_workers(struct run *r, unsigned n, uint64_t limit, worker_body body);

/* Writes down what the workers from the given one on wrote, so that it can be replayed. */
void run_record(struct run *r, unsigned first, enum step_kind kind, unsigned generation);

/* The same as run_workers() for one operation of some seconds that isn't a worker's. */
void run_single(struct run *r, double seconds, uint64_t operations);

/* For verify(): opens the store again, counts its entries and closes it. */
uint64_t run_count_entries(struct run *r);

/* Ends the process when what was read isn't what was written. */
void run_check(const struct run *r, bool good, const char *what);

/* Is what was found for a key what its history says? Or, for `meanwhile`, what a writer may have written since? */
void run_check_seen(const struct run *r, uint64_t key, const struct seen *seen, bool meanwhile);

double clock_seconds(void);

/* What each workload runs. */
void run_fillseq(struct run *r);
void run_fillrandom(struct run *r);
void run_overwrite(struct run *r);
void run_deleterandom(struct run *r);
void run_fillsync(struct run *r);
void run_readrandom(struct run *r);
void run_readmissing(struct run *r);
void run_readcold(struct run *r);
void run_multiread(struct run *r);
void run_readseq(struct run *r);
void run_readreverse(struct run *r);
void run_seekrandom(struct run *r);
void run_readwhilewriting(struct run *r);
void run_ycsb_load(struct run *r);
void run_ycsb_a(struct run *r);
void run_ycsb_b(struct run *r);
void run_ycsb_c(struct run *r);
void run_ycsb_d(struct run *r);
void run_ycsb_e(struct run *r);
void run_ycsb_f(struct run *r);
void run_recover(struct run *r);
void run_open_short_log(struct run *r);

#endif
