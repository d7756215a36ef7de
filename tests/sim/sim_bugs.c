/* SPDX-License-Identifier: MIT */
/*
 * Calls between the engine's files lead through here (the linker's --wrap; see tests/sim/meson.build). So known bugs are planted without a
 * trace of them in the production code; for others the env forgets what it was asked for. And the log's segments are
 * smaller than the engine makes them, so that a short life has many.
 */
#include <string.h>

#include "lsm/format/wal_segment.h"
#include "tests/sim/sim.h"

const char *const sim_bugs[] = {
	"directory-not-synced",    /* a sync of a directory is answered, and not done */
	"sync-acknowledged-early", /* a sync of the log is answered before it is done */
	"checksum-without-segment", /* a log record's checksum doesn't say in which segment it is: old ones pass for new */
	"segment-reused-early",     /* a log segment is recycled while the records of a memtable are in it */
	"manifest-before-tables", /* the manifest names tables that are not on the disk yet */
	"failed-sync-forgotten",  /* the next process takes what a failed sync left in the kernel's cache for durable */
	NULL,
};

static bool bug(const char *name)
{
	return sim.bug && !strcmp(sim.bug, name);
}

static bool ends_with(const char *path, const char *suffix)
{
	size_t size = strlen(path), suffix_size = strlen(suffix);

	return size >= suffix_size && !strcmp(path + size - suffix_size, suffix);
}

/* Syncs that were answered and are still to be done. */
enum { LATE_MAX = 64, LATE_OPS = 20 };
static struct {
	struct inode *inode; /* open */
	uint64_t due;        /* operation of the env */
} late[LATE_MAX];
static unsigned late_n;

static void late_do(void)
{
	for (unsigned i = 0; i < late_n;) {
		if (late[i].due > sim_ops) {
			i++;
			continue;
		}
		inode_sync(late[i].inode);
		inode_close(late[i].inode);
		late[i] = late[--late_n];
	}
}

static bool put_off(struct inode *i, uint64_t ops)
{
	if (late_n == LATE_MAX)
		return false;
	inode_open(i);
	late[late_n].inode = i;
	late[late_n++].due = sim_ops + ops;
	return true;
}

void sim_bugs_life_ended(void)
{
	late_n = 0;
}

bool sim_bug_skips_sync(const char *path, struct inode *i)
{
	bool manifest = ends_with(path, ".manifest");

	late_do();
	if (bug("sync-acknowledged-early") && strstr(path, "/wal-"))
		return put_off(i, LATE_OPS);
	if (!bug("manifest-before-tables"))
		return false;
	if (ends_with(path, ".sst"))
		return put_off(i, UINT64_MAX / 2);
	/* With this sync the tables are named; theirs come a little later. */
	for (unsigned k = 0; manifest && k < late_n; k++)
		if (late[k].due > sim_ops + LATE_OPS)
			late[k].due = sim_ops + LATE_OPS;
	return false;
}

bool sim_bug_skips_sync_dir(void)
{
	late_do();
	return bug("directory-not-synced");
}

bool sim_bug_keeps_cache(void)
{
	return bug("failed-sync-forgotten");
}

/* ---- the log ---- */

uint64_t sim_segment_bytes;

int __real_wal_open(struct env *env, const char *dir, const struct wal_options *options, struct wal **ret);
int __wrap_wal_open(struct env *env, const char *dir, const struct wal_options *options, struct wal **ret);

int __wrap_wal_open(struct env *env, const char *dir, const struct wal_options *options, struct wal **ret)
{
	struct wal_options o = *options;

	if (sim_segment_bytes)
		o.segment_bytes = sim_segment_bytes;
	return __real_wal_open(env, dir, &o, ret);
}

enum { NUMBERS_MAX = 4096 };
static uint64_t numbers[NUMBERS_MAX]; /* of all segments that were begun */
static unsigned numbers_n;

/* A place's seed without the segment's number. */
static uint64_t seed_strip(uint64_t seed)
{
	for (unsigned i = numbers_n; bug("checksum-without-segment") && i--;)
		if (seed - place_seed(numbers[i], 0) < FILE_BYTES_MAX)
			return seed - place_seed(numbers[i], 0);
	return seed;
}

void __real_wal_segment_begin(struct wal_segment *s, uint64_t number, uint64_t start_lsn, uint64_t previous);
void __wrap_wal_segment_begin(struct wal_segment *s, uint64_t number, uint64_t start_lsn, uint64_t previous);

void __wrap_wal_segment_begin(struct wal_segment *s, uint64_t number, uint64_t start_lsn, uint64_t previous)
{
	if (numbers_n < NUMBERS_MAX)
		numbers[numbers_n++] = number;
	__real_wal_segment_begin(s, number, start_lsn, previous);
}

bool __real_wal_record_parse(const uint8_t *p, uint64_t left, uint64_t seed, struct wal_parsed *ret);
bool __wrap_wal_record_parse(const uint8_t *p, uint64_t left, uint64_t seed, struct wal_parsed *ret);

bool __wrap_wal_record_parse(const uint8_t *p, uint64_t left, uint64_t seed, struct wal_parsed *ret)
{
	return __real_wal_record_parse(p, left, seed_strip(seed), ret);
}

void __real_wal_record_write(uint8_t *p, uint64_t seed, uint64_t trailer, const struct lsm_slice *pieces, int n,
			     uint32_t payload_size);
void __wrap_wal_record_write(uint8_t *p, uint64_t seed, uint64_t trailer, const struct lsm_slice *pieces, int n,
			     uint32_t payload_size);

void __wrap_wal_record_write(uint8_t *p, uint64_t seed, uint64_t trailer, const struct lsm_slice *pieces, int n,
			     uint32_t payload_size)
{
	__real_wal_record_write(p, seed_strip(seed), trailer, pieces, n, payload_size);
}

uint64_t __real_wal_marks_scan(const uint8_t *p, uint64_t from, uint64_t end, const struct wal_segment *s);
uint64_t __wrap_wal_marks_scan(const uint8_t *p, uint64_t from, uint64_t end, const struct wal_segment *s);

uint64_t __wrap_wal_marks_scan(const uint8_t *p, uint64_t from, uint64_t end, const struct wal_segment *s)
{
	struct wal_segment stripped = *s;

	if (bug("checksum-without-segment"))
		stripped.number = 0;
	return __real_wal_marks_scan(p, from, end, &stripped);
}

int __real_wal_release(struct wal *w, uint64_t first_needed);
int __wrap_wal_release(struct wal *w, uint64_t first_needed);

int __wrap_wal_release(struct wal *w, uint64_t first_needed)
{
	/* One more than the flush has made superfluous; 0 is a repetition. */
	return __real_wal_release(w, first_needed && bug("segment-reused-early") ? first_needed + 1 : first_needed);
}
