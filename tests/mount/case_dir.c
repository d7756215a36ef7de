/* SPDX-License-Identifier: MIT */
/* Listing directories, while they change and by positions. */
#include "mount_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void make_files(const char *prefix, int n)
{
	char name[64];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%05d", prefix, i);
		mt_put(name, "");
	}
}

static void entries_tell_the_truth(void **state)
{
	DIR *d;
	int n = 0;

	(void)state;
	mt_put("file", "x");
	ok(mkdir("dir", 0755));
	ok(symlink("file", "link"));
	ok(mkfifo("fifo", 0644));
	d = opendir(".");
	check(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL; n++) {
		struct stat st = mt_stat(e->d_name);

		if (strcmp(e->d_name, "..") != 0)
			same(st.st_ino, e->d_ino);
		check(e->d_type == IFTODT(st.st_mode) || e->d_type == DT_UNKNOWN);
	}
	same(6, n); /* with "." and ".." */
	ok(closedir(d));
	fails(open("file/.", O_RDONLY), ENOTDIR);
}

static void listing_follows_changes(void **state)
{
	(void)state;
	ok(mkdir("d", 0755));
	same(0, mt_count("d"));
	for (int i = 1; i <= 30; i++) { /* a cached listing must not go stale */
		char name[32];

		snprintf(name, sizeof(name), "d/n%d", i);
		mt_put(name, "");
		same(i, mt_count("d"));
	}
	ok(unlink("d/n7"));
	same(29, mt_count("d"));
	ok(rename("d/n8", "n8"));
	same(28, mt_count("d"));
	ok(rename("d/n9", "d/n10"));
	same(27, mt_count("d"));
	ok(rename("n8", "d/n8"));
	same(28, mt_count("d"));
}

struct seen {
	unsigned char stayed[4000];
};

static void note(struct seen *seen, const char *name)
{
	if (strncmp(name, "stay", 4) == 0) {
		int i = atoi(name + 4);

		check(i >= 0 && i < (int)sizeof(seen->stayed));
		seen->stayed[i]++;
	}
}

/* Lists with buffers of `size` bytes, and after each makes and removes names around the ones which stay. */
static void list_under_change(size_t size, struct seen *seen)
{
	int dir = (int)ok(open(".", O_RDONLY | O_DIRECTORY)), round = 0;
	char buf[32768], name[32];

	memset(seen, 0, sizeof(*seen));
	for (long n; (n = ok(syscall(SYS_getdents64, dir, buf, size))) > 0; round++) {
		for (long at = 0; at < n;) {
			const struct dirent64 *e = (const void *)(buf + at);

			note(seen, e->d_name);
			at += e->d_reclen;
		}
		for (int i = 0; i < 5; i++) {
			snprintf(name, sizeof(name), "go%05d", round * 5 + i);
			if (unlink(name) < 0)
				same(ENOENT, errno);
			snprintf(name, sizeof(name), "new%zu.%05d", size, round * 5 + i);
			if (round < 400)
				mt_put(name, "");
		}
	}
	ok(close(dir));
}

static void nothing_missed_nothing_twice(void **state)
{
	static const size_t sizes[] = { 512, 4096, 32768 };
	struct seen seen;

	(void)state;
	make_files("stay", 2000);
	make_files("go", 1000);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		list_under_change(sizes[s], &seen);
		for (int i = 0; i < 2000; i++)
			if (seen.stayed[i] != 1) {
				print_error("stay%05d came %d times, buffer %zu\n", i, seen.stayed[i], sizes[s]);
				check(seen.stayed[i] == 1);
			}
	}
}

static void positions(void **state)
{
	enum { N = 300 };
	long at[N + 2];
	char names[N + 2][256];
	int n = 0;
	DIR *d = NULL;

	(void)state;
	make_files("f", N);
	d = opendir(".");
	check(d != NULL);
	for (;;) {
		long here = telldir(d);
		struct dirent *e = readdir(d);

		if (e == NULL)
			break;
		check(n < N + 2);
		at[n] = here;
		strcpy(names[n++], e->d_name);
	}
	same(N + 2, n);
	for (int i = n - 1; i >= 0; i -= 7) {
		struct dirent *e;

		seekdir(d, at[i]);
		e = readdir(d);
		check(e != NULL && strcmp(e->d_name, names[i]) == 0);
	}
	/* a position stays good when names before it and behind it go and come */
	for (int i = 2; i < 100; i++)
		if (strcmp(names[i], ".") != 0 && strcmp(names[i], "..") != 0)
			ok(unlink(names[i]));
	make_files("a", 20);
	seekdir(d, at[200]);
	check(strcmp(readdir(d)->d_name, names[200]) == 0);
	ok(closedir(d));
}

static void rewinding(void **state)
{
	DIR *d = opendir(".");
	int n = 0;

	(void)state;
	check(d != NULL);
	while (readdir(d) != NULL)
		n++;
	same(2, n);
	mt_put("f", "");
	rewinddir(d);
	for (n = 0; readdir(d) != NULL;)
		n++;
	same(3, n);
	ok(closedir(d));
}

static void remove_while_listing(void **state)
{
	DIR *d;

	(void)state;
	ok(mkdir("d", 0755));
	ok(chdir("d"));
	make_files("f", 2500);
	d = opendir("."); /* what rm -r does */
	check(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.')
			ok(unlink(e->d_name));
	ok(closedir(d));
	same(0, mt_count("."));
	ok(chdir(".."));
	ok(rmdir("d"));
}

static void removed_directory_lists_nothing(void **state)
{
	DIR *d;

	(void)state;
	ok(mkdir("d", 0755));
	d = opendir("d");
	check(d != NULL);
	ok(rmdir("d"));
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		check(e->d_name[0] == '.');
	ok(closedir(d));
}

struct churn {
	int who;
};

static void churn(void *arg)
{
	struct churn *c = arg;
	char name[32], other[32];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "w%d.%d", c->who, i % 20);
		snprintf(other, sizeof(other), "w%d.r", c->who);
		mt_put(name, "text");
		ok(rename(name, other));
		mt_holds(other, "text");
		(void)mt_count(".");
	}
}

static void several_at_once(void **state)
{
	struct churn c[4];
	pid_t pids[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		c[i].who = i;
		pids[i] = mt_fork(churn, &c[i]);
	}
	for (int i = 0; i < 4; i++)
		mt_join(pids[i]);
	same(4, mt_count("."));
}

int mt_run_dir(void)
{
	const struct CMUnitTest tests[] = {
		CASE(entries_tell_the_truth),
		CASE(listing_follows_changes),
		CASE(nothing_missed_nothing_twice),
		CASE(positions),
		CASE(rewinding),
		CASE(remove_while_listing),
		CASE(removed_directory_lists_nothing),
		CASE(several_at_once),
	};

	return cmocka_run_group_tests_name("directories", tests, NULL, NULL);
}
