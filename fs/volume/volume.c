/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <sys/random.h>

#include "fs/volume/internal.h"

static int super_load(struct volume *v)
{
	struct row_value value;
	struct schema_key key;
	int r;

	schema_key_super(&key);
	r = v->rows->ops->get(v->rows, row_key(&key), &value);
	if (r < 0)
		return r;
	r = schema_super_decode(value.data, value.size, &v->super);
	v->rows->ops->value_release(v->rows, &value);
	if (r == 0 && schema_super_must_not_write(&v->super) && !v->read_only)
		r = -EROFS;
	return r;
}

static int parts_load(struct volume *v)
{
	struct row_value value;
	struct schema_key key;
	uint64_t next;
	int r;

	schema_key_parts(&key);
	r = v->rows->ops->get(v->rows, row_key(&key), &value);
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	r = schema_parts_decode(value.data, value.size, &next);
	v->rows->ops->value_release(v->rows, &value);
	if (r < 0)
		return r;
	/* What was reserved and not used by the last owner is not known: go on behind it. */
	v->part_next = next;
	v->part_limit = next;
	return 0;
}

/* Somebody's key-value store without a volume must not be made into one. */
static int check_empty(struct volume *v)
{
	static const uint8_t low[1] = { 0 }, high[9] = { 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	const struct rows_ops *ops = v->rows->ops;
	struct rows_iter *it = NULL;
	int r;

	r = ops->iter_new(v->rows, (struct row_key){ low, 1 }, (struct row_key){ high, sizeof(high) }, &it);
	if (r < 0)
		return r;
	r = ops->iter_seek(it, (struct row_key){ low, 1 });
	if (r == 0 && ops->iter_valid(it))
		r = -EUCLEAN;
	ops->iter_free(it);
	return r;
}

static int super_make(struct volume *v, const struct timespec *now)
{
	uint8_t random[24];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	v->super = (struct schema_super){ .version = SCHEMA_VERSION, .created = now->tv_sec };
	memcpy(&v->super.seed, random, 8);
	memcpy(v->super.uuid, random + 8, 16);
	v->super.uuid[6] = (uint8_t)((v->super.uuid[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
	v->super.uuid[8] = (uint8_t)((v->super.uuid[8] & 0x3f) | 0x80);
	return 0;
}

static int super_put(struct change *c, const struct schema_super *super)
{
	uint8_t buf[SCHEMA_SUPER_SIZE];
	struct schema_key key;

	schema_super_encode(super, buf);
	schema_key_super(&key);
	return change_put(c, &key, buf, sizeof(buf));
}

static int root_put(struct change *c, const struct volume_options *options)
{
	struct node root = {
		.ino = VOL_ROOT,
		.i = {
			.mode = S_IFDIR | ((options->root_mode ? options->root_mode : 0755) & 07777),
			.uid = options->root_uid,
			.gid = options->root_gid,
			.nlink = 2,
			.generation = 1,
			.atime = c->now,
			.mtime = c->now,
			.ctime = c->now,
			.btime = c->now,
			.dir = { .parent = VOL_ROOT, .birth_part = SCHEMA_PART_ROOT, .birth_next = 1 },
		},
	};

	return node_put(c, &root);
}

/* The superblock, the counter and the root come in one batch: there is a whole volume or none. */
static int volume_make(struct volume *v, const struct volume_options *options)
{
	uint8_t parts[SCHEMA_PARTS_SIZE];
	struct schema_key key;
	struct change c;
	int r;

	r = check_empty(v);
	if (r < 0)
		return r;
	r = change_begin(&c, v);
	if (r < 0)
		return r;
	r = super_make(v, &c.now);
	if (r < 0)
		goto out;
	r = super_put(&c, &v->super);
	if (r < 0)
		goto out;
	schema_parts_encode(SCHEMA_PART_ROOT + 1, parts);
	schema_key_parts(&key);
	r = change_put(&c, &key, parts, sizeof(parts));
	if (r < 0)
		goto out;
	r = root_put(&c, options);
	if (r < 0)
		goto out;
	r = v->rows->ops->batch_commit(c.batch, ROWS_SYNC);
out:
	change_end(&c);
	return r;
}

/*
 * A number may come again for another file: when what gave it out was lost in a power cut, or in a copy of the store that
 * has gone its own way. So that no file handle of before leads to it, each opening has a generation of its own, which
 * in all likelihood is new. 28 bits, as it is kept in four bytes.
 */
static int choose_generation(struct volume *v)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	v->generation = (random & 0x0fffffff) | 1;
	return 0;
}

static int check_root(struct volume *v)
{
	struct node root;
	int r;

	r = node_load_dir(v, VOL_ROOT, &root);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? -EUCLEAN : r;
	node_done(&root);
	return 0;
}

static int volume_load(struct volume *v, const struct volume_options *options)
{
	int r;

	r = super_load(v);
	if (r == -ENOENT && options->create && !v->read_only) {
		r = volume_make(v, options);
		if (r == 0)
			r = super_load(v);
	}
	if (r == 0)
		r = parts_load(v);
	if (r == 0)
		r = check_root(v);
	if (r == 0)
		r = choose_generation(v);
	if (r == 0 && !v->read_only)
		r = orphans_reclaim(v);
	return r;
}

static struct volume *volume_new(struct rows *rows, bool read_only)
{
	struct volume *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->rows = rows;
	v->read_only = read_only;
	v->name_hash = schema_name_hash;
	pthread_mutex_init(&v->rename_lock, NULL);
	pthread_mutex_init(&v->part_lock, NULL);
	pthread_mutex_init(&v->super_lock, NULL);
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_rwlock_init(&v->stripes[i], NULL);
	return v;
}

static void volume_free(struct volume *v)
{
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_rwlock_destroy(&v->stripes[i]);
	pthread_mutex_destroy(&v->super_lock);
	pthread_mutex_destroy(&v->part_lock);
	pthread_mutex_destroy(&v->rename_lock);
	free(v);
}

int volume_open(struct rows *rows, const struct volume_options *options, struct volume **ret)
{
	struct volume *v;
	int r;

	v = volume_new(rows, options->read_only);
	if (!v) {
		(void)rows->ops->close(rows); /* nothing was written: its result says nothing new */
		return -ENOMEM;
	}
	r = volume_load(v, options);
	if (r == 0)
		r = atimes_start(v, options->atime, options->no_dir_atime);
	if (r < 0) {
		(void)rows->ops->close(rows);
		volume_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

int volume_close(struct volume *v)
{
	int r = 0, closed;

	if (!v)
		return 0;
	atimes_stop(v);
	if (!v->read_only)
		r = v->rows->ops->sync(v->rows);
	closed = v->rows->ops->close(v->rows);
	volume_free(v);
	return r < 0 ? r : closed;
}

/* A batch of its own: what needs the feature may be committed by somebody else before the caller's. */
static int feature_add(struct volume *v, uint64_t feature)
{
	struct schema_super super = v->super;
	struct change c;
	int r;

	super.features_incompat |= feature;
	r = change_begin(&c, v);
	if (r < 0)
		return r;
	r = super_put(&c, &super);
	if (r == 0)
		r = change_commit(&c);
	if (r == 0)
		v->super.features_incompat = super.features_incompat;
	change_end(&c);
	return r;
}

int volume_need_feature(struct volume *v, uint64_t feature)
{
	int r = 0;

	pthread_mutex_lock(&v->super_lock);
	if (!(v->super.features_incompat & feature))
		r = feature_add(v, feature);
	pthread_mutex_unlock(&v->super_lock);
	return r;
}

int volume_sync(struct volume *v)
{
	return v->read_only ? 0 : v->rows->ops->sync(v->rows);
}

int volume_statfs(struct volume *v, struct vol_statfs *ret)
{
	struct rows_space space;
	int r;

	r = v->rows->ops->space(v->rows, &space);
	if (r < 0)
		return r;
	*ret = (struct vol_statfs){
		.total_bytes = space.total_bytes,
		.free_bytes = space.free_bytes,
		.available_bytes = space.available_bytes,
		.files = 0, /* not counted, nor limited: that would cost a row for each birth and death */
	};
	return 0;
}

int volume_checkpoint(struct volume *v, const char *dir)
{
	return v->rows->ops->checkpoint ? v->rows->ops->checkpoint(v->rows, dir) : -EOPNOTSUPP;
}

char *volume_stats_text(struct volume *v)
{
	return v->rows->ops->stats_text(v->rows);
}
