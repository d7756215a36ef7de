/* SPDX-License-Identifier: MIT */
/*
 * The engine's mutexes and conditions by fibers. The program defines these functions, so the linker leaves lsm/env/sync.c
 * out. Of a struct mutex the memory is used, for the owner; a struct cond is an address to wait at.
 */
#include "lsm/env/sync.h"

#include <string.h>

#include "tests/sim/sim.h"

_Static_assert(sizeof(struct mutex) >= sizeof(struct fiber *), "the owner fits");

static struct fiber *owner(const struct mutex *m)
{
	struct fiber *f;

	memcpy(&f, m, sizeof(f));
	return f;
}

static void owner_set(struct mutex *m, struct fiber *f)
{
	memcpy(m, &f, sizeof(f));
}

void mutex_init(struct mutex *m)
{
	memset(m, 0, sizeof(*m));
}

void mutex_done(struct mutex *m)
{
	if (owner(m))
		sim_fail("a mutex is ended that somebody holds");
}

static void take(struct mutex *m)
{
	if (owner(m) == fiber_self())
		sim_fail("a thread locks a mutex twice");
	while (owner(m))
		fiber_wait(m, 0);
	owner_set(m, fiber_self());
}

static void give(struct mutex *m)
{
	if (owner(m) != fiber_self())
		sim_fail("a mutex is unlocked by one who doesn't hold it");
	owner_set(m, NULL);
	fiber_wake(m, true);
}

void mutex_lock(struct mutex *m)
{
	sim_step("lock", 0);
	take(m);
}

bool mutex_trylock(struct mutex *m)
{
	sim_step("try to lock", 0);
	if (owner(m))
		return false;
	owner_set(m, fiber_self());
	return true;
}

void mutex_unlock(struct mutex *m)
{
	give(m);
	sim_step("unlock", 0);
}

void cond_init(struct cond *c)
{
	memset(c, 0, sizeof(*c));
}

void cond_done(struct cond *c)
{
	(void)c;
}

/* At times it returns without a reason, as POSIX allows. */
static void wait_at(struct cond *c, struct mutex *m, uint64_t ns)
{
	enum { SPURIOUS_PERCENT = 1 };

	give(m);
	if (sim_chance(SPURIOUS_PERCENT))
		sim_step("wake up for nothing", 0);
	else
		fiber_wait(c, ns);
	take(m);
}

void cond_wait(struct cond *c, struct mutex *m)
{
	sim_step("wait", 0);
	wait_at(c, m, 0);
}

void cond_wait_us(struct cond *c, struct mutex *m, uint64_t us)
{
	sim_step("wait for a time", us);
	wait_at(c, m, us * 1000 + 1);
}

void cond_signal(struct cond *c)
{
	fiber_wake(c, false);
	sim_step("signal", 0);
}

void cond_broadcast(struct cond *c)
{
	fiber_wake(c, true);
	sim_step("broadcast", 0);
}
