/* SPDX-License-Identifier: MIT */
#include "lsm/base/text.h"

#include <stdarg.h>
#include <stdio.h>

void text_add(struct buf *b, const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n > 0)
		buf_append(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void text_add_bytes(struct buf *b, struct lsm_slice bytes, size_t max)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes.data;
	size_t n = bytes.size < max ? bytes.size : max;

	for (size_t i = 0; i < n; i++) {
		const char hex[4] = { '\\', 'x', digits[p[i] >> 4], digits[p[i] & 15] };

		if (p[i] == '\\')
			buf_append(b, "\\\\", 2);
		else if (p[i] >= ' ' && p[i] <= '~')
			buf_append(b, p + i, 1);
		else
			buf_append(b, hex, sizeof(hex));
	}
	if (n < bytes.size)
		text_add(b, "...(%zu bytes)", bytes.size);
}

char *text_finish(struct buf *b)
{
	char *text;

	buf_append(b, "", 1);
	if (b->failed) {
		buf_free(b);
		return NULL;
	}
	text = (char *)b->data;
	*b = (struct buf){ 0 };
	return text;
}
