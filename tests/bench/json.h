/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_JSON_H
#define TESTS_BENCH_JSON_H
/* json - lines of JSON. A line begins with `{"type":"…"`, and the rest is added field by field. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Opened before the run: an error is to be met before a quarter of an hour has passed. NULL for no path. Ends the
 * process when it can't be made. */
FILE *json_open(const char *path);
/* False, and said: not everything could be written. NULL is accepted. */
bool json_close(FILE *f, const char *path);

void json_begin(FILE *f, const char *type);
void json_text(FILE *f, const char *name, const char *value);
void json_integer(FILE *f, const char *name, uint64_t value);
void json_real(FILE *f, const char *name, double value);
void json_bool(FILE *f, const char *name, bool value);
/* The time, and what the machine is. */
void json_machine(FILE *f);
/* Ends the line, which is in the file then. */
void json_end(FILE *f);

#endif
