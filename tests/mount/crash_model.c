/* SPDX-License-Identifier: MIT */
#include "crash_model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const kind_names[OP_KINDS] = {
	"create", "write", "append", "truncate", "rename", "link", "unlink", "mkdir", "rmdir", "fsync",
};

static void *must(void *p)
{
	if (p == NULL) {
		fprintf(stderr, "crash_oracle: out of memory\n");
		exit(2);
	}
	return p;
}

void op_print(const struct op *op, char *buf, size_t size)
{
	snprintf(buf, size, "%s %s %s %llu %llu %llu", kind_names[op->kind], op->a, op->b[0] ? op->b : "-",
		 (unsigned long long)op->offset, (unsigned long long)op->size, (unsigned long long)op->seed);
}

bool op_parse(const char *line, struct op *ret)
{
	char kind[16];
	unsigned long long offset, size, seed;

	memset(ret, 0, sizeof(*ret));
	if (sscanf(line, "%15s %95s %95s %llu %llu %llu", kind, ret->a, ret->b, &offset, &size, &seed) != 6)
		return false;
	ret->offset = offset;
	ret->size = size;
	ret->seed = seed;
	for (int k = 0; k < OP_KINDS; k++)
		if (strcmp(kind, kind_names[k]) == 0) {
			ret->kind = (enum op_kind)k;
			return true;
		}
	return false;
}

void op_bytes(uint64_t seed, unsigned char *buf, size_t size)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 0x1234567;

	for (size_t i = 0; i < size; i++) {
		if (i % 8 == 0) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		buf[i] = (unsigned char)(x >> (i % 8 * 8));
	}
}

struct model *model_new(void)
{
	return must(calloc(1, sizeof(struct model)));
}

static struct file *file_new(void)
{
	struct file *f = must(calloc(1, sizeof(*f)));

	f->bytes = must(calloc(1, CRASH_FILE_BYTES_MAX));
	f->links = 1;
	return f;
}

static void file_unref(struct file *f)
{
	if (f != NULL && --f->links == 0) {
		free(f->bytes);
		free(f);
	}
}

struct model *model_copy(const struct model *m)
{
	struct model *c = model_new();

	*c = *m;
	for (size_t i = 0; i < c->n; i++) {
		struct file *old = m->entries[i].file, *copy;

		if (old == NULL || c->entries[i].file != old)
			continue;
		copy = file_new();
		copy->links = old->links;
		copy->size = old->size;
		memcpy(copy->bytes, old->bytes, old->size);
		for (size_t j = i; j < c->n; j++) /* all its names */
			if (c->entries[j].file == old)
				c->entries[j].file = copy;
	}
	return c;
}

void model_free(struct model *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++)
		file_unref(m->entries[i].file);
	free(m);
}

struct entry *model_find(struct model *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->entries[i].path, path) == 0)
			return &m->entries[i];
	return NULL;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

bool model_dir_is_empty(const struct model *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++)
		if (is_below(m->entries[i].path, path))
			return false;
	return true;
}

static void add(struct model *m, const char *path, struct file *file)
{
	struct entry *e = &m->entries[m->n++];

	memset(e, 0, sizeof(*e));
	snprintf(e->path, sizeof(e->path), "%s", path);
	e->file = file;
}

static void drop(struct model *m, struct entry *e)
{
	file_unref(e->file);
	*e = m->entries[--m->n];
}

static void file_write(struct file *f, uint64_t offset, uint64_t size, uint64_t seed)
{
	op_bytes(seed, f->bytes + offset, size);
	if (offset + size > f->size)
		f->size = offset + size;
}

static bool moves(const struct entry *e, const char *from)
{
	return strcmp(e->path, from) == 0 || is_below(e->path, from);
}

static bool paths_fit(const struct model *m, const struct op *op)
{
	for (size_t i = 0; i < m->n; i++)
		if (moves(&m->entries[i], op->a) &&
		    strlen(op->b) + strlen(m->entries[i].path) - strlen(op->a) >= CRASH_PATH_BYTES)
			return false;
	return true;
}

static bool apply_rename(struct model *m, const struct op *op)
{
	struct entry *from = model_find(m, op->a), *to = model_find(m, op->b);
	size_t n = strlen(op->a);

	if (from == NULL || (to != NULL && (from->file == NULL) != (to->file == NULL)) || !paths_fit(m, op))
		return false;
	if (to != NULL) {
		if (to == from || (to->file != NULL && to->file == from->file))
			return true;
		drop(m, to);
	}
	for (size_t i = 0; i < m->n; i++) {
		struct entry *e = &m->entries[i];
		size_t to_size = strlen(op->b);

		if (!moves(e, op->a))
			continue;
		memmove(e->path + to_size, e->path + n, strlen(e->path + n) + 1);
		memcpy(e->path, op->b, to_size);
	}
	return true;
}

static bool apply_to_file(struct file *f, const struct op *op)
{
	uint64_t offset = op->kind == OP_APPEND ? f->size : op->offset;

	if (op->kind == OP_FSYNC)
		return true;
	if (op->size > CRASH_FILE_BYTES_MAX || offset > CRASH_FILE_BYTES_MAX - op->size)
		return false;
	if (op->kind == OP_TRUNCATE) {
		if (op->size < f->size)
			memset(f->bytes + op->size, 0, f->size - op->size);
		f->size = op->size;
	} else {
		file_write(f, offset, op->size, op->seed);
	}
	return true;
}

bool model_apply(struct model *m, const struct op *op)
{
	struct entry *a = model_find(m, op->a);

	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
		if (a != NULL || m->n == CRASH_ENTRIES_MAX)
			return false;
		add(m, op->a, op->kind == OP_CREATE ? file_new() : NULL);
		return true;
	case OP_LINK:
		if (a == NULL || a->file == NULL || m->n == CRASH_ENTRIES_MAX || model_find(m, op->b) != NULL)
			return false;
		a->file->links++;
		add(m, op->b, a->file);
		return true;
	case OP_UNLINK:
	case OP_RMDIR:
		if (a == NULL || (a->file == NULL) != (op->kind == OP_RMDIR))
			return false;
		drop(m, a);
		return true;
	case OP_RENAME:
		return apply_rename(m, op);
	default:
		return a != NULL && a->file != NULL && apply_to_file(a->file, op);
	}
}

static bool differs(char *why, size_t size, const char *path, const char *what, uint64_t want, uint64_t got)
{
	snprintf(why, size, "%s: %s is %llu, should be %llu", path, what, (unsigned long long)got,
		 (unsigned long long)want);
	return false;
}

static bool file_matches(const struct entry *e, char *why, size_t why_size)
{
	static unsigned char buf[CRASH_FILE_BYTES_MAX + 1];
	int fd = open(e->path, O_RDONLY);
	ssize_t got = 0;
	size_t size = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(why, why_size, "%s: %s", e->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (size < sizeof(buf) && (got = read(fd, buf + size, sizeof(buf) - size)) > 0)
		size += (size_t)got;
	close(fd);
	if (got < 0) {
		snprintf(why, why_size, "%s: read: %s", e->path, strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode) || st.st_nlink != e->file->links)
		return differs(why, why_size, e->path, "link count", e->file->links, st.st_nlink);
	if ((uint64_t)st.st_size != e->file->size || size != e->file->size)
		return differs(why, why_size, e->path, "size", e->file->size, (uint64_t)st.st_size);
	for (size_t i = 0; i < size; i++)
		if (buf[i] != e->file->bytes[i]) {
			snprintf(why, why_size, "%s: byte %zu of %zu is wrong", e->path, i, size);
			return false;
		}
	return true;
}

/* Every name on disk is in the model; counts them. */
static bool names_match(struct model *m, const char *dir, size_t *count, char *why, size_t why_size)
{
	DIR *d = opendir(dir[0] ? dir : ".");
	bool matches = d != NULL;

	if (d == NULL)
		snprintf(why, why_size, "%s: %s", dir, strerror(errno));
	for (struct dirent *e; matches && (e = readdir(d)) != NULL;) {
		char path[CRASH_PATH_BYTES + 256];
		struct entry *known;
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s%s%s", dir, dir[0] ? "/" : "", e->d_name);
		known = model_find(m, path);
		if (known == NULL || lstat(path, &st) < 0 || S_ISDIR(st.st_mode) != (known->file == NULL)) {
			snprintf(why, why_size, "%s: is there, should %s", path, known ? "be of another type" : "not");
			matches = false;
			break;
		}
		(*count)++;
		if (known->file == NULL)
			matches = names_match(m, path, count, why, why_size);
	}
	if (d != NULL)
		closedir(d);
	return matches;
}

bool model_matches(struct model *m, char *why, size_t why_size)
{
	size_t count = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct stat st;

		if (m->entries[i].file != NULL) {
			if (!file_matches(&m->entries[i], why, why_size))
				return false;
		} else if (lstat(m->entries[i].path, &st) < 0 || !S_ISDIR(st.st_mode)) {
			snprintf(why, why_size, "%s: the directory is missing", m->entries[i].path);
			return false;
		}
	}
	if (!names_match(m, "", &count, why, why_size))
		return false;
	return count == m->n || differs(why, why_size, ".", "the number of names", m->n, count);
}
