/* SPDX-License-Identifier: MIT */
/*
 * Bad bytes in any file of a store: it opens or refuses with a message that names the file; what it returns is right, or an
 * error with file; and lsm_check() finds what is wrong, wherever a byte means something. Positions are drawn by a seed;
 * LSMFS_FLIPS=all takes each byte in turn, LSMFS_FLIPS=N so many.
 */
#include <dirent.h>

#include "lsm/format/blob.h"
#include "tests/unit/check_fixture.h"
#include "tests/support/sanitized.h"

enum { FILES_MAX = 32, FLIPS = SANITIZED ? 600 : 2000, CUTS = 12 };

struct file {
	char path[512];
	uint8_t *data;
	size_t size, end; /* behind `end` nothing means anything */
	uint8_t *unused;  /* one for each byte */
};

struct store {
	struct db_test *t;
	struct file files[FILES_MAX];
	unsigned n;
};

/* ---- which bytes mean something ---- */

static void mark(struct file *f, uint64_t from, uint64_t to, bool unused)
{
	assert_true(from <= to && to <= f->size);
	memset(f->unused + from, unused, to - from);
}

/* Of the log: both header copies, and the records but for what fills them up, and but for the last mark: whether that was
 * written is known to nobody. */
static void look_at_log(struct file *f)
{
	uint64_t at = WAL_HEADER_BYTES, last_mark = 0, last_end = 0;
	struct wal_segment s = { 0 };
	struct wal_parsed r;

	mark(f, 0, f->size, true);
	assert_ok(wal_header_decode(f->data, f->path, 0, &s));
	mark(f, 0, 64, false);
	mark(f, WAL_HEADER_COPY_BYTES, WAL_HEADER_COPY_BYTES + 64, false);
	while (wal_record_parse(f->data + at, f->size - at, place_seed(s.number, at), &r)) {
		mark(f, at, at + 16 + r.payload.size, false);
		if (r.type == WAL_RECORD_MARK) {
			last_mark = at;
			last_end = at + r.bytes;
		}
		at += r.bytes;
	}
	if (last_mark)
		mark(f, last_mark, last_end, true);
	f->end = at;
}

static int on_copy(void *ctx, const struct log_copy *copy)
{
	struct file *f = ctx;

	mark(f, copy->offset, copy->offset + 24 + copy->record.size, false);
	return LSM_OK;
}

static void look_at_manifest(struct file *f)
{
	uint64_t size, number;

	mark(f, 64, f->size, true);
	assert_ok(log_read_number(env_posix(), f->path, &number));
	assert_ok(log_scan(env_posix(), f->path, number, on_copy, f, &size));
}

static void file_add(struct store *s, const char *name)
{
	struct file *f = &s->files[s->n++];

	assert_true(s->n <= FILES_MAX);
	snprintf(f->path, sizeof(f->path), "%s/%s", s->t->store, name);
	f->data = tmp_file_load(f->path, &f->size);
	f->end = f->size;
	f->unused = calloc(f->size + 1, 1);
	if (!strncmp(name, "wal-", 4))
		look_at_log(f);
	else if (strstr(name, ".manifest"))
		look_at_manifest(f);
}

static void store_load(struct store *s, struct db_test *t)
{
	DIR *d = opendir(t->store);
	const struct dirent *e;

	*s = (struct store){ .t = t };
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, "LOCK"))
			file_add(s, e->d_name);
	closedir(d);
	assert_true(s->n >= 8);
}

static void store_done(struct store *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		free(s->files[i].data);
		free(s->files[i].unused);
	}
}

/* ---- what may be read ---- */

/* The error is one that damage may have, and names its file. */
static void assert_named(struct store *s, int rc)
{
	const struct lsm_error *e = lsm_last_error();

	if (rc != LSM_CORRUPT && rc != LSM_IO && rc != LSM_UNSUPPORTED && rc != LSM_NOT_STORE)
		assert_code(rc, LSM_CORRUPT);
	assert_int_equal(e->code, rc);
	assert_non_null(strstr(e->file, s->t->store));
	assert_true(strlen(e->message) > 10);
}

static void read_one(struct store *s, const struct want *w, const char *what)
{
	struct lsm_value v = { 0 };
	int rc = lsm_get(s->t->db, NULL, S(w->key), &v);

	if (!rc) {
		uint8_t *want = bytes_new(w->seed, w->size);

		if (v.size != w->size || memcmp(v.data, want, v.size)) {
			print_error("%s: wrong data of %s\n", what, w->key);
			fail();
		}
		free(want);
	} else if (rc == LSM_NOT_FOUND) {
		print_error("%s: %s is lost, and nothing says so\n", what, w->key);
		fail();
	} else {
		assert_named(s, rc);
	}
	lsm_value_release(&v);
}

static void read_all(struct store *s, const char *what)
{
	static struct want w[KEYS + 32];
	static unsigned n;
	struct lsm_iter *it = NULL;
	unsigned seen = 0;
	int rc;

	if (!n)
		n = wants(w);
	for (unsigned i = 0; i < n; i += i < KEYS ? 3 : 1)
		read_one(s, &w[i], what);
	rc = lsm_iter_new(s->t->db, NULL, &it);
	if (rc) {
		assert_named(s, rc);
		return;
	}
	for (lsm_iter_seek_first(it); lsm_iter_valid(it); lsm_iter_next(it))
		seen++;
	rc = lsm_iter_status(it);
	if (rc)
		assert_named(s, rc);
	else if (seen != n + 1) {
		print_error("%s: %u keys instead of %u\n", what, seen, n + 1);
		fail();
	}
	lsm_iter_free(it);
}

/* What is wrong now is found, and nothing wrong is read. */
static void examine(struct store *s, bool must_find, const char *what)
{
	struct lsm_options o = s->t->options;
	struct seen seen = { 0 };
	int rc = check(s->t, &seen);

	if (rc)
		assert_named(s, rc);
	if (must_find && !rc && !seen.told) {
		print_error("%s: not found\n", what);
		fail();
	}
	o.flags = LSM_OPEN_READ_ONLY;
	rc = lsm_open(s->t->store, &o, &s->t->db);
	if (rc) {
		assert_named(s, rc);
		s->t->db = NULL;
		return;
	}
	read_all(s, what);
	db_close(s->t);
}

/* ---- flips ---- */

static void flip(struct store *s, struct file *f, size_t at, uint8_t bits)
{
	char what[600];

	snprintf(what, sizeof(what), "%s, byte %zu ^ %#x", f->path, at, bits);
	tmp_file_flip(f->path, at, bits);
	examine(s, !f->unused[at], what);
	tmp_file_flip(f->path, at, bits);
}

/* One file after the other, since most bytes are in few of them. */
static void test_flips(void **state)
{
	struct db_test *t = *state;
	const char *asked = getenv("LSMFS_FLIPS");
	uint64_t flips = asked ? strtoull(asked, NULL, 10) : FLIPS;
	struct rng rng = { seed_choose("test_flips") };
	struct store s;

	store_load(&s, t);
	examine(&s, false, "before");
	if (asked && !strcmp(asked, "all")) {
		for (unsigned i = 0; i < s.n; i++)
			for (size_t at = 0; at < s.files[i].end; at++)
				flip(&s, &s.files[i], at, (uint8_t)(1u << rng_below(&rng, 8)));
		flips = 0;
	}
	for (uint64_t i = 0; i < flips; i++) {
		struct file *f = &s.files[i % s.n];

		flip(&s, f, rng_below(&rng, f->end), (uint8_t)(1u << rng_below(&rng, 8)));
	}
	examine(&s, false, "after");
	assert_ok(lsm_check(t->store, NULL));
	store_done(&s);
}

/* ---- files that are shorter, missing, or another's ---- */

static bool is_used(const struct file *f, size_t from)
{
	return memchr(f->unused + from, false, f->size - from) != NULL;
}

static void test_truncated(void **state)
{
	struct rng rng = { seed_choose("test_truncated") };
	struct store s;

	store_load(&s, *state);
	for (unsigned i = 0; i < s.n; i++) {
		struct file *f = &s.files[i];

		/* A log of no length is what a power cut leaves of one that was never synced. */
		for (unsigned k = strstr(f->path, "wal-") != NULL; k < CUTS; k++) {
			size_t size = k < 2 ? k * (f->size - 1) : rng_below(&rng, f->size);
			char what[600];

			snprintf(what, sizeof(what), "%s, cut to %zu bytes", f->path, size);
			assert_int_equal(truncate(f->path, (off_t)size), 0);
			examine(&s, is_used(f, size), what);
			tmp_file_store(f->path, f->data, f->size);
		}
	}
	assert_ok(lsm_check(s.t->store, NULL));
	store_done(&s);
}

static void test_missing(void **state)
{
	struct store s;

	store_load(&s, *state);
	for (unsigned i = 0; i < s.n; i++) {
		struct file *f = &s.files[i];

		if (strstr(f->path, "OPTIONS")) /* may be missing */
			continue;
		assert_int_equal(unlink(f->path), 0);
		examine(&s, true, f->path);
		tmp_file_store(f->path, f->data, f->size);
	}
	assert_ok(lsm_check(s.t->store, NULL));
	store_done(&s);
}

static void test_swapped(void **state)
{
	struct store s;

	store_load(&s, *state);
	for (unsigned i = 0; i < s.n; i++) {
		for (unsigned k = 0; k < i; k++) {
			struct file *a = &s.files[i], *b = &s.files[k];
			char what[1100];

			snprintf(what, sizeof(what), "%s and %s swapped", a->path, b->path);
			tmp_file_store(a->path, b->data, b->size);
			tmp_file_store(b->path, a->data, a->size);
			/* The log's files are told apart by their headers. */
			examine(&s, !strstr(a->path, "wal-") || !strstr(b->path, "wal-"), what);
			tmp_file_store(a->path, a->data, a->size);
			tmp_file_store(b->path, b->data, b->size);
		}
	}
	assert_ok(lsm_check(s.t->store, NULL));
	store_done(&s);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, db_teardown)
	const struct CMUnitTest tests[] = { T(test_flips), T(test_truncated), T(test_missing), T(test_swapped) };

	return cmocka_run_group_tests_name("flips", tests, NULL, NULL);
}
