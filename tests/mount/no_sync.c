/* SPDX-License-Identifier: MIT */
/* no_sync - loaded in front of a program (LD_PRELOAD), it makes all that syncs files do nothing. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int fsync(int fd)
{
	(void)fd;
	return 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

int syncfs(int fd)
{
	(void)fd;
	return 0;
}

int msync(void *at, size_t size, int flags)
{
	(void)at;
	(void)size;
	(void)flags;
	return 0;
}
