/* SPDX-License-Identifier: MIT */
/*
 * many_files - a directory of many files, one pass at a time.
 *
 *   many_files create|list|stat|read|rename|list-renamed|remove DIR COUNT
 *
 * Each pass checks what it meets and says how long it took; COUNT is the number of files that must be there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "many_files: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wrong(const char *name, const char *what)
{
	fprintf(stderr, "many_files: %s: %s\n", name, what);
	exit(1);
}

/* The size of a file depends on its number, so that a stat of the wrong one is seen. */
static int make_text(long i, char *buf, size_t size)
{
	static const char dots[] = "..................................................";

	return snprintf(buf, size, "this is file %ld%.*s\n", i, (int)(i % 50), dots);
}

static void create(long i, const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
	char text[128];
	int n = make_text(i, text, sizeof(text));

	if (fd < 0 || write(fd, text, (size_t)n) != n || close(fd) < 0)
		die(name);
}

static void stat_one(long i, const char *name)
{
	struct stat st;
	char text[128];

	if (lstat(name, &st) < 0)
		die(name);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_size != make_text(i, text, sizeof(text)))
		wrong(name, "stat gives something else");
}

static void read_one(long i, const char *name)
{
	char text[128], got[128];
	int n = make_text(i, text, sizeof(text)), fd = open(name, O_RDONLY);

	if (fd < 0)
		die(name);
	if (read(fd, got, sizeof(got)) != n || memcmp(text, got, (size_t)n) != 0)
		wrong(name, "holds something else");
	close(fd);
}

static void rename_one(long i, const char *name)
{
	char to[64];

	snprintf(to, sizeof(to), "renamed-%ld", i);
	if (rename(name, to) < 0)
		die(name);
}

static void remove_one(long i, const char *name)
{
	(void)i;
	if (unlink(name) < 0)
		die(name);
}

/* Each of the numbers below `count` comes once behind the prefix, and nothing else comes. */
static void list(const char *prefix, long count)
{
	unsigned char *seen = calloc((size_t)count + 1, 1);
	DIR *d = opendir(".");
	long n = 0;

	if (d == NULL || seen == NULL)
		die("list");
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		long i;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			wrong(e->d_name, "should not be there");
		i = atol(e->d_name + strlen(prefix));
		if (i < 0 || i >= count || seen[i]++)
			wrong(e->d_name, "should not be there, or came twice");
		n++;
	}
	closedir(d);
	free(seen);
	if (n != count) {
		fprintf(stderr, "many_files: %ld names are listed, %ld should be\n", n, count);
		exit(1);
	}
}

struct pass {
	const char *name;
	void (*each)(long i, const char *name);
	const char *prefix;
};

int main(int argc, char **argv)
{
	static const struct pass passes[] = {
		{ "create", create, "file-" },        { "list", NULL, "file-" },
		{ "stat", stat_one, "file-" },        { "read", read_one, "file-" },
		{ "rename", rename_one, "file-" },    { "list-renamed", NULL, "renamed-" },
		{ "remove", remove_one, "renamed-" },
	};
	const struct pass *pass = NULL;
	struct timespec from, to;
	double seconds;
	long count;

	for (size_t i = 0; argc == 4 && i < sizeof(passes) / sizeof(passes[0]); i++)
		if (strcmp(argv[1], passes[i].name) == 0)
			pass = &passes[i];
	if (pass == NULL) {
		fprintf(stderr, "usage: many_files create|list|stat|read|rename|list-renamed|remove DIR COUNT\n");
		return 2;
	}
	count = atol(argv[3]);
	if (chdir(argv[2]) < 0)
		die(argv[2]);
	clock_gettime(CLOCK_MONOTONIC, &from);
	if (pass->each == NULL)
		list(pass->prefix, count);
	for (long i = 0; pass->each != NULL && i < count; i++) {
		long which = i * 7919 % count; /* not in the order of creation, if count is no multiple of this prime */
		char name[64];

		if (pass->each == create)
			which = i;
		snprintf(name, sizeof(name), "%s%ld", pass->prefix, which);
		pass->each(which, name);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	printf("%-12s %ld files in %.2f s, %.0f/s\n", pass->name, count, seconds, (double)count / seconds);
	return 0;
}
