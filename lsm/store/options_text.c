/* SPDX-License-Identifier: MIT */
/* Options as text, in both directions. */
#include "lsm/base/text.h"
#include "lsm/store/options.h"

/* ---- to text ---- */

static void number_to_text(const struct option *o, uint64_t v, struct buf *ret)
{
	static const char units[] = "KMGT";
	unsigned unit = 0;

	while (o->kind == OPTION_SIZE && unit < sizeof(units) - 1 && v && v % 1024 == 0) {
		v /= 1024;
		unit++;
	}
	text_add(ret, "%llu", (unsigned long long)v);
	if (unit)
		buf_append(ret, &units[unit - 1], 1);
}

/* A value as given or resolved: the two differ in what stands for none, and only as given is 0 the default. */
static void value_to_text(const struct option *o, uint64_t v, struct buf *ret)
{
	if (o->none && (!v || v == UINT32_MAX))
		text_add(ret, "none");
	else if (!v && o->min)
		text_add(ret, "default");
	else if (o->kind == OPTION_WORD && option_in_range(o, v))
		text_add(ret, "%s", o->words[v - 1]);
	else
		number_to_text(o, v, ret);
}

void option_to_text(const struct option *o, const struct lsm_options *options, struct buf *ret)
{
	unsigned n = option_elements(o);

	/* The last element stands for all behind it. */
	while (n > 1 && option_get(o, options, n - 1) == option_get(o, options, n - 2))
		n--;
	for (unsigned k = 0; k < n; k++) {
		if (k)
			text_add(ret, ",");
		value_to_text(o, option_get(o, options, k), ret);
	}
}

void option_range_to_text(const struct option *o, struct buf *ret)
{
	if (o->kind == OPTION_WORD) {
		for (uint64_t i = 0; o->words[i]; i++)
			text_add(ret, "%s%s", i ? ", " : "", o->words[i]);
		return;
	}
	text_add(ret, "from ");
	number_to_text(o, o->min, ret);
	text_add(ret, " to ");
	number_to_text(o, o->max, ret);
	if (o->none)
		text_add(ret, ", or none");
}

/* ---- from text ---- */

static bool word_is(struct lsm_slice text, const char *word)
{
	return slice_equal(text, slice_of(word, strlen(word)));
}

/* Digits, and for a size K, M, G or T behind them. */
static bool number_parse(struct lsm_slice text, bool is_size, uint64_t *ret)
{
	static const char units[] = "KMGTkmgt";
	const char *p = text.data, *unit;
	uint64_t v = 0;
	size_t i = 0;

	for (; i < text.size && p[i] >= '0' && p[i] <= '9'; i++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	if (!i)
		return false;
	if (is_size && i + 1 == text.size && (unit = memchr(units, p[i], sizeof(units) - 1))) {
		unsigned shift = 10 * ((unsigned)(unit - units) % 4 + 1);

		if (v > UINT64_MAX >> shift)
			return false;
		v <<= shift;
		i++;
	}
	*ret = v;
	return i == text.size;
}

static bool value_parse(const struct option *o, struct lsm_slice text, uint64_t *ret)
{
	uint64_t v;

	if (word_is(text, "default")) {
		*ret = 0;
		return true;
	}
	for (uint64_t i = 0; o->kind == OPTION_WORD && o->words[i]; i++) {
		if (word_is(text, o->words[i])) {
			*ret = i + 1;
			return true;
		}
	}
	if (o->none && (word_is(text, "none") || word_is(text, "0"))) {
		*ret = UINT32_MAX;
		return true;
	}
	if (o->kind == OPTION_WORD || !number_parse(text, o->kind == OPTION_SIZE, &v) || !option_in_range(o, v))
		return false;
	*ret = v;
	return true;
}

bool option_parse(const struct option *o, struct lsm_slice text, struct lsm_options *ret)
{
	struct lsm_options parsed = *ret;
	const char *at = text.data, *end = at + text.size;
	uint64_t v = 0;

	for (unsigned k = 0; k < option_elements(o); k++) {
		const char *comma = o->each_level ? memchr(at, ',', (size_t)(end - at)) : NULL;
		const char *stop = comma ? comma : end;

		if (at <= end && !value_parse(o, slice_of(at, (size_t)(stop - at)), &v))
			return false;
		option_set(o, &parsed, k, v);
		at = comma ? comma + 1 : end + 1;
		if (!comma) {
			while (++k < option_elements(o))
				option_set(o, &parsed, k, v);
			break;
		}
	}
	if (at <= end)
		return false;
	*ret = parsed;
	return true;
}

/* ---- names ---- */

enum { NAME_MAX_BYTES = 31 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to insert, to leave out or to replace (V. Levenshtein, 1966), one row of the table at a time. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_BYTES + 1];
	size_t n = strlen(b);

	for (size_t k = 0; k <= n; k++)
		row[k] = (unsigned)k;
	for (size_t i = 1; a[i - 1]; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= n; k++) {
			unsigned changed = diagonal + (a[i - 1] != b[k - 1]);

			diagonal = row[k];
			row[k] = least(changed, least(row[k], row[k - 1]) + 1);
		}
	}
	return row[n];
}

/* NULL: none is near. */
static const char *nearest_name(const char *name)
{
	unsigned best = (unsigned)strlen(name) / 2 + 1;
	const char *found = NULL;
	const struct option *o;

	for (size_t i = 0; (o = option_at(i)); i++) {
		unsigned d = strlen(o->name) <= NAME_MAX_BYTES ? distance(name, o->name) : best;

		if (d < best) {
			best = d;
			found = o->name;
		}
	}
	return found;
}

static int refuse_value(const struct option *o, const char *value)
{
	struct buf range = { 0 };
	int rc;

	option_range_to_text(o, &range);
	rc = status_set(LSM_INVALID, 0, NULL, 0, "option %s can't be '%s'; it must be %.*s", o->name, value,
			(int)range.size, (const char *)range.data);
	buf_free(&range);
	return rc;
}

int lsm_options_set(struct lsm_options *options, const char *name, const char *value)
{
	const struct option *o = option_find(slice_of(name, strlen(name)));
	const char *near;

	if (!o) {
		near = nearest_name(name);
		return status_set(LSM_INVALID, 0, NULL, 0, "there is no option '%s'%s%s%s", name,
				  near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	return option_parse(o, slice_of(value, strlen(value)), options) ? LSM_OK : refuse_value(o, value);
}

/* ---- the table ---- */

/* Ends a column of `width` that began at byte `start`. */
static void pad(struct buf *t, size_t start, size_t width)
{
	do {
		buf_append(t, " ", 1);
	} while (!t->failed && t->size - start < width);
}

static void standard_to_text(const struct option *o, struct buf *ret)
{
	if (o->standard_text)
		text_add(ret, "%s", o->standard_text);
	else
		value_to_text(o, o->standard, ret);
}

enum { NAME_WIDTH = 26, VALUE_WIDTH = 33, DEFAULT_WIDTH = 22, RANGE_WIDTH = 24, KEPT_WIDTH = 5 };

static void row_to_text(const struct option *o, const struct lsm_options *resolved, struct buf *t)
{
	size_t at = t->size;

	text_add(t, "%s", o->name);
	pad(t, at, NAME_WIDTH);
	at = t->size;
	option_to_text(o, resolved, t);
	pad(t, at, VALUE_WIDTH);
	at = t->size;
	standard_to_text(o, t);
	pad(t, at, DEFAULT_WIDTH);
	at = t->size;
	option_range_to_text(o, t);
	pad(t, at, RANGE_WIDTH);
	at = t->size;
	text_add(t, o->kept ? "yes" : "-");
	pad(t, at, KEPT_WIDTH);
	text_add(t, "%s\n", o->meaning);
}

char *lsm_options_text(const struct lsm_options *options)
{
	struct lsm_options resolved = { 0 };
	const struct option *o;
	struct buf t = { 0 };

	if (options_resolve(options, NULL, &resolved))
		return NULL;
	text_add(&t, "%-*s%-*s%-*s%-*s%-*s%s\n", NAME_WIDTH, "name", VALUE_WIDTH, "value", DEFAULT_WIDTH, "default",
		 RANGE_WIDTH, "range", KEPT_WIDTH, "kept", "meaning");
	for (size_t i = 0; (o = option_at(i)); i++)
		row_to_text(o, &resolved, &t);
	return text_finish(&t);
}
