/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_DB_TEST_H
#define TESTS_SUPPORT_DB_TEST_H
/* db_test - what the engine's tests share: a store in a directory of its own with small limits, and short names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lsm/lsm.h"
#include "tests/support/rng.h"

struct db_test {
	char dir[64];    /* the test's own; removed at the end */
	char store[128]; /* DIR/store */
	struct lsm_options options;
	struct lsm_db *db;
};

/* cmocka's setup and teardown of one test: an open, empty store; and one that is not opened yet. */
int db_setup(void **state);
int db_setup_closed(void **state);
int db_teardown(void **state);

void db_open(struct db_test *t);
void db_close(struct db_test *t);
void db_reopen(struct db_test *t);

/* The error must be `want`; says what came instead. */
#define assert_code(rc, want) assert_code_at((rc), (want), __FILE__, __LINE__)
#define assert_ok(rc) assert_code(rc, LSM_OK)
void assert_code_at(int rc, int want, const char *file, int line);

static inline struct lsm_slice S(const char *text) {
	return (struct lsm_slice){ text, strlen(text) };
}

/* "keyNNNNNNNN"; static memory of four, by turns, for each thread. */
struct lsm_slice
key_n(uint64_t n);
/* `size` bytes that depend on `seed`; malloc'd. */
uint8_t *bytes_new(uint64_t seed, size_t size);

void put(struct db_test *t, const char *key, const char *value);
void put_bytes(struct db_test *t, struct lsm_slice key, uint64_t seed, size_t size);
void del(struct db_test *t, const char *key);
/* value NULL: must be absent. `snapshot` NULL: now. */
void expect_at(struct db_test *t, const struct lsm_snapshot *snapshot, const char *key, const char *value);
void expect(struct db_test *t, const char *key, const char *value);
void expect_bytes(struct db_test *t, struct lsm_slice key, uint64_t seed, size_t size);
/* All keys in order, joined by spaces, forwards and backwards; `options` may be NULL. */
void expect_keys(struct db_test *t, const struct lsm_iter_options *options, const char *keys);
struct lsm_stats stats_of(struct db_test *t);

/* Files of the store. `suffix` NULL: all. */
unsigned files_count(const char *dir, const char *suffix);
/* The path of one file with the suffix (the largest); static memory. */
const char *file_largest(const char *dir, const char *suffix);
uint64_t files_bytes(const char *dir, const char *suffix);
/* Depends on names, sizes and contents of all files, but for the lock's. */
uint64_t dir_checksum(const char *dir);
void file_write_text(const char *path, const char *text);
void file_flip(const char *path, uint64_t offset);
bool path_exists(const char *path);

#endif
