/* SPDX-License-Identifier: MIT */
#include "tests/bench/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	interrupted = signal;
}

void interrupts_catch(void)
{
	const struct sigaction action = { .sa_handler = on_signal };
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- lists ---- */

/* The next name of a comma list; false at its end. */
static bool next_name(const char **list, char *ret, size_t size)
{
	size_t n = strcspn(*list, ",");

	if (!**list)
		return false;
	snprintf(ret, size, "%.*s", (int)n, *list);
	*list += n + ((*list)[n] == ',');
	return true;
}

static void add_text(char *text, size_t size, const char *more)
{
	size_t n = strlen(text);

	snprintf(text + n, size - n, "%s%s", n ? ", " : "", more);
}

_Noreturn static void unknown(const char *kind, const char *given, unsigned n, const char *(*name)(unsigned i))
{
	char known[2048] = "", text[2200];

	for (unsigned i = 0; i < n; i++)
		add_text(known, sizeof(known), name(i));
	snprintf(text, sizeof(text), "there is no %s \"%s\"; known are: %s", kind, given, known);
	bench_fail("options", text);
}

void list_choose(const char *kind, const char *list, unsigned n, const char *(*name)(unsigned i), bool *chosen)
{
	char given[64];

	while (next_name(&list, given, sizeof(given))) {
		unsigned i = 0;

		while (i < n && strcasecmp(name(i), given))
			i++;
		if (i == n)
			unknown(kind, given, n, name);
		chosen[i] = true;
	}
}

/* ---- numbers ---- */

uint64_t number_parse(const char *option, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (end == text || *end || *text == '-' || n < min || n > max) {
		char message[160];

		snprintf(message, sizeof(message), "\"%s\" is not a number from %llu to %llu", text,
			 (unsigned long long)min, (unsigned long long)max);
		bench_fail(option, message);
	}
	return n;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, unsigned n)
{
	if (!n)
		return 0;
	qsort(values, n, sizeof(values[0]), compare_doubles);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
