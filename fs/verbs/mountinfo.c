/* SPDX-License-Identifier: MIT */
#include "fs/verbs/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in;) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' && in[3] >= '0' &&
		    in[3] <= '7') {
			*out++ = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 4;
		} else {
			*out++ = *in++;
		}
	}
	*out = 0;
}

/* A copy of the field number `n` (from 0) of a line. */
static char *field(const char *line, int n)
{
	char *copy;

	for (; n > 0; n--) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return NULL;
		line++;
	}
	if (!*line || *line == '\n')
		return NULL;
	copy = strndup(line, strcspn(line, " \n"));
	if (copy)
		unescape(copy);
	return copy;
}

/* The number behind `name` among the options at the end of a line; 0: it isn't there. */
static uid_t option_number(const char *options, const char *name)
{
	size_t size = strlen(name);

	for (const char *p = strstr(options, name); p; p = strstr(p + 1, name)) {
		if (p[-1] == ' ' || p[-1] == ',')
			return (uid_t)strtoul(p + size, NULL, 10);
	}
	return 0;
}

/* id parent major:minor root DIR options [tags …] - TYPE SOURCE options */
bool mount_entry_parse(const char *line, struct mount_entry *ret)
{
	const char *dash = strstr(line, " - "), *options = strrchr(line, ' ');
	struct mount_entry entry = { 0 };
	unsigned dev_major, dev_minor;
	char *root;

	if (!dash || sscanf(line, "%*u %*u %u:%u", &dev_major, &dev_minor) != 2)
		return false;
	root = field(line, 3);
	entry.device = makedev(dev_major, dev_minor);
	entry.whole = root && strcmp(root, "/") == 0;
	free(root);
	entry.user = option_number(options + 1, "user_id=");
	entry.dir = field(line, 4);
	entry.type = field(dash, 2);
	entry.source = field(dash, 3);
	if (entry.dir && entry.type && entry.source) {
		*ret = entry;
		return true;
	}
	mount_entry_done(&entry);
	return false;
}

void mount_entry_done(struct mount_entry *entry)
{
	free(entry->dir);
	free(entry->type);
	free(entry->source);
	*entry = (struct mount_entry){ 0 };
}

int mount_find(const char *dir, const char *source, struct mount_entry *ret)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t line_size = 0;
	int found = 0;

	if (!file)
		return -errno;
	while (getline(&line, &line_size, file) > 0) {
		struct mount_entry entry;
		if (!mount_entry_parse(line, &entry))
			continue;
		if ((dir && strcmp(entry.dir, dir) != 0) ||
		    (source &&
		     (!entry.whole || strcmp(entry.type, MOUNT_TYPE_OURS) != 0 || strcmp(entry.source, source) != 0))) {
			mount_entry_done(&entry);
			continue;
		}
		/* later lines lie above earlier ones */
		if (found)
			mount_entry_done(ret);
		*ret = entry;
		found = 1;
	}
	free(line);
	fclose(file);
	return found;
}
