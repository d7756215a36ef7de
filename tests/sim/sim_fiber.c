/* SPDX-License-Identifier: MIT */
/* Fibers, the scheduler, the clock. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* The address sanitizer wants to know on which stack it is. */
#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#endif

enum {
	STACK_BYTES = 512 << 10,
	STACK_GUARD_BYTES = 4096,
	FIBERS_MAX = 64,
	STEPS_MAX = 20000000, /* of a schedule: more are a loop without end */
	STEP_NS_MAX = 2000,
};

struct stack {
	void *bottom;
	size_t size;
	void *fake; /* the sanitizer's */
};

struct fiber {
	ucontext_t context;
	struct stack stack;
	const char *name;
	void (*fn)(void *ctx);
	void *ctx;
	bool done, waiting;
	const void *waits_for;  /* NULL: only for the clock */
	uint64_t wake_ns;       /* 0: never by the clock */
	unsigned weight;        /* how often it is chosen */
	struct lsm_error error; /* its last one, while another fiber runs */
};

struct sim sim;

static struct fiber *fibers[FIBERS_MAX]; /* of this life; the first one is the life */
static unsigned fibers_n;
static struct fiber *self;
static ucontext_t root;
static struct stack root_stack;
static bool returned;

struct fiber *fiber_self(void)
{
	return self;
}

/* ---- telling ---- */

void sim_trace(uint64_t x)
{
	uint64_t h = sim.trace ^ x;

	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	sim.trace = (h ^ h >> 32) + 1;
}

void sim_tell(const char *format, ...)
{
	va_list args;

	if (!sim.verbose)
		return;
	fprintf(stderr, "%10llu %-12s ", (unsigned long long)(sim.now_ns / 1000), self ? self->name : "-");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void sim_fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "seed %llu, step %llu: ", (unsigned long long)sim.seed, (unsigned long long)sim.steps);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

/* ---- switching ---- */

/* Leaves the stack that is `from` for `to`. A last visit has no `from`. */
static void stack_leave(struct stack *from, const struct stack *to)
{
#ifdef SIM_ASAN
	__sanitizer_start_switch_fiber(from ? &from->fake : NULL, to->bottom, to->size);
#else
	(void)from;
	(void)to;
#endif
}

static void stack_arrive(struct stack *at, bool first)
{
#ifdef SIM_ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(at->fake, &bottom, &size);
	if (first && !root_stack.bottom) {
		root_stack.bottom = (void *)(uintptr_t)bottom;
		root_stack.size = size;
	}
#else
	(void)at;
	(void)first;
#endif
}

_Noreturn static void to_root(void)
{
	stack_leave(NULL, &root_stack);
	self = NULL;
	setcontext(&root);
	abort();
}

void sim_die(void)
{
	returned = false;
	to_root();
}

static void switch_to(struct fiber *f)
{
	struct fiber *from = self;

	if (f == from)
		return;
	from->error = *lsm_last_error();
	self = f;
	stack_leave(&from->stack, &f->stack);
	swapcontext(&from->context, &f->context);
	stack_arrive(&from->stack, false);
	status_adopt(&from->error);
}

static bool is_ready(struct fiber *f)
{
	if (f->waiting && f->wake_ns && f->wake_ns <= sim.now_ns)
		f->waiting = false;
	return !f->waiting && !f->done;
}

/* One of those that are ready, by their weights; NULL: none is. */
static struct fiber *fiber_choose(void)
{
	uint64_t all = 0, at;

	for (unsigned i = 0; i < fibers_n; i++)
		all += is_ready(fibers[i]) ? fibers[i]->weight : 0;
	if (!all)
		return NULL;
	at = rng_below(&sim.rng, all);
	for (unsigned i = 0;; i++) {
		if (!is_ready(fibers[i]))
			continue;
		if (at < fibers[i]->weight)
			return fibers[i];
		at -= fibers[i]->weight;
	}
}

/* When nobody can go on, time passes until somebody can. */
static void clock_forward(void)
{
	uint64_t next = 0;

	for (unsigned i = 0; i < fibers_n; i++)
		if (!fibers[i]->done && fibers[i]->wake_ns && (!next || fibers[i]->wake_ns < next))
			next = fibers[i]->wake_ns;
	if (!next) {
		for (unsigned i = 0; i < fibers_n; i++)
			if (!fibers[i]->done)
				fprintf(stderr, "  %s waits for %p\n", fibers[i]->name, fibers[i]->waits_for);
		sim_fail("all threads wait for one another");
	}
	sim.now_ns = next;
}

static void schedule(void)
{
	struct fiber *f;

	while (!(f = fiber_choose()))
		clock_forward();
	switch_to(f);
}

void sim_step(const char *what, uint64_t detail)
{
	if (++sim.steps > STEPS_MAX)
		sim_fail("no end after %d steps", STEPS_MAX);
	sim.now_ns += rng_below(&sim.rng, STEP_NS_MAX);
	sim_trace(sim.now_ns ^ (uint64_t)(uint8_t)what[0] << 56 ^ detail << 8);
	if (sim.cut_in && !--sim.cut_in) {
		sim_tell("the end, before: %s", what);
		sim_die();
	}
	if (rng_one_in(&sim.rng, sim.switch_one_in))
		schedule();
}

void fiber_wait(const void *what, uint64_t ns)
{
	self->waiting = true;
	self->waits_for = what;
	self->wake_ns = ns ? sim.now_ns + ns : 0;
	schedule();
	self->wake_ns = 0;
	self->waits_for = NULL;
}

void fiber_sleep(uint64_t ns)
{
	fiber_wait(NULL, ns ? ns : 1);
}

void fiber_wake(const void *what, bool all)
{
	struct fiber *found[FIBERS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < fibers_n; i++)
		if (fibers[i]->waiting && fibers[i]->waits_for == what)
			found[n++] = fibers[i];
	if (!all && n) {
		found[0] = found[rng_below(&sim.rng, n)];
		n = 1;
	}
	for (unsigned i = 0; i < n; i++)
		found[i]->waiting = false;
}

/* ---- beginning and end ---- */

static void fiber_main(void)
{
	stack_arrive(&self->stack, true);
	self->fn(self->ctx);
	self->done = true;
	if (self == fibers[0]) {
		returned = true;
		to_root();
	}
	fiber_wake(self, true);
	schedule();
	abort();
}

static void stack_new(struct stack *s)
{
	char *p = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED || mprotect(p, STACK_GUARD_BYTES, PROT_NONE))
		sim_fail("no memory for a fiber's stack");
	s->bottom = p;
	s->size = STACK_BYTES;
}

/* A place in the list, with a stack: that of one that has ended. */
static struct fiber *fiber_new(void)
{
	struct fiber *f;

	for (unsigned i = 1; i < fibers_n; i++)
		if (fibers[i]->done && !fibers[i]->fn)
			return fibers[i];
	if (fibers_n == FIBERS_MAX)
		sim_fail("more than %d threads", FIBERS_MAX);
	f = fibers[fibers_n];
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			sim_fail("no memory for a fiber");
		stack_new(&f->stack);
		fibers[fibers_n] = f;
	}
	fibers_n++;
	return f;
}

struct fiber *fiber_start(const char *name, void (*fn)(void *ctx), void *ctx)
{
	static const unsigned weights[] = { 1, 4, 4, 16, 64 };
	struct fiber *f = fiber_new();

	*f = (struct fiber){ .name = name, .fn = fn, .ctx = ctx, .stack = f->stack };
	f->stack.fake = NULL;
#ifdef SIM_ASAN
	__asan_unpoison_memory_region(f->stack.bottom, f->stack.size); /* what one that was cut off has left */
#endif
	f->weight = weights[rng_below(&sim.rng, sizeof(weights) / sizeof(*weights))];
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack.bottom;
	f->context.uc_stack.ss_size = f->stack.size;
	makecontext(&f->context, fiber_main, 0);
	return f;
}

void fiber_join(struct fiber *f)
{
	while (!f->done)
		fiber_wait(f, 0);
	f->fn = NULL; /* its place is free */
}

bool sim_live(void (*fn)(void *ctx), void *ctx)
{
	volatile bool begun = false;

	fibers_n = 0;
	getcontext(&root);
	if (!begun) {
		begun = true;
		self = fiber_start("main", fn, ctx);
		stack_leave(&root_stack, &self->stack);
		setcontext(&self->context);
	}
	stack_arrive(&root_stack, false);
	status_adopt(&(struct lsm_error){ 0 });
	return returned;
}
