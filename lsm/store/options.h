/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_OPTIONS_H
#define LSM_STORE_OPTIONS_H
/*
 * options - one table of all that can be set: defaults, checks, parser, text, the store's file OPTIONS and docs/OPTIONS.md
 * come from it. To add an option: a field in struct lsm_options, of which 0 is the default, and a row in options.c.
 */
#include "lsm/base/slice.h"
#include "lsm/env/env.h"

enum option_kind { OPTION_NUMBER, OPTION_SIZE, OPTION_WORD };

struct option {
	const char *name;
	size_t offset, bytes; /* of the field in struct lsm_options */
	enum option_kind kind;
	bool each_level;   /* the field is an array, one element a level */
	bool none;         /* "none" can be asked for: UINT32_MAX in the field as given, 0 once it is resolved */
	bool kept;         /* stored beside the data: it shapes the files */
	uint64_t standard; /* the default, unless */
	uint64_t (*compute)(const struct lsm_options *o, unsigned level); /* it depends on options further up, */
	const char *standard_text;                                        /* which reads so */
	uint64_t min, max;
	const char *const *words; /* of OPTION_WORD: the value's words from 1 on, NULL behind the last */
	const char *meaning;
};

/* Row `i` of the table; NULL behind the last. */
const struct option *option_at(size_t i);
/* NULL: there is none of that name. */
const struct option *option_find(struct lsm_slice name);
/* Elements of the field. */
unsigned option_elements(const struct option *o);
uint64_t option_get(const struct option *o, const struct lsm_options *options, unsigned element);
void option_set(const struct option *o, struct lsm_options *options, unsigned element, uint64_t value);
/* Is any element of the field something else than 0? */
bool option_is_given(const struct option *o, const struct lsm_options *options);

/* The greatest value, in numbers or words. */
uint64_t option_max(const struct option *o);
bool option_in_range(const struct option *o, uint64_t value);

/* "64M", "10", "lz4,zstd": what option_parse() reads. "default" is 0. */
void option_to_text(const struct option *o, const struct lsm_options *options, struct buf *ret);
/* "from 4M to 256T" */
void option_range_to_text(const struct option *o, struct buf *ret);
/* False: the text is no value of the option; *ret is as it was. */
bool option_parse(const struct option *o, struct lsm_slice text, struct lsm_options *ret);

/*
 * Fills in what `given` (may be NULL) leaves at 0: kept options from `stored` (may be NULL), then the defaults; checks
 * all. LSM_INVALID names the option.
 */
int options_resolve(const struct lsm_options *given, const struct lsm_options *stored, struct lsm_options *ret);

/* The kept options of the store in `dir`, as its file OPTIONS has them; all 0 when there is none. LSM_CORRUPT, LSM_IO,
 * LSM_UNSUPPORTED when a newer version wrote it, LSM_NO_MEMORY. */
int options_load(struct env *env, const char *dir, struct lsm_options *ret);
/* Makes what `given` says, and `stored` where it says nothing, the stored options, if that is a change. */
int options_store(struct env *env, const char *dir, const struct lsm_options *given, const struct lsm_options *stored);
/* Adds a line "NAME=VALUE" for each kept option that is given, and for no other: a later version may have better defaults.
 * `prefix` begins each line. */
void options_add_lines(const struct lsm_options *options, const char *prefix, struct buf *ret);
/* Takes one such line, without prefix and end. LSM_UNSUPPORTED: this version doesn't know it; `path` says where it stood. */
int options_parse_line(struct lsm_slice line, const char *path, struct lsm_options *ret);

#endif
