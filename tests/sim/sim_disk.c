/* SPDX-License-Identifier: MIT */
/* The bytes of files, in memory and on the disk; what a power cut leaves. Names are in sim_names.c. */
#include "tests/sim/sim_disk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lsm/base/checksum.h"

static struct inode *inodes; /* all that are left */
static uint64_t inodes_n;

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

/* Files lie in one piece of memory, each at a place of its own that never changes. */
static struct {
	uint8_t *base;
	unsigned n; /* places that were given out */
	struct inode_place {
		uint64_t used; /* bytes that may not be zero */
		bool free;
	} places[FILES_MAX];
} memory;

static void place_take(struct inode *i)
{
	unsigned n = 0;

	if (!memory.base) {
		memory.base = mmap(NULL, 2 * FILE_BYTES_MAX * FILES_MAX, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory.base == MAP_FAILED)
			sim_fail("no memory for files");
	}
	while (n < memory.n && !memory.places[n].free)
		n++;
	if (n == FILES_MAX)
		sim_fail("more than %d files", FILES_MAX);
	if (n == memory.n)
		memory.n++;
	i->place = n;
	i->data = memory.base + 2 * FILE_BYTES_MAX * n;
	i->disk = i->data + FILE_BYTES_MAX;
	memset(i->data, 0, memory.places[n].used);
	memset(i->disk, 0, memory.places[n].used);
	memory.places[n] = (struct inode_place){ 0 };
}

static void place_give(struct inode *i)
{
	memory.places[i->place].free = true;
	memory.places[i->place].used = i->size_ever;
}

struct inode *inode_new(bool is_dir)
{
	struct inode *i = calloc(1, sizeof(*i));

	if (!i)
		sim_fail("no memory for a file");
	i->is_dir = is_dir;
	if (!is_dir)
		place_take(i);
	i->next = inodes;
	inodes = i;
	inodes_n++;
	return i;
}

void inode_hold(struct inode *i)
{
	if (i)
		i->refs++;
}

static void given_up_free(struct inode *i)
{
	while (i->given_up) {
		struct given_up *g = i->given_up;

		i->given_up = g->next;
		free(g);
	}
}

/* Not inlined: gcc 12 believes that two calls free the same one. */
__attribute__((noinline)) void inode_release(struct inode *i)
{
	struct inode **at = &inodes;

	if (!i || --i->refs)
		return;
	while (*at && *at != i)
		at = &(*at)->next;
	if (*at)
		*at = i->next;
	inodes_n--;
	given_up_free(i);
	if (!i->is_dir)
		place_give(i);
	names_free(i);
	free(i);
}

/* ---- what a process does ---- */

/* What is stored through a mapping isn't noticed. */
static void touch(struct inode *i, uint64_t from, uint64_t to)
{
	for (uint64_t p = from / PAGE_BYTES; p < pages_of(to); p++)
		i->touched[p / 64] |= UINT64_C(1) << p % 64;
}

void inode_map(struct inode *i)
{
	i->mapped = true;
}

static void page_forget(struct inode *i, uint64_t page)
{
	for (struct given_up **at = &i->given_up; *at;) {
		struct given_up *g = *at;

		if (g->page == page) {
			*at = g->next;
			free(g);
		} else {
			at = &g->next;
		}
	}
}

void inode_open(struct inode *i)
{
	inode_hold(i);
	i->opens++;
}

void inode_close(struct inode *i)
{
	i->opens--;
	inode_release(i);
}

bool inode_is_dir(const struct inode *i)
{
	return i->is_dir;
}

uint64_t inode_size(const struct inode *i)
{
	return i->size;
}

uint8_t *inode_data(struct inode *i)
{
	return i->data;
}

bool inode_lock(struct inode *i)
{
	if (i->locked)
		return false;
	return i->locked = true;
}

void inode_unlock(struct inode *i)
{
	i->locked = false;
}

static void size_set(struct inode *i, uint64_t size, bool whole)
{
	i->size = size;
	i->size_whole = whole;
	if (size > i->size_high)
		i->size_high = size;
	if (size > i->size_ever)
		i->size_ever = (size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

void inode_write(struct inode *i, uint64_t offset, const void *data, size_t size)
{
	if (offset + size > FILE_BYTES_MAX)
		sim_fail("a file of more than %llu bytes", (unsigned long long)FILE_BYTES_MAX);
	for (uint64_t p = offset / PAGE_BYTES; i->given_up && p < pages_of(offset + size); p++)
		page_forget(i, p); /* also when nothing is new, it is to be written again */
	touch(i, offset, offset + size);
	if (size)
		memcpy(i->data + offset, data, size);
	if (offset + size > i->size)
		size_set(i, offset + size, false);
}

void inode_truncate(struct inode *i, uint64_t size)
{
	if (size > FILE_BYTES_MAX)
		sim_fail("a file of more than %llu bytes", (unsigned long long)FILE_BYTES_MAX);
	if (size < i->size) {
		touch(i, size, i->size);
		memset(i->data + size, 0, i->size - size);
	}
	size_set(i, size, false);
}

void inode_fill(struct inode *i, uint64_t size)
{
	if (size > FILE_BYTES_MAX)
		sim_fail("a file of more than %llu bytes", (unsigned long long)FILE_BYTES_MAX);
	touch(i, 0, size);
	memset(i->data, 0, size < i->size ? size : i->size); /* the rest is zero */
	if (size > i->size)
		size_set(i, size, true);
}

/* ---- from memory to the disk ---- */

static bool page_differs(const struct inode *i, uint64_t page)
{
	if (!i->mapped && !(i->touched[page / 64] & UINT64_C(1) << page % 64))
		return false;
	return memcmp(i->data + page * PAGE_BYTES, i->disk + page * PAGE_BYTES, PAGE_BYTES) != 0;
}

/* Was the page given up, and not changed since? */
static bool page_given_up(const struct inode *i, uint64_t page)
{
	for (const struct given_up *g = i->given_up; g; g = g->next)
		if (g->page == page && !memcmp(g->bytes, i->data + page * PAGE_BYTES, PAGE_BYTES))
			return true;
	return false;
}

static void page_give_up(struct inode *i, uint64_t page)
{
	struct given_up *g = malloc(sizeof(*g));

	if (!g)
		sim_fail("no memory for a page");
	page_forget(i, page);
	g->page = page;
	memcpy(g->bytes, i->data + page * PAGE_BYTES, PAGE_BYTES);
	g->next = i->given_up;
	i->given_up = g;
}

static void page_write(struct inode *i, uint64_t page)
{
	if (page_given_up(i, page))
		return;
	page_forget(i, page);
	i->touched[page / 64] &= ~(UINT64_C(1) << page % 64);
	memcpy(i->disk + page * PAGE_BYTES, i->data + page * PAGE_BYTES, PAGE_BYTES);
}

static void size_synced(struct inode *i)
{
	i->disk_size = i->size_high = i->size;
}

void inode_sync(struct inode *i)
{
	for (uint64_t p = 0; p < pages_of(i->size_high); p++)
		if (page_differs(i, p))
			page_write(i, p);
	size_synced(i);
}

void inode_sync_fail(struct inode *i)
{
	unsigned luck = (unsigned)sim_between(0, 100);

	for (uint64_t p = 0; p < pages_of(i->size_high); p++) {
		if (!page_differs(i, p))
			continue;
		if (sim_chance(luck))
			page_write(i, p);
		else
			page_give_up(i, p);
	}
	if (sim_chance(50))
		size_synced(i);
}

void disk_write_back(void)
{
	struct inode *i = inodes;
	uint64_t first, n;

	for (uint64_t skip = rng_below(&sim.rng, inodes_n); skip; skip--)
		i = i->next;
	if (i->is_dir || !i->size)
		return;
	first = rng_below(&sim.rng, pages_of(i->size));
	/* Mostly what was written last: the end of a file, and the log's place that is being filled. */
	n = 1 + rng_below(&sim.rng, sim_chance(50) ? 4 : 16);
	for (uint64_t p = first; p < first + n && p < pages_of(i->size); p++)
		if (page_differs(i, p))
			page_write(i, p);
}

/* ---- the end ---- */

/* The luck of one cut. */
struct luck {
	unsigned written, torn; /* percent of the pages */
};

static void page_settle(struct inode *i, uint64_t page, const struct luck *luck)
{
	uint8_t *data = i->data + page * PAGE_BYTES, *disk = i->disk + page * PAGE_BYTES;

	if (page_given_up(i, page))
		return;
	if (sim_chance(luck->torn)) {
		for (unsigned at = 0; at < PAGE_BYTES; at += SECTOR_BYTES)
			if (sim_chance(50))
				memcpy(disk + at, data + at, SECTOR_BYTES);
	} else if (sim_chance(luck->written)) {
		memcpy(disk, data, PAGE_BYTES);
	}
}

static uint64_t size_settle(const struct inode *i, const struct luck *luck)
{
	uint64_t low = i->size < i->disk_size ? i->size : i->disk_size;

	if (i->size == i->disk_size && i->size_high == i->size)
		return i->size;
	if (!i->size_whole && sim_chance(30))
		return sim_between(low, i->size_high);
	return sim_chance(luck->written) ? i->size : i->disk_size;
}

static void file_settle(struct inode *i, const struct luck *luck)
{
	uint64_t size = size_settle(i, luck),
		 pages = pages_of(i->size_high > i->disk_size ? i->size_high : i->disk_size);

	for (uint64_t p = 0; p < pages; p++) {
		if (!page_differs(i, p))
			continue;
		page_settle(i, p, luck);
		memcpy(i->data + p * PAGE_BYTES, i->disk + p * PAGE_BYTES, PAGE_BYTES);
	}
	if (size < pages * PAGE_BYTES) {
		memset(i->disk + size, 0, pages * PAGE_BYTES - size);
		memset(i->data + size, 0, pages * PAGE_BYTES - size);
	}
	memset(i->touched, 0, sizeof(i->touched));
	i->mapped = false;
	i->size = size;
	size_synced(i);
	given_up_free(i);
}

/* No process has anything any more. */
static void opens_end(void)
{
	struct inode *next;

	for (struct inode *i = inodes; i; i = next) {
		next = i->next;
		i->locked = false;
		i->refs++;
		while (i->opens)
			inode_close(i);
		/* This may free it, and no other: a directory is held by its own names. */
		inode_release(i);
	}
}

void disk_cut(void)
{
	static const unsigned percents[] = { 0, 20, 50, 80, 100 };
	const struct luck luck = { percents[rng_below(&sim.rng, 5)], percents[rng_below(&sim.rng, 3)] };

	sim_tell("power cut: %u %% of pages written, %u %% torn", luck.written, luck.torn);
	names_settle(luck.written);
	opens_end();
	for (struct inode *i = inodes; i; i = i->next)
		if (!i->is_dir)
			file_settle(i, &luck);
}

void inode_drop_cache(struct inode *i)
{
	for (struct given_up *g = i->given_up; g; g = g->next)
		if (page_given_up(i, g->page))
			memcpy(i->data + g->page * PAGE_BYTES, i->disk + g->page * PAGE_BYTES, PAGE_BYTES);
	given_up_free(i);
}

void disk_kill(void)
{
	sim_tell("kill");
	opens_end();
	for (struct inode *i = inodes; i; i = i->next)
		if (sim_chance(20))
			inode_drop_cache(i);
}

uint64_t disk_hash(void)
{
	uint64_t h = 0;

	for (struct inode *i = inodes; i; i = i->next)
		if (!i->is_dir)
			h = hash64(i->data, i->size, h + i->size);
	return h;
}
