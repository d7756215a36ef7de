/* SPDX-License-Identifier: MIT */
/* Checking the log: the headers of its files, and its records as an open would replay them. */
#include <errno.h>

#include "lsm/format/wal_segment.h"
#include "lsm/store/check.h"

/* ---- headers, which stand there twice ---- */

static bool is_zero(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

/* One copy is enough to use a segment. A kill between the two leaves one of the file's former life: both check. */
static int check_copies(struct check *c, struct env_file *f)
{
	unsigned zeros = 0, wrong = 0;
	uint8_t block[WAL_HEADER_BYTES];
	struct lsm_error e = { 0 };
	int rc = file_read_exact(f, 0, block, sizeof(block));

	for (uint64_t at = 0; !rc && at < WAL_HEADER_BYTES; at += WAL_HEADER_COPY_BYTES) {
		struct wal_segment s = { 0 };

		if (is_zero(block + at, FILE_HEADER_BYTES)) {
			zeros++;
		} else if (wal_header_decode(block + at, f->path, at, &s) == LSM_CORRUPT) {
			wrong++;
			e = *lsm_last_error();
		}
	}
	/* With two wrong, or an unsupported one, the log can't be opened, which is told then. */
	if (rc || wrong != 1)
		return rc;
	if (zeros)
		return check_inform(c, f->path, e.offset, "the making of %s was cut short; nothing is in it", f->path);
	return check_settle_file(c, status_set(LSM_CORRUPT, 0, f->path, e.offset,
					       "one of the two copies of the header of %s is damaged", f->path));
}

static int check_slot(void *ctx, const char *name)
{
	struct check *c = ctx;
	struct env_file *f = NULL;
	uint64_t size = 0;
	unsigned slot;
	char *path;
	int rc;

	if (!wal_slot_parse(name, &slot))
		return LSM_OK;
	path = env_path(c->dir, name);
	if (!path)
		return status_no_memory(strlen(name));
	rc = env_open(c->env, path, ENV_OPEN_READ, &f);
	if (!rc)
		rc = file_size(f, &size);
	if (!rc && size >= WAL_HEADER_BYTES)
		rc = check_copies(c, f);
	file_close(f);
	free(path);
	rc = check_settle_file(c, rc);
	return rc ? rc : check_progress(c, size);
}

/* ---- records ---- */

struct log_check {
	struct check *c;
	int stop; /* what ends the check; a damaged record only ends the log */
	uint64_t last_sequence;
};

static int check_record(struct log_check *l, const struct wal_record *record)
{
	const char *dir = l->c->dir;
	struct batch_reader ops;
	struct batch_op op;
	int more = 0, rc = LSM_OK;

	if (!batch_reader_init(&ops, record->payload))
		more = -1;
	while (!rc && more >= 0 && (more = batch_next(&ops, &op)) > 0) {
		if (op.type != ENTRY_BLOB)
			continue;
		/* An undurable one ends the log, as it should: its value may have been lost with the power. */
		if (record->durable) {
			rc = check_pointer(l->c, op.key, op.value, dir, record->lsn);
		} else {
			struct blob_ptr ptr;

			rc = blob_ptr_decode(op.value, dir, &ptr);
			if (!rc)
				rc = check_value_find(l->c, &ptr);
			if (rc == LSM_CORRUPT || (rc == LSM_IO && lsm_last_error()->sys_errno == ENOENT))
				return LSM_NOT_FOUND;
		}
	}
	if (!rc && more < 0)
		rc = check_settle_file(l->c,
				       status_corrupt(dir, 0, "the log record at LSN %llu of %s checks and is no batch",
						      (unsigned long long)record->lsn, dir));
	return rc;
}

static int on_record(void *ctx, const struct wal_record *record)
{
	struct log_check *l = ctx;
	int rc = check_record(l, record);

	if (rc && rc != LSM_NOT_FOUND)
		l->stop = rc;
	return rc;
}

int check_log(struct check *c)
{
	const struct wal_options o = { .read_only = true };
	struct log_check l = { .c = c };
	struct wal *wal = NULL;
	uint64_t end;
	int rc = c->env->ops->list(c->env, c->dir, check_slot, c);

	if (rc)
		return rc;
	rc = wal_open(c->env, c->dir, &o, &wal);
	if (!rc)
		rc = wal_replay(wal, c->state.first_segment, on_record, &l, &end);
	wal_close(wal, false);
	return l.stop ? l.stop : check_settle_file(c, rc);
}
