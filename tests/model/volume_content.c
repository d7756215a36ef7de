/* SPDX-License-Identifier: MIT */
/* Operations on bytes and on attributes. */
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/model/volume_model.h"

/* ---- operations on bytes ---- */

/* Mostly near: page borders, granules and inlining are where things go wrong. */
static uint64_t pick_offset(struct model *m, size_t size)
{
	static const uint64_t ranges[] = { 300, 6000, 20000, 20000, 200000, FILE_MAX };
	uint64_t offset;

	if (rng_one_in(&m->rng, 3) && size < FILE_MAX)
		return size;
	offset = rng_below(&m->rng, ranges[rng_below(&m->rng, sizeof(ranges) / sizeof(ranges[0]))]);
	return rng_one_in(&m->rng, 3) ? offset & ~(PAGE_BYTES - 1) : offset;
}

static size_t pick_size(struct model *m, uint64_t offset)
{
	static const uint64_t ranges[] = { 64, 300, 5000, 5000, 30000, 1500000 };
	uint64_t size = rng_below(&m->rng, ranges[rng_below(&m->rng, sizeof(ranges) / sizeof(ranges[0]))]) + 1;

	if (rng_one_in(&m->rng, 4))
		size = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	return size > FILE_MAX - offset ? FILE_MAX - offset : size;
}

static void model_resize(struct model_node *n, size_t size)
{
	if (size > n->size) {
		n->data = realloc(n->data, size);
		memset(n->data + n->size, 0, size - n->size);
	}
	n->size = size;
}

static void file_write(struct model *m, struct model_node *n, uint64_t offset, size_t size, unsigned flags)
{
	uint8_t *data = malloc(size);

	rng_fill(&m->rng, data, size);
	expect(m, "write", volume_write(m->v, n->ino, flags & VOL_WRITE_APPEND ? 0 : offset, data, size, flags), 0);
	if (offset + size > n->size)
		model_resize(n, offset + size);
	memcpy(n->data + offset, data, size);
	free(data);
	n->mtime_is_set = false;
	if (flags & VOL_WRITE_KILL_PRIV)
		n->mode &= ~(uint32_t)(S_ISUID | (n->mode & S_IXGRP ? S_ISGID : 0));
}

void op_write(struct model *m)
{
	int at = node_pick(m, want_file);
	unsigned flags = 0;
	uint64_t offset;
	size_t size;

	if (at == NONE)
		return;
	offset = pick_offset(m, m->nodes[at].size);
	size = pick_size(m, offset);
	if (size == 0)
		return;
	if (offset == m->nodes[at].size && rng_one_in(&m->rng, 2))
		flags |= VOL_WRITE_APPEND;
	if (rng_one_in(&m->rng, 50))
		flags |= VOL_WRITE_SYNC;
	if (rng_one_in(&m->rng, 10))
		flags |= VOL_WRITE_KILL_PRIV;
	file_write(m, &m->nodes[at], offset, size, flags);
	check_range(m, &m->nodes[at], offset > 5000 ? offset - 5000 : 0, size + 10000);
}

/* A log: many small appends, which must be folded. */
void op_append_many(struct model *m)
{
	int at = node_pick(m, want_file);
	unsigned count = (unsigned)rng_below(&m->rng, 200);
	size_t size;

	if (at == NONE)
		return;
	size = (size_t)rng_below(&m->rng, rng_one_in(&m->rng, 2) ? 20 : 9000) + 1;
	for (unsigned i = 0; i < count && m->nodes[at].size + size <= FILE_MAX; i++)
		file_write(m, &m->nodes[at], m->nodes[at].size, size, VOL_WRITE_APPEND);
	check_node(m, &m->nodes[at]);
}

/* A hole that is filled by pieces in any order. */
void op_fill_hole(struct model *m)
{
	int at = node_pick(m, want_file);
	unsigned pieces = 4u << rng_below(&m->rng, 4), step = 1 + 2 * (unsigned)rng_below(&m->rng, pieces / 2);
	uint64_t begin = rng_below(&m->rng, FILE_MAX / 65536) * 65536;
	size_t piece = 65536 / pieces;
	struct model_node *n;

	if (at == NONE)
		return;
	n = &m->nodes[at];
	expect(m, "punch", volume_fallocate(m->v, n->ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin, 65536), 0);
	if (begin < n->size)
		memset(n->data + begin, 0, n->size - begin < 65536 ? n->size - begin : 65536);
	for (unsigned i = 0; i < pieces; i++)
		file_write(m, n, begin + i * step % pieces * piece, piece - rng_one_in(&m->rng, 50), 0);
	check_node(m, n);
}

void op_read(struct model *m)
{
	int at = node_pick(m, want_file);
	uint64_t offset;

	if (at == NONE)
		return;
	offset = pick_offset(m, m->nodes[at].size);
	check_range(m, &m->nodes[at], offset, pick_size(m, offset));
}

void op_truncate(struct model *m)
{
	int at = node_pick(m, want_file);
	struct vol_attr attr;

	if (at == NONE)
		return;
	attr.size = rng_one_in(&m->rng, 4) ? 0 : pick_offset(m, m->nodes[at].size);
	model_resize(&m->nodes[at], attr.size);
	expect(m, "truncate", volume_setattr(m->v, m->nodes[at].ino, &attr, VOL_SET_SIZE, &attr), 0);
	m->nodes[at].mtime_is_set = false;
	check_attr(m, &m->nodes[at], &attr);
	check_extents(m, &m->nodes[at], &attr);
}

void op_fallocate(struct model *m)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };
	int at = node_pick(m, want_file), mode = modes[rng_below(&m->rng, 5)];
	struct model_node *n;
	struct vol_attr attr;
	uint64_t offset;
	size_t size;

	if (at == NONE)
		return;
	n = &m->nodes[at];
	offset = pick_offset(m, n->size);
	size = pick_size(m, offset);
	expect(m, "fallocate", volume_fallocate(m->v, n->ino, mode, offset, size), size == 0 ? -EINVAL : 0);
	if (size == 0)
		return;
	n->mtime_is_set = false;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + size > n->size)
		model_resize(n, offset + size);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && offset < n->size)
		memset(n->data + offset, 0, offset + size < n->size ? size : n->size - offset);
	expect(m, "getattr", volume_getattr(m->v, n->ino, &attr), 0);
	check_attr(m, n, &attr);
	check_extents(m, n, &attr);
	check_range(m, n, offset > 5000 ? offset - 5000 : 0, size + 10000);
}

static bool all_zeros(const struct model_node *n, uint64_t from, uint64_t to)
{
	for (; from < to; from++) {
		if (n->data[from])
			return false;
	}
	return true;
}

void op_seek(struct model *m)
{
	int at = node_pick(m, want_file), r;
	uint64_t offset, data, hole;
	struct model_node *n;

	if (at == NONE)
		return;
	n = &m->nodes[at];
	offset = pick_offset(m, n->size);
	r = volume_seek(m->v, n->ino, offset, SEEK_DATA, &data);
	if (offset >= n->size || r == -ENXIO) {
		expect(m, "SEEK_DATA", r, -ENXIO);
		check(m, all_zeros(n, offset, n->size));
	} else {
		expect(m, "SEEK_DATA", r, 0);
		check(m, data >= offset && data < n->size && all_zeros(n, offset, data));
	}
	r = volume_seek(m->v, n->ino, offset, SEEK_HOLE, &hole);
	expect(m, "SEEK_HOLE", r, offset >= n->size ? -ENXIO : 0);
	if (r < 0)
		return;
	check(m, hole >= offset && hole <= n->size);
	if (hole < n->size) {
		r = volume_seek(m->v, n->ino, hole, SEEK_DATA, &data);
		if (r == -ENXIO)
			data = n->size;
		check(m, data > hole && all_zeros(n, hole, data));
	}
}

/* ---- operations on attributes ---- */

void op_setattr(struct model *m)
{
	int at = node_pick(m, NULL);
	struct model_node *n = &m->nodes[at];
	struct vol_attr attr = { .mode = (uint32_t)rng_below(&m->rng, 010000), .uid = m->step, .gid = m->step / 2 };
	unsigned which = (unsigned)rng_below(&m->rng, 8) * VOL_SET_MODE;

	attr.mtime = (struct timespec){ (time_t)rng_below(&m->rng, 1u << 31) - (1 << 30), m->step };
	if (rng_one_in(&m->rng, 2)) {
		which |= VOL_SET_MTIME;
		n->mtime_is_set = true;
		n->mtime = attr.mtime;
	}
	if (which & VOL_SET_MODE)
		n->mode = (n->mode & S_IFMT) | attr.mode;
	if (which & VOL_SET_UID)
		n->uid = attr.uid;
	if (which & VOL_SET_GID)
		n->gid = attr.gid;
	expect(m, "setattr", volume_setattr(m->v, n->ino, &attr, which, &attr), 0);
	check_attr(m, n, &attr);
}

void op_setxattr(struct model *m)
{
	static const int all_flags[] = { 0, XATTR_CREATE, XATTR_REPLACE };
	int at = node_pick(m, NULL), flags = all_flags[rng_below(&m->rng, 3)], wanted = 0;
	unsigned i = (unsigned)rng_below(&m->rng, XATTRS);
	struct model_node *n = &m->nodes[at];
	size_t size = (size_t)rng_below(&m->rng, rng_one_in(&m->rng, 10) ? 10000 : 50);
	char name[16];

	snprintf(name, sizeof(name), "user.x%u", i);
	rng_fill(&m->rng, m->buf, size);
	if (flags == XATTR_CREATE && n->xattrs[i])
		wanted = -EEXIST;
	if (flags == XATTR_REPLACE && !n->xattrs[i])
		wanted = -ENODATA;
	expect(m, "setxattr", volume_setxattr(m->v, n->ino, name, m->buf, size, flags), wanted);
	if (wanted < 0)
		return;
	free(n->xattrs[i]);
	n->xattrs[i] = malloc(size + 1);
	memcpy(n->xattrs[i], m->buf, size);
	n->xattr_sizes[i] = size;
}

void op_removexattr(struct model *m)
{
	int at = node_pick(m, NULL);
	unsigned i = (unsigned)rng_below(&m->rng, XATTRS);
	struct model_node *n = &m->nodes[at];
	char name[16];

	snprintf(name, sizeof(name), "user.x%u", i);
	expect(m, "removexattr", volume_removexattr(m->v, n->ino, name), n->xattrs[i] ? 0 : -ENODATA);
	free(n->xattrs[i]);
	n->xattrs[i] = NULL;
	check_xattrs(m, n);
}
