/* SPDX-License-Identifier: MIT */
#ifndef LSM_BASE_TEXT_H
#define LSM_BASE_TEXT_H
/* text - lines for people, composed in a buf. */
#include "lsm/base/slice.h"

/* Appends as printf would, up to 1,023 bytes. */
void text_add(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends bytes so that they fit on a line: other than printing ASCII is "\xNN", a backslash "\\". Cut after `max`
 * bytes, with "..." and the whole size behind it. */
void text_add_bytes(struct buf *b, struct lsm_slice bytes, size_t max);

/* Ends the text with a NUL and hands it over, to be freed with free(). NULL: no memory; nothing is left of it. */
char *text_finish(struct buf *b);

#endif
