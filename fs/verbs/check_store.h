/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_CHECK_STORE_H
#define LSMFS_CHECK_STORE_H
/* check_store - a whole check of a store that nobody has open, the engine's and the volume's, told line by line. */
#include <stdbool.h>
#include <stdint.h>

struct check_result {
	uint64_t store_finds, volume_finds;  /* damage */
	uint64_t infos;                      /* what is no damage */
	uint64_t bytes;                      /* that the store's files have */
	uint64_t files, directories, others; /* of the volume */
	bool unsupported;                    /* a file is of a later version: not all was understood */
};

/*
 * Checks the store in directory `path`, and prints each find on a line of its own, with `shown` in place of `path`. `quiet`:
 * but for those that are no damage. Returns 0, or a negative errno of which has been complained: there is no whole result then.
 */
int check_store(const char *path, const char *shown, bool quiet, struct check_result *ret);

/* From now on SIGINT, SIGTERM and SIGHUP end a check with -EINTR, so that its caller can clean up. */
void check_stop_on_signals(void);

#endif
