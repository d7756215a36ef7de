/* SPDX-License-Identifier: MIT */
/* What each operation answers to each path. */
#include "suite.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A path, and the results of the operations: words "kind=RESULT" or "operation=RESULT", in which later ones go before
 * earlier ones and "all" stands for every operation.
 */
struct situation {
	const char *path;
	const char *results;
};

static const char *const kind_names[KINDS] = { "follow", "nofollow", "make", "remove", "removedir", "from", "to" };

static const struct {
	const char *name;
	int error;
} errors[] = {
	{ "OK", 0 },          { "EACCES", EACCES },   { "EBUSY", EBUSY },         { "EEXIST", EEXIST },
	{ "EINVAL", EINVAL }, { "EISDIR", EISDIR },   { "ELOOP", ELOOP },         { "ENAMETOOLONG", ENAMETOOLONG },
	{ "ENOENT", ENOENT }, { "ENOTDIR", ENOTDIR }, { "ENOTEMPTY", ENOTEMPTY }, { "ENXIO", ENXIO },
	{ "EPERM", EPERM },
};

static long error_of(const char *name, size_t size)
{
	for (size_t i = 0; i < N(errors); i++)
		if (strlen(errors[i].name) == size && memcmp(errors[i].name, name, size) == 0)
			return -errors[i].error;
	fprintf(stderr, "# no error is called %.*s\n", (int)size, name);
	errno = EINVAL;
	return must(-1);
}

static bool speaks_of(const char *word, size_t size, const struct op *op)
{
	const char *const names[] = { "all", kind_names[op->kind], op->name };

	for (size_t i = 0; i < N(names); i++)
		if (strlen(names[i]) == size && memcmp(names[i], word, size) == 0)
			return true;
	return false;
}

static long result_of(const char *results, const struct op *op)
{
	long r = 1; /* of nobody */

	for (const char *at = results; *at;) {
		size_t word = strcspn(at, "="), value;

		value = strcspn(at + word, " ");
		if (speaks_of(at, word, op))
			r = error_of(at + word + 1, value - 1);
		at += word + value;
		at += strspn(at, " ");
	}
	return r;
}

static void check_words(const char *results)
{
	for (const char *at = results; *at; at += strspn(at, " ")) {
		size_t word = strcspn(at, "=");
		bool known = false;

		for (size_t i = 0; i < n_ops; i++)
			known = known || speaks_of(at, word, &ops[i]);
		if (!known) {
			fprintf(stderr, "# no operation or kind is called %.*s\n", (int)word, at);
			errno = EINVAL;
			must(-1);
		}
		at += strcspn(at, " ");
	}
}

/* The scene, and what only these tables need. */
static void scene(void)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{ "ld", "d" },           { "lfull", "full" }, { "dangling", "nothing" },    { "loop", "loop" },
		{ "one", "two" },        { "two", "one" },    { "lslash", "f/" },           { "ldslash", "d/" },
		{ "lnoslash", "gone/" }, { "lp", "p" },       { "deep", "full/../full/x" },
	};
	char target[16];

	scene_make(".", NULL);
	wipe("nothing");
	wipe("gone");
	for (size_t i = 0; i < N(links); i++) {
		ssize_t n = readlink(links[i].name, target, sizeof(target));

		if (n == (ssize_t)strlen(links[i].target) && memcmp(target, links[i].target, (size_t)n) == 0)
			continue;
		wipe(links[i].name);
		must(symlink(links[i].target, links[i].name));
	}
}

static void run_situation(const struct situation *s, const char *path, const char *shown)
{
	check_words(s->results);
	for (size_t i = 0; i < n_ops; i++) {
		long want = result_of(s->results, &ops[i]), got;

		if (want == 1)
			continue;
		scene();
		if (strcmp(shown, "absent") == 0)
			wipe(path);
		got = ops[i].run(path);
		expect(want, got, "%s of \"%s\"", ops[i].name, shown);
	}
}

static const struct situation situations[] = {
	/* a component on the way */
	{ "none/x", "all=ENOENT" },
	{ "none/../f", "all=ENOENT" },
	{ "f/x", "all=ENOTDIR" },
	{ "f/.", "all=ENOTDIR" },
	{ "f/..", "all=ENOTDIR" },
	{ "f/../f", "all=ENOTDIR" },
	{ "full/x/y", "all=ENOTDIR" },
	{ "l/x", "all=ENOTDIR" },
	{ "p/x", "all=ENOTDIR" },
	{ "s/x", "all=ENOTDIR" },
	{ "dangling/x", "all=ENOENT" },
	{ "loop/x", "all=ELOOP" },
	{ "one/x", "all=ELOOP" },
	{ "loop/", "all=ELOOP unlink=ENOTDIR rmdir=ENOTDIR make=EEXIST open_creat=EISDIR open_new=EISDIR "
		   "open_excl=EISDIR from=ENOTDIR to=ENOTDIR noreplace_to=EEXIST" },
	{ "", "all=ENOENT" },
	/* something that is there */
	{ "f", "follow=OK nofollow=OK make=EEXIST open_new=OK remove=OK from=OK to=OK noreplace_to=EEXIST "
	       "exchange_first=OK exchange_second=OK open_dir=ENOTDIR chdir=ENOTDIR rmdir=ENOTDIR readlink=EINVAL "
	       "rename_dir_to=ENOTDIR connect=OK execve=OK" },
	{ "./f", "follow=OK nofollow=OK make=EEXIST open_new=OK remove=OK from=OK open_dir=ENOTDIR chdir=ENOTDIR "
		 "rmdir=ENOTDIR readlink=EINVAL rename_dir_to=ENOTDIR rename_to=OK noreplace_to=EEXIST" },
	{ "d/../f", "follow=OK nofollow=OK make=EEXIST open_new=OK remove=OK from=OK open_dir=ENOTDIR chdir=ENOTDIR "
		    "rmdir=ENOTDIR readlink=EINVAL rename_dir_to=ENOTDIR rename_to=OK noreplace_to=EEXIST" },
	{ ".//d//..//f", "follow=OK nofollow=OK make=EEXIST open_new=OK remove=OK from=OK open_dir=ENOTDIR "
			 "chdir=ENOTDIR rmdir=ENOTDIR readlink=EINVAL rename_dir_to=ENOTDIR rename_to=OK" },
	{ "deep",
	  "follow=OK nofollow=OK make=EEXIST open_new=OK remove=OK from=OK open_dir=ENOTDIR chdir=ENOTDIR "
	  "rmdir=ENOTDIR rename_dir_to=ENOTDIR rename_to=OK noreplace_to=EEXIST open_nofollow=ELOOP lsetxattr=EPERM "
	  "lremovexattr=EPERM" },
	{ "d", "follow=OK nofollow=OK make=EEXIST open_new=EISDIR open_creat=EISDIR open_w=EISDIR open_rw=EISDIR "
	       "open_trunc=EISDIR open_append=EISDIR truncate=EISDIR readlink=EINVAL execve=EACCES unlink=EISDIR "
	       "rmdir=OK from=OK to=EISDIR rename_dir_to=OK noreplace_to=EEXIST link_from=EPERM link_follow=EPERM" },
	{ "d/", "follow=OK nofollow=OK make=EEXIST open_new=EISDIR open_excl=EISDIR open_creat=EISDIR open_w=EISDIR "
		"open_rw=EISDIR open_trunc=EISDIR open_append=EISDIR truncate=EISDIR readlink=EINVAL execve=EACCES "
		"unlink=EISDIR rmdir=OK from=OK rename_to=ENOTDIR rename_dir_to=OK noreplace_to=EEXIST "
		"exchange_first=OK exchange_second=OK link_from=EPERM link_follow=EPERM" },
	{ "full", "rmdir=ENOTEMPTY unlink=EISDIR rename_dir_to=ENOTEMPTY rename_to=EISDIR mkdir=EEXIST "
		  "rename_dir_from=OK open_dir=OK noreplace_to=EEXIST" },
	{ "full/", "rmdir=ENOTEMPTY unlink=EISDIR rename_dir_to=ENOTEMPTY rename_to=ENOTDIR mkdir=EEXIST "
		   "rename_dir_from=OK open_dir=OK" },
	{ "p",
	  "open_dir=ENOTDIR truncate=EINVAL chdir=ENOTDIR execve=EACCES readlink=EINVAL mkdir=EEXIST rmdir=ENOTDIR "
	  "unlink=OK setxattr=EPERM lsetxattr=EPERM getxattr=OK connect=OK rename_dir_to=ENOTDIR "
	  "chmod=OK stat=OK open_r=OK" },
	{ "s", "open_r=ENXIO open_w=ENXIO open_rw=ENXIO open_append=ENXIO open_trunc=ENXIO open_creat=ENXIO "
	       "open_nofollow=ENXIO openat2=ENXIO open_path=OK open_dir=ENOTDIR truncate=EINVAL chdir=ENOTDIR "
	       "execve=EACCES readlink=EINVAL make=EEXIST open_new=ENXIO rmdir=ENOTDIR unlink=OK setxattr=EPERM "
	       "connect=OK chmod=OK stat=OK" },
	/* links at the end */
	{ "l", "follow=OK nofollow=OK open_nofollow=ELOOP make=EEXIST open_new=OK remove=OK from=OK to=OK "
	       "noreplace_to=EEXIST rename_dir_to=ENOTDIR open_dir=ENOTDIR chdir=ENOTDIR rmdir=ENOTDIR lsetxattr=EPERM "
	       "lremovexattr=EPERM" },
	{ "ld", "stat=OK lstat=OK open_dir=OK chdir=OK open_r=OK open_nofollow=ELOOP open_w=EISDIR truncate=EISDIR "
		"make=EEXIST open_new=EISDIR unlink=OK rmdir=ENOTDIR from=OK rename_to=OK rename_dir_to=ENOTDIR "
		"readlink=OK link_from=OK link_follow=EPERM execve=EACCES" },
	{ "lfull/x", "stat=OK lstat=OK open_r=OK open_nofollow=OK unlink=OK mkdir=EEXIST rename_from=OK rename_to=OK "
		     "readlink=EINVAL" },
	{ "lp", "open_r=OK open_nofollow=ELOOP truncate=EINVAL chdir=ENOTDIR setxattr=EPERM mkdir=EEXIST rmdir=ENOTDIR "
		"unlink=OK rename_to=OK" },
	{ "dangling", "follow=ENOENT nofollow=OK open_nofollow=ELOOP open_creat=OK make=EEXIST open_new=OK remove=OK "
		      "rmdir=ENOTDIR from=OK rename_to=OK rename_dir_to=ENOTDIR noreplace_to=EEXIST lsetxattr=EPERM "
		      "lremovexattr=EPERM" },
	{ "lnoslash", "follow=ENOENT nofollow=OK open_nofollow=ELOOP open_creat=EISDIR make=EEXIST open_new=EISDIR "
		      "remove=OK rmdir=ENOTDIR from=OK rename_to=OK lsetxattr=EPERM lremovexattr=EPERM" },
	{ "lslash",
	  "follow=ENOTDIR nofollow=OK open_nofollow=ELOOP open_creat=EISDIR make=EEXIST open_new=EISDIR remove=OK "
	  "rmdir=ENOTDIR from=OK rename_to=OK lsetxattr=EPERM lremovexattr=EPERM" },
	{ "ldslash",
	  "stat=OK open_dir=OK chdir=OK open_nofollow=ELOOP open_w=EISDIR make=EEXIST open_new=EISDIR unlink=OK "
	  "rmdir=ENOTDIR from=OK readlink=OK" },
	{ "loop",
	  "follow=ELOOP nofollow=OK open_nofollow=ELOOP make=EEXIST open_new=ELOOP remove=OK rmdir=ENOTDIR from=OK "
	  "rename_to=OK rename_dir_to=ENOTDIR lsetxattr=EPERM lremovexattr=EPERM" },
	{ "one",
	  "follow=ELOOP nofollow=OK open_nofollow=ELOOP make=EEXIST open_new=ELOOP remove=OK rmdir=ENOTDIR from=OK "
	  "rename_to=OK lsetxattr=EPERM lremovexattr=EPERM" },
	/* a slash behind what is no directory */
	{ "f/", "follow=ENOTDIR nofollow=ENOTDIR make=EEXIST open_new=EISDIR open_excl=EISDIR open_creat=EISDIR "
		"unlink=ENOTDIR rmdir=ENOTDIR from=ENOTDIR to=ENOTDIR noreplace_to=EEXIST" },
	{ "f//", "follow=ENOTDIR nofollow=ENOTDIR make=EEXIST open_new=EISDIR open_excl=EISDIR open_creat=EISDIR "
		 "unlink=ENOTDIR rmdir=ENOTDIR from=ENOTDIR to=ENOTDIR noreplace_to=EEXIST" },
	{ "p/", "follow=ENOTDIR nofollow=ENOTDIR make=EEXIST open_new=EISDIR open_excl=EISDIR open_creat=EISDIR "
		"unlink=ENOTDIR rmdir=ENOTDIR from=ENOTDIR to=ENOTDIR noreplace_to=EEXIST" },
	{ "l/", "follow=ENOTDIR nofollow=ENOTDIR make=EEXIST open_new=EISDIR open_excl=EISDIR open_creat=EISDIR "
		"unlink=ENOTDIR rmdir=ENOTDIR from=ENOTDIR to=ENOTDIR noreplace_to=EEXIST" },
	{ "ld/", "stat=OK lstat=OK open_dir=OK chdir=OK open_nofollow=OK open_w=EISDIR truncate=EISDIR make=EEXIST "
		 "open_new=EISDIR open_excl=EISDIR unlink=ENOTDIR rmdir=ENOTDIR from=ENOTDIR rename_to=ENOTDIR "
		 "rename_dir_to=ENOTDIR noreplace_to=EEXIST readlink=EINVAL" },
	{ "dangling/", "follow=ENOENT nofollow=ENOENT make=EEXIST open_new=EISDIR open_excl=EISDIR open_creat=EISDIR "
		       "unlink=ENOTDIR rmdir=ENOTDIR from=ENOTDIR to=ENOTDIR noreplace_to=EEXIST" },
	{ "new/",
	  "follow=ENOENT nofollow=ENOENT make=ENOENT mkdir=OK open_new=EISDIR open_excl=EISDIR open_creat=EISDIR "
	  "unlink=ENOENT rmdir=ENOENT from=ENOENT rename_to=ENOTDIR rename_dir_to=OK noreplace_to=ENOTDIR" },
	{ "new", "follow=ENOENT open_creat=OK nofollow=ENOENT make=OK unlink=ENOENT rmdir=ENOENT from=ENOENT to=OK" },
	{ "new/.", "all=ENOENT" },
	/* the names that every directory has */
	{ ".", "stat=OK lstat=OK open_dir=OK chdir=OK open_w=EISDIR open_creat=EISDIR open_new=EISDIR open_excl=EEXIST "
	       "mkdir=EEXIST mkfifo=EEXIST mknod_file=EEXIST symlink=EEXIST bind=EEXIST link_to=EEXIST link_from=EPERM "
	       "unlink=EISDIR rmdir=EINVAL from=EBUSY to=EBUSY noreplace_to=EEXIST truncate=EISDIR readlink=EINVAL "
	       "execve=EACCES setxattr=OK" },
	{ "d/.", "stat=OK open_dir=OK chdir=OK open_w=EISDIR open_creat=EISDIR open_excl=EEXIST mkdir=EEXIST "
		 "mkfifo=EEXIST symlink=EEXIST link_to=EEXIST link_from=EPERM unlink=EISDIR rmdir=EINVAL from=EBUSY "
		 "to=EBUSY noreplace_to=EEXIST readlink=EINVAL" },
	{ "d/./",
	  "stat=OK open_dir=OK mkdir=EEXIST unlink=EISDIR rmdir=EINVAL from=EBUSY to=EBUSY noreplace_to=EEXIST" },
	{ "..", "stat=OK open_dir=OK chdir=OK open_w=EISDIR open_creat=EISDIR open_excl=EEXIST mkdir=EEXIST "
		"mkfifo=EEXIST symlink=EEXIST link_to=EEXIST link_from=EPERM unlink=EISDIR rmdir=ENOTEMPTY from=EBUSY "
		"to=EBUSY noreplace_to=EEXIST readlink=EINVAL" },
	{ "d/..",
	  "stat=OK open_dir=OK chdir=OK open_w=EISDIR open_creat=EISDIR open_excl=EEXIST mkdir=EEXIST "
	  "symlink=EEXIST link_to=EEXIST unlink=EISDIR rmdir=ENOTEMPTY from=EBUSY to=EBUSY noreplace_to=EEXIST" },
};

/* ---- links, and links to links ---- */

/* So many links may be followed in one path. */
#define LINKS_MAX 40

/*
 * A walk that the kernel has to begin anew, because a mount came or went somewhere meanwhile, counts the links that it had
 * followed before: only what comes again and again is the answer.
 */
static long asked_often(const struct op *op, const char *path)
{
	long r = -ELOOP;

	for (int i = 0; i < 10 && r == -ELOOP; i++)
		r = op->run(path);
	return r;
}

static void chains(void)
{
	char name[16], target[16];
	const struct op *all[] = { op_find("stat"),     op_find("open_r"), op_find("chmod"),   op_find("truncate"),
				   op_find("setxattr"), op_find("access"), op_find("openat2"), op_find("utimensat") };

	make_file("chained", "x");
	for (int i = 1; i <= LINKS_MAX + 2; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(target, sizeof(target), i == 1 ? "chained" : "c%d", i - 1);
		must(symlink(target, name));
		for (size_t k = 0; k < N(all); k++)
			expect(i <= LINKS_MAX ? 0 : -ELOOP, asked_often(all[k], name), "%s through %d links",
			       all[k]->name, i);
		expect(0, op_find("lstat")->run(name), "lstat of the %dth link", i);
	}
	/* the same number in one path, one after the other */
	must(mkdir("dir", 0755));
	make_file("dir/f", "x");
	must(symlink(".", "dir/self"));
	for (int i = LINKS_MAX - 2; i <= LINKS_MAX + 2; i++) {
		char path[512] = "dir";

		for (int n = 0; n < i; n++)
			strcat(path, "/self");
		strcat(path, "/f");
		for (size_t k = 0; k < N(all); k++)
			expect(i <= LINKS_MAX ? 0 : -ELOOP, asked_often(all[k], path), "%s by a path with %d links",
			       all[k]->name, i);
	}
}

void errno_paths(void)
{
	for (size_t i = 0; i < N(situations); i++)
		run_situation(&situations[i], situations[i].path, situations[i].path);
	chains();
}

/* ---- lengths ---- */

static const struct {
	const char *what;
	const char *before, *behind;
	size_t length;
	const char *results;
} lengths[] = {
	{ "a name of 255 that is not there", "", "", 255,
	  "follow=ENOENT open_creat=OK nofollow=ENOENT make=OK remove=ENOENT removedir=ENOENT from=ENOENT to=OK "
	  "noreplace_to=OK" },
	{ "a name of 256", "", "", 256, "all=ENAMETOOLONG" },
	{ "a name of 1024", "", "", 1024, "all=ENAMETOOLONG" },
	{ "a name of 1025", "", "", 1025, "all=ENAMETOOLONG" },
	{ "a name of 4000", "", "", 4000, "all=ENAMETOOLONG" },
	{ "a name of 256 in a directory", "d/", "", 256, "all=ENAMETOOLONG" },
	{ "a name of 256 with a slash", "", "/", 256,
	  "all=ENAMETOOLONG open_creat=EISDIR open_new=EISDIR open_excl=EISDIR" },
	{ "a component of 256", "", "/x", 256, "all=ENAMETOOLONG" },
	{ "a component of 255 that is not there", "", "/x", 255, "all=ENOENT" },
	{ "a name of 256 below a missing directory", "none/", "", 256, "all=ENOENT" },
	{ "a name of 256 below a file", "f/", "", 256, "all=ENOTDIR" },
};

static void run_length(size_t i)
{
	char *name = repeated('n', lengths[i].length), *path = NULL;
	struct situation s = { NULL, lengths[i].results };

	must(asprintf(&path, "%s%s%s", lengths[i].before, name, lengths[i].behind));
	check_words(s.results);
	for (size_t k = 0; k < n_ops; k++) {
		/* a socket's address has no room for it */
		if (strcmp(ops[k].name, "connect") == 0 || strcmp(ops[k].name, "bind") == 0)
			continue;
		scene();
		if (lengths[i].length == 255 && !lengths[i].behind[0])
			wipe(path);
		expect(result_of(s.results, &ops[k]), ops[k].run(path), "%s of %s", ops[k].name, lengths[i].what);
	}
	if (lengths[i].length == 255)
		wipe(name);
	free(path);
	free(name);
}

/* A whole path: with its NUL it may take PATH_MAX. */
static void whole_paths(void)
{
	static const char *const results =
		"follow=OK nofollow=OK make=EEXIST open_new=OK remove=OK from=OK to=OK "
		"noreplace_to=EEXIST open_dir=ENOTDIR chdir=ENOTDIR rmdir=ENOTDIR readlink=EINVAL "
		"rename_dir_to=ENOTDIR";

	for (size_t size = PATH_MAX - 3; size <= PATH_MAX + 2; size++) {
		char *path = long_path(size, "/f");

		for (size_t k = 0; k < n_ops; k++) {
			if (strcmp(ops[k].name, "connect") == 0 || strcmp(ops[k].name, "bind") == 0)
				continue;
			scene();
			expect(size < PATH_MAX ? result_of(results, &ops[k]) : -ENAMETOOLONG, ops[k].run(path),
			       "%s of a path of %zu bytes", ops[k].name, size);
		}
		free(path);
	}
}

/* The second argument of what takes two, and the text of a link. */
static void second_arguments(void)
{
	char *name = repeated('n', 256), *path = long_path(PATH_MAX, "/f");
	char *fits = long_path(PATH_MAX - 1, "/f");

	scene();
	expect(-ENAMETOOLONG, done(rename("f", name)), "rename to a name of 256");
	expect(-ENOENT, done(rename("none", name)), "rename of nothing to a name of 256");
	expect(-ENAMETOOLONG, done(rename(name, name)), "rename of a name of 256 to itself");
	expect(-ENAMETOOLONG, done(link("f", name)), "link to a name of 256");
	expect(-ENAMETOOLONG, done(symlink("f", name)), "symlink to a name of 256");
	expect(-ENAMETOOLONG, done(rename("f", path)), "rename to a path of 4096");
	expect(-ENAMETOOLONG, done(link("f", path)), "link to a path of 4096");
	expect(-ENAMETOOLONG, done(symlink(path, "new")), "symlink with a text of 4096");
	expect(0, done(symlink(fits, "new")), "symlink with a text of 4095");
	expect(0, op_find("stat")->run("new"), "stat through a link of 4095");
	expect(-ENOENT, done(symlink("", "new2")), "symlink with an empty text");
	expect(0, done(symlink(name, "new2")), "symlink to a name of 256");
	expect(-ENAMETOOLONG, op_find("stat")->run("new2"), "stat through a link to a name of 256");
	expect(-ENAMETOOLONG, op_find("open_creat")->run("new2"), "open_creat through a link to a name of 256");
	expect(-ENOENT, done(rename("f", "")), "rename to an empty path");
	expect(-ENOENT, done(link("f", "")), "link to an empty path");
	expect(-ENOENT, done(rename("f", "none/x")), "rename into a missing directory");
	expect(-ENOTDIR, done(rename("f", "p/x")), "rename below a fifo");
	expect(-ELOOP, done(rename("f", "loop/x")), "rename below a loop");
	expect_true(exists("f"), "f is still there");
	wipe("new");
	wipe("new2");
	free(fits);
	free(path);
	free(name);
}

void errno_names(void)
{
	for (size_t i = 0; i < N(lengths); i++)
		run_length(i);
	whole_paths();
	second_arguments();
}
