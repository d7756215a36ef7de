/* SPDX-License-Identifier: MIT */
/* Access control lists: what they let whom do, and who may set them. */
#include "case_acl.h"

#include <stdio.h>

/* ---- rights ---- */

static void owner_and_others(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U2, G2, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 6, NONE }, { USER, 7, U1 }, { GROUP, 0, NONE }, { MASK, 5, NONE }, { OTHER, 2, NONE })));
	may(user(U2, G3), 6);         /* the owner: the mask is not for him */
	may(user(U1, G3), 5);         /* named, within the mask */
	may(user(U1, G2), 5);         /* named comes before the group */
	may(user(U3, G2), 0);         /* the owning group */
	may(user(U3, G3, G1, G2), 0); /* … as one of several */
	may(user(U3, G3), 2);
}

static void named_user_who_is_owner(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U1, G1, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 0, NONE }, { USER, 7, U1 }, { GROUP, 7, NONE }, { MASK, 7, NONE }, { OTHER, 7, NONE })));
	may(user(U1, G1), 0);
	ok(chown("f", U2, G2));
	may(user(U1, G1), 7);
}

static void groups(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", 0, G1, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 7, NONE }, { GROUP, 1, NONE }, { NAMED_GROUP, 4, G2 }, { NAMED_GROUP, 2, G3 },
		    { MASK, 7, NONE }, { OTHER, 7, NONE })));
	may(user(U1, G1), 1);
	may(user(U1, G2), 4);
	may(user(U1, G3), 2);
	may(user(U1, 5), 7); /* in none of them: others */
	may(user(U1, 5, G2), 4);
}

static void one_group_must_grant_all(void *arg)
{
	(void)arg;
	ok(access("f", R_OK));
	ok(access("f", W_OK));
	fails(access("f", R_OK | W_OK), EACCES);
	ok(close((int)ok(open("f", O_RDONLY))));
	ok(close((int)ok(open("f", O_WRONLY))));
	fails(open("f", O_RDWR), EACCES);
}

static void rights_of_two_groups(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", 0, 0, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 7, NONE }, { GROUP, 0, NONE }, { NAMED_GROUP, 4, G2 }, { NAMED_GROUP, 2, G3 },
		    { MASK, 7, NONE }, { OTHER, 7, NONE })));
	as(user(U1, G2, G3), one_group_must_grant_all, NULL);
}

static void mask_limits(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U2, G1, 0600);
	for (unsigned mask = 1; mask < 8; mask++) {
		ok(set("f", ACCESS,
		       LIST({ OWNER, 7, NONE }, { USER, 6, U1 }, { GROUP, 5, NONE }, { NAMED_GROUP, 3, G2 },
			    { MASK, mask, NONE }, { OTHER, 4, NONE })));
		may(user(U2, 5), 7);
		may(user(U1, 5), (int)(6 & mask));
		may(user(U3, G1), (int)(5 & mask));
		may(user(U3, G2), (int)(3 & mask));
		may(user(U3, 5), 4);
	}
}

static void superuser(void **state)
{
	(void)state;
	mt_need_root();
	file_of("f", U2, G1, 0600);
	ok(set("f", ACCESS,
	       LIST({ OWNER, 0, NONE }, { USER, 0, 0 }, { GROUP, 1, NONE }, { MASK, 0, NONE }, { OTHER, 0, NONE })));
	may(user(0, 0), 6); /* may all, but nobody can execute it */
	ok(chmod("f", 0010));
	may(user(0, 0), 7);
}

static void other_in_directory(void *arg)
{
	(void)arg;
	mt_put("d/mine", "x");
	ok(rename("d/mine", "d/other"));
	ok(unlink("d/other"));
	ok(unlink("d/old"));
	fails(open("closed/f", O_RDONLY), EACCES);
	fails(open("closed", O_RDONLY), EACCES);
	ok(close((int)ok(open("through/f", O_RDONLY))));
	fails(open("through", O_RDONLY | O_DIRECTORY), EACCES);
	fails(open("through/new", O_WRONLY | O_CREAT, 0600), EACCES);
	fails(unlink("through/f"), EACCES);
}

static void directories(void **state)
{
	const unsigned rights[] = { 7, 0, 1 };
	const char *const names[] = { "d", "closed", "through" };

	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	for (size_t i = 0; i < 3; i++) {
		ok(mkdir(names[i], 0755));
		ok(set(names[i], ACCESS,
		       LIST({ OWNER, 7, NONE }, { USER, rights[i], U1 }, { GROUP, 5, NONE }, { MASK, 7, NONE },
			    { OTHER, i == 0 ? 0 : 7, NONE })));
	}
	mt_put("d/old", "x");
	mt_put("closed/f", "x");
	mt_put("through/f", "x");
	as(user(U1, G1), other_in_directory, NULL);
}

/* ---- rights, at random ---- */

static uint64_t random_next(uint64_t *x)
{
	*x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *x >> 33;
}

static bool is_member(const struct who *who, gid_t gid)
{
	for (size_t i = 0; i < who->n_more; i++)
		if (who->more[i] == gid)
			return true;
	return who->gid == gid;
}

/* What POSIX 1003.1e says; where the mask grants nothing at all, Linux looks at the mode only. */
static bool granted(const struct entry *entries, size_t n, const struct who *who, uid_t owner, gid_t group,
		    unsigned want)
{
	unsigned mask = 7, other = entries[n - 1].rights;
	bool in_group = false, by_group = false;

	if (entries[n - 2].tag == MASK)
		mask = entries[n - 2].rights;
	if (who->uid == owner)
		return (entries[0].rights & want) == want;
	if (mask == 0)
		return !is_member(who, group) && (other & want) == want;
	for (size_t i = 0; i < n; i++)
		if (entries[i].tag == USER && entries[i].id == who->uid)
			return (entries[i].rights & mask & want) == want;
	for (size_t i = 0; i < n; i++) {
		if (entries[i].tag != GROUP && entries[i].tag != NAMED_GROUP)
			continue;
		if (!is_member(who, entries[i].tag == GROUP ? group : entries[i].id))
			continue;
		in_group = true;
		by_group = by_group || (entries[i].rights & mask & want) == want;
	}
	return in_group ? by_group : (other & want) == want;
}

struct question {
	struct entry entries[16];
	size_t n;
	struct who who;
	gid_t group;
};

static void answers(void *arg)
{
	const struct question *q = arg;

	for (unsigned want = 1; want < 8; want++)
		same(granted(q->entries, q->n, &q->who, U1, q->group, want), access("f", (int)want) == 0);
}

static void at_random(void **state)
{
	uint64_t x = 20;

	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	mt_put("f", "x");
	for (unsigned round = 0; round < 60; round++) {
		struct question q = { .group = G1 };

		ok(chown("f", U1, G1));
		q.entries[q.n++] = (struct entry){ OWNER, random_next(&x) % 8, NONE };
		for (uint32_t id = U1; id <= U3; id++)
			if (random_next(&x) % 2)
				q.entries[q.n++] = (struct entry){ USER, random_next(&x) % 8, id };
		q.entries[q.n++] = (struct entry){ GROUP, random_next(&x) % 8, NONE };
		for (uint32_t id = G1; id <= G3; id++)
			if (random_next(&x) % 2)
				q.entries[q.n++] = (struct entry){ NAMED_GROUP, random_next(&x) % 8, id };
		q.entries[q.n++] = (struct entry){ MASK, random_next(&x) % 8 | random_next(&x) % 8, NONE };
		q.entries[q.n++] = (struct entry){ OTHER, random_next(&x) % 8, NONE };
		ok(set("f", ACCESS, list_of(q.entries, q.n)));
		for (uid_t uid = U1; uid <= U3; uid++) {
			q.who = user(uid, 5);
			for (gid_t gid = G1; gid <= G3; gid++)
				if (random_next(&x) % 2)
					q.who.more[q.who.n_more++] = gid;
			as(q.who, answers, &q);
		}
	}
}

/* ---- who may set ---- */

static void other_sets(void *arg)
{
	(void)arg;
	fails(set("f", ACCESS, with_user(7)), EPERM);
	fails(removexattr("f", ACCESS), EPERM);
	fails(set("d", DEFAULT, with_user(7)), EPERM);
	fails(removexattr("d", DEFAULT), EPERM);
	fails(chmod("f", 0777), EPERM);
	check(getxattr("f", ACCESS, NULL, 0) > 0); /* to look needs no right but the way there */
	fails(getxattr("closed/f", ACCESS, NULL, 0), EACCES);
}

static void owner_sets(void *arg)
{
	(void)arg;
	ok(set("f", ACCESS, with_user(5)));
	has("f", ACCESS, with_user(5));
	ok(chmod("f", 0700));
	ok(removexattr("f", ACCESS));
	ok(set("d", DEFAULT, with_user(5)));
	ok(removexattr("d", DEFAULT));
}

static void who_may_set(void **state)
{
	const struct list all =
		LIST({ OWNER, 7, NONE }, { USER, 7, U1 }, { GROUP, 7, NONE }, { MASK, 7, NONE }, { OTHER, 7, NONE });

	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	ok(mkdir("closed", 0700));
	mt_put("closed/f", "x");
	file_of("f", U2, G2, 0600);
	ok(mkdir("d", 0777));
	ok(chown("d", U2, G2));
	ok(set("f", ACCESS, all));
	ok(set("d", DEFAULT, all));
	as(user(U1, G1), other_sets, NULL);
	has("f", ACCESS, all);
	as(user(U2, G3), owner_sets, NULL);
}

static void set_with_setgid(void *arg)
{
	(void)arg;
	ok(set("f", ACCESS, with_user(7)));
}

static void minimal_with_setgid(void *arg)
{
	(void)arg;
	ok(set("f", ACCESS, LIST({ OWNER, 7, NONE }, { GROUP, 5, NONE }, { OTHER, 5, NONE })));
}

/* The bit falls when who sets the list is not in the file's group, as with chmod. */
static void setgid_falls(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U1, G1, 02755);
	as(user(U1, G2), set_with_setgid, NULL);
	mode_is(0670, "f");
	ok(chmod("f", 06755));
	as(user(U1, G2, G3), minimal_with_setgid, NULL);
	mode_is(04755, "f");
	ok(chmod("f", 02755));
	as(user(U1, G1), set_with_setgid, NULL);
	mode_is(02670, "f");
	as(user(U1, G2, 5, G1), minimal_with_setgid, NULL);
	mode_is(02755, "f");
	set_with_setgid(NULL);
	mode_is(02670, "f");
	ok(chown("f", U1, G1));
	ok(chmod("f", 02755));
	ok(removexattr("f", ACCESS));
	mode_is(02755, "f");
}

int mt_run_acl_rights(void)
{
	const struct CMUnitTest tests[] = {
		CASE(owner_and_others), CASE(named_user_who_is_owner),
		CASE(groups),           CASE(rights_of_two_groups),
		CASE(mask_limits),      CASE(superuser),
		CASE(directories),      CASE(at_random),
		CASE(who_may_set),      CASE(setgid_falls),
	};

	return cmocka_run_group_tests_name("acl rights", tests, NULL, NULL);
}
