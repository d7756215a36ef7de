/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_WAL_TEST_H
#define TESTS_SUPPORT_WAL_TEST_H
/*
 * wal_test - what the tests of the log share. Record i has a payload that tells it: its number, then bytes that follow
 * from it and from the life in which it was written. A test counts lives when it gives up records and writes others
 * with the same numbers. For use inside cmocka tests: what is unexpected fails the test.
 */
#include "lsm/format/wal.h"
#include "tests/support/rng.h"

enum { SEGMENT = 16384, HEADER = 4096, ROOM = SEGMENT - HEADER };

extern char *wal_dir;    /* the test's own */
extern uint8_t wal_life; /* of the records that are written now */
extern const struct wal_options wal_usual;
extern const struct wal_options wal_looking; /* read-only */

/* cmocka's set-up and tear-down of a test. */
int wal_test_setup(void **state);
int wal_test_teardown(void **state);

size_t record_payload_size(uint64_t i);
uint64_t record_bytes(uint64_t i);
/* Appends record i; the code of wal_append(). */
int record_add(struct wal *w, uint64_t i);
/* Appends records [from, to). */
void records_add(struct wal *w, uint64_t from, uint64_t to);

/* What a replay must bring: records first, first + 1, …, gapless. */
struct seen {
	uint64_t first, n;
	uint64_t lsn;
	uint64_t durable;   /* records so flagged; they come first */
	uint64_t absent_at; /* this record's outside data isn't there */
	uint64_t segments;
	uint64_t segment;
};

/* Opens the log for writing; it must hold what `seen` asks for. */
struct wal *log_open_env(struct env *env, uint64_t first_segment, struct seen *seen);
/* Opens a log that must hold records 0 to n. */
struct wal *log_open(uint64_t n);
/* A log of n records in an empty directory, closed. */
void log_make(uint64_t n);
/* The same; the records below `marked` are synced, which a mark at the end tells. */
void marked_log_make(uint64_t n, uint64_t marked);
/* Looks at the log without changing it; `seen` may name the first record and the absent one. */
int log_look(uint64_t first_segment, struct seen *seen);
/* The log must hold `n` records, from `first` on. */
void look_expect(uint64_t first_segment, uint64_t first, uint64_t n);

/* All files of a directory, as bytes. */
struct files {
	int n;
	char name[128][16];
	uint8_t *data[128];
	size_t size[128];
};

void files_load(struct files *f, const char *from);
/* Makes the test's directory hold these files and no others. */
void files_store(const struct files *f);
void files_free(struct files *f);
bool files_equal(const struct files *a, const struct files *b);

/* The slot in which a record begins, and where: the log was made in one go, slots in order. */
const char *record_place(uint64_t i, uint64_t *ret_offset);
/* Overwrites bytes of a slot. */
void bytes_set(const char *name, uint64_t offset, uint8_t value, size_t n);

#endif
