/* SPDX-License-Identifier: MIT */
#include "tests/sim/volume_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lsm/base/checksum.h"

const char *tree_name(unsigned i)
{
	static const char *const names[TREE_NAMES] = {
		"a",
		"b.txt",
		"c",
		"some longer name",
		"e",
		"f",
		"a name that does not fit into a few bytes, and goes on, and on, and on, to take some room in the log",
	};

	return names[i];
}

static unsigned name_index(const char *name)
{
	for (unsigned i = 0; i < TREE_NAMES; i++)
		if (!strcmp(tree_name(i), name))
			return i;
	sim_fail("the volume has a name that nobody gave: '%s'", name);
}

void tree_new(struct tree *t)
{
	*t = (struct tree){ 0 };
	t->nodes[tree_add(t, S_IFDIR)].ino = VOL_ROOT;
}

int tree_add(struct tree *t, uint32_t type)
{
	for (int i = 0; i < TREE_NODES; i++) {
		if (t->nodes[i].type)
			continue;
		t->nodes[i] = (struct tree_node){ .type = type, .parent = NONE };
		for (unsigned n = 0; n < TREE_NAMES; n++)
			t->nodes[i].entries[n] = NONE;
		return i;
	}
	return NONE;
}

void tree_unlink(struct tree *t, int dir, unsigned name)
{
	struct tree_node *n = &t->nodes[t->nodes[dir].entries[name]];

	t->nodes[dir].entries[name] = NONE;
	if (!--n->links)
		n->type = 0;
}

void tree_link(struct tree *t, int dir, unsigned name, int node)
{
	if (t->nodes[dir].entries[name] != NONE)
		tree_unlink(t, dir, name);
	t->nodes[dir].entries[name] = node;
	t->nodes[node].links++;
	t->nodes[node].parent = dir;
}

void tree_set_data(struct tree *t, int node, uint8_t *data, size_t size)
{
	t->nodes[node].data = data;
	t->nodes[node].size = size;
	t->nodes[node].data_hash = hash64(data, size, size);
}

bool tree_is_empty(const struct tree *t, int dir)
{
	for (unsigned n = 0; n < TREE_NAMES; n++)
		if (t->nodes[dir].entries[n] != NONE)
			return false;
	return true;
}

bool tree_lies_in(const struct tree *t, int dir, int above)
{
	while (dir != above && dir != 0)
		dir = t->nodes[dir].parent;
	return dir == above;
}

/* ---- seeing all of it ---- */

struct visit {
	const struct tree *t;
	int seen[TREE_NODES]; /* by when it was met first; two names of one file are told from two files */
	int seen_n;
	uint64_t hash;
	bool print;
};

static void mix(struct visit *v, uint64_t x)
{
	v->hash = (v->hash ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	v->hash ^= v->hash >> 29;
}

static int visit_number(struct visit *v, int node)
{
	int i = 0;

	while (i < v->seen_n && v->seen[i] != node)
		i++;
	if (i == v->seen_n)
		v->seen[v->seen_n++] = node;
	return i;
}

static void visit_dir(struct visit *v, int dir, unsigned depth)
{
	for (unsigned n = 0; n < TREE_NAMES; n++) {
		int at = v->t->nodes[dir].entries[n];
		const struct tree_node *node;

		if (at == NONE)
			continue;
		node = &v->t->nodes[at];
		mix(v, (uint64_t)visit_number(v, at) << 32 | node->type << 8 | n);
		mix(v, node->data_hash);
		if (v->print)
			fprintf(stderr, "  %*s%.12s: type %o, %u links, %zu bytes %016llx\n", (int)depth * 2, "",
				tree_name(n), node->type, node->links, node->size, (unsigned long long)node->data_hash);
		if (S_ISDIR(node->type))
			visit_dir(v, at, depth + 1);
	}
	mix(v, UINT64_MAX);
}

uint64_t tree_hash(const struct tree *t)
{
	struct visit v = { .t = t };

	visit_dir(&v, 0, 0);
	return v.hash;
}

void tree_print(const struct tree *t)
{
	struct visit v = { .t = t, .print = true };

	visit_dir(&v, 0, 0);
}

/* ---- reading it from the volume ---- */

struct listing {
	struct tree *t;
	int dir;
};

static void must(int r, const char *what)
{
	if (r < 0)
		sim_fail("cannot %s: %s: %s", what, strerror(-r), lsm_last_error()->message);
}

/* Two names of one file lead to one node. */
static int node_of(struct tree *t, const struct vol_attr *attr)
{
	int at;

	for (int i = 0; i < TREE_NODES; i++)
		if (t->nodes[i].type && t->nodes[i].ino == attr->ino)
			return i;
	at = tree_add(t, attr->mode & S_IFMT);
	if (at == NONE)
		sim_fail("the volume has more objects than it ever had");
	t->nodes[at].ino = attr->ino;
	t->nodes[at].size = attr->size;
	return at;
}

static bool listing_add(void *ctx, const struct vol_entry *e)
{
	struct listing *l = ctx;
	unsigned name;

	if (!strcmp(e->name, ".") || !strcmp(e->name, ".."))
		return true;
	if (!e->attr)
		sim_fail("the inode of '%s' is damaged", e->name);
	name = name_index(e->name);
	if (l->t->nodes[l->dir].entries[name] != NONE)
		sim_fail("'%s' is listed twice", e->name);
	tree_link(l->t, l->dir, name, node_of(l->t, e->attr));
	return true;
}

static void content_read(struct tree *t, int at, struct volume *v)
{
	struct tree_node *n = &t->nodes[at];
	uint8_t *data = malloc(TREE_FILE_MAX + VOL_SYMLINK_MAX + 1);
	size_t size = 0;

	if (!data)
		sim_fail("no memory");
	if (S_ISREG(n->type)) {
		must(volume_read(v, n->ino, 0, data, TREE_FILE_MAX + 1, &size), "read a file");
		if (size != n->size)
			sim_fail("a file of %zu bytes has %zu by its inode", size, n->size);
	} else {
		must(volume_readlink(v, n->ino, (char *)data), "read a link");
		size = strlen((char *)data);
	}
	tree_set_data(t, at, data, size);
}

static void dir_read(struct tree *t, int dir, struct volume *v)
{
	struct listing l = { t, dir };

	must(volume_readdir(v, t->nodes[dir].ino, 0, true, listing_add, &l), "list a directory");
	for (unsigned n = 0; n < TREE_NAMES; n++) {
		int at = t->nodes[dir].entries[n];

		if (at == NONE)
			continue;
		if (S_ISDIR(t->nodes[at].type))
			dir_read(t, at, v);
		else if (!t->nodes[at].data)
			content_read(t, at, v);
	}
}

/* What the inode says of names and entries is so. */
static void counts_check(const struct tree *t, int at, struct volume *v)
{
	const struct tree_node *n = &t->nodes[at];
	unsigned links = n->links, entries = 0;
	struct vol_attr attr;

	must(volume_getattr(v, n->ino, &attr), "get attributes");
	for (unsigned i = 0; S_ISDIR(n->type) && i < TREE_NAMES; i++) {
		links += n->entries[i] != NONE && S_ISDIR(t->nodes[n->entries[i]].type);
		entries += n->entries[i] != NONE;
	}
	if (S_ISDIR(n->type))
		links += at == 0 ? 2 : 1;
	if (attr.nlink != links || (S_ISDIR(n->type) && attr.size != entries))
		sim_fail("inode %llx has %u links and %llu entries by itself, but %u and %u",
			 (unsigned long long)n->ino, attr.nlink, (unsigned long long)attr.size, links, entries);
}

void tree_read(struct tree *t, struct volume *v)
{
	tree_new(t);
	dir_read(t, 0, v);
	for (int i = 0; i < TREE_NODES; i++)
		if (t->nodes[i].type)
			counts_check(t, i, v);
}
