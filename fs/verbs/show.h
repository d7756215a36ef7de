/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_SHOW_H
#define LSMFS_SHOW_H
/* show - attributes as text, for ls and stat. */
#include <stdint.h>
#include <time.h>

/* "-rw-r--r--" */
void mode_to_text(uint32_t mode, char text[11]);
/* "2026-11-22 13:05:01.123456789 +0000" */
void time_to_text(const struct timespec *time, char text[64]);

#endif
