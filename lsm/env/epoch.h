/* SPDX-License-Identifier: MIT */
#ifndef LSM_ENV_EPOCH_H
#define LSM_ENV_EPOCH_H
/*
 * epoch - lets readers follow a shared pointer without a lock or a shared counter (epoch-based reclamation, K. Fraser,
 * "Practical lock-freedom", 2004). A reader is inside between epoch_enter() and epoch_exit(); whoever has replaced the
 * pointer calls epoch_synchronize() before it frees what the pointer led to.
 *
 * The pointer is loaded (inside) and replaced (before epoch_synchronize()) with memory_order_seq_cst: weaker orders
 * would let a reader's load pass its entry. On x86 such a load costs no more than any other.
 */
#include "lsm/env/env.h"

/* So many may be inside at once; who comes then waits for one to leave. Stay inside for short, and never for a lock. */
#define EPOCH_SLOTS 256u

struct epoch;

int epoch_new(struct env *env, struct epoch **ret);
void epoch_free(struct epoch *e); /* nobody is inside; NULL is accepted */

/* Returns the slot to give back to epoch_exit(), from any thread. A thread may be inside several times. */
unsigned epoch_enter(struct epoch *e);
void epoch_exit(struct epoch *e, unsigned slot);

/* Returns when all who were inside at the call have left. Not to be called from inside. */
void epoch_synchronize(struct epoch *e);

#endif
