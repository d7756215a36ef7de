/* SPDX-License-Identifier: MIT */
/* Checking blob segments: each is read once, when the first pointer leads to it, and what it holds is remembered. */
#include <errno.h>
#include <stdlib.h>

#include "lsm/format/blob.h"
#include "lsm/store/check.h"

struct segment_scan {
	struct check *c;
	struct check_segment *s;
};

static int add_value(struct check_segment *s, const struct blob_found *found)
{
	if (s->n == s->capacity) {
		size_t capacity = s->capacity ? s->capacity * 2 : 64;
		struct check_value *p = realloc(s->values, capacity * sizeof(*p));

		if (!p)
			return status_no_memory(capacity * sizeof(*p));
		s->values = p;
		s->capacity = capacity;
	}
	s->values[s->n++] = (struct check_value){ .offset = found->ptr.offset,
						  .size = (uint32_t)found->ptr.value_size,
						  .damaged = found->code };
	return LSM_OK;
}

static int on_blob(void *ctx, const struct blob_found *found)
{
	struct segment_scan *k = ctx;
	uint64_t bytes = found->skipped + (found->is_end ? 0 : blob_record_bytes(found->ptr.value_size));
	int rc = found->is_end ? LSM_OK : add_value(k->s, found);

	return rc ? rc : check_progress(k->c, bytes);
}

/* What is wrong with the file as a whole. */
static int look_at(struct check *c, uint64_t number, struct env_file **ret_file)
{
	char path[STORE_PATH_MAX];
	int rc;

	store_file_path(path, c->dir, STORE_BLOB, number);
	rc = env_open(c->env, path, ENV_OPEN_READ, ret_file);
	return rc || c->skip_headers ? rc : blob_file_check(*ret_file, number);
}

/* If the header is wrong, the values are looked at nevertheless. */
static int scan_segment(struct check *c, struct check_segment *s)
{
	struct segment_scan k = { c, s };
	struct env_file *f = NULL;
	int rc = look_at(c, s->number, &f);

	s->wrong = rc != LSM_OK;
	if (!f)
		return LSM_OK;
	rc = blob_scan(f, s->number, on_blob, &k);
	file_close(f);
	return rc == LSM_IO ? check_settle_file(c, rc) : rc;
}

/* Something durable leads to the segment: now it matters what is wrong with it. */
static int tell_segment(struct check *c, struct check_segment *s)
{
	struct env_file *f = NULL;
	int rc;

	if (!s->wrong || s->told)
		return LSM_OK;
	s->told = true;
	rc = look_at(c, s->number, &f);
	file_close(f);
	return check_settle_file(c, rc);
}

static struct check_segment *find(const struct check *c, uint64_t number)
{
	struct check_segment *s = c->segments[number % CHECK_BUCKETS];

	while (s && s->number != number)
		s = s->next;
	return s;
}

bool check_segment_known(const struct check *c, uint64_t number)
{
	return find(c, number) != NULL;
}

static int segment_of(struct check *c, uint64_t number, struct check_segment **ret)
{
	struct check_segment *s = find(c, number);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return status_no_memory(sizeof(*s));
		s->number = number;
		s->next = c->segments[number % CHECK_BUCKETS];
		c->segments[number % CHECK_BUCKETS] = s;
		*ret = s;
		return scan_segment(c, s);
	}
	*ret = s;
	return LSM_OK;
}

static struct check_value *value_at(const struct check_segment *s, uint64_t offset)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->values[mid].offset < offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n && s->values[low].offset == offset ? &s->values[low] : NULL;
}

/* What exactly is damaged of a value is read again: it is not remembered. */
static int tell_value(const struct check *c, const struct blob_ptr *ptr)
{
	char path[STORE_PATH_MAX];
	struct env_file *f = NULL;
	int rc;

	store_file_path(path, c->dir, STORE_BLOB, ptr->segment);
	rc = env_open(c->env, path, ENV_OPEN_READ, &f);
	if (!rc)
		rc = blob_verify(f, ptr);
	file_close(f);
	return rc;
}

static int value_find(struct check *c, struct check_segment *s, const struct blob_ptr *ptr)
{
	struct check_value *v = value_at(s, ptr->offset);

	if (v)
		v->wanted = true;
	if (v && v->size == ptr->value_size && !v->damaged)
		return LSM_OK;
	return tell_value(c, ptr);
}

int check_value_find(struct check *c, const struct blob_ptr *ptr)
{
	struct check_segment *s = NULL;
	struct env_file *f = NULL;
	int rc = segment_of(c, ptr->segment, &s);

	if (!rc && s->wrong) { /* an open would refuse it, whatever it holds */
		rc = look_at(c, ptr->segment, &f);
		file_close(f);
	}
	return rc ? rc : value_find(c, s, ptr);
}

int check_pointer(struct check *c, struct lsm_slice user_key, struct lsm_slice value, const char *file, uint64_t offset)
{
	struct check_segment *s = NULL;
	struct blob_ptr ptr;
	int rc = blob_ptr_decode(value, file, &ptr);

	if (rc) {
		rc = status_corrupt(file, offset,
				    "what should be a pointer to a large value at byte %llu of %s is none",
				    (unsigned long long)offset, file);
		return check_settle(c, rc, user_key, slice_of(NULL, 0));
	}
	rc = segment_of(c, ptr.segment, &s);
	if (!rc)
		rc = tell_segment(c, s);
	return rc ? rc : check_settle(c, value_find(c, s, &ptr), user_key, slice_of(NULL, 0));
}

static int tell_unwanted(struct check *c, const struct check_segment *s)
{
	char path[STORE_PATH_MAX];
	int rc = LSM_OK;

	store_file_path(path, c->dir, STORE_BLOB, s->number);
	for (size_t i = 0; !rc && i < s->n; i++) {
		const struct check_value *v = &s->values[i];

		if (v->damaged && !v->wanted)
			rc = check_inform(c, path, v->offset,
					  "a value of %u bytes at byte %llu of %s is damaged, but no key refers to it",
					  v->size, (unsigned long long)v->offset, path);
	}
	return rc;
}

int check_segments_done(struct check *c)
{
	int rc = LSM_OK;

	for (unsigned i = 0; i < CHECK_BUCKETS; i++) {
		while (c->segments[i]) {
			struct check_segment *s = c->segments[i];

			if (!rc)
				rc = tell_unwanted(c, s);
			c->segments[i] = s->next;
			free(s->values);
			free(s);
		}
	}
	return rc;
}
