/* SPDX-License-Identifier: MIT */
#include "tests/support/db_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

void assert_code_at(int rc, int want, const char *file, int line)
{
	if (rc == want)
		return;
	print_error("got \"%s\" (%s), wanted \"%s\"\n", lsm_strerror(rc), rc ? lsm_last_error()->message : "",
		    lsm_strerror(want));
	_fail(file, line);
}

static void log_line(void *ctx, const char *line)
{
	(void)ctx;
	if (getenv("LSMFS_TEST_LOG"))
		fprintf(stderr, "log: %s\n", line);
}

int db_setup_closed(void **state)
{
	struct db_test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(t->dir, sizeof(t->dir), "test_db.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->store, sizeof(t->store), "%s/store", t->dir);
	t->options = (struct lsm_options){
		.flags = LSM_OPEN_CREATE,
		.memory_bytes = 16 << 20,
		.memtable_bytes = 256 << 10,
		.table_bytes = 128 << 10,
		.level_base_bytes = 512 << 10,
		.blob_min_bytes = 1024,
		.blob_direct_bytes = 8192,
		.blob_segment_bytes = 512 << 10,
		.log = log_line,
		.log_level = LSM_LOG_ALL,
	};
	*state = t;
	return 0;
}

int db_setup(void **state)
{
	db_setup_closed(state);
	db_open(*state);
	return 0;
}

int db_teardown(void **state)
{
	struct db_test *t = *state;
	pid_t child;

	if (t->db)
		db_close(t);
	child = fork();
	if (!child) {
		execlp("rm", "rm", "-rf", t->dir, NULL);
		_exit(127);
	}
	waitpid(child, NULL, 0);
	free(t);
	return 0;
}

void db_open(struct db_test *t)
{
	assert_null(t->db);
	assert_ok(lsm_open(t->store, &t->options, &t->db));
}

void db_close(struct db_test *t)
{
	int rc = lsm_close(t->db);

	t->db = NULL;
	assert_ok(rc);
}

void db_reopen(struct db_test *t)
{
	db_close(t);
	db_open(t);
}

struct lsm_slice key_n(uint64_t n)
{
	static _Thread_local char bufs[4][24];
	static _Thread_local unsigned turn;
	char *buf = bufs[turn++ % 4];

	return (struct lsm_slice){ buf, (size_t)snprintf(buf, 24, "key%08llu", (unsigned long long)n) };
}

uint8_t *bytes_new(uint64_t seed, size_t size)
{
	uint8_t *p = malloc(size + 1);
	struct rng rng = { seed };

	if (p)
		rng_fill(&rng, p, size);
	return p;
}

void put(struct db_test *t, const char *key, const char *value)
{
	assert_ok(lsm_put(t->db, S(key), S(value), 0));
}

void put_bytes(struct db_test *t, struct lsm_slice key, uint64_t seed, size_t size)
{
	uint8_t *p = bytes_new(seed, size);
	int rc;

	assert_non_null(p);
	rc = lsm_put(t->db, key, (struct lsm_slice){ p, size }, 0);
	free(p);
	assert_ok(rc);
}

void del(struct db_test *t, const char *key)
{
	assert_ok(lsm_delete(t->db, S(key), 0));
}

void expect_at(struct db_test *t, const struct lsm_snapshot *snapshot, const char *key, const char *value)
{
	struct lsm_value v = { 0 };
	int rc = lsm_get(t->db, snapshot, S(key), &v);

	if (!value) {
		assert_code(rc, LSM_NOT_FOUND);
		return;
	}
	if (rc)
		print_error("key %s\n", key);
	assert_ok(rc);
	assert_int_equal(v.size, strlen(value));
	assert_memory_equal(v.data, value, v.size);
	lsm_value_release(&v);
}

void expect(struct db_test *t, const char *key, const char *value)
{
	expect_at(t, NULL, key, value);
}

void expect_bytes(struct db_test *t, struct lsm_slice key, uint64_t seed, size_t size)
{
	uint8_t *want = bytes_new(seed, size);
	struct lsm_value v = { 0 };

	assert_ok(lsm_get(t->db, NULL, key, &v));
	assert_int_equal(v.size, size);
	assert_true(!size || !memcmp(v.data, want, size));
	lsm_value_release(&v);
	free(want);
}

void expect_keys(struct db_test *t, const struct lsm_iter_options *options, const char *keys)
{
	char forward[1000] = "", backward[1000] = "";
	size_t at = 0, from = sizeof(backward) - 1;
	struct lsm_iter *it = NULL;

	assert_ok(lsm_iter_new(t->db, options, &it));
	assert_false(lsm_iter_valid(it));
	for (lsm_iter_seek_first(it); lsm_iter_valid(it); lsm_iter_next(it)) {
		struct lsm_slice k = lsm_iter_key(it);

		assert_true(at + k.size + 2 < sizeof(forward));
		if (at)
			forward[at++] = ' ';
		memcpy(forward + at, k.data, k.size);
		at += k.size;
	}
	assert_ok(lsm_iter_status(it));
	for (lsm_iter_seek_last(it); lsm_iter_valid(it); lsm_iter_prev(it)) {
		struct lsm_slice k = lsm_iter_key(it);

		assert_true(from > k.size + 1);
		if (from < sizeof(backward) - 1)
			backward[--from] = ' ';
		from -= k.size;
		memcpy(backward + from, k.data, k.size);
	}
	assert_ok(lsm_iter_status(it));
	lsm_iter_free(it);
	assert_string_equal(forward, keys);
	assert_string_equal(backward + from, keys);
}

struct lsm_stats stats_of(struct db_test *t)
{
	struct lsm_stats st;

	lsm_get_stats(t->db, &st);
	return st;
}

/* ---- files ---- */

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = suffix ? strlen(suffix) : 0;

	return name[0] != '.' && n >= s && !strcmp(name + n - s, suffix ? suffix : "");
}

static void files_walk(const char *dir, const char *suffix, void (*fn)(void *ctx, const char *path, uint64_t size),
		       void *ctx)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[512];
		struct stat st;

		if (!has_suffix(e->d_name, suffix))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (!stat(path, &st))
			fn(ctx, path, (uint64_t)st.st_size);
	}
	closedir(d);
}

static void count_one(void *ctx, const char *path, uint64_t size)
{
	(void)path;
	(void)size;
	++*(unsigned *)ctx;
}

unsigned files_count(const char *dir, const char *suffix)
{
	unsigned n = 0;

	files_walk(dir, suffix, count_one, &n);
	return n;
}

static void add_bytes(void *ctx, const char *path, uint64_t size)
{
	(void)path;
	*(uint64_t *)ctx += size;
}

uint64_t files_bytes(const char *dir, const char *suffix)
{
	uint64_t n = 0;

	files_walk(dir, suffix, add_bytes, &n);
	return n;
}

struct largest {
	char path[512];
	uint64_t size;
};

static void take_largest(void *ctx, const char *path, uint64_t size)
{
	struct largest *l = ctx;

	if (size < l->size)
		return;
	l->size = size;
	snprintf(l->path, sizeof(l->path), "%s", path);
}

const char *file_largest(const char *dir, const char *suffix)
{
	static struct largest l;

	l = (struct largest){ 0 };
	files_walk(dir, suffix, take_largest, &l);
	assert_true(l.size > 0);
	return l.path;
}

/* FNV-1a; the sum over all files, so that their order doesn't matter. */
static void add_checksum(void *ctx, const char *path, uint64_t size)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ size;
	uint8_t buf[65536];
	ssize_t n;
	int fd;

	for (const char *p = path; *p; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	fd = strcmp(strrchr(path, '/'), "/LOCK") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			h = (h ^ buf[i]) * UINT64_C(0x100000001b3);
	if (fd >= 0)
		close(fd);
	*(uint64_t *)ctx += h;
}

uint64_t dir_checksum(const char *dir)
{
	uint64_t sum = 0;

	files_walk(dir, NULL, add_checksum, &sum);
	return sum;
}

void file_write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

void file_flip(const char *path, uint64_t offset)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

bool path_exists(const char *path)
{
	return !access(path, F_OK);
}
