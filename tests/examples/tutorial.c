/* SPDX-License-Identifier: MIT */
/* tutorial - a small inventory kept in an lsm store: see docs/TUTORIAL.md. */
#include <lsm/lsm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every call that can fail returns a code; lsm_last_error() has the sentence, the file and the place. */
static void check(int code, const char *doing)
{
	if (code == LSM_OK)
		return;
	fprintf(stderr, "tutorial: %s: %s\n", doing, lsm_last_error()->message);
	exit(1);
}

/* Keys and values are bytes: a slice borrows them from whoever owns them. */
static struct lsm_slice text(const char *s)
{
	return (struct lsm_slice){ s, strlen(s) };
}

static void print_slice(struct lsm_slice s)
{
	printf("%.*s", (int)s.size, (const char *)s.data);
}

static void print_stock(struct lsm_db *db, const struct lsm_snapshot *snapshot, const char *item)
{
	struct lsm_value value = { 0 };
	int code = lsm_get(db, snapshot, text(item), &value);

	if (code == LSM_NOT_FOUND) {
		printf("%s: none\n", item);
		return;
	}
	check(code, "get");
	printf("%s: %.*s\n", item, (int)value.size, (const char *)value.data);
	lsm_value_release(&value);
}

/* All keys of one shelf, in order: a range of the key space. '0' is the character behind '/'. */
static void print_shelf(struct lsm_db *db, const char *lower, const char *upper)
{
	const struct lsm_iter_options range = { .lower = text(lower), .upper = text(upper) };
	struct lsm_iter *iter;
	struct lsm_slice value;

	check(lsm_iter_new(db, &range, &iter), "iterate");
	for (lsm_iter_seek_first(iter); lsm_iter_valid(iter); lsm_iter_next(iter)) {
		check(lsm_iter_value(iter, &value), "read");
		print_slice(lsm_iter_key(iter));
		printf(" = ");
		print_slice(value);
		printf("\n");
	}
	check(lsm_iter_status(iter), "iterate"); /* did it end, or fail? */
	lsm_iter_free(iter);
}

/* Several changes that are done together, or not at all, and are on the disk when this returns. */
static void move_to_tools(struct lsm_db *db)
{
	struct lsm_batch *batch;

	check(lsm_batch_new(db, &batch), "batch");
	check(lsm_batch_delete(batch, text("garden/rake")), "batch");
	check(lsm_batch_put(batch, text("tools/rake"), text("2")), "batch");
	check(lsm_write(db, batch, LSM_WRITE_SYNC), "write");
	lsm_batch_free(batch);
}

int main(int argc, char **argv)
{
	const struct lsm_options options = { .flags = LSM_OPEN_CREATE };
	struct lsm_snapshot *before;
	struct lsm_stats stats;
	struct lsm_db *db;

	if (argc != 2) {
		fprintf(stderr, "usage: tutorial DIRECTORY\n");
		return 2;
	}
	check(lsm_open(argv[1], &options, &db), "open");

	check(lsm_put(db, text("garden/rake"), text("2"), 0), "put");
	check(lsm_put(db, text("garden/spade"), text("5"), 0), "put");
	check(lsm_put(db, text("tools/hammer"), text("7"), 0), "put");
	check(lsm_put(db, text("garden/spade"), text("4"), 0), "put");
	print_stock(db, NULL, "garden/spade");
	print_stock(db, NULL, "garden/hose");

	check(lsm_snapshot_new(db, &before), "snapshot");
	move_to_tools(db);
	print_shelf(db, "tools/", "tools0");
	print_stock(db, before, "garden/rake"); /* as it was */
	print_stock(db, NULL, "garden/rake");   /* as it is */
	lsm_snapshot_free(db, before);

	check(lsm_delete_range(db, text("garden/"), text("garden0"), 0), "delete_range");
	print_shelf(db, "garden/", "garden0");

	check(lsm_sync(db), "sync");
	lsm_get_stats(db, &stats);
	printf("%llu operations\n", (unsigned long long)stats.operations);
	check(lsm_close(db), "close");
	return 0;
}
