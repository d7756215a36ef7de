/* SPDX-License-Identifier: MIT */
#include "lsm/format/wal_segment.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#include "lsm/base/text.h"

static const char magic[] = "LSMWAL\r\n";

enum { OWN_START_LSN, OWN_SIZE, OWN_PREVIOUS };

/* ---------------------------------------------------------------------------------------------------------------
 * Records
 */

bool wal_record_parse(const uint8_t *p, uint64_t left, uint64_t seed, struct wal_parsed *ret)
{
	uint64_t trailer, bytes;
	uint32_t size;
	uint8_t type;

	if (left < WAL_RECORD_HEADER_BYTES)
		return false;
	size = get_u32(p + 4);
	trailer = get_u64(p + 8);
	type = (uint8_t)trailer;
	bytes = wal_record_bytes(size);
	if (bytes > left || (type != WAL_RECORD_BATCH && (type != WAL_RECORD_MARK || size != 8)))
		return false;
	if (get_u32(p) != checksum32(p + 4, WAL_RECORD_HEADER_BYTES - 4 + (size_t)size, seed))
		return false;
	ret->type = type;
	ret->sequence = trailer >> 8;
	ret->payload = slice_of(p + WAL_RECORD_HEADER_BYTES, size);
	ret->bytes = bytes;
	return true;
}

void wal_record_write(uint8_t *p, uint64_t seed, uint64_t trailer, const struct lsm_slice *pieces, int n,
		      uint32_t payload_size)
{
	uint8_t *at = p + WAL_RECORD_HEADER_BYTES;
	uint32_t checksum;

	for (int i = 0; i < n; i++) {
		if (pieces[i].size)
			memcpy(at, pieces[i].data, pieces[i].size);
		at += pieces[i].size;
	}
	memset(at, 0, (size_t)-payload_size & 7);
	put_u32(p + 4, payload_size);
	put_u64(p + 8, trailer);
	put_u32(&checksum, checksum32(p + 4, WAL_RECORD_HEADER_BYTES - 4 + (size_t)payload_size, seed));
	/* Last: whoever dies on the way here leaves a record that doesn't check. */
	__atomic_store_n((uint32_t *)(void *)p, checksum, __ATOMIC_RELEASE);
}

uint64_t wal_marks_scan(const uint8_t *p, uint64_t from, uint64_t end, const struct wal_segment *s)
{
	uint64_t durable = 0;

	for (uint64_t at = from; end - at >= WAL_MARK_BYTES; at += 8, p += 8) {
		uint64_t lsn = s->start_lsn + (at - WAL_HEADER_BYTES), marked;
		struct wal_parsed r;

		if (p[8] != WAL_RECORD_MARK || get_u32(p + 4) != 8)
			continue;
		if (!wal_record_parse(p, WAL_MARK_BYTES, place_seed(s->number, at), &r))
			continue;
		marked = get_u64(r.payload.data);
		if (marked <= lsn && marked > durable)
			durable = marked;
	}
	return durable;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Files
 */

enum { SLOT_NAME_BYTES = 24 };

static char *slot_path(const char *dir, unsigned slot)
{
	char name[SLOT_NAME_BYTES];

	snprintf(name, sizeof(name), "wal-%04u", slot);
	return env_path(dir, name);
}

bool wal_slot_parse(const char *name, unsigned *ret_slot)
{
	char again[SLOT_NAME_BYTES];
	unsigned slot;

	if (sscanf(name, "wal-%9u", &slot) != 1)
		return false;
	snprintf(again, sizeof(again), "wal-%04u", slot);
	if (strcmp(name, again))
		return false;
	*ret_slot = slot;
	return true;
}

static int slot_open(struct env *env, const char *dir, unsigned slot, enum env_open_mode mode,
		     struct env_file **ret_file)
{
	char *path = slot_path(dir, slot);
	int rc;

	if (!path)
		return status_no_memory(strlen(dir) + SLOT_NAME_BYTES);
	rc = env_open(env, path, mode, ret_file);
	free(path);
	return rc;
}

static bool all_zero(const uint8_t *p, size_t size)
{
	while (size && !*p) {
		p++;
		size--;
	}
	return !size;
}

static int header_values_check(const char *path, uint64_t offset, const struct file_header *h)
{
	if (!h->number || h->own[OWN_PREVIOUS] >= h->number || h->own[OWN_SIZE] < WAL_HEADER_BYTES ||
	    h->own[OWN_SIZE] > WAL_SEGMENT_BYTES_MAX || h->own[OWN_SIZE] % 8)
		return status_corrupt(path, offset, "the header of %s has values out of range", path);
	return LSM_OK;
}

int wal_header_decode(const uint8_t *p, const char *path, uint64_t offset, struct wal_segment *ret)
{
	struct file_header h;
	int rc = file_header_decode(p, magic, path, offset, &h);

	if (!rc)
		rc = header_values_check(path, offset, &h);
	if (rc)
		return rc;
	ret->number = h.number;
	ret->start_lsn = ret->end_lsn = h.own[OWN_START_LSN];
	ret->size = h.own[OWN_SIZE];
	ret->previous = h.own[OWN_PREVIOUS];
	return LSM_OK;
}

void wal_segment_to_text(const struct wal_segment *s, struct buf *ret)
{
	text_add(ret, "segment %llu: from LSN %llu, %llu bytes", (unsigned long long)s->number,
		 (unsigned long long)s->start_lsn, (unsigned long long)s->size);
	if (s->previous)
		text_add(ret, ", continues segment %llu", (unsigned long long)s->previous);
}

/*
 * Finds the header in its two copies. A kill or a power cut while they are rewritten leaves one of the segment's former
 * life beside one of the new: the higher number is the newer.
 */
static int header_choose(struct wal_segment *s, const uint8_t *block)
{
	const char *path = s->file->path;
	bool zero = false;
	int failed = LSM_OK;

	for (uint64_t at = 0; at < WAL_HEADER_BYTES; at += WAL_HEADER_COPY_BYTES) {
		struct wal_segment h = { 0 };
		int rc;

		if (all_zero(block + at, FILE_HEADER_BYTES)) {
			zero = true;
			continue;
		}
		rc = wal_header_decode(block + at, path, at, &h);
		if (rc == LSM_UNSUPPORTED)
			return rc;
		if (rc)
			failed = rc;
		else if (h.number > s->number)
			(void)wal_header_decode(block + at, path, at, s);
	}
	return s->number || zero ? LSM_OK : failed;
}

/*
 * A file without a whole header block is one whose making was cut short: then it has nothing but zeros, since a header is
 * written when the file has its size. One that was cut off later is no crash's doing.
 */
static int short_file_check(struct wal_segment *s, const uint8_t *bytes)
{
	if (all_zero(bytes, s->file_bytes))
		return LSM_OK;
	return status_corrupt(s->file->path, s->file_bytes,
			      "%s has %llu bytes, too few for a log segment, and they are not 0", s->file->path,
			      (unsigned long long)s->file_bytes);
}

static int header_read(struct wal_segment *s)
{
	uint8_t block[WAL_HEADER_BYTES];
	size_t got = 0;
	int rc;

	rc = file_size(s->file, &s->file_bytes);
	if (!rc)
		rc = file_read(s->file, 0, block, sizeof(block), &got);
	if (rc)
		return rc;
	if (got < s->file_bytes && got < sizeof(block))
		s->file_bytes = got; /* it has just been cut */
	return s->file_bytes < sizeof(block) ? short_file_check(s, block) : header_choose(s, block);
}

int wal_segment_open(struct env *env, const char *dir, unsigned slot, bool read_only, struct wal_segment **ret)
{
	struct wal_segment *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return status_no_memory(sizeof(*s));
	s->state = WAL_SEGMENT_FOUND;
	s->slot = slot;
	rc = slot_open(env, dir, slot, read_only ? ENV_OPEN_READ : ENV_OPEN_WRITE, &s->file);
	if (!rc) {
		/*
		 * After a sync that failed, the kernel calls pages clean that are not on the disk. To the process that comes
		 * next they would read as if all were well, and its syncs would not write them.
		 */
		s->file->ops->drop_cache(s->file);
		rc = header_read(s);
	}
	if (rc) {
		wal_segment_free(s);
		return rc;
	}
	if (!s->number)
		s->size = s->file_bytes;
	*ret = s;
	return LSM_OK;
}

int wal_segment_map(struct wal_segment *s)
{
	void *base;
	int rc;

	if (s->base)
		return LSM_OK;
	rc = s->file->ops->map(s->file, s->size, &base);
	if (!rc)
		s->base = base;
	return rc;
}

int wal_segment_create(struct env *env, const char *dir, struct wal_segment *s, bool durable)
{
	int rc;

	rc = slot_open(env, dir, s->slot, ENV_OPEN_CREATE, &s->file);
	if (rc)
		return rc;
	rc = s->file->ops->fill(s->file, s->size, durable);
	if (!rc)
		rc = env_sync_dir(env, dir);
	if (!rc)
		rc = wal_segment_map(s);
	if (rc) {
		struct lsm_error error = *lsm_last_error();

		(void)wal_segment_remove(env, dir, s);
		return status_adopt(&error);
	}
	return LSM_OK;
}

void wal_segment_begin(struct wal_segment *s, uint64_t number, uint64_t start_lsn, uint64_t previous)
{
	struct file_header h = { .number = number };
	uint8_t bytes[FILE_HEADER_BYTES];

	assert(s->base && number > s->number && number > previous);
	h.own[OWN_START_LSN] = start_lsn;
	h.own[OWN_SIZE] = s->size;
	h.own[OWN_PREVIOUS] = previous;
	file_header_encode(bytes, magic, &h);
	memcpy(s->base, bytes, sizeof(bytes));
	/* A kill between finds one copy whole. */
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(s->base + WAL_HEADER_COPY_BYTES, bytes, sizeof(bytes));
	s->number = number;
	s->start_lsn = s->end_lsn = start_lsn;
	s->previous = previous;
	s->begun_durably = false;
}

int wal_segment_remove(struct env *env, const char *dir, struct wal_segment *s)
{
	char *path = slot_path(dir, s->slot);
	int rc;

	file_close(s->file);
	s->file = NULL;
	s->base = NULL;
	if (!path)
		return status_no_memory(strlen(dir) + SLOT_NAME_BYTES);
	rc = env_unlink(env, path);
	free(path);
	return rc;
}

void wal_segment_free(struct wal_segment *s)
{
	file_close(s->file);
	free(s);
}
