/* SPDX-License-Identifier: MIT */
/*
 * One schedule of the volume on the engine. One client makes, writes, renames and removes files, beside the engine's threads. After
 * each life the volume is read whole, and must look as it did behind one of the operations: the last one, when only
 * the process has died; else any that is not before the last sync.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "fs/volume/check.h"
#include "tests/sim/life.h"
#include "tests/sim/volume_tree.h"

enum { HISTORY_MAX = 4000 };

enum step_state { STEP_PENDING, STEP_DONE, STEP_REFUSED };

/* How the volume looked, or would have looked, behind each operation since it was durable last. */
static struct {
	uint64_t hash;
	enum step_state state;
} history[HISTORY_MAX];
static unsigned history_n, durable_n; /* history[durable_n - 1] is durable */

static struct tree tree;
static struct volume *v;
static struct rows *rows; /* of `v` */
static const struct vol_cred cred = { .uid = 1000, .gid = 100 };

/* ---- what the volume calls is the simulated world's ---- */

int __real_lsm_open(const char *path, const struct lsm_options *options, struct lsm_db **ret_db);
int __wrap_lsm_open(const char *path, const struct lsm_options *options, struct lsm_db **ret_db);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags);

static struct lsm_options volume_store_options;

int __wrap_lsm_open(const char *path, const struct lsm_options *options, struct lsm_db **ret_db)
{
	return __real_lsm_open(path, volume_store_options.env ? &volume_store_options : options, ret_db);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (!fiber_self())
		return __real_clock_gettime(clock, ret);
	*ret = (struct timespec){ (time_t)(sim.now_ns / 1000000000 + 1700000000), (long)(sim.now_ns % 1000000000) };
	return 0;
}

ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags)
{
	(void)flags;
	rng_fill(&sim.rng, buf, size);
	return (ssize_t)size;
}

/* ---- the history ---- */

static void history_add(const struct tree *t, enum step_state state)
{
	if (history_n == HISTORY_MAX)
		sim_fail("more than %d operations", HISTORY_MAX);
	history[history_n].hash = tree_hash(t);
	history[history_n++].state = state;
}

/* What was refused can be there only when nothing came behind. */
static bool history_fits(unsigned i, uint64_t hash)
{
	return history[i].hash == hash && (history[i].state != STEP_REFUSED || i == history_n - 1);
}

static void history_fail(uint64_t hash, unsigned from)
{
	for (unsigned i = 0; i < history_n; i++)
		fprintf(stderr, "  %s%u: %016llx %d\n", i + 1 == durable_n ? "durable " : "", i,
			(unsigned long long)history[i].hash, (int)history[i].state);
	tree_print(&tree);
	sim_fail("the volume looks (%016llx) as it did behind none of the operations from %u to %u",
		 (unsigned long long)hash, from, history_n - 1);
}

static unsigned last_done(void)
{
	unsigned i = history_n - 1;

	while (i && history[i].state != STEP_DONE)
		i--;
	return i;
}

static int find_tell(void *ctx, const struct volume_find *find)
{
	(void)ctx;
	fprintf(stderr, "  %s: %s\n", find->path, find->what);
	return 0;
}

static void rows_check(void)
{
	const struct volume_check_options options = { .find = find_tell };
	struct volume_checked checked = { 0 };
	int r = volume_check(rows, &options, &checked);

	if (r < 0 || checked.finds)
		sim_fail("the volume's rows make no volume: %s, %llu finds", strerror(-r),
			 (unsigned long long)checked.finds);
}

/* What is there is the beginning of the next life. */
static void settle(struct life *l)
{
	unsigned from = l->all ? last_done() : durable_n - 1, at;
	uint64_t hash;

	rows_check();
	tree_read(&tree, v);
	hash = tree_hash(&tree);
	sim_trace(hash);
	for (at = history_n - 1; !history_fits(at, hash); at--)
		if (at == from)
			history_fail(hash, from);
	history_n = at + 1;
	history[at].state = STEP_DONE;
	if (l->durable)
		durable_n = history_n;
	l->settled = true;
}

/* ---- operations ---- */

static int node_choose(uint32_t type)
{
	int found = NONE;
	unsigned n = 0;

	for (int i = 0; i < TREE_NODES; i++)
		if (tree.nodes[i].type && (!type || tree.nodes[i].type == type) && rng_one_in(&sim.rng, ++n))
			found = i;
	return found;
}

/* An entry that is taken or free. */
static bool entry_choose(bool taken, int *ret_dir, unsigned *ret_name)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		*ret_dir = node_choose(S_IFDIR);
		*ret_name = (unsigned)rng_below(&sim.rng, TREE_NAMES);
		if ((tree.nodes[*ret_dir].entries[*ret_name] != NONE) == taken)
			return true;
	}
	return false;
}

static vol_ino ino_of(int node)
{
	return tree.nodes[node].ino;
}

/* The tree is already as the operation will make it. */
static void begin(const char *what)
{
	history_add(&tree, STEP_PENDING);
	sim_tell("operation %u: %s", history_n - 1, what);
}

/* Returns whether it has worked; else the tree is as before. Errors must have a reason. */
static bool end(int r, const struct tree *before)
{
	history[history_n - 1].state = r < 0 ? STEP_REFUSED : STEP_DONE;
	if (r >= 0)
		return true;
	sim_tell("refused: %s", strerror(-r));
	tree = *before;
	if (!sim_faults.met || (r != -EIO && r != -ENOSPC && r != -EROFS))
		sim_fail("operation %u: %s: %s", history_n - 1, strerror(-r), lsm_last_error()->message);
	return false;
}

static int op_make(void)
{
	static const uint32_t types[] = { S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFLNK };
	uint32_t type = types[rng_below(&sim.rng, 5)];
	struct tree before = tree;
	struct vol_attr attr;
	char target[64];
	unsigned name;
	int dir, at, r;

	if (!entry_choose(false, &dir, &name) || (at = tree_add(&tree, type)) == NONE)
		return 0;
	tree_link(&tree, dir, name, at);
	snprintf(target, sizeof(target), "../to/%u", history_n);
	if (S_ISLNK(type))
		tree_set_data(&tree, at, (uint8_t *)strdup(target), strlen(target));
	else if (S_ISREG(type))
		tree_set_data(&tree, at, calloc(1, 1), 0);
	begin("make");
	if (S_ISDIR(type))
		r = volume_mkdir(v, ino_of(dir), tree_name(name), 0755, &cred, &attr);
	else if (S_ISLNK(type))
		r = volume_symlink(v, ino_of(dir), tree_name(name), target, &cred, &attr);
	else
		r = volume_mknod(v, ino_of(dir), tree_name(name), S_IFREG | 0644, 0, &cred, &attr);
	if (end(r, &before))
		tree.nodes[at].ino = attr.ino;
	return r;
}

static int op_link(void)
{
	struct tree before = tree;
	struct vol_attr attr;
	int at = node_choose(S_IFREG), dir, r;
	unsigned name;

	if (at == NONE || !entry_choose(false, &dir, &name))
		return 0;
	tree_link(&tree, dir, name, at);
	begin("link");
	r = volume_link(v, ino_of(at), ino_of(dir), tree_name(name), &attr);
	(void)end(r, &before);
	return r;
}

/* Whose last name goes is given up at once, or by the next open. */
static void gone_reclaim(const struct vol_gone *gone)
{
	if (gone->ino && sim_chance(70))
		(void)volume_reclaim(v, gone->ino);
}

static int op_remove(void)
{
	struct tree before = tree;
	struct vol_gone gone = { 0 };
	unsigned name;
	int dir, at, r;

	if (!entry_choose(true, &dir, &name))
		return 0;
	at = tree.nodes[dir].entries[name];
	if (S_ISDIR(tree.nodes[at].type) && !tree_is_empty(&tree, at))
		return 0;
	tree_unlink(&tree, dir, name);
	begin("remove");
	r = S_ISDIR(before.nodes[at].type) ? volume_rmdir(v, ino_of(dir), tree_name(name), &gone)
					   : volume_unlink(v, ino_of(dir), tree_name(name), &gone);
	if (end(r, &before))
		gone_reclaim(&gone);
	return r;
}

/* Onto a free name, or over a file. */
static int op_rename(void)
{
	struct tree before = tree;
	struct vol_gone gone = { 0 };
	int dir, new_dir, at, over, r;
	unsigned name, new_name;

	if (!entry_choose(true, &dir, &name) || !entry_choose(sim_chance(50), &new_dir, &new_name))
		return 0;
	at = tree.nodes[dir].entries[name];
	over = tree.nodes[new_dir].entries[new_name];
	if (at == over || (S_ISDIR(tree.nodes[at].type) && (over != NONE || tree_lies_in(&tree, new_dir, at))) ||
	    (over != NONE && S_ISDIR(tree.nodes[over].type)))
		return 0;
	tree_link(&tree, new_dir, new_name, at);
	tree_unlink(&tree, dir, name);
	begin("rename");
	r = volume_rename(v, ino_of(dir), tree_name(name), ino_of(new_dir), tree_name(new_name), 0, &gone);
	if (end(r, &before))
		gone_reclaim(&gone);
	return r;
}

static uint8_t *data_copy(const struct tree_node *n, size_t size)
{
	uint8_t *data = calloc(1, size + 1);

	if (!data)
		sim_fail("no memory");
	memcpy(data, n->data, n->size < size ? n->size : size);
	return data;
}

static int op_write(void)
{
	static const uint64_t sizes[] = { 50, 300, 300, 5000, 40000 };
	struct tree before = tree;
	int at = node_choose(S_IFREG), r;
	unsigned flags = sim_chance(10) ? VOL_WRITE_SYNC : 0;
	const struct tree_node *n;
	uint64_t offset;
	size_t size, all;
	uint8_t *data;

	if (at == NONE)
		return 0;
	n = &tree.nodes[at];
	size = (size_t)sim_between(1, sizes[rng_below(&sim.rng, 5)]);
	offset = sim_chance(50) ? n->size : sim_between(0, n->size + sizes[rng_below(&sim.rng, 5)]);
	if (offset + size > TREE_FILE_MAX)
		return 0;
	all = offset + size > n->size ? (size_t)offset + size : n->size;
	data = data_copy(n, all);
	rng_fill(&sim.rng, data + offset, size);
	tree_set_data(&tree, at, data, all);
	begin("write");
	r = volume_write(v, ino_of(at), offset, data + offset, size, flags);
	if (end(r, &before) && flags)
		durable_n = history_n;
	return r;
}

static int op_truncate(void)
{
	struct tree before = tree;
	int at = node_choose(S_IFREG), r;
	struct vol_attr attr = { 0 };

	if (at == NONE)
		return 0;
	attr.size = sim_chance(30) ? 0 : sim_between(0, tree.nodes[at].size + 5000);
	if (attr.size > TREE_FILE_MAX)
		return 0;
	tree_set_data(&tree, at, data_copy(&tree.nodes[at], attr.size), attr.size);
	begin("truncate");
	r = volume_setattr(v, ino_of(at), &attr, VOL_SET_SIZE, &attr);
	(void)end(r, &before);
	return r;
}

static int op_sync(void)
{
	unsigned n = last_done() + 1;
	int r = volume_sync(v);

	if (r < 0 && !sim_faults.met)
		sim_fail("cannot sync: %s", lsm_last_error()->message);
	if (r >= 0)
		durable_n = n;
	return r;
}

static int op_check(void)
{
	int at = node_choose(S_IFREG), r;
	uint8_t *data;
	size_t size;

	if (at == NONE)
		return 0;
	data = malloc(TREE_FILE_MAX + 1);
	r = volume_read(v, ino_of(at), 0, data, TREE_FILE_MAX + 1, &size);
	if (r < 0 && !sim_faults.met)
		sim_fail("cannot read a file: %s", lsm_last_error()->message);
	if (r >= 0 && (size != tree.nodes[at].size || memcmp(data, tree.nodes[at].data, size)))
		sim_fail("a file of %zu bytes doesn't read as it was written: %zu bytes", tree.nodes[at].size, size);
	free(data);
	return 0;
}

static int step(void)
{
	uint64_t what = rng_below(&sim.rng, 100);

	if (what < 20)
		return op_make();
	if (what < 27)
		return op_link();
	if (what < 39)
		return op_remove();
	if (what < 53)
		return op_rename();
	if (what < 80)
		return op_write();
	if (what < 85)
		return op_truncate();
	if (what < 92)
		return op_sync();
	if (what < 96)
		return op_check();
	fiber_sleep(rng_below(&sim.rng, UINT64_C(1) << sim_between(10, 33)));
	return 0;
}

/* ---- a life ---- */

static int volume_begin(void)
{
	static const struct rows_lsm_options rows_options = { .create = true };
	static const struct volume_options options = { .create = true };
	char message[1024];
	int r = rows_lsm_open(".", &rows_options, &rows, message, sizeof(message));

	if (r >= 0)
		r = volume_open(rows, &options, &v);
	if (r < 0 && !sim_faults.met)
		sim_fail("cannot open: %s: %s", strerror(-r), lsm_last_error()->message);
	return r;
}

static void work(struct life *l)
{
	for (unsigned i = 0; i < l->ops; i++) {
		if (i == l->cut_after_ops)
			life_cut_arm(l, PHASE_WORK);
		/* A store that can still be synced has not done what it refused; one that can't takes nothing any more. */
		if (step() < 0 && op_sync() < 0)
			return;
	}
}

static void life_main(void *ctx)
{
	struct life *l = ctx;
	unsigned n;

	if (l->check)
		life_check(".");
	life_cut_arm(l, PHASE_OPEN);
	if (l->faults_at_open)
		life_faults_begin(l);
	if (volume_begin() < 0)
		return;
	sim_faults.kind = FAULT_NONE;
	sim.cut_in = 0;
	settle(l);
	life_faults_begin(l);
	work(l);
	if (l->cut_phase == PHASE_WORK)
		return;
	n = last_done() + 1;
	life_cut_arm(l, PHASE_CLOSE);
	if (volume_close(v) >= 0)
		durable_n = n;
	else if (!sim_faults.met)
		sim_fail("cannot close: %s", lsm_last_error()->message);
}

void sim_volume(void)
{
	struct life l = { .all = true };
	unsigned lives = (unsigned)sim_between(1, 4);

	disk_new();
	tree_new(&tree);
	history_add(&tree, STEP_DONE);
	durable_n = 1;
	for (unsigned n = 0; n <= lives; n++) {
		life_choose(&l, 1, n == lives);
		volume_store_options = l.options;
		life_live(&l, life_main);
	}
}
