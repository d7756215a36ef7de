/* SPDX-License-Identifier: MIT */
/*
 * lsmfs put: standard input, or a file, becomes a file of the store. The content is written to a file without a name,
 * which gets its name at the end: whenever put is interrupted, the name stands for the old content or the new.
 */
#include "fs/verbs/common.h"
#include "fs/verbs/verbs.h"
#include "fs/volume/volume.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)
#define MODE_NEW 0666u
#define MODE_NEW_DIR 0777u

struct arguments {
	const char *store, *path, *file;
	bool parents;
	mode_t mask;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->store, &arguments->path, &arguments->file };

	switch (key) {
	case 'p':
		arguments->parents = true;
		return 0;
	default:
		return take_words(key, arg, state, words, 2, 3, "a store and a path in it are needed");
	}
}

/* Where the new file goes. */
struct target {
	vol_ino parent;
	char name[VOL_NAME_MAX + 1];
	bool replaces;
	struct vol_attr old; /* if it replaces one */
	struct vol_cred cred;
};

/* Fills chunks, so that a slow pipe doesn't make many small writes. */
static int read_full(int fd, char *buf, size_t size, size_t *ret_size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, buf + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret_size = have;
	return 0;
}

static int copy_in(struct volume *volume, vol_ino ino, int fd)
{
	char *buf = malloc(CHUNK);
	uint64_t offset = 0;
	size_t got = 0;
	int r = buf ? 0 : -ENOMEM;

	while (!r) {
		r = read_full(fd, buf, CHUNK, &got);
		if (r < 0)
			complain("cannot read the input: %s", strerror(-r));
		if (r < 0 || got == 0)
			break;
		r = volume_write(volume, ino, offset, buf, got, 0);
		if (r < 0)
			complain("cannot write to the store: %s", strerror(-r));
		offset += got;
	}
	free(buf);
	return r;
}

static int make_parents(struct volume *volume, const char *path, const struct vol_cred *cred)
{
	char *copy = strdup(path);
	struct vol_attr attr;
	vol_ino parent = 0;
	char name[VOL_NAME_MAX + 1];
	int r = copy ? 0 : -ENOMEM;

	for (char *slash = copy; !r && (slash = strchr(slash, '/')); slash++) {
		if (slash == copy || slash[-1] == '/')
			continue;
		*slash = 0;
		r = volume_resolve(volume, copy, &attr);
		if (r == -ENOENT)
			r = volume_resolve_parent(volume, copy, &parent, name);
		if (!r && parent)
			r = volume_mkdir(volume, parent, name, MODE_NEW_DIR, cred, &attr);
		parent = 0;
		*slash = '/';
	}
	free(copy);
	return r;
}

static int find_target(struct volume *volume, const struct arguments *arguments, struct target *target)
{
	int r = 0;

	*target = (struct target){ .cred = { .uid = geteuid(), .gid = getegid(), .umask = arguments->mask } };
	if (arguments->parents)
		r = make_parents(volume, arguments->path, &target->cred);
	if (!r)
		r = volume_resolve_parent(volume, arguments->path, &target->parent, target->name);
	if (r == -ENOENT)
		complain("the directory that %s would lie in doesn't exist in the store. To make it: lsmfs put -p",
			 arguments->path);
	else if (r < 0)
		complain("%s: %s", arguments->path, strerror(-r));
	if (r < 0)
		return r;
	r = volume_lookup(volume, target->parent, target->name, &target->old);
	target->replaces = r == 0;
	if (r == -ENOENT)
		r = 0;
	else if (!r && !S_ISREG(target->old.mode))
		r = S_ISDIR(target->old.mode) ? -EISDIR : -EEXIST;
	if (r < 0)
		complain("%s: %s", arguments->path, strerror(-r));
	return r;
}

/* The file that is replaced passes its owner and rights on. */
static int take_attributes(struct volume *volume, const struct target *target, vol_ino ino)
{
	char acl[VOL_ACL_MAX];
	struct vol_attr attr;
	size_t size;
	int r;

	r = volume_setattr(volume, ino, &target->old, VOL_SET_MODE | VOL_SET_UID | VOL_SET_GID, &attr);
	if (r < 0)
		return r;
	r = volume_getxattr(volume, target->old.ino, VOL_ACL_ACCESS, acl, sizeof(acl), &size);
	if (r == -ENODATA)
		return volume_removexattr(volume, ino, VOL_ACL_ACCESS);
	return r < 0 ? r : volume_setxattr(volume, ino, VOL_ACL_ACCESS, acl, size, 0);
}

/* A nameless file can't be renamed: it gets a name of its own first. Dying just between leaves that behind, whole. */
static int replace(struct volume *volume, const struct target *target, vol_ino ino)
{
	char name[VOL_NAME_MAX + 1];
	struct vol_gone gone = { 0 };
	struct vol_attr attr;
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST; i++) {
		snprintf(name, sizeof(name), ".lsmfs-put.%ld.%u", (long)getpid(), i);
		r = volume_link(volume, ino, target->parent, name, &attr);
	}
	if (!r)
		r = volume_rename(volume, target->parent, name, target->parent, target->name, 0, &gone);
	if (!r && gone.ino)
		r = volume_reclaim(volume, gone.ino);
	return r;
}

static int put(struct volume *volume, const struct arguments *arguments, int fd)
{
	struct target target;
	struct vol_attr attr;
	int r;

	r = find_target(volume, arguments, &target);
	if (r < 0)
		return r;
	r = volume_tmpfile(volume, target.parent, MODE_NEW, &target.cred, &attr);
	if (r < 0) {
		complain("cannot make a file in the store: %s", strerror(-r));
		return r;
	}
	r = copy_in(volume, attr.ino, fd);
	if (r < 0)
		goto out;
	if (target.replaces)
		r = take_attributes(volume, &target, attr.ino);
	if (!r)
		r = target.replaces ? replace(volume, &target, attr.ino)
				    : volume_link(volume, attr.ino, target.parent, target.name, &attr);
	if (r < 0)
		complain("cannot give the new file its name %s: %s", arguments->path, strerror(-r));
out:
	if (r < 0)
		(void)volume_reclaim(volume, attr.ino); /* else the next opening does it */
	return r;
}

int verb_put(int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
		{ "parents", 'p', NULL, 0, "Make the directories of PATH that are missing", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		argp_options,
		on_argument,
		"STORE PATH [FILE]",
		"Makes FILE, or standard input, the content of the file PATH of a store that isn't mounted. It is "
		"there whole, "
		"and on disk, when put returns; when put fails or is interrupted, nothing has changed.\v"
		"Examples:\n"
		"  echo hello | lsmfs put ~/store greeting\n"
		"  lsmfs put -p ~/store photos/1.jpg 1.jpg\n\n"
		"Exit status: 0 done, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	const struct store_open_options options = { .read_only = false };
	struct arguments arguments = { 0 };
	struct volume *volume;
	int fd = STDIN_FILENO, r;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	arguments.mask = umask(0);
	umask(arguments.mask);
	if (arguments.file && strcmp(arguments.file, "-") != 0)
		fd = open(arguments.file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		complain("cannot open %s: %s", arguments.file, strerror(errno));
		return EXIT_FAILED;
	}
	r = store_open(arguments.store, &options, &volume);
	if (!r) {
		r = put(volume, &arguments, fd);
		r = store_close(volume, arguments.store, r);
	}
	if (fd != STDIN_FILENO)
		close(fd);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
