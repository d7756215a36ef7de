/* SPDX-License-Identifier: MIT */
/* Opening a store for a verb, and saying who has it when it is taken. */
#include "fs/verbs/common.h"
#include "fs/verbs/mountinfo.h"
#include "fs/volume/rows.h"
#include "fs/volume/volume.h"
#include "lsm/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The engine's lock file: held by flock(2), with the owner's process id in it. */
#define LOCK_NAME "LOCK"

char *store_lock_path(const char *store)
{
	char *path;

	return asprintf(&path, "%s/" LOCK_NAME, store) < 0 ? NULL : path;
}

static bool read_first_line(const char *path, char *buf, size_t size)
{
	FILE *file = fopen(path, "re");
	bool ok;

	if (!file)
		return false;
	ok = fgets(buf, (int)size, file);
	if (ok)
		buf[strcspn(buf, "\n")] = 0;
	fclose(file);
	return ok;
}

static bool lock_is_held(const char *lock)
{
	int fd = open(lock, O_RDONLY | O_CLOEXEC);
	bool held;

	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

bool store_owner_find(const char *store, struct store_owner *ret)
{
	struct store_owner owner = { 0 };
	struct mount_entry mount;
	char *lock = store_lock_path(store), *whole = NULL;
	char text[64];
	bool held = lock && lock_is_held(lock);

	if (!held)
		goto out;
	if (read_first_line(lock, text, sizeof(text)))
		owner.pid = strtol(text, NULL, 10);
	if (owner.pid > 0) {
		snprintf(text, sizeof(text), "/proc/%ld/comm", owner.pid);
		(void)read_first_line(text, owner.command, sizeof(owner.command));
	}
	whole = realpath(store, NULL);
	if (whole && mount_find(NULL, whole, &mount) > 0) {
		owner.mount_point = mount.dir;
		mount.dir = NULL;
		mount_entry_done(&mount);
	}
	*ret = owner;
out:
	free(whole);
	free(lock);
	return held;
}

void store_owner_done(struct store_owner *owner)
{
	free(owner->mount_point);
	*owner = (struct store_owner){ 0 };
}

void store_complain_busy(const char *path, const char *message)
{
	struct store_owner owner;

	if (!store_owner_find(path, &owner)) {
		complain("%s is in use: %s", path, message);
		return;
	}
	if (owner.mount_point)
		complain(
			"%s is mounted on %s by process %ld. Use the files there, or unmount it first: lsmfs umount %s",
			path, owner.mount_point, owner.pid, owner.mount_point);
	else if (owner.pid > 0)
		complain("%s is in use by process %ld (%s). One process at a time can open a store: try again when it "
			 "has "
			 "ended",
			 path, owner.pid, owner.command);
	else
		complain("%s is in use by another process: %s", path, message);
	store_owner_done(&owner);
}

/* Makes the directory of a new store. 1: made; 0: there is one; negative errno: complained of. */
static int make_directory(const char *path)
{
	int r;

	if (mkdir(path, 0700) == 0)
		return 1;
	r = -errno;
	if (r == -EEXIST)
		return 0;
	if (r == -ENOENT)
		complain("cannot create the store %s: the directory that it would lie in doesn't exist. Create that "
			 "first, "
			 "with mkdir -p",
			 path);
	else
		complain("cannot create the store %s: %s", path, strerror(-r));
	return r;
}

/* Complains if there can't be a store at `path`. */
static int check_directory(const char *path, bool create)
{
	struct stat st;
	int r = stat(path, &st) < 0 ? -errno : 0;

	if (r == -ENOENT && create)
		return 0;
	if (r == -ENOENT)
		complain("there is no store at %s. Create one by mounting it: lsmfs mount %s DIR", path, path);
	else if (r < 0)
		complain("cannot look at the store %s: %s", path, strerror(-r));
	else if (!S_ISDIR(st.st_mode)) {
		complain("%s is not a store, but a file: a store is a directory", path);
		r = -ENOTDIR;
	}
	return r;
}

static void complain_of_rows(const char *path, int r, const char *message)
{
	if (r == -EBUSY || r == -EWOULDBLOCK)
		store_complain_busy(path, message);
	else if (message[0])
		complain("cannot open the store %s: %s", path, message);
	else
		complain("cannot open the store %s: %s", path, strerror(-r));
}

static void complain_of_volume(const char *path, int r)
{
	if (r == -ENOENT)
		complain("%s is a store of liblsm without files in it: not a volume of lsmfs", path);
	else if (r == -EUCLEAN)
		complain("%s is not a volume that this version of lsmfs can read: another format, or damaged. Nothing "
			 "was "
			 "changed",
			 path);
	else
		complain("cannot open the volume in the store %s: %s", path, strerror(-r));
}

int store_open(const char *path, const struct store_open_options *options, struct volume **ret)
{
	const struct rows_lsm_options rows_options = {
		.create = options->create && !options->read_only,
		.read_only = options->read_only,
		.memory_bytes = options->memory_bytes,
		.log = options->log,
	};
	const struct volume_options volume_options = {
		.create = rows_options.create,
		.read_only = options->read_only,
		.atime = options->atime,
		.no_dir_atime = options->no_dir_atime,
		.root_uid = geteuid(),
		.root_gid = getegid(),
	};
	char message[1024] = "";
	struct rows *rows;
	int made = 0, r = check_directory(path, rows_options.create);

	if (r < 0)
		return r;
	if (rows_options.create) {
		made = make_directory(path);
		if (made < 0)
			return made;
	}
	r = rows_lsm_open(path, &rows_options, &rows, message, sizeof(message));
	if (r < 0) {
		complain_of_rows(path, r, message);
		if (made)
			rmdir(path); /* succeeds only if nothing was put there */
		return r;
	}
	r = volume_open(rows, &volume_options, ret);
	if (r < 0)
		complain_of_volume(path, r);
	else if (options->ret_created)
		*options->ret_created = made;
	return r;
}

int store_open_engine(const char *path, struct lsm_db **ret)
{
	int rc = check_directory(path, false) < 0 ? LSM_NOT_STORE : LSM_OK;

	if (rc)
		return rc;
	rc = lsm_open(path, NULL, ret);
	if (rc == LSM_BUSY)
		store_complain_busy(path, lsm_last_error()->message);
	else if (rc)
		complain("cannot open the store %s: %s", path, lsm_last_error()->message);
	return rc;
}

int store_close(struct volume *volume, const char *path, int r)
{
	int r2 = volume_close(volume);

	if (r2 < 0)
		complain("%s: not everything that was written is known to be on disk: %s", path, strerror(-r2));
	return r ? r : r2;
}
