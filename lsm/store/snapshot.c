/* SPDX-License-Identifier: MIT */
/* Snapshots: those that somebody holds, in a ring ordered by sequence number, and the named ones of the manifest. */
#include <stdlib.h>

#include "lsm/store/db.h"

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int snapshots_list(struct lsm_db *db, uint64_t **ret, size_t *ret_n)
{
	uint64_t *list;
	size_t n = 0, kept = 0;

	mutex_lock(&db->lock);
	list = malloc((db->snapshots_n + db->named.n + 1) * sizeof(*list));
	for (struct lsm_snapshot *s = db->snapshots.next; list && s != &db->snapshots; s = s->next)
		list[n++] = s->sequence;
	for (size_t i = 0; list && i < db->named.n; i++)
		list[n++] = db->named.list[i].sequence;
	mutex_unlock(&db->lock);
	if (!list)
		return status_no_memory(sizeof(*list));
	qsort(list, n, sizeof(*list), compare_u64);
	for (size_t i = 0; i < n; i++) {
		if (!kept || list[kept - 1] != list[i])
			list[kept++] = list[i];
	}
	*ret = list;
	*ret_n = kept;
	return LSM_OK;
}

/* ---- those that are held ---- */

/* Behind all that are not newer: mostly at the end. tree lock. */
static void ring_add(struct lsm_db *db, struct lsm_snapshot *s)
{
	struct lsm_snapshot *before = db->snapshots.prev;

	while (before != &db->snapshots && before->sequence > s->sequence)
		before = before->prev;
	s->prev = before;
	s->next = before->next;
	s->prev->next = s;
	s->next->prev = s;
	db->snapshots_n++;
}

int lsm_snapshot_new(struct lsm_db *db, struct lsm_snapshot **ret_snapshot)
{
	struct lsm_snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return status_no_memory(sizeof(*s));
	mutex_lock(&db->lock);
	s->sequence = atomic_load_explicit(&db->last_sequence, memory_order_acquire);
	ring_add(db, s);
	mutex_unlock(&db->lock);
	*ret_snapshot = s;
	return LSM_OK;
}

void lsm_snapshot_free(struct lsm_db *db, struct lsm_snapshot *snapshot)
{
	if (!snapshot)
		return;
	mutex_lock(&db->lock);
	snapshot->prev->next = snapshot->next;
	snapshot->next->prev = snapshot->prev;
	db->snapshots_n--;
	mutex_unlock(&db->lock);
	free(snapshot);
}

/* ---- named ones ---- */

static int check_name(const char *name)
{
	size_t size = name ? strlen(name) : 0;

	if (!size || size > LSM_SNAPSHOT_NAME_MAX)
		return status_set(LSM_INVALID, 0, NULL, 0, "a snapshot's name of %zu bytes: names have 1 to %d", size,
				  LSM_SNAPSHOT_NAME_MAX);
	return LSM_OK;
}

int lsm_snapshot_create(struct lsm_db *db, const char *name)
{
	struct lsm_snapshot *held = NULL;
	struct edit e = { 0 };
	int rc = check_name(name);

	if (!rc)
		rc = db_check_writable(db);
	/* Held until it has its name, so that no compaction drops what it shows. */
	if (!rc)
		rc = lsm_snapshot_new(db, &held);
	if (rc)
		return rc;
	/* A sequence number is published after the log's end: a sync covers all that the snapshot shows. Without it, a
	 * power cut would leave a name for a history that was lost, and numbers of it would be given out again. */
	rc = lsm_sync(db);
	if (!rc)
		rc = named_add(&e.named_added, name, held->sequence, db->env->ops->wall_us(db->env));
	if (!rc)
		rc = install_named(db, &e);
	edit_done(&e);
	lsm_snapshot_free(db, held);
	return rc;
}

int lsm_snapshot_open(struct lsm_db *db, const char *name, struct lsm_snapshot **ret_snapshot)
{
	const struct named_snapshot *named;
	struct lsm_snapshot *s;
	int rc = check_name(name);

	if (rc)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return status_no_memory(sizeof(*s));
	mutex_lock(&db->lock);
	named = named_find(&db->named, name);
	if (named) {
		s->sequence = named->sequence;
		ring_add(db, s);
	}
	mutex_unlock(&db->lock);
	if (!named) {
		free(s);
		return LSM_NOT_FOUND;
	}
	*ret_snapshot = s;
	return LSM_OK;
}

int lsm_snapshot_delete(struct lsm_db *db, const char *name)
{
	struct edit e = { 0 };
	int rc = check_name(name);

	if (!rc)
		rc = db_check_writable(db);
	if (!rc)
		rc = named_add(&e.named_removed, name, 0, 0);
	if (!rc)
		rc = install_named(db, &e);
	edit_done(&e);
	/* What it alone kept is dropped as tables are compacted. */
	return rc;
}

int lsm_snapshot_list(struct lsm_db *db, int (*fn)(void *ctx, const struct lsm_snapshot_info *info), void *ctx)
{
	static const struct named_list none;
	struct named_list l = { 0 };
	int rc;

	mutex_lock(&db->lock);
	rc = named_apply(&db->named, &none, &none, &l);
	mutex_unlock(&db->lock);
	for (size_t i = 0; !rc && i < l.n; i++) {
		const struct lsm_snapshot_info info = { l.list[i].name, l.list[i].sequence, l.list[i].created_us };

		rc = fn(ctx, &info);
	}
	named_done(&l);
	return rc;
}
