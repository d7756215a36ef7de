/* SPDX-License-Identifier: MIT */
#include "fs/verbs/common.h"
#include "fs/verbs/mount.h"
#include "fs/verbs/mountinfo.h"
#include "fs/session/unmount.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DEV_FUSE "/dev/fuse"
#define FUSE_CONF "/etc/fuse.conf"

static bool check_device(void)
{
	int fd = open(DEV_FUSE, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return true;
	}
	/* fusermount3 may open it for us. */
	if (errno == EACCES && geteuid() != 0)
		return true;
	complain("cannot open " DEV_FUSE
		 ": %s. Load the kernel's module with 'modprobe fuse'; in a container, start it with "
		 "--device /dev/fuse --cap-add SYS_ADMIN",
		 strerror(errno));
	return false;
}

/* A line of the file is nothing but `word`. */
static bool file_has_line(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	if (!file)
		return false;
	while (!found && getline(&line, &size, file) > 0) {
		char *text = line + strspn(line, " \t");
		size_t length = strcspn(text, " \t\r\n");
		found = length == strlen(word) && strncmp(text, word, length) == 0 &&
			!text[length + strspn(text + length, " \t\r\n")];
	}
	free(line);
	fclose(file);
	return found;
}

static bool check_rights(const struct mount_options *options)
{
	if (geteuid() == 0)
		return true;
	if ((options->allow_other || options->allow_root) && !file_has_line(FUSE_CONF, "user_allow_other")) {
		complain("%s is refused to users here. Have root add the line 'user_allow_other' to " FUSE_CONF
			 ", mount as root, or mount without it",
			 options->allow_root ? "allow_root" : "allow_other");
		return false;
	}
	if (!options->nosuid || !options->nodev) {
		complain("only root may mount with %s", options->nosuid ? "dev" : "suid");
		return false;
	}
	return true;
}

static void complain_of_our_mount(const struct mount_entry *mount)
{
	struct store_owner owner;

	if (store_owner_find(mount->source, &owner)) {
		complain("%s is mounted on %s already, by process %ld. To unmount it: lsmfs umount %s", mount->source,
			 mount->dir, owner.pid, mount->dir);
		store_owner_done(&owner);
	} else {
		complain("%s is mounted on %s already. To unmount it: lsmfs umount %s", mount->source, mount->dir,
			 mount->dir);
	}
}

/* The kernel answers stat(2) from what it keeps even when nobody stands behind the mount; statfs(2) it must ask. */
static bool is_dead(const char *dir)
{
	struct statvfs fs;

	return statvfs(dir, &fs) < 0 && errno == ENOTCONN;
}

/* What is mounted on the directory already: nothing, as it should be, or a mount whose process has died. */
static bool check_mounts(const struct mount_request *request)
{
	struct mount_entry mount;
	bool ok = false;
	int r;

	for (;;) {
		r = mount_find(request->dir, NULL, &mount);
		if (r <= 0)
			return true;
		if (!is_dead(request->dir))
			break;
		r = unmount_lazily(request->dir);
		if (r < 0) {
			complain("%s is a dead mount (its process has ended) and can't be taken away: %s", request->dir,
				 strerror(-r));
			goto out;
		}
		if (!request->quiet)
			complain("%s was a dead mount of %s (its process has ended): taken away", request->dir,
				 mount.source);
		mount_entry_done(&mount);
	}
	if (strcmp(mount.type, MOUNT_TYPE_OURS) == 0) {
		complain_of_our_mount(&mount);
	} else if (!request->options.nonempty && strcmp(request->dir, "/") != 0) {
		complain(
			"something else is mounted on %s already (%s, type %s). Unmount it, mount elsewhere, or use -o "
			"nonempty to hide it",
			request->dir, mount.source, mount.type);
	} else {
		ok = true;
	}
out:
	mount_entry_done(&mount);
	return ok;
}

/* 1, 0, or a negative errno. */
static int directory_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int empty = 1;

	if (!dir)
		return -errno;
	while (empty && (entry = readdir(dir)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

static bool check_directory(const struct mount_request *request)
{
	const char *dir = request->dir;
	struct stat st;
	int r;

	if (stat(dir, &st) < 0) {
		if (errno == ENOENT)
			complain("the mount point %s doesn't exist. Create it: mkdir -p %s", dir, dir);
		else
			complain("cannot look at the mount point %s: %s", dir, strerror(errno));
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		complain("the mount point %s is not a directory", dir);
		return false;
	}
	if (geteuid() != 0 && access(dir, W_OK) < 0) {
		complain("you may mount only on a directory that you can write to: %s: %s", dir, strerror(errno));
		return false;
	}
	if (request->options.nonempty)
		return true;
	r = directory_is_empty(dir);
	if (r < 0)
		complain("cannot look into the mount point %s: %s", dir, strerror(-r));
	else if (!r)
		complain("the mount point %s is not empty. Choose an empty directory, or use -o nonempty to hide what "
			 "is "
			 "in it",
			 dir);
	return r > 0;
}

/* The daemon must not have to go through its own mount to reach its store, and a store holds nothing but its own. */
static bool check_nesting(const struct mount_request *request)
{
	if (path_is_within(request->store, request->dir))
		complain("the store %s lies in the mount point %s, which would hide it. Choose another place for one "
			 "of them",
			 request->store, request->dir);
	else if (path_is_within(request->dir, request->store))
		complain("the mount point %s lies in the store %s. Choose a directory outside of it", request->dir,
			 request->store);
	else
		return true;
	return false;
}

bool mount_check(const struct mount_request *request)
{
	return check_rights(&request->options) && check_nesting(request) && check_mounts(request) &&
	       check_directory(request) && check_device();
}
