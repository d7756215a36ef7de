/* SPDX-License-Identifier: MIT */
/* O_TMPFILE: files that are made without a name, and may get one. */
#include "suite.h"

#include <stdio.h>
#include <sys/xattr.h>

static void refused(void)
{
	static const struct {
		const char *path;
		int flags;
		long want;
	} tries[] = {
		{ ".", O_TMPFILE | O_RDWR, 0 },
		{ ".", O_TMPFILE | O_WRONLY, 0 },
		{ "d", O_TMPFILE | O_RDWR, 0 },
		{ "d/", O_TMPFILE | O_RDWR, 0 },
		{ "d/..", O_TMPFILE | O_RDWR, 0 },
		{ "ld", O_TMPFILE | O_RDWR, 0 },
		{ ".", O_TMPFILE | O_RDWR | O_EXCL, 0 },
		{ ".", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC | O_SYNC, 0 },
		{ ".", O_TMPFILE | O_RDWR | O_TRUNC, 0 },
		{ ".", O_TMPFILE | O_RDONLY, -EINVAL },
		{ ".", O_TMPFILE | O_RDWR | O_CREAT, -EINVAL },
		{ ".", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, -EINVAL },
		{ "f", O_TMPFILE | O_RDWR, -ENOTDIR },
		{ "p", O_TMPFILE | O_RDWR, -ENOTDIR },
		{ "l", O_TMPFILE | O_RDWR, -ENOTDIR },
		{ "ld", O_TMPFILE | O_RDWR | O_NOFOLLOW, -ENOTDIR },
		{ "none", O_TMPFILE | O_RDWR, -ENOENT },
		{ "f/x", O_TMPFILE | O_RDWR, -ENOTDIR },
		{ "", O_TMPFILE | O_RDWR, -ENOENT },
	};

	must(symlink("d", "ld"));
	for (size_t i = 0; i < N(tries); i++)
		expect(tries[i].want, opened(open(tries[i].path, tries[i].flags, 0600)), "O_TMPFILE %zu in \"%s\"", i,
		       tries[i].path);
	expect_equal(0, (long long)count_names("d"), "names that O_TMPFILE made");
}

static void rights(void)
{
	for (int user = ROOT; user < USERS; user++)
		for (enum file_class cls = user == ROOT ? OTHER : OWNER; cls < CLASSES; cls++)
			for (int rwx = 0; rwx < 8; rwx++) {
				struct perm perm = perm_of_class(user, cls, rwx);

				perm_set("d", &perm);
				be(user);
				expect(may(user, &perm, 3, true) ? 0 : -EACCES,
				       opened(open("d", O_TMPFILE | O_RDWR, 0600)),
				       "O_TMPFILE by %s in a directory of mode %03o", users[user].name, perm.mode);
				be(ROOT);
			}
}

static void what_is_made(void)
{
	static const mode_t dirs[] = { 0777, 02777 }, modes[] = { 0, 0600, 0777, 02755, 04711 },
			    masks[] = { 0, 022, 077 };

	for (int user = ROOT; user < USERS; user++)
		for (size_t k = 0; k < N(dirs) * N(modes) * N(masks); k++) {
			const mode_t dir = dirs[k % 2], mode = modes[k / 2 % N(modes)], mask = masks[k / 2 / N(modes)];
			mode_t want = mode & ~mask;
			struct stat st;
			int fd;

			perm_set("d", &(struct perm){ FOREIGN, FOREIGN, dir });
			be(user);
			umask(mask);
			fd = open("d", O_TMPFILE | O_RDWR, mode);
			umask(022);
			be(ROOT);
			if (!expect_true(fd >= 0, "O_TMPFILE of mode %05o by %s", mode, users[user].name))
				continue;
			st = look_fd(fd);
			must(close(fd));
			if (dir & S_ISGID && (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && user != ROOT)
				want &= ~(mode_t)S_ISGID;
			expect_mode(S_IFREG | want, st.st_mode,
				    "mode of O_TMPFILE %05o, umask %03o, by %s in a directory of %05o", mode, mask,
				    users[user].name, dir);
			expect_equal(users[user].uid, st.st_uid, "owner of O_TMPFILE by %s", users[user].name);
			expect_equal(dir & S_ISGID ? FOREIGN : users[user].gid, st.st_gid,
				     "group of O_TMPFILE by %s in a directory of %05o", users[user].name, dir);
			expect_equal(0, (long long)st.st_nlink, "links of O_TMPFILE");
		}
}

static void gets_a_name(void)
{
	struct stat before, after;
	char path[64], buf[16];
	int fd, exclusive;

	perm_set("d", &(struct perm){ 0, 0, 0755 });
	before = look("d");
	tick();
	fd = (int)must(open("d", O_TMPFILE | O_RDWR, 0640));
	after = look("d");
	expect_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec,
		    "O_TMPFILE leaves the directory's mtime");
	expect(5, rc(write(fd, "bytes", 5)), "write to O_TMPFILE");
	expect(0, rc(ftruncate(fd, 10)), "ftruncate of O_TMPFILE");
	expect(10, rc(pread(fd, buf, 16, 0)), "read of O_TMPFILE");
	expect(0, rc(fsetxattr(fd, "user.a", "1", 1, 0)), "fsetxattr of O_TMPFILE");
	expect(0, rc(fchmod(fd, 0600)), "fchmod of O_TMPFILE");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	expect(-EEXIST, rc(linkat(AT_FDCWD, path, AT_FDCWD, "f", AT_SYMLINK_FOLLOW)),
	       "linkat of O_TMPFILE over a file");
	expect(0, rc(linkat(AT_FDCWD, path, AT_FDCWD, "d/named", AT_SYMLINK_FOLLOW)), "linkat of O_TMPFILE");
	expect_equal(1, (long long)look_fd(fd).st_nlink, "links then");
	expect_equal((long long)look_fd(fd).st_ino, (long long)look("d/named").st_ino, "it is the same file");
	expect(0, rc(linkat(fd, "", AT_FDCWD, "d/second", AT_EMPTY_PATH)), "linkat \"\" of it");
	expect_equal(2, (long long)look("d/named").st_nlink, "links then");
	must(close(fd));
	expect(10, (long)slurp("d/named", buf, 16), "its bytes are there");
	expect(1, rc(getxattr("d/second", "user.a", buf, 16)), "its attribute is there");
	exclusive = (int)must(open("d", O_TMPFILE | O_RDWR | O_EXCL, 0640));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", exclusive);
	expect(-ENOENT, rc(linkat(AT_FDCWD, path, AT_FDCWD, "d/never", AT_SYMLINK_FOLLOW)),
	       "linkat of O_TMPFILE|O_EXCL");
	must(close(exclusive));
	expect_equal(2, (long long)count_names("d"), "names in the directory");
}

void tmpfiles(void)
{
	scene_make(".", NULL);
	if (opened(open(".", O_TMPFILE | O_RDWR, 0600)) == -EOPNOTSUPP) {
		skip("no O_TMPFILE here");
		return;
	}
	refused();
	rights();
	what_is_made();
	gets_a_name();
}
