/* SPDX-License-Identifier: MIT */
#include "tests/model/engine_model.h"

#include <string.h>

static int compare(struct lsm_slice a, struct lsm_slice b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int c = n ? memcmp(a.data, b.data, n) : 0;

	return c ? c : (a.size > b.size) - (a.size < b.size);
}

static int compare_keys(const void *a, const void *b)
{
	return compare(*(const struct lsm_slice *)a, *(const struct lsm_slice *)b);
}

/* Keys of several families, so that prefixes, lengths and extreme bytes all occur. Returns the size. */
static size_t key_make(struct rng *rng, uint8_t *buf)
{
	uint64_t family = rng_below(rng, 200);
	size_t size;

	if (family == 0) {
		size = 1000 + rng_below(rng, 3000);
		memset(buf, 'L', size);
		rng_fill(rng, buf + size - 4, 4);
		return size;
	}
	if (family == 1 && rng_one_in(rng, 4)) {
		memset(buf, 0xff, LSM_KEY_BYTES_MAX);
		buf[LSM_KEY_BYTES_MAX - 1] = (uint8_t)rng_next(rng);
		return LSM_KEY_BYTES_MAX;
	}
	if (family < 30) {
		static const uint8_t extremes[] = { 0, 0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xff };

		size = 1 + rng_below(rng, 9);
		for (size_t i = 0; i < size; i++)
			buf[i] = extremes[rng_below(rng, sizeof(extremes))];
		return size;
	}
	if (family < 60) {
		size = 1 + rng_below(rng, 4);
		for (size_t i = 0; i < size; i++)
			buf[i] = (uint8_t)('a' + rng_below(rng, 5));
		return size;
	}
	return (size_t)snprintf((char *)buf, 64, "dir%03u/file%06u", (unsigned)rng_below(rng, 30),
				(unsigned)rng_below(rng, 100000));
}

void universe_make(struct universe *u, uint64_t seed)
{
	static uint8_t buf[LSM_KEY_BYTES_MAX];
	struct rng rng = { seed };
	size_t n = 0;

	for (size_t i = 0; i < MODEL_KEYS_MAX; i++) {
		size_t size = key_make(&rng, buf);
		void *copy = malloc(size);

		CHECK(copy, "no memory");
		memcpy(copy, buf, size);
		u->keys[i] = (struct lsm_slice){ copy, size };
	}
	qsort(u->keys, MODEL_KEYS_MAX, sizeof(u->keys[0]), compare_keys);
	for (size_t i = 0; i < MODEL_KEYS_MAX; i++) {
		if (n && !compare(u->keys[n - 1], u->keys[i]))
			free((void *)u->keys[i].data);
		else
			u->keys[n++] = u->keys[i];
	}
	u->n = n;
}

size_t universe_find(const struct universe *u, struct lsm_slice key)
{
	size_t low = 0, high = u->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(u->keys[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct lsm_slice probe_key(const struct universe *u, struct rng *rng)
{
	static uint8_t bufs[2][LSM_KEY_BYTES_MAX + 1];
	static unsigned turn;
	uint8_t *buf = bufs[turn++ % 2];
	struct lsm_slice key = u->keys[rng_below(rng, u->n)];

	if (rng_one_in(rng, 2))
		return key;
	memcpy(buf, key.data, key.size);
	switch (rng_below(rng, 4)) {
	case 0:
		buf[key.size - 1] = (uint8_t)(buf[key.size - 1] + 1);
		break;
	case 1:
		key.size = 1 + rng_below(rng, key.size);
		break;
	case 2:
		buf[key.size] = (uint8_t)rng_next(rng);
		key.size += key.size < LSM_KEY_BYTES_MAX;
		break;
	default:
		key.size = 1 + rng_below(rng, 8);
		rng_fill(rng, buf, key.size);
	}
	return (struct lsm_slice){ buf, key.size };
}

/* Every other stream repeats itself, so that compression has something to do. */
static uint64_t stream_word(uint64_t seed, uint64_t i)
{
	struct rng rng = { seed + (seed & 1 ? i : i % 5) * UINT64_C(0xd1342543de82ef95) };

	return rng_next(&rng);
}

void model_value_fill(const struct model_value *v, uint64_t offset, void *buf, size_t size)
{
	uint64_t at = v->start + offset;
	uint8_t *out = buf;

	while (size) {
		uint64_t word = stream_word(v->seed, at / 8);
		size_t skip = at % 8, n = 8 - skip < size ? 8 - skip : size;

		memcpy(out, (uint8_t *)&word + skip, n);
		out += n;
		at += n;
		size -= n;
	}
}

bool model_value_equal(const struct model_value *v, uint64_t offset, const void *data, size_t size)
{
	uint8_t chunk[4096];

	for (size_t done = 0; done < size;) {
		size_t n = size - done < sizeof(chunk) ? size - done : sizeof(chunk);

		model_value_fill(v, offset + done, chunk, n);
		if (memcmp(chunk, (const uint8_t *)data + done, n))
			return false;
		done += n;
	}
	return true;
}

size_t model_next(const struct model *m, size_t from, size_t end)
{
	while (from < end && !m->values[from].present)
		from++;
	return from < end ? from : end;
}

size_t model_prev(const struct model *m, size_t from, size_t begin)
{
	while (from != SIZE_MAX && from >= begin && !m->values[from].present)
		from--;
	return from != SIZE_MAX && from >= begin ? from : SIZE_MAX;
}

const char *key_text(struct lsm_slice key)
{
	static char bufs[4][128];
	static unsigned turn;
	char *out = bufs[turn++ % 4];
	size_t at = 0;

	for (size_t i = 0; i < key.size && at < 100; i++) {
		uint8_t c = ((const uint8_t *)key.data)[i];

		at += (size_t)snprintf(out + at, 8, c > ' ' && c < 127 ? "%c" : "\\x%02x", c);
	}
	snprintf(out + at, 24, " (%zu)", key.size);
	return out;
}
