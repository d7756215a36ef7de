/* SPDX-License-Identifier: MIT */
/*
 * A file system that is mounted for reading only. The script that runs this group has made the tree before, while it
 * could: tree/ with a scene (see suite.h), c (a device) and secret, and o/ beside it, all of root's.
 */
#include "suite.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

/* Operations that only look. */
static const char *const looking[] = {
	"stat",
	"lstat",
	"statx",
	"statfs",
	"access",
	"faccessat_nofollow",
	"open_r",
	"open_path",
	"openat2",
	"open_nofollow",
	"open_path_nofollow",
	"open_dir",
	"readlink",
	"getxattr",
	"lgetxattr",
	"listxattr",
	"llistxattr",
	"execve",
	"chdir",
	"inotify",
	"name_to_handle",
	"connect",
};

static bool only_looks(const char *name)
{
	for (size_t i = 0; i < N(looking); i++)
		if (strcmp(looking[i], name) == 0)
			return true;
	return false;
}

static void by_operations(void)
{
	char path[64];

	for (size_t i = 0; i < n_ops; i++) {
		snprintf(path, sizeof(path), "tree/%s", scene_name(ops[i].on));
		expect(only_looks(ops[i].name) ? 0 : -EROFS, ops[i].run(path), "%s on a read-only mount", ops[i].name);
	}
	/* what is not there is missed before anything is refused */
	for (size_t i = 0; i < n_ops; i++) {
		if (ops[i].kind == MAKE || ops[i].kind == TO || strcmp(ops[i].name, "open_creat") == 0)
			continue;
		expect_either(-ENOENT, ops[i].kind == FOLLOW || ops[i].kind == NOFOLLOW ? -ENOENT : -EROFS,
			      ops[i].run("tree/none"), "%s of nothing on a read-only mount", ops[i].name);
	}
	expect(-EEXIST, op_find("mkdir")->run("tree/d"), "mkdir of what is there on a read-only mount");
	expect(-EEXIST, op_find("open_excl")->run("tree/f"), "open with O_EXCL of what is there on a read-only mount");
	expect(0, opened(open("tree/f", O_RDONLY | O_CREAT, 0644)), "open with O_CREAT of what is there, to read");
	expect(-EROFS, done(access("tree/f", W_OK)), "access W_OK of a file on a read-only mount");
	expect(-EROFS, done(access("tree/d", W_OK)), "access W_OK of a directory on a read-only mount");
	expect(0, done(access("tree/p", W_OK)), "access W_OK of a fifo on a read-only mount");
	expect(0, done(access("tree/f", R_OK)), "access R_OK of a file on a read-only mount");
	/* fifos and devices are no part of what may not be written */
	expect(0, opened(open("tree/c", O_RDWR)), "open of a device for both on a read-only mount");
	expect(0, done(access("tree/c", W_OK)), "access W_OK of a device on a read-only mount");
	expect(0, opened(open("tree/p", O_RDWR | O_NONBLOCK)), "open of a fifo for both on a read-only mount");
}

static void by_descriptors(void)
{
	int fd = (int)must(open("tree/f", O_RDONLY)), dir = (int)must(open("tree", O_RDONLY | O_DIRECTORY));
	struct statvfs fs;
	struct stat st;
	char buf[8];

	expect(1, rc(read(fd, buf, sizeof(buf))), "read on a read-only mount");
	expect_true(buf[0] == 'x', "what was read");
	expect(-EBADF, rc(write(fd, "x", 1)), "write on a read-only mount");
	expect(-EROFS, rc(fchmod(fd, 0600)), "fchmod on a read-only mount");
	expect(-EROFS, rc(fchown(fd, 1, 1)), "fchown on a read-only mount");
	expect(-EROFS, rc(futimens(fd, NULL)), "futimens on a read-only mount");
	expect(-EROFS, rc(fsetxattr(fd, "user.y", "1", 1, 0)), "fsetxattr on a read-only mount");
	expect(-EROFS, rc(fremovexattr(fd, "user.x")), "fremovexattr on a read-only mount");
	expect(-EINVAL, rc(ftruncate(fd, 0)), "ftruncate on a read-only mount");
	expect(-EBADF, rc(fallocate(fd, 0, 0, 10)), "fallocate on a read-only mount");
	expect(0, rc(fsync(fd)), "fsync on a read-only mount");
	expect(0, rc(syncfs(dir)), "syncfs on a read-only mount");
	expect(-EROFS, rc(mkdirat(dir, "x", 0755)), "mkdirat on a read-only mount");
	expect(-EROFS, rc(unlinkat(dir, "f", 0)), "unlinkat on a read-only mount");
	expect_either(-EROFS, -EOPNOTSUPP, opened(openat(dir, ".", O_TMPFILE | O_RDWR, 0600)),
		      "O_TMPFILE on a read-only mount");
	expect_true(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED, "mmap on a read-only mount");
	expect(0, rc(fstatvfs(fd, &fs)), "fstatvfs on a read-only mount");
	expect_true(fs.f_flag & ST_RDONLY, "statvfs says that it is read-only");
	expect(0, rc(fstat(fd, &st)), "fstat on a read-only mount");
	expect_equal(1, (long long)st.st_nlink, "links on a read-only mount");
	must(close(fd));
	must(close(dir));
}

void read_only(void)
{
	for (int user = ROOT; user < USERS; user++) {
		if (user == ROOT)
			by_operations();
		else {
			be(user);
			expect_either(-EROFS, -EACCES, op_find("open_new")->run("tree/new"),
				      "create by %s on a read-only mount", users[user].name);
			expect(-EACCES, op_find("open_r")->run("tree/secret"),
			       "open of a secret by %s on a read-only mount", users[user].name);
			be(ROOT);
		}
	}
	by_descriptors();
}

/* What read_only() looks at; in the current directory, which is not removed. */
void read_only_tree(void)
{
	must(mkdir("tree", 0755));
	scene_make("tree", &(struct perm){ 0, 0, 0755 });
	make(DEV_, "tree/c", NULL);
	make_file("tree/secret", "x");
	must(chmod("tree/secret", 0600));
	expect_true(exists("tree/f"), "the tree is there");
}
