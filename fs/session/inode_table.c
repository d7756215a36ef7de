/* SPDX-License-Identifier: MIT */
/*
 * Sharded open addressing with linear probing. A deletion moves the followers back instead of leaving a mark, so the
 * probes stay short under endless look-up and forget. A slot's home is hash * slots / 2^64, which allows any number of
 * slots and so a growth by half: at least 53 % of the slots are used after the table grew.
 */
#include "fs/session/inode_table.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SHARDS 64
#define SLOTS_MIN 16
#define NAMELESS (UINT64_C(1) << 63) /* in slot.count: the inode has lost its last name */

struct slot {
	uint64_t ino;   /* 0: empty */
	uint64_t count; /* look-ups, and NAMELESS */
};

struct shard {
	pthread_mutex_t lock;
	struct slot *slots; /* protected by lock, as all below */
	size_t n_slots;
	size_t used;
} __attribute__((aligned(64))); /* neighbours' locks don't share a cache line */

struct inode_table {
	atomic_uint_fast64_t epoch;
	struct shard shards[SHARDS];
};

/* The numbers of one directory's files are consecutive: mix, so that shards and slots fill evenly. */
static uint64_t hash_ino(uint64_t ino)
{
	ino ^= ino >> 33;
	ino *= UINT64_C(0xff51afd7ed558ccd);
	ino ^= ino >> 33;
	ino *= UINT64_C(0xc4ceb9fe1a85ec53);
	return ino ^ (ino >> 33);
}

static size_t home_of(uint64_t hash, size_t n_slots)
{
	return (size_t)(((unsigned __int128)hash * n_slots) >> 64);
}

/* The low bits choose the shard, the high ones the slot. */
static struct shard *shard_of(struct inode_table *table, uint64_t ino)
{
	return &table->shards[hash_ino(ino) % SHARDS];
}

/* The slot that holds `ino`, or the empty one where it belongs; there always is an empty one. */
static struct slot *find_slot(struct slot *slots, size_t n_slots, uint64_t ino)
{
	size_t i = home_of(hash_ino(ino), n_slots);

	while (slots[i].ino && slots[i].ino != ino)
		i = i + 1 == n_slots ? 0 : i + 1;
	return &slots[i];
}

static int resize(struct shard *shard, size_t n_slots)
{
	struct slot *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < shard->n_slots; i++) {
		if (shard->slots[i].ino)
			*find_slot(slots, n_slots, shard->slots[i].ino) = shard->slots[i];
	}
	free(shard->slots);
	shard->slots = slots;
	shard->n_slots = n_slots;
	return 0;
}

/* Room for one more at a load of at most 80 %. */
static int make_room(struct shard *shard)
{
	if ((shard->used + 1) * 5 <= shard->n_slots * 4)
		return 0;
	return resize(shard, shard->n_slots ? shard->n_slots + shard->n_slots / 2 : SLOTS_MIN);
}

/* Empties slot `hole` and moves back those behind it that a probe from their home would no longer reach. */
static void remove_slot(struct shard *shard, size_t hole)
{
	struct slot *slots = shard->slots;
	size_t n = shard->n_slots;

	for (size_t i = hole;;) {
		i = i + 1 == n ? 0 : i + 1;
		if (!slots[i].ino)
			break;
		size_t home = home_of(hash_ino(slots[i].ino), n);
		size_t from_home = i >= home ? i - home : i + n - home;
		size_t from_hole = i >= hole ? i - hole : i + n - hole;
		if (from_home >= from_hole) {
			slots[hole] = slots[i];
			hole = i;
		}
	}
	slots[hole] = (struct slot){ 0 };
	shard->used--;
	/* Give memory back when little is used; without memory for the smaller array, the larger one serves on. */
	if (n > SLOTS_MIN && shard->used * 4 < n)
		(void)resize(shard, n / 2 > SLOTS_MIN ? n / 2 : SLOTS_MIN);
}

int inode_table_new(struct inode_table **ret)
{
	struct inode_table *table = aligned_alloc(_Alignof(struct inode_table), sizeof(*table));

	if (!table)
		return -ENOMEM;
	atomic_init(&table->epoch, 0);
	for (size_t i = 0; i < SHARDS; i++) {
		table->shards[i] = (struct shard){ 0 };
		pthread_mutex_init(&table->shards[i].lock, NULL);
	}
	*ret = table;
	return 0;
}

void inode_table_free(struct inode_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_destroy(&table->shards[i].lock);
		free(table->shards[i].slots);
	}
	free(table);
}

int inode_table_ref(struct inode_table *table, uint64_t ino)
{
	struct shard *shard = shard_of(table, ino);
	int r;

	assert(ino);
	pthread_mutex_lock(&shard->lock);
	r = make_room(shard);
	if (!r) {
		struct slot *slot = find_slot(shard->slots, shard->n_slots, ino);
		if (!slot->ino) {
			slot->ino = ino;
			shard->used++;
		}
		slot->count++;
	}
	pthread_mutex_unlock(&shard->lock);
	return r;
}

bool inode_table_unref(struct inode_table *table, uint64_t ino, uint64_t n)
{
	struct shard *shard = shard_of(table, ino);
	struct slot *slot;
	bool last_of_nameless = false;

	pthread_mutex_lock(&shard->lock);
	if (!shard->n_slots)
		goto out;
	slot = find_slot(shard->slots, shard->n_slots, ino);
	if (!slot->ino)
		goto out;
	if (n < (slot->count & ~NAMELESS)) {
		slot->count -= n;
		goto out;
	}
	last_of_nameless = slot->count & NAMELESS;
	if (last_of_nameless)
		atomic_fetch_add(&table->epoch, 1);
	remove_slot(shard, (size_t)(slot - shard->slots));
out:
	pthread_mutex_unlock(&shard->lock);
	return last_of_nameless;
}

bool inode_table_orphan(struct inode_table *table, uint64_t ino)
{
	struct shard *shard = shard_of(table, ino);
	struct slot *slot = NULL;
	bool unknown;

	pthread_mutex_lock(&shard->lock);
	if (shard->n_slots)
		slot = find_slot(shard->slots, shard->n_slots, ino);
	unknown = !slot || !slot->ino;
	if (unknown)
		atomic_fetch_add(&table->epoch, 1);
	else
		slot->count |= NAMELESS;
	pthread_mutex_unlock(&shard->lock);
	return unknown;
}

uint64_t inode_table_epoch(const struct inode_table *table)
{
	return atomic_load(&table->epoch);
}

void inode_table_drain(struct inode_table *table, void (*reclaim)(void *ctx, uint64_t ino), void *ctx)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &table->shards[i];
		struct slot *slots;
		size_t n;

		pthread_mutex_lock(&shard->lock);
		slots = shard->slots;
		n = shard->n_slots;
		shard->slots = NULL;
		shard->n_slots = shard->used = 0;
		pthread_mutex_unlock(&shard->lock);
		for (size_t k = 0; k < n; k++) {
			if (slots[k].ino && (slots[k].count & NAMELESS))
				reclaim(ctx, slots[k].ino);
		}
		free(slots);
	}
}

void inode_table_get_stats(struct inode_table *table, struct inode_table_stats *ret)
{
	struct inode_table_stats stats = { 0 };

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &table->shards[i];
		pthread_mutex_lock(&shard->lock);
		stats.inodes += shard->used;
		stats.bytes += shard->n_slots * sizeof(struct slot);
		pthread_mutex_unlock(&shard->lock);
	}
	*ret = stats;
}
