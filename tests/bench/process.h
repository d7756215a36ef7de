/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_PROCESS_H
#define TESTS_BENCH_PROCESS_H
/* process - what the kernel tells of a process and of a store's directory. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes that a process has caused to be written to storage, and its children that it has waited for; 0 when it is gone. */
uint64_t process_write_bytes(pid_t pid);
/* Anonymous memory that a process has now; 0 when it is gone. */
uint64_t process_anon_bytes(pid_t pid);
/* Processor time of a process's threads, user's and system's; 0 when it is gone. */
double process_cpu_seconds(pid_t pid);
/* Of the children that this process has waited for. */
double children_cpu_seconds(void);

/* Bytes of the blocks of all files below `dir`. */
uint64_t dir_disk_bytes(const char *dir);
/* Takes the files below `dir` out of the page cache, which must not be dirty. False if the kernel kept some. */
bool dir_drop_cache(const char *dir);
/* Removes it and all below. */
void dir_remove(const char *dir);
/* Writes what its file system has not written yet. */
void dir_sync(const char *dir);

/* Appends of 128 bytes with an fdatasync each, over a file that was written before; the number done in `seconds`. */
uint64_t disk_append_syncs(const char *dir, double seconds, double *ret_seconds);

#endif
