/* SPDX-License-Identifier: MIT */
#include "lsm/env/env.h"

#include <stdlib.h>
#include <string.h>

int file_read_exact(struct env_file *f, uint64_t offset, void *buf, size_t size)
{
	size_t got;
	int rc = file_read(f, offset, buf, size, &got);

	if (rc)
		return rc;
	if (got < size)
		return status_corrupt(f->path, offset,
				      "%s ends at byte %llu, where %zu bytes from byte %llu were expected", f->path,
				      (unsigned long long)(offset + got), size, (unsigned long long)offset);
	return LSM_OK;
}

char *env_path(const char *dir, const char *name)
{
	size_t dir_size = strlen(dir), name_size = strlen(name);
	char *path = malloc(dir_size + name_size + 2);

	if (!path)
		return NULL;
	memcpy(path, dir, dir_size);
	path[dir_size] = '/';
	memcpy(path + dir_size + 1, name, name_size + 1);
	return path;
}

void env_discard(struct env *e, const char *path)
{
	struct lsm_error last = *lsm_last_error();

	(void)env_unlink(e, path);
	status_adopt(&last);
}
