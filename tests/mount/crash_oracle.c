/* SPDX-License-Identifier: MIT */
/*
 * crash_oracle - who wrote what, and is it still there?
 *
 *   crash_oracle write DIR LOG SEED   does random operations below DIR until one fails because the file system under
 *                                     it died, or until SIGTERM; notes each in LOG before it and after it
 *   crash_oracle check DIR LOG        every operation noted as done must be there, and nothing else; the one that was
 *                                     under way may be there, whole, or not; LOG then says which
 *   crash_oracle cut DIR LOG          after a power cut: what is there is what was after some operation, not before the
 *                                     last fsync noted as done
 *
 * A write(2) is a single request to the file system and is whole or not at all, with one exception, which is the
 * kernel's: a write that starts inside of a page that is not cached is sent in pieces, cut at page boundaries. Of
 * such a one under way the first pieces may be there; those that the kernel acknowledged by a short count must be.
 *
 * LOG is on another file system and is written with write(2). Lines: "B op" begins; "D" done; "P n" its first n bytes
 * are acknowledged; and, found after the crash, "S n" only its first n bytes were done, "U" nothing of it was. Both
 * commands start by following the log, so they can be repeated round after round.
 */
#include "crash_model.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define CRASH_WRITE_BYTES_MAX (100u << 10) /* one write(2) of this is one request to the file system */

static volatile sig_atomic_t stop;
static uint64_t random_state;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "crash_oracle: %s: %s\n", what, why);
	exit(2);
}

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static void note(int log, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(int log, const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(log, line, (size_t)n) != n)
		die("the log", strerror(errno));
}

/* What a log tells. */
struct history {
	struct model *model; /* with all that is done */
	size_t done;
	bool open; /* an operation was begun, and it is not known what became of it */
	struct op op;
	uint64_t acknowledged; /* of its bytes */
};

static void follow_line(struct history *h, const char *path, const char *line)
{
	if ((line[0] == 'B') == h->open)
		die(path, line);
	switch (line[0]) {
	case 'B':
		if (!op_parse(line + 2, &h->op))
			die(path, line);
		h->acknowledged = 0;
		break;
	case 'P':
		h->acknowledged = strtoull(line + 2, NULL, 10);
		return;
	case 'S':
		h->op.size = strtoull(line + 2, NULL, 10);
		/* fallthrough */
	case 'D':
		if (!model_apply(h->model, &h->op))
			die(path, "an operation is done that could not be");
		h->done++;
		break;
	case 'U':
		break;
	default:
		die(path, line);
	}
	h->open = line[0] == 'B';
}

static void follow(const char *path, struct history *h)
{
	FILE *f = fopen(path, "r");
	char line[512];

	memset(h, 0, sizeof(*h));
	h->model = model_new();
	if (f == NULL)
		die(path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL)
		follow_line(h, path, line);
	fclose(f);
}

static struct entry *random_entry(struct model *m, bool dir)
{
	for (int i = 0; m->n > 0 && i < 50; i++) {
		struct entry *e = &m->entries[random_below(m->n)];

		if ((e->file == NULL) == dir)
			return e;
	}
	return NULL;
}

/* A path that may be free, in a random directory. */
static void random_path(struct model *m, char *ret, const char *prefix)
{
	struct entry *dir = random_below(4) ? random_entry(m, true) : NULL;

	if (dir != NULL && strlen(dir->path) < CRASH_PATH_BYTES / 2)
		snprintf(ret, CRASH_PATH_BYTES, "%.60s/%s%llu", dir->path, prefix,
			 (unsigned long long)random_below(40));
	else
		snprintf(ret, CRASH_PATH_BYTES, "%s%llu", prefix, (unsigned long long)random_below(40));
}

static uint64_t random_size(void)
{
	switch (random_below(4)) {
	case 0:
		return 1 + random_below(100);
	case 1:
		return 1 + random_below(5000);
	case 2:
		return 4096 * (1 + random_below(4));
	default:
		return 1 + random_below(CRASH_WRITE_BYTES_MAX);
	}
}

/* Of each hundred operations. */
static enum op_kind random_kind(void)
{
	static const unsigned char share[OP_KINDS] = { 18, 22, 16, 5, 14, 3, 14, 3, 3, 2 };
	unsigned at = (unsigned)random_below(100);
	int k = 0;

	while (k < OP_KINDS - 1 && at >= share[k])
		at -= share[k++];
	return (enum op_kind)k;
}

static bool choose_rename(struct model *m, struct op *op)
{
	bool dir = random_below(5) == 0;
	struct entry *from = random_entry(m, dir), *to;

	if (from == NULL)
		return false;
	memcpy(op->a, from->path, sizeof(op->a));
	random_path(m, op->b, dir ? "d" : "f");
	to = model_find(m, op->b);
	if (strncmp(op->b, op->a, strlen(op->a)) == 0) /* onto or into itself, or near enough */
		return false;
	if (dir && to != NULL && !model_dir_is_empty(m, op->b))
		return false;
	return !dir || strlen(op->b) < 40;
}

static bool choose_path(struct model *m, struct op *op)
{
	struct entry *e;

	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
		random_path(m, op->a, op->kind == OP_CREATE ? "f" : "d");
		return true;
	case OP_RENAME:
		return choose_rename(m, op);
	case OP_LINK:
		random_path(m, op->b, "f");
		break;
	case OP_RMDIR:
		e = random_entry(m, true);
		if (e == NULL || !model_dir_is_empty(m, e->path))
			return false;
		memcpy(op->a, e->path, sizeof(op->a));
		return true;
	default:
		break;
	}
	e = random_entry(m, false);
	if (e != NULL)
		memcpy(op->a, e->path, sizeof(op->a));
	return e != NULL;
}

/* The next operation, which the model has been brought up to. */
static void choose(struct model *m, struct op *op)
{
	for (;;) {
		memset(op, 0, sizeof(*op));
		op->kind = random_kind();
		if (!choose_path(m, op))
			continue;
		if (op->kind == OP_WRITE || op->kind == OP_APPEND || op->kind == OP_TRUNCATE)
			op->size = random_size();
		if (op->kind == OP_WRITE)
			op->offset = random_below(2) ? 4096 * random_below(30) : random_below(CRASH_FILE_BYTES_MAX / 2);
		op->seed = random_below(1u << 30);
		if (model_apply(m, op))
			return;
	}
}

/* The bytes written, or -1. */
static ssize_t do_write(const struct op *op, int flags, off_t offset)
{
	static unsigned char buf[CRASH_WRITE_BYTES_MAX];
	int fd = open(op->a, O_WRONLY | flags);
	ssize_t n;

	if (fd < 0)
		return -1;
	op_bytes(op->seed, buf, op->size);
	n = offset < 0 ? write(fd, buf, op->size) : pwrite(fd, buf, op->size, offset);
	close(fd);
	return n;
}

static int do_fsync(const char *path)
{
	int fd = open(path, O_WRONLY), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* Negative if it failed; of a write, the bytes written. */
static ssize_t perform(const struct op *op)
{
	int fd;

	switch (op->kind) {
	case OP_CREATE:
		fd = open(op->a, O_WRONLY | O_CREAT | O_EXCL, 0644);
		return fd < 0 ? -1 : (close(fd), 0);
	case OP_WRITE:
		return do_write(op, 0, (off_t)op->offset);
	case OP_APPEND:
		return do_write(op, O_APPEND, -1);
	case OP_TRUNCATE:
		return truncate(op->a, (off_t)op->size);
	case OP_RENAME:
		return rename(op->a, op->b);
	case OP_LINK:
		return link(op->a, op->b);
	case OP_UNLINK:
		return unlink(op->a);
	case OP_MKDIR:
		return mkdir(op->a, 0755);
	case OP_RMDIR:
		return rmdir(op->a);
	default:
		return do_fsync(op->a);
	}
}

static bool fs_died(int err)
{
	return err == ENOTCONN || err == ECONNABORTED || err == EIO || err == ENODEV ||
	       err == EROFS /* a sync of its store has failed */ || err == ECANCELED /* on its way by io_uring */;
}

static bool is_write(const struct op *op)
{
	return op->kind == OP_WRITE || op->kind == OP_APPEND;
}

/* Operations until one fails. 0 if it was because the file system died. */
static int write_until_death(struct history *h, int log)
{
	while (!stop) {
		struct op op;
		char text[400];
		ssize_t n;

		choose(h->model, &op);
		op_print(&op, text, sizeof(text));
		note(log, "B %s", text);
		n = perform(&op);
		if (n < 0 && fs_died(errno))
			return 0;
		if (n < 0) {
			fprintf(stderr, "crash_oracle: %s: %s\n", text, strerror(errno));
			return 1;
		}
		if (is_write(&op) && (uint64_t)n < op.size) { /* the rest of it met the death */
			note(log, "P %zd", n);
			return 0;
		}
		note(log, "D");
	}
	return 0;
}

static int command_write(const char *dir, const char *log_path, const char *seed)
{
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644), code;
	struct history h;

	if (log < 0)
		die(log_path, strerror(errno));
	random_state = strtoull(seed, NULL, 0) * 0x9e3779b97f4a7c15u + 1;
	signal(SIGTERM, on_term);
	follow(log_path, &h);
	if (h.open)
		die(log_path, "check first: an operation is open");
	if (chdir(dir) < 0)
		die(dir, strerror(errno));
	code = write_until_death(&h, log);
	model_free(h.model);
	close(log);
	return code;
}

/* The tree is the model with the first `size` bytes of the open operation done. */
static bool matches_with(const struct history *h, uint64_t size, char *why, size_t why_size)
{
	struct model *after = model_copy(h->model);
	struct op op = h->op;
	bool matches;

	op.size = size;
	if (!model_apply(after, &op))
		die(op.a, "an operation was begun that could not be");
	matches = model_matches(after, why, why_size);
	model_free(after);
	return matches;
}

/* What became of the operation under way: a line for the log, or NULL. */
static const char *find_outcome(const struct history *h, char *line, size_t line_size, char *why, size_t why_size)
{
	char other[600];
	struct entry *e = model_find(h->model, h->op.a);
	uint64_t start = h->op.kind == OP_APPEND && e != NULL ? e->file->size : h->op.offset;

	if (matches_with(h, h->op.size, why, why_size))
		return "D";
	if (h->acknowledged == 0 && model_matches(h->model, other, sizeof(other)))
		return "U";
	if (!is_write(&h->op) || start % PAGE_BYTES == 0)
		return NULL;
	for (uint64_t n = PAGE_BYTES - start % PAGE_BYTES; n < h->op.size; n += PAGE_BYTES) {
		if (n >= h->acknowledged && matches_with(h, n, other, sizeof(other))) {
			snprintf(line, line_size, "S %llu", (unsigned long long)n);
			return line;
		}
	}
	return NULL;
}

static int command_check(const char *dir, const char *log_path)
{
	int log = open(log_path, O_WRONLY | O_APPEND);
	char why[600] = "", why_with[600] = "", line[32];
	const char *outcome = NULL;
	struct history h;
	bool good;

	if (log < 0)
		die(log_path, strerror(errno));
	follow(log_path, &h);
	if (chdir(dir) < 0)
		die(dir, strerror(errno));
	if (h.open)
		outcome = find_outcome(&h, line, sizeof(line), why_with, sizeof(why_with));
	if (outcome != NULL)
		note(log, "%s", outcome);
	good = outcome != NULL || (!h.open && model_matches(h.model, why, sizeof(why)));
	if (good) {
		printf("%zu operations, %zu names: all there%s%s\n", h.done, h.model->n,
		       outcome ? "; the one under way: " : "", outcome ? outcome : "");
	} else {
		(void)model_matches(h.model, why, sizeof(why));
		printf("WRONG after %zu operations: %s\n", h.done, why);
		if (h.open) {
			op_print(&h.op, why, sizeof(why));
			printf("  under way was: %s, %llu bytes acknowledged\n  with it done: %s\n", why,
			       (unsigned long long)h.acknowledged, why_with);
		}
	}
	model_free(h.model);
	close(log);
	return good ? 0 : 1;
}

/* How many operations had been done when the last fsync was. */
static size_t synced_ops(const char *log_path)
{
	FILE *f = fopen(log_path, "r");
	size_t done = 0, synced = 0;
	char line[512];
	struct op op;

	if (f == NULL)
		die(log_path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] == 'B' && !op_parse(line + 2, &op))
			die(log_path, line);
		if (line[0] == 'D' && (++done, op.kind == OP_FSYNC))
			synced = done;
	}
	fclose(f);
	return synced;
}

static int command_cut(const char *dir, const char *log_path)
{
	FILE *f = fopen(log_path, "r");
	size_t synced = synced_ops(log_path);
	char line[512], piece[32], why[600] = "", why_first[600] = "";
	const char *outcome = NULL;
	struct history h = { .model = model_new() };

	if (f == NULL)
		die(log_path, strerror(errno));
	if (chdir(dir) < 0)
		die(dir, strerror(errno));
	while (outcome == NULL && fgets(line, sizeof(line), f) != NULL) {
		follow_line(&h, log_path, line);
		if (line[0] == 'B' && h.done >= synced)
			outcome = find_outcome(&h, piece, sizeof(piece), why, sizeof(why));
		if (why_first[0] == 0)
			memcpy(why_first, why, sizeof(why_first));
	}
	fclose(f);
	if (outcome == NULL && !h.open && model_matches(h.model, why, sizeof(why)))
		outcome = "all";
	if (outcome != NULL)
		printf("%zu operations were synced, %zu are there, and of the next: %s\n", synced, h.done, outcome);
	else
		printf("WRONG: no state from operation %zu on is this one\n  then: %s\n  in the end: %s\n", synced,
		       why_first, why);
	model_free(h.model);
	return outcome != NULL ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return command_write(argv[2], argv[3], argv[4]);
	if (argc == 4 && strcmp(argv[1], "check") == 0)
		return command_check(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "cut") == 0)
		return command_cut(argv[2], argv[3]);
	fprintf(stderr, "usage: crash_oracle write DIR LOG SEED | check DIR LOG | cut DIR LOG\n");
	return 2;
}
