/* SPDX-License-Identifier: MIT */
/* open(2) with all its flags, openat2(2), statx(2). */
#include "suite.h"

#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* ---- flags by targets ---- */

enum target { NONE, FILE_T, DIR_T, FILE_LINK, DIR_LINK, DANGLING, FIFO_T, SOCK_T, DEV_T, TARGETS };

static const char *const target_names[TARGETS] = {
	"nothing",           "a file", "a directory", "a link to a file", "a link to a directory",
	"a link to nothing", "a fifo", "a socket",    "a device",
};
/* what a link leads to */
static const enum target leads_to[TARGETS] = {
	NONE, FILE_T, DIR_T, FILE_T, DIR_T, NONE, FIFO_T, SOCK_T, DEV_T,
};

static const struct {
	int flag;
	const char *name;
} flag_names[] = {
	{ O_CREAT, "CREAT" },       { O_EXCL, "EXCL" },           { O_TRUNC, "TRUNC" },     { O_APPEND, "APPEND" },
	{ O_NOFOLLOW, "NOFOLLOW" }, { O_DIRECTORY, "DIRECTORY" }, { O_PATH, "PATH" },       { O_SYNC, "SYNC" },
	{ O_DSYNC, "DSYNC" },       { O_DIRECT, "DIRECT" },       { O_NOATIME, "NOATIME" }, { O_CLOEXEC, "CLOEXEC" },
	{ O_NOCTTY, "NOCTTY" },
};
#define COMBINED 7 /* the first ones are tried in all combinations */

static const char *const access_names[] = { "RDONLY", "WRONLY", "RDWR" };

static const char *show_flags(int flags)
{
	static char text[200];

	snprintf(text, sizeof(text), "%s", access_names[flags & O_ACCMODE]);
	for (size_t i = 0; i < N(flag_names); i++)
		if ((flags & flag_names[i].flag) == flag_names[i].flag) {
			strcat(text, "|");
			strcat(text, flag_names[i].name);
		}
	return text;
}

static bool directory_creat_refused; /* Linux 6.4 and newer */

struct outcome {
	long result;
	bool created, truncated;
	enum target opened; /* may be a link itself */
};

/* The rule. The user owns all there is, and nothing blocks (O_NONBLOCK). */
static struct outcome open_rule(int flags, enum target target)
{
	struct outcome o = { 0, false, false, target };
	const bool writes = flags & (O_WRONLY | O_RDWR);
	bool creat, exclusive;

	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
	creat = flags & O_CREAT;
	exclusive = creat && flags & O_EXCL;
	if (creat && flags & O_DIRECTORY && directory_creat_refused)
		return (struct outcome){ .result = -EINVAL };
	if (!(flags & O_NOFOLLOW) && !exclusive)
		o.opened = leads_to[target];
	if (o.opened == NONE) {
		o.created = creat;
		o.result = creat ? 0 : -ENOENT;
	} else if (exclusive) {
		o.result = -EEXIST;
	} else if (creat && o.opened == DIR_T) {
		o.result = -EISDIR;
	} else if (flags & O_DIRECTORY && o.opened != DIR_T) {
		o.result = -ENOTDIR;
	} else if (flags & O_PATH) {
		o.result = 0;
	} else if (o.opened == FILE_LINK || o.opened == DIR_LINK || o.opened == DANGLING) {
		o.result = -ELOOP;
	} else if (o.opened == DIR_T && (writes || flags & O_TRUNC)) {
		o.result = -EISDIR;
	} else if (o.opened == SOCK_T || (o.opened == FIFO_T && (flags & O_ACCMODE) == O_WRONLY)) {
		o.result = -ENXIO;
	} else {
		o.truncated = o.opened == FILE_T && flags & O_TRUNC;
	}
	return o;
}

static void make_targets(uid_t owner)
{
	static const struct {
		const char *name;
		enum thing thing;
	} things[] = {
		{ "file", FILE_ }, { "dir", DIR_ }, { "fifo", FIFO_ }, { "sock", SOCK_ }, { "dev", DEV_ },
	};

	for (size_t i = 0; i < N(things); i++)
		make(things[i].thing, things[i].name, &(struct perm){ owner, owner, 0755 });
	must(symlink("file", "lfile"));
	must(symlink("dir", "ldir"));
	must(symlink("nothing", "dangling"));
	for (const char *const *l = (const char *[]){ "lfile", "ldir", "dangling", NULL }; *l; l++)
		must(lchown(*l, owner, owner));
}

static const char *const target_paths[TARGETS] = { "none",     "file", "dir",  "lfile", "ldir",
						   "dangling", "fifo", "sock", "dev" };
static const mode_t target_types[TARGETS] = { S_IFREG, S_IFREG, S_IFDIR,  S_IFLNK, S_IFLNK,
					      S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR };

/* What is seen of an open file, and what it did. */
static void check_opened(int fd, int flags, enum target target, const struct outcome *o, const char *user)
{
	const struct stat st = look_fd(fd);
	/* not kept: what concerns the opening alone */
	int kept = flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_CLOEXEC), got = (int)must(fcntl(fd, F_GETFL));

	if (flags & O_PATH)
		kept &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
	else
		kept |= O_NONBLOCK;
	expect_equal(kept, got & ~0100000 /* O_LARGEFILE */, "F_GETFL after open %s of %s by %s", show_flags(flags),
		     target_names[target], user);
	expect_mode(target_types[o->opened], st.st_mode & S_IFMT, "type after open %s of %s by %s", show_flags(flags),
		    target_names[target], user);
	if (S_ISREG(st.st_mode))
		expect_equal(o->created || o->truncated ? 0 : 1, (long long)st.st_size,
			     "size after open %s of %s by %s", show_flags(flags), target_names[target], user);
	expect_equal(flags & O_CLOEXEC ? FD_CLOEXEC : 0, must(fcntl(fd, F_GETFD)), "F_GETFD after open %s of %s",
		     show_flags(flags), target_names[target]);
}

static void one_open(int user, int flags, enum target target, struct outcome want)
{
	const char *created = target == DANGLING ? "nothing" : "none";
	int fd, error;

	be(user);
	fd = open(target_paths[target], flags | O_NONBLOCK, 0640);
	error = fd < 0 ? -errno : 0;
	be(ROOT);
	expect(want.result, error, "open %s of %s by %s", show_flags(flags), target_names[target], users[user].name);
	if (fd >= 0 && want.result == 0)
		check_opened(fd, flags, target, &want, users[user].name);
	if (fd >= 0)
		must(close(fd));
	if (want.created)
		expect_mode(S_IFREG | 0640, exists(created) ? look(created).st_mode : 0,
			    "what open %s of %s by %s made", show_flags(flags), target_names[target], users[user].name);
	else
		expect_true(!exists(created), "open %s of %s by %s made nothing", show_flags(flags),
			    target_names[target], users[user].name);
	wipe(created);
	if (look("file").st_size != 1)
		make_file("file", "x");
}

void open_flags(void)
{
	static const int alone[] = { O_SYNC, O_DSYNC, O_DIRECT, O_NOATIME, O_CLOEXEC, O_NOCTTY, O_SYNC | O_APPEND };
	static const int with[] = { 0, O_CREAT, O_CREAT | O_EXCL, O_CREAT | O_TRUNC, O_TRUNC, O_NOFOLLOW };

	directory_creat_refused = opened(open("/", O_RDONLY | O_CREAT | O_DIRECTORY, 0)) == -EINVAL;
	make_targets(users[ANN].uid);
	for (int user = ROOT; user <= ANN; user++)
		for (enum target t = NONE; t < TARGETS; t++)
			for (int access = O_RDONLY; access <= O_RDWR; access++)
				for (unsigned bits = 0; bits < 1u << COMBINED; bits++) {
					int flags = access;

					for (size_t i = 0; i < COMBINED; i++)
						flags |= bits & 1u << i ? flag_names[i].flag : 0;
					/* older kernels make a file then, and say that it is no directory */
					if ((flags & (O_CREAT | O_DIRECTORY | O_PATH)) == (O_CREAT | O_DIRECTORY) &&
					    !directory_creat_refused)
						continue;
					one_open(user, flags, t, open_rule(flags, t));
				}
	/* those which change nothing of that rule, but for pages that bypass no cache where there is none */
	for (int user = ROOT; user < USERS; user++)
		for (enum target t = NONE; t < TARGETS; t++)
			for (int access = O_RDONLY; access <= O_RDWR; access++)
				for (size_t a = 0; a < N(alone); a++)
					for (size_t w = 0; w < N(with); w++) {
						int flags = access | alone[a] | with[w];
						struct outcome o = open_rule(flags, t);
						bool is_there = o.result == 0 && !o.created;

						if (user == BEN) {
							/* who may do all but is not the owner */
							if (alone[a] != O_NOATIME || !is_there)
								continue;
							must(chmod("file", 0777));
							must(chmod("dir", 0777));
							must(chmod("fifo", 0777));
							must(chmod("dev", 0777));
							o.result = -EPERM;
						}
						/* it concerns what reads and writes by pages; a pipe has a meaning of its own for it */
						if (alone[a] == O_DIRECT && o.result == 0 && o.opened != FILE_T &&
						    o.opened != NONE)
							continue;
						one_open(user, flags, t, o);
					}
}

/* ---- what an open file does ---- */

static void appends(void)
{
	char buf[32] = "";
	int fd, plain;

	make_file("a", "01234");
	fd = (int)must(open("a", O_RDWR | O_APPEND));
	plain = (int)must(open("a", O_RDWR));
	expect(0, rc(lseek(fd, 0, SEEK_CUR)), "offset after open with O_APPEND");
	expect(1, rc(write(fd, "5", 1)), "write with O_APPEND");
	expect(6, rc(lseek(fd, 0, SEEK_CUR)), "offset after a write with O_APPEND");
	expect(2, rc(pwrite(fd, "67", 2, 0)), "pwrite with O_APPEND");
	expect(6, rc(lseek(fd, 0, SEEK_CUR)), "offset after a pwrite with O_APPEND");
	expect(1, rc(pwrite(plain, "8", 1, 8)), "pwrite at the end by another");
	must(lseek(fd, 0, SEEK_SET));
	expect(1, rc(write(fd, "9", 1)), "write with O_APPEND behind another's");
	expect(3, rc(pread(fd, buf, 3, 2)), "pread with O_APPEND");
	expect_true(memcmp(buf, "234", 3) == 0, "pread with O_APPEND reads where it is told to");
	expect(10, (long)slurp("a", buf, sizeof(buf)), "size of what was appended to");
	expect_true(memcmp(buf, "0123456789", 10) == 0, "all was appended: %s", buf);
	must(fcntl(fd, F_SETFL, 0));
	expect(1, rc(pwrite(fd, "x", 1, 0)), "pwrite when O_APPEND was taken off");
	must(fcntl(plain, F_SETFL, O_APPEND));
	expect(1, rc(pwrite(plain, "y", 1, 0)), "pwrite when O_APPEND was set");
	expect(11, (long)slurp("a", buf, sizeof(buf)), "size then");
	expect_true(memcmp(buf, "x123456789y", 11) == 0, "bytes then: %.11s", buf);
	expect(0, rc(ftruncate(fd, 3)), "ftruncate of a file to which is appended");
	expect(1, rc(write(plain, "z", 1)), "append after a truncate");
	expect_equal(4, (long long)look("a").st_size, "size after an append after a truncate");
	must(close(fd));
	must(close(plain));
}

static void appends_by_many(void)
{
	enum { PROCESSES = 4, RECORDS = 200, SIZE = 16 };
	static char data[PROCESSES * RECORDS * SIZE + 1];
	unsigned seen[PROCESSES] = { 0 }, bad = 0;

	make_file("many", "");
	for (int p = 0; p < PROCESSES; p++) {
		pid_t pid = fork();

		if (pid == 0) {
			int fd = (int)must(open("many", O_WRONLY | O_APPEND));
			char record[SIZE + 1];

			for (int i = 0; i < RECORDS; i++) {
				snprintf(record, sizeof(record), "%c%05d        .\n", 'a' + p, i);
				must(write(fd, record, SIZE) == SIZE ? 0 : -1);
			}
			_exit(0);
		}
		must(pid);
	}
	while (wait(NULL) > 0)
		;
	expect_equal(PROCESSES * RECORDS * SIZE, (long long)slurp("many", data, sizeof(data)),
		     "size of what %d processes appended to", PROCESSES);
	for (size_t at = 0; at < PROCESSES * RECORDS * SIZE; at += SIZE) {
		unsigned p = (unsigned)(data[at] - 'a');

		/* whole, and each writer's in its order */
		if (p >= PROCESSES || (unsigned)atoi(data + at + 1) != seen[p]++)
			bad++;
	}
	expect_equal(0, bad, "records that are torn, missing or in the wrong place");
}

/* Of many who make the same name, one does. */
static void exclusive_by_many(void)
{
	enum { PROCESSES = 4, NAMES = 100 };
	unsigned made = 0;

	for (int p = 0; p < PROCESSES; p++) {
		pid_t pid = fork();

		if (pid == 0) {
			char name[32];
			int fd, n = 0;

			for (int i = 0; i < NAMES; i++) {
				snprintf(name, sizeof(name), "x%d", i);
				fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
				if (fd >= 0) {
					n++;
					close(fd);
				} else if (errno != EEXIST) {
					_exit(255);
				}
			}
			_exit(n);
		}
		must(pid);
	}
	for (int status; wait(&status) > 0;)
		made += (unsigned)WEXITSTATUS(status);
	expect_equal(NAMES, made, "names that were made by %d processes with O_EXCL", PROCESSES);
}

static void rights_at_creation(void)
{
	struct stat st;
	char buf[4];
	int fd;

	be(ANN);
	fd = open("zero", O_RDWR | O_CREAT | O_EXCL, 0);
	expect_true(fd >= 0, "open for both of a new file of mode 0");
	expect(1, rc(write(fd, "x", 1)), "write to a new file of mode 0");
	expect(1, rc(pread(fd, buf, 4, 0)), "read of a new file of mode 0");
	expect(0, rc(ftruncate(fd, 5)), "ftruncate of a new file of mode 0");
	expect(-EACCES, rc(truncate("zero", 1)), "truncate of a file of mode 0");
	expect(-EACCES, opened(open("zero", O_RDONLY)), "open for reading of a file of mode 0");
	expect(-EACCES, opened(open("zero", O_WRONLY | O_CREAT, 0777)), "open with O_CREAT of a file of mode 0");
	must(close(fd));
	be(ROOT);
	/* O_CREAT and O_TRUNC leave mode and owner of what is there */
	must(chmod("zero", 0640));
	must(close((int)must(open("zero", O_WRONLY | O_CREAT | O_TRUNC, 0777))));
	st = look("zero");
	expect_mode(S_IFREG | 0640, st.st_mode, "mode after open with O_CREAT|O_TRUNC");
	expect_equal(users[ANN].uid, st.st_uid, "owner after open with O_CREAT|O_TRUNC");
	must(close((int)must(creat("zero", 0777))));
	expect_mode(S_IFREG | 0640, look("zero").st_mode, "mode after creat");
	/* bits that no mode has are ignored by open */
	must(close((int)must(open("more", O_WRONLY | O_CREAT, 0170644))));
	expect_mode(S_IFREG | 0644, look("more").st_mode, "mode after open with too many bits");
}

static void offsets(void)
{
	char buf[8];
	int fd, same, other;

	make_file("o", "0123456789");
	fd = (int)must(open("o", O_RDWR));
	same = (int)must(dup(fd));
	other = (int)must(open("o", O_RDWR));
	expect(4, rc(read(fd, buf, 4)), "read");
	expect(4, rc(lseek(same, 0, SEEK_CUR)), "a duplicate has the same offset");
	expect(0, rc(lseek(other, 0, SEEK_CUR)), "another open has its own");
	expect(2, rc(write(other, "ab", 2)), "write by the other");
	expect(2, rc(pread(fd, buf, 2, 0)), "read of it by the first");
	expect_true(memcmp(buf, "ab", 2) == 0, "what the other wrote is seen at once");
	expect(4, rc(lseek(fd, 0, SEEK_CUR)), "pread leaves the offset");
	expect(10, rc(lseek(fd, 0, SEEK_END)), "the end");
	expect(15, rc(lseek(fd, 5, SEEK_END)), "behind the end");
	expect(0, rc(read(fd, buf, 4)), "read behind the end");
	expect(1, rc(write(fd, "x", 1)), "write behind the end");
	expect_equal(16, (long long)look("o").st_size, "size then");
	expect(16, rc(lseek(other, 0, SEEK_END)), "the end as the other sees it");
	expect(-EINVAL, rc(lseek(other, -17, SEEK_END)), "before the beginning");
	expect(16, rc(lseek(other, 0, SEEK_CUR)), "the offset stays after a failure");
	expect(5, rc(pread(fd, buf, 5, 10)), "read of the hole");
	expect_true(memcmp(buf, "\0\0\0\0\0", 5) == 0, "the hole is zeros");
	must(close(fd));
	expect(1, rc(write(same, "y", 1)), "the duplicate goes on after close");
	must(close(same));
	must(close(other));
}

static void relative_to(void)
{
	int dir, path;

	must(mkdir("rel", 0755));
	make_file("rel/f", "x");
	make_file("top", "x");
	dir = (int)must(open("rel", O_RDONLY | O_DIRECTORY));
	path = (int)must(open("rel", O_PATH));
	expect(0, opened(openat(dir, "f", O_RDONLY)), "openat");
	expect(0, opened(openat(path, "f", O_RDONLY)), "openat with O_PATH");
	expect(0, opened(openat(dir, "../top", O_RDONLY)), "openat through ..");
	expect(0, opened(openat(-1, "/dev/null", O_RDONLY)), "openat of an absolute path with no descriptor");
	expect(-EBADF, opened(openat(-1, "f", O_RDONLY)), "openat with no descriptor");
	expect(-ENOENT, opened(openat(dir, "", O_RDONLY)), "openat of nothing");
	expect(0, opened(openat(AT_FDCWD, "rel/f", O_RDONLY)), "openat with AT_FDCWD");
	expect(0, done(renameat(dir, "f", path, "g")), "renameat in one directory by two descriptors");
	expect(0, done(linkat(dir, "g", AT_FDCWD, "h", 0)), "linkat");
	expect(0, done(symlinkat("h", dir, "l")), "symlinkat");
	expect(0, done(unlinkat(dir, "l", 0)), "unlinkat");
	expect(-EISDIR, done(unlinkat(AT_FDCWD, "rel", 0)), "unlinkat of a directory");
	expect(-ENOTDIR, done(unlinkat(dir, "g", AT_REMOVEDIR)), "unlinkat of a file with AT_REMOVEDIR");
	expect(-EINVAL, done(unlinkat(dir, "g", 0x4000)), "unlinkat with a flag of nobody");
	expect(-EINVAL, done(linkat(dir, "g", dir, "x", 0x4000)), "linkat with a flag of nobody");
	must(close(dir));
	must(close(path));
}

void open_results(void)
{
	appends();
	appends_by_many();
	exclusive_by_many();
	rights_at_creation();
	offsets();
	relative_to();
}

/* ---- openat2 ---- */

/* A ".." below RESOLVE_BENEATH or RESOLVE_IN_ROOT is EAGAIN whenever anything is renamed or mounted meanwhile, anywhere. */
static long try_openat2(int dir, const char *path, struct open_how how, size_t size)
{
	long got = -EAGAIN;

	for (int i = 0; i < 1000 && got == -EAGAIN && !(i && how.resolve & RESOLVE_CACHED); i++)
		got = opened((int)syscall(SYS_openat2, dir, path, &how, size));
	return got;
}

static const struct {
	const char *path;
	uint64_t resolve;
	long want;
} resolutions[] = {
	{ "a/b/f", 0, 0 },
	{ "inside", 0, 0 },
	{ "../f", 0, 0 },
	{ "rooted", 0, -ENOENT },
	{ "a/b/f", RESOLVE_BENEATH, 0 },
	{ "a/../a/b/f", RESOLVE_BENEATH, 0 },
	{ "a/b/../../a/b/f", RESOLVE_BENEATH, 0 },
	{ "inside", RESOLVE_BENEATH, 0 },
	{ "a/b/back", RESOLVE_BENEATH, 0 },
	{ "../f", RESOLVE_BENEATH, -EXDEV },
	{ "a/../../f", RESOLVE_BENEATH, -EXDEV },
	{ "..", RESOLVE_BENEATH, -EXDEV },
	{ "up/f", RESOLVE_BENEATH, -EXDEV },
	{ "rooted", RESOLVE_BENEATH, -EXDEV },
	{ "/", RESOLVE_BENEATH, -EXDEV },
	{ "none", RESOLVE_BENEATH, -ENOENT },
	{ "a/b/f", RESOLVE_IN_ROOT, 0 },
	{ "/a/b/f", RESOLVE_IN_ROOT, 0 },
	{ "../../a/b/f", RESOLVE_IN_ROOT, 0 },
	{ "up/a/b/f", RESOLVE_IN_ROOT, 0 },
	{ "rooted", RESOLVE_IN_ROOT, 0 },
	{ "../f", RESOLVE_IN_ROOT, -ENOENT },
	{ "/", RESOLVE_IN_ROOT, 0 },
	{ "a/b/f", RESOLVE_NO_SYMLINKS, 0 },
	{ "a/../a/./b/f", RESOLVE_NO_SYMLINKS, 0 },
	{ "inside", RESOLVE_NO_SYMLINKS, -ELOOP },
	{ "dirlink/f", RESOLVE_NO_SYMLINKS, -ELOOP },
	{ "dirlink/f", 0, 0 },
	{ "dangling", RESOLVE_NO_SYMLINKS, -ELOOP },
	{ "inside", RESOLVE_NO_MAGICLINKS, 0 },
	{ "dirlink/f", RESOLVE_NO_MAGICLINKS, 0 },
	{ "/proc/self/exe", RESOLVE_NO_MAGICLINKS, -ELOOP },
	{ "a/b/f", RESOLVE_NO_XDEV, 0 },
	{ "inside", RESOLVE_NO_XDEV, 0 },
	{ "../f", RESOLVE_NO_XDEV, 0 },
	{ "/proc/self/exe", RESOLVE_NO_XDEV, -EXDEV },
	{ "a/b/f", RESOLVE_BENEATH | RESOLVE_IN_ROOT, -EINVAL },
	{ "a/b/f", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV, 0 },
	{ "a/b/f", UINT64_C(1) << 40, -EINVAL },
};

void openat2_resolve(void)
{
	static const struct {
		const char *what;
		struct open_how how;
		long want;
	} hows[] = {
		{ "no flags", { .flags = 0 }, 0 },
		{ "a flag of nobody", { .flags = UINT64_C(1) << 40 }, -EINVAL },
		{ "mode without O_CREAT", { .mode = 0644 }, -EINVAL },
		{ "mode with O_CREAT", { .flags = O_CREAT | O_WRONLY, .mode = 0644 }, 0 },
		{ "too many mode bits", { .flags = O_CREAT | O_WRONLY, .mode = 0200644 }, -EINVAL },
		{ "O_PATH and O_RDWR", { .flags = O_PATH | O_RDWR }, -EINVAL },
		{ "O_PATH and O_CREAT", { .flags = O_PATH | O_CREAT }, -EINVAL },
		{ "O_PATH", { .flags = O_PATH }, 0 },
		{ "O_DIRECTORY", { .flags = O_DIRECTORY }, -ENOTDIR },
		{ "O_CREAT and O_EXCL", { .flags = O_CREAT | O_EXCL | O_WRONLY }, -EEXIST },
		{ "O_TRUNC, cached", { .flags = O_TRUNC | O_WRONLY, .resolve = RESOLVE_CACHED }, -EAGAIN },
	};
	struct {
		struct open_how how;
		uint64_t more;
	} larger = { { .flags = O_RDONLY }, 0 };
	int dir;

	if (try_openat2(AT_FDCWD, ".", (struct open_how){ 0 }, sizeof(struct open_how)) == -ENOSYS) {
		skip("no openat2 in this kernel");
		return;
	}
	make_file("f", "x");
	must(mkdir("root", 0755));
	must(mkdir("root/a", 0755));
	must(mkdir("root/a/b", 0755));
	make_file("root/a/b/f", "x");
	must(symlink("a/b/f", "root/inside"));
	must(symlink("/a/b/f", "root/rooted"));
	must(symlink("..", "root/up"));
	must(symlink("a/b", "root/dirlink"));
	must(symlink("nothing", "root/dangling"));
	must(symlink("../../a/b/f", "root/a/b/back"));
	dir = (int)must(open("root", O_RDONLY | O_DIRECTORY));
	for (size_t i = 0; i < N(resolutions); i++) {
		struct open_how how = { .flags = O_RDONLY, .resolve = resolutions[i].resolve };

		expect(resolutions[i].want, try_openat2(dir, resolutions[i].path, how, sizeof(how)),
		       "openat2 of %s, resolve %#llx", resolutions[i].path, (unsigned long long)resolutions[i].resolve);
	}
	for (size_t i = 0; i < N(hows); i++)
		expect(hows[i].want, try_openat2(AT_FDCWD, "f", hows[i].how, sizeof(hows[i].how)), "openat2 with %s",
		       hows[i].what);
	expect_either(0, -EAGAIN,
		      try_openat2(dir, "a/b/f", (struct open_how){ .resolve = RESOLVE_CACHED },
				  sizeof(struct open_how)),
		      "openat2 with RESOLVE_CACHED");
	expect(-EINVAL, done(syscall(SYS_openat2, AT_FDCWD, "f", &larger, 16)), "openat2 with a small structure");
	expect(0, opened((int)syscall(SYS_openat2, AT_FDCWD, "f", &larger, sizeof(larger))),
	       "openat2 with a larger structure of zeros");
	larger.more = 1;
	expect(-E2BIG, done(syscall(SYS_openat2, AT_FDCWD, "f", &larger, sizeof(larger))),
	       "openat2 with a larger structure");
	must(close(dir));
}

/* ---- statx and its like ---- */

static void statx_agrees(const char *path, unsigned mask, int flags)
{
	struct statx x;
	struct stat st;

	if (!expect(0, done(statx(AT_FDCWD, path, flags, mask, &x)), "statx of %s, mask %#x, flags %#x", path, mask,
		    flags))
		return;
	must(fstatat(AT_FDCWD, path, &st, flags & AT_SYMLINK_NOFOLLOW));
	expect_equal(mask & STATX_BASIC_STATS, x.stx_mask & mask & STATX_BASIC_STATS, "mask given for %#x of %s", mask,
		     path);
	if (mask & STATX_TYPE)
		expect_mode(st.st_mode & S_IFMT, x.stx_mode & S_IFMT, "type of %s", path);
	if (mask & STATX_MODE)
		expect_mode(st.st_mode & 07777, x.stx_mode & 07777, "mode of %s", path);
	if (mask & STATX_NLINK)
		expect_equal((long long)st.st_nlink, x.stx_nlink, "links of %s", path);
	if (mask & STATX_UID)
		expect_equal(st.st_uid, x.stx_uid, "owner of %s", path);
	if (mask & STATX_GID)
		expect_equal(st.st_gid, x.stx_gid, "group of %s", path);
	if (mask & STATX_INO)
		expect_equal((long long)st.st_ino, (long long)x.stx_ino, "inode of %s", path);
	if (mask & STATX_SIZE)
		expect_equal(st.st_size, (long long)x.stx_size, "size of %s", path);
	if (mask & STATX_BLOCKS)
		expect_equal(st.st_blocks, (long long)x.stx_blocks, "blocks of %s", path);
	if (mask & STATX_CTIME)
		expect_true(st.st_ctim.tv_sec == x.stx_ctime.tv_sec &&
				    (uint32_t)st.st_ctim.tv_nsec == x.stx_ctime.tv_nsec,
			    "ctime of %s", path);
	expect_equal((long long)st.st_dev, (long long)makedev(x.stx_dev_major, x.stx_dev_minor), "file system of %s",
		     path);
	expect_equal((long long)st.st_rdev, (long long)makedev(x.stx_rdev_major, x.stx_rdev_minor), "device of %s",
		     path);
}

static bool birth_of(const char *path, struct statx_timestamp *ret)
{
	struct statx x;

	must(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &x));
	*ret = x.stx_btime;
	return x.stx_mask & STATX_BTIME;
}

/* Where there is a time of birth, nothing changes it. */
static void birth_stays(void)
{
	struct statx_timestamp first, then;
	struct timespec from, to;
	int fd;

	clock_gettime(CLOCK_REALTIME, &from);
	make_file("born", "x");
	clock_gettime(CLOCK_REALTIME, &to);
	if (!birth_of("born", &first)) {
		skip("no time of birth here");
		return;
	}
	expect_true(first.tv_sec >= from.tv_sec - 1 && first.tv_sec <= to.tv_sec, "the time of birth is now");
	tick();
	must(chmod("born", 0600));
	must(utimensat(AT_FDCWD, "born", (struct timespec[2]){ { 1, 1 }, { 1, 1 } }, 0));
	must(rename("born", "born2"));
	must(link("born2", "born"));
	make_file("born", "truncated and written");
	fd = (int)must(open("born", O_WRONLY));
	must(ftruncate(fd, 100000));
	must(close(fd));
	must(birth_of("born", &then) ? 0 : -1);
	expect_true(then.tv_sec == first.tv_sec && then.tv_nsec == first.tv_nsec, "the time of birth stays");
	must(mkdir("born.d", 0755));
	must(birth_of("born.d", &first) ? 0 : -1);
	tick();
	make_file("born.d/f", "x");
	must(birth_of("born.d", &then) ? 0 : -1);
	expect_true(then.tv_sec == first.tv_sec && then.tv_nsec == first.tv_nsec,
		    "the time of a directory's birth stays");
}

static void other_stats(void)
{
	struct statx x;
	struct stat st, by_name;
	int file, link, dir;

	file = (int)must(open("f", O_RDONLY));
	link = (int)must(open("l", O_PATH | O_NOFOLLOW));
	dir = (int)must(open("d", O_RDONLY | O_DIRECTORY));
	expect(0, done(fstatat(file, "", &st, AT_EMPTY_PATH)), "fstatat \"\" of a file");
	expect_equal((long long)look("f").st_ino, (long long)st.st_ino, "inode by fstatat \"\"");
	expect(0, done(fstatat(link, "", &st, AT_EMPTY_PATH)), "fstatat \"\" of a link");
	expect_mode(S_IFLNK | 0777, st.st_mode, "mode of a link by fstatat \"\"");
	expect(0, done(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH)), "fstatat \"\" of the working directory");
	must(stat(".", &by_name));
	expect_equal((long long)by_name.st_ino, (long long)st.st_ino, "inode of the working directory");
	expect(0, done(fstatat(dir, ".", &st, 0)), "fstatat . of a directory");
	expect(-ENOENT, done(fstatat(file, "", &st, 0)), "fstatat \"\" without AT_EMPTY_PATH");
	expect(-EINVAL, done(fstatat(file, "", &st, 0x8000)), "fstatat with a flag of nobody");
	expect(-EINVAL, done(statx(AT_FDCWD, "f", 0x8000 | 1, STATX_ALL, &x)), "statx with a flag of nobody");
	expect(-EINVAL, done(statx(AT_FDCWD, "f", 0, 0x80000000u, &x)), "statx with the reserved mask");
	expect(-EINVAL, done(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_ALL, &x)),
	       "statx with both kinds of sync");
	expect(0, done(statx(file, "", AT_EMPTY_PATH, STATX_ALL, &x)), "statx \"\"");
	must(close(file));
	must(close(link));
	must(close(dir));
}

static void limits_told(void)
{
	struct statvfs fs;

	must(statvfs("f", &fs));
	expect_equal(255, (long long)fs.f_namemax, "longest name by statvfs");
	expect_true(fs.f_frsize > 0 && fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks && fs.f_bavail <= fs.f_bfree,
		    "statvfs makes sense");
	expect_equal(0, (long long)(fs.f_flag & ST_RDONLY), "it is not read-only");
	expect_equal(255, pathconf("f", _PC_NAME_MAX), "longest name by pathconf");
	expect_equal(4096, pathconf("f", _PC_PATH_MAX), "longest path by pathconf");
	expect_equal(1, pathconf("f", _PC_NO_TRUNC), "names are not cut");
	expect_equal(1, pathconf("f", _PC_CHOWN_RESTRICTED), "chown is restricted");
}

/* ---- handles ---- */

union handle {
	struct file_handle h;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static long handle_of(const char *path, union handle *ret)
{
	int mount;

	ret->h.handle_bytes = MAX_HANDLE_SZ;
	return done(name_to_handle_at(AT_FDCWD, path, &ret->h, &mount, 0));
}

static void by_handle(union handle *handle, long want, ino_t number, const char *what)
{
	int here = (int)must(open(".", O_RDONLY | O_DIRECTORY)), fd = open_by_handle_at(here, &handle->h, O_PATH);

	expect(want, fd < 0 ? -errno : 0, "open_by_handle_at of %s", what);
	if (fd >= 0) {
		expect_equal((long long)number, (long long)look_fd(fd).st_ino, "inode by the handle of %s", what);
		must(close(fd));
	}
	must(close(here));
}

static void handles(void)
{
	static const enum thing things[] = { FILE_, DIR_, LINK_, FIFO_ };
	union handle h;

	for (size_t i = 0; i < N(things); i++) {
		ino_t number;

		make(things[i], "by_handle", NULL);
		number = look("by_handle").st_ino;
		expect(0, handle_of("by_handle", &h), "name_to_handle_at of a %s", thing_names[things[i]]);
		by_handle(&h, 0, number, thing_names[things[i]]);
		must(rename("by_handle", "full/moved"));
		by_handle(&h, 0, number, "what was moved");
		wipe("full/moved");
		by_handle(&h, -ESTALE, 0, "what was removed");
	}
	h.h.handle_bytes = 0;
	expect(-EOVERFLOW, done(name_to_handle_at(AT_FDCWD, "f", &h.h, &(int){ 0 }, 0)),
	       "name_to_handle_at without room");
	expect(0, handle_of("f", &h), "name_to_handle_at");
	be(ANN);
	by_handle(&h, -EPERM, 0, "a file by ann");
	be(ROOT);
}

/* Numbers are each file's own and stay its own. */
static void inode_numbers(void)
{
	enum { FILES = 300 };
	static ino_t numbers[FILES];
	char name[32];
	unsigned twice = 0;
	ino_t before;

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		if (i % 3 == 0)
			must(mkdir(name, 0755));
		else
			make_file(name, "");
		numbers[i] = look(name).st_ino;
		for (int k = 0; k < i; k++)
			twice += numbers[k] == numbers[i];
	}
	expect_equal(0, twice, "inode numbers that two files have");
	before = look("n1").st_ino;
	must(rename("n1", "n0/moved"));
	expect_equal((long long)before, (long long)look("n0/moved").st_ino, "inode after a rename");
	must(link("n0/moved", "n1"));
	expect_equal((long long)before, (long long)look("n1").st_ino, "inode of a link");
	before = look("n3").st_ino;
	must(rename("n3", "n0/dir"));
	expect_equal((long long)before, (long long)look("n0/dir").st_ino, "inode of a directory after a rename");
}

void statx_fields(void)
{
	static const char *const paths[] = { ".", "f", "d", "full", "l", "p", "s", "c" };
	static const unsigned bits[] = { STATX_TYPE,  STATX_MODE,  STATX_NLINK, STATX_UID,  STATX_GID,   STATX_ATIME,
					 STATX_MTIME, STATX_CTIME, STATX_INO,   STATX_SIZE, STATX_BLOCKS };
	static const int flags[] = { 0, AT_SYMLINK_NOFOLLOW, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC, AT_NO_AUTOMOUNT };

	scene_make(".", &(struct perm){ 61001, TEAM, 0750 });
	make(DEV_, "c", NULL);
	for (size_t p = 0; p < N(paths); p++) {
		for (size_t f = 0; f < N(flags); f++) {
			for (size_t b = 0; b < N(bits); b++)
				statx_agrees(paths[p], bits[b], flags[f]);
			statx_agrees(paths[p], STATX_BASIC_STATS, flags[f]);
			statx_agrees(paths[p], 0, flags[f]);
		}
		expect_true(look(paths[p]).st_blksize >= 512, "block size of %s", paths[p]);
		expect_equal((long long)look(".").st_dev, (long long)look(paths[p]).st_dev,
			     "all are on one file system: %s", paths[p]);
	}
	expect_equal(1, (long long)look("l").st_size, "size of a link is that of its text");
	expect_equal(0, (long long)look("p").st_size, "size of a fifo");
	other_stats();
	limits_told();
	handles();
	birth_stays();
	inode_numbers();
}
