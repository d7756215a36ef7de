/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CHECK_FIXTURE_H
#define TESTS_CHECK_FIXTURE_H
/* check_fixture - a store with files of every kind, and what lsm_check() finds in it. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lsm/format/log.h"
#include "lsm/format/table_format.h"
#include "lsm/format/wal_segment.h"
#include "lsm/store/db.h"
#include "tests/support/db_test.h"
#include "tests/support/tmp_dir.h"

/* ---- a store with files of every kind ---- */

enum { KEYS = 400, LARGE = 3000, DIRECT = 20000 };

static inline void fill(struct db_test *t)
{
	struct lsm_ingest *g = NULL;

	t->options.memtable_bytes = 1 << 20;
	t->options.level_ratio = 8;
	memset(t->options.level_compression, LSM_COMPRESS_NONE + 1, sizeof(t->options.level_compression));
	db_open(t);
	for (uint64_t i = 0; i < KEYS; i++)
		put_bytes(t, key_n(i), i, 100);
	for (uint64_t i = KEYS; i < KEYS + 20; i++)
		put_bytes(t, key_n(i), i, i % 2 ? LARGE : DIRECT);
	assert_ok(lsm_compact_range(t->db, S(""), S("")));
	assert_ok(lsm_snapshot_create(t->db, "then"));
	assert_ok(lsm_ingest_new(t->db, &g));
	assert_ok(lsm_ingest_put(g, S("loaded"), S("1")));
	assert_ok(lsm_ingest_finish(g));
	put_bytes(t, S("other"), 7, DIRECT);
	assert_ok(lsm_delete_range(t->db, S("x1"), S("x2"), 0));
	assert_ok(lsm_flush(t->db));
	for (uint64_t i = 0; i < 50; i++)
		put_bytes(t, S("inlog"), i, 500);
	put_bytes(t, S("inlog2"), 8, DIRECT);
	db_close(t);
}

static inline int setup(void **state)
{
	db_setup_closed(state);
	fill(*state);
	return 0;
}

/* ---- what is found ---- */

struct seen {
	const char *what, *file; /* wanted in a find */
	enum lsm_find_severity severity;
	bool found;
	unsigned damaged, told;
	char begin[64], end[64]; /* keys of the find */
	struct lsm_error all[32];
	uint64_t offset, done, total;
};

static inline int on_find(void *ctx, const struct lsm_find *f)
{
	struct seen *s = ctx;

	assert_true(f->file[0] && f->what[0]);
	assert_true(f->severity == LSM_FIND_DAMAGE ? f->code < 0 : f->code == LSM_OK);
	if (s->told < 32) {
		s->all[s->told].code = (int)f->severity;
		snprintf(s->all[s->told].message, sizeof(s->all[0].message), "%s", f->what);
	}
	s->told++;
	s->damaged += f->severity == LSM_FIND_DAMAGE;
	if (s->found || !s->what || f->severity != s->severity || !strstr(f->what, s->what) ||
	    !strstr(f->file, s->file))
		return LSM_OK;
	s->found = true;
	s->offset = f->offset;
	snprintf(s->begin, sizeof(s->begin), "%.*s", (int)f->begin.size, (const char *)f->begin.data);
	snprintf(s->end, sizeof(s->end), "%.*s", (int)f->end.size, (const char *)f->end.data);
	return LSM_OK;
}

static inline int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct seen *s = ctx;

	assert_true(done >= s->done && done <= total);
	s->done = done;
	s->total = total;
	return LSM_OK;
}

static inline int check(struct db_test *t, struct seen *s)
{
	const struct lsm_check_options o = { .find = on_find, .progress = on_progress, .ctx = s };

	return lsm_check(t->store, &o);
}

/* The check must name it, must say so with its code, and must not change a file. */
static inline struct seen expect_find_of(struct db_test *t, int code, enum lsm_find_severity severity, const char *file,
					 const char *what)
{
	uint64_t before = dir_checksum(t->store);
	struct seen s = { .what = what, .file = file, .severity = severity };
	int rc = check(t, &s);

	if (!s.found) {
		for (unsigned i = 0; i < s.told && i < 32; i++)
			print_error("found: %s %s\n", s.all[i].code ? "damage" : "info", s.all[i].message);
		print_error("not found in %s: %s\n", file, what);
		fail();
	}
	assert_code(rc, code);
	assert_int_equal(dir_checksum(t->store), before);
	return s;
}

static inline struct seen expect_damage(struct db_test *t, const char *file, const char *what)
{
	return expect_find_of(t, LSM_CORRUPT, LSM_FIND_DAMAGE, file, what);
}

static inline const char *largest(struct db_test *t, const char *suffix)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s", file_largest(t->store, suffix));
	return path;
}

static inline const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

static inline const char *path_in(struct db_test *t, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", t->store, name);
	return path;
}

/* The segment that holds "inlog". */
static inline const char *log_of(struct db_test *t, uint64_t *ret_at)
{
	for (unsigned i = 0; i < 20; i++) {
		char name[32];
		uint8_t *data, *at;
		size_t size;

		snprintf(name, sizeof(name), "wal-%04u", i);
		if (!path_exists(path_in(t, name)))
			continue;
		data = tmp_file_load(path_in(t, name), &size);
		at = memmem(data, size, "inlog", 5);
		*ret_at = at ? (uint64_t)(at - data) : 0;
		free(data);
		if (at)
			return path_in(t, name);
	}
	fail();
	return NULL;
}

/* ---- tables with checksums that are right and contents that are not ---- */

struct table_file {
	char path[512];
	uint8_t *data;
	size_t size;
	uint64_t number;
	struct table_footer footer;
};

static inline void table_load(struct db_test *t, struct table_file *f)
{
	snprintf(f->path, sizeof(f->path), "%s", largest(t, ".sst"));
	f->data = tmp_file_load(f->path, &f->size);
	f->number = table_footer_number(f->data + f->size - TABLE_FOOTER_BYTES);
	assert_ok(table_footer_decode(f->data + f->size - TABLE_FOOTER_BYTES, f->number, f->size - TABLE_FOOTER_BYTES,
				      f->path, &f->footer));
}

/* The block's checksum fits what it holds now. */
static inline void table_reseal(struct table_file *f, struct block_handle h)
{
	uint8_t *p = f->data + h.offset;

	put_u32(p + h.size + 1, checksum32(p, h.size + 1, place_seed(f->number, h.offset)));
}

static inline void table_store(struct table_file *f)
{
	tmp_file_store(f->path, f->data, f->size);
	free(f->data);
}

/* What the store holds, as key, seed and size of each value. */
struct want {
	char key[32];
	uint64_t seed;
	size_t size;
};

static inline unsigned wants(struct want *w)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < KEYS + 20; i++, n++) {
		snprintf(w[n].key, sizeof(w[n].key), "%.*s", (int)key_n(i).size, (const char *)key_n(i).data);
		w[n].seed = i;
		w[n].size = i < KEYS ? 100 : i % 2 ? LARGE : DIRECT;
	}
	w[n++] = (struct want){ "inlog", 49, 500 };
	w[n++] = (struct want){ "inlog2", 8, DIRECT };
	w[n++] = (struct want){ "other", 7, DIRECT };
	return n;
}

#endif
