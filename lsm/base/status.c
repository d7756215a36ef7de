/* SPDX-License-Identifier: MIT */
#include "lsm/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct lsm_error last_error;

const struct lsm_error *lsm_last_error(void)
{
	return &last_error;
}

const char *lsm_strerror(int code)
{
	switch (code) {
	case LSM_OK:
		return "success";
	case LSM_NOT_FOUND:
		return "not found";
	case LSM_CORRUPT:
		return "corrupt data";
	case LSM_IO:
		return "input/output error";
	case LSM_NO_SPACE:
		return "no space left";
	case LSM_NO_MEMORY:
		return "out of memory";
	case LSM_INVALID:
		return "invalid argument";
	case LSM_BUSY:
		return "in use by another process";
	case LSM_READ_ONLY:
		return "read-only";
	case LSM_UNSUPPORTED:
		return "unsupported format feature";
	case LSM_NOT_STORE:
		return "not a store";
	case LSM_EXISTS:
		return "store exists already";
	default:
		return "unknown error";
	}
}

int status_set(int code, int sys_errno, const char *file, uint64_t offset, const char *format, ...)
{
	struct lsm_error *e = &last_error;
	va_list args;

	e->code = code;
	e->sys_errno = sys_errno;
	e->offset = offset;
	snprintf(e->file, sizeof(e->file), "%s", file ? file : "");
	va_start(args, format);
	vsnprintf(e->message, sizeof(e->message), format, args);
	va_end(args);
	return code;
}

int status_no_memory(size_t size)
{
	return status_set(LSM_NO_MEMORY, ENOMEM, NULL, 0, "cannot allocate %zu bytes of memory", size);
}

int status_from_errno(int sys_errno, const char *file, const char *what)
{
	int code = LSM_IO;

	if (sys_errno == ENOSPC || sys_errno == EDQUOT)
		code = LSM_NO_SPACE;
	else if (sys_errno == ENOMEM)
		code = LSM_NO_MEMORY;
	return status_set(code, sys_errno, file, 0, "cannot %s %s: %s", what, file, strerror(sys_errno));
}

int status_adopt(const struct lsm_error *error)
{
	last_error = *error;
	return error->code;
}
