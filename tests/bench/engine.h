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
#include <string.h>

#include "tests/bench/common.h"

enum { KEY_BYTES = 16, MULTI_MAX = 16 };

struct bench_settings {
	uint64_t keys;
	size_t value_bytes;
	uint64_t write_buffer_bytes, cache_bytes;
	int filter_bits;
	bool durable; /* each write is to be durable when its call returns */
};

/* What an engine was told, for people. */
struct engine_description {
	char compression[48], cache[48], filter[32], write_buffer[32], log[64], threads[48];
};

/* What a read brought. */
struct seen {
	bool found;
	size_t size;       /* of the value */
	uint64_t head;     /* the value's first 8 bytes, or as many as it has */
	uint64_t tail;     /* and its last */
	uint64_t key_tail; /* iterators: the key's last 8 bytes */
};

struct engine {
	const char *name;
	const char *(*version)(void);
	void (*describe)(const struct bench_settings *settings, struct engine_description *ret);
	/* Opens or makes the store in `dir`. */
	void *(*open)(const char *dir, const struct bench_settings *settings);
	void (*close)(void *db);

	/* What one thread works with. */
	void *(*session_new)(void *db);
	void (*session_free)(void *session);
	void (*put)(void *session, const char *key, const char *value, size_t value_size);
	void (*del)(void *session, const char *key);
	/* The value is brought to the caller and touched. `key_size` may be more than KEY_BYTES. */
	bool (*get)(void *session, const char *key, size_t key_size, struct seen *ret);
	/* n <= MULTI_MAX keys in one call where the engine has one. */
	void (*multi_get)(void *session, unsigned n, const char *const *keys, struct seen *ret);

	/* A session has one iterator at a time. It shows the store as it is when the iterator is made. */
	void *(*iter_new)(void *session);
	void (*iter_free)(void *iter);
	void (*iter_first)(void *iter);
	void (*iter_last)(void *iter);
	void (*iter_seek)(void *iter, const char *key);
	bool (*iter_valid)(void *iter);
	void (*iter_next)(void *iter);
	void (*iter_prev)(void *iter);
	void (*iter_see)(void *iter, struct seen *ret);

	/* The log's last writes may still be in the process when it is killed. */
	bool loses_on_kill;
};

extern const struct engine engine_ours, engine_rocksdb, engine_leveldb, engine_lmdb, engine_wiredtiger;

static inline void bench_ends(struct seen *s, const void *data, size_t size)
{
	s->head = s->tail = 0;
	if (size >= sizeof(s->head)) {
		memcpy(&s->head, data, sizeof(s->head));
		memcpy(&s->tail, (const char *)data + size - sizeof(s->tail), sizeof(s->tail));
	} else {
		memcpy(&s->head, data, size);
	}
}

/* Reads a byte of each cache line of a value, in a way that the compiler keeps: a value that nobody looks at costs
 * nothing where it is not copied. */
static inline void bench_see(struct seen *s, const void *data, size_t size)
{
	const volatile char *p = data;

	for (size_t at = 0; at < size; at += 64)
		(void)p[at];
	s->found = true;
	s->size = size;
	bench_ends(s, data, size);
}

static inline void bench_see_key(struct seen *s, const void *key, size_t size)
{
	if (size != KEY_BYTES)
		bench_fail("bench", "an iterator showed a key of a wrong size");
	memcpy(&s->key_tail, (const char *)key + KEY_BYTES - sizeof(s->key_tail), sizeof(s->key_tail));
}

#endif
