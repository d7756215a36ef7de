/* SPDX-License-Identifier: MIT */
#include "lsm/format/compress.h"

#include <assert.h>
#include <lz4.h>
#include <stdatomic.h>
#include <zstd.h>

#include "lsm/base/status.h"

/* The last level's blocks are written once and read for long; higher levels of zstd gain little on blocks of 4 KiB. */
enum { ZSTD_LEVEL = 3 };

/* Below this not even a perfect compressor pays for the work. */
enum { RAW_BYTES_MIN = 64 };

void compressor_done(struct compressor *c)
{
	free(c->lz4);
	ZSTD_freeCCtx(c->zstd);
	*c = (struct compressor){ 0 };
}

static int make_contexts(struct compressor *c, enum lsm_compression how)
{
	if (how == LSM_COMPRESS_LZ4 && !c->lz4)
		c->lz4 = malloc((size_t)LZ4_sizeofState());
	if (how == LSM_COMPRESS_ZSTD && !c->zstd)
		c->zstd = ZSTD_createCCtx();
	if (how == LSM_COMPRESS_LZ4 ? !c->lz4 : !c->zstd)
		return status_no_memory((size_t)LZ4_sizeofState());
	return LSM_OK;
}

/* Bytes written to `out`, or 0 when they would be more than `room`. */
static size_t compress_into(struct compressor *c, enum lsm_compression how, struct lsm_slice raw, uint8_t *out,
			    size_t room)
{
	size_t n;

	if (how == LSM_COMPRESS_LZ4) {
		int written = LZ4_compress_fast_extState(c->lz4, raw.data, (char *)out, (int)raw.size, (int)room, 1);

		return written > 0 ? (size_t)written : 0;
	}
	n = ZSTD_compressCCtx(c->zstd, out, room, raw.data, raw.size, ZSTD_LEVEL);
	return ZSTD_isError(n) ? 0 : n;
}

int compress_append(struct compressor *c, enum lsm_compression wanted, struct lsm_slice raw, struct buf *out,
		    enum lsm_compression *ret_used)
{
	size_t start = out->size, room = raw.size - raw.size / 8, head, n = 0;
	int rc;

	buf_reserve(out, raw.size + VARINT_BYTES_MAX);
	if (out->failed)
		return status_no_memory(raw.size);
	if (wanted != LSM_COMPRESS_NONE && raw.size >= RAW_BYTES_MIN && raw.size <= COMPRESS_RAW_BYTES_MAX) {
		rc = make_contexts(c, wanted);
		if (rc)
			return rc;
		head = put_varint(out->data + start, raw.size);
		n = compress_into(c, wanted, raw, out->data + start + head, room - head);
	}
	if (n) {
		out->size = start + head + n;
		*ret_used = wanted;
	} else {
		buf_append_slice(out, raw);
		*ret_used = LSM_COMPRESS_NONE;
	}
	return LSM_OK;
}

int decompress_size(struct lsm_slice payload, const char *file, uint64_t offset, size_t *ret_size)
{
	struct reader r = reader_of(payload);
	uint64_t size = read_varint(&r);

	if (r.failed || !size || size > COMPRESS_RAW_BYTES_MAX)
		return status_corrupt(file, offset, "impossible uncompressed size of the block at byte %llu of %s",
				      (unsigned long long)offset, file);
	*ret_size = (size_t)size;
	return LSM_OK;
}

/*
 * zstd's decompression contexts are large and slow to make. A few are kept for whoever comes next; slots, and not one
 * for each thread, so that a thread's end needs no care.
 */
enum { SPARES = 8 };
static _Atomic(ZSTD_DCtx *) spares[SPARES];

static ZSTD_DCtx *take_context(void)
{
	for (int i = 0; i < SPARES; i++) {
		ZSTD_DCtx *d;

		if (!atomic_load_explicit(&spares[i], memory_order_relaxed))
			continue;
		d = atomic_exchange_explicit(&spares[i], NULL, memory_order_acquire);
		if (d)
			return d;
	}
	return ZSTD_createDCtx();
}

static void give_context(ZSTD_DCtx *d)
{
	for (int i = 0; i < SPARES; i++) {
		ZSTD_DCtx *none = NULL;

		if (atomic_compare_exchange_strong_explicit(&spares[i], &none, d, memory_order_release,
							    memory_order_relaxed))
			return;
	}
	ZSTD_freeDCtx(d);
}

static int decompress_zstd(struct lsm_slice in, void *out, size_t size, bool *ret_good)
{
	ZSTD_DCtx *d = take_context();

	if (!d)
		return status_no_memory(size);
	*ret_good = ZSTD_decompressDCtx(d, out, size, in.data, in.size) == size;
	give_context(d);
	return LSM_OK;
}

int decompress(enum lsm_compression how, struct lsm_slice payload, void *out, size_t size, const char *file,
	       uint64_t offset)
{
	struct reader r = reader_of(payload);
	struct lsm_slice in;
	bool good = false;
	int rc = LSM_OK;

	read_varint(&r);
	in = slice_of(r.at, reader_left(&r));
	assert(size <= COMPRESS_RAW_BYTES_MAX);
	if (how == LSM_COMPRESS_LZ4 && in.size <= COMPRESS_RAW_BYTES_MAX)
		good = LZ4_decompress_safe(in.data, out, (int)in.size, (int)size) == (int)size;
	else if (how == LSM_COMPRESS_ZSTD)
		rc = decompress_zstd(in, out, size, &good);
	if (rc)
		return rc;
	if (!good)
		return status_corrupt(file, offset, "the block at byte %llu of %s does not decompress (method %d)",
				      (unsigned long long)offset, file, (int)how);
	return LSM_OK;
}
