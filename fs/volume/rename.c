/* SPDX-License-Identifier: MIT */
#include <linux/fs.h>

#include "fs/volume/internal.h"

#define DEPTH_MAX (1u << 20) /* of the tree; more is a loop that damage has made */

/* One end of a rename: a name in a directory and what it stands for. */
struct end {
	vol_ino dir;
	const char *name;
	vol_ino ino; /* 0: nothing has that name */
	uint32_t type;
};

struct rename {
	struct end from, to;
	bool exchange;
	bool noreplace;
	const struct vol_cred *whiteout; /* who makes a device that takes the old name; NULL: none does */
	/* loaded under the locks; `dir` is shared when there is only one, and so is `bucket` */
	struct node dirs[2], nodes[2];
	struct node *from_dir, *to_dir;
	struct bucket buckets[2];
	struct bucket *from_bucket, *to_bucket;
	struct vol_gone gone;
};

static int end_look(struct volume *v, struct end *end)
{
	int r = entry_lookup(v, end->dir, end->name, &end->ino, &end->type);

	if (r == -ENOENT)
		end->ino = 0;
	return r == -ENOENT ? 0 : r;
}

/* What the two ends' types and the flags forbid. */
static int check_types(const struct rename *rn)
{
	if (rn->from.ino == 0)
		return -ENOENT;
	if (rn->exchange)
		return rn->to.ino == 0 ? -ENOENT : 0;
	if (rn->to.ino == 0)
		return 0;
	if (rn->noreplace)
		return -EEXIST;
	if (rn->to.ino == rn->from.ino)
		return 0;
	if (S_ISDIR(rn->from.type) && !S_ISDIR(rn->to.type))
		return -ENOTDIR;
	if (!S_ISDIR(rn->from.type) && S_ISDIR(rn->to.type))
		return -EISDIR;
	return 0;
}

/* Whether a ".." changes, so that other renames of directories must wait. */
static bool moves_directory(const struct rename *rn)
{
	return rn->from.dir != rn->to.dir && (S_ISDIR(rn->from.type) || (rn->exchange && S_ISDIR(rn->to.type)));
}

/* -EINVAL when `dir` is `ino` or lies below it. Under the rename lock. */
static int check_not_below(struct volume *v, vol_ino dir, vol_ino ino)
{
	struct node node;
	int r;

	for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
		if (dir == ino)
			return -EINVAL;
		if (dir == VOL_ROOT)
			return 0;
		r = node_load(v, dir, &node);
		if (r < 0)
			return r;
		if (!S_ISDIR(node.i.mode))
			r = -ENOTDIR;
		else
			dir = node.i.dir.parent;
		node_done(&node);
		if (r < 0)
			return r;
	}
	return -EUCLEAN;
}

static int check_loops(struct volume *v, const struct rename *rn)
{
	int r = 0;

	if (S_ISDIR(rn->from.type))
		r = check_not_below(v, rn->to.dir, rn->from.ino);
	if (r == 0 && rn->exchange && S_ISDIR(rn->to.type))
		r = check_not_below(v, rn->from.dir, rn->to.ino);
	return r;
}

static int load_dirs(struct volume *v, struct rename *rn)
{
	int r;

	rn->from_dir = rn->to_dir = &rn->dirs[0];
	r = node_load_dir(v, rn->from.dir, &rn->dirs[0]);
	if (r == 0 && rn->to.dir != rn->from.dir) {
		rn->to_dir = &rn->dirs[1];
		r = node_load_dir(v, rn->to.dir, &rn->dirs[1]);
	}
	return r;
}

static int load_buckets(struct volume *v, struct rename *rn)
{
	int r;

	rn->from_bucket = rn->to_bucket = &rn->buckets[0];
	r = bucket_load(v, rn->from.dir, rn->from.name, &rn->buckets[0]);
	if (r < 0)
		return r;
	r = bucket_load(v, rn->to.dir, rn->to.name, &rn->buckets[1]);
	if (r < 0)
		return r;
	/* Both names in one bucket: both changes go to one copy, or the second would undo the first. */
	if (rn->to.dir != rn->from.dir || rn->buckets[0].hash != rn->buckets[1].hash)
		rn->to_bucket = &rn->buckets[1];
	return 0;
}

/* -EAGAIN when the name stands for something else than what was locked. */
static int check_unchanged(const struct bucket *b, const struct end *end)
{
	struct schema_entry e;
	int r = bucket_find(b, end->name, &e);

	if (r < 0 && r != -ENOENT)
		return r;
	return (r == -ENOENT ? 0 : e.ino) == end->ino ? 0 : -EAGAIN;
}

static int check_flags(const struct rename *rn)
{
	int r = flags_allow_removal(rn->from_dir, &rn->nodes[0]);

	if (r == 0)
		r = rn->to.ino == 0 ? flags_allow_entry(rn->to_dir) : flags_allow_removal(rn->to_dir, &rn->nodes[1]);
	return r;
}

static int rename_load(struct volume *v, struct rename *rn)
{
	int r;

	r = load_dirs(v, rn);
	if (r == 0)
		r = load_buckets(v, rn);
	if (r == 0)
		r = check_unchanged(rn->from_bucket, &rn->from);
	if (r == 0)
		r = check_unchanged(rn->to_bucket, &rn->to);
	if (r < 0)
		return r;
	r = node_load(v, rn->from.ino, &rn->nodes[0]);
	if (r == 0 && rn->to.ino != 0)
		r = node_load(v, rn->to.ino, &rn->nodes[1]);
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	return check_flags(rn);
}

static void rename_done(struct rename *rn)
{
	for (unsigned i = 0; i < 2; i++) {
		node_done(&rn->dirs[i]);
		node_done(&rn->nodes[i]);
		bucket_done(&rn->buckets[i]);
	}
}

static int put_dirs_and_buckets(struct change *c, struct rename *rn)
{
	int r;

	r = bucket_put(c, rn->from_bucket);
	if (r == 0 && rn->to_bucket != rn->from_bucket)
		r = bucket_put(c, rn->to_bucket);
	if (r == 0)
		r = node_put(c, rn->from_dir);
	if (r == 0 && rn->to_dir != rn->from_dir)
		r = node_put(c, rn->to_dir);
	return r;
}

/* `node` hangs below `dir` from now on. */
static int put_moved(struct change *c, struct node *node, vol_ino dir)
{
	node->i.ctime = c->now;
	if (S_ISDIR(node->i.mode))
		node->i.dir.parent = dir;
	return node_put(c, node);
}

/* The old name is free, or becomes that of a device. */
static int leave_old_name(struct change *c, struct rename *rn)
{
	struct node node = { .i.mode = S_IFCHR };
	int r;

	if (!rn->whiteout) {
		bucket_remove(rn->from_bucket, rn->from.name);
		return 0;
	}
	inode_init(&node.i, c, node.i.mode, rn->whiteout, &rn->from_dir->i);
	r = dir_gains(rn->from_dir, c, false);
	if (r == 0)
		r = node_birth(c->v, rn->from_dir, &node);
	if (r == 0)
		r = bucket_set(rn->from_bucket, rn->from.name, node.ino, node.i.mode);
	return r < 0 ? r : node_put(c, &node);
}

static int replace_rows(struct change *c, struct rename *rn)
{
	struct node *moved = &rn->nodes[0], *replaced = &rn->nodes[1];
	int r;

	if (rn->to.ino != 0 && S_ISDIR(replaced->i.mode) && replaced->i.dir.entries > 0)
		return -ENOTEMPTY;
	r = dir_loses(rn->from_dir, c, S_ISDIR(moved->i.mode));
	if (r == 0 && rn->to.ino != 0) {
		r = dir_loses(rn->to_dir, c, S_ISDIR(replaced->i.mode));
		if (r == 0)
			r = node_unlink(c, replaced, &rn->gone);
	}
	if (r == 0)
		r = dir_gains(rn->to_dir, c, S_ISDIR(moved->i.mode));
	if (r == 0)
		r = leave_old_name(c, rn);
	if (r == 0)
		r = bucket_set(rn->to_bucket, rn->to.name, moved->ino, moved->i.mode);
	if (r == 0)
		r = put_dirs_and_buckets(c, rn);
	return r < 0 ? r : put_moved(c, moved, rn->to.dir);
}

static int exchange_rows(struct change *c, struct rename *rn)
{
	struct node *a = &rn->nodes[0], *b = &rn->nodes[1];
	int r;

	r = dir_loses(rn->from_dir, c, S_ISDIR(a->i.mode));
	if (r == 0)
		r = dir_loses(rn->to_dir, c, S_ISDIR(b->i.mode));
	if (r == 0)
		r = dir_gains(rn->from_dir, c, S_ISDIR(b->i.mode));
	if (r == 0)
		r = dir_gains(rn->to_dir, c, S_ISDIR(a->i.mode));
	if (r == 0)
		r = bucket_set(rn->from_bucket, rn->from.name, b->ino, b->i.mode);
	if (r == 0)
		r = bucket_set(rn->to_bucket, rn->to.name, a->ino, a->i.mode);
	if (r == 0)
		r = put_dirs_and_buckets(c, rn);
	if (r == 0)
		r = put_moved(c, a, rn->to.dir);
	return r < 0 ? r : put_moved(c, b, rn->from.dir);
}

/* With the types checked, and the rename lock if it is needed. */
static int rename_locked(struct change *c, struct rename *rn)
{
	struct locked locked;
	int r;

	inodes_lock(c->v, &locked, 4, (vol_ino[]){ rn->from.dir, rn->to.dir, rn->from.ino, rn->to.ino });
	r = rename_load(c->v, rn);
	if (r == 0)
		r = rn->exchange ? exchange_rows(c, rn) : replace_rows(c, rn);
	if (r == 0)
		r = change_commit(c);
	rename_done(rn);
	inodes_unlock(c->v, &locked);
	return r;
}

/* One attempt; -EAGAIN when a name changed its meaning between the look without locks and that with them. */
static int rename_try(struct change *c, struct rename *rn)
{
	bool moves;
	int r;

	r = end_look(c->v, &rn->from);
	if (r == 0)
		r = end_look(c->v, &rn->to);
	if (r == 0)
		r = check_types(rn);
	if (r < 0 || rn->from.ino == rn->to.ino)
		return r; /* two names of one file: POSIX wants nothing done */
	moves = moves_directory(rn);
	if (moves) {
		pthread_mutex_lock(&c->v->rename_lock);
		r = check_loops(c->v, rn);
	}
	if (r == 0)
		r = rename_locked(c, rn);
	if (moves)
		pthread_mutex_unlock(&c->v->rename_lock);
	return r;
}

static void tell_moved(struct rename *rn)
{
	if (rn->from.dir == rn->to.dir || rn->from.ino == rn->to.ino)
		return;
	if (S_ISDIR(rn->from.type))
		rn->gone.moved[0] = rn->from.ino;
	if (rn->exchange && S_ISDIR(rn->to.type))
		rn->gone.moved[1] = rn->to.ino;
}

static int rename_check_names(const char *name, const char *new_name)
{
	int r = name_check(name);

	if (r == 0)
		r = name_check(new_name);
	return r == -EEXIST ? -EBUSY : r; /* "." and ".." */
}

static int rename_any(struct volume *v, vol_ino parent, const char *name, vol_ino new_parent, const char *new_name,
		      unsigned flags, const struct vol_cred *whiteout, struct vol_gone *ret_gone)
{
	struct rename rn;
	struct change c;
	int r;

	r = rename_check_names(name, new_name);
	if (r < 0)
		return r;
	r = change_begin(&c, v);
	if (r < 0)
		return r;
	c.frees = true;
	do {
		memset(&rn, 0, offsetof(struct rename, buckets));
		rn.buckets[0].data = rn.buckets[0].small;
		rn.buckets[1].data = rn.buckets[1].small;
		rn.gone = (struct vol_gone){ 0 };
		rn.from = (struct end){ .dir = parent, .name = name };
		rn.to = (struct end){ .dir = new_parent, .name = new_name };
		rn.exchange = flags == RENAME_EXCHANGE;
		rn.noreplace = flags == RENAME_NOREPLACE;
		rn.whiteout = whiteout;
		r = rename_try(&c, &rn);
	} while (r == -EAGAIN);
	change_end(&c);
	if (r == 0) {
		tell_moved(&rn);
		*ret_gone = rn.gone;
	}
	return r;
}

int volume_rename(struct volume *v, vol_ino parent, const char *name, vol_ino new_parent, const char *new_name,
		  unsigned flags, struct vol_gone *ret_gone)
{
	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	return rename_any(v, parent, name, new_parent, new_name, flags, NULL, ret_gone);
}

int volume_rename_whiteout(struct volume *v, vol_ino parent, const char *name, vol_ino new_parent, const char *new_name,
			   unsigned flags, const struct vol_cred *cred, struct vol_gone *ret_gone)
{
	if (flags != 0 && flags != RENAME_NOREPLACE)
		return -EINVAL;
	return rename_any(v, parent, name, new_parent, new_name, flags, cred, ret_gone);
}
