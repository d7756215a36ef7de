/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_COMMON_H
#define TESTS_BENCH_COMMON_H
/* common - what the programs that measure share: failing, signals, what options hold, medians. */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Says who failed at what, and ends the process. Each program brings its own. */
_Noreturn void bench_fail(const char *who, const char *message);

/* Set by SIGINT, SIGTERM and SIGHUP from interrupts_catch() on; SIGPIPE is ignored then. */
extern volatile sig_atomic_t interrupted;
void interrupts_catch(void);

/* Sets chosen[i] for each name of a comma list that is name(i), in whatever case. Ends the process on one that isn't known. */
void list_choose(const char *kind, const char *list, unsigned n, const char *(*name)(unsigned i), bool *chosen);

/* Ends the process when `text` isn't a number in these bounds. */
uint64_t number_parse(const char *option, const char *text, uint64_t min, uint64_t max);

/* Sorts them. 0 when there are none. */
double median(double *values, unsigned n);

#endif
