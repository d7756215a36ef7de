/* SPDX-License-Identifier: MIT */
#include "fs/verbs/common.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

const char *program_name = "lsmfs";

static atomic_bool to_syslog;

void complain_to_syslog(void)
{
	openlog(program_name, LOG_PID, LOG_DAEMON);
	atomic_store(&to_syslog, true);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (atomic_load(&to_syslog)) {
		vsyslog(LOG_NOTICE, format, args);
	} else {
		flockfile(stderr);
		fprintf(stderr, "%s: ", program_name);
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
		funlockfile(stderr);
	}
	va_end(args);
}

char *path_absolute(const char *path)
{
	char *whole = realpath(path, NULL);
	char *copy, *slash, *parent, *absolute = NULL;

	if (whole || (errno != ENOTCONN && errno != ENOENT))
		return whole;
	copy = strdup(path);
	if (!copy)
		return NULL;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	parent = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (parent &&
	    asprintf(&absolute, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash ? slash + 1 : copy) < 0)
		absolute = NULL;
	free(parent);
	free(copy);
	return absolute;
}

bool path_is_within(const char *inner, const char *outer)
{
	size_t length = strlen(outer);

	if (strcmp(outer, "/") == 0)
		return true;
	return strncmp(inner, outer, length) == 0 && (!inner[length] || inner[length] == '/');
}

void parse_arguments(const struct argp *argp, int argc, char **argv, int exit_usage, void *input)
{
	argp_err_exit_status = exit_usage;
	if (argp_parse(argp, argc, argv, 0, NULL, input))
		exit(exit_usage);
}

error_t take_words(int key, char *arg, struct argp_state *state, const char **const *words, unsigned min, unsigned max,
		   const char *needed)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num >= max)
			argp_error(state, "too many arguments, from '%s' on", arg);
		*words[state->arg_num] = arg;
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num < min)
			argp_error(state, "%s", needed);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

bool parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		suffix = strchr(suffixes, toupper((unsigned char)*end));
		if (!suffix || end[1])
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (n > UINT64_MAX >> shift)
		return false;
	*ret_bytes = (uint64_t)n << shift;
	return true;
}

#define WORD_MAX 31

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* The number of letters to insert, leave out, replace or swap with their neighbour. */
static unsigned word_distance(const char *a, const char *b)
{
	unsigned cost[WORD_MAX + 1][WORD_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	for (size_t i = 0; i <= n; i++) {
		for (size_t k = 0; k <= m; k++) {
			if (!i || !k) {
				cost[i][k] = (unsigned)(i + k);
				continue;
			}
			cost[i][k] = min3(cost[i - 1][k] + 1, cost[i][k - 1] + 1,
					  cost[i - 1][k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
			    cost[i - 2][k - 2] + 1 < cost[i][k])
				cost[i][k] = cost[i - 2][k - 2] + 1;
		}
	}
	return cost[n][m];
}

const char *closest_word(const char *word, const char *const *words)
{
	size_t length = strlen(word);
	unsigned best = (unsigned)(length / 3 + 1); /* no more mistakes than this */
	const char *found = NULL;

	if (!length || length > WORD_MAX)
		return NULL;
	for (; *words; words++) {
		unsigned distance;
		if (strlen(*words) > WORD_MAX)
			continue;
		distance = word_distance(word, *words);
		if (distance < best || (!found && distance == best && distance < length)) {
			best = distance;
			found = *words;
		}
	}
	return found;
}

void print_name(const char *name, bool to_terminal)
{
	if (!to_terminal) {
		fputs(name, stdout);
		return;
	}
	for (; *name; name++)
		putchar(iscntrl((unsigned char)*name) ? '?' : *name);
}
