/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_SIM_DISK_H
#define TESTS_SIM_SIM_DISK_H
/* sim_disk - what the two halves of the disk share: sim_disk.c has the bytes, sim_names.c the names. */
#include "tests/sim/sim.h"

enum { PAGE_BYTES = 4096, SECTOR_BYTES = 512, NAME_BYTES = 64, FILES_MAX = 2048 };

/* A page whose writing failed: it counts as written as long as it stays as it is here. */
struct given_up {
	struct given_up *next;
	uint64_t page;
	uint8_t bytes[PAGE_BYTES];
};

struct name {
	char text[NAME_BYTES];
	struct inode *inode; /* held */
};

struct names {
	struct name *list;
	size_t n, capacity;
};

struct inode {
	struct inode *next;
	unsigned refs; /* names, in memory and on the disk, changes of names, and opens */
	unsigned opens;
	bool is_dir, locked;

	uint8_t *data, *disk; /* of FILE_BYTES_MAX; zeros behind the size */
	uint64_t size, disk_size;
	uint64_t size_high;                                 /* the largest since the last sync */
	uint64_t size_ever;                                 /* the largest, up to the end of a page */
	unsigned place;                                     /* of the bytes in memory */
	bool size_whole;                                    /* it has its size by a fill */
	bool mapped;                                        /* any page may have changed */
	uint64_t touched[FILE_BYTES_MAX / PAGE_BYTES / 64]; /* pages that may have changed otherwise, a bit each */
	struct given_up *given_up;

	struct names now, durable; /* of a directory */
};

struct inode *inode_new(bool is_dir);
void inode_hold(struct inode *i);    /* NULL is accepted, here and below */
void inode_release(struct inode *i); /* the last one frees it */

void names_free(struct inode *dir);
/* At a power cut: of the changes since the last sync some stay, about so many in a hundred. */
void names_settle(unsigned percent);

#endif
