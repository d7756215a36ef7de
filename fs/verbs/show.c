/* SPDX-License-Identifier: MIT */
#include "fs/verbs/show.h"

#include <stdio.h>
#include <sys/stat.h>

void mode_to_text(uint32_t mode, char text[11])
{
	static const struct {
		uint32_t type;
		char letter;
	} types[] = {
		{ S_IFREG, '-' }, { S_IFDIR, 'd' }, { S_IFLNK, 'l' },  { S_IFCHR, 'c' },
		{ S_IFBLK, 'b' }, { S_IFIFO, 'p' }, { S_IFSOCK, 's' },
	};
	static const char letters[] = "rwxrwxrwx";

	text[0] = '?';
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if ((mode & S_IFMT) == types[i].type)
			text[0] = types[i].letter;
	}
	for (unsigned i = 0; i < 9; i++)
		text[1 + i] = mode & (0400u >> i) ? letters[i] : '-';
	if (mode & S_ISUID)
		text[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = mode & S_IXOTH ? 't' : 'T';
	text[10] = 0;
}

void time_to_text(const struct timespec *time, char text[64])
{
	char date[32] = "", zone[16] = "";
	struct tm local;

	if (localtime_r(&time->tv_sec, &local)) {
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &local);
		strftime(zone, sizeof(zone), "%z", &local);
	}
	snprintf(text, 64, "%s.%09ld %s", date, (long)time->tv_nsec, zone);
}
