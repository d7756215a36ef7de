/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_VERBS_PROGRESS_H
#define LSMFS_VERBS_PROGRESS_H
/* progress - how far a copy or a check is, on a line of the terminal that is rewritten; nothing where standard error is none. */
#include <stdbool.h>
#include <stdint.h>

struct lsm_copy_options;

struct progress {
	const char *what; /* "copied", "verified" */
	bool shown;       /* standard error is a terminal */
	int percent;      /* as shown last; -1: not yet */
	const char *unit; /* of what is counted; NULL: bytes */
};

/* `ret` calls back into `p`, which must live as long; it may be NULL. */
void progress_init(struct progress *p, const char *what, struct lsm_copy_options *ret);
/* So much is done; `ctx` is the struct progress. 0. */
int progress_show(void *ctx, uint64_t done, uint64_t total);
/* Clears the line, for good or until the next call back. */
void progress_done(struct progress *p);

/* "12 bytes", "3.4 MiB". */
void bytes_to_text(uint64_t bytes, char ret[32]);

#endif
