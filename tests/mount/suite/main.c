/* SPDX-License-Identifier: MIT */
/*
 * posix_suite [--list | GROUP...] - what programs expect of a file system, as tables of cases, checked in the directory
 * that LSMFS_TEST_DIR names. Prints TAP: a point for each case that fails, and one for all others of its group.
 */
#include "suite.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const struct group {
	const char *name;
	void (*run)(void);
	enum { ALWAYS, BY_NAME, IN_PLACE } when; /* IN_PLACE: by name, and without a directory of its own */
} groups[] = {
	{ "rights_on_the_way", rights_on_the_way, ALWAYS },
	{ "rights_of_objects", rights_of_objects, ALWAYS },
	{ "rights_access", rights_access, ALWAYS },
	{ "rights_sticky", rights_sticky, ALWAYS },
	{ "rights_chown", rights_chown, ALWAYS },
	{ "rights_chmod", rights_chmod, ALWAYS },
	{ "rights_utimes", rights_utimes, ALWAYS },
	{ "rights_links", rights_links, ALWAYS },
	{ "made_in_setgid_dirs", made_in_setgid_dirs, ALWAYS },
	{ "made_with_umask", made_with_umask, ALWAYS },
	{ "errno_paths", errno_paths, ALWAYS },
	{ "errno_names", errno_names, ALWAYS },
	{ "errno_pointers", errno_pointers, ALWAYS },
	{ "errno_descriptors", errno_descriptors, ALWAYS },
	{ "errno_limits", errno_limits, ALWAYS },
	{ "errno_busy", errno_busy, ALWAYS },
	{ "times_changed", times_changed, ALWAYS },
	{ "times_kept", times_kept, ALWAYS },
	{ "times_set", times_set, ALWAYS },
	{ "link_counts", link_counts, ALWAYS },
	{ "unlinked_open", unlinked_open, ALWAYS },
	{ "removed_dirs", removed_dirs, ALWAYS },
	{ "setid_falls", setid_falls, ALWAYS },
	{ "open_flags", open_flags, ALWAYS },
	{ "open_results", open_results, ALWAYS },
	{ "openat2_resolve", openat2_resolve, ALWAYS },
	{ "statx_fields", statx_fields, ALWAYS },
	{ "rename_pairs", rename_pairs, ALWAYS },
	{ "rename_loops", rename_loops, ALWAYS },
	{ "rename_more", rename_more, ALWAYS },
	{ "symlinks", symlinks, ALWAYS },
	{ "names", names, ALWAYS },
	{ "listing", listing, ALWAYS },
	{ "listing_changes", listing_changes, ALWAYS },
	{ "content_sizes", content_sizes, ALWAYS },
	{ "content_holes", content_holes, ALWAYS },
	{ "content_copy", content_copy, ALWAYS },
	{ "content_io", content_io, ALWAYS },
	{ "content_maps", content_maps, ALWAYS },
	{ "xattr_rules", xattr_rules, ALWAYS },
	{ "xattr_rights", xattr_rights, ALWAYS },
	{ "read_only_tree", read_only_tree, IN_PLACE },
	{ "read_only", read_only, IN_PLACE },
	{ "large_files", large_files, BY_NAME },
	{ "large_xattrs", large_xattrs, BY_NAME },
	{ "tmpfiles", tmpfiles, ALWAYS },
	{ "large_times", large_times, BY_NAME },
};

/* What a group's process has found, shared with us. */
static struct {
	unsigned passed, failed;
} * count;

static const char *group_name;

static void say_failed(const char *what, const char *want, const char *got)
{
	count->failed++;
	printf("not ok - %s: %s: want %s, got %s\n", group_name, what, want, got);
	fflush(stdout);
}

#define TEXT_SIZE 600

/* The text of a case, which is only made when it failed. */
#define DESCRIBE(text, format)                                \
	char text[TEXT_SIZE];                                 \
	do {                                                  \
		va_list args_;                                \
		va_start(args_, format);                      \
		vsnprintf(text, sizeof(text), format, args_); \
		va_end(args_);                                \
	} while (0)

static bool good(void)
{
	count->passed++;
	return true;
}

const char *errno_name(long result)
{
	static char buf[2][32];
	static unsigned turn;
	const char *name = result < 0 ? strerrorname_np((int)-result) : NULL;
	char *at = buf[turn++ % 2];

	if (name)
		return name;
	snprintf(at, sizeof(buf[0]), "%ld", result);
	return at;
}

bool expect(long want, long got, const char *format, ...)
{
	if (want == got)
		return good();
	DESCRIBE(text, format);
	say_failed(text, errno_name(want), errno_name(got));
	return false;
}

bool expect_either(long want, long or_want, long got, const char *format, ...)
{
	char wants[80];

	if (got == want || got == or_want)
		return good();
	DESCRIBE(text, format);
	snprintf(wants, sizeof(wants), "%s or %s", errno_name(want), errno_name(or_want));
	say_failed(text, wants, errno_name(got));
	return false;
}

bool expect_equal(long long want, long long got, const char *format, ...)
{
	char wants[32], gots[32];

	if (want == got)
		return good();
	DESCRIBE(text, format);
	snprintf(wants, sizeof(wants), "%lld", want);
	snprintf(gots, sizeof(gots), "%lld", got);
	say_failed(text, wants, gots);
	return false;
}

bool expect_mode(mode_t want, mode_t got, const char *format, ...)
{
	char wants[32], gots[32];

	if (want == got)
		return good();
	DESCRIBE(text, format);
	snprintf(wants, sizeof(wants), "%06o", want);
	snprintf(gots, sizeof(gots), "%06o", got);
	say_failed(text, wants, gots);
	return false;
}

bool expect_true(bool holds, const char *format, ...)
{
	if (holds)
		return good();
	DESCRIBE(text, format);
	say_failed(text, "that", "not so");
	return false;
}

void skip(const char *format, ...)
{
	DESCRIBE(text, format);
	printf("ok - %s: %s # SKIP\n", group_name, text);
	fflush(stdout);
}

long must_(long value, const char *what, const char *file, int line)
{
	int error = errno;

	if (value >= 0)
		return value;
	count->failed++;
	printf("not ok - %s: the group ended at %s:%d: %s: %s\n", group_name, file, line, what, strerror(error));
	fflush(stdout);
	_exit(0);
}

static void group_process(const struct group *group)
{
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
	umask(022);
	if (group->when != IN_PLACE) {
		must(mkdir(group->name, 0777));
		must(chmod(group->name, 0777));
		must(chdir(group->name));
	}
	group->run();
	fflush(stdout);
	_exit(0);
}

/* In the directory to be tested; true if all went well. */
static bool run_group(const struct group *group)
{
	struct timespec from, to;
	int status;
	pid_t pid;

	group_name = group->name;
	count->passed = count->failed = 0;
	clock_gettime(CLOCK_MONOTONIC, &from);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		group_process(group);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("posix_suite");
		exit(2);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		count->failed++;
		printf("not ok - %s: the group ended with status %#x\n", group->name, (unsigned)status);
	}
	if (group->when != IN_PLACE)
		wipe(group->name);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (count->passed)
		printf("ok - %s # %u cases, %.1f s\n", group->name, count->passed,
		       (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec));
	return count->failed == 0;
}

static bool wanted(const struct group *group, char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], group->name) == 0)
			return true;
	return n == 0 && group->when == ALWAYS;
}

static void check_names(char **names, int n)
{
	for (int i = 0; i < n; i++) {
		size_t g = 0;

		while (g < N(groups) && strcmp(groups[g].name, names[i]) != 0)
			g++;
		if (g == N(groups)) {
			fprintf(stderr, "posix_suite: no group is called %s; see --list\n", names[i]);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	const char *dir = getenv("LSMFS_TEST_DIR");
	bool all_good = true;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < N(groups); i++)
			printf("%s%s\n", groups[i].name, groups[i].when != ALWAYS ? " (only by name)" : "");
		return 0;
	}
	check_names(argv + 1, argc - 1);
	if (!dir || chdir(dir) < 0) {
		fprintf(stderr, "posix_suite: set LSMFS_TEST_DIR to the directory to test\n");
		return 2;
	}
	if (geteuid() != 0) {
		printf("posix_suite needs root: it becomes other users\n");
		return 77;
	}
	count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (count == MAP_FAILED) {
		perror("posix_suite");
		return 2;
	}
	for (size_t i = 0; i < N(groups); i++)
		if (wanted(&groups[i], argv + 1, argc - 1) && !run_group(&groups[i]))
			all_good = false;
	return all_good ? 0 : 1;
}
