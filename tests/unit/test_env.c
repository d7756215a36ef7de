/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lsm/env/env.h"
#include "tests/support/rng.h"
#include "tests/support/tmp_dir.h"

static char *dir;

static int dir_setup(void **state)
{
	(void)state;
	dir = tmp_dir_new();
	return 0;
}

static int dir_teardown(void **state)
{
	(void)state;
	tmp_dir_free(dir);
	return 0;
}

static struct env_file *file_make(const char *name)
{
	struct env_file *f;

	assert_int_equal(env_open(env_posix(), tmp_path(dir, name), ENV_OPEN_CREATE, &f), LSM_OK);
	return f;
}

static void test_read_write(void **state)
{
	struct env_file *f = file_make("a");
	struct stat st;
	char buf[16] = "";
	uint64_t size;
	size_t got;

	(void)state;
	assert_int_equal(file_write(f, 3, "hello", 5), LSM_OK);
	assert_int_equal(file_size(f, &size), LSM_OK);
	assert_int_equal(size, 8);
	assert_int_equal(file_read(f, 3, buf, sizeof(buf), &got), LSM_OK);
	assert_int_equal(got, 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(file_read(f, 100, buf, sizeof(buf), &got), LSM_OK);
	assert_int_equal(got, 0);
	assert_int_equal(file_read_exact(f, 4, buf, 4), LSM_OK);
	assert_memory_equal(buf, "ello", 4);
	assert_int_equal(file_read_exact(f, 4, buf, 5), LSM_CORRUPT);
	assert_non_null(strstr(lsm_last_error()->message, f->path));
	assert_int_equal(lsm_last_error()->offset, 4);
	assert_int_equal(f->ops->truncate(f, 4), LSM_OK);
	assert_int_equal(file_size(f, &size), LSM_OK);
	assert_int_equal(size, 4);
	assert_int_equal(file_sync(f), LSM_OK);
	f->ops->drop_cache(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	file_close(f);
}

static void test_open_modes(void **state)
{
	const char *path = tmp_path(dir, "a");
	struct env_file *f = NULL;
	uint64_t size;

	(void)state;
	assert_int_equal(env_open(env_posix(), path, ENV_OPEN_READ, &f), LSM_IO);
	assert_int_equal(lsm_last_error()->sys_errno, ENOENT);
	assert_string_equal(lsm_last_error()->file, path);
	assert_int_equal(env_open(env_posix(), path, ENV_OPEN_WRITE, &f), LSM_IO);
	assert_null(f);
	f = file_make("a");
	assert_int_equal(file_write(f, 0, "x", 1), LSM_OK);
	file_close(f);
	assert_int_equal(env_open(env_posix(), path, ENV_OPEN_READ, &f), LSM_OK);
	assert_int_equal(file_write(f, 0, "y", 1), LSM_IO);
	file_close(f);
	f = file_make("a");
	assert_int_equal(file_size(f, &size), LSM_OK);
	assert_int_equal(size, 0);
	file_close(f);
}

/* More pieces than one call to the kernel takes, of all sizes, some empty. */
static void test_many_pieces(void **state)
{
	enum { PIECES = 3000, BYTES = 20000 };
	static uint8_t data[BYTES], back[BYTES];
	struct iovec iov[PIECES];
	struct env_file *f = file_make("a");
	struct rng rng = { seed_choose("test_many_pieces") };
	size_t at = 0, got;

	(void)state;
	rng_fill(&rng, data, sizeof(data));
	for (int round = 0; round < 2; round++) {
		uint8_t *base = round ? back : data;

		at = 0;
		for (int i = 0; i < PIECES; i++) {
			size_t left = BYTES - at, size = i == PIECES - 1 ? left : rng_below(&rng, 14);

			iov[i] = (struct iovec){ base + at, size < left ? size : left };
			at += iov[i].iov_len;
		}
		if (round)
			assert_int_equal(f->ops->readv(f, 5, iov, PIECES, &got), LSM_OK);
		else
			assert_int_equal(f->ops->writev(f, 5, iov, PIECES), LSM_OK);
	}
	assert_int_equal(got, BYTES);
	assert_memory_equal(data, back, BYTES);
	memset(back, 0, sizeof(back));
	assert_int_equal(f->ops->readv(f, 1005, iov, PIECES, &got), LSM_OK);
	assert_int_equal(got, BYTES - 1000);
	assert_memory_equal(data + 1000, back, BYTES - 1000);
	file_close(f);
}

static void test_fill_and_map(void **state)
{
	enum { BYTES = (1 << 20) + 8192 };
	struct env_file *f = file_make("a");
	struct stat st;
	uint8_t *base, *data;
	void *p;
	size_t size;

	(void)state;
	assert_int_equal(file_write(f, 100, "old", 3), LSM_OK);
	assert_int_equal(f->ops->fill(f, BYTES, true), LSM_OK);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, BYTES);
	assert_true(st.st_blocks * 512 >= BYTES);
	assert_int_equal(f->ops->map(f, BYTES, &p), LSM_OK);
	base = p;
	for (int i = 0; i < BYTES; i++)
		assert_int_equal(base[i], 0);
	memcpy(base + BYTES - 4, "tail", 4);
	data = tmp_file_load(f->path, &size);
	assert_memory_equal(data + BYTES - 4, "tail", 4);
	free(data);
	file_close(f);
}

/* A hole must have blocks before it is written through a mapping. */
static void test_map_fills_holes(void **state)
{
	struct env_file *f = file_make("a");
	struct stat st;
	void *base;

	(void)state;
	assert_int_equal(f->ops->truncate(f, 1 << 20), LSM_OK);
	assert_int_equal(f->ops->map(f, 1 << 20, &base), LSM_OK);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_true(st.st_blocks * 512 >= 1 << 20);
	file_close(f);
}

static void test_map_read_only(void **state)
{
	struct env_file *f = file_make("a");
	void *base;

	(void)state;
	assert_int_equal(file_write(f, 0, "hello", 5), LSM_OK);
	file_close(f);
	assert_int_equal(env_open(env_posix(), tmp_path(dir, "a"), ENV_OPEN_READ, &f), LSM_OK);
	assert_int_equal(f->ops->map(f, 5, &base), LSM_OK);
	assert_memory_equal(base, "hello", 5);
	file_close(f);
}

/* The limit on a file's size stands for a full disk: the error arrives, and what was there is untouched. */
static void test_write_error(void **state)
{
	struct rlimit old, small = { 4096, RLIM_INFINITY };
	struct env_file *f = file_make("a");
	uint8_t data[8192] = { 1 };

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(file_write(f, 0, data, sizeof(data)), LSM_IO);
	assert_int_equal(lsm_last_error()->sys_errno, EFBIG);
	assert_int_equal(f->ops->fill(f, 8192, false), LSM_IO);
	assert_int_equal(file_write(f, 0, data, 4096), LSM_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	file_close(f);
}

struct names {
	int n, stop_at;
	bool a, b;
};

static int name_seen(void *ctx, const char *name)
{
	struct names *names = ctx;

	names->n++;
	names->a |= !strcmp(name, "a");
	names->b |= !strcmp(name, "b");
	return names->n == names->stop_at ? 77 : 0;
}

static void test_directories(void **state)
{
	struct env *e = env_posix();
	struct names names = { 0 };
	char *sub = env_path(dir, "sub");
	struct stat st;

	(void)state;
	assert_string_equal(sub, tmp_path(dir, "sub"));
	assert_int_equal(e->ops->mkdir(e, sub), LSM_OK);
	assert_int_equal(stat(sub, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(e->ops->mkdir(e, sub), LSM_EXISTS);
	assert_int_equal(env_sync_dir(e, sub), LSM_OK);
	assert_int_equal(e->ops->rmdir(e, sub), LSM_OK);
	assert_int_equal(e->ops->rmdir(e, sub), LSM_IO);
	assert_int_equal(env_sync_dir(e, sub), LSM_IO);
	assert_int_equal(e->ops->list(e, sub, name_seen, &names), LSM_NOT_STORE);
	file_close(file_make("a"));
	file_close(file_make("b"));
	assert_int_equal(e->ops->list(e, tmp_path(dir, "a"), name_seen, &names), LSM_NOT_STORE);
	assert_int_equal(e->ops->list(e, dir, name_seen, &names), LSM_OK);
	assert_true(names.n == 2 && names.a && names.b);
	names = (struct names){ .stop_at = 1 };
	assert_int_equal(e->ops->list(e, dir, name_seen, &names), 77);
	assert_int_equal(names.n, 1);
	assert_int_equal(e->ops->rename(e, tmp_path(dir, "a"), tmp_path(dir, "b")), LSM_OK);
	assert_int_equal(e->ops->rename(e, tmp_path(dir, "a"), tmp_path(dir, "b")), LSM_IO);
	assert_int_equal(lsm_last_error()->sys_errno, ENOENT);
	assert_int_equal(env_unlink(e, tmp_path(dir, "b")), LSM_OK);
	assert_int_equal(env_unlink(e, tmp_path(dir, "b")), LSM_OK);
	free(sub);
}

static void test_lock(void **state)
{
	struct env *e = env_posix();
	const char *path = tmp_path(dir, "LOCK");
	struct env_lock *lock, *second = NULL;
	char text[64];
	uint8_t *data;
	size_t size;

	(void)state;
	tmp_file_store(path, "an older and longer text\n", 25);
	assert_int_equal(e->ops->lock(e, path, &lock), LSM_OK);
	data = tmp_file_load(path, &size);
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	assert_int_equal(size, strlen(text));
	assert_memory_equal(data, text, size);
	free(data);
	assert_int_equal(e->ops->lock(e, path, &second), LSM_BUSY);
	snprintf(text, sizeof(text), "in use by process %d (", (int)getpid());
	assert_non_null(strstr(lsm_last_error()->message, text));
	assert_null(strstr(lsm_last_error()->message, "unknown"));
	assert_null(second);
	e->ops->unlock(e, lock);
	assert_int_equal(e->ops->lock(e, path, &lock), LSM_OK);
	e->ops->unlock(e, lock);
	assert_int_equal(e->ops->lock(e, tmp_path(dir, "no/LOCK"), &lock), LSM_IO);
}

/* Where the owner has not written its pid, the message does without. */
static void test_lock_without_pid(void **state)
{
	struct env *e = env_posix();
	const char *path = tmp_path(dir, "LOCK");
	struct env_lock *lock;

	(void)state;
	assert_int_equal(e->ops->lock(e, path, &lock), LSM_OK);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(e->ops->lock(e, path, &lock), LSM_BUSY);
	assert_non_null(strstr(lsm_last_error()->message, "another process"));
	e->ops->unlock(e, lock);
}

struct thread_seen {
	char name[32];
	bool blocked;
};

static void thread_look(void *ctx)
{
	struct thread_seen *seen = ctx;
	sigset_t set;

	pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	seen->blocked = sigismember(&set, SIGTERM) && !sigismember(&set, SIGSEGV);
}

static void test_threads_and_clock(void **state)
{
	struct env *e = env_posix();
	struct thread_seen seen = { 0 };
	struct env_thread *t;
	uint64_t start = env_now_us(e);
	sigset_t set;

	(void)state;
	assert_int_equal(e->ops->thread_start(e, "lsm-flush-with-a-long-name", thread_look, &seen, &t), LSM_OK);
	e->ops->thread_join(e, t);
	assert_string_equal(seen.name, "lsm-flush-with-");
	assert_true(seen.blocked);
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	assert_false(sigismember(&set, SIGTERM));
	e->ops->sleep_us(e, 2000);
	assert_true(env_now_us(e) - start >= 2000);
}

static void nice_look(void *ctx)
{
	struct env *e = env_posix();
	int *nices = ctx;

	nices[0] = getpriority(PRIO_PROCESS, 0);
	e->ops->thread_nice(e, 3);
	nices[1] = getpriority(PRIO_PROCESS, 0);
}

/* Only the thread that asked becomes nicer, from where it was. */
static void test_thread_nice(void **state)
{
	struct env *e = env_posix();
	int before = getpriority(PRIO_PROCESS, 0), nices[2];
	struct env_thread *t;

	(void)state;
	assert_int_equal(e->ops->thread_start(e, "nice", nice_look, nices, &t), LSM_OK);
	e->ops->thread_join(e, t);
	assert_int_equal(nices[0], before);
	assert_int_equal(nices[1], before + 3 < 19 ? before + 3 : 19);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_read_write),       TEST(test_open_modes),        TEST(test_many_pieces),
		TEST(test_fill_and_map),     TEST(test_map_fills_holes),   TEST(test_map_read_only),
		TEST(test_write_error),      TEST(test_directories),       TEST(test_lock),
		TEST(test_lock_without_pid), TEST(test_threads_and_clock), TEST(test_thread_nice),
	};

	return cmocka_run_group_tests_name("env", tests, NULL, NULL);
}
