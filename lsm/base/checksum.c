/* SPDX-License-Identifier: MIT */
#include "lsm/base/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__x86_64__)
/* Short inputs are hashed without vectors. */
enum { AVX2_BYTES_MIN = 512 };
#endif

uint64_t hash64(const void *data, size_t size, uint64_t seed)
{
#if defined(__x86_64__)
	if (size >= AVX2_BYTES_MIN && __builtin_cpu_supports("avx2"))
		return hash64_avx2(data, size, seed);
#endif
	return XXH3_64bits_withSeed(data, size, seed);
}

struct hash_stream *hash_stream_new(void)
{
	XXH3_state_t *state = XXH3_createState();

	if (state)
		XXH3_64bits_reset(state);
	return (struct hash_stream *)state;
}

void hash_stream_add(struct hash_stream *h, const void *data, size_t size)
{
	XXH3_64bits_update((XXH3_state_t *)h, data, size);
}

uint64_t hash_stream_value(const struct hash_stream *h)
{
	return XXH3_64bits_digest((const XXH3_state_t *)h);
}

void hash_stream_free(struct hash_stream *h)
{
	XXH3_freeState((XXH3_state_t *)h);
}
