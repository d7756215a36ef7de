/* SPDX-License-Identifier: MIT */
#include "fs/session/guard.h"
#include "fs/session/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that was killed and needs longer to go is looked at again. */
#define GONE_WITHIN_MS 500
#define LOOKS 120

/* ---- in the daemon ---- */

int guard_start(const char *dir, dev_t device, pid_t *ret_pid)
{
	char pid[16], device_major[16], device_minor[16], word[] = GUARD_WORD, name[] = "lsmfs";
	char *const argv[] = { name, word, pid, device_major, device_minor, (char *)(uintptr_t)dir, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	extern char **environ;
	int r;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(device_major, sizeof(device_major), "%u", major(device));
	snprintf(device_minor, sizeof(device_minor), "%u", minor(device));
	*ret_pid = 0;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	/* Whatever waits for the end of the daemon's output must not wait for the guard, too. */
	for (int fd = 0; fd <= 2; fd++)
		posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawn_file_actions_addchdir_np(&actions, "/");
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	r = -posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

void guard_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

/* ---- the guard ---- */

/* Its main thread has ended, and other threads of it have not. */
static bool is_zombie(pid_t pid)
{
	char path[32], line[512];
	const char *state;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	in = fopen(path, "re");
	if (!in)
		return false;
	state = fgets(line, sizeof(line), in) ? strrchr(line, ')') : NULL;
	fclose(in);
	return state && strncmp(state, ") Z", 3) == 0;
}

static bool is_gone(int pidfd, int timeout_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) != 0;
}

/*
 * While a thread of it waits in the kernel for its connection, the process is not gone, and the device's number can't be
 * another mount's. A process that is still ending for other reasons loses nothing by the abort: it is dead.
 */
static void abort_if_stuck(pid_t pid, int pidfd, const char *dir, dev_t device)
{
	for (unsigned i = 0; i < LOOKS && !is_gone(pidfd, GONE_WITHIN_MS); i++) {
		if (is_zombie(pid) && connection_abort(dir, device) == 0)
			break;
	}
}

int guard_main(int argc, char **argv)
{
	sigset_t signals;
	int pidfd, number;
	pid_t pid;

	if (argc != 5)
		return 1;
	pid = (pid_t)atoi(argv[1]);
	/* What asks the daemon to end is not for the guard. */
	sigfillset(&signals);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0 || prctl(PR_SET_PDEATHSIG, SIGUSR1) < 0)
		return 1;
	/* The daemon may have died before it could be told to tell. */
	while (!is_zombie(pid) && !is_gone(pidfd, 0) && sigwait(&signals, &number) != 0)
		continue;
	abort_if_stuck(pid, pidfd, argv[4],
		       makedev((unsigned)strtoul(argv[2], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10)));
	return 0;
}
