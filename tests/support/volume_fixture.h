/* SPDX-License-Identifier: MIT */
#ifndef TESTS_VOLUME_FIXTURE_H
#define TESTS_VOLUME_FIXTURE_H
/* volume_fixture - what the volume's unit tests begin with: an empty volume over rows in memory, and short hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/volume/internal.h"
#include "tests/support/rows_mem.h"

struct fixture {
	struct rows *rows;
	struct volume *v;
};

static const struct vol_cred fixture_cred = { .uid = 1000, .gid = 100 };

static inline void fixture_open(struct fixture *f)
{
	struct volume_options options = { .create = true };

	rows_mem_keep(f->rows);
	assert_int_equal(volume_open(f->rows, &options, &f->v), 0);
}

static inline void fixture_reopen(struct fixture *f)
{
	assert_int_equal(volume_close(f->v), 0);
	fixture_open(f);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->rows = rows_mem_new();
	fixture_open(f);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	(void)volume_close(f->v); /* a test may have made it fail */
	f->rows->ops->close(f->rows);
	free(f);
	return 0;
}

#define volume_test(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static inline vol_ino make_file(struct fixture *f, vol_ino dir, const char *name)
{
	struct vol_attr attr;

	assert_int_equal(volume_mknod(f->v, dir, name, S_IFREG | 0644, 0, &fixture_cred, &attr), 0);
	return attr.ino;
}

static inline vol_ino make_dir(struct fixture *f, vol_ino dir, const char *name)
{
	struct vol_attr attr;

	assert_int_equal(volume_mkdir(f->v, dir, name, 0755, &fixture_cred, &attr), 0);
	return attr.ino;
}

static inline struct vol_attr attr_of(struct fixture *f, vol_ino ino)
{
	struct vol_attr attr;

	assert_int_equal(volume_getattr(f->v, ino, &attr), 0);
	return attr;
}

/* 0: there is nothing of that name. */
static inline vol_ino ino_of(struct fixture *f, vol_ino dir, const char *name)
{
	struct vol_attr attr;
	int r = volume_lookup(f->v, dir, name, &attr);

	if (r == -ENOENT)
		return 0;
	assert_int_equal(r, 0);
	return attr.ino;
}

static inline size_t extent_count(struct fixture *f, vol_ino ino)
{
	struct schema_key begin, end;

	schema_key_extent(&begin, ino, 0);
	schema_key_extent_end(&end, ino);
	return rows_mem_count(f->rows, row_key(&begin), row_key(&end));
}

static inline size_t row_count(struct fixture *f)
{
	return rows_mem_count(f->rows, (struct row_key){ "", 0 }, (struct row_key){ NULL, 0 });
}

static inline bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static inline bool same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

#endif
