/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_DUMP_H
#define LSM_STORE_DUMP_H
/* dump - what the printers of the kinds of files share: lines, and what is damaged. */
#include "lsm/base/text.h"
#include "lsm/env/env.h"
#include "lsm/format/ikey.h"

enum { DUMP_SHOWN_BYTES = 48 }; /* of a key or a value, unless LSM_DUMP_FULL */

struct dump {
	struct env *env;
	const char *path;
	uint64_t number; /* of the file by its name; 0: not known */
	uint32_t flags;  /* LSM_DUMP_* */
	int (*line)(void *ctx, const char *text);
	void *ctx;
	struct buf text;        /* the line that is being composed */
	uint64_t damaged;       /* places */
	struct lsm_error first; /* of them */
};

/* Hands the composed line over. A non-zero code of the caller's function ends the dump. */
int dump_line(struct dump *d);
/* Hands over what is in the text as lines, each with `indent` in front. */
int dump_lines(struct dump *d, const char *indent);
/* lsm_last_error() tells of damage: a line says so, and the dump goes on. */
int dump_damage(struct dump *d);
/* Adds a key, or a value, to the line as the flags say. */
void dump_bytes(struct dump *d, struct lsm_slice bytes);
/* Adds an entry: its type, key and value. */
void dump_entry(struct dump *d, struct lsm_slice key, uint64_t type, struct lsm_slice value);

int dump_wal(struct dump *d);
int dump_table(struct dump *d);
int dump_manifest(struct dump *d);
int dump_blob(struct dump *d);
int dump_text(struct dump *d);

#endif
