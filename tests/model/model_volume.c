/* SPDX-License-Identifier: MIT */
/*
 * Random operations on a volume and on a plain model of a file tree, which must agree: results, attributes, contents,
 * listings, extended attributes; across reopens, over rows in memory and over the engine.
 *
 *	model_volume [mem|lsm|both [OPERATIONS]]        LSMFS_SEED=... repeats a run
 */
#include <ftw.h>
#include <unistd.h>

#include "tests/support/sanitized.h"
#include "fs/volume/check.h"
#include "tests/model/volume_model.h"
#include "tests/support/rows_mem.h"

static unsigned operations = SANITIZED ? 700 : 6000;
static uint64_t seed;

static uint64_t few_hashes(const char *name, size_t size, uint64_t hash_seed)
{
	return schema_name_hash(name, size, hash_seed) % 3 + 1;
}

/* With colliding hashes names lie where the check doesn't expect them, and that is all it may find. */
static int on_find(void *ctx, const struct volume_find *f)
{
	const struct model *m = ctx;

	if (m->collide && f->kind == VOLUME_FIND_NAME)
		return 0;
	fail_msg("the check has found, at %s: %s", f->path, f->what);
	return 0;
}

static void check_rows(struct model *m, struct rows *rows)
{
	const struct volume_check_options options = { .find = on_find, .ctx = m };
	struct volume_checked sums;

	expect(m, "check", volume_check(rows, &options, &sums), 0);
}

static void volume_start(struct model *m)
{
	struct rows_lsm_options rows_options = { .create = true, .memory_bytes = 8 << 20 };
	struct volume_options options = {
		.create = true, .root_mode = 0755, .root_uid = model_cred.uid, .root_gid = model_cred.gid
	};
	struct rows *rows = m->mem;
	char message[256] = "";
	int r;

	if (m->mem) {
		rows_mem_keep(m->mem);
	} else {
		r = rows_lsm_open(m->path, &rows_options, &rows, message, sizeof(message));
		if (r < 0)
			fail_msg("opening %s: %s", m->path, message);
	}
	if (m->v) /* not the first time */
		check_rows(m, rows);
	expect(m, "open", volume_open(rows, &options, &m->v), 0);
	if (m->collide)
		m->v->name_hash = few_hashes;
}

static void op_reopen(struct model *m)
{
	struct vol_attr attr;

	expect(m, "close", volume_close(m->v), 0);
	volume_start(m);
	for (unsigned i = 0; i < NODES; i++) {
		if (!m->nodes[i].used || m->nodes[i].nlink > 0)
			continue;
		expect(m, "getattr", volume_getattr(m->v, m->nodes[i].ino, &attr), -ENOENT);
		node_free(&m->nodes[i]);
	}
	check_all(m);
}

static const struct {
	unsigned weight;
	void (*run)(struct model *m);
} ops[] = {
	{ 120, op_create },  { 60, op_remove },      { 90, op_rename },    { 30, op_link },       { 10, op_tmpfile },
	{ 30, op_reclaim },  { 30, op_lookup },      { 200, op_write },    { 5, op_append_many }, { 5, op_fill_hole },
	{ 60, op_read },     { 30, op_truncate },    { 40, op_fallocate }, { 30, op_seek },       { 40, op_setattr },
	{ 25, op_setxattr }, { 10, op_removexattr }, { 2, check_all },     { 1, op_reopen },
};

static void run_one(struct model *m)
{
	unsigned total = 0, pick;

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		total += ops[i].weight;
	pick = (unsigned)rng_below(&m->rng, total);
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (pick < ops[i].weight) {
			ops[i].run(m);
			return;
		}
		pick -= ops[i].weight;
	}
}

static void remove_tree(struct model *m, struct model_node *dir)
{
	struct vol_gone gone;

	for (unsigned i = 0; i < NAMES; i++) {
		int at = dir->entries[i];

		if (at == NONE)
			continue;
		if (is_dir(&m->nodes[at]))
			remove_tree(m, &m->nodes[at]);
		expect(m, "remove",
		       (is_dir(&m->nodes[at]) ? volume_rmdir : volume_unlink)(m->v, dir->ino, m->names[i], &gone), 0);
	}
}

/* Of all that has been, only the superblock, the counter of parts and the root's inode remain. */
static void check_nothing_is_left(struct model *m)
{
	static const uint8_t low[1] = { 0 }, high[9] = { 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	const struct rows_ops *rows_ops = m->v->rows->ops;
	struct rows_iter *it = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < XATTRS; i++) {
		if (m->nodes[0].xattrs[i])
			expect(m, "removexattr",
			       volume_removexattr(m->v, VOL_ROOT,
						  (char[]){ 'u', 's', 'e', 'r', '.', 'x', (char)('0' + i), 0 }),
			       0);
	}
	remove_tree(m, &m->nodes[0]);
	expect(m, "close", volume_close(m->v), 0);
	volume_start(m);
	expect(m, "iterator",
	       rows_ops->iter_new(m->v->rows, (struct row_key){ low, 1 }, (struct row_key){ high, 9 }, &it), 0);
	expect(m, "seek", rows_ops->iter_seek(it, (struct row_key){ low, 1 }), 0);
	for (; rows_ops->iter_valid(it); count++)
		expect(m, "next", rows_ops->iter_next(it), 0);
	rows_ops->iter_free(it);
	check(m, count == 3);
}

static void names_make(struct model *m)
{
	for (unsigned i = 0; i < NAMES; i++)
		snprintf(m->names[i], sizeof(m->names[i]), "name-%u", i);
	memset(m->names[0], 'x', VOL_NAME_MAX);
	snprintf(m->names[1], sizeof(m->names[1]), "\xff\x01 .\n");
}

static void run(struct model *m, unsigned count)
{
	struct vol_attr root;

	m->buf = malloc(FILE_MAX + 20000);
	names_make(m);
	volume_start(m);
	expect(m, "getattr", volume_getattr(m->v, VOL_ROOT, &root), 0);
	node_born(m, 0, 0, S_IFDIR | 0755, &root);
	for (m->step = 0; m->step < count; m->step++)
		run_one(m);
	check_all(m);
	check_nothing_is_left(m);
	expect(m, "close", volume_close(m->v), 0);
	for (unsigned i = 0; i < NODES; i++)
		node_free(&m->nodes[i]);
	free(m->buf);
}

static void run_mem(bool collide, unsigned count)
{
	struct model *m = calloc(1, sizeof(*m));

	m->seed = m->rng.state = seed;
	m->collide = collide;
	m->mem = rows_mem_new();
	run(m, count);
	m->mem->ops->close(m->mem);
	free(m);
}

static void test_mem(void **state)
{
	(void)state;
	run_mem(false, operations);
}

static void test_mem_collisions(void **state)
{
	(void)state;
	run_mem(true, operations);
}

static int remove_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void test_lsm(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	const char *base = getenv("TMPDIR");

	(void)state;
	m->seed = m->rng.state = seed;
	snprintf(m->path, sizeof(m->path), "%s/model-volume-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(m->path))
		fail_msg("mkdtemp %s: %s", m->path, strerror(errno));
	run(m, operations);
	nftw(m->path, remove_file, 16, FTW_DEPTH | FTW_PHYS);
	free(m);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest mem_tests[] = { cmocka_unit_test(test_mem), cmocka_unit_test(test_mem_collisions) };
	const struct CMUnitTest lsm_tests[] = { cmocka_unit_test(test_lsm) };
	const char *what = argc > 1 ? argv[1] : "both";
	int failed = 0;

	if (argc > 2)
		operations = (unsigned)strtoul(argv[2], NULL, 0);
	seed = seed_choose("model_volume");
	if (strcmp(what, "lsm") != 0)
		failed += cmocka_run_group_tests_name("volume over memory", mem_tests, NULL, NULL);
	if (strcmp(what, "mem") != 0)
		failed += cmocka_run_group_tests_name("volume over the engine", lsm_tests, NULL, NULL);
	return failed ? 1 : 0;
}
