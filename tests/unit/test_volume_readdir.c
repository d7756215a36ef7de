/* SPDX-License-Identifier: MIT */
#include "tests/support/rng.h"
#include "tests/support/volume_fixture.h"

static uint64_t seed;

#define MANY 10000

struct seen {
	unsigned stop_after; /* entries, of each call */
	unsigned left;
	bool stopped;
	uint64_t cookie;
	unsigned dots, others;
	uint8_t *times; /* how often an entry named by a number came */
	uint64_t *cookies;
};

static bool see(void *ctx, const struct vol_entry *e)
{
	struct seen *s = ctx;
	unsigned long n;

	if (s->left == 0) {
		s->stopped = true;
		return false;
	}
	s->left--;
	assert_true(e->cookie > s->cookie && e->cookie <= INT64_MAX);
	s->cookie = e->cookie;
	if (e->name[0] == '.') {
		s->dots++;
		return true;
	}
	s->others++;
	n = strtoul(e->name, NULL, 10);
	if (s->times && n < 2 * MANY)
		s->times[n]++;
	if (s->cookies && n < 2 * MANY)
		s->cookies[n] = e->cookie;
	if (e->attr)
		assert_int_equal(e->attr->ino, e->ino);
	return true;
}

/* One call; true when there is more. */
static bool list_some(struct fixture *f, vol_ino dir, bool plus, struct seen *s)
{
	s->left = s->stop_after;
	s->stopped = false;
	assert_int_equal(volume_readdir(f->v, dir, s->cookie, plus, see, s), 0);
	return s->stopped;
}

static void number(char name[16], unsigned n)
{
	snprintf(name, 16, "%u", n);
}

static void make_number(struct fixture *f, vol_ino dir, unsigned n)
{
	char name[16];

	number(name, n);
	make_file(f, dir, name);
}

static void remove_number(struct fixture *f, vol_ino dir, unsigned n)
{
	struct vol_gone gone;
	char name[16];

	number(name, n);
	assert_int_equal(volume_unlink(f->v, dir, name, &gone), 0);
	assert_int_equal(volume_reclaim(f->v, gone.ino), 0);
}

static void test_empty(void **state)
{
	struct fixture *f = *state;
	struct seen s = { .stop_after = 10 };

	assert_false(list_some(f, VOL_ROOT, true, &s));
	assert_int_equal(s.dots, 2);
	assert_int_equal(s.cookie, 2);
	assert_false(list_some(f, VOL_ROOT, true, &s)); /* from the end */
	assert_int_equal(s.dots, 2);
}

static void test_stops_everywhere(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 300; i++)
		make_number(f, VOL_ROOT, i);
	for (unsigned step = 1; step < 310; step += step < 10 ? 1 : 33) {
		struct seen s = { .stop_after = step, .times = calloc(1, 2 * MANY) };

		while (list_some(f, VOL_ROOT, step & 1, &s))
			;
		assert_int_equal(s.dots, 2);
		assert_int_equal(s.others, 300);
		for (unsigned i = 0; i < 300; i++)
			assert_int_equal(s.times[i], 1);
		free(s.times);
	}
}

/* What is there all the time comes exactly once, and with the cookie it always had. */
static void test_changes_meanwhile(void **state)
{
	struct seen first = { .stop_after = UINT32_MAX, .cookies = calloc(2 * MANY, sizeof(uint64_t)) };
	struct seen s = { .stop_after = 50,
			  .times = calloc(1, 2 * MANY),
			  .cookies = calloc(2 * MANY, sizeof(uint64_t)) };
	struct fixture *f = *state;
	vol_ino dir = make_dir(f, VOL_ROOT, "dir");
	struct rng rng = { seed };
	unsigned added = MANY;

	for (unsigned i = 0; i < MANY; i++)
		make_number(f, dir, i);
	assert_false(list_some(f, dir, false, &first));
	assert_int_equal(first.others, MANY);
	/* even numbers stay; odd ones go, from the highest down; others come */
	for (unsigned gone = MANY - 1; list_some(f, dir, rng_one_in(&rng, 2), &s);) {
		for (unsigned i = 0; i < 10; i++, gone -= 2)
			remove_number(f, dir, gone);
		for (unsigned i = 0; i < 10; i++)
			make_number(f, dir, added++);
	}
	for (unsigned i = 0; i < MANY; i += 2) {
		assert_int_equal(s.times[i], 1);
		assert_int_equal(s.cookies[i], first.cookies[i]);
	}
	for (unsigned i = 0; i < 2 * MANY; i++)
		assert_true(s.times[i] <= 1);
	free(first.cookies);
	free(s.cookies);
	free(s.times);
}

static uint64_t one_hash(const char *name, size_t size, uint64_t hash_seed)
{
	(void)name;
	(void)size;
	(void)hash_seed;
	return 5;
}

static void test_collisions(void **state)
{
	struct seen s = { .stop_after = 7, .times = calloc(1, 2 * MANY) };
	struct fixture *f = *state;
	struct vol_gone gone;
	struct vol_attr attr;

	f->v->name_hash = one_hash;
	for (unsigned i = 0; i < SCHEMA_SLOTS; i++)
		make_number(f, VOL_ROOT, i);
	assert_int_equal(volume_mknod(f->v, VOL_ROOT, "x", S_IFREG, 0, &fixture_cred, &attr), -ENOSPC);
	while (list_some(f, VOL_ROOT, true, &s)) {
		/* a slot is freed behind the listing and used again: neither is seen twice */
		if (s.others >= 21 && s.others < 28) {
			remove_number(f, VOL_ROOT, 3);
			make_number(f, VOL_ROOT, 1000);
		}
	}
	assert_int_equal(s.others, SCHEMA_SLOTS);
	for (unsigned i = 0; i < SCHEMA_SLOTS; i++)
		assert_int_equal(s.times[i], 1);
	assert_int_equal(s.times[1000], 0);
	assert_int_equal(ino_of(f, VOL_ROOT, "3"), 0);
	/* both names of a rename in one bucket */
	assert_int_equal(volume_rename(f->v, VOL_ROOT, "5", VOL_ROOT, "6", 0, &gone), 0);
	assert_int_equal(ino_of(f, VOL_ROOT, "5"), 0);
	assert_true(ino_of(f, VOL_ROOT, "6") != 0 && gone.ino != 0);
	assert_int_equal(attr_of(f, VOL_ROOT).size, SCHEMA_SLOTS - 1);
	for (unsigned i = 0; i < SCHEMA_SLOTS; i++) {
		if (i != 3 && i != 5)
			remove_number(f, VOL_ROOT, i);
	}
	remove_number(f, VOL_ROOT, 1000);
	assert_int_equal(attr_of(f, VOL_ROOT).size, 0);
	free(s.times);
}

/* An inode that is damaged, or lost, doesn't hide the others, nor its own name. */
static void test_damaged_inode(void **state)
{
	struct fixture *f = *state;
	vol_ino bad = make_file(f, VOL_ROOT, "1"), lost = make_file(f, VOL_ROOT, "2");
	struct seen s = { .stop_after = 10, .times = calloc(1, 2 * MANY) };
	struct schema_key key;
	struct vol_attr attr;

	make_file(f, VOL_ROOT, "3");
	schema_key_inode(&key, bad);
	rows_mem_put(f->rows, row_key(&key), (struct row_key){ "\xff", 1 });
	schema_key_inode(&key, lost);
	rows_mem_delete(f->rows, row_key(&key));
	assert_false(list_some(f, VOL_ROOT, true, &s));
	assert_int_equal(s.times[1], 1);
	assert_int_equal(s.times[2], 1);
	assert_int_equal(s.times[3], 1);
	assert_int_equal(volume_lookup(f->v, VOL_ROOT, "1", &attr), -EUCLEAN);
	assert_int_equal(volume_lookup(f->v, VOL_ROOT, "2", &attr), -EUCLEAN);
	assert_int_equal(volume_lookup(f->v, VOL_ROOT, "3", &attr), 0);
	free(s.times);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		volume_test(test_empty),      volume_test(test_stops_everywhere), volume_test(test_changes_meanwhile),
		volume_test(test_collisions), volume_test(test_damaged_inode),
	};

	seed = seed_choose("test_volume_readdir");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
