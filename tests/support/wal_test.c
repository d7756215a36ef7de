/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <string.h>

#include "tests/support/tmp_dir.h"
#include "tests/support/wal_test.h"

enum { PAYLOAD_MAX = 600 };

char *wal_dir;
uint8_t wal_life;

static uint8_t lives[1 << 16]; /* of each record */

const struct wal_options wal_usual = { .segment_bytes = SEGMENT, .spare_max = 2 };
const struct wal_options wal_looking = { .segment_bytes = SEGMENT, .spare_max = 2, .read_only = true };

int wal_test_setup(void **state)
{
	(void)state;
	wal_dir = tmp_dir_new();
	wal_life = 0;
	memset(lives, 0, sizeof(lives));
	return 0;
}

int wal_test_teardown(void **state)
{
	(void)state;
	tmp_dir_free(wal_dir);
	return 0;
}

size_t record_payload_size(uint64_t i)
{
	return 8 + i * 37 % (PAYLOAD_MAX - 8);
}

uint64_t record_bytes(uint64_t i)
{
	return 16 + (record_payload_size(i) + 7) / 8 * 8;
}

static void payload_fill(uint8_t *p, uint64_t i)
{
	size_t size = record_payload_size(i);

	put_u64(p, i);
	for (size_t at = 8; at < size; at++)
		p[at] = (uint8_t)(i * 7 + at + lives[i]);
}

int record_add(struct wal *w, uint64_t i)
{
	uint8_t payload[PAYLOAD_MAX];
	struct lsm_slice pieces[3];
	size_t size = record_payload_size(i);
	uint64_t before = wal_end_lsn(w), end;
	int rc;

	lives[i] = wal_life;
	payload_fill(payload, i);
	pieces[0] = slice_of(payload, 5);
	pieces[1] = slice_of(NULL, 0);
	pieces[2] = slice_of(payload + 5, size - 5);
	rc = wal_append(w, i, pieces, 3, &end);
	if (!rc) {
		assert_int_equal(end, before + record_bytes(i));
		assert_int_equal(wal_end_lsn(w), end);
	}
	return rc;
}

void records_add(struct wal *w, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		assert_int_equal(record_add(w, i), LSM_OK);
}

static int record_seen(void *ctx, const struct wal_record *r)
{
	struct seen *seen = ctx;
	uint8_t payload[PAYLOAD_MAX];
	uint64_t i = seen->first + seen->n;

	if (seen->absent_at && i == seen->absent_at)
		return LSM_NOT_FOUND;
	payload_fill(payload, i);
	assert_int_equal(r->sequence, i);
	assert_true(slice_equal(r->payload, slice_of(payload, record_payload_size(i))));
	assert_int_equal(r->end_lsn - r->lsn, record_bytes(i));
	assert_true(r->lsn >= seen->lsn && r->segment >= seen->segment);
	seen->segments += r->segment != seen->segment;
	seen->segment = r->segment;
	seen->lsn = r->end_lsn;
	if (r->durable)
		assert_int_equal(seen->durable, seen->n);
	seen->durable += r->durable;
	seen->n++;
	return LSM_OK;
}

int log_look(uint64_t first_segment, struct seen *seen)
{
	struct wal *w;
	uint64_t end;
	int rc = wal_open(env_posix(), wal_dir, &wal_looking, &w);

	seen->n = seen->lsn = seen->durable = seen->segments = seen->segment = 0;
	if (rc)
		return rc;
	rc = wal_replay(w, first_segment, record_seen, seen, &end);
	if (!rc)
		assert_true(end >= seen->lsn);
	wal_close(w, true);
	return rc;
}

void look_expect(uint64_t first_segment, uint64_t first, uint64_t n)
{
	struct seen seen = { .first = first };

	assert_int_equal(log_look(first_segment, &seen), LSM_OK);
	assert_int_equal(seen.n, n);
}

struct wal *log_open_env(struct env *env, uint64_t first_segment, struct seen *seen)
{
	struct wal *w;
	uint64_t end;

	assert_int_equal(wal_open(env, wal_dir, &wal_usual, &w), LSM_OK);
	assert_int_equal(wal_replay(w, first_segment, record_seen, seen, &end), LSM_OK);
	assert_int_equal(wal_start(w, first_segment), LSM_OK);
	assert_int_equal(wal_end_lsn(w), end);
	return w;
}

struct wal *log_open(uint64_t n)
{
	struct seen seen = { 0 };
	struct wal *w = log_open_env(env_posix(), 1, &seen);

	assert_int_equal(seen.n, n);
	return w;
}

void log_make(uint64_t n)
{
	struct wal *w = log_open(0);

	records_add(w, 0, n);
	wal_close(w, false);
}

void marked_log_make(uint64_t n, uint64_t marked)
{
	struct wal *w = log_open(0);
	uint64_t lsn;

	records_add(w, 0, marked);
	lsn = wal_end_lsn(w);
	records_add(w, marked, n);
	assert_int_equal(wal_sync(w, lsn), LSM_OK);
	assert_int_equal(wal_mark(w, lsn), LSM_OK);
	assert_int_equal(wal_mark(w, lsn), LSM_OK);
	assert_int_equal(wal_end_lsn(w) - lsn, n > marked ? wal_end_lsn(w) - lsn : 24);
	wal_close(w, false);
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

void files_load(struct files *f, const char *from)
{
	DIR *d = opendir(from);
	struct dirent *e;

	f->n = 0;
	while ((e = readdir(d)))
		if (*e->d_name != '.') {
			assert_true(f->n < 128);
			snprintf(f->name[f->n++], 16, "%.15s", e->d_name);
		}
	closedir(d);
	qsort(f->name, (size_t)f->n, 16, name_compare);
	for (int i = 0; i < f->n; i++)
		f->data[i] = tmp_file_load(tmp_path(from, f->name[i]), &f->size[i]);
}

void files_store(const struct files *f)
{
	tmp_dir_clear(wal_dir);
	for (int i = 0; i < f->n; i++)
		tmp_file_store(tmp_path(wal_dir, f->name[i]), f->data[i], f->size[i]);
}

void files_free(struct files *f)
{
	for (int i = 0; i < f->n; i++)
		free(f->data[i]);
	f->n = 0;
}

bool files_equal(const struct files *a, const struct files *b)
{
	bool equal = a->n == b->n;

	for (int i = 0; equal && i < a->n; i++)
		equal = !strcmp(a->name[i], b->name[i]) && a->size[i] == b->size[i] &&
			!memcmp(a->data[i], b->data[i], a->size[i]);
	return equal;
}

const char *record_place(uint64_t i, uint64_t *ret_offset)
{
	static char name[16];
	uint64_t at = HEADER;
	unsigned slot = 0;

	for (uint64_t j = 0;; j++) {
		if (at + record_bytes(j) > SEGMENT) {
			slot++;
			at = HEADER;
		}
		if (j == i)
			break;
		at += record_bytes(j);
	}
	snprintf(name, sizeof(name), "wal-%04u", slot);
	*ret_offset = at;
	return name;
}

void bytes_set(const char *name, uint64_t offset, uint8_t value, size_t n)
{
	size_t size;
	uint8_t *data = tmp_file_load(tmp_path(wal_dir, name), &size);

	assert_true(offset + n <= size);
	memset(data + offset, value, n);
	tmp_file_store(tmp_path(wal_dir, name), data, size);
	free(data);
}
