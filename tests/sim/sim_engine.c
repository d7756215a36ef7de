/* SPDX-License-Identifier: MIT */
/*
 * One schedule of the engine: a store lives several times. In a life some clients do their operations beside one another and beside
 * the engine's own threads; it ends at any step, by a power cut or by the death of the process, or with a close. What the next
 * life finds is compared with the oracle.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/engine_client.h"
#include "tests/sim/life.h"

static const char store[] = "disk/store";

/* ---- looking ---- */

static void found_add(value_id (*found)[KEYS], struct lsm_iter *it)
{
	struct lsm_slice value;
	unsigned client, key;

	key_parse(lsm_iter_key(it), &client, &key);
	client_check(lsm_iter_value(it, &value), "read a value");
	if (found[client][key])
		sim_fail("key %c %02u comes twice", 'a' + client, key);
	found[client][key] = value_check(&oracle.clients[client], key, value);
}

static void found_by_iter(struct lsm_db *db, bool forward, value_id (*found)[KEYS])
{
	struct lsm_iter *it = NULL;

	client_check(lsm_iter_new(db, NULL, &it), "make an iterator");
	if (forward)
		for (lsm_iter_seek_first(it); lsm_iter_valid(it); lsm_iter_next(it))
			found_add(found, it);
	else
		for (lsm_iter_seek_last(it); lsm_iter_valid(it); lsm_iter_prev(it))
			found_add(found, it);
	client_check(lsm_iter_status(it), "iterate");
	lsm_iter_free(it);
}

static void found_by_get(struct lsm_db *db, value_id (*found)[KEYS])
{
	for (unsigned i = 0; i < oracle.clients_n; i++)
		for (unsigned k = 0; k < KEYS; k++)
			(void)client_get(db, NULL, &oracle.clients[i], k, &found[i][k]);
}

/* Everything, in two ways that have to agree. */
static void look(struct lsm_db *db, value_id (*found)[KEYS])
{
	value_id again[CLIENTS_MAX][KEYS] = { 0 };

	memset(found, 0, sizeof(again));
	found_by_iter(db, sim_chance(50), found);
	if (sim_chance(50))
		found_by_get(db, again);
	else
		found_by_iter(db, sim_chance(50), again);
	if (memcmp(found, again, sizeof(again)))
		sim_fail("two ways to read the store find two things");
}

static void settle(struct life *l, struct lsm_db *db)
{
	value_id found[CLIENTS_MAX][KEYS];

	look(db, found);
	oracle_settle(found, l->all, l->durable);
	l->settled = true;
}

/* ---- a life ---- */

struct work {
	struct life *life;
	struct engine_client client;
	unsigned *ops_left; /* until the end is due; shared */
};

static void work_main(void *ctx)
{
	struct work *w = ctx;

	for (unsigned i = 0; i < w->life->ops; i++) {
		if (*w->ops_left && !--*w->ops_left)
			life_cut_arm(w->life, PHASE_WORK);
		client_step(&w->client);
	}
	client_end(&w->client);
}

static void work(struct life *l, struct lsm_db *db)
{
	static struct work works[CLIENTS_MAX];
	struct fiber *fibers[CLIENTS_MAX];
	unsigned ops_left = l->cut_after_ops;

	for (unsigned i = 0; i < oracle.clients_n; i++) {
		works[i] = (struct work){ .life = l, .ops_left = &ops_left };
		client_begin(&works[i].client, db, &oracle.clients[i], &l->options);
		fibers[i] = fiber_start("client", work_main, &works[i]);
	}
	for (unsigned i = 0; i < oracle.clients_n; i++)
		fiber_join(fibers[i]);
}

static void close_store(struct life *l, struct lsm_db *db)
{
	struct moment m = oracle_now();

	life_cut_arm(l, PHASE_CLOSE);
	if (!client_check_faulty(lsm_close(db), "close"))
		oracle_durable(&m);
}

static void life_main(void *ctx)
{
	struct life *l = ctx;
	struct lsm_db *db = NULL;

	if (l->check)
		life_check(store);
	life_cut_arm(l, PHASE_OPEN);
	if (l->faults_at_open)
		life_faults_begin(l);
	if (client_check_faulty(lsm_open(store, &l->options, &db), "open"))
		return;
	sim_faults.kind = FAULT_NONE;
	sim.cut_in = 0;
	settle(l, db);
	life_faults_begin(l);
	work(l, db);
	if (l->cut_phase != PHASE_WORK)
		close_store(l, db);
}

void sim_engine(void)
{
	struct life l = { .all = true };
	unsigned lives = (unsigned)sim_between(1, 4);

	disk_new();
	(void)disk_mkdir("disk");
	(void)disk_sync_dir(".");
	oracle.clients_n = (unsigned)sim_between(1, CLIENTS_MAX);
	for (unsigned i = 0; i < oracle.clients_n; i++)
		oracle.clients[i].number = i;
	for (unsigned n = 0; n <= lives; n++) {
		life_choose(&l, oracle.clients_n, n == lives);
		life_live(&l, life_main);
	}
}
