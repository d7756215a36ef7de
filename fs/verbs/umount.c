/* SPDX-License-Identifier: MIT */
/* lsmfs umount: takes the mount away and waits until its process has put all on disk and ended. */
#include "fs/session/unmount.h"
#include "fs/verbs/common.h"
#include "fs/verbs/holders.h"
#include "fs/verbs/mountinfo.h"
#include "fs/verbs/verbs.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define SAY_WAITING_AFTER_MS 3000

struct arguments {
	const char *dir;
	bool lazy, force;
};

static error_t on_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char **const words[] = { &arguments->dir };

	switch (key) {
	case 'l':
		arguments->lazy = true;
		return 0;
	case 'f':
		arguments->force = true;
		return 0;
	default:
		return take_words(key, arg, state, words, 1, 1, "the directory to unmount is needed");
	}
}

/* The mount at `dir`, or of the store `dir`. False: complained of. */
static bool find_mount(const char *dir, struct mount_entry *ret)
{
	char *path = path_absolute(dir);
	int r;

	if (!path) {
		complain("cannot find %s: %s", dir, strerror(errno));
		return false;
	}
	r = mount_find(path, NULL, ret);
	if (r == 0)
		r = mount_find(NULL, path, ret);
	if (r < 0) {
		complain("cannot read what is mounted: %s", strerror(-r));
	} else if (r == 0) {
		complain("nothing is mounted on %s. What is mounted: findmnt -t " MOUNT_TYPE_OURS, path);
	} else if (strcmp(ret->type, MOUNT_TYPE_OURS) != 0) {
		complain("what is mounted on %s is not ours (%s, type %s). To unmount it: umount %s", path, ret->source,
			 ret->type, path);
		mount_entry_done(ret);
		r = 0;
	}
	free(path);
	return r > 0;
}

static void tell_holder(void *ctx, long pid, const char *command, const char *path)
{
	(void)ctx;
	complain("  process %ld (%s) uses %s", pid, command, path);
}

static void complain_of_busy(const char *dir)
{
	complain("%s is in use. End what uses it, or: lsmfs umount --lazy %s", dir, dir);
	if (holders_find(dir, tell_holder, NULL) == 0)
		complain("  (no process is to be seen; one of another user, or a mount below it?)");
}

/* Whoever holds the lock when the process can't be seen from here (another pid namespace): wait for the lock. */
static void wait_for_lock(const char *store)
{
	char *lock = store_lock_path(store);
	int fd = lock ? open(lock, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		while (flock(fd, LOCK_SH) < 0 && errno == EINTR)
			continue;
		close(fd);
	}
	free(lock);
}

static void wait_for_process(int pidfd, long pid)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };
	int timeout_ms = SAY_WAITING_AFTER_MS;
	int r;

	for (;;) {
		r = poll(&poll_fd, 1, timeout_ms);
		if (r > 0 || (r < 0 && errno != EINTR))
			return;
		if (r == 0)
			complain("waiting until process %ld has written everything out", pid);
		timeout_ms = -1;
	}
}

static int unmount_as_asked(const struct arguments *arguments, const char *dir)
{
	if (arguments->force)
		return unmount_by_force(dir);
	return arguments->lazy ? unmount_lazily(dir) : unmount_plainly(dir);
}

static int unmount_and_wait(const struct arguments *arguments, const struct mount_entry *mount)
{
	struct store_owner owner = { 0 };
	/* Before: afterwards the process may have ended, and its number be another's. */
	bool owned = store_owner_find(mount->source, &owner);
	int pidfd = owned && owner.pid > 0 ? pidfd_open((pid_t)owner.pid, 0) : -1;
	int status = EXIT_FAILED;
	int r = unmount_as_asked(arguments, mount->dir);

	if (r == -EBUSY) {
		complain_of_busy(mount->dir);
		goto out;
	}
	if (r == -EPERM && geteuid() != 0 && arguments->force) {
		complain("only root can unmount by force. Try: lsmfs umount --lazy %s", mount->dir);
		goto out;
	}
	if (r < 0) {
		complain("cannot unmount %s: %s", mount->dir, strerror(-r));
		goto out;
	}
	status = EXIT_DONE;
	if (!owned)
		complain("%s was a dead mount (its process had ended): taken away", mount->dir);
	else if (arguments->lazy && !arguments->force)
		complain("%s is out of sight; process %ld ends when nobody uses it any more", mount->dir, owner.pid);
	else if (pidfd >= 0)
		wait_for_process(pidfd, owner.pid);
	else
		wait_for_lock(mount->source);
out:
	if (pidfd >= 0)
		close(pidfd);
	if (owned)
		store_owner_done(&owner);
	return status;
}

int verb_umount(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "lazy", 'l', NULL, 0, "Take it out of sight now; it ends when nobody uses it any more", 0 },
		{ "force", 'f', NULL, 0,
		  "Cut it off, even if the process doesn't answer: programs that use it see errors", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		on_argument,
		"DIR",
		"Unmounts DIR (or the store DIR, wherever it is mounted) and returns when all is on disk and the "
		"process behind it has ended.\v"
		"Examples:\n"
		"  lsmfs umount ~/kv\n"
		"  lsmfs umount --lazy ~/kv      although programs still use it\n\n"
		"Exit status: 0 unmounted, 1 failed, 2 usage.",
		NULL,
		NULL,
		NULL,
	};
	struct arguments arguments = { 0 };
	struct mount_entry mount;
	int status;

	parse_arguments(&argp, argc, argv, EXIT_USAGE, &arguments);
	if (!find_mount(arguments.dir, &mount))
		return EXIT_FAILED;
	status = unmount_and_wait(&arguments, &mount);
	mount_entry_done(&mount);
	return status;
}
