/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_LIFE_H
#define TESTS_SIM_LIFE_H
/* life - what the lives of a store have in common, whoever uses it: options, faults, how they end. */
#include "lsm/lsm.h"
#include "tests/sim/sim.h"

enum phase { PHASE_OPEN, PHASE_WORK, PHASE_CLOSE, PHASES };

struct life {
	struct lsm_options options;
	enum phase cut_phase;   /* in which the end is due; PHASES: none */
	unsigned cut_after_ops; /* in PHASE_WORK */
	uint64_t cut_steps;
	struct sim_faults faults;
	bool faults_at_open;
	/* Of the lives since the store was looked at last: */
	bool all;     /* what was acknowledged must be there */
	bool durable; /* what is there is on the disk */
	bool check;   /* before it is opened */
	bool settled; /* it has been looked at in this life */
	unsigned ops; /* of each client */
};

/* The next life, with `clients` that do their operations each; the `last` one has no faults and ends well. */
void life_choose(struct life *l, unsigned clients, bool last);
/* Lives it, and cuts the power or ends the process. */
void life_live(struct life *l, void (*fn)(void *ctx));
/* A phase begins: if the end is due in it, it comes some steps from now. */
void life_cut_arm(const struct life *l, enum phase phase);
/* Faults may be met from now on. */
void life_faults_begin(const struct life *l);

/* lsm_check() has nothing to say of the store in `path`, which nobody has open, if there is one. */
void life_check(const char *path);

/* Spread evenly over powers of two. */
uint64_t power_between(unsigned low, unsigned high);

#endif
