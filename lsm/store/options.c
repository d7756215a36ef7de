/* SPDX-License-Identifier: MIT */
#include "lsm/store/options.h"

#include "lsm/store/db.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)

/* ---- the table ---- */

static uint64_t memtable_default(const struct lsm_options *o, unsigned level)
{
	uint64_t share = o->memory_bytes / 8;

	(void)level;
	return share < 64 * MIB ? share : 64 * MIB;
}

static uint64_t level_base_default(const struct lsm_options *o, unsigned level)
{
	(void)level;
	return 4 * o->memtable_bytes;
}

static const char *const compressions[] = { "none", "lz4", "zstd", NULL };

static uint64_t compression_default(const struct lsm_options *o, unsigned level)
{
	(void)o;
	/* The last level's stays 0: it depends on the level's size (jobs.c). */
	return level == LSM_LEVELS - 1 ? 0 : LSM_COMPRESS_LZ4 + 1;
}

static const char *const compactions[] = { "leveled", "tiered", NULL };

static const char *const log_levels[] = { "notice", "all", NULL };

#define FIELD(field) #field, offsetof(struct lsm_options, field), sizeof(((struct lsm_options *)0)->field)

/* What a default is computed from stands further up. */
static const struct option table[] = {
	{ FIELD(memory_bytes), OPTION_SIZE, .standard = 256 * MIB, .min = 4 * MIB, .max = UINT64_C(1) << 48,
	  .meaning = "budget for memtables, block cache and open tables" },
	{ FIELD(memtable_bytes), OPTION_SIZE, .compute = memtable_default, .standard_text = "memory/8, 64M at most",
	  .min = 16 * KIB, .max = UINT64_C(1) << 48, .meaning = "a memtable is switched at this size" },
	{ FIELD(memtables_max), OPTION_NUMBER, .standard = 3, .min = 2, .max = MEMTABLES_MAX,
	  .meaning = "memtables at once, the writable one included" },
	{ FIELD(block_bytes), OPTION_SIZE, .kept = true, .standard = 4 * KIB, .min = 256, .max = 4 * MIB,
	  .meaning = "uncompressed size of a table's data block" },
	{ FIELD(blob_min_bytes), OPTION_SIZE, .kept = true, .standard = 4 * KIB, .min = 64, .max = UINT32_MAX,
	  .meaning = "values from this size live in blob segments" },
	{ FIELD(blob_direct_bytes), OPTION_SIZE, .kept = true, .standard = 32 * KIB, .min = 64, .max = UINT32_MAX,
	  .meaning = "values from this size skip log and memtable" },
	{ FIELD(blob_segment_bytes), OPTION_SIZE, .kept = true, .standard = 64 * MIB, .min = 64 * KIB,
	  .max = UINT64_C(1) << 40, .meaning = "a blob segment is sealed at this size" },
	{ FIELD(table_bytes), OPTION_SIZE, .kept = true, .standard = 32 * MIB, .min = 16 * KIB,
	  .max = UINT64_C(1) << 40, .meaning = "a compaction's output is cut at this size" },
	{ FIELD(level_base_bytes), OPTION_SIZE, .kept = true, .compute = level_base_default,
	  .standard_text = "4 memtables", .min = 64 * KIB, .max = UINT64_C(1) << 50,
	  .meaning = "a level of so many bytes lies right below level 0" },
	{ FIELD(level_ratio), OPTION_NUMBER, .kept = true, .standard = 10, .min = 2, .max = 1000,
	  .meaning = "each deeper level's target is so many times larger" },
	{ FIELD(l0_tables), OPTION_NUMBER, .kept = true, .standard = 4, .min = 1, .max = 1000,
	  .meaning = "level 0 is compacted from this many tables" },
	{ FIELD(filter_bits), OPTION_NUMBER, .kept = true, .none = true, .standard = 10, .min = 1, .max = 64,
	  .meaning = "bits of the bloom filter for each key" },
	{ FIELD(open_tables_max), OPTION_NUMBER, .standard = 512, .min = 8, .max = 1000000,
	  .meaning = "table files open at once" },
	{ FIELD(threads), OPTION_NUMBER, .standard = 1, .min = 1, .max = 16,
	  .meaning = "compaction threads beside the flush thread" },
	{ FIELD(compaction), OPTION_WORD, .kept = true, .standard = LSM_COMPACT_LEVELED, .min = 1, .words = compactions,
	  .meaning = "leveled: few runs, little dead space; tiered: less is rewritten" },
	{ FIELD(tiered_runs), OPTION_NUMBER, .kept = true, .standard = 6, .min = 2, .max = 1000,
	  .meaning = "tiered: so many runs of similar size become one" },
	{ FIELD(compact_bytes_per_second), OPTION_SIZE, .standard = 0, .min = 0, .max = UINT64_C(1) << 50,
	  .meaning = "compactions write no faster; 0: as fast as they can" },
	{ FIELD(level_compression), OPTION_WORD, .each_level = true, .kept = true, .compute = compression_default,
	  .standard_text = "lz4, last by its size", .min = 1, .words = compressions,
	  .meaning = "for each level from 0 on; the last word goes on" },
	{ FIELD(log_level), OPTION_WORD, .standard = LSM_LOG_NOTICE, .min = 1, .words = log_levels,
	  .meaning = "what the log is told" },
};

const struct option *option_at(size_t i)
{
	return i < sizeof(table) / sizeof(table[0]) ? &table[i] : NULL;
}

const struct option *option_find(struct lsm_slice name)
{
	const struct option *o;

	for (size_t i = 0; (o = option_at(i)); i++) {
		if (slice_equal(name, slice_of(o->name, strlen(o->name))))
			return o;
	}
	return NULL;
}

/* ---- fields ---- */

unsigned option_elements(const struct option *o)
{
	return o->each_level ? LSM_LEVELS : 1;
}

static size_t element_bytes(const struct option *o)
{
	return o->bytes / option_elements(o);
}

uint64_t option_get(const struct option *o, const struct lsm_options *options, unsigned element)
{
	const uint8_t *p = (const uint8_t *)options + o->offset + element * element_bytes(o);
	uint64_t v64;
	uint32_t v32;

	switch (element_bytes(o)) {
	case sizeof(v64):
		memcpy(&v64, p, sizeof(v64));
		return v64;
	case sizeof(v32):
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		return *p;
	}
}

void option_set(const struct option *o, struct lsm_options *options, unsigned element, uint64_t value)
{
	uint8_t *p = (uint8_t *)options + o->offset + element * element_bytes(o);
	uint32_t v32 = (uint32_t)value;

	switch (element_bytes(o)) {
	case sizeof(value):
		memcpy(p, &value, sizeof(value));
		break;
	case sizeof(v32):
		memcpy(p, &v32, sizeof(v32));
		break;
	default:
		*p = (uint8_t)value;
	}
}

bool option_is_given(const struct option *o, const struct lsm_options *options)
{
	for (unsigned k = 0; k < option_elements(o); k++) {
		if (option_get(o, options, k))
			return true;
	}
	return false;
}

uint64_t option_max(const struct option *o)
{
	uint64_t n = 0;

	if (o->kind != OPTION_WORD)
		return o->max;
	while (o->words[n])
		n++;
	return n;
}

bool option_in_range(const struct option *o, uint64_t value)
{
	return value >= o->min && value <= option_max(o);
}

/* ---- checks ---- */

static void fill_in(const struct option *o, const struct lsm_options *stored, struct lsm_options *ret)
{
	for (unsigned k = 0; k < option_elements(o); k++) {
		uint64_t v = option_get(o, ret, k);

		if (!v && o->kept && stored)
			v = option_get(o, stored, k);
		if (!v)
			v = o->compute ? o->compute(ret, k) : o->standard;
		option_set(o, ret, k, o->none && v == UINT32_MAX ? 0 : v);
	}
}

static int out_of_range(const struct option *o, const struct lsm_options *options)
{
	struct buf value = { 0 }, range = { 0 };
	int rc;

	option_to_text(o, options, &value);
	option_range_to_text(o, &range);
	rc = status_set(LSM_INVALID, 0, NULL, 0, "option %s is %.*s; it must be %.*s", o->name, (int)value.size,
			(const char *)value.data, (int)range.size, (const char *)range.data);
	buf_free(&value);
	buf_free(&range);
	return rc;
}

static int check_flags(uint32_t flags)
{
	const uint32_t known = LSM_OPEN_CREATE | LSM_OPEN_EXCLUSIVE | LSM_OPEN_READ_ONLY;

	if (flags & ~known)
		return status_set(LSM_INVALID, 0, NULL, 0, "option flags is %#x; known are %#x", flags, known);
	if ((flags & LSM_OPEN_READ_ONLY && flags & LSM_OPEN_CREATE) ||
	    (flags & LSM_OPEN_EXCLUSIVE && !(flags & LSM_OPEN_CREATE)))
		return status_set(LSM_INVALID, 0, NULL, 0,
				  "option flags is %#x: LSM_OPEN_CREATE doesn't go with "
				  "LSM_OPEN_READ_ONLY, and LSM_OPEN_EXCLUSIVE only with LSM_OPEN_CREATE",
				  flags);
	return LSM_OK;
}

/* What one option demands of another. */
static int check_relations(const struct lsm_options *o)
{
	if (o->memtable_bytes > o->memory_bytes)
		return status_set(LSM_INVALID, 0, NULL, 0,
				  "option memtable_bytes is %llu, more than memory_bytes, which is %llu",
				  (unsigned long long)o->memtable_bytes, (unsigned long long)o->memory_bytes);
	if (o->blob_direct_bytes < o->blob_min_bytes)
		return status_set(LSM_INVALID, 0, NULL, 0,
				  "option blob_direct_bytes is %u, less than blob_min_bytes, which is %u (what an open "
				  "leaves at 0 is as the store's file OPTIONS says)",
				  o->blob_direct_bytes, o->blob_min_bytes);
	return LSM_OK;
}

int options_resolve(const struct lsm_options *given, const struct lsm_options *stored, struct lsm_options *ret)
{
	struct lsm_options resolved = { 0 };
	const struct option *o;
	int rc;

	if (given)
		resolved = *given;
	for (size_t i = 0; (o = option_at(i)); i++) {
		fill_in(o, stored, &resolved);
		for (unsigned k = 0; k < option_elements(o); k++) {
			uint64_t v = option_get(o, &resolved, k);

			/* 0 is left where it means something: no limit, none, what depends on the store. */
			if (v && !option_in_range(o, v))
				return out_of_range(o, &resolved);
		}
	}
	rc = check_flags(resolved.flags);
	if (!rc)
		rc = check_relations(&resolved);
	if (!rc)
		*ret = resolved;
	return rc;
}

void lsm_get_options(struct lsm_db *db, struct lsm_options *ret)
{
	struct lsm_options options = db->options;
	const struct option *o;

	for (size_t i = 0; (o = option_at(i)); i++) {
		if (o->none && !option_get(o, &options, 0))
			option_set(o, &options, 0, UINT32_MAX);
	}
	*ret = options;
}

const char *lsm_version(void)
{
	return LSM_VERSION;
}
