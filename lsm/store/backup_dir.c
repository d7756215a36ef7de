/* SPDX-License-Identifier: MIT */
/* The directory of backups: names, lists, and what refers to what. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "lsm/base/checksum.h"
#include "lsm/store/backup.h"

enum { VERSION = 2, VERSION_MIN = 1, LINE_MAX_BYTES = 200 };
#define OPTION_PREFIX "option "
static const uint64_t list_bytes_max = UINT64_C(1) << 30;

static const char *const suffixes[] = {
	[STORE_TABLE] = "sst",
	[STORE_BLOB] = "blob",
	[STORE_MANIFEST] = "manifest",
};
enum { KINDS = sizeof(suffixes) / sizeof(suffixes[0]) };

/* ---- files ---- */

int backup_add(struct backup *b, const struct backup_file *f)
{
	if (b->n == b->capacity) {
		size_t capacity = b->capacity ? b->capacity * 2 : 64;
		struct backup_file *p = realloc(b->files, capacity * sizeof(*p));

		if (!p)
			return status_no_memory(capacity * sizeof(*p));
		b->files = p;
		b->capacity = capacity;
	}
	b->files[b->n++] = *f;
	return LSM_OK;
}

void backup_done(struct backup *b)
{
	free(b->files);
	*b = (struct backup){ 0 };
}

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

int backup_file_compare(const void *a, const void *b)
{
	const struct backup_file *x = a, *y = b;
	int c = order(x->kind, y->kind);

	if (!c)
		c = order(x->number, y->number);
	if (!c)
		c = order(x->id, y->id);
	return c ? c : order(x->bytes, y->bytes);
}

static void file_name(char *buf, size_t size, const struct backup_file *f)
{
	snprintf(buf, size, "%06" PRIu64 "-%016" PRIx64 ".%s", f->number, f->id, suffixes[f->kind]);
}

/* Only the very name that we would give is ours. */
static bool file_name_parse(const char *name, struct backup_file *ret)
{
	char made[64], *end;
	struct backup_file f = { .number = strtoull(name, &end, 10) };

	if (*end != '-')
		return false;
	f.id = strtoull(end + 1, NULL, 16);
	for (int k = 0; k < KINDS; k++) {
		f.kind = (enum store_file)k;
		file_name(made, sizeof(made), &f);
		if (!strcmp(made, name)) {
			*ret = f;
			return true;
		}
	}
	return false;
}

void backup_file_path(char buf[STORE_PATH_MAX], const char *dir, const struct backup_file *f, bool temp)
{
	char name[64];

	file_name(name, sizeof(name), f);
	snprintf(buf, STORE_PATH_MAX, "%s/%s%s", dir, name, temp ? ".tmp" : "");
}

void backup_list_path(char buf[STORE_PATH_MAX], const char *dir, uint64_t number, bool temp)
{
	snprintf(buf, STORE_PATH_MAX, "%s/backup-%06" PRIu64 "%s", dir, number, temp ? ".tmp" : "");
}

static bool list_name_parse(const char *name, uint64_t *ret)
{
	char made[64];

	if (strncmp(name, "backup-", 7))
		return false;
	*ret = strtoull(name + 7, NULL, 10);
	snprintf(made, sizeof(made), "backup-%06" PRIu64, *ret);
	return !strcmp(made, name);
}

/* ---- lists ---- */

static void put_line(struct buf *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put_line(struct buf *t, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buf_append(t, line, (size_t)n);
}

static void encode(const struct backup *b, struct buf *t)
{
	put_line(t, "lsm backup %d\n", VERSION);
	put_line(t, "created %" PRIu64 "\nsequence %" PRIu64 "\ncopied %" PRIu64 "\n", b->created_us, b->sequence,
		 b->copied_bytes);
	options_add_lines(&b->options, OPTION_PREFIX, t);
	for (size_t i = 0; i < b->n; i++) {
		char name[64];

		file_name(name, sizeof(name), &b->files[i]);
		put_line(t, "file %s %" PRIu64 " %016" PRIx64 "\n", name, b->files[i].bytes, b->files[i].hash);
	}
	if (!t->failed)
		put_line(t, "end %016" PRIx64 "\n", hash64(t->data, t->size, 0));
}

int backup_write(struct env *env, const char *dir, const struct backup *b)
{
	char path[STORE_PATH_MAX], temp[STORE_PATH_MAX];
	struct env_file *f = NULL;
	struct buf t = { 0 };
	int rc;

	backup_list_path(path, dir, b->number, false);
	backup_list_path(temp, dir, b->number, true);
	encode(b, &t);
	rc = t.failed ? status_no_memory(t.size) : env_open(env, temp, ENV_OPEN_CREATE, &f);
	if (!rc)
		rc = file_write(f, 0, t.data, t.size);
	if (!rc)
		rc = file_sync(f);
	file_close(f);
	buf_free(&t);
	if (!rc)
		rc = env->ops->rename(env, temp, path);
	if (rc) {
		env_discard(env, temp);
		return rc;
	}
	rc = env_sync_dir(env, dir);
	if (rc)
		env_discard(env, path); /* it may be there after a crash: whole, like all that it refers to */
	return rc;
}

/* One line of the text; false when it is none. */
static bool parse_line(const char *line, const char *path, struct backup *b, int *ret_rc)
{
	const size_t prefix = sizeof(OPTION_PREFIX) - 1;
	struct backup_file f;
	char name[64];
	int end = 0;

	if (sscanf(line, "created %" SCNu64 "%n", &b->created_us, &end) == 1 ||
	    sscanf(line, "sequence %" SCNu64 "%n", &b->sequence, &end) == 1 ||
	    sscanf(line, "copied %" SCNu64 "%n", &b->copied_bytes, &end) == 1)
		return !line[end];
	if (!strncmp(line, OPTION_PREFIX, prefix)) {
		*ret_rc = options_parse_line(slice_of(line + prefix, strlen(line + prefix)), path, &b->options);
		return true;
	}
	if (sscanf(line, "file %63s", name) != 1 || !file_name_parse(name, &f) ||
	    sscanf(line, "file %*s %" SCNu64 " %" SCNx64 "%n", &f.bytes, &f.hash, &end) != 2 || line[end])
		return false;
	*ret_rc = backup_add(b, &f);
	return true;
}

static int decode(char *text, size_t size, const char *path, struct backup *b)
{
	static const char last_line[] = "end 0123456789abcdef\n";
	size_t body = size - (sizeof(last_line) - 1);
	unsigned version = 0;
	uint64_t sum;
	int rc = LSM_OK;

	if (sscanf(text, "lsm backup %u\n", &version) != 1 || size < sizeof(last_line) ||
	    sscanf(text + body, "end %" SCNx64, &sum) != 1 || hash64(text, body, 0) != sum)
		return status_corrupt(path, 0, "%s is not a whole list of a backup: its checksum is wrong", path);
	if (version < VERSION_MIN || version > VERSION)
		return status_set(LSM_UNSUPPORTED, 0, path, 0, "%s is of version %u; this library knows %d to %d", path,
				  version, VERSION_MIN, VERSION);
	text[body] = 0;
	if (!strchr(text, '\n'))
		return status_corrupt(path, 0, "%s: the first line has no end", path);
	for (char *line = strchr(text, '\n') + 1, *end; !rc && *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			return status_corrupt(path, 0, "%s: a line has no end", path);
		*end = 0;
		if (!parse_line(line, path, b, &rc))
			return status_corrupt(path, 0, "%s: cannot make sense of '%s'", path, line);
	}
	return rc;
}

static int read_text(struct env *env, const char *path, char **ret, size_t *ret_size)
{
	struct env_file *f = NULL;
	uint64_t size = 0;
	char *text = NULL;
	int rc = env_open(env, path, ENV_OPEN_READ, &f);

	if (!rc)
		rc = file_size(f, &size);
	if (!rc && size > list_bytes_max)
		rc = status_corrupt(path, 0, "%s is too long for a list of files", path);
	if (!rc) {
		text = malloc(size + 1);
		rc = text ? file_read_exact(f, 0, text, size) : status_no_memory(size);
	}
	file_close(f);
	if (rc) {
		free(text);
		return rc;
	}
	text[size] = 0;
	*ret = text;
	*ret_size = size;
	return LSM_OK;
}

int backup_read(struct env *env, const char *dir, uint64_t number, struct backup *ret)
{
	char path[STORE_PATH_MAX], *text = NULL;
	struct backup b = { .number = number };
	size_t size = 0, manifests = 0;
	int rc;

	backup_list_path(path, dir, number, false);
	rc = read_text(env, path, &text, &size);
	if (rc == LSM_IO && lsm_last_error()->sys_errno == ENOENT)
		return LSM_NOT_FOUND;
	if (!rc)
		rc = decode(text, size, path, &b);
	for (size_t i = 0; i < b.n; i++)
		manifests += b.files[i].kind == STORE_MANIFEST;
	if (!rc && manifests != 1)
		rc = status_corrupt(path, 0, "%s lists %zu manifests", path, manifests);
	free(text);
	if (rc)
		backup_done(&b);
	else
		*ret = b;
	return rc;
}

/* ---- the directory ---- */

struct scan {
	struct backup_dir *d;
	char foreign[300]; /* a name that isn't ours, or "" */
};

static int add_number(struct backup_dir *d, uint64_t number)
{
	uint64_t *p = realloc(d->numbers, (d->numbers_n + 1) * sizeof(*p));

	if (!p)
		return status_no_memory((d->numbers_n + 1) * sizeof(*p));
	d->numbers = p;
	p[d->numbers_n++] = number;
	return LSM_OK;
}

static int add_stray(struct backup_dir *d, const char *name)
{
	char **p = realloc(d->strays, (d->strays_n + 1) * sizeof(*p));

	if (!p)
		return status_no_memory((d->strays_n + 1) * sizeof(*p));
	d->strays = p;
	p[d->strays_n] = strdup(name);
	if (!p[d->strays_n])
		return status_no_memory(strlen(name));
	d->strays_n++;
	return LSM_OK;
}

/* The name of a file or a list on its way. */
static bool is_temp(const char *name)
{
	size_t n = strlen(name);
	struct backup_file f;
	uint64_t number;
	char base[64];

	if (n < 5 || n - 4 >= sizeof(base) || strcmp(name + n - 4, ".tmp"))
		return false;
	memcpy(base, name, n - 4);
	base[n - 4] = 0;
	return file_name_parse(base, &f) || list_name_parse(base, &number);
}

static int look_at(void *ctx, const char *name)
{
	struct scan *s = ctx;
	struct backup_file f;
	uint64_t number;

	if (list_name_parse(name, &number))
		return add_number(s->d, number);
	if (file_name_parse(name, &f) || is_temp(name))
		return add_stray(s->d, name);
	if (strcmp(name, "LOCK") && strcmp(name, "lost+found"))
		snprintf(s->foreign, sizeof(s->foreign), "%s", name);
	return LSM_OK;
}

static int compare_u64(const void *a, const void *b)
{
	return order(*(const uint64_t *)a, *(const uint64_t *)b);
}

/* Gathers what the backups refer to. One that can't be read is noted. */
static int load_known(struct backup_dir *d)
{
	size_t kept = 0;
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < d->numbers_n; i++) {
		struct backup b = { 0 };

		rc = backup_read(d->env, d->path, d->numbers[i], &b);
		if (rc == LSM_CORRUPT || rc == LSM_UNSUPPORTED || rc == LSM_IO) {
			d->damaged = true;
			d->damage = *lsm_last_error();
			rc = LSM_OK;
		}
		for (size_t k = 0; !rc && k < b.n; k++)
			rc = backup_add(&d->known, &b.files[k]);
		backup_done(&b);
	}
	if (d->known.n)
		qsort(d->known.files, d->known.n, sizeof(*d->known.files), backup_file_compare);
	for (size_t i = 0; i < d->known.n; i++) {
		if (!kept || backup_file_compare(&d->known.files[kept - 1], &d->known.files[i]))
			d->known.files[kept++] = d->known.files[i];
	}
	d->known.n = kept;
	return rc;
}

static int lock_dir(struct backup_dir *d, bool write)
{
	char *path = env_path(d->path, "LOCK");
	int rc = path ? d->env->ops->lock(d->env, path, &d->lock) : status_no_memory(strlen(d->path));

	free(path);
	/* Where nothing can be written, nobody can be at it either. */
	if (rc && !write && (lsm_last_error()->sys_errno == EROFS || lsm_last_error()->sys_errno == EACCES))
		rc = LSM_OK;
	return rc;
}

int backup_dir_open(struct env *env, const char *path, bool create, struct backup_dir *ret)
{
	struct backup_dir d = { .env = env, .path = path };
	struct scan s = { .d = &d };
	int rc;

	if (!path || !*path || strlen(path) > STORE_PATH_MAX - 64)
		return status_set(LSM_INVALID, 0, NULL, 0, "the path of the backups is empty or too long");
	rc = env->ops->list(env, path, look_at, &s);
	if (rc == LSM_NOT_STORE && lsm_last_error()->sys_errno == ENOENT && create) {
		rc = env->ops->mkdir(env, path);
		if (!rc)
			rc = env_sync_parent(env, path);
	}
	if (!rc && (*s.foreign || (!create && !d.numbers_n && !d.strays_n)))
		rc = status_set(LSM_NOT_STORE, 0, path, 0, "%s is not a directory of backups%s%s", path,
				*s.foreign ? ": it holds the file " : ": it is empty", s.foreign);
	if (!rc)
		rc = lock_dir(&d, create);
	/* Somebody may have been at work between the look and the lock. */
	if (!rc) {
		d.numbers_n = 0;
		while (d.strays_n)
			free(d.strays[--d.strays_n]);
		rc = env->ops->list(env, path, look_at, &s);
	}
	if (!rc && d.numbers_n)
		qsort(d.numbers, d.numbers_n, sizeof(*d.numbers), compare_u64);
	if (!rc)
		rc = load_known(&d);
	if (rc)
		backup_dir_close(&d);
	else
		*ret = d;
	return rc;
}

const struct backup_file *backup_dir_find(const struct backup_dir *d, const struct backup_file *f)
{
	return d->known.n ? bsearch(f, d->known.files, d->known.n, sizeof(*f), backup_file_compare) : NULL;
}

static int compare_names(const void *a, const void *b)
{
	const struct backup_file *x = a, *y = b;
	int c = order(x->kind, y->kind);

	if (!c)
		c = order(x->number, y->number);
	return c ? c : order(x->id, y->id);
}

/* By name alone: a file of another size than the list says is for verify() to tell. */
static bool is_known(const struct backup_dir *d, const char *name)
{
	struct backup_file f;

	return d->known.n && file_name_parse(name, &f) &&
	       bsearch(&f, d->known.files, d->known.n, sizeof(f), compare_names);
}

void backup_dir_collect(struct backup_dir *d)
{
	for (size_t i = 0; !d->damaged && i < d->strays_n; i++) {
		char *path = is_known(d, d->strays[i]) ? NULL : env_path(d->path, d->strays[i]);

		if (path)
			env_discard(d->env, path);
		free(path);
	}
}

void backup_dir_close(struct backup_dir *d)
{
	if (d->lock)
		d->env->ops->unlock(d->env, d->lock);
	while (d->strays_n)
		free(d->strays[--d->strays_n]);
	free(d->strays);
	free(d->numbers);
	backup_done(&d->known);
	*d = (struct backup_dir){ 0 };
}
