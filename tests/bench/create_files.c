/* SPDX-License-Identifier: MIT */
/* create_files DIR COUNT SIZE - makes COUNT files of SIZE bytes in the new directory DIR; prints files per second. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int create(int dir, long i, const char *bytes, size_t size)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "file-%06ld", i);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		return -1;
	if (write(fd, bytes, size) != (ssize_t)size) {
		close(fd);
		return -1;
	}
	return close(fd);
}

int main(int argc, char **argv)
{
	struct timespec from, to;
	long count = argc == 4 ? atol(argv[2]) : 0;
	size_t size = argc == 4 ? (size_t)atol(argv[3]) : 0;
	char *bytes = calloc(1, size + 1);
	int dir;

	if (count <= 0 || bytes == NULL) {
		fprintf(stderr, "usage: create_files DIR COUNT SIZE\n");
		return 2;
	}
	memset(bytes, 'b', size);
	if (mkdir(argv[1], 0755) < 0 || (dir = open(argv[1], O_RDONLY | O_DIRECTORY)) < 0) {
		fprintf(stderr, "create_files: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (long i = 0; i < count; i++)
		if (create(dir, i, bytes, size) < 0) {
			fprintf(stderr, "create_files: file %ld: %s\n", i, strerror(errno));
			return 1;
		}
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.0f\n",
	       (double)count / ((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9));
	free(bytes);
	return 0;
}
