/* SPDX-License-Identifier: MIT */
/* volume_check(): what there is, then names, then all other rows, then what must add up. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/schema/coding.h"
#include "fs/volume/check_internal.h"

/* ---- finds ---- */

int check_find(struct volume_check *c, struct volume_find find, const char *format, ...)
{
	char what[512];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	c->path[0] = 0;
	if (find.ino || find.dir)
		check_path(c, find.ino, find.dir, find.name, find.name_size);
	find.path = c->path;
	find.what = what;
	c->sums.finds++;
	return c->options->find ? c->options->find(c->options->ctx, &find) : 0;
}

/* ---- rows ---- */

int check_key_compare(struct row_key a, struct row_key b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int r = n ? memcmp(a.data, b.data, n) : 0;

	return r ? r : a.size < b.size ? -1 : a.size > b.size;
}

bool check_unreadable(const struct volume_check *c, struct row_key begin, struct row_key end)
{
	for (size_t i = 0; i < c->options->unreadable_n; i++) {
		const struct volume_range *u = &c->options->unreadable[i];

		if (check_key_compare(u->begin, end) < 0 && (!u->end.size || check_key_compare(begin, u->end) < 0))
			return true;
	}
	return false;
}

/* The first of the ranges known to be unreadable that ends behind `at`. */
static const struct volume_range *range_behind(const struct volume_check *c, struct row_key at)
{
	for (size_t i = 0; i < c->options->unreadable_n; i++) {
		const struct volume_range *u = &c->options->unreadable[i];

		if (!u->end.size || check_key_compare(at, u->end) < 0)
			return u;
	}
	return NULL;
}

/* Whose row has this key: 0 if that can't be told. */
static vol_ino ino_of_key(struct row_key key)
{
	const uint8_t *p = key.data;

	if (key.size < 9 || get_be64(p) - 1 >= SCHEMA_PART_END - 1)
		return 0;
	if (key.size < 13 || p[8] == 'd' || p[9])
		return schema_ino(get_be64(p), 0);
	return schema_ino(get_be64(p), (uint32_t)p[10] << 16 | (uint32_t)p[11] << 8 | p[12]);
}

/* The walk can't go on at `at`: where is it to be taken up again? At *at, or nowhere. 0 or what ends the check. */
static int pass_over(struct volume_check *c, struct schema_key *at, struct row_key end, bool told, bool *ret_again)
{
	const struct volume_range *u = range_behind(c, row_key(at));
	int r = 0;

	c->sums.passed_over = true;
	if (told)
		r = check_find(c,
			       (struct volume_find){ .kind = VOLUME_FIND_UNREADABLE,
						     .ino = ino_of_key(u ? u->begin : row_key(at)),
						     .begin = u ? u->begin : (struct row_key){ 0 },
						     .end = u ? u->end : (struct row_key){ 0 } },
			       u ? "its rows, or those of what was made after it, can't be read"
				 : "rows from here on can't be read, and where the next ones are isn't known");
	if (r)
		return r;
	if (!u || !u->end.size || u->end.size > sizeof(at->data) || check_key_compare(u->end, end) >= 0)
		return 0;
	memcpy(at->data, u->end.data, u->end.size);
	at->size = u->end.size;
	*ret_again = true;
	return 0;
}

static int progress(struct volume_check *c)
{
	enum { STEP_ROWS = 1024 };

	c->done_rows++;
	if (!c->options->progress || c->done_rows % STEP_ROWS)
		return 0;
	return c->options->progress(c->options->ctx, c->done_rows, c->total_rows);
}

static void key_set(struct schema_key *key, struct row_key k)
{
	key->size = k.size < sizeof(key->data) ? k.size : sizeof(key->data);
	memcpy(key->data, k.data, key->size);
}

/* From `at` on; the last key that was met is left there. */
static int walk_on(struct volume_check *c, struct rows_iter *it, struct schema_key *at,
		   int (*fn)(struct volume_check *c, struct rows_iter *it, void *ctx), void *ctx, int *ret_code)
{
	int r = c->ops->iter_seek(it, row_key(at)), code = 0;

	while (r == 0 && code == 0 && c->ops->iter_valid(it)) {
		key_set(at, c->ops->iter_key(it));
		code = progress(c);
		if (code == 0)
			code = fn(c, it, ctx);
		if (code == 0)
			r = c->ops->iter_next(it);
	}
	*ret_code = code;
	return r;
}

int check_walk(struct volume_check *c, struct row_key begin, struct row_key end, bool told,
	       int (*fn)(struct volume_check *c, struct rows_iter *it, void *ctx), void *ctx)
{
	struct rows_iter *it = NULL;
	struct schema_key at;
	int r, code = 0;
	bool again;

	key_set(&at, begin);
	r = c->ops->iter_new(c->rows, begin, end, &it);
	if (r < 0)
		return r;
	do {
		again = false;
		r = walk_on(c, it, &at, fn, ctx, &code);
		if (code == 0 && r == -EIO)
			code = pass_over(c, &at, end, told, &again);
	} while (again);
	c->ops->iter_free(it);
	if (code)
		return code;
	return r == -EIO ? 0 : r;
}

/* ---- inodes ---- */

struct check_inode *check_inode_of(struct volume_check *c, vol_ino ino)
{
	size_t low = 0, high = c->inodes_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->inodes[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->inodes_n && c->inodes[low].ino == ino ? &c->inodes[low] : NULL;
}

static int inode_decode(const void *data, size_t size, vol_ino ino, struct schema_inode *ret)
{
	int r = schema_inode_decode(data, size, ret);

	return r == 0 && S_ISDIR(ret->mode) != is_dir_ino(ino) ? -EUCLEAN : r;
}

int check_inode_load(struct volume_check *c, vol_ino ino, struct schema_inode *ret, struct row_value *ret_value)
{
	struct schema_key key;
	int r;

	schema_key_inode(&key, ino);
	r = c->ops->get(c->rows, row_key(&key), ret_value);
	if (r < 0)
		return r;
	r = inode_decode(ret_value->data, ret_value->size, ino, ret);
	if (r < 0)
		c->ops->value_release(c->rows, ret_value);
	return r;
}

/* Room for one more element of an array. */
static int grow(void **array, size_t n, size_t *capacity, size_t element)
{
	size_t more = *capacity ? *capacity + *capacity / 2 : 256;
	void *p;

	if (n < *capacity)
		return 0;
	p = realloc(*array, more * element);
	if (!p)
		return -ENOMEM;
	*array = p;
	*capacity = more;
	return 0;
}

static int birth_add(struct volume_check *c, vol_ino dir, const struct schema_inode *i)
{
	int r = grow((void **)&c->births, c->births_n, &c->births_capacity, sizeof(*c->births));

	if (r == 0)
		c->births[c->births_n++] = (struct check_birth){ i->dir.birth_part, i->dir.birth_next, dir };
	return r;
}

static void count_type(struct volume_checked *sums, uint32_t mode)
{
	sums->files += S_ISREG(mode);
	sums->directories += S_ISDIR(mode);
	sums->others += !S_ISREG(mode) && !S_ISDIR(mode);
}

static int inode_add(struct volume_check *c, vol_ino ino, const struct schema_inode *i)
{
	struct check_inode n = { .ino = ino, .flags = SEEN_DAMAGED };
	int r = c->inodes_n < UINT32_MAX
			? grow((void **)&c->inodes, c->inodes_n, &c->inodes_capacity, sizeof(*c->inodes))
			: -ENOMEM;

	if (r < 0)
		return r;
	if (i) {
		n.nlink = i->nlink;
		n.type = (uint8_t)(i->mode >> 12);
		n.flags = i->xattrs ? WANTS_XATTRS : 0;
		if (S_ISREG(i->mode) && !i->file.inlined && i->file.allocated_bytes)
			n.flags |= WANTS_EXTENTS;
		count_type(&c->sums, i->mode);
		if (S_ISDIR(i->mode) && i->dir.birth_part != schema_ino_part(ino))
			r = birth_add(c, ino, i);
	}
	c->inodes[c->inodes_n++] = n;
	return r;
}

static int inode_met(struct volume_check *c, struct rows_iter *it, void *ctx)
{
	struct row_key key = c->ops->iter_key(it), value;
	const uint8_t *p = key.data;
	struct schema_inode i;
	vol_ino ino;
	int r;

	(void)ctx;
	c->sums.rows++;
	if (key.size != 8 + 1 + 4 || p[8] != 'i' || get_be64(p) - 1 >= SCHEMA_PART_END - 1 || p[9])
		return 0;
	ino = schema_ino(get_be64(p), (uint32_t)p[10] << 16 | (uint32_t)p[11] << 8 | p[12]);
	r = c->ops->iter_value(it, &value);
	if (r == 0)
		r = inode_decode(value.data, value.size, ino, &i);
	if (r < 0 && r != -EIO && r != -EUCLEAN)
		return r;
	return inode_add(c, ino, r < 0 ? NULL : &i);
}

/* ---- superblock and counter ---- */

/* One that can't be read leaves most to be looked at; of what isn't there, or has another version, there is nothing to say. */
static int check_super(struct volume_check *c)
{
	struct row_value value;
	struct schema_key key;
	int r, code;

	schema_key_super(&key);
	r = c->ops->get(c->rows, row_key(&key), &value);
	if (r == 0) {
		r = schema_super_decode(value.data, value.size, &c->super);
		c->ops->value_release(c->rows, &value);
	}
	c->has_super = r == 0;
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return r;
	code = check_find(c, (struct volume_find){ .kind = VOLUME_FIND_SUPER, .begin = row_key(&key) }, "%s",
			  r == -ENOENT    ? "there is no superblock: this is no volume, or what told so is lost"
			  : r == -EUCLEAN ? "the superblock is damaged, or of a later version"
					  : "the superblock can't be read");
	return code ? code : r == -EIO ? 0 : -EUCLEAN;
}

static int check_counter(struct volume_check *c)
{
	struct row_value value;
	struct schema_key key;
	uint64_t next = 0;
	int r;

	schema_key_parts(&key);
	r = c->ops->get(c->rows, row_key(&key), &value);
	if (r == 0) {
		r = schema_parts_decode(value.data, value.size, &next);
		c->ops->value_release(c->rows, &value);
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return check_find(c,
				  (struct volume_find){ .kind = VOLUME_FIND_COUNTER,
							.right = c->part_max + 1,
							.begin = row_key(&key) },
				  "the counter of parts is missing or damaged");
	if (next <= c->part_max)
		return check_find(c,
				  (struct volume_find){ .kind = VOLUME_FIND_COUNTER,
							.right = c->part_max + 1,
							.begin = row_key(&key) },
				  "the counter of parts is at %llu, but part %llu is in use", (unsigned long long)next,
				  (unsigned long long)c->part_max);
	return 0;
}

static int check_root(struct volume_check *c)
{
	const struct check_inode *root = check_inode_of(c, VOL_ROOT);

	if (root && !(root->flags & SEEN_DAMAGED) && root->nlink)
		return 0;
	return check_find(c, (struct volume_find){ .kind = VOLUME_FIND_SUPER, .ino = VOL_ROOT },
			  "the root directory is missing or damaged");
}

/* ---- all of it ---- */

static int check_all(struct volume_check *c)
{
	static const uint8_t low[1] = { 0 }, high[10] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	int r = check_super(c);

	if (r == 0)
		r = check_walk(c, (struct row_key){ low, 1 }, (struct row_key){ high, sizeof(high) }, false, inode_met,
			       NULL);
	c->total_rows = c->sums.rows * 3; /* each is met once more, and most of a directory's a third time */
	if (r == 0)
		r = check_root(c);
	if (r == 0)
		r = check_names(c);
	if (r == 0)
		r = check_rows(c);
	if (r == 0)
		r = check_counter(c);
	if (r == 0 && !c->sums.passed_over)
		r = check_links(c);
	return r;
}

int volume_check(struct rows *rows, const struct volume_check_options *options, struct volume_checked *ret)
{
	struct volume_check *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->rows = rows;
	c->ops = rows->ops;
	c->options = options;
	r = check_all(c);
	if (r == 0 && options->progress)
		r = options->progress(options->ctx, c->total_rows, c->total_rows);
	*ret = c->sums;
	free(c->inodes);
	free(c->births);
	free(c);
	return r;
}
