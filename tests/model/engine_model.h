/* SPDX-License-Identifier: MIT */
#ifndef TESTS_MODEL_ENGINE_MODEL_H
#define TESTS_MODEL_ENGINE_MODEL_H
/*
 * engine_model - what the engine should hold: a fixed, sorted universe of keys and, for each, the value it has or none.
 * A value is a recipe (seed, place, size) from which any of its bytes can be made, so that copies of the whole model
 * are cheap: a snapshot is one. The model lives in memory shared with the parent process, and survives the child that is
 * killed in the middle of an operation.
 */
#include <stdatomic.h>

#include "lsm/lsm.h"
#include "tests/support/rng.h"

enum { MODEL_KEYS_MAX = 3000 };

struct model_value {
	uint64_t seed, start; /* byte i of the value is byte start + i of the stream that the seed makes */
	uint32_t size;
	bool present;
};

struct model {
	struct model_value values[MODEL_KEYS_MAX]; /* of the key of the same index */
};

struct universe {
	struct lsm_slice keys[MODEL_KEYS_MAX]; /* ascending, distinct */
	size_t n;
};

void universe_make(struct universe *u, uint64_t seed);
/* The index of the first key >= `key`. */
size_t universe_find(const struct universe *u, struct lsm_slice key);

/* A key of the universe, or one that lies somewhere between or beside its keys. Static memory of two, by turns. */
struct lsm_slice probe_key(const struct universe *u, struct rng *rng);

/* Bytes [offset, offset + size) of the value. */
void model_value_fill(const struct model_value *v, uint64_t offset, void *buf, size_t size);
bool model_value_equal(const struct model_value *v, uint64_t offset, const void *data, size_t size);

/* The first present key in [from, end), or `end`. */
size_t model_next(const struct model *m, size_t from, size_t end);
/* The last present key in [begin, from], or SIZE_MAX. `from` may be SIZE_MAX. */
size_t model_prev(const struct model *m, size_t from, size_t begin);

/*
 * The world outlives the processes. `state` says which of the two models was acknowledged last (bit 0), and whether an
 * operation is under way (bit 1) that makes the other one of it.
 */
enum { WORLD_NAMES = 4 };
enum name_state { NAME_NONE, NAME_THERE, NAME_MAKING, NAME_DELETING };

/* A named snapshot: what it shows, which no process changes as long as it is there. */
struct world_name {
	_Atomic unsigned state;
	struct model model;
};

struct world {
	_Atomic unsigned state;
	_Atomic uint64_t ops_done;
	_Atomic unsigned round;
	_Atomic unsigned settled; /* the round whose process has compared everything and is at work */
	uint64_t seed;
	uint64_t value_seed;
	struct model models[2];
	struct world_name names[WORLD_NAMES]; /* "name 0" and so on */
};

static inline struct model *world_now(struct world *w)
{
	return &w->models[atomic_load(&w->state) & 1];
}

/* A copy of what is now, to be changed as the operation will. */
static inline struct model *world_next(struct world *w)
{
	struct model *next = &w->models[!(atomic_load(&w->state) & 1)];

	*next = *world_now(w);
	return next;
}

static inline void world_begin(struct world *w)
{
	atomic_fetch_or(&w->state, 2u);
}

static inline void world_commit(struct world *w)
{
	atomic_store(&w->state, (atomic_load(&w->state) & 1) ^ 1);
}

/* Prints where we are, what the engine said, and ends the process with code 1. */
_Noreturn void fail_at(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define CHECK(cond, ...) ((cond) ? (void)0 : fail_at(__FILE__, __LINE__, __VA_ARGS__))
#define CHECK_OK(rc) check_ok((rc), __FILE__, __LINE__)
void check_ok(int rc, const char *file, int line);

/* For messages: the key as text. Static memory of four, by turns. */
const char *key_text(struct lsm_slice key);

#endif
