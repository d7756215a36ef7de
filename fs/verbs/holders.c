/* SPDX-License-Identifier: MIT */
#include "fs/verbs/holders.h"
#include "fs/verbs/common.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The target of a link of /proc lies below `dir`. */
static bool link_is_within(const char *link, const char *dir, char *target, size_t size)
{
	ssize_t n = readlink(link, target, size - 1);

	if (n <= 0)
		return false;
	target[n] = 0;
	return target[0] == '/' && path_is_within(target, dir);
}

static bool any_fd_is_within(long pid, const char *dir, char *target, size_t size)
{
	char path[300];
	const struct dirent *entry;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	fds = opendir(path);
	if (!fds)
		return false;
	while (!found && (entry = readdir(fds))) {
		snprintf(path, sizeof(path), "/proc/%ld/fd/%s", pid, entry->d_name);
		found = link_is_within(path, dir, target, size);
	}
	closedir(fds);
	return found;
}

static bool any_mapping_is_within(long pid, const char *dir, char *target, size_t size)
{
	char path[64], *line = NULL;
	size_t line_size = 0;
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%ld/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (!found && getline(&line, &line_size, maps) > 0) {
		char *mapped = strchr(line, '/');
		if (!mapped)
			continue;
		mapped[strcspn(mapped, "\n")] = 0;
		found = path_is_within(mapped, dir);
		if (found)
			snprintf(target, size, "%s", mapped);
	}
	free(line);
	fclose(maps);
	return found;
}

static bool process_uses(long pid, const char *dir, char *target, size_t size)
{
	static const char *const links[] = { "cwd", "root", "exe" };
	char path[64];

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%ld/%s", pid, links[i]);
		if (link_is_within(path, dir, target, size))
			return true;
	}
	return any_fd_is_within(pid, dir, target, size) || any_mapping_is_within(pid, dir, target, size);
}

static void read_command(long pid, char *command, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	snprintf(command, size, "?");
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(command, (int)size, file))
		command[strcspn(command, "\n")] = 0;
	fclose(file);
}

size_t holders_find(const char *dir, void (*fn)(void *ctx, long pid, const char *command, const char *path), void *ctx)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	size_t found = 0;

	if (!proc)
		return 0;
	while ((entry = readdir(proc))) {
		char target[4096], command[64], *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (*end || pid <= 0 || pid == getpid() || !process_uses(pid, dir, target, sizeof(target)))
			continue;
		read_command(pid, command, sizeof(command));
		fn(ctx, pid, command, target);
		found++;
	}
	closedir(proc);
	return found;
}
