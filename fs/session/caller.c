/* SPDX-License-Identifier: MIT */
/* Who asks: what FUSE doesn't tell is read from /proc while the asking thread waits for its answer. */
#include "fs/session/internal.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether one of the numbers in `list` is `gid`. */
static bool has_number(const char *list, gid_t gid)
{
	char *end;

	for (unsigned long n = strtoul(list, &end, 10); end != list; n = strtoul(list, &end, 10)) {
		if (n == gid)
			return true;
		list = end;
	}
	return false;
}

/* What counts: being in the group, or CAP_FSETID. */
struct wanted {
	gid_t gid;
	bool or_fsetid;
};

static bool line_says(const char *line, const struct wanted *w)
{
	if (strncmp(line, "Groups:", 7) == 0)
		return has_number(line + 7, w->gid);
	return w->or_fsetid && strncmp(line, "CapEff:", 7) == 0 && strtoull(line + 7, NULL, 16) >> CAP_FSETID & 1;
}

static bool caller_has(fuse_req_t req, const struct wanted *w)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	bool has = ctx->gid == w->gid;
	char path[64], *line = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)ctx->pid);
	file = has || ctx->pid <= 0 ? NULL : fopen(path, "re");
	if (!file)
		return has;
	while (!has && getline(&line, &size, file) > 0)
		has = line_says(line, w);
	free(line);
	fclose(file);
	return has;
}

bool caller_is_in_group(fuse_req_t req, gid_t gid)
{
	return caller_has(req, &(struct wanted){ gid, false });
}

bool caller_may_set_gid(fuse_req_t req, gid_t gid)
{
	return caller_has(req, &(struct wanted){ gid, true });
}
