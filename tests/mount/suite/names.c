/* SPDX-License-Identifier: MIT */
/* What names and links may be made of. */
#include "suite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- names ---- */

/* Whether a listing has exactly this name, byte for byte. */
static bool is_listed(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	bool found = false;

	must(d ? 0 : -1);
	for (struct dirent *e; (e = readdir(d));)
		found = found || strcmp(e->d_name, name) == 0;
	must(closedir(d));
	return found;
}

/* Bytes as text for a message. */
static const char *shown(const char *name)
{
	static char text[1100];
	size_t n = 0;

	for (; *name && n < 1000; name++) {
		if (*name > ' ' && *name < 127)
			text[n++] = *name;
		else
			n += (size_t)snprintf(text + n, 8, "\\x%02x", (unsigned char)*name);
	}
	text[n] = 0;
	return text;
}

/* A name's whole life. */
static void one_name(const char *name)
{
	struct stat st;
	ino_t number;

	expect(0, opened(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644)), "create %s", shown(name));
	expect(0, done(lstat(name, &st)), "lstat %s", shown(name));
	number = st.st_ino;
	expect_true(is_listed(".", name), "%s is listed", shown(name));
	expect(0, done(rename(name, "aside/other")), "rename %s", shown(name));
	expect(-ENOENT, done(lstat(name, &st)), "lstat %s after it was renamed", shown(name));
	expect(0, done(rename("aside/other", name)), "rename to %s", shown(name));
	expect(0, done(lstat(name, &st)), "lstat %s after it came back", shown(name));
	expect_equal((long long)number, (long long)st.st_ino, "inode of %s", shown(name));
	expect(0, done(unlink(name)), "unlink %s", shown(name));
	expect(-ENOENT, done(lstat(name, &st)), "lstat %s after it was removed", shown(name));
}

static void single_bytes(void)
{
	char name[4];

	for (int c = 1; c < 256; c++) {
		if (c == '/' || c == '.')
			continue;
		snprintf(name, sizeof(name), "%c", c);
		one_name(name);
		snprintf(name, sizeof(name), ".%c", c);
		one_name(name);
		snprintf(name, sizeof(name), "%ca", c);
		one_name(name);
	}
}

static void whole_names(void)
{
	static const char *const list[] = {
		"...",
		"....",
		".. ",
		" ",
		"  ",
		" a",
		"a ",
		"\n",
		"a\nb",
		"\t\t",
		"-rf",
		"*",
		"a\\b",
		"\"quoted\"",
		"'",
		"$HOME",
		"a:b",
		"a|b",
		"con",
		"NUL",
		"aux.txt",
		"a.",
		"a..",
		"~",
		"#a#",
		"\x7f",
		"\xff",
		"\xff\xff\xff\xff",
		"\x80",
		"\xc0\xaf",
		"\xc3\x28",
		"\xe2\x82",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xef\xbb\xbf",
		"\xe2\x80\xae.txt",
		"\xe2\x80\x8b",
		"caf\xc3\xa9",
		"cafe\xcc\x81",
		"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		"\xf0\x9f\x98\x80",
		"stra\xc3\x9f\145", /* a letter behind a hexadecimal number would belong to it */
		".fuse_hidden0000000100000001",
		".nfs0001",
		".lsmfs",
		"lost+found",
		"system.posix_acl_access",
		"\x01\x02\x03\x04\x05\x06\x07\x08",
		"0",
		"18446744073709551615",
		"..a",
		"%s%n",
	};

	for (size_t i = 0; i < N(list); i++)
		one_name(list[i]);
}

/* Names that only look alike are two. */
static void alike(void)
{
	static const char *const pairs[][2] = {
		{ "case", "CASE" },
		{ "a", "A" },
		{ "caf\xc3\xa9", "cafe\xcc\x81" },
		{ "\xc3\x84", "\xc3\xa4" },
		{ "\xef\xac\x81", "fi" },
		{ "stra\xc3\x9f"
		  "e",
		  "strasse" },
		{ "\xe2\x84\xab", "\xc3\x85" },
		{ "a", "a " },
		{ "a", "a." },
		{ "a", "a\xe2\x80\x8b" },
		{ "i", "\xc4\xb1" },
		{ "\xff", "\xfe" },
		{ "\xc3\x28", "\xef\xbf\xbd\x28" },
	};

	for (size_t i = 0; i < N(pairs); i++) {
		char buf[8] = "";

		make_file(pairs[i][0], "1");
		expect(-ENOENT, op_find("stat")->run(pairs[i][1]), "%s when there is what looks like it",
		       shown(pairs[i][1]));
		make_file(pairs[i][1], "22");
		expect(1, (long)slurp(pairs[i][0], buf, sizeof(buf)), "%s keeps its own bytes", shown(pairs[i][0]));
		expect(2, (long)slurp(pairs[i][1], buf, sizeof(buf)), "%s has its own bytes", shown(pairs[i][1]));
		expect(0, done(unlink(pairs[i][0])), "unlink %s", shown(pairs[i][0]));
		expect(0, op_find("stat")->run(pairs[i][1]), "%s when what looked like it has gone",
		       shown(pairs[i][1]));
		must(unlink(pairs[i][1]));
	}
}

/* Each length, and names that differ only at the end. */
static void all_lengths(void)
{
	for (size_t n = 1; n <= 255; n++) {
		char *name = repeated('l', n);

		name[n - 1] = 'x';
		expect(0, opened(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644)), "create a name of %zu", n);
		name[n - 1] = 'y';
		expect(-ENOENT, op_find("stat")->run(name), "a name of %zu that differs in its last byte", n);
		expect(0, done(mkdir(name, 0755)), "mkdir of a name of %zu that differs in its last byte", n);
		expect_true(is_listed(".", name), "a name of %zu is listed", n);
		must(rmdir(name));
		name[n - 1] = 'x';
		must(unlink(name));
		free(name);
	}
	/* 255 bytes are bytes, not characters */
	char wide[260] = "";

	for (int i = 0; i < 63; i++)
		strcat(wide, "\xf0\x9f\x98\x80");
	strcat(wide, "\xe2\x82\xac");
	one_name(wide);
	wide[254] = 0;
	strcat(wide, "xy");
	expect(-ENAMETOOLONG, opened(open(wide, O_WRONLY | O_CREAT, 0644)),
	       "create a name of 64 characters and 256 bytes");
}

/* Names that a hash or a sort by prefix may take for the same, all in one directory. */
static void many_alike(void)
{
	enum { NAMES = 2000 };
	unsigned lost = 0;
	char name[64];

	must(mkdir("alike", 0755));
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "alike/%.*s%d", i % 40, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			 i / 40);
		must(close((int)must(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644))));
	}
	expect_equal(NAMES, (long long)count_names("alike"), "names that differ little");
	for (int i = 0; i < NAMES; i += 2) {
		snprintf(name, sizeof(name), "alike/%.*s%d", i % 40, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			 i / 40);
		must(unlink(name));
	}
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "alike/%.*s%d", i % 40, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			 i / 40);
		lost += exists(name) != (i % 2 == 1);
	}
	expect_equal(0, lost, "names that are not as they should be when every other one was removed");
}

void names(void)
{
	must(mkdir("aside", 0755));
	single_bytes();
	whole_names();
	alike();
	all_lengths();
	many_alike();
}

/* ---- links ---- */

static void one_link(size_t size)
{
	char *text = malloc(size + 1), *buf = malloc(5000);
	unsigned seed = (unsigned)size;

	must(text && buf ? 0 : -1);
	for (size_t i = 0; i < size; i++)
		text[i] = (char)(1 + rand_r(&seed) % 255); /* any byte but NUL */
	text[size] = 0;
	expect(0, done(symlink(text, "l")), "symlink with %zu bytes", size);
	expect_equal((long long)size, (long long)look("l").st_size, "size of a link of %zu bytes", size);
	expect_mode(S_IFLNK | 0777, look("l").st_mode, "mode of a link of %zu bytes", size);
	memset(buf, '#', 5000);
	expect((long)size, rc(readlink("l", buf, 5000)), "readlink of %zu bytes", size);
	expect_true(memcmp(buf, text, size) == 0 && buf[size] == '#', "text of a link of %zu bytes", size);
	memset(buf, '#', 5000);
	expect((long)(size + 1) / 2, rc(readlink("l", buf, (size + 1) / 2)), "readlink of half of %zu bytes", size);
	expect_true(memcmp(buf, text, (size + 1) / 2) == 0 && buf[(size + 1) / 2] == '#', "half the text of %zu bytes",
		    size);
	expect(0, done(rename("l", "m")), "rename of a link of %zu bytes", size);
	expect((long)size, rc(readlink("m", buf, 5000)), "readlink of %zu bytes after a rename", size);
	must(unlink("m"));
	free(text);
	free(buf);
}

static void links_of_links(void)
{
	char buf[16];
	int fd;

	make_file("f", "x");
	must(symlink("f", "one"));
	must(link("one", "two"));
	expect_equal(2, (long long)look("one").st_nlink, "links of a link");
	expect(1, rc(readlink("two", buf, sizeof(buf))), "readlink of a link's second name");
	must(linkat(AT_FDCWD, "one", AT_FDCWD, "three", AT_SYMLINK_FOLLOW));
	expect_true(S_ISREG(look("three").st_mode), "linkat with AT_SYMLINK_FOLLOW gives the file another name");
	expect_equal(2, (long long)look("f").st_nlink, "links of the file then");
	fd = (int)must(open("one", O_PATH | O_NOFOLLOW));
	expect(1, rc(readlinkat(fd, "", buf, sizeof(buf))), "readlinkat \"\" of a link");
	must(close(fd));
	fd = (int)must(open("f", O_PATH));
	expect(-ENOENT, rc(readlinkat(fd, "", buf, sizeof(buf))), "readlinkat \"\" of a file");
	must(close(fd));
	expect(-EINVAL, rc(readlink("one", buf, 0)), "readlink into no room");
	expect(-EINVAL, rc(readlink("f", buf, sizeof(buf))), "readlink of a file");
	expect(-EINVAL, rc(readlink(".", buf, sizeof(buf))), "readlink of a directory");
	expect(-EEXIST, rc(symlink("x", "one")), "symlink over a link");
	/* the same name, again with another text: the old one is not kept anywhere */
	for (int i = 0; i < 50; i++) {
		char want[16];

		snprintf(want, sizeof(want), "target%d", i);
		must(symlink(want, "again"));
		memset(buf, 0, sizeof(buf));
		expect((long)strlen(want), rc(readlink("again", buf, sizeof(buf))), "readlink of the %dth link", i);
		expect_true(strcmp(buf, want) == 0, "text of the %dth link of a name: %s", i, buf);
		if (i % 2)
			must(unlink("again"));
		else
			must(rename("again", "elsewhere"));
	}
}

void symlinks(void)
{
	static const size_t sizes[] = { 1,    2,    10,   59,   60,   61,   100,  255,  256,  1000,
					1023, 1024, 2047, 2048, 3583, 3584, 3585, 4000, 4094, 4095 };

	for (size_t i = 0; i < N(sizes); i++)
		one_link(sizes[i]);
	links_of_links();
}
