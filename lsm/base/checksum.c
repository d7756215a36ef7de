/* SPDX-License-Identifier: MIT */
#include "lsm/base/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(const void *data, size_t size, uint64_t seed)
{
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
