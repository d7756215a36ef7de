/* SPDX-License-Identifier: MIT */
#include "lsm/store/text.h"

/* How full a level is, by what it may hold. */
static double level_score(const struct lsm_db *db, const struct version *v, unsigned level)
{
	struct shape shape;

	shape_of(v, &db->picker, &shape);
	if (level + 1 == LSM_LEVELS || (level && !v->levels[level].bytes))
		return 0;
	if (!level)
		return (double)v->levels[0].n / db->picker.l0_tables;
	return (double)v->levels[level].bytes / (double)(shape.targets[level] + 1);
}

static void add_gauges(struct lsm_db *db, struct lsm_stats *s)
{
	struct superversion *sv = superversion_get(db);
	struct segments_stats segments;
	struct cache_stats cache;
	struct wal_stats wal;

	s->memtables = 1 + sv->imm_n;
	s->memtable_bytes = memtable_bytes(sv->mem);
	for (unsigned i = 0; i < sv->imm_n; i++)
		s->memtable_bytes += memtable_bytes(sv->imm[i]);
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		s->levels[l] = (struct lsm_level_stats){
			.tables = sv->version->levels[l].n,
			.bytes = sv->version->levels[l].bytes,
			.compact_read_bytes = counted(db->level_read[l]),
			.compact_written_bytes = counted(db->level_written[l]),
			.score = level_score(db, sv->version, l),
		};
		s->disk_bytes += s->levels[l].bytes;
	}
	superversion_unref(sv);
	segments_get_stats(db->segments, &segments);
	s->blob_segments = segments.count;
	s->blob_bytes = segments.file_bytes;
	s->blob_live_bytes = segments.live_bytes;
	s->blob_garbage_bytes = segments.garbage_bytes;
	s->blob_bytes_written = segments.written_bytes;
	cache_get_stats(block_cache_cache(db->blocks), &cache);
	s->block_cache_hits = cache.hits;
	s->block_cache_misses = cache.misses;
	s->memory_bytes = cache.bytes;
	s->memory_budget_bytes = cache.capacity;
	wal_get_stats(db->wal, &wal);
	s->log_segments = wal.live_segments;
	s->log_bytes = wal.appended_bytes;
	s->disk_bytes += segments.file_bytes + wal.file_bytes;
}

void read_totals(const struct lsm_db *db, uint64_t *ret_seeks, uint64_t *ret_gets)
{
	uint64_t seeks = 0, gets = 0;

	for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
		seeks += counted(db->reads[i].seeks);
		gets += counted(db->reads[i].gets);
	}
	*ret_seeks = seeks;
	*ret_gets = gets;
}

void lsm_get_stats(struct lsm_db *db, struct lsm_stats *ret)
{
	struct lsm_stats s = {
		.writes = counted(db->writes),
		.operations = counted(db->operations),
		.user_bytes = counted(db->user_bytes),
		.loads = counted(db->loads),
		.load_bytes_written = counted(db->load_bytes_written),
		.flush_bytes_written = counted(db->flush_bytes_written),
		.compact_bytes_read = counted(db->compact_bytes_read),
		.compact_bytes_written = counted(db->compact_bytes_written),
		.syncs_asked = counted(db->syncs_asked),
		.syncs_done = counted(db->syncs_done),
		.flushes = counted(db->flushes),
		.compactions = counted(db->compactions),
		.trivial_moves = counted(db->trivial_moves),
		.tables_dropped = counted(db->tables_dropped),
		.delays = counted(db->delays),
		.delay_us = counted(db->delay_us),
		.delay_us_max = counted(db->delay_us_max),
		.sequence = counted(db->last_sequence),
		.recovery_us = db->recovery_us,
		.recovered_records = db->recovered_records,
	};

	for (unsigned i = 0; i < EPOCH_SLOTS; i++) {
		s.gets_found += counted(db->reads[i].found);
		s.iterators += counted(db->reads[i].iterators);
		s.entries_skipped += counted(db->reads[i].skipped);
		s.filter_useful += counted(db->reads[i].filtered);
		s.filter_false += counted(db->reads[i].filter_false);
	}
	read_totals(db, &s.seeks, &s.gets);
	mutex_lock(&db->lock);
	s.snapshots = db->snapshots_n + db->named.n;
	mutex_unlock(&db->lock);
	add_gauges(db, &s);
	*ret = s;
}

#define MIB(bytes) ((double)(bytes) / (1 << 20))

static void duration_to_text(uint64_t ns, struct buf *t)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ns >= units[i].ns) {
			text_add(t, " %7.3g%-2s", (double)ns / (double)units[i].ns, units[i].name);
			return;
		}
	}
	text_add(t, " %7lluns", (unsigned long long)ns);
}

static void latencies_to_text(struct lsm_db *db, struct buf *t)
{
	static const char *const names[LSM_HISTOGRAMS] = {
		[LSM_HISTOGRAM_GET] = "get",
		[LSM_HISTOGRAM_WRITE] = "write",
		[LSM_HISTOGRAM_SYNC] = "sync",
		[LSM_HISTOGRAM_FLUSH] = "flush",
		[LSM_HISTOGRAM_COMPACTION] = "compaction",
		[LSM_HISTOGRAM_STALL] = "stall",
	};

	text_add(t, "timed           count      mean       p50       p90       p99     p99.9       max\n");
	for (int i = 0; i < LSM_HISTOGRAMS; i++) {
		struct lsm_histogram_summary s;

		if (lsm_get_histogram(db, (enum lsm_histogram)i, &s) || !s.count)
			continue;
		text_add(t, "%-10s %10llu", names[i], (unsigned long long)s.count);
		duration_to_text(s.mean_ns, t);
		duration_to_text(s.p50_ns, t);
		duration_to_text(s.p90_ns, t);
		duration_to_text(s.p99_ns, t);
		duration_to_text(s.p999_ns, t);
		duration_to_text(s.max_ns, t);
		text_add(t, "\n");
	}
}

/* The last column is what a user's byte costs in writes to the level; with the log's, they add up to all of it. */
static void levels_to_text(const struct lsm_stats *s, struct buf *t)
{
	text_add(t, "level  tables      MiB  score   read MiB  written MiB   amp\n");
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		uint64_t written = s->levels[l].compact_written_bytes + (l ? 0 : s->flush_bytes_written);

		if (s->levels[l].tables || written)
			text_add(t, "%5u %7llu %8.1f %6.2f %10.1f %12.1f %5.2f\n", l,
				 (unsigned long long)s->levels[l].tables, MIB(s->levels[l].bytes), s->levels[l].score,
				 MIB(s->levels[l].compact_read_bytes), MIB(written),
				 s->user_bytes ? (double)written / (double)s->user_bytes : 0.0);
	}
}

/* What keeps old versions alive, and where garbage is. */
static void state_to_text(struct lsm_db *db, struct buf *t)
{
	struct superversion *sv = superversion_get(db);
	struct segment_info *infos = NULL;
	size_t n = 0;

	text_add(t, "now         ");
	superversion_to_text(sv, t);
	superversion_unref(sv);
	text_add(t, "\nheld        ");
	snapshots_to_text(db, t);
	text_add(t, "\n");
	if (segment_infos(db, &infos, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		if (!segment_is_garbage(&db->picker, &infos[i]))
			continue;
		text_add(t, "garbage     ");
		segment_info_to_text(&infos[i], t);
		text_add(t, "\n");
	}
	free(infos);
}

char *lsm_stats_text(struct lsm_db *db)
{
	struct buf t = { 0 };
	struct lsm_stats s;
	uint64_t written;

	lsm_get_stats(db, &s);
	written = s.log_bytes + s.load_bytes_written + s.flush_bytes_written + s.compact_bytes_written;
	text_add(&t, "store       %s, sequence %llu%s\n", db->dir, (unsigned long long)s.sequence,
		 atomic_load(&db->failed) ? ", READ-ONLY after an error" : "");
	if (atomic_load(&db->failed))
		text_add(&t, "error       %s\n", db->failure.message);
	text_add(&t, "disk        %.1f MiB: blobs %.1f MiB in %llu segments (%.1f MiB alive, %.1f MiB garbage)\n",
		 MIB(s.disk_bytes), MIB(s.blob_bytes), (unsigned long long)s.blob_segments, MIB(s.blob_live_bytes),
		 MIB(s.blob_garbage_bytes));
	text_add(&t, "memory      %.1f of %.1f MiB, of which %llu memtables %.1f MiB\n", MIB(s.memory_bytes),
		 MIB(s.memory_budget_bytes), (unsigned long long)s.memtables, MIB(s.memtable_bytes));
	text_add(&t, "writes      %llu batches, %llu operations, %.1f MiB; %llu syncs asked, %llu done\n",
		 (unsigned long long)s.writes, (unsigned long long)s.operations, MIB(s.user_bytes),
		 (unsigned long long)s.syncs_asked, (unsigned long long)s.syncs_done);
	text_add(&t, "written     log %.1f MiB, flush %.1f MiB, compaction %.1f MiB; amplification %.2f\n",
		 MIB(s.log_bytes), MIB(s.flush_bytes_written), MIB(s.compact_bytes_written),
		 s.user_bytes ? (double)written / (double)s.user_bytes : 0.0);
	text_add(&t, "jobs        %llu flushes, %llu compactions, %llu moves; %llu writes delayed, %.3f s in all\n",
		 (unsigned long long)s.flushes, (unsigned long long)s.compactions, (unsigned long long)s.trivial_moves,
		 (unsigned long long)s.delays, (double)s.delay_us / 1e6);
	text_add(&t,
		 "reads       %llu gets (%llu found), %llu seeks; block cache %llu hits, %llu misses; filters spared "
		 "%llu\n",
		 (unsigned long long)s.gets, (unsigned long long)s.gets_found, (unsigned long long)s.seeks,
		 (unsigned long long)s.block_cache_hits, (unsigned long long)s.block_cache_misses,
		 (unsigned long long)s.filter_useful);
	text_add(&t, "recovery    %llu records in %.3f s\n", (unsigned long long)s.recovered_records,
		 (double)s.recovery_us / 1e6);
	state_to_text(db, &t);
	latencies_to_text(db, &t);
	levels_to_text(&s, &t);
	return text_finish(&t);
}
