/* SPDX-License-Identifier: MIT */
/* Users, the rule by which rights are given, and files in the making. */
#include "suite.h"

#include <dirent.h>
#include <ftw.h>
#include <grp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

const struct user users[USERS] = {
	[ROOT] = { "root", 0, 0, 0, { 0 } },
	[ANN] = { "ann", 61001, 61001, 2, { TEAM, CLUB } },
	[BEN] = { "ben", 61002, 61002, 1, { TEAM } },
};

const char *const class_names[CLASSES] = { "owner", "group", "supplementary group", "other" };
const char *const thing_names[THINGS] = { "file", "directory", "link", "fifo", "socket", "device", "nothing" };

void be_real(int real, int effective)
{
	const struct user *r = &users[real], *e = &users[effective];

	must(setresuid(0, 0, 0)); /* the saved id allows it */
	must(setgroups(e->n_groups, e->groups));
	must(setresgid(r->gid, e->gid, 0));
	must(setresuid(r->uid, e->uid, 0));
	must(prctl(PR_SET_DUMPABLE, 1)); /* or /proc/self would be root's alone */
}

void be(int user)
{
	be_real(user, user);
}

bool in_group(int user, gid_t gid)
{
	const struct user *u = &users[user];

	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return true;
	return u->gid == gid;
}

bool may(int user, const struct perm *perm, int want, bool dir)
{
	if (user == ROOT)
		return dir || !(want & 1) || perm->mode & 0111;
	if (users[user].uid == perm->uid)
		return ((int)(perm->mode >> 6) & want) == want;
	if (in_group(user, perm->gid))
		return ((int)(perm->mode >> 3) & want) == want;
	return ((int)perm->mode & want) == want;
}

struct perm perm_of_class(int user, enum file_class cls, int rwx)
{
	const mode_t m = (mode_t)rwx, not_m = 7 ^ m;
	const struct user *u = &users[user];

	switch (cls) {
	case OWNER:
		return (struct perm){ u->uid, FOREIGN, m << 6 | not_m << 3 | not_m };
	case GROUP:
		return (struct perm){ FOREIGN, u->gid, not_m << 6 | m << 3 | not_m };
	case SUPPLEMENTARY:
		return (struct perm){ FOREIGN, TEAM, not_m << 6 | m << 3 | not_m };
	default:
		return (struct perm){ FOREIGN, FOREIGN, not_m << 6 | not_m << 3 | m };
	}
}

void perm_set(const char *path, const struct perm *perm)
{
	must(lchown(path, perm->uid, perm->gid));
	if (!S_ISLNK(look(path).st_mode))
		must(chmod(path, perm->mode));
}

long opened(int fd)
{
	if (fd < 0)
		return -errno;
	must(close(fd));
	return 0;
}

bool on_lsmfs(void)
{
	struct statfs fs;

	must(statfs(".", &fs));
	return fs.f_type == FUSE_SUPER_MAGIC;
}

static void make_socket(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = (int)must(socket(AF_UNIX, SOCK_STREAM, 0));

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	must(bind(s, (struct sockaddr *)&a, sizeof(a)));
	must(close(s));
}

void make_file(const char *path, const char *text)
{
	int fd = (int)must(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	must(write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
	must(close(fd));
}

void make(enum thing thing, const char *path, const struct perm *perm)
{
	switch (thing) {
	case FILE_:
		make_file(path, "x");
		break;
	case DIR_:
		must(mkdir(path, 0755));
		break;
	case LINK_:
		must(symlink("f", path));
		break;
	case FIFO_:
		must(mkfifo(path, 0644));
		break;
	case SOCK_:
		make_socket(path);
		break;
	case DEV_:
		must(mknod(path, S_IFCHR | 0644, makedev(1, 3)));
		break;
	default:
		return;
	}
	if (perm)
		perm_set(path, perm);
}

static int wipe_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void wipe(const char *path)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return;
	if (nftw(path, wipe_one, 64, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		must(-1);
}

struct stat look(const char *path)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	if (lstat(path, &st) < 0) {
		fprintf(stderr, "# lstat %s\n", path);
		must(-1);
	}
	return st;
}

struct stat look_fd(int fd)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	must(fstat(fd, &st));
	return st;
}

bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

size_t slurp(const char *path, void *buf, size_t size)
{
	int fd = (int)must(open(path, O_RDONLY));
	size_t n = (size_t)must(read(fd, buf, size));

	must(close(fd));
	return n;
}

size_t count_names(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	must(d ? 0 : -1);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	must(closedir(d));
	return n;
}

/* The clock of files is the coarse one; what is written between two of its ticks gets the same time. */
void tick(void)
{
	struct timespec from, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &from);
	do {
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec == from.tv_sec && now.tv_nsec == from.tv_nsec);
	nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}

char *repeated(char c, size_t n)
{
	char *s = malloc(n + 1);

	must(s ? 0 : -1);
	memset(s, c, n);
	s[n] = 0;
	return s;
}

char *long_path(size_t n, const char *name)
{
	size_t size = strlen(name), at = 0;
	char *s = repeated('/', n);

	for (s[at++] = '.'; at + size + 2 <= n; at += 2)
		memcpy(s + at, "/.", 2);
	/* what is left over are slashes, at least one */
	memcpy(s + n - size, name, size);
	return s;
}

int sysctl(const char *name)
{
	char path[128], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/fs/%s", name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return atoi(text);
}

const char *scene_name(enum thing thing)
{
	static const char *const scene_names[THINGS] = { "f", "d", "l", "p", "s", "c", "new" };

	return scene_names[thing];
}

/* Puts one thing in place if it isn't there as it should be. */
static void repair(enum thing thing, const char *path, const struct perm *perm)
{
	static const mode_t types[THINGS] = { S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, 0 };
	const struct perm as = perm ? *perm : (struct perm){ 0, 0, 0755 };
	struct stat st;

	if (lstat(path, &st) < 0)
		st.st_mode = 0;
	if (st.st_mode && (st.st_mode & S_IFMT) != types[thing]) {
		wipe(path);
		st.st_mode = 0;
	}
	if (!st.st_mode) {
		make(thing, path, &as);
		if (thing == FILE_)
			must(setxattr(path, "user.x", "1", 1, 0));
	} else if (st.st_uid != as.uid || st.st_gid != as.gid || (thing != LINK_ && (st.st_mode & 07777) != as.mode)) {
		perm_set(path, &as);
	}
}

void scene_make(const char *dir, const struct perm *perm)
{
	char path[256];

	repair(DIR_, "o", &(struct perm){ 0, 0, 0777 });
	repair(FILE_, "o/file", perm);
	repair(DIR_, "o/dir", perm);
	wipe("o/new");
	for (enum thing t = FILE_; t <= SOCK_; t++) {
		snprintf(path, sizeof(path), "%s/%s", dir, scene_name(t));
		repair(t, path, perm);
	}
	snprintf(path, sizeof(path), "%s/new", dir);
	wipe(path);
	snprintf(path, sizeof(path), "%s/full", dir);
	repair(DIR_, path, perm);
	snprintf(path, sizeof(path), "%s/full/x", dir);
	repair(FILE_, path, perm);
}
