/* SPDX-License-Identifier: MIT */
#include "lsm/memory/table_cache.h"

#include <inttypes.h>
#include <stdio.h>

#include "lsm/env/sync.h"

enum {
	SHARD_FILES_MIN = 64, /* with fewer files, the limit of a shard would bind long before the whole one does */
	SHARDS_MAX = 8,
};

/* What a number stands for in the cache's keys: the two kinds share one space of numbers, but need not. */
enum { KEY_TABLE = 0, KEY_BLOB = 1 };

struct loaded {
	uint64_t number, sequence;
};

struct table_cache {
	struct env *env;
	char *dir;
	struct block_cache *blocks;
	struct cache *open; /* each file is charged 1 */
	int64_t held_max;   /* of the files that may be open at once; the others come and go */
	_Atomic int64_t held, held_bytes;
	/* loaded: few, and asked for only when a table is opened */
	struct mutex lock; /* a leaf */
	struct loaded *loaded;
	size_t loaded_n, loaded_capacity;
};

struct open_file {
	struct table *table;
	struct env_file *blob;
	size_t memory_bytes;
};

static void open_file_free(void *ctx, void *value)
{
	struct table_cache *c = ctx;
	struct open_file *f = value;

	if (f->table)
		table_close(f->table);
	file_close(f->blob);
	block_cache_charge(c->blocks, -(int64_t)f->memory_bytes);
	free(f);
}

int table_cache_new(struct env *env, const char *dir, struct block_cache *blocks, uint32_t open_max,
		    struct table_cache **ret)
{
	struct table_cache *c = calloc(1, sizeof(*c));
	unsigned shards = 1;
	int rc;

	if (!c)
		return status_no_memory(sizeof(*c));
	c->env = env;
	c->blocks = blocks;
	c->held_max = open_max / 2;
	c->dir = strdup(dir);
	while (shards < SHARDS_MAX && open_max / (shards * 2) >= SHARD_FILES_MIN)
		shards *= 2;
	rc = c->dir ? cache_new(open_max, shards, open_file_free, c, &c->open) : status_no_memory(strlen(dir) + 1);
	if (rc) {
		free(c->dir);
		free(c);
		return rc;
	}
	mutex_init(&c->lock);
	*ret = c;
	return LSM_OK;
}

void table_cache_free(struct table_cache *c)
{
	if (!c)
		return;
	cache_free(c->open);
	mutex_done(&c->lock);
	free(c->loaded);
	free(c->dir);
	free(c);
}

/* ---- loaded tables ---- */

int table_cache_set_sequence(struct table_cache *c, uint64_t number, uint64_t sequence)
{
	int rc = LSM_OK;

	mutex_lock(&c->lock);
	if (c->loaded_n == c->loaded_capacity) {
		size_t capacity = c->loaded_capacity ? c->loaded_capacity * 2 : 16;
		struct loaded *p = realloc(c->loaded, capacity * sizeof(*p));

		if (p) {
			c->loaded = p;
			c->loaded_capacity = capacity;
		} else {
			rc = status_no_memory(capacity * sizeof(*p));
		}
	}
	if (!rc)
		c->loaded[c->loaded_n++] = (struct loaded){ number, sequence };
	mutex_unlock(&c->lock);
	return rc;
}

/* 0: it isn't one. With `forget`, it won't be one any more. */
static uint64_t loaded_sequence(struct table_cache *c, uint64_t number, bool forget)
{
	uint64_t sequence = 0;

	mutex_lock(&c->lock);
	for (size_t i = 0; !sequence && i < c->loaded_n; i++) {
		if (c->loaded[i].number != number)
			continue;
		sequence = c->loaded[i].sequence;
		if (forget)
			c->loaded[i] = c->loaded[--c->loaded_n];
	}
	mutex_unlock(&c->lock);
	return sequence;
}

static int open_table(struct table_cache *c, uint64_t number, struct open_file *f)
{
	uint64_t sequence = loaded_sequence(c, number, false);
	char path[STORE_PATH_MAX];
	int rc;

	store_file_path(path, c->dir, STORE_TABLE, number);
	rc = table_open(c->env, path, number, block_cache_source(c->blocks), &f->table);
	if (!rc && sequence)
		rc = table_set_sequence(f->table, sequence);
	if (!rc && !sequence && table_get_props(f->table)->loaded)
		rc = status_corrupt(path, 0, "%s is a loaded table, and the manifest doesn't say when", path);
	if (!rc)
		f->memory_bytes += table_memory_bytes(f->table);
	return rc;
}

static int open_blob(struct table_cache *c, uint64_t number, struct open_file *f)
{
	char path[STORE_PATH_MAX];
	int rc;

	store_file_path(path, c->dir, STORE_BLOB, number);
	rc = env_open(c->env, path, ENV_OPEN_READ, &f->blob);
	if (!rc)
		rc = blob_file_check(f->blob, number);
	return rc;
}

/* Opens the file outside of all locks: of two threads that do so at once, one wins and the other's file is closed. */
static int open_file_add(struct table_cache *c, struct cache_key key, struct cache_entry **ret)
{
	struct open_file *f = calloc(1, sizeof(*f));
	struct cache_entry *e;
	int rc;

	if (!f)
		return status_no_memory(sizeof(*f));
	rc = key.offset == KEY_TABLE ? open_table(c, key.file, f) : open_blob(c, key.file, f);
	if (rc) {
		f->memory_bytes = 0;
		open_file_free(c, f);
		return rc;
	}
	f->memory_bytes += sizeof(*f);
	block_cache_charge(c->blocks, (int64_t)f->memory_bytes);
	e = cache_insert(c->open, key, f, 1, false);
	if (!e) {
		open_file_free(c, f);
		return status_no_memory(sizeof(*f));
	}
	*ret = e;
	return LSM_OK;
}

static int get(struct table_cache *c, struct cache_key key, struct table_pin *ret)
{
	struct cache_entry *e = cache_lookup(c->open, key);
	const struct open_file *f;
	int rc = LSM_OK;

	if (!e)
		rc = open_file_add(c, key, &e);
	if (rc)
		return rc;
	f = cache_entry_value(e);
	*ret = (struct table_pin){ f->table, f->blob, e };
	return LSM_OK;
}

int table_cache_get(struct table_cache *c, uint64_t number, struct table_pin *ret)
{
	return get(c, (struct cache_key){ number, KEY_TABLE }, ret);
}

static void hold_ended(struct table_cache *c, int64_t bytes)
{
	atomic_fetch_sub(&c->held, 1);
	atomic_fetch_sub(&c->held_bytes, bytes);
}

/* Half of the files, and of the memory a quarter, can be held. */
static bool may_hold(struct table_cache *c, int64_t bytes)
{
	enum { MEMORY_SHARE = 4 };
	int64_t bytes_max = (int64_t)(cache_capacity(block_cache_cache(c->blocks)) / MEMORY_SHARE);

	int64_t held = atomic_fetch_add(&c->held, 1) + 1, held_bytes = atomic_fetch_add(&c->held_bytes, bytes) + bytes;

	if (held <= c->held_max && held_bytes <= bytes_max)
		return true;
	hold_ended(c, bytes);
	return false;
}

int table_cache_get_held(struct table_cache *c, uint64_t number, struct table_hold *hold, struct table_pin *ret)
{
	struct cache_entry *e = atomic_load_explicit(&hold->entry, memory_order_acquire), *none = NULL;
	const struct open_file *f;
	int rc;

	if (e) {
		f = cache_entry_value(e);
		*ret = (struct table_pin){ .table = f->table };
		return LSM_OK;
	}
	rc = table_cache_get(c, number, ret);
	if (rc)
		return rc;
	f = cache_entry_value(ret->entry);
	if (!may_hold(c, (int64_t)f->memory_bytes))
		return LSM_OK;
	if (atomic_compare_exchange_strong(&hold->entry, &none, ret->entry))
		ret->entry = NULL;
	else
		hold_ended(c, (int64_t)f->memory_bytes);
	return LSM_OK;
}

void table_cache_unhold(struct table_cache *c, struct table_hold *hold)
{
	struct cache_entry *e = atomic_exchange(&hold->entry, NULL);
	const struct open_file *f;

	if (!e)
		return;
	f = cache_entry_value(e);
	hold_ended(c, (int64_t)f->memory_bytes);
	cache_release(c->open, e);
}

int table_cache_get_blob(struct table_cache *c, uint64_t number, struct table_pin *ret)
{
	return get(c, (struct cache_key){ number, KEY_BLOB }, ret);
}

void table_cache_release(struct table_cache *c, struct table_pin *pin)
{
	if (pin->entry)
		cache_release(c->open, pin->entry);
	*pin = (struct table_pin){ 0 };
}

void table_cache_evict(struct table_cache *c, uint64_t number)
{
	cache_erase(c->open, (struct cache_key){ number, KEY_TABLE });
	cache_erase(c->open, (struct cache_key){ number, KEY_BLOB });
	cache_erase_file(block_cache_cache(c->blocks), number);
	(void)loaded_sequence(c, number, true);
}

static const char *const suffixes[] = {
	[STORE_TABLE] = "sst",
	[STORE_BLOB] = "blob",
	[STORE_MANIFEST] = "manifest",
};

void store_file_path(char buf[STORE_PATH_MAX], const char *dir, enum store_file kind, uint64_t number)
{
	snprintf(buf, STORE_PATH_MAX, "%s/%06" PRIu64 ".%s", dir, number, suffixes[kind]);
}

/* Only the very name that store_file_path() makes is ours: "+1.sst" or "0000000001.sst" belong to somebody else. */
bool store_file_parse(const char *name, enum store_file *ret_kind, uint64_t *ret_number)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		uint64_t number = strtoull(name, NULL, 10);
		char made[64];

		snprintf(made, sizeof(made), "%06" PRIu64 ".%s", number, suffixes[i]);
		if (!strcmp(name, made)) {
			*ret_kind = (enum store_file)i;
			*ret_number = number;
			return true;
		}
	}
	return false;
}
