/* SPDX-License-Identifier: MIT */
#ifndef LSM_BASE_STATUS_H
#define LSM_BASE_STATUS_H
/*
 * status - where an error is born. status_set() records what lsm_last_error() shows to the thread and returns the code,
 * so that a failing function ends with `return status_set(...)`. Set a breakpoint there to see corruption appear.
 */
#include "lsm/lsm.h"

/* file may be NULL; sys_errno 0 where the kernel has no part in it. */
int status_set(int code, int sys_errno, const char *file, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* LSM_CORRUPT at an offset of a file. */
#define status_corrupt(file, offset, ...) status_set(LSM_CORRUPT, 0, (file), (offset), __VA_ARGS__)

/* An allocation failed. */
int status_no_memory(size_t size);

/* Maps the kernel's errno to a code: ENOSPC and EDQUOT, ENOMEM, everything else LSM_IO. */
int status_from_errno(int sys_errno, const char *file, const char *what);

/* Shows an error that another thread met (a sticky one) as the calling thread's last error; returns its code. */
int status_adopt(const struct lsm_error *error);

#endif
