/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_INODE_TABLE_H
#define LSMFS_INODE_TABLE_H
/*
 * inode_table - which inodes the kernel knows, and how many look-ups it holds on each.
 *
 * A file that has lost its last name lives on for as long as the kernel knows it (somebody may have it open). The table
 * tells exactly once, for each such inode, that the moment to reclaim it has come. Memory: 16 bytes a slot, 20 to 31
 * bytes for each inode known. All calls are thread-safe, except those that begin and end the table.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inode_table;

/* -ENOMEM */
int inode_table_new(struct inode_table **ret);
void inode_table_free(struct inode_table *table); /* NULL is accepted */

/* Counts one look-up of `ino` (never 0), before the kernel is told of it. -ENOMEM: nothing was counted. */
int inode_table_ref(struct inode_table *table, uint64_t ino);

/*
 * Takes `n` look-ups back. True: that was the last of an inode without a name, and the caller reclaims it. An inode that
 * is not in the table, or has fewer look-ups, is a fault of the kernel's; it is taken as 0 left.
 */
bool inode_table_unref(struct inode_table *table, uint64_t ino, uint64_t n);

/* `ino` has lost its last name. True: the kernel doesn't know it, and the caller reclaims it; false:
 * inode_table_unref() will tell. */
bool inode_table_orphan(struct inode_table *table, uint64_t ino);

/*
 * Grows before each "true" of the calls above. Who finds an inode and then counts it compares the epochs before and
 * after: while they are equal the inode was not reclaimed between the two.
 */
uint64_t inode_table_epoch(const struct inode_table *table);

/* Empties the table (the mount has gone) and calls `reclaim` for every inode without a name. */
void inode_table_drain(struct inode_table *table, void (*reclaim)(void *ctx, uint64_t ino), void *ctx);

struct inode_table_stats {
	uint64_t inodes; /* known to the kernel */
	uint64_t bytes;  /* memory of the slots */
};
void inode_table_get_stats(struct inode_table *table, struct inode_table_stats *ret);

#endif
