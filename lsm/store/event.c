/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "lsm/store/db.h"

void db_log(struct lsm_db *db, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (!db->options.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	db->options.log(db->options.log_ctx, line);
}
