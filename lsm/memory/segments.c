/* SPDX-License-Identifier: MIT */
#include "lsm/memory/segments.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256 };

struct segments {
	struct env *env;
	char *dir;
	struct table_cache *tables;
	bool read_only;
	atomic_bool delete_dead; /* files go with the last hold on them */
	_Atomic uint64_t written_bytes;
	struct mutex lock;      /* a leaf: nothing is called under it */
	struct mutex sync_lock; /* held over a sync, so that nobody takes one that is under way for done */
	_Atomic uint64_t named; /* files made */
	uint64_t named_synced;  /* of these, so many have durable names; sync_lock */
	struct blob_segment *buckets[BUCKETS];
};

int segments_new(struct env *env, const char *dir, struct table_cache *tables, bool read_only, struct segments **ret)
{
	struct segments *s = calloc(1, sizeof(*s));

	if (!s || !(s->dir = strdup(dir))) {
		free(s);
		return status_no_memory(sizeof(*s));
	}
	s->env = env;
	s->tables = tables;
	s->read_only = read_only;
	mutex_init(&s->lock);
	mutex_init(&s->sync_lock);
	*ret = s;
	return LSM_OK;
}

void segments_delete_dead(struct segments *s, bool on)
{
	atomic_store(&s->delete_dead, on && !s->read_only);
}

void segments_free(struct segments *s)
{
	if (!s)
		return;
	for (int i = 0; i < BUCKETS; i++)
		assert(!s->buckets[i]);
	mutex_done(&s->sync_lock);
	mutex_done(&s->lock);
	free(s->dir);
	free(s);
}

static struct blob_segment **find(struct segments *s, uint64_t number)
{
	struct blob_segment **p = &s->buckets[number % BUCKETS];

	while (*p && (*p)->number != number)
		p = &(*p)->next;
	return p;
}

static struct blob_segment *insert(struct segments *s, uint64_t number)
{
	struct blob_segment *seg = calloc(1, sizeof(*seg));
	struct blob_segment **p = &s->buckets[number % BUCKETS];

	if (!seg)
		return NULL;
	seg->owner = s;
	seg->number = number;
	seg->refs = 1;
	seg->next = *p;
	*p = seg;
	return seg;
}

static int stored_size(struct segments *s, uint64_t number, uint64_t *ret)
{
	struct table_pin pin = { 0 };
	int rc = table_cache_get_blob(s->tables, number, &pin);

	if (!rc)
		rc = pin.blob->ops->size(pin.blob, ret);
	table_cache_release(s->tables, &pin);
	return rc;
}

int segment_get(struct segments *s, uint64_t number, struct blob_segment **ret)
{
	struct blob_segment *seg;
	uint64_t bytes;
	int rc;

	mutex_lock(&s->lock);
	seg = *find(s, number);
	if (seg)
		seg->refs++;
	mutex_unlock(&s->lock);
	if (seg) {
		*ret = seg;
		return LSM_OK;
	}
	rc = stored_size(s, number, &bytes);
	if (rc)
		return rc;
	mutex_lock(&s->lock);
	seg = *find(s, number);
	if (seg) {
		seg->refs++;
	} else {
		seg = insert(s, number);
		if (seg) {
			atomic_store(&seg->file_bytes, bytes);
			atomic_store(&seg->sealed, true);
			/* Found on disk, perhaps written just before a kill: synced when somebody needs to be sure. */
			atomic_store(&seg->durable, s->read_only);
		}
	}
	mutex_unlock(&s->lock);
	if (!seg)
		return status_no_memory(sizeof(*seg));
	*ret = seg;
	return LSM_OK;
}

void segment_hold(struct blob_segment *seg)
{
	mutex_lock(&seg->owner->lock);
	seg->refs++;
	mutex_unlock(&seg->owner->lock);
}

static void destroy(struct segments *s, struct blob_segment *seg)
{
	char path[STORE_PATH_MAX];

	blob_writer_close(seg->writer);
	if (atomic_load(&s->delete_dead)) {
		table_cache_evict(s->tables, seg->number);
		store_file_path(path, s->dir, STORE_BLOB, seg->number);
		env_discard(s->env, path); /* else the next open does it */
	}
	free(seg);
}

void segment_release(struct blob_segment *seg)
{
	struct segments *s;
	struct blob_segment **p;
	bool last;

	if (!seg)
		return;
	s = seg->owner;
	mutex_lock(&s->lock);
	last = --seg->refs == 0;
	if (last) {
		p = find(s, seg->number);
		*p = seg->next;
	}
	mutex_unlock(&s->lock);
	if (last)
		destroy(s, seg);
}

int segment_create(struct segments *s, uint64_t number, struct blob_segment **ret)
{
	char path[STORE_PATH_MAX];
	struct blob_writer *w = NULL;
	struct blob_segment *seg;
	int rc;

	store_file_path(path, s->dir, STORE_BLOB, number);
	rc = blob_writer_open(s->env, path, number, &w);
	if (rc)
		goto fail;
	mutex_lock(&s->lock);
	assert(!*find(s, number));
	seg = insert(s, number);
	if (seg) {
		seg->writer = w;
		seg->named = atomic_fetch_add(&s->named, 1) + 1;
		atomic_store(&seg->file_bytes, blob_writer_bytes(w));
	}
	mutex_unlock(&s->lock);
	if (!seg) {
		rc = status_no_memory(sizeof(*seg));
		goto fail;
	}
	*ret = seg;
	return LSM_OK;
fail:
	blob_writer_close(w);
	env_discard(s->env, path);
	return rc;
}

int segment_add(struct blob_segment *seg, struct lsm_slice value, struct blob_ptr *ret)
{
	uint64_t before = blob_writer_bytes(seg->writer), after;
	int rc;

	assert(!atomic_load(&seg->sealed));
	rc = blob_writer_add(seg->writer, value, ret);
	/* Behind the write: a sync that began before it has not covered it. */
	atomic_store(&seg->durable, false);
	after = blob_writer_bytes(seg->writer);
	atomic_store(&seg->file_bytes, after);
	atomic_fetch_add(&seg->owner->written_bytes, after - before);
	return rc;
}

/* One sync of the directory is for all the files that were made before it. sync_lock. */
static int sync_name(struct segments *s, const struct blob_segment *seg)
{
	uint64_t named = atomic_load(&s->named);
	int rc;

	if (seg->named <= s->named_synced)
		return LSM_OK;
	rc = env_sync_dir(s->env, s->dir);
	if (!rc)
		s->named_synced = named;
	return rc;
}

int segment_sync(struct blob_segment *seg)
{
	struct segments *s = seg->owner;
	struct table_pin pin = { 0 };
	int rc = LSM_OK;

	mutex_lock(&s->sync_lock);
	if (seg->sync_failed.code) {
		/* The kernel may have dropped the pages and call them clean: a second try would lie. */
		rc = status_adopt(&seg->sync_failed);
	}
	/* The mark is set before the sync: a value that is added meanwhile takes it away again. */
	if (!rc && !atomic_exchange(&seg->durable, true)) {
		/* Syncing any descriptor syncs the file; the table cache's can't be closed meanwhile. */
		rc = table_cache_get_blob(s->tables, seg->number, &pin);
		if (!rc && file_sync(pin.blob)) {
			seg->sync_failed = *lsm_last_error();
			rc = seg->sync_failed.code;
		}
		if (!rc)
			rc = sync_name(s, seg);
		table_cache_release(s->tables, &pin);
		if (rc)
			atomic_store(&seg->durable, false);
	}
	mutex_unlock(&s->sync_lock);
	return rc;
}

void segment_seal(struct blob_segment *seg)
{
	struct blob_writer *w;

	mutex_lock(&seg->owner->lock);
	w = seg->writer;
	seg->writer = NULL;
	mutex_unlock(&seg->owner->lock);
	blob_writer_close(w);
	atomic_store(&seg->sealed, true);
}

int segment_read(struct segments *s, const struct blob_ptr *ptr, uint64_t offset, void *buf, size_t size)
{
	struct table_pin pin = { 0 };
	int rc = table_cache_get_blob(s->tables, ptr->segment, &pin);

	if (!rc)
		rc = blob_read(pin.blob, ptr, offset, buf, size);
	table_cache_release(s->tables, &pin);
	return rc;
}

/* The file is opened anew, too, since its header is looked at then. */
int segment_read_anew(struct segments *s, uint64_t number)
{
	struct table_pin pin = { 0 };
	int rc = table_cache_get_blob(s->tables, number, &pin);

	if (!rc)
		pin.blob->ops->drop_cache(pin.blob);
	table_cache_release(s->tables, &pin);
	table_cache_evict(s->tables, number);
	return rc;
}

int segment_verify(struct segments *s, const struct blob_ptr *ptr)
{
	struct table_pin pin = { 0 };
	int rc = table_cache_get_blob(s->tables, ptr->segment, &pin);

	if (!rc)
		rc = blob_verify(pin.blob, ptr);
	table_cache_release(s->tables, &pin);
	return rc;
}

void segments_get_stats(struct segments *s, struct segments_stats *ret)
{
	*ret = (struct segments_stats){ .written_bytes = atomic_load(&s->written_bytes) };
	mutex_lock(&s->lock);
	for (int i = 0; i < BUCKETS; i++) {
		for (struct blob_segment *seg = s->buckets[i]; seg; seg = seg->next) {
			uint64_t file = atomic_load(&seg->file_bytes), live = atomic_load(&seg->live_bytes);

			ret->count++;
			ret->file_bytes += file;
			ret->live_bytes += live;
			if (live && live < file && atomic_load(&seg->sealed) && !seg->damaged)
				ret->garbage_bytes += file - live;
		}
	}
	mutex_unlock(&s->lock);
}

void segments_each_sealed(struct segments *s,
			  void (*fn)(void *ctx, uint64_t number, uint64_t file_bytes, uint64_t live_bytes), void *ctx)
{
	mutex_lock(&s->lock);
	for (int i = 0; i < BUCKETS; i++) {
		for (struct blob_segment *seg = s->buckets[i]; seg; seg = seg->next) {
			if (atomic_load(&seg->sealed) && !seg->damaged)
				fn(ctx, seg->number, atomic_load(&seg->file_bytes), atomic_load(&seg->live_bytes));
		}
	}
	mutex_unlock(&s->lock);
}

void segments_mark_damaged(struct segments *s, uint64_t number)
{
	struct blob_segment *seg;

	mutex_lock(&s->lock);
	seg = *find(s, number);
	if (seg)
		seg->damaged = true;
	mutex_unlock(&s->lock);
}

bool segments_holds(struct segments *s, uint64_t number)
{
	bool held;

	mutex_lock(&s->lock);
	held = *find(s, number) != NULL;
	mutex_unlock(&s->lock);
	return held;
}
