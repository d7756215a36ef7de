/* SPDX-License-Identifier: MIT */
/* When reading moves the time of access, and that it gets to the rows. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/volume_fixture.h"

#define DAY (24 * 3600)

static void open_with(struct fixture *f, enum vol_atime atime, bool no_dir_atime, bool read_only)
{
	const struct volume_options options = {
		.create = !read_only, .read_only = read_only, .atime = atime, .no_dir_atime = no_dir_atime
	};

	if (f->v)
		assert_int_equal(volume_close(f->v), 0);
	rows_mem_keep(f->rows);
	assert_int_equal(volume_open(f->rows, &options, &f->v), 0);
}

static struct timespec stored_atime(struct fixture *f, vol_ino ino)
{
	struct node node;
	struct timespec t;

	assert_int_equal(node_load_stored(f->v, ino, &node), 0);
	t = node.i.atime;
	node_done(&node);
	return t;
}

/* The times of the inode, seconds before now. */
static void set_times(struct fixture *f, vol_ino ino, time_t atime, time_t mtime, time_t ctime)
{
	struct timespec now;
	struct vol_attr attr;

	clock_gettime(CLOCK_REALTIME, &now);
	attr = (struct vol_attr){ .atime = { now.tv_sec - atime, 1 },
				  .mtime = { now.tv_sec - mtime, 1 },
				  .ctime = { now.tv_sec - ctime, 1 } };
	assert_int_equal(volume_setattr(f->v, ino, &attr, VOL_SET_ATIME | VOL_SET_MTIME | VOL_SET_CTIME, &attr), 0);
}

/* Whether reading moves the time; and when it does, to now, and nothing else. */
static bool moves(struct fixture *f, vol_ino ino)
{
	struct vol_attr before = attr_of(f, ino), after;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	volume_accessed(f->v, ino);
	after = attr_of(f, ino);
	assert_true(same(after.mtime, before.mtime) && same(after.ctime, before.ctime));
	if (same(after.atime, before.atime))
		return false;
	assert_false(later(now, after.atime));
	return true;
}

static void test_relative(void **state)
{
	struct fixture *f = *state;
	vol_ino file;

	open_with(f, VOL_ATIME_RELATIVE, false, false);
	file = make_file(f, VOL_ROOT, "a");
	assert_true(moves(f, file)); /* as old as the others */
	assert_false(moves(f, file));
	set_times(f, file, 100, 200, 200);
	assert_false(moves(f, file));
	set_times(f, file, 100, 100, 200); /* not newer than mtime */
	assert_true(moves(f, file));
	set_times(f, file, 100, 200, 50); /* older than ctime */
	assert_true(moves(f, file));
	set_times(f, file, DAY - 100, DAY, DAY);
	assert_false(moves(f, file));
	set_times(f, file, DAY, 2 * DAY, 2 * DAY);
	assert_true(moves(f, file));
	assert_int_equal(volume_write(f->v, file, 0, "x", 1, 0), 0);
	assert_true(moves(f, file));
	assert_true(moves(f, VOL_ROOT));
}

static void test_modes(void **state)
{
	struct fixture *f = *state;
	struct vol_attr attr;
	vol_ino file, dir;

	open_with(f, VOL_ATIME_STRICT, false, false);
	file = make_file(f, VOL_ROOT, "a");
	dir = make_dir(f, VOL_ROOT, "d");
	assert_true(moves(f, file) && moves(f, file) && moves(f, dir) && moves(f, dir));
	assert_int_equal(volume_set_flags(f->v, file, VOL_FLAG_NOATIME), 0);
	assert_false(moves(f, file));
	assert_int_equal(volume_symlink(f->v, dir, "l", "x", &fixture_cred, &attr), 0);
	assert_true(moves(f, attr.ino));
	open_with(f, VOL_ATIME_STRICT, true, false);
	assert_false(moves(f, dir));
	assert_int_equal(volume_set_flags(f->v, file, 0), 0);
	assert_true(moves(f, file));
	open_with(f, VOL_ATIME_NONE, false, false);
	assert_false(moves(f, file) || moves(f, dir));
	open_with(f, VOL_ATIME_STRICT, false, true);
	assert_false(moves(f, file) || moves(f, dir));
	volume_accessed(f->v, file + 100); /* nobody's trouble */
}

/* A read costs no commit, and many reads of an inode cost one. */
static void test_stored_later(void **state)
{
	struct fixture *f = *state;
	struct timespec atime;
	vol_ino file, dir;
	uint64_t commits;

	open_with(f, VOL_ATIME_STRICT, false, false);
	file = make_file(f, VOL_ROOT, "a");
	dir = make_dir(f, VOL_ROOT, "d");
	commits = rows_mem_commits(f->rows);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(moves(f, file));
		volume_accessed(f->v, dir);
	}
	assert_int_equal(rows_mem_commits(f->rows), commits);
	atime = attr_of(f, file).atime;
	assert_true(later(atime, stored_atime(f, file)));
	open_with(f, VOL_ATIME_RELATIVE, false, false);
	assert_int_equal(rows_mem_commits(f->rows), commits + 2);
	assert_true(same(stored_atime(f, file), atime));
	/* what is stored with something else isn't stored again */
	commits = rows_mem_commits(f->rows);
	set_times(f, file, 100, 50, 50);
	volume_accessed(f->v, file);
	atime = attr_of(f, file).atime;
	assert_int_equal(volume_setxattr(f->v, file, "user.a", "1", 1, 0), 0);
	assert_true(same(stored_atime(f, file), atime));
	open_with(f, VOL_ATIME_RELATIVE, false, false);
	assert_int_equal(rows_mem_commits(f->rows), commits + 2);
	assert_true(same(attr_of(f, file).atime, atime));
}

static void test_setting_it_wins(void **state)
{
	struct fixture *f = *state;
	struct vol_attr set = { .atime = { 5, 6 } }, got;
	vol_ino file;

	open_with(f, VOL_ATIME_STRICT, false, false);
	file = make_file(f, VOL_ROOT, "a");
	volume_accessed(f->v, file);
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_ATIME, &got), 0);
	assert_true(same(got.atime, set.atime));
	assert_true(same(attr_of(f, file).atime, set.atime));
	volume_accessed(f->v, file);
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_MTIME, &got), 0);
	assert_true(later(got.atime, set.atime));
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_ATIME_NOW, &got), 0);
	assert_true(same(got.atime, got.ctime));
	assert_int_equal(volume_setattr(f->v, file, &set, VOL_SET_ATIME, &got), 0);
	open_with(f, VOL_ATIME_NONE, false, false);
	assert_true(same(attr_of(f, file).atime, set.atime));
}

struct seen {
	vol_ino ino;
	struct timespec atime;
};

static bool see(void *ctx, const struct vol_entry *entry)
{
	struct seen *seen = ctx;

	if (entry->ino == seen->ino)
		seen->atime = entry->attr->atime;
	return true;
}

static void test_listing_tells_it(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { 0 };
	struct vol_attr attr;

	open_with(f, VOL_ATIME_STRICT, false, false);
	seen.ino = make_file(f, VOL_ROOT, "a");
	volume_accessed(f->v, seen.ino);
	attr = attr_of(f, seen.ino);
	assert_true(later(attr.atime, attr.mtime));
	assert_int_equal(volume_readdir(f->v, VOL_ROOT, 0, true, see, &seen), 0);
	assert_true(same(seen.atime, attr.atime));
	assert_int_equal(volume_lookup(f->v, VOL_ROOT, "a", &attr), 0);
	assert_true(same(seen.atime, attr.atime));
}

/* What can't be stored is given up: nothing fails for it, now or at the end. */
static void test_failures(void **state)
{
	struct fixture *f = *state;
	struct vol_gone gone;
	vol_ino file, removed;

	open_with(f, VOL_ATIME_STRICT, false, false);
	file = make_file(f, VOL_ROOT, "a");
	removed = make_file(f, VOL_ROOT, "b");
	volume_accessed(f->v, file);
	volume_accessed(f->v, removed);
	assert_int_equal(volume_unlink(f->v, VOL_ROOT, "b", &gone), 0);
	assert_int_equal(volume_reclaim(f->v, removed), 0);
	rows_mem_fail_commit(f->rows, 1, -ENOSPC);
	open_with(f, VOL_ATIME_NONE, false, false);
	assert_true(same(attr_of(f, file).atime, attr_of(f, file).mtime));
}

/* So many that notes stand in each other's places: as half of them go, the others are found still. */
static void test_many(void **state)
{
	enum { FILES = 40000 };
	struct fixture *f = *state;
	static struct timespec atimes[FILES];
	static vol_ino inos[FILES];
	char name[16];

	open_with(f, VOL_ATIME_STRICT, false, false);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%u", i);
		inos[i] = make_file(f, VOL_ROOT, name);
	}
	for (unsigned i = 0; i < FILES; i++) {
		assert_true(moves(f, inos[i]));
		atimes[i] = attr_of(f, inos[i]).atime;
	}
	for (unsigned i = 0; i < FILES; i += 2)
		set_times(f, inos[i], 100, 100, 100);
	for (unsigned i = 1; i < FILES; i += 2)
		assert_true(same(attr_of(f, inos[i]).atime, atimes[i]));
	open_with(f, VOL_ATIME_NONE, false, false);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(same(attr_of(f, inos[i]).atime, atimes[i]), i % 2);
}

struct worker {
	struct fixture *f;
	vol_ino inos[8];
	atomic_bool stop;
};

static void *reader(void *arg)
{
	struct worker *w = arg;
	struct vol_attr attr;

	for (unsigned i = 0; !atomic_load(&w->stop); i++) {
		volume_accessed(w->f->v, w->inos[i % 8]);
		assert_int_equal(volume_getattr(w->f->v, w->inos[i % 8], &attr), 0);
	}
	return NULL;
}

/* Readers beside who sets times and content; at the end nothing is lost but times of access. */
static void test_threads(void **state)
{
	struct fixture *f = *state;
	struct vol_attr set = { .atime = { 1, 0 } }, got;
	struct worker w = { .f = f };
	pthread_t threads[2];
	char name[8];

	open_with(f, VOL_ATIME_STRICT, false, false);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "%u", i);
		w.inos[i] = make_file(f, VOL_ROOT, name);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &w), 0);
	for (unsigned i = 0; i < 2000; i++) {
		set.mtime = (struct timespec){ i, 0 };
		assert_int_equal(volume_setattr(f->v, w.inos[i % 8], &set, VOL_SET_MTIME | VOL_SET_ATIME, &got), 0);
		assert_int_equal(got.mtime.tv_sec, i);
		assert_int_equal(volume_setxattr(f->v, w.inos[i % 8], "user.i", &i, sizeof(i), 0), 0);
		assert_int_equal(volume_write(f->v, w.inos[i % 8], i / 8, "x", 1, 0), 0);
	}
	atomic_store(&w.stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	open_with(f, VOL_ATIME_NONE, false, false);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(attr_of(f, w.inos[i]).size, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_relative),
		volume_test(test_modes),
		volume_test(test_stored_later),
		volume_test(test_setting_it_wins),
		volume_test(test_listing_tells_it),
		volume_test(test_failures),
		volume_test(test_many),
		volume_test(test_threads),
	};

	return cmocka_run_group_tests_name("volume_atime", tests, NULL, NULL);
}
