/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_SUITE_H
#define LSMFS_SUITE_H
/*
 * posix_suite - conformance cases in tables. A case is an operation, a user and a situation with the result that ext4
 * gives. Cases are gathered in groups; a group runs in a process and an empty directory of its own (the current one, mode
 * 0777), so all names are relative and limits, ids and umask may be changed. All of it needs root.
 *
 * Results are 0 (or a count) for success and a negative errno for failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* ---- users ---- */

struct user {
	const char *name;
	uid_t uid;
	gid_t gid;
	size_t n_groups;
	gid_t groups[2]; /* supplementary */
};

enum { ROOT, ANN, BEN, USERS };
extern const struct user users[USERS];
#define TEAM 61101    /* ann and ben are in it */
#define CLUB 61102    /* only ann */
#define FOREIGN 61199 /* a group of nobody, and a user who is nobody of the above */

/* Takes the ids and groups of a user; be(ROOT) is the way back. */
void be(int user);
/* Real ids of one user, effective ids and groups of another. */
void be_real(int real, int effective);
bool in_group(int user, gid_t gid);

/* What rights are given by. */
struct perm {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};
/* The rule of POSIX: `want` is of 4 (read), 2 (write), 1 (execute, search). */
bool may(int user, const struct perm *perm, int want, bool dir);
/* The four ways in which a user can stand to an object, and modes in which only that class has the bits `rwx`; the
 * other classes have the opposite ones. */
enum file_class { OWNER, GROUP, SUPPLEMENTARY, OTHER, CLASSES };
extern const char *const class_names[CLASSES];
struct perm perm_of_class(int user, enum file_class cls, int rwx);
void perm_set(const char *path, const struct perm *perm);

/* ---- cases ---- */

/* A result: 0 or more, or a negative errno. */
bool expect(long want, long got, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Either of two results: where the rule leaves both open. */
bool expect_either(long want, long or_want, long got, const char *format, ...) __attribute__((format(printf, 4, 5)));
bool expect_equal(long long want, long long got, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool expect_mode(mode_t want, mode_t got, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool expect_true(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What can't be examined here; the group goes on. */
void skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a case needs to be there: ends the group if it fails. Returns the value. */
#define must(call) must_((long)(call), #call, __FILE__, __LINE__)
long must_(long value, const char *what, const char *file, int line);
/* The result of a system call: its value, or the negative errno. */
#define rc(call) rc_((long)(call))
static inline long rc_(long value)
{
	return value < 0 ? -errno : value;
}
/* The same where only success counts: 0 or a negative errno. */
#define done(call) done_((long)(call))
static inline long done_(long value)
{
	return value < 0 ? -errno : 0;
}
/* A descriptor that is only opened to see whether it can be. */
long opened(int fd);
const char *errno_name(long result);
/* The file system is not the one that ext4's cases are compared with. */
bool on_lsmfs(void);

/* ---- files ---- */

enum thing { FILE_, DIR_, LINK_, FIFO_, SOCK_, DEV_, ABSENT, THINGS };
extern const char *const thing_names[THINGS];
/* Makes a thing with this owner and mode; a file holds "x", a link points to "f". ABSENT makes nothing. */
void make(enum thing thing, const char *path, const struct perm *perm);
void make_file(const char *path, const char *text);
/* Removes it with all that is in it; nothing there is no error. */
void wipe(const char *path);
struct stat look(const char *path); /* lstat */
struct stat look_fd(int fd);
bool exists(const char *path);
/* Bytes of a file, at most `size`. */
size_t slurp(const char *path, void *buf, size_t size);
size_t count_names(const char *dir);
/* Waits until the clock of files has gone on. */
void tick(void);
/* A string of n times c, and one of n bytes made of "./" that leads to `name`. The caller's to free. */
char *repeated(char c, size_t n);
char *long_path(size_t n, const char *name);
/* A value of /proc/sys/fs, -1 when there is none. */
int sysctl(const char *name);

/* ---- operations with a path (ops.c) ---- */

enum kind {
	FOLLOW,     /* what the last symbolic link leads to */
	NOFOLLOW,   /* the last component itself */
	MAKE,       /* a new name */
	REMOVE,     /* unlink and its like */
	REMOVE_DIR, /* rmdir */
	FROM,       /* the name that a rename takes away */
	TO,         /* the name that a rename makes or replaces */
	KINDS
};

/* what an operation does and needs */
#define OP_DIR_WRITE 1u /* changes the directory in which the name is: needs write permission in it */
#define OP_MUTATES 2u   /* the scene has to be made anew after success */
#define OP_ROOT_ONLY 4u /* EPERM for others */

struct op {
	const char *name;
	enum kind kind;
	enum thing on; /* for what it is meant */
	unsigned flags;
	long (*run)(const char *path);
};
extern const struct op ops[];
extern const size_t n_ops;
const struct op *op_find(const char *name);

/*
 * What the operations work on, in the directory `dir`: f (file, with user.x), d (empty directory), full (one with an
 * entry), l (link to f), p (fifo), s (socket), all owned by `perm`. "new" is absent. In the current directory, "o" holds
 * the other end of operations with two names: o/file, o/dir, and o/new is absent.
 */
void scene_make(const char *dir, const struct perm *perm);
/* The name of such a thing in a scene. */
const char *scene_name(enum thing thing);

/* ---- groups ---- */

void rights_on_the_way(void);
void rights_of_objects(void);
void rights_access(void);
void rights_sticky(void);
void rights_chown(void);
void rights_chmod(void);
void rights_utimes(void);
void rights_links(void);
void made_in_setgid_dirs(void);
void made_with_umask(void);
void errno_paths(void);
void errno_names(void);
void errno_pointers(void);
void errno_descriptors(void);
void errno_limits(void);
void errno_busy(void);
void times_changed(void);
void times_kept(void);
void times_set(void);
void link_counts(void);
void unlinked_open(void);
void removed_dirs(void);
void setid_falls(void);
void open_flags(void);
void open_results(void);
void openat2_resolve(void);
void statx_fields(void);
void rename_pairs(void);
void rename_loops(void);
void rename_more(void);
void symlinks(void);
void names(void);
void listing(void);
void listing_changes(void);
void content_sizes(void);
void content_holes(void);
void content_copy(void);
void content_io(void);
void content_maps(void);
void xattr_rules(void);
void xattr_rights(void);
void read_only_tree(void);
void read_only(void);
void large_files(void);
void large_xattrs(void);
void tmpfiles(void);
void large_times(void);

#endif
