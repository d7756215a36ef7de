/* SPDX-License-Identifier: MIT */
/* The policy of compaction: which job is picked for which tree. */
#include "lsm/tree/garbage.h"
#include "tests/support/tree_test.h"

static const struct picker_options options = {
	.level_base_bytes = 1000,
	.level_ratio = 10,
	.l0_tables = 4,
	.garbage_max = 0.25,
};

static struct version *empty(void)
{
	struct version *v = NULL;

	OK(version_new(&v));
	return v;
}

/* The job as text: "0>1 3,2,1+7", "move 1>2 5", "" for none. Static memory. */
static const char *text_of(const struct job *j, bool found)
{
	static char text[200];
	size_t n = 0;

	text[0] = 0;
	if (!found)
		return text;
	n = (size_t)snprintf(text, sizeof(text), "%s%u>%u ", j->move ? "move " : "", j->input_level, j->output_level);
	for (size_t i = 0; i < j->inputs_n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%llu",
				      !i                       ? ""
				      : i == j->inputs_upper_n ? "+"
							       : ",",
				      (unsigned long long)j->inputs[i]->number);
	return text;
}

static const char *pick(const struct version *v, const struct segment_info *segments, size_t n)
{
	struct job j = { 0 };
	const char *text;
	bool found = true;

	OK(pick_job(v, &options, segments, n, &j, &found));
	text = text_of(&j, found);
	job_done(&j);
	return text;
}

static const char *pick_for_reads(const struct version *v, const struct picker_options *o, uint64_t seeks,
				  uint64_t gets)
{
	struct job j = { 0 };
	const char *text;
	bool found = true;

	OK(pick_reads(v, o, seeks, gets, &j, &found));
	text = text_of(&j, found);
	job_done(&j);
	return text;
}

static const char *manual(const struct version *v, unsigned level, unsigned deepest, const char *begin, const char *end,
			  bool *ret_busy)
{
	struct job j = { 0 };
	const char *text;
	bool found = true;

	OK(pick_manual(v, &options, level, deepest, K(begin), K(end), &j, &found, ret_busy));
	text = text_of(&j, found);
	job_done(&j);
	return text;
}

static struct shape shape(const struct version *v)
{
	struct shape s;

	shape_of(v, &options, &s);
	return s;
}

/* Sizes come from the largest level; what is too small to be worth a level stays empty. */
static void test_shape(void **state)
{
	struct version *v = empty();
	struct shape s = shape(v);

	assert_int_equal(s.base, 6);
	assert_int_equal(s.l0_output, 6);
	v = version_with(v, 6, meta_new(*state, 1, "a", "b", 1, 1000));
	assert_int_equal(shape(v).base, 6); /* no larger than level_base_bytes */
	v = version_with(v, 6, meta_new(*state, 2, "c", "d", 1, 9000));
	s = shape(v);
	assert_int_equal(s.base, 5);
	assert_int_equal(s.l0_output, 5);
	assert_int_equal(s.targets[4], 0);
	assert_int_equal(s.targets[5], 1000);
	v = version_with(v, 6, meta_new(*state, 3, "e", "f", 1, 490000));
	s = shape(v);
	assert_int_equal(s.base, 3);
	assert_int_equal(s.targets[3], 500);
	assert_int_equal(s.targets[4], 5000);
	assert_int_equal(s.targets[5], 50000);
	version_unref(v);
}

/* A level in use is kept while the store is larger than half of what asks for it. */
static void test_shape_shrinks(void **state)
{
	struct version *v = version_with(empty(), 6, meta_new(*state, 1, "a", "b", 1, 600));

	v = version_with(v, 5, meta_new(*state, 2, "c", "d", 2, 50));
	assert_int_equal(shape(v).base, 5);
	assert_string_equal(pick(v, NULL, 0), "");
	version_unref(v);
	v = version_with(empty(), 6, meta_new(*state, 1, "a", "b", 1, 400));
	v = version_with(v, 5, meta_new(*state, 2, "a", "d", 2, 50));
	assert_int_equal(shape(v).base, 6);
	assert_int_equal(shape(v).l0_output, 5); /* not past what is newer than the last level */
	assert_string_equal(pick(v, NULL, 0), "5>6 2+1");
	version_unref(v);
}

/* The version after the job's tables have gone down, as they are. */
static struct version *moved(struct version *v, const struct job *j)
{
	struct version *next = NULL;
	struct edit e = { 0 };

	for (size_t i = 0; i < j->inputs_n; i++) {
		OK(edit_remove(&e, j->input_level, j->inputs[i]->number));
		OK(edit_add(&e, j->output_level, j->inputs[i]));
	}
	OK(version_apply(v, &e, "test", &next));
	edit_done(&e);
	version_unref(v);
	return next;
}

/* A tree of fixed level sizes (levels 1 to 3, as older stores have them) comes into shape by moves alone. */
static void test_old_shape_moves_down(void **state)
{
	struct version *v = empty();
	uint64_t number = 1;
	unsigned moves = 0;
	char key[16];

	for (unsigned level = 1; level <= 3; level++)
		for (int i = 0; i < (level == 1 ? 2 : level == 2 ? 20 : 70); i++, number++) {
			snprintf(key, sizeof(key), "%c%02d", "cba"[level - 1], i);
			v = version_with(v, level, meta_new(*state, number, key, key, 4 - level, 500));
		}
	assert_int_equal(shape(v).l0_output, 1);
	for (;; moves++) {
		struct job j = { 0 };
		bool found = false;

		OK(pick_job(v, &options, NULL, 0, &j, &found));
		if (!found)
			break;
		assert_true(j.move);
		v = moved(v, &j);
		job_done(&j);
		assert_true(moves < 1000);
	}
	for (unsigned level = 1; level < shape(v).base; level++)
		assert_int_equal(v->levels[level].n, 0);
	assert_true(v->levels[6].bytes >= 35000);
	assert_true(v->levels[5].bytes <= shape(v).targets[5]);
	version_unref(v);
}

static void test_level0(void **state)
{
	struct version *v = empty();

	assert_string_equal(pick(v, NULL, 0), "");
	v = version_with(v, 6, meta_new(*state, 1, "c", "e", 1, 10));
	v = version_with(v, 6, meta_new(*state, 2, "x", "z", 1, 10));
	for (uint64_t i = 0; i < 3; i++)
		v = version_with(v, 0, meta_new(*state, 10 + i, "a", "f", 10 + i, 10));
	assert_string_equal(pick(v, NULL, 0), ""); /* one table short of l0_tables */
	v = version_with(v, 0, meta_new(*state, 13, "b", "g", 13, 10));
	assert_string_equal(pick(v, NULL, 0), "0>6 13,12,11,10+1");
	v->levels[6].tables[0]->busy = true;
	assert_string_equal(pick(v, NULL, 0), "");
	v->levels[6].tables[0]->busy = false;
	version_unref(v);
}

/* Level 0 goes first when it is due, though the level below it is beyond its target: it gets more anyway. */
static void test_level0_first(void **state)
{
	struct version *v = version_with(empty(), 6, meta_new(*state, 1, "a", "z", 1, 4000));

	v = version_with(v, 5, meta_new(*state, 2, "a", "m", 2, 500));
	assert_string_equal(pick(v, NULL, 0), "5>6 2+1");
	for (uint64_t i = 0; i < 4; i++)
		v = version_with(v, 0, meta_new(*state, 10 + i, "c", "d", 10 + i, 400));
	assert_string_equal(pick(v, NULL, 0), "0>5 13,12,11,10+2");
	version_unref(v);
}

/* A table of level 0 that meets no other goes down as it is, but not beside a running job of level 0. */
static void test_move_level0(void **state)
{
	struct version *v = version_with(empty(), 0, meta_new(*state, 1, "a", "c", 1, 10));

	v = version_with(v, 0, meta_new(*state, 2, "c", "d", 2, 10));
	assert_string_equal(pick(v, NULL, 0), ""); /* they meet */
	v = version_with(v, 0, meta_new(*state, 3, "k", "m", 3, 10));
	assert_string_equal(pick(v, NULL, 0), "move 0>6 3");
	v->levels[0].tables[2]->busy = true;
	assert_string_equal(pick(v, NULL, 0), "");
	v->levels[0].tables[2]->busy = false;
	v = version_with(v, 6, meta_new(*state, 4, "l", "l", 0, 10));
	assert_string_equal(pick(v, NULL, 0), "");
	version_unref(v);
}

/* Of a level that is too large, the table goes whose move rewrites the least. */
static void test_size(void **state)
{
	struct version *v = version_with(empty(), 5, meta_new(*state, 1, "a", "b", 1, 600));

	v = version_with(v, 5, meta_new(*state, 2, "c", "d", 1, 600));
	v = version_with(v, 6, meta_new(*state, 3, "a", "b", 1, 5000));
	v = version_with(v, 6, meta_new(*state, 4, "d", "f", 1, 50));
	assert_string_equal(pick(v, NULL, 0), "5>6 2+4");
	v->levels[6].tables[1]->busy = true;
	assert_string_equal(pick(v, NULL, 0), "5>6 1+3");
	v->levels[6].tables[1]->busy = false;
	v = version_with(v, 5, meta_new(*state, 5, "x", "y", 1, 10));
	assert_string_equal(pick(v, NULL, 0), "move 5>6 5");
	version_unref(v);
}

static void test_tombstones(void **state)
{
	struct table_meta *m = meta_new(*state, 1, "c", "d", 9, 100);
	struct version *v = empty();

	m->props.range_deletes = 1;
	v = version_with(v, 4, m);
	v = version_with(v, 6, meta_new(*state, 4, "q", "r", 1, 30000));
	assert_string_equal(pick(v, NULL, 0), ""); /* nothing below that it could free */
	v = version_with(v, 6, meta_new(*state, 2, "d", "e", 1, 100));
	assert_string_equal(pick(v, NULL, 0), "move 4>5 1");
	v = version_with(v, 5, meta_new(*state, 3, "a", "c", 1, 100));
	assert_string_equal(pick(v, NULL, 0), "4>5 1+3");
	version_unref(v);
}

static struct table_meta *meta_blobs(void *state, uint64_t number, const char *smallest, const char *largest,
				     uint64_t segment, uint64_t bytes)
{
	struct table_meta *m = meta_new(state, number, smallest, largest, number, 100);

	m->props.blob_refs = calloc(1, sizeof(*m->props.blob_refs));
	m->props.blob_refs_n = 1;
	m->props.blob_refs[0] = (struct blob_ref){ segment, bytes };
	return m;
}

/* What new pointers hide of large values becomes known as garbage when their small tables go down. */
static void test_overwritten(void **state)
{
	struct version *v = version_with(empty(), 6, meta_blobs(*state, 1, "a", "m", 7, 1000000));

	v = version_with(v, 6, meta_new(*state, 9, "zz", "zz", 0, 9000)); /* so that level 5 may hold something */
	v = version_with(v, 5, meta_blobs(*state, 2, "n", "z", 8, 900000));
	assert_string_equal(pick(v, NULL, 0), ""); /* the two don't meet */
	v = version_with(v, 5, meta_blobs(*state, 3, "c", "d", 9, 30000));
	assert_string_equal(pick(v, NULL, 0), ""); /* too little of all */
	v = version_with(v, 5, meta_blobs(*state, 4, "e", "f", 10, 50000));
	assert_string_equal(pick(v, NULL, 0), "5>6 4+1");
	v->levels[6].tables[0]->busy = true;
	assert_string_equal(pick(v, NULL, 0), "");
	v->levels[6].tables[0]->busy = false;
	version_unref(v);

	/* Tables of level 0 hide one another. */
	v = version_with(empty(), 0, meta_blobs(*state, 5, "a", "m", 7, 1000000));
	v = version_with(v, 0, meta_blobs(*state, 6, "b", "d", 8, 20000));
	assert_string_equal(pick(v, NULL, 0), "");
	v = version_with(v, 0, meta_blobs(*state, 7, "b", "d", 9, 20000));
	assert_string_equal(pick(v, NULL, 0), "0>6 7,6,5");
	/* Rewriting much to free little is no use. */
	v->levels[0].tables[0]->props.file_bytes = 10000;
	assert_string_equal(pick(v, NULL, 0), "");
	version_unref(v);
}

static void test_garbage(void **state)
{
	const struct segment_info segments[] = { { 7, 100000, 80000 }, { 8, 100000, 50000 }, { 9, 148, 64 } };
	struct table_meta *m[3];
	struct version *v = empty();

	m[0] = meta_blobs(*state, 1, "a", "a", 7, 20000);
	m[1] = meta_blobs(*state, 2, "b", "c", 8, 25000);
	m[2] = meta_blobs(*state, 3, "d", "e", 8, 30000);
	assert_false(segment_is_garbage(&options, &segments[0]));
	assert_true(segment_is_garbage(&options, &segments[1]));
	assert_false(segment_is_garbage(&options, &segments[2])); /* all alive: the rest is headers */
	v = version_with(v, 5, m[0]);
	v = version_with(v, 5, m[1]);
	v = version_with(v, 6, m[2]);
	v = version_with(v, 6, meta_new(*state, 9, "q", "r", 1, 9000));
	assert_string_equal(pick(v, segments, 1), "");
	assert_string_equal(pick(v, segments, 3), "6>6 3"); /* the one with most of it */
	m[2]->busy = true;
	assert_string_equal(pick(v, segments, 3), "5>5 2");
	m[2]->busy = false;
	version_unref(v);
}

/* Nothing while garbage is a small share of all; then what has the largest shares, as much as is needed. */
static void test_garbage_select(void **state)
{
	struct segment_info s[5] = {
		{ 1, 100000, 95000 }, { 2, 100000, 90000 }, { 3, 100000, 95000 }, { 4, 100000, 0 }, { 5, 100000, 45000 }
	};
	struct segment_info t[4] = {
		{ 1, 100000, 40000 }, { 2, 100000, 30000 }, { 3, 100000, 70000 }, { 4, 600000, 599000 }
	};
	struct segment_info u[40];

	(void)state;
	assert_int_equal(garbage_select(&options, s, 4, false), 0);
	assert_int_equal(garbage_select(&options, s, 4, true), 0); /* none has a quarter */
	assert_int_equal(garbage_select(&options, s, 5, false), 1);
	assert_int_equal(s[0].number, 5);
	assert_int_equal(garbage_select(&options, t, 4, false),
			 1); /* 161,000 is 8,000 too much: the fullest suffices */
	assert_int_equal(t[0].number, 2);
	assert_int_equal(garbage_select(&options, t, 4, true), 3);
	/* Copies of one job stay a small share of all. */
	for (uint64_t i = 0; i < 40; i++)
		u[i] = (struct segment_info){ i, 16 << 20, 8 << 20 };
	assert_int_equal(garbage_select(&options, u, 40, false), 4);
}

static void test_garbage_limits(void **state)
{
	struct garbage_sums none = { 0, 0, 0 }, fill = { 1 << 30, 1000, 0 };
	struct garbage_sums steady = { 1 << 30, 300 << 20, 100 << 20 }, behind = { 1 << 30, 500 << 20, 480 << 20 };
	struct garbage_limits l;

	(void)state;
	garbage_limits(&none, 512 << 20, &l);
	assert_true(l.hold_bytes == 64 << 20 && l.hold_bytes_max == 512 << 20 && !l.delay_ps);
	garbage_limits(&fill, 512 << 20, &l);
	assert_true(l.hold_bytes == 128 << 20 && l.hold_bytes_max == 512 << 20 && !l.delay_ps);
	garbage_limits(&steady, 512 << 20, &l);
	assert_true(l.hold_bytes == 16 << 20 && l.hold_bytes_max == 32 << 20 && !l.delay_ps);
	assert_true(l.segment_bytes == 32 << 20);
	garbage_limits(&behind, 16 << 20, &l);
	assert_true(l.hold_bytes_max == 16 << 20 && l.delay_ps > 1000 && l.delay_ps <= 100000);
}

static void test_manual(void **state)
{
	struct version *v = empty();
	bool busy = false;

	v = version_with(v, 0, meta_new(*state, 1, "a", "c", 1, 10));
	v = version_with(v, 0, meta_new(*state, 2, "x", "y", 2, 10));
	v = version_with(v, 1, meta_new(*state, 3, "b", "d", 0, 10));
	v = version_with(v, 1, meta_new(*state, 4, "m", "n", 0, 10));
	assert_string_equal(manual(v, 0, 1, "b", "c", &busy), "0>1 2,1+3,4"); /* level 0 as a whole */
	assert_string_equal(manual(v, 0, 1, "e", "f", &busy), "");
	assert_false(busy);
	assert_string_equal(manual(v, 1, 2, "", "m", &busy), "1>2 3"); /* the end isn't part */
	assert_string_equal(manual(v, 1, 1, "", "", &busy), "");       /* nothing to drop in the last level */
	v->levels[1].tables[1]->props.deletes = 1;
	assert_string_equal(manual(v, 1, 1, "", "", &busy), "1>1 4");
	v->levels[1].tables[1]->busy = true;
	assert_string_equal(manual(v, 1, 1, "", "", &busy), "");
	assert_true(busy);
	v->levels[1].tables[1]->busy = false;
	version_unref(v);
}

static const char *pick_tiered(const struct version *v)
{
	struct picker_options tiered = options;
	struct job j = { 0 };
	const char *text;
	bool found = true;

	tiered.tiered_runs = 3;
	OK(pick_job(v, &tiered, NULL, 0, &j, &found));
	text = text_of(&j, found);
	job_done(&j);
	return text;
}

/* Runs of similar size become one when enough have gathered, but only neighbours in age. */
static void test_tiered(void **state)
{
	struct version *v = version_with(empty(), 6, meta_new(*state, 1, "a", "z", 1, 100000));

	v = version_with(v, 0, meta_new(*state, 10, "a", "m", 10, 900));
	v = version_with(v, 0, meta_new(*state, 11, "a", "m", 11, 100));
	v = version_with(v, 0, meta_new(*state, 12, "a", "m", 12, 90));
	assert_string_equal(pick_tiered(v), ""); /* the oldest is no run like the others */
	v = version_with(v, 0, meta_new(*state, 13, "a", "m", 13, 110));
	assert_string_equal(pick_tiered(v), "0>0 13,12,11");
	v->levels[0].tables[1]->busy = true;
	assert_string_equal(pick_tiered(v), "");
	v->levels[0].tables[1]->busy = false;
	v->levels[0].tables[1]->props.sequence_min = 5; /* what is older than the next one must not be mixed with it */
	assert_string_equal(pick_tiered(v), "");
	version_unref(v);
}

/* Level 0 as a whole goes down when it is as large as the last level, or when it meets nothing. */
static void test_tiered_to_last_level(void **state)
{
	struct version *v = version_with(empty(), 0, meta_new(*state, 10, "a", "m", 10, 100));

	assert_string_equal(pick_tiered(v), "move 0>6 10");
	version_unref(v);
	v = version_with(empty(), 6, meta_new(*state, 1, "c", "d", 1, 1000));
	for (uint64_t i = 0; i < 3; i++)
		v = version_with(v, 0, meta_new(*state, 10 + i, "a", "f", 10 + i, 400));
	assert_string_equal(pick_tiered(v), "0>6 12,11,10+1");
	/* A level that leveled compaction left goes down first. */
	v = version_with(v, 5, meta_new(*state, 2, "a", "g", 2, 10));
	assert_string_equal(pick_tiered(v), "0>5 12,11,10+2");
	version_unref(v);
}

static void test_debt(void **state)
{
	struct version *v = empty();

	assert_true(picker_debt(v, &options) == 0);
	for (uint64_t i = 0; i < 8; i++)
		v = version_with(v, 0, meta_new(*state, 1 + i, "a", "b", 1 + i, 10));
	assert_true(picker_debt(v, &options) == 0);
	for (uint64_t i = 8; i < 32; i++)
		v = version_with(v, 0, meta_new(*state, 1 + i, "a", "b", 1 + i, 10));
	assert_true(picker_debt(v, &options) > 0.99 && picker_debt(v, &options) < 1.01);
	version_unref(v);
	v = version_with(empty(), 5, meta_new(*state, 50, "a", "b", 1, 40000));
	assert_true(picker_debt(v, &options) == 0);                       /* it only has to be moved */
	v = version_with(v, 6, meta_new(*state, 51, "a", "b", 0, 40000)); /* 36 bases too much */
	assert_true(picker_debt(v, &options) > 0.49 && picker_debt(v, &options) < 0.51);
	version_unref(v);
}

/* Level 0 goes down once readers have had as much work with it as that makes, and not before. */
static void test_reads_pay_for_level0(void **state)
{
	struct picker_options tiered = options;
	struct version *v = empty();

	tiered.tiered_runs = 4;
	v = version_with(v, 6, meta_new(*state, 1, "a", "m", 1, 900));
	assert_string_equal(pick_for_reads(v, &options, UINT32_MAX, UINT32_MAX), ""); /* nothing lies above */
	v = version_with(v, 0, meta_new(*state, 2, "b", "k", 2, 100));
	v = version_with(v, 0, meta_new(*state, 3, "c", "k", 3, 100));
	assert_string_equal(pick(v, NULL, 0), "");
	assert_string_equal(pick_for_reads(v, &options, 0, 0), "");
	/* 10 ms and 1,100 bytes at 6 ns; two tables at 2000 ns a seek, 100 ns a get */
	assert_string_equal(pick_for_reads(v, &options, 2501, 0), "");
	assert_string_equal(pick_for_reads(v, &options, 2502, 0), "0>6 3,2+1");
	assert_string_equal(pick_for_reads(v, &options, 0, 50032), "");
	assert_string_equal(pick_for_reads(v, &options, 0, 50033), "0>6 3,2+1");
	assert_string_equal(pick_for_reads(v, &options, 1251, 25017), "0>6 3,2+1");
	assert_string_equal(pick_for_reads(v, &tiered, UINT32_MAX, UINT32_MAX), "");
	v->levels[0].tables[1]->busy = true;
	assert_string_equal(pick_for_reads(v, &options, UINT32_MAX, UINT32_MAX), "");
	version_unref(v);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, tree_setup, tree_teardown)
	const struct CMUnitTest tests[] = {
		T(test_shape),
		T(test_shape_shrinks),
		T(test_old_shape_moves_down),
		T(test_level0),
		T(test_level0_first),
		T(test_move_level0),
		T(test_size),
		T(test_tombstones),
		T(test_garbage),
		T(test_garbage_select),
		T(test_garbage_limits),
		T(test_overwritten),
		T(test_manual),
		T(test_tiered),
		T(test_tiered_to_last_level),
		T(test_reads_pay_for_level0),
		T(test_debt),
	};

	return cmocka_run_group_tests_name("picker", tests, NULL, NULL);
}
