/* SPDX-License-Identifier: MIT */
/* Listings: what they tell, positions in them, and directories that change meanwhile. */
#include "suite.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Entries as the kernel hands them out. */
typedef bool (*entry_fn)(void *ctx, const struct dirent64 *entry);

/* Lists from where the descriptor stands, with a buffer of `size` bytes; false from `fn` ends it. A negative errno, or
 * how many entries came. */
static long list(int fd, size_t size, entry_fn fn, void *ctx)
{
	char *buf = malloc(size);
	long n, count = 0;

	must(buf ? 0 : -1);
	while ((n = rc(syscall(SYS_getdents64, fd, buf, size))) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *e = (const void *)(buf + at);

			count++;
			at += e->d_reclen;
			if (!fn(ctx, e)) {
				free(buf);
				return count;
			}
		}
	free(buf);
	return n < 0 ? n : count;
}

static void fill(const char *dir, const char *prefix, int n)
{
	char name[64];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s%d", dir, prefix, i);
		must(mknod(name, S_IFREG | 0644, 0));
	}
}

/* ---- what is told ---- */

static bool check_entry(void *ctx, const struct dirent64 *e)
{
	const char *dir = ctx;
	char path[600];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
	st = look(path);
	expect_equal((long long)st.st_ino, (long long)e->d_ino, "inode number in the listing: %s", path);
	expect_equal(IFTODT(st.st_mode), e->d_type, "type in the listing: %s", path);
	return true;
}

static void truth(const char *dir, long want)
{
	int fd = (int)must(open(dir, O_RDONLY | O_DIRECTORY));

	expect(want, list(fd, 4096, check_entry, (void *)(intptr_t)dir), "entries of %s", dir);
	must(close(fd));
}

static bool keep_entry(void *ctx, const struct dirent64 *e)
{
	(void)ctx, (void)e;
	return true;
}

/* The whole list first, and what the entries are only afterwards: the kernel asks for a list with attributes or without
 * them as it sees what is done with the entries. */
struct kept {
	unsigned n;
	struct {
		char name[32];
		ino_t ino;
		unsigned char type;
	} entries[600];
};

static bool store_entry(void *ctx, const struct dirent64 *e)
{
	struct kept *kept = ctx;

	must(kept->n < N(kept->entries) ? 0 : -1);
	snprintf(kept->entries[kept->n].name, sizeof(kept->entries[0].name), "%.31s", e->d_name);
	kept->entries[kept->n].ino = e->d_ino;
	kept->entries[kept->n++].type = e->d_type;
	return true;
}

static void told_without_a_look(size_t buffer)
{
	static struct kept kept;
	unsigned wrong_types = 0, wrong_numbers = 0;
	char path[64];
	int fd;

	must(mkdir("mixed", 0755));
	for (int i = 0; i < 400; i++) {
		enum thing thing = (enum thing)(i % (DEV_ + 1));

		snprintf(path, sizeof(path), "mixed/%s%d", thing_names[thing], i);
		make(thing, path, NULL);
	}
	kept.n = 0;
	fd = (int)must(open("mixed", O_RDONLY | O_DIRECTORY));
	expect(402, list(fd, buffer, store_entry, &kept), "entries of all types, buffer %zu", buffer);
	must(close(fd));
	for (unsigned i = 0; i < kept.n; i++) {
		struct stat st;

		snprintf(path, sizeof(path), "mixed/%s", kept.entries[i].name);
		st = look(path);
		wrong_types += IFTODT(st.st_mode) != kept.entries[i].type;
		wrong_numbers += st.st_ino != kept.entries[i].ino;
	}
	expect_equal(0, wrong_types, "wrong types in a list that was read as a whole, buffer %zu", buffer);
	expect_equal(0, wrong_numbers, "wrong inode numbers in a list that was read as a whole, buffer %zu", buffer);
	wipe("mixed");
}

static void told(void)
{
	must(mkdir("all", 0755));
	scene_make("all", NULL);
	make(DEV_, "all/c", NULL);
	truth("all", 2 + 7);
	truth("all/d", 2);
	truth("all/full", 3);
	/* after a change of type under the same name */
	wipe("all/f");
	make(DIR_, "all/f", NULL);
	wipe("all/d");
	make(LINK_, "all/d", NULL);
	truth("all", 2 + 7);
	/* ".." of what was moved is the new parent, also by name and in what lies below */
	must(mkdir("away", 0755));
	must(rename("all/full", "away/full"));
	truth("away/full", 3);
	truth("away", 3);
	truth("all", 2 + 6);
	expect_equal((long long)look("away").st_ino, (long long)look("away/full/..").st_ino,
		     "inode of .. after a rename");
	must(renameat2(AT_FDCWD, "away/full", AT_FDCWD, "all/f", 2 /* RENAME_EXCHANGE */));
	truth("away/full", 2);
	truth("all/f", 3);
	wipe("all");
	wipe("away");
}

/* ---- small buffers, positions ---- */

enum { STABLE = 250 };

struct positions {
	int n;
	long at[STABLE + 2]; /* to go on behind this entry */
	char name[STABLE + 2][32];
};

static bool note_position(void *ctx, const struct dirent64 *e)
{
	struct positions *p = ctx;

	must(p->n < STABLE + 2 ? 0 : -1);
	p->at[p->n] = e->d_off;
	snprintf(p->name[p->n], sizeof(p->name[0]), "%.31s", e->d_name);
	p->n++;
	return true;
}

struct compare {
	const struct positions *p;
	int at, wrong;
};

static bool compare_entry(void *ctx, const struct dirent64 *e)
{
	struct compare *c = ctx;

	if (c->at >= c->p->n || strcmp(e->d_name, c->p->name[c->at]) != 0 || e->d_off != c->p->at[c->at])
		c->wrong++;
	c->at++;
	return true;
}

/* Marks the numbers of "entry..." that come from where the descriptor stands. */
static bool mark_entry(void *ctx, const struct dirent64 *e)
{
	unsigned char *seen = ctx;
	unsigned number;

	if (sscanf(e->d_name, "entry%u", &number) == 1 && number < STABLE && seen[number] < 255)
		seen[number]++;
	return true;
}

/* Each fifth entry goes and others come: behind each position all come, once, that were behind it and stayed. (What has
 * gone may still come, and what has come need not.) */
static void positions_while_others_come(const struct positions *p)
{
	int fd = (int)must(open("stable", O_RDONLY | O_DIRECTORY));
	char name[64];

	for (int i = 0; i < STABLE; i += 5) {
		snprintf(name, sizeof(name), "stable/entry%d", i);
		must(unlink(name));
	}
	fill("stable", "late", 100);
	for (int i = 0; i < p->n; i++) {
		unsigned char seen[STABLE] = { 0 };
		unsigned missed = 0, twice = 0, number;

		must(lseek(fd, p->at[i], SEEK_SET));
		must(list(fd, 2048, mark_entry, seen));
		for (int k = i + 1; k < p->n; k++)
			missed += sscanf(p->name[k], "entry%u", &number) == 1 && number % 5 != 0 && !seen[number];
		for (int k = 0; k < STABLE; k++)
			twice += seen[k] > 1;
		expect_equal(0, missed, "entries missed behind position %d when others came and went", i);
		expect_equal(0, twice, "entries twice behind position %d when others came and went", i);
	}
	must(close(fd));
}

static void positions(void)
{
	static const size_t sizes[] = { 24, 32, 48, 64, 100, 256, 280, 512, 1000, 4096, 32768, 1 << 20 };
	static struct positions p;
	int fd;

	must(mkdir("stable", 0755));
	fill("stable", "entry", STABLE);
	fd = (int)must(open("stable", O_RDONLY | O_DIRECTORY));
	expect(STABLE + 2, list(fd, 4096, note_position, &p), "entries");
	for (int i = 0; i < p.n; i++)
		for (int k = 0; k < i; k++)
			if (p.at[k] == p.at[i] || strcmp(p.name[k], p.name[i]) == 0)
				expect_true(false, "entries %s and %s have two names and positions", p.name[k],
					    p.name[i]);
	expect(0, list(fd, 4096, keep_entry, NULL), "entries at the end");
	expect(0, list(fd, 4096, keep_entry, NULL), "entries at the end, again");
	/* all buffers give the same list, or say that they are too small */
	for (size_t s = 0; s < N(sizes); s++) {
		struct compare c = { &p, 0, 0 };
		long got;

		must(lseek(fd, 0, SEEK_SET));
		got = list(fd, sizes[s], compare_entry, &c);
		if (sizes[s] < 32)
			expect_either(-EINVAL, STABLE + 2, got, "entries with a buffer of %zu", sizes[s]);
		else
			expect(STABLE + 2, got, "entries with a buffer of %zu", sizes[s]);
		expect_equal(0, c.wrong, "entries that came otherwise with a buffer of %zu", sizes[s]);
	}
	/* from each position the rest comes */
	for (int i = 0; i < p.n; i++) {
		struct compare c = { &p, i + 1, 0 };

		expect(p.at[i], rc(lseek(fd, p.at[i], SEEK_SET)), "seek to position %d", i);
		expect(p.n - i - 1, list(fd, 1024, compare_entry, &c), "entries behind position %d", i);
		expect_equal(0, c.wrong, "entries that came otherwise behind position %d", i);
	}
	/* and backwards, by the C library */
	DIR *d = opendir("stable");
	long tells[STABLE + 2];

	must(d ? 0 : -1);
	for (int i = 0; i < p.n; i++) {
		tells[i] = telldir(d);
		must(readdir(d) ? 0 : -1);
	}
	for (int i = p.n - 1; i >= 0; i--) {
		struct dirent *e;

		seekdir(d, tells[i]);
		e = readdir(d);
		expect_true(e && strcmp(e->d_name, p.name[i]) == 0, "readdir after seekdir to %d", i);
	}
	rewinddir(d);
	expect_true(strcmp(readdir(d)->d_name, p.name[0]) == 0, "readdir after rewinddir");
	must(closedir(d));
	must(close(fd));
	positions_while_others_come(&p);
	wipe("stable");
}

/* An entry needs its room: less is an error, and no end of the list. */
static void too_small(void)
{
	char *name = repeated('b', 255), buf[512];
	int fd;

	must(mkdir("small", 0755));
	must(chdir("small"));
	make_file(name, "");
	must(chdir(".."));
	fd = (int)must(open("small", O_RDONLY | O_DIRECTORY));
	for (size_t size = 24; size <= 288; size += 8) {
		bool found = false, refused = false;
		long n;

		must(lseek(fd, 0, SEEK_SET));
		while ((n = rc(syscall(SYS_getdents64, fd, buf, size))) > 0)
			for (long at = 0; at < n;) {
				const struct dirent64 *e = (const void *)(buf + at);

				found = found || strcmp(e->d_name, name) == 0;
				at += e->d_reclen;
			}
		refused = n == -EINVAL;
		/* header of 19, name, NUL, rounded up to 8 */
		expect_true(size < 280 ? refused && !found : found && !refused,
			    "a name of 255 bytes with a buffer of %zu: %s", size, size < 280 ? "refused" : "listed");
	}
	must(close(fd));
	wipe("small");
	free(name);
}

void listing(void)
{
	told();
	told_without_a_look(512);
	told_without_a_look(4096);
	told_without_a_look(65536);
	positions();
	too_small();
}

/* ---- changes ---- */

/* A listing under way sees what it must when each thing happens between two of its calls. */
static void changes_between_calls(void)
{
	static const size_t sizes[] = { 64, 280, 1024, 4096 };

	for (size_t s = 0; s < N(sizes); s++) {
		unsigned char stayed[400] = { 0 };
		unsigned missed = 0, twice = 0;
		char buf[4096], name[64];
		int fd, round = 0;
		long n;

		must(mkdir("busy", 0755));
		fill("busy", "stay", 400);
		fill("busy", "go", 400);
		fd = (int)must(open("busy", O_RDONLY | O_DIRECTORY));
		while ((n = must(syscall(SYS_getdents64, fd, buf, sizes[s]))) > 0) {
			for (long at = 0; at < n;) {
				const struct dirent64 *e = (const void *)(buf + at);
				int number;

				if (sscanf(e->d_name, "stay%d", &number) == 1)
					twice += stayed[number]++ > 0;
				at += e->d_reclen;
			}
			if (round < 400) {
				snprintf(name, sizeof(name), "busy/go%d", round);
				must(unlink(name));
				snprintf(name, sizeof(name), "busy/new%d", round);
				make_file(name, "");
				round++;
			}
		}
		for (int i = 0; i < 400; i++)
			missed += !stayed[i];
		must(close(fd));
		expect_equal(0, missed, "entries that stayed and were missed, buffer %zu", sizes[s]);
		expect_equal(0, twice, "entries that came twice, buffer %zu", sizes[s]);
		wipe("busy");
	}
}

/* Each entry that comes is renamed: the list must end all the same. */
static void renamed_while_listed(void)
{
	unsigned listed = 0, renamed = 0;
	char name[300];
	DIR *d;

	must(mkdir("ren", 0755));
	fill("ren", "old", 500);
	d = opendir("ren");
	must(d ? 0 : -1);
	must(chdir("ren"));
	for (struct dirent *e; (e = readdir(d)) && listed < 100000;) {
		listed++;
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "n%u", renamed++);
		must(rename(e->d_name, name));
	}
	must(chdir(".."));
	must(closedir(d));
	expect_true(listed < 100000, "a listing of what is renamed meanwhile ends");
	expect_equal(500, (long long)count_names("ren"), "names after that");
	wipe("ren");
}

/* Removing everything that is listed leaves nothing, whatever the buffer. */
static void removed_while_listed(void)
{
	static const int counts[] = { 1, 10, 100, 1000 };

	for (size_t i = 0; i < N(counts); i++) {
		DIR *d;

		must(mkdir("rm", 0755));
		fill("rm", "f", counts[i]);
		d = opendir("rm");
		must(d ? 0 : -1);
		for (struct dirent *e; (e = readdir(d));)
			if (e->d_name[0] != '.')
				must(unlinkat(dirfd(d), e->d_name, 0));
		must(closedir(d));
		expect(0, done(rmdir("rm")), "rmdir after all %d listed names were removed", counts[i]);
		wipe("rm");
	}
}

/* What was made, removed or renamed is seen by the next listing, also where one was cached before. */
static void next_listing(void)
{
	DIR *d;

	must(mkdir("next", 0755));
	for (int i = 0; i < 60; i++) {
		char name[64], other[64];

		snprintf(name, sizeof(name), "next/a%d", i);
		make_file(name, "");
		expect_equal(i + 1, (long long)count_names("next"), "names after %d creates", i + 1);
		if (i % 3 == 0) {
			snprintf(other, sizeof(other), "next/b%d", i);
			must(rename(name, other));
			expect_equal(i + 1, (long long)count_names("next"), "names after a rename");
		}
	}
	d = opendir("next");
	must(d ? 0 : -1);
	for (int i = 0; i < 10; i++) {
		unsigned n = 0;
		char name[64];

		snprintf(name, sizeof(name), "next/c%d", i);
		make_file(name, "");
		rewinddir(d);
		for (struct dirent *e; (e = readdir(d));)
			n += e->d_name[0] != '.';
		expect_equal(61 + i, n, "names after rewinddir");
	}
	must(closedir(d));
	wipe("next");
}

/* Others make and remove all the time while we list. */
static void changes_by_others(void)
{
	enum { STAY = 300, LISTS = 25 };
	unsigned missed = 0, twice = 0;
	pid_t pids[2];

	must(mkdir("others", 0755));
	fill("others", "stay", STAY);
	for (int p = 0; p < 2; p++) {
		pids[p] = fork();
		if (pids[p] == 0) {
			for (unsigned i = 0;; i++) {
				char a[64], b[64];

				snprintf(a, sizeof(a), "others/p%d.%u", p, i % 50);
				snprintf(b, sizeof(b), "others/q%d.%u", p, i % 50);
				if (open(a, O_WRONLY | O_CREAT, 0644) > 200)
					closefrom(3);
				(void)!rename(a, b);
				if (i % 2)
					unlink(b);
			}
		}
		must(pids[p]);
	}
	for (int l = 0; l < LISTS; l++) {
		unsigned char seen[STAY] = { 0 };
		DIR *d = opendir("others");

		must(d ? 0 : -1);
		for (struct dirent *e; (e = readdir(d));) {
			int number;

			if (sscanf(e->d_name, "stay%d", &number) == 1)
				twice += seen[number]++ > 0;
		}
		must(closedir(d));
		for (int i = 0; i < STAY; i++)
			missed += !seen[i];
	}
	for (int p = 0; p < 2; p++) {
		must(kill(pids[p], SIGKILL));
		must(waitpid(pids[p], NULL, 0));
	}
	expect_equal(0, missed, "entries that stayed and were missed while others changed the directory");
	expect_equal(0, twice, "entries that came twice while others changed the directory");
	wipe("others");
}

void listing_changes(void)
{
	changes_between_calls();
	renamed_while_listed();
	removed_while_listed();
	next_listing();
	changes_by_others();
}
