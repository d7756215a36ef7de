/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_TEXT_H
#define LSM_TREE_TEXT_H
/* text - tables, edits and versions for people: the log, the dump and the statistics show them alike. */
#include "lsm/base/text.h"
#include "lsm/tree/version.h"

/* Without a newline at the end; edits have a line for each change, joined by newlines. */
void table_props_to_text(const struct table_props *p, struct buf *ret);
void edit_to_text(const struct edit *e, struct buf *ret);
void version_to_text(const struct version *v, struct buf *ret);

#endif
