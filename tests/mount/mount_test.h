/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_MOUNT_TEST_H
#define LSMFS_MOUNT_TEST_H
/*
 * What the cases of the mount test share. A case runs in an empty directory of its own, which is the current directory
 * and is removed afterwards, so all names in it are relative. The checks below also work in children made with
 * mt_fork(): there a failed check ends the child, which fails the case at mt_join().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <cmocka.h>

#define MT_OTHER_UID 65534

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, mt_enter, mt_leave)

int mt_enter(void **state);
int mt_leave(void **state);

/* A system call that must succeed; its value. */
#define ok(call) mt_ok((long)(call), #call, __FILE__, __LINE__)
/* A system call that must fail with this errno. */
#define fails(call, err) mt_fails((long)(call), err, #call, __FILE__, __LINE__)
/* Two integers that must be the same: wanted, got. */
#define same(want, got) mt_same((long long)(want), (long long)(got), #got, __FILE__, __LINE__)
#define check(cond)                                           \
	do {                                                  \
		if (!(cond))                                  \
			mt_broken(#cond, __FILE__, __LINE__); \
	} while (0)

long mt_ok(long value, const char *what, const char *file, int line);
void mt_fails(long value, int err, const char *what, const char *file, int line);
void mt_same(long long want, long long got, const char *what, const char *file, int line);
void mt_broken(const char *what, const char *file, int line) __attribute__((noreturn));

/* Skips the case, saying why, unless the caller is root. */
void mt_need_root(void);

pid_t mt_fork(void (*fn)(void *arg), void *arg);
void mt_join(pid_t pid);
/* Runs fn in a child that is user and group MT_OTHER_UID, without further groups, and waits for it. */
void mt_as_other(void (*fn)(void *arg), void *arg);

struct stat mt_stat(const char *path); /* lstat */
struct stat mt_fstat(int fd);
bool mt_exists(const char *path);
/* A file with these bytes, made or replaced. */
void mt_put(const char *path, const char *text);
/* The file holds exactly these bytes. */
void mt_holds(const char *path, const char *text);
/* The bytes [offset, offset + size) are all `byte`. */
void mt_all(int fd, off_t offset, size_t size, int byte);
/* Writes `size` bytes of `byte` at `offset`. */
void mt_fill(int fd, off_t offset, size_t size, int byte);
/* Names in the directory, without "." and "..". */
size_t mt_count(const char *dir);
bool mt_time_after(struct timespec a, struct timespec b);
/* Longer than the tick of the kernel's file clock. */
void mt_tick(void);

int mt_run_open(void);
int mt_run_io(void);
int mt_run_space(void);
int mt_run_names(void);
int mt_run_rename(void);
int mt_run_attr(void);
int mt_run_xattr(void);
int mt_run_dir(void);
int mt_run_map(void);
int mt_run_lock(void);
int mt_run_node(void);
int mt_run_rights(void);
int mt_run_tmpfile(void);
int mt_run_priv(void);
int mt_run_acl(void);
int mt_run_acl_rights(void);
int mt_run_acl_inherit(void);
int mt_run_notify(void);
int mt_run_flags(void);
int mt_run_paths(void);
int mt_run_atime(void);
int mt_run_handle(void);

#endif
