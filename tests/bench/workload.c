/* SPDX-License-Identifier: MIT */
#include "tests/bench/workload.h"

#define FRESH (WORKLOAD_FRESH | WORKLOAD_WRITES | WORKLOAD_FILL)
#define SYNC (WORKLOAD_FRESH | WORKLOAD_WRITES | WORKLOAD_DURABLE)
#define WRITES WORKLOAD_WRITES
#define ASIDE (WORKLOAD_WRITES | WORKLOAD_ASIDE)

const struct group groups[] = {
	{ "seq", "keys in ascending order", true },
	{ "random", "keys in random order, and reads of them", true },
	{ "sync", "durable writes", true },
	{ "ycsb", "the Yahoo! Cloud Serving Benchmark's mixes, zipfian keys, half as many records", true },
	{ "values", "values of 1,000 and 4,096 bytes", true },
	{ "large", "values of 100,000 bytes", true },
	{ "recover", "opening after kill -9", true },
	{ "memory", "data several times larger than the memory budget: an eighth of cache and write buffer", false },
	{ "scale", "the same with the number of keys and with ten times as many", false },
	{ "huge", "about 10 GB, opened with a short log", false },
};
const unsigned groups_n = sizeof(groups) / sizeof(groups[0]);

const struct workload workloads[] = {
	{ "fillseq", "seq", "puts of ascending keys into an empty store", FRESH, run_fillseq, 1, 0, 1, 1 },
	{ "readseq", "seq", "all entries by an iterator, an operation is an entry", 0, run_readseq, 1, 0, 1, 1 },
	{ "readreverse", "seq", "the same backwards", 0, run_readreverse, 1, 0, 1, 1 },

	{ "fillrandom", "random", "puts of random keys into an empty store", FRESH, run_fillrandom, 1, 0, 1, 1 },
	{ "overwrite", "random", "puts of random keys over those", WRITES, run_overwrite, 1, 0, 1, 1 },
	{ "readrandom", "random", "gets of random keys, of which 86 in 100 are there", 0, run_readrandom, 1, 0, 1, 1 },
	{ "readrandom-2", "random", "the same by 2 threads", 0, run_readrandom, 2, 0, 1, 1 },
	{ "readrandom-4", "random", "the same by 4 threads", 0, run_readrandom, 4, 0, 1, 1 },
	{ "readmissing", "random", "gets of keys that are not there", 0, run_readmissing, 1, 0, 1, 1 },
	{ "multiread", "random", "gets of 16 random keys in one call, an operation is a key, a time is a call's", 0,
	  run_multiread, 1, 0, 1, 1 },
	{ "readseq-rand", "random", "all entries by an iterator, after random writes", 0, run_readseq, 1, 0, 1, 1 },
	{ "readrev-rand", "random", "the same backwards", 0, run_readreverse, 1, 0, 1, 1 },
	{ "seekrandom", "random", "a new iterator, a seek to a random key, that entry and the next 10", 0,
	  run_seekrandom, 1, 0, 1, 1 },
	{ "readcold", "random", "gets of random keys; page cache dropped, store just opened", WORKLOAD_COLD,
	  run_readcold, 1, 0, 1, 1 },
	{ "open", "random", "opens (to the first answer) after a writer of 1,000 records was killed", ASIDE,
	  run_open_short_log, 1, 0, 1, 1 },
	{ "readwhilewriting", "random", "gets by one thread, while another one puts (its puts are below)", ASIDE,
	  run_readwhilewriting, 1, 0, 1, 1 },
	{ "deleterandom", "random", "deletes of random keys", WRITES, run_deleterandom, 1, 0, 1, 1 },
	{ "readseq-del", "random", "all that is left by an iterator", 0, run_readseq, 1, 0, 1, 1 },

	{ "fillsync", "sync", "puts of random keys into an empty store, each durable", SYNC | WORKLOAD_DISK,
	  run_fillsync, 1, 0, 1, 1 },
	{ "fillsync-4", "sync", "the same by 4 threads", SYNC, run_fillsync, 4, 0, 1, 1 },
	{ "fillsync-16", "sync", "the same by 16 threads", SYNC, run_fillsync, 16, 0, 1, 1 },

	{ "ycsb-load", "ycsb", "inserts of records in no order", FRESH, run_ycsb_load, 1, 0, 1, 2 },
	{ "ycsb-a", "ycsb", "50 % reads, 50 % updates", ASIDE, run_ycsb_a, 1, 0, 1, 2 },
	{ "ycsb-b", "ycsb", "95 % reads, 5 % updates", ASIDE, run_ycsb_b, 1, 0, 1, 2 },
	{ "ycsb-c", "ycsb", "reads", 0, run_ycsb_c, 1, 0, 1, 2 },
	{ "ycsb-f", "ycsb", "50 % reads, 50 % reads and updates of one record", ASIDE, run_ycsb_f, 1, 0, 1, 2 },
	{ "ycsb-d", "ycsb", "95 % reads of the latest, 5 % inserts", ASIDE, run_ycsb_d, 1, 0, 1, 2 },
	{ "ycsb-e", "ycsb", "95 % scans of 1 to 100 records, 5 % inserts", ASIDE, run_ycsb_e, 1, 0, 1, 2 },

	{ "fill-1k", "values", "puts of random keys, 1,000 bytes", FRESH, run_fillrandom, 1, 1000, 1, 4 },
	{ "read-1k", "values", "gets of random keys", 0, run_readrandom, 1, 1000, 1, 4 },
	{ "fill-4k", "values", "puts of random keys, 4,096 bytes", FRESH, run_fillrandom, 1, 4096, 1, 32 },
	{ "read-4k", "values", "gets of random keys", 0, run_readrandom, 1, 4096, 1, 32 },

	{ "fill-100k", "large", "puts of random keys, 100,000 bytes", FRESH, run_fillrandom, 1, 100000, 1, 500 },
	{ "over-100k", "large", "puts of random keys over those", WRITES, run_overwrite, 1, 100000, 1, 500 },
	{ "readseq-100k", "large", "all entries by an iterator", 0, run_readseq, 1, 100000, 1, 500 },
	{ "read-100k", "large", "gets of random keys", 0, run_readrandom, 1, 100000, 1, 500 },

	{ "recover", "recover",
	  "the open (to the first answer) after a writer was killed, an operation is a record replayed", FRESH,
	  run_recover, 1, 0, 1, 1 },

	{ "fill-mem", "memory", "puts of random keys into an empty store", FRESH | WORKLOAD_SMALL, run_fillrandom, 1, 0,
	  1, 1 },
	{ "over-mem", "memory", "puts of random keys over those", WRITES | WORKLOAD_SMALL, run_overwrite, 1, 0, 1, 1 },
	{ "read-mem", "memory", "gets of random keys", WORKLOAD_SMALL, run_readrandom, 1, 0, 1, 1 },
	{ "seek-mem", "memory", "seekrandom", WORKLOAD_SMALL, run_seekrandom, 1, 0, 1, 1 },
	{ "readseq-mem", "memory", "all entries by an iterator", WORKLOAD_SMALL, run_readseq, 1, 0, 1, 1 },

	{ "fill-x1", "scale", "puts of random keys into an empty store", FRESH, run_fillrandom, 1, 0, 1, 1 },
	{ "read-x1", "scale", "gets of random keys", 0, run_readrandom, 1, 0, 1, 1 },
	{ "fill-x10", "scale", "puts of random keys into an empty store, ten times the keys", FRESH, run_fillrandom, 1,
	  0, 10, 1 },
	{ "read-x10", "scale", "gets of random keys", 0, run_readrandom, 1, 0, 10, 1 },
	{ "open-x10", "scale", "opens after a writer of 1,000 records was killed", ASIDE, run_open_short_log, 1, 0, 10,
	  1 },

	{ "fill-huge", "huge", "puts of ascending keys, 4,096 bytes", FRESH | WORKLOAD_ALONE, run_fillseq, 1, 4096, 5,
	  4 },
	{ "open-huge", "huge", "opens after a writer of 1,000 records was killed", ASIDE, run_open_short_log, 1, 4096,
	  5, 4 },
};
const unsigned workloads_n = sizeof(workloads) / sizeof(workloads[0]);

struct bench_settings workload_settings(const struct workload *w, const struct bench_settings *base)
{
	struct bench_settings s = *base;

	s.keys = base->keys * w->keys_times / w->keys_by;
	s.keys = s.keys ? s.keys : 1;
	s.value_bytes = w->value_bytes ? w->value_bytes : base->value_bytes;
	s.durable = w->flags & WORKLOAD_DURABLE;
	if (w->flags & WORKLOAD_SMALL) {
		s.cache_bytes /= 8;
		s.write_buffer_bytes /= 8;
	}
	return s;
}

unsigned workload_chain_end(unsigned begin)
{
	unsigned end = begin + 1;

	while (end < workloads_n && !(workloads[end].flags & WORKLOAD_FRESH))
		end++;
	return end;
}
