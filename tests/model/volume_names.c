/* SPDX-License-Identifier: MIT */
/* Operations on names. */
#include <linux/fs.h>

#include "tests/model/volume_model.h"

static bool dir_is_empty(const struct model_node *n)
{
	for (unsigned i = 0; i < NAMES; i++) {
		if (n->entries[i] != NONE)
			return false;
	}
	return true;
}

static bool is_below(const struct model *m, int dir, int ancestor)
{
	for (;; dir = m->nodes[dir].parent) {
		if (dir == ancestor)
			return true;
		if (dir == 0)
			return false;
	}
}

static int pick_dir(struct model *m)
{
	return node_pick(m, want_dir);
}

static unsigned pick_name(struct model *m)
{
	return (unsigned)rng_below(&m->rng, NAMES);
}

static int wanted_of_create(const struct model *m, int dir, unsigned name)
{
	if (m->nodes[dir].nlink == 0)
		return -ENOENT;
	return m->nodes[dir].entries[name] != NONE ? -EEXIST : 0;
}

static void dir_touch(struct model_node *dir)
{
	dir->mtime_is_set = false;
}

void op_create(struct model *m)
{
	static const uint32_t types[] = { S_IFREG, S_IFREG, S_IFREG, S_IFREG, S_IFREG, S_IFDIR,
					  S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR, S_IFSOCK };
	uint32_t type = types[rng_below(&m->rng, sizeof(types) / sizeof(types[0]))];
	uint32_t mode = type | (type == S_IFLNK ? 0777 : (uint32_t)rng_below(&m->rng, 01000));
	int dir = pick_dir(m), at = node_unused(m), wanted, r;
	unsigned name = pick_name(m);
	struct vol_attr attr;
	char target[64];

	if (at == NONE)
		return;
	if (type == S_IFDIR && rng_one_in(&m->rng, 4))
		mode |= S_ISGID;
	wanted = wanted_of_create(m, dir, name);
	snprintf(target, sizeof(target), "../target/%u", m->step);
	if (type == S_IFDIR)
		r = volume_mkdir(m->v, m->nodes[dir].ino, m->names[name], mode, &model_cred, &attr);
	else if (type == S_IFLNK)
		r = volume_symlink(m->v, m->nodes[dir].ino, m->names[name], target, &model_cred, &attr);
	else
		r = volume_mknod(m->v, m->nodes[dir].ino, m->names[name], mode, m->step, &model_cred, &attr);
	expect(m, "create", r, wanted);
	if (r < 0)
		return;
	node_born(m, at, dir, mode, &attr);
	if (type == S_IFLNK) {
		m->nodes[at].data = (uint8_t *)strdup(target);
		m->nodes[at].size = strlen(target);
	}
	m->nodes[at].rdev = type == S_IFCHR ? m->step : 0;
	m->nodes[dir].entries[name] = at;
	m->nodes[dir].nlink += type == S_IFDIR;
	dir_touch(&m->nodes[dir]);
	check_attr(m, &m->nodes[at], &attr);
}

void op_tmpfile(struct model *m)
{
	int dir = pick_dir(m), at = node_unused(m), r;
	struct vol_attr attr;

	if (at == NONE)
		return;
	r = volume_tmpfile(m->v, m->nodes[dir].ino, 0600, &model_cred, &attr);
	expect(m, "tmpfile", r, m->nodes[dir].nlink == 0 ? -ENOENT : 0);
	if (r < 0)
		return;
	node_born(m, at, dir, S_IFREG | 0600, &attr);
	m->nodes[at].nlink = 0;
	check_attr(m, &m->nodes[at], &attr);
}

void op_link(struct model *m)
{
	int at = node_pick(m, NULL), dir = pick_dir(m), wanted, r;
	unsigned name = pick_name(m);
	struct vol_attr attr;

	wanted = is_dir(&m->nodes[at]) ? -EPERM : wanted_of_create(m, dir, name);
	r = volume_link(m->v, m->nodes[at].ino, m->nodes[dir].ino, m->names[name], &attr);
	expect(m, "link", r, wanted);
	if (r < 0)
		return;
	m->nodes[at].nlink++;
	m->nodes[dir].entries[name] = at;
	dir_touch(&m->nodes[dir]);
	check_attr(m, &m->nodes[at], &attr);
}

/* A name of the node is gone; the volume has said which inode lost its last. */
static void node_lost(struct model *m, int at, const struct vol_gone *gone)
{
	struct model_node *n = &m->nodes[at];

	n->nlink = is_dir(n) ? 0 : n->nlink - 1;
	check(m, gone->ino == (n->nlink == 0 ? n->ino : 0));
}

void op_remove(struct model *m)
{
	int dir = pick_dir(m), at, wanted = 0, r;
	bool rmdir = rng_one_in(&m->rng, 3);
	unsigned name = pick_name(m);
	struct vol_gone gone;

	at = m->nodes[dir].entries[name];
	if (at == NONE)
		wanted = -ENOENT;
	else if (rmdir && !is_dir(&m->nodes[at]))
		wanted = -ENOTDIR;
	else if (rmdir && !dir_is_empty(&m->nodes[at]))
		wanted = -ENOTEMPTY;
	else if (!rmdir && is_dir(&m->nodes[at]))
		wanted = -EISDIR;
	r = (rmdir ? volume_rmdir : volume_unlink)(m->v, m->nodes[dir].ino, m->names[name], &gone);
	expect(m, "remove", r, wanted);
	if (r < 0)
		return;
	m->nodes[dir].entries[name] = NONE;
	m->nodes[dir].nlink -= rmdir;
	dir_touch(&m->nodes[dir]);
	node_lost(m, at, &gone);
}

static int wanted_of_rename(const struct model *m, int from, int to, int from_dir, int to_dir, unsigned flags)
{
	if (from == NONE || (flags == RENAME_EXCHANGE && to == NONE))
		return -ENOENT;
	if (flags == RENAME_NOREPLACE && to != NONE)
		return -EEXIST;
	if (from == to)
		return 0;
	if (flags != RENAME_EXCHANGE && to != NONE && is_dir(&m->nodes[from]) != is_dir(&m->nodes[to]))
		return is_dir(&m->nodes[to]) ? -EISDIR : -ENOTDIR;
	if (m->nodes[to_dir].nlink == 0)
		return -ENOENT;
	if (from_dir != to_dir && is_dir(&m->nodes[from]) && is_below(m, to_dir, from))
		return -EINVAL;
	if (flags == RENAME_EXCHANGE)
		return from_dir != to_dir && is_dir(&m->nodes[to]) && is_below(m, from_dir, to) ? -EINVAL : 0;
	return to != NONE && is_dir(&m->nodes[to]) && !dir_is_empty(&m->nodes[to]) ? -ENOTEMPTY : 0;
}

static void model_rename(struct model *m, int from_dir, unsigned from_name, int to_dir, unsigned to_name, bool exchange,
			 const struct vol_gone *gone)
{
	int *from_entry = &m->nodes[from_dir].entries[from_name], *to_entry = &m->nodes[to_dir].entries[to_name];
	int from = *from_entry, to = *to_entry;

	m->nodes[from_dir].nlink -= is_dir(&m->nodes[from]);
	m->nodes[to_dir].nlink += is_dir(&m->nodes[from]);
	m->nodes[from].parent = to_dir;
	if (to != NONE)
		m->nodes[to_dir].nlink -= is_dir(&m->nodes[to]);
	*from_entry = NONE;
	*to_entry = from;
	if (exchange) {
		m->nodes[from_dir].nlink += is_dir(&m->nodes[to]);
		m->nodes[to].parent = from_dir;
		*from_entry = to;
	}
	if (to != NONE && !exchange)
		node_lost(m, to, gone);
	else
		check(m, gone->ino == 0);
	check(m, gone->moved[0] == (from_dir != to_dir && is_dir(&m->nodes[from]) ? m->nodes[from].ino : 0));
	check(m, gone->moved[1] ==
			 (exchange && from_dir != to_dir && is_dir(&m->nodes[to]) ? m->nodes[to].ino : 0));
	dir_touch(&m->nodes[from_dir]);
	dir_touch(&m->nodes[to_dir]);
}

/* The device that has taken the old name. */
static void whiteout_born(struct model *m, int dir, unsigned name)
{
	int at = node_unused(m);
	struct vol_attr attr;

	expect(m, "lookup", volume_lookup(m->v, m->nodes[dir].ino, m->names[name], &attr), 0);
	node_born(m, at, dir, S_IFCHR, &attr);
	m->nodes[dir].entries[name] = at;
	check_attr(m, &m->nodes[at], &attr);
}

void op_rename(struct model *m)
{
	static const unsigned all_flags[] = { 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	int from_dir = pick_dir(m), to_dir = rng_one_in(&m->rng, 3) ? from_dir : pick_dir(m), from, to, wanted, r;
	unsigned from_name = pick_name(m), to_name = pick_name(m), flags = all_flags[rng_below(&m->rng, 4)];
	bool whiteout = flags != RENAME_EXCHANGE && rng_one_in(&m->rng, 4) && node_unused(m) != NONE;
	struct vol_gone gone = { 0 };

	from = m->nodes[from_dir].entries[from_name];
	to = m->nodes[to_dir].entries[to_name];
	wanted = wanted_of_rename(m, from, to, from_dir, to_dir, flags);
	if (whiteout)
		r = volume_rename_whiteout(m->v, m->nodes[from_dir].ino, m->names[from_name], m->nodes[to_dir].ino,
					   m->names[to_name], flags, &model_cred, &gone);
	else
		r = volume_rename(m->v, m->nodes[from_dir].ino, m->names[from_name], m->nodes[to_dir].ino,
				  m->names[to_name], flags, &gone);
	/* where a removed directory once hung doesn't matter any more, and may be told in either way */
	if (m->nodes[to_dir].nlink == 0 && r == -EINVAL && wanted == -ENOENT)
		r = -ENOENT;
	expect(m, "rename", r, wanted);
	if (r == 0 && from != to)
		model_rename(m, from_dir, from_name, to_dir, to_name, flags == RENAME_EXCHANGE, &gone);
	if (r == 0 && from != to && whiteout)
		whiteout_born(m, from_dir, from_name);
}

void op_reclaim(struct model *m)
{
	int at = node_pick(m, rng_one_in(&m->rng, 4) ? NULL : want_nameless);
	struct vol_attr attr;

	if (at == NONE)
		return;
	expect(m, "reclaim", volume_reclaim(m->v, m->nodes[at].ino), 0);
	if (m->nodes[at].nlink > 0)
		return;
	expect(m, "getattr", volume_getattr(m->v, m->nodes[at].ino, &attr), -ENOENT);
	node_free(&m->nodes[at]);
}

void op_lookup(struct model *m)
{
	int dir = pick_dir(m), at;
	unsigned name = pick_name(m);
	struct vol_attr attr;

	at = m->nodes[dir].entries[name];
	expect(m, "lookup", volume_lookup(m->v, m->nodes[dir].ino, m->names[name], &attr), at == NONE ? -ENOENT : 0);
	if (at != NONE)
		check_attr(m, &m->nodes[at], &attr);
}
