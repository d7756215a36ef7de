/* SPDX-License-Identifier: MIT */
/* A log that can't be opened: what can't be read is taken away, so that what is in front of it can be replayed. */
#include <stdio.h>
#include <stdlib.h>

#include "lsm/format/wal_segment.h"
#include "lsm/store/repair.h"

/* ---- the files ---- */

/* A file that was cut off gets its size again, as if the rest had never been written. */
static int extend(struct repair *r, const char *path, uint64_t size)
{
	struct env_file *f = NULL;
	int rc = env_open(r->env, path, ENV_OPEN_WRITE, &f);

	if (!rc)
		rc = f->ops->truncate(f, size);
	if (!rc)
		rc = file_sync(f);
	file_close(f);
	return rc;
}

static int mend_file(struct repair *r, const char *name, unsigned slot)
{
	struct wal_segment *s = NULL;
	uint64_t size = 0, file_bytes = 0;
	char *path = env_path(r->dir, name);
	int rc = path ? repair_keep(r, name, true) : status_no_memory(strlen(name));

	if (!rc) {
		rc = wal_segment_open(r->env, r->dir, slot, true, &s);
		if (!rc) {
			size = s->size;
			file_bytes = s->file_bytes;
			wal_segment_free(s);
			if (file_bytes < size)
				rc = extend(r, path, size);
		} else if (rc == LSM_CORRUPT) {
			rc = env_unlink(r->env, path);
		}
	}
	free(path);
	return rc;
}

struct slots {
	unsigned *list;
	size_t n;
	bool failed;
};

static int on_slot(void *ctx, const char *name)
{
	struct slots *s = ctx;
	unsigned slot, *list;

	if (!wal_slot_parse(name, &slot))
		return LSM_OK;
	list = realloc(s->list, (s->n + 1) * sizeof(*list));
	if (!list)
		return status_no_memory((s->n + 1) * sizeof(*list));
	s->list = list;
	s->list[s->n++] = slot;
	return LSM_OK;
}

int repair_log(struct repair *r)
{
	struct slots slots = { 0 };
	char name[32];
	int rc = r->env->ops->list(r->env, r->dir, on_slot, &slots);

	for (size_t i = 0; !rc && i < slots.n; i++) {
		snprintf(name, sizeof(name), "wal-%04u", slots.list[i]);
		rc = mend_file(r, name, slots.list[i]);
	}
	free(slots.list);
	return rc ? rc : env_sync_dir(r->env, r->dir);
}

/* ---- where it begins ---- */

struct header {
	uint64_t number, previous;
};

static const struct header *find(const struct header *h, size_t n, uint64_t number)
{
	for (size_t i = 0; i < n; i++)
		if (h[i].number == number)
			return &h[i];
	return NULL;
}

/* From the newest segment back, as far as each has the one that it continues. */
static uint64_t chain_begin(const struct header *h, size_t n)
{
	const struct header *at = NULL, *before;

	for (size_t i = 0; i < n; i++)
		if (!at || h[i].number > at->number)
			at = &h[i];
	while (at && at->previous && (before = find(h, n, at->previous)))
		at = before;
	return at ? at->number : 1;
}

int repair_log_begin(struct repair *r, uint64_t *ret_segment)
{
	struct slots slots = { 0 };
	struct header *h = NULL;
	size_t n = 0;
	int rc = r->env->ops->list(r->env, r->dir, on_slot, &slots);

	if (!rc && !(h = calloc(slots.n + 1, sizeof(*h))))
		rc = status_no_memory(slots.n * sizeof(*h));
	for (size_t i = 0; !rc && i < slots.n; i++) {
		struct wal_segment *s = NULL;

		rc = wal_segment_open(r->env, r->dir, slots.list[i], true, &s);
		if (!rc && s->number)
			h[n++] = (struct header){ s->number, s->previous };
		if (s)
			wal_segment_free(s);
		rc = rc == LSM_CORRUPT ? LSM_OK : rc;
	}
	if (!rc)
		*ret_segment = chain_begin(h, n);
	free(h);
	free(slots.list);
	return rc;
}
