/* SPDX-License-Identifier: MIT */
/* Several threads on the same few names: no deadlock, no lost count, no loop, no torn read. */
#include <linux/fs.h>
#include <stdatomic.h>

#include "tests/support/rng.h"
#include "tests/support/volume_fixture.h"

#define THREADS 4
#define ROUNDS 3000
#define NAMES 6

static uint64_t seed;

struct worker {
	pthread_t thread;
	struct fixture *f;
	struct rng rng;
	const vol_ino *dirs;
	vol_ino shared;
	atomic_uint *bad;
};

static vol_ino some_dir(struct worker *w)
{
	return w->dirs[rng_below(&w->rng, 3)];
}

static const char *some_name(struct worker *w)
{
	static const char *const names[NAMES] = { "a", "b", "c", "d", "e", "f" };

	return names[rng_below(&w->rng, NAMES)];
}

static int change_something(struct worker *w)
{
	struct vol_gone gone = { 0 };
	struct vol_attr attr, attr2;
	int r;

	switch (rng_below(&w->rng, 7)) {
	case 0:
		return volume_mknod(w->f->v, some_dir(w), some_name(w), S_IFREG | 0600, 0, &fixture_cred, &attr);
	case 1:
		r = volume_lookup(w->f->v, some_dir(w), some_name(w), &attr);
		if (r == 0 && S_ISDIR(attr.mode)) /* below it, so that directories hang below each other */
			r = volume_mkdir(w->f->v, attr.ino, some_name(w), 0700, &fixture_cred, &attr2);
		else
			r = volume_mkdir(w->f->v, some_dir(w), some_name(w), 0700, &fixture_cred, &attr);
		return r;
	case 2:
		r = volume_unlink(w->f->v, some_dir(w), some_name(w), &gone);
		break;
	case 3:
		r = volume_rmdir(w->f->v, some_dir(w), some_name(w), &gone);
		break;
	case 4:
		r = volume_rename(w->f->v, some_dir(w), some_name(w), some_dir(w), some_name(w), 0, &gone);
		break;
	case 5:
		r = volume_lookup(w->f->v, some_dir(w), some_name(w), &attr);
		if (r == 0)
			r = volume_rename(w->f->v, some_dir(w), some_name(w), attr.ino, some_name(w),
					  rng_one_in(&w->rng, 2) ? RENAME_EXCHANGE : 0, &gone);
		break;
	default:
		r = volume_lookup(w->f->v, some_dir(w), some_name(w), &attr);
		if (r == 0)
			r = volume_link(w->f->v, attr.ino, some_dir(w), some_name(w), &attr);
		break;
	}
	if (r == 0 && gone.ino != 0)
		r = volume_reclaim(w->f->v, gone.ino);
	return r;
}

/* Each write fills the whole file with one byte: a read must never see two. */
static bool shared_is_whole(struct worker *w)
{
	static const size_t size = 20000;
	uint8_t *buf = malloc(size);
	size_t got = 0;
	bool good = true;

	if (rng_one_in(&w->rng, 2)) {
		memset(buf, (int)rng_next(&w->rng), size);
		good = volume_write(w->f->v, w->shared, 0, buf, size, 0) == 0;
	} else {
		good = volume_read(w->f->v, w->shared, 0, buf, size, &got) == 0;
		for (size_t i = 1; i < got; i++)
			good = good && buf[i] == buf[0];
	}
	free(buf);
	return good;
}

static bool is_expected(int r)
{
	return r == 0 || r == -ENOENT || r == -EEXIST || r == -EISDIR || r == -ENOTDIR || r == -ENOTEMPTY ||
	       r == -EINVAL || r == -EPERM;
}

static bool ignore_entry(void *ctx, const struct vol_entry *entry)
{
	(void)ctx;
	(void)entry;
	return true;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (!is_expected(change_something(w)))
			atomic_fetch_add(w->bad, 1);
		if (i % 16 == 0 && !shared_is_whole(w))
			atomic_fetch_add(w->bad, 1);
		if (i % 64 == 0 && volume_readdir(w->f->v, some_dir(w), 0, true, ignore_entry, NULL) < 0)
			atomic_fetch_add(w->bad, 1);
	}
	return NULL;
}

struct counts {
	struct fixture *f;
	vol_ino dir;
	unsigned entries, dirs, depth;
};

static void check_dir(struct fixture *f, vol_ino dir, vol_ino parent, unsigned depth);

static bool count_entry(void *ctx, const struct vol_entry *e)
{
	struct counts *c = ctx;

	if (e->name[0] == '.')
		return true;
	assert_non_null(e->attr);
	c->entries++;
	if (S_ISDIR(e->type)) {
		c->dirs++;
		check_dir(c->f, e->ino, c->dir, c->depth + 1);
	} else {
		assert_true(e->attr->nlink > 0);
	}
	return true;
}

/* What the directory's row says of it is so. */
static void check_dir(struct fixture *f, vol_ino dir, vol_ino parent, unsigned depth)
{
	struct counts c = { .f = f, .dir = dir, .depth = depth };
	struct vol_attr attr = attr_of(f, dir);

	assert_true(depth < 5000);
	assert_int_equal(ino_of(f, dir, ".."), parent);
	assert_int_equal(volume_readdir(f->v, dir, 0, true, count_entry, &c), 0);
	assert_int_equal(attr.size, c.entries);
	assert_int_equal(attr.nlink, 2 + c.dirs);
}

static void remove_all(struct fixture *f, vol_ino dir)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "one", "two", "shared" };
	struct vol_gone gone;
	struct vol_attr attr;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (volume_lookup(f->v, dir, names[i], &attr) < 0)
			continue;
		if (S_ISDIR(attr.mode))
			remove_all(f, attr.ino);
		assert_int_equal((S_ISDIR(attr.mode) ? volume_rmdir : volume_unlink)(f->v, dir, names[i], &gone), 0);
		assert_int_equal(gone.ino, attr.nlink == 1 || S_ISDIR(attr.mode) ? attr.ino : 0);
	}
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	struct worker workers[THREADS];
	atomic_uint bad = 0;
	vol_ino dirs[3];

	dirs[0] = VOL_ROOT;
	dirs[1] = make_dir(f, VOL_ROOT, "one");
	dirs[2] = make_dir(f, dirs[1], "two");
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .f = f, .rng = { seed + i }, .dirs = dirs, .bad = &bad };
		workers[i].shared = i == 0 ? make_file(f, VOL_ROOT, "shared") : workers[0].shared;
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	assert_int_equal(bad, 0);
	check_dir(f, VOL_ROOT, VOL_ROOT, 0);
	fixture_reopen(f);
	check_dir(f, VOL_ROOT, VOL_ROOT, 0);
	remove_all(f, VOL_ROOT);
	fixture_reopen(f);
	assert_int_equal(row_count(f), 3); /* no inode was lost on the way, with its rows */
}

int main(void)
{
	const struct CMUnitTest tests[] = { volume_test(test_names) };

	seed = seed_choose("test_volume_threads");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
