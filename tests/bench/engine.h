/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_ENGINE_H
#define TESTS_BENCH_ENGINE_H
/*
 * engine - what a benchmark needs of a key-value store. Each store has an adapter; a workload sees nothing else. Calls
 * end the process with a message when the store fails: a benchmark of errors is worth nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_settings {
	uint64_t keys;
	size_t value_bytes;
	uint64_t write_buffer_bytes, cache_bytes;
	int filter_bits;
};

struct engine {
	const char *name;
	const char *(*version)(void);
	/* Opens or makes the store in `dir`. */
	void *(*open)(const char *dir, const struct bench_settings *settings);
	void (*close)(void *db);
	void (*put)(void *db, const char *key, size_t key_size, const char *value, size_t value_size, bool sync);
	/* Is the key there? Its value is brought to the caller, and touched. */
	bool (*get)(void *db, const char *key, size_t key_size);
	void *(*iter_new)(void *db);
	void (*iter_free)(void *iter);
	void (*iter_first)(void *iter);
	void (*iter_seek)(void *iter, const char *key, size_t key_size);
	bool (*iter_valid)(void *iter);
	void (*iter_next)(void *iter);
	/* Sum of the key's and the value's sizes; both are touched. */
	size_t (*iter_touch)(void *iter);
};

extern const struct engine engine_ours, engine_rocksdb, engine_leveldb;

_Noreturn void bench_fail(const char *engine, const char *message);

/* Reads one byte of a value, in a way that the compiler keeps. */
static inline void bench_touch(const void *data, size_t size)
{
	if (size)
		(void)*(const volatile char *)data;
}

struct workload {
	const char *name;
	const char *about;
	bool fresh; /* begins with an empty store, else with what the workload before it left */
	bool writes;
	/* Returns the number of operations; `*ret_bytes` gets keys' and values' bytes written. */
	uint64_t (*run)(const struct engine *e, void *db, const struct bench_settings *s, uint64_t seed,
			uint64_t *ret_bytes);
};

extern const struct workload workloads[];
extern const unsigned workloads_n;

#endif
