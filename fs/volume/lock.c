/* SPDX-License-Identifier: MIT */
#include "fs/volume/internal.h"

static uint16_t stripe_of(vol_ino ino)
{
	/* Fibonacci hashing: neighbours (the files of one directory) go to different stripes */
	return (uint16_t)((ino * UINT64_C(0x9e3779b97f4a7c15)) >> 54) & (STRIPES - 1);
}

/* Keeps the set ascending and without doubles: the order is the same for all, and no stripe is taken twice. */
static void locked_add(struct locked *l, uint16_t stripe)
{
	unsigned at = 0;

	while (at < l->count && l->stripes[at] < stripe)
		at++;
	if (at < l->count && l->stripes[at] == stripe)
		return;
	for (unsigned i = l->count; i > at; i--)
		l->stripes[i] = l->stripes[i - 1];
	l->stripes[at] = stripe;
	l->count++;
}

void inodes_lock(struct volume *v, struct locked *l, unsigned count, const vol_ino *inos)
{
	l->count = 0;
	for (unsigned i = 0; i < count; i++) {
		if (inos[i] != 0)
			locked_add(l, stripe_of(inos[i]));
	}
	for (unsigned i = 0; i < l->count; i++)
		pthread_rwlock_wrlock(&v->stripes[l->stripes[i]]);
}

void inode_lock_shared(struct volume *v, struct locked *l, vol_ino ino)
{
	l->count = 1;
	l->stripes[0] = stripe_of(ino);
	pthread_rwlock_rdlock(&v->stripes[l->stripes[0]]);
}

void inodes_unlock(struct volume *v, struct locked *l)
{
	while (l->count > 0)
		pthread_rwlock_unlock(&v->stripes[l->stripes[--l->count]]);
}
