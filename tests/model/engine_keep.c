/* SPDX-License-Identifier: MIT */
/* What outlives the process in the model test: named snapshots, copies. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/model/engine_run.h"

static const char *name_of(unsigned i)
{
	static char name[32];

	snprintf(name, sizeof(name), "name %u", i);
	return name;
}

static bool name_is_there(struct run *r, unsigned i)
{
	struct lsm_snapshot *s = NULL;
	int rc = lsm_snapshot_open(r->db, name_of(i), &s);

	if (rc == LSM_NOT_FOUND)
		return false;
	CHECK_OK(rc);
	lsm_snapshot_free(r->db, s);
	return true;
}

static void name_make(struct run *r, unsigned i)
{
	struct world_name *n = &r->world->names[i];

	n->model = *world_now(r->world);
	atomic_store(&n->state, NAME_MAKING);
	CHECK_OK(lsm_snapshot_create(r->db, name_of(i)));
	atomic_store(&n->state, NAME_THERE);
}

static void name_delete(struct run *r, unsigned i)
{
	struct world_name *n = &r->world->names[i];

	CHECK(lsm_snapshot_create(r->db, name_of(i)) == LSM_EXISTS, "%s made twice", name_of(i));
	atomic_store(&n->state, NAME_DELETING);
	CHECK_OK(lsm_snapshot_delete(r->db, name_of(i)));
	atomic_store(&n->state, NAME_NONE);
}

/* Opened, it is one of the snapshots that reads are made at, also when its name goes. */
static void name_open(struct run *r, unsigned i)
{
	struct held_snapshot *s = &r->snapshots[rng_below(&r->rng, RUN_SNAPSHOTS)];

	if (s->snapshot) {
		lsm_snapshot_free(r->db, s->snapshot);
		free(s->model);
	}
	s->model = malloc(sizeof(*s->model));
	CHECK(s->model, "no memory");
	*s->model = r->world->names[i].model;
	CHECK_OK(lsm_snapshot_open(r->db, name_of(i), &s->snapshot));
}

void run_name(struct run *r)
{
	unsigned i = (unsigned)rng_below(&r->rng, WORLD_NAMES);

	if (atomic_load(&r->world->names[i].state) == NAME_NONE)
		name_make(r, i);
	else if (rng_one_in(&r->rng, 3))
		name_delete(r, i);
	else
		name_open(r, i);
}

void run_settle_names(struct run *r)
{
	for (unsigned i = 0; i < WORLD_NAMES; i++) {
		struct world_name *n = &r->world->names[i];
		unsigned state = atomic_load(&n->state);
		bool there = name_is_there(r, i);
		struct lsm_snapshot *s = NULL;

		CHECK(state != NAME_NONE || !there, "%s is there, but was not made, or was deleted", name_of(i));
		CHECK(state != NAME_THERE || there, "%s is lost", name_of(i));
		atomic_store(&n->state, there ? NAME_THERE : NAME_NONE);
		if (!there)
			continue;
		CHECK_OK(lsm_snapshot_open(r->db, name_of(i), &s));
		CHECK(run_shows(r, r->db, s, &n->model), "%s doesn't show what it showed", name_of(i));
		lsm_snapshot_free(r->db, s);
	}
}

/* ---- copies ---- */

void dir_remove(const char *path)
{
	pid_t child = fork();

	if (!child) {
		execlp("rm", "rm", "-rf", path, NULL);
		_exit(127);
	}
	waitpid(child, NULL, 0);
}

void dir_remove_beside(const char *path, const char *what)
{
	char beside[256];

	dir_beside(path, what, beside);
	dir_remove(beside);
	strcat(beside, ".tmp");
	dir_remove(beside);
}

void dir_beside(const char *path, const char *what, char ret[256])
{
	snprintf(ret, 250, "%s.%s", path, what);
}

/* A store that must hold what ours holds now, names included. */
static void check_copy(struct run *r, const char *path)
{
	unsigned i = (unsigned)rng_below(&r->rng, WORLD_NAMES);
	struct lsm_snapshot *s = NULL;
	struct lsm_options options = r->options;
	struct lsm_db *db = NULL;
	int rc;

	options.flags = rng_one_in(&r->rng, 2) ? LSM_OPEN_READ_ONLY : 0;
	CHECK_OK(lsm_open(path, &options, &db));
	CHECK(run_shows(r, db, NULL, world_now(r->world)), "%s differs from its original", path);
	rc = lsm_snapshot_open(db, name_of(i), &s);
	if (atomic_load(&r->world->names[i].state) == NAME_THERE) {
		CHECK_OK(rc);
		CHECK(run_shows(r, db, s, &r->world->names[i].model), "%s shows something else in %s", name_of(i),
		      path);
	} else {
		CHECK(rc == LSM_NOT_FOUND, "%s is in %s only: %d", name_of(i), path, rc);
	}
	lsm_snapshot_free(db, s);
	CHECK_OK(lsm_close(db));
}

static int oldest(void *ctx, const struct lsm_backup_info *info)
{
	uint64_t *number = ctx;

	CHECK_OK(info->code);
	if (!number[0])
		number[0] = info->number;
	number[1] = info->number;
	return LSM_OK;
}

void run_backup(struct run *r)
{
	struct lsm_backup_info info = { 0 };
	char path[256], dir[256];
	uint64_t numbers[2] = { 0 };

	dir_beside(r->path, "copy", path);
	dir_beside(r->path, "backups", dir);
	dir_remove(path);
	CHECK_OK(lsm_backup(r->db, dir, NULL, &info));
	CHECK(info.copied_bytes <= info.bytes, "more was copied than there is");
	CHECK_OK(lsm_backup_list(dir, oldest, numbers));
	CHECK(numbers[1] == info.number, "backup %u is not the newest", (unsigned)info.number);
	if (numbers[1] - numbers[0] >= 3)
		CHECK_OK(lsm_backup_delete(dir, numbers[0]));
	CHECK_OK(lsm_backup_verify(dir, 0, NULL));
	CHECK_OK(lsm_restore(dir, rng_one_in(&r->rng, 2) ? 0 : info.number, path, NULL));
	check_copy(r, path);
}

void run_checkpoint(struct run *r)
{
	char path[256];

	dir_beside(r->path, "copy", path);
	dir_remove(path);
	CHECK_OK(lsm_checkpoint(r->db, path));
	check_copy(r, path);
}
