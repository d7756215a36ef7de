/* SPDX-License-Identifier: MIT */
/* The file OPTIONS: what shapes the store's files stays as it was asked for; docs/FORMATS.md has the lines. */
#include <errno.h>
#include <stdio.h>

#include "lsm/base/checksum.h"
#include "lsm/base/text.h"
#include "lsm/store/options.h"

#define FILE_NAME "OPTIONS"
#define HEAD "lsm options "
#define HEAD_LINE HEAD "1"
#define TAIL "checksum "
enum { BYTES_MAX = 64 << 10, TAIL_BYTES = sizeof(TAIL) - 1 + 8 + 1 };

static int damaged(const char *path, const char *why)
{
	return status_corrupt(path, 0,
			      "%s %s. It can be deleted without harm to data: options are then the defaults, where an "
			      "open doesn't give them",
			      path, why);
}

static int unknown(const char *path, struct lsm_slice line)
{
	return status_set(LSM_UNSUPPORTED, 0, path, 0,
			  "%s says '%.*s', which this version (%s) doesn't know. Nothing was changed", path,
			  (int)line.size, (const char *)line.data, lsm_version());
}

/* Takes a line off the front. */
static bool next_line(struct lsm_slice *text, struct lsm_slice *ret)
{
	const char *p = text->data, *end = text->size ? memchr(p, '\n', text->size) : NULL;

	if (!end)
		return false;
	*ret = slice_of(p, (size_t)(end - p));
	*text = slice_of(end + 1, text->size - ret->size - 1);
	return true;
}

int options_parse_line(struct lsm_slice line, const char *path, struct lsm_options *ret)
{
	const char *p = line.data, *equals = memchr(p, '=', line.size);
	const struct option *o = equals ? option_find(slice_of(p, (size_t)(equals - p))) : NULL;

	if (!o || !o->kept || !option_parse(o, slice_of(equals + 1, (size_t)(p + line.size - (equals + 1))), ret))
		return unknown(path, line);
	return LSM_OK;
}

static int parse(struct lsm_slice text, const char *path, struct lsm_options *ret)
{
	char tail[TAIL_BYTES + 1];
	struct lsm_slice line;
	int rc = LSM_OK;

	if (text.size < TAIL_BYTES || text.size > BYTES_MAX)
		return damaged(path, "has a size that can't be right");
	text.size -= TAIL_BYTES;
	snprintf(tail, sizeof(tail), TAIL "%08x\n", checksum32(text.data, text.size, 0));
	if (memcmp((const char *)text.data + text.size, tail, TAIL_BYTES))
		return damaged(path, "has a wrong checksum");
	if (!next_line(&text, &line) || line.size < sizeof(HEAD) || memcmp(line.data, HEAD, sizeof(HEAD) - 1))
		return damaged(path, "doesn't begin with '" HEAD "'");
	if (!slice_equal(line, slice_of(HEAD_LINE, sizeof(HEAD_LINE) - 1)))
		return unknown(path, line);
	while (!rc && next_line(&text, &line))
		rc = options_parse_line(line, path, ret);
	return rc;
}

static int read_all(struct env_file *f, struct buf *ret)
{
	size_t got;
	int rc;

	buf_reserve(ret, BYTES_MAX + 1); /* one more than it may have */
	if (ret->failed)
		return status_no_memory(BYTES_MAX + 1);
	rc = file_read(f, 0, ret->data, BYTES_MAX + 1, &got);
	ret->size = rc ? 0 : got;
	return rc;
}

int options_load(struct env *env, const char *dir, struct lsm_options *ret)
{
	char *path = env_path(dir, FILE_NAME);
	struct lsm_options options = { 0 };
	struct lsm_error last = *lsm_last_error();
	struct env_file *f = NULL;
	struct buf text = { 0 };
	int rc;

	if (!path)
		return status_no_memory(strlen(dir));
	rc = env_open(env, path, ENV_OPEN_READ, &f);
	if (!rc) {
		rc = read_all(f, &text);
		if (!rc)
			rc = parse(buf_slice(&text), path, &options);
	} else if (lsm_last_error()->sys_errno == ENOENT) {
		status_adopt(&last);
		rc = LSM_OK;
	}
	file_close(f);
	buf_free(&text);
	free(path);
	if (!rc)
		*ret = options;
	return rc;
}

void options_add_lines(const struct lsm_options *options, const char *prefix, struct buf *ret)
{
	const struct option *o;

	for (size_t i = 0; (o = option_at(i)); i++) {
		if (!o->kept || !option_is_given(o, options))
			continue;
		text_add(ret, "%s%s=", prefix, o->name);
		option_to_text(o, options, ret);
		text_add(ret, "\n");
	}
}

static void compose(const struct lsm_options *options, struct buf *ret)
{
	text_add(ret, HEAD_LINE "\n");
	options_add_lines(options, "", ret);
	if (!ret->failed)
		text_add(ret, TAIL "%08x\n", checksum32(ret->data, ret->size, 0));
}

int options_store(struct env *env, const char *dir, const struct lsm_options *given, const struct lsm_options *stored)
{
	struct lsm_options merged = *stored;
	struct buf before = { 0 }, after = { 0 };
	const struct option *o;
	bool unknown_state;
	int rc = LSM_OK;

	for (size_t i = 0; (o = option_at(i)); i++) {
		for (unsigned k = 0; o->kept && k < option_elements(o); k++) {
			if (option_get(o, given, k))
				option_set(o, &merged, k, option_get(o, given, k));
		}
	}
	compose(stored, &before);
	compose(&merged, &after);
	if (before.failed || after.failed)
		rc = status_no_memory(after.size);
	else if (!slice_equal(buf_slice(&before), buf_slice(&after)))
		rc = env_replace_file(env, dir, FILE_NAME, after.data, after.size, &unknown_state);
	buf_free(&before);
	buf_free(&after);
	return rc;
}
