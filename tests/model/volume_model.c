/* SPDX-License-Identifier: MIT */
#include "tests/model/volume_model.h"

void expect(struct model *m, const char *what, int got, int wanted)
{
	if (got != wanted)
		fail_msg("LSMFS_SEED=%llu step %u: %s gave %d (%s), not %d (%s)", (unsigned long long)m->seed, m->step,
			 what, got, strerror(-got), wanted, strerror(-wanted));
}

/* ---- the model's nodes ---- */

int node_pick(struct model *m, bool (*want)(const struct model_node *))
{
	int start = (int)rng_below(&m->rng, NODES);

	for (int i = 0; i < NODES; i++) {
		int at = (start + i) % NODES;

		if (m->nodes[at].used && (!want || want(&m->nodes[at])))
			return at;
	}
	return NONE;
}

bool want_dir(const struct model_node *n)
{
	return is_dir(n);
}

bool want_file(const struct model_node *n)
{
	return S_ISREG(n->mode);
}

bool want_nameless(const struct model_node *n)
{
	return n->nlink == 0;
}

int node_unused(const struct model *m)
{
	for (int i = 0; i < NODES; i++) {
		if (!m->nodes[i].used)
			return i;
	}
	return NONE;
}

void node_free(struct model_node *n)
{
	free(n->data);
	for (unsigned i = 0; i < XATTRS; i++)
		free(n->xattrs[i]);
	memset(n, 0, sizeof(*n));
}

void node_born(struct model *m, int at, int parent, uint32_t mode, const struct vol_attr *attr)
{
	struct model_node *n = &m->nodes[at];

	*n = (struct model_node){
		.used = true,
		.ino = attr->ino,
		.mode = mode,
		.uid = model_cred.uid,
		.gid = model_cred.gid,
		.nlink = S_ISDIR(mode) ? 2 : 1,
		.parent = parent,
	};
	if (m->nodes[parent].mode & S_ISGID) {
		n->gid = m->nodes[parent].gid;
		if (S_ISDIR(mode))
			n->mode |= S_ISGID;
	}
	for (unsigned i = 0; i < NAMES; i++)
		n->entries[i] = NONE;
}

/* ---- comparisons ---- */

void check_attr(struct model *m, const struct model_node *n, const struct vol_attr *attr)
{
	unsigned entries = 0;

	check(m, attr->ino == n->ino);
	check(m, attr->mode == n->mode);
	check(m, attr->nlink == n->nlink);
	check(m, attr->uid == n->uid && attr->gid == n->gid);
	check(m, attr->rdev == n->rdev);
	if (is_dir(n)) {
		for (unsigned i = 0; i < NAMES; i++)
			entries += n->entries[i] != NONE;
		check(m, attr->size == entries);
	} else {
		check(m, attr->size == n->size);
	}
	if (n->mtime_is_set)
		check(m, attr->mtime.tv_sec == n->mtime.tv_sec && attr->mtime.tv_nsec == n->mtime.tv_nsec);
}

void check_range(struct model *m, const struct model_node *n, uint64_t offset, size_t size)
{
	size_t wanted = offset >= n->size ? 0 : n->size - offset, got = 0;

	if (wanted > size)
		wanted = size;
	memset(m->buf, 0xee, size);
	expect(m, "read", volume_read(m->v, n->ino, offset, m->buf, size, &got), 0);
	check(m, got == wanted);
	if (wanted > 0)
		check(m, memcmp(m->buf, n->data + offset, wanted) == 0);
}

/* The extents lie one behind the other, inside the file, sum up to what the inode says, and are not too many. */
void check_extents(struct model *m, const struct model_node *n, const struct vol_attr *attr)
{
	struct rows_iter *it = NULL;
	uint64_t sum = 0, end = 0;
	struct node node;
	struct extent e;
	int r;

	expect(m, "load", node_load(m->v, n->ino, &node), 0);
	if (!node.i.file.inlined) {
		expect(m, "extents", extents_open(m->v, n->ino, 0, UINT64_C(1) << 63, &it), 0);
		for (r = extent_first(m->v, it, n->ino, 0, &e); r == 1; r = extent_next(m->v, it, &e)) {
			check(m, e.offset >= end);
			end = e.offset + e.size;
			sum += e.size;
		}
		expect(m, "extents", r, 0);
		check(m, end <= attr->size);
		check(m, sum == attr->allocated_bytes);
		m->v->rows->ops->iter_free(it);
	} else {
		check(m, attr->allocated_bytes <= SCHEMA_INLINE_MAX);
	}
	node_done(&node);
}

void check_xattrs(struct model *m, const struct model_node *n)
{
	char list[256], name[16];
	size_t size, listed = 0;
	int r;

	for (unsigned i = 0; i < XATTRS; i++) {
		snprintf(name, sizeof(name), "user.x%u", i);
		r = volume_getxattr(m->v, n->ino, name, m->buf, FILE_MAX, &size);
		expect(m, "getxattr", r, n->xattrs[i] ? 0 : -ENODATA);
		if (r < 0)
			continue;
		check(m, size == n->xattr_sizes[i] && memcmp(m->buf, n->xattrs[i], size) == 0);
		listed += strlen(name) + 1;
	}
	expect(m, "listxattr", volume_listxattr(m->v, n->ino, list, sizeof(list), &size), 0);
	check(m, size == listed);
}

struct listing_check {
	struct model *m;
	const struct model_node *dir;
	bool plus;
	bool seen[NAMES];
	unsigned dots;
	uint64_t cookie;
	unsigned stop_after;
	bool stopped;
};

static bool check_entry(void *ctx, const struct vol_entry *e)
{
	struct listing_check *l = ctx;
	unsigned i;

	if (l->stop_after-- == 0) {
		l->stopped = true;
		return false;
	}
	check(l->m, e->cookie > l->cookie && e->cookie <= INT64_MAX);
	l->cookie = e->cookie;
	check(l->m, strlen(e->name) == e->name_size);
	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0) {
		check(l->m, e->cookie == e->name_size && l->dots++ == e->cookie - 1);
		check(l->m, e->ino == (e->cookie == 1 ? l->dir : &l->m->nodes[l->dir->parent])->ino);
		return true;
	}
	for (i = 0; i < NAMES && strcmp(l->m->names[i], e->name) != 0; i++)
		;
	check(l->m, i < NAMES && !l->seen[i] && l->dir->entries[i] != NONE);
	l->seen[i] = true;
	check(l->m, e->ino == l->m->nodes[l->dir->entries[i]].ino);
	check(l->m, e->type == (l->m->nodes[l->dir->entries[i]].mode & S_IFMT));
	check(l->m, !e->attr == !l->plus);
	if (e->attr)
		check_attr(l->m, &l->m->nodes[l->dir->entries[i]], e->attr);
	return true;
}

static void check_listing(struct model *m, const struct model_node *dir)
{
	struct listing_check l = { .m = m, .dir = dir, .plus = rng_one_in(&m->rng, 2) };

	do {
		l.stopped = false;
		l.stop_after = (unsigned)rng_below(&m->rng, 8) + 1;
		expect(m, "readdir", volume_readdir(m->v, dir->ino, l.cookie, l.plus, check_entry, &l), 0);
	} while (l.stopped);
	check(m, l.dots == 2);
	for (unsigned i = 0; i < NAMES; i++)
		check(m, l.seen[i] == (dir->entries[i] != NONE));
}

void check_node(struct model *m, const struct model_node *n)
{
	char target[VOL_SYMLINK_MAX + 1];
	struct vol_attr attr;

	expect(m, "getattr", volume_getattr(m->v, n->ino, &attr), 0);
	check_attr(m, n, &attr);
	check_xattrs(m, n);
	if (is_dir(n) && n->nlink > 0) {
		check_listing(m, n);
	} else if (S_ISREG(n->mode)) {
		check_range(m, n, 0, FILE_MAX + 1);
		check_extents(m, n, &attr);
	} else if (S_ISLNK(n->mode)) {
		expect(m, "readlink", volume_readlink(m->v, n->ino, target), 0);
		check(m, strcmp(target, (char *)n->data) == 0);
	}
}

void check_all(struct model *m)
{
	for (unsigned i = 0; i < NODES; i++) {
		if (m->nodes[i].used)
			check_node(m, &m->nodes[i]);
	}
}
