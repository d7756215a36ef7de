/* SPDX-License-Identifier: MIT */
/* The table of workloads, in the order in which they run. */
#include "tests/bench/mount_job.h"

#define FRESH WORK_FRESH
#define ASIDE WORK_ASIDE
#define COLD (WORK_ASIDE | WORK_COLD)
#define WARM (WORK_ASIDE | WORK_WARM)
#define SYNC (WORK_FRESH | WORK_TIMED)
#define LARGE (WORK_ASIDE | WORK_BYTES)
#define STORY WORK_STORY

const struct work_group work_groups[] = {
	{ "files", "small files in one directory, one client" },
	{ "files-4", "the same by 4 clients" },
	{ "tree", "small files in 100 directories" },
	{ "sync", "durable files, each when its call returns" },
	{ "large", "one large file" },
	{ "stories", "what people do; what counts is the time of the whole (not on null)" },
};
const unsigned work_groups_n = sizeof(work_groups) / sizeof(work_groups[0]);

const struct work works[] = {
	{ "create", "files", "open with O_CREAT, write, close", FRESH, 1, work_create },
	{ "stat-cold", "files", "lstat of each, nothing in memory", COLD, 1, work_stat },
	{ "stat", "files", "the same after one of each before", WARM, 1, work_stat },
	{ "missing-cold", "files", "lstat of names that are not there, nothing in memory", COLD, 1, work_missing },
	{ "missing", "files", "the same after one of each before", WARM, 1, work_missing },
	{ "read-cold", "files", "open, read, close; nothing in memory", COLD, 1, work_read },
	{ "read", "files", "the same after one of each before", WARM, 1, work_read },
	{ "readdir-cold", "files", "the listing, an operation is an entry, a time a call's", COLD, 1, work_readdir },
	{ "ls-cold", "files", "the listing with an lstat of each, whose times are shown", COLD, 1, work_ls },
	{ "overwrite", "files", "open with O_TRUNC, write, close", 0, 1, work_overwrite },
	{ "append", "files", "open with O_APPEND, write, close", 0, 1, work_append },
	{ "append-fd", "files", "write at the end of one file that stays open", ASIDE, 1, work_append_fd },
	{ "rename", "files", "within the directory", 0, 1, work_rename },
	{ "unlink", "files", "", 0, 1, work_unlink },

	{ "create-4", "files-4", "", FRESH, 4, work_create },
	{ "stat-cold-4", "files-4", "", COLD, 4, work_stat },
	{ "missing-cold-4", "files-4", "", COLD, 4, work_missing },
	{ "read-cold-4", "files-4", "", COLD, 4, work_read },
	{ "overwrite-4", "files-4", "", 0, 4, work_overwrite },
	{ "append-fd-4", "files-4", "to a file of its own each", ASIDE, 4, work_append_fd },
	{ "rename-4", "files-4", "", 0, 4, work_rename },
	{ "unlink-4", "files-4", "", 0, 4, work_unlink },

	{ "create-tree", "tree", "one after the other in each directory", FRESH, 1, work_create_tree },
	{ "create-tree-4", "tree", "the same by 4 clients", FRESH, 4, work_create_tree },

	{ "create-sync", "sync", "open with O_CREAT, write, fsync, close", SYNC, 1, work_create_sync },
	{ "create-sync-4", "sync", "the same by 4 clients", SYNC, 4, work_create_sync },
	{ "create-sync-16", "sync", "the same by 16 clients", SYNC, 16, work_create_sync },
	{ "replace-sync", "sync", "a new file, fsync, rename over one of 100", SYNC, 1, work_replace_sync },

	{ "seq-write-1m", "large", "1 MiB a call", FRESH | WORK_BYTES | WORK_LARGE, 1, work_seq_write_1m },
	{ "seq-write-1m-sync", "large", "the same, and fsync at the end", LARGE, 1, work_seq_write_1m_sync },
	{ "seq-write-4k", "large", "4 KiB a call", LARGE | WORK_TIMED, 1, work_seq_write_4k },
	{ "seq-read-1m", "large", "nothing in memory", LARGE | WORK_COLD, 1, work_seq_read_1m },
	{ "seq-read-4k", "large", "nothing in memory", LARGE | WORK_COLD | WORK_TIMED, 1, work_seq_read_4k },
	{ "rand-read-4k", "large", "nothing in memory", COLD | WORK_TIMED, 1, work_rand_read },
	{ "rand-write-4k", "large", "", ASIDE | WORK_TIMED, 1, work_rand_write },
	{ "rand-write-4k-sync", "large", "fsync after each", ASIDE | WORK_TIMED, 1, work_rand_write_sync },

	{ "git-clone", "stories", "of a repository of files of 200 bytes to 8 KB", FRESH | STORY, 1, work_story },
	{ "git-status-cold", "stories", "nothing in memory", COLD | STORY, 1, work_story },
	{ "git-status", "stories", "the same after one before", WARM | STORY, 1, work_story },
	{ "tar-in", "stories", "extraction of the same files", FRESH | STORY, 1, work_story },
	{ "tar-out-cold", "stories", "an archive of them, nothing in memory", COLD | STORY, 1, work_story },
	{ "npm", "stories", "cp -r of many small files in a deep tree", FRESH | STORY | WORK_MANY, 1, work_story },
	{ "rm-rf", "stories", "of these", STORY | WORK_MANY, 1, work_story },
	{ "ls-many-cold", "stories", "ls of a directory of many empty files", FRESH | WORK_COLD | STORY | WORK_ENTRIES,
	  1, work_story },
	{ "meson-build", "stories", "of a small C project, in a directory there", FRESH | STORY | WORK_LONG, 1,
	  work_story },
	{ "sqlite", "stories", "inserts, a transaction each, default settings", FRESH | STORY, 1, work_story },
	{ "space", "stories", "on disk, of many files of 100 bytes in an empty store",
	  FRESH | STORY | WORK_SPACE | WORK_ENTRIES, 1, work_space },
};
const unsigned works_n = sizeof(works) / sizeof(works[0]);
_Static_assert(sizeof(works) / sizeof(works[0]) <= WORKS_MAX, "all have a place");

unsigned work_chain_end(unsigned begin)
{
	unsigned end = begin + 1;

	while (end < works_n && !(works[end].flags & WORK_FRESH))
		end++;
	return end;
}

/* Files, and directories of a tree, that the kernel knows at its end; those that end by the time see to it themselves. */
static uint64_t files_of(const struct mount_settings *s, const struct work *w)
{
	if (w->flags & WORK_ENTRIES)
		return s->entries;
	if (w->flags & WORK_STORY)
		return s->story_files * 3 / 2 / (w->flags & WORK_MANY ? 1 : 6);
	return w->flags & WORK_TIMED ? 1 : s->files;
}

bool work_is_for(const struct mount_settings *s, const struct work *w, const struct target *t)
{
	if (t->dead || (w->flags & WORK_COLD && !cold_possible()) || files_of(s, w) > t->known_max)
		return false;
	return t->kind != TARGET_NULL || !(w->flags & WORK_STORY);
}
