/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H
/*
 * oracle - what the store was told, and what it may hold after a life's end. Each client has keys of its own and does one
 * operation after the other, so the history of a client is a list; between clients, what began after another thing was
 * acknowledged is behind it.
 *
 * A value says who put it, in which operation and as which change of that, and all its bytes follow from that and from its
 * size: what is found in the store can be judged by itself.
 */
#include "lsm/lsm.h"
#include "tests/sim/sim.h"

enum {
	CLIENTS_MAX = 3,
	KEYS = 40, /* of each client */
	CHANGES_MAX = 6,
	OPS_MAX = 1000, /* of a client, that are not known to be durable */
	KEY_BYTES_MAX = 128,
	VALUE_BYTES_MIN = 24,
};

/* Keys [begin, end) get a value (one key only), or lose theirs. */
struct key_change {
	unsigned begin, end;
	uint32_t size; /* 0: they are deleted */
};

enum op_state {
	OP_PENDING, /* nobody knows; the life ended before the answer */
	OP_DONE,
	OP_REFUSED, /* the answer was an error: it is there or not, until a later one succeeds */
	OP_VOID,    /* it was refused, and cannot be there */
};

struct op_record {
	enum op_state state;
	uint64_t number;       /* never used again, also if the operation is lost */
	uint64_t began, ended; /* sim.steps */
	unsigned n;
	struct key_change changes[CHANGES_MAX];
};

/* Which value a key has: number of the operation << 8 | place of the change + 1; 0: none. */
typedef uint64_t value_id;

struct client {
	unsigned number;
	uint64_t last_op;    /* number of the last operation */
	value_id base[KEYS]; /* before ops[0] */
	value_id now[KEYS];  /* after all that is done */
	struct op_record ops
		[OPS_MAX]; /* the last ones: of this life, and of earlier ones what was found, but may not be durable */
	unsigned ops_n;
	unsigned durable_n; /* of them, so many must survive whatever happens */
};

struct oracle {
	struct client clients[CLIENTS_MAX];
	unsigned clients_n;
};
extern struct oracle oracle;

struct lsm_slice client_key(const struct client *c, unsigned key, char buf[KEY_BYTES_MAX]);
/* Finds out whose key it is. */
void key_parse(struct lsm_slice key, unsigned *ret_client, unsigned *ret_key);
/* malloc'd */
void *value_make(const struct client *c, value_id id, unsigned key, uint32_t size);
/* The id of a value that was found; fails when it isn't whole, or another key's. */
value_id value_check(const struct client *c, unsigned key, struct lsm_slice value);
static inline value_id change_id(const struct op_record *op, unsigned change)
{
	return op->number << 8 | (change + 1);
}

/* A new operation, which the caller fills in. */
struct op_record *oracle_begin(struct client *c);
/* Its answer. */
void oracle_done(struct client *c);
void oracle_refused(struct client *c, bool void_for_sure);
void changes_apply(const struct op_record *op, value_id *keys);

/* Everything that is acknowledged now, for oracle_durable(). */
struct moment {
	unsigned done[CLIENTS_MAX];
};
struct moment oracle_now(void);
void oracle_durable(const struct moment *m);

/*
 * Compares what was found after the end of a life with what may be there, and begins the next one with it. `all`: whatever
 * was acknowledged must be there. `durable`: what was found is on the disk, and must stay there.
 */
void oracle_settle(value_id (*found)[KEYS], bool all, bool durable);

#endif
