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

static int write_whole(struct env *e, const char *path, const void *data, size_t size)
{
	struct env_file *f = NULL;
	int rc = env_open(e, path, ENV_OPEN_CREATE, &f);

	if (!rc)
		rc = file_write(f, 0, data, size);
	if (!rc)
		rc = file_sync(f);
	file_close(f);
	return rc;
}

int env_replace_file(struct env *e, const char *dir, const char *name, const void *data, size_t size, bool *ret_unknown)
{
	static const char suffix[] = ".tmp";
	char *path = env_path(dir, name), *temp = NULL;
	int rc;

	*ret_unknown = false;
	if (path)
		temp = malloc(strlen(path) + sizeof(suffix));
	if (!temp) {
		rc = status_no_memory(strlen(dir) + strlen(name) + sizeof(suffix));
		goto out;
	}
	stpcpy(stpcpy(temp, path), suffix);
	rc = write_whole(e, temp, data, size);
	if (rc)
		goto out;
	rc = e->ops->rename(e, temp, path);
	if (!rc)
		rc = env_sync_dir(e, dir);
	*ret_unknown = rc != LSM_OK;
out:
	free(temp);
	free(path);
	return rc;
}

int env_sync_parent(struct env *e, const char *path)
{
	char *parent = strdup(path), *slash;
	int rc;

	if (!parent)
		return status_no_memory(strlen(path));
	slash = strrchr(parent, '/');
	if (slash && slash != parent)
		*slash = 0;
	else if (slash)
		slash[1] = 0;
	rc = env_sync_dir(e, slash ? parent : ".");
	free(parent);
	return rc;
}

void env_discard(struct env *e, const char *path)
{
	struct lsm_error last = *lsm_last_error();

	(void)env_unlink(e, path);
	status_adopt(&last);
}
