/* SPDX-License-Identifier: MIT */
/* What the command line is made of: mount options, sizes, suggestions, paths, lines of mountinfo. */
#include "fs/verbs/common.h"
#include "fs/verbs/mountinfo.h"
#include "fs/verbs/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef LSMFS_SOURCE_DIR
#define LSMFS_SOURCE_DIR "."
#endif

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "64k", 64 << 10 },
		{ "256M", 256 << 20 },
		{ "3G", UINT64_C(3) << 30 },
		{ "2t", UINT64_C(2) << 40 },
	};
	static const char *const bad[] = { "", "M", "-1", " 1", "1 ", "1MB", "1.5G", "0x10", "99999999999G", "12q" };
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(parse_size(good[i].text, &bytes));
		assert_int_equal(bytes, good[i].bytes);
	}
	bytes = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_size(bad[i], &bytes));
	assert_int_equal(bytes, 77);
}

static void suggestions(void **state)
{
	static const char *const words[] = { "mount", "umount", "get", "put", "rm", "ls", "stat", NULL };

	(void)state;
	assert_string_equal(closest_word("mout", words), "mount");
	assert_string_equal(closest_word("muont", words), "mount");
	assert_string_equal(closest_word("unmount", words), "umount");
	assert_string_equal(closest_word("stats", words), "stat");
	assert_string_equal(closest_word("pu", words), "put");
	assert_null(closest_word("", words));
	assert_null(closest_word("compact", words));
	assert_null(closest_word("x", words));
	assert_null(closest_word("a-word-that-is-much-longer-than-any-verb-could-be", words));
}

static void paths(void **state)
{
	char dir[] = "/tmp/lsmfs-test-XXXXXX";
	char path[64], *absolute;

	(void)state;
	assert_true(path_is_within("/a/b", "/a/b"));
	assert_true(path_is_within("/a/b/c", "/a/b"));
	assert_true(path_is_within("/a", "/"));
	assert_false(path_is_within("/a/bc", "/a/b"));
	assert_false(path_is_within("/a", "/a/b"));

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/./missing//", dir);
	absolute = path_absolute(path);
	assert_non_null(absolute);
	assert_true(strncmp(absolute, dir, strlen(dir)) == 0);
	assert_string_equal(absolute + strlen(dir), "/missing");
	free(absolute);
	snprintf(path, sizeof(path), "%s/missing/deeper", dir);
	assert_null(path_absolute(path));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(rmdir(dir), 0);
}

static void lines_of_mountinfo(void **state)
{
	static const char ours[] = "98 31 0:52 / /home/a\\040b/kv rw,relatime shared:5 master:1 - fuse.lsmfs /s\\134t "
				   "rw,user_id=17,group_id=4\n";
	static const char other[] = "23 1 8:1 / / rw - ext4 /dev/vda1 rw,xuser_id=3\n";
	static const char bound[] = "99 31 0:52 /sub /mnt rw - fuse.lsmfs /s rw,allow_other,user_id=1000\n";
	struct mount_entry entry;

	(void)state;
	assert_true(mount_entry_parse(ours, &entry));
	assert_string_equal(entry.dir, "/home/a b/kv");
	assert_string_equal(entry.type, MOUNT_TYPE_OURS);
	assert_string_equal(entry.source, "/s\\t");
	assert_true(entry.whole && entry.user == 17 && entry.device == makedev(0, 52));
	mount_entry_done(&entry);
	assert_true(mount_entry_parse(bound, &entry));
	assert_true(!entry.whole && entry.user == 1000);
	mount_entry_done(&entry);
	assert_true(mount_entry_parse(other, &entry));
	assert_string_equal(entry.dir, "/");
	assert_string_equal(entry.type, "ext4");
	assert_true(entry.whole && entry.user == 0 && entry.device == makedev(8, 1));
	mount_entry_done(&entry);
	assert_false(mount_entry_parse("", &entry));
	assert_false(mount_entry_parse("23 1 8:1 /\n", &entry));
	assert_false(mount_entry_parse("23 1 8:1 / / rw - ext4\n", &entry));
}

static void proc_is_mounted(void **state)
{
	struct mount_entry entry;

	(void)state;
	assert_int_equal(mount_find("/proc", NULL, &entry), 1);
	assert_string_equal(entry.type, "proc");
	mount_entry_done(&entry);
	assert_int_equal(mount_find("/proc", "/no/such/store", &entry), 0);
	assert_int_equal(mount_find("/no/such/directory", NULL, &entry), 0);
}

static struct mount_options parsed(const char *text, bool as_root)
{
	struct mount_options options;

	mount_options_init(&options, as_root);
	assert_true(mount_options_parse(&options, text, false));
	return options;
}

static void mount_options(void **state)
{
	struct mount_options options;

	(void)state;
	options = parsed("memory=64M,ro,sync", true);
	assert_int_equal(options.memory_bytes, 64 << 20);
	assert_true(options.read_only && options.sync_data && options.sync_names);
	assert_true(options.allow_other && !options.nosuid && !options.nodev);
	options = parsed("ro,rw,sync,async,dirsync", false);
	assert_false(options.read_only || options.sync_data || options.allow_other);
	assert_true(options.sync_names && options.nosuid && options.nodev);
	options = parsed("defaults,nofail,noauto,_netdev,x-systemd.automount,X-mount.mkdir,comment=a,uhelper=b", true);
	assert_false(options.read_only || options.nosuid);
	options = parsed("user,exec", true);
	assert_true(options.nosuid && options.nodev && !options.noexec);
	options = parsed("", true);
	assert_int_equal(options.memory_bytes, 0);
}

static void wrong_mount_options_change_nothing(void **state)
{
	static const char *const wrong[] = {
		"ro,cachesize=1", "ro,memory",  "ro,memory=",     "ro,memory=1K", "ro,memory=12x",
		"ro,sync=1",      "ro,remount", "ro,allow-other", "ro,fsname=x",  "ro,memory=64M,=",
	};
	struct mount_options options;

	(void)state;
	mount_options_init(&options, true);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_false(mount_options_parse(&options, wrong[i], false));
		assert_false(options.read_only);
		assert_int_equal(options.memory_bytes, 0);
	}
	assert_true(mount_options_parse(&options, "ro,cachesize=1,noexec", true));
	assert_true(options.read_only && options.noexec);
}

static void options_for_fuse(void **state)
{
	struct mount_options options = parsed("ro,noexec", true);
	char *text = mount_options_for_fuse(&options, "/a,b\\c", true);

	(void)state;
	assert_non_null(text);
	assert_non_null(strstr(text, "fsname=/a\\,b\\\\c"));
	assert_non_null(strstr(text, ",default_permissions,subtype=lsmfs,ro,suid,dev,noexec,allow_other"));
	free(text);
	options = parsed("allow_root,allow_other", false);
	text = mount_options_for_fuse(&options, "/s", false);
	assert_non_null(text);
	assert_string_equal(text, "fsname=/s,default_permissions,subtype=lsmfs,allow_root");
	free(text);
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		return NULL;
	if (getdelim(&text, &size, 0, file) < 0) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

/* Every option that the help shows stands in both manual pages, as a term of a list of its own. */
static void manual_pages_have_every_option(void **state)
{
	static const char *const pages[] = { LSMFS_SOURCE_DIR "/docs/man/lsmfs.1",
					     LSMFS_SOURCE_DIR "/docs/man/mount.lsmfs.8" };

	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		char *page = read_file(pages[i]);
		if (!page) {
			print_message("%s isn't here\n", pages[i]);
			skip();
		}
		for (size_t k = 0; mount_options_name(k); k++) {
			char term[64];
			snprintf(term, sizeof(term), "\\fB%s\\fR", mount_options_name(k));
			if (!strstr(page, term))
				fail_msg("%s lacks %s", pages[i], term);
		}
		free(page);
	}
}

static void help_has_every_option(void **state)
{
	char *help = mount_options_help();

	(void)state;
	assert_non_null(help);
	for (size_t k = 0; mount_options_name(k); k++)
		assert_non_null(strstr(help, mount_options_name(k)));
	for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n"))
		assert_in_range(strlen(line), 1, 79);
	free(help);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(suggestions),
		cmocka_unit_test(paths),
		cmocka_unit_test(lines_of_mountinfo),
		cmocka_unit_test(proc_is_mounted),
		cmocka_unit_test(mount_options),
		cmocka_unit_test(wrong_mount_options_change_nothing),
		cmocka_unit_test(options_for_fuse),
		cmocka_unit_test(manual_pages_have_every_option),
		cmocka_unit_test(help_has_every_option),
	};
	return cmocka_run_group_tests_name("verbs/options", tests, NULL, NULL);
}
