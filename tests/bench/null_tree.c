/* SPDX-License-Identifier: MIT */
#include "tests/bench/null_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;
static struct null_name **table;
static size_t table_size; /* a power of two */
static size_t table_n;
static uint64_t last_ino;

struct timespec null_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t;
}

/* ---- the hash table of all names ---- */

static uint64_t hash_of(const struct null_node *dir, const char *text)
{
	uint64_t h = (uint64_t)(uintptr_t)dir * UINT64_C(0x9e3779b97f4a7c15);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h ^ h >> 29;
}

static struct null_name **place_of(const struct null_node *dir, const char *text)
{
	uint64_t hash = hash_of(dir, text);
	struct null_name **at = &table[hash & (table_size - 1)];

	while (*at && ((*at)->hash != hash || (*at)->dir != dir || strcmp((*at)->text, text) != 0))
		at = &(*at)->next;
	return at;
}

static bool table_grow(void)
{
	size_t size = table_size ? table_size * 4 : 1024;
	struct null_name **larger = calloc(size, sizeof(struct null_name *)), *name, *next;

	if (!larger)
		return false;
	for (size_t i = 0; i < table_size; i++)
		for (name = table[i]; name; name = next) {
			next = name->next;
			name->next = larger[name->hash & (size - 1)];
			larger[name->hash & (size - 1)] = name;
		}
	free(table);
	table = larger;
	table_size = size;
	return true;
}

/* ---- nodes ---- */

static struct null_node *node_new(const struct stat *attr)
{
	struct null_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	pthread_rwlock_init(&node->lock, NULL);
	node->attr = (struct stat){ .st_mode = attr->st_mode,
				    .st_uid = attr->st_uid,
				    .st_gid = attr->st_gid,
				    .st_rdev = attr->st_rdev,
				    .st_blksize = 4096,
				    .st_ino = ++last_ino };
	node->attr.st_atim = node->attr.st_mtim = node->attr.st_ctim = null_now();
	node->attr.st_nlink = S_ISDIR(attr->st_mode) ? 2 : 1;
	return node;
}

static void node_free_if_unused(struct null_node *node)
{
	if (node->lookups || node->attr.st_nlink)
		return;
	pthread_rwlock_destroy(&node->lock);
	free(node->slots);
	null_free_content(node);
	free(node);
}

static void changed(struct null_node *dir)
{
	pthread_rwlock_wrlock(&dir->lock);
	dir->attr.st_mtim = dir->attr.st_ctim = null_now();
	pthread_rwlock_unlock(&dir->lock);
}

static void count_links(struct null_node *node, int by)
{
	pthread_rwlock_wrlock(&node->lock);
	node->attr.st_nlink = (nlink_t)((int)node->attr.st_nlink + by);
	node->attr.st_ctim = null_now();
	pthread_rwlock_unlock(&node->lock);
}

struct null_node *null_tree_new(void)
{
	const struct stat attr = { .st_mode = S_IFDIR | 0755, .st_uid = geteuid(), .st_gid = getegid() };
	struct null_node *root = table_grow() ? node_new(&attr) : NULL;

	if (root)
		root->parent = root;
	return root;
}

void null_getattr(struct null_node *node, struct stat *ret)
{
	pthread_rwlock_rdlock(&node->lock);
	*ret = node->attr;
	pthread_rwlock_unlock(&node->lock);
}

void null_hold(struct null_node *node)
{
	pthread_mutex_lock(&tree_lock);
	node->lookups++;
	pthread_mutex_unlock(&tree_lock);
}

void null_forget(struct null_node *node, uint64_t n)
{
	pthread_mutex_lock(&tree_lock);
	node->lookups -= n;
	node_free_if_unused(node);
	pthread_mutex_unlock(&tree_lock);
}

/* ---- names ---- */

static bool slots_grow(struct null_node *dir)
{
	size_t max = dir->slots_max ? dir->slots_max * 2 : 8;
	struct null_name **larger = realloc(dir->slots, max * sizeof(struct null_name *));

	if (!larger)
		return false;
	dir->slots = larger;
	dir->slots_max = max;
	return true;
}

/* A directory's links are its own: its two, and one for each directory in it. */
static int name_add(struct null_node *dir, const char *text, struct null_node *node)
{
	struct null_name *name = malloc(sizeof(*name) + strlen(text) + 1), **at;

	if (!name || (dir->slots_n == dir->slots_max && !slots_grow(dir)) || (table_n >= table_size && !table_grow())) {
		free(name);
		return ENOMEM;
	}
	at = place_of(dir, text);
	*name = (struct null_name){ .dir = dir, .node = node, .slot = dir->slots_n, .hash = hash_of(dir, text) };
	strcpy(name->text, text);
	*at = name;
	dir->slots[dir->slots_n++] = name;
	dir->names_n++;
	table_n++;
	if (S_ISDIR(node->attr.st_mode)) {
		node->parent = dir;
		count_links(dir, 1);
	}
	changed(dir);
	return 0;
}

static void name_remove(struct null_name **at)
{
	struct null_name *name = *at;
	struct null_node *dir = name->dir;

	*at = name->next;
	table_n--;
	dir->slots[name->slot] = NULL;
	while (dir->slots_n && !dir->slots[dir->slots_n - 1])
		dir->slots_n--;
	dir->names_n--;
	if (S_ISDIR(name->node->attr.st_mode))
		count_links(dir, -1);
	changed(dir);
	free(name);
}

int null_lookup(struct null_node *dir, const char *text, struct null_node **ret, struct stat *ret_attr)
{
	struct null_name *name;

	pthread_mutex_lock(&tree_lock);
	name = *place_of(dir, text);
	if (name) {
		*ret = name->node;
		name->node->lookups++;
		null_getattr(name->node, ret_attr);
	}
	pthread_mutex_unlock(&tree_lock);
	return name ? 0 : ENOENT;
}

static int node_set_target(struct null_node *node, const char *target)
{
	if (!target)
		return 0;
	node->data = strdup(target);
	node->attr.st_size = (off_t)strlen(target);
	return node->data ? 0 : ENOMEM;
}

int null_make(struct null_node *dir, const char *text, const struct stat *attr, const char *target,
	      struct null_node **ret, struct stat *ret_attr)
{
	struct null_node *node = NULL;
	int r = 0;

	pthread_mutex_lock(&tree_lock);
	if (*place_of(dir, text))
		r = EEXIST;
	else if (!(node = node_new(attr)))
		r = ENOMEM;
	if (!r)
		r = node_set_target(node, target);
	if (!r)
		r = name_add(dir, text, node);
	if (!r) {
		node->lookups = 1;
		*ret = node;
		null_getattr(node, ret_attr);
	} else if (node) {
		node->attr.st_nlink = 0;
		node_free_if_unused(node);
	}
	pthread_mutex_unlock(&tree_lock);
	return r;
}

int null_link(struct null_node *node, struct null_node *dir, const char *text, struct stat *ret_attr)
{
	int r;

	pthread_mutex_lock(&tree_lock);
	r = *place_of(dir, text) ? EEXIST : name_add(dir, text, node);
	if (!r) {
		count_links(node, 1);
		node->lookups++;
		null_getattr(node, ret_attr);
	}
	pthread_mutex_unlock(&tree_lock);
	return r;
}

static int remove_at(struct null_name **at)
{
	struct null_node *node = (*at)->node;

	if (S_ISDIR(node->attr.st_mode) && node->names_n)
		return ENOTEMPTY;
	name_remove(at);
	count_links(node, S_ISDIR(node->attr.st_mode) ? -2 : -1);
	node_free_if_unused(node);
	return 0;
}

int null_remove(struct null_node *dir, const char *text, bool is_dir)
{
	struct null_name **at;
	int r;

	pthread_mutex_lock(&tree_lock);
	at = place_of(dir, text);
	if (!*at)
		r = ENOENT;
	else if (!is_dir != !S_ISDIR((*at)->node->attr.st_mode))
		r = is_dir ? ENOTDIR : EISDIR;
	else
		r = remove_at(at);
	pthread_mutex_unlock(&tree_lock);
	return r;
}

/* The kernel has seen to it that no directory gets into itself, and that like replaces like. */
int null_rename(struct null_node *from, const char *text, struct null_node *to, const char *new_text, bool replace)
{
	struct null_name **at, **there;
	struct null_node *node;
	int r = 0;

	pthread_mutex_lock(&tree_lock);
	at = place_of(from, text);
	there = place_of(to, new_text);
	if (!*at)
		r = ENOENT;
	else if (*there && !replace)
		r = EEXIST;
	else if (*there && (*there)->node != (*at)->node)
		r = remove_at(there);
	else if (*there)
		goto out; /* two names of one file: nothing to do */
	if (r)
		goto out;
	node = (*place_of(from, text))->node;
	r = name_add(to, new_text, node);
	if (!r)
		name_remove(place_of(from, text));
out:
	pthread_mutex_unlock(&tree_lock);
	return r;
}

void null_list(struct null_node *dir, uint64_t cookie, null_take take, void *ctx)
{
	bool more = true;

	pthread_mutex_lock(&tree_lock);
	if (cookie < 1)
		more = take(ctx, ".", dir, 1);
	if (more && cookie < 2)
		more = take(ctx, "..", dir->parent, 2);
	for (uint64_t i = cookie < 2 ? 0 : cookie - 2; more && i < dir->slots_n; i++)
		if (dir->slots[i])
			more = take(ctx, dir->slots[i]->text, dir->slots[i]->node, i + 3);
	pthread_mutex_unlock(&tree_lock);
}
