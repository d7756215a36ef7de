/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_HOLDERS_H
#define LSMFS_HOLDERS_H
/* holders - which processes use files below a directory. */
#include <stddef.h>

/* Calls `fn` once for each process but the caller's, with the first path by which it uses the directory. Looks only at
 * what the caller may see; never touches the file system itself, which may not answer. Returns the number of
 * processes. */
size_t holders_find(const char *dir, void (*fn)(void *ctx, long pid, const char *command, const char *path), void *ctx);

#endif
