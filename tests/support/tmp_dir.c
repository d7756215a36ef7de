/* SPDX-License-Identifier: MIT */
#include "tests/support/tmp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

char *tmp_dir_new(void)
{
	const char *base = getenv("TMPDIR");
	char path[512];
	char *dir;

	snprintf(path, sizeof(path), "%s/lsmfs-test-XXXXXX", base && *base ? base : "/tmp");
	dir = mkdtemp(path);
	must(dir, path);
	dir = strdup(dir);
	must(dir, "strdup");
	return dir;
}

void tmp_dir_clear(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	must(d, dir);
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			must(!unlinkat(dirfd(d), entry->d_name, 0), entry->d_name);
	closedir(d);
}

void tmp_dir_free(char *dir)
{
	tmp_dir_clear(dir);
	must(!rmdir(dir), dir);
	free(dir);
}

const char *tmp_path(const char *dir, const char *name)
{
	static _Thread_local char paths[8][1024];
	static _Thread_local unsigned next;
	char *path = paths[next++ % 8];

	must((size_t)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name) < sizeof(paths[0]), "path");
	return path;
}

uint8_t *tmp_file_load(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;

	must(fd >= 0 && !fstat(fd, &st), path);
	data = malloc((size_t)st.st_size + 1);
	must(data && read(fd, data, (size_t)st.st_size) == st.st_size, path);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return data;
}

void tmp_file_store(const char *path, const void *data, size_t size)
{
	/* Without O_TRUNC, for which ext4 would write the file out when it is closed. */
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	must(fd >= 0 && (!size || write(fd, data, size) == (ssize_t)size), path);
	must(!ftruncate(fd, (off_t)size), path);
	close(fd);
}

void tmp_file_flip(const char *path, size_t offset, uint8_t bits)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte = 0;

	must(fd >= 0 && pread(fd, &byte, 1, (off_t)offset) == 1, path);
	byte ^= bits;
	must(pwrite(fd, &byte, 1, (off_t)offset) == 1, path);
	close(fd);
}
