/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "lsm/store/db.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)

struct range {
	const char *name;
	uint64_t value, min, max;
};

static int check(const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (r[i].value < r[i].min || r[i].value > r[i].max)
			return status_set(LSM_INVALID, 0, NULL, 0, "option %s is %llu; it must be from %llu to %llu",
					  r[i].name, (unsigned long long)r[i].value, (unsigned long long)r[i].min,
					  (unsigned long long)r[i].max);
	}
	return LSM_OK;
}

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static void fill_defaults(struct lsm_options *o)
{
	DEFAULT(o->memory_bytes, 256 * MIB);
	DEFAULT(o->memtable_bytes, o->memory_bytes / 8 < 64 * MIB ? o->memory_bytes / 8 : 64 * MIB);
	DEFAULT(o->memtables_max, 3);
	DEFAULT(o->block_bytes, 4096);
	DEFAULT(o->blob_min_bytes, 4096);
	DEFAULT(o->blob_direct_bytes, 32 * KIB);
	DEFAULT(o->blob_segment_bytes, 64 * MIB);
	DEFAULT(o->table_bytes, 32 * MIB);
	DEFAULT(o->level_base_bytes, 4 * o->memtable_bytes);
	DEFAULT(o->level_ratio, 10);
	DEFAULT(o->l0_tables, 4);
	DEFAULT(o->filter_bits, 10);
	DEFAULT(o->open_tables_max, 512);
	DEFAULT(o->threads, 1);
	if (o->filter_bits == UINT32_MAX)
		o->filter_bits = 0;
	for (unsigned l = 0; l < LSM_LEVELS; l++)
		DEFAULT(o->level_compression[l], (l == LSM_LEVELS - 1 ? LSM_COMPRESS_ZSTD : LSM_COMPRESS_LZ4) + 1);
}

int options_resolve(const struct lsm_options *given, struct lsm_options *ret)
{
	struct lsm_options o = { 0 };
	int rc;

	if (given)
		o = *given;
	fill_defaults(&o);
	const struct range ranges[] = {
		{ "flags", o.flags, 0, LSM_OPEN_CREATE | LSM_OPEN_EXCLUSIVE | LSM_OPEN_READ_ONLY },
		{ "memory_bytes", o.memory_bytes, 4 * MIB, UINT64_C(1) << 48 },
		{ "memtable_bytes", o.memtable_bytes, 16 * KIB, o.memory_bytes },
		{ "memtables_max", o.memtables_max, 2, MEMTABLES_MAX },
		{ "block_bytes", o.block_bytes, 256, 4 * MIB },
		{ "blob_min_bytes", o.blob_min_bytes, 64, UINT32_MAX },
		{ "blob_direct_bytes", o.blob_direct_bytes, o.blob_min_bytes, UINT32_MAX },
		{ "blob_segment_bytes", o.blob_segment_bytes, 64 * KIB, UINT64_C(1) << 40 },
		{ "table_bytes", o.table_bytes, 16 * KIB, UINT64_C(1) << 40 },
		{ "level_base_bytes", o.level_base_bytes, 64 * KIB, UINT64_C(1) << 50 },
		{ "level_ratio", o.level_ratio, 2, 1000 },
		{ "l0_tables", o.l0_tables, 1, 1000 },
		{ "filter_bits", o.filter_bits, 0, 64 },
		{ "open_tables_max", o.open_tables_max, 8, 1000000 },
		{ "threads", o.threads, 1, 16 },
	};
	rc = check(ranges, sizeof(ranges) / sizeof(ranges[0]));
	if (rc)
		return rc;
	if ((o.flags & LSM_OPEN_READ_ONLY && o.flags & LSM_OPEN_CREATE) ||
	    (o.flags & LSM_OPEN_EXCLUSIVE && !(o.flags & LSM_OPEN_CREATE)))
		return status_set(LSM_INVALID, 0, NULL, 0,
				  "option flags is %#x: LSM_OPEN_CREATE doesn't go with "
				  "LSM_OPEN_READ_ONLY, and LSM_OPEN_EXCLUSIVE only with LSM_OPEN_CREATE",
				  o.flags);
	for (unsigned l = 0; l < LSM_LEVELS; l++) {
		char name[32];
		const struct range r = { name, o.level_compression[l], 1, LSM_COMPRESS_ZSTD + 1 };

		snprintf(name, sizeof(name), "level_compression[%u]", l);

		rc = check(&r, 1);
		if (rc)
			return rc;
	}
	*ret = o;
	return LSM_OK;
}

void db_log(struct lsm_db *db, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (!db->options.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	db->options.log(db->options.log_ctx, line);
}

const char *lsm_version(void)
{
	return LSM_VERSION;
}
