/* SPDX-License-Identifier: MIT */
#include "lsm/store/event.h"

#include <stdarg.h>
#include <stdio.h>

#include "lsm/memory/text.h"
#include "lsm/store/options.h"
#include "lsm/tree/text.h"

void db_log(struct lsm_db *db, const char *format, ...)
{
	char line[2048];
	va_list args;

	if (!db->options.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	db->options.log(db->options.log_ctx, line);
}

void event_send(struct lsm_db *db, struct buf *line)
{
	char *text = text_finish(line);

	/* A line for which there is no memory is left out. */
	if (text && event_wanted(db))
		db->options.log(db->options.log_ctx, text);
	free(text);
}

static double seconds_since(struct lsm_db *db, uint64_t start_ns)
{
	return (double)(env_now_ns(db->env) - start_ns) / 1e9;
}

/* ---- open and close ---- */

/* " level_ratio=8": each option that isn't what it would be by default. */
static void unusual_options(const struct lsm_db *db, struct buf *ret)
{
	struct lsm_options usual = { 0 };
	const struct option *o;

	if (options_resolve(NULL, NULL, &usual))
		return;
	for (size_t i = 0; (o = option_at(i)); i++) {
		bool same = true;

		for (unsigned k = 0; k < option_elements(o); k++)
			same &= option_get(o, &usual, k) == option_get(o, &db->options, k);
		if (same)
			continue;
		text_add(ret, " %s=", o->name);
		option_to_text(o, &db->options, ret);
	}
}

void event_open(struct lsm_db *db)
{
	struct superversion *sv;
	struct buf line = { 0 };

	if (!event_wanted(db))
		return;
	sv = superversion_get(db);
	text_add(&line, "open store=\"%s\" version=%s sequence=%llu new=%d read_only=%d", db->dir, lsm_version(),
		 (unsigned long long)counted(db->last_sequence), db->is_new, db->read_only);
	unusual_options(db, &line);
	text_add(&line, " tables=\"");
	version_to_text(sv->version, &line);
	text_add(&line, "\"");
	superversion_unref(sv);
	event_send(db, &line);
}

void event_close(struct lsm_db *db, int rc)
{
	struct buf line = { 0 };

	text_add(&line, "close store=\"%s\" sequence=%llu writes=%llu flushes=%llu compactions=%llu result=\"%s\"",
		 db->dir, (unsigned long long)counted(db->last_sequence), (unsigned long long)counted(db->writes),
		 (unsigned long long)counted(db->flushes), (unsigned long long)counted(db->compactions),
		 lsm_strerror(rc));
	event_send(db, &line);
}

/* ---- jobs ---- */

void flush_reason_note(struct lsm_db *db, bool idle)
{
	enum flush_reason reason = FLUSH_ASKED;

	if (idle)
		reason = FLUSH_IDLE;
	else if (memtable_bytes(db->mem) >= db->options.memtable_bytes)
		reason = FLUSH_FULL;
	else if (db->ending)
		reason = FLUSH_CLOSE;
	else if (db->mem_large_bytes >= db->options.memtable_bytes)
		reason = FLUSH_LARGE_VALUES;
	for (unsigned i = MEMTABLES_MAX - 1; i > 0; i--)
		db->switched[i] = db->switched[i - 1];
	db->switched[0].first_segment = memtable_first_segment(db->mem);
	db->switched[0].reason = reason;
}

static const char *flush_reason(struct lsm_db *db, const struct memtable *m)
{
	static const char *const names[] = { "recovery", "full", "large_values", "idle", "asked", "close" };
	unsigned reason = FLUSH_RECOVERY;

	mutex_lock(&db->lock);
	for (unsigned i = 0; i < MEMTABLES_MAX; i++) {
		if (db->switched[i].first_segment == memtable_first_segment(m))
			reason = db->switched[i].reason;
	}
	mutex_unlock(&db->lock);
	return names[reason];
}

void event_flush(struct lsm_db *db, struct memtable *m, const struct build_output *out)
{
	struct buf line = { 0 };

	if (!event_wanted(db))
		return;
	text_add(&line, "flush reason=%s ", flush_reason(db, m));
	memtable_to_text(m, &line);
	text_add(&line, " tables=%zu bytes=%llu seconds=%.3f", out->n, (unsigned long long)out->written_bytes,
		 seconds_since(db, db->flush_start_ns));
	event_send(db, &line);
}

void event_job(struct lsm_db *db, const struct job *j, const struct build_output *out, uint64_t start_ns)
{
	struct buf line = { 0 };
	char text[256];

	if (!event_wanted(db))
		return;
	job_to_text(j, text, sizeof(text));
	text_add(&line, "%s", text);
	if (!j->move)
		text_add(&line, " tables_out=%zu bytes_out=%llu entries_dropped=%llu", out->n,
			 (unsigned long long)out->written_bytes,
			 (unsigned long long)(out->entries_in - out->entries_out));
	text_add(&line, " seconds=%.3f", seconds_since(db, start_ns));
	event_send(db, &line);
}

void event_drop(struct lsm_db *db, struct table_meta *const *tables, size_t n)
{
	struct buf line = { 0 };
	uint64_t bytes = 0;

	if (!event_wanted(db))
		return;
	for (size_t i = 0; i < n; i++)
		bytes += tables[i]->props.file_bytes;
	text_add(&line, "drop reason=range_delete tables=%zu bytes=%llu", n, (unsigned long long)bytes);
	event_send(db, &line);
}

void event_failure(struct lsm_db *db, const char *what)
{
	const struct lsm_error *e = lsm_last_error();

	db_log(db, "error code=%d in=\"%s\" message=\"%s\"", e->code, what, e->message);
}

/* ---- what happened under locks ---- */

/* Writes are slowed down while compactions are behind: told when that begins, and what it cost when it ends. */
static void tell_debt(struct lsm_db *db, struct told *told)
{
	uint64_t ps = counted(db->delay_ps_per_byte);
	struct buf line = { 0 };

	if ((ps != 0) == told->debt)
		return;
	told->debt = ps != 0;
	if (told->debt) {
		told->debt_since_us = env_now_us(db->env);
		told->delays = counted(db->delays);
		told->delay_us = counted(db->delay_us);
		text_add(&line, "stall_begin reason=compaction_behind delay_us_per_mib=%llu",
			 (unsigned long long)(ps * (1 << 20) / 1000000));
	} else {
		text_add(&line,
			 "stall_end reason=compaction_behind writes_delayed=%llu delayed_seconds=%.3f seconds=%.3f",
			 (unsigned long long)(counted(db->delays) - told->delays),
			 (double)(counted(db->delay_us) - told->delay_us) / 1e6,
			 (double)(env_now_us(db->env) - told->debt_since_us) / 1e6);
	}
	event_send(db, &line);
}

/* A writer that waits, or slows down, for the flush is told of when it goes on: until then, the thread that tells is busy flushing. */
static void tell_room(struct lsm_db *db, struct told *told)
{
	uint64_t waits = counted(db->room_waits), us = counted(db->room_wait_us);
	struct buf line = { 0 };

	if (waits == told->room_waits)
		return;
	text_add(&line, "stall reason=memtables_waiting waits=%llu seconds=%.3f",
		 (unsigned long long)(waits - told->room_waits), (double)(us - told->room_wait_us) / 1e6);
	told->room_waits = waits;
	told->room_wait_us = us;
	event_send(db, &line);
}

static void tell_manifest(struct lsm_db *db, struct told *told)
{
	uint64_t number = counted(db->manifest_begun);
	struct buf line = { 0 };

	if (number == told->manifest)
		return;
	told->manifest = number;
	text_add(&line, "manifest number=%llu", (unsigned long long)number);
	event_send(db, &line);
}

void events_tell(struct lsm_db *db, struct told *told)
{
	tell_debt(db, told);
	tell_room(db, told);
	tell_manifest(db, told);
	if (told->failed || !atomic_load(&db->failed))
		return;
	db_log(db, "error code=%d in=\"store\" message=\"the store is read-only from now on: %s\"", db->failure.code,
	       db->failure.message);
	told->failed = true;
}
