/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "lsm/store/db.h"

int superversion_new(struct memtable *mem, struct memtable *const *imm, unsigned imm_n, struct version *version,
		     struct superversion **ret)
{
	struct superversion *sv = calloc(1, sizeof(*sv));

	assert(imm_n < MEMTABLES_MAX);
	if (!sv)
		return status_no_memory(sizeof(*sv));
	atomic_init(&sv->refs, 1);
	sv->mem = mem;
	memtable_ref(mem);
	for (unsigned i = 0; i < imm_n; i++) {
		sv->imm[i] = imm[i];
		memtable_ref(imm[i]);
	}
	sv->imm_n = imm_n;
	sv->version = version;
	version_ref(version);
	*ret = sv;
	return LSM_OK;
}

void superversion_unref(struct superversion *sv)
{
	if (!sv || atomic_fetch_sub_explicit(&sv->refs, 1, memory_order_acq_rel) != 1)
		return;
	memtable_unref(sv->mem);
	for (unsigned i = 0; i < sv->imm_n; i++)
		memtable_unref(sv->imm[i]);
	version_unref(sv->version);
	free(sv);
}

struct superversion *superversion_get(struct lsm_db *db)
{
	unsigned slot = epoch_enter(db->epoch);
	struct superversion *sv = atomic_load(&db->current);

	atomic_fetch_add_explicit(&sv->refs, 1, memory_order_relaxed);
	epoch_exit(db->epoch, slot);
	return sv;
}

void superversion_set(struct lsm_db *db, struct superversion *sv)
{
	struct superversion *old = atomic_exchange(&db->current, sv);

	if (old) {
		old->next = db->retired;
		db->retired = old;
	}
	delay_update(db, sv);
	cond_broadcast(&db->change);
	cond_broadcast(&db->work);
}

void superversion_collect(struct lsm_db *db)
{
	struct superversion *sv, *next;

	mutex_lock(&db->lock);
	sv = db->retired;
	db->retired = NULL;
	mutex_unlock(&db->lock);
	if (!sv)
		return;
	epoch_synchronize(db->epoch);
	for (; sv; sv = next) {
		next = sv->next;
		superversion_unref(sv);
	}
}

void superversion_collect_all(struct lsm_db *db)
{
	struct superversion *sv, *next;

	for (sv = db->retired; sv; sv = next) {
		next = sv->next;
		superversion_unref(sv);
	}
	db->retired = NULL;
	superversion_unref(atomic_load(&db->current));
	atomic_store(&db->current, NULL);
	if (db->blocks)
		block_cache_charge(db->blocks, -atomic_exchange(&db->charged_bytes, 0));
}

void memtables_charge(struct lsm_db *db)
{
	struct superversion *sv = superversion_get(db);
	int64_t bytes = (int64_t)memtable_memory(sv->mem), before;

	for (unsigned i = 0; i < sv->imm_n; i++)
		bytes += (int64_t)memtable_memory(sv->imm[i]);
	superversion_unref(sv);
	before = atomic_exchange(&db->charged_bytes, bytes);
	if (bytes != before)
		block_cache_charge(db->blocks, bytes - before);
}

uint64_t new_number(void *ctx)
{
	struct lsm_db *db = ctx;

	return atomic_fetch_add(&db->next_number, 1);
}
