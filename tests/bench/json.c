/* SPDX-License-Identifier: MIT */
#include "tests/bench/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/common.h"

FILE *json_open(const char *path)
{
	FILE *f = path ? fopen(path, "w") : NULL;

	if (path && !f)
		bench_fail(path, strerror(errno));
	return f;
}

bool json_close(FILE *f, const char *path)
{
	bool good = true;

	if (f) {
		good = !ferror(f);
		good = !fclose(f) && good;
	}
	if (!good)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return good;
}

void json_begin(FILE *f, const char *type)
{
	fprintf(f, "{\"type\":\"%s\"", type);
}

/* No text here holds what JSON would have to escape but quotes and backslashes. */
void json_text(FILE *f, const char *name, const char *value)
{
	fprintf(f, ",\"%s\":\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', f);
		if ((unsigned char)*value >= ' ')
			fputc(*value, f);
	}
	fputc('"', f);
}

void json_integer(FILE *f, const char *name, uint64_t value)
{
	fprintf(f, ",\"%s\":%" PRIu64, name, value);
}

void json_real(FILE *f, const char *name, double value)
{
	fprintf(f, ",\"%s\":%.9g", name, value);
}

void json_bool(FILE *f, const char *name, bool value)
{
	fprintf(f, ",\"%s\":%s", name, value ? "true" : "false");
}

void json_machine(FILE *f)
{
	struct utsname name = { 0 };

	uname(&name);
	json_integer(f, "time", (uint64_t)time(NULL));
	json_text(f, "system", name.sysname);
	json_text(f, "release", name.release);
	json_text(f, "machine", name.machine);
	json_integer(f, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	json_integer(f, "memory_bytes", (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
}

void json_end(FILE *f)
{
	fputs("}\n", f);
	fflush(f);
}
