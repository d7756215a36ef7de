/* SPDX-License-Identifier: MIT */
#include "lsm/format/filter.h"

#include "lsm/base/status.h"

enum { KIND_BLOCKED_BLOOM = 1, PROBES_MAX = 16, TAIL_BYTES = 2 };

void filter_builder_add(struct filter_builder *b, struct lsm_slice user_key)
{
	uint64_t hash = filter_hash(user_key);

	if (b->failed || (b->n && b->hashes[b->n - 1] == hash))
		return;
	if (b->n == b->capacity) {
		size_t capacity = b->capacity ? b->capacity * 2 : 1024;
		uint64_t *hashes = realloc(b->hashes, capacity * sizeof(*hashes));

		if (!hashes) {
			b->failed = true;
			return;
		}
		b->hashes = hashes;
		b->capacity = capacity;
	}
	b->hashes[b->n++] = hash;
}

void filter_builder_done(struct filter_builder *b)
{
	free(b->hashes);
	*b = (struct filter_builder){ 0 };
}

/* 0.69 = ln 2 probes for each bit a key minimize false positives in a plain Bloom filter; within lines of 512 bits the
 * optimum lies a little lower, and each probe costs, so round down. */
static unsigned probes_for(uint32_t bits_per_key)
{
	uint32_t probes = bits_per_key * 69 / 100;

	if (probes < 1)
		return 1;
	return probes > PROBES_MAX ? PROBES_MAX : probes;
}

int filter_build(const struct filter_builder *b, uint32_t bits_per_key, struct buf *out)
{
	uint32_t bits = bits_per_key > 64 ? 64 : bits_per_key;
	uint64_t lines_n = ((uint64_t)b->n * bits + FILTER_LINE_BYTES * 8 - 1) / (FILTER_LINE_BYTES * 8);
	size_t bytes;
	struct filter f;
	uint8_t *lines;

	if (!lines_n)
		lines_n = 1;
	if (lines_n > UINT32_MAX)
		lines_n = UINT32_MAX;
	bytes = (size_t)lines_n * FILTER_LINE_BYTES;
	buf_reserve(out, bytes + TAIL_BYTES);
	if (b->failed || out->failed)
		return status_no_memory(bytes);
	lines = out->data + out->size;
	memset(lines, 0, bytes);
	f = (struct filter){ lines, (uint32_t)lines_n, probes_for(bits) };
	for (size_t i = 0; i < b->n; i++) {
		uint8_t *line = lines + (filter_line(&f, b->hashes[i]) - lines);
		uint32_t h = (uint32_t)b->hashes[i];

		for (unsigned k = 0; k < f.probes; k++, h *= FILTER_STEP)
			line[h >> 26] |= (uint8_t)(1u << (h >> 23 & 7));
	}
	out->size += bytes;
	buf_put_u8(out, (uint8_t)f.probes);
	buf_put_u8(out, KIND_BLOCKED_BLOOM);
	return LSM_OK;
}

bool filter_init(struct filter *f, struct lsm_slice bytes)
{
	const uint8_t *data = bytes.data;
	size_t lines_bytes = bytes.size - TAIL_BYTES;
	uint8_t probes;

	if (bytes.size < FILTER_LINE_BYTES + TAIL_BYTES || lines_bytes % FILTER_LINE_BYTES ||
	    lines_bytes / FILTER_LINE_BYTES > UINT32_MAX)
		return false;
	probes = data[lines_bytes];
	if (data[lines_bytes + 1] != KIND_BLOCKED_BLOOM || !probes || probes > PROBES_MAX)
		return false;
	*f = (struct filter){ data, (uint32_t)(lines_bytes / FILTER_LINE_BYTES), probes };
	return true;
}
