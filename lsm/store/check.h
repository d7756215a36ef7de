/* SPDX-License-Identifier: MIT */
#ifndef LSM_STORE_CHECK_H
#define LSM_STORE_CHECK_H
/* check - what the parts of lsm_check() share: finds, progress, and which large values there are. */
#include "lsm/store/db.h"

/* A stored value of a blob segment. */
struct check_value {
	uint64_t offset;
	uint32_t size;
	bool damaged, wanted; /* something refers to it */
};

enum { CHECK_BUCKETS = 256 };

struct check_segment {
	struct check_segment *next; /* of its bucket */
	uint64_t number;
	bool wrong;                 /* it can't be opened, or its header is wrong */
	bool told;                  /* and that was told */
	struct check_value *values; /* ascending offsets */
	size_t n, capacity;
};

struct check {
	struct env *env;
	const char *dir;
	const struct lsm_check_options *options;
	uint64_t done_bytes, total_bytes, told_bytes;
	uint64_t damaged;                              /* finds */
	bool unsupported;                              /* one of them */
	struct lsm_error first;                        /* of them */
	struct check_segment *segments[CHECK_BUCKETS]; /* by number */
	bool skip_headers;                             /* of blob segments: a repair mends them beforehand */
	bool has_manifest;
	struct manifest_state state; /* if it has */
};

/* Tells a find. Returns 0 or what ends the check. */
int check_tell(struct check *c, const struct lsm_find *find);
/* Something ended with `rc`: damage that lsm_last_error() describes is told, with the keys concerned; LSM_OK passes, and
 * anything else (LSM_NO_MEMORY, a code of the caller's) ends the check. */
int check_settle(struct check *c, int rc, struct lsm_slice begin, struct lsm_slice end);
/* The same for damage that concerns no keys. */
int check_settle_file(struct check *c, int rc);
/* So many bytes more have been read. */
int check_progress(struct check *c, uint64_t bytes);
/* Tells that nothing is wrong with `file`, but … */
int check_inform(struct check *c, const char *file, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* check.c: reads CURRENT and the manifest into `state`. */
int check_manifest(struct check *c, struct tree *tree);
/* Calls fn for each name in the directory. */
int check_each_file(struct check *c, int (*fn)(struct check *c, const char *path, enum store_file kind, uint64_t number,
					       bool is_store_file));
/* LSM_NOT_STORE when the directory has none of a store's files. */
int check_is_store(struct check *c);

/* check_table.c: one table; `meta` is what the manifest says of it, NULL when there is none. */
int check_table(struct check *c, uint64_t number, const struct table_meta *meta);
/* check_log.c: the segment files, and the log as recovery would see it. */
int check_log(struct check *c);
/* check_blob.c: the pointer `value` of `user_key`, which stands at `offset` of `file`, leads to a whole value. */
int check_pointer(struct check *c, struct lsm_slice user_key, struct lsm_slice value, const char *file,
		  uint64_t offset);
/* Is it there, whole? Reads the segment when it is asked for the first time, and tells nothing of it. 0, LSM_CORRUPT or
 * LSM_IO with the error set, or what ends the check. */
int check_value_find(struct check *c, const struct blob_ptr *ptr);
/* Tells of damaged values that nothing refers to, and frees all. */
int check_segments_done(struct check *c);
/* Was it looked at, since something refers to it? */
bool check_segment_known(const struct check *c, uint64_t number);

#endif
