/* SPDX-License-Identifier: MIT */
#ifndef LSM_TREE_NAMED_H
#define LSM_TREE_NAMED_H
/* named - the named snapshots of a store: under which name which sequence number must stay readable. The manifest keeps
 * them; the list is sorted by name. */
#include "lsm/base/slice.h"
#include "lsm/base/status.h"

struct named_snapshot {
	char *name;
	uint64_t sequence;
	uint64_t created_us; /* since 1970 */
};

struct named_list {
	struct named_snapshot *list;
	size_t n;
};

/* LSM_EXISTS, LSM_NO_MEMORY: the list is as it was. */
int named_add(struct named_list *l, const char *name, uint64_t sequence, uint64_t created_us);
/* NULL: there is none of this name. */
const struct named_snapshot *named_find(const struct named_list *l, const char *name);
/* False: there was none. */
bool named_remove(struct named_list *l, const char *name);
/* `base` without the names of `removed` and with `added`, for the caller. LSM_NOT_FOUND, LSM_EXISTS, LSM_NO_MEMORY. */
int named_apply(const struct named_list *base, const struct named_list *removed, const struct named_list *added,
		struct named_list *ret);
void named_done(struct named_list *l);

#endif
