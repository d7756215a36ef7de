/* SPDX-License-Identifier: MIT */
#include "lsm/tree/named.h"

/* The index of the first name that is not smaller. */
static size_t find(const struct named_list *l, const char *name)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(l->list[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_at(const struct named_list *l, size_t i, const char *name)
{
	return i < l->n && !strcmp(l->list[i].name, name);
}

int named_add(struct named_list *l, const char *name, uint64_t sequence, uint64_t created_us)
{
	size_t i = find(l, name);
	struct named_snapshot *list;
	char *copy;

	if (is_at(l, i, name))
		return status_set(LSM_EXISTS, 0, NULL, 0, "there is a snapshot named %s already", name);
	list = realloc(l->list, (l->n + 1) * sizeof(*list));
	if (!list)
		return status_no_memory((l->n + 1) * sizeof(*list));
	l->list = list;
	copy = strdup(name);
	if (!copy)
		return status_no_memory(strlen(name));
	memmove(list + i + 1, list + i, (l->n - i) * sizeof(*list));
	list[i] = (struct named_snapshot){ copy, sequence, created_us };
	l->n++;
	return LSM_OK;
}

const struct named_snapshot *named_find(const struct named_list *l, const char *name)
{
	size_t i = find(l, name);

	return is_at(l, i, name) ? &l->list[i] : NULL;
}

bool named_remove(struct named_list *l, const char *name)
{
	size_t i = find(l, name);

	if (!is_at(l, i, name))
		return false;
	free(l->list[i].name);
	l->n--;
	memmove(l->list + i, l->list + i + 1, (l->n - i) * sizeof(*l->list));
	return true;
}

int named_apply(const struct named_list *base, const struct named_list *removed, const struct named_list *added,
		struct named_list *ret)
{
	const struct named_list *sources[] = { base, added };
	struct named_list l = { 0 };
	int rc = LSM_OK;

	for (size_t i = 0; !rc && i < removed->n; i++)
		rc = named_find(base, removed->list[i].name) ? LSM_OK : LSM_NOT_FOUND;
	for (int s = 0; s < 2; s++) {
		for (size_t i = 0; !rc && i < sources[s]->n; i++) {
			const struct named_snapshot *n = &sources[s]->list[i];

			if (s || !named_find(removed, n->name))
				rc = named_add(&l, n->name, n->sequence, n->created_us);
		}
	}
	if (rc)
		named_done(&l);
	else
		*ret = l;
	return rc;
}

void named_done(struct named_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->list[i].name);
	free(l->list);
	*l = (struct named_list){ 0 };
}
